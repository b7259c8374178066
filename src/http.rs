//! HTTP/1 on one connection: reading requests strictly and within bounds, and answering in one write. This file and
//! [`head`] are the only ones that name the HTTP crates.
//!
//! A request is read as RFC 9112 has it, and whatever a proxy might read differently is refused: then the
//! connection is answered once more and closed, so that nothing behind it is ever taken for a request. Heads
//! are bounded in bytes, lines and time, bodies in bytes and time.
//!
//! `tiny_http` gives the words (methods, versions, statuses). Its server is not used: it aborts the process
//! over a large `Content-Length`, reads on after a refusal, leaves connections unserved when many come at
//! once, and bounds neither heads nor time, none of which can be mended from outside.

mod buffer;
mod head;

use crate::budget::{Budget, Share};
use crate::crew::step_aside;
use crate::error::Problem;
use crate::json::write_integer;
use crate::lock::assert_none;
use buffer::Buffer;
use head::Framing;
pub use head::Head;
#[cfg(unix)]
use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    net::{RecvFlags, SendFlags},
};
use socket2::SockRef;
use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};
use tiny_http::StatusCode;

/// The bounds of connections.
#[derive(Clone, Debug)]
pub struct Bounds {
    /// The largest body, in bytes.
    pub max_body: usize,
    /// A connection that says nothing for so long is cut.
    pub idle: Duration,
    /// What all bodies together may take.
    pub bodies: Arc<Budget>,
}

/// Bytes of request line and headers.
const MOST_HEAD: usize = 16 * 1024;
const MOST_HEADERS: usize = 100;
/// How long a head may take once it has begun.
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a body may take in all.
const BODY_TIMEOUT: Duration = Duration::from_secs(30);
/// How long an answer may take to be sent in all.
const SEND_TIMEOUT: Duration = Duration::from_secs(60);
/// What is still read after a refusal, so that the client can read the answer before the connection ends.
const LINGER_BYTES: usize = 64 * 1024;
const LINGER_TIME: Duration = Duration::from_secs(1);
/// Bytes of the line that tells a chunk's size, and of all trailers.
const MOST_CHUNK_LINE: usize = 1024;
/// Bytes of a body that is copied behind its head, into memory that is kept.
const SMALL_BODY: usize = 16 * 1024;

/// A connection of a client.
pub struct Connection {
    stream: Arc<TcpStream>,
    pub remote: SocketAddr,
    bounds: Arc<Bounds>,
    input: Buffer,
    /// The head of the request before: most clients send the same one with each.
    head: Arc<Head>,
    /// The bytes of an answer; the memory is kept for the next one.
    output: Vec<u8>,
    /// A second, and how it is written.
    dated: (u64, String),
    /// The time that a read may take, as it is set on the socket.
    patience: Duration,
}

/// A request as it was read.
pub struct Incoming {
    pub head: Arc<Head>,
    /// The body, or why the request is refused before anything in it is looked at.
    pub body: Result<Body, Problem>,
    /// Whether the connection ends with its answer: as the client asked, or because what follows is not sure
    /// to be a request.
    pub last: bool,
    /// When it was taken up.
    pub started: Instant,
}

/// A body, counted among all others until it is dropped.
pub struct Body {
    pub bytes: Vec<u8>,
    share: Share,
    most: usize,
}

impl Body {
    fn empty(bounds: &Arc<Bounds>) -> Body {
        Body { bytes: Vec::new(), share: bounds.bodies.share(), most: bounds.max_body }
    }

    /// Whether so many more bytes may come.
    fn admit(&self, more: usize) -> Result<(), Problem> {
        let fits = more <= self.most.saturating_sub(self.bytes.len());
        if fits { Ok(()) } else { Err(Problem::BodyTooLarge { limit: self.most }) }
    }

    /// Adds bytes that came, and counts them.
    fn extend(&mut self, bytes: &[u8]) -> Result<(), Problem> {
        self.share.cover(self.bytes.len() + bytes.len())?;
        self.bytes.extend_from_slice(bytes);
        Ok(())
    }
}

/// The present second as a date of RFC 9110; `known` is one that was written before.
fn date(known: &mut (u64, String)) -> &str {
    let now = SystemTime::now();
    let second = now.duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_secs());
    if known.0 != second || known.1.is_empty() {
        *known = (second, httpdate::fmt_http_date(now));
    }
    &known.1
}

/// The headers of an answer, as they are written.
pub struct Headers<'o>(&'o mut Vec<u8>);

impl Headers<'_> {
    /// Adds one; neither part may hold a line's end.
    pub fn add(&mut self, name: &str, value: &str) {
        for part in [name, ": ", value, "\r\n"] {
            self.0.extend_from_slice(part.as_bytes());
        }
    }
}

/// Why nothing more can be read.
enum Cut {
    /// The client is gone.
    Gone,
    /// The time is up.
    Slow,
}

impl Connection {
    pub fn new(stream: TcpStream, remote: SocketAddr, bounds: Arc<Bounds>) -> io::Result<Connection> {
        stream.set_nodelay(true)?; // or an answer may wait 40 ms for an acknowledgement
        stream.set_read_timeout(Some(bounds.idle))?;
        stream.set_write_timeout(Some(bounds.idle.min(SEND_TIMEOUT)))?;
        let patience = bounds.idle;
        let stream = Arc::new(stream);
        Ok(Connection {
            stream,
            remote,
            bounds,
            input: Buffer::default(),
            head: Arc::default(),
            dated: (0, String::new()),
            output: Vec::new(),
            patience,
        })
    }

    /// Whether the client said something that was not read yet.
    #[cfg(unix)]
    pub fn speaks(&self) -> bool {
        let flags = RecvFlags::PEEK | RecvFlags::DONTWAIT;
        rustix::net::recv(&*self.stream, &mut [0; 1][..], flags).is_ok_and(|(count, _)| count > 0)
    }

    /// Whether the client takes more of its answers.
    #[cfg(unix)]
    pub fn takes(&self) -> bool {
        let now = Timespec::default();
        poll(&mut [PollFd::new(&*self.stream, PollFlags::OUT)], Some(&now)).is_ok_and(|count| count > 0)
    }

    /// What it is by.
    pub fn stream(&self) -> Arc<TcpStream> {
        self.stream.clone()
    }

    /// Whether nothing came that was not answered yet.
    pub fn is_idle(&self) -> bool {
        self.input.is_empty()
    }

    /// Reads the next request, which is taken up with its first byte: `take_up` is asked before it is read, and what it
    /// gives is dropped while nothing comes. `None` where the client is gone or said nothing for too long, or nothing is
    /// taken up any more.
    pub fn next<T>(&mut self, take_up: impl Fn() -> Option<T>) -> Option<(Incoming, T)> {
        let taken = self.begin(take_up)?;
        Some((self.request()?, taken))
    }

    /// Waits until a request has begun.
    fn begin<T>(&mut self, take_up: impl Fn() -> Option<T>) -> Option<T> {
        let mut waited = false;
        loop {
            let taken = take_up()?;
            if !self.input.is_empty() {
                return Some(taken);
            }
            let read = |room: &mut [u8]| if waited { (&*self.stream).read(room) } else { read_now(&self.stream, room) };
            match self.input.fill(read) {
                Ok(0) => return None,
                Ok(_) => return Some(taken),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock && !waited => {}
                Err(_) => return None,
            }
            drop(taken);
            step_aside();
            self.be_patient(self.bounds.idle).ok()?;
            match self.stream.peek(&mut [0]) {
                Ok(_) => waited = true,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => return None, // nothing was begun, so nothing is answered
            }
        }
    }

    /// Reads a request that has begun.
    fn request(&mut self) -> Option<Incoming> {
        let started = Instant::now();
        let refused = |problem| Some(Incoming { head: Arc::default(), body: Err(problem), last: true, started });
        let deadline = started + HEAD_TIMEOUT.min(self.bounds.idle);
        let end = loop {
            match head::end(self.input.held()) {
                Ok(Some(end)) => break end,
                Ok(None) => {}
                Err(what) => return refused(Problem::BadHttp { what }),
            }
            match self.read(deadline) {
                Ok(()) => {}
                Err(Cut::Slow) => return refused(Problem::TooSlow),
                Err(Cut::Gone) => return None,
            }
        };
        let bytes = self.input.take(end);
        if !self.head.is_of(bytes) {
            self.head = match head::parse(bytes) {
                Ok(head) => Arc::new(head),
                Err(what) => return refused(Problem::BadHttp { what }),
            };
        }
        let head = self.head.clone();
        let body = head.framing().and_then(|framing| self.body(&head, &framing));
        let last = head.asks_to_end() || body.is_err();
        Some(Incoming { head, body, last, started })
    }

    fn body(&mut self, head: &Head, framing: &Framing) -> Result<Body, Problem> {
        let mut body = Body::empty(&self.bounds);
        if let Framing::Length(length) = framing {
            body.admit(*length)?;
        }
        if !matches!(framing, Framing::None | Framing::Length(0)) && head.all("expect").next().is_some() {
            // Everything that can be said before the body came is said, so the client may send it.
            self.write(b"HTTP/1.1 100 Continue\r\n\r\n").map_err(|_| Problem::BadHttp { what: CUT_SHORT })?;
        }
        let deadline = Instant::now() + BODY_TIMEOUT;
        match framing {
            Framing::None => {}
            Framing::Length(length) => self.exactly(*length, &mut body, deadline)?,
            Framing::Chunked => self.chunks(&mut body, deadline)?,
        }
        Ok(body)
    }

    /// Moves so many bytes into a body.
    fn exactly(&mut self, length: usize, body: &mut Body, deadline: Instant) -> Result<(), Problem> {
        let mut missing = length;
        loop {
            let count = missing.min(self.input.held().len());
            body.extend(self.input.take(count))?;
            missing -= count;
            if missing == 0 {
                return Ok(());
            }
            self.read(deadline).map_err(cut)?;
        }
    }

    /// RFC 9112, 7.1: sizes in hexadecimal, extensions and trailers ignored.
    fn chunks(&mut self, body: &mut Body, deadline: Instant) -> Result<(), Problem> {
        loop {
            let line = self.line(deadline)?;
            let size = line.split(|byte| *byte == b';').next().unwrap_or_default().trim_ascii_end();
            let plain = (1..=8).contains(&size.len()) && size.iter().all(u8::is_ascii_hexdigit);
            let size =
                std::str::from_utf8(size).ok().filter(|_| plain).and_then(|size| usize::from_str_radix(size, 16).ok());
            match size {
                None => return Err(Problem::BadHttp { what: "a chunk's size that is no plain hexadecimal number" }),
                Some(0) => break,
                Some(size) => {
                    body.admit(size)?;
                    self.exactly(size, body, deadline)?;
                }
            }
            if !self.line(deadline)?.is_empty() {
                return Err(Problem::BadHttp { what: "a chunk that is longer than it says" });
            }
        }
        let mut trailers = 0;
        loop {
            let line = self.line(deadline)?;
            trailers += line.len() + 2;
            if line.is_empty() {
                return Ok(());
            }
            if !head::is_field(&line) {
                return Err(Problem::BadHttp { what: "a trailer that is no header" });
            }
            if trailers > MOST_CHUNK_LINE {
                return Err(Problem::BadHttp { what: "trailers of more than 1024 bytes" });
            }
        }
    }

    /// A line without its end.
    fn line(&mut self, deadline: Instant) -> Result<Vec<u8>, Problem> {
        loop {
            if let Some(end) = memchr::memchr(b'\n', self.input.held()) {
                let mut line = self.input.take(end + 1).to_vec();
                line.pop();
                return match line.pop() {
                    Some(b'\r') if line.iter().all(|byte| *byte >= b' ' || *byte == b'\t') => Ok(line),
                    _ => Err(Problem::BadHttp { what: "a line of a chunked body that does not end as it should" }),
                };
            }
            if self.input.held().len() > MOST_CHUNK_LINE {
                return Err(Problem::BadHttp { what: "a line of more than 1024 bytes in a chunked body" });
            }
            self.read(deadline).map_err(cut)?;
        }
    }

    /// Reads what is there, waiting for it until the deadline, and never longer than a connection may say nothing.
    fn read(&mut self, deadline: Instant) -> Result<(), Cut> {
        assert_none();
        match self.input.fill(|room| read_now(&self.stream, room)) {
            Ok(0) => return Err(Cut::Gone),
            Ok(_) => return Ok(()),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => step_aside(),
            Err(_) => return Err(Cut::Gone),
        }
        let left = deadline.saturating_duration_since(Instant::now()).min(self.bounds.idle);
        if left.is_zero() {
            return Err(Cut::Slow);
        }
        self.be_patient(left).map_err(|_| Cut::Gone)?;
        loop {
            match self.input.fill(|room| (&*self.stream).read(room)) {
                Ok(0) => return Err(Cut::Gone),
                Ok(_) => return Ok(()),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => {
                    return Err(Cut::Slow);
                }
                Err(_) => return Err(Cut::Gone),
            }
        }
    }

    /// Sets the time that a read may take. That costs a system call, so what is nearly right is left.
    fn be_patient(&mut self, time: Duration) -> io::Result<()> {
        if time.abs_diff(self.patience) > Duration::from_millis(100) {
            self.stream.set_read_timeout(Some(time))?;
            self.patience = time;
        }
        Ok(())
    }

    /// Sends an answer, head and body in one write where they are small, with the headers that `headers` adds. With `closing` it is the last
    /// one.
    pub fn answer(
        &mut self,
        asked: &Head,
        status: u16,
        body: &[u8],
        closing: bool,
        headers: impl FnOnce(&mut Headers<'_>),
    ) -> io::Result<()> {
        let mut out = std::mem::take(&mut self.output);
        out.extend_from_slice(b"HTTP/1.1 ");
        write_integer(status.into(), &mut out);
        for part in [" ", StatusCode(status).default_reason_phrase(), "\r\n"] {
            out.extend_from_slice(part.as_bytes());
        }
        let mut all = Headers(&mut out);
        headers(&mut all);
        all.add("Date", date(&mut self.dated));
        if closing {
            all.add("Connection", "close");
        } else if asked.is_1_0() {
            all.add("Connection", "keep-alive");
        }
        out.extend_from_slice(b"Content-Length: ");
        write_integer(i64::try_from(body.len()).unwrap_or(i64::MAX), &mut out);
        out.extend_from_slice(b"\r\n\r\n");
        let goes_without = asked.method() == "HEAD" || status == 304; // and tells its length all the same
        let body = if goes_without { &[] } else { body };
        // What is large is not copied: another packet is nothing beside it.
        let (with, after) = if body.len() < SMALL_BODY { (body, &[][..]) } else { (&[][..], body) };
        out.extend_from_slice(with);
        let sent = self.write(&out).and_then(|()| self.write(after));
        out.clear();
        self.output = out;
        sent
    }

    fn write(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        assert_none();
        let deadline = Instant::now() + SEND_TIMEOUT;
        let mut waits = false;
        while !bytes.is_empty() {
            match if waits { (&*self.stream).write(bytes) } else { write_now(&self.stream, bytes) } {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock && !waits => {
                    step_aside();
                    waits = true;
                }
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(count) => bytes = &bytes[count..],
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => return Err(self.give_up()),
            }
            if Instant::now() > deadline {
                return Err(self.give_up());
            }
        }
        Ok(())
    }

    /// Has the connection end at once: what it did not take yet would be kept by the system until it does.
    fn give_up(&self) -> io::Error {
        let _ = SockRef::from(&*self.stream).set_linger(Some(Duration::ZERO));
        io::ErrorKind::TimedOut.into()
    }

    /// Ends the connection so that the client can still read the last answer: what it goes on sending is
    /// read for a while, because closing over unread bytes would reset the connection.
    pub fn end(&mut self) {
        let deadline = Instant::now() + LINGER_TIME;
        if SockRef::from(&*self.stream).shutdown(Shutdown::Write).is_err() {
            return;
        }
        let mut rest = 0;
        while rest < LINGER_BYTES {
            self.input.clear();
            if self.read(deadline).is_err() {
                return;
            }
            rest += self.input.held().len();
        }
    }
}

/// Reads what is there, and waits for nothing.
#[cfg(unix)]
fn read_now(stream: &TcpStream, room: &mut [u8]) -> io::Result<usize> {
    Ok(rustix::io::retry_on_intr(|| rustix::net::recv(stream, &mut *room, RecvFlags::DONTWAIT))?.0)
}

/// Sends what the other side can take, and waits for nothing.
#[cfg(unix)]
fn write_now(stream: &TcpStream, bytes: &[u8]) -> io::Result<usize> {
    Ok(rustix::io::retry_on_intr(|| rustix::net::send(stream, bytes, SendFlags::DONTWAIT))?)
}

#[cfg(not(unix))]
fn read_now(_: &TcpStream, _: &mut [u8]) -> io::Result<usize> {
    Err(io::ErrorKind::WouldBlock.into())
}

#[cfg(not(unix))]
fn write_now(_: &TcpStream, _: &[u8]) -> io::Result<usize> {
    Err(io::ErrorKind::WouldBlock.into())
}

const CUT_SHORT: &str = "the body was cut short";

fn cut(cut: Cut) -> Problem {
    match cut {
        Cut::Slow => Problem::TooSlow,
        Cut::Gone => Problem::BadHttp { what: CUT_SHORT },
    }
}
