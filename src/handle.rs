//! A whole request on one screen: every stage, in its order.

use crate::auth::{self, Authenticated, KeyText};
use crate::cache::{self, Cache};
use crate::call::Call;
use crate::cursor::Secret;
use crate::envelope::{self, Answer, Echo, Reply};
use crate::error::{Errors, Problem};
use crate::idempotency::{self, InFlight, Retry};
use crate::model::Catalogue;
use crate::plan::{self, Given, Limits, Plan};
use crate::request::{self, Ask, Batch};
use crate::store::{Session, Store, catalogue_version};
use crate::usage::Entry;
use crate::value::time;
use crate::writer::Writer;
use crate::{about, log, road};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// All that answering takes.
pub struct App {
    pub store: Store,
    pub writer: Writer,
    pub cache: Cache,
    pub in_flight: InFlight,
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

/// What the writer is to do, and all that it takes.
struct Job {
    work: Work,
    catalogue: Arc<Catalogue>,
    retry: Option<Retry>,
}

#[allow(clippy::large_enum_variant)] // there is one a request
enum Work {
    Plan(Plan),
    /// A batch is planned while it is carried out: a request may need the results of those before it.
    Batch {
        batch: Batch,
        caller: Authenticated,
        limits: Limits,
        secret: Secret,
        now: String,
        request_id: String,
    },
}

/// Key, shape, plan, and for what only reads the answer, all of one moment of the database.
fn read_or_plan(app: &App, call: &Call, key: &KeyText, entry: &mut Entry, echo: &mut Echo) -> Result<Step, Errors> {
    let reader = app.store.reader_for(key.public_id())?;
    reader.start();
    let mut keep = None;
    let step = reader.reading(|| {
        let known = auth::recognise(&reader, key)?;
        entry.key = Some(key.public_id().to_owned()); // also of one that is refused for what it is
        let caller = known.admit(&entry.at)?;

        let (asked, malformed) = request::parse(call.json()?)?;
        entry.note(&asked);
        *echo = Echo::of(&asked);
        let retry = call.idempotency_key.as_ref().map(|key| Retry::of(caller.id(), key, &call.body)).transpose()?;

        let catalogue = app.store.catalogue(&reader)?;
        let (limits, secret, now) = (app.limits, *app.store.secret(), entry.at.clone());
        let request_id = call.request_id.clone();
        let given = Given {
            catalogue: &catalogue,
            caller: &caller,
            limits,
            secret: &secret,
            now: &now,
            request_id: &request_id,
        };
        let request = match asked {
            Ask::Batch(batch) if batch.only_reads() => {
                reader.start();
                let answer = road::ask(&reader, given, &Ask::Batch(batch), malformed)?;
                return Ok(Step::Answered(answer.reply(echo, false)));
            }
            Ask::Batch(_) if !malformed.is_empty() => return Err(malformed),
            Ask::Batch(batch) => {
                let work = Work::Batch { batch, caller, limits, secret, now, request_id };
                return Ok(Step::ToWrite(Job { work, catalogue, retry }));
            }
            Ask::Model(request) => request,
        };
        let plan = plan::build(given, &request, malformed)?;
        if plan.work.writes() {
            return Ok(Step::ToWrite(Job { work: Work::Plan(plan), catalogue, retry }));
        }
        reader.start();
        if !request.cached {
            return Ok(Step::Answered(road::carry_out(&reader, &plan)?.reply(echo, false)));
        }
        let key = cache_key(&caller, &catalogue, &call.body);
        let known = app.writer.foreign_mark().and_then(|foreign| app.cache.find(&key, foreign));
        if let Some(answer) = known {
            return Ok(Step::Answered(answer.reply(echo, true)));
        }
        let answer = Arc::new(road::carry_out(&reader, &plan)?);
        let reply = answer.reply(echo, false);
        keep = Some(Keep { key, answer, plan, seen: reader.data_version()? });
        Ok(Step::Answered(reply))
    })?;
    if let Some(keep) = keep {
        keep.keep(app, &reader);
    }
    Ok(step)
}

/// An answer that is worth keeping, if it is as good as a new one by now.
struct Keep {
    key: cache::Key,
    answer: Arc<Answer>,
    plan: Plan,
    /// The mark of the database that the answer saw.
    seen: i64,
}

impl Keep {
    fn keep(self, app: &App, reader: &Session) {
        let moment = app.writer.foreign_mark().map(|foreign| app.cache.moment(foreign));
        // Whatever was committed since the answer was made may be missing in it.
        if let (Some(moment), Ok(true)) = (moment, reader.data_version().map(|now| now == self.seen)) {
            app.cache.keep(self.key, self.answer, self.plan.touched, moment);
        }
    }
}

fn cache_key(caller: &Authenticated, catalogue: &Catalogue, body: &[u8]) -> cache::Key {
    let mut hasher = blake3::Hasher::new();
    hasher.update(&caller.id().to_le_bytes()).update(&catalogue.version.to_le_bytes()).update(body);
    hasher.finalize()
}

/// Has a job done by the writer, if the models are still those that it was made for.
fn write(app: &App, job: Job, echo: &Echo) -> Result<Reply, Errors> {
    let _entered = job.retry.as_ref().map(|retry| app.in_flight.enter(retry)).transpose()?;
    let touched = if let Work::Plan(plan) = &job.work { Some(plan.touched.clone()) } else { None };
    let _writing = app.cache.writing(touched);
    let echo = echo.clone();
    app.writer.submit(move |session| {
        if catalogue_version(session)? != job.catalogue.version {
            return Err(Problem::Replan.into());
        }
        if let Some(retry) = &job.retry
            && let Some(body) = idempotency::find(session, retry)?
        {
            return Ok(envelope::replayed(body));
        }
        session.start();
        let reply = job.work.carry_out(session, &job.catalogue)?.reply(&echo, false);
        if let Some(retry) = &job.retry {
            idempotency::keep(session, retry, &reply.body)?;
        }
        Ok(reply)
    })
}

impl Work {
    fn carry_out(&self, session: &Session, catalogue: &Catalogue) -> Result<Answer, Errors> {
        match self {
            Work::Plan(plan) => road::carry_out(session, plan),
            Work::Batch { batch, caller, limits, secret, now, request_id } => {
                let given = Given { catalogue, caller, limits: *limits, secret, now, request_id };
                road::carry_out_all(session, given, batch)
            }
        }
    }
}

/// The answer to what cannot be done. The causes of faults go to the server's own log.
fn refuse(errors: &Errors, echo: &Echo, call: &Call) -> Reply {
    log::faults(errors, &call.request_id);
    envelope::failure(errors, echo, 0)
}
