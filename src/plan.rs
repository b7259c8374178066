//! `Request` -> [`Plan`]: the only place where names resolve, values get their type and permission is asked.
//!
//! A plan is plain data and knows no SQL. After it nothing is refused for what it asks; only the database
//! may still say no. [`paths`] resolves names and asks permission, [`filter`] plans conditions, searches and
//! orders, [`inside`] those on json fields, [`fields`] what is answered, [`write`] what is written.

mod fields;
mod filter;
mod inside;
mod paths;
mod write;

use crate::access::{Action, Namespace};
use crate::auth::Authenticated;
use crate::error::{Code, Error, Errors, Problem, note};
use crate::json::Pointer;
use crate::lookup::{EXACT, Lookup, Part, Reading};
use crate::model::{Catalogue, Column, Model, Relation};
use crate::request::{Count, Intent, Narrowing, Request};
use crate::value::Scalar;
use std::sync::Arc;

/// What is to be done, in terms of models.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    pub model: Arc<Model>,
    /// The version of the models that it was made for.
    pub catalogue: i64,
    pub work: Work,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Work {
    Page { select: Select, count: Count },
    One { select: Select, named: String },
    Count { condition: Condition },
    Create(Write),
    Update { target: Target, write: Write },
    Delete { target: Target, referrers: Vec<Referrer> },
}

impl Work {
    /// Whether it changes anything, and so belongs to the writer.
    pub fn writes(&self) -> bool {
        matches!(self, Work::Create(_) | Work::Update { .. } | Work::Delete { .. })
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
    pub fields: Vec<Output>,
}

/// One member of an answered record.
#[derive(Clone, Debug, PartialEq)]
pub struct Output {
    pub name: String,
    pub what: What,
}

#[derive(Clone, Debug, PartialEq)]
pub enum What {
    Value(Column),
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
}

impl Condition {
    /// What every record fulfils.
    pub fn everything() -> Condition {
        Condition::All(Vec::new())
    }
}

#[derive(Clone, Debug, PartialEq)]
pub struct Comparison {
    pub column: Column,
    pub part: Option<&'static Part>,
    /// A place inside a json field, and how what is there is read.
    pub inside: Option<(String, &'static Reading)>,
    pub lookup: &'static Lookup,
    pub value: Operand,
}

impl Comparison {
    /// The value of a column itself.
    pub fn of(column: Column, lookup: &'static Lookup, value: Operand) -> Comparison {
        Comparison { column, part: None, inside: None, lookup, value }
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
}

/// One term of an order: a column, of the record itself or at the end of a path.
#[derive(Clone, Debug, PartialEq)]
pub struct Order {
    pub path: Vec<Arc<Relation>>,
    pub column: Column,
    pub descending: bool,
}

/// The one record that `uniqueObject` names.
#[derive(Clone, Debug, PartialEq)]
pub struct Target {
    pub condition: Condition,
    /// Its id, where that is what names it.
    pub id: Option<Scalar>,
    /// As an error names it: `id 5`.
    pub named: String,
}

/// What is written into one record, and what is answered of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Write {
    pub assignments: Vec<Assignment>,
    pub links: Vec<Links>,
    /// The fields answered; the condition is added when the id is known.
    pub answer: Select,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Assignment {
    pub column: Column,
    pub value: Scalar,
    /// The name under which the request gave it.
    pub given: String,
    /// The model that it refers to.
    pub to: Option<Namespace>,
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

/// Plans a request. `malformed` is what is wrong with it already, `now` its moment, for the fields that the
/// server sets.
///
/// # Errors
/// All that is wrong with it; where permission is lacking, nothing but that.
pub fn build(
    catalogue: &Catalogue,
    caller: &Authenticated,
    request: &Request,
    malformed: Errors,
    limits: Limits,
    now: &str,
) -> Result<Plan, Errors> {
    let mut planner =
        Planner { catalogue, caller, limits, now, errors: malformed, terms: 0, references: 0, expressions: 0 };
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
        Some(work) if errors.is_empty() => Ok(work),
        _ => Err(errors),
    }
}

/// Collects what is wrong while it plans. A `None` from one of its methods means that an error was noted.
struct Planner<'a> {
    catalogue: &'a Catalogue,
    caller: &'a Authenticated,
    limits: Limits,
    now: &'a str,
    errors: Errors,
    /// Fields and conditions so far.
    terms: u64,
    /// Nested references so far.
    references: u64,
    /// Regular expressions so far.
    expressions: u64,
}

impl Planner<'_> {
    fn plan(&mut self, request: &Request) -> Option<Plan> {
        let meta = Pointer::ROOT.key("__meta__");
        let model = self.model(&request.namespace, request.intent.rule().action, &meta.key("namespace"))?;
        let narrowing = &request.narrowing;
        if narrowing.narrows() {
            // A write that is narrowed by what it must not read would tell it.
            self.model(&request.namespace, Action::Read, &meta.key("namespace"))?;
        }
        let work = match request.intent {
            Intent::Retrieve => {
                let condition = match request.unique {
                    Some(_) => self.target(&model, request, &meta).map(|target| target.condition),
                    None => Some(self.condition(&model, narrowing, &meta)),
                };
                let select = self.select(&model, request, &meta);
                Work::Page { select: Select { condition: condition?, ..select }, count: request.count }
            }
            Intent::RetrieveOne => {
                let target = self.target(&model, request, &meta);
                let select = self.select(&model, request, &meta);
                let Target { condition, named, .. } = target?;
                Work::One { select: Select { condition, limit: 1, ..select }, named }
            }
            Intent::Count => Work::Count { condition: self.condition(&model, narrowing, &meta) },
            Intent::Create => Work::Create(self.create(&model, request)),
            Intent::Update => {
                let target = self.target(&model, request, &meta);
                let write = self.update(&model, request);
                Work::Update { target: target?, write }
            }
            Intent::DeleteOne => {
                let target = self.target(&model, request, &meta);
                let referrers = self.deletion(&model, &meta.key("namespace"));
                Work::Delete { target: target?, referrers }
            }
        };
        Some(Plan { model, catalogue: self.catalogue.version, work })
    }

    /// The fields and the page of a reading request; its condition is the caller's to add.
    fn select(&mut self, model: &Arc<Model>, request: &Request, meta: &Pointer<'_>) -> Select {
        let asked = request.fields.as_deref().unwrap_or_default();
        let fields = self.fields(model, asked, &Pointer::ROOT, "", 1);
        self.page(model, &request.narrowing, meta, fields)
    }

    /// Order, limit and offset of a list; its condition is the caller's to add. `at` is its `__meta__`.
    fn page(&mut self, model: &Arc<Model>, narrowing: &Narrowing, at: &Pointer<'_>, fields: Vec<Output>) -> Select {
        let limit = narrowing.limit.unwrap_or(DEFAULT_LIMIT.min(self.limits.max_limit));
        if limit > self.limits.max_limit {
            let problem = Problem::TooMany { what: "records in one page (limit)", limit: self.limits.max_limit };
            self.note(Error::at(at.key("limit"), problem));
        }
        Select {
            model: model.clone(),
            condition: Condition::everything(),
            order: self.order(model, narrowing.ordering.as_ref(), &at.key("ordering")),
            limit,
            offset: narrowing.offset.unwrap_or(0),
            fields,
        }
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
