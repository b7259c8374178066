//! Runs a plan on a session: the statements in their order, nested lists after the records they belong to,
//! and what the database refuses put into the terms of the request.

use crate::compile::{self, Cell, Query};
use crate::error::{Error, Errors, Problem};
use crate::json::Pointer;
use crate::model::Model;
use crate::plan::{Comparison, Plan, Referrer, Select, Target, What, Work, Write};
use crate::request::Count;
use crate::sql::id_list;
use crate::store::{Failure, Rows, Session};
use crate::value::Scalar;
use std::cmp::Ordering;
use std::ops::Range;

/// The most records, nested ones among them, that one answer may hold.
pub const MOST_RECORDS: usize = 100_000;

/// What came of a plan.
#[derive(Debug)]
pub enum Outcome {
    /// A page, and how many records match in all; `None` where nobody asked.
    Page {
        page: Loaded,
        filtered: Option<Filtered>,
    },
    One(Loaded),
    Count(u64),
    Deleted,
}

/// How many records match, or at least match.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Filtered {
    pub count: u64,
    pub at_least: bool,
}

/// Rows, where the parts of records stand in them, and the lists nested in them.
#[derive(Debug)]
pub struct Loaded {
    pub rows: Rows,
    pub cells: Vec<Cell>,
    pub children: Vec<Nested>,
}

#[derive(Debug)]
pub struct Nested {
    parent: usize,
    pub limit: u64,
    pub path: String,
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

/// The order in which SQLite sorts ids.
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
    let table = plan.model.namespace.to_string();
    match &plan.work {
        Work::Page { select, count } => {
            let page = load(session, compile::select(select), &mut 0)?;
            let up_to = if let Count::UpTo(bound) = count { Some(*bound) } else { None };
            let filtered = match count {
                Count::None => None,
                _ => {
                    let found = session.total(&compile::count(&table, &select.condition, up_to))?;
                    let count = u64::try_from(found).unwrap_or(0);
                    Some(Filtered { count, at_least: up_to == Some(count) })
                }
            };
            Ok(Outcome::Page { page, filtered })
        }
        Work::One { select, named } => {
            let loaded = load(session, compile::select(select), &mut 0)?;
            if loaded.rows.len() == 0 {
                return Err(no_such_record(&plan.model, named));
            }
            Ok(Outcome::One(loaded))
        }
        Work::Count { condition } => {
            let count = session.total(&compile::count(&table, condition, None))?;
            Ok(Outcome::Count(u64::try_from(count).unwrap_or(0)))
        }
        Work::Create(write) => create(session, &plan.model, &table, write),
        Work::Update { target, write } => update(session, &plan.model, &table, target, write),
        Work::Delete { target, referrers } => delete(session, &plan.model, &table, target, referrers),
    }
}

/// Runs a query and those nested in it. `held` counts the records of the whole answer.
fn load(session: &Session, query: Query, held: &mut usize) -> Result<Loaded, Errors> {
    let rows = session.rows(&query.statement)?;
    *held += rows.len();
    if *held > MOST_RECORDS {
        return Err(Problem::AnswerTooLarge { most: "100000 records" }.into());
    }
    let mut children = Vec::with_capacity(query.children.len());
    for mut child in query.children {
        let ids = rows.iter().map(|row| &row[child.parent]).filter(|id| **id != Scalar::Null);
        child.query.statement.parameters[0] = id_list(ids);
        let loaded = load(session, child.query, held)?;
        let ranges = ranges(&loaded.rows);
        children.push(Nested { parent: child.parent, limit: child.limit, path: child.path, ranges, loaded });
    }
    Ok(Loaded { rows, cells: query.cells, children })
}

/// Where the rows of each id in the first column begin and end.
fn ranges(rows: &Rows) -> Vec<(Scalar, Range<usize>)> {
    let mut ranges: Vec<(Scalar, Range<usize>)> = Vec::new();
    for (index, row) in rows.iter().enumerate() {
        match ranges.last_mut() {
            Some((id, range)) if *id == row[0] => range.end = index + 1,
            _ => ranges.push((row[0].clone(), index..index + 1)),
        }
    }
    ranges
}

fn create(session: &Session, model: &Model, table: &str, write: &Write) -> Result<Outcome, Errors> {
    let insert = compile::write::insert(table, &write.assignments);
    session.execute(&insert).map_err(|failure| refused(session, model, write, failure))?;
    let given = write.assignments.iter().find(|assignment| assignment.column.name == "id");
    let id = given.map_or_else(|| Scalar::Integer(session.last_id()), |assignment| assignment.value.clone());
    link(session, model, write, &id)?;
    answer(session, write, id)
}

fn update(session: &Session, model: &Model, table: &str, target: &Target, write: &Write) -> Result<Outcome, Errors> {
    let missing = || no_such_record(model, &target.named);
    let find = || match session.rows(&compile::write::find(table, &target.condition))?.cells.into_iter().next() {
        Some(id) => Ok::<Scalar, Errors>(id),
        None => Err(missing()),
    };
    let id = match &target.id {
        Some(id) if !write.assignments.is_empty() => id.clone(),
        _ => find()?,
    };
    if !write.assignments.is_empty() {
        let update = compile::write::update(table, &write.assignments, &target.condition);
        let changed = session.execute(&update).map_err(|failure| refused(session, model, write, failure))?;
        if changed == 0 {
            return Err(missing());
        }
    }
    link(session, model, write, &id)?;
    answer(session, write, id)
}

fn delete(
    session: &Session,
    model: &Model,
    table: &str,
    target: &Target,
    referrers: &[Referrer],
) -> Result<Outcome, Errors> {
    match session.execute(&compile::write::delete(table, &target.condition)) {
        Ok(0) => Err(no_such_record(model, &target.named)),
        Ok(_) => Ok(Outcome::Deleted),
        Err(Failure::ForeignKey) => {
            let found = session.rows(&compile::write::find(table, &target.condition))?;
            let id = found.cells.first().cloned().unwrap_or(Scalar::Null);
            let mut by = Vec::new();
            for referrer in referrers.iter().filter(|referrer| referrer.direct && referrer.visible) {
                let name = referrer.model.to_string();
                let refers = compile::write::exists(&name, &referrer.column, &id);
                if !by.contains(&name) && session.number(&refers)? == 1 {
                    by.push(name);
                }
            }
            let at = Pointer::ROOT.key("__meta__");
            let problem = Problem::StillReferenced { model: model.namespace.to_string(), by };
            Err(Error::at(at.key("uniqueObject"), problem).into())
        }
        Err(other) => Err(other.into()),
    }
}

/// Writes the ids of `refs` fields.
fn link(session: &Session, model: &Model, write: &Write, id: &Scalar) -> Result<(), Errors> {
    for links in &write.links {
        for statement in compile::write::replace_links(&links.relation, id, &links.ids) {
            session.execute(&statement).map_err(|failure| refused(session, model, write, failure))?;
        }
    }
    Ok(())
}

/// The fields of the written record that are to be answered.
fn answer(session: &Session, write: &Write, id: Scalar) -> Result<Outcome, Errors> {
    let select = &write.answer;
    let is_id = |what: &What| matches!(what, What::Value(column) if column.name == "id");
    if select.fields.iter().all(|field| is_id(&field.what)) {
        // It is known, so nothing needs to be read.
        let query = compile::select(select);
        let rows = Rows { width: 1, cells: vec![id] };
        return Ok(Outcome::One(Loaded { rows, cells: query.cells, children: Vec::new() }));
    }
    let condition = Comparison::exact(select.model.id_column(), id);
    let select = Select { condition, ..select.clone() };
    Ok(Outcome::One(load(session, compile::select(&select), &mut 0)?))
}

fn no_such_record(model: &Model, named: &str) -> Errors {
    let at = Pointer::ROOT.key("__meta__");
    let problem = Problem::NoSuchRecord { model: model.namespace.to_string(), what: named.to_owned() };
    Error::at(at.key("uniqueObject"), problem).into()
}

/// Why a write did not go in, in terms of its fields.
fn refused(session: &Session, model: &Model, write: &Write, failure: Failure) -> Errors {
    let name = model.namespace.to_string();
    match failure {
        Failure::Unique(columns) => {
            let given = write.assignments.iter().find(|one| columns.contains(&one.column.name));
            let pointer = given.map(|one| Pointer::ROOT.key(&one.given).to_string());
            Error { problem: Problem::Taken { model: name, fields: columns }, pointer }.into()
        }
        Failure::ForeignKey => dangling(session, write).unwrap_or_else(|errors| errors),
        Failure::Check(rule) => Problem::Refused { field: name, why: format!("breaks the rule {rule}") }.into(),
        Failure::Other(problem) => problem.into(),
    }
}

/// The references of a write that point to no record.
fn dangling(session: &Session, write: &Write) -> Result<Errors, Errors> {
    let mut errors = Vec::new();
    let mut check = |given: &str, to: &str, id: &Scalar| -> Result<(), Errors> {
        if *id != Scalar::Null && session.number(&compile::write::exists(to, "id", id))? == 0 {
            let problem = Problem::NoSuchReference { model: to.to_owned(), id: id.to_string() };
            errors.push(Error::at(Pointer::ROOT.key(given), problem));
        }
        Ok(())
    };
    for one in &write.assignments {
        if let Some(to) = &one.to {
            check(&one.given, &to.to_string(), &one.value)?;
        }
    }
    for links in &write.links {
        for id in &links.ids {
            check(&links.given, &links.relation.target.to_string(), id)?;
        }
    }
    if errors.is_empty() {
        return Err(Problem::Fault { cause: "a foreign key failed that no field explains".into() }.into());
    }
    Ok(errors)
}
