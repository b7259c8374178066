//! States of a database in memory that it can be put back to: all of it, within milliseconds.

use super::failure::Failure;
use super::{BUSY_TIMEOUT, MEMORY};
use crate::error::Problem;
use crate::lock::assert_none_but_held;
use rusqlite::backup::{Backup, StepResult};
use rusqlite::{Connection, OpenFlags};

/// A state of the database in memory.
pub struct Snapshot(Connection);

impl Snapshot {
    /// Copies the state that it is in. No transaction of this thread may be open.
    pub fn take() -> Result<Snapshot, Failure> {
        let mut copy = Connection::open_in_memory()?;
        // Nobody reads a copy that was not finished.
        copy.execute_batch("PRAGMA journal_mode = OFF")?;
        copy_all(&live()?, &mut copy)?;
        Ok(Snapshot(copy))
    }

    /// Puts the database back to this state, in one step for all who read it. It waits for those who read it now; none may
    /// write. SQLite gives the database a new mark with it, so that nobody goes on with what they remember.
    pub fn put_back(&self) -> Result<(), Failure> {
        let mut live = live()?;
        // All that can fail is that a reader does not end, and then nothing was written. Few pages are held, so that each is
        // written while it is still in the processor's own memory: many take half as long again.
        live.execute_batch("PRAGMA journal_mode = OFF; PRAGMA cache_size = -256; PRAGMA synchronous = OFF")?;
        self.raise_version(&live)?;
        copy_all(&self.0, &mut live)
    }

    /// Numbers of versions of the models run on: one that came back for other models would be taken for those that
    /// were known by it before.
    fn raise_version(&self, live: &Connection) -> Result<(), Failure> {
        let highest = r#"SELECT coalesce(max("seq"), 0) FROM "sqlite_sequence" WHERE "name" = 'system.ModelVersion'"#;
        let given: i64 = live.query_one(highest, [], |row| row.get(0))?;
        let raised = r#"UPDATE "sqlite_sequence" SET "seq" = max("seq", ?1) WHERE "name" = 'system.ModelVersion'"#;
        if self.0.execute(raised, [given])? == 0 {
            let first = r#"INSERT INTO "sqlite_sequence" ("name", "seq") VALUES ('system.ModelVersion', ?1)"#;
            self.0.execute(first, [given])?;
        }
        Ok(())
    }
}

/// A connection to the database in memory, beside those of its store.
fn live() -> Result<Connection, Failure> {
    assert_none_but_held();
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX | OpenFlags::SQLITE_OPEN_URI;
    let connection = Connection::open_with_flags(MEMORY, flags)?;
    connection.busy_timeout(BUSY_TIMEOUT)?;
    Ok(connection)
}

fn copy_all(from: &Connection, to: &mut Connection) -> Result<(), Failure> {
    match Backup::new(from, to)?.step(-1)? {
        StepResult::Done => Ok(()),
        _ => Err(Failure::Other(Problem::Busy)),
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Location, Missing, Store};
    use super::*;
    use crate::sql::Statement;
    use std::time::Duration;

    #[test]
    fn a_state_comes_back_and_is_seen_by_a_session_that_remembers() {
        let store = Store::open(Location::Memory, Missing::Create, Duration::from_secs(5)).unwrap();
        let (reader, writer) = (store.reader().unwrap(), store.writer().unwrap());
        let count = Statement::fixed(r#"SELECT count(*) FROM "system.UsageLog""#, []);
        let counted = || reader.reading(|| reader.total(&count)).unwrap();
        let marks = || (reader.data_version().unwrap(), writer.data_version().unwrap());
        let insert = r#"INSERT INTO "system.UsageLog" ("at", "request_id", "status", "rows", "queries", "duration_us", "request_bytes", "response_bytes") VALUES ('', '', 200, 0, 0, 0, 0, 0)"#;
        let before = counted();
        let snapshot = Snapshot::take().unwrap();
        for _ in 0..3 {
            writer.connection.execute_batch(insert).unwrap();
            assert_eq!(counted(), before + 1);
            let seen = marks();
            snapshot.put_back().unwrap();
            assert!(marks().0 != seen.0 && marks().1 != seen.1);
            assert_eq!(counted(), before);
        }
    }
}
