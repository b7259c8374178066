//! `GET /openapi.json`: what it describes, and that it tells of no model that the key may do nothing with.
//!
//! That it is valid, and that the server does as it says, is held by `.ci/openapi.py`.

use crate::support::{Client, MODELS, Reply, Server, request, run};
use serde_json::{Value, json};

#[track_caller]
fn ask(server: &Server, key: &str) -> Reply {
    let headers = format!("Authorization: Bearer {key}\r\n");
    Client::connect(&server.address).request("GET", "/openapi.json", &headers, "")
}

#[track_caller]
fn document(server: &Server, permissions: &str) -> Value {
    let reply = ask(server, &server.key_for(permissions));
    assert_eq!(reply.status, 200, "{}", reply.body);
    reply.json()
}

fn names(object: &Value) -> Vec<&str> {
    object.as_object().unwrap_or_else(|| panic!("no object: {object}")).keys().map(String::as_str).collect()
}

/// The schemas of models, the values of fields aside.
fn schemas(document: &Value) -> Vec<&str> {
    let is_of_model =
        |name: &&str| name.starts_with(|c: char| c.is_ascii_lowercase()) && !name.starts_with("compared.");
    names(&document["components"]["schemas"])
        .into_iter()
        .filter(|name| is_of_model(name) && !name.contains(".field."))
        .collect()
}

/// The requests that the document describes.
fn requests(document: &Value) -> Vec<&str> {
    let all = document["components"]["schemas"]["Request"]["anyOf"].as_array().unwrap();
    all.iter().map(|one| one["$ref"].as_str().unwrap().rsplit('/').next().unwrap()).collect()
}

/// A schema of the components.
fn schema<'d>(document: &'d Value, name: &str) -> &'d Value {
    &document["components"]["schemas"][name]
}

/// The requests that every key may send.
const EVERYONES: [&str; 3] = ["system.ApiKey.whoami", "system.Model.describe", "system.Batch.execute"];

fn and_everyones<'n>(names: &[&'n str]) -> Vec<&'n str> {
    [names, &EVERYONES].concat()
}

fn refer(name: &str) -> Value {
    json!({"$ref": format!("#/components/schemas/{name}")})
}

/// Nothing of this stands anywhere in the document.
#[track_caller]
fn assert_silent(document: &Value, about: &[&str]) {
    let text = document.to_string();
    for word in about {
        assert!(!text.contains(word), "{word}");
    }
}

#[test]
fn it_describes_every_path_and_every_error() {
    let server = Server::start();
    let reply = ask(&server, &server.key);
    assert_eq!(reply.header("content-type"), Some("application/json; charset=utf-8"));
    let document = reply.json();
    assert_eq!(document["openapi"], "3.1.0");
    assert_eq!(document["info"]["version"], env!("CARGO_PKG_VERSION"));
    assert_eq!(names(&document["paths"]), ["/jql", "/healthz", "/readyz", "/metrics", "/openapi.json"]);
    assert_eq!(document["security"], json!([{"apiKey": []}]));
    let operation = |path: &str, method: &str| document["paths"][path][method].clone();
    for (path, method, security, statuses) in [
        ("/jql", "post", Value::Null, "200 400 401 403 404 408 413 415 409 429 503 500"),
        ("/healthz", "get", json!([]), "200 400 408 413 415 503 500"),
        ("/readyz", "head", json!([]), "200 400 408 413 415 503 500"),
        ("/metrics", "get", Value::Null, "200 400 401 403 408 413 415 429 503 500"),
        ("/openapi.json", "head", Value::Null, "200 400 401 403 408 413 415 429 503 500"),
    ] {
        let operation = operation(path, method);
        assert_eq!(operation["security"], security, "{method} {path}");
        assert_eq!(names(&operation["responses"]).join(" "), statuses, "{method} {path}");
    }
    assert_eq!(names(&operation("/metrics", "get")["responses"]["200"]["content"]), ["text/plain"]);
    let statuses = ["400", "401", "403", "404", "405", "408", "413", "415", "409", "429", "503", "500"];
    assert_eq!(names(&document["components"]["responses"]), statuses);
    let codes =
        ["Jql", "Authentication", "Authorization", "NotFound", "Request", "Conflict", "RateLimit", "Unavailable"];
    let codes: Vec<String> = codes.into_iter().chain(["Server"]).map(|code| format!("JQL:{code}Exception")).collect();
    assert_eq!(*schema(&document, "Code"), json!({"enum": codes}));
}

#[test]
fn it_describes_every_intent_of_every_model() {
    let server = Server::start();
    let document = ask(&server, &server.key).json();
    let all = [
        "retrieve",
        "retrieveOne",
        "count",
        "aggregate",
        "create",
        "createMany",
        "update",
        "updateMany",
        "upsert",
        "deleteOne",
        "deleteMany",
    ];
    let mut expected: Vec<String> = Vec::new();
    for model in ["fleet.Vehicle", "profile.Customer", "tickets.Category", "tickets.Tag", "tickets.Ticket"] {
        expected.extend(all.iter().map(|intent| format!("{model}.{intent}")));
    }
    let keys = "retrieve retrieveOne count create update deleteOne rotate revoke disable enable whoami audit";
    expected.extend(keys.split(' ').map(|intent| format!("system.ApiKey.{intent}")));
    expected.extend(
        ["retrieve", "retrieveOne", "describe", "diff", "apply"].map(|intent| format!("system.Model.{intent}")),
    );
    expected
        .extend(["retrieve", "retrieveOne", "count", "aggregate"].map(|intent| format!("system.UsageLog.{intent}")));
    expected.push("system.Batch.execute".into());
    assert_eq!(requests(&document), expected);
    let meta = &schema(&document, "tickets.Ticket.retrieve")["properties"]["__meta__"];
    assert_eq!(meta["properties"]["namespace"], json!({"const": "tickets.Ticket"}));
    assert_eq!(meta["properties"]["limit"], json!({"type": "integer", "minimum": 0, "maximum": 1000}));
    assert_eq!(meta["required"], json!(["intent", "namespace"]));
    let rotate = &schema(&document, "system.ApiKey.rotate")["properties"];
    assert_eq!(names(rotate), ["__meta__", "overlap", "endOverlap"]);
    let both = json!({"required": ["overlap", "endOverlap"], "properties": {"endOverlap": {"const": true}}});
    assert_eq!(schema(&document, "system.ApiKey.rotate")["not"], both);
    assert_eq!(rotate["__meta__"]["required"], json!(["intent", "namespace", "schema", "uniqueObject"]));
    let audit = schema(&document, "system.ApiKey.audit");
    assert_eq!(names(&audit["properties"]), ["__meta__", "window", "maxAge"]);
    assert_eq!(audit["required"], json!(["__meta__"]));
    for (controller, arguments) in [("diff", vec!["models"]), ("apply", vec!["models", "allowDataLoss"])] {
        let request = schema(&document, &format!("system.Model.{controller}"));
        assert_eq!(names(&request["properties"])[1..], arguments);
        assert_eq!(request["required"], json!(["__meta__", "models"]), "{controller}");
    }
    assert_silent(&document, &["hash", "\"secret\""]);
}

#[test]
fn a_function_takes_its_keys_and_needs_those_that_it_cannot_do_without() {
    let server = Server::start();
    let document = ask(&server, &server.key).json();
    let of = |kind: &str, name: &str| {
        let mut forms = schema(&document, kind)["anyOf"].as_array().unwrap().iter();
        forms.find(|form| form["properties"]["function"]["const"] == name).unwrap().clone()
    };
    let percentile = of("Total", "Percentile");
    assert_eq!(names(&percentile["properties"]), ["function", "onField", "value", "filter"]);
    assert_eq!(percentile["properties"]["value"], json!({"type": "number", "minimum": 0, "maximum": 1}));
    assert_eq!(percentile["required"], json!(["function", "value"]));
    assert_eq!(of("Total", "Concat")["required"], json!(["function"]));
    assert_eq!(of("Step", "Coalesce")["required"], json!(["function", "value"]));
    assert_eq!(of("Step", "Round")["properties"]["digits"]["type"], "integer");
}

#[test]
fn values_have_the_types_and_limits_of_their_fields() {
    let mut models: Value = serde_json::from_str(MODELS).unwrap();
    models["a.All"] = json!({"id": {"type": "uuid"}, "versioned": true, "unique_together": [["name", "day"]], "fields": {
        "name": {"type": "string", "max_length": 9, "min_length": 2, "unique": true, "help": "What it is called."},
        "code": {"type": "string", "max_length": 5, "null": true, "pattern": "^[a-z]+$"},
        "word": {"type": "string", "max_length": 5, "null": true, "pattern": "^\\p{Lu}+$"},
        "digits": {"type": "string", "max_length": 5, "null": true, "pattern": "^\\d+$"},
        "ratio": {"type": "float", "default": 0.5, "max": 1},
        "open": {"type": "boolean", "null": true},
        "day": {"type": "date"},
        "hour": {"type": "time", "null": true},
        "more": {"type": "json", "null": true},
    }});
    let server = Server::with(&models.to_string(), &["--max-limit", "50"]);
    let document = ask(&server, &server.key).json();
    for (field, expected) in [
        ("tickets.Ticket.field.title", json!({"type": "string", "maxLength": 200})),
        ("tickets.Ticket.field.description", json!({"type": ["string", "null"]})),
        (
            "tickets.Ticket.field.status",
            json!({"type": "string", "enum": ["open", "pending", "closed"], "default": "open"}),
        ),
        (
            "tickets.Ticket.field.priority",
            json!({"type": "integer", "format": "int64", "minimum": 0, "maximum": 5, "default": 0}),
        ),
        ("tickets.Ticket.field.cost", json!({"type": ["string", "null"], "pattern": "^-?[0-9]{1,8}(\\.[0-9]{1,2})?$"})),
        (
            "tickets.Ticket.field.category",
            json!({"type": ["integer", "null"], "format": "int64", "description": "The id of a tickets.Category."}),
        ),
        (
            "tickets.Ticket.field.tags",
            json!({"type": "array", "items": {"type": "integer", "format": "int64"}, "maxItems": 10000, "description": "Ids of tickets.Tag."}),
        ),
        (
            "a.All.field.name",
            json!({"type": "string", "minLength": 2, "maxLength": 9, "description": "What it is called."}),
        ),
        ("a.All.field.code", json!({"type": ["string", "null"], "maxLength": 5, "pattern": "^[a-z]+$"})),
        (
            "a.All.field.word",
            json!({"type": ["string", "null"], "maxLength": 5, "description": "It matches ^\\p{Lu}+$"}),
        ),
        ("a.All.field.digits", json!({"type": ["string", "null"], "maxLength": 5, "description": "It matches ^\\d+$"})),
        (
            "a.All.field.hour",
            json!({"type": ["string", "null"], "pattern": "^([01][0-9]|2[0-3]):[0-5][0-9](:[0-5][0-9](\\.[0-9]{1,6})?)?$"}),
        ),
        ("a.All.field.ratio", json!({"type": "number", "format": "double", "maximum": 1.0, "default": 0.5})),
        ("a.All.field.open", json!({"type": ["boolean", "null"]})),
        ("a.All.field.day", json!({"type": "string", "format": "date"})),
        ("a.All.field.more", json!({})),
    ] {
        assert_eq!(*schema(&document, field), expected, "{field}");
    }
    let create = schema(&document, "a.All.create");
    assert_eq!(create["required"], json!(["__meta__", "name", "day"]));
    assert_eq!(create["properties"]["id"], json!({"type": "string", "format": "uuid"}));
    assert_eq!(create["additionalProperties"], json!(false));
    assert_eq!(create["properties"].get("version"), None, "the server counts it");
    let update = schema(&document, "a.All.update");
    assert_eq!((&update["required"], &update["minProperties"]), (&json!(["__meta__"]), &json!(2)));
    let keys = schema(&document, "a.All.unique")["anyOf"].as_array().unwrap();
    let keys: Vec<(Vec<&str>, &Value)> = keys.iter().map(|key| (names(&key["properties"]), &key["required"])).collect();
    let (id, name, both) = (json!(["id"]), json!(["name"]), json!(["name", "day"]));
    assert_eq!(keys, [(vec!["id", "version"], &id), (vec!["name"], &name), (vec!["name", "day"], &both)]);
    let meta = &schema(&document, "a.All.retrieve")["properties"]["__meta__"]["properties"];
    assert_eq!(meta["limit"]["maximum"], 50);
    assert_eq!(meta["offset"]["maximum"], i64::MAX);
    let filter = schema(&document, "a.All.filter");
    for (key, takes) in [
        ("name", "compared.text.exact"),
        ("name__istartswith", "compared.text.one"),
        ("ratio__range", "compared.float.pair"),
        ("day__in", "compared.date.list"),
        ("__not__", "a.All.filter"),
    ] {
        assert_eq!(filter["properties"][key], refer(takes), "{key}");
    }
    assert_eq!(filter["properties"].get("ratio__contains"), None);
    let patterns = &filter["patternProperties"];
    assert_eq!(
        patterns["^day__(year|iso_year|quarter|month|week|day|week_day|iso_week_day)(__(in))$"],
        refer("compared.integer.list")
    );
    assert_eq!(patterns["^more__"], json!({}));
}

#[test]
fn an_order_or_a_group_is_a_field_and_what_may_stand_behind_it() {
    let models = json!({
        "a.Thing": {"fields": {
            "number": {"type": "integer", "default": 0},
            "day": {"type": "date", "null": true},
            "more": {"type": "json", "null": true},
            "part": {"type": "ref", "to": "a.Part", "null": true, "on_delete": "set_null", "related_name": "things"},
        }},
        "a.Part": {"fields": {"hour": {"type": "time", "null": true}}},
    });
    let server = Server::with(&models.to_string(), &[]);
    let document = ask(&server, &server.key).json();
    let form = |name: &str| schema(&document, name)["anyOf"][0]["pattern"].as_str().unwrap().to_owned();
    let date = "year|iso_year|quarter|month|week|day|week_day|iso_week_day";
    let thing = format!("(id|number|day|more|part|(part|more)__[A-Za-z0-9_]+|(day)__({date}))$");
    assert_eq!(form("a.Thing.ordering"), format!("^-?{thing}"));
    assert_eq!(form("a.Thing.paths"), format!("^{thing}"));
    assert_eq!(form("a.Part.paths"), "^(id|hour|things|(things)__[A-Za-z0-9_]+|(hour)__(hour|minute|second))$");
    for (name, status) in [("number__x", 400), ("day__year", 200), ("part__id", 200), ("more__x", 200)] {
        for (intent, key) in [("retrieve", "ordering"), ("aggregate", "groupBy")] {
            let request = request(intent, "a.Thing", &json!({key: [name]}), &json!({}));
            assert_eq!(server.send(&request).status, status, "{request}");
        }
    }
}

#[test]
fn an_aggregate_names_a_total_or_a_group() {
    let server = Server::start();
    let document = ask(&server, &server.key).json();
    let group = json!({"required": ["groupBy"], "properties": {"groupBy": {"minItems": 1}}});
    assert_eq!(
        schema(&document, "tickets.Tag.aggregate")["anyOf"],
        json!([{"minProperties": 2}, {"properties": {"__meta__": group}}])
    );
    for (meta, beside, status) in [
        (json!({}), json!({}), 400),
        (json!({"groupBy": []}), json!({}), 400),
        (json!({"groupBy": []}), json!({"n": {"function": "Count"}}), 200),
        (json!({"groupBy": ["name"]}), json!({}), 200),
        (json!({"groupBy": "name"}), json!({}), 200),
    ] {
        let request = request("aggregate", "tickets.Tag", &meta, &beside);
        assert_eq!(server.send(&request).status, status, "{request}");
    }
}

#[test]
fn another_path_of_jql_is_described_too() {
    let server = Server::with(MODELS, &["--jql-path", "/api/v1/jql"]);
    let paths = ask(&server, &server.key).json()["paths"].clone();
    assert_eq!(names(&paths), ["/jql", "/healthz", "/readyz", "/metrics", "/openapi.json", "/api/v1/jql"]);
    let (first, mut other) = (&paths["/jql"]["post"], paths["/api/v1/jql"]["post"].clone());
    assert_eq!((&first["operationId"], &other["operationId"]), (&json!("jql"), &json!("jql2")));
    other["operationId"] = json!("jql");
    assert_eq!(*first, other);
}

#[test]
fn a_page_tells_which_permission_it_takes() {
    let server = Server::start();
    let paths = ask(&server, &server.key).json()["paths"].clone();
    let told = "How much the server does, for Prometheus. It takes the permission system.UsageLog:read.";
    assert_eq!(paths["/metrics"]["get"]["summary"], told);
    let reply = {
        let headers = format!("Authorization: Bearer {}\r\n", server.key_for("tickets.Ticket:read"));
        Client::connect(&server.address).request("GET", "/metrics", &headers, "")
    };
    assert_eq!(reply.status, 403);
    assert!(reply.errors()[0].ends_with("system.UsageLog:read"), "{}", reply.body);
}

#[test]
fn a_model_that_may_only_be_created_shows_that_and_nothing_to_read() {
    let server = Server::start();
    let document = document(&server, "tickets.Ticket:create");
    assert_eq!(requests(&document), and_everyones(&["tickets.Ticket.create", "tickets.Ticket.createMany"]));
    let known = and_everyones(&["tickets.Ticket.new", "tickets.Ticket.create", "tickets.Ticket.createMany"]);
    assert_eq!(schemas(&document), known);
    let request = &schema(&document, "tickets.Ticket.create")["properties"];
    let fields = ["title", "description", "status", "priority", "cost", "category", "tags", "customer"];
    assert_eq!(names(request)[1..], fields);
    let returned = &request["__meta__"]["properties"]["return"];
    assert_eq!(names(&returned["properties"]), [&["id"], &fields[..]].concat());
    assert_eq!(returned["properties"]["title"], json!({"type": "null"}));
    assert_eq!(
        *schema(&document, "tickets.Ticket.field.status"),
        json!({"type": "string", "enum": ["open", "pending", "closed"]})
    );
    assert_eq!(
        *schema(&document, "tickets.Ticket.field.category"),
        json!({"type": ["integer", "null"], "format": "int64"})
    );
    assert_silent(
        &document,
        &[
            "Category",
            "tickets.Tag",
            "Customer",
            "fleet",
            "profile",
            "public_id",
            "definition",
            "created",
            "updated",
            "search\"",
            "filter\":{\"$ref",
            "Subquery",
        ],
    );
}

#[test]
fn who_may_do_nothing_is_told_of_no_model() {
    let server = Server::start();
    let document = document(&server, "");
    assert_eq!(requests(&document), EVERYONES);
    assert_eq!(schemas(&document), EVERYONES);
    assert_eq!(names(&document["paths"]).len(), 5);
    assert_silent(&document, &["tickets", "Ticket", "fleet", "profile", "public_id", "definition"]);
}

#[test]
fn a_write_without_leave_to_read_takes_no_filter() {
    let server = Server::start();
    let document = document(&server, "tickets.Tag:update,tickets.Tag:delete");
    assert_eq!(requests(&document), and_everyones(&["tickets.Tag.update", "tickets.Tag.deleteOne"]));
    for request in ["tickets.Tag.update", "tickets.Tag.deleteOne"] {
        let meta = &schema(&document, request)["properties"]["__meta__"];
        for key in ["filter", "exclude", "search"] {
            assert_eq!(meta["properties"].get(key), None, "{key} of {request}");
        }
        assert_eq!(meta["required"], json!(["intent", "namespace", "uniqueObject"]));
    }
    assert_silent(&document, &["tickets.Ticket", "Category"]);
}

#[test]
fn ways_to_other_models_are_shown_where_those_may_be_read() {
    let server = Server::start();
    let alone = document(&server, "tickets.Ticket:read");
    let reading = ["retrieve", "retrieveOne", "count", "aggregate"].map(|intent| format!("tickets.Ticket.{intent}"));
    assert_eq!(requests(&alone), and_everyones(&reading.each_ref().map(String::as_str)));
    let fields = &schema(&alone, "tickets.Ticket.retrieve")["properties"];
    assert_eq!((&fields["category"], &fields["tags"]), (&refer("Asked"), &refer("Asked")), "their ids are its own");
    assert_eq!(schema(&alone, "tickets.Ticket.filter")["properties"]["tags__in"], refer("compared.integer.list"));
    assert_silent(
        &alone,
        &["tickets.Category", "tickets.Tag", "profile", "^category__", "^tags__", "(category)__", "email"],
    );

    let both = document(&server, "tickets.Ticket:read,tickets.Category:read");
    let fields = |model: &str| schema(&both, &format!("{model}.retrieve"))["properties"].clone();
    let nested = |name: &str| json!({"anyOf": [refer("Asked"), refer(name)]});
    assert_eq!(fields("tickets.Ticket")["category"], nested("tickets.Category.one"));
    assert_eq!(fields("tickets.Category")["tickets"], nested("tickets.Ticket.list"));
    let paths = names(&schema(&both, "tickets.Ticket.filter")["patternProperties"]).join(" ");
    assert!(paths.contains("^category__") && !paths.contains("^tags__"), "{paths}");
    let ordering = schema(&both, "tickets.Ticket.ordering")["anyOf"][0]["pattern"].as_str().unwrap();
    assert!(ordering.contains("|(category)__[A-Za-z0-9_]+|"), "{ordering}");
    let subqueries = &schema(&both, "Subquery")["properties"]["__meta__"]["properties"]["namespace"];
    assert_eq!(*subqueries, json!({"enum": ["tickets.Category", "tickets.Ticket"]}));
    assert_silent(&both, &["tickets.Tag", "profile", "email"]);

    let other = document(&server, "tickets.Category:read");
    assert_silent(&other, &["tickets.Ticket", "tickets\"", "\"priority\""]);
}

#[test]
fn it_takes_a_key_that_may_be_used() {
    let server = Server::start();
    let jql = Client::connect(&server.address).jql("wrong", "{}");
    let reply = Client::connect(&server.address).request("GET", "/openapi.json", "", "");
    assert_eq!((reply.status, &reply.body), (401, &jql.body));
    assert_eq!(ask(&server, "wrong").body, jql.body);
    let key = server.key_for("tickets.Ticket:read");
    assert_eq!(ask(&server, &key).status, 200);
    run(&server.folder, &["keys", "disable", "tickets.Ticket:read"]);
    let reply = ask(&server, &key);
    assert_eq!((reply.status, reply.errors()), (401, vec![": the key is disabled".to_owned()]));
}

#[test]
fn it_follows_the_models_and_the_key() {
    let server = Server::start();
    let key = server.key_for("desk.Note:read");
    let known = |server: &Server| requests(&ask(server, &key).json()).len();
    assert_eq!(known(&server), EVERYONES.len());
    let mut models: Value = serde_json::from_str(MODELS).unwrap();
    models["desk.Note"] = json!({"fields": {"text": {"type": "text"}}});
    let file = server.folder.file("more.json", &models.to_string());
    run(&server.folder, &["models", "apply", file.to_str().unwrap()]);
    assert_eq!(known(&server), EVERYONES.len() + 4);
    run(&server.folder, &["keys", "update", "desk.Note:read", "--allow", "desk.Note:*"]);
    assert_eq!(known(&server), EVERYONES.len() + 11);
}
