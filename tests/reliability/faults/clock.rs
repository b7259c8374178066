//! The clock set back, and forward: libfaketime stands between the server and the system's clock.

use super::survived;
use crate::support::{Client, Folder, Reply, Server, eventually, key_to_all, log_rows, request, run, skip};
use serde_json::{Value, json};
use std::path::PathBuf;
use std::process::Command;

const MODELS: &str = r#"{
    "clock.Item": {
        "fields": {
            "name": { "type": "string", "max_length": 40 },
            "made": { "type": "datetime", "auto_now_add": true },
            "changed": { "type": "datetime", "auto_now": true }
        },
        "ordering": ["id"]
    },
    "clock.Token": { "id": { "type": "uuid" }, "fields": { "name": { "type": "string", "max_length": 40 } } }
}"#;

/// The library, where the Debian package `faketime` puts it.
fn library() -> Option<PathBuf> {
    let folders = std::fs::read_dir("/usr/lib").ok()?.filter_map(Result::ok);
    let library = |folder: std::fs::DirEntry| folder.path().join("faketime/libfaketimeMT.so.1");
    folders.map(library).chain(["/usr/lib/faketime/libfaketimeMT.so.1".into()]).find(|path| path.exists())
}

/// A server whose clock is set by a file.
struct Clocked {
    server: Server,
    client: Client,
}

impl Clocked {
    fn start(words: &[&str]) -> Option<Clocked> {
        let library = library()?;
        let folder = Folder::new();
        let models = folder.file("models.json", MODELS);
        run(&folder, &["models", "apply", models.to_str().unwrap()]);
        let key = key_to_all(&folder);
        let clock = folder.file("clock", "+0");
        let mut command = Command::new("env");
        command.env("LD_PRELOAD", library).env("FAKETIME_TIMESTAMP_FILE", clock);
        // It is to look at the file each time, and to leave the clock alone that only runs forward.
        command.env("FAKETIME_NO_CACHE", "1").env("FAKETIME_DONT_FAKE_MONOTONIC", "1").env("DONT_FAKE_MONOTONIC", "1");
        let server = Server::through(command, folder, key, words);
        let client = Client::connect(&server.address);
        Some(Clocked { server, client })
    }

    /// Sets the server's clock: so far from the system's.
    fn set(&self, to: &str) {
        let new = self.server.folder.file("clock.new", to);
        std::fs::rename(new, self.server.folder.path("clock")).unwrap();
    }

    fn ask(&mut self, key: &str, request: &Value) -> Reply {
        self.client.jql(key, &request.to_string())
    }

    #[track_caller]
    fn data(&mut self, request: &Value) -> Value {
        let key = self.server.key.clone();
        let reply = self.ask(&key, request);
        assert_eq!(reply.status, 200, "{}", reply.body);
        reply.json()["data"].clone()
    }

    /// Makes a record; its id and its moment.
    fn make(&mut self, name: &str) -> (i64, String) {
        let meta = json!({"return": {"id": null, "made": null}});
        let data = self.data(&request("create", "clock.Item", &meta, &json!({"name": name})));
        (data["id"].as_i64().unwrap(), data["made"].as_str().unwrap().to_owned())
    }

    fn token(&mut self) -> String {
        self.data(&request("create", "clock.Token", &json!({}), &json!({"name": "t"})))["id"].to_string()
    }

    /// Sends a write that may be sent again; whether its answer was kept.
    fn again(&mut self) -> bool {
        let body = request("create", "clock.Item", &json!({}), &json!({"name": "once"})).to_string();
        let head = format!("Authorization: Bearer {}\r\nContent-Type: application/json\r\n", self.server.key);
        let head = format!("{head}Idempotency-Key: once\r\nContent-Length: {}\r\n", body.len());
        let reply = self.client.request("POST", "/jql", &head, &body);
        assert_eq!(reply.status, 200, "{}", reply.body);
        crate::ledger::is_replayed(&reply)
    }

    fn page(&mut self, after: Option<&Value>, order: &str) -> (Vec<i64>, Option<Value>) {
        let mut meta = json!({"ordering": [order], "limit": 3});
        if let Some(after) = after {
            meta["after"] = after.clone();
        }
        let key = self.server.key.clone();
        let reply = self.ask(&key, &request("retrieve", "clock.Item", &meta, &json!({"id": null}))).json();
        let ids = reply["data"].as_array().unwrap().iter().map(|record| record["id"].as_i64().unwrap()).collect();
        (ids, reply["extras"].get("next").filter(|next| !next.is_null()).cloned())
    }

    /// All pages behind a first one.
    fn rest(&mut self, (mut ids, mut next): (Vec<i64>, Option<Value>), order: &str) -> Vec<i64> {
        while let Some(after) = next {
            let page = self.page(Some(&after), order);
            ids.extend(page.0);
            next = page.1;
        }
        ids
    }

    /// The text of a key that may count records.
    fn key(&self, name: &str, words: &[&str]) -> String {
        run(&self.server.folder, &[&["keys", "create", "--name", name, "--allow", "clock.*:read"], words].concat())
    }

    fn status(&mut self, key: &str) -> u16 {
        self.ask(key, &request("count", "clock.Item", &json!({}), &json!({}))).status
    }
}

const WHY: &str = "it takes libfaketime (the Debian package faketime)";

#[test]
fn a_clock_that_is_set_back_confuses_nobody() {
    let Some(mut clocked) = Clocked::start(&[]) else { return skip("the clock set back", WHY) };
    let (ends, revoked) = (clocked.key("ends", &["--expires", "1h"]), clocked.key("revoked", &[]));
    run(&clocked.server.folder, &["keys", "revoke", "revoked"]);
    let often = clocked.key("often", &["--rate", "3"]);
    let before: Vec<(i64, String)> = (0..8).map(|n| clocked.make(&n.to_string())).collect();
    let tokens: Vec<String> = (0..3).map(|_| clocked.token()).collect();
    assert!(!clocked.again());
    let by_id = clocked.page(None, "id");
    let newest_first = clocked.page(None, "-made");
    for _ in 0..3 {
        assert_eq!(clocked.status(&often), 200);
    }
    clocked.set("-2d");
    let after: Vec<(i64, String)> = (0..4).map(|n| clocked.make(&format!("later {n}"))).collect();
    assert!(after[0].1 < before[0].1, "the clock was set back: {} {}", after[0].1, before[0].1);
    // Ids go on, those that are made of the time too.
    let ids: Vec<i64> = before.iter().chain(&after).map(|(id, _)| *id).collect();
    assert!(ids.is_sorted_by(|one, next| one < next));
    let tokens: Vec<String> = tokens.into_iter().chain((0..3).map(|_| clocked.token())).collect();
    assert!(tokens.is_sorted_by(|one, next| one < next), "{tokens:?}");
    // Pages that were begun go on: each record is there once, those of before in any order.
    let all = clocked.rest(by_id, "id");
    assert!(all.is_sorted_by(|one, next| one < next) && ids.iter().all(|id| all.contains(id)), "{all:?}");
    let mut all = clocked.rest(newest_first, "-made");
    let length = all.len();
    all.sort_unstable();
    all.dedup();
    assert_eq!(all.len(), length);
    assert!(before.iter().all(|(id, _)| all.contains(id)));
    // What changes now is of now.
    let meta = json!({"uniqueObject": {"id": before[0].0}, "return": {"changed": null}});
    let changed = clocked.data(&request("update", "clock.Item", &meta, &json!({"name": "changed"})));
    assert!(changed["changed"].as_str().unwrap() < before[0].1.as_str());
    // Keys, rates and retries are as they were.
    assert_eq!((clocked.status(&ends), clocked.status(&revoked)), (200, 401));
    let reply = clocked.ask(&often, &request("count", "clock.Item", &json!({}), &json!({})));
    let wait: u64 = reply.header("retry-after").unwrap().parse().unwrap();
    assert!(reply.status == 429 && wait <= 21, "{wait}");
    assert!(clocked.again(), "it is done once");
    // The log has all, in the order in which it came, and keeps it.
    let first = clocked.server.logs(&[]).first().unwrap()["request_id"].clone();
    let rows = log_rows(&clocked.server.folder);
    clocked.make("last");
    eventually("the log goes on", || log_rows(&clocked.server.folder) > rows);
    let log = clocked.server.logs(&[]);
    assert_eq!(log.first().unwrap()["request_id"], first);
    let moments: Vec<&str> = log.iter().map(|entry| entry["at"].as_str().unwrap()).collect();
    assert!(moments.last() < moments.first(), "the last one is of before the first");
    assert_eq!(clocked.server.stop().0, Some(0));
    survived("the clock set back by two days");
}

#[test]
fn a_clock_that_is_set_forward_ends_what_has_an_end() {
    let Some(mut clocked) = Clocked::start(&["--log-retention", "30d"]) else {
        return skip("the clock set forward", WHY);
    };
    let ends = clocked.key("ends", &["--expires", "3h"]);
    let old = clocked.key("rotated", &[]);
    let new = run(&clocked.server.folder, &["keys", "rotate", "rotated", "--overlap", "1h"]);
    let revoked = clocked.key("revoked", &[]);
    run(&clocked.server.folder, &["keys", "revoke", "revoked"]);
    assert!(!clocked.again());
    // The keys are remembered by then, on a connection that is kept.
    for _ in 0..20 {
        assert_eq!([&ends, &old, &new, &revoked].map(|key| clocked.status(key)), [200, 200, 200, 401]);
    }
    clocked.set("+2h");
    assert_eq!([&ends, &old, &new, &revoked].map(|key| clocked.status(key)), [200, 401, 200, 401]);
    assert!(clocked.again(), "answers are kept for a day");
    clocked.set("+4h");
    assert_eq!([&ends, &old, &new, &revoked].map(|key| clocked.status(key)), [401, 401, 200, 401]);
    // What the clock alone ended, it brings back; what somebody ended is ended for good.
    clocked.set("+0");
    assert_eq!([&ends, &old, &new, &revoked].map(|key| clocked.status(key)), [200, 200, 200, 401]);
    // What is older than the log is kept goes, and nothing of what is younger, be it of a time to come.
    clocked.set("+40d");
    assert_eq!(clocked.status(&new), 200);
    eventually("the log is pruned", || clocked.server.logs(&[]).len() == 1);
    clocked.set("+0");
    assert_eq!(clocked.status(&new), 200);
    let rows = r#"SELECT count(*) FROM "system.UsageLog""#;
    eventually("there are two", || clocked.server.rows(rows) == "Integer(2)\n");
    assert!(!clocked.again(), "its day was over in between");
    eventually("there are three", || clocked.server.rows(rows) == "Integer(3)\n");
    survived("the clock set forward by forty days, and back");
}
