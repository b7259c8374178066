//! The one thread that writes. Writes of all requests come here and are committed in groups: each in a
//! savepoint of its own, one commit for all, and every caller is answered only after it. The usage log's
//! entries ride along.

use crate::error::{Errors, Problem};
use crate::handoff::{Promise, lock, promise};
use crate::store::{Failure, Session};
use crate::usage::{self, Entry};
use crate::value::time;
use jiff::SignedDuration;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, Mutex};
use std::thread::{Builder, JoinHandle};
use std::time::{Duration, Instant};

/// The way to the writer's thread, for any number of callers.
pub struct Writer {
    messages: SyncSender<Message>,
    /// Entries on their way to the log. They are fetched with the next group, or after a while, so that
    /// no request wakes the thread for its entry.
    log: Arc<Mutex<Vec<Entry>>>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

enum Message {
    Job(Box<dyn Job>),
    /// Many entries wait.
    Log,
    Stop,
}

/// Messages that may wait; whoever sends one more waits too.
const QUEUE: usize = 4096;
/// Most writes of one commit.
const GROUP: usize = 256;
/// How long an entry of the log waits for a commit to ride on.
const LOG_DELAY: Duration = Duration::from_millis(200);
/// Entries that wait before the thread is woken for them.
const MANY_ENTRIES: usize = 1000;
/// How often old entries are looked for.
const PRUNE_EVERY: Duration = Duration::from_secs(1);
/// How long the end waits for a file that another process holds.
const STOP_TIMEOUT: Duration = Duration::from_secs(15);
/// Entries kept for a disk that takes none; beyond them the oldest are lost, and said to be.
const MOST_ENTRIES: usize = 100_000;

impl Writer {
    /// Starts the thread. Entries of the log older than `retention` are pruned.
    pub fn start(session: Session, retention: SignedDuration) -> std::io::Result<Writer> {
        let (messages, receiver) = sync_channel(QUEUE);
        let log = Arc::new(Mutex::new(Vec::new()));
        let mut turns =
            Turns { session, receiver, arriving: log.clone(), log: Vec::new(), pruned: Instant::now(), retention };
        let thread = Builder::new().name("jqlite-writer".into()).spawn(move || turns.run())?;
        Ok(Writer { messages, log, thread: Mutex::new(Some(thread)) })
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
        let (reply, answer) = promise();
        let job = Box::new(Task { work, outcome: None, reply });
        self.messages.send(Message::Job(job)).map_err(|_| Problem::ShuttingDown)?;
        // The thread drops a job unanswered only when it ends or panics.
        answer.wait().ok_or_else(|| Problem::Fault { cause: "the writer dropped a job".into() })?
    }

    /// Hands an entry to the log. Waits where too many are waiting, and is lost only after [`Self::stop`].
    pub fn log(&self, entry: Entry) {
        let mut log = lock(&self.log);
        log.push(entry);
        let many = log.len() >= MANY_ENTRIES;
        drop(log);
        if many {
            let _ = self.messages.send(Message::Log);
        }
    }

    /// Writes all that waits, and ends the thread.
    pub fn stop(&self) {
        let thread = lock(&self.thread).take();
        if let Some(thread) = thread {
            let _ = self.messages.send(Message::Stop);
            let _ = thread.join();
        }
    }
}

/// A piece of work, with the caller that waits for it.
trait Job: Send {
    /// Does the work within an open transaction and keeps what came of it.
    fn run(&mut self, session: &Session);
    /// Answers the caller, once it is known what became of the commit.
    fn settle(self: Box<Self>, committed: Result<(), Problem>);
}

struct Task<T, F> {
    work: F,
    outcome: Option<Result<T, Errors>>,
    reply: Promise<Result<T, Errors>>,
}

impl<T: Send, F: FnMut(&Session) -> Result<T, Errors> + Send> Job for Task<T, F> {
    fn run(&mut self, session: &Session) {
        session.start();
        let work = AssertUnwindSafe(|| session.savepoint(|| (self.work)(session)));
        // The hook has logged the panic; the savepoint was undone on the way.
        let panicked = |_| Err(Problem::Fault { cause: "the write panicked".into() }.into());
        self.outcome = Some(catch_unwind(work).unwrap_or_else(panicked));
    }

    fn settle(self: Box<Self>, committed: Result<(), Problem>) {
        let outcome = match (self.outcome, committed) {
            (Some(Err(errors)), _) => Err(errors),
            (_, Err(problem)) => Err(problem.into()),
            (Some(Ok(value)), Ok(())) => Ok(value),
            (None, Ok(())) => Err(Problem::Fault { cause: "a job was not run".into() }.into()),
        };
        self.reply.keep(outcome);
    }
}

/// The thread's own state.
struct Turns {
    session: Session,
    receiver: Receiver<Message>,
    arriving: Arc<Mutex<Vec<Entry>>>,
    /// Entries that no commit has taken yet.
    log: Vec<Entry>,
    pruned: Instant,
    retention: SignedDuration,
}

impl Turns {
    fn run(&mut self) {
        let mut stopping = false;
        while !stopping {
            // What a panic leaves: an undone transaction, and callers whose job is gone and who are told so.
            let turn = AssertUnwindSafe(|| self.turn());
            stopping = catch_unwind(turn).unwrap_or(false);
        }
    }

    /// Waits for work and commits what there is. `true` when it is time to end.
    fn turn(&mut self) -> bool {
        let mut jobs: Vec<Box<dyn Job>> = Vec::new();
        let mut stopping = false;
        let mut next = match self.receiver.recv_timeout(LOG_DELAY) {
            Ok(message) => Some(message),
            Err(RecvTimeoutError::Timeout) => None,
            Err(RecvTimeoutError::Disconnected) => return true,
        };
        while let Some(message) = next {
            match message {
                Message::Job(job) => jobs.push(job),
                Message::Log => {}
                Message::Stop => stopping = true,
            }
            next = if jobs.len() < GROUP { self.receiver.try_recv().ok() } else { None };
        }
        self.log.append(&mut lock(&self.arriving));
        if !jobs.is_empty() || !self.log.is_empty() {
            self.commit(jobs);
        }
        if stopping {
            self.write_out();
        } else if self.pruned.elapsed() >= PRUNE_EVERY {
            self.prune();
        }
        stopping
    }

    /// Writes what is left of the log at the end, though another process may hold the file for a while.
    fn write_out(&mut self) {
        let deadline = Instant::now() + STOP_TIMEOUT;
        while !self.log.is_empty() && Instant::now() < deadline {
            std::thread::sleep(LOG_DELAY / 4);
            self.commit(Vec::new());
        }
        if !self.log.is_empty() {
            eprintln!(
                "{} the usage log lost {} entries: the database could not be written",
                time::now(),
                self.log.len()
            );
        }
    }

    /// Runs and commits a group. Where SQLite undoes the whole transaction because of one job, that one is
    /// told, and the others are run again without it.
    fn commit(&mut self, mut jobs: Vec<Box<dyn Job>>) {
        loop {
            if let Err(failure) = self.session.begin() {
                let problem = Problem::from(failure);
                return settle(jobs, Err(problem));
            }
            let culprit = jobs.iter_mut().position(|job| {
                job.run(&self.session);
                !self.session.in_transaction()
            });
            let Some(culprit) = culprit else { break };
            jobs.remove(culprit).settle(Err(Problem::Fault { cause: "SQLite undid the group".into() }));
            if jobs.is_empty() {
                return;
            }
        }
        self.session.unlimited();
        let log = std::mem::take(&mut self.log);
        let logged = self.session.savepoint(|| usage::insert(&self.session, &log));
        let committed = if self.session.in_transaction() { self.session.commit() } else { Err(disk_full(&logged)) };
        match (&logged, &committed) {
            (Ok(()), Ok(())) => {}
            (Err(failure), _) | (_, Err(failure)) => self.keep(log, failure),
        }
        settle(jobs, committed.map_err(Problem::from));
    }

    /// Keeps entries that could not be written, for the next commit.
    fn keep(&mut self, entries: Vec<Entry>, failure: &Failure) {
        self.log = entries;
        if self.log.len() > MOST_ENTRIES {
            let lost = self.log.len() - MOST_ENTRIES;
            self.log.drain(..lost);
            eprintln!("{} the usage log lost {lost} entries: {failure}", time::now());
        }
    }

    /// A step of pruning.
    fn prune(&mut self) {
        self.pruned = Instant::now();
        let Ok(before) = time::from_now(-self.retention) else { return };
        self.session.unlimited();
        if let Err(failure) = self.session.writing(|| usage::prune(&self.session, &before)) {
            eprintln!("{} cannot prune the usage log: {failure}", time::now());
        }
    }
}

fn settle(jobs: Vec<Box<dyn Job>>, committed: Result<(), Problem>) {
    for job in jobs {
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
