//! Which records: conditions as SQL.

use super::Aliases;
use crate::lookup::Takes;
use crate::model::{Join, Relation};
use crate::plan::{Comparison, Condition, Operand};
use crate::sql::{Alias, Statement, id_list};
use crate::value::Scalar;

/// Appends ` WHERE …`, or nothing where every record is meant.
pub fn append_where(statement: &mut Statement, aliases: &mut Aliases, alias: Alias, condition: &Condition) {
    if *condition != Condition::everything() {
        statement.push(" WHERE ");
        append(statement, aliases, alias, condition);
    }
}

/// Appends a condition on the table `alias`, as one term.
pub fn append(statement: &mut Statement, aliases: &mut Aliases, alias: Alias, condition: &Condition) {
    match condition {
        Condition::All(all) => append_joined(statement, aliases, alias, all, " AND ", "TRUE"),
        Condition::Any(any) => append_joined(statement, aliases, alias, any, " OR ", "FALSE"),
        Condition::Not(inner) => {
            // What is neither true nor false belongs to the complement.
            statement.push("(");
            append(statement, aliases, alias, inner);
            statement.push(") IS NOT TRUE");
        }
        Condition::Compare(comparison) => append_comparison(statement, alias, comparison),
        Condition::Related { relation, condition, or_none } => {
            append_related(statement, aliases, alias, relation, condition, *or_none);
        }
    }
}

fn append_joined(
    statement: &mut Statement,
    aliases: &mut Aliases,
    alias: Alias,
    conditions: &[Condition],
    separator: &'static str,
    empty: &'static str,
) {
    if conditions.is_empty() {
        statement.push(empty);
        return;
    }
    statement.push("(");
    statement.list(conditions, separator, |statement, condition| append(statement, aliases, alias, condition));
    statement.push(")");
}

/// A reference is looked up among the ids that fulfil the condition, so that its index can serve; a way to
/// many stops at the first record that does.
fn append_related(
    statement: &mut Statement,
    aliases: &mut Aliases,
    alias: Alias,
    relation: &Relation,
    condition: &Condition,
    or_none: bool,
) {
    let inner = aliases.next();
    let target = relation.target.to_string();
    statement.push("(");
    match &relation.join {
        Join::Reference { column } => {
            statement.column(alias, column).push(" IN (SELECT ").column(inner, "id");
            statement.push(" FROM ").name(&target).push(" AS ").alias(inner).push(" WHERE ");
            append(statement, aliases, inner, condition);
            statement.push(")");
            if or_none {
                statement.push(" OR ").column(alias, column).push(" IS NULL");
            }
        }
        Join::Reverse { column, .. } => {
            let from = |statement: &mut Statement| {
                statement.push("EXISTS (SELECT 1 FROM ").name(&target).push(" AS ").alias(inner).push(" WHERE ");
                statement.column(inner, column).push(" = ").column(alias, "id");
            };
            from(statement);
            statement.push(" AND ");
            append(statement, aliases, inner, condition);
            statement.push(")");
            if or_none {
                statement.push(" OR NOT ");
                from(statement);
                statement.push(")");
            }
        }
        Join::Links { table, near, far, .. } => {
            let link = aliases.next();
            statement.push("EXISTS (SELECT 1 FROM ").name(table).push(" AS ").alias(link);
            statement.push(" JOIN ").name(&target).push(" AS ").alias(inner);
            statement.push(" ON ").column(inner, "id").push(" = ").column(link, far).push(" WHERE ");
            statement.column(link, near).push(" = ").column(alias, "id").push(" AND ");
            append(statement, aliases, inner, condition);
            statement.push(")");
            if or_none {
                statement.push(" OR NOT EXISTS (SELECT 1 FROM ").name(table).push(" AS ").alias(link);
                statement.push(" WHERE ").column(link, near).push(" = ").column(alias, "id").push(")");
            }
        }
    }
    statement.push(")");
}

/// What the `$` names of a template stand for.
#[derive(Default)]
struct Slots {
    value: Option<usize>,
    second: Option<usize>,
    path: Option<usize>,
}

fn append_comparison(statement: &mut Statement, alias: Alias, comparison: &Comparison) {
    let path = comparison.inside.as_ref().map(|(path, _)| statement.bind(Scalar::Text(path.clone())));
    let mut slots = Slots { path, ..Slots::default() };
    let mut sql = comparison.lookup.sql;
    match &comparison.value {
        Operand::One(value) => slots.value = Some(statement.bind(value.clone())),
        Operand::List(values) => slots.value = Some(statement.bind(id_list(values.iter()))),
        Operand::Pair(from, to) => {
            slots.value = Some(statement.bind(from.clone()));
            slots.second = Some(statement.bind(to.clone()));
        }
        Operand::Flag(flag) => {
            if let (false, Takes::Flag { otherwise }) = (flag, comparison.lookup.takes) {
                sql = otherwise;
            }
        }
    }
    fill(statement, sql, &slots, &|statement| append_operand(statement, alias, comparison, &slots));
}

/// The field, the part of it, or what is inside it.
fn append_operand(statement: &mut Statement, alias: Alias, comparison: &Comparison, slots: &Slots) {
    let column = |statement: &mut Statement| {
        statement.column(alias, &comparison.column.name);
    };
    match (comparison.part, &comparison.inside) {
        (Some(part), _) => fill(statement, part.sql, slots, &column),
        (None, Some((_, reading))) => fill(statement, reading.sql, slots, &column),
        (None, None) => column(statement),
    }
}

/// Appends a template, and for each `$` name what it stands for.
fn fill(statement: &mut Statement, sql: &'static str, slots: &Slots, operand: &dyn Fn(&mut Statement)) {
    let mut parts = sql.split('$');
    statement.push(parts.next().unwrap_or_default());
    for part in parts {
        let (name, rest) = part.split_at(1);
        let slot = match name {
            "x" => {
                operand(statement);
                None
            }
            "v" => slots.value,
            "w" => slots.second,
            _ => slots.path,
        };
        if let Some(number) = slot {
            statement.parameter(number);
        }
        statement.push(rest);
    }
}
