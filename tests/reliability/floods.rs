//! Floods: those who hold connections, send or read slowly, reset, come and go, never cease, or try keys, each beside 64
//! clients that do nothing wrong. All of these are answered, the server holds no more than it may, cuts who is too slow, and
//! afterwards is as it was before. [`queues`] fills what has a bound until it is full.

mod healthy;
mod held;
mod queues;

use crate::report::{counted, scale};
use crate::support::{Client, Ending, MODELS, Server, run, skip};
use healthy::{CLIENTS, Healthy};
pub use held::Held;
pub use queues::metric;
use serde_json::{Value, json};
use socket2::SockRef;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// How long the tests wait for an answer: longer than any takes.
const PATIENCE: Duration = Duration::from_secs(90);

/// Tickets that there are.
const TICKETS: u64 = 100;

/// A server with some tickets, and ten books of a million letters each.
pub fn stocked(words: &[&str]) -> Server {
    let mut models: Value = serde_json::from_str(MODELS).unwrap();
    models["lib.Book"] = json!({"fields": {"text": {"type": "text"}}});
    let server = Server::with(&models.to_string(), words);
    server.change(&format!(
        r#"WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {TICKETS})
           INSERT INTO "tickets.Ticket" ("title", "created", "updated")
           SELECT i, '2026-01-31T09:30:00.000000Z', '2026-01-31T09:30:00.000000Z' FROM n;
           INSERT INTO "lib.Book" ("text") SELECT printf('%.*c', 1000000, 'x') FROM "tickets.Ticket" LIMIT 10"#
    ));
    server
}

/// The words that have it keep an answer with all books in memory, so that making it again takes no time.
pub const LARGE_CACHE: [&str; 2] = ["--cache-size", "67108864"];

/// A request for all of them.
pub fn books(key: &str) -> String {
    let meta = json!({"namespace": "lib.Book", "intent": "retrieve", "cache": {"enabled": true}});
    post(key, &json!({"__meta__": meta, "text": null}))
}

fn counting(key: &str) -> String {
    post(key, &json!({"__meta__": {"namespace": "tickets.Tag", "intent": "count"}}))
}

/// A whole request.
pub fn post(key: &str, body: &Value) -> String {
    let body = body.to_string();
    format!("{}{}\r\n\r\n{body}", head(key), body.len())
}

/// The head of a request, up to the number of its bytes.
pub fn head(key: &str) -> String {
    format!(
        "POST /jql HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {key}\r\nContent-Type: application/json\r\nContent-Length: "
    )
}

/// Whether this process may have so many descriptors; the server has as many.
fn may_have(descriptors: u64, what: &str) -> bool {
    let limit = rlimit::increase_nofile_limit(u64::MAX).unwrap_or(0);
    let enough = limit >= descriptors;
    if !enough {
        skip(what, &format!("it takes {descriptors} descriptors, and there may be {limit}"));
    }
    enough
}

/// The most that a server holds which nobody asks anything: threads with a turn and those that accept, wait, write and cut; the
/// database, open for each reader, and little else. Memory is what `mebibytes` says.
pub fn resting(mebibytes: usize) -> Held {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let readers = (cores * 4).max(8);
    Held { threads: cores * 2 + 5, descriptors: 24 + readers * 3, mebibytes }
}

/// How a flood and its test tell each other where they are.
#[derive(Default)]
struct Signals {
    is_up: AtomicBool,
    done: AtomicBool,
}

impl Signals {
    /// To be called by a flood once it is there.
    fn up(&self) {
        self.is_up.store(true, Ordering::Relaxed);
    }

    fn done(&self) -> bool {
        self.done.load(Ordering::Relaxed)
    }

    fn wait_until_done(&self) {
        while !self.done() {
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

/// Tells that a flood is there also where it ends by a panic, for which the test would wait.
struct Up<'s>(&'s Signals);

impl Drop for Up<'_> {
    fn drop(&mut self) {
        self.0.up();
    }
}

#[track_caller]
fn within(time: Duration, what: &str, mut is_so: impl FnMut() -> bool) {
    let started = Instant::now();
    while !is_so() {
        assert!(started.elapsed() < time, "it did not come about: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Has a flood come beside clients that do nothing wrong. It goes on until it is told that this is done, and gives back the
/// connections that it still has: the server is to end them. `most` is what the server may hold meanwhile.
#[track_caller]
fn endure(name: &str, words: &[&str], most: Held, flood: impl FnOnce(&Server, &Signals) -> Vec<TcpStream> + Send) {
    let server = stocked(words);
    let healthy = Healthy::of(&server);
    let alone = healthy.send(scale(3, 200));
    let signals = Signals::default();
    let (beside, held, left) = std::thread::scope(|scope| {
        let _ending = Ending(&signals.done);
        let watch = scope.spawn(|| Held::watched(&server, &signals.done));
        let flood = scope.spawn(|| {
            let _up = Up(&signals);
            flood(&server, &signals)
        });
        within(Duration::from_secs(60), "the flood is there", || signals.is_up.load(Ordering::Relaxed));
        let beside = healthy.send(scale(6, 400));
        signals.done.store(true, Ordering::Relaxed);
        (beside, watch.join().unwrap(), flood.join().unwrap())
    });
    assert!(held.is_within(&most), "{name}: it held {held}, and may hold {most}");
    let rest = resting(most.mebibytes);
    let what = format!("{name}: it holds as little as before, {rest}");
    within(PATIENCE, &what, || Held::now(&server).is_within(&rest));
    drop(left);
    healthy.assert_made();
    assert_eq!(server.stderr(), "", "{name}");
    counted("floods", &format!("{name}: healthy requests answered, and not"), format!("{}, 0", beside.answered()));
    counted("floods", &format!("{name}: their median, p99 and longest"), &beside);
    counted("floods", &format!("{name}: the same without it"), &alone);
    counted("floods", &format!("{name}: the server held"), held);
}

/// What may be held by a server with so many connections beside the healthy ones, of which each has a thread. Whoever has just ended
/// its wait rests without a turn, while a thread that has one takes up what the same connection sends next.
fn most(connections: usize, mebibytes: usize) -> Held {
    let Held { threads, descriptors, .. } = resting(0);
    let ending = std::thread::available_parallelism().map_or(1, usize::from) * 2;
    Held {
        threads: threads + ending + CLIENTS + connections,
        descriptors: descriptors + CLIENTS + connections,
        mebibytes,
    }
}

/// The same where connections have no thread.
fn most_without_threads(connections: usize, mebibytes: usize) -> Held {
    Held { threads: most(0, 0).threads, ..most(connections, mebibytes) }
}

fn connect(server: &Server) -> TcpStream {
    let stream = TcpStream::connect(&server.address).unwrap();
    stream.set_nodelay(true).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream
}

// -- Who holds connections ------------------------------------------------------------------------

#[test]
fn connections_that_say_nothing_take_no_threads_and_are_cut() {
    let name = "1,000 idle connections";
    if !may_have(2000, name) {
        return;
    }
    endure(name, &["--idle-timeout", scale("2s", "10s")], most_without_threads(1000, 64), |server, signals| {
        let silent = (0..1000).map(|_| connect(server)).collect();
        signals.up();
        signals.wait_until_done();
        silent
    });
}

/// Has so many connections begin with this and send a byte now and then. Who is cut has a successor as long as the flood
/// lasts; then they go on until all are cut.
fn drip(server: &Server, signals: &Signals, connections: usize, begin: &str, until_cut: bool) {
    let begun = || {
        let mut stream = connect(server);
        stream.write_all(begin.as_bytes()).unwrap();
        stream
    };
    let mut all: Vec<TcpStream> = (0..connections).map(|_| begun()).collect();
    signals.up();
    while !signals.done() || (until_cut && !all.is_empty()) {
        std::thread::sleep(Duration::from_millis(50));
        for _ in all.extract_if(.., |stream| stream.write_all(b"a").is_err()).collect::<Vec<_>>() {
            if !signals.done() {
                all.push(begun());
            }
        }
    }
}

#[test]
fn heads_that_come_a_byte_now_and_then_are_cut_in_time() {
    let connections = scale(150, 500);
    endure("slow heads", &["--idle-timeout", "2s"], most(connections, 96), |server, signals| {
        drip(server, signals, connections, "POST /jql HTTP/1.1\r\nX-Slow: ", true);
        Vec::new()
    });
}

#[test]
fn bodies_that_come_a_byte_now_and_then_are_cut_in_time() {
    let connections = scale(150, 500);
    endure("slow bodies", &["--idle-timeout", "3s"], most(connections, 96), |server, signals| {
        // They have half a minute.
        drip(server, signals, connections, &format!("{}1000000\r\n\r\n", head(&server.key)), scale(false, true));
        Vec::new()
    });
}

// -- Who reads slowly -----------------------------------------------------------------------------

/// A connection with little room for answers.
pub fn narrow(address: &str) -> TcpStream {
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    socket.set_recv_buffer_size(4096).unwrap();
    let address: SocketAddr = address.parse().unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    socket.connect(&address.into()).unwrap();
    TcpStream::from(socket)
}

/// The status of an answer of which no more is read.
pub fn status(stream: &mut TcpStream) -> u16 {
    let mut line = [0; 12];
    stream.read_exact(&mut line).unwrap();
    std::str::from_utf8(&line[9..]).unwrap().parse().unwrap()
}

#[test]
fn answers_that_nobody_reads_take_no_more_memory_than_they_may() {
    let connections = scale(120, 1000);
    let name = format!("{connections} readers of 10 MB each that read nothing");
    if !may_have(2 * connections as u64, &name) {
        return;
    }
    let words = ["--idle-timeout", "40s", LARGE_CACHE[0], LARGE_CACHE[1]];
    let (given, told) = (AtomicUsize::new(0), AtomicUsize::new(0));
    endure(&name, &words, most(connections, 512), |server, signals| {
        let asked = books(&server.key);
        let mut all: Vec<TcpStream> = (0..connections).map(|_| narrow(&server.address)).collect();
        for stream in &mut all {
            stream.write_all(asked.as_bytes()).unwrap();
        }
        for stream in &mut all {
            match status(stream) {
                200 => given.fetch_add(1, Ordering::Relaxed),
                status => {
                    assert_eq!(status, 503);
                    assert!(rest(stream).contains("\r\nRetry-After: 1\r\n"));
                    told.fetch_add(1, Ordering::Relaxed)
                }
            };
        }
        signals.up();
        signals.wait_until_done();
        scale(Vec::new(), all)
    });
    let (given, told) = (given.into_inner(), told.into_inner());
    assert_eq!(given + told, connections);
    assert!((20..=27).contains(&given), "256 MiB are enough for 27 of them, and {given} were given");
    counted("floods", &format!("{name}: answered, and told to come again"), format!("{given}, {told}"));
}

/// What else is there to be read at once.
fn rest(stream: &mut TcpStream) -> String {
    let mut room = vec![0; 4096];
    let count = stream.read(&mut room).unwrap();
    String::from_utf8_lossy(&room[..count]).into_owned()
}

#[test]
fn answers_that_are_read_a_byte_now_and_then_are_cut_in_time() {
    let connections = scale(15, 25);
    let words = ["--idle-timeout", "5s", LARGE_CACHE[0], LARGE_CACHE[1]];
    endure("slow readers", &words, most(connections, 512), |server, signals| {
        let mut all: Vec<TcpStream> = (0..connections).map(|_| narrow(&server.address)).collect();
        for stream in &mut all {
            stream.write_all(books(&server.key).as_bytes()).unwrap();
        }
        signals.up();
        // They have a minute.
        while !signals.done() || (scale(false, true) && !all.is_empty()) {
            std::thread::sleep(Duration::from_millis(20));
            all.retain_mut(|stream| stream.read(&mut [0; 64]).is_ok_and(|count| count > 0));
        }
        Vec::new()
    });
}

// -- Who comes and goes, and who never ceases -------------------------------------------------------

/// Does something again and again in so many threads, each with what it begins with, until the flood is done.
fn again<T>(signals: &Signals, threads: usize, begin: impl Fn() -> T + Sync, each: impl Fn(&mut T, usize) + Sync) {
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                let mut own = begin();
                for count in (0..).take_while(|_| !signals.done()) {
                    each(&mut own, count);
                    signals.up();
                }
            });
        }
    });
}

#[test]
fn connections_that_are_reset_or_end_at_once_leave_nothing_behind() {
    let came = AtomicUsize::new(0);
    endure("connections that come and go", &[], most(64, 64), |server, signals| {
        let whole = counting(&server.key);
        again(
            signals,
            8,
            || (),
            |(), number| {
                let mut stream = connect(server);
                // All end with a reset, which leaves nothing to wait for on this side either.
                SockRef::from(&stream).set_linger(Some(Duration::ZERO)).unwrap();
                let sent = match number % 4 {
                    0 => 0,
                    1 => number % whole.len(),
                    _ => whole.len(),
                };
                let _ = stream.write_all(&whole.as_bytes()[..sent]);
                if number % 4 == 3 {
                    assert_eq!(status(&mut stream), 200);
                }
                came.fetch_add(1, Ordering::Relaxed);
            },
        );
        Vec::new()
    });
    counted("floods", "connections that came and went", came.into_inner());
}

#[test]
fn clients_that_send_without_end_keep_nobody_from_being_served() {
    let answered = AtomicUsize::new(0);
    endure("requests without end on 16 connections", &[], most(16, 64), |server, signals| {
        let many = counting(&server.key).repeat(50);
        // What is sent is ahead of what is answered, so that there is always more.
        again(
            signals,
            16,
            || Client::connect(&server.address),
            |client, count| {
                client.send(many.as_bytes());
                let answers = if count == 0 { 0 } else { 50 };
                (0..answers).for_each(|_| assert_eq!(client.reply("POST").status, 200));
                answered.fetch_add(answers, Ordering::Relaxed);
            },
        );
        Vec::new()
    });
    counted("floods", "requests sent without end and answered", answered.into_inner());
}

// -- Who tries keys -------------------------------------------------------------------------------

/// Keys that are none: of no form, with a wrong checksum, one letter off, not there any more, ended, and none at all.
fn wrong_keys(server: &Server) -> Vec<String> {
    let gone = run(&server.folder, &["keys", "create", "--name", "gone", "--allow", "*.*:*"]);
    run(&server.folder, &["keys", "delete", "gone"]);
    let ended = run(&server.folder, &["keys", "create", "--name", "ended", "--allow", "*.*:*"]);
    run(&server.folder, &["keys", "revoke", "ended"]);
    let longer = format!("{}0", server.key);
    let other = server.key.to_ascii_uppercase();
    vec!["jql".into(), longer, other, gone, ended, String::new()]
}

#[test]
fn wrong_keys_at_full_speed_are_refused_and_keep_no_right_one_out() {
    let (refused, told_to_wait) = (AtomicUsize::new(0), AtomicUsize::new(0));
    endure("wrong keys on 16 connections", &[], most(16, 64), |server, signals| {
        let requests: Vec<String> = wrong_keys(server).iter().map(|key| counting(key)).collect();
        again(
            signals,
            16,
            || Client::connect(&server.address),
            |client, number| {
                client.send(requests[number % requests.len()].as_bytes());
                let reply = client.reply("POST");
                assert!(matches!(reply.status, 401 | 429), "{reply:?}");
                assert_eq!(reply.header("retry-after").is_some(), reply.status == 429, "{reply:?}");
                if reply.status == 401 { &refused } else { &told_to_wait }.fetch_add(1, Ordering::Relaxed);
            },
        );
        Vec::new()
    });
    let (refused, told_to_wait) = (refused.into_inner(), told_to_wait.into_inner());
    assert!(told_to_wait > 0);
    counted("floods", "wrong keys refused with 401, and with 429", format!("{refused}, {told_to_wait}"));
}
