//! One key, sent wherever a client, a proxy or a tired operator might send one: afterwards its secret is in no file, no
//! log, and nothing that anybody is shown.

use crate::dice::{Dice, seed};
use crate::hostile::corpus::{Corpus, models, only_tried, records};
use crate::hostile::tree::{Tree, quoted};
use crate::report::{counted, scale};
use crate::support::{Client, Folder, Server, eventually, file_holds, jqlite, request};
use serde_json::{Value, json};
use std::path::PathBuf;

/// The part of a key that is secret, and a piece of it that would tell it already.
fn secrets(key: &str) -> [&str; 2] {
    [&key[17..], &key[20..36]]
}

/// All files of a folder.
fn files(folder: &Folder) -> Vec<PathBuf> {
    std::fs::read_dir(folder.path("")).unwrap().map(|file| file.unwrap().path()).collect()
}

/// Whatever of a database can be shown to somebody.
const SHOWN: [&[&str]; 14] = [
    &["logs"],
    &["logs", "--json"],
    &["logs", "--stats"],
    &["logs", "--stats", "--json"],
    &["logs", "--status", "4xx"],
    &["keys", "list"],
    &["keys", "list", "--json"],
    &["keys", "show", "all", "--json"],
    &["audit"],
    &["audit", "--json"],
    &["models", "show"],
    &["models", "history", "--json"],
    &["check"],
    &["check", "--json"],
];

/// No file of the folder holds a secret, and nothing that commands show of it.
#[track_caller]
fn assert_nowhere(folder: &Folder, key: &str) {
    for secret in secrets(key) {
        for file in files(folder) {
            assert!(!file_holds(&file, secret), "{} holds it", file.display());
        }
    }
    for words in SHOWN {
        assert_silent(folder, words, key);
    }
}

/// What a command says holds no secret, however it ends.
#[track_caller]
fn assert_silent(folder: &Folder, words: &[&str], key: &str) {
    let output = jqlite(folder, words).stdin(std::process::Stdio::null()).output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said);
    for secret in secrets(key) {
        assert!(!said.contains(secret), "{words:?} tells it: {said}");
    }
    assert!(!said.contains("panicked"), "{words:?}: {said}");
}

/// Nothing that another one is told over HTTP holds a secret.
#[track_caller]
fn assert_untold(server: &Server, other: &str, key: &str) {
    let mut client = Client::connect(&server.address);
    let mut answers = Vec::new();
    for path in ["/metrics", "/openapi.json", "/healthz", "/readyz"] {
        answers.push(client.request("GET", path, &format!("Authorization: Bearer {other}\r\n"), "").body);
    }
    for namespace in
        ["system.ApiKey", "system.UsageLog", "system.Model", "tickets.Ticket", "tickets.Tag", "fleet.Vehicle"]
    {
        let body = request("retrieve", namespace, &json!({"limit": 1000}), &json!({}));
        answers.push(client.jql(other, &body.to_string()).body);
    }
    for secret in secrets(key) {
        assert!(answers.iter().all(|answer| !answer.contains(secret)), "{answers:?}");
    }
}

/// Sends bytes over a connection of their own, and waits for whatever comes back.
fn send(server: &Server, bytes: &str) {
    let mut client = Client::connect(&server.address);
    client.send(bytes.as_bytes());
    let _ = client.stream().shutdown(std::net::Shutdown::Write); // the server may have hung up already
    while client.try_reply("POST").is_some() {}
}

/// Heads that hold the key where none belongs.
fn heads(key: &str) -> Vec<String> {
    let encoded: String = key.bytes().map(|byte| format!("%{byte:02x}")).collect();
    let mut lines = vec![
        format!("{key} /jql HTTP/1.1"),
        format!("POST {key} HTTP/1.1"),
        format!("POST /jql HTTP/{key}"),
        format!("POST /jql HTTP/1.1 {key}"),
        key.to_owned(),
    ];
    for target in [
        format!("/{key}"),
        format!("/jql/{key}"),
        format!("/jql?{key}"),
        format!("/jql?key={key}&a=b"),
        format!("/{encoded}"),
        format!("/jql?k={encoded}"),
        format!("/openapi.json?{key}"),
        format!("/metrics?token={key}"),
        format!("//{key}@a/jql"),
        format!("/jql#{key}"),
    ] {
        lines.push(format!("POST {target} HTTP/1.1"));
        lines.push(format!("GET {target} HTTP/1.1"));
    }
    let mut heads: Vec<String> = lines.iter().map(|line| format!("{line}\r\nHost: a\r\n")).collect();
    for name in [
        "Authorization",
        "Proxy-Authorization",
        "Cookie",
        "Referer",
        "User-Agent",
        "X-Api-Key",
        "X-Request-Id",
        "Idempotency-Key",
        "X-Forwarded-For",
        "Forwarded",
        "Origin",
        "Host",
        "Accept",
        "Content-Type",
        "Content-Encoding",
        "Content-Length",
        "Transfer-Encoding",
        "Connection",
        "Expect",
        "Trailer",
        "If-Match",
        key,
    ] {
        for value in [key.to_owned(), format!("a {key}, b"), format!("\"{key}\"")] {
            heads.push(format!("POST /jql HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {key}\r\n{name}: {value}\r\n"));
        }
    }
    heads
}

/// Requests that hold the key where it might be kept, were they not refused.
fn refused(key: &str) -> Vec<Value> {
    let none = json!({});
    let result = json!({"requests": [request("count", "tickets.Tag", &none, &none), request("create", "tickets.Tag", &none, &json!({"name": {"__result__": format!("/0/{key}")}}))]});
    let controller = json!({"schema": "controller"});
    vec![
        request("create", "tickets.Ticket", &none, &json!({"title": key})),
        request("create", "tickets.Ticket", &none, &json!({"title": key, "opened": "2024-05-01", "category": 999})),
        request("createMany", "tickets.Tag", &json!({"objects": [{"name": key}, {"name": key}]}), &none),
        request("update", "tickets.Ticket", &json!({"uniqueObject": {"id": 1}}), &json!({"title": key, "status": key})),
        request("upsert", "tickets.Tag", &json!({"uniqueObject": {"name": key}}), &json!({key: key})),
        request("create", "system.ApiKey", &none, &json!({"name": key})),
        request(
            "create",
            "system.ApiKey",
            &none,
            &json!({"name": format!("for {key}"), "permissions": "tickets.Tag:read"}),
        ),
        request("create", "system.ApiKey", &none, &json!({"name": "x", "permissions": key})),
        request("create", "system.ApiKey", &none, &json!({"name": "x", "allowed_ips": [key]})),
        request("update", "system.ApiKey", &json!({"uniqueObject": {"id": 1}}), &json!({"name": key})),
        request(
            "rotate",
            "system.ApiKey",
            &json!({"schema": "controller", "uniqueObject": {"id": 1}}),
            &json!({"overlap": key}),
        ),
        request("apply", "system.Model", &controller, &json!({"models": {key: {"fields": {}}}})),
        request("apply", "system.Model", &controller, &json!({"models": {"a.B": {"fields": {key: {"type": "text"}}}}})),
        request(
            "apply",
            "system.Model",
            &controller,
            &json!({"models": {"a.B": {"fields": {"a": {"type": key, "pattern": format!("({key}")}}}}}),
        ),
        request("execute", "system.Batch", &controller, &result),
        json!(key),
        json!([key]),
        json!({key: key}),
        json!({"__meta__": key}),
    ]
}

/// Puts the key somewhere into a request, as a value, within one, or as a name.
fn planted(dice: &mut Dice, mut tree: Tree, key: &str) -> Tree {
    let text = match dice.below(3) {
        0 => format!("a{key}b"),
        1 => format!("id__{key}"),
        _ => key.to_owned(),
    };
    let place = dice.below(tree.size());
    match tree.nth(place) {
        Tree::Object(members) if !members.is_empty() && dice.one_in(2) => {
            let member = dice.below(members.len());
            members[member].0 = quoted(&text);
        }
        value => *value = Tree::Raw(quoted(&text)),
    }
    only_tried(&mut tree);
    tree
}

#[test]
fn a_key_that_was_sent_everywhere_is_nowhere_afterwards() {
    let server = Server::with(&models().to_string(), &[]);
    records().iter().for_each(|request| drop(server.data(request)));
    let (key, other) = (server.key.clone(), server.key_for("*.*:*,system.*:*"));
    let mut client = Client::connect(&server.address);
    let mut sent = 0;
    for head in heads(&key) {
        send(&server, &format!("{head}\r\n"));
        let body =
            request("upsert", "tickets.Tag", &json!({"uniqueObject": {"name": "urgent"}}), &json!({})).to_string();
        send(&server, &format!("{head}Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}", body.len()));
        sent += 2;
    }
    for request in refused(&key) {
        let reply = client.jql(&key, &request.to_string());
        assert!(matches!(reply.status, 400 | 409), "{request}\n{}", reply.body);
        sent += 1;
    }
    let corpus = Corpus::of(&server, &key);
    let mut dice = Dice::new(seed("canary"), 0);
    for _ in 0..scale(200, 10_000) {
        let plain = corpus.plain(&mut dice);
        let body = planted(&mut dice, plain, &key).text();
        if dice.one_in(4) {
            let head = format!(
                "Authorization: Bearer {key}\r\nContent-Type: application/json\r\nIdempotency-Key: {}\r\n",
                dice.next()
            );
            client.request("POST", "/jql", &format!("{head}Content-Length: {}\r\n", body.len()), &body);
        } else {
            client.jql(&key, &body);
        }
        sent += 1;
    }
    client.jql(&key, &format!("{{\"{key}\": {key}"));
    eventually("all is logged", || server.log_rows() > sent / 2);
    assert_untold(&server, &other, &key);
    assert_nowhere(&server.folder, &key);
    let (code, folder) = server.stop();
    assert_eq!(code, Some(0));
    assert_nowhere(&folder, &key);
    counted("canary", "places that a key was sent to", sent + 1);
    counted("canary", "places where it was found afterwards", 0);
}

#[test]
fn a_key_that_was_typed_anywhere_is_nowhere_afterwards() {
    let server = Server::start();
    let key = server.key.clone();
    let (_, folder) = server.stop();
    let key = key.as_str();
    let named = format!("a {key}");
    let commands: Vec<Vec<&str>> = vec![
        vec![key],
        vec!["keys", key],
        vec!["keys", "show", key],
        vec!["keys", "show", &named],
        vec!["keys", "create", "--name", key],
        vec!["keys", "create", "--name", &named, "--allow", "tickets.Tag:read"],
        vec!["keys", "create", "--name", "x", "--allow", key],
        vec!["keys", "create", "--name", "x", "--expires", key],
        vec!["keys", "create", "--name", "x", "--rate", key],
        vec!["keys", "create", "--name", "x", "--allowed-ips", key],
        vec!["keys", "update", key, "--name", key],
        vec!["keys", "update", "all", "--name", &named],
        vec!["keys", "rotate", "nobody", "--overlap", key],
        vec!["keys", "explain", key, key, "retrieve"],
        vec!["keys", "explain", key, "tickets.Ticket", key],
        vec!["keys", "explain", key, "tickets.Ticket", "retrieve"],
        vec!["keys", "disable", &named],
        vec!["bootstrap", "--name", key],
        vec!["bootstrap", "--if-needed", "--name", &named],
        vec!["logs", "--key", key],
        vec!["logs", "--since", key],
        vec!["logs", "--status", key],
        vec!["audit", "--window", key],
        vec!["models", "apply", key],
        vec!["models", "diff", key],
        vec!["query", key],
        vec!["serve", "--listen", key],
        vec!["serve", "--models", key, "--listen", "127.0.0.1:0"],
        vec!["serve", "--jql-path", key],
        vec!["serve", "--cors-origin", key],
        vec!["serve", "--trusted-proxy", key],
        vec!["serve", key],
        vec!["completions", key],
        vec!["--db", key, "keys", "list"],
    ];
    for words in &commands {
        assert_silent(&folder, words, key);
    }
    // Files that hold it, each refused for another reason.
    for (name, text) in [
        ("a.json", json!({key: {"fields": {}}}).to_string()),
        ("b.json", json!({"a.B": {"fields": {key: {"type": "text"}}}}).to_string()),
        ("c.json", json!({"a.B": {"fields": {"a": {"type": key}}}}).to_string()),
        ("d.json", json!({"a.B": {"fields": {"a": {"type": "text", key: 1}}}}).to_string()),
        ("e.json", json!({"a.B": {"fields": {"a": {"type": "string", "max_length": 9, "default": key}}}}).to_string()),
        ("f.json", json!({"a.B": {"fields": {"a": {"type": "text", "pattern": format!("({key}")}}}}).to_string()),
        ("g.json", json!({"a.B": {"fields": {"a": {"type": "ref", "to": key}}}}).to_string()),
        ("h.json", format!("{{{key}")),
        ("i.json", json!({"a.B": {"fields": {}, "search": [key], "ordering": [key], "indexes": [[key]]}}).to_string()),
        ("j.json", request("retrieve", "tickets.Tag", &json!({key: key}), &json!({key: null})).to_string()),
        ("k.json", request("create", "system.ApiKey", &json!({}), &json!({"name": key})).to_string()),
    ] {
        // They lie elsewhere, as what the folder holds is looked through.
        let elsewhere = Folder::new();
        let file = elsewhere.file(name, &text);
        for command in ["apply", "diff"] {
            assert_silent(&folder, &["models", command, file.to_str().unwrap()], key);
        }
        // What it answers is for whoever asked.
        jqlite(&folder, &["query", file.to_str().unwrap()]).output().unwrap();
    }
    assert_nowhere(&folder, key);
    counted("canary", "command lines and files that a key was put into", commands.len() + 33);
}
