//! Hostile requests, each with a good one behind it; and a key that must not learn what it may not read.

use super::corpus::{Corpus, models, records};
use super::judge::{Good, assert_proper, assert_unharmed, holdings, keeps};
use crate::dice::{Dice, seed};
use crate::report::{counted, scale};
use crate::support::{Client, Reply, Server, file_holds, request};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Mutex;

/// What stands in every value that is hidden, again and again, so that a part of it tells as well.
const HIDDEN: &str = "qzx7kqzx7kqzx7kqzx7k";
const PART_OF_HIDDEN: &str = "zx7kqzx7";
const HIDDEN_NUMBER: u64 = 867_530_986_753;
/// What stands in the names of fields that are hidden, and in that of the way to them.
const HIDDEN_NAME: &str = "wvj4wvj4";

/// A server with the records of the manual, a record that only the good request is about, and hidden ones.
struct Arena {
    server: Server,
    good: [Good; 2],
    descriptors: usize,
}

impl Arena {
    fn new() -> Arena {
        let server = Server::with(&arena_models().to_string(), &[]);
        for request in records() {
            server.data(&request);
        }
        server.create("guard.Word", &json!({"name": "as ever", "n": 7}));
        for n in 0..3 {
            let values = json!({"name": format!("{HIDDEN}{n}"), "ticket": 1 + n, "n": HIDDEN_NUMBER, format!("a{HIDDEN_NAME}"): HIDDEN});
            server.create("vault.Secret", &values);
        }
        server.change(&format!(r#"UPDATE "profile.Customer" SET "name" = '{HIDDEN}', "email" = "id" || '@{HIDDEN}'"#));
        let key = server.key_for("guard.Word:*");
        let word = json!({"id": null, "name": null, "n": null});
        let read = request("retrieve", "guard.Word", &json!({"filter": {"name__startswith": "as"}}), &word);
        let meta = json!({"uniqueObject": {"id": 1}, "return": word});
        let write = request("update", "guard.Word", &meta, &json!({"n": 7}));
        let good = [read, write].map(|body| Good::new(&server, &key, &body));
        let descriptors = holdings(&server).1;
        Arena { server, good, descriptors }
    }

    /// Sends so many hostile requests with that key over several connections at once, each with a good one behind it;
    /// every answer is also given to `look`.
    fn fight(&self, of: &str, key: &str, corpus: &Corpus, rounds: usize, look: impl Fn(&[u8], &Reply) + Sync) {
        let (seed, threads, statuses) = (seed(of), scale(2, 4), Mutex::new(BTreeMap::<u16, usize>::new()));
        std::thread::scope(|scope| {
            for number in 0..threads {
                let (look, statuses) = (&look, &statuses);
                scope.spawn(move || {
                    let mut dice = Dice::new(seed, number);
                    let mut client = Client::connect(&self.server.address);
                    for round in 0..rounds / threads {
                        let body = corpus.hostile(&mut dice);
                        let reply = post(&mut client, key, &body);
                        assert_proper(&reply, &body);
                        look(&body, &reply);
                        *statuses.lock().unwrap().entry(reply.status).or_default() += 1;
                        if !keeps(&reply) {
                            client = Client::connect(&self.server.address);
                        }
                        self.good[usize::from(round % 16 == 0)].check(&mut client);
                        if round % 500 == 499 {
                            self.sweep();
                        }
                    }
                });
            }
        });
        let statuses = statuses.into_inner().unwrap();
        let all: usize = statuses.values().sum();
        let taken = statuses.get(&200).copied().unwrap_or(0);
        println!("{of}: {statuses:?}");
        assert!(taken * 50 > all, "hardly anything was taken, so hardly anything was tried: {statuses:?}");
        counted(of, "hostile requests", all);
        counted(of, "of them carried out", taken);
        counted(of, "answers of 500", statuses.get(&500).copied().unwrap_or(0));
        counted(of, "good requests between them, answered as ever", all);
    }

    /// Removes what hostile requests made, so that a long test stays as quick as a short one.
    fn sweep(&self) {
        for namespace in ["tickets.Ticket", "tickets.Tag", "tickets.Category", "fleet.Vehicle"] {
            let meta = json!({"filter": {"id__gt": 40}});
            self.server.send(&request("deleteMany", namespace, &meta, &json!({})));
        }
    }
}

/// The models of the manual, and those that only these tests know.
fn arena_models() -> Value {
    let mut models = models();
    models["guard.Word"] = json!({"fields": {"name": {"type": "string"}, "n": {"type": "integer"}}});
    models["vault.Secret"] = json!({
        "fields": {
            "name": {"type": "string", "unique": true, "help": HIDDEN},
            "n": {"type": "integer", "default": HIDDEN_NUMBER},
            "ticket": {"type": "ref", "to": "tickets.Ticket", "null": true, "related_name": format!("b{HIDDEN_NAME}")},
            (format!("a{HIDDEN_NAME}")): {"type": "string", "default": HIDDEN},
        },
        "ordering": [format!("a{HIDDEN_NAME}")]
    });
    models
}

/// Sends the bytes of a request and reads the answer.
#[track_caller]
fn post(client: &mut Client, key: &str, body: &[u8]) -> Reply {
    let head = format!(
        "POST /jql HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {key}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    client.send(&[head.as_bytes(), body].concat());
    client.try_reply("POST").unwrap_or_else(|| panic!("no answer to {:.2000}", String::from_utf8_lossy(body)))
}

/// The hashes of all keys, as their first letters in hexadecimal.
fn hashes(server: &Server) -> Vec<String> {
    let rows = server.rows(r#"SELECT lower(hex("hash")) FROM "system.ApiKeySecret""#);
    rows.lines().map(|hash| hash[..16].to_owned()).collect()
}

#[test]
fn hostile_requests_are_answered_and_the_next_is_served_as_ever() {
    let mut arena = Arena::new();
    let key = arena.server.key_for("tickets.*:*,profile.*:*,fleet.*:*,vault.*:*,system.*:*");
    let corpus = Corpus::of(&arena.server, &key);
    let secrets = [hashes(&arena.server), vec![key[17..].to_owned(), arena.server.key[17..].to_owned()]].concat();
    arena.fight("hostile requests", &key, &corpus, scale(800, 150_000), |body, reply| {
        let secret = secrets.iter().find(|secret| reply.body.contains(secret.as_str()));
        assert!(secret.is_none(), "{}\n{}", String::from_utf8_lossy(body), reply.body);
    });
    assert_unharmed(&mut arena.server, arena.descriptors);
    for name in ["test.db", "test.db-wal", "stderr"] {
        assert!(!file_holds(&arena.server.folder.path(name), &key[17..]), "{name} holds a key");
    }
}

#[test]
fn no_answer_tells_a_key_what_it_may_not_read() {
    let mut arena = Arena::new();
    let blind = arena.server.key_for("tickets.*:*,fleet.*:*");
    // The requests are those of somebody who knows all names but the hidden one.
    let corpus = Corpus::of(&arena.server, &arena.server.key);
    let number = HIDDEN_NUMBER.to_string();
    let told = |text: &str| {
        let text = text.to_lowercase();
        [PART_OF_HIDDEN, HIDDEN_NAME, &number].map(|hidden| text.contains(hidden))
    };
    let shown = request("retrieve", "vault.Secret", &json!({}), &json!({}));
    assert_eq!(told(&arena.server.send(&shown).body), [true; 3], "nothing is hidden that could be told");
    arena.fight("requests of a key without rights", &blind, &corpus, scale(400, 60_000), |body, reply| {
        let body = String::from_utf8_lossy(body);
        // What stands in the request may be repeated.
        let mut both = told(&reply.body).into_iter().zip(told(&body));
        assert!(both.all(|(tells, asks)| !tells || asks), "{body}\n{}", reply.body);
    });
    assert_unharmed(&mut arena.server, arena.descriptors);
}
