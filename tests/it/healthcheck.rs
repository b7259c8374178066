//! Whether a server is ready, as a container or a unit asks.

use crate::support::{Folder, Server, fails, jqlite, run};
use serde_json::{Value, json};
use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::time::{Duration, Instant};

/// Something that listens, and does this with each that comes.
fn stand_in(mut answer: impl FnMut(TcpStream) + Send + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || listener.incoming().for_each(|stream| answer(stream.unwrap())));
    url
}

/// Reads a request and answers it with these bytes.
fn reply(mut stream: TcpStream, bytes: &str) {
    let _ = stream.read(&mut [0; 1024]);
    let _ = stream.write_all(bytes.as_bytes());
    let _ = stream.shutdown(Shutdown::Write);
}

#[test]
fn a_server_that_is_ready_is_said_to_be_without_a_key_or_a_database() {
    let (server, elsewhere) = (Server::start(), Folder::new());
    let url = format!("http://{}", server.address);
    assert_eq!(run(&elsewhere, &["healthcheck", "--url", &url]), format!("{url} is ready"));
    let told: Value = serde_json::from_str(&run(&elsewhere, &["healthcheck", "--url", &url, "--json"])).unwrap();
    assert_eq!(told, json!({"url": url, "ready": true}));
    assert!(!elsewhere.path("test.db").exists());
}

#[test]
fn a_server_that_has_stopped_is_not_ready() {
    let server = Server::start();
    let url = format!("http://{}", server.address);
    let (_, folder) = server.stop();
    let told = fails(&folder, &["healthcheck", "--url", &url], 1);
    assert!(told.starts_with(&format!("jqlite: {url} is not ready: Connection refused")), "{told}");
    assert_eq!(told.lines().count(), 1);
}

#[test]
fn whatever_else_answers_there_is_not_ready() {
    let folder = Folder::new();
    for (answer, told) in [
        ("HTTP/1.1 503 Service Unavailable\r\n\r\n", "it answers \"HTTP/1.1 503\""),
        ("HTTP/1.1 2000\r\n\r\n", "it answers \"HTTP/1.1 2000\""),
        ("SSH-2.0-\u{1b}[31m", "it answers \"SSH-2.0-"),
        ("", "it answers \"\""),
    ] {
        let url = stand_in(move |stream| reply(stream, answer));
        let why = fails(&folder, &["healthcheck", "--url", &url], 1);
        assert!(why.contains(told) && !why.contains('\u{1b}'), "{why}");
    }
}

#[test]
fn whoever_answers_a_byte_at_a_time_does_not_keep_it_waiting() {
    let url = stand_in(|mut stream| {
        for byte in "HTTP/1.1 200 OK\r\n".bytes() {
            let _ = stream.write_all(&[byte]);
            std::thread::sleep(Duration::from_secs(1));
        }
    });
    let began = Instant::now();
    let why = fails(&Folder::new(), &["healthcheck", "--url", &url], 1);
    assert!(why.contains("is not ready: no answer within 3 s"), "{why}");
    assert!(began.elapsed() < Duration::from_secs(10));
}

#[test]
fn a_server_that_comes_up_is_waited_for() {
    let mut asked = 0;
    let url = stand_in(move |stream| {
        asked += 1;
        reply(stream, if asked < 3 { "HTTP/1.1 503 \r\n\r\n" } else { "HTTP/1.1 200 OK\r\n\r\n" });
    });
    assert_eq!(run(&Folder::new(), &["healthcheck", "--url", &url, "--wait", "60s"]), format!("{url} is ready"));
}

#[test]
fn what_is_no_server_s_url_is_a_mistake_of_the_command_line() {
    for url in ["https://127.0.0.1:5750", "127.0.0.1:5750", "http://127.0.0.1:5750/readyz"] {
        let output = jqlite(&Folder::new(), &["healthcheck", "--url", url]).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{url}");
    }
}
