//! The rules of a table that its model has as well: what is unique, what is indexed, what a value is among, what it is by itself.

use super::census::json;
use super::clauses::{self, Check};
use super::draft::{Draft, Kind};
use super::notes::Notes;
use super::schema::Index;
use crate::json::Json;
use crate::model::{Field, check};
use crate::store::Stored;
use crate::value::{Scalar, Type};

/// Adds to a draft what its table's rules come to.
pub(super) fn add(draft: &mut Draft<'_>, notes: &mut Notes) {
    let table = draft.table;
    if table.key.len() > 1 {
        let names: Option<Vec<String>> =
            table.key.iter().map(|column| draft.listed(*column).map(str::to_owned)).collect();
        match names {
            Some(names) => draft.unique_together.push(names),
            None => notes.leave(table, "the primary key", "a column of it is not taken over"),
        }
    }
    table.indexes.iter().for_each(|index| add_index(draft, index, notes));
    for check in &table.checks {
        if !add_choices(draft, check) {
            notes.leave(table, &format!("CHECK ({})", check.text), "only a list of values is taken over: `choices`");
        }
    }
    for (rule, instead) in &table.strange {
        notes.leave(table, rule, *instead);
    }
    for place in 0..table.columns.len() {
        add_default(draft, place, notes);
        let column = &table.columns[place];
        let is_text = matches!(&draft.fields[place], Some(field) if matches!(field.kind, Kind::Plain { kind, .. } if kind.is_text()));
        if is_text && column.collation != "BINARY" {
            notes.leave(
                table,
                column.shown(),
                format!("COLLATE {}: texts are compared as they are; `iexact` minds no case", column.collation),
            );
        }
    }
}

fn add_index(draft: &mut Draft<'_>, index: &Index, notes: &mut Notes) {
    let table = draft.table;
    let what = format!("index {}", index.name);
    if index.is_partial {
        return notes.leave(table, &what, "it is of some rows only");
    }
    let mut names = Vec::new();
    for part in &index.columns {
        let Some(part) = part else { return notes.leave(table, &what, "it is of something that is reckoned") };
        let Some(name) = draft.listed(part.column) else {
            return notes.leave(table, &what, format!("{} is not taken over", table.columns[part.column].shown()));
        };
        // Where it is the column's own, that is told of the column.
        if part.collation != table.columns[part.column].collation {
            let what = format!("{what}, COLLATE {}", part.collation);
            notes.leave(
                table,
                &what,
                if index.is_unique { "it is unique as it is written" } else { "texts are compared as they are" },
            );
            if !index.is_unique {
                return;
            }
        }
        let sign = if part.is_descending && !index.is_unique { "-" } else { "" };
        names.push(format!("{sign}{name}"));
    }
    if index.is_unique && index.columns.iter().flatten().any(|part| draft.is_id(part.column)) {
        return; // no two records have the same id anyway
    }
    match (names.as_slice(), index.columns.as_slice()) {
        ([name], [Some(part)]) if !name.starts_with('-') => {
            if let Some(field) = &mut draft.fields[part.column] {
                field.unique |= index.is_unique;
                // What is unique has an index, and so has a reference.
                field.index |= !field.unique && matches!(field.kind, Kind::Plain { .. });
                field.index &= !field.unique;
            }
        }
        _ => {
            let lists = if index.is_unique { &mut draft.unique_together } else { &mut draft.indexes };
            if !lists.contains(&names) {
                lists.push(names);
            }
        }
    }
}

/// Has a field take only what a check allows, and tells whether that is all that it asks.
fn add_choices(draft: &mut Draft<'_>, check: &Check) -> bool {
    let Some((column, values)) = &check.choices else { return false };
    let Some(place) = draft.table.column(column).filter(|place| draft.table.columns[*place].collation == "BINARY")
    else {
        return false;
    };
    let Some(field) = &mut draft.fields[place] else { return false };
    let Kind::Plain { kind, .. } = field.kind else { return false };
    if kind == Type::Boolean {
        return [0, 1].iter().all(|flag| values.contains(&Scalar::Integer(*flag))); // so says the type already
    }
    let is_of_kind = |value: &Scalar| match value {
        Scalar::Text(_) => kind.is_text(),
        Scalar::Integer(_) => kind == Type::Integer,
        _ => false,
    };
    if values.is_empty() || !values.iter().all(is_of_kind) || !field.choices.is_empty() {
        return false;
    }
    for choice in values.iter().filter_map(|value| literal(kind, value)) {
        if !field.choices.contains(&choice) {
            field.choices.push(choice);
        }
    }
    true
}

fn add_default(draft: &mut Draft<'_>, place: usize, notes: &mut Notes) {
    let (table, column) = (draft.table, &draft.table.columns[place]);
    let Some(written) = column.default.as_deref().filter(|written| !written.eq_ignore_ascii_case("NULL")) else {
        return;
    };
    let Some(field) = &mut draft.fields[place] else { return };
    let what = format!("{}, DEFAULT {written}", column.shown());
    let Kind::Plain { kind, max_length } = field.kind else {
        return notes.leave(table, &what, "a reference has no default");
    };
    let Some(value) = clauses::default(written) else {
        let why = match kind {
            Type::Date | Type::Datetime | Type::Time => "it is no value; `auto_now_add` has the server set the moment",
            _ => "it is no value",
        };
        return notes.leave(table, &what, why);
    };
    let coerced = literal(kind, &value).and_then(|json| kind.coerce(&json).ok().map(|scalar| (json, scalar)));
    let choices = field.choices.iter().filter_map(|choice| kind.coerce(choice).ok()).collect();
    let rules = Field { max_length, choices, ..Field::plain(&field.name, kind) };
    match coerced {
        Some((json, scalar)) if check::value(&rules, kind, &scalar).is_ok() => field.default = Some(json),
        _ => notes.leave(table, &what, format!("it is no value that {} may have", field.name)),
    }
}

/// A value that stands in SQL, as `models.json` has it.
fn literal(kind: Type, value: &Scalar) -> Option<Json> {
    let stored = match value {
        Scalar::Null => Stored::Null,
        Scalar::Integer(number @ (0 | 1)) if kind == Type::Boolean => return Some(Json::Boolean(*number == 1)),
        Scalar::Integer(number) => Stored::Integer(*number),
        Scalar::Real(number) => Stored::Real(*number),
        Scalar::Text(text) => Stored::Text(text.as_bytes()),
    };
    json(kind, &stored).ok()
}
