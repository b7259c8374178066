//! The usage log: one entry for each request, refused ones too, reading it back, and what is kept of it.

pub mod stats;

use crate::call::Call;
use crate::envelope::Reply;
use crate::error::Code;
use crate::request::Ask;
use crate::sql::Statement;
use crate::store::{Failure, Lent, Session};
use crate::value::time::Moment;
use crate::value::{Scalar, time};
use jiff::SignedDuration;
use smol_str::SmolStr;
use std::net::IpAddr;
use std::sync::LazyLock;

/// What is kept of one request: never a secret, a header or a body.
#[derive(Clone, Debug, Default)]
pub struct Entry {
    pub at: Moment,
    pub request_id: SmolStr,
    pub key: Option<SmolStr>,
    pub namespace: Option<SmolStr>,
    pub intent: Option<&'static str>,
    pub action: Option<&'static str>,
    pub status: u16,
    pub code: Option<&'static str>,
    pub rows: u64,
    pub queries: u64,
    pub duration_us: u64,
    pub request_bytes: u64,
    pub response_bytes: u64,
    pub remote_addr: Option<IpAddr>,
    /// Whether the key was let in. Not kept: it is for the key's last use.
    pub let_in: bool,
    /// The era of the database in which it came in. Not kept: what an earlier state is put back over leaves no entry.
    pub era: u32,
}

/// What a request wants, as far as the log tells it.
#[derive(Clone, Debug)]
pub struct Noted {
    namespace: SmolStr,
    intent: &'static str,
    action: Option<&'static str>,
}

impl Noted {
    pub fn of(ask: &Ask) -> Noted {
        let rule = ask.intent().rule();
        let action = rule.actions.first().map(|action| action.name());
        Noted { namespace: ask.namespace(), intent: rule.name, action }
    }
}

impl Entry {
    /// The entry of a request that came in at this moment, in this era.
    pub fn of(call: &Call<'_>, at: Moment, era: u32) -> Entry {
        Entry {
            at,
            era,
            request_id: call.request_id.clone(),
            request_bytes: call.body.len() as u64,
            remote_addr: Some(call.remote),
            ..Entry::default()
        }
    }

    /// Adds what the request wants.
    pub fn note(&mut self, wanted: &Noted) {
        self.namespace = Some(wanted.namespace.clone());
        self.intent = Some(wanted.intent);
        self.action = wanted.action;
    }

    /// Adds what came of it.
    pub fn close(&mut self, call: &Call<'_>, reply: &Reply) {
        self.status = reply.status;
        self.code = reply.code.map(Code::name);
        self.rows = reply.rows;
        self.queries = reply.queries;
        // The answer to a HEAD goes without its body.
        self.response_bytes = if call.method == "HEAD" { 0 } else { reply.body.len() as u64 };
        self.duration_us = u64::try_from(call.started.elapsed().as_micros()).unwrap_or(u64::MAX);
    }
}

/// Notes when and from where a key, named by the public id of its secret, was last used.
pub fn note_use(session: &Session, key: &str, at: &str, address: Option<IpAddr>) -> Result<(), Failure> {
    let address = address.map_or(Scalar::Null, |address| Scalar::Text(address.to_string()));
    session
        .execute(&Statement::fixed(
            r#"UPDATE "system.ApiKey" SET "last_used" = ?1, "last_ip" = ?2 WHERE "id" =
               (SELECT "api_key" FROM "system.ApiKeySecret" WHERE "public_id" = ?3) AND coalesce("last_used", '') < ?1"#,
            [Scalar::Text(at.to_owned()), address, Scalar::Text(key.to_owned())],
        ))
        .map(drop)
}

/// The columns of the log, in the order in which entries are written and listed.
pub const COLUMNS: [&str; 15] = [
    "id",
    "at",
    "request_id",
    "key",
    "namespace",
    "intent",
    "action",
    "status",
    "code",
    "rows",
    "queries",
    "duration_us",
    "request_bytes",
    "response_bytes",
    "remote_addr",
];

/// Entries of one statement: the index on `at` is then entered at its end, without a search for each.
const AT_ONCE: usize = 16;

static INSERT_MANY: LazyLock<String> = LazyLock::new(|| insertion(AT_ONCE));
static INSERT_ONE: LazyLock<String> = LazyLock::new(|| insertion(1));

/// The statement that appends so many entries.
fn insertion(entries: usize) -> String {
    let mut statement = Statement::default();
    statement.push("INSERT INTO ").name("system.UsageLog").push(" (").list(&COLUMNS[1..], ", ", |statement, column| {
        statement.name(column);
    });
    statement.push(") VALUES ").list(0..entries, ", ", |statement, _| {
        statement.push("(").list(&COLUMNS[1..], ", ", |statement, _| {
            statement.push("?");
        });
        statement.push(")");
    });
    statement.text
}

/// Appends entries to the log.
pub fn insert(session: &Session, entries: &[Entry]) -> Result<(), Failure> {
    let (many, rest) = entries.split_at(entries.len() - entries.len() % AT_ONCE);
    if !many.is_empty() {
        let rows = many.chunks(AT_ONCE).map(|entries| entries.iter().map(cells).collect::<Vec<_>>().concat());
        session.execute_rows(&INSERT_MANY, rows)?;
    }
    if !rest.is_empty() {
        session.execute_rows(&INSERT_ONE, rest.iter().map(|entry| cells(entry).to_vec()))?;
    }
    Ok(())
}

/// What [`COLUMNS`] hold of an entry, its id aside.
fn cells(entry: &Entry) -> [Lent<'_>; 14] {
    fn maybe(value: Option<&str>) -> Lent<'_> {
        value.map_or(Lent::Null, Lent::Text)
    }
    let number = |number: u64| Lent::Integer(i64::try_from(number).unwrap_or(i64::MAX));
    [
        Lent::Text(&entry.at),
        Lent::Text(&entry.request_id),
        maybe(entry.key.as_deref()),
        maybe(entry.namespace.as_deref()),
        maybe(entry.intent),
        maybe(entry.action),
        number(u64::from(entry.status)),
        maybe(entry.code),
        number(entry.rows),
        number(entry.queries),
        number(entry.duration_us),
        number(entry.request_bytes),
        number(entry.response_bytes),
        entry.remote_addr.map_or(Lent::Null, Lent::Address),
    ]
}

/// Which entries are wanted.
#[derive(Clone, Debug, Default)]
pub struct Wanted {
    /// Entries of this moment or later.
    pub since: Option<String>,
    /// Public ids of a key.
    pub key: Option<Vec<String>>,
    /// Lowest and highest status.
    pub status: Option<(u16, u16)>,
}

impl Wanted {
    /// Appends the conditions, behind others.
    fn narrow(&self, statement: &mut Statement) {
        if let Some(since) = &self.since {
            statement.push(" AND ").name("at").push(" >= ").value(Scalar::Text(since.clone()));
        }
        if let Some(ids) = &self.key {
            statement.push(" AND ").name("key").push(" IN (").list(ids, ", ", |statement, id| {
                statement.value(Scalar::Text(id.clone()));
            });
            statement.push(")");
        }
        if let Some((low, high)) = self.status {
            statement.push(" AND ").name("status").push(" BETWEEN ").number(u64::from(low));
            statement.push(" AND ").number(u64::from(high));
        }
    }
}

/// The cells of [`COLUMNS`] of the entries that are wanted, without an order or an end.
fn entries(wanted: &Wanted) -> Statement {
    let mut statement = Statement::default();
    statement.push("SELECT ").list(COLUMNS, ", ", |statement, column| {
        statement.name(column);
    });
    statement.push(" FROM ").name("system.UsageLog").push(" WHERE TRUE");
    wanted.narrow(&mut statement);
    statement
}

/// The newest `most` entries that are wanted, the oldest of them first, with the cells of [`COLUMNS`].
pub fn list(session: &Session, wanted: &Wanted, most: u64) -> Result<Vec<Vec<Scalar>>, Failure> {
    let mut statement = entries(wanted);
    statement.push(" ORDER BY ").name("id").push(" DESC LIMIT ").number(most);
    let mut entries: Vec<Vec<Scalar>> = session.rows(&statement)?.iter().map(<[Scalar]>::to_vec).collect();
    entries.reverse();
    Ok(entries)
}

/// How far the log was read: the id and the moment of the newest entry.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Position {
    id: i64,
    at: Option<Scalar>,
}

impl Position {
    /// Behind the newest entry of all.
    pub fn end(session: &Session) -> Result<Position, Failure> {
        let statement = r#"SELECT "id", "at" FROM "system.UsageLog" ORDER BY "id" DESC LIMIT 1"#;
        let rows = session.rows(&Statement::fixed(statement, []))?;
        Ok(match rows.iter().next() {
            Some([Scalar::Integer(id), at]) => Position { id: *id, at: Some(at.clone()) },
            _ => Position::default(),
        })
    }

    /// Whether the entries behind which this is are all gone, and ids have begun anew: that is so once all entries
    /// were pruned.
    fn is_void(&self, session: &Session, end: &Position) -> Result<bool, Failure> {
        let statement = r#"SELECT "at" FROM "system.UsageLog" WHERE "id" = ?1"#;
        let rows = session.rows(&Statement::fixed(statement, [Scalar::Integer(self.id)]))?;
        Ok(end.id < self.id || rows.cells.first().is_some_and(|at| Some(at) != self.at.as_ref()))
    }
}

/// The oldest `most` entries behind a position that are wanted, and the position behind them: the same one once there
/// are no more. Within one transaction.
pub fn after(
    session: &Session,
    position: &Position,
    wanted: &Wanted,
    most: usize,
) -> Result<(Vec<Vec<Scalar>>, Position), Failure> {
    let end = Position::end(session)?;
    let from = if position.is_void(session, &end)? { 0 } else { position.id };
    let mut statement = entries(wanted);
    statement.push(" AND ").name("id").push(" > ").value(Scalar::Integer(from));
    statement.push(" ORDER BY ").name("id").push(" LIMIT ").number(most as u64);
    let entries: Vec<Vec<Scalar>> = session.rows(&statement)?.iter().map(<[Scalar]>::to_vec).collect();
    let reached = match entries.last().map(Vec::as_slice) {
        Some([Scalar::Integer(id), at, ..]) if entries.len() == most => Position { id: *id, at: Some(at.clone()) },
        _ => end,
    };
    Ok((entries, reached))
}

/// What is kept of the log.
#[derive(Clone, Debug)]
pub struct Retention {
    /// Nothing that is older.
    pub age: SignedDuration,
    /// No more entries than this.
    pub rows: Option<u64>,
}

/// Most entries pruned at once, so that writes wait for none of it long.
pub const PRUNED_AT_ONCE: usize = 250;

/// Takes away entries that are not kept, the oldest first and about `most` of them; whether there may be more.
pub fn prune(session: &Session, retention: &Retention, most: usize) -> Result<bool, Failure> {
    let mut pruned = 0;
    let limit = || Scalar::Integer(i64::try_from(most).unwrap_or(i64::MAX));
    if let Ok(oldest) = time::from_now(-retention.age) {
        // What is read is named, and entries are taken away one by one, so that statistics of when the log was short do
        // not have SQLite read all of it.
        let too_old = r#"SELECT "id" FROM "system.UsageLog" INDEXED BY "system.UsageLog.at" WHERE "at" < ?1 ORDER BY "at" LIMIT ?2"#;
        pruned += delete(session, &Statement::fixed(too_old, [Scalar::Text(oldest), limit()]))?;
    }
    if let Some(rows) = retention.rows {
        // Ids run on, so that of those behind this one there are no more than are kept. Nothing is counted.
        let too_many = r#"SELECT "id" FROM "system.UsageLog" NOT INDEXED
           WHERE "id" <= (SELECT max("id") FROM "system.UsageLog") - ?1 ORDER BY "id" LIMIT ?2"#;
        let rows = Scalar::Integer(i64::try_from(rows).unwrap_or(i64::MAX));
        pruned += delete(session, &Statement::fixed(too_many, [rows, limit()]))?;
    }
    Ok(pruned >= most)
}

/// Takes away the entries whose ids a statement gives; how many.
fn delete(session: &Session, ids: &Statement) -> Result<usize, Failure> {
    let ids = session.rows(ids)?;
    let one = Statement::fixed(r#"DELETE FROM "system.UsageLog" WHERE "id" = ?1"#, []);
    session.execute_each(&one, ids.iter(), |_, _| {})?;
    Ok(ids.len())
}
