//! The road of a request on one session: plan, run, answer; and of a batch, which is several of them in one
//! transaction.

use crate::access::Namespace;
use crate::envelope::{self, Answer, Echo, Reply};
use crate::error::{Error, Errors, Problem, shown};
use crate::json::{Json, Pointer};
use crate::plan::{self, Given, Plan};
use crate::request::{self, Ask, Batch};
use crate::shape::{MOST_WRITTEN, TOO_LARGE};
use crate::store::Session;
use crate::{log, run};
use std::collections::BTreeSet;

/// What is to be done.
#[allow(clippy::large_enum_variant)] // there is one a request
pub enum Planned {
    One(Plan),
    /// Its requests are planned while it is carried out: each may need the results of those before it.
    Batch(Batch),
}

impl Planned {
    /// Whether it may change anything, and so belongs to the writer.
    pub fn writes(&self) -> bool {
        match self {
            Planned::One(plan) => plan.work.writes(),
            Planned::Batch(batch) => !batch.only_reads(),
        }
    }

    /// The models that it may change or read; `None` where that cannot be told.
    pub fn touched(&self) -> Option<&BTreeSet<Namespace>> {
        if let Planned::One(plan) = self { Some(&plan.touched) } else { None }
    }

    /// Whether its answer may come from memory. The server's own models change by more than requests.
    pub fn may_be_kept(&self) -> bool {
        matches!(self, Planned::One(plan) if plan.cached && !plan.touches_system())
    }

    fn dry_run(&self) -> bool {
        match self {
            Planned::One(plan) => plan.dry_run,
            Planned::Batch(batch) => batch.dry_run,
        }
    }
}

/// Plans what is asked. `malformed` is what is wrong with it already.
///
/// # Errors
/// All that is wrong with it, so far as that can be told before it is carried out.
pub fn plan(given: &Given, ask: Ask, malformed: Errors) -> Result<Planned, Errors> {
    match ask {
        Ask::Model(request) => plan::build(given, &request, malformed).map(Planned::One),
        Ask::Batch(batch) if malformed.is_empty() => Ok(Planned::Batch(batch)),
        Ask::Batch(_) => Err(malformed),
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
        Planned::One(plan) => {
            let outcome = run::plan(session, plan)?;
            Ok(Answer::of(plan, &outcome, session.queries() - before)?)
        }
        Planned::Batch(batch) => requests(session, given, batch),
    };
    if planned.dry_run() { session.undoing(work) } else { work() }
}

fn requests(session: &Session, given: &Given, batch: &Batch) -> Result<Answer, Errors> {
    let mut replies: Vec<Reply> = Vec::with_capacity(batch.requests.len());
    let mut results = Results::default();
    let mut size = 0;
    for (index, json) in batch.requests.iter().enumerate() {
        let mut own = Echo::default();
        let mut one = || {
            let json = results.fill(json.clone(), &Pointer::ROOT)?;
            if json.levels() > MOST_LEVELS {
                let problem = Problem::TooMany { what: "levels of JSON with its results", limit: MOST_LEVELS as u64 };
                return Err(problem.into());
            }
            let (asked, malformed) = request::read(json)?;
            own = Echo::of(&asked);
            if let Ask::Batch(_) = asked {
                let why = "holds another batch, which no batch may".to_owned();
                return Err(Problem::Refused { field: "requests".into(), why }.into());
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
                envelope::failure(&errors, &own, 0)
            }
        };
        size += reply.body.len();
        if size > MOST_WRITTEN {
            return Err(TOO_LARGE.into());
        }
        results.envelopes.push(Json::parse(&reply.body).unwrap_or(Json::Null)); // what we wrote is JSON
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
    let mut results = Results::default();
    if let Some(Json::List(envelopes)) = Json::parse(answer).ok().and_then(|answer| answer.get("data").cloned()) {
        results.envelopes = envelopes;
    }
    for (index, json) in batch.requests.iter().enumerate() {
        let status = results.envelopes.get(index).and_then(|envelope| envelope.get("status"));
        if status == Some(&"ERROR".into()) {
            continue; // it was not carried out
        }
        let mut plan_one = || {
            let (asked, malformed) = request::read(results.fill(json.clone(), &Pointer::ROOT)?)?;
            plan(given, asked, malformed).map(drop)
        };
        plan_one()
            .map_err(|errors: Errors| errors.into_iter().map(|error| within(index, error)).collect::<Errors>())?;
    }
    Ok(())
}

/// An error of one request, as one of the batch.
fn within(index: usize, error: Error) -> Error {
    let at = Pointer::ROOT.key("requests").index(index).to_string();
    Error { pointer: Some(at + error.pointer.as_deref().unwrap_or_default()), ..error }
}

/// What stands for an earlier result: `{"__result__": "/0/data/id"}`.
const RESULT: &str = "__result__";
/// Bytes of all results that a batch puts into its requests: each may be put in many times.
pub const MOST_FILLED: usize = 16 << 20;
/// Levels of a request with results in it, as many as one of a batch has without: deeper values would be stored that
/// nobody could read as results.
pub const MOST_LEVELS: usize = 125;

/// The envelopes of the requests so far.
#[derive(Default)]
struct Results {
    envelopes: Vec<Json>,
    /// Bytes that were put into requests.
    filled: usize,
}

impl Results {
    /// A request with the results in place that it names.
    fn fill(&mut self, json: Json, at: &Pointer<'_>) -> Result<Json, Errors> {
        if let Some(named) = json.only(RESULT) {
            return self.named(named, at);
        }
        match json {
            Json::List(items) => {
                let items = items.into_iter().enumerate().map(|(index, item)| self.fill(item, &at.index(index)));
                items.collect::<Result<_, _>>().map(Json::List)
            }
            Json::Object(members) => {
                let members = members.into_iter().map(|(name, value)| {
                    let value = self.fill(value, &at.key(&name))?;
                    Ok((name, value))
                });
                members.collect::<Result<_, Errors>>().map(Json::Object)
            }
            other => Ok(other),
        }
    }

    fn named(&mut self, named: &Json, at: &Pointer<'_>) -> Result<Json, Errors> {
        let Json::String(pointer) = named else {
            let (what, wanted) = (RESULT.to_owned(), "a path into an earlier result, such as /0/data/id");
            return Err(Error::at(at, Problem::WrongForm { what, wanted, given: shown(named) }).into());
        };
        let Some(found) = self.find(pointer).cloned() else {
            let why = format!(
                "names no earlier result: \"{}\" is not there; a result is named by its number and a path, such as /0/data/id",
                shown(pointer)
            );
            return Err(Error::at(at, Problem::Refused { field: RESULT.into(), why }).into());
        };
        self.filled += found.size();
        if self.filled > MOST_FILLED {
            let problem = Problem::TooMany { what: "bytes of earlier results", limit: MOST_FILLED as u64 };
            return Err(Error::at(at, problem).into());
        }
        Ok(found)
    }

    /// What an RFC 6901 pointer into the list of envelopes leads to.
    fn find(&self, pointer: &str) -> Option<&Json> {
        let mut tokens = pointer.strip_prefix('/')?.split('/').map(|token| token.replace("~1", "/").replace("~0", "~"));
        let mut here = self.envelopes.get(place(&tokens.next()?)?)?;
        for token in tokens {
            here = match here {
                Json::List(items) => items.get(place(&token)?)?,
                other => other.get(&token)?,
            };
        }
        Some(here)
    }
}

/// The place in a list that a token names: digits without a zero before them.
fn place(token: &str) -> Option<usize> {
    let plain = token == "0" || (!token.starts_with('0') && token.bytes().all(|byte| byte.is_ascii_digit()));
    if plain { token.parse().ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pointer_leads_into_earlier_results_only() {
        let envelopes = vec![Json::parse(br#"{"data": [{"id": 5, "a/b": {"~": 1}}]}"#).unwrap()];
        let results = Results { envelopes, filled: 0 };
        assert_eq!(results.find("/0/data/0/id"), Some(&Json::Integer(5)));
        assert_eq!(results.find("/0/data/0/a~1b/~0"), Some(&Json::Integer(1)));
        for pointer in ["", "0", "/1/data", "/0/data/1", "/0/data/00", "/0/data/-", "/0/nothing", "/-1", "/+0"] {
            assert_eq!(results.find(pointer), None, "{pointer}");
        }
    }
}
