//! Every intent, of models and of controllers, by every form of permission: sent alone, in a batch, described in
//! `/openapi.json` and explained on the command line. What there is, is asked of the server.

use super::new_key;
use crate::dice::{Dice, seed};
use crate::report::{counted, scale};
use crate::support::{Client, MODELS, Server, jqlite, request};
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// Every intent, and what it takes of the model of its namespace, or of another that is named.
const INTENTS: [(&str, &[&str]); 25] = [
    ("retrieve", &["read"]),
    ("retrieveOne", &["read"]),
    ("count", &["read"]),
    ("aggregate", &["read"]),
    ("create", &["create"]),
    ("createMany", &["create"]),
    ("update", &["update"]),
    ("updateMany", &["update", "read"]),
    ("upsert", &["update", "create"]),
    ("deleteOne", &["delete"]),
    ("deleteMany", &["delete", "read"]),
    ("execute", &[]),
    ("rotate", &["update"]),
    ("revoke", &["update"]),
    ("disable", &["update"]),
    ("enable", &["update"]),
    ("whoami", &[]),
    ("audit", &["read", "system.UsageLog:read", "system.Model:read"]),
    ("describe", &[]),
    ("diff", &["update"]),
    ("apply", &["update"]),
    ("reset", &["update"]),
    ("snapshot", &["update"]),
    ("restore", &["update"]),
    ("clock", &["update"]),
];

const KEY_CONTROLS: [&str; 6] = ["rotate", "revoke", "disable", "enable", "whoami", "audit"];
const MODEL_CONTROLS: [&str; 3] = ["diff", "apply", "describe"];
/// Those of a server for tests. The one here is none, and says so to whoever has the permission.
const FIXTURE_CONTROLS: [&str; 4] = ["reset", "snapshot", "restore", "clock"];
const ACTIONS: [&str; 5] = ["create", "read", "update", "delete", "*"];
/// What stands before the action of a permission: the model, others like it, and patterns.
const SCOPES: [&str; 13] = [
    "tickets.Ticket",
    "tickets.TicketSecret",
    "tickets.Tag",
    "tickets.*",
    "ticket.*",
    "profile.*",
    "*.*",
    "system.ApiKey",
    "system.UsageLog",
    "system.Model",
    "system.Fixture",
    "system.*",
    "ghost.Model",
];
/// Models, the server's own among them and one that is not there, and a field of each.
const NAMESPACES: [(&str, &str); 7] = [
    ("tickets.Ticket", "title"),
    ("tickets.Tag", "name"),
    ("system.ApiKey", "name"),
    ("system.UsageLog", "status"),
    ("system.Model", "namespace"),
    ("system.Fixture", "name"),
    ("ghost.Model", "name"),
];

fn needs(intent: &str) -> &'static [&'static str] {
    INTENTS.iter().find(|(name, _)| *name == intent).unwrap_or_else(|| panic!("{intent} has no rule here")).1
}

/// What the contract says of permissions, written once more.
pub fn allows(permission: &str, namespace: &str, action: &str) -> bool {
    let (models, allowed) = permission.split_once(':').unwrap();
    let app = namespace.split('.').next().unwrap();
    let fits = models == namespace || (models == "*.*" && app != "system") || models == format!("{app}.*");
    fits && (allowed == "*" || allowed == action)
}

/// What a key with one permission lacks for an intent, in the order in which it is told.
fn lacks(permission: &str, namespace: &str, intent: &str) -> Vec<String> {
    let needed = needs(intent).iter().map(|action| action.split_once(':').unwrap_or((namespace, action)));
    let missing = needed.filter(|(model, action)| !allows(permission, model, action));
    missing.map(|(model, action)| format!("the key lacks the permission {model}:{action}")).collect()
}

/// A request of that intent that changes nothing, whoever sends it.
fn harmless(intent: &str, namespace: &str, field: &str) -> Value {
    let one = json!({"uniqueObject": {"id": 999}});
    match intent {
        "retrieve" | "count" | "create" => request(intent, namespace, &json!({}), &json!({})),
        "aggregate" => request(intent, namespace, &json!({}), &json!({"n": {"function": "Count"}})),
        "createMany" => request(intent, namespace, &json!({"objects": [{}]}), &json!({})),
        "updateMany" => request(intent, namespace, &json!({"filter": {}, "maxAffected": 0}), &json!({field: "x"})),
        "deleteMany" => request(intent, namespace, &json!({"filter": {}, "maxAffected": 0}), &json!({})),
        "update" | "upsert" => request(intent, namespace, &one, &json!({field: "x"})),
        "retrieveOne" | "deleteOne" => request(intent, namespace, &one, &json!({})),
        "diff" | "apply" => {
            let models: Value = serde_json::from_str(MODELS).unwrap();
            request(intent, namespace, &json!({"schema": "controller"}), &json!({"models": models}))
        }
        "whoami" | "audit" | "describe" => request(intent, namespace, &json!({"schema": "controller"}), &json!({})),
        _ if KEY_CONTROLS.contains(&intent) => {
            request(intent, namespace, &json!({"schema": "controller", "uniqueObject": {"id": 999}}), &json!({}))
        }
        "snapshot" | "restore" => request(intent, namespace, &json!({"schema": "controller"}), &json!({"name": "x"})),
        "reset" | "clock" => request(intent, namespace, &json!({"schema": "controller"}), &json!({})),
        other => panic!("no request of {other} is known here"),
    }
}

/// All that is tried: an intent, a namespace, and the request.
fn cases() -> Vec<(&'static str, &'static str, Value)> {
    let mut cases = Vec::new();
    for (intent, _) in INTENTS {
        let namespaces: Vec<_> = NAMESPACES
            .into_iter()
            .filter(|(namespace, _)| match intent {
                "execute" => false, // it takes none
                _ if KEY_CONTROLS.contains(&intent) => *namespace == "system.ApiKey",
                _ if MODEL_CONTROLS.contains(&intent) => *namespace == "system.Model",
                _ if FIXTURE_CONTROLS.contains(&intent) => *namespace == "system.Fixture",
                _ => *namespace != "system.Fixture",
            })
            .collect();
        cases.extend(
            namespaces.into_iter().map(|(namespace, field)| (intent, namespace, harmless(intent, namespace, field))),
        );
    }
    cases
}

fn batch(requests: &[Value], atomic: bool) -> Value {
    let beside = json!({"requests": requests, "atomic": atomic});
    request("execute", "system.Batch", &json!({"schema": "controller"}), &beside)
}

/// The refusals of an answer for want of a permission, each once.
fn refusals(answer: &Value) -> Vec<String> {
    let errors = answer["errors"].as_array().into_iter().flatten();
    let refusals = errors.filter(|error| error["code"] == "JQL:AuthorizationException");
    refusals.map(|error| error["errorMessage"].as_str().unwrap().to_owned()).collect()
}

/// The names that stand in a list of the description.
pub fn described(document: &Value) -> BTreeSet<String> {
    let requests = document["components"]["schemas"]["Request"]["anyOf"].as_array().unwrap();
    requests.iter().map(|one| one["$ref"].as_str().unwrap().rsplit('/').next().unwrap().to_owned()).collect()
}

#[test]
fn every_intent_that_is_served_has_its_rule_here() {
    let server = Server::start();
    let mut served = BTreeSet::new();
    for schema in ["model", "controller"] {
        let reply = server.send(&request("nonsense", "tickets.Ticket", &json!({"schema": schema}), &json!({})));
        let hint = reply.json()["errors"][0]["hint"].as_str().unwrap().to_owned();
        served.extend(hint.strip_prefix("served: ").unwrap().split(", ").map(str::to_owned));
    }
    let known: BTreeSet<String> = INTENTS.iter().map(|(name, _)| (*name).to_owned()).collect();
    assert_eq!(served, known);
    let document = get(&mut Client::connect(&server.address), "/openapi.json", &server.key).1;
    let names = document["components"]["schemas"]["Intent"]["enum"].as_array().unwrap();
    let names: BTreeSet<String> = names.iter().filter_map(|name| Some(name.as_str()?.to_owned())).collect();
    assert_eq!(names, known);
}

pub fn get(client: &mut Client, path: &str, key: &str) -> (u16, Value) {
    let reply = client.request("GET", path, &format!("Authorization: Bearer {key}\r\n"), "");
    (reply.status, serde_json::from_str(&reply.body).unwrap_or(Value::Null))
}

#[test]
fn every_permission_gives_what_it_says_however_it_is_asked_for() {
    let server = Server::start();
    server.create("tickets.Tag", &json!({"name": "a"}));
    let mut client = Client::connect(&server.address);
    let before = server.records();
    let cases = cases();
    let all = described(&get(&mut client, "/openapi.json", &server.key).1);
    // What is done to the whole server takes part in no batch.
    let is_alone = |intent: &str| intent == "apply" || FIXTURE_CONTROLS.contains(&intent);
    let (alone, together): (Vec<_>, Vec<_>) = cases.iter().partition(|(intent, ..)| is_alone(intent));
    let requests: Vec<Value> = together.iter().map(|(.., request)| request.clone()).collect();
    assert!(requests.len() <= 100, "they do not fit into one batch");
    let mut dice = Dice::new(seed("matrix"), 0);
    let (mut tried, mut explained) = (0, 0);
    for scope in SCOPES {
        for action in ACTIONS {
            let permission = format!("{scope}:{action}");
            let key = new_key(&server, &permission, &permission);

            let reply = client.jql(&key, &batch(&requests, false).to_string());
            assert_eq!(reply.status, 200, "{permission}: {}", reply.body);
            let answers = reply.json()["data"].clone();
            for (place, (intent, namespace, request)) in together.iter().enumerate() {
                assert_eq!(refusals(&answers[place]), lacks(&permission, namespace, intent), "{permission}: {request}");
            }
            let is_whole = dice.one_in(scale(8, 1));
            for (place, (.., request)) in together.iter().enumerate().filter(|_| is_whole) {
                let alone = client.jql(&key, &request.to_string());
                // What the server tells of itself is of the moment.
                if alone.status != 200 || !request["__meta__"]["namespace"].as_str().unwrap().starts_with("system.") {
                    assert_eq!(alone.json(), answers[place], "{permission}: {request}");
                }
                assert_eq!(alone.status == 403, !refusals(&answers[place]).is_empty(), "{permission}: {request}");
                // A batch that is atomic is refused as a whole.
                let whole = client.jql(&key, &batch(&[requests[0].clone(), request.clone()], true).to_string());
                let is_refused = !refusals(&answers[0]).is_empty() || alone.status != 200;
                assert_eq!(whole.status == 200, !is_refused, "{permission}: {request}\n{}", whole.body);
            }
            for (intent, namespace, request) in &alone {
                let reply = client.jql(&key, &request.to_string());
                assert_eq!(refusals(&reply.json()), lacks(&permission, namespace, intent), "{permission}: {request}");
            }

            let (status, document) = get(&mut client, "/openapi.json", &key);
            let shown = all.iter().filter(|name| {
                let (namespace, intent) = name.rsplit_once('.').unwrap();
                lacks(&permission, namespace, intent).is_empty()
            });
            assert_eq!((status, described(&document)), (200, shown.cloned().collect()), "{permission}");
            let metrics = if allows(&permission, "system.UsageLog", "read") { 200 } else { 403 };
            assert_eq!(get(&mut client, "/metrics", &key).0, metrics, "{permission}");

            for (intent, namespace, _) in cases.iter().filter(|_| dice.one_in(scale(300, 4))) {
                let words = ["keys", "explain", &key[4..16], namespace, intent];
                let output = jqlite(&server.folder, &words).output().unwrap();
                let lacking = lacks(&permission, namespace, intent);
                let said = String::from_utf8(output.stderr).unwrap();
                assert_eq!(output.status.success(), lacking.is_empty(), "{permission}: {words:?}\n{said}");
                explained += 1;
            }
            tried += cases.len();
        }
    }
    assert_eq!(server.records(), before);
    counted("matrix", "intents by permissions", tried);
    counted("matrix", "of them explained on the command line", explained);
}

#[test]
fn a_controller_goes_with_no_other_namespace_whoever_asks() {
    let server = Server::start();
    let keys = [server.key.clone(), server.key_for(""), server.key_for("tickets.*:*")];
    let mut client = Client::connect(&server.address);
    for intent in KEY_CONTROLS.iter().chain(&MODEL_CONTROLS).chain(&FIXTURE_CONTROLS).chain(&["execute"]) {
        for namespace in ["tickets.Ticket", "ghost.Model", "system.UsageLog", "system.Nothing"] {
            let meta = json!({"schema": "controller", "uniqueObject": {"id": 1}});
            let body = request(intent, namespace, &meta, &json!({})).to_string();
            let answers = keys.each_ref().map(|key| client.jql(key, &body));
            for reply in &answers {
                assert_eq!((reply.status, &reply.body), (404, &answers[0].body), "{body}");
            }
        }
    }
}

#[test]
fn a_cursor_of_a_key_that_may_more_opens_nothing() {
    let server = Server::start();
    for n in 0..5 {
        let category = server.create("tickets.Category", &json!({"name": format!("c{n}")}));
        server.create("tickets.Ticket", &json!({"title": "t", "category": category}));
    }
    let page = |ordering: &str, after: Option<&Value>| {
        let mut meta = json!({"ordering": ordering, "limit": 2});
        if let Some(after) = after {
            meta["after"] = after.clone();
        }
        request("retrieve", "tickets.Ticket", &meta, &json!({"id": null}))
    };
    let (narrow, other) = (server.key_for("tickets.Ticket:read"), server.key_for("tickets.Category:*"));
    for (ordering, status) in [("category__name", 403), ("-category__name", 403), ("category", 403), ("title", 200)] {
        let next = server.send(&page(ordering, None)).json()["extras"]["next"].clone();
        assert!(next.is_string(), "{ordering}");
        assert_eq!(server.send_as(&narrow, &page(ordering, Some(&next))).status, status, "{ordering}");
        assert_eq!(server.send_as(&other, &page(ordering, Some(&next))).status, 403, "{ordering}");
    }
}
