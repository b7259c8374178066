//! Values of records that are not written in the request: what a key names for an order, a group, an answer
//! under another name, or a comparison with another field.

use super::inside::{json_path, keys_and_lookup};
use super::paths::Path;
use super::planner::Planner;
use super::{Comparison, Condition, Of, Operand, Record, Scale, Term, Value};
use crate::error::{Error, Problem, shown};
use crate::json::{Json, Pointer};
use crate::lookup::{JSON_BOOLEAN, JSON_NUMBER, JSON_ORDER, JSON_TEXT, Lookup, PARTS, Part, Reading, Takes};
use crate::model::Model;
use crate::request::fields::FIELD;
use crate::value::{Storage, Type};
use std::sync::Arc;

impl Planner<'_> {
    /// The value that a key names: over relations to a column, then a part of a date or a place inside json,
    /// which is read in the way of `inside`.
    pub fn read(&mut self, model: &Arc<Model>, key: &str, at: &Pointer<'_>, inside: &'static Reading) -> Option<Value> {
        let path = self.path(model, key, at)?;
        let kind = path.column.kind;
        let part = || match path.rest.as_slice() {
            [name] => Part::named(name).filter(|part| part.goes_with(kind)),
            _ => None,
        };
        let of = match path.rest.as_slice() {
            [] => Of::Whole,
            keys if kind == Type::Json => Of::Inside(json_path(keys, None), inside),
            rest => match part() {
                Some(part) => Of::Part(part),
                None => {
                    let parts = PARTS.iter().filter(|part| part.goes_with(kind)).map(|part| part.name);
                    let mut accepted: Vec<&'static str> = parts.collect();
                    if accepted.is_empty() {
                        accepted.push("no lookup here");
                    }
                    let (field, lookup) = (path.column.name.to_string(), shown(&rest.join("__")));
                    self.note(Error::at(at, Problem::NoSuchLookup { field, lookup, accepted }));
                    return None;
                }
            },
        };
        Some(Value { path: path.hops, term: Term { column: path.column, of, scale: Scale::Same } })
    }

    /// As [`Self::read`], of one record at most.
    pub fn read_one(
        &mut self,
        model: &Arc<Model>,
        key: &str,
        at: &Pointer<'_>,
        inside: &'static Reading,
    ) -> Option<Value> {
        let value = self.read(model, key, at, inside)?;
        if value.is_many() {
            let why = "leads to many records, where one value is wanted".to_owned();
            self.note(Error::at(at, Problem::Refused { field: shown(&key), why }));
            return None;
        }
        Some(value)
    }

    /// The name in `{"__field__": name}`.
    pub fn field_name<'j>(&mut self, key: &str, json: &'j Json, at: &Pointer<'_>) -> Option<&'j str> {
        match json.only(FIELD) {
            Some(Json::String(name)) => Some(name),
            _ => {
                self.wrong(at, key, "a value, or {\"__field__\": the name of a field}", json);
                None
            }
        }
    }

    /// A comparison with another field of the record that the whole filter is about.
    pub fn field_comparison(
        &mut self,
        model: &Arc<Model>,
        key: &str,
        path: &Path<'_>,
        json: &Json,
        at: &Pointer<'_>,
    ) -> Option<Condition> {
        let name = self.field_name(key, json, at)?;
        let (left, lookup) = self.left(path, at)?;
        let at = at.key(FIELD);
        if !self.term(&at) {
            return None;
        }
        if !matches!(lookup.takes, Takes::One | Takes::Text) {
            let instead = if lookup.takes == Takes::Pair { "; compare it by gte and lte instead" } else { "" };
            let why = format!("cannot be compared with a field by {}{instead}", lookup.name);
            self.note(Error::at(at, Problem::Refused { field: shown(&key), why }));
            return None;
        }
        let right = self.read_one(model, name, &at, &JSON_ORDER)?;
        let pairs = pairs(&left, &right, lookup);
        if pairs.is_empty() {
            let (ours, theirs) = (left.kind().described(), right.term.kind().described());
            let why = format!("is {ours} and cannot be compared by {} with \"{name}\", which is {theirs}", lookup.name);
            self.note(Error::at(at, Problem::Refused { field: shown(&key), why: shown_whole(why) }));
            return None;
        }
        let compare =
            |(term, other)| Condition::Compare(Comparison { term, lookup, value: Operand::Field(Record::Own, other) });
        let mut all: Vec<Condition> = pairs.into_iter().map(compare).collect();
        Some(if all.len() == 1 { all.remove(0) } else { Condition::Any(all) })
    }

    /// What the names behind a column read of it, and the lookup.
    fn left(&mut self, path: &Path<'_>, at: &Pointer<'_>) -> Option<(Term, &'static Lookup)> {
        let kind = path.column.kind;
        if kind != Type::Json {
            return self.part_and_lookup(path, at);
        }
        let (keys, lookup) = keys_and_lookup(path);
        let of = if keys.is_empty() { Of::Whole } else { Of::Inside(json_path(keys, None), &JSON_ORDER) };
        Some((Term { column: path.column.clone(), of, scale: Scale::Same }, lookup))
    }
}

/// A reason may hold a name that the client chose, so it stays short.
fn shown_whole(why: String) -> String {
    if why.len() > 400 { shown(&why) } else { why }
}

/// Two fields as they are compared: as they are, brought to one scale, or, where what is inside json may be of
/// any kind, once for each kind. None where they cannot be.
pub fn pairs(left: &Term, right: &Value, lookup: &Lookup) -> Vec<(Term, Value)> {
    let inside = |term: &Term| matches!(term.of, Of::Inside(..));
    let read = |term: &Term, reading: &'static Reading| match &term.of {
        Of::Inside(path, _) => Term { of: Of::Inside(path.clone(), reading), ..term.clone() },
        _ => term.clone(),
    };
    let readings: Vec<&'static Reading> = match (inside(left), inside(&right.term)) {
        (true, true) if lookup.takes == Takes::Text => vec![&JSON_TEXT],
        (true, true) => vec![&JSON_NUMBER, &JSON_TEXT, &JSON_BOOLEAN],
        (true, false) => reading_for(right.term.kind()).into_iter().collect(),
        (false, true) => reading_for(left.kind()).into_iter().collect(),
        (false, false) => vec![&JSON_ORDER],
    };
    let pair = |reading: &'static Reading| {
        let (left, other) = (read(left, reading), read(&right.term, reading));
        let goes = lookup.goes_with(left.kind()) && lookup.goes_with(other.kind());
        // A date, a time or a uuid inside json is a text.
        let as_text = inside(&left) != inside(&other) && left.kind().storage() == Storage::Text;
        let scales = if as_text { Some((Scale::Same, Scale::Same)) } else { scales(left.kind(), other.kind()) };
        let (ours, theirs) = scales.filter(|_| goes)?;
        Some((left.scaled(ours), Value { path: right.path.clone(), term: other.scaled(theirs) }))
    };
    readings.into_iter().filter_map(pair).collect()
}

/// How what is inside json is read to compare it with a value of that type.
fn reading_for(kind: Type) -> Option<&'static Reading> {
    match kind {
        Type::Integer | Type::Float | Type::Decimal { .. } | Type::Total { .. } => Some(&JSON_NUMBER),
        Type::Boolean => Some(&JSON_BOOLEAN),
        Type::Json => None,
        _ => Some(&JSON_TEXT),
    }
}

/// What brings values of two types to one scale, where they can be compared at all.
fn scales(left: Type, right: Type) -> Option<(Scale, Scale)> {
    let places = |kind| match kind {
        Type::Integer => Some(0),
        Type::Decimal { places, .. } => Some(places),
        Type::Total { places } => Some(places.unwrap_or(0)),
        _ => None,
    };
    let is_total = |kind| matches!(kind, Type::Total { .. });
    match (places(left), places(right)) {
        (Some(ours), Some(theirs)) if is_total(left) || is_total(right) => {
            Some((Scale::Total(theirs.saturating_sub(ours)), Scale::Total(ours.saturating_sub(theirs))))
        }
        (Some(ours), Some(theirs)) if ours < theirs => Some((Scale::Up(theirs - ours), Scale::Same)),
        (Some(ours), Some(theirs)) if ours > theirs => Some((Scale::Same, Scale::Up(ours - theirs))),
        (Some(_), Some(_)) => Some((Scale::Same, Scale::Same)),
        // A whole number and a float compare exactly as they are.
        (Some(0), None) if right == Type::Float && !is_total(left) => Some((Scale::Same, Scale::Same)),
        (None, Some(0)) if left == Type::Float && !is_total(right) => Some((Scale::Same, Scale::Same)),
        (Some(places), None) if right == Type::Float => Some((Scale::Float(places), Scale::Same)),
        (None, Some(places)) if left == Type::Float => Some((Scale::Same, Scale::Float(places))),
        _ => (left == right || (left.is_text() && right.is_text())).then_some((Scale::Same, Scale::Same)),
    }
}
