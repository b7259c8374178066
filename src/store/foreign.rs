//! A SQLite file that another program made: opened so that nothing in it is changed, and nothing that it brings along runs. Whoever
//! made it may mean ill.

use super::guarded;
use super::place::beside;
use super::session::Session;
use super::{APPLICATION_ID, Failure, LONGEST_VALUE};
use crate::error::Problem;
use crate::sql::Statement;
use rusqlite::{Connection, ErrorCode, OpenFlags};
use std::fs::{File, Metadata};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

/// How every SQLite file begins: <https://www.sqlite.org/fileformat.html#the_database_header>.
const MAGIC: &[u8; 16] = b"SQLite format 3\0";
/// Where it says that it is written ahead, and how.
const WRITES_AHEAD: (usize, u8) = (19, 2);

/// An open file of another program. All that is read of it is of one moment.
pub struct Foreign {
    pub session: Session,
    path: PathBuf,
    /// What the file was when it was opened, where no lock of SQLite's keeps others from writing to it.
    unlocked: Option<(u64, Option<SystemTime>)>,
}

/// Opens a file to be read.
///
/// # Errors
/// It is not there, is no SQLite file, is one of ours, or cannot be read.
pub fn open(path: &Path, timeout: Duration) -> Result<Foreign, String> {
    let named = path.display();
    let describe = |error: std::io::Error| match error.kind() {
        std::io::ErrorKind::NotFound => format!("cannot import {named}: there is no such file"),
        _ => format!("cannot import {named}: {error}"),
    };
    if !path.metadata().map_err(describe)?.is_file() {
        return Err(format!("cannot import {named}: it is a folder or a device, and no file"));
    }
    let path = path.canonicalize().map_err(describe)?;
    let mut head = Vec::new();
    File::open(&path).and_then(|file| file.take(100).read_to_end(&mut head)).map_err(describe)?;
    if !head.starts_with(MAGIC) {
        return Err(format!("cannot import {named}: it is no SQLite database, or is encrypted"));
    }
    let has_log = std::fs::metadata(beside(&path, "-wal")).is_ok_and(|log| log.len() > 0);
    // Without a log there is nothing that SQLite would have to look for beside it, and nothing that it would have to make there.
    let is_alone = head.get(WRITES_AHEAD.0) == Some(&WRITES_AHEAD.1) && !has_log;
    let unlocked = is_alone.then(|| path.metadata().map(|file| print(&file))).transpose().map_err(describe)?;
    let session = connect(&path, is_alone, timeout).map_err(|why| format!("cannot import {named}: {why}"))?;
    session.unlimited();
    let foreign = Foreign { session, path, unlocked };
    let application = foreign.session.number(&Statement::fixed("PRAGMA application_id", []));
    if application.map_err(|failure| foreign.described(&failure))? == APPLICATION_ID {
        let way = "`jqlite data dump` and `data load` carry its records, `jqlite restore` all of it";
        return Err(format!("{named} is a database of jqlite's: {way}"));
    }
    Ok(foreign)
}

fn connect(path: &Path, is_alone: bool, timeout: Duration) -> Result<Session, String> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = if is_alone {
        Connection::open_with_flags(immutable(path), flags | OpenFlags::SQLITE_OPEN_URI)
    } else {
        Connection::open_with_flags(path, flags)
    };
    let session = guarded(connection.map_err(why)?, timeout).map_err(|failure| failure.to_string())?;
    // A damaged page is noticed where it is read; what a CHECK says is not asked, as it is an expression of the file's own.
    let start = "PRAGMA cell_size_check = ON; PRAGMA mmap_size = 0; PRAGMA ignore_check_constraints = ON;
                 BEGIN; SELECT count(*) FROM sqlite_schema";
    session.connection.execute_batch(start).map_err(why)?;
    Ok(session)
}

/// A path as a URI that has SQLite neither lock the file nor make another one beside it.
fn immutable(path: &Path) -> String {
    let mut uri = "file:".to_owned();
    for byte in path.as_os_str().as_encoded_bytes() {
        match byte {
            b'/' | b'.' | b'-' | b'_' | b'0'..=b'9' | b'A'..=b'Z' | b'a'..=b'z' => uri.push(char::from(*byte)),
            _ => uri.push_str(&format!("%{byte:02X}")),
        }
    }
    uri + "?immutable=1"
}

/// What a file is known by that nobody has written to.
fn print(file: &Metadata) -> (u64, Option<SystemTime>) {
    (file.len(), file.modified().ok())
}

fn why(error: rusqlite::Error) -> String {
    match error.sqlite_error_code() {
        Some(ErrorCode::NotADatabase) => "it is no SQLite database, or is encrypted".into(),
        Some(ErrorCode::DatabaseCorrupt) => format!("it is damaged: {error}"),
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => "another program is writing to it".into(),
        Some(ErrorCode::ReadOnly | ErrorCode::CannotOpen) => {
            format!("{error}; where a write to it was cut off, open it once with the program that it belongs to")
        }
        _ => error.to_string(),
    }
}

/// Whether what a check tells is of pages, rather than of values that are not what their column says:
/// <https://www.sqlite.org/pragma.html#pragma_integrity_check>.
fn is_damage(told: &str) -> bool {
    let is_of_values = ["NULL", "NUMERIC", "TEXT"].iter().any(|kind| told.starts_with(&format!("{kind} value in ")))
        || told.starts_with("non-") && told.contains(" value in ");
    told != "ok" && !is_of_values
}

impl Foreign {
    /// Why it cannot be read. What looks like damage may be that somebody wrote to it.
    pub fn described(&self, failure: &Failure) -> String {
        let why = || format!("cannot read {}: {failure}", self.path.display());
        self.is_unchanged().err().unwrap_or_else(why)
    }

    /// Why a table cannot be read.
    pub fn described_of(&self, table: &str, failure: &Failure) -> String {
        match failure {
            Failure::Other(Problem::AnswerTooLarge { .. }) => self.too_long(table),
            _ => self.described(failure),
        }
    }

    fn too_long(&self, table: &str) -> String {
        self.refused(&format!("a value of {table} is longer than {} MiB, the most that is read", LONGEST_VALUE >> 20))
    }

    /// That it is not taken over, and why.
    pub fn refused(&self, why: &str) -> String {
        format!("cannot import {}: {why}", self.path.display())
    }

    /// Looks at all pages of a table, so that reading it comes to an end. That its values break its own rules is no damage: they
    /// are looked at one by one anyway.
    ///
    /// # Errors
    /// It is damaged.
    pub fn check(&self, table: &str) -> Result<(), String> {
        let mut check = Statement::default();
        check.push("PRAGMA quick_check(").name(table).push(")");
        let found = self.session.connection.prepare(&check.text).and_then(|mut check| {
            let told = check.query_map([], |row| row.get::<_, String>(0))?;
            told.collect::<Result<Vec<String>, _>>()
        });
        match found.map(|found| found.into_iter().find(|told| is_damage(told))) {
            Ok(None) => Ok(()),
            Ok(Some(found)) => {
                self.is_unchanged()?;
                Err(format!("{} is damaged: {found}", self.path.display()))
            }
            // It has an order of texts or a function that only its own program knows: nothing that we read needs it.
            Err(error) if error.sqlite_error_code() == Some(ErrorCode::Unknown) => Ok(()),
            Err(error) if error.sqlite_error_code() == Some(ErrorCode::TooBig) => Err(self.too_long(table)),
            Err(error) => {
                self.is_unchanged()?;
                Err(format!("cannot import {}: {}", self.path.display(), why(error)))
            }
        }
    }

    /// The order in which a column's texts are compared.
    pub fn collation(&self, table: &str, column: &str) -> Result<String, Failure> {
        let (_, collation, ..) = self.session.connection.column_metadata(Some("main"), table, column)?;
        Ok(collation.map_or("BINARY".into(), |name| name.to_string_lossy().to_uppercase()))
    }

    /// # Errors
    /// Somebody wrote to the file while it was read.
    pub fn is_unchanged(&self) -> Result<(), String> {
        let now = std::fs::metadata(&self.path).map(|file| print(&file)).ok();
        let has_log = std::fs::metadata(beside(&self.path, "-wal")).is_ok_and(|log| log.len() > 0);
        match &self.unlocked {
            Some(before) if has_log || now.as_ref() != Some(before) => {
                Err(format!("{} was written to while it was read; run it again", self.path.display()))
            }
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_was_written_to_is_not_called_damaged() {
        let path = std::env::temp_dir().join(format!("jqlite-foreign-{}.db", std::process::id()));
        let maker = Connection::open(&path).unwrap();
        maker
            .execute_batch("PRAGMA journal_mode = WAL; CREATE TABLE a (t); INSERT INTO a VALUES (zeroblob(100000))")
            .unwrap();
        maker.close().unwrap();
        let file = open(&path, Duration::from_secs(10)).unwrap();
        let mut bytes = std::fs::read(&path).unwrap();
        bytes.truncate(8192);
        bytes[4096..].fill(0xa5);
        std::fs::write(&path, bytes).unwrap();
        let told = [file.check("a").unwrap_err(), file.described(&Failure::ForeignKey)];
        std::fs::remove_file(&path).unwrap();
        assert!(told.iter().all(|told| told.ends_with("was written to while it was read; run it again")), "{told:?}");
    }
}
