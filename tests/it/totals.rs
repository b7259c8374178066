//! Totals: subqueries, and the groups of an `aggregate`.

use crate::support::{Client, MODELS, Server, request};
use serde_json::{Value, json};

const MARKET: &str = r#"{
  "m.Stall": { "fields": {
      "name": { "type": "string" }, "opened": { "type": "date", "null": true },
      "budget": { "type": "decimal", "max_digits": 10, "decimal_places": 2, "null": true },
      "data": { "type": "json", "null": true } } },
  "m.Label": { "fields": { "name": { "type": "string" }, "weight": { "type": "integer", "null": true } } },
  "m.Item": { "fields": {
      "name": { "type": "string" }, "note": { "type": "text", "null": true },
      "amount": { "type": "integer", "null": true },
      "price": { "type": "decimal", "max_digits": 18, "decimal_places": 2, "null": true },
      "ratio": { "type": "float", "null": true }, "flag": { "type": "boolean", "null": true },
      "day": { "type": "date", "null": true }, "moment": { "type": "datetime", "null": true },
      "clock": { "type": "time", "null": true }, "code": { "type": "uuid", "null": true },
      "data": { "type": "json", "null": true },
      "stall": { "type": "ref", "to": "m.Stall", "null": true, "related_name": "items" },
      "labels": { "type": "refs", "to": "m.Label", "related_name": "items" } },
    "search": ["name"] },
  "m.Sale": { "fields": {
      "item": { "type": "ref", "to": "m.Item", "related_name": "sales" },
      "count": { "type": "integer" }, "day": { "type": "date", "null": true } } } }"#;

const CODES: [&str; 2] = ["00000000-0000-4000-8000-00000000000a", "00000000-0000-4000-8000-00000000000b"];

/// Stalls: north (1), south (2), bare (3). Labels: red (1), blue (2), unused (3). Items: apple (1) and beet (2) of
/// north, corn (3) of south, and date (4), which has nothing but a name. Apple is red and blue, beet red. Apple was
/// sold twice, beet once.
fn market() -> Server {
    let server = Server::with(MARKET, &[]);
    for stall in [
        json!({"name": "north", "opened": "2024-05-01", "budget": "3.00", "data": {"code": "N", "rank": 2}}),
        json!({"name": "south", "budget": "1.50", "data": {"code": "S", "rank": "two"}}),
        json!({"name": "bare"}),
    ] {
        server.create("m.Stall", &stall);
    }
    for (name, weight) in [("red", json!(3)), ("blue", json!(1)), ("unused", Value::Null)] {
        server.create("m.Label", &json!({"name": name, "weight": weight}));
    }
    for item in [
        json!({"name": "apple", "note": "sweet", "amount": 3, "price": "1.50", "ratio": 0.5, "flag": true,
               "day": "2024-05-01", "moment": "2024-05-01T23:30:00Z", "clock": "09:30", "code": CODES[0],
               "data": {"code": "N", "n": 2}, "stall": 1, "labels": [1, 2]}),
        json!({"name": "beet", "note": "Red", "amount": 5, "price": "2.25", "ratio": 0.25, "flag": false,
               "day": "2024-05-02", "moment": "2024-12-31T23:59:59.999999Z", "clock": "23:00", "code": CODES[1],
               "data": {"code": "S", "n": "two"}, "stall": 1, "labels": [1]}),
        json!({"name": "corn", "note": "sweet", "amount": 5, "price": "1.50", "ratio": 0.25, "flag": true,
               "day": "2023-01-01", "moment": "2023-01-01T00:00:00Z", "clock": "09:30", "code": CODES[0],
               "data": {"code": "N", "n": 0.5}, "stall": 2}),
        json!({"name": "date"}),
    ] {
        server.create("m.Item", &item);
    }
    for (item, count, day) in [(1, 2, json!("2024-05-01")), (1, 3, Value::Null), (2, 4, json!("2024-05-03"))] {
        server.create("m.Sale", &json!({"item": item, "count": count, "day": day}));
    }
    server
}

/// A field that is a subquery with this `__meta__`.
fn subquery(meta: &Value) -> Value {
    let mut all = json!({"intent": "subquery"});
    all.as_object_mut().unwrap().extend(meta.as_object().unwrap().clone());
    json!({"__meta__": all})
}

/// How many there are, and nothing else.
fn count() -> Value {
    json!({"n": {"function": "Count"}})
}

fn aggregate(meta: &Value, totals: &Value) -> Value {
    request("aggregate", "m.Item", meta, totals)
}

/// All records of a model by `pk`, with `x` and nothing else of each.
fn with_x(namespace: &str, x: &Value) -> Value {
    request("retrieve", namespace, &json!({"ordering": "pk"}), &json!({"x": x}))
}

/// The `x` of every record.
#[track_caller]
fn each_x(server: &Server, namespace: &str, x: &Value) -> Value {
    server.data(&with_x(namespace, x)).as_array().unwrap().iter().map(|record| record["x"].clone()).collect()
}

/// Holds the answer's `data` against these lines: one for each record, its values as JSON with a space between them.
#[track_caller]
fn assert_lines(server: &Server, request: &Value, expected: &[&str]) {
    let data = server.data(request);
    let line = |record: &Value| {
        let values = record.as_object().unwrap().values();
        values.map(Value::to_string).collect::<Vec<_>>().join(" ")
    };
    let lines: Vec<String> = data.as_array().unwrap().iter().map(line).collect();
    assert_eq!(lines, expected, "{request}");
}

// -- Subqueries ---------------------------------------------------------------------------------

#[test]
fn the_published_subquery_is_answered_to_the_letter() {
    let server = Server::with(MODELS, &[]);
    for name in ["network", "billing", "access"] {
        server.create("tickets.Category", &json!({"name": name}));
    }
    for (title, status, category) in
        [("a", "open", 1), ("b", "open", 1), ("c", "closed", 1), ("d", "pending", 2), ("e", "open", 3)]
    {
        server.create("tickets.Ticket", &json!({"title": title, "status": status, "category": category}));
    }
    let body: Value = serde_json::from_str(
        r#"{ "__meta__": { "authenticationClass": "apiKey", "intent": "retrieve",
                           "namespace": "tickets.Category", "schema": "model" },
             "name": null,
             "ticketCount": { "__meta__": {
               "namespace": "tickets.Ticket", "intent": "subquery", "filter": { "status": "open" },
               "ordering": "-created", "onField": "id",
               "outerRefMapping": [ { "field": "category", "referenceField": "id" } ],
               "sequencedProcess": [ { "function": "Count", "onField": "id" },
                                     { "function": "Cast", "castType": "integer" } ] } } }"#,
    )
    .unwrap();
    let reply = server.send(&body);
    assert_eq!(
        reply.body,
        concat!(
            r#"{"status":"OK","data":[{"name":"access","ticketCount":1},{"name":"billing","ticketCount":0},"#,
            r#"{"name":"network","ticketCount":2}],"errors":null,"il8n":"en-gb","#,
            r#""extras":{"filtered":3,"display":3,"queries":2},"system_info":null,"intent":"retrieve","#,
            r#""message":"3 of 3 tickets.Category records."}"#
        )
    );
}

#[test]
fn without_a_process_the_field_of_the_first_record_is_the_value() {
    let server = market();
    let mapping = json!([{"field": "stall", "referenceField": "id"}]);
    for (meta, expected) in [
        (json!({"onField": "name", "ordering": "-name"}), json!(["beet", "corn", null])),
        (json!({"onField": "name", "ordering": ["name"]}), json!(["apple", "corn", null])),
        (json!({"onField": "name", "ordering": "-labels__name"}), json!(["apple", "corn", null])),
        (json!({"onField": "price", "ordering": "-price"}), json!(["2.25", "1.50", null])),
        (json!({"onField": "day", "ordering": "-price"}), json!(["2024-05-02", "2023-01-01", null])),
        (json!({"onField": "data__code"}), json!(["N", "N", null])),
        (
            json!({"onField": "data", "ordering": "-pk"}),
            json!([{"code": "S", "n": "two"}, {"code": "N", "n": 0.5}, null]),
        ),
        (json!({"onField": "moment__year"}), json!([2024, 2023, null])),
        (json!({"onField": "stall__name"}), json!(["north", "south", null])),
        (json!({"onField": "flag", "ordering": "-pk"}), json!([false, true, null])),
        (json!({}), json!([1, 3, null])),
        (json!({"onField": "pk", "search": {"value": "E"}, "exclude": {"name": "apple"}}), json!([2, null, null])),
        (json!({"filter": {"labels__name": "blue"}}), json!([1, null, null])),
        (json!({"onField": "name", "sequencedProcess": []}), json!(["apple", "corn", null])),
    ] {
        let mut all = json!({"namespace": "m.Item", "outerRefMapping": mapping});
        all.as_object_mut().unwrap().extend(meta.as_object().unwrap().clone());
        assert_eq!(each_x(&server, "m.Stall", &subquery(&all)), expected, "{meta}");
    }
}

#[test]
fn the_outer_record_is_named_by_any_number_of_pairs_and_paths() {
    let server = market();
    let pair = |field: &str, reference: &str| json!({"field": field, "referenceField": reference});
    for (outer, inner, mapping, expected) in [
        ("m.Stall", "m.Item", json!([pair("stall", "id")]), json!([2, 1, 0])),
        ("m.Stall", "m.Item", json!([pair("stall_id", "pk")]), json!([2, 1, 0])),
        ("m.Stall", "m.Item", json!([pair("stall__name", "name")]), json!([2, 1, 0])),
        ("m.Stall", "m.Item", json!([]), json!([4, 4, 4])),
        // Several must all hold.
        ("m.Stall", "m.Item", json!([pair("stall", "id"), pair("day", "opened")]), json!([1, 0, 0])),
        ("m.Stall", "m.Item", json!([pair("stall", "id"), pair("data__code", "data__code")]), json!([1, 0, 0])),
        // NULL equals nothing.
        ("m.Stall", "m.Item", json!([pair("price", "budget")]), json!([0, 2, 0])),
        ("m.Item", "m.Item", json!([pair("day", "day")]), json!([1, 1, 1, 0])),
        // Numbers of all types compare; 3 of amount and 3.00 of budget are one.
        ("m.Stall", "m.Item", json!([pair("amount", "budget")]), json!([1, 0, 0])),
        ("m.Item", "m.Label", json!([pair("weight", "ratio")]), json!([0, 0, 0, 0])),
        ("m.Label", "m.Stall", json!([pair("budget", "weight")]), json!([1, 0, 0])),
        // Inside json each kind of value equals its own.
        ("m.Stall", "m.Item", json!([pair("data__n", "data__rank")]), json!([1, 1, 0])),
        ("m.Stall", "m.Item", json!([pair("amount", "data__rank")]), json!([0, 0, 0])),
        ("m.Item", "m.Stall", json!([pair("data__rank", "pk")]), json!([0, 1, 0, 0])),
        ("m.Item", "m.Stall", json!([pair("data__code", "data__code")]), json!([1, 1, 1, 0])),
        ("m.Item", "m.Item", json!([pair("data", "data")]), json!([1, 1, 1, 0])),
        // Paths on both sides, to many on the inner one.
        ("m.Item", "m.Sale", json!([pair("item__stall", "stall")]), json!([3, 3, 0, 0])),
        ("m.Item", "m.Item", json!([pair("stall__name", "stall__name")]), json!([2, 2, 1, 0])),
        ("m.Label", "m.Item", json!([pair("labels", "id")]), json!([2, 1, 0])),
        ("m.Label", "m.Item", json!([pair("labels__name", "name")]), json!([2, 1, 0])),
        ("m.Stall", "m.Label", json!([pair("items__stall__name", "name")]), json!([2, 0, 0])),
        ("m.Item", "m.Sale", json!([pair("day__month", "moment__month"), pair("item", "id")]), json!([1, 0, 0, 0])),
        (
            "m.Item",
            "m.Item",
            json!([pair("code", "code"), pair("clock", "clock"), pair("note", "note")]),
            json!([2, 1, 2, 0]),
        ),
    ] {
        let meta = json!({"namespace": inner, "outerRefMapping": mapping, "sequencedProcess": [{"function": "Count"}]});
        assert_eq!(each_x(&server, outer, &subquery(&meta)), expected, "{outer} {inner} {mapping}");
        if mapping == json!([]) {
            let absent = json!({"namespace": inner, "sequencedProcess": [{"function": "Count"}]});
            assert_eq!(each_x(&server, outer, &subquery(&absent)), expected, "{outer} {inner} without a mapping");
        }
    }
}

#[test]
fn subqueries_stand_wherever_fields_do_and_mean_the_record_around_them() {
    let server = market();
    let items =
        subquery(&json!({"namespace": "m.Item", "outerRefMapping": [{"field": "stall", "referenceField": "id"}],
                                 "sequencedProcess": [{"function": "Count"}]}));
    let sold = subquery(&json!({"namespace": "m.Sale", "outerRefMapping": [{"field": "item", "referenceField": "id"}],
                                "sequencedProcess": [{"function": "Sum", "onField": "count"}]}));
    let page = |namespace: &str, fields: &Value| request("retrieve", namespace, &json!({"ordering": "pk"}), fields);
    for (request, expected) in [
        // Under a reference, in a list, in a list of a list, and beside fields in their order.
        (
            page("m.Item", &json!({"sold": sold, "stall": {"items": items, "name": null}})),
            concat!(
                r#"[{"sold":5,"stall":{"items":2,"name":"north"}},{"sold":4,"stall":{"items":2,"name":"north"}},"#,
                r#"{"sold":null,"stall":{"items":1,"name":"south"}},{"sold":null,"stall":null}]"#
            ),
        ),
        (
            page("m.Stall", &json!({"name": null, "items": {"__meta__": {"ordering": "-pk"}, "sold": sold}})),
            concat!(
                r#"[{"name":"north","items":[{"sold":4},{"sold":5}]},{"name":"south","items":[{"sold":null}]},"#,
                r#"{"name":"bare","items":[]}]"#
            ),
        ),
        (
            page("m.Label", &json!({"items": {"stall": {"items": {"sold": sold}}}, "pk": null})),
            concat!(
                r#"[{"items":[{"stall":{"items":[{"sold":5},{"sold":4}]}},"#,
                r#"{"stall":{"items":[{"sold":5},{"sold":4}]}}],"pk":1},"#,
                r#"{"items":[{"stall":{"items":[{"sold":5},{"sold":4}]}}],"pk":2},{"items":[],"pk":3}]"#
            ),
        ),
        (
            page("m.Stall", &json!({"name": items, "n": items})),
            r#"[{"name":2,"n":2},{"name":1,"n":1},{"name":0,"n":0}]"#,
        ),
        // In what a write answers.
        (
            request(
                "create",
                "m.Item",
                &json!({"return": {"stall": {"items": items}, "sold": sold}}),
                &json!({"name": "egg", "stall": 2}),
            ),
            r#"{"stall":{"items":2},"sold":null}"#,
        ),
        (
            request(
                "update",
                "m.Stall",
                &json!({"uniqueObject": {"id": 1}, "return": {"items": items}}),
                &json!({"name": "North"}),
            ),
            r#"{"items":2}"#,
        ),
    ] {
        let reply = server.send(&request);
        assert!(reply.body.contains(&format!(r#""data":{expected},"#)), "{request}\n{}", reply.body);
    }
    let one = request("retrieveOne", "m.Stall", &json!({"uniqueObject": {"id": 2}}), &json!({"items": items}));
    assert_eq!(server.data(&one), json!({"items": 2}));
}

#[test]
fn a_subquery_is_transformed_like_any_field() {
    let server = market();
    let of = |process: Value, transforms: Value| {
        let mut field = subquery(&json!({"namespace": "m.Item", "onField": "name", "ordering": "-pk",
            "outerRefMapping": [{"field": "stall", "referenceField": "id"}], "sequencedProcess": process}));
        field["__transform__"] = transforms;
        field
    };
    for (field, expected) in [
        (of(json!([]), json!({"upper": {}, "prefix": {"value": "<"}})), json!(["<BEET", "<CORN", null])),
        (of(json!([]), json!({"default": {"value": "-"}})), json!(["beet", "corn", "-"])),
        (of(json!([{"function": "Count"}]), json!({"map": {"values": {"0": "none"}}})), json!([2, 1, "none"])),
        (
            of(
                json!([{"function": "Sum", "onField": "price"}]),
                json!({"numberFormat": {"decimals": 1, "point": ","}}),
            ),
            json!(["3,8", "1,5", null]),
        ),
        (
            of(json!([{"function": "Max", "onField": "day"}]), json!({"dateFormat": {"format": "%d.%m."}})),
            json!(["02.05.", "01.01.", null]),
        ),
    ] {
        assert_eq!(each_x(&server, "m.Stall", &field), expected, "{field}");
    }
    let text = of(json!([{"function": "Count"}, {"function": "Cast", "castType": "string"}]), json!({"round": {}}));
    server.assert_mistakes(
        &with_x("m.Stall", &text),
        "/x/__transform__",
        r#"/round: "round" goes with numbers ("cast" makes one), not with text"#,
    );
}

// -- Functions ----------------------------------------------------------------------------------

/// What a function makes of the items that a filter leaves, as JSON text: it must be the same in an `aggregate`, in one
/// with the filter beside the function, and in a subquery.
#[track_caller]
fn made(server: &Server, step: &Value, filter: &Value) -> String {
    let mut filtered = step.clone();
    filtered["filter"] = filter.clone();
    let mut process = step.clone();
    let ordering = process.as_object_mut().unwrap().remove("ordering");
    let mut meta = json!({"namespace": "m.Item", "filter": filter, "sequencedProcess": [process]});
    meta.as_object_mut().unwrap().extend(ordering.map(|ordering| ("ordering".to_owned(), ordering)));
    let texts = [
        aggregate(&json!({"filter": filter}), &json!({"x": step})),
        aggregate(&json!({}), &json!({"x": filtered})),
        request("retrieve", "m.Stall", &json!({"limit": 1}), &json!({"x": subquery(&meta)})),
    ]
    .map(|request| {
        let body = server.send(&request).body;
        let text =
            body.strip_prefix(r#"{"status":"OK","data":[{"x":"#).and_then(|rest| rest.split_once("}],\"errors\""));
        text.unwrap_or_else(|| panic!("{request}\n{body}")).0.to_owned()
    });
    assert!(texts.iter().all(|text| *text == texts[0]), "{step}: {texts:?}");
    texts[0].clone()
}

#[test]
fn every_function_makes_one_value_of_many() {
    let server = market();
    let step = |function: &str, field: &str| json!({"function": function, "onField": field});
    let first = |function: &str, field: &str, ordering: &str| -> Value {
        json!({"function": function, "onField": field, "ordering": ordering})
    };
    let id = |function: &str| json!({"function": function});
    let share = |field: &str, value: Value| json!({"function": "Percentile", "onField": field, "value": value});
    for (step, of_all, of_none) in [
        // Without a field the id counts.
        (id("Count"), "4", "0"),
        (id("COUNTDISTINCT"), "4", "0"),
        (id("sum"), "10", "null"),
        (id("aVG"), "2.5", "null"),
        (id("min"), "1", "null"),
        (id("MAX"), "4", "null"),
        (id("first"), "1", "null"),
        (id("LAST"), "4", "null"),
        (id("exists"), "true", "false"),
        (id("concat"), r#""1, 2, 3, 4""#, "null"),
        // NULLs are no values.
        (step("count", "name"), "4", "0"),
        (step("Count", "note"), "3", "0"),
        (step("Count", "amount"), "3", "0"),
        (step("Count", "price"), "3", "0"),
        (step("Count", "ratio"), "3", "0"),
        (step("Count", "flag"), "3", "0"),
        (step("Count", "day"), "3", "0"),
        (step("Count", "moment"), "3", "0"),
        (step("Count", "clock"), "3", "0"),
        (step("Count", "code"), "3", "0"),
        (step("Count", "data"), "3", "0"),
        (step("Count", "stall"), "3", "0"),
        (step("Count", "data__n"), "3", "0"),
        (step("Count", "data__nothing"), "0", "0"),
        (step("Count", "stall__opened"), "2", "0"),
        (step("CountDistinct", "note"), "2", "0"),
        (step("CountDistinct", "amount"), "2", "0"),
        (step("CountDistinct", "price"), "2", "0"),
        (step("CountDistinct", "ratio"), "2", "0"),
        (step("CountDistinct", "flag"), "2", "0"),
        (step("CountDistinct", "day"), "3", "0"),
        (step("CountDistinct", "moment__year"), "2", "0"),
        (step("CountDistinct", "clock"), "2", "0"),
        (step("CountDistinct", "code"), "2", "0"),
        (step("CountDistinct", "data__code"), "2", "0"),
        (step("CountDistinct", "stall"), "2", "0"),
        (step("Sum", "amount"), "13", "null"),
        (step("Sum", "price"), r#""5.25""#, "null"),
        (step("Sum", "ratio"), "1.0", "null"),
        (step("Sum", "day__year"), "6071", "null"),
        (step("Sum", "data__n"), "2.5", "null"),
        (step("Sum", "stall__budget"), r#""7.50""#, "null"),
        (step("Avg", "amount"), "4.333333333333333", "null"),
        (step("Avg", "price"), r#""1.75000000""#, "null"),
        (step("Avg", "ratio"), "0.3333333333333333", "null"),
        (step("Avg", "data__n"), "1.25", "null"),
        (step("Min", "name"), r#""apple""#, "null"),
        (step("Min", "note"), r#""Red""#, "null"),
        (step("Min", "amount"), "3", "null"),
        (step("Min", "price"), r#""1.50""#, "null"),
        (step("Min", "ratio"), "0.25", "null"),
        (step("Min", "flag"), "false", "null"),
        (step("Min", "day"), r#""2023-01-01""#, "null"),
        (step("Min", "moment"), r#""2023-01-01T00:00:00.000000Z""#, "null"),
        (step("Min", "clock"), r#""09:30:00.000000""#, "null"),
        (step("Min", "code"), r#""00000000-0000-4000-8000-00000000000a""#, "null"),
        (step("Min", "data__n"), "0.5", "null"),
        (step("Min", "moment__hour"), "0", "null"),
        (step("Max", "name"), r#""date""#, "null"),
        (step("Max", "note"), r#""sweet""#, "null"),
        (step("Max", "amount"), "5", "null"),
        (step("Max", "price"), r#""2.25""#, "null"),
        (step("Max", "ratio"), "0.5", "null"),
        (step("Max", "flag"), "true", "null"),
        (step("Max", "day"), r#""2024-05-02""#, "null"),
        (step("Max", "moment"), r#""2024-12-31T23:59:59.999999Z""#, "null"),
        (step("Max", "moment__date"), r#""2024-12-31""#, "null"),
        (step("Max", "clock"), r#""23:00:00.000000""#, "null"),
        (step("Max", "code"), r#""00000000-0000-4000-8000-00000000000b""#, "null"),
        (step("Max", "data__n"), "2", "null"),
        (share("amount", json!(0.34)), "5", "null"),
        (share("amount", json!(0.33)), "3", "null"),
        (share("price", json!(0.5)), r#""1.50""#, "null"),
        (share("price", json!(1)), r#""2.25""#, "null"),
        (share("ratio", json!(0)), "0.25", "null"),
        (share("ratio", json!(1.0)), "0.5", "null"),
        (share("day", json!(0.5)), r#""2024-05-01""#, "null"),
        (share("moment", json!(0.9)), r#""2024-12-31T23:59:59.999999Z""#, "null"),
        (share("moment__hour", json!(0.5)), "23", "null"),
        (share("clock", json!(0.5)), r#""09:30:00.000000""#, "null"),
        (share("data__n", json!(0.5)), "0.5", "null"),
        (share("data__n", json!(0.51)), "2", "null"),
        (share("stall__budget", json!(0.34)), r#""3.00""#, "null"),
        (json!({"function": "percentile", "value": 5e-1}), "2", "null"),
        (step("Max", "stall__name"), r#""south""#, "null"),
        // The first and the last record count, be their value NULL.
        (first("First", "name", "amount"), r#""date""#, "null"),
        (first("First", "amount", "amount"), "null", "null"),
        (first("First", "name", "-amount"), r#""beet""#, "null"),
        (first("First", "note", "name"), r#""sweet""#, "null"),
        (first("First", "price", "-name"), "null", "null"),
        (first("First", "price", "name"), r#""1.50""#, "null"),
        (first("First", "ratio", "name"), "0.5", "null"),
        (first("First", "flag", "name"), "true", "null"),
        (first("First", "day", "name"), r#""2024-05-01""#, "null"),
        (first("First", "moment", "name"), r#""2024-05-01T23:30:00.000000Z""#, "null"),
        (first("First", "clock", "name"), r#""09:30:00.000000""#, "null"),
        (first("First", "code", "name"), r#""00000000-0000-4000-8000-00000000000a""#, "null"),
        (first("First", "data", "name"), r#"{"code":"N","n":2}"#, "null"),
        (first("First", "data__n", "-stall__name"), "0.5", "null"),
        (first("Last", "data__n", "-stall__name"), "null", "null"),
        (first("Last", "data__n", "-data__n"), "null", "null"),
        (first("Last", "name", "amount"), r#""corn""#, "null"),
        (first("Last", "price", "price"), r#""2.25""#, "null"),
        (first("Last", "name", "-labels__name"), r#""date""#, "null"),
        (first("Last", "flag", "stall"), "true", "null"),
        // A text of all values, each as an answer has it.
        (step("Concat", "name"), r#""apple, beet, corn, date""#, "null"),
        (step("Concat", "note"), r#""sweet, Red, sweet""#, "null"),
        (step("Concat", "amount"), r#""3, 5, 5""#, "null"),
        (step("Concat", "price"), r#""1.50, 2.25, 1.50""#, "null"),
        (step("Concat", "ratio"), r#""0.5, 0.25, 0.25""#, "null"),
        (step("Concat", "flag"), r#""true, false, true""#, "null"),
        (step("Concat", "day"), r#""2024-05-01, 2024-05-02, 2023-01-01""#, "null"),
        (step("Concat", "moment__month"), r#""5, 12, 1""#, "null"),
        (step("Concat", "clock"), r#""09:30:00.000000, 23:00:00.000000, 09:30:00.000000""#, "null"),
        (step("Concat", "stall__name"), r#""north, north, south""#, "null"),
        (step("Concat", "data__code"), r#""N, S, N""#, "null"),
        (first("Concat", "name", "-name"), r#""date, corn, beet, apple""#, "null"),
        (first("Concat", "name", "amount"), r#""date, apple, beet, corn""#, "null"),
        (json!({"function": "Concat", "onField": "name", "separator": ""}), r#""applebeetcorndate""#, "null"),
        (
            json!({"function": "Concat", "onField": "name", "separator": "\" '; "}),
            r#""apple\" '; beet\" '; corn\" '; date""#,
            "null",
        ),
        (step("Exists", "name"), "true", "false"),
    ] {
        assert_eq!(made(&server, &step, &json!({})), of_all, "{step}");
        assert_eq!(made(&server, &step, &json!({"pk": 0})), of_none, "{step} of no records");
    }
    // Of records that hold nothing there is nothing but their number.
    for (function, field, expected) in [
        ("Count", "id", "1"),
        ("Count", "price", "0"),
        ("CountDistinct", "day", "0"),
        ("Sum", "amount", "null"),
        ("Sum", "price", "null"),
        ("Sum", "ratio", "null"),
        ("Avg", "amount", "null"),
        ("Avg", "price", "null"),
        ("Avg", "ratio", "null"),
        ("Min", "price", "null"),
        ("Max", "note", "null"),
        ("First", "flag", "null"),
        ("Last", "data", "null"),
        ("Concat", "price", "null"),
        ("Concat", "flag", "null"),
        ("Concat", "ratio", "null"),
        ("Exists", "price", "false"),
        ("Exists", "stall__name", "false"),
        ("Exists", "data__n", "false"),
        ("Exists", "name", "true"),
    ] {
        assert_eq!(made(&server, &step(function, field), &json!({"name": "date"})), expected, "{function} of {field}");
    }
}

#[test]
fn floats_in_a_concat_keep_all_their_digits() {
    let server = market();
    for (id, ratio) in [(1, 0.30000000000000004), (2, 1e300), (3, 5e-324), (4, -3.0)] {
        server.data(&request("update", "m.Item", &json!({"uniqueObject": {"id": id}}), &json!({"ratio": ratio})));
    }
    let text = made(&server, &json!({"function": "Concat", "onField": "ratio"}), &json!({}));
    assert_eq!(text, r#""0.30000000000000004, 1e+300, 5e-324, -3.0""#);
}

#[test]
fn functions_refuse_the_types_that_they_make_nothing_of() {
    let server = market();
    let fields = [
        ("note", "a text"),
        ("name", "a string"),
        ("amount", "an integer"),
        ("price", "a decimal"),
        ("ratio", "a float"),
        ("flag", "a boolean"),
        ("day", "a date"),
        ("moment", "a datetime"),
        ("clock", "a time"),
        ("code", "a uuid"),
        ("data", "a json"),
    ];
    for function in
        ["Count", "CountDistinct", "Sum", "Avg", "Min", "Max", "First", "Last", "Exists", "Concat", "Percentile"]
    {
        for (field, described) in fields {
            let takes = match function {
                "Sum" | "Avg" => matches!(field, "amount" | "price" | "ratio"),
                "Min" | "Max" | "Concat" => field != "data",
                "Percentile" => !matches!(field, "note" | "name" | "flag" | "code" | "data"),
                _ => true,
            };
            let mut step = json!({"function": function.to_uppercase(), "onField": field});
            if function == "Percentile" {
                step["value"] = json!(0.5);
            }
            if takes {
                made(&server, &step, &json!({}));
                continue;
            }
            let why = format!("\"{field}\" is {described} and cannot be taken by {function}");
            server.assert_mistakes(&aggregate(&json!({}), &json!({"x": step})), "/x/onField: ", &why);
            let meta = json!({"namespace": "m.Item", "sequencedProcess": [step]});
            let at = "/x/__meta__/sequencedProcess/0/onField: ";
            server.assert_mistakes(&with_x("m.Stall", &subquery(&meta)), at, &why);
            // The name may also stand outside of the step.
            step.as_object_mut().unwrap().remove("onField");
            let meta = json!({"namespace": "m.Item", "onField": field, "sequencedProcess": [step]});
            let at = "/x/__meta__/onField: ";
            server.assert_mistakes(&with_x("m.Stall", &subquery(&meta)), at, &why);
        }
    }
}

#[test]
fn each_step_feeds_the_next() {
    let server = market();
    let cast = |kind: &str| json!({"function": "Cast", "castType": kind});
    let many = |function: &str, field: &str| json!({"function": function, "onField": field});
    let bare = |function: &str| json!({"function": function});
    let coalesce = |value: Value| json!({"function": "coalesce", "value": value});
    let none = many("Sum", "data__nothing");
    for (process, expected) in [
        (json!([bare("Count"), cast("integer")]), "4"),
        (json!([bare("Count"), cast("float")]), "4.0"),
        (json!([bare("Count"), cast("decimal")]), r#""4""#),
        (json!([bare("Count"), cast("string")]), r#""4""#),
        (json!([bare("Count"), cast("boolean")]), "true"),
        (json!([bare("Count"), cast("date")]), "null"),
        (json!([bare("Count"), cast("datetime")]), "null"),
        (json!([many("Sum", "price"), cast("integer")]), "5"),
        (json!([many("Sum", "price"), cast("float")]), "5.25"),
        (json!([many("Sum", "price"), cast("decimal")]), r#""5.25""#),
        (json!([many("Sum", "price"), cast("string")]), r#""5.25""#),
        (json!([many("Sum", "price"), cast("boolean")]), "true"),
        (json!([many("Max", "moment"), cast("date")]), r#""2024-12-31""#),
        (json!([many("Max", "day"), cast("datetime")]), r#""2024-05-02T00:00:00.000000Z""#),
        (json!([many("Max", "day"), cast("string"), bare("Length")]), "10"),
        (json!([bare("Exists"), cast("integer")]), "1"),
        (json!([bare("Exists"), cast("string"), bare("upper")]), r#""TRUE""#),
        (json!([many("Avg", "amount"), json!({"function": "ROUND", "digits": 2})]), "4.33"),
        (json!([many("Avg", "amount"), bare("Round")]), "4.0"),
        (json!([many("Avg", "price"), json!({"function": "round", "digits": 1})]), r#""1.8""#),
        (json!([many("Avg", "price"), json!({"function": "round", "digits": 1}), cast("float")]), "1.8"),
        (json!([many("Sum", "amount"), json!({"function": "Round", "digits": -1})]), "10"),
        (json!([many("Concat", "name"), bare("UPPER"), bare("Length")]), "23"),
        (json!([many("Concat", "note"), bare("Upper")]), r#""SWEET, RED, SWEET""#),
        (json!([many("Min", "note"), bare("lower")]), r#""red""#),
        (json!([none, coalesce(json!(0))]), "0"),
        (json!([none, coalesce(json!(-7.5)), bare("abs")]), "7.5"),
        (json!([none, coalesce(json!({"any": ["json"]}))]), r#"{"any":["json"]}"#),
        (json!([none, bare("Abs"), json!({"function": "Round"}), cast("string")]), "null"),
        (json!([many("Sum", "amount"), coalesce(json!(0))]), "13"),
        // Steps on a result may come first: then it is that of the first record.
        (json!([bare("Upper")]), r#""DATE""#),
        (json!([bare("Length"), cast("string")]), r#""4""#),
    ] {
        let meta = json!({"namespace": "m.Item", "onField": "name", "ordering": "-name", "sequencedProcess": process});
        let body =
            server.send(&request("retrieve", "m.Stall", &json!({"limit": 1}), &json!({"x": subquery(&meta)}))).body;
        assert!(body.contains(&format!(r#""data":[{{"x":{expected}}}]"#)), "{process}: {body}");
    }
    // Without loss, whatever the number of digits.
    server.change(r#"UPDATE "m.Item" SET amount = iif(id < 3, 9223372036854775807, NULL)"#);
    for (steps, expected) in [
        (json!([]), "18446744073709551614"),
        (json!([cast("integer")]), "18446744073709551614"),
        (json!([cast("decimal")]), r#""18446744073709551614""#),
        (json!([cast("string"), bare("Length")]), "20"),
        (json!([{"function": "Round", "digits": -2}]), "18446744073709551600"),
        (json!([bare("abs")]), "18446744073709551614"),
    ] {
        let mut process = steps;
        process.as_array_mut().unwrap().insert(0, many("Sum", "amount"));
        let meta = json!({"namespace": "m.Item", "sequencedProcess": process});
        let body =
            server.send(&request("retrieve", "m.Stall", &json!({"limit": 1}), &json!({"x": subquery(&meta)}))).body;
        assert!(body.contains(&format!(r#""data":[{{"x":{expected}}}]"#)), "{process}: {body}");
    }
}

#[test]
fn mistakes_in_a_subquery_are_pointed_out() {
    let server = market();
    let of = |more: Value| {
        let mut meta = json!({"namespace": "m.Item"});
        meta.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        with_x("m.Stall", &subquery(&meta))
    };
    for (more, mistakes) in [
        (json!({"limit": 1}), r#"/limit: the __meta__ of a subquery has no key "limit""#),
        (
            json!({"onFeild": "name"}),
            r#"/onFeild: the __meta__ of a subquery has no key "onFeild" (did you mean "onField"?)"#,
        ),
        (
            json!({"namespace": "Item"}),
            r#"/namespace: namespace must be <app>.<Name>, such as tickets.Ticket, not "Item""#,
        ),
        (json!({"onField": "nme"}), r#"/onField: m.Item has no field "nme" (did you mean "name"?)"#),
        (json!({"onField": 1}), "/onField: onField must be a string, not 1"),
        (json!({"onField": "labels__name"}), r#"/onField: "onField" leads to many records, where one value is wanted"#),
        (
            json!({"filter": {"nme": 1}, "exclude": {"amount": "x"}, "ordering": ["nme"]}),
            concat!(
                "/filter/nme: m.Item has no field \"nme\" (did you mean \"name\"?)\n",
                "/exclude/amount: \"amount\" is an integer and cannot be \"x\"\n",
                "/ordering/0: m.Item has no field \"nme\" (did you mean \"name\"?)"
            ),
        ),
        (json!({"sequencedProcess": {}}), "/sequencedProcess: sequencedProcess must be a list of functions, not {}"),
    ] {
        server.assert_mistakes(&of(more), "/x/__meta__", mistakes);
    }
    let count = json!({"function": "Count"});
    for (process, mistakes) in [
        (json!([{"function": "Cuont"}]), r#"/0/function: there is no function "Cuont" (did you mean "Count"?)"#),
        (
            json!([{"function": "Median"}]),
            "/0/function: there is no function \"Median\" (there are Count, CountDistinct, Sum, Avg, Min, Max, Percentile, First, Last, \
             Exists, Concat, Cast, Coalesce, Round, Abs, Upper, Lower, Length)",
        ),
        (
            json!([{"function": "Count", "castType": "integer", "onFild": "id"}]),
            concat!(
                "/0/castType: Count has no key \"castType\"\n",
                "/0/onFild: Count has no key \"onFild\" (did you mean \"onField\"?)"
            ),
        ),
        (
            json!([{"function": "Count", "onField": "labels"}]),
            r#"/0/onField: "onField" leads to many records, where one value is wanted"#,
        ),
        (
            json!([{"function": "Count", "onField": ["id"]}]),
            r#"/0/onField: "onField" must be the name of a field, not ["id"]"#,
        ),
        (
            json!([{"function": "Concat", "separator": 1}]),
            r#"/0/separator: "separator" must be a string of at most 100 bytes, not 1"#,
        ),
        // What makes a total comes first, what goes on with it later.
        (
            json!([count, {"function": "sum"}]),
            r#"/1/function: "Sum" makes a total of many records, so it can only come first"#,
        ),
        (
            json!([{"function": "Upper"}, count]),
            r#"/1/function: "Count" makes a total of many records, so it can only come first"#,
        ),
        (json!([count, {"function": "Cast"}]), r#"/1: Cast needs the key "castType""#),
        (
            json!([count, {"function": "Cast", "castType": "int"}]),
            concat!(
                "/1/castType: \"castType\" must be one of integer, float, decimal, string, boolean, date, datetime, ",
                "not \"int\""
            ),
        ),
        (
            json!([count, {"function": "Cast", "type": "integer"}]),
            "/1/type: Cast has no key \"type\"\n/1: Cast needs the key \"castType\"",
        ),
        (json!([count, {"function": "Coalesce"}]), r#"/1: Coalesce needs the key "value""#),
        (
            json!([{"function": "Min", "onField": "name"}, {"function": "Round"}]),
            r#"/1: "Round" goes with numbers ("cast" makes one), not with text"#,
        ),
        (
            json!([{"function": "Max", "onField": "day"}, {"function": "Abs"}]),
            r#"/1: "Abs" goes with numbers ("cast" makes one), not with a date"#,
        ),
        (
            json!([count, {"function": "Round", "digits": 19}]),
            r#"/1/digits: "digits" must be a whole number from -18 to 18, not 19"#,
        ),
        (json!([count, 1]), "/1: a step must be an object with a function, not 1"),
        (json!([{"onField": "id"}]), r#"/0: a total needs the key "function""#),
        (json!([{"function": 1}]), "/0/function: function must be the name of a function, not 1"),
    ] {
        let request = of(json!({"sequencedProcess": process}));
        server.assert_mistakes(&request, "/x/__meta__/sequencedProcess", mistakes);
    }
    let form = r#"outerRefMapping must be a list of {"field": …, "referenceField": …}, not"#;
    let pair = |field: &str, reference: &str| json!([{"field": field, "referenceField": reference}]);
    for (mapping, mistake) in [
        (json!({}), format!(": {form} {{}}").as_str()),
        (json!(["id"]), &format!("/0: {form} \"id\"")),
        (json!([{"field": "stall"}]), &format!("/0: {form} {{\"field\":\"stall\"}}")),
        (
            json!([{"field": "id", "referenceField": 1}]),
            &format!("/0: {form} {{\"field\":\"id\",\"referenceField\":1}}"),
        ),
        (
            json!([{"field": "stall", "referenceField": "id"}, {"field": "stal", "referenceField": "id"}]),
            r#"/1/field: m.Item has no field "stal" (did you mean "stall"?)"#,
        ),
        (pair("stall", "nme"), r#"/0/referenceField: m.Stall has no field "nme" (did you mean "name"?)"#),
        (pair("stall", "items"), r#"/0/referenceField: "items" leads to many records, where one value is wanted"#),
        (pair("day", "name"), r#"/0/field: "day" is a date and cannot equal a string"#),
        (pair("day", "id"), r#"/0/field: "day" is a date and cannot equal an integer"#),
        (pair("moment", "opened"), r#"/0/field: "moment" is a datetime and cannot equal a date"#),
        (pair("data", "name"), r#"/0/field: "data" is a json and cannot equal a string"#),
        (pair("flag", "id"), r#"/0/field: "flag" is a boolean and cannot equal an integer"#),
        (pair("name__gt", "name"), r#"/0/field: "name" has no lookup "gt" (it takes no lookup here)"#),
    ] {
        let request = of(json!({"outerRefMapping": mapping}));
        server.assert_mistakes(&request, "/x/__meta__/outerRefMapping", mistake);
    }
    let mut beside = subquery(&json!({"namespace": "m.Item"}));
    beside["name"] = Value::Null;
    beside["__field__"] = json!("name");
    server.assert_mistakes(
        &with_x("m.Stall", &beside),
        "/x",
        concat!(
            "/name: \"name\" means nothing for the intent subquery\n",
            "/__field__: \"__field__\" means nothing for the intent subquery"
        ),
    );
    server.assert_mistakes(
        &with_x("m.Stall", &subquery(&json!({}))),
        "/x",
        r#"/__meta__: __meta__ needs the key "namespace""#,
    );
    let unknown = server.refused(404, &of(json!({"namespace": "m.Itme"})));
    assert_eq!(unknown, ["/x/__meta__/namespace: there is no model m.Itme"]);
    server.refused(401, &of(json!({"authenticationClass": "session"})));
}

// -- Groups -------------------------------------------------------------------------------------

#[test]
fn an_aggregate_is_answered_as_a_page_of_groups() {
    let server = market();
    let totals = json!({"n": {"function": "Count"}, "amount": {"function": "sum", "onField": "amount"},
                        "best": {"function": "MAX", "onField": "price", "filter": {"flag": true}}});
    let reply = server.send(&aggregate(&json!({"groupBy": ["stall__name", "note"], "limit": 2, "draw": 7}), &totals));
    assert_eq!(
        reply.body,
        concat!(
            r#"{"status":"OK","data":[{"stall__name":null,"note":null,"n":1,"amount":null,"best":null},"#,
            r#"{"stall__name":"north","note":"Red","n":1,"amount":5,"best":null}],"errors":null,"il8n":"en-gb","#,
            r#""extras":{"filtered":4,"display":2,"queries":2,"draw":7},"system_info":null,"intent":"aggregate","#,
            r#""message":"2 of 4 groups of m.Item records."}"#
        )
    );
}

#[test]
fn groups_are_made_by_anything_that_a_record_holds_or_leads_to() {
    let server = market();
    for (by, expected) in [
        (json!(["stall"]), &["null 1", "1 2", "2 1"][..]),
        (json!("stall"), &["null 1", "1 2", "2 1"]),
        (json!(["stall_id"]), &["null 1", "1 2", "2 1"]),
        (json!(["stall__id"]), &["null 1", "1 2", "2 1"]),
        (json!(["stall__pk"]), &["null 1", "1 2", "2 1"]),
        (json!(["stall__name"]), &["null 1", r#""north" 2"#, r#""south" 1"#]),
        (json!(["stall__opened__year"]), &["null 2", "2024 2"]),
        (json!(["stall__budget"]), &["null 1", r#""1.50" 1"#, r#""3.00" 2"#]),
        (json!(["stall__data__code"]), &["null 1", r#""N" 2"#, r#""S" 1"#]),
        (json!(["note"]), &["null 1", r#""Red" 1"#, r#""sweet" 2"#]),
        (json!(["amount"]), &["null 1", "3 1", "5 2"]),
        (json!(["price"]), &["null 1", r#""1.50" 2"#, r#""2.25" 1"#]),
        (json!(["ratio"]), &["null 1", "0.25 2", "0.5 1"]),
        (json!(["flag"]), &["null 1", "false 1", "true 2"]),
        (json!(["day"]), &["null 1", r#""2023-01-01" 1"#, r#""2024-05-01" 1"#, r#""2024-05-02" 1"#]),
        (json!(["clock"]), &["null 1", r#""09:30:00.000000" 2"#, r#""23:00:00.000000" 1"#]),
        (
            json!(["code", "flag"]),
            &[
                "null null 1",
                r#""00000000-0000-4000-8000-00000000000a" true 2"#,
                r#""00000000-0000-4000-8000-00000000000b" false 1"#,
            ],
        ),
        (json!(["data__code"]), &["null 1", r#""N" 2"#, r#""S" 1"#]),
        (
            json!(["data"]),
            &["null 1", r#"{"code":"N","n":0.5} 1"#, r#"{"code":"N","n":2} 1"#, r#"{"code":"S","n":"two"} 1"#],
        ),
        (json!(["data__nothing"]), &["null 4"]),
        (json!(["moment__date"]), &["null 1", r#""2023-01-01" 1"#, r#""2024-05-01" 1"#, r#""2024-12-31" 1"#]),
        (json!(["moment__year"]), &["null 1", "2023 1", "2024 2"]),
        (json!(["moment__iso_year"]), &["null 1", "2022 1", "2024 1", "2025 1"]),
        (json!(["moment__quarter"]), &["null 1", "1 1", "2 1", "4 1"]),
        (json!(["moment__month"]), &["null 1", "1 1", "5 1", "12 1"]),
        (json!(["moment__week"]), &["null 1", "1 1", "18 1", "52 1"]),
        (json!(["moment__day"]), &["null 1", "1 2", "31 1"]),
        (json!(["moment__week_day"]), &["null 1", "1 1", "3 1", "4 1"]),
        (json!(["moment__iso_week_day"]), &["null 1", "2 1", "3 1", "7 1"]),
        (json!(["moment__hour"]), &["null 1", "0 1", "23 2"]),
        (json!(["clock__minute"]), &["null 1", "0 1", "30 2"]),
        (json!(["clock__second"]), &["null 1", "0 3"]),
        (json!(["day__month", "flag"]), &["null null 1", "1 true 1", "5 false 1", "5 true 1"]),
        // Every record that is joined counts for itself, and one that joins none once.
        (json!(["labels"]), &["null 2", "1 2", "2 1"]),
        (json!(["labels__id"]), &["null 2", "1 2", "2 1"]),
        (json!(["labels__name"]), &["null 2", r#""blue" 1"#, r#""red" 2"#]),
        (json!(["flag", "labels__weight"]), &["null null 1", "false 3 1", "true null 1", "true 1 1", "true 3 1"]),
        (
            json!(["labels__name", "labels__weight", "stall__name"]),
            &["null null null 1", r#"null null "south" 1"#, r#""blue" 1 "north" 1"#, r#""red" 3 "north" 2"#],
        ),
        (json!(["sales"]), &["null 2", "1 1", "2 1", "3 1"]),
        (json!(["sales__day__month"]), &["null 3", "5 2"]),
        (json!(["sales__item__name"]), &["null 2", r#""apple" 2"#, r#""beet" 1"#]),
        (json!(["stall__items__name"]), &["null 1", r#""apple" 2"#, r#""beet" 2"#, r#""corn" 1"#]),
        (json!(["labels__items__stall__name"]), &["null 2", r#""north" 5"#]),
    ] {
        assert_lines(&server, &aggregate(&json!({"groupBy": by}), &count()), expected);
    }
    let of = |function: &str, field: &str| json!({"function": function, "onField": field});
    for (namespace, by, total, expected) in [
        ("m.Stall", "items__labels__name", of("Count", "id"), &["null 2", r#""blue" 1"#, r#""red" 2"#][..]),
        ("m.Stall", "name", of("Count", "items"), &[r#""bare" 0"#, r#""north" 2"#, r#""south" 1"#]),
        ("m.Stall", "name", of("Sum", "items__price"), &[r#""bare" null"#, r#""north" "3.75""#, r#""south" "1.50""#]),
        ("m.Stall", "name", of("Sum", "items__sales__count"), &[r#""bare" null"#, r#""north" 9"#, r#""south" null"#]),
        (
            "m.Stall",
            "items__name",
            of("Max", "items__stall__opened"),
            &["null null", r#""apple" "2024-05-01""#, r#""beet" "2024-05-01""#, r#""corn" null"#],
        ),
        ("m.Stall", "opened", of("CountDistinct", "items__amount"), &["null 1", r#""2024-05-01" 2"#]),
        ("m.Stall", "name", of("Exists", "items"), &[r#""bare" false"#, r#""north" true"#, r#""south" true"#]),
        ("m.Label", "items__stall__name", of("Concat", "name"), &[r#"null "unused""#, r#""north" "red, red, blue""#]),
        ("m.Sale", "item__labels__name", of("Sum", "count"), &[r#""blue" 5"#, r#""red" 9"#]),
        ("m.Sale", "day__month", of("Min", "item__stall__budget"), &[r#"null "3.00""#, r#"5 "3.00""#]),
    ] {
        let request = request("aggregate", namespace, &json!({"groupBy": by}), &json!({"x": total}));
        assert_lines(&server, &request, expected);
    }
}

#[test]
fn without_groups_there_is_one_total_and_without_totals_there_are_groups_only() {
    let server = market();
    let totals = json!({"n": {"function": "Count"}, "price": {"function": "Avg", "onField": "price"}});
    for (meta, expected) in [
        (json!({}), &[r#"4 "1.75000000""#][..]),
        (json!({"groupBy": []}), &[r#"4 "1.75000000""#]),
        (json!({"filter": {"name": "nothing"}}), &["0 null"]),
        (json!({"filter": {"name": "nothing"}, "groupBy": "note"}), &[]),
        (json!({"filter": {"name": "nothing"}, "having": {"n": 0}}), &["0 null"]),
        (json!({"having": {"n": 0}}), &[]),
        (json!({"limit": 0}), &[]),
        (json!({"offset": 1}), &[]),
        (json!({"filter": {"labels__name": "red"}}), &[r#"2 "1.87500000""#]),
        (json!({"exclude": {"labels__name": "red"}}), &[r#"2 "1.50000000""#]),
        (json!({"search": {"value": "E"}}), &[r#"3 "1.87500000""#]),
    ] {
        assert_lines(&server, &aggregate(&meta, &totals), expected);
    }
    let groups_only = aggregate(&json!({"groupBy": "note"}), &json!({}));
    assert_lines(&server, &groups_only, &["null", r#""Red""#, r#""sweet""#]);
    let nothing = aggregate(&json!({}), &json!({}));
    server.assert_mistakes(&nothing, "", r#": "aggregate" names neither a group nor a total"#);
}

#[test]
fn first_last_and_concat_of_joined_records_follow_an_order_of_both() {
    let server = market();
    let total = |function: &str, field: &str, ordering: Value| {
        let mut total = json!({"function": function, "onField": field});
        if ordering != Value::Null {
            total["ordering"] = ordering;
        }
        total
    };
    let labels = |function: &str, ordering: Value| total(function, "labels__name", ordering);
    for (by, total, expected) in [
        (json!([]), labels("Concat", Value::Null), &[r#""red, blue, red""#][..]),
        (json!([]), labels("Concat", json!("-name")), &[r#""red, red, blue""#]),
        (json!([]), labels("Concat", json!("-amount")), &[r#""red, red, blue""#]),
        (json!([]), labels("Concat", json!("labels__name")), &[r#""blue, red, red""#]),
        (json!([]), labels("Concat", json!(["-labels__name", "pk"])), &[r#""red, red, blue""#]),
        (json!([]), labels("Concat", json!(["name", "labels__name"])), &[r#""blue, red, red""#]),
        (json!([]), labels("Concat", json!("sales__count")), &[r#""red, blue, red""#]),
        (json!([]), labels("First", json!("name")), &[r#""red""#]),
        (json!([]), labels("First", json!(["name", "labels__weight"])), &[r#""blue""#]),
        (json!([]), labels("First", json!("-name")), &["null"]),
        (json!([]), labels("Last", json!("-name")), &[r#""blue""#]),
        (json!(["stall"]), labels("Last", Value::Null), &["null null", r#"1 "red""#, "2 null"]),
        (json!(["stall"]), labels("Last", json!("-amount")), &["null null", r#"1 "blue""#, "2 null"]),
        (json!(["labels"]), total("First", "name", json!("-name")), &[r#"null "date""#, r#"1 "beet""#, r#"2 "apple""#]),
        (
            json!(["labels"]),
            total("Concat", "name", json!(["-stall__name", "-pk"])),
            &[r#"null "corn, date""#, r#"1 "beet, apple""#, r#"2 "apple""#],
        ),
    ] {
        assert_lines(&server, &aggregate(&json!({"groupBy": by}), &json!({"x": total})), expected);
    }
}

#[test]
fn a_totals_own_filter_is_about_the_record_and_what_is_joined_to_it() {
    let server = market();
    let of =
        |function: &str, field: &str, filter: Value| json!({"function": function, "onField": field, "filter": filter});
    let counted = |filter: Value| of("Count", "id", filter);
    // Where nothing is joined, a path to many asks whether there is one.
    for (total, expected) in [
        (counted(json!({})), "4"),
        (counted(json!({"flag": true})), "2"),
        (counted(json!({"name": "nothing"})), "0"),
        (counted(json!({"__not__": {"amount": 3}})), "3"),
        (counted(json!({"labels__name": "red"})), "2"),
        (counted(json!({"__not__": {"labels__name": "red"}})), "2"),
        (counted(json!({"labels__name": "red", "labels__weight": 1})), "0"),
        (counted(json!({"stall__name": "north", "sales__isnull": false})), "2"),
        (counted(json!({"name__in": ["apple", "corn", "egg"]})), "2"),
        (of("Sum", "price", json!({"amount": 5, "flag": true})), r#""1.50""#),
        (of("Sum", "price", json!({"__or__": [{"amount": 3}, {"flag": false}]})), r#""3.75""#),
        (of("Concat", "name", json!({"flag": true})), r#""apple, corn""#),
        (of("First", "name", json!({"flag": false})), r#""beet""#),
        (of("Last", "name", json!({"flag": true})), r#""corn""#),
        (of("Exists", "id", json!({"amount__gt": 5})), "false"),
        (of("Avg", "ratio", json!({"amount": 5})), "0.25"),
        // Where it is joined, it means the record there.
        (of("Sum", "sales__count", json!({"sales__day__isnull": false})), "6"),
        (of("Sum", "sales__count", json!({"sales__day": null})), "3"),
        (of("Count", "sales", json!({"sales__day": null})), "1"),
        (of("Count", "sales", json!({"sales__day": {"__field__": "day"}})), "1"),
        (of("Count", "sales", json!({"sales__item__name": "apple"})), "2"),
        (of("Count", "sales", json!({"labels__name": "blue"})), "2"),
    ] {
        assert_lines(&server, &aggregate(&json!({}), &json!({"x": total})), &[expected]);
    }
    for (filter, expected) in [
        (json!({"labels__weight__gt": 1}), &["null 0", r#""blue" 0"#, r#""red" 2"#]),
        (json!({"labels__name": "red"}), &["null 0", r#""blue" 0"#, r#""red" 2"#]),
        (json!({"labels": 2}), &["null 0", r#""blue" 1"#, r#""red" 0"#]),
        (json!({"__not__": {"labels__name": "red"}}), &["null 2", r#""blue" 1"#, r#""red" 0"#]),
        (json!({"labels__isnull": true}), &["null 2", r#""blue" 0"#, r#""red" 0"#]),
        (json!({"labels__name": null}), &["null 2", r#""blue" 0"#, r#""red" 0"#]),
        (json!({"__or__": [{"labels__weight": 1}, {"flag": false}]}), &["null 0", r#""blue" 1"#, r#""red" 1"#]),
        (json!({"labels__items__name": "beet"}), &["null 0", r#""blue" 0"#, r#""red" 2"#]),
        (json!({"labels__items__isnull": true}), &["null 2", r#""blue" 0"#, r#""red" 0"#]),
        (json!({"labels__weight": {"__field__": "amount"}}), &["null 0", r#""blue" 0"#, r#""red" 1"#]),
        // Another relation than the one that is joined.
        (json!({"sales__count": 4}), &["null 0", r#""blue" 0"#, r#""red" 1"#]),
        (json!({"stall": 1}), &["null 0", r#""blue" 1"#, r#""red" 2"#]),
    ] {
        let request = aggregate(&json!({"groupBy": "labels__name"}), &json!({"x": counted(filter)}));
        assert_lines(&server, &request, expected);
    }
    // Groups stay where nothing is left of their records, and each total has a filter of its own.
    let totals = json!({"all": counted(json!({})), "sweet": counted(json!({"note": "sweet"})),
                        "sold": counted(json!({"sales__isnull": false})),
                        "mean": of("Avg", "price", json!({"flag": true}))});
    let by_stall = aggregate(&json!({"groupBy": "stall", "filter": {"note__isnull": false}}), &totals);
    assert_lines(&server, &by_stall, &[r#"1 2 1 2 "1.50000000""#, r#"2 1 1 0 "1.50000000""#]);
    let sold = json!({"x": of("Count", "sales", json!({"sales__count__gte": 3}))});
    let by_name = aggregate(&json!({"groupBy": "name"}), &sold);
    assert_lines(&server, &by_name, &[r#""apple" 1"#, r#""beet" 1"#, r#""corn" 0"#, r#""date" 0"#]);
}

#[test]
fn two_relations_to_many_are_never_multiplied() {
    let server = market();
    let why = "counts the records of another relation than the rest does, which would count each pair of them; \
               ask for it in a request of its own, or by a subquery";
    let of = |field: &str| json!({"function": "Count", "onField": field});
    for (by, totals, refused) in [
        (json!(["labels__name", "sales__count"]), json!({}), &[("/__meta__/groupBy/1", "sales__count")][..]),
        (json!(["labels"]), json!({"x": of("sales")}), &[("/x", "x")]),
        (json!(["labels"]), json!({"x": of("stall__items")}), &[("/x", "x")]),
        (json!(["name"]), json!({"x": of("labels"), "y": of("sales")}), &[("/y", "y")]),
        (json!([]), json!({"x": of("labels"), "y": of("labels__items")}), &[("/y", "y")]),
        // So is a total of the records themselves beside one of those that are joined to them.
        (json!([]), json!({"x": of("labels"), "y": of("sales__count"), "z": of("id")}), &[("/y", "y"), ("/z", "z")]),
    ] {
        let refused: Vec<String> = refused.iter().map(|(at, name)| format!("{at}: \"{name}\" {why}")).collect();
        server.assert_mistakes(&aggregate(&json!({"groupBy": by}), &totals), "", &refused.join("\n"));
    }
    // One relation may serve them all; where the groups join it, the record counts for each that is joined.
    let joined = json!({"labels": of("labels"), "weight": {"function": "Sum", "onField": "labels__weight"}});
    let by_name = aggregate(&json!({"groupBy": "name"}), &joined);
    assert_lines(&server, &by_name, &[r#""apple" 2 4"#, r#""beet" 1 3"#, r#""corn" 0 null"#, r#""date" 0 null"#]);
    let mut both = joined;
    both["amount"] = json!({"function": "Sum", "onField": "amount"});
    let by_label = aggregate(&json!({"groupBy": "labels__name"}), &both);
    assert_lines(&server, &by_label, &["null 0 null 5", r#""blue" 1 1 3"#, r#""red" 2 6 8"#]);
}

#[test]
fn having_filters_groups_by_all_that_they_show() {
    let server = market();
    let totals = json!({"n": {"function": "Count"}, "m": {"function": "Count", "onField": "amount"},
        "total": {"function": "Sum", "onField": "amount"}, "price": {"function": "Sum", "onField": "price"},
        "mean": {"function": "Avg", "onField": "price"}, "ratio": {"function": "Avg", "onField": "ratio"},
        "top": {"function": "Max", "onField": "day"}, "late": {"function": "Max", "onField": "moment"},
        "names": {"function": "Concat", "onField": "name"}, "data": {"function": "First", "onField": "data"},
        "blue": {"function": "Exists", "filter": {"labels__name": "blue"}}});
    let all = ["null", "north", "south"];
    let name = |group: &Value| group["stall__name"].as_str().unwrap_or("null").to_owned();
    let found = |having: &Value| {
        let reply = server.send(&aggregate(&json!({"groupBy": "stall__name", "having": having}), &totals)).json();
        let names: Vec<String> =
            reply["data"].as_array().unwrap_or_else(|| panic!("{reply}")).iter().map(name).collect();
        assert_eq!(reply["extras"]["filtered"], json!(names.len()), "{having}");
        names
    };
    for (having, expected) in [
        (json!({}), &all[..]),
        (json!({"n": 2}), &["north"]),
        (json!({"n": "2"}), &["north"]),
        (json!({"n__gt": 1}), &["north"]),
        (json!({"n__in": [1, 7]}), &["null", "south"]),
        (json!({"n__range": [2, 3]}), &["north"]),
        (json!({"n__lte": 1, "total__gte": 5}), &["south"]),
        (json!({"total": 8}), &["north"]),
        (json!({"total": "8"}), &["north"]),
        (json!({"total": null}), &["null"]),
        (json!({"total__isnull": false}), &["north", "south"]),
        (json!({"total__in": ["8", 5, null]}), &["north", "south"]),
        (json!({"total__lt": 8}), &["south"]),
        (json!({"total__gt": -1}), &["north", "south"]),
        (json!({"total__range": [-5, 5]}), &["south"]),
        (json!({"price": "3.75"}), &["north"]),
        (json!({"price": 1.5}), &["south"]),
        (json!({"price__gte": "1.50"}), &["north", "south"]),
        (json!({"price__range": ["1.51", 4]}), &["north"]),
        (json!({"mean__gt": "1.874999"}), &["north"]),
        (json!({"ratio__gt": 0.25}), &["north"]),
        (json!({"ratio": 0.25}), &["south"]),
        (json!({"top": "2024-05-02"}), &["north"]),
        (json!({"top__year": 2023}), &["south"]),
        (json!({"top__month__gte": 5}), &["north"]),
        (json!({"late__date": "2024-12-31"}), &["north"]),
        (json!({"late__hour__lt": 12}), &["south"]),
        (json!({"late__lt": "2024-01-01T00:00:00+01:00"}), &["south"]),
        (json!({"names": "date"}), &["null"]),
        (json!({"names__iexact": "CORN"}), &["south"]),
        (json!({"names__icontains": "BEET"}), &["north"]),
        (json!({"names__startswith": "a"}), &["north"]),
        (json!({"names__endswith": "e"}), &["null"]),
        (json!({"names__regex": "^[cd]"}), &["null", "south"]),
        (json!({"blue": true}), &["north"]),
        (json!({"blue": false}), &["null", "south"]),
        (json!({"data__code": "N"}), &["north", "south"]),
        (json!({"data__n__lt": 1}), &["south"]),
        (json!({"data__has_key": "n"}), &["north", "south"]),
        // Groups by their own names, which may hold underscores themselves.
        (json!({"stall__name": "north"}), &["north"]),
        (json!({"stall__name": null}), &["null"]),
        (json!({"stall__name__isnull": true}), &["null"]),
        (json!({"stall__name__startswith": "s"}), &["south"]),
        (json!({"stall__name__in": ["south", "north"], "n": 1}), &["south"]),
        (json!({"__or__": [{"n": 2}, {"total": 5}]}), &["north", "south"]),
        (json!({"__not__": {"total": 5}}), &["null", "north"]),
        (json!({"__and__": [{"__not__": {"total": null}}, {"n": 1}]}), &["south"]),
        (json!({"__not__": {"__or__": [{"n": 1}]}}), &["north"]),
        // A total may be compared with another, and with a group.
        (json!({"n": {"__field__": "m"}}), &["north", "south"]),
        (json!({"n__gt": {"__field__": "m"}}), &["null"]),
        (json!({"top": {"__field__": "late__date"}}), &["south"]),
        (json!({"names__gt": {"__field__": "stall__name"}}), &[]),
        (json!({"total__gt": {"__field__": "price"}}), &["north", "south"]),
        (json!({"price__lte": {"__field__": "n"}}), &[]),
        (json!({"n__lt": {"__field__": "total"}}), &["north", "south"]),
        (json!({"price": {"__field__": "mean"}}), &["south"]),
        (json!({"mean__lt": {"__field__": "price"}}), &["north"]),
        (json!({"mean__gt": {"__field__": "ratio"}}), &["north", "south"]),
        (json!({"ratio__gte": {"__field__": "total"}}), &[]),
        (json!({"data__n__lt": {"__field__": "total"}}), &["north", "south"]),
    ] {
        assert_eq!(found(&having), expected, "{having}");
        let others: Vec<&str> = all.into_iter().filter(|name| !expected.contains(name)).collect();
        assert_eq!(found(&json!({"__not__": having})), others, "not {having}");
    }
    for (having, mistake) in [
        (json!({"m": 1}), r#"/m: a group of m.Item has no field "m" (did you mean "n"?)"#),
        (json!({"amount": 1}), r#"/amount: a group of m.Item has no field "amount""#),
        (json!({"pk": 1}), r#"/pk: a group of m.Item has no field "pk""#),
        (
            json!({"stall__nme": 1}),
            r#"/stall__nme: a group of m.Item has no field "stall__nme" (did you mean "stall__name"?)"#,
        ),
        (json!({"n": "x"}), r#"/n: "n" is an integer and cannot be "x""#),
        (
            json!({"total": 1.5}),
            r#"/total: "total" is an integer and cannot be 1.5: it has more than 0 decimal places"#,
        ),
        (
            json!({"n__year": 1}),
            r#"/n__year: "n" has no lookup "year" (it takes exact, in, gt, gte, lt, lte, range, isnull)"#,
        ),
        (
            json!({"total__regex": "1"}),
            r#"/total__regex: "total" has no lookup "regex" (it takes exact, in, gt, gte, lt, lte, range, isnull)"#,
        ),
        (
            json!({"stall__name": {"__field__": "n"}}),
            concat!(
                "/stall__name/__field__: \"stall__name\" is a string and cannot be compared by exact with \"n\", ",
                "which is an integer"
            ),
        ),
    ] {
        let totals = json!({"n": {"function": "Count"}, "total": {"function": "Sum", "onField": "amount"}});
        let meta = json!({"groupBy": "stall__name", "having": having});
        server.assert_mistakes(&aggregate(&meta, &totals), "/__meta__/having", mistake);
    }
    let list = aggregate(&json!({"having": []}), &count());
    server.assert_mistakes(&list, "/__meta__/having", ": having must be an object, not []");
}

#[test]
fn groups_are_ordered_and_paged_by_groups_and_totals() {
    let server = market();
    let totals = json!({"n": {"function": "Count"}, "total": {"function": "Sum", "onField": "amount"},
                        "day": {"function": "Min", "onField": "day"}});
    for (page, expected) in [
        (json!({}), json!([null, "north", "south"])),
        (json!({"ordering": "-stall__name"}), json!(["south", "north", null])),
        (json!({"ordering": "total"}), json!([null, "south", "north"])),
        (json!({"ordering": ["-total"]}), json!(["north", "south", null])),
        // Ties fall to the groups in their order.
        (json!({"ordering": "n"}), json!([null, "south", "north"])),
        (json!({"ordering": ["n", "-stall__name"]}), json!(["south", null, "north"])),
        (json!({"ordering": "-day__month"}), json!(["north", "south", null])),
        (json!({"ordering": ["day"]}), json!([null, "south", "north"])),
        (json!({"ordering": []}), json!([null, "north", "south"])),
        (json!({"limit": 1}), json!([null])),
        (json!({"limit": 1, "offset": 1}), json!(["north"])),
        (json!({"offset": 1, "ordering": "-total"}), json!(["south", null])),
        (json!({"offset": 3}), json!([])),
        (json!({"limit": 2, "having": {"n": 1}, "ordering": "-total"}), json!(["south", null])),
    ] {
        let mut meta = page.clone();
        meta["groupBy"] = json!("stall__name");
        let data = server.data(&aggregate(&meta, &totals));
        let names: Value = data.as_array().unwrap().iter().map(|group| group["stall__name"].clone()).collect();
        assert_eq!(names, expected, "{page}");
    }
    for (counting, extras, message) in [
        (json!(true), json!({"filtered": 3, "display": 1, "queries": 2}), "1 of 3 groups of m.Item records."),
        (json!(false), json!({"filtered": null, "display": 1, "queries": 1}), "1 groups of m.Item records."),
        (
            json!({"upTo": 2}),
            json!({"filtered": 2, "filteredAtLeast": true, "display": 1, "queries": 2}),
            "1 of at least 2 groups of m.Item records.",
        ),
        (json!({"upTo": 4}), json!({"filtered": 3, "display": 1, "queries": 2}), "1 of 3 groups of m.Item records."),
    ] {
        let meta = json!({"groupBy": "stall", "limit": 1, "count": counting});
        let reply = server.send(&aggregate(&meta, &totals)).json();
        assert_eq!((&reply["extras"], &reply["message"]), (&extras, &json!(message)), "{counting}");
    }
    for (meta, mistake) in [
        (json!({"ordering": ["n", "amount"]}), r#"/ordering/1: a group of m.Item has no field "amount""#),
        (json!({"ordering": "pk"}), r#"/ordering: a group of m.Item has no field "pk""#),
        (json!({"ordering": "n__gt"}), r#"/ordering: "n" has no lookup "gt" (it takes no lookup here)"#),
        (json!({"limit": 1001}), "/limit: a request may hold at most 1000 records in one page (limit)"),
        (json!({"after": "x"}), r#"/after: "after" means nothing for the intent aggregate"#),
    ] {
        server.assert_mistakes(&aggregate(&meta, &count()), "/__meta__", mistake);
    }
}

#[test]
fn groups_by_what_is_inside_json_are_told_apart_and_ordered_by_what_they_are() {
    let server = market();
    let values = [json!(10), json!(9), json!(9.5), json!("9"), json!("10"), json!(true), json!(null), json!([2])];
    for value in values.iter().chain([&json!("9")]) {
        server.create("m.Item", &json!({"name": "x", "data": {"k": value}}));
    }
    let by = |ordering: Value| {
        let meta = json!({"groupBy": "data__k", "ordering": ordering, "filter": {"name": "x"}});
        aggregate(&meta, &count())
    };
    let mut expected = ["null 1", "true 1", "9 1", "9.5 1", "10 1", r#""10" 1"#, r#""9" 2"#, "[2] 1"];
    assert_lines(&server, &by(json!("data__k")), &expected);
    expected.reverse();
    assert_lines(&server, &by(json!("-data__k")), &expected);
    // What equals 9 in a filter is of one group with it.
    for number in ["9.0", "9e0", "9.50"] {
        let body = format!(
            r#"{{"__meta__": {{"intent": "create", "namespace": "m.Item"}}, "name": "x", "data": {{"k": {number}}}}}"#
        );
        assert_eq!(Client::connect(&server.address).jql(&server.key, &body).status, 200);
    }
    let expected = ["null 1", "true 1", "9 3", "9.5 2", "10 1", r#""10" 1"#, r#""9" 2"#, "[2] 1"];
    assert_lines(&server, &by(json!("data__k")), &expected);
    let distinct = json!({"n": {"function": "CountDistinct", "onField": "data__k"}});
    assert_eq!(server.data(&aggregate(&json!({"filter": {"name": "x"}}), &distinct)), json!([{"n": 8}]));
    // A null inside json is not the same as nothing there.
    server.create("m.Item", &json!({"name": "x", "data": {}}));
    server.create("m.Item", &json!({"name": "x", "data": {}}));
    let data = server.data(&by(json!(["data__k", "-n"])));
    assert_eq!((&data[0], &data[1]), (&json!({"data__k": null, "n": 2}), &json!({"data__k": null, "n": 1})));
}

#[test]
fn a_total_beyond_the_floats_is_refused_and_not_answered_as_nothing() {
    let server = market();
    for ratio in [1e308, 1.7e308] {
        server.create("m.Item", &json!({"name": "vast", "ratio": ratio}));
    }
    let body = r#"{"__meta__": {"intent": "create", "namespace": "m.Item"}, "name": "vast", "data": {"n": 1e999}}"#;
    assert_eq!(Client::connect(&server.address).jql(&server.key, body).status, 200);
    let refused = [": a total of floats is beyond what a float can hold"];
    let vast = json!({"filter": {"name": "vast"}});
    for (function, field) in [("Sum", "ratio"), ("Avg", "ratio"), ("Sum", "data__n"), ("Max", "data__n")] {
        let total = json!({"x": {"function": function, "onField": field}});
        assert_eq!(server.refused(400, &aggregate(&vast, &total)), refused, "{function} {field}");
        let meta = json!({"namespace": "m.Item", "filter": vast["filter"], "onField": field, "sequencedProcess": [{"function": function}]});
        let nested = request("retrieve", "m.Stall", &json!({}), &json!({"x": subquery(&meta)}));
        assert_eq!(server.refused(400, &nested), refused, "{function} {field}");
    }
    let max = json!({"x": {"function": "Max", "onField": "ratio"}});
    assert_eq!(server.data(&aggregate(&vast, &max)), json!([{"x": 1.7e308}]));
}

#[test]
fn names_of_groups_and_totals_must_be_told_apart() {
    let server = market();
    let one = json!({"function": "Count"});
    for (by, name, mistake) in [
        (json!(["name"]), "name", "is a group already; give the total another name"),
        (json!(["name"]), "Name", "differs only in case from another group or total"),
        (json!([]), "N", "differs only in case from another group or total"),
        (json!([]), "a__b", "is not the name of a total: letters, digits and single underscores, at most 60"),
        (json!([]), "a_", "is not the name of a total: letters, digits and single underscores, at most 60"),
        (json!([]), "_a", "is not the name of a total: letters, digits and single underscores, at most 60"),
        (json!([]), "1a", "is not the name of a total: letters, digits and single underscores, at most 60"),
        (json!([]), "a b", "is not the name of a total: letters, digits and single underscores, at most 60"),
        (json!([]), "é", "is not the name of a total: letters, digits and single underscores, at most 60"),
        (json!([]), "", "is not the name of a total: letters, digits and single underscores, at most 60"),
    ] {
        let request = aggregate(&json!({"groupBy": by}), &json!({"n": one, name: one}));
        server.assert_mistakes(&request, &format!("/{name}: \"{name}\" "), mistake);
    }
    let long = "a".repeat(61);
    let errors = server.refused(400, &aggregate(&json!({}), &json!({long.as_str(): one})));
    assert!(errors[0].ends_with("is not the name of a total: letters, digits and single underscores, at most 60"));
    for (by, mistake) in [
        (json!(["name", "name"]), r#"/1: the key "name" stands twice in one object"#),
        (json!(["data__a", "data__A"]), r#"/1: "data__A" differs only in case from another group or total"#),
    ] {
        server.assert_mistakes(&aggregate(&json!({"groupBy": by}), &json!({})), "/__meta__/groupBy", mistake);
    }
    // One field under two names, totals with names of fields that are no groups, and a word of SQL.
    let amount = json!({"function": "Sum", "onField": "amount"});
    let totals = json!({"amount": amount, "id": one, "Select": one, &long[1..]: one});
    let request = aggregate(&json!({"groupBy": ["stall", "stall_id"]}), &totals);
    assert_lines(&server, &request, &["null null null 1 1 1", "1 1 8 2 2 2", "2 2 5 1 1 1"]);
}

#[test]
fn mistakes_in_an_aggregate_are_all_pointed_out() {
    let server = market();
    let totals = json!({
        "a": null, "b": {}, "c": {"function": 1}, "d": {"function": "Cuont"},
        "f": {"function": "Sum", "onField": "nme"}, "g": {"function": "Sum", "onField": ["price"]},
        "h": {"function": "Count", "separator": ", ", "onFild": "id"}, "i": {"function": "Count", "ordering": "nme"},
        "j": {"function": "Concat", "separator": 1}, "k": {"function": "Count", "filter": {"nme": 1}},
        "l": {"function": "Count", "filter": []}, "m": {"function": "First", "ordering": 1}
    });
    server.assert_mistakes(
        &aggregate(&json!({"groupBy": ["nme", "name__gt", "clock__day"], "filter": {"amount": "x"}}), &totals),
        "",
        r#"/a: the total "a" must be an object with a function, not null
/b: a total needs the key "function"
/c/function: function must be the name of a function, not 1
/l/filter: filter must be an object, not []
/m/ordering: ordering must be a list of fields, or one, not 1
/__meta__/groupBy/0: m.Item has no field "nme" (did you mean "name"?)
/__meta__/groupBy/1: "name" has no lookup "gt" (it takes no lookup here)
/__meta__/groupBy/2: "clock" has no lookup "day" (it takes hour, minute, second)
/d/function: there is no function "Cuont" (did you mean "Count"?)
/f/onField: m.Item has no field "nme" (did you mean "name"?)
/g/onField: "onField" must be the name of a field, not ["price"]
/h/separator: Count has no key "separator"
/h/onFild: Count has no key "onFild" (did you mean "onField"?)
/i/ordering: Count has no key "ordering"
/i/ordering: m.Item has no field "nme" (did you mean "name"?)
/j/separator: "separator" must be a string of at most 100 bytes, not 1
/k/filter/nme: m.Item has no field "nme" (did you mean "name"?)
/__meta__/filter/amount: "amount" is an integer and cannot be "x""#,
    );
    server.assert_mistakes(
        &aggregate(&json!({}), &json!({"x": {"function": "Upper"}})),
        "/x/function",
        concat!(
            ": \"Upper\" goes on with a total and makes none; these do: ",
            "Count, CountDistinct, Sum, Avg, Min, Max, Percentile, First, Last, Exists, Concat"
        ),
    );
    for (meta, mistakes) in [
        (
            json!({"groupBy": "nme", "return": {}, "uniqueObject": {"id": 1}, "groupby": []}),
            r#"/return: "return" means nothing for the intent aggregate
/uniqueObject: "uniqueObject" means nothing for the intent aggregate
/groupby: __meta__ has no key "groupby" (did you mean "groupBy"?)
/groupBy: m.Item has no field "nme" (did you mean "name"?)"#,
        ),
        (json!({"groupBy": {}}), "/groupBy: groupBy must be a list of fields, or one, not {}"),
        (json!({"groupBy": [1]}), "/groupBy/0: a part of groupBy must be the name of a field, not 1"),
    ] {
        server.assert_mistakes(&aggregate(&meta, &count()), "/__meta__", mistakes);
    }
    let many = (0..501).map(|index| (format!("n{index}"), json!({"function": "Count"})));
    let many: Value = many.collect::<serde_json::Map<_, _>>().into();
    let errors = server.refused(400, &aggregate(&json!({}), &many));
    assert_eq!(errors[0], "/n500: a request may hold at most 500 fields and conditions");
}

// -- Exactness ----------------------------------------------------------------------------------

const LEDGER: &str = r#"{ "x.Entry": { "fields": {
    "side": { "type": "string", "null": true }, "whole": { "type": "integer", "null": true },
    "large": { "type": "decimal", "max_digits": 18, "decimal_places": 0, "null": true },
    "money": { "type": "decimal", "max_digits": 18, "decimal_places": 2, "null": true },
    "tiny": { "type": "decimal", "max_digits": 18, "decimal_places": 18, "null": true },
    "data": { "type": "json", "null": true } } } }"#;

/// Puts so many entries with this value of a column in the place of those that are there.
fn fill(server: &Server, column: &str, values: &[(i64, u32)]) {
    let mut statements = r#"DELETE FROM "x.Entry";"#.to_owned();
    for (value, times) in values {
        statements.push_str(&format!(
            r#"WITH RECURSIVE n(i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n WHERE i < {times})
               INSERT INTO "x.Entry" (side, {column}) SELECT iif({value} < 0, 'less', 'more'), {value} FROM n;"#
        ));
    }
    server.change(&statements);
}

#[test]
fn sums_and_averages_are_exact_whatever_they_come_to() {
    let server = Server::with(LEDGER, &[]);
    const MOST: i64 = 999_999_999_999_999_999;
    for (column, values, sum, average) in [
        ("whole", &[(i64::MAX, 10_000)][..], "92233720368547758070000", "9.223372036854776e+18"),
        ("whole", &[(i64::MIN, 10_000)], "-92233720368547758080000", "-9.223372036854776e+18"),
        ("whole", &[(i64::MAX, 500), (i64::MIN, 500)], "-500", "-0.5"),
        ("whole", &[(i64::MIN, 500), (i64::MAX, 500), (1, 1)], "-499", "-0.4985014985014985"),
        ("whole", &[(i64::MAX, 1), (1, 1)], "9223372036854775808", "4.611686018427388e+18"),
        ("whole", &[(9_007_199_254_740_993, 2)], "18014398509481986", "9007199254740992.0"),
        ("whole", &[(3, 1), (4, 1)], "7", "3.5"),
        ("large", &[(MOST, 10_000)], r#""9999999999999999990000""#, r#""999999999999999999.000000""#),
        ("large", &[(-MOST, 10_000), (MOST, 9_999)], r#""-999999999999999999""#, r#""-50002500125006.250263""#),
        ("large", &[(1, 2), (2, 1)], r#""4""#, r#""1.333333""#),
        ("large", &[(1, 1), (0, 127)], r#""1""#, r#""0.007813""#),
        ("large", &[(-1, 1), (0, 127)], r#""-1""#, r#""-0.007813""#),
        ("large", &[(-2, 1), (0, 2)], r#""-2""#, r#""-0.666667""#),
        ("money", &[(MOST, 10_000)], r#""99999999999999999900.00""#, r#""9999999999999999.99000000""#),
        ("money", &[(MOST, 1), (-MOST, 1)], r#""0.00""#, r#""0.00000000""#),
        ("money", &[(10, 1), (20, 1)], r#""0.30""#, r#""0.15000000""#),
        ("money", &[(-1, 1)], r#""-0.01""#, r#""-0.01000000""#),
        ("tiny", &[(MOST, 10_000)], r#""9999.999999999999990000""#, r#""0.999999999999999999000000""#),
        ("tiny", &[(1, 1), (0, 2)], r#""0.000000000000000001""#, r#""0.000000000000000000333333""#),
    ] {
        fill(&server, column, values);
        let of = |function: &str| json!({"function": function, "onField": column});
        let totals = json!({"sum": of("Sum"), "average": of("Avg")});
        let body = server.send(&request("aggregate", "x.Entry", &json!({}), &totals)).body;
        let expected = format!(r#""data":[{{"sum":{sum},"average":{average}}}]"#);
        assert!(body.contains(&expected), "{column} {values:?}: {body}\n{expected}");
        // Read as exactly where groups are chosen by it.
        for (lookup, expected) in [("sum", 1), ("sum__gte", 1), ("sum__lte", 1), ("sum__gt", 0), ("sum__lt", 0)] {
            let body = format!(
                r#"{{"__meta__": {{"intent": "aggregate", "namespace": "x.Entry", "having": {{"{lookup}": {sum}}}}},
                    "sum": {{"function": "Sum", "onField": "{column}"}}}}"#
            );
            let reply = Client::connect(&server.address).jql(&server.key, &body);
            assert_eq!(reply.json()["extras"]["filtered"], json!(expected), "{lookup} {sum}: {}", reply.body);
        }
    }
    // On both sides of zero they sort as numbers.
    fill(&server, "whole", &[(i64::MAX, 3), (i64::MIN, 2), (0, 1)]);
    server
        .change(r#"UPDATE "x.Entry" SET side = 'none' WHERE whole = 0; INSERT INTO "x.Entry" (side) VALUES ('null')"#);
    let sums = json!({"sum": {"function": "Sum", "onField": "whole"}});
    let by = |order: &str| request("aggregate", "x.Entry", &json!({"groupBy": "side", "ordering": order}), &sums);
    let mut expected =
        [r#""null" null"#, r#""less" -18446744073709551616"#, r#""none" 0"#, r#""more" 27670116110564327421"#];
    assert_lines(&server, &by("sum"), &expected);
    expected.reverse();
    assert_lines(&server, &by("-sum"), &expected);
}

#[test]
fn whole_numbers_inside_json_have_a_sum_whatever_their_size() {
    let server = Server::with(LEDGER, &[]);
    let sum = request(
        "aggregate",
        "x.Entry",
        &json!({}),
        &json!({"x": {"function": "Sum", "onField": "data__n"}, "y": {"function": "Avg", "onField": "data__n"}}),
    );
    for n in [i64::MAX, i64::MAX, i64::MAX] {
        server.create("x.Entry", &json!({"data": {"n": n}}));
    }
    assert_lines(&server, &sum, &["2.7670116110564327e+19 9.223372036854776e+18"]);
    server.create("x.Entry", &json!({"data": {"n": "7"}}));
    server.create("x.Entry", &json!({"data": {"n": -1e300}}));
    assert_lines(&server, &sum, &["-1e+300 -2.5e+299"]);
}

// -- Permissions and cost -----------------------------------------------------------------------

#[test]
fn a_percentile_is_the_value_at_the_nearest_rank() {
    let server = Server::with(LEDGER, &[]);
    let rows = (0..3000_i64).map(|row| {
        let value = (row % 11 > 0).then_some(row * 7919 % 2003 - 1000);
        (if row % 3 > 0 { "more" } else { "less" }, value)
    });
    let rows: Vec<(&str, Option<i64>)> = rows.collect();
    let written = rows.iter().map(|(side, value)| format!("('{side}', {})", json!(value)));
    let written = written.collect::<Vec<_>>().join(", ");
    server.change(&format!(r#"INSERT INTO "x.Entry" (side, whole) VALUES {written}"#));
    for thousandths in [0, 1, 70, 250, 500, 501, 950, 990, 999, 1000] {
        let expected = |sides: &[&str]| {
            let of_sides = rows.iter().filter(|(side, _)| sides.contains(side));
            let mut values: Vec<i64> = of_sides.filter_map(|(_, value)| *value).collect();
            values.sort_unstable();
            json!(values.get((values.len() * thousandths).div_ceil(1000).max(1) - 1))
        };
        let value: Value = serde_json::from_str(&format!("{}.{:03}", thousandths / 1000, thousandths % 1000)).unwrap();
        let all = json!({"function": "Percentile", "onField": "whole", "value": value});
        let of = |side: &str| {
            let mut total = all.clone();
            total["filter"] = json!({"side": side});
            total
        };
        let totals = json!({"all": all, "less": of("less"), "none": of("none")});
        let found = server.data(&request("aggregate", "x.Entry", &json!({}), &totals));
        let (less, more) = (expected(&["less"]), expected(&["more"]));
        assert_eq!(found, json!([{"all": expected(&["less", "more"]), "less": less, "none": null}]), "{thousandths}");

        let meta = json!({"groupBy": "side", "ordering": "side", "having": {"x__gt": -2000}});
        let found = server.data(&request("aggregate", "x.Entry", &meta, &json!({"x": all})));
        assert_eq!(found, json!([{"side": "less", "x": less}, {"side": "more", "x": more}]), "{thousandths}");
    }
}

#[test]
fn what_names_a_total_or_a_group_that_failed_is_not_told_as_well() {
    let server = market();
    let share = json!({"p": {"function": "Percentile", "onField": "amount", "value": 2}, "n": {"function": "Count"}});
    let meta = json!({"groupBy": ["stall__name", "nme"], "ordering": ["-p", "nme", "q"], "having": {"p__gt": 1, "n": {"__field__": "p"}}});
    server.assert_mistakes(
        &aggregate(&meta, &share),
        "",
        r#"/__meta__/groupBy/1: m.Item has no field "nme" (did you mean "name"?)
/p/value: "value" must be a number from 0 to 1, such as 0.95, not 2
/__meta__/ordering/2: a group of m.Item has no field "q" (did you mean "n"?)"#,
    );
}

#[test]
fn the_share_of_a_percentile_is_a_number_from_0_to_1() {
    let server = market();
    for (value, shown) in [
        (json!(1.01), "1.01"),
        (json!(-0.1), "-0.1"),
        (json!(2), "2"),
        (json!(95), "95"),
        (json!("0.5"), "\"0.5\""),
        (json!(null), "null"),
        (json!([0.5]), "[0.5]"),
    ] {
        let step = json!({"function": "Percentile", "onField": "amount", "value": value});
        let why = format!("\"value\" must be a number from 0 to 1, such as 0.95, not {shown}");
        server.assert_mistakes(&aggregate(&json!({}), &json!({"x": step})), "/x/value: ", &why);
        let meta = json!({"namespace": "m.Item", "sequencedProcess": [step]});
        let at = "/x/__meta__/sequencedProcess/0/value: ";
        server.assert_mistakes(&with_x("m.Stall", &subquery(&meta)), at, &why);
    }
    let step = json!({"function": "Percentile", "onField": "amount"});
    server.assert_mistakes(&aggregate(&json!({}), &json!({"x": step})), "/x: ", "Percentile needs the key \"value\"");
    let step = json!({"function": "Max", "onField": "amount", "value": 0.5});
    let refused = server.refused(400, &aggregate(&json!({}), &json!({"x": step})));
    assert_eq!(refused, ["/x/value: Max has no key \"value\""]);
}

#[test]
fn no_total_tells_of_a_model_that_the_key_may_not_read() {
    let server = market();
    let items = |meta: Value, fields: Value| request("retrieve", "m.Item", &meta, &fields);
    let of = |field: &str| aggregate(&json!({}), &json!({"x": {"function": "Max", "onField": field}}));
    let by = |group: &str| aggregate(&json!({"groupBy": group}), &count());
    let filtered = |filter: Value| aggregate(&json!({}), &json!({"x": {"function": "Count", "filter": filter}}));
    let first =
        |order: &str| aggregate(&json!({}), &json!({"x": {"function": "First", "onField": "name", "ordering": order}}));
    let counted = |more: Value| {
        let mut meta = json!({"namespace": "m.Item", "sequencedProcess": [{"function": "Count"}]});
        meta.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        json!({"x": subquery(&meta)})
    };
    let mapped = |namespace: &str, field: &str, reference: &str| {
        let mapping = json!([{"field": field, "referenceField": reference}]);
        items(json!({}), counted(json!({"namespace": namespace, "outerRefMapping": mapping})))
    };
    let labels = counted(json!({"namespace": "m.Label"}));
    let sales = counted(json!({"namespace": "m.Sale"}));
    let writes = json!({"dryRun": true, "return": labels});
    let transformed = json!({"name": {"__transform__": {"upper": {}}}});
    let cases = [
        (
            "m.Label",
            vec![
                by("labels__name"),
                by("labels__weight"),
                of("labels__name"),
                filtered(json!({"labels__name": "red"})),
                filtered(json!({"__not__": {"__or__": [{"labels__name": "red"}]}})),
                first("labels__name"),
                aggregate(&json!({"filter": {"labels__name": "red"}}), &count()),
                aggregate(&json!({"exclude": {"labels__weight__gt": 1}}), &count()),
                request("aggregate", "m.Label", &json!({}), &count()),
                items(json!({}), labels.clone()),
                items(json!({}), json!({"stall": labels})),
                items(json!({}), json!({"sales": labels})),
                items(json!({}), counted(json!({"filter": {"labels__name": "red"}}))),
                items(json!({}), counted(json!({"exclude": {"labels__name": "red"}}))),
                items(json!({}), counted(json!({"ordering": "-labels__name"}))),
                mapped("m.Item", "labels__name", "name"),
                request("create", "m.Item", &writes, &json!({"name": "x"})),
            ],
        ),
        (
            "m.Stall",
            vec![
                by("stall__name"),
                by("stall__opened__year"),
                by("stall__data__code"),
                request("aggregate", "m.Sale", &json!({"groupBy": "item__stall__name"}), &count()),
                of("stall__budget"),
                first("-stall__name"),
                filtered(json!({"name": {"__field__": "stall__name"}})),
                mapped("m.Label", "name", "stall__name"),
                mapped("m.Item", "stall__name", "name"),
                items(json!({}), json!({"x": subquery(&json!({"namespace": "m.Item", "onField": "stall__name"}))})),
                items(json!({}), json!({"x": {"__field__": "stall__name"}})),
                items(json!({}), json!({"stall": transformed})),
                items(
                    json!({}),
                    json!({"sales": {"__meta__": {"filter": {"day": {"__field__": "item__stall__opened"}}}}}),
                ),
                items(json!({"filter": {"name__gt": {"__field__": "stall__name"}}}), json!({})),
                items(json!({"exclude": {"name": {"__field__": "stall__name"}}}), json!({})),
                items(json!({"ordering": "stall__data__code"}), json!({})),
            ],
        ),
        (
            "m.Sale",
            vec![
                by("sales__count"),
                by("sales"),
                of("sales"),
                of("sales__count"),
                filtered(json!({"sales__count__gt": 1})),
                request("aggregate", "m.Stall", &json!({"groupBy": "items__sales__day"}), &count()),
                mapped("m.Sale", "item", "id"),
                request("retrieve", "m.Stall", &json!({}), &json!({"items": sales})),
                items(json!({}), json!({"sales": {"__transform__": {"length": {}}}})),
            ],
        ),
    ];
    let full = server.key_for("m.*:*");
    for (model, requests) in cases {
        let others = ["m.Item", "m.Stall", "m.Label", "m.Sale"].into_iter().filter(|other| *other != model);
        let lacking = server.key_for(&others.map(|other| format!("{other}:*")).collect::<Vec<_>>().join(","));
        let message = format!("the key lacks the permission {model}:read");
        for request in requests {
            let body = request.to_string();
            let head = format!("Content-Type: application/json\r\nContent-Length: {}\r\n", body.len());
            let nobody = Client::connect(&server.address).request("POST", "/jql", &head, &body);
            assert_eq!((nobody.status, nobody.errors()), (401, vec![": Authentication failed".into()]), "{body}");
            let refused = server.send_as(&lacking, &request);
            let json = refused.json();
            assert_eq!(
                (refused.status, &json["data"], &json["message"]),
                (403, &Value::Null, &json!(message)),
                "{body}"
            );
            for error in json["errors"].as_array().unwrap() {
                assert_eq!(error["errorMessage"], json!(message), "{body}");
            }
            let allowed = server.send_as(&full, &request);
            assert_eq!(allowed.status, 200, "{body}\n{}", allowed.body);
        }
    }
}

#[test]
fn what_a_record_holds_itself_is_grouped_and_counted_without_leave_to_read_more() {
    let server = market();
    let key = server.key_for("m.Item:read");
    for (meta, totals, expected) in [
        (
            json!({"groupBy": "stall"}),
            count(),
            json!([{"stall": null, "n": 1}, {"stall": 1, "n": 2}, {"stall": 2, "n": 1}]),
        ),
        (
            json!({"groupBy": "labels"}),
            count(),
            json!([{"labels": null, "n": 2}, {"labels": 1, "n": 2}, {"labels": 2, "n": 1}]),
        ),
        (json!({}), json!({"n": {"function": "Count", "onField": "labels"}}), json!([{"n": 3}])),
        (
            json!({"groupBy": "labels"}),
            json!({"n": {"function": "Count", "filter": {"labels": 1}}}),
            json!([{"labels": null, "n": 0}, {"labels": 1, "n": 2}, {"labels": 2, "n": 0}]),
        ),
    ] {
        let reply = server.send_as(&key, &aggregate(&meta, &totals));
        assert_eq!((reply.status, &reply.json()["data"]), (200, &expected), "{meta}");
    }
}

#[test]
fn a_count_takes_no_leave_for_an_order_that_nobody_asked_for() {
    let models = r#"{ "o.Author": { "fields": { "name": { "type": "string" } } },
        "o.Page": { "fields": { "author": { "type": "ref", "to": "o.Author" } }, "ordering": ["author__name"] } }"#;
    let server = Server::with(models, &[]);
    let author = server.create("o.Author", &json!({"name": "eve"}));
    server.create("o.Page", &json!({"author": author}));
    let key = server.key_for("o.Page:read");
    let aggregate = |function: &str| request("aggregate", "o.Page", &json!({}), &json!({"x": {"function": function}}));
    let nested = |function: &str| {
        let meta = json!({"namespace": "o.Page", "sequencedProcess": [{"function": function}]});
        request("retrieve", "o.Page", &json!({"ordering": "pk"}), &json!({"x": subquery(&meta)}))
    };
    for (function, expected) in [
        ("Count", Some(json!(1))),
        ("Sum", Some(json!(1))),
        ("Exists", Some(json!(true))),
        ("First", None),
        ("Last", None),
        ("Concat", None),
    ] {
        for request in [aggregate(function), nested(function)] {
            let reply = server.send_as(&key, &request);
            match &expected {
                Some(expected) => assert_eq!(reply.json()["data"], json!([{"x": expected}]), "{request}"),
                None => assert!(
                    reply.status == 403 && reply.body.contains("lacks the permission o.Author:read"),
                    "{request}\n{}",
                    reply.body
                ),
            }
        }
    }
}

#[test]
fn the_number_of_statements_does_not_grow_with_the_rows() {
    let server = Server::with(MARKET, &[]);
    server.change(
        r#"WITH RECURSIVE n(i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n WHERE i < 1000)
            INSERT INTO "m.Stall" (id, name, opened) SELECT i, 'stall ' || i, '2024-01-0' || (1 + i % 9) FROM n;
        INSERT INTO "m.Label" (id, name, weight) SELECT id, 'label ' || id, id % 7 FROM "m.Stall";
        INSERT INTO "m.Item" (id, name, amount, stall) SELECT id, 'item ' || id, id, id FROM "m.Stall";
        INSERT INTO "m.Item.labels" SELECT id, id FROM "m.Item" UNION ALL SELECT id, 1 + id % 1000 FROM "m.Item";
        INSERT INTO "m.Sale" (item, count) SELECT id, id FROM "m.Item" UNION ALL SELECT id, 1 FROM "m.Item";"#,
    );
    let sold = subquery(&json!({"namespace": "m.Sale", "outerRefMapping": [{"field": "item", "referenceField": "id"}],
                                "sequencedProcess": [{"function": "Sum", "onField": "count"},
                                                     {"function": "Cast", "castType": "string"}]}));
    let latest = subquery(&json!({"namespace": "m.Item", "onField": "name", "ordering": "-name",
                                  "outerRefMapping": [{"field": "stall", "referenceField": "id"}]}));
    let of = |namespace: &str, meta: Value, fields: Value| request("retrieve", namespace, &meta, &fields);
    let items = |fields: Value| of("m.Item", json!({}), fields);
    let narrowed = json!({"limit": 1, "ordering": "-item__name", "filter": {"item__labels__weight__gt": 2}});
    let total = |function: &str, field: &str| json!({"function": function, "onField": field});
    let joined = json!({"function": "Sum", "onField": "sales__count", "filter": {"sales__count__gt": 1}});
    let sale = json!({"item": {"sold": sold, "stall": {"latest": latest}}});
    let weight = json!({"x": total("Max", "items__labels__weight")});
    // The page and its count, and one for each list, at whatever level.
    for (statements, asked) in [
        (2, items(json!({}))),
        (1, of("m.Item", json!({"count": false}), json!({}))),
        (2, items(json!({"stall": {"name": null}}))),
        (3, items(json!({"sales": {"count": null}}))),
        (3, items(json!({"sales": {"__meta__": narrowed, "count": null}}))),
        (3, items(json!({"labels": {"name": null}}))),
        (3, items(json!({"labels": null}))),
        (3, items(json!({"sales": null}))),
        (4, items(json!({"labels": null, "sales": null, "stall": null}))),
        (6, items(json!({"stall": {"items": {"labels": {"items": {"stall": {"name": null}}}, "sales": null}}}))),
        (2, items(json!({"sold": sold}))),
        (2, items(json!({"sold": sold, "stall": {"latest": latest}}))),
        (3, of("m.Stall", json!({}), json!({"items": {"sold": sold}, "latest": latest}))),
        (4, of("m.Label", json!({}), json!({"items": {"sold": sold, "sales": sale}}))),
        (2, items(json!({"x": {"__field__": "stall__name", "__transform__": {"upper": {}}}}))),
        (3, items(json!({"labels": {"__transform__": {"length": {}}}}))),
        (2, of("m.Item", json!({"filter": {"amount__gte": {"__field__": "stall__id"}}}), json!({}))),
        (2, aggregate(&json!({"groupBy": "name"}), &json!({}))),
        (1, aggregate(&json!({"groupBy": "name", "count": false}), &json!({}))),
        (
            2,
            aggregate(
                &json!({"groupBy": "name", "having": {"x__gt": 0}, "ordering": "-x"}),
                &json!({"x": total("Sum", "amount")}),
            ),
        ),
        (
            2,
            aggregate(
                &json!({"groupBy": "stall__name"}),
                &json!({"x": total("Avg", "amount"), "y": total("Last", "name")}),
            ),
        ),
        (
            2,
            aggregate(
                &json!({"groupBy": "labels__name"}),
                &json!({"x": total("Count", "id"), "y": total("Concat", "labels__name")}),
            ),
        ),
        (2, aggregate(&json!({"groupBy": ["name", "stall"]}), &json!({"x": joined}))),
        (2, request("aggregate", "m.Stall", &json!({"groupBy": "items__labels__name"}), &weight)),
    ] {
        for rows in [10, 100, 1000] {
            let mut asked = asked.clone();
            asked["__meta__"]["limit"] = json!(rows);
            let extras = server.send(&asked).json()["extras"].clone();
            assert_eq!((&extras["display"], &extras["queries"]), (&json!(rows), &json!(statements)), "{asked}");
        }
    }
}
