//! Models: the tables they make, each kind of change, and what stands against one.
//!
//! What a command leaves behind is read with plain SQLite, as any other tool would read it.

use crate::support::{Client, Ending, Folder, MODELS, Server, eventually, fails, run};
use rusqlite::Connection;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

/// A database with these models, and these statements run on it by another tool.
fn database(models: &Value, statements: &str) -> Folder {
    let folder = Folder::new();
    apply(&folder, models, &[]);
    open(&folder).execute_batch(statements).unwrap();
    folder
}

fn open(folder: &Folder) -> Connection {
    Connection::open(folder.path("test.db")).unwrap()
}

/// The path of a file with these models.
fn file(folder: &Folder, models: &Value) -> String {
    folder.file("models.json", &models.to_string()).to_str().unwrap().to_owned()
}

/// Applies models, which must succeed and leave a sound database; gives the version in force.
#[track_caller]
fn apply(folder: &Folder, models: &Value, words: &[&str]) -> u64 {
    let file = file(folder, models);
    let answer = run(folder, &[&["models", "apply", "--json", &file], words].concat());
    sound(folder);
    serde_json::from_str::<Value>(&answer).unwrap()["version"].as_u64().unwrap()
}

/// Applies models, which must be refused and change nothing; gives what standard error says.
#[track_caller]
fn refused(folder: &Folder, models: &Value) -> String {
    let before = dump(folder);
    let file = file(folder, models);
    let said = fails(folder, &["models", "apply", &file], 1);
    assert_eq!(dump(folder), before, "a refused change changes nothing");
    sound(folder);
    said
}

#[track_caller]
fn sound(folder: &Folder) {
    assert_eq!(run(folder, &["check", "--json"]), "[]");
}

/// What `models diff` prints, by its three names.
#[track_caller]
fn diff(folder: &Folder, models: &Value) -> Value {
    let file = file(folder, models);
    serde_json::from_str(&run(folder, &["models", "diff", "--json", &file])).unwrap()
}

/// All rows of a statement, each as its values with `|` between.
#[track_caller]
fn rows(folder: &Folder, sql: &str) -> Vec<String> {
    let connection = open(folder);
    let mut statement = connection.prepare(sql).unwrap();
    let width = statement.column_count();
    let shown = |value: rusqlite::types::Value| match value {
        rusqlite::types::Value::Null => "null".to_owned(),
        rusqlite::types::Value::Integer(number) => number.to_string(),
        rusqlite::types::Value::Real(number) => number.to_string(),
        rusqlite::types::Value::Text(text) => text,
        rusqlite::types::Value::Blob(bytes) => format!("{bytes:?}"),
    };
    let row = |row: &rusqlite::Row<'_>| {
        (0..width).map(|index| row.get(index).map(shown)).collect::<Result<Vec<_>, _>>().map(|cells| cells.join("|"))
    };
    statement.query_map([], row).unwrap().map(Result::unwrap).collect()
}

/// The whole schema and all versions of the models.
fn dump(folder: &Folder) -> Vec<String> {
    let mut all = rows(folder, "SELECT name, sql FROM sqlite_schema ORDER BY name");
    all.extend(rows(folder, r#"SELECT id, definition FROM "system.ModelVersion" ORDER BY id"#));
    all
}

// -- Tables -------------------------------------------------------------------------------------

#[test]
fn every_model_is_a_strict_table_that_any_tool_reads() {
    let folder = database(&serde_json::from_str(MODELS).unwrap(), "");
    assert_eq!(
        rows(
            &folder,
            "SELECT name, strict FROM pragma_table_list WHERE schema = 'main' AND type = 'table'
             AND name NOT LIKE 'system.%' AND name NOT LIKE 'sqlite_%' ORDER BY name"
        ),
        [
            "fleet.Vehicle|1",
            "profile.Customer|1",
            "tickets.Category|1",
            "tickets.Tag|1",
            "tickets.Ticket|1",
            "tickets.Ticket.tags|1"
        ]
    );
    assert_eq!(
        rows(&folder, r#"SELECT name, type, "notnull", pk FROM pragma_table_info('tickets.Ticket')"#),
        [
            "id|INTEGER|0|1",
            "title|TEXT|1|0",
            "description|TEXT|0|0",
            "status|TEXT|1|0",
            "priority|INTEGER|1|0",
            "cost|INTEGER|0|0",
            "category|INTEGER|0|0",
            "customer|INTEGER|0|0",
            "created|TEXT|1|0",
            "updated|TEXT|1|0"
        ]
    );
    assert_eq!(
        rows(
            &folder,
            r#"SELECT "from", "table", "to", on_delete FROM pragma_foreign_key_list('tickets.Ticket') ORDER BY 1"#
        ),
        ["category|tickets.Category|id|NO ACTION", "customer|profile.Customer|id|SET NULL"]
    );
    assert_eq!(
        rows(&folder, r#"SELECT "from", "table" FROM pragma_foreign_key_list('tickets.Ticket.tags') ORDER BY 1"#),
        ["source|tickets.Ticket", "target|tickets.Tag"]
    );
    let indexed = r#"SELECT group_concat(k.name || iif(k."desc", ' desc', ''), ','), i."unique"
        FROM pragma_index_list('tickets.Ticket') AS i, pragma_index_xinfo(i.name) AS k
        WHERE k."key" AND k.name IS NOT NULL GROUP BY i.name ORDER BY 1"#;
    assert_eq!(rows(&folder, indexed), ["category|0", "customer|0", "status|0", "status,created desc|0"]);
}

#[test]
fn the_tables_refuse_what_the_models_forbid() {
    let folder = database(&serde_json::from_str(MODELS).unwrap(), "");
    let connection = open(&folder);
    let vehicle = |vin: &str, year: &str, gearbox: &str| {
        format!(
            r#"INSERT INTO "fleet.Vehicle" (vin, vrm, year, gearbox, purchase_type)
               VALUES ('{vin}', 'V1', {year}, '{gearbox}', 'cash')"#
        )
    };
    let vin = "A".repeat(17);
    connection.execute_batch(&vehicle(&vin, "2024", "manual")).unwrap();
    let other = "B".repeat(17);
    for (statement, word) in [
        (vehicle(&vin, "2024", "manual"), "UNIQUE"),
        (vehicle("short", "2024", "manual"), "CHECK"),
        (vehicle(&other, "1899", "manual"), "CHECK"),
        (vehicle(&other, "2101", "manual"), "CHECK"),
        (vehicle(&other, "'new'", "manual"), "INTEGER"),
        (vehicle(&other, "NULL", "manual"), "NOT NULL"),
        (vehicle(&other, "2024", "none"), "CHECK"),
        (r#"INSERT INTO "profile.Customer" (name, email, joined) VALUES ('a', 'a@b', 'today')"#.into(), "CHECK"),
        (
            r#"INSERT INTO "tickets.Ticket" (title, category, created, updated) VALUES
               ('a', 9, '2026-01-31T09:30:00.000000Z', '2026-01-31T09:30:00.000000Z')"#
                .into(),
            "FOREIGN KEY",
        ),
        (
            r#"INSERT INTO "tickets.Ticket" (title, created, updated) VALUES
               ('a', '2026-01-31T09:30:00Z', '2026-01-31T09:30:00.000000Z')"#
                .into(),
            "CHECK",
        ),
    ] {
        let error = connection.execute_batch(&statement).unwrap_err().to_string();
        assert!(error.contains(word), "{statement}: {error}");
    }
}

#[test]
fn names_that_are_words_of_sql_make_tables_too() {
    let models = json!({"order.Select": {"fields": {
        "group": {"type": "string", "unique": true}, "from": {"type": "integer", "default": -1, "index": true},
        "where": {"type": "ref", "to": "order.Select", "null": true},
        "values": {"type": "refs", "to": "order.Select", "related_name": "table"},
        "rowid": {"type": "string", "default": "it's"}},
        "unique_together": [["from", "group"]], "ordering": ["-group"], "search": ["group"]}});
    let server = Server::with(&models.to_string(), &[]);
    let id = server.create("order.Select", &json!({"group": "a", "values": [1]}));
    assert_eq!(
        server.record("order.Select", &id, &["group", "from", "where", "values", "rowid", "table"]),
        json!({"group": "a", "from": -1, "where": null, "values": [1], "rowid": "it's", "table": [1]})
    );
    let filter =
        json!({"filter": {"where__isnull": true, "values__from": -1, "rowid": "it's"}, "ordering": "where__group"});
    assert_eq!(server.ids("order.Select", &filter), json!([1]));
    sound(&server.folder);
}

#[test]
fn rules_hold_any_value_of_their_type() {
    let models = json!({"a.B": {"fields": {
        "least": {"type": "integer", "min": i64::MIN, "max": i64::MAX, "default": i64::MIN},
        "choice": {"type": "string", "choices": ["it's", "a\"b", "c;--", "é\n", "?1", ""], "default": "it's"},
        "small": {"type": "float", "min": -1e300, "max": 1e300, "default": 5e-324},
        "one": {"type": "float", "choices": [1, 0.1, -2.5e-7], "default": 1},
        "exact": {"type": "decimal", "max_digits": 18, "decimal_places": 18, "min": "-0.999999999999999999",
                  "default": "0.000000000000000001"},
        "data": {"type": "json", "default": {"it's": [1.5, null, "x\"y"]}},
        "day": {"type": "date", "choices": ["2024-02-29"], "default": "2024-02-29"},
        "key": {"type": "uuid", "choices": ["A0EEBC999C0B4EF8BB6D6BB9BD380A11"], "null": true}}}});
    let server = Server::with(&models.to_string(), &[]);
    let id = server.create("a.B", &json!({"key": "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"}));
    let fields = ["least", "choice", "small", "one", "exact", "data", "day"];
    let expected = json!({"least": i64::MIN, "choice": "it's", "small": 5e-324, "one": 1.0,
        "exact": "0.000000000000000001", "data": {"it's": [1.5, null, "x\"y"]}, "day": "2024-02-29"});
    assert_eq!(server.record("a.B", &id, &fields).to_string(), expected.to_string());
    for choice in ["a\"b", "c;--", "é\n", "?1", ""] {
        server.create("a.B", &json!({"choice": choice, "one": -2.5e-7, "least": i64::MAX}));
    }
    // A row that another tool makes gets the same defaults.
    open(&server.folder).execute_batch(r#"INSERT INTO "a.B" DEFAULT VALUES"#).unwrap();
    assert_eq!(server.record("a.B", &json!(7), &fields).to_string(), expected.to_string());
    sound(&server.folder);
}

// -- Changes ------------------------------------------------------------------------------------

#[test]
fn each_kind_of_change_is_named_and_keeps_the_records() {
    let first = json!({"a.B": {"fields": {"name": {"type": "string"}}}});
    let folder = database(
        &first,
        r#"INSERT INTO "a.B" (name) VALUES ('one'), ('two'), ('three'); DELETE FROM "a.B" WHERE id = 3;"#,
    );
    let mut models = first;
    let mut version = 1;
    let mut step = |pointer: &str, value: Value, expected: &[&str]| {
        let (parent, name) = pointer.rsplit_once('/').unwrap();
        let parent = models.pointer_mut(parent).unwrap().as_object_mut().unwrap();
        match value {
            Value::Null => drop(parent.shift_remove(name)),
            value => drop(parent.insert(name.into(), value)),
        }
        let planned = diff(&folder, &models);
        assert_eq!(planned, json!({"changes": expected, "losses": [], "obstacles": []}), "{pointer}");
        version += 1;
        assert_eq!(apply(&folder, &models, &[]), version, "{pointer}");
        assert_eq!(diff(&folder, &models)["changes"], json!([]), "{pointer}");
        assert_eq!(rows(&folder, r#"SELECT id, name FROM "a.B""#), ["1|one", "2|two"], "{pointer}");
    };
    let field = |name: &str| format!("/a.B/fields/{name}");
    step(&field("n"), json!({"type": "integer", "null": true}), &["add a.B.n"]);
    step(&field("s"), json!({"type": "string", "default": "x"}), &["add a.B.s"]);
    step(&field("made"), json!({"type": "datetime", "auto_now_add": true}), &["add a.B.made"]);
    step(&field("day"), json!({"type": "date", "auto_now": true}), &["add a.B.day"]);
    step(&field("clock"), json!({"type": "time", "auto_now": true}), &["add a.B.clock"]);
    step(
        &field("cost"),
        json!({"type": "decimal", "max_digits": 6, "decimal_places": 2, "default": "1.50"}),
        &["add a.B.cost"],
    );
    step(&field("cost/max_digits"), json!(8), &["alter a.B.cost: type"]);
    step(&field("name/max_length"), json!(20), &["alter a.B.name: max_length"]);
    step(&field("name/min_length"), json!(2), &["alter a.B.name: min_length"]);
    step(&field("name/pattern"), json!("^[a-z]+$"), &["alter a.B.name: pattern"]);
    step(&field("name/index"), json!(true), &["alter a.B.name: index"]);
    step(&field("name/unique"), json!(true), &["alter a.B.name: unique"]);
    step(&field("name/index"), Value::Null, &["alter a.B.name: index"]);
    step(&field("name/unique"), Value::Null, &["alter a.B.name: unique"]);
    step(&field("name/choices"), json!(["one", "two", "four"]), &["alter a.B.name: choices"]);
    step(&field("name/default"), json!("four"), &["alter a.B.name: default"]);
    step(&field("name/help"), json!("what it is called"), &["alter a.B.name: help"]);
    step(&field("name/null"), json!(true), &["alter a.B.name: null"]);
    step(&field("name/null"), Value::Null, &["alter a.B.name: null"]);
    step(&field("name/type"), json!("text"), &["alter a.B.name: type"]);
    step(&field("n/min"), json!(0), &["alter a.B.n: min"]);
    step(&field("n/max"), json!(9), &["alter a.B.n: max"]);
    step("/a.B/unique_together", json!([["name", "n"]]), &["alter a.B: unique_together"]);
    step("/a.B/indexes", json!([["-name", "s"]]), &["alter a.B: indexes"]);
    step("/a.B/ordering", json!(["-name"]), &["alter a.B: ordering"]);
    step("/a.B/search", json!(["name"]), &["alter a.B: search"]);
    step("/a.B/indexes", Value::Null, &["alter a.B: indexes"]);
    step("/a.B/unique_together", Value::Null, &["alter a.B: unique_together"]);
    step("/a.C", json!({"fields": {"b": {"type": "ref", "to": "a.B", "null": true}}}), &["add a.C"]);
    step(&field("c"), json!({"type": "ref", "to": "a.C", "null": true, "related_name": "bs"}), &["add a.B.c"]);
    step(&field("cs"), json!({"type": "refs", "to": "a.C", "related_name": "many"}), &["add a.B.cs"]);
    step("/a.C/fields/b/on_delete", json!("cascade"), &["alter a.C.b: on_delete"]);
    step("/a.C/fields/b/related_name", json!("held"), &["alter a.C.b: related_name"]);
    step(
        "/a.C/fields/b",
        json!({"type": "ref", "to": "a.C", "null": true}),
        &["replace a.C.b: ref to a.B by ref to a.C"],
    );
    step(
        &field("c"),
        json!({"type": "refs", "to": "a.C", "related_name": "bs"}),
        &["replace a.B.c: ref to a.C by refs to a.C"],
    );
    step(&field("n"), json!({"type": "boolean", "null": true}), &["replace a.B.n: integer by boolean"]);
    step(&field("cs"), Value::Null, &["drop a.B.cs"]);
    step(&field("c"), Value::Null, &["drop a.B.c"]);
    step(&field("n"), Value::Null, &["drop a.B.n"]);
    step("/a.C", Value::Null, &["drop a.C"]);
    let fields = models["a.B"]["fields"].as_object().unwrap().clone();
    models["a.B"]["fields"] = fields.into_iter().rev().collect();
    assert_eq!(diff(&folder, &models)["changes"], json!(["alter a.B: order of fields"]));
    apply(&folder, &models, &[]);
    assert_eq!(rows(&folder, r#"SELECT id, name, s, cost FROM "a.B""#), ["1|one|x|150", "2|two|x|150"]);
    let filled = rows(&folder, r#"SELECT count(*) FROM "a.B" WHERE made > '2' AND day > '2' AND clock >= '0'"#);
    assert_eq!(filled, ["2"]);
    open(&folder)
        .execute_batch(
            r#"INSERT INTO "a.B" (name, made, day, clock) SELECT 'four', made, day, clock FROM "a.B" LIMIT 1"#,
        )
        .unwrap();
    assert_eq!(rows(&folder, r#"SELECT id FROM "a.B" WHERE name = 'four'"#), ["4"], "the id 3 stays taken");
}

#[test]
fn dates_and_ids_become_text_without_loss() {
    let model = |kind: &str| json!({"a.B": {"fields": {"x": {"type": kind}}}});
    for (kind, value) in [
        ("date", "2024-02-29"),
        ("time", "09:30:00.000000"),
        ("datetime", "2024-02-29T09:30:00.000000Z"),
        ("uuid", "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"),
        ("string", "as it is"),
    ] {
        let folder = database(&model(kind), &format!(r#"INSERT INTO "a.B" (x) VALUES ('{value}')"#));
        apply(&folder, &model("text"), &[]);
        assert_eq!(rows(&folder, r#"SELECT x FROM "a.B""#), [value], "{kind}");
    }
}

#[test]
fn losses_are_counted_and_need_to_be_allowed() {
    let models = json!({
        "a.B": {"fields": {"name": {"type": "string"}, "n": {"type": "integer", "null": true},
                           "empty": {"type": "integer", "null": true},
                           "cs": {"type": "refs", "to": "a.C", "related_name": "bs"}}},
        "a.C": {"fields": {"name": {"type": "string"}}}});
    let folder = database(
        &models,
        r#"INSERT INTO "a.B" (name, n) VALUES ('one', 1), ('two', 2), ('three', NULL);
           INSERT INTO "a.C" (name) VALUES ('c'), ('d');
           INSERT INTO "a.B.cs" VALUES (1, 1), (1, 2), (2, 1);"#,
    );
    let mut less = models.clone();
    let fields = less["a.B"]["fields"].as_object_mut().unwrap();
    fields.shift_remove("n");
    fields.shift_remove("cs");
    fields.shift_remove("empty");
    fields["name"]["type"] = json!("json");
    fields["name"]["null"] = json!(true);
    less.as_object_mut().unwrap().shift_remove("a.C");
    let losses = ["3 values of a.B.name", "2 values of a.B.n", "3 values of a.B.cs", "2 records of a.C"];
    let said = refused(&folder, &less);
    for loss in losses {
        assert!(said.contains(loss) && said.contains("--allow-data-loss"), "{said}");
    }
    assert!(!said.contains("empty"), "{said}");
    let planned = diff(&folder, &less);
    let mut named: Vec<&str> =
        planned["losses"].as_array().unwrap().iter().map(|loss| loss.as_str().unwrap()).collect();
    named.sort_unstable();
    let mut expected = losses;
    expected.sort_unstable();
    assert_eq!(named, expected);
    assert_eq!(rows(&folder, r#"SELECT id, name, n FROM "a.B""#), ["1|one|1", "2|two|2", "3|three|null"]);
    apply(&folder, &less, &["--allow-data-loss"]);
    assert_eq!(rows(&folder, r#"SELECT * FROM "a.B""#), ["1|null", "2|null", "3|null"]);
}

#[test]
fn another_type_of_id_is_another_model() {
    let models = |id: &str| {
        json!({"a.B": {"id": {"type": id}, "fields": {"name": {"type": "string"},
                       "cs": {"type": "refs", "to": "a.C", "related_name": "bs"}}},
               "a.C": {"fields": {"b": {"type": "ref", "to": "a.B", "null": true},
                                  "all": {"type": "refs", "to": "a.B", "related_name": "of"}}}})
    };
    let folder = database(
        &models("integer"),
        r#"INSERT INTO "a.B" (name) VALUES ('one'); INSERT INTO "a.C" (b) VALUES (1);
           INSERT INTO "a.B.cs" VALUES (1, 1); INSERT INTO "a.C.all" VALUES (1, 1);"#,
    );
    let said = refused(&folder, &models("uuid"));
    for loss in ["1 record of a.B", "1 value of a.C.b", "1 value of a.C.all"] {
        assert!(said.contains(loss), "{said}");
    }
    apply(&folder, &models("uuid"), &["--allow-data-loss"]);
    assert_eq!(rows(&folder, r#"SELECT id, b FROM "a.C""#), ["1|null"]);
    apply(&folder, &models("integer"), &[]);
}

#[test]
fn a_refs_field_may_be_turned_to_another_model() {
    let models = |to: &str| {
        json!({"a.B": {"fields": {"others": {"type": "refs", "to": to, "related_name": "bs"}}},
               "a.C": {"fields": {}}, "a.D": {"fields": {}}})
    };
    let folder = database(&models("a.C"), "");
    assert_eq!(diff(&folder, &models("a.D"))["changes"], json!(["replace a.B.others: refs to a.C by refs to a.D"]));
    apply(&folder, &models("a.D"), &[]);
    assert_eq!(
        rows(&folder, r#"SELECT "table" FROM pragma_foreign_key_list('a.B.others') ORDER BY 1"#),
        ["a.B", "a.D"]
    );
}

#[test]
fn views_and_triggers_of_another_tool_outlive_a_rebuild() {
    let mut models = json!({"a.B": {"fields": {"name": {"type": "string"}}}, "a.C": {"fields": {}}});
    let folder = database(
        &models,
        r#"CREATE VIEW names AS SELECT name FROM "a.B"; INSERT INTO "a.B" (name) VALUES ('one');
           CREATE TRIGGER follow AFTER INSERT ON "a.C" BEGIN UPDATE "a.B" SET name = 'changed'; END;"#,
    );
    models["a.B"]["fields"]["name"]["max_length"] = json!(9);
    apply(&folder, &models, &[]);
    assert_eq!(rows(&folder, "SELECT name FROM names"), ["one"]);
    open(&folder).execute_batch(r#"INSERT INTO "a.C" DEFAULT VALUES"#).unwrap();
    assert_eq!(rows(&folder, "SELECT name FROM names"), ["changed"]);
}

#[test]
fn what_is_stored_may_stand_against_a_change() {
    let models = json!({"a.B": {"fields": {"name": {"type": "string", "null": true}, "n": {"type": "integer"},
                                           "c": {"type": "ref", "to": "a.C", "null": true}}},
                        "a.C": {"fields": {}}});
    let folder =
        database(&models, r#"INSERT INTO "a.B" (name, n) VALUES ('one', 1), ('one', 2), ('longer', 3), (NULL, 4)"#);
    let with = |pointer: &str, value: Value| {
        let mut models = models.clone();
        let (parent, name) = pointer.rsplit_once('/').unwrap();
        models.pointer_mut(parent).unwrap()[name] = value;
        models
    };
    let said = refused(&folder, &with("/a.B/fields/added", json!({"type": "integer"})));
    assert!(said.contains("4 records of a.B have no value for added"), "{said}");
    let planned = diff(&folder, &with("/a.B/fields/added", json!({"type": "integer"})));
    assert!(planned["obstacles"][0].as_str().unwrap().contains("added"), "{planned}");
    for (pointer, value, why) in [
        ("/a.B/fields/name/null", json!(false), "1 record of a.B has no value for name: give it one first"),
        ("/a.B/fields/c/null", json!(false), "4 records of a.B have no value for c: give them one first"),
        ("/a.B/fields/name/unique", json!(true), "2 records of a.B have the same name as others"),
        ("/a.B/fields/name/max_length", json!(5), "1 value of a.B.name does not fit its max_length"),
        ("/a.B/fields/name/min_length", json!(4), "2 values of a.B.name do not fit its min_length"),
        ("/a.B/fields/name/choices", json!(["one"]), "1 value of a.B.name does not fit its choices"),
        ("/a.B/fields/n/max", json!(3), "1 value of a.B.n does not fit its max"),
        ("/a.B/fields/n/min", json!(2), "1 value of a.B.n does not fit its min"),
        ("/a.B/unique_together", json!([["name"]]), "2 records of a.B have the same name as others"),
        ("/a.B/unique_together", json!([["n", "name"], ["c", "name"]]), ""),
    ] {
        let models = with(pointer, value);
        let obstacles = diff(&folder, &models)["obstacles"].clone();
        if why.is_empty() {
            assert_eq!(obstacles, json!([]), "{pointer}");
            continue;
        }
        assert_eq!(obstacles, json!([why]), "{pointer}");
        let said = refused(&folder, &models);
        assert!(said.contains(why), "{pointer}: {said}");
    }
    assert_eq!(rows(&folder, r#"SELECT count(*) FROM "a.B""#), ["4"]);
}

#[test]
fn foreign_keys_and_links_survive_a_rebuild_of_either_side() {
    let mut models = json!({
        "a.Parent": {"fields": {"name": {"type": "string"}}},
        "a.Child": {"fields": {
            "name": {"type": "string"},
            "parent": {"type": "ref", "to": "a.Parent", "on_delete": "cascade", "related_name": "children"},
            "sibling": {"type": "ref", "to": "a.Child", "null": true, "on_delete": "set_null", "related_name": "siblings"},
            "friends": {"type": "refs", "to": "a.Parent", "related_name": "friends_of"}}}});
    let folder = database(
        &models,
        r#"INSERT INTO "a.Parent" (name) VALUES ('p'), ('q'), ('r');
           INSERT INTO "a.Child" (name, parent, sibling) VALUES ('a', 1, NULL), ('b', 1, 1), ('c', 2, 1);
           INSERT INTO "a.Child.friends" VALUES (1, 1), (1, 3), (3, 2);
           DELETE FROM "a.Parent" WHERE id = 3;"#,
    );
    for model in ["a.Parent", "a.Child", "a.Parent"] {
        let length = models[model]["fields"]["name"]["max_length"].as_u64().unwrap_or(10) + 1;
        models[model]["fields"]["name"]["max_length"] = json!(length);
        apply(&folder, &models, &[]);
        assert_eq!(rows(&folder, r#"SELECT * FROM "a.Child""#), ["1|a|1|null", "2|b|1|1", "3|c|2|1"], "{model}");
        assert_eq!(rows(&folder, r#"SELECT * FROM "a.Child.friends""#), ["1|1", "3|2"], "{model}");
    }
    let server = Server::on(folder, &[]);
    assert_eq!(server.create("a.Parent", &json!({"name": "s"})), json!(4), "the id 3 stays taken");
    let delete =
        |id: u64| json!({"__meta__": {"intent": "deleteOne", "namespace": "a.Parent", "uniqueObject": {"id": id}}});
    server.data(&delete(1));
    let children = json!({"__meta__": {"intent": "retrieve", "namespace": "a.Child"},
                          "name": null, "sibling": null, "friends": null});
    assert_eq!(server.data(&children), json!([{"name": "c", "sibling": null, "friends": [2]}]));
    sound(&server.folder);
}

#[test]
fn an_apply_is_felt_by_a_running_server_on_the_next_request() {
    let server = Server::start();
    server.create("tickets.Tag", &json!({"name": "old"}));
    let mut client = Client::connect(&server.address);
    let mut ask = |field: &str| {
        let request = json!({"__meta__": {"intent": "retrieve", "namespace": "tickets.Tag"}, field: null});
        client.jql(&server.key, &request.to_string())
    };
    assert_eq!(ask("colour").status, 400);
    let mut models: Value = serde_json::from_str(MODELS).unwrap();
    for (rule, expected) in [
        (json!({"type": "string", "default": "red"}), json!([{"colour": "red"}])),
        (json!({"type": "text", "default": "blue", "null": true}), json!([{"colour": "red"}])),
    ] {
        models["tickets.Tag"]["fields"]["colour"] = rule;
        apply(&server.folder, &models, &[]);
        assert_eq!(ask("colour").json()["data"], expected);
    }
    assert_eq!(server.create("tickets.Tag", &json!({"name": "new"})), json!(2));
    assert_eq!(ask("colour").json()["data"], json!([{"colour": "red"}, {"colour": "blue"}]));
    models["tickets.Ticket"]["fields"].as_object_mut().unwrap().shift_remove("tags");
    models.as_object_mut().unwrap().shift_remove("tickets.Tag");
    apply(&server.folder, &models, &["--allow-data-loss"]);
    assert_eq!(ask("id").status, 404);
}

#[test]
fn an_apply_amid_writes_loses_none_that_was_acknowledged() {
    let server = Server::start();
    let finished = AtomicBool::new(false);
    let acknowledged = Mutex::new(BTreeMap::new());
    std::thread::scope(|scope| {
        let _ending = Ending(&finished);
        for client in 0..6 {
            let (server, finished, acknowledged) = (&server, &finished, &acknowledged);
            scope.spawn(move || {
                let mut connection = Client::connect(&server.address);
                for number in 0.. {
                    let name = format!("{client}-{number}");
                    let request = json!({"__meta__": {"intent": "create", "namespace": "tickets.Tag"}, "name": name});
                    let reply = connection.jql(&server.key, &request.to_string());
                    assert!(matches!(reply.status, 200 | 503), "{}", reply.body);
                    if reply.status == 200 {
                        acknowledged.lock().unwrap().insert(reply.json()["data"]["id"].as_u64().unwrap(), name);
                    }
                    if finished.load(Ordering::Relaxed) {
                        return;
                    }
                }
            });
        }
        let mut models: Value = serde_json::from_str(MODELS).unwrap();
        for length in 41..47 {
            let before = acknowledged.lock().unwrap().len();
            models["tickets.Tag"]["fields"]["name"]["max_length"] = json!(length);
            apply(&server.folder, &models, &[]);
            eventually("writes go on", || acknowledged.lock().unwrap().len() > before);
        }
    });
    let stored: Vec<String> =
        acknowledged.into_inner().unwrap().iter().map(|(id, name)| format!("{id}|{name}")).collect();
    assert_eq!(rows(&server.folder, r#"SELECT id, name FROM "tickets.Tag" ORDER BY id"#), stored);
    sound(&server.folder);
}

// -- The file -----------------------------------------------------------------------------------

#[test]
fn all_mistakes_of_a_file_are_told_in_one_run() {
    let folder = database(&json!({}), "");
    let text = r#"{
      "tickets.Ticket": { "fields": {
          "title": { "type": "strng" }, "Status": { "type": "string" }, "a__b": { "type": "string" },
          "cost": { "type": "decimal" }, "done": { "type": "boolean", "max_length": 3, "nul": true },
          "owner": { "type": "ref", "to": "people.Person" }, "n": { "type": "integer", "default": "many" },
          "m": { "type": "string", "choices": [] }, "p": { "type": "string", "pattern": "(" },
          "q": { "type": "date", "auto_now": true, "auto_now_add": true },
          "r": { "type": "ref", "to": "tickets.Ticket", "on_delete": "set_null" }, "s": 1, "t": {} },
        "orderng": [] },
      "Tickets.ticket": { "fields": {} },
      "system.Own": { "fields": {} },
      "tickets.None": {} }"#;
    let file = folder.file("wrong.json", text);
    let before = dump(&folder);
    for words in [["models", "apply"], ["models", "diff"]] {
        let said = fails(&folder, &[words[0], words[1], file.to_str().unwrap()], 1);
        for pointer in [
            "/tickets.Ticket/fields/title/type",
            "/tickets.Ticket/fields/Status",
            "/tickets.Ticket/fields/a__b",
            "/tickets.Ticket/fields/cost",
            "/tickets.Ticket/fields/done/max_length",
            "/tickets.Ticket/fields/done/nul",
            "/tickets.Ticket/fields/owner/to",
            "/tickets.Ticket/fields/n/default",
            "/tickets.Ticket/fields/m/choices",
            "/tickets.Ticket/fields/p/pattern",
            "/tickets.Ticket/fields/q",
            "/tickets.Ticket/fields/r/on_delete",
            "/tickets.Ticket/fields/s",
            "/tickets.Ticket/fields/t",
            "/tickets.Ticket/orderng",
            "/Tickets.ticket",
            "/system.Own",
            "/tickets.None",
        ] {
            assert!(said.contains(&format!("wrong.json#{pointer}")), "{pointer} is not in\n{said}");
        }
        assert!(said.contains("did you mean string?") && said.contains("did you mean \"null\"?"), "{said}");
    }
    assert_eq!(dump(&folder), before);
}

#[test]
fn the_app_system_is_reserved() {
    let folder = database(&json!({}), "");
    let said = refused(&folder, &json!({"system.ApiKey": {"fields": {}}}));
    assert!(said.contains("system"), "{said}");
}

#[test]
fn a_key_that_stands_twice_is_refused() {
    let folder = database(&json!({}), "");
    let file = folder.file("twice.json", r#"{"a.B": {"fields": {"x": {"type": "text"}, "x": {"type": "date"}}}}"#);
    let said = fails(&folder, &["models", "apply", file.to_str().unwrap()], 1);
    assert!(said.contains("/a.B/fields/x") && said.contains("twice"), "{said}");
}

#[test]
fn every_version_is_kept_and_shown_as_it_was_applied() {
    let folder = database(&json!({}), "");
    assert_eq!(run(&folder, &["models", "show"]), "{}");
    let one = json!({"a.B": {"fields": {"z": {"type": "text", "help": "é \"x\""}, "a": {"type": "integer"}}}});
    let two = json!({"a.B": {"fields": {"z": {"type": "text"}, "a": {"type": "integer"}}}});
    assert_eq!(apply(&folder, &one, &[]), 2);
    assert_eq!(run(&folder, &["models", "show"]), one.to_string());
    assert_eq!(apply(&folder, &one, &[]), 2, "nothing changed");
    assert_eq!(apply(&folder, &two, &[]), 3);
    assert_eq!(apply(&folder, &one, &[]), 4);
    assert_eq!(run(&folder, &["models", "show"]), one.to_string());
    let history: Value = serde_json::from_str(&run(&folder, &["models", "history", "--json"])).unwrap();
    let versions: Vec<&Value> = history.as_array().unwrap().iter().map(|version| &version["version"]).collect();
    assert_eq!(versions, [1, 2, 3, 4]);
    assert_eq!(
        rows(&folder, r#"SELECT definition FROM "system.ModelVersion" WHERE id IN (2, 3)"#),
        [one.to_string(), two.to_string()]
    );
    let said = fails(&folder, &["models", "apply", "/nowhere/models.json"], 1);
    assert!(said.contains("/nowhere/models.json"), "{said}");
}

#[test]
fn serve_applies_models_first_but_loses_nothing() {
    let folder =
        database(&json!({"a.B": {"fields": {"n": {"type": "integer"}}}}), r#"INSERT INTO "a.B" (n) VALUES (1)"#);
    let file = file(&folder, &json!({"a.B": {"fields": {}}}));
    let said = fails(&folder, &["serve", "--listen", "127.0.0.1:0", "--models", &file], 1);
    assert!(said.contains("1 value of a.B.n"), "{said}");
    let file = folder
        .file("more.json", r#"{"a.B": {"fields": {"n": {"type": "integer"}, "m": {"type": "text", "null": true}}}}"#);
    let file = file.to_str().unwrap().to_owned();
    let server = Server::on(folder, &["--models", &file]);
    assert_eq!(server.record("a.B", &json!(1), &["n", "m"]), json!({"n": 1, "m": null}));
}

#[test]
fn check_tells_what_another_tool_has_broken() {
    let models = json!({"a.B": {"fields": {"n": {"type": "integer", "index": true}}}});
    let folder = database(&models, r#"DROP INDEX "a.B:n""#);
    let said = fails(&folder, &["check"], 1);
    assert!(said.contains("a.B:n"), "{said}");
}

#[test]
fn orders_that_lead_back_and_names_that_sqlite_keeps_are_refused() {
    let folder = Folder::new();
    let file = folder.file(
        "models.json",
        r#"{ "a.B": { "fields": { "up": { "type": "ref", "to": "a.B", "null": true, "related_name": "down" } }, "ordering": ["up"] },
             "sqlite_a.C": { "fields": {} } }"#,
    );
    let said = fails(&folder, &["models", "apply", file.to_str().unwrap()], 1);
    assert!(said.contains("#/sqlite_a.C: ") && said.contains("SQLite keeps for itself"), "{said}");
    let file = folder.file(
        "models.json",
        r#"{ "a.B": { "fields": { "up": { "type": "ref", "to": "a.B", "null": true, "related_name": "down" } }, "ordering": ["up"] } }"#,
    );
    let said = fails(&folder, &["models", "apply", file.to_str().unwrap()], 1);
    assert!(said.contains("#/a.B/ordering: \"ordering\" leads back to the model itself"), "{said}");
}

#[test]
fn models_are_shown_to_programs_as_json_schema_and_typescript() {
    let folder = Folder::new();
    let models = r#"{"shop.Item": {"id": {"type": "uuid"}, "fields": {
        "title": {"type": "string", "max_length": 9, "help": "What it is */ called"},
        "state": {"type": "string", "choices": ["new", "old"], "default": "new"},
        "price": {"type": "decimal", "max_digits": 5, "decimal_places": 2, "null": true},
        "parts": {"type": "refs", "to": "shop.Item", "related_name": "whole"},
        "extra": {"type": "json", "null": true},
        "made": {"type": "datetime", "auto_now_add": true}}}}"#;
    let file = folder.file("models.json", models);
    run(&folder, &["models", "apply", file.to_str().unwrap()]);

    let types = run(&folder, &["models", "show", "--format", "typescript"]);
    let expected = "
/** shop.Item */
export interface ShopItem {
  readonly id: string;
  /** What it is * / called */
  title: string;
  state: \"new\" | \"old\";
  price: string | null;
  /** Ids of shop.Item. */
  parts: string[];
  extra: unknown;
  readonly made: string;
}

export interface NewShopItem {
  id?: string;
  title: string;
  state?: \"new\" | \"old\";
  price?: string | null;
  parts?: string[];
  extra?: unknown;
}

export interface Models {
  \"shop.Item\": ShopItem;
}

export interface NewRecords {
  \"shop.Item\": NewShopItem;
}";
    assert_eq!(types.split_once('\n').unwrap().1, expected);

    let schema: Value = serde_json::from_str(&run(&folder, &["models", "show", "--format", "jsonschema"])).unwrap();
    let item = &schema["$defs"]["shop.Item"];
    assert_eq!(item["required"], json!(["title"]));
    assert_eq!(item["properties"]["title"]["maxLength"], 9);
    assert_eq!(item["properties"]["state"]["enum"], json!(["new", "old"]));
    assert_eq!(item["properties"]["made"]["readOnly"], true);

    let described: Value = serde_json::from_str(&run(&folder, &["models", "show", "--format", "openapi"])).unwrap();
    assert!(described["components"]["schemas"]["shop.Item.create"].is_object());
}
