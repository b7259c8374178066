//! The server: listening, connections and whose turn it is, and an orderly stop.
//!
//! A connection that says nothing waits among the idle ones. A thread that has a turn takes the next one that speaks, reads
//! its request, answers it, and has it wait again; no request is handed from thread to thread but those that write.
//! Whoever has to wait within a request steps aside, so that there are never fewer threads at work than there should be.

#[cfg(target_os = "linux")]
mod idle;

use crate::auth::text;
use crate::budget::Budget;
use crate::call::Call;
use crate::config;
use crate::crew::{Crew, STACK};
use crate::envelope::{self, Echo, Reply};
use crate::error::{Errors, Problem};
use crate::handle::{self, App};
use crate::http::{Bounds, Connection, Head, Headers, Incoming};
use crate::log::{self, Level};
use crate::network::{self, Networks};
use crate::random::{self, For};
use crate::trial;
use smol_str::SmolStr;
use socket2::{Domain, Protocol, SockRef, Socket, Type};
use std::fmt::Write;
use std::io;
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::thread::Builder;
use std::time::{Duration, Instant};

/// What the command line decides.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The largest body, in bytes.
    pub max_body: usize,
    /// A connection that says nothing for so long is cut; so is one that does not take its answer.
    pub idle_timeout: Duration,
    /// The most connections at one time.
    pub max_connections: usize,
    /// Proxies that are believed when they say who the client is.
    pub proxies: Networks,
}

/// How long an orderly stop waits for requests in flight.
const STOP_TIMEOUT: Duration = Duration::from_secs(20);
/// How long nothing must be in flight before it ends.
const QUIET: Duration = Duration::from_millis(50);
/// How long a client may send one request behind the other before it has to wait for its turn again.
const LONG: Duration = Duration::from_millis(1);
/// How long a connection too many may take for its request: it stands in the way of others that want to be told.
const HURRY: Duration = Duration::from_secs(2);
/// Connections too many that are told so at one time.
const MOST_TOLD: usize = 64;
/// How long accepting rests when there are no descriptors or threads.
const REST: Duration = Duration::from_millis(50);

/// A socket that listens.
///
/// # Errors
/// The address is taken or not ours.
pub fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    #[cfg(unix)]
    socket.set_reuse_address(true)?; // a restart need not wait for old connections to be forgotten
    socket.bind(&address.into())?;
    socket.listen(1024)?;
    Ok(socket.into())
}

/// Serves until a signal asks to stop, then answers what is in flight and writes out the log.
/// `ready` is called once requests are accepted.
///
/// # Errors
/// Threads or signal handlers that cannot be had, or what `ready` says.
pub fn run(
    app: Arc<App>,
    listener: TcpListener,
    settings: &Settings,
    ready: impl FnOnce() -> Result<(), String>,
) -> io::Result<()> {
    let limit = rlimit::Resource::NOFILE;
    let _ = limit.get().and_then(|(_, hard)| limit.set(hard, hard)); // without the rise there are fewer connections
    let bounds =
        Bounds { max_body: settings.max_body, idle: settings.idle_timeout, bodies: Budget::new(config::BODIES) };
    let state = Arc::new(State {
        app,
        hurried: Arc::new(Bounds { idle: settings.idle_timeout.min(HURRY), ..bounds.clone() }),
        bounds: Arc::new(bounds),
        max_connections: settings.max_connections,
        proxies: settings.proxies.clone(),
        in_flight: AtomicUsize::new(0),
        begun: AtomicU64::new(0),
        boot: request_id_prefix(),
        #[cfg(target_os = "linux")]
        idle: idle::Idle::new()?,
    });
    start(&state)?;
    let mut signals = signal_hook::iterator::Signals::new([signal_hook::consts::SIGTERM, signal_hook::consts::SIGINT])?;
    let (stopping, waker) = (state.clone(), listener.try_clone()?);
    Builder::new().name("jqlite-signals".into()).spawn(move || {
        signals.forever().next();
        stopping.app.stopping.store(true, Ordering::SeqCst);
        // Ends the accepting; connections go on. Where the first is not enough, a connection wakes it.
        let _ = SockRef::from(&waker).shutdown(Shutdown::Both);
        let _ = waker.local_addr().and_then(|address| TcpStream::connect_timeout(&address, REST));
        signals.forever().next();
        std::process::exit(1); // a second signal stops at once
    })?;
    ready().map_err(io::Error::other)?;
    accept(&state, &listener);
    state.wait_until_quiet();
    // The last to close the file brings all into it, and takes the log beside it away.
    state.app.store.close_readers();
    state.app.writer.stop();
    if trial::fails("end") {
        std::thread::sleep(10 * QUIET);
    }
    Ok(())
}

struct State {
    app: Arc<App>,
    bounds: Arc<Bounds>,
    /// Those of a connection too many.
    hurried: Arc<Bounds>,
    max_connections: usize,
    proxies: Networks,
    /// Requests of which anything was read, and that are not answered yet.
    in_flight: AtomicUsize,
    /// Requests read since the start.
    begun: AtomicU64,
    /// Tells the requests of this run from those of others.
    boot: String,
    #[cfg(target_os = "linux")]
    idle: idle::Idle<Guest>,
}

/// A connection, counted for as long as it is there.
struct Guest {
    connection: Connection,
    _count: Counted,
}

/// Takes connections until the server stops.
fn accept(state: &Arc<State>, listener: &TcpListener) {
    let mut complained = false;
    while !state.app.stopping.load(Ordering::SeqCst) {
        match listener.accept() {
            Ok((stream, remote)) => {
                complained = false;
                // The hook has logged a panic, which ends the connection.
                let _ = catch_unwind(AssertUnwindSafe(|| welcome(state, stream, remote)));
            }
            Err(_) if state.app.stopping.load(Ordering::SeqCst) => {}
            Err(error) if matches!(error.kind(), io::ErrorKind::ConnectionAborted | io::ErrorKind::Interrupted) => {}
            Err(error) => {
                // Out of descriptors, most likely: connections that end give some back.
                if !complained {
                    log::line(Level::Warning, format_args!("cannot accept connections: {error}"));
                }
                complained = true;
                std::thread::sleep(REST);
            }
        }
    }
}

/// Has a new connection wait for its first request, or says that there are too many.
fn welcome(state: &Arc<State>, stream: TcpStream, remote: SocketAddr) {
    let count = Counted::new(state);
    trial::panics("welcome");
    let fits = count.number <= state.max_connections;
    if count.number > state.max_connections + MOST_TOLD {
        return; // not even that can be said any more
    }
    let bounds = if fits { &state.bounds } else { &state.hurried };
    let Ok(connection) = Connection::new(stream, remote, bounds.clone()) else { return };
    let guest = Guest { connection, _count: count };
    let state = state.clone();
    if fits {
        wait(&state, guest, true);
    } else {
        spawn(move || turn_away(&state, guest));
    }
}

/// Has a connection wait for its next request.
#[cfg(target_os = "linux")]
fn wait(state: &Arc<State>, guest: Guest, is_new: bool) {
    if let Err(guest) = state.idle.wait(guest, is_new) {
        stay(state, guest);
    }
}

#[cfg(not(target_os = "linux"))]
fn wait(state: &Arc<State>, guest: Guest, _is_new: bool) {
    stay(state, guest);
}

/// Gives a connection a thread of its own, until it is over.
fn stay(state: &Arc<State>, guest: Guest) {
    let state = state.clone();
    spawn(move || {
        let mut guest = guest; // all of it, not its connection alone: it counts for as long as this takes
        while converse(&state, &mut guest.connection) {}
    });
}

/// Starts the threads that serve, and one that cuts those who say nothing for too long.
#[cfg(target_os = "linux")]
fn start(state: &Arc<State>) -> io::Result<()> {
    let serving = state.clone();
    Crew::start(config::turns(), tell_of_threads, move || {
        let mut guest = serving.idle.next();
        if converse(&serving, &mut guest.connection) {
            wait(&serving, guest, false);
        }
    })?;
    let state = state.clone();
    let patience = state.bounds.idle;
    let cut = move || {
        loop {
            std::thread::sleep((patience / 4).clamp(Duration::from_millis(10), Duration::from_secs(1)));
            let cut = || {
                drop(state.idle.overdue(patience));
                trial::panics("cut");
            };
            let _ = catch_unwind(AssertUnwindSafe(cut)); // there is another time
        }
    };
    Builder::new().name("jqlite-idle".into()).stack_size(STACK).spawn(cut).map(drop)
}

#[cfg(target_os = "linux")]
fn tell_of_threads(error: &io::Error) {
    let so = "those there are go on, and requests may wait for one another";
    log::line(Level::Warning, format_args!("no more threads are to be had: {error}; {so}"));
}

#[cfg(not(target_os = "linux"))]
fn start(_: &Arc<State>) -> io::Result<()> {
    Ok(())
}

/// Starts a thread for one connection; where there is none to be had, the connection ends.
fn spawn(talk: impl FnOnce() + Send + 'static) {
    if Builder::new().name("jqlite-connection".into()).stack_size(STACK).spawn(talk).is_err() {
        std::thread::sleep(REST); // the connection was closed with the closure
    }
}

/// Counts a connection for as long as it is there.
struct Counted {
    state: Arc<State>,
    number: usize,
}

#[cfg(target_os = "linux")]
impl idle::Waits for Guest {
    fn descriptor(&self) -> Arc<TcpStream> {
        self.connection.stream()
    }

    fn speaks(&self) -> bool {
        self.connection.speaks() || (self.has_more() && self.connection.takes())
    }

    fn has_more(&self) -> bool {
        !self.connection.is_idle()
    }
}

impl Counted {
    fn new(state: &Arc<State>) -> Counted {
        Counted { state: state.clone(), number: state.app.connections.fetch_add(1, Ordering::SeqCst) + 1 }
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.state.app.connections.fetch_sub(1, Ordering::SeqCst);
    }
}

/// Answers the first request of a connection too many, and ends it.
fn turn_away(state: &State, mut guest: Guest) {
    let connection = &mut guest.connection;
    if let Some((incoming, _busy)) = connection.next(|| Busy::new(state)) {
        let call = state.call(&incoming, state.number(), connection.remote);
        let reply = envelope::failure(&[Problem::Overloaded.into()], &Echo::default());
        let _ = connection.answer(&incoming.head, reply.status, &reply.body, true, headers(state, &call, &reply));
        connection.end();
    }
}

/// Reads requests and answers them, one after the other, until no more is there or it is the turn of others; `false` where
/// the connection is over. A panic ends it, with an answer where one is due.
fn converse(state: &State, connection: &mut Connection) -> bool {
    let mut owes = false;
    let goes_on = catch_unwind(AssertUnwindSafe(|| talk(state, connection, &mut owes)));
    if goes_on.is_err() && owes {
        apologise(state, connection);
    }
    goes_on.unwrap_or(false)
}

/// The last answer of a connection whose request nobody knows any more.
fn apologise(state: &State, connection: &mut Connection) {
    let id = state.own_request_id(state.number());
    let problem = Problem::Fault { cause: "the connection panicked; the line above has where".into() };
    let errors = Errors::from(problem);
    log::faults(&errors, &id);
    let reply = envelope::failure(&errors, &Echo::default());
    let headers = |headers: &mut Headers<'_>| {
        headers.add("Content-Type", reply.media);
        headers.add("X-Request-Id", &id);
    };
    let _ = connection.answer(&Head::default(), reply.status, &reply.body, true, headers);
    connection.end();
}

/// `owes` tells whether an answer is what the client gets next.
fn talk(state: &State, connection: &mut Connection, owes: &mut bool) -> bool {
    let began = Instant::now();
    loop {
        *owes = true;
        let Some((incoming, busy)) = connection.next(|| Busy::new(state)) else { return false };
        trial::panics("talk");
        let call = state.call(&incoming, state.number(), connection.remote);
        let (reply, entry) = handle::answer(&state.app, &call);
        let last = incoming.last || state.app.stopping.load(Ordering::SeqCst);
        *owes = false;
        let sent = connection.answer(&incoming.head, reply.status, &reply.body, last, headers(state, &call, &reply));
        if let Some(entry) = entry {
            state.app.writer.log(entry);
        }
        drop(busy);
        if sent.is_err() {
            return false; // the client is gone, or takes nothing
        }
        if last {
            connection.end();
            return false;
        }
        if connection.is_idle() || began.elapsed() > trial::sooner(LONG) {
            return true; // what it says may have no end
        }
    }
}

/// What is added to the requests in flight where no more are taken up.
const CLOSED: usize = 1 << (usize::BITS - 1);

/// Counts a request for as long as it is in flight.
struct Busy<'s> {
    state: &'s State,
}

impl Busy<'_> {
    /// `None` where no more are taken up: its entry would not be in the log.
    fn new(state: &State) -> Option<Busy<'_>> {
        let before = state.in_flight.fetch_add(1, Ordering::SeqCst);
        let busy = Busy { state };
        (before < CLOSED).then_some(busy)
    }
}

impl Drop for Busy<'_> {
    fn drop(&mut self) {
        self.state.in_flight.fetch_sub(1, Ordering::SeqCst);
    }
}

impl State {
    /// The number of a request that was read.
    fn number(&self) -> u64 {
        self.begun.fetch_add(1, Ordering::SeqCst)
    }

    /// Has no more requests taken up, unless one is in flight.
    fn ends(&self) -> bool {
        self.in_flight.compare_exchange(0, CLOSED, Ordering::SeqCst, Ordering::SeqCst).is_ok()
    }

    /// Waits until no request has been in flight for a moment, and none can be any more.
    fn wait_until_quiet(&self) {
        let deadline = Instant::now() + STOP_TIMEOUT;
        let (mut begun, mut since) = (self.begun.load(Ordering::SeqCst), Instant::now());
        while Instant::now() < deadline {
            let now = self.begun.load(Ordering::SeqCst);
            if now != begun || self.in_flight.load(Ordering::SeqCst) > 0 {
                (begun, since) = (now, Instant::now());
            } else if since.elapsed() > QUIET && self.ends() {
                return;
            }
            std::thread::sleep(QUIET / 5);
        }
        self.in_flight.fetch_or(CLOSED, Ordering::SeqCst);
    }

    /// What there is to know of a request, the one of this number.
    fn call<'r>(&self, incoming: &'r Incoming, number: u64, remote: SocketAddr) -> Call<'r> {
        let head = &incoming.head;
        let path = head.target().split('?').next().unwrap_or_default();
        let forwarded: Vec<&str> =
            head.all("x-forwarded-for").map(|line| std::str::from_utf8(line).unwrap_or_default()).collect();
        let (body, broken) = match &incoming.body {
            Ok(body) => (body.bytes.as_slice(), None),
            Err(problem) => (&[][..], Some(problem.clone())),
        };
        // One that stands there twice, or is no text, is refused where it matters, as an empty one is.
        let present = |name| head.all(name).next().map(|_| head.one(name).unwrap_or_default());
        Call {
            method: head.method(),
            path,
            broken: broken.or_else(|| text::holds_key(head.target()).then_some(Problem::KeyInUrl)),
            has_key: head.all("authorization").next().is_some(),
            key: head.one("authorization").and_then(text::bearer),
            content_type: head.one("content-type"),
            idempotency_key: present("idempotency-key"),
            if_none_match: head.one("if-none-match"),
            origin: present("origin"),
            host: head.one("host"),
            body,
            request_id: self.request_id(head, number),
            remote: network::client(remote.ip(), &forwarded, &self.proxies),
            started: incoming.started,
        }
    }

    /// The client's own id, where it is a sane one, else one of ours.
    fn request_id(&self, head: &Head, number: u64) -> SmolStr {
        let sane = |id: &&str| {
            let plain = id.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.:".contains(&byte));
            plain && (1..=128).contains(&id.len()) && !text::holds_key(id)
        };
        head.one("x-request-id").filter(sane).map_or_else(|| self.own_request_id(number), SmolStr::from)
    }

    fn own_request_id(&self, number: u64) -> SmolStr {
        // The ids of a seed begin again where a server for tests goes back to its seed.
        let number = random::drawn_from_seed(For::Requests, &mut []).unwrap_or(number);
        let mut id = String::with_capacity(32);
        let _ = write!(id, "{}-{number:x}", self.boot); // a String takes everything
        id.into()
    }
}

fn request_id_prefix() -> String {
    let mut bytes = [0; 4];
    let _ = random::fill(For::Start, &mut bytes); // zeros would do as well
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// What adds the headers of an answer.
fn headers<'r>(state: &'r State, call: &'r Call<'_>, reply: &'r Reply) -> impl FnOnce(&mut Headers<'_>) + 'r {
    move |headers| {
        headers.add("Content-Type", reply.media);
        headers.add("X-Request-Id", &call.request_id);
        headers.add("Cache-Control", reply.keeping);
        headers.add("X-Content-Type-Options", "nosniff");
        for (name, value) in &reply.headers {
            headers.add(name, value);
        }
        if let Some(origin) = call.origin.filter(|origin| state.app.cors_origins.iter().any(|known| known == origin)) {
            headers.add("Access-Control-Allow-Origin", origin);
            headers.add("Access-Control-Expose-Headers", "X-Request-Id, Retry-After, Idempotency-Replayed");
            headers.add("Vary", "Origin");
        }
    }
}
