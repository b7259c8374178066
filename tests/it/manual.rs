//! The manual: every example in it is sent to one server, in order, and answered as the manual says; those about a server
//! for tests are sent to one.
//!
//! A `json` block is a request, the next one its answer. The models of the examples are marked `json models`; what
//! is no example `json piece`. What the manual leaves out of answers it says itself, and [`Example::whole`] puts back.
//! That no name is missing in the manual is held by `src/manual.rs`.

use crate::support::markdown::{Fence, fences};
use crate::support::{Client, Reply, Server, assert_json, eventually};
use serde_json::{Map, Value, json};
use std::collections::HashMap;

const MANUAL: &str = include_str!("../../docs/jql.md");
const README: &str = include_str!("../../README.md");

/// What stands for a text that differs each time, or for what would be too long.
const ANY: &str = "…";
const ENVELOPE: [&str; 8] = ["status", "data", "errors", "il8n", "extras", "system_info", "intent", "message"];

/// A request of the manual, and its answer.
struct Example {
    /// Where it stands, for whoever has to mend it.
    at: String,
    request: String,
    /// One more header that it is sent with.
    header: Option<(String, String)>,
    /// The permissions of its key, where that is not the one that may do everything.
    permissions: Option<String>,
    has_key: bool,
    status: u16,
    /// A header that it is answered with.
    answered: Option<(String, String)>,
    /// What the manual shows of the answer.
    answer: Value,
}

impl Example {
    #[track_caller]
    fn new(request: Fence, answer: &Fence) -> Example {
        let at = format!("docs/jql.md, line {}", request.line);
        assert!(
            json(&request)["__meta__"].is_object(),
            "{at}: no request; what is only a piece of one is `json piece`"
        );
        let (status, answered) = match answer.before.strip_prefix("Answered with ") {
            Some(told) => (told[..3].parse().unwrap(), quoted(told, "and `").map(|header| parted(&header))),
            None => (200, None),
        };
        assert!(answer.before.is_empty() || status != 200 || answered.is_some(), "{at}: its answer does not follow it");
        Example {
            header: quoted(&request.before, "with the header `").map(|header| parted(&header)),
            permissions: quoted(&request.before, "with a key that may only `"),
            has_key: !request.before.contains("without a key"),
            request: request.text,
            status,
            answered,
            answer: json(answer),
            at,
        }
    }

    /// The whole answer that the manual means. `actual` fills in what differs each time.
    #[track_caller]
    fn whole(&self, actual: &Value) -> Value {
        let shown = self.answer.as_object().unwrap();
        for key in shown.keys() {
            assert!(ENVELOPE.contains(&key.as_str()), "{}: an answer has no member {key}", self.at);
        }
        let member = |key: &str| match shown.get(key) {
            Some(shown) => resolved(shown, &actual[key]),
            None => self.left_out(key, actual),
        };
        ENVELOPE.iter().map(|key| ((*key).to_owned(), member(key))).collect::<Map<_, _>>().into()
    }

    /// What an answer holds where the manual leaves it out, as it says in its introduction.
    #[track_caller]
    fn left_out(&self, key: &str, actual: &Value) -> Value {
        let succeeds = self.status == 200;
        match key {
            "status" => (if succeeds { "OK" } else { "ERROR" }).into(),
            "errors" if succeeds => Value::Null,
            "data" if !succeeds => Value::Null,
            "il8n" => "en-gb".into(),
            "system_info" => Value::Null,
            "intent" => self.intent(),
            "message" if succeeds => {
                assert!(actual[key].as_str().is_some_and(|message| !message.is_empty()), "{}: no message", self.at);
                actual[key].clone()
            }
            "message" => self.answer["errors"][0]["errorMessage"].clone(),
            "extras" if !succeeds => json!({"filtered": 0, "display": 0, "queries": 0}),
            "extras" => {
                let (filtered, display) = counts(&actual["data"]);
                let queries = &actual[key]["queries"];
                assert!(queries.is_u64(), "{}: no queries", self.at);
                json!({"filtered": filtered, "display": display, "queries": queries})
            }
            _ => panic!("{}: its answer shows no {key}", self.at),
        }
    }

    /// The intent's own name; none where the request was refused before it was read.
    fn intent(&self) -> Value {
        let request: Value = serde_json::from_str(&self.request).unwrap();
        match request["__meta__"]["intent"].as_str() {
            _ if matches!(self.status, 401 | 415) => Value::Null,
            Some("read") => "retrieve".into(),
            Some("delete") => "deleteOne".into(),
            other => other.into(),
        }
    }
}

/// How many records match, and how many are there, where an answer's `data` tells all of it.
fn counts(data: &Value) -> (u64, u64) {
    match data {
        Value::Array(records) => (records.len() as u64, records.len() as u64),
        Value::Null => (1, 0), // one was deleted
        count if count.as_object().is_some_and(|count| count.keys().eq(["count"])) => {
            (count["count"].as_u64().unwrap(), 0)
        }
        _ => (1, 1),
    }
}

/// What is shown, with the actual text wherever any will do.
fn resolved(shown: &Value, actual: &Value) -> Value {
    match (shown, actual) {
        (Value::String(any), Value::String(text)) if any == ANY && !text.is_empty() => actual.clone(),
        (Value::String(any), Value::Array(_) | Value::Object(_)) if any == ANY => actual.clone(),
        (Value::Array(items), _) => items.iter().enumerate().map(|(at, item)| resolved(item, &actual[at])).collect(),
        (Value::Object(members), _) => {
            let members = members.iter().map(|(name, value)| (name.clone(), resolved(value, &actual[name])));
            members.collect::<Map<_, _>>().into()
        }
        _ => shown.clone(),
    }
}

#[track_caller]
fn json(fence: &Fence) -> Value {
    serde_json::from_str(&fence.text).unwrap_or_else(|error| panic!("docs/jql.md, line {}: {error}", fence.line))
}

/// The text behind these words, up to the next backtick.
fn quoted(text: &str, words: &str) -> Option<String> {
    Some(text.split_once(words)?.1.split('`').next()?.to_owned())
}

fn parted(header: &str) -> (String, String) {
    let (name, value) = header.split_once(": ").unwrap();
    (name.to_owned(), value.to_owned())
}

/// The blocks of the manual, each for what it is.
#[derive(Default)]
struct Manual {
    models: String,
    examples: Vec<Example>,
    /// Lines to be typed into a shell.
    commands: Vec<String>,
}

/// Reads the manual, and leaves no block out.
fn manual() -> Manual {
    let mut manual = Manual::default();
    let mut waiting: Option<Fence> = None;
    for fence in fences(MANUAL) {
        match (fence.kind.as_str(), waiting.take()) {
            ("json", Some(request)) => manual.examples.push(Example::new(request, &fence)),
            (_, Some(request)) => panic!("docs/jql.md, line {}: a request without its answer", request.line),
            ("json", None) => waiting = Some(fence),
            ("json models", None) => manual.models.push_str(&fence.text),
            ("json piece", None) => drop(json(&fence)),
            ("sh", None) => manual.commands.extend(fence.text.lines().map(str::to_owned)),
            (other, None) => panic!("docs/jql.md, line {}: no test reads a block of the kind {other}", fence.line),
        }
    }
    assert!(waiting.is_none(), "docs/jql.md ends with a request without its answer");
    manual
}

/// Whoever reads the manual and sends its examples.
struct Reader {
    server: Server,
    /// One for tests.
    fixture: Server,
    /// The keys made for some examples, by their permissions.
    keys: HashMap<String, String>,
    /// The last cursor that was answered.
    cursor: String,
}

impl Reader {
    fn send(&mut self, example: &Example) -> Reply {
        let body =
            example.request.replace(&format!("\"after\": \"{ANY}\""), &format!("\"after\": \"{}\"", self.cursor));
        assert!(!body.contains(&format!("\"{ANY}\"")), "{}: what is to be sent there?", example.at);
        let server = if body.contains("\"system.Fixture\"") { &self.fixture } else { &self.server };
        let key = match &example.permissions {
            None => &server.key,
            Some(permissions) => {
                self.keys.entry(permissions.clone()).or_insert_with(|| self.server.key_for(permissions))
            }
        };
        let mut headers = vec![
            ("Content-Type".to_owned(), "application/json".to_owned()),
            ("Content-Length".to_owned(), body.len().to_string()),
        ];
        headers.extend(example.has_key.then(|| ("Authorization".to_owned(), format!("Bearer {key}"))));
        if let Some(more) = &example.header {
            headers.retain(|(name, _)| *name != more.0);
            headers.push(more.clone());
        }
        let head: String = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
        let reply = Client::connect(&server.address).request("POST", "/jql", &head, &body);
        if let Some(cursor) = reply.json()["extras"]["next"].as_str() {
            self.cursor = cursor.to_owned();
        }
        reply
    }

    /// Sends an example and compares the whole of its answer.
    fn check(&mut self, example: &Example) {
        let mut reply = self.send(example);
        if example.answer["extras"]["cached"] == true {
            // The memory is never waited for, so another request may be needed.
            eventually(&example.at, || {
                reply = self.send(example);
                reply.json()["extras"]["cached"] == true
            });
        }
        println!("{}", example.at); // shown where the comparison fails
        assert_eq!(reply.status, example.status, "{}", reply.body);
        if let Some((name, value)) = &example.answered {
            assert_eq!(reply.header(&name.to_ascii_lowercase()), Some(value.as_str()), "{name}");
        }
        let actual = reply.json();
        let expected = example.whole(&actual);
        assert_json(&actual, &expected);
        assert_eq!(actual.to_string(), expected.to_string(), "the order of members");
    }
}

#[test]
fn every_example_is_answered_as_shown() {
    let manual = manual();
    assert!(manual.examples.len() > 100, "{}", manual.examples.len());
    let server = Server::with(&manual.models, &[]);
    let fixture = Server::ephemeral(&manual.models, &["--now", "2026-01-31"]);
    let mut reader = Reader { server, fixture, keys: HashMap::new(), cursor: String::new() };
    for example in &manual.examples {
        reader.check(example);
    }
}

/// The README's tour is run, so a command that stands there works.
#[test]
fn every_command_is_one_of_the_readme() {
    let manual = manual();
    assert!(!manual.commands.is_empty());
    for command in manual.commands {
        assert!(README.lines().any(|line| line == command), "docs/jql.md: {command}");
    }
}
