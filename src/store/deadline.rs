//! When the work of a request is to end: told by its session, and asked by SQLite and by our functions within it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// A moment that whoever has a clone may ask for.
#[derive(Clone)]
pub struct Deadline {
    since: Instant,
    /// In milliseconds after `since`.
    after: Arc<AtomicU64>,
}

impl Deadline {
    /// None yet.
    pub fn never() -> Deadline {
        Deadline { since: Instant::now(), after: Arc::new(AtomicU64::new(u64::MAX)) }
    }

    /// Sets it to so much time from now; `None` for never.
    pub fn set(&self, time: Option<Duration>) {
        self.after.store(time.map_or(u64::MAX, |time| millis(self.since.elapsed() + time)), Ordering::Relaxed);
    }

    pub fn has_passed(&self) -> bool {
        millis(self.since.elapsed()) > self.after.load(Ordering::Relaxed)
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
