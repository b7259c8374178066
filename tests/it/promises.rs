//! What holds for every write, however it ends: random requests on one server, and the file compared before and
//! after. Everything random is made of dice that choose from small pools, so that requests meet each other and what is
//! there, some of them fail, and a failing case shrinks.

use crate::support::{Client, Reply, Server, request};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestCaseError, TestRunner};
use rusqlite::Connection;
use serde_json::{Value, json};
use std::cell::RefCell;
use std::sync::atomic::{AtomicU64, Ordering};

const MODELS: &str = r#"{
  "p.Tag": { "fields": { "name": { "type": "string", "unique": true } } },
  "p.Item": { "versioned": true, "fields": {
      "code": { "type": "integer", "unique": true },
      "n": { "type": "integer", "default": 1, "min": 0, "max": 9 },
      "tag": { "type": "ref", "to": "p.Tag", "null": true, "related_name": "items" },
      "up": { "type": "ref", "to": "p.Item", "null": true, "on_delete": "cascade", "related_name": "downs" },
      "tags": { "type": "refs", "to": "p.Tag", "related_name": "marked" } } } }"#;

/// A server, a connection to it, and its file.
struct Bench {
    server: Server,
    client: Client,
    file: Connection,
}

impl Bench {
    fn new() -> Bench {
        let server = Server::with(MODELS, &[]);
        let client = Client::connect(&server.address);
        let file = Connection::open(server.folder.path("test.db")).unwrap();
        Bench { server, client, file }
    }

    /// Puts three tags and four items there and nothing else: codes 0 to 3, each but the first below the one before it.
    fn reset(&mut self) {
        self.file
            .execute_batch(
                r#"BEGIN IMMEDIATE;
                   DELETE FROM "p.Item"; DELETE FROM "p.Tag"; DELETE FROM "system.KeptAnswer";
                   UPDATE "sqlite_sequence" SET "seq" = 0 WHERE "name" LIKE 'p.%';
                   INSERT INTO "p.Tag" ("name") VALUES ('t0'), ('t1'), ('t2');
                   INSERT INTO "p.Item" ("code", "n", "tag", "up")
                   VALUES (0, 0, 1, NULL), (1, 1, 1, 1), (2, 2, NULL, 2), (3, 3, NULL, 3);
                   INSERT INTO "p.Item.tags" VALUES (1, 1), (1, 2), (2, 3);
                   COMMIT"#,
            )
            .unwrap();
    }

    fn send(&mut self, request: &Value) -> Reply {
        self.client.jql(&self.server.key, &request.to_string())
    }

    /// Sends a request under an idempotency key.
    fn send_under(&mut self, under: &str, request: &Value) -> Reply {
        let (key, body) = (&self.server.key, request.to_string());
        let length = body.len();
        let head = format!("Authorization: Bearer {key}\r\nContent-Type: application/json\r\n");
        let head = format!("{head}Idempotency-Key: {under}\r\nContent-Length: {length}\r\n");
        self.client.request("POST", "/jql", &head, &body)
    }

    fn dump(&self) -> String {
        self.server.dump()
    }
}

/// Tries a property on many cases, with one server for all.
#[track_caller]
fn check<S: Strategy>(cases: u32, strategy: S, property: impl Fn(&mut Bench, S::Value) -> Result<(), TestCaseError>) {
    let bench = RefCell::new(Bench::new());
    let config = Config { cases, failure_persistence: None, max_shrink_iters: 200, ..Config::default() };
    if let Err(failure) = TestRunner::new(config).run(&strategy, |case| property(&mut bench.borrow_mut(), case)) {
        panic!("{failure}");
    }
}

type Dice = [u32; 5];

fn dice() -> impl Strategy<Value = Dice> {
    any::<Dice>()
}

/// The values of an item. Codes meet those that are there, and now and then a value or a reference is none.
fn values(dice: &Dice) -> Value {
    let mut values = json!({"code": dice[1] % 12});
    if dice[2].is_multiple_of(2) {
        values["n"] = json!(dice[2] / 2 % 11);
    }
    if dice[3].is_multiple_of(3) {
        values["tag"] = if dice[3].is_multiple_of(2) { Value::Null } else { json!(1 + dice[3] / 6 % 4) };
    }
    if dice[4].is_multiple_of(3) {
        values["up"] = json!(1 + dice[4] / 3 % 6);
    }
    if dice[4].is_multiple_of(5) {
        values["tags"] = json!([1 + dice[4] / 5 % 4, 1]);
    }
    values
}

/// The values without the code, which no two items share.
fn shared_values(dice: &Dice) -> Value {
    let mut values = values(dice);
    values.as_object_mut().unwrap().remove("code");
    if values == json!({}) { json!({"n": dice[1] % 10}) } else { values }
}

const RETURNED: [&str; 5] = ["id", "code", "n", "tag", "version"];

/// A request that writes.
fn write(dice: &Dice) -> Value {
    let [kind, a, b, ..] = *dice;
    let item = |intent: &str, meta: Value, values: &Value| request(intent, "p.Item", &meta, values);
    let returned: Value = RETURNED.iter().map(|field| ((*field).to_owned(), Value::Null)).collect();
    let id = json!({"id": 1 + a % 6});
    let none = json!({});
    match kind % 12 {
        0 => item("create", json!({"return": returned}), &values(dice)),
        1 => item("createMany", json!({"objects": [values(dice), values(&[0, a + 5, b + 1, a, b])]}), &none),
        2 => item("update", json!({"uniqueObject": id, "return": returned}), &values(dice)),
        3 => item("update", json!({"uniqueObject": {"id": 1 + a % 4, "version": 1 + b % 2}}), &shared_values(dice)),
        4 => item("updateMany", json!({"filter": {"n__gte": a % 10}}), &shared_values(dice)),
        5 => item("updateMany", json!({"filter": {"up__n__lt": b % 5}, "maxAffected": a % 5}), &shared_values(dice)),
        6 => item("upsert", json!({"uniqueObject": {"code": a % 8}, "return": returned}), &shared_values(dice)),
        7 => item("deleteOne", json!({"uniqueObject": id}), &none),
        8 => item("deleteMany", json!({"filter": {"code__in": [a % 8, b % 8]}}), &none),
        9 => request("create", "p.Tag", &none, &json!({"name": format!("t{}", a % 6)})),
        10 => request("deleteOne", "p.Tag", &json!({"uniqueObject": {"id": 1 + a % 4}}), &none),
        _ => request("upsert", "p.Tag", &json!({"uniqueObject": {"name": format!("t{}", a % 6)}}), &none),
    }
}

/// A request that writes, or now and then one that reads.
fn step(dice: &Dice) -> Value {
    match dice[0] % 16 {
        12 => request("count", "p.Item", &json!({"filter": {"n__gte": dice[1] % 5}}), &json!({})),
        13 => request("retrieve", "p.Item", &json!({"ordering": "-code"}), &json!({"code": null, "tags": null})),
        14 => request("retrieveOne", "p.Item", &json!({"uniqueObject": {"id": 1 + dice[1] % 5}}), &json!({})),
        _ => write(dice),
    }
}

fn batch(requests: &[Value], atomic: bool) -> Value {
    let arguments = json!({"requests": requests, "atomic": atomic});
    request("execute", "system.Batch", &json!({"schema": "controller"}), &arguments)
}

fn dry(request: &Value) -> Value {
    let mut request = request.clone();
    request["__meta__"]["dryRun"] = json!(true);
    request
}

// -- Batches ------------------------------------------------------------------------------------

#[test]
fn an_atomic_batch_does_what_its_requests_do_alone_or_nothing() {
    check(48, vec(dice(), 1..7), |bench, all| {
        let requests: Vec<Value> = all.iter().map(step).collect();
        bench.reset();
        let before = bench.dump();
        let mut alone: Vec<Value> = Vec::new();
        let mut failed = None;
        for (index, request) in requests.iter().enumerate() {
            let reply = bench.send(request);
            if reply.status != 200 {
                failed = Some((index, reply));
                break;
            }
            alone.push(reply.json());
        }
        let after = bench.dump();
        bench.reset();
        prop_assert_eq!(&bench.dump(), &before);
        let reply = bench.send(&batch(&requests, true));
        let json = reply.json();
        match failed {
            None => {
                prop_assert_eq!(reply.status, 200, "{}", reply.body);
                prop_assert_eq!(&json["data"], &json!(alone));
                prop_assert_eq!(bench.dump(), after);
            }
            Some((index, failed)) => {
                prop_assert_eq!(reply.status, failed.status, "{}", reply.body);
                prop_assert_eq!(&json["extras"]["index"], &json!(index));
                let place = |error: &String| {
                    let (pointer, message) = error.split_once(": ").unwrap();
                    format!("/requests/{index}{pointer}: {message}")
                };
                prop_assert_eq!(reply.errors(), failed.errors().iter().map(place).collect::<Vec<_>>());
                prop_assert_eq!(bench.dump(), before);
            }
        }
        Ok(())
    });
}

#[test]
fn a_batch_that_is_not_atomic_does_what_its_requests_do_alone() {
    check(32, vec(dice(), 1..7), |bench, all| {
        let requests: Vec<Value> = all.iter().map(step).collect();
        bench.reset();
        let alone: Vec<Value> = requests.iter().map(|request| bench.send(request).json()).collect();
        let after = bench.dump();
        bench.reset();
        let reply = bench.send(&batch(&requests, false));
        prop_assert_eq!(&reply.json()["data"], &json!(alone));
        prop_assert_eq!(bench.dump(), after);
        Ok(())
    });
}

// -- Dry runs -----------------------------------------------------------------------------------

#[test]
fn a_dry_run_is_the_run_without_its_traces() {
    check(64, (vec(dice(), 0..3), vec(dice(), 1..4)), |bench, (before, all)| {
        bench.reset();
        let before: Vec<Value> = before.iter().map(write).collect();
        bench.send(&batch(&before, false));
        let requests: Vec<Value> = all.iter().map(write).collect();
        for request in requests.iter().chain([&batch(&requests, true), &batch(&requests, false)]) {
            let known = bench.dump();
            let tried = bench.send(&dry(request));
            prop_assert_eq!(bench.dump(), known, "{}", request);
            let done = bench.send(request);
            prop_assert_eq!((tried.status, tried.body), (done.status, done.body), "{}", request);
        }
        Ok(())
    });
}

// -- Retries ------------------------------------------------------------------------------------

#[test]
fn a_retry_changes_nothing() {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    check(48, (vec(dice(), 0..3), dice(), any::<bool>()), |bench, (before, one, whole)| {
        bench.reset();
        let before: Vec<Value> = before.iter().map(write).collect();
        bench.send(&batch(&before, false));
        let request = if whole { batch(&[write(&one), write(&one)], false) } else { write(&one) };
        let under = format!("key-{}", NEXT.fetch_add(1, Ordering::Relaxed));
        let first = bench.send_under(&under, &request);
        let known = bench.dump();
        for _ in 0..2 {
            let again = bench.send_under(&under, &request);
            prop_assert_eq!((again.status, &again.body), (first.status, &first.body));
            prop_assert_eq!(again.header("idempotency-replayed").is_some(), first.status == 200);
            prop_assert_eq!(bench.dump(), known.clone(), "{}", request);
        }
        Ok(())
    });
}

// -- Lists --------------------------------------------------------------------------------------

/// A record that no list of them can hold, and what is wrong with it. `place` is its place in the list.
fn bad_record(die: u32, place: usize) -> (Value, &'static str) {
    let code = 1000 + place;
    match die % 8 {
        0 => (json!({"code": 2}), "code: another p.Item has this code already"),
        1 if place > 0 => (json!({"code": 100 + place - 1}), "code: another p.Item has this code already"),
        1 => (json!({"code": null}), "code: \"code\" must not be null"),
        2 => (json!({"code": code, "tag": 9}), "tag: there is no p.Tag with id 9"),
        3 => (json!({"code": code, "tags": [1, 9]}), "tags: there is no p.Tag with id 9"),
        4 => (json!({"code": code, "n": 10}), "n: \"n\" must be at most 9"),
        5 => (json!({"n": 1}), "code: p.Item needs the field \"code\""),
        6 => (json!({"code": code, "up": 99}), "up: there is no p.Item with id 99"),
        _ => (json!({"code": "x"}), "code: \"code\" is an integer and cannot be \"x\""),
    }
}

#[test]
fn a_list_that_fails_at_any_record_leaves_nothing() {
    check(64, (1..40_usize, any::<prop::sample::Index>(), any::<u32>()), |bench, (length, place, die)| {
        bench.reset();
        let place = place.index(length);
        let good = |index: usize| json!({"code": 100 + index, "tag": 1 + index % 3, "tags": [1 + index % 2], "up": 1});
        let mut objects: Vec<Value> = (0..length).map(good).collect();
        let many = |objects: &[Value]| request("createMany", "p.Item", &json!({"objects": objects}), &json!({}));
        let (bad, error) = bad_record(die, place);
        objects[place] = bad;
        let before = bench.dump();
        let reply = bench.send(&many(&objects));
        prop_assert!(matches!(reply.status, 400 | 409), "{}", reply.body);
        prop_assert_eq!(reply.errors(), [format!("/__meta__/objects/{place}/{error}")]);
        prop_assert_eq!(bench.dump(), before);
        // Without it all of them go in, in their order, and no id was used up.
        objects[place] = good(place);
        let ids: Vec<Value> = (0..length).map(|index| json!({"id": 5 + index})).collect();
        prop_assert_eq!(&bench.send(&many(&objects)).json()["data"], &json!(ids));
        Ok(())
    });
}

// -- Versions -----------------------------------------------------------------------------------

/// Reads a record, adds one to what it holds, and tries again where another one was quicker.
fn add_one(client: &mut Client, key: &str, id: u64) {
    loop {
        let one = json!({"uniqueObject": {"id": id}});
        let read = request("retrieveOne", "c.Counter", &one, &json!({"n": null, "version": null}));
        let seen = client.jql(key, &read.to_string()).json()["data"].clone();
        let one = json!({"uniqueObject": {"id": id, "version": seen["version"]}});
        let write = request("update", "c.Counter", &one, &json!({"n": seen["n"].as_u64().unwrap() + 1}));
        let reply = client.jql(key, &write.to_string());
        match reply.status {
            200 => return,
            status => assert_eq!(status, 409, "{}", reply.body),
        }
    }
}

#[test]
fn of_updates_that_mind_the_version_none_is_lost() {
    let models = json!({"c.Counter": {"versioned": true, "fields": {"n": {"type": "integer"}}}});
    let server = Server::with(&models.to_string(), &[]);
    let mut made = 0;
    let config = Config { cases: 4, failure_persistence: None, max_shrink_iters: 4, ..Config::default() };
    let server = &server;
    let made = RefCell::new(&mut made);
    // For each of eight threads the counters that it raises, of two.
    let outcome = TestRunner::new(config).run(&vec(vec(0..2_u64, 1..8), 8), |threads| {
        let mut made = made.borrow_mut();
        let first: u64 = **made + 1;
        **made += 2;
        for _ in 0..2 {
            server.create("c.Counter", &json!({"n": 0}));
        }
        std::thread::scope(|scope| {
            for counters in &threads {
                scope.spawn(move || {
                    let mut client = Client::connect(&server.address);
                    counters.iter().for_each(|counter| add_one(&mut client, &server.key, first + counter));
                });
            }
        });
        for counter in 0..2 {
            let times = threads.iter().flatten().filter(|raised| **raised == counter).count();
            let record = server.record("c.Counter", &json!(first + counter), &["n", "version"]);
            prop_assert_eq!(record, json!({"n": times, "version": times + 1}));
        }
        Ok(())
    });
    if let Err(failure) = outcome {
        panic!("{failure}");
    }
}
