//! The file in its place: making it, what cannot be one, and whether it is still the one that was opened. Whoever moves,
//! replaces or deletes it while it is in use would have the rest written where nobody finds it, and new sessions opened on
//! another file; so would whoever does that to the write-ahead log beside it, or to the index of that.

use super::Missing;
use crate::error::Problem;
use std::fs::{Metadata, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

/// The paths of an open file, of its log and of the index of that, and what was found there.
pub struct Place {
    paths: [PathBuf; 3],
    found: OnceLock<[Option<Identity>; 3]>,
    /// What there was when somebody last looked.
    is_moved: AtomicBool,
}

impl Place {
    pub fn of(path: &Path) -> Place {
        let file = path.canonicalize().unwrap_or_else(|_| path.to_owned()); // SQLite follows links, too
        let paths = [path.to_owned(), beside(&file, "-wal"), beside(&file, "-shm")];
        Place { paths, found: OnceLock::new(), is_moved: AtomicBool::new(false) }
    }

    /// From now on all is to stay as it is: this process has it open, so that SQLite neither makes nor deletes any of it.
    pub fn is_taken(&self) {
        self.found.get_or_init(|| self.identities());
    }

    /// Looks whether all is in its place.
    ///
    /// # Errors
    /// It is not.
    pub fn look(&self) -> Result<(), Problem> {
        let differs = |(found, now): (&Option<Identity>, Option<Identity>)| found.is_some() && *found != now;
        let is_moved = self.found.get().is_some_and(|found| found.iter().zip(self.identities()).any(differs));
        self.is_moved.store(is_moved, Ordering::Relaxed);
        self.seen()
    }

    /// As [`Self::look`], by what was seen last, which takes no time.
    pub fn seen(&self) -> Result<(), Problem> {
        if self.is_moved.load(Ordering::Relaxed) { Err(Problem::FileMoved) } else { Ok(()) }
    }

    /// The bytes of the write-ahead log; none before the first write.
    pub fn log_bytes(&self) -> u64 {
        std::fs::metadata(&self.paths[1]).map_or(0, |file| file.len())
    }

    fn identities(&self) -> [Option<Identity>; 3] {
        self.paths.each_ref().map(|path| std::fs::metadata(path).ok().map(|file| identity(&file)))
    }
}

/// The file whose name is that of this one, with something behind it.
pub fn beside(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.to_owned().into_os_string();
    name.push(ending);
    name.into()
}

/// The device, and the file on it.
#[cfg(unix)]
type Identity = (u64, u64);

#[cfg(unix)]
fn identity(file: &Metadata) -> Identity {
    use std::os::unix::fs::MetadataExt;
    (file.dev(), file.ino())
}

/// Elsewhere a file that is open stays where it is.
#[cfg(not(unix))]
type Identity = ();

#[cfg(not(unix))]
fn identity(_: &Metadata) -> Identity {}

/// Makes the file, readable by its owner only, where it is not there and may be made, and refuses what no database can be in.
///
/// # Errors
/// What is wrong with it, in a sentence for the person who named it.
pub fn prepare(path: &Path, missing: Missing) -> Result<(), String> {
    let named = path.display();
    match std::fs::metadata(path) {
        Ok(found) if found.is_dir() => Err(format!("cannot open {named}: it is a folder")),
        Ok(found) if !found.is_file() => Err(format!("cannot open {named}: it is not a file that holds anything")),
        // SQLite would take the log away.
        Ok(found) if found.len() == 0 && Place::of(path).log_bytes() > 0 => Err(format!(
            "{named} is empty, but what was written last is in {named}-wal: put the file back from a backup, or take \
             both away to begin anew"
        )),
        // SQLite would go on with what it can only read, until the first write.
        Ok(_) => OpenOptions::new().write(true).open(path).map(drop).map_err(|error| {
            format!("cannot write {named}: {error}; jqlite writes to the file and beside it also where it only reads")
        }),
        Err(error) if error.kind() == io::ErrorKind::NotFound && missing == Missing::Refuse => {
            Err(format!("there is no database at {named}; `jqlite bootstrap` makes one"))
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            make_folder(path)?;
            make(path).map_err(|error| format!("cannot make {named}: {error}"))
        }
        Err(error) => Err(format!("cannot open {named}: {error}")),
    }
}

/// How a file is opened that only its owner can read, where it is made.
pub fn owners_file() -> OpenOptions {
    let mut options = OpenOptions::new();
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
}

fn make(path: &Path) -> io::Result<()> {
    match owners_file().write(true).create_new(true).open(path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()), // another process was first
        outcome => outcome.map(drop),
    }
}

/// Makes the folder that a file is to be in, its owner's alone, where there is none.
pub fn make_folder(path: &Path) -> Result<(), String> {
    let mut folder = std::fs::DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut folder, 0o700);
    match path.parent().filter(|parent| !parent.as_os_str().is_empty()) {
        Some(parent) => {
            folder.recursive(true).create(parent).map_err(|error| format!("cannot make {}: {error}", path.display()))
        }
        None => Ok(()),
    }
}
