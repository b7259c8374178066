//! The server's own log: one line on standard error. A line that cannot be written is lost, and nothing else:
//! whoever closed standard error does not end the server with it.

use crate::error::{Errors, Problem};
use crate::value::time;
use std::fmt;
use std::io::Write;

/// Writes a line, with the moment before it.
pub fn line(text: fmt::Arguments<'_>) {
    let _ = writeln!(std::io::stderr().lock(), "{} {text}", time::now());
}

/// Writes the causes of faults, which no client is told, under the id of the request that met them.
pub fn faults(errors: &Errors, request_id: &str) {
    for error in errors {
        if let Problem::Fault { cause } = &error.problem {
            line(format_args!("request {request_id}: {}", cause.escape_debug()));
        }
    }
}
