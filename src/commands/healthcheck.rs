//! `healthcheck`: asks a server whether it is ready, for where there is no shell and no curl.

use crate::error::plain;
use crate::json::Json;
use crate::terminal::{Failed, print_json, print_line};
use std::io::{self, ErrorKind, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::time::{Duration, Instant};

/// How long one answer may take, all in all.
const PATIENCE: Duration = Duration::from_secs(3);
/// How long it rests where the server is to be waited for.
const REST: Duration = Duration::from_millis(50);
/// The bytes that tell whether it is.
const STATUS_LINE: usize = "HTTP/1.1 200 ".len();

/// Says that the server at `host`, a name and a port, is ready; waits for that so long, where it is to be waited for.
pub fn run(json: bool, host: &str, wait: Option<Duration>) -> Result<(), Failed> {
    let given_up = Instant::now() + wait.unwrap_or_default();
    while let Err(why) = ask(host) {
        if Instant::now() >= given_up {
            return Err(format!("http://{host} is not ready: {why}"));
        }
        std::thread::sleep(REST);
    }
    let url = format!("http://{host}");
    if json {
        let members = vec![("url".into(), Json::String(url)), ("ready".into(), Json::Boolean(true))];
        return print_json(&Json::Object(members));
    }
    print_line(&format!("{url} is ready"))
}

/// Asks once.
fn ask(host: &str) -> Result<(), String> {
    let deadline = Instant::now() + PATIENCE;
    let answer = connect(host, deadline).and_then(|stream| status_line(stream, host, deadline));
    match answer.as_deref() {
        Ok("HTTP/1.1 200 ") => Ok(()),
        Ok(other) => Err(format!("it answers \"{}\"", plain(other.trim_end()))),
        Err(error) if matches!(error.kind(), ErrorKind::TimedOut | ErrorKind::WouldBlock) => {
            Err(format!("no answer within {} s", PATIENCE.as_secs()))
        }
        Err(error) => Err(error.to_string()),
    }
}

/// A connection to the first of its addresses that takes one.
fn connect(host: &str, deadline: Instant) -> io::Result<TcpStream> {
    let mut failed = io::Error::from(ErrorKind::NotFound);
    for address in host.to_socket_addrs()? {
        match TcpStream::connect_timeout(&address, left(deadline)?) {
            Ok(stream) => return Ok(stream),
            Err(error) => failed = error,
        }
    }
    Err(failed)
}

/// The beginning of what `/readyz` answers.
fn status_line(mut stream: TcpStream, host: &str, deadline: Instant) -> io::Result<String> {
    stream.set_write_timeout(Some(left(deadline)?))?;
    stream.write_all(format!("GET /readyz HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n").as_bytes())?;
    let mut answer = [0; STATUS_LINE];
    let mut length = 0;
    while length < answer.len() {
        stream.set_read_timeout(Some(left(deadline)?))?;
        match stream.read(&mut answer[length..])? {
            0 => break,
            count => length += count,
        }
    }
    Ok(String::from_utf8_lossy(&answer[..length]).into_owned())
}

/// The time that is left, none of which is an error.
fn left(deadline: Instant) -> io::Result<Duration> {
    let left = deadline.saturating_duration_since(Instant::now());
    if left.is_zero() { Err(ErrorKind::TimedOut.into()) } else { Ok(left) }
}
