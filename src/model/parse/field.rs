//! Reading one field of `models.json`: the table of its options, and each of them.

use super::Reader;
use crate::access::Namespace;
use crate::error::{Error, Problem, nearest, shown};
use crate::json::{Json, Object, Pointer, member};
use crate::model::{Clock, Field, Kind, OnDelete, Reference, check};
use crate::value::regex::Regex;
use crate::value::{Scalar, Type, decimal};
use std::cmp::Ordering;

/// The options of a field, and of which types each makes sense.
const OPTIONS: [(&str, Applies); 19] = [
    ("type", Applies::All),
    ("help", Applies::All),
    ("null", Applies::Columns),
    ("default", Applies::Plain),
    ("unique", Applies::Columns),
    ("index", Applies::Columns),
    ("choices", Applies::Choosable),
    ("min", Applies::Ordered),
    ("max", Applies::Ordered),
    ("min_length", Applies::Text),
    ("max_length", Applies::Text),
    ("pattern", Applies::Text),
    ("max_digits", Applies::Decimal),
    ("decimal_places", Applies::Decimal),
    ("auto_now", Applies::Clocked),
    ("auto_now_add", Applies::Clocked),
    ("to", Applies::Relations),
    ("related_name", Applies::Relations),
    ("on_delete", Applies::References),
];

/// The names of the options, for the test of the manual.
#[cfg(test)]
pub fn option_names() -> [&'static str; OPTIONS.len()] {
    OPTIONS.map(|(name, _)| name)
}

#[derive(Clone, Copy)]
enum Applies {
    All,
    Columns,
    Plain,
    Choosable,
    Ordered,
    Text,
    Decimal,
    Clocked,
    Relations,
    References,
}

impl Applies {
    fn to(self, kind: &str) -> bool {
        let relation = matches!(kind, "ref" | "refs");
        match self {
            Applies::All => true,
            Applies::Columns => kind != "refs",
            Applies::Plain => !relation,
            Applies::Choosable => !relation && kind != "json" && kind != "boolean",
            Applies::Ordered => matches!(kind, "integer" | "float" | "decimal" | "date" | "datetime" | "time"),
            Applies::Text => matches!(kind, "string" | "text"),
            Applies::Decimal => kind == "decimal",
            Applies::Clocked => matches!(kind, "date" | "datetime" | "time"),
            Applies::Relations => relation,
            Applies::References => kind == "ref",
        }
    }
}

pub const TYPES: [&str; 13] = [
    "string", "text", "integer", "float", "decimal", "boolean", "date", "datetime", "time", "uuid", "json", "ref",
    "refs",
];

/// Bytes of a field's name.
pub(super) const LONGEST_NAME: usize = 60;
/// Patterns of all models: each takes memory, up to a MiB, as long as they are in force.
pub const MOST_PATTERNS: usize = 500;

impl Reader {
    pub(super) fn field(&mut self, model: &Namespace, name: &str, at: &Pointer<'_>, json: &Json) -> Option<Field> {
        let members = self.object(at, name, json)?;
        if !is_field_name(name) {
            self.refuse(
                at,
                name,
                "is not a field's name: small letters, digits and single underscores, not id or pk, at most 60",
            );
        }
        if name.len() > LONGEST_NAME {
            return None; // its length would come again with each mistake in it
        }
        let kind_name = match member(members, "type") {
            Some(Json::String(kind)) if TYPES.contains(&kind.as_str()) => kind.as_str(),
            Some(Json::String(kind)) => {
                let nearest = nearest(kind, TYPES).map(|name| format!("; did you mean {name}?")).unwrap_or_default();
                self.refuse(&at.key("type"), name, format!("has the unknown type \"{kind}\"{nearest}"));
                return None;
            }
            Some(other) => {
                self.wrong(&at.key("type"), "type", "the name of a type", other);
                return None;
            }
            None => {
                self.note(Error::at(at, Problem::MissingKey { place: name.into(), key: "type" }));
                return None;
            }
        };
        self.unknown_keys(at, name, members, &OPTIONS.map(|(option, _)| option));
        for (option, _) in OPTIONS.iter().filter(|(_, applies)| !applies.to(kind_name)) {
            if members.iter().any(|(key, _)| key == option) {
                self.refuse(&at.key(option), option, format!("means nothing for the type {kind_name}"));
            }
        }
        let mut options = Options { reader: self, at, name, members };
        let kind = options.kind(model, kind_name)?;
        let clock = match (options.flag("auto_now"), options.flag("auto_now_add")) {
            (true, true) => {
                options.refuse("auto_now", "and auto_now_add exclude each other");
                None
            }
            (true, false) => Some(Clock::OnWrite),
            (false, true) => Some(Clock::OnCreate),
            (false, false) => None,
        };
        let plain = if let Kind::Plain(plain) = kind { Some(plain) } else { None };
        let field = Field {
            name: name.into(),
            null: options.flag("null"),
            unique: options.flag("unique"),
            index: options.flag("index"),
            choices: plain.map_or(Vec::new(), |plain| options.choices(plain)),
            min: plain.and_then(|plain| options.value("min", plain)),
            max: plain.and_then(|plain| options.value("max", plain)),
            min_length: options.count("min_length"),
            max_length: options.count("max_length"),
            pattern: options.pattern(),
            default: plain.and_then(|plain| options.value("default", plain)),
            clock,
            form: None,
            help: options.text("help"),
            kind,
        };
        let crossed = |least: &Option<Scalar>, most: &Option<Scalar>| match (least, most) {
            (Some(least), Some(most)) => check::order(least, most) == Ordering::Greater,
            _ => false,
        };
        if crossed(&field.min, &field.max) {
            options.refuse("min", "is more than max");
        }
        if field.min_length.zip(field.max_length).is_some_and(|(least, most)| least > most) {
            options.refuse("min_length", "is more than max_length");
        }
        if field.default == Some(Scalar::Null) && !field.null {
            options.refuse("default", "is null, but the field is not \"null\": true");
        }
        if let (Some(default), Some(plain)) = (&field.default, plain)
            && let Err(why) = check::value(&field, plain, default)
        {
            options.refuse("default", &format!("breaks the field's own rule: it {why}"));
        }
        Some(field)
    }
}

fn is_field_name(name: &str) -> bool {
    name.len() <= LONGEST_NAME
        && name.starts_with(|c: char| c.is_ascii_lowercase())
        && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
        && !name.contains("__")
        && !name.ends_with('_')
        && name != "id"
        && name != "pk"
}

/// The options of one field while they are read.
struct Options<'r, 'p> {
    reader: &'r mut Reader,
    at: &'r Pointer<'p>,
    name: &'r str,
    members: &'r Object,
}

impl Options<'_, '_> {
    fn get(&self, option: &str) -> Option<&Json> {
        member(self.members, option)
    }

    fn refuse(&mut self, option: &str, why: &str) {
        self.reader.refuse(&self.at.key(option), option, why);
    }

    fn wrong(&mut self, option: &str, wanted: &'static str) {
        let given = self.get(option).cloned().unwrap_or(Json::Null);
        self.reader.wrong(&self.at.key(option), option, wanted, &given);
    }

    fn flag(&mut self, option: &str) -> bool {
        match self.get(option) {
            None => false,
            Some(Json::Boolean(value)) => *value,
            Some(_) => {
                self.wrong(option, "true or false");
                false
            }
        }
    }

    fn count(&mut self, option: &str) -> Option<u64> {
        match self.get(option)? {
            Json::Integer(number @ 0..=1_000_000_000) => u64::try_from(*number).ok(),
            _ => {
                self.wrong(option, "a whole number from 0 to 1000000000");
                None
            }
        }
    }

    fn text(&mut self, option: &str) -> Option<String> {
        match self.get(option)? {
            Json::String(text) => Some(text.clone()),
            _ => {
                self.wrong(option, "a string");
                None
            }
        }
    }

    fn value(&mut self, option: &str, kind: Type) -> Option<Scalar> {
        let given = self.get(option)?;
        match kind.coerce(given) {
            Ok(value) => Some(value),
            Err(why) => {
                let problem =
                    Problem::BadValue { field: option.into(), kind: kind.described(), value: shown(given), why };
                self.reader.note(Error::at(self.at.key(option), problem));
                None
            }
        }
    }

    fn choices(&mut self, kind: Type) -> Vec<Scalar> {
        let Some(Json::List(items)) = self.get("choices").cloned() else {
            if self.get("choices").is_some() {
                self.wrong("choices", "a list of values");
            }
            return Vec::new();
        };
        if items.is_empty() {
            self.refuse("choices", "is empty, so that no value is allowed");
        }
        let mut values = Vec::new();
        for (index, item) in items.iter().enumerate() {
            match kind.coerce(item) {
                Ok(value) if value != Scalar::Null => values.push(value),
                outcome => {
                    let why = outcome.err().unwrap_or_default();
                    let problem =
                        Problem::BadValue { field: "choices".into(), kind: kind.described(), value: shown(item), why };
                    self.reader.note(Error::at(self.at.key("choices").index(index), problem));
                }
            }
        }
        values
    }

    fn pattern(&mut self) -> Option<Regex> {
        let text = self.text("pattern")?;
        self.reader.patterns += 1;
        if self.reader.patterns > MOST_PATTERNS {
            self.refuse("pattern", &format!("is one of more than {MOST_PATTERNS} in all models"));
            return None;
        }
        match Regex::new(&text, false) {
            Ok(regex) => Some(regex),
            Err(why) => {
                self.refuse("pattern", &why);
                None
            }
        }
    }

    fn kind(&mut self, model: &Namespace, name: &str) -> Option<Kind> {
        Some(Kind::Plain(match name {
            "string" => Type::String,
            "text" => Type::Text,
            "integer" => Type::Integer,
            "float" => Type::Float,
            "decimal" => self.decimal()?,
            "boolean" => Type::Boolean,
            "date" => Type::Date,
            "datetime" => Type::Datetime,
            "time" => Type::Time,
            "uuid" => Type::Uuid,
            "json" => Type::Json,
            "ref" => return self.reference(model).map(Kind::Ref),
            _ => return self.reference(model).map(Kind::Refs),
        }))
    }

    fn decimal(&mut self) -> Option<Type> {
        let missing = ["max_digits", "decimal_places"].into_iter().find(|option| self.get(option).is_none());
        if let Some(key) = missing {
            let problem = Problem::MissingKey { place: self.name.into(), key };
            self.reader.note(Error::at(self.at, problem));
            return None;
        }
        let (digits, places) = (self.count("max_digits")?, self.count("decimal_places")?);
        if digits == 0 || digits > u64::from(decimal::MOST_DIGITS) {
            self.refuse("max_digits", &format!("must be from 1 to {}", decimal::MOST_DIGITS));
            return None;
        }
        if places > digits {
            self.refuse("decimal_places", "must not be more than max_digits");
            return None;
        }
        Some(Type::Decimal { digits: u32::try_from(digits).ok()?, places: u32::try_from(places).ok()? })
    }

    fn reference(&mut self, model: &Namespace) -> Option<Reference> {
        let Some(to) = self.get("to") else {
            self.reader.note(Error::at(self.at, Problem::MissingKey { place: self.name.into(), key: "to" }));
            return None;
        };
        let target = match to {
            Json::String(text) => text.parse::<Namespace>().ok(),
            _ => None,
        };
        let Some((to, id)) = target.and_then(|to| self.reader.ids.get(&to).map(|id| (to.clone(), *id))) else {
            let named = shown(to);
            self.refuse("to", &format!("names no model of this file: {named}"));
            return None;
        };
        let named = self.text("on_delete").map(|name| OnDelete::ALL.iter().find(|(known, _)| *known == name));
        if named == Some(None) {
            self.wrong("on_delete", "\"restrict\", \"cascade\" or \"set_null\"");
        }
        let on_delete = named.flatten().map_or(OnDelete::Restrict, |(_, rule)| *rule);
        if on_delete == OnDelete::SetNull && !matches!(self.get("null"), Some(Json::Boolean(true))) {
            self.refuse("on_delete", "is set_null, but the field is not \"null\": true");
        }
        let related_name = match self.text("related_name") {
            Some(name) if is_field_name(&name) => name,
            Some(_) => {
                self.wrong("related_name", "a name such as a field's");
                return None;
            }
            None => format!("{}_set", model.name().to_lowercase()),
        };
        Some(Reference { to, id, on_delete, related_name })
    }
}
