//! Requests made by mutation, thousands of them, through nginx: what it sends on and what the server carries out are the same
//! requests, and nobody gets the answer to another one.

use super::accounts;
use super::nginx::Nginx;
use crate::dice::{Dice, seed};
use crate::report::{counted, scale};
use crate::support::{Client, MODELS, Server};
use serde_json::json;
use std::collections::HashSet;
use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

/// What mutations put in, with `|` between them.
const PIECES: &str = "\r\n|\n|\r|\r\n\r\n|\n\n| |\t|\0|\x0b|\x7f|\u{e9}|:|;|,|?|#|/|//|/../|%2e%2e/|%00|0|1|+|-|0x|f|HTTP/1.0|HTTP/1.1|chunked|\
    identity|Content-Length: 5\r\n|Content-Length: 0\r\n|Transfer-Encoding: chunked\r\n|Connection: keep-alive\r\n|\
    Expect: 100-continue\r\n";

fn piece(dice: &mut Dice) -> &'static str {
    PIECES.split('|').nth(dice.below(PIECES.split('|').count())).unwrap()
}

/// What tells the request of this number, and its answer, from all others: a mutation makes none into another.
fn mark(seed: u64, number: usize) -> String {
    format!("m{:016x}", Dice::new(seed, number).next())
}

/// Well-formed requests, of which the others are made.
fn plain(key: &str, mark: &str, dice: &mut Dice) -> Vec<u8> {
    let meta = |intent: &str, namespace: &str| json!({"intent": intent, "namespace": namespace, "draw": mark});
    let body = match dice.below(3) {
        0 => json!({"__meta__": meta("create", "tickets.Tag"), "name": mark}),
        1 => json!({"__meta__": meta("count", "tickets.Tag")}),
        _ => json!({"__meta__": meta("retrieve", "profile.Customer"), "id": null}),
    };
    let body = body.to_string();
    let usual = format!("Host: localhost\r\nAuthorization: Bearer {key}\r\nContent-Type: application/json\r\n");
    let length = body.len();
    match dice.below(4) {
        0 => {
            format!("POST /jql HTTP/1.1\r\n{usual}Transfer-Encoding: chunked\r\n\r\n{length:x}\r\n{body}\r\n0\r\n\r\n")
        }
        1 => format!("GET /openapi.json HTTP/1.1\r\n{usual}Content-Length: {length}\r\n\r\n{body}"),
        _ => format!("POST /jql HTTP/1.1\r\n{usual}Content-Length: {length}\r\n\r\n{body}"),
    }
    .into_bytes()
}

/// Changes a few things in a request, most often in its head.
fn mutate(request: &mut Vec<u8>, other: &[u8], dice: &mut Dice) {
    for _ in 0..=dice.below(3) {
        let head = memchr::memmem::find(request, b"\r\n\r\n").unwrap_or(request.len());
        let most = if dice.below(4) > 0 { head + 4 } else { request.len() };
        let place = dice.below(most.min(request.len()) + 1);
        let end = (place + 1 + dice.below(8)).min(request.len());
        match dice.below(8) {
            0 if place < request.len() => request[place] = dice.next() as u8,
            1 if place < request.len() => request[place] ^= 1 << dice.below(8),
            2 => drop(request.drain(place..end)),
            3 => drop(request.splice(place..place, request[place..end].to_vec())),
            4 => drop(request.splice(place..place, other.iter().copied())), // one within another
            5 => double_a_line(request, dice),
            _ => drop(request.splice(place..place, piece(dice).bytes())),
        }
    }
}

/// Has a line of the head come twice, the second time anywhere.
fn double_a_line(request: &mut Vec<u8>, dice: &mut Dice) {
    let starts: Vec<usize> = memchr::memmem::find_iter(request, b"\r\n").map(|place| place + 2).collect();
    if starts.is_empty() {
        return;
    }
    let (from, to) = (starts[dice.below(starts.len())], starts[dice.below(starts.len())]);
    let length = memchr::memmem::find(&request[from..], b"\r\n").map_or(0, |length| length + 2);
    let line = request[from..from + length].to_vec();
    request.splice(to..to, line);
}

/// Sends bytes, and hears what is said until the connection ends. Where nothing is for a while, this side ends it.
fn converse(address: &str, bytes: &[u8]) -> Vec<u8> {
    let mut stream = TcpStream::connect(address).unwrap();
    let _ = stream.write_all(bytes);
    let mut said = Vec::new();
    stream.set_read_timeout(Some(Duration::from_millis(200))).unwrap();
    if stream.read_to_end(&mut said).is_err() {
        let _ = stream.shutdown(Shutdown::Write);
        stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        let _ = stream.read_to_end(&mut said);
    }
    said
}

/// Nothing in an answer is of another request than these two, which were sent together.
#[track_caller]
fn assert_own(said: &[u8], own: [&str; 2], all: &HashSet<String>, seed: u64) {
    let text = String::from_utf8_lossy(said);
    for (place, _) in text.match_indices('m') {
        let found = text.get(place..place + own[0].len()).filter(|found| all.contains(*found));
        assert!(found.is_none_or(|found| own.contains(&found)), "seed {seed}: this was answered to {own:?}: {text}");
    }
}

#[test]
fn through_nginx_mutated_requests_are_the_same_on_both_sides() {
    let server = Server::with(MODELS, &["--trusted-proxy", "127.0.0.1"]);
    let name = "mutated requests through nginx";
    let Some(nginx) =
        Nginx::changed(&server, name, &[("keepalive_timeout 50s;", "keepalive_timeout 50s; keepalive_requests 50;")])
    else {
        return;
    };
    let seed = seed(name);
    let (count, next, good) = (scale(400, 20_000), AtomicUsize::new(0), AtomicUsize::new(0));
    let marks: HashSet<String> = (0..2 * count).map(|number| mark(seed, number)).collect();
    std::thread::scope(|scope| {
        for _ in 0..16 {
            scope.spawn(|| {
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= count {
                        break;
                    }
                    let mut dice = Dice::new(seed, 2 * count + number);
                    let (mark, inside) = (mark(seed, number), mark(seed, count + number));
                    let mut request = plain(&server.key, &mark, &mut dice);
                    let other = plain(&server.key, &inside, &mut dice);
                    mutate(&mut request, &other, &mut dice);
                    if dice.below(2) == 0 {
                        request.extend(other); // what a part of the first may be taken for
                    }
                    assert_own(&converse(&nginx.address, &request), [&mark, &inside], &marks, seed);
                    if number.is_multiple_of(4) {
                        assert_good(&nginx.address, &server.key, number);
                        good.fetch_add(1, Ordering::Relaxed);
                    }
                }
            });
        }
    });
    let faults = server.rows(r#"SELECT count(*) FROM "system.UsageLog" WHERE "status" = 500"#);
    assert_eq!(faults, "Integer(0)\n");
    let accounts = accounts::compare(server, &nginx);
    assert!(accounts.came >= count && accounts.logged > good.into_inner());
    let figure = format!("{count}, {}, {}", accounts.sent, accounts.logged);
    counted("HTTP behind nginx", "mutated requests; sent on with the good ones between them, in the usage log", figure);
}

#[track_caller]
fn assert_good(address: &str, key: &str, number: usize) {
    let meta = json!({"intent": "count", "namespace": "profile.Customer", "draw": number});
    let reply = Client::connect(address).jql(key, &json!({"__meta__": meta}).to_string());
    assert_eq!((reply.status, &reply.json()["extras"]["draw"]), (200, &json!(number)), "{}", reply.body);
}
