//! What is kept of the usage log; and the server's own log.

use crate::support::{Client, Folder, MODELS, Server, eventually, fails, log_rows, request, run};
use serde_json::{Value, json};

fn count(model: &str) -> Value {
    request("count", model, &json!({}), &json!({}))
}

/// A database with no entries in its log.
fn folder() -> Folder {
    let folder = Folder::new();
    run(&folder, &["bootstrap"]);
    folder
}

/// Runs statements on a folder's database.
#[track_caller]
fn change(folder: &Folder, statements: &str) {
    rusqlite::Connection::open(folder.path("test.db")).unwrap().execute_batch(statements).unwrap();
}

/// Appends so many entries to the log, one a second up to some seconds ago, the first for 1 µs, the next for 2 µs, …
#[track_caller]
fn fill(folder: &Folder, entries: u32, seconds_ago: u32, others: &str) {
    change(
        folder,
        &format!(
            r#"WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {entries})
            INSERT INTO "system.UsageLog" ("at", "request_id", "duration_us", "rows", "queries", "request_bytes", "response_bytes",
              "key", "namespace", "intent", "code", "status")
            SELECT strftime('%Y-%m-%dT%H:%M:%S.000000Z', unixepoch() - {seconds_ago} - {entries} + i, 'unixepoch'), 'r' || i, i, 0, 0, 0, 0,
              {others} FROM n;"#
        ),
    );
}

// -- What is kept -------------------------------------------------------------------------------

#[test]
fn only_so_many_of_the_newest_entries_are_kept() {
    let server = Server::with(MODELS, &["--log-rows", "40"]);
    fill(&server.folder, 2000, 0, "NULL, 'a.Old', NULL, NULL, 200");
    let mut client = Client::connect(&server.address);
    for _ in 0..100 {
        assert_eq!(client.jql(&server.key, &count("tickets.Tag").to_string()).status, 200);
    }
    let kept = || -> Vec<u64> { server.logs(&[]).iter().map(|entry| entry["id"].as_u64().unwrap()).collect() };
    eventually("the rest is pruned", || kept() == (2061..=2100).collect::<Vec<u64>>());
}

#[test]
fn entries_go_by_age_and_by_number() {
    let folder = folder();
    fill(&folder, 1500, 90_000, "NULL, 'a.Old', NULL, NULL, 200");
    fill(&folder, 1500, 60, "NULL, 'a.New', NULL, NULL, 200");
    let server = Server::on(folder, &["--log-retention", "1d", "--log-rows", "1600"]);
    eventually("the old ones are pruned", || server.log_rows() == 1500);
    let (_, folder) = server.stop();
    let server = Server::on(folder, &["--log-retention", "1d", "--log-rows", "700"]);
    eventually("those beyond the number are pruned", || server.log_rows() == 700);
    let (_, folder) = server.stop();
    let server = Server::on(folder, &[]);
    assert_eq!(server.send(&count("tickets.Tag")).status, 404);
    let (_, folder) = server.stop();
    assert_eq!(log_rows(&folder), 701, "without a number there is none");
}

// -- The server's own log -----------------------------------------------------------------------

/// A server whose tags are gone, and the id of a request that met that.
fn broken(words: &[&str]) -> (Server, String) {
    let server = Server::with(MODELS, words);
    server.change(r#"DROP TABLE "tickets.Ticket.tags"; DROP TABLE "tickets.Tag";"#);
    let reply = server.send(&count("tickets.Tag"));
    assert_eq!(reply.status, 500, "{}", reply.body);
    (server, reply.header("x-request-id").unwrap().to_owned())
}

#[test]
fn a_fault_is_a_line_with_its_request() {
    let (server, id) = broken(&[]);
    let said = server.stderr();
    let (at, rest) = said.trim_end().split_once(' ').unwrap();
    assert!(at.len() == 27 && at.ends_with('Z'), "{said}");
    assert!(rest.starts_with(&format!("error: request {id}: no such table: tickets.Tag")), "{said}");
    assert_eq!(said.lines().count(), 1);
}

#[test]
fn a_fault_is_an_object_where_json_is_asked_for() {
    let (server, id) = broken(&["--log-format", "json"]);
    let said: Value = serde_json::from_str(&server.stderr()).unwrap();
    assert_eq!((&said["level"], &said["request_id"]), (&json!("error"), &json!(id)));
    assert!(said["message"].as_str().unwrap().starts_with("no such table: tickets.Tag"), "{said}");
    assert!(said["at"].as_str().unwrap().len() == 27 && said.as_object().unwrap().len() == 4, "{said}");
}

#[test]
fn all_that_serving_says_is_json_where_that_is_asked_for() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let folder = Folder::new();
    let models = folder.file("models.json", MODELS);
    let words = ["serve", "--log-format", "json", "--listen", &address, "--models", models.to_str().unwrap()];
    let said = fails(&folder, &words, 1);
    let lines: Vec<Value> = said.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let levels: Vec<&str> = lines.iter().map(|line| line["level"].as_str().unwrap()).collect();
    let (failed, before) = levels.split_last().unwrap();
    assert!(*failed == "error" && before.contains(&"info") && before.contains(&"warning"), "{said}");
    assert!(lines.last().unwrap()["message"].as_str().unwrap().starts_with("jqlite: cannot listen on "), "{said}");
}
