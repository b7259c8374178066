//! What whoever imports should know.

use super::schema::Table;
use std::fmt;

/// Something that whoever imports should know.
pub struct Note {
    pub table: String,
    /// The part of the table; empty for all of it.
    pub what: String,
    pub why: String,
}

/// Notes as they come up.
#[derive(Default)]
pub(super) struct Notes {
    pub left: Vec<Note>,
    pub changed: Vec<Note>,
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.table)?;
        if !self.what.is_empty() {
            write!(f, ", {}", self.what)?;
        }
        write!(f, ": {}", self.why)
    }
}

impl Notes {
    pub fn leave(&mut self, table: &Table, what: &str, why: impl Into<String>) {
        self.left.push(Note { table: table.name.clone(), what: what.to_owned(), why: why.into() });
    }

    pub fn change(&mut self, table: &Table, what: &str, why: impl Into<String>) {
        self.changed.push(Note { table: table.name.clone(), what: what.to_owned(), why: why.into() });
    }
}
