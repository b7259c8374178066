//! The machinery of the tests: temporary folders, the binary, a server, a client, and comparing replies.

#![allow(dead_code)] // each subject uses a part of it

pub mod hostile;
pub mod markdown;
pub mod tour;

use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::{Duration, Instant};

/// Tells that something cannot be tried on this machine; where nothing may be left out (`JQLITE_NO_SKIP`), that fails.
#[track_caller]
pub fn skip(what: &str, why: &str) {
    assert!(std::env::var_os("JQLITE_NO_SKIP").is_none(), "{what} was not tried: {why}");
    println!("skipped: {what}: {why}");
}

/// A folder that is gone when the test is over.
pub struct Folder {
    path: PathBuf,
    /// Where its database is.
    database: PathBuf,
}

impl Folder {
    pub fn new() -> Folder {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!("jqlite-test-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&path).unwrap();
        Folder { database: path.join("test.db"), path }
    }

    /// As it is, with its database elsewhere.
    pub fn with_database(mut self, path: PathBuf) -> Folder {
        self.database = path;
        self
    }

    pub fn database(&self) -> &Path {
        &self.database
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// Writes a file and gives its path.
    pub fn file(&self, name: &str, text: &str) -> PathBuf {
        std::fs::write(self.path(name), text).unwrap();
        self.path(name)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.path);
    }
}

/// The binary.
pub const BINARY: &str = env!("CARGO_BIN_EXE_jqlite");

/// The binary with these words, on the database of the folder.
pub fn jqlite(folder: &Folder, words: &[&str]) -> Command {
    let mut command = Command::new(BINARY);
    command.env("JQLITE_DB", folder.database()).args(words);
    command
}

/// Runs a command that must succeed and gives its standard output, without the last line end.
#[track_caller]
pub fn run(folder: &Folder, words: &[&str]) -> String {
    let output = jqlite(folder, words).output().unwrap();
    assert!(output.status.success(), "jqlite {words:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().trim_end().to_owned()
}

/// Runs a command that must fail with this exit code and gives its standard error.
#[track_caller]
pub fn fails(folder: &Folder, words: &[&str], code: i32) -> String {
    let output: Output = jqlite(folder, words).output().unwrap();
    assert_eq!(output.status.code(), Some(code), "jqlite {words:?}: {output:?}");
    String::from_utf8(output.stderr).unwrap()
}

/// All records of a model, as a dump has them.
#[track_caller]
pub fn records(folder: &Folder, model: &str) -> Vec<Value> {
    let text = run(folder, &["data", "dump", "--model", model]);
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// The usage log of a folder's database, the oldest entry first; `words` narrow it.
#[track_caller]
pub fn logs(folder: &Folder, words: &[&str]) -> Vec<Value> {
    let mut all = vec!["logs", "--json", "--last", "100000"];
    all.extend(words);
    run(folder, &all).lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// A request: this intent and namespace, what else is in `__meta__`, and what stands beside it.
#[track_caller]
pub fn request(intent: &str, namespace: &str, meta: &Value, beside: &Value) -> Value {
    let mut all = json!({"intent": intent, "namespace": namespace});
    all.as_object_mut().unwrap().extend(meta.as_object().unwrap().clone());
    let mut request = json!({"__meta__": all});
    request.as_object_mut().unwrap().extend(beside.as_object().unwrap().clone());
    request
}

/// A request to `system.Fixture`.
pub fn act(intent: &str, arguments: &Value) -> Value {
    request(intent, "system.Fixture", &json!({"schema": "controller"}), arguments)
}

/// The published models: `tickets.Category`, `tickets.Tag`, `tickets.Ticket`, `profile.Customer`, `fleet.Vehicle`.
pub const MODELS: &str = include_str!("../../../examples/models.json");

/// The words that serve on a free port, told as JSON.
const SERVE: [&str; 4] = ["serve", "--listen", "127.0.0.1:0", "--json"];

/// The number of rows in the usage log of a folder's database.
#[track_caller]
pub fn log_rows(folder: &Folder) -> usize {
    run(folder, &["logs", "--json", "--last", "10000000"]).lines().count()
}

/// A key of the folder's database that may do everything.
#[track_caller]
pub fn key_to_all(folder: &Folder) -> String {
    run(folder, &["keys", "create", "--name", "all", "--allow", "*.*:*,system.*:*"])
}

/// A running server on a database of its own.
pub struct Server {
    pub folder: Folder,
    /// `127.0.0.1:port`
    pub address: String,
    /// A key that may do everything.
    pub key: String,
    child: Child,
}

impl Server {
    /// A server with the published models and no records.
    pub fn start() -> Server {
        Server::with(MODELS, &[])
    }

    /// A server with these models and these words behind `serve`.
    pub fn with(models: &str, words: &[&str]) -> Server {
        let folder = Folder::new();
        let file = folder.file("models.json", models);
        run(&folder, &["models", "apply", file.to_str().unwrap()]);
        Server::on(folder, words)
    }

    /// A server on the database of a folder, which gets another key that may do everything.
    pub fn on(folder: Folder, words: &[&str]) -> Server {
        let key = key_to_all(&folder);
        Server::again(folder, key, words)
    }

    /// A server on the database of a folder, with a key that is there already.
    pub fn again(folder: Folder, key: String, words: &[&str]) -> Server {
        let mut command = jqlite(&folder, &[]);
        command.args(SERVE).args(words);
        Server::launch(folder, key, command)
    }

    /// As [`Server::again`], started by a command that runs what its words end with.
    pub fn through(mut command: Command, folder: Folder, key: String, words: &[&str]) -> Server {
        command.arg(BINARY).args(SERVE).args(words).env("JQLITE_DB", folder.database());
        Server::launch(folder, key, command)
    }

    /// A server with these models on a database in memory, which commands cannot reach.
    pub fn in_memory(models: &str, words: &[&str]) -> Server {
        let folder = Folder::new();
        let file = folder.file("models.json", models);
        let mut command = jqlite(&folder, &["quickstart", "--db", ":memory:", "--models", file.to_str().unwrap()]);
        command.args(&SERVE[1..]).args(words);
        Server::launch(folder, String::new(), command)
    }

    /// A server for tests, with these models and a key that may do everything.
    pub fn ephemeral(models: &str, words: &[&str]) -> Server {
        let folder = Folder::new();
        let file = folder.file("models.json", models);
        let mut command = jqlite(&folder, &[]);
        command.args(SERVE).args(["--ephemeral", "--models", file.to_str().unwrap()]).args(words);
        Server::launch(folder, String::new(), command)
    }

    /// A server with the published models that may have no more than this many descriptors.
    pub fn limited(descriptors: u32, words: &[&str]) -> Server {
        let folder = Folder::new();
        let file = folder.file("models.json", MODELS);
        run(&folder, &["models", "apply", file.to_str().unwrap()]);
        let key = key_to_all(&folder);
        let mut command = Command::new("sh");
        command.args(["-c", &format!("ulimit -n {descriptors}; exec \"$0\" \"$@\"")]);
        Server::through(command, folder, key, words)
    }

    /// A server with the published models, on which `src/trial.rs` does what these words say.
    pub fn on_trial(trial: &str, words: &[&str]) -> Server {
        let folder = Folder::new();
        let file = folder.file("models.json", MODELS);
        run(&folder, &["models", "apply", file.to_str().unwrap()]);
        let key = run(&folder, &["keys", "create", "--name", "all", "--allow", "*.*:*,system.*:*"]);
        let mut command = jqlite(&folder, &[]);
        command.args(SERVE).args(words).env("JQLITE_TRIAL", trial);
        Server::launch(folder, key, command)
    }

    /// Runs a command that serves, and reads its ready line, which may tell the key.
    fn launch(folder: Folder, key: String, mut command: Command) -> Server {
        let log = std::fs::File::create(folder.path("stderr")).unwrap();
        let mut child = command.stdout(Stdio::piped()).stderr(log).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let ready: Value = serde_json::from_str(&line).unwrap_or_else(|_| panic!("not ready: {line:?}"));
        let address = ready["url"].as_str().unwrap().strip_prefix("http://").unwrap().to_owned();
        let key = ready["key"].as_str().map_or(key, str::to_owned);
        Server { folder, address, key, child }
    }

    /// The number of rows in the usage log.
    #[track_caller]
    pub fn log_rows(&self) -> usize {
        log_rows(&self.folder)
    }

    /// Whether the process is there.
    pub fn is_running(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    /// A key with these permissions.
    #[track_caller]
    pub fn key_for(&self, permissions: &str) -> String {
        let name = if permissions.is_empty() { "none" } else { permissions };
        run(&self.folder, &["keys", "create", "--name", name, "--allow", permissions])
    }

    /// Sends a JQL request with the key that may do everything.
    #[track_caller]
    pub fn send(&self, request: &Value) -> Reply {
        self.send_as(&self.key, request)
    }

    /// As [`Self::send`], with one more header and its line end.
    #[track_caller]
    pub fn send_with(&self, header: &str, request: &Value) -> Reply {
        let (key, body) = (&self.key, request.to_string());
        let head = format!(
            "Authorization: Bearer {key}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n{header}",
            body.len()
        );
        Client::connect(&self.address).request("POST", "/jql", &head, &body)
    }

    /// Has `system.Fixture` do what must succeed, and gives its `data`.
    #[track_caller]
    pub fn acted(&self, intent: &str, arguments: &Value) -> Value {
        self.data(&act(intent, arguments))
    }

    /// An act of `system.Fixture` that must be refused so.
    #[track_caller]
    pub fn assert_act_refused(&self, intent: &str, arguments: &Value, status: u16, mistake: &str) {
        let reply = self.send(&act(intent, arguments));
        assert_eq!((reply.status, reply.mistakes()), (status, vec![mistake.to_owned()]), "{intent} {arguments}");
    }

    /// What the clock shows after this was done to it.
    #[track_caller]
    pub fn clock(&self, arguments: &Value) -> String {
        self.acted("clock", arguments)["now"].as_str().unwrap().to_owned()
    }

    /// A new key with these values, made over HTTP.
    #[track_caller]
    pub fn make_key(&self, values: &Value) -> String {
        self.data(&request("create", "system.ApiKey", &json!({}), values))["key"].as_str().unwrap().to_owned()
    }

    #[track_caller]
    pub fn send_as(&self, key: &str, request: &Value) -> Reply {
        Client::connect(&self.address).jql(key, &request.to_string())
    }

    /// Sends a request that must succeed and gives its `data`.
    #[track_caller]
    pub fn data(&self, request: &Value) -> Value {
        let reply = self.send(request);
        assert_eq!(reply.status, 200, "{request}\n{}", reply.body);
        reply.json()["data"].clone()
    }

    /// Makes a record and gives its id.
    #[track_caller]
    pub fn create(&self, namespace: &str, values: &Value) -> Value {
        let mut request = json!({"__meta__": {"intent": "create", "namespace": namespace}});
        request.as_object_mut().unwrap().extend(values.as_object().unwrap().clone());
        self.data(&request)["id"].clone()
    }

    /// Everything in the database, row by row: the log aside, and of keys what they are and may.
    pub fn dump(&self) -> String {
        self.tables(|table| table != "system.UsageLog")
    }

    /// Every record of every model, row by row.
    pub fn records(&self) -> String {
        self.tables(|table| !table.starts_with("system.") && !table.starts_with("sqlite_"))
    }

    fn tables(&self, is_wanted: impl Fn(&str) -> bool) -> String {
        let tables = self.rows(r#"SELECT "name" FROM "sqlite_schema" WHERE "type" = 'table' ORDER BY "name""#);
        let mut out = String::new();
        for table in tables.lines().filter(|table| is_wanted(table)) {
            let columns =
                if table == "system.ApiKey" { r#""id", "name", "permissions", "expires", "revoked""# } else { "*" };
            out.push_str(&format!("{table}\n{}", self.rows(&format!(r#"SELECT {columns} FROM "{table}""#))));
        }
        out
    }

    /// What a statement gives on the database: a line for each row, `|` between its cells.
    #[track_caller]
    pub fn rows(&self, statement: &str) -> String {
        let connection = rusqlite::Connection::open(self.folder.database()).unwrap();
        let mut statement = connection.prepare(statement).unwrap();
        let width = statement.column_count();
        let row = |row: &rusqlite::Row<'_>| {
            let cell = |index| match row.get_ref(index).unwrap() {
                rusqlite::types::ValueRef::Text(text) => String::from_utf8_lossy(text).into_owned(),
                other => format!("{other:?}"),
            };
            Ok((0..width).map(cell).collect::<Vec<_>>().join("|"))
        };
        statement.query_map([], row).unwrap().map(|row| row.unwrap() + "\n").collect()
    }

    /// Changes the database behind the server's back.
    #[track_caller]
    pub fn change(&self, statements: &str) {
        rusqlite::Connection::open(self.folder.database()).unwrap().execute_batch(statements).unwrap();
    }

    /// Has tickets and tags refer to each other so often that a search along many of their links takes longer than
    /// anybody waits.
    #[track_caller]
    pub fn entangle(&self) {
        self.change(
            r#"WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 3000)
               INSERT INTO "tickets.Ticket" ("title", "created", "updated")
               SELECT i, '2026-01-31T09:30:00.000000Z', '2026-01-31T09:30:00.000000Z' FROM n;
               INSERT INTO "tickets.Tag" ("name") SELECT "title" FROM "tickets.Ticket" LIMIT 60;
               INSERT INTO "tickets.Ticket.tags" ("source", "target")
               SELECT t."id", g."id" FROM "tickets.Ticket" t, "tickets.Tag" g WHERE (t."id" + g."id") % 3 = 0"#,
        );
    }

    /// The usage log, the oldest entry first; `words` narrow it.
    #[track_caller]
    pub fn logs(&self, words: &[&str]) -> Vec<Value> {
        logs(&self.folder, words)
    }

    /// The ids of a page, in its order. `meta` stands in `__meta__` beside the intent and the namespace.
    #[track_caller]
    pub fn ids(&self, namespace: &str, meta: &Value) -> Value {
        let mut request = json!({"__meta__": {"intent": "retrieve", "namespace": namespace}, "id": null});
        request["__meta__"].as_object_mut().unwrap().extend(meta.as_object().unwrap().clone());
        self.data(&request).as_array().unwrap().iter().map(|record| record["id"].clone()).collect()
    }

    /// The record of an id, with these fields of it.
    #[track_caller]
    pub fn record(&self, namespace: &str, id: &Value, fields: &[&str]) -> Value {
        let mut request =
            json!({"__meta__": {"intent": "retrieveOne", "namespace": namespace, "uniqueObject": {"id": id}}});
        for field in fields {
            request[*field] = Value::Null;
        }
        self.data(&request)
    }

    /// Sends a request that must be refused with this status, and gives its errors as `pointer: message`.
    #[track_caller]
    pub fn refused(&self, status: u16, request: &Value) -> Vec<String> {
        let reply = self.send(request);
        assert_eq!(reply.status, status, "{request}\n{}", reply.body);
        reply.errors()
    }

    /// Holds the mistakes of a request that must be refused against these lines, each `pointer: message (hint)`, where
    /// all pointers begin with `at`.
    #[track_caller]
    pub fn assert_mistakes(&self, request: &Value, at: &str, expected: &str) {
        let reply = self.send(request);
        let expected = expected.lines().map(|line| format!("{at}{line}")).collect();
        assert_eq!((reply.status, reply.mistakes()), (400, expected), "{request}");
    }

    /// The number of records of a model.
    #[track_caller]
    pub fn count(&self, namespace: &str) -> u64 {
        self.data(&json!({"__meta__": {"intent": "count", "namespace": namespace}}))["count"].as_u64().unwrap()
    }

    /// What the server wrote to standard error so far.
    pub fn stderr(&self) -> String {
        std::fs::read_to_string(self.folder.path("stderr")).unwrap()
    }

    /// A number that the system tells of the process, such as `Threads`, or `VmRSS` in KiB; `None` where it tells none.
    pub fn process(&self, name: &str) -> Option<usize> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid())).ok()?;
        let told = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
        told.split_whitespace().next()?.parse().ok()
    }

    /// The descriptors that the process has open; `None` where the system does not tell.
    pub fn descriptors(&self) -> Option<usize> {
        Some(std::fs::read_dir(format!("/proc/{}/fd", self.pid())).ok()?.count())
    }

    /// Bytes that came to the server's connections and that it has not read; `None` where the system does not tell.
    pub fn unread(&self) -> Option<u64> {
        let port: u16 = self.address.rsplit(':').next()?.parse().ok()?;
        let table = std::fs::read_to_string("/proc/net/tcp").ok()?;
        let of_line = |line: &str| {
            let mut words = line.split_ascii_whitespace().skip(1);
            let is_ours = words.next()?.ends_with(&format!(":{port:04X}"));
            let (_, unread) = words.nth(2)?.split_once(':')?;
            u64::from_str_radix(unread, 16).ok().filter(|_| is_ours)
        };
        // What listens tells how many connections wait there.
        Some(table.lines().skip(1).filter_map(of_line).sum())
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Asks the server to stop and waits for it; its exit code, and its folder to start another on.
    pub fn stop(self) -> (Option<i32>, Folder) {
        self.stop_by("TERM")
    }

    /// Sends a signal and waits for the end; the exit code, and the folder.
    pub fn stop_by(mut self, name: &str) -> (Option<i32>, Folder) {
        signal(self.pid(), name);
        let code = self.child.wait().unwrap().code();
        (code, std::mem::replace(&mut self.folder, Folder::new()))
    }

    /// Kills the server where it stands; its folder to start another on.
    pub fn kill(mut self) -> Folder {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        std::mem::replace(&mut self.folder, Folder::new())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub fn signal(pid: u32, name: &str) {
    // The shell's own: not every machine has a program of that name.
    assert!(Command::new("sh").args(["-c", &format!("kill -{name} {pid}")]).status().unwrap().success());
}

/// An answer.
#[derive(Debug)]
pub struct Reply {
    pub status: u16,
    /// Names in small letters.
    pub headers: Vec<(String, String)>,
    pub body: String,
}

impl Reply {
    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.body))
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// The errors as `pointer: message`.
    #[track_caller]
    pub fn errors(&self) -> Vec<String> {
        let json = self.json();
        let errors = json["errors"].as_array().unwrap_or_else(|| panic!("no errors: {}", self.body));
        let shown = |error: &Value| {
            format!("{}: {}", error["pointer"].as_str().unwrap_or(""), error["errorMessage"].as_str().unwrap())
        };
        errors.iter().map(shown).collect()
    }

    /// The errors as `pointer: message (hint)`.
    #[track_caller]
    pub fn mistakes(&self) -> Vec<String> {
        let hints = self.json()["errors"].as_array().unwrap().clone();
        let hinted = |(error, json): (String, Value)| match json["hint"].as_str() {
            Some(hint) => format!("{error} ({hint})"),
            None => error,
        };
        self.errors().into_iter().zip(hints).map(hinted).collect()
    }
}

/// A client with one connection, which it keeps.
pub struct Client {
    stream: BufReader<TcpStream>,
}

impl Client {
    #[track_caller]
    pub fn connect(address: &str) -> Client {
        Client::over(TcpStream::connect(address).unwrap())
    }

    /// On a connection that is there.
    pub fn over(stream: TcpStream) -> Client {
        stream.set_nodelay(true).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        Client { stream: BufReader::new(stream) }
    }

    /// Waits for no answer longer than this.
    pub fn patience(&self, time: Duration) {
        self.stream.get_ref().set_read_timeout(Some(time)).unwrap();
    }

    /// The connection itself.
    pub fn stream(&self) -> &TcpStream {
        self.stream.get_ref()
    }

    /// Whether the server closes the connection before our patience ends.
    pub fn is_closed(&mut self) -> bool {
        let mut rest = Vec::new();
        match self.stream.read_to_end(&mut rest) {
            Ok(_) => true,
            Err(error) => error.kind() == std::io::ErrorKind::ConnectionReset,
        }
    }

    /// Sends a JQL request.
    #[track_caller]
    pub fn jql(&mut self, key: &str, body: &str) -> Reply {
        let head = format!(
            "Authorization: Bearer {key}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n",
            body.len()
        );
        self.request("POST", "/jql", &head, body)
    }

    /// Sends a request with these headers, each with its line end.
    #[track_caller]
    pub fn request(&mut self, method: &str, path: &str, headers: &str, body: &str) -> Reply {
        self.send(format!("{method} {path} HTTP/1.1\r\nHost: localhost\r\n{headers}\r\n{body}").as_bytes());
        self.reply(method)
    }

    /// Sends bytes as they are.
    pub fn send(&mut self, bytes: &[u8]) {
        let _ = self.stream.get_mut().write_all(bytes); // the server may have hung up already
    }

    /// Reads one answer.
    #[track_caller]
    pub fn reply(&mut self, method: &str) -> Reply {
        self.try_reply(method).expect("an answer")
    }

    /// Reads one answer; `None` where the connection ends first.
    pub fn try_reply(&mut self, method: &str) -> Option<Reply> {
        let mut line = String::new();
        self.stream.read_line(&mut line).ok().filter(|count| *count > 0)?;
        let status = line.split(' ').nth(1)?.parse().ok()?;
        let mut headers = Vec::new();
        loop {
            let mut line = String::new();
            self.stream.read_line(&mut line).ok().filter(|count| *count > 0)?;
            let Some((name, value)) = line.trim_end().split_once(':') else { break };
            headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
        }
        let length =
            headers.iter().find(|(name, _)| name == "content-length").map_or(0, |(_, value)| value.parse().unwrap());
        let mut body = vec![0; if method == "HEAD" || status == 304 { 0 } else { length }];
        self.stream.read_exact(&mut body).ok()?;
        Some(Reply { status, headers, body: String::from_utf8(body).unwrap() })
    }
}

/// Tells threads that go on until then to end, also where the test fails: it would wait for them for ever.
pub struct Ending<'f>(pub &'f AtomicBool);

impl Drop for Ending<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Waits until something is so.
#[track_caller]
pub fn eventually(what: &str, mut is_so: impl FnMut() -> bool) {
    let started = Instant::now();
    while !is_so() {
        assert!(started.elapsed() < Duration::from_secs(20), "it never happened: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// The `data` of a reply whose parts must be these, with a readable difference.
#[track_caller]
pub fn assert_json(actual: &Value, expected: &Value) {
    if actual != expected {
        let pretty = |value: &Value| serde_json::to_string_pretty(value).unwrap();
        let (actual, expected) = (pretty(actual), pretty(expected));
        let mut difference = String::new();
        let mut lines = (actual.lines(), expected.lines());
        loop {
            match (lines.0.next(), lines.1.next()) {
                (None, None) => break,
                (left, right) if left == right => difference.push_str(&format!("   {}\n", left.unwrap_or(""))),
                (left, right) => {
                    difference.push_str(&format!(" < {}\n > {}\n", left.unwrap_or(""), right.unwrap_or("")))
                }
            }
        }
        panic!("actual (<) and expected (>):\n{difference}");
    }
}

/// Whether a file holds these bytes.
pub fn file_holds(path: &Path, needle: &str) -> bool {
    std::fs::read(path).is_ok_and(|bytes| bytes.windows(needle.len()).any(|window| window == needle.as_bytes()))
}
