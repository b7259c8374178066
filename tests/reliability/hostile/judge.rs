//! What holds for every answer, whatever was asked; and what a server must not have lost by it.

use crate::support::{Client, Reply, Server, eventually, run};
use serde_json::Value;

const ENVELOPE: [&str; 8] = ["status", "data", "errors", "il8n", "extras", "system_info", "intent", "message"];

/// The codes of the contract, each with its statuses. That of a fault of the server is not among them: there is none.
const CODES: [(&str, &[u16]); 8] = [
    ("JQL:JqlException", &[400]),
    ("JQL:AuthenticationException", &[401]),
    ("JQL:AuthorizationException", &[403]),
    ("JQL:NotFoundException", &[404]),
    ("JQL:RequestException", &[405, 408, 413, 415]),
    ("JQL:ConflictException", &[409]),
    ("JQL:RateLimitException", &[429]),
    ("JQL:UnavailableException", &[503]),
];

/// Holds an answer in an envelope against the contract.
#[track_caller]
pub fn assert_proper(reply: &Reply, sent: &[u8]) {
    let shown = || format!("{}\n{:.2000}\n{reply:?}", sent.len(), String::from_utf8_lossy(sent));
    assert_ne!(reply.status, 500, "{}", shown());
    assert!(reply.header("x-request-id").is_some_and(|id| !id.is_empty()), "{}", shown());
    assert_eq!(reply.header("content-type"), Some("application/json; charset=utf-8"), "{}", shown());
    let answer = serde_json::from_str::<Value>(&reply.body).unwrap_or_else(|error| panic!("{error}: {}", shown()));
    let members: Vec<&str> = answer.as_object().map(|members| members.keys().map(String::as_str).collect()).unwrap();
    assert_eq!(members, ENVELOPE, "{}", shown());
    if reply.status == 200 {
        assert!(answer["status"] == "OK" && answer["errors"].is_null(), "{}", shown());
        return;
    }
    assert!(answer["status"] == "ERROR" && answer["data"].is_null(), "{}", shown());
    let errors =
        answer["errors"].as_array().filter(|errors| !errors.is_empty()).unwrap_or_else(|| panic!("{}", shown()));
    let first = errors[0]["code"].as_str().unwrap();
    let known = CODES.iter().find(|(code, _)| *code == first);
    assert!(known.is_some_and(|(_, statuses)| statuses.contains(&reply.status)), "{}", shown());
    assert_eq!(errors[0]["errorMessage"], answer["message"], "{}", shown());
    let wanted = match reply.status {
        401 => Some("www-authenticate"),
        405 => Some("allow"),
        429 | 503 => Some("retry-after"),
        _ => None,
    };
    assert!(wanted.is_none_or(|header| reply.header(header).is_some()), "{}", shown());
    if let Ok(request) = serde_json::from_slice::<Value>(sent) {
        let is_repeated = |error: &Value| error["errorMessage"].as_str().unwrap().contains("stands twice");
        for error in errors.iter().filter(|error| !is_repeated(error)) {
            let Some(pointer) = error["pointer"].as_str() else { continue };
            assert!(points_into(&request, pointer), "{pointer} points nowhere: {}", shown());
        }
    }
}

/// Whether a pointer leads to a place in a request, or to a member that an object there lacks. What stands in the
/// place of an earlier result is nowhere in the request.
fn points_into(request: &Value, pointer: &str) -> bool {
    let mut here = request;
    let mut tokens = pointer.split('/').skip(1).map(|token| token.replace("~1", "/").replace("~0", "~")).peekable();
    while let Some(token) = tokens.next() {
        let next = match here {
            Value::Array(items) => token.parse().ok().and_then(|index: usize| items.get(index)),
            other => other.get(&token),
        };
        match next {
            Some(next) => here = next,
            None if here.get("__result__").is_some() => return true,
            None => return here.is_object() && tokens.peek().is_none(),
        }
    }
    true
}

/// The members of an answer's errors, as texts.
pub fn told(reply: &Reply) -> String {
    format!("{} {}", reply.status, reply.errors().join("; "))
}

/// A request in good faith, and the one answer that it has.
pub struct Good {
    key: String,
    body: String,
    answer: String,
}

impl Good {
    /// Takes the answer of now for the one of ever.
    pub fn new(server: &Server, key: &str, body: &Value) -> Good {
        let body = body.to_string();
        let reply = Client::connect(&server.address).jql(key, &body);
        assert_eq!(reply.status, 200, "{body}\n{}", reply.body);
        Good { key: key.to_owned(), body, answer: reply.body }
    }

    /// Sends it.
    #[track_caller]
    pub fn check(&self, client: &mut Client) {
        let reply = client.jql(&self.key, &self.body);
        assert_eq!((reply.status, &reply.body), (200, &self.answer), "{}", self.body);
    }
}

/// Whether the server keeps the connection behind this answer.
pub fn keeps(reply: &Reply) -> bool {
    !reply.header("connection").is_some_and(|value| value.eq_ignore_ascii_case("close"))
}

/// Bytes in memory and open descriptors of a server.
pub fn holdings(server: &Server) -> (usize, usize) {
    (server.process("VmRSS").unwrap_or(0) * 1024, server.descriptors().unwrap_or(0))
}

/// A server holds no more than one may that was sent so much, told nothing on standard error that is its own fault,
/// and its file is sound.
#[track_caller]
pub fn assert_unharmed(server: &mut Server, descriptors_before: usize) {
    assert!(server.is_running(), "{}", server.stderr());
    let stderr = server.stderr();
    assert!(!stderr.contains("panicked") && !stderr.contains(" request "), "{stderr}");
    eventually("no more descriptors than before are open", || holdings(server).1 <= descriptors_before + 8);
    let (bytes, _) = holdings(server);
    assert!(bytes < MOST_MEMORY, "{bytes} bytes in memory");
    assert_eq!(server.rows("PRAGMA integrity_check"), "ok\n");
    assert_eq!(server.rows("PRAGMA foreign_key_check"), "");
    run(&server.folder, &["check"]);
}

/// Bytes that a server may have in memory after whatever was sent to it.
const MOST_MEMORY: usize = 400 << 20;
