//! Every clause that can name a field, each with a field of a record that a key may not read: of a reference, of a list, of
//! what refers here. All that would write is only tried.

use crate::support::request;
use serde_json::{Value, json};

pub const MODELS: &str = r#"{
  "desk.Box": {"fields": {"text": {"type": "string", "max_length": 80}}},
  "desk.Note": {"fields": {
    "text": {"type": "string", "max_length": 80}, "n": {"type": "integer", "default": 0}, "day": {"type": "date", "null": true},
    "box": {"type": "ref", "to": "desk.Box", "null": true, "related_name": "notes"},
    "secret": {"type": "ref", "to": "vault.Secret", "null": true, "related_name": "notes"},
    "secrets": {"type": "refs", "to": "vault.Secret", "related_name": "shared"}}},
  "desk.Found": {"fields": {"text": {"type": "string", "max_length": 80},
    "box": {"type": "ref", "to": "desk.Box", "null": true, "related_name": "found"},
    "secret": {"type": "ref", "to": "vault.Secret", "null": true, "related_name": "found"}}, "search": ["text", "secret__name"]},
  "desk.Sorted": {"fields": {"text": {"type": "string", "max_length": 80},
    "box": {"type": "ref", "to": "desk.Box", "null": true, "related_name": "sorted"},
    "secret": {"type": "ref", "to": "vault.Secret", "null": true, "related_name": "sorted"}}, "ordering": ["secret__name"]},
  "vault.Secret": {"fields": {
    "name": {"type": "string", "max_length": 80, "null": true, "unique": true}, "n": {"type": "integer"},
    "day": {"type": "date"}, "cost": {"type": "decimal", "max_digits": 9, "decimal_places": 2}, "data": {"type": "json"}}},
  "vault.Entry": {"fields": {"name": {"type": "string", "max_length": 80}, "n": {"type": "integer"},
    "note": {"type": "ref", "to": "desk.Note", "null": true, "on_delete": "cascade", "related_name": "entries"}}}
}"#;

/// The records that are in both of two databases.
pub const RECORDS: &str = r#"
    INSERT INTO "desk.Box" ("id", "text") VALUES (1, 'one'), (2, 'two');
    INSERT INTO "vault.Secret" ("id", "name", "n", "day", "cost", "data") VALUES
        (1, 'alpha', 1, '2024-01-31', 100, '{"a":4}'), (2, 'beta', 2, '2025-02-28', 200, '{"a":3}'),
        (3, 'gamma', 3, '2024-03-31', 300, '{"a":2}'), (4, NULL, 4, '2025-04-30', 400, '{"a":1}');
    INSERT INTO "desk.Note" ("id", "text", "n", "day", "box", "secret") VALUES
        (1, 'alpha', 1, '2024-01-31', 1, 1), (2, 'x', 2, '2024-02-28', 2, 2), (3, 'y', 3, NULL, 2, 3), (4, 'z', 9, NULL, 1, 4);
    INSERT INTO "desk.Note.secrets" ("source", "target") VALUES (1, 1), (1, 2), (2, 4), (3, 3);
    INSERT INTO "desk.Found" ("id", "text", "box", "secret") VALUES (1, 'p', 1, 1), (2, 'q', 1, 2);
    INSERT INTO "desk.Sorted" ("id", "text", "box", "secret") VALUES (1, 'p', 1, 1), (2, 'q', 1, 2), (3, 'r', 1, 3);
    INSERT INTO "vault.Entry" ("id", "name", "n", "note") VALUES (1, 'alpha', 1, 1), (2, 'beta', 2, 1), (3, 'gamma', 3, 3);"#;

/// What makes the hidden records of one of them others.
pub const OTHERS: &str = r#"
    UPDATE "vault.Secret" SET "name" = CASE "id" WHEN 1 THEN NULL ELSE 'omega' || (9 - "id") END, "n" = 50 - 7 * "id",
        "day" = '20' || (20 - "id") || '-0' || (9 - 2 * "id") || '-15', "cost" = 9 * "id", "data" = '{"b":7}';
    INSERT INTO "vault.Secret" ("id", "name", "n", "day", "cost", "data") VALUES (5, 'more', 5, '2020-05-05', 5, '{"a":1}');
    DELETE FROM "vault.Entry";
    INSERT INTO "vault.Entry" ("id", "name", "n", "note") VALUES (7, 'omega', 7, 2), (8, 'psi', 9, 2), (9, 'chi', 1, 4);"#;

const NOTE: &str = "desk.Note";

/// Conditions with that path to a text.
fn conditions(path: &str) -> Vec<Value> {
    let key = |lookup: &str| format!("{path}{lookup}");
    vec![
        json!({(key("")): "alpha"}),
        json!({(key("__in")): ["alpha", "beta"]}),
        json!({(key("__icontains")): "ALPH"}),
        json!({(key("__gt")): "h"}),
        json!({(key("__range")): ["a", "c"]}),
        json!({(key("__isnull")): true}),
        json!({(key("__regex")): "^[ag]"}),
        json!({"__and__": [{"id__gt": 0}, {(key("")): "alpha"}]}),
        json!({"__or__": [{"id": 4}, {(key("__startswith")): "al"}]}),
        json!({"__not__": {(key("")): "alpha"}}),
    ]
}

/// What narrows records by hidden ones.
fn narrowings() -> Vec<Value> {
    let mut all = Vec::new();
    for path in ["secret__name", "secrets__name", "entries__name"] {
        all.extend(conditions(path).into_iter().map(|condition| json!({"filter": condition})));
        all.push(json!({"exclude": {path: "alpha"}}));
        all.push(json!({"exclude": {"__not__": {(format!("{path}__endswith")): "a"}}}));
    }
    for condition in [
        json!({"text": {"__field__": "secret__name"}}),
        json!({"secret__name": {"__field__": "text"}}),
        json!({"n__lt": {"__field__": "secret__n"}}),
        json!({"entries__n__lte": 2}),
        json!({"entries": 1}),
        json!({"entries__isnull": false}),
        json!({"secret__day__year": 2024}),
        json!({"secret__day__week__gte": 10}),
        json!({"secret__data__a": 1}),
        json!({"secret__data__has_key": "a"}),
        json!({"secret__cost__gte": "2.00"}),
        json!({"secret__shared__entries__name": "alpha"}),
        json!({"entries__note__entries__name": "alpha"}),
    ] {
        all.push(json!({"filter": condition}));
    }
    all
}

/// What goes with `narrowing` where the intent takes it.
fn with(narrowing: &Value, more: Value) -> Value {
    let mut meta = narrowing.clone();
    meta.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    meta
}

/// The requests that are narrowed so.
fn narrowed(narrowing: &Value) -> Vec<Value> {
    let tried = |more: Value| with(narrowing, with(&json!({"dryRun": true}), more));
    let of_each_note = [1, 2, 3, 4].map(|id| json!({"uniqueObject": {"id": id}}));
    let ask = json!({"id": null});
    let mut all = vec![
        request("retrieve", NOTE, narrowing, &ask),
        request("retrieve", NOTE, &with(narrowing, json!({"count": false})), &ask),
        request("retrieve", NOTE, &with(narrowing, json!({"count": {"upTo": 1}, "limit": 0})), &ask),
        request("count", NOTE, narrowing, &json!({})),
        request("aggregate", NOTE, narrowing, &json!({"n": {"function": "Count"}})),
        request("updateMany", NOTE, &tried(json!({})), &json!({"text": "new"})),
        request("updateMany", NOTE, &tried(json!({"maxAffected": 0})), &json!({"text": "new"})),
        request("deleteMany", NOTE, &tried(json!({})), &json!({})),
        request("retrieve", "desk.Box", &json!({}), &json!({"notes": {"__meta__": narrowing, "id": null}})),
        request(
            "retrieve",
            "desk.Box",
            &json!({}),
            &json!({"count": {"__meta__": with(narrowing, json!({
            "intent": "subquery", "namespace": NOTE, "outerRefMapping": [{"field": "box", "referenceField": "id"}],
            "sequencedProcess": [{"function": "Count"}]}))}}),
        ),
        request(
            "aggregate",
            "desk.Note",
            &json!({}),
            &json!({"n": {"function": "Count", "filter": narrowing.get("filter").unwrap_or(narrowing)}}),
        ),
    ];
    if narrowing.get("filter").is_none() {
        all.pop(); // a total takes no `exclude`
    }
    for one in of_each_note {
        all.push(request("retrieveOne", NOTE, &with(narrowing, one.clone()), &ask));
        all.push(request("retrieve", NOTE, &with(narrowing, one.clone()), &ask));
        all.push(request("update", NOTE, &tried(one.clone()), &json!({"text": "new"})));
        all.push(request("deleteOne", NOTE, &tried(one), &json!({})));
    }
    // Where a request without a filter must not be, one that leaves nothing out stands there.
    let needs_filter =
        |request: &Value| ["updateMany", "deleteMany"].iter().any(|intent| request["__meta__"]["intent"] == *intent);
    all.into_iter()
        .map(|mut request| {
            if needs_filter(&request) && request["__meta__"].get("filter").is_none() {
                request["__meta__"]["filter"] = json!({});
            }
            request
        })
        .collect()
}

/// Orders by what is hidden, in each place that takes one.
fn orders() -> Vec<Value> {
    let mut all = Vec::new();
    for order in [
        "secret__name",
        "-secret__n",
        "secrets__n",
        "-entries__name",
        "entries__n",
        "secret__day__month",
        "secret__data__a",
    ] {
        let meta = json!({"ordering": [order]});
        all.push(request("retrieve", NOTE, &meta, &json!({"id": null})));
        all.push(request("retrieve", NOTE, &json!({"ordering": order, "limit": 3}), &json!({"id": null})));
        all.push(request("retrieve", "desk.Box", &json!({}), &json!({"notes": {"__meta__": meta, "id": null}})));
        let concat = json!({"function": "Concat", "onField": "text", "ordering": [order]});
        all.push(request("aggregate", NOTE, &json!({}), &json!({"all": concat})));
        all.push(of_box(json!({"ordering": order, "onField": "text"})));
        all.push(of_box(json!({"ordering": [order], "sequencedProcess": [{"function": "Last", "onField": "text"}]})));
    }
    all.push(request("retrieve", "desk.Sorted", &json!({}), &json!({"id": null})));
    all.push(request("retrieve", "desk.Box", &json!({}), &json!({"sorted": {"id": null}})));
    all
}

/// A subquery about the notes of each box.
fn of_box(more: Value) -> Value {
    let mut meta =
        json!({"intent": "subquery", "namespace": NOTE, "outerRefMapping": [{"field": "box", "referenceField": "id"}]});
    meta.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    request("retrieve", "desk.Box", &json!({}), &json!({"x": {"__meta__": meta}}))
}

/// A subquery of each note about hidden records.
fn of_secret(more: Value) -> Value {
    let mut meta = json!({"intent": "subquery", "namespace": "vault.Secret"});
    meta.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    request("retrieve", NOTE, &json!({}), &json!({"x": {"__meta__": meta}}))
}

/// Values of hidden records.
fn asked() -> Vec<Value> {
    vec![
        json!({"secret": {"name": null}}),
        json!({"secret": {}}),
        json!({"secrets": {"name": null, "n": null}}),
        json!({"entries": null}),
        json!({"entries": {}}),
        json!({"entries": {"__meta__": {"filter": {"n__gt": 0}, "ordering": "-n", "limit": 1, "offset": 1}, "name": null}}),
        json!({"entries": {"__meta__": {"exclude": {"n": 1}, "search": {"value": "a"}}, "name": null}}),
        json!({"secret": {"notes": {"entries": {"name": null}}}}),
        json!({"x": {"__field__": "secret__name"}}),
        json!({"x": {"__field__": "secret__day__year"}}),
        json!({"x": {"__field__": "secret__data__a"}}),
        json!({"x": {"__field__": "secret__name", "__transform__": {"upper": {}, "length": {}}}}),
        json!({"x": {"__field__": "entries"}}),
        json!({"secret": {"name": {"__transform__": {"map": {"values": {"alpha": 1}, "default": 0}}}}}),
        json!({"entries": {"__transform__": {"length": {}}}}),
    ]
}

/// Fields in each place that asks for some.
fn in_each_answer(asked: &Value) -> Vec<Value> {
    let one = json!({"uniqueObject": {"id": 1}});
    let tried = |more: &Value| with(more, json!({"dryRun": true, "return": asked}));
    let objects = json!({"objects": [{"text": "new", "secret": 2}]});
    vec![
        request("retrieve", NOTE, &json!({}), asked),
        request("retrieveOne", NOTE, &one, asked),
        request("create", NOTE, &tried(&json!({})), &json!({"text": "new", "secret": 1, "secrets": [1]})),
        request("createMany", NOTE, &tried(&objects), &json!({})),
        request("update", NOTE, &tried(&one), &json!({"secret": 1})),
        request("upsert", NOTE, &tried(&one), &json!({"text": "b"})),
    ]
}

/// Totals and groups of hidden records.
fn totals() -> Vec<Value> {
    let mut all = Vec::new();
    for on in ["secret__name", "entries__name", "secrets__name"] {
        for function in ["Count", "CountDistinct", "Min", "Max", "First", "Last", "Concat", "Exists"] {
            all.push(request(
                "aggregate",
                NOTE,
                &json!({"filter": {"id__lt": 3}, "groupBy": ["id"]}),
                &json!({"x": {"function": function, "onField": on}}),
            ));
        }
        all.push(request("aggregate", NOTE, &json!({"groupBy": [on]}), &json!({"x": {"function": "Count"}})));
        all.push(request("aggregate", NOTE, &json!({"groupBy": on, "ordering": [on]}), &json!({})));
        let of = json!({"x": {"function": "Min", "onField": on}});
        all.push(request("aggregate", NOTE, &json!({"groupBy": "id", "having": {"x__lt": "h"}, "ordering": "x"}), &of));
    }
    for on in ["secret__n", "entries__n"] {
        for step in [
            json!({"function": "Sum", "onField": on}),
            json!({"function": "Avg", "onField": on}),
            json!({"function": "Percentile", "onField": on, "value": 0.5}),
        ] {
            all.push(request("aggregate", NOTE, &json!({}), &json!({"x": step})));
            let mut step = step.clone();
            step["onField"] = json!("secret__n");
            all.push(of_box(json!({"sequencedProcess": [step, {"function": "Cast", "castType": "string"}]})));
        }
    }
    for day in ["secret__day__year", "secret__day__month"] {
        all.push(request("aggregate", NOTE, &json!({"groupBy": [day]}), &json!({"x": {"function": "Count"}})));
    }
    all.push(of_box(json!({"onField": "secret__name", "ordering": "id"})));
    all.push(of_box(json!({"filter": {"secret__name": "alpha"}, "sequencedProcess": [{"function": "Exists"}]})));
    for more in [
        json!({"onField": "name", "ordering": "n"}),
        json!({"sequencedProcess": [{"function": "Count"}]}),
        json!({"sequencedProcess": [{"function": "Sum", "onField": "n"}]}),
        json!({"filter": {"name": "alpha"}, "sequencedProcess": [{"function": "Exists"}]}),
        json!({"exclude": {"name": "alpha"}, "sequencedProcess": [{"function": "Count"}]}),
        json!({"search": {"value": "alph"}, "sequencedProcess": [{"function": "Count"}]}),
        json!({"onField": "name", "outerRefMapping": [{"field": "id", "referenceField": "secret"}]}),
        json!({"onField": "name", "outerRefMapping": [{"field": "name", "referenceField": "text"}]}),
        json!({"sequencedProcess": [{"function": "Count"}], "outerRefMapping": [{"field": "id", "referenceField": "secret__n"}]}),
    ] {
        all.push(of_secret(more));
    }
    all
}

/// Searches that look into hidden records.
fn searches() -> Vec<Value> {
    let search = json!({"search": {"value": "alpha"}});
    let of_found = json!({"__meta__": with(&search, json!({"intent": "subquery", "namespace": "desk.Found", "sequencedProcess": [{"function": "Count"}]}))});
    vec![
        request("retrieve", "desk.Found", &search, &json!({"id": null})),
        request("count", "desk.Found", &search, &json!({})),
        request("aggregate", "desk.Found", &search, &json!({"x": {"function": "Count"}})),
        request("retrieveOne", "desk.Found", &with(&search, json!({"uniqueObject": {"id": 1}})), &json!({"id": null})),
        request(
            "update",
            "desk.Found",
            &with(&search, json!({"uniqueObject": {"id": 1}, "dryRun": true})),
            &json!({"text": "new"}),
        ),
        request(
            "updateMany",
            "desk.Found",
            &with(&search, json!({"filter": {}, "dryRun": true})),
            &json!({"text": "new"}),
        ),
        request("deleteMany", "desk.Found", &with(&search, json!({"filter": {}, "dryRun": true})), &json!({})),
        request("retrieve", "desk.Box", &json!({}), &json!({"found": {"__meta__": search, "id": null}})),
        request("retrieve", "desk.Box", &json!({}), &json!({"x": of_found})),
    ]
}

/// Requests about the hidden models themselves.
fn direct() -> Vec<Value> {
    let secret = "vault.Secret";
    vec![
        request("retrieve", secret, &json!({}), &json!({})),
        request("retrieveOne", secret, &json!({"uniqueObject": {"name": "alpha"}}), &json!({})),
        request("count", secret, &json!({}), &json!({})),
        request("aggregate", secret, &json!({}), &json!({"x": {"function": "Sum", "onField": "n"}})),
        request("update", secret, &json!({"uniqueObject": {"name": "alpha"}, "dryRun": true}), &json!({"n": 1})),
        request("updateMany", secret, &json!({"filter": {"name": "alpha"}, "dryRun": true}), &json!({"n": 1})),
        request("deleteMany", "vault.Entry", &json!({"filter": {"name": "alpha"}, "dryRun": true}), &json!({})),
    ]
}

/// All clauses, in groups: those of a group name the same, each in another place. Not every place lets everything be told.
pub fn groups() -> Vec<Vec<Value>> {
    let alone = [orders(), totals(), searches(), direct()].concat().into_iter().map(|request| vec![request]);
    let narrowed = narrowings().iter().map(narrowed).collect::<Vec<_>>();
    narrowed.into_iter().chain(asked().iter().map(in_each_answer)).chain(alone).collect()
}
