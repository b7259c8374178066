//! How far a load in steps is: kept in the database, in the transaction of the records, so that it goes on where it was cut off
//! and makes no record twice.

use super::records::Source;
use crate::json::Json;
use crate::sql::Statement;
use crate::store::{Failure, Session};
use crate::value::Scalar;
use std::collections::HashSet;
use std::io::Read;

/// Bytes at the start of a file by which it is told from others.
const HEAD: u64 = 64 << 10;

/// What is done of a file.
#[derive(Default)]
pub struct Progress {
    /// The last line that is done.
    pub line: u64,
    /// Lines before it that are not.
    pub waiting: HashSet<u64>,
}

impl Progress {
    pub fn is_done(&self, line: u64) -> bool {
        line <= self.line && !self.waiting.contains(&line)
    }

    /// What an earlier run left of a file.
    pub fn read(session: &Session, source: &Scalar) -> Result<Progress, Failure> {
        let text = r#"SELECT "line", "waiting" FROM "system.Load" WHERE "source" = unhex(?1)"#;
        let rows = session.rows(&Statement::fixed(text, [source.clone()]))?;
        let Some([Scalar::Integer(line), Scalar::Text(waiting)]) = rows.iter().next() else {
            return Ok(Progress::default());
        };
        let lines = match Json::parse(waiting.as_bytes()) {
            Ok(Json::List(lines)) => lines,
            _ => Vec::new(), // we wrote it, so that it is a list
        };
        let number = |line: &Json| if let Json::Integer(line) = line { u64::try_from(*line).ok() } else { None };
        Ok(Progress { line: u64::try_from(*line).unwrap_or(0), waiting: lines.iter().filter_map(number).collect() })
    }

    pub fn write(&self, session: &Session, source: &Scalar) -> Result<(), Failure> {
        let number = |line: &u64| Json::Integer(i64::try_from(*line).unwrap_or(i64::MAX));
        let waiting = Json::List(self.waiting.iter().map(number).collect()).to_string();
        let line = Scalar::Integer(i64::try_from(self.line).unwrap_or(i64::MAX));
        let text = r#"INSERT INTO "system.Load" ("source", "line", "waiting") VALUES (unhex(?1), ?2, ?3)
                      ON CONFLICT DO UPDATE SET "line" = ?2, "waiting" = ?3"#;
        session.execute(&Statement::fixed(text, [source.clone(), line, Scalar::Text(waiting)])).map(drop)
    }

    /// Forgets a file that is done.
    pub fn end(session: &Session, source: &Scalar) -> Result<(), Failure> {
        let text = r#"DELETE FROM "system.Load" WHERE "source" = unhex(?1)"#;
        session.execute(&Statement::fixed(text, [source.clone()])).map(drop)
    }
}

/// What a file is known by, as hexadecimal digits.
///
/// # Errors
/// It cannot be read.
pub fn name(source: &Source) -> Result<Scalar, String> {
    let describe = |error: std::io::Error| source.described(0, &error);
    let path = source.path.canonicalize().map_err(describe)?;
    let mut head = Vec::new();
    std::fs::File::open(&path).and_then(|file| file.take(HEAD).read_to_end(&mut head)).map_err(describe)?;
    let mut hash = blake3::Hasher::new();
    for part in [path.as_os_str().as_encoded_bytes(), source.model.namespace.as_str().as_bytes(), &head] {
        hash.update(&(part.len() as u64).to_le_bytes()).update(part);
    }
    hash.update(&source.size().to_le_bytes());
    Ok(Scalar::Text(hash.finalize().to_hex().to_string()))
}
