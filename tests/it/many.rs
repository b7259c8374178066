//! Many records in one request: made, changed and deleted; records that are made or changed; runs that change
//! nothing; and records with a version.

use crate::envelope::{assert_reply, refusal, success};
use crate::support::{Folder, Server, assert_json, fails, request, run};
use serde_json::{Value, json};
use std::sync::Mutex;

const MODELS: &str = r#"{
  "m.Kind": { "fields": { "name": { "type": "string", "unique": true } } },
  "m.Tag": { "fields": { "name": { "type": "string", "unique": true } } },
  "m.Item": { "fields": {
      "code": { "type": "string", "max_length": 8, "unique": true },
      "rank": { "type": "integer", "default": 3, "min": 0, "max": 5 },
      "note": { "type": "text", "null": true },
      "kind": { "type": "ref", "to": "m.Kind", "null": true, "related_name": "items" },
      "up": { "type": "ref", "to": "m.Item", "null": true, "on_delete": "set_null", "related_name": "downs" },
      "tags": { "type": "refs", "to": "m.Tag", "related_name": "items" },
      "made": { "type": "datetime", "auto_now_add": true },
      "changed": { "type": "datetime", "auto_now": true } } },
  "m.Place": { "id": { "type": "uuid" }, "fields": {
      "name": { "type": "string" }, "row": { "type": "integer", "null": true },
      "kind": { "type": "ref", "to": "m.Kind", "null": true, "related_name": "places" } },
      "unique_together": [["name", "kind"]] },
  "m.Page": { "versioned": true, "fields": {
      "title": { "type": "string", "unique": true }, "text": { "type": "text", "default": "" },
      "tags": { "type": "refs", "to": "m.Tag", "related_name": "pages" } } } }"#;

/// A server with two kinds, three tags and no items.
fn filled() -> Server {
    let server = Server::with(MODELS, &[]);
    server.data(&many("m.Kind", &json!([{"name": "k1"}, {"name": "k2"}])));
    server.data(&many("m.Tag", &json!([{"name": "t1"}, {"name": "t2"}, {"name": "t3"}])));
    server
}

fn many(namespace: &str, objects: &Value) -> Value {
    many_with(namespace, &json!({}), objects)
}

/// `createMany` with more in `__meta__`.
fn many_with(namespace: &str, meta: &Value, objects: &Value) -> Value {
    let mut request = request("createMany", namespace, meta, &json!({}));
    request["__meta__"]["objects"] = objects.clone();
    request
}

fn update_many(namespace: &str, filter: &Value, values: &Value) -> Value {
    request("updateMany", namespace, &json!({"filter": filter}), values)
}

fn delete_many(namespace: &str, filter: &Value) -> Value {
    request("deleteMany", namespace, &json!({"filter": filter}), &json!({}))
}

fn upsert(namespace: &str, unique: &Value, values: &Value) -> Value {
    request("upsert", namespace, &json!({"uniqueObject": unique}), values)
}

fn update(namespace: &str, unique: &Value, values: &Value) -> Value {
    request("update", namespace, &json!({"uniqueObject": unique}), values)
}

/// All records of a model with these fields, by id.
#[track_caller]
fn all(server: &Server, namespace: &str, fields: &[&str]) -> Value {
    let beside: Value = fields.iter().map(|field| ((*field).to_owned(), Value::Null)).collect();
    server.data(&request("retrieve", namespace, &json!({"ordering": "pk", "limit": 1000}), &beside))
}

/// The request with one more key in its `__meta__`.
fn and(mut request: Value, key: &str, value: Value) -> Value {
    request["__meta__"][key] = value;
    request
}

/// Sends what must be refused with this status and these errors, and must leave everything as it is.
#[track_caller]
fn assert_refused(server: &Server, request: &Value, status: u16, errors: &[&str]) {
    let before = server.dump();
    assert_eq!(server.refused(status, request), errors, "{request}");
    assert_eq!(server.dump(), before, "{request}");
}

// -- createMany ---------------------------------------------------------------------------------

#[test]
fn ten_thousand_records_are_made_in_one_request_and_one_more_is_refused() {
    let server = Server::with(MODELS, &[]);
    let objects = |prefix: &str, count: u64| (0..count).map(|n| json!({"name": format!("{prefix}{n}")})).collect();
    let reply = server.send(&many("m.Tag", &objects("a", 10_000))).json();
    assert_eq!(reply["data"], (1..=10_000).map(|id| json!({"id": id})).collect::<Value>());
    assert_eq!(reply["extras"], json!({"filtered": 10_000, "display": 10_000, "queries": 1}));
    assert_eq!(reply["message"], "10000 m.Tag records created.");
    assert_eq!(server.record("m.Tag", &json!(10_000), &["name"]), json!({"name": "a9999"}));
    let too_many = "/__meta__/objects: a request may hold at most 10000 records to create (objects)";
    assert_refused(&server, &many("m.Tag", &objects("b", 10_001)), 400, &[too_many]);
    // All or none, however many went in before the one that does not.
    let mut last: Value = objects("c", 10_000);
    last[9_999] = json!({"name": "a0"});
    let taken = "/__meta__/objects/9999/name: another m.Tag has this name already";
    assert_refused(&server, &many("m.Tag", &last), 409, &[taken]);
    assert_eq!(server.count("m.Tag"), 10_000);
    assert_eq!(server.create("m.Tag", &json!({"name": "next"})), 10_001);
}

#[test]
fn a_list_is_made_all_or_none_and_each_mistake_names_its_record() {
    let server = filled();
    server.data(&many("m.Item", &json!([{"code": "a"}])));
    server.data(&many("m.Place", &json!([{"id": "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11", "name": "a", "kind": 1}])));
    let place = |name: &str| format!("/__meta__/objects/{name}");
    let taken =
        |at: &str, model: &str, fields: &str| format!("{}: another {model} has this {fields} already", place(at));
    for (namespace, objects, status, errors) in [
        // Taken, by a record that is there or by one of the list.
        ("m.Item", json!([{"code": "b"}, {"code": "a"}, {"code": "c"}]), 409, vec![taken("1/code", "m.Item", "code")]),
        ("m.Item", json!([{"code": "b"}, {"code": "c"}, {"code": "b"}]), 409, vec![taken("2/code", "m.Item", "code")]),
        (
            "m.Place",
            json!([{"name": "b", "kind": 1}, {"name": "a", "kind": 1}]),
            409,
            vec![taken("1/name", "m.Place", "name and kind")],
        ),
        (
            "m.Place",
            json!([{"name": "b"}, {"name": "c", "id": "A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11"}]),
            409,
            vec![taken("1/id", "m.Place", "id")],
        ),
        (
            "m.Place",
            json!([{"name": "b", "pk": "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a12"},
                   {"name": "c", "id": "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a12"}]),
            409,
            vec![taken("1/id", "m.Place", "id")],
        ),
        // References to what is not there, each of them.
        (
            "m.Item",
            json!([{"code": "b", "kind": 2}, {"code": "c", "kind_id": 9}, {"code": "d", "kind": 8, "up": 7}]),
            400,
            vec![
                place("1/kind_id: there is no m.Kind with id 9"),
                place("2/kind: there is no m.Kind with id 8"),
                place("2/up: there is no m.Item with id 7"),
            ],
        ),
        (
            "m.Item",
            json!([{"code": "b", "tags": [1, 9]}, {"code": "c", "tags": []}, {"code": "d", "tags": [8, 3]}]),
            400,
            vec![place("0/tags: there is no m.Tag with id 9"), place("2/tags: there is no m.Tag with id 8")],
        ),
        // What is missing, of another type, against a rule, unknown, or the server's: all of it at once.
        (
            "m.Item",
            json!([{"rank": 1}, {"code": "b"}, {"code": null}, {"code": "123456789"}, {"code": "c", "rank": 6},
                   {"code": "d", "rank": "six"}, {"code": "e", "kind": "k1"}, {"code": "f", "tags": 1},
                   {"code": "g", "nite": "n"}, {"code": "h", "id": 5}, {"code": "i", "made": "2024-01-01"}]),
            400,
            vec![
                place("0/code: m.Item needs the field \"code\""),
                place("2/code: \"code\" must not be null"),
                place("3/code: \"code\" must have at most 8 characters"),
                place("4/rank: \"rank\" must be at most 5"),
                place("5/rank: \"rank\" is an integer and cannot be \"six\""),
                place("6/kind: \"kind\" is an integer and cannot be \"k1\""),
                place("7/tags: \"tags\" must be a list of ids, not 1"),
                place("8/nite: m.Item has no field \"nite\""),
                place("9/id: \"id\" cannot be written: the server gives it"),
                place("10/made: \"made\" cannot be written: the server sets it"),
            ],
        ),
    ] {
        let errors: Vec<&str> = errors.iter().map(String::as_str).collect();
        assert_refused(&server, &many(namespace, &objects), status, &errors);
    }
    for objects in [json!({}), json!("x"), json!(null)] {
        let error = format!("/__meta__/objects: objects must be a list of records, not {objects}");
        assert_refused(&server, &many("m.Item", &objects), 400, &[&error]);
    }
    let without = request("createMany", "m.Item", &json!({}), &json!({}));
    assert_refused(&server, &without, 400, &["/__meta__: __meta__ needs the key \"objects\""]);
    let beside = request("createMany", "m.Item", &json!({"objects": []}), &json!({"code": "b"}));
    assert_refused(&server, &beside, 400, &["/code: \"code\" means nothing for the intent createMany"]);
}

#[test]
fn what_is_no_record_keeps_its_place_in_the_list() {
    let server = filled();
    let objects = json!([{"code": "b"}, 7, {"cod": "c"}, null, {}, []]);
    let errors = [
        "/__meta__/objects/1: a record must be an object, not 7",
        "/__meta__/objects/3: a record must be an object, not null",
        "/__meta__/objects/5: a record must be an object, not []",
        "/__meta__/objects/2/cod: m.Item has no field \"cod\"",
        "/__meta__/objects/2/code: m.Item needs the field \"code\"",
        "/__meta__/objects/4/code: m.Item needs the field \"code\"",
    ];
    assert_refused(&server, &many("m.Item", &objects), 400, &errors);
}

#[test]
fn of_many_mistakes_a_hundred_are_listed() {
    let server = filled();
    let objects: Value = (0..150).map(|_| json!({"rank": 9})).collect();
    let errors = server.refused(400, &many("m.Item", &objects));
    let mut expected = Vec::new();
    for record in 0..50 {
        expected.push(format!("/__meta__/objects/{record}/rank: \"rank\" must be at most 5"));
        expected.push(format!("/__meta__/objects/{record}/code: m.Item needs the field \"code\""));
    }
    expected.push(": a request may hold at most 100 mistakes, so the rest is not listed".into());
    assert_eq!(errors, expected);
    assert_eq!(server.count("m.Item"), 0);
}

#[test]
fn of_many_references_to_nothing_a_hundred_are_listed() {
    let server = filled();
    let objects: Value = (0..150).map(|n| json!({"code": n, "kind": 9})).collect();
    let errors = server.refused(400, &many("m.Item", &objects));
    let missing = |n| format!("/__meta__/objects/{n}/kind: there is no m.Kind with id 9");
    let mut expected: Vec<String> = (0..100).map(missing).collect();
    expected.push(": a request may hold at most 100 mistakes, so the rest is not listed".into());
    assert_eq!(errors, expected);
    assert_eq!(server.count("m.Item"), 0);
}

#[test]
fn what_a_trigger_of_another_tool_forbids_names_its_record() {
    let server = filled();
    server.change(
        r#"CREATE TRIGGER guard BEFORE INSERT ON "m.Item" WHEN new.rank = 5
           BEGIN SELECT raise(ABORT, 'no five today'); END;"#,
    );
    let objects = json!([{"code": "a"}, {"code": "b", "rank": 5}]);
    let error = "/__meta__/objects/1: \"m.Item\" breaks the rule no five today";
    assert_refused(&server, &many("m.Item", &objects), 400, &[error]);
}

#[test]
fn new_records_get_defaults_clocks_and_what_each_of_them_says() {
    let server = filled();
    let objects = json!([
        {"code": "a", "rank": 0, "note": "n", "kind": 2, "tags": [3, 1, 3]},
        {"code": "b"},
        {"code": "c", "rank": "5", "note": null, "kind_id": "1", "up": 1, "tags": []},
        {"code": 4, "tags": ["2"], "up": 2}]);
    assert_eq!(server.data(&many("m.Item", &objects)), json!([{"id": 1}, {"id": 2}, {"id": 3}, {"id": 4}]));
    assert_json(
        &all(&server, "m.Item", &["code", "rank", "note", "kind", "up", "tags"]),
        &json!([
            {"code": "a", "rank": 0, "note": "n", "kind": 2, "up": null, "tags": [1, 3]},
            {"code": "b", "rank": 3, "note": null, "kind": null, "up": null, "tags": []},
            {"code": "c", "rank": 5, "note": null, "kind": 1, "up": 1, "tags": []},
            {"code": "4", "rank": 3, "note": null, "kind": null, "up": 2, "tags": [2]}]),
    );
    // All of one request are made at one moment.
    let moments =
        server.rows(r#"SELECT count(DISTINCT made), count(DISTINCT changed), min(made = changed) FROM "m.Item""#);
    assert_eq!(moments, "Integer(1)|Integer(1)|Integer(1)\n");
}

#[test]
fn ids_of_uuid_records_are_made_or_taken() {
    let server = filled();
    let given = "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11";
    let objects = json!([{"name": "z"}, {"name": "a", "id": given.to_uppercase()}, {"name": "m"}]);
    let data = server.data(&many_with("m.Place", &json!({"return": {"name": null, "id": null}}), &objects));
    let names: Vec<&Value> = data.as_array().unwrap().iter().map(|record| &record["name"]).collect();
    assert_eq!(names, ["z", "a", "m"]);
    assert_eq!(data[1]["id"], given);
    for made in [&data[0], &data[2]] {
        assert_eq!(made["id"].as_str().unwrap().len(), 36);
        assert_eq!(server.record("m.Place", &made["id"], &["name"])["name"], made["name"]);
    }
    assert_ne!(data[0]["id"], data[2]["id"]);
}

#[test]
fn what_is_returned_nests_and_comes_in_the_order_sent() {
    let server = filled();
    let place = |name: &str, id: u32| json!({"name": name, "row": 1, "kind": 1, "id": format!("{id:032}")});
    let meta = json!({"return": {"kind": {"name": null, "places": {"__meta__": {"ordering": "name"}, "name": null}},
                                 "name": null}});
    // The ids are in another order than the list.
    let data = server.data(&many_with("m.Place", &meta, &json!([place("b", 9), place("c", 1), place("a", 5)])));
    let kind = json!({"name": "k1", "places": [{"name": "a"}, {"name": "b"}, {"name": "c"}]});
    assert_json(&data, &["b", "c", "a"].map(|name| json!({"kind": kind, "name": name})).into_iter().collect());
    let meta = json!({"return": {"code": null, "tags": {"__meta__": {"limit": 1, "ordering": "-name"}, "name": null},
                                 "tag_ids": {"__field__": "tags"}, "pk": null, "id": null}});
    let objects = json!([{"code": "b", "tags": [1, 2]}, {"code": "a", "tags": []}]);
    let reply = server.send(&many_with("m.Item", &meta, &objects)).json();
    assert_json(
        &reply["data"],
        &json!([{"code": "b", "tags": [{"name": "t2"}], "tag_ids": [1, 2], "pk": 1, "id": 1},
                {"code": "a", "tags": [], "tag_ids": [], "pk": 2, "id": 2}]),
    );
    assert_eq!(reply["extras"]["truncated"], json!(["tags"]));
    // The statements do not grow with the records.
    let few = server.send(&many_with("m.Item", &meta, &json!([{"code": "c", "tags": [1]}, {"code": "d"}]))).json();
    let objects = (0..100).map(|n| json!({"code": n, "tags": [1, 2, 3]})).collect();
    let more = server.send(&many_with("m.Item", &meta, &objects)).json();
    assert_eq!(few["extras"]["queries"], more["extras"]["queries"]);
}

#[test]
fn only_ids_need_no_leave_to_read() {
    let server = filled();
    let key = server.key_for("m.Item:create");
    let ask = |returned: Value, objects: Value| {
        let reply = server.send_as(&key, &many_with("m.Item", &json!({"return": returned}), &objects));
        if reply.status == 200 { reply.json()["data"].clone() } else { json!([reply.status, reply.errors()]) }
    };
    let all = json!([{"code": "a", "rank": 1}, {"code": "b", "rank": 2}]);
    let data = ask(json!({"code": null, "id": null, "rank": null}), all);
    assert_eq!(data, json!([{"code": "a", "id": 1, "rank": 1}, {"code": "b", "id": 2, "rank": 2}]));
    let refused = json!([403, ["/__meta__/return: the key lacks the permission m.Item:read"]]);
    // What one of the records did not write, a default may have made.
    assert_eq!(ask(json!({"code": null, "rank": null}), json!([{"code": "c", "rank": 1}, {"code": "d"}])), refused);
    assert_eq!(ask(json!({}), json!([{"code": "c"}])), refused);
    assert_eq!(ask(json!({"made": null}), json!([{"code": "c"}])), refused);
    assert_eq!(ask(json!({"code": null}), json!([])), refused);
    assert_eq!(server.count("m.Item"), 2);
}

// -- updateMany ---------------------------------------------------------------------------------

/// Five items: `a` to `e`, ranks 0 to 4, the first two of kind 1; each below the one before it.
fn with_items() -> Server {
    let server = filled();
    let items = ["a", "b", "c", "d", "e"].iter().enumerate();
    let items = items.map(|(n, code)| {
        let up = if n > 0 { json!(n) } else { Value::Null };
        json!({"code": code, "rank": n, "kind": if n < 2 { json!(1) } else { Value::Null }, "up": up, "tags": [1]})
    });
    server.data(&many("m.Item", &items.collect()));
    server
        .change(r#"UPDATE "m.Item" SET made = '2024-01-01T00:00:00.000000Z', changed = '2024-01-01T00:00:00.000000Z'"#);
    server
}

#[test]
fn every_match_is_changed_and_nothing_else() {
    let server = with_items();
    let reply = server.send(&update_many("m.Item", &json!({"rank__gte": 3}), &json!({"note": "n", "kind": 2})));
    assert_eq!(reply.json()["data"], json!({"count": 2}), "{}", reply.body);
    assert_json(
        &all(&server, "m.Item", &["code", "note", "kind", "rank"]),
        &json!([{"code": "a", "note": null, "kind": 1, "rank": 0}, {"code": "b", "note": null, "kind": 1, "rank": 1},
                {"code": "c", "note": null, "kind": null, "rank": 2}, {"code": "d", "note": "n", "kind": 2, "rank": 3},
                {"code": "e", "note": "n", "kind": 2, "rank": 4}]),
    );
    let clocks =
        server.rows(r#"SELECT code, made = '2024-01-01T00:00:00.000000Z', made = changed FROM "m.Item" ORDER BY id"#);
    let touched = |code: &str, same: u8| format!("{code}|Integer(1)|Integer({same})\n");
    assert_eq!(clocks, ["a", "b", "c"].map(|code| touched(code, 1)).concat() + &touched("d", 0) + &touched("e", 0));
}

#[test]
fn a_filter_must_be_there_and_an_empty_one_is_every_record() {
    let server = with_items();
    let without = "/__meta__: __meta__ needs the key \"filter\"";
    for (intent, values) in [("updateMany", json!({"rank": 5})), ("deleteMany", json!({}))] {
        for meta in [json!({}), json!({"exclude": {"rank": 1}}), json!({"search": {"value": "a"}})] {
            assert_refused(&server, &request(intent, "m.Item", &meta, &values), 400, &[without]);
        }
        let null = request(intent, "m.Item", &json!({"filter": null}), &values);
        assert_refused(&server, &null, 400, &["/__meta__/filter: filter must be an object, not null"]);
        for key in ["uniqueObject", "return"] {
            let useless = format!("/__meta__/{key}: \"{key}\" means nothing for the intent {intent}");
            let request = request(intent, "m.Item", &json!({"filter": {}, key: {}}), &values);
            assert_refused(&server, &request, 400, &[&useless]);
        }
    }
    let nothing = ": the update names no field to change";
    assert_refused(&server, &update_many("m.Item", &json!({}), &json!({})), 400, &[nothing]);
    assert_eq!(server.data(&update_many("m.Item", &json!({}), &json!({"rank": 5}))), json!({"count": 5}));
    let some = json!({"filter": {}, "exclude": {"code": "a"}, "search": {"value": "A"}});
    assert_eq!(server.data(&request("updateMany", "m.Item", &some, &json!({"rank": 1}))), json!({"count": 0}));
    let some = json!({"filter": {}, "exclude": {"code__in": ["a", "b"]}});
    assert_eq!(server.data(&request("updateMany", "m.Item", &some, &json!({"rank": 1}))), json!({"count": 3}));
    assert_eq!(server.rows(r#"SELECT group_concat(rank, ' ') FROM "m.Item""#), "5 5 1 1 1\n");
    assert_eq!(server.data(&request("deleteMany", "m.Item", &some, &json!({}))), json!({"count": 3}));
    assert_eq!(server.data(&delete_many("m.Item", &json!({"code": "none"}))), json!({"count": 0}));
    assert_eq!(server.data(&delete_many("m.Item", &json!({}))), json!({"count": 2}));
    assert_eq!(server.count("m.Item"), 0);
}

#[test]
fn which_records_match_is_told_before_any_is_changed() {
    // Each record matches by what another one holds, which the same update changes.
    for values in [json!({"rank": 5}), json!({"rank": 5, "tags": [2]})] {
        let server = with_items();
        let filter = json!({"up__rank__lt": 5});
        assert_eq!(server.data(&update_many("m.Item", &filter, &values)), json!({"count": 4}));
        assert_eq!(server.rows(r#"SELECT group_concat(rank, ' ') FROM "m.Item""#), "0 5 5 5 5\n");
    }
    let server = with_items();
    let filter = json!({"downs__isnull": false});
    assert_eq!(server.data(&update_many("m.Item", &filter, &json!({"up": null}))), json!({"count": 4}));
    assert_eq!(server.rows(r#"SELECT code FROM "m.Item" WHERE up IS NOT NULL"#), "e\n");
    let server = with_items();
    let filter = json!({"tags": 1, "tags__items__code": "a"});
    assert_eq!(server.data(&update_many("m.Item", &filter, &json!({"tags": [2, 3]}))), json!({"count": 5}));
    assert_eq!(
        server.rows(r#"SELECT count(*), count(DISTINCT source), min(target) FROM "m.Item.tags""#).trim(),
        "Integer(10)|Integer(5)|Integer(2)"
    );
    let server = with_items();
    assert_eq!(server.data(&delete_many("m.Item", &json!({"up__code__in": ["a", "b", "c"]}))), json!({"count": 3}));
    assert_eq!(server.rows(r#"SELECT code, up FROM "m.Item""#), "a|Null\ne|Null\n");
}

#[test]
fn an_update_of_many_replaces_their_ids() {
    let server = with_items();
    server.data(&update_many("m.Item", &json!({"rank__lt": 2}), &json!({"tags": [3, 2, 3]})));
    server.data(&update_many("m.Item", &json!({"code": "c"}), &json!({"tags": [], "rank": 0})));
    assert_json(
        &all(&server, "m.Item", &["rank", "tags"]),
        &json!([{"rank": 0, "tags": [2, 3]}, {"rank": 1, "tags": [2, 3]}, {"rank": 0, "tags": []},
                {"rank": 3, "tags": [1]}, {"rank": 4, "tags": [1]}]),
    );
    let touched = server.rows(r#"SELECT code FROM "m.Item" WHERE changed > made ORDER BY code"#);
    assert_eq!(touched, "a\nb\nc\n", "the clock is set where only ids change");
    let missing = "/tags: there is no m.Tag with id 9";
    assert_refused(&server, &update_many("m.Item", &json!({}), &json!({"tags": [1, 9]})), 400, &[missing]);
    assert_eq!(
        server.data(&update_many("m.Item", &json!({"code": "none"}), &json!({"tags": [1]}))),
        json!({"count": 0})
    );
}

#[test]
fn an_update_of_many_that_one_record_refuses_changes_none() {
    let server = with_items();
    for (values, status, error) in [
        (json!({"code": "z"}), 409, "/code: another m.Item has this code already"),
        (json!({"kind": 9}), 400, "/kind: there is no m.Kind with id 9"),
        (json!({"rank": 6}), 400, "/rank: \"rank\" must be at most 5"),
        (json!({"rank": "x"}), 400, "/rank: \"rank\" is an integer and cannot be \"x\""),
        (json!({"code": null}), 400, "/code: \"code\" must not be null"),
        (json!({"id": 5}), 400, "/id: \"id\" cannot be written: a record keeps its id"),
        (json!({"made": null}), 400, "/made: \"made\" cannot be written: the server sets it"),
        (json!({"cod": 1}), 400, "/cod: m.Item has no field \"cod\""),
    ] {
        assert_refused(&server, &update_many("m.Item", &json!({}), &values), status, &[error]);
    }
    // One record may have the value.
    assert_eq!(server.data(&update_many("m.Item", &json!({"rank": 4}), &json!({"code": "z"}))), json!({"count": 1}));
}

#[test]
fn no_more_records_change_than_the_request_allows() {
    let server = with_items();
    let both = |most: Value, filter: Value| {
        let meta = json!({"filter": filter, "maxAffected": most});
        [
            request("updateMany", "m.Item", &meta, &json!({"rank": 5})),
            request("deleteMany", "m.Item", &meta, &json!({})),
        ]
    };
    for (most, matching) in [(4, 5), (0, 5)] {
        let error = format!(
            "/__meta__/maxAffected: {matching} m.Item records match, and at most {most} may be changed; nothing was"
        );
        for request in both(json!(most), json!({})) {
            assert_refused(&server, &request, 409, &[&error]);
        }
    }
    for most in [json!(-1), json!(1.5), json!("5"), json!(null), json!(true)] {
        let error = format!("/__meta__/maxAffected: maxAffected must be a whole number from 0, not {most}");
        for request in both(most.clone(), json!({})) {
            assert_refused(&server, &request, 400, &[&error]);
        }
    }
    for (most, filter, count) in [(0, json!({"rank": 9}), 0), (5, json!({}), 5), (u64::MAX / 2, json!({"rank": 5}), 5)]
    {
        assert_eq!(server.data(&both(json!(most), filter)[0]), json!({"count": count}));
    }
    for (most, filter, count) in [(0, json!({"rank": 9}), 0), (1, json!({"code": "e"}), 1), (4, json!({}), 4)] {
        assert_eq!(server.data(&both(json!(most), filter)[1]), json!({"count": count}));
    }
    let update =
        request("update", "m.Item", &json!({"uniqueObject": {"id": 1}, "maxAffected": 1}), &json!({"rank": 5}));
    assert_refused(
        &server,
        &update,
        400,
        &["/__meta__/maxAffected: \"maxAffected\" means nothing for the intent update"],
    );
}

// -- deleteMany ---------------------------------------------------------------------------------

const DELETION: &str = r#"{
  "d.Root": { "fields": { "n": { "type": "integer" },
      "up": { "type": "ref", "to": "d.Root", "null": true, "related_name": "downs" } } },
  "d.Part": { "fields": {
      "root": { "type": "ref", "to": "d.Root", "on_delete": "cascade", "related_name": "parts" } } },
  "d.Bit": { "fields": { "part": { "type": "ref", "to": "d.Part", "on_delete": "cascade", "related_name": "bits" } } },
  "d.Free": { "fields": {
      "root": { "type": "ref", "to": "d.Root", "null": true, "on_delete": "set_null", "related_name": "frees" },
      "links": { "type": "refs", "to": "d.Root", "related_name": "linked" } } },
  "d.Kept": { "fields": { "root": { "type": "ref", "to": "d.Root", "null": true, "related_name": "kepts" } } },
  "d.Held": { "fields": { "bit": { "type": "ref", "to": "d.Bit", "null": true, "related_name": "helds" } } } }"#;

/// Four roots, and of each other model a record for each.
fn with_roots() -> Server {
    let server = Server::with(DELETION, &[]);
    server.data(&many("d.Root", &json!([{"n": 1}, {"n": 2}, {"n": 3}, {"n": 4}])));
    let each = |key: &str| (1..=4).map(|id| json!({key: id})).collect();
    server.data(&many("d.Part", &each("root")));
    server.data(&many("d.Bit", &each("part")));
    server.data(&many("d.Free", &(1..=4).map(|id| json!({"root": id, "links": [1, 2, 3, 4]})).collect()));
    server
}

#[test]
fn deleting_many_reaches_what_deleting_one_does() {
    let server = with_roots();
    let reply = server.send(&delete_many("d.Root", &json!({"n__gte": 3}))).json();
    assert_eq!((&reply["data"], &reply["extras"]["filtered"]), (&json!({"count": 2}), &json!(2)));
    for namespace in ["d.Root", "d.Part", "d.Bit"] {
        assert_eq!(server.ids(namespace, &json!({})), json!([1, 2]), "{namespace}");
    }
    let frees = all(&server, "d.Free", &["root", "links"]);
    let free = |root: Value| json!({"root": root, "links": [1, 2]});
    assert_eq!(frees, json!([free(json!(1)), free(json!(2)), free(Value::Null), free(Value::Null)]));
    run(&server.folder, &["check"]);
}

#[test]
fn what_is_still_referred_to_stays_and_so_do_all_others() {
    let server = with_roots();
    server.create("d.Kept", &json!({"root": 3}));
    let said = "/__meta__/filter: the d.Root is still referred to by d.Kept";
    assert_refused(&server, &delete_many("d.Root", &json!({"n__gte": 2})), 409, &[said]);
    // Who refers is told only to those who may see it.
    let key = server.key_for("d.Root:*,d.Part:*,d.Bit:*,d.Free:*");
    let reply = server.send_as(&key, &delete_many("d.Root", &json!({"n__gte": 2})));
    assert_eq!(reply.errors(), ["/__meta__/filter: the d.Root is still referred to by other records"]);
    // The same where a cascade is what meets the reference.
    server.data(&update("d.Kept", &json!({"id": 1}), &json!({"root": null})));
    server.create("d.Held", &json!({"bit": 4}));
    let said = "/__meta__/filter: the d.Root is still referred to by other records";
    assert_refused(&server, &delete_many("d.Root", &json!({})), 409, &[said]);
    assert_eq!(server.data(&delete_many("d.Root", &json!({"n__lt": 4}))), json!({"count": 3}));
}

#[test]
fn records_that_refer_to_each_other_go_together() {
    let server = with_roots();
    server.data(&update("d.Root", &json!({"id": 1}), &json!({"up": 2})));
    server.data(&update("d.Root", &json!({"id": 2}), &json!({"up": 1})));
    server.data(&update("d.Root", &json!({"id": 3}), &json!({"up": 3})));
    let said = "/__meta__/filter: the d.Root is still referred to by d.Root";
    assert_refused(&server, &delete_many("d.Root", &json!({"n": 1})), 409, &[said]);
    assert_eq!(server.data(&delete_many("d.Root", &json!({"n__lte": 3}))), json!({"count": 3}));
}

#[test]
fn deleting_many_takes_leave_for_every_model_that_it_reaches() {
    let server = with_roots();
    let all = ["d.Root:delete", "d.Root:read", "d.Part:delete", "d.Bit:delete", "d.Free:update"];
    let request = delete_many("d.Root", &json!({"n": 4}));
    for missing in all {
        let rest: Vec<&str> = all.into_iter().filter(|permission| *permission != missing).collect();
        let reply = server.send_as(&server.key_for(&rest.join(",")), &request);
        let error = format!("/__meta__/namespace: the key lacks the permission {missing}");
        assert_eq!((reply.status, reply.errors()), (403, vec![error]));
    }
    let reply = server.send_as(&server.key_for(&all.join(",")), &request);
    assert_eq!((reply.status, &reply.json()["data"]), (200, &json!({"count": 1})), "{}", reply.body);
    // A filter that leads to other models takes leave to read those.
    let key = server.key_for(&all.join(","));
    let reply = server.send_as(&key, &delete_many("d.Root", &json!({"kepts__id": 1})));
    assert_eq!(reply.errors(), ["/__meta__/filter/kepts__id: the key lacks the permission d.Kept:read"]);
}

// -- upsert -------------------------------------------------------------------------------------

#[test]
fn an_upsert_makes_the_record_once_and_changes_it_from_then_on() {
    let server = filled();
    let uuid = "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11";
    for (namespace, unique, made, changed) in [
        ("m.Item", json!({"code": "a"}), json!({"rank": 1, "tags": [1]}), json!({"rank": 2, "tags": [2, 3]})),
        ("m.Place", json!({"id": uuid}), json!({"name": "n", "row": 1}), json!({"name": "n", "row": 2})),
        ("m.Place", json!({"pk": uuid.to_uppercase()}), json!({"name": "n"}), json!({"name": "o"})),
        ("m.Place", json!({"kind_id": 1, "name": "z"}), json!({"row": 1}), json!({"row": 2})),
        ("m.Page", json!({"title": "p"}), json!({"text": "x"}), json!({"text": "y", "tags": [1]})),
    ] {
        let known = server.count(namespace);
        let there = namespace == "m.Place" && unique.get("pk").is_some();
        let name = namespace.split('.').nth(1).unwrap();
        let first = server.send(&upsert(namespace, &unique, &made)).json();
        let done = if there { "updated" } else { "created" };
        assert_eq!(first["message"], format!("{name} {done} successfully."), "{first}");
        assert_eq!((&first["intent"], &first["extras"]["filtered"]), (&json!("upsert"), &json!(1)));
        let second = server.send(&upsert(namespace, &unique, &changed)).json();
        assert_eq!(second["message"], format!("{name} updated successfully."), "{second}");
        assert_eq!(first["data"], second["data"]);
        assert_eq!(server.count(namespace), known + u64::from(!there), "{unique}");
    }
    assert_json(
        &all(&server, "m.Item", &["id", "code", "rank", "tags"]),
        &json!([{"id": 1, "code": "a", "rank": 2, "tags": [2, 3]}]),
    );
    assert_json(
        &server.data(&request(
            "retrieve",
            "m.Place",
            &json!({"ordering": "name"}),
            &json!({"name": null, "row": null, "kind": null}),
        )),
        &json!([{"name": "o", "row": 2, "kind": null}, {"name": "z", "row": 2, "kind": 1}]),
    );
    assert_json(
        &all(&server, "m.Page", &["title", "text", "tags", "version"]),
        &json!([{"title": "p", "text": "y", "tags": [1], "version": 2}]),
    );
}

#[test]
fn an_upsert_by_an_id_of_the_server_changes_the_record() {
    let server = with_items();
    for unique in [json!({"id": 2}), json!({"pk": "2"})] {
        let reply = server.send(&upsert("m.Item", &unique, &json!({"code": "B", "rank": 5}))).json();
        assert_eq!((&reply["data"], &reply["message"]), (&json!({"id": 2}), &json!("Item updated successfully.")));
    }
    assert_eq!(
        server.record("m.Item", &json!(2), &["code", "rank", "kind"]),
        json!({"code": "B", "rank": 5, "kind": 1})
    );
    assert_eq!(server.count("m.Item"), 5);
}

#[test]
fn an_upsert_without_values_sees_to_it_that_the_record_is_there() {
    let server = filled();
    for done in ["created", "updated"] {
        let reply = server.send(&upsert("m.Tag", &json!({"name": "new"}), &json!({}))).json();
        assert_eq!(
            (&reply["data"], &reply["message"]),
            (&json!({"id": 4}), &json!(format!("Tag {done} successfully.")))
        );
    }
}

#[test]
fn an_upsert_is_checked_for_both_of_its_ends() {
    let server = with_items();
    let uuid = "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11";
    let not_one = |model: &str| format!(": \"uniqueObject\" does not name one record of {model}");
    let sought = |rest: &str| format!("/__meta__/uniqueObject{rest}");
    for (namespace, unique, values, status, error) in [
        // An integer id is the server's to give.
        ("m.Item", json!({"id": 9}), json!({"code": "z"}), 404, sought(": there is no m.Item with id 9")),
        ("m.Item", json!({"rank": 1}), json!({"code": "z"}), 400, sought(&not_one("m.Item"))),
        ("m.Item", json!({}), json!({"code": "z"}), 400, sought(&not_one("m.Item"))),
        ("m.Place", json!({"name": "z"}), json!({}), 400, sought(&not_one("m.Place"))),
        // What a new record would lack, also where there is one.
        ("m.Item", json!({"id": 1}), json!({"rank": 1}), 400, "/code: m.Item needs the field \"code\"".into()),
        ("m.Place", json!({"id": uuid}), json!({"row": 1}), 400, "/name: m.Place needs the field \"name\"".into()),
        // What only the database knows.
        (
            "m.Item",
            json!({"code": "a"}),
            json!({"code": "b"}),
            409,
            "/code: another m.Item has this code already".into(),
        ),
        ("m.Item", json!({"code": "z"}), json!({"kind": 9}), 400, "/kind: there is no m.Kind with id 9".into()),
    ] {
        assert_refused(&server, &upsert(namespace, &unique, &values), status, &[&error]);
    }
    let narrowed = and(upsert("m.Item", &json!({"code": "a"}), &json!({"rank": 1})), "filter", json!({}));
    assert_refused(&server, &narrowed, 400, &["/__meta__/filter: \"filter\" means nothing for the intent upsert"]);
    let without = request("upsert", "m.Item", &json!({}), &json!({"code": "a"}));
    assert_refused(&server, &without, 400, &["/__meta__: __meta__ needs the key \"uniqueObject\""]);
}

#[test]
fn a_mistake_in_an_upsert_is_told_once_and_where_it_stands() {
    let server = filled();
    let values = json!({"rank": 9, "made": null, "nite": 1, "id": 4});
    let errors = [
        "/rank: \"rank\" must be at most 5",
        "/made: \"made\" cannot be written: the server sets it",
        "/nite: m.Item has no field \"nite\"",
        "/id: \"id\" cannot be written: a record keeps its id",
    ];
    assert_refused(&server, &upsert("m.Item", &json!({"code": "z"}), &values), 400, &errors);
    for (namespace, unique, error) in [
        ("m.Item", json!({"code": "123456789"}), "code: \"code\" must have at most 8 characters"),
        ("m.Item", json!({"code": []}), "code: \"code\" is a string and cannot be []"),
        ("m.Item", json!({"code": null}), "code: \"code\" is a string and cannot be null: ask for null with isnull"),
        ("m.Place", json!({"name": "z", "kind_id": 9}), "kind_id: there is no m.Kind with id 9"),
    ] {
        let error = format!("/__meta__/uniqueObject/{error}");
        assert_refused(&server, &upsert(namespace, &unique, &json!({})), 400, &[&error]);
    }
}

#[test]
fn values_of_an_upsert_go_before_those_that_it_is_looked_for_by() {
    // As Django's update_or_create has it.
    let server = filled();
    let request = upsert("m.Tag", &json!({"name": "x"}), &json!({"name": "y"}));
    assert_eq!(server.send(&request).json()["message"], "Tag created successfully.");
    assert_eq!(server.record("m.Tag", &json!(4), &["name"]), json!({"name": "y"}));
    // There is still no x, and there may be only one y.
    assert_refused(&server, &request, 409, &["/name: another m.Tag has this name already"]);
    assert_eq!(server.data(&upsert("m.Tag", &json!({"name": "y"}), &json!({"name": "x"}))), json!({"id": 4}));
    assert_eq!(server.record("m.Tag", &json!(4), &["name"]), json!({"name": "x"}));
}

#[test]
fn an_upsert_takes_leave_to_create_and_to_update() {
    let server = with_items();
    let lacks = |action: &str| format!("/__meta__/namespace: the key lacks the permission m.Item:{action}");
    let request = |code: &str| upsert("m.Item", &json!({"code": code}), &json!({"rank": 1}));
    for (permissions, missing) in [
        ("m.Item:create,m.Item:read", vec![lacks("update")]),
        ("m.Item:update,m.Item:read", vec![lacks("create")]),
        ("m.Item:read", vec![lacks("update"), lacks("create")]),
    ] {
        let key = server.key_for(permissions);
        for code in ["a", "new"] {
            let reply = server.send_as(&key, &request(code));
            assert_eq!((reply.status, reply.errors()), (403, missing.clone()), "{permissions} {code}");
        }
    }
    assert_eq!(server.count("m.Item"), 5);
    let key = server.key_for("m.Item:create,m.Item:update");
    for code in ["a", "new"] {
        assert_eq!(server.send_as(&key, &request(code)).status, 200);
        let returned = and(request(code), "return", json!({"id": null, "rank": null}));
        assert_eq!(server.send_as(&key, &returned).status, 200);
        let returned = and(request(code), "return", json!({"note": null}));
        let reply = server.send_as(&key, &returned);
        assert_eq!(reply.errors(), ["/__meta__/return: the key lacks the permission m.Item:read"]);
    }
}

#[test]
fn an_upsert_answers_what_return_asks_for() {
    let server = filled();
    let returned = json!({"code": null, "rank": null, "kind": {"name": null}, "tags": {"name": null}});
    let ask =
        |values: Value| server.data(&and(upsert("m.Item", &json!({"code": "a"}), &values), "return", returned.clone()));
    let made = ask(json!({"kind": 1, "tags": [1, 2]}));
    assert_json(
        &made,
        &json!({"code": "a", "rank": 3, "kind": {"name": "k1"}, "tags": [{"name": "t1"}, {"name": "t2"}]}),
    );
    let changed = ask(json!({"kind": null, "tags": [3], "rank": 0}));
    assert_json(&changed, &json!({"code": "a", "rank": 0, "kind": null, "tags": [{"name": "t3"}]}));
}

#[test]
fn of_upserts_at_once_one_makes_the_record() {
    let server = filled();
    let messages = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for number in 0..16 {
            let (server, messages) = (&server, &messages);
            scope.spawn(move || {
                let reply = server.send(&upsert("m.Item", &json!({"code": "one"}), &json!({"rank": number % 6})));
                assert_eq!((reply.status, &reply.json()["data"]), (200, &json!({"id": 1})), "{}", reply.body);
                messages.lock().unwrap().push(reply.json()["message"].as_str().unwrap().to_owned());
            });
        }
    });
    let messages = messages.into_inner().unwrap();
    assert_eq!(messages.iter().filter(|message| *message == "Item created successfully.").count(), 1);
    assert_eq!(messages.iter().filter(|message| *message == "Item updated successfully.").count(), 15);
    assert_eq!(server.count("m.Item"), 1);
}

// -- dryRun -------------------------------------------------------------------------------------

#[test]
fn a_dry_run_answers_what_the_run_answers_and_changes_nothing() {
    let server = with_items();
    server.data(&many("m.Page", &json!([{"title": "p"}])));
    let place = "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11";
    let nested = json!({"id": null, "code": null, "tags": {"name": null}, "kind": {"name": null}, "rank": null});
    for request in [
        request("create", "m.Item", &json!({"return": nested}), &json!({"code": "f", "tags": [1, 2], "kind": 1})),
        many_with("m.Item", &json!({"return": nested}), &json!([{"code": "g", "tags": [3]}, {"code": "h"}])),
        many("m.Item", &json!([])),
        request(
            "update",
            "m.Item",
            &json!({"uniqueObject": {"code": "a"}, "return": nested}),
            &json!({"code": "A", "tags": []}),
        ),
        update_many("m.Item", &json!({"rank__gt": 2}), &json!({"rank": 1, "tags": [2]})),
        and(update_many("m.Item", &json!({}), &json!({"note": "n"})), "maxAffected", json!(8)),
        and(upsert("m.Item", &json!({"code": "new"}), &json!({"rank": 1})), "return", nested.clone()),
        and(upsert("m.Item", &json!({"code": "new"}), &json!({"rank": 2})), "return", nested.clone()),
        upsert("m.Place", &json!({"id": place}), &json!({"name": "n"})),
        request(
            "create",
            "m.Place",
            &json!({"return": {"id": null}}),
            &json!({"name": "o", "id": place.replace('1', "2")}),
        ),
        request(
            "update",
            "m.Page",
            &json!({"uniqueObject": {"id": 1, "version": 1}, "return": {"version": null}}),
            &json!({"text": "x"}),
        ),
        request("deleteOne", "m.Item", &json!({"uniqueObject": {"code": "b"}}), &json!({})),
        delete_many("m.Item", &json!({"rank": 1})),
        delete_many("m.Item", &json!({})),
    ] {
        let before = server.dump();
        let dry = server.send(&and(request.clone(), "dryRun", json!(true)));
        let again = server.send(&and(request.clone(), "dryRun", json!(true)));
        assert_eq!(server.dump(), before, "{request}");
        let real = server.send(&and(request.clone(), "dryRun", json!(false)));
        assert_eq!(dry.status, 200, "{request} {}", dry.body);
        assert_eq!((dry.status, &dry.body), (real.status, &real.body), "{request}");
        assert_eq!(again.body, real.body, "{request}");
    }
}

#[test]
fn a_dry_run_has_clocks_and_uuids_of_its_own() {
    let server = filled();
    let make = request("create", "m.Place", &json!({"dryRun": true}), &json!({"name": "n"}));
    let (first, second) = (server.data(&make), server.data(&make));
    assert_eq!((first["id"].as_str().unwrap().len(), first == second), (36, false));
    let meta = json!({"dryRun": true, "return": {"id": null, "made": null, "changed": null}});
    let item = server.data(&request("create", "m.Item", &meta, &json!({"code": "a"})));
    assert_eq!((&item["id"], &item["made"]), (&json!(1), &item["changed"]));
    let id = server.create("m.Item", &json!({"code": "a"}));
    let made = server.record("m.Item", &id, &["id", "made"]);
    assert!(made["id"] == 1 && made["made"].as_str() > item["made"].as_str(), "{made} {item}");
    assert_eq!(server.count("m.Place"), 0);
}

#[test]
fn a_dry_run_is_refused_as_the_run_is() {
    let server = with_roots();
    server.create("d.Kept", &json!({"root": 3}));
    for request in [
        request("create", "d.Part", &json!({}), &json!({"root": 9})),
        request("create", "d.Part", &json!({}), &json!({})),
        many("d.Part", &json!([{"root": 1}, {"root": 8}])),
        update("d.Root", &json!({"id": 9}), &json!({"n": 1})),
        update("d.Root", &json!({"id": 1}), &json!({"up": 9})),
        and(update_many("d.Root", &json!({}), &json!({"n": 1})), "maxAffected", json!(3)),
        upsert("d.Root", &json!({"id": 9}), &json!({"n": 1})),
        request("deleteOne", "d.Root", &json!({"uniqueObject": {"id": 3}}), &json!({})),
        delete_many("d.Root", &json!({})),
    ] {
        let before = server.dump();
        let dry = server.send(&and(request.clone(), "dryRun", json!(true)));
        let real = server.send(&request);
        assert!(matches!(dry.status, 400 | 404 | 409), "{}", dry.body);
        assert_eq!((dry.status, dry.body), (real.status, real.body), "{request}");
        assert_eq!(server.dump(), before, "{request}");
    }
    // It takes the same permissions.
    let key = server.key_for("d.Root:read");
    let reply =
        server.send_as(&key, &and(update("d.Root", &json!({"id": 1}), &json!({"n": 5})), "dryRun", json!(true)));
    assert_eq!(reply.errors(), ["/__meta__/namespace: the key lacks the permission d.Root:update"]);
}

#[test]
fn a_dry_run_is_asked_for_with_true() {
    let server = filled();
    for given in [json!("true"), json!(1), json!(null), json!({})] {
        let request = and(many("m.Tag", &json!([{"name": "x"}])), "dryRun", given.clone());
        let error = format!("/__meta__/dryRun: dryRun must be true or false, not {given}");
        assert_refused(&server, &request, 400, &[&error]);
    }
    for intent in ["retrieve", "count"] {
        let request = request(intent, "m.Tag", &json!({"dryRun": true}), &json!({}));
        let error = format!("/__meta__/dryRun: \"dryRun\" means nothing for the intent {intent}");
        assert_refused(&server, &request, 400, &[&error]);
    }
}

// -- Versions -----------------------------------------------------------------------------------

#[test]
fn every_change_of_a_record_raises_its_version() {
    let server = filled();
    let reply = server.data(&many_with(
        "m.Page",
        &json!({"return": {"version": null}}),
        &json!([{"title": "a"}, {"title": "b"}]),
    ));
    assert_eq!(reply, json!([{"version": 1}, {"version": 1}]));
    let versions = || server.rows(r#"SELECT group_concat(version, ' ') FROM "m.Page""#).trim().to_owned();
    for (request, expected) in [
        (update("m.Page", &json!({"id": 1}), &json!({"text": "x"})), "2 1"),
        // The same values again are a change as well: the record was written.
        (update("m.Page", &json!({"title": "a"}), &json!({"text": "x"})), "3 1"),
        (update("m.Page", &json!({"id": 1}), &json!({"tags": [1, 2]})), "4 1"),
        (update("m.Page", &json!({"id": 1}), &json!({"tags": [], "title": "A"})), "5 1"),
        (update_many("m.Page", &json!({}), &json!({"text": "y"})), "6 2"),
        (update_many("m.Page", &json!({"title": "b"}), &json!({"tags": [3]})), "6 3"),
        (update_many("m.Page", &json!({"title": "b"}), &json!({"tags": [1], "text": "z"})), "6 4"),
        (update_many("m.Page", &json!({"title": "none"}), &json!({"tags": [1], "text": "z"})), "6 4"),
        (upsert("m.Page", &json!({"title": "b"}), &json!({"text": "w"})), "6 5"),
        (upsert("m.Page", &json!({"title": "b"}), &json!({"tags": []})), "6 6"),
        (upsert("m.Page", &json!({"title": "c"}), &json!({})), "6 6 1"),
        (many("m.Page", &json!([{"title": "d"}])), "6 6 1 1"),
        (request("deleteOne", "m.Page", &json!({"uniqueObject": {"id": 4, "version": 1}}), &json!({})), "6 6 1"),
        // What changes on the other side of a relation is no change of the record.
        (request("deleteOne", "m.Tag", &json!({"uniqueObject": {"id": 1}}), &json!({})), "6 6 1"),
    ] {
        server.data(&request);
        assert_eq!(versions(), expected, "{request}");
    }
    // It is a field like any other to ask for, filter and order by.
    let meta = json!({"filter": {"version__gt": 1}, "ordering": ["-version", "-id"]});
    let pages = server.data(&request("retrieve", "m.Page", &meta, &json!({"id": null, "version": null})));
    assert_eq!(pages, json!([{"id": 2, "version": 6}, {"id": 1, "version": 6}]));
    assert_eq!(
        server.data(&request("retrieveOne", "m.Page", &json!({"uniqueObject": {"id": 3}}), &json!({}))),
        json!({"id": 3, "title": "c", "text": "", "version": 1})
    );
}

#[test]
fn a_version_cannot_be_written() {
    let server = filled();
    server.data(&many("m.Page", &json!([{"title": "a"}])));
    let says = |at: &str| format!("{at}/version: \"version\" cannot be written: the server sets it");
    for version in [json!(1), json!(7), json!(null)] {
        for (request, at) in [
            (request("create", "m.Page", &json!({}), &json!({"title": "b", "version": version})), ""),
            (many("m.Page", &json!([{"title": "b", "version": version}])), "/__meta__/objects/0"),
            (update("m.Page", &json!({"id": 1}), &json!({"version": version})), ""),
            (update_many("m.Page", &json!({}), &json!({"version": version})), ""),
            (upsert("m.Page", &json!({"title": "a"}), &json!({"version": version})), ""),
        ] {
            assert_refused(&server, &request, 400, &[&says(at)]);
        }
    }
}

#[test]
fn a_stale_version_is_a_conflict_that_names_the_current_one() {
    let server = filled();
    server.data(&many("m.Page", &json!([{"title": "a", "tags": [1]}, {"title": "b"}])));
    server.data(&update("m.Page", &json!({"id": 1}), &json!({"text": "x"})));
    let requests = |version: Value| {
        let meta = json!({"uniqueObject": {"id": 1, "version": version}});
        [
            request("update", "m.Page", &meta, &json!({"text": "y"})),
            request("update", "m.Page", &meta, &json!({"tags": [2]})),
            request("upsert", "m.Page", &meta, &json!({"title": "a", "text": "y"})),
            request("retrieveOne", "m.Page", &meta, &json!({"text": null})),
            request("deleteOne", "m.Page", &meta, &json!({})),
        ]
    };
    for version in [1, 3, 0, -1, i64::MAX] {
        let error = "/__meta__/uniqueObject: the m.Page has been changed; its version is 2 now";
        for request in requests(json!(version)) {
            assert_refused(&server, &request, 409, &[error]);
        }
        let meta = json!({"uniqueObject": {"id": 1, "version": version}});
        assert_refused(&server, &request("retrieve", "m.Page", &meta, &json!({})), 409, &[error]);
    }
    let none = json!({"uniqueObject": {"id": 9, "version": 1}});
    assert_eq!(server.data(&request("retrieve", "m.Page", &none, &json!({}))), json!([]));
    for version in [json!("x"), json!(1.5), json!([])] {
        let error = format!("/__meta__/uniqueObject/version: \"version\" is an integer and cannot be {version}");
        for request in requests(version.clone()) {
            assert_refused(&server, &request, 400, &[&error]);
        }
    }
    // Without a record there is no version of it.
    for intent in ["update", "upsert", "retrieveOne", "deleteOne"] {
        let values = if intent == "update" || intent == "upsert" { json!({"title": "z"}) } else { json!({}) };
        let gone = request(intent, "m.Page", &json!({"uniqueObject": {"version": 1, "id": 9}}), &values);
        assert_refused(&server, &gone, 404, &["/__meta__/uniqueObject: there is no m.Page with id 9"]);
    }
    for (version, request) in (2..).zip(requests(json!(null))) {
        let version = if version > 5 { 5 } else { version };
        server.data(&and(request, "uniqueObject", json!({"version": version, "pk": 1})));
    }
    assert_eq!(server.ids("m.Page", &json!({})), json!([2]));
    let meta = json!({"uniqueObject": {"id": 2, "version": "1"}});
    assert_eq!(server.data(&request("retrieve", "m.Page", &meta, &json!({"id": null}))), json!([{"id": 2}]));
}

#[test]
fn a_version_stands_beside_the_id_and_nothing_else() {
    let server = filled();
    server.data(&many("m.Page", &json!([{"title": "a"}])));
    server.data(&many("m.Tag", &json!([{"name": "a"}])));
    let names = |model: &str| format!("/__meta__/uniqueObject: \"uniqueObject\" does not name one record of {model}");
    for (namespace, unique) in [
        ("m.Page", json!({"version": 1})),
        ("m.Page", json!({"title": "a", "version": 1})),
        ("m.Page", json!({"id": 1, "title": "a", "version": 1})),
        ("m.Tag", json!({"id": 1, "version": 1})),
    ] {
        let request = request("deleteOne", namespace, &json!({"uniqueObject": unique}), &json!({}));
        assert_refused(&server, &request, 400, &[&names(namespace)]);
    }
}

#[test]
fn versions_are_turned_on_and_off_on_a_model_with_records() {
    let models = |more: Value| {
        let mut model = json!({"fields": {"name": {"type": "string"}}});
        model.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        json!({"v.Thing": model}).to_string()
    };
    let server = Server::with(&models(json!({})), &[]);
    server.data(&many("v.Thing", &json!([{"name": "a"}, {"name": "b"}])));
    let apply = |text: &str, more: &[&str]| {
        let file = server.folder.file("models.json", text);
        let mut words = vec!["models", "apply", file.to_str().unwrap()];
        words.extend(more);
        run(&server.folder, &words)
    };
    apply(&models(json!({"versioned": true})), &[]);
    assert_eq!(
        all(&server, "v.Thing", &["name", "version"]),
        json!([{"name": "a", "version": 1}, {"name": "b", "version": 1}])
    );
    server.data(&update("v.Thing", &json!({"id": 1, "version": 1}), &json!({"name": "c"})));
    let stale = server.refused(409, &update("v.Thing", &json!({"id": 1, "version": 1}), &json!({"name": "d"})));
    assert_eq!(stale, ["/__meta__/uniqueObject: the v.Thing has been changed; its version is 2 now"]);
    // Turning them off loses them, and so has to be allowed.
    let file = server.folder.file("models.json", &models(json!({})));
    let said = fails(&server.folder, &["models", "apply", file.to_str().unwrap()], 1);
    assert!(said.contains("2 values of v.Thing.version") && said.contains("--allow-data-loss"), "{said}");
    assert_eq!(server.record("v.Thing", &json!(1), &["version"]), json!({"version": 2}));
    apply(&models(json!({})), &["--allow-data-loss"]);
    let unknown = server.refused(400, &request("retrieve", "v.Thing", &json!({}), &json!({"version": null})));
    assert_eq!(unknown, ["/version: v.Thing has no field \"version\""]);
    server.data(&update("v.Thing", &json!({"id": 1}), &json!({"name": "d"})));
    // Once more, and all begin at 1.
    apply(&models(json!({"versioned": true})), &[]);
    assert_eq!(
        all(&server, "v.Thing", &["name", "version"]),
        json!([{"name": "d", "version": 1}, {"name": "b", "version": 1}])
    );
    run(&server.folder, &["check"]);
    assert_eq!(
        run(
            &server.folder,
            &["models", "diff", server.folder.file("m", &models(json!({"versioned": true}))).to_str().unwrap()]
        )
        .trim(),
        "nothing to change"
    );
}

#[test]
fn a_versioned_model_has_no_version_of_its_own() {
    let folder = Folder::new();
    for (models, pointer) in [
        (json!({"v.A": {"versioned": true, "fields": {"version": {"type": "integer"}}}}), "/v.A/fields/version"),
        (
            json!({"v.A": {"versioned": true, "fields": {"version": {"type": "text", "null": true}}}}),
            "/v.A/fields/version",
        ),
        (
            json!({"v.A": {"versioned": true, "fields": {}},
                   "v.B": {"fields": {"a": {"type": "ref", "to": "v.A", "related_name": "version"}}}}),
            "/v.A: \"version\" would be the accessor from v.A back to v.B",
        ),
        (json!({"v.A": {"versioned": "yes", "fields": {}}}), "/v.A/versioned"),
    ] {
        let file = folder.file("models.json", &models.to_string());
        let said = fails(&folder, &["models", "apply", file.to_str().unwrap()], 1);
        assert!(said.contains(pointer), "{pointer}: {said}");
    }
    // Without versions it is a name like any other.
    let models = json!({"v.A": {"versioned": false, "fields": {"version": {"type": "text", "null": true}}}});
    let server = Server::with(&models.to_string(), &[]);
    server.data(&many("v.A", &json!([{"version": "one"}])));
    server.data(&update("v.A", &json!({"id": 1}), &json!({"version": "two"})));
    assert_eq!(all(&server, "v.A", &["version"]), json!([{"version": "two"}]));
}

// -- Envelopes ----------------------------------------------------------------------------------

#[test]
fn each_of_them_has_its_envelope() {
    let server = filled();
    for (request, data, extras, intent, message) in [
        (
            many("m.Item", &json!([])),
            "[]",
            r#""filtered":0,"display":0,"queries":1"#,
            "createMany",
            "0 m.Item records created.",
        ),
        (
            and(many("m.Item", &json!([{"code": "a"}, {"code": "b"}])), "draw", json!(7)),
            r#"[{"id":1},{"id":2}]"#,
            r#""filtered":2,"display":2,"queries":1,"draw":7"#,
            "createMany",
            "2 m.Item records created.",
        ),
        (
            many_with("m.Item", &json!({"return": {"code": null}}), &json!([{"code": "c", "tags": [1]}])),
            r#"[{"code":"c"}]"#,
            r#""filtered":1,"display":1,"queries":4"#,
            "createMany",
            "1 m.Item records created.",
        ),
        (
            update_many("m.Item", &json!({"code__in": ["a", "b"]}), &json!({"rank": 1})),
            r#"{"count":2}"#,
            r#""filtered":2,"display":0,"queries":1"#,
            "updateMany",
            "2 m.Item records updated.",
        ),
        (
            and(update_many("m.Item", &json!({"code": "none"}), &json!({"rank": 1})), "maxAffected", json!(0)),
            r#"{"count":0}"#,
            r#""filtered":0,"display":0,"queries":2"#,
            "updateMany",
            "0 m.Item records updated.",
        ),
        (
            upsert("m.Item", &json!({"code": "d"}), &json!({"rank": 1})),
            r#"{"id":4}"#,
            r#""filtered":1,"display":1,"queries":2"#,
            "upsert",
            "Item created successfully.",
        ),
        (
            upsert("m.Item", &json!({"code": "d"}), &json!({"rank": 2})),
            r#"{"id":4}"#,
            r#""filtered":1,"display":1,"queries":3"#,
            "upsert",
            "Item updated successfully.",
        ),
        (
            and(delete_many("m.Item", &json!({"rank__lte": 2})), "draw", json!("x")),
            r#"{"count":3}"#,
            r#""filtered":3,"display":0,"queries":1,"draw":"x""#,
            "deleteMany",
            "3 m.Item records deleted.",
        ),
    ] {
        let reply = server.send(&request);
        assert_reply(&reply, 200, &success(data, extras, &format!("\"{intent}\""), message));
    }
}

#[test]
fn each_refusal_of_them_has_its_envelope() {
    let server = filled();
    server.data(&many("m.Item", &json!([{"code": "a", "kind": 1}, {"code": "b"}])));
    server.data(&many("m.Page", &json!([{"title": "a"}])));
    server.data(&update("m.Page", &json!({"id": 1}), &json!({"text": "x"})));
    let too_many: Value = (0..10_001).map(|_| json!({})).collect();
    for (request, status, code, message, rest) in [
        (
            many("m.Item", &too_many),
            400,
            "JqlException",
            "a request may hold at most 10000 records to create (objects)",
            r#""pointer":"/__meta__/objects""#,
        ),
        (
            many("m.Item", &json!([{"code": "c"}, {"code": "a"}])),
            409,
            "ConflictException",
            "another m.Item has this code already",
            r#""pointer":"/__meta__/objects/1/code""#,
        ),
        (
            many("m.Item", &json!([{"code": "c"}, {"code": "d", "kind": 9}])),
            400,
            "JqlException",
            "there is no m.Kind with id 9",
            r#""pointer":"/__meta__/objects/1/kind""#,
        ),
        (
            many("m.Item", &json!([{"code": "c"}, {"cod": "d", "code": "d"}])),
            400,
            "JqlException",
            r#"m.Item has no field \"cod\""#,
            r#""pointer":"/__meta__/objects/1/cod","hint":"did you mean \"code\"?""#,
        ),
        (
            and(update_many("m.Item", &json!({}), &json!({"rank": 1})), "maxAffected", json!(1)),
            409,
            "ConflictException",
            "2 m.Item records match, and at most 1 may be changed; nothing was",
            r#""pointer":"/__meta__/maxAffected","hint":"narrow the filter, or raise \"maxAffected\"""#,
        ),
        (
            request("updateMany", "m.Item", &json!({}), &json!({"rank": 1})),
            400,
            "JqlException",
            r#"__meta__ needs the key \"filter\""#,
            r#""pointer":"/__meta__""#,
        ),
        (
            delete_many("m.Kind", &json!({})),
            409,
            "ConflictException",
            "the m.Kind is still referred to by m.Item",
            r#""pointer":"/__meta__/filter""#,
        ),
        (
            upsert("m.Item", &json!({"id": 9}), &json!({"code": "z"})),
            404,
            "NotFoundException",
            "there is no m.Item with id 9",
            r#""pointer":"/__meta__/uniqueObject""#,
        ),
        (
            upsert("m.Page", &json!({"version": 2}), &json!({"title": "z"})),
            400,
            "JqlException",
            r#"\"uniqueObject\" does not name one record of m.Page"#,
            r#""pointer":"/__meta__/uniqueObject","hint":"name one of: id; id with version; title""#,
        ),
        (
            update("m.Page", &json!({"id": 1, "version": 1}), &json!({"text": "y"})),
            409,
            "ConflictException",
            "the m.Page has been changed; its version is 2 now",
            r#""pointer":"/__meta__/uniqueObject","hint":"read the record again, and send its version""#,
        ),
        (
            update("m.Page", &json!({"id": 1}), &json!({"version": 3})),
            400,
            "JqlException",
            r#"\"version\" cannot be written: the server sets it"#,
            r#""pointer":"/version""#,
        ),
        (
            and(many("m.Item", &json!([])), "dryRun", json!(1)),
            400,
            "JqlException",
            "dryRun must be true or false, not 1",
            r#""pointer":"/__meta__/dryRun""#,
        ),
    ] {
        let reply = server.send(&request);
        let intent = request["__meta__"]["intent"].to_string();
        let message = format!("\"{message}\"");
        assert_reply(&reply, status, &refusal(code, &format!("{message},{rest}"), &intent, &message));
    }
}
