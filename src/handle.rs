//! A whole request on one screen: every stage, in its order. [`tell`] is that of a request about the server itself.

mod tell;

use crate::about;
use crate::admin;
use crate::auth::text::KeyText;
use crate::auth::{self, Authenticated, Circumstances};
use crate::budget::Budget;
use crate::cache::{self, Cache};
use crate::call::Call;
use crate::clock;
use crate::envelope::{self, Answer, Echo, Reply};
use crate::error::{Errors, Problem};
use crate::fixture::{Fixture, Surroundings};
use crate::idempotency::{self, InFlight, Retry};
use crate::metrics::Metrics;
use crate::plan::Limits;
use crate::plan::planner::Given;
use crate::rate::Rates;
use crate::request::fixture::Act;
use crate::request::reader;
use crate::road::Planned;
use crate::store::{Session, Store, catalogue_version, has_triggers};
use crate::trial;
use crate::usage::{Entry, Noted};
use crate::value::time;
use crate::writer::Writer;
use crate::{log, road};
use jiff::SignedDuration;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

/// All that answering takes.
pub struct App {
    pub store: Store,
    pub writer: Writer,
    pub cache: Cache,
    pub in_flight: InFlight,
    /// Of a server for tests.
    pub fixture: Option<Fixture>,
    pub rates: Rates,
    /// What all answers that are being sent may take together.
    pub answers: Arc<Budget>,
    pub metrics: Arc<Metrics>,
    /// Open connections.
    pub connections: AtomicUsize,
    /// Secrets older than this are refused.
    pub max_key_age: Option<SignedDuration>,
    pub limits: Limits,
    /// Paths that take JQL: `/jql`, and the one of `--jql-path`.
    pub jql_paths: Vec<String>,
    /// Origins whose pages may send requests.
    pub cors_origins: Vec<String>,
    /// Whether there is the admin page.
    pub has_admin: bool,
    pub stopping: AtomicBool,
}

/// Answers a request, and gives the entry that it leaves in the usage log. A panic is answered too.
pub fn answer(app: &App, call: &Call) -> (Reply, Option<Entry>) {
    let _about = log::about(&call.request_id);
    let is_jql = app.jql_paths.iter().any(|path| path == call.path);
    if is_jql && call.is_preflight(&app.cors_origins) {
        return (envelope::preflight(), None);
    }
    let mut entry = Entry::of(call, time::stamp(), app.writer.era());
    let mut echo = Echo::default();
    let about = about::with_key(call.path).filter(|_| !is_jql);
    let answer = AssertUnwindSafe(|| match about {
        _ if is_jql => jql(app, call, &mut entry, &mut echo),
        Some(about) => tell::answer(app, call, about, &mut entry),
        None => match admin::file(call.path).filter(|_| app.has_admin) {
            Some(file) => Ok(admin::answer(call, file)?),
            None => Ok(about::answer(call, &app.store, app.stopping.load(Ordering::Relaxed))?),
        },
    });
    let panicked = |_| Err(Problem::Fault { cause: "the request panicked; the line above has where".into() }.into());
    let reply = catch_unwind(answer).unwrap_or_else(panicked).unwrap_or_else(|errors| refuse(&errors, &echo, call));
    entry.close(call, &reply);
    let leaves_entry = is_jql || about.is_some();
    if leaves_entry {
        app.metrics.request(&entry);
    }
    (reply, leaves_entry.then_some(entry))
}

/// The road of a JQL request. One that writes is planned here and carried out by the writer; where the
/// models changed in between, it is planned again.
fn jql(app: &App, call: &Call, entry: &mut Entry, echo: &mut Echo) -> Result<Reply, Errors> {
    let key = call.admitted("POST", &app.cors_origins).map_err(|problem| wrong_key(app, call, problem))?;
    for _ in 0..3 {
        let job = match read_or_plan(app, call, key, entry, echo)? {
            Step::Answered(reply) => return Ok(reply),
            Step::ToWrite(job) => job,
        };
        match write(app, job, echo) {
            Err(errors) if errors.iter().any(|error| error.problem == Problem::Replan) => {}
            outcome => return outcome,
        }
    }
    Err(Problem::Replan.into())
}

#[allow(clippy::large_enum_variant)] // there is one a request
enum Step {
    Answered(Reply),
    ToWrite(Job),
}

/// What the writer is to do.
struct Job {
    asked: Arc<Asked>,
    given: Given,
    retry: Option<Retry>,
}

/// Key, shape, plan, and for what only reads the answer, all of one moment of the database.
fn read_or_plan(app: &App, call: &Call, key: &KeyText, entry: &mut Entry, echo: &mut Echo) -> Result<Step, Errors> {
    let reader = app.store.reader_for(key.public_id())?;
    let mut keep = None;
    reader.start();
    let step = reader.reading(|| {
        let caller = let_in(app, call, &reader, key, entry)?;
        trial::panics("request");

        let catalogue = app.store.catalogue(&reader)?;
        let (secret, now, request_id) = (*app.store.secret(), entry.at, call.request_id.clone());
        let given = Given { catalogue, caller, limits: app.limits, secret, now, request_id };
        let asked = asked(&reader, call.json()?, &given, entry, echo)?;
        let planned = &asked.planned;
        let retry = call.idempotency_key.map(|key| Retry::of(given.caller.id(), key, call.body)).transpose()?;
        if planned.writes() {
            return Ok::<Step, Errors>(Step::ToWrite(Job { asked, given, retry }));
        }
        let may_be_kept = planned.may_be_kept() && !has_triggers(&reader)?;
        reader.start();
        let key = may_be_kept.then(|| cache::key(given.caller.id(), given.catalogue.version, call.body));
        if let Some(answer) = key.and_then(|key| app.cache.find(&key, app.writer.foreign_mark()?)) {
            app.metrics.cache_hits.add(1);
            return Ok(Step::Answered(answer.reply_within(&app.answers, echo, true)?));
        }
        app.metrics.cache_misses.add(u64::from(key.is_some()));
        let answer = road::carry_out(&reader, &given, planned)?;
        // With the reader in hand, so that no more are made at once than there are readers.
        let reply = answer.reply_within(&app.answers, echo, false)?;
        if let Some(key) = key {
            keep = Some(Keep { key, answer: answer.compact(), asked, seen: reader.data_version()? });
        }
        Ok(Step::Answered(reply))
    })?;
    if let Some(keep) = keep {
        keep.keep(app, &reader);
    }
    Ok(step)
}

/// A request that was read and planned.
struct Asked {
    /// The id of the key that it was sent with.
    caller: i64,
    noted: Noted,
    echo: Echo,
    planned: Planned,
}

/// Reads and plans a request. The plan of one that only reads depends on nothing but its key, its bytes, and the state of
/// the database, so that it is remembered where it is sent again and again.
fn asked(
    session: &Session,
    body: &[u8],
    given: &Given,
    entry: &mut Entry,
    echo: &mut Echo,
) -> Result<Arc<Asked>, Errors> {
    let (caller, text) = (given.caller.id(), std::str::from_utf8(body).ok());
    let known = text.and_then(|text| session.recall::<Asked>(text)).filter(|asked| asked.caller == caller);
    if let Some(asked) = known {
        entry.note(&asked.noted);
        *echo = asked.echo.clone();
        return Ok(asked);
    }
    let (ask, malformed) = reader::parse(body)?;
    let noted = Noted::of(&ask);
    entry.note(&noted);
    *echo = Echo::of(&ask);
    let asked = Arc::new(Asked { caller, noted, echo: echo.clone(), planned: road::plan(given, ask, malformed)? });
    if let (Some(text), false) = (text, asked.planned.writes()) {
        session.remember_repeated(text, &asked);
    }
    Ok(asked)
}

/// Who holds the key, if it may be used now and from there, and no more often than it may.
fn let_in(
    app: &App,
    call: &Call,
    session: &Session,
    key: &KeyText,
    entry: &mut Entry,
) -> Result<Authenticated, Problem> {
    let known = auth::recognise(session, key).map_err(|problem| wrong_key(app, call, problem))?;
    let is_first = entry.key.is_none(); // where the models change a request comes here again, but counts once
    entry.key = Some(key.public_id().into()); // also of one that is refused for what it is
    let oldest = app.max_key_age.and_then(|age| time::from_now(-age).ok());
    let here = Circumstances { now: &entry.at, address: Some(call.remote), oldest: oldest.as_deref() };
    let caller = known.admit(&here)?;
    entry.let_in = true;
    if let Some(rate) = caller.rate().filter(|_| is_first) {
        app.rates
            .request(caller.id(), rate, clock::micros(call.started))
            .map_err(|wait| Problem::TooFast { rate, wait })?;
    }
    Ok(caller)
}

/// Counts a wrong key, so that whoever tries many has to wait. Right ones are let in all the same: others may share
/// the address.
fn wrong_key(app: &App, call: &Call, problem: Problem) -> Problem {
    if problem != Problem::Unauthenticated || !call.has_key {
        return problem;
    }
    let counted = app.rates.wrong_key(Some(call.remote), clock::micros(call.started));
    counted.map_or_else(|wait| Problem::TooManyWrongKeys { wait }, |()| problem)
}

/// An answer that is worth keeping, if it is still as good as a new one.
struct Keep {
    key: cache::Key,
    answer: Answer,
    asked: Arc<Asked>,
    /// The mark of the database that the answer saw.
    seen: i64,
}

impl Keep {
    fn keep(self, app: &App, reader: &Session) {
        let moment = app.writer.foreign_mark().map(|foreign| app.cache.moment(foreign));
        // Whatever was committed since the answer was made may be missing in it.
        let is_current = reader.data_version().is_ok_and(|now| now == self.seen);
        if let (Some(moment), Some(read), true) = (moment, self.asked.planned.touched(), is_current) {
            app.cache.keep(self.key, Arc::new(self.answer), read.clone(), moment);
        }
    }
}

/// Has a job done by the writer, if the models are still those that it was planned with.
fn write(app: &App, job: Job, echo: &Echo) -> Result<Reply, Errors> {
    let Job { asked, given, retry } = job;
    if let Planned::Fixture(act) = &asked.planned {
        return Ok(acted(app, act, retry.as_ref())?.reply(echo, false));
    }
    let _entered = retry.as_ref().map(|retry| app.in_flight.enter(retry)).transpose()?;
    let _writing = app.cache.writing(asked.planned.touched().cloned());
    let (echo, is_alone, answers) = (echo.clone(), asked.planned.is_alone(), app.answers.clone());
    let work = move |session: &Session| {
        let _about = log::about(&given.request_id);
        if catalogue_version(session)? != given.catalogue.version {
            return Err(Problem::Replan.into());
        }
        let kept = retry.as_ref().map(|retry| idempotency::find(session, retry)).transpose()?;
        if let Some(Some(body)) = kept {
            road::plan_again(&given, &asked.planned, &body)?;
            return Ok(envelope::replayed(body).counted(&answers)?);
        }
        session.start();
        // One that cannot be sent must not be carried out.
        let reply = road::carry_out(session, &given, &asked.planned)?.reply_within(&answers, &echo, false)?;
        trial::panics("job");
        if let Some(retry) = &retry {
            idempotency::keep(session, retry, &reply)?;
        }
        Ok(reply)
    };
    if is_alone { app.writer.submit_alone(work) } else { app.writer.submit(work) }
}

/// Does what was asked of a server for tests.
fn acted(app: &App, act: &Act, retry: Option<&Retry>) -> Result<Answer, Errors> {
    let fixture = app.fixture.as_ref().ok_or(Problem::NoFixture)?;
    if retry.is_some() {
        let why = "is for writes to records: what is done to the whole server is done each time".to_owned();
        return Err(Problem::Refused { field: "Idempotency-Key".into(), why }.into());
    }
    fixture.act(act, &Surroundings { writer: &app.writer, rates: &app.rates })
}

/// The answer to what cannot be done. The causes of faults go to the server's own log.
fn refuse(errors: &Errors, echo: &Echo, call: &Call) -> Reply {
    log::faults(errors, &call.request_id);
    envelope::failure(errors, echo)
}
