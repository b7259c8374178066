//! For the project's own benchmarks, and nobody else: the stages of a request one by one, on a database in memory.
//!
//! What a stage makes is handed on closed, so that the compiler goes on finding what nobody uses behind it.

use crate::compile;
use crate::config;
use crate::envelope::{Answer, Echo};
use crate::error::Errors;
use crate::json::Json;
use crate::lock::hold;
use crate::model::parse;
use crate::plan::planner::{self, Given};
use crate::plan::{self, Limits, Work};
use crate::request::{self, reader};
use crate::run;
use crate::store::{Failure, Location, Missing, Session, Store};
use crate::value::time;
use crate::{apply, auth, road};
use std::fmt::Debug;
use std::sync::Mutex;
use std::time::Duration;

/// A database in memory with its models; whoever asks may do everything. A process has one at a time.
pub struct Stages {
    store: Store,
    writer: Mutex<Session>,
    given: Given,
}

/// What is asked.
pub struct Ask {
    request: request::Request,
    echo: Echo,
}

/// What is to be done.
pub struct Plan(plan::Plan);

/// What came of it.
pub struct Outcome {
    outcome: run::Outcome,
    queries: u64,
}

/// Longer than anything that is timed.
const TIMEOUT: Duration = Duration::from_secs(60);

impl Stages {
    /// A database with the models of a `models.json`.
    pub fn open(models: &str) -> Result<Stages, String> {
        let json = Json::parse(models.as_bytes()).map_err(|error| error.to_string())?;
        let definition = parse::definition(&json).map_err(told)?;
        let store = Store::open(Location::Memory, Missing::Create, TIMEOUT)?;
        let writer = store.writer().map_err(told)?;
        let empty = store.catalogue(&writer).map_err(told)?;
        writer.rebuilding(|| apply::apply(&writer, &empty, &definition, false)).map_err(told)?;
        let given = given(&store, &writer).map_err(told)?;
        Ok(Stages { store, writer: Mutex::new(writer), given })
    }

    /// Bytes -> what is asked; a batch is not taken.
    pub fn parse(&self, body: &[u8]) -> Result<Ask, String> {
        let (ask, malformed) = reader::parse(body).map_err(told)?;
        let echo = Echo::of(&ask);
        match ask {
            request::Ask::Model(request) if malformed.is_empty() => Ok(Ask { request, echo }),
            request::Ask::Model(_) => Err(told(malformed)),
            request::Ask::Fixture(_) => Err("a server for tests is no stage".into()),
            request::Ask::Batch(_) => Err("a batch is planned request by request".into()),
        }
    }

    /// What is asked -> what is to be done.
    pub fn plan(&self, ask: &Ask) -> Result<Plan, String> {
        planner::build(&self.given, &ask.request, Errors::new()).map(Plan).map_err(told)
    }

    /// What is to be done -> the statements that can be told before any was run. They are made again where the plan is run.
    pub fn compile(&self, plan: &Plan) -> impl Sized {
        let (write, select) = match &plan.0.work {
            Work::Page { select, .. } | Work::One { select, .. } => (None, Some(select)),
            Work::Create { write, .. } => (Some(write), Some(&write.answer)),
            _ => (None, None),
        };
        let table = plan.0.model.namespace.to_string();
        let insert = write.map(|write| compile::write::insert(&table, &write.slots));
        (insert, select.map(|select| compile::select(select, None)))
    }

    /// What is to be done -> what came of it. What was written is undone.
    pub fn run(&self, plan: &Plan) -> Result<Outcome, String> {
        let run = |session: &Session| {
            let outcome = run::plan(session, &plan.0)?;
            Ok::<_, Errors>(Outcome { outcome, queries: session.queries() })
        };
        if !plan.0.work.writes() {
            let reader = self.store.reader().map_err(told)?;
            reader.start();
            return reader.reading(|| run(&reader)).map_err(told);
        }
        let writer = hold(&self.writer);
        writer.start();
        writer.writing(|| writer.undoing(|| run(&writer))).map_err(told)
    }

    /// What came of it -> the bytes of the answer, in their envelope.
    pub fn shape(&self, ask: &Ask, plan: &Plan, outcome: &Outcome) -> Result<Vec<u8>, String> {
        let answer = Answer::of(&plan.0, &outcome.outcome, outcome.queries).map_err(told)?;
        Ok(answer.reply(&ask.echo, false).body)
    }

    /// Bytes -> the bytes of the answer, on a reader, as a server has it between the key and the log.
    pub fn read(&self, body: &[u8]) -> Result<Vec<u8>, String> {
        let reader = self.store.reader().map_err(told)?;
        reader.start();
        reader.reading(|| self.answer(&reader, body)).map_err(told)
    }

    /// The same of a request that writes.
    pub fn write(&self, body: &[u8]) -> Result<Vec<u8>, String> {
        let writer = hold(&self.writer);
        writer.start();
        writer.writing(|| self.answer(&writer, body)).map_err(told)
    }

    fn answer(&self, session: &Session, body: &[u8]) -> Result<Vec<u8>, Errors> {
        let (ask, malformed) = reader::parse(body)?;
        let echo = Echo::of(&ask);
        let given = given(&self.store, session)?;
        let planned = road::plan(&given, ask, malformed)?;
        Ok(road::carry_out(session, &given, &planned)?.reply(&echo, false).body)
    }
}

/// What a request is planned with, of the operator.
fn given(store: &Store, session: &Session) -> Result<Given, Failure> {
    let (catalogue, limits) = (store.catalogue(session)?, Limits { max_limit: config::MAX_LIMIT });
    let (caller, secret, now) = (auth::operator(), *store.secret(), time::stamp());
    Ok(Given { catalogue, caller, limits, secret, now, request_id: "-".into() })
}

fn told(why: impl Debug) -> String {
    format!("{why:?}")
}
