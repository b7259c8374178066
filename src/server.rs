//! The server: listening, a thread for each connection, and an orderly stop.
//!
//! A connection's thread reads a request, answers it, and reads the next; no request is handed from thread to
//! thread but those that write. That is the plain way, and with hundreds of clients also the fastest: what
//! limits a database server on one machine is not the number of threads that wait.

use crate::auth::text;
use crate::call::Call;
use crate::envelope::{self, Echo, Reply};
use crate::error::Problem;
use crate::handle::{self, App};
use crate::handoff::lock;
use crate::http::{Bounds, Connection, Head, Incoming};
use crate::log::{self, Level};
use crate::network::{self, Networks};
use socket2::{Domain, Protocol, SockRef, Socket, Type};
use std::io;
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
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
/// What a connection's stack holds: the deepest request is bounded.
const STACK: usize = 1 << 20;
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
    let state = Arc::new(State {
        app,
        bounds: Arc::new(Bounds {
            max_body: settings.max_body,
            idle: settings.idle_timeout,
            held: AtomicUsize::new(0),
        }),
        max_connections: settings.max_connections,
        proxies: settings.proxies.clone(),
        in_flight: Mutex::new(InFlight { requests: 0, since: Instant::now() }),
        next_id: AtomicU64::new(0),
        boot: request_id_prefix(),
    });
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
    Ok(())
}

struct State {
    app: Arc<App>,
    bounds: Arc<Bounds>,
    max_connections: usize,
    proxies: Networks,
    in_flight: Mutex<InFlight>,
    next_id: AtomicU64,
    /// Tells the requests of this run from those of others.
    boot: String,
}

/// Requests read and not answered yet, and since when their number is what it is.
struct InFlight {
    requests: usize,
    since: Instant,
}

/// Takes connections until the server stops.
fn accept(state: &Arc<State>, listener: &TcpListener) {
    let mut complained = false;
    while !state.app.stopping.load(Ordering::SeqCst) {
        match listener.accept() {
            Ok((stream, remote)) => {
                complained = false;
                welcome(state, stream, remote);
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

/// Gives a connection its thread, or says that there are too many.
fn welcome(state: &Arc<State>, stream: TcpStream, remote: SocketAddr) {
    let count = Counted::new(state);
    let full = count.number > state.max_connections;
    let thread = state.clone();
    let talk = move || {
        let state = thread;
        let Ok(connection) = Connection::new(stream, remote, state.bounds.clone()) else { return };
        if full {
            turn_away(&state, connection)
        } else {
            converse(&state, connection)
        }
        drop(count);
    };
    if full && state.app.connections.load(Ordering::SeqCst) > state.max_connections + 64 {
        return; // not even that can be said any more
    }
    if Builder::new().name("jqlite-connection".into()).stack_size(STACK).spawn(talk).is_err() {
        std::thread::sleep(REST); // the connection was closed with the closure
    }
}

/// Counts a connection for as long as it is there.
struct Counted {
    state: Arc<State>,
    number: usize,
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
fn turn_away(state: &State, mut connection: Connection) {
    if let Some(incoming) = connection.next() {
        let call = state.call(&incoming, &connection);
        let reply = envelope::failure(&[Problem::Overloaded.into()], &Echo::default());
        let _ = connection.answer(&incoming, reply.status, &headers(state, &call, &reply), &reply.body, true);
        connection.end();
    }
}

/// Reads requests and answers them, one after the other.
fn converse(state: &Arc<State>, mut connection: Connection) {
    while let Some(mut incoming) = connection.next() {
        let busy = Busy::new(state);
        let mut call = state.call(&incoming, &connection);
        if let Ok(body) = &mut incoming.body {
            call.bytes = body.bytes.len() as u64;
            call.body = std::mem::take(&mut body.bytes); // it stays counted among those that are held
        }
        let (reply, entry) = handle::answer(&state.app, &call);
        let last = incoming.last || state.app.stopping.load(Ordering::SeqCst);
        let headers = headers(state, &call, &reply);
        let sent = connection.answer(&incoming, reply.status, &headers, &reply.body, last);
        if let Some(entry) = entry {
            state.app.writer.log(entry);
        }
        drop(busy);
        if sent.is_err() {
            return; // the client is gone, or takes nothing
        }
        if last {
            return connection.end();
        }
    }
}

/// Counts a request for as long as it is in flight.
struct Busy<'s>(&'s State);

impl Busy<'_> {
    fn new(state: &State) -> Busy<'_> {
        state.count(1);
        Busy(state)
    }
}

impl Drop for Busy<'_> {
    fn drop(&mut self) {
        self.0.count(-1);
    }
}

impl State {
    fn count(&self, change: isize) {
        let mut in_flight = lock(&self.in_flight);
        in_flight.requests = in_flight.requests.saturating_add_signed(change);
        in_flight.since = Instant::now();
    }

    /// Waits until no request has been in flight for a moment.
    fn wait_until_quiet(&self) {
        let deadline = Instant::now() + STOP_TIMEOUT;
        while Instant::now() < deadline {
            let in_flight = lock(&self.in_flight);
            if in_flight.requests == 0 && in_flight.since.elapsed() > QUIET {
                return;
            }
            drop(in_flight);
            std::thread::sleep(QUIET / 5);
        }
    }

    /// What there is to know of a request, its body aside.
    fn call(&self, incoming: &Incoming, connection: &Connection) -> Call {
        let head = &incoming.head;
        let path = head.target.split('?').next().unwrap_or_default();
        let forwarded: Vec<&str> =
            head.all("x-forwarded-for").map(|line| std::str::from_utf8(line).unwrap_or_default()).collect();
        let key_in_url = text::holds_key(&head.target).then_some(Problem::KeyInUrl);
        Call {
            method: head.method.clone(),
            path: path.to_owned(),
            broken: incoming.body.as_ref().err().cloned().or(key_in_url),
            has_key: head.all("authorization").next().is_some(),
            key: head.one("authorization").and_then(text::bearer),
            content_type: head.one("content-type").map(str::to_owned),
            // One that stands there twice, or is no text, is refused where it matters, as an empty one is.
            idempotency_key: head
                .all("idempotency-key")
                .next()
                .map(|_| head.one("idempotency-key").unwrap_or_default().to_owned()),
            origin: head.all("origin").next().map(|_| head.one("origin").unwrap_or_default().to_owned()),
            host: head.one("host").map(str::to_owned),
            body: Vec::new(),
            bytes: 0,
            request_id: self.request_id(head),
            remote: network::client(connection.remote.ip(), &forwarded, &self.proxies),
            started: incoming.started,
        }
    }

    /// The client's own id, where it is a sane one, else the next of ours.
    fn request_id(&self, head: &Head) -> String {
        let sane = |id: &&str| {
            let plain = id.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.:".contains(&byte));
            plain && (1..=128).contains(&id.len()) && !text::holds_key(id)
        };
        match head.one("x-request-id").filter(sane) {
            Some(id) => id.to_owned(),
            None => format!("{}-{:x}", self.boot, self.next_id.fetch_add(1, Ordering::Relaxed)),
        }
    }
}

fn request_id_prefix() -> String {
    let mut bytes = [0; 4];
    let _ = getrandom::fill(&mut bytes); // zeros would do as well
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn headers(state: &State, call: &Call, reply: &Reply) -> Vec<(&'static str, String)> {
    let mut headers = vec![
        ("Content-Type", reply.media.to_owned()),
        ("X-Request-Id", call.request_id.clone()),
        ("Cache-Control", "no-store".to_owned()),
        ("X-Content-Type-Options", "nosniff".to_owned()),
    ];
    headers.extend(reply.headers.iter().cloned());
    if let Some(origin) = call.origin.as_ref().filter(|origin| state.app.cors_origins.contains(origin)) {
        headers.push(("Access-Control-Allow-Origin", origin.clone()));
        headers.push(("Access-Control-Expose-Headers", "X-Request-Id, Retry-After, Idempotency-Replayed".to_owned()));
        headers.push(("Vary", "Origin".to_owned()));
    }
    headers
}
