//! What tests do to a server from within: threads are held up wherever one may come before another, and things go
//! wrong that hardly ever do. The environment variable `JQLITE_TRIAL` says what, in words: `pauses/7` holds threads up at
//! random, by that seed, and `job/20` has every twentieth passage of the place `job` go wrong.
//!
//! Only builds with debug assertions do so: in the others nothing of it is left.

use std::cell::Cell;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

static TRIAL: LazyLock<Trial> = LazyLock::new(|| Trial::of(&std::env::var("JQLITE_TRIAL").unwrap_or_default()));

/// Threads that were held up so far.
static THREADS: AtomicU64 = AtomicU64::new(0);

thread_local! {
    /// Where this thread is among its random numbers; 0 at its start.
    static RANDOM: Cell<u64> = const { Cell::new(0) };
}

#[derive(Debug, Default)]
struct Trial {
    seed: Option<u64>,
    faults: Vec<Fault>,
}

#[derive(Debug)]
struct Fault {
    place: String,
    every: u64,
    passed: AtomicU64,
}

impl Trial {
    fn of(words: &str) -> Trial {
        let mut trial = Trial::default();
        for word in words.split_whitespace() {
            let (place, number) = word.split_once('/').expect("JQLITE_TRIAL has words such as job/20");
            let number = number.parse::<u64>().expect("JQLITE_TRIAL has a number behind each /");
            match place {
                "pauses" => trial.seed = Some(number),
                _ => trial.faults.push(Fault { place: place.into(), every: number.max(1), passed: AtomicU64::new(0) }),
            }
        }
        trial
    }
}

/// Whether what is tried at that place is to fail this time.
pub fn fails(place: &str) -> bool {
    let is_due = |fault: &Fault| (fault.passed.fetch_add(1, Ordering::Relaxed) + 1).is_multiple_of(fault.every);
    cfg!(debug_assertions) && TRIAL.faults.iter().any(|fault| fault.place == place && is_due(fault))
}

/// Panics at that place, where it is to go wrong this time.
#[track_caller]
pub fn panics(place: &str) {
    assert!(!fails(place), "on trial: {place}");
}

/// Lets other threads go first, now and then, and now and then for long.
pub fn pause() {
    if !cfg!(debug_assertions) {
        return;
    }
    let Some(seed) = TRIAL.seed else { return };
    let up_to = |most: u64| thread::sleep(Duration::from_micros(random(seed) % most));
    match random(seed) % 512 {
        0 => up_to(20_000),
        1..32 => up_to(1000),
        32..96 => up_to(100),
        96..256 => thread::yield_now(),
        _ => {}
    }
}

/// As much time, or now and then less: then who waits for something gives up just when it comes.
pub fn sooner(time: Duration) -> Duration {
    if !cfg!(debug_assertions) {
        return time; // nor is the variable asked for
    }
    match TRIAL.seed {
        Some(seed) if random(seed).is_multiple_of(4) => time.min(Duration::from_micros(random(seed) % 3000)),
        _ => time,
    }
}

/// The next random number of this thread (SplitMix64).
fn random(seed: u64) -> u64 {
    const STEP: u64 = 0x9e37_79b9_7f4a_7c15;
    let mut state = RANDOM.get();
    if state == 0 {
        state = (seed << 32 | THREADS.fetch_add(1, Ordering::Relaxed)).wrapping_mul(STEP);
    }
    state = state.wrapping_add(STEP);
    RANDOM.set(state);
    let mixed = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}
