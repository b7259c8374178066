//! A server for tests: its one clock, and what repeats with a seed.

use crate::support::{Client, MODELS, Server, eventually, request};
use serde_json::{Value, json};

fn count(namespace: &str) -> Value {
    request("count", namespace, &json!({}), &json!({}))
}

fn tag(name: &str) -> Value {
    request("create", "tickets.Tag", &json!({}), &json!({"name": name}))
}

#[test]
fn the_clock_stops_goes_on_and_moves() {
    let server = Server::ephemeral(MODELS, &["--now", "2026-01-31T09:30:00+02:00"]);
    assert_eq!(server.clock(&json!({})), "2026-01-31T07:30:00.000000Z");
    assert_eq!(server.clock(&json!({"advance": "90d"})), "2026-05-01T07:30:00.000000Z");
    assert_eq!(server.clock(&json!({"freeze": "2030-01-01"})), "2030-01-01T00:00:00.000000Z");
    let gone = server.clock(&json!({"run": true}));
    assert!(gone.starts_with("2030-01-01T00:00:0"), "{gone}");
    eventually("it goes on", || server.clock(&json!({})) > gone);
    assert!(server.clock(&json!({"set": "1999-12-31T23:00:00Z"})).starts_with("1999-12-31T23:00:0"));
    assert!(server.clock(&json!({"advance": "2h"})).starts_with("2000-01-01T01:00:0"), "it goes on from there");
    let stopped = server.clock(&json!({"freeze": true}));
    assert_eq!(server.acted("clock", &json!({})), json!({"now": stopped, "frozen": true}));
    server.acted("reset", &json!({}));
    assert_eq!(server.clock(&json!({})), "2026-01-31T07:30:00.000000Z", "it is part of the seed");
    let late = "/advance: \"advance\" leads past the year 9999";
    server.assert_act_refused("clock", &json!({"advance": "2920000d"}), 400, late);
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
        server.assert_act_refused("clock", &arguments, 400, mistake);
    }
}

#[test]
fn every_moment_comes_from_the_one_clock() {
    let server = Server::ephemeral(MODELS, &["--now", "2026-01-31", "--max-key-age", "200d", "--log-retention", "30d"]);
    let ticket = || {
        let category = server.create("tickets.Category", &json!({"name": server.clock(&json!({}))}));
        let id = server.create("tickets.Ticket", &json!({"title": "t", "category": category}));
        server.record("tickets.Ticket", &id, &["created"])["created"].as_str().unwrap().to_owned()
    };
    assert_eq!(ticket(), "2026-01-31T00:00:00.000000Z");
    let short =
        server.make_key(&json!({"name": "short", "permissions": ["tickets.Tag:read"], "expires": "2026-02-10"}));
    let rotated = server.make_key(&json!({"name": "rotated", "permissions": ["tickets.Tag:read"]}));
    let rotate = json!({"schema": "controller", "uniqueObject": {"id": 3}});
    let fresh = server.data(&request("rotate", "system.ApiKey", &rotate, &json!({"overlap": "24h"})));
    let fresh = fresh["key"].as_str().unwrap();
    let status = |key: &str| server.send_as(key, &count("tickets.Tag")).status;
    assert_eq!([status(&short), status(&rotated), status(fresh)], [200; 3]);
    assert_eq!(server.send_with("Idempotency-Key: k\r\n", &tag("kept")).status, 200);
    assert_eq!(server.send_with("Idempotency-Key: k\r\n", &tag("other")).status, 409);

    assert_eq!(server.clock(&json!({"advance": "25h"})), "2026-02-01T01:00:00.000000Z");
    assert_eq!(ticket(), "2026-02-01T01:00:00.000000Z");
    assert_eq!([status(&short), status(&rotated), status(fresh)], [200, 401, 200], "the overlap is over");
    assert_eq!(server.send_with("Idempotency-Key: k\r\n", &tag("other")).status, 200, "and the day of an answer");
    let narrow = json!({"filter": {"at__lt": "2026-02-01"}});
    let old = request("count", "system.UsageLog", &narrow, &json!({}));
    eventually("entries of that day are there", || server.data(&old)["count"].as_u64() > Some(5));

    server.clock(&json!({"advance": "31d"}));
    assert_eq!([status(&short), status(fresh)], [401, 200], "the key has expired");
    eventually("old entries of the log go", || server.data(&old)["count"] == 0);
    server.clock(&json!({"advance": "120d"}));
    assert_eq!(status(fresh), 200);
    server.clock(&json!({"advance": "50d"}));
    assert_eq!([status(fresh), status(&server.key)], [401; 2], "secrets are too old, the server's own too");
}

#[test]
fn a_rate_goes_by_the_clock() {
    let server = Server::ephemeral(MODELS, &["--now", "2026-01-31"]);
    let key = server.make_key(&json!({"name": "slow", "permissions": ["tickets.Tag:read"], "rate": 2}));
    let ask = || server.send_as(&key, &count("tickets.Tag"));
    assert_eq!([ask().status, ask().status, ask().status], [200, 200, 429]);
    assert_eq!(ask().header("retry-after"), Some("31"));
    server.clock(&json!({"advance": "30s"}));
    assert_eq!([ask().status, ask().status], [200, 429]);
    server.clock(&json!({"set": "2020-01-01"}));
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
    one.acted("reset", &json!({}));
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
    one.acted("reset", &json!({}));
    for others in [story(&one), story(&other)] {
        assert!(first[0].0 != others[0].0 && first[3].0 != others[3].0);
    }
}
