//! The models changed over HTTP: what is told before, what is done, and that nothing else is felt of it.

use crate::support::{Client, Ending, Folder, MODELS, Reply, Server, eventually, fails, logs, request, run};
use serde_json::{Value, json};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

/// A request to the controller of models.
fn control(intent: &str, meta: &Value, arguments: &Value) -> Value {
    let mut request = request(intent, "system.Model", meta, arguments);
    request["__meta__"]["schema"] = json!("controller");
    request
}

fn diff(models: &Value) -> Value {
    control("diff", &json!({}), &json!({"models": models}))
}

fn apply(models: &Value) -> Value {
    control("apply", &json!({}), &json!({"models": models}))
}

fn batch(requests: &Value, atomic: bool) -> Value {
    let arguments = json!({"requests": requests, "atomic": atomic});
    request("execute", "system.Batch", &json!({"schema": "controller"}), &arguments)
}

fn models() -> Value {
    serde_json::from_str(MODELS).unwrap()
}

/// The published models with a colour for each tag.
fn coloured() -> Value {
    let mut models = models();
    models["tickets.Tag"]["fields"]["colour"] = json!({"type": "string", "default": "red"});
    models
}

/// The published models without tags.
fn without_tags() -> Value {
    let mut models = models();
    models["tickets.Ticket"]["fields"].as_object_mut().unwrap().shift_remove("tags");
    models.as_object_mut().unwrap().shift_remove("tickets.Tag");
    models
}

/// A server with two tags, and a ticket that has both and a customer.
fn filled(words: &[&str]) -> Server {
    let server = Server::with(MODELS, words);
    server.create("tickets.Tag", &json!({"name": "a"}));
    server.create("tickets.Tag", &json!({"name": "b"}));
    server.create("profile.Customer", &json!({"name": "c", "email": "c@example.com"}));
    server.create("tickets.Ticket", &json!({"title": "t", "tags": [1, 2], "customer": 1}));
    server
}

/// The tables, the records and the versions of the models.
fn state(server: &Server) -> String {
    let versions = r#"SELECT id, definition FROM "system.ModelVersion" ORDER BY id"#;
    server.rows("SELECT name, sql FROM sqlite_schema ORDER BY name") + &server.rows(versions) + &server.records()
}

fn version(folder: &Folder) -> u64 {
    let history: Value = serde_json::from_str(&run(folder, &["models", "history", "--json"])).unwrap();
    history.as_array().unwrap().last().unwrap()["version"].as_u64().unwrap()
}

#[track_caller]
fn sound(folder: &Folder) {
    assert_eq!(run(folder, &["check", "--json"]), "[]");
}

/// The answer of a server that may be too busy at first, or stops its statements early.
fn answered(server: &Server, request: &Value) -> Reply {
    let mut reply = server.send(request);
    eventually("it is answered", || {
        reply = server.send(request);
        reply.status != 503
    });
    reply
}

/// References are checked, and followed by what is deleted.
#[track_caller]
fn references_hold(server: &Server) {
    for (field, value, model) in [("customer", json!(99), "profile.Customer"), ("tags", json!([99]), "tickets.Tag")] {
        let dangling = request("create", "tickets.Ticket", &json!({}), &json!({"title": "x", field: value}));
        let reply = answered(server, &dangling);
        let expected = format!("/{field}: there is no {model} with id 99");
        assert_eq!((reply.status, reply.errors()), (400, vec![expected]));
    }
    let first = json!({"uniqueObject": {"id": 1}});
    let gone = request("deleteOne", "profile.Customer", &first, &json!({}));
    let left = request("retrieveOne", "tickets.Ticket", &first, &json!({"customer": null}));
    let mut undone = batch(&json!([gone, left]), true);
    undone["__meta__"]["dryRun"] = json!(true);
    let reply = answered(server, &undone);
    assert_eq!((reply.status, &reply.json()["data"][1]["data"]), (200, &json!({"customer": null})));
    assert_eq!(server.rows("PRAGMA foreign_key_check"), "");
}

// -- What would change --------------------------------------------------------------------------

#[test]
fn a_diff_tells_what_the_command_line_tells_and_changes_nothing() {
    let server = filled(&[]);
    let mut other = coloured();
    other["tickets.Tag"]["fields"]["need"] = json!({"type": "integer"});
    other["tickets.Ticket"]["fields"]["title"]["max_length"] = json!(300);
    other["profile.Customer"]["fields"].as_object_mut().unwrap().shift_remove("email");
    other["profile.Note"] = json!({"fields": {"text": {"type": "text"}}});
    other.as_object_mut().unwrap().shift_remove("fleet.Vehicle");
    let before = state(&server);
    for new in [models(), coloured(), without_tags(), json!({}), other.clone()] {
        let file = server.folder.file("new.json", &new.to_string());
        let told = run(&server.folder, &["models", "diff", "--json", file.to_str().unwrap()]);
        let reply = server.send(&diff(&new));
        assert_eq!((reply.status, reply.json()["data"].to_string()), (200, told));
        assert_eq!(state(&server), before);
    }
    assert_eq!(
        server.data(&diff(&other)),
        json!({
            "changes": [
                "add tickets.Tag.colour",
                "add tickets.Tag.need",
                "alter tickets.Ticket.title: max_length",
                "drop profile.Customer.email", "add profile.Note", "drop fleet.Vehicle",
            ],
            "losses": ["1 value of profile.Customer.email"],
            "obstacles": ["2 records of tickets.Tag have no value for need: give it a default, or \"null\": true"],
        })
    );
    let none = server.send(&diff(&models())).json();
    assert_eq!(none["data"], json!({"changes": [], "losses": [], "obstacles": []}));
    assert_eq!(none["message"], "Nothing to change.");
}

#[test]
fn a_diff_waits_for_no_writer() {
    let server = filled(&[]);
    let lock = rusqlite::Connection::open(server.folder.path("test.db")).unwrap();
    lock.execute_batch("BEGIN IMMEDIATE").unwrap();
    let lost = json!(["2 records of tickets.Tag", "2 values of tickets.Ticket.tags"]);
    let sorted = |data: &Value| {
        let mut losses = data["losses"].as_array().unwrap().clone();
        losses.sort_by_key(Value::to_string);
        json!(losses)
    };
    assert_eq!(sorted(&server.data(&diff(&without_tags()))), lost);
    let in_batch = server.data(&batch(&json!([diff(&without_tags())]), true));
    assert_eq!(sorted(&in_batch[0]["data"]), lost);
    drop(lock);
}

// -- What is done -------------------------------------------------------------------------------

#[test]
fn an_apply_is_felt_by_the_next_request_of_a_kept_connection() {
    let server = filled(&[]);
    let mut client = Client::connect(&server.address);
    let mut send = |request: &Value| client.jql(&server.key, &request.to_string());
    let colours = request("retrieve", "tickets.Tag", &json!({}), &json!({"colour": null}));
    assert_eq!(send(&colours).status, 400);
    let applied = send(&apply(&coloured())).json();
    assert_eq!(applied["data"], json!({"version": 2, "changes": ["add tickets.Tag.colour"], "losses": []}));
    assert_eq!(applied["message"], "Applied: version 2 of the models is in force.");
    assert_eq!(send(&colours).json()["data"], json!([{"colour": "red"}, {"colour": "red"}]));
    let blue = request("create", "tickets.Tag", &json!({}), &json!({"name": "c", "colour": "blue"}));
    assert_eq!(send(&blue).json()["data"], json!({"id": 3}));
    let definition = request(
        "retrieveOne",
        "system.Model",
        &json!({"uniqueObject": {"namespace": "tickets.Tag"}}),
        &json!({"definition": null}),
    );
    assert_eq!(send(&definition).json()["data"]["definition"], coloured()["tickets.Tag"]);
    // Other processes see what was sent, as it was written.
    assert_eq!(run(&server.folder, &["models", "show"]), coloured().to_string());
    assert_eq!(version(&server.folder), 2);
    sound(&server.folder);
    references_hold(&server);

    // The same again is nothing new.
    let again = send(&apply(&coloured())).json();
    assert_eq!(again["data"], json!({"version": 2, "changes": [], "losses": []}));
    assert_eq!(again["message"], "Nothing to change: version 2 of the models is in force.");
    assert_eq!(version(&server.folder), 2);

    let entries =
        || logs(&server.folder, &[]).into_iter().filter(|entry| entry["intent"] == "apply").collect::<Vec<_>>();
    eventually("both are in the log", || entries().len() == 2);
    for entry in entries() {
        assert_eq!(entry["namespace"], "system.Model");
        assert_eq!(entry["action"], "update");
        assert_eq!(entry["status"], 200);
        assert_eq!(entry["rows"], 1);
    }
}

#[test]
fn the_first_models_of_a_file_may_come_over_http() {
    let folder = Folder::new();
    run(&folder, &["bootstrap"]);
    let server = Server::on(folder, &[]);
    assert_eq!(server.data(&apply(&models()))["version"], 1);
    assert_eq!(server.create("tickets.Tag", &json!({"name": "a"})), 1);
    sound(&server.folder);
}

#[test]
fn what_would_be_lost_is_counted_and_has_to_be_allowed() {
    let server = filled(&[]);
    let before = state(&server);
    let refused = [
        "/models: this would lose 2 values of tickets.Ticket.tags; nothing was changed (send \"allowDataLoss\": true to go on without)",
        "/models: this would lose 2 records of tickets.Tag; nothing was changed (send \"allowDataLoss\": true to go on without)",
    ];
    for more in [json!({}), json!({"allowDataLoss": false})] {
        for meta in [json!({}), json!({"dryRun": true})] {
            let mut asked = control("apply", &meta, &more);
            asked["models"] = without_tags();
            let reply = server.send(&asked);
            assert_eq!((reply.status, reply.mistakes()), (409, refused.map(str::to_owned).to_vec()));
            assert_eq!(reply.json()["errors"][0]["code"], "JQL:ConflictException");
            assert_eq!(state(&server), before);
        }
    }
    let mut asked = apply(&without_tags());
    asked["allowDataLoss"] = json!(true);
    let lost = json!(["2 values of tickets.Ticket.tags", "2 records of tickets.Tag"]);
    assert_eq!(server.data(&asked)["losses"], lost);
    assert_eq!(server.refused(404, &request("count", "tickets.Tag", &json!({}), &json!({}))).len(), 1);
    assert_eq!(server.count("tickets.Ticket"), 1);
    sound(&server.folder);
}

#[test]
fn what_is_stored_may_stand_against_an_apply() {
    let server = filled(&[]);
    server.change(r#"CREATE TABLE "desk.Note" (x)"#);
    let change = |model: &str, field: &str, rule: Value| {
        let mut models = models();
        models[model]["fields"][field] = rule;
        models
    };
    let mut unique = coloured();
    unique["tickets.Tag"]["unique_together"] = json!([["colour"]]);
    let mut taken = models();
    taken["desk.Note"] = json!({"fields": {}});
    let unfit = "/models: nothing was changed, because stored records do not fit: ";
    for (models, expected) in [
        (
            change("tickets.Tag", "need", json!({"type": "integer"})),
            "/models: 2 records of tickets.Tag have no value for need: give it a default, or \"null\": true".to_owned(),
        ),
        (
            change("profile.Customer", "email", json!({"type": "string", "max_length": 3})),
            "/models: 1 value of profile.Customer.email does not fit its max_length".to_owned(),
        ),
        (unique, format!("{unfit}the value of colour is taken")),
        (taken, "/models: there is a table desk.Note already, which is not jqlite's: rename it".to_owned()),
    ] {
        let before = state(&server);
        assert_eq!(server.refused(409, &apply(&models)), [expected]);
        assert_eq!(state(&server), before);
        references_hold(&server);
    }
    sound(&server.folder);
}

#[test]
fn records_and_what_refers_to_them_survive_a_rebuild_of_either_side() {
    let server = filled(&[]);
    let records = server.records();
    for (model, field) in [("tickets.Tag", "name"), ("tickets.Ticket", "title"), ("profile.Customer", "name")] {
        let mut models: Value = serde_json::from_str(&run(&server.folder, &["models", "show"])).unwrap();
        models[model]["fields"][field]["max_length"] = json!(77);
        assert_eq!(server.data(&apply(&models))["changes"], json!([format!("alter {model}.{field}: max_length")]));
        assert_eq!(server.records(), records);
        references_hold(&server);
        sound(&server.folder);
    }
    // The customer's going clears the reference, the tag's its link.
    server.data(&request("deleteOne", "profile.Customer", &json!({"uniqueObject": {"id": 1}}), &json!({})));
    server.data(&request("deleteOne", "tickets.Tag", &json!({"uniqueObject": {"id": 1}}), &json!({})));
    let ticket = server.record("tickets.Ticket", &json!(1), &["customer", "tags"]);
    assert_eq!(ticket, json!({"customer": null, "tags": [2]}));
    assert_eq!(server.create("tickets.Tag", &json!({"name": "d"})), 3);
}

#[test]
fn a_dry_run_answers_what_the_run_answers_and_changes_nothing() {
    let server = filled(&[]);
    let dry = |request: &Value| {
        let mut dry = request.clone();
        dry["__meta__"]["dryRun"] = json!(true);
        dry
    };
    let mut losing = apply(&without_tags());
    losing["allowDataLoss"] = json!(true);
    for asked in [apply(&coloured()), losing, apply(&without_tags())] {
        let before = state(&server);
        let tried = server.send(&dry(&asked));
        assert_eq!(state(&server), before);
        references_hold_if_tagged(&server);
        let done = server.send(&asked);
        assert_eq!((tried.status, tried.body), (done.status, done.body));
        sound(&server.folder);
    }
    assert_eq!(version(&server.folder), 3);
}

/// As [`references_hold`], where there are tags.
fn references_hold_if_tagged(server: &Server) {
    if server.send(&request("count", "tickets.Tag", &json!({}), &json!({}))).status == 200 {
        references_hold(server);
    }
}

#[test]
fn an_apply_that_takes_too_long_is_stopped_and_undone() {
    let number = json!({"type": "integer", "default": 0, "min": 0, "max": 5});
    let mut models = models();
    models["desk.Wide"] = json!({"fields": (0..400).map(|n| (format!("f{n}"), number.clone())).collect::<Value>()});
    let server = Server::with(&models.to_string(), &["--query-timeout", "100ms"]);
    server.change(
        r#"WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 5000)
           INSERT INTO "desk.Wide" ("f0") SELECT 1 FROM n;
           INSERT INTO "profile.Customer" ("name", "email", "joined") VALUES ('c', 'c@a', '2026-01-31');
           INSERT INTO "tickets.Ticket" ("title", "customer", "created", "updated")
           VALUES ('t', 1, '2026-01-31T09:30:00.000000Z', '2026-01-31T09:30:00.000000Z')"#,
    );
    let state = || {
        let records = server.rows(r#"SELECT count(*), sum("f0") FROM "desk.Wide""#);
        let tables = server.rows("SELECT name, sql FROM sqlite_schema ORDER BY name");
        (records + &tables, version(&server.folder))
    };
    let mut most = 5;
    eventually("it is stopped", || {
        most += 1;
        models["desk.Wide"]["fields"]["f0"]["max"] = json!(most);
        let before = state();
        let reply = server.send(&apply(&models));
        if reply.status == 200 {
            // A machine so fast is given twice as many records.
            server.change(r#"INSERT INTO "desk.Wide" ("f0") SELECT "f0" FROM "desk.Wide""#);
            return false;
        }
        assert_eq!((reply.status, state()), (503, before), "{}", reply.body);
        reply.json()["message"] == "the query took longer than 100ms and was stopped"
    });
    references_hold(&server);
    sound(&server.folder);
}

// -- Mistakes -----------------------------------------------------------------------------------

#[test]
fn mistakes_of_the_models_are_told_where_they_stand() {
    let server = Server::start();
    let before = state(&server);
    let wrong = json!({
        "tickets.Ticket": {"fields": {"title": {"type": "strng"}, "done": {"type": "boolean", "nul": true}}, "orderng": []},
        "tickets.Category": {"fields": {"of": {"type": "ref", "to": "people.Person"}}},
        "system.Own": {"fields": {}},
        "tickets.None": {},
    });
    for intent in ["diff", "apply"] {
        let asked = |arguments: &Value| control(intent, &json!({}), arguments);
        server.assert_mistakes(
            &asked(&json!({"models": wrong})),
            "/models",
            "/tickets.Ticket/orderng: tickets.Ticket has no key \"orderng\" (did you mean \"ordering\"?)\n\
             /tickets.Ticket/fields/title/type: \"title\" has the unknown type \"strng\"; did you mean string?\n\
             /tickets.Ticket/fields/done/nul: done has no key \"nul\" (did you mean \"null\"?)\n\
             /tickets.Category/fields/of/to: \"to\" names no model of this file: \"people.Person\"\n\
             /system.Own: \"system.Own\" is of the app \"system\", which is the server's own\n\
             /tickets.None: tickets.None needs the key \"fields\"",
        );
        server.assert_mistakes(
            &asked(&json!({"model": {}})),
            "",
            &format!(
                "/model: the controller {intent} has no key \"model\" (did you mean \"models\"?)\n\
                 : the controller {intent} needs the key \"models\""
            ),
        );
        for (models, given) in [(json!([]), "[]"), (json!(null), "null"), (json!("models.json"), "\"models.json\"")] {
            let expected = format!(": \"models\" must be an object, as models.json holds it, not {given}");
            server.assert_mistakes(&asked(&json!({"models": models})), "/models", &expected);
        }
        let narrowed = control(intent, &json!({"uniqueObject": {"id": 1}}), &json!({"models": {}}));
        let useless = format!("/__meta__/uniqueObject: \"uniqueObject\" means nothing for the intent {intent}");
        assert_eq!(server.refused(400, &narrowed), [useless]);
    }
    let mut allowing = apply(&models());
    allowing["allowDataLoss"] = json!("yes");
    server.assert_mistakes(&allowing, "/allowDataLoss", ": \"allowDataLoss\" must be true or false, not \"yes\"");
    allowing["__meta__"]["intent"] = json!("diff");
    server.assert_mistakes(&allowing, "/allowDataLoss", ": \"allowDataLoss\" means nothing for the intent diff");
    let twice =
        apply(&json!({"a.B": {"fields": {}}})).to_string().replace("\"fields\":{}", "\"fields\":{},\"fields\":{}");
    let reply = Client::connect(&server.address).jql(&server.key, &twice);
    assert_eq!(
        (reply.status, reply.errors()),
        (400, vec!["/models/a.B/fields: the key \"fields\" stands twice in one object".to_owned()])
    );
    assert_eq!(state(&server), before);
}

#[test]
fn a_file_is_bounded_however_it_comes() {
    let server = Server::start();
    let fields = |count: usize, rule: &Value| (0..count).map(|n| (format!("f{n}"), rule.clone())).collect::<Value>();
    let text = json!({"type": "text"});
    let deep = vec!["a"; 100_000].join("__");
    let patterns = json!({"type": "text", "pattern": "a"});
    for (models, at, message) in [
        (json!({"a.B": {"fields": fields(1001, &text)}}), "/a.B/fields", "\"fields\" holds more than 1000 fields"),
        (
            json!({"a.B": {"fields": fields(1, &text), "indexes": vec![["f0"]; 101]}}),
            "/a.B/indexes",
            "\"indexes\" holds more than 100 lists",
        ),
        (
            json!({"a.B": {"fields": fields(1, &text), "ordering": vec!["f0"; 1001]}}),
            "/a.B/ordering",
            "\"ordering\" holds more than 1000 names",
        ),
        (
            json!({"a.B": {"fields": fields(501, &patterns)}}),
            "/a.B/fields/f500/pattern",
            "\"pattern\" is one of more than 500 in all models",
        ),
        (
            json!({"a.B": {"fields": {"a": {"type": "ref", "to": "a.B"}}, "ordering": [deep]}}),
            "/a.B/ordering/0",
            "\"a__a__a__a__a__a__a__a__a__a__a__a__a__a…\" is no field of a.B",
        ),
    ] {
        assert_eq!(server.refused(400, &diff(&models)), [format!("/models{at}: {message}")]);
        let file = server.folder.file("large.json", &models.to_string());
        let said = fails(&server.folder, &["models", "diff", file.to_str().unwrap()], 1);
        assert!(said.contains(&format!("large.json#{at}: {message}")), "{said}");
    }
    let wrong = json!({"a.B": {"fields": fields(1000, &json!({"type": "wrong"}))}});
    assert_eq!(server.refused(400, &diff(&wrong)).len(), 101);
    // What fits is made.
    let widest = json!({"a.B": {"fields": fields(1000, &text), "versioned": true}});
    let mut widest = apply(&widest);
    widest["allowDataLoss"] = json!(true);
    assert_eq!(server.data(&widest)["version"], 2);
    assert_eq!(server.count("a.B"), 0);
    sound(&server.folder);
}

// -- Who may ------------------------------------------------------------------------------------

#[test]
fn only_who_may_update_the_models_is_told_or_heard() {
    let server = filled(&[]);
    let before = state(&server);
    let wrong = json!({"tickets.Ticket": {"fields": {"title": {"type": "strng"}}}});
    let body = diff(&models()).to_string();
    let head = format!("Content-Type: application/json\r\nContent-Length: {}\r\n", body.len());
    assert_eq!(Client::connect(&server.address).request("POST", "/jql", &head, &body).status, 401);
    for permissions in
        ["", "*.*:*", "tickets.*:*", "system.Model:read", "system.*:read", "system.ApiKey:*,system.UsageLog:*"]
    {
        let key = server.key_for(permissions);
        for asked in [diff(&json!({})), apply(&json!({})), diff(&wrong), apply(&wrong), apply(&coloured())] {
            let reply = server.send_as(&key, &asked);
            let lacking = "/__meta__/namespace: the key lacks the permission system.Model:update".to_owned();
            assert_eq!((reply.status, reply.errors()), (403, vec![lacking]), "{permissions}");
            assert!(!reply.body.contains("tickets"), "{}", reply.body);
        }
        let in_batch = server.send_as(&key, &batch(&json!([diff(&json!({}))]), true));
        assert_eq!(in_batch.status, 403, "{permissions}");
    }
    assert_eq!(state(&server), before);
    for permissions in ["system.Model:update", "system.Model:*", "system.*:update", "system.*:*"] {
        let key = server.key_for(permissions);
        for asked in [diff(&without_tags()), control("apply", &json!({"dryRun": true}), &json!({"models": coloured()}))]
        {
            let reply = server.send_as(&key, &asked);
            assert_eq!(reply.status, 200, "{permissions}: {}", reply.body);
        }
    }
}

// -- In a batch, and again ----------------------------------------------------------------------

#[test]
fn an_apply_takes_no_part_in_a_batch() {
    let server = filled(&[]);
    let before = state(&server);
    let tag = request("create", "tickets.Tag", &json!({}), &json!({"name": "x"}));
    let why = "\"apply\" takes a transaction of its own and no part in a batch: send it by itself";
    for apply in [apply(&coloured()), control("apply", &json!({"dryRun": true}), &json!({"models": coloured()}))] {
        let requests = json!([tag, apply, tag]);
        assert_eq!(server.refused(400, &batch(&requests, true)), [format!("/requests/1/__meta__/intent: {why}")]);
        assert_eq!(state(&server), before);
    }
    let data = server.data(&batch(&json!([tag, apply(&coloured()), diff(&coloured())]), false));
    assert_eq!((&data[0]["status"], &data[1]["message"]), (&json!("OK"), &json!(why)));
    assert_eq!(data[2]["data"]["changes"], json!(["add tickets.Tag.colour"]));
    assert_eq!(version(&server.folder), 1);
    references_hold(&server);
}

#[test]
fn a_retry_gives_the_same_bytes_and_applies_nothing_again() {
    let server = filled(&[]);
    let send = |body: &Value| {
        let body = body.to_string();
        let head = format!(
            "Authorization: Bearer {}\r\nContent-Type: application/json\r\nIdempotency-Key: one\r\nContent-Length: {}\r\n",
            server.key,
            body.len()
        );
        Client::connect(&server.address).request("POST", "/jql", &head, &body)
    };
    let mut losing = apply(&without_tags());
    // What was refused changed nothing, and may be mended under its key.
    assert_eq!(send(&losing).status, 409);
    losing["allowDataLoss"] = json!(true);
    let first = send(&losing);
    assert_eq!((first.status, first.header("idempotency-replayed")), (200, None), "{}", first.body);
    let replayed = |what: &str| {
        let before = state(&server);
        let again = send(&losing);
        assert_eq!((again.status, &again.body), (200, &first.body), "{what}");
        assert_eq!(again.header("idempotency-replayed"), Some("true"), "{what}");
        assert_eq!(state(&server), before, "{what}");
    };
    replayed("at once");
    server.data(&apply(&coloured()));
    server.create("tickets.Tag", &json!({"name": "kept"}));
    replayed("after the models changed again, when it would lose something");
    assert_eq!((version(&server.folder), server.count("tickets.Tag")), (3, 1));
    assert_eq!(send(&apply(&models())).status, 409, "the key stands for one request");
}

// -- What is remembered -------------------------------------------------------------------------

#[test]
fn no_answer_and_no_total_is_older_than_the_models() {
    let server = filled(&[]);
    let asked =
        |intent: &str, namespace: &str| request(intent, namespace, &json!({"cache": {"enabled": true}}), &json!({}));
    let all = [asked("retrieve", "tickets.Tag"), asked("count", "tickets.Tag"), asked("retrieve", "tickets.Ticket")];
    let kept = |request: &Value| {
        eventually("it is answered from memory", || server.send(request).json()["extras"]["cached"] == true);
    };
    all.iter().for_each(kept);
    let plain = |count: u64| {
        // Every reader has counted.
        for _ in 0..20 {
            assert_eq!(server.count("tickets.Tag"), count);
        }
    };
    plain(2);
    server.data(&apply(&coloured()));
    let fresh = server.send(&all[0]).json();
    assert_eq!(fresh["data"][0], json!({"id": 1, "name": "a", "colour": "red"}));
    assert_eq!(fresh["extras"]["cached"], Value::Null);
    all.iter().for_each(kept);
    let mut losing = apply(&without_tags());
    losing["allowDataLoss"] = json!(true);
    server.data(&losing);
    for gone in &all[..2] {
        assert_eq!(server.send(gone).status, 404);
    }
    assert_eq!(server.data(&all[2])[0].get("tags"), None);
    // The same models as before, and other records.
    server.data(&apply(&coloured()));
    assert_eq!(server.data(&all[0]), json!([]));
    assert_eq!(server.data(&all[1]), json!({"count": 0}));
    plain(0);
}

#[test]
fn what_others_send_meanwhile_is_answered_and_nothing_of_it_is_lost() {
    let server = Server::start();
    let finished = AtomicBool::new(false);
    let acknowledged = Mutex::new(Vec::new());
    let reads = Mutex::new(0_usize);
    std::thread::scope(|scope| {
        let _ending = Ending(&finished);
        for client in 0..3 {
            let (server, finished, acknowledged) = (&server, &finished, &acknowledged);
            scope.spawn(move || {
                let mut connection = Client::connect(&server.address);
                for number in 0.. {
                    let name = format!("{client}-{number}");
                    let tag = request("create", "tickets.Tag", &json!({}), &json!({"name": name}));
                    let reply = connection.jql(&server.key, &tag.to_string());
                    // One that meets several changes of the models is told to try again.
                    assert!(matches!(reply.status, 200 | 503), "{}", reply.body);
                    if reply.status == 200 {
                        let id = reply.json()["data"]["id"].as_u64().unwrap();
                        let ticket = json!({"title": name, "tags": [id]});
                        let ticket = request("create", "tickets.Ticket", &json!({}), &ticket);
                        let linked = connection.jql(&server.key, &ticket.to_string()).status == 200;
                        let dangling = json!({"title": name, "customer": 99});
                        let dangling = request("create", "tickets.Ticket", &json!({}), &dangling);
                        let refused = connection.jql(&server.key, &dangling.to_string());
                        assert!(matches!(refused.status, 400 | 503), "{}", refused.body);
                        acknowledged.lock().unwrap().push((id, name, linked));
                    }
                    if finished.load(Ordering::Relaxed) {
                        return;
                    }
                }
            });
        }
        let (server, finished, reads) = (&server, &finished, &reads);
        scope.spawn(move || {
            let mut connection = Client::connect(&server.address);
            let page =
                request("retrieve", "tickets.Ticket", &json!({}), &json!({"title": null, "tags": null})).to_string();
            while !finished.load(Ordering::Relaxed) {
                let reply = connection.jql(&server.key, &page);
                assert_eq!(reply.status, 200, "{}", reply.body);
                *reads.lock().unwrap() += 1;
            }
        });
        let mut models = models();
        let mut connection = Client::connect(&server.address);
        for length in 41..47 {
            let before = (acknowledged.lock().unwrap().len(), *reads.lock().unwrap());
            models["tickets.Tag"]["fields"]["name"]["max_length"] = json!(length);
            models["tickets.Ticket"]["fields"]["title"]["max_length"] = json!(length + 160);
            let reply = connection.jql(&server.key, &apply(&models).to_string());
            assert_eq!(reply.status, 200, "{}", reply.body);
            eventually("reads and writes go on", || {
                acknowledged.lock().unwrap().len() > before.0 && *reads.lock().unwrap() > before.1
            });
        }
    });
    let mut acknowledged = acknowledged.into_inner().unwrap();
    acknowledged.sort_unstable();
    let stored: String = acknowledged.iter().map(|(id, name, _)| format!("Integer({id})|{name}\n")).collect();
    assert_eq!(server.rows(r#"SELECT id, name FROM "tickets.Tag" ORDER BY id"#), stored);
    let linked: String =
        acknowledged.iter().filter(|(.., linked)| *linked).map(|(id, ..)| format!("Integer({id})\n")).collect();
    let links = r#"SELECT l.target FROM "tickets.Ticket.tags" l JOIN "tickets.Ticket" t ON t.id = l.source
                   ORDER BY l.target"#;
    assert_eq!(server.rows(links), linked);
    assert_eq!(version(&server.folder), 7);
    sound(&server.folder);
}

// -- Elsewhere ----------------------------------------------------------------------------------

#[test]
fn models_of_a_database_in_memory_are_changed_alike() {
    let server = Server::in_memory(MODELS, &[]);
    server.create("tickets.Tag", &json!({"name": "a"}));
    assert_eq!(server.data(&diff(&coloured()))["changes"], json!(["add tickets.Tag.colour"]));
    assert_eq!(server.data(&apply(&coloured()))["version"], 2);
    assert_eq!(server.record("tickets.Tag", &json!(1), &["colour"]), json!({"colour": "red"}));
    let dangling = request("create", "tickets.Ticket", &json!({}), &json!({"title": "x", "customer": 99}));
    assert_eq!(server.send(&dangling).status, 400);
}

#[test]
fn the_controllers_are_there_on_the_command_line_too() {
    let (_, folder) = filled(&[]).stop();
    let query = |asked: &Value| {
        let file = folder.file("request.json", &asked.to_string());
        let reply: Value = serde_json::from_str(&run(&folder, &["query", file.to_str().unwrap()])).unwrap();
        reply["data"].clone()
    };
    assert_eq!(query(&diff(&coloured()))["changes"], json!(["add tickets.Tag.colour"]));
    assert_eq!(query(&control("apply", &json!({"dryRun": true}), &json!({"models": coloured()})))["version"], 2);
    assert_eq!(version(&folder), 1);
    assert_eq!(query(&apply(&coloured()))["version"], 2);
    assert_eq!(version(&folder), 2);
    let links = rusqlite::Connection::open(folder.path("test.db")).unwrap();
    let links: i64 = links.query_row(r#"SELECT count(*) FROM "tickets.Ticket.tags""#, [], |row| row.get(0)).unwrap();
    assert_eq!(links, 2);
    sound(&folder);
    let file = folder.file("request.json", &batch(&json!([apply(&models())]), true).to_string());
    let said = fails(&folder, &["query", file.to_str().unwrap()], 1);
    assert!(said.contains("no part in a batch"), "{said}");
}
