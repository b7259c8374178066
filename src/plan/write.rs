//! What a write does: the record it is about, the values that go in, and what a deletion would reach.

use super::planner::Planner;
use super::{Comparison, Condition, Links, Referrer, Row, Select, Slot, Target, Write};
use crate::access::{Action, Namespace};
use crate::error::{Error, Problem, is_full, nearest, shown};
use crate::intent::Intent;
use crate::json::{Json, Object, Pointer};
use crate::model::{Clock, Column, Field, Kind, Model, OnDelete, Reference, VERSION, check};
use crate::request::Request;
use crate::value::{self, Scalar, Type};
use smol_str::SmolStr;
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

impl Planner<'_> {
    /// The record of `uniqueObject`, narrowed by what stands beside it.
    pub fn target(&mut self, model: &Arc<Model>, request: &Request, meta: &Pointer<'_>) -> Option<Target> {
        let at = meta.key("uniqueObject");
        let members = request.unique.as_deref()?;
        let columns: Vec<Column> = members.iter().filter_map(|(name, _)| model.column(name)).collect();
        let mut names: Vec<&str> = columns.iter().map(|column| column.name.as_str()).collect();
        names.sort_unstable();
        let all_known = names.len() == members.len();
        if names.contains(&"id") {
            names.retain(|name| !is_version(model, name));
        }
        if !all_known || !is_unique(model, &names) {
            let problem = Problem::NotUnique { model: model.namespace.to_string(), accepted: unique_keys(model) };
            self.note(Error::at(at, problem));
            return None;
        }
        let mut all = Vec::with_capacity(members.len());
        let mut named = Vec::with_capacity(members.len());
        let (mut id, mut version) = (None, None);
        for ((name, json), column) in members.iter().zip(columns) {
            let value = self.value(name, column.kind, json, &at.key(name))?;
            if is_version(model, &column.name) {
                version = value.integer();
                continue;
            }
            named.push((column.name.clone(), json.clone()));
            if column.name == "id" {
                id = Some(value.clone());
            }
            all.push(Comparison::exact(column, value));
        }
        let narrowing = &request.narrowing;
        if narrowing.narrows() {
            all.push(self.condition(model, narrowing, meta));
        }
        Some(Target { condition: Condition::All(all), id, version, named })
    }

    /// New records: what the request says, and for the rest defaults, clocks and NULL.
    pub fn create(&mut self, model: &Arc<Model>, request: &Request) -> Write {
        let slots = slots(model, |field| field.column().is_some(), model.id == Type::Uuid);
        let mut rows = Vec::with_capacity(request.records.len());
        for (index, values) in &request.records {
            let root = Pointer::ROOT;
            let objects = root.key("__meta__");
            let objects = objects.key("objects");
            let many = request.intent == Intent::CreateMany;
            let at = if many { objects.index(*index) } else { root };
            rows.extend(self.new_record(
                model,
                &slots,
                values,
                &at,
                if many { Purpose::CreateMany } else { Purpose::Create },
            ));
            if is_full(&self.errors) {
                break;
            }
        }
        // Of several records only what all of them wrote is free to be answered. No record has a name twice.
        let mut writers: HashMap<&str, usize> = HashMap::new();
        for (name, _) in request.records.iter().flat_map(|(_, values)| values) {
            *writers.entry(name).or_default() += 1;
        }
        let by_all = writers.into_iter().filter(|(_, count)| *count == request.records.len());
        let answer = self.answer(model, request.fields.as_deref(), &by_all.map(|(name, _)| name).collect());
        Write { slots, rows, raises: false, answer }
    }

    /// The values of a new record.
    pub(super) fn new_record(
        &mut self,
        model: &Arc<Model>,
        slots: &[Slot],
        values: &Object,
        at: &Pointer<'_>,
        purpose: Purpose,
    ) -> Option<Row> {
        let given = self.given(model, values, at, purpose);
        let mut row = Row { at: at.to_string(), links: given.links, ..Row::default() };
        let mut values = given.values;
        for (index, slot) in slots.iter().enumerate() {
            let name = &slot.column.name;
            if let Some(place) = values.iter().position(|given| given.column == *name) {
                let given = values.swap_remove(place);
                row.given.push((index, given.name));
                row.values.push(given.value);
                continue;
            }
            let field = model.fields.iter().find(|field| field.name == *name);
            row.values.push(match field.map(|field| (&field.default, field.clock, field.null)) {
                None if model.id == Type::Uuid => Scalar::Text(value::new_uuid()),
                None => Scalar::Null, // SQLite gives the next one
                Some((_, Some(Clock::OnCreate | Clock::OnWrite), _)) => self.clock(slot.column.kind),
                Some((Some(default), ..)) => default.clone(),
                Some((None, Some(Clock::Counting), _)) => Scalar::Integer(1),
                Some((None, Some(Clock::Kept), _)) => Scalar::Null,
                Some((None, None, true)) => Scalar::Null,
                Some((None, None, false)) => {
                    // A value that was given and refused is no missing one.
                    if !given.refused.iter().any(|refused| refused == name) {
                        let problem = Problem::Required { model: model.namespace.to_string(), field: name.to_string() };
                        self.note(Error::at(at.key(name), problem));
                    }
                    Scalar::Null // the request is refused
                }
            });
        }
        Some(row)
    }

    /// A changed record, or several: what the request says, and the clocks.
    pub fn update(&mut self, model: &Arc<Model>, request: &Request) -> Write {
        let none = Vec::new();
        let values = request.records.first().map_or(&none, |(_, values)| values);
        if values.is_empty() {
            self.note(Error::at("", Problem::NothingToChange));
        }
        let given = self.given(model, values, &Pointer::ROOT, Purpose::Update);
        let names = values.iter().map(|(name, _)| name.as_str()).collect();
        let answer = self.answer(model, request.fields.as_deref(), &names);
        self.changed(model, given, answer)
    }

    fn changed(&self, model: &Arc<Model>, given: Written, answer: Select) -> Write {
        let is_given = |field: &Field| given.values.iter().any(|given| given.column == field.name);
        let slots = slots(model, |field| is_given(field) || field.clock == Some(Clock::OnWrite), false);
        let mut row = Row { links: given.links, ..Row::default() };
        for (index, slot) in slots.iter().enumerate() {
            match given.values.iter().find(|given| given.column == slot.column.name) {
                Some(given) => {
                    row.given.push((index, given.name.clone()));
                    row.values.push(given.value.clone());
                }
                None => row.values.push(self.clock(slot.column.kind)),
            }
        }
        Write { slots, rows: vec![row], raises: model.versioned, answer }
    }

    /// The update of an `upsert`, and what is made where there is no such record: the same values, and those that
    /// it was looked for by.
    pub fn upsert(&mut self, model: &Arc<Model>, request: &Request) -> (Write, Write) {
        let mut values = request.records.first().map(|(_, values)| values.clone()).unwrap_or_default();
        let given = self.given(model, &values, &Pointer::ROOT, Purpose::Update);
        // What it was looked for by is known to the client as well.
        let known: Vec<SmolStr> =
            values.iter().chain(request.unique.iter().flatten()).map(|(name, _)| name.clone()).collect();
        let names = known.iter().map(SmolStr::as_str).collect();
        let answer = self.answer(model, request.fields.as_deref(), &names);
        let update = self.changed(model, given, answer.clone());
        let field_of = |name: &str| model.column(name).map(|column| column.name);
        let mut sought = Vec::new();
        for (name, json) in request.unique.iter().flatten() {
            let is_known = values.iter().any(|(given, _)| field_of(given) == field_of(name));
            // An integer id is found or given by the server; a version begins by itself.
            let is_written =
                !is_version(model, name) && (model.id == Type::Uuid || !matches!(name.as_str(), "id" | "pk"));
            if !is_known && is_written {
                values.push((name.clone(), json.clone()));
                sought.push(name.clone());
            }
        }
        let slots = slots(model, |field| field.column().is_some(), model.id == Type::Uuid);
        let before = self.errors.len();
        let row = self.new_record(model, &slots, &values, &Pointer::ROOT, Purpose::CreateMany);
        let row = Row { sought, ..row.unwrap_or_default() };
        for error in self.errors.split_off(before) {
            let name = row.sought.iter().find(|name| error.pointer == Some(Pointer::ROOT.key(name).to_string()));
            let pointer = name.map(|name| row.place(name)).or(error.pointer);
            // What is wrong with a value may have been noted already.
            if self.errors.iter().all(|known| known.pointer != pointer) {
                self.note(Error { pointer, ..error });
            }
        }
        (update, Write { slots, rows: vec![row], raises: false, answer })
    }

    /// This moment, as a column of that type holds it.
    fn clock(&self, kind: Type) -> Scalar {
        Scalar::Text(match kind {
            Type::Date => self.now[..10].to_owned(),
            Type::Time => self.now[11..26].to_owned(),
            _ => self.now.to_owned(),
        })
    }

    /// The values that a request gives for a record, each with the type and the rules of its field.
    fn given(&mut self, model: &Arc<Model>, values: &Object, at: &Pointer<'_>, purpose: Purpose) -> Written {
        let mut written = Written::default();
        let mut seen = BTreeSet::new();
        for (name, json) in values {
            let at = at.key(name);
            // What does not count among the terms is bounded by its mistakes.
            let is_over = if purpose.is_counted() { !self.term(&at) } else { is_full(&self.errors) };
            if is_over {
                break;
            }
            let Some(field) = model.field(name).cloned() else {
                written.values.extend(self.id_to_write(model, name, json, &at, purpose));
                continue;
            };
            if !seen.insert(field.name.clone()) {
                self.note(Error::at(at, Problem::RepeatedKey { key: field.name.clone() }));
                continue;
            }
            if field.clock.is_some() && purpose != Purpose::Load {
                let problem = Problem::ReadOnly { field: name.to_string(), why: "the server sets it" };
                self.note(Error::at(at, problem));
                continue;
            }
            match &field.kind {
                Kind::Refs(reference) => {
                    let ids = self.link_ids(name, reference.id, json, &at);
                    if let (Some(ids), Some(relation)) = (ids, self.relation(model, &field.name)) {
                        written.links.push(Links { relation, given: name.clone(), ids });
                    }
                }
                Kind::Ref(Reference { id: kind, .. }) | Kind::Plain(kind) => {
                    match self.value_to_write(name, &field, *kind, json, &at) {
                        Some(value) => {
                            written.values.push(GivenValue { column: (&field.name).into(), name: name.clone(), value })
                        }
                        None => written.refused.push(field.name.clone()),
                    }
                }
            }
        }
        written
    }

    fn value_to_write(
        &mut self,
        name: &str,
        field: &Field,
        kind: Type,
        json: &Json,
        at: &Pointer<'_>,
    ) -> Option<Scalar> {
        let value = match json {
            Json::Null => Scalar::Null,
            json => self.value(name, kind, json, at)?,
        };
        if let Err(why) = check::value(field, kind, &value) {
            self.note(Error::at(at, Problem::Refused { field: name.to_owned(), why }));
            return None;
        }
        Some(value)
    }

    fn link_ids(&mut self, name: &str, kind: Type, json: &Json, at: &Pointer<'_>) -> Option<Vec<Scalar>> {
        let Json::List(items) = json else {
            let problem =
                Problem::WrongForm { what: format!("\"{name}\""), wanted: "a list of ids", given: shown(json) };
            self.note(Error::at(at, problem));
            return None;
        };
        if items.len() as u64 > super::MOST_VALUES {
            let problem = Problem::TooMany { what: "values in one list", limit: super::MOST_VALUES };
            self.note(Error::at(at, problem));
            return None;
        }
        let mut ids: Vec<Scalar> = Vec::with_capacity(items.len());
        for (index, item) in items.iter().enumerate() {
            if *item == Json::Null {
                self.wrong(&at.index(index), name, "a list of ids", item);
                return None;
            }
            ids.push(self.value(name, kind, item, &at.index(index))?);
        }
        Some(ids)
    }

    /// A value for something that is no field: the id, or a mistake.
    fn id_to_write(
        &mut self,
        model: &Arc<Model>,
        name: &str,
        json: &Json,
        at: &Pointer<'_>,
        purpose: Purpose,
    ) -> Option<GivenValue> {
        if !matches!(name, "id" | "pk") {
            let names: Vec<&str> = model.fields.iter().map(|field| field.name.as_str()).collect();
            let problem = Problem::NoSuchField {
                model: model.namespace.to_string(),
                field: shown(&name),
                nearest: nearest(name, names),
            };
            self.note(Error::at(at, problem));
            return None;
        }
        let creating = purpose != Purpose::Update;
        if creating && (model.id == Type::Uuid || purpose == Purpose::Load) {
            let value = self.value(name, model.id, json, at)?;
            return Some(GivenValue { column: "id".into(), name: name.into(), value });
        }
        let why = if creating { "the server gives it" } else { "a record keeps its id" };
        self.note(Error::at(at, Problem::ReadOnly { field: name.to_owned(), why }));
        None
    }

    /// Asks leave for every model that a deletion would reach: to delete where it cascades, to update where
    /// references are cleared. Gives the models that may forbid it.
    pub fn deletion(&mut self, model: &Arc<Model>, at: &Pointer<'_>) -> Vec<Referrer> {
        let mut referrers = Vec::new();
        let mut reached = BTreeSet::from([model.namespace.clone()]);
        let mut waiting = vec![model.clone()];
        while let Some(reaching) = waiting.pop() {
            let found: Vec<(Namespace, String, OnDelete)> = self
                .catalogue
                .referrers(&reaching)
                .map(|(from, column, rule)| (from.clone(), column.to_owned(), rule))
                .collect();
            for (from, column, rule) in found {
                match rule {
                    OnDelete::Restrict => {
                        let visible = self.caller.may(&from, Action::Read);
                        let direct = reaching.namespace == model.namespace;
                        referrers.push(Referrer { model: from, column, direct, visible });
                    }
                    OnDelete::SetNull => drop(self.model(&from, Action::Update, at)),
                    OnDelete::Cascade => {
                        if reached.insert(from.clone())
                            && let Some(next) = self.model(&from, Action::Delete, at)
                        {
                            waiting.push(next);
                        }
                    }
                }
            }
        }
        referrers
    }
}

/// What the values of a record are given for.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Purpose {
    /// One new record.
    Create,
    /// One of many, whose values do not count among the terms of the request.
    CreateMany,
    Update,
    /// A record that was somewhere else before: it may bring its id, and what the server would set.
    Load,
}

impl Purpose {
    fn is_counted(self) -> bool {
        matches!(self, Purpose::Create | Purpose::Update)
    }
}

/// What a request gives for one record.
#[derive(Default)]
struct Written {
    values: Vec<GivenValue>,
    links: Vec<Links>,
    /// The columns whose values were refused.
    refused: Vec<String>,
}

struct GivenValue {
    column: SmolStr,
    /// As the request calls it.
    name: SmolStr,
    value: Scalar,
}

/// The columns of a model that are written, in the order of definition, with the id or without.
pub(super) fn slots(model: &Model, is_written: impl Fn(&Field) -> bool, with_id: bool) -> Vec<Slot> {
    let id = with_id.then(|| Slot { column: model.id_column(), to: None });
    let slot = |field: &Arc<Field>| {
        let to = if let Kind::Ref(reference) = &field.kind { Some(reference.to.clone()) } else { None };
        Some(Slot { column: field.column()?, to })
    };
    id.into_iter().chain(model.fields.iter().filter(|field| is_written(field)).filter_map(slot)).collect()
}

/// Whether that is the field that counts the updates of a record.
fn is_version(model: &Model, name: &str) -> bool {
    model.versioned && name == VERSION
}

/// Whether no two records can agree in these columns, sorted by name.
fn is_unique(model: &Model, names: &[&str]) -> bool {
    names == ["id"]
        || model.unique_keys().any(|mut key| {
            key.sort_unstable();
            key == names
        })
}

fn unique_keys(model: &Model) -> Vec<String> {
    let mut keys: Vec<String> = model.unique_keys().map(|key| key.join(" with ")).collect();
    if model.versioned {
        keys.insert(1, "id with version".to_owned());
    }
    keys
}
