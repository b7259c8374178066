//! The rows of the tables, handed over as records.

use super::census::{ROW, json as value_of};
use super::draft::{Lookup, Read, Taken};
use crate::json::{self, Json, Object};
use crate::model::Model;
use crate::sql::{Alias, Statement};
use crate::store::foreign::Foreign;
use crate::store::{Cells, Failure};
use crate::transfer::load::{Cut, Hand, Origin};
use crate::transfer::records::{Mark, Record};
use crate::value::Type;
use std::collections::BTreeSet;
use std::fmt::Display;
use std::sync::Arc;

/// The row that is referred to.
const TARGET: Alias = Alias(1);

/// A table, and the model that its rows become records of.
pub struct Rows<'t> {
    pub table: &'t Taken,
    pub model: Arc<Model>,
}

impl Origin for Rows<'_> {
    fn model(&self) -> &Arc<Model> {
        &self.model
    }

    fn described(&self, line: u64, what: &dyn Display) -> String {
        format!("{}, {} {}: {what}", self.table.name, self.word(), line.cast_signed())
    }

    fn place(&self, line: u64) -> [(&'static str, Json); 2] {
        [("table", Json::String(self.table.name.clone())), (self.word(), Json::Integer(line.cast_signed()))]
    }
}

impl Rows<'_> {
    /// What a line is: a row id, or the number of the row where it has none.
    fn word(&self) -> &'static str {
        if self.table.rowid.is_some() { "rowid" } else { "row" }
    }
}

/// Hands over the rows of all tables, one table after the other.
///
/// # Errors
/// They cannot be read, or nobody takes them.
pub fn hand_over(file: &Foreign, tables: &[Rows<'_>], hand: &mut Hand<'_>) -> Result<(), Cut> {
    let failed = |failure: Failure| Cut::Failed(file.described(&failure));
    number_targets(file, tables).map_err(failed)?;
    let mut before = 0;
    for (origin, rows) in tables.iter().enumerate() {
        let (mut number, mut outcome) = (0, Ok(()));
        let read = file.session.each_while(&statement(rows.table), |cells| {
            number += 1;
            if hand.takes(origin, record(rows.table, cells, number)) {
                outcome = hand.pass(origin, Mark::default(), before + number);
            }
            outcome.is_ok()
        });
        read.map_err(failed)?;
        outcome?;
        before += number;
        hand.pass(origin, Mark::default(), before)?;
    }
    file.is_unchanged().map_err(Cut::Failed)
}

/// Numbers the rows of those tables that others refer to by something else than the ids that they get: from 1, in the order in
/// which they are read.
fn number_targets(file: &Foreign, tables: &[Rows<'_>]) -> Result<(), Failure> {
    let mut numbered = BTreeSet::new();
    let lookups = tables.iter().flat_map(|rows| &rows.table.reads).filter_map(|read| read.found_in.as_ref());
    for lookup in lookups.filter(|lookup| lookup.id.is_none()) {
        let (name, target) = (numbers(lookup), tables.iter().find(|rows| rows.table.name == lookup.table));
        let Some(target) = target.filter(|_| numbered.insert(name.clone())) else { continue };
        let mut statement = Statement::default();
        statement.push("CREATE TEMP TABLE ").name(&name).push(" AS SELECT ");
        statement.list(lookup.columns.iter().enumerate(), ", ", |statement, (place, (column, _))| {
            statement.column(ROW, column).push(" AS ").name(&key(place));
        });
        from(&mut statement, target.table);
        file.session.execute(&statement)?;
        let mut index = Statement::default();
        index.push("CREATE INDEX temp.").name(&format!("{name}, index")).push(" ON ").name(&name).push(" (");
        index.list(lookup.columns.iter().enumerate(), ", ", |index, (place, (_, collation))| {
            index.name(&key(place)).push(" COLLATE ").push(collation);
        });
        index.push(")");
        file.session.execute(&index)?;
    }
    Ok(())
}

/// The table of numbered rows. With all names quoted, no two are called the same.
fn numbers(lookup: &Lookup) -> String {
    let columns: Vec<&str> = lookup.columns.iter().map(|(column, _)| column.as_str()).collect();
    format!("{:?} by {columns:?}", lookup.table)
}

/// A column of it. None is called as a row id is.
fn key(place: usize) -> String {
    format!("key {place}")
}

/// All that is read of a table: its row ids, then each value; before those that stand for an id, that id.
fn statement(table: &Taken) -> Statement {
    let mut statement = Statement::default();
    statement.push("SELECT ");
    match table.rowid {
        Some(name) => statement.column(ROW, name),
        None => statement.push("NULL"),
    };
    for read in &table.reads {
        if let Some(lookup) = &read.found_in {
            found(&mut statement, lookup, &read.columns);
        }
        for column in &read.columns {
            statement.push(", ").column(ROW, column);
        }
    }
    from(&mut statement, table);
    statement
}

/// Appends the id of the record that has these values.
fn found(statement: &mut Statement, lookup: &Lookup, values: &[String]) {
    statement.push(", (SELECT ");
    match &lookup.id {
        Some(id) => statement.column(TARGET, id).push(" FROM main.").name(&lookup.table),
        None => statement.column(TARGET, "rowid").push(" FROM temp.").name(&numbers(lookup)),
    };
    statement.push(" AS t1 WHERE ");
    let pairs = lookup.columns.iter().zip(values).enumerate();
    statement.list(pairs, " AND ", |statement, (place, ((column, collation), value))| {
        let column = if lookup.id.is_some() { column } else { &key(place) };
        // The key's type says how the value is read, as in SQLite's own references: the plus takes away that of the value's column.
        statement.column(TARGET, column).push(" COLLATE ").push(collation).push(" = +").column(ROW, value);
    });
    statement.push(")");
}

/// Appends the rows of a table, in the order of their ids or else of their keys.
fn from(statement: &mut Statement, table: &Taken) {
    statement.push(" FROM main.").name(&table.name).push(" AS t0 NOT INDEXED");
    let order: Vec<&str> = table.rowid.map_or(table.key.iter().map(String::as_str).collect(), |rowid| vec![rowid]);
    if !order.is_empty() {
        statement.push(" ORDER BY ").list(order, ", ", |statement, column| {
            statement.column(ROW, column);
        });
    }
}

/// The record of a row.
fn record(table: &Taken, cells: &Cells<'_>, number: u64) -> Record {
    let line = if table.rowid.is_some() { cells.number(0).cast_unsigned() } else { number };
    Record { line, values: values(table, cells, number) }
}

fn values(table: &Taken, cells: &Cells<'_>, number: u64) -> Result<Object, String> {
    let mut values = Object::with_capacity(table.reads.len() + 1);
    if table.is_numbered {
        values.push(("id".into(), json::number(number)));
    }
    let mut places = 1..;
    let mut next = |kind| value_of(kind, &cells.stored(places.next().unwrap_or(usize::MAX)));
    for Read { columns, field, kind, found_in } in &table.reads {
        let value = next(*kind).map_err(|why| format!("{}: {why}", columns.join(", ")))?;
        if let Some(lookup) = found_in {
            // Bytes cannot be said, but records can be found by them.
            let by: Vec<Json> = columns.iter().map(|_| next(Type::Text).unwrap_or("…".into())).collect();
            if value == Json::Null && by.iter().all(|by| *by != Json::Null) {
                let by: Vec<String> = by.iter().map(Json::to_string).collect();
                let (columns, table, by) = (columns.join(", "), &lookup.table, by.join(", "));
                return Err(format!("{columns}: there is no row of {table} that it refers to: {by}"));
            }
        }
        values.push((field.as_str().into(), value));
    }
    Ok(values)
}
