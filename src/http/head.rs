//! The head of a request: where it ends, what it says, and how the body behind it is delimited.

use super::{MOST_HEAD, MOST_HEADERS};
use crate::error::Problem;
use std::ops::Range;
use std::str::FromStr;
use tiny_http::{HTTPVersion, Method};

/// A request line and headers, in the bytes in which they came.
#[derive(Default)]
pub struct Head {
    bytes: Box<[u8]>,
    method: Place,
    target: Place,
    is_1_0: bool,
    /// Names and values.
    headers: Vec<(Place, Place)>,
    /// How the body behind it is delimited, and whether the connection is to end then.
    framing: Option<Result<Framing, Problem>>,
    asks_to_end: bool,
}

/// Where something stands in a head, which has fewer than 64 KiB.
type Place = Range<u16>;

impl Head {
    pub fn method(&self) -> &str {
        self.text(&self.method).unwrap_or_default()
    }

    /// The request target, as it was sent.
    pub fn target(&self) -> &str {
        self.text(&self.target).unwrap_or_default()
    }

    /// Whether it is made of these bytes.
    pub fn is_of(&self, bytes: &[u8]) -> bool {
        *self.bytes == *bytes
    }

    /// How the body is delimited, where everyone would read it alike.
    pub fn framing(&self) -> Result<Framing, Problem> {
        self.framing.clone().unwrap_or(Ok(Framing::None))
    }

    /// Whether the client wants the connection to end with the answer.
    pub fn asks_to_end(&self) -> bool {
        self.asks_to_end
    }

    pub fn is_1_0(&self) -> bool {
        self.is_1_0
    }

    /// The values of a header; there are several where it stands there several times.
    pub fn all<'h>(&'h self, name: &'h str) -> impl Iterator<Item = &'h [u8]> {
        let named = |key: &Place| key.len() == name.len() && self.at(key).eq_ignore_ascii_case(name.as_bytes());
        self.headers.iter().filter(move |(key, _)| named(key)).map(|(_, value)| self.at(value))
    }

    /// The value of a header that stands there exactly once and is text.
    pub fn one<'h>(&'h self, name: &'h str) -> Option<&'h str> {
        let mut values = self.all(name);
        let first = values.next()?;
        if values.next().is_none() { std::str::from_utf8(first).ok() } else { None }
    }

    /// Whether a header that is a list holds this word.
    pub fn lists(&self, name: &str, word: &str) -> bool {
        self.all(name).any(|value| {
            value.split(|byte| *byte == b',').any(|part| part.trim_ascii().eq_ignore_ascii_case(word.as_bytes()))
        })
    }

    fn at(&self, place: &Place) -> &[u8] {
        &self.bytes[usize::from(place.start)..usize::from(place.end)]
    }

    fn text(&self, place: &Place) -> Option<&str> {
        std::str::from_utf8(self.at(place)).ok()
    }
}

/// Where the head ends, if its end is there.
pub fn end(buffer: &[u8]) -> Result<Option<usize>, &'static str> {
    for place in memchr::memchr_iter(b'\n', &buffer[..buffer.len().min(MOST_HEAD)]) {
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
    if buffer.len() >= MOST_HEAD { Err("a head of more than 16 KiB") } else { Ok(None) }
}

/// Reads a head that is there to its end.
pub fn parse(bytes: &[u8]) -> Result<Head, &'static str> {
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
    Method::from_str(method).map_err(|()| "the method")?;
    let version = HTTPVersion(1, request.version.unwrap_or(1));
    let place = |part: &[u8]| place(bytes, part).ok_or("more than 64 KiB");
    let mut head = Head {
        method: place(method.as_bytes())?,
        target: place(request.path.unwrap_or_default().as_bytes())?,
        is_1_0: version == HTTPVersion(1, 0),
        headers: request
            .headers
            .iter()
            .map(|header| Ok((place(header.name.as_bytes())?, place(header.value)?)))
            .collect::<Result<_, &str>>()?,
        bytes: bytes.into(),
        framing: None,
        asks_to_end: false,
    };
    head.framing = Some(framing(&head));
    head.asks_to_end = match head.is_1_0 {
        true => !head.lists("connection", "keep-alive"),
        false => head.lists("connection", "close"),
    };
    Ok(head)
}

/// Whether a line is a header, with a name and a value.
pub fn is_field(line: &[u8]) -> bool {
    let line = [line, b"\r\n\r\n"].concat();
    httparse::parse_headers(&line, &mut [httparse::EMPTY_HEADER]).is_ok_and(|status| status.is_complete())
}

/// Where in `bytes` a part of them stands.
fn place(bytes: &[u8], part: &[u8]) -> Option<Place> {
    let start = if part.is_empty() { 0 } else { part.as_ptr().addr() - bytes.as_ptr().addr() };
    Some(u16::try_from(start).ok()?..u16::try_from(start + part.len()).ok()?)
}

/// How a body is delimited.
#[derive(Clone)]
pub enum Framing {
    None,
    Length(usize),
    Chunked,
}

fn framing(head: &Head) -> Result<Framing, Problem> {
    let bad = |what| Err(Problem::BadHttp { what });
    if !head.target().starts_with('/') {
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
    use proptest::collection::vec;
    use proptest::prelude::*;

    /// Lines of heads, good and bad ones, and how they end.
    fn lines() -> impl Strategy<Value = String> {
        let parts = [
            "GET / HTTP/1.1",
            "POST /jql HTTP/1.0",
            "\r\n",
            "\r\n",
            "\r\n\r\n",
            "\n",
            "\r",
            "Host: a",
            "Content-Length: 5",
            "Transfer-Encoding: chunked",
            "Connection: close, upgrade",
            ": ",
            " ",
            "\t",
            "\0",
            "é",
            "\u{7f}",
        ];
        let part = prop_oneof![
            4 => prop::sample::select(parts.to_vec()).prop_map(str::to_owned),
            1 => ".{0,3}",
        ];
        vec(part, 0..14).prop_map(|parts| parts.concat())
    }

    proptest! {
        #[test]
        fn a_head_is_read_alike_however_it_comes_and_no_value_holds_a_line(first in any::<bool>(), rest in lines()) {
            let text = if first { format!("GET / HTTP/1.1\r\nHost: a\r\n{rest}\r\n\r\n") } else { rest };
            let whole = end(text.as_bytes());
            for cut in 0..text.len() {
                let part = end(&text.as_bytes()[..cut]);
                prop_assert!(part == Ok(None) || part == whole, "{:?} {}", text, cut);
            }
            let Ok(Some(end)) = whole else { return Ok(()) };
            if let Ok(head) = parse(&text.as_bytes()[..end]) {
                let control = |byte: &u8| byte.is_ascii_control() && *byte != b'\t';
                let mut all = head.headers.iter().flat_map(|(name, value)| [name, value]);
                prop_assert!(all.all(|place| !head.at(place).iter().any(control)), "{:?}", text);
                prop_assert!(!head.method().is_empty() && !head.target().contains([' ', '\r', '\n']), "{:?}", text);
                prop_assert!(head.framing().is_err() || head.target().starts_with('/'), "{:?}", text);
            }
        }
    }

    #[track_caller]
    fn case(text: &str, expected: Result<(&str, &str), &str>) {
        let outcome = end(text.as_bytes()).and_then(|end| parse(&text.as_bytes()[..end.ok_or("no end")?]));
        let outcome = outcome.as_ref().map(|head| (head.method(), head.target()));
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
