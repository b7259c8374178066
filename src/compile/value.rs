//! What is read of records, as SQL: terms of one record, values at the end of a path.

use super::Aliases;
use crate::model::{Join, Relation};
use crate::plan::{Of, Order, Scale, Term, Value};
use crate::sql::{Alias, Statement};
use crate::value::Scalar;

/// Which of the values counts where a path leads to many records.
#[derive(Clone, Copy, PartialEq)]
pub enum Pick {
    Only,
    Least,
    Greatest,
}

/// Appends a column, or what is made of it.
pub fn append_term(statement: &mut Statement, alias: Alias, term: &Term) {
    match term.scale {
        Scale::Same => append_unscaled(statement, alias, term),
        Scale::Up(places) => {
            // Beyond 64 bits it becomes a float, which SQLite still compares rightly with any whole number.
            append_unscaled(statement, alias, term);
            statement.push(" * ").literal(&Scalar::Integer(10_i64.pow(places)));
        }
        Scale::Float(places) => {
            statement.push("as_float(");
            append_unscaled(statement, alias, term);
            statement.push(") / ").literal(&Scalar::Real(10_f64.powi(places.cast_signed())));
        }
        Scale::Total(places) => {
            statement.push("as_total(");
            append_unscaled(statement, alias, term);
            statement.push(", ").literal(&Scalar::Integer(places.into())).push(")");
        }
    }
}

fn append_unscaled(statement: &mut Statement, alias: Alias, term: &Term) {
    let column = |statement: &mut Statement| {
        statement.column(alias, &term.column.name);
    };
    match &term.of {
        Of::Whole => column(statement),
        Of::Part(part) => fill(statement, part.sql, &mut |statement, _| column(statement)),
        Of::Inside(path, reading) => {
            let path = statement.bind(Scalar::Text(path.clone()));
            fill(statement, reading.sql, &mut |statement, slot| match slot {
                'x' => column(statement),
                _ => drop(statement.parameter(path)),
            });
        }
    }
}

/// Appends a template, and for each `$` name what `slot` appends.
pub fn fill(statement: &mut Statement, sql: &'static str, slot: &mut dyn FnMut(&mut Statement, char)) {
    let mut rest = sql;
    while let Some(place) = rest.bytes().position(|byte| byte == b'$') {
        statement.push(&rest[..place]);
        slot(statement, char::from(rest.as_bytes()[place + 1]));
        rest = &rest[place + 2..];
    }
    statement.push(rest);
}

/// Appends the value of a record in the table `alias`.
pub fn append_value(statement: &mut Statement, aliases: &mut Aliases, alias: Alias, value: &Value, pick: Pick) {
    if value.path.is_empty() {
        append_term(statement, alias, &value.term);
        return;
    }
    let tables: Vec<(Alias, Alias, &Relation)> = value
        .path
        .iter()
        .scan(alias, |from, relation| {
            let to = aliases.next();
            let hop = (*from, to, &**relation);
            *from = to;
            Some(hop)
        })
        .collect();
    let last = tables.last().map_or(alias, |(_, to, _)| *to);
    statement.push(match pick {
        Pick::Only => "(SELECT (",
        Pick::Least => "(SELECT min(",
        Pick::Greatest => "(SELECT max(",
    });
    append_term(statement, last, &value.term);
    statement.push(") FROM ");
    let mut links = Vec::new();
    // The way leads from the record on and no other; SQLite would try them all, which takes it seconds where many
    // such values are asked for.
    statement.list(&tables, " CROSS JOIN ", |statement, (_, to, relation)| {
        if let Join::Links { table, .. } = &relation.join {
            let link = aliases.next();
            statement.name(table).push(" AS ").alias(link).push(" CROSS JOIN ");
            links.push(link);
        }
        statement.name(relation.target.as_str()).push(" AS ").alias(*to);
    });
    let mut links = links.into_iter();
    statement.push(" WHERE ").list(&tables, " AND ", |statement, (from, to, relation)| {
        let link = if let Join::Links { .. } = relation.join { links.next() } else { None };
        append_on(statement, *from, *to, link, relation);
    });
    statement.push(")");
}

/// Appends what holds between a record, one that a relation leads to, and the pair of ids between them.
pub fn append_on(statement: &mut Statement, from: Alias, to: Alias, link: Option<Alias>, relation: &Relation) {
    match (&relation.join, link) {
        (Join::Reference { column }, _) => {
            statement.column(to, "id").push(" = ").column(from, column);
        }
        (Join::Reverse { column, .. }, _) => {
            statement.column(to, column).push(" = ").column(from, "id");
        }
        (Join::Links { near, far, .. }, link) => {
            let link = link.expect("a relation by links comes with the alias of its pairs");
            statement.column(link, near).push(" = ").column(from, "id");
            statement.push(" AND ").column(to, "id").push(" = ").column(link, far);
        }
    }
}

/// Appends ` ORDER BY …`, or nothing where there is no order.
pub fn append_order(statement: &mut Statement, aliases: &mut Aliases, alias: Alias, order: &[Order]) {
    if order.is_empty() {
        return;
    }
    statement.push(" ORDER BY ").list(order, ", ", |statement, term| {
        append_value(statement, aliases, alias, &term.value, pick(term));
        statement.push(direction(term));
    });
}

/// Where a path leads to many records, the least of their values counts, descending the greatest, so that no
/// record comes twice.
pub fn pick(term: &Order) -> Pick {
    match (term.value.is_many(), term.descending) {
        (false, _) => Pick::Only,
        (true, false) => Pick::Least,
        (true, true) => Pick::Greatest,
    }
}

pub fn direction(term: &Order) -> &'static str {
    if term.descending { " DESC" } else { " ASC" }
}
