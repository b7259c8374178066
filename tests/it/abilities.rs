//! What a key is told of itself: who it is (`whoami`), and what it may do with which models (`describe`).

use crate::support::{Client, MODELS, Server, fails, request};
use serde_json::{Value, json};

fn whoami() -> Value {
    request("whoami", "system.ApiKey", &json!({"schema": "controller"}), &json!({}))
}

fn describe() -> Value {
    request("describe", "system.Model", &json!({"schema": "controller"}), &json!({}))
}

#[track_caller]
fn described(server: &Server, permissions: &str) -> Value {
    let reply = server.send_as(&server.key_for(permissions), &describe());
    assert_eq!(reply.status, 200, "{}", reply.body);
    reply.json()["data"].clone()
}

/// What is described of a model.
#[track_caller]
fn model<'d>(data: &'d Value, namespace: &str) -> &'d Value {
    let mut models = data["models"].as_array().unwrap().iter();
    models.find(|model| model["namespace"] == namespace).unwrap_or_else(|| panic!("no {namespace}: {data}"))
}

/// The names of things in a list.
fn names(list: &Value) -> Vec<&str> {
    list.as_array().unwrap().iter().map(|one| one["name"].as_str().unwrap()).collect()
}

#[test]
fn a_key_is_told_what_it_is_whatever_it_may() {
    let server = Server::start();
    let values = json!({
        "name": "reports", "permissions": "tickets.Ticket:read,tickets.Tag:*", "expires": "2999-01-31", "rate": 600,
        "allowed_ips": "127.0.0.0/8",
    });
    let key = server.make_key(&values);
    let reply = server.send_as(&key, &whoami());
    assert_eq!((reply.status, &reply.json()["message"]), (200, &json!("ApiKey retrieved successfully.")));
    let data = reply.json()["data"].clone();
    let created = data["created"].clone();
    assert_eq!(
        data.to_string(),
        json!({
            "public_id": key[4..16], "name": "reports", "permissions": ["tickets.Ticket:read", "tickets.Tag:*"],
            "created": created, "expires": "2999-01-31T00:00:00.000000Z", "rate": 600, "allowed_ips": ["127.0.0.0/8"],
        })
        .to_string()
    );

    let nothing = server.key_for("");
    let data = server.send_as(&nothing, &whoami()).json()["data"].clone();
    assert_eq!((&data["public_id"], &data["permissions"]), (&json!(nothing[4..16]), &json!([])));
    assert_eq!((&data["expires"], &data["rate"], &data["allowed_ips"]), (&Value::Null, &Value::Null, &Value::Null));
}

#[test]
fn what_a_key_is_told_follows_it() {
    let server = Server::start();
    let key = server.make_key(&json!({"name": "a", "permissions": "tickets.Tag:read"}));
    let told = || server.send_as(&key, &whoami()).json()["data"]["permissions"].clone();
    for _ in 0..3 {
        assert_eq!(told(), json!(["tickets.Tag:read"]));
    }
    let meta = json!({"uniqueObject": {"public_id": key[4..16]}});
    server.data(&request("update", "system.ApiKey", &meta, &json!({"permissions": ["tickets.Tag:create"]})));
    assert_eq!(told(), json!(["tickets.Tag:create"]));
    let meta = json!({"schema": "controller", "uniqueObject": {"public_id": key[4..16]}});
    server.data(&request("disable", "system.ApiKey", &meta, &json!({})));
    assert_eq!(server.send_as(&key, &whoami()).status, 401);
}

#[test]
fn neither_takes_anything() {
    let server = Server::start();
    for asked in [whoami(), describe()] {
        let mut narrowed = asked.clone();
        narrowed["__meta__"]["uniqueObject"] = json!({"id": 1});
        let intent = asked["__meta__"]["intent"].as_str().unwrap();
        let why = format!("/__meta__/uniqueObject: \"uniqueObject\" means nothing for the intent {intent}");
        assert_eq!(server.refused(400, &narrowed), [why]);
        let mut more = asked.clone();
        more["namespace"] = json!("tickets.Tag");
        let why = format!("/namespace: \"namespace\" means nothing for the intent {intent}");
        assert_eq!(server.refused(400, &more), [why]);
    }
}

#[test]
fn the_operator_is_no_key() {
    let server = Server::start();
    let file = server.folder.file("whoami.json", &whoami().to_string());
    let said = fails(&server.folder, &["query", file.to_str().unwrap()], 1);
    assert!(said.contains("\"whoami\" is asked with a key, and the operator has none"), "{said}");
}

#[test]
fn both_stand_in_a_batch() {
    let server = Server::start();
    let key = server.key_for("tickets.Tag:create");
    let beside = json!({"requests": [whoami(), describe()]});
    let reply = server.send_as(&key, &request("execute", "system.Batch", &json!({"schema": "controller"}), &beside));
    let data = &reply.json()["data"];
    assert_eq!(data[0]["data"]["permissions"], json!(["tickets.Tag:create"]));
    assert_eq!(names(&data[1]["data"]["models"][0]["fields"]), ["name"]);
}

#[test]
fn a_key_that_may_do_everything_is_told_of_every_model() {
    let mut models: Value = serde_json::from_str(MODELS).unwrap();
    models["a.All"] = json!({
        "id": {"type": "uuid"}, "versioned": true, "unique_together": [["name", "day"]],
        "ordering": ["-day", "name"], "search": ["name", "ticket__title"],
        "fields": {
            "name": {"type": "string", "max_length": 9, "min_length": 2, "unique": true, "help": "What it is called."},
            "word": {"type": "string", "max_length": 5, "null": true, "pattern": "^\\p{Lu}+$"},
            "price": {"type": "decimal", "max_digits": 8, "decimal_places": 2, "min": "0.50", "default": "1.00"},
            "day": {"type": "date", "max": "2030-12-31"},
            "level": {"type": "integer", "choices": [1, 2], "default": 1, "max": 5},
            "ticket": {"type": "ref", "to": "tickets.Ticket", "null": true, "related_name": "alls"},
            "others": {"type": "refs", "to": "a.All", "related_name": "back"},
            "written": {"type": "datetime", "auto_now": true},
        },
    });
    let server = Server::with(&models.to_string(), &[]);
    let data = server.data(&describe());
    let namespaces: Vec<&str> =
        data["models"].as_array().unwrap().iter().map(|model| model["namespace"].as_str().unwrap()).collect();
    let expected = "a.All fleet.Vehicle profile.Customer tickets.Category tickets.Tag tickets.Ticket system.ApiKey \
                    system.Model system.UsageLog";
    assert_eq!(namespaces, expected.split_whitespace().collect::<Vec<_>>());
    let field = |name: &str, kind: &str, empty: bool, required: bool, writable: bool, more: Value| {
        let mut field = json!({"name": name, "type": kind, "null": empty, "required": required, "writable": writable});
        field.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        field
    };
    let intents =
        "retrieve retrieveOne count aggregate create createMany update updateMany upsert deleteOne deleteMany";
    let expected = json!({
        "namespace": "a.All",
        "actions": ["create", "read", "update", "delete"],
        "intents": intents.split(' ').collect::<Vec<_>>(),
        "versioned": true,
        "unique_together": [["name", "day"]],
        "ordering": ["-day", "name"],
        "search": ["name", "ticket__title"],
        "fields": [
            field("id", "uuid", false, false, false, json!({"unique": true})),
            field("name", "string", false, true, true, json!(
                {"unique": true, "min_length": 2, "max_length": 9, "help": "What it is called."})),
            field("word", "string", true, false, true, json!({"max_length": 5, "pattern": "^\\p{Lu}+$"})),
            field("price", "decimal", false, false, true, json!(
                {"default": "1.00", "min": "0.50", "max_digits": 8, "decimal_places": 2})),
            field("day", "date", false, true, true, json!({"max": "2030-12-31"})),
            field("level", "integer", false, false, true, json!({"default": 1, "choices": [1, 2], "max": 5})),
            field("ticket", "ref", true, false, true, json!({"to": "tickets.Ticket", "related_name": "alls"})),
            field("others", "refs", false, false, true, json!({"to": "a.All", "related_name": "back"})),
            field("written", "datetime", false, false, false, json!({})),
            field("version", "integer", false, false, false, json!({"default": 1, "min": 1})),
        ],
        "reverse": [{"name": "back", "from": "a.All", "field": "others"}],
    });
    assert_eq!(model(&data, "a.All").to_string(), expected.to_string());
    let ways = &model(&data, "tickets.Ticket")["reverse"];
    assert_eq!(*ways, json!([{"name": "alls", "from": "a.All", "field": "ticket"}]));
    assert_eq!(model(&data, "profile.Customer")["search"], json!(["name", "email"]));

    let key = model(&data, "system.ApiKey");
    let intents = "retrieve retrieveOne count create update deleteOne rotate revoke disable enable whoami audit";
    assert_eq!(key["intents"], json!(intents.split(' ').collect::<Vec<_>>()));
    let written: Vec<&Value> =
        key["fields"].as_array().unwrap().iter().filter(|field| field["writable"] == true).collect();
    assert_eq!(written.len(), 5, "{written:?}");
    assert_eq!(model(&data, "system.UsageLog")["actions"], json!(["read"]));
    assert!(!data.to_string().contains("hash"));
}

#[test]
fn the_language_is_that_of_requests() {
    let server = Server::start();
    let data = described(&server, "");
    assert_eq!(data["models"], json!([]));
    let members: Vec<&String> = data.as_object().unwrap().keys().collect();
    assert_eq!(members, ["models", "lookups", "parts", "intents", "functions", "transforms"]);
    let on_text = data["lookups"]["string"].as_array().unwrap();
    assert_eq!(&data["lookups"]["text"], &data["lookups"]["string"]);
    assert!(on_text.contains(&json!("icontains")) && !on_text.contains(&json!("has_key")), "{on_text:?}");
    assert_eq!(data["lookups"]["json"], json!(["exact", "in", "isnull", "has_key"]));
    assert_eq!(data["parts"]["time"], json!(["hour", "minute", "second"]));
    assert_eq!(data["parts"].get("integer"), None);
    for schema in ["model", "controller"] {
        let reply = server.send(&request("nonsense", "tickets.Tag", &json!({"schema": schema}), &json!({})));
        let hint = reply.json()["errors"][0]["hint"].as_str().unwrap().to_owned();
        let intents = data["intents"].as_array().unwrap().iter().filter(|intent| intent["schema"] == schema);
        let told: Vec<&str> = intents.map(|intent| intent["name"].as_str().unwrap()).collect();
        assert_eq!(hint, format!("served: {}", told.join(", ")));
    }
    let update = data["intents"].as_array().unwrap().iter().find(|intent| intent["name"] == "update").unwrap();
    let expected = json!({
        "name": "update", "schema": "model", "of": null,
        "takes": ["return", "uniqueObject", "filter", "exclude", "search", "dryRun"],
        "needs": ["uniqueObject"], "beside": "values",
    });
    assert_eq!(update.to_string(), expected.to_string());
    assert_eq!(data["functions"][0], "Count");
    assert_eq!(data["transforms"][0], "dateFormat");
}

#[test]
fn nothing_is_told_of_what_a_key_may_do_nothing_with() {
    let mut models: Value = serde_json::from_str(MODELS).unwrap();
    models["tickets.Ticket"]["ordering"] = json!(["category__name", "-created"]);
    models["tickets.Ticket"]["search"] = json!(["title", "customer__email", "tags__name"]);
    let server = Server::with(&models.to_string(), &[]);
    let silent = |permissions: &str, words: &[&str]| {
        let data = described(&server, permissions);
        let models = data["models"].to_string();
        for word in words {
            assert!(!models.contains(word), "{permissions} is told of {word}: {models}");
        }
        data
    };
    let others = ["tickets.Category", "tickets.Tag", "profile", "Customer", "fleet", "email", "__", "system"];
    let data = silent("tickets.Ticket:read", &others);
    let ticket = model(&data, "tickets.Ticket");
    assert_eq!((&ticket["actions"], &ticket["reverse"]), (&json!(["read"]), &json!([])));
    assert_eq!((&ticket["ordering"], &ticket["search"]), (&json!(["-created"]), &json!(["title"])));
    let category = ticket["fields"].as_array().unwrap().iter().find(|field| field["name"] == "category").unwrap();
    assert_eq!(
        *category,
        json!({"name": "category", "type": "ref", "null": true, "required": false, "writable": true})
    );

    // Who may only write it is told of what a write takes.
    let hidden = [&others[..], &["created", "updated", "default", "ordering", "reverse", "related_name"]].concat();
    let data = silent("tickets.Ticket:create", &hidden);
    let ticket = model(&data, "tickets.Ticket");
    assert_eq!(ticket["intents"], json!(["create", "createMany"]));
    let written = ["title", "description", "status", "priority", "cost", "category", "tags", "customer"];
    assert_eq!(names(&ticket["fields"]), written);

    // Who may only delete, of what names a record.
    let data = silent("tickets.Ticket:delete", &[&hidden[..], &["title", "status"]].concat());
    assert_eq!(names(&model(&data, "tickets.Ticket")["fields"]), ["id"]);

    // To write a model is not to read it.
    silent("tickets.Category:read,tickets.Ticket:create", &["reverse\":[{", "tickets.Tag", "profile", "fleet"]);
    let data = silent("tickets.Category:read,tickets.Ticket:read", &["tickets.Tag", "profile", "fleet"]);
    let back = json!([{"name": "tickets", "from": "tickets.Ticket", "field": "category"}]);
    assert_eq!(model(&data, "tickets.Category")["reverse"], back);
    assert_eq!(model(&data, "tickets.Ticket")["ordering"], json!(["category__name", "-created"]));

    for nothing in ["", "ghost.Model:*", "system.UsageLog:create", "system.Fixture:*"] {
        assert_eq!(described(&server, nothing)["models"], json!([]), "{nothing}");
    }
    let log = described(&server, "system.UsageLog:read");
    assert_eq!(log["models"].as_array().unwrap().len(), 1);
}

#[test]
fn what_names_a_record_is_told_as_in_the_description_of_the_interface() {
    let models = json!({
        "a.Kind": {"fields": {"name": {"type": "string", "max_length": 9}}},
        "a.Pub": {
            "versioned": true, "unique_together": [["day", "kind"]],
            "fields": {
                "title": {"type": "string", "max_length": 9, "unique": true, "choices": ["x"], "default": "x", "help": "h"},
                "day": {"type": "date", "null": true, "min": "2020-01-01"},
                "kind": {"type": "ref", "to": "a.Kind"},
                "made": {"type": "datetime", "auto_now_add": true, "unique": true},
                "text": {"type": "text"},
            },
        },
    });
    let server = Server::with(&models.to_string(), &[]);
    let finder = |name: &str, kind: &str| json!({"name": name, "type": kind, "null": false, "required": false, "writable": false});
    let unique = |name: &str, kind: &str| {
        let mut field = finder(name, kind);
        field["unique"] = json!(true);
        field
    };
    let expected = json!([
        unique("id", "integer"),
        unique("title", "string"),
        finder("day", "date"),
        finder("kind", "ref"),
        unique("made", "datetime"),
        finder("version", "integer"),
    ]);
    for allowed in ["a.Pub:delete", "a.Pub:delete,a.Kind:*"] {
        let data = described(&server, allowed);
        assert_eq!(model(&data, "a.Pub")["fields"], expected, "{allowed}");
    }
    let updates = described(&server, "a.Pub:update");
    let fields = &model(&updates, "a.Pub")["fields"];
    assert_eq!(names(fields), ["id", "title", "day", "kind", "made", "text", "version"]);
    assert_eq!((&fields[1]["choices"], &fields[4], &fields[6]), (&json!(["x"]), &expected[4], &expected[5]));
    assert_eq!(names(&model(&described(&server, "a.Pub:create"), "a.Pub")["fields"]), ["title", "day", "kind", "text"]);

    for allowed in ["a.Pub:delete", "a.Pub:update"] {
        let headers = format!("Authorization: Bearer {}\r\n", server.key_for(allowed));
        let document = Client::connect(&server.address).request("GET", "/openapi.json", &headers, "").json();
        let forms = document["components"]["schemas"]["a.Pub.unique"]["anyOf"].as_array().unwrap();
        let data = described(&server, allowed);
        let told = names(&model(&data, "a.Pub")["fields"]);
        for name in forms.iter().flat_map(|form| form["properties"].as_object().unwrap().keys()) {
            assert!(told.contains(&name.as_str()), "{allowed} is not told of {name}");
        }
    }
}

#[test]
fn what_is_described_follows_the_models_and_the_key() {
    let server = Server::start();
    let key = server.make_key(&json!({"name": "a", "permissions": "tickets.Tag:*"}));
    let told = || names_of(&server.send_as(&key, &describe()).json()["data"]);
    for _ in 0..3 {
        assert_eq!(told(), ["tickets.Tag"]);
    }
    let meta = json!({"uniqueObject": {"public_id": key[4..16]}});
    server.data(&request("update", "system.ApiKey", &meta, &json!({"permissions": ["tickets.Category:read"]})));
    assert_eq!(told(), ["tickets.Category"]);
}

fn names_of(data: &Value) -> Vec<String> {
    let models = data["models"].as_array().unwrap().iter();
    models.map(|model| model["namespace"].as_str().unwrap().to_owned()).collect()
}
