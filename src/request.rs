//! Bytes -> [`Request`]: what was asked, by shape alone. Nothing here knows a model; whether a field
//! exists or a value fits is the plan's business.

use crate::access::{Action, Namespace};
use crate::error::{Error, Errors, Problem, nearest, note, shown};
use crate::json::{Json, Object, Pointer, member};

/// What a request wants done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Intent {
    Retrieve,
    RetrieveOne,
    Count,
    Create,
    Update,
    DeleteOne,
}

/// What is known of an intent before any model is.
#[derive(Debug)]
pub struct Rule {
    pub intent: Intent,
    pub name: &'static str,
    /// Another name that is accepted.
    pub alias: Option<&'static str>,
    /// What it does to the model of its namespace.
    pub action: Action,
    beside: Beside,
    /// The keys of `__meta__` it takes, beside those that every intent takes.
    takes: &'static [&'static str],
    /// Those among them that it cannot do without.
    needs: &'static [&'static str],
}

/// What stands beside `__meta__`.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Beside {
    Fields,
    Values,
    Nothing,
}

const NARROWING: [&str; 3] = ["filter", "exclude", "search"];

/// All intents. A new one is a row here, an arm in `plan` and a line in the manual.
pub static INTENTS: [Rule; 6] = [
    Rule {
        intent: Intent::Retrieve,
        name: "retrieve",
        alias: Some("read"),
        action: Action::Read,
        beside: Beside::Fields,
        takes: &["uniqueObject", "filter", "exclude", "search", "ordering", "limit", "offset", "count", "cache"],
        needs: &[],
    },
    Rule {
        intent: Intent::RetrieveOne,
        name: "retrieveOne",
        alias: None,
        action: Action::Read,
        beside: Beside::Fields,
        takes: &["uniqueObject", "filter", "exclude", "search", "cache"],
        needs: &["uniqueObject"],
    },
    Rule {
        intent: Intent::Count,
        name: "count",
        alias: None,
        action: Action::Read,
        beside: Beside::Nothing,
        takes: &["filter", "exclude", "search", "cache"],
        needs: &[],
    },
    Rule {
        intent: Intent::Create,
        name: "create",
        alias: None,
        action: Action::Create,
        beside: Beside::Values,
        takes: &["return"],
        needs: &[],
    },
    Rule {
        intent: Intent::Update,
        name: "update",
        alias: None,
        action: Action::Update,
        beside: Beside::Values,
        takes: &["return", "uniqueObject", "filter", "exclude", "search"],
        needs: &["uniqueObject"],
    },
    Rule {
        intent: Intent::DeleteOne,
        name: "deleteOne",
        alias: Some("delete"),
        action: Action::Delete,
        beside: Beside::Nothing,
        takes: &["uniqueObject", "filter", "exclude", "search"],
        needs: &["uniqueObject"],
    },
];

/// The keys of `__meta__` that every intent takes.
const COMMON: [&str; 5] = ["authenticationClass", "intent", "namespace", "schema", "draw"];

impl Intent {
    pub fn rule(self) -> &'static Rule {
        INTENTS.iter().find(|rule| rule.intent == self).expect("every intent has its row")
    }
}

/// A request, well formed.
#[derive(Clone, Debug, PartialEq)]
pub struct Request {
    pub intent: Intent,
    pub namespace: Namespace,
    pub unique: Option<Object>,
    pub narrowing: Narrowing,
    pub count: Count,
    pub draw: Option<Json>,
    /// The fields to answer: those beside `__meta__` of a reading intent, those of `return` of a writing one.
    pub fields: Option<Vec<Asked>>,
    /// The values beside `__meta__` of a writing intent.
    pub values: Object,
}

/// Which records, in what order, which page of them; of a request or of a nested list.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Narrowing {
    pub filter: Option<Object>,
    pub exclude: Option<Object>,
    pub search: Option<String>,
    pub ordering: Option<Ordering>,
    pub limit: Option<u64>,
    pub offset: Option<u64>,
}

impl Narrowing {
    /// Whether it leaves anything out.
    pub fn narrows(&self) -> bool {
        self.filter.is_some() || self.exclude.is_some() || self.search.is_some()
    }
}

/// The fields to order by, in the form in which they were given.
#[derive(Clone, Debug, PartialEq)]
pub enum Ordering {
    One(String),
    List(Vec<String>),
}

/// Whether, and how far, matching records are counted.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum Count {
    #[default]
    Exact,
    None,
    UpTo(u64),
}

/// One field asked for, under its name.
#[derive(Clone, Debug, PartialEq)]
pub struct Asked {
    pub name: String,
    pub nested: Option<Nested>,
}

/// The fields asked of related records. No fields at all asks for every stored one.
#[derive(Clone, Debug, PartialEq)]
pub struct Nested {
    pub narrowing: Narrowing,
    pub fields: Vec<Asked>,
    /// Whether a `__meta__` stood there at all; a reference takes none.
    pub has_meta: bool,
}

/// Reads a request, and what is wrong with the shape of its parts, so that the plan can add what is wrong
/// with their meaning.
///
/// # Errors
/// Where it cannot even be told what is wanted of which model.
pub fn parse(body: &[u8]) -> Result<(Request, Errors), Errors> {
    let json = Json::parse(body).map_err(|error| Problem::MalformedJson { why: error.to_string() })?;
    let repeated = json.repeated_keys();
    if !repeated.is_empty() {
        let error = |pointer: String| {
            let key = pointer.rsplit('/').next().unwrap_or_default().replace("~1", "/").replace("~0", "~");
            Error::at(pointer, Problem::RepeatedKey { key: shown(&key) })
        };
        return Err(repeated.into_iter().map(error).collect());
    }
    let mut reader = Reader::default();
    match reader.request(json) {
        Some(request) => Ok((request, reader.errors)),
        None => Err(reader.errors),
    }
}

/// Collects what is wrong while it reads. A `None` from one of its methods means that an error was noted.
#[derive(Default)]
struct Reader {
    errors: Errors,
}

const META: &str = "__meta__";

impl Reader {
    fn note(&mut self, error: Error) {
        note(&mut self.errors, error);
    }

    fn wrong(&mut self, at: &Pointer<'_>, what: &str, wanted: &'static str, given: &Json) {
        self.note(Error::at(at, Problem::WrongForm { what: what.into(), wanted, given: shown(given) }));
    }

    fn request(&mut self, json: Json) -> Option<Request> {
        let Json::Object(mut members) = json else {
            self.wrong(&Pointer::ROOT, "the body", "an object", &json);
            return None;
        };
        let Some(place) = members.iter().position(|(name, _)| name == META) else {
            self.note(Error::at("", Problem::MissingKey { place: "the request".into(), key: META }));
            return None;
        };
        let at = Pointer::ROOT.key(META);
        let meta = match members.remove(place).1 {
            Json::Object(members) => Meta { members, at: &at },
            other => {
                self.wrong(&at, META, "an object", &other);
                return None;
            }
        };
        self.class(&meta);
        self.schema(&meta);
        let rule = self.intent(&meta);
        let namespace = self.namespace(&meta);
        let (rule, namespace) = (rule?, namespace?);
        self.keys(&meta, rule);
        self.cache(&meta);

        let mut fields = None;
        let mut values = Vec::new();
        match rule.beside {
            Beside::Fields => fields = Some(self.fields(&Pointer::ROOT, members.iter())),
            Beside::Values => {
                values = members;
                fields = meta.get("return").map(|json| match json {
                    Json::Object(members) => self.fields(&at.key("return"), members.iter()),
                    other => {
                        self.wrong(&at.key("return"), "return", "an object", other);
                        Vec::new()
                    }
                });
            }
            Beside::Nothing => {
                for (key, _) in members {
                    let pointer = Pointer::ROOT.key(&key).to_string();
                    self.note(Error::at(pointer, Problem::UselessKey { key: shown(&key), intent: rule.name }));
                }
            }
        }
        Some(Request {
            intent: rule.intent,
            namespace,
            unique: self.object(&meta, "uniqueObject"),
            narrowing: self.narrowing(&meta),
            count: self.count(&meta),
            draw: self.draw(&meta),
            fields,
            values,
        })
    }

    fn class(&mut self, meta: &Meta<'_>) {
        let given = match meta.get("authenticationClass") {
            None => return,
            Some(Json::String(class)) if class == "apiKey" => return,
            Some(Json::String(class)) => shown(class),
            Some(other) => shown(other),
        };
        self.errors.insert(0, Error::at(meta.at.key("authenticationClass"), Problem::UnknownClass { given }));
    }

    fn schema(&mut self, meta: &Meta<'_>) {
        match meta.get("schema") {
            None => {}
            Some(Json::String(schema)) if schema == "model" => {}
            Some(Json::String(schema)) => {
                self.note(Error::at(meta.at.key("schema"), Problem::NoSuchSchema { given: shown(schema) }));
            }
            Some(other) => self.wrong(&meta.at.key("schema"), "schema", "a string", other),
        }
    }

    fn intent(&mut self, meta: &Meta<'_>) -> Option<&'static Rule> {
        let at = meta.at.key("intent");
        match self.needed(meta, "intent")? {
            Json::String(given) => {
                let found = INTENTS.iter().find(|rule| rule.name == given || rule.alias == Some(given));
                if found.is_none() {
                    let served = INTENTS.iter().map(|rule| rule.name).collect();
                    self.note(Error::at(at, Problem::NoSuchIntent { given: shown(given), served }));
                }
                found
            }
            other => {
                self.wrong(&at, "intent", "a string", other);
                None
            }
        }
    }

    fn namespace(&mut self, meta: &Meta<'_>) -> Option<Namespace> {
        let wanted = "<app>.<Name>, such as tickets.Ticket";
        let given = self.needed(meta, "namespace")?;
        let found = if let Json::String(text) = given { text.parse().ok() } else { None };
        if found.is_none() {
            self.wrong(&meta.at.key("namespace"), "namespace", wanted, given);
        }
        found
    }

    fn needed<'m>(&mut self, meta: &'m Meta<'_>, key: &'static str) -> Option<&'m Json> {
        let found = meta.get(key);
        if found.is_none() {
            self.note(Error::at(meta.at, Problem::MissingKey { place: META.into(), key }));
        }
        found
    }

    /// Every key must be known, and mean something for this intent.
    fn keys(&mut self, meta: &Meta<'_>, rule: &Rule) {
        let all = || INTENTS.iter().flat_map(|rule| rule.takes).chain(&COMMON).copied();
        for (key, _) in &meta.members {
            let name = key.as_str();
            if COMMON.contains(&name) || rule.takes.contains(&name) {
                continue;
            }
            let problem = if all().any(|known| known == name) {
                Problem::UselessKey { key: shown(key), intent: rule.name }
            } else {
                Problem::UnknownKey { place: META.into(), key: shown(key), nearest: nearest(key, all()) }
            };
            self.note(Error::at(meta.at.key(key), problem));
        }
        for key in rule.needs {
            self.needed(meta, key);
        }
    }

    fn object(&mut self, meta: &Meta<'_>, key: &str) -> Option<Object> {
        match meta.get(key)? {
            Json::Object(members) => Some(members.clone()),
            other => {
                self.wrong(&meta.at.key(key), key, "an object", other);
                None
            }
        }
    }

    fn narrowing(&mut self, meta: &Meta<'_>) -> Narrowing {
        Narrowing {
            filter: self.object(meta, "filter"),
            exclude: self.object(meta, "exclude"),
            search: self.search(meta),
            ordering: self.ordering(meta),
            limit: self.whole(meta, "limit"),
            offset: self.whole(meta, "offset"),
        }
    }

    fn search(&mut self, meta: &Meta<'_>) -> Option<String> {
        let json = meta.get("search")?;
        if let Some(Json::String(words)) = json.only("value") {
            return Some(words.clone());
        }
        self.wrong(&meta.at.key("search"), "search", "{\"value\": \"the words\"}", json);
        None
    }

    fn ordering(&mut self, meta: &Meta<'_>) -> Option<Ordering> {
        let at = meta.at.key("ordering");
        match meta.get("ordering")? {
            Json::String(one) => Some(Ordering::One(one.clone())),
            Json::List(items) => {
                let mut names = Vec::with_capacity(items.len());
                for (index, item) in items.iter().enumerate() {
                    match item {
                        Json::String(name) => names.push(name.clone()),
                        other => self.wrong(&at.index(index), "a part of ordering", "the name of a field", other),
                    }
                }
                Some(Ordering::List(names))
            }
            other => {
                self.wrong(&at, "ordering", "a list of fields, or one", other);
                None
            }
        }
    }

    fn whole(&mut self, meta: &Meta<'_>, key: &str) -> Option<u64> {
        match meta.get(key)? {
            Json::Integer(number @ 0..) => u64::try_from(*number).ok(),
            other => {
                self.wrong(&meta.at.key(key), key, "a whole number from 0", other);
                None
            }
        }
    }

    fn count(&mut self, meta: &Meta<'_>) -> Count {
        match meta.get("count") {
            None | Some(Json::Boolean(true)) => Count::Exact,
            Some(Json::Boolean(false)) => Count::None,
            Some(json) => match json.only("upTo") {
                Some(Json::Integer(number @ 1..)) => Count::UpTo(number.unsigned_abs()),
                _ => {
                    self.wrong(&meta.at.key("count"), "count", "true, false or {\"upTo\": n}", json);
                    Count::Exact
                }
            },
        }
    }

    /// `cache` allows an answer from memory; as none is kept, its form is all there is to check.
    fn cache(&mut self, meta: &Meta<'_>) {
        if let Some(cache) = meta.get("cache")
            && !matches!(cache.only("enabled"), Some(Json::Boolean(_)))
        {
            self.wrong(&meta.at.key("cache"), "cache", "{\"enabled\": true} or {\"enabled\": false}", cache);
        }
    }

    /// `draw` is echoed: a number or a short text, as the tables that send it count their requests.
    fn draw(&mut self, meta: &Meta<'_>) -> Option<Json> {
        match meta.get("draw")? {
            Json::Integer(number) => Some(Json::Integer(*number)),
            Json::String(text) if text.len() <= 100 => Some(Json::String(text.clone())),
            other => {
                self.wrong(&meta.at.key("draw"), "draw", "a whole number or a string of at most 100 bytes", other);
                None
            }
        }
    }

    fn fields<'j>(&mut self, at: &Pointer<'_>, members: impl Iterator<Item = &'j (String, Json)>) -> Vec<Asked> {
        let mut asked = Vec::new();
        for (name, json) in members {
            let at = at.key(name);
            match json {
                Json::Null => asked.push(Asked { name: name.clone(), nested: None }),
                Json::Object(members) => {
                    let nested = self.nested(&at, members);
                    asked.push(Asked { name: name.clone(), nested: Some(nested) });
                }
                other => self.wrong(
                    &at,
                    &format!("the field \"{}\"", shown(name)),
                    "null to ask for it, or an object to ask for fields of it",
                    other,
                ),
            }
        }
        asked
    }

    fn nested(&mut self, at: &Pointer<'_>, members: &Object) -> Nested {
        let meta = member(members, META).cloned();
        let has_meta = meta.is_some();
        let narrowing = match meta {
            None => Narrowing::default(),
            Some(Json::Object(members)) => {
                let at = at.key(META);
                let meta = Meta { members, at: &at };
                let known = || NARROWING.into_iter().chain(["ordering", "limit", "offset"]);
                for (key, _) in meta.members.iter().filter(|(key, _)| known().all(|name| name != key)) {
                    let problem = Problem::UnknownKey {
                        place: "a nested __meta__".into(),
                        key: shown(key),
                        nearest: nearest(key, known()),
                    };
                    self.note(Error::at(at.key(key), problem));
                }
                self.narrowing(&meta)
            }
            Some(other) => {
                self.wrong(&at.key(META), META, "an object", &other);
                Narrowing::default()
            }
        };
        Nested { narrowing, fields: self.fields(at, members.iter().filter(|(name, _)| name != META)), has_meta }
    }
}

/// A `__meta__` and its place.
struct Meta<'a> {
    members: Object,
    at: &'a Pointer<'a>,
}

impl Meta<'_> {
    fn get(&self, key: &str) -> Option<&Json> {
        member(&self.members, key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn errors(text: &str) -> Vec<String> {
        let shown = |error: Error| format!("{}: {}", error.pointer.unwrap_or_default(), error.problem);
        parse(text.as_bytes()).map_or_else(|errors| errors, |(_, errors)| errors).into_iter().map(shown).collect()
    }

    #[test]
    fn all_that_is_malformed_is_reported_at_once() {
        let found =
            errors(r#"{"__meta__": {"intent": "retreive", "namespace": "tickets", "schema": "table"}, "id": null}"#);
        assert_eq!(
            found,
            [
                "/__meta__/schema: there is no schema \"table\"",
                "/__meta__/intent: there is no intent \"retreive\"",
                "/__meta__/namespace: namespace must be <app>.<Name>, such as tickets.Ticket, not \"tickets\"",
            ]
        );
        let found = errors(
            r#"{"__meta__": {"intent": "read", "namespace": "a.B", "limit": -1, "offset": 1.5, "filtr": {}, "return": {},
                "ordering": [1], "search": "x", "count": 3, "draw": [], "cache": true}, "id": 1}"#,
        );
        assert_eq!(found.len(), 10, "{found:#?}");
    }

    #[test]
    fn keys_are_refused_where_they_mean_nothing() {
        let found = errors(r#"{"__meta__": {"intent": "create", "namespace": "a.B", "limit": 1}}"#);
        assert_eq!(found, ["/__meta__/limit: \"limit\" means nothing for the intent create"]);
        let found = errors(r#"{"__meta__": {"intent": "update", "namespace": "a.B"}}"#);
        assert_eq!(found, ["/__meta__: __meta__ needs the key \"uniqueObject\""]);
    }

    #[test]
    fn every_intent_has_one_row() {
        for rule in &INTENTS {
            assert!(std::ptr::eq(rule, rule.intent.rule()), "{}", rule.name);
            assert!(rule.needs.iter().all(|key| rule.takes.contains(key)), "{}", rule.name);
        }
    }
}
