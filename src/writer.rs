//! The one thread that writes. Writes of all requests come here and are committed in groups: each in a
//! savepoint of its own, one commit for all, and every caller is answered only after it. What rebuilds tables is
//! a group of its own. The usage log's entries ride along. Between two groups the whole database may be copied or put back.

mod tell;

use crate::crew::step_aside;
use crate::error::{Errors, Problem};
use crate::handoff::{Promise, promise};
use crate::idempotency;
use crate::lock::{assert_none, hold, lock, try_hold};
use crate::metrics::Metrics;
use crate::store::{Failure, Session};
use crate::trial;
use crate::usage::{self, Entry, Retention};
use crate::value::time::Moment;
use smol_str::SmolStr;
use std::collections::HashMap;
use std::net::IpAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Condvar, Mutex};
use std::thread::{Builder, JoinHandle};
use std::time::{Duration, Instant};
use tell::Told;

/// The way to the writer's thread, for any number of callers.
pub struct Writer {
    messages: SyncSender<Message>,
    /// Entries on their way to the log. They are fetched with the next group, or after a while, so that
    /// no request wakes the thread for its entry.
    log: Arc<Mutex<Vec<Entry>>>,
    /// Calls those who wait until entries were fetched.
    fetched: Arc<Condvar>,
    /// Whether the file took nothing the last time.
    is_stuck: Arc<AtomicBool>,
    metrics: Arc<Metrics>,
    /// Counts how often an earlier state was put back.
    era: Arc<AtomicU32>,
    /// How long a write may wait for its turn.
    patience: Duration,
    /// The thread's session, until the end; it holds it while it commits.
    session: Arc<Mutex<Option<Session>>>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

enum Message {
    Job(Box<dyn Job>),
    /// Work between two groups, once all before it is committed.
    Between(Entries, Box<dyn FnOnce() + Send>),
    /// Many entries wait.
    Log,
    Stop,
}

/// What becomes of the entries of the log that no commit has taken yet, before work between two groups.
#[derive(Clone, Copy, PartialEq)]
pub enum Entries {
    Written,
    /// They are of a state that is gone.
    Forgotten,
}

/// Messages that may wait; whoever sends one more is told to come again.
const QUEUE: usize = 4096;
/// Most writes of one commit.
const GROUP: usize = 256;
/// How long an entry of the log waits for a commit to ride on.
const LOG_DELAY: Duration = Duration::from_millis(200);
/// Entries that wait before the thread is woken for them.
const MANY_ENTRIES: usize = 2000;
/// Entries for which memory is held: what grows piece by piece, in whichever thread adds one, leaves holes behind in the
/// memory of each.
const ROOM: usize = 2 * MANY_ENTRIES;
/// Most entries of one commit.
const ENTRIES: usize = ROOM;
/// How often the last use of keys is written.
const USE_EVERY: Duration = Duration::from_secs(60);
/// How often old entries are looked for.
const PRUNE_EVERY: Duration = Duration::from_secs(1);
/// How long writes have the file to themselves between two steps of pruning.
const PRUNE_STEP: Duration = Duration::from_millis(25);
/// How long the end waits for a file that another process holds.
const STOP_TIMEOUT: Duration = Duration::from_secs(15);
/// Entries kept for a disk that takes none, and as many again on their way; beyond them they are lost.
const MOST_ENTRIES: usize = 100_000;
/// Entries on their way from which on whoever adds one waits a little: a flood of requests must not have the log lose
/// what others did.
const PRESSING: usize = MOST_ENTRIES / 2;
/// How long that is. The answer was sent before.
const PAUSE: Duration = Duration::from_millis(100);

impl Writer {
    /// Starts the thread. What `retention` does not keep of the log is pruned; a write that waited for its turn longer
    /// than `patience` is not begun. What it does is counted in `metrics`.
    pub fn start(
        session: Session,
        retention: Retention,
        patience: Duration,
        metrics: Arc<Metrics>,
    ) -> std::io::Result<Writer> {
        let (messages, receiver) = sync_channel(QUEUE);
        let (log, fetched) = (Arc::new(Mutex::new(Vec::with_capacity(ROOM))), Arc::new(Condvar::new()));
        let (is_stuck, era) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU32::new(0)));
        let session = Arc::new(Mutex::new(Some(session)));
        let mut turns = Turns {
            session: session.clone(),
            receiver,
            arriving: log.clone(),
            fetched: fetched.clone(),
            is_stuck: is_stuck.clone(),
            era: era.clone(),
            metrics: metrics.clone(),
            told: Told::default(),
            log: Vec::with_capacity(ROOM),
            used: Used::new(),
            use_written: Instant::now(),
            pruned: Instant::now(),
            next_prune: Instant::now() + PRUNE_EVERY,
            written: 0,
            retention,
            stopping: false,
        };
        let thread = Builder::new().name("jqlite-writer".into()).spawn(move || turns.run())?;
        let thread = Mutex::new(Some(thread));
        Ok(Writer { messages, log, fetched, is_stuck, metrics, era, patience, session, thread })
    }

    /// Has `work` done in a savepoint, and gives what came of it once it is committed. `work` may be run
    /// again where SQLite undid the group it was in.
    ///
    /// # Errors
    /// Those of `work`, and those of the commit.
    pub fn submit<T: Send + 'static>(
        &self,
        work: impl FnMut(&Session) -> Result<T, Errors> + Send + 'static,
    ) -> Result<T, Errors> {
        self.hand_over(work, false)
    }

    /// As [`Self::submit`], in a transaction with nothing else in it, in which references are not checked: see
    /// [`Session::unchecked`].
    pub fn submit_alone<T: Send + 'static>(
        &self,
        work: impl FnMut(&Session) -> Result<T, Errors> + Send + 'static,
    ) -> Result<T, Errors> {
        self.hand_over(work, true)
    }

    fn hand_over<T: Send + 'static>(
        &self,
        work: impl FnMut(&Session) -> Result<T, Errors> + Send + 'static,
        is_alone: bool,
    ) -> Result<T, Errors> {
        let (reply, answer) = promise();
        let job = Box::new(Task { work, outcome: None, reply, until: Instant::now() + self.patience, is_alone });
        self.metrics.queue.add(1);
        assert_none();
        trial::pause();
        // First the job, then the turn: the writer begins while another thread wakes up.
        match self.messages.try_send(Message::Job(job)) {
            Ok(()) => {}
            Err(refused) => {
                self.metrics.queue.take(1);
                let is_full = matches!(refused, TrySendError::Full(_));
                return Err(if is_full { Problem::Overloaded } else { Problem::ShuttingDown }.into());
            }
        }
        step_aside();
        // The thread drops a job unanswered only when it ends or panics.
        let (outcome, work) =
            answer.wait().ok_or_else(|| Problem::Fault { cause: "the writer dropped a job".into() })?;
        drop(work); // a plan is large, and the thread has those of others to carry out
        outcome
    }

    /// Has `work` done on the writer's thread while nothing is being written and no transaction is open.
    ///
    /// # Errors
    /// Those of `work`.
    pub fn between<T: Send + 'static>(
        &self,
        entries: Entries,
        work: impl FnOnce() -> Result<T, Errors> + Send + 'static,
    ) -> Result<T, Errors> {
        let (reply, answer) = promise();
        let work = Box::new(move || drop(reply.keep(work())));
        assert_none();
        step_aside();
        self.messages.send(Message::Between(entries, work)).map_err(|_| Problem::ShuttingDown)?;
        answer.wait().ok_or_else(|| Problem::Fault { cause: "the writer dropped a piece of work".into() })?
    }

    /// The era of the database: another one whenever an earlier state was put back.
    pub fn era(&self) -> u32 {
        self.era.load(Ordering::Relaxed)
    }

    /// A mark that is another one whenever anyone but this writer has changed the database; `None` while it
    /// cannot be told, because something is being committed. It never waits.
    pub fn foreign_mark(&self) -> Option<i64> {
        try_hold(&self.session)?.as_ref()?.data_version().ok()
    }

    /// Hands an entry to the log, and waits a little where more come than are written. Where the disk takes none, it does not
    /// wait; for long, and the entry is lost, and that is said.
    pub fn log(&self, entry: Entry) {
        if cfg!(without_log) {
            return; // a build that tells what the log costs; see bench/run
        }
        let mut log = lock(&self.log);
        if entry.era != self.era() {
            return; // what it tells of was undone
        }
        if log.len() >= MOST_ENTRIES {
            self.metrics.log_lost.add(1);
            return;
        }
        log.push(entry);
        let count = log.len();
        drop(log);
        if count == MANY_ENTRIES {
            let _ = self.messages.try_send(Message::Log); // a full queue wakes the thread as well
        }
        if count >= PRESSING && !self.is_stuck.load(Ordering::Relaxed) {
            step_aside();
            let log = lock(&self.log);
            if log.len() >= PRESSING {
                drop(log.wait_for(&self.fetched, PAUSE));
            }
        }
    }

    /// Entries of the log that are not written yet.
    pub fn log_backlog(&self) -> u64 {
        lock(&self.log).len() as u64 + self.metrics.log_held.get()
    }

    /// Writes all that waits, ends the thread, and closes its session, with all of it in the one file.
    pub fn stop(&self) {
        let thread = lock(&self.thread).take();
        assert_none();
        if let Some(thread) = thread {
            let _ = self.messages.send(Message::Stop);
            let _ = thread.join();
        }
        let session = hold(&self.session).take();
        if let Some(session) = session {
            session.close();
        }
    }
}

/// A piece of work, with the caller that waits for it.
trait Job: Send {
    /// Does the work within an open transaction and keeps what came of it.
    fn run(&mut self, session: &Session);
    /// Answers the caller, once it is known what became of the commit.
    fn settle(self: Box<Self>, committed: Result<(), Problem>);
    /// Whether its transaction is its own, and references are not checked in it.
    fn is_alone(&self) -> bool;
    /// Whether it is too late to begin.
    fn is_late(&self) -> bool;
}

struct Task<T, F> {
    work: F,
    outcome: Option<Result<T, Errors>>,
    reply: Promise<(Result<T, Errors>, F)>,
    /// When it is too late to begin: whoever waits has been promised an answer by then.
    until: Instant,
    is_alone: bool,
}

impl<T: Send, F: FnMut(&Session) -> Result<T, Errors> + Send> Job for Task<T, F> {
    fn run(&mut self, session: &Session) {
        if self.is_late() {
            self.outcome = Some(Err(Problem::Overloaded.into()));
            return;
        }
        session.start();
        let work = AssertUnwindSafe(|| session.savepoint(|| (self.work)(session)));
        // The hook has logged the panic; the savepoint was undone on the way.
        let panicked = |_| Err(Problem::Fault { cause: "the write panicked".into() }.into());
        self.outcome = Some(catch_unwind(work).unwrap_or_else(panicked));
    }

    fn settle(self: Box<Self>, committed: Result<(), Problem>) {
        let Task { work, outcome, reply, .. } = *self;
        let outcome = match (outcome, committed) {
            (Some(Err(errors)), _) => Err(errors),
            (_, Err(problem)) => Err(problem.into()),
            (Some(Ok(value)), Ok(())) => Ok(value),
            (None, Ok(())) => Err(Problem::Fault { cause: "a job was not run".into() }.into()),
        };
        let _ = reply.keep((outcome, work)); // whoever waits for it waits until it is there
    }

    fn is_alone(&self) -> bool {
        self.is_alone
    }

    fn is_late(&self) -> bool {
        Instant::now() > self.until
    }
}

/// Keys that were used: when, and from where.
type Used = HashMap<SmolStr, (Moment, Option<IpAddr>)>;

/// The thread's own state.
struct Turns {
    session: Arc<Mutex<Option<Session>>>,
    receiver: Receiver<Message>,
    arriving: Arc<Mutex<Vec<Entry>>>,
    fetched: Arc<Condvar>,
    is_stuck: Arc<AtomicBool>,
    era: Arc<AtomicU32>,
    metrics: Arc<Metrics>,
    told: Told,
    /// Entries that no commit has taken yet.
    log: Vec<Entry>,
    /// Keys used since that was last written.
    used: Used,
    use_written: Instant,
    /// When old entries were looked for last, and when they are again.
    pruned: Instant,
    next_prune: Instant,
    /// Entries written in between.
    written: usize,
    retention: Retention,
    stopping: bool,
}

impl Turns {
    fn run(&mut self) {
        while !self.stopping {
            self.outliving(Turns::turn);
        }
        self.write_out();
    }

    /// Does a piece of work, and undoes what it left open where it panics: `None` then. The callers whose jobs are gone are
    /// told so by their broken promises.
    fn outliving<T>(&mut self, work: impl FnOnce(&mut Turns) -> T) -> Option<T> {
        let done = catch_unwind(AssertUnwindSafe(|| work(self))).ok();
        if done.is_none()
            && let Some(session) = hold(&self.session).as_ref()
        {
            session.abandon();
        }
        done
    }

    /// Waits for work and commits what there is.
    fn turn(&mut self) {
        let mut jobs: Vec<Box<dyn Job>> = Vec::new();
        assert_none();
        let mut next = match self.receiver.recv_timeout(trial::sooner(self.wait())) {
            Ok(message) => Some(message),
            Err(RecvTimeoutError::Timeout) => None,
            Err(RecvTimeoutError::Disconnected) => {
                self.stopping = true;
                None
            }
        };
        let mut between = None;
        while let Some(message) = next {
            match message {
                Message::Job(job) => {
                    self.metrics.queue.take(1);
                    jobs.push(job);
                }
                Message::Between(entries, work) => between = Some((entries, work)),
                Message::Log => {}
                Message::Stop => self.stopping = true,
            }
            let is_full = jobs.len() >= GROUP || between.is_some();
            next = if is_full { None } else { self.receiver.try_recv().ok() };
        }
        trial::pause();
        self.fetch_log();
        let idle = jobs.is_empty() && self.log.is_empty() && !self.use_is_due();
        let mut writable = true;
        if !idle {
            for group in groups(jobs) {
                writable &= self.commit(group);
            }
            // Where not even these were taken the log would not be, and writes wait for the time that this takes.
            if writable && self.told.is_refused() && !self.log.is_empty() {
                writable = self.commit(Vec::new());
            }
        }
        if let Some((entries, work)) = between {
            while entries == Entries::Written && !self.log.is_empty() && self.commit(Vec::new()) {}
            self.between(entries, work);
        }
        self.is_stuck.store(self.told.is_refused(), Ordering::Relaxed);
        self.told.losing(self.metrics.log_lost.get());
        if writable && !self.stopping && Instant::now() >= self.next_prune {
            self.prune();
        }
    }

    fn between(&mut self, entries: Entries, work: Box<dyn FnOnce() + Send>) {
        let shared = self.session.clone();
        let _held = hold(&shared); // so that nobody takes what was known before for what is so now
        let arriving = self.arriving.clone();
        let mut arriving = lock(&arriving);
        if entries == Entries::Forgotten {
            self.era.fetch_add(1, Ordering::Relaxed);
            arriving.clear();
            self.log.clear();
            self.used.clear();
            self.metrics.log_held.set(0);
        }
        drop(arriving);
        work();
    }

    /// How long to wait for work before something else is due.
    fn wait(&self) -> Duration {
        if !self.log.is_empty() && !self.told.is_refused() {
            return Duration::ZERO; // the last commit left some
        }
        LOG_DELAY.min(self.next_prune.saturating_duration_since(Instant::now()))
    }

    fn fetch_log(&mut self) {
        if self.log.len() >= MOST_ENTRIES {
            return;
        }
        let arrived = self.log.len();
        let mut arriving = lock(&self.arriving);
        let were_many = arriving.len() >= PRESSING;
        // Whoever adds an entry must not wait for the others to be copied.
        if self.log.is_empty() {
            std::mem::swap(&mut self.log, &mut arriving);
        } else {
            self.log.append(&mut arriving);
        }
        self.metrics.log_held.set(self.log.len() as u64);
        drop(arriving);
        if were_many {
            self.fetched.notify_all();
        }
        for entry in &self.log[arrived..] {
            // A key that was not let in was not used.
            let (Some(key), true) = (&entry.key, entry.let_in) else { continue };
            self.used.insert(key.clone(), (entry.at, entry.remote_addr));
        }
    }

    /// Writes what is left of the log at the end, though another process may hold the file for a while.
    fn write_out(&mut self) {
        let deadline = Instant::now() + STOP_TIMEOUT;
        self.fetch_log();
        let write = |turns: &mut Turns| turns.commit(Vec::new());
        while self.has_more() && Instant::now() < deadline {
            if self.outliving(write) != Some(true) {
                if hold(&self.session).as_ref().is_none_or(|session| session.look_for_file().is_err()) {
                    break; // the file is not to be expected back
                }
                std::thread::sleep(LOG_DELAY / 4);
            }
            self.fetch_log();
        }
        self.told.ended(self.metrics.log_lost.get(), self.log.len() + lock(&self.arriving).len());
    }

    /// Runs and commits a group, and the log with it; `false` where the database takes nothing. Where SQLite
    /// undoes the whole transaction because of one job, that one is told, and the others are run again
    /// without it.
    fn commit(&mut self, mut jobs: Vec<Box<dyn Job>>) -> bool {
        // Whoever waited for others that waited for the file is told at once, and not when the file is free.
        if jobs.iter().any(|job| job.is_late()) {
            let (late, in_time) = jobs.into_iter().partition(|job| job.is_late());
            settle(late, Err(Problem::Overloaded));
            jobs = in_time;
            if jobs.is_empty() {
                return false;
            }
        }
        let shared = self.session.clone();
        let held = hold(&shared);
        let Some(session) = held.as_ref() else {
            settle(jobs, Err(Problem::ShuttingDown));
            return false;
        };
        let is_alone = jobs.first().is_some_and(|job| job.is_alone());
        let (unchecked, mut refused) = match is_alone.then(|| session.unchecked()).transpose() {
            Ok(unchecked) => (unchecked, None),
            Err(failure) => (None, Some(failure)),
        };
        while refused.is_none() {
            refused = session.begin().err();
            let culprit = jobs.iter_mut().take_while(|_| refused.is_none()).position(|job| {
                job.run(session);
                !session.in_transaction()
            });
            let Some(culprit) = culprit else { break };
            jobs.remove(culprit).settle(Err(Problem::Busy));
            if jobs.is_empty() {
                return true;
            }
        }
        if let Some(failure) = refused {
            drop(unchecked);
            drop(held);
            return self.refuse(jobs, failure);
        }
        trial::panics("group");
        session.unlimited();
        // Where the last commit failed the log goes by itself, so that no write is refused on its account.
        let only_jobs = self.told.is_refused() && !jobs.is_empty();
        let entries = if only_jobs { 0 } else { self.log.len().min(ENTRIES) };
        let used = if only_jobs { Used::new() } else { self.use_to_write() };
        let logged = self.write_log(session, entries, &used);
        let committed = if session.in_transaction() { session.commit() } else { Err(disk_full(&logged)) };
        drop(unchecked);
        drop(held);
        let done = logged.is_ok() && committed.is_ok();
        if done {
            self.written += entries;
            self.log.drain(..entries);
            self.log.shrink_to(ROOM); // the memory is for those to come
            if !only_jobs {
                self.told.taken(self.log.len(), self.metrics.log_lost.get());
            }
        } else {
            // The entries wait for the next commit.
            for failure in [logged.as_ref().err(), committed.as_ref().err()].into_iter().flatten() {
                self.told.refused(failure, self.log.len());
            }
            for (key, last) in used {
                self.used.entry(key).or_insert(last);
            }
        }
        self.metrics.log_held.set(self.log.len() as u64);
        if committed.is_ok() && !jobs.is_empty() {
            self.metrics.group.observe(jobs.len() as u64);
        }
        settle(jobs, committed.map_err(Problem::from));
        done
    }

    /// Tells all of a group that the database takes nothing.
    fn refuse(&mut self, jobs: Vec<Box<dyn Job>>, failure: Failure) -> bool {
        self.told.refused(&failure, self.log.len());
        settle(jobs, Err(Problem::from(failure)));
        false
    }

    /// Writes so many entries of the log and the last uses of keys, or nothing. A panic of it, which the hook has logged, ends
    /// nobody's write.
    fn write_log(&self, session: &Session, entries: usize, used: &Used) -> Result<(), Failure> {
        let work = || {
            for (key, (at, address)) in used {
                usage::note_use(session, key, at, *address)?;
            }
            usage::insert(session, &self.log[..entries])?;
            trial::panics("log");
            Ok(())
        };
        let panicked = |_| Err(Failure::Other(Problem::Fault { cause: "writing the usage log panicked".into() }));
        catch_unwind(AssertUnwindSafe(|| session.savepoint(work))).unwrap_or_else(panicked)
    }

    /// Whether anything waits to be written at the end.
    fn has_more(&self) -> bool {
        !self.log.is_empty() || !self.used.is_empty()
    }

    fn use_is_due(&self) -> bool {
        !self.used.is_empty() && (self.stopping || self.use_written.elapsed() >= USE_EVERY)
    }

    /// The last use of each key, once a minute and at the end.
    fn use_to_write(&mut self) -> Used {
        if !self.use_is_due() {
            return Used::new();
        }
        self.use_written = Instant::now();
        std::mem::take(&mut self.used)
    }

    /// A step of pruning; the next follows soon where this one was not the last. It takes away more than come in the
    /// time of a step, so that it is never behind for good. Nobody waits for the disk here: entries that are back after
    /// a loss of power are pruned again.
    fn prune(&mut self) {
        let came = std::mem::take(&mut self.written) as u128;
        let in_a_step = came * PRUNE_STEP.as_micros() / self.pruned.elapsed().max(PRUNE_STEP).as_micros();
        let most = usage::PRUNED_AT_ONCE + usize::try_from(in_a_step).unwrap_or(usize::MAX / 2);
        self.pruned = Instant::now();
        self.next_prune = self.pruned + PRUNE_EVERY;
        let held = hold(&self.session);
        let Some(session) = held.as_ref() else { return };
        let grown = session.log_bytes();
        session.unlimited();
        let more = session.writing_lazily(|| {
            let answers = idempotency::prune(session)? >= idempotency::PRUNED_AT_ONCE;
            let entries = usage::prune(session, &self.retention, most)?;
            trial::panics("prune");
            Ok::<bool, Failure>(entries || answers)
        });
        drop(held);
        self.told.grown(grown);
        match more {
            Ok(true) => self.next_prune = self.pruned + PRUNE_STEP,
            Ok(false) => {}
            Err(failure) => self.told.refused(&failure, self.log.len()),
        }
    }
}

/// Jobs in their order, each that is alone in a group of its own. None at all are one group: the log may wait.
fn groups(jobs: Vec<Box<dyn Job>>) -> Vec<Vec<Box<dyn Job>>> {
    let mut groups: Vec<Vec<Box<dyn Job>>> = vec![Vec::new()];
    for job in jobs {
        match groups.last_mut() {
            Some(group) if group.first().is_none_or(|first| !first.is_alone() && !job.is_alone()) => group.push(job),
            _ => groups.push(vec![job]),
        }
    }
    groups
}

fn settle(jobs: Vec<Box<dyn Job>>, committed: Result<(), Problem>) {
    for job in jobs {
        trial::pause();
        job.settle(committed.clone());
    }
}

/// Why a transaction is gone after the log was written.
fn disk_full(logged: &Result<(), Failure>) -> Failure {
    match logged {
        Err(Failure::Other(problem)) => Failure::Other(problem.clone()),
        _ => Failure::Other(Problem::DiskFull),
    }
}
