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
        ("Exists", "price", "true"),
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
    for function in ["Count", "CountDistinct", "Sum", "Avg", "Min", "Max", "First", "Last", "Exists", "Concat"] {
        for (field, described) in fields {
            let takes = match function {
                "Sum" | "Avg" => matches!(field, "amount" | "price" | "ratio"),
                "Min" | "Max" | "Concat" => field != "data",
                _ => true,
            };
            let step = json!({"function": function.to_uppercase(), "onField": field});
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
            let meta = json!({"namespace": "m.Item", "onField": field, "sequencedProcess": [{"function": function}]});
            let at = "/x/__meta__/onField: ";
            server.assert_mistakes(&with_x("m.Stall", &subquery(&meta)), at, &why);
        }
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
        (json!([{"function": "Median"}]), r#"/0/function: there is no function "Median""#),
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
    // A null inside json is not the same as nothing there.
    server.create("m.Item", &json!({"name": "x", "data": {}}));
    server.create("m.Item", &json!({"name": "x", "data": {}}));
    let data = server.data(&by(json!(["data__k", "-n"])));
    assert_eq!((&data[0], &data[1]), (&json!({"data__k": null, "n": 2}), &json!({"data__k": null, "n": 1})));
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
/__meta__/filter/amount: "amount" is an integer and cannot be "x"
/__meta__/groupBy/0: m.Item has no field "nme" (did you mean "name"?)
/__meta__/groupBy/1: "name" has no lookup "gt" (it takes no lookup here)
/__meta__/groupBy/2: "clock" has no lookup "day" (it takes hour, minute, second)
/d/function: there is no function "Cuont" (did you mean "Count"?)
/f/onField: m.Item has no field "nme" (did you mean "name"?)
/g/onField: "onField" must be the name of a field, not ["price"]
/h/separator: Count has no key "separator"
/h/onFild: Count has no key "onFild" (did you mean "onField"?)
/i/ordering: m.Item has no field "nme" (did you mean "name"?)
/i/ordering: "ordering" means nothing for the intent Count
/j/separator: "separator" must be a string of at most 100 bytes, not 1
/k/filter/nme: m.Item has no field "nme" (did you mean "name"?)"#,
    );
    server.assert_mistakes(
        &aggregate(&json!({}), &json!({"x": {"function": "Upper"}})),
        "/x/function",
        concat!(
            ": \"Upper\" goes on with a total and makes none; these do: ",
            "Count, CountDistinct, Sum, Avg, Min, Max, First, Last, Exists, Concat"
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
