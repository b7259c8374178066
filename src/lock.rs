//! Locks, of two kinds. What [`lock`] takes is held for a few instructions: meanwhile nothing is read, written or waited for,
//! and no other lock is taken, so that locks cannot wait for each other in a circle. What [`hold`] takes is a thing that
//! only one can work with at a time: it may be held while that works, the database included, but not while anything goes to
//! a client, to the log or to another thread.
//!
//! Builds with debug assertions check both at every lock, and wherever something is read, written or waited for.

use crate::trial;
use std::cell::Cell;
use std::ops::{Deref, DerefMut};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError, TryLockError};
use std::time::Duration;

thread_local! {
    /// What this thread has locked, and what it holds.
    static TAKEN: Cell<(u32, u32)> = const { Cell::new((0, 0)) };
}

/// Takes a lock, also after a panic: nothing that is locked here is ever left half changed.
#[track_caller]
pub fn lock<T>(mutex: &Mutex<T>) -> Guard<'_, T> {
    let taken = Taken::count(Kind::Locked);
    Guard { value: mutex.lock().unwrap_or_else(PoisonError::into_inner), taken }
}

/// Takes what is held for longer, also after a panic.
#[track_caller]
pub fn hold<T>(mutex: &Mutex<T>) -> Guard<'_, T> {
    let taken = Taken::count(Kind::Held);
    Guard { value: mutex.lock().unwrap_or_else(PoisonError::into_inner), taken }
}

/// As [`hold`], where nobody else holds it at this moment.
#[track_caller]
pub fn try_hold<T>(mutex: &Mutex<T>) -> Option<Guard<'_, T>> {
    let taken = Taken::count(Kind::Held);
    let value = match mutex.try_lock() {
        Ok(value) => value,
        Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
        Err(TryLockError::WouldBlock) => return None,
    };
    Some(Guard { value, taken })
}

/// To be called before anything is read, written or waited for: no lock may be taken then. A panic may tell of itself.
#[track_caller]
pub fn assert_none() {
    assert_taken(|locked, held| (locked, held) == (0, 0));
}

/// To be called before a statement is run: what is held may be what runs it.
#[track_caller]
pub fn assert_none_but_held() {
    assert_taken(|locked, _| locked == 0);
}

#[track_caller]
fn assert_taken(may_be: impl FnOnce(u32, u32) -> bool) {
    if cfg!(debug_assertions) && !std::thread::panicking() {
        let (locked, held) = TAKEN.get();
        assert!(may_be(locked, held), "there are {locked} locks taken, and {held} things held");
    }
}

/// What is locked, until this is dropped.
pub struct Guard<'m, T> {
    // In this order they are dropped.
    value: MutexGuard<'m, T>,
    taken: Taken,
}

impl<T> Guard<'_, T> {
    /// Lets go of it until called, and now and then without a call.
    #[track_caller]
    pub fn wait(self, called: &Condvar) -> Self {
        self.wait_for(called, Duration::MAX)
    }

    /// As [`Self::wait`], but no longer than that.
    #[track_caller]
    pub fn wait_for(self, called: &Condvar, most: Duration) -> Self {
        assert_taken(|locked, held| (locked, held) == (1, 0));
        let Guard { value, taken } = self;
        let value = match trial::sooner(most) {
            Duration::MAX => called.wait(value).unwrap_or_else(PoisonError::into_inner),
            most => called.wait_timeout(value, most).unwrap_or_else(PoisonError::into_inner).0,
        };
        trial::pause();
        Guard { value, taken }
    }
}

impl<T> Deref for Guard<'_, T> {
    type Target = T;
    fn deref(&self) -> &T {
        &self.value
    }
}

impl<T> DerefMut for Guard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        &mut self.value
    }
}

/// Counts a lock until it is dropped.
struct Taken(Kind);

#[derive(Clone, Copy)]
enum Kind {
    Locked,
    Held,
}

impl Taken {
    #[track_caller]
    fn count(kind: Kind) -> Taken {
        assert_none_but_held();
        trial::pause();
        kind.change(|count| count + 1);
        Taken(kind)
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        self.0.change(|count| count - 1);
        trial::pause();
    }
}

impl Kind {
    fn change(self, change: impl FnOnce(u32) -> u32) {
        if cfg!(debug_assertions) {
            let (locked, held) = TAKEN.get();
            TAKEN.set(match self {
                Kind::Locked => (change(locked), held),
                Kind::Held => (locked, change(held)),
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::panic::catch_unwind;

    #[cfg(debug_assertions)]
    #[test]
    fn a_lock_is_taken_alone_and_let_go_before_anything_takes_time() {
        let (locked, held) = (Mutex::new(1), Mutex::new(2));
        let inside = |what: fn(&Mutex<i32>)| catch_unwind(|| what(&held)).is_err();
        let one = lock(&locked);
        assert!(inside(|_| assert_none()) && inside(|_| assert_none_but_held()));
        assert!(inside(|other| drop(lock(other))) && inside(|other| drop(hold(other))));
        drop(one);
        let one = hold(&locked);
        assert!(inside(|_| assert_none()) && !inside(|_| assert_none_but_held()));
        assert!(!inside(|other| drop(lock(other))) && inside(|other| drop(lock(other).wait(&Condvar::new()))));
        drop(one);
        assert!(!inside(|_| assert_none()));
        assert_eq!(TAKEN.get(), (0, 0));
    }
}
