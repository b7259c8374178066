//! Why a statement did not do what it says. SQLite's codes become ours here.

use super::{CASCADE_LEVELS, MOST_COUNTED, functions};
use crate::error::{Problem, plain};
use rusqlite::ffi;
use std::time::Duration;

/// The most characters of what SQLite says.
const MOST_QUOTED: usize = 200;

/// Why a statement did not do what it says.
#[derive(Debug, PartialEq)]
pub enum Failure {
    /// A value that must be unique is taken; the columns.
    Unique(Vec<String>),
    /// A reference to a record that is not there, or a record that is referred to.
    ForeignKey,
    /// A rule of the table's own; its text.
    Check(String),
    Other(Problem),
}

impl std::fmt::Display for Failure {
    /// For the operator: with the cause.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Failure::Unique(columns) => write!(f, "the value of {} is taken", columns.join(", ")),
            Failure::ForeignKey => f.write_str("a reference does not hold"),
            Failure::Check(rule) => write!(f, "a rule does not hold: {rule}"),
            Failure::Other(problem) => f.write_str(&problem.for_owner()),
        }
    }
}

impl From<Failure> for Problem {
    fn from(failure: Failure) -> Problem {
        match failure {
            Failure::Other(problem) => problem,
            other => Problem::Fault { cause: other.to_string() },
        }
    }
}

impl From<Failure> for crate::error::Errors {
    fn from(failure: Failure) -> crate::error::Errors {
        Problem::from(failure).into()
    }
}

impl From<rusqlite::Error> for Failure {
    fn from(error: rusqlite::Error) -> Failure {
        let fault = |cause: String| Failure::Other(Problem::Fault { cause });
        let unwritable = |cause: String| Failure::Other(Problem::Unwritable { cause });
        let (code, message) = match &error {
            rusqlite::Error::SqliteFailure(code, message) => (*code, message.clone().unwrap_or_default()),
            rusqlite::Error::SqlInputError { error, msg, .. } => (*error, msg.clone()),
            _ => return fault(error.to_string()),
        };
        let said = format!("{} ({})", quoted(&error), code.extended_code);
        match code.extended_code {
            ffi::SQLITE_CONSTRAINT_UNIQUE | ffi::SQLITE_CONSTRAINT_PRIMARYKEY => Failure::Unique(columns_in(&message)),
            ffi::SQLITE_CONSTRAINT_FOREIGNKEY => Failure::ForeignKey,
            functions::OVERFLOW => Failure::Other(Problem::Overflow),
            // The index of the write-ahead log, which is shared memory in a file: it cannot grow.
            ffi::SQLITE_IOERR_SHMSIZE => Failure::Other(Problem::DiskFull),
            ffi::SQLITE_IOERR_WRITE => unwritable(format!(
                "the disk refuses what is written, by a quota or a limit of file sizes, or is broken: {said}"
            )),
            ffi::SQLITE_IOERR_FSYNC | ffi::SQLITE_IOERR_DIR_FSYNC | ffi::SQLITE_IOERR_TRUNCATE => {
                unwritable(format!("the disk does not keep what is written: {said}"))
            }
            functions::TOO_MUCH_SEARCHED => Failure::Other(Problem::TooMuchSearched),
            functions::TOO_MANY_COUNTED => {
                let what = "MiB of different values that percentiles are of";
                Failure::Other(Problem::TooMany { what, limit: (MOST_COUNTED >> 20) as u64 })
            }
            // A trigger of another tool says no.
            ffi::SQLITE_CONSTRAINT_TRIGGER => Failure::Check(message),
            ffi::SQLITE_CONSTRAINT_CHECK | ffi::SQLITE_CONSTRAINT_NOTNULL => {
                Failure::Check(message.split_once(": ").map_or(message.as_str(), |(_, rule)| rule).to_owned())
            }
            _ => match code.code {
                ffi::ErrorCode::DatabaseBusy | ffi::ErrorCode::DatabaseLocked => Failure::Other(Problem::Busy),
                ffi::ErrorCode::OperationInterrupted => Failure::Other(Problem::Timeout { limit: Duration::ZERO }),
                ffi::ErrorCode::DiskFull => Failure::Other(Problem::DiskFull),
                ffi::ErrorCode::ReadOnly => unwritable(format!("the file, or its folder, can only be read: {said}")),
                ffi::ErrorCode::CannotOpen => {
                    fault(format!("{said}; its folder must be writable, and descriptors left"))
                }
                ffi::ErrorCode::DatabaseCorrupt => {
                    fault(format!("the file is damaged: {said}; a backup has what is lost"))
                }
                ffi::ErrorCode::NotADatabase => {
                    fault(format!("{said}, or its beginning is damaged; a backup has what is lost"))
                }
                ffi::ErrorCode::TooBig => Failure::Other(Problem::AnswerTooLarge { most: "64 MiB in one value" }),
                // It has no code of its own.
                _ if message == "triggers nested too deep" => {
                    Failure::Other(Problem::CascadeTooDeep { most: CASCADE_LEVELS })
                }
                _ => fault(said),
            },
        }
    }
}

/// What SQLite says, in a line. Of a damaged file it quotes what stands there, which may be anything, and long.
fn quoted(error: &rusqlite::Error) -> String {
    let text = plain(&error.to_string());
    match text.char_indices().nth(MOST_QUOTED) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

/// The columns that a message such as `UNIQUE constraint failed: tickets.Ticket.title, …` names.
fn columns_in(message: &str) -> Vec<String> {
    let (_, names) = message.split_once(": ").unwrap_or(("", message));
    names.split(", ").map(|name| name.rsplit('.').next().unwrap_or(name).to_owned()).collect()
}
