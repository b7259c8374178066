//! The fields asked of each record: plain ones, those of related records, others under another name,
//! transformed ones, and subqueries.

use super::reader::{Meta, Reader};
use super::{Asked, META, Narrowing, Nested, Subquery, Wanted, WantedStep};
use crate::error::{Error, Problem, is_full, nearest, shown};
use crate::json::{Json, Object, Pointer, member};

/// What names a field: one that stands under another name, or one that another is compared with.
pub const FIELD: &str = "__field__";
/// What is made of a field before it is answered.
pub const TRANSFORM: &str = "__transform__";

/// What the `__meta__` of a nested list takes.
pub const LIST_KEYS: [&str; 6] = ["filter", "exclude", "search", "ordering", "limit", "offset"];
/// What that of a subquery takes.
pub const SUBQUERY_KEYS: [&str; 11] = [
    "intent",
    "namespace",
    "filter",
    "exclude",
    "search",
    "ordering",
    "onField",
    "outerRefMapping",
    "sequencedProcess",
    "schema",
    "authenticationClass",
];
const SUBQUERY: &str = "subquery";

impl Reader {
    pub fn fields(&mut self, at: &Pointer<'_>, members: Object) -> Vec<Asked> {
        let mut asked = Vec::with_capacity(members.len());
        for (name, json) in members {
            match json {
                Json::Null => asked.push(Asked { name, of: None, what: Wanted::Value, transforms: Vec::new() }),
                Json::Object(members) => asked.extend(self.field(&at.key(&name), &name, members)),
                other => self.wrong(
                    &at.key(&name),
                    &format!("the field \"{}\"", shown(&name)),
                    "null to ask for it, or an object to ask for fields of it",
                    &other,
                ),
            }
        }
        asked
    }

    fn field(&mut self, at: &Pointer<'_>, name: &str, mut members: Object) -> Option<Asked> {
        let mut take = |key| members.iter().position(|(name, _)| name == key).map(|place| members.remove(place).1);
        let (of, transforms, meta) = (take(FIELD), take(TRANSFORM), take(META));
        let of = match of {
            None => None,
            Some(Json::String(of)) => Some(of),
            Some(other) => {
                self.wrong(&at.key(FIELD), FIELD, "the name of a field", &other);
                return None;
            }
        };
        let plain = members.is_empty() && meta.is_none() && (of.is_some() || transforms.is_some());
        let transforms = match transforms {
            None => Vec::new(),
            Some(Json::Object(transforms)) => transforms,
            Some(other) => {
                self.wrong(&at.key(TRANSFORM), TRANSFORM, "an object of transforms", &other);
                return None;
            }
        };
        let is_subquery =
            |meta: &Object| matches!(member(meta, "intent"), Some(Json::String(intent)) if intent == SUBQUERY);
        let what = match meta {
            _ if plain => Wanted::Value,
            Some(Json::Object(meta)) if is_subquery(&meta) => {
                let mut stray: Vec<&str> = members.iter().map(|(key, _)| key.as_str()).collect();
                stray.extend(of.is_some().then_some(FIELD));
                for key in stray {
                    let problem = Problem::UselessKey { key: shown(&key), intent: SUBQUERY };
                    self.note(Error::at(at.key(key), problem));
                }
                Wanted::Subquery(Box::new(self.subquery(&at.key(META), meta)?))
            }
            meta => Wanted::Nested(Box::new(self.nested(at, meta, members))),
        };
        Some(Asked { name: name.into(), of, what, transforms })
    }

    fn nested(&mut self, at: &Pointer<'_>, meta: Option<Json>, members: Object) -> Nested {
        let has_meta = meta.is_some();
        let narrowing = match meta {
            None => Narrowing::default(),
            Some(Json::Object(members)) => {
                let at = at.key(META);
                let mut meta = Meta { members, at: &at };
                self.known_keys(&meta, "a nested __meta__", &LIST_KEYS);
                self.narrowing(&mut meta)
            }
            Some(other) => {
                self.wrong(&at.key(META), META, "an object", &other);
                Narrowing::default()
            }
        };
        Nested { narrowing, fields: self.fields(at, members), has_meta }
    }

    fn subquery(&mut self, at: &Pointer<'_>, members: Object) -> Option<Subquery> {
        let mut meta = Meta { members, at };
        self.known_keys(&meta, "the __meta__ of a subquery", &SUBQUERY_KEYS);
        self.class(&meta);
        self.schema(&meta);
        let namespace = self.namespace(&meta);
        let narrowing = self.narrowing(&mut meta);
        let on_field = self.text(&meta, "onField");
        let mapping = self.mapping(&meta);
        let steps = self.steps(&meta);
        Some(Subquery { namespace: namespace?, narrowing, on_field, mapping, steps })
    }

    /// `outerRefMapping`: which field of the subquery's model equals which one of the outer record; up to the first
    /// that is malformed, so that all are at their places.
    fn mapping(&mut self, meta: &Meta<'_>) -> Vec<(String, String)> {
        let at = meta.at.key("outerRefMapping");
        let wanted = "a list of {\"field\": …, \"referenceField\": …}";
        let items = match meta.get("outerRefMapping") {
            None => return Vec::new(),
            Some(Json::List(items)) => items,
            Some(other) => {
                self.wrong(&at, "outerRefMapping", wanted, other);
                return Vec::new();
            }
        };
        let mut mapping = Vec::with_capacity(items.len());
        for (index, item) in items.iter().enumerate() {
            match item {
                Json::Object(members) => match (member(members, "field"), member(members, "referenceField")) {
                    (Some(Json::String(field)), Some(Json::String(reference))) if members.len() == 2 => {
                        if mapping.len() == index {
                            mapping.push((field.clone(), reference.clone()));
                        }
                    }
                    _ => self.wrong(&at.index(index), "outerRefMapping", wanted, item),
                },
                other => self.wrong(&at.index(index), "outerRefMapping", wanted, other),
            }
        }
        mapping
    }

    fn steps(&mut self, meta: &Meta<'_>) -> Vec<WantedStep> {
        let at = meta.at.key("sequencedProcess");
        let items = match meta.get("sequencedProcess") {
            None => return Vec::new(),
            Some(Json::List(items)) => items,
            Some(other) => {
                self.wrong(&at, "sequencedProcess", "a list of functions", other);
                return Vec::new();
            }
        };
        let mut steps = Vec::with_capacity(items.len());
        for (index, item) in items.iter().enumerate() {
            let step = self.step(&at.index(index), item.clone());
            steps.extend(step.filter(|_| steps.len() == index)); // each at its place
        }
        steps
    }

    /// Notes the keys that a `__meta__` further in does not know.
    fn known_keys(&mut self, meta: &Meta<'_>, place: &str, known: &[&str]) {
        for (key, _) in meta.members.iter().filter(|(key, _)| !known.contains(&key.as_str())) {
            if is_full(&self.errors) {
                break;
            }
            let nearest = nearest(key, known.iter().copied());
            let problem = Problem::UnknownKey { place: place.into(), key: shown(key), nearest };
            self.note(Error::at(meta.at.key(key), problem));
        }
    }
}
