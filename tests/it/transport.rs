//! HTTP as it arrives: connections that are kept, bodies in every form, and requests that break the rules,
//! which are refused without carrying out anything that follows them.

use crate::support::{Client, MODELS, Reply, Server};
use serde_json::{Value, json};
use std::net::Shutdown;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// A whole request that makes a tag.
fn making_a_tag(server: &Server, name: &str) -> String {
    let body = tag(name);
    let key = &server.key;
    format!(
        "POST /jql HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {key}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

fn tag(name: &str) -> String {
    json!({"__meta__": {"intent": "create", "namespace": "tickets.Tag"}, "name": name}).to_string()
}

fn tags(server: &Server) -> u64 {
    server.count("tickets.Tag")
}

/// The headers of every JQL request, its length aside.
fn usual(server: &Server) -> String {
    format!("Authorization: Bearer {}\r\nContent-Type: application/json\r\n", server.key)
}

/// A body in chunks of this size.
fn chunked(body: &str, size: usize) -> String {
    let mut out = String::new();
    for chunk in body.as_bytes().chunks(size) {
        out.push_str(&format!("{:x}\r\n{}\r\n", chunk.len(), std::str::from_utf8(chunk).unwrap()));
    }
    out + "0\r\n\r\n"
}

/// The answers to these bytes, until the connection ends or nothing more comes.
fn answers(server: &Server, bytes: &str) -> Vec<u16> {
    let mut client = Client::connect(&server.address);
    client.patience(Duration::from_secs(1));
    client.send(bytes.as_bytes());
    std::iter::from_fn(|| client.try_reply("POST")).map(|reply| reply.status).collect()
}

/// A request that would make a tag but for its form must be refused for that form, or hung up on; a good one
/// on another connection is answered.
#[track_caller]
fn assert_refused(line: &str, headers: &str) {
    let server = Server::start();
    let body = tag("refused");
    let sized = headers.contains("Content-Length") || headers.contains("Transfer-Encoding");
    let length = if sized { String::new() } else { format!("Content-Length: {}\r\n", body.len()) };
    let headers = headers.replace("LENGTH", &body.len().to_string());
    let mut client = Client::connect(&server.address);
    let head = format!("{line}\r\nHost: localhost\r\n{}{headers}{length}\r\n", usual(&server));
    client.send((head + &body).as_bytes());
    client.stream().shutdown(Shutdown::Write).unwrap();
    if let Some(reply) = client.try_reply("POST") {
        let refused = reply.status == 400 && (reply.body.is_empty() || reply.body.contains("bad HTTP"));
        assert!(refused, "{line:?} {headers:?}: {reply:?}");
    }
    assert_eq!(tags(&server), 0, "{line:?} {headers:?}");
    assert_eq!(server.stderr(), "");
}

/// What stands behind a request that is refused, where a proxy may have read a body, is not carried out.
#[track_caller]
fn assert_ends_the_connection(line: &str, headers: &str) {
    let server = Server::start();
    let hidden = making_a_tag(&server, "smuggled");
    let headers = headers.replace("LENGTH", &hidden.len().to_string());
    let statuses = answers(&server, &format!("{line}\r\nHost: localhost\r\n{}{headers}\r\n{hidden}", usual(&server)));
    assert_eq!(tags(&server), 0, "what followed was carried out: {headers:?} {statuses:?}");
}

/// As [`assert_refused`], for a request that is well formed but for these headers.
#[track_caller]
fn assert_headers_refused(headers: &str) {
    assert_refused("POST /jql HTTP/1.1", headers);
}

// -- Connections --------------------------------------------------------------------------------

#[test]
fn one_connection_carries_many_requests() {
    let server = Server::start();
    let mut client = Client::connect(&server.address);
    for number in 0..200 {
        assert_eq!(client.jql(&server.key, &tag(&format!("tag {number}"))).status, 200);
    }
    assert_eq!(tags(&server), 200);
}

#[test]
fn pipelined_requests_are_answered_in_order() {
    let server = Server::start();
    let mut client = Client::connect(&server.address);
    let requests: Vec<String> = (1..=50).map(|number| making_a_tag(&server, &format!("tag {number}"))).collect();
    let paths = "GET /healthz HTTP/1.1\r\nHost: localhost\r\nX-Request-Id: last\r\n\r\n";
    client.send((requests.concat() + paths).as_bytes());
    for _ in 1..=50 {
        let reply = client.reply("POST");
        assert_eq!(reply.status, 200, "{}", reply.body);
    }
    assert_eq!(client.reply("GET").header("x-request-id"), Some("last"));
    assert_eq!(tags(&server), 50);
}

#[test]
fn pipelined_requests_keep_their_request_ids() {
    let server = Server::start();
    let mut client = Client::connect(&server.address);
    let ids: Vec<String> = (0..100).map(|number| format!("request-{number}")).collect();
    let request = |id: &String| format!("GET /healthz HTTP/1.1\r\nHost: localhost\r\nX-Request-Id: {id}\r\n\r\n");
    client.send(ids.iter().map(request).collect::<String>().as_bytes());
    let given: Vec<String> =
        ids.iter().map(|_| client.reply("GET").header("x-request-id").unwrap().to_owned()).collect();
    assert_eq!(given, ids);
}

#[test]
fn http_1_0_ends_the_connection_after_the_answer() {
    let server = Server::start();
    let mut client = Client::connect(&server.address);
    client.patience(Duration::from_secs(5));
    client.send(b"GET /healthz HTTP/1.0\r\n\r\n");
    assert_eq!(client.reply("GET").status, 200);
    assert!(client.is_closed());
}

#[test]
fn http_1_0_with_keep_alive_keeps_the_connection() {
    let server = Server::start();
    let mut client = Client::connect(&server.address);
    for _ in 0..3 {
        client.send(b"GET /healthz HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
        let reply = client.reply("GET");
        assert_eq!((reply.status, reply.header("connection")), (200, Some("keep-alive")));
    }
}

#[test]
fn connection_close_ends_the_connection_after_the_answer() {
    let server = Server::start();
    let mut client = Client::connect(&server.address);
    client.patience(Duration::from_secs(5));
    assert_eq!(client.request("GET", "/healthz", "Connection: close\r\n", "").status, 200);
    assert!(client.is_closed());
}

#[test]
fn a_refusal_that_says_close_closes_the_connection() {
    let server = Server::start();
    let mut client = Client::connect(&server.address);
    client.patience(Duration::from_secs(5));
    let reply = client.request("GET", "/healthz", "Content-Length: none\r\n", "");
    assert_eq!((reply.status, reply.header("connection")), (400, Some("close")));
    assert!(client.is_closed());
}

#[test]
fn head_has_the_headers_of_get_and_no_body() {
    let server = Server::start();
    let mut client = Client::connect(&server.address);
    for path in ["/healthz", "/readyz"] {
        let get = client.request("GET", path, "", "");
        let head = client.request("HEAD", path, "", "");
        assert_eq!((head.status, head.body.as_str()), (200, ""));
        for name in ["content-length", "content-type", "cache-control", "x-content-type-options"] {
            assert_eq!(head.header(name), get.header(name), "{name}");
        }
    }
    assert_eq!(client.request("HEAD", "/jql", "", "").status, 405);
    assert_eq!(client.request("GET", "/healthz", "", "").status, 200);
}

#[test]
fn an_answer_of_megabytes_arrives_whole() {
    let server = Server::start();
    let text = "0123456789abcdef".repeat(4096);
    for number in 0..40 {
        server.create("tickets.Ticket", &json!({"title": format!("ticket {number}"), "description": text}));
    }
    let all = json!({"__meta__": {"namespace": "tickets.Ticket", "intent": "retrieve"}, "description": null});
    let mut client = Client::connect(&server.address);
    for _ in 0..3 {
        let reply = client.jql(&server.key, &all.to_string());
        assert!(reply.body.len() > 40 * text.len());
        let data = reply.json()["data"].clone();
        assert_eq!(data.as_array().unwrap().len(), 40);
        assert!(data.as_array().unwrap().iter().all(|record| record["description"] == text.as_str()));
    }
}

#[test]
fn an_answer_to_a_slow_reader_arrives_whole() {
    let server = Server::start();
    let text = "0123456789abcdef".repeat(4096);
    for number in 0..100 {
        server.create("tickets.Ticket", &json!({"title": format!("ticket {number}"), "description": text}));
    }
    let all = json!({"__meta__": {"namespace": "tickets.Ticket", "intent": "retrieve"}, "description": null});
    let mut client = Client::connect(&server.address);
    let body = all.to_string();
    let length = body.len();
    client.send(
        format!("POST /jql HTTP/1.1\r\nHost: localhost\r\n{}Content-Length: {length}\r\n\r\n{body}", usual(&server))
            .as_bytes(),
    );
    std::thread::sleep(Duration::from_millis(700));
    assert_eq!(client.reply("POST").json()["extras"]["display"], 100);
}

// -- Bodies -------------------------------------------------------------------------------------

#[test]
fn a_body_may_come_in_chunks() {
    let server = Server::start();
    let mut client = Client::connect(&server.address);
    for size in [1, 7, 4096] {
        let head = format!("{}Transfer-Encoding: chunked\r\n", usual(&server));
        let reply = client.request("POST", "/jql", &head, &chunked(&tag(&format!("tag {size}")), size));
        assert_eq!(reply.status, 200, "{}", reply.body);
    }
    assert_eq!(tags(&server), 3);
}

#[test]
fn a_body_may_wait_for_100_continue() {
    let server = Server::start();
    let mut client = Client::connect(&server.address);
    let body = tag("patient");
    let length = body.len();
    let head = usual(&server);
    client.send(
        format!(
            "POST /jql HTTP/1.1\r\nHost: localhost\r\n{head}Expect: 100-continue\r\nContent-Length: {length}\r\n\r\n"
        )
        .as_bytes(),
    );
    assert_eq!(client.reply("POST").status, 100);
    client.send(body.as_bytes());
    assert_eq!(client.reply("POST").status, 200);
    assert_eq!(tags(&server), 1);
}

/// A request that makes a tag, of this many bytes.
fn padded(name: &str, length: usize) -> String {
    let body = tag(name);
    body.clone() + &" ".repeat(length - body.len())
}

#[test]
fn a_body_of_max_body_bytes_is_taken_and_one_more_is_not() {
    for limit in [500, 1024, 1025, 5000] {
        let server = Server::with(MODELS, &["--max-body", &limit.to_string()]);
        assert_eq!(Client::connect(&server.address).jql(&server.key, &padded("whole", limit)).status, 200);
        let reply = Client::connect(&server.address).jql(&server.key, &padded("too large", limit + 1));
        assert_eq!(reply.status, 413, "{limit}");
        assert_eq!(reply.json()["errors"][0]["code"], "JQL:RequestException");
        assert_eq!(tags(&server), 1, "{limit}");
    }
}

#[test]
fn a_chunked_body_of_max_body_bytes_is_taken_and_one_more_is_not() {
    let server = Server::with(MODELS, &["--max-body", "5000"]);
    let head = format!("{}Transfer-Encoding: chunked\r\n", usual(&server));
    let send = |body: &str| Client::connect(&server.address).request("POST", "/jql", &head, &chunked(body, 700));
    assert_eq!(send(&padded("whole", 5000)).status, 200);
    assert_eq!(send(&padded("too large", 5001)).status, 413);
    assert_eq!(tags(&server), 1);
}

#[test]
fn a_body_of_the_default_limit_is_taken() {
    let server = Server::start();
    assert_eq!(Client::connect(&server.address).jql(&server.key, &padded("whole", 1 << 20)).status, 200);
    assert_eq!(Client::connect(&server.address).jql(&server.key, &padded("more", (1 << 20) + 1)).status, 413);
    assert_eq!(tags(&server), 1);
}

#[test]
fn what_is_left_of_a_chunked_body_that_is_too_large_is_not_carried_out() {
    let server = Server::with(MODELS, &["--max-body", "100000"]);
    let hidden = making_a_tag(&server, "smuggled");
    let size = 200_000;
    let filler = " ".repeat(100_000 / 16_384 * 16_384 + 16_384);
    let head = format!("{}Transfer-Encoding: chunked\r\n", usual(&server));
    let statuses = answers(
        &server,
        &format!("POST /jql HTTP/1.1\r\nHost: localhost\r\n{head}\r\n{size:x}\r\n{filler}{}", hidden.repeat(50)),
    );
    assert_eq!(statuses.first(), Some(&413));
    assert_eq!(tags(&server), 0, "{statuses:?}");
}

#[test]
fn a_body_cut_short_makes_no_record() {
    let server = Server::start();
    for length in [900, 2000, 100_000] {
        let mut client = Client::connect(&server.address);
        let head = usual(&server);
        let body = tag(&format!("cut at {length}"));
        client.send(
            format!("POST /jql HTTP/1.1\r\nHost: localhost\r\n{head}Content-Length: {length}\r\n\r\n{body}").as_bytes(),
        );
        client.stream().shutdown(Shutdown::Write).unwrap();
        let reply = client.try_reply("POST");
        assert!(reply.is_none_or(|reply| reply.status == 400), "{length}");
    }
    assert_eq!(tags(&server), 0);
}

#[test]
fn a_chunked_body_cut_short_makes_no_record() {
    let server = Server::start();
    let body = tag("cut");
    let head = usual(&server);
    let whole = format!("{:x}\r\n{body}\r\n0\r\n\r\n", body.len());
    let ends = [format!("{:x}\r\n{body}", body.len() + 100), format!("{:x}\r\n{body}\r\n", body.len())];
    let cut: Vec<String> = ends.into_iter().chain((1..=4).map(|short| whole[..whole.len() - short].into())).collect();
    for body in cut {
        let mut client = Client::connect(&server.address);
        client.send(
            format!("POST /jql HTTP/1.1\r\nHost: localhost\r\n{head}Transfer-Encoding: chunked\r\n\r\n{body}")
                .as_bytes(),
        );
        client.stream().shutdown(Shutdown::Write).unwrap();
        let reply = client.try_reply("POST");
        assert!(reply.as_ref().is_none_or(|reply| reply.status == 400), "{body:?}: {reply:?}");
    }
    assert_eq!(tags(&server), 0);
}

#[test]
fn a_content_type_other_than_json_is_refused() {
    let server = Server::start();
    let mut client = Client::connect(&server.address);
    let body = tag("typed");
    let mut status = |kind: &str| {
        let head = format!("Authorization: Bearer {}\r\n{kind}Content-Length: {}\r\n", server.key, body.len());
        client.request("POST", "/jql", &head, &body)
    };
    for kind in ["", "text/plain", "application/x-www-form-urlencoded", "application/jsonp", "text/json", ";"] {
        let header = if kind.is_empty() { String::new() } else { format!("Content-Type: {kind}\r\n") };
        let reply = status(&header);
        assert_eq!(reply.status, 415, "{kind}");
        assert_eq!(reply.json()["errors"][0]["code"], "JQL:RequestException");
    }
    assert_eq!(status("Content-Type: application/json\r\nContent-Type: application/json\r\n").status, 415);
    assert_eq!(tags(&server), 0);
}

#[test]
fn a_content_type_may_have_a_charset() {
    let server = Server::start();
    let mut client = Client::connect(&server.address);
    for kind in
        ["application/json; charset=utf-8", "application/json;charset=UTF-8", "Application/JSON ; charset=\"x\""]
    {
        let body = tag(kind.get(..30).unwrap_or(kind));
        let head = format!(
            "Authorization: Bearer {}\r\nContent-Type: {kind}\r\nContent-Length: {}\r\n",
            server.key,
            body.len()
        );
        assert_eq!(client.request("POST", "/jql", &head, &body).status, 200, "{kind}");
    }
}

// -- Requests that break HTTP -------------------------------------------------------------------

#[test]
fn two_content_lengths_are_refused() {
    assert_headers_refused("Content-Length: LENGTH\r\nContent-Length: 0\r\n");
}

#[test]
fn two_equal_content_lengths_are_refused() {
    assert_headers_refused("Content-Length: LENGTH\r\nContent-Length: LENGTH\r\n");
}

#[test]
fn a_list_of_content_lengths_is_refused() {
    assert_headers_refused("Content-Length: LENGTH, LENGTH\r\n");
}

#[test]
fn a_content_length_beside_chunked_is_refused() {
    assert_headers_refused("Content-Length: LENGTH\r\nTransfer-Encoding: chunked\r\n");
}

#[test]
fn a_content_length_with_a_plus_is_refused() {
    assert_headers_refused("Content-Length: +LENGTH\r\n");
}

#[test]
fn a_content_length_below_zero_is_refused() {
    assert_headers_refused("Content-Length: -1\r\n");
}

#[test]
fn a_content_length_that_is_no_number_is_refused() {
    assert_headers_refused("Content-Length: 0x10\r\n");
}

#[test]
fn an_empty_content_length_is_refused() {
    assert_headers_refused("Content-Length:\r\n");
}

#[test]
fn a_content_length_beyond_64_bits_is_too_large() {
    let server = Server::start();
    let head = format!("{}Content-Length: 99999999999999999999999999\r\n", usual(&server));
    assert_eq!(Client::connect(&server.address).request("POST", "/jql", &head, "").status, 413);
    assert_eq!(tags(&server), 0);
}

#[test]
fn a_transfer_encoding_other_than_chunked_is_refused() {
    for encoding in ["identity", "gzip, chunked", "xchunked", "chunked;q=1", ""] {
        assert_headers_refused(&format!("Transfer-Encoding: {encoding}\r\n"));
    }
}

#[test]
fn two_transfer_encodings_are_refused() {
    assert_headers_refused("Transfer-Encoding: identity\r\nTransfer-Encoding: chunked\r\n");
}

#[test]
fn a_folded_header_is_refused() {
    assert_headers_refused("X-Long: a\r\n b\r\n");
    assert_headers_refused("X-Long: a\r\n X-More: b\r\n");
    assert_headers_refused("X-Long: a\r\n Content-Length: LENGTH\r\n");
    assert_headers_refused("X-Long: a\r\n\tX-More: b\r\n");
}

#[test]
fn a_line_that_ends_in_a_bare_line_feed_is_refused() {
    assert_headers_refused("X-One: a\nContent-Length: 0\r\n");
    assert_headers_refused("X-One\nX-Two: a\r\n");
    assert_refused("POST /jql HTTP/1.1\nX-One: a", "");
}

#[test]
fn a_control_character_in_a_header_is_refused() {
    for character in ['\0', '\x01', '\r', '\x1b'] {
        assert_headers_refused(&format!("X-One: a{character}b\r\n"));
    }
}

#[test]
fn del_in_a_header_is_refused() {
    assert_headers_refused("X-One: a\x7fb\r\n");
}

#[test]
fn a_control_character_in_the_name_of_a_header_is_refused() {
    for character in ['\0', '\x01', '\x1b', '\x7f'] {
        assert_headers_refused(&format!("X-One{character}: ab\r\n"));
    }
}

#[test]
fn a_space_in_the_name_of_a_header_is_refused() {
    assert_headers_refused("Content-Length : LENGTH\r\n");
    assert_headers_refused("X One: a\r\n");
}

#[test]
fn white_space_before_the_name_of_a_header_is_refused() {
    assert_headers_refused("\x0bX-One: a\r\n");
}

#[test]
fn a_header_without_a_name_or_a_colon_is_refused() {
    assert_headers_refused(": a\r\n");
    assert_headers_refused("X-One\r\n");
}

#[test]
fn a_header_that_nobody_asked_for_may_hold_what_rfc_9110_lets_it() {
    let server = Server::start();
    let reply = Client::connect(&server.address).request("GET", "/healthz", "X-One: \u{e9}\r\n", "");
    assert_eq!(reply.status, 200);
    assert_headers_refused("X-\u{e9}: one\r\n");
}

#[test]
fn a_target_that_is_not_a_path_is_refused() {
    assert_refused("POST http://localhost/jql HTTP/1.1", "");
    assert_refused("POST jql HTTP/1.1", "");
    assert_refused("CONNECT localhost:80 HTTP/1.1", "");
}

#[test]
fn words_after_the_version_are_refused() {
    assert_refused("POST /jql HTTP/1.1 HTTP/1.1", "");
}

#[test]
fn an_upgrade_is_refused() {
    assert_headers_refused("Connection: upgrade\r\nUpgrade: websocket\r\n");
    assert_headers_refused("Connection: keep-alive, Upgrade\r\nUpgrade: h2c\r\n");
    assert_headers_refused("Connection: keep-alive\r\nConnection: upgrade\r\n");
}

#[test]
fn two_hosts_are_refused() {
    assert_headers_refused("Host: example.com\r\n");
}

#[test]
fn nothing_behind_two_content_lengths_is_carried_out() {
    assert_ends_the_connection("POST /jql HTTP/1.1", "Content-Length: 0\r\nContent-Length: LENGTH\r\n");
}

#[test]
fn nothing_behind_a_length_beside_chunked_is_carried_out() {
    assert_ends_the_connection("POST /jql HTTP/1.1", "Content-Length: LENGTH\r\nTransfer-Encoding: chunked\r\n");
}

#[test]
fn nothing_behind_an_unknown_length_is_carried_out() {
    for headers in [
        "Content-Length: +LENGTH0000000000000000000000\r\n",
        "Content-Length: 99999999999999999999999999\r\n",
        "Content-Length: LENGTH, LENGTH\r\n",
        "Content-Length:\r\n",
        "Transfer-Encoding: identity\r\nContent-Length: LENGTH\r\n",
        "Transfer-Encoding: gzip\r\n",
    ] {
        assert_ends_the_connection("POST /jql HTTP/1.1", headers);
    }
}

#[test]
fn nothing_behind_another_refusal_of_http_is_carried_out() {
    let headers = "Content-Length: 0\r\n";
    assert_ends_the_connection("POST http://localhost/jql HTTP/1.1", headers);
    assert_ends_the_connection("POST /jql HTTP/1.1", &format!("X-One: a\nb\r\n{headers}"));
    assert_ends_the_connection("POST /jql HTTP/1.1", &format!("Host: example.com\r\n{headers}"));
    assert_ends_the_connection("POST /jql HTTP/1.1", &format!("Connection: a\r\nConnection: upgrade\r\n{headers}"));
}

#[test]
fn a_chunk_size_that_is_no_plain_hexadecimal_number_is_refused() {
    let server = Server::start();
    let head = usual(&server);
    let body = tag("chunked");
    let size = body.len();
    for size in [format!("+{size:x}"), format!("-{size:x}"), format!("0x{size:x}"), format!(" {size:x}"), String::new()]
    {
        let bytes = format!(
            "POST /jql HTTP/1.1\r\nHost: localhost\r\n{head}Transfer-Encoding: chunked\r\n\r\n{size}\r\n{body}\r\n0\r\n\r\n{}",
            making_a_tag(&server, "smuggled")
        );
        let statuses = answers(&server, &bytes);
        assert!(matches!(statuses.first(), None | Some(400)), "{size:?}: {statuses:?}");
        assert_eq!(tags(&server), 0, "{size:?}: {statuses:?}");
    }
}

#[test]
fn a_huge_chunk_size_is_refused() {
    let server = Server::start();
    let head = usual(&server);
    for size in ["ffffffffffffffff", "7fffffffffffffff", "100000000"] {
        let mut client = Client::connect(&server.address);
        let inside = making_a_tag(&server, "inside");
        client.send(
            format!(
                "POST /jql HTTP/1.1\r\nHost: localhost\r\n{head}Transfer-Encoding: chunked\r\n\r\n{size}\r\n{inside}"
            )
            .as_bytes(),
        );
        client.stream().shutdown(Shutdown::Write).unwrap();
        let reply = client.try_reply("POST");
        let refused = reply.as_ref().is_none_or(|reply| matches!(reply.status, 400 | 413));
        assert!(refused, "{size}: {reply:?}");
    }
    assert_eq!(tags(&server), 0);
}

#[test]
fn nothing_behind_a_malformed_chunk_is_carried_out() {
    let server = Server::start();
    let head = usual(&server);
    for chunk in ["fffffffffffffffff\r\n", "zz\r\n", "\r\n", "1\r\nab\r\n"] {
        let hidden = making_a_tag(&server, "smuggled");
        let head = format!("POST /jql HTTP/1.1\r\nHost: localhost\r\n{head}Transfer-Encoding: chunked\r\n\r\n");
        let statuses = answers(&server, &format!("{head}{chunk}{hidden}"));
        assert!(matches!(statuses.first(), None | Some(400)), "{chunk:?}: {statuses:?}");
        assert_eq!(tags(&server), 0, "{chunk:?}: {statuses:?}");
    }
}

#[test]
fn a_huge_content_length_does_not_end_the_server() {
    let mut server = Server::start();
    let head = usual(&server);
    for length in ["9999999999", "99999999999999", "9223372036854775807", "18446744073709551615"] {
        let mut client = Client::connect(&server.address);
        client.send(
            format!("POST /jql HTTP/1.1\r\nHost: localhost\r\n{head}Content-Length: {length}\r\n\r\n").as_bytes(),
        );
        let reply = client.try_reply("POST");
        client.stream().shutdown(Shutdown::Both).unwrap();
        assert_eq!(reply.map(|reply| reply.status), Some(413), "{length}");
        std::thread::sleep(Duration::from_millis(200));
        assert!(server.is_running(), "{length}: {}", server.stderr());
        assert_eq!(tags(&server), 0);
    }
}

#[test]
fn a_header_without_end_is_refused() {
    let server = Server::start();
    let mut client = Client::connect(&server.address);
    client.patience(Duration::from_secs(5));
    client.send(b"GET /healthz HTTP/1.1\r\nX-Long: ");
    for _ in 0..256 {
        client.send(&[b'a'; 65_536]); // 16 MiB in all
    }
    client.send(b"\r\n\r\n");
    assert!(client.try_reply("GET").is_none_or(|reply| matches!(reply.status, 400 | 431)));
    assert_eq!(tags(&server), 0);
}

#[test]
fn headers_without_end_are_refused() {
    let server = Server::start();
    let mut client = Client::connect(&server.address);
    client.patience(Duration::from_secs(5));
    client.send(b"GET /healthz HTTP/1.1\r\n");
    for _ in 0..1000 {
        client.send("X-One: a\r\n".repeat(100).as_bytes());
    }
    client.send(b"\r\n");
    assert!(client.try_reply("GET").is_none_or(|reply| matches!(reply.status, 400 | 431)));
    assert_eq!(tags(&server), 0);
}

#[test]
fn what_is_not_http_is_refused_and_the_server_goes_on() {
    let server = Server::start();
    let binary: String = (0..4000u32).map(|number| char::from((number * 7919 % 128) as u8)).collect();
    let garbage = ["\r\n\r\n", "GET\r\n\r\n", "GET / HTTP/3.1\r\n\r\n", "\x16\x03\x01\x02\0\x01\0\x01\r\n", &binary];
    for bytes in garbage {
        let mut client = Client::connect(&server.address);
        client.send(bytes.as_bytes());
        client.stream().shutdown(Shutdown::Write).unwrap();
        assert!(client.try_reply("GET").is_none_or(|reply| reply.status == 400), "{bytes:?}");
        assert_eq!(tags(&server), 0);
    }
    assert_eq!(server.stderr(), "");
}

#[test]
fn a_refusal_of_the_request_line_comes_in_the_envelope() {
    let server = Server::start();
    for bytes in ["GET\r\n\r\n", "GET /healthz HTTP/9.9\r\n\r\n", "GET /healthz HTTP/1.1\r\nX One: a\r\n\r\n"] {
        let mut client = Client::connect(&server.address);
        client.send(bytes.as_bytes());
        let reply = client.reply("GET");
        assert_eq!((reply.status, reply.header("content-type")), (400, Some("application/json; charset=utf-8")));
        assert_eq!(reply.json()["status"], "ERROR");
    }
}

#[test]
fn a_version_of_http_that_is_not_served_is_refused() {
    let server = Server::start();
    let mut client = Client::connect(&server.address);
    client.patience(Duration::from_secs(5));
    client.send(b"GET /healthz HTTP/2.0\r\nHost: localhost\r\n\r\n");
    assert_eq!(client.try_reply("GET").map(|reply| reply.status), Some(400));
    assert_eq!(tags(&server), 0);
}

// -- Origins ------------------------------------------------------------------------------------

fn with_origin(server: &Server, origin: &str) -> Reply {
    let body = tag(&format!("from {origin}"));
    let origin = format!("Origin: {origin}\r\n");
    let head = format!("{}{origin}Content-Length: {}\r\n", usual(server), body.len());
    let mut client = Client::connect(&server.address);
    client.send(format!("POST /jql HTTP/1.1\r\nHost: {}\r\n{head}\r\n{body}", server.address).as_bytes());
    client.reply("POST")
}

#[test]
fn a_page_of_another_origin_is_refused() {
    let server = Server::start();
    let other_port = "http://127.0.0.1:1";
    let other_scheme = format!("https://{}", server.address);
    let longer = format!("http://{}.example.com", server.address);
    for origin in ["http://example.com", "null", "", other_port, &other_scheme, &longer] {
        let reply = with_origin(&server, origin);
        assert_eq!(reply.status, 403, "{origin}");
        assert_eq!(reply.json()["errors"][0]["code"], "JQL:AuthorizationException");
        assert_eq!(reply.header("access-control-allow-origin"), None);
    }
    assert_eq!(tags(&server), 0);
}

#[test]
fn a_page_of_the_own_origin_is_served() {
    let server = Server::start();
    assert_eq!(with_origin(&server, &format!("http://{}", server.address)).status, 200);
}

#[test]
fn two_origins_are_refused() {
    let server = Server::start();
    let own = format!("http://{}", server.address);
    assert_eq!(with_origin(&server, &format!("{own}\r\nOrigin: {own}")).status, 403);
}

#[test]
fn a_page_of_a_named_origin_is_served() {
    let server = Server::with(MODELS, &["--cors-origin", "https://app.example.com", "--cors-origin", "http://b:1"]);
    for origin in ["https://app.example.com", "http://b:1"] {
        let reply = with_origin(&server, origin);
        assert_eq!(reply.status, 200);
        assert_eq!(reply.header("access-control-allow-origin"), Some(origin));
        assert_eq!(reply.header("vary"), Some("Origin"));
    }
    assert_eq!(with_origin(&server, "https://app.example.com:444").status, 403);
}

#[test]
fn a_preflight_of_a_named_origin_is_answered() {
    let server = Server::with(MODELS, &["--cors-origin", "https://app.example.com"]);
    let mut client = Client::connect(&server.address);
    let wish = "Access-Control-Request-Method: POST\r\nAccess-Control-Request-Headers: authorization\r\n";
    let reply = client.request("OPTIONS", "/jql", &format!("Origin: https://app.example.com\r\n{wish}"), "");
    assert_eq!(reply.status, 200);
    assert_eq!(reply.header("access-control-allow-origin"), Some("https://app.example.com"));
    assert_eq!(reply.header("access-control-allow-methods"), Some("POST"));
    assert!(reply.header("access-control-allow-headers").unwrap().contains("Authorization"));
}

#[test]
fn a_preflight_may_ask_for_idempotency_keys() {
    let server = Server::with(MODELS, &["--cors-origin", "https://app.example.com"]);
    let reply = Client::connect(&server.address).request("OPTIONS", "/jql", "Origin: https://app.example.com\r\n", "");
    assert!(reply.header("access-control-allow-headers").unwrap().contains("Idempotency-Key"));
}

#[test]
fn a_preflight_of_a_foreign_origin_is_refused() {
    let server = Server::with(MODELS, &["--cors-origin", "https://app.example.com"]);
    let reply = Client::connect(&server.address).request("OPTIONS", "/jql", "Origin: https://example.com\r\n", "");
    assert_eq!((reply.status, reply.header("access-control-allow-origin")), (405, None));
}

// -- Paths --------------------------------------------------------------------------------------

#[test]
fn one_more_path_takes_jql() {
    let server = Server::with(MODELS, &["--jql-path", "/api/v1/jql"]);
    let mut client = Client::connect(&server.address);
    for (number, path) in ["/api/v1/jql", "/jql", "/jql?page=1"].into_iter().enumerate() {
        let body = tag(&format!("tag {number}"));
        let head = format!("{}Content-Length: {}\r\n", usual(&server), body.len());
        assert_eq!(client.request("POST", path, &head, &body).status, 200, "{path}");
    }
    assert_eq!(tags(&server), 3);
}

#[test]
fn health_and_readiness_are_told_without_a_key() {
    let server = Server::start();
    let mut client = Client::connect(&server.address);
    for path in ["/healthz", "/readyz"] {
        let reply = client.request("GET", path, "", "");
        assert_eq!((reply.status, &reply.json()["status"]), (200, &json!("OK")));
    }
}

#[test]
fn other_paths_are_404_in_the_envelope() {
    let server = Server::start();
    let mut client = Client::connect(&server.address);
    for path in ["/jql/", "/JQL", "/jql/x", "//jql", "/%6aql", "/healthz/", "/../jql", "/favicon.ico"] {
        for method in ["GET", "POST", "DELETE"] {
            let reply = client.request(method, path, "", "");
            assert_eq!(reply.status, 404, "{method} {path}");
            assert_eq!(reply.json()["errors"][0]["code"], "JQL:NotFoundException");
        }
    }
}

#[test]
fn other_methods_are_405_in_the_envelope_and_name_the_right_one() {
    let server = Server::start();
    let mut client = Client::connect(&server.address);
    let cases = [("/jql", "POST", ["GET", "PUT", "DELETE"]), ("/healthz", "GET, HEAD", ["POST", "PUT", "OPTIONS"])];
    for (path, allow, methods) in cases {
        for method in methods {
            let reply = client.request(method, path, "", "");
            assert_eq!((reply.status, reply.header("allow")), (405, Some(allow)), "{method} {path}");
            let json = reply.json();
            assert_eq!((&json["status"], &json["data"]), (&json!("ERROR"), &Value::Null));
            assert_eq!(json["errors"][0]["code"], "JQL:RequestException");
        }
    }
}

#[test]
fn a_method_in_small_letters_is_another_method() {
    let server = Server::start();
    let body = tag("small");
    let head = format!("{}Content-Length: {}\r\n", usual(&server), body.len());
    assert_eq!(Client::connect(&server.address).request("post", "/jql", &head, &body).status, 405);
    assert_eq!(tags(&server), 0);
}

#[test]
fn a_sane_request_id_is_given_back_and_another_is_replaced() {
    let server = Server::start();
    let mut client = Client::connect(&server.address);
    let mut given =
        |header: String| client.request("GET", "/healthz", &header, "").header("x-request-id").unwrap().to_owned();
    assert_eq!(given("X-Request-Id: Trace-1.2:3_4\r\n".into()), "Trace-1.2:3_4");
    let long = "a".repeat(129);
    for bad in ["a b", "<script>", "", &long, "a\r\nX-Request-Id: b"] {
        let id = given(format!("X-Request-Id: {bad}\r\n"));
        assert!(!id.is_empty() && id != bad && id != "a" && id != "b", "{id}");
    }
    assert_ne!(given(String::new()), given(String::new()));
}

#[test]
fn a_key_in_the_url_is_refused() {
    let server = Server::start();
    let body = tag("leaky");
    let head = format!("{}Content-Length: {}\r\n", usual(&server), body.len());
    let reply = Client::connect(&server.address).request("POST", &format!("/jql?key={}", server.key), &head, &body);
    assert_eq!(reply.status, 400);
    assert!(!reply.body.contains(&server.key));
    assert_eq!(tags(&server), 0);
}

#[test]
fn clients_that_never_cease_do_not_keep_others_waiting() {
    let server = Server::with(MODELS, &["--idle-timeout", "3s"]);
    let (done, address) = (AtomicBool::new(false), server.address.as_str());
    let one = "GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n".repeat(50);
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                let mut stream = Client::connect(address);
                let mut reading = stream.stream().try_clone().unwrap();
                let drain = std::thread::spawn(move || std::io::copy(&mut reading, &mut std::io::sink()));
                while !done.load(Ordering::SeqCst) {
                    stream.send(one.as_bytes());
                }
                let _ = stream.stream().shutdown(Shutdown::Both);
                let _ = drain.join().unwrap(); // what was on its way may be lost now
            });
        }
        // They end only once others were served, on connections of their own and on one that is kept.
        let mut kept = Client::connect(address);
        for _ in 0..10 {
            assert_eq!(Client::connect(address).request("GET", "/healthz", "", "").status, 200);
            assert_eq!(kept.request("GET", "/healthz", "", "").status, 200);
        }
        done.store(true, Ordering::SeqCst);
    });
}
