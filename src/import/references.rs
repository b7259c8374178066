//! References: which of those that a table has can be ones of its model, where the ids are found that they are to hold, and what
//! the way back is called.

use super::census::{Census, Values};
use super::draft::{Draft, Id, Kind, Lookup};
use super::names;
use super::notes::Notes;
use super::schema::{COLLATIONS, Reference, Schema, Table};
use crate::model::OnDelete;
use crate::value::Type;
use std::collections::BTreeSet;

/// All that references are made of.
pub(super) struct Tables<'t> {
    pub schema: &'t Schema,
    pub censuses: &'t [Census],
    pub ids: &'t [Id],
}

/// A reference that is taken over.
pub(super) struct Found {
    /// The columns that say what it refers to. One alone becomes the field; several stay beside it.
    pub columns: Vec<usize>,
    pub kind: Kind,
    pub target: String,
}

impl Tables<'_> {
    /// The references of a table.
    pub fn references(&self, from: usize, notes: &mut Notes) -> Vec<Found> {
        let table = &self.schema.tables[from];
        let mut found: Vec<Found> = Vec::new();
        for reference in &table.references {
            let what = format!("{} to {}", listed(table, &reference.columns), reference.table);
            let is_taken = found.iter().any(|other| other.columns == reference.columns);
            match self.reference(from, reference) {
                Ok(_) if is_taken => {
                    notes.leave(table, &what, "it is another reference of the same: only the first is taken over");
                }
                Ok(kind) => {
                    note_kind(table, reference, &kind, notes);
                    let (columns, target) = (reference.columns.clone(), reference.table.clone());
                    found.push(Found { columns, kind, target });
                }
                Err(why) => notes.leave(table, &what, why),
            }
        }
        found
    }

    /// What the field of a reference is.
    ///
    /// # Errors
    /// Why it can be none.
    fn reference(&self, from: usize, reference: &Reference) -> Result<Kind, String> {
        let table = &self.schema.tables[from];
        let to = self.schema.table(&reference.table);
        let to = to.ok_or("that is no table of records: what it holds stays a value")?;
        let target = &self.schema.tables[to];
        let keys: Vec<usize> = match reference.to.as_slice() {
            [] => target.key.clone(),
            named => named.iter().filter_map(|name| target.column(name)).collect(),
        };
        let is_reckoned = reference.columns.iter().any(|column| table.columns[*column].is_generated)
            || keys.iter().any(|key| target.columns[*key].is_generated);
        if keys.len() != reference.columns.len() || !target.is_unique(&keys) || is_reckoned {
            return Err("nothing there is unique that it could refer to: what it holds stays a value".into());
        }
        let kind = self.ids[to].kind();
        let values = |column: &usize| &self.censuses[from].columns[*column];
        let holds_ids = |values: &Values| if kind == Type::Uuid { values.as_uuids.is_some() } else { values.are_ids };
        let is_id = matches!((self.ids[to], keys.as_slice()), (Id::Kept(id, _), [key]) if id == *key);
        let found_in = if is_id && reference.columns.iter().map(values).all(holds_ids) {
            None
        } else {
            let columns = keys.iter().map(|key| key_of(target, *key)).collect::<Result<_, _>>()?;
            let id = if let Id::Kept(id, _) = self.ids[to] { Some(target.columns[id].name.clone()) } else { None };
            Some(Lookup { table: target.name.clone(), columns, id })
        };
        let on_delete = rule(table, reference).0;
        Ok(Kind::Ref { to, id: kind, on_delete, related_name: None, found_in })
    }
}

/// A column that records are found by, and how its values are compared.
fn key_of(target: &Table, key: usize) -> Result<(String, &'static str), String> {
    let column = &target.columns[key];
    let collation = COLLATIONS.into_iter().find(|known| *known == column.collation).ok_or_else(|| {
        let (name, collation) = (&column.name, &column.collation);
        format!("{name} is compared by {collation}, which only its program knows: what it holds stays a value")
    })?;
    Ok((column.name.clone(), collation))
}

/// What becomes of a record when the one that it refers to is deleted, and what is lost of that.
fn rule(table: &Table, reference: &Reference) -> (OnDelete, Option<&'static str>) {
    let must_be_there = reference.columns.iter().all(|column| table.columns[*column].not_null);
    match reference.on_delete.as_str() {
        "CASCADE" => (OnDelete::Cascade, None),
        "SET NULL" if must_be_there => {
            (OnDelete::Restrict, Some("ON DELETE SET NULL of what is NOT NULL: it is `restrict`"))
        }
        "SET NULL" => (OnDelete::SetNull, None),
        "SET DEFAULT" => (OnDelete::Restrict, Some("ON DELETE SET DEFAULT: it is `restrict`")),
        _ => (OnDelete::Restrict, None),
    }
}

fn note_kind(table: &Table, reference: &Reference, kind: &Kind, notes: &mut Notes) {
    let what = format!("{} to {}", listed(table, &reference.columns), reference.table);
    if let Some(why) = rule(table, reference).1 {
        notes.leave(table, &what, why);
    }
    if !["NO ACTION", "RESTRICT"].contains(&reference.on_update.as_str()) {
        notes.leave(table, &what, format!("ON UPDATE {}: an id stays what it is", reference.on_update));
    }
    let Kind::Ref { found_in: Some(lookup), .. } = kind else { return };
    let names: Vec<&str> = lookup.columns.iter().map(|(name, _)| name.as_str()).collect();
    match reference.columns.as_slice() {
        [_] => notes.change(table, &what, format!("it holds ids instead of values of {}", names.join(", "))),
        _ => notes.change(table, &what, "it is a field of its own, which holds ids, beside them"),
    }
}

/// Columns by their names.
pub(super) fn listed(table: &Table, columns: &[usize]) -> String {
    columns.iter().map(|column| table.columns[*column].shown()).collect::<Vec<_>>().join(", ")
}

/// What the field of a reference of several columns is called: by the words that all of them begin with, or else by its target.
pub(super) fn name_of_several(table: &Table, found: &Found) -> String {
    let names: Vec<String> = found.columns.iter().map(|column| names::field(&table.columns[*column].name)).collect();
    let words = |name: &str| name.split('_').map(str::to_owned).collect::<Vec<_>>();
    let mut common = words(&names[0]);
    for name in &names[1..] {
        let same = common.iter().zip(words(name)).take_while(|(one, other)| *one == other).count();
        common.truncate(same);
    }
    if common.is_empty() { names::field(&found.target) } else { names::field(&common.join("_")) }
}

/// Gives those ways back a name whose usual one is taken.
pub(super) fn name_ways_back(drafts: &mut [Draft<'_>]) {
    let mut taken: Vec<BTreeSet<String>> = drafts.iter().map(Draft::names).collect();
    for draft in drafts {
        let model = draft.namespace.name().to_owned();
        let several = draft.several.iter_mut().map(|several| &mut several.field);
        for field in draft.fields.iter_mut().flatten().chain(several) {
            let Kind::Ref { to, related_name, .. } = &mut field.kind else { continue };
            let usual = format!("{}_set", model.to_lowercase());
            if !taken[*to].insert(usual) {
                let wanted = names::field(&format!("{model}_by_{}", field.name));
                let name = names::free(&wanted, |name| taken[*to].contains(name));
                taken[*to].insert(name.clone());
                *related_name = Some(name);
            }
        }
    }
}
