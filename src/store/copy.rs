//! Copies of a whole database: one made while others read and write, and one put in the place of another.

use super::failure::Failure;
use super::place::owners_file;
pub use super::place::{beside, make_folder};
use super::session::{Session, integrity};
use super::{APPLICATION_ID, Location, guarded, known_version};
use crate::error::Problem;
use crate::sql::Statement;
use crate::value::time;
use rusqlite::backup::{Backup, StepResult};
use rusqlite::{Connection, OpenFlags};
use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Pages copied between two words of how far it is: some megabytes.
const PAGES: i32 = 1024;

/// How long the file to be replaced may be busy.
const PATIENCE: Duration = Duration::from_secs(1);

/// A file in the making, which is gone again unless it is kept.
pub struct Draft {
    path: PathBuf,
    /// Where it is to be.
    target: PathBuf,
    /// Locked for as long as somebody is at work on it, so that one that was left behind stands in nobody's way.
    file: File,
}

impl Draft {
    /// An empty file beside its target, readable by its owner only.
    ///
    /// # Errors
    /// Another process makes one at this moment, or it cannot be made.
    pub fn new(target: &Path) -> Result<Draft, String> {
        let path = beside(target, ".part");
        let describe = |error: std::io::Error| format!("cannot make {}: {error}", path.display());
        let file = owners_file().write(true).create(true).truncate(false).open(&path).map_err(describe)?;
        file.try_lock().map_err(|error| match error {
            TryLockError::WouldBlock => format!("another command is at work on {}", path.display()),
            TryLockError::Error(error) => describe(error),
        })?;
        for ending in ["-wal", "-shm", "-journal"] {
            let _ = std::fs::remove_file(beside(&path, ending)); // of one that was cut off
        }
        file.set_len(0).map_err(describe)?;
        Ok(Draft { path, target: target.to_owned(), file })
    }

    pub fn location(&self) -> Location {
        Location::File(self.path.clone())
    }

    /// Has it belong to whoever owns the file whose place it is to take: root restores what a server without rights of
    /// its own is to read.
    ///
    /// # Errors
    /// It is not ours to give away.
    pub fn belong_as_before(&self) -> Result<(), String> {
        #[cfg(unix)]
        if let (Ok(there), Ok(here)) = (self.target.metadata(), self.path.metadata()) {
            use std::os::unix::fs::{MetadataExt, chown};
            if (there.uid(), there.gid()) != (here.uid(), here.gid()) {
                chown(&self.path, Some(there.uid()), Some(there.gid())).map_err(|error| {
                    format!("cannot give a copy to the owner of {}: {error}", self.target.display())
                })?;
            }
        }
        Ok(())
    }

    /// Puts it in its place, once the disk has all of it.
    pub fn keep(self) -> Result<(), String> {
        let synced = self.file.sync_all();
        let moved = synced.and_then(|()| std::fs::rename(&self.path, &self.target));
        moved
            .and_then(|()| sync_folder(&self.target))
            .map_err(|error| format!("cannot make {}: {error}", self.target.display()))
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        for ending in ["", "-wal", "-shm", "-journal"] {
            let _ = std::fs::remove_file(beside(&self.path, ending)); // most were never there
        }
    }
}

/// Has the disk know under which name a file of this folder is found.
fn sync_folder(path: &Path) -> std::io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    if cfg!(unix) { File::open(folder)?.sync_all() } else { Ok(()) }
}

impl Session {
    /// Copies the database, as it is at this moment, into a draft, which then holds all of it in the one file.
    /// Others read and write meanwhile, and wait for nothing. `tell` hears how many pages are copied, of how many.
    ///
    /// # Errors
    /// It cannot be read, or the draft cannot be written.
    pub fn copy_to(&self, draft: &Draft, mut tell: impl FnMut(u64, u64)) -> Result<(), Failure> {
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let mut copy = Connection::open_with_flags(&draft.path, flags)?;
        // Whoever cuts this off finds no file of the name that was wanted, so that there is nothing to undo.
        copy.execute_batch("PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF")?;
        // In one transaction: else every commit of others would have it begin again.
        self.reading(|| {
            self.data_version()?; // from here on it sees one state
            let backup = Backup::new(&self.connection, &mut copy)?;
            while backup.step(PAGES)? != StepResult::Done {
                let at = backup.progress();
                let pages = |number: i32| u64::try_from(number).unwrap_or(0);
                tell(pages(at.pagecount - at.remaining), pages(at.pagecount));
            }
            Ok::<_, Failure>(())
        })?;
        copy.execute_batch("PRAGMA journal_mode = DELETE")?; // all of it in the one file
        Ok(())
    }
}

impl Session {
    /// Has all of the database in the one file. Nobody else may have it open.
    pub fn leave_log(&self) -> Result<(), Failure> {
        self.pragmas(&["PRAGMA journal_mode = DELETE"])
    }
}

/// Opens a file to be restored, and changes nothing in it.
///
/// # Errors
/// It cannot be read, is not one of ours, is of a later version, or is damaged.
pub fn source(path: &Path, timeout: Duration) -> Result<Session, String> {
    let named = path.display();
    let describe = |failure: Failure| format!("cannot restore {named}: {failure}");
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    if !path.is_file() {
        return Err(format!("cannot restore {named}: there is no such file"));
    }
    let session = Connection::open_with_flags(path, flags)
        .map_err(Failure::from)
        .and_then(|connection| guarded(connection, timeout))
        .map_err(describe)?;
    session.unlimited();
    let number = |text: &'static str| session.number(&Statement::fixed(text, [])).map_err(describe);
    match (number("PRAGMA application_id")?, number("PRAGMA user_version")?) {
        (APPLICATION_ID, version @ 1..) => known_version(&named, version)?,
        _ => return Err(format!("{named} is not a database of jqlite's")),
    }
    match integrity(&session).map_err(describe)?.as_slice() {
        [] => Ok(session),
        [first, ..] => Err(format!("{named} is damaged: {first}")),
    }
}

/// Moves a database out of the way, under a name that tells when, and gives that; `None` where there is none.
///
/// # Errors
/// Someone has it open, or it cannot be moved.
pub fn set_aside(path: &Path) -> Result<Option<PathBuf>, String> {
    if !path.exists() {
        return Ok(None);
    }
    if is_in_use(path) {
        return Err(format!("{} is in use; stop its server first", path.display()));
    }
    let kept = beside(path, &format!(".before-{}", time::now().replace(':', "")));
    for ending in ["", "-wal", "-shm"] {
        let part = beside(path, ending);
        if part.exists() {
            let moved = std::fs::rename(&part, beside(&kept, ending));
            moved.map_err(|error| format!("cannot move {}: {error}", part.display()))?;
        }
    }
    Ok(Some(kept))
}

/// Whether another connection has it open. What cannot even be read is in nobody's use.
fn is_in_use(path: &Path) -> bool {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    // Only whoever is alone with a file can leave the log beside it: <https://www.sqlite.org/pragma.html#pragma_journal_mode>.
    let alone = Connection::open_with_flags(path, flags).and_then(|connection| {
        connection.busy_timeout(PATIENCE)?;
        connection.execute_batch("PRAGMA journal_mode = DELETE")
    });
    alone.is_err_and(|error| Failure::from(error) == Failure::Other(Problem::Busy))
}
