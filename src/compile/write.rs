//! What changes: records, and the ids of `refs` fields.

use super::{Aliases, condition};
use crate::model::{Join, Relation};
use crate::plan::{Assignment, Condition};
use crate::sql::{Alias, Statement, id_list};
use crate::value::Scalar;

/// A new record.
pub fn insert(table: &str, assignments: &[Assignment]) -> Statement {
    let mut statement = Statement::default();
    statement.push("INSERT INTO ").name(table);
    if assignments.is_empty() {
        statement.push(" DEFAULT VALUES");
        return statement;
    }
    statement.push(" (").list(assignments, ", ", |statement, one| {
        statement.name(&one.column.name);
    });
    statement.push(") VALUES (").list(assignments, ", ", |statement, one| {
        statement.value(one.value.clone());
    });
    statement.push(")");
    statement
}

/// Changed records.
pub fn update(table: &str, assignments: &[Assignment], which: &Condition) -> Statement {
    let (mut statement, mut aliases, alias) = (Statement::default(), Aliases::default(), Alias(0));
    aliases.next();
    statement.push("UPDATE ").name(table).push(" AS ").alias(alias).push(" SET ");
    statement.list(assignments, ", ", |statement, one| {
        statement.name(&one.column.name).push(" = ").value(one.value.clone());
    });
    condition::append_where(&mut statement, &mut aliases, alias, which);
    statement
}

/// Deleted records.
pub fn delete(table: &str, which: &Condition) -> Statement {
    let (mut statement, mut aliases, alias) = (Statement::default(), Aliases::default(), Alias(0));
    aliases.next();
    statement.push("DELETE FROM ").name(table).push(" AS ").alias(alias);
    condition::append_where(&mut statement, &mut aliases, alias, which);
    statement
}

/// The id of the one record that is meant.
pub fn find(table: &str, which: &Condition) -> Statement {
    let (mut statement, mut aliases) = (Statement::default(), Aliases::default());
    let alias = aliases.next();
    statement.push("SELECT ").column(alias, "id").push(" FROM ").name(table).push(" AS ").alias(alias);
    condition::append_where(&mut statement, &mut aliases, alias, which);
    statement
}

/// Takes away all ids of a `refs` field, and puts in these.
pub fn replace_links(relation: &Relation, id: &Scalar, ids: &[Scalar]) -> Vec<Statement> {
    let Join::Links { table, near, far, .. } = &relation.join else { return Vec::new() };
    let mut clear = Statement::default();
    clear.push("DELETE FROM ").name(table).push(" WHERE ").name(near).push(" = ").value(id.clone());
    let mut fill = Statement::default();
    fill.push("INSERT INTO ").name(table).push(" (").name(near).push(", ").name(far).push(") SELECT DISTINCT ");
    fill.value(id.clone()).push(", value FROM json_each(").value(id_list(ids.iter())).push(")");
    if ids.is_empty() { vec![clear] } else { vec![clear, fill] }
}

/// Whether a record has that value in that column.
pub fn exists(table: &str, column: &str, value: &Scalar) -> Statement {
    let mut statement = Statement::default();
    statement.push("SELECT EXISTS (SELECT 1 FROM ").name(table).push(" AS ").alias(Alias(0));
    statement.push(" WHERE ").column(Alias(0), column).push(" = ").value(value.clone()).push(")");
    statement
}
