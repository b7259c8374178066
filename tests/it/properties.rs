//! What holds for every filter, order and total: random records, random questions, and a plain evaluation
//! of the same questions to compare with.
//!
//! Everything random is made of dice, lists of numbers that choose from small pools, so that values tie
//! and filters find something, and so that a failing case shrinks.

use crate::support::{Client, Server, request};
use jiff::civil::{Date, DateTime, date};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestCaseError, TestRunner};
use rusqlite::Connection;
use serde_json::{Value, json};
use std::cmp::Ordering;
use std::collections::BTreeMap;

const MODELS: &str = r#"{
  "p.Owner": { "fields": { "name": { "type": "string", "null": true }, "rank": { "type": "integer", "null": true } },
               "ordering": ["-rank", "name"] },
  "p.Tag": { "fields": { "name": { "type": "text", "null": true }, "ratio": { "type": "float", "null": true } } },
  "p.Item": { "fields": {
      "name": { "type": "text", "null": true }, "rank": { "type": "integer", "null": true, "index": true },
      "price": { "type": "decimal", "max_digits": 12, "decimal_places": 2, "null": true, "index": true },
      "ratio": { "type": "float", "null": true }, "flag": { "type": "boolean", "null": true },
      "day": { "type": "date", "null": true }, "moment": { "type": "datetime", "null": true },
      "owner": { "type": "ref", "to": "p.Owner", "null": true, "related_name": "items" },
      "parent": { "type": "ref", "to": "p.Item", "null": true, "related_name": "children" },
      "tags": { "type": "refs", "to": "p.Tag", "related_name": "items" } },
    "indexes": [["flag", "-moment", "name"], ["-day", "ratio"]] } }"#;

// -- Values -------------------------------------------------------------------------------------

#[derive(Clone, Copy, Debug, PartialEq)]
enum Kind {
    Text,
    Integer,
    Decimal,
    Float,
    Boolean,
    Date,
    Moment,
}

#[derive(Clone, Debug, PartialEq)]
enum Cell {
    Null,
    Text(String),
    Integer(i64),
    /// In hundredths.
    Decimal(i64),
    Float(f64),
    Boolean(bool),
    Date(Date),
    Moment(DateTime),
}

const TEXTS: [&str; 14] = ["", "a", "A", "aB", "Ab%", "a_b", "ß", "SS", "aß", "σΣ", "ς", "é\\É", "\"q\" 'q'", "😀a"];
const INTEGERS: [i64; 9] =
    [0, 1, -1, 2, i64::MAX, i64::MIN, 9_007_199_254_740_992, 9_007_199_254_740_993, i64::MAX - 1];
const DECIMALS: [i64; 8] = [0, 1, -1, 10, 1250, 1251, 999_999_999_999, -999_999_999_999];
const FLOATS: [f64; 8] = [0.0, 0.1, -2.5, 3.0, 1e300, -1e300, 5e-324, 0.30000000000000004];
const TIMES: [(i8, i8, i8, i32); 4] =
    [(0, 0, 0, 0), (23, 59, 59, 999_999_000), (12, 30, 1, 500_000_000), (9, 0, 30, 1000)];
const DATES: [Date; 9] = [
    date(2024, 12, 30),
    date(2024, 12, 29),
    date(2021, 1, 1),
    date(2021, 1, 3),
    date(2024, 2, 29),
    date(2000, 12, 31),
    date(1999, 6, 15),
    date(1, 1, 1),
    date(9998, 12, 31),
];

fn pick<T: Clone>(from: &[T], die: u32) -> T {
    from[die as usize % from.len()].clone()
}

impl Kind {
    fn value(self, die: u32) -> Cell {
        match self {
            Kind::Text => Cell::Text(pick(&TEXTS, die).to_owned()),
            Kind::Integer => Cell::Integer(pick(&INTEGERS, die)),
            Kind::Decimal => Cell::Decimal(pick(&DECIMALS, die)),
            Kind::Float => Cell::Float(pick(&FLOATS, die)),
            Kind::Boolean => Cell::Boolean(die % 2 == 1),
            Kind::Date => Cell::Date(pick(&DATES, die)),
            Kind::Moment => {
                let (hour, minute, second, nanosecond) = pick(&TIMES, die / 9);
                Cell::Moment(pick(&DATES, die).at(hour, minute, second, nanosecond))
            }
        }
    }

    /// A value, or now and then NULL.
    fn cell(self, die: u32) -> Cell {
        if die % 5 == 4 { Cell::Null } else { self.value(die / 5) }
    }
}

impl Cell {
    /// As a request gives it.
    fn json(&self) -> Value {
        match self {
            Cell::Null => Value::Null,
            Cell::Text(text) => json!(text),
            Cell::Integer(number) => json!(number),
            Cell::Decimal(hundredths) => {
                let sign = if *hundredths < 0 { "-" } else { "" };
                json!(format!("{sign}{}.{:02}", hundredths.abs() / 100, hundredths.abs() % 100))
            }
            Cell::Float(number) => json!(number),
            Cell::Boolean(flag) => json!(flag),
            Cell::Date(day) => json!(day.to_string()),
            Cell::Moment(moment) => json!(moment.strftime("%Y-%m-%dT%H:%M:%S.%6fZ").to_string()),
        }
    }

    /// As the tables keep it.
    fn stored(&self) -> rusqlite::types::Value {
        match self {
            Cell::Null => rusqlite::types::Value::Null,
            Cell::Integer(number) | Cell::Decimal(number) => (*number).into(),
            Cell::Float(number) => (*number).into(),
            Cell::Boolean(flag) => i64::from(*flag).into(),
            other => other.json().as_str().unwrap().to_owned().into(),
        }
    }

    /// The order of two values; none where one of them is NULL.
    fn compare(&self, other: &Cell) -> Option<Ordering> {
        match (self, other) {
            (Cell::Text(left), Cell::Text(right)) => Some(left.cmp(right)),
            (Cell::Integer(left), Cell::Integer(right)) | (Cell::Decimal(left), Cell::Decimal(right)) => {
                Some(left.cmp(right))
            }
            (Cell::Float(left), Cell::Float(right)) => left.partial_cmp(right),
            (Cell::Boolean(left), Cell::Boolean(right)) => Some(left.cmp(right)),
            (Cell::Date(left), Cell::Date(right)) => Some(left.cmp(right)),
            (Cell::Moment(left), Cell::Moment(right)) => Some(left.cmp(right)),
            _ => None,
        }
    }

    /// A part of a date or moment.
    fn part(&self, name: &str) -> Cell {
        let (day, time) = match self {
            Cell::Date(day) => (*day, None),
            Cell::Moment(moment) => (moment.date(), Some(moment.time())),
            _ => return Cell::Null,
        };
        let week = day.iso_week_date();
        let clock = || time.expect("only moments have hours");
        Cell::Integer(match name {
            "date" => return Cell::Date(day),
            "year" => day.year().into(),
            "iso_year" => week.year().into(),
            "quarter" => match day.month() {
                1..=3 => 1,
                4..=6 => 2,
                7..=9 => 3,
                _ => 4,
            },
            "month" => day.month().into(),
            "week" => week.week().into(),
            "day" => day.day().into(),
            "week_day" => day.weekday().to_sunday_one_offset().into(),
            "iso_week_day" => day.weekday().to_monday_one_offset().into(),
            "hour" => clock().hour().into(),
            "minute" => clock().minute().into(),
            _ => clock().second().into(),
        })
    }
}

// -- Records ------------------------------------------------------------------------------------

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Model {
    Owner,
    Tag,
    Item,
}

impl Model {
    fn fields(self) -> &'static [(&'static str, Kind)] {
        match self {
            Model::Owner => &[("name", Kind::Text), ("rank", Kind::Integer)],
            Model::Tag => &[("name", Kind::Text), ("ratio", Kind::Float)],
            Model::Item => &[
                ("name", Kind::Text),
                ("rank", Kind::Integer),
                ("price", Kind::Decimal),
                ("ratio", Kind::Float),
                ("flag", Kind::Boolean),
                ("day", Kind::Date),
                ("moment", Kind::Moment),
            ],
        }
    }

    fn along(self, relation: &str) -> Model {
        match (self, relation) {
            (Model::Item, "owner") => Model::Owner,
            (Model::Item, "tags") => Model::Tag,
            _ => Model::Item,
        }
    }

    fn table(self) -> String {
        format!("p.{self:?}")
    }
}

/// A record; ids count from 1 in each table.
#[derive(Clone, Debug)]
struct Record {
    cells: BTreeMap<&'static str, Cell>,
    owner: Option<usize>,
    parent: Option<usize>,
    tags: Vec<usize>,
}

#[derive(Clone, Debug)]
struct World(BTreeMap<Model, Vec<Record>>);

impl World {
    fn new(owners: &[Vec<u32>], tags: &[Vec<u32>], items: &[Vec<u32>]) -> World {
        let one_of = |many: usize, die: u32| (1..=many).nth(die as usize % (many + 2));
        let record = |model: Model, dice: &Vec<u32>| Record {
            cells: model.fields().iter().zip(dice).map(|((name, kind), die)| (*name, kind.cell(*die))).collect(),
            owner: one_of(owners.len(), dice[7]),
            parent: one_of(items.len(), dice[8]),
            tags: (1..=tags.len()).filter(|tag| dice[9] >> tag & 1 == 1).collect(),
        };
        let table = |model, dice: &[Vec<u32>]| (model, dice.iter().map(|dice| record(model, dice)).collect());
        World(BTreeMap::from([table(Model::Owner, owners), table(Model::Tag, tags), table(Model::Item, items)]))
    }

    fn record(&self, model: Model, id: usize) -> &Record {
        &self.0[&model][id - 1]
    }

    fn ids(&self, model: Model) -> std::ops::RangeInclusive<usize> {
        1..=self.0[&model].len()
    }

    /// The ids that a relation leads to.
    fn related(&self, model: Model, id: usize, relation: &str) -> Vec<usize> {
        let items = |wanted: &dyn Fn(&Record) -> bool| {
            self.ids(Model::Item).filter(|item| wanted(self.record(Model::Item, *item))).collect()
        };
        match (model, relation) {
            (_, "owner") => self.record(model, id).owner.into_iter().collect(),
            (_, "parent") => self.record(model, id).parent.into_iter().collect(),
            (_, "tags") => self.record(model, id).tags.clone(),
            (_, "children") => items(&|item| item.parent == Some(id)),
            (Model::Owner, _) => items(&|item| item.owner == Some(id)),
            _ => items(&|item| item.tags.contains(&id)),
        }
    }

    /// A field of a record, of which there may be none.
    fn cell(&self, model: Model, id: Option<usize>, field: &str) -> Cell {
        match id {
            None => Cell::Null,
            Some(id) if field == "id" => Cell::Integer(i64::try_from(id).unwrap()),
            Some(id) => self.record(model, id).cells[field].clone(),
        }
    }

    /// Puts these records in the place of those that a database holds.
    fn write(&self, connection: &mut Connection) {
        let transaction = connection.transaction().unwrap();
        transaction
            .execute_batch(
                r#"DELETE FROM "p.Item.tags"; DELETE FROM "p.Item"; DELETE FROM "p.Owner"; DELETE FROM "p.Tag""#,
            )
            .unwrap();
        for (model, records) in &self.0 {
            for (id, record) in (1_i64..).zip(records) {
                let mut columns = vec!["id".to_owned()];
                let mut values: Vec<rusqlite::types::Value> = vec![id.into()];
                let mut push = |name: &str, value| {
                    columns.push(format!("\"{name}\""));
                    values.push(value);
                };
                record.cells.iter().for_each(|(name, cell)| push(name, cell.stored()));
                if *model == Model::Item {
                    let reference = |id: Option<usize>| id.map(|id| i64::try_from(id).unwrap()).into();
                    push("owner", reference(record.owner));
                    push("parent", reference(record.parent));
                    for tag in &record.tags {
                        transaction.execute(r#"INSERT INTO "p.Item.tags" VALUES (?1, ?2)"#, (id, *tag as i64)).unwrap();
                    }
                }
                let places = vec!["?"; columns.len()].join(", ");
                let sql = format!("INSERT INTO \"{}\" ({}) VALUES ({places})", model.table(), columns.join(", "));
                transaction.execute(&sql, rusqlite::params_from_iter(values)).unwrap();
            }
        }
        transaction.commit().unwrap();
    }
}

fn dice(count: usize) -> impl Strategy<Value = Vec<u32>> {
    vec(0..100_000_u32, count)
}

fn world() -> impl Strategy<Value = World> {
    (vec(dice(10), 0..4), vec(dice(10), 0..4), vec(dice(10), 0..16))
        .prop_map(|(owners, tags, items)| World::new(&owners, &tags, &items))
}

// -- Filters ------------------------------------------------------------------------------------

const PATHS: [&[&str]; 14] = [
    &[],
    &[],
    &[],
    &["owner"],
    &["tags"],
    &["parent"],
    &["children"],
    &["owner", "items"],
    &["tags", "items"],
    &["parent", "owner"],
    &["children", "tags"],
    &["children", "owner"],
    &["parent", "parent"],
    &["tags", "items", "owner"],
];
const EVERY: [&str; 8] = ["exact", "in", "gt", "gte", "lt", "lte", "range", "isnull"];
const ON_TEXT: [&str; 9] =
    ["iexact", "contains", "icontains", "startswith", "istartswith", "endswith", "iendswith", "regex", "iregex"];
const DATE_PARTS: [&str; 8] = ["year", "iso_year", "quarter", "month", "week", "day", "week_day", "iso_week_day"];
const MOMENT_PARTS: [&str; 4] = ["date", "hour", "minute", "second"];
const REGEXES: [&str; 6] = ["^a", "b|S", "[ab]+$", "σ", "^$", "\\\\|%"];

/// One condition, at the end of a path.
#[derive(Clone, Debug)]
struct Leaf {
    key: String,
    path: &'static [&'static str],
    field: &'static str,
    part: Option<&'static str>,
    lookup: &'static str,
    operands: Vec<Cell>,
}

#[derive(Clone, Debug)]
enum Filter {
    Object(Vec<Leaf>),
    And(Vec<Filter>),
    Or(Vec<Filter>),
    Not(Box<Filter>),
}

fn leaf(dice: &[u32]) -> Leaf {
    let path = pick(&PATHS, dice[0]);
    let model = path.iter().fold(Model::Item, |model, relation| model.along(relation));
    let fields = model.fields();
    let mut words: Vec<&str> = path.to_vec();
    // A path may also end at the relation itself, which stands for its id.
    let (field, kind) = match fields.get(dice[1] as usize % (fields.len() + 1)) {
        Some((name, kind)) => {
            words.push(name);
            (*name, *kind)
        }
        None => {
            match dice[2] % 3 {
                0 => words.push("id"),
                1 => words.push("pk"),
                _ if path.is_empty() => words.push("id"),
                _ => {}
            }
            ("id", Kind::Integer)
        }
    };
    let parts = match kind {
        Kind::Date => DATE_PARTS.to_vec(),
        Kind::Moment => [&DATE_PARTS[..], &MOMENT_PARTS].concat(),
        _ => Vec::new(),
    };
    let part = parts.get(dice[3] as usize % (parts.len() * 4 / 3 + 1)).copied();
    let mut lookups = EVERY.to_vec();
    if kind == Kind::Text {
        lookups.extend(ON_TEXT);
    }
    let lookup = pick(&lookups, dice[4]);
    let value = |die: u32| match (field, part) {
        ("id", _) => Cell::Integer(i64::from(die % 6)),
        (_, Some(part)) => kind.value(die).part(part),
        _ => kind.value(die),
    };
    let operands = match lookup {
        "isnull" => vec![Cell::Boolean(dice[5].is_multiple_of(2))],
        "in" => dice[5..5 + dice[8] as usize % 4]
            .iter()
            .map(|die| if die % 7 == 6 { Cell::Null } else { value(*die) })
            .collect(),
        "range" => vec![value(dice[5]), value(dice[6])],
        "exact" if dice[6] % 8 == 7 => vec![Cell::Null],
        "regex" | "iregex" => vec![Cell::Text(pick(&REGEXES, dice[5]).to_owned())],
        _ => vec![value(dice[5])],
    };
    words.extend(part);
    if lookup != "exact" || dice[7] % 2 == 1 {
        words.push(lookup);
    }
    Leaf { key: words.join("__"), path, field, part, lookup, operands }
}

fn filter() -> impl Strategy<Value = Filter> {
    let object = vec(dice(9), 0..4).prop_map(|leaves| {
        let leaves = leaves.iter().map(|dice| leaf(dice)).map(|leaf| (leaf.key.clone(), leaf));
        Filter::Object(leaves.collect::<BTreeMap<_, _>>().into_values().collect())
    });
    object.prop_recursive(3, 10, 3, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..4).prop_map(Filter::And),
            vec(inner.clone(), 0..4).prop_map(Filter::Or),
            inner.prop_map(|inner| Filter::Not(Box::new(inner))),
        ]
    })
}

impl Leaf {
    fn json(&self) -> Value {
        match self.lookup {
            "in" | "range" => self.operands.iter().map(Cell::json).collect(),
            _ => self.operands[0].json(),
        }
    }

    fn holds(&self, cell: &Cell) -> bool {
        let cell = &self.part.map_or_else(|| cell.clone(), |part| cell.part(part));
        let is = |ordering: Option<Ordering>, wanted: &[Ordering]| {
            ordering.is_some_and(|ordering| wanted.contains(&ordering))
        };
        let first = self.operands.first().unwrap_or(&Cell::Null);
        let against = cell.compare(first);
        match (self.lookup, first, cell) {
            ("exact", Cell::Null, _) => *cell == Cell::Null,
            ("isnull", _, _) => (*cell == Cell::Null) == (*first == Cell::Boolean(true)),
            ("exact", _, _) => is(against, &[Ordering::Equal]),
            ("gt", _, _) => is(against, &[Ordering::Greater]),
            ("gte", _, _) => is(against, &[Ordering::Greater, Ordering::Equal]),
            ("lt", _, _) => is(against, &[Ordering::Less]),
            ("lte", _, _) => is(against, &[Ordering::Less, Ordering::Equal]),
            ("in", _, _) => self.operands.iter().any(|operand| is(cell.compare(operand), &[Ordering::Equal])),
            ("range", _, _) => {
                let within = cell.compare(&self.operands[1]);
                is(against, &[Ordering::Greater, Ordering::Equal]) && is(within, &[Ordering::Less, Ordering::Equal])
            }
            (lookup, Cell::Text(piece), Cell::Text(text)) => text_holds(lookup, text, piece),
            _ => false,
        }
    }
}

fn text_holds(lookup: &str, text: &str, piece: &str) -> bool {
    let (folded, folded_piece) = (folded(text), folded(piece));
    let regex =
        |insensitive| regex::RegexBuilder::new(piece).case_insensitive(insensitive).build().unwrap().is_match(text);
    match lookup {
        "iexact" => folded == folded_piece,
        "contains" => text.contains(piece),
        "icontains" => folded.contains(&folded_piece),
        "startswith" => text.starts_with(piece),
        "istartswith" => folded.starts_with(&folded_piece),
        "endswith" => text.ends_with(piece),
        "iendswith" => folded.ends_with(&folded_piece),
        "regex" => regex(false),
        _ => regex(true),
    }
}

/// Case folding of the letters in [`TEXTS`].
fn folded(text: &str) -> String {
    let fold = |letter: char| match letter {
        'ß' => "ss".to_owned(),
        'Σ' | 'ς' => "σ".to_owned(),
        'É' => "é".to_owned(),
        other => other.to_ascii_lowercase().to_string(),
    };
    text.chars().map(fold).collect()
}

impl Filter {
    fn json(&self) -> Value {
        let list = |filters: &[Filter]| filters.iter().map(Filter::json).collect::<Value>();
        match self {
            Filter::Object(leaves) => {
                Value::Object(leaves.iter().map(|leaf| (leaf.key.clone(), leaf.json())).collect())
            }
            Filter::And(all) => json!({"__and__": list(all)}),
            Filter::Or(any) => json!({"__or__": list(any)}),
            Filter::Not(inner) => json!({"__not__": inner.json()}),
        }
    }

    fn holds(&self, world: &World, item: usize) -> bool {
        self.holds_along(world, item, &[])
    }

    /// Whether a row of an item and what is joined to it belongs to the groups of records that fulfil it. What stands in
    /// an `__and__` or `__not__` looks for records of its own.
    fn keeps(&self, world: &World, item: usize, joined: &[Joined]) -> bool {
        match self {
            Filter::Object(_) => self.holds_along(world, item, joined),
            Filter::Or(any) => any.iter().any(|filter| filter.keeps(world, item, joined)),
            Filter::And(_) | Filter::Not(_) => self.holds(world, item),
        }
    }

    /// Whether an item fulfils it, where the conditions that follow these relations are about these records.
    fn holds_along(&self, world: &World, item: usize, joined: &[Joined]) -> bool {
        match self {
            Filter::Object(leaves) => {
                let leaves: Vec<(&[&str], &Leaf)> = leaves.iter().map(|leaf| (leaf.path, leaf)).collect();
                all_hold(world, Model::Item, Some(item), &leaves, joined)
            }
            Filter::And(all) => all.iter().all(|filter| filter.holds_along(world, item, joined)),
            Filter::Or(any) => any.iter().any(|filter| filter.holds_along(world, item, joined)),
            Filter::Not(inner) => !inner.holds_along(world, item, joined),
        }
    }
}

/// A relation that is joined, and the record there, if there is one.
type Joined = (&'static str, Option<usize>);

/// Whether a record, which may be none, fulfils conditions, each with what is left of its path. Those that
/// go on over the same relation must hold for one record there, or for none where there is none; where it is joined,
/// for the one that is.
fn all_hold(world: &World, model: Model, id: Option<usize>, leaves: &[(&[&str], &Leaf)], joined: &[Joined]) -> bool {
    let (own, further): (Vec<_>, Vec<_>) = leaves.iter().partition(|(path, _)| path.is_empty());
    let mut relations: BTreeMap<&str, Vec<(&[&str], &Leaf)>> = BTreeMap::new();
    for (path, leaf) in further {
        relations.entry(path[0]).or_default().push((&path[1..], leaf));
    }
    own.iter().all(|(_, leaf)| leaf.holds(&world.cell(model, id, leaf.field)))
        && relations.iter().all(|(relation, leaves)| {
            let target = model.along(relation);
            if let Some(((_, id), further)) = joined.split_first().filter(|((name, _), _)| name == relation) {
                return all_hold(world, target, *id, leaves, further);
            }
            let found = id.map_or_else(Vec::new, |id| world.related(model, id, relation));
            let holds = |id: Option<usize>| all_hold(world, target, id, leaves, &[]);
            if found.is_empty() { holds(None) } else { found.into_iter().any(|id| holds(Some(id))) }
        })
}

// -- Properties ---------------------------------------------------------------------------------

/// A server, a connection to it, and one to its file.
struct Bench {
    server: Server,
    client: Client,
    file: Connection,
}

impl Bench {
    fn new() -> Bench {
        let server = Server::with(MODELS, &[]);
        let client = Client::connect(&server.address);
        let file = Connection::open(server.folder.path("test.db")).unwrap();
        file.execute_batch("PRAGMA foreign_keys = OFF; PRAGMA synchronous = OFF").unwrap();
        Bench { server, client, file }
    }

    /// What a request is answered with.
    fn answer(&mut self, request: &Value) -> Result<Value, TestCaseError> {
        let reply = self.client.jql(&self.server.key, &request.to_string());
        prop_assert_eq!(reply.status, 200, "{}\n{}", request, reply.body);
        Ok(reply.json())
    }

    /// The records, or groups, that a request is answered with.
    fn records(&mut self, request: &Value) -> Result<Vec<Value>, TestCaseError> {
        Ok(self.answer(request)?["data"].as_array().unwrap().clone())
    }

    /// The ids of the items that a request finds.
    fn items(&mut self, meta: Value) -> Result<Vec<usize>, TestCaseError> {
        self.page(meta).map(|(items, _)| items)
    }

    /// The same, and `extras`.
    fn page(&mut self, meta: Value) -> Result<(Vec<usize>, Value), TestCaseError> {
        let answer = self.answer(&request("retrieve", "p.Item", &meta, &json!({"id": null})))?;
        let records = answer["data"].as_array().unwrap();
        let ids = records.iter().map(|record| record["id"].as_u64().unwrap() as usize).collect();
        Ok((ids, answer["extras"].clone()))
    }
}

/// Holds a property against random cases.
#[track_caller]
fn check<S: Strategy>(
    cases: u32,
    strategy: S,
    mut property: impl FnMut(&mut Bench, S::Value) -> Result<(), TestCaseError>,
) {
    let bench = std::cell::RefCell::new(Bench::new());
    let config = Config { cases, failure_persistence: None, max_shrink_iters: 2000, ..Config::default() };
    let property = std::cell::RefCell::new(&mut property);
    let outcome = TestRunner::new(config).run(&strategy, |case| (property.borrow_mut())(&mut bench.borrow_mut(), case));
    if let Err(failure) = outcome {
        panic!("{failure}");
    }
}

#[test]
fn a_filter_and_its_exclude_split_every_set_in_two() {
    check(120, (world(), vec(filter(), 8)), |bench, (world, filters)| {
        world.write(&mut bench.file);
        for filter in &filters {
            let mut both = bench.items(json!({"filter": filter.json()}))?;
            both.extend(bench.items(json!({"exclude": filter.json()}))?);
            both.sort_unstable();
            prop_assert_eq!(both, world.ids(Model::Item).collect::<Vec<_>>(), "{}", filter.json());
        }
        Ok(())
    });
}

#[test]
fn a_filter_finds_what_a_plain_evaluation_finds() {
    check(120, (world(), vec(filter(), 12)), |bench, (world, filters)| {
        world.write(&mut bench.file);
        for filter in &filters {
            let found = bench.items(json!({"filter": filter.json(), "ordering": "pk"}))?;
            let expected: Vec<usize> = world.ids(Model::Item).filter(|item| filter.holds(&world, *item)).collect();
            prop_assert_eq!(found, expected, "{}", filter.json());
        }
        Ok(())
    });
}

/// One term of an order, and the terms that it stands for: path, field, descending.
type Term = (String, Vec<(Vec<&'static str>, &'static str, bool)>);

fn term(dice: &[u32]) -> Term {
    let descending = dice[2] % 2 == 1;
    let sign = if descending { "-" } else { "" };
    let path = pick(&PATHS, dice[0]);
    let model = path.iter().fold(Model::Item, |model, relation| model.along(relation));
    let fields = model.fields();
    match fields.get(dice[1] as usize % (fields.len() + 1)) {
        Some((name, _)) => {
            let key = [path, &[*name]].concat().join("__");
            (format!("{sign}{key}"), vec![(path.to_vec(), name, descending)])
        }
        // A reference to an owner stands for the owners' own order.
        None => {
            (format!("{sign}owner"), vec![(vec!["owner"], "rank", !descending), (vec!["owner"], "name", descending)])
        }
    }
}

/// What an item is ordered by: the least of the values at the end of a path, descending the greatest.
fn order_key(world: &World, item: usize, path: &[&str], field: &str, descending: bool) -> Cell {
    let (mut model, mut ids) = (Model::Item, vec![item]);
    for relation in path {
        ids = ids.into_iter().flat_map(|id| world.related(model, id, relation)).collect();
        model = model.along(relation);
    }
    let values = ids.into_iter().map(|id| world.cell(model, Some(id), field)).filter(|cell| *cell != Cell::Null);
    let order = |left: &Cell, right: &Cell| left.compare(right).expect("values of one kind");
    let chosen = if descending { values.max_by(order) } else { values.min_by(order) };
    chosen.unwrap_or(Cell::Null)
}

/// The order of two values, NULLs lowest.
fn lowest_null(left: &Cell, right: &Cell) -> Ordering {
    match (left, right) {
        (Cell::Null, Cell::Null) => Ordering::Equal,
        (Cell::Null, _) => Ordering::Less,
        (_, Cell::Null) => Ordering::Greater,
        _ => left.compare(right).expect("values of one kind"),
    }
}

fn expected_order(world: &World, filter: &Filter, terms: &[Term]) -> Vec<usize> {
    let mut items: Vec<usize> = world.ids(Model::Item).filter(|item| filter.holds(world, *item)).collect();
    items.sort_by(|left, right| {
        let by_terms = terms.iter().flat_map(|(_, stands_for)| stands_for).map(|(path, field, descending)| {
            let key = |item| order_key(world, item, path, field, *descending);
            let ordering = lowest_null(&key(*left), &key(*right));
            if *descending { ordering.reverse() } else { ordering }
        });
        by_terms.fold(Ordering::Equal, Ordering::then).then(left.cmp(right))
    });
    items
}

#[test]
fn pages_of_any_size_in_any_order_make_up_the_whole_list() {
    let case = (world(), filter(), vec(dice(3), 0..4), 1..8_usize);
    check(120, case, |bench, (world, filter, terms, size)| {
        world.write(&mut bench.file);
        let terms: Vec<Term> = terms.iter().map(|dice| term(dice)).collect();
        let ordering: Vec<&String> = terms.iter().map(|(key, _)| key).collect();
        let whole = bench.items(json!({"filter": filter.json(), "ordering": ordering}))?;
        prop_assert_eq!(&whole, &expected_order(&world, &filter, &terms), "{:?}", ordering);
        let mut pages: Vec<usize> = Vec::new();
        loop {
            let page = json!({"filter": filter.json(), "ordering": ordering, "limit": size, "offset": pages.len()});
            let page = bench.items(page)?;
            prop_assert!(page.len() <= size);
            pages.extend(&page);
            if page.len() < size {
                break;
            }
        }
        prop_assert_eq!(pages, whole, "{:?} by {}", ordering, size);
        Ok(())
    });
}

#[test]
fn a_walk_by_cursor_in_any_order_makes_up_the_whole_list() {
    let filter = prop_oneof![2 => Just(Filter::Object(Vec::new())), 1 => filter()];
    let case = (world(), filter, vec(dice(3), 0..5), 1..5_usize);
    check(400, case, |bench, (world, filter, terms, size)| {
        world.write(&mut bench.file);
        let terms: Vec<Term> = terms.iter().map(|dice| term(dice)).collect();
        let ordering: Vec<&String> = terms.iter().map(|(key, _)| key).collect();
        let whole = expected_order(&world, &filter, &terms);
        let mut meta = json!({"filter": filter.json(), "ordering": ordering, "limit": size});
        let mut seen = 0;
        loop {
            let (page, extras) = bench.page(meta.clone())?;
            prop_assert_eq!(&page, &whole[seen..whole.len().min(seen + size)], "{}", meta);
            prop_assert_eq!(&extras["filtered"], whole.len(), "{}", meta);
            seen += page.len();
            prop_assert_eq!(extras.get("next").is_some(), seen < whole.len(), "{}", meta);
            match extras.get("next") {
                Some(next) => meta["after"] = next.clone(),
                None => return Ok(()),
            }
        }
    });
}

// -- Totals -------------------------------------------------------------------------------------

/// The relations that groups and totals join.
const CHAINS: [&[&str]; 8] = [
    &[],
    &[],
    &["tags"],
    &["children"],
    &["owner", "items"],
    &["tags", "items"],
    &["children", "tags"],
    &["parent", "children"],
];

/// A value of an item, or of the record that is joined to it.
#[derive(Clone, Debug)]
struct Source {
    key: String,
    /// Whether it is of the record at the end of the chain.
    joined: bool,
    /// A reference on from there.
    reference: Option<&'static str>,
    field: &'static str,
    part: Option<&'static str>,
    kind: Kind,
}

/// One total; `function` is chosen among those that its source's type takes.
#[derive(Clone, Debug)]
struct Total {
    function: &'static str,
    source: Source,
    filter: Option<Filter>,
}

/// An item, and what is joined to it, relation by relation.
type Row = (usize, Vec<Joined>);

impl Source {
    fn new(chain: &[&'static str], joined: bool, dice: &[u32]) -> Source {
        let chain = if joined { chain } else { &[] };
        let mut model = chain.iter().fold(Model::Item, |model, relation| model.along(relation));
        let mut words = chain.to_vec();
        let reference =
            Some(pick(&["owner", "parent", ""], dice[0])).filter(|name| model == Model::Item && !name.is_empty());
        if let Some(reference) = reference {
            words.push(reference);
            model = model.along(reference);
        }
        let fields = model.fields();
        let (field, kind) = fields.get(dice[1] as usize % (fields.len() + 1)).copied().unwrap_or(("id", Kind::Integer));
        words.push(field);
        let parts = match kind {
            Kind::Date => DATE_PARTS.to_vec(),
            Kind::Moment => [&DATE_PARTS[..], &MOMENT_PARTS].concat(),
            _ => Vec::new(),
        };
        let part = parts.get(dice[2] as usize % (parts.len() * 4 / 3 + 1)).copied();
        words.extend(part);
        let kind = match part {
            None => kind,
            Some("date") => Kind::Date,
            Some(_) => Kind::Integer,
        };
        Source { key: words.join("__"), joined, reference, field, part, kind }
    }

    fn of(&self, world: &World, (item, joined): &Row) -> Cell {
        let (mut model, mut id) = (Model::Item, Some(*item));
        if self.joined {
            model = joined.iter().fold(model, |model, (relation, _)| model.along(relation));
            id = joined.last().and_then(|(_, id)| *id);
        }
        if let Some(reference) = self.reference {
            id = id.and_then(|id| world.related(model, id, reference).first().copied());
            model = model.along(reference);
        }
        let cell = world.cell(model, id, self.field);
        self.part.map_or(cell.clone(), |part| cell.part(part))
    }
}

impl Total {
    fn new(source: Source, filter: Option<Filter>, die: u32) -> Total {
        let mut functions = vec!["Count", "CountDistinct", "Min", "Max", "First", "Last", "Concat", "Exists"];
        if matches!(source.kind, Kind::Integer | Kind::Decimal) {
            functions.extend(["Sum", "Avg", "Percentile"].repeat(4));
        }
        Total { function: pick(&functions, die), source, filter }
    }

    /// What it makes of which field.
    fn step(&self) -> Value {
        let mut step = json!({"function": self.function, "onField": self.source.key});
        if self.function == "Percentile" {
            step["value"] = json!(0.75);
        }
        step
    }

    fn json(&self) -> Value {
        let mut total = self.step();
        if let Some(filter) = &self.filter {
            total["filter"] = filter.json();
        }
        total
    }

    /// What it makes of rows, in their order.
    fn of(&self, world: &World, rows: &[Row]) -> Value {
        let counts =
            |(item, joined): &&Row| self.filter.as_ref().is_none_or(|filter| filter.holds_along(world, *item, joined));
        let cells: Vec<Cell> = rows.iter().filter(counts).map(|row| self.source.of(world, row)).collect();
        let known: Vec<&Cell> = cells.iter().filter(|cell| **cell != Cell::Null).collect();
        let order = |left: &&&Cell, right: &&&Cell| left.compare(right).expect("values of one kind");
        let or_null = |cell: Option<&Cell>| cell.unwrap_or(&Cell::Null).json();
        match self.function {
            "Count" => json!(known.len()),
            "CountDistinct" => {
                let is_first = |(index, cell): &(usize, &&Cell)| !known[..*index].contains(cell);
                json!(known.iter().enumerate().filter(is_first).count())
            }
            "Exists" => json!(!known.is_empty()),
            "Min" => or_null(known.iter().min_by(order).copied()),
            "Max" => or_null(known.iter().max_by(order).copied()),
            "First" => or_null(cells.first()),
            "Last" => or_null(cells.last()),
            _ if known.is_empty() => Value::Null,
            "Percentile" => {
                let mut sorted = known.clone();
                sorted.sort_by(|left, right| order(&left, &right));
                sorted[(3 * sorted.len()).div_ceil(4) - 1].json()
            }
            "Concat" => {
                let text = |cell: &&Cell| match cell.json() {
                    Value::String(text) => text,
                    other => other.to_string(),
                };
                json!(known.iter().map(text).collect::<Vec<_>>().join(", "))
            }
            function => number(self.source.kind, function, &known),
        }
    }
}

/// A sum or an average of whole numbers or decimals.
fn number(kind: Kind, function: &str, cells: &[&Cell]) -> Value {
    let units = cells.iter().map(|cell| match cell {
        Cell::Integer(units) | Cell::Decimal(units) => i128::from(*units),
        other => panic!("{other:?} is no number"),
    });
    let (sum, count) = (units.sum::<i128>(), cells.len() as i128);
    let decimal = |units: i128, places: usize| {
        let sign = if units < 0 { "-" } else { "" };
        let digits = format!("{:0width$}", units.unsigned_abs(), width = places + 1);
        let (whole, fraction) = digits.split_at(digits.len() - places);
        json!(format!("{sign}{whole}.{fraction}"))
    };
    match (kind, function) {
        (Kind::Integer, "Sum") => serde_json::from_str(&sum.to_string()).unwrap(),
        (Kind::Integer, _) => json!(sum as f64 / count as f64),
        (_, "Sum") => decimal(sum, 2),
        _ => {
            // Twice the average in millionths of a hundredth, so that a half is seen.
            let double = sum.abs() * 2_000_000 / count;
            decimal((double + 1) / 2 * sum.signum(), 8)
        }
    }
}

/// Whether an answer is as expected; averages of whole numbers are floats, of which the last digits may differ.
fn agrees(found: &Value, expected: &Value) -> bool {
    let float = |value: &Value| if value.is_f64() { value.as_f64() } else { None };
    match (float(found), float(expected)) {
        (Some(found), Some(expected)) => (found - expected).abs() <= expected.abs() * 1e-14,
        _ => found == expected,
    }
}

impl World {
    /// The items, each with every record that a chain joins to it, or with none, as far as a filter keeps them.
    fn rows(&self, filter: &Filter, chain: &[&'static str]) -> Vec<Row> {
        let mut rows: Vec<Row> = self.ids(Model::Item).map(|item| (item, Vec::new())).collect();
        let mut model = Model::Item;
        for relation in chain {
            let further = |(item, joined): Row| {
                let here = joined.last().map_or(Some(item), |(_, id)| *id);
                let found = here.map_or_else(Vec::new, |id| self.related(model, id, relation));
                let ids: Vec<Option<usize>> =
                    if found.is_empty() { vec![None] } else { found.into_iter().map(Some).collect() };
                ids.into_iter().map(move |id| (item, [joined.clone(), vec![(*relation, id)]].concat()))
            };
            rows = rows.into_iter().flat_map(further).collect();
            model = model.along(relation);
        }
        rows.retain(|(item, joined)| filter.keeps(self, *item, joined));
        // Of one item by the ids at the end of the chain.
        rows.sort_by_key(|(item, joined)| (*item, joined.last().map(|(_, id)| *id)));
        rows
    }
}

/// An `aggregate`.
#[derive(Clone, Debug)]
struct Question {
    chain: &'static [&'static str],
    groups: Vec<Source>,
    totals: Vec<Total>,
    filter: Filter,
    /// Groups of fewer rows are left out.
    least: u32,
}

fn question() -> impl Strategy<Value = Question> {
    let totals = vec((dice(5), proptest::option::of(filter())), 0..4);
    let filter = prop_oneof![Just(Filter::And(Vec::new())), filter()];
    (dice(2), vec(dice(4), 0..3), totals, filter).prop_map(|(dice, groups, totals, filter)| {
        let chain = pick(&CHAINS, dice[0]);
        let joined = |die: u32| !chain.is_empty() && !die.is_multiple_of(3);
        let mut groups: Vec<Source> = groups.iter().map(|dice| Source::new(chain, joined(dice[3]), dice)).collect();
        groups.sort_by_key(|group| group.key.clone());
        groups.dedup_by(|right, left| left.key == right.key);
        let by_groups = groups.iter().any(|group| group.joined);
        let total = |(dice, filter): (Vec<u32>, Option<Filter>)| {
            let joined = !chain.is_empty() && (!by_groups || joined(dice[3]));
            Total::new(Source::new(chain, joined, &dice), filter, dice[4])
        };
        let mut totals: Vec<Total> = totals.into_iter().map(total).collect();
        // How many there are, always.
        let id = Source {
            key: [chain, &["id"]].concat().join("__"),
            joined: !chain.is_empty(),
            reference: None,
            field: "id",
            part: None,
            kind: Kind::Integer,
        };
        totals.push(Total { function: "Count", source: id, filter: None });
        Question { chain, groups, totals, filter, least: dice[1] % 3 }
    })
}

impl Question {
    fn json(&self) -> Value {
        let name = |index: usize| format!("t{index}");
        let by: Vec<&String> = self.groups.iter().map(|group| &group.key).collect();
        let count = name(self.totals.len() - 1);
        let having = json!({format!("{count}__gte"): self.least});
        let meta = json!({"groupBy": by, "filter": self.filter.json(), "having": having, "limit": 1000});
        let totals = self.totals.iter().enumerate().map(|(index, total)| (name(index), total.json()));
        request("aggregate", "p.Item", &meta, &Value::Object(totals.collect()))
    }

    /// The values of each group and its totals, in the order of the groups.
    fn answer(&self, world: &World) -> Vec<Vec<Value>> {
        let mut groups: Vec<(Vec<Cell>, Vec<Row>)> =
            if self.groups.is_empty() { vec![(Vec::new(), Vec::new())] } else { Vec::new() };
        for row in world.rows(&self.filter, self.chain) {
            let key: Vec<Cell> = self.groups.iter().map(|group| group.of(world, &row)).collect();
            match groups.iter_mut().find(|(known, _)| *known == key) {
                Some((_, rows)) => rows.push(row),
                None => groups.push((key, vec![row])),
            }
        }
        groups.sort_by(|(left, _), (right, _)| {
            let pairs = left.iter().zip(right).map(|(left, right)| lowest_null(left, right));
            pairs.fold(Ordering::Equal, Ordering::then)
        });
        let values = |(key, rows): (Vec<Cell>, Vec<Row>)| {
            let totals = self.totals.iter().map(|total| total.of(world, &rows));
            key.iter().map(Cell::json).chain(totals).collect::<Vec<_>>()
        };
        let stays = |values: &Vec<Value>| values.last().and_then(Value::as_u64) >= Some(self.least.into());
        groups.into_iter().map(values).filter(stays).collect()
    }
}

#[test]
fn groups_and_totals_are_what_a_plain_evaluation_makes_of_the_records() {
    check(120, (world(), vec(question(), 6)), |bench, (world, questions)| {
        world.write(&mut bench.file);
        for question in &questions {
            let found = bench.records(&question.json())?;
            let expected = question.answer(&world);
            let same = |(found, expected): (&Value, &Vec<Value>)| {
                let found = found.as_object().unwrap().values();
                found.len() == expected.len() && found.zip(expected).all(|(found, expected)| agrees(found, expected))
            };
            let is_same = found.len() == expected.len() && found.iter().zip(&expected).all(same);
            prop_assert!(is_same, "{}\nfound {}\nexpected {}", question.json(), json!(found), json!(expected));
        }
        Ok(())
    });
}

#[test]
fn a_subquery_makes_of_each_records_items_what_a_plain_evaluation_makes() {
    let filter = prop_oneof![Just(Filter::And(Vec::new())), filter()];
    let total =
        (dice(5), filter).prop_map(|(dice, filter)| Total::new(Source::new(&[], false, &dice), Some(filter), dice[4]));
    check(60, (world(), vec(total, 6)), |bench, (world, totals)| {
        world.write(&mut bench.file);
        for total in &totals {
            let meta = json!({"intent": "subquery", "namespace": "p.Item",
                "filter": total.filter.as_ref().map(Filter::json),
                "outerRefMapping": [{"field": "owner", "referenceField": "id"}],
                "sequencedProcess": [total.step()]});
            let fields = json!({"x": {"__meta__": meta}});
            let question = request("retrieve", "p.Owner", &json!({"ordering": "pk"}), &fields);
            let found = bench.records(&question)?;
            let everything = Filter::And(Vec::new());
            let expected = world.ids(Model::Owner).map(|owner| {
                let mut rows = world.rows(&everything, &[]);
                rows.retain(|(item, _)| world.record(Model::Item, *item).owner == Some(owner));
                total.of(&world, &rows)
            });
            let expected: Vec<Value> = expected.collect();
            let is_same = found.len() == expected.len()
                && found.iter().zip(&expected).all(|(found, expected)| agrees(&found["x"], expected));
            prop_assert!(is_same, "{}\nfound {}\nexpected {}", question, json!(found), json!(expected));
        }
        Ok(())
    });
}

/// Any JSON, of words that mean something somewhere.
fn anything() -> impl Strategy<Value = Value> {
    const WORDS: [&str; 45] = [
        "__meta__",
        "intent",
        "namespace",
        "filter",
        "exclude",
        "search",
        "ordering",
        "limit",
        "offset",
        "after",
        "count",
        "return",
        "uniqueObject",
        "value",
        "upTo",
        "retrieve",
        "create",
        "update",
        "deleteOne",
        "retrieveOne",
        "p.Item",
        "p.Tag",
        "p.None",
        "__and__",
        "__or__",
        "__not__",
        "id",
        "pk",
        "name",
        "rank",
        "price",
        "moment",
        "owner",
        "tags",
        "children__name__iregex",
        "day__week__in",
        "tags__ratio__range",
        "price__isnull",
        "name__regex",
        "-tags__name",
        "owner__items",
        "",
        "__",
        "ß\u{0}",
        "(?i)[a-z]{9}",
    ];
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        prop_oneof![Just(0), Just(1), any::<i64>()].prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        proptest::sample::select(&WORDS[..]).prop_map(Value::from),
        proptest::sample::select(&["1e400", "-0", "2024-02-29", "9999-12-31T23:59:59Z", "12.50", "\u{10ffff}"][..])
            .prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..4).prop_map(Value::from),
            vec((proptest::sample::select(&WORDS[..]), inner), 0..5)
                .prop_map(|members| members.into_iter().map(|(key, value)| (key.to_owned(), value)).collect()),
        ]
    })
}

#[test]
fn no_request_is_the_servers_own_fault() {
    const INTENTS: [&str; 6] = ["retrieve", "retrieveOne", "count", "create", "update", "deleteOne"];
    const KEYS: [&str; 12] = [
        "filter",
        "exclude",
        "search",
        "ordering",
        "limit",
        "offset",
        "after",
        "count",
        "cache",
        "return",
        "uniqueObject",
        "draw",
    ];
    const FIELDS: [&str; 12] =
        ["id", "name", "rank", "price", "ratio", "flag", "day", "moment", "owner", "parent", "tags", "children"];
    let of = |keys: &'static [&'static str]| vec((proptest::sample::select(keys), anything()), 0..4);
    let case = (proptest::sample::select(&INTENTS[..]), of(&KEYS), of(&FIELDS), any::<bool>());
    check(600, case, |bench, (intent, meta, fields, first)| {
        let mut request = json!({"__meta__": {"intent": intent, "namespace": "p.Item"}});
        request.as_object_mut().unwrap().extend(fields.into_iter().map(|(key, value)| (key.to_owned(), value)));
        let members = request["__meta__"].as_object_mut().unwrap();
        members.extend(meta.into_iter().map(|(key, value)| (key.to_owned(), value)));
        if first {
            members.insert("uniqueObject".into(), json!({"id": 1}));
        }
        let reply = bench.client.jql(&bench.server.key, &request.to_string());
        prop_assert!(matches!(reply.status, 200 | 400 | 404 | 409), "{}\n{}", request, reply.body);
        prop_assert_eq!(reply.json()["status"] == "OK", reply.status == 200);
        Ok(())
    });
}
