//! Memory that many requests take from together, and that has an end: bodies on their way in, answers on their way out.
//! A little of each is free, so that those who hold much keep nobody from sending and asking for little.

use crate::error::Problem;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Bytes of each body and each answer that are not counted: there are no more of them than connections.
pub const FREE: usize = 64 << 10;

/// So many bytes for all together.
#[derive(Debug)]
pub struct Budget {
    most: usize,
    taken: AtomicUsize,
}

impl Budget {
    pub fn new(most: usize) -> Arc<Budget> {
        Arc::new(Budget { most, taken: AtomicUsize::new(0) })
    }

    /// A share with nothing in it yet.
    pub fn share(self: &Arc<Budget>) -> Share {
        Share { budget: self.clone(), taken: 0 }
    }
}

/// What one body or answer takes, until it is dropped.
#[derive(Debug)]
pub struct Share {
    budget: Arc<Budget>,
    taken: usize,
}

impl Share {
    /// Has it cover so many bytes in all.
    ///
    /// # Errors
    /// There are not so many left.
    pub fn cover(&mut self, bytes: usize) -> Result<(), Problem> {
        let more = bytes.saturating_sub(FREE).saturating_sub(self.taken);
        if more == 0 {
            return Ok(());
        }
        let with_more = |taken: usize| taken.checked_add(more).filter(|taken| *taken <= self.budget.most);
        let fits = self.budget.taken.fetch_update(Ordering::Relaxed, Ordering::Relaxed, with_more);
        fits.map_err(|_| Problem::Overloaded)?;
        self.taken += more;
        Ok(())
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.budget.taken.fetch_sub(self.taken, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn much_is_counted_and_a_little_always_fits() {
        let budget = Budget::new(1000);
        let (mut first, mut second) = (budget.share(), budget.share());
        assert_eq!(first.cover(FREE + 600), Ok(()));
        assert_eq!(second.cover(FREE + 401), Err(Problem::Overloaded));
        assert_eq!(second.cover(FREE), Ok(()));
        assert_eq!(second.cover(FREE + 400), Ok(()));
        assert_eq!(first.cover(FREE + 600), Ok(()), "it is covered already");
        assert_eq!(first.cover(FREE + 601), Err(Problem::Overloaded));
        drop(first);
        assert_eq!(second.cover(FREE + 1000), Ok(()));
        drop(second);
        assert_eq!(budget.taken.load(Ordering::Relaxed), 0);
    }
}
