//! What is answered of each record: fields, the records of references, lists of related ones.

use crate::support::{Server, run};
use serde_json::{Value, json};

const LIBRARY: &str = r#"{
  "l.Author": { "fields": { "name": { "type": "string" } } },
  "l.Topic": { "fields": { "name": { "type": "string" } }, "ordering": ["-name"] },
  "l.Book": { "fields": {
      "title": { "type": "string" },
      "pages": { "type": "integer", "null": true },
      "author": { "type": "ref", "to": "l.Author", "null": true, "related_name": "books" },
      "topics": { "type": "refs", "to": "l.Topic", "related_name": "books" },
      "sequel_of": { "type": "ref", "to": "l.Book", "null": true, "related_name": "sequels" } },
    "ordering": ["title"], "search": ["title"] },
  "l.Loan": { "id": { "type": "uuid" }, "fields": {
      "book": { "type": "ref", "to": "l.Book" },
      "day": { "type": "date" },
      "readers": { "type": "refs", "to": "l.Reader", "related_name": "loans" } } },
  "l.Reader": { "id": { "type": "uuid" }, "fields": { "name": { "type": "string" } } } }"#;

const READERS: [&str; 2] = ["00000000-0000-4000-8000-00000000000a", "00000000-0000-4000-8000-00000000000b"];
const LOANS: [&str; 2] = ["10000000-0000-4000-8000-000000000001", "10000000-0000-4000-8000-000000000002"];

/// Authors: ann (1) of delta, beta and alpha (1 to 3), bob (2) of gamma (4), and cid (3) of none; nobody
/// wrote omega (5). Topics: art (1), law (2), sea (3). Beta and alpha follow delta.
fn library() -> Server {
    let server = Server::with(LIBRARY, &[]);
    for name in ["ann", "bob", "cid"] {
        server.create("l.Author", &json!({"name": name}));
    }
    for name in ["art", "law", "sea"] {
        server.create("l.Topic", &json!({"name": name}));
    }
    for book in [
        json!({"title": "delta", "pages": 10, "author": 1, "topics": [1, 2]}),
        json!({"title": "beta", "author": 1, "topics": [2, 3], "sequel_of": 1}),
        json!({"title": "alpha", "pages": 30, "author": 1, "sequel_of": 1}),
        json!({"title": "gamma", "pages": 40, "author": 2, "topics": [1, 2, 3]}),
        json!({"title": "omega"}),
    ] {
        server.create("l.Book", &book);
    }
    for (id, name) in READERS.iter().zip(["eve", "fay"]) {
        server.create("l.Reader", &json!({"id": id, "name": name}));
    }
    server.create("l.Loan", &json!({"id": LOANS[0], "book": 1, "day": "2024-05-01", "readers": READERS}));
    server.create("l.Loan", &json!({"id": LOANS[1], "book": 1, "day": "2024-04-01", "readers": [READERS[1]]}));
    server
}

/// A list of records with these fields, by `pk`.
fn list(namespace: &str, fields: &Value) -> Value {
    let mut request = json!({"__meta__": {"intent": "retrieve", "namespace": namespace, "ordering": "pk"}});
    request.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
    request
}

#[test]
fn fields_come_in_the_order_asked() {
    let server = library();
    for (fields, expected) in [
        (json!({"title": null, "id": null}), r#"{"title":"delta","id":1}"#),
        (json!({"id": null, "title": null}), r#"{"id":1,"title":"delta"}"#),
        (json!({"pages": null, "pk": null, "author": null, "id": null}), r#"{"pages":10,"pk":1,"author":1,"id":1}"#),
        (
            json!({"topics": null, "author": {"name": null, "id": null}, "title": null, "sequels": {"id": null}}),
            r#"{"topics":[1,2],"author":{"name":"ann","id":1},"title":"delta","sequels":[{"id":3},{"id":2}]}"#,
        ),
        (json!({"author_id": null, "sequel_of_id": null}), r#"{"author_id":1,"sequel_of_id":null}"#),
    ] {
        let body = server.send(&list("l.Book", &fields)).body;
        assert!(body.contains(&format!(r#""data":[{expected}"#)), "{fields}: {body}");
    }
    // Wherever `__meta__` stands.
    let body =
        json!({"title": null, "__meta__": {"intent": "retrieve", "namespace": "l.Book", "limit": 1}, "id": null});
    assert!(server.send(&body).body.contains(r#""data":[{"title":"alpha","id":3}]"#));
}

#[test]
fn no_keys_give_every_stored_field() {
    let server = library();
    let stored = r#"{"id":1,"title":"delta","pages":10,"author":1,"sequel_of":null}"#;
    assert!(server.send(&list("l.Book", &json!({}))).body.contains(stored));
    let nested = server.data(&list("l.Author", &json!({"books": {}})));
    assert_eq!(nested[1].to_string(), r#"{"books":[{"id":4,"title":"gamma","pages":40,"author":2,"sequel_of":null}]}"#);
    let nested = server.data(&list("l.Book", &json!({"author": {}})));
    assert_eq!(nested[3].to_string(), r#"{"author":{"id":2,"name":"bob"}}"#);
}

#[test]
fn a_reference_gives_its_id_or_its_record() {
    let server = library();
    let data = server.data(&list("l.Book", &json!({"author": null})));
    assert_eq!(data, json!([{"author": 1}, {"author": 1}, {"author": 1}, {"author": 2}, {"author": null}]));
    let data = server.data(&list("l.Book", &json!({"author": {"name": null}})));
    assert_eq!((&data[3], &data[4]), (&json!({"author": {"name": "bob"}}), &json!({"author": null})));
    let data =
        server.data(&list("l.Book", &json!({"sequel_of": {"sequel_of": {"id": null}, "author": {"name": null}}})));
    assert_eq!(data[0], json!({"sequel_of": null}));
    assert_eq!(data[1], json!({"sequel_of": {"sequel_of": null, "author": {"name": "ann"}}}));
}

#[test]
fn the_way_back_and_many_to_many_give_records_or_ids() {
    let server = library();
    // Records come in their model's own order, ids by themselves.
    let data = server.data(&list("l.Author", &json!({"name": null, "books": {"title": null}})));
    let titles = |titles: &[&str]| titles.iter().map(|title| json!({"title": title})).collect::<Vec<_>>();
    assert_eq!(
        data,
        json!([{"name": "ann", "books": titles(&["alpha", "beta", "delta"])},
               {"name": "bob", "books": titles(&["gamma"])}, {"name": "cid", "books": []}])
    );
    let data = server.data(&list("l.Author", &json!({"books": null})));
    assert_eq!(data, json!([{"books": [1, 2, 3]}, {"books": [4]}, {"books": []}]));
    let data = server.data(&list("l.Book", &json!({"topics": {"name": null}})));
    assert_eq!(data[0], json!({"topics": [{"name": "law"}, {"name": "art"}]}));
    assert_eq!(data[4], json!({"topics": []}));
    let data = server.data(&list("l.Book", &json!({"topics": null})));
    assert_eq!(data[3], json!({"topics": [1, 2, 3]}));
    let data = server.data(&list("l.Topic", &json!({"books": null, "id": null})));
    assert_eq!(data, json!([{"books": [1, 4], "id": 1}, {"books": [1, 2, 4], "id": 2}, {"books": [2, 4], "id": 3}]));
}

#[test]
fn a_nested_meta_narrows_orders_and_cuts_for_each_parent() {
    let server = library();
    for (meta, expected) in [
        (json!({}), json!([[3, 2, 1], [4], []])),
        (json!({"ordering": "-pages"}), json!([[3, 1, 2], [4], []])),
        (json!({"ordering": ["pages", "-id"]}), json!([[2, 1, 3], [4], []])),
        (json!({"ordering": "topics__name"}), json!([[3, 1, 2], [4], []])),
        (json!({"ordering": "-topics__name"}), json!([[2, 1, 3], [4], []])),
        (json!({"ordering": ["-sequel_of", "-title"]}), json!([[2, 3, 1], [4], []])),
        (json!({"ordering": "author__name", "limit": 2}), json!([[1, 2], [4], []])),
        (json!({"filter": {"pages__isnull": false}}), json!([[3, 1], [4], []])),
        (json!({"filter": {"topics__name": "law"}}), json!([[2, 1], [4], []])),
        (json!({"filter": {"author__name": "bob"}}), json!([[], [4], []])),
        (json!({"exclude": {"topics__name": "sea"}}), json!([[3, 1], [], []])),
        (json!({"search": {"value": "TA"}}), json!([[2, 1], [], []])),
        (json!({"limit": 1}), json!([[3], [4], []])),
        (json!({"limit": 2, "offset": 1}), json!([[2, 1], [], []])),
        (json!({"offset": 2}), json!([[1], [], []])),
        (json!({"limit": 0}), json!([[], [], []])),
        (
            json!({"filter": {"__or__": [{"pages__gt": 30}, {"title__startswith": "d"}]}, "ordering": "pk"}),
            json!([[1], [4], []]),
        ),
    ] {
        let data = server.data(&list("l.Author", &json!({"books": {"__meta__": meta, "id": null}})));
        let ids = |author: &Value| author["books"].as_array().unwrap().iter().map(|book| book["id"].clone()).collect();
        let found: Vec<Value> = data.as_array().unwrap().iter().map(ids).collect();
        assert_eq!(json!(found), expected, "{meta}");
    }
    for (fields, pointer) in [
        (json!({"books": {"__meta__": {"filter": {"nme": 1}}}}), "/books/__meta__/filter/nme"),
        (json!({"books": {"__meta__": {"ordering": ["nme"]}}}), "/books/__meta__/ordering/0"),
        (json!({"books": {"__meta__": {"limit": 1001}}}), "/books/__meta__/limit"),
        (json!({"books": {"__meta__": {"intent": "retrieve"}}}), "/books/__meta__/intent"),
        (json!({"books": {"titel": null}}), "/books/titel"),
        (json!({"name": {"x": null}}), "/name"),
        (json!({"nothing": null}), "/nothing"),
    ] {
        let errors = server.refused(400, &list("l.Author", &fields));
        assert!(errors.len() == 1 && errors[0].starts_with(&format!("{pointer}: ")), "{fields}: {errors:?}");
    }
    let errors = server.refused(400, &list("l.Book", &json!({"author": {"__meta__": {"limit": 1}, "name": null}})));
    assert!(errors[0].starts_with("/author/__meta__"), "{errors:?}");
}

#[test]
fn a_list_that_is_cut_is_named() {
    let server = library();
    let cut = |fields: Value| server.send(&list("l.Author", &fields)).json()["extras"]["truncated"].clone();
    assert_eq!(cut(json!({"books": {"__meta__": {"limit": 3}, "id": null}})), Value::Null);
    assert_eq!(cut(json!({"books": {"__meta__": {"limit": 2}, "id": null}})), json!(["books"]));
    assert_eq!(cut(json!({"books": {"__meta__": {"limit": 2, "offset": 1}, "id": null}})), Value::Null);
    assert_eq!(cut(json!({"books": {"__meta__": {"limit": 1, "offset": 1}, "id": null}})), json!(["books"]));
    let deep = json!({"books": {"topics": {"__meta__": {"limit": 2}, "name": null}}});
    assert_eq!(cut(deep), json!(["books__topics"]));
    let both = json!({"books": {"__meta__": {"limit": 1, "ordering": "-pages"}, "topics": {"__meta__": {"limit": 2}}}});
    assert_eq!(cut(both), json!(["books", "books__topics"]));
    let beneath = json!({"books": {"sequel_of": {"sequels": {"__meta__": {"limit": 1}, "id": null}}}});
    assert_eq!(cut(beneath), json!(["books__sequel_of__sequels"]));
}

#[test]
fn ids_are_cut_at_the_usual_limit_too() {
    let server = library();
    let insert = r#"WITH RECURSIVE n(i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n WHERE i < 101)
        INSERT INTO "l.Book" (title, author) SELECT 'more', 3 FROM n"#;
    rusqlite::Connection::open(server.folder.path("test.db")).unwrap().execute_batch(insert).unwrap();
    let reply = server.send(&list("l.Author", &json!({"books": null}))).json();
    assert_eq!(reply["data"][2]["books"].as_array().unwrap().len(), 100);
    assert_eq!(reply["extras"]["truncated"], json!(["books"]));
}

#[test]
fn nesting_goes_deep_both_ways() {
    let server = library();
    let fields = json!({"name": null, "books": {"__meta__": {"filter": {"title": "delta"}}, "title": null,
        "author": {"name": null, "books": {"__meta__": {"limit": 1, "ordering": "pk"}, "id": null}},
        "topics": {"name": null, "books": {"__meta__": {"filter": {"author": 2}}, "title": null, "author": {"name": null}}},
        "sequels": {"title": null, "sequel_of": {"sequels": null}}, "loan_set": null}});
    assert_eq!(
        server.data(&list("l.Author", &fields))[0].to_string(),
        concat!(
            r#"{"name":"ann","books":[{"title":"delta","author":{"name":"ann","books":[{"id":1}]},"#,
            r#""topics":[{"name":"law","books":[{"title":"gamma","author":{"name":"bob"}}]},"#,
            r#"{"name":"art","books":[{"title":"gamma","author":{"name":"bob"}}]}],"#,
            r#""sequels":[{"title":"alpha","sequel_of":{"sequels":[2,3]}},{"title":"beta","sequel_of":{"sequels":[2,3]}}],"#,
            r#""loan_set":["10000000-0000-4000-8000-000000000001","10000000-0000-4000-8000-000000000002"]}]}"#
        )
    );
    let nested = |levels: usize| (0..levels).fold(json!({"id": null}), |inner, _| json!({"sequel_of": inner}));
    assert_eq!(server.send(&list("l.Book", &nested(8))).status, 200);
    let errors = server.refused(400, &list("l.Book", &nested(9)));
    assert!(errors.len() == 1 && errors[0].contains("8 relations"), "{errors:?}");
}

#[test]
fn uuid_ids_nest_as_others_do() {
    let server = library();
    let data = server.data(&list(
        "l.Book",
        &json!({"loan_set": {"__meta__": {"ordering": "day"}, "id": null, "day": null,
        "readers": {"__meta__": {"ordering": "-name"}, "name": null, "loans": null}}}),
    ));
    assert_eq!(
        data[0],
        json!({"loan_set": [
            {"id": LOANS[1], "day": "2024-04-01", "readers": [{"name": "fay", "loans": LOANS}]},
            {"id": LOANS[0], "day": "2024-05-01",
             "readers": [{"name": "fay", "loans": LOANS}, {"name": "eve", "loans": [LOANS[0]]}]}]})
    );
    assert_eq!(data[1], json!({"loan_set": []}));
    let one = json!({"__meta__": {"intent": "retrieveOne", "namespace": "l.Loan", "uniqueObject": {"pk": LOANS[0].to_uppercase()}},
                     "pk": null, "book": {"title": null}, "readers": null});
    assert_eq!(server.data(&one), json!({"pk": LOANS[0], "book": {"title": "delta"}, "readers": READERS}));
}

#[test]
fn the_number_of_statements_does_not_grow_with_the_records() {
    let server = library();
    let fill = r#"WITH RECURSIVE n(i) AS (VALUES (10) UNION ALL SELECT i + 1 FROM n WHERE i < 1010)
        INSERT INTO "l.Book" (id, title, author, sequel_of) SELECT i, 'book ' || i, 1 + i % 3, iif(i > 10, i - 1, NULL) FROM n;
        INSERT INTO "l.Book.topics" SELECT id, 1 + id % 3 FROM "l.Book" WHERE id >= 10;"#;
    rusqlite::Connection::open(server.folder.path("test.db")).unwrap().execute_batch(fill).unwrap();
    let (_, folder) = server.stop();
    let server = Server::on(folder, &["--max-limit", "5000"]);
    let mut seen = Vec::new();
    for limit in [10, 100, 1000] {
        let request = json!({"__meta__": {"intent": "retrieve", "namespace": "l.Book", "limit": limit, "filter": {"pk__gte": 10}},
            "title": null, "author": {"name": null}, "topics": {"name": null, "books": {"__meta__": {"limit": 1}}},
            "sequels": {"title": null, "author": {"name": null}}, "loan_set": null});
        let reply = server.send(&request).json();
        assert_eq!(reply["data"].as_array().map(Vec::len), Some(limit), "{}", reply["errors"]);
        assert_eq!(reply["extras"]["display"], json!(limit));
        seen.push(reply["extras"]["queries"].as_u64().unwrap());
    }
    // The page, its count, and each of the four lists.
    assert_eq!(seen, [6, 6, 6]);
    run(&server.folder, &["check"]);
}

#[test]
fn one_record_nests_as_a_list_does() {
    let server = library();
    let one = json!({"__meta__": {"intent": "retrieveOne", "namespace": "l.Author", "uniqueObject": {"id": 1}},
        "books": {"__meta__": {"limit": 1}, "title": null, "topics": null}});
    let reply = server.send(&one).json();
    assert_eq!(reply["data"], json!({"books": [{"title": "alpha", "topics": []}]}));
    assert_eq!(reply["extras"]["truncated"], json!(["books"]));
    assert_eq!(reply["message"], json!("Author retrieved successfully."));
}
