//! What one request may cost in memory, where little is sent and much could come of it. After each refusal the next
//! request is served.

use crate::support::{Client, Server, request};
use serde_json::{Value, json};

/// A server with records whose texts have a million characters each.
fn library(records: usize) -> Server {
    let models = r#"{"lib.Book": {"fields": {"text": {"type": "text"}}}}"#;
    let server = Server::with(models, &[]);
    server.change(&format!(
        r#"WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {records})
           INSERT INTO "lib.Book" ("text") SELECT printf('%.*c', 1000000, 'x') FROM n"#
    ));
    server
}

#[track_caller]
fn is_too_large(server: &Server, asked: &Value, bound: &str) {
    let message = format!(": the answer would hold more than {bound}");
    assert_eq!(server.refused(400, asked), [message]);
    assert_eq!(
        server.data(&request("count", "lib.Book", &json!({"filter": {"id": 1}}), &json!({}))),
        json!({"count": 1})
    );
}

#[test]
fn a_value_under_many_names_cannot_grow_without_end() {
    let server = library(1);
    let mut asked = request("retrieve", "lib.Book", &json!({}), &json!({}));
    for number in 0..60 {
        asked[format!("n{number}")] = json!({"__field__": "text"});
    }
    assert_eq!(server.data(&asked)[0].as_object().unwrap().len(), 60);
    for number in 60..400 {
        asked[format!("n{number}")] = json!({"__field__": "text"});
    }
    is_too_large(&server, &asked, "64 MiB of JSON");
}

#[test]
fn transforms_cannot_grow_a_text_without_end() {
    let server = library(1);
    let grow = |name: &str| json!({"from": "x", "to": name.repeat(1000)});
    let field = json!({"__transform__": {"replace": grow("y")}});
    is_too_large(&server, &request("retrieve", "lib.Book", &json!({}), &json!({"text": field})), "64 MiB of JSON");
}

#[test]
fn a_text_made_of_many_records_is_bounded() {
    let server = library(80);
    let concat = json!({"function": "Concat", "onField": "text"});
    let asked = request("aggregate", "lib.Book", &json!({}), &json!({"all": concat}));
    is_too_large(&server, &asked, "64 MiB in one value");
    let few = json!({"function": "Concat", "onField": "text", "filter": {"id__lte": 10}});
    let found = server.data(&request("aggregate", "lib.Book", &json!({}), &json!({"all": few})));
    assert_eq!(found[0]["all"].as_str().unwrap().len(), 10 * 1_000_000 + 9 * 2);
}

#[test]
fn a_result_cannot_be_put_into_a_batch_again_and_again() {
    let server = library(1);
    let read = request("retrieve", "lib.Book", &json!({}), &json!({"text": null}));
    let texts: Vec<Value> = (0..30).map(|_| json!({"__result__": "/0/data/0/text"})).collect();
    let find = |texts: &[Value]| request("count", "lib.Book", &json!({"filter": {"text__in": texts}}), &json!({}));
    let batch = |texts: &[Value]| {
        let requests = json!({"requests": [read, find(texts)]});
        request("execute", "system.Batch", &json!({"schema": "controller"}), &requests)
    };
    assert_eq!(server.data(&batch(&texts[..10]))[1]["data"], json!({"count": 1}));
    assert_eq!(
        server.refused(400, &batch(&texts)),
        ["/requests/1/__meta__/filter/text__in/16: a request may hold at most 16777216 bytes of earlier results"]
    );
    assert_eq!(server.count("lib.Book"), 1);
}

#[test]
fn the_answers_of_a_batch_are_bounded_together() {
    let server = library(30);
    let read = request(
        "retrieve",
        "lib.Book",
        &json!({"limit": 10}),
        &json!({"a": {"__field__": "text"}, "b": {"__field__": "text"}}),
    );
    let batch = |count: usize| {
        let requests = json!({"requests": vec![read.clone(); count]});
        request("execute", "system.Batch", &json!({"schema": "controller"}), &requests)
    };
    assert_eq!(server.data(&batch(2)).as_array().unwrap().len(), 2);
    let refused = server.send(&batch(50));
    assert_eq!(refused.status, 400, "{:.300}", refused.body);
    assert!(refused.body.contains("the answer would hold more than"), "{:.300}", refused.body);
    assert_eq!(server.count("lib.Book"), 30);
}

#[test]
fn transforms_that_cut_what_they_made_long_are_bounded_too() {
    let server = library(1);
    let steps = json!({"replace": {"from": "x", "to": "y".repeat(50)}, "truncate": {"length": 1}});
    let mut asked = request("retrieve", "lib.Book", &json!({}), &json!({}));
    asked["a"] = json!({"__field__": "text", "__transform__": steps});
    assert_eq!(server.data(&asked), json!([{"a": "…"}]));
    asked["b"] = asked["a"].clone();
    is_too_large(&server, &asked, "64 MiB of JSON");
}

#[test]
fn a_body_of_mistakes_is_told_of_at_once() {
    let server = library(1);
    let mut meta = json!({"intent": "retrieve", "namespace": "lib.Book"});
    for number in 0..30_000 {
        meta[format!("authenticationClasz{number}")] = Value::Null;
    }
    let refused = server.send(&json!({"__meta__": meta}));
    assert_eq!((refused.status, refused.errors().len()), (400, 101));
}

#[test]
fn a_large_answer_is_not_kept_for_a_retry() {
    let server = library(3);
    let create = request("create", "lib.Book", &json!({}), &json!({"text": "new"}));
    let batch = |limit: u64| {
        let read = request("retrieve", "lib.Book", &json!({"limit": limit}), &json!({"text": null}));
        request("execute", "system.Batch", &json!({"schema": "controller"}), &json!({"requests": [create, read]}))
    };
    let send = |batch: Value| {
        let head = format!(
            "Authorization: Bearer {}\r\nContent-Type: application/json\r\nIdempotency-Key: k\r\nContent-Length: {}\r\n",
            server.key,
            batch.to_string().len()
        );
        Client::connect(&server.address).request("POST", "/jql", &head, &batch.to_string())
    };
    let refused = send(batch(3));
    assert_eq!(refused.errors(), [": the answer would hold more than 1 MiB, which is kept for a retry"]);
    assert_eq!(server.count("lib.Book"), 3, "nothing was made");
    assert_eq!(send(batch(1)).status, 200);
}
