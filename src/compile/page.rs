//! Where a page begins that follows another one: behind the values that its cursor holds.
//!
//! Records behind `(a, b, id)` are those that agree in `a` and `b` and have a greater id, those that agree in
//! `a` and have a greater `b`, and those with a greater `a`. Each of these is one stretch of an index, so where
//! there is one, each is a SELECT of its own and SQLite merges them: a page then costs the same however
//! deep it lies. Without an index all records are read and sorted anyhow, once and not once for each.

use super::condition::{self, Scope};
use super::value::{append_value, direction, pick};
use super::{Aliases, Columns};
use crate::plan::{Order, Select};
use crate::sql::{Alias, Statement};
use crate::value::Scalar;

/// What holds for one term of the order.
#[derive(Clone, Copy)]
enum Side {
    Same,
    Behind,
    /// NULLs sort lowest, so in a descending order they are behind everything.
    Null,
}

/// Appends the SELECTs of a page behind `after`. `from` appends a SELECT without its WHERE; `columns` holds where
/// in the rows the terms of the order stand.
pub fn append_after<'p>(
    statement: &mut Statement,
    columns: &mut Columns<'p>,
    alias: Alias,
    select: &'p Select,
    after: &[Scalar],
    places: &[usize],
    from: &mut dyn FnMut(&mut Statement, &mut Columns<'p>),
) {
    let stretches = stretches(&select.order, after);
    let scope = Scope::of(alias);
    let indexed = select
        .order
        .first()
        .and_then(|term| term.value.plain())
        .is_some_and(|column| column.name == "id" || select.model.indexed().any(|name| name == column.name));
    if !indexed {
        from(statement, columns);
        statement.push(" WHERE ");
        condition::append(statement, &mut columns.aliases, scope, &select.condition);
        statement.push(" AND (");
        if stretches.is_empty() {
            statement.push("FALSE");
        }
        statement.list(stretches, " OR ", |statement, sides| {
            append_stretch(statement, &mut columns.aliases, alias, &select.order, &sides, after);
        });
        statement.push(")");
    } else {
        statement.list(stretches, " UNION ALL ", |statement, sides| {
            from(statement, columns);
            statement.push(" WHERE ");
            append_stretch(statement, &mut columns.aliases, alias, &select.order, &sides, after);
            statement.push(" AND ");
            condition::append(statement, &mut columns.aliases, scope, &select.condition);
        });
    }
    statement.push(" ORDER BY ").list(select.order.iter().zip(places), ", ", |statement, (term, place)| {
        statement.ordinal(place + 1).push(direction(term));
    });
}

/// The stretches of records behind `after`, the nearest first: what holds in each for the first terms.
fn stretches(order: &[Order], after: &[Scalar]) -> Vec<Vec<Side>> {
    let mut all = Vec::new();
    for (last, (term, value)) in order.iter().zip(after).enumerate().rev() {
        let mut add = |side| {
            let mut sides = vec![Side::Same; last];
            sides.push(side);
            all.push(sides);
        };
        match (term.descending, value) {
            (true, Scalar::Null) => {}
            (true, _) => {
                add(Side::Behind);
                if term.value.may_be_null() {
                    add(Side::Null);
                }
            }
            (false, _) => add(Side::Behind),
        }
    }
    all
}

fn append_stretch(
    statement: &mut Statement,
    aliases: &mut Aliases,
    alias: Alias,
    order: &[Order],
    sides: &[Side],
    after: &[Scalar],
) {
    statement.push("(").list(order.iter().zip(sides).zip(after), " AND ", |statement, ((term, side), value)| {
        append_value(statement, aliases, alias, &term.value, pick(term));
        match (side, value, term.descending) {
            (Side::Same, Scalar::Null, _) | (Side::Null, ..) => drop(statement.push(" IS NULL")),
            (Side::Same, ..) => drop(statement.push(" = ").value(value.clone())),
            (Side::Behind, Scalar::Null, _) => drop(statement.push(" IS NOT NULL")),
            (Side::Behind, _, false) => drop(statement.push(" > ").value(value.clone())),
            (Side::Behind, _, true) => drop(statement.push(" < ").value(value.clone())),
        }
    });
    statement.push(")");
}
