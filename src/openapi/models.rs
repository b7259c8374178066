//! What each model takes and gives, as far as a key may do something with it.
//!
//! A model that may be read shows its fields, its filters and the ways to others that may be read. One that may only be
//! written shows what a write names, and of the records that it refers to their ids.

use super::language::{of_type, operand, or_null};
use super::{any_of, anything, closed, list, number, object, open, plain, put, schema};
use crate::access::{Action, Namespace};
use crate::auth::Authenticated;
use crate::intent::{BATCH, Beside, COMMON, INTENTS, Intent, Rule, Schema};
use crate::json::{Json, Object};
use crate::lookup::{LOOKUPS, PARTS};
use crate::model::{Catalogue, Column, Field, Kind, Model, Reference, Relation, VERSION};
use crate::plan::{Limits, MOST_VALUES, keys::ROTATE_KEYS, models::MODELS_KEYS, totals};
use crate::request::fields::{FIELD, LIST_KEYS, SUBQUERY_KEYS, TRANSFORM};
use crate::request::{BATCH_KEYS, MOST_OBJECTS, MOST_REQUESTS};
use crate::value::{Scalar, Type};
use std::sync::Arc;

/// The schemas of all models that the caller may do something with, and of all requests that it may send.
pub fn schemas(catalogue: &Catalogue, caller: &Authenticated, limits: Limits) -> Object {
    let mut maker = Maker { catalogue, caller, limits, schemas: Vec::new(), requests: Vec::new() };
    maker.other();
    for model in catalogue.all() {
        maker.model(model);
    }
    maker.batch();
    let requests = maker.requests.iter().map(|name| schema(name)).collect();
    maker.schemas.push(("Request".into(), any_of(requests)));
    maker.schemas
}

struct Maker<'a> {
    catalogue: &'a Catalogue,
    caller: &'a Authenticated,
    limits: Limits,
    schemas: Object,
    /// The schemas that are requests.
    requests: Vec<String>,
}

/// The name of a schema that is a part of a model.
fn part(model: &Model, what: &str) -> String {
    format!("{}.{what}", model.namespace)
}

impl Maker<'_> {
    fn may(&self, namespace: &Namespace, action: Action) -> bool {
        self.caller.may(namespace, action)
    }

    fn reads(&self, model: &Model) -> bool {
        self.may(&model.namespace, Action::Read)
    }

    fn add(&mut self, name: String, schema: Json) {
        self.schemas.push((name, schema));
    }

    fn model(&mut self, model: &Model) {
        let rules: Vec<&Rule> = INTENTS.iter().filter(|rule| self.is_shown(model, rule)).collect();
        if rules.is_empty() {
            return;
        }
        if self.reads(model) {
            self.add(model.namespace.to_string(), record(model));
            self.add(part(model, "filter"), self.filter(model));
            self.add(part(model, "ordering"), self.paths(model, "-?"));
            self.add(part(model, "paths"), self.paths(model, ""));
            self.add(part(model, "one"), self.related(model, None));
            self.add(part(model, "list"), self.related(model, Some(self.list_meta(model))));
        }
        if rules.iter().any(|rule| writes_values(rule)) {
            for field in writable(model) {
                self.add(field_name(model, field), self.field(model, field));
            }
        }
        if rules.iter().any(|rule| rule.takes.contains(&"objects")) {
            self.add(part(model, "new"), closed(self.values(model, true), &required(model)));
        }
        if rules.iter().any(|rule| rule.takes.contains(&"uniqueObject")) {
            self.add(part(model, "unique"), unique(model));
        }
        for rule in rules {
            let name = part(model, rule.name);
            self.add(name.clone(), self.request(model, rule));
            self.requests.push(name);
        }
    }

    /// Whether the caller may send requests of that intent on the model.
    fn is_shown(&self, model: &Model, rule: &Rule) -> bool {
        let served = model.intents.is_none_or(|served| served.contains(&rule.intent));
        let goes_with = match rule.of {
            None => rule.schema == Schema::Model,
            Some(of) => of == model.namespace.to_string(),
        };
        // A write that cannot do without a filter takes leave to read.
        let reads = rule.needs.iter().any(|key| narrows(key)).then_some(Action::Read);
        let mut actions = rule.actions.iter().copied().chain(reads);
        served && goes_with && actions.all(|action| self.may(&model.namespace, action))
    }

    /// A request of that intent.
    fn request(&self, model: &Model, rule: &Rule) -> Json {
        let keys = COMMON.iter().chain(rule.takes).filter(|key| !narrows(key) || self.reads(model));
        let meta = keys.map(|key| ((*key).to_owned(), self.meta(model, rule, key))).collect();
        let named = rule.schema == Schema::Controller;
        let mut needs = vec!["intent", "namespace"];
        needs.extend(named.then_some("schema"));
        needs.extend(rule.needs);
        let mut meta = closed(meta, &needs);
        if rule.takes.contains(&"after") {
            // Both say where the page begins.
            put(&mut meta, &["not"], object(vec![("required", list(["after", "offset"]))]));
        }
        let mut members = vec![("__meta__".to_owned(), meta)];
        let mut needed = vec!["__meta__"];
        let mut others = Json::Boolean(false);
        match rule.beside {
            Beside::Fields => {
                members.extend(self.fields(model));
                others = schema("Other");
            }
            Beside::Totals => others = schema("Total"),
            Beside::Values => {
                let creates = rule.intent == Intent::Create;
                members.extend(self.values(model, creates));
                if creates {
                    needed.extend(required(model));
                }
            }
            Beside::Arguments => {
                let (arguments, required) = arguments(rule.intent);
                members.extend(arguments);
                needed.extend(required);
            }
            Beside::Nothing => {}
        }
        let mut request = open(members, &needed);
        if rule.intent == Intent::Update || rule.intent == Intent::UpdateMany {
            put(&mut request, &["minProperties"], number(2));
        }
        put(&mut request, &["additionalProperties"], others);
        if rule.beside == Beside::Totals {
            let form = vec![("pattern", totals::NAME.into()), ("maxLength", number(totals::LONGEST_NAME as u64))];
            put(&mut request, &["propertyNames"], any_of(vec![fixed("__meta__"), object(form)]));
        }
        request
    }

    /// What a key of `__meta__` takes.
    fn meta(&self, model: &Model, rule: &Rule, key: &str) -> Json {
        match key {
            "authenticationClass" => fixed("apiKey"),
            "intent" => fixed(rule.name),
            "namespace" => fixed(&model.namespace.to_string()),
            "schema" => fixed(rule.schema.name()),
            "uniqueObject" => schema(&part(model, "unique")),
            "objects" => object(vec![
                ("type", "array".into()),
                ("items", schema(&part(model, "new"))),
                ("maxItems", number(MOST_OBJECTS as u64)),
            ]),
            "return" if self.reads(model) => schema(&part(model, "one")),
            "return" => returned(model),
            "groupBy" => schema(&part(model, "paths")),
            "ordering" if rule.intent == Intent::Aggregate => schema("Names"),
            key => self.narrowing(model, key),
        }
    }

    /// What a key takes that says which records, in what order, which page of them; and those that say how.
    fn narrowing(&self, model: &Model, key: &str) -> Json {
        let whole = |most: Option<u64>| {
            let mut members = vec![("type", "integer".into()), ("minimum", number(0))];
            members.extend(most.map(|most| ("maximum", number(most))));
            object(members)
        };
        match key {
            "filter" | "exclude" => schema(&part(model, "filter")),
            "search" => schema("Search"),
            "ordering" => schema(&part(model, "ordering")),
            "limit" => whole(Some(self.limits.max_limit)),
            "offset" | "maxAffected" => whole(None),
            "after" => plain("string"),
            "having" => plain("object"),
            "dryRun" => plain("boolean"),
            "draw" => schema("Draw"),
            "count" => schema("Count"),
            "cache" => schema("Cache"),
            // A test sees to it that there is none.
            _ => anything(),
        }
    }

    /// The `__meta__` of a nested list.
    fn list_meta(&self, model: &Model) -> Json {
        closed(LIST_KEYS.iter().map(|key| ((*key).to_owned(), self.narrowing(model, key))).collect(), &[])
    }

    /// The fields that may be asked of a record, and the ways to other models that may be read.
    fn fields(&self, model: &Model) -> Object {
        let asked = |nested: Option<String>| match nested {
            Some(name) => any_of(vec![schema("Asked"), schema(&name)]),
            None => schema("Asked"),
        };
        let nested = |name: &str| {
            let relation = self.catalogue.relation(model, name)?;
            let target = self.target(relation)?;
            Some(part(target, if relation.is_many() { "list" } else { "one" }))
        };
        let mut fields: Object =
            model.columns().into_iter().map(|column| (column.name.clone(), asked(nested(&column.name)))).collect();
        for relation in self.catalogue.relations(model).filter(|relation| relation.is_many()) {
            let nested = nested(&relation.name);
            if relation.is_own() || nested.is_some() {
                fields.push((relation.name.clone(), asked(nested)));
            }
        }
        fields
    }

    /// The model that a relation leads to, where it may be read.
    fn target(&self, relation: &Relation) -> Option<&Arc<Model>> {
        self.catalogue.model(&relation.target).filter(|target| self.reads(target))
    }

    /// The fields asked of a related record, or of a list of them.
    fn related(&self, model: &Model, meta: Option<Json>) -> Json {
        let mut members = self.fields(model);
        members.push((FIELD.into(), plain("string")));
        members.push((TRANSFORM.into(), schema("Transforms")));
        members.extend(meta.map(|meta| ("__meta__".to_owned(), meta)));
        let mut related = open(members, &[]);
        put(&mut related, &["additionalProperties"], schema("Other"));
        related
    }

    /// What a field of any other name asks for: another field, or a total of other records.
    fn other(&mut self) {
        let readable = self.catalogue.all().filter(|model| self.reads(model));
        let names: Vec<String> = readable.map(|model| model.namespace.to_string()).collect();
        let mut forms = vec![schema("Renamed")];
        if !names.is_empty() {
            let namespaces = object(vec![("enum", list(names.iter().map(String::as_str)))]);
            let meta = SUBQUERY_KEYS.iter().map(|key| ((*key).to_owned(), subquery(key, &namespaces))).collect();
            let members = vec![
                ("__meta__".to_owned(), closed(meta, &["intent", "namespace"])),
                (TRANSFORM.to_owned(), schema("Transforms")),
            ];
            self.add("Subquery".into(), closed(members, &["__meta__"]));
            forms.push(schema("Subquery"));
        }
        self.add("Other".into(), any_of(forms));
    }

    /// The conditions on a model's records.
    fn filter(&self, model: &Model) -> Json {
        let mut properties = Object::new();
        let mut patterns = Object::new();
        for column in model.columns() {
            compare(&column, &mut properties, &mut patterns);
        }
        for relation in self.catalogue.relations(model) {
            let target = self.target(relation);
            let id = self.catalogue.model(&relation.target).map(|target| target.id_column());
            if let (true, Some(id)) = (relation.is_many() && (relation.is_own() || target.is_some()), id) {
                compare(&Column { name: relation.name.clone(), ..id }, &mut properties, &mut patterns);
            }
            if let Some(target) = target {
                let names = self.names(target).join("|");
                patterns.push((format!("^{}__({names})(__|$)", relation.name), anything()));
            }
        }
        let own = || schema(&part(model, "filter"));
        for name in ["__and__", "__or__"] {
            properties.push((name.into(), object(vec![("type", "array".into()), ("items", own())])));
        }
        properties.push(("__not__".into(), own()));
        let mut filter = closed(properties, &[]);
        if !patterns.is_empty() {
            put(&mut filter, &["patternProperties"], Json::Object(patterns));
        }
        filter
    }

    /// The names that a path may go on with in a model.
    fn names(&self, model: &Model) -> Vec<String> {
        let relations = self.catalogue.relations(model).filter(|relation| relation.is_many());
        let relations = relations.filter(|relation| relation.is_own() || self.target(relation).is_some());
        let columns = model.columns().into_iter().map(|column| column.name);
        columns.chain(relations.map(|relation| relation.name.clone())).collect()
    }

    /// Fields to order or to group by, or one of them.
    fn paths(&self, model: &Model, before: &str) -> Json {
        let pattern = format!("^{before}({})(__[A-Za-z0-9_]+)?$", self.names(model).join("|"));
        let one = object(vec![("type", "string".into()), ("pattern", pattern.as_str().into())]);
        any_of(vec![one.clone(), object(vec![("type", "array".into()), ("items", one)])])
    }

    /// The values that a write takes.
    fn values(&self, model: &Model, creating: bool) -> Object {
        let id = (creating && model.id == Type::Uuid).then(|| ("id".to_owned(), of_type(model.id)));
        let fields = writable(model).map(|field| (field.name.clone(), schema(&field_name(model, field))));
        id.into_iter().chain(fields).collect()
    }

    /// A value of a field, by its type and its rules.
    fn field(&self, model: &Model, field: &Field) -> Json {
        let (kind, leads_to) = match &field.kind {
            Kind::Plain(kind) => (*kind, None),
            Kind::Ref(reference) | Kind::Refs(reference) => (reference.id, Some(reference)),
        };
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

    /// The batch, which every key may send.
    fn batch(&mut self) {
        let rule = Intent::Execute.rule();
        let meta = COMMON.iter().chain(rule.takes).map(|key| {
            let takes = match *key {
                "authenticationClass" => fixed("apiKey"),
                "intent" => fixed(rule.name),
                "namespace" => fixed(BATCH),
                "schema" => fixed(rule.schema.name()),
                "draw" => schema("Draw"),
                _ => plain("boolean"),
            };
            ((*key).to_owned(), takes)
        });
        let mut members = vec![("__meta__".to_owned(), closed(meta.collect(), &["intent", "namespace", "schema"]))];
        let (arguments, required) = arguments(rule.intent);
        members.extend(arguments);
        self.add(format!("{BATCH}.{}", rule.name), closed(members, &[&["__meta__"], required.as_slice()].concat()));
        self.requests.push(format!("{BATCH}.{}", rule.name));
    }
}

/// This text and no other.
fn fixed(text: &str) -> Json {
    object(vec![("const", text.into())])
}

/// Whether a key of `__meta__` says which records.
fn narrows(key: &str) -> bool {
    matches!(key, "filter" | "exclude" | "search")
}

fn writes_values(rule: &Rule) -> bool {
    rule.beside == Beside::Values || rule.takes.contains(&"objects")
}

/// The fields that a client may write.
fn writable(model: &Model) -> impl Iterator<Item = &Arc<Field>> {
    model.fields.iter().filter(|field| field.clock.is_none())
}

/// Those that a new record cannot do without.
fn required(model: &Model) -> Vec<&str> {
    writable(model).filter(|field| !field.is_optional()).map(|field| field.name.as_str()).collect()
}

fn field_name(model: &Model, field: &Field) -> String {
    format!("{}.field.{}", model.namespace, field.name)
}

/// A record as it is answered, with every stored field.
fn record(model: &Model) -> Json {
    let member = |column: Column| {
        let value = of_type(column.kind);
        (column.name, if column.null { or_null(value) } else { value })
    };
    open(model.columns().into_iter().map(member).collect(), &[])
}

/// The objects that name one record.
fn unique(model: &Model) -> Json {
    let of = |name: &str| model.column(name).map(|column| (name.to_owned(), of_type(column.kind)));
    let forms = model.unique_keys().map(|names| {
        let version = (names == ["id"] && model.versioned).then_some(VERSION);
        closed(names.iter().copied().chain(version).filter_map(of).collect(), &names)
    });
    any_of(forms.collect())
}

/// What a write may answer without leave to read: the id, and what it wrote.
fn returned(model: &Model) -> Json {
    let null = || plain("null");
    let names = ["id"].into_iter().chain(writable(model).map(|field| field.name.as_str()));
    let mut returned = closed(names.map(|name| (name.to_owned(), null())).collect(), &[]);
    put(&mut returned, &["minProperties"], number(1));
    returned
}

/// The arguments of a controller, which stand beside `__meta__`, and those that it cannot do without.
fn arguments(intent: Intent) -> (Object, Vec<&'static str>) {
    let flag = |default| object(vec![("type", "boolean".into()), ("default", Json::Boolean(default))]);
    match intent {
        Intent::Execute => {
            let [requests, atomic] = BATCH_KEYS;
            let filled = "A request with {\"__result__\": \"/0/data/id\"} in place of values that earlier ones answer. \
                          No batch is among them.";
            let any = object(vec![
                ("description", filled.into()),
                ("type", "object".into()),
                ("required", list(["__meta__"])),
            ]);
            let items = any_of(vec![schema("Request"), any]);
            let all =
                object(vec![("type", "array".into()), ("items", items), ("maxItems", number(MOST_REQUESTS as u64))]);
            (vec![(requests.to_owned(), all), (atomic.to_owned(), flag(true))], vec![requests])
        }
        Intent::Rotate => {
            let [overlap, end_overlap] = ROTATE_KEYS;
            let told = "How long the old secret works on, such as 24h.";
            let time = object(vec![("type", "string".into()), ("description", told.into())]);
            (vec![(overlap.to_owned(), time), (end_overlap.to_owned(), flag(false))], Vec::new())
        }
        Intent::Diff | Intent::Apply => {
            let [models, allow_data_loss] = MODELS_KEYS;
            let told = "All models that there are to be, as models.json holds them.";
            let all = object(vec![("type", "object".into()), ("description", told.into())]);
            let mut arguments = vec![(models.to_owned(), all)];
            if intent == Intent::Apply {
                arguments.push((allow_data_loss.to_owned(), flag(false)));
            }
            (arguments, vec![models])
        }
        Intent::Revoke | Intent::Disable | Intent::Enable => (Object::new(), Vec::new()),
        Intent::Retrieve
        | Intent::RetrieveOne
        | Intent::Count
        | Intent::Aggregate
        | Intent::Create
        | Intent::CreateMany
        | Intent::Update
        | Intent::UpdateMany
        | Intent::Upsert
        | Intent::DeleteOne
        | Intent::DeleteMany => (Object::new(), Vec::new()),
    }
}

/// What a key in the `__meta__` of a subquery takes.
fn subquery(key: &str, namespaces: &Json) -> Json {
    let many = |items: Json| object(vec![("type", "array".into()), ("items", items)]);
    match key {
        "authenticationClass" => fixed("apiKey"),
        "schema" => fixed(Schema::Model.name()),
        "intent" => fixed("subquery"),
        "namespace" => namespaces.clone(),
        "filter" | "exclude" => plain("object"),
        "search" => schema("Search"),
        "ordering" => schema("Names"),
        "onField" => plain("string"),
        "outerRefMapping" => {
            let names = ["field", "referenceField"];
            many(closed(names.iter().map(|name| ((*name).to_owned(), plain("string"))).collect(), &names))
        }
        "sequencedProcess" => many(schema("Step")),
        // A test sees to it that there is none.
        _ => anything(),
    }
}

/// The lookups of a column, and of the parts of a date.
fn compare(column: &Column, properties: &mut Object, patterns: &mut Object) {
    let name = &column.name;
    for lookup in LOOKUPS.iter().filter(|lookup| lookup.goes_with(column.kind)) {
        if lookup.name == "exact" {
            properties.push((name.clone(), operand(lookup, column.kind)));
        }
        properties.push((format!("{name}__{}", lookup.name), operand(lookup, column.kind)));
    }
    if column.kind == Type::Json {
        patterns.push((format!("^{name}__"), anything()));
    }
    // Parts of one type take the same; so do, of one lookup, all parts.
    let parts: Vec<_> = PARTS.iter().filter(|part| part.goes_with(column.kind)).collect();
    for kind in [Type::Integer, Type::Date] {
        let names: Vec<&str> = parts.iter().filter(|part| part.kind == kind).map(|part| part.name).collect();
        if names.is_empty() {
            continue;
        }
        let mut forms: Vec<(Json, Vec<&str>)> = Vec::new();
        for lookup in LOOKUPS.iter().filter(|lookup| lookup.goes_with(kind)) {
            let takes = operand(lookup, kind);
            match forms.iter_mut().find(|(known, _)| *known == takes) {
                Some((_, lookups)) => lookups.push(lookup.name),
                None => forms.push((takes, vec![lookup.name])),
            }
        }
        for (takes, lookups) in forms {
            let end = if lookups == ["exact"] { "?" } else { "" };
            let pattern = format!("^{name}__({})(__({})){end}$", names.join("|"), lookups.join("|"));
            patterns.push((pattern, takes));
        }
    }
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
fn written(kind: Type, value: &Scalar) -> Json {
    let mut out = Vec::new();
    kind.write(value, &mut out);
    Json::parse(&out).unwrap_or(Json::Null) // what a type writes is JSON
}

/// Whether a regular expression means the same to all who read JSON Schema, and not only to the `regex` crate: it has
/// no flags, no names, no classes of Unicode and no set operations.
fn is_portable(pattern: &str) -> bool {
    let plain_escape = |next: Option<&char>| next.is_some_and(|c| r"dDwWsStrnfv.*+?()[]{}|^$\/-".contains(*c));
    let characters: Vec<char> = pattern.chars().collect();
    let foreign = ["[[", "[^[", "&&", "--", "~~", "[]", "[^]"];
    let named = pattern.replace("(?:", "").contains("(?");
    let mut index = 0;
    while index < characters.len() {
        if characters[index] == '\\' {
            if !plain_escape(characters.get(index + 1)) {
                return false;
            }
            index += 1;
        }
        index += 1;
    }
    !named && !foreign.iter().any(|foreign| pattern.contains(foreign))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth;

    #[test]
    fn every_key_of_meta_is_described() {
        let catalogue = Catalogue::default();
        let caller = auth::operator();
        let limits = Limits { max_limit: 10 };
        let maker = Maker { catalogue: &catalogue, caller: &caller, limits, schemas: Vec::new(), requests: Vec::new() };
        let model = catalogue.all().next().unwrap();
        let nothing = anything();
        for rule in &INTENTS {
            for key in COMMON.iter().chain(rule.takes) {
                assert_ne!(maker.meta(model, rule, key), nothing, "{key} of {}", rule.name);
            }
        }
        for key in LIST_KEYS {
            assert_ne!(maker.narrowing(model, key), nothing, "{key} of a nested list");
        }
        for key in SUBQUERY_KEYS {
            assert_ne!(subquery(key, &Json::Null), nothing, "{key} of a subquery");
        }
    }

    #[test]
    fn a_pattern_is_portable_where_all_read_it_alike() {
        for pattern in ["^[^@ ]+@[^@ ]+$", r"^\d{3}-[a-z]+(?:x|y)$", r"a\.b"] {
            assert!(is_portable(pattern), "{pattern}");
        }
        for pattern in ["(?i)a", r"\p{L}", r"\Aa\z", "(?<name>a)", "[[:alpha:]]", r"[a-z&&[^b]]", r"\x{41}"] {
            assert!(!is_portable(pattern), "{pattern}");
        }
    }
}
