//! What one request may cost in memory, where little is sent and much could come of it. After each refusal the next
//! request is served.

use crate::support::{Server, request};
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
