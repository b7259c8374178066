//! Two databases that differ only in what a key may not read give that key the same answers, to the byte, whatever it
//! asks. For a key that may read it, each of these requests tells the two apart, so that none of them is about nothing.

use super::clauses::{MODELS, OTHERS, RECORDS, groups};
use super::new_key;
use crate::dice::{Dice, seed};
use crate::hostile::corpus::Corpus;
use crate::hostile::grammar::Grammar;
use crate::hostile::tree::Tree;
use crate::report::{counted, scale};
use crate::support::{Client, Folder, Reply, Server, request};
use rusqlite::Connection;
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// Two servers on databases that differ in a few hidden things.
struct Twins {
    servers: [Server; 2],
    /// A connection to each.
    clients: [Client; 2],
}

impl Twins {
    /// Of a server that is stopped, and a copy of its database in which the statements are carried out.
    fn of(server: Server, statements: &str) -> Twins {
        let key = server.key.clone();
        let (_, folder) = server.stop();
        let other = Folder::new();
        std::fs::copy(folder.path("test.db"), other.path("test.db")).unwrap();
        Connection::open(other.path("test.db")).unwrap().execute_batch(statements).unwrap();
        let servers = [folder, other].map(|folder| Server::again(folder, key.clone(), &[]));
        let clients = servers.each_ref().map(|server| Client::connect(&server.address));
        Twins { servers, clients }
    }

    /// What each answers.
    fn answers(&mut self, key: &str, body: &str) -> [Reply; 2] {
        self.clients.each_mut().map(|client| client.jql(key, body))
    }

    /// Both answer alike.
    #[track_caller]
    fn assert_alike(&mut self, key: &str, body: &str) {
        let [one, other] = self.answers(key, body);
        assert_eq!((one.status, &one.body), (other.status, &other.body), "{body}");
    }

    /// Whether they answer alike.
    fn are_alike(&mut self, key: &str, body: &str) -> bool {
        let [one, other] = self.answers(key, body);
        (one.status, &one.body) == (other.status, &other.body)
    }
}

/// Twins that differ in the records of `vault`, and keys with these permissions.
fn desks(permissions: [&str; 2]) -> (Twins, [String; 2]) {
    let server = Server::with(MODELS, &[]);
    server.change(RECORDS);
    let keys = permissions.map(|permissions| new_key(&server, permissions, permissions));
    (Twins::of(server, OTHERS), keys)
}

/// The same request as one of a batch, and as one that may be answered from memory.
fn other_ways(request: &Value) -> Vec<Value> {
    let batch = |atomic| {
        let beside = json!({"requests": [request], "atomic": atomic});
        crate::support::request("execute", "system.Batch", &json!({"schema": "controller", "dryRun": true}), &beside)
    };
    let mut cached = request.clone();
    cached["__meta__"]["cache"] = json!({"enabled": true});
    vec![batch(true), batch(false), cached.clone(), cached]
}

#[test]
fn no_clause_tells_a_key_of_records_that_it_may_not_read() {
    let (mut twins, [blind, seeing]) = desks(["desk.*:*", "*.*:*"]);
    let mut tried = 0;
    for requests in groups() {
        let different = requests.iter().filter(|request| !twins.are_alike(&seeing, &request.to_string())).count();
        assert!(different * 3 > requests.len(), "{different} of {} tell anything: {requests:?}", requests.len());
        for request in &requests {
            twins.assert_alike(&blind, &request.to_string());
        }
        for way in other_ways(&requests[0]) {
            twins.assert_alike(&blind, &way.to_string());
        }
        tried += requests.len() + 4;
    }
    // Deletions would reach hidden records, or leave none behind.
    for meta in [json!({"filter": {}}), json!({"filter": {"id": 1}}), json!({"filter": {"text": "x"}})] {
        let meta = json!({"filter": meta["filter"], "dryRun": true});
        twins.assert_alike(&blind, &request("deleteMany", "desk.Note", &meta, &json!({})).to_string());
    }
    counted("leaks", "clauses that name what is hidden", tried);
    counted("leaks", "of them that told two databases apart", 0);
}

/// The keys of `__meta__` and of totals that cannot name a field, and lead to no other model.
const NAME_NOTHING: [&str; 20] = [
    "authenticationClass",
    "intent",
    "schema",
    "draw",
    "limit",
    "offset",
    "count",
    "after",
    "cache",
    "dryRun",
    "maxAffected",
    "function",
    "separator",
    "castType",
    "value",
    "digits",
    "namespace",
    "length",
    "suffix",
    "format",
];

/// All names of `__meta__` in the description, those of totals and steps, and all with underscores around them.
fn keys_of_the_language(document: &Value) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut waiting: Vec<&Value> = document["components"]["schemas"].as_object().unwrap().values().collect();
    for name in ["Total", "Step"] {
        for form in document["components"]["schemas"][name]["anyOf"].as_array().unwrap() {
            found.extend(form["properties"].as_object().unwrap().keys().cloned());
        }
    }
    while let Some(schema) = waiting.pop() {
        if let Some(properties) = schema["properties"].as_object() {
            found.extend(properties.keys().filter(|name| name.starts_with("__")).cloned());
            let meta = properties.get("__meta__").and_then(|meta| meta["properties"].as_object());
            found.extend(meta.into_iter().flat_map(|meta| meta.keys().cloned()));
        }
        match schema {
            Value::Object(members) => waiting.extend(members.values()),
            Value::Array(items) => waiting.extend(items),
            _ => {}
        }
    }
    found
}

#[test]
fn every_key_of_the_language_that_can_name_a_field_is_among_the_clauses() {
    let server = Server::with(MODELS, &[]);
    let head = format!("Authorization: Bearer {}\r\n", server.key);
    let document = Client::connect(&server.address).request("GET", "/openapi.json", &head, "").json();
    let keys = keys_of_the_language(&document);
    assert!(keys.contains("outerRefMapping") && keys.contains("__field__") && keys.len() > 30, "{keys:?}");
    let clauses = json!(groups()).to_string();
    for key in keys {
        let is_there = clauses.contains(&format!("\"{key}\":"));
        assert!(is_there || NAME_NOTHING.contains(&key.as_str()), "no clause tries {key}");
    }
}

#[test]
fn no_request_of_chance_tells_a_key_of_records_that_it_may_not_read() {
    let (mut twins, [blind, seeing]) = desks(["desk.*:read", "*.*:read"]);
    let examples: Vec<Tree> = groups().concat().iter().map(Tree::of).collect();
    let corpus = Corpus { grammar: Grammar::of(&twins.servers[0], &seeing), examples };
    let mut dice = Dice::new(seed("leaks"), 0);
    let (rounds, mut different) = (scale(400, 40_000), 0);
    for _ in 0..rounds {
        let body = corpus.tree(&mut dice).text();
        if body.contains("system.") && !body.contains("system.Batch") {
            continue; // what they tell of themselves differs by the moment
        }
        different += usize::from(!twins.are_alike(&seeing, &body));
        twins.assert_alike(&blind, &body);
    }
    assert!(different * 50 > rounds, "only {different} of {rounds} requests could have told anything");
    counted("leaks", "requests of chance", rounds);
    counted("leaks", "of them that tell who may read it all", different);
    counted("leaks", "of them that told who may not", 0);
}

#[test]
fn a_hidden_model_is_answered_as_one_that_is_not_there() {
    let server = Server::with(MODELS, &[]);
    server.change(RECORDS);
    let blind = new_key(&server, "blind", "desk.*:*,system.ApiKey:*");
    let mut client = Client::connect(&server.address);
    let named = |name: &str| -> Vec<Value> {
        let one = json!({"uniqueObject": {"id": 1}});
        let many = json!({"filter": {"name": "alpha"}});
        let subquery = json!({"x": {"__meta__": {"intent": "subquery", "namespace": name, "onField": "name"}}});
        let mapped = json!({"x": {"__meta__": {"intent": "subquery", "namespace": name, "filter": {"n": 1},
            "outerRefMapping": [{"field": "id", "referenceField": "secret"}], "sequencedProcess": [{"function": "Count"}]}}});
        let key = |permission: String| json!({"name": "x", "permissions": permission});
        let mut all = vec![
            request("retrieve", name, &json!({"ordering": "name"}), &json!({"name": null, "nothing": null})),
            request("retrieveOne", name, &one, &json!({})),
            request("count", name, &many, &json!({})),
            request("aggregate", name, &json!({"groupBy": ["name"]}), &json!({})),
            request("create", name, &json!({}), &json!({"name": "alpha", "nothing": 1})),
            request("createMany", name, &json!({"objects": [{"name": 1}]}), &json!({})),
            request("update", name, &one, &json!({"name": 1})),
            request("updateMany", name, &many, &json!({"n": 1})),
            request("upsert", name, &json!({"uniqueObject": {"name": "alpha"}}), &json!({"n": 1})),
            request("deleteOne", name, &one, &json!({})),
            request("deleteMany", name, &many, &json!({})),
            request("retrieve", "desk.Note", &json!({}), &subquery),
            request("retrieve", "desk.Note", &json!({}), &mapped),
            request("create", "system.ApiKey", &json!({}), &key(format!("{name}:read"))),
            request("create", "system.ApiKey", &json!({}), &key(format!("desk.Note:read,{name}:*"))),
            request("update", "system.ApiKey", &json!({"uniqueObject": {"id": 2}}), &key(format!("{name}:delete"))),
        ];
        all.extend(all.clone().iter().flat_map(other_ways));
        all
    };
    for (hidden, absent) in named("vault.Secret").into_iter().zip(named("vault.Absent")) {
        let [one, other] = [hidden, absent].map(|request| client.jql(&blind, &request.to_string()));
        assert_eq!((one.status, one.body), (other.status, other.body.replace("vault.Absent", "vault.Secret")));
    }
}

#[test]
fn no_key_tells_two_databases_apart_that_differ_in_the_hashes_of_keys() {
    let server = Server::start();
    let reading = new_key(&server, "reading", "system.*:*,*.*:*");
    for name in ["a", "b", "c"] {
        new_key(&server, name, "tickets.*:read");
    }
    let others = r#"UPDATE "system.ApiKeySecret" SET "hash" = randomblob(32) WHERE "api_key" > 2"#;
    let mut twins = Twins::of(server, others);
    let key = |meta: Value, beside: Value| request("retrieve", "system.ApiKey", &meta, &beside);
    for name in [
        "hash",
        "secret",
        "secrets",
        "key",
        "text",
        "api_key",
        "system.ApiKeySecret",
        "ApiKeySecret",
        "apikeysecret_set",
        "until",
        "s__hash",
        "\"hash\"",
        "public_id__hash",
    ] {
        let one = json!({"uniqueObject": {"id": 3}});
        for request in [
            key(json!({}), json!({name: null})),
            key(json!({}), json!({name: {}})),
            key(json!({}), json!({"x": {"__field__": name}})),
            key(json!({"filter": {name: "a"}}), json!({"id": null})),
            key(json!({"filter": {(format!("{name}__startswith")): "a"}}), json!({"id": null})),
            key(json!({"filter": {(format!("{name}__hash__gt")): "a"}}), json!({"id": null})),
            key(json!({"exclude": {name: "a"}}), json!({"id": null})),
            key(json!({"filter": {"name": {"__field__": name}}}), json!({"id": null})),
            key(json!({"ordering": [name]}), json!({"id": null})),
            key(json!({"ordering": [format!("-{name}")]}), json!({"id": null})),
            request("retrieveOne", "system.ApiKey", &json!({"uniqueObject": {name: "a"}}), &json!({"id": null})),
            request("aggregate", "system.UsageLog", &json!({"filter": {"id": 0}, "groupBy": [name]}), &json!({})),
            request(
                "update",
                "system.ApiKey",
                &json!({"uniqueObject": {"id": 3}, "dryRun": true, "return": {name: null}}),
                &json!({"name": "x"}),
            ),
            request("retrieve", "system.ApiKeySecret", &json!({}), &json!({name: null})),
            request(
                "retrieve",
                "tickets.Tag",
                &json!({}),
                &json!({"x": {"__meta__": {"intent": "subquery", "namespace": "system.ApiKey", "onField": name}}}),
            ),
            request(
                "revoke",
                "system.ApiKey",
                &json!({"schema": "controller", "dryRun": true, "uniqueObject": one["uniqueObject"]}),
                &json!({name: null}),
            ),
        ] {
            twins.assert_alike(&reading, &request.to_string());
        }
    }
    let all =
        json!({"id": null, "public_id": null, "name": null, "permissions": null, "created": null, "expires": null});
    for meta in
        [json!({}), json!({"search": {"value": "a"}}), json!({"filter": {"id__gt": 1}, "ordering": "-public_id"})]
    {
        twins.assert_alike(&reading, &key(meta, all.clone()).to_string());
    }
}
