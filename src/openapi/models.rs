//! What each model takes and gives, as far as a key may do something with it.
//!
//! A model that may be read shows its fields, its filters and the ways to others that may be read. One that may only be
//! written shows what a write names, and of the records that it refers to their ids.

use super::language::{of_type, or_null};
use super::maker::{Maker, part};
use super::values::{field_name, required, writable};
use super::{Schemas, Served, any_of, anything, closed, list, number, object, open, plain, put, schema};
use crate::access::Action;
use crate::auth::Authenticated;
use crate::error::Problem;
use crate::intent::{BATCH, Beside, COMMON, FIXTURE, INTENTS, Intent, Rule, Schema, narrows};
use crate::json::{Json, Object};
use crate::model::{Catalogue, Column, Model, VERSION, system};
use crate::plan::{keys::AUDIT_KEYS, keys::ROTATE_KEYS, models::MODELS_KEYS, totals};
use crate::request::fields::{FIELD, LIST_KEYS, SUBQUERY_KEYS, TRANSFORM};
use crate::request::fixture::{CLOCK_KEYS, LONGEST_NAME, SNAPSHOT_KEYS};
use crate::request::{BATCH_KEYS, MOST_OBJECTS, MOST_REQUESTS};
use crate::value::Type;
use std::collections::HashMap;

/// Adds the schemas of all models that the caller may do something with, and of all requests that it may send.
///
/// # Errors
/// As [`Schemas::add`].
pub fn add(
    schemas: &mut Schemas<'_>,
    catalogue: &Catalogue,
    caller: &Authenticated,
    served: Served<'_>,
) -> Result<(), Problem> {
    let mut maker = Maker::new(catalogue, caller, served.limits);
    maker.other(schemas)?;
    for model in catalogue.all() {
        maker.model(model, schemas)?;
    }
    maker.controller(Intent::Execute.rule(), BATCH, schemas)?;
    if served.is_fixture && caller.may(&system::namespace(system::FIXTURE), Action::Update) {
        for rule in INTENTS.iter().filter(|rule| rule.intent.is_of_fixture()) {
            maker.controller(rule, FIXTURE, schemas)?;
        }
    }
    schemas.add("Request", &any_of(maker.requests.iter().map(|name| schema(name)).collect()))
}

impl Maker<'_> {
    fn model(&mut self, model: &Model, schemas: &mut Schemas<'_>) -> Result<(), Problem> {
        let rules: Vec<&Rule> = INTENTS.iter().filter(|rule| self.is_shown(model, rule)).collect();
        if self.reads(model) && !rules.is_empty() {
            schemas.add(model.namespace.as_str(), &record(model))?;
            schemas.add(&part(model, "filter"), &self.filter(model))?;
            schemas.add(&part(model, "ordering"), &self.paths(model, "-?"))?;
            schemas.add(&part(model, "paths"), &self.paths(model, ""))?;
            schemas.add(&part(model, "one"), &self.related(model, None))?;
            schemas.add(&part(model, "list"), &self.related(model, Some(self.list_meta(model))))?;
        }
        if rules.iter().any(|rule| writes_values(rule)) {
            for field in writable(model) {
                schemas.add(&field_name(model, field), &self.field(model, field))?;
            }
        }
        if rules.iter().any(|rule| rule.takes.contains(&"objects")) {
            schemas.add(&part(model, "new"), &closed(self.values(model, true), &required(model)))?;
        }
        if rules.iter().any(|rule| rule.takes.contains(&"uniqueObject")) {
            schemas.add(&part(model, "unique"), &unique(model))?;
        }
        for rule in rules {
            let name = part(model, rule.name);
            schemas.add(&name, &self.request(model, rule))?;
            self.requests.push(name);
        }
        Ok(())
    }

    /// A request of that intent.
    fn request(&self, model: &Model, rule: &Rule) -> Json {
        let keys = COMMON.iter().chain(rule.takes).filter(|key| !narrows(key) || self.reads(model));
        let meta = keys.map(|key| ((*key).into(), self.meta(model, rule, key))).collect();
        let named = rule.schema == Schema::Controller;
        let mut needs = vec!["intent", "namespace"];
        needs.extend(named.then_some("schema"));
        needs.extend(rule.needs);
        let mut meta = closed(meta, &needs);
        if rule.takes.contains(&"after") {
            // Both say where the page begins.
            put(&mut meta, &["not"], object(vec![("required", list(["after", "offset"]))]));
        }
        let mut members = vec![("__meta__".into(), meta)];
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
        if rule.intent == Intent::Rotate {
            // It either begins an overlap or ends one.
            let mut both = object(vec![("required", list(ROTATE_KEYS))]);
            put(&mut both, &["properties", ROTATE_KEYS[1]], object(vec![("const", Json::Boolean(true))]));
            put(&mut request, &["not"], both);
        }
        if rule.intent == Intent::Update || rule.intent == Intent::UpdateMany {
            put(&mut request, &["minProperties"], number(2));
        }
        put(&mut request, &["additionalProperties"], others);
        if rule.beside == Beside::Totals {
            let form = vec![("pattern", totals::NAME.into()), ("maxLength", number(totals::LONGEST_NAME as u64))];
            put(&mut request, &["propertyNames"], any_of(vec![fixed("__meta__"), object(form)]));
            put(&mut request, &["anyOf"], Json::List(total_or_group()));
        }
        request
    }

    /// What a key of `__meta__` takes.
    fn meta(&self, model: &Model, rule: &Rule, key: &str) -> Json {
        match key {
            "authenticationClass" => fixed("apiKey"),
            "intent" => fixed(rule.name),
            "namespace" => fixed(model.namespace.as_str()),
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
        let whole = |most| object(vec![("type", "integer".into()), ("minimum", number(0)), ("maximum", number(most))]);
        match key {
            "filter" | "exclude" => schema(&part(model, "filter")),
            "search" => schema("Search"),
            "ordering" => schema(&part(model, "ordering")),
            "limit" => whole(self.limits.max_limit),
            "offset" | "maxAffected" => whole(MOST_WHOLE),
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
        closed(LIST_KEYS.iter().map(|key| ((*key).into(), self.narrowing(model, key))).collect(), &[])
    }

    /// The fields that may be asked of a record, and the ways to other models that may be read.
    fn fields(&self, model: &Model) -> Object {
        let asked = |nested: Option<String>| match nested {
            Some(name) => any_of(vec![schema("Asked"), schema(&name)]),
            None => schema("Asked"),
        };
        let relations = self.catalogue.relations(model).map(|relation| {
            let what = if relation.is_many() { "list" } else { "one" };
            (relation, self.target(relation).map(|target| part(target, what)))
        });
        let (many, one): (Vec<_>, Vec<_>) = relations.partition(|(relation, _)| relation.is_many());
        let mut one: HashMap<&str, Option<String>> =
            one.into_iter().map(|(relation, nested)| (relation.name.as_str(), nested)).collect();
        let columns = model.columns().into_iter();
        let columns = columns.map(|column| {
            let nested = one.remove(column.name.as_str()).flatten();
            (column.name, asked(nested))
        });
        let many = many.into_iter().filter(|(relation, nested)| relation.is_own() || nested.is_some());
        columns.chain(many.map(|(relation, nested)| ((&relation.name).into(), asked(nested)))).collect()
    }

    /// The fields asked of a related record, or of a list of them.
    fn related(&self, model: &Model, meta: Option<Json>) -> Json {
        let mut members = self.fields(model);
        members.push((FIELD.into(), plain("string")));
        members.push((TRANSFORM.into(), schema("Transforms")));
        members.extend(meta.map(|meta| ("__meta__".into(), meta)));
        let mut related = open(members, &[]);
        put(&mut related, &["additionalProperties"], schema("Other"));
        related
    }

    /// What a field of any other name asks for: another field, or a total of other records.
    fn other(&self, schemas: &mut Schemas<'_>) -> Result<(), Problem> {
        let readable = self.catalogue.all().filter(|model| self.reads(model));
        let names: Vec<String> = readable.map(|model| model.namespace.to_string()).collect();
        let mut forms = vec![schema("Renamed")];
        if !names.is_empty() {
            let namespaces = object(vec![("enum", list(names.iter().map(String::as_str)))]);
            let meta = SUBQUERY_KEYS.iter().map(|key| ((*key).into(), subquery(key, &namespaces))).collect();
            let members = vec![
                ("__meta__".into(), closed(meta, &["intent", "namespace"])),
                (TRANSFORM.into(), schema("Transforms")),
            ];
            schemas.add("Subquery", &closed(members, &["__meta__"]))?;
            forms.push(schema("Subquery"));
        }
        schemas.add("Other", &any_of(forms))
    }

    /// A controller that is of no model.
    fn controller(&mut self, rule: &Rule, namespace: &str, schemas: &mut Schemas<'_>) -> Result<(), Problem> {
        let meta = COMMON.iter().chain(rule.takes).map(|key| {
            let takes = match *key {
                "authenticationClass" => fixed("apiKey"),
                "intent" => fixed(rule.name),
                "namespace" => fixed(namespace),
                "schema" => fixed(rule.schema.name()),
                "draw" => schema("Draw"),
                _ => plain("boolean"),
            };
            ((*key).into(), takes)
        });
        let mut members = vec![("__meta__".into(), closed(meta.collect(), &["intent", "namespace", "schema"]))];
        let (arguments, required) = arguments(rule.intent);
        members.extend(arguments);
        let name = format!("{namespace}.{}", rule.name);
        let mut request = closed(members, &[&["__meta__"], required.as_slice()].concat());
        if rule.intent == Intent::Clock {
            put(&mut request, &["maxProperties"], number(2)); // one thing is done to it, or none
        }
        schemas.add(&name, &request)?;
        self.requests.push(name);
        Ok(())
    }
}

/// The highest whole number that a request may hold.
const MOST_WHOLE: u64 = i64::MAX as u64;

/// What an `aggregate` must have one of.
fn total_or_group() -> Vec<Json> {
    let least = object(vec![("minItems", number(1))]);
    let mut group = object(vec![("required", list(["groupBy"]))]);
    put(&mut group, &["properties", "groupBy"], least);
    let mut grouped = object(Vec::new());
    put(&mut grouped, &["properties", "__meta__"], group);
    vec![object(vec![("minProperties", number(2))]), grouped]
}

/// This text and no other.
fn fixed(text: &str) -> Json {
    object(vec![("const", text.into())])
}

pub fn writes_values(rule: &Rule) -> bool {
    rule.beside == Beside::Values || rule.takes.contains(&"objects")
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
    let of = |name: &str| model.column(name).map(|column| (name.into(), of_type(column.kind)));
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
    let mut returned = closed(names.map(|name| (name.into(), null())).collect(), &[]);
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
            (vec![(requests.into(), all), (atomic.into(), flag(true))], vec![requests])
        }
        Intent::Rotate => {
            let [overlap, end_overlap] = ROTATE_KEYS;
            let told = "How long the old secret works on, such as 24h.";
            let time = object(vec![("type", "string".into()), ("description", told.into())]);
            (vec![(overlap.into(), time), (end_overlap.into(), flag(false))], Vec::new())
        }
        Intent::Diff | Intent::Apply => {
            let [models, allow_data_loss] = MODELS_KEYS;
            let told = "All models that there are to be, as models.json holds them.";
            let all = object(vec![("type", "object".into()), ("description", told.into())]);
            let mut arguments = vec![(models.into(), all)];
            if intent == Intent::Apply {
                arguments.push((allow_data_loss.into(), flag(false)));
            }
            (arguments, vec![models])
        }
        Intent::Audit => {
            let [window, max_age] = AUDIT_KEYS;
            let time = |told: &str| object(vec![("type", "string".into()), ("description", told.into())]);
            let arguments = vec![
                (window.into(), time("How far back the use of keys and permissions counts, such as 30d.")),
                (max_age.into(), time("The age from which on a secret is old, such as 90d.")),
            ];
            (arguments, Vec::new())
        }
        Intent::Snapshot | Intent::Restore => {
            let [name] = SNAPSHOT_KEYS;
            let most = number(LONGEST_NAME as u64);
            let text = object(vec![("type", "string".into()), ("minLength", number(1)), ("maxLength", most)]);
            (vec![(name.into(), text)], vec![name])
        }
        Intent::Clock => {
            let [freeze, set, advance, run] = CLOCK_KEYS;
            let yes = || object(vec![("const", Json::Boolean(true))]);
            let told = |what: &str| object(vec![("type", "string".into()), ("description", what.into())]);
            let (moment, time) = (of_type(Type::Datetime), told("A length of time, such as 90d."));
            let arguments = vec![
                (freeze.into(), any_of(vec![moment.clone(), yes()])),
                (set.into(), moment),
                (advance.into(), time),
                (run.into(), yes()),
            ];
            (arguments, Vec::new())
        }
        Intent::Reset
        | Intent::Revoke
        | Intent::Disable
        | Intent::Enable
        | Intent::WhoAmI
        | Intent::Describe
        | Intent::Retrieve
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
            many(closed(names.iter().map(|name| ((*name).into(), plain("string"))).collect(), &names))
        }
        "sequencedProcess" => many(schema("Step")),
        // A test sees to it that there is none.
        _ => anything(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth;
    use crate::plan::Limits;

    #[test]
    fn every_key_of_meta_is_described() {
        let catalogue = Catalogue::default();
        let caller = auth::operator();
        let limits = Limits { max_limit: 10 };
        let maker = Maker::new(&catalogue, &caller, limits);
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
}
