//! A server for tests: what it goes back to, what its clock moves, what repeats, and who may not have any of it.

use crate::support::{Client, Folder, MODELS, Reply, Server, eventually, fails, request};
use serde_json::{Value, json};
use std::process::Stdio;
use std::sync::atomic::{AtomicBool, Ordering};

fn act(intent: &str, arguments: &Value) -> Value {
    request(intent, "system.Fixture", &json!({"schema": "controller"}), arguments)
}

/// Has an act done that must succeed, and gives its `data`.
#[track_caller]
fn acted(server: &Server, intent: &str, arguments: &Value) -> Value {
    server.data(&act(intent, arguments))
}

/// What the clock shows after this was done to it.
#[track_caller]
fn clock(server: &Server, arguments: &Value) -> String {
    acted(server, "clock", arguments)["now"].as_str().unwrap().to_owned()
}

/// A new key, made over HTTP.
#[track_caller]
fn make_key(server: &Server, values: &Value) -> String {
    server.data(&request("create", "system.ApiKey", &json!({}), values))["key"].as_str().unwrap().to_owned()
}

fn count(namespace: &str) -> Value {
    request("count", namespace, &json!({}), &json!({}))
}

fn tag(name: &str) -> Value {
    request("create", "tickets.Tag", &json!({}), &json!({"name": name}))
}

/// Sends a request with one more header.
fn sent_with(server: &Server, header: &str, body: &Value) -> Reply {
    let body = body.to_string();
    let head = format!(
        "Authorization: Bearer {}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n{header}",
        server.key,
        body.len()
    );
    Client::connect(&server.address).request("POST", "/jql", &head, &body)
}

// -- States -------------------------------------------------------------------------------------

#[test]
fn a_reset_goes_back_to_the_seed_and_leaves_the_key() {
    let server = Server::ephemeral(MODELS, &[]);
    let other = make_key(&server, &json!({"name": "other", "permissions": ["tickets.Tag:*"]}));
    for round in 0..3 {
        let created = server.create("tickets.Tag", &json!({"name": "urgent"}));
        assert_eq!((created, server.count("tickets.Tag")), (json!(1), 1), "ids begin again");
        let back = acted(&server, "reset", &json!({}));
        assert_eq!(back["frozen"], false);
        assert_eq!(server.count("tickets.Tag"), 0, "round {round}");
    }
    assert_eq!(server.send_as(&other, &count("tickets.Tag")).status, 401, "a key made since");
    assert_eq!(server.count("system.ApiKey"), 1);
}

#[test]
fn a_snapshot_is_gone_back_to_by_its_name() {
    let server = Server::ephemeral(MODELS, &[]);
    server.create("tickets.Tag", &json!({"name": "a"}));
    acted(&server, "snapshot", &json!({"name": "one"}));
    server.create("tickets.Tag", &json!({"name": "b"}));
    acted(&server, "snapshot", &json!({"name": "two"}));
    for (name, tags) in [("one", 1), ("two", 2), ("two", 2), ("one", 1)] {
        server.create("tickets.Tag", &json!({"name": "c"}));
        acted(&server, "restore", &json!({"name": name}));
        assert_eq!(server.count("tickets.Tag"), tags, "{name}");
    }
    acted(&server, "snapshot", &json!({"name": "two"}));
    acted(&server, "reset", &json!({}));
    acted(&server, "restore", &json!({"name": "two"}));
    assert_eq!(server.count("tickets.Tag"), 1, "a name is given to another state, and outlives a reset");
    server.assert_lacking(
        "restore",
        &json!({"name": "tow"}),
        404,
        "/name: there is no snapshot \"tow\" (did you mean \"two\"?)",
    );
    for number in 0..30 {
        acted(&server, "snapshot", &json!({"name": format!("{number}")}));
    }
    let full = "/name: there are 32 snapshots, and no more are held; take it under a name of theirs";
    server.assert_lacking("snapshot", &json!({"name": "more"}), 400, full);
    acted(&server, "snapshot", &json!({"name": "7"}));
}

#[test]
fn models_of_the_state_are_in_force_on_the_next_request() {
    let server = Server::ephemeral(MODELS, &[]);
    let mut client = Client::connect(&server.address);
    let mut send = |request: &Value| client.jql(&server.key, &request.to_string());
    let apply = |field: &str, kind: &str| {
        let models = json!({"desk.Note": {"fields": {field: {"type": kind, "null": true}}}});
        request(
            "apply",
            "system.Model",
            &json!({"schema": "controller"}),
            &json!({"models": models, "allowDataLoss": true}),
        )
    };
    let note = |field: &str, value: Value| {
        request("create", "desk.Note", &json!({"return": {field: null}}), &json!({field: value}))
    };
    // Each of these models is a version of its own, though all are made on the same one.
    for (field, kind, value) in
        [("text", "text", json!("x")), ("size", "integer", json!(5)), ("text", "integer", json!(6))]
    {
        assert_eq!(send(&count("desk.Note")).status, 404);
        assert_eq!(send(&apply(field, kind)).status, 200);
        for _ in 0..3 {
            assert_eq!(send(&note(field, value.clone())).json()["data"], json!({field: value}));
        }
        acted(&server, "snapshot", &json!({"name": kind}));
        acted(&server, "reset", &json!({}));
        assert_eq!(send(&tag("a")).status, 200);
    }
    acted(&server, "restore", &json!({"name": "text"}));
    assert_eq!(send(&note("text", json!("y"))).json()["data"], json!({"text": "y"}));
    acted(&server, "restore", &json!({"name": "integer"}));
    assert_eq!(send(&note("text", json!(7))).json()["data"], json!({"text": 7}));
}

#[test]
fn nothing_that_was_kept_beside_the_records_outlives_a_reset() {
    let server = Server::ephemeral(MODELS, &[]);
    // An answer in memory.
    let cached = request("count", "tickets.Tag", &json!({"cache": {"enabled": true}}), &json!({}));
    eventually("an answer from memory", || server.send(&cached).json()["extras"]["cached"] == true);
    server.create("tickets.Tag", &json!({"name": "x"}));
    acted(&server, "snapshot", &json!({"name": "with"}));
    eventually("an answer from memory", || server.send(&cached).json()["extras"]["cached"] == true);
    acted(&server, "reset", &json!({}));
    assert_eq!(server.data(&cached)["count"], 0);
    acted(&server, "restore", &json!({"name": "with"}));
    assert_eq!(server.data(&cached)["count"], 1);
    acted(&server, "reset", &json!({}));
    // An answer for a retry.
    let once = || sent_with(&server, "Idempotency-Key: once\r\n", &tag("again"));
    assert_eq!((once().status, once().header("idempotency-replayed")), (200, Some("true")));
    acted(&server, "reset", &json!({}));
    let anew = once();
    assert_eq!((anew.status, anew.header("idempotency-replayed"), server.count("tickets.Tag")), (200, None, 1));
    // What was counted against a rate, also of a key of the seed.
    let slow = make_key(&server, &json!({"name": "slow", "permissions": ["tickets.Tag:read"], "rate": 2}));
    acted(&server, "snapshot", &json!({"name": "slow"}));
    clock(&server, &json!({"freeze": true}));
    let statuses = || [(); 3].map(|()| server.send_as(&slow, &count("tickets.Tag")).status);
    assert_eq!(statuses(), [200, 200, 429]);
    acted(&server, "restore", &json!({"name": "slow"}));
    clock(&server, &json!({"freeze": true}));
    assert_eq!(statuses(), [200, 200, 429]);
}

#[test]
fn the_log_is_that_of_the_state() {
    let server = Server::ephemeral(MODELS, &[]);
    let logged = |server: &Server| {
        let listed = request("retrieve", "system.UsageLog", &json!({"ordering": "id"}), &json!({"intent": null}));
        let entries = server.data(&listed);
        entries.as_array().unwrap().iter().map(|entry| entry["intent"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    let mut client = Client::connect(&server.address);
    for request in [tag("a"), count("tickets.Tag"), act("snapshot", &json!({"name": "two"}))] {
        assert_eq!(client.jql(&server.key, &request.to_string()).status, 200);
    }
    eventually("all is logged", || logged(&server).len() > 3);
    acted(&server, "restore", &json!({"name": "two"}));
    assert_eq!(logged(&server), ["create", "count"], "what was answered before a snapshot is in it");
    acted(&server, "reset", &json!({}));
    let none: [&str; 0] = [];
    assert_eq!(logged(&server), none);
    eventually("what is asked since is logged", || !logged(&server).is_empty());
    assert!(logged(&server).iter().all(|intent| intent == "retrieve"));
}

#[test]
fn whoever_reads_and_writes_meanwhile_meets_one_state() {
    let server = Server::ephemeral(MODELS, &[]);
    let batch = |requests: Value| {
        request("execute", "system.Batch", &json!({"schema": "controller"}), &json!({"requests": requests}))
    };
    let pair = |name: String| {
        batch(json!([tag(&name), request("create", "tickets.Category", &json!({}), &json!({"name": name}))]))
    };
    let ended = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let _ending = crate::support::Ending(&ended);
        for thread in 0..2 {
            let (server, ended, pair) = (&server, &ended, &pair);
            scope.spawn(move || {
                let mut client = Client::connect(&server.address);
                let mut number = 0;
                while !ended.load(Ordering::Relaxed) {
                    number += 1;
                    let reply = client.jql(&server.key, &pair(format!("{thread}-{number}")).to_string());
                    assert_eq!(reply.status, 200, "{}", reply.body);
                }
            });
            scope.spawn(move || {
                let mut client = Client::connect(&server.address);
                let counts = request(
                    "execute",
                    "system.Batch",
                    &json!({"schema": "controller"}),
                    &json!({"requests": [count("tickets.Tag"), count("tickets.Category")]}),
                )
                .to_string();
                while !ended.load(Ordering::Relaxed) {
                    let reply = client.jql(&server.key, &counts);
                    let counts = reply.json()["data"].clone();
                    assert_eq!(counts[0]["data"], counts[1]["data"], "{}", reply.body);
                }
            });
        }
        for _ in 0..50 {
            acted(&server, "reset", &json!({}));
        }
    });
    acted(&server, "reset", &json!({}));
    assert_eq!((server.count("tickets.Tag"), server.count("tickets.Category")), (0, 0));
    assert_eq!(server.stderr(), "");
}

// -- The clock ----------------------------------------------------------------------------------

#[test]
fn the_clock_stops_goes_on_and_moves() {
    let server = Server::ephemeral(MODELS, &["--now", "2026-01-31T09:30:00+02:00"]);
    assert_eq!(clock(&server, &json!({})), "2026-01-31T07:30:00.000000Z");
    assert_eq!(clock(&server, &json!({"advance": "90d"})), "2026-05-01T07:30:00.000000Z");
    assert_eq!(clock(&server, &json!({"freeze": "2030-01-01"})), "2030-01-01T00:00:00.000000Z");
    let gone = clock(&server, &json!({"run": true}));
    assert!(gone.starts_with("2030-01-01T00:00:0"), "{gone}");
    eventually("it goes on", || clock(&server, &json!({})) > gone);
    assert!(clock(&server, &json!({"set": "1999-12-31T23:00:00Z"})).starts_with("1999-12-31T23:00:0"));
    assert!(clock(&server, &json!({"advance": "2h"})).starts_with("2000-01-01T01:00:0"), "it goes on from there");
    let stopped = clock(&server, &json!({"freeze": true}));
    assert_eq!(acted(&server, "clock", &json!({})), json!({"now": stopped, "frozen": true}));
    acted(&server, "reset", &json!({}));
    assert_eq!(clock(&server, &json!({})), "2026-01-31T07:30:00.000000Z", "it is part of the seed");
    let late = "/advance: \"advance\" leads past the year 9999";
    server.assert_lacking("clock", &json!({"advance": "2920000d"}), 400, late);
    for (arguments, mistake) in [
        (json!({"set": "soon"}), "/set: \"set\" is refused: a datetime is RFC 3339, such as 2026-01-31T09:30:00Z"),
        (json!({"set": 5}), "/set: set must be a moment, such as \"2026-01-31T09:30:00Z\", not 5"),
        (json!({"run": false}), "/run: run must be true, not false"),
        (
            json!({"advance": "-1h"}),
            "/advance: \"advance\" is refused: \"-1h\" is not a length of time; 30s, 15m, 1h and 90d are",
        ),
        (json!({"run": true, "set": "2026-01-31"}), "/set: \"set\" and \"run\" both set the clock; send one of them"),
        (json!({"frezee": true}), "/frezee: the controller clock has no key \"frezee\" (did you mean \"freeze\"?)"),
    ] {
        server.assert_lacking("clock", &arguments, 400, mistake);
    }
}

#[test]
fn every_moment_comes_from_the_one_clock() {
    let server = Server::ephemeral(MODELS, &["--now", "2026-01-31", "--max-key-age", "200d", "--log-retention", "30d"]);
    let ticket = || {
        let category = server.create("tickets.Category", &json!({"name": clock(&server, &json!({}))}));
        let id = server.create("tickets.Ticket", &json!({"title": "t", "category": category}));
        server.record("tickets.Ticket", &id, &["created"])["created"].as_str().unwrap().to_owned()
    };
    assert_eq!(ticket(), "2026-01-31T00:00:00.000000Z");
    let short =
        make_key(&server, &json!({"name": "short", "permissions": ["tickets.Tag:read"], "expires": "2026-02-10"}));
    let rotated = make_key(&server, &json!({"name": "rotated", "permissions": ["tickets.Tag:read"]}));
    let rotate = json!({"schema": "controller", "uniqueObject": {"id": 3}});
    let fresh = server.data(&request("rotate", "system.ApiKey", &rotate, &json!({"overlap": "24h"})));
    let fresh = fresh["key"].as_str().unwrap();
    let status = |key: &str| server.send_as(key, &count("tickets.Tag")).status;
    assert_eq!([status(&short), status(&rotated), status(fresh)], [200; 3]);
    assert_eq!(sent_with(&server, "Idempotency-Key: k\r\n", &tag("kept")).status, 200);
    assert_eq!(sent_with(&server, "Idempotency-Key: k\r\n", &tag("other")).status, 409);

    assert_eq!(clock(&server, &json!({"advance": "25h"})), "2026-02-01T01:00:00.000000Z");
    assert_eq!(ticket(), "2026-02-01T01:00:00.000000Z");
    assert_eq!([status(&short), status(&rotated), status(fresh)], [200, 401, 200], "the overlap is over");
    assert_eq!(sent_with(&server, "Idempotency-Key: k\r\n", &tag("other")).status, 200, "and the day of an answer");
    let narrow = json!({"filter": {"at__lt": "2026-02-01"}});
    let old = request("count", "system.UsageLog", &narrow, &json!({}));
    eventually("entries of that day are there", || server.data(&old)["count"].as_u64() > Some(5));

    clock(&server, &json!({"advance": "31d"}));
    assert_eq!([status(&short), status(fresh)], [401, 200], "the key has expired");
    eventually("old entries of the log go", || server.data(&old)["count"] == 0);
    clock(&server, &json!({"advance": "120d"}));
    assert_eq!(status(fresh), 200);
    clock(&server, &json!({"advance": "50d"}));
    assert_eq!([status(fresh), status(&server.key)], [401; 2], "secrets are too old, the server's own too");
}

#[test]
fn a_rate_goes_by_the_clock() {
    let server = Server::ephemeral(MODELS, &["--now", "2026-01-31"]);
    let key = make_key(&server, &json!({"name": "slow", "permissions": ["tickets.Tag:read"], "rate": 2}));
    let ask = || server.send_as(&key, &count("tickets.Tag"));
    assert_eq!([ask().status, ask().status, ask().status], [200, 200, 429]);
    assert_eq!(ask().header("retry-after"), Some("31"));
    clock(&server, &json!({"advance": "30s"}));
    assert_eq!([ask().status, ask().status], [200, 429]);
    clock(&server, &json!({"set": "2020-01-01"}));
    assert_eq!(ask().status, 200, "nobody waits for years where the clock was put back");
}

// -- What repeats -------------------------------------------------------------------------------

/// Models of which one has uuids for ids.
fn models_with_uuids() -> String {
    json!({"a.Thing": {"id": {"type": "uuid"}, "fields": {"name": {"type": "string", "max_length": 10}}}}).to_string()
}

/// Answers of one client, with the ids of their requests.
fn story(server: &Server) -> Vec<(String, Option<String>)> {
    let thing = |name: &str| request("create", "a.Thing", &json!({}), &json!({"name": name}));
    let key = request("create", "system.ApiKey", &json!({}), &json!({"name": "k", "permissions": ["a.Thing:read"]}));
    let page =
        request("retrieve", "a.Thing", &json!({"limit": 1, "ordering": "id"}), &json!({"id": null, "name": null}));
    let mut client = Client::connect(&server.address);
    let mut tell = |request: &Value| {
        let reply = client.jql(&server.key, &request.to_string());
        assert_eq!(reply.status, 200, "{}", reply.body);
        let id = reply.header("x-request-id").map(str::to_owned);
        (reply.body, id)
    };
    [thing("x"), thing("y"), count("a.Thing"), key, page].iter().map(&mut tell).collect()
}

#[test]
fn with_a_seed_and_a_moment_all_answers_repeat() {
    let start = |seed: &str| Server::ephemeral(&models_with_uuids(), &["--now", "2026-01-31", "--id-seed", seed]);
    let (one, same, other) = (start("7"), start("7"), start("8"));
    assert!(one.key == same.key && one.key != other.key);
    let first = story(&one);
    assert_eq!(first, story(&same), "of another process");
    acted(&one, "reset", &json!({}));
    assert_eq!(first, story(&one), "after a reset");
    let id = |answer: &(String, Option<String>)| {
        serde_json::from_str::<Value>(&answer.0).unwrap()["data"]["id"].as_str().unwrap().to_owned()
    };
    let (x, y) = (id(&first[0]), id(&first[1]));
    assert!(x < y && x.starts_with("019c1159-7000-7"), "{x} {y}: the moment, and then in their order");
    let others = story(&other);
    assert!(first.iter().zip(&others).all(|(left, right)| left.1 != right.1));
    assert!(id(&first[0]) != id(&others[0]) && first[3].0 != others[3].0);
}

#[test]
fn without_a_seed_nothing_repeats() {
    let (one, other) = (Server::ephemeral(&models_with_uuids(), &[]), Server::ephemeral(&models_with_uuids(), &[]));
    assert_ne!(one.key, other.key);
    let first = story(&one);
    acted(&one, "reset", &json!({}));
    for others in [story(&one), story(&other)] {
        assert!(first[0].0 != others[0].0 && first[3].0 != others[3].0);
    }
}

// -- Who may not --------------------------------------------------------------------------------

const NONE: &str =
    ": there is no system.Fixture here: it exists on a server for tests only, `jqlite serve --ephemeral`";

#[test]
fn a_server_that_is_not_ephemeral_has_no_fixture() {
    let server = Server::start();
    server.create("tickets.Tag", &json!({"name": "stays"}));
    for (intent, arguments) in [
        ("reset", json!({})),
        ("snapshot", json!({"name": "a"})),
        ("restore", json!({"name": "a"})),
        ("clock", json!({"freeze": "2026-01-31"})),
    ] {
        assert_eq!(server.refused(404, &act(intent, &arguments)), [NONE], "{intent}");
        let body = act(intent, &arguments).to_string();
        let query = server.folder.file("request.json", &body);
        assert!(fails(&server.folder, &["query", query.to_str().unwrap()], 1).contains("serve --ephemeral"));
        let key = server.key_for(&format!("*.*:*,system.Fixture:read,system.ApiKey:*,{intent}.Fixture:*"));
        let reply = server.send_as(&key, &act(intent, &arguments));
        let lacking = "/__meta__/namespace: the key lacks the permission system.Fixture:update";
        assert_eq!((reply.status, reply.errors()), (403, vec![lacking.to_owned()]));
    }
    assert_eq!(server.count("tickets.Tag"), 1);
    let document = Client::connect(&server.address).request("GET", "/openapi.json", &bearer(&server.key), "");
    assert!(document.status == 200 && !document.body.contains("Fixture"));
}

fn bearer(key: &str) -> String {
    format!("Authorization: Bearer {key}\r\n")
}

#[test]
fn the_fixture_takes_its_permission_and_its_own_request() {
    let server = Server::ephemeral(MODELS, &[]);
    let key = make_key(&server, &json!({"name": "others", "permissions": ["*.*:*", "system.Fixture:read"]}));
    let may = make_key(&server, &json!({"name": "may", "permissions": ["system.Fixture:update"]}));
    let reset = act("reset", &json!({}));
    assert_eq!(
        server.send_as(&key, &reset).errors(),
        ["/__meta__/namespace: the key lacks the permission system.Fixture:update"]
    );
    assert_eq!(server.send_as(&may, &act("clock", &json!({}))).status, 200);
    assert_eq!(server.send_as(&may, &count("tickets.Tag")).status, 403);
    let batch =
        request("execute", "system.Batch", &json!({"schema": "controller"}), &json!({"requests": [tag("a"), reset]}));
    let refused = "/requests/1/__meta__/intent: \"reset\" takes a transaction of its own and no part in a batch: send it by itself";
    assert_eq!(server.refused(400, &batch), [refused]);
    let retried = sent_with(&server, "Idempotency-Key: k\r\n", &act("clock", &json!({})));
    let told = ": \"Idempotency-Key\" is for writes to records: what is done to the whole server is done each time";
    assert_eq!((retried.status, retried.errors()), (400, vec![told.to_owned()]));
    let elsewhere = request("reset", "tickets.Tag", &json!({"schema": "controller"}), &json!({}));
    assert_eq!(
        server.refused(404, &elsewhere),
        ["/__meta__/namespace: no controller tickets.Tag takes the intent reset"]
    );
    for intent in ["retrieve", "create", "count"] {
        assert_eq!(server.send(&request(intent, "system.Fixture", &json!({}), &json!({}))).status, 404, "{intent}");
    }
    server.assert_lacking("snapshot", &json!({}), 400, ": the controller snapshot needs the key \"name\"");
    server.assert_lacking(
        "snapshot",
        &json!({"name": ""}),
        400,
        "/name: name must be a string of 1 to 100 characters, not \"\"",
    );
    server.assert_lacking("reset", &json!({"to": "seed"}), 400, "/to: the controller reset has no key \"to\"");
    for (key, shown) in [(&server.key, true), (&key, false)] {
        let document = Client::connect(&server.address).request("GET", "/openapi.json", &bearer(key), "").json();
        let schemas = &document["components"]["schemas"];
        for intent in ["reset", "snapshot", "restore", "clock"] {
            assert_eq!(schemas.get(format!("system.Fixture.{intent}")).is_some(), shown, "{intent}");
        }
    }
}

impl Server {
    /// An act that must be refused so.
    #[track_caller]
    fn assert_lacking(&self, intent: &str, arguments: &Value, status: u16, mistake: &str) {
        let reply = self.send(&act(intent, arguments));
        assert_eq!((reply.status, reply.mistakes()), (status, vec![mistake.to_owned()]), "{intent} {arguments}");
    }
}

#[test]
fn the_command_line_refuses_what_would_not_be_for_tests() {
    let folder = Folder::new();
    for words in [&["serve", "--now", "2026-01-31"][..], &["serve", "--id-seed", "1"], &["serve", "--with-parent"]] {
        assert!(fails(&folder, words, 2).contains("--ephemeral"), "{words:?}");
    }
    let open = fails(&folder, &["serve", "--ephemeral", "--listen", "0.0.0.0:0"], 1);
    assert!(open.contains("--ephemeral listens to this machine only"), "{open}");
    let file = folder.path("named.db");
    let named = fails(&folder, &["serve", "--ephemeral", "--db", file.to_str().unwrap()], 1);
    assert!(named.contains("--ephemeral serves a database in memory, and not") && !file.exists(), "{named}");
    assert!(fails(&folder, &["quickstart", "--ephemeral"], 2).contains("--ephemeral"));
}

#[test]
fn it_leaves_nothing_behind_and_stops_as_any_server() {
    let server = Server::ephemeral(MODELS, &[]);
    server.create("tickets.Tag", &json!({"name": "x"}));
    let (code, folder) = server.stop();
    assert_eq!((code, folder.path("test.db").exists()), (Some(0), false));
}

#[test]
#[cfg(unix)]
fn it_ends_with_the_process_that_started_it() {
    let folder = Folder::new();
    let binary = env!("CARGO_BIN_EXE_jqlite");
    let script = format!("'{binary}' serve --ephemeral --with-parent --listen 127.0.0.1:0 --json & read -r _");
    let mut shell = std::process::Command::new("sh");
    let mut shell = shell.args(["-c", &script]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    std::io::BufRead::read_line(&mut std::io::BufReader::new(shell.stdout.take().unwrap()), &mut line).unwrap();
    let ready: Value = serde_json::from_str(&line).unwrap();
    let address = ready["url"].as_str().unwrap().strip_prefix("http://").unwrap().to_owned();
    assert_eq!(
        Client::connect(&address).jql(ready["key"].as_str().unwrap(), &count("system.ApiKey").to_string()).status,
        200
    );
    drop(shell.stdin.take());
    shell.wait().unwrap();
    eventually("it is gone", || std::net::TcpStream::connect(&address).is_err());
    drop(folder);
}
