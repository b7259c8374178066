//! Totals: groups of records, and the subqueries that are run for each record.

use super::Aliases;
use super::condition::{self, Scope};
use super::value::{Pick, append_on, append_order, append_value, direction, fill, pick};
use crate::function::How;
use crate::model::{Join, Relation};
use crate::plan::{Grouped, Order, Subquery, Total, Value};
use crate::sql::{Alias, Statement};
use crate::value::Type;
use std::sync::Arc;

/// Appends the groups of records and their totals, as a table.
pub fn append_grouped(statement: &mut Statement, grouped: &Grouped) {
    let mut aliases = Aliases::default();
    let record = aliases.next();
    let (mut far, mut joined) = (record, Vec::with_capacity(grouped.chain.len()));
    let mut joins = Vec::with_capacity(grouped.chain.len());
    for relation in &grouped.chain {
        let (from, to) = (far, aliases.next());
        let link = if let Join::Links { .. } = relation.join { Some(aliases.next()) } else { None };
        joins.push((relation, from, to, link));
        joined.push(to);
        far = to;
    }
    let alias = |joined: bool| if joined { far } else { record };
    statement.push("(SELECT ");
    statement.list(&grouped.groups, ", ", |statement, group| {
        append_value(statement, &mut aliases, alias(group.joined), &group.value, Pick::Only);
        statement.push(" AS ").name(&group.name);
    });
    for (index, wanted) in grouped.totals.iter().enumerate() {
        statement.push(if index + grouped.groups.len() > 0 { ", " } else { "" });
        let here = alias(wanted.joined);
        let order = &mut |statement: &mut Statement, aliases: &mut Aliases| {
            append_joined_order(statement, aliases, (record, far), &grouped.chain, &wanted.total.order);
        };
        append_total(statement, &mut aliases, here, &wanted.total, order, &mut |statement, aliases| {
            if let Some(filter) = &wanted.filter {
                statement.push(" FILTER (WHERE ");
                condition::append(statement, aliases, Scope::of(record).along(&joined), filter);
                statement.push(")");
            }
        });
        statement.push(" AS ").name(&wanted.name);
    }
    statement.push(" FROM ").name(grouped.model.namespace.as_str()).push(" AS ").alias(record);
    for (relation, from, to, link) in joins {
        if let (Join::Links { table, near, .. }, Some(link)) = (&relation.join, link) {
            statement.push(" LEFT JOIN ").name(table).push(" AS ").alias(link);
            statement.push(" ON ").column(link, near).push(" = ").column(from, "id");
        }
        statement.push(" LEFT JOIN ").name(relation.target.as_str()).push(" AS ").alias(to).push(" ON ");
        append_on(statement, from, to, link, relation);
    }
    condition::append_where(statement, &mut aliases, Scope::of(record).along(&joined), &grouped.condition);
    if !grouped.groups.is_empty() {
        statement.push(" GROUP BY ").list(0..grouped.groups.len(), ", ", |statement, index| {
            statement.ordinal(index + 1);
        });
    }
    statement.push(")");
}

/// Appends what a function makes of the records in the table `alias`; `order` appends their order, `filter` which
/// of them count.
fn append_total(
    statement: &mut Statement,
    aliases: &mut Aliases,
    alias: Alias,
    total: &Total,
    order: &mut dyn FnMut(&mut Statement, &mut Aliases),
    filter: &mut dyn FnMut(&mut Statement, &mut Aliases),
) {
    fill(statement, total.sql, &mut |statement, slot| match slot {
        'x' => append_written(statement, aliases, alias, total),
        's' => drop(statement.value(total.setting.clone())),
        'o' => order(statement, aliases),
        _ => filter(statement, aliases),
    });
}

/// Appends the order of the records that a group joins: terms that follow its chain are about those joined, the
/// others about the record itself.
fn append_joined_order(
    statement: &mut Statement,
    aliases: &mut Aliases,
    (record, far): (Alias, Alias),
    chain: &[Arc<Relation>],
    order: &[Order],
) {
    statement.push(" ORDER BY ").list(order, ", ", |statement, term| {
        let (alias, path) = match term.value.path.strip_prefix(chain) {
            Some(rest) => (far, rest),
            None => (record, term.value.path.as_slice()),
        };
        let value = Value { path: path.to_vec(), term: term.value.term.clone() };
        let here = Order { value, descending: term.descending };
        append_value(statement, aliases, alias, &here.value, pick(&here));
        statement.push(direction(&here));
    });
    if far != record {
        // The records joined to one tie but for their own ids.
        statement.push(", ").column(far, "id");
    }
}

/// The value of a total; where it ends up in a text, in the form in which a client would get it.
fn append_written(statement: &mut Statement, aliases: &mut Aliases, alias: Alias, total: &Total) {
    let value = |statement: &mut Statement, aliases: &mut Aliases| {
        append_value(statement, aliases, alias, &total.value, Pick::Only);
    };
    match (total.how, total.value.term.kind()) {
        (How::Concat, Type::Decimal { places, .. }) => {
            statement.push("decimal_text(");
            value(statement, aliases);
            statement.push(", ").number(u64::from(places)).push(")");
        }
        (How::Concat, Type::Float) => {
            statement.push("float_text(");
            value(statement, aliases);
            statement.push(")");
        }
        (How::Concat, Type::Boolean) => {
            statement.push("CASE ");
            value(statement, aliases);
            statement.push(" WHEN 1 THEN 'true' WHEN 0 THEN 'false' END");
        }
        _ => value(statement, aliases),
    }
}

/// Appends a subquery for the record in the table `outer`.
pub fn append_subquery(statement: &mut Statement, aliases: &mut Aliases, outer: Alias, subquery: &Subquery) {
    let alias = aliases.next();
    let total = &subquery.total;
    let table = subquery.model.namespace.as_str();
    let from = |statement: &mut Statement, aliases: &mut Aliases| {
        statement.push(" FROM ").name(table).push(" AS ").alias(alias);
        condition::append_where(statement, aliases, Scope::of(alias).within(outer), &subquery.condition);
    };
    match total.how {
        How::Exists => {
            statement.push("EXISTS (SELECT 1");
            from(statement, aliases);
        }
        How::First | How::Last => {
            statement.push("(SELECT ");
            append_value(statement, aliases, alias, &total.value, Pick::Only);
            from(statement, aliases);
            let turned =
                |term: &Order| Order { descending: term.descending ^ (total.how == How::Last), ..term.clone() };
            let order: Vec<Order> = total.order.iter().map(turned).collect();
            append_order(statement, aliases, alias, &order);
            statement.push(" LIMIT 1");
        }
        How::Whole | How::Concat | How::Percentile => {
            statement.push("(SELECT ");
            let order = &mut |statement: &mut Statement, aliases: &mut Aliases| {
                append_order(statement, aliases, alias, &total.order);
            };
            append_total(statement, aliases, alias, total, order, &mut |_, _| ());
            from(statement, aliases);
        }
    }
    statement.push(")");
}
