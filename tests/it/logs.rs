//! What is told of the usage log: entries as they come, totals, and what is kept; and the server's own log.

use crate::support::{Client, Folder, MODELS, Server, eventually, fails, jqlite, log_rows, logs, request, run};
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

fn count(model: &str) -> Value {
    request("count", model, &json!({}), &json!({}))
}

fn public_id(key: &str) -> &str {
    &key[4..16]
}

/// A command that follows the log, and its lines as they come.
struct Following {
    child: Child,
    lines: Receiver<String>,
}

impl Following {
    fn start(folder: &Folder, words: &[&str]) -> Following {
        let mut command = jqlite(folder, &[&["logs", "--follow"], words].concat());
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let out = BufReader::new(child.stdout.take().unwrap());
        let (sender, lines) = channel();
        std::thread::spawn(move || out.lines().map_while(Result::ok).try_for_each(|line| sender.send(line)));
        Following { child, lines }
    }

    #[track_caller]
    fn line(&self) -> String {
        self.lines.recv_timeout(Duration::from_secs(20)).expect("a line of the log")
    }

    /// The next entries' values of a field.
    #[track_caller]
    fn values(&self, field: &str, entries: usize) -> Vec<Value> {
        (0..entries).map(|_| serde_json::from_str::<Value>(&self.line()).unwrap()[field].clone()).collect()
    }
}

impl Drop for Following {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The totals of a folder's log.
#[track_caller]
fn stats(folder: &Folder, words: &[&str]) -> Value {
    serde_json::from_str(&run(folder, &[&["logs", "--stats", "--json"], words].concat())).unwrap()
}

/// Requests, refusals and failures of each name of a kind.
fn by(stats: &Value, kind: &str) -> Value {
    let items = stats[format!("by_{kind}")].as_array().unwrap();
    items.iter().map(|item| json!([item[kind], item["requests"], item["refused"], item["failed"]])).collect()
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

// -- Following ----------------------------------------------------------------------------------

#[test]
fn what_comes_is_shown_after_what_is_there() {
    let server = Server::start();
    server.send(&count("tickets.Tag"));
    eventually("it is logged", || server.log_rows() == 1);
    let following = Following::start(&server.folder, &["--json"]);
    assert_eq!(following.values("namespace", 1), ["tickets.Tag"]);
    for round in 0..3 {
        let mut client = Client::connect(&server.address);
        for model in ["tickets.Ticket", "tickets.Category"] {
            assert_eq!(client.jql(&server.key, &count(model).to_string()).status, 200);
        }
        assert_eq!(following.values("namespace", 2), ["tickets.Ticket", "tickets.Category"], "{round}");
    }
}

#[test]
fn what_comes_is_narrowed_like_what_is_there() {
    let server = Server::start();
    let key = server.key_for("tickets.Tag:read");
    let refused = Following::start(&server.folder, &["--json", "--status", "4xx"]);
    let of_a_key = Following::start(&server.folder, &["--json", "--key", public_id(&key), "--since", "1h"]);
    let late = Following::start(&server.folder, &["--json", "--since", "2999-01-01"]);
    let mut client = Client::connect(&server.address);
    for (key, model) in [(&key, "tickets.Ticket"), (&server.key, "tickets.Ticket"), (&key, "tickets.Tag")] {
        client.jql(key, &count(model).to_string());
    }
    client.jql(&server.key, "{");
    assert_eq!(refused.values("status", 2), [403, 400]);
    assert_eq!(of_a_key.values("status", 2), [403, 200]);
    for following in [refused, of_a_key, late] {
        assert!(following.lines.try_recv().is_err(), "nothing else is shown");
    }
}

#[test]
fn only_the_newest_are_shown_before_what_comes() {
    let folder = folder();
    fill(&folder, 50, 0, "NULL, NULL, NULL, NULL, 200");
    let following = Following::start(&folder, &["--json", "--last", "2"]);
    assert_eq!(following.values("request_id", 2), ["r49", "r50"]);
    fill(&folder, 2500, 0, "NULL, NULL, NULL, NULL, 200");
    let ids: Vec<Value> = (1..=2500).map(|number| json!(format!("r{number}"))).collect();
    assert_eq!(following.values("request_id", 2500), ids, "all that came, however much it was");
}

#[test]
fn following_goes_on_when_everything_was_pruned() {
    let folder = folder();
    fill(&folder, 3, 0, "NULL, 'a.Old', NULL, NULL, 200");
    let following = Following::start(&folder, &["--json"]);
    assert_eq!(following.values("namespace", 3), ["a.Old"; 3]);
    change(&folder, r#"DELETE FROM "system.UsageLog""#);
    fill(&folder, 3, 30, "NULL, 'a.New', NULL, NULL, 200");
    assert_eq!(following.values("namespace", 3), ["a.New"; 3], "though their ids are those of the ones before");
}

#[test]
fn people_follow_a_table() {
    let folder = folder();
    let following = Following::start(&folder, &[]);
    assert!(following.line().starts_with(" AT "));
    fill(&folder, 1, 0, "'0123456789ab', 'tickets.Ticket', 'count', 'JQL:JqlException' || char(27), 400");
    let line = following.line();
    assert!(line.contains(" 0123456789ab ") && line.contains(r" JQL:JqlException\u{1b} "), "{line}");
}

#[test]
fn following_ends_quietly_when_its_reader_ends() {
    for words in [&["--json"][..], &[]] {
        let folder = folder();
        let mut command = jqlite(&folder, &[&["logs", "--follow"], words].concat());
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        drop(child.stdout.take()); // and nothing comes that would tell it so
        eventually("it ends", || child.try_wait().unwrap().is_some());
        assert_eq!(child.wait().unwrap().code(), Some(0));
        let mut said = String::new();
        child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
        assert_eq!(said, "");
    }
}

// -- Totals -------------------------------------------------------------------------------------

#[test]
fn totals_are_told_by_key_namespace_intent_and_code() {
    let server = Server::start();
    let key = server.key_for("tickets.Tag:read");
    let mut client = Client::connect(&server.address);
    for (key, body) in [
        (&server.key, count("tickets.Ticket")),
        (&key, count("tickets.Ticket")),
        (&key, count("tickets.Tag")),
        (&key, request("retrieve", "tickets.Tag", &json!({}), &json!({}))),
        (&"wrong".to_owned(), json!({})),
    ] {
        client.jql(key, &body.to_string());
    }
    eventually("all is logged", || server.log_rows() == 5);
    let told = stats(&server.folder, &["--since", "1h"]);
    let (all, own) = (public_id(&server.key), public_id(&key));
    assert_eq!(by(&told, "key"), json!([[own, 3, 1, 0], [null, 1, 1, 0], [all, 1, 0, 0]]));
    assert_eq!(by(&told, "namespace"), json!([["tickets.Tag", 2, 0, 0], ["tickets.Ticket", 2, 1, 0], [null, 1, 1, 0]]));
    assert_eq!(by(&told, "intent"), json!([["count", 3, 1, 0], [null, 1, 1, 0], ["retrieve", 1, 0, 0]]));
    let (refused, unknown) = ("JQL:AuthorizationException", "JQL:AuthenticationException");
    assert_eq!(by(&told, "code"), json!([[null, 3, 0, 0], [unknown, 1, 1, 0], [refused, 1, 1, 0]]));
    assert_eq!((&told["requests"], &told["refused"], &told["failed"]), (&json!(5), &json!(2), &json!(0)));
    let names: Vec<&Value> = told["by_key"].as_array().unwrap().iter().map(|item| &item["name"]).collect();
    assert_eq!(names, [&json!("tickets.Tag:read"), &Value::Null, &json!("all")]);
}

#[test]
fn a_secret_of_before_a_rotation_has_its_keys_name() {
    let folder = folder();
    let old = run(&folder, &["keys", "create", "--name", "ci", "--allow", "a.B:read"]);
    run(&folder, &["keys", "rotate", "ci", "--overlap", "1h"]);
    fill(&folder, 2, 0, &format!("'{}', NULL, NULL, NULL, 200", public_id(&old)));
    assert_eq!(stats(&folder, &[])["by_key"][0]["name"], "ci");
    assert_eq!(stats(&folder, &["--key", public_id(&old)])["requests"], 2);
    // By its name a key is asked for with all secrets that it had, by an id with that one.
    let new = run(&folder, &["keys", "rotate", "ci"]);
    fill(&folder, 3, 0, &format!("'{}', NULL, NULL, NULL, 200", public_id(&new)));
    for (named, count) in [("ci", 5), (public_id(&old), 2), (public_id(&new), 3)] {
        assert_eq!(stats(&folder, &["--key", named])["requests"], count, "{named}");
        assert_eq!(logs(&folder, &["--key", named]).len(), count, "{named}");
    }
}

#[test]
fn percentiles_are_right_to_within_one_percent() {
    let folder = folder();
    fill(&folder, 10_000, 0, "'0123456789ab', 'a.B', 'count', NULL, CASE WHEN i > 9000 THEN 500 ELSE 200 END");
    let near = |told: &Value, exact: f64| (told.as_f64().unwrap() - exact).abs() <= exact / 100.0;
    let told = stats(&folder, &[]);
    for total in [&told, &told["by_key"][0], &told["by_namespace"][0], &told["by_intent"][0], &told["by_code"][0]] {
        assert!(near(&total["p50_us"], 5000.0) && near(&total["p95_us"], 9500.0) && near(&total["p99_us"], 9900.0));
        assert_eq!((&total["requests"], &total["failed"]), (&json!(10_000), &json!(1000)));
    }
    let failed = stats(&folder, &["--status", "5xx"]);
    assert_eq!(failed["requests"], 1000);
    assert!(near(&failed["p50_us"], 9500.0), "{failed}");
}

#[test]
fn totals_over_time_are_those_of_each_period() {
    let folder = folder();
    fill(&folder, 7200, 60, "NULL, NULL, NULL, NULL, CASE i % 10 WHEN 0 THEN 429 ELSE 200 END");
    let told = stats(&folder, &[]);
    assert_eq!(told["period_s"], 300);
    let periods = told["over_time"].as_array().unwrap();
    assert!((24..=26).contains(&periods.len()), "{}", periods.len());
    for field in ["requests", "refused"] {
        let sum: u64 = periods.iter().map(|period| period[field].as_u64().unwrap()).sum();
        assert_eq!(json!(sum), told[field]);
    }
    let full = &periods[3];
    assert_eq!((&full["requests"], &full["refused"]), (&json!(300), &json!(30)));
    assert!(full["from"].as_str().unwrap().ends_with(":00.000000Z"), "{full}");
}

#[test]
fn totals_are_those_of_the_entries_that_are_listed() {
    let folder = folder();
    // Ids and moments run against each other, and most entries are older than what is asked for.
    fill(&folder, 500, 5000, "'0123456789ab', 'a.New', 'count', NULL, 200");
    fill(&folder, 3000, 40_000, "'0123456789ab', 'a.Old', 'count', NULL, 200");
    fill(&folder, 200, 7000, "'ba9876543210', 'a.Newer', 'count', 'JQL:JqlException', 400");
    // As moments, so that both commands mean the same one.
    let ago = |seconds: i64| (jiff::Timestamp::now() - jiff::SignedDuration::from_secs(seconds)).to_string();
    let [recent, middle, late, early] = [7200, 7100, 5100, 41_000].map(ago).map(|moment| moment[..19].to_owned() + "Z");
    for words in [
        &[][..],
        &["--since", &recent],
        &["--since", &middle],
        &["--since", &late],
        &["--since", &early],
        &["--since", "2999-01-01"],
        &["--since", "1970-01-01"],
        &["--key", "ba9876543210"],
        &["--status", "2xx", "--since", &recent],
        &["--status", "5xx"],
    ] {
        let listed = run(&folder, &[&["logs", "--json", "--last", "100000"], words].concat()).lines().count();
        assert_eq!(stats(&folder, words)["requests"], json!(listed), "{words:?}");
    }
}

#[test]
fn an_empty_log_says_so() {
    let folder = folder();
    let output = jqlite(&folder, &["logs", "--stats"]).output().unwrap();
    assert_eq!((output.status.code(), output.stdout.len()), (Some(0), 0));
    assert_eq!(String::from_utf8_lossy(&output.stderr), "the usage log has no such entries\n");
    let told = stats(&folder, &[]);
    assert_eq!((&told["requests"], &told["p99_us"], &told["by_key"]), (&json!(0), &Value::Null, &json!([])));
}

#[test]
fn totals_are_tables_and_a_plot_in_plain_text() {
    let folder = folder();
    let key = run(&folder, &["keys", "create", "--name", "ci", "--allow", "a.B:read"]);
    change(&folder, r#"UPDATE "system.ApiKey" SET "name" = 'c' || char(27) || '[31mi' WHERE "name" = 'ci'"#);
    fill(&folder, 400, 0, &format!("'{}', 'a.M' || (i % 30), 'count', NULL, 200 + i % 2 * 203", public_id(&key)));
    let told = run(&folder, &["logs", "--stats"]);
    assert!(told.contains(&format!(" {}  c\\u{{1b}}[31mi  400       200      0 ", public_id(&key))), "{told}");
    assert!(told.contains("\nrequests in each 10 s\n") && told.contains("\nrefused in each 10 s\n"), "{told}");
    assert!(!told.contains("\nfailed in each"), "what is nowhere is not drawn");
    assert!(told.contains('┼') && told.contains("\n and 10 more, which --json tells\n"), "{told}");
    assert!(told.chars().all(|c| c == '\n' || !c.is_control()), "{told:?}");
    assert!(told.lines().all(|line| line.chars().count() <= 80), "{told}");
    let everything = stats(&folder, &[]);
    assert_eq!(everything["by_namespace"].as_array().unwrap().len(), 30);
}

#[test]
fn one_moment_can_be_drawn_too() {
    let folder = folder();
    change(
        &folder,
        r#"INSERT INTO "system.UsageLog" ("at", "request_id", "duration_us", "rows", "queries", "request_bytes", "response_bytes", "status")
           VALUES (strftime('%Y-%m-%dT%H:%M:%fZ'), 'r', 5, 0, 0, 0, 0, 200)"#,
    );
    assert!(run(&folder, &["logs", "--stats"]).contains('┼'));
}

#[test]
fn what_says_nothing_together_is_refused() {
    let folder = folder();
    for words in [["--stats", "--follow"], ["--stats", "--last=5"]] {
        fails(&folder, &[&["logs"], &words[..]].concat(), 2);
    }
    fails(&folder, &["logs", "--stats", "--key", "nobody"], 1);
    fails(&folder, &["logs", "--follow", "--key", "nobody"], 1);
    for rows in ["0", "-1", "many"] {
        fails(&folder, &["serve", "--log-rows", rows], 2);
    }
}

#[test]
fn totals_are_of_one_moment_while_entries_come_and_go() {
    let folder = folder();
    fill(&folder, 20_000, 90_000, "'0123456789ab', 'a.B', 'count', NULL, 200");
    let server = Server::on(folder, &["--log-retention", "1d"]);
    let mut client = Client::connect(&server.address);
    loop {
        for _ in 0..50 {
            assert_eq!(client.jql(&server.key, &count("system.Model").to_string()).status, 400);
        }
        let told = stats(&server.folder, &[]);
        for list in ["by_key", "by_namespace", "by_intent", "by_code", "over_time"] {
            let items = told[list].as_array().unwrap();
            let sum: u64 = items.iter().map(|item| item["requests"].as_u64().unwrap()).sum();
            assert_eq!(json!(sum), told["requests"], "{list}");
        }
        if told["by_key"].as_array().unwrap().iter().all(|item| item["key"] != "0123456789ab") {
            break; // all that was old is gone
        }
    }
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
