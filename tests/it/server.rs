//! The life of a server: how it starts, how it stops, what it endures in between, and that its usage log
//! misses nothing.

use crate::support::{Client, Folder, MODELS, Reply, Server, eventually, fails, jqlite, log_rows, run, signal};
use rusqlite::Connection;
use serde_json::{Value, json};
use std::io::{BufRead, BufReader};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

/// A request that makes a tag.
fn tag(name: &str) -> String {
    json!({"__meta__": {"intent": "create", "namespace": "tickets.Tag"}, "name": name}).to_string()
}

/// A request that counts the tags.
fn counting() -> String {
    json!({"__meta__": {"intent": "count", "namespace": "tickets.Tag"}}).to_string()
}

/// The head of a JQL request whose body is this long.
fn head(server: &Server, length: usize) -> String {
    let key = &server.key;
    format!(
        "POST /jql HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {key}\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n"
    )
}

/// A client that waits ten seconds for an answer, far less than an idle connection lives.
fn client(server: &Server) -> Client {
    let client = Client::connect(&server.address);
    client.patience(Duration::from_secs(10));
    client
}

/// A new connection's request is answered.
#[track_caller]
fn assert_answers(server: &Server) {
    let reply = client(server).jql(&server.key, &counting());
    assert_eq!(reply.status, 200, "{}", reply.body);
}

/// The server has nothing to complain of.
#[track_caller]
fn assert_quiet(server: &Server) {
    let stderr = server.stderr();
    assert_eq!(stderr.lines().next(), None, "and {} lines more", stderr.lines().count());
}

/// Whether a new connection's request is answered; for a server that may be out of descriptors.
fn answers(server: &Server) -> bool {
    let Ok(stream) = TcpStream::connect(&server.address) else { return false };
    drop(stream);
    let mut client = Client::connect(&server.address);
    client.patience(Duration::from_secs(2));
    client.send(b"GET /readyz HTTP/1.1\r\nHost: localhost\r\n\r\n");
    client.try_reply("GET").is_some_and(|reply| reply.status == 200)
}

// -- Starting -----------------------------------------------------------------------------------

/// A command that serves, and its lines.
struct Serving {
    child: Child,
    lines: BufReader<std::process::ChildStdout>,
}

impl Serving {
    fn start(mut command: Command) -> Serving {
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap());
        Serving { child, lines }
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.lines.read_line(&mut line).unwrap();
        line.trim_end().to_owned()
    }

    fn stop(mut self) -> Option<i32> {
        signal(self.child.id(), "TERM");
        self.child.wait().unwrap().code()
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// `127.0.0.1:port` of a text that holds a URL.
fn address_in(text: &str) -> String {
    let rest = text.split_once("http://").unwrap_or_else(|| panic!("no URL in {text:?}")).1;
    rest.chars().take_while(|c| c.is_ascii_digit() || ".:".contains(*c)).collect()
}

#[test]
fn the_ready_line_as_json_tells_url_database_and_process() {
    let folder = Folder::new();
    let mut serving = Serving::start(jqlite(&folder, &["serve", "--listen", "127.0.0.1:0", "--json"]));
    let ready: Value = serde_json::from_str(&serving.line()).unwrap();
    assert_eq!(ready["db"], folder.path("test.db").to_str().unwrap());
    assert_eq!(ready["pid"], serving.child.id());
    let url = ready["url"].as_str().unwrap();
    assert_eq!(url, format!("http://{}", address_in(url)));
    assert_eq!(Client::connect(&address_in(url)).request("GET", "/healthz", "", "").status, 200);
}

#[test]
fn the_ready_line_for_people_tells_url_and_database() {
    let folder = Folder::new();
    let mut serving = Serving::start(jqlite(&folder, &["serve", "--listen", "127.0.0.1:0"]));
    let line = serving.line();
    assert!(line.contains(folder.path("test.db").to_str().unwrap()), "{line}");
    assert_eq!(Client::connect(&address_in(&line)).request("GET", "/healthz", "", "").status, 200);
}

#[test]
fn the_ready_line_is_the_only_line_with_models_too() {
    let folder = Folder::new();
    let models = folder.file("models.json", MODELS);
    let words = ["serve", "--listen", "127.0.0.1:0", "--json", "--models", models.to_str().unwrap()];
    let mut serving = Serving::start(jqlite(&folder, &words));
    let line = serving.line();
    assert!(serde_json::from_str::<Value>(&line).is_ok_and(|ready| ready["url"].is_string()), "{line}");
}

#[test]
fn port_0_gives_every_server_its_own() {
    let (one, other) = (Server::start(), Server::start());
    assert_ne!(one.address, other.address);
    assert!(!one.address.ends_with(":0"));
}

#[test]
fn a_port_that_is_taken_is_told() {
    let holder = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = holder.local_addr().unwrap().to_string();
    let message = fails(&Folder::new(), &["serve", "--listen", &address], 1);
    assert!(message.contains(&format!("cannot listen on {address}")), "{message}");
}

#[test]
fn a_port_can_be_taken_again_at_once() {
    let server = Server::start();
    assert_answers(&server);
    let address = server.address.clone();
    let (code, folder) = server.stop();
    assert_eq!(code, Some(0));
    let mut serving = Serving::start(jqlite(&folder, &["serve", "--listen", &address]));
    assert!(serving.line().contains(&address));
    assert_eq!(Client::connect(&address).request("GET", "/healthz", "", "").status, 200);
}

#[test]
fn a_file_that_is_no_database_is_refused() {
    let folder = Folder::new();
    let text = "this is a letter to my aunt, and it is long enough to be read as a header of a database. ".repeat(3);
    folder.file("test.db", &text);
    let message = fails(&folder, &["serve", "--listen", "127.0.0.1:0"], 1);
    assert!(message.contains(folder.path("test.db").to_str().unwrap()), "{message}");
    assert!(message.contains("not a database"), "{message}");
    assert_eq!(std::fs::read_to_string(folder.path("test.db")).unwrap(), text);
}

#[test]
fn a_database_of_another_program_is_refused_and_left_alone() {
    let folder = Folder::new();
    let path = folder.path("test.db");
    Connection::open(&path).unwrap().execute_batch("CREATE TABLE letters (text); PRAGMA user_version = 1;").unwrap();
    let before = std::fs::read(&path).unwrap();
    let message = fails(&folder, &["serve", "--listen", "127.0.0.1:0"], 1);
    assert!(message.contains("not one of jqlite's"), "{message}");
    assert!(std::fs::read(&path).unwrap() == before, "the file was changed");
}

#[test]
fn a_database_of_a_later_version_is_refused() {
    let folder = Folder::new();
    run(&folder, &["bootstrap"]);
    Connection::open(folder.path("test.db")).unwrap().execute_batch("PRAGMA user_version = 1000").unwrap();
    let message = fails(&folder, &["serve", "--listen", "127.0.0.1:0"], 1);
    assert!(message.contains("later version of jqlite"), "{message}");
}

#[test]
fn a_folder_in_place_of_the_database_is_refused() {
    let folder = Folder::new();
    std::fs::create_dir(folder.path("test.db")).unwrap();
    let message = fails(&folder, &["serve", "--listen", "127.0.0.1:0"], 1);
    assert!(message.contains("cannot open"), "{message}");
}

#[test]
fn a_database_in_memory_is_served() {
    let folder = Folder::new();
    let words = ["--db", ":memory:", "serve", "--listen", "127.0.0.1:0", "--json"];
    let mut serving = Serving::start(jqlite(&folder, &words));
    let ready: Value = serde_json::from_str(&serving.line()).unwrap();
    assert_eq!(ready["db"], ":memory:");
    let mut client = Client::connect(&address_in(ready["url"].as_str().unwrap()));
    for path in ["/healthz", "/readyz"] {
        assert_eq!(client.request("GET", path, "", "").status, 200);
    }
    assert_eq!(client.request("POST", "/jql", "", "").status, 401);
    drop(client);
    assert_eq!(serving.stop(), Some(0));
    assert!(!folder.path(":memory:").exists() && !Path::new(":memory:").exists());
}

// -- Quickstart ---------------------------------------------------------------------------------

fn quickstart(folder: &Folder, words: &[&str]) -> Serving {
    let mut command = jqlite(folder, &["quickstart", "--listen", "127.0.0.1:0"]);
    command.args(words).env_remove("JQLITE_DB");
    command.env("HOME", folder.path("home")).env("XDG_DATA_HOME", folder.path("data"));
    Serving::start(command)
}

/// The request of the published documentation.
const PUBLISHED: &str = r#"{"__meta__": {"authenticationClass": "apiKey", "intent": "retrieve", "namespace": "tickets.Ticket", "schema": "model", "filter": {"status": "open"}, "limit": 10, "offset": 0}, "id": null, "title": null, "description": null, "status": null}"#;

/// The answer holds the published envelope, and open tickets with the fields that were asked for.
#[track_caller]
fn assert_published(reply: &Reply) {
    assert_eq!(reply.status, 200, "{}", reply.body);
    let json = reply.json();
    let names: Vec<&String> = json.as_object().unwrap().keys().collect();
    assert_eq!(names, ["status", "data", "errors", "il8n", "extras", "system_info", "intent", "message"]);
    assert_eq!((&json["status"], &json["il8n"], &json["intent"]), (&json!("OK"), &json!("en-gb"), &json!("retrieve")));
    let data = json["data"].as_array().unwrap();
    assert!(!data.is_empty());
    assert_eq!(json["extras"]["display"], data.len());
    for record in data {
        let fields: Vec<&String> = record.as_object().unwrap().keys().collect();
        assert_eq!(fields, ["id", "title", "description", "status"]);
        assert_eq!(record["status"], "open");
    }
}

#[test]
fn quickstart_answers_the_published_request() {
    let folder = Folder::new();
    let mut serving = quickstart(&folder, &["--json"]);
    let ready: Value = serde_json::from_str(&serving.line()).unwrap();
    assert!(ready["db"].as_str().unwrap().starts_with(folder.path("data").to_str().unwrap()), "{ready}");
    let mut client = Client::connect(&address_in(ready["url"].as_str().unwrap()));
    assert_published(&client.jql(ready["key"].as_str().unwrap(), PUBLISHED));
    drop(client);
    assert_eq!(serving.stop(), Some(0));
}

#[test]
fn quickstart_prints_a_request_to_paste_that_is_answered() {
    let folder = Folder::new();
    let mut serving = quickstart(&folder, &[]);
    let mut line = serving.line();
    while !line.starts_with("curl") {
        assert!(serving.child.try_wait().unwrap().is_none(), "it ended without a curl line");
        line = serving.line();
    }
    // What stands in single quotes: two headers and the body.
    let quoted: Vec<&str> = line.split('\'').skip(1).step_by(2).collect();
    let [authorization, content_type, body] = quoted.as_slice() else { panic!("{line}") };
    let head = format!("{authorization}\r\n{content_type}\r\nContent-Length: {}\r\n", body.len());
    assert!(line.contains("/jql "), "{line}");
    assert_published(&Client::connect(&address_in(&line)).request("POST", "/jql", &head, body));
}

#[test]
fn quickstart_works_twice_in_a_row() {
    let folder = Folder::new();
    for _ in 0..2 {
        let mut serving = quickstart(&folder, &["--json"]);
        let ready: Value = serde_json::from_str(&serving.line()).unwrap();
        let mut client = Client::connect(&address_in(ready["url"].as_str().unwrap()));
        assert_published(&client.jql(ready["key"].as_str().unwrap(), PUBLISHED));
        drop(client);
        assert_eq!(serving.stop(), Some(0));
    }
}

// -- One file, several processes ----------------------------------------------------------------

#[test]
fn two_servers_on_one_file_see_each_others_records() {
    let one = Server::start();
    let words = ["serve", "--listen", "127.0.0.1:0", "--json"];
    let mut other = Serving::start(jqlite(&one.folder, &words));
    let ready: Value = serde_json::from_str(&other.line()).unwrap();
    let mut there = Client::connect(&address_in(ready["url"].as_str().unwrap()));
    let mut here = Client::connect(&one.address);
    for number in 0..30 {
        let writer = if number % 2 == 0 { &mut here } else { &mut there };
        assert_eq!(writer.jql(&one.key, &tag(&format!("tag {number}"))).status, 200);
        for reader in [&mut here, &mut there] {
            assert_eq!(reader.jql(&one.key, &counting()).json()["data"]["count"], number + 1);
        }
    }
}

/// Another process's hold on the database of a server.
fn hold(server: &Server) -> Connection {
    let connection = Connection::open(server.folder.path("test.db")).unwrap();
    connection.busy_timeout(Duration::from_secs(10)).unwrap();
    connection.execute_batch("BEGIN IMMEDIATE").unwrap();
    connection
}

#[test]
fn a_write_waits_for_another_process() {
    let server = Server::start();
    let holder = hold(&server);
    std::thread::scope(|scope| {
        let write = scope.spawn(|| client(&server).jql(&server.key, &tag("patient")).status);
        assert_answers(&server); // reads do not wait
        holder.execute_batch("COMMIT").unwrap();
        assert_eq!(write.join().unwrap(), 200);
    });
    assert_eq!(server.count("tickets.Tag"), 1);
}

#[test]
fn a_write_that_waits_too_long_for_another_process_is_told_to_come_again() {
    let server = Server::start();
    let holder = hold(&server);
    let mut client = Client::connect(&server.address);
    client.patience(Duration::from_secs(30));
    let reply = client.jql(&server.key, &tag("impatient"));
    assert_eq!(reply.status, 503, "{}", reply.body);
    assert_eq!(reply.json()["errors"][0]["code"], "JQL:UnavailableException");
    assert!(reply.header("retry-after").unwrap().parse::<u32>().is_ok());
    holder.execute_batch("COMMIT").unwrap();
    assert_eq!(client.jql(&server.key, &tag("impatient")).status, 200);
    assert_eq!(server.count("tickets.Tag"), 1);
}

#[test]
fn the_log_waits_for_another_process() {
    let server = Server::start();
    let holder = hold(&server);
    for _ in 0..5 {
        assert_answers(&server);
    }
    std::thread::sleep(Duration::from_millis(600));
    holder.execute_batch("COMMIT").unwrap();
    eventually("the log has all rows", || server.log_rows() == 5);
}

#[test]
fn the_end_of_a_server_waits_for_another_process_with_the_log() {
    let server = Server::start();
    let holder = hold(&server);
    for _ in 0..5 {
        assert_answers(&server);
    }
    signal(server.pid(), "TERM");
    std::thread::sleep(Duration::from_millis(600));
    holder.execute_batch("COMMIT").unwrap();
    drop(holder);
    let (code, folder) = server.stop_by("CONT");
    assert_eq!((code, log_rows(&folder)), (Some(0), 5));
}

// -- Stopping -----------------------------------------------------------------------------------

#[test]
fn both_signals_end_the_server_with_0() {
    for name in ["TERM", "INT"] {
        let server = Server::start();
        assert_answers(&server);
        assert_eq!(server.stop_by(name).0, Some(0), "{name}");
    }
}

#[test]
fn idle_connections_do_not_hold_up_the_stop() {
    let server = Server::start();
    let mut kept = client(&server);
    assert_eq!(kept.jql(&server.key, &counting()).status, 200);
    let _silent = client(&server);
    assert_eq!(server.stop().0, Some(0));
}

/// A request that the server has begun to read, and whose body is still to come.
fn begun(server: &Server, length: usize) -> Client {
    let mut client = client(server);
    client.send(format!("{}Expect: 100-continue\r\n\r\n", head(server, length)).as_bytes());
    assert_eq!(client.reply("POST").status, 100);
    client
}

#[test]
fn a_request_in_flight_is_answered_before_the_end() {
    let server = Server::start();
    let mut kept = client(&server);
    assert_eq!(kept.request("GET", "/readyz", "", "").status, 200);
    let body = tag("last");
    let mut last = begun(&server, body.len());
    signal(server.pid(), "TERM");
    eventually("no connection is accepted", || TcpStream::connect(&server.address).is_err());
    let ready = kept.request("GET", "/readyz", "", "");
    assert_eq!((ready.status, ready.header("retry-after")), (503, Some("1")));
    last.send(body.as_bytes());
    let reply = last.reply("POST");
    assert_eq!((reply.status, reply.header("connection")), (200, Some("close")));
    let (code, folder) = server.stop_by("CONT");
    assert_eq!((code, log_rows(&folder)), (Some(0), 1));
    assert_eq!(Server::on(folder, &[]).count("tickets.Tag"), 1);
}

#[test]
fn a_second_signal_ends_the_server_at_once() {
    let server = Server::start();
    let _waiting = begun(&server, 100);
    signal(server.pid(), "TERM");
    eventually("no connection is accepted", || TcpStream::connect(&server.address).is_err());
    assert_eq!(server.stop().0, Some(1));
}

#[test]
fn an_answer_given_while_stopping_is_in_the_log() {
    let server = Server::start();
    let stopping = AtomicBool::new(false);
    let (address, key) = (server.address.clone(), server.key.clone());
    let mut answered = Vec::new();
    let mut ended = None;
    std::thread::scope(|scope| {
        let hammer = |number: usize| {
            let (address, key, stopping) = (&address, &key, &stopping);
            move || {
                let mut ids = Vec::new();
                let mut client = Client::connect(address);
                for count in 0..100_000 {
                    let id = format!("{number}-{count}");
                    let body = tag(&id);
                    let head = format!(
                        "Authorization: Bearer {key}\r\nContent-Type: application/json\r\nX-Request-Id: {id}\r\nContent-Length: {}\r\n",
                        body.len()
                    );
                    client.send(format!("POST /jql HTTP/1.1\r\nHost: localhost\r\n{head}\r\n{body}").as_bytes());
                    let Some(reply) = client.try_reply("POST") else { break };
                    ids.push(id);
                    if reply.header("connection") == Some("close") {
                        break;
                    }
                    if count == 50 {
                        stopping.store(true, Ordering::SeqCst);
                    }
                }
                ids
            }
        };
        let hammers: Vec<_> = (0..8).map(|number| scope.spawn(hammer(number))).collect();
        eventually("requests are answered", || stopping.load(Ordering::SeqCst));
        ended = Some(server.stop());
        answered = hammers.into_iter().flat_map(|hammer| hammer.join().unwrap()).collect();
    });
    let (code, folder) = ended.unwrap();
    assert_eq!(code, Some(0));
    let log = run(&folder, &["logs", "--json", "--last", "10000000"]);
    let id = |line: &str| serde_json::from_str::<Value>(line).unwrap()["request_id"].as_str().unwrap().to_owned();
    let logged: std::collections::HashSet<String> = log.lines().map(id).collect();
    let missing: Vec<&String> = answered.iter().filter(|id| !logged.contains(*id)).collect();
    assert!(missing.is_empty(), "{} of {} are not in the log: {missing:?}", missing.len(), answered.len());
    assert!(Server::on(folder, &[]).count("tickets.Tag") >= answered.len() as u64);
}

// -- The usage log ------------------------------------------------------------------------------

#[test]
fn the_log_has_a_row_for_every_request() {
    let server = Server::start();
    let mut client = client(&server);
    for number in 0..100 {
        let body = if number % 2 == 0 { counting() } else { tag(&format!("tag {number}")) };
        assert_eq!(client.jql(&server.key, &body).status, 200);
    }
    for _ in 0..10 {
        assert_eq!(client.jql("jql_wrong", &counting()).status, 401);
        assert_eq!(client.jql(&server.key, "{").status, 400);
        assert_eq!(client.request("GET", "/jql", "", "").status, 405);
    }
    let (code, folder) = server.stop();
    assert_eq!((code, log_rows(&folder)), (Some(0), 130));
}

#[test]
fn the_log_has_a_row_for_every_request_of_many_at_once() {
    let server = Server::start();
    std::thread::scope(|scope| {
        for _ in 0..20 {
            scope.spawn(|| {
                for _ in 0..20 {
                    assert_answers(&server);
                }
            });
        }
    });
    let (code, folder) = server.stop();
    assert_eq!((code, log_rows(&folder)), (Some(0), 400));
}

#[test]
fn a_row_is_written_while_the_server_is_idle() {
    let server = Server::start();
    assert_answers(&server);
    eventually("the row is there", || server.log_rows() == 1);
}

#[test]
fn a_killed_server_leaves_the_records_it_answered_and_the_rows_it_had_time_for() {
    let server = Server::start();
    for number in 0..20 {
        assert_eq!(client(&server).jql(&server.key, &tag(&format!("old {number}"))).status, 200);
    }
    eventually("the rows are there", || server.log_rows() == 20);
    for number in 0..20 {
        assert_eq!(client(&server).jql(&server.key, &tag(&format!("new {number}"))).status, 200);
    }
    let folder = server.kill();
    assert!((20..=40).contains(&log_rows(&folder)));
    run(&folder, &["check"]);
    assert_eq!(Server::on(folder, &[]).count("tickets.Tag"), 40);
}

#[test]
fn a_body_that_was_not_read_is_in_the_log() {
    let server = Server::with(MODELS, &["--max-body", "2000"]);
    assert_eq!(client(&server).jql(&server.key, &" ".repeat(2001)).status, 413);
    let mut cut = client(&server);
    cut.send(format!("{}\r\n{{", head(&server, 1500)).as_bytes());
    cut.stream().shutdown(Shutdown::Write).unwrap();
    assert_eq!(cut.reply("POST").status, 400);
    let (code, folder) = server.stop();
    assert_eq!((code, log_rows(&folder)), (Some(0), 2));
}

/// The tags in a copy of nothing but the database file.
fn tags_in_a_copy(folder: &Folder) -> i64 {
    let copy = folder.path("copy.db");
    std::fs::copy(folder.path("test.db"), &copy).unwrap();
    let connection = rusqlite::Connection::open(copy).unwrap();
    connection.query_one(r#"SELECT count(*) FROM "tickets.Tag""#, [], |row| row.get(0)).unwrap()
}

#[test]
fn after_an_orderly_stop_all_is_in_the_one_file() {
    let server = Server::start();
    let mut kept = client(&server);
    assert_eq!(kept.jql(&server.key, &tag("kept")).status, 200);
    let (code, folder) = server.stop();
    assert_eq!(code, Some(0));
    let beside = |end: &str| folder.path(&format!("test.db-{end}")).exists();
    assert!(!beside("wal") && !beside("shm"));
    assert_eq!(tags_in_a_copy(&folder), 1);
    // Also where another process has it open, which needs the files beside it.
    let server = Server::on(folder, &[]);
    let other = rusqlite::Connection::open(server.folder.path("test.db")).unwrap();
    other.query_one("SELECT count(*) FROM sqlite_schema", [], |row| row.get::<_, i64>(0)).unwrap();
    assert_eq!(client(&server).jql(&server.key, &tag("next")).status, 200);
    let (_, folder) = server.stop();
    assert_eq!(tags_in_a_copy(&folder), 2);
}

// -- Endurance ----------------------------------------------------------------------------------

#[test]
fn a_server_left_idle_for_several_timeouts_answers() {
    let server = Server::with(MODELS, &["--idle-timeout", "300ms"]);
    for _ in 0..3 {
        std::thread::sleep(Duration::from_millis(1200));
        for _ in 0..10 {
            assert_answers(&server);
        }
    }
    assert_quiet(&server);
}

#[test]
fn an_idle_connection_is_cut() {
    let server = Server::with(MODELS, &["--idle-timeout", "800ms"]);
    assert!(client(&server).is_closed());
    let mut used = client(&server);
    assert_eq!(used.jql(&server.key, &counting()).status, 200);
    assert!(used.is_closed());
    let mut begun = client(&server);
    begun.send(b"POST /jql HTTP/1.1\r\nHost: loc");
    assert!(begun.is_closed());
    let mut half = client(&server);
    half.send(format!("{}\r\n{{", head(&server, 500)).as_bytes());
    assert!(half.is_closed());
}

#[test]
fn a_body_that_stops_coming_is_answered_with_408() {
    let server = Server::with(MODELS, &["--idle-timeout", "300ms"]);
    for length in [500, 5000] {
        let mut half = client(&server);
        half.send(format!("{}\r\n{{", head(&server, length)).as_bytes());
        assert_eq!(half.try_reply("POST").map(|reply| reply.status), Some(408), "{length}");
    }
}

#[test]
fn a_connection_in_use_outlives_the_idle_timeout() {
    let server = Server::with(MODELS, &["--idle-timeout", "2s"]);
    let mut kept = client(&server);
    for _ in 0..12 {
        assert_eq!(kept.jql(&server.key, &counting()).status, 200);
        std::thread::sleep(Duration::from_millis(250));
    }
}

#[test]
fn a_small_body_that_comes_slowly_is_answered() {
    let server = Server::with(MODELS, &["--idle-timeout", "500ms"]);
    let body = counting();
    let mut slow = client(&server);
    slow.send(format!("{}\r\n{}", head(&server, body.len()), &body[..body.len() - 15]).as_bytes());
    for byte in body[body.len() - 15..].bytes() {
        std::thread::sleep(Duration::from_millis(300));
        slow.send(&[byte]);
    }
    let reply = slow.try_reply("POST").map(|reply| (reply.status, reply.body));
    assert!(matches!(&reply, Some((200 | 408, body)) if !body.is_empty()), "{reply:?}");
}

#[test]
fn many_idle_connections_do_not_hold_up_others() {
    let server = Server::start();
    let mut idle = Vec::new();
    for count in 0..500 {
        idle.push(client(&server));
        if count % 50 == 0 {
            assert_answers(&server);
        }
    }
    for _ in 0..20 {
        assert_answers(&server);
    }
}

#[test]
fn every_one_of_many_connections_made_at_once_is_served() {
    let server = Server::start();
    let made = std::sync::Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                let some: Vec<Client> = (0..50).map(|_| client(&server)).collect();
                made.lock().unwrap().extend(some);
            });
        }
    });
    let mut clients = made.into_inner().unwrap();
    for (number, client) in clients.iter_mut().enumerate().rev() {
        client.send(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n");
        let reply = client.try_reply("GET");
        assert_eq!(reply.map(|reply| reply.status), Some(200), "connection {number}");
    }
}

#[test]
fn slow_senders_do_not_hold_up_others() {
    let server = Server::start();
    let mut slow: Vec<Client> = (0..150).map(|_| client(&server)).collect();
    for client in &mut slow {
        client.send(format!("{}\r\n", head(&server, 2000)).as_bytes());
    }
    for _ in 0..10 {
        for client in &mut slow {
            client.send(b" ");
        }
        assert_answers(&server);
    }
}

/// Makes records of which a page is many megabytes.
fn with_large_records(words: &[&str]) -> Server {
    let server = Server::with(MODELS, words);
    let text = "0123456789abcdef".repeat(8192);
    for number in 0..100 {
        server.create("tickets.Ticket", &json!({"title": format!("ticket {number}"), "description": text}));
    }
    server
}

/// A request for that page.
fn large(server: &Server) -> String {
    let body = json!({"__meta__": {"namespace": "tickets.Ticket", "intent": "retrieve"}, "description": null});
    let body = body.to_string();
    format!("{}\r\n{body}", head(server, body.len()))
}

#[test]
fn readers_that_never_read_do_not_hold_up_others() {
    let server = with_large_records(&[]);
    let mut silent: Vec<Client> = (0..6).map(|_| client(&server)).collect();
    for client in &mut silent {
        client.send(large(&server).as_bytes());
    }
    std::thread::sleep(Duration::from_secs(1));
    assert_answers(&server);
}

#[test]
fn one_connection_that_never_reads_does_not_hold_up_others() {
    let server = with_large_records(&[]);
    let mut silent = client(&server);
    silent.send(large(&server).as_bytes());
    let requests = "GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n".repeat(2000);
    silent.stream().set_write_timeout(Some(Duration::from_secs(2))).unwrap();
    silent.send(requests.as_bytes());
    std::thread::sleep(Duration::from_secs(1));
    assert_answers(&server);
}

#[test]
fn a_reader_that_never_reads_is_cut() {
    let server = with_large_records(&["--idle-timeout", "500ms"]);
    let mut silent = client(&server);
    silent.send(large(&server).as_bytes());
    std::thread::sleep(Duration::from_secs(4));
    assert!(silent.try_reply("POST").is_none());
    assert_answers(&server);
}

/// What a process holds: its threads and its descriptors.
#[cfg(target_os = "linux")]
fn holdings(server: &Server) -> (usize, usize) {
    (server.process("Threads").unwrap(), server.descriptors().unwrap())
}

/// Threads and descriptors come back to about what they were; the readers of the database, of which there are
/// eight or four a core, stay with two descriptors each.
#[cfg(target_os = "linux")]
#[track_caller]
fn assert_holds_no_more(server: &Server, before: (usize, usize)) {
    let what = format!("threads and descriptors are about {before:?} again");
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let readers = (cores * 4).max(8);
    eventually(&what, || {
        let now = holdings(server);
        now.0 <= before.0 + 12 && now.1 <= before.1 + 12 + readers * 2
    });
}

#[test]
#[cfg(target_os = "linux")]
fn connections_cut_in_mid_request_leave_nothing_behind() {
    let server = Server::start();
    assert_answers(&server);
    let before = holdings(&server);
    let whole = format!("{}\r\n{}", head(&server, 1500), " ".repeat(1000));
    for number in 0..200 {
        let mut cut = client(&server);
        cut.send(&whole.as_bytes()[..10 + number * (whole.len() - 10) / 200]);
    }
    assert_answers(&server);
    assert_holds_no_more(&server, before);
    assert_quiet(&server);
}

#[test]
#[cfg(target_os = "linux")]
fn connections_reset_behind_a_whole_request_leave_nothing_behind() {
    let server = Server::start();
    assert_answers(&server);
    let before = holdings(&server);
    let body = counting();
    let whole = format!("{}\r\n{body}", head(&server, body.len()));
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                for _ in 0..250 {
                    let mut cut = client(&server);
                    socket2::SockRef::from(cut.stream()).set_linger(Some(Duration::ZERO)).unwrap();
                    cut.send(whole.as_bytes());
                }
            });
        }
    });
    assert_answers(&server);
    assert_quiet(&server);
    assert_holds_no_more(&server, before);
}

#[test]
#[cfg(target_os = "linux")]
fn requests_of_another_version_of_http_leave_nothing_behind() {
    let server = Server::start();
    assert_answers(&server);
    let before = holdings(&server);
    for _ in 0..50 {
        client(&server).send(b"GET /healthz HTTP/2.0\r\nHost: localhost\r\n\r\n");
    }
    assert_holds_no_more(&server, before);
}

#[test]
#[cfg(target_os = "linux")]
fn refused_requests_leave_nothing_behind() {
    let server = Server::start();
    assert_answers(&server);
    let before = holdings(&server);
    for number in 0..60 {
        let refused =
            ["Content-Length: none", "Transfer-Encoding: gzip", "Expect: cake", "Connection: upgrade", "A B: c"];
        let header = refused[number % refused.len()];
        client(&server).send(format!("POST /jql HTTP/1.1\r\nHost: localhost\r\n{header}\r\n\r\nrest").as_bytes());
    }
    assert_holds_no_more(&server, before);
    assert_quiet(&server);
}

#[test]
#[cfg(target_os = "linux")]
fn many_short_connections_leave_nothing_behind() {
    let server = Server::start();
    assert_answers(&server);
    let before = holdings(&server);
    for _ in 0..1000 {
        assert_answers(&server);
    }
    assert_holds_no_more(&server, before);
}

#[test]
#[cfg(target_os = "linux")]
fn being_idle_for_many_timeouts_leaves_no_descriptors_behind() {
    let server = Server::with(MODELS, &["--idle-timeout", "100ms"]);
    assert_answers(&server);
    std::thread::sleep(Duration::from_secs(2));
    let (_, before) = holdings(&server);
    std::thread::sleep(Duration::from_secs(3));
    eventually("descriptors are about as many again", || holdings(&server).1 <= before + 12);
    assert_answers(&server);
}

#[test]
#[cfg(target_os = "linux")]
fn a_server_out_of_descriptors_serves_again_when_there_are_some() {
    let server = Server::limited(64, &[]);
    assert_answers(&server);
    for _ in 0..3 {
        let crowd: Vec<Client> = (0..100).map(|_| client(&server)).collect();
        std::thread::sleep(Duration::from_millis(500));
        drop(crowd);
        eventually("it answers again", || answers(&server));
    }
    assert_answers(&server);
    assert_eq!(server.stop().0, Some(0));
}

#[test]
#[cfg(target_os = "linux")]
fn a_kept_connection_is_served_while_there_are_no_descriptors() {
    let server = Server::limited(64, &[]);
    let mut kept = client(&server);
    assert_eq!(kept.jql(&server.key, &counting()).status, 200);
    let _crowd: Vec<Client> = (0..100).map(|_| client(&server)).collect();
    std::thread::sleep(Duration::from_millis(500));
    for _ in 0..5 {
        kept.send(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n");
        assert_eq!(kept.try_reply("GET").map(|reply| reply.status), Some(200));
    }
}

#[test]
#[cfg(target_os = "linux")]
fn a_server_out_of_descriptors_can_be_stopped() {
    let server = Server::limited(64, &[]);
    assert_answers(&server);
    let _crowd: Vec<Client> = (0..100).map(|_| client(&server)).collect();
    std::thread::sleep(Duration::from_millis(500));
    assert_eq!(server.stop().0, Some(0));
}

#[test]
fn a_server_whose_standard_error_is_closed_goes_on() {
    let folder = Folder::new();
    let file = folder.file("models.json", MODELS);
    run(&folder, &["models", "apply", file.to_str().unwrap()]);
    let key = run(&folder, &["keys", "create", "--name", "all", "--allow", "*.*:*"]);
    let mut child = jqlite(&folder, &["serve", "--listen", "127.0.0.1:0", "--json"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stderr.take());
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let ready: Value = serde_json::from_str(&line).unwrap();
    let address = address_in(ready["url"].as_str().unwrap());
    // While another process holds the file, the server has something to complain of.
    let other = rusqlite::Connection::open(folder.path("test.db")).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let reply = Client::connect(&address).jql(&key, &tag("waits"));
    assert_eq!((reply.status, reply.header("retry-after")), (503, Some("1")));
    other.execute_batch("ROLLBACK").unwrap();
    eventually("it writes again", || Client::connect(&address).jql(&key, &tag("goes in")).status == 200);
    signal(child.id(), "TERM");
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

#[test]
fn a_path_may_look_a_little_like_a_key() {
    let server = Server::with(MODELS, &["--jql-path", "/jql_api"]);
    let body = counting();
    let mut client = client(&server);
    client.send((head(&server, body.len()).replace("POST /jql ", "POST /jql_api ") + "\r\n" + &body).as_bytes());
    let reply = client.reply("POST");
    assert_eq!(reply.status, 200, "{}", reply.body);
}

#[test]
fn the_path_of_another_page_is_not_taken_for_requests() {
    let folder = Folder::new();
    run(&folder, &["bootstrap"]);
    for path in ["/healthz", "/readyz", "/metrics", "/openapi.json"] {
        let said = fails(&folder, &["serve", "--listen", "127.0.0.1:0", "--jql-path", path], 1);
        let why = format!("jqlite: --jql-path {path} is where the server tells of itself; take another path\n");
        assert_eq!(said, why);
    }
}

#[test]
fn slow_queries_of_one_key_are_stopped_and_do_not_hold_up_another() {
    let server = Server::with(MODELS, &["--query-timeout", "4s"]);
    server.entangle();
    let greedy = server.key_for("tickets.*:read");
    let path = "tags__tickets__tags__tickets__tags__name__icontains";
    let slow = json!({"__meta__": {"intent": "count", "namespace": "tickets.Ticket", "filter": {path: "zzz"}}});
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let ended = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        let queries: Vec<_> = (0..(cores * 4).max(8) + 2)
            .map(|_| {
                scope.spawn(|| {
                    let reply = server.send_as(&greedy, &slow);
                    ended.fetch_add(1, Ordering::SeqCst);
                    (reply.status, reply.header("retry-after").map(str::to_owned))
                })
            })
            .collect();
        std::thread::sleep(Duration::from_millis(300));
        assert_answers(&server);
        assert_eq!(ended.load(Ordering::SeqCst), 0, "the other key was answered after the slow queries");
        for query in queries {
            assert_eq!(query.join().unwrap(), (503, Some("1".to_owned())));
        }
    });
}
