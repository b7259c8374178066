//! What is done to the models themselves. What is sent is read as the file of the command line is.

use super::planner::Planner;
use super::{ModelsAct, Work};
use crate::error::{Error, Problem, shown};
use crate::intent::Intent;
use crate::json::{Json, Pointer};
use crate::model::{Definition, parse};
use crate::request::Request;

/// What stands beside the `__meta__` of `diff` and `apply`; the last means nothing for `diff`.
pub const MODELS_KEYS: [&str; 2] = [MODELS, ALLOW_DATA_LOSS];
const MODELS: &str = "models";
const ALLOW_DATA_LOSS: &str = "allowDataLoss";

impl Planner<'_> {
    /// The work of `diff` and `apply`.
    pub fn models_work(&mut self, request: &Request) -> Option<Work> {
        let intent = request.intent.rule().name;
        let (mut definition, mut allow_data_loss) = (None, false);
        for (key, json) in &request.arguments {
            let at = Pointer::ROOT.key(key);
            match (key.as_str(), json) {
                (MODELS, json) => definition = self.definition(&at, json),
                (ALLOW_DATA_LOSS, _) if request.intent == Intent::Diff => {
                    self.note(Error::at(at, Problem::UselessKey { key: shown(key), intent }));
                }
                (ALLOW_DATA_LOSS, Json::Boolean(flag)) => allow_data_loss = *flag,
                (ALLOW_DATA_LOSS, other) => self.wrong(&at, ALLOW_DATA_LOSS, "true or false", other),
                _ => self.unknown_argument(&at, request.intent, key, MODELS_KEYS),
            }
        }
        if request.arguments.iter().all(|(key, _)| key != MODELS) {
            let problem = Problem::MissingKey { place: format!("the controller {intent}"), key: MODELS };
            self.note(Error::at("", problem));
        }
        let act = if request.intent == Intent::Diff { ModelsAct::Diff } else { ModelsAct::Apply { allow_data_loss } };
        Some(Work::Models { act, definition: definition?, catalogue: self.catalogue.clone() })
    }

    fn definition(&mut self, at: &Pointer<'_>, json: &Json) -> Option<Definition> {
        if !matches!(json, Json::Object(_)) {
            self.wrong(at, MODELS, "an object, as models.json holds it", json);
            return None;
        }
        match parse::definition(json) {
            Ok(definition) => Some(definition),
            Err(errors) => {
                for error in errors {
                    let pointer = format!("{at}{}", error.pointer.unwrap_or_default());
                    self.note(Error::at(pointer, error.problem));
                }
                None
            }
        }
    }
}
