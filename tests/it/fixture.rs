//! A server for tests: what it goes back to, and who may not have any of it. Its clock and its seed are in `clock.rs`.

use crate::support::{Client, Ending, Folder, MODELS, Server, act, eventually, fails, request};
use serde_json::{Value, json};
use std::process::Stdio;
use std::sync::atomic::{AtomicBool, Ordering};

fn count(namespace: &str) -> Value {
    request("count", namespace, &json!({}), &json!({}))
}

fn tag(name: &str) -> Value {
    request("create", "tickets.Tag", &json!({}), &json!({"name": name}))
}

// -- States -------------------------------------------------------------------------------------

#[test]
fn a_reset_goes_back_to_the_seed_and_leaves_the_key() {
    let server = Server::ephemeral(MODELS, &[]);
    let other = server.make_key(&json!({"name": "other", "permissions": ["tickets.Tag:*"]}));
    for round in 0..3 {
        let created = server.create("tickets.Tag", &json!({"name": "urgent"}));
        assert_eq!((created, server.count("tickets.Tag")), (json!(1), 1), "ids begin again");
        let back = server.acted("reset", &json!({}));
        assert_eq!(back["frozen"], false);
        assert_eq!(server.count("tickets.Tag"), 0, "round {round}");
    }
    assert_eq!(server.send_as(&other, &count("tickets.Tag")).status, 401, "a key made since");
    assert_eq!(server.count("system.ApiKey"), 1);
}

#[test]
fn records_of_a_folder_are_part_of_the_seed() {
    let folder = Folder::new();
    std::fs::create_dir(folder.path("seed")).unwrap();
    folder.file("seed/1-tickets.Category.csv", "id,name\n7,Billing\n");
    folder.file(
        "seed/2-tickets.Ticket.jsonl",
        "{\"title\": \"One\", \"category\": 7}\n{\"title\": \"Two\", \"category\": 7}\n",
    );
    let data = folder.path("seed");
    let server = Server::ephemeral(MODELS, &["--now", "2026-01-31", "--data", data.to_str().unwrap()]);
    let listed = || {
        server.data(&request(
            "retrieve",
            "tickets.Ticket",
            &json!({}),
            &json!({"id": null, "category": {"name": null}, "created": null}),
        ))
    };
    let one = |id: u64| json!({"id": id, "category": {"name": "Billing"}, "created": "2026-01-31T00:00:00.000000Z"});
    assert_eq!(listed(), json!([one(1), one(2)]));
    server.data(&request("deleteMany", "tickets.Ticket", &json!({"filter": {}}), &json!({})));
    server.acted("reset", &json!({}));
    assert_eq!(listed(), json!([one(1), one(2)]));
    assert_eq!(server.stderr(), "");
}

#[test]
fn a_snapshot_is_gone_back_to_by_its_name() {
    let server = Server::ephemeral(MODELS, &[]);
    server.create("tickets.Tag", &json!({"name": "a"}));
    server.acted("snapshot", &json!({"name": "one"}));
    server.create("tickets.Tag", &json!({"name": "b"}));
    server.acted("snapshot", &json!({"name": "two"}));
    for (name, tags) in [("one", 1), ("two", 2), ("two", 2), ("one", 1)] {
        server.create("tickets.Tag", &json!({"name": "c"}));
        server.acted("restore", &json!({"name": name}));
        assert_eq!(server.count("tickets.Tag"), tags, "{name}");
    }
    server.acted("snapshot", &json!({"name": "two"}));
    server.acted("reset", &json!({}));
    server.acted("restore", &json!({"name": "two"}));
    assert_eq!(server.count("tickets.Tag"), 1, "a name is given to another state, and outlives a reset");
    server.assert_act_refused(
        "restore",
        &json!({"name": "tow"}),
        404,
        "/name: there is no snapshot \"tow\" (did you mean \"two\"?)",
    );
    for number in 0..30 {
        server.acted("snapshot", &json!({"name": format!("{number}")}));
    }
    let full = "/name: there are 32 snapshots, and no more are held; take it under a name of theirs";
    server.assert_act_refused("snapshot", &json!({"name": "more"}), 400, full);
    server.acted("snapshot", &json!({"name": "7"}));
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
    let states = [("text", "text", json!("x")), ("size", "integer", json!(5)), ("text", "integer", json!(6))];
    for (number, (field, kind, value)) in states.iter().enumerate() {
        assert_eq!(send(&count("desk.Note")).status, 404);
        assert_eq!(send(&apply(field, kind)).status, 200);
        for _ in 0..3 {
            assert_eq!(send(&note(field, value.clone())).json()["data"], json!({*field: value}));
        }
        server.acted("snapshot", &json!({"name": number.to_string()}));
        server.acted("reset", &json!({}));
        assert_eq!(send(&tag("a")).status, 200);
    }
    // From one to the other, without anyone who meets the models of the seed in between.
    for number in [0, 1, 0, 1, 2, 1] {
        server.acted("restore", &json!({"name": number.to_string()}));
        let (field, _, value) = &states[number];
        assert_eq!(send(&note(field, value.clone())).json()["data"], json!({*field: value}), "{number}");
    }
}

#[test]
fn nothing_that_was_kept_beside_the_records_outlives_a_reset() {
    let server = Server::ephemeral(MODELS, &[]);
    // An answer in memory.
    let cached = request("count", "tickets.Tag", &json!({"cache": {"enabled": true}}), &json!({}));
    eventually("an answer from memory", || server.send(&cached).json()["extras"]["cached"] == true);
    server.create("tickets.Tag", &json!({"name": "x"}));
    server.acted("snapshot", &json!({"name": "with"}));
    eventually("an answer from memory", || server.send(&cached).json()["extras"]["cached"] == true);
    server.acted("reset", &json!({}));
    assert_eq!(server.data(&cached)["count"], 0);
    server.acted("restore", &json!({"name": "with"}));
    assert_eq!(server.data(&cached)["count"], 1);
    server.acted("reset", &json!({}));
    // An answer for a retry.
    let once = || server.send_with("Idempotency-Key: once\r\n", &tag("again"));
    assert_eq!((once().status, once().header("idempotency-replayed")), (200, Some("true")));
    server.acted("reset", &json!({}));
    let anew = once();
    assert_eq!((anew.status, anew.header("idempotency-replayed"), server.count("tickets.Tag")), (200, None, 1));
    // What was counted against a rate, also of a key of the seed.
    let slow = server.make_key(&json!({"name": "slow", "permissions": ["tickets.Tag:read"], "rate": 2}));
    server.acted("snapshot", &json!({"name": "slow"}));
    server.clock(&json!({"freeze": true}));
    let statuses = || [(); 3].map(|()| server.send_as(&slow, &count("tickets.Tag")).status);
    assert_eq!(statuses(), [200, 200, 429]);
    server.acted("restore", &json!({"name": "slow"}));
    server.clock(&json!({"freeze": true}));
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
    server.acted("restore", &json!({"name": "two"}));
    assert_eq!(logged(&server), ["create", "count"], "what was answered before a snapshot is in it");
    server.acted("reset", &json!({}));
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
        let _ending = Ending(&ended);
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
            server.acted("reset", &json!({}));
        }
    });
    server.acted("reset", &json!({}));
    assert_eq!((server.count("tickets.Tag"), server.count("tickets.Category")), (0, 0));
    assert_eq!(server.stderr(), "");
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
    let key = server.make_key(&json!({"name": "others", "permissions": ["*.*:*", "system.Fixture:read"]}));
    let may = server.make_key(&json!({"name": "may", "permissions": ["system.Fixture:update"]}));
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
    let retried = server.send_with("Idempotency-Key: k\r\n", &act("clock", &json!({})));
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
    server.assert_act_refused("snapshot", &json!({}), 400, ": the controller snapshot needs the key \"name\"");
    server.assert_act_refused(
        "snapshot",
        &json!({"name": ""}),
        400,
        "/name: name must be a string of 1 to 100 characters, not \"\"",
    );
    server.assert_act_refused("reset", &json!({"to": "seed"}), 400, "/to: the controller reset has no key \"to\"");
    for (key, shown) in [(&server.key, true), (&key, false)] {
        let document = Client::connect(&server.address).request("GET", "/openapi.json", &bearer(key), "").json();
        let schemas = &document["components"]["schemas"];
        for intent in ["reset", "snapshot", "restore", "clock"] {
            assert_eq!(schemas.get(format!("system.Fixture.{intent}")).is_some(), shown, "{intent}");
        }
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
