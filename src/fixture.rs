//! What makes a server one for tests: the states that it can be put back to, and its clock.
//!
//! Everything that a later request could notice goes back together: records, models, keys, the usage log, answers that are
//! kept for a retry, rates, the clock, and how far ids were drawn from a seed. Answers in memory are of another mark of the
//! database then, and no longer good.

use crate::clock;
use crate::envelope::Answer;
use crate::error::{Error, Errors, Problem, nearest};
use crate::json::{Json, Pointer};
use crate::lock::{hold, lock};
use crate::random::{self, Drawn};
use crate::rate::Rates;
use crate::request::fixture::{Act, Turn};
use crate::store::Failure;
use crate::store::snapshot::Snapshot;
use crate::value::time;
use crate::writer::{Entries, Writer};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

/// The states that it knows.
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
        match act {
            Act::Reset => {
                let seed = lock(&self.0).seed.clone();
                around.put_back(seed)?;
                Ok(told("Back to the seed.".into()))
            }
            Act::Snapshot(name) => {
                lock(&self.0).room_for(name)?; // before any work is done for it
                let state = around.writer.between(Entries::Written, || Ok(State::of(Snapshot::take()?)))?;
                let mut states = lock(&self.0);
                states.room_for(name)?;
                states.named.insert(name.clone(), Arc::new(state));
                Ok(told(format!("The snapshot {name} was taken.")))
            }
            Act::Restore(name) => {
                let state = lock(&self.0).of(name)?;
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

impl States {
    fn room_for(&self, name: &str) -> Result<(), Error> {
        if self.named.len() < MOST_SNAPSHOTS || self.named.contains_key(name) {
            return Ok(());
        }
        Err(Error::at(Pointer::ROOT.key("name"), Problem::TooManySnapshots { most: MOST_SNAPSHOTS }))
    }

    fn of(&self, name: &str) -> Result<Arc<State>, Error> {
        self.named.get(name).cloned().ok_or_else(|| {
            let nearest = nearest(name, self.named.keys().map(String::as_str));
            Error::at(Pointer::ROOT.key("name"), Problem::NoSuchSnapshot { name: name.to_owned(), nearest })
        })
    }
}

impl Surroundings<'_> {
    fn put_back(&self, state: Arc<State>) -> Result<(), Errors> {
        self.writer.between(Entries::Forgotten, move || {
            hold(&state.database).put_back()?;
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
    let data = Json::Object(vec![now, ("frozen".into(), Json::Boolean(clock::is_stopped()))]);
    Answer::told(data.to_string().into_bytes(), 1, message)
}
