//! `Request` -> [`Plan`]: the only place where names resolve, values get their type and permission is asked.
//!
//! A plan is plain data and knows no SQL. After it nothing is refused for what it asks; only the database
//! may still say no. [`planner`] makes one: [`paths`] resolves names and asks permission, [`filter`] plans conditions, searches and
//! orders, [`inside`] those on json fields, [`values`] what other fields hold, [`totals`] groups and subqueries, [`fields`]
//! what is answered, [`write`] what is written, [`keys`] what is done to API keys, [`models`] what to the models.

mod fields;
mod filter;
mod inside;
pub mod keys;
pub mod load;
pub mod models;
mod paths;
pub mod planner;
pub mod totals;
mod values;
mod write;

use crate::access::{Namespace, SYSTEM};
use crate::auth::Authenticated;
use crate::cursor::Cursors;
use crate::error::shown;
use crate::function::How;
use crate::json::{Json, Pointer};
use crate::lookup::{EXACT, Lookup, Part, Reading};
use crate::model::{Catalogue, Column, Definition, Model, Relation, VERSION};
use crate::request::Count;
use crate::transform::Step;
use crate::value::{Scalar, Type};
use jiff::SignedDuration;
use smol_str::SmolStr;
use std::collections::BTreeSet;
use std::sync::Arc;

/// What is to be done, in terms of models.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    pub model: Arc<Model>,
    pub work: Work,
    /// Every model that it reads or changes.
    pub touched: BTreeSet<Namespace>,
    /// Whether everything is undone once it is answered.
    pub dry_run: bool,
    /// Whether the answer may come from memory.
    pub cached: bool,
}

#[allow(clippy::large_enum_variant)] // there is one a request
#[derive(Clone, Debug, PartialEq)]
pub enum Work {
    Page {
        select: Select,
        count: Count,
        cursors: Cursors,
        /// The one record that it is narrowed to.
        target: Option<Target>,
    },
    One {
        select: Select,
        target: Target,
    },
    Count {
        condition: Condition,
    },
    /// Groups of records; the page is one of groups.
    Groups {
        grouped: Grouped,
        select: Select,
        count: Count,
    },
    /// New records: one, or a list of them.
    Create {
        write: Write,
        many: bool,
    },
    Update {
        target: Target,
        write: Write,
    },
    UpdateMany {
        condition: Condition,
        write: Write,
        most: Option<u64>,
    },
    /// The update, and what is made where there is no such record.
    Upsert {
        target: Target,
        update: Write,
        create: Write,
    },
    Delete {
        target: Target,
        referrers: Vec<Referrer>,
    },
    DeleteMany {
        condition: Condition,
        referrers: Vec<Referrer>,
        most: Option<u64>,
    },
    /// What is done to an API key, and who does it: nobody gives more than they have.
    Key {
        act: KeyAct,
        caller: Authenticated,
        /// Models that its permissions name and that are not there.
        missing: Vec<Namespace>,
    },
    /// What is done to the models that the request was planned with.
    Models {
        act: ModelsAct,
        definition: Definition,
        catalogue: Arc<Catalogue>,
    },
    /// What the server tells of itself, and the database alone does not know.
    Tell(Tell),
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Tell {
    /// What the caller may do with which models.
    Abilities,
    /// What the keys want mended; the terms that were named.
    Audit { window: Option<SignedDuration>, max_age: Option<SignedDuration> },
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum ModelsAct {
    /// Tells what would change.
    Diff,
    Apply {
        allow_data_loss: bool,
    },
}

#[derive(Clone, Debug, PartialEq)]
pub enum KeyAct {
    Create(Write),
    Update {
        target: Target,
        write: Write,
    },
    /// A new secret; the old one ends at that moment.
    Rotate {
        target: Target,
        until: String,
        answer: Select,
    },
    /// The old secret of the last rotation ends now.
    EndOverlap {
        target: Target,
        answer: Select,
    },
    Revoke {
        target: Target,
        answer: Select,
    },
    Disable {
        target: Target,
        answer: Select,
    },
    Enable {
        target: Target,
        answer: Select,
    },
}

impl Plan {
    /// Whether it is about the server's own models, which change by more than requests.
    pub fn touches_system(&self) -> bool {
        self.touched.iter().any(|model| model.app() == SYSTEM)
    }
}

impl Work {
    /// Whether it changes anything, and so belongs to the writer.
    pub fn writes(&self) -> bool {
        !matches!(
            self,
            Work::Page { .. }
                | Work::One { .. }
                | Work::Count { .. }
                | Work::Groups { .. }
                | Work::Models { act: ModelsAct::Diff, .. }
                | Work::Tell(_)
        )
    }

    /// Whether it changes the models themselves: any table may be another one then, and the transaction is its own.
    pub fn changes_models(&self) -> bool {
        matches!(self, Work::Models { act: ModelsAct::Apply { .. }, .. })
    }
}

/// Records to be read: which, in what order, which page of them, and what of each.
#[derive(Clone, Debug, PartialEq)]
pub struct Select {
    pub model: Arc<Model>,
    pub condition: Condition,
    pub order: Vec<Order>,
    pub limit: u64,
    pub offset: u64,
    /// What the record before the page is ordered by.
    pub after: Option<Vec<Scalar>>,
    /// Whether the page tells where the next one begins.
    pub ends_in_cursor: bool,
    pub fields: Vec<Output>,
}

impl Select {
    /// All records of a model, as many as there may be of one.
    pub fn of(model: &Arc<Model>, fields: Vec<Output>) -> Select {
        let (model, condition) = (model.clone(), Condition::everything());
        Select { model, condition, order: Vec::new(), limit: 1, offset: 0, after: None, ends_in_cursor: false, fields }
    }
}

impl Output {
    /// A value as it is, under this name.
    pub fn of(name: SmolStr, value: Value) -> Output {
        Output { name, what: What::Value(value), steps: Vec::new() }
    }
}

/// One member of an answered record.
#[derive(Clone, Debug, PartialEq)]
pub struct Output {
    pub name: SmolStr,
    pub what: What,
    /// What is made of the value before it is answered.
    pub steps: Vec<Step>,
}

#[derive(Clone, Debug, PartialEq)]
pub enum What {
    Value(Value),
    /// A total of other records.
    Total(Box<Subquery>),
    /// The record that the reference in `column` points to, or `null`.
    Record {
        column: SmolStr,
        model: Arc<Model>,
        fields: Vec<Output>,
    },
    /// The records of a relation to many; `path` names it in `extras.truncated`.
    List {
        relation: Arc<Relation>,
        path: SmolStr,
        select: Box<Select>,
    },
    /// Their ids alone.
    Ids {
        relation: Arc<Relation>,
        path: SmolStr,
        select: Box<Select>,
    },
}

/// Groups of records, and the totals of each. Its rows are records of a model of their own, whose fields are the
/// groups and the totals.
#[derive(Clone, Debug, PartialEq)]
pub struct Grouped {
    pub model: Arc<Model>,
    pub condition: Condition,
    /// The relations up to the last that leads to many: each of the records there is counted for itself.
    pub chain: Vec<Arc<Relation>>,
    pub groups: Vec<Group>,
    pub totals: Vec<GroupTotal>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Group {
    pub name: String,
    /// Whether it is a value of the records at the end of the chain.
    pub joined: bool,
    pub value: Value,
}

#[derive(Clone, Debug, PartialEq)]
pub struct GroupTotal {
    pub name: String,
    pub joined: bool,
    pub total: Total,
    pub filter: Option<Condition>,
}

/// What a function makes of the values of many records.
#[derive(Clone, Debug, PartialEq)]
pub struct Total {
    pub how: How,
    pub sql: &'static str,
    pub value: Value,
    pub order: Vec<Order>,
    /// What stands between the texts of a `Concat`; the share of a `Percentile`.
    pub setting: Scalar,
}

/// A total of the records that belong to another one.
#[derive(Clone, Debug, PartialEq)]
pub struct Subquery {
    pub model: Arc<Model>,
    pub condition: Condition,
    pub total: Total,
    /// The type of the result.
    pub kind: Type,
}

/// Which records. Comparisons with NULL are neither true nor false, as in SQL; [`Condition::Not`] is the exact complement.
#[derive(Clone, Debug, PartialEq)]
pub enum Condition {
    All(Vec<Condition>),
    Any(Vec<Condition>),
    Not(Box<Condition>),
    Compare(Comparison),
    /// A related record that fulfils `condition`; with `or_none`, also no related record at all.
    Related {
        relation: Arc<Relation>,
        condition: Box<Condition>,
        or_none: bool,
    },
    /// A condition on the record that so many relations of a group's chain lead to.
    Joined {
        depth: usize,
        condition: Box<Condition>,
    },
}

impl Condition {
    /// What every record fulfils.
    pub fn everything() -> Condition {
        Condition::All(Vec::new())
    }
}

/// What is read of one record: a column, or something made of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Term {
    pub column: Column,
    pub of: Of,
    pub scale: Scale,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Of {
    Whole,
    /// A part of a date or time.
    Part(&'static Part),
    /// A place inside a json field, and how what is there is read.
    Inside(String, &'static Reading),
}

/// What a number is multiplied with, so that it can be compared with one of another type.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Scale {
    Same,
    /// By so many powers of ten.
    Up(u32),
    /// Divided by so many powers of ten, as a float.
    Float(u32),
    /// By so many powers of ten, in the form of a total.
    Total(u32),
}

impl Term {
    /// The value of a column itself.
    pub fn of(column: Column) -> Term {
        Term { column, of: Of::Whole, scale: Scale::Same }
    }

    /// The type of what is read.
    pub fn kind(&self) -> Type {
        match &self.of {
            Of::Whole => self.column.kind,
            Of::Part(part) => part.kind,
            Of::Inside(_, reading) => reading.kind,
        }
    }

    fn scaled(self, scale: Scale) -> Term {
        Term { scale, ..self }
    }
}

/// A term of the record itself, or of those at the end of a path. Where the path leads to many, an order takes
/// the least of their values, descending the greatest; nothing else takes such a path.
#[derive(Clone, Debug, PartialEq)]
pub struct Value {
    pub path: Vec<Arc<Relation>>,
    pub term: Term,
}

impl Value {
    /// A column of the record itself.
    pub fn of(column: Column) -> Value {
        Value { path: Vec::new(), term: Term::of(column) }
    }

    pub fn is_many(&self) -> bool {
        self.path.iter().any(|relation| relation.is_many())
    }

    /// The column of the record itself, where it is no more than that.
    pub fn plain(&self) -> Option<&Column> {
        (self.path.is_empty() && self.term.of == Of::Whole).then_some(&self.term.column)
    }

    pub fn may_be_null(&self) -> bool {
        self.plain().is_none_or(|column| column.null)
    }
}

#[derive(Clone, Debug, PartialEq)]
pub struct Comparison {
    pub term: Term,
    pub lookup: &'static Lookup,
    pub value: Operand,
}

impl Comparison {
    /// The value of a column itself.
    pub fn of(column: Column, lookup: &'static Lookup, value: Operand) -> Comparison {
        Comparison { term: Term::of(column), lookup, value }
    }

    /// The column holds this value.
    pub fn exact(column: Column, value: Scalar) -> Condition {
        Condition::Compare(Comparison::of(column, EXACT, Operand::One(value)))
    }
}

#[derive(Clone, Debug, PartialEq)]
pub enum Operand {
    One(Scalar),
    List(Vec<Scalar>),
    Pair(Scalar, Scalar),
    Flag(bool),
    /// Another value of a record: of the one that the whole filter is about, or of the one around a subquery.
    Field(Record, Value),
}

/// Whose value it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Record {
    Own,
    Outer,
}

/// One term of an order.
#[derive(Clone, Debug, PartialEq)]
pub struct Order {
    pub value: Value,
    pub descending: bool,
}

/// The one record that `uniqueObject` names.
#[derive(Clone, Debug, PartialEq)]
pub struct Target {
    pub condition: Condition,
    /// Its id, where that is what names it.
    pub id: Option<Scalar>,
    /// The version that it must be of, which is not part of the condition.
    pub version: Option<i64>,
    /// What names it: columns, and what the request says of them.
    pub named: Vec<(SmolStr, Json)>,
}

/// What is written into records, and what is answered of them.
#[derive(Clone, Debug, PartialEq)]
pub struct Write {
    pub slots: Vec<Slot>,
    pub rows: Vec<Row>,
    /// Whether it raises the version of the records.
    pub raises: bool,
    /// The fields answered; the condition is added when the ids are known.
    pub answer: Select,
}

/// A column that is written.
#[derive(Clone, Debug, PartialEq)]
pub struct Slot {
    pub column: Column,
    /// The model that it refers to.
    pub to: Option<Namespace>,
}

/// What is written into one record.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Row {
    /// Where the request holds it: `` or `/__meta__/objects/5`.
    pub at: String,
    /// The values, slot by slot.
    pub values: Vec<Scalar>,
    /// The slots that the request itself gave a value for, with the names it gave them.
    pub given: Vec<(usize, SmolStr)>,
    /// Those of the names that stand in `uniqueObject`.
    pub sought: Vec<SmolStr>,
    pub links: Vec<Links>,
}

impl Row {
    /// Where the request holds the value of that name.
    pub fn place(&self, name: &str) -> String {
        let is_sought = self.sought.iter().any(|sought| sought == name);
        format!("{}{}", if is_sought { "/__meta__/uniqueObject" } else { &self.at }, Pointer::ROOT.key(name))
    }
}

/// The ids that replace those of a `refs` field.
#[derive(Clone, Debug, PartialEq)]
pub struct Links {
    pub relation: Arc<Relation>,
    pub given: SmolStr,
    pub ids: Vec<Scalar>,
}

/// A model that may still refer to a record that is to be deleted.
#[derive(Clone, Debug, PartialEq)]
pub struct Referrer {
    pub model: Namespace,
    pub column: String,
    /// Whether it refers to the record itself, and not to one that would be deleted with it.
    pub direct: bool,
    /// Whether the key may know of it.
    pub visible: bool,
}

impl Order {
    /// By a column of the record itself.
    pub fn of(column: Column) -> Order {
        Order { value: Value::of(column), descending: false }
    }
}

impl Target {
    /// As an error names it: `id 5`.
    pub fn name(&self) -> String {
        let one = |(name, json): &(SmolStr, Json)| format!("{name} {}", shown(json));
        self.named.iter().map(one).collect::<Vec<_>>().join(" and ")
    }

    /// The condition with that on the version.
    pub fn whole(&self, model: &Model) -> Condition {
        let column = self.version.and_then(|version| Some((model.column(VERSION)?, version)));
        let Some((column, version)) = column else { return self.condition.clone() };
        Condition::All(vec![self.condition.clone(), Comparison::exact(column, Scalar::Integer(version))])
    }
}

/// Bounds that the server sets.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// The highest `limit`.
    pub max_limit: u64,
}

/// The `limit` of a request that names none.
pub const DEFAULT_LIMIT: u64 = 100;
/// Levels of `__and__`, `__or__` and `__not__` within each other.
pub const FILTER_LEVELS: u64 = 32;
/// Relations behind each other, in a path or nested.
pub const RELATION_LEVELS: u64 = 8;
/// Records of references nested in one request: SQLite joins at most 64 tables, two of
/// which may be the list's own.
pub const MOST_REFERENCES: u64 = 62;
/// Fields asked for, written, ordered by and compared, all together.
pub const MOST_TERMS: u64 = 500;
/// Regular expressions: each takes memory once it is compiled.
pub const MOST_EXPRESSIONS: u64 = 16;
/// Values of one `in`.
pub const MOST_VALUES: u64 = 10_000;
