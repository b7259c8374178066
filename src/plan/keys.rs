//! What is done to API keys, which takes more than writing a record: secrets, and who may give what.

use super::planner::Planner;
use super::{Comparison, KeyAct, Output, Select, Target, Tell, Value, Work, Write};
use crate::access::{Action, Namespace, Permissions};
use crate::auth::text::holds_key;
use crate::error::{Error, Problem, shown};
use crate::intent::Intent;
use crate::json::{Json, Pointer};
use crate::model::Model;
use crate::request::Request;
use crate::value::{Scalar, time};
use std::collections::HashSet;
use std::sync::Arc;

/// Where the text of a key stands in the answer.
const KEY: &str = "key";

/// The arguments of `rotate`: how long the old secret works on; or that it ends now after all.
pub const ROTATE_KEYS: [&str; 2] = [OVERLAP, END_OVERLAP];
const OVERLAP: &str = "overlap";
const END_OVERLAP: &str = "endOverlap";

/// Those of `audit`: how far back the use of keys counts, and the age from which on a secret is old.
pub const AUDIT_KEYS: [&str; 2] = [WINDOW, MAX_AGE];
const WINDOW: &str = "window";
const MAX_AGE: &str = "maxAge";

/// The fields with what a key is called, and what it may do.
const NAME: &str = "name";
const PERMISSIONS: &str = "permissions";

/// What a key is told of itself.
const OWN: [&str; 7] = ["public_id", NAME, PERMISSIONS, "created", "expires", "rate", "allowed_ips"];

/// What is answered with a key's text, where the request does not say.
const ANSWERED: [&str; 5] = [PERMISSIONS, "id", "public_id", NAME, "expires"];

impl Planner<'_> {
    /// The work of an intent on `system.ApiKey`, where it is more than that on any record.
    pub fn key_work(&mut self, model: &Arc<Model>, request: &Request, meta: &Pointer<'_>) -> Option<Work> {
        let act = match request.intent {
            Intent::Create => {
                let mut write = self.create(model, request);
                if request.fields.is_none() {
                    write.answer = handed_out(model);
                }
                if write.answer.fields.iter().any(|field| field.name == KEY) {
                    let why = "is where the text of the key stands; ask for the field under another name".to_owned();
                    let problem = Problem::Refused { field: KEY.into(), why };
                    self.note(Error::at(meta.key("return").key(KEY), problem));
                }
                KeyAct::Create(write)
            }
            Intent::Update => {
                let target = self.target(model, request, meta);
                let write = self.update(model, request);
                KeyAct::Update { target: target?, write }
            }
            intent => {
                let target = self.target(model, request, meta);
                let rotation = self.rotation(request);
                // What a key is and may do is told to those only who may read it.
                let reads = self.caller.may(&model.namespace, Action::Read);
                let answer = if reads { handed_out(model) } else { self.answer(model, None, &HashSet::new()) };
                let target = target?;
                match intent {
                    Intent::Rotate => match rotation? {
                        Rotation::Secret { until } => KeyAct::Rotate { target, until, answer },
                        Rotation::EndOverlap => KeyAct::EndOverlap { target, answer },
                    },
                    Intent::Revoke => KeyAct::Revoke { target, answer },
                    Intent::Disable => KeyAct::Disable { target, answer },
                    Intent::Enable => KeyAct::Enable { target, answer },
                    other => {
                        let cause = format!("{} is no act on a key", other.rule().name);
                        self.note(Problem::Fault { cause }.into());
                        return None;
                    }
                }
            }
        };
        let missing = match &act {
            KeyAct::Create(write) | KeyAct::Update { write, .. } => {
                self.name_without_key(write);
                self.missing_models(write)
            }
            _ => Vec::new(),
        };
        Some(Work::Key { act, caller: self.caller.clone(), missing })
    }

    /// The record of the key that asks.
    pub fn own_key(&mut self, model: &Arc<Model>, meta: &Pointer<'_>) -> Option<Work> {
        if self.caller.public_id().is_none() {
            let why = "is asked with a key, and the operator has none".to_owned();
            let problem = Problem::Refused { field: Intent::WhoAmI.rule().name.into(), why };
            self.note(Error::at(meta.key("intent"), problem));
            return None;
        }
        let id = self.caller.id();
        let condition = Comparison::exact(model.id_column(), Scalar::Integer(id));
        let named = vec![("id".into(), Json::Integer(id))];
        let target = Target { condition: condition.clone(), id: Some(Scalar::Integer(id)), version: None, named };
        Some(Work::One { select: Select { condition, limit: 1, ..with_fields(model, &OWN) }, target })
    }

    /// Refuses to keep the text of a key as a name, which all are shown who see keys.
    fn name_without_key(&mut self, write: &Write) {
        if text_of(write, NAME).is_some_and(holds_key) {
            let problem = Problem::Refused { field: NAME.into(), why: "holds a key, which is kept nowhere".into() };
            self.note(Error::at(Pointer::ROOT.key(NAME), problem));
        }
    }

    /// The models that the permissions name which a key is given, and that are not there.
    fn missing_models(&self, write: &Write) -> Vec<Namespace> {
        let given = text_of(write, PERMISSIONS).and_then(|text| text.parse::<Permissions>().ok());
        given.map_or(Vec::new(), |given| self.catalogue.missing(&given).into_iter().cloned().collect())
    }

    /// What the arguments ask of `rotate`. No other controller of keys takes any.
    fn rotation(&mut self, request: &Request) -> Option<Rotation> {
        let mut until = Some(self.now.to_owned());
        let (mut overlaps, mut ends) = (false, false);
        for (key, json) in &request.arguments {
            let at = Pointer::ROOT.key(key);
            if request.intent != Intent::Rotate {
                let problem = Problem::UselessKey { key: shown(key), intent: request.intent.rule().name };
                self.note(Error::at(at, problem));
                continue;
            }
            match (key.as_str(), json) {
                (OVERLAP, json) => {
                    overlaps = true;
                    until = self.time(&at, OVERLAP, json, |text| time::parse_duration(text).and_then(time::from_now));
                }
                (END_OVERLAP, Json::Boolean(wanted)) => ends = *wanted,
                (END_OVERLAP, other) => self.wrong(&at, END_OVERLAP, "true or false", other),
                _ => self.unknown_argument(&at, Intent::Rotate, key, ROTATE_KEYS),
            }
        }
        if overlaps && ends {
            let why = "makes no new secret, so there is no overlap to begin".to_owned();
            self.note(Error::at(Pointer::ROOT.key(END_OVERLAP), Problem::Refused { field: END_OVERLAP.into(), why }));
        }
        if ends { Some(Rotation::EndOverlap) } else { until.map(|until| Rotation::Secret { until }) }
    }

    /// The work of `audit`.
    pub fn audit_work(&mut self, request: &Request) -> Work {
        let (mut window, mut max_age) = (None, None);
        for (key, json) in &request.arguments {
            let at = Pointer::ROOT.key(key);
            match key.as_str() {
                WINDOW => window = self.time(&at, WINDOW, json, time::parse_some_duration),
                MAX_AGE => max_age = self.time(&at, MAX_AGE, json, time::parse_some_duration),
                _ => self.unknown_argument(&at, Intent::Audit, key, AUDIT_KEYS),
            }
        }
        Work::Tell(Tell::Audit { window, max_age })
    }

    /// What an argument makes of a length of time.
    fn time<T>(
        &mut self,
        at: &Pointer<'_>,
        name: &str,
        json: &Json,
        read: impl Fn(&str) -> Result<T, String>,
    ) -> Option<T> {
        let Json::String(text) = json else {
            self.wrong(at, name, "a length of time, such as \"24h\"", json);
            return None;
        };
        let note =
            |why| self.note(Error::at(at, Problem::Refused { field: name.into(), why: format!("is refused: {why}") }));
        read(text).map_err(note).ok()
    }
}

/// What `rotate` does.
enum Rotation {
    /// A new secret; the old one ends then.
    Secret {
        until: String,
    },
    EndOverlap,
}

/// The text that a write gives a field of its one record.
fn text_of<'w>(write: &'w Write, field: &str) -> Option<&'w str> {
    let place = write.slots.iter().position(|slot| slot.column.name == field)?;
    write.rows.first()?.values.get(place)?.text()
}

/// What is told of a key together with its text.
fn handed_out(model: &Arc<Model>) -> Select {
    with_fields(model, &ANSWERED)
}

fn with_fields(model: &Arc<Model>, names: &[&'static str]) -> Select {
    let output = |name: &&'static str| Some(Output::of((*name).into(), Value::of(model.column(name)?)));
    Select::of(model, names.iter().filter_map(output).collect())
}
