//! What becomes of a file: the model of each table, how its records are read, what cannot be taken over, and what is written in
//! another way from then on.

use super::census::{Candidate, Census, Values};
use super::draft::{Draft, Field, Id, Kind, Several, Taken};
use super::names;
use super::notes::{Note, Notes};
use super::references::{self, Found, Tables};
use super::rules;
use super::schema::{Column, Other, Schema, Table};
use crate::access::Namespace;
use crate::json::Object;
use crate::value::Type;
use std::collections::BTreeSet;

/// What is to be done.
pub struct Import {
    /// The models, as a `models.json` has them.
    pub models: Object,
    pub tables: Vec<Taken>,
    /// What is not taken over.
    pub left: Vec<Note>,
    /// What is taken over, but is another way from then on.
    pub changed: Vec<Note>,
}

/// Plans an import into an app; `renames` are tables and the names that their models are to have.
///
/// # Errors
/// Two tables would be one model, or one would be none.
pub fn plan(schema: &Schema, censuses: &[Census], app: &str, renames: &[(String, String)]) -> Result<Import, String> {
    let mut notes = Notes::default();
    let namespaces = namespaces(schema, app, renames)?;
    let ids: Vec<Id> = schema.tables.iter().zip(censuses).map(|(table, census)| id(table, census)).collect();
    let mut drafts: Vec<Draft<'_>> = Vec::new();
    let tables = Tables { schema, censuses, ids: &ids };
    for (place, (table, namespace)) in schema.tables.iter().zip(namespaces).enumerate() {
        let (census, id) = (&censuses[place], ids[place]);
        note_id(table, census, id, &mut notes);
        let found = tables.references(place, &mut notes);
        let (fields, several) = fields(table, census, id, found, &mut notes);
        let (unique_together, indexes) = (Vec::new(), Vec::new());
        drafts.push(Draft { table, namespace, census, id, fields, several, unique_together, indexes });
    }
    references::name_ways_back(&mut drafts);
    drafts.iter_mut().for_each(|draft| rules::add(draft, &mut notes));
    for list in [&mut notes.left, &mut notes.changed] {
        list.sort_by_key(|note| schema.table(&note.table)); // the others of one table stay as they are
    }
    notes.left.extend(schema.others.iter().map(other));
    let models = drafts.iter().map(|draft| (draft.namespace.as_str().into(), draft.model(&drafts))).collect();
    let tables = drafts.iter().map(Draft::taken).collect();
    Ok(Import { models, tables, left: notes.left, changed: notes.changed })
}

/// What is told of something that is no table of records.
fn other(other: &Other) -> Note {
    let (what, why) = match other.kind.as_str() {
        "trigger" => (format!("trigger {}", other.name), "triggers are not taken over".into()),
        kind => (String::new(), format!("it is a {kind}")),
    };
    Note { table: other.table.clone(), what, why }
}

/// The model of each table.
fn namespaces(schema: &Schema, app: &str, renames: &[(String, String)]) -> Result<Vec<Namespace>, String> {
    if let Some((unknown, _)) = renames.iter().find(|(table, _)| schema.table(table).is_none()) {
        let known: Vec<&str> = schema.tables.iter().map(|table| table.name.as_str()).collect();
        return Err(format!("there is no table {unknown} to --rename; there are: {}", known.join(", ")));
    }
    let is_same = |one: &str, (other, _): &&(String, String)| other.eq_ignore_ascii_case(one);
    if let Some((twice, _)) =
        renames.iter().find(|(table, _)| renames.iter().filter(|all| is_same(table, all)).count() > 1)
    {
        return Err(format!("the table {twice} has two names by --rename"));
    }
    let mut found: Vec<Namespace> = Vec::new();
    for table in &schema.tables {
        let given = renames.iter().find(|(from, _)| from.eq_ignore_ascii_case(&table.name));
        let name = given.map(|(_, name)| name.clone()).or_else(|| names::model(&table.name));
        let name = name.ok_or_else(|| {
            format!("the name of the table {0} makes none of a model; give it one: --rename '{0}=Name'", table.name)
        })?;
        let namespace = Namespace::new(app, &name);
        // SQLite could not tell their tables apart.
        if let Some(other) = found.iter().position(|other| other.as_str().eq_ignore_ascii_case(namespace.as_str())) {
            let (one, other) = (&schema.tables[other].name, &table.name);
            return Err(format!(
                "the tables {one} and {other} would both be {namespace}; give one another name: --rename '{other}=Name'"
            ));
        }
        found.push(namespace);
    }
    Ok(found)
}

fn id(table: &Table, census: &Census) -> Id {
    let Some(key) = table.only_key() else { return Id::New };
    let values = &census.columns[key];
    match &values.as_uuids {
        _ if table.columns[key].is_generated || values.nulls > 0 => Id::New,
        _ if values.others + values.blobs == 0 => match values.kind().kind {
            kind @ (Type::Integer | Type::Uuid) => Id::Kept(key, kind),
            _ => Id::New,
        },
        _ if values.are_ids => Id::Kept(key, Type::Integer),
        Some(_) => Id::Kept(key, Type::Uuid),
        None => Id::New,
    }
}

fn note_id(table: &Table, census: &Census, id: Id, notes: &mut Notes) {
    match (id, table.key.as_slice()) {
        (Id::Kept(key, Type::Uuid), _) => note_uuids(table, census, key, notes),
        (Id::Kept(..), _) => {}
        (Id::New, []) => notes.change(table, "", "it has no primary key: its records have new ids"),
        (Id::New, [key]) => {
            let beside = if census.columns[*key].blobs > 0 { "" } else { ", and this value beside them" };
            let why = format!("an id is a whole number from 1, or a UUID: records have new ids{beside}");
            notes.change(table, table.columns[*key].shown(), why);
        }
        (Id::New, keys) => {
            let why = "a key of several columns: records have new ids, and these are unique together";
            notes.change(table, &references::listed(table, keys), why);
        }
    }
}

fn note_uuids(table: &Table, census: &Census, column: usize, notes: &mut Notes) {
    if let Some(uuids) = &census.columns[column].as_uuids {
        note_changes(table, &table.columns[column], uuids, notes);
    }
}

/// What of a column's values is written in another way.
fn note_changes(table: &Table, column: &Column, values: &Candidate, notes: &mut Notes) {
    if let Some((before, after)) = &values.example {
        let what = if values.changed == 1 { "1 value is".into() } else { format!("{} values are", values.changed) };
        notes.change(
            table,
            column.shown(),
            format!("{what} written as {} is: {before} becomes {after}", values.kind.described()),
        );
    }
}

/// The fields of a table: of each column, and of references of several.
fn fields(
    table: &Table,
    census: &Census,
    id: Id,
    found: Vec<Found>,
    notes: &mut Notes,
) -> (Vec<Option<Field>>, Vec<Several>) {
    let (alone, several): (Vec<Found>, Vec<Found>) = found.into_iter().partition(|found| found.columns.len() == 1);
    let mut kinds: Vec<Option<Kind>> = table.columns.iter().map(|_| None).collect();
    for found in alone {
        if let (Kind::Ref { id: Type::Uuid, found_in: None, .. }, [column]) = (&found.kind, found.columns.as_slice()) {
            note_uuids(table, census, *column, notes);
        }
        kinds[found.columns[0]] = Some(found.kind);
    }
    for (place, kind) in kinds.iter_mut().enumerate() {
        let is_id = matches!(id, Id::Kept(key, _) if key == place);
        match kind {
            Some(_) if is_id => {
                notes.change(table, table.columns[place].shown(), "it is the id and a reference: records have both");
            }
            None if !is_id => *kind = plain(table, place, &census.columns[place], notes),
            _ => {}
        }
    }
    let (names, more) = names_of(table, &kinds, &several, notes);
    let field = |(place, (kind, name)): (usize, (Option<Kind>, Option<String>))| {
        let (column, values) = (&table.columns[place], &census.columns[place]);
        // SQLite forgets to ask it of primary keys.
        let null = !column.not_null && (!table.key.contains(&place) || values.nulls > 0);
        Some(Field { unique: table.key == [place], ..Field::of(name?, kind?, null) })
    };
    let fields = kinds.into_iter().zip(names).enumerate().map(field).collect();
    let of_several = |(found, name): (Found, String)| {
        let null = !found.columns.iter().all(|column| table.columns[*column].not_null);
        Several { columns: found.columns, field: Field::of(name, found.kind, null) }
    };
    (fields, several.into_iter().zip(more).map(of_several).collect())
}

/// The names of fields. References give way to plain ones, as they have a second name to fall back to.
fn names_of(
    table: &Table,
    kinds: &[Option<Kind>],
    several: &[Found],
    notes: &mut Notes,
) -> (Vec<Option<String>>, Vec<String>) {
    let mut names: Vec<Option<String>> = vec![None; kinds.len()];
    let mut taken: BTreeSet<String> = BTreeSet::new();
    for is_reference in [false, true] {
        for (place, kind) in kinds.iter().enumerate() {
            let Some(kind) = kind.as_ref().filter(|kind| kind.is_reference() == is_reference) else { continue };
            let (column, shown) = (&table.columns[place].name, table.columns[place].shown());
            let whole = names::field(column);
            let short = if kind.is_reference() { names::reference(column) } else { whole.clone() };
            let name = take(&short, &whole, kind.is_reference(), &mut taken);
            let said = names::joined(column, "field", column.len() + 6);
            if name != said && format!("{name}_id") != said
                || !column.is_ascii()
                || !column.contains(|c: char| c.is_ascii_alphanumeric())
            {
                notes.change(table, shown, format!("the field is called {name}"));
            }
            names[place] = Some(name);
        }
    }
    let mut more = Vec::new();
    for found in several {
        let wanted = references::name_of_several(table, found);
        more.push(take(&wanted, &wanted, true, &mut taken));
    }
    (names, more)
}

/// Takes a short name, or else the whole one, or else that with a number. A reference has another name, which ends in `_id`.
fn take(short: &str, whole: &str, is_reference: bool, taken: &mut BTreeSet<String>) -> String {
    let second = |name: &str| format!("{name}_id");
    let is_taken = |name: &str| taken.contains(name) || is_reference && taken.contains(&second(name));
    let name = if is_taken(short) { names::free(whole, is_taken) } else { short.to_owned() };
    taken.extend(is_reference.then(|| second(&name)));
    taken.insert(name.clone());
    name
}

/// What a column is whose values are values.
fn plain(table: &Table, place: usize, values: &Values, notes: &mut Notes) -> Option<Kind> {
    let column = &table.columns[place];
    if column.is_generated {
        notes.leave(table, column.shown(), "it is reckoned from other columns");
        return None;
    }
    if values.blobs > 0 {
        let count = values.blobs;
        let what = if count == 1 { "1 of its values is".into() } else { format!("{count} of its values are") };
        notes.leave(table, column.shown(), format!("{what} bytes, which no type of field holds"));
        return None;
    }
    if values.others == 0 && column.declared.to_ascii_uppercase().contains("BLOB") {
        notes.leave(table, column.shown(), "it is for bytes, which no type of field holds");
        return None;
    }
    let candidate = values.kind();
    note_changes(table, column, candidate, notes);
    if let Some(misfit) = &values.misfit {
        let described = candidate.kind.described();
        let what = format!("the type {} of {}", column.declared, column.shown());
        notes.leave(table, &what, format!("{misfit}, so that the field is {described}"));
    }
    Some(Kind::Plain { kind: candidate.kind, max_length: candidate.max_length })
}
