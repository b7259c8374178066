//! Transforms of answered values, on every kind of field and wherever fields are asked for.

use crate::support::{Client, MODELS, Reply, Server, request};
use serde_json::{Value, json};

const MODEL: &str = r#"{
  "x.Kind": { "fields": { "name": { "type": "string" }, "since": { "type": "date", "null": true } } },
  "x.Tag": { "fields": { "name": { "type": "string", "null": true } } },
  "x.Thing": { "fields": {
      "name": { "type": "string", "null": true }, "text": { "type": "text", "null": true },
      "whole": { "type": "integer", "null": true },
      "price": { "type": "decimal", "max_digits": 12, "decimal_places": 2, "null": true },
      "ratio": { "type": "float", "null": true }, "flag": { "type": "boolean", "null": true },
      "day": { "type": "date", "null": true }, "moment": { "type": "datetime", "null": true },
      "clock": { "type": "time", "null": true }, "code": { "type": "uuid", "null": true },
      "data": { "type": "json", "null": true },
      "kind": { "type": "ref", "to": "x.Kind", "null": true, "related_name": "things" },
      "tags": { "type": "refs", "to": "x.Tag", "related_name": "things" } } } }"#;

/// The fields of a thing that may be null.
const FIELDS: [&str; 12] =
    ["name", "text", "whole", "price", "ratio", "flag", "day", "moment", "clock", "code", "data", "kind"];

/// A thing (1) with a value in every field, and one (2) with none. Kinds: round (1). Tags: hot (1), cold (2), and one
/// without a name (3).
fn things() -> Server {
    let server = Server::with(MODEL, &[]);
    server.create("x.Kind", &json!({"name": "round", "since": "2020-02-29"}));
    for name in [json!("hot"), json!("cold"), Value::Null] {
        server.create("x.Tag", &json!({"name": name}));
    }
    server.create("x.Thing", &full());
    server.create("x.Thing", &json!({}));
    server
}

fn full() -> Value {
    json!({"name": "straße ÉA", "text": "  two\nlines ", "whole": -1234567, "price": "1234.56", "ratio": 2.675,
           "flag": true, "day": "2026-01-31", "moment": "2026-07-01T11:05:09.123456Z", "clock": "21:30",
           "code": "00000000-0000-4000-8000-00000000000a",
           "data": {"list": [1, "x", null], "n": 1.5, "day": "2026-01-31", "no": null}, "kind": 1, "tags": [1, 2, 3]})
}

/// A field with these transforms.
fn with(transforms: &Value) -> Value {
    json!({"__transform__": transforms})
}

/// The request for fields of one thing.
fn one(id: u64, fields: &Value) -> Value {
    request("retrieveOne", "x.Thing", &json!({"uniqueObject": {"id": id}}), fields)
}

/// Holds one field of a thing against the JSON text that it must be answered with.
#[track_caller]
fn assert_field(server: &Server, id: u64, field: &str, asked: &Value, expected: &str) {
    let body = server.send(&one(id, &json!({field: asked}))).body;
    let expected = format!(r#""data":{{"{field}":{expected}}},"#);
    assert!(body.contains(&expected), "{field} {asked}: {body}\n{expected}");
}

// -- Fields -------------------------------------------------------------------------------------

#[test]
fn the_published_transform_is_answered_to_the_letter() {
    let server = Server::with(MODELS, &[]);
    server.create("tickets.Ticket", &json!({"title": "a"}));
    server.change(r#"UPDATE "tickets.Ticket" SET created = '2026-06-30T23:30:00.000000Z'"#);
    let format = json!({"dateFormat": {"format": "%d %B %Y", "timezone": "Europe/London"}});
    let reply = server.send(&request("retrieve", "tickets.Ticket", &json!({}), &json!({"created": with(&format)})));
    assert!(reply.body.contains(r#""data":[{"created":"01 July 2026"}]"#), "{}", reply.body);
}

#[test]
fn every_transform_applies_to_every_kind_of_field_that_it_goes_with() {
    let server = things();
    for (field, transforms, expected) in [
        ("name", json!({"upper": {}}), r#""STRASSE ÉA""#),
        ("name", json!({"lower": null}), r#""straße éa""#),
        ("name", json!({"capitalize": {}}), r#""Straße éa""#),
        ("name", json!({"truncate": {"length": 5}}), r#""stra…""#),
        ("name", json!({"truncate": {"length": 5, "suffix": ".."}}), r#""str..""#),
        ("name", json!({"truncate": {"length": 9}}), r#""straße ÉA""#),
        ("name", json!({"replace": {"from": "ß", "to": "ss"}}), r#""strasse ÉA""#),
        ("name", json!({"replace": {"from": " "}}), r#""straßeÉA""#),
        ("name", json!({"prefix": {"value": "\"<"}}), r#""\"<straße ÉA""#),
        ("name", json!({"suffix": {"value": ">"}}), r#""straße ÉA>""#),
        ("name", json!({"map": {"values": {"straße ÉA": {"any": [1]}}}}), r#"{"any":[1]}"#),
        ("name", json!({"map": {"values": {}}}), r#""straße ÉA""#),
        ("name", json!({"map": {"values": {}, "default": null}}), "null"),
        ("name", json!({"default": {"value": "-"}}), r#""straße ÉA""#),
        ("name", json!({"length": {}}), "9"),
        ("name", json!({"cast": {"type": "integer"}}), "null"),
        ("text", json!({"trim": {}}), r#""two\nlines""#),
        ("text", json!({"replace": {"from": "\n", "to": " "}}), r#""  two lines ""#),
        ("whole", json!({"round": {"digits": -3}}), "-1235000"),
        ("whole", json!({"round": {}}), "-1234567"),
        ("whole", json!({"numberFormat": {}}), r#""-1,234,567""#),
        ("whole", json!({"numberFormat": {"decimals": 2, "thousands": ".", "point": ","}}), r#""-1.234.567,00""#),
        ("whole", json!({"prefix": {"value": "#"}}), r##""#-1234567""##),
        ("whole", json!({"truncate": {"length": 4}}), r#""-12…""#),
        ("whole", json!({"map": {"values": {"-1234567": "few"}}}), r#""few""#),
        ("whole", json!({"length": {}}), "8"),
        ("whole", json!({"cast": {"type": "integer"}}), "-1234567"),
        ("whole", json!({"cast": {"type": "float"}}), "-1234567.0"),
        ("whole", json!({"cast": {"type": "decimal"}}), r#""-1234567""#),
        ("whole", json!({"cast": {"type": "string"}}), r#""-1234567""#),
        ("whole", json!({"cast": {"type": "boolean"}}), "true"),
        ("whole", json!({"cast": {"type": "date"}}), "null"),
        ("price", json!({"round": {"digits": 1}}), r#""1234.6""#),
        ("price", json!({"round": {"digits": 3}}), r#""1234.560""#),
        ("price", json!({"round": {}}), r#""1235""#),
        ("price", json!({"numberFormat": {"decimals": 1}}), r#""1,234.6""#),
        ("price", json!({"suffix": {"value": " €"}}), r#""1234.56 €""#),
        ("price", json!({"cast": {"type": "integer"}}), "1234"),
        ("price", json!({"cast": {"type": "float"}}), "1234.56"),
        ("price", json!({"cast": {"type": "string"}}), r#""1234.56""#),
        ("price", json!({"length": {}}), "7"),
        ("ratio", json!({"round": {"digits": 2}}), "2.68"),
        ("ratio", json!({"round": {}}), "3.0"),
        ("ratio", json!({"numberFormat": {"decimals": 1}}), r#""2.7""#),
        ("ratio", json!({"cast": {"type": "decimal"}}), r#""2.675""#),
        ("ratio", json!({"cast": {"type": "integer"}}), "2"),
        ("flag", json!({"upper": {}}), r#""TRUE""#),
        ("flag", json!({"map": {"values": {"true": "yes", "false": "no"}}}), r#""yes""#),
        ("flag", json!({"cast": {"type": "integer"}}), "1"),
        ("flag", json!({"cast": {"type": "string"}}), r#""true""#),
        (
            "day",
            json!({"dateFormat": {"format": "%A, %-d %B %Y (%j) 100%%"}}),
            r#""Saturday, 31 January 2026 (031) 100%""#,
        ),
        ("day", json!({"replace": {"from": "-", "to": "/"}}), r#""2026/01/31""#),
        ("day", json!({"cast": {"type": "datetime"}}), r#""2026-01-31T00:00:00.000000Z""#),
        ("day", json!({"map": {"values": {"2026-01-31": 1}}}), "1"),
        ("moment", json!({"dateFormat": {"format": "%d/%m/%y %H:%M:%S"}}), r#""01/07/26 11:05:09""#),
        ("moment", json!({"dateFormat": {"format": "%H:%M %Z", "timezone": "Europe/London"}}), r#""12:05 BST""#),
        ("moment", json!({"cast": {"type": "date"}}), r#""2026-07-01""#),
        ("moment", json!({"truncate": {"length": 16, "suffix": ""}}), r#""2026-07-01T11:05""#),
        ("clock", json!({"dateFormat": {"format": "%I:%M %p"}}), r#""09:30 PM""#),
        ("clock", json!({"truncate": {"length": 5, "suffix": ""}}), r#""21:30""#),
        ("code", json!({"upper": {}}), r#""00000000-0000-4000-8000-00000000000A""#),
        ("code", json!({"replace": {"from": "-"}}), r#""0000000000004000800000000000000a""#),
        ("data", json!({"length": {}}), "4"),
        ("data", json!({"default": {"value": {}}}), r#"{"list":[1,"x",null],"n":1.5,"day":"2026-01-31","no":null}"#),
        ("data", json!({"cast": {"type": "string"}, "truncate": {"length": 9, "suffix": ""}}), r#""{\"list\":[""#),
        ("data", json!({"join": {}}), "null"),
        ("data", json!({"round": {}}), "null"),
        ("kind", json!({"prefix": {"value": "kind "}}), r#""kind 1""#),
        ("kind", json!({"map": {"values": {"1": "round"}}}), r#""round""#),
        ("id", json!({"suffix": {"value": "."}}), r#""1.""#),
        ("pk", json!({"cast": {"type": "string"}}), r#""1""#),
        ("tags", json!({"join": {}}), r#""1, 2, 3""#),
        ("tags", json!({"join": {"separator": ""}}), r#""123""#),
        ("tags", json!({"length": {}}), "3"),
        ("tags", json!({"default": {"value": 0}}), "[1,2,3]"),
    ] {
        assert_field(&server, 1, field, &with(&transforms), expected);
    }
}

#[test]
fn transforms_apply_in_the_order_in_which_they_are_written() {
    let server = things();
    for (field, transforms, expected) in [
        ("name", r#"{"upper":{},"replace":{"from":"SS","to":"z"}}"#, r#""STRAzE ÉA""#),
        ("name", r#"{"replace":{"from":"SS","to":"z"},"upper":{}}"#, r#""STRASSE ÉA""#),
        ("name", r#"{"prefix":{"value":"a"},"capitalize":{}}"#, r#""Astraße éa""#),
        ("name", r#"{"capitalize":{},"prefix":{"value":"a"}}"#, r#""aStraße éa""#),
        ("name", r#"{"suffix":{"value":"!"},"prefix":{"value":"?"},"length":{},"cast":{"type":"decimal"}}"#, r#""11""#),
        ("name", r#"{"truncate":{"length":3},"suffix":{"value":"-"}}"#, r#""st…-""#),
        ("name", r#"{"suffix":{"value":"-"},"truncate":{"length":3}}"#, r#""st…""#),
        ("price", r#"{"round":{"digits":-2},"numberFormat":{},"prefix":{"value":"£"}}"#, r#""£1,200""#),
        (
            "day",
            r#"{"cast":{"type":"datetime"},"dateFormat":{"format":"%H:%M","timezone":"Asia/Tokyo"}}"#,
            r#""09:00""#,
        ),
        ("moment", r#"{"cast":{"type":"date"},"dateFormat":{"format":"%F"},"replace":{"from":"-"},"length":{}}"#, "8"),
        ("flag", r#"{"map":{"values":{"true":"2026-02-01"}},"dateFormat":{"format":"%d.%m."}}"#, r#""01.02.""#),
        ("tags", r#"{"join":{"separator":"1"},"cast":{"type":"integer"},"round":{"digits":-1}}"#, "11210"),
    ] {
        let transforms: Value = serde_json::from_str(transforms).unwrap();
        assert_field(&server, 1, field, &with(&transforms), expected);
    }
}

#[test]
fn null_stays_null_but_for_defaults() {
    let server = things();
    for transforms in [
        json!({"upper": {}}),
        json!({"lower": {}}),
        json!({"capitalize": {}}),
        json!({"trim": {}}),
        json!({"truncate": {"length": 3}}),
        json!({"replace": {"from": "n", "to": "m"}}),
        json!({"prefix": {"value": "a"}}),
        json!({"suffix": {"value": "a"}}),
        json!({"map": {"values": {"null": 1, "": 2}}}),
        json!({"length": {}}),
        json!({"cast": {"type": "string"}}),
        json!({"cast": {"type": "boolean"}}),
        json!({"default": {"value": null}}),
        json!({"cast": {"type": "integer"}, "round": {"digits": 2}}),
        json!({"cast": {"type": "decimal"}, "numberFormat": {}}),
        json!({"cast": {"type": "datetime"}, "dateFormat": {"format": "%F"}}),
    ] {
        for field in FIELDS {
            assert_field(&server, 2, field, &with(&transforms), "null");
        }
    }
    for field in FIELDS {
        for value in [json!("-"), json!(0), json!(false), json!(["a"]), json!({"a": null})] {
            let text = value.to_string();
            assert_field(&server, 2, field, &with(&json!({"default": {"value": value}})), &text);
            assert_field(&server, 2, field, &with(&json!({"map": {"values": {}, "default": value}})), &text);
        }
        assert_field(&server, 2, field, &with(&json!({"default": {"value": "ab"}, "upper": {}})), r#""AB""#);
    }
    // An empty list is not null, nor is an empty text.
    assert_field(&server, 2, "tags", &with(&json!({"join": {}})), r#""""#);
    assert_field(&server, 2, "tags", &with(&json!({"length": {}})), "0");
    assert_field(&server, 2, "tags", &with(&json!({"default": {"value": 1}})), "[]");
    server.data(&request("update", "x.Thing", &json!({"uniqueObject": {"id": 2}}), &json!({"name": ""})));
    assert_field(&server, 2, "name", &with(&json!({"default": {"value": "-"}})), r#""""#);
    assert_field(&server, 2, "name", &with(&json!({"map": {"values": {"": "empty"}}})), r#""empty""#);
}

#[test]
fn references_lists_and_what_is_in_them_are_transformed() {
    let server = things();
    let plain = |transforms: Value, fields: Value| {
        let mut all = fields;
        all["__transform__"] = transforms;
        all
    };
    let join = json!({"join": {}});
    for (id, field, asked, expected) in [
        // Fields of a nested record, and the record itself.
        (1, "kind", json!({"name": with(&json!({"upper": {}})), "id": null}), r#"{"name":"ROUND","id":1}"#),
        (1, "kind", json!({"since": with(&json!({"dateFormat": {"format": "%b %Y"}}))}), r#"{"since":"Feb 2020"}"#),
        (2, "kind", json!({"name": with(&json!({"default": {"value": "-"}}))}), "null"),
        (2, "kind", plain(json!({"default": {"value": {"name": "-"}}}), json!({"name": null})), r#"{"name":"-"}"#),
        (1, "kind", plain(json!({"default": {"value": 0}}), json!({"name": null})), r#"{"name":"round"}"#),
        (1, "kind", plain(json!({"length": {}}), json!({"name": null, "id": null})), "2"),
        (2, "kind", plain(json!({"length": {}}), json!({"name": null})), "null"),
        // The records of a list, each one's fields, and the list itself.
        (
            1,
            "tags",
            json!({"name": with(&json!({"capitalize": {}, "default": {"value": "?"}}))}),
            r#"[{"name":"Hot"},{"name":"Cold"},{"name":"?"}]"#,
        ),
        (1, "tags", plain(join.clone(), json!({"name": null})), r#""hot, cold""#),
        (1, "tags", plain(join.clone(), json!({"name": with(&json!({"upper": {}}))})), r#""HOT, COLD""#),
        (
            1,
            "tags",
            plain(join.clone(), json!({"__meta__": {"ordering": "name", "limit": 2}, "name": null})),
            r#""cold""#,
        ),
        (1, "tags", plain(json!({"join": {"separator": "+"}, "length": {}}), json!({"name": null})), "8"),
        (
            1,
            "tags",
            plain(join.clone(), json!({"id": null, "name": null, "__meta__": {"limit": 1}})),
            r#""{\"id\":1,\"name\":\"hot\"}""#,
        ),
        (
            1,
            "tags",
            plain(json!({"length": {}}), json!({"__meta__": {"filter": {"name__isnull": false}}, "id": null})),
            "2",
        ),
        (2, "tags", plain(join.clone(), json!({"name": null})), r#""""#),
        // The way back, at every level.
        (1, "kind", json!({"things": with(&join)}), r#"{"things":"1"}"#),
        (
            1,
            "kind",
            json!({"things": plain(join.clone(), json!({"tags": plain(join.clone(), json!({"name": null}))}))}),
            r#"{"things":"hot, cold"}"#,
        ),
        (1, "kind", json!({"things": {"price": with(&json!({"round": {}}))}}), r#"{"things":[{"price":"1235"}]}"#),
    ] {
        assert_field(&server, id, field, &asked, expected);
    }
    // A list that is cut is named though only its text is answered.
    let asked = plain(join, json!({"__meta__": {"limit": 2}, "id": null}));
    let reply = server.send(&one(1, &json!({"tags": asked}))).json();
    assert_eq!((&reply["data"], &reply["extras"]["truncated"]), (&json!({"tags": "1, 2"}), &json!(["tags"])));
}

#[test]
fn a_write_answers_transformed_values() {
    let server = things();
    let upper = with(&json!({"upper": {}}));
    let returned = json!({"name": upper, "price": with(&json!({"numberFormat": {"decimals": 2}})),
                          "kind": {"name": upper}, "tags": {"name": null, "__transform__": {"join": {}}}});
    let values = json!({"name": "new", "price": "1000", "kind": 1, "tags": [1, 2]});
    let expected = json!({"name": "NEW", "price": "1,000.00", "kind": {"name": "ROUND"}, "tags": "hot, cold"});
    for (intent, meta, beside, expected) in [
        ("create", json!({}), values.clone(), expected.clone()),
        (
            "createMany",
            json!({"objects": [values, {}]}),
            json!({}),
            json!([expected, {"name": null, "price": null, "kind": null, "tags": ""}]),
        ),
        ("update", json!({"uniqueObject": {"id": 2}}), values.clone(), expected.clone()),
        ("upsert", json!({"uniqueObject": {"id": 1}}), values, expected),
    ] {
        let mut meta = meta;
        meta["return"] = returned.clone();
        assert_eq!(server.data(&request(intent, "x.Thing", &meta, &beside)), expected, "{intent}");
    }
    let wrong = json!({"return": {"name": with(&json!({"round": {}}))}});
    server.assert_mistakes(
        &request("create", "x.Thing", &wrong, &json!({"name": "new"})),
        "/__meta__/return/name/__transform__",
        r#"/round: "round" goes with numbers ("cast" makes one), not with text"#,
    );
    assert_eq!(server.count("x.Thing"), 5, "the wrong one was not made");
}

#[test]
fn a_transform_of_what_was_written_takes_no_leave_to_read() {
    let server = things();
    let key = server.key_for("x.Thing:create");
    let create =
        |returned: Value| request("create", "x.Thing", &json!({"return": returned}), &json!({"name": "ab", "kind": 1}));
    let upper = json!({"__transform__": {"upper": {}}});
    let named = |field: &str| json!({"x": {"__field__": field, "__transform__": {"upper": {}}}});
    for (returned, expected) in [
        (json!({"name": upper, "pk": upper}), Some(json!({"name": "AB", "pk": "3"}))),
        (named("name"), Some(json!({"x": "AB"}))),
        (named("kind"), Some(json!({"x": "1"}))),
        (json!({"price": upper}), None),
        (named("price"), None),
        (named("kind__name"), None),
        (named("moment__year"), None),
        (json!({"kind": {"name": upper}}), None),
        (json!({"kind": {"name": null, "__transform__": {"length": {}}}}), None),
    ] {
        let reply = server.send_as(&key, &create(returned.clone()));
        match expected {
            Some(expected) => assert_eq!(reply.json()["data"], expected, "{returned}"),
            None => assert!(reply.status == 403 && reply.body.contains("x.Thing:read"), "{returned}\n{}", reply.body),
        }
    }
}

#[test]
fn a_field_may_stand_under_any_number_of_other_names() {
    let server = things();
    let named = |field: &str, transforms: Value| json!({"__field__": field, "__transform__": transforms});
    let of = |field: &str| json!({"__field__": field});
    let upper = json!({"upper": {}});
    let length = json!({"length": {}});
    let format = |format: &str| json!({"dateFormat": {"format": format}});
    let (join, zero) = (json!({"join": {"separator": "-"}}), json!({"default": {"value": 0}}));
    for (fields, expected) in [
        (
            json!({"a": named("name", upper.clone()), "name": null, "b": named("name", length.clone())}),
            r#"{"a":"STRASSE ÉA","name":"straße ÉA","b":9}"#,
        ),
        // A name may be that of another field.
        (json!({"price": of("whole"), "whole": of("price")}), r#"{"price":-1234567,"whole":"1234.56"}"#),
        // Values at the end of a path, parts of dates, places inside json.
        (
            json!({"x": of("kind__name"), "y": of("kind_id"), "z": of("kind__since__month")}),
            r#"{"x":"round","y":1,"z":2}"#,
        ),
        (
            json!({"x": of("moment__hour"), "y": of("moment__date"), "z": of("day__week")}),
            r#"{"x":11,"y":"2026-07-01","z":5}"#,
        ),
        (
            json!({"x": of("data__list"), "y": of("data__list__1"), "z": of("data__n")}),
            r#"{"x":[1,"x",null],"y":"x","z":1.5}"#,
        ),
        (json!({"no": of("data__no"), "none": of("data__nothing")}), r#"{"no":null,"none":null}"#),
        (
            json!({"x": named("kind__name", upper), "y": named("kind__since", format("%Y"))}),
            r#"{"x":"ROUND","y":"2020"}"#,
        ),
        (json!({"x": named("data__list", join), "y": named("data__day", format("%d"))}), r#"{"x":"1-x","y":"31"}"#),
        (json!({"x": named("data__n", json!({"round": {}})), "y": named("data__no", zero)}), r#"{"x":2.0,"y":0}"#),
        (json!({"x": named("moment__month", json!({"map": {"values": {"7": "July"}}}))}), r#"{"x":"July"}"#),
        // Relations, their lists and records among them.
        (json!({"ids": of("tags"), "n": named("tags", length.clone())}), r#"{"ids":[1,2,3],"n":3}"#),
        (json!({"k": {"__field__": "kind", "name": null}}), r#"{"k":{"name":"round"}}"#),
        (json!({"l": {"__field__": "tags", "__meta__": {"limit": 1}, "name": null}}), r#"{"l":[{"name":"hot"}]}"#),
        (
            json!({"hot": {"__field__": "tags", "__meta__": {"filter": {"name": "hot"}}, "id": null},
                   "others": {"__field__": "tags", "__meta__": {"exclude": {"name": "hot"}}, "id": null,
                              "__transform__": length}}),
            r#"{"hot":[{"id":1}],"others":2}"#,
        ),
        (
            json!({"kind": {"k": of("name"), "t": {"__field__": "things", "x": of("whole")}}}),
            r#"{"kind":{"k":"round","t":[{"x":-1234567}]}}"#,
        ),
    ] {
        let body = server.send(&one(1, &fields)).body;
        assert!(body.contains(&format!(r#""data":{expected},"#)), "{fields}: {body}\n{expected}");
    }
    let cut = json!({"some": {"__field__": "tags", "__meta__": {"limit": 1}, "id": null}});
    assert_eq!(server.send(&one(1, &cut)).json()["extras"]["truncated"], json!(["some"]));
    for (field, mistake) in [
        (of("nme"), r#"/__field__: x.Thing has no field "nme" (did you mean "name"?)"#),
        (of("kind__nme"), r#"/__field__: x.Kind has no field "nme" (did you mean "name"?)"#),
        (of("tags__name"), r#"/__field__: "tags__name" leads to many records, where one value is wanted"#),
        (of("name__upper"), r#"/__field__: "name" has no lookup "upper" (it takes no lookup here)"#),
        (of("clock__day"), r#"/__field__: "clock" has no lookup "day" (it takes hour, minute, second)"#),
        (json!({"__field__": 1}), "/__field__: __field__ must be the name of a field, not 1"),
        (
            json!({"__field__": "name", "id": null}),
            r#": "name" of x.Thing is a plain field and holds no others (ask for it with "name": null)"#,
        ),
    ] {
        server.assert_mistakes(&one(1, &json!({"x": field})), "/x", mistake);
    }
}

#[test]
fn moments_are_written_in_zones_by_name_through_every_change_of_the_clock() {
    let server = things();
    for (zone, moment, expected) in [
        ("Europe/London", "2026-03-29T00:59:59Z", "2026-03-29 00:59:59 +0000 GMT"),
        ("Europe/London", "2026-03-29T01:00:00Z", "2026-03-29 02:00:00 +0100 BST"),
        ("Europe/London", "2026-10-25T00:59:59Z", "2026-10-25 01:59:59 +0100 BST"),
        ("Europe/London", "2026-10-25T01:00:00Z", "2026-10-25 01:00:00 +0000 GMT"),
        ("America/New_York", "2026-03-08T06:59:59Z", "2026-03-08 01:59:59 -0500 EST"),
        ("America/New_York", "2026-03-08T07:00:00Z", "2026-03-08 03:00:00 -0400 EDT"),
        ("America/New_York", "2026-01-01T04:59:59Z", "2025-12-31 23:59:59 -0500 EST"),
        ("Australia/Lord_Howe", "2026-04-04T14:59:59Z", "2026-04-05 01:59:59 +1100 +11"),
        ("Australia/Lord_Howe", "2026-04-04T15:00:00Z", "2026-04-05 01:30:00 +1030 +1030"),
        ("Asia/Kathmandu", "2026-07-01T18:15:00Z", "2026-07-02 00:00:00 +0545 +0545"),
        ("Asia/Kolkata", "2024-02-28T18:30:00Z", "2024-02-29 00:00:00 +0530 IST"),
        ("Pacific/Kiritimati", "2025-12-31T10:00:00Z", "2026-01-01 00:00:00 +1400 +14"),
        ("Pacific/Apia", "2011-12-30T09:59:59Z", "2011-12-29 23:59:59 -1000 -10"),
        ("Pacific/Apia", "2011-12-30T10:00:00Z", "2011-12-31 00:00:00 +1400 +14"),
        ("Europe/Lisbon", "1890-01-01T00:00:00Z", "1889-12-31 23:23:15 -003645 LMT"),
        ("UTC", "2026-07-01T00:00:00Z", "2026-07-01 00:00:00 +0000 UTC"),
        ("europe/berlin", "2050-07-01T00:00:00Z", "2050-07-01 02:00:00 +0200 CEST"),
        ("Etc/GMT+5", "2026-07-01T00:00:00Z", "2026-06-30 19:00:00 -0500 -05"),
    ] {
        server.data(&request("update", "x.Thing", &json!({"uniqueObject": {"id": 1}}), &json!({"moment": moment})));
        let transforms = json!({"dateFormat": {"format": "%F %T %z %Z", "timezone": zone}});
        assert_field(&server, 1, "moment", &with(&transforms), &json!(expected).to_string());
    }
}

// -- Mistakes and bounds ------------------------------------------------------------------------

#[test]
fn mistakes_in_transforms_are_all_pointed_out() {
    let server = things();
    for (field, transforms, mistakes) in [
        ("name", json!({"uper": {}}), r#"/uper: "__transform__" has no key "uper" (did you mean "upper"?)"#),
        ("name", json!({"cast ": {}}), r#"/cast : "__transform__" has no key "cast " (did you mean "cast"?)"#),
        ("name", json!({"reverse": {}}), r#"/reverse: "__transform__" has no key "reverse""#),
        ("name", json!({"UPPER": {}}), r#"/UPPER: "__transform__" has no key "UPPER""#),
        ("name", json!({"abs": {}}), r#"/abs: "__transform__" has no key "abs""#),
        ("name", json!({"upper": []}), r#"/upper: "upper" must be an object of options, not []"#),
        ("name", json!({"upper": {"x": 1}}), r#"/upper/x: "upper" has no key "x""#),
        (
            "name",
            json!({"truncate": {"lenght": 3}}),
            concat!(
                "/truncate/lenght: \"truncate\" has no key \"lenght\" (did you mean \"length\"?)\n",
                "/truncate: \"truncate\" needs the key \"length\""
            ),
        ),
        ("name", json!({"truncate": null}), r#"/truncate: "truncate" needs the key "length""#),
        ("name", json!({"replace": {"to": "a"}}), r#"/replace: "replace" needs the key "from""#),
        ("name", json!({"prefix": {}}), r#"/prefix: "prefix" needs the key "value""#),
        (
            "name",
            json!({"suffix": {"value": 1}}),
            r#"/suffix/value: "value" must be a string of at most 1000 characters, not 1"#,
        ),
        ("name", json!({"map": {}}), r#"/map: "map" needs the key "values""#),
        ("name", json!({"map": {"values": ["a"]}}), r#"/map/values: "values" must be an object of values, not ["a"]"#),
        ("name", json!({"default": {}}), r#"/default: "default" needs the key "value""#),
        ("name", json!({"cast": {}}), r#"/cast: "cast" needs the key "type""#),
        (
            "name",
            json!({"cast": {"type": "Integer"}}),
            concat!(
                "/cast/type: \"type\" must be one of integer, float, decimal, string, boolean, date, datetime, ",
                "not \"Integer\""
            ),
        ),
        ("name", json!({"join": {}}), r#"/join: "join" goes with lists, not with text"#),
        (
            "name",
            json!({"round": {"digits": 0.5}}),
            concat!(
                "/round: \"round\" goes with numbers (\"cast\" makes one), not with text\n",
                "/round/digits: \"digits\" must be a whole number from -18 to 18, not 0.5"
            ),
        ),
        (
            "flag",
            json!({"numberFormat": {}}),
            r#"/numberFormat: "numberFormat" goes with numbers ("cast" makes one), not with a boolean"#,
        ),
        ("day", json!({"round": {}}), r#"/round: "round" goes with numbers ("cast" makes one), not with a date"#),
        (
            "price",
            json!({"dateFormat": {"format": "%d"}}),
            concat!(
                "/dateFormat: \"dateFormat\" goes with dates, datetimes and times (\"cast\" makes one), ",
                "not with a decimal"
            ),
        ),
        ("tags", json!({"upper": {}}), r#"/upper: "upper" goes with plain values, not with a list"#),
        ("tags", json!({"map": {"values": {}}}), r#"/map: "map" goes with plain values, not with a list"#),
        ("moment", json!({"dateFormat": {}}), r#"/dateFormat: "dateFormat" needs the key "format""#),
        (
            "moment",
            json!({"dateFormat": {"format": ""}}),
            r#"/dateFormat/format: "format" must be a string of 1 to 200 characters, not """#,
        ),
        (
            "moment",
            json!({"dateFormat": {"format": "%!", "timezone": "Europe/Londn"}}),
            concat!(
                "/dateFormat/timezone: \"timezone\" must be the name of a time zone such as Europe/London, ",
                "not \"Europe/Londn\"; did you mean \"Europe/London\"?\n",
                "/dateFormat/format: \"format\" is no format for a datetime: found unrecognized specifier directive `!`"
            ),
        ),
        (
            "day",
            json!({"dateFormat": {"format": "%H"}}),
            r#"/dateFormat/format: "format" is no format for a date: requires time to format"#,
        ),
        (
            "clock",
            json!({"dateFormat": {"format": "%Y"}}),
            r#"/dateFormat/format: "format" is no format for a time: requires date to format"#,
        ),
        (
            "day",
            json!({"dateFormat": {"format": "%d", "timezone": "Europe/London"}}),
            r#"/dateFormat/timezone: "timezone" goes with datetimes, not with a date"#,
        ),
        // The kind is that of what came out before.
        ("name", json!({"length": {}, "join": {}}), r#"/join: "join" goes with lists, not with a number"#),
        (
            "whole",
            json!({"numberFormat": {}, "round": {}}),
            r#"/round: "round" goes with numbers ("cast" makes one), not with text"#,
        ),
        (
            "moment",
            json!({"cast": {"type": "date"}, "dateFormat": {"format": "%H"}}),
            r#"/dateFormat/format: "format" is no format for a date: requires time to format"#,
        ),
    ] {
        let at = format!("/{field}/__transform__");
        server.assert_mistakes(&one(1, &json!({field: with(&transforms)})), &at, mistakes);
    }
    for (transforms, shown) in [(json!([]), "[]"), (json!("upper"), r#""upper""#), (json!(null), "null")] {
        let mistake = format!(": __transform__ must be an object of transforms, not {shown}");
        server.assert_mistakes(&one(1, &json!({"name": with(&transforms)})), "/name/__transform__", &mistake);
    }
    // One field's mistakes do not hide another's, at whatever level.
    let day = with(&json!({"trim": {"x": 1}}));
    let fields = json!({
        "name": with(&json!({"uper": {}})), "price": with(&json!({"round": {"digits": 19}})),
        "kind": {"name": with(&json!({"lowr": {}})), "things": {"__meta__": {"limit": 1}, "day": day}},
        "tags": {"name": null, "__transform__": {"join": {"separator": 1}}}, "nothing": with(&json!({"upper": {}}))
    });
    server.assert_mistakes(
        &one(1, &fields),
        "",
        r#"/name/__transform__/uper: "__transform__" has no key "uper" (did you mean "upper"?)
/price/__transform__/round/digits: "digits" must be a whole number from -18 to 18, not 19
/kind/name/__transform__/lowr: "__transform__" has no key "lowr" (did you mean "lower"?)
/kind/things/day/__transform__/trim/x: "trim" has no key "x"
/tags/__transform__/join/separator: "separator" must be a string of at most 1000 characters, not 1
/nothing: x.Thing has no field "nothing""#,
    );
}

#[test]
fn options_have_bounds() {
    let server = things();
    let long = |count: usize| "é".repeat(count);
    for (field, name, option, highest, beyond) in [
        ("name", "prefix", "value", json!(long(1000)), json!(long(1001))),
        ("name", "suffix", "value", json!(long(1000)), json!(long(1001))),
        ("name", "default", "value", json!(long(998)), json!(long(999))),
        ("name", "default", "value", json!(vec![1; 499]), json!(vec![1; 500])),
        ("name", "truncate", "length", json!(100_000), json!(100_001)),
        ("name", "truncate", "length", json!(1), json!(0)),
        ("name", "map", "values", json!({"a": long(998)}), json!({"a": long(999)})),
        ("price", "round", "digits", json!(18), json!(19)),
        ("price", "round", "digits", json!(-18), json!(-19)),
        ("price", "numberFormat", "decimals", json!(18), json!(19)),
        ("price", "numberFormat", "decimals", json!(0), json!(-1)),
        ("price", "numberFormat", "thousands", json!(long(1000)), json!(long(1001))),
        ("price", "numberFormat", "point", json!(long(1000)), json!(long(1001))),
        ("tags", "join", "separator", json!(long(1000)), json!(long(1001))),
        ("moment", "dateFormat", "format", json!(long(200)), json!(long(201))),
    ] {
        let asked = |value: &Value| one(1, &json!({field: with(&json!({name: {option: value}}))}));
        assert_eq!(server.send(&asked(&highest)).status, 200, "{name} {option} {highest}");
        let errors = server.refused(400, &asked(&beyond));
        let at = format!("/{field}/__transform__/{name}/{option}: \"{option}\" must ");
        assert!(errors.len() == 1 && errors[0].starts_with(&at), "{name} {option}: {errors:?}");
    }
    for (option, most) in [("from", 1000), ("to", 1000)] {
        let asked = |count: usize| {
            let mut options = json!({"from": "x", "to": "y"});
            options[option] = json!(long(count));
            one(1, &json!({"name": with(&json!({"replace": options}))}))
        };
        assert_eq!(server.send(&asked(most)).status, 200, "{option}");
        server.refused(400, &asked(most + 1));
    }
    // Transforms count among the fields and conditions of a request.
    let field = json!({"__field__": "name", "__transform__": {"upper": {}, "lower": {}, "trim": {}, "length": {}}});
    let fields =
        |count: usize| (0..count).map(|index| (format!("f{index}"), field.clone())).collect::<serde_json::Map<_, _>>();
    assert_eq!(server.send(&one(1, &Value::Object(fields(100)))).status, 200);
    let errors = server.refused(400, &one(1, &Value::Object(fields(101))));
    assert!(errors[0].ends_with("a request may hold at most 500 fields and conditions"), "{errors:?}");
}

#[test]
fn transforms_that_would_fill_the_memory_are_refused_and_the_server_lives() {
    let server = Server::with(MODEL, &["--max-body", "8000000"]);
    let mut client = Client::connect(&server.address);
    let mut send = |request: &Value| -> Reply { client.jql(&server.key, &request.to_string()) };
    let make = |values: Value| request("create", "x.Thing", &json!({}), &values);
    assert_eq!(send(&make(json!({"text": "a".repeat(1_000_000)}))).status, 200);
    for length in [10_000, 100_000] {
        assert_eq!(send(&make(json!({"text": "a".repeat(length)}))).status, 200);
    }
    let numbers = json!({"list": vec![0; 100_000], "n": 1});
    assert_eq!(send(&make(json!({"data": numbers}))).status, 200);
    let all = |fields: Value| request("retrieve", "x.Thing", &json!({"ordering": "pk"}), &fields);
    let replace = |to: usize| json!({"replace": {"from": "a", "to": "b".repeat(to)}});
    let long = "x".repeat(1000);
    let b = json!({"__field__": "text", "__transform__": replace(1000)});
    let refused = "the answer would hold more than 64 MiB of JSON";
    for (request, is_refused) in [
        (one(2, &json!({"text": with(&replace(1000))})), false),
        (one(3, &json!({"text": with(&replace(1000))})), true),
        (one(1, &json!({"text": with(&replace(1000))})), true),
        (one(1, &json!({"text": with(&replace(1))})), false),
        // Later steps make it no better.
        (
            one(1, &json!({"text": with(&json!({"replace": {"from": "a", "to": long}, "truncate": {"length": 10}}))})),
            true,
        ),
        (one(1, &json!({"text": with(&json!({"replace": {"from": "a", "to": long}, "length": {}}))})), true),
        // Nor does it help to spread it over fields.
        (one(2, &json!({"a": b, "b": b, "c": b, "d": b, "e": b, "f": b, "g": b})), true),
        (one(4, &json!({"x": {"__field__": "data__list", "__transform__": {"join": {"separator": long}}}})), true),
        (one(4, &json!({"x": {"__field__": "data__list", "__transform__": {"join": {}, "length": {}}}})), false),
        (all(json!({"text": with(&replace(1000))})), true),
        (all(json!({"text": with(&json!({"length": {}}))})), false),
    ] {
        let reply = send(&request);
        if is_refused {
            assert_eq!((reply.status, reply.errors()), (400, vec![format!(": {refused}")]), "{request:.300}");
        } else {
            assert_eq!(reply.status, 200, "{request:.300}\n{:.300}", reply.body);
        }
    }
    // Numbers that would be as long as their exponent says stay as they are.
    assert_eq!(send(&make(json!({"data": {"n": "1e999999999"}}))).status, 200);
    server.change(r#"UPDATE "x.Thing" SET data = '{"n":1e999999999}' WHERE id = 5"#);
    for transforms in [
        json!({"round": {"digits": 2}}),
        json!({"numberFormat": {"decimals": 18}}),
        json!({"cast": {"type": "decimal"}}),
    ] {
        let reply = send(&one(5, &json!({"x": {"__field__": "data__n", "__transform__": transforms}})));
        assert!(reply.status == 200 && reply.body.len() < 1000, "{transforms}: {:.300}", reply.body);
    }
}
