//! What is asked of a server for tests: states to go back to, and what its clock is to show.

use super::reader::{Meta, Reader};
use crate::error::{Error, Problem, nearest, shown};
use crate::intent::{Intent, Rule};
use crate::json::{Json, Object, Pointer};
use crate::value::time;
use jiff::{SignedDuration, Timestamp};

/// A request to `system.Fixture`.
#[derive(Clone, Debug, PartialEq)]
pub struct Fixture {
    pub intent: Intent,
    /// `None` where it is malformed.
    pub act: Option<Act>,
    pub draw: Option<Json>,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Act {
    /// Back to the state of the start.
    Reset,
    /// Keeps the present state under a name.
    Snapshot(String),
    /// Back to the state of that name.
    Restore(String),
    Clock(Turn),
}

/// What is done to the clock.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Turn {
    /// Nothing: it is only read.
    Read,
    /// It stands still at a moment, or at the present one.
    Freeze(Option<Timestamp>),
    /// It goes on from a moment.
    Set(Timestamp),
    Advance(SignedDuration),
    /// It goes on from where it stands.
    Run,
}

/// What stands beside the `__meta__` of `snapshot` and `restore`.
pub const SNAPSHOT_KEYS: [&str; 1] = [NAME];
const NAME: &str = "name";
/// Characters of the name of a snapshot.
pub const LONGEST_NAME: usize = 100;

/// What stands beside the `__meta__` of `clock`: one of them, or none.
pub const CLOCK_KEYS: [&str; 4] = [FREEZE, SET, ADVANCE, RUN];
const FREEZE: &str = "freeze";
const SET: &str = "set";
const ADVANCE: &str = "advance";
const RUN: &str = "run";

const MOMENT: &str = "a moment, such as \"2026-01-31T09:30:00Z\"";

impl Reader {
    /// The request that these arguments make.
    pub fn fixture(&mut self, meta: &Meta<'_>, rule: &'static Rule, arguments: Object) -> Fixture {
        let known: &[&str] = match rule.intent {
            Intent::Reset => &[],
            Intent::Clock => &CLOCK_KEYS,
            _ => &SNAPSHOT_KEYS,
        };
        let (unknown, mut arguments): (Object, Object) =
            arguments.into_iter().partition(|(key, _)| !known.contains(&key.as_str()));
        for (key, _) in unknown {
            let (place, nearest) = (format!("the controller {}", rule.name), nearest(&key, known.iter().copied()));
            let at = Pointer::ROOT.key(&key).to_string();
            self.note(Error::at(at, Problem::UnknownKey { place, key: shown(&key), nearest }));
        }
        for (key, _) in arguments.iter().skip(1) {
            let why = format!("and \"{}\" both set the clock; send one of them", arguments[0].0);
            self.note(Error::at(Pointer::ROOT.key(key), Problem::Refused { field: key.to_string(), why }));
        }
        let argument = if arguments.is_empty() { None } else { Some(arguments.swap_remove(0)) };
        let act = match rule.intent {
            Intent::Reset => Some(Act::Reset),
            Intent::Clock => self.turn(argument).map(Act::Clock),
            intent => {
                let name = self.name(rule, argument.map(|(_, json)| json));
                name.map(if intent == Intent::Snapshot { Act::Snapshot } else { Act::Restore })
            }
        };
        Fixture { intent: rule.intent, act, draw: self.draw(meta) }
    }

    fn name(&mut self, rule: &Rule, given: Option<Json>) -> Option<String> {
        match given {
            Some(Json::String(name)) if (1..=LONGEST_NAME).contains(&name.chars().count()) => Some(name),
            Some(other) => {
                self.wrong(&Pointer::ROOT.key(NAME), NAME, "a string of 1 to 100 characters", &other);
                None
            }
            None => {
                let place = format!("the controller {}", rule.name);
                self.note(Error::at("", Problem::MissingKey { place, key: NAME }));
                None
            }
        }
    }

    fn turn(&mut self, given: Option<(impl AsRef<str>, Json)>) -> Option<Turn> {
        let Some((key, json)) = given else { return Some(Turn::Read) };
        let key = key.as_ref();
        let at = Pointer::ROOT.key(key);
        let read = match (key, &json) {
            (FREEZE, Json::Boolean(true)) => Ok(Turn::Freeze(None)),
            (FREEZE, Json::String(text)) => time::parse_timestamp(text).map(|moment| Turn::Freeze(Some(moment))),
            (SET, Json::String(text)) => time::parse_timestamp(text).map(Turn::Set),
            (ADVANCE, Json::String(text)) => time::parse_duration(text).map(Turn::Advance),
            (RUN, Json::Boolean(true)) => Ok(Turn::Run),
            _ => {
                let wanted = match key {
                    FREEZE => "true, or a moment, such as \"2026-01-31T09:30:00Z\"",
                    SET => MOMENT,
                    ADVANCE => "a length of time, such as \"90d\"",
                    _ => "true",
                };
                self.wrong(&at, key, wanted, &json);
                return None;
            }
        };
        let why = read.as_ref().err().map(|why| format!("is refused: {why}"));
        if let Some(why) = why {
            self.note(Error::at(at, Problem::Refused { field: key.into(), why }));
        }
        read.ok()
    }
}
