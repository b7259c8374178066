//! The server's own log: a line an event on standard error, as text or as JSON, with no secret and nothing that moves a
//! cursor in it. A line that cannot be written is lost, and nothing else: whoever closed standard error does not end
//! the server with it.

use crate::auth::text;
use crate::error::{Errors, Problem, plain, plain_json, plain_lines};
use crate::json::Json;
use crate::lock::assert_none;
use crate::value::time;
use smol_str::SmolStr;
use std::cell::RefCell;
use std::fmt;
use std::io::Write;
use std::sync::atomic::{AtomicBool, Ordering};

/// How much a line matters.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Level {
    /// Something is broken.
    Error,
    /// Something was not done, or is not as it should be.
    Warning,
    Info,
}

impl Level {
    fn name(self) -> &'static str {
        match self {
            Level::Error => "error",
            Level::Warning => "warning",
            Level::Info => "info",
        }
    }
}

static AS_JSON: AtomicBool = AtomicBool::new(false);

thread_local! {
    /// The request that the thread is at.
    static REQUEST: RefCell<Option<SmolStr>> = const { RefCell::new(None) };
}

/// Has every line from now on written as a JSON object.
pub fn as_json() {
    AS_JSON.store(true, Ordering::Relaxed);
}

/// Lines of this thread are about the request of this id, until what is given back is dropped.
pub fn about(request_id: &SmolStr) -> About {
    About(REQUEST.replace(Some(request_id.clone())))
}

/// A request that the thread is at, and the one that it was at before.
pub struct About(Option<SmolStr>);

impl Drop for About {
    fn drop(&mut self) {
        REQUEST.set(self.0.take());
    }
}

/// Writes a line.
pub fn line(level: Level, text: fmt::Arguments<'_>) {
    // A panic may be logged while the thread is at its end, when there is no request any more.
    let request = REQUEST.try_with(|request| request.try_borrow().ok()?.clone()).ok().flatten();
    let event = Event { at: &time::now(), level, request: request.as_deref(), message: &text.to_string() };
    let line = if AS_JSON.load(Ordering::Relaxed) { event.json() } else { event.text() };
    write(&line);
}

/// Writes the causes of faults, which no client is told, under the id of the request that met them.
pub fn faults(errors: &Errors, request_id: &SmolStr) {
    for error in errors {
        if let Problem::Fault { cause } = &error.problem {
            let _about = about(request_id);
            line(Level::Error, format_args!("{cause}"));
        }
    }
}

/// Tells whoever starts a command something: the sentence alone, or a line of the log where that is JSON.
pub fn message(level: Level, text: fmt::Arguments<'_>) {
    match AS_JSON.load(Ordering::Relaxed) {
        true => line(level, text),
        false => write(&plain_lines(&text::without_secrets(&text.to_string()))),
    }
}

/// Writes panics into the log. They end a connection at most: requests catch theirs.
pub fn panics() {
    std::panic::set_hook(Box::new(|panic| {
        let thread = std::thread::current();
        let thread = thread.name().unwrap_or("a thread");
        let place = panic.location().map(ToString::to_string).unwrap_or_default();
        let message = panic.payload_as_str().unwrap_or("a panic");
        line(Level::Error, format_args!("{thread} panicked at {place}: {message}"));
    }));
}

fn write(line: &str) {
    assert_none();
    let _ = std::io::stderr().lock().write_all(format!("{line}\n").as_bytes());
}

/// What a line tells.
struct Event<'e> {
    at: &'e str,
    level: Level,
    request: Option<&'e str>,
    message: &'e str,
}

impl Event<'_> {
    fn text(&self) -> String {
        let request = self.request.map(|id| format!("request {id}: ")).unwrap_or_default();
        let line = format!("{} {}: {request}{}", self.at, self.level.name(), text::without_secrets(self.message));
        plain(&line)
    }

    fn json(&self) -> String {
        let text = |text: &str| Json::String(text.to_owned());
        let members = vec![
            ("at".into(), text(self.at)),
            ("level".into(), text(self.level.name())),
            ("request_id".into(), self.request.map_or(Json::Null, text)),
            ("message".into(), text(&text::without_secrets(self.message))),
        ];
        plain_json(&Json::Object(members).to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MESSAGE: &str = "a\nb\u{1b}[2J \u{9b}x \"q\" jql_0123456789ab_0123456789secret";

    fn event(request: Option<&'static str>) -> Event<'static> {
        Event { at: "2026-01-31T09:30:00.000000Z", level: Level::Error, request, message: MESSAGE }
    }

    #[test]
    fn a_line_is_one_line_without_secrets() {
        let said = r#"a\nb\u{1b}[2J \u{9b}x "q" jql_0123456789ab_…"#;
        assert_eq!(event(None).text(), format!("2026-01-31T09:30:00.000000Z error: {said}"));
        assert_eq!(event(Some("r-1")).text(), format!("2026-01-31T09:30:00.000000Z error: request r-1: {said}"));
    }

    #[test]
    fn a_line_is_one_json_object() {
        let said = r#""a\nb\u001b[2J \u009bx \"q\" jql_0123456789ab_…""#;
        let members = r#""at":"2026-01-31T09:30:00.000000Z","level":"error","request_id":"#;
        assert_eq!(event(Some("r-1")).json(), format!(r#"{{{members}"r-1","message":{said}}}"#));
        assert_eq!(event(None).json(), format!(r#"{{{members}null,"message":{said}}}"#));
    }
}
