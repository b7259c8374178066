//! The database file: opening it, sessions on it, and every statement that is run. The only place that
//! names the SQLite crate; its codes become ours here.

mod deadline;
mod functions;

use crate::config;
use crate::cursor::Secret;
use crate::error::Problem;
use crate::handoff::lock;
use crate::json::Json;
use crate::model::{Catalogue, parse};
use crate::sql::Statement;
use crate::value::Scalar;
use deadline::Deadline;
use rusqlite::config::DbConfig;
use rusqlite::limits::Limit;
use rusqlite::types::{ToSqlOutput, Value, ValueRef};
use rusqlite::{Connection, OpenFlags, ToSql, ffi};
use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
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

/// How long a statement waits while another process holds the file.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// Bytes of all rows of one request.
pub const MOST_BYTES: usize = 32 << 20;

/// Bytes of one value, be it made of many: SQLite itself would let one grow to a gigabyte.
pub const LONGEST_VALUE: i32 = 64 << 20;

/// Instructions of SQLite between two looks at the clock: few, as one may read a megabyte of json.
const STEPS: i32 = 1000;

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
    timeout: Duration,
    readers: Mutex<Readers>,
    /// The most of them.
    most_readers: usize,
    returned: Condvar,
    catalogue: Mutex<Arc<Catalogue>>,
    secret: Secret,
}

/// The reading sessions: those that nobody uses, how many there are in all, how many each key has, and how many
/// requests wait for one.
#[derive(Default)]
struct Readers {
    idle: Vec<Session>,
    made: usize,
    held: HashMap<String, usize>,
    waiting: usize,
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
        if let Location::File(path) = &location {
            prepare_file(path, missing)?;
        }
        let mut store = Store {
            secret: Secret::default(),
            location,
            timeout,
            readers: Mutex::default(),
            most_readers: config::readers(),
            returned: Condvar::new(),
            catalogue: Mutex::default(),
        };
        let named = store.location.to_string();
        let describe = |failure: Failure| format!("cannot open {named}: {failure}");
        let first = store.connect().map_err(describe)?;
        store.install(&first)?;
        store.secret = store.read_secret(&first).map_err(describe)?;
        drop(store.writer().map_err(describe)?); // from now on it has a write-ahead log
        // A database in memory lives as long as a connection to it, and the pool keeps one.
        drop(store.reader().map_err(describe)?);
        Ok(store)
    }

    pub fn location(&self) -> &Location {
        &self.location
    }

    /// A session that may only read, from the pool. Where all are in use, it waits for one, at most as long
    /// as a statement may take.
    pub fn reader(&self) -> Result<Reader<'_>, Failure> {
        self.reader_of("", self.most_readers)
    }

    /// As [`Self::reader`], for a request of a key: no key has more than half of them, so that the slow
    /// queries of one do not keep all others waiting.
    pub fn reader_for(&self, key: &str) -> Result<Reader<'_>, Failure> {
        self.reader_of(key, self.most_readers / 2)
    }

    fn reader_of(&self, holder: &str, most: usize) -> Result<Reader<'_>, Failure> {
        let deadline = Instant::now() + self.timeout;
        let mut readers = lock(&self.readers);
        loop {
            let free = !readers.idle.is_empty() || readers.made < self.most_readers;
            if free && readers.held.get(holder).is_none_or(|held| *held < most) {
                *readers.held.entry(holder.to_owned()).or_default() += 1;
                let session = readers.idle.pop();
                readers.made += usize::from(session.is_none());
                drop(readers);
                let mut reader = Reader { store: self, holder: holder.to_owned(), session };
                if reader.session.is_none() {
                    reader.session = Some(self.new_reader()?);
                }
                return Ok(reader);
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(Failure::Other(Problem::Overloaded));
            }
            readers.waiting += 1;
            readers = self.returned.wait_timeout(readers, left).unwrap_or_else(PoisonError::into_inner).0;
            readers.waiting -= 1;
        }
    }

    fn new_reader(&self) -> Result<Session, Failure> {
        let mut session = self.connect()?;
        session.pragmas(&["PRAGMA query_only = ON"])?;
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
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX | OpenFlags::SQLITE_OPEN_URI;
        let connection = match &self.location {
            Location::File(path) => Connection::open_with_flags(path, flags & !OpenFlags::SQLITE_OPEN_URI),
            // Every connection of the process that names it opens the same one.
            Location::Memory => {
                let flags = flags | OpenFlags::SQLITE_OPEN_CREATE;
                Connection::open_with_flags("file:/jqlite?vfs=memdb", flags)
            }
        }?;
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
        Session::new(connection, self.timeout)
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
        let latest = i64::try_from(versions.len()).unwrap_or(i64::MAX);
        match (application, version) {
            (APPLICATION_ID, version) if version == latest => return Ok(()),
            (APPLICATION_ID, later) if later > latest => {
                return Err(format!(
                    "{} was written by a later version of jqlite (schema {later}, this one knows {latest})",
                    self.location
                ));
            }
            (APPLICATION_ID, 1..) => {}
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
    Ok(session.number(&any)? == 1)
}

/// Makes the file, readable by its owner only, where it is not there and may be made.
fn prepare_file(path: &Path, missing: Missing) -> Result<(), String> {
    if path.exists() {
        return Ok(());
    }
    if missing == Missing::Refuse {
        return Err(format!("there is no database at {}; `jqlite bootstrap` makes one", path.display()));
    }
    let describe = |error: std::io::Error| format!("cannot make {}: {error}", path.display());
    let mut folder = std::fs::DirBuilder::new();
    let mut file = std::fs::OpenOptions::new();
    file.write(true).create_new(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
        folder.mode(0o700);
        file.mode(0o600);
    }
    if let Some(parent) = path.parent().filter(|parent| !parent.as_os_str().is_empty()) {
        folder.recursive(true).create(parent).map_err(describe)?;
    }
    match file.open(path) {
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => Ok(()), // another process was first
        outcome => outcome.map(drop).map_err(describe),
    }
}

/// A reading session that goes back to the pool.
pub struct Reader<'s> {
    store: &'s Store,
    /// The key that holds it.
    holder: String,
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
        let mut readers = lock(&self.store.readers);
        match self.session.take() {
            Some(session) => readers.idle.push(session),
            None => readers.made -= 1, // it could not be opened
        }
        if let Some(held) = readers.held.get_mut(&self.holder) {
            *held -= 1;
            if *held == 0 {
                readers.held.remove(&self.holder);
            }
        }
        let anyone_waits = readers.waiting > 0;
        drop(readers);
        // All who wait look: the next in line may be of a key that has its share. Calling nobody costs a system call.
        if anyone_waits {
            self.store.returned.notify_all();
        }
    }
}

/// One connection to the database.
pub struct Session {
    connection: Connection,
    /// Statements run since [`Session::start`].
    queries: Cell<u64>,
    /// When the running statement is stopped.
    deadline: Deadline,
    timeout: Duration,
    /// Bytes of rows that may still be read since [`Session::start`].
    room: Cell<usize>,
    only_reads: bool,
    totals: RefCell<Totals>,
}

/// Totals that were counted since the database last changed.
#[derive(Default)]
struct Totals {
    /// The mark of the database when they were.
    data_version: i64,
    counted: HashMap<Statement, i64>,
}

/// Totals remembered, a session.
const MOST_TOTALS: usize = 256;
/// Bytes of a statement whose total is remembered.
const LONGEST_REMEMBERED: usize = 4096;

/// The rows of one statement, cell after cell.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Rows {
    pub width: usize,
    pub cells: Vec<Scalar>,
}

impl Rows {
    pub fn iter(&self) -> impl Iterator<Item = &[Scalar]> {
        self.cells.chunks_exact(self.width.max(1))
    }

    pub fn len(&self) -> usize {
        self.cells.len() / self.width.max(1)
    }

    /// Leaves out what is behind so many rows, and tells whether there was anything.
    pub fn cut(&mut self, rows: usize) -> bool {
        let cells = rows.saturating_mul(self.width);
        let more = self.cells.len() > cells;
        self.cells.truncate(cells);
        more
    }

    pub fn row(&self, index: usize) -> &[Scalar] {
        &self.cells[index * self.width..(index + 1) * self.width]
    }
}

/// One row as it lies in the database, its cells by their places.
pub struct Cells<'r>(&'r rusqlite::Row<'r>);

impl Cells<'_> {
    /// The bytes of a text; `None` where it is null, or no text.
    pub fn text(&self, place: usize) -> Option<&[u8]> {
        self.0.get_ref(place).ok()?.as_bytes_or_null().ok()?
    }

    /// A whole number; 0 where there is none.
    pub fn number(&self, place: usize) -> i64 {
        self.0.get_ref(place).ok().and_then(|cell| cell.as_i64().ok()).unwrap_or(0)
    }
}

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
            Failure::Other(Problem::Fault { cause }) => f.write_str(cause),
            Failure::Other(problem) => problem.fmt(f),
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
        let (code, message) = match &error {
            rusqlite::Error::SqliteFailure(code, message) => (*code, message.clone().unwrap_or_default()),
            rusqlite::Error::SqlInputError { error, msg, .. } => (*error, msg.clone()),
            _ => return fault(error.to_string()),
        };
        match code.extended_code {
            ffi::SQLITE_CONSTRAINT_UNIQUE | ffi::SQLITE_CONSTRAINT_PRIMARYKEY => Failure::Unique(columns_in(&message)),
            ffi::SQLITE_CONSTRAINT_FOREIGNKEY => Failure::ForeignKey,
            // SQLite leaves this code to functions; ours is `finite`.
            ffi::SQLITE_CONSTRAINT_FUNCTION => Failure::Other(Problem::Overflow),
            // A trigger of another tool says no.
            ffi::SQLITE_CONSTRAINT_TRIGGER => Failure::Check(message),
            ffi::SQLITE_CONSTRAINT_CHECK | ffi::SQLITE_CONSTRAINT_NOTNULL => {
                Failure::Check(message.split_once(": ").map_or(message.as_str(), |(_, rule)| rule).to_owned())
            }
            _ => match code.code {
                ffi::ErrorCode::DatabaseBusy | ffi::ErrorCode::DatabaseLocked => Failure::Other(Problem::Busy),
                ffi::ErrorCode::OperationInterrupted => Failure::Other(Problem::Timeout { limit: Duration::ZERO }),
                ffi::ErrorCode::DiskFull => Failure::Other(Problem::DiskFull),
                ffi::ErrorCode::TooBig => Failure::Other(Problem::AnswerTooLarge { most: "64 MiB in one value" }),
                _ => fault(format!("{error} ({})", code.extended_code)),
            },
        }
    }
}

/// The columns that a message such as `UNIQUE constraint failed: tickets.Ticket.title, …` names.
fn columns_in(message: &str) -> Vec<String> {
    let (_, names) = message.split_once(": ").unwrap_or(("", message));
    names.split(", ").map(|name| name.rsplit('.').next().unwrap_or(name).to_owned()).collect()
}

impl Session {
    fn new(mut connection: Connection, timeout: Duration) -> Result<Session, Failure> {
        let deadline = Deadline::never();
        functions::register(&connection, &deadline)?;
        let shared = deadline.clone();
        connection.progress_handler(STEPS, Some(move || shared.has_passed()))?;
        Ok(Session {
            connection,
            queries: Cell::new(0),
            deadline,
            timeout,
            room: Cell::new(usize::MAX),
            only_reads: false,
            totals: RefCell::default(),
        })
    }

    fn pragmas(&self, statements: &[&str]) -> Result<(), Failure> {
        for statement in statements {
            self.connection.execute_batch(statement)?;
        }
        Ok(())
    }

    /// Starts the clock and the count of statements for one request.
    pub fn start(&self) {
        self.queries.set(0);
        self.room.set(MOST_BYTES);
        self.deadline.set(Some(self.timeout));
    }

    /// # Errors
    /// The time of the request is over: for work between statements, which are stopped by themselves.
    pub fn in_time(&self) -> Result<(), Problem> {
        if self.deadline.has_passed() { Err(Problem::Timeout { limit: self.timeout }) } else { Ok(()) }
    }

    /// Lets statements run as long as they need: for commands, not for requests.
    pub fn unlimited(&self) {
        self.room.set(usize::MAX);
        self.deadline.set(None);
    }

    /// Statements run since [`Session::start`], those of transactions aside.
    pub fn queries(&self) -> u64 {
        self.queries.get()
    }

    /// Whether a transaction is open. SQLite ends one by itself when a disk is full or a write is stopped.
    pub fn in_transaction(&self) -> bool {
        !self.connection.is_autocommit()
    }

    /// Runs a statement and gives all its rows.
    pub fn rows(&self, statement: &Statement) -> Result<Rows, Failure> {
        let (mut width, mut cells) = (0, Vec::new());
        self.visit(statement, |row, columns| {
            width = columns;
            for index in 0..columns {
                let cell = scalar(row.get_ref(index)?)?;
                let bytes = size_of::<Scalar>() + cell.text().map_or(0, str::len);
                let Some(room) = self.room.get().checked_sub(bytes) else {
                    return Err(Failure::Other(Problem::AnswerTooLarge { most: "32 MiB" }));
                };
                self.room.set(room);
                cells.push(cell);
            }
            Ok(())
        })?;
        Ok(Rows { width, cells })
    }

    /// Runs a statement and hands over its rows one by one, so that there may be any number of them.
    pub fn each_row(&self, statement: &Statement, mut take: impl FnMut(&[Scalar])) -> Result<(), Failure> {
        let mut cells = Vec::new();
        self.visit(statement, |row, columns| {
            cells.clear();
            for index in 0..columns {
                cells.push(scalar(row.get_ref(index)?)?);
            }
            take(&cells);
            Ok(())
        })
    }

    /// As [`Self::each_row`], without a copy of any cell: where there may be millions of rows that nobody keeps.
    pub fn each(&self, statement: &Statement, mut take: impl FnMut(&Cells<'_>)) -> Result<(), Failure> {
        self.visit(statement, |row, _| {
            take(&Cells(row));
            Ok(())
        })
    }

    /// Runs a statement and shows each row and how many columns it has.
    fn visit(
        &self,
        statement: &Statement,
        mut visit: impl FnMut(&rusqlite::Row<'_>, usize) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        self.queries.set(self.queries.get() + 1);
        let mut prepared = self.connection.prepare_cached(&statement.text)?;
        let columns = prepared.column_count();
        let mut rows = prepared.query(rusqlite::params_from_iter(&statement.parameters)).map_err(|e| self.timed(e))?;
        while let Some(row) = rows.next().map_err(|e| self.timed(e))? {
            visit(row, columns)?;
        }
        Ok(())
    }

    /// Runs a statement whose first cell is a whole number, and gives it; 0 where there is no row.
    pub fn number(&self, statement: &Statement) -> Result<i64, Failure> {
        match self.rows(statement)?.cells.first() {
            Some(Scalar::Integer(number)) => Ok(*number),
            _ => Ok(0),
        }
    }

    /// As [`Self::number`], for a total, which takes time with the records it counts: a reader remembers it
    /// until anything in the database changes. Within [`Self::reading`], so that the mark and the total are
    /// of one moment.
    pub fn total(&self, statement: &Statement) -> Result<i64, Failure> {
        // The mark does not tell of a session's own writes; and what is long is not worth its memory.
        if !self.only_reads || statement.size() > LONGEST_REMEMBERED {
            return self.number(statement);
        }
        let version = self.data_version()?;
        let mut totals = self.totals.borrow_mut();
        if totals.data_version != version || totals.counted.len() >= MOST_TOTALS {
            totals.counted.clear();
            totals.data_version = version;
        }
        if let Some(total) = totals.counted.get(statement) {
            self.queries.set(self.queries.get() + 1); // it counts as the statement that it stands for
            return Ok(*total);
        }
        let total = self.number(statement)?;
        totals.counted.insert(statement.clone(), total);
        Ok(total)
    }

    /// Runs a statement that gives no rows; the number of records it changed.
    pub fn execute(&self, statement: &Statement) -> Result<usize, Failure> {
        self.queries.set(self.queries.get() + 1);
        let mut prepared = self.connection.prepare_cached(&statement.text)?;
        prepared.execute(rusqlite::params_from_iter(&statement.parameters)).map_err(|error| self.timed(error))
    }

    /// Runs a statement with one row of parameters after the other, as one; after each `done` gets the row and
    /// the id of the record made last. Ends at the first that fails.
    pub fn execute_each<'r>(
        &self,
        statement: &Statement,
        rows: impl Iterator<Item = &'r [Scalar]>,
        mut done: impl FnMut(&'r [Scalar], i64),
    ) -> Result<(), Failure> {
        self.queries.set(self.queries.get() + 1);
        let mut prepared = self.connection.prepare_cached(&statement.text)?;
        for row in rows {
            prepared.execute(rusqlite::params_from_iter(row)).map_err(|error| self.timed(error))?;
            done(row, self.last_id());
        }
        Ok(())
    }

    /// The id of the record made last.
    pub fn last_id(&self) -> i64 {
        self.connection.last_insert_rowid()
    }

    /// Runs `work` in a transaction that sees one state of the database.
    pub fn reading<T, E: From<Failure>>(&self, work: impl FnOnce() -> Result<T, E>) -> Result<T, E> {
        self.bare("BEGIN")?;
        let guard = Undo(self);
        let outcome = work();
        drop(guard); // nothing was written, so undoing is as good as committing
        outcome
    }

    /// Runs `work` in a transaction that is committed where it succeeds and undone otherwise.
    pub fn writing<T, E: From<Failure>>(&self, work: impl FnOnce() -> Result<T, E>) -> Result<T, E> {
        self.begin()?;
        let guard = Undo(self);
        let outcome = work()?;
        guard.0.commit()?;
        Ok(outcome)
    }

    /// As [`Self::writing`], for what may be done again: the disk has it for certain only once the next transaction
    /// that is not of this kind is committed. Nobody waits for the disk here.
    pub fn writing_lazily<T, E: From<Failure>>(&self, work: impl FnOnce() -> Result<T, E>) -> Result<T, E> {
        let _again = Lazy::begin(self)?;
        self.writing(work)
    }

    /// Opens a transaction that may write; [`Self::commit`] ends it.
    pub fn begin(&self) -> Result<(), Failure> {
        self.bare("BEGIN IMMEDIATE")
    }

    /// Undoes whatever transaction a panic left open.
    pub fn abandon(&self) {
        drop(Undo(self));
    }

    /// Commits the open transaction, or undoes it where that fails.
    pub fn commit(&self) -> Result<(), Failure> {
        let guard = Undo(self);
        self.bare("COMMIT")?;
        drop(guard);
        Ok(())
    }

    /// Runs `work` so that what it did is undone where it fails, and the transaction around it goes on.
    pub fn savepoint<T, E: From<Failure>>(&self, work: impl FnOnce() -> Result<T, E>) -> Result<T, E> {
        self.bare("SAVEPOINT one")?;
        let guard = UndoOne(self);
        let outcome = work()?;
        std::mem::forget(guard);
        self.bare("RELEASE one")?;
        Ok(outcome)
    }

    /// Runs `work` and undoes it, whatever comes of it: only what it gives back remains.
    pub fn undoing<T, E: From<Failure>>(&self, work: impl FnOnce() -> Result<T, E>) -> Result<T, E> {
        self.bare("SAVEPOINT one")?;
        let guard = UndoOne(self);
        let outcome = work();
        drop(guard);
        outcome
    }

    /// SQLite's mark of the database: another one whenever any other connection, of whatever process, has committed.
    pub fn data_version(&self) -> Result<i64, Failure> {
        Ok(self.connection.prepare_cached("PRAGMA data_version")?.query_one([], |row| row.get(0))?)
    }

    /// As [`Self::writing`], for work that rebuilds tables; see [`Self::unchecked`].
    pub fn rebuilding<T, E: From<Failure>>(&self, work: impl FnOnce() -> Result<T, E>) -> Result<T, E> {
        let _unchecked = self.unchecked()?;
        self.writing(work)
    }

    /// Leaves references unchecked until what is given back is dropped, so that tables can be rebuilt in the way that
    /// SQLite wants: else dropping the old one would delete what refers to it. Within a transaction SQLite takes no
    /// notice of this, so that it is asked for before one begins, and lasts until that one is over.
    pub fn unchecked(&self) -> Result<Unchecked<'_>, Failure> {
        let unchecked = Unchecked(self);
        // With the older way of renaming, views and triggers of other tools do not stand against it.
        self.pragmas(&["PRAGMA foreign_keys = OFF", "PRAGMA legacy_alter_table = ON"])?;
        Ok(unchecked)
    }

    pub fn is_unchecked(&self) -> Result<bool, Failure> {
        Ok(self.number(&Statement::fixed("PRAGMA foreign_keys", []))? == 0)
    }

    /// What has to be asked before work without checks is committed.
    ///
    /// # Errors
    /// A reference leads nowhere.
    pub fn check_references(&self) -> Result<(), Failure> {
        let broken = self.number(&Statement::fixed("SELECT count(*) FROM pragma_foreign_key_check", []))?;
        if broken > 0 { Err(Failure::ForeignKey) } else { Ok(()) }
    }

    /// A statement that is not counted: transactions.
    fn bare(&self, statement: &str) -> Result<(), Failure> {
        self.connection.prepare_cached(statement)?.execute([])?;
        Ok(())
    }

    fn timed(&self, error: rusqlite::Error) -> Failure {
        match Failure::from(error) {
            Failure::Other(Problem::Timeout { .. }) => Failure::Other(Problem::Timeout { limit: self.timeout }),
            other => other,
        }
    }
}

/// Ends an open transaction, also when a panic passes through.
struct Undo<'s>(&'s Session);

impl Drop for Undo<'_> {
    fn drop(&mut self) {
        if self.0.in_transaction() {
            let _ = self.0.bare("ROLLBACK"); // it fails only where SQLite has undone all by itself
        }
    }
}

/// While it is there, commits do not wait for the disk.
struct Lazy<'s>(&'s Session);

impl Lazy<'_> {
    fn begin(session: &Session) -> Result<Lazy<'_>, Failure> {
        let lazy = Lazy(session);
        session.pragmas(&["PRAGMA synchronous = NORMAL"])?;
        Ok(lazy)
    }
}

impl Drop for Lazy<'_> {
    fn drop(&mut self) {
        // It is refused only within a transaction, and the one that was there has ended.
        let _ = self.0.pragmas(&["PRAGMA synchronous = FULL"]);
    }
}

/// While it is there, references are not checked.
pub struct Unchecked<'s>(&'s Session);

impl Drop for Unchecked<'_> {
    fn drop(&mut self) {
        // A panic may have left a transaction open, within which nothing would be switched on again.
        self.0.abandon();
        let _ = self.0.pragmas(&["PRAGMA foreign_keys = ON", "PRAGMA legacy_alter_table = OFF"]);
    }
}

struct UndoOne<'s>(&'s Session);

impl Drop for UndoOne<'_> {
    fn drop(&mut self) {
        if self.0.in_transaction() {
            let _ = self.0.bare("ROLLBACK TO one").and_then(|()| self.0.bare("RELEASE one"));
        }
    }
}

fn scalar(value: ValueRef<'_>) -> Result<Scalar, Failure> {
    let fault = |cause: &str| Failure::Other(Problem::Fault { cause: cause.into() });
    match value {
        ValueRef::Null => Ok(Scalar::Null),
        ValueRef::Integer(number) => Ok(Scalar::Integer(number)),
        ValueRef::Real(number) => Ok(Scalar::Real(number)),
        ValueRef::Text(bytes) => match std::str::from_utf8(bytes) {
            Ok(text) => Ok(Scalar::Text(text.to_owned())),
            Err(_) => Err(fault("a text in the database is not UTF-8")),
        },
        // Only hashes are kept as bytes; they travel as hexadecimal text.
        ValueRef::Blob(bytes) => Ok(Scalar::Text(hexadecimal(bytes))),
    }
}

/// Each request reads the hash of its key, so this takes no allocation for each byte.
fn hexadecimal(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digit = |value: u8| char::from(DIGITS[usize::from(value)]);
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}

impl ToSql for Scalar {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(match self {
            Scalar::Null => ToSqlOutput::Owned(Value::Null),
            Scalar::Integer(number) => ToSqlOutput::Owned(Value::Integer(*number)),
            Scalar::Real(number) => ToSqlOutput::Owned(Value::Real(*number)),
            Scalar::Text(text) => ToSqlOutput::Borrowed(ValueRef::Text(text.as_bytes())),
        })
    }
}

/// What `check` asks of a file: everything that SQLite finds wrong with it.
pub fn integrity(session: &Session) -> Result<Vec<String>, Failure> {
    let mut found = Vec::new();
    let rows = session.rows(&Statement::fixed("PRAGMA integrity_check", []))?;
    found.extend(rows.cells.iter().filter_map(|cell| match cell {
        Scalar::Text(text) if text != "ok" => Some(text.clone()),
        _ => None,
    }));
    let rows = session.rows(&Statement::fixed("PRAGMA foreign_key_check", []))?;
    for row in rows.iter() {
        if let [Scalar::Text(table), rowid, Scalar::Text(parent), ..] = row {
            found.push(format!("record {rowid:?} of {table} refers to a record of {parent} that is not there"));
        }
    }
    Ok(found)
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
