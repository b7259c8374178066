//! Runs what is done to the models.

use super::Outcome;
use crate::apply::{self, Refused};
use crate::error::{Error, Errors, Problem, note};
use crate::json::Pointer;
use crate::model::{Catalogue, Definition};
use crate::plan::ModelsAct;
use crate::store::{Failure, Session};

/// Does it.
///
/// # Errors
/// Values would be lost, and nobody allowed it; or what is stored does not fit. Nothing is changed then.
pub fn act(
    session: &Session,
    act: ModelsAct,
    definition: &Definition,
    catalogue: &Catalogue,
) -> Result<Outcome, Errors> {
    match act {
        ModelsAct::Diff => Ok(Outcome::Compared(apply::plan(session, catalogue, definition)?)),
        ModelsAct::Apply { allow_data_loss } => {
            let applied = apply::apply(session, catalogue, definition, allow_data_loss);
            let (version, planned) = applied.map_err(|refused| told(&refused))?;
            Ok(Outcome::Applied { planned, is_new: version != catalogue.version, version })
        }
    }
}

/// Why models were not applied, as the client is told.
fn told(refused: &Refused) -> Errors {
    let problems = match refused {
        Refused::Loss(losses) => losses.iter().map(|what| Problem::WouldLose { what: what.clone() }).collect(),
        Refused::Obstacles(obstacles) => obstacles.iter().map(|why| Problem::Unfit { why: why.clone() }).collect(),
        Refused::Database(Failure::Other(problem)) => return problem.clone().into(),
        Refused::Database(_) => vec![Problem::Unfit { why: refused.to_string() }],
    };
    let mut errors = Vec::new();
    for problem in problems {
        note(&mut errors, Error::at(Pointer::ROOT.key("models"), problem));
    }
    errors
}
