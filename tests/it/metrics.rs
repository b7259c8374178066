//! `GET /metrics`: its form, its numbers, who may see it, and what it does not tell.

use crate::support::{Client, Reply, Server, eventually, request, run};
use regex::Regex;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// Asks for a page with this key, or with none.
#[track_caller]
fn get(client: &mut Client, path: &str, key: &str) -> Reply {
    let headers = if key.is_empty() { String::new() } else { format!("Authorization: Bearer {key}\r\n") };
    client.request("GET", path, &headers, "")
}

/// The samples of the page, by name and labels.
#[track_caller]
fn samples(server: &Server) -> BTreeMap<String, f64> {
    let reply = get(&mut Client::connect(&server.address), "/metrics", &server.key);
    assert_eq!(reply.status, 200, "{}", reply.body);
    let lines = reply.body.lines().filter(|line| !line.starts_with('#'));
    lines
        .map(|line| line.rsplit_once(' ').unwrap())
        .map(|(name, value)| (name.into(), value.parse().unwrap()))
        .collect()
}

fn requests(intent: &str, status: u16) -> String {
    format!("jqlite_requests_total{{intent=\"{intent}\",status=\"{status}\"}}")
}

fn count(namespace: &str) -> Value {
    request("count", namespace, &json!({}), &json!({}))
}

/// What is measured under one name.
struct Family {
    kind: String,
    samples: Vec<Sample>,
}

struct Sample {
    name: String,
    labels: Vec<(String, String)>,
    value: f64,
}

/// The families of a page, which is read as strictly as the format is written: a line of help, a line of type and all
/// samples of a family together, single spaces, no label twice, no character that would have to be escaped.
#[track_caller]
fn families(page: &str) -> BTreeMap<String, Family> {
    let form = |form: &str| Regex::new(form).unwrap();
    let (help, kind) =
        (form(r"^# HELP ([a-z][a-z0-9_]*) (\S.*\.)$"), form(r"^# TYPE (\S+) (counter|gauge|histogram)$"));
    let sample = form(r"^([a-z][a-z0-9_]*)(?:\{(.+)\})? (0|[1-9][0-9]*|[0-9]+\.[0-9]+)$");
    let label = form(r#"^([a-z]+)="([A-Za-z0-9.+]+)"$"#);
    let (mut families, mut last): (BTreeMap<String, Family>, _) = (BTreeMap::new(), String::new());
    let mut lines = page.strip_suffix('\n').expect("the last line ends").split('\n').peekable();
    while let Some(line) = lines.next() {
        if let Some(found) = help.captures(line) {
            last = found[1].to_owned();
            let line = lines.next().unwrap_or_default();
            let found = kind.captures(line).unwrap_or_else(|| panic!("{line}"));
            assert_eq!(found[1], last);
            let family = Family { kind: found[2].to_owned(), samples: Vec::new() };
            assert!(families.insert(last.clone(), family).is_none(), "{last} comes twice");
            continue;
        }
        let found = sample.captures(line).unwrap_or_else(|| panic!("{line}"));
        let labels: Vec<(String, String)> = found.get(2).map_or(Vec::new(), |labels| {
            let one = |text| label.captures(text).unwrap_or_else(|| panic!("{line}"));
            labels.as_str().split(',').map(one).map(|found| (found[1].to_owned(), found[2].to_owned())).collect()
        });
        let family = families.get_mut(&last).unwrap_or_else(|| panic!("{line} is not described"));
        assert!(
            family.samples.iter().all(|other| (&other.name, &other.labels) != (&found[1].to_owned(), &labels)),
            "{line}"
        );
        family.samples.push(Sample { name: found[1].to_owned(), labels, value: found[3].parse().unwrap() });
    }
    families
}

#[track_caller]
fn assert_is_histogram(name: &str, samples: &[Sample]) {
    let (buckets, ends) = samples.split_at(samples.len() - 2);
    let (mut bound, mut count) = (0.0, 0.0);
    for bucket in buckets {
        assert_eq!(
            (&bucket.name, bucket.labels.len(), bucket.labels[0].0.as_str()),
            (&format!("{name}_bucket"), 1, "le")
        );
        let own: f64 = bucket.labels[0].1.parse().unwrap();
        assert!(own > bound && bucket.value >= count, "{name} {own}");
        (bound, count) = (own, bucket.value);
    }
    assert_eq!(
        (bound, ends[0].name.clone(), ends[1].name.clone()),
        (f64::INFINITY, format!("{name}_sum"), format!("{name}_count"))
    );
    assert_eq!(ends[1].value, count, "{name}");
}

#[test]
fn the_page_keeps_to_the_format_and_the_manual_names_all_that_is_in_it() {
    let server = Server::start();
    server.create("tickets.Tag", &json!({"name": "red"}));
    server.count("tickets.Tag");
    let reply = get(&mut Client::connect(&server.address), "/metrics", &server.key);
    assert_eq!(reply.header("content-type"), Some("text/plain; version=0.0.4; charset=utf-8"));
    let families = families(&reply.body);
    for (name, family) in &families {
        assert!(!family.samples.is_empty(), "{name}");
        assert_eq!(family.kind == "counter", name.ends_with("_total"), "{name}");
        match family.kind.as_str() {
            "histogram" => assert_is_histogram(name, &family.samples),
            _ => assert!(family.samples.iter().all(|sample| sample.name == *name), "{name}"),
        }
    }
    let rows = include_str!("../../docs/server.md").lines().filter_map(|line| line.strip_prefix("| `"));
    let rows = rows.filter_map(|row| row.split_once("` | ")).filter(|(name, _)| !name.starts_with('/'));
    let told: BTreeMap<&str, &str> = rows.map(|(name, rest)| (name, rest.split(" |").next().unwrap())).collect();
    let kinds: BTreeMap<&str, &str> =
        families.iter().map(|(name, family)| (name.as_str(), family.kind.as_str())).collect();
    assert_eq!(told, kinds);
}

#[test]
fn what_clients_choose_makes_no_label() {
    let server = Server::start();
    let mut client = Client::connect(&server.address);
    let count = |server: &Server| samples(server).len();
    server.send(&request("nonsense", "tickets.Ticket", &json!({}), &json!({})));
    samples(&server); // that it was asked for is a sample of its own
    let before = count(&server);
    for number in 0..50 {
        let word = format!("word{number}");
        let reply = server.send(&request(&word, &format!("{word}.{word}"), &json!({"filter": word}), &json!({})));
        assert_eq!(reply.status, 400);
        client.request("GET", &format!("/{word}"), "", "");
    }
    assert_eq!(count(&server), before);
}

#[test]
fn requests_are_counted_by_intent_and_status() {
    let server = Server::start();
    let lacking = server.key_for("tickets.Tag:read");
    server.create("tickets.Tag", &json!({"name": "red"}));
    server.count("tickets.Tag");
    server.count("tickets.Tag");
    assert_eq!(server.send_as(&lacking, &count("tickets.Ticket")).status, 403);
    assert_eq!(server.send(&json!({"__meta__": {"intent": "nonsense", "namespace": "a.B"}})).status, 400);
    let cached = request("retrieve", "tickets.Tag", &json!({"cache": {"enabled": true}}), &json!({}));
    let mut pages = 0.0;
    eventually("an answer comes from memory", || {
        pages += 1.0;
        server.send(&cached).json()["extras"]["cached"] == true
    });
    let mut client = Client::connect(&server.address);
    assert_eq!(client.jql("wrong", "{}").status, 401);
    assert_eq!(client.request("GET", "/healthz", "", "").status, 200);

    let found = samples(&server);
    for (name, expected) in [
        (requests("create", 200), 1.0),
        (requests("count", 200), 2.0),
        (requests("count", 403), 1.0),
        (requests("retrieve", 200), pages),
        (requests("none", 400), 1.0),
        (requests("none", 401), 1.0),
        (requests("deleteMany", 200), 0.0),
        ("jqlite_request_duration_seconds_count".into(), pages + 6.0),
        ("jqlite_request_duration_seconds_bucket{le=\"+Inf\"}".into(), pages + 6.0),
        ("jqlite_writer_group_size_count".into(), 1.0),
        ("jqlite_writer_group_size_sum".into(), 1.0),
        ("jqlite_writer_group_size_bucket{le=\"1\"}".into(), 1.0),
        ("jqlite_writer_queue".into(), 0.0),
        ("jqlite_cache_hits_total".into(), 1.0),
        ("jqlite_cache_misses_total".into(), pages - 1.0),
        ("jqlite_cache_answers".into(), 1.0),
        ("jqlite_log_lost_total".into(), 0.0),
        ("jqlite_readers_in_use".into(), 0.0),
    ] {
        assert_eq!(found.get(&name), Some(&expected), "{name} in {found:#?}");
    }
    assert!(!found.contains_key(&requests("count", 500)));
    let version = format!("jqlite_build_info{{version=\"{}\"}}", env!("CARGO_PKG_VERSION"));
    assert_eq!(found[&version], 1.0);
    for name in [
        "process_start_time_seconds",
        "jqlite_uptime_seconds",
        "jqlite_request_duration_seconds_sum",
        "jqlite_request_bytes_total",
        "jqlite_response_bytes_total",
        "jqlite_readers_limit",
        "jqlite_cache_bytes",
        "jqlite_database_bytes",
        "jqlite_wal_bytes",
    ] {
        assert!(found[name] > 0.0, "{name}");
    }
    assert!(found["jqlite_connections"] >= 2.0, "this one, and the client's");
    // The first page is counted as well, once it was answered.
    assert_eq!(samples(&server)[&requests("none", 200)], 1.0);
    eventually("all of the log is written", || samples(&server)["jqlite_log_backlog"] <= 1.0);
}

#[test]
fn connections_are_counted_while_they_are_open() {
    let server = Server::start();
    let clients: Vec<Client> = (0..5).map(|_| Client::connect(&server.address)).collect();
    eventually("all are counted", || samples(&server)["jqlite_connections"] >= 6.0);
    drop(clients);
    eventually("none is left", || samples(&server)["jqlite_connections"] <= 1.0);
}

#[test]
fn it_takes_leave_to_read_the_usage_log() {
    let server = Server::start();
    let mut client = Client::connect(&server.address);
    let jql = Client::connect(&server.address).jql("wrong", "{}");
    for key in ["", "wrong"] {
        let reply = get(&mut client, "/metrics", key);
        assert_eq!((reply.status, &reply.body), (401, &jql.body), "{key}");
        assert_eq!(reply.header("www-authenticate"), Some("Bearer"));
        assert_eq!(reply.header("content-type"), Some("application/json; charset=utf-8"));
    }
    for permissions in ["", "*.*:*", "system.ApiKey:*", "system.UsageLog:update"] {
        let reply = get(&mut client, "/metrics", &server.key_for(permissions));
        assert_eq!(reply.errors(), [": the key lacks the permission system.UsageLog:read"], "{permissions}");
        assert_eq!(reply.status, 403);
        assert!(!reply.body.contains("jqlite_"));
    }
    for permissions in ["system.UsageLog:read", "system.*:read"] {
        assert_eq!(get(&mut client, "/metrics", &server.key_for(permissions)).status, 200, "{permissions}");
    }
}

#[test]
fn its_keys_are_bound_as_those_of_jql() {
    let server = Server::start();
    let mut client = Client::connect(&server.address);
    let make = |name: &str, bound: &[&str]| {
        let words = ["keys", "create", "--name", name, "--allow", "system.UsageLog:read"];
        run(&server.folder, &[&words, bound].concat())
    };
    for path in ["/metrics", "/openapi.json"] {
        let slow = make("slow", &["--rate", "1"]);
        assert_eq!(get(&mut client, path, &slow).status, 200);
        let reply = get(&mut client, path, &slow);
        assert_eq!((reply.status, reply.errors()), (429, vec![": the key may send 1 requests a minute".to_owned()]));
        assert!(reply.header("retry-after").is_some());

        let away = make("away", &["--allowed-ips", "192.0.2.0/24"]);
        let reply = get(&mut client, path, &away);
        assert_eq!(
            (reply.status, reply.errors()),
            (403, vec![": the key may not be used from this address".to_owned()])
        );
        run(&server.folder, &["keys", "revoke", "away"]);
        let reply = get(&mut client, path, &away);
        assert_eq!((reply.status, reply.errors()), (401, vec![": the key was revoked".to_owned()]));
        for name in ["slow", "away"] {
            run(&server.folder, &["keys", "delete", name]);
        }

        let reply = get(&mut client, &format!("{path}?key={}", server.key), &server.key);
        assert_eq!((reply.status, reply.errors()), (400, vec![": a key was sent in the URL".to_owned()]));
        let origin = format!("Authorization: Bearer {}\r\nOrigin: http://evil.example\r\n", server.key);
        assert_eq!(client.request("GET", path, &origin, "").status, 403);
    }
}

#[test]
fn wrong_keys_are_counted_together_with_those_of_jql() {
    let server = Server::start();
    let mut client = Client::connect(&server.address);
    let mut sent = 0;
    loop {
        let status = match sent % 3 {
            0 => client.jql("wrong", "{}").status,
            1 => get(&mut client, "/metrics", "wrong").status,
            _ => get(&mut client, "/openapi.json", "wrong").status,
        };
        if status == 429 {
            break;
        }
        assert_eq!(status, 401);
        sent += 1;
    }
    // Counted apart they would be let through twice as often at least.
    assert!((30..60).contains(&sent), "{sent}");
    assert_eq!(get(&mut client, "/metrics", &server.key).status, 200, "a right key is let in all the same");
}

#[test]
fn other_methods_are_refused_and_head_is_answered_without_a_body() {
    let server = Server::start();
    let mut client = Client::connect(&server.address);
    let key = format!("Authorization: Bearer {}\r\n", server.key);
    for path in ["/metrics", "/openapi.json"] {
        for method in ["POST", "PUT", "DELETE", "PATCH", "OPTIONS"] {
            let reply = client.request(method, path, &key, "");
            assert_eq!((reply.status, reply.header("allow")), (405, Some("GET, HEAD")), "{method} {path}");
            assert_eq!(reply.errors(), [": this path takes GET, HEAD"]);
        }
        let head = client.request("HEAD", path, &key, "");
        let get = client.request("GET", path, &key, ""); // it would be garbled, had a body come before it
        assert_eq!((head.status, get.status), (200, 200), "{path}");
        assert_eq!(head.header("content-type"), get.header("content-type"));
        assert!(head.header("content-length").unwrap().parse::<usize>().unwrap() > 1000);
    }
    // What was not sent is not counted.
    eventually("all are logged", || server.logs(&["--status", "200"]).len() == 4);
    let sent: Vec<bool> = server.logs(&["--status", "200"]).iter().map(|entry| entry["response_bytes"] != 0).collect();
    assert_eq!(sent, [false, true, false, true]);
}

#[test]
fn it_names_no_model_no_key_and_no_address() {
    let server = Server::start();
    let key = server.key_for("tickets.Tag:*");
    server.send_as(&key, &request("create", "tickets.Tag", &json!({}), &json!({"name": "Marker"})));
    server.send_as(&key, &count("tickets.Ticket"));
    server.send_as(&key, &request("Marker", "Marker.Marker", &json!({"filter": "Marker"}), &json!({})));
    let body = get(&mut Client::connect(&server.address), "/metrics", &server.key).body;
    for text in ["tickets", "Ticket", "Tag", "Marker", "127.0.0.1", "test.db", "jql_", &key[4..16], &server.key[4..16]]
    {
        assert!(!body.contains(text), "{text}");
    }
}

#[test]
fn it_leaves_an_entry_in_the_usage_log_as_a_reading_of_it() {
    let server = Server::start();
    let mut client = Client::connect(&server.address);
    let lacking = server.key_for("tickets.Tag:read");
    get(&mut client, "/metrics", &server.key);
    get(&mut client, "/metrics", &lacking);
    get(&mut client, "/openapi.json", &lacking);
    get(&mut client, "/metrics", "");
    let (log, read) = (json!("system.UsageLog"), json!("read"));
    let entries = |server: &Server| -> Vec<Value> {
        let one =
            |entry: Value| json!([entry["key"], entry["namespace"], entry["intent"], entry["action"], entry["status"]]);
        server.logs(&[]).into_iter().map(one).collect()
    };
    eventually("they are written", || entries(&server).len() == 4);
    assert_eq!(
        entries(&server),
        [
            json!([&server.key[4..16], log, null, read, 200]),
            json!([&lacking[4..16], log, null, read, 403]),
            json!([&lacking[4..16], null, null, null, 200]),
            json!([null, null, null, null, 401]),
        ]
    );
}
