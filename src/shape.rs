//! Rows -> the JSON that was asked for, written straight into the bytes of the answer.

use crate::compile::{Cell, Holds};
use crate::json::{write_list, write_string};
use crate::run::{Loaded, Nested};
use crate::value::Scalar;
use std::collections::BTreeSet;
use std::ops::Range;

/// Appends a list of records, and notes the paths of nested lists that were cut.
pub fn records(loaded: &Loaded, truncated: &mut BTreeSet<String>, out: &mut Vec<u8>) {
    list(loaded, 0..loaded.rows.len(), truncated, out);
}

/// Appends the first record.
pub fn record(loaded: &Loaded, truncated: &mut BTreeSet<String>, out: &mut Vec<u8>) {
    object(loaded, &loaded.cells, loaded.rows.row(0), truncated, out);
}

fn list(loaded: &Loaded, rows: Range<usize>, truncated: &mut BTreeSet<String>, out: &mut Vec<u8>) {
    write_list(rows, out, |index, out| object(loaded, &loaded.cells, loaded.rows.row(index), truncated, out));
}

fn object(loaded: &Loaded, cells: &[Cell], row: &[Scalar], truncated: &mut BTreeSet<String>, out: &mut Vec<u8>) {
    out.push(b'{');
    for (index, cell) in cells.iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        write_string(&cell.name, out);
        out.push(b':');
        match &cell.holds {
            Holds::Value { column, kind } => kind.write(&row[*column], out),
            Holds::Record { id, .. } if row[*id] == Scalar::Null => out.extend_from_slice(b"null"),
            Holds::Record { cells, .. } => object(loaded, cells, row, truncated, out),
            Holds::List { child } => {
                let nested = &loaded.children[*child];
                list(&nested.loaded, page(nested, row, truncated), truncated, out);
            }
            Holds::Ids { child, kind } => {
                let nested = &loaded.children[*child];
                let ids = page(nested, row, truncated);
                // A list of ids is a list of records that hold nothing else.
                let Some(Holds::Value { column, .. }) = nested.loaded.cells.first().map(|cell| &cell.holds) else {
                    continue;
                };
                write_list(ids, out, |index, out| kind.write(&nested.loaded.rows.row(index)[*column], out));
            }
        }
    }
    out.push(b'}');
}

/// The rows of a nested list, without the one that only tells that it was cut.
fn page(nested: &Nested, row: &[Scalar], truncated: &mut BTreeSet<String>) -> Range<usize> {
    let rows = nested.rows_of(row);
    let limit = usize::try_from(nested.limit).unwrap_or(usize::MAX);
    if rows.len() <= limit {
        return rows;
    }
    truncated.insert(nested.path.clone());
    rows.start..rows.start + limit
}
