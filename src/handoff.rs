//! Handing an answer from thread to thread.
//!
//! Who waits for an answer sleeps. The channels of the standard library spin first, which is right where there
//! is a core for each thread; with many more threads than cores it takes the time from those with work.

use crate::lock::lock;
use std::sync::{Arc, Condvar, Mutex};
use std::time::Instant;

/// Where one answer is put, and one thread waits for it.
pub struct Answer<T>(Arc<Slot<T>>);

/// The other end. Dropped without an answer, it ends the wait too.
pub struct Promise<T>(Arc<Slot<T>>);

struct Slot<T> {
    state: Mutex<State<T>>,
    settled: Condvar,
}

enum State<T> {
    Open,
    Kept(T),
    /// One of the two ends is gone.
    Broken,
}

/// A promise and the answer that it is for.
pub fn promise<T>() -> (Promise<T>, Answer<T>) {
    let slot = Arc::new(Slot { state: Mutex::new(State::Open), settled: Condvar::new() });
    (Promise(slot.clone()), Answer(slot))
}

impl<T> Promise<T> {
    /// Gives the value back where nobody waits for it any more.
    pub fn keep(self, value: T) -> Result<(), T> {
        let mut state = lock(&self.0.state);
        if matches!(*state, State::Broken) {
            return Err(value);
        }
        *state = State::Kept(value);
        Ok(())
    }
}

impl<T> Drop for Promise<T> {
    fn drop(&mut self) {
        let mut state = lock(&self.0.state);
        if matches!(*state, State::Open) {
            *state = State::Broken;
        }
        drop(state);
        self.0.settled.notify_one();
    }
}

impl<T> Answer<T> {
    /// As [`Self::wait`], but no longer than until then.
    pub fn wait_until(self, deadline: Instant) -> Option<T> {
        let mut state = lock(&self.0.state);
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            match std::mem::replace(&mut *state, State::Broken) {
                State::Kept(value) => return Some(value),
                State::Broken => return None,
                State::Open if left.is_zero() => return None,
                State::Open => {
                    *state = State::Open;
                    state = state.wait_for(&self.0.settled, left);
                }
            }
        }
    }

    /// Waits for the answer; `None` where the promise was dropped.
    pub fn wait(self) -> Option<T> {
        let mut state = lock(&self.0.state);
        loop {
            match std::mem::replace(&mut *state, State::Broken) {
                State::Kept(value) => return Some(value),
                State::Broken => return None,
                State::Open => {
                    *state = State::Open;
                    state = state.wait(&self.0.settled);
                }
            }
        }
    }
}

impl<T> Drop for Answer<T> {
    fn drop(&mut self) {
        let mut state = lock(&self.0.state);
        if matches!(*state, State::Open) {
            *state = State::Broken;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dropped_promise_ends_the_wait() {
        let (kept, answer) = promise();
        std::thread::spawn(move || kept.keep(5).unwrap());
        assert_eq!(answer.wait(), Some(5));
        let (dropped, answer) = promise::<i32>();
        std::thread::spawn(move || drop(dropped));
        assert_eq!(answer.wait(), None);
        let (late, answer) = promise();
        assert_eq!(answer.wait_until(Instant::now()), None);
        assert_eq!(late.keep(5), Err(5));
    }
}
