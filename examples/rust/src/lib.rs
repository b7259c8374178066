//! A jqlite server for `#[test]`s, in one file to copy; beside the standard library it needs `serde_json`.
//!
//! ```ignore
//! let jqlite = jqlite(&["--models", "models.json"]);
//! let tag = jqlite.query("create", "tickets.Tag", json!({}), json!({"name": "urgent"}));
//! ```
//!
//! Each test that runs has a server to itself, in the state of its seed; when it ends the next takes it over. The command
//! is `jqlite`, or what JQLITE names.

use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// Servers that no test uses just now, each with the words that it was started with. They end with this process.
static IDLE: Mutex<Vec<(Vec<String>, Server)>> = Mutex::new(Vec::new());

/// A server as it was at its start; `words` go behind `jqlite serve`.
pub fn jqlite(words: &[&str]) -> Jqlite {
    let words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
    let mut idle = IDLE.lock().unwrap_or_else(PoisonError::into_inner);
    let known = idle.iter().position(|(started_with, _)| *started_with == words).map(|place| idle.swap_remove(place).1);
    drop(idle);
    let mut server = known.unwrap_or_else(|| Server::start(&words));
    server.query(&server.key.clone(), "reset", "system.Fixture", &json!({"schema": "controller"}), &json!({})).unwrap();
    Jqlite { words, key: server.key.clone(), server: Mutex::new(Some(server)) }
}

/// A server, for as long as one test has it.
pub struct Jqlite {
    words: Vec<String>,
    /// The key that may do everything.
    pub key: String,
    server: Mutex<Option<Server>>,
}

/// A request that was not carried out: the status, and the envelope.
#[derive(Debug)]
pub struct Refused {
    pub status: u16,
    pub envelope: Value,
}

impl Jqlite {
    /// The `data` of a request that must succeed. `meta` stands in `__meta__`, `beside` next to it.
    #[track_caller]
    pub fn query(&self, intent: &str, namespace: &str, meta: Value, beside: Value) -> Value {
        self.query_as(&self.key, intent, namespace, meta, beside).unwrap_or_else(|refused| panic!("{refused:?}"))
    }

    /// As [`Self::query`], with another key and for a request that may be refused.
    pub fn query_as(
        &self,
        key: &str,
        intent: &str,
        namespace: &str,
        meta: Value,
        beside: Value,
    ) -> Result<Value, Refused> {
        let mut server = self.server.lock().unwrap_or_else(PoisonError::into_inner);
        server.as_mut().expect("it is there until the test ends").query(key, intent, namespace, &meta, &beside)
    }

    /// `reset`, `snapshot`, `restore` or `clock`: `fixture("clock", json!({"advance": "90d"}))`.
    #[track_caller]
    pub fn fixture(&self, intent: &str, arguments: Value) -> Value {
        self.query(intent, "system.Fixture", json!({"schema": "controller"}), arguments)
    }
}

impl Drop for Jqlite {
    fn drop(&mut self) {
        let server = self.server.get_mut().unwrap_or_else(PoisonError::into_inner).take();
        let mut idle = IDLE.lock().unwrap_or_else(PoisonError::into_inner);
        idle.extend(server.map(|server| (std::mem::take(&mut self.words), server)));
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill(); // it has nothing to save
        let _ = self.process.wait();
    }
}

/// A process, and a connection to it.
struct Server {
    process: Child,
    key: String,
    stream: BufReader<TcpStream>,
}

impl Server {
    fn start(words: &[String]) -> Server {
        let command = std::env::var("JQLITE").unwrap_or_else(|_| "jqlite".to_owned());
        let fixed = ["serve", "--ephemeral", "--with-parent", "--json", "--listen", "127.0.0.1:0"];
        let started = Command::new(&command).args(fixed).args(words).stdout(Stdio::piped()).spawn();
        let mut process = started.unwrap_or_else(|error| panic!("{command}: {error}"));
        let mut line = String::new();
        // It comes once requests are accepted.
        BufReader::new(process.stdout.take().expect("it is piped")).read_line(&mut line).expect("a line of text");
        let ready: Value = serde_json::from_str(&line).expect("jqlite did not start; it said why on standard error");
        let text = |name: &str| ready[name].as_str().expect("a text").to_owned();
        let stream = TcpStream::connect(text("url").trim_start_matches("http://")).expect("it listens");
        stream.set_nodelay(true).expect("a connection");
        stream.set_read_timeout(Some(Duration::from_secs(30))).expect("a connection");
        Server { process, key: text("key"), stream: BufReader::new(stream) }
    }

    fn query(
        &mut self,
        key: &str,
        intent: &str,
        namespace: &str,
        meta: &Value,
        beside: &Value,
    ) -> Result<Value, Refused> {
        let members = |value: &Value| value.as_object().cloned().expect("an object");
        let mut all = json!({"intent": intent, "namespace": namespace});
        all.as_object_mut().expect("an object").extend(members(meta));
        let mut request = json!({"__meta__": all});
        request.as_object_mut().expect("an object").extend(members(beside));
        let body = request.to_string();
        let head = format!(
            "POST /jql HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {key}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        self.stream.get_mut().write_all((head + &body).as_bytes()).expect("jqlite is gone");
        let (status, mut envelope) = self.answer();
        if status == 200 { Ok(envelope["data"].take()) } else { Err(Refused { status, envelope }) }
    }

    fn answer(&mut self) -> (u16, Value) {
        let (mut status, mut length) = (0, 0);
        for number in 0.. {
            let mut line = String::new();
            self.stream.read_line(&mut line).expect("an answer");
            match line.trim_end().split_once([' ', ':']) {
                Some((_, rest)) if number == 0 => status = rest[..3].parse().expect("a status"),
                Some((name, value)) if name.eq_ignore_ascii_case("content-length") => {
                    length = value.trim().parse().expect("a length");
                }
                Some(_) => {}
                None => break,
            }
        }
        let mut body = vec![0; length];
        self.stream.read_exact(&mut body).expect("an answer");
        (status, serde_json::from_slice(&body).expect("an envelope"))
    }
}
