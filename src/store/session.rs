//! One connection to the database: its statements and their rows, its transactions, and the time and the bytes that a
//! request may take.

use super::MOST_BYTES;
use super::deadline::Deadline;
use super::failure::Failure;
use super::functions;
use super::place::Place;
use crate::error::Problem;
use crate::lock::assert_none_but_held;
use crate::sql::Statement;
use crate::value::Scalar;
use rusqlite::config::DbConfig;
use rusqlite::types::{ToSqlOutput, Value, ValueRef};
use rusqlite::{CachedStatement, Connection, ToSql};
use std::any::{Any, TypeId};
use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::hash::BuildHasher;
use std::net::IpAddr;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

/// Instructions of SQLite between two looks at the clock: few, as one may read a megabyte of json.
const STEPS: i32 = 1000;

/// One connection to the database.
pub struct Session {
    pub(super) connection: Connection,
    /// Statements run since [`Session::start`].
    queries: Cell<u64>,
    /// When the running statement is stopped.
    deadline: Deadline,
    timeout: Duration,
    /// Bytes of rows that may still be read since [`Session::start`].
    room: Cell<usize>,
    pub(super) only_reads: bool,
    /// `None` in memory.
    pub(super) place: Option<Arc<Place>>,
    remembered: RefCell<Remembered>,
    /// Hashes of names that were asked for, each in a place of its own choosing.
    asked: RefCell<[u64; 64]>,
    hasher: foldhash::fast::RandomState,
}

/// What was read from the database and holds until anything in it changes.
#[derive(Default)]
struct Remembered {
    /// The mark of the database when it was.
    data_version: i64,
    totals: HashMap<Statement, i64>,
    /// By what each is and by its name.
    values: HashMap<TypeId, foldhash::HashMap<String, Arc<dyn Any + Send + Sync>>>,
}

/// Totals remembered, a session, and values of one type.
const MOST_REMEMBERED: usize = 256;
/// Values remembered that are made of requests, and the bytes of their names.
const MOST_REPEATED: usize = 32;
const LONGEST_REPEATED: usize = 1024;
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

/// A value as any SQLite file may hold it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Stored<'r> {
    Null,
    Integer(i64),
    Real(f64),
    /// Not all that is kept as text is UTF-8.
    Text(&'r [u8]),
    Blob(&'r [u8]),
}

impl Cells<'_> {
    /// The bytes of a text; `None` where it is null, or no text.
    pub fn text(&self, place: usize) -> Option<&[u8]> {
        self.0.get_ref(place).ok()?.as_bytes_or_null().ok()?
    }

    /// The value, whatever it is.
    pub fn stored(&self, place: usize) -> Stored<'_> {
        match self.0.get_ref(place) {
            Ok(ValueRef::Integer(number)) => Stored::Integer(number),
            Ok(ValueRef::Real(number)) => Stored::Real(number),
            Ok(ValueRef::Text(bytes)) => Stored::Text(bytes),
            Ok(ValueRef::Blob(bytes)) => Stored::Blob(bytes),
            Ok(ValueRef::Null) | Err(_) => Stored::Null,
        }
    }

    /// A whole number; 0 where there is none.
    pub fn number(&self, place: usize) -> i64 {
        self.0.get_ref(place).ok().and_then(|cell| cell.as_i64().ok()).unwrap_or(0)
    }
}

impl Session {
    pub(super) fn new(mut connection: Connection, timeout: Duration) -> Result<Session, Failure> {
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
            place: None,
            remembered: RefCell::default(),
            asked: RefCell::new([0; 64]),
            hasher: foldhash::fast::RandomState::default(),
        })
    }

    pub(super) fn pragmas(&self, statements: &[&str]) -> Result<(), Failure> {
        assert_none_but_held();
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

    /// A statement that is about to be run.
    fn prepare(&self, text: &str) -> Result<CachedStatement<'_>, Failure> {
        assert_none_but_held();
        Ok(self.connection.prepare_cached(text)?)
    }

    /// Runs a statement and gives all its rows.
    pub fn rows(&self, statement: &Statement) -> Result<Rows, Failure> {
        let (mut width, mut cells) = (0, Vec::new());
        self.visit(statement, |row, columns| {
            width = columns;
            self.keep(row, columns, &mut cells).map(|()| true)
        })?;
        Ok(Rows { width, cells })
    }

    /// Runs a statement for each of these values of its first parameter, as one, and gives all its rows; after each
    /// `done` gets the value and where its rows are.
    pub fn rows_for_each<'v>(
        &self,
        statement: &Statement,
        values: impl IntoIterator<Item = &'v Scalar>,
        mut done: impl FnMut(&'v Scalar, Range<usize>),
    ) -> Result<Rows, Failure> {
        self.queries.set(self.queries.get() + 1);
        let mut prepared = self.prepare(&statement.text)?;
        let mut rows = Rows { width: prepared.column_count(), cells: Vec::new() };
        let others = statement.parameters.get(1..).unwrap_or_default();
        for value in values {
            self.in_time().map_err(Failure::Other)?; // one that is short never comes to look at the clock
            let start = rows.len();
            let parameters = rusqlite::params_from_iter(std::iter::once(value).chain(others));
            let mut found = prepared.query(parameters).map_err(|error| self.timed(error))?;
            while let Some(row) = found.next().map_err(|error| self.timed(error))? {
                self.keep(row, rows.width, &mut rows.cells)?;
            }
            done(value, start..rows.len());
        }
        Ok(rows)
    }

    /// Appends the cells of a row, as long as there is room for them.
    fn keep(&self, row: &rusqlite::Row<'_>, columns: usize, cells: &mut Vec<Scalar>) -> Result<(), Failure> {
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
    }

    /// Runs a statement and hands over its rows one by one, so that there may be any number of them.
    pub fn each_row(&self, statement: &Statement, mut take: impl FnMut(&[Scalar])) -> Result<(), Failure> {
        self.each_row_while(statement, |row| {
            take(row);
            true
        })
    }

    /// As [`Self::each_row`], as long as `take` wants more.
    pub fn each_row_while(
        &self,
        statement: &Statement,
        mut take: impl FnMut(&[Scalar]) -> bool,
    ) -> Result<(), Failure> {
        let mut cells = Vec::new();
        self.visit(statement, |row, columns| {
            cells.clear();
            for index in 0..columns {
                cells.push(scalar(row.get_ref(index)?)?);
            }
            Ok(take(&cells))
        })
    }

    /// As [`Self::each_row`], without a copy of any cell: where there may be millions of rows that nobody keeps.
    pub fn each(&self, statement: &Statement, mut take: impl FnMut(&Cells<'_>)) -> Result<(), Failure> {
        self.each_while(statement, |cells| {
            take(cells);
            true
        })
    }

    /// As [`Self::each`], as long as `take` wants more.
    pub fn each_while(&self, statement: &Statement, mut take: impl FnMut(&Cells<'_>) -> bool) -> Result<(), Failure> {
        self.visit(statement, |row, _| Ok(take(&Cells(row))))
    }

    /// Runs a statement and shows each row and how many columns it has, as long as `visit` wants more.
    fn visit(
        &self,
        statement: &Statement,
        mut visit: impl FnMut(&rusqlite::Row<'_>, usize) -> Result<bool, Failure>,
    ) -> Result<(), Failure> {
        self.queries.set(self.queries.get() + 1);
        let mut prepared = self.prepare(&statement.text)?;
        let columns = prepared.column_count();
        let mut rows = prepared.query(rusqlite::params_from_iter(&statement.parameters)).map_err(|e| self.timed(e))?;
        while let Some(row) = rows.next().map_err(|e| self.timed(e))? {
            if !visit(row, columns)? {
                break;
            }
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
        // What is long is not worth its memory.
        if !self.remembers() || statement.size() > LONGEST_REMEMBERED {
            return self.number(statement);
        }
        let known = self.remembered.borrow().totals.get(statement).copied();
        if let Some(total) = known {
            self.queries.set(self.queries.get() + 1); // it counts as the statement that it stands for
            return Ok(total);
        }
        let total = self.number(statement)?;
        let totals = &mut self.remembered.borrow_mut().totals;
        if totals.len() >= MOST_REMEMBERED {
            totals.clear();
        }
        totals.insert(statement.clone(), total);
        Ok(total)
    }

    /// What `read` makes of rows of the database, under its type and a name: a reader remembers it until anything in the
    /// database changes. Within [`Self::reading`], so that it is of the moment of all else.
    pub fn remember<T: Send + Sync + 'static, E>(
        &self,
        name: &str,
        read: impl FnOnce() -> Result<Arc<T>, E>,
    ) -> Result<Arc<T>, E> {
        if let Some(value) = self.recall(name) {
            return Ok(value);
        }
        let value = read()?;
        if self.remembers() {
            self.keep_value(name, value.clone(), MOST_REMEMBERED);
        }
        Ok(value)
    }

    /// What is remembered of that type under that name.
    pub fn recall<T: Send + Sync + 'static>(&self, name: &str) -> Option<Arc<T>> {
        if !self.remembers() {
            return None;
        }
        let value = self.remembered.borrow().values.get(&TypeId::of::<T>())?.get(name)?.clone();
        value.downcast().ok()
    }

    /// Remembers a value as [`Self::remember`] does, but only where its name was asked for not long before, for what is
    /// made of requests: most of them are sent once.
    pub fn remember_repeated<T: Send + Sync + 'static>(&self, name: &str, value: &Arc<T>) {
        if !self.remembers() || name.len() > LONGEST_REPEATED {
            return;
        }
        let hash = self.hasher.hash_one(name);
        let before = std::mem::replace(&mut self.asked.borrow_mut()[hash as usize % 64], hash);
        if before == hash {
            self.keep_value(name, value.clone(), MOST_REPEATED);
        }
    }

    fn keep_value<T: Send + Sync + 'static>(&self, name: &str, value: Arc<T>, most: usize) {
        let mut remembered = self.remembered.borrow_mut();
        let values = remembered.values.entry(TypeId::of::<T>()).or_default();
        if values.len() >= most {
            values.clear();
        }
        values.insert(name.to_owned(), value);
    }

    /// Whether what is remembered is of this moment: only in a transaction of a session that does not write, since the
    /// mark of the database does not tell of a session's own writes.
    fn remembers(&self) -> bool {
        self.only_reads && self.in_transaction()
    }

    /// Forgets what was remembered of another state of the database than the one that the transaction sees.
    fn look(&self) -> Result<(), Failure> {
        let version = self.data_version()?;
        let mut remembered = self.remembered.borrow_mut();
        if remembered.data_version != version {
            *remembered = Remembered { data_version: version, ..Remembered::default() };
        }
        Ok(())
    }

    /// Runs a statement that gives no rows; the number of records it changed.
    pub fn execute(&self, statement: &Statement) -> Result<usize, Failure> {
        self.queries.set(self.queries.get() + 1);
        let mut prepared = self.prepare(&statement.text)?;
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
        let mut prepared = self.prepare(&statement.text)?;
        for row in rows {
            prepared.execute(rusqlite::params_from_iter(row)).map_err(|error| self.timed(error))?;
            done(row, self.last_id());
        }
        Ok(())
    }

    /// Runs a statement with one row of values after the other, as one. What is as in the row before stays bound:
    /// in a log that is most of it, and to bind a value costs half as much as to write it.
    pub fn execute_rows<'v>(&self, text: &str, rows: impl Iterator<Item = Vec<Lent<'v>>>) -> Result<(), Failure> {
        self.queries.set(self.queries.get() + 1);
        let mut prepared = self.prepare(text)?;
        let mut bound: Vec<Lent<'v>> = Vec::new();
        for row in rows {
            for (place, value) in row.iter().enumerate().filter(|(place, value)| bound.get(*place) != Some(value)) {
                prepared.raw_bind_parameter(place + 1, value)?;
            }
            prepared.raw_execute().map_err(|error| self.timed(error))?;
            bound = row;
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
        if self.only_reads {
            self.look()?;
        }
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

    /// Commits the open transaction, or undoes it where that fails. Nothing is committed to a file that is not where it
    /// was opened.
    pub fn commit(&self) -> Result<(), Failure> {
        let guard = Undo(self);
        self.look_for_file().map_err(Failure::Other)?;
        self.bare("COMMIT")?;
        drop(guard);
        Ok(())
    }

    /// Looks whether the file, and what is beside it, are where they were opened.
    ///
    /// # Errors
    /// It is not.
    pub fn look_for_file(&self) -> Result<(), Problem> {
        self.place.as_ref().map_or(Ok(()), |place| place.look())
    }

    /// Has what the write-ahead log holds, if that is anything, stay there at the end, though nobody else has it open.
    pub(super) fn keep_log(&self) -> Result<(), Failure> {
        let holds = self.log_bytes() > 0;
        Ok(self.connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, holds).map(drop)?)
    }

    /// The bytes of the write-ahead log.
    pub fn log_bytes(&self) -> u64 {
        self.place.as_ref().map_or(0, |place| place.log_bytes())
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

    /// As [`Self::savepoint`] within a transaction, but references may point to nothing meanwhile: `work` succeeds only
    /// where they hold at its end.
    pub fn unjudged<T, E: From<Failure>>(&self, work: impl FnOnce() -> Result<T, E>) -> Result<T, E> {
        self.pragmas(&["PRAGMA defer_foreign_keys = ON"])?;
        let outcome = self.savepoint(work);
        self.pragmas(&["PRAGMA defer_foreign_keys = OFF"])?;
        outcome
    }

    /// Whether all references of a table point to something.
    pub fn holds(&self, table: &str) -> Result<bool, Failure> {
        let mut check = Statement::default();
        check.push("PRAGMA foreign_key_check(").name(table).push(")");
        Ok(self.rows(&check)?.iter().next().is_none())
    }

    /// Ends the session, with what was written in the file itself: where another connection has it open, SQLite would
    /// leave that in the log beside it.
    pub fn close(self) {
        // What another process keeps from it stays in the log, where everyone finds it.
        let _ = self.pragmas(&["PRAGMA wal_checkpoint(PASSIVE)"]);
    }

    /// SQLite's mark of the database: another one whenever any other connection, of whatever process, has committed.
    pub fn data_version(&self) -> Result<i64, Failure> {
        Ok(self.prepare("PRAGMA data_version")?.query_one([], |row| row.get(0))?)
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
        self.prepare(statement)?.execute([])?;
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

/// A value that is only lent to a statement, so that binding it takes no copy.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Lent<'v> {
    Null,
    Integer(i64),
    Text(&'v str),
    /// Written out where it is bound.
    Address(IpAddr),
}

impl ToSql for Lent<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(match self {
            Lent::Null => ToSqlOutput::Owned(Value::Null),
            Lent::Integer(number) => ToSqlOutput::Owned(Value::Integer(*number)),
            Lent::Text(text) => ToSqlOutput::Borrowed(ValueRef::Text(text.as_bytes())),
            Lent::Address(address) => ToSqlOutput::Owned(Value::Text(address.to_string())),
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
