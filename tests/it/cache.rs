//! Answers kept in memory: as good as new ones, whoever changes whatever they read.

use crate::support::{Client, Server, eventually, request, run};
use serde_json::{Value, json};
use std::sync::Mutex;
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

const MODELS: &str = r#"{
  "c.Author": { "fields": { "name": { "type": "string" }, "motto": { "type": "text", "null": true } }, "ordering": ["name"] },
  "c.Shelf": { "fields": { "name": { "type": "string", "unique": true } } },
  "c.Tag": { "fields": { "name": { "type": "string" } } },
  "c.Book": { "fields": {
      "title": { "type": "string" }, "pages": { "type": "integer", "default": 0 },
      "author": { "type": "ref", "to": "c.Author", "on_delete": "cascade", "related_name": "books" },
      "shelf": { "type": "ref", "to": "c.Shelf", "null": true, "on_delete": "set_null", "related_name": "books" },
      "tags": { "type": "refs", "to": "c.Tag", "related_name": "books" } },
    "search": ["title", "author__name"] },
  "c.Page": { "fields": {
      "number": { "type": "integer" },
      "book": { "type": "ref", "to": "c.Book", "on_delete": "cascade", "related_name": "sheets" } } },
  "c.Other": { "fields": { "name": { "type": "string" } } } }"#;

/// Authors ann (1), bob (2) and cid (3), shelves high (1) and low (2), tags red (1) and blue (2), and a book of each
/// author, on a shelf, with both tags and a page. Ann wrote one more, without tags.
fn library(words: &[&str]) -> Server {
    let server = Server::with(MODELS, words);
    fill(&server);
    server
}

fn fill(server: &Server) {
    for name in ["ann", "bob", "cid"] {
        server.create("c.Author", &json!({"name": name}));
    }
    for (shelf, tag) in [("high", "red"), ("low", "blue")] {
        server.create("c.Shelf", &json!({"name": shelf}));
        server.create("c.Tag", &json!({"name": tag}));
    }
    for (place, title) in ["alpha", "beta", "gamma"].iter().enumerate() {
        let values = json!({"title": title, "pages": 10, "author": place + 1, "shelf": place % 2 + 1, "tags": [1, 2]});
        let book = server.create("c.Book", &values);
        server.create("c.Page", &json!({"number": 1, "book": book}));
    }
    server.create("c.Book", &json!({"title": "omega", "author": 1, "shelf": 2}));
    server.create("c.Other", &json!({"name": "one"}));
}

/// The request with leave to answer it from memory.
fn cached(mut request: Value) -> Value {
    request["__meta__"]["cache"] = json!({"enabled": true});
    request
}

fn read(intent: &str, namespace: &str, meta: Value, beside: Value) -> Value {
    cached(request(intent, namespace, &meta, &beside))
}

fn list(namespace: &str, meta: Value, beside: Value) -> Value {
    read("retrieve", namespace, meta, beside)
}

fn is_cached(answer: &Value) -> bool {
    answer["extras"].get("cached").is_some()
}

#[track_caller]
fn answer(server: &Server, key: &str, request: &Value) -> Value {
    let reply = server.send_as(key, request);
    assert_eq!(reply.status, 200, "{request}\n{}", reply.body);
    reply.json()
}

/// Sends a request until its answer comes from memory, and gives that. Now and then one is not kept: while something
/// is being committed, be it the log, it cannot be told whether it is as good as a new one.
#[track_caller]
fn kept_for(server: &Server, key: &str, request: &Value) -> Value {
    let first = answer(server, key, request);
    let mut last = first.clone();
    eventually("an answer comes from memory", || {
        last = answer(server, key, request);
        is_cached(&last)
    });
    assert_eq!((&last["extras"]["cached"], &last["extras"]["queries"]), (&json!(true), &json!(0)));
    let mut plain = last.clone();
    plain["extras"].as_object_mut().unwrap().shift_remove("cached");
    if !is_cached(&first) {
        plain["extras"]["queries"] = first["extras"]["queries"].clone();
        assert_eq!(plain.to_string(), first.to_string(), "{request}");
    }
    last
}

#[track_caller]
fn kept(server: &Server, request: &Value) -> Value {
    kept_for(server, &server.key, request)
}

/// What a change does to the answer of a request that is kept: the next one is fresh, and shows it.
#[track_caller]
fn shows(server: &Server, request: &Value, change: impl FnOnce()) {
    let before = kept(server, request);
    change();
    let after = answer(server, &server.key, request);
    assert!(!is_cached(&after), "{request}");
    assert_ne!(after["data"], before["data"], "the change does not show: {request}");
    let mut plain = request.clone();
    plain["__meta__"]["cache"]["enabled"] = json!(false);
    assert_eq!(after["data"], server.data(&plain), "{request}");
}

/// A name that no record has yet.
fn new_name() -> String {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    format!("name {}", NEXT.fetch_add(1, Ordering::Relaxed))
}

#[test]
fn a_kept_answer_says_so_runs_no_statement_and_is_otherwise_the_same() {
    let server = library(&[]);
    let nested = json!({"title": null, "author": {"name": null}, "tags": {"__meta__": {"limit": 1}, "name": null},
        "pages": {"__transform__": {"prefix": {"value": "p"}}}});
    for request in [
        list("c.Book", json!({"ordering": "-id", "limit": 2}), nested.clone()),
        list("c.Book", json!({"count": false}), json!({})),
        list("c.Book", json!({"count": {"upTo": 2}, "draw": 7}), json!({"id": null})),
        list("c.Book", json!({"filter": {"title": "none"}}), json!({})),
        list("c.Book", json!({"limit": 0}), json!({})),
        read("retrieveOne", "c.Book", json!({"uniqueObject": {"id": 2}}), nested),
        read("count", "c.Book", json!({"filter": {"author__name": "ann"}}), json!({})),
        read(
            "aggregate",
            "c.Book",
            json!({"groupBy": ["author__name"]}),
            json!({"sum": {"function": "Sum", "onField": "pages"}}),
        ),
    ] {
        kept(&server, &request);
    }
    eventually("the log tells of them", || {
        server.logs(&[]).iter().any(|entry| (&entry["queries"], &entry["rows"]) == (&json!(0), &json!(2)))
    });
}

#[test]
fn only_a_request_that_allows_it_is_answered_from_memory() {
    let server = library(&[]);
    let with = |cache: Option<Value>| {
        let mut request = request("retrieve", "c.Book", &json!({}), &json!({"id": null}));
        if let Some(cache) = cache {
            request["__meta__"]["cache"] = cache;
        }
        request
    };
    kept(&server, &with(Some(json!({"enabled": true}))));
    for cache in [None, Some(json!({"enabled": false}))] {
        for _ in 0..20 {
            assert!(!is_cached(&answer(&server, &server.key, &with(cache.clone()))));
        }
    }
}

#[test]
fn draw_is_that_of_the_request() {
    let server = library(&[]);
    let with = |draw: Value| list("c.Book", json!({"draw": draw}), json!({"id": null}));
    for draw in [json!(1), json!(2), json!("1"), json!(1)] {
        assert_eq!(kept(&server, &with(draw.clone()))["extras"]["draw"], draw);
    }
    assert_eq!(kept(&server, &list("c.Book", json!({}), json!({"id": null})))["extras"].get("draw"), None);
}

#[test]
fn pages_by_cursor_are_kept_each_for_itself() {
    let server = library(&[]);
    let page = |meta: Value| kept(&server, &list("c.Book", meta, json!({"id": null})));
    let first = page(json!({"limit": 3}));
    assert_eq!(first["data"], json!([{"id": 1}, {"id": 2}, {"id": 3}]));
    let second = page(json!({"limit": 3, "after": first["extras"]["next"]}));
    assert_eq!(second["data"], json!([{"id": 4}]));
    assert_eq!(page(json!({"limit": 3}))["extras"]["next"], first["extras"]["next"]);
}

#[test]
fn errors_are_not_kept() {
    let server = library(&[]);
    let one = |id: usize| read("retrieveOne", "c.Other", json!({"uniqueObject": {"id": id}}), json!({"name": null}));
    for _ in 0..3 {
        server.refused(404, &one(2));
    }
    server.create("c.Other", &json!({"name": "two"}));
    assert_eq!(server.data(&one(2)), json!({"name": "two"}));
    let wrong = list("c.Other", json!({"filter": {"nam": 1}}), json!({}));
    for _ in 0..3 {
        assert_eq!(server.refused(400, &wrong).len(), 1);
    }
    let narrow = server.key_for("c.Tag:read");
    for _ in 0..3 {
        assert_eq!(server.send_as(&narrow, &list("c.Other", json!({}), json!({}))).status, 403);
    }
}

// -- Changes by the server ----------------------------------------------------------------------

#[test]
fn every_kind_of_write_makes_the_next_answer_fresh() {
    let server = library(&[]);
    let books = list("c.Book", json!({"limit": 1000}), json!({"id": null, "title": null, "shelf": null, "tags": null}));
    let writes = |write: &Value| drop(server.data(write));
    let batch = |more: Value, requests: Value| {
        let mut batch = json!({"__meta__": {"schema": "controller", "intent": "execute", "namespace": "system.Batch"}, "requests": requests});
        batch.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        batch
    };
    let one = json!({"uniqueObject": {"id": 1}});
    let rename = || request("update", "c.Book", &one, &json!({"title": new_name()}));
    let values = |title: String| json!({"title": title, "author": 2, "shelf": 2, "tags": [1]});
    for write in [
        request("create", "c.Book", &json!({}), &values(new_name())),
        request("createMany", "c.Book", &json!({"objects": [values(new_name()), values(new_name())]}), &json!({})),
        rename(),
        request("update", "c.Book", &one, &json!({"tags": [2]})),
        request("updateMany", "c.Book", &json!({"filter": {"id__lte": 2}}), &json!({"title": new_name()})),
        request("updateMany", "c.Book", &json!({"filter": {"id__lte": 2}}), &json!({"tags": []})),
        request("update", "c.Book", &one, &json!({"tags": [1, 2]})),
        request("upsert", "c.Book", &one, &values(new_name())),
        batch(json!({}), json!([rename()])),
        batch(
            json!({"atomic": false}),
            json!([rename(), request("update", "c.Book", &json!({"uniqueObject": {"id": 99}}), &json!({"pages": 1}))]),
        ),
        request("deleteOne", "c.Tag", &json!({"uniqueObject": {"id": 1}}), &json!({})),
        request("deleteOne", "c.Shelf", &json!({"uniqueObject": {"id": 2}}), &json!({})),
        request("deleteMany", "c.Book", &json!({"filter": {"id__gt": 4}}), &json!({})),
        request("deleteOne", "c.Author", &json!({"uniqueObject": {"id": 3}}), &json!({})),
        request("deleteMany", "c.Author", &json!({"filter": {"name": "bob"}}), &json!({})),
        request("deleteOne", "c.Book", &json!({"uniqueObject": {"id": 4}}), &json!({})),
    ] {
        shows(&server, &books, || writes(&write));
    }
    assert_eq!(server.data(&books), json!([]));
}

#[test]
fn a_cascade_of_a_cascade_makes_the_next_answer_fresh() {
    let server = library(&[]);
    let delete = |namespace: &str, id: usize| {
        drop(server.data(&request("deleteOne", namespace, &json!({"uniqueObject": {"id": id}}), &json!({}))));
    };
    shows(&server, &list("c.Page", json!({}), json!({"number": null, "book": null})), || delete("c.Author", 1));
    shows(&server, &list("c.Tag", json!({}), json!({"name": null, "books": null})), || delete("c.Author", 2));
    shows(&server, &list("c.Tag", json!({}), json!({"name": null, "books": {"title": null}})), || delete("c.Book", 3));
}

#[test]
fn a_write_that_is_undone_changes_no_answer() {
    let server = library(&[]);
    let books = list("c.Book", json!({}), json!({"title": null, "tags": null}));
    let before = kept(&server, &books)["data"].clone();
    let dry = json!({"uniqueObject": {"id": 1}, "dryRun": true});
    server.data(&request("update", "c.Book", &dry, &json!({"title": "other"})));
    assert_eq!(server.data(&books), before);
    server.refused(400, &request("update", "c.Book", &json!({"uniqueObject": {"id": 1}}), &json!({"tags": [99]})));
    assert_eq!(server.data(&books), before);
    let mut batch = json!({"requests": [
        request("update", "c.Book", &json!({"uniqueObject": {"id": 1}}), &json!({"title": "other"})),
        request("deleteOne", "c.Book", &json!({"uniqueObject": {"id": 99}}), &json!({}))]});
    batch["__meta__"] = json!({"schema": "controller", "intent": "execute", "namespace": "system.Batch"});
    server.refused(404, &batch);
    assert_eq!(kept(&server, &books)["data"], before);
}

#[test]
fn a_write_to_an_unrelated_model_keeps_an_answer() {
    let server = library(&[]);
    let books =
        list("c.Book", json!({"filter": {"tags__name": "red"}}), json!({"title": null, "author": {"name": null}}));
    kept(&server, &books);
    for intent in ["create", "update", "updateMany"] {
        // Where the log is being committed at that very moment, it is made anew all the same.
        eventually("the first answer after the write comes from memory", || {
            let meta = match intent {
                "create" => json!({}),
                "update" => json!({"uniqueObject": {"id": 1}}),
                _ => json!({"filter": {"id": 1}}),
            };
            server.data(&request(intent, "c.Other", &meta, &json!({"name": new_name()})));
            is_cached(&answer(&server, &server.key, &books))
        });
    }
}

/// One request for each way in which an answer may reach another model, with the model and the field of it that
/// shows.
fn reaching() -> Vec<(Value, &'static str, &'static str)> {
    let title = || json!({"title": null});
    let subquery = |meta: Value| {
        let mut all = json!({"intent": "subquery"});
        all.as_object_mut().unwrap().extend(meta.as_object().unwrap().clone());
        json!({"id": null, "found": {"__meta__": all}})
    };
    let names = json!([{"function": "Concat", "onField": "author__name"}]);
    vec![
        (list("c.Book", json!({}), json!({"author": {"name": null}})), "c.Author", "name"),
        (list("c.Author", json!({}), json!({"books": {"title": null}})), "c.Book", "title"),
        (list("c.Book", json!({}), json!({"tags": {"name": null}})), "c.Tag", "name"),
        (list("c.Tag", json!({}), json!({"books": {"title": null}})), "c.Book", "title"),
        (list("c.Tag", json!({}), json!({"books": {"author": {"motto": null}}})), "c.Author", "motto"),
        (
            list("c.Author", json!({}), json!({"books": {"__meta__": {"filter": {"tags__name": "red"}}, "id": null}})),
            "c.Tag",
            "name",
        ),
        (
            list("c.Author", json!({}), json!({"books": {"__meta__": {"ordering": "-shelf__name"}, "id": null}})),
            "c.Shelf",
            "name",
        ),
        (
            list("c.Author", json!({}), json!({"books": {"__meta__": {"search": {"value": "ann"}}, "id": null}})),
            "c.Author",
            "name",
        ),
        (list("c.Book", json!({"filter": {"author__name": "ann"}}), title()), "c.Author", "name"),
        (list("c.Book", json!({"exclude": {"tags__name": "red"}}), title()), "c.Tag", "name"),
        (
            list("c.Book", json!({"filter": {"__or__": [{"__not__": {"shelf__name": "high"}}]}}), title()),
            "c.Shelf",
            "name",
        ),
        (list("c.Shelf", json!({"filter": {"books__author__name": "ann"}}), json!({})), "c.Author", "name"),
        (list("c.Book", json!({"filter": {"title__gt": {"__field__": "author__name"}}}), title()), "c.Author", "name"),
        (list("c.Book", json!({"ordering": "author__name"}), title()), "c.Author", "name"),
        (list("c.Book", json!({"ordering": "author"}), title()), "c.Author", "name"),
        (list("c.Author", json!({"ordering": "books__title"}), json!({"id": null})), "c.Book", "title"),
        (list("c.Book", json!({"search": {"value": "ann"}}), title()), "c.Author", "name"),
        (list("c.Book", json!({}), json!({"by": {"__field__": "author__name"}})), "c.Author", "name"),
        (
            list(
                "c.Author",
                json!({}),
                subquery(
                    json!({"namespace": "c.Book", "onField": "title", "outerRefMapping": [{"field": "author", "referenceField": "id"}]}),
                ),
            ),
            "c.Book",
            "title",
        ),
        (
            list(
                "c.Shelf",
                json!({}),
                subquery(json!({"namespace": "c.Book", "filter": {"author__name": "ann"}, "onField": "title"})),
            ),
            "c.Author",
            "name",
        ),
        (
            list("c.Tag", json!({}), subquery(json!({"namespace": "c.Book", "sequencedProcess": names}))),
            "c.Author",
            "name",
        ),
        (
            list(
                "c.Tag",
                json!({}),
                subquery(json!({"namespace": "c.Book", "ordering": "-author__name", "onField": "id"})),
            ),
            "c.Author",
            "name",
        ),
        (read("count", "c.Book", json!({"filter": {"author__name": "ann"}}), json!({})), "c.Author", "name"),
        (
            read("retrieveOne", "c.Book", json!({"uniqueObject": {"id": 1}}), json!({"author": {"name": null}})),
            "c.Author",
            "name",
        ),
        (
            read("aggregate", "c.Book", json!({"groupBy": ["author__name"]}), json!({"n": {"function": "Count"}})),
            "c.Author",
            "name",
        ),
        (
            read("aggregate", "c.Book", json!({}), json!({"n": {"function": "Concat", "onField": "tags__name"}})),
            "c.Tag",
            "name",
        ),
        (
            read(
                "aggregate",
                "c.Book",
                json!({}),
                json!({"n": {"function": "Count", "filter": {"shelf__name": "high"}}}),
            ),
            "c.Shelf",
            "name",
        ),
        (
            read("aggregate", "c.Book", json!({}), json!({"n": {"function": "First", "ordering": "-author__name"}})),
            "c.Author",
            "name",
        ),
    ]
}

/// Names for the first two records of a model that change what the requests above find: none of them looks for these,
/// and one sorts behind all others, one before them.
const RENAMED: [&str; 2] = ["~", "0"];

#[test]
fn an_answer_is_fresh_after_a_write_to_any_model_that_it_reaches() {
    for (request_made, namespace, field) in reaching() {
        let server = library(&[]);
        shows(&server, &request_made, || {
            for (place, name) in RENAMED.iter().enumerate() {
                let meta = json!({"uniqueObject": {"id": place + 1}});
                server.data(&request("update", namespace, &meta, &json!({ field: name })));
            }
        });
    }
}

#[test]
fn an_answer_is_fresh_after_another_process_wrote_to_any_model_that_it_reaches() {
    let server = library(&[]);
    for (request_made, namespace, field) in reaching() {
        let before = server.rows(&format!(r#"SELECT "{field}" FROM "{namespace}" ORDER BY "id""#));
        let names: Vec<Option<&str>> = before.lines().map(|name| (name != "Null").then_some(name)).collect();
        let set = |id: usize, name: Option<&str>| {
            let name = name.map_or("NULL".to_owned(), |name| format!("'{name}'"));
            server.change(&format!(r#"UPDATE "{namespace}" SET "{field}" = {name} WHERE "id" = {id}"#));
        };
        shows(&server, &request_made, || {
            RENAMED.iter().enumerate().for_each(|(place, name)| set(place + 1, Some(name)))
        });
        shows(&server, &request_made, || names.iter().enumerate().for_each(|(place, name)| set(place + 1, *name)));
    }
}

#[test]
fn ids_of_lists_and_conditions_on_them_are_fresh_after_what_they_point_to_is_gone() {
    for request_made in [
        list("c.Book", json!({}), json!({"tags": null})),
        list("c.Book", json!({"filter": {"tags": 1}}), json!({"title": null})),
        list("c.Book", json!({"filter": {"tags__in": [1, 5]}}), json!({"title": null})),
        list("c.Book", json!({"filter": {"tags__isnull": true}}), json!({"title": null})),
        list("c.Book", json!({"ordering": ["-tags", "title"], "filter": {"id__in": [1, 5]}}), json!({"title": null})),
        list("c.Book", json!({}), json!({"shelf": null})),
        list("c.Book", json!({"filter": {"shelf": 1}}), json!({"title": null})),
        list("c.Book", json!({"filter": {"shelf__isnull": true}}), json!({"title": null})),
        list("c.Shelf", json!({}), json!({"books": null})),
        list("c.Tag", json!({}), json!({"books": null})),
        read("aggregate", "c.Book", json!({"groupBy": ["tags"]}), json!({"n": {"function": "Count"}})),
        read("aggregate", "c.Book", json!({}), json!({"n": {"function": "Count", "onField": "tags"}})),
        list("c.Author", json!({}), json!({"books": {"tags": null, "shelf": null}})),
        list(
            "c.Author",
            json!({}),
            json!({"n": {"__meta__": {"intent": "subquery", "namespace": "c.Book", "filter": {"tags": 1, "shelf": 1}, "sequencedProcess": [{"function": "Count"}]}}}),
        ),
    ] {
        let server = library(&[]);
        server.create("c.Tag", &json!({"name": "green"}));
        server.create("c.Book", &json!({"title": "delta", "author": 1, "shelf": 1, "tags": [3]}));
        server.data(&request("update", "c.Book", &json!({"uniqueObject": {"id": 3}}), &json!({"tags": [1]})));
        shows(&server, &request_made, || {
            for (namespace, id) in [("c.Tag", 1), ("c.Tag", 3), ("c.Shelf", 1)] {
                server.data(&request("deleteOne", namespace, &json!({"uniqueObject": {"id": id}}), &json!({})));
            }
        });
    }
}

#[test]
fn where_triggers_change_more_than_a_write_says_no_answer_is_kept() {
    let server = library(&[]);
    let books = list("c.Book", json!({}), json!({"pages": null}));
    kept(&server, &books);
    server
        .change(r#"CREATE TRIGGER "t" AFTER INSERT ON "c.Other" BEGIN UPDATE "c.Book" SET "pages" = "pages" + 1; END"#);
    for pages in 10..20 {
        for _ in 0..3 {
            let answer = answer(&server, &server.key, &books);
            assert!(!is_cached(&answer));
            assert_eq!(answer["data"][0], json!({ "pages": pages }));
        }
        server.create("c.Other", &json!({"name": "two"}));
    }
    server.change(r#"DROP TRIGGER "t""#);
    kept(&server, &books);
}

// -- Changes by others --------------------------------------------------------------------------

#[test]
fn an_answer_is_fresh_after_a_query_on_the_command_line() {
    let server = library(&[]);
    let books = list("c.Book", json!({}), json!({"title": null, "author": {"name": null}, "tags": null}));
    let query = |body: Value| {
        let file = server.folder.file("query.json", &body.to_string());
        run(&server.folder, &["query", file.to_str().unwrap()]);
    };
    let one = json!({"uniqueObject": {"id": 1}});
    for body in [
        request("create", "c.Book", &json!({}), &json!({"title": "delta", "author": 1})),
        request("update", "c.Author", &one, &json!({"name": "ada"})),
        request("update", "c.Book", &one, &json!({"tags": []})),
        request("deleteOne", "c.Tag", &one, &json!({})),
        request("deleteOne", "c.Author", &one, &json!({})),
    ] {
        shows(&server, &books, || query(body));
    }
}

#[test]
fn an_answer_is_fresh_after_a_change_of_models() {
    let server = library(&[]);
    let apply = |change: &dyn Fn(&mut Value)| {
        let mut models: Value = serde_json::from_str(&run(&server.folder, &["models", "show"])).unwrap();
        change(&mut models);
        let file = server.folder.file("models.json", &models.to_string());
        run(&server.folder, &["models", "apply", "--allow-data-loss", file.to_str().unwrap()]);
    };
    let (all, authors) = (list("c.Book", json!({}), json!({})), list("c.Author", json!({}), json!({"name": null})));
    shows(&server, &all, || {
        apply(&|models| models["c.Book"]["fields"]["extra"] = json!({"type": "integer", "default": 5}));
    });
    shows(&server, &all, || {
        apply(&|models| drop(models["c.Book"]["fields"].as_object_mut().unwrap().remove("extra")));
    });
    shows(&server, &authors, || apply(&|models| models["c.Author"]["ordering"] = json!(["-name"])));
    // What is no longer there is not answered from memory either.
    kept(&server, &list("c.Other", json!({}), json!({})));
    apply(&|models| drop(models.as_object_mut().unwrap().remove("c.Other")));
    server.refused(404, &list("c.Other", json!({}), json!({})));
}

// -- Keys ---------------------------------------------------------------------------------------

#[test]
fn no_key_gets_the_answer_of_another() {
    let server = library(&[]);
    let books = list("c.Book", json!({}), json!({"title": null}));
    let keys = [server.key_for("c.Book:read"), server.key_for("c.Book:read"), server.key_for("c.*:read")];
    for key in &keys {
        assert!(!is_cached(&answer(&server, key, &books)));
        kept_for(&server, key, &books);
    }
    let other = server.key_for("c.Author:read");
    assert_eq!(server.send_as(&other, &books).status, 403);
    let with_author = list("c.Book", json!({}), json!({"title": null, "author": {"name": null}}));
    kept_for(&server, &keys[2], &with_author);
    assert_eq!(server.send_as(&keys[0], &with_author).status, 403);
    assert_eq!(
        Client::connect(&server.address)
            .request("POST", "/jql", "Content-Type: application/json\r\nContent-Length: 2\r\n", "{}")
            .status,
        401
    );
}

#[test]
fn a_key_that_lost_its_leave_gets_no_kept_answer() {
    let server = library(&[]);
    let books = list("c.Book", json!({}), json!({"title": null, "author": {"name": null}}));
    for (change, status) in [
        (r#""permissions" = 'c.Book:read'"#, 403),
        (r#""permissions" = ''"#, 403),
        (r#""disabled" = "created""#, 401),
        (r#""revoked" = "created""#, 401),
        (r#""expires" = "created""#, 401),
    ] {
        let key = server.key_for("c.Book:read,c.Author:read");
        kept_for(&server, &key, &books);
        let newest = r#"(SELECT max("id") FROM "system.ApiKey")"#;
        server.change(&format!(r#"UPDATE "system.ApiKey" SET {change} WHERE "id" = {newest}"#));
        assert_eq!(server.send_as(&key, &books).status, status, "{change}");
    }
    let key = server.key_for("c.Book:read,c.Author:read,c.Tag:read");
    kept_for(&server, &key, &books);
    run(&server.folder, &["keys", "revoke", "c.Book:read,c.Author:read,c.Tag:read"]);
    assert_eq!(server.send_as(&key, &books).status, 401);
}

// -- Memory -------------------------------------------------------------------------------------

#[test]
fn the_oldest_answers_make_room_and_large_ones_are_not_kept() {
    let server = library(&["--cache-size", "20000"]);
    let page = |draw: usize| list("c.Book", json!({"draw": draw}), json!({}));
    for draw in 0..60 {
        kept(&server, &page(draw));
    }
    assert!(!is_cached(&answer(&server, &server.key, &page(0))));
    kept(&server, &page(59));
    server.change(r#"UPDATE "c.Author" SET "motto" = hex(zeroblob(2500))"#);
    let large = list("c.Author", json!({"limit": 1}), json!({}));
    for _ in 0..20 {
        assert!(!is_cached(&answer(&server, &server.key, &large)));
    }
    kept(&server, &page(59));
}

#[test]
fn a_server_that_may_keep_no_bytes_keeps_no_answer() {
    let server = library(&["--cache-size", "0"]);
    let books = list("c.Book", json!({}), json!({"title": null}));
    for _ in 0..20 {
        assert!(!is_cached(&answer(&server, &server.key, &books)));
    }
}

// -- Many at once -------------------------------------------------------------------------------

const COUNTERS: &str = r#"{
  "k.Board": { "fields": { "name": { "type": "string" } } },
  "k.Counter": { "fields": {
      "name": { "type": "string", "unique": true }, "n": { "type": "integer", "default": 0 },
      "board": { "type": "ref", "to": "k.Board", "related_name": "counters" } } } }"#;

/// A board with four counters.
fn with_counters(server: &Server) {
    server.create("k.Board", &json!({"name": "board"}));
    for name in 1..=4 {
        server.create("k.Counter", &json!({"name": format!("{name}"), "board": 1}));
    }
}

/// The four counters, read in four ways; each answer has one place for each counter.
fn counters(way: usize) -> Value {
    let each = |make: &dyn Fn(usize) -> Value| (1..=4).map(|id| (format!("c{id}"), make(id))).collect::<Value>();
    match way % 4 {
        0 => list("k.Counter", json!({"ordering": "id"}), json!({"n": null})),
        1 => read(
            "retrieveOne",
            "k.Board",
            json!({"uniqueObject": {"id": 1}}),
            json!({"counters": {"__meta__": {"ordering": "id"}, "n": null}}),
        ),
        2 => list(
            "k.Board",
            json!({}),
            each(
                &|id| json!({"__meta__": {"intent": "subquery", "namespace": "k.Counter", "filter": {"id": id}, "onField": "n"}}),
            ),
        ),
        _ => read(
            "aggregate",
            "k.Counter",
            json!({}),
            each(&|id| json!({"function": "Max", "onField": "n", "filter": {"id": id}})),
        ),
    }
}

/// What an answer to one of those says: the numbers in it, in their order.
fn numbers(data: &Value) -> Vec<i64> {
    match data {
        Value::Number(number) => vec![number.as_i64().unwrap()],
        Value::Array(items) => items.iter().flat_map(numbers).collect(),
        Value::Object(members) => members.values().flat_map(numbers).collect(),
        _ => Vec::new(),
    }
}

/// A write that sets a counter, in one of four ways.
fn set_counter(way: usize, n: i64) -> Value {
    let (id, values) = (way + 1, json!({"n": n, "board": 1}));
    match way % 4 {
        0 => request("update", "k.Counter", &json!({"uniqueObject": {"id": id}}), &values),
        1 => request("updateMany", "k.Counter", &json!({"filter": {"id": id}}), &values),
        2 => {
            let update = request("update", "k.Counter", &json!({"uniqueObject": {"id": id}}), &values);
            json!({"__meta__": {"schema": "controller", "intent": "execute", "namespace": "system.Batch"}, "requests": [update]})
        }
        _ => request("upsert", "k.Counter", &json!({"uniqueObject": {"name": format!("{id}")}}), &values),
    }
}

/// Four readers read the counters while `write` sets one of them after the other. No answer holds a number below
/// one that was acknowledged, or that any reader saw, before its request was sent.
fn no_reader_sees_an_older_state(server: &Server, writers: usize, write: impl Fn(usize, i64) + Sync) {
    let known: [AtomicI64; 4] = Default::default();
    let (cached, fresh, written) = (AtomicUsize::new(0), AtomicUsize::new(0), AtomicUsize::new(0));
    let deadline = Instant::now() + Duration::from_millis(1500);
    // However slow the machine is, some of each must have been seen.
    let enough = || [&cached, &fresh, &written].iter().all(|count| count.load(Ordering::SeqCst) > 20);
    let patience = deadline + Duration::from_secs(20);
    let goes_on = || Instant::now() < deadline || (!enough() && Instant::now() < patience);
    std::thread::scope(|scope| {
        for writer in 0..writers {
            let (write, known, written, goes_on) = (&write, &known, &written, &goes_on);
            scope.spawn(move || {
                for n in 1.. {
                    if !goes_on() {
                        break;
                    }
                    write(writer, n);
                    known[writer].fetch_max(n, Ordering::SeqCst);
                    written.fetch_add(1, Ordering::SeqCst);
                    // So that there is time for answers to be kept; not the same for all.
                    std::thread::sleep(Duration::from_millis(5 + n.unsigned_abs() * 7 % (20 + writer as u64)));
                }
            });
        }
        for reader in 0..4 {
            let (known, cached, fresh, goes_on) = (&known, &cached, &fresh, &goes_on);
            scope.spawn(move || {
                let mut client = Client::connect(&server.address);
                let body = counters(reader).to_string();
                while goes_on() {
                    let floor: Vec<i64> = known.iter().map(|known| known.load(Ordering::SeqCst)).collect();
                    let reply = client.jql(&server.key, &body);
                    assert_eq!(reply.status, 200, "{}", reply.body);
                    let answer = reply.json();
                    let seen = numbers(&answer["data"]);
                    assert_eq!(seen.len(), 4, "{}", reply.body);
                    let is_new = seen.iter().zip(&floor).all(|(seen, floor)| seen >= floor);
                    assert!(is_new, "known before: {floor:?}, answered: {}", reply.body);
                    seen.iter().zip(known).for_each(|(seen, known)| {
                        known.fetch_max(*seen, Ordering::SeqCst);
                    });
                    (if is_cached(&answer) { cached } else { fresh }).fetch_add(1, Ordering::SeqCst);
                }
            });
        }
    });
    assert!(enough(), "cached {cached:?}, fresh {fresh:?}, written {written:?}");
}

/// Sends writes, each on a connection of its writer's own.
fn by_http(server: &Server) -> impl Fn(usize, i64) + Sync + '_ {
    let clients: Vec<Mutex<Client>> = (0..4).map(|_| Mutex::new(Client::connect(&server.address))).collect();
    move |writer, n| {
        let reply = clients[writer].lock().unwrap().jql(&server.key, &set_counter(writer, n).to_string());
        assert_eq!(reply.status, 200, "{}", reply.body);
    }
}

#[test]
fn no_reader_sees_a_state_older_than_one_acknowledged_before() {
    let server = Server::with(COUNTERS, &[]);
    with_counters(&server);
    no_reader_sees_an_older_state(&server, 4, by_http(&server));
}

#[test]
fn no_reader_of_a_database_in_memory_sees_a_state_older_than_one_acknowledged_before() {
    let server = Server::in_memory(COUNTERS, &[]);
    with_counters(&server);
    no_reader_sees_an_older_state(&server, 4, by_http(&server));
}

#[test]
fn no_reader_sees_a_state_older_than_one_that_another_process_committed_before() {
    let server = Server::with(COUNTERS, &[]);
    with_counters(&server);
    let open = || {
        let connection = rusqlite::Connection::open(server.folder.path("test.db")).unwrap();
        connection.busy_timeout(Duration::from_secs(20)).unwrap();
        Mutex::new(connection)
    };
    let connections = [open(), open()];
    let http = by_http(&server);
    no_reader_sees_an_older_state(&server, 4, |writer, n| match writer {
        0 | 1 => {
            let set = format!(r#"UPDATE "k.Counter" SET "n" = {n} WHERE "id" = {}"#, writer + 1);
            connections[writer].lock().unwrap().execute_batch(&set).unwrap();
        }
        2 => {
            let update = request("update", "k.Counter", &json!({"uniqueObject": {"id": 3}}), &json!({ "n": n }));
            let file = server.folder.file("query.json", &update.to_string());
            run(&server.folder, &["query", file.to_str().unwrap()]);
        }
        _ => http(writer, n),
    });
}

#[test]
fn answers_from_a_database_in_memory_are_kept_and_fresh() {
    let server = Server::in_memory(MODELS, &[]);
    fill(&server);
    let books = list("c.Book", json!({"limit": 1000}), json!({"title": null, "author": {"name": null}, "tags": null}));
    for write in [
        request("create", "c.Book", &json!({}), &json!({"title": "delta", "author": 1})),
        request("update", "c.Author", &json!({"uniqueObject": {"id": 1}}), &json!({"name": "ada"})),
        request("deleteOne", "c.Tag", &json!({"uniqueObject": {"id": 1}}), &json!({})),
        request("deleteOne", "c.Author", &json!({"uniqueObject": {"id": 1}}), &json!({})),
    ] {
        shows(&server, &books, || drop(server.data(&write)));
    }
}
