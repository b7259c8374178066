//! Several requests in one transaction, with results of one in another, and requests that may be sent again.

use crate::envelope::{assert_reply, refusal, success};
use crate::support::{
    Client, Folder, MODELS, Reply, Server, assert_json, eventually, file_holds, jqlite, request, run,
};
use serde_json::{Value, json};
use std::sync::mpsc::channel;
use std::time::Duration;

/// A batch of these requests, all or none.
fn batch(requests: &Value) -> Value {
    batch_with(&json!({}), &json!({"requests": requests}))
}

/// A batch with more in `__meta__`, and these arguments.
fn batch_with(meta: &Value, arguments: &Value) -> Value {
    let mut request = request("execute", "system.Batch", meta, arguments);
    request["__meta__"]["schema"] = json!("controller");
    request
}

/// A batch of these requests, each for itself.
fn each(requests: &Value) -> Value {
    batch_with(&json!({}), &json!({"requests": requests, "atomic": false}))
}

/// What stands for an earlier result.
fn result(pointer: &str) -> Value {
    json!({"__result__": pointer})
}

/// What is said of a result that is not there.
fn unknown_result(pointer: &str) -> String {
    let hint = "a result is named by its number and a path, such as /0/data/id";
    format!("\"__result__\" names no earlier result: \"{pointer}\" is not there; {hint}")
}

fn create(namespace: &str, values: &Value) -> Value {
    request("create", namespace, &json!({}), values)
}

fn tag(name: &str) -> Value {
    create("tickets.Tag", &json!({"name": name}))
}

fn update(namespace: &str, id: &Value, values: &Value) -> Value {
    request("update", namespace, &json!({"uniqueObject": {"id": id}}), values)
}

fn delete(namespace: &str, id: &Value) -> Value {
    request("deleteOne", namespace, &json!({"uniqueObject": {"id": id}}), &json!({}))
}

fn count(namespace: &str) -> Value {
    request("count", namespace, &json!({}), &json!({}))
}

/// The members of each envelope that tell what came of its request: status, data, and errors.
fn outcomes(data: &Value) -> Vec<Value> {
    let errors = |envelope: &Value| match &envelope["errors"] {
        Value::Array(errors) => errors.iter().map(|error| error["errorMessage"].clone()).collect(),
        _ => Value::Null,
    };
    let outcome = |envelope: &Value| json!([envelope["status"], envelope["data"], errors(envelope)]);
    data.as_array().unwrap().iter().map(outcome).collect()
}

/// Sends what must be refused with this status, these errors and this index, and must leave everything as it is.
#[track_caller]
fn assert_refused(server: &Server, key: &str, batch: &Value, status: u16, errors: &[&str], index: Value) {
    let before = server.dump();
    let reply = server.send_as(key, batch);
    assert_eq!(
        (reply.status, reply.errors().iter().map(String::as_str).collect()),
        (status, errors.to_vec()),
        "{batch}"
    );
    let json = reply.json();
    assert_eq!((&json["data"], &json["extras"]["index"]), (&Value::Null, &index), "{batch}");
    assert_eq!(server.dump(), before, "{batch}");
}

// -- Batches ------------------------------------------------------------------------------------

#[test]
fn a_batch_answers_the_envelopes_of_its_requests() {
    let server = Server::start();
    let requests = json!([
        create("tickets.Category", &json!({"name": "Billing"})),
        create("tickets.Ticket", &json!({"title": "one", "category": result("/0/data/id")})),
        request("retrieve", "tickets.Ticket", &json!({"draw": 5}), &json!({"title": null, "category": {"name": null}})),
        delete("tickets.Ticket", &result("/1/data/id")),
        count("tickets.Ticket"),
    ]);
    let envelopes = [
        success(
            r#"{"id":1}"#,
            r#""filtered":1,"display":1,"queries":1"#,
            "\"create\"",
            "Category created successfully.",
        ),
        success(r#"{"id":1}"#, r#""filtered":1,"display":1,"queries":1"#, "\"create\"", "Ticket created successfully."),
        success(
            r#"[{"title":"one","category":{"name":"Billing"}}]"#,
            r#""filtered":1,"display":1,"queries":2,"draw":5"#,
            "\"retrieve\"",
            "1 of 1 tickets.Ticket records.",
        ),
        success("null", r#""filtered":1,"display":0,"queries":1"#, "\"deleteOne\"", "Ticket deleted successfully."),
        success(r#"{"count":0}"#, r#""filtered":0,"display":0,"queries":1"#, "\"count\"", "0 tickets.Ticket records."),
    ];
    let data = format!("[{}]", envelopes.join(","));
    let extras = r#""filtered":5,"display":5,"queries":6,"draw":"d""#;
    let reply = server.send(&batch_with(&json!({"draw": "d"}), &json!({"requests": requests})));
    assert_reply(&reply, 200, &success(&data, extras, "\"execute\"", "5 requests carried out."));
}

#[test]
fn a_batch_that_fails_anywhere_changes_nothing_and_says_where() {
    let server = Server::start();
    server.create("tickets.Tag", &json!({"name": "taken"}));
    server.create("tickets.Category", &json!({"name": "c"}));
    server.create("tickets.Ticket", &json!({"title": "t", "category": 1}));
    let key = server.key_for("tickets.*:*");
    let good = [
        tag("a"),
        request("createMany", "tickets.Tag", &json!({"objects": [{"name": "b"}, {"name": "c"}]}), &json!({})),
        update("tickets.Ticket", &json!(1), &json!({"title": "u", "tags": [1]})),
        request("updateMany", "tickets.Ticket", &json!({"filter": {}}), &json!({"priority": 5})),
        request("upsert", "tickets.Tag", &json!({"uniqueObject": {"name": "d"}}), &json!({})),
        delete("tickets.Ticket", &json!(1)),
    ];
    for (bad, status, error) in [
        (tag("taken"), 409, "/name: another tickets.Tag has this name already"),
        (
            update("tickets.Ticket", &json!(9), &json!({"title": "x"})),
            404,
            "/__meta__/uniqueObject: there is no tickets.Ticket with id 9",
        ),
        (
            create("tickets.Ticket", &json!({"titel": "x", "title": "x"})),
            400,
            "/titel: tickets.Ticket has no field \"titel\"",
        ),
        (
            create("tickets.Ticket", &json!({"title": "x", "category": 9})),
            400,
            "/category: there is no tickets.Category with id 9",
        ),
        (count("profile.Customer"), 403, "/__meta__/namespace: the key lacks the permission profile.Customer:read"),
        (count("tickets.Nothing"), 404, "/__meta__/namespace: there is no model tickets.Nothing"),
        (
            request("count", "tickets.Tag", &json!({"authenticationClass": "session"}), &json!({})),
            401,
            "/__meta__/authenticationClass: the authentication class \"session\" is not served; \"apiKey\" is",
        ),
        (json!(5), 400, ": the body must be an object, not 5"),
        (json!({}), 400, ": the request needs the key \"__meta__\""),
        (
            request("nonsense", "tickets.Tag", &json!({}), &json!({})),
            400,
            "/__meta__/intent: there is no intent \"nonsense\"",
        ),
    ] {
        for place in 0..=good.len() {
            let mut requests = good.to_vec();
            requests.insert(place, bad.clone());
            let error = format!("/requests/{place}{error}");
            assert_refused(&server, &key, &batch(&json!(requests)), status, &[&error], json!(place));
        }
    }
    // What is deleted by one request is gone for the next.
    let requests = json!([delete("tickets.Ticket", &json!(1)), delete("tickets.Ticket", &json!(1))]);
    let gone = "/requests/1/__meta__/uniqueObject: there is no tickets.Ticket with id 1";
    assert_refused(&server, &key, &batch(&requests), 404, &[gone], json!(1));
    assert_eq!(server.send_as(&key, &batch(&json!(good))).status, 200);
}

#[test]
fn a_batch_that_is_not_atomic_carries_out_what_it_can() {
    let server = Server::start();
    let requests = json!([
        tag("a"),
        tag("a"),
        request("createMany", "tickets.Tag", &json!({"objects": [{"name": "b"}, {"name": "a"}]}), &json!({})),
        json!([]),
        create("tickets.Ticket", &json!({"title": "x", "tags": [result("/1/data/id")]})),
        create("tickets.Ticket", &json!({"title": "y", "tags": [result("/0/data/id")]})),
        tag("c"),
        request("retrieve", "tickets.Tag", &json!({"ordering": "id"}), &json!({"name": null})),
    ]);
    let reply = server.send(&each(&requests));
    assert_eq!(reply.status, 200, "{}", reply.body);
    let json = reply.json();
    let taken = json!(["another tickets.Tag has this name already"]);
    assert_json(
        &outcomes(&json["data"]).into_iter().collect(),
        &json!([
            ["OK", {"id": 1}, null],
            ["ERROR", null, taken],
            ["ERROR", null, taken],
            ["ERROR", null, ["the body must be an object, not []"]],
            ["ERROR", null, [unknown_result("/1/data/id")]],
            ["OK", {"id": 1}, null],
            ["OK", {"id": 2}, null],
            ["OK", [{"name": "a"}, {"name": "c"}], null]]),
    );
    assert_eq!(json["message"], "4 of 8 requests carried out.");
    assert_eq!((&json["errors"], &json["extras"]["index"]), (&Value::Null, &Value::Null));
    // A failed one is answered as it would be alone: it points into itself.
    let alone = server.send(&requests[1]);
    assert_eq!(json["data"][1].to_string(), alone.body);
    assert_eq!(json["data"][2]["errors"][0]["pointer"], "/__meta__/objects/1/name");
    assert_eq!((server.count("tickets.Tag"), server.count("tickets.Ticket")), (2, 1));
}

const RESULTS: &str = r#"{
  "r.Doc": { "fields": { "data": { "type": "json" }, "name": { "type": "string", "null": true } } },
  "r.Part": { "id": { "type": "uuid" }, "fields": {
      "doc": { "type": "ref", "to": "r.Doc", "null": true, "related_name": "parts" },
      "docs": { "type": "refs", "to": "r.Doc", "related_name": "of" } } } }"#;

/// Makes a document and answers what it holds.
fn doc(data: Value) -> Value {
    request("create", "r.Doc", &json!({"return": {"data": null}}), &json!({"data": data}))
}

#[test]
fn a_result_stands_wherever_a_value_may() {
    let server = Server::with(RESULTS, &[]);
    let first = json!({"a/b": {"~": [10, {"": "deep"}]}, "01": true, "none": null, "big": 9_007_199_254_740_993_u64});
    let data = server.data(&batch(&json!([
        doc(first.clone()),
        // Within lists and objects, and over keys of every kind.
        doc(json!([1, result("/0/data/data"), {"x": result("/0/data/data/a~1b/~0/0")}])),
        doc(result("/0/data/data/a~1b/~0/1/")),
        doc(json!([result("/0/data/data/01"), result("/0/data/data/none"), result("/1/status"), result("/1/errors")])),
        doc(json!([result("/0/data/data/big"), result("/1/extras/filtered"), result("/0/message")])),
        // An object that holds more is one that was meant.
        doc(json!({"__result__": "/0/data/data", "more": 1})),
        doc(json!({"inner": {"__result__": 5, "more": 1}})),
    ])));
    let data: Vec<&Value> = data.as_array().unwrap().iter().map(|envelope| &envelope["data"]["data"]).collect();
    assert_json(
        &json!(data),
        &json!([
            first,
            [1, first, {"x": 10}],
            "deep",
            [true, null, "OK", null],
            [9_007_199_254_740_993_u64, 1, "Doc created successfully."],
            {"__result__": "/0/data/data", "more": 1},
            {"inner": {"__result__": 5, "more": 1}}]),
    );
}

#[test]
fn a_result_may_be_an_id_a_list_of_ids_or_a_part_of_a_filter() {
    let server = Server::with(RESULTS, &[]);
    let of = |key: &str, value: Value| json!({ key: value });
    let ids = json!({"id": null});
    let objects = json!([{"data": 1}, {"data": 2}, {"data": 3}]);
    let part = json!({"doc": result("/0/data/1/id"), "docs": [result("/0/data/2/id"), 1, result("/0/data/2/id")]});
    let data = server.data(&batch(&json!([
        request("createMany", "r.Doc", &of("objects", objects), &json!({})),
        request("create", "r.Part", &json!({"return": {"id": null, "doc": {"id": null}, "docs": null}}), &part),
        request("retrieve", "r.Doc", &of("filter", of("id__in", result("/1/data/docs"))), &ids),
        request("retrieve", "r.Part", &of("filter", of("id", result("/1/data/id"))), &json!({"doc": null})),
        request("retrieveOne", "r.Part", &of("uniqueObject", of("id", result("/1/data/id"))), &json!({"docs": null})),
        request("retrieve", "r.Doc", &of("limit", result("/3/extras/filtered")), &ids),
        // Whole objects as well: this one is {"id": 3}.
        request("retrieve", "r.Doc", &of("uniqueObject", result("/2/data/1")), &ids),
        request("updateMany", "r.Doc", &of("filter", result("/2/data/1")), &json!({"name": result("/5/message")})),
        request(
            "retrieve",
            "r.Doc",
            &of("filter", of("name__isnull", json!(false))),
            &json!({"id": null, "name": null})
        ),
    ])));
    let data: Vec<Value> = data.as_array().unwrap().iter().map(|envelope| envelope["data"].clone()).collect();
    let uuid = &data[1]["id"];
    assert_json(
        &data.iter().cloned().collect(),
        &json!([
            [{"id": 1}, {"id": 2}, {"id": 3}],
            {"id": uuid, "doc": {"id": 2}, "docs": [1, 3]},
            [{"id": 1}, {"id": 3}],
            [{"doc": 2}],
            {"docs": [1, 3]},
            [{"id": 1}],
            [{"id": 3}],
            {"count": 1},
            [{"id": 3, "name": "1 of 3 r.Doc records."}]]),
    );
}

#[test]
fn what_names_no_earlier_result_is_refused_where_it_stands() {
    let server = Server::with(RESULTS, &[]);
    let first = doc(json!([1, {"a": 2}]));
    for pointer in [
        "",
        "/",
        "0/data/data",
        "/1/data/data",
        "/2/data/data",
        "/-1",
        "/00",
        "/+0",
        "/0x0",
        "/0/data/data/2",
        "/0/data/data/01",
        "/0/data/data/-",
        "/0/data/data/1/b",
        "/0/data/data/0/0",
        "/0/Data",
        "/0/data/",
        "/0/data/data/",
        "/ 0",
        "/a",
        "/18446744073709551616",
        "#/0/data",
    ] {
        let error = format!("/requests/1/data: {}", unknown_result(pointer));
        assert_refused(&server, &server.key, &batch(&json!([first, doc(result(pointer))])), 400, &[&error], json!(1));
    }
    for named in [json!(null), json!(0), json!(["/0"]), json!({"__result__": "/0/data/data"}), json!(true)] {
        let error = format!(
            "/requests/1/data: __result__ must be a path into an earlier result, such as /0/data/id, not {named}"
        );
        let request = doc(json!({"__result__": named}));
        assert_refused(&server, &server.key, &batch(&json!([first, request])), 400, &[&error], json!(1));
    }
    // What a deep one belongs to is pointed to, with its keys escaped.
    for (request, at) in [
        (doc(json!({"a/b": [0, {"~": result("/5")}]})), "/data/a~1b/1/~0"),
        (
            request("retrieve", "r.Doc", &json!({"filter": {"id__in": [1, result("/5")]}}), &json!({})),
            "/__meta__/filter/id__in/1",
        ),
        (request("retrieve", "r.Doc", &json!({"filter": result("/5")}), &json!({})), "/__meta__/filter"),
        (result("/5"), ""),
    ] {
        let error = format!("/requests/1{at}: {}", unknown_result("/5"));
        assert_refused(&server, &server.key, &batch(&json!([first, request])), 400, &[&error], json!(1));
    }
    // Outside of a batch it means nothing.
    let alone = server.refused(400, &create("r.Part", &json!({"doc": result("/0/data/id")})));
    assert_eq!(alone, ["/doc: \"doc\" is an integer and cannot be {\"__result__\":\"/0/data/id\"}"]);
}

#[test]
fn results_make_no_request_deeper_than_one_may_be() {
    let server = Server::with(RESULTS, &[]);
    let within = |levels: usize, inner: Value| (0..levels).fold(inner, |inner, _| json!([inner]));
    let deep = |levels: usize| json!([doc(within(100, json!(1))), doc(within(levels, result("/0/data/data")))]);
    let error = "/requests/1: a request may hold at most 125 levels of JSON with its results";
    assert_refused(&server, &server.key, &batch(&deep(25)), 400, &[error], json!(1));
    // The deepest can be read as a result of another request.
    let mut requests = deep(24);
    let read = request("retrieve", "r.Doc", &json!({"filter": {"id": 2}}), &json!({"data": null}));
    requests.as_array_mut().unwrap().extend([read, doc(result("/2/data/0/data"))]);
    let reply = server.send(&batch(&requests));
    assert_eq!((reply.status, reply.body.matches(&within(124, json!(1)).to_string()).count()), (200, 3));
}

#[test]
fn a_batch_holds_up_to_a_hundred_requests() {
    let server = Server::start();
    let tags = |count: u32| (0..count).map(|n| tag(&n.to_string())).collect::<Value>();
    let too_many = "/requests: a request may hold at most 100 requests in a batch";
    assert_refused(&server, &server.key, &batch(&tags(101)), 400, &[too_many], Value::Null);
    let reply = server.send(&batch(&tags(100))).json();
    assert_eq!(reply["data"].as_array().unwrap().len(), 100);
    assert_eq!(server.count("tickets.Tag"), 100);
    let none = success("[]", r#""filtered":0,"display":0,"queries":0"#, "\"execute\"", "0 requests carried out.");
    for request in [batch(&json!([])), each(&json!([]))] {
        assert_reply(&server.send(&request), 200, &none);
        // It takes no permission, as there is nothing to permit.
        assert_reply(&server.send_as(&server.key_for(""), &request), 200, &none);
    }
}

#[test]
fn the_frame_of_a_batch_is_checked() {
    let server = Server::start();
    let with = |arguments: Value| batch_with(&json!({}), &arguments);
    let model = |key: &str, value: &str| {
        let mut request = batch(&json!([tag("a")]));
        request["__meta__"][key] = json!(value);
        request
    };
    let list = "/requests: requests must be a list of requests, not";
    for (request, status, error) in [
        (with(json!({})), 400, ": system.Batch needs the key \"requests\"".to_owned()),
        (with(json!({"requests": null})), 400, format!("{list} null")),
        (with(json!({"requests": {}})), 400, format!("{list} {{}}")),
        (
            with(json!({"requests": [tag("a")], "atomic": 1})),
            400,
            "/atomic: atomic must be true or false, not 1".into(),
        ),
        (with(json!({"requests": [tag("a")], "atomc": true})), 400, "/atomc: system.Batch has no key \"atomc\"".into()),
        (
            batch_with(&json!({"filter": {}}), &json!({"requests": [tag("a")]})),
            400,
            "/__meta__/filter: \"filter\" means nothing for the intent execute".into(),
        ),
        (
            batch_with(&json!({"dryRun": "yes"}), &json!({"requests": [tag("a")]})),
            400,
            "/__meta__/dryRun: dryRun must be true or false, not \"yes\"".into(),
        ),
        (
            model("schema", "model"),
            400,
            "/__meta__/intent: \"execute\" is an intent of \"schema\": \"controller\"".into(),
        ),
        (model("intent", "create"), 400, "/__meta__/intent: \"create\" is an intent of \"schema\": \"model\"".into()),
        (
            model("namespace", "tickets.Tag"),
            404,
            "/__meta__/namespace: no controller tickets.Tag takes the intent execute".into(),
        ),
        (model("schema", "table"), 400, "/__meta__/schema: there is no schema \"table\"".into()),
    ] {
        let before = server.dump();
        let errors = server.refused(status, &request);
        assert_eq!(errors.first(), Some(&error), "{request} {errors:?}");
        assert_eq!(server.dump(), before);
    }
    let misspelt = server.send(&with(json!({"requests": [], "atomc": true}))).json();
    assert_eq!(misspelt["errors"][0]["hint"], "did you mean \"atomic\"?");
}

#[test]
fn a_batch_holds_no_other_batch() {
    let server = Server::start();
    let says = "\"requests\" holds another batch, which no batch may";
    for inner in [batch(&json!([tag("b")])), batch(&json!([])), each(&json!([count("tickets.Tag")]))] {
        let error = format!("/requests/1: {says}");
        let request = batch(&json!([tag("a"), inner]));
        assert_refused(&server, &server.key, &request, 400, &[&error], json!(1));
        let requests = json!([count("tickets.Tag"), inner]);
        assert_eq!(
            outcomes(&server.data(&each(&requests))),
            [json!(["OK", {"count": 0}, null]), json!(["ERROR", null, [says]])]
        );
    }
    assert_eq!(server.count("tickets.Tag"), 0);
}

#[test]
fn each_refusal_of_a_batch_has_its_envelope() {
    let server = Server::start();
    let body = |error: &str, index: &str, message: &str| {
        refusal("JqlException", error, "\"execute\"", message)
            .replace("\"queries\":0", &format!("\"queries\":0{index}"))
    };
    let message = r#""tickets.Tag needs the field \"name\"""#;
    let error = format!(r#"{message},"pointer":"/requests/1/name""#);
    let failing = json!([tag("a"), create("tickets.Tag", &json!({}))]);
    assert_reply(&server.send(&batch(&failing)), 400, &body(&error, r#","index":1"#, message));
    let drawn = batch_with(&json!({"draw": 3}), &json!({"requests": failing}));
    assert_reply(&server.send(&drawn), 400, &body(&error, r#","draw":3,"index":1"#, message));
    let message = r#""a request may hold at most 100 requests in a batch""#;
    let error = format!(r#"{message},"pointer":"/requests""#);
    let requests = (0..101).map(|_| count("tickets.Tag")).collect();
    assert_reply(&server.send(&batch(&requests)), 400, &body(&error, "", message));
    // One that only reads fails in the same way.
    let message = r#""tickets.Tag has no field \"nme\"""#;
    let error = format!(r#"{message},"pointer":"/requests/0/nme","hint":"did you mean \"name\"?""#);
    let reads = json!([request("retrieve", "tickets.Tag", &json!({}), &json!({"nme": null}))]);
    assert_reply(&server.send(&batch(&reads)), 400, &body(&error, r#","index":0"#, message));
    // An envelope within a batch is the one that the request would have alone.
    let alone = server.send(&reads[0]).body;
    let data = format!("[{alone}]");
    let extras = r#""filtered":1,"display":1,"queries":0"#;
    assert_reply(
        &server.send(&each(&reads)),
        200,
        &success(&data, extras, "\"execute\"", "0 of 1 requests carried out."),
    );
}

#[test]
fn a_class_that_is_not_served_is_refused_within_a_batch_too() {
    let server = Server::start();
    let ask = |class: &str| request("count", "tickets.Tag", &json!({"authenticationClass": class}), &json!({}));
    assert_eq!(server.send(&batch(&json!([ask("apiKey"), ask("apiKey")]))).status, 200);
    let reply = server.send(&batch(&json!([ask("apiKey"), ask("session")])));
    assert_eq!((reply.status, reply.header("www-authenticate")), (401, Some("Bearer")));
    let reply = server.send(&each(&json!([ask("session")]))).json();
    assert_eq!(reply["data"][0]["errors"][0]["code"], "JQL:AuthenticationException");
}

#[test]
fn a_read_sees_what_was_written_before_it_and_nothing_that_comes_after() {
    let server = Server::start();
    let named = |fields: Value| request("retrieve", "tickets.Tag", &json!({"ordering": "id"}), &fields);
    let data = server.data(&batch(&json!([
        count("tickets.Tag"),
        tag("a"),
        count("tickets.Tag"),
        request("createMany", "tickets.Tag", &json!({"objects": [{"name": "b"}, {"name": "c"}]}), &json!({})),
        update("tickets.Tag", &result("/3/data/0/id"), &json!({"name": "B"})),
        named(json!({"name": null})),
        create("tickets.Ticket", &json!({"title": "t", "tags": [1, 2]})),
        request(
            "retrieveOne",
            "tickets.Tag",
            &json!({"uniqueObject": {"name": "B"}}),
            &json!({"tickets": {"title": null}})
        ),
        request(
            "aggregate",
            "tickets.Tag",
            &json!({"filter": {"tickets__isnull": false}}),
            &json!({"n": {"function": "Count"}})
        ),
        delete("tickets.Tag", &json!(1)),
        count("tickets.Tag"),
    ])));
    let data: Vec<&Value> = data.as_array().unwrap().iter().map(|envelope| &envelope["data"]).collect();
    assert_json(
        &json!(data),
        &json!([
            {"count": 0}, {"id": 1}, {"count": 1}, [{"id": 2}, {"id": 3}], {"id": 2},
            [{"name": "a"}, {"name": "B"}, {"name": "c"}], {"id": 1}, {"tickets": [{"title": "t"}]}, [{"n": 2}], null,
            {"count": 2}]),
    );
}

#[test]
fn all_of_a_batch_happens_at_one_moment() {
    let server = Server::start();
    let ticket = |title: &str| create("tickets.Ticket", &json!({"title": title}));
    server.data(&batch(&json!([
        ticket("a"),
        tag("t"),
        ticket("b"),
        update("tickets.Ticket", &json!(1), &json!({"title": "c"}))
    ])));
    assert_eq!(
        server.rows(r#"SELECT count(*), count(DISTINCT created || updated) FROM "tickets.Ticket""#),
        "Integer(2)|Integer(1)\n"
    );
}

/// Holds the file's lock for writers, as another process may, until it is dropped.
fn locked(server: &Server) -> rusqlite::Connection {
    let connection = rusqlite::Connection::open(server.folder.path("test.db")).unwrap();
    connection.execute_batch("BEGIN IMMEDIATE").unwrap();
    connection
}

#[test]
fn a_batch_that_only_reads_waits_for_no_writer() {
    let server = Server::start();
    server.data(&tag("a"));
    let lock = locked(&server);
    let page = request("retrieve", "tickets.Tag", &json!({}), &json!({"id": null, "name": null}));
    let by_id = request("count", "tickets.Tag", &json!({"filter": {"id": result("/0/data/0/id")}}), &json!({}));
    let data = server.data(&batch(&json!([page, by_id])));
    assert_eq!((&data[0]["data"], &data[1]["data"]), (&json!([{"id": 1, "name": "a"}]), &json!({"count": 1})));
    drop(lock);
}

#[test]
fn each_request_takes_its_own_permissions_and_the_batch_none() {
    let server = Server::start();
    server.data(&tag("a"));
    let key = server.key_for("tickets.Tag:read,tickets.Ticket:create");
    let ticket = create("tickets.Ticket", &json!({"title": "t", "tags": [1]}));
    let reply = server.send_as(&key, &batch(&json!([count("tickets.Tag"), ticket])));
    assert_eq!(reply.status, 200, "{}", reply.body);
    let lacks = |permission: &str| format!("/__meta__/namespace: the key lacks the permission {permission}");
    for (forbidden, permission) in [
        (tag("b"), "tickets.Tag:create"),
        (count("tickets.Ticket"), "tickets.Ticket:read"),
        (delete("tickets.Tag", &json!(1)), "tickets.Tag:delete"),
        (count("system.ApiKey"), "system.ApiKey:read"),
        (count("nowhere.Nothing"), "nowhere.Nothing:read"),
    ] {
        let error = format!("/requests/1{}", lacks(permission));
        assert_refused(&server, &key, &batch(&json!([ticket, forbidden])), 403, &[&error], json!(1));
    }
    let outcome = server.send_as(&key, &each(&json!([tag("b"), count("tickets.Tag")]))).json();
    let refused = "the key lacks the permission tickets.Tag:create";
    assert_eq!(outcomes(&outcome["data"]), [json!(["ERROR", null, [refused]]), json!(["OK", {"count": 1}, null])]);
    // A permission for the batch itself grants nothing.
    let key = server.key_for("system.*:*");
    let error = format!("/requests/0{}", lacks("tickets.Tag:read"));
    assert_refused(&server, &key, &batch(&json!([count("tickets.Tag")])), 403, &[&error], json!(0));
}

#[test]
fn a_dry_run_of_a_batch_answers_what_the_batch_answers_and_changes_nothing() {
    let server = Server::start();
    server.data(&tag("taken"));
    let read = request("retrieve", "tickets.Ticket", &json!({}), &json!({"id": null, "tags": {"name": null}}));
    let ticket = create("tickets.Ticket", &json!({"title": "t", "tags": [result("/0/data/id")]}));
    let gone = request("deleteMany", "tickets.Tag", &json!({"filter": {}}), &json!({}));
    for (arguments, status) in [
        (json!({"requests": [tag("a"), ticket, tag("taken"), read]}), 409),
        (json!({"requests": [tag("a"), ticket, tag("taken"), read], "atomic": false}), 200),
        (json!({"requests": [tag("b"), ticket, read, gone]}), 200),
        (json!({"requests": [count("tickets.Tag")]}), 200),
    ] {
        let before = server.dump();
        let dry = server.send(&batch_with(&json!({"dryRun": true}), &arguments));
        assert_eq!(server.dump(), before, "{arguments}");
        let real = server.send(&batch_with(&json!({"dryRun": false}), &arguments));
        assert_eq!((dry.status, &dry.body), (real.status, &real.body), "{arguments}");
        assert_eq!(real.status, status, "{}", real.body);
    }
}

#[test]
fn a_dry_run_within_a_batch_is_undone_before_the_next_request() {
    let server = Server::start();
    let dry = request("create", "tickets.Tag", &json!({"dryRun": true}), &json!({"name": "a"}));
    for (kind, name) in [(batch as fn(&Value) -> Value, "b"), (each, "c")] {
        let known = server.count("tickets.Tag");
        let data = server.data(&kind(&json!([dry, count("tickets.Tag"), tag(name), dry, count("tickets.Tag")])));
        let data: Vec<&Value> = data.as_array().unwrap().iter().map(|envelope| &envelope["data"]).collect();
        let id = |id: u64| json!({"id": id});
        let count = |count: u64| json!({"count": count});
        assert_eq!(json!(data), json!([id(known + 1), count(known), id(known + 1), id(known + 2), count(known + 1)]));
    }
    // Even one that fails is no more than asked for.
    let error = "/requests/1/__meta__/dryRun: dryRun must be true or false, not 1";
    let bad = request("create", "tickets.Tag", &json!({"dryRun": 1}), &json!({"name": "z"}));
    assert_refused(&server, &server.key, &batch(&json!([tag("y"), bad])), 400, &[error], json!(1));
}

#[test]
fn a_stale_version_undoes_the_batch() {
    let models = json!({"v.Thing": {"versioned": true, "fields": {"n": {"type": "integer"}}}});
    let server = Server::with(&models.to_string(), &[]);
    server.create("v.Thing", &json!({"n": 1}));
    let change = |version: Value, n: u64| {
        let meta = json!({"uniqueObject": {"id": 1, "version": version}, "return": {"version": null}});
        request("update", "v.Thing", &meta, &json!({"n": n}))
    };
    let error = "/requests/1/__meta__/uniqueObject: the v.Thing has been changed; its version is 2 now";
    let request = batch(&json!([change(json!(1), 5), change(json!(1), 6)]));
    assert_refused(&server, &server.key, &request, 409, &[error], json!(1));
    server.data(&batch(&json!([change(json!(1), 5), change(result("/0/data/version"), 6)])));
    assert_eq!(server.record("v.Thing", &json!(1), &["n", "version"]), json!({"n": 6, "version": 3}));
}

/// SQLite itself undoes the transaction of a write that it stops.
#[test]
fn a_request_that_takes_too_long_undoes_its_batch_whatever_kind_it_is_of() {
    let server = Server::with(MODELS, &["--query-timeout", "300ms"]);
    server.entangle();
    let filter = json!({"filter": {"tags__tickets__tags__tickets__tags__name__icontains": "zzz"}});
    let slow = request("updateMany", "tickets.Ticket", &filter, &json!({"priority": 1}));
    let requests = json!([tag("a"), slow, tag("b")]);
    let before = server.dump();
    for request in
        [batch(&requests), each(&requests), batch_with(&json!({"dryRun": true}), &json!({"requests": requests}))]
    {
        let reply = send_under(&server, &server.key, "one", &request.to_string());
        assert_eq!(reply.errors(), ["/requests/1: the query took longer than 300ms and was stopped"]);
        assert_eq!((reply.status, &reply.json()["extras"]["index"]), (503, &json!(1)));
        assert_eq!(server.dump(), before);
    }
    let reply = send_under(&server, &server.key, "one", &tag("a").to_string());
    assert_eq!((reply.status, is_replay(&reply)), (200, false));
}

#[test]
fn a_batch_is_one_row_of_the_usage_log() {
    let server = Server::start();
    let requests = json!([tag("a"), tag("a"), count("tickets.Tag")]);
    let mut client = Client::connect(&server.address); // one, as the entries of several may come in any order
    for request in [each(&requests), batch(&requests), batch(&json!([count("tickets.Tag")]))] {
        client.jql(&server.key, &request.to_string());
    }
    eventually("all of it is logged", || server.log_rows() == 3);
    let columns = ["namespace", "intent", "action", "status", "code", "rows", "queries"];
    let row = |entry: &Value| columns.map(|column| entry[column].clone()).into_iter().collect::<Value>();
    let logged: Value = server.logs(&[]).iter().map(row).collect();
    assert_json(
        &logged,
        &json!([
            ["system.Batch", "execute", null, 200, null, 3, 3],
            ["system.Batch", "execute", null, 409, "JQL:ConflictException", 0, 0],
            ["system.Batch", "execute", null, 200, null, 1, 1]
        ]),
    );
}

#[test]
fn a_batch_is_carried_out_from_the_command_line() {
    let server = Server::start();
    let query = |name: &str, request: &Value| {
        let file = server.folder.file(name, &request.to_string());
        jqlite(&server.folder, &["query", file.to_str().unwrap()]).output().unwrap()
    };
    let requests = json!([tag("a"), create("tickets.Ticket", &json!({"title": "t", "tags": [result("/0/data/id")]}))]);
    let dry = query("dry", &batch_with(&json!({"dryRun": true}), &json!({"requests": requests})));
    let real = query("real", &batch(&requests));
    assert!(dry.status.success() && real.status.success(), "{dry:?} {real:?}");
    assert_eq!(dry.stdout, real.stdout);
    let answer: Value = serde_json::from_slice(&real.stdout).unwrap();
    assert_eq!(answer["message"], "2 requests carried out.");
    assert_eq!(server.record("tickets.Ticket", &json!(1), &["tags"]), json!({"tags": [1]}));
    let before = server.dump();
    let failed = query("failed", &batch(&json!([tag("b"), tag("a")])));
    assert_eq!(failed.status.code(), Some(1));
    let answer: Value = serde_json::from_slice(&failed.stdout).unwrap();
    assert_eq!(answer["extras"]["index"], 1);
    assert_eq!(answer["errors"][0]["pointer"], "/requests/1/name");
    assert_eq!(String::from_utf8(failed.stderr).unwrap(), "jqlite: another tickets.Tag has this name already\n");
    assert_eq!(server.dump(), before);
    let some = query("some", &each(&json!([tag("b"), tag("a")])));
    assert!(some.status.success(), "{some:?}");
    assert_eq!(server.count("tickets.Tag"), 2);
}

// -- Idempotency-Key ----------------------------------------------------------------------------

/// Sends a body under an idempotency key.
#[track_caller]
fn send_under(server: &Server, key: &str, under: &str, body: &str) -> Reply {
    send_with(server, key, &format!("Idempotency-Key: {under}\r\n"), body)
}

/// Sends a body with more headers.
#[track_caller]
fn send_with(server: &Server, key: &str, headers: &str, body: &str) -> Reply {
    let head = format!(
        "Authorization: Bearer {key}\r\nContent-Type: application/json\r\n{headers}Content-Length: {}\r\n",
        body.len()
    );
    Client::connect(&server.address).request("POST", "/jql", &head, body)
}

/// Whether an answer says that it was given before.
fn is_replay(reply: &Reply) -> bool {
    reply.header("idempotency-replayed") == Some("true")
}

#[test]
fn a_retry_gives_the_same_bytes_and_does_nothing() {
    let server = Server::start();
    server.data(&json!(tag("known")));
    server.create("tickets.Ticket", &json!({"title": "t"}));
    let nested = json!({"return": {"id": null, "created": null, "tags": {"name": null}}, "draw": 7});
    for (under, request) in [
        request("create", "tickets.Ticket", &nested, &json!({"title": "a", "tags": [1]})),
        request("createMany", "tickets.Tag", &json!({"objects": [{"name": "b"}, {"name": "c"}]}), &json!({})),
        update("tickets.Ticket", &json!(1), &json!({"title": "u"})),
        request("updateMany", "tickets.Ticket", &json!({"filter": {"title": "u"}}), &json!({"title": "w"})),
        request("upsert", "tickets.Tag", &json!({"uniqueObject": {"name": "d"}}), &json!({})),
        delete("tickets.Tag", &json!(1)),
        request("deleteMany", "tickets.Ticket", &json!({"filter": {"title": "w"}}), &json!({})),
        batch(&json!([tag("e"), count("tickets.Tag")])),
        each(&json!([tag("e"), tag("f")])),
        request("create", "tickets.Tag", &json!({"dryRun": true}), &json!({"name": "g"})),
        batch_with(&json!({"dryRun": true}), &json!({"requests": [tag("g")]})),
    ]
    .iter()
    .enumerate()
    .map(|(number, request)| (format!("retry-{number}"), request.to_string()))
    {
        let first = send_under(&server, &server.key, &under, &request);
        assert_eq!((first.status, is_replay(&first)), (200, false), "{request} {}", first.body);
        let before = server.dump();
        for _ in 0..2 {
            let again = send_under(&server, &server.key, &under, &request);
            assert_eq!((again.status, &again.body), (200, &first.body), "{request}");
            assert!(is_replay(&again), "{request}");
        }
        assert_eq!(server.dump(), before, "{request}");
    }
    // The log tells them apart by what they took.
    eventually("all of it is logged", || server.log_rows() == 35);
    let replays = server.logs(&[]).into_iter().filter(|entry| entry["queries"] == 0).count();
    assert_eq!(replays, 22);
}

#[test]
fn a_key_stands_for_one_request_of_one_holder() {
    let server = Server::start();
    let body = tag("a").to_string();
    assert_eq!(send_under(&server, &server.key, "one", &body).status, 200);
    let message = r#""this Idempotency-Key was sent with another request""#;
    let error = format!(r#"{message},"hint":"send another Idempotency-Key with another request""#);
    let before = server.dump();
    for other in [
        tag("b").to_string(),
        body.replace("{", "{ "),
        request("create", "tickets.Tag", &json!({"dryRun": true}), &json!({"name": "a"})).to_string(),
    ] {
        let reply = send_under(&server, &server.key, "one", &other);
        assert_reply(&reply, 409, &refusal("ConflictException", &error, "\"create\"", message));
        assert!(!is_replay(&reply));
    }
    assert_eq!(server.dump(), before);
    // Case matters, and another holder's are its own.
    let other = server.key_for("tickets.Tag:create");
    for (key, under, name) in
        [(&server.key, "ONE", "b"), (&other, "one", "c"), (&server.key, "one ", "a"), (&server.key, "o ne", "d")]
    {
        let reply = send_under(&server, key, under, &tag(name).to_string());
        // White space around a header's value is none of it.
        assert_eq!((reply.status, is_replay(&reply)), (200, under == "one "), "{under:?}");
    }
    assert_eq!(server.count("tickets.Tag"), 4);
}

#[test]
fn a_rotated_key_is_the_same_holder() {
    let server = Server::start();
    let first = send_under(&server, &server.key, "one", &tag("a").to_string());
    let new = run(&server.folder, &["keys", "rotate", &server.key[4..16]]);
    let again = send_under(&server, &new, "one", &tag("a").to_string());
    assert_eq!((again.status, is_replay(&again), again.body), (200, true, first.body));
    assert_eq!(send_under(&server, &server.key, "one", &tag("a").to_string()).status, 401);
}

#[test]
fn what_was_refused_may_be_sent_again_under_its_key() {
    let server = Server::start();
    server.data(&tag("a"));
    let atomic = batch(&json!([tag("b"), tag("a")]));
    for request in [tag("a"), atomic.clone(), create("tickets.Ticket", &json!({"title": 1, "category": 1}))] {
        let reply = send_under(&server, &server.key, "again", &request.to_string());
        assert!(matches!(reply.status, 400 | 409), "{}", reply.body);
    }
    server.data(&delete("tickets.Tag", &json!(1)));
    let reply = send_under(&server, &server.key, "again", &atomic.to_string());
    assert_eq!((reply.status, is_replay(&reply)), (200, false), "{}", reply.body);
    assert!(is_replay(&send_under(&server, &server.key, "again", &atomic.to_string())));
    // A batch that is not atomic was carried out, with what failed in it.
    let some = each(&json!([tag("c"), tag("a")])).to_string();
    let first = send_under(&server, &server.key, "some", &some);
    server.data(&request("deleteMany", "tickets.Tag", &json!({"filter": {}}), &json!({})));
    let again = send_under(&server, &server.key, "some", &some);
    assert_eq!((is_replay(&again), &again.body), (true, &first.body));
    assert_eq!(server.count("tickets.Tag"), 0);
}

#[test]
fn while_the_first_is_on_its_way_the_others_are_told_so() {
    let server = Server::start();
    let body = tag("a").to_string();
    let other = server.key_for("tickets.Tag:create");
    let lock = locked(&server);
    let (sender, replies) = channel();
    std::thread::scope(|scope| {
        for _ in 0..2 {
            let (sender, server, body) = (sender.clone(), &server, &body);
            scope.spawn(move || sender.send(send_under(server, &server.key, "one", body)).unwrap());
        }
        // Neither can be committed, so the first to be answered is the second to come.
        let refused = replies.recv_timeout(Duration::from_secs(4)).unwrap();
        let message = r#""a request with this Idempotency-Key is being carried out""#;
        let error = format!(r#"{message},"hint":"wait for its answer, or ask again""#);
        assert_reply(&refused, 409, &refusal("ConflictException", &error, "\"create\"", message));
        // Under another key, or of another holder, nothing is on its way.
        for (key, under) in [(&server.key, "two"), (&other, "one")] {
            let (sender, server) = (sender.clone(), &server);
            let name = tag(under).to_string();
            let key = key.clone();
            scope.spawn(move || sender.send(send_under(server, &key, under, &name)).unwrap());
        }
        drop(lock);
        for _ in 0..3 {
            let reply = replies.recv_timeout(Duration::from_secs(20)).unwrap();
            assert_eq!((reply.status, is_replay(&reply)), (200, false), "{}", reply.body);
        }
    });
    assert!(is_replay(&send_under(&server, &server.key, "one", &body)));
    assert_eq!(server.count("tickets.Tag"), 3);
}

#[test]
fn of_retries_at_once_one_is_carried_out() {
    let server = Server::start();
    let body = create("tickets.Ticket", &json!({"title": "t"})).to_string();
    std::thread::scope(|scope| {
        for _ in 0..16 {
            let (server, body) = (&server, &body);
            scope.spawn(move || {
                let reply = send_under(server, &server.key, "one", body);
                match reply.status {
                    200 => assert_eq!(reply.json()["data"], json!({"id": 1})),
                    status => assert_eq!(status, 409, "{}", reply.body),
                }
            });
        }
    });
    assert_eq!(server.count("tickets.Ticket"), 1);
}

#[test]
fn a_malformed_idempotency_key_is_refused() {
    let server = Server::start();
    let message = r#""\"Idempotency-Key\" must be 1 to 255 visible ASCII characters""#;
    let body = refusal("JqlException", message, "\"create\"", message);
    let long = "k".repeat(256);
    let before = server.dump();
    for headers in [
        "Idempotency-Key:\r\n".to_owned(),
        "Idempotency-Key:  \r\n".into(),
        format!("Idempotency-Key: {long}\r\n"),
        "Idempotency-Key: a\tb\r\n".into(),
        "Idempotency-Key: caf\u{e9}\r\n".into(),
        "Idempotency-Key: a\r\nIdempotency-Key: a\r\n".into(),
        "Idempotency-Key: a\r\nidempotency-key: b\r\n".into(),
    ] {
        let reply = send_with(&server, &server.key, &headers, &tag("a").to_string());
        assert_reply(&reply, 400, &body);
    }
    // Other control characters are no HTTP.
    for control in ["a\u{1}b", "a\u{7f}", "\u{0}", "\u{1b}[31m"] {
        let reply = send_under(&server, &server.key, control, &tag("a").to_string());
        assert_eq!(reply.status, 400, "{}", reply.body);
    }
    assert_eq!(server.dump(), before);
    for under in ["k", &long[1..], "with spaces and \"quotes\", commas; 'n' \\ %00", "~!@#$^&*()"] {
        let reply = send_under(&server, &server.key, under, &tag(under.get(..20).unwrap_or(under)).to_string());
        assert_eq!((reply.status, is_replay(&reply)), (200, false), "{under}: {}", reply.body);
    }
}

#[test]
fn an_answer_is_kept_across_a_restart_and_a_kill() {
    let server = Server::start();
    let key = server.key.clone();
    let bodies = [tag("a").to_string(), batch(&json!([tag("b"), count("tickets.Tag")])).to_string()];
    let send = |server: &Server| -> Vec<(bool, String)> {
        let sent = bodies.iter().zip(["one", "two"]);
        sent.map(|(body, under)| send_under(server, &key, under, body))
            .map(|reply| (is_replay(&reply), reply.body))
            .collect()
    };
    let first = send(&server);
    assert!(first.iter().all(|(is_replay, body)| !is_replay && body.starts_with(r#"{"status":"OK""#)), "{first:?}");
    let again: Vec<(bool, String)> = first.into_iter().map(|(_, body)| (true, body)).collect();
    let server = Server::on(server.kill(), &[]);
    assert_eq!(send(&server), again);
    let (code, folder) = server.stop();
    assert_eq!(code, Some(0));
    let server = Server::on(folder, &[]);
    assert_eq!(send(&server), again);
    assert_eq!(server.count("tickets.Tag"), 2);
}

#[test]
fn reading_takes_no_notice_of_the_key() {
    let server = Server::start();
    let reads = [count("tickets.Tag"), batch(&json!([count("tickets.Tag")]))].map(|request| request.to_string());
    for body in &reads {
        let before = server.dump();
        assert!(send_under(&server, &server.key, "one", body).body.contains(r#"{"count":0}"#));
        assert_eq!(server.dump(), before);
    }
    server.data(&tag("a"));
    for body in &reads {
        let reply = send_under(&server, &server.key, "one", body);
        assert!(reply.body.contains(r#"{"count":1}"#) && !is_replay(&reply), "{}", reply.body);
    }
    let reply = send_under(&server, &server.key, "", &reads[0]);
    assert_eq!(reply.status, 400, "a malformed one is refused all the same");
}

#[test]
fn a_kept_answer_takes_the_permissions_that_its_request_takes() {
    let server = Server::start();
    let key = server.key_for("tickets.Tag:create,tickets.Tag:read");
    let returning =
        request("create", "tickets.Tag", &json!({"return": {"name": null, "id": null}}), &json!({"name": "b"}));
    let by_result = request("count", "tickets.Tag", &json!({"filter": {"id": result("/0/data/id")}}), &json!({}));
    let sent = [
        ("alone", tag("a").to_string(), "", 0),
        ("atomic", batch(&json!([returning, by_result])).to_string(), "/requests/0", 0),
        ("each", each(&json!([tag("a"), tag("c"), count("tickets.Tag")])).to_string(), "/requests/1", 1),
    ];
    for (under, body, ..) in &sent {
        let reply = send_under(&server, &key, under, body);
        assert_eq!(reply.status, 200, "{}", reply.body);
        assert!(is_replay(&send_under(&server, &key, under, body)));
    }
    let permit = |permissions: &str| run(&server.folder, &["keys", "update", &key[4..16], "--allow", permissions]);
    permit("tickets.Tag:read");
    for (under, body, at, index) in &sent {
        let reply = send_under(&server, &key, under, body);
        let error = format!("{at}/__meta__/namespace: the key lacks the permission tickets.Tag:create");
        assert_eq!((reply.status, reply.errors()), (403, vec![error]), "{under}");
        assert_eq!(reply.json()["extras"]["index"], if at.is_empty() { Value::Null } else { json!(index) });
        assert!(!is_replay(&reply));
    }
    // What the answer tells takes its leave as well.
    permit("tickets.Tag:create");
    assert!(is_replay(&send_under(&server, &key, "alone", &sent[0].1)));
    for (under, at) in [("atomic", "/requests/1/__meta__/namespace"), ("each", "/requests/2/__meta__/namespace")] {
        let body = &sent.iter().find(|(name, ..)| *name == under).unwrap().1;
        let reply = send_under(&server, &key, under, body);
        assert_eq!(
            (reply.status, reply.errors()),
            (403, vec![format!("{at}: the key lacks the permission tickets.Tag:read")])
        );
    }
    permit("tickets.*:*");
    assert!(sent.iter().all(|(under, body, ..)| is_replay(&send_under(&server, &key, under, body))));
    run(&server.folder, &["keys", "revoke", &key[4..16]]);
    for (under, body, ..) in &sent {
        assert_eq!(send_under(&server, &key, under, body).status, 401, "{under}");
    }
    assert_eq!(server.count("tickets.Tag"), 3);
}

#[test]
fn nothing_of_an_idempotency_key_is_kept_in_words() {
    let server = Server::start();
    let canary = "canary-8f1e77";
    for (under, body) in [
        (canary.to_owned(), tag("a")),
        (canary.to_owned(), tag("a")),
        (canary.to_owned(), tag("b")),
        (format!("{canary}-refused"), tag("a")),
        (format!("{canary}{}", "x".repeat(300)), tag("c")),
        (format!("{canary}\u{e9}"), tag("c")),
        (format!("{canary}-batch"), batch(&json!([tag("d"), count("tickets.Tag")]))),
        (format!("{canary}-read"), count("tickets.Tag")),
    ] {
        let reply = send_under(&server, &server.key, &under, &body.to_string());
        assert!(!reply.body.contains(canary) && reply.headers.iter().all(|(_, value)| !value.contains(canary)));
    }
    eventually("all of it is logged", || server.log_rows() == 8);
    assert!(!run(&server.folder, &["logs", "--json"]).contains(canary));
    let (_, folder) = server.stop_by("TERM");
    for file in std::fs::read_dir(folder.path("")).unwrap() {
        let path = file.unwrap().path();
        assert!(!file_holds(&path, canary), "{}", path.display());
    }
}

#[test]
fn an_answer_is_kept_for_a_day() {
    let server = Server::start();
    let sent = [("old", tag("a").to_string()), ("young", tag("b").to_string())];
    for (under, body) in &sent {
        assert_eq!(send_under(&server, &server.key, under, body).status, 200);
    }
    let kept = || server.rows(r#"SELECT count(*) FROM "system.KeptAnswer""#);
    assert_eq!(kept(), "Integer(2)\n");
    let age = |minutes: u32, name: &str| {
        server.change(&format!(
            r#"UPDATE "system.KeptAnswer" SET "at" = strftime('%Y-%m-%dT%H:%M:%f000Z', 'now', '-{minutes} minutes')
               WHERE "answer" LIKE '%"id":{name}%'"#
        ));
    };
    age(24 * 60 - 1, "1");
    age(24 * 60 - 1, "2");
    assert!(sent.iter().all(|(under, body)| is_replay(&send_under(&server, &server.key, under, body))));
    // One that is too old is a new request, which finds its name taken.
    age(24 * 60 + 1, "1");
    let reply = send_under(&server, &server.key, "old", &sent[0].1);
    assert_eq!(reply.errors(), ["/name: another tickets.Tag has this name already"]);
    eventually("the old one is pruned", || kept() == "Integer(1)\n");
    assert!(is_replay(&send_under(&server, &server.key, "young", &sent[1].1)));
    // Under its key another request may be sent now.
    let reply = send_under(&server, &server.key, "old", &tag("c").to_string());
    assert_eq!((reply.status, is_replay(&reply)), (200, false));
}

#[test]
fn old_answers_are_not_given_though_none_has_pruned_them() {
    let server = Server::start();
    let body = create("tickets.Ticket", &json!({"title": "t"})).to_string();
    send_under(&server, &server.key, "one", &body);
    // More than one step of pruning takes, so that some are there for a while.
    server.change(
        r#"UPDATE "system.KeptAnswer" SET "at" = '2024-01-02T00:00:00.000000Z';
           WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1200)
           INSERT INTO "system.KeptAnswer" ("key", "request", "at", "answer")
           SELECT randomblob(32), randomblob(32), '2024-01-01T00:00:00.000000Z', '{}' FROM n"#,
    );
    let reply = send_under(&server, &server.key, "one", &body);
    assert_eq!((is_replay(&reply), &reply.json()["data"]), (false, &json!({"id": 2})));
    eventually("all old ones are pruned", || {
        server.rows(r#"SELECT count(*) FROM "system.KeptAnswer""#) == "Integer(1)\n"
    });
    let again = send_under(&server, &server.key, "one", &body);
    assert_eq!((is_replay(&again), again.body), (true, reply.body));
}

// -- An older file ------------------------------------------------------------------------------

/// Makes the database of a folder one of the first version, with all that there is a place for in it.
fn make_old(folder: &Folder) {
    let (now, old) = (folder.path("test.db"), folder.path("old.db"));
    let connection = rusqlite::Connection::open(&old).unwrap();
    let (_, tables) =
        include_str!("../../schema.sql").split("-- == Version ").nth(1).unwrap().split_once('\n').unwrap();
    let attach = format!("ATTACH '{}' AS now; PRAGMA foreign_keys = OFF", now.display());
    connection.execute_batch(&format!("{tables}; {attach}")).unwrap();
    let texts = |query: &str| -> Vec<String> {
        let mut query = connection.prepare(query).unwrap();
        query.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
    };
    let of_models = r#""tbl_name" NOT LIKE 'system.%' AND "tbl_name" NOT LIKE 'sqlite_%' AND "sql" IS NOT NULL"#;
    for made in texts(&format!(r#"SELECT "sql" FROM now.sqlite_schema WHERE {of_models}"#)) {
        connection.execute_batch(&made).unwrap();
    }
    for table in texts(r#"SELECT "name" FROM sqlite_schema WHERE "type" = 'table' AND "name" NOT LIKE 'sqlite_%'"#) {
        let columns = texts(&format!(r#"SELECT format('"%w"', "name") FROM pragma_table_info('{table}', 'main')"#));
        let columns = columns.join(", ");
        let copy = format!(r#"INSERT INTO main."{table}" ({columns}) SELECT {columns} FROM now."{table}""#);
        connection.execute_batch(&copy).unwrap();
    }
    let application: i64 = connection.query_one("PRAGMA now.application_id", [], |row| row.get(0)).unwrap();
    connection
        .execute_batch(&format!("DETACH now; PRAGMA application_id = {application}; PRAGMA user_version = 1"))
        .unwrap();
    drop(connection);
    for gone in ["test.db-wal", "test.db-shm"] {
        let _ = std::fs::remove_file(folder.path(gone)); // an orderly stop leaves none
    }
    std::fs::rename(old, now).unwrap();
}

#[test]
fn a_file_of_the_first_version_is_brought_up_to_date() {
    let server = Server::start();
    let key = server.key.clone();
    let version = server.rows("PRAGMA user_version");
    let schema = r#"SELECT "type", "name", "sql" FROM "sqlite_schema" ORDER BY "type", "name""#;
    let made = server.rows(schema);
    server.create("tickets.Category", &json!({"name": "c"}));
    server.create("tickets.Tag", &json!({"name": "kept"}));
    server.create("tickets.Ticket", &json!({"title": "t", "category": 1, "tags": [1]}));
    let records = server.records();
    let (_, folder) = server.stop();
    make_old(&folder);
    let server = Server::on(folder, &[]);
    assert_eq!((server.rows("PRAGMA user_version"), server.rows(schema)), (version, made));
    assert_eq!(server.records(), records);
    let page = request("retrieve", "tickets.Tag", &json!({"limit": 1}), &json!({"id": null, "name": null}));
    assert_eq!(server.send_as(&key, &page).json()["data"], json!([{"id": 1, "name": "kept"}]));
    // What the new tables are for works: answers that are kept, and cursors.
    let body = tag("new").to_string();
    assert_eq!(send_under(&server, &key, "one", &body).json()["data"], json!({"id": 2}));
    assert!(is_replay(&send_under(&server, &key, "one", &body)));
    let mut next = page.clone();
    next["__meta__"]["after"] = server.send_as(&key, &page).json()["extras"]["next"].clone();
    assert_eq!(server.send_as(&key, &next).json()["data"], json!([{"id": 2, "name": "new"}]));
    run(&server.folder, &["check"]);
}

#[test]
fn any_command_brings_an_older_file_up_to_date_once() {
    let (_, folder) = Server::start().stop();
    make_old(&folder);
    let secret = |folder: &Folder| {
        let connection = rusqlite::Connection::open(folder.path("test.db")).unwrap();
        connection.query_one(r#"SELECT hex("value") FROM "system.Secret""#, [], |row| row.get::<_, String>(0)).unwrap()
    };
    assert!(run(&folder, &["keys", "list"]).contains("all"));
    let first = secret(&folder);
    run(&folder, &["check"]);
    assert_eq!((first.len(), secret(&folder)), (64, first));
}
