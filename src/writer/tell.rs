//! What the writer says in the server's own log: each thing once, when it begins and when it is over, however often it is met.

use crate::log::{self, Level};
use std::fmt::Display;
use std::time::{Duration, Instant};

#[derive(Default)]
pub struct Told {
    /// Whether the last commit failed, whether that was said, and when it last was.
    is_refused: bool,
    is_said: bool,
    said: Option<Instant>,
    /// Entries of the usage log that were lost, and whether more are.
    lost: u64,
    is_losing: bool,
    /// The bytes that the write-ahead log had grown to.
    grown: u64,
}

/// How long nothing is said of commits that fail, where some go through in between.
const SILENCE: Duration = Duration::from_secs(10);
/// What the write-ahead log may grow to before that is said; what SQLite leaves of it at a checkpoint is half of it.
const GROWN: u64 = 128 << 20;

impl Told {
    /// A commit failed; so many entries of the usage log wait for the next.
    pub fn refused(&mut self, why: &dyn Display, waiting: usize) {
        self.is_refused = true;
        if !self.is_said && self.said.is_none_or(|said| said.elapsed() > SILENCE) {
            (self.is_said, self.said) = (true, Some(Instant::now()));
            let wait = format_args!("{waiting} entries of the usage log wait");
            log::line(Level::Error, format_args!("writes to the database fail, {wait}: {why}"));
        }
    }

    /// Whether the last commit failed.
    pub fn is_refused(&self) -> bool {
        self.is_refused
    }

    /// A commit went through, after which so many entries of the usage log wait for the next; so many were lost since the
    /// start, which is told once none waits: until then there may be no room for others.
    pub fn taken(&mut self, waiting: usize, lost: u64) {
        self.is_refused = false;
        if std::mem::take(&mut self.is_said) {
            log::line(Level::Info, format_args!("writes to the database succeed again"));
        }
        if waiting > 0 {
            return;
        }
        self.is_losing = false;
        let newly = lost - std::mem::replace(&mut self.lost, lost);
        if newly > 0 {
            let when = "while the database could not be written";
            log::line(Level::Error, format_args!("the usage log lost {newly} entries {when}"));
        }
    }

    /// So many entries of the usage log were lost since the start.
    pub fn losing(&mut self, lost: u64) {
        if lost > self.lost && !std::mem::replace(&mut self.is_losing, true) {
            let why = "so many wait for the database that there is no room for more";
            log::line(Level::Error, format_args!("entries of the usage log are lost from here on: {why}"));
        }
    }

    /// The server ends, and so many entries are lost with it.
    pub fn ended(&mut self, lost: u64, waiting: usize) {
        let lost = lost - self.lost + waiting as u64;
        if lost > 0 {
            let why = "the database could not be written";
            log::line(Level::Error, format_args!("the usage log lost {lost} entries: {why}"));
        }
    }

    /// The write-ahead log has so many bytes.
    pub fn grown(&mut self, bytes: u64) {
        if bytes < GROWN {
            self.grown = 0;
        } else if bytes >= 2 * self.grown {
            self.grown = bytes;
            let size = bytes >> 20;
            let why =
                "somebody has been reading from one state of the database for long, and keeps it from being emptied";
            log::line(Level::Warning, format_args!("the write-ahead log beside the database has {size} MiB: {why}"));
        }
    }
}
