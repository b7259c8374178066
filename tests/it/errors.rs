//! Bad input of every kind: what is said of it, that it changes nothing, and that the next good request works.

use crate::support::hostile::NAMES;
use crate::support::{Client, MODELS, Reply, Server, eventually, request};
use serde_json::{Map, Value, json};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

/// Models with a field of every type, and with ways back to itself.
fn lab() -> Value {
    json!({
        "lab.Tag": {"fields": {"name": {"type": "string", "max_length": 20, "unique": true}}},
        "lab.Sample": {
            "fields": {
                "name": {"type": "string", "max_length": 20, "min_length": 2},
                "code": {"type": "string", "max_length": 10, "unique": true, "null": true, "pattern": "^[a-z]+$"},
                "notes": {"type": "text", "null": true},
                "state": {"type": "string", "max_length": 9, "choices": ["open", "shut"], "default": "open"},
                "amount": {"type": "integer", "default": 0, "min": 0, "max": 100},
                "weight": {"type": "float", "null": true},
                "price": {"type": "decimal", "max_digits": 6, "decimal_places": 2, "null": true},
                "fresh": {"type": "boolean", "default": false},
                "day": {"type": "date", "null": true},
                "at": {"type": "datetime", "null": true},
                "hour": {"type": "time", "null": true},
                "serial": {"type": "uuid", "null": true},
                "data": {"type": "json", "null": true},
                "made": {"type": "datetime", "auto_now_add": true},
                "parent": {"type": "ref", "to": "lab.Sample", "null": true, "related_name": "children"},
                "twin": {"type": "ref", "to": "lab.Sample", "null": true, "related_name": "twins"},
                "tags": {"type": "refs", "to": "lab.Tag", "related_name": "samples"}
            }
        }
    })
}

/// A server with two samples and a tag, and what its database holds.
struct Lab {
    server: Server,
    client: Client,
    before: String,
}

impl Lab {
    fn new() -> Lab {
        let server = Server::with(&lab().to_string(), &[]);
        server.create("lab.Tag", &json!({"name": "red"}));
        server.create("lab.Sample", &json!({"name": "one", "code": "a", "data": {"a": 1}, "tags": [1]}));
        server.create("lab.Sample", &json!({"name": "two", "parent": 1}));
        let client = Client::connect(&server.address);
        let before = server.dump();
        Lab { server, client, before }
    }

    /// Sends a request that is refused with this status; nothing changes, and a good one works.
    #[track_caller]
    fn refused(&mut self, body: &str, status: u16) -> Reply {
        let reply = self.client.jql(&self.server.key, body);
        assert_eq!(reply.status, status, "{body:.500}\n{:.500}", reply.body);
        assert_eq!(reply.json()["status"], "ERROR");
        self.is_unharmed(body);
        reply
    }

    #[track_caller]
    fn is_unharmed(&mut self, after: &str) {
        assert_eq!(self.server.dump(), self.before, "changed by {after:.500}");
        let good = request("count", "lab.Sample", &json!({}), &json!({})).to_string();
        assert_eq!(self.client.jql(&self.server.key, &good).json()["data"], json!({"count": 2}));
    }

    /// Sends a request that is a 400 with exactly these errors, each `pointer: message`, and where there is a
    /// hint ` (hint)`.
    #[track_caller]
    fn says(&mut self, request: &Value, expected: &[&str]) {
        let reply = self.refused(&request.to_string(), 400);
        assert_eq!(described(&reply), expected, "{request}");
        for error in reply.json()["errors"].as_array().unwrap() {
            if let Some(pointer) = error["pointer"].as_str() {
                assert!(points_into(request, pointer), "{pointer} is nowhere in {request}");
            }
        }
    }

    /// Sends a request that is carried out.
    #[track_caller]
    fn works(&mut self, body: &str) -> Value {
        let reply = self.client.jql(&self.server.key, body);
        assert_eq!(reply.status, 200, "{body:.500}\n{:.500}", reply.body);
        reply.json()["data"].clone()
    }
}

/// The errors of a reply: pointer, message and hint.
#[track_caller]
fn described(reply: &Reply) -> Vec<String> {
    let json = reply.json();
    let hints = json["errors"].as_array().unwrap().iter().map(|error| error["hint"].as_str().map(str::to_owned));
    let shown = |(error, hint): (String, Option<String>)| match hint {
        Some(hint) => format!("{error} ({hint})"),
        None => error,
    };
    reply.errors().into_iter().zip(hints).map(shown).collect()
}

/// Whether a pointer leads to a value of the request, or to a member that an object of it could have.
fn points_into(request: &Value, pointer: &str) -> bool {
    let parent = pointer.rsplit_once('/').map_or("", |(parent, _)| parent);
    request.pointer(pointer).is_some() || request.pointer(parent).is_some_and(Value::is_object)
}

fn retrieve(meta: &Value, beside: &Value) -> Value {
    request("retrieve", "lab.Sample", meta, beside)
}

fn create(values: &Value) -> Value {
    request("create", "lab.Sample", &json!({}), values)
}

fn update(meta: &Value, values: &Value) -> Value {
    let mut all = json!({"uniqueObject": {"id": 1}});
    all.as_object_mut().unwrap().extend(meta.as_object().unwrap().clone());
    request("update", "lab.Sample", &all, values)
}

/// `inner` within `levels` objects, each the member `key` of the next.
fn within(key: &str, levels: usize, inner: Value) -> Value {
    (0..levels).fold(inner, |inner, _| json!({ key: inner }))
}

#[test]
fn what_is_not_json_is_refused() {
    let mut lab = Lab::new();
    let deep = |start: &str| start.repeat(10_000);
    let good = retrieve(&json!({}), &json!({})).to_string();
    for body in [
        "",
        " ",
        "{",
        "{'a': 1}",
        "{\"a\": 01}",
        "{\"a\": NaN}",
        "{\"a\": 1,}",
        "{\"a\": \"\\ud800\"}",
        "{\"a\": \"\n\"}",
        "\u{feff}{}",
        "nul",
        &format!("{good}{good}"),
        &format!("{good}x"),
        &format!("{good}\0"),
        &good[..good.len() - 1],
        &deep("["),
        &deep("{\"a\":"),
        &deep("{\"__meta__\":"),
        &good.replacen("\"retrieve\"", &format!("{}{}", deep("["), deep("]")), 1),
    ] {
        let reply = lab.refused(body, 400);
        let error = &reply.json()["errors"][0];
        assert_eq!(error["code"], "JQL:JqlException");
        assert!(error["errorMessage"].as_str().unwrap().starts_with("the body is not JSON: "), "{}", reply.body);
    }
    let head = format!(
        "POST /jql HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {}\r\nContent-Type: application/json\r\nContent-Length: 9\r\n\r\n",
        lab.server.key
    );
    lab.client.send(&[head.as_bytes(), b"{\"a\":\"\xff\"}"].concat());
    assert_eq!(lab.client.reply("POST").status, 400);
    lab.is_unharmed("invalid UTF-8");
}

#[test]
fn a_key_that_stands_twice_is_named_with_its_place() {
    let mut lab = Lab::new();
    let reply = lab.refused(
        r#"{"__meta__": {"intent": "retrieve", "namespace": "lab.Sample", "limit": 1, "limit": 2,
            "filter": {"a/b": 1, "a/b": 2, "__and__": [{"~": 1, "~": 2}]}}, "id": null, "id": null,
            "parent": {"name": null, "name": null}}"#,
        400,
    );
    let said = |pointer: &str, key: &str| format!("{pointer}: the key \"{key}\" stands twice in one object");
    assert_eq!(
        described(&reply),
        [
            said("/__meta__/limit", "limit"),
            said("/__meta__/filter/a~1b", "a/b"),
            said("/__meta__/filter/__and__/0/~0", "~"),
            said("/id", "id"),
            said("/parent/name", "name"),
        ]
    );
    lab.refused(r#"{"__meta__": {"intent": "create", "namespace": "lab.Tag"}, "name": "a", "\u006eame": "b"}"#, 400);
    lab.refused(r#"{"__meta__": {}, "__meta__": {"intent": "create", "namespace": "lab.Tag"}, "name": "a"}"#, 400);
    lab.refused(&create(&json!({"name": "aa", "parent": 1, "parent_id": 1})).to_string(), 400);
}

#[test]
fn the_frame_of_a_request_is_checked() {
    let mut lab = Lab::new();
    let whole = "must be a whole number from 0";
    for (request, expected) in [
        (json!([]), ": the body must be an object, not []".to_owned()),
        (json!(null), ": the body must be an object, not null".into()),
        (json!({"id": null}), ": the request needs the key \"__meta__\"".into()),
        (json!({"__meta__": null}), "/__meta__: __meta__ must be an object, not null".into()),
        (
            retrieve(&json!({"filtr": {}}), &json!({})),
            "/__meta__/filtr: __meta__ has no key \"filtr\" (did you mean \"filter\"?)".into(),
        ),
        (retrieve(&json!({"xyz": 1}), &json!({})), "/__meta__/xyz: __meta__ has no key \"xyz\"".into()),
        (
            retrieve(&json!({"schema": "table"}), &json!({})),
            "/__meta__/schema: there is no schema \"table\" (served: \"model\", \"controller\")".into(),
        ),
        (
            retrieve(&json!({"return": {}}), &json!({})),
            "/__meta__/return: \"return\" means nothing for the intent retrieve".into(),
        ),
        (
            request("create", "lab.Tag", &json!({"limit": 1}), &json!({"name": "a"})),
            "/__meta__/limit: \"limit\" means nothing for the intent create".into(),
        ),
        (
            request("count", "lab.Tag", &json!({}), &json!({"name": null})),
            "/name: \"name\" means nothing for the intent count".into(),
        ),
        (
            request("deleteOne", "lab.Tag", &json!({}), &json!({})),
            "/__meta__: __meta__ needs the key \"uniqueObject\"".into(),
        ),
        (
            request("update", "lab.Tag", &json!({}), &json!({"name": "a"})),
            "/__meta__: __meta__ needs the key \"uniqueObject\"".into(),
        ),
        (update(&json!({}), &json!({})), ": the update names no field to change".into()),
        (
            retrieve(&json!({"draw": []}), &json!({})),
            "/__meta__/draw: draw must be a whole number or a string of at most 100 characters, not []".into(),
        ),
        (
            retrieve(&json!({"cache": true}), &json!({})),
            "/__meta__/cache: cache must be {\"enabled\": true} or {\"enabled\": false}, not true".into(),
        ),
        (
            retrieve(&json!({"count": {"upTo": 0}}), &json!({})),
            "/__meta__/count: count must be true, false or {\"upTo\": n}, not {\"upTo\":0}".into(),
        ),
        (
            retrieve(&json!({"count": {"upto": 5}}), &json!({})),
            "/__meta__/count: count must be true, false or {\"upTo\": n}, not {\"upto\":5}".into(),
        ),
        (
            retrieve(&json!({"search": "red"}), &json!({})),
            "/__meta__/search: search must be {\"value\": \"the words\"}, not \"red\"".into(),
        ),
        (
            retrieve(&json!({"search": {"value": 5}}), &json!({})),
            "/__meta__/search: search must be {\"value\": \"the words\"}, not {\"value\":5}".into(),
        ),
        (retrieve(&json!({"filter": []}), &json!({})), "/__meta__/filter: filter must be an object, not []".into()),
        (
            retrieve(&json!({"ordering": [1]}), &json!({})),
            "/__meta__/ordering/0: a part of ordering must be the name of a field, not 1".into(),
        ),
        (
            retrieve(&json!({"ordering": {"name": 1}}), &json!({})),
            "/__meta__/ordering: ordering must be a list of fields, or one, not {\"name\":1}".into(),
        ),
        (
            retrieve(&json!({}), &json!({"children": {"__meta__": {"limt": 1}}})),
            "/children/__meta__/limt: a nested __meta__ has no key \"limt\" (did you mean \"limit\"?)".into(),
        ),
        (
            retrieve(&json!({}), &json!({"children": {"__meta__": {"offset": -1}}})),
            format!("/children/__meta__/offset: offset {whole}, not -1"),
        ),
        (
            retrieve(&json!({}), &json!({"parent": {"__meta__": {"limit": 1}}})),
            "/parent/__meta__: the reference \"parent\" has no key \"__meta__\"".into(),
        ),
        (
            retrieve(&json!({}), &json!({"name": 1})),
            "/name: the field \"name\" must be null to ask for it, or an object to ask for fields of it, not 1".into(),
        ),
        (
            retrieve(&json!({}), &json!({"name": {}})),
            "/name: \"name\" of lab.Sample is a plain field and holds no others (ask for it with \"name\": null)"
                .into(),
        ),
    ] {
        lab.says(&request, &[&expected]);
    }
    let namespaces =
        ["", "lab", "lab.sample", "Lab.Sample", "lab.Sample.x", "lab.Sample ", "*.*", "lab.*", ".", "a.B\0"];
    for namespace in namespaces {
        let reply = lab.refused(&request("count", namespace, &json!({}), &json!({})).to_string(), 400);
        assert_eq!(reply.json()["errors"][0]["pointer"], "/__meta__/namespace", "{namespace}");
    }
}

#[test]
fn an_unknown_intent_is_answered_with_those_that_are_served() {
    let mut lab = Lab::new();
    for intent in ["retreive", "RETRIEVE", "", "subquery"] {
        let reply = lab.refused(&request(intent, "lab.Sample", &json!({}), &json!({})).to_string(), 400);
        let error = &reply.json()["errors"][0];
        assert_eq!(error["errorMessage"], json!(format!("there is no intent \"{intent}\"")));
        assert_eq!(error["pointer"], "/__meta__/intent");
        assert!(error["hint"].as_str().unwrap().starts_with("served: retrieve, "), "{error}");
    }
}

#[test]
fn limit_and_offset_are_whole_numbers_within_bounds() {
    let mut lab = Lab::new();
    for key in ["limit", "offset"] {
        for bad in ["-1", "1.5", "5.0", "1e3", "\"5\"", "null", "true", "[]", "{}", "9223372036854775808", "1e400"] {
            for place in [format!("\"{key}\": {bad}"), format!("\"limit\": 5, \"offset\": 0, \"{key}\": {bad}")] {
                let body = format!(
                    "{{\"__meta__\": {{\"intent\": \"retrieve\", \"namespace\": \"lab.Sample\", {place}}}, \"id\": null}}"
                );
                lab.refused(&body, 400);
            }
            let body = format!(
                "{{\"__meta__\": {{\"intent\": \"retrieve\", \"namespace\": \"lab.Sample\"}}, \"children\": {{\"__meta__\": {{\"{key}\": {bad}}}}}}}"
            );
            lab.refused(&body, 400);
        }
    }
    let too_many = "a request may hold at most 1000 records in one page (limit)";
    for limit in [1001, i64::MAX] {
        lab.says(&retrieve(&json!({"limit": limit}), &json!({})), &[&format!("/__meta__/limit: {too_many}")]);
        let nested = json!({"children": {"__meta__": {"limit": limit}}});
        lab.says(&retrieve(&json!({}), &nested), &[&format!("/children/__meta__/limit: {too_many}")]);
    }
    let far = json!({"children": {"__meta__": {"limit": 1000, "offset": i64::MAX}, "id": null}});
    let found = lab.works(&retrieve(&json!({"limit": 1000}), &far).to_string());
    assert_eq!(found, json!([{"children": []}, {"children": []}]));
    let found = lab.works(&retrieve(&json!({"limit": 1000, "offset": i64::MAX}), &json!({})).to_string());
    assert_eq!(found, json!([]));
    let found = lab.works(&retrieve(&json!({"limit": 0}), &json!({})).to_string());
    assert_eq!(found, json!([]));
}

#[test]
fn an_unknown_field_is_named_wherever_it_stands() {
    let mut lab = Lab::new();
    let sample = "lab.Sample has no field \"nam\" (did you mean \"name\"?)";
    let tag = "lab.Tag has no field \"nam\" (did you mean \"name\"?)";
    let nested = |meta: Value| retrieve(&json!({}), &json!({"tags": {"__meta__": meta, "name": null}}));
    for (request, pointer, message) in [
        (retrieve(&json!({}), &json!({"nam": null})), "/nam", sample),
        (retrieve(&json!({}), &json!({"nam": {}})), "/nam", sample),
        (retrieve(&json!({}), &json!({"parent": {"nam": null}})), "/parent/nam", sample),
        (retrieve(&json!({}), &json!({"tags": {"nam": null}})), "/tags/nam", tag),
        (retrieve(&json!({"filter": {"nam": "x"}}), &json!({})), "/__meta__/filter/nam", sample),
        (retrieve(&json!({"filter": {"nam__in": []}}), &json!({})), "/__meta__/filter/nam__in", sample),
        (retrieve(&json!({"filter": {"tags__nam": "x"}}), &json!({})), "/__meta__/filter/tags__nam", tag),
        (
            retrieve(&json!({"filter": {"__or__": [{"__not__": {"nam": 1}}]}}), &json!({})),
            "/__meta__/filter/__or__/0/__not__/nam",
            sample,
        ),
        (retrieve(&json!({"exclude": {"nam": "x"}}), &json!({})), "/__meta__/exclude/nam", sample),
        (retrieve(&json!({"ordering": ["id", "-nam"]}), &json!({})), "/__meta__/ordering/1", sample),
        (retrieve(&json!({"ordering": ["tags__nam"]}), &json!({})), "/__meta__/ordering/0", tag),
        (nested(json!({"filter": {"nam": 1}})), "/tags/__meta__/filter/nam", tag),
        (nested(json!({"exclude": {"nam": 1}})), "/tags/__meta__/exclude/nam", tag),
        (nested(json!({"ordering": ["nam"]})), "/tags/__meta__/ordering/0", tag),
        (create(&json!({"name": "aa", "nam": 1})), "/nam", sample),
        (update(&json!({}), &json!({"nam": 1})), "/nam", sample),
        (update(&json!({"return": {"nam": null}}), &json!({"name": "aa"})), "/__meta__/return/nam", sample),
        (update(&json!({"return": {"tags": {"nam": null}}}), &json!({"name": "aa"})), "/__meta__/return/tags/nam", tag),
        (update(&json!({"filter": {"nam": 1}}), &json!({"name": "aa"})), "/__meta__/filter/nam", sample),
        (create(&json!({"name": "aa", "children": [1]})), "/children", "lab.Sample has no field \"children\""),
    ] {
        lab.says(&request, &[&format!("{pointer}: {message}")]);
    }
}

#[test]
fn an_unknown_field_in_an_ordering_of_one_string_is_pointed_at() {
    let mut lab = Lab::new();
    let message = "/__meta__/ordering: lab.Sample has no field \"nam\" (did you mean \"name\"?)";
    lab.says(&retrieve(&json!({"ordering": "nam"}), &json!({})), &[message]);
}

#[test]
fn an_unknown_lookup_is_answered_with_those_there_are() {
    let mut lab = Lab::new();
    for (key, field, lookup, accepted) in [
        ("name__like", "name", "like", "exact, in, gt, gte, lt, lte, range, isnull, iexact, "),
        ("name__exact__in", "name", "exact__in", "exact, in, "),
        ("name__", "name", "", "exact, in, "),
        ("amount__contains", "amount", "contains", "exact, in, gt, gte, lt, lte, range, isnull"),
        ("fresh__year", "fresh", "year", "exact, in, gt, gte, lt, lte, range, isnull"),
        ("at__year__contains", "at", "contains", "exact, in, gt, "),
        ("day__hour", "day", "hour", "exact, in, gt, "),
        ("hour__month", "hour", "month", "exact, in, gt, "),
        ("parent__contains", "parent", "contains", "exact, in, gt, gte, lt, lte, range, isnull"),
        ("data__gt", "data", "gt", "exact, in, isnull, has_key"),
    ] {
        for clause in ["filter", "exclude"] {
            let reply = lab.refused(&retrieve(&json!({clause: {key: "x"}}), &json!({})).to_string(), 400);
            let error = &reply.json()["errors"][0];
            assert_eq!(error["pointer"], json!(format!("/__meta__/{clause}/{key}")));
            assert_eq!(error["errorMessage"], json!(format!("\"{field}\" has no lookup \"{lookup}\"")));
            let hint = error["hint"].as_str().unwrap();
            assert!(hint.starts_with(&format!("it takes {accepted}")), "{key}: {hint}");
        }
    }
    lab.refused(&retrieve(&json!({"ordering": ["name__lower"]}), &json!({})).to_string(), 400);
    lab.refused(&retrieve(&json!({"ordering": ["at__nonsense"]}), &json!({})).to_string(), 400);
}

#[test]
fn a_mistake_in_a_step_is_told_in_the_words_of_the_step() {
    let mut lab = Lab::new();
    let at = "/x/__meta__/sequencedProcess/1";
    for (step, expected) in [
        (json!({"function": "Cast"}), vec![format!("{at}: Cast needs the key \"castType\"")]),
        (
            json!({"function": "cast", "type": "integer"}),
            vec![format!("{at}/type: Cast has no key \"type\""), format!("{at}: Cast needs the key \"castType\"")],
        ),
        (
            json!({"function": "Cast", "castType": "int"}),
            vec![format!(
                "{at}/castType: \"castType\" must be one of integer, float, decimal, string, boolean, date, datetime, not \"int\""
            )],
        ),
        (json!({"function": "Coalesce"}), vec![format!("{at}: Coalesce needs the key \"value\"")]),
        (
            json!({"function": "Round"}),
            vec![format!("{at}: \"Round\" goes with numbers (\"cast\" makes one), not with text")],
        ),
    ] {
        let steps = json!([{"function": "Min", "onField": "name"}, step]);
        let meta = json!({"intent": "subquery", "namespace": "lab.Sample", "sequencedProcess": steps});
        let reply = lab.refused(&retrieve(&json!({}), &json!({"x": {"__meta__": meta}})).to_string(), 400);
        assert_eq!(reply.errors(), expected, "{step}");
    }
}

#[test]
fn a_value_that_its_type_cannot_take_is_refused() {
    let mut lab = Lab::new();
    let long = "a".repeat(60);
    for (field, kind, value, why) in [
        ("name", "a string", json!(["x"]), ""),
        ("name", "a string", json!(true), ""),
        ("name", "a string", json!("a\0b"), ": it holds a NUL character"),
        ("notes", "a text", json!({"a": 1}), ""),
        ("amount", "an integer", json!("x"), ""),
        ("amount", "an integer", json!(""), ""),
        ("amount", "an integer", json!(1.5), ""),
        ("amount", "an integer", json!(true), ""),
        ("amount", "an integer", json!([]), ""),
        ("amount", "an integer", json!(9_223_372_036_854_775_808_u64), ": it does not fit into 64 bits"),
        ("weight", "a float", json!("nan"), ""),
        ("weight", "a float", json!("inf"), ""),
        ("weight", "a float", json!(false), ""),
        ("price", "a decimal", json!("1.234"), ": it has more than 2 decimal places"),
        ("price", "a decimal", json!("12345.00"), ": it has more than 6 digits"),
        ("price", "a decimal", json!("x"), ""),
        ("price", "a decimal", json!("1_0"), ""),
        ("price", "a decimal", json!(true), ""),
        ("fresh", "a boolean", json!("maybe"), ""),
        ("fresh", "a boolean", json!(2), ""),
        ("day", "a date", json!("2024-02-30"), ": a date is YYYY-MM-DD"),
        ("day", "a date", json!(20240201), ""),
        ("at", "a datetime", json!("yesterday"), ": a datetime is RFC 3339, such as 2026-01-31T09:30:00Z"),
        ("at", "a datetime", json!(5), ""),
        ("hour", "a time", json!("25:00"), ": a time is HH:MM[:SS[.ffffff]]"),
        ("serial", "a uuid", json!("x"), ""),
        ("serial", "a uuid", json!(7), ""),
        ("parent", "an integer", json!("x"), ""),
        ("parent", "an integer", json!({}), ""),
        ("amount", "an integer", json!(long), ""),
    ] {
        let shown: String = value.to_string().chars().take(40).collect();
        let cut = if value.to_string().chars().count() > 40 { "…" } else { "" };
        let message = format!("\"{field}\" is {kind} and cannot be {shown}{cut}{why}");
        let mut values = json!({"name": "aa"});
        values[field] = value.clone();
        lab.says(&create(&values), &[&format!("/{field}: {message}")]);
        lab.says(&update(&json!({}), &json!({ field: value })), &[&format!("/{field}: {message}")]);
        let pointer = format!("/__meta__/filter/{field}");
        lab.says(&retrieve(&json!({"filter": {field: value}}), &json!({})), &[&format!("{pointer}: {message}")]);
    }
}

#[test]
fn a_value_that_breaks_a_rule_of_its_field_is_refused() {
    let mut lab = Lab::new();
    for (field, value, why) in [
        ("name", json!("a"), "\"name\" must have at least 2 characters"),
        ("name", json!("é".repeat(21)), "\"name\" must have at most 20 characters"),
        ("name", json!(null), "\"name\" must not be null"),
        ("amount", json!(null), "\"amount\" must not be null"),
        ("code", json!("A"), "\"code\" must match ^[a-z]+$"),
        ("state", json!("ajar"), "\"state\" must be one of \"open\", \"shut\""),
        ("amount", json!(-1), "\"amount\" must be at least 0"),
        ("amount", json!(101), "\"amount\" must be at most 100"),
        ("made", json!("2024-01-01"), "\"made\" cannot be written: the server sets it"),
        ("parent", json!(99), "there is no lab.Sample with id 99"),
        ("tags", json!(1), "\"tags\" must be a list of ids, not 1"),
        ("tags", json!(null), "\"tags\" must be a list of ids, not null"),
        ("tags", json!([99]), "there is no lab.Tag with id 99"),
        ("tags", json!([1, 99]), "there is no lab.Tag with id 99"),
    ] {
        let mut values = json!({"name": "aa"});
        values[field] = value.clone();
        lab.says(&create(&values), &[&format!("/{field}: {why}")]);
        lab.says(&update(&json!({}), &json!({ field: value })), &[&format!("/{field}: {why}")]);
    }
    for name in ["id", "pk"] {
        let given = format!("/{name}: \"{name}\" cannot be written: the server gives it");
        lab.says(&create(&json!({"name": "aa", name: 5})), &[&given]);
        let kept = format!("/{name}: \"{name}\" cannot be written: a record keeps its id");
        lab.says(&update(&json!({}), &json!({ name: 5 })), &[&kept]);
    }
}

#[test]
fn the_value_of_a_lookup_has_its_form() {
    let mut lab = Lab::new();
    for (key, value, message) in [
        ("amount__in", json!(5), "\"amount__in\" must be a list of values, not 5"),
        ("amount__range", json!([1]), "\"amount__range\" must be a list of two values, not [1]"),
        ("amount__range", json!([1, 2, 3]), "\"amount__range\" must be a list of two values, not [1,2,3]"),
        ("amount__isnull", json!(1), "\"amount__isnull\" must be true or false, not 1"),
        ("amount__isnull", json!(null), "\"amount__isnull\" must be true or false, not null"),
        ("name__regex", json!(5), "\"name__regex\" must be a string, not 5"),
        ("data__has_key", json!(5), "\"data__has_key\" must be a string, not 5"),
        ("__and__", json!({}), "\"__and__\" must be a list of filters, not {}"),
        ("__or__", json!([1]), "\"__or__\" must be a list of filters, not 1"),
        ("__not__", json!([]), "\"__not__\" must be a filter, not []"),
        ("amount__gt", json!(null), "\"amount__gt\" is an integer and cannot be null: ask for null with isnull"),
        ("at__year", json!("x"), "\"at__year\" is an integer and cannot be \"x\""),
        ("at__date", json!("x"), "\"at__date\" is a date and cannot be \"x\": a date is YYYY-MM-DD"),
        ("name__contains", json!([]), "\"name__contains\" is a text and cannot be []"),
        ("name__regex", json!("("), "\"name__regex\" is not a regular expression: unclosed group"),
        (
            "name__regex",
            json!("(?=a)"),
            "\"name__regex\" is not a regular expression: look-around, including look-ahead and look-behind, is not supported",
        ),
    ] {
        for clause in ["filter", "exclude"] {
            let place = if key == "__or__" { "/0" } else { "" };
            let expected = format!("/__meta__/{clause}/{key}{place}: {message}");
            lab.says(&retrieve(&json!({clause: {key: value}}), &json!({})), &[&expected]);
        }
    }
    let expected = "/__meta__/filter/amount__in/1: \"amount__in\" is an integer and cannot be \"x\"";
    lab.says(&retrieve(&json!({"filter": {"amount__in": [1, "x"]}}), &json!({})), &[expected]);
}

#[test]
fn unique_object_names_one_record() {
    let mut lab = Lab::new();
    let hint = "(name one of: id; code)";
    for unique in [
        json!({}),
        json!({"name": "one"}),
        json!({"id": 1, "code": "a"}),
        json!({"id": 1, "pk": 1}),
        json!({"nam": 1}),
        json!({"id__gt": 0}),
        json!({"tags": 1}),
        json!({"parent__id": 1}),
        json!({"__or__": []}),
    ] {
        let expected =
            format!("/__meta__/uniqueObject: \"uniqueObject\" does not name one record of lab.Sample {hint}");
        for (intent, values) in [
            ("retrieve", json!({})),
            ("retrieveOne", json!({})),
            ("update", json!({"name": "aa"})),
            ("deleteOne", json!({})),
        ] {
            lab.says(&request(intent, "lab.Sample", &json!({"uniqueObject": unique}), &values), &[&expected]);
        }
    }
    for (unique, pointer) in [
        (json!(5), "/__meta__/uniqueObject"),
        (json!([1]), "/__meta__/uniqueObject"),
        (json!(null), "/__meta__/uniqueObject"),
        (json!({"id": null}), "/__meta__/uniqueObject/id"),
        (json!({"id": "x"}), "/__meta__/uniqueObject/id"),
        (json!({"id": [1]}), "/__meta__/uniqueObject/id"),
    ] {
        let body = request("deleteOne", "lab.Sample", &json!({"uniqueObject": unique}), &json!({}));
        let reply = lab.refused(&body.to_string(), 400);
        assert_eq!(reply.json()["errors"][0]["pointer"], pointer);
    }
}

#[test]
fn all_bad_parts_are_reported_at_once() {
    let mut lab = Lab::new();
    lab.says(
        &create(&json!({"code": "A", "amount": 101, "day": "x", "parents": 1, "tags": ["x"], "made": 1})),
        &[
            "/code: \"code\" must match ^[a-z]+$",
            "/amount: \"amount\" must be at most 100",
            "/day: \"day\" is a date and cannot be \"x\": a date is YYYY-MM-DD",
            "/parents: lab.Sample has no field \"parents\" (did you mean \"parent\"?)",
            "/tags/0: \"tags\" is an integer and cannot be \"x\"",
            "/made: \"made\" cannot be written: the server sets it",
            "/name: lab.Sample needs the field \"name\"",
        ],
    );
    lab.says(
        &retrieve(
            &json!({"limt": 1, "offset": -1, "filter": {"nam": 1, "amount": "x"}, "exclude": {"day__like": 1}, "ordering": ["x"]}),
            &json!({"nam": null, "parent": {"code": 5}}),
        ),
        &[
            "/__meta__/limt: __meta__ has no key \"limt\" (did you mean \"limit\"?)",
            "/parent/code: the field \"code\" must be null to ask for it, or an object to ask for fields of it, not 5",
            "/__meta__/offset: offset must be a whole number from 0, not -1",
            "/__meta__/filter/nam: lab.Sample has no field \"nam\" (did you mean \"name\"?)",
            "/__meta__/filter/amount: \"amount\" is an integer and cannot be \"x\"",
            "/__meta__/exclude/day__like: \"day\" has no lookup \"like\" (it takes exact, in, gt, gte, lt, lte, range, isnull, year, iso_year, quarter, month, week, day, week_day, iso_week_day)",
            "/nam: lab.Sample has no field \"nam\" (did you mean \"name\"?)",
            "/__meta__/ordering/0: lab.Sample has no field \"x\"",
        ],
    );
}

#[test]
fn filters_nest_32_levels_and_no_deeper() {
    let mut lab = Lab::new();
    let or = |levels: usize| (0..levels).fold(json!({"amount": 0}), |inner, _| json!({"__or__": [inner]}));
    for filter in [within("__not__", 31, json!({"amount": 0})), or(31)] {
        lab.works(&retrieve(&json!({"filter": filter, "exclude": filter}), &json!({})).to_string());
        lab.works(&retrieve(&json!({}), &json!({"children": {"__meta__": {"filter": filter}}})).to_string());
        let deeper = json!({"__not__": filter});
        for request in [
            retrieve(&json!({"filter": deeper}), &json!({})),
            retrieve(&json!({"exclude": deeper}), &json!({})),
            retrieve(&json!({}), &json!({"children": {"__meta__": {"filter": deeper}}})),
        ] {
            let reply = lab.refused(&request.to_string(), 400);
            assert!(reply.body.contains("\"a request may hold at most 32 levels of filter\""), "{}", reply.body);
        }
    }
}

#[test]
fn relations_reach_8_levels_and_no_further() {
    let mut lab = Lab::new();
    for relation in ["parent", "children"] {
        let path = |levels: usize| format!("{}name", format!("{relation}__").repeat(levels));
        let requests = |levels: usize| {
            [
                retrieve(&json!({"filter": {path(levels): "x"}}), &json!({})),
                retrieve(&json!({"exclude": {path(levels): "x"}}), &json!({})),
                retrieve(&json!({"ordering": [path(levels)]}), &json!({})),
                retrieve(&json!({}), &within(relation, levels, json!({"name": null}))),
            ]
        };
        for request in requests(8) {
            lab.works(&request.to_string());
        }
        for request in requests(9) {
            let reply = lab.refused(&request.to_string(), 400);
            let message = "\"a request may hold at most 8 relations behind each other\"";
            assert!(reply.body.contains(message), "{}", reply.body);
        }
    }
}

#[test]
fn every_part_of_a_request_reaches_8_relations_and_no_further() {
    let mut lab = Lab::new();
    let far = |levels: usize, path: &str| format!("{}name", path.repeat(levels));
    let max = |field: String| aggregate(&json!({}), &json!({"m": {"function": "Max", "onField": field}}));
    type Make<'m> = &'m dyn Fn(String) -> Value;
    let cases: Vec<(&str, Make<'_>, &str)> = vec![
        ("parent__", &|field| aggregate(&json!({"groupBy": [field]}), &json!({})), "/__meta__/groupBy/0"),
        ("children__", &|field| aggregate(&json!({"groupBy": [field]}), &json!({})), "/__meta__/groupBy/0"),
        ("parent__", &max, "/m/onField"),
        ("children__", &max, "/m/onField"),
        (
            "children__",
            &|field| aggregate(&json!({}), &json!({"m": {"function": "Count", "filter": {field: "x"}}})),
            "/m/filter/",
        ),
        ("parent__", &|field| retrieve(&json!({}), &json!({"m": {"__field__": field}})), "/m/__field__"),
        (
            "parent__",
            &|field| retrieve(&json!({"filter": {"name": {"__field__": field}}}), &json!({})),
            "/__meta__/filter/name/__field__",
        ),
        (
            "parent__",
            &|field| retrieve(&json!({}), &json!({"m": subquery(&json!({"onField": field}))})),
            "/m/__meta__/onField",
        ),
        (
            "children__",
            &|field| retrieve(&json!({}), &json!({"m": subquery(&json!({"filter": {field: "x"}}))})),
            "/m/__meta__/filter/",
        ),
        (
            "tags__samples__",
            &|field| {
                let pair = json!([{"field": field, "referenceField": "name"}]);
                retrieve(&json!({}), &json!({"m": subquery(&json!({"outerRefMapping": pair}))}))
            },
            "/m/__meta__/outerRefMapping/0/field",
        ),
        (
            "parent__",
            &|field| {
                let pair = json!([{"field": "name", "referenceField": field}]);
                retrieve(&json!({}), &json!({"m": subquery(&json!({"outerRefMapping": pair}))}))
            },
            "/m/__meta__/outerRefMapping/0/referenceField",
        ),
    ];
    for (path, make, place) in cases {
        let most = 8 / path.matches("__").count();
        lab.works(&make(far(most, path)).to_string());
        let reply = lab.refused(&make(far(most + 1, path)).to_string(), 400);
        let error = &reply.errors()[0];
        let expected = ": a request may hold at most 8 relations behind each other";
        assert!(error.starts_with(place) && error.ends_with(expected), "{error}");
    }
}

#[test]
fn filters_of_totals_subqueries_and_writes_nest_32_levels_and_no_deeper() {
    let mut lab = Lab::new();
    let (amount, n) = (|| json!({"amount": 0}), || json!({"n": 0}));
    let requests = |levels: usize| {
        let nested = |inner: Value| within("__not__", levels, inner);
        let write = json!({"filter": nested(amount()), "dryRun": true});
        [
            aggregate(&json!({"having": nested(n())}), &json!({"n": {"function": "Count"}})),
            aggregate(&json!({}), &json!({"n": {"function": "Count", "filter": nested(amount())}})),
            retrieve(&json!({}), &json!({"n": subquery(&json!({"filter": nested(amount())}))})),
            request("updateMany", "lab.Sample", &write, &json!({"amount": 1})),
            request("deleteMany", "lab.Sample", &write, &json!({})),
            update(&write, &json!({"amount": 1})),
        ]
    };
    for body in requests(31) {
        let reply = lab.client.jql(&lab.server.key, &body.to_string());
        // 31 times not: of those that are meant by `uniqueObject` none is left.
        assert!(matches!(reply.status, 200 | 404), "{body}\n{}", reply.body);
    }
    for body in requests(32) {
        let reply = lab.refused(&body.to_string(), 400);
        assert!(reply.errors()[0].ends_with(": a request may hold at most 32 levels of filter"), "{}", reply.body);
    }
}

#[test]
fn names_and_texts_of_a_request_have_their_lengths() {
    let mut lab = Lab::new();
    let name = |length: usize| aggregate(&json!({}), &json!({"n".repeat(length): {"function": "Count"}}));
    lab.works(&name(60).to_string());
    let reply = lab.refused(&name(61).to_string(), 400);
    assert!(reply.body.contains("is not the name of a total"), "{}", reply.body);
    let shown = |letter: &str| format!("\"{}…", letter.repeat(39));
    let separator = |length: usize| {
        aggregate(&json!({}), &json!({"n": {"function": "Concat", "onField": "name", "separator": "x".repeat(length)}}))
    };
    lab.works(&separator(100).to_string());
    let message = format!("\"separator\" must be a string of at most 100 bytes, not {}", shown("x"));
    lab.says(&separator(101), &[&format!("/n/separator: {message}")]);
    let draw = |length: usize| retrieve(&json!({"draw": "ä".repeat(length)}), &json!({}));
    lab.works(&draw(100).to_string());
    let message = format!("draw must be a whole number or a string of at most 100 characters, not {}", shown("ä"));
    lab.says(&draw(101), &[&format!("/__meta__/draw: {message}")]);
    let key = |length: usize| retrieve(&json!({}), &json!({"n".repeat(length): {"__field__": "name"}}));
    lab.works(&key(4096).to_string());
    let reply = lab.refused(&key(4097).to_string(), 400);
    assert!(reply.body.contains("a key of more than 4096 bytes"), "{}", reply.body);
    let data = |text: &str| {
        format!(
            r#"{{"__meta__": {{"intent": "create", "namespace": "lab.Sample", "dryRun": true}}, "name": "aa", "data": {text}}}"#
        )
    };
    lab.works(&data(&"9".repeat(1000)));
    let reply = lab.refused(&data(&"9".repeat(1001)), 400);
    assert!(reply.body.contains("number of more than 1000 characters"), "{}", reply.body);
    // The list is the second level.
    let deep = |levels: usize| data(&("[".repeat(levels - 1) + &"]".repeat(levels - 1)));
    lab.works(&deep(127));
    let reply = lab.refused(&deep(128), 400);
    assert!(reply.body.contains("recursion limit exceeded"), "{}", reply.body);
}

#[test]
fn options_of_transforms_have_their_bounds() {
    let mut lab = Lab::new();
    let with = |field: &str, transform: &str, options: Value| {
        retrieve(&json!({}), &json!({ field: {"__transform__": { transform: options }} }))
    };
    let (most, more) = ("é".repeat(1000), "é".repeat(1001));
    let shown = format!("\"{}…", "é".repeat(39));
    let texts = |option: &str, wanted: &str| format!("\"{option}\" must be {wanted}, not {shown}");
    let text = |option: &str| texts(option, "a string of at most 1000 characters");
    let format = |length: usize| json!({"format": "x".repeat(length)});
    for (field, transform, good, bad, option, message) in [
        (
            "name",
            "truncate",
            json!({"length": 1}),
            json!({"length": 0}),
            "length",
            "\"length\" must be a whole number from 1 to 100000, not 0".to_owned(),
        ),
        (
            "name",
            "truncate",
            json!({"length": 100_000}),
            json!({"length": 100_001}),
            "length",
            "\"length\" must be a whole number from 1 to 100000, not 100001".into(),
        ),
        (
            "name",
            "truncate",
            json!({"length": 1000, "suffix": most}),
            json!({"length": 100_000, "suffix": more}),
            "suffix",
            text("suffix"),
        ),
        (
            "name",
            "truncate",
            json!({"length": 3, "suffix": "..."}),
            json!({"length": 2, "suffix": "..."}),
            "suffix",
            "\"suffix\" must have at most the 2 characters of \"length\"".into(),
        ),
        (
            "name",
            "replace",
            json!({"from": most, "to": most}),
            json!({"from": more}),
            "from",
            texts("from", "a string of 1 to 1000 characters"),
        ),
        ("name", "replace", json!({"from": "a", "to": ""}), json!({"from": "a", "to": more}), "to", text("to")),
        (
            "name",
            "replace",
            json!({"from": "a"}),
            json!({"from": ""}),
            "from",
            "\"from\" must be a string of 1 to 1000 characters, not \"\"".into(),
        ),
        ("name", "prefix", json!({"value": most}), json!({"value": more}), "value", text("value")),
        ("name", "suffix", json!({"value": most}), json!({"value": more}), "value", text("value")),
        ("tags", "join", json!({"separator": most}), json!({"separator": more}), "separator", text("separator")),
        (
            "amount",
            "numberFormat",
            json!({"point": most, "thousands": most}),
            json!({"point": more}),
            "point",
            text("point"),
        ),
        (
            "amount",
            "numberFormat",
            json!({"decimals": 18}),
            json!({"decimals": 19}),
            "decimals",
            "\"decimals\" must be a whole number from 0 to 18, not 19".into(),
        ),
        (
            "amount",
            "numberFormat",
            json!({"decimals": 0}),
            json!({"decimals": -1}),
            "decimals",
            "\"decimals\" must be a whole number from 0 to 18, not -1".into(),
        ),
        (
            "amount",
            "round",
            json!({"digits": 18}),
            json!({"digits": 19}),
            "digits",
            "\"digits\" must be a whole number from -18 to 18, not 19".into(),
        ),
        (
            "amount",
            "round",
            json!({"digits": -18}),
            json!({"digits": -19}),
            "digits",
            "\"digits\" must be a whole number from -18 to 18, not -19".into(),
        ),
        (
            "at",
            "dateFormat",
            format(200),
            format(201),
            "format",
            format!("\"format\" must be a string of 1 to 200 characters, not \"{}…", "x".repeat(39)),
        ),
        // A value counts with its quotes.
        (
            "name",
            "default",
            json!({"value": "é".repeat(998)}),
            json!({"value": "é".repeat(999)}),
            "value",
            format!("\"value\" must have at most 1000 characters a value, unlike {shown}"),
        ),
        (
            "name",
            "map",
            json!({"values": {"a": "é".repeat(998)}}),
            json!({"values": {"a": "é".repeat(999)}}),
            "values",
            format!("\"values\" must have at most 1000 characters a value, unlike {shown}"),
        ),
    ] {
        lab.works(&with(field, transform, good).to_string());
        let pointer = format!("/{field}/__transform__/{transform}/{option}");
        lab.says(&with(field, transform, bad), &[&format!("{pointer}: {message}")]);
    }
}

#[test]
fn max_limit_bounds_every_page() {
    let server = Server::with(&lab().to_string(), &["--max-limit", "3"]);
    server.change(
        r#"WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 9)
           INSERT INTO "lab.Sample" ("id", "name", "made", "parent") SELECT i, 'aa', '2026-01-31T09:30:00.000000Z', iif(i > 1, 1, NULL) FROM n"#,
    );
    let display = |meta: Value, beside: Value| server.send(&retrieve(&meta, &beside)).json()["extras"].clone();
    let found = |limit: u64| json!({"filtered": 9, "display": limit, "queries": 2});
    for (meta, limit) in [(json!({}), 3), (json!({"limit": 3}), 3), (json!({"limit": 2}), 2)] {
        let mut extras = display(meta, json!({"id": null}));
        extras.as_object_mut().unwrap().remove("next");
        assert_eq!(extras, found(limit));
    }
    let nested = |meta: Value| retrieve(&json!({"limit": 1}), &json!({"children": {"__meta__": meta, "id": null}}));
    for meta in [json!({}), json!({"limit": 3})] {
        assert_eq!(server.data(&nested(meta))[0]["children"].as_array().map(Vec::len), Some(3));
    }
    let too_many = "a request may hold at most 3 records in one page (limit)";
    for (body, place) in [
        (retrieve(&json!({"limit": 4}), &json!({})), "/__meta__/limit"),
        (nested(json!({"limit": 4})), "/children/__meta__/limit"),
        (aggregate(&json!({"limit": 4}), &json!({"n": {"function": "Count"}})), "/__meta__/limit"),
    ] {
        assert_eq!(server.refused(400, &body), [format!("{place}: {too_many}")]);
    }
}

#[test]
fn an_answer_holds_100000_records_and_no_more() {
    let server = Server::with(&lab().to_string(), &[]);
    server.change(
        r#"WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 100000)
           INSERT INTO "lab.Sample" ("id", "name", "made", "parent")
           SELECT i, 'aa', '2026-01-31T09:30:00.000000Z', iif(i > 100, i % 100 + 1, NULL) FROM n"#,
    );
    let request = retrieve(&json!({"limit": 100}), &json!({"children": {"__meta__": {"limit": 1000}, "id": null}}));
    let data = server.data(&request);
    let held = |record: &Value| record["children"].as_array().unwrap().len();
    assert_eq!(data.as_array().unwrap().iter().map(held).sum::<usize>() + 100, 100_000);
    server.create("lab.Sample", &json!({"name": "aa", "parent": 1}));
    assert_eq!(server.refused(400, &request), [": the answer would hold more than 100000 records"]);
    server.data(&retrieve(&json!({"limit": 99}), &json!({"children": {"__meta__": {"limit": 1000}, "id": null}})));
}

#[test]
fn an_answer_has_64_mebibytes_of_json_and_no_more() {
    let server = Server::with(&lab().to_string(), &[]);
    server.change(
        r#"WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1000)
           INSERT INTO "lab.Sample" ("name", "made") SELECT 'aa', '2026-01-31T09:30:00.000000Z' FROM n"#,
    );
    // Each record gets so many thousand characters.
    let request = |times: usize| {
        let long = json!({"__field__": "name", "__transform__": {"prefix": {"value": "x".repeat(1000)}}});
        retrieve(&json!({"limit": 1000}), &many(times, |_| long.clone()))
    };
    assert_eq!(server.send(&request(60)).status, 200);
    let errors = server.refused(400, &request(70));
    assert_eq!(errors, [": the answer would hold more than 64 MiB of JSON"]);
}

#[test]
fn regular_expressions_of_all_parts_count_together() {
    let mut lab = Lab::new();
    let regex = |count: usize| json!({"__or__": vec![json!({"name__regex": "a+"}); count]});
    let body = |count: usize| {
        let fields = json!({
            "m": subquery(&json!({"filter": regex(5)})),
            "children": {"__meta__": {"filter": regex(5)}, "id": null}
        });
        retrieve(&json!({"filter": regex(3), "exclude": regex(count)}), &fields)
    };
    lab.works(&body(3).to_string());
    let reply = lab.refused(&body(4).to_string(), 400);
    assert!(reply.errors()[0].ends_with(": a request may hold at most 16 regular expressions"), "{}", reply.body);
}

#[test]
fn a_request_holds_500_fields_and_conditions_and_no_more() {
    let mut lab = Lab::new();
    let conditions = |count: usize| (0..count).map(|n| (format!("data__key{n}"), json!(n))).collect::<Map<_, _>>();
    let too_many = "\"a request may hold at most 500 fields and conditions\"";
    for clause in ["filter", "exclude"] {
        lab.works(&retrieve(&json!({clause: conditions(499)}), &json!({"id": null})).to_string());
        let reply = lab.refused(&retrieve(&json!({clause: conditions(500)}), &json!({"id": null})).to_string(), 400);
        assert!(reply.body.contains(too_many), "{}", reply.body);
    }
    let many: Map<String, Value> = (0..60_000).map(|n| (format!("key{n}"), json!(null))).collect();
    let reply = lab.refused(&retrieve(&json!({}), &Value::Object(many.clone())).to_string(), 400);
    assert!(reply.body.contains(too_many), "{:.300}", reply.body);
    let reply = lab.refused(&create(&Value::Object(many)).to_string(), 400);
    assert!(reply.body.contains(too_many), "{:.300}", reply.body);
}

/// So many members, each made of its number.
fn many(count: usize, make: impl Fn(usize) -> Value) -> Value {
    (0..count).map(|n| (format!("m{n}"), make(n))).collect()
}

fn subquery(meta: &Value) -> Value {
    let mut all = json!({"intent": "subquery", "namespace": "lab.Sample"});
    all.as_object_mut().unwrap().extend(meta.as_object().unwrap().clone());
    json!({ "__meta__": all })
}

fn aggregate(meta: &Value, totals: &Value) -> Value {
    request("aggregate", "lab.Sample", meta, totals)
}

fn count() -> Value {
    json!({"function": "Count"})
}

/// So many keys inside json.
fn inside(count: usize) -> Vec<String> {
    (0..count).map(|n| format!("data__key{n}")).collect()
}

#[test]
fn all_parts_of_a_request_count_among_the_500() {
    let mut lab = Lab::new();
    // What one more of is too many, how many of it are not, and where the one too many stands.
    /// What is bounded, the bound, a request with so many, and where what is one too many stands.
    type Case<'c> = (&'c str, usize, &'c dyn Fn(usize) -> Value, &'c str);
    let cases: Vec<Case<'_>> = vec![
        ("subqueries", 500, &|n| retrieve(&json!({}), &many(n, |_| subquery(&json!({})))), "/m500"),
        (
            "conditions of subqueries",
            250,
            &|n| retrieve(&json!({}), &many(n, |n| subquery(&json!({"filter": {"amount": n}})))),
            "/m250",
        ),
        (
            "pairs of a mapping",
            499,
            &|n| {
                let pairs = vec![json!({"field": "parent", "referenceField": "id"}); n];
                retrieve(&json!({}), &json!({"m": subquery(&json!({"outerRefMapping": pairs}))}))
            },
            "/m/__meta__/outerRefMapping/499",
        ),
        (
            "steps",
            498,
            &|n| {
                let mut steps = vec![count()];
                steps.extend(vec![json!({"function": "Abs"}); n + 1]);
                retrieve(&json!({}), &json!({"m": subquery(&json!({"sequencedProcess": steps}))}))
            },
            "/m/__meta__/sequencedProcess/500",
        ),
        ("totals", 500, &|n| aggregate(&json!({}), &many(n, |_| count())), "/m500"),
        (
            "conditions of totals",
            250,
            &|n| aggregate(&json!({}), &many(n, |n| json!({"function": "Count", "filter": {"amount": n}}))),
            "/m249/filter/amount",
        ),
        (
            "orders of totals",
            250,
            &|n| aggregate(&json!({}), &many(n, |_| json!({"function": "Last", "ordering": "name"}))),
            "/m250",
        ),
        ("groups", 500, &|n| aggregate(&json!({"groupBy": inside(n)}), &json!({})), "/__meta__/groupBy/500"),
        (
            "conditions on totals",
            499,
            &|n| {
                let any = (0..n).map(|n| json!({"n": n})).collect::<Vec<_>>();
                aggregate(&json!({"having": {"__or__": any}}), &json!({"n": count()}))
            },
            "/__meta__/having/__or__/499/n",
        ),
        (
            "orders of groups",
            499,
            &|n| aggregate(&json!({"ordering": vec!["n"; n]}), &json!({"n": count()})),
            "/__meta__/ordering/499",
        ),
        (
            "transforms",
            250,
            &|n| {
                let upper = json!({"__field__": "name", "__transform__": {"upper": {}}});
                retrieve(&json!({}), &many(n, |_| upper.clone()))
            },
            "/m250",
        ),
        ("names of fields", 500, &|n| retrieve(&json!({}), &many(n, |_| json!({"__field__": "name"}))), "/m500"),
        (
            "comparisons with fields",
            249,
            &|n| {
                let any = vec![json!({"name": {"__field__": "notes"}}); n];
                retrieve(&json!({"filter": {"__or__": any}}), &json!({"id": null, "pk": null}))
            },
            "/id",
        ),
        (
            "an order",
            499,
            &|n| retrieve(&json!({"ordering": inside(n)}), &json!({"id": null})),
            "/__meta__/ordering/499",
        ),
        (
            "words in the text fields that are searched, four of them",
            124,
            &|n| {
                retrieve(&json!({"search": {"value": "a ".repeat(n)}}), &json!({"id": null, "pk": null, "name": null}))
            },
            "/id",
        ),
        (
            "fields of related records",
            499,
            &|n| retrieve(&json!({}), &json!({"children": many(n, |_| json!({"__field__": "name"}))})),
            "/children/m499",
        ),
        (
            "fields to return",
            499,
            &|n| {
                update(
                    &json!({"return": many(n, |_| json!({"__field__": "name"})), "dryRun": true}),
                    &json!({"name": "aa"}),
                )
            },
            "/__meta__/return/m499",
        ),
        (
            "conditions of a write",
            499,
            &|n| {
                let conditions: Value = inside(n).into_iter().map(|key| (key, json!(1))).collect();
                let meta = json!({"filter": conditions, "dryRun": true});
                request("updateMany", "lab.Sample", &meta, &json!({"name": "aa"}))
            },
            "/name",
        ),
    ];
    for (what, most, make, place) in cases {
        let reply = lab.client.jql(&lab.server.key, &make(most).to_string());
        assert_eq!(reply.status, 200, "{most} {what}: {}", reply.body);
        let reply = lab.refused(&make(most + 1).to_string(), 400);
        let expected = format!("{place}: a request may hold at most 500 fields and conditions");
        assert_eq!(reply.errors()[0], expected, "{what}");
    }
}

#[test]
fn as_many_conditions_hold_for_records_far_away_as_for_the_record_itself() {
    let mut lab = Lab::new();
    for path in ["parent__", "children__", "tags__samples__"] {
        for levels in [1, 8 / (path.matches("__").count())] {
            let conditions = |count: usize| {
                let key = |n| format!("{}data__key{n}", path.repeat(levels));
                (0..count).map(|n| (key(n), json!(n))).collect::<Value>()
            };
            let any: Vec<Value> = (0..498).map(|n| json!({"name": n.to_string()})).collect();
            for body in [
                retrieve(&json!({"filter": conditions(499)}), &json!({"id": null})),
                retrieve(&json!({"exclude": conditions(499)}), &json!({"id": null})),
                retrieve(&json!({}), &json!({"m": subquery(&json!({"filter": conditions(499)}))})),
                retrieve(&json!({}), &json!({"m": subquery(&json!({"filter": {"__or__": any}}))})),
                retrieve(&json!({}), &json!({"children": {"__meta__": {"filter": conditions(498)}, "id": null}})),
                aggregate(&json!({}), &json!({"m": {"function": "Count", "filter": conditions(499)}})),
                request(
                    "updateMany",
                    "lab.Sample",
                    &json!({"filter": conditions(499), "dryRun": true}),
                    &json!({"name": "aa"}),
                ),
                request("deleteMany", "lab.Sample", &json!({"filter": conditions(500), "dryRun": true}), &json!({})),
            ] {
                lab.works(&body.to_string());
            }
            // Levels of filter, relations and conditions, all at once.
            let mut deep = conditions(400);
            for level in 0..15 {
                deep = json!({"amount": level, "__not__": {"__or__": [{"amount": 1}, deep]}});
            }
            lab.works(&retrieve(&json!({"filter": deep}), &json!({"m": subquery(&json!({}))})).to_string());
        }
    }
}

#[test]
fn an_order_by_many_values_far_away_is_answered() {
    let mut lab = Lab::new();
    for path in ["parent__", "children__"] {
        let ordering: Vec<String> = (0..499).map(|n| format!("-{}data__key{n}", path.repeat(4))).collect();
        let page = |meta: Value| {
            let mut all = json!({ "ordering": ordering });
            all.as_object_mut().unwrap().extend(meta.as_object().unwrap().clone());
            retrieve(&all, &json!({"id": null}))
        };
        let first = lab.server.send(&page(json!({"limit": 1}))).json();
        assert_eq!(first["data"], json!([{"id": 1}]), "{first}");
        let second = page(json!({"after": first["extras"]["next"]}));
        assert_eq!(lab.works(&second.to_string()), json!([{"id": 2}]));
    }
}

#[test]
fn an_or_holds_as_many_conditions_as_a_filter() {
    let mut lab = Lab::new();
    let any = |count: usize| (0..count).map(|n| json!({"amount": n})).collect::<Vec<_>>();
    lab.works(&retrieve(&json!({"filter": {"__or__": any(499)}}), &json!({"id": null})).to_string());
    lab.refused(&retrieve(&json!({"filter": {"__or__": any(501)}}), &json!({"id": null})).to_string(), 400);
}

#[test]
fn a_list_holds_10000_values_and_no_more() {
    let mut lab = Lab::new();
    let numbers = |count: i64| (0..count).collect::<Vec<_>>();
    let too_many = "a request may hold at most 10000 values in one list";
    for key in ["amount__in", "id__in", "parent__in", "tags__in", "data__a__in"] {
        lab.works(&retrieve(&json!({"filter": {key: numbers(10_000)}}), &json!({})).to_string());
        let body = retrieve(&json!({"filter": {key: numbers(10_001)}}), &json!({}));
        lab.says(&body, &[&format!("/__meta__/filter/{key}: {too_many}")]);
    }
    lab.says(&update(&json!({}), &json!({"tags": vec![1; 10_001]})), &[&format!("/tags: {too_many}")]);
    lab.works(&update(&json!({}), &json!({"tags": vec![1; 10_000]})).to_string());
}

#[test]
fn a_regular_expression_has_1000_characters_and_no_more() {
    let mut lab = Lab::new();
    let message = "is longer than the 1000 characters that a regular expression may have";
    for (key, longest) in [("name__regex", 1000), ("name__iregex", 996)] {
        lab.works(&retrieve(&json!({"filter": {key: "é".repeat(longest)}}), &json!({})).to_string());
        let body = retrieve(&json!({"filter": {key: "é".repeat(1001)}}), &json!({}));
        lab.says(&body, &[&format!("/__meta__/filter/{key}: \"{key}\" {message}")]);
    }
}

#[test]
fn a_regular_expression_that_folds_case_has_1000_characters_too() {
    let mut lab = Lab::new();
    lab.works(&retrieve(&json!({"filter": {"name__iregex": "a".repeat(1000)}}), &json!({})).to_string());
}

#[test]
fn a_regular_expression_that_folding_makes_too_large_is_refused() {
    let mut lab = Lab::new();
    lab.works(&retrieve(&json!({"filter": {"name__regex": "k{6000}"}}), &json!({})).to_string());
    let body = retrieve(&json!({"filter": {"name__iregex": "k{6000}"}}), &json!({}));
    let expected = r#"/__meta__/filter/name__iregex: "name__iregex" is too large a regular expression: it takes more than 1 MiB once compiled; \w and \d stand for all of Unicode, and [0-9A-Za-z_] takes far less"#;
    lab.says(&body, &[expected]);
}

/// Both references of a sample, and both of each of those, so many levels deep.
fn both(levels: usize, innermost: &Value) -> Value {
    (0..levels).fold(innermost.clone(), |inner, _| json!({"parent": inner, "twin": inner}))
}

#[test]
fn a_request_nests_62_references_and_no_more() {
    let mut lab = Lab::new();
    let most = both(5, &json!({"id": null}));
    let mut one_more = most.clone();
    one_more["again"] = json!({"__field__": "parent", "id": null});
    let too_many = "a request may hold at most 62 nested references";
    let within = |fields: &Value| {
        [
            (retrieve(&json!({}), fields), ""),
            (retrieve(&json!({"ordering": ["-code", "-parent__at", "at"]}), fields), ""),
            (request("retrieveOne", "lab.Sample", &json!({"uniqueObject": {"id": 1}}), fields), ""),
            (retrieve(&json!({}), &json!({ "children": fields })), "/children"),
            (request("retrieve", "lab.Tag", &json!({}), &json!({ "samples": fields })), "/samples"),
            (update(&json!({"return": fields, "dryRun": true}), &json!({"name": "aa"})), "/__meta__/return"),
        ]
    };
    for (body, _) in within(&most) {
        lab.works(&body.to_string());
    }
    for (body, place) in within(&one_more) {
        lab.says(&body, &[&format!("{place}/again: {too_many}")]);
    }
    lab.refused(&retrieve(&json!({}), &both(6, &json!({"id": null}))).to_string(), 400);
    // A page behind a cursor is made of several SELECTs, each with all of them.
    let page = |meta: Value| retrieve(&meta, &most);
    let ordering = ["-code", "-at"];
    let first = lab.server.send(&page(json!({"ordering": ordering, "limit": 1}))).json();
    let after = first["extras"]["next"].clone();
    let rest = lab.works(&page(json!({"ordering": ordering, "after": after})).to_string());
    assert_eq!(rest.as_array().map(Vec::len), Some(1));
}

#[test]
fn many_nested_columns_are_answered_or_refused() {
    let mut fields: Map<String, Value> =
        (0..80).map(|n| (format!("field{n}"), json!({"type": "integer", "null": true}))).collect();
    for (name, back) in [("parent", "children"), ("twin", "twins")] {
        fields.insert(name.into(), json!({"type": "ref", "to": "lab.Wide", "null": true, "related_name": back}));
    }
    let server = Server::with(&json!({"lab.Wide": {"fields": fields}}).to_string(), &[]);
    let reply = server.send(&request("retrieve", "lab.Wide", &json!({}), &both(5, &json!({}))));
    assert!(matches!(reply.status, 200 | 400), "{}", reply.body);
}

#[test]
fn paths_over_many_relations_are_answered() {
    let mut lab = Lab::new();
    let paths = |levels: u32, names: [&str; 2]| -> Vec<String> {
        let path = |bits: u32| {
            (0..levels).map(|level| format!("{}__", names[(bits >> level & 1) as usize])).collect::<String>()
        };
        (0..1 << levels).map(|bits| path(bits) + "name").collect()
    };
    for names in [["parent", "twin"], ["children", "twins"]] {
        let conditions: Map<String, Value> = paths(8, names).into_iter().map(|path| (path, json!("x"))).collect();
        lab.works(&retrieve(&json!({"filter": conditions}), &json!({})).to_string());
        lab.works(&retrieve(&json!({"exclude": conditions}), &json!({})).to_string());
        lab.works(&retrieve(&json!({"ordering": paths(7, names)}), &json!({})).to_string());
    }
}

/// Names that no field has, some of them as long as no name may be.
fn hostile_names() -> Vec<String> {
    let mut names: Vec<String> = NAMES.map(str::to_owned).into();
    names.extend(["x", "\"", "%", "😀", "__", "a__", "]"].map(|part| part.repeat(1024 / part.len())));
    names
}

#[test]
fn a_hostile_name_is_a_400_wherever_it_stands() {
    let mut lab = Lab::new();
    for name in hostile_names() {
        let name = name.as_str();
        let subquery = |more: Value| {
            let mut meta = json!({"intent": "subquery", "namespace": "lab.Sample"});
            meta.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            retrieve(&json!({}), &json!({"n": {"__meta__": meta}}))
        };
        let aggregate = |meta: Value, totals: Value| request("aggregate", "lab.Sample", &meta, &totals);
        let nested = |meta: Value| retrieve(&json!({}), &json!({"tags": {"__meta__": meta, "name": null}}));
        for request in [
            retrieve(&json!({}), &json!({name: null})),
            retrieve(&json!({}), &json!({name: {}})),
            retrieve(&json!({}), &json!({"label": {"__field__": name}})),
            retrieve(&json!({}), &json!({"name": {"__transform__": {name: {}}}})),
            retrieve(&json!({}), &json!({"name": {"__transform__": {"upper": {name: 1}}}})),
            subquery(json!({"namespace": format!("{name} ")})),
            subquery(json!({"onField": name})),
            subquery(json!({"ordering": name})),
            subquery(json!({"filter": {name: 1}})),
            subquery(json!({name: 1})),
            subquery(json!({"outerRefMapping": [{"field": name, "referenceField": "id"}]})),
            subquery(json!({"outerRefMapping": [{"field": "id", "referenceField": name}]})),
            subquery(json!({"sequencedProcess": [{"function": name}]})),
            subquery(json!({"sequencedProcess": [{"function": "Count", "onField": name}]})),
            subquery(json!({"sequencedProcess": [{"function": "Count"}, {"function": "Cast", "castType": name}]})),
            aggregate(json!({"groupBy": [name]}), json!({})),
            aggregate(json!({}), json!({"n": {"function": name}})),
            aggregate(json!({}), json!({"n": {"function": "Count", "onField": name}})),
            aggregate(json!({}), json!({"n": {"function": "Count", "filter": {name: 1}}})),
            aggregate(json!({}), json!({"n": {"function": "Count", name: 1}})),
            aggregate(json!({"having": {name: 1}}), json!({"n": {"function": "Count"}})),
            aggregate(json!({"ordering": [name]}), json!({"n": {"function": "Count"}})),
            request("createMany", "lab.Sample", &json!({"objects": [{"name": "aa", name: "x"}]}), &json!({})),
            request("updateMany", "lab.Sample", &json!({"filter": {name: 1}}), &json!({"name": "aa"})),
            request("deleteMany", "lab.Sample", &json!({"filter": {name: 1}}), &json!({})),
            request("upsert", "lab.Sample", &json!({"uniqueObject": {name: 1}}), &json!({"name": "aa"})),
            retrieve(&json!({"filter": {"name": {"__field__": name}}}), &json!({})),
            retrieve(&json!({"after": name}), &json!({})),
            retrieve(&json!({}), &json!({"parent": {name: null}})),
            retrieve(&json!({}), &json!({"tags": {name: null}})),
            retrieve(&json!({"filter": {name: 1}}), &json!({})),
            retrieve(&json!({"filter": {format!("{name}__in"): [1]}}), &json!({})),
            retrieve(&json!({"filter": {format!("name__{name}"): "x"}}), &json!({})),
            retrieve(&json!({"filter": {format!("parent__{name}"): 1}}), &json!({})),
            retrieve(&json!({"filter": {format!("tags__{name}"): 1}}), &json!({})),
            retrieve(&json!({"filter": {"__or__": [{name: 1}]}}), &json!({})),
            retrieve(&json!({"exclude": {name: 1}}), &json!({})),
            retrieve(&json!({"ordering": [name]}), &json!({})),
            retrieve(&json!({"ordering": format!("-{name}")}), &json!({})),
            retrieve(&json!({"ordering": [format!("parent__{name}")]}), &json!({})),
            retrieve(&json!({"search": {name: "x"}}), &json!({})),
            retrieve(&json!({"uniqueObject": {name: 1}}), &json!({})),
            retrieve(&json!({name: 1}), &json!({})),
            nested(json!({name: 1})),
            nested(json!({"filter": {name: 1}})),
            nested(json!({"ordering": [name]})),
            create(&json!({"name": "aa", name: "x"})),
            update(&json!({}), &json!({name: "x"})),
            update(&json!({"return": {name: null}}), &json!({"name": "aa"})),
            request(name, "lab.Sample", &json!({}), &json!({})),
            retrieve(&json!({"schema": name}), &json!({})),
        ] {
            let reply = lab.client.jql(&lab.server.key, &request.to_string());
            assert_eq!(reply.status, 400, "{request:.300}\n{:.300}", reply.body);
            assert_eq!(reply.json()["errors"][0]["code"], "JQL:JqlException");
        }
        for namespace in [name.to_owned(), format!("lab.{name}"), format!("{name}.Sample"), format!("lab.Sample{name}")]
        {
            let reply =
                lab.client.jql(&lab.server.key, &request("count", &namespace, &json!({}), &json!({})).to_string());
            let is_name = |text: &str| text.bytes().all(|byte| byte.is_ascii_alphanumeric());
            let expected = match namespace.split_once('.') {
                _ if namespace == "lab.Sample" => 200,
                Some((app, model))
                    if is_name(model)
                        && model.starts_with(|first: char| first.is_ascii_uppercase())
                        && app.starts_with(|first: char| first.is_ascii_lowercase())
                        && is_name(&app.replace('_', ""))
                        && !app.bytes().any(|byte| byte.is_ascii_uppercase())
                        && namespace.len() <= 120 =>
                {
                    404
                }
                _ => 400,
            };
            assert_eq!(reply.status, expected, "{namespace:.300}\n{:.300}", reply.body);
        }
    }
    lab.is_unharmed("hostile names");
    assert!(!lab.server.stderr().contains(" request "), "{}", lab.server.stderr());
}

#[test]
fn a_hostile_name_is_only_a_label_where_the_client_chooses_it() {
    let mut lab = Lab::new();
    for name in hostile_names().iter().filter(|name| !name.starts_with("__")) {
        let body = retrieve(&json!({"limit": 1}), &json!({name: {"__field__": "name"}})).to_string();
        let reply = lab.client.jql(&lab.server.key, &body);
        // As text: one of the names is magic to the JSON reader of the tests.
        let expected = format!(r#""data":[{{{}:"one"}}]"#, json!(name));
        assert!(reply.status == 200 && reply.body.contains(&expected), "{body:.300}\n{:.300}", reply.body);
    }
}

#[test]
fn a_hostile_name_is_only_a_key_inside_json() {
    let mut lab = Lab::new();
    for name in hostile_names() {
        for (key, value) in [
            (format!("data__{name}"), json!(1)),
            (format!("data__{name}"), json!("x")),
            (format!("data__{name}__isnull"), json!(true)),
            (format!("data__a__{name}__gt"), json!(0)),
            ("data__has_key".into(), json!(name)),
            (format!("data__{name}__has_key"), json!(name)),
        ] {
            let body = retrieve(&json!({"filter": {key: value}}), &json!({"id": null})).to_string();
            let reply = lab.client.jql(&lab.server.key, &body);
            assert!(matches!(reply.status, 200 | 400), "{body:.300}\n{:.300}", reply.body);
        }
    }
    lab.is_unharmed("hostile names inside JSON");
}

#[test]
fn a_hostile_value_is_only_a_value() {
    let mut lab = Lab::new();
    for value in hostile_names().into_iter().filter(|value| !value.contains('\0')) {
        for key in ["notes", "notes__in", "notes__icontains", "notes__startswith", "notes__gt", "notes__iexact"] {
            let value = if key.ends_with("in") && !key.contains("contains") { json!([value]) } else { json!(value) };
            let found = lab.works(&retrieve(&json!({"filter": {key: value}}), &json!({"id": null})).to_string());
            assert_eq!(found, json!([]), "{key} {value}");
        }
        lab.works(&retrieve(&json!({"search": {"value": value}}), &json!({"id": null})).to_string());
    }
    lab.is_unharmed("hostile values");
    for value in hostile_names().into_iter().filter(|value| !value.contains('\0')) {
        let body = update(&json!({"return": {"notes": null}}), &json!({"notes": value}));
        assert_eq!(lab.works(&body.to_string()), json!({ "notes": value }));
        let body = retrieve(&json!({"filter": {"notes": value}}), &json!({"notes": null}));
        assert_eq!(lab.works(&body.to_string()), json!([{ "notes": value }]));
    }
}

#[test]
fn mistakes_in_a_list_with_a_malformed_item_point_to_where_they_stand() {
    let mut lab = Lab::new();
    let subquery = json!({"__meta__": {
        "intent": "subquery", "namespace": "lab.Tag",
        "outerRefMapping": [{"field": "nothing", "referenceField": "id"}, 1, {"field": "nothing", "referenceField": "id"}],
        "sequencedProcess": [{"function": "Count", "onField": "nothing"}, 1, {"function": "Nothing"}]
    }});
    let reply = lab.refused(&retrieve(&json!({"ordering": [1, "nothing"]}), &json!({"n": subquery})).to_string(), 400);
    let json = reply.json();
    let pointers = json["errors"].as_array().unwrap().iter().map(|error| error["pointer"].as_str().unwrap());
    assert_eq!(
        pointers.collect::<Vec<_>>(),
        [
            "/n/__meta__/outerRefMapping/1",
            "/n/__meta__/sequencedProcess/1",
            "/__meta__/ordering/0",
            "/n/__meta__/outerRefMapping/0/field",
            "/n/__meta__/sequencedProcess/0/onField",
        ]
    );
}

#[test]
fn mistakes_are_listed_up_to_a_hundred() {
    let server = Server::start();
    let long = "x".repeat(4000);
    let twice = format!("{{\"{long}\": {{{}}}, \"__meta__\": {{}}}}", vec!["\"a\": null"; 20_000].join(","));
    let wrong: Vec<String> = (0..20_000).map(|number| format!("\"a{number}\": 1")).collect();
    let meta = r#""__meta__": {"intent": "retrieve", "namespace": "tickets.Ticket"}"#;
    for body in [twice, format!("{{{meta}, \"{long}\": {{{}}}}}", wrong.join(","))] {
        let reply = Client::connect(&server.address).jql(&server.key, &body);
        assert_eq!(reply.status, 400);
        assert!(reply.body.len() < 1 << 20 && reply.errors().len() <= 101, "{} bytes", reply.body.len());
    }
    let body = format!("{{{meta}, \"{}\": null}}", "x".repeat(5000));
    assert!(Client::connect(&server.address).jql(&server.key, &body).errors()[0].contains("more than 4096 bytes"));
}

#[test]
fn an_answer_has_a_size_that_it_does_not_pass() {
    let server = Server::start();
    server.change(
        r#"WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 80)
           INSERT INTO "tickets.Ticket" ("title", "description", "created", "updated")
           SELECT i, hex(zeroblob(450000)), '2026-01-31T09:30:00.000000Z', '2026-01-31T09:30:00.000000Z' FROM n"#,
    );
    let page = |limit: u32| json!({"__meta__": {"intent": "retrieve", "namespace": "tickets.Ticket", "limit": limit}});
    assert_eq!(server.send(&page(20)).status, 200);
    let reply = server.send(&page(80));
    assert_eq!((reply.status, reply.errors()), (400, vec![": the answer would hold more than 32 MiB".to_owned()]));
}

#[test]
fn a_request_holds_16_regular_expressions_and_no_more() {
    let server = Server::start();
    let filters = |count: usize| json!({"__or__": vec![json!({"title__regex": "a+"}); count]});
    let request =
        |count| json!({"__meta__": {"intent": "count", "namespace": "tickets.Ticket", "filter": filters(count)}});
    assert_eq!(server.send(&request(16)).status, 200);
    let reply = server.send(&request(17));
    assert_eq!(
        reply.errors(),
        ["/__meta__/filter/__or__/16/title__regex: a request may hold at most 16 regular expressions"]
    );
}

// -- Time ---------------------------------------------------------------------------------------

/// A server on which a search along many links takes longer than anybody waits; it stops a statement after this time.
fn with_slow_queries(timeout: &str) -> Server {
    let server = Server::with(MODELS, &["--query-timeout", timeout]);
    server.entangle();
    server
}

const FAR: &str = "tags__tickets__tags__tickets__tags__name";

fn slow() -> Value {
    json!({ format!("{FAR}__icontains"): "zzz" })
}

/// A request about tickets, with a filter that takes too long.
fn slowly(intent: &str, meta: Value, beside: &Value) -> Value {
    let mut all = json!({"filter": slow()});
    all.as_object_mut().unwrap().extend(meta.as_object().unwrap().clone());
    request(intent, "tickets.Ticket", &all, beside)
}

fn batch(atomic: bool, requests: &[Value]) -> Value {
    json!({"__meta__": {"schema": "controller", "intent": "execute", "namespace": "system.Batch"}, "atomic": atomic, "requests": requests})
}

fn new_tag(name: &str) -> Value {
    request("create", "tickets.Tag", &json!({}), &json!({ "name": name }))
}

fn counting() -> Value {
    request("count", "tickets.Tag", &json!({}), &json!({}))
}

#[test]
fn a_statement_that_takes_too_long_is_stopped_wherever_it_stands() {
    let server = with_slow_queries("300ms");
    let before = server.dump();
    let far = format!("-{FAR}");
    let one = json!({"uniqueObject": {"id": 1}});
    let title = json!({"title": "other"});
    let tickets = |meta: Value, beside: Value| request("retrieve", "tickets.Ticket", &meta, &beside);
    let alone = [
        slowly("retrieve", json!({}), &json!({"id": null})),
        slowly("retrieve", json!({"count": {"upTo": 5}}), &json!({"id": null})),
        slowly("retrieve", json!({"cache": {"enabled": true}}), &json!({"id": null})),
        slowly("retrieveOne", one.clone(), &json!({"id": null})),
        slowly("count", json!({}), &json!({})),
        tickets(json!({"ordering": far, "count": false}), json!({"id": null})),
        tickets(json!({"limit": 1}), json!({"tags": {"tickets": {"__meta__": {"filter": slow()}, "id": null}}})),
        tickets(
            json!({}),
            json!({"n": {"__meta__": {"intent": "subquery", "namespace": "tickets.Ticket", "filter": slow(),
                "sequencedProcess": [{"function": "Count"}]}}}),
        ),
        slowly("aggregate", json!({"groupBy": "status"}), &json!({"n": {"function": "Count"}})),
        request("aggregate", "tickets.Ticket", &json!({}), &json!({"n": {"function": "Count", "filter": slow()}})),
        slowly("update", one, &title),
        slowly("updateMany", json!({}), &title),
        slowly("updateMany", json!({"maxAffected": 1}), &title),
        slowly("deleteMany", json!({}), &json!({})),
        slowly("deleteMany", json!({"dryRun": true}), &json!({})),
    ];
    let said = "the query took longer than 300ms and was stopped";
    for body in alone {
        let reply = server.send(&body);
        assert_eq!((reply.status, reply.header("retry-after")), (503, Some("1")), "{body}\n{}", reply.body);
        let error = json!([{"code": "JQL:UnavailableException", "errorMessage": said, "hint": "narrow the filter, or index the fields it names"}]);
        assert_eq!(reply.json()["errors"], error, "{body}");
    }
    let slow_count = || slowly("count", json!({}), &json!({}));
    let slow_update = || slowly("updateMany", json!({}), &title);
    for body in [
        batch(true, &[counting(), slow_count()]),
        batch(true, &[new_tag("new"), slow_count()]),
        batch(true, &[new_tag("new"), slow_update()]),
        // Where a write is stopped, SQLite undoes all that was done before it.
        batch(false, &[new_tag("new"), slow_update(), new_tag("newer")]),
    ] {
        let reply = server.send(&body);
        assert_eq!((reply.status, reply.errors()), (503, vec![format!("/requests/1: {said}")]), "{body}");
        assert_eq!(reply.json()["extras"]["index"], json!(1));
    }
    assert_eq!(server.dump(), before);
    let reply = server.send(&batch(false, &[new_tag("new"), slow_count(), new_tag("newer")])).json();
    // A batch has the time of one request, so what comes behind is not begun.
    assert_eq!(reply["message"], json!("1 of 3 requests carried out."));
    for late in [1, 2] {
        assert_eq!(reply["data"][late]["errors"][0]["errorMessage"], json!(said));
    }
    assert_eq!(server.count("tickets.Tag"), 61);
}

/// A server with three tickets of this description, which gives a request a second.
fn with_long_texts(description: &str) -> Server {
    let server = Server::with(MODELS, &["--query-timeout", "1s"]);
    for _ in 0..3 {
        let fields = json!({"title": "long", "description": description});
        assert_eq!(server.send(&request("create", "tickets.Ticket", &json!({}), &fields)).status, 200);
    }
    server
}

#[test]
fn the_search_of_one_long_text_is_stopped_too() {
    // No stretch of it is like another, so that nothing is found again in what a search remembers.
    let letter =
        |place: u64| if place.wrapping_mul(0x9e37_79b9_7f4a_7c15).count_ones().is_multiple_of(2) { 'a' } else { 'b' };
    let server = with_long_texts(&(1..900_000).map(letter).collect::<String>());
    let expression = "(?:a[ab]{0,30}){0,20}[c-z]{2}";
    for (intent, lookup, beside) in [
        ("count", "regex", json!({})),
        ("updateMany", "iregex", json!({"title": "x"})),
        ("deleteMany", "regex", json!({})),
    ] {
        let filter = json!({"filter": {format!("description__{lookup}"): expression}});
        let reply = server.send(&request(intent, "tickets.Ticket", &filter, &beside));
        assert_eq!(reply.status, 503, "{intent}: {}", reply.body);
    }
    assert_eq!(server.send(&new_tag("next")).status, 200);
    assert_eq!(server.count("tickets.Ticket"), 3);
}

#[test]
fn a_search_for_words_that_could_not_be_stopped_is_refused() {
    let server = with_long_texts(&"café word ".repeat(20_000));
    let search = |expression: &str| {
        let filter = json!({"filter": {"description__regex": expression}});
        server.send(&request("count", "tickets.Ticket", &filter, &json!({})))
    };
    let reply = search(r"\b\w{1,20}\b zzz");
    let said = r": a regular expression with \b or \B takes too long on a long text that is not all ASCII";
    assert_eq!((reply.status, reply.errors()), (400, vec![said.to_owned()]));
    assert_eq!(reply.json()["errors"][0]["hint"], r"write (?-u:\b), which knows words of ASCII only");
    for (expression, found) in [(r"(?-u:\b)\w{1,20}(?-u:\b) zzz", 0), (r"\bword\b", 3)] {
        assert_eq!(search(expression).json()["data"], json!({"count": found}), "{expression}");
    }
}

#[test]
fn a_long_piece_of_a_long_text_is_found_in_one_pass() {
    let server = with_long_texts(&"a".repeat(900_000));
    let piece = "a".repeat(450_000) + "b" + &"a".repeat(449_000);
    for lookup in ["contains", "icontains", "startswith", "istartswith", "endswith", "iendswith"] {
        let filter = json!({"filter": {format!("description__{lookup}"): piece}});
        let reply = server.send(&request("count", "tickets.Ticket", &filter, &json!({})));
        assert_eq!((reply.status, &reply.json()["data"]), (200, &json!({"count": 0})), "{lookup}");
    }
}

#[test]
fn others_are_served_while_statements_take_too_long_and_after() {
    let server = with_slow_queries("4s");
    let title = json!({"title": "other"});
    let other = server.key_for("tickets.*:*");
    let slow_count = || slowly("count", json!({}), &json!({}));
    let reads = [
        slowly("retrieve", json!({}), &json!({"id": null})),
        slowly("aggregate", json!({}), &json!({"n": {"function": "Count"}})),
        batch(true, &[counting(), slow_count()]),
        slowly("updateMany", json!({}), &title),
    ];
    let write = [batch(true, &[new_tag("never"), slowly("deleteMany", json!({}), &json!({}))])];
    for slow in [&reads[..], &write[..]] {
        let (sent, ended) = (AtomicUsize::new(0), AtomicUsize::new(0));
        std::thread::scope(|scope| {
            let send = |request: &Value| {
                let mut client = Client::connect(&server.address);
                sent.fetch_add(1, Ordering::SeqCst);
                let reply = client.jql(&server.key, &request.to_string());
                ended.fetch_add(1, Ordering::SeqCst);
                reply
            };
            let replies: Vec<_> = slow.iter().map(|request| scope.spawn(move || send(request))).collect();
            eventually("all are sent", || sent.load(Ordering::SeqCst) == slow.len());
            std::thread::sleep(Duration::from_millis(100));
            for _ in 0..5 {
                assert_eq!(server.send_as(&other, &counting()).status, 200);
            }
            assert_eq!(ended.load(Ordering::SeqCst), 0, "the others were answered after the slow ones");
            // A write waits for its turn, which comes when the one before it is stopped.
            eventually("it is written", || server.send_as(&other, &new_tag("new")).status == 200);
            for reply in replies {
                assert_eq!(reply.join().unwrap().status, 503);
            }
        });
        assert_eq!(server.data(&counting()), json!({"count": 61}));
        server.data(&request("deleteMany", "tickets.Tag", &json!({"filter": {"name": "new"}}), &json!({})));
    }
}
