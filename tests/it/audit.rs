//! `audit`: each fault, planted in a database that is clean otherwise, is found with what it was seen by and the
//! command that mends it; and what is clean is left alone.

use crate::support::{Folder, MODELS, Server, eventually, fails, jqlite, request, run};
use serde_json::{Value, json};
use std::process::Command;

const EVERYTHING: &str = "*.*:*,system.*:*";

/// A database of keys and a log that were made up.
struct Books {
    folder: Folder,
    /// The public ids of its two keys: one that may do everything, and one that reads tickets.
    admin: String,
    ci: String,
}

impl Books {
    /// Two keys without fault, 20 days old. `ci` reads tickets twice an hour, for 20 days, from two addresses.
    fn clean() -> Books {
        let folder = Folder::new();
        let models = folder.file("models.json", MODELS);
        run(&folder, &["models", "apply", models.to_str().unwrap()]);
        let mut books = Books { folder, admin: String::new(), ci: String::new() };
        books.admin = books.key("admin", EVERYTHING);
        books.ci = books.key("ci", "tickets.Ticket:read");
        books.age("20 days");
        for (minutes, address) in [(0, "192.0.2.1"), (30, "192.0.2.2")] {
            let start = format!("{} minutes", 479 * 60 + minutes);
            books.log_each(468, 3600, &books.ci, &start, "tickets.Ticket retrieve", 200, address);
        }
        assert_eq!(books.findings(&[]), Vec::<Value>::new());
        books
    }

    /// Makes a key that ends in 80 days, and gives its public id.
    fn key(&self, name: &str, permissions: &str) -> String {
        run(&self.folder, &["keys", "create", "--name", name, "--allow", permissions, "--expires", "80d"])[4..16]
            .to_owned()
    }

    /// Makes all keys and secrets look older.
    fn age(&self, by: &str) {
        self.change(&format!(
            r#"UPDATE "system.ApiKey" SET "created" = {0}; UPDATE "system.ApiKeySecret" SET "created" = {0};"#,
            ago(by)
        ));
    }

    fn change(&self, statements: &str) {
        let database = rusqlite::Connection::open(self.folder.path("test.db")).unwrap();
        database.execute_batch(&format!("BEGIN; {statements}; COMMIT;")).unwrap();
    }

    /// Adds an entry to the log: this long ago, this namespace and intent (or neither, or what reads without an intent).
    fn log(&self, key: &str, ago: &str, what: &str, status: u16, address: &str) {
        self.log_many(1, key, ago, what, status, address);
    }

    /// Adds so many entries, a second after one another.
    fn log_many(&self, count: u32, key: &str, ago: &str, what: &str, status: u16, address: &str) {
        self.log_each(count, 1, key, ago, what, status, address);
    }

    /// Adds so many entries, so many seconds after one another.
    #[allow(clippy::too_many_arguments)] // they are the columns
    fn log_each(&self, count: u32, step: u32, key: &str, before: &str, what: &str, status: u16, address: &str) {
        let text = |text: &str| if text.is_empty() { "NULL".to_owned() } else { format!("'{text}'") };
        let (namespace, intent) = what.split_once(' ').unwrap_or((what, ""));
        let action = if !namespace.is_empty() && intent.is_empty() { "read" } else { "" };
        self.change(&format!(
            r#"INSERT INTO "system.UsageLog" ("at", "request_id", "key", "namespace", "intent", "action", "status",
                 "rows", "queries", "duration_us", "request_bytes", "response_bytes", "remote_addr")
               SELECT strftime('%Y-%m-%dT%H:%M:%S.000000Z', 'now', '-{before}', ("value" * {step}) || ' seconds'), 'r',
                 {}, {}, {}, {}, {status}, 0, 0, 0, 0, 0, '{address}'
               FROM json_each('{}')"#,
            text(key),
            text(namespace),
            text(intent),
            text(action),
            json!((0..count).collect::<Vec<_>>())
        ));
    }

    /// What `audit --json` finds; the exit code must go with it.
    #[track_caller]
    fn findings(&self, words: &[&str]) -> Vec<Value> {
        let output = jqlite(&self.folder, &[&["audit", "--json"], words].concat()).output().unwrap();
        let found: Vec<Value> = serde_json::from_slice(&output.stdout)
            .unwrap_or_else(|_| panic!("{}", String::from_utf8_lossy(&output.stderr)));
        assert_eq!(output.status.code(), Some(i32::from(!found.is_empty())), "{found:?}");
        found
    }

    /// The one finding there is.
    #[track_caller]
    fn finding(&self) -> Value {
        let mut found = self.findings(&[]);
        assert_eq!(found.len(), 1, "{found:#?}");
        found.remove(0)
    }

    /// What stands on standard error beside the findings.
    fn notes(&self) -> String {
        String::from_utf8(jqlite(&self.folder, &["audit"]).output().unwrap().stderr).unwrap()
    }

    /// Pastes a command into a shell, where it must succeed.
    #[track_caller]
    fn paste(&self, command: &Value) {
        let binary = std::path::Path::new(env!("CARGO_BIN_EXE_jqlite")).parent().unwrap().to_owned();
        let path = format!("{}:{}", binary.display(), std::env::var("PATH").unwrap());
        let output = Command::new("sh")
            .args(["-c", command.as_str().unwrap()])
            .env("PATH", path)
            .env("JQLITE_DB", self.folder.path("test.db"))
            .output()
            .unwrap();
        assert!(output.status.success(), "{command}: {}", String::from_utf8_lossy(&output.stderr));
    }
}

/// An SQL expression for a moment before now.
fn ago(time: &str) -> String {
    format!("strftime('%Y-%m-%dT%H:%M:%S.000000Z', 'now', '-{time}')")
}

/// The parts of a finding that do not hold moments.
fn told(finding: &Value) -> (&str, &str, &str) {
    let text = |name: &str| finding[name].as_str().unwrap();
    (text("kind"), text("severity"), text("command"))
}

#[test]
fn what_is_clean_is_told_so_in_one_line() {
    let books = Books::clean();
    let said = run(&books.folder, &["audit"]);
    assert!(said.starts_with("nothing to mend: 2 keys, the log since ") && !said.contains('\n'), "{said}");
    assert_eq!(run(&books.folder, &["audit", "--json"]), "[]");
    fails(&books.folder, &["audit", "--window", "soon"], 2);
    fails(&books.folder, &["audit", "--within", "0s"], 2);
    fails(&books.folder, &["audit", "--refusals", "1"], 2);
}

/// Each fault of a key's own, with the statement that plants it in `ci`, and the command that mends it.
#[test]
fn faults_of_keys_are_found_and_mended() {
    for (kind, severity, plant, reason, command) in [
        (
            "never-expires",
            "low",
            r#"UPDATE "system.ApiKey" SET "expires" = NULL WHERE "public_id" = '{ci}'"#,
            "It works until somebody ends it.",
            "jqlite keys update {ci} --expires 90d",
        ),
        (
            "no-permissions",
            "low",
            r#"UPDATE "system.ApiKey" SET "permissions" = '' WHERE "public_id" = '{ci}'"#,
            "Its list of permissions is empty.",
            "jqlite keys revoke {ci}",
        ),
        (
            "unused",
            "medium",
            r#"DELETE FROM "system.UsageLog";
               UPDATE "system.ApiKey" SET "last_used" = '2020-01-31T09:30:00.000000Z', "last_ip" = '192.0.2.1',
                 "created" = '2020-01-01T00:00:00.000000Z' WHERE "public_id" = '{ci}'"#,
            "It was last used at 2020-01-31 09:30 UTC.",
            "jqlite keys revoke {ci}",
        ),
        (
            "unused",
            "medium",
            r#"DELETE FROM "system.UsageLog";
               UPDATE "system.ApiKey" SET "created" = '2020-01-01T00:00:00.000000Z' WHERE "public_id" = '{ci}'"#,
            "It was made at 2020-01-01 00:00 UTC and never used.",
            "jqlite keys revoke {ci}",
        ),
    ] {
        let books = Books::clean();
        let named = |text: &str| text.replace("{ci}", &books.ci);
        books.change(&named(plant));
        let found = books.finding();
        assert_eq!(told(&found), (kind, severity, named(command).as_str()));
        assert_eq!(found["reason"], reason);
        assert_eq!(found["key"], json!({"id": books.ci, "name": "ci"}));
        books.paste(&found["command"]);
        assert_eq!(books.findings(&[]), Vec::<Value>::new(), "{kind} is mended");
    }
}

#[test]
fn an_old_secret_is_found_and_rotated() {
    let books = Books::clean();
    let old = format!(
        r#"UPDATE "system.ApiKeySecret" SET "created" = {} WHERE "public_id" = '{}'"#,
        ago("100 days"),
        books.ci
    );
    books.change(&old);
    let found = books.finding();
    assert_eq!(
        told(&found),
        ("old-secret", "medium", format!("jqlite keys rotate {} --overlap 1d", books.ci).as_str())
    );
    assert_eq!((&found["reason"], &found["evidence"]["days"]), (&json!("Its secret is 100 days old."), &json!(100)));
    assert_eq!(books.findings(&["--max-age", "101d"]), Vec::<Value>::new());
    books.paste(&found["command"]);
    let found = books.finding();
    assert_eq!(found["kind"], "overlap-open", "the old secret has a day left, which is told");
    books.paste(&found["command"]);
    assert_eq!(books.findings(&[]), Vec::<Value>::new());
}

#[test]
fn permissions_that_are_not_used_are_found_with_the_narrower_list() {
    for (held, narrower, not_seen, kept) in [
        (
            "tickets.Ticket:*",
            "tickets.Ticket:read",
            json!(["tickets.Ticket:create", "tickets.Ticket:update", "tickets.Ticket:delete"]),
            Value::Null,
        ),
        ("tickets.Ticket:read,fleet.Vehicle:read", "tickets.Ticket:read", json!(["fleet.Vehicle:read"]), Value::Null),
        // A request to tickets may nest their categories and tags.
        (
            "tickets.*:read,fleet.*:*",
            "tickets.*:read",
            json!(["fleet.*:*"]),
            json!(["tickets.Category:read", "tickets.Tag:read"]),
        ),
        (
            "*.*:read",
            "profile.Customer:read,tickets.Category:read,tickets.Tag:read,tickets.Ticket:read",
            json!(["fleet.Vehicle:read"]),
            json!(["profile.Customer:read", "tickets.Category:read", "tickets.Tag:read"]),
        ),
    ] {
        let books = Books::clean();
        run(&books.folder, &["keys", "update", "ci", "--allow", held]);
        let found = books.finding();
        assert_eq!((&found["kind"], &found["severity"]), (&json!("unused-permissions"), &json!("medium")));
        assert_eq!((&found["evidence"]["not_seen"], &found["evidence"]["kept"]), (&not_seen, &kept), "{held}");
        assert_eq!(found["evidence"]["requests"], 936);
        let reason = found["reason"].as_str().unwrap();
        assert!(reason.starts_with("Some of what it may do was not seen in the log since 20"), "{reason}");
        assert_eq!(reason.contains("may need without being named there is kept"), !kept.is_null(), "{reason}");
        assert_eq!(reason.contains("a subquery over an unrelated model"), held != "tickets.Ticket:*", "{reason}");
        books.paste(&found["command"]);
        assert_eq!(books.findings(&[]), Vec::<Value>::new());
        let shown: Value = serde_json::from_str(&run(&books.folder, &["keys", "show", "ci", "--json"])).unwrap();
        assert_eq!(shown["permissions"], narrower);
    }
}

#[test]
fn a_request_that_failed_for_another_reason_used_its_permission() {
    let books = Books::clean();
    run(&books.folder, &["keys", "update", "ci", "--allow", "tickets.Ticket:*"]);
    for (what, status) in [("tickets.Ticket upsert", 409), ("tickets.Ticket deleteOne", 404)] {
        books.log(&books.ci, "1 hours", what, status, "192.0.2.1");
    }
    assert_eq!(books.findings(&[]), Vec::<Value>::new(), "an upsert needs both create and update");
    let books = Books::clean();
    run(&books.folder, &["keys", "update", "ci", "--allow", "tickets.Ticket:read,tickets.Ticket:delete"]);
    books.log(&books.ci, "1 hours", "tickets.Ticket deleteOne", 400, "192.0.2.1");
    assert_eq!(books.finding()["evidence"]["not_seen"], json!(["tickets.Ticket:delete"]), "a malformed one did not");
}

#[test]
fn who_only_watches_the_server_uses_the_permission_for_that() {
    let books = Books::clean();
    run(&books.folder, &["keys", "update", "ci", "--allow", "tickets.Ticket:read,system.UsageLog:read"]);
    assert_eq!(books.finding()["evidence"]["not_seen"], json!(["system.UsageLog:read"]));
    books.log(&books.ci, "1 hours", "system.UsageLog", 200, "192.0.2.1");
    assert_eq!(books.findings(&[]), Vec::<Value>::new());
}

#[test]
fn what_cannot_be_told_from_the_log_is_said_instead() {
    for (what, why) in [
        ("system.Batch execute", "it sent 1 batches, and the log does not name the requests in them"),
        ("system.ApiKey create", "it makes or changes keys, and can give only what it has itself"),
    ] {
        let books = Books::clean();
        run(&books.folder, &["keys", "update", "ci", "--allow", "tickets.*:*,fleet.*:*,system.ApiKey:create"]);
        books.log(&books.ci, "1 hours", what, 200, "192.0.2.1");
        assert_eq!(books.findings(&[]), Vec::<Value>::new());
        assert_eq!(books.notes(), format!("the permissions of \"ci\" ({}) are not judged: {why}\n", books.ci));
    }
}

#[test]
fn a_key_or_a_log_of_less_than_a_day_is_not_judged_by_its_use() {
    let books = Books::clean();
    let young = books.key("young", "tickets.Ticket:*");
    books.log(&young, "0 hours", "tickets.Ticket retrieve", 200, "192.0.2.1");
    assert_eq!(books.findings(&[]), Vec::<Value>::new());
    run(&books.folder, &["keys", "update", "ci", "--allow", "tickets.Ticket:*"]);
    assert_eq!(books.findings(&[]).len(), 1);
    books.change(&format!(r#"DELETE FROM "system.UsageLog" WHERE "at" < {}"#, ago("23 hours")));
    assert_eq!(books.findings(&[]), Vec::<Value>::new());
}

#[test]
fn one_key_may_do_everything_and_the_others_are_narrowed_or_disabled() {
    let books = Books::clean();
    run(&books.folder, &["keys", "update", "ci", "--allow", "*.*:*"]);
    let found = books.finding();
    let list = "profile.Customer:read,tickets.Category:read,tickets.Tag:read,tickets.Ticket:read";
    assert_eq!(told(&found), ("wide", "high", format!("jqlite keys update {} --allow '{list}'", books.ci).as_str()));
    assert_eq!(found["evidence"]["as_well_as"], json!([books.admin]));
    books.paste(&found["command"]);
    assert_eq!(books.findings(&[]), Vec::<Value>::new());
    let second = books.key("second", "system.*:*");
    let found = books.finding();
    assert_eq!(told(&found), ("wide", "high", format!("jqlite keys disable {second}").as_str()));
    books.paste(&found["command"]);
    assert_eq!(books.findings(&[]), Vec::<Value>::new());
}

#[test]
fn keys_that_ended_and_are_still_sent_are_found() {
    for (end, reason) in [
        (r#""revoked" = {}"#, "It was revoked at "),
        (r#""disabled" = {}"#, "It was disabled at "),
        (r#""expires" = {}"#, "It expired at "),
    ] {
        let books = Books::clean();
        let set = end.replace("{}", &ago("10 hours"));
        books.change(&format!(r#"UPDATE "system.ApiKey" SET {set} WHERE "public_id" = '{}'"#, books.ci));
        assert_eq!(books.findings(&[]), Vec::<Value>::new(), "to have ended is no fault");
        books.log(&books.ci, "11 hours", "", 401, "192.0.2.1");
        books.log_many(3, &books.ci, "9 hours", "", 401, "198.51.100.7");
        let found = books.finding();
        let first = found["evidence"]["first"].as_str().unwrap();
        let command = format!("jqlite logs --key {} --status 401 --since {first}", books.ci);
        assert_eq!(told(&found), ("ended-in-use", "high", command.as_str()));
        let said = found["reason"].as_str().unwrap();
        assert!(said.starts_with(reason) && said.ends_with(", and is still sent."), "{said}");
        assert_eq!(found["evidence"]["count"], 3);
        assert_eq!(found["evidence"]["addresses"], json!(["198.51.100.7"]));
        assert!(found["evidence"]["last"].as_str().unwrap() > first);
        books.paste(&found["command"]);
        assert_eq!(books.findings(&["--recent", "8h"]), Vec::<Value>::new(), "told as long as it is recent");
    }
}

#[test]
fn old_secrets_in_use_are_found_while_they_work_and_when_they_do_not() {
    let books = Books::clean();
    run(&books.folder, &["keys", "rotate", "ci", "--overlap", "2d"]);
    let current: Value = serde_json::from_str(&run(&books.folder, &["keys", "show", "ci", "--json"])).unwrap();
    let current = current["id"].as_str().unwrap();
    books.change(&format!(
        r#"UPDATE "system.ApiKeySecret" SET "created" = {} WHERE "public_id" = '{current}'"#,
        ago("10 hours")
    ));
    let end = format!("jqlite keys rotate {current} --end-overlap");
    let found = books.finding();
    assert_eq!(told(&found), ("overlap-open", "low", end.as_str()));
    books.log_many(2, &books.ci, "9 hours", "tickets.Ticket retrieve", 200, "192.0.2.2");
    let found = books.finding();
    assert_eq!(told(&found), ("old-secret-in-use", "medium", end.as_str()));
    assert_eq!((&found["evidence"]["count"], &found["evidence"]["addresses"]), (&json!(2), &json!(["192.0.2.2"])));
    assert!(found["reason"].as_str().unwrap().contains(&format!("its old secret {} is still used", books.ci)));
    books.paste(&found["command"]);
    assert_eq!(books.findings(&[]), Vec::<Value>::new());
    books.change(&format!(
        r#"UPDATE "system.ApiKeySecret" SET "until" = {} WHERE "public_id" = '{}'"#,
        ago("2 hours"),
        books.ci
    ));
    books.log(&books.ci, "1 hours", "", 401, "192.0.2.2");
    let found = books.finding();
    let of_before = format!("Its secret {}, of before a rotation, ended at ", books.ci);
    assert_eq!(found["kind"], "ended-in-use");
    assert!(found["reason"].as_str().unwrap().starts_with(&of_before));
    // It still ended by its rotation when the key is revoked later.
    run(&books.folder, &["keys", "revoke", current]);
    let found = books.finding();
    assert_eq!(found["kind"], "ended-in-use");
    assert!(found["reason"].as_str().unwrap().starts_with(&of_before));
}

#[test]
fn bursts_of_refusals_are_found_by_key_and_by_address() {
    let books = Books::clean();
    books.log_many(19, &books.ci, "50 hours", "tickets.Tag retrieve", 403, "192.0.2.1");
    books.log_many(19, "", "50 hours", "", 401, "198.51.100.7");
    assert_eq!(books.findings(&[]), Vec::<Value>::new());
    assert_eq!(books.findings(&["--refusals", "19"]).len(), 2);
    books.log_many(21, &books.ci, "30 hours", "tickets.Tag retrieve", 403, "192.0.2.1");
    books.log_many(25, "", "40 hours", "", 401, "198.51.100.7");
    assert_eq!(books.findings(&["--within", "10s"]), Vec::<Value>::new(), "ten in ten seconds are no burst");
    let found = books.findings(&[]);
    let (by_key, by_address) = (&found[0], &found[1]);
    assert_eq!(told(by_key), ("refused-key", "high", format!("jqlite keys disable {}", books.ci).as_str()));
    let reason = by_key["reason"].as_str().unwrap();
    assert!(reason.starts_with("21 of its requests were refused (403) within 5m, at 20"), "{reason}");
    assert_eq!((&by_key["evidence"]["count"], &by_key["evidence"]["all_recent"]), (&json!(21), &json!(40)));
    let first = by_address["evidence"]["first"].as_str().unwrap();
    let command = format!("jqlite logs --status 4xx --since {first}");
    assert_eq!(told(by_address), ("refused-address", "high", command.as_str()));
    assert_eq!((&by_address["address"], &by_address["key"]), (&json!("198.51.100.7"), &Value::Null));
    assert_eq!(by_address["evidence"]["count"], 25);
    books.paste(&by_address["command"]);
    books.paste(&by_key["command"]);
    let left = books.findings(&[]);
    assert!(left.iter().all(|finding| finding["key"].is_null()), "the key is dealt with: {left:?}");
    assert_eq!(books.findings(&["--recent", "20h"]), Vec::<Value>::new());
}

#[test]
fn an_address_that_a_key_never_used_before_is_found() {
    let books = Books::clean();
    // Whoever was turned away from there never used the key from there.
    books.log(&books.ci, "400 hours", "", 403, "203.0.113.9");
    books.log_many(2, &books.ci, "5 hours", "tickets.Ticket retrieve", 200, "203.0.113.9");
    let found = books.finding();
    let bind = format!("jqlite keys update {} --allowed-ips '192.0.2.1,192.0.2.2'", books.ci);
    assert_eq!(told(&found), ("new-address", "medium", bind.as_str()));
    assert_eq!((&found["evidence"]["count"], &found["evidence"]["addresses"]), (&json!(2), &json!(["203.0.113.9"])));
    assert_eq!(found["evidence"]["known"], json!(["192.0.2.1", "192.0.2.2"]));
    books.paste(&found["command"]);
    assert_eq!(books.findings(&[]), Vec::<Value>::new());
    // A key that is new is new everywhere.
    let fresh = books.key("fresh", "tickets.Ticket:read");
    books.log(&fresh, "0 hours", "tickets.Ticket retrieve", 200, "203.0.113.9");
    assert_eq!(books.findings(&[]), Vec::<Value>::new());
    // One that comes from everywhere is not bound, but gets a new secret.
    for host in 10..30 {
        books.log(&fresh, "300 hours", "tickets.Ticket retrieve", 200, &format!("192.0.2.{host}"));
    }
    let found = books.finding();
    assert_eq!(told(&found), ("new-address", "medium", format!("jqlite keys rotate {fresh}").as_str()));
    books.paste(&found["command"]);
    assert_eq!(books.findings(&[]), Vec::<Value>::new());
}

#[test]
fn an_hour_far_above_a_keys_own_past_is_found() {
    let books = Books::clean();
    let spike = |count: u32, ago: &str| {
        books.log_each(count, 0, &books.ci, ago, "tickets.Ticket retrieve", 200, "192.0.2.1");
    };
    spike(90, "8 hours");
    assert_eq!(books.findings(&[]), Vec::<Value>::new(), "fewer than a hundred are not told of");
    spike(120, "10 hours");
    let found = books.finding();
    let mend = format!("jqlite keys update {} --rate 1", books.ci);
    assert_eq!(told(&found), ("above-its-past", "medium", mend.as_str()));
    assert_eq!((&found["evidence"]["count"], &found["evidence"]["usual"]), (&json!(120), &json!(2)));
    assert!(found["evidence"]["first"].as_str().unwrap().ends_with(":00:00.000000Z"), "{found}");
    books.paste(&found["command"]);
    assert_eq!(books.findings(&[]), Vec::<Value>::new());
}

#[test]
fn a_running_server_is_audited_and_no_secret_is_told() {
    let server = Server::start();
    let revoked = server.key_for("tickets.Ticket:read");
    run(&server.folder, &["keys", "revoke", "tickets.Ticket:read"]);
    let count = request("count", "tickets.Ticket", &json!({}), &json!({}));
    assert_eq!(server.send_as(&revoked, &count).status, 401);
    for _ in 0..25 {
        assert_eq!(server.send_as("jql_nonsense", &count).status, 401);
    }
    eventually("all of it is in the log", || server.log_rows() == 26);
    let output = jqlite(&server.folder, &["audit", "--json"]).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let found: Vec<Value> = serde_json::from_str(&text).unwrap();
    let kinds: Vec<&str> = found.iter().map(|finding| finding["kind"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["ended-in-use", "refused-address", "never-expires"]);
    assert_eq!((output.status.code(), output.stderr.as_slice()), (Some(1), b"jqlite: 3 findings\n".as_slice()));
    for key in [&revoked, &server.key] {
        assert!(!text.contains(&key[17..]), "{text}");
    }
}

/// A request for the findings.
fn asked(arguments: &Value) -> Value {
    request("audit", "system.ApiKey", &json!({"schema": "controller"}), arguments)
}

/// Findings without how many requests a key sent: asking for them is one.
fn without_requests(mut findings: Value) -> Value {
    for finding in findings.as_array_mut().unwrap() {
        finding["evidence"].as_object_mut().unwrap().remove("requests");
    }
    findings
}

#[test]
fn over_http_the_findings_are_those_of_the_command() {
    let mut books = Books::clean();
    books.log_many(25, &books.ci, "1 hours", "tickets.Ticket create", 403, "192.0.2.1");
    run(&books.folder, &["keys", "update", "ci", "--allow", "tickets.*:*"]);
    let (admin, ci) = (books.admin.clone(), books.ci.clone());
    let server = Server::on(std::mem::replace(&mut books.folder, Folder::new()), &[]);
    for (arguments, words) in [
        (json!({}), vec![]),
        (json!({"window": "5d"}), vec!["--window", "5d"]),
        (json!({"window": "30d", "maxAge": "10d"}), vec!["--max-age", "10d"]),
    ] {
        let output = jqlite(&server.folder, &[&["audit", "--json"], words.as_slice()].concat()).output().unwrap();
        let told = without_requests(serde_json::from_slice(&output.stdout).unwrap());
        let reply = server.send(&asked(&arguments));
        assert_eq!((reply.status, without_requests(reply.json()["data"].clone())), (200, told.clone()), "{arguments}");
        let count = told.as_array().unwrap().len();
        assert!(count >= 3, "{told}");
        assert_eq!(reply.json()["extras"], json!({"filtered": count, "display": count, "queries": 5}));
        let message = reply.json()["message"].as_str().unwrap().to_owned();
        assert!(message.starts_with(&format!("{count} findings: 3 keys, the log since ")), "{message}");
    }
    let found = server.data(&asked(&json!({})));
    let ended = found.as_array().unwrap().iter().find(|finding| finding["kind"] == "refused-key").unwrap();
    assert_eq!(ended["command"], format!("jqlite keys disable {ci}"));
    assert!(!found.to_string().contains(server.folder.database().to_str().unwrap()));
    let wide = found.as_array().unwrap().iter().find(|finding| finding["kind"] == "wide").unwrap();
    assert_eq!(wide["evidence"]["as_well_as"], json!([admin]));
}

#[test]
fn over_http_what_cannot_be_judged_is_in_the_message() {
    let mut books = Books::clean();
    books.log(&books.ci, "1 hours", "system.Batch execute", 200, "192.0.2.1");
    let ci = books.ci.clone();
    let server = Server::on(std::mem::replace(&mut books.folder, Folder::new()), &[]);
    let message = server.send(&asked(&json!({}))).json()["message"].as_str().unwrap().to_owned();
    let note =
        format!("Note: the permissions of \"ci\" ({ci}) are not judged: it sent 1 batches, and the log does not name");
    assert!(message.contains(&note), "{message}");
}

#[test]
fn over_http_it_takes_leave_to_read_keys_log_and_models() {
    let server = Server::start();
    let all = ["system.ApiKey:read", "system.UsageLog:read", "system.Model:read"];
    for left_out in 0..all.len() {
        let mut held = all.to_vec();
        let lacking = held.remove(left_out);
        let reply = server.send_as(&server.key_for(&held.join(",")), &asked(&json!({})));
        let message = format!("/__meta__/namespace: the key lacks the permission {lacking}");
        assert_eq!((reply.status, reply.errors()), (403, vec![message]));
    }
    let nothing = server.send_as(&server.key_for(""), &asked(&json!({})));
    assert_eq!(nothing.errors().len(), 3);
    let reply = server.send_as(&server.key_for(&all.join(",")), &asked(&json!({})));
    assert_eq!(reply.status, 200, "{}", reply.body);
    assert!(!reply.body.contains(&server.key[17..]) && !reply.body.contains("hash"), "{}", reply.body);
}

#[test]
fn over_http_its_terms_are_lengths_of_time() {
    let server = Server::start();
    let why = "\"window\" is refused: it must be longer than that";
    assert_eq!(server.refused(400, &asked(&json!({"window": "0s"}))), [format!("/window: {why}")]);
    let why = "\"maxAge\" is refused: \"soon\" is not a length of time; 30s, 15m, 1h and 90d are";
    assert_eq!(server.refused(400, &asked(&json!({"maxAge": "soon"}))), [format!("/maxAge: {why}")]);
    let errors = server.refused(400, &asked(&json!({"window": 30, "maxage": "30d"})));
    assert_eq!(errors[0], "/window: \"window\" must be a length of time, such as \"24h\", not 30");
    assert_eq!(errors[1], "/maxage: the controller audit has no key \"maxage\"");
}

#[test]
fn who_audits_uses_the_permissions_for_that() {
    let books = Books::clean();
    let all = "system.ApiKey:read,system.UsageLog:read,system.Model:read";
    run(&books.folder, &["keys", "update", "ci", "--allow", &format!("tickets.Ticket:read,{all}")]);
    books.log(&books.ci, "1 hours", "system.ApiKey audit", 200, "192.0.2.1");
    assert_eq!(books.findings(&[]), Vec::<Value>::new());
}

#[test]
fn what_is_hostile_in_names_and_addresses_moves_no_cursor_and_runs_nothing() {
    let books = Books::clean();
    let name = "\u{1b}[31mred'; touch stolen; '";
    let quoted = name.replace('\'', "''");
    books.change(&format!(
        r#"UPDATE "system.ApiKey" SET "name" = '{quoted}', "expires" = NULL,
             "permissions" = 'tickets.Ticket:read,fleet.Vehicle:*' WHERE "public_id" = '{}'"#,
        books.ci
    ));
    books.log_many(25, "", "5 hours", "", 401, "\u{1b}[2J198.51.100.7");
    books.log(&books.ci, "5 hours", "tickets.Ticket retrieve", 200, "$(touch stolen)\u{7}");
    let text = fails_with(&books.folder);
    assert!(!text.contains(|c: char| c.is_control() && c != '\n'), "{text:?}");
    assert!(text.contains(r"\u{1b}[31mred'; touch stolen; '") && text.contains(r"\u{1b}[2J198.51.100.7"), "{text}");
    for finding in books.findings(&[]) {
        books.paste(&finding["command"]);
    }
    assert!(!std::path::Path::new("stolen").exists());
    let spaced = Folder::new();
    let path = spaced.path("it's; here.db");
    let path = path.to_str().unwrap();
    let bare = |words: &[&str]| {
        let mut command = jqlite(&spaced, words);
        command.env_remove("JQLITE_DB").output().unwrap()
    };
    assert!(bare(&["--db", path, "bootstrap"]).status.success());
    let output = bare(&["--db", path, "audit", "--json"]);
    let found: Vec<Value> = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(found[0]["kind"], "never-expires");
    assert!(found[0]["command"].as_str().unwrap().starts_with("jqlite --db \""), "{found:?}");
    books.paste(&found[0]["command"]);
    assert_eq!(bare(&["--db", path, "audit", "--json"]).stdout, b"[]\n");
}

/// What `audit` prints where it finds something.
#[track_caller]
fn fails_with(folder: &Folder) -> String {
    let output = jqlite(folder, &["audit"]).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn a_list_is_grouped_by_severity_the_gravest_first() {
    let books = Books::clean();
    run(&books.folder, &["keys", "update", "ci", "--expires", "never", "--allow", "tickets.Ticket:*"]);
    books.log_many(25, "", "5 hours", "", 401, "198.51.100.7");
    let text = fails_with(&books.folder);
    let lines: Vec<&str> = text.lines().collect();
    let place = |start: &str| {
        lines.iter().position(|line| line.starts_with(start)).unwrap_or_else(|| panic!("{start}\n{text}"))
    };
    let (high, medium, low) =
        (place("HIGH refused-address: "), place("MEDIUM unused-permissions: "), place("LOW never-expires: "));
    assert!(high < medium && medium < low, "{text}");
    assert_eq!(lines[high + 2], "  198.51.100.7");
    assert!(lines[high + 3].starts_with("    25 requests from there were refused"), "{text}");
    assert!(lines[high + 4].starts_with("    count: 25; first: 20"), "{text}");
    assert_eq!(lines[low + 2], format!("  ci ({})", books.ci));
    assert_eq!(lines[low + 5], format!("    jqlite keys update {} --expires 90d", books.ci));
}
