//! Requests made of the server's own description, `/openapi.json`: of every intent, lookup, transform and function
//! that there is. What JSON Schema cannot say, such as which names lead somewhere, is chosen from what is there.

use crate::dice::Dice;
use crate::support::{Client, Server};
use proptest::strategy::{Strategy, ValueTree};
use proptest::string::string_regex;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use serde_json::{Map, Value, json};
use std::collections::BTreeSet;

pub struct Grammar {
    schemas: Map<String, Value>,
    /// The names of fields, and of ways to other records.
    pub names: Vec<String>,
    /// The requests that there are: a model or controller, and an intent.
    pub requests: Vec<String>,
}

/// Names that stand for values of these types in the records of the tests.
const WORDS: [&str; 12] =
    ["Billing", "urgent", "open", "closed", "a", "the", "refund", "x@example.com", "WVWZZZ1JZXW000001", "1", "ß", ""];
/// How deep one value may stand in another.
const DEEP: usize = 7;

impl Grammar {
    /// That of a key.
    pub fn of(server: &Server, key: &str) -> Grammar {
        let head = format!("Authorization: Bearer {key}\r\n");
        let reply = Client::connect(&server.address).request("GET", "/openapi.json", &head, "");
        assert_eq!(reply.status, 200, "{}", reply.body);
        let document = reply.json();
        let schemas = document["components"]["schemas"].as_object().unwrap().clone();
        let requests = schemas["Request"]["anyOf"].as_array().unwrap().iter();
        let requests = requests.map(|schema| last(schema["$ref"].as_str().unwrap())).collect();
        Grammar { names: names(&schemas), schemas, requests }
    }

    /// Any request.
    pub fn any(&self, dice: &mut Dice) -> Value {
        let name = dice.pick(&self.requests).clone();
        self.request(&name, dice)
    }

    /// One of that name, such as `tickets.Ticket.retrieve`.
    pub fn request(&self, name: &str, dice: &mut Dice) -> Value {
        self.value("", &self.schemas[name], dice, 0)
    }

    /// A value that the schema takes; `name` is what it stands under.
    fn value(&self, name: &str, schema: &Value, dice: &mut Dice, depth: usize) -> Value {
        if let Some(reference) = schema["$ref"].as_str() {
            return self.value(name, &self.schemas[&last(reference)], dice, depth);
        }
        if let Some(fixed) = schema.get("const") {
            return fixed.clone();
        }
        if let Some(choices) = schema["enum"].as_array() {
            return dice.pick(choices).clone();
        }
        let kind = match &schema["type"] {
            Value::Array(kinds) => dice.pick(kinds).as_str(),
            kind => kind.as_str(),
        };
        match (kind, schema["anyOf"].as_array()) {
            (None, Some(forms)) if depth > DEEP => self.value(name, &forms[0], dice, depth),
            (None, Some(forms)) => self.value(name, dice.pick(forms), dice, depth),
            (None, None) => anything(dice),
            (Some("object"), _) => self.object(name, schema, dice, depth + 1),
            (Some("array"), _) => {
                let least = schema["minItems"].as_u64().unwrap_or(0) as usize;
                let most = schema["maxItems"].as_u64().unwrap_or(3).min(3) as usize;
                let count = if depth > DEEP { least } else { dice.between(least, most.max(least)) };
                (0..count).map(|_| self.value(name, &schema["items"], dice, depth + 1)).collect()
            }
            (Some("string"), _) => self.string(name, schema, dice),
            (Some("integer"), _) => integer(schema, dice),
            (Some("number"), _) => json!(*dice.pick(&[0.0, -1.5, 5.25, 1e300, 0.1])),
            (Some("boolean"), _) => json!(dice.one_in(2)),
            _ => Value::Null,
        }
    }

    fn object(&self, name: &str, schema: &Value, dice: &mut Dice, depth: usize) -> Value {
        let none = Map::new();
        let properties = schema["properties"].as_object().unwrap_or(&none);
        if properties.is_empty() && schema.get("additionalProperties").is_none() && name != "models" {
            return self.conditions(name, dice, depth);
        }
        let required: Vec<&str> =
            schema["required"].as_array().into_iter().flatten().map(|name| name.as_str().unwrap()).collect();
        let mut made = Map::new();
        let one_in = if depth > DEEP { usize::MAX } else { (properties.len() / 3).max(2) };
        for (name, schema) in properties {
            let is_wanted = depth <= DEEP && dice.one_in(one_in);
            if required.contains(&name.as_str()) || is_wanted {
                made.insert(name.clone(), self.value(name, schema, dice, depth));
            }
        }
        let patterns = schema["patternProperties"].as_object().unwrap_or(&none);
        for (pattern, schema) in patterns {
            if depth <= DEEP && dice.one_in(patterns.len() * 2) {
                let mut name = fitting(pattern, dice);
                if !pattern.ends_with('$') {
                    name += dice.pick(&self.names).as_str();
                }
                made.insert(name.clone(), self.value(&name, schema, dice, depth));
            }
        }
        if schema["additionalProperties"].is_object() && depth <= DEEP {
            for number in 0..dice.below(3) {
                let more = self.value("", &schema["additionalProperties"], dice, depth);
                made.insert(format!("n{number}"), more);
            }
        }
        made.into()
    }

    /// What a description calls only an object: conditions, or something that has none of its own.
    fn conditions(&self, name: &str, dice: &mut Dice, depth: usize) -> Value {
        match name {
            "filter" | "exclude" if depth <= DEEP => {
                let filters: Vec<&String> = self.schemas.keys().filter(|name| name.ends_with(".filter")).collect();
                if filters.is_empty() {
                    json!({})
                } else {
                    self.value("", &self.schemas[*dice.pick(&filters)], dice, depth)
                }
            }
            "having" => json!({(format!("n{}__gte", dice.below(2))): dice.below(5)}),
            "values" => json!({"open": "o", "1": 1}),
            _ => json!({}),
        }
    }

    fn string(&self, name: &str, schema: &Value, dice: &mut Dice) -> Value {
        if let Some(pattern) = schema["pattern"].as_str() {
            return fitting(pattern, dice).into();
        }
        let text = match schema["format"].as_str() {
            Some("date") => format!("2024-0{}-1{}", dice.between(1, 9), dice.below(10)),
            Some("date-time") => format!("2024-05-0{}T09:30:00Z", dice.between(1, 9)),
            Some("uuid") => format!("00000000-0000-4000-8000-00000000000{}", dice.below(10)),
            _ => match name {
                "__field__" | "onField" | "field" | "referenceField" | "ordering" => dice.pick(&self.names).clone(),
                "overlap" => (*dice.pick(&["1h", "0s", "30d", "soon"])).to_owned(),
                _ => (*dice.pick(&WORDS)).to_owned(),
            },
        };
        let most = schema["maxLength"].as_u64().unwrap_or(u64::MAX) as usize;
        text.chars().take(most).collect::<String>().into()
    }
}

fn last(reference: &str) -> String {
    reference.rsplit('/').next().unwrap().to_owned()
}

/// All names that requests ask for or compare.
fn names(schemas: &Map<String, Value>) -> Vec<String> {
    let of_requests = |name: &&String| ["retrieve", "filter", "one", "list"].iter().any(|end| name.ends_with(end));
    let mut all = BTreeSet::new();
    for name in schemas.keys().filter(of_requests) {
        all.extend(schemas[name]["properties"].as_object().into_iter().flat_map(|all| all.keys().cloned()));
    }
    all.insert("pk".to_owned());
    all.into_iter().filter(|name| name != "__meta__").collect()
}

fn integer(schema: &Value, dice: &mut Dice) -> Value {
    let least = schema["minimum"].as_i64().unwrap_or(-2);
    let most = schema["maximum"].as_i64().unwrap_or(i64::MAX).min(least.saturating_add(8));
    json!(least + dice.below((most - least + 1) as usize) as i64)
}

/// A value of any kind.
fn anything(dice: &mut Dice) -> Value {
    let all = [json!(null), json!(true), json!(1), json!("a"), json!([1, "a"]), json!({"a": {"b": 1}}), json!(-2.5)];
    dice.pick(&all).clone()
}

/// A text that fits a pattern.
fn fitting(pattern: &str, dice: &mut Dice) -> String {
    let bare = pattern.trim_start_matches('^').trim_end_matches('$');
    let mut seed = [0; 32];
    seed[..8].copy_from_slice(&dice.next().to_le_bytes());
    let random = TestRng::from_seed(RngAlgorithm::ChaCha, &seed);
    let mut runner = TestRunner::new_with_rng(Config { failure_persistence: None, ..Config::default() }, random);
    let texts = string_regex(bare).unwrap_or_else(|error| panic!("{pattern}: {error}"));
    texts.new_tree(&mut runner).unwrap().current()
}
