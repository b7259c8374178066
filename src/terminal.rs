//! What commands print: results on standard output, safe for a terminal, or as JSON.

use crate::json::Json;
use crate::value::{Scalar, time};
use std::io::Write;

/// Why a command failed, for the person who gave it.
pub type Failed = String;

/// Writes to standard output. A reader that stops reading ends the command without a word.
pub fn print(bytes: &[u8]) -> Result<(), Failed> {
    let mut out = std::io::stdout().lock();
    match out.write_all(bytes).and_then(|()| out.flush()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
            Err(format!("cannot write to standard output: {error}"))
        }
        _ => Ok(()),
    }
}

pub fn print_line(text: &str) -> Result<(), Failed> {
    print(format!("{text}\n").as_bytes())
}

/// Text as a terminal may show it: nothing in it moves the cursor or changes colours.
pub fn plain(text: &str) -> String {
    text.chars().flat_map(|c| if c.is_control() { c.escape_default().collect::<Vec<_>>() } else { vec![c] }).collect()
}

/// A table that fits the terminal, or a JSON list of objects.
pub fn print_table(json: bool, names: &[&str], rows: &[Vec<Scalar>]) -> Result<(), Failed> {
    if json {
        return print_line(&Json::List(rows.iter().map(|row| object(names, row)).collect()).to_string());
    }
    let mut table = comfy_table::Table::new();
    table.load_style(comfy_table::presets::NOTHING).set_content_arrangement(comfy_table::ContentArrangement::Dynamic);
    if let Some((width, _)) = terminal_size::terminal_size() {
        table.set_width(width.0);
    }
    table.set_header(names.iter().map(|name| name.to_uppercase().replace('_', " ")));
    for row in rows {
        table.add_row(row.iter().map(shown));
    }
    print_line(&table.trim_fmt())
}

/// A cell of a table. Moments are cut to the second, so that more columns fit.
fn shown(cell: &Scalar) -> String {
    match cell {
        Scalar::Null => "-".to_owned(),
        Scalar::Text(text) => plain(&moment(text)),
        other => other.to_string(),
    }
}

/// A moment, cut to the second; any other text as it is.
pub fn moment(text: &str) -> String {
    match time::parse_datetime(text).as_deref() {
        Ok(moment) if moment == text => format!("{}Z", &text[..19]),
        _ => text.to_owned(),
    }
}

/// Text in lines that fit the terminal, each behind this indent; in one where there is none.
pub fn wrap(text: &str, indent: &str) -> String {
    let width = terminal_size::terminal_size().map_or(usize::MAX, |(width, _)| usize::from(width.0));
    textwrap::fill(text, textwrap::Options::new(width).initial_indent(indent).subsequent_indent(indent))
}

/// A row as a JSON object.
pub fn object(names: &[&str], row: &[Scalar]) -> Json {
    Json::Object(names.iter().zip(row).map(|(name, cell)| ((*name).to_owned(), to_json(cell))).collect())
}

fn to_json(cell: &Scalar) -> Json {
    match cell {
        Scalar::Null => Json::Null,
        Scalar::Integer(number) => Json::Integer(*number),
        Scalar::Real(number) => Json::Number(format!("{number:?}")),
        Scalar::Text(text) => Json::String(text.clone()),
    }
}

pub fn text(text: &str) -> Scalar {
    Scalar::Text(text.to_owned())
}

pub fn maybe(value: Option<&str>) -> Scalar {
    value.map_or(Scalar::Null, text)
}
