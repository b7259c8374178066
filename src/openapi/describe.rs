//! What a key may do with which models, for clients that offer no more than that. It hides what the description of the
//! interface hides, and is made of the same tables.

use super::language::TYPES;
use super::maker::Maker;
use super::models::writes_values;
use super::values::written;
use super::{list, number, object};
use crate::access::Action;
use crate::auth::Authenticated;
use crate::error::Problem;
use crate::function::FUNCTIONS;
use crate::intent::{INTENTS, Rule};
use crate::json::{Json, Object};
use crate::lookup::{LOOKUPS, PARTS};
use crate::model::{Catalogue, Field, Kind, Model, VERSION};
use crate::plan::Limits;
use crate::shape::{MOST_WRITTEN, TOO_LARGE};
use crate::transform::table::TRANSFORMS;
use crate::value::{Scalar, Type};

/// Writes it, and how many models are in it. `in_time` is asked on the way whether there is still time.
///
/// # Errors
/// It is larger than an answer may be, or there is no time left.
pub fn abilities(
    catalogue: &Catalogue,
    caller: &Authenticated,
    limits: Limits,
    in_time: &dyn Fn() -> Result<(), Problem>,
) -> Result<(usize, Vec<u8>), Problem> {
    let maker = Maker::new(catalogue, caller, limits);
    let mut count = 0;
    let mut out = b"{\"models\":[".to_vec();
    for model in catalogue.all().filter_map(|model| maker.abilities(model)) {
        in_time()?;
        if count > 0 {
            out.push(b',');
        }
        model.write(&mut out);
        if out.len() > MOST_WRITTEN {
            return Err(TOO_LARGE);
        }
        count += 1;
    }
    out.extend_from_slice(b"],");
    out.extend_from_slice(&language().to_string().as_bytes()[1..]);
    Ok((count, out))
}

/// What all models have in common.
fn language() -> Json {
    let by_type = |names: &dyn Fn(Type) -> Vec<&'static str>| {
        let kinds = [Type::String].into_iter().chain(TYPES).map(|kind| (kind.name(), names(kind)));
        object(kinds.filter(|(_, names)| !names.is_empty()).map(|(kind, names)| (kind, list(names))).collect())
    };
    let lookups = |kind| LOOKUPS.iter().filter(|one| one.goes_with(kind)).map(|one| one.name).collect();
    let parts = |kind| PARTS.iter().filter(|part| part.goes_with(kind)).map(|part| part.name).collect();
    object(vec![
        ("lookups", by_type(&lookups)),
        ("parts", by_type(&parts)),
        ("intents", Json::List(INTENTS.iter().map(intent).collect())),
        ("functions", list(FUNCTIONS.iter().map(|function| function.name))),
        ("transforms", list(TRANSFORMS.iter().map(|transform| transform.name))),
    ])
}

fn intent(rule: &Rule) -> Json {
    object(vec![
        ("name", rule.name.into()),
        ("schema", rule.schema.name().into()),
        ("of", rule.of.map_or(Json::Null, Json::from)),
        ("takes", list(rule.takes.iter().copied())),
        ("needs", list(rule.needs.iter().copied())),
        ("beside", rule.beside.name().into()),
    ])
}

impl Maker<'_> {
    /// What may be done with a model; `None` where that is nothing. What takes no permission tells nothing of it.
    fn abilities(&self, model: &Model) -> Option<Json> {
        let rules: Vec<&Rule> = INTENTS.iter().filter(|rule| self.is_shown(model, rule)).collect();
        if rules.iter().all(|rule| rule.actions.is_empty()) {
            return None;
        }
        let (reads, writes) = (self.reads(model), rules.iter().any(|rule| writes_values(rule)));
        let names_one = rules.iter().any(|rule| rule.takes.contains(&"uniqueObject"));
        let actions = model.actions().filter(|action| self.may(&model.namespace, *action));
        let mut members = vec![
            ("namespace", model.namespace.as_str().into()),
            ("actions", list(actions.map(Action::name))),
            ("intents", list(rules.iter().map(|rule| rule.name))),
        ];
        if names_one {
            let together = model.unique_together.iter().map(|names| list(names.iter().map(String::as_str)));
            members.push(("versioned", Json::Boolean(model.versioned)));
            members.push(("unique_together", Json::List(together.collect())));
        }
        if reads {
            let seen = |paths: Vec<&str>| list(paths.into_iter().filter(|path| self.sees(model, path)));
            members.push(("ordering", seen(model.ordering.iter().map(String::as_str).collect())));
            members.push(("search", seen(model.searched())));
        }
        let mut finds: Vec<&str> = model.unique_keys().filter(|_| names_one).flatten().collect();
        finds.extend((names_one && model.versioned).then_some(VERSION));
        let id = (reads || names_one).then(|| finder("id", model.id.name(), true));
        let fields = model.fields.iter().filter_map(|field| {
            let is_whole = reads || (writes && field.clock.is_none());
            let finding =
                || finds.contains(&field.name.as_str()).then(|| finder(&field.name, type_name(field), field.unique));
            if is_whole { Some(self.ability(field, reads, names_one)) } else { finding() }
        });
        members.push(("fields", Json::List(id.into_iter().chain(fields).collect())));
        if reads {
            let back = self.catalogue.relations(model).filter_map(|relation| {
                let (field, from) = (relation.field_back()?, self.target(relation)?.namespace.as_str());
                Some(object(vec![
                    ("name", relation.name.as_str().into()),
                    ("from", from.into()),
                    ("field", field.into()),
                ]))
            });
            members.push(("reverse", Json::List(back.collect())));
        }
        Some(object(members))
    }

    /// A field, with those of its rules that it has.
    fn ability(&self, field: &Field, reads: bool, names_one: bool) -> Json {
        let (kind, leads_to) = field.kind.of_value();
        let mut members: Object = Vec::new();
        let mut tell = |name: &str, value: Option<Json>| members.extend(value.map(|value| (name.into(), value)));
        let value = |value: &Scalar| written(kind, value);
        tell("name", Some(field.name.as_str().into()));
        tell("type", Some(type_name(field).into()));
        tell("null", Some(Json::Boolean(field.null)));
        tell("required", Some(Json::Boolean(!field.is_optional())));
        tell("writable", Some(Json::Boolean(field.clock.is_none())));
        tell("unique", (field.unique && names_one).then_some(Json::Boolean(true)));
        // What a record holds where nobody says otherwise is part of what is read.
        tell("default", field.default.as_ref().filter(|_| reads).map(value));
        let choices = || Json::List(field.choices.iter().map(value).collect());
        tell("choices", (!field.choices.is_empty()).then(choices));
        tell("min", field.min.as_ref().map(value));
        tell("max", field.max.as_ref().map(value));
        tell("min_length", field.min_length.map(number));
        tell("max_length", field.max_length.map(number));
        if let Type::Decimal { digits, places } = kind {
            tell("max_digits", Some(number(digits)));
            tell("decimal_places", Some(number(places)));
        }
        tell("pattern", field.pattern.as_ref().map(|pattern| pattern.as_str().into()));
        tell("help", field.help.as_deref().map(Json::from));
        // What leads to a model that may not be read does not say where.
        if let Some(reference) = leads_to.filter(|reference| self.may(&reference.to, Action::Read)) {
            tell("to", Some(reference.to.as_str().into()));
            tell("related_name", Some(reference.related_name.as_str().into()));
        }
        Json::Object(members)
    }

    /// Whether a path leads over models alone that may be read.
    fn sees(&self, model: &Model, path: &str) -> bool {
        let path = path.trim_start_matches('-');
        let (first, rest) = path.split_once("__").map_or((path, None), |(first, rest)| (first, Some(rest)));
        match self.catalogue.relation(model, first) {
            Some(relation) if rest.is_some() || !relation.is_own() => {
                self.target(relation).is_some_and(|target| rest.is_none_or(|rest| self.sees(target, rest)))
            }
            _ => true,
        }
    }
}

fn type_name(field: &Field) -> &'static str {
    match &field.kind {
        Kind::Plain(kind) => kind.name(),
        Kind::Ref(_) => "ref",
        Kind::Refs(_) => "refs",
    }
}

/// A field that names a record, for whoever does not write it: none of its rules.
fn finder(name: &str, kind: &str, is_unique: bool) -> Json {
    let mut members = vec![("name", name.into()), ("type", kind.into())];
    members.extend(["null", "required", "writable"].map(|name| (name, Json::Boolean(false))));
    members.extend(is_unique.then_some(("unique", Json::Boolean(true))));
    object(members)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth;

    #[test]
    fn what_takes_too_long_is_given_up() {
        let (catalogue, limits) = (Catalogue::default(), Limits { max_limit: 10 });
        let told = |in_time: &dyn Fn() -> Result<(), Problem>| {
            abilities(&catalogue, &auth::operator(), limits, in_time).map(|(count, _)| count)
        };
        assert_eq!(told(&|| Ok(())), Ok(catalogue.all().count()));
        assert_eq!(told(&|| Err(Problem::Busy)), Err(Problem::Busy));
    }
}
