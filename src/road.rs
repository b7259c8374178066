//! The road of a request on one session: plan, run, answer; and of a batch, which is several of them in one
//! transaction. [`results`] puts the results of earlier requests of a batch into later ones, [`tell`] answers what is
//! asked of the server itself.

pub mod results;
mod tell;

use crate::access::Namespace;
use crate::envelope::{self, Answer, Echo, Reply};
use crate::error::{Error, Errors, Problem};
use crate::json::{Json, Pointer};
use crate::plan::planner::{self, Given};
use crate::plan::{Plan, Work};
use crate::request::{Ask, Batch, fixture, reader};
use crate::shape::{MOST_WRITTEN, TOO_LARGE};
use crate::store::Session;
use crate::{log, run};
use results::Results;
use std::collections::BTreeSet;

/// What is to be done.
#[allow(clippy::large_enum_variant)] // there is one a request
pub enum Planned {
    One(Plan),
    /// Its requests are planned while it is carried out: each may need the results of those before it.
    Batch(Batch),
    /// Of a server for tests. It is carried out by no session, but between two transactions.
    Fixture(fixture::Act),
}

impl Planned {
    /// Whether it may change anything, and so belongs to the writer.
    pub fn writes(&self) -> bool {
        match self {
            Planned::One(plan) => plan.work.writes(),
            Planned::Batch(batch) => !batch.only_reads(),
            Planned::Fixture(_) => true,
        }
    }

    /// Whether it takes a transaction of its own, in which references are not checked.
    pub fn is_alone(&self) -> bool {
        matches!(self, Planned::One(plan) if plan.work.changes_models())
    }

    /// The models that it may change or read; `None` where that cannot be told.
    pub fn touched(&self) -> Option<&BTreeSet<Namespace>> {
        match self {
            Planned::One(plan) if !plan.work.changes_models() => Some(&plan.touched),
            _ => None,
        }
    }

    /// Whether its answer may come from memory. The server's own models change by more than requests.
    pub fn may_be_kept(&self) -> bool {
        matches!(self, Planned::One(plan) if plan.cached && !plan.touches_system())
    }

    fn dry_run(&self) -> bool {
        match self {
            Planned::One(plan) => plan.dry_run,
            Planned::Batch(batch) => batch.dry_run,
            Planned::Fixture(_) => false,
        }
    }
}

/// Plans what is asked. `malformed` is what is wrong with it already.
///
/// # Errors
/// All that is wrong with it, so far as that can be told before it is carried out.
pub fn plan(given: &Given, ask: Ask, malformed: Errors) -> Result<Planned, Errors> {
    match ask {
        Ask::Model(request) => planner::build(given, &request, malformed).map(Planned::One),
        Ask::Batch(batch) if malformed.is_empty() => Ok(Planned::Batch(batch)),
        Ask::Batch(_) => Err(malformed),
        Ask::Fixture(asked) => planner::permitted_fixture(given).and_then(|()| match asked.act {
            Some(act) if malformed.is_empty() => Ok(Planned::Fixture(act)),
            _ => Err(malformed),
        }),
    }
}

/// Carries out what was planned, and makes the answer; of a dry run nothing else remains. What writes needs a session
/// that may, and a savepoint around it.
///
/// # Errors
/// What the database refuses, and all that is wrong with a request of a batch.
pub fn carry_out(session: &Session, given: &Given, planned: &Planned) -> Result<Answer, Errors> {
    let before = session.queries();
    let work = || match planned {
        Planned::One(Plan { work: Work::Tell(what), .. }) => {
            Ok(tell::answer(session, given, *what)?.after(session.queries() - before))
        }
        Planned::One(plan) => {
            let outcome = run::plan(session, plan)?;
            Ok(Answer::of(plan, &outcome, session.queries() - before)?)
        }
        Planned::Batch(batch) => requests(session, given, batch),
        Planned::Fixture(_) => Err(Problem::NoFixture.into()),
    };
    if planned.dry_run() { session.undoing(work) } else { work() }
}

fn requests(session: &Session, given: &Given, batch: &Batch) -> Result<Answer, Errors> {
    let mut replies: Vec<Reply> = Vec::with_capacity(batch.requests.len());
    let mut results = Results::of(&batch.requests);
    let mut size = 0;
    for (index, json) in batch.requests.iter().enumerate() {
        let mut own = Echo::default();
        let mut one = || {
            session.in_time()?;
            let (asked, malformed) = reader::read(results.fill_in(json)?)?;
            own = Echo::of(&asked);
            if let Ask::Batch(_) = asked {
                let why = "holds another batch, which no batch may".to_owned();
                return Err(Problem::Refused { field: "requests".into(), why }.into());
            }
            let intent = asked.intent();
            if intent.is_alone() {
                let why = "takes a transaction of its own and no part in a batch: send it by itself".to_owned();
                let problem = Problem::Refused { field: intent.rule().name.into(), why };
                return Err(Error::at(Pointer::ROOT.key("__meta__").key("intent"), problem).into());
            }
            carry_out(session, given, &plan(given, asked, malformed)?)
        };
        let outcome = if batch.atomic { one() } else { session.savepoint(one) };
        let reply = match outcome {
            Ok(answer) => answer.reply(&own, false),
            Err(errors) if batch.atomic || !session.in_transaction() => {
                return Err(errors.into_iter().map(|error| within(index, error)).collect());
            }
            Err(errors) => {
                log::faults(&errors, &given.request_id);
                envelope::failure(&errors, &own)
            }
        };
        size += reply.body.len();
        if size > MOST_WRITTEN {
            return Err(TOO_LARGE.into());
        }
        results.add(&reply)?;
        replies.push(reply);
    }
    Ok(Answer::of_batch(batch, &replies, session.queries()))
}

/// Plans again what was carried out before and was answered with that: so that a batch, whose requests were not
/// planned yet, is not answered to a key that may not do it any more.
///
/// # Errors
/// Those of a request that would not be carried out now.
pub fn plan_again(given: &Given, planned: &Planned, answer: &[u8]) -> Result<(), Errors> {
    let Planned::Batch(batch) = planned else { return Ok(()) };
    // One that nests too deep to be read gives no results, and what needs them is refused.
    let data = Json::parse(answer).ok().and_then(|answer| answer.get("data").cloned());
    let envelopes = if let Some(Json::List(envelopes)) = data { envelopes } else { Vec::new() };
    let mut results = Results::of(&batch.requests);
    for (index, json) in batch.requests.iter().enumerate() {
        let envelope = envelopes.get(index);
        // What was refused then is not looked at now.
        if envelope.and_then(|envelope| envelope.get("status")) != Some(&"ERROR".into()) {
            let again = results.fill_in(json).and_then(reader::read);
            let planned = again.and_then(|(asked, malformed)| plan(given, asked, malformed));
            planned.map_err(|errors| errors.into_iter().map(|error| within(index, error)).collect::<Errors>())?;
        }
        results.add_again(envelope.cloned().unwrap_or(Json::Null));
    }
    Ok(())
}

/// An error of one request, as one of the batch.
fn within(index: usize, error: Error) -> Error {
    let at = Pointer::ROOT.key("requests").index(index).to_string();
    Error { pointer: Some(at + error.pointer.as_deref().unwrap_or_default()), ..error }
}
