//! The description of the interface, as OpenAPI 3.1, for one key: nothing of a model that it may do nothing with is in
//! it.
//!
//! It is made of the code's own tables and of the models in force, so that it cannot tell anything else than what is
//! served; what never changes stands in `openapi/frame.json`. [`language`] is what all models have in common,
//! [`models`] what each of them takes and gives; of that, [`filter`] the names of filters, orders and groups, and
//! [`values`] what is written. [`describe`] tells much of the same in fewer words.

pub mod describe;
mod filter;
mod language;
mod maker;
mod models;
pub mod records;
mod values;

use crate::about::{About, METHODS, PAGES, Page};
use crate::auth::Authenticated;
use crate::error::{Code, Problem};
use crate::intent::INTENTS;
use crate::json::{Json, Object, number, object, write_string};
use crate::metrics;
use crate::model::Catalogue;
use crate::plan::Limits;
use crate::shape::{MOST_WRITTEN, TOO_LARGE};

const FRAME: &str = include_str!("openapi/frame.json");

/// What the frame ends with: its schemas, its components and itself.
const END: &str = "}}}";

/// What is told of beside the models.
#[derive(Clone, Copy)]
pub struct Served<'a> {
    pub limits: Limits,
    /// The paths that take JQL.
    pub jql_paths: &'a [String],
    /// Whether it is a server for tests.
    pub is_fixture: bool,
}

/// The description for that caller. `in_time` is asked on the way whether there is still time.
///
/// # Errors
/// It is larger than an answer may be, or there is no time left.
pub fn document(
    catalogue: &Catalogue,
    caller: &Authenticated,
    served: Served<'_>,
    in_time: &dyn Fn() -> Result<(), Problem>,
) -> Result<Vec<u8>, Problem> {
    let mut out = Vec::with_capacity(64 * 1024);
    frame(served.jql_paths).write(&mut out);
    out.truncate(out.len() - END.len());
    let mut schemas = Schemas { out, most: MOST_WRITTEN, in_time };
    for (name, schema) in language::schemas() {
        schemas.add(&name, &schema)?;
    }
    models::add(&mut schemas, catalogue, caller, served)?;
    let intents = INTENTS.iter().map(|rule| rule.name.into()).chain([Json::Null]);
    schemas.add("Intent", &object(vec![("enum", Json::List(intents.collect()))]))?;
    schemas.add("Code", &object(vec![("enum", list(Code::ALL.map(Code::name)))]))?;
    let mut out = schemas.out;
    out.extend_from_slice(END.as_bytes());
    Ok(out)
}

/// The schemas, each written as soon as it is made: in memory there is the text, and the tree of one of them.
struct Schemas<'a> {
    out: Vec<u8>,
    /// The most bytes that there may be.
    most: usize,
    in_time: &'a dyn Fn() -> Result<(), Problem>,
}

impl Schemas<'_> {
    /// Adds one behind those that are there.
    ///
    /// # Errors
    /// There is more than there may be, or no time left.
    fn add(&mut self, name: &str, schema: &Json) -> Result<(), Problem> {
        (self.in_time)()?;
        self.out.push(b',');
        write_string(name, &mut self.out);
        self.out.push(b':');
        schema.write(&mut self.out);
        if self.out.len() > self.most { Err(TOO_LARGE) } else { Ok(()) }
    }
}

/// All but the schemas that are made here.
fn frame(jql_paths: &[String]) -> Json {
    let mut frame = Json::parse(FRAME.as_bytes()).expect("the frame is JSON, as a test shows");
    put(&mut frame, &["info", "version"], env!("CARGO_PKG_VERSION").into());
    for code in Code::ALL {
        for status in code.statuses() {
            put(&mut frame, &["components", "responses", &status.to_string()], failure(code, *status));
        }
    }
    for status in statuses().filter(|status| *status != 405) {
        put(&mut frame, &["paths", JQL, "post", "responses", &status.to_string()], refer("responses", &status));
    }
    for about in &PAGES {
        put(&mut frame, &["paths", about.path], operations(about));
    }
    let jql = frame.get("paths").and_then(|paths| paths.get(JQL)).cloned();
    // Braces in a path would mean that it has parameters.
    let others = jql_paths.iter().filter(|path| *path != JQL && !path.contains(['{', '}']));
    for (path, number) in others.zip(2..) {
        let mut operations = jql.clone().unwrap_or(Json::Null);
        put(&mut operations, &["post", "operationId"], format!("jql{number}").as_str().into());
        put(&mut frame, &["paths", path], operations);
    }
    frame
}

/// The path of JQL in the frame.
const JQL: &str = "/jql";

/// The statuses of all that can go wrong.
fn statuses() -> impl Iterator<Item = u16> {
    Code::ALL.into_iter().flat_map(Code::statuses).copied()
}

/// What an answer with that status tells. A test sees to it that each has its sentence.
fn sentence(status: u16) -> Option<&'static str> {
    Some(match status {
        400 => "The request is malformed, or names what there is not, or gives a value that cannot be.",
        401 => "There is no key, or none that may be used.",
        403 => "The key lacks a permission, which is named, or may not be used from there.",
        404 => "There is no such record or model.",
        405 => "The path does not take the method.",
        408 => "The request did not arrive in time.",
        409 => "What is stored stands against it: a value that is taken, a record that is referred to, a version.",
        413 => "The body is too large.",
        415 => "The body is not declared as JSON, or is compressed.",
        429 => "The key was used too often, or too many wrong keys came from the address.",
        500 => "A fault of the server; its log has it under the id of the request.",
        503 => "The server has too much to do, is stopping, or its disk is full.",
        _ => return None,
    })
}

/// The answer with that status.
fn failure(code: Code, status: u16) -> Json {
    let when = sentence(status).unwrap_or_default();
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
            "200".into(),
            object(vec![
                ("description", about.answer.into()),
                ("headers", object(vec![("X-Request-Id", refer("headers", &"X-Request-Id"))])),
            ]),
        )];
        if method == "get" {
            let content = object(vec![(media, object(vec![("schema", answer.clone())]))]);
            put(&mut responses[0].1, &["content"], content);
        }
        responses
            .extend(statuses().filter(may_fail).map(|status| (status.to_string().into(), refer("responses", &status))));
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
        (method.into(), operation)
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
        members.push(((*first).into(), Json::Object(Object::new())));
        members.len() - 1
    });
    if rest.is_empty() { members[place].1 = value } else { put(&mut members[place].1, rest, value) }
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
    use crate::model;
    use serde_json::{Value, json};

    fn of(catalogue: &Catalogue) -> Vec<u8> {
        let served = Served { limits: Limits { max_limit: 1000 }, jql_paths: &["/jql".to_owned()], is_fixture: false };
        document(catalogue, &auth::operator(), served, &|| Ok(())).unwrap()
    }

    fn whole() -> Value {
        serde_json::from_slice(&of(&Catalogue::default())).unwrap()
    }

    /// A model that so many references lead to.
    fn hub(references: usize) -> Catalogue {
        let reference = |number| {
            let name = format!("way{number:04}");
            let field = json!({"type": "ref", "to": "a.Hub", "null": true, "related_name": format!("back{number:04}")});
            (name, field)
        };
        let fields: serde_json::Map<_, _> = (0..references).map(reference).collect();
        let models = json!({"a.Hub": {"fields": {}}, "a.Spoke": {"fields": fields}});
        Catalogue::new(1, model::parse::models(&Json::parse(models.to_string().as_bytes()).unwrap()).unwrap())
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
    fn every_status_has_its_sentence() {
        let sentences: Vec<&str> = statuses().map(|status| sentence(status).unwrap_or_default()).collect();
        for (status, sentence) in statuses().zip(&sentences) {
            assert!(!sentence.is_empty(), "{status}");
        }
    }

    #[test]
    fn so_many_more_relations_take_so_many_more_bytes() {
        let bytes = |relations| of(&hub(relations)).len();
        let (few, more, most) = (bytes(100), bytes(400), bytes(700));
        assert_eq!(most - more, more - few);
    }

    #[test]
    fn what_is_too_large_or_late_is_refused_while_it_is_made() {
        let mut schemas = Schemas { out: Vec::new(), most: 40, in_time: &|| Ok(()) };
        assert_eq!(schemas.add("A", &plain("string")), Ok(()));
        assert_eq!(schemas.add("B", &plain("string")), Err(TOO_LARGE));
        let served = Served { limits: Limits { max_limit: 1000 }, jql_paths: &[], is_fixture: true };
        let late = document(&hub(3), &auth::operator(), served, &|| Err(Problem::Busy));
        assert_eq!(late, Err(Problem::Busy));
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
