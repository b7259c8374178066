//! Pages by cursor: `after` and `extras.next`. A walk gives every record once and in the order of the whole list,
//! and a cursor that was not made for it is refused.

use crate::support::{Client, Server, request, run};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

const MODELS: &str = r#"{
  "w.Owner": { "fields": {
      "name": { "type": "string", "null": true }, "rank": { "type": "integer", "null": true },
      "since": { "type": "date", "null": true } },
    "ordering": ["-rank", "name"] },
  "w.Tag": { "fields": { "name": { "type": "text", "null": true }, "ratio": { "type": "float", "null": true } } },
  "w.Item": { "fields": {
      "text": { "type": "text", "null": true },
      "number": { "type": "integer", "null": true },
      "ratio": { "type": "float", "null": true },
      "price": { "type": "decimal", "max_digits": 12, "decimal_places": 2, "null": true },
      "flag": { "type": "boolean", "null": true },
      "day": { "type": "date", "null": true },
      "moment": { "type": "datetime", "null": true },
      "clock": { "type": "time", "null": true },
      "mark": { "type": "uuid", "null": true },
      "data": { "type": "json", "null": true },
      "state": { "type": "string", "index": true },
      "weight": { "type": "float", "null": true, "index": true },
      "cost": { "type": "decimal", "max_digits": 6, "decimal_places": 1, "null": true, "index": true },
      "due": { "type": "datetime", "null": true, "index": true },
      "code": { "type": "string", "null": true, "unique": true },
      "shelf": { "type": "integer", "null": true }, "place": { "type": "integer", "null": true },
      "level": { "type": "integer", "null": true }, "box": { "type": "string", "null": true },
      "owner": { "type": "ref", "to": "w.Owner", "null": true, "related_name": "items" },
      "parent": { "type": "ref", "to": "w.Item", "null": true, "related_name": "children" },
      "tags": { "type": "refs", "to": "w.Tag", "related_name": "items" } },
    "unique_together": [["shelf", "place"]], "indexes": [["level", "-box"]],
    "ordering": ["-state", "owner__name"], "search": ["text", "owner__name"] },
  "w.Note": { "id": { "type": "uuid" }, "fields": {
      "text": { "type": "text", "null": true },
      "item": { "type": "ref", "to": "w.Item", "null": true, "related_name": "notes" } },
    "ordering": ["-text"] } }"#;

const ITEMS: usize = 26;

/// Items whose values tie, are NULL and lie at the ends of their types, each field in a rhythm of its own.
fn shop(words: &[&str]) -> Server {
    let server = Server::with(MODELS, words);
    let many = |namespace: &str, objects: Vec<Value>| {
        server.data(&request("createMany", namespace, &json!({"objects": objects}), &json!({})));
    };
    let owner = |name: Value, rank: Value, since: Value| json!({"name": name, "rank": rank, "since": since});
    many(
        "w.Owner",
        vec![
            owner(json!("ann"), json!(1), json!("2020-05-01")),
            owner(json!("bob"), json!(1), json!(null)),
            owner(json!(null), json!(2), json!("2021-01-01")),
            owner(json!("Ärmel"), json!(null), json!("2020-12-31")),
        ],
    );
    many(
        "w.Tag",
        vec![
            json!({"name": "red", "ratio": 0.5}),
            json!({"name": "blue", "ratio": -1e300}),
            json!({"name": null, "ratio": 0.1}),
        ],
    );
    many("w.Item", (0..ITEMS).map(item).collect());
    let notes =
        (0..9).map(|n| json!({"text": pick(n, &[json!("b"), json!(null), json!("a"), json!("b")]), "item": n + 1}));
    many("w.Note", notes.collect());
    server
}

fn pick(place: usize, from: &[Value]) -> Value {
    from[place % from.len()].clone()
}

fn item(n: usize) -> Value {
    let null = Value::Null;
    json!({
        "text": pick(n, &[json!("b"), json!(""), json!("B"), null.clone(), json!("ß \"q\" 'q'\n"), json!("b"), json!("😀")]),
        "number": pick(n, &[json!(0), json!(i64::MAX), null.clone(), json!(-5), json!(i64::MIN), json!(i64::MAX - 1)]),
        "ratio": pick(n, &[json!(0.1 + 0.2), json!(0.3), null.clone(), json!(-1e300), json!(5e-324), json!(0)]),
        "price": pick(n, &[json!("9999999999.99"), null.clone(), json!("-0.01"), json!("0.00"), json!("12.50")]),
        "flag": pick(n, &[json!(true), json!(false), null.clone()]),
        "day": pick(n, &[json!("2024-12-30"), json!("0001-01-01"), null.clone(), json!("9999-12-31"), json!("2024-12-30")]),
        "moment": pick(n, &[null.clone(), json!("2024-02-29T12:30:01.000001Z"), json!("2024-02-29T23:30:01.000002Z"), json!("2021-01-01")]),
        "clock": pick(n, &[json!("09:30:00.000001"), null.clone(), json!("23:59:59"), json!("00:00")]),
        "mark": pick(n, &[null.clone(), json!("a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"), json!("00000000-0000-4000-8000-000000000000")]),
        "data": pick(n, &[
            json!({"a": 1, "list": [2]}), json!({"a": 1.5}), null.clone(), json!({"a": "x", "list": ["é"]}), json!({"a": null}),
            json!({"a": true}), json!({"a": [1, 2]}), json!({"list": [null, 1]}), json!({"a": 9_007_199_254_740_993_i64}), json!("a"),
            json!({"a": "x"}), json!({"a": 12345678901234567890_u64}),
        ]),
        "state": pick(n, &[json!("open"), json!("shut"), json!("open"), json!("held")]),
        "weight": pick(n, &[null.clone(), json!(1.5), json!(1.5), json!(-2), json!(1e-9)]),
        "cost": pick(n, &[json!("0.1"), json!("-99999.9"), null.clone()]),
        "due": pick(n, &[json!("2024-01-01"), null.clone(), json!("2023-12-31T23:59:59.999999Z"), json!("2024-01-01"), null.clone()]),
        "code": if n % 4 == 1 { null.clone() } else { json!(format!("c{}", n * 7 % 26)) },
        "shelf": pick(n, &[json!(1), null.clone(), json!(2)]), "place": if n.is_multiple_of(5) { null.clone() } else { json!(n) },
        "level": pick(n, &[json!(3), json!(3), null.clone(), json!(1), json!(3)]),
        "box": pick(n, &[json!("x"), null.clone(), json!("y"), json!("x")]),
        "owner": pick(n, &[json!(1), json!(4), null.clone(), json!(3), json!(2)]),
        "parent": null,
        "tags": pick(n, &[json!([1, 2]), json!([]), json!([3]), json!([2, 3]), json!([1])]),
    })
}

/// Gives each item but the first few a parent.
fn with_parents(server: Server) -> Server {
    server.change(r#"UPDATE "w.Item" SET "parent" = "id" % 4 + 1 WHERE "id" > 5"#);
    server
}

/// A client that walks lists by their cursors.
struct Walker<'s> {
    server: &'s Server,
    client: Client,
}

impl<'s> Walker<'s> {
    fn new(server: &'s Server) -> Walker<'s> {
        Walker { server, client: Client::connect(&server.address) }
    }

    /// The answer to a page of ids.
    #[track_caller]
    fn page(&mut self, namespace: &str, meta: &Value) -> Value {
        let body = request("retrieve", namespace, meta, &json!({"id": null}));
        let reply = self.client.jql(&self.server.key, &body.to_string());
        assert_eq!(reply.status, 200, "{body}\n{}", reply.body);
        reply.json()
    }

    /// All pages of so many, each with the ids that it holds.
    #[track_caller]
    fn pages(&mut self, namespace: &str, meta: &Value, limit: usize) -> Vec<Vec<Value>> {
        let mut meta = meta.clone();
        meta["limit"] = json!(limit);
        let mut pages: Vec<Vec<Value>> = Vec::new();
        loop {
            let answer = self.page(namespace, &meta);
            pages.push(ids(&answer));
            assert!(pages.len() <= 100, "the walk does not end: {meta}");
            match &answer["extras"]["next"] {
                Value::Null => return pages,
                next => meta["after"] = next.clone(),
            }
        }
    }

    /// A walk by pages of each size gives the whole list, in full pages but for the last.
    #[track_caller]
    fn walks(&mut self, namespace: &str, meta: &Value) {
        let mut all = meta.clone();
        all["limit"] = json!(1000);
        let whole = ids(&self.page(namespace, &all));
        assert!(!whole.is_empty(), "nothing to walk over: {meta}");
        for limit in [1, 2, 7] {
            let pages = self.pages(namespace, meta, limit);
            let expected: Vec<Vec<Value>> = whole.chunks(limit).map(<[Value]>::to_vec).collect();
            assert_eq!(pages, expected, "{namespace} by {limit}: {meta}");
        }
    }
}

fn ids(answer: &Value) -> Vec<Value> {
    answer["data"].as_array().unwrap().iter().map(|record| record["id"].clone()).collect()
}

/// The fields of an item that have an order of their own.
const FIELDS: [&str; 19] = [
    "text", "number", "ratio", "price", "flag", "day", "moment", "clock", "mark", "data", "state", "weight", "cost",
    "due", "code", "shelf", "level", "box", "owner_id",
];

/// Orders by more than one field, over relations, inside json and by parts of dates.
const ORDERS: [&[&str]; 44] = [
    &["id"],
    &["-pk"],
    &["state", "-moment"],
    &["-state", "number"],
    &["state", "-id"],
    &["-number", "-id"],
    &["-id", "state"],
    &["number", "-text", "day"],
    &["-due", "weight", "-flag"],
    &["due", "-weight", "cost"],
    &["level", "-box"],
    &["-level", "box"],
    &["shelf", "place"],
    &["-shelf", "-place"],
    &["text", "-text", "text"],
    &["-flag", "flag", "number"],
    &["flag", "-ratio", "price", "-day", "clock", "-mark", "code"],
    &["owner"],
    &["-owner"],
    &["-owner", "-number"],
    &["owner__name"],
    &["-owner__name", "-state"],
    &["owner__since", "-owner__rank"],
    &["parent"],
    &["-parent", "owner__rank"],
    &["parent__number"],
    &["-parent__owner__name", "text"],
    &["tags"],
    &["-tags"],
    &["tags__name"],
    &["-tags__name", "number"],
    &["tags__ratio", "-tags__ratio"],
    &["children__number"],
    &["-children__text", "-children__number"],
    &["-owner__items__price"],
    &["notes__text", "-tags__items__number"],
    &["data__a"],
    &["-data__a", "flag"],
    &["-data__list__0", "data__a"],
    &["day__year", "-day__month"],
    &["-moment__date", "moment__second"],
    &["clock__minute", "-clock__hour"],
    &["-owner__since__year"],
    &["day__week", "-due__quarter"],
];

#[test]
fn a_walk_by_any_field_in_either_direction_gives_every_record_once_and_in_order() {
    let server = with_parents(shop(&[]));
    let mut walker = Walker::new(&server);
    for field in FIELDS {
        walker.walks("w.Item", &json!({"ordering": [field]}));
        walker.walks("w.Item", &json!({"ordering": format!("-{field}")}));
    }
}

#[test]
fn a_walk_in_any_order_gives_every_record_once_and_in_order() {
    let server = with_parents(shop(&[]));
    let mut walker = Walker::new(&server);
    for ordering in ORDERS {
        walker.walks("w.Item", &json!({"ordering": ordering}));
    }
    walker.walks("w.Item", &json!({}));
    walker.walks("w.Item", &json!({"ordering": []}));
    walker.walks("w.Owner", &json!({}));
}

#[test]
fn a_walk_over_records_with_uuid_ids_gives_every_one_once_and_in_order() {
    let server = with_parents(shop(&[]));
    let mut walker = Walker::new(&server);
    walker.walks("w.Note", &json!({}));
    for ordering in ["id", "-id", "text", "-text", "item", "-item", "item__number", "-item__owner__name", "item__tags"]
    {
        walker.walks("w.Note", &json!({"ordering": ordering}));
    }
}

#[test]
fn a_walk_keeps_to_filter_exclude_and_search() {
    let server = with_parents(shop(&[]));
    let mut walker = Walker::new(&server);
    let some = json!({"number__gte": -5});
    for narrowing in [
        json!({"filter": some}),
        json!({"exclude": some}),
        json!({"filter": {"__or__": [{"state": "open"}, {"owner__name": "bob"}]}}),
        json!({"filter": {"tags__name__isnull": false}, "exclude": {"children__state": "shut"}}),
        json!({"search": {"value": "B"}}),
        json!({"search": {"value": "ann"}, "filter": {"state": "open"}}),
        json!({"filter": {"code__isnull": true}, "search": {"value": "b"}}),
    ] {
        for ordering in
            [json!([]), json!("-number"), json!(["state", "-due"]), json!(["-due"]), json!(["tags__name", "id"])]
        {
            let mut meta = narrowing.clone();
            meta["ordering"] = ordering;
            walker.walks("w.Item", &meta);
        }
    }
}

#[test]
fn the_default_limit_ends_in_a_cursor_too() {
    let server = shop(&["--max-limit", "10"]);
    let mut walker = Walker::new(&server);
    let first = walker.page("w.Item", &json!({"ordering": "-id"}));
    assert_eq!(first["data"].as_array().unwrap().len(), 10);
    let second = walker.page("w.Item", &json!({"ordering": "-id", "after": first["extras"]["next"]}));
    assert_eq!(ids(&second), (7..=16).rev().map(|id| json!(id)).collect::<Vec<_>>());
}

#[test]
fn next_is_there_exactly_where_there_are_more_records() {
    let server = shop(&[]);
    let mut walker = Walker::new(&server);
    let mut has_next = |meta: &Value| walker.page("w.Item", meta)["extras"].get("next").is_some();
    for (limit, more) in [(1, true), (ITEMS - 1, true), (ITEMS, false), (ITEMS + 1, false), (1000, false)] {
        assert_eq!(has_next(&json!({"limit": limit})), more, "{limit}");
    }
    for (offset, limit, more) in [(ITEMS - 2, 1, true), (ITEMS - 1, 1, false), (ITEMS, 1, false), (0, 1, true)] {
        assert_eq!(has_next(&json!({"offset": offset, "limit": limit})), more, "{offset} {limit}");
    }
    assert!(!has_next(&json!({"filter": {"id": 3}, "limit": 1})));
    assert!(!has_next(&json!({"filter": {"id": 0}, "limit": 1})));
    assert!(!has_next(&json!({"uniqueObject": {"id": 3}, "limit": 1})));
    // A page of none ends nowhere.
    assert!(!has_next(&json!({"limit": 0})));
}

#[test]
fn a_walk_may_begin_at_an_offset_and_change_its_limit_on_the_way() {
    let server = shop(&[]);
    let mut walker = Walker::new(&server);
    let (mut meta, mut seen) = (json!({"ordering": "-due", "offset": 3, "limit": 2}), Vec::new());
    let whole = ids(&walker.page("w.Item", &json!({"ordering": "-due", "limit": 1000})));
    for limit in [5, 1, 1000] {
        let answer = walker.page("w.Item", &meta);
        seen.extend(ids(&answer));
        meta = json!({"ordering": "-due", "limit": limit, "after": answer["extras"]["next"]});
    }
    let last = walker.page("w.Item", &meta);
    seen.extend(ids(&last));
    assert_eq!(seen, whole[3..]);
    assert_eq!(last["extras"].get("next"), None);
}

#[test]
fn a_page_tells_how_many_match_in_all_wherever_it_begins() {
    let server = shop(&[]);
    let mut walker = Walker::new(&server);
    let filter = json!({"state": "open"});
    let first = walker.page("w.Item", &json!({"filter": filter, "limit": 5}));
    let mut extras = |count: Value, limit: usize| {
        let meta = json!({"filter": filter, "limit": limit, "count": count, "after": first["extras"]["next"]});
        let mut extras = walker.page("w.Item", &meta)["extras"].clone();
        assert_eq!(extras.as_object_mut().unwrap().remove("next").is_some(), limit == 4, "{extras}");
        extras
    };
    assert_eq!(extras(json!(true), 4), json!({"filtered": 13, "display": 4, "queries": 2}));
    assert_eq!(extras(json!(true), 8), json!({"filtered": 13, "display": 8, "queries": 2}));
    assert_eq!(extras(json!(false), 4), json!({"filtered": null, "display": 4, "queries": 1}));
    assert_eq!(extras(json!(false), 1000), json!({"filtered": null, "display": 8, "queries": 1}));
    let at_least = json!({"filtered": 6, "filteredAtLeast": true, "display": 4, "queries": 2});
    assert_eq!(extras(json!({"upTo": 6}), 4), at_least);
    assert_eq!(extras(json!({"upTo": 14}), 4), json!({"filtered": 13, "display": 4, "queries": 2}));
}

#[test]
fn a_page_behind_a_cursor_holds_what_the_whole_list_holds_there() {
    let server = with_parents(shop(&[]));
    let subquery = json!({"namespace": "w.Item", "intent": "subquery", "sequencedProcess": [{"function": "Count"}],
        "outerRefMapping": [{"field": "parent", "referenceField": "id"}]});
    let fields = json!({"state": null, "owner": {"name": null, "items": null}, "tags": {"__meta__": {"limit": 1}, "name": null},
        "notes": {"text": null}, "price": {"__transform__": {"prefix": {"value": "£"}}},
        "label": {"__field__": "owner__since__year"}, "below": {"__meta__": subquery}, "data": null});
    for ordering in [json!(["-state", "owner__name"]), json!(["text", "-children__number"])] {
        let ask = |meta: Value| {
            let mut all = json!({"ordering": ordering});
            all.as_object_mut().unwrap().extend(meta.as_object().unwrap().clone());
            server.send(&request("retrieve", "w.Item", &all, &fields)).json()
        };
        let whole = ask(json!({"limit": 1000}))["data"].clone();
        let next = ask(json!({"limit": 4}))["extras"]["next"].clone();
        assert_eq!(
            ask(json!({"limit": 1000, "after": next}))["data"].as_array().unwrap(),
            &whole.as_array().unwrap()[4..]
        );
    }
}

#[test]
fn records_that_come_and_go_between_pages_move_no_others() {
    for ordering in [
        json!("id"),
        json!("-id"),
        json!("number"),
        json!("-number"),
        json!(["state", "-due"]),
        json!(["-due", "number"]),
        json!(["-owner", "-id"]),
        json!(["data__a"]),
        json!(["-day__year", "code"]),
    ] {
        let server = shop(&[]);
        server.data(&request("deleteMany", "w.Note", &json!({"filter": {}}), &json!({})));
        let mut walker = Walker::new(&server);
        let whole = ids(&walker.page("w.Item", &json!({"ordering": ordering, "limit": 1000})));
        let (mut seen, mut gone) = (Vec::new(), Vec::new());
        let mut meta = json!({"ordering": ordering, "limit": 3});
        loop {
            let answer = walker.page("w.Item", &meta);
            let page = ids(&answer);
            seen.extend(page.clone());
            let Some(next) = answer["extras"].get("next") else { break };
            meta["after"] = next.clone();
            // The record that the cursor stands behind goes, and one further on that no page has shown; records
            // come with values of some of those that were there.
            let behind: Vec<&Value> = whole.iter().filter(|id| !seen.contains(id) && !gone.contains(*id)).collect();
            if behind.is_empty() {
                continue;
            }
            gone.extend([page.last().unwrap(), behind[behind.len() / 2]].map(Value::clone));
            for id in &gone[gone.len() - 2..] {
                server.data(&request("deleteOne", "w.Item", &json!({"uniqueObject": {"id": id}}), &json!({})));
            }
            for n in [seen.len(), seen.len() + 4] {
                let mut values = item(n);
                values["code"] = Value::Null;
                values["place"] = Value::Null;
                server.create("w.Item", &values);
            }
        }
        let mut once = seen.clone();
        once.sort_by_key(Value::as_u64);
        once.dedup();
        assert_eq!(once.len(), seen.len(), "a record came twice: {ordering}");
        let of_old = |id: &&Value| whole.contains(id) && !gone.contains(id);
        let stayed: Vec<&Value> = whole.iter().filter(of_old).collect();
        assert_eq!(seen.iter().filter(of_old).collect::<Vec<_>>(), stayed, "{ordering}");
        // Those that came while the walk went on are where they belong, or were passed already.
        let now = ids(&walker.page("w.Item", &json!({"ordering": ordering, "limit": 1000})));
        let place = |id: &Value| now.iter().position(|other| other == id);
        let places: Vec<usize> = seen.iter().filter_map(place).collect();
        assert!(places.is_sorted(), "{ordering}: {seen:?}\n{now:?}");
    }
}

// -- Cursors that are none ----------------------------------------------------------------------

const NOT_ONE: &str = "/__meta__/after: \"after\" is not a cursor of this order: send back \"extras.next\" of the page before as it is, with the same ordering";

#[test]
fn a_cursor_goes_with_its_own_order_and_no_other() {
    let server = shop(&[]);
    let mut walker = Walker::new(&server);
    let mut cursor = |namespace: &str, ordering: Value| {
        walker.page(namespace, &json!({"ordering": ordering, "limit": 1}))["extras"]["next"].clone()
    };
    let orders = [
        json!([]),
        json!(["-id"]),
        json!(["number"]),
        json!(["-number"]),
        json!(["number", "-id"]),
        json!(["number", "place"]),
        json!(["number", "number"]),
        json!(["owner_id"]),
        json!(["owner__rank"]),
        json!(["owner__items__number"]),
        json!(["day"]),
        json!(["day__year"]),
        json!(["day__month"]),
        json!(["due__year"]),
        json!(["data"]),
        json!(["data__a"]),
        json!(["data__b"]),
        json!(["data__list__0"]),
    ];
    let cursors: Vec<Value> = orders.iter().map(|ordering| cursor("w.Item", ordering.clone())).collect();
    let foreign = [cursor("w.Note", json!("id")), cursor("w.Owner", json!("id")), cursor("w.Tag", json!("id"))];
    for (place, ordering) in orders.iter().enumerate() {
        let behind =
            |after: &Value| request("retrieve", "w.Item", &json!({"ordering": ordering, "after": after}), &json!({}));
        for (other, cursor) in cursors.iter().enumerate() {
            match other == place {
                true => drop(server.data(&behind(cursor))),
                false => assert_eq!(server.refused(400, &behind(cursor)), [NOT_ONE], "{ordering} {}", orders[other]),
            }
        }
        for cursor in &foreign {
            assert_eq!(server.refused(400, &behind(cursor)), [NOT_ONE]);
        }
    }
    // The same order in other words is the same.
    let behind = |ordering: Value, after: &Value| {
        request("retrieve", "w.Item", &json!({"ordering": ordering, "after": after}), &json!({}))
    };
    for (ordering, cursor) in [
        (json!("pk"), &cursors[0]),
        (json!(["-pk"]), &cursors[1]),
        (json!("number"), &cursors[2]),
        (json!(["number", "id"]), &cursors[2]),
    ] {
        server.data(&behind(ordering, cursor));
    }
}

#[test]
fn a_cursor_of_another_database_is_refused() {
    let (here, there) = (shop(&[]), shop(&[]));
    let cursor = |server: &Server| Walker::new(server).page("w.Item", &json!({"limit": 1}))["extras"]["next"].clone();
    let behind = |cursor: Value| request("retrieve", "w.Item", &json!({"after": cursor}), &json!({}));
    assert_eq!(here.refused(400, &behind(cursor(&there))), [NOT_ONE]);
    here.data(&behind(cursor(&here)));
}

#[test]
fn a_cursor_that_was_changed_anywhere_is_refused() {
    let server = shop(&[]);
    let mut walker = Walker::new(&server);
    for ordering in ["text", "-number"] {
        let answer = walker.page("w.Item", &json!({"ordering": ordering, "limit": 9}));
        let cursor = answer["extras"]["next"].as_str().unwrap().to_owned();
        let mut wrong: Vec<String> = Vec::new();
        for place in 0..cursor.len() {
            let other = |letter: char| format!("{}{letter}{}", &cursor[..place], &cursor[place + 1..]);
            wrong.extend("AB_-9z+/= é".chars().map(other).filter(|text| *text != cursor));
            wrong.push(cursor[..place].to_owned());
            wrong.push(cursor[place + 1..].to_owned());
            wrong.push(format!("{}{}", &cursor[..place], &cursor[place + 1..]));
            wrong.push(format!("{}A{}", &cursor[..place], &cursor[place..]));
        }
        wrong.extend(["=", "==", " ", "\n", "A", "AAAA", "é"].map(|end| cursor.clone() + end));
        wrong.extend([format!(" {cursor}"), cursor.to_lowercase(), cursor.to_uppercase(), cursor.repeat(2)]);
        for text in wrong {
            let body = request("retrieve", "w.Item", &json!({"ordering": ordering, "after": text}), &json!({}));
            let reply = walker.client.jql(&server.key, &body.to_string());
            assert_eq!((reply.status, reply.errors()), (400, vec![NOT_ONE.to_owned()]), "{text}");
        }
    }
}

#[test]
fn after_takes_a_cursor_and_nothing_else() {
    let server = shop(&[]);
    let refused = |meta: Value| server.refused(400, &request("retrieve", "w.Item", &meta, &json!({})));
    for text in
        ["", " ", "A", "null", "[]", "0", "../../etc/passwd", "\u{0}", "éé", &"A".repeat(900_000), &"é".repeat(1000)]
    {
        assert_eq!(refused(json!({"after": text})), [NOT_ONE]);
    }
    // Values that nobody sealed.
    for values in ["[1]", "[null]", "[]", "{}", "1", "[[1]]", "[1,2,3]"] {
        let made_up = URL_SAFE_NO_PAD.encode([&[0; 16], values.as_bytes()].concat());
        assert_eq!(refused(json!({"after": made_up})), [NOT_ONE]);
    }
    for (value, shown) in [
        (json!(null), "null"),
        (json!(5), "5"),
        (json!(true), "true"),
        (json!([]), "[]"),
        (json!(["x"]), "[\"x\"]"),
        (json!({"id": 5}), "{\"id\":5}"),
    ] {
        assert_eq!(refused(json!({"after": value})), [format!("/__meta__/after: after must be a string, not {shown}")]);
    }
    let cursor = Walker::new(&server).page("w.Item", &json!({"limit": 1}))["extras"]["next"].clone();
    let both = "/__meta__/offset: \"offset\" and \"after\" both say where the page begins; send one of them";
    for offset in [0, 5] {
        assert_eq!(refused(json!({"after": cursor, "offset": offset})), [both]);
    }
    for intent in ["retrieveOne", "count", "aggregate", "create", "update", "deleteMany"] {
        let errors = server.refused(400, &request(intent, "w.Item", &json!({"after": cursor}), &json!({})));
        let expected = format!("/__meta__/after: \"after\" means nothing for the intent {intent}");
        assert!(errors.contains(&expected), "{errors:?}");
    }
    let nested = json!({"children": {"__meta__": {"after": cursor}}});
    assert_eq!(
        server.refused(400, &request("retrieve", "w.Item", &json!({}), &nested)),
        ["/children/__meta__/after: a nested __meta__ has no key \"after\""]
    );
}

#[test]
fn a_cursor_outlives_a_restart() {
    let server = shop(&[]);
    let meta = json!({"ordering": ["-due", "text"], "limit": 5});
    let next = Walker::new(&server).page("w.Item", &meta)["extras"]["next"].clone();
    let behind = json!({"ordering": ["-due", "text"], "after": next, "limit": 1000});
    let before = ids(&Walker::new(&server).page("w.Item", &behind));
    let (_, folder) = server.stop();
    let server = Server::on(folder, &[]);
    assert_eq!(ids(&Walker::new(&server).page("w.Item", &behind)), before);
    assert_eq!(before.len(), ITEMS - 5);
}

#[test]
fn a_cursor_of_the_server_goes_on_the_command_line() {
    let server = shop(&[]);
    let meta = json!({"ordering": ["-due", "text"], "limit": 5});
    let next = Walker::new(&server).page("w.Item", &meta)["extras"]["next"].clone();
    let behind = json!({"ordering": ["-due", "text"], "after": next, "limit": 5});
    let body = request("retrieve", "w.Item", &behind, &json!({"id": null}));
    let file = server.folder.file("query.json", &body.to_string());
    let printed: Value = serde_json::from_str(&run(&server.folder, &["query", file.to_str().unwrap()])).unwrap();
    let served = Walker::new(&server).page("w.Item", &behind);
    assert_eq!(printed, served);
    assert!(served["extras"]["next"].is_string());
}

#[test]
fn a_cursor_outlives_a_change_of_models_that_leaves_its_order_alone() {
    let server = shop(&[]);
    let meta = json!({"ordering": "-number", "limit": 5});
    let next = Walker::new(&server).page("w.Item", &meta)["extras"]["next"].clone();
    let behind = json!({"ordering": "-number", "after": next, "limit": 1000});
    let before = ids(&Walker::new(&server).page("w.Item", &behind));
    let mut models: Value = serde_json::from_str(MODELS).unwrap();
    models["w.Item"]["fields"]["extra"] = json!({"type": "text", "null": true});
    models["w.Item"]["fields"]["number"]["index"] = json!(true);
    let file = server.folder.file("more.json", &models.to_string());
    run(&server.folder, &["models", "apply", file.to_str().unwrap()]);
    assert_eq!(ids(&Walker::new(&server).page("w.Item", &behind)), before);
    models["w.Item"]["fields"]["number"] = json!({"type": "text", "null": true});
    let file = server.folder.file("other.json", &models.to_string());
    run(&server.folder, &["models", "apply", "--allow-data-loss", file.to_str().unwrap()]);
    assert_eq!(server.refused(400, &request("retrieve", "w.Item", &behind, &json!({}))), [NOT_ONE]);
}

#[test]
fn a_batch_goes_on_from_a_page_of_its_own() {
    let server = shop(&[]);
    let meta = json!({"ordering": "-number", "limit": 4});
    let mut second = meta.clone();
    second["after"] = json!({"__result__": "/0/extras/next"});
    let page = |meta: &Value| request("retrieve", "w.Item", meta, &json!({"id": null}));
    let mut batch = json!({"requests": [page(&meta), page(&second)]});
    batch["__meta__"] = json!({"schema": "controller", "intent": "execute", "namespace": "system.Batch"});
    let data = server.data(&batch);
    let whole = ids(&Walker::new(&server).page("w.Item", &json!({"ordering": "-number", "limit": 8})));
    assert_eq!([ids(&data[0]), ids(&data[1])].concat(), whole);
}

// -- What a cursor tells ------------------------------------------------------------------------

#[test]
fn a_cursor_holds_the_values_that_its_record_is_ordered_by_and_no_others() {
    let server = with_parents(shop(&[]));
    let mut walker = Walker::new(&server);
    for (ordering, values) in [
        (json!([]), json!([3])),
        (json!("-number"), json!([i64::MAX, 14])),
        (json!(["state", "-owner__name"]), json!(["held", "ann", 16])),
        (json!("-tags__name"), json!(["red", 6])),
        (json!(["data__a", "flag"]), json!([null, 0, 5])),
        (json!("-day__year"), json!([9999, 14])),
    ] {
        let next = walker.page("w.Item", &json!({"ordering": ordering, "limit": 3}))["extras"]["next"].clone();
        let text = URL_SAFE_NO_PAD.decode(next.as_str().unwrap()).unwrap();
        assert_eq!(serde_json::from_slice::<Value>(&text[16..]).unwrap(), values, "{ordering}");
    }
}

#[test]
fn a_cursor_takes_leave_to_read_what_it_is_ordered_by() {
    let server = with_parents(shop(&[]));
    let (narrow, wide) = (server.key_for("w.Item:read"), server.key_for("w.Item:read,w.Owner:read,w.Tag:read"));
    let page = |meta: &Value| request("retrieve", "w.Item", meta, &json!({"id": null}));
    for (ordering, lacking) in [
        (Some("owner__name"), "w.Owner:read"),
        (Some("-owner"), "w.Owner:read"),
        (Some("parent__owner__rank"), "w.Owner:read"),
        (Some("tags__ratio"), "w.Tag:read"),
        (Some("-tags__items__number"), "w.Tag:read"),
        (None, "w.Owner:read"), // the model's own order
    ] {
        let mut meta = json!({"limit": 3});
        if let Some(ordering) = ordering {
            meta["ordering"] = json!(ordering);
        }
        let next = server.send_as(&wide, &page(&meta)).json()["extras"]["next"].clone();
        assert!(next.is_string(), "{meta}");
        for after in [None, Some(next)] {
            if let Some(after) = after {
                meta["after"] = after;
            }
            let reply = server.send_as(&narrow, &page(&meta));
            assert_eq!(reply.status, 403, "{meta}");
            assert_eq!(reply.json()["message"], json!(format!("the key lacks the permission {lacking}")));
        }
    }
    // The ids in its own references and lists are the record's own.
    for ordering in ["owner_id", "tags", "id"] {
        let next =
            server.send_as(&narrow, &page(&json!({"ordering": ordering, "limit": 3}))).json()["extras"]["next"].clone();
        let reply = server.send_as(&narrow, &page(&json!({"ordering": ordering, "after": next})));
        assert_eq!((reply.status, reply.json()["extras"]["display"].clone()), (200, json!(ITEMS - 3)), "{ordering}");
    }
}

// -- Orders at the ends of what may be asked ----------------------------------------------------

#[test]
fn a_walk_by_a_long_text_gives_every_record_once() {
    let server = shop(&[]);
    server.change(r#"UPDATE "w.Item" SET "text" = hex(zeroblob(100000)) || "id" % 3"#);
    let mut walker = Walker::new(&server);
    walker.walks("w.Item", &json!({"ordering": "-text"}));
}

#[test]
fn a_walk_by_very_many_fields_is_answered() {
    let server = with_parents(shop(&[]));
    let mut walker = Walker::new(&server);
    let inside: Vec<String> = (0..499).map(|n| format!("{}data__key{n}", if n % 2 == 0 { "-" } else { "" })).collect();
    for first in ["-due", "-number"] {
        for count in [20, 100, 498] {
            let ordering: Vec<&str> =
                std::iter::once(first).chain(inside.iter().map(String::as_str)).take(count).collect();
            let whole = ids(&walker.page("w.Item", &json!({"ordering": ordering, "limit": 1000})));
            let next = walker.page("w.Item", &json!({"ordering": ordering, "limit": 9}))["extras"]["next"].clone();
            let rest = walker.page("w.Item", &json!({"ordering": ordering, "limit": 1000, "after": next}));
            assert_eq!(ids(&rest), whole[9..]);
        }
    }
    let again: Vec<&str> = ["-due", "due", "text", "-text"].into_iter().cycle().take(499).collect();
    walker.walks("w.Item", &json!({"ordering": again}));
}

#[test]
fn a_walk_over_numbers_in_json_that_no_float_holds_gives_every_record_once() {
    let server = Server::with(r#"{"w.Box": {"fields": {"data": {"type": "json"}}}}"#, &[]);
    for number in ["1e999", "-1e999", "0", "1e308", "-0.0", "123456789012345678901234567890", "1e-999", "1e999"] {
        let body =
            format!(r#"{{"__meta__": {{"intent": "create", "namespace": "w.Box"}}, "data": {{"n": {number}}}}}"#);
        assert_eq!(Client::connect(&server.address).jql(&server.key, &body).status, 200, "{number}");
    }
    let mut walker = Walker::new(&server);
    walker.walks("w.Box", &json!({"ordering": "data__n"}));
    walker.walks("w.Box", &json!({"ordering": "-data__n"}));
}
