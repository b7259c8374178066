//! `Request` -> [`Plan`]: the only place where names resolve, values get their type and permission is asked.
//!
//! A plan is plain data and knows no SQL. After it nothing is refused for what it asks; only the database
//! may still say no. [`paths`] resolves names and asks permission, [`filter`] plans conditions, searches and
//! orders, [`inside`] those on json fields, [`values`] what other fields hold, [`totals`] groups and subqueries, [`fields`]
//! what is answered, [`write`] what is written, [`keys`] what is done to API keys.

mod fields;
mod filter;
mod inside;
mod keys;
mod paths;
mod totals;
mod values;
mod write;

use crate::access::{Action, Namespace, SYSTEM};
use crate::auth::Authenticated;
use crate::cursor::{Cursors, Secret};
use crate::error::{Code, Error, Errors, Problem, note};
use crate::function::How;
use crate::intent::{self, Intent};
use crate::json::Pointer;
use crate::lookup::{EXACT, Lookup, Part, Reading};
use crate::model::{Catalogue, Column, Model, Relation, VERSION};
use crate::request::{Count, Narrowing, Request};
use crate::transform::Step;
use crate::value::{Scalar, Type};
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
        self.touched.iter().any(|model| model.app == SYSTEM)
    }
}

impl Work {
    /// Whether it changes anything, and so belongs to the writer.
    pub fn writes(&self) -> bool {
        !matches!(self, Work::Page { .. } | Work::One { .. } | Work::Count { .. } | Work::Groups { .. })
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
    pub fn of(name: &str, value: Value) -> Output {
        Output { name: name.to_owned(), what: What::Value(value), steps: Vec::new() }
    }
}

/// One member of an answered record.
#[derive(Clone, Debug, PartialEq)]
pub struct Output {
    pub name: String,
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
        column: String,
        model: Arc<Model>,
        fields: Vec<Output>,
    },
    /// The records of a relation to many; `path` names it in `extras.truncated`.
    List {
        relation: Arc<Relation>,
        path: String,
        select: Box<Select>,
    },
    /// Their ids alone.
    Ids {
        relation: Arc<Relation>,
        path: String,
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
    pub separator: String,
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
    /// As an error names it: `id 5`.
    pub named: String,
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
    pub given: Vec<(usize, String)>,
    /// Those of the names that stand in `uniqueObject`.
    pub sought: Vec<String>,
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
    pub given: String,
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
    /// The condition with that on the version.
    pub fn whole(&self, model: &Model) -> Condition {
        let column = self.version.and_then(|version| Some((model.column(VERSION)?, version)));
        let Some((column, version)) = column else { return self.condition.clone() };
        Condition::All(vec![self.condition.clone(), Comparison::exact(column, Scalar::Integer(version))])
    }
}

/// What tells an order, and its cursors, from all others.
fn signature(select: &Select) -> String {
    let mut text = select.model.namespace.to_string();
    for Order { value, descending } in &select.order {
        text.push_str(if *descending { " -" } else { " " });
        for relation in &value.path {
            text.push_str(&relation.name);
            text.push_str("__");
        }
        text.push_str(&value.term.column.name);
        let of = match &value.term.of {
            Of::Whole => "",
            Of::Part(part) => part.name,
            Of::Inside(path, _) => path.as_str(),
        };
        text.push_str(&format!("__{of}:{:?}", value.term.kind()));
    }
    text
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

/// Who asks, when, and against which models: what a request is planned with.
#[derive(Clone)]
pub struct Given {
    pub catalogue: Arc<Catalogue>,
    pub caller: Authenticated,
    pub limits: Limits,
    /// What cursors are made of.
    pub secret: Secret,
    /// The moment of the request, for the fields that the server sets.
    pub now: String,
    /// The id of the request, for the server's own log.
    pub request_id: String,
}

/// Plans a request. `malformed` is what is wrong with it already.
///
/// # Errors
/// All that is wrong with it; where permission is lacking, nothing but that.
pub fn build(given: &Given, request: &Request, malformed: Errors) -> Result<Plan, Errors> {
    let mut planner = Planner {
        catalogue: &given.catalogue,
        caller: &given.caller,
        limits: given.limits,
        secret: &given.secret,
        now: &given.now,
        errors: malformed,
        terms: 0,
        references: 0,
        expressions: 0,
        touched: BTreeSet::new(),
        chain: Vec::new(),
    };
    let plan = planner.plan(request);
    let mut errors = planner.errors;
    if errors.iter().any(|error| error.problem.code() == Code::Authentication) {
        errors.retain(|error| error.problem.code() == Code::Authentication);
        return Err(errors);
    }
    if errors.iter().any(|error| matches!(error.problem, Problem::Forbidden { .. })) {
        errors.retain(|error| matches!(error.problem, Problem::Forbidden { .. }));
        errors.dedup_by(|next, kept| next.problem == kept.problem);
        return Err(errors);
    }
    match plan {
        Some((model, work)) if errors.is_empty() => {
            let (touched, dry_run, cached) = (planner.touched, request.dry_run, request.cached);
            Ok(Plan { model, work, touched, dry_run, cached })
        }
        _ => Err(errors),
    }
}

/// Collects what is wrong while it plans. A `None` from one of its methods means that an error was noted.
struct Planner<'a> {
    catalogue: &'a Catalogue,
    caller: &'a Authenticated,
    limits: Limits,
    secret: &'a Secret,
    now: &'a str,
    errors: Errors,
    /// Fields and conditions so far.
    terms: u64,
    /// Nested references so far.
    references: u64,
    /// Regular expressions so far.
    expressions: u64,
    /// The models asked for so far.
    touched: BTreeSet<Namespace>,
    /// The relations that the filter being planned shares with the groups.
    chain: Vec<Arc<Relation>>,
}

impl Planner<'_> {
    fn plan(&mut self, request: &Request) -> Option<(Arc<Model>, Work)> {
        let meta = Pointer::ROOT.key("__meta__");
        let at = meta.key("namespace");
        let rule = request.intent.rule();
        let narrowing = &request.narrowing;
        // A write that is narrowed by what it must not read would tell it.
        let reads = (narrowing.narrows() && !request.intent.reads()).then_some(Action::Read);
        let actions = rule.actions.iter().copied().chain(reads);
        let found: Vec<_> = actions.map(|action| self.model(&request.namespace, action, &at)).collect();
        let model = found.into_iter().collect::<Option<Vec<_>>>()?.into_iter().next()?;
        if let Some(served) = model.intents.filter(|served| !served.contains(&request.intent)) {
            let (model, served) = (model.namespace.to_string(), served.iter().map(|one| one.rule().name).collect());
            let problem = Problem::NotForModel { model, intent: rule.name, served };
            self.note(Error::at(meta.key("intent"), problem));
            return None;
        }
        let is_key = model.namespace.to_string() == intent::API_KEY;
        let work = match request.intent {
            Intent::Create | Intent::Update if is_key => self.key_work(&model, request, &meta)?,
            Intent::Rotate | Intent::Revoke | Intent::Disable | Intent::Enable => {
                self.key_work(&model, request, &meta)?
            }
            Intent::Retrieve => {
                let (condition, target) = match request.unique {
                    Some(_) => self.target(&model, request, &meta).map(|one| (one.whole(&model), Some(one))),
                    None => Some((self.condition(&model, narrowing, &meta), None)),
                }
                .unzip();
                let select = Select { ends_in_cursor: true, ..self.select(&model, request, &meta) };
                let cursors = Cursors::of(self.secret, &signature(&select));
                let after = self.after(request, cursors, &meta);
                let select = Select { condition: condition?, after, ..select };
                Work::Page { select, count: request.count, cursors, target: target? }
            }
            Intent::RetrieveOne => {
                let target = self.target(&model, request, &meta);
                let select = self.select(&model, request, &meta);
                let target = target?;
                Work::One { select: Select { condition: target.whole(&model), limit: 1, ..select }, target }
            }
            Intent::Count => Work::Count { condition: self.condition(&model, narrowing, &meta) },
            Intent::Aggregate => self.groups(&model, request, &meta)?,
            Intent::Create | Intent::CreateMany => {
                Work::Create { write: self.create(&model, request), many: request.intent == Intent::CreateMany }
            }
            Intent::Update => {
                let target = self.target(&model, request, &meta);
                let write = self.update(&model, request);
                Work::Update { target: target?, write }
            }
            Intent::UpdateMany => {
                let condition = self.condition(&model, narrowing, &meta);
                Work::UpdateMany { condition, write: self.update(&model, request), most: request.most_affected }
            }
            Intent::Upsert => {
                let target = self.target(&model, request, &meta);
                let (update, create) = self.upsert(&model, request);
                Work::Upsert { target: target?, update, create }
            }
            Intent::DeleteOne => {
                let target = self.target(&model, request, &meta);
                let referrers = self.deletion(&model, &at);
                Work::Delete { target: target?, referrers }
            }
            Intent::DeleteMany => {
                let condition = self.condition(&model, narrowing, &meta);
                let referrers = self.deletion(&model, &at);
                Work::DeleteMany { condition, referrers, most: request.most_affected }
            }
            Intent::Execute => {
                let problem = Problem::Fault { cause: "a batch is no plan".into() };
                self.note(Error::at(at, problem));
                return None;
            }
        };
        Some((model, work))
    }

    /// The fields and the page of a reading request; its condition is the caller's to add.
    fn select(&mut self, model: &Arc<Model>, request: &Request, meta: &Pointer<'_>) -> Select {
        let asked = request.fields.as_deref().unwrap_or_default();
        let fields = self.fields(model, asked, &Pointer::ROOT, "", 1);
        self.page(model, &request.narrowing, meta, fields)
    }

    /// Order, limit and offset of a list; its condition is the caller's to add. `at` is its `__meta__`.
    fn page(&mut self, model: &Arc<Model>, narrowing: &Narrowing, at: &Pointer<'_>, fields: Vec<Output>) -> Select {
        let order = self.order(model, narrowing.ordering.as_ref(), &at.key("ordering"));
        let limit = self.limit(narrowing, at);
        Select { order, limit, offset: narrowing.offset.unwrap_or(0), ..Select::of(model, fields) }
    }

    fn limit(&mut self, narrowing: &Narrowing, at: &Pointer<'_>) -> u64 {
        let limit = narrowing.limit.unwrap_or(DEFAULT_LIMIT.min(self.limits.max_limit));
        if limit > self.limits.max_limit {
            let problem = Problem::TooMany { what: "records in one page (limit)", limit: self.limits.max_limit };
            self.note(Error::at(at.key("limit"), problem));
        }
        limit
    }

    /// The values in the cursor that a page is to begin behind.
    fn after(&mut self, request: &Request, cursors: Cursors, meta: &Pointer<'_>) -> Option<Vec<Scalar>> {
        let found = cursors.open(request.after.as_ref()?);
        if found.is_none() {
            let why = "is not a cursor of this order: send back \"extras.next\" of the page before as it is, with the same ordering";
            let problem = Problem::Refused { field: "after".into(), why: why.into() };
            self.note(Error::at(meta.key("after"), problem));
        }
        found
    }

    fn note(&mut self, error: Error) {
        note(&mut self.errors, error);
    }

    /// Counts one more field or condition; `false` where there are too many.
    fn term(&mut self, at: &Pointer<'_>) -> bool {
        self.terms += 1;
        if self.terms == MOST_TERMS + 1 {
            // First, so that it is told however much else is wrong.
            let problem = Problem::TooMany { what: "fields and conditions", limit: MOST_TERMS };
            self.errors.insert(0, Error::at(at, problem));
        }
        self.terms <= MOST_TERMS
    }
}
