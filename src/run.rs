//! Runs a plan on a session: the statements in their order, and nested lists after the records they belong to.
//! [`write`] runs what writes, [`keys`] what is done to API keys, [`models`] what to the models.

mod keys;
mod models;
mod write;

use crate::apply::Planned;
use crate::auth::text::KeyText;
use crate::compile::{self, Cell, Query};
use crate::error::{Errors, Problem};
use crate::plan::{Grouped, Plan, Select, Work};
use crate::request::Count;
use crate::store::{Rows, Session};
use crate::value::Scalar;
use smol_str::SmolStr;
use std::cmp::Ordering;
use std::ops::Range;
pub use write::{Refused, Table};

/// The most records, nested ones among them, that one answer may hold.
pub const MOST_RECORDS: usize = 100_000;

/// What came of a plan.
#[derive(Debug)]
pub enum Outcome {
    /// A page, how many records match in all (`None` where nobody asked), and the cursor of the next page, if there
    /// is one.
    Page {
        page: Loaded,
        filtered: Option<Filtered>,
        next: Option<String>,
    },
    /// One record, what was done with it, and the text of a key that was made.
    One {
        loaded: Loaded,
        done: &'static str,
        key: Option<KeyText>,
    },
    /// New records.
    Made(Loaded),
    Count(u64),
    Deleted,
    /// What a change of models would do.
    Compared(Planned),
    /// What it did, whether that is anything, and the version in force since.
    Applied {
        planned: Planned,
        is_new: bool,
        version: i64,
    },
    /// So many records were changed.
    Touched {
        count: u64,
        done: &'static str,
    },
}

/// How many records match, or at least match.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Filtered {
    pub count: u64,
    pub at_least: bool,
}

/// Rows, where the parts of records stand in them, and the lists nested in them.
#[derive(Debug, Default)]
pub struct Loaded {
    pub rows: Rows,
    pub cells: Vec<Cell>,
    pub children: Vec<Nested>,
    /// The columns that hold what the records are ordered by.
    order: Vec<usize>,
    /// Whether there are records behind these.
    more: bool,
}

#[derive(Debug)]
pub struct Nested {
    parent: usize,
    pub limit: u64,
    pub path: SmolStr,
    /// The rows of each id above, in the order of the ids.
    ranges: Vec<(Scalar, Range<usize>)>,
    pub loaded: Loaded,
}

impl Nested {
    /// The rows that belong to a record above, one more than the limit among them.
    pub fn rows_of(&self, row: &[Scalar]) -> Range<usize> {
        let found = self.ranges.binary_search_by(|(id, _)| order(id, &row[self.parent]));
        found.map_or(0..0, |index| self.ranges[index].1.clone())
    }
}

/// The order in which the ids of records above are looked for.
fn order(left: &Scalar, right: &Scalar) -> Ordering {
    match (left, right) {
        (Scalar::Integer(left), Scalar::Integer(right)) => left.cmp(right),
        (Scalar::Text(left), Scalar::Text(right)) => left.cmp(right),
        (Scalar::Integer(_), _) | (Scalar::Null, Scalar::Text(_)) => Ordering::Less,
        _ => Ordering::Greater,
    }
}

/// Runs a plan. A writing one needs a session that may write, and a savepoint around it.
///
/// # Errors
/// What the database refuses: a value that is taken, a record that is not there or still referred to.
pub fn plan(session: &Session, plan: &Plan) -> Result<Outcome, Errors> {
    let table = Table { session, model: &plan.model, name: plan.model.namespace.as_str() };
    match &plan.work {
        Work::Page { select, count, cursors, target } => {
            let page = load(session, compile::select(select, None), &mut 0)?;
            if let (0, Some(target)) = (page.rows.len(), target) {
                table.not_stale(target)?; // that there is no such record is an empty page
            }
            let filtered = filtered(&table, select, None, *count)?;
            let last = page.rows.iter().last().filter(|_| page.more);
            let next = last.map(|row| cursors.seal(&page.order.iter().map(|place| &row[*place]).collect::<Vec<_>>()));
            Ok(Outcome::Page { page, filtered, next })
        }
        Work::Groups { grouped, select, count } => {
            let page = load(session, compile::select(select, Some(grouped)), &mut 0)?;
            let filtered = filtered(&table, select, Some(grouped), *count)?;
            Ok(Outcome::Page { page, filtered, next: None })
        }
        Work::One { select, target } => {
            let loaded = load(session, compile::select(select, None), &mut 0)?;
            if loaded.rows.len() == 0 {
                return Err(table.missing(target));
            }
            Ok(Outcome::One { loaded, done: "retrieved", key: None })
        }
        Work::Count { condition } => {
            let count = session.total(&compile::count(table.name, condition, None, None))?;
            Ok(Outcome::Count(u64::try_from(count).unwrap_or(0)))
        }
        Work::Create { write, many: false } => table.create(write),
        Work::Create { write, many: true } => table.create_many(write),
        Work::Update { target, write } => table.update(target, write),
        Work::UpdateMany { condition, write, most } => table.update_many(condition, write, *most),
        Work::Upsert { target, update, create } => table.upsert(target, update, create),
        Work::Delete { target, referrers } => table.delete(target, referrers),
        Work::DeleteMany { condition, referrers, most } => table.delete_many(condition, referrers, *most),
        Work::Key { act, caller, .. } => keys::act(&table, act, caller),
        Work::Models { act, definition, catalogue } => models::act(session, *act, definition, catalogue),
        Work::Tell(_) => Err(Problem::Fault { cause: "what is told of the server is not run".into() }.into()),
    }
}

/// How many records, or groups, match in all; `None` where nobody asks.
fn filtered(
    table: &Table<'_>,
    select: &Select,
    grouped: Option<&Grouped>,
    count: Count,
) -> Result<Option<Filtered>, Errors> {
    let up_to = match count {
        Count::None => return Ok(None),
        Count::Exact => None,
        Count::UpTo(bound) => Some(bound),
    };
    let found = table.session.total(&compile::count(table.name, &select.condition, grouped, up_to))?;
    let count = u64::try_from(found).unwrap_or(0);
    Ok(Some(Filtered { count, at_least: up_to == Some(count) }))
}

/// Runs a query and those nested in it. `held` counts the records of the whole answer.
fn load(session: &Session, query: Query, held: &mut usize) -> Result<Loaded, Errors> {
    let rows = session.rows(&query.statement)?;
    complete(session, query, rows, held)
}

/// Runs the queries that are nested in one whose rows are known.
fn complete(session: &Session, query: Query, mut rows: Rows, held: &mut usize) -> Result<Loaded, Errors> {
    let more = query.limit.is_some_and(|limit| rows.cut(usize::try_from(limit).unwrap_or(usize::MAX)));
    *held += rows.len();
    if *held > MOST_RECORDS {
        return Err(Problem::AnswerTooLarge { most: "100000 records" }.into());
    }
    let mut children = Vec::with_capacity(query.children.len());
    for child in query.children {
        let mut ids: Vec<&Scalar> =
            rows.iter().map(|row| &row[child.parent]).filter(|id| **id != Scalar::Null).collect();
        ids.sort_unstable_by(|left, right| order(left, right));
        ids.dedup();
        let mut ranges: Vec<(Scalar, Range<usize>)> = Vec::with_capacity(ids.len());
        let found = session.rows_for_each(&child.query.statement, ids, |id, rows| ranges.push((id.clone(), rows)))?;
        let loaded = complete(session, child.query, found, held)?;
        children.push(Nested { parent: child.parent, limit: child.limit, path: child.path, ranges, loaded });
    }
    Ok(Loaded { rows, cells: query.cells, children, order: query.order, more })
}
