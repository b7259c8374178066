//! A whole request on one screen: every stage, in its order.

use crate::auth::{self, KeyText};
use crate::call::Call;
use crate::envelope::{self, Echo, Reply};
use crate::error::{Errors, Problem};
use crate::plan::{self, Limits, Plan};
use crate::request::{self, Intent};
use crate::store::{Store, catalogue_version};
use crate::usage::Entry;
use crate::value::time;
use crate::writer::Writer;
use crate::{about, log, run};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

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

/// Answers a request, and gives the entry that it leaves in the usage log. A panic is answered too.
pub fn answer(app: &App, call: &Call) -> (Reply, Option<Entry>) {
    let is_jql = app.jql_paths.contains(&call.path);
    if is_jql && call.is_preflight(&app.cors_origins) {
        return (envelope::preflight(), None);
    }
    let mut entry = Entry::of(call, time::now());
    let mut echo = Echo::default();
    let answer = AssertUnwindSafe(|| match is_jql {
        true => jql(app, call, &mut entry, &mut echo),
        false => Ok(about::answer(call, &app.store, app.stopping.load(Ordering::Relaxed))?),
    });
    let panicked = |_| Err(Problem::Fault { cause: "the request panicked; the line above has where".into() }.into());
    let reply = catch_unwind(answer).unwrap_or_else(panicked).unwrap_or_else(|errors| refuse(&errors, &echo, call));
    entry.close(call, &reply);
    (reply, is_jql.then_some(entry))
}

/// The road of a JQL request. One that writes is planned here and carried out by the writer; where the
/// models changed in between, it is planned again.
fn jql(app: &App, call: &Call, entry: &mut Entry, echo: &mut Echo) -> Result<Reply, Errors> {
    let key = call.admitted(&app.cors_origins)?;
    for _ in 0..3 {
        let (plan, intent) = match read_or_plan(app, call, key, entry, echo)? {
            Step::Answered(reply) => return Ok(reply),
            Step::ToWrite(plan, intent) => (plan, intent),
        };
        match write(app, &plan) {
            Ok((outcome, queries)) => return Ok(envelope::success(&plan, intent, echo, &outcome, queries)),
            Err(errors) if errors.iter().any(|error| error.problem == Problem::Replan) => {}
            Err(errors) => return Err(errors),
        }
    }
    Err(Problem::Replan.into())
}

enum Step {
    Answered(Reply),
    ToWrite(Arc<Plan>, Intent),
}

/// Key, shape, plan, and for what only reads the answer, all of one moment of the database.
fn read_or_plan(app: &App, call: &Call, key: &KeyText, entry: &mut Entry, echo: &mut Echo) -> Result<Step, Errors> {
    let reader = app.store.reader_for(key.public_id())?;
    reader.start();
    reader.reading(|| {
        let known = auth::recognise(&reader, key)?;
        entry.key = Some(key.public_id().to_owned()); // also of one that is refused for what it is
        let caller = known.admit(&entry.at)?;

        let (request, malformed) = request::parse(call.json()?)?;
        entry.note(&request);
        *echo = Echo::of(&request);

        let catalogue = app.store.catalogue(&reader)?;
        let plan = plan::build(&catalogue, &caller, &request, malformed, app.limits, &entry.at)?;
        if plan.work.writes() {
            return Ok(Step::ToWrite(Arc::new(plan), request.intent));
        }
        reader.start();
        let outcome = run::plan(&reader, &plan)?;
        Ok(Step::Answered(envelope::success(&plan, request.intent, echo, &outcome, reader.queries())))
    })
}

/// Has a plan carried out by the writer, if the models are still those that it was made for.
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

/// The answer to what cannot be done. The causes of faults go to the server's own log.
fn refuse(errors: &Errors, echo: &Echo, call: &Call) -> Reply {
    for error in errors {
        if let Problem::Fault { cause } = &error.problem {
            log::line(format_args!("request {}: {}", call.request_id, cause.escape_debug()));
        }
    }
    envelope::failure(errors, echo, 0)
}
