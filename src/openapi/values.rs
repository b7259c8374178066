//! The values that a write takes, each by the type and the rules of its field.

use super::language::{of_type, or_null};
use super::maker::Maker;
use super::{number, object, put, schema};
use crate::access::Action;
use crate::json::{Json, Object};
use crate::model::{Field, Kind, Model, Reference};
use crate::plan::MOST_VALUES;
use crate::value::{Scalar, Type};
use smol_str::SmolStr;
use std::sync::Arc;

impl Maker<'_> {
    /// The values that a write takes.
    pub fn values(&self, model: &Model, creating: bool) -> Object {
        let id = (creating && model.id == Type::Uuid).then(|| ("id".into(), of_type(model.id)));
        let fields = writable(model).map(|field| (SmolStr::from(&field.name), schema(&field_name(model, field))));
        id.into_iter().chain(fields).collect()
    }

    /// A value of a field, by its type and its rules.
    pub fn field(&self, model: &Model, field: &Field) -> Json {
        let (kind, leads_to) = field.kind.of_value();
        let mut value = of_type(kind);
        let mut told: Vec<String> = field.help.iter().cloned().collect();
        told.extend(leads_to.and_then(|reference| self.told_of(field, reference)));
        rules(field, kind, &mut value, &mut told);
        if matches!(field.kind, Kind::Refs(_)) {
            let most = number(MOST_VALUES);
            value = object(vec![("type", "array".into()), ("items", value), ("maxItems", most)]);
        } else if field.null {
            value = or_null(value);
        }
        // What a record holds where nobody says otherwise is part of what is read.
        if let Some(default) = field.default.as_ref().filter(|_| self.reads(model)) {
            put(&mut value, &["default"], written(kind, default));
        }
        if !told.is_empty() {
            put(&mut value, &["description"], told.join(" ").as_str().into());
        }
        value
    }

    fn told_of(&self, field: &Field, reference: &Reference) -> Option<String> {
        let many = matches!(field.kind, Kind::Refs(_));
        let what = if many { "Ids of" } else { "The id of a" };
        self.may(&reference.to, Action::Read).then(|| format!("{what} {}.", reference.to))
    }
}

/// The fields that a client may write.
pub fn writable(model: &Model) -> impl Iterator<Item = &Arc<Field>> {
    model.fields.iter().filter(|field| field.clock.is_none())
}

/// Those that a new record cannot do without.
pub fn required(model: &Model) -> Vec<&str> {
    writable(model).filter(|field| !field.is_optional()).map(|field| field.name.as_str()).collect()
}

/// The name of the schema of a field's value.
pub fn field_name(model: &Model, field: &Field) -> String {
    format!("{}.field.{}", model.namespace, field.name)
}

/// Adds a field's own rules to the schema of its value, and to what is told of it where there is no keyword for one.
fn rules(field: &Field, kind: Type, value: &mut Json, told: &mut Vec<String>) {
    let counts = matches!(kind, Type::Integer | Type::Float);
    for (bound, keyword, words) in [(&field.min, "minimum", "At least"), (&field.max, "maximum", "At most")] {
        match bound {
            Some(bound) if counts => put(value, &[keyword], written(kind, bound)),
            Some(bound) => told.push(format!("{words} {}.", written(kind, bound))),
            None => {}
        }
    }
    for (length, keyword) in [(field.min_length, "minLength"), (field.max_length, "maxLength")] {
        if let Some(length) = length {
            put(value, &[keyword], number(length));
        }
    }
    if !field.choices.is_empty() {
        put(value, &["enum"], Json::List(field.choices.iter().map(|choice| written(kind, choice)).collect()));
    }
    match &field.pattern {
        Some(pattern) if is_portable(pattern.as_str()) => put(value, &["pattern"], pattern.as_str().into()),
        Some(pattern) => told.push(format!("It matches {}", pattern.as_str())),
        None => {}
    }
}

/// A stored value as JSON.
pub fn written(kind: Type, value: &Scalar) -> Json {
    let mut out = Vec::new();
    kind.write(value, &mut out);
    Json::parse(&out).unwrap_or(Json::Null) // what a type writes is JSON
}

/// Whether a regular expression means the same to all who read JSON Schema, and not only to the `regex` crate: it has
/// no flags, no names, no classes of Unicode, as `\d` and `\w` are here, and no classes within classes.
fn is_portable(pattern: &str) -> bool {
    let named = pattern.replace("(?:", "").contains("(?");
    let foreign = ["&&", "--", "~~", "[]", "[^]"].iter().any(|foreign| pattern.contains(foreign));
    let mut characters = pattern.chars();
    let mut in_class = false;
    while let Some(character) = characters.next() {
        match character {
            '\\' => match characters.next() {
                Some('-') if in_class => {}
                Some(escaped) if r"trnfv.*+?()[]{}|^$\/".contains(escaped) => {}
                _ => return false,
            },
            '[' if in_class => return false,
            '[' => in_class = true,
            ']' if !in_class => return false,
            ']' => in_class = false,
            _ => {}
        }
    }
    !named && !foreign
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_is_portable_where_all_read_it_alike() {
        for pattern in ["^[^@ ]+@[^@ ]+$", r"^[0-9]{3}-[a-z]+(?:x|y)$", r"a\.b", r"[a\-z\[\]]\]", "[a][b]"] {
            assert!(is_portable(pattern), "{pattern}");
        }
        for pattern in ["(?i)a", r"\p{L}", r"\Aa\z", "(?<name>a)", "[[:alpha:]]", r"[a-z&&[^b]]", r"\x{41}"] {
            assert!(!is_portable(pattern), "{pattern}");
        }
        for pattern in ["[a[bc]]", "[^a[^b]]", r"\[[a[b]]", r"^\d+$", r"\D", r"[\w-]", r"\W", r"\s", r"[^\S]", "a]"] {
            assert!(!is_portable(pattern), "{pattern}");
        }
    }
}
