//! Tables of another SQLite file as models: what each rule comes to, that every value is there, and what a file that means ill does.

use crate::support::{Folder, fails, jqlite, records, run, skip};
use rusqlite::Connection;
use rusqlite::types::ValueRef;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

/// A file of another program, made by these statements.
fn made(folder: &Folder, statements: &str) -> PathBuf {
    let path = folder.path("shop.sqlite");
    let connection = Connection::open(&path).unwrap();
    // As in most programs, nobody asks whether references hold.
    connection.execute_batch(&format!("PRAGMA foreign_keys = OFF; {statements}")).unwrap();
    path
}

/// What the command tells of a file that these statements make; `words` are its options.
#[track_caller]
fn told(folder: &Folder, statements: &str, words: &[&str]) -> Value {
    let path = made(folder, statements);
    let all: Vec<&str> =
        ["models", "import", "--json", path.to_str().unwrap()].into_iter().chain(words.to_vec()).collect();
    serde_json::from_str(&run(folder, &all)).unwrap()
}

/// A file taken over: what was told of it, and the database.
#[track_caller]
fn imported(statements: &str) -> (Value, Folder) {
    let folder = Folder::new();
    let told = told(&folder, statements, &[]);
    run(&folder, &["check"]);
    (told, folder)
}

/// Why a file is not taken over, after which there are no models.
#[track_caller]
fn refused(statements: &str, words: &[&str]) -> String {
    let folder = Folder::new();
    let path = made(&folder, statements);
    let all: Vec<&str> = ["models", "import", path.to_str().unwrap()].into_iter().chain(words.to_vec()).collect();
    let why = fails(&folder, &all, 1);
    if folder.database().exists() {
        assert_eq!(run(&folder, &["models", "show"]), "{}", "{why}");
    }
    why.replace(folder.path("").to_str().unwrap(), "")
}

fn models(folder: &Folder) -> Value {
    serde_json::from_str(&run(folder, &["models", "show"])).unwrap()
}

/// A list of notes, a line each.
fn notes(told: &Value, list: &str) -> Vec<String> {
    let part = |note: &Value, name: &str| note[name].as_str().unwrap().to_owned();
    let line = |note: &Value| format!("{}, {}: {}", part(note, "table"), part(note, "what"), part(note, "why"));
    told[list].as_array().unwrap().iter().map(line).collect()
}

/// Columns of these types with these values, and of each the field that it becomes and what is not taken over, each in a
/// table of its own.
#[track_caller]
fn assert_fields(cases: &[(&str, &str, Value, &str)]) {
    let table = |(place, (declared, values, ..)): (usize, &(&str, &str, Value, &str))| {
        format!(
            "CREATE TABLE t{place} (id INTEGER PRIMARY KEY, b {declared}); INSERT INTO t{place} (b) VALUES {values};"
        )
    };
    let (told, folder) = imported(&cases.iter().enumerate().map(table).collect::<String>());
    let (models, left) = (models(&folder), notes(&told, "not_taken_over"));
    for (place, (declared, values, field, why)) in cases.iter().enumerate() {
        assert_eq!(models[format!("shop.T{place}")]["fields"]["b"], *field, "{declared} {values}");
        let start = format!("t{place}, ");
        let left: Vec<&str> = left.iter().filter_map(|note| note.strip_prefix(&start)).collect();
        assert_eq!(left.join("\n"), *why, "{declared} {values}");
    }
}

#[test]
fn types_are_what_was_declared_where_all_values_are_of_it() {
    let null = |kind: &str| json!({"type": kind, "null": true});
    assert_fields(&[
        ("INTEGER NOT NULL", "(1), (-9223372036854775808)", json!({"type": "integer"}), ""),
        ("UNSIGNED BIG INT", "(1), (NULL)", null("integer"), ""),
        ("BOOLEAN", "(0), (1), (NULL)", null("boolean"), ""),
        ("BOOL", "('t'), ('FALSE')", null("boolean"), ""),
        ("REAL", "(1), (0.1)", null("float"), ""),
        ("DOUBLE PRECISION", "(1e300)", null("float"), ""),
        ("DATE", "('2024-02-29'), (NULL)", null("date"), ""),
        (
            "DATE",
            "('2024-02-29'), ('2024-02-29 10:00')",
            null("datetime"),
            "the type DATE of b: \"2024-02-29 10:00\" is not a date, so that the field is a datetime",
        ),
        ("DATETIME", "('2024-02-29 10:00:00.5'), ('2024-02-29T10:00:00+02:00')", null("datetime"), ""),
        ("TIMESTAMP", "('2024-02-29')", null("datetime"), ""),
        ("TIME", "('10:00')", null("time"), ""),
        ("TEXT", "('a')", null("text"), ""),
        ("VARCHAR(5)", "('Größe')", json!({"type": "string", "max_length": 5, "null": true}), ""),
        ("UUID", "('A0EEBC999C0B4EF8BB6D6BB9BD380A11')", null("uuid"), ""),
        ("JSON", "('{\"a\": [1]}'), (7)", null("json"), ""),
        (
            "DECIMAL(10, 2)",
            "(9.99), (12), (-0.5)",
            json!({"type": "decimal", "max_digits": 10, "decimal_places": 2, "null": true}),
            "",
        ),
        ("NUMERIC(4)", "(1234)", json!({"type": "decimal", "max_digits": 4, "decimal_places": 0, "null": true}), ""),
        ("NUMERIC", "(1), (2.5)", null("float"), ""),
        ("", "(1), (2)", null("integer"), ""),
        ("ANYTHING", "('a')", null("text"), ""),
    ]);
}

#[test]
fn a_type_that_values_disagree_with_gives_way_and_is_told() {
    let null = |kind: &str| json!({"type": kind, "null": true});
    assert_fields(&[
        (
            "INTEGER",
            "(1), (1.5)",
            null("float"),
            "the type INTEGER of b: 1.5 is not an integer, so that the field is a float",
        ),
        (
            "INTEGER",
            "(1), ('one')",
            null("text"),
            "the type INTEGER of b: \"one\" is not an integer, so that the field is a text",
        ),
        (
            "INTEGER",
            "(9007199254740993), (0.5)",
            null("text"),
            "the type INTEGER of b: 0.5 is not an integer, so that the field is a text",
        ),
        (
            "BOOLEAN",
            "(0), (2)",
            null("integer"),
            "the type BOOLEAN of b: 2 is not a boolean, so that the field is an integer",
        ),
        (
            "VARCHAR(3)",
            "('four')",
            null("text"),
            "the type VARCHAR(3) of b: \"four\" is longer than 3 characters, so that the field is a text",
        ),
        (
            "DECIMAL(4,2)",
            "(0.125)",
            null("float"),
            "the type DECIMAL(4,2) of b: 0.125 is not a decimal, so that the field is a float",
        ),
        (
            "DATETIME",
            "(1700000000)",
            null("integer"),
            "the type DATETIME of b: 1700000000 is not a datetime, so that the field is an integer",
        ),
        (
            "DATE",
            "('2024-02-30')",
            null("text"),
            "the type DATE of b: \"2024-02-30\" is not a date, so that the field is a text",
        ),
        ("JSON", "('null')", null("text"), "the type JSON of b: \"null\" is not a json, so that the field is a text"),
        (
            "JSON",
            "('{\"a\":1,\"a\":2}')",
            null("text"),
            "the type JSON of b: \"{\"a\":1,\"a\":2}\" is not a json, so that the field is a text",
        ),
        (
            "JSON",
            "('[1]'), (9e999)",
            null("text"),
            "the type JSON of b: inf is not a json, so that the field is a text",
        ),
        ("BLOB", "(x'00'), ('a'), (x'')", Value::Null, "b: 2 of its values are bytes, which no type of field holds"),
        ("BLOB", "(NULL)", Value::Null, "b: it is for bytes, which no type of field holds"),
    ]);
}

#[test]
fn every_value_is_what_it_was_or_told() {
    let (told, folder) = imported(
        "CREATE TABLE a (id INTEGER PRIMARY KEY, t TEXT, r REAL, m, d DATETIME, j JSON, n DECIMAL(18,6), b BOOLEAN);
         INSERT INTO a VALUES (3, 'naïve ''\"\\ 日本 🙂' || char(10), 0.1, 1, '2024-01-02 03:04:05', '{\"b\": 15}', 0.1, 1),
                              (900719925474099, '', -1e-300, 'x', NULL, '[]', -123456.5, 0), (5, NULL, 5, 2.5, NULL, NULL, NULL, NULL)",
    );
    assert_eq!(
        records(&folder, "shop.A"),
        [
            json!({"id": 3, "t": "naïve '\"\\ 日本 🙂\n", "r": 0.1, "m": "1", "d": "2024-01-02T03:04:05.000000Z", "j": {"b": 15}, "n": "0.100000", "b": true}),
            json!({"id": 5, "t": null, "r": 5.0, "m": "2.5", "d": null, "j": null, "n": null, "b": null}),
            json!({"id": 900719925474099_i64, "t": "", "r": -1e-300, "m": "x", "d": null, "j": [], "n": "-123456.500000", "b": false}),
        ]
    );
    assert_eq!(
        notes(&told, "changed"),
        [
            "a, m: 2 values are written as a text is: 1 becomes \"1\"",
            "a, d: 1 value is written as a datetime is: \"2024-01-02 03:04:05\" becomes \"2024-01-02T03:04:05.000000Z\"",
            "a, j: 1 value is written as a json is: \"{\"b\": 15}\" becomes \"{\"b\":15}\"",
        ]
    );
    assert_eq!((&told["loaded"], &told["tables"][0]["rows"]), (&json!(3), &json!(3)));
}

#[test]
fn rules_are_taken_over_or_told() {
    let (told, folder) = imported(
        "CREATE TABLE a (id INTEGER PRIMARY KEY AUTOINCREMENT, u TEXT UNIQUE, v INT NOT NULL DEFAULT -5, w TEXT COLLATE NOCASE,
             s TEXT NOT NULL DEFAULT 'it''s' CHECK (s IN ('it''s', 'new')), f BOOLEAN DEFAULT TRUE CHECK (f IN (0, 1)),
             at DATETIME DEFAULT CURRENT_TIMESTAMP, n INT CHECK (n > 0), x INT DEFAULT 'much', g INT AS (v + 1), UNIQUE (u, v), UNIQUE (id, v));
         CREATE INDEX plain ON a (v); CREATE INDEX two ON a (s, v DESC); CREATE INDEX down ON a (n DESC);
         CREATE INDEX some ON a (v) WHERE v > 1; CREATE UNIQUE INDEX fewer ON a (n) WHERE n > 1; CREATE INDEX reckoned ON a (lower(u));
         CREATE UNIQUE INDEX cased ON a (u COLLATE NOCASE); CREATE INDEX sorted ON a (s COLLATE NOCASE);",
    );
    assert_eq!(
        models(&folder)["shop.A"],
        json!({"fields": {
            "u": {"type": "text", "null": true, "unique": true},
            "v": {"type": "integer", "index": true, "default": -5},
            "w": {"type": "text", "null": true},
            "s": {"type": "text", "default": "it's", "choices": ["it's", "new"]},
            "f": {"type": "boolean", "null": true, "default": true},
            "at": {"type": "datetime", "null": true},
            "n": {"type": "integer", "null": true},
            "x": {"type": "integer", "null": true}},
            "unique_together": [["u", "v"]], "indexes": [["s", "-v"], ["-n"]]})
    );
    assert_eq!(
        notes(&told, "not_taken_over"),
        [
            "a, g: it is reckoned from other columns",
            "a, index some: it is of some rows only",
            "a, index fewer: it is of some rows only",
            "a, index reckoned: it is of something that is reckoned",
            "a, index cased, COLLATE NOCASE: it is unique as it is written",
            "a, index sorted, COLLATE NOCASE: texts are compared as they are",
            "a, CHECK (n > 0): only a list of values is taken over: `choices`",
            "a, w: COLLATE NOCASE: texts are compared as they are; `iexact` minds no case",
            "a, at, DEFAULT CURRENT_TIMESTAMP: it is no value; `auto_now_add` has the server set the moment",
            "a, x, DEFAULT 'much': it is no value that x may have",
        ]
    );
}

#[test]
fn rules_that_no_model_has_are_told() {
    let (told, _) = imported(
        "CREATE TABLE b (id INTEGER PRIMARY KEY);
         CREATE TABLE a (id INTEGER PRIMARY KEY, b INT REFERENCES b ON UPDATE CASCADE DEFERRABLE INITIALLY DEFERRED,
             c INT REFERENCES b NOT DEFERRABLE INITIALLY DEFERRED, t TEXT UNIQUE ON CONFLICT REPLACE, n INT NOT NULL ON CONFLICT ABORT,
             d DECIMAL(30, 2)); INSERT INTO a VALUES (1, NULL, NULL, 't', 1, 0.5)",
    );
    assert_eq!(
        notes(&told, "not_taken_over"),
        [
            "a, b to b: ON UPDATE CASCADE: an id stays what it is",
            "a, the type DECIMAL(30, 2) of d: a decimal has at most 18 digits, so that the field is a float",
            "a, DEFERRABLE INITIALLY DEFERRED: a reference holds from the write on that makes it",
            "a, ON CONFLICT REPLACE: a write that breaks a rule is refused",
        ]
    );
}

#[test]
fn ids_that_were_given_once_are_given_no_more() {
    let (_, folder) = imported(
        "CREATE TABLE a (id INTEGER PRIMARY KEY AUTOINCREMENT); INSERT INTO a VALUES (7), (50); DELETE FROM a WHERE id = 50;
         CREATE TABLE b (id INTEGER PRIMARY KEY AUTOINCREMENT); INSERT INTO b VALUES (9); DELETE FROM b;",
    );
    for model in ["shop.A", "shop.B"] {
        let file = folder.file(&format!("{model}.jsonl"), "{}\n");
        run(&folder, &["data", "load", file.to_str().unwrap()]);
    }
    assert_eq!(records(&folder, "shop.A"), [json!({"id": 7}), json!({"id": 51})]);
    assert_eq!(records(&folder, "shop.B"), [json!({"id": 10})]);
}

#[test]
fn what_is_told_reads_well() {
    let (told, folder) = imported(
        r#"CREATE TABLE a (id INTEGER PRIMARY KEY, "" TEXT COLLATE NOCASE, f BOOLEAN, s TEXT CHECK (s IN ('x', 'y', 'x')));
           INSERT INTO a VALUES (1, 'b', 't', 'x')"#,
    );
    let notes = [notes(&told, "not_taken_over"), notes(&told, "changed")].concat();
    for note in [
        "a, \"\": COLLATE NOCASE: texts are compared as they are; `iexact` minds no case",
        "a, \"\": the field is called field",
        "a, f: 1 value is written as a boolean is: \"t\" becomes true",
    ] {
        assert!(notes.contains(&note.to_owned()), "{note}: {notes:#?}");
    }
    assert_eq!(models(&folder)["shop.A"]["fields"]["s"]["choices"], json!(["x", "y"]));
    let text = run(&folder, &["models", "import", folder.path("shop.sqlite").to_str().unwrap(), "--app", "b"]);
    assert!(text.contains("imported 1 record in "), "{text}");
}

#[test]
fn keys_that_can_be_no_ids_stay_beside_new_ones_and_references_follow() {
    let (told, folder) = imported(
        "CREATE TABLE country (code TEXT PRIMARY KEY, name TEXT) WITHOUT ROWID;
         CREATE TABLE city (id TEXT PRIMARY KEY COLLATE NOCASE, country TEXT REFERENCES country);
         CREATE TABLE street (n INTEGER PRIMARY KEY, city_id TEXT REFERENCES city (id), zone INT REFERENCES zone (name));
         CREATE TABLE zone (id INTEGER PRIMARY KEY, name INT UNIQUE);
         INSERT INTO country VALUES ('fr', 'France'), ('de', 'Germany');
         INSERT INTO city VALUES ('Bonn', 'de'), ('Lyon', 'fr'), ('Atlantis', NULL);
         INSERT INTO zone VALUES (7, 70), (8, 80);
         INSERT INTO street VALUES (4, 'LYON', 80), (5, 'bonn', NULL);",
    );
    assert_eq!(
        records(&folder, "shop.Country"),
        [json!({"id": 1, "code": "de", "name": "Germany"}), json!({"id": 2, "code": "fr", "name": "France"})]
    );
    let cities = [("Bonn", json!(1)), ("Lyon", json!(2)), ("Atlantis", Value::Null)];
    let city =
        |(place, (name, country)): (usize, (&str, Value))| json!({"id": place + 1, "own_id": name, "country": country});
    assert_eq!(records(&folder, "shop.City"), cities.into_iter().enumerate().map(city).collect::<Vec<_>>());
    assert_eq!(
        records(&folder, "shop.Street"),
        [json!({"id": 4, "city": 2, "zone": 8}), json!({"id": 5, "city": 1, "zone": null})]
    );
    let changed = notes(&told, "changed");
    for note in [
        "country, code: an id is a whole number from 1, or a UUID: records have new ids, and this value beside them",
        "city, id: the field is called own_id",
        "street, city_id to city: it holds ids instead of values of id",
        "street, zone to zone: it holds ids instead of values of name",
    ] {
        assert!(changed.contains(&note.to_owned()), "{note}: {changed:#?}");
    }
    assert_eq!(models(&folder)["shop.City"]["fields"]["own_id"], json!({"type": "text", "unique": true}));
}

#[test]
fn references_are_compared_as_the_key_is() {
    let (_, folder) = imported(
        "CREATE TABLE parent (code TEXT PRIMARY KEY); INSERT INTO parent VALUES ('01'), ('1'), ('1.0');
         CREATE TABLE child (id INTEGER PRIMARY KEY, p INTEGER REFERENCES parent (code)); INSERT INTO child VALUES (1, 1);
         CREATE TABLE any (code PRIMARY KEY); INSERT INTO any VALUES (2), ('1');
         CREATE TABLE number (id INTEGER PRIMARY KEY, p INTEGER REFERENCES any (code)); INSERT INTO number VALUES (1, 2);
         CREATE TABLE word (id INTEGER PRIMARY KEY, p TEXT REFERENCES any (code)); INSERT INTO word VALUES (1, '1');",
    );
    for (model, id) in [("shop.Child", 2), ("shop.Number", 1), ("shop.Word", 2)] {
        assert_eq!(records(&folder, model), [json!({"id": 1, "p": id})], "{model}");
    }
}

#[test]
fn names_that_read_alike_together_are_kept_apart() {
    let (_, folder) = imported(
        r#"CREATE TABLE "a by b" (c TEXT UNIQUE); INSERT INTO "a by b" VALUES ('x'), ('y');
           CREATE TABLE a ("b by c" TEXT UNIQUE); INSERT INTO a VALUES ('y'), ('x');
           CREATE TABLE k (id INTEGER PRIMARY KEY, r TEXT REFERENCES "a by b" (c), s TEXT REFERENCES a ("b by c"));
           INSERT INTO k VALUES (1, 'x', 'x'), (2, 'y', 'y');"#,
    );
    assert_eq!(records(&folder, "shop.K"), [json!({"id": 1, "r": 1, "s": 2}), json!({"id": 2, "r": 2, "s": 1})]);
}

#[test]
fn what_is_unique_by_another_order_than_its_own_is_no_key() {
    let (told, folder) = imported(
        "CREATE TABLE p (id INTEGER PRIMARY KEY, k TEXT COLLATE NOCASE); CREATE UNIQUE INDEX i ON p (k COLLATE BINARY);
         INSERT INTO p VALUES (1, 'A'), (2, 'a'); CREATE TABLE c (id INTEGER PRIMARY KEY, p TEXT REFERENCES p (k));
         CREATE TABLE q (k TEXT COLLATE NOCASE, PRIMARY KEY (k COLLATE BINARY)) WITHOUT ROWID;
         CREATE TABLE d (id INTEGER PRIMARY KEY, q TEXT REFERENCES q);
         INSERT INTO q VALUES ('A'), ('a'); INSERT INTO c VALUES (1, 'a'); INSERT INTO d VALUES (1, 'a');",
    );
    assert_eq!(records(&folder, "shop.C"), [json!({"id": 1, "p": "a"})]);
    assert_eq!(records(&folder, "shop.D"), [json!({"id": 1, "q": "a"})]);
    let why = "nothing there is unique that it could refer to: what it holds stays a value";
    for note in ["c, p to p", "d, q to q"] {
        assert!(notes(&told, "not_taken_over").contains(&format!("{note}: {why}")), "{told}");
    }
}

#[test]
fn keys_that_are_uuids_are_ids() {
    let (told, folder) = imported(
        "CREATE TABLE a (key TEXT PRIMARY KEY, n INT); CREATE TABLE b (id INTEGER PRIMARY KEY, a TEXT REFERENCES a ON DELETE CASCADE);
         INSERT INTO a VALUES ('A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11', 1);
         INSERT INTO b VALUES (1, 'A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11'), (2, NULL);",
    );
    let id = "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11";
    assert_eq!(
        models(&folder)["shop.A"],
        json!({"id": {"type": "uuid"}, "fields": {"n": {"type": "integer", "null": true}}})
    );
    assert_eq!(records(&folder, "shop.A"), [json!({"id": id, "n": 1})]);
    assert_eq!(records(&folder, "shop.B"), [json!({"id": 1, "a": id}), json!({"id": 2, "a": null})]);
    assert_eq!(notes(&told, "changed").len(), 2, "{told}");
}

#[test]
fn digests_are_no_uuids() {
    let (_, folder) = imported(
        "CREATE TABLE a (h TEXT PRIMARY KEY); INSERT INTO a VALUES ('d41d8cd98f00b204e9800998ecf8427e');
         CREATE TABLE b (h CHAR(32) PRIMARY KEY); INSERT INTO b VALUES ('a0eebc999c0b4ef8bb6d6bb9bd380a11');",
    );
    assert_eq!(records(&folder, "shop.A"), [json!({"id": 1, "h": "d41d8cd98f00b204e9800998ecf8427e"})]);
    assert_eq!(records(&folder, "shop.B"), [json!({"id": "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"})]);
}

#[test]
fn ids_that_are_out_of_range_are_no_ids() {
    let (_, folder) = imported(
        "CREATE TABLE a (id INTEGER PRIMARY KEY, a_id REFERENCES a (id)); INSERT INTO a VALUES (0, 0), (-7, 9), (9, NULL);",
    );
    assert_eq!(
        records(&folder, "shop.A"),
        [
            json!({"id": 1, "own_id": -7, "a": 3}),
            json!({"id": 2, "own_id": 0, "a": 2}),
            json!({"id": 3, "own_id": 9, "a": null}),
        ]
    );
}

#[test]
fn references_of_several_columns_are_fields_of_their_own() {
    let (told, folder) = imported(
        "CREATE TABLE line (invoice INT, no INT, PRIMARY KEY (invoice, no)) WITHOUT ROWID;
         CREATE TABLE refund (id INTEGER PRIMARY KEY, line_invoice INT, line_no INT, FOREIGN KEY (line_invoice, line_no) REFERENCES line ON DELETE SET NULL);
         INSERT INTO line VALUES (5, 1), (5, 2), (3, 1); INSERT INTO refund VALUES (1, 5, 2), (2, 5, NULL), (3, 3, 1);",
    );
    assert_eq!(
        records(&folder, "shop.Refund"),
        [
            json!({"id": 1, "line_invoice": 5, "line_no": 2, "line": 3}),
            json!({"id": 2, "line_invoice": 5, "line_no": null, "line": null}),
            json!({"id": 3, "line_invoice": 3, "line_no": 1, "line": 1}),
        ]
    );
    let all = models(&folder);
    assert_eq!(all["shop.Line"]["unique_together"], json!([["invoice", "no"]]));
    assert_eq!(
        all["shop.Refund"]["fields"]["line"],
        json!({"type": "ref", "to": "shop.Line", "on_delete": "set_null", "null": true})
    );
    let why = "refund, line_invoice, line_no to line: it is a field of its own, which holds ids, beside them";
    assert!(notes(&told, "changed").contains(&why.to_owned()), "{told}");
}

#[test]
fn references_may_go_in_circles_and_to_the_table_itself() {
    let (_, folder) = imported(
        "CREATE TABLE a (id INTEGER PRIMARY KEY, b_id INT REFERENCES b, parent_id INT REFERENCES a);
         CREATE TABLE b (id INTEGER PRIMARY KEY, a_id INT NOT NULL REFERENCES a ON DELETE CASCADE, other_a INT REFERENCES a ON DELETE RESTRICT);
         INSERT INTO a VALUES (1, 2, 3), (2, 1, 1), (3, NULL, 3); INSERT INTO b VALUES (1, 1, NULL), (2, 2, 3);",
    );
    assert_eq!(
        records(&folder, "shop.A"),
        [
            json!({"id": 1, "b": 2, "parent": 3}),
            json!({"id": 2, "b": 1, "parent": 1}),
            json!({"id": 3, "b": null, "parent": 3})
        ]
    );
    assert_eq!(
        records(&folder, "shop.B"),
        [json!({"id": 1, "a": 1, "other_a": null}), json!({"id": 2, "a": 2, "other_a": 3})]
    );
    let b = &models(&folder)["shop.B"]["fields"];
    assert_eq!(b["a"], json!({"type": "ref", "to": "shop.A", "on_delete": "cascade"}));
    assert_eq!(
        b["other_a"],
        json!({"type": "ref", "to": "shop.A", "on_delete": "restrict", "related_name": "b_by_other_a", "null": true})
    );
}

#[test]
fn a_table_between_two_others_stays_one() {
    let (_, folder) = imported(
        "CREATE TABLE song (id INTEGER PRIMARY KEY); CREATE TABLE list (id INTEGER PRIMARY KEY);
         CREATE TABLE list_song (list_id INT REFERENCES list, song_id INT REFERENCES song, PRIMARY KEY (list_id, song_id));
         INSERT INTO song VALUES (1), (2); INSERT INTO list VALUES (7); INSERT INTO list_song VALUES (7, 2), (7, 1);",
    );
    assert_eq!(
        records(&folder, "shop.ListSong"),
        [json!({"id": 1, "list": 7, "song": 2}), json!({"id": 2, "list": 7, "song": 1})]
    );
    assert_eq!(models(&folder)["shop.ListSong"]["unique_together"], json!([["list", "song"]]));
}

#[test]
fn references_that_can_be_none_are_told_and_their_columns_stay() {
    let (told, folder) = imported(
        "CREATE TABLE b (id INTEGER PRIMARY KEY, n INT); CREATE VIEW v AS SELECT 1 AS id;
         CREATE TABLE a (id INTEGER PRIMARY KEY REFERENCES b, x INT REFERENCES b (n), y INT REFERENCES gone, z INT REFERENCES v (id),
             w INT NOT NULL REFERENCES b ON DELETE SET NULL, t INT REFERENCES b ON DELETE SET DEFAULT DEFAULT 5);
         INSERT INTO b VALUES (1, 1); INSERT INTO a VALUES (1, 1, 7, 8, 1, 1);",
    );
    assert_eq!(records(&folder, "shop.A"), [json!({"id": 1, "own_id": 1, "x": 1, "y": 7, "z": 8, "w": 1, "t": 1})]);
    assert_eq!(
        notes(&told, "not_taken_over"),
        [
            "a, x to b: nothing there is unique that it could refer to: what it holds stays a value",
            "a, y to gone: that is no table of records: what it holds stays a value",
            "a, z to v: that is no table of records: what it holds stays a value",
            "a, w to b: ON DELETE SET NULL of what is NOT NULL: it is `restrict`",
            "a, t to b: ON DELETE SET DEFAULT: it is `restrict`",
            "a, t, DEFAULT 5: a reference has no default",
            "v, : it is a view",
        ]
    );
    assert!(notes(&told, "changed").contains(&"a, id: it is the id and a reference: records have both".to_owned()));
}

#[test]
fn names_become_ones_that_models_may_have() {
    let (told, folder) = imported(
        r#"CREATE TABLE "Order Details" (id INTEGER PRIMARY KEY, "Unit Price" REAL, unit_price REAL, "2nd" INT, "Größe" INT, pk INT, "select" INT);
           CREATE TABLE "2024" (rowid TEXT, _rowid_ TEXT, oid TEXT); INSERT INTO "2024" VALUES ('a', 'b', 'c');"#,
    );
    let fields =
        models(&folder)["shop.OrderDetails"]["fields"].as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    assert_eq!(fields, ["unit_price", "unit_price_2", "field_2nd", "gr_e", "own_pk", "select"]);
    assert_eq!(records(&folder, "shop.Table2024"), [json!({"id": 1, "rowid": "a", "rowid_2": "b", "oid": "c"})]);
    assert!(
        notes(&told, "changed").contains(&"Order Details, unit_price: the field is called unit_price_2".to_owned())
    );
    assert_eq!(told["tables"][0]["columns"]["field_2nd"], json!("2nd"));
}

#[test]
fn names_that_clash_are_given_by_hand() {
    let clash = "CREATE TABLE ab (x); CREATE TABLE cd (x); CREATE TABLE \"日本\" (x)";
    let why = refused(clash, &[]);
    assert!(
        why.contains("the name of the table 日本 makes none of a model; give it one: --rename '日本=Name'"),
        "{why}"
    );
    let why = refused(clash, &["--rename", "日本=Ab"]);
    assert!(
        why.contains("the tables ab and 日本 would both be shop.Ab; give one another name: --rename '日本=Name'"),
        "{why}"
    );
    assert!(refused(clash, &["--rename", "c=D"]).contains("there is no table c to --rename; there are: ab, cd, 日本"));
    let why = refused(clash, &["--rename", "ab=One", "--rename", "AB=Two"]);
    assert!(why.contains("the table ab has two names by --rename"), "{why}");
    let folder = Folder::new();
    let told = told(&folder, clash, &["--rename", "日本=Japan", "--rename", "AB=Other", "--app", "lab"]);
    let names: Vec<&str> =
        told["tables"].as_array().unwrap().iter().map(|table| table["model"].as_str().unwrap()).collect();
    assert_eq!(names, ["lab.Other", "lab.Cd", "lab.Japan"]);
    let again = fails(
        &folder,
        &["models", "import", folder.path("shop.sqlite").to_str().unwrap(), "--app", "lab", "--rename", "日本=J"],
        1,
    );
    assert!(again.contains("there is a model lab.Cd already; name another --app"), "{again}");
    for words in
        [["--app", "System"], ["--app", "system"], ["--app", "sqlite_x"], ["--rename", "a=b"], ["--rename", "a"]]
    {
        let all: Vec<&str> = ["models", "import", "x"].into_iter().chain(words).collect();
        fails(&folder, &all, 2);
    }
}

#[test]
fn what_holds_no_records_is_told() {
    let (told, folder) = imported(
        "CREATE TABLE a (id INTEGER PRIMARY KEY, t); CREATE VIEW v AS SELECT * FROM a;
         CREATE TRIGGER tr AFTER INSERT ON a BEGIN SELECT 1; END;
         CREATE VIRTUAL TABLE docs USING fts5 (body); CREATE TABLE docs_more (id INTEGER PRIMARY KEY); ANALYZE;
         CREATE TABLE docs_parent (id INTEGER PRIMARY KEY);",
    );
    assert_eq!(told["loaded"], json!(0));
    let left = notes(&told, "not_taken_over");
    for note in [
        "v, : it is a view",
        "a, trigger tr: triggers are not taken over",
        "docs, : it is a virtual table",
        "docs_data, : it is a table of a virtual table",
    ] {
        assert!(left.contains(&note.to_owned()), "{note}: {left:#?}");
    }
    let names: Vec<String> = models(&folder).as_object().unwrap().keys().cloned().collect();
    assert_eq!(names, ["shop.A", "shop.DocsMore", "shop.DocsParent"]);
}

#[test]
fn a_dry_run_shows_the_models_and_makes_nothing() {
    let folder = Folder::new();
    let statements = "CREATE TABLE a (id INTEGER PRIMARY KEY, x BLOB); INSERT INTO a VALUES (1, x'00');";
    let shown = told(&folder, statements, &["--dry-run"]);
    assert_eq!(shown["models"], json!({"shop.A": {"fields": {}}}));
    assert_eq!((&shown["changes"], &shown["tables"][0]["rows"]), (&json!(["add shop.A"]), &json!(1)));
    assert!(!folder.database().exists());
    let text = run(&folder, &["models", "import", folder.path("shop.sqlite").to_str().unwrap(), "--dry-run"]);
    assert!(
        text.starts_with("add shop.A\n") && text.contains("Not taken over:\n\n a, x: 1 of its values is bytes"),
        "{text}"
    );
    let other = folder.file("models.json", r#"{"b.C": {"fields": {}}}"#);
    run(&folder, &["models", "apply", other.to_str().unwrap()]);
    let path = folder.path("shop.sqlite");
    let shown = run(&folder, &["models", "import", path.to_str().unwrap(), "--dry-run", "--json"]);
    let shown: Value = serde_json::from_str(&shown).unwrap();
    assert_eq!(shown["models"].as_object().unwrap().len(), 2, "those in force stay");
    assert_eq!(models(&folder).as_object().unwrap().len(), 1);
    run(&folder, &["models", "import", path.to_str().unwrap()]);
    assert_eq!(models(&folder).as_object().unwrap().len(), 2);
}

#[test]
fn a_dry_run_looks_at_every_row() {
    let folder = Folder::new();
    let path = made(&folder, BAD);
    let command = ["models", "import", path.to_str().unwrap(), "--dry-run"];
    let output = jqlite(&folder, &command).output().unwrap();
    let (shown, why) = (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap());
    assert_eq!(output.status.code(), Some(1), "{why}");
    assert!(shown.starts_with("add shop.B\nadd shop.A\n"), "{shown}");
    assert!(why.contains("a, rowid 3: /t:") && why.contains("nothing was loaded"), "{why}");
    assert!(!folder.database().exists());
}

/// Rows that no record can be made of: a reference to nothing, a text with a NUL, one that is not UTF-8.
const BAD: &str = "CREATE TABLE b (id INTEGER PRIMARY KEY); CREATE TABLE a (id INTEGER PRIMARY KEY, b INT REFERENCES b, t TEXT, k TEXT REFERENCES c);
     CREATE TABLE c (code TEXT PRIMARY KEY); INSERT INTO b VALUES (1); INSERT INTO c VALUES ('x');
     INSERT INTO a VALUES (1, 1, 'fine', 'x'), (2, 9, 'lost', NULL), (3, 1, 'a' || char(0) || 'b', NULL),
                          (-4, 1, CAST(x'ff' AS TEXT), NULL), (5, NULL, '', 'nowhere');";

#[test]
fn rows_that_are_refused_are_told_with_their_place() {
    let bad = BAD.replace("-4", "4");
    let why = refused(&bad, &[]);
    for part in [
        "a, rowid 2: /b: there is no shop.B with id 9",
        "a, rowid 3: /t: \"t\" is a text and cannot be \"a\\u0000b\": it holds a NUL character",
        "a, rowid 4: t: it is not UTF-8",
        "a, rowid 5: k: there is no row of c that it refers to: \"nowhere\"",
        "nothing was loaded",
    ] {
        assert!(why.contains(part), "{part}: {why}");
    }
}

#[test]
fn many_rows_that_are_refused_end_the_import_and_the_load() {
    let many = "CREATE TABLE t (id INTEGER PRIMARY KEY, a TEXT NOT NULL);
         WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20000) INSERT INTO t SELECT i, CAST(x'ff' AS TEXT) FROM n";
    let why = refused(many, &[]);
    assert!(why.contains("these are the first 100 mistakes; nothing was loaded"), "{why}");
    let folder = Folder::new();
    let models = folder.file("models.json", r#"{"x.T": {"fields": {"a": {"type": "integer"}}}}"#);
    run(&folder, &["models", "apply", models.to_str().unwrap()]);
    let file = folder.file("x.T.jsonl", &"{\"a\": \"x\"}\n".repeat(20_000));
    let why = fails(&folder, &["data", "load", file.to_str().unwrap()], 1);
    assert!(why.contains("these are the first 100 mistakes; nothing was loaded"), "{why}");
}

#[test]
fn rows_that_are_refused_can_be_set_aside() {
    let folder = Folder::new();
    let (path, rejects) = (made(&folder, BAD), folder.path("rejects.jsonl"));
    let (path, file) = (path.to_str().unwrap(), rejects.to_str().unwrap());
    let why = fails(&folder, &["models", "import", path, "--rejects", file], 1);
    assert!(why.contains(&format!("4 records were refused; they are in {file}")), "{why}");
    // With a row id below 1 the records have new ids, in the order of the old ones.
    assert_eq!(records(&folder, "shop.A"), [json!({"id": 2, "own_id": 1, "b": 1, "t": "fine", "k": 1})]);
    let text = std::fs::read_to_string(&rejects).unwrap();
    let mut places: Vec<Value> =
        text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()["rowid"].clone()).collect();
    places.sort_by_key(Value::as_i64);
    assert_eq!(places, [-4, 2, 3, 5]);
    run(&folder, &["check"]);
}

#[test]
fn what_is_no_file_of_sqlite_is_told() {
    let folder = Folder::new();
    let text = folder.file("a.db", "id,name\n1,a\n");
    let (empty, ours) = (folder.file("b.db", ""), folder.path("ours.db"));
    let encrypted = folder.path("c.db");
    std::fs::write(&encrypted, (0..8192_u32).map(|n| ((n * 7919) >> 3) as u8).collect::<Vec<_>>()).unwrap();
    let other = Folder::new().with_database(ours.clone());
    run(&other, &["bootstrap"]);
    for (path, why) in [
        (folder.path("none.db"), "there is no such file"),
        (folder.path(""), "it is a folder or a device, and no file"),
        ("/dev/null".into(), "it is a folder or a device, and no file"),
        (text, "it is no SQLite database, or is encrypted"),
        (empty, "it is no SQLite database, or is encrypted"),
        (encrypted, "it is no SQLite database, or is encrypted"),
        (ours, "is a database of jqlite's: `jqlite data dump`"),
        (made(&folder, "CREATE VIEW v AS SELECT 1"), "holds no table that could become a model"),
    ] {
        let told = fails(&folder, &["models", "import", path.to_str().unwrap()], 1);
        assert!(told.contains(why) && told.contains(path.to_str().unwrap()), "{why}: {told}");
        assert!(!folder.database().exists(), "{why}");
    }
}

#[test]
fn a_damaged_file_is_told() {
    let folder = Folder::new();
    let path = made(
        &folder,
        "CREATE TABLE a (id INTEGER PRIMARY KEY, t TEXT);
         WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 5000) INSERT INTO a SELECT i, 'text' || i FROM n",
    );
    let whole = std::fs::read(&path).unwrap();
    let path = path.to_str().unwrap();
    let mut damaged = whole.clone();
    damaged[4096 * 3..4096 * 5].fill(0xa5);
    for bytes in [&damaged[..], &whole[..whole.len() / 2]] {
        std::fs::write(path, bytes).unwrap();
        let told = fails(&folder, &["models", "import", path], 1);
        assert!(told.contains("damaged"), "{told}");
    }
}

#[test]
fn values_that_break_the_rules_of_a_file_are_no_damage() {
    let broken = "CREATE TABLE a (id INTEGER PRIMARY KEY, n INT, t TEXT, s TEXT); INSERT INTO a VALUES (1, NULL, NULL, 'x'), (2, 5, 6, 'y');
        PRAGMA writable_schema = ON; UPDATE sqlite_schema SET sql = replace(sql, 'n INT', 'n INT NOT NULL') WHERE name = 'a'";
    let why = refused(broken, &[]);
    assert!(why.contains("a, rowid 1: /n: ") && !why.contains("damaged"), "{why}");
    let folder = Folder::new();
    let (path, rejects) = (made(&folder, broken), folder.path("rejects.jsonl"));
    fails(&folder, &["models", "import", path.to_str().unwrap(), "--rejects", rejects.to_str().unwrap()], 1);
    assert_eq!(records(&folder, "shop.A"), [json!({"id": 2, "n": 5, "t": "6", "s": "y"})]);
}

#[test]
fn a_table_in_an_order_that_only_its_program_knows_is_told() {
    let (told, folder) = imported(
        "CREATE TABLE a (k TEXT COLLATE NOCASE PRIMARY KEY) WITHOUT ROWID; INSERT INTO a VALUES ('x');
         CREATE TABLE b (k TEXT COLLATE NOCASE PRIMARY KEY); INSERT INTO b VALUES ('x');
         CREATE TABLE c (id INTEGER PRIMARY KEY, a TEXT REFERENCES a); INSERT INTO c VALUES (1, 'x');
         PRAGMA writable_schema = ON; UPDATE sqlite_schema SET sql = replace(sql, 'NOCASE', 'PHONEBOOK')",
    );
    let left = notes(&told, "not_taken_over");
    let why = "a, : it is a table whose rows are in the order PHONEBOOK, which only its program knows";
    assert!(left.contains(&why.to_owned()), "{left:#?}");
    assert_eq!(records(&folder, "shop.B"), [json!({"id": 1, "k": "x"})]);
    assert_eq!(records(&folder, "shop.C"), [json!({"id": 1, "a": "x"})]);
}

#[test]
fn a_value_that_is_too_long_to_be_read_is_told_with_its_table() {
    let why = refused(
        "CREATE TABLE a (id INTEGER PRIMARY KEY, b BLOB); INSERT INTO a VALUES (1, zeroblob((64 << 20) + 1))",
        &[],
    );
    assert!(why.contains("shop.sqlite: a value of a is longer than 64 MiB, the most that is read"), "{why}");
}

#[test]
fn a_name_that_is_no_text_is_told_with_its_table() {
    for (from, to, name) in [("strange", "str\u{e9}nge", "strange"), ("column", "col\u{e9}mn", "plain")] {
        let folder = Folder::new();
        let path = made(
            &folder,
            "CREATE TABLE plain (id INTEGER PRIMARY KEY, column_1 TEXT); CREATE TABLE strange (id INTEGER PRIMARY KEY)",
        );
        let latin: Vec<u8> = to.chars().map(|c| u32::from(c) as u8).collect();
        let mut bytes = std::fs::read(&path).unwrap();
        while let Some(at) = bytes.windows(from.len()).position(|part| part == from.as_bytes()) {
            bytes[at..at + from.len()].copy_from_slice(&latin);
        }
        std::fs::write(&path, bytes).unwrap();
        let why = fails(&folder, &["models", "import", path.to_str().unwrap()], 1);
        let name = if name == "strange" { "str\u{fffd}nge" } else { name };
        assert!(why.contains(&format!("shop.sqlite: the name of {name}, or one in it, is not UTF-8")), "{why}");
    }
}

#[test]
fn nothing_that_a_file_brings_along_runs() {
    // What would run calls a function that none but its own program has, or writes.
    let (told, folder) = imported(
        r#"CREATE TABLE a (id INTEGER PRIMARY KEY, n INT CHECK (n <> 5), g AS (n * 2) STORED, h AS (n / 0));
           CREATE TABLE log (t); CREATE INDEX i ON a (abs(n)); CREATE INDEX j ON a (n) WHERE abs(n) > 1;
           CREATE TRIGGER tr AFTER INSERT ON a BEGIN INSERT INTO log VALUES ('ran'); END;
           CREATE VIEW w AS SELECT * FROM a; INSERT INTO a (n) VALUES (1);
           PRAGMA ignore_check_constraints = ON; INSERT INTO a (n) VALUES (5); DELETE FROM log;
           PRAGMA writable_schema = ON;
           UPDATE sqlite_schema SET sql = replace(replace(sql, 'abs(', 'launch('), 'n / 0', 'launch(n)') WHERE name IN ('a', 'i', 'j');
           UPDATE sqlite_schema SET sql = 'CREATE VIEW w AS SELECT launch(n) FROM a' WHERE name = 'w';"#,
    );
    assert_eq!(records(&folder, "shop.A"), [json!({"id": 1, "n": 1}), json!({"id": 2, "n": 5})]);
    assert_eq!(records(&folder, "shop.Log"), [] as [Value; 0]);
    assert!(notes(&told, "not_taken_over").contains(&"a, h: it is reckoned from other columns".to_owned()), "{told}");
}

#[test]
fn names_of_a_file_move_no_cursor() {
    let names = "CREATE TABLE \"t\u{1b}\" (a); CREATE TABLE \"t\u{9b}\u{1b}\" (a);";
    let why = refused(names, &[]);
    assert!(why.contains(r"t\u{1b}") && why.contains(r"t\u{9b}\u{1b}"), "{why}");
    assert!(!why.contains(|c: char| c.is_control() && c != '\n'), "{why}");
    let folder = Folder::new();
    let path = made(&folder, "CREATE TABLE a (x); CREATE VIEW \"v\u{9b}\u{202e}\" AS SELECT 1 AS y;");
    let told = run(&folder, &["models", "import", "--json", path.to_str().unwrap()]);
    assert!(told.contains(r"v\u009b\u202e"), "{told}");
    let told = serde_json::from_str(&told).unwrap();
    assert!(notes(&told, "not_taken_over")[0].starts_with("v\u{9b}\u{202e}, "), "{told}");
}

#[test]
fn names_and_texts_of_a_file_are_no_sql() {
    let name = r#"a"; DROP TABLE "b"; --"#;
    let quoted = format!("\"{}\"", name.replace('"', "\"\""));
    let (_, folder) = imported(&format!(
        r#"CREATE TABLE {quoted} ({quoted} TEXT PRIMARY KEY, "x'y" TEXT DEFAULT '''); DROP TABLE "b"; --' CHECK ("x'y" IN ('''', 'b"')));
           CREATE TABLE b (id INTEGER PRIMARY KEY, r TEXT REFERENCES {quoted}); CREATE INDEX "i""; --" ON b (r);
           INSERT INTO {quoted} VALUES ('k', 'b"'); INSERT INTO b VALUES (1, 'k');"#
    ));
    assert_eq!(records(&folder, "shop.B"), [json!({"id": 1, "r": 1})]);
    assert_eq!(records(&folder, "shop.ADROPTABLEB"), [json!({"id": 1, "a_drop_table_b": "k", "x_y": "b\""})]);
}

#[test]
fn a_file_is_read_and_nothing_made_beside_it() {
    let folder = Folder::new();
    let path =
        made(&folder, "PRAGMA journal_mode = WAL; CREATE TABLE a (id INTEGER PRIMARY KEY); INSERT INTO a VALUES (1)");
    let before = std::fs::read(&path).unwrap();
    let source = folder.path("source");
    std::fs::create_dir(&source).unwrap();
    let moved = source.join("50% of #1?.db");
    std::fs::rename(&path, &moved).unwrap();
    run(&folder, &["models", "import", moved.to_str().unwrap(), "--app", "lab"]);
    assert_eq!(std::fs::read(&moved).unwrap(), before);
    assert_eq!(std::fs::read_dir(&source).unwrap().count(), 1);
    assert_eq!(records(&folder, "lab.A"), [json!({"id": 1})]);
}

#[test]
fn what_only_the_log_beside_a_file_holds_is_read() {
    let folder = Folder::new();
    let path = folder.path("shop.sqlite");
    let open = Connection::open(&path).unwrap();
    open.execute_batch(
        "PRAGMA journal_mode = WAL; CREATE TABLE a (id INTEGER PRIMARY KEY); INSERT INTO a VALUES (1), (2)",
    )
    .unwrap();
    run(&folder, &["models", "import", path.to_str().unwrap()]);
    assert_eq!(records(&folder, "shop.A").len(), 2);
    drop(open);
}

/// The register of coordinate systems that Debian brings: keys of two columns, references to them, types that values disagree with.
const REGISTER: &str = "/usr/share/proj/proj.db";

#[test]
fn a_file_of_many_tables_comes_over_whole() {
    if !Path::new(REGISTER).exists() {
        return skip("the import of the register of coordinate systems", "it takes the package proj-data");
    }
    let folder = Folder::new();
    let told: Value = serde_json::from_str(&run(&folder, &["models", "import", REGISTER, "--json"])).unwrap();
    let (source, models) = (Connection::open(REGISTER).unwrap(), models(&folder));
    let (mut values, mut references) = (0, 0);
    for table in told["tables"].as_array().unwrap() {
        let (name, model) = (table["table"].as_str().unwrap(), table["model"].as_str().unwrap());
        let records = records(&folder, model);
        assert_eq!(table["rows"], json!(records.len()), "{name}");
        for (field, columns) in table["columns"].as_object().unwrap() {
            let rows = cells(&source, name, columns.as_str().unwrap());
            assert_eq!(rows.len(), records.len(), "{name}");
            for (record, row) in records.iter().zip(rows) {
                if models[model]["fields"][field]["type"] == "ref" {
                    let refers = row.iter().all(Option::is_some);
                    assert_eq!(record[field].is_number(), refers, "{name}.{field} {row:?}");
                    references += usize::from(refers);
                } else {
                    assert_eq!(plain(&record[field]), row[0], "{name}.{field}");
                    values += 1;
                }
            }
        }
    }
    assert!(values > 500_000 && references > 50_000, "{values} {references}");
    run(&folder, &["check"]);
}

/// The values of some columns, row by row in the order of ids or else of keys, as [`plain`] has them.
fn cells(source: &Connection, table: &str, columns: &str) -> Vec<Vec<Option<String>>> {
    let key = "SELECT group_concat(name) FROM (SELECT name FROM pragma_table_info(?1) WHERE pk > 0 ORDER BY pk)";
    let key = |_| source.query_row(key, [table], |row| row.get::<_, String>(0)).unwrap();
    let order = source.prepare(&format!("SELECT rowid FROM {table}")).map_or_else(key, |_| "rowid".into());
    let mut statement = source.prepare(&format!("SELECT {columns} FROM {table} ORDER BY {order}")).unwrap();
    let width = statement.column_count();
    let cell = |row: &rusqlite::Row<'_>, place| match row.get_ref(place).unwrap() {
        ValueRef::Null => None,
        ValueRef::Integer(number) => Some((number as f64).to_string()),
        ValueRef::Real(number) => Some(number.to_string()),
        ValueRef::Text(text) => plain(&json!(std::str::from_utf8(text).unwrap())),
        ValueRef::Blob(_) => panic!("{table} holds bytes"),
    };
    let rows = statement.query_map([], |row| Ok((0..width).map(|place| cell(row, place)).collect())).unwrap();
    rows.map(Result::unwrap).collect()
}

/// A value as text, numbers in one form, whatever their type.
fn plain(value: &Value) -> Option<String> {
    let text = match value {
        Value::Null => return None,
        Value::Bool(flag) => i64::from(*flag).to_string(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    Some(text.parse().map_or(text, |number: f64| number.to_string()))
}

#[test]
fn its_help_and_pages_are_there() {
    let folder = Folder::new();
    let help = run(&folder, &["models", "import", "--help"]);
    assert!(help.contains("--dry-run") && help.contains("jqlite models import shop.sqlite"), "{help}");
    assert!(run(&folder, &["completions", "bash"]).contains("jqlite__subcmd__models__subcmd__import"));
    let pages = folder.path("man");
    run(&folder, &["man", "--out", pages.to_str().unwrap()]);
    assert!(pages.join("jqlite-models-import.1").exists());
    assert_eq!(jqlite(&folder, &["models", "import"]).output().unwrap().status.code(), Some(2));
}
