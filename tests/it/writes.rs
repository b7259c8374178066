//! Writing: values of every type, the rules of fields, the record that is meant, and many writers at once.

use crate::support::{Client, MODELS, Server, eventually, run};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Mutex;

/// A request of an intent with these values beside `__meta__`.
fn request(intent: &str, namespace: &str, meta: &Value, values: &Value) -> Value {
    let mut request = json!({"__meta__": {"intent": intent, "namespace": namespace}});
    request["__meta__"].as_object_mut().unwrap().extend(meta.as_object().unwrap().clone());
    request.as_object_mut().unwrap().extend(values.as_object().unwrap().clone());
    request
}

fn create(namespace: &str, values: &Value) -> Value {
    request("create", namespace, &json!({}), values)
}

fn update(namespace: &str, unique: &Value, values: &Value) -> Value {
    request("update", namespace, &json!({"uniqueObject": unique}), values)
}

fn delete(namespace: &str, unique: &Value) -> Value {
    request("deleteOne", namespace, &json!({"uniqueObject": unique}), &json!({}))
}

// -- Values -------------------------------------------------------------------------------------

const EVERY_TYPE: &str = r#"{ "w.All": { "fields": {
    "string": { "type": "string", "null": true }, "text": { "type": "text", "null": true },
    "integer": { "type": "integer", "null": true }, "float": { "type": "float", "null": true },
    "decimal": { "type": "decimal", "max_digits": 10, "decimal_places": 2, "null": true },
    "big": { "type": "decimal", "max_digits": 18, "decimal_places": 0, "null": true },
    "boolean": { "type": "boolean", "null": true }, "date": { "type": "date", "null": true },
    "datetime": { "type": "datetime", "null": true }, "time": { "type": "time", "null": true },
    "uuid": { "type": "uuid", "null": true }, "json": { "type": "json", "null": true } } } }"#;

#[test]
fn every_type_gives_back_what_it_was_given_in_its_own_form() {
    let server = Server::with(EVERY_TYPE, &[]);
    let target = server.create("w.All", &json!({}));
    let nothing = json!({"string": null, "integer": null, "json": null, "boolean": null});
    assert_eq!(server.record("w.All", &target, &["string", "integer", "json", "boolean"]), nothing);
    for (field, given, expected) in [
        ("string", r#""Zoë 😀 \"quoted\" \\ \n""#, r#""Zoë 😀 \"quoted\" \\ \n""#),
        ("string", "5", r#""5""#),
        ("string", r#""""#, r#""""#),
        ("string", r#""  kept ""#, r#""  kept ""#),
        ("text", r#""\u0001\u2028""#, "\"\\u0001\u{2028}\""),
        ("integer", "9223372036854775807", "9223372036854775807"),
        ("integer", "-9223372036854775808", "-9223372036854775808"),
        ("integer", r#""18""#, "18"),
        ("integer", r#"" 18 ""#, "18"),
        ("integer", "18.0", "18"),
        ("integer", "0", "0"),
        ("float", "1", "1.0"),
        ("float", "0.1", "0.1"),
        ("float", r#""2.5""#, "2.5"),
        ("float", "-0.0", "0.0"),
        ("decimal", r#""12.5""#, r#""12.50""#),
        ("decimal", "12.5", r#""12.50""#),
        ("decimal", "12", r#""12.00""#),
        ("decimal", "0.10", r#""0.10""#),
        ("decimal", r#""-99999999.99""#, r#""-99999999.99""#),
        ("decimal", r#""1e2""#, r#""100.00""#),
        ("decimal", r#""-0.01""#, r#""-0.01""#),
        ("big", r#""123456789012345678""#, r#""123456789012345678""#),
        ("big", "123456789012345678", r#""123456789012345678""#),
        ("boolean", "true", "true"),
        ("boolean", r#""False""#, "false"),
        ("boolean", "1", "true"),
        ("date", r#""2024-02-29""#, r#""2024-02-29""#),
        ("date", r#""0001-01-01""#, r#""0001-01-01""#),
        ("date", r#""9999-12-31""#, r#""9999-12-31""#),
        ("datetime", r#""2026-01-31T09:30:00Z""#, r#""2026-01-31T09:30:00.000000Z""#),
        ("datetime", r#""2026-01-31T09:30:00.123456+02:00""#, r#""2026-01-31T07:30:00.123456Z""#),
        ("datetime", r#""2025-12-31T23:59:59.9-00:30""#, r#""2026-01-01T00:29:59.900000Z""#),
        ("datetime", r#""2026-01-31 09:30""#, r#""2026-01-31T09:30:00.000000Z""#),
        ("datetime", r#""2026-01-31""#, r#""2026-01-31T00:00:00.000000Z""#),
        ("time", r#""09:30""#, r#""09:30:00.000000""#),
        ("time", r#""23:59:59.999999""#, r#""23:59:59.999999""#),
        ("uuid", r#""A0EEBC999C0B4EF8BB6D6BB9BD380A11""#, r#""a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11""#),
        ("json", r#"{"b":1.50,"a":[null,true,"x",{}]}"#, r#"{"b":1.50,"a":[null,true,"x",{}]}"#),
        ("json", "12345678901234567890123", "12345678901234567890123"),
        ("json", r#""text""#, r#""text""#),
        ("json", "false", "false"),
        ("json", "[]", "[]"),
        ("string", "null", "null"),
        ("datetime", "null", "null"),
        ("decimal", "null", "null"),
    ] {
        let body = format!(
            r#"{{"__meta__": {{"intent": "update", "namespace": "w.All", "uniqueObject": {{"id": 1}},
                "return": {{"{field}": null}}}}, "{field}": {given}}}"#
        );
        let reply = Client::connect(&server.address).jql(&server.key, &body);
        let expected = format!(r#""data":{{"{field}":{expected}}}"#);
        assert!(reply.body.contains(&expected), "{field} {given}: {}", reply.body);
        let body = format!(
            r#"{{"__meta__": {{"intent": "retrieveOne", "namespace": "w.All", "uniqueObject": {{"id": 1}}}}, "{field}": null}}"#
        );
        let reply = Client::connect(&server.address).jql(&server.key, &body);
        assert!(reply.body.contains(&expected), "{field} {given}, read again: {}", reply.body);
    }
}

#[test]
fn what_a_type_cannot_take_is_refused_by_name_type_and_value() {
    let server = Server::with(EVERY_TYPE, &[]);
    for (field, given, shown) in [
        ("string", json!([]), "[]"),
        ("text", json!("a\u{0}b"), "NUL"),
        ("integer", json!("eighteen"), "eighteen"),
        ("integer", json!(18.5), "18.5"),
        ("integer", json!("9223372036854775808"), "64 bits"),
        ("float", json!("nan"), "nan"),
        ("float", json!("1e999"), "out of range"),
        ("decimal", json!("0.001"), "2 decimal places"),
        ("decimal", json!("100000000"), "10 digits"),
        ("decimal", json!("1_0"), "1_0"),
        ("boolean", json!("maybe"), "maybe"),
        ("boolean", json!(2), "2"),
        ("date", json!("2023-02-29"), "2023-02-29"),
        ("date", json!("0000-01-01"), "0000-01-01"),
        ("datetime", json!("yesterday"), "yesterday"),
        ("datetime", json!("0001-01-01T00:00:00+01:00"), "0001-01-01"),
        ("datetime", json!(1_700_000_000), "1700000000"),
        ("time", json!("25:00"), "25:00"),
        ("uuid", json!("a0eebc99"), "a0eebc99"),
    ] {
        let errors = server.refused(400, &create("w.All", &json!({field: given})));
        assert_eq!(errors.len(), 1, "{field} {given}: {errors:?}");
        let (name, kind) = (format!("/{field}: \"{field}\" is a"), if field == "big" { "decimal" } else { field });
        assert!(errors[0].starts_with(&name) && errors[0].contains(kind), "{field} {given}: {errors:?}");
        assert!(errors[0].contains(shown), "{field} {given}: {errors:?}");
    }
    assert_eq!(server.count("w.All"), 0);
}

#[test]
fn moments_reach_to_the_end_of_the_year_9999() {
    let server = Server::with(EVERY_TYPE, &[]);
    for (given, stored) in [
        ("0001-01-01T00:00:00Z", "0001-01-01T00:00:00.000000Z"),
        ("9999-12-30T23:00:00Z", "9999-12-30T23:00:00.000000Z"),
        ("9999-12-31", "9999-12-31T00:00:00.000000Z"),
        ("9999-12-31T23:59:59.999999Z", "9999-12-31T23:59:59.999999Z"),
    ] {
        let id = server.create("w.All", &json!({"datetime": given}));
        assert_eq!(server.record("w.All", &id, &["datetime"]), json!({"datetime": stored}));
    }
}

#[test]
fn every_bad_field_is_told_at_once() {
    let server = Server::start();
    let bad = json!({"vin": "short", "year": "soon", "gearbox": "none", "wheels": 4, "model_colour": null});
    let mut errors = server.refused(400, &create("fleet.Vehicle", &bad));
    errors.sort();
    let pointers: Vec<&str> = errors.iter().map(|error| error.split(':').next().unwrap()).collect();
    assert_eq!(pointers, ["/gearbox", "/purchase_type", "/vin", "/vrm", "/wheels", "/year"], "{errors:?}");
}

// -- Rules --------------------------------------------------------------------------------------

#[test]
fn fields_keep_their_rules_on_create_and_update() {
    let rules = json!({
        "choice": {"type": "string", "choices": ["a", "b"]},
        "number": {"type": "integer", "choices": [1, 2]},
        "price": {"type": "decimal", "max_digits": 5, "decimal_places": 2, "min": "0.10", "max": 9},
        "count": {"type": "integer", "min": -1, "max": 5},
        "ratio": {"type": "float", "min": 0, "max": 1},
        "day": {"type": "date", "min": "2024-01-01"},
        "moment": {"type": "datetime", "max": "2024-01-01T00:00:00+01:00"},
        "hour": {"type": "time", "min": "09:00", "max": "17:00"},
        "length": {"type": "string", "min_length": 2, "max_length": 4},
        "shape": {"type": "text", "pattern": "^[A-Z]{2}\\d+$"},
        "always": {"type": "boolean", "default": true}
    });
    let mut fields = rules;
    for (name, field) in fields.as_object_mut().unwrap() {
        if name != "always" {
            field["null"] = json!(true);
        }
    }
    let server = Server::with(&json!({"w.Rules": {"fields": fields}}).to_string(), &[]);
    let id = server.create("w.Rules", &json!({}));
    for (field, bad, why, good) in [
        ("choice", json!("c"), "must be one of", json!("b")),
        ("choice", json!(""), "must be one of", json!("a")),
        ("number", json!(3), "must be one of", json!("2")),
        ("price", json!("0.09"), "at least", json!("0.10")),
        ("price", json!("9.01"), "at most", json!("9.00")),
        ("count", json!(-2), "at least -1", json!(-1)),
        ("count", json!("6"), "at most 5", json!(5)),
        ("ratio", json!(-0.001), "at least", json!(0)),
        ("ratio", json!(1.001), "at most", json!(1)),
        ("day", json!("2023-12-31"), "at least", json!("2024-01-01")),
        ("moment", json!("2024-01-01"), "at most", json!("2023-12-31T23:00:00Z")),
        ("hour", json!("08:59:59"), "at least", json!("09:00")),
        ("length", json!("é"), "at least 2 characters", json!("éé")),
        ("length", json!("😀😀😀😀😀"), "at most 4 characters", json!("😀😀😀😀")),
        ("shape", json!("ab1"), "must match", json!("AB1")),
        ("always", json!(null), "must not be null", json!(false)),
    ] {
        let values = json!({field: bad});
        for asked in [create("w.Rules", &values), update("w.Rules", &json!({"id": id}), &values)] {
            let errors = server.refused(400, &asked);
            assert_eq!(errors.len(), 1, "{asked}: {errors:?}");
            assert!(errors[0].starts_with(&format!("/{field}: ")) && errors[0].contains(why), "{asked}: {errors:?}");
        }
        server.data(&update("w.Rules", &json!({"id": id}), &json!({field: good})));
        if field != "always" {
            server.data(&update("w.Rules", &json!({"id": id}), &json!({field: null})));
        }
    }
    assert_eq!(server.count("w.Rules"), 1);
}

#[test]
fn a_new_record_gets_defaults_and_the_clock_and_needs_the_rest() {
    let models = json!({"w.Note": {"fields": {
        "title": {"type": "string"},
        "kind": {"type": "string", "default": "plain"},
        "rank": {"type": "integer", "default": 0},
        "price": {"type": "decimal", "max_digits": 4, "decimal_places": 2, "default": "1.5"},
        "open": {"type": "boolean", "default": false},
        "day": {"type": "date", "default": "2024-02-29"},
        "data": {"type": "json", "default": {"a": []}},
        "nothing": {"type": "text", "null": true, "default": null},
        "made": {"type": "datetime", "auto_now_add": true},
        "changed": {"type": "datetime", "auto_now": true},
        "on": {"type": "date", "auto_now_add": true},
        "at": {"type": "time", "auto_now": true}}}});
    let server = Server::with(&models.to_string(), &[]);
    let errors = server.refused(400, &create("w.Note", &json!({"kind": "x"})));
    assert_eq!(errors, ["/title: w.Note needs the field \"title\""]);
    let id = server.create("w.Note", &json!({"title": "a"}));
    let fields = ["kind", "rank", "price", "open", "day", "data", "nothing"];
    assert_eq!(
        server.record("w.Note", &id, &fields),
        json!({"kind": "plain", "rank": 0, "price": "1.50", "open": false, "day": "2024-02-29", "data": {"a": []},
               "nothing": null})
    );
    let clocks = ["made", "changed", "on", "at"];
    let first = server.record("w.Note", &id, &clocks);
    let made = first["made"].as_str().unwrap();
    assert_eq!(made.len(), "2026-01-31T09:30:00.000000Z".len());
    assert!(first["changed"] == made && first["on"] == made[..10] && first["at"] == made[11..26], "{first}");
    server.data(&update("w.Note", &json!({"id": id}), &json!({"title": "b"})));
    let second = server.record("w.Note", &id, &clocks);
    assert!(second["made"] == made && second["on"] == first["on"], "made once: {second}");
    assert!(second["changed"].as_str() > Some(made), "changed each time: {second}");
    // A null that is given is not a default that is left out.
    let errors = server.refused(400, &create("w.Note", &json!({"title": "c", "rank": null})));
    assert_eq!(errors, ["/rank: \"rank\" must not be null"]);
}

#[test]
fn a_unique_value_that_is_taken_is_a_conflict_that_names_it() {
    let models = json!({
        "w.Group": {"fields": {}},
        "w.Thing": {"fields": {
            "code": {"type": "string", "unique": true, "null": true},
            "name": {"type": "string", "null": true},
            "group": {"type": "ref", "to": "w.Group", "null": true}},
            "unique_together": [["name", "group"]]}});
    let server = Server::with(&models.to_string(), &[]);
    server.create("w.Group", &json!({}));
    server.create("w.Thing", &json!({"code": "a", "name": "x", "group": 1}));
    let second = server.create("w.Thing", &json!({"code": "b", "name": "y", "group": 1}));
    for asked in
        [create("w.Thing", &json!({"code": "a"})), update("w.Thing", &json!({"id": second}), &json!({"code": "a"}))]
    {
        assert_eq!(server.refused(409, &asked), ["/code: another w.Thing has this code already"]);
    }
    for asked in [
        create("w.Thing", &json!({"name": "x", "group": 1})),
        update("w.Thing", &json!({"id": second}), &json!({"name": "x"})),
    ] {
        let errors = server.refused(409, &asked);
        assert_eq!(errors, ["/name: another w.Thing has this name and group already"]);
    }
    // The same value again is no conflict with itself, and NULL none with NULL.
    server.data(&update("w.Thing", &json!({"id": second}), &json!({"code": "b", "name": "y", "group": 1})));
    for _ in 0..2 {
        server.create("w.Thing", &json!({"name": "x"}));
    }
    server.create("w.Thing", &json!({"code": "A"}));
    assert_eq!(server.count("w.Thing"), 5);
}

// -- Ids ----------------------------------------------------------------------------------------

#[test]
fn an_id_is_never_given_again() {
    let server = Server::start();
    let tag = |name: &str| json!({"name": name});
    for (name, expected) in [("a", 1), ("b", 2)] {
        assert_eq!(server.create("tickets.Tag", &tag(name)), json!(expected));
    }
    server.data(&delete("tickets.Tag", &json!({"id": 2})));
    assert_eq!(server.create("tickets.Tag", &tag("c")), json!(3));
    for id in [1, 3] {
        server.data(&delete("tickets.Tag", &json!({"id": id})));
    }
    let (_, folder) = server.stop();
    let mut models: Value = serde_json::from_str(MODELS).unwrap();
    models["tickets.Tag"]["fields"]["name"]["max_length"] = json!(50);
    let file = folder.file("changed.json", &models.to_string());
    run(&folder, &["models", "apply", file.to_str().unwrap()]);
    let server = Server::on(folder, &[]);
    assert_eq!(server.create("tickets.Tag", &tag("d")), json!(4), "also after the table was rebuilt");
    for (name, errors) in [
        ("id", server.refused(400, &create("tickets.Tag", &json!({"id": 9, "name": "e"})))),
        ("pk", server.refused(400, &update("tickets.Tag", &json!({"id": 4}), &json!({"pk": 9})))),
    ] {
        assert!(errors[0].starts_with(&format!("/{name}: ")), "{errors:?}");
    }
}

#[test]
fn a_uuid_id_is_given_or_made() {
    let models = json!({
        "w.Doc": {"id": {"type": "uuid"}, "fields": {"name": {"type": "string", "default": "x"}}},
        "w.Page": {"fields": {"doc": {"type": "ref", "to": "w.Doc", "related_name": "pages"},
                              "docs": {"type": "refs", "to": "w.Doc", "related_name": "listed"}}}});
    let server = Server::with(&models.to_string(), &[]);
    let given = "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11";
    assert_eq!(server.create("w.Doc", &json!({"id": "A0EEBC999C0B4EF8BB6D6BB9BD380A11"})), json!(given));
    let made = server.create("w.Doc", &json!({}));
    assert_eq!(made.as_str().unwrap().len(), 36);
    let errors = server.refused(409, &create("w.Doc", &json!({"id": given})));
    assert_eq!(errors, ["/id: another w.Doc has this id already"]);
    assert!(server.refused(400, &create("w.Doc", &json!({"id": "nonsense"})))[0].starts_with("/id: "));
    let page = server.create("w.Page", &json!({"doc": given.to_uppercase(), "docs": [made, given]}));
    let mut both = vec![json!(given), made.clone()];
    both.sort_by_key(|id| id.as_str().unwrap().to_owned());
    assert_eq!(server.record("w.Page", &page, &["doc", "docs"]), json!({"doc": given, "docs": both}));
    server.data(&update("w.Doc", &json!({"id": given.to_uppercase()}), &json!({"name": "y"})));
    assert_eq!(server.record("w.Doc", &json!(given), &["name", "pages"]), json!({"name": "y", "pages": [page]}));
    let nowhere = json!({"doc": "00000000-0000-0000-0000-000000000000"});
    assert!(server.refused(400, &create("w.Page", &nowhere))[0].starts_with("/doc: "));
    server.data(&delete("w.Doc", &json!({"pk": made})));
    assert_eq!(server.record("w.Page", &page, &["docs"]), json!({"docs": [given]}));
}

// -- The record that is meant -------------------------------------------------------------------

#[test]
fn a_unique_object_is_an_id_a_unique_field_or_all_of_a_unique_together() {
    let models = json!({
        "w.Group": {"fields": {}},
        "w.Thing": {"fields": {
            "code": {"type": "string", "unique": true},
            "name": {"type": "string"},
            "group": {"type": "ref", "to": "w.Group"},
            "rank": {"type": "integer", "default": 0}},
            "unique_together": [["name", "group"]]}});
    let server = Server::with(&models.to_string(), &[]);
    server.create("w.Group", &json!({}));
    for code in ["a", "b"] {
        server.create("w.Thing", &json!({"code": code, "name": code, "group": 1}));
    }
    let good = [
        json!({"id": 2}),
        json!({"id": "2"}),
        json!({"pk": 2}),
        json!({"code": "b"}),
        json!({"name": "b", "group": 1}),
        json!({"group_id": "1", "name": "b"}),
    ];
    for (rank, unique) in (1..).zip(&good) {
        assert_eq!(server.data(&update("w.Thing", unique, &json!({"rank": rank}))), json!({"id": 2}), "{unique}");
        let meta = json!({"uniqueObject": unique});
        let one = request("retrieveOne", "w.Thing", &meta, &json!({"rank": null}));
        assert_eq!(server.data(&one), json!({"rank": rank}), "{unique}");
        let listed = request("retrieve", "w.Thing", &meta, &json!({"rank": null}));
        assert_eq!(server.data(&listed), json!([{"rank": rank}]), "{unique}");
    }
    for unique in [
        json!({}),
        json!({"name": "b"}),
        json!({"rank": 1}),
        json!({"group": 1}),
        json!({"id": 2, "rank": 1}),
        json!({"code__in": ["b"]}),
        json!({"nothing": 1}),
        json!({"id": null}),
        json!({"id": "b"}),
        json!({"name": "b", "group": null}),
        json!("b"),
        json!(null),
    ] {
        for intent in ["update", "deleteOne", "retrieveOne"] {
            let values = if intent == "update" { json!({"rank": 9}) } else { json!({}) };
            let errors = server.refused(400, &request(intent, "w.Thing", &json!({"uniqueObject": unique}), &values));
            assert!(errors.len() == 1 && errors[0].starts_with("/__meta__"), "{intent} {unique}: {errors:?}");
        }
    }
    for unique in [json!({"id": 3}), json!({"code": "c"}), json!({"name": "a", "group": 2})] {
        for (intent, values) in [("update", json!({"rank": 9})), ("deleteOne", json!({})), ("retrieveOne", json!({}))] {
            server.refused(404, &request(intent, "w.Thing", &json!({"uniqueObject": unique}), &values));
        }
    }
    // A filter beside it narrows it further.
    for (filter, status) in [(json!({"rank": 99}), 404), (json!({"rank": good.len()}), 200)] {
        let meta = json!({"uniqueObject": {"id": 2}, "filter": filter});
        assert_eq!(server.send(&request("deleteOne", "w.Thing", &meta, &json!({}))).status, status, "{filter}");
    }
    assert_eq!(server.ids("w.Thing", &json!({})), json!([1]));
}

#[test]
fn fields_not_named_stay_as_they_are() {
    let server = Server::start();
    server.create("tickets.Category", &json!({"name": "Billing"}));
    for name in ["a", "b", "c"] {
        server.create("tickets.Tag", &json!({"name": name}));
    }
    let values =
        json!({"title": "t", "description": "d", "priority": 3, "cost": "1.50", "category": 1, "tags": [2, 1, 2]});
    let id = server.create("tickets.Ticket", &values);
    let fields = ["title", "description", "status", "priority", "cost", "category", "tags"];
    let mut expected = json!({"title": "t", "description": "d", "status": "open", "priority": 3, "cost": "1.50",
                              "category": 1, "tags": [1, 2]});
    assert_eq!(server.record("tickets.Ticket", &id, &fields), expected);
    for (field, given, stored) in [
        ("title", json!("u"), json!("u")),
        ("cost", json!(null), json!(null)),
        ("tags", json!([3, "1"]), json!([1, 3])),
        ("tags", json!([]), json!([])),
        ("category_id", json!(null), json!(null)),
        ("category", json!("1"), json!(1)),
    ] {
        let before = server.record("tickets.Ticket", &id, &["updated"]);
        server.data(&update("tickets.Ticket", &json!({"id": id}), &json!({field: given})));
        expected[field.trim_end_matches("_id")] = stored;
        assert_eq!(server.record("tickets.Ticket", &id, &fields), expected, "{field} {given}");
        let after = server.record("tickets.Ticket", &id, &["updated"]);
        assert!(after["updated"].as_str() > before["updated"].as_str(), "{field} {given}");
    }
    let errors = server.refused(400, &update("tickets.Ticket", &json!({"id": id}), &json!({})));
    assert_eq!(errors.len(), 1, "{errors:?}");
}

// -- References ---------------------------------------------------------------------------------

#[test]
fn a_reference_to_no_record_is_refused_and_nothing_is_written() {
    let server = Server::start();
    server.create("tickets.Tag", &json!({"name": "a"}));
    let bad = json!({"title": "t", "category": 7, "customer": 8, "tags": [1, 9]});
    let mut errors = server.refused(400, &create("tickets.Ticket", &bad));
    errors.sort();
    assert_eq!(errors.len(), 3, "{errors:?}");
    for (error, (pointer, named)) in errors.iter().zip([
        ("/category", "tickets.Category with id 7"),
        ("/customer", "profile.Customer with id 8"),
        ("/tags", "tickets.Tag with id 9"),
    ]) {
        assert!(error.starts_with(pointer) && error.ends_with(named), "{error}");
    }
    assert_eq!(server.count("tickets.Ticket"), 0);
    let id = server.create("tickets.Ticket", &json!({"title": "t", "tags": [1]}));
    for (values, pointer) in [
        (json!({"title": "u", "category": 7}), "/category"),
        (json!({"title": "u", "tags": [9]}), "/tags"),
        (json!({"title": "u", "tags": [1, null]}), "/tags/1"),
        (json!({"title": "u", "tags": ["x"]}), "/tags/0"),
        (json!({"title": "u", "tags": 1}), "/tags"),
        (json!({"title": "u", "tags": null}), "/tags"),
        (json!({"title": "u", "category": "x"}), "/category"),
        (json!({"title": "u", "category": {"id": 1}}), "/category"),
    ] {
        let errors = server.refused(400, &update("tickets.Ticket", &json!({"id": id}), &values));
        assert!(errors.len() == 1 && errors[0].starts_with(pointer), "{values}: {errors:?}");
        let kept = json!({"title": "t", "category": null, "tags": [1]});
        assert_eq!(server.record("tickets.Ticket", &id, &["title", "category", "tags"]), kept, "{values}");
    }
}

#[test]
fn a_cascade_leads_through_a_thousand_records_in_a_row_and_no_more() {
    let models =
        r#"{"t.Node": {"fields": {"before": {"type": "ref", "to": "t.Node", "null": true, "on_delete": "cascade"}}}}"#;
    let server = Server::with(models, &[]);
    server.change(
        r#"WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i <= 1000)
           INSERT INTO "t.Node" ("id", "before") SELECT i, nullif(i - 1, 0) FROM n"#,
    );
    let refused = [": the deletion leads from record to record more than 1000 times in a row"];
    let first = json!({"uniqueObject": {"id": 1}});
    for (intent, meta) in [
        ("deleteOne", first.clone()),
        ("deleteOne", json!({"uniqueObject": {"id": 1}, "dryRun": true})),
        ("deleteMany", json!({"filter": {"id": 1}})),
    ] {
        assert_eq!(server.refused(409, &request(intent, "t.Node", &meta, &json!({}))), refused, "{intent} {meta}");
    }
    assert_eq!(server.count("t.Node"), 1001);
    server.data(&request("deleteOne", "t.Node", &json!({"uniqueObject": {"id": 1001}}), &json!({})));
    server.data(&request("deleteOne", "t.Node", &first, &json!({})));
    assert_eq!(server.count("t.Node"), 0);
}

#[test]
fn deleting_restricts_cascades_or_clears() {
    let reference = |on_delete: &str| json!({"type": "ref", "to": "d.Root", "null": true, "on_delete": on_delete, "related_name": on_delete});
    let models = json!({
        "d.Root": {"fields": {}},
        "d.Kept": {"fields": {"root": reference("restrict")}},
        "d.Part": {"fields": {"root": reference("cascade")}},
        "d.Bit": {"fields": {"part": {"type": "ref", "to": "d.Part", "on_delete": "cascade", "related_name": "bits"}}},
        "d.Free": {"fields": {"root": reference("set_null"),
                              "links": {"type": "refs", "to": "d.Root", "related_name": "linked"}}}});
    let server = Server::with(&models.to_string(), &[]);
    for _ in 0..2 {
        server.create("d.Root", &json!({}));
    }
    server.create("d.Kept", &json!({"root": 1}));
    for root in [1, 2] {
        server.create("d.Part", &json!({"root": root}));
        server.create("d.Bit", &json!({"part": root}));
        server.create("d.Free", &json!({"root": root, "links": [1, 2]}));
    }
    let errors = server.refused(409, &delete("d.Root", &json!({"id": 1})));
    assert_eq!(errors, ["/__meta__/uniqueObject: the d.Root is still referred to by d.Kept"]);
    assert_eq!((server.count("d.Root"), server.count("d.Part"), server.count("d.Bit")), (2, 2, 2));
    let reply = server.send(&delete("d.Root", &json!({"id": 2}))).json();
    assert_eq!((&reply["data"], &reply["message"]), (&Value::Null, &json!("Root deleted successfully.")));
    assert_eq!((&reply["extras"]["filtered"], &reply["extras"]["display"]), (&json!(1), &json!(0)));
    assert_eq!(server.ids("d.Part", &json!({})), json!([1]));
    assert_eq!(server.ids("d.Bit", &json!({})), json!([1]));
    assert_eq!(server.record("d.Free", &json!(2), &["root", "links"]), json!({"root": null, "links": [1]}));
    server.refused(404, &delete("d.Root", &json!({"id": 2})));
    server.data(&update("d.Kept", &json!({"id": 1}), &json!({"root": null})));
    server.data(&delete("d.Root", &json!({"id": 1})));
    assert_eq!((server.count("d.Part"), server.count("d.Bit"), server.count("d.Free")), (0, 0, 2));
    run(&server.folder, &["check"]);
}

#[test]
fn what_refers_to_itself_can_be_deleted() {
    let models = json!({"d.Node": {"fields": {
        "up": {"type": "ref", "to": "d.Node", "null": true, "on_delete": "restrict", "related_name": "downs"},
        "owner": {"type": "ref", "to": "d.Node", "null": true, "on_delete": "cascade", "related_name": "owned"}}}});
    let server = Server::with(&models.to_string(), &[]);
    server.create("d.Node", &json!({}));
    server.data(&update("d.Node", &json!({"id": 1}), &json!({"up": 1, "owner": 1})));
    server.data(&delete("d.Node", &json!({"id": 1})));
    // What restricts is deleted along, as in Django.
    server.create("d.Node", &json!({}));
    server.create("d.Node", &json!({"up": 2, "owner": 2}));
    server.data(&delete("d.Node", &json!({"id": 2})));
    assert_eq!(server.count("d.Node"), 0);
}

// -- Answers ------------------------------------------------------------------------------------

#[test]
fn the_published_vehicle_is_created_updated_and_deleted() {
    let server = Server::start();
    let values = json!({"vin": "1HGCM82633A004352", "vrm": "ABC123", "year": "2024", "gearbox": "automatic",
                        "purchase_type": "lease", "model_colour": "Midnight Blue"});
    let meta = json!({"authenticationClass": "apiKey", "schema": "model",
                      "return": {"id": null, "vin": null, "year": null}});
    let reply = server.send(&request("create", "fleet.Vehicle", &meta, &values));
    assert_eq!(
        reply.body,
        r#"{"status":"OK","data":{"id":1,"vin":"1HGCM82633A004352","year":2024},"errors":null,"il8n":"en-gb","extras":{"filtered":1,"display":1,"queries":2},"system_info":null,"intent":"create","message":"Vehicle created successfully."}"#
    );
    rusqlite::Connection::open(server.folder.path("test.db"))
        .unwrap()
        .execute(r#"UPDATE "fleet.Vehicle" SET id = 67890"#, [])
        .unwrap();
    let meta = json!({"uniqueObject": {"id": "67890"}, "return": {"id": null, "model_colour": null}});
    let reply = server.send(&request("update", "fleet.Vehicle", &meta, &json!({"model_colour": "Red"}))).json();
    assert_eq!(reply["data"], json!({"id": 67890, "model_colour": "Red"}));
    assert_eq!(reply["message"], json!("Vehicle updated successfully."));
    let reply = server.send(&delete("fleet.Vehicle", &json!({"id": "67890"}))).json();
    assert_eq!(reply["data"], Value::Null);
    assert_eq!(reply["extras"]["filtered"], json!(1));
    assert_eq!(reply["extras"]["display"], json!(0));
    assert_eq!(reply["message"], json!("Vehicle deleted successfully."));
    assert_eq!(server.count("fleet.Vehicle"), 0);
}

#[test]
fn a_write_answers_what_return_asks_for() {
    let server = Server::start();
    server.create("tickets.Category", &json!({"name": "Billing"}));
    for name in ["a", "b"] {
        server.create("tickets.Tag", &json!({"name": name}));
    }
    let values = json!({"title": "t", "category": 1, "tags": [1, 2]});
    let returned = json!({"return": {"tags": {"__meta__": {"ordering": "-name"}, "name": null},
        "category": {"name": null, "tickets": {"title": null}}, "title": null, "customer": {"name": null}, "pk": null}});
    let data = server.data(&request("create", "tickets.Ticket", &returned, &values));
    assert_eq!(
        data.to_string(),
        r#"{"tags":[{"name":"b"},{"name":"a"}],"category":{"name":"Billing","tickets":[{"title":"t"}]},"title":"t","customer":null,"pk":1}"#
    );
    let meta = json!({"uniqueObject": {"id": 1}, "return": {"category": {"id": null}, "tags": null, "status": null}});
    let data = server.data(&request("update", "tickets.Ticket", &meta, &json!({"category": null, "tags": [2]})));
    assert_eq!(data, json!({"category": null, "tags": [2], "status": "open"}));
    assert_eq!(server.data(&update("tickets.Ticket", &json!({"id": 1}), &json!({"title": "u"}))), json!({"id": 1}));
    let wrong = request("create", "tickets.Ticket", &json!({"return": {"nme": null}}), &json!({"title": "v"}));
    let errors = server.refused(400, &wrong);
    assert_eq!(errors, ["/__meta__/return/nme: tickets.Ticket has no field \"nme\""]);
    assert_eq!(server.count("tickets.Ticket"), 1);
}

// -- Many writers -------------------------------------------------------------------------------

/// Runs `work` for each number below 32, all at once.
fn at_once(work: impl Fn(usize) + Sync) {
    std::thread::scope(|scope| {
        for number in 0..32 {
            let work = &work;
            scope.spawn(move || work(number));
        }
    });
}

#[test]
fn every_acknowledged_record_is_there_exactly_once() {
    let server = Server::start();
    let acknowledged = Mutex::new(BTreeMap::new());
    at_once(|client| {
        let mut connection = Client::connect(&server.address);
        for number in 0..8 {
            let name = format!("{client}-{number}");
            let reply = connection.jql(&server.key, &create("tickets.Tag", &json!({"name": name})).to_string());
            assert_eq!(reply.status, 200, "{}", reply.body);
            let id = reply.json()["data"]["id"].as_u64().unwrap();
            assert_eq!(acknowledged.lock().unwrap().insert(id, name), None, "an id was given twice");
        }
    });
    let all = json!({"__meta__": {"intent": "retrieve", "namespace": "tickets.Tag", "limit": 1000}, "id": null, "name": null});
    let expected: Vec<Value> =
        acknowledged.into_inner().unwrap().into_iter().map(|(id, name)| json!({"id": id, "name": name})).collect();
    assert_eq!(expected.len(), 256);
    assert_eq!(server.data(&all), json!(expected));
}

#[test]
fn a_failing_write_does_not_hurt_those_beside_it() {
    let server = Server::start();
    server.create("tickets.Category", &json!({"name": "kept"}));
    server.create("tickets.Ticket", &json!({"title": "t", "category": 1}));
    let statuses = Mutex::new(BTreeMap::<(&str, u16), usize>::new());
    at_once(|client| {
        let mut connection = Client::connect(&server.address);
        for round in 0..4 {
            // Of two clients that want the same name, one gets it.
            let name = format!("{}-{round}", client / 2);
            for (what, request) in [
                ("unique", create("tickets.Tag", &json!({"name": name}))),
                ("missing", create("tickets.Ticket", &json!({"title": "never", "tags": [1_000_000]}))),
                ("restrict", delete("tickets.Category", &json!({"id": 1}))),
                ("absent", update("tickets.Tag", &json!({"name": "absent"}), &json!({"name": "x"}))),
            ] {
                let status = connection.jql(&server.key, &request.to_string()).status;
                *statuses.lock().unwrap().entry((what, status)).or_default() += 1;
            }
        }
    });
    let expected = [
        (("absent", 404), 128),
        (("missing", 400), 128),
        (("restrict", 409), 128),
        (("unique", 200), 64),
        (("unique", 409), 64),
    ];
    assert_eq!(statuses.into_inner().unwrap(), BTreeMap::from(expected));
    assert_eq!(server.count("tickets.Tag"), 64);
    assert_eq!(server.count("tickets.Ticket"), 1);
    run(&server.folder, &["check"]);
}

#[test]
fn what_was_acknowledged_outlives_a_kill() {
    let server = Server::start();
    let (address, key) = (server.address.clone(), server.key.clone());
    let acknowledged = Mutex::new(BTreeMap::new());
    let folder = std::thread::scope(|scope| {
        for client in 0..8 {
            let (address, key, acknowledged) = (&address, &key, &acknowledged);
            scope.spawn(move || {
                let mut connection = Client::connect(address);
                for number in 0.. {
                    let name = format!("{client}-{number}");
                    let body = create("tickets.Tag", &json!({"name": name})).to_string();
                    let head = format!(
                        "Authorization: Bearer {key}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n",
                        body.len()
                    );
                    connection.send(format!("POST /jql HTTP/1.1\r\nHost: localhost\r\n{head}\r\n{body}").as_bytes());
                    let Some(reply) = connection.try_reply("POST") else { return };
                    assert_eq!(reply.status, 200, "{}", reply.body);
                    acknowledged.lock().unwrap().insert(reply.json()["data"]["id"].as_u64().unwrap(), name);
                }
            });
        }
        eventually("200 records are acknowledged", || acknowledged.lock().unwrap().len() >= 200);
        server.kill()
    });
    run(&folder, &["check"]);
    let server = Server::on(folder, &["--max-limit", "100000"]);
    let all = json!({"__meta__": {"intent": "retrieve", "namespace": "tickets.Tag", "limit": 100_000}, "id": null, "name": null});
    let stored: BTreeMap<u64, String> = server
        .data(&all)
        .as_array()
        .unwrap()
        .iter()
        .map(|record| (record["id"].as_u64().unwrap(), record["name"].as_str().unwrap().to_owned()))
        .collect();
    for (id, name) in acknowledged.into_inner().unwrap() {
        assert_eq!(stored.get(&id), Some(&name), "the record {id} was acknowledged");
    }
    let next = server.create("tickets.Tag", &json!({"name": "next"})).as_u64().unwrap();
    assert!(stored.keys().all(|id| *id < next));
}

/// Totals are remembered between requests; whoever commits, the next one is fresh.
#[test]
fn a_total_is_never_older_than_the_last_commit() {
    let server = Server::start();
    let mut client = Client::connect(&server.address);
    let page =
        json!({"__meta__": {"intent": "retrieve", "namespace": "tickets.Tag", "limit": 1}, "id": null}).to_string();
    let create =
        |name: &str| json!({"__meta__": {"intent": "create", "namespace": "tickets.Tag"}, "name": name}).to_string();
    let other_tool = rusqlite::Connection::open(server.folder.path("test.db")).unwrap();
    for round in 0..30 {
        let name = format!("tag {round}");
        match round % 3 {
            0 => assert_eq!(Client::connect(&server.address).jql(&server.key, &create(&name)).status, 200),
            1 => drop(run(&server.folder, &["query", server.folder.file("request", &create(&name)).to_str().unwrap()])),
            _ => drop(other_tool.execute(r#"INSERT INTO "tickets.Tag" ("name") VALUES (?1)"#, [&name]).unwrap()),
        }
        for _ in 0..2 {
            assert_eq!(client.jql(&server.key, &page).json()["extras"]["filtered"], round + 1);
        }
    }
}
