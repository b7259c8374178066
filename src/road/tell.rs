//! What the server tells of itself: no records, but what it makes of its own tables, of the models and of the log.

use crate::audit::{self, Report, Terms};
use crate::envelope::Answer;
use crate::error::{Problem, so_many};
use crate::json::write_list;
use crate::openapi::describe;
use crate::plan::Tell;
use crate::plan::planner::Given;
use crate::shape::{MOST_WRITTEN, TOO_LARGE};
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
        Tell::Audit { window, max_age } => {
            let usual = Terms::default();
            let terms =
                Terms { window: window.unwrap_or(usual.window), max_age: max_age.unwrap_or(usual.max_age), ..usual };
            let report = audit::report(session, &given.catalogue, &terms)?;
            let mut data = Vec::new();
            write_list(report.findings.iter(), &mut data, |finding, out| finding.to_json(&start()).write(out));
            if data.len() > MOST_WRITTEN {
                return Err(TOO_LARGE);
            }
            Ok(Answer::told(data, report.findings.len() as u64, summary(&report)))
        }
    }
}

/// How a command begins for whoever stands before the server: where its file is, is not for everybody to know.
fn start() -> Vec<String> {
    vec!["jqlite".to_owned()]
}

/// What was looked at, and what could not be judged.
fn summary(report: &Report) -> String {
    let found = so_many(report.findings.len() as u64, "finding");
    let mut text = format!("{found}: {} keys, the log since {}.", report.keys, report.since);
    for note in report.notes.iter().take(MOST_NOTES) {
        text.push_str(&format!(" Note: {note}."));
    }
    if report.notes.len() > MOST_NOTES {
        text.push_str(&format!(" {} notes more.", report.notes.len() - MOST_NOTES));
    }
    text
}

/// Notes that fit a message.
const MOST_NOTES: usize = 10;
