//! What the server tells of itself: no records, but what it makes of its own tables, of the models and of the log.

use crate::envelope::Answer;
use crate::error::Problem;
use crate::openapi::describe;
use crate::plan::Tell;
use crate::plan::planner::Given;
use crate::store::Session;

/// Answers it.
///
/// # Errors
/// The answer is larger than one may be, or takes too long.
pub fn answer(session: &Session, given: &Given, what: Tell) -> Result<Answer, Problem> {
    match what {
        Tell::Abilities => {
            let (count, data) =
                describe::abilities(&given.catalogue, &given.caller, given.limits, &|| session.in_time())?;
            Ok(Answer::told(data, 1, format!("{count} models.")))
        }
    }
}
