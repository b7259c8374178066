//! The envelope of every answer, and its HTTP status. Nothing else makes either. Two answers of the server about
//! itself are a page instead, in a form that others have set.

use crate::apply;
use crate::budget::{Budget, Share};
use crate::error::{Code, Error, Problem};
use crate::intent::Intent;
use crate::json::{Json, write_integer, write_list, write_string};
use crate::plan::{Plan, Work};
use crate::request::{Ask, Batch};
use crate::run::Outcome;
use crate::shape::Shape;
use std::collections::BTreeSet;
use std::sync::Arc;

/// A finished answer.
#[derive(Debug)]
pub struct Reply {
    pub status: u16,
    pub body: Vec<u8>,
    /// The type of the body.
    pub media: &'static str,
    /// The first error's code.
    pub code: Option<Code>,
    /// Records in `data`.
    pub rows: u64,
    /// SQL statements run.
    pub queries: u64,
    /// What browsers and proxies may keep of it.
    pub keeping: &'static str,
    /// Headers that the status calls for.
    pub headers: Vec<(&'static str, String)>,
    /// Whether the text of a key is in it, so that it may be kept nowhere.
    pub holds_secret: bool,
    /// What it takes of the memory for answers, where it is counted: what may be large is.
    share: Option<Share>,
}

impl Reply {
    /// Counts it among the answers that are being sent, until it is dropped. To be called where it is made.
    ///
    /// # Errors
    /// There is no room for it.
    pub fn counted(mut self, answers: &Arc<Budget>) -> Result<Reply, Problem> {
        self.share.insert(answers.share()).cover(self.body.len())?;
        Ok(self)
    }
}

/// The media type of envelopes.
pub const JSON: &str = "application/json; charset=utf-8";

/// Nothing of it is kept.
pub const NOTHING: &str = "no-store";
/// It is kept, and not used again before the server was asked whether it is still so.
pub const ASK_AGAIN: &str = "no-cache";

/// What is known of a request when it fails; each part as soon as it is read.
#[derive(Clone, Debug, Default)]
pub struct Echo {
    pub intent: Option<&'static str>,
    pub draw: Option<Json>,
}

impl Echo {
    pub fn of(ask: &Ask) -> Echo {
        let draw = match ask {
            Ask::Model(request) => &request.draw,
            Ask::Batch(batch) => &batch.draw,
            Ask::Fixture(asked) => &asked.draw,
        };
        Echo { intent: Some(ask.intent().rule().name), draw: draw.clone() }
    }
}

/// What a request that was carried out is answered with, before it is put into its envelope.
#[derive(Clone, Debug, Default)]
pub struct Answer {
    data: Vec<u8>,
    /// Records that match, or were touched; `None` where nobody asked.
    filtered: Option<u64>,
    at_least: bool,
    display: u64,
    queries: u64,
    next: Option<String>,
    truncated: BTreeSet<String>,
    message: String,
    /// Whether the text of a key is in it.
    holds_secret: bool,
}

impl Answer {
    /// # Errors
    /// It would be too large.
    pub fn of(plan: &Plan, outcome: &Outcome, queries: u64) -> Result<Answer, Problem> {
        let mut shape = Shape::default();
        let mut data = Vec::with_capacity(1024);
        let model = &plan.model.namespace;
        let mut answer = Answer { queries, ..Answer::default() };
        match outcome {
            Outcome::Page { page, filtered, next } => {
                shape.records(page, &mut data);
                answer.display = page.rows.len() as u64;
                answer.filtered = filtered.map(|filtered| filtered.count);
                answer.at_least = filtered.is_some_and(|filtered| filtered.at_least);
                answer.next.clone_from(next);
                answer.message = match &plan.work {
                    Work::Groups { grouped, .. } => {
                        let of = format!("groups of {} records", grouped.model.namespace);
                        answer.counted(&of)
                    }
                    _ => answer.counted(&format!("{model} records")),
                };
            }
            Outcome::One { loaded, done, key } => {
                shape.record(loaded, &mut data);
                if let Some(key) = key {
                    let mut first = b"{\"key\":".to_vec();
                    write_string(key.reveal(), &mut first);
                    first.extend_from_slice(if data == b"{}" { b"" } else { b"," });
                    data.splice(0..1, first);
                    answer.holds_secret = true;
                }
                (answer.filtered, answer.display) = (Some(1), 1);
                answer.message = format!("{} {done} successfully.", model.name());
                if let Work::Key { missing, .. } = &plan.work {
                    answer.message.extend(missing.iter().map(|model| format!(" There is no model {model} yet.")));
                }
            }
            Outcome::Made(loaded) => {
                shape.records(loaded, &mut data);
                let made = loaded.rows.len() as u64;
                (answer.filtered, answer.display) = (Some(made), made);
                answer.message = format!("{made} {model} records created.");
            }
            Outcome::Count(count) => {
                write_count_object(*count, &mut data);
                answer.filtered = Some(*count);
                answer.message = format!("{count} {model} records.");
            }
            Outcome::Touched { count, done } => {
                write_count_object(*count, &mut data);
                answer.filtered = Some(*count);
                answer.message = format!("{count} {model} records {done}.");
            }
            Outcome::Compared(planned) => {
                Json::Object(planned.members()).write(&mut data);
                (answer.filtered, answer.display) = (Some(1), 1);
                answer.message = match planned.changes.len() {
                    0 => "Nothing to change.".to_owned(),
                    1 => "1 change.".to_owned(),
                    count => format!("{count} changes."),
                };
            }
            Outcome::Applied { planned, is_new, version } => {
                let mut members = vec![("version".into(), Json::Integer(*version))];
                members.extend(planned.members().into_iter().filter(|(name, _)| name != apply::OBSTACLES));
                Json::Object(members).write(&mut data);
                (answer.filtered, answer.display) = (Some(1), 1);
                let done = if *is_new { "Applied" } else { "Nothing to change" };
                answer.message = format!("{done}: version {version} of the models is in force.");
            }
            Outcome::Deleted => {
                data.extend_from_slice(b"null");
                answer.filtered = Some(1);
                answer.message = format!("{} deleted successfully.", model.name());
            }
        }
        let truncated = shape.finish(&data)?;
        Ok(Answer { data, truncated, ..answer })
    }

    /// One that tells of the server and of no record: so many things.
    pub fn told(data: Vec<u8>, count: u64, message: String) -> Answer {
        Answer { data, filtered: Some(count), display: count, message, ..Answer::default() }
    }

    /// It took so many statements.
    pub fn after(self, queries: u64) -> Answer {
        Answer { queries, ..self }
    }

    /// That of a batch: the envelopes of its requests.
    pub fn of_batch(batch: &Batch, replies: &[Reply], queries: u64) -> Answer {
        let mut data = Vec::with_capacity(replies.iter().map(|reply| reply.body.len() + 1).sum::<usize>() + 2);
        write_list(replies.iter(), &mut data, |reply, out| out.extend_from_slice(&reply.body));
        let failed = replies.iter().filter(|reply| reply.status != 200).count();
        let message = match (batch.requests.len(), failed) {
            (count, 0) => format!("{count} requests carried out."),
            (count, failed) => format!("{} of {count} requests carried out.", count - failed),
        };
        let count = replies.len() as u64;
        let holds_secret = replies.iter().any(|reply| reply.holds_secret);
        Answer { data, filtered: Some(count), display: count, queries, message, holds_secret, ..Answer::default() }
    }

    fn counted(&self, what: &str) -> String {
        match self.filtered {
            Some(count) if self.at_least => format!("{} of at least {count} {what}.", self.display),
            Some(count) => format!("{} of {count} {what}.", self.display),
            None => format!("{} {what}.", self.display),
        }
    }

    /// The envelope; `cached` says that it comes from memory.
    pub fn reply(&self, echo: &Echo, cached: bool) -> Reply {
        let queries = if cached { 0 } else { self.queries };
        let extras = Extras {
            filtered: self.filtered,
            at_least: self.at_least,
            display: self.display,
            queries,
            draw: echo.draw.as_ref(),
            next: self.next.as_deref(),
            cached,
            index: None,
            truncated: Some(&self.truncated),
        };
        let body = envelope("OK", &self.data, b"null", &extras, echo.intent, &self.message);
        Reply { rows: self.display, queries, holds_secret: self.holds_secret, ..page(JSON, body) }
    }

    /// The same, counted among those that are being sent: the room is taken before the copy is made.
    ///
    /// # Errors
    /// There is no room for it.
    pub fn reply_within(&self, answers: &Arc<Budget>, echo: &Echo, cached: bool) -> Result<Reply, Problem> {
        let mut share = answers.share();
        share.cover(self.data.len())?;
        let reply = self.reply(echo, cached);
        share.cover(reply.body.len())?;
        Ok(Reply { share: Some(share), ..reply })
    }

    /// The same in no more memory than it needs, for one that is kept.
    pub fn compact(mut self) -> Answer {
        self.data.shrink_to_fit();
        self.message.shrink_to_fit();
        self
    }

    /// About how many bytes it takes.
    pub fn size(&self) -> usize {
        let truncated: usize = self.truncated.iter().map(|path| path.capacity() + 64).sum();
        let texts = self.data.capacity() + self.message.capacity() + self.next.as_ref().map_or(0, String::capacity);
        size_of::<Answer>() + texts + truncated + 64
    }
}

fn write_count_object(count: u64, out: &mut Vec<u8>) {
    out.extend_from_slice(b"{\"count\":");
    write_count(count, out);
    out.push(b'}');
}

/// The answer to a request that was not. `errors` must not be empty.
pub fn failure(errors: &[Error], echo: &Echo) -> Reply {
    let fallback = Error::from(Problem::Fault { cause: "no error was given".into() });
    let errors = if errors.is_empty() { std::slice::from_ref(&fallback) } else { errors };
    let first = &errors[0].problem;
    let mut list = Vec::new();
    write_list(errors.iter(), &mut list, write_error);
    let index = failed_request(errors).filter(|_| echo.intent == Some(Intent::Execute.rule().name));
    let extras = Extras { filtered: Some(0), draw: echo.draw.as_ref(), index, ..Extras::default() };
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
    Reply { status: first.status(), code: Some(first.code()), headers, ..page(JSON, body) }
}

/// Which request of a batch it was that failed: all that is wrong with it stands below its place.
fn failed_request(errors: &[Error]) -> Option<usize> {
    errors.first()?.pointer.as_ref()?.strip_prefix("/requests/")?.split('/').next()?.parse().ok()
}

/// The answer to a write that was carried out before: the envelope that was kept of it.
pub fn replayed(body: Vec<u8>) -> Reply {
    let headers = vec![("Idempotency-Replayed", "true".to_owned())];
    Reply { headers, ..page(JSON, body) }
}

/// The answer of the server about itself: no records, only a word.
pub fn note(message: &str) -> Reply {
    let body = envelope("OK", b"null", b"null", &Extras { filtered: Some(0), ..Extras::default() }, None, message);
    page(JSON, body)
}

/// An answer that is no envelope.
pub fn page(media: &'static str, body: Vec<u8>) -> Reply {
    Reply {
        status: 200,
        body,
        media,
        code: None,
        rows: 0,
        queries: 0,
        keeping: NOTHING,
        headers: Vec::new(),
        holds_secret: false,
        share: None,
    }
}

/// The answer to a client that has the page already: it is sent without its body.
pub fn unchanged(page: Reply) -> Reply {
    Reply { status: 304, ..page }
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

/// An envelope with every member that there is, for the test of the manual.
#[cfg(test)]
pub fn whole() -> Vec<u8> {
    let truncated = BTreeSet::from(["tickets".to_owned()]);
    let extras = Extras {
        filtered: Some(1),
        at_least: true,
        display: 1,
        queries: 1,
        draw: Some(&Json::Null),
        next: Some("cursor"),
        cached: true,
        index: Some(0),
        truncated: Some(&truncated),
    };
    let mut errors = Vec::new();
    let error = Error::at("/__meta__/authenticationClass", Problem::UnknownClass { given: "none".into() });
    write_list(std::iter::once(&error), &mut errors, write_error);
    envelope("ERROR", b"null", &errors, &extras, None, "")
}

#[derive(Default)]
struct Extras<'a> {
    filtered: Option<u64>,
    at_least: bool,
    display: u64,
    queries: u64,
    draw: Option<&'a Json>,
    next: Option<&'a str>,
    cached: bool,
    index: Option<usize>,
    truncated: Option<&'a BTreeSet<String>>,
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
    if let Some(next) = extras.next {
        out.extend_from_slice(b",\"next\":");
        write_string(next, out);
    }
    if extras.cached {
        out.extend_from_slice(b",\"cached\":true");
    }
    if let Some(index) = extras.index {
        out.extend_from_slice(b",\"index\":");
        write_count(index as u64, out);
    }
    if let Some(truncated) = extras.truncated.filter(|paths| !paths.is_empty()) {
        out.extend_from_slice(b",\"truncated\":");
        write_list(truncated.iter(), out, |path, out| write_string(path, out));
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
