//! What makes a server one for tests: the states that it can be put back to, and its clock.
//!
//! Everything that a later request could notice goes back together: records, models, keys, the usage log, answers that are
//! kept for a retry, rates, the clock, and how far ids were drawn from a seed. Answers in memory are of another mark of the
//! database then, and no longer good.

use crate::clock;
use crate::envelope::Answer;
use crate::error::{Error, Errors, Problem, nearest};
use crate::handoff::lock;
use crate::json::{Json, Pointer};
use crate::random::{self, Drawn};
use crate::rate::Rates;
use crate::request::fixture::{Act, Turn};
use crate::store::Failure;
use crate::store::snapshot::Snapshot;
use crate::value::time;
use crate::writer::{Entries, Writer};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

/// The states that it knows, one act at a time.
pub struct Fixture(Mutex<States>);

struct States {
    seed: Arc<State>,
    named: BTreeMap<String, Arc<State>>,
}

/// Snapshots that it holds, each as large as the database was.
pub const MOST_SNAPSHOTS: usize = 32;

struct State {
    database: Mutex<Snapshot>,
    clock: clock::Setting,
    drawn: Drawn,
}

impl State {
    fn of(database: Snapshot) -> State {
        State { database: Mutex::new(database), clock: clock::setting(), drawn: random::drawn() }
    }
}

/// What else goes back with the database.
pub struct Surroundings<'a> {
    pub writer: &'a Writer,
    pub rates: &'a Rates,
}

impl Fixture {
    /// One whose seed is the state that everything is in now; nobody may be writing.
    pub fn with_seed() -> Result<Fixture, Failure> {
        let seed = Arc::new(State::of(Snapshot::take()?));
        Ok(Fixture(Mutex::new(States { seed, named: BTreeMap::new() })))
    }

    /// Does what was asked.
    ///
    /// # Errors
    /// There is no such snapshot, or room for no more; or a reader does not end.
    pub fn act(&self, act: &Act, around: &Surroundings<'_>) -> Result<Answer, Errors> {
        let mut states = lock(&self.0);
        match act {
            Act::Reset => {
                around.put_back(&states.seed)?;
                Ok(told("Back to the seed.".into()))
            }
            Act::Snapshot(name) => {
                if states.named.len() >= MOST_SNAPSHOTS && !states.named.contains_key(name) {
                    let problem = Problem::TooManySnapshots { most: MOST_SNAPSHOTS };
                    return Err(Error::at(Pointer::ROOT.key("name"), problem).into());
                }
                let state = around.writer.between(Entries::Written, || Ok(State::of(Snapshot::take()?)))?;
                states.named.insert(name.clone(), Arc::new(state));
                Ok(told(format!("The snapshot {name} was taken.")))
            }
            Act::Restore(name) => {
                let Some(state) = states.named.get(name) else {
                    let nearest = nearest(name, states.named.keys().map(String::as_str));
                    let problem = Problem::NoSuchSnapshot { name: name.clone(), nearest };
                    return Err(Error::at(Pointer::ROOT.key("name"), problem).into());
                };
                around.put_back(state)?;
                Ok(told(format!("Back to the snapshot {name}.")))
            }
            Act::Clock(turn) => {
                turned(*turn)?;
                let how = if clock::is_stopped() { "stands" } else { "goes on" };
                Ok(told(format!("The clock {how}.")))
            }
        }
    }
}

impl Surroundings<'_> {
    fn put_back(&self, state: &Arc<State>) -> Result<(), Errors> {
        let state = state.clone();
        self.writer.between(Entries::Forgotten, move || {
            lock(&state.database).put_back()?;
            clock::put_back(state.clock);
            random::put_back(state.drawn);
            Ok(())
        })?;
        self.rates.forget();
        Ok(())
    }
}

fn turned(turn: Turn) -> Result<(), Errors> {
    match turn {
        Turn::Read => {}
        Turn::Freeze(at) => clock::stop(at.unwrap_or_else(clock::now)),
        Turn::Set(from) => clock::go_on(from),
        Turn::Run if !clock::is_stopped() => {}
        Turn::Run => clock::go_on(clock::now()),
        Turn::Advance(by) => {
            let why = || "leads past the year 9999".to_owned();
            let problem = || Problem::Refused { field: "advance".into(), why: why() };
            clock::advance(by).ok_or_else(|| Error::at(Pointer::ROOT.key("advance"), problem()))?;
        }
    }
    Ok(())
}

/// What every act answers: the moment that it is then, and whether it stays so.
fn told(message: String) -> Answer {
    let now = ("now".into(), Json::String(time::now()));
    Answer::told(&Json::Object(vec![now, ("frozen".into(), Json::Boolean(clock::is_stopped()))]), message)
}
