//! HTTP/1 on one connection: reading requests strictly and within bounds, and answering in one write. The
//! only file that names the HTTP crates.
//!
//! A request is read as RFC 9112 has it (but for a missing `Host`, which harms nobody here), and whatever a
//! proxy might read differently is refused: then the
//! connection is answered once more and closed, so that nothing behind it is ever taken for a request. Heads
//! are bounded in bytes, lines and time, bodies in bytes and time.
//!
//! `tiny_http` gives the words (methods, versions, statuses). Its server is not used: it aborts the process
//! over a large `Content-Length`, reads on after a refusal, leaves connections unserved when many come at
//! once, and bounds neither heads nor time, none of which can be mended from outside.

use crate::error::Problem;
use socket2::SockRef;
use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant, SystemTime};
use tiny_http::{HTTPVersion, Method, StatusCode};

/// The bounds of connections.
#[derive(Debug)]
pub struct Bounds {
    /// The largest body, in bytes.
    pub max_body: usize,
    /// A connection that says nothing for so long is cut.
    pub idle: Duration,
    /// Bytes of all bodies that are held at this moment.
    pub held: AtomicUsize,
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
/// Bytes of all bodies together.
const MOST_HELD: usize = 256 << 20;
/// What is still read after a refusal, so that the client can read the answer before the connection ends.
const LINGER_BYTES: usize = 64 * 1024;
const LINGER_TIME: Duration = Duration::from_secs(1);
/// Bytes of the line that tells a chunk's size, and of all trailers.
const MOST_CHUNK_LINE: usize = 1024;

/// A connection of a client.
pub struct Connection {
    stream: TcpStream,
    pub remote: SocketAddr,
    bounds: Arc<Bounds>,
    /// Bytes read and not used yet.
    buffer: Vec<u8>,
    /// The time that a read may take, as it is set on the socket.
    patience: Duration,
}

/// A request as it was read.
pub struct Incoming {
    pub head: Head,
    /// The body, or why the request is refused before anything in it is looked at.
    pub body: Result<Body, Problem>,
    /// Whether the connection ends with its answer: as the client asked, or because what follows is not sure
    /// to be a request.
    pub last: bool,
    /// When its first byte was there.
    pub started: Instant,
}

/// A request line and headers.
#[derive(Default)]
pub struct Head {
    pub method: String,
    /// The request target, as it was sent.
    pub target: String,
    is_1_0: bool,
    /// Names in small letters.
    headers: Vec<(String, Vec<u8>)>,
}

impl Head {
    /// The values of a header; there are several where it stands there several times.
    pub fn all<'h>(&'h self, name: &'h str) -> impl Iterator<Item = &'h [u8]> {
        self.headers.iter().filter(move |(key, _)| key == name).map(|(_, value)| value.as_slice())
    }

    /// The value of a header that stands there exactly once and is text.
    pub fn one<'h>(&'h self, name: &'h str) -> Option<&'h str> {
        let mut values = self.all(name);
        let first = values.next()?;
        if values.next().is_none() { std::str::from_utf8(first).ok() } else { None }
    }

    /// Whether a header that is a list holds this word.
    fn lists(&self, name: &str, word: &str) -> bool {
        self.all(name).any(|value| {
            value.split(|byte| *byte == b',').any(|part| part.trim_ascii().eq_ignore_ascii_case(word.as_bytes()))
        })
    }
}

/// A body, counted among those that are held until it is dropped.
pub struct Body {
    pub bytes: Vec<u8>,
    counted: usize,
    bounds: Arc<Bounds>,
}

impl Body {
    fn empty(bounds: &Arc<Bounds>) -> Body {
        Body { bytes: Vec::new(), counted: 0, bounds: bounds.clone() }
    }

    /// Whether so many more bytes may come.
    fn admit(&self, more: usize) -> Result<(), Problem> {
        let fits = more <= self.bounds.max_body.saturating_sub(self.bytes.len());
        if fits { Ok(()) } else { Err(Problem::BodyTooLarge { limit: self.bounds.max_body }) }
    }

    /// Adds bytes that came, and counts them.
    fn extend(&mut self, bytes: impl Iterator<Item = u8>, count: usize) -> Result<(), Problem> {
        self.counted += count;
        if self.bounds.held.fetch_add(count, Ordering::Relaxed) + count > MOST_HELD {
            return Err(Problem::Overloaded);
        }
        self.bytes.extend(bytes);
        Ok(())
    }
}

impl Drop for Body {
    fn drop(&mut self) {
        self.bounds.held.fetch_sub(self.counted, Ordering::Relaxed);
    }
}

/// How a body is delimited.
enum Framing {
    None,
    Length(usize),
    Chunked,
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
        stream.set_write_timeout(Some(bounds.idle))?;
        let patience = bounds.idle;
        Ok(Connection { stream, remote, bounds, buffer: Vec::new(), patience })
    }

    /// Reads the next request. `None` where the client is gone or said nothing for too long.
    pub fn next(&mut self) -> Option<Incoming> {
        if self.buffer.is_empty() {
            self.read(Instant::now() + self.bounds.idle).ok()?; // nothing was begun, so nothing is answered
        }
        let started = Instant::now();
        let refused = |problem| Some(Incoming { head: Head::default(), body: Err(problem), last: true, started });
        let deadline = started + HEAD_TIMEOUT.min(self.bounds.idle);
        let end = loop {
            match end_of_head(&self.buffer) {
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
        let head = match parse(&self.buffer[..end]) {
            Ok(head) => head,
            Err(what) => return refused(Problem::BadHttp { what }),
        };
        self.buffer.drain(..end);
        let body = framing(&head).and_then(|framing| self.body(&head, &framing));
        let asked_to_end =
            if head.is_1_0 { !head.lists("connection", "keep-alive") } else { head.lists("connection", "close") };
        let last = asked_to_end || body.is_err();
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
            let count = missing.min(self.buffer.len());
            body.extend(self.buffer.drain(..count), count)?;
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
            if trailers > MOST_CHUNK_LINE {
                return Err(Problem::BadHttp { what: "trailers of more than 1024 bytes" });
            }
        }
    }

    /// A line without its end.
    fn line(&mut self, deadline: Instant) -> Result<Vec<u8>, Problem> {
        loop {
            if let Some(end) = self.buffer.iter().position(|byte| *byte == b'\n') {
                let mut line: Vec<u8> = self.buffer.drain(..=end).collect();
                line.pop();
                return match line.pop() {
                    Some(b'\r') if line.iter().all(|byte| *byte >= b' ' || *byte == b'\t') => Ok(line),
                    _ => Err(Problem::BadHttp { what: "a line of a chunked body that does not end as it should" }),
                };
            }
            if self.buffer.len() > MOST_CHUNK_LINE {
                return Err(Problem::BadHttp { what: "a line of more than 1024 bytes in a chunked body" });
            }
            self.read(deadline).map_err(cut)?;
        }
    }

    /// Reads what is there, waiting for it until the deadline, and never longer than a connection may say nothing.
    fn read(&mut self, deadline: Instant) -> Result<(), Cut> {
        let left = deadline.saturating_duration_since(Instant::now()).min(self.bounds.idle);
        if left.is_zero() {
            return Err(Cut::Slow);
        }
        // Setting it costs a system call, so what is nearly right is left.
        if left.abs_diff(self.patience) > Duration::from_millis(100) {
            self.stream.set_read_timeout(Some(left)).map_err(|_| Cut::Gone)?;
            self.patience = left;
        }
        let mut chunk = [0; 8192];
        loop {
            match self.stream.read(&mut chunk) {
                Ok(0) => return Err(Cut::Gone),
                Ok(count) => {
                    self.buffer.extend_from_slice(&chunk[..count]);
                    return Ok(());
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => {
                    return Err(Cut::Slow);
                }
                Err(_) => return Err(Cut::Gone),
            }
        }
    }

    /// Sends an answer, head and body in one write. With `closing` it is the last one.
    pub fn answer(
        &mut self,
        incoming: &Incoming,
        status: u16,
        headers: &[(&str, String)],
        body: &[u8],
        closing: bool,
    ) -> io::Result<()> {
        let mut out = Vec::with_capacity(body.len() + 512);
        let reason = StatusCode(status).default_reason_phrase();
        write!(out, "HTTP/1.1 {status} {reason}\r\n")?;
        for (name, value) in headers {
            write!(out, "{name}: {value}\r\n")?;
        }
        write!(out, "Date: {}\r\nContent-Length: {}\r\n", httpdate::fmt_http_date(SystemTime::now()), body.len())?;
        if closing {
            out.extend_from_slice(b"Connection: close\r\n");
        } else if incoming.head.is_1_0 {
            out.extend_from_slice(b"Connection: keep-alive\r\n");
        }
        out.extend_from_slice(b"\r\n");
        if incoming.head.method != "HEAD" {
            out.extend_from_slice(body);
        }
        self.write(&out)
    }

    fn write(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        let deadline = Instant::now() + SEND_TIMEOUT;
        while !bytes.is_empty() {
            match self.stream.write(bytes) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(count) => bytes = &bytes[count..],
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
            if Instant::now() > deadline {
                return Err(io::ErrorKind::TimedOut.into());
            }
        }
        Ok(())
    }

    /// Ends the connection so that the client can still read the last answer: what it goes on sending is
    /// read for a while, because closing over unread bytes would reset the connection.
    pub fn end(mut self) {
        let deadline = Instant::now() + LINGER_TIME;
        if SockRef::from(&self.stream).shutdown(Shutdown::Write).is_err() {
            return;
        }
        let mut rest = 0;
        while rest < LINGER_BYTES {
            self.buffer.clear();
            if self.read(deadline).is_err() {
                return;
            }
            rest += self.buffer.len();
        }
    }
}

const CUT_SHORT: &str = "the body was cut short";

fn cut(cut: Cut) -> Problem {
    match cut {
        Cut::Slow => Problem::TooSlow,
        Cut::Gone => Problem::BadHttp { what: CUT_SHORT },
    }
}

/// Where the head ends, if its end is there.
fn end_of_head(buffer: &[u8]) -> Result<Option<usize>, &'static str> {
    for (place, byte) in buffer.iter().enumerate().take(MOST_HEAD) {
        if *byte == b'\n' {
            if place == 0 || buffer[place - 1] != b'\r' {
                return Err("a line that ends without a carriage return");
            }
            if place == 1 {
                return Err("an empty line before the request line");
            }
            if buffer[..place - 1].ends_with(b"\r\n") {
                return Ok(Some(place + 1));
            }
        }
    }
    if buffer.len() >= MOST_HEAD { Err("a head of more than 16 KiB") } else { Ok(None) }
}

fn parse(bytes: &[u8]) -> Result<Head, &'static str> {
    let mut headers = [httparse::EMPTY_HEADER; MOST_HEADERS];
    let mut request = httparse::Request::new(&mut headers);
    request.parse(bytes).map_err(|error| match error {
        httparse::Error::TooManyHeaders => "more than 100 headers",
        httparse::Error::Version => "a version other than HTTP/1.0 and HTTP/1.1",
        httparse::Error::HeaderName => "the name of a header",
        httparse::Error::HeaderValue => "the value of a header",
        _ => "the request line",
    })?;
    let method = request.method.unwrap_or_default();
    let method = Method::from_str(method).map_err(|()| "the method")?;
    let version = HTTPVersion(1, request.version.unwrap_or(1));
    let headers =
        request.headers.iter().map(|header| (header.name.to_ascii_lowercase(), header.value.to_vec())).collect();
    let target = request.path.unwrap_or_default().to_owned();
    Ok(Head { method: method.to_string(), target, is_1_0: version == HTTPVersion(1, 0), headers })
}

/// How the body is delimited, where everyone would read it alike.
fn framing(head: &Head) -> Result<Framing, Problem> {
    let bad = |what| Err(Problem::BadHttp { what });
    if !head.target.starts_with('/') {
        return bad("a request target that is not a path");
    }
    match head.all("host").count() {
        0 if !head.is_1_0 => return bad("no Host"), // RFC 9112, section 3.2
        0 | 1 => {}
        _ => return bad("two Hosts"),
    }
    if head.lists("connection", "upgrade") {
        return bad("upgrades are not served");
    }
    if head.all("expect").any(|value| !value.eq_ignore_ascii_case(b"100-continue")) {
        return bad("an Expect other than 100-continue");
    }
    if head.all("content-encoding").any(|value| !value.eq_ignore_ascii_case(b"identity")) {
        return Err(Problem::Encoded);
    }
    let lengths: Vec<&[u8]> = head.all("content-length").collect();
    let encodings: Vec<&[u8]> = head.all("transfer-encoding").collect();
    match (lengths.as_slice(), encodings.as_slice()) {
        ([], []) => Ok(Framing::None),
        ([length], []) if !length.is_empty() && length.iter().all(u8::is_ascii_digit) => {
            // What does not fit into a number is too large as well.
            let length = std::str::from_utf8(length).ok().and_then(|length| length.parse().ok());
            Ok(Framing::Length(length.unwrap_or(usize::MAX / 2)))
        }
        ([], [encoding]) if encoding.eq_ignore_ascii_case(b"chunked") && !head.is_1_0 => Ok(Framing::Chunked),
        ([_], []) => bad("a Content-Length that is no number"),
        ([], [_]) => bad("a Transfer-Encoding other than chunked"),
        ([], _) => bad("two Transfer-Encodings"),
        (_, []) => bad("two Content-Lengths"),
        _ => bad("both Content-Length and Transfer-Encoding"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn case(text: &str, expected: Result<(&str, &str), &str>) {
        let outcome = end_of_head(text.as_bytes()).and_then(|end| parse(&text.as_bytes()[..end.ok_or("no end")?]));
        let outcome = outcome.as_ref().map(|head| (head.method.as_str(), head.target.as_str()));
        assert_eq!(outcome.map_err(|what| *what), expected, "{text:?}");
    }

    #[test]
    fn heads_are_read_strictly() {
        case("GET /a HTTP/1.1\r\nHost: b\r\n\r\n", Ok(("GET", "/a")));
        case("GET /a HTTP/1.1\r\n", Err("no end"));
        case("GET /a HTTP/1.1\nHost: b\n\n", Err("a line that ends without a carriage return"));
        case("\r\nGET /a HTTP/1.1\r\n\r\n", Err("an empty line before the request line"));
        case("GET /a HTTP/2.0\r\n\r\n", Err("a version other than HTTP/1.0 and HTTP/1.1"));
        case("GET /a HTTP/1.1 more\r\n\r\n", Err("the request line"));
        case("GET /a HTTP/1.1\r\nA: b\r\n c\r\n\r\n", Err("the name of a header"));
        case("GET /a HTTP/1.1\r\nA : b\r\n\r\n", Err("the name of a header"));
        case("GET /a HTTP/1.1\r\nA: b\u{1}\r\n\r\n", Err("the value of a header"));
        case(&format!("GET /{} HTTP/1.1\r\n\r\n", "a".repeat(MOST_HEAD)), Err("a head of more than 16 KiB"));
    }

    #[test]
    fn bodies_are_delimited_in_one_way_only() {
        let outcome = |headers: &str| {
            let head = parse(format!("POST / HTTP/1.1\r\nHost: x\r\n{headers}\r\n").as_bytes()).unwrap();
            match framing(&head) {
                Ok(Framing::None) => "none".to_owned(),
                Ok(Framing::Length(length)) => length.to_string(),
                Ok(Framing::Chunked) => "chunked".into(),
                Err(problem) => problem.to_string(),
            }
        };
        assert_eq!(outcome(""), "none");
        assert_eq!(outcome("Content-Length: 5\r\n"), "5");
        assert_eq!(outcome("Transfer-Encoding: Chunked\r\n"), "chunked");
        assert_eq!(outcome("Content-Encoding: identity\r\nContent-Length: 5\r\n"), "5");
        let compressed = "the body has a Content-Encoding, and this server reads none";
        assert_eq!(outcome("Content-Encoding: gzip\r\nContent-Length: 5\r\n"), compressed);
        for headers in [
            "Content-Length: +5\r\n",
            "Content-Length: \r\n",
            "Content-Length: 5, 5\r\n",
            "Content-Length: 5\r\nContent-Length: 5\r\n",
            "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n",
            "Transfer-Encoding: gzip, chunked\r\n",
            "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
            "Connection: keep-alive, Upgrade\r\n",
            "Expect: nonsense\r\n",
            "Host: y\r\n",
        ] {
            assert!(outcome(headers).starts_with("bad HTTP"), "{headers}");
        }
        let hostless = |version: &str| framing(&parse(format!("GET / {version}\r\n\r\n").as_bytes()).unwrap()).is_ok();
        assert!(!hostless("HTTP/1.1") && hostless("HTTP/1.0"));
    }
}
