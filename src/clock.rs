//! The one clock: every moment that reaches records, keys, the usage log, kept answers and rates comes from here. It shows
//! the real time, unless a server for tests was told to stop it or to put it elsewhere.
//!
//! How long something took, and how long anyone waits, is real time always and none of its business.

use jiff::{SignedDuration, Timestamp};
use std::sync::LazyLock;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Instant;

/// What the clock is set to: 0 is real time. The lowest bit says whether it stands; the others are the microseconds at
/// which it stands, or by which it is ahead of real time.
static SETTING: AtomicI64 = AtomicI64::new(REAL);

const REAL: i64 = 0;

/// How the clock goes, so that it can be put back to it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Setting(i64);

/// The first and the last moment that it can show: years run from 1 to 9999.
const FIRST: i64 = -62_135_596_800_000_000;
const LAST: i64 = 253_402_207_199_999_999;

/// The moment that it shows.
pub fn now() -> Timestamp {
    match SETTING.load(Ordering::Relaxed) {
        REAL => Timestamp::now(),
        setting => shown(setting, Timestamp::now().as_microsecond()),
    }
}

/// As [`now`] in microseconds, but of a moment that the system's steady clock gave: where nobody set this one, no
/// correction of the system's time moves it.
pub fn micros(moment: Instant) -> i64 {
    /// A moment of the steady clock, and what the other one showed then.
    static START: LazyLock<(Instant, i64)> = LazyLock::new(|| (Instant::now(), Timestamp::now().as_microsecond()));
    let (start, began) = *START;
    let since = i64::try_from(moment.saturating_duration_since(start).as_micros()).unwrap_or(i64::MAX);
    match SETTING.load(Ordering::Relaxed) {
        REAL => began.saturating_add(since),
        setting => shown(setting, began.saturating_add(since)).as_microsecond(),
    }
}

fn shown(setting: i64, real: i64) -> Timestamp {
    let micros = if stands(setting) { setting >> 1 } else { real.saturating_add(setting >> 1) };
    Timestamp::from_microsecond(micros.clamp(FIRST, LAST)).unwrap_or(Timestamp::MAX)
}

fn stands(setting: i64) -> bool {
    setting & 1 == 1
}

pub fn setting() -> Setting {
    Setting(SETTING.load(Ordering::Relaxed))
}

pub fn is_stopped() -> bool {
    stands(setting().0)
}

/// Puts it back to how it went.
pub fn put_back(to: Setting) {
    SETTING.store(to.0, Ordering::Relaxed);
}

/// Stops it at a moment.
pub fn stop(at: Timestamp) {
    SETTING.store(at.as_microsecond().clamp(FIRST, LAST) << 1 | 1, Ordering::Relaxed);
}

/// Has it go on from a moment.
pub fn go_on(from: Timestamp) {
    let ahead = from.as_microsecond().clamp(FIRST, LAST) - Timestamp::now().as_microsecond();
    SETTING.store(ahead << 1, Ordering::Relaxed);
}

/// Moves it; whether it stands or goes stays as it was. `None` where that leads past the last moment.
pub fn advance(by: SignedDuration) -> Option<()> {
    let moved = now().checked_add(by).ok().filter(|moment| moment.as_microsecond() <= LAST)?;
    if is_stopped() {
        stop(moved)
    } else {
        go_on(moved)
    }
    Some(())
}
