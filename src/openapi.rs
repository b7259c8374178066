//! The description of the interface, as OpenAPI 3.1, for one key: nothing of a model that it may do nothing with is in
//! it.
//!
//! It is made of the code's own tables and of the models in force, so that it cannot tell anything else than what is
//! served; what never changes stands in `openapi/frame.json`. [`language`] is what all models have in common,
//! [`models`] what each of them takes and gives.

mod language;
mod models;

use crate::about::{About, METHODS, PAGES, Page};
use crate::auth::Authenticated;
use crate::error::Code;
use crate::intent::INTENTS;
use crate::json::{Json, Object};
use crate::metrics;
use crate::model::Catalogue;
use crate::plan::Limits;

const FRAME: &str = include_str!("openapi/frame.json");

/// The description for that caller.
pub fn document(catalogue: &Catalogue, caller: &Authenticated, limits: Limits) -> Vec<u8> {
    let mut frame = Json::parse(FRAME.as_bytes()).expect("the frame is JSON, as a test shows");
    put(&mut frame, &["info", "version"], env!("CARGO_PKG_VERSION").into());
    for code in Code::ALL {
        for status in code.statuses() {
            put(&mut frame, &["components", "responses", &status.to_string()], failure(code, *status));
        }
    }
    for status in statuses().filter(|status| *status != 405) {
        put(&mut frame, &["paths", "/jql", "post", "responses", &status.to_string()], refer("responses", &status));
    }
    for about in &PAGES {
        put(&mut frame, &["paths", about.path], operations(about));
    }
    let mut schemas = match frame.get("components").and_then(|components| components.get("schemas")) {
        Some(Json::Object(known)) => known.clone(),
        _ => Object::new(),
    };
    schemas.extend(language::schemas());
    schemas.extend(models::schemas(catalogue, caller, limits));
    let intents = INTENTS.iter().map(|rule| rule.name.into()).chain([Json::Null]);
    schemas.push(("Intent".into(), object(vec![("enum", Json::List(intents.collect()))])));
    schemas.push(("Code".into(), object(vec![("enum", list(Code::ALL.map(Code::name)))])));
    put(&mut frame, &["components", "schemas"], Json::Object(schemas));
    let mut out = Vec::with_capacity(64 * 1024);
    frame.write(&mut out);
    out
}

/// The statuses of all that can go wrong.
fn statuses() -> impl Iterator<Item = u16> {
    Code::ALL.into_iter().flat_map(Code::statuses).copied()
}

/// The answer with that status.
fn failure(code: Code, status: u16) -> Json {
    let when = match (code, status) {
        (Code::Jql, _) => "The request is malformed, or names what there is not, or gives a value that cannot be.",
        (Code::Authentication, _) => "There is no key, or none that may be used.",
        (Code::Authorization, _) => "The key lacks a permission, which is named, or may not be used from there.",
        (Code::NotFound, _) => "There is no such record or model.",
        (Code::Request, 405) => "The path does not take the method.",
        (Code::Request, 408) => "The request did not arrive in time.",
        (Code::Request, 413) => "The body is too large.",
        (Code::Request, _) => "The body is not declared as JSON, or is compressed.",
        (Code::Conflict, _) => {
            "What is stored stands against it: a value that is taken, a record that is referred to, a version."
        }
        (Code::RateLimit, _) => "The key was used too often, or too many wrong keys came from the address.",
        (Code::Unavailable, _) => "The server has too much to do, is stopping, or its disk is full.",
        (Code::Server, _) => "A fault of the server; its log has it under the id of the request.",
    };
    let own = match code {
        Code::Authentication => Some("WWW-Authenticate"),
        Code::RateLimit | Code::Unavailable => Some("Retry-After"),
        Code::Request if status == 405 => Some("Allow"),
        _ => None,
    };
    let headers = ["X-Request-Id"].into_iter().chain(own).map(|name| (name, refer("headers", &name))).collect();
    object(vec![
        ("description", format!("{}: {when}", code.name()).as_str().into()),
        ("headers", object(headers)),
        ("content", object(vec![("application/json", object(vec![("schema", schema("Failure"))]))])),
    ])
}

/// The operations on a path that tells of the server itself.
fn operations(about: &About) -> Json {
    let (media, answer) = match about.page {
        Page::Health | Page::Ready => ("application/json", schema("Envelope")),
        Page::Metrics => (metrics::MEDIA.split(';').next().unwrap_or_default(), plain("string")),
        Page::OpenApi => ("application/json", plain("object")),
    };
    let may_fail = |status: &u16| match status {
        404 | 405 | 409 => false,
        401 | 403 | 429 => about.takes_key(),
        _ => true,
    };
    let operation = |method: &str| {
        let mut responses = vec![(
            "200".to_owned(),
            object(vec![
                ("description", about.answer.into()),
                ("headers", object(vec![("X-Request-Id", refer("headers", &"X-Request-Id"))])),
            ]),
        )];
        if method == "get" {
            let content = object(vec![(media, object(vec![("schema", answer.clone())]))]);
            put(&mut responses[0].1, &["content"], content);
        }
        responses.extend(statuses().filter(may_fail).map(|status| (status.to_string(), refer("responses", &status))));
        let name = about.path.trim_start_matches('/').split('.').next().unwrap_or_default();
        let mut operation = vec![
            ("operationId", format!("{method}_{name}").as_str().into()),
            ("summary", about.told().as_str().into()),
            ("parameters", Json::List(vec![refer("parameters", &"X-Request-Id")])),
            ("responses", Json::Object(responses)),
        ];
        if !about.takes_key() {
            operation.push(("security", Json::List(Vec::new())));
        }
        object(operation)
    };
    let methods = METHODS.split(", ").map(str::to_ascii_lowercase);
    let operations = methods.map(|method| {
        let operation = operation(&method);
        (method, operation)
    });
    Json::Object(operations.collect())
}

// -- JSON ---------------------------------------------------------------------------------------

/// Puts a value at a path of keys, whose objects are made where they are missing.
fn put(json: &mut Json, path: &[&str], value: Json) {
    let (Json::Object(members), Some((first, rest))) = (&mut *json, path.split_first()) else {
        *json = value;
        return;
    };
    let place = members.iter().position(|(name, _)| name == first).unwrap_or_else(|| {
        members.push(((*first).to_owned(), Json::Object(Object::new())));
        members.len() - 1
    });
    if rest.is_empty() { members[place].1 = value } else { put(&mut members[place].1, rest, value) }
}

#[inline(never)] // it is called in a hundred places, and none of them is in a hurry
fn object(members: Vec<(&str, Json)>) -> Json {
    Json::Object(members.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())
}

/// The schema of all values of a type.
fn plain(kind: &str) -> Json {
    object(vec![("type", kind.into())])
}

/// That of any value at all.
fn anything() -> Json {
    object(Vec::new())
}

fn list<'t>(texts: impl IntoIterator<Item = &'t str>) -> Json {
    Json::List(texts.into_iter().map(Json::from).collect())
}

fn number(number: impl TryInto<i64>) -> Json {
    Json::Integer(number.try_into().unwrap_or(i64::MAX))
}

/// A reference to a component.
fn refer(kind: &str, name: &impl std::fmt::Display) -> Json {
    object(vec![("$ref", format!("#/components/{kind}/{name}").as_str().into())])
}

fn schema(name: &str) -> Json {
    refer("schemas", &name)
}

/// An object with these properties, these of them required, and where nothing else is said no others.
fn closed(properties: Object, required: &[&str]) -> Json {
    let mut schema = open(properties, required);
    put(&mut schema, &["additionalProperties"], Json::Boolean(false));
    schema
}

fn open(properties: Object, required: &[&str]) -> Json {
    let mut members = vec![("type", "object".into()), ("properties", Json::Object(properties))];
    if !required.is_empty() {
        members.push(("required", list(required.iter().copied())));
    }
    object(members)
}

fn any_of(schemas: Vec<Json>) -> Json {
    object(vec![("anyOf", Json::List(schemas))])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth;
    use crate::envelope;
    use serde_json::Value;

    fn whole() -> Value {
        let document = document(&Catalogue::default(), &auth::operator(), Limits { max_limit: 1000 });
        serde_json::from_slice(&document).unwrap()
    }

    fn names(object: &Value) -> Vec<&str> {
        object.as_object().unwrap().keys().map(String::as_str).collect()
    }

    #[test]
    fn the_envelope_is_described_as_it_is() {
        let (document, envelope) = (whole(), serde_json::from_slice::<Value>(&envelope::whole()).unwrap());
        let schemas = &document["components"]["schemas"];
        for (schema, example) in [
            ("Envelope", &envelope),
            ("Failure", &envelope),
            ("Extras", &envelope["extras"]),
            ("Error", &envelope["errors"][0]),
        ] {
            let mut described = names(&schemas[schema]["properties"]);
            let mut there = names(example);
            described.sort_unstable();
            there.sort_unstable();
            assert_eq!(described, there, "{schema}");
        }
    }

    #[test]
    fn every_reference_leads_somewhere() {
        fn check(here: &Value, document: &Value) {
            match here {
                Value::Object(members) => {
                    if let Some(Value::String(reference)) = members.get("$ref") {
                        let pointer = reference.strip_prefix('#').unwrap();
                        assert!(document.pointer(pointer).is_some(), "{reference}");
                    }
                    members.values().for_each(|member| check(member, document));
                }
                Value::Array(items) => items.iter().for_each(|item| check(item, document)),
                _ => {}
            }
        }
        let document = whole();
        check(&document, &document);
    }
}
