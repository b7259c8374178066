//! How far a load in steps is: kept in the database, in the transaction of the records, so that it goes on where it was cut off
//! and makes no record twice. What was done of a file is known by its content, so that a file that was changed there is not
//! taken for the one that was loaded.

use super::load::Origin;
use super::records::{Mark, Source};
use crate::json::{Json, number};
use crate::sql::Statement;
use crate::store::{Failure, Session};
use crate::value::Scalar;
use std::collections::HashSet;

/// What is done of a file.
#[derive(Clone, Default)]
pub struct Progress {
    /// Up to where.
    pub mark: Mark,
    /// Lines before it that are not.
    pub waiting: HashSet<u64>,
    /// Whether that was all of it.
    pub is_whole: bool,
}

impl Progress {
    pub fn is_done(&self, line: u64) -> bool {
        line <= self.mark.line && !self.waiting.contains(&line)
    }

    /// What an earlier run left of a file.
    pub fn read(session: &Session, source: &Scalar) -> Result<Progress, Failure> {
        let text =
            r#"SELECT "line", lower(hex("content")), "waiting", "whole" FROM "system.Load" WHERE "source" = unhex(?1)"#;
        let rows = session.rows(&Statement::fixed(text, [source.clone()]))?;
        let Some([Scalar::Integer(line), Scalar::Text(content), Scalar::Text(waiting), whole]) = rows.iter().next()
        else {
            return Ok(Progress::default());
        };
        let lines = match Json::parse(waiting.as_bytes()) {
            Ok(Json::List(lines)) => lines,
            _ => Vec::new(), // we wrote it, so that it is a list
        };
        let line_of = |line: &Json| if let Json::Integer(line) = line { u64::try_from(*line).ok() } else { None };
        let mark = Mark { line: u64::try_from(*line).unwrap_or(0), content: content.clone() };
        Ok(Progress {
            mark,
            waiting: lines.iter().filter_map(line_of).collect(),
            is_whole: *whole == Scalar::Integer(1),
        })
    }

    pub fn write(&self, session: &Session, source: &Scalar) -> Result<(), Failure> {
        let waiting = Json::List(self.waiting.iter().copied().map(number).collect()).to_string();
        let line = Scalar::Integer(i64::try_from(self.mark.line).unwrap_or(i64::MAX));
        let text = r#"INSERT INTO "system.Load" ("source", "line", "content", "waiting", "whole")
                      VALUES (unhex(?1), ?2, unhex(?3), ?4, ?5)
                      ON CONFLICT DO UPDATE SET "line" = ?2, "content" = unhex(?3), "waiting" = ?4, "whole" = ?5"#;
        let content = Scalar::Text(self.mark.content.clone());
        let whole = Scalar::Integer(i64::from(self.is_whole));
        session
            .execute(&Statement::fixed(text, [source.clone(), line, content, Scalar::Text(waiting), whole]))
            .map(drop)
    }
}

/// What a file is known by, as hexadecimal digits: where it is, and for which model.
///
/// # Errors
/// It cannot be read.
pub fn name(source: &Source) -> Result<Scalar, String> {
    let path = source.path.canonicalize().map_err(|error| source.described(0, &error))?;
    let mut hash = blake3::Hasher::new();
    for part in [path.as_os_str().as_encoded_bytes(), source.model.namespace.as_str().as_bytes()] {
        hash.update(&(part.len() as u64).to_le_bytes()).update(part);
    }
    Ok(Scalar::Text(hash.finalize().to_hex().to_string()))
}
