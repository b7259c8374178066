//! Everything that can go wrong, stage by stage: code, HTTP status, sentence, pointer and the way out.
//!
//! A [`Problem`] carries the facts; its sentence is composed here, once. What a client may not know
//! (the cause of a fault, the text of a statement) is kept beside the sentence, never inside it.

use std::fmt;
use std::time::Duration;

/// The codes of the published error table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Code {
    Jql,
    Authentication,
    Authorization,
    NotFound,
    Request,
    Conflict,
    RateLimit,
    Unavailable,
    Server,
}

impl Code {
    pub const ALL: [Code; 9] = [
        Code::Jql,
        Code::Authentication,
        Code::Authorization,
        Code::NotFound,
        Code::Request,
        Code::Conflict,
        Code::RateLimit,
        Code::Unavailable,
        Code::Server,
    ];

    /// The code as a client sees it.
    pub fn name(self) -> &'static str {
        match self {
            Code::Jql => "JQL:JqlException",
            Code::Authentication => "JQL:AuthenticationException",
            Code::Authorization => "JQL:AuthorizationException",
            Code::NotFound => "JQL:NotFoundException",
            Code::Request => "JQL:RequestException",
            Code::Conflict => "JQL:ConflictException",
            Code::RateLimit => "JQL:RateLimitException",
            Code::Unavailable => "JQL:UnavailableException",
            Code::Server => "JQL:ServerException",
        }
    }

    /// The HTTP statuses that it comes with, the usual one first.
    pub fn statuses(self) -> &'static [u16] {
        match self {
            Code::Jql => &[400],
            Code::Authentication => &[401],
            Code::Authorization => &[403],
            Code::NotFound => &[404],
            Code::Request => &[405, 408, 413, 415],
            Code::Conflict => &[409],
            Code::RateLimit => &[429],
            Code::Unavailable => &[503],
            Code::Server => &[500],
        }
    }
}

/// One thing that is wrong, and where in the request it stands.
#[derive(Clone, Debug, PartialEq)]
pub struct Error {
    pub problem: Problem,
    /// RFC 6901, into the request; `None` where the problem has no one place.
    pub pointer: Option<String>,
}

impl Error {
    pub fn at(pointer: impl fmt::Display, problem: Problem) -> Error {
        Error { problem, pointer: Some(pointer.to_string()) }
    }
}

impl From<Problem> for Error {
    fn from(problem: Problem) -> Error {
        Error { problem, pointer: None }
    }
}

/// All that is wrong with one request; at most about a hundred of it.
pub type Errors = Vec<Error>;

/// Whether so much is wrong that more is not listed, and need not be looked for.
pub fn is_full(errors: &Errors) -> bool {
    errors.len() > MOST_ERRORS
}

/// Adds one more, until there are so many that the client gets the idea.
pub fn note(errors: &mut Errors, error: Error) {
    match errors.len() {
        0..MOST_ERRORS => errors.push(error),
        MOST_ERRORS => errors
            .push(Problem::TooMany { what: "mistakes, so the rest is not listed", limit: MOST_ERRORS as u64 }.into()),
        _ => {}
    }
}

/// Mistakes listed in one answer.
pub const MOST_ERRORS: usize = 100;

impl From<Error> for Errors {
    fn from(error: Error) -> Errors {
        vec![error]
    }
}

impl From<Problem> for Errors {
    fn from(problem: Problem) -> Errors {
        vec![problem.into()]
    }
}

#[derive(Clone, Debug, PartialEq)]
pub enum Problem {
    // -- HTTP ---------------------------------------------------------------------------------
    /// The path is none of ours.
    NoSuchPath {
        path: String,
    },
    /// The path is ours, the method is not.
    MethodNotAllowed {
        allow: &'static str,
    },
    /// The body is larger than `--max-body`.
    BodyTooLarge {
        limit: usize,
    },
    /// The body is compressed.
    Encoded,
    /// The body is not declared as JSON.
    MediaType {
        given: Option<String>,
    },
    /// The request did not arrive in time.
    TooSlow,
    /// The request breaks HTTP, uses what is not served, or was cut short.
    BadHttp {
        what: &'static str,
    },
    /// A browser page of another origin sent it.
    ForeignOrigin,
    /// A key stands in the URL, where proxies and histories keep it.
    KeyInUrl,

    // -- Request ------------------------------------------------------------------------------
    /// The body is not JSON.
    MalformedJson {
        why: String,
    },
    /// One object has a key twice.
    RepeatedKey {
        key: String,
    },
    /// A value of the request's own frame (`__meta__` and what is in it) has the wrong form.
    WrongForm {
        what: String,
        wanted: &'static str,
        given: String,
    },
    /// A key that the place does not know.
    UnknownKey {
        place: String,
        key: String,
        nearest: Option<String>,
    },
    /// A key that the place cannot do without.
    MissingKey {
        place: String,
        key: &'static str,
    },
    /// A key that means nothing for this intent.
    UselessKey {
        key: String,
        intent: &'static str,
    },
    /// One of the bounds on a request's size is passed.
    TooMany {
        what: &'static str,
        limit: u64,
    },

    // -- Authentication -----------------------------------------------------------------------
    /// No key, or none that is known: one answer for both.
    Unauthenticated,
    KeyExpired {
        at: String,
    },
    /// The secret of before a rotation, after its overlap.
    SecretReplaced {
        at: String,
    },
    KeyRevoked,
    KeyDisabled,
    /// The secret is older than the server lets any be.
    KeyTooOld,
    /// The address is in none of the key's networks.
    KeyNotFromHere,
    /// More requests than the key's rate.
    TooFast {
        rate: u32,
        wait: Duration,
    },
    /// Too many wrong keys came from the address.
    TooManyWrongKeys {
        wait: Duration,
    },
    /// `authenticationClass` names one that is not served.
    UnknownClass {
        given: String,
    },

    // -- Plan ---------------------------------------------------------------------------------
    /// The key lacks a permission.
    Forbidden {
        permission: String,
    },
    /// A key would get more than the one that makes it has.
    CannotGrant {
        what: String,
    },
    /// The model does not take that intent.
    NotForModel {
        model: String,
        intent: &'static str,
        served: Vec<&'static str>,
    },
    /// There is no such model, and the key might have seen it.
    NoSuchModel {
        namespace: String,
        nearest: Option<String>,
    },
    NoSuchIntent {
        given: String,
        served: Vec<&'static str>,
    },
    NoSuchSchema {
        given: String,
    },
    /// No controller of that namespace takes the intent.
    NoSuchController {
        namespace: String,
        intent: &'static str,
    },
    /// The server is none for tests.
    NoFixture,
    /// A snapshot that was not taken.
    NoSuchSnapshot {
        name: String,
        nearest: Option<String>,
    },
    /// There are as many snapshots as there may be.
    TooManySnapshots {
        most: usize,
    },
    /// A function that there is not.
    NoSuchFunction {
        given: String,
        nearest: Option<String>,
        known: Vec<&'static str>,
    },
    NoSuchField {
        model: String,
        field: String,
        nearest: Option<String>,
    },
    NoSuchLookup {
        field: String,
        lookup: String,
        accepted: Vec<&'static str>,
    },
    /// A nested object where the field is a plain one.
    NotNested {
        model: String,
        field: String,
    },
    /// A value that the field's type cannot take.
    BadValue {
        field: String,
        kind: String,
        value: String,
        why: String,
    },
    /// A value that is of the right type but breaks a rule of the field.
    Refused {
        field: String,
        why: String,
    },
    /// A required field is not there.
    Required {
        model: String,
        field: String,
    },
    /// A field that only the server sets.
    ReadOnly {
        field: String,
        why: &'static str,
    },
    /// `uniqueObject` names something that may match several records.
    NotUnique {
        model: String,
        accepted: Vec<String>,
    },
    /// An update that changes nothing.
    NothingToChange,
    /// A reference to a record that is not there.
    NoSuchReference {
        model: String,
        id: String,
    },
    /// A deletion that leads from record to record too many times in a row.
    CascadeTooDeep {
        most: usize,
    },
    /// A search that could not be stopped, and would take long.
    TooMuchSearched,
    /// What is made of floats is no float any more.
    Overflow,
    /// The answer would hold more than one answer may.
    AnswerTooLarge {
        most: &'static str,
    },

    // -- Database -----------------------------------------------------------------------------
    NoSuchRecord {
        model: String,
        what: String,
    },
    /// Another record has these values already.
    Taken {
        model: String,
        fields: Vec<String>,
    },
    /// The record is of another version than the request says.
    Stale {
        model: String,
        version: i64,
    },
    /// More records match than may be changed.
    TooManyAffected {
        model: String,
        count: u64,
        most: u64,
    },
    /// A change of models would lose stored values, and nobody allowed it.
    WouldLose {
        what: String,
    },
    /// Stored records do not fit a change of models; the whole sentence.
    Unfit {
        why: String,
    },
    /// The key that was to be changed was ended for good.
    KeyEnded,
    /// The idempotency key was used for another request.
    KeyReused,
    /// The answer would hold a key's text, which is nowhere kept.
    SecretNotKept,
    /// A request with this idempotency key is still being carried out.
    InFlight,
    /// Others refer to the record. `by` names only models that the key may read.
    StillReferenced {
        model: String,
        by: Vec<String>,
    },
    /// The statement ran longer than `--query-timeout`.
    Timeout {
        limit: Duration,
    },
    /// Another process holds the file for longer than we wait.
    Busy,
    DiskFull,
    /// The disk does not take what is written. `cause` is for whoever runs the server.
    Unwritable {
        cause: String,
    },
    /// The file that was opened is not at its path any more, or its write-ahead log is not.
    FileMoved,
    /// The models changed between plan and write; the caller plans again.
    Replan,
    ShuttingDown,
    /// More requests wait than may.
    Overloaded,

    // -- Server -------------------------------------------------------------------------------
    /// A fault of ours. `cause` goes to the server's log and nowhere else.
    Fault {
        cause: String,
    },
}

impl Problem {
    pub fn code(&self) -> Code {
        use Problem::*;
        match self {
            NoSuchPath { .. }
            | NoSuchModel { .. }
            | NoSuchController { .. }
            | NoSuchRecord { .. }
            | NoFixture
            | NoSuchSnapshot { .. } => Code::NotFound,
            MethodNotAllowed { .. } | BodyTooLarge { .. } | MediaType { .. } | Encoded | TooSlow => Code::Request,
            ForeignOrigin | KeyNotFromHere | Forbidden { .. } | CannotGrant { .. } => Code::Authorization,
            TooFast { .. } | TooManyWrongKeys { .. } => Code::RateLimit,
            Unauthenticated
            | KeyExpired { .. }
            | SecretReplaced { .. }
            | KeyRevoked
            | KeyDisabled
            | KeyTooOld
            | UnknownClass { .. } => Code::Authentication,
            Taken { .. }
            | StillReferenced { .. }
            | Stale { .. }
            | TooManyAffected { .. }
            | CascadeTooDeep { .. }
            | WouldLose { .. }
            | Unfit { .. }
            | KeyEnded
            | KeyReused
            | InFlight => Code::Conflict,
            Timeout { .. } | Busy | DiskFull | Unwritable { .. } | FileMoved => Code::Unavailable,
            Replan | ShuttingDown | Overloaded => Code::Unavailable,
            Fault { .. } => Code::Server,
            _ => Code::Jql,
        }
    }

    /// The HTTP status that the problem is answered with.
    pub fn status(&self) -> u16 {
        match self {
            Problem::MethodNotAllowed { .. } => 405,
            Problem::BodyTooLarge { .. } => 413,
            Problem::MediaType { .. } | Problem::Encoded => 415,
            Problem::TooSlow => 408,
            _ => self.code().statuses()[0],
        }
    }

    /// The sentence for whoever owns the database: with the cause, which a client is not told.
    pub fn for_owner(&self) -> String {
        match self {
            Problem::Fault { cause } | Problem::Unwritable { cause } => cause.clone(),
            problem => problem.to_string(),
        }
    }

    /// The sentence, and what can be done instead.
    pub fn with_hint(&self) -> String {
        match self.hint() {
            Some(hint) => format!("{self}; {hint}"),
            None => self.to_string(),
        }
    }

    /// What the client can do instead, where there is something to say.
    pub fn hint(&self) -> Option<String> {
        use Problem::*;
        match self {
            UnknownKey { nearest: Some(name), .. }
            | NoSuchModel { nearest: Some(name), .. }
            | NoSuchSnapshot { nearest: Some(name), .. }
            | NoSuchField { nearest: Some(name), .. }
            | NoSuchFunction { nearest: Some(name), .. } => Some(format!("did you mean \"{name}\"?")),
            NoSuchFunction { known, .. } => Some(format!("there are {}", known.join(", "))),
            NoSuchIntent { served, .. } | NotForModel { served, .. } => Some(format!("served: {}", served.join(", "))),
            NoSuchLookup { accepted, .. } => Some(format!("it takes {}", accepted.join(", "))),
            NotUnique { accepted, .. } => Some(format!("name one of: {}", accepted.join("; "))),
            UnknownClass { .. } => Some("served: \"apiKey\"".into()),
            NoSuchSchema { .. } => Some("served: \"model\", \"controller\"".into()),
            Stale { .. } => Some("read the record again, and send its version".into()),
            TooManyAffected { .. } => Some("narrow the filter, or raise \"maxAffected\"".into()),
            WouldLose { .. } => Some("send \"allowDataLoss\": true to go on without".into()),
            KeyReused => Some("send another Idempotency-Key with another request".into()),
            InFlight => Some("wait for its answer, or ask again".into()),
            Encoded => Some("send it as it is".into()),
            MediaType { .. } => Some("send Content-Type: application/json".into()),
            KeyInUrl => Some("send it as Authorization: Bearer <key>, and rotate it: URLs are kept in logs".into()),
            NotNested { field, .. } => Some(format!("ask for it with \"{field}\": null")),
            AnswerTooLarge { .. } => Some("lower the limits of the page and of its nested lists".into()),
            CascadeTooDeep { .. } => Some("delete the records at the end of the row first".into()),
            TooMuchSearched => Some(r"write (?-u:\b), which knows words of ASCII only".into()),
            Timeout { .. } => Some("narrow the filter, or index the fields it names".into()),
            _ => None,
        }
    }

    /// Seconds after which a retry makes sense.
    pub fn retry_after(&self) -> Option<u64> {
        match self {
            Problem::TooFast { wait, .. } | Problem::TooManyWrongKeys { wait } => Some(wait.as_secs() + 1),
            _ => (self.code() == Code::Unavailable).then_some(1),
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        use Problem::*;
        match self {
            NoSuchPath { path } => write!(f, "there is nothing at {path}"),
            MethodNotAllowed { allow } => write!(f, "this path takes {allow}"),
            BodyTooLarge { limit } => write!(f, "the body is larger than {limit} bytes"),
            Encoded => write!(f, "the body has a Content-Encoding, and this server reads none"),
            MediaType { given: Some(given) } => write!(f, "the body is {given}, not application/json"),
            MediaType { given: None } => write!(f, "the body has no Content-Type"),
            TooSlow => write!(f, "the request did not arrive in time"),
            BadHttp { what } => write!(f, "bad HTTP: {what}"),
            ForeignOrigin => write!(f, "requests from pages of another origin are refused"),
            KeyInUrl => write!(f, "a key was sent in the URL"),

            MalformedJson { why } => write!(f, "the body is not JSON: {why}"),
            RepeatedKey { key } => write!(f, "the key \"{key}\" stands twice in one object"),
            WrongForm { what, wanted, given } => write!(f, "{what} must be {wanted}, not {given}"),
            UnknownKey { place, key, .. } => write!(f, "{place} has no key \"{key}\""),
            MissingKey { place, key } => write!(f, "{place} needs the key \"{key}\""),
            UselessKey { key, intent } => write!(f, "\"{key}\" means nothing for the intent {intent}"),
            TooMany { what, limit } => write!(f, "a request may hold at most {limit} {what}"),

            Unauthenticated => write!(f, "Authentication failed"),
            KeyExpired { at } => write!(f, "the key expired at {at}"),
            SecretReplaced { at } => write!(f, "the key has a new secret; this one ended at {at}"),
            KeyRevoked => write!(f, "the key was revoked"),
            KeyDisabled => write!(f, "the key is disabled"),
            KeyTooOld => write!(f, "the key's secret is older than this server allows; rotate it"),
            KeyNotFromHere => write!(f, "the key may not be used from this address"),
            TooFast { rate, .. } => write!(f, "the key may send {rate} requests a minute"),
            TooManyWrongKeys { .. } => write!(f, "too many wrong keys came from this address"),
            UnknownClass { given } => write!(f, "the authentication class \"{given}\" is not served; \"apiKey\" is"),

            CannotGrant { what } => write!(f, "a key cannot give {what}, which it does not have itself"),
            NotForModel { model, intent, .. } => write!(f, "{model} does not take the intent {intent}"),
            SecretNotKept => {
                write!(f, "an answer with a key in it is kept nowhere; send the request without Idempotency-Key")
            }
            Forbidden { permission } => write!(f, "the key lacks the permission {permission}"),
            NoSuchModel { namespace, .. } => write!(f, "there is no model {namespace}"),
            NoSuchIntent { given, .. } => write!(f, "there is no intent \"{given}\""),
            NoSuchSchema { given } => write!(f, "there is no schema \"{given}\""),
            NoFixture => {
                write!(
                    f,
                    "there is no system.Fixture here: it exists on a server for tests only, `jqlite serve --ephemeral`"
                )
            }
            NoSuchSnapshot { name, .. } => write!(f, "there is no snapshot \"{}\"", shown(name)),
            TooManySnapshots { most } => {
                write!(f, "there are {most} snapshots, and no more are held; take it under a name of theirs")
            }
            NoSuchController { namespace, intent } => write!(f, "no controller {namespace} takes the intent {intent}"),
            NoSuchFunction { given, .. } => write!(f, "there is no function \"{given}\""),
            NoSuchField { model, field, .. } => write!(f, "{model} has no field \"{field}\""),
            NoSuchLookup { field, lookup, .. } => write!(f, "\"{field}\" has no lookup \"{lookup}\""),
            NotNested { model, field } => write!(f, "\"{field}\" of {model} is a plain field and holds no others"),
            BadValue { field, kind, value, why } => {
                write!(f, "\"{field}\" is {kind} and cannot be {value}{}{why}", if why.is_empty() { "" } else { ": " })
            }
            Refused { field, why } => write!(f, "\"{field}\" {why}"),
            Required { model, field } => write!(f, "{model} needs the field \"{field}\""),
            ReadOnly { field, why } => write!(f, "\"{field}\" cannot be written: {why}"),
            NotUnique { model, .. } => write!(f, "\"uniqueObject\" does not name one record of {model}"),
            NothingToChange => write!(f, "the update names no field to change"),
            NoSuchReference { model, id } => write!(f, "there is no {model} with id {id}"),
            CascadeTooDeep { most } => {
                write!(f, "the deletion leads from record to record more than {most} times in a row")
            }
            TooMuchSearched => {
                write!(f, r"a regular expression with \b or \B takes too long on a long text that is not all ASCII")
            }
            Overflow => write!(f, "a total of floats is beyond what a float can hold"),
            AnswerTooLarge { most } => write!(f, "the answer would hold more than {most}"),

            NoSuchRecord { model, what } => write!(f, "there is no {model} with {what}"),
            Taken { model, fields } => write!(f, "another {model} has this {} already", fields.join(" and ")),
            Stale { model, version } => write!(f, "the {model} has been changed; its version is {version} now"),
            TooManyAffected { model, count, most } => {
                write!(f, "{count} {model} records match, and at most {most} may be changed; nothing was")
            }
            WouldLose { what } => write!(f, "this would lose {what}; nothing was changed"),
            Unfit { why } => f.write_str(why),
            KeyEnded => write!(f, "the key was revoked, which is for good"),
            KeyReused => write!(f, "this Idempotency-Key was sent with another request"),
            InFlight => write!(f, "a request with this Idempotency-Key is being carried out"),
            StillReferenced { model, by } if by.is_empty() => {
                write!(f, "the {model} is still referred to by other records")
            }
            StillReferenced { model, by } => write!(f, "the {model} is still referred to by {}", by.join(" and ")),
            Timeout { limit } => write!(f, "the query took longer than {limit:?} and was stopped"),
            Busy => write!(f, "another process holds the database; try again"),
            DiskFull => write!(f, "the disk is full; nothing was changed"),
            Unwritable { .. } => write!(f, "the database cannot be written; nothing was changed"),
            FileMoved => write!(f, "the database file, or one beside it, was moved, replaced or deleted while in use"),
            Replan => write!(f, "the models are being changed; try again"),
            ShuttingDown => write!(f, "the server is stopping; try again"),
            Overloaded => write!(f, "too many requests wait; try again"),

            Fault { .. } => write!(f, "an unexpected error happened; the server's log has it under the request id"),
        }
    }
}

/// The nearest of `known` to `given`, where one is near enough to be what was meant: a third of
/// its letters may differ.
pub fn nearest<'a>(given: &str, known: impl IntoIterator<Item = &'a str>) -> Option<String> {
    known
        .into_iter()
        .filter(|_| given.len() <= 100)
        .map(|name| (strsim::damerau_levenshtein(given, name), name))
        .filter(|(distance, name)| distance * 3 <= name.len().max(3))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, name)| name.to_owned())
}

/// Text as a terminal may show it: nothing in it moves the cursor, changes colours, turns the direction of what follows or
/// is not seen at all.
pub fn plain(text: &str) -> String {
    escaped(text, |c| c.is_control(), |c| c.escape_default().to_string())
}

/// The same of several lines, which stay that.
pub fn plain_lines(text: &str) -> String {
    text.split('\n').map(plain).collect::<Vec<_>>().join("\n")
}

/// The same of JSON, whose value stays what it is. Below a blank nothing stands in it but the breaks between values.
pub fn plain_json(json: &str) -> String {
    escaped(json, |c| c.is_control() && c >= ' ', |c| format!("\\u{:04x}", u32::from(c)))
}

fn escaped(text: &str, is_control: impl Fn(char) -> bool, escape: impl Fn(char) -> String) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if is_control(c) || is_unseen(c) { out.push_str(&escape(c)) } else { out.push(c) }
    }
    out
}

/// Unicode's marks of direction and characters without a shape.
fn is_unseen(c: char) -> bool {
    matches!(c, '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

/// `1 record`, `2 records`.
pub fn so_many(count: impl Into<i128>, what: &str) -> String {
    let count = count.into();
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}

/// A JSON value as an error shows it: cut after 40 characters, so that an answer stays small.
pub fn shown(value: &impl fmt::Display) -> String {
    let text = value.to_string();
    match text.char_indices().nth(40) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::{plain, plain_json, plain_lines};

    #[test]
    fn what_a_terminal_shows_is_what_is_there() {
        for (text, shown) in [
            ("naïve e\u{301} 日本 🙂", "naïve e\u{301} 日本 🙂"),
            ("a\u{1b}[31m\n", "a\\u{1b}[31m\\n"),
            ("\u{202e}evil\u{2066}", "\\u{202e}evil\\u{2066}"),
            ("ad\u{200b}min", "ad\\u{200b}min"),
        ] {
            assert_eq!(plain(text), shown);
        }
        assert_eq!(plain_lines("a\nb\u{9b}\r\n"), "a\nb\\u{9b}\\r\n");
    }

    #[test]
    fn json_for_a_terminal_is_the_same_value() {
        let value = serde_json::json!({ "\u{7f}\u{9b}": ["\u{202e}evil", "a\n\u{1b}é🙂\\"] });
        let shown = plain_json(&serde_json::to_string_pretty(&value).unwrap());
        assert_eq!(shown.lines().count(), 6, "{shown}");
        assert_eq!(shown.replace('\n', ""), plain(&shown.replace('\n', "")));
        assert_eq!(serde_json::from_str::<serde_json::Value>(&shown).unwrap(), value);
    }
}
