//! Names -> models, relations and columns. Every model that a request touches is asked for here, and
//! permission with it, so that no way into another model can forget to ask.

use super::planner::Planner;
use super::{MOST_TERMS, RELATION_LEVELS};
use crate::access::{Action, Namespace};
use crate::error::{Error, Problem, nearest, shown};
use crate::json::Pointer;
use crate::lookup::Lookup;
use crate::model::{Column, Model, Relation};
use std::sync::Arc;

/// Where a path leads: over relations to a column, and what of the key is left after it.
pub struct Path<'k> {
    pub hops: Vec<Arc<Relation>>,
    pub column: Column,
    /// The names behind the column: a date part, keys of a json field, a lookup.
    pub rest: Vec<&'k str>,
}

impl Planner<'_> {
    /// The model of a namespace, to do `action` with.
    pub fn model(&mut self, namespace: &Namespace, action: Action, at: &Pointer<'_>) -> Option<Arc<Model>> {
        if !self.caller.may(namespace, action) {
            let permission = namespace.permission(action);
            self.note(Error::at(at, Problem::Forbidden { permission }));
            return None;
        }
        let found = self.catalogue.model(namespace).cloned();
        if found.is_none() {
            let name = namespace.to_string();
            let seen = self.catalogue.all().map(|model| &model.namespace);
            let seen: Vec<String> =
                seen.filter(|model| self.caller.may(model, action)).map(Namespace::to_string).collect();
            let nearest = nearest(&name, seen.iter().map(String::as_str));
            self.note(Error::at(at, Problem::NoSuchModel { namespace: name, nearest }));
        }
        self.touched.insert(namespace.clone());
        found
    }

    /// The model that a relation leads to, to be read.
    pub fn hop(&mut self, relation: &Relation, at: &Pointer<'_>) -> Option<Arc<Model>> {
        self.model(&relation.target, Action::Read, at)
    }

    /// The relation of that name, if there is one.
    pub fn relation(&self, model: &Model, name: &str) -> Option<Arc<Relation>> {
        self.catalogue.relation(model, name).cloned()
    }

    /// Notes that there is no such field, and the nearest one that the key may see.
    pub fn no_such_field(&mut self, model: &Model, field: &str, at: &Pointer<'_>) {
        let relations = self.catalogue.relations(model);
        let seen = relations.filter(|relation| relation.is_own() || self.caller.may(&relation.target, Action::Read));
        let names = model
            .columns()
            .into_iter()
            .map(|column| column.name.to_string())
            .chain(seen.map(|relation| relation.name.clone()));
        let names: Vec<String> = names.collect();
        let problem = Problem::NoSuchField {
            model: model.namespace.to_string(),
            field: shown(&field),
            nearest: nearest(field, names.iter().map(String::as_str)),
        };
        self.note(Error::at(at, problem));
    }

    /// Follows a path such as `category__name__icontains` as far as it names relations and a column.
    /// A path that ends at a relation means the id there.
    pub fn path<'k>(&mut self, model: &Arc<Model>, key: &'k str, at: &Pointer<'_>) -> Option<Path<'k>> {
        if model.is_groups {
            return self.group_path(model, key, at);
        }
        let mut names = names(key).take(usize::try_from(MOST_TERMS).unwrap_or(usize::MAX)).peekable();
        let mut model = model.clone();
        let mut hops = Vec::new();
        loop {
            let name = names.next()?;
            let next = names.peek().copied();
            let relation = self.relation(&model, name);
            let Some(relation) = relation else {
                let Some(column) = model.column(name) else {
                    self.no_such_field(&model, name, at);
                    return None;
                };
                return Some(Path { hops, column, rest: names.collect() });
            };
            if hops.len() as u64 >= RELATION_LEVELS {
                self.note(Error::at(
                    at,
                    Problem::TooMany { what: "relations behind each other", limit: RELATION_LEVELS },
                ));
                return None;
            }
            // `category__in` is about the id that is stored here, unless the other model has a field `in`.
            if relation.is_own() && self.ends_here(&relation, next) {
                let column = match model.column(name) {
                    Some(column) => column,
                    None => {
                        let target = self.catalogue.model(&relation.target)?;
                        self.touched.insert(relation.target.clone());
                        hops.push(relation);
                        target.id_column()
                    }
                };
                return Some(Path { hops, column, rest: names.collect() });
            }
            model = self.hop(&relation, at)?;
            hops.push(relation);
            if self.ends(&model, next) {
                return Some(Path { hops, column: model.id_column(), rest: names.collect() });
            }
        }
    }

    /// As [`Self::path`], to a group or a total. Their names may hold `__` themselves.
    fn group_path<'k>(&mut self, model: &Arc<Model>, key: &'k str, at: &Pointer<'_>) -> Option<Path<'k>> {
        let rest = |name: &str| match key.strip_prefix(name)? {
            "" => Some(Vec::new()),
            rest => Some(rest.strip_prefix("__")?.split("__").collect::<Vec<_>>()),
        };
        let found = model.columns().into_iter().filter_map(|column| Some((rest(&column.name)?, column)));
        let found = found.max_by_key(|(_, column)| column.name.len());
        if found.is_none() && self.lost.iter().all(|name| rest(name).is_none()) {
            self.no_such_field(model, key, at);
        }
        found.map(|(rest, column)| Path { hops: Vec::new(), column, rest })
    }

    /// Whether a path ends at a relation whose ids the record itself holds.
    fn ends_here(&self, relation: &Relation, next: Option<&str>) -> bool {
        let Some(target) = self.catalogue.model(&relation.target) else { return false };
        let hidden = !self.caller.may(&relation.target, Action::Read);
        next.is_none() || (hidden && next.is_some_and(|name| Lookup::named(name).is_some())) || self.ends(target, next)
    }

    /// Whether what follows a relation is a lookup on the id rather than a field of its model.
    fn ends(&self, target: &Model, next: Option<&str>) -> bool {
        let Some(name) = next else { return true };
        Lookup::named(name).is_some()
            && target.column(name).is_none()
            && self.catalogue.relation(target, name).is_none()
    }
}

/// The names in a path, as `split("__")` gives them, which is made for longer texts.
fn names(path: &str) -> impl Iterator<Item = &str> {
    let mut rest = Some(path);
    std::iter::from_fn(move || {
        let text = rest?;
        let end = text.as_bytes().windows(2).position(|pair| pair == b"__");
        rest = end.map(|end| &text[end + 2..]);
        Some(&text[..end.unwrap_or(text.len())])
    })
}
