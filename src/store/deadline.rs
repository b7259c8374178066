//! When the work of a request is to end: told by its session, and asked by SQLite and by our functions within it.

use crate::crew::step_aside;
use crate::trial;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// A moment that whoever has a clone may ask for.
#[derive(Clone)]
pub struct Deadline {
    since: Instant,
    /// In milliseconds after `since`.
    after: Arc<AtomicU64>,
    /// When the work is no longer short, in the same way.
    long_after: Arc<AtomicU64>,
}

/// How long work may take until another thread is to go on with what else there is to do.
const SHORT: Duration = Duration::from_millis(5);

impl Deadline {
    /// None yet.
    pub fn never() -> Deadline {
        let never = || Arc::new(AtomicU64::new(u64::MAX));
        Deadline { since: Instant::now(), after: never(), long_after: never() }
    }

    /// Sets it to so much time from now; `None` for never.
    pub fn set(&self, time: Option<Duration>) {
        let now = self.since.elapsed();
        self.after.store(time.map_or(u64::MAX, |time| millis(now + time)), Ordering::Relaxed);
        self.long_after.store(millis(now + trial::sooner(SHORT)), Ordering::Relaxed);
    }

    /// To be asked often while there is work: it also sees to it that long work keeps no other waiting.
    pub fn has_passed(&self) -> bool {
        let now = millis(self.since.elapsed());
        if now > self.long_after.load(Ordering::Relaxed) {
            step_aside();
        }
        now > self.after.load(Ordering::Relaxed)
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
