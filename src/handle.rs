//! A whole request on one screen: every stage, in its order.

use crate::auth::{self, KeyText};
use crate::envelope::{self, Echo, Reply};
use crate::error::{Error, Errors, Problem};
use crate::plan::{self, Limits, Plan};
use crate::request::{self, Request};
use crate::run;
use crate::store::{Store, catalogue_version};
use crate::usage::Entry;
use crate::value::time;
use crate::writer::Writer;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

/// All that answering takes.
pub struct App {
    pub store: Store,
    pub writer: Writer,
    pub limits: Limits,
    /// Paths that take JQL: `/jql`, and the one of `--jql-path`.
    pub jql_paths: Vec<String>,
    /// Origins whose pages may send requests.
    pub cors_origins: Vec<String>,
    pub stopping: AtomicBool,
}

/// One request as it came over the wire.
pub struct Call {
    pub method: String,
    /// The path, without what follows a `?`.
    pub path: String,
    /// Why the request is refused before anything in it is looked at.
    pub broken: Option<Problem>,
    pub key: Option<KeyText>,
    pub content_type: Option<String>,
    pub origin: Option<String>,
    pub host: Option<String>,
    /// The body, or why there is none.
    pub body: Result<Vec<u8>, Problem>,
    pub bytes: u64,
    pub request_id: String,
    pub remote_addr: Option<String>,
    pub started: Instant,
}

/// Answers a request, and gives the entry that it leaves in the usage log. A panic is answered too.
pub fn answer(app: &App, call: &Call) -> (Reply, Option<Entry>) {
    if !app.jql_paths.contains(&call.path) {
        return (about_the_server(app, call), None);
    }
    if call.method == "OPTIONS" && call.origin.is_some() && is_known_origin(app, call) {
        return (envelope::preflight(), None);
    }
    let mut entry = Entry {
        at: time::now(),
        request_id: call.request_id.clone(),
        request_bytes: call.bytes,
        remote_addr: call.remote_addr.clone(),
        ..Entry::default()
    };
    let mut echo = Echo::default();
    let panicked = |_| Err(Problem::Fault { cause: "the request panicked; the line above has where".into() }.into());
    let outcome = catch_unwind(AssertUnwindSafe(|| jql(app, call, &mut entry, &mut echo))).unwrap_or_else(panicked);
    let reply = outcome.unwrap_or_else(|errors| refusal(&errors, &echo, call));
    entry.status = reply.status;
    entry.code = reply.code.map(|code| code.name());
    entry.rows = reply.rows;
    entry.queries = reply.queries;
    entry.response_bytes = reply.body.len() as u64;
    entry.duration_us = u64::try_from(call.started.elapsed().as_micros()).unwrap_or(u64::MAX);
    (reply, Some(entry))
}

/// The road of a request: transport, key, shape, plan, SQL, answer. What writes goes to the writer.
fn jql(app: &App, call: &Call, entry: &mut Entry, echo: &mut Echo) -> Result<Reply, Errors> {
    let key = transport(app, call)?;
    let reader = app.store.reader()?;
    reader.start();
    for _ in 0..3 {
        let (plan, request) = match reader.reading(|| {
            let caller = auth::authenticate(&reader, Some(key), &entry.at)?;
            entry.key.clone_from(&caller.key);
            let (request, malformed) = request::parse(body(call)?)?;
            *echo = Echo::of(&request);
            note(entry, &request);
            let catalogue = app.store.catalogue(&reader)?;
            let plan = plan::build(&catalogue, &caller, &request, malformed, app.limits, &entry.at)?;
            if plan.work.writes() {
                return Ok(Step::Write(Box::new((plan, request))));
            }
            reader.start();
            let outcome = run::plan(&reader, &plan)?;
            Ok::<Step, Errors>(Step::Done(envelope::success(&plan, request.intent, echo, &outcome, reader.queries())))
        })? {
            Step::Done(reply) => return Ok(reply),
            Step::Write(work) => (Arc::new(work.0), work.1),
        };
        match write(app, &plan) {
            Ok((outcome, queries)) => return Ok(envelope::success(&plan, request.intent, echo, &outcome, queries)),
            Err(errors) if errors.iter().any(|error| error.problem == Problem::Replan) => {} // the models changed in between
            Err(errors) => return Err(errors),
        }
    }
    Err(Problem::Replan.into())
}

enum Step {
    Done(Reply),
    Write(Box<(Plan, Request)>),
}

/// Has a plan written, if the models are still those that it was made for.
fn write(app: &App, plan: &Arc<Plan>) -> Result<(run::Outcome, u64), Errors> {
    let plan = plan.clone();
    app.writer.submit(move |session| {
        if catalogue_version(session)? != plan.catalogue {
            return Err(Problem::Replan.into());
        }
        session.start();
        let outcome = run::plan(session, &plan)?;
        Ok((outcome, session.queries()))
    })
}

/// What is refused before the database is asked, the key's form among it.
fn transport<'c>(app: &App, call: &'c Call) -> Result<&'c KeyText, Problem> {
    if let Some(problem) = &call.broken {
        return Err(problem.clone());
    }
    if call.method != "POST" {
        return Err(Problem::MethodNotAllowed { allow: "POST" });
    }
    if call.origin.is_some() && !is_known_origin(app, call) {
        return Err(Problem::ForeignOrigin);
    }
    call.key.as_ref().ok_or(Problem::Unauthenticated)
}

/// The body, once it is declared as JSON.
fn body(call: &Call) -> Result<&[u8], Problem> {
    let media = call.content_type.as_deref().map(|given| given.split(';').next().unwrap_or_default().trim());
    match media {
        Some(media) if media.eq_ignore_ascii_case("application/json") => {}
        other => return Err(Problem::MediaType { given: other.map(|given| crate::error::shown(&given)) }),
    }
    call.body.as_deref().map_err(Clone::clone)
}

/// Whether a page that sent the request is one of ours, or was let in.
fn is_known_origin(app: &App, call: &Call) -> bool {
    let Some(origin) = &call.origin else { return true };
    let own = call.host.as_ref().map(|host| format!("http://{host}"));
    own.as_ref() == Some(origin) || app.cors_origins.contains(origin)
}

/// What a request wants, for the usage log.
fn note(entry: &mut Entry, request: &Request) {
    let rule = request.intent.rule();
    entry.namespace = Some(request.namespace.to_string());
    entry.intent = Some(rule.name);
    entry.action = Some(rule.action.name());
}

/// The answer to what cannot be done. The causes of faults go to the server's log.
fn refusal(errors: &[Error], echo: &Echo, call: &Call) -> Reply {
    for error in errors {
        if let Problem::Fault { cause } = &error.problem {
            eprintln!("{} request {}: {}", time::now(), call.request_id, cause.escape_debug());
        }
    }
    envelope::failure(errors, echo, 0)
}

/// The paths that tell of the server itself.
fn about_the_server(app: &App, call: &Call) -> Reply {
    let problem = match (call.path.as_str(), call.method.as_str()) {
        _ if call.broken.is_some() => call.broken.clone().unwrap_or(Problem::Unauthenticated),
        ("/healthz", "GET" | "HEAD") => return envelope::note("up"),
        ("/readyz", "GET" | "HEAD") => match ready(app) {
            Ok(()) => return envelope::note("ready"),
            Err(problem) => problem,
        },
        ("/healthz" | "/readyz", _) => Problem::MethodNotAllowed { allow: "GET, HEAD" },
        (path, _) => Problem::NoSuchPath { path: crate::error::shown(&path) },
    };
    refusal(&[problem.into()], &Echo::default(), call)
}

/// Whether requests are answered: not while stopping, and not without the database.
fn ready(app: &App) -> Result<(), Problem> {
    if app.stopping.load(Ordering::Relaxed) {
        return Err(Problem::ShuttingDown);
    }
    let reader = app.store.reader()?;
    reader.start();
    catalogue_version(&reader)?;
    Ok(())
}
