//! The HTTP server: listening, reading bodies, workers, replies, and an orderly stop. The only file that
//! names the HTTP crate.
//!
//! `tiny_http` reads requests on a thread for each connection and hands them over; what it leaves to us is
//! here: timeouts and `TCP_NODELAY` (set on the listening socket, from which connections inherit them), a
//! bound on bodies and on requests that wait, requests that break HTTP, answers in one write, and a listener
//! that comes back. As the timeout also ends its accepting after a silence, and as it panics without a word
//! when descriptors run out, accepting is done by one generation of its server after another, all on the
//! same socket.

use crate::auth;
use crate::call::Call;
use crate::envelope::Reply;
use crate::error::Problem;
use crate::handle::{self, App};
use crate::handoff::Queue;
use socket2::{Domain, Protocol, SockRef, Socket, Type};
use std::io::{self, Write};
use std::net::{Shutdown, SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::thread::Builder;
use std::time::{Duration, Instant, SystemTime};
use tiny_http::{HTTPVersion, Header, Request, Response, StatusCode};

/// What the command line decides.
#[derive(Clone, Debug)]
pub struct Settings {
    pub workers: usize,
    /// The largest body, in bytes.
    pub max_body: usize,
    /// A connection that says nothing for so long is cut; so is one that does not take its answer.
    pub idle_timeout: Duration,
}

/// Requests that may wait for a worker; more are answered with 503.
const WAITING: usize = 1024;
/// Bodies that may be read at once, each by a thread of its own, so that slow senders hold up no worker.
const READING: usize = 512;
/// How long a body may take in all.
const BODY_TIMEOUT: Duration = Duration::from_secs(30);
/// How long an answer may take to be sent in all.
const SEND_TIMEOUT: Duration = Duration::from_secs(60);
/// How long an orderly stop waits for requests in flight.
const STOP_TIMEOUT: Duration = Duration::from_secs(20);
/// What a worker's stack holds: the deepest request is bounded.
const STACK: usize = 1 << 20;

/// A socket that listens, with everything set that its connections inherit.
///
/// # Errors
/// The address is taken or not ours.
pub fn listen(address: SocketAddr, settings: &Settings) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    #[cfg(unix)]
    socket.set_reuse_address(true)?; // a restart need not wait for old connections to be forgotten
    socket.set_tcp_nodelay(true)?;
    socket.set_read_timeout(Some(settings.idle_timeout))?;
    socket.set_write_timeout(Some(settings.idle_timeout))?;
    socket.bind(&address.into())?;
    socket.listen(1024)?;
    Ok(socket.into())
}

/// Serves until a signal asks to stop, then answers what is in flight and writes out the log.
///
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
    let _ = limit.get().and_then(|(_, hard)| limit.set(hard, hard)); // a connection takes two; without the rise there are fewer
    let state = Arc::new(State {
        app,
        waiting: Queue::new(WAITING),
        max_body: settings.max_body,
        idle: settings.idle_timeout,
        in_flight: AtomicUsize::new(0),
        reading: AtomicUsize::new(0),
        next_id: AtomicU64::new(0),
        boot: request_id_prefix(),
    });
    for number in 0..settings.workers {
        let state = state.clone();
        Builder::new().name(format!("jqlite-worker-{number}")).stack_size(STACK).spawn(move || work(&state))?;
    }
    let mut signals = signal_hook::iterator::Signals::new([signal_hook::consts::SIGTERM, signal_hook::consts::SIGINT])?;
    start_accepting(&state, &listener)?;
    ready().map_err(io::Error::other)?;

    signals.forever().next();
    state.app.stopping.store(true, Ordering::SeqCst);
    // A second signal stops at once.
    Builder::new().name("jqlite-signals".into()).spawn(move || {
        signals.forever().next();
        std::process::exit(1);
    })?;
    let _ = SockRef::from(&listener).shutdown(Shutdown::Both); // ends the accepting; connections go on
    let deadline = Instant::now() + STOP_TIMEOUT;
    let mut quiet = 0;
    while quiet < 5 && Instant::now() < deadline {
        quiet = if state.in_flight.load(Ordering::SeqCst) == 0 { quiet + 1 } else { 0 };
        std::thread::sleep(Duration::from_millis(10));
    }
    state.app.writer.stop();
    Ok(())
}

struct State {
    app: Arc<App>,
    waiting: Queue<Waiting>,
    max_body: usize,
    idle: Duration,
    /// Requests taken and not answered yet.
    in_flight: AtomicUsize,
    /// Threads that read a body.
    reading: AtomicUsize,
    next_id: AtomicU64,
    boot: String,
}

/// A request with its body read.
struct Waiting {
    request: Request,
    call: Call,
}

/// Set by the panic hook when a thread of the HTTP crate panicked, which may be the one that accepts.
static ACCEPT_MAY_BE_DEAD: AtomicBool = AtomicBool::new(false);

/// Notes panics of threads that are not ours; ours are caught and answered.
pub fn watch_panics() {
    std::panic::set_hook(Box::new(|panic| {
        let thread = std::thread::current();
        if thread.name().is_none() {
            ACCEPT_MAY_BE_DEAD.store(true, Ordering::Relaxed);
        }
        let place = panic.location().map(ToString::to_string).unwrap_or_default();
        let message = panic.payload_as_str().unwrap_or("a panic").escape_debug();
        eprintln!(
            "{} {} panicked at {place}: {message}",
            crate::value::time::now(),
            thread.name().unwrap_or("a thread")
        );
    }));
}

/// Starts the next generation: a server on the same socket, and a thread that takes its requests.
fn start_accepting(state: &Arc<State>, listener: &TcpListener) -> io::Result<()> {
    let listener = listener.try_clone()?;
    let server = tiny_http::Server::from_listener(listener.try_clone()?, None).map_err(io::Error::other)?;
    let state = state.clone();
    Builder::new().name("jqlite-accept".into()).spawn(move || take(&state, &listener, &server)).map(drop)
}

/// Takes the requests of one generation until it has ended and its last connection must be gone.
fn take(state: &Arc<State>, listener: &TcpListener, server: &tiny_http::Server) {
    // A connection that is still alive says something within its timeout, so twice that is silence.
    let silence = state.idle * 2 + Duration::from_secs(1);
    let mut accepting = true;
    let mut heard = Instant::now();
    loop {
        match server.recv_timeout(Duration::from_millis(500)) {
            Ok(Some(request)) => {
                heard = Instant::now();
                receive(state, request);
            }
            Ok(None) => {}
            Err(_) if accepting => {
                accepting = false;
                succeed(state, listener);
            }
            Err(_) => {}
        }
        if accepting && ACCEPT_MAY_BE_DEAD.swap(false, Ordering::Relaxed) {
            // If it is alive after all, two generations accept, which does no harm.
            succeed(state, listener);
        }
        if !accepting && heard.elapsed() > silence && state.in_flight.load(Ordering::SeqCst) == 0 {
            return;
        }
    }
}

/// Starts a successor, again and again where there are no descriptors or threads for it yet.
fn succeed(state: &Arc<State>, listener: &TcpListener) {
    while !state.app.stopping.load(Ordering::SeqCst) {
        match start_accepting(state, listener) {
            Ok(()) => return,
            Err(error) => {
                eprintln!("{} cannot accept connections: {error}", crate::value::time::now());
                std::thread::sleep(Duration::from_millis(200));
            }
        }
    }
}

/// Hands a request to the workers; one whose body is still on its way, to a thread that reads it first.
fn receive(state: &Arc<State>, request: Request) {
    state.in_flight.fetch_add(1, Ordering::SeqCst);
    let started = Instant::now();
    let small =
        request.body_length().is_none_or(|length| length <= 1024) && !is_chunked(&request) && !expects(&request);
    if small {
        let waiting = read(state, request, started);
        return enqueue(state, waiting);
    }
    let reading = state.reading.fetch_add(1, Ordering::SeqCst);
    let worker = state.clone();
    let spawned = Builder::new().name("jqlite-body".into()).stack_size(STACK).spawn(move || {
        let mut waiting = if reading < READING {
            read(&worker, request, started)
        } else {
            let call = Call { body: Err(Problem::Overloaded), ..call(&worker, &request, started) };
            Waiting { request, call }
        };
        if waiting.call.body.is_err() || waiting.call.broken.is_some() {
            // What is left of the body is drained after the answer, so no worker should wait for it.
            waiting.call.broken = waiting.call.broken.or(waiting.call.body.as_ref().err().cloned());
            finish(&worker, waiting);
        } else {
            enqueue(&worker, waiting);
        }
        worker.reading.fetch_sub(1, Ordering::SeqCst);
    });
    if spawned.is_err() {
        // The request went with the closure, and was answered by the crate with an empty 500.
        state.reading.fetch_sub(1, Ordering::SeqCst);
        state.in_flight.fetch_sub(1, Ordering::SeqCst);
    }
}

fn enqueue(state: &State, waiting: Waiting) {
    if let Err(mut waiting) = state.waiting.push(waiting) {
        waiting.call.broken = Some(Problem::Overloaded);
        finish(state, waiting);
    }
}

fn work(state: &State) {
    loop {
        finish(state, state.waiting.take());
    }
}

/// Answers a request and hands its entry to the log.
fn finish(state: &State, waiting: Waiting) {
    let Waiting { request, call } = waiting;
    let (reply, entry) = handle::answer(&state.app, &call);
    let drained = call.body.is_ok();
    // The crate may panic over what a client left unread; the answer is out by then.
    let sent = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| send(state, request, &call, &reply, drained)));
    drop(sent);
    if let Some(entry) = entry {
        state.app.writer.log(entry);
    }
    state.in_flight.fetch_sub(1, Ordering::SeqCst);
}

/// Reads the body, as far as it may be read.
fn read(state: &State, mut request: Request, started: Instant) -> Waiting {
    let mut call = call(state, &request, started);
    if call.broken.is_none() {
        call.body = body(&mut request, state.max_body, started);
        call.bytes = call.body.as_ref().map_or(0, Vec::len) as u64;
    } else if request.body_length().is_some_and(|length| length > 1024) || is_chunked(&request) {
        call.body = Err(Problem::BadHttp { what: "the body was not read" });
    }
    Waiting { request, call }
}

fn body(request: &mut Request, limit: usize, started: Instant) -> Result<Vec<u8>, Problem> {
    let length = request.body_length();
    if length.is_some_and(|length| length > limit) {
        return Err(Problem::BodyTooLarge { limit });
    }
    let mut body = Vec::with_capacity(length.unwrap_or(0));
    let mut chunk = [0; 16 * 1024];
    let reader = request.as_reader();
    loop {
        match reader.read(&mut chunk) {
            Ok(0) => break,
            Ok(count) => body.extend_from_slice(&chunk[..count]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => {
                return Err(Problem::TooSlow);
            }
            Err(_) => return Err(Problem::BadHttp { what: "the body is malformed or was cut short" }),
        }
        if body.len() > limit {
            return Err(Problem::BodyTooLarge { limit });
        }
        if started.elapsed() > BODY_TIMEOUT {
            return Err(Problem::TooSlow);
        }
    }
    if length.is_some_and(|length| length != body.len()) {
        return Err(Problem::BadHttp { what: "the body was cut short" });
    }
    Ok(body)
}

/// What there is to know of a request without its body.
fn call(state: &State, request: &Request, started: Instant) -> Call {
    let header = |name: &'static str| {
        let mut values = request.headers().iter().filter(|header| header.field.equiv(name));
        let first = values.next().map(|header| header.value.as_str());
        (first.filter(|_| values.next().is_none()), first.is_some())
    };
    let text = |name: &'static str| header(name).0.map(str::to_owned);
    let (path, query) = request.url().split_once('?').unwrap_or((request.url(), ""));
    let mut broken = broken(request);
    if broken.is_none() && (query.contains("jql_") || path.contains("jql_")) {
        broken = Some(Problem::KeyInUrl);
    }
    Call {
        method: request.method().to_string(),
        path: path.to_owned(),
        broken,
        // A header that stands there twice is none.
        key: header("Authorization").0.and_then(auth::bearer),
        content_type: text("Content-Type"),
        origin: header("Origin").1.then(|| text("Origin").unwrap_or_default()),
        host: text("Host"),
        body: Ok(Vec::new()),
        bytes: 0,
        request_id: header("X-Request-Id").0.filter(|id| is_sane(id)).map_or_else(|| state.next_id(), str::to_owned),
        remote_addr: request.remote_addr().map(|address| address.ip().to_string()),
        started,
    }
}

impl State {
    fn next_id(&self) -> String {
        format!("{}-{:x}", self.boot, self.next_id.fetch_add(1, Ordering::Relaxed))
    }
}

/// Tells the requests of this run from those of others.
fn request_id_prefix() -> String {
    let mut bytes = [0; 4];
    let _ = getrandom::fill(&mut bytes); // zeros would do as well
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn is_sane(id: &str) -> bool {
    (1..=128).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.:".contains(&byte))
}

/// What proxies and this server would read differently, and so is not read at all.
fn broken(request: &Request) -> Option<Problem> {
    let all = |name: &'static str| request.headers().iter().filter(move |header| header.field.equiv(name));
    let bad = |what| Some(Problem::BadHttp { what });
    let lengths: Vec<&str> = all("Content-Length").map(|header| header.value.as_str()).collect();
    let encodings: Vec<&str> = all("Transfer-Encoding").map(|header| header.value.as_str()).collect();
    if request.headers().iter().any(|header| header.value.as_str().bytes().any(|byte| byte < b' ' && byte != b'\t')) {
        return bad("a control character in a header");
    }
    if request.headers().iter().any(|header| header.field.as_str().as_str().contains([' ', '\t'])) {
        return bad("a space in the name of a header");
    }
    match (lengths.as_slice(), encodings.as_slice()) {
        ([], []) => {}
        ([length], []) if !length.is_empty() && length.bytes().all(|byte| byte.is_ascii_digit()) => {
            if request.body_length().is_none() {
                return bad("a Content-Length that is too large");
            }
        }
        ([], [encoding]) if encoding.eq_ignore_ascii_case("chunked") => {}
        ([_], []) => return bad("a Content-Length that is no number"),
        ([], [_]) => return bad("a Transfer-Encoding other than chunked"),
        ([], _) => return bad("two Transfer-Encodings"),
        (_, []) => return bad("two Content-Lengths"),
        _ => return bad("both Content-Length and Transfer-Encoding"),
    }
    if all("Connection").any(|header| header.value.as_str().to_ascii_lowercase().contains("upgrade")) {
        return bad("upgrades are not served");
    }
    if all("Host").count() > 1 {
        return bad("two Hosts");
    }
    if !request.url().starts_with('/') {
        return bad("a request target that is not a path");
    }
    None
}

fn is_chunked(request: &Request) -> bool {
    request.headers().iter().any(|header| header.field.equiv("Transfer-Encoding"))
}

fn expects(request: &Request) -> bool {
    request.headers().iter().any(|header| header.field.equiv("Expect"))
}

/// Sends an answer, head and body in one write.
fn send(state: &State, request: Request, call: &Call, reply: &Reply, drained: bool) {
    let closing = !drained || call.broken.is_some() || state.app.stopping.load(Ordering::Relaxed);
    let headers = headers(state, call, reply, closing);
    if !drained {
        // The crate drains the body when a writer is taken, and only after the answer when it answers itself.
        let headers =
            headers.iter().filter_map(|(name, value)| Header::from_bytes(name.as_bytes(), value.as_bytes()).ok());
        let length = Some(reply.body.len());
        let response = Response::new(StatusCode(reply.status), headers.collect(), reply.body.as_slice(), length, None);
        let _ = request.respond(response); // a client that is gone needs no answer
        return;
    }
    let head_only = call.method == "HEAD";
    let mut out = Vec::with_capacity(reply.body.len() + 400);
    let reason = StatusCode(reply.status).default_reason_phrase();
    let _ = write!(out, "HTTP/1.1 {} {reason}\r\n", reply.status); // a Vec takes every byte
    for (name, value) in &headers {
        let _ = write!(out, "{name}: {value}\r\n");
    }
    let _ =
        write!(out, "Date: {}\r\nContent-Length: {}\r\n", httpdate::fmt_http_date(SystemTime::now()), reply.body.len());
    if *request.http_version() == HTTPVersion(1, 0) && !closing {
        out.extend_from_slice(b"Connection: keep-alive\r\n");
    }
    out.extend_from_slice(b"\r\n");
    if !head_only {
        out.extend_from_slice(&reply.body);
    }
    let mut writer = request.into_writer();
    let started = Instant::now();
    let mut rest = out.as_slice();
    while !rest.is_empty() && started.elapsed() < SEND_TIMEOUT {
        match writer.write(rest) {
            Ok(0) => return,
            Ok(count) => rest = &rest[count..],
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(_) => return, // the client is gone, or takes nothing
        }
    }
    let _ = writer.flush();
}

fn headers(state: &State, call: &Call, reply: &Reply, closing: bool) -> Vec<(&'static str, String)> {
    let mut headers = vec![
        ("Content-Type", "application/json; charset=utf-8".to_owned()),
        ("X-Request-Id", call.request_id.clone()),
        ("Cache-Control", "no-store".to_owned()),
        ("X-Content-Type-Options", "nosniff".to_owned()),
    ];
    headers.extend(reply.headers.iter().cloned());
    if let Some(origin) = call.origin.as_ref().filter(|origin| state.app.cors_origins.contains(origin)) {
        headers.push(("Access-Control-Allow-Origin", origin.clone()));
        headers.push(("Access-Control-Expose-Headers", "X-Request-Id, Retry-After".to_owned()));
        headers.push(("Vary", "Origin".to_owned()));
    }
    if closing {
        headers.push(("Connection", "close".to_owned()));
    }
    headers
}
