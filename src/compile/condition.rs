//! Which records: conditions as SQL.

use super::Aliases;
use super::value::{Pick, append_term, append_value, fill};
use crate::lookup::Takes;
use crate::model::{Join, Relation};
use crate::plan::{Comparison, Condition, Operand, Record};
use crate::sql::{Alias, Statement, id_list};

/// The tables that a condition can speak of.
#[derive(Clone, Copy)]
pub struct Scope<'a> {
    /// The record that is asked about at this place.
    here: Alias,
    /// The one that the whole condition is about.
    own: Alias,
    /// The one around a subquery.
    outer: Option<Alias>,
    /// Those that the chain of a group leads to.
    joined: &'a [Alias],
}

impl<'a> Scope<'a> {
    /// That of a condition on the records of one table.
    pub fn of(alias: Alias) -> Scope<'a> {
        Scope { here: alias, own: alias, outer: None, joined: &[] }
    }

    /// That of a condition on the records of one table and on those joined to it.
    pub fn along(self, joined: &'a [Alias]) -> Scope<'a> {
        Scope { joined, ..self }
    }

    /// That of a condition in a subquery for each record of another table.
    pub fn within(self, outer: Alias) -> Scope<'a> {
        Scope { outer: Some(outer), ..self }
    }

    fn at(self, here: Alias) -> Scope<'a> {
        Scope { here, ..self }
    }

    fn record(self, record: Record) -> Alias {
        match record {
            Record::Own => self.own,
            Record::Outer => self.outer.expect("only a subquery speaks of an outer record"),
        }
    }
}

/// Appends ` WHERE …`, or nothing where every record is meant.
pub fn append_where(statement: &mut Statement, aliases: &mut Aliases, scope: Scope<'_>, condition: &Condition) {
    if *condition != Condition::everything() {
        statement.push(" WHERE ");
        append(statement, aliases, scope, condition);
    }
}

/// Appends a condition, as one term.
pub fn append(statement: &mut Statement, aliases: &mut Aliases, scope: Scope<'_>, condition: &Condition) {
    match condition {
        Condition::All(all) => append_joined(statement, aliases, scope, all, " AND ", "TRUE"),
        Condition::Any(any) => append_joined(statement, aliases, scope, any, " OR ", "FALSE"),
        Condition::Not(inner) => {
            // What is neither true nor false belongs to the complement.
            statement.push("(");
            append(statement, aliases, scope, inner);
            statement.push(") IS NOT TRUE");
        }
        Condition::Compare(comparison) => append_comparison(statement, aliases, scope, comparison),
        Condition::Joined { depth, condition } => {
            append(statement, aliases, scope.at(scope.joined[depth - 1]), condition);
        }
        Condition::Related { relation, condition, or_none } => {
            append_related(statement, aliases, scope, relation, condition, *or_none);
        }
    }
}

fn append_joined(
    statement: &mut Statement,
    aliases: &mut Aliases,
    scope: Scope<'_>,
    conditions: &[Condition],
    separator: &'static str,
    empty: &'static str,
) {
    if conditions.is_empty() {
        statement.push(empty);
        return;
    }
    append_halves(statement, aliases, scope, conditions, separator);
}

/// Many conditions are joined in halves: SQLite bounds how deep an expression may be, a chain is as deep as it is
/// long, and what stands in a subquery counts once more for each level.
fn append_halves(
    statement: &mut Statement,
    aliases: &mut Aliases,
    scope: Scope<'_>,
    conditions: &[Condition],
    separator: &'static str,
) {
    statement.push("(");
    if conditions.len() > 8 {
        let (left, right) = conditions.split_at(conditions.len() / 2);
        append_halves(statement, aliases, scope, left, separator);
        statement.push(separator);
        append_halves(statement, aliases, scope, right, separator);
    } else {
        statement.list(conditions, separator, |statement, condition| append(statement, aliases, scope, condition));
    }
    statement.push(")");
}

/// A reference is looked up among the ids that fulfil the condition, so that its index can serve; a way to
/// many stops at the first record that does.
fn append_related(
    statement: &mut Statement,
    aliases: &mut Aliases,
    scope: Scope<'_>,
    relation: &Relation,
    condition: &Condition,
    or_none: bool,
) {
    let (alias, inner) = (scope.here, aliases.next());
    let target = relation.target.as_str();
    statement.push("(");
    match &relation.join {
        Join::Reference { column } => {
            statement.column(alias, column).push(" IN (SELECT ").column(inner, "id");
            statement.push(" FROM ").name(target).push(" AS ").alias(inner).push(" WHERE ");
            append(statement, aliases, scope.at(inner), condition);
            statement.push(")");
            if or_none {
                statement.push(" OR ").column(alias, column).push(" IS NULL");
            }
        }
        Join::Reverse { column, .. } => {
            let from = |statement: &mut Statement| {
                statement.push("EXISTS (SELECT 1 FROM ").name(target).push(" AS ").alias(inner).push(" WHERE ");
                statement.column(inner, column).push(" = ").column(alias, "id");
            };
            from(statement);
            statement.push(" AND ");
            append(statement, aliases, scope.at(inner), condition);
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
            statement.push(" JOIN ").name(target).push(" AS ").alias(inner);
            statement.push(" ON ").column(inner, "id").push(" = ").column(link, far).push(" WHERE ");
            statement.column(link, near).push(" = ").column(alias, "id").push(" AND ");
            append(statement, aliases, scope.at(inner), condition);
            statement.push(")");
            if or_none {
                statement.push(" OR NOT EXISTS (SELECT 1 FROM ").name(table).push(" AS ").alias(link);
                statement.push(" WHERE ").column(link, near).push(" = ").column(alias, "id").push(")");
            }
        }
    }
    statement.push(")");
}

fn append_comparison(statement: &mut Statement, aliases: &mut Aliases, scope: Scope<'_>, comparison: &Comparison) {
    let mut sql = comparison.lookup.sql;
    let (mut first, mut second, mut field) = (None, None, None);
    match &comparison.value {
        Operand::One(value) => first = Some(statement.bind(value.clone())),
        Operand::List(values) => first = Some(statement.bind(id_list(values.iter()))),
        Operand::Pair(from, to) => {
            first = Some(statement.bind(from.clone()));
            second = Some(statement.bind(to.clone()));
        }
        Operand::Flag(flag) => {
            if let (false, Takes::Flag { otherwise }) = (flag, comparison.lookup.takes) {
                sql = otherwise;
            }
        }
        Operand::Field(record, value) => field = Some((scope.record(*record), value)),
    }
    fill(statement, sql, &mut |statement, slot| match (slot, field) {
        ('x', _) => append_term(statement, scope.here, &comparison.term),
        ('v', Some((alias, value))) => append_value(statement, aliases, alias, value, Pick::Only),
        ('v', None) => drop(first.map(|number| statement.parameter(number))),
        _ => drop(second.map(|number| statement.parameter(number))),
    });
}
