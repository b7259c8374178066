//! What changes: records, and the ids of `refs` fields.

use super::condition::Scope;
use super::{Aliases, condition};
use crate::model::{Join, Relation, VERSION};
use crate::plan::{Condition, Slot, Write};
use crate::sql::{Alias, Statement};
use crate::value::Scalar;

/// A new record; its parameters are the values, slot by slot.
pub fn insert(table: &str, slots: &[Slot]) -> Statement {
    let mut statement = Statement::default();
    statement.push("INSERT INTO ").name(table);
    if slots.is_empty() {
        statement.push(" DEFAULT VALUES");
        return statement;
    }
    statement.push(" (").list(slots, ", ", |statement, slot| {
        statement.name(&slot.column.name);
    });
    statement.push(") VALUES (").list(slots, ", ", |statement, _| {
        statement.push("?");
    });
    statement.push(")");
    statement
}

/// Changed records.
pub fn update(table: &str, write: &Write, values: &[Scalar], which: &Condition) -> Statement {
    let (mut statement, mut aliases) = (Statement::default(), Aliases::default());
    let alias = aliases.next();
    statement.push("UPDATE ").name(table).push(" AS ").alias(alias).push(" SET ");
    statement.list(write.slots.iter().zip(values), ", ", |statement, (slot, value)| {
        statement.name(&slot.column.name).push(" = ").value(value.clone());
    });
    if write.raises {
        statement.push(if write.slots.is_empty() { "" } else { ", " });
        statement.name(VERSION).push(" = ").column(alias, VERSION).push(" + 1");
    }
    condition::append_where(&mut statement, &mut aliases, Scope::of(alias), which);
    statement
}

/// Deleted records.
pub fn delete(table: &str, which: &Condition) -> Statement {
    let (mut statement, mut aliases) = (Statement::default(), Aliases::default());
    let alias = aliases.next();
    statement.push("DELETE FROM ").name(table).push(" AS ").alias(alias);
    condition::append_where(&mut statement, &mut aliases, Scope::of(alias), which);
    statement
}

/// The ids of the records that are meant.
pub fn find(table: &str, which: &Condition) -> Statement {
    find_column(table, "id", which)
}

/// What a column of the records that are meant holds.
pub fn find_column(table: &str, column: &str, which: &Condition) -> Statement {
    let (mut statement, mut aliases) = (Statement::default(), Aliases::default());
    let alias = aliases.next();
    statement.push("SELECT ").column(alias, column).push(" FROM ").name(table).push(" AS ").alias(alias);
    condition::append_where(&mut statement, &mut aliases, Scope::of(alias), which);
    statement
}

/// Takes away all ids of a `refs` field of these records, and puts in others for each. Both are lists as
/// [`id_list`] makes them.
pub fn replace_links(relation: &Relation, records: &Scalar, ids: &Scalar) -> Vec<Statement> {
    let Join::Links { table, near, far, .. } = &relation.join else { return Vec::new() };
    let mut clear = Statement::default();
    clear.push("DELETE FROM ").name(table).push(" WHERE ").name(near);
    clear.push(" IN (SELECT value FROM json_each(").value(records.clone()).push("))");
    let mut fill = Statement::default();
    fill.push("INSERT INTO ").name(table).push(" (").name(near).push(", ").name(far);
    fill.push(") SELECT DISTINCT r.value, i.value FROM json_each(").value(records.clone());
    fill.push(") AS r, json_each(").value(ids.clone()).push(") AS i");
    vec![clear, fill]
}

/// Puts pairs of ids into the table of a `refs` field: a list of lists of two.
pub fn add_links(relation: &Relation, pairs: Scalar) -> Option<Statement> {
    let Join::Links { table, near, far, .. } = &relation.join else { return None };
    let mut fill = Statement::default();
    fill.push("INSERT INTO ").name(table).push(" (").name(near).push(", ").name(far);
    fill.push(") SELECT DISTINCT value ->> 0, value ->> 1 FROM json_each(").value(pairs).push(")");
    Some(fill)
}

/// Whether a record has one of these values in that column; the list is one that [`crate::sql::id_list`] made.
pub fn exists(table: &str, column: &str, values: &Scalar) -> Statement {
    let mut statement = Statement::default();
    statement.push("SELECT EXISTS (SELECT 1 FROM ").name(table).push(" AS ").alias(Alias(0));
    statement.push(" WHERE ").column(Alias(0), column);
    statement.push(" IN (SELECT value FROM json_each(").value(values.clone()).push(")))");
    statement
}
