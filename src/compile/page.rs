//! Where a page begins that follows another one: behind the values that its cursor holds.
//!
//! Records behind `(a, b, id)` are those that agree in `a` and `b` and have a greater id, those that agree in
//! `a` and have a greater `b`, and those with a greater `a`. Where an index holds `a` and `b`, each of these is one
//! stretch of it, so each is a SELECT of its own and SQLite merges them: a page then costs the same however
//! deep it lies. Terms that no index finds make no stretches: they are compared one after the other, so that a
//! statement grows with its order and no faster.

use super::condition::{self, Scope};
use super::value::{append_value, direction, pick};
use super::{Aliases, Columns};
use crate::lookup::EXACT;
use crate::plan::{Comparison, Condition, Of, Operand, Order, Select};
use crate::sql::{Alias, Statement};
use crate::value::Scalar;

/// Some of the records behind a cursor: those that agree with it in so many terms, and in the next one …
#[derive(Clone, Copy)]
struct Stretch {
    same: usize,
    then: Then,
}

#[derive(Clone, Copy)]
enum Then {
    Behind,
    /// NULLs sort lowest, so in a descending order they are behind everything.
    Null,
    /// Behind in the first of all terms left in which they do not agree.
    BehindInRest,
}

/// The most terms that make stretches; those of one index are hardly ever more.
const MOST_SPLIT: usize = 4;

/// A term of the order, and what the cursor holds of it: the number of the parameter, or `None` for NULL.
type Term<'p> = (&'p Order, Option<usize>);

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
    let bound = |value: &Scalar| (*value != Scalar::Null).then(|| statement.bind(value.clone()));
    let values: Vec<Option<usize>> = after.iter().map(bound).collect();
    let terms: Vec<Term<'_>> = select.order.iter().zip(values).collect();
    statement.list(stretches(&terms, found_by_index(select)), " UNION ALL ", |statement, stretch| {
        from(statement, columns);
        statement.push(" WHERE ");
        append_stretch(statement, &mut columns.aliases, alias, &terms, stretch);
        statement.push(" AND ");
        condition::append(statement, &mut columns.aliases, Scope::of(alias), &select.condition);
    });
    append_order_of(statement, select, places);
}

/// Appends ` ORDER BY …` by the columns of the rows that hold the terms of the order, so that none is made twice.
pub fn append_order_of(statement: &mut Statement, select: &Select, places: &[usize]) {
    statement.push(" ORDER BY ").list(select.order.iter().zip(places), ", ", |statement, (term, place)| {
        statement.ordinal(place + 1).push(direction(term));
    });
}

/// How many terms of an order an index finds: its columns are those terms, behind any that the filter holds to one
/// value. The id stands at the end of each.
fn found_by_index(select: &Select) -> usize {
    let columns = select.order.iter().map_while(|term| Some(term.value.plain()?.name.as_str()));
    let columns: Vec<&str> = columns.collect();
    let is_held = |name: &&&str| holds_to_one(&select.condition, name);
    let held = columns.iter().take_while(is_held).count();
    let agree = |index: Vec<&str>| {
        let free = &index[index.iter().take_while(is_held).count()..];
        free.iter().zip(&columns[held..]).take_while(|(one, other)| one == other).count()
    };
    let found = held + select.model.all_indexes().map(agree).max().unwrap_or(0);
    match columns.get(found) == Some(&"id") {
        true => (found + 1).min(MOST_SPLIT),
        false if found == held => 0,
        false => found.min(MOST_SPLIT),
    }
}

/// Whether a condition leaves only records with one value in that column.
fn holds_to_one(condition: &Condition, column: &str) -> bool {
    match condition {
        Condition::All(all) => all.iter().any(|condition| holds_to_one(condition, column)),
        Condition::Compare(Comparison { term, lookup, value: Operand::One(_) }) => {
            term.column.name == column && term.of == Of::Whole && lookup.name == EXACT.name
        }
        _ => false,
    }
}

/// The stretches of records behind a cursor, the nearest first.
fn stretches(terms: &[Term<'_>], split: usize) -> Vec<Stretch> {
    let rest = (split < terms.len()).then_some(Stretch { same: split, then: Then::BehindInRest });
    let mut all: Vec<Stretch> = rest.into_iter().collect();
    for (same, (term, value)) in terms.iter().enumerate().take(split).rev() {
        if !term.descending || value.is_some() {
            all.push(Stretch { same, then: Then::Behind });
        }
        if term.descending && value.is_some() && term.value.may_be_null() {
            all.push(Stretch { same, then: Then::Null });
        }
    }
    all
}

fn append_stretch(
    statement: &mut Statement,
    aliases: &mut Aliases,
    alias: Alias,
    terms: &[Term<'_>],
    Stretch { same, then }: Stretch,
) {
    let (agree, rest) = terms.split_at(same);
    for (term, value) in agree {
        append_value(statement, aliases, alias, &term.value, pick(term));
        match value {
            Some(value) => statement.push(" = ").parameter(*value).push(" AND "),
            None => statement.push(" IS NULL AND "),
        };
    }
    match then {
        Then::BehindInRest => append_behind_in(statement, aliases, alias, rest),
        Then::Behind | Then::Null => {
            let Some((term, value)) = rest.first() else { return };
            append_value(statement, aliases, alias, &term.value, pick(term));
            match (then, value) {
                (Then::Behind, Some(value)) => {
                    statement.push(if term.descending { " < " } else { " > " }).parameter(*value)
                }
                (Then::Behind, None) => statement.push(" IS NOT NULL"),
                _ => statement.push(" IS NULL"),
            };
        }
    }
}

/// Appends that a record is behind in the first of the terms in which it differs.
fn append_behind_in(statement: &mut Statement, aliases: &mut Aliases, alias: Alias, terms: &[Term<'_>]) {
    statement.push("CASE");
    for (term, value) in terms {
        let mut when = |statement: &mut Statement| {
            statement.push(" WHEN ");
            append_value(statement, aliases, alias, &term.value, pick(term));
        };
        match (value, term.descending) {
            (None, descending) => {
                when(statement);
                statement.push(if descending { " IS NOT NULL THEN FALSE" } else { " IS NOT NULL THEN TRUE" });
            }
            (Some(value), descending) => {
                when(statement);
                match descending {
                    false => statement.push(" > ").parameter(*value).push(" THEN TRUE"),
                    // NULLs are behind it too.
                    true => statement.push(" >= ").parameter(*value).push(" IS NOT TRUE THEN TRUE"),
                };
                when(statement);
                statement.push(" IS NOT ").parameter(*value).push(" THEN FALSE");
            }
        }
    }
    statement.push(" ELSE FALSE END");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json::Json;
    use crate::model::parse;
    use std::sync::Arc;

    /// How many terms an index finds of an order by these columns, where these others are known.
    fn found(order: &[&str], known: &[&str]) -> usize {
        let models =
            br#"{"a.B": {"fields": {"a": {"type": "integer"}, "b": {"type": "integer"}, "c": {"type": "integer"},
            "d": {"type": "integer", "index": true}}, "indexes": [["a", "-b", "c"]]}}"#;
        let mut models = parse::models(&Json::parse(models).unwrap()).unwrap();
        let model = Arc::new(models.remove(0));
        let column = |name: &&str| model.column(name).unwrap();
        let known = known.iter().map(|name| Comparison::exact(column(name), Scalar::Integer(1))).collect();
        let order = order.iter().map(|name| Order::of(column(name))).collect();
        found_by_index(&Select { order, condition: Condition::All(known), ..Select::of(&model, Vec::new()) })
    }

    #[test]
    fn an_order_is_split_as_far_as_an_index_finds_it() {
        for (order, known, expected) in [
            (&["id"][..], &[][..], 1),
            (&["d", "id"], &[], 2),
            (&["d", "a", "id"], &[], 1),
            (&["a", "id"], &[], 2),
            (&["a", "b", "id"], &[], 3),
            (&["a", "c", "id"], &[], 1),
            (&["a", "b", "c", "id"], &[], 4),
            (&["b", "id"], &[], 0),
            (&["b", "id"], &["d"], 0),
            (&["b", "id"], &["a"], 2),
            (&["c", "id"], &["a"], 0),
            (&["c", "id"], &["b", "a"], 2),
            (&["a", "b", "id"], &["a"], 3),
        ] {
            assert_eq!(found(order, known), expected, "{order:?} {known:?}");
        }
    }
}
