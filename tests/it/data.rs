//! Records in from files and out into files: what loads, what is refused, and that what is dumped loads again.

use crate::support::{Folder, MODELS, Server, eventually, fails, jqlite, run};
use serde_json::{Value, json};
use std::path::Path;
use std::process::Stdio;

/// Two models that refer to each other and to themselves, and every type of field.
fn models() -> String {
    json!({
        "shop.Category": {"fields": {
            "name": {"type": "string", "max_length": 40, "unique": true},
            "parent": {"type": "ref", "to": "shop.Category", "null": true, "on_delete": "set_null", "related_name": "children"},
            "best": {"type": "ref", "to": "shop.Product", "null": true, "on_delete": "set_null", "related_name": "best_of"}
        }},
        "shop.Product": {"id": {"type": "uuid"}, "versioned": true, "fields": {
            "title": {"type": "string", "max_length": 40, "null": true},
            "note": {"type": "text", "default": "none"},
            "price": {"type": "decimal", "max_digits": 10, "decimal_places": 2, "null": true},
            "stock": {"type": "integer", "null": true},
            "weight": {"type": "float", "null": true},
            "sold": {"type": "boolean", "default": false},
            "day": {"type": "date", "null": true},
            "hour": {"type": "time", "null": true},
            "extra": {"type": "json", "null": true},
            "category": {"type": "ref", "to": "shop.Category", "null": true, "on_delete": "restrict", "related_name": "products"},
            "others": {"type": "refs", "to": "shop.Product", "related_name": "other_of"},
            "created": {"type": "datetime", "auto_now_add": true},
            "updated": {"type": "datetime", "auto_now": true}
        }}
    })
    .to_string()
}

fn with_models(models: &str) -> Folder {
    let folder = Folder::new();
    let file = folder.file("models.json", models);
    run(&folder, &["models", "apply", file.to_str().unwrap()]);
    folder
}

/// Writes a file of tags that have these names.
fn tags(folder: &Folder, names: &[&str]) -> String {
    let lines: String = names.iter().map(|name| format!("{}\n", json!({ "name": name }))).collect();
    folder.file("tickets.Tag.jsonl", &lines).to_str().unwrap().to_owned()
}

fn dumped(folder: &Folder, model: &str, format: &str) -> String {
    run(folder, &["data", "dump", "--model", model, "--format", format])
}

fn loaded(folder: &Folder, words: &[&str]) -> Value {
    let all: Vec<&str> = ["data", "load", "--json"].iter().chain(words).copied().collect();
    serde_json::from_str(&run(folder, &all)).unwrap()
}

/// The files of a folder, each with its name and its text.
fn contents(folder: &Path) -> Vec<(String, String)> {
    let files = std::fs::read_dir(folder).unwrap().map(Result::unwrap);
    let mut all: Vec<(String, String)> = files
        .map(|file| (file.file_name().into_string().unwrap(), std::fs::read_to_string(file.path()).unwrap()))
        .collect();
    all.sort();
    all
}

/// A database with records that are hard to carry, made over HTTP.
fn hard() -> Folder {
    let server = Server::with(&models(), &[]);
    let top = server.create("shop.Category", &json!({"name": "top"}));
    let low = server.create("shop.Category", &json!({"name": "low, \"lower\"\nand lowest", "parent": top}));
    for title in
        ["", "'", "''=", "=1+1", "+1", "-1", "@a", "\tx", "\rx", "a,b", "\"q\"", "line\nline", "[1]", "null", " x "]
    {
        server.create("shop.Product", &json!({"title": title, "note": title, "extra": {"a": [title, null, 1.5]}}));
    }
    let full = json!({
        "price": "-12.50", "stock": -7, "weight": 0.1, "sold": true, "day": "2026-01-31", "hour": "09:30:00.25",
        "extra": null, "category": low
    });
    let first = server.create("shop.Product", &full);
    let second = server.create("shop.Product", &json!({"others": [first]}));
    let link = json!({"__meta__": {"intent": "update", "namespace": "shop.Product", "uniqueObject": {"id": first}}, "others": [first, second]});
    assert_eq!(server.send(&link).status, 200);
    // In circles: a category of a product of a category, and a parent that was made later.
    for change in [json!({"best": first}), json!({"parent": low})] {
        let mut request =
            json!({"__meta__": {"intent": "update", "namespace": "shop.Category", "uniqueObject": {"id": top}}});
        request.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        assert_eq!(server.send(&request).status, 200);
    }
    server.stop().1
}

#[track_caller]
fn assert_loads_again(format: &str) {
    let folder = hard();
    let dump = folder.path("dump");
    run(&folder, &["data", "dump", dump.to_str().unwrap(), "--format", format]);
    let other = with_models(&models());
    assert_eq!(loaded(&other, &[dump.to_str().unwrap()])["loaded"], 19);
    let again = other.path("again");
    run(&other, &["data", "dump", again.to_str().unwrap(), "--format", format]);
    assert_eq!(contents(&again), contents(&dump));
    for model in ["shop.Category", "shop.Product"] {
        assert_eq!(dumped(&other, model, "jsonl"), dumped(&folder, model, "jsonl"), "whatever its form");
    }
    run(&other, &["check"]);
}

#[test]
fn what_is_dumped_as_json_lines_loads_again_equal() {
    assert_loads_again("jsonl");
}

#[test]
fn what_is_dumped_as_csv_loads_again_equal() {
    assert_loads_again("csv");
}

#[test]
fn a_dump_as_csv_holds_no_formula() {
    let text = dumped(&hard(), "shop.Product", "csv");
    let mut reader = csv_rows(&text);
    assert!(reader.len() > 10);
    let numbers = ["price", "stock", "weight"];
    let header = reader.remove(0);
    for (row, (name, cell)) in reader.iter().flat_map(|row| header.iter().zip(row)).enumerate() {
        let is_formula = cell.starts_with(['=', '+', '-', '@', '\t', '\r']);
        assert!(!is_formula || numbers.contains(&name.as_str()), "cell {row}: {name} {cell:?}");
    }
}

/// Rows of CSV, by a reader of our own: quotes, doubled quotes, lines within quotes.
fn csv_rows(text: &str) -> Vec<Vec<String>> {
    let (mut rows, mut row, mut cell, mut quoted) = (Vec::new(), Vec::new(), String::new(), false);
    let mut characters = text.chars().peekable();
    while let Some(c) = characters.next() {
        match c {
            '"' if quoted && characters.peek() == Some(&'"') => cell.extend(characters.next()),
            '"' => quoted = !quoted,
            ',' if !quoted => row.push(std::mem::take(&mut cell)),
            '\n' if !quoted => {
                row.push(std::mem::take(&mut cell));
                rows.push(std::mem::take(&mut row));
            }
            _ => cell.push(c),
        }
    }
    rows
}

#[test]
fn a_load_is_all_or_nothing_and_tells_every_mistake_with_its_line() {
    let folder = with_models(MODELS);
    let text = "{\"name\": \"good\"}\n{\"nam\": 1}\n\n{\"name\": \"good\"}\nno\n[1]\n{\"name\": \"a\", \"name\": \"b\"}\n{\"id\": \"x\", \"name\": \"c\"}\n";
    let file = folder.file("tickets.Tag.jsonl", text);
    let told = fails(&folder, &["data", "load", file.to_str().unwrap()], 1);
    let named = format!("{}:", file.display());
    let lines: Vec<&str> = told.lines().map(|line| line.strip_prefix(&named).unwrap_or(line)).collect();
    assert_eq!(
        lines,
        [
            "2: /nam: tickets.Tag has no field \"nam\"; did you mean \"name\"?",
            "2: /name: tickets.Tag needs the field \"name\"",
            "4: /name: another tickets.Tag has this name already",
            "5: it is not JSON: expected ident at line 1 column 2",
            "6: it is not a JSON object",
            "7: /name stands twice",
            "8: /id: \"id\" is an integer and cannot be \"x\"",
            "jqlite: nothing was loaded",
        ]
    );
    assert_eq!(dumped(&folder, "tickets.Tag", "jsonl"), "");
}

#[test]
fn what_is_refused_goes_into_a_file_and_the_rest_is_loaded() {
    let folder = with_models(MODELS);
    let file = tags(&folder, &["one", "", "one", "two"]);
    let rejects = folder.path("rejects.jsonl");
    let told = fails(&folder, &["data", "load", &file, "--rejects", rejects.to_str().unwrap()], 1);
    assert!(told.contains("1 record was refused; it is in"), "{told}");
    let text = std::fs::read_to_string(&rejects).unwrap();
    let rejected: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let message = "another tickets.Tag has this name already";
    let wanted = json!({"file": file, "line": 3, "errors": [{"pointer": "/name", "message": message}], "record": {"name": "one"}});
    assert_eq!(rejected, [wanted]);
    assert_eq!(dumped(&folder, "tickets.Tag", "jsonl").lines().count(), 3);
    assert!(
        fails(&folder, &["data", "load", &file, "--rejects", rejects.to_str().unwrap()], 1)
            .contains("is there already; name another file")
    );
}

#[test]
fn a_record_may_refer_to_one_that_comes_later_but_not_to_none() {
    let folder = with_models(&models());
    let lines = "{\"id\": 1, \"name\": \"a\", \"parent\": 2}\n{\"id\": 2, \"name\": \"b\"}\n{\"id\": 3, \"name\": \"c\", \"parent\": 9}\n";
    let file = folder.file("shop.Category.jsonl", lines);
    let words = ["data", "load", file.to_str().unwrap()];
    let told = fails(&folder, &words, 1);
    assert!(told.contains(":3: /parent: there is no shop.Category with id 9"), "{told}");
    folder.file("shop.Category.jsonl", &lines.replace('9', "3"));
    run(&folder, &words);
    let parents: Vec<Value> = dumped(&folder, "shop.Category", "jsonl")
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap()["parent"].clone())
        .collect();
    assert_eq!(parents, [json!(2), json!(null), json!(3)]);
}

#[test]
fn a_dry_run_checks_everything_and_loads_nothing() {
    let folder = with_models(MODELS);
    let file = tags(&folder, &["one", "two"]);
    assert_eq!(loaded(&folder, &[&file, "--dry-run"])["loaded"], 2);
    assert_eq!(dumped(&folder, "tickets.Tag", "jsonl"), "");
    let file = tags(&folder, &["one", "one"]);
    assert!(fails(&folder, &["data", "load", &file, "--dry-run"], 1).contains("another tickets.Tag has this name"));
}

#[test]
fn columns_get_names_and_some_are_left_out() {
    let folder = with_models(MODELS);
    let text = "E-mail;Who;Notes\nada@example.com;Ada;x\n";
    let file = folder.file("people.csv", text);
    let words = |more: &[&str]| -> Vec<String> {
        let all = ["data", "load", file.to_str().unwrap(), "--model", "profile.Customer", "--delimiter", ";"];
        all.iter().chain(more).map(|word| (*word).to_owned()).collect()
    };
    let as_words = |words: &[String]| words.iter().map(String::as_str).collect::<Vec<_>>().join("\u{1}");
    let told = fails(&folder, &as_words(&words(&[])).split('\u{1}').collect::<Vec<_>>(), 1);
    assert!(told.contains(":1: profile.Customer has no field \"E-mail\""), "{told}");
    let more = words(&["--map", "E-mail=email", "--map", "Who=name", "--ignore", "Notes"]);
    run(&folder, &as_words(&more).split('\u{1}').collect::<Vec<_>>());
    let record: Value = serde_json::from_str(&dumped(&folder, "profile.Customer", "jsonl")).unwrap();
    assert_eq!((&record["name"], &record["email"]), (&json!("Ada"), &json!("ada@example.com")));
}

#[test]
fn a_load_in_steps_that_is_cut_off_goes_on_and_makes_nothing_twice() {
    let folder = with_models(MODELS);
    let all = 60_000;
    let lines: String = (0..all).map(|number| format!("{{\"name\": \"tag {number}\"}}\n")).collect();
    let file = folder.file("tickets.Tag.jsonl", &lines);
    let words = ["data", "load", file.to_str().unwrap(), "--resume", "--json"];
    let mut child = jqlite(&folder, &words).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let count = |folder: &Folder| {
        let connection = rusqlite::Connection::open(folder.path("test.db")).unwrap();
        connection.query_row(r#"SELECT count(*) FROM "tickets.Tag""#, [], |row| row.get::<_, i64>(0)).unwrap()
    };
    eventually("a step is done", || count(&folder) > 0);
    child.kill().unwrap();
    child.wait().unwrap();
    let before = count(&folder);
    assert_eq!(before % 20_000, 0, "steps stay or are gone");
    let told = loaded(&folder, &words[2..4]);
    // The last step may have been done before the kill came.
    if before < all {
        assert_eq!((&told["before"], &told["loaded"]), (&json!(before), &json!(all - before)));
    }
    assert_eq!(count(&folder), all);
}

#[test]
fn records_are_loaded_from_standard_input() {
    use std::io::Write;
    let folder = with_models(MODELS);
    let words = ["data", "load", "-", "--model", "tickets.Tag", "--format", "csv"];
    let mut child = jqlite(&folder, &words).stdin(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(b"\xef\xbb\xbfname\r\none\r\n\"t,wo\"\r\n").unwrap();
    assert!(child.wait().unwrap().success());
    assert_eq!(dumped(&folder, "tickets.Tag", "csv"), "id,name\n1,one\n2,\"t,wo\"");
}

#[test]
fn what_a_file_does_not_tell_is_asked_for() {
    let folder = with_models(MODELS);
    let file = folder.file("things.csv", "name\nx\n");
    let told = fails(&folder, &["data", "load", file.to_str().unwrap()], 1);
    assert!(told.contains("tells no model; name one with --model"), "{told}");
    let file = folder.file("tickets.Tag.txt", "name\nx\n");
    assert!(fails(&folder, &["data", "load", file.to_str().unwrap()], 1).contains("tell its --format"));
    let file = folder.file("system.ApiKey.csv", "name\nx\n");
    assert!(fails(&folder, &["data", "load", file.to_str().unwrap()], 1).contains("there is no model system.ApiKey"));
    assert!(fails(&folder, &["data", "dump"], 1).contains("name a folder for the files, or one --model"));
}

#[test]
fn a_server_sees_what_was_loaded_on_the_next_request() {
    let server = Server::start();
    assert_eq!(server.count("tickets.Tag"), 0);
    let file = tags(&server.folder, &["one", "two"]);
    run(&server.folder, &["data", "load", &file]);
    assert_eq!(server.count("tickets.Tag"), 2);
}

#[test]
fn a_server_begins_with_the_records_of_its_seed_and_keeps_those_it_has() {
    let seed = Folder::new();
    seed.file("01-tickets.Category.jsonl", "{\"id\": 7, \"name\": \"Billing\"}\n");
    seed.file("02-tickets.Ticket.csv", "title,category\nfirst,7\nsecond,7\n");
    let words = ["--data", seed.path("").to_str().unwrap()].map(str::to_owned);
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let server = Server::with(MODELS, &words);
    assert_eq!((server.count("tickets.Category"), server.count("tickets.Ticket")), (1, 2));
    server.create("tickets.Tag", &json!({"name": "new"}));
    let server = Server::on(server.stop().1, &words);
    assert_eq!((server.count("tickets.Tag"), server.count("tickets.Ticket")), (1, 2));
}

#[test]
fn a_server_for_tests_goes_back_to_the_records_of_its_seed() {
    let seed = Folder::new();
    let file = seed.file("tickets.Tag.csv", "name\none\n");
    let server = Server::ephemeral(MODELS, &["--data", file.to_str().unwrap()]);
    server.create("tickets.Tag", &json!({"name": "two"}));
    let reset = json!({"__meta__": {"intent": "reset", "namespace": "system.Fixture", "schema": "controller"}});
    server.data(&reset);
    assert_eq!(server.ids("tickets.Tag", &json!({})), json!([1]));
}

#[test]
fn a_seed_with_a_mistake_is_told_with_file_and_line_and_nothing_is_served() {
    let folder = with_models(MODELS);
    let file = folder.file("tickets.Tag.csv", "name\none\none\n");
    let told = fails(&folder, &["serve", "--listen", "127.0.0.1:0", "--data", file.to_str().unwrap()], 1);
    assert!(told.contains("tickets.Tag.csv:3: /name: another tickets.Tag has this name already"), "{told}");
    assert_eq!(dumped(&folder, "tickets.Tag", "jsonl"), "");
}

#[test]
fn a_file_that_was_changed_is_not_gone_on_with() {
    let folder = with_models(MODELS);
    let lines = |numbers: std::ops::Range<u32>| -> String {
        numbers.map(|number| format!("{{\"name\": \"tag {number}\"}}\n")).collect()
    };
    let good = lines(0..45_000);
    let file = folder.file("tickets.Tag.jsonl", &format!("{good}{{\"name\": 7.5e}}\n"));
    let words = ["data", "load", file.to_str().unwrap(), "--resume"];
    let told = fails(&folder, &words, 1);
    assert!(told.contains(":45001: it is not JSON"), "{told}");
    assert!(told.contains("what earlier steps loaded stays"), "{told}");
    assert!(fails(&folder, &words[..3], 1).contains("was loaded in part, by a run that was cut off"));

    let changed = good.replacen("tag 5\"", "tag five\"", 1);
    folder.file("tickets.Tag.jsonl", &changed);
    assert!(fails(&folder, &words, 1).contains("is not what it was when its first 40000 lines were loaded"));
    folder.file("tickets.Tag.jsonl", &lines(0..100));
    assert!(fails(&folder, &words, 1).contains("is not what it was"));

    // What is mended behind what was loaded is gone on with; a file that is done is done, and may grow.
    folder.file("tickets.Tag.jsonl", &good);
    assert_eq!(loaded(&folder, &words[2..])["loaded"], 5_000);
    assert_eq!(loaded(&folder, &words[2..])["loaded"], 0);
    folder.file("tickets.Tag.jsonl", &lines(0..45_001));
    assert_eq!(loaded(&folder, &words[2..])["loaded"], 1);
}

#[test]
fn what_is_refused_can_be_mended_and_gone_on_with() {
    for (bad, kept) in [(10, 0), (30_000, 20_000)] {
        let folder = with_models(MODELS);
        let line = |number: u32| match number == bad {
            true => "{\"nam\": 1}\n".to_owned(),
            false => format!("{{\"name\": \"tag {number}\"}}\n"),
        };
        let text: String = (1..=50_000).map(line).collect();
        let file = folder.file("tickets.Tag.jsonl", &text);
        let words = ["data", "load", file.to_str().unwrap(), "--resume"];
        assert!(fails(&folder, &words, 1).contains("what earlier steps loaded stays"));
        assert_eq!(dumped(&folder, "tickets.Tag", "jsonl").lines().count(), kept);
        folder.file("tickets.Tag.jsonl", &text.replacen("\"nam\": 1", "\"name\": \"mended\"", 1));
        assert_eq!(loaded(&folder, &words[2..])["loaded"], 50_000 - kept);
        assert_eq!(dumped(&folder, "tickets.Tag", "jsonl").lines().count(), 50_000);
    }
}

#[test]
fn many_records_that_refer_to_later_ones_are_loaded_at_once() {
    let folder = with_models(&models());
    let count = 20_000;
    let lines: String = (1..=count)
        .map(|id| {
            format!("{{\"id\": {id}, \"name\": \"c{id}\", \"parent\": {}}}\n", if id == count { 1 } else { id + 1 })
        })
        .collect();
    let file = folder.file("shop.Category.jsonl", &lines);
    assert_eq!(loaded(&folder, &[file.to_str().unwrap()])["loaded"], count);
}

#[test]
fn a_record_that_refers_to_nothing_takes_only_those_along_that_refer_to_it() {
    let folder = with_models(&models());
    let parents = [(1, 2), (2, 1), (3, 99), (4, 3), (5, 1)];
    let lines: String = parents
        .iter()
        .map(|(id, parent)| format!("{{\"id\": {id}, \"name\": \"c{id}\", \"parent\": {parent}}}\n"))
        .collect();
    let file = folder.file("shop.Category.jsonl", &lines);
    let rejects = folder.path("rejects.jsonl");
    fails(&folder, &["data", "load", file.to_str().unwrap(), "--rejects", rejects.to_str().unwrap()], 1);
    let rejected: Vec<Value> = std::fs::read_to_string(&rejects)
        .unwrap()
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap()["line"].clone())
        .collect();
    assert_eq!(rejected, [3, 4]);
    assert_eq!(dumped(&folder, "shop.Category", "jsonl").lines().count(), 3);
}

#[test]
fn what_would_be_taken_for_something_else_is_refused() {
    let folder = with_models(MODELS);
    let words = |name: &str| vec!["data".to_owned(), "load".to_owned(), folder.path(name).to_str().unwrap().to_owned()];
    let told = |name: &str| {
        let words = words(name);
        fails(&folder, &words.iter().map(String::as_str).collect::<Vec<_>>(), 1)
    };
    folder.file("tickets.Tag.csv", "name\na\n\"b\nc\n");
    assert!(told("tickets.Tag.csv").contains("the quotation marks are odd in number"));
    folder.file("tickets.Tag.jsonl", "{\"id\": 9223372036854775807, \"name\": \"a\"}\n");
    assert!(told("tickets.Tag.jsonl").contains(":1: /id: \"id\" is from 1 to"), "{}", told("tickets.Tag.jsonl"));
    assert!(told("nowhere.csv").contains("there is no "));
    assert!(fails(&folder, &["data", "load", "-", "--resume", "--model", "tickets.Tag"], 1).contains("standard input"));
}

#[test]
fn a_record_that_could_wait_no_more_is_told_so() {
    let folder = Folder::new();
    let models = folder.file(
        "models.json",
        r#"{"x.T": {"fields": {"next": {"type": "ref", "to": "x.T", "null": true, "on_delete": "set_null"}}}}"#,
    );
    run(&folder, &["models", "apply", models.to_str().unwrap()]);
    let mut lines = "{\"next\": 100101}\n".repeat(100_100);
    lines.push_str("{\"id\": 100101}\n");
    let file = folder.file("x.T.jsonl", &lines);
    let why = fails(&folder, &["data", "load", file.to_str().unwrap()], 1);
    let told = "x.T.jsonl:100001: /next: there is no x.T with id 100101 so far, and 100000 records wait for others already; \
                have those come first that others refer to";
    assert!(why.contains(told), "{why}");
}
