//! The envelope of every answer, and its HTTP status. Nothing else makes either.

use crate::error::{Code, Error, Problem};
use crate::json::{Json, write_integer, write_list, write_string};
use crate::plan::Plan;
use crate::request::{Intent, Request};
use crate::run::Outcome;
use crate::shape;
use std::collections::BTreeSet;

/// A finished answer.
#[derive(Clone, Debug)]
pub struct Reply {
    pub status: u16,
    pub body: Vec<u8>,
    /// The first error's code.
    pub code: Option<Code>,
    /// Records in `data`.
    pub rows: u64,
    /// SQL statements run.
    pub queries: u64,
    /// Headers that the status calls for.
    pub headers: Vec<(&'static str, String)>,
}

/// What is known of a request when it fails; each part as soon as it is read.
#[derive(Clone, Debug, Default)]
pub struct Echo {
    pub intent: Option<&'static str>,
    pub draw: Option<Json>,
}

impl Echo {
    pub fn of(request: &Request) -> Echo {
        Echo { intent: Some(request.intent.rule().name), draw: request.draw.clone() }
    }
}

/// The answer to a request that was carried out.
pub fn success(plan: &Plan, intent: Intent, echo: &Echo, outcome: &Outcome, queries: u64) -> Reply {
    let mut data = Vec::with_capacity(1024);
    let mut truncated = BTreeSet::new();
    let model = &plan.model.namespace;
    let mut at_least = false;
    let (filtered, display, message) = match outcome {
        Outcome::Page { page, filtered } => {
            shape::records(page, &mut truncated, &mut data);
            let display = page.rows.len() as u64;
            at_least = filtered.is_some_and(|filtered| filtered.at_least);
            let message = match filtered {
                Some(filtered) if filtered.at_least => {
                    format!("{display} of at least {} {model} records.", filtered.count)
                }
                Some(filtered) => format!("{display} of {} {model} records.", filtered.count),
                None => format!("{display} {model} records."),
            };
            (filtered.map(|filtered| filtered.count), display, message)
        }
        Outcome::One(loaded) => {
            shape::record(loaded, &mut truncated, &mut data);
            let done = match intent {
                Intent::Create => "created",
                Intent::Update => "updated",
                _ => "retrieved",
            };
            (Some(1), 1, format!("{} {done} successfully.", model.name))
        }
        Outcome::Count(count) => {
            data.extend_from_slice(b"{\"count\":");
            data.extend_from_slice(count.to_string().as_bytes());
            data.push(b'}');
            (Some(*count), 0, format!("{count} {model} records."))
        }
        Outcome::Deleted => {
            data.extend_from_slice(b"null");
            (Some(1), 0, format!("{} deleted successfully.", model.name))
        }
    };
    let extras = Extras { filtered, at_least, display, queries, draw: echo.draw.as_ref(), truncated };
    let body = envelope("OK", &data, b"null", &extras, echo.intent, &message);
    Reply { status: 200, body, code: None, rows: display, queries, headers: Vec::new() }
}

/// The answer to a request that was not. `errors` must not be empty.
pub fn failure(errors: &[Error], echo: &Echo, queries: u64) -> Reply {
    let fallback = Error::from(Problem::Fault { cause: "no error was given".into() });
    let errors = if errors.is_empty() { std::slice::from_ref(&fallback) } else { errors };
    let first = &errors[0].problem;
    let mut list = Vec::new();
    write_list(errors.iter(), &mut list, write_error);
    let extras = Extras { filtered: Some(0), queries, draw: echo.draw.as_ref(), ..Extras::default() };
    let body = envelope("ERROR", b"null", &list, &extras, echo.intent, &first.to_string());
    let mut headers = Vec::new();
    if first.code() == Code::Authentication {
        headers.push(("WWW-Authenticate", "Bearer".to_owned()));
    }
    if let Some(seconds) = first.retry_after() {
        headers.push(("Retry-After", seconds.to_string()));
    }
    if let Problem::MethodNotAllowed { allow } = first {
        headers.push(("Allow", (*allow).to_owned()));
    }
    Reply { status: first.status(), body, code: Some(first.code()), rows: 0, queries, headers }
}

/// The answer of the server about itself: no records, only a word.
pub fn note(message: &str) -> Reply {
    let body = envelope("OK", b"null", b"null", &Extras { filtered: Some(0), ..Extras::default() }, None, message);
    Reply { status: 200, body, code: None, rows: 0, queries: 0, headers: Vec::new() }
}

/// The answer to a browser that asks whether a page of another origin may send requests.
pub fn preflight() -> Reply {
    let headers = vec![
        ("Access-Control-Allow-Methods", "POST".to_owned()),
        ("Access-Control-Allow-Headers", "Authorization, Content-Type, Idempotency-Key, X-Request-Id".to_owned()),
        ("Access-Control-Max-Age", "600".to_owned()),
    ];
    Reply { headers, ..note("ask away") }
}

#[derive(Default)]
struct Extras<'a> {
    filtered: Option<u64>,
    at_least: bool,
    display: u64,
    queries: u64,
    draw: Option<&'a Json>,
    truncated: BTreeSet<String>,
}

fn envelope(
    status: &str,
    data: &[u8],
    errors: &[u8],
    extras: &Extras<'_>,
    intent: Option<&str>,
    message: &str,
) -> Vec<u8> {
    let mut out = Vec::with_capacity(data.len() + errors.len() + 256);
    out.extend_from_slice(b"{\"status\":");
    write_string(status, &mut out);
    out.extend_from_slice(b",\"data\":");
    out.extend_from_slice(data);
    out.extend_from_slice(b",\"errors\":");
    out.extend_from_slice(errors);
    out.extend_from_slice(b",\"il8n\":\"en-gb\",\"extras\":");
    write_extras(extras, &mut out);
    out.extend_from_slice(b",\"system_info\":null,\"intent\":");
    match intent {
        Some(intent) => write_string(intent, &mut out),
        None => out.extend_from_slice(b"null"),
    }
    out.extend_from_slice(b",\"message\":");
    write_string(message, &mut out);
    out.push(b'}');
    out
}

fn write_extras(extras: &Extras<'_>, out: &mut Vec<u8>) {
    out.extend_from_slice(b"{\"filtered\":");
    match extras.filtered {
        Some(filtered) => write_count(filtered, out),
        None => out.extend_from_slice(b"null"),
    }
    if extras.at_least {
        out.extend_from_slice(b",\"filteredAtLeast\":true");
    }
    out.extend_from_slice(b",\"display\":");
    write_count(extras.display, out);
    out.extend_from_slice(b",\"queries\":");
    write_count(extras.queries, out);
    if let Some(draw) = extras.draw {
        out.extend_from_slice(b",\"draw\":");
        draw.write(out);
    }
    if !extras.truncated.is_empty() {
        out.extend_from_slice(b",\"truncated\":");
        write_list(extras.truncated.iter(), out, |path, out| write_string(path, out));
    }
    out.push(b'}');
}

fn write_count(count: u64, out: &mut Vec<u8>) {
    write_integer(i64::try_from(count).unwrap_or(i64::MAX), out);
}

fn write_error(error: &Error, out: &mut Vec<u8>) {
    out.extend_from_slice(b"{\"code\":");
    write_string(error.problem.code().name(), out);
    out.extend_from_slice(b",\"errorMessage\":");
    write_string(&error.problem.to_string(), out);
    if let Some(pointer) = &error.pointer {
        out.extend_from_slice(b",\"pointer\":");
        write_string(pointer, out);
    }
    if let Some(hint) = error.problem.hint() {
        out.extend_from_slice(b",\"hint\":");
        write_string(&hint, out);
    }
    out.push(b'}');
}
