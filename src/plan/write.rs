//! What a write does: the record it is about, the values that go in, and what a deletion would reach.

use super::{Assignment, Comparison, Condition, Links, Planner, Referrer, Target, Write};
use crate::access::{Action, Namespace};
use crate::error::{Error, Problem, nearest, shown};
use crate::json::{Json, Pointer};
use crate::model::{Clock, Column, Field, Kind, Model, OnDelete, check};
use crate::request::Request;
use crate::value::{self, Scalar, Type};
use std::collections::BTreeSet;
use std::sync::Arc;

impl Planner<'_> {
    /// The record of `uniqueObject`, narrowed by what stands beside it.
    pub fn target(&mut self, model: &Arc<Model>, request: &Request, meta: &Pointer<'_>) -> Option<Target> {
        let at = meta.key("uniqueObject");
        let members = request.unique.as_deref()?;
        let mut columns: Vec<Column> = members.iter().filter_map(|(name, _)| model.column(name)).collect();
        columns.sort_by(|left, right| left.name.cmp(&right.name));
        let names: Vec<&str> = columns.iter().map(|column| column.name.as_str()).collect();
        if names.len() != members.len() || !is_unique(model, &names) {
            let problem = Problem::NotUnique { model: model.namespace.to_string(), accepted: unique_keys(model) };
            self.note(Error::at(at, problem));
            return None;
        }
        let mut all = Vec::new();
        let mut named = Vec::new();
        let mut id = None;
        for (name, json) in members {
            let column = model.column(name)?;
            let value = self.value(name, column.kind, json, &at.key(name))?;
            named.push(format!("{} {}", column.name, shown(json)));
            if column.name == "id" {
                id = Some(value.clone());
            }
            all.push(Comparison::exact(column, value));
        }
        let narrowing = &request.narrowing;
        if narrowing.narrows() {
            all.push(self.condition(model, narrowing, meta));
        }
        Some(Target { condition: Condition::All(all), id, named: named.join(" and ") })
    }

    /// A new record: what the request says, and for the rest defaults, clocks and NULL.
    pub fn create(&mut self, model: &Arc<Model>, request: &Request) -> Write {
        let mut write = self.assignments(model, request);
        let given: Vec<String> = written(model, request);
        for field in model.fields.iter().filter(|field| !given.contains(&field.name)) {
            let Some(column) = field.column() else { continue };
            let value = match (&field.default, field.clock) {
                (_, Some(_)) => Some(self.clock(column.kind)),
                (Some(default), None) => Some(default.clone()),
                (None, None) if field.null => Some(Scalar::Null),
                (None, None) => None,
            };
            match value {
                Some(value) => {
                    write.assignments.push(Assignment { given: column.name.clone(), column, value, to: None })
                }
                None => {
                    let problem = Problem::Required { model: model.namespace.to_string(), field: field.name.clone() };
                    self.note(Error::at(Pointer::ROOT.key(&field.name), problem));
                }
            }
        }
        let has_id = write.assignments.iter().any(|assignment| assignment.column.name == "id");
        if model.id == Type::Uuid && !has_id {
            let value = Scalar::Text(value::new_uuid());
            write.assignments.insert(0, Assignment { column: model.id_column(), value, given: "id".into(), to: None });
        }
        write
    }

    /// A changed record: what the request says, and the clocks.
    pub fn update(&mut self, model: &Arc<Model>, request: &Request) -> Write {
        let mut write = self.assignments(model, request);
        if request.values.is_empty() {
            self.note(Error::at("", Problem::NothingToChange));
        }
        for field in model.fields.iter().filter(|field| field.clock == Some(Clock::OnWrite)) {
            if let Some(column) = field.column() {
                let value = self.clock(column.kind);
                write.assignments.push(Assignment { given: column.name.clone(), column, value, to: None });
            }
        }
        write
    }

    /// This moment, as a column of that type holds it.
    fn clock(&self, kind: Type) -> Scalar {
        Scalar::Text(match kind {
            Type::Date => self.now[..10].to_owned(),
            Type::Time => self.now[11..26].to_owned(),
            _ => self.now.to_owned(),
        })
    }

    /// The values beside `__meta__`, each with the type and the rules of its field.
    fn assignments(&mut self, model: &Arc<Model>, request: &Request) -> Write {
        let mut assignments = Vec::new();
        let mut links = Vec::new();
        let mut seen = BTreeSet::new();
        for (name, json) in &request.values {
            let at = Pointer::ROOT.key(name);
            if !self.term(&at) {
                break;
            }
            let Some(field) = model.field(name).cloned() else {
                self.no_field_to_write(model, name, json, &at, request, &mut assignments);
                continue;
            };
            if !seen.insert(field.name.clone()) {
                self.note(Error::at(at, Problem::RepeatedKey { key: field.name.clone() }));
                continue;
            }
            if field.clock.is_some() {
                let problem = Problem::ReadOnly { field: name.clone(), why: "the server sets it" };
                self.note(Error::at(at, problem));
                continue;
            }
            match &field.kind {
                Kind::Refs(reference) => {
                    let ids = self.link_ids(name, reference.id, json, &at);
                    if let (Some(ids), Some(relation)) = (ids, self.relation(model, &field.name)) {
                        links.push(Links { relation, given: name.clone(), ids });
                    }
                }
                Kind::Ref(reference) => {
                    let to = Some(reference.to.clone());
                    self.assign(name, &field, reference.id, json, &at, to, &mut assignments);
                }
                Kind::Plain(kind) => self.assign(name, &field, *kind, json, &at, None, &mut assignments),
            }
        }
        let names: Vec<&str> = request.values.iter().map(|(name, _)| name.as_str()).collect();
        let answer = self.answer(model, request.fields.as_deref(), &names);
        Write { assignments, links, answer }
    }

    #[allow(clippy::too_many_arguments)] // all of one value
    fn assign(
        &mut self,
        name: &str,
        field: &Field,
        kind: Type,
        json: &Json,
        at: &Pointer<'_>,
        to: Option<Namespace>,
        assignments: &mut Vec<Assignment>,
    ) {
        let Some(column) = field.column() else { return };
        let value = match json {
            Json::Null => Scalar::Null,
            json => match self.value(name, kind, json, at) {
                Some(value) => value,
                None => return,
            },
        };
        if let Err(why) = check::value(field, kind, &value) {
            self.note(Error::at(at, Problem::Refused { field: name.to_owned(), why }));
            return;
        }
        assignments.push(Assignment { column, value, given: name.to_owned(), to });
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
    fn no_field_to_write(
        &mut self,
        model: &Arc<Model>,
        name: &str,
        json: &Json,
        at: &Pointer<'_>,
        request: &Request,
        assignments: &mut Vec<Assignment>,
    ) {
        let creating = request.intent.rule().action == Action::Create;
        if !matches!(name, "id" | "pk") {
            let names: Vec<&str> = model.fields.iter().map(|field| field.name.as_str()).collect();
            let problem = Problem::NoSuchField {
                model: model.namespace.to_string(),
                field: shown(&name),
                nearest: nearest(name, names),
            };
            self.note(Error::at(at, problem));
        } else if creating && model.id == Type::Uuid {
            if let Some(value) = self.value(name, Type::Uuid, json, at) {
                assignments.push(Assignment { column: model.id_column(), value, given: name.to_owned(), to: None });
            }
        } else {
            let why = if creating { "the server gives it" } else { "a record keeps its id" };
            self.note(Error::at(at, Problem::ReadOnly { field: name.to_owned(), why }));
        }
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

/// The fields that a request gives a value for, under their own names.
fn written(model: &Model, request: &Request) -> Vec<String> {
    let fields = request.values.iter().filter_map(|(name, _)| model.field(name));
    fields.map(|field| field.name.clone()).collect()
}

/// Whether no two records can agree in these columns, sorted by name.
fn is_unique(model: &Model, names: &[&str]) -> bool {
    let sorted = |list: &Vec<String>| {
        let mut list = list.clone();
        list.sort();
        list
    };
    match names {
        ["id"] => true,
        [name] if model.fields.iter().any(|field| field.name == *name && field.unique) => true,
        names => model.unique_together.iter().any(|list| sorted(list) == names),
    }
}

fn unique_keys(model: &Model) -> Vec<String> {
    let fields = model.fields.iter().filter(|field| field.unique).map(|field| field.name.clone());
    let together = model.unique_together.iter().map(|list| list.join(" with "));
    std::iter::once("id".to_owned()).chain(fields).chain(together).collect()
}
