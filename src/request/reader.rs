//! Reading a request: everything that is wrong with its shape is noted on the way.

use super::{
    Ask, BATCH_KEYS, Batch, Count, Grouping, META, MOST_OBJECTS, MOST_REQUESTS, Narrowing, Ordering, Request,
    WantedStep, WantedTotal,
};
use crate::access::Namespace;
use crate::error::{Error, Errors, MOST_ERRORS, Problem, is_full, nearest, note, shown};
use crate::intent::{self, BATCH, Beside, COMMON, INTENTS, Intent, Rule, Schema};
use crate::json::{Json, Object, Pointer, member};

/// Reads a body, and what is wrong with the shape of its parts, so that the plan can add what is wrong
/// with their meaning.
///
/// # Errors
/// Where it cannot even be told what is wanted of which model.
pub fn parse(body: &[u8]) -> Result<(Ask, Errors), Errors> {
    let json = Json::parse(body).map_err(|error| Problem::MalformedJson { why: error.to_string() })?;
    let repeated = json.repeated_keys(MOST_ERRORS);
    if !repeated.is_empty() {
        let error = |pointer: String| {
            let key = pointer.rsplit('/').next().unwrap_or_default().replace("~1", "/").replace("~0", "~");
            Error::at(pointer, Problem::RepeatedKey { key: shown(&key) })
        };
        return Err(repeated.into_iter().map(error).collect());
    }
    read(json)
}

/// As [`parse`], of JSON that was read already.
pub fn read(json: Json) -> Result<(Ask, Errors), Errors> {
    let mut reader = Reader::default();
    match reader.ask(json) {
        Some(ask) => Ok((ask, reader.errors)),
        None => Err(reader.errors),
    }
}

/// Collects what is wrong while it reads. A `None` from one of its methods means that an error was noted.
#[derive(Default)]
pub struct Reader {
    pub errors: Errors,
}

impl Reader {
    pub fn note(&mut self, error: Error) {
        note(&mut self.errors, error);
    }

    pub fn wrong(&mut self, at: &Pointer<'_>, what: &str, wanted: &'static str, given: &Json) {
        self.note(Error::at(at, Problem::WrongForm { what: what.into(), wanted, given: shown(given) }));
    }

    fn ask(&mut self, json: Json) -> Option<Ask> {
        let Json::Object(mut members) = json else {
            self.wrong(&Pointer::ROOT, "the body", "an object", &json);
            return None;
        };
        let Some(place) = members.iter().position(|(name, _)| name == META) else {
            self.note(Error::at("", Problem::MissingKey { place: "the request".into(), key: META }));
            return None;
        };
        let at = Pointer::ROOT.key(META);
        let mut meta = match members.remove(place).1 {
            Json::Object(members) => Meta { members, at: &at },
            other => {
                self.wrong(&at, META, "an object", &other);
                return None;
            }
        };
        self.class(&meta);
        let schema = self.schema(&meta);
        let rule = self.intent(&meta, schema);
        let namespace = self.namespace(&meta);
        let (rule, namespace) = (rule?, namespace?);
        if rule.of.is_some_and(|of| of != namespace.as_str()) {
            let problem = Problem::NoSuchController { namespace: namespace.to_string(), intent: rule.name };
            self.note(Error::at(at.key("namespace"), problem));
            return None;
        }
        self.keys(&meta, rule);
        match rule.intent {
            Intent::Execute => self.batch(&meta, members).map(Ask::Batch),
            intent if intent.is_of_fixture() => Some(Ask::Fixture(self.fixture(&meta, rule, members))),
            _ => Some(Ask::Model(self.request(&mut meta, rule, namespace, members))),
        }
    }

    fn request(&mut self, meta: &mut Meta<'_>, rule: &'static Rule, namespace: Namespace, beside: Object) -> Request {
        let cached = self.cache(meta);
        let mut fields = None;
        let mut records = Vec::new();
        let mut grouping = Grouping::default();
        let mut arguments = Vec::new();
        match rule.beside {
            Beside::Fields => fields = Some(self.fields(&Pointer::ROOT, beside)),
            Beside::Totals => grouping = self.grouping(meta, beside),
            Beside::Values => records.push((0, beside)),
            Beside::Arguments => arguments = beside,
            Beside::Nothing => {
                for (key, _) in beside {
                    let pointer = Pointer::ROOT.key(&key).to_string();
                    self.note(Error::at(pointer, Problem::UselessKey { key: shown(&key), intent: rule.name }));
                }
            }
        }
        if rule.intent == Intent::CreateMany {
            records = self.objects(meta);
        }
        if rule.takes.contains(&"return") {
            fields = self.object(meta, "return").map(|members| self.fields(&meta.at.key("return"), members));
        }
        let (narrowing, after) = (self.narrowing(meta), self.text(meta, "after"));
        if after.is_some() && narrowing.offset.is_some() {
            let why = "and \"after\" both say where the page begins; send one of them".into();
            self.note(Error::at(meta.at.key("offset"), Problem::Refused { field: "offset".into(), why }));
        }
        Request {
            intent: rule.intent,
            namespace,
            unique: self.object(meta, "uniqueObject"),
            narrowing,
            count: self.count(meta),
            after,
            cached,
            draw: self.draw(meta),
            dry_run: self.flag(meta, "dryRun"),
            most_affected: self.whole(meta, "maxAffected"),
            fields,
            records,
            grouping,
            arguments,
        }
    }

    /// The arguments of a batch.
    fn batch(&mut self, meta: &Meta<'_>, arguments: Object) -> Option<Batch> {
        let (mut requests, mut atomic) = (None, true);
        for (key, json) in arguments {
            let at = Pointer::ROOT.key(&key);
            match (key.as_str(), json) {
                ("requests", Json::List(items)) => {
                    if items.len() > MOST_REQUESTS {
                        let problem = Problem::TooMany { what: "requests in a batch", limit: MOST_REQUESTS as u64 };
                        self.note(Error::at(at, problem));
                    }
                    requests = Some(items);
                }
                ("requests", other) => {
                    self.wrong(&at, "requests", "a list of requests", &other);
                    requests = Some(Vec::new());
                }
                ("atomic", Json::Boolean(flag)) => atomic = flag,
                ("atomic", other) => self.wrong(&at, "atomic", "true or false", &other),
                _ => {
                    let nearest = nearest(&key, BATCH_KEYS);
                    let problem = Problem::UnknownKey { place: BATCH.into(), key: shown(&key), nearest };
                    self.note(Error::at(at, problem));
                }
            }
        }
        if requests.is_none() {
            self.note(Error::at("", Problem::MissingKey { place: BATCH.into(), key: "requests" }));
        }
        let requests = requests.unwrap_or_default();
        Some(Batch { requests, atomic, dry_run: self.flag(meta, "dryRun"), draw: self.draw(meta) })
    }

    /// The records of a `createMany`.
    fn objects(&mut self, meta: &mut Meta<'_>) -> Vec<(usize, Object)> {
        let at = meta.at.key("objects");
        let items = match meta.take("objects") {
            Some(Json::List(items)) => items,
            Some(other) => {
                self.wrong(&at, "objects", "a list of records", &other);
                return Vec::new();
            }
            None => return Vec::new(), // noted as missing
        };
        if items.len() > MOST_OBJECTS {
            let problem = Problem::TooMany { what: "records to create (objects)", limit: MOST_OBJECTS as u64 };
            self.note(Error::at(at, problem));
            return Vec::new();
        }
        let mut records = Vec::with_capacity(items.len());
        for (index, item) in items.into_iter().enumerate() {
            match item {
                Json::Object(members) => records.push((index, members)),
                other => self.wrong(&at.index(index), "a record", "an object", &other),
            }
        }
        records
    }

    fn grouping(&mut self, meta: &mut Meta<'_>, beside: Object) -> Grouping {
        let at = meta.at.key("groupBy");
        let by = match meta.get("groupBy") {
            None => Vec::new(),
            Some(Json::String(one)) => vec![one.clone()],
            Some(Json::List(items)) => self.names(&at, items, "a part of groupBy"),
            Some(other) => {
                self.wrong(&at, "groupBy", "a list of fields, or one", other);
                Vec::new()
            }
        };
        let mut totals = Vec::with_capacity(beside.len());
        for (name, json) in beside {
            let at = Pointer::ROOT.key(&name);
            let Json::Object(members) = json else {
                self.wrong(&at, &format!("the total \"{}\"", shown(&name)), "an object with a function", &json);
                continue;
            };
            let mut inner = Meta { members, at: &at };
            let (filter, ordering) = (self.object(&mut inner, "filter"), self.ordering(&inner));
            let options = inner.members.into_iter().filter(|(key, _)| key != "filter" && key != "ordering").collect();
            if let Some(step) = self.step(&at, Json::Object(options)) {
                totals.push(WantedTotal { name: name.to_string(), step, filter, ordering });
            }
        }
        let by_one = matches!(meta.get("groupBy"), Some(Json::String(_)));
        Grouping { by, by_one, totals, having: self.object(meta, "having") }
    }

    /// A function, and what stands beside it.
    pub fn step(&mut self, at: &Pointer<'_>, json: Json) -> Option<WantedStep> {
        let Json::Object(mut options) = json else {
            self.wrong(at, "a step", "an object with a function", &json);
            return None;
        };
        let Some(place) = options.iter().position(|(key, _)| key == "function") else {
            self.note(Error::at(at, Problem::MissingKey { place: "a total".into(), key: "function" }));
            return None;
        };
        match options.remove(place).1 {
            Json::String(function) => Some(WantedStep { function, options }),
            other => {
                self.wrong(&at.key("function"), "function", "the name of a function", &other);
                None
            }
        }
    }

    /// The names in a list, up to the first that is none: behind it they would not be at their places, to which
    /// mistakes point.
    fn names(&mut self, at: &Pointer<'_>, items: &[Json], what: &str) -> Vec<String> {
        let mut names = Vec::with_capacity(items.len());
        for (index, item) in items.iter().enumerate() {
            match item {
                Json::String(name) if names.len() == index => names.push(name.clone()),
                Json::String(_) => {}
                other => self.wrong(&at.index(index), what, "the name of a field", other),
            }
        }
        names
    }

    pub fn class(&mut self, meta: &Meta<'_>) {
        let given = match meta.get("authenticationClass") {
            None => return,
            Some(Json::String(class)) if class == "apiKey" => return,
            Some(Json::String(class)) => shown(class),
            Some(other) => shown(other),
        };
        self.errors.insert(0, Error::at(meta.at.key("authenticationClass"), Problem::UnknownClass { given }));
    }

    pub fn schema(&mut self, meta: &Meta<'_>) -> Schema {
        let found = match meta.get("schema") {
            None => return Schema::Model,
            Some(Json::String(name)) => Schema::ALL.into_iter().find(|schema| schema.name() == name),
            Some(other) => {
                self.wrong(&meta.at.key("schema"), "schema", "a string", other);
                return Schema::Model;
            }
        };
        if found.is_none() {
            let given = meta.get("schema").map(shown).unwrap_or_default().trim_matches('"').to_owned();
            self.note(Error::at(meta.at.key("schema"), Problem::NoSuchSchema { given }));
        }
        found.unwrap_or(Schema::Model)
    }

    fn intent(&mut self, meta: &Meta<'_>, schema: Schema) -> Option<&'static Rule> {
        let at = meta.at.key("intent");
        match self.needed(meta, "intent")? {
            Json::String(given) => {
                let found = Intent::named(given, schema);
                if found.is_none() {
                    let elsewhere = Schema::ALL.into_iter().find(|other| Intent::named(given, *other).is_some());
                    let problem = match elsewhere {
                        Some(other) => {
                            let why = format!("is an intent of \"schema\": \"{}\"", other.name());
                            Problem::Refused { field: shown(given), why }
                        }
                        None => {
                            let served = intent::of(schema).map(|rule| rule.name).collect();
                            Problem::NoSuchIntent { given: shown(given), served }
                        }
                    };
                    self.note(Error::at(at, problem));
                }
                found
            }
            other => {
                self.wrong(&at, "intent", "a string", other);
                None
            }
        }
    }

    pub fn namespace(&mut self, meta: &Meta<'_>) -> Option<Namespace> {
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
            if is_full(&self.errors) {
                break;
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

    pub fn object(&mut self, meta: &mut Meta<'_>, key: &str) -> Option<Object> {
        match meta.take(key)? {
            Json::Object(members) => Some(members),
            other => {
                self.wrong(&meta.at.key(key), key, "an object", &other);
                None
            }
        }
    }

    pub fn narrowing(&mut self, meta: &mut Meta<'_>) -> Narrowing {
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
            Json::List(items) => Some(Ordering::List(self.names(&at, items, "a part of ordering"))),
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

    /// Whether the answer may come from memory.
    fn cache(&mut self, meta: &Meta<'_>) -> bool {
        let Some(cache) = meta.get("cache") else { return false };
        match cache.only("enabled") {
            Some(Json::Boolean(enabled)) => *enabled,
            _ => {
                self.wrong(&meta.at.key("cache"), "cache", "{\"enabled\": true} or {\"enabled\": false}", cache);
                false
            }
        }
    }

    fn flag(&mut self, meta: &Meta<'_>, key: &str) -> bool {
        match meta.get(key) {
            None => false,
            Some(Json::Boolean(flag)) => *flag,
            Some(other) => {
                self.wrong(&meta.at.key(key), key, "true or false", other);
                false
            }
        }
    }

    pub fn text(&mut self, meta: &Meta<'_>, key: &str) -> Option<String> {
        match meta.get(key)? {
            Json::String(text) => Some(text.clone()),
            other => {
                self.wrong(&meta.at.key(key), key, "a string", other);
                None
            }
        }
    }

    /// `draw` is echoed: a number or a short text, as the tables that send it count their requests.
    pub fn draw(&mut self, meta: &Meta<'_>) -> Option<Json> {
        match meta.get("draw")? {
            Json::Integer(number) => Some(Json::Integer(*number)),
            Json::String(text) if text.chars().count() <= 100 => Some(Json::String(text.clone())),
            other => {
                self.wrong(&meta.at.key("draw"), "draw", "a whole number or a string of at most 100 characters", other);
                None
            }
        }
    }
}

/// A `__meta__` and its place.
pub struct Meta<'a> {
    pub members: Object,
    pub at: &'a Pointer<'a>,
}

impl Meta<'_> {
    pub fn get(&self, key: &str) -> Option<&Json> {
        member(&self.members, key)
    }

    /// The value of a key, which is gone from here then: what may be long is not copied.
    fn take(&mut self, key: &str) -> Option<Json> {
        let place = self.members.iter().position(|(name, _)| name == key)?;
        Some(self.members.remove(place).1)
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
}
