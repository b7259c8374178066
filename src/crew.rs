//! The threads that serve. A fixed number has a turn each; one that has to wait for something gives its turn to another
//! and goes on without, so that waiting keeps nobody from being served, and there are only as many threads as have a turn or
//! wait.

use crate::lock::lock;
use crate::trial;
use std::cell::RefCell;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex};
use std::thread::Builder;
use std::time::{Duration, Instant};

/// What the stack of a thread that serves holds: the deepest request is bounded.
pub const STACK: usize = 1 << 20;
/// How long nothing is said of threads that are not to be had.
const SILENCE: Duration = Duration::from_secs(10);
/// How long a thread without a turn waits for one before it ends.
const REST: Duration = Duration::from_secs(2);

thread_local! {
    /// The crew whose turn this thread has.
    static TURN: RefCell<Option<Arc<Crew>>> = const { RefCell::new(None) };
}

/// Threads that do the same work, piece by piece.
pub struct Crew {
    work: Box<dyn Fn() + Send + Sync>,
    resting: Mutex<Resting>,
    called: Condvar,
    /// Is told, once in a while, that there are no more threads to be had.
    tell: fn(&io::Error),
    told: Mutex<Option<Instant>>,
}

/// Threads without a turn, and turns that are there for them.
#[derive(Default)]
struct Resting {
    threads: usize,
    turns: usize,
}

impl Crew {
    /// Starts so many threads, each of which does one piece of work after the other. Where there are no more to be had later
    /// on, that is told.
    ///
    /// # Errors
    /// There are not even these.
    pub fn start(turns: usize, tell: fn(&io::Error), work: impl Fn() + Send + Sync + 'static) -> io::Result<()> {
        let (work, resting) = (Box::new(work), Mutex::default());
        let crew = Crew { work, resting, called: Condvar::new(), tell, told: Mutex::default() };
        let crew = Arc::new(crew);
        (0..turns).try_for_each(|_| crew.join())
    }

    /// Starts a thread with a turn.
    fn join(self: &Arc<Crew>) -> io::Result<()> {
        let crew = self.clone();
        Builder::new().name("jqlite-server".into()).stack_size(STACK).spawn(move || crew.serve()).map(drop)
    }

    fn serve(self: Arc<Crew>) {
        loop {
            TURN.set(Some(self.clone()));
            while TURN.with_borrow(Option::is_some) {
                // The hook has logged a panic; what the thread was at is gone, and it goes on.
                let _ = catch_unwind(AssertUnwindSafe(|| (self.work)()));
            }
            if !self.rest() {
                return;
            }
        }
    }

    /// Waits for a turn; `false` where none comes.
    fn rest(&self) -> bool {
        let end = Instant::now() + trial::sooner(REST);
        let left = || end.saturating_duration_since(Instant::now());
        let mut resting = lock(&self.resting);
        resting.threads += 1;
        while resting.turns == 0 && !left().is_zero() {
            resting = resting.wait_for(&self.called, left());
        }
        resting.threads -= 1;
        let has_turn = resting.turns > 0;
        resting.turns -= usize::from(has_turn);
        has_turn
    }

    /// Gives a turn to a thread that rests, or to a new one; `false` where there is none to be had.
    fn pass(self: &Arc<Crew>) -> bool {
        let mut resting = lock(&self.resting);
        if resting.threads > resting.turns {
            resting.turns += 1;
            drop(resting);
            self.called.notify_one();
            return true;
        }
        drop(resting);
        !trial::fails("thread") && self.join().inspect_err(|error| self.tell(error)).is_ok()
    }

    fn tell(&self, error: &io::Error) {
        let mut told = lock(&self.told);
        if told.is_none_or(|told| told.elapsed() > SILENCE) {
            *told = Some(Instant::now());
            drop(told);
            (self.tell)(error);
        }
    }
}

/// To be called by whoever is about to wait for anything but the processor, or has been busy for long: another thread
/// takes the turn of this one, which goes on without. A thread that has no turn, or never had one, goes on as it is.
pub fn step_aside() {
    TURN.with(|turn| {
        let given = turn.take();
        if let Some(crew) = given.filter(|crew| !crew.pass()) {
            turn.replace(Some(crew)); // better late than never
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::mpsc::{Sender, channel};

    type Piece = Box<dyn FnOnce() + Send>;

    /// A crew, the way to hand pieces of work to it, and how many of its threads wait for one.
    fn started(turns: usize) -> (Sender<Piece>, Arc<AtomicUsize>) {
        let (give, take) = channel::<Piece>();
        let (take, waiting) = (Mutex::new(take), Arc::new(AtomicUsize::new(0)));
        let count = waiting.clone();
        let work = move || {
            count.fetch_add(1, Ordering::SeqCst);
            let piece = lock(&take).recv_timeout(Duration::from_secs(20));
            count.fetch_sub(1, Ordering::SeqCst);
            piece.map_or_else(|_| std::thread::sleep(REST), |piece| piece());
        };
        Crew::start(turns, |_| {}, work).unwrap();
        (give, waiting)
    }

    #[track_caller]
    fn eventually(what: impl Fn() -> bool) {
        let deadline = Instant::now() + Duration::from_secs(10);
        while !what() {
            assert!(Instant::now() < deadline, "it did not come about");
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    #[test]
    fn whoever_waits_keeps_nobody_from_working() {
        let (give, _) = started(1);
        let (done, seen) = channel();
        for _ in 0..20 {
            let (first, second) = (done.clone(), done.clone());
            let (wake, woken) = channel();
            give.send(Box::new(move || {
                step_aside();
                woken.recv().unwrap(); // until the one behind it was served
                first.send("waited").unwrap();
            }))
            .unwrap();
            give.send(Box::new(move || {
                second.send("served").unwrap();
                wake.send(()).unwrap();
            }))
            .unwrap();
            let next = || seen.recv_timeout(Duration::from_secs(10)).unwrap();
            assert_eq!((next(), next()), ("served", "waited"));
        }
    }

    #[test]
    fn there_are_as_many_turns_as_before_whatever_happened() {
        let (give, waiting) = started(3);
        eventually(|| waiting.load(Ordering::SeqCst) == 3);
        let done = Arc::new(AtomicUsize::new(0));
        for turn in 0..30 {
            let done = done.clone();
            give.send(Box::new(move || {
                done.fetch_add(1, Ordering::SeqCst);
                if turn % 3 == 0 {
                    step_aside();
                    step_aside();
                }
                assert!(turn % 5 != 0, "a panic ends no thread's turn");
            }))
            .unwrap();
        }
        eventually(|| done.load(Ordering::SeqCst) == 30);
        eventually(|| waiting.load(Ordering::SeqCst) == 3);
        std::thread::sleep(Duration::from_millis(300));
        assert_eq!(waiting.load(Ordering::SeqCst), 3);
    }
}
