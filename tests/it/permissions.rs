//! Who may do what: each case with no key, with a key that lacks the right and with one that has it, and what a
//! refusal must not tell.

use crate::support::{Client, MODELS, Reply, Server, request};
use serde_json::{Value, json};

/// The published models, with more ways to reach one model from another.
fn models() -> String {
    let text = |more: Value| {
        let mut field = json!({"type": "string", "max_length": 80});
        field.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        field
    };
    let to = |model: &str, back: &str| json!({"type": "ref", "to": model, "null": true, "related_name": back});
    let mut models: Value = serde_json::from_str(MODELS).unwrap();
    models["tickets.TicketSecret"] =
        json!({"fields": {"text": text(json!({})), "ticket": to("tickets.Ticket", "secrets")}});
    models["desk.Author"] = json!({"fields": {"name": text(json!({}))}, "ordering": ["name"]});
    models["desk.Shelf"] = json!({"fields": {"name": text(json!({}))}});
    models["desk.Note"] = json!({
        "fields": {"text": text(json!({})), "author": to("desk.Author", "notes"), "shelf": to("desk.Shelf", "notes")},
        "search": ["text", "author__name"]
    });
    for (model, back, ordering) in [("desk.Entry", "entries", "author__name"), ("desk.Page", "pages", "-author")] {
        models[model] = json!({
            "fields": {"text": text(json!({})), "author": to("desk.Author", back), "shelf": to("desk.Shelf", back)},
            "ordering": [ordering]
        });
    }
    models.to_string()
}

/// What stands in every record, and in no refusal.
const MARK: &str = "Marker";

/// A server with a record of every model, each referring to the others.
fn filled() -> Server {
    let server = Server::with(&models(), &[]);
    let name = json!({"name": MARK});
    for namespace in ["tickets.Category", "tickets.Tag", "desk.Author", "desk.Shelf"] {
        server.create(namespace, &name);
    }
    server.create("profile.Customer", &json!({"name": MARK, "email": format!("{MARK}@a")}));
    server.create("tickets.Ticket", &json!({"title": MARK, "category": 1, "customer": 1, "tags": [1]}));
    server.create("tickets.TicketSecret", &json!({"text": MARK, "ticket": 1}));
    for namespace in ["desk.Note", "desk.Entry", "desk.Page"] {
        server.create(namespace, &json!({"text": MARK, "author": 1, "shelf": 1}));
    }
    server.create(
        "fleet.Vehicle",
        &json!({"vin": format!("{MARK}XXXXXXXXXXX"), "vrm": MARK, "year": 2000, "gearbox": "manual", "purchase_type": "cash"}),
    );
    server
}

/// The body of a refusal to a key that lacks permissions of the model itself.
fn lacking(permissions: &[String], intent: &str) -> String {
    let message = |permission: &String| format!("the key lacks the permission {permission}");
    let error = |permission: &String| {
        let message = message(permission);
        format!(r#"{{"code":"JQL:AuthorizationException","errorMessage":"{message}","pointer":"/__meta__/namespace"}}"#)
    };
    let errors = permissions.iter().map(error).collect::<Vec<_>>().join(",");
    let message = message(&permissions[0]);
    format!(
        r#"{{"status":"ERROR","data":null,"errors":[{errors}],"il8n":"en-gb","extras":{{"filtered":0,"display":0,"queries":0}},"system_info":null,"intent":"{intent}","message":"{message}"}}"#
    )
}

/// Every intent, the name that answers echo, and the actions whose permissions it takes.
const INTENTS: [(&str, &str, &[&str]); 13] = [
    ("retrieve", "retrieve", &["read"]),
    ("read", "retrieve", &["read"]),
    ("retrieveOne", "retrieveOne", &["read"]),
    ("count", "count", &["read"]),
    ("aggregate", "aggregate", &["read"]),
    ("create", "create", &["create"]),
    ("createMany", "createMany", &["create"]),
    ("update", "update", &["update"]),
    ("updateMany", "updateMany", &["update", "read"]),
    ("upsert", "upsert", &["update", "create"]),
    ("deleteOne", "deleteOne", &["delete"]),
    ("delete", "deleteOne", &["delete"]),
    ("deleteMany", "deleteMany", &["delete", "read"]),
];

/// The models of the matrix: their name, a field to write, whether they are there.
const MATRIX: [(&str, &str, bool); 11] = [
    ("tickets.Category", "name", true),
    ("tickets.Ticket", "title", true),
    ("tickets.TicketSecret", "text", true),
    ("profile.Customer", "name", true),
    ("fleet.Vehicle", "vrm", true),
    ("tickets.Nothing", "name", false),
    ("ghost.Model", "name", false),
    ("system.Nothing", "name", false),
    ("system.ApiKey", "name", true),
    ("system.UsageLog", "status", true),
    ("system.Model", "namespace", true),
];

/// The intents that one of the server's own models takes; any other takes all.
fn takes(namespace: &str, intent: &str) -> bool {
    match namespace {
        "system.ApiKey" => ["retrieve", "retrieveOne", "count", "create", "update", "deleteOne"].contains(&intent),
        "system.UsageLog" => ["retrieve", "retrieveOne", "count", "aggregate"].contains(&intent),
        "system.Model" => ["retrieve", "retrieveOne"].contains(&intent),
        _ => true,
    }
}

/// A request of that intent which changes nothing even where it may: it is about a record that is not there, lacks
/// what a new one needs, or allows no record to be changed.
fn harmless(intent: &str, namespace: &str, field: &str) -> Value {
    match intent {
        "retrieve" | "read" | "count" | "create" => request(intent, namespace, &json!({}), &json!({})),
        "aggregate" => request(intent, namespace, &json!({}), &json!({"n": {"function": "Count"}})),
        "createMany" => request(intent, namespace, &json!({"objects": [{}]}), &json!({})),
        "updateMany" => request(intent, namespace, &json!({"filter": {}, "maxAffected": 0}), &json!({field: "x"})),
        "deleteMany" => request(intent, namespace, &json!({"filter": {}, "maxAffected": 0}), &json!({})),
        "update" | "upsert" => request(intent, namespace, &json!({"uniqueObject": {"id": 999}}), &json!({field: "x"})),
        _ => request(intent, namespace, &json!({"uniqueObject": {"id": 999}}), &json!({})),
    }
}

/// What the contract says of permissions, written once more.
fn allows(permissions: &str, namespace: &str, action: &str) -> bool {
    permissions.split(',').filter(|permission| !permission.is_empty()).any(|permission| {
        let (models, allowed) = permission.split_once(':').unwrap();
        let app = namespace.split('.').next().unwrap();
        let fits = models == namespace || (models == "*.*" && app != "system") || models == format!("{app}.*");
        fits && (allowed == "*" || allowed == action)
    })
}

#[test]
fn the_matrix_knows_every_intent_that_is_served() {
    let server = Server::start();
    let reply = server.send(&request("nonsense", "tickets.Ticket", &json!({}), &json!({})));
    let error = reply.json()["errors"][0].clone();
    let served = error["hint"].as_str().unwrap().strip_prefix("served: ").unwrap().to_owned();
    let mut known: Vec<&str> = INTENTS.iter().map(|(_, name, _)| *name).collect();
    known.dedup();
    assert_eq!(served.split(", ").collect::<Vec<_>>(), known, "an intent is served that the matrix does not try");
}

#[test]
fn every_intent_takes_its_permission_on_every_model() {
    let server = filled();
    let before = server.records();
    let mut sets: Vec<String> = [
        "",
        "tickets.*:read",
        "tickets.*:*",
        "tickets.Ticket:*",
        "*.*:read",
        "*.*:delete",
        "*.*:*",
        "system.*:update",
        "ticket.*:*",
        "tickets.Ticket:read,profile.Customer:create",
        "tickets.Ticket:create,tickets.Category:update,fleet.Vehicle:delete",
    ]
    .map(str::to_owned)
    .into();
    for (namespace, ..) in &MATRIX[..6] {
        sets.extend(["create", "read", "update", "delete"].map(|action| format!("{namespace}:{action}")));
    }
    let mut client = Client::connect(&server.address);
    for permissions in &sets {
        let key = server.key_for(permissions);
        for (namespace, field, exists) in MATRIX {
            for (intent, echoed, actions) in INTENTS {
                let body = harmless(intent, namespace, field).to_string();
                let reply = client.jql(&key, &body);
                let case = format!("{permissions:?}: {body}\n{}", reply.body);
                let missing = actions.iter().filter(|action| !allows(permissions, namespace, action));
                let missing: Vec<String> = missing.map(|action| format!("{namespace}:{action}")).collect();
                if !missing.is_empty() {
                    assert_eq!(reply.body, lacking(&missing, echoed), "{case}");
                    assert_eq!(reply.status, 403, "{case}");
                    continue;
                }
                // The references of tickets are cleared when their customer goes.
                if namespace == "profile.Customer"
                    && actions[0] == "delete"
                    && !allows(permissions, "tickets.Ticket", "update")
                {
                    assert_eq!(reply.body, lacking(&["tickets.Ticket:update".to_owned()], echoed), "{case}");
                    continue;
                }
                let message = reply.json()["message"].as_str().unwrap().to_owned();
                match echoed {
                    _ if !exists => {
                        assert_eq!((reply.status, message), (404, format!("there is no model {namespace}")))
                    }
                    _ if !takes(namespace, echoed) => {
                        let refused = format!("{namespace} does not take the intent {echoed}");
                        assert_eq!((reply.status, message), (400, refused), "{case}")
                    }
                    "retrieve" | "count" | "aggregate" => assert_eq!(reply.status, 200, "{case}"),
                    "create" | "createMany" => assert_eq!(reply.status, 400, "{case}"),
                    "updateMany" | "deleteMany" => assert_eq!(reply.status, 409, "{case}"),
                    // Complete or not, no record can be made with an id of the client's.
                    "upsert" => assert!(matches!(reply.status, 400 | 404), "{case}"),
                    _ => assert_eq!((reply.status, message), (404, format!("there is no {namespace} with id 999"))),
                }
            }
        }
    }
    assert_eq!(server.records(), before);
}

#[test]
fn without_a_key_every_intent_is_refused_alike() {
    let server = filled();
    let mut client = Client::connect(&server.address);
    let message = "Authentication failed";
    for (namespace, field, _) in MATRIX {
        for (intent, ..) in INTENTS {
            let body = harmless(intent, namespace, field).to_string();
            let head = format!("Content-Type: application/json\r\nContent-Length: {}\r\n", body.len());
            let reply = client.request("POST", "/jql", &head, &body);
            assert_eq!(reply.status, 401);
            assert_eq!(
                reply.body,
                format!(
                    r#"{{"status":"ERROR","data":null,"errors":[{{"code":"JQL:AuthenticationException","errorMessage":"{message}"}}],"il8n":"en-gb","extras":{{"filtered":0,"display":0,"queries":0}},"system_info":null,"intent":null,"message":"{message}"}}"#
                )
            );
        }
    }
}

#[test]
fn the_published_key_reads_tickets_and_makes_customers_and_nothing_else() {
    let server = filled();
    let key = server.key_for("tickets.Ticket:read,profile.Customer:create");
    let found = server.send_as(&key, &request("retrieve", "tickets.Ticket", &json!({}), &json!({"title": null})));
    assert_eq!((found.status, &found.json()["data"]), (200, &json!([{"title": MARK}])));
    let made = json!({"name": "New", "email": "new@a"});
    let made = server.send_as(&key, &request("create", "profile.Customer", &json!({}), &made));
    assert_eq!((made.status, &made.json()["data"]), (200, &json!({"id": 2})));
    for (intent, namespace, permission) in [
        ("retrieve", "profile.Customer", "profile.Customer:read"),
        ("count", "profile.Customer", "profile.Customer:read"),
        ("create", "tickets.Ticket", "tickets.Ticket:create"),
        ("retrieve", "tickets.TicketSecret", "tickets.TicketSecret:read"),
    ] {
        let reply = server.send_as(&key, &request(intent, namespace, &json!({}), &json!({})));
        assert_eq!((reply.status, reply.body), (403, lacking(&[permission.to_owned()], intent)));
    }
}

/// Sends a request without a key, with one that lacks the permission and with one that has it, too.
#[track_caller]
fn needs(server: &Server, permissions: &str, missing: &str, request: &Value) {
    let mut client = Client::connect(&server.address);
    let body = request.to_string();
    let head = format!("Content-Type: application/json\r\nContent-Length: {}\r\n", body.len());
    assert_eq!(client.request("POST", "/jql", &head, &body).status, 401);
    let refused = client.jql(&server.key_for(permissions), &body);
    assert_refused(&refused, &[missing], &body);
    let allowed = client.jql(&server.key_for(&format!("{permissions},{missing}")), &body);
    assert_eq!(allowed.status, 200, "{permissions} and {missing}: {body}\n{}", allowed.body);
}

/// The refusal names these permissions and tells nothing else.
#[track_caller]
fn assert_refused(reply: &Reply, permissions: &[&str], body: &str) {
    assert_eq!(reply.status, 403, "{body}\n{}", reply.body);
    let json = reply.json();
    let errors = json["errors"].as_array().unwrap();
    let mut said: Vec<&str> = errors.iter().map(|error| error["errorMessage"].as_str().unwrap()).collect();
    said.dedup();
    let expected: Vec<String> =
        permissions.iter().map(|permission| format!("the key lacks the permission {permission}")).collect();
    assert_eq!(said, expected, "{body}");
    assert!(errors.iter().all(|error| error.get("hint").is_none()), "{}", reply.body);
    assert_eq!(json["data"], Value::Null);
    assert_eq!(json["extras"], json!({"filtered": 0, "display": 0, "queries": 0}));
    assert!(!reply.body.contains(MARK), "{}", reply.body);
}

#[test]
fn a_reference_leads_to_nothing_that_may_not_be_read() {
    let server = filled();
    let category = "tickets.Category:read";
    let ticket = |meta: Value, beside: Value| request("retrieve", "tickets.Ticket", &meta, &beside);
    for request in [
        ticket(json!({}), json!({"category": {"name": null}})),
        ticket(json!({}), json!({"category": {}})),
        ticket(json!({}), json!({"category": {"id": null}})),
        ticket(json!({"filter": {"category__name": MARK}}), json!({"id": null})),
        ticket(json!({"filter": {"category__name__icontains": "m"}}), json!({"id": null})),
        ticket(json!({"filter": {"category__id": 1}}), json!({"id": null})),
        ticket(json!({"filter": {"category__name__isnull": true}}), json!({"id": null})),
        ticket(json!({"filter": {"category__tickets__title": MARK}}), json!({"id": null})),
        ticket(json!({"filter": {"__or__": [{"__not__": {"category__name": MARK}}]}}), json!({"id": null})),
        ticket(json!({"exclude": {"category__name": MARK}}), json!({"id": null})),
        ticket(json!({"exclude": {"__and__": [{"category__name__regex": "."}]}}), json!({"id": null})),
        ticket(json!({"ordering": ["id", "category__name"]}), json!({"id": null})),
        ticket(json!({"ordering": "-category__name"}), json!({"id": null})),
        ticket(json!({"ordering": ["category"]}), json!({"id": null})),
        request("count", "tickets.Ticket", &json!({"filter": {"category__name": MARK}}), &json!({})),
        request("count", "tickets.Ticket", &json!({"exclude": {"category__name": MARK}}), &json!({})),
        request(
            "retrieveOne",
            "tickets.Ticket",
            &json!({"uniqueObject": {"id": 1}, "filter": {"category__name": MARK}}),
            &json!({"id": null}),
        ),
        request(
            "retrieve",
            "tickets.Ticket",
            &json!({"uniqueObject": {"id": 1}, "exclude": {"category__name": "x"}}),
            &json!({"id": null}),
        ),
        request(
            "update",
            "tickets.Ticket",
            &json!({"uniqueObject": {"id": 1}, "filter": {"category__name": MARK}}),
            &json!({"title": MARK}),
        ),
        request(
            "update",
            "tickets.Ticket",
            &json!({"uniqueObject": {"id": 1}, "return": {"category": {"name": null}}}),
            &json!({"title": MARK, "category": 1}),
        ),
        request(
            "create",
            "tickets.Ticket",
            &json!({"return": {"category": {"name": null}}}),
            &json!({"title": MARK, "category": 1}),
        ),
    ] {
        needs(&server, "tickets.Ticket:*", category, &request);
    }
    // Nothing else is told of what is behind it, not even whether there is such a field.
    let key = server.key_for("tickets.Ticket:*");
    for path in ["category__nothing", "category__name__nothing", "category__nam", "category__like"] {
        let request = ticket(json!({"filter": {path: 1}}), json!({}));
        assert_refused(&server.send_as(&key, &request), &[category], path);
    }
    // The id is the ticket's own.
    for request in [
        ticket(json!({}), json!({"category": null})),
        ticket(json!({"filter": {"category": 1, "category__in": [1], "category__isnull": false}}), json!({})),
        ticket(json!({"exclude": {"category": 2}}), json!({"id": null})),
    ] {
        assert_eq!(server.send_as(&key, &request).status, 200, "{request}");
    }
}

#[test]
fn many_to_many_fields_lead_to_nothing_that_may_not_be_read() {
    let server = filled();
    let ticket = |meta: Value, beside: Value| request("retrieve", "tickets.Ticket", &meta, &beside);
    for request in [
        ticket(json!({}), json!({"tags": {"name": null}})),
        ticket(json!({}), json!({"tags": {}})),
        ticket(json!({}), json!({"tags": {"__meta__": {"limit": 1}}})),
        ticket(json!({"filter": {"tags__name": MARK}}), json!({})),
        ticket(json!({"exclude": {"tags__name__startswith": "M"}}), json!({})),
        ticket(json!({"ordering": ["tags__name"]}), json!({})),
    ] {
        needs(&server, "tickets.Ticket:read", "tickets.Tag:read", &request);
    }
    let key = server.key_for("tickets.Ticket:read");
    for request in [ticket(json!({}), json!({"tags": null})), ticket(json!({"filter": {"tags": 1}}), json!({}))] {
        assert_eq!(server.send_as(&key, &request).status, 200, "{request}");
    }
}

#[test]
fn a_reverse_accessor_leads_to_nothing_that_may_not_be_read() {
    let server = filled();
    let category = |meta: Value, beside: Value| request("retrieve", "tickets.Category", &meta, &beside);
    for request in [
        category(json!({}), json!({"tickets": null})),
        category(json!({}), json!({"tickets": {}})),
        category(json!({}), json!({"tickets": {"title": null}})),
        category(json!({"filter": {"tickets": 1}}), json!({})),
        category(json!({"filter": {"tickets__isnull": false}}), json!({})),
        category(json!({"filter": {"tickets__title": MARK}}), json!({})),
        category(json!({"filter": {"tickets__in": [1]}}), json!({})),
        category(json!({"exclude": {"tickets__title": "x"}}), json!({})),
        category(json!({"exclude": {"tickets": 2}}), json!({})),
        category(json!({"ordering": ["tickets__title"]}), json!({})),
        category(json!({"ordering": ["tickets"]}), json!({})),
        request(
            "update",
            "tickets.Category",
            &json!({"uniqueObject": {"id": 1}, "return": {"tickets": null}}),
            &json!({"name": MARK}),
        ),
    ] {
        needs(&server, "tickets.Category:*", "tickets.Ticket:read", &request);
    }
    let tag = request("retrieve", "tickets.Tag", &json!({}), &json!({"tickets": null}));
    needs(&server, "tickets.Tag:read", "tickets.Ticket:read", &tag);
    let secrets = request("retrieve", "tickets.Ticket", &json!({}), &json!({"secrets": {"text": null}}));
    needs(&server, "tickets.Ticket:*", "tickets.TicketSecret:read", &secrets);
}

#[test]
fn a_nested_list_leads_to_nothing_that_may_not_be_read() {
    let server = filled();
    let within = |meta: Value, beside: Value| {
        let mut tickets = json!({ "__meta__": meta });
        tickets.as_object_mut().unwrap().extend(beside.as_object().unwrap().clone());
        request("retrieve", "tickets.Category", &json!({}), &json!({ "tickets": tickets }))
    };
    for request in [
        within(json!({}), json!({"customer": {"name": null}})),
        within(json!({"filter": {"customer__name": MARK}}), json!({})),
        within(json!({"exclude": {"customer__email": "x"}}), json!({})),
        within(json!({"ordering": ["customer__name"]}), json!({})),
        within(json!({}), json!({"category": {"tickets": {"__meta__": {"filter": {"customer__name": MARK}}}}})),
    ] {
        needs(&server, "tickets.*:read", "profile.Customer:read", &request);
    }
}

#[test]
fn a_search_over_a_relation_needs_leave_to_read_there() {
    let server = filled();
    let search = json!({"search": {"value": "mark"}});
    for (permissions, request) in [
        ("desk.Note:*", request("retrieve", "desk.Note", &search, &json!({"text": null}))),
        ("desk.Note:*", request("count", "desk.Note", &search, &json!({}))),
        (
            "desk.Note:*",
            request(
                "update",
                "desk.Note",
                &json!({"uniqueObject": {"id": 1}, "search": {"value": "mark"}}),
                &json!({"text": MARK}),
            ),
        ),
        (
            "desk.Shelf:read,desk.Note:read",
            request("retrieve", "desk.Shelf", &json!({}), &json!({"notes": {"__meta__": search, "text": null}})),
        ),
    ] {
        needs(&server, permissions, "desk.Author:read", &request);
    }
}

#[test]
fn a_default_order_over_a_relation_needs_leave_to_read_there() {
    let server = filled();
    for (model, back) in [("desk.Entry", "entries"), ("desk.Page", "pages")] {
        let permissions = format!("{model}:read,desk.Shelf:read");
        let plain = request("retrieve", model, &json!({}), &json!({"text": null}));
        needs(&server, &permissions, "desk.Author:read", &plain);
        let nested = request("retrieve", "desk.Shelf", &json!({}), &json!({back: {"text": null}}));
        needs(&server, &permissions, "desk.Author:read", &nested);
        let own = request("retrieve", model, &json!({"ordering": ["text"]}), &json!({"text": null}));
        let reply = server.send_as(&server.key_for(&permissions), &own);
        assert_eq!(reply.json()["data"], json!([{"text": MARK}]));
        // One record has no order.
        let one = request("retrieveOne", model, &json!({"uniqueObject": {"id": 1}}), &json!({"text": null}));
        assert_eq!(server.send_as(&server.key_for(&permissions), &one).json()["data"], json!({"text": MARK}));
    }
}

#[test]
fn a_write_returns_what_it_wrote_and_nothing_else() {
    let server = filled();
    let values = json!({"title": "new", "status": "closed", "category": 1, "tags": [1]});
    for (intent, permission, meta) in [
        ("create", "tickets.Ticket:create", json!({})),
        ("update", "tickets.Ticket:update", json!({"uniqueObject": {"id": 1}})),
    ] {
        let key = server.key_for(permission);
        let send = |more: Value| {
            let mut all = meta.clone();
            all.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            let request = request(intent, "tickets.Ticket", &all, &values);
            (server.send_as(&key, &request), request)
        };
        assert_eq!(send(json!({})).0.status, 200);
        let written = json!({"title": null, "status": null, "category": null, "tags": null});
        assert_eq!(send(json!({"return": written})).0.json()["data"], values);
        for free in [json!({"id": null}), json!({"pk": null}), json!({"id": null, "title": null})] {
            assert_eq!(send(json!({ "return": free })).0.status, 200, "{free}");
        }
        let before = server.dump();
        for read in [
            json!({}),
            json!({"description": null}),
            json!({"title": null, "priority": null}),
            json!({"updated": null}),
            json!({"customer": null}),
            json!({"nothing": null}),
        ] {
            let (reply, request) = send(json!({ "return": read }));
            assert_refused(&reply, &["tickets.Ticket:read"], &request.to_string());
        }
        for (read, there) in [
            (json!({"category": {"name": null}}), "tickets.Category:read"),
            (json!({"tags": {}}), "tickets.Tag:read"),
            (json!({"secrets": null}), "tickets.TicketSecret:read"),
            (json!({"customer": {"name": null}}), "profile.Customer:read"),
        ] {
            let (reply, request) = send(json!({ "return": read }));
            assert_refused(&reply, &["tickets.Ticket:read", there], &request.to_string());
        }
        assert_eq!(server.dump(), before, "a refused {intent} was carried out");
    }
}

#[test]
fn a_write_that_is_narrowed_needs_leave_to_read() {
    let server = filled();
    for (intent, permission, values) in [
        ("update", "tickets.Ticket:update", json!({"title": MARK})),
        ("deleteOne", "tickets.TicketSecret:delete", json!({})),
    ] {
        let namespace = permission.split(':').next().unwrap();
        let key = server.key_for(permission);
        for narrowing in [
            json!({"filter": {}}),
            json!({"filter": {"id": 1}}),
            json!({"exclude": {"id__gt": 1}}),
            json!({"search": {"value": MARK}}),
        ] {
            let mut meta = json!({"uniqueObject": {"id": 1}});
            meta.as_object_mut().unwrap().extend(narrowing.as_object().unwrap().clone());
            let request = request(intent, namespace, &meta, &values);
            let reply = server.send_as(&key, &request);
            assert_refused(&reply, &[&format!("{namespace}:read")], &request.to_string());
        }
        let allowed = request(intent, namespace, &json!({"uniqueObject": {"id": 1}}), &values);
        assert_eq!(server.send_as(&key, &allowed).status, 200);
    }
}

/// A model with a reference to each of these, each by its rule.
fn chain() -> Value {
    let to = |model: &str, rule: &str, back: &str| {
        json!({"fields": {
            "to": {"type": "ref", "to": model, "null": true, "on_delete": rule, "related_name": back}
        }})
    };
    json!({
        "chain.Root": {"fields": {"name": {"type": "text", "null": true}}},
        "chain.Branch": to("chain.Root", "cascade", "branches"),
        "chain.Leaf": to("chain.Branch", "cascade", "leaves"),
        "chain.Bird": to("chain.Branch", "set_null", "birds"),
        "chain.Nail": to("chain.Leaf", "restrict", "nails"),
    })
}

#[test]
fn deleting_needs_leave_for_all_that_a_cascade_reaches() {
    let server = Server::with(&chain().to_string(), &[]);
    for namespace in ["chain.Root", "chain.Branch", "chain.Leaf", "chain.Bird"] {
        server.create(namespace, &if namespace == "chain.Root" { json!({}) } else { json!({"to": 1}) });
    }
    let delete = request("deleteOne", "chain.Root", &json!({"uniqueObject": {"id": 1}}), &json!({}));
    let before = server.records();
    let mut permissions = "chain.Root:*,chain.*:read,chain.*:create".to_owned();
    for (missing, all) in [
        ("chain.Branch:delete", vec!["chain.Branch:delete"]),
        ("chain.Bird:update", vec!["chain.Leaf:delete", "chain.Bird:update"]),
        ("chain.Leaf:delete", vec!["chain.Leaf:delete"]),
    ] {
        let reply = server.send_as(&server.key_for(&permissions), &delete);
        assert_refused(&reply, &all, &permissions);
        assert_eq!(server.records(), before);
        permissions = format!("{permissions},{missing}");
    }
    assert_eq!(server.send_as(&server.key_for(&permissions), &delete).status, 200);
    let count = |namespace: &str| server.count(namespace);
    assert_eq!(["chain.Root", "chain.Branch", "chain.Leaf", "chain.Bird"].map(count), [0, 0, 0, 1]);
}

#[test]
fn a_conflict_names_no_model_that_may_not_be_read() {
    let server = filled();
    let delete = request("deleteOne", "tickets.Category", &json!({"uniqueObject": {"id": 1}}), &json!({}));
    let reply = server.send_as(&server.key_for("tickets.Category:*"), &delete);
    assert_eq!(reply.status, 409);
    assert_eq!(reply.json()["message"], "the tickets.Category is still referred to by other records");
    assert!(!reply.body.contains("Ticket\"") && !reply.body.contains("tickets.Ticket"), "{}", reply.body);
    let reply = server.send_as(&server.key_for("tickets.Category:delete,tickets.Ticket:read"), &delete);
    assert_eq!(reply.json()["message"], "the tickets.Category is still referred to by tickets.Ticket");
    let values = json!({"name": MARK, "email": format!("{MARK}@a")});
    let taken = request("create", "profile.Customer", &json!({}), &values);
    let reply = server.send_as(&server.key_for("profile.Customer:create"), &taken);
    assert_eq!(
        (reply.status, &reply.json()["message"]),
        (409, &json!("another profile.Customer has this email already"))
    );
    assert!(!reply.body.contains(MARK), "{}", reply.body);

    let server = Server::with(&chain().to_string(), &[]);
    for namespace in ["chain.Root", "chain.Branch", "chain.Leaf", "chain.Nail"] {
        server.create(namespace, &if namespace == "chain.Root" { json!({}) } else { json!({"to": 1}) });
    }
    let delete = request("deleteOne", "chain.Root", &json!({"uniqueObject": {"id": 1}}), &json!({}));
    let key = server.key_for("chain.Root:*,chain.Branch:*,chain.Leaf:*,chain.Bird:*");
    let reply = server.send_as(&key, &delete);
    assert_eq!(reply.status, 409, "{}", reply.body);
    assert!(!reply.body.contains("Nail"), "{}", reply.body);
    assert_eq!(server.count("chain.Leaf"), 1);
}

#[test]
fn hints_suggest_only_what_the_key_may_see() {
    let server = filled();
    let hint = |permissions: &str, request: &Value, status: u16| {
        let reply = server.send_as(&server.key_for(permissions), request);
        assert_eq!(reply.status, status, "{}", reply.body);
        reply.json()["errors"][0].get("hint").cloned()
    };
    let tickets = Some(json!("did you mean \"tickets\"?"));
    for request in [
        request("retrieve", "tickets.Category", &json!({}), &json!({"ticket": null})),
        request("retrieve", "tickets.Category", &json!({}), &json!({"ticketz": {"title": null}})),
        request("retrieve", "tickets.Category", &json!({"filter": {"ticket__title": 1}}), &json!({})),
        request("retrieve", "tickets.Category", &json!({"exclude": {"ticket": 1}}), &json!({})),
        request("retrieve", "tickets.Category", &json!({"ordering": ["-ticket"]}), &json!({})),
    ] {
        assert_eq!(hint("tickets.Category:read", &request, 400), None, "{request}");
        assert_eq!(hint("tickets.Category:read,tickets.Ticket:read", &request, 400), tickets, "{request}");
    }
    let request = request("retrieve", "tickets.Tickets", &json!({}), &json!({}));
    assert_eq!(hint("tickets.Tickets:read", &request, 404), None);
    assert_eq!(hint("tickets.Tickets:read,tickets.Ticket:create", &request, 404), None);
    let ticket = Some(json!("did you mean \"tickets.Ticket\"?"));
    assert_eq!(hint("tickets.Tickets:read,tickets.Ticket:read", &request, 404), ticket);
}

#[test]
fn what_else_is_wrong_is_not_told_to_a_key_that_lacks_a_permission() {
    let server = filled();
    let key = server.key_for("tickets.Category:read");
    for (intent, beside) in [("create", json!({"titel": 1, "status": "x"})), ("retrieve", json!({"titel": null}))] {
        let meta = json!({"limt": 1, "draw": 5});
        let body = request(intent, "tickets.Ticket", &meta, &beside).to_string();
        let reply = Client::connect(&server.address).jql(&key, &body);
        assert_eq!(reply.status, 403);
        assert_eq!(reply.json()["errors"].as_array().unwrap().len(), 1, "{}", reply.body);
        assert!(!reply.body.contains("titel") && !reply.body.contains("title"), "{}", reply.body);
    }
}
