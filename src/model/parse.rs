//! Reading `models.json`: every mistake is reported, each with a pointer into the file. One field is read by [`field`],
//! and [`together`] looks at all models.

mod field;
mod together;

#[cfg(test)]
pub use field::{MOST_PATTERNS, TYPES, option_names};

use super::{Clock, Definition, Field, Model, VERSION};
use crate::access::{Namespace, SYSTEM};
use crate::error::{Error, Errors, MOST_ERRORS, Problem, is_full, nearest, note, shown};
use crate::json::{Json, Object, Pointer, member};
use crate::value::{Scalar, Type};
use field::LONGEST_NAME;
use std::collections::HashMap;
use std::sync::Arc;

pub const MODEL_KEYS: [&str; 7] = ["fields", "id", "versioned", "unique_together", "indexes", "ordering", "search"];

/// Fields of one model. SQLite has no more than 2000 columns in a table.
pub const MOST_FIELDS: usize = 1000;
/// Lists in `unique_together`, and in `indexes`, of one model.
pub const MOST_LISTS: usize = 100;

/// Reads a whole `models.json`, and keeps its text.
///
/// # Errors
/// As [`models`].
pub fn definition(json: &Json) -> Result<Definition, Errors> {
    Ok(Definition { models: models(json)?, text: json.to_string() })
}

/// Reads a whole `models.json`.
///
/// # Errors
/// Everything that is wrong with it.
pub fn models(json: &Json) -> Result<Vec<Model>, Errors> {
    let mut reader = Reader::default();
    for pointer in json.repeated_keys(MOST_ERRORS) {
        let key = pointer.rsplit('/').next().unwrap_or_default().to_owned();
        reader.note(Error::at(pointer, Problem::RepeatedKey { key }));
    }
    let Some(definitions) = reader.object(&Pointer::ROOT, "the file", json) else { return Err(reader.errors) };
    reader.ids =
        definitions.iter().filter_map(|(name, definition)| Some((name.parse().ok()?, id_type(definition)))).collect();
    let mut models: Vec<Model> = Vec::with_capacity(definitions.len());
    for (name, definition) in definitions {
        if is_full(&reader.errors) {
            break;
        }
        models.extend(reader.model(name, &Pointer::ROOT.key(name), definition));
    }
    if reader.errors.is_empty() {
        reader.check_together(&models);
    }
    if reader.errors.is_empty() { Ok(models) } else { Err(reader.errors) }
}

/// The field that tells how often a record was written.
fn version_field() -> Field {
    let one = Some(Scalar::Integer(1));
    let field = Field::plain(VERSION, Type::Integer);
    Field { null: false, default: one.clone(), min: one, clock: Some(Clock::Counting), ..field }
}

/// The type of a model's id, as far as it can be told before the model is read.
fn id_type(definition: &Json) -> Type {
    match definition.get("id").and_then(|id| id.get("type")) {
        Some(Json::String(name)) if name == "uuid" => Type::Uuid,
        _ => Type::Integer,
    }
}

#[derive(Default)]
struct Reader {
    errors: Errors,
    /// The models that there are, with the types of their ids.
    ids: HashMap<Namespace, Type>,
    /// Patterns so far.
    patterns: usize,
}

impl Reader {
    fn note(&mut self, error: Error) {
        note(&mut self.errors, error);
    }

    fn wrong(&mut self, at: &Pointer<'_>, what: &str, wanted: &'static str, given: &Json) {
        self.note(Error::at(at, Problem::WrongForm { what: what.into(), wanted, given: shown(given) }));
    }

    fn refuse(&mut self, at: &Pointer<'_>, name: &str, why: impl Into<String>) {
        let field = if name.len() > LONGEST_NAME { shown(&name) } else { name.to_owned() };
        self.note(Error::at(at, Problem::Refused { field, why: why.into() }));
    }

    fn object<'j>(&mut self, at: &Pointer<'_>, what: &str, json: &'j Json) -> Option<&'j Object> {
        match json {
            Json::Object(members) => Some(members),
            other => {
                self.wrong(at, what, "an object", other);
                None
            }
        }
    }

    fn strings(&mut self, at: &Pointer<'_>, what: &str, json: &Json) -> Vec<String> {
        let Json::List(items) = json else {
            self.wrong(at, what, "a list of names", json);
            return Vec::new();
        };
        if items.len() > MOST_FIELDS {
            self.refuse(at, what, format!("holds more than {MOST_FIELDS} names"));
            return Vec::new();
        }
        let mut names = Vec::new();
        for (index, item) in items.iter().enumerate() {
            match item {
                Json::String(name) => names.push(name.clone()),
                other => self.wrong(&at.index(index), what, "a list of names", other),
            }
        }
        names
    }

    fn lists(&mut self, at: &Pointer<'_>, what: &str, json: &Json) -> Vec<Vec<String>> {
        let Json::List(items) = json else {
            self.wrong(at, what, "a list of lists of names", json);
            return Vec::new();
        };
        if items.len() > MOST_LISTS {
            self.refuse(at, what, format!("holds more than {MOST_LISTS} lists"));
            return Vec::new();
        }
        items.iter().enumerate().map(|(index, item)| self.strings(&at.index(index), what, item)).collect()
    }

    fn unknown_keys(&mut self, at: &Pointer<'_>, place: &str, members: &Object, known: &[&str]) {
        for (key, _) in members.iter().filter(|(key, _)| !known.contains(&key.as_str())) {
            if is_full(&self.errors) {
                break;
            }
            let nearest = nearest(key, known.iter().copied());
            let problem = Problem::UnknownKey { place: place.into(), key: key.to_string(), nearest };
            self.note(Error::at(at.key(key), problem));
        }
    }

    fn model(&mut self, name: &str, at: &Pointer<'_>, json: &Json) -> Option<Model> {
        let members = self.object(at, name, json)?;
        let namespace = match name.parse::<Namespace>() {
            Ok(namespace) if namespace.app() == SYSTEM => {
                self.refuse(at, name, "is of the app \"system\", which is the server's own");
                return None;
            }
            Ok(namespace) if namespace.app().starts_with("sqlite_") => {
                self.refuse(at, name, "begins with sqlite_, which SQLite keeps for itself");
                return None;
            }
            Ok(namespace) => namespace,
            Err(why) => {
                self.refuse(at, name, format!("is not a namespace: {why}"));
                return None;
            }
        };
        self.unknown_keys(at, name, members, &MODEL_KEYS);
        let part = |key: &str| member(members, key);
        if let Some(id) = part("id") {
            let known = id.only("type").is_some_and(|kind| *kind == "uuid".into() || *kind == "integer".into());
            if !known {
                self.wrong(&at.key("id"), "id", "{\"type\": \"uuid\"} or {\"type\": \"integer\"}", id);
            }
        }
        let Some(fields) = part("fields") else {
            self.note(Error::at(at, Problem::MissingKey { place: name.into(), key: "fields" }));
            return None;
        };
        let place = at.key("fields");
        let fields = self.object(&place, "fields", fields)?;
        if fields.len() > MOST_FIELDS {
            self.refuse(&place, "fields", format!("holds more than {MOST_FIELDS} fields"));
            return None;
        }
        let versioned = match part("versioned") {
            None => false,
            Some(Json::Boolean(flag)) => *flag,
            Some(other) => {
                self.wrong(&at.key("versioned"), "versioned", "true or false", other);
                false
            }
        };
        if versioned && fields.iter().any(|(name, _)| name == VERSION) {
            self.refuse(&place.key(VERSION), VERSION, "is a field that \"versioned\": true makes by itself");
        }
        let fields = fields.iter().filter_map(|(name, json)| self.field(&namespace, name, &place.key(name), json));
        let fields = fields.chain(versioned.then(version_field)).map(Arc::new).collect();
        let lists =
            |reader: &mut Reader, key| part(key).map_or(Vec::new(), |json| reader.lists(&at.key(key), key, json));
        Some(Model {
            id: id_type(json),
            intents: None,
            is_groups: false,
            versioned,
            fields,
            unique_together: lists(self, "unique_together"),
            indexes: lists(self, "indexes"),
            ordering: part("ordering").map_or(Vec::new(), |json| self.strings(&at.key("ordering"), "ordering", json)),
            search: part("search").map(|json| self.strings(&at.key("search"), "search", json)),
            namespace,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::collection::vec;
    use proptest::prelude::*;
    use proptest::sample::select;
    use serde_json::Value;

    /// Any JSON, of words that mean something in a file.
    fn anything() -> impl Strategy<Value = Value> {
        let more = ["a.B", "a.C", "b", "c_set", "-b", "b__c", "system.D", "cascade", "set_null", "(", "", "\0", "é"];
        let words: Vec<&str> = MODEL_KEYS.into_iter().chain(option_names()).chain(TYPES).chain(more).collect();
        let leaf = prop_oneof![
            2 => select(words.clone()).prop_map(Value::from),
            1 => select(vec![0_i64, 1, -1, 18, 1 << 40]).prop_map(Value::from),
            1 => any::<bool>().prop_map(Value::from),
            1 => Just(Value::Null),
        ];
        leaf.prop_recursive(4, 24, 5, move |inner| {
            let members = vec((select(words.clone()), inner.clone()), 0..5);
            let object = members.prop_map(|all| all.into_iter().map(|(key, value)| (key.to_owned(), value)).collect());
            prop_oneof![1 => vec(inner, 0..4).prop_map(Value::from), 3 => object]
        })
    }

    proptest! {
        #[test]
        fn any_file_is_read_or_its_mistakes_are_told_with_their_places(
            one in anything(), another in anything(), other in anything()
        ) {
            let file = serde_json::json!({
                "a.B": {"fields": {"b": one, "c": another}, "ordering": ["b"]},
                "a.C": other,
            });
            match definition(&Json::parse(file.to_string().as_bytes()).unwrap()) {
                Ok(read) => prop_assert!(models(&Json::parse(read.text.as_bytes()).unwrap()).is_ok(), "{}", file),
                Err(errors) => {
                    let placed = errors.iter().all(|error| error.pointer.is_some() || is_full(&errors));
                    prop_assert!(placed, "{}", file);
                }
            }
        }
    }

    fn errors(text: &str) -> Vec<String> {
        let json = Json::parse(text.as_bytes()).unwrap();
        let shown = |error: Error| format!("{}: {}", error.pointer.unwrap_or_default(), error.problem);
        models(&json).err().unwrap_or_default().into_iter().map(shown).collect()
    }

    #[test]
    fn all_mistakes_are_reported_with_their_places() {
        let found = errors(
            r#"{ "tickets.Ticket": { "fields": {
                   "title": { "type": "strng" },
                   "Status": { "type": "string" },
                   "cost": { "type": "decimal", "max_digits": 30, "decimal_places": 2 },
                   "done": { "type": "boolean", "max_length": 3, "nul": true },
                   "owner": { "type": "ref", "to": "people.Person" } },
                 "orderng": [] },
               "system.Own": { "fields": {} } }"#,
        );
        assert_eq!(
            found,
            [
                "/tickets.Ticket/orderng: tickets.Ticket has no key \"orderng\"",
                "/tickets.Ticket/fields/title/type: \"title\" has the unknown type \"strng\"; did you mean string?",
                "/tickets.Ticket/fields/Status: \"Status\" is not a field's name: small letters, digits and single underscores, not id or pk, at most 60",
                "/tickets.Ticket/fields/cost/max_digits: \"max_digits\" must be from 1 to 18",
                "/tickets.Ticket/fields/done/nul: done has no key \"nul\"",
                "/tickets.Ticket/fields/done/max_length: \"max_length\" means nothing for the type boolean",
                "/tickets.Ticket/fields/owner/to: \"to\" names no model of this file: \"people.Person\"",
                "/system.Own: \"system.Own\" is of the app \"system\", which is the server's own",
            ]
        );
    }

    #[test]
    fn models_are_checked_against_each_other() {
        let found = errors(
            r#"{ "a.B": { "fields": { "name": { "type": "string" } }, "ordering": ["-nam"], "search": ["c_set__n"] },
                 "a.C": { "fields": { "b": { "type": "ref", "to": "a.B" }, "other": { "type": "ref", "to": "a.B" },
                                      "n": { "type": "integer" } },
                          "unique_together": [["b", "x"]], "indexes": [["-n", "n"]] } }"#,
        );
        assert_eq!(found.len(), 5, "{found:#?}");
        assert!(found[0].contains("c_set") && found[0].contains("give one a related_name"));
    }

    #[test]
    fn the_other_name_of_a_reference_is_taken() {
        let found = errors(
            r#"{ "a.B": { "fields": { "c": { "type": "ref", "to": "a.B" }, "c_id": { "type": "integer" },
                                      "d": { "type": "integer" }, "d_id": { "type": "integer" } } } }"#,
        );
        assert_eq!(found, ["/a.B/fields/c_id: \"c_id\" is the other name of a reference already, as in Django"]);
    }

    #[test]
    fn what_a_file_may_hold_is_bounded() {
        let fields = |count: usize, rule: &str| {
            let fields: Vec<String> = (0..count).map(|number| format!(r#""f{number}": {rule}"#)).collect();
            format!(r#"{{ "a.B": {{ "fields": {{ {} }} }} }}"#, fields.join(","))
        };
        assert_eq!(errors(&fields(MOST_FIELDS, r#"{"type": "text"}"#)), [""; 0]);
        let found = errors(&fields(MOST_FIELDS + 1, r#"{"type": "text"}"#));
        assert_eq!(found, ["/a.B/fields: \"fields\" holds more than 1000 fields"]);
        let found = errors(&fields(MOST_PATTERNS + 1, r#"{"type": "text", "pattern": "a"}"#));
        assert_eq!(found, ["/a.B/fields/f500/pattern: \"pattern\" is one of more than 500 in all models"]);
        assert_eq!(errors(&fields(MOST_FIELDS, "1")).len(), MOST_ERRORS + 1);
    }

    #[test]
    fn orders_are_followed_once_each() {
        let to = |next: usize, name: &str| {
            format!(r#""{name}": {{"type": "ref", "to": "a.B{next}", "related_name": "by_{name}"}}"#)
        };
        let model = |number: usize, next: usize| {
            let (left, right) = (to(next, "l"), to(next, "r"));
            format!(r#""a.B{number}": {{ "fields": {{ {left}, {right} }}, "ordering": ["l", "r"] }}"#)
        };
        let mut models: Vec<String> = (0..60).map(|number| model(number, number + 1)).collect();
        models.push(r#""a.B60": { "fields": {} }"#.into());
        assert_eq!(errors(&format!("{{ {} }}", models.join(","))), [""; 0]);
        models[60] = model(60, 59);
        let found = errors(&format!("{{ {} }}", models.join(",")));
        assert_eq!(found.iter().filter(|error| error.contains("leads back to the model itself")).count(), 61);
    }

    #[test]
    fn defaults_obey_the_rules_of_their_field() {
        let found = errors(r#"{ "a.B": { "fields": { "n": { "type": "integer", "max": 5, "default": 6 } } } }"#);
        assert_eq!(found, ["/a.B/fields/n/default: \"default\" breaks the field's own rule: it must be at most 5"]);
    }
}
