//! The database file: opening it, the readers and the writer on it, the models in it. With the files below it the only
//! place that names the SQLite crate.

pub mod copy;
mod deadline;
mod failure;
pub mod foreign;
mod functions;
mod percentile;
mod place;
mod readers;
mod session;
pub mod snapshot;

pub use failure::Failure;
pub use place::owners_file;
pub use session::{Cells, Lent, Rows, Session, Stored, integrity};

use crate::config;
use crate::crew::step_aside;
use crate::cursor::Secret;
use crate::error::Problem;
use crate::json::Json;
use crate::lock::{assert_none_but_held, lock};
use crate::model::{Catalogue, parse};
use crate::random::{self, For};
use crate::sql::Statement;
use crate::value::Scalar;
use place::Place;
use readers::{Found, Readers};
use rusqlite::config::DbConfig;
use rusqlite::limits::Limit;
use rusqlite::{Connection, OpenFlags};
use std::hash::BuildHasher;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

const SCHEMA: &str = include_str!("../schema.sql");

/// Marks a file as ours: `jqlt`.
const APPLICATION_ID: i64 = 0x6a71_6c74;

/// What begins each version of `schema.sql`.
const VERSION_MARK: &str = "-- == Version ";

/// The steps of `schema.sql`, one for each version. A file of an earlier version gets those that it lacks, one of a
/// later version is left alone.
fn schema_versions() -> Vec<&'static str> {
    SCHEMA.split(VERSION_MARK).skip(1).map(|step| step.split_once('\n').map_or("", |(_, sql)| sql)).collect()
}

/// The database in memory: every connection of the process that names it opens the same one.
const MEMORY: &str = "file:/jqlite?vfs=memdb";

/// The bytes of a page of it: where no disk is in the way, larger ones are copied in less time.
const MEMORY_PAGE: u32 = 16 << 10;

/// How long a statement waits while another process holds the file.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// Bytes of all rows of one request.
pub const MOST_BYTES: usize = 32 << 20;

/// Bytes of one value, be it made of many: SQLite itself would let one grow to a gigabyte.
pub const LONGEST_VALUE: i32 = 64 << 20;

pub use percentile::MOST_COUNTED;

/// How often a deletion may lead from record to record: as deep as SQLite's triggers go.
pub const CASCADE_LEVELS: usize = 1000;

/// Statements kept prepared, a session.
const PREPARED: usize = 256;

/// Where a database is kept.
#[derive(Clone, Debug, PartialEq)]
pub enum Location {
    File(PathBuf),
    /// In the memory of this process, gone with it.
    Memory,
}

impl Location {
    pub fn new(path: &Path) -> Location {
        if path == Path::new(":memory:") { Location::Memory } else { Location::File(path.to_owned()) }
    }
}

impl std::fmt::Display for Location {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Location::File(path) => path.display().fmt(f),
            Location::Memory => f.write_str(":memory:"),
        }
    }
}

/// An open database: hands out sessions and remembers the models.
pub struct Store {
    location: Location,
    /// `None` in memory.
    place: Option<Arc<Place>>,
    timeout: Duration,
    readers: Mutex<Readers<Session>>,
    /// The most of them.
    most_readers: usize,
    /// Makes of a key the number by which its readers are counted.
    hasher: foldhash::fast::RandomState,
    catalogue: Mutex<Arc<Catalogue>>,
    secret: Secret,
}

/// Whether a database that is not there is to be made.
#[derive(Clone, Copy, PartialEq)]
pub enum Missing {
    Create,
    Refuse,
}

impl Store {
    /// Opens the database, and makes it where there is none yet and `missing` says so: the file with
    /// mode 0600, in a folder with mode 0700. `timeout` bounds every statement.
    ///
    /// # Errors
    /// What is wrong with the file, in a sentence for the person who named it.
    pub fn open(location: Location, missing: Missing, timeout: Duration) -> Result<Store, String> {
        let mut place = None;
        if let Location::File(path) = &location {
            place::prepare(path, missing)?;
            place = Some(Arc::new(Place::of(path)));
        }
        let most_readers = config::readers();
        let mut store = Store {
            secret: Secret::default(),
            location,
            place,
            timeout,
            readers: Mutex::new(Readers::new(most_readers)),
            most_readers,
            hasher: foldhash::fast::RandomState::default(),
            catalogue: Mutex::default(),
        };
        let named = store.location.to_string();
        let describe = |failure: Failure| format!("cannot open {named}: {failure}");
        let first = store.connect().map_err(describe)?;
        first.keep_log().map_err(describe)?;
        store.install(&first)?;
        store.secret = store.read_secret(&first).map_err(describe)?;
        drop(store.writer().map_err(describe)?); // from now on it has a write-ahead log
        // A database in memory lives as long as a connection to it, and the pool keeps one.
        drop(store.reader().map_err(describe)?);
        if let Some(place) = &store.place {
            place.is_taken();
        }
        Ok(store)
    }

    pub fn location(&self) -> &Location {
        &self.location
    }

    /// A session that may only read, from the pool. Where all are in use, it waits for one, at most as long
    /// as a statement may take.
    pub fn reader(&self) -> Result<Reader<'_>, Failure> {
        self.reader_of(0, self.most_readers)
    }

    /// As [`Self::reader`], for a request of a key: no key has more than half of them, so that the slow
    /// queries of one do not keep all others waiting.
    pub fn reader_for(&self, key: &str) -> Result<Reader<'_>, Failure> {
        self.reader_of(self.hasher.hash_one(key), self.most_readers / 2)
    }

    fn reader_of(&self, holder: u64, most: usize) -> Result<Reader<'_>, Failure> {
        self.place.as_ref().map_or(Ok(()), |place| place.seen()).map_err(Failure::Other)?;
        let deadline = Instant::now() + self.timeout;
        let mut found = lock(&self.readers).take(holder, most);
        loop {
            found = match found {
                Found::Session(session) => return Ok(Reader { store: self, holder, session: Some(session) }),
                Found::Room => {
                    let mut reader = Reader { store: self, holder, session: None };
                    match self.new_reader() {
                        Ok(session) => {
                            reader.session = Some(session);
                            return Ok(reader);
                        }
                        Err(failure) => {
                            drop(reader);
                            // Out of descriptors, most likely.
                            lock(&self.readers).take_another(holder, most).ok_or(failure)?
                        }
                    }
                }
                Found::Line(answer) => {
                    step_aside();
                    answer.wait_until(deadline).ok_or(Failure::Other(Problem::Overloaded))?
                }
            };
        }
    }

    /// The readers in use, and the most that there may be.
    pub fn readers_in_use(&self) -> (usize, usize) {
        (lock(&self.readers).in_use(), self.most_readers)
    }

    /// The bytes of the database, and of the write-ahead log beside it.
    pub fn size(&self, session: &Session) -> Result<(u64, u64), Failure> {
        let number = |text| session.number(&Statement::fixed(text, []));
        let bytes = number("PRAGMA page_count")?.saturating_mul(number("PRAGMA page_size")?);
        Ok((u64::try_from(bytes).unwrap_or(0), session.log_bytes()))
    }

    /// Closes the readers that nobody uses.
    pub fn close_readers(&self) {
        let idle = lock(&self.readers).take_idle();
        drop(idle); // closing takes time
    }

    fn new_reader(&self) -> Result<Session, Failure> {
        let mut session = self.connect()?;
        session.look_for_file().map_err(Failure::Other)?; // or it may read another one
        // There are several of them: pages that one does not keep lie in the memory of the operating system.
        session.pragmas(&["PRAGMA query_only = ON", "PRAGMA cache_size = -125"])?;
        session.only_reads = true;
        Ok(session)
    }

    /// A session that may write. There should be one at a time in a process; others wait for the file.
    pub fn writer(&self) -> Result<Session, Failure> {
        let session = self.connect()?;
        log_ahead(&session)?;
        session.pragmas(&[
            // A commit is on the disk before it is answered.
            "PRAGMA synchronous = FULL",
            // What a burst made of the WAL is given back at a checkpoint.
            "PRAGMA journal_size_limit = 67108864",
            "PRAGMA foreign_keys = ON",
        ])?;
        Ok(session)
    }

    fn connect(&self) -> Result<Session, Failure> {
        assert_none_but_held();
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX | OpenFlags::SQLITE_OPEN_URI;
        let connection = match &self.location {
            Location::File(path) => Connection::open_with_flags(path, flags & !OpenFlags::SQLITE_OPEN_URI)?,
            Location::Memory => {
                let connection = Connection::open_with_flags(MEMORY, flags | OpenFlags::SQLITE_OPEN_CREATE)?;
                connection.pragma_update(None, "page_size", MEMORY_PAGE)?; // it holds for the first that comes
                connection
            }
        };
        let mut session = guarded(connection, self.timeout)?;
        session.place.clone_from(&self.place);
        Ok(session)
    }

    /// Makes our tables in an empty file, and refuses a file that is not ours before anything in it changes.
    fn install(&self, session: &Session) -> Result<(), String> {
        let describe = |failure: Failure| format!("cannot open {}: {failure}", self.location);
        let number = |text: &'static str| session.number(&Statement::fixed(text, []));
        // One snapshot: another process may be making the tables between two of these questions.
        let (application, version, tables) = session
            .reading(|| {
                let tables = number("SELECT count(*) FROM sqlite_schema")?;
                Ok((number("PRAGMA application_id")?, number("PRAGMA user_version")?, tables))
            })
            .map_err(describe)?;
        let versions = schema_versions();
        let latest = latest_version();
        match (application, version) {
            (APPLICATION_ID, version) if version == latest => return Ok(()),
            (APPLICATION_ID, 1..) => known_version(&self.location, version)?,
            (0, 0) if tables == 0 => {}
            _ => return Err(format!("{} is a SQLite database, but not one of jqlite's", self.location)),
        }
        session
            .writing(|| {
                // Another process may have been first.
                let known = session.number(&Statement::fixed("PRAGMA user_version", []))?;
                for step in versions.iter().skip(usize::try_from(known).unwrap_or(0)) {
                    session.connection.execute_batch(step)?;
                }
                if random::is_seeded() {
                    let mut secret = Secret::default();
                    random::drawn_from_seed(For::Start, &mut secret);
                    session.connection.execute(r#"UPDATE "system.Secret" SET "value" = ?1"#, [secret])?;
                }
                session.connection.pragma_update(None, "application_id", APPLICATION_ID)?;
                session.connection.pragma_update(None, "user_version", latest)?;
                Ok(())
            })
            .map_err(describe)
    }

    /// The secret that cursors are made of.
    fn read_secret(&self, session: &Session) -> Result<Secret, Failure> {
        let rows = session.rows(&Statement::fixed(r#"SELECT "value" FROM "system.Secret" WHERE "id" = 1"#, []))?;
        let fault = |cause: &str| Failure::Other(Problem::Fault { cause: cause.into() });
        let Some(Scalar::Text(hex)) = rows.cells.first() else { return Err(fault("the database has no secret")) };
        blake3::Hash::from_hex(hex).map(|hash| *hash.as_bytes()).map_err(|_| fault("the database's secret is damaged"))
    }

    /// The secret of this database.
    pub fn secret(&self) -> &Secret {
        &self.secret
    }

    /// The models in force, as the session sees them.
    pub fn catalogue(&self, session: &Session) -> Result<Arc<Catalogue>, Failure> {
        session.remember("models", || self.read_catalogue(session))
    }

    fn read_catalogue(&self, session: &Session) -> Result<Arc<Catalogue>, Failure> {
        let version = catalogue_version(session)?;
        let known = lock(&self.catalogue).clone();
        if known.version == version {
            return Ok(known);
        }
        let text = Statement::fixed(
            r#"SELECT "definition" FROM "system.ModelVersion" WHERE "id" = ?1"#,
            [Scalar::Integer(version)],
        );
        let rows = session.rows(&text)?;
        let Some([Scalar::Text(definition)]) = rows.iter().next() else {
            return Err(Failure::Other(Problem::Fault { cause: format!("no models of version {version}") }));
        };
        let fault = |cause: String| Failure::Other(Problem::Fault { cause });
        let json = Json::parse(definition.as_bytes()).map_err(|error| fault(error.to_string()))?;
        let models =
            parse::models(&json).map_err(|errors| fault(format!("the stored models are damaged: {errors:?}")))?;
        let catalogue = Arc::new(Catalogue::new(version, models));
        lock(&self.catalogue).clone_from(&catalogue);
        Ok(catalogue)
    }
}

/// A session on a connection, with what every connection is told.
fn guarded(connection: Connection, timeout: Duration) -> Result<Session, Failure> {
    connection.busy_timeout(BUSY_TIMEOUT)?;
    // An unknown column in double quotes is an error, not a string.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_DQS_DML, false)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_DQS_DDL, false)?;
    // A prepared statement stays prepared: otherwise each new value would have it planned again, which
    // costs more than most statements take to run.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    // A file that was tampered with cannot make our statements run more than they say.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_TRUSTED_SCHEMA, false)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true)?;
    connection.set_prepared_statement_cache_capacity(PREPARED);
    connection.set_limit(Limit::SQLITE_LIMIT_LENGTH, LONGEST_VALUE)?;
    Session::new(connection, timeout)
}

/// The version that files are brought up to.
fn latest_version() -> i64 {
    i64::try_from(schema_versions().len()).unwrap_or(i64::MAX)
}

/// Refuses a file of a later version.
fn known_version(named: &impl std::fmt::Display, version: i64) -> Result<(), String> {
    let latest = latest_version();
    if version <= latest {
        return Ok(());
    }
    Err(format!("{named} was written by a later version of jqlite (schema {version}, this one knows {latest})"))
}

/// Has the file written ahead, so that readers and the writer do not wait for each other. A no-op on a database in
/// memory. Two processes that make the switch at once would wait for each other, so that SQLite refuses the one
/// at once, without its usual patience, which is ours here: <https://www.sqlite.org/c3ref/busy_handler.html>.
fn log_ahead(session: &Session) -> Result<(), Failure> {
    let deadline = Instant::now() + BUSY_TIMEOUT;
    loop {
        match session.pragmas(&["PRAGMA journal_mode = WAL"]) {
            Err(Failure::Other(Problem::Busy)) if Instant::now() < deadline => {
                std::thread::sleep(Duration::from_millis(5));
            }
            done => return done,
        }
    }
}

/// The version of the models in force; 0 before any were applied.
pub fn catalogue_version(session: &Session) -> Result<i64, Failure> {
    session.number(&Statement::fixed(r#"SELECT coalesce(max("id"), 0) FROM "system.ModelVersion""#, []))
}

/// Whether a write may change more than it says: another tool may have put triggers into the file.
pub fn has_triggers(session: &Session) -> Result<bool, Failure> {
    let any = Statement::fixed("SELECT EXISTS (SELECT 1 FROM sqlite_schema WHERE type = 'trigger')", []);
    session.remember("triggers", || Ok(Arc::new(session.number(&any)? == 1))).map(|any| *any)
}

/// A reading session that goes back to the pool.
pub struct Reader<'s> {
    store: &'s Store,
    /// Who holds it.
    holder: u64,
    /// There once the reader is handed out.
    session: Option<Session>,
}

impl std::ops::Deref for Reader<'_> {
    type Target = Session;
    fn deref(&self) -> &Session {
        self.session.as_ref().expect("it is there until the reader is dropped")
    }
}

impl Drop for Reader<'_> {
    fn drop(&mut self) {
        let mut back = (self.holder, self.session.take());
        loop {
            let Some((next, promise, found)) = lock(&self.store.readers).give_back(back.0, back.1) else { return };
            back = match promise.keep(found) {
                Ok(()) => return,
                Err(Found::Session(session)) => (next, Some(session)),
                Err(_) => (next, None),
            };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_are_checked_again_whatever_became_of_the_transaction() {
        let store = Store::open(Location::Memory, Missing::Create, Duration::from_secs(5)).unwrap();
        let session = store.writer().unwrap();
        assert!(!session.is_unchecked().unwrap());
        let unchecked = session.unchecked().unwrap();
        session.begin().unwrap();
        assert!(session.is_unchecked().unwrap());
        drop(unchecked); // as where a panic leaves the transaction open
        assert!(!session.in_transaction() && !session.is_unchecked().unwrap());
        let refused = session.rebuilding(|| Err::<(), _>(Failure::ForeignKey));
        assert_eq!((refused, session.is_unchecked().unwrap()), (Err(Failure::ForeignKey), false));
    }
}
