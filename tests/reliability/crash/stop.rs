//! SIGTERM under load: what was taken up is answered and in the log, what was not leaves nothing behind.

use super::CLIENTS;
use crate::dice::{Dice, seed};
use crate::ledger;
use crate::report::{counted, scale};
use crate::support::{Client, Server, eventually, log_rows, signal};
use rusqlite::Connection;
use serde_json::json;
use std::collections::BTreeSet;
use std::net::TcpStream;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

/// The ids of requests that were answered, and of those that were not.
#[derive(Default)]
struct Told {
    answered: BTreeSet<String>,
    unanswered: BTreeSet<String>,
}

/// A request that makes a record, or counts them, under an id of its own.
fn request(key: &str, id: &str, writes: bool) -> String {
    let (intent, code) = if writes { ("create", Some(id)) } else { ("count", None) };
    let mut body = json!({"__meta__": {"intent": intent, "namespace": "crash.Item"}});
    if let Some(code) = code {
        body["code"] = json!(code);
    }
    let body = body.to_string();
    let head = format!("Authorization: Bearer {key}\r\nContent-Type: application/json\r\nX-Request-Id: {id}\r\n");
    format!("POST /jql HTTP/1.1\r\nHost: localhost\r\n{head}Content-Length: {}\r\n\r\n{body}", body.len())
}

/// Sends requests until the server ends the connection.
fn work(server: &Server, name: &str, mut dice: Dice, begun: &AtomicUsize) -> Told {
    let mut told = Told::default();
    let mut client = Client::connect(&server.address);
    for number in 0.. {
        let id = format!("{name}-{number}");
        client.send(request(&server.key, &id, dice.one_in(2)).as_bytes());
        let Some(reply) = client.try_reply("POST") else {
            told.unanswered.insert(id);
            break;
        };
        assert_eq!(reply.status, 200, "{}", reply.body);
        told.answered.insert(id);
        begun.fetch_add(usize::from(number == 0), Ordering::Relaxed);
        if reply.header("connection") == Some("close") {
            break;
        }
    }
    told
}

#[test]
fn a_server_that_is_asked_to_stop_answers_what_it_took_up() {
    let seed = seed("stopped");
    let mut dice = Dice::new(seed, 0);
    let mut server = Server::with(ledger::MODELS, &[]);
    let (mut answered, mut unanswered, mut failed) = (0, 0, 0);
    let rounds = scale(3, 30);
    for round in 0..rounds {
        let begun = AtomicUsize::new(0);
        let mut told = Told::default();
        std::thread::scope(|scope| {
            let clients: Vec<_> = (0..CLIENTS)
                .map(|number| {
                    let (server, begun, dice) = (&server, &begun, Dice::new(seed, round * 100 + number + 1));
                    scope.spawn(move || work(server, &format!("{round}-{number}"), dice, begun))
                })
                .collect();
            eventually("each is answered", || begun.load(Ordering::Relaxed) == CLIENTS);
            std::thread::sleep(Duration::from_millis(dice.between(1, 150) as u64));
            signal(server.pid(), "TERM");
            for client in clients {
                let one = client.join().unwrap();
                told.answered.extend(one.answered);
                told.unanswered.extend(one.unanswered);
            }
        });
        let key = server.key.clone();
        let said = server.stderr();
        let (code, folder) = server.stop_by("CONT");
        assert_eq!((code, said.as_str()), (Some(0), ""));
        assert!(!folder.path("test.db-wal").exists(), "all is in the one file");
        let connection = Connection::open(folder.database()).unwrap();
        let texts = |table: &str, column: &str| -> BTreeSet<String> {
            let all = format!(r#"SELECT "{column}" FROM "{table}" WHERE "{column}" LIKE '{round}-%'"#);
            connection.prepare(&all).unwrap().query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
        };
        let (logged, made) = (texts("system.UsageLog", "request_id"), texts("crash.Item", "code"));
        assert_eq!(logged, told.answered, "the log has what was answered, and nothing else");
        failed += told.unanswered.intersection(&made).count();
        assert!(made.is_subset(&told.answered), "what was not answered was not done");
        answered += told.answered.len();
        unanswered += told.unanswered.len();
        server = Server::again(folder, key, &[]);
    }
    counted("stop", "times asked to stop", rounds);
    counted("stop", "requests answered until then, each with its row in the log", answered);
    counted("stop", "requests refused unread at the end, with nothing of them done", unanswered);
    counted("stop", "requests that failed in flight", failed);
}

/// A client whose request was begun: so many of its bytes were sent.
#[cfg(target_os = "linux")]
fn begun(server: &Server, request: &str, bytes: usize) -> Client {
    let mut client = Client::connect(&server.address);
    client.send(&request.as_bytes()[..bytes]);
    client
}

#[test]
#[cfg(target_os = "linux")]
fn a_request_of_which_a_byte_was_read_is_answered_before_the_end() {
    let server = Server::with(ledger::MODELS, &[]);
    let requests: Vec<String> = (0..4).map(|n| request(&server.key, &format!("slow-{n}"), true)).collect();
    // Its first byte, a part of its head, all but its body, all but its last byte.
    let sizes = [1, 30, requests[2].find("\r\n\r\n").unwrap() + 4, requests[3].len() - 1];
    let mut clients: Vec<Client> = requests.iter().zip(sizes).map(|(text, size)| begun(&server, text, size)).collect();
    eventually("all of that was read", || server.unread() == Some(0));
    signal(server.pid(), "TERM");
    eventually("no connection is accepted", || TcpStream::connect(&server.address).is_err());
    // Far longer than the server waits where there is nothing to wait for.
    std::thread::sleep(Duration::from_millis(500));
    for ((client, request), size) in clients.iter_mut().zip(&requests).zip(sizes) {
        client.send(&request.as_bytes()[size..]);
        let reply = client.try_reply("POST").expect("it was begun, and is answered");
        assert_eq!((reply.status, reply.header("connection")), (200, Some("close")), "{}", reply.body);
    }
    let (code, folder) = server.stop_by("CONT");
    assert_eq!((code, log_rows(&folder)), (Some(0), 4));
}
