//! Defaults: where the database is when nobody says, and the bounds of the server.

use directories::ProjectDirs;
use std::path::PathBuf;

/// The file of that name in the platform's folder for an application's data.
///
/// # Errors
/// There is no home directory.
pub fn data_file(name: &str) -> Result<PathBuf, String> {
    let folders = ProjectDirs::from("", "", "jqlite")
        .ok_or("there is no home directory to keep a database in; name one with --db")?;
    Ok(folders.data_dir().join(name))
}

/// The database that commands work on where no `--db` is given.
pub const DATABASE: &str = "jqlite.db";
/// The database of `quickstart`.
pub const QUICKSTART: &str = "quickstart.db";
/// Only this machine reaches it.
pub const LISTEN: &str = "127.0.0.1:5750";
/// Where a server is that nobody gave another address.
pub const URL: &str = "http://127.0.0.1:5750";
/// Connections at one time; each that waits for something within a request has a thread.
pub const MAX_CONNECTIONS: usize = 2048;
/// Bytes of the largest body.
pub const MAX_BODY: usize = 1 << 20;
/// Bytes of all bodies that are being received or wait to be carried out, those aside that are small.
pub const BODIES: usize = 256 << 20;
/// Bytes of all answers that are being sent, those aside that are small.
pub const ANSWERS: usize = 256 << 20;
/// Bytes of all answers kept in memory.
pub const CACHE: usize = 8 << 20;
/// The highest `limit` of a page.
pub const MAX_LIMIT: u64 = 1000;

/// Threads that serve at one time, those that wait for something aside: some more than there are cores, as the disk may
/// keep one waiting too.
pub fn turns() -> usize {
    std::thread::available_parallelism().map_or(4, |cores| cores.get() * 2)
}

/// Readers of the database at one time: enough that a few slow queries leave room for quick ones. To be asked
/// once: it reads files to learn how many cores there are.
pub fn readers() -> usize {
    std::thread::available_parallelism().map_or(8, |cores| (cores.get() * 4).max(8))
}
