//! Rows -> the JSON that was asked for, written straight into the bytes of the answer.

use crate::compile::{Cell, Holds};
use crate::error::Problem;
use crate::json::{Json, write_list};
use crate::run::{Loaded, Nested};
use crate::value::Scalar;
use std::collections::BTreeSet;
use std::ops::Range;

/// Bytes of the JSON of one answer. The rows that it is made of are bounded too, but one value may be asked for
/// under many names, and transforms may make it longer.
pub const MOST_WRITTEN: usize = 64 << 20;

/// Bytes that the transforms of one answer may work on.
pub const MOST_WORKED_ON: usize = MOST_WRITTEN;

/// What is said of an answer that would be larger.
pub const TOO_LARGE: Problem = Problem::AnswerTooLarge { most: "64 MiB of JSON" };

/// Writes records. What it notes on the way is the caller's once all is written.
#[derive(Default)]
pub struct Shape {
    /// The paths of nested lists that were cut.
    truncated: BTreeSet<String>,
    /// Bytes that transforms worked on. Nothing else bounds their time: what one makes long another may cut again.
    worked_on: usize,
    /// Whether there was more to write than may be.
    overflows: bool,
}

impl Shape {
    /// Appends a list of records.
    pub fn records(&mut self, loaded: &Loaded, out: &mut Vec<u8>) {
        self.list(loaded, 0..loaded.rows.len(), out);
    }

    /// Appends the first record.
    pub fn record(&mut self, loaded: &Loaded, out: &mut Vec<u8>) {
        self.object(loaded, &loaded.cells, loaded.rows.row(0), out);
    }

    /// The paths of nested lists that were cut, once all is written.
    ///
    /// # Errors
    /// The answer is too large, and what was written may not be whole.
    pub fn finish(self, written: &[u8]) -> Result<BTreeSet<String>, Problem> {
        if self.overflows || written.len() > MOST_WRITTEN { Err(TOO_LARGE) } else { Ok(self.truncated) }
    }

    fn list(&mut self, loaded: &Loaded, rows: Range<usize>, out: &mut Vec<u8>) {
        write_list(rows, out, |index, out| self.object(loaded, &loaded.cells, loaded.rows.row(index), out));
    }

    fn object(&mut self, loaded: &Loaded, cells: &[Cell], row: &[Scalar], out: &mut Vec<u8>) {
        out.push(b'{');
        for (index, cell) in cells.iter().enumerate() {
            self.overflows |= out.len() > MOST_WRITTEN;
            if self.overflows {
                return; // the answer will be refused
            }
            if index > 0 {
                out.push(b',');
            }
            out.extend_from_slice(cell.label.as_bytes());
            if cell.steps.is_empty() {
                self.value(loaded, &cell.holds, row, out);
            } else {
                self.transformed(loaded, cell, row, out);
            }
        }
        out.push(b'}');
    }

    fn value(&mut self, loaded: &Loaded, holds: &Holds, row: &[Scalar], out: &mut Vec<u8>) {
        match holds {
            Holds::Value { column, kind } => kind.write(&row[*column], out),
            Holds::Record { id, .. } if row[*id] == Scalar::Null => out.extend_from_slice(b"null"),
            Holds::Record { cells, .. } => self.object(loaded, cells, row, out),
            Holds::List { child } => {
                let nested = &loaded.children[*child];
                let rows = self.page(nested, row);
                self.list(&nested.loaded, rows, out);
            }
            Holds::Ids { child, kind } => {
                let nested = &loaded.children[*child];
                let ids = self.page(nested, row);
                // A list of ids is a list of records that hold nothing else.
                let Some(Holds::Value { column, .. }) = nested.loaded.cells.first().map(|cell| &cell.holds) else {
                    return out.extend_from_slice(b"[]");
                };
                write_list(ids, out, |index, out| kind.write(&nested.loaded.rows.row(index)[*column], out));
            }
        }
    }

    /// What transforms make of a value, which they take in the form in which a client would get it.
    fn transformed(&mut self, loaded: &Loaded, cell: &Cell, row: &[Scalar], out: &mut Vec<u8>) {
        let mut plain = Vec::new();
        self.value(loaded, &cell.holds, row, &mut plain);
        self.worked_on = self.worked_on.saturating_add(plain.len());
        self.overflows |= self.worked_on > MOST_WORKED_ON;
        if self.overflows {
            return;
        }
        let mut value = Json::parse(&plain).unwrap_or(Json::Null); // what we wrote is JSON
        for step in &cell.steps {
            self.worked_on = self.worked_on.saturating_add(step.repeats(&value));
            self.overflows |= self.worked_on > MOST_WORKED_ON;
            if self.overflows {
                return;
            }
            value = step.apply(value);
        }
        value.write(out);
    }

    /// The rows of a nested list, without the one that only tells that it was cut.
    fn page(&mut self, nested: &Nested, row: &[Scalar]) -> Range<usize> {
        let rows = nested.rows_of(row);
        let limit = usize::try_from(nested.limit).unwrap_or(usize::MAX);
        if rows.len() <= limit {
            return rows;
        }
        self.truncated.insert(nested.path.to_string());
        rows.start..rows.start + limit
    }
}
