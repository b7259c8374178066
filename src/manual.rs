//! The manual, `docs/jql.md`, held against the code: every name that the code knows has its row in one of the
//! manual's tables and stands in an example, and every name in a table is one that the code knows.
//!
//! That its examples are answered as it shows is held by `tests/it/manual.rs`.

#[path = "../tests/it/support/markdown.rs"]
#[allow(dead_code)] // it uses a part of it
mod markdown;

use crate::access::Action;
use crate::cli::{Cli, Command};
use crate::error::{Code, MOST_ERRORS};
use crate::function::{FUNCTIONS, Role};
use crate::intent::{COMMON, INTENTS};
use crate::json::Json;
use crate::lookup::{LOOKUPS, PARTS};
use crate::model::{OnDelete, parse as models, system};
use crate::request::fields::{LIST_KEYS, SUBQUERY_KEYS};
use crate::transform::cast::CASTS;
use crate::transform::table::{self, TRANSFORMS};
use crate::{config, envelope, idempotency, plan, request, road, run, shape, store, value};
use clap::Parser;
use markdown::fences;
use serde_json::Value;
use std::collections::BTreeSet;

const MANUAL: &str = include_str!("../docs/jql.md");

/// A table of the manual. What it is about is the head of its first column.
struct Table {
    about: String,
    rows: Vec<Vec<String>>,
}

impl Table {
    /// The names in the first column.
    fn names(&self) -> Vec<String> {
        self.rows.iter().flat_map(|row| quoted(&row[0])).collect()
    }

    /// The cell of that column, from 0, in the row of that name.
    fn cell(&self, name: &str, column: usize) -> &str {
        let row = self.rows.iter().find(|row| quoted(&row[0]).contains(&name.to_owned()));
        &row.unwrap_or_else(|| panic!("the table \"{}\" has no row for `{name}`", self.about))[column]
    }
}

fn tables() -> Vec<Table> {
    let mut tables: Vec<Table> = Vec::new();
    let mut before = "";
    for line in MANUAL.lines() {
        if let Some(cells) = line.strip_prefix('|').and_then(|line| line.strip_suffix('|')) {
            let cells: Vec<String> = cells.split('|').map(|cell| cell.trim().to_owned()).collect();
            match tables.last_mut() {
                Some(table) if before.starts_with('|') => table.rows.push(cells),
                _ => tables.push(Table { about: cells[0].clone(), rows: Vec::new() }),
            }
        }
        before = line;
    }
    for table in &mut tables {
        table.rows.remove(0); // the line below the head
    }
    tables
}

fn table(about: &str) -> Table {
    let found = tables().into_iter().find(|table| table.about == about);
    found.unwrap_or_else(|| panic!("docs/jql.md has no table with the head \"{about}\""))
}

/// What stands between backticks.
fn quoted(text: &str) -> Vec<String> {
    text.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

fn owned<'n>(names: impl IntoIterator<Item = &'n str>) -> Vec<String> {
    names.into_iter().map(str::to_owned).collect()
}

/// Every table of names, and the names that the code has for it.
fn known() -> Vec<(&'static str, Vec<String>)> {
    let whole: Value = serde_json::from_slice(&envelope::whole()).unwrap();
    let keys = |object: &Value| owned(object.as_object().unwrap().keys().map(String::as_str));
    let mut outer: Vec<&str> = INTENTS.iter().flat_map(|rule| rule.takes).chain(&COMMON).copied().collect();
    outer.sort_unstable();
    outer.dedup();
    let many = FUNCTIONS.iter().filter(|function| matches!(function.role, Role::Many(..)));
    let mut total: Vec<&str> = many.flat_map(crate::function::Function::keys).collect();
    total.extend(["function", "filter", "ordering"]);
    total.sort_unstable();
    total.dedup();
    vec![
        ("in the envelope", keys(&whole)),
        ("in `extras`", keys(&whole["extras"])),
        ("in an error", keys(&whole["errors"][0])),
        ("code", owned(Code::ALL.map(Code::name))),
        ("intent", owned(INTENTS.iter().flat_map(|rule| std::iter::once(rule.name).chain(rule.alias)))),
        ("in `__meta__`", owned(outer)),
        ("in a nested `__meta__`", owned(LIST_KEYS)),
        ("in the `__meta__` of a subquery", owned(SUBQUERY_KEYS)),
        ("in a filter", owned(["__and__", "__or__", "__not__"])),
        ("in a total", owned(total)),
        ("in a batch", owned(request::BATCH_KEYS)),
        ("beside `rotate`", owned(plan::keys::ROTATE_KEYS)),
        ("beside `audit`", owned(plan::keys::AUDIT_KEYS)),
        ("beside `diff` and `apply`", owned(plan::models::MODELS_KEYS)),
        ("beside `snapshot` and `restore`", owned(request::fixture::SNAPSHOT_KEYS)),
        ("beside `clock`", owned(request::fixture::CLOCK_KEYS)),
        ("lookup", owned(LOOKUPS.iter().map(|lookup| lookup.name))),
        ("date part", owned(PARTS.iter().map(|part| part.name))),
        ("transform", owned(TRANSFORMS.iter().map(|transform| transform.name))),
        ("cast to", owned(CASTS.iter().map(|(name, _)| *name))),
        ("function", owned(FUNCTIONS.iter().map(|function| function.name))),
        ("of a model", owned(models::MODEL_KEYS)),
        ("type", owned(models::TYPES)),
        ("option", owned(models::option_names())),
        ("on delete", owned(OnDelete::ALL.iter().map(|(name, _)| *name))),
    ]
}

/// All complaints at once.
#[track_caller]
fn none(complaints: &[String]) {
    assert!(complaints.is_empty(), "docs/jql.md:\n{}", complaints.join("\n"));
}

#[test]
fn the_tables_of_the_manual_hold_the_names_of_the_code() {
    let (tables, known) = (tables(), known());
    let mut complaints = Vec::new();
    for (about, names) in &known {
        let written = table(about).names();
        for name in names.iter().filter(|name| !written.contains(name)) {
            complaints
                .push(format!("the table \"{about}\" has no row for `{name}`: add one, and an example that has it"));
        }
        for name in written.iter().filter(|name| !names.contains(name)) {
            complaints.push(format!("the table \"{about}\" has a row for `{name}`, which the code does not know"));
        }
    }
    for table in &tables {
        let is_known = matches!(table.about.as_str(), "bound" | "server's model")
            || known.iter().any(|(about, _)| *about == table.about);
        if !is_known {
            complaints.push(format!("nothing holds the table \"{}\" true: add it to src/manual.rs", table.about));
        }
    }
    none(&complaints);
}

#[test]
fn every_name_stands_in_an_example() {
    let used = Used::of_all_examples();
    let mut complaints = Vec::new();
    let options = TRANSFORMS
        .iter()
        .flat_map(|transform| transform.settings.iter().map(|setting| format!("{}: {}", transform.name, setting.name)));
    let keys = FUNCTIONS
        .iter()
        .flat_map(|function| function.keys().into_iter().map(|key| format!("{}: {key}", function.name)));
    let more = [("option of a transform", options.collect()), ("key of a function", keys.collect())];
    for (about, names) in known().into_iter().chain(more) {
        for name in names.into_iter().filter(|name| !used.0.contains(&(about, name.clone()))) {
            complaints.push(format!("no example has the {about} `{name}`: add one"));
        }
    }
    none(&complaints);
}

#[test]
fn intents_take_what_the_manual_says() {
    let table = table("intent");
    for rule in &INTENTS {
        assert_eq!(quoted(table.cell(rule.name, 3)), rule.takes, "{}: takes in `__meta__`", rule.name);
        let actions: Vec<&str> = rule.actions.iter().copied().map(Action::name).collect();
        assert_eq!(quoted(table.cell(rule.name, 2)), actions, "{}: permission", rule.name);
    }
}

#[test]
fn the_servers_own_models_are_those_of_the_manual() {
    let table = table("server's model");
    let models = system::models();
    assert_eq!(table.rows.len(), models.len());
    for model in models {
        let name = model.namespace.to_string();
        let intents: Vec<&str> = model.intents.unwrap_or_default().iter().map(|intent| intent.rule().name).collect();
        assert_eq!(quoted(table.cell(&name, 1)), intents, "{name}: takes");
        let fields: Vec<String> = model.columns().into_iter().map(|column| column.name.to_string()).collect();
        assert_eq!(quoted(table.cell(&name, 2)), fields, "{name}: its fields");
    }
}

#[test]
fn options_are_those_of_the_manual() {
    let written = |names: Vec<(&str, bool)>| {
        let one = |(name, required)| if required { format!("**`{name}`**") } else { format!("`{name}`") };
        names.into_iter().map(one).collect::<Vec<_>>().join(", ")
    };
    let transforms = table("transform");
    for transform in &TRANSFORMS {
        let settings = transform.settings.iter().map(|setting| (setting.name, setting.required)).collect();
        assert_eq!(transforms.cell(transform.name, 2), written(settings), "{}: options", transform.name);
    }
    let functions = table("function");
    for function in &FUNCTIONS {
        let keys = function.keys().into_iter().map(|key| (key, function.needs(key))).collect();
        assert_eq!(functions.cell(function.name, 2), written(keys), "{}: keys", function.name);
    }
}

#[test]
fn the_bounds_are_those_of_the_code() {
    let Command::Serve { args: serve, .. } = Cli::parse_from(["jqlite", "serve"]).command else { panic!("it serves") };
    let nested = |levels| Json::parse(format!("{}{}", "[".repeat(levels), "]".repeat(levels)).as_bytes()).is_ok();
    let levels = (1..).take_while(|levels| nested(*levels)).count();
    let mebibytes = |bytes: usize| (bytes >> 20) as u64;
    let expected = [
        ("levels of filter within each other", plan::FILTER_LEVELS),
        ("relations behind each other, in a path or nested", plan::RELATION_LEVELS),
        ("references nested in one request", plan::MOST_REFERENCES),
        ("fields and conditions", plan::MOST_TERMS),
        ("values in one list", plan::MOST_VALUES),
        ("regular expressions", plan::MOST_EXPRESSIONS),
        ("characters of a regular expression", value::regex::LONGEST_REGEX as u64),
        ("MiB of a regular expression once compiled", mebibytes(value::regex::MOST_COMPILED)),
        ("characters of a transform's option", table::LONGEST as u64),
        ("characters of a `dateFormat`", table::LONGEST_FORMAT as u64),
        ("records in one page, and in one nested list", serve.max_limit),
        ("records in one answer, nested ones among them", run::MOST_RECORDS as u64),
        ("MiB of records in one answer", mebibytes(store::MOST_BYTES)),
        ("MiB of JSON in one answer, and in all answers of a batch", mebibytes(shape::MOST_WRITTEN)),
        ("MiB that the transforms of one answer work on", mebibytes(shape::MOST_WORKED_ON)),
        ("MiB of one value, also of one made of many", mebibytes(store::LONGEST_VALUE as usize)),
        ("MiB of different values that the percentiles of one request are of", mebibytes(store::MOST_COUNTED)),
        ("MiB of earlier results put into the requests of a batch", mebibytes(road::results::MOST_FILLED)),
        ("levels of JSON in a request of a batch, earlier results put in", road::results::MOST_LEVELS as u64),
        ("records that a deletion leads to, one behind the other", store::CASCADE_LEVELS as u64),
        ("records in one `createMany`", request::MOST_OBJECTS as u64),
        ("requests in one batch", request::MOST_REQUESTS as u64),
        ("mistakes in one error", MOST_ERRORS as u64),
        ("levels of JSON", levels as u64),
        ("bytes of the body", config::MAX_BODY as u64),
        ("seconds for the statements of one request", serve.query_timeout.as_secs()),
        ("characters of an `Idempotency-Key`", idempotency::LONGEST as u64),
        ("MiB of an answer that is kept for a retry", mebibytes(idempotency::MOST_KEPT)),
        ("hours that an answer is kept for a retry", idempotency::KEPT.as_hours().unsigned_abs()),
        ("fields of one model", models::MOST_FIELDS as u64),
        ("lists in `unique_together`, and in `indexes`, of one model", models::MOST_LISTS as u64),
        ("patterns in all models", models::MOST_PATTERNS as u64),
    ];
    let rows = table("bound").rows;
    for (row, (name, bound)) in rows.iter().zip(expected) {
        assert_eq!((row[0].as_str(), row[1].replace(',', "").parse()), (name, Ok(bound)), "docs/jql.md, bounds");
    }
    assert_eq!(rows.len(), expected.len(), "docs/jql.md, bounds");
}

#[test]
fn links_lead_to_headings() {
    let plain = |c: &char| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_');
    let slug = |heading: &str| heading.to_lowercase().chars().filter(plain).collect::<String>().replace(' ', "-");
    let headings = MANUAL.lines().filter(|line| line.starts_with('#'));
    let slugs: Vec<String> = headings.map(|line| slug(line.trim_start_matches('#').trim())).collect();
    let links = MANUAL.split("](#").skip(1).map(|rest| rest.split(')').next().unwrap_or_default().to_owned());
    for link in links {
        assert!(slugs.contains(&link), "docs/jql.md has no heading for #{link}");
    }
    let all: BTreeSet<&String> = slugs.iter().collect();
    assert_eq!(all.len(), slugs.len(), "two headings of docs/jql.md have one name");
}

/// What the examples have, each with the table that it belongs into.
#[derive(Default)]
struct Used(BTreeSet<(&'static str, String)>);

impl Used {
    fn of_all_examples() -> Used {
        let mut used = Used::default();
        for fence in fences(MANUAL).into_iter().filter(|fence| fence.kind.starts_with("json")) {
            let json: Value = serde_json::from_str(&fence.text).unwrap();
            match fence.kind.as_str() {
                "json models" => used.models(&json),
                _ if json.get("__meta__").is_some() => used.request(&json),
                _ => used.answer(&json),
            }
        }
        used
    }

    fn note(&mut self, about: &'static str, name: &str) {
        self.0.insert((about, name.to_owned()));
    }

    fn keys(&mut self, about: &'static str, object: &Value) {
        members(object).for_each(|(key, _)| self.note(about, key));
    }

    fn models(&mut self, file: &Value) {
        for (_, model) in members(file) {
            self.keys("of a model", model);
            for (_, field) in members(&model["fields"]) {
                self.keys("option", field);
                self.note("type", text(&field["type"]));
                self.note("on delete", text(&field["on_delete"]));
            }
        }
    }

    fn answer(&mut self, answer: &Value) {
        self.keys("in the envelope", answer);
        self.keys("in `extras`", &answer["extras"]);
        for error in items(&answer["errors"]) {
            self.keys("in an error", error);
            self.note("code", text(&error["code"]));
        }
    }

    fn request(&mut self, request: &Value) {
        let meta = &request["__meta__"];
        self.keys("in `__meta__`", meta);
        self.note("intent", text(&meta["intent"]));
        self.narrowing(meta);
        self.conditions(&meta["having"]);
        self.paths(&meta["groupBy"]);
        self.fields(&meta["return"]);
        match text(&meta["intent"]) {
            "aggregate" => members(request).filter(|(key, _)| *key != "__meta__").for_each(|(_, total)| {
                self.keys("in a total", total);
                self.conditions(&total["filter"]);
                self.paths(&total["ordering"]);
                self.function(total);
            }),
            "execute" => {
                members(request)
                    .filter(|(key, _)| *key != "__meta__")
                    .for_each(|(key, _)| self.note("in a batch", key));
                items(&request["requests"]).for_each(|request| self.request(request));
            }
            "rotate" => self.keys("beside `rotate`", request),
            "audit" => self.keys("beside `audit`", request),
            "snapshot" | "restore" => self.keys("beside `snapshot` and `restore`", request),
            "clock" => self.keys("beside `clock`", request),
            "diff" | "apply" => self.keys("beside `diff` and `apply`", request),
            "retrieve" | "read" | "retrieveOne" => self.fields(request),
            _ => {}
        }
    }

    fn narrowing(&mut self, meta: &Value) {
        self.conditions(&meta["filter"]);
        self.conditions(&meta["exclude"]);
        self.paths(&meta["ordering"]);
    }

    /// The fields asked for, and those within them.
    fn fields(&mut self, fields: &Value) {
        for (_, field) in members(fields).filter(|(key, _)| !key.starts_with("__")) {
            let meta = &field["__meta__"];
            let is_subquery = meta["intent"] == "subquery";
            let about = if is_subquery { "in the `__meta__` of a subquery" } else { "in a nested `__meta__`" };
            self.keys(about, meta);
            self.narrowing(meta);
            items(&meta["sequencedProcess"]).for_each(|step| self.function(step));
            self.paths(&field["__field__"]);
            for (name, options) in members(&field["__transform__"]) {
                self.note("transform", name);
                members(options).for_each(|(key, _)| self.note("option of a transform", &format!("{name}: {key}")));
                if name == "cast" {
                    self.note("cast to", text(&options["type"]));
                }
            }
            self.fields(field);
        }
    }

    fn function(&mut self, step: &Value) {
        let name = text(&step["function"]);
        self.note("function", name);
        members(step).for_each(|(key, _)| self.note("key of a function", &format!("{name}: {key}")));
    }

    fn conditions(&mut self, filter: &Value) {
        for (key, value) in members(filter) {
            match key {
                "__and__" | "__or__" => items(value).for_each(|filter| self.conditions(filter)),
                "__not__" => self.conditions(value),
                _ => {
                    self.path(key);
                    self.paths(&value["__field__"]);
                    continue;
                }
            }
            self.note("in a filter", key);
        }
    }

    /// One path, or a list of them.
    fn paths(&mut self, paths: &Value) {
        std::iter::once(paths).chain(items(paths)).filter_map(Value::as_str).for_each(|path| self.path(path));
    }

    /// The first name of a path is that of a field.
    fn path(&mut self, path: &str) {
        for name in path.split("__").skip(1) {
            self.note("lookup", name);
            self.note("date part", name);
        }
    }
}

fn members(json: &Value) -> impl Iterator<Item = (&str, &Value)> {
    json.as_object().into_iter().flatten().map(|(key, value)| (key.as_str(), value))
}

fn items(json: &Value) -> impl Iterator<Item = &Value> {
    json.as_array().into_iter().flatten()
}

fn text(json: &Value) -> &str {
    json.as_str().unwrap_or_default()
}
