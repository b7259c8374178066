//! Requests that proxies and servers are known to read differently, each sent through nginx and without it: what is hidden
//! in one is never carried out, and whoever comes next gets the answer to his own request.

use super::accounts;
use super::nginx::Nginx;
use crate::report::counted;
use crate::support::{Client, Server};
use serde_json::json;
use std::collections::BTreeSet;
use std::time::Duration;

/// A request, and whether the server itself carries it out.
struct Odd {
    name: String,
    bytes: String,
    served: bool,
}

/// Headers beside the usual ones, and whether the server takes them with a body that is as long as LENGTH says.
const LENGTHS: [(&str, bool); 36] = [
    ("Content-Length: LENGTH\r\n", true),
    ("content-length:LENGTH\r\n", true),
    ("Content-Length: \t LENGTH \t\r\n", true),
    ("Content-Length: 00LENGTH\r\n", true),
    ("Content-Length: LENGTH\r\nExpect: 100-continue\r\n", true),
    ("Content-Length: LENGTH\r\nConnection: Content-Length, Host\r\n", true),
    ("Content-Length: LENGTH\r\nTE: chunked, trailers\r\n", true),
    ("Content-Length: LENGTH\r\nContent_Length: 0\r\n", true),
    ("Content-Length: LENGTH\r\nTransfer_Encoding: chunked\r\n", true),
    ("Content-Length: LENGTH\r\nContent-Length: 0\r\n", false),
    ("Content-Length: 0\r\nContent-Length: LENGTH\r\n", false),
    ("Content-Length: LENGTH\r\nContent-Length: LENGTH\r\n", false),
    ("Content-Length: LENGTH, LENGTH\r\n", false),
    ("Content-Length: LENGTH\r\nTransfer-Encoding: chunked\r\n", false),
    ("Transfer-Encoding: chunked\r\nContent-Length: LENGTH\r\n", false),
    ("Transfer-Encoding: identity\r\nContent-Length: LENGTH\r\n", false),
    ("Content-Length: +LENGTH\r\n", false),
    ("Content-Length: -LENGTH\r\n", false),
    ("Content-Length: LENGTH;\r\n", false),
    ("Content-Length: LENGTH.0\r\n", false),
    ("Content-Length: LENGTH 0\r\n", false),
    ("Content-Length: \x0bLENGTH\r\n", false),
    ("Content-Length: LENGTH\0\r\n", false),
    ("Content-Length : LENGTH\r\n", false),
    ("Content-Length\t: LENGTH\r\n", false),
    ("Content-Length\0: 0\r\nContent-Length: LENGTH\r\n", false),
    ("Content-Length:\r\n LENGTH\r\n", false),
    ("X-Folded: a\r\n b\r\nContent-Length: LENGTH\r\n", false),
    ("X-Folded: a\r\n Content-Length: 0\r\nContent-Length: LENGTH\r\n", false),
    ("X-Bare: a\nContent-Length: LENGTH\r\n", false),
    ("X-Bare: a\rContent-Length: 0\r\nContent-Length: LENGTH\r\n", false),
    ("Content-Length: LENGTH\r\nHost: other\r\n", false),
    ("Content-Length: LENGTH\r\nExpect: nonsense\r\n", false),
    ("Content-Length: LENGTH\r\nConnection: upgrade\r\nUpgrade: h2c\r\n", false),
    ("Content-Length: LENGTH\r\nContent-Encoding: gzip\r\n", false),
    ("Content-Length: LENGTH\r\n: nameless\r\n", false),
];

/// Headers beside the usual ones, with a body in one chunk.
const CODINGS: [(&str, bool); 25] = [
    ("Transfer-Encoding: chunked\r\n", true),
    ("transfer-encoding:CHUNKED\r\n", true),
    ("Transfer-Encoding: \t chunked \t\r\n", true),
    ("Transfer-Encoding: chunked\r\nExpect: 100-continue\r\n", true),
    ("Transfer-Encoding: chunked\r\nConnection: Transfer-Encoding\r\n", true),
    ("Transfer-Encoding: chunked, identity\r\n", false),
    ("Transfer-Encoding: identity, chunked\r\n", false),
    ("Transfer-Encoding: gzip, chunked\r\n", false),
    ("Transfer-Encoding: chunked, chunked\r\n", false),
    ("Transfer-Encoding: ,chunked\r\n", false),
    ("Transfer-Encoding: chunked,\r\n", false),
    ("Transfer-Encoding: xchunked\r\n", false),
    ("Transfer-Encoding: chunkedx\r\n", false),
    ("Transfer-Encoding: \"chunked\"\r\n", false),
    ("Transfer-Encoding: chunked;q=1\r\n", false),
    ("Transfer-Encoding: \x0bchunked\r\n", false),
    ("Transfer-Encoding: chunked\0\r\n", false),
    ("Transfer-Encoding:\r\n chunked\r\n", false),
    ("Transfer-Encoding:\r\n\tchunked\r\n", false),
    ("Transfer-Encoding : chunked\r\n", false),
    ("X-Folded: a\r\n Transfer-Encoding: chunked\r\n", false),
    ("X-Bare: a\nTransfer-Encoding: chunked\r\n", false),
    ("Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n", false),
    ("Transfer-Encoding: identity\r\nTransfer-Encoding: chunked\r\n", false),
    ("Transfer-Encoding: chunked\r\nContent-Length: 3\r\n", false),
];

/// Bodies in chunks, of which SIZE is the right one.
const CHUNKS: [(&str, bool); 19] = [
    ("SIZE\r\nBODY\r\n0\r\n\r\n", true),
    ("00SIZE\r\nBODY\r\n000\r\n\r\n", true),
    ("SIZE;name=value\r\nBODY\r\n0;last\r\n\r\n", true),
    ("SIZE\r\nBODY\r\n0\r\nX-Trailer: a\r\nContent-Length: 5\r\n\r\n", true),
    ("SIZE\nBODY\n0\n\n", false),
    ("SIZE\r\nBODY\r\n0\n\r\n", false),
    ("SIZE\rX\r\nBODY\r\n0\r\n\r\n", false),
    ("SIZE;\n\r\nBODY\r\n0\r\n\r\n", false),
    ("SIZE\r\nBODY0\r\n\r\n", false),
    ("SIZE\r\nBODYx\r\n0\r\n\r\n", false),
    ("+SIZE\r\nBODY\r\n0\r\n\r\n", false),
    ("0xSIZE\r\nBODY\r\n0\r\n\r\n", false),
    (" SIZE\r\nBODY\r\n0\r\n\r\n", false),
    ("SIZE SIZE\r\nBODY\r\n0\r\n\r\n", false),
    ("\r\nBODY\r\n0\r\n\r\n", false),
    ("ffffffffffffffff\r\nBODY\r\n0\r\n\r\n", false),
    ("8000000000000000\r\nBODY\r\n0\r\n\r\n", false),
    ("fffffff0000000SIZE\r\nBODY\r\n0\r\n\r\n", false),
    ("SIZE\r\nBODY\r\n0\r\n", false), // what follows is in the trailers
];

/// Lines of requests.
const LINES: [(&str, bool); 27] = [
    ("POST /jql HTTP/1.1", true),
    ("POST /jql?a=/../metrics HTTP/1.1", true),
    ("POST http://localhost/jql HTTP/1.1", false),
    ("POST http://localhost/metrics HTTP/1.1", false),
    ("POST //jql HTTP/1.1", false),
    ("POST /./jql HTTP/1.1", false),
    ("POST /jql/../metrics HTTP/1.1", false),
    ("POST /jql/..%2fmetrics HTTP/1.1", false),
    ("POST /%2e%2e/jql HTTP/1.1", false),
    ("POST /metrics/../jql HTTP/1.1", false),
    ("POST /metrics/%2e%2e/jql HTTP/1.1", false),
    ("POST /%6aql HTTP/1.1", false),
    ("POST /jql%00 HTTP/1.1", false),
    ("POST /jql%20HTTP/1.1%0d%0aX-Two:%20a HTTP/1.1", false),
    ("POST /jql#/../metrics HTTP/1.1", false),
    ("POST \\jql HTTP/1.1", false),
    ("POST /jql", false),
    ("POST /jql HTTP/1.2", false),
    ("POST /jql HTTP/2.0", false),
    ("POST /jql HTTP/1.1 HTTP/1.1", false),
    ("POST  /jql HTTP/1.1", false),
    ("POST\t/jql\tHTTP/1.1", false),
    ("post /jql HTTP/1.1", false),
    ("GET /jql HTTP/1.1", false),
    ("TRACE /jql HTTP/1.1", false),
    ("\r\nPOST /jql HTTP/1.1", false),
    ("POST /jql HTTP/1.1\nX-Bare: a", false),
];

fn create(name: &str) -> String {
    json!({"__meta__": {"intent": "create", "namespace": "tickets.Tag"}, "name": name}).to_string()
}

/// What each of them is followed by or holds: a whole request that makes a record.
fn hidden(key: &str, name: &str) -> String {
    let body = create(&format!("hidden in {name}"));
    let length = body.len();
    let head = format!("Host: localhost\r\nAuthorization: Bearer {key}\r\nContent-Type: application/json\r\n");
    format!("POST /jql HTTP/1.1\r\n{head}Content-Length: {length}\r\n\r\n{body}")
}

/// All of them, each once with a body that makes a record and once with one that is a request itself.
fn all(key: &str) -> Vec<Odd> {
    let mut all = Vec::new();
    let mut add = |kind: &str, number: usize, line: &str, headers: &str, form: &str, served: bool| {
        for (what, served) in [("plain", served), ("holding another", false)] {
            let name = format!("{kind} {number} {what}");
            let body = if what == "plain" { create(&name) } else { hidden(key, &name) };
            let usual = format!(
                "Host: localhost\r\nAuthorization: Bearer {key}\r\nContent-Type: application/json\r\nConnection: close\r\n"
            );
            let headers = headers.replace("LENGTH", &body.len().to_string());
            let form = form.replace("SIZE", &format!("{:x}", body.len())).replace("BODY", &body);
            let bytes = format!("{line}\r\n{usual}{headers}\r\n{form}{}", hidden(key, &name));
            all.push(Odd { name, bytes, served });
        }
    };
    let (post, chunk) = ("POST /jql HTTP/1.1", "SIZE\r\nBODY\r\n0\r\n\r\n");
    for (number, (headers, served)) in LENGTHS.iter().enumerate() {
        add("length", number, post, headers, "BODY", *served);
    }
    for (number, (headers, served)) in CODINGS.iter().enumerate() {
        add("coding", number, post, headers, chunk, *served);
    }
    for (number, (form, served)) in CHUNKS.iter().enumerate() {
        add("chunks", number, post, "Transfer-Encoding: chunked\r\n", form, *served);
    }
    for (number, (line, served)) in LINES.iter().enumerate() {
        add("line", number, line, "Content-Length: LENGTH\r\n", "BODY", *served);
    }
    let many = "X-Many: a\r\n".repeat(200) + "Content-Length: LENGTH\r\n";
    add("many headers", 0, post, &many, "BODY", false);
    let long = format!("X-Long: {}\r\nContent-Length: LENGTH\r\n", "a".repeat(40_000));
    add("long header", 0, post, &long, "BODY", false);
    all
}

/// Sends it, and hears what is said until the connection ends or nothing more comes.
fn send(address: &str, bytes: &str) -> Vec<String> {
    let mut client = Client::connect(address);
    client.patience(Duration::from_millis(400)); // some wait for more, and so would we
    client.send(bytes.as_bytes());
    std::iter::from_fn(|| client.try_reply("POST")).map(|reply| reply.body).collect()
}

/// A request like any other is answered, with what it asked for.
#[track_caller]
fn assert_own_answer(client: &mut Client, key: &str, number: usize, after: &str) {
    let meta = json!({"intent": "count", "namespace": "profile.Customer", "draw": number});
    let reply = client.jql(key, &json!({"__meta__": meta}).to_string());
    let own = json!({"filtered": 0, "display": 0, "queries": 1, "draw": number});
    assert_eq!((reply.status, &reply.json()["extras"]), (200, &own), "after {after}: {}", reply.body);
}

/// Sends all of them to this address, with good requests in between; the records that there are then.
fn records_after(server: &Server, address: &str, odd: &[Odd]) -> BTreeSet<String> {
    let mut kept = Client::connect(address);
    for (number, one) in odd.iter().enumerate() {
        for said in send(address, &one.bytes) {
            assert!(!said.contains("jqlite_requests_total"), "{}: {said}", one.name);
        }
        assert_own_answer(&mut kept, &server.key, 3 * number, &one.name);
        for next in 1..3 {
            assert_own_answer(&mut Client::connect(address), &server.key, 3 * number + next, &one.name);
        }
    }
    server.rows(r#"SELECT "name" FROM "tickets.Tag""#).lines().map(str::to_owned).collect()
}

#[test]
fn without_a_proxy_odd_requests_are_carried_out_as_they_are_meant_or_not_at_all() {
    let server = Server::start();
    let odd = all(&server.key);
    let made = records_after(&server, &server.address, &odd);
    let expected: BTreeSet<String> = odd.iter().filter(|one| one.served).map(|one| one.name.clone()).collect();
    assert_eq!(made, expected);
    assert_eq!(server.stderr(), "");
    let figure = format!("{}, {}", odd.len(), made.len());
    counted("HTTP", "odd requests, and those of them that were carried out as they are meant", figure);
}

#[test]
fn through_nginx_odd_requests_are_carried_out_as_they_are_meant_or_not_at_all() {
    let server = Server::with(crate::support::MODELS, &["--trusted-proxy", "127.0.0.1"]);
    let Some(nginx) = Nginx::before(&server, "odd requests through nginx") else { return };
    let odd = all(&server.key);
    let made = records_after(&server, &nginx.address, &odd);
    // nginx mends some, so that the server gets them as they should be.
    let plain: BTreeSet<String> =
        odd.iter().filter(|one| one.name.ends_with("plain")).map(|one| one.name.clone()).collect();
    assert_eq!(made.difference(&plain).collect::<Vec<_>>(), Vec::<&String>::new());
    let accounts = accounts::compare(server, &nginx);
    let figure = format!("{}, {}, {}, {}", odd.len(), accounts.sent, accounts.logged, made.len());
    counted("HTTP behind nginx", "odd requests; requests sent on, in the usage log, made by odd ones", figure);
}

/// Two requests on one connection, the second of which is no secret, and is answered second.
#[test]
fn through_nginx_pipelined_requests_are_answered_in_order() {
    let server = Server::with(crate::support::MODELS, &["--trusted-proxy", "127.0.0.1"]);
    let Some(nginx) = Nginx::before(&server, "pipelining through nginx") else { return };
    let mut client = Client::connect(&nginx.address);
    let requests: Vec<String> = (0..50).map(|number| hidden(&server.key, &number.to_string())).collect();
    client.send(requests.concat().as_bytes());
    for number in 1..=50 {
        let reply = client.reply("POST");
        assert_eq!((reply.status, &reply.json()["data"]), (200, &json!({"id": number})), "{}", reply.body);
    }
    let accounts = accounts::compare(server, &nginx);
    assert_eq!((accounts.sent, accounts.logged), (50, 50));
}
