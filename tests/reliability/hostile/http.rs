//! Hostile bytes: heads and bodies that no client sends. What comes back is HTTP, in the envelope, or nothing.

use super::judge::{Good, assert_proper, assert_unharmed, holdings};
use super::mutate;
use crate::dice::{Dice, seed};
use crate::report::{counted, scale};
use crate::support::{Client, Reply, Server, request};
use serde_json::json;
use std::collections::BTreeMap;
use std::net::Shutdown;

/// Paths and what may stand behind them.
const TARGETS: [&str; 24] = [
    "/jql",
    "/healthz",
    "/readyz",
    "/metrics",
    "/openapi.json",
    "/",
    "//jql",
    "/jql/",
    "/JQL",
    "/jql?a=b",
    "/jql?",
    "/jql#a",
    "/%6aql",
    "/jql%00",
    "/../jql",
    "/jql/../healthz",
    "/healthz;a=b",
    "/é",
    "http://a/jql",
    "*",
    "jql",
    "/jql\\",
    "/metrics?'--",
    "/openapi.json?{}",
];

/// Lines that a head may hold.
const LINES: [&str; 30] = [
    "Host: b",
    "Content-Length: 0",
    "Content-Length: 5",
    "Content-Length: -1",
    "Content-Length: 99999999999999999999",
    "Transfer-Encoding: chunked",
    "Transfer-Encoding: chunked, identity",
    "Transfer-Encoding: xchunked",
    "Connection: close",
    "Connection: keep-alive",
    "Connection: upgrade",
    "Upgrade: h2c",
    "Expect: 100-continue",
    "Expect: 200-ok",
    "Content-Encoding: gzip",
    "Content-Type: text/plain",
    "Content-Type: application/json; charset=utf-16",
    "Authorization: Bearer",
    "Origin: http://evil.example",
    "Origin: null",
    "Range: bytes=0-1",
    "If-None-Match: *",
    "X-Request-Id: \u{e9}",
    "Idempotency-Key: ",
    "Accept-Encoding: gzip",
    "TE: trailers",
    "Trailer: Host",
    " folded: line",
    "No-Colon",
    ": no name",
];

/// Those that one request in four has.
const METHODS: [&str; 8] = ["GET", "PUT", "DELETE", "OPTIONS", "TRACE", "post", "CONNECT", "PO ST"];

/// A request that may be good, with its lines each on its own.
fn composed(dice: &mut Dice, key: &str, body: &str) -> Vec<u8> {
    let target = if dice.one_in(4) { *dice.pick(&TARGETS) } else { "/jql" };
    let method = if dice.one_in(4) { *dice.pick(&METHODS) } else { "POST" };
    let version = *dice.pick(&["HTTP/1.1", "HTTP/1.1", "HTTP/1.1", "HTTP/1.0", "HTTP/2.0", "HTTP/1.2", "HTTP/0.9", ""]);
    let mut lines = vec![
        format!("{method} {target} {version}"),
        "Host: a".to_owned(),
        format!("Authorization: Bearer {key}"),
        "Content-Type: application/json".to_owned(),
    ];
    let is_chunked = dice.one_in(4);
    lines.push(if is_chunked {
        "Transfer-Encoding: chunked".to_owned()
    } else {
        format!("Content-Length: {}", body.len())
    });
    for _ in 0..dice.below(3) {
        let place = dice.between(1, lines.len());
        lines.insert(place, (*dice.pick(&LINES)).to_owned());
    }
    if dice.one_in(6) {
        let place = dice.between(1, lines.len() - 1);
        drop(lines.remove(place));
    }
    let end = *dice.pick(&["\r\n", "\r\n", "\r\n", "\r\n", "\r\n", "\r\n", "\n", "\r", "\r\r\n"]);
    let head = lines.join(end) + end + end;
    let body = if is_chunked {
        let half = body.len() / 2;
        let size = dice.pick(&["", "0x", "+", "-", " ", "fffffff"]);
        let size = if dice.one_in(3) { *size } else { "" };
        format!(
            "{:x}\r\n{}\r\n{size}{:x};a=b\r\n{}\r\n0\r\n\r\n",
            half,
            &body[..half],
            body.len() - half,
            &body[half..]
        )
    } else {
        body.to_owned()
    };
    (head + &body).into_bytes()
}

/// All answers on a connection that nothing more is sent over. One that only says to go on is none.
fn answers(client: &mut Client) -> Vec<Reply> {
    let _ = client.stream().shutdown(Shutdown::Write); // the server may have hung up already
    let mut all = Vec::new();
    while let Some(reply) = client.try_reply("POST") {
        all.extend((reply.status != 100).then_some(reply));
    }
    all
}

#[test]
fn hostile_bytes_are_answered_in_http_or_not_at_all() {
    let mut server = Server::with(crate::support::MODELS, &["--idle-timeout", "5s"]);
    let key = server.key_for("tickets.*:*");
    let tag = json!({"name": "as ever"});
    server.create("tickets.Tag", &tag);
    let good = request("retrieve", "tickets.Tag", &json!({"filter": {"id": 1}}), &json!({"id": null}));
    let good = Good::new(&server, &key, &good);
    let descriptors = holdings(&server).1;
    let rounds = scale(300, 30_000);
    let seed = seed("bytes");
    let statuses = std::sync::Mutex::new(BTreeMap::<u16, usize>::new());
    std::thread::scope(|scope| {
        for number in 0..2 {
            let (server, key, good, statuses, tag) = (&server, &key, &good, &statuses, &tag);
            scope.spawn(move || {
                let mut dice = Dice::new(seed, number);
                let body = request("upsert", "tickets.Tag", &json!({"uniqueObject": tag}), &json!({})).to_string();
                let mut next = Client::connect(&server.address);
                for _ in 0..rounds / 2 {
                    let mut bytes = composed(&mut dice, key, &body);
                    for _ in 0..dice.below(3) {
                        mutate::bytes(&mut dice, &mut bytes);
                    }
                    let mut client = Client::connect(&server.address);
                    client.send(&bytes);
                    for reply in answers(&mut client) {
                        // Only the page of numbers, the description and the admin page are no envelopes.
                        let is_page = reply.status == 200
                            && ["# HELP", "{\"openapi\"", "<!doctype html>"]
                                .iter()
                                .any(|start| reply.body.starts_with(start));
                        if !is_page {
                            assert_proper(&reply, b"");
                        }
                        *statuses.lock().unwrap().entry(reply.status).or_default() += 1;
                    }
                    good.check(&mut next);
                }
            });
        }
    });
    let statuses = statuses.into_inner().unwrap();
    println!("bytes: {statuses:?}");
    assert!(statuses.contains_key(&200) && statuses.contains_key(&400), "{statuses:?}");
    counted("bytes", "hostile requests of HTTP", rounds);
    counted("bytes", "answers of 500", statuses.get(&500).copied().unwrap_or(0));
    assert_unharmed(&mut server, descriptors);
}
