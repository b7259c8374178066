//! What goes wrong around the server: the disk, the file, other processes, threads and descriptors, the clock. It says what is
//! wrong, loses nothing that it answered, and goes on by itself once it can.

mod clock;
mod damage;
mod full;
mod moved;
mod others;
mod readonly;
mod refused;
mod starved;

use crate::ledger;
use crate::report::counted;
use crate::support::{BINARY, Client, Folder, Reply, Server, run};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::process::Command;

fn create(code: &str) -> Value {
    json!({"__meta__": {"intent": "create", "namespace": "crash.Item"}, "code": code})
}

/// A database with records on many pages; `text` has SQLite print that of the record of a number.
fn with_items(text: &str) -> Folder {
    let folder = Folder::new();
    let models = folder.file("models.json", ledger::MODELS);
    run(&folder, &["models", "apply", models.to_str().unwrap()]);
    let fill = r#"WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 500)
                  INSERT INTO "crash.Item" ("code", "text") SELECT i, printf(?1, i) FROM n"#;
    rusqlite::Connection::open(folder.database()).unwrap().execute(fill, [text]).unwrap();
    folder
}

fn counting() -> Value {
    json!({"__meta__": {"intent": "count", "namespace": "crash.Item"}})
}

/// The answer says that the server cannot now, why, and to come again; and nothing else of what went wrong.
#[track_caller]
fn assert_unavailable(reply: &Reply, why: &str) {
    assert_eq!((reply.status, reply.header("retry-after")), (503, Some("1")), "{}", reply.body);
    let json = reply.json();
    let error = json!([{"code": "JQL:UnavailableException", "errorMessage": why}]);
    assert_eq!((&json["errors"], &json["message"]), (&error, &json!(why)), "{}", reply.body);
}

/// Requests that [`assert_reads`] sends.
const READS: u64 = 2;

/// Reads are answered, and keys looked at.
#[track_caller]
fn assert_reads(server: &Server) {
    let mut client = Client::connect(&server.address);
    let count = counting().to_string();
    assert_eq!(client.jql(&server.key, &count).status, 200);
    assert_eq!(client.jql("jql_wrong", &count).status, 401);
}

/// Asks so often, many times at once.
fn ask(server: &Server, times: usize) {
    let body = counting().to_string();
    let head = format!("Authorization: Bearer {}\r\nContent-Type: application/json\r\n", server.key);
    let one = format!("POST /jql HTTP/1.1\r\nHost: localhost\r\n{head}Content-Length: {}\r\n\r\n{body}", body.len());
    const AT_ONCE: usize = 50;
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                let mut client = Client::connect(&server.address);
                for _ in 0..times / 4 / AT_ONCE {
                    client.send(one.repeat(AT_ONCE).as_bytes());
                    (0..AT_ONCE).for_each(|_| assert_eq!(client.reply("POST").status, 200));
                }
            });
        }
    });
}

/// How many lines of the server's own log hold this.
fn told(server: &Server, what: &str) -> usize {
    server.stderr().lines().filter(|line| line.contains(what)).count()
}

const REFUSED: &str = "writes to the database fail";
const AGAIN: &str = "writes to the database succeed again";

/// Tells that a fault was survived.
fn survived(fault: &str) {
    counted("fault", fault, "survived");
}

/// The status of `/readyz`.
fn ready(server: &Server) -> u16 {
    Client::connect(&server.address).request("GET", "/readyz", "", "").status
}

/// What lies at a path and beside it, byte for byte.
fn bytes(path: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let beside = |end: &str| PathBuf::from(format!("{}{end}", path.display()));
    let files = ["", "-wal", "-journal"].map(beside).into_iter();
    files.filter_map(|path| std::fs::read(&path).ok().map(|bytes| (path, bytes))).collect()
}

/// What a command says that must fail, and not go on for ever.
#[track_caller]
fn refused(folder: &Folder, words: &[&str]) -> String {
    let mut command = Command::new("timeout");
    command.args(["20", BINARY]).args(words).env("JQLITE_DB", folder.database());
    let output = command.output().unwrap();
    assert_eq!(output.status.code(), Some(1), "{words:?}: {output:?}");
    String::from_utf8(output.stderr).unwrap()
}

/// Each of these commands fails, says this, and leaves the file and what is beside it as they are.
#[track_caller]
fn assert_refused(folder: &Folder, commands: &[&[&str]], why: &str) {
    let before = bytes(folder.database());
    for words in commands {
        let said = refused(folder, words);
        assert!(said.contains(why) && said.lines().count() == 1, "{words:?}: {said}");
        assert!(said.contains(&*folder.database().to_string_lossy()), "it names the file: {said}");
        assert!(bytes(folder.database()) == before, "{words:?} changed the file");
    }
}

const SERVE: &[&str] = &["serve", "--listen", "127.0.0.1:0"];
const CREATE: &[&str] = &["keys", "create", "--name", "one more", "--allow", "crash.*:read"];
/// Commands that serve, write, and only read.
const COMMANDS: &[&[&str]] = &[SERVE, CREATE, &["keys", "list"], &["logs"], &["check"]];
