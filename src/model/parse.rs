//! Reading `models.json`: every mistake is reported, each with a pointer into the file.

use super::{Catalogue, Clock, Definition, Field, Kind, Model, OnDelete, Reference, VERSION, check};
use crate::access::{Namespace, SYSTEM};
use crate::error::{Error, Errors, MOST_ERRORS, Problem, is_full, nearest, note, shown};
use crate::json::{Json, Object, Pointer, member};
use crate::value::regex::Regex;
use crate::value::{Scalar, Type, decimal};
use std::cmp::Ordering;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

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

pub const MODEL_KEYS: [&str; 7] = ["fields", "id", "versioned", "unique_together", "indexes", "ordering", "search"];

/// Fields of one model. SQLite has no more than 2000 columns in a table.
pub const MOST_FIELDS: usize = 1000;
/// Lists in `unique_together`, and in `indexes`, of one model.
pub const MOST_LISTS: usize = 100;
/// Bytes of a field's name.
const LONGEST_NAME: usize = 60;
/// Names in one path: a request takes far shorter ones.
const LONGEST_PATH: usize = 100;
/// Patterns of all models: each takes memory, up to a MiB, as long as they are in force.
pub const MOST_PATTERNS: usize = 500;

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
            let problem = Problem::UnknownKey { place: place.into(), key: key.clone(), nearest };
            self.note(Error::at(at.key(key), problem));
        }
    }

    fn model(&mut self, name: &str, at: &Pointer<'_>, json: &Json) -> Option<Model> {
        let members = self.object(at, name, json)?;
        let namespace = match name.parse::<Namespace>() {
            Ok(namespace) if namespace.app == SYSTEM => {
                self.refuse(at, name, "is of the app \"system\", which is the server's own");
                return None;
            }
            Ok(namespace) if namespace.app.starts_with("sqlite_") => {
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

    fn field(&mut self, model: &Namespace, name: &str, at: &Pointer<'_>, json: &Json) -> Option<Field> {
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

    /// What can only be told with all models at hand.
    fn check_together(&mut self, models: &[Model]) {
        let mut tables: HashSet<String> = HashSet::new();
        let catalogue = Catalogue::new(0, models.to_vec());
        let loops = ordering_loops(models);
        for model in models {
            if is_full(&self.errors) {
                break;
            }
            let name = model.namespace.to_string();
            let at = Pointer::ROOT.key(&name);
            if !tables.insert(name.to_lowercase()) {
                self.refuse(
                    &at,
                    &name,
                    "differs from another model in case only, and SQLite cannot tell their tables apart",
                );
            }
            self.check_accessors(&at, &catalogue, model);
            self.check_columns(&at, model);
            for (index, term) in model.ordering.iter().enumerate() {
                let path = term.strip_prefix('-').unwrap_or(term);
                if resolve(&catalogue, model, path).is_none() {
                    self.refuse(&at.key("ordering").index(index), path, format!("is no field of {name}"));
                }
            }
            if loops.contains(&model.namespace) {
                self.refuse(
                    &at.key("ordering"),
                    "ordering",
                    "leads back to the model itself; name a field of the reference, such as parent__id",
                );
            }
            for (index, path) in model.search.iter().flatten().enumerate() {
                if !resolve(&catalogue, model, path).is_some_and(Type::is_text) {
                    self.refuse(&at.key("search").index(index), path, format!("is no text field of {name}"));
                }
            }
        }
    }

    /// Names of relations back must be free in the model that they are found from.
    fn check_accessors(&mut self, at: &Pointer<'_>, catalogue: &Catalogue, model: &Model) {
        let mut seen: BTreeMap<&str, &Namespace> = BTreeMap::new();
        for relation in catalogue.relations(model).filter(|relation| !relation.is_own()) {
            let taken = model.column(&relation.name).is_some() || model.field(&relation.name).is_some();
            let other = seen.insert(&relation.name, &relation.target);
            if taken || other.is_some() {
                let by = other.map_or("a field of that name".to_owned(), |other| format!("the accessor from {other}"));
                let why = format!(
                    "would be the accessor from {} back to {}, but clashes with {by}; give one a related_name",
                    model.namespace, relation.target
                );
                self.refuse(at, &relation.name, why);
            }
        }
    }

    fn check_columns(&mut self, at: &Pointer<'_>, model: &Model) {
        for (key, lists) in [("unique_together", &model.unique_together), ("indexes", &model.indexes)] {
            for (index, names) in lists.iter().enumerate() {
                let place = at.key(key);
                let place = place.index(index);
                let mut seen = HashSet::new();
                for name in names {
                    let bare = if key == "indexes" { name.strip_prefix('-').unwrap_or(name) } else { name };
                    if model.fields.iter().all(|field| field.name != bare || field.column().is_none())
                        && (bare != "id" || key == "unique_together")
                    {
                        self.refuse(&place, name, format!("is no stored field of {}", model.namespace));
                    }
                    if !seen.insert(bare) {
                        self.refuse(&place, name, "stands twice in one list");
                    }
                }
                if names.is_empty() {
                    self.refuse(&place, key, "holds an empty list");
                }
            }
        }
    }
}

/// The type of the column that a path leads to, where it leads to one.
fn resolve<'c>(catalogue: &'c Catalogue, mut model: &'c Model, mut path: &str) -> Option<Type> {
    if path.split("__").nth(LONGEST_PATH).is_some() {
        return None;
    }
    while let Some((relation, rest)) = path.split_once("__") {
        model = catalogue.model(&catalogue.relation(model, relation)?.target)?;
        path = rest;
    }
    model.column(path).map(|column| column.kind)
}

/// The models whose orders lead back to a model that is being ordered: a term that names a reference stands for the
/// order of the model it points to. They are those that are left when each is taken away whose order leads to none.
fn ordering_loops(models: &[Model]) -> HashSet<&Namespace> {
    let mut leads_to: HashMap<&Namespace, usize> = HashMap::new();
    let mut led_to_by: HashMap<&Namespace, Vec<&Namespace>> = HashMap::new();
    for model in models {
        let names = model.ordering.iter().map(|term| term.strip_prefix('-').unwrap_or(term));
        let fields = names.filter_map(|name| model.fields.iter().find(|field| field.name == name));
        let others = fields.filter_map(|field| match &field.kind {
            Kind::Ref(reference) => Some(&reference.to),
            _ => None,
        });
        let mut count = 0;
        for other in others {
            count += 1;
            led_to_by.entry(other).or_default().push(&model.namespace);
        }
        leads_to.insert(&model.namespace, count);
    }
    let mut ends: Vec<&Namespace> = leads_to.iter().filter(|(_, count)| **count == 0).map(|(name, _)| *name).collect();
    while let Some(end) = ends.pop() {
        leads_to.remove(end);
        for before in led_to_by.get(end).into_iter().flatten() {
            if let Some(count) = leads_to.get_mut(before) {
                *count -= 1;
                if *count == 0 {
                    ends.push(before);
                }
            }
        }
    }
    leads_to.into_keys().collect()
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
            None => format!("{}_set", model.name.to_lowercase()),
        };
        Some(Reference { to, id, on_delete, related_name })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
