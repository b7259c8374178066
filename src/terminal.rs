//! What commands print: results on standard output, safe for a terminal, or as JSON.

use crate::error::{plain, plain_json};
use crate::json::Json;
use crate::lock::assert_none;
use crate::value::{Scalar, time};
use std::io::Write;
use std::time::Duration;

/// Why a command failed, for the person who gave it.
pub type Failed = String;

/// Writes to standard output. A reader that stops reading ends the command without a word.
pub fn print(bytes: &[u8]) -> Result<(), Failed> {
    print_while_read(bytes).map(drop)
}

/// Writes to standard output, and tells whether anyone still reads it.
pub fn print_while_read(bytes: &[u8]) -> Result<bool, Failed> {
    assert_none();
    let mut out = std::io::stdout().lock();
    match out.write_all(bytes).and_then(|()| out.flush()) {
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(false),
        Err(error) => Err(format!("cannot write to standard output: {error}")),
        Ok(()) => Ok(true),
    }
}

/// Waits for so long, but no longer than anyone reads standard output; whether someone does.
pub fn wait_while_read(time: Duration) -> bool {
    #[cfg(unix)]
    {
        use rustix::event::{PollFd, PollFlags, Timespec, poll};
        let out = std::io::stdout();
        let mut out = [PollFd::new(&out, PollFlags::empty())];
        let time = Timespec { tv_sec: time.as_secs().cast_signed(), tv_nsec: time.subsec_nanos().into() };
        let told = poll(&mut out, Some(&time)).is_ok_and(|found| found > 0);
        if told && out[0].revents().intersects(PollFlags::ERR | PollFlags::HUP) {
            return false;
        }
        if !told {
            return true;
        }
    }
    std::thread::sleep(time);
    true
}

/// The columns of a terminal; as many as are usual where output goes elsewhere.
pub fn width() -> usize {
    terminal_size::terminal_size().map_or(80, |(width, _)| usize::from(width.0))
}

pub fn print_line(text: &str) -> Result<(), Failed> {
    print(format!("{text}\n").as_bytes())
}

/// A line of JSON, as safe for a terminal as a table is.
pub fn print_json(json: &Json) -> Result<(), Failed> {
    print_line(&plain_json(&json.to_string()))
}

/// Tells people how far long work is: a bar on a terminal, and nothing elsewhere.
pub struct Progress(indicatif::ProgressBar);

impl Progress {
    /// `what` is done, such as `copying`.
    pub fn new(what: &'static str) -> Progress {
        let bar = indicatif::ProgressBar::new(0).with_message(what);
        let form = indicatif::ProgressStyle::with_template("{msg} {wide_bar} {percent} %, {eta} left");
        Progress(bar.with_style(form.expect("the template is well-formed")))
    }

    /// Shows a line above the bar, or on standard error where there is none.
    pub fn above(&self, line: &str) {
        self.0.suspend(|| eprintln!("{line}"));
    }

    pub fn say(&self, what: &str) {
        self.0.set_message(what.to_owned());
    }

    pub fn tell(&self, done: u64, all: u64) {
        self.0.set_length(all);
        self.0.set_position(done);
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}

/// A table that fits the terminal, or a JSON list of objects.
pub fn print_table(json: bool, names: &[&str], rows: &[Vec<Scalar>]) -> Result<(), Failed> {
    if json {
        return print_json(&Json::List(rows.iter().map(|row| object(names, row)).collect()));
    }
    let mut table = comfy_table::Table::new();
    table.load_style(comfy_table::presets::NOTHING).set_content_arrangement(comfy_table::ContentArrangement::Dynamic);
    if let Some((width, _)) = terminal_size::terminal_size() {
        table.set_width(width.0);
    }
    table.set_header(names.iter().map(|name| heading(name)));
    for row in rows {
        table.add_row(row.iter().map(shown));
    }
    print_line(&table.trim_fmt())
}

/// A table whose rows come by and by: each column is as wide as its widest cell so far.
pub struct Growing {
    widths: Vec<usize>,
}

impl Growing {
    /// A table of these columns, and its first line.
    pub fn new(names: &[&str]) -> (Growing, String) {
        let mut table = Growing { widths: vec![0; names.len()] };
        let line = table.line(names.iter().map(|name| heading(name)).collect());
        (table, line)
    }

    /// The lines of rows.
    pub fn lines(&mut self, rows: &[Vec<Scalar>]) -> String {
        let rows: Vec<Vec<String>> = rows.iter().map(|row| row.iter().map(shown).collect()).collect();
        for row in &rows {
            self.widen(row);
        }
        rows.into_iter().map(|row| self.line(row)).collect()
    }

    fn widen(&mut self, cells: &[String]) {
        for (width, cell) in self.widths.iter_mut().zip(cells) {
            *width = cell.chars().count().max(*width);
        }
    }

    fn line(&mut self, cells: Vec<String>) -> String {
        self.widen(&cells);
        let padded = cells.iter().zip(&self.widths).map(|(cell, width)| format!(" {cell:<width$} "));
        format!("{}\n", padded.collect::<String>().trim_end())
    }
}

/// How a column is headed.
fn heading(name: &str) -> String {
    name.to_uppercase().replace('_', " ")
}

/// Counts over time, drawn as text with nothing else in it, so that it can be read wherever text can: at most so many
/// columns wide and rows high, with what begins and ends the time below.
pub fn plot(counts: &[u64], columns: usize, rows: u32, begin: &str, end: &str) -> String {
    let highest = counts.iter().max().copied().unwrap_or(0);
    let wide = (columns.saturating_sub(highest.to_string().len() + 6) / counts.len().max(1)).max(1);
    // Each count stands as often as it is wide, above a line of zeros.
    let series: Vec<f64> = counts.iter().flat_map(|count| std::iter::repeat_n(*count as f64, wide)).collect();
    let zeros = vec![0.0; series.len()];
    let config = rasciigraph::Config::default().with_height(u32::try_from(highest).unwrap_or(rows).clamp(1, rows));
    let gap = series.len().saturating_sub(begin.chars().count() + end.chars().count()).max(1);
    let drawn = rasciigraph::plot_many(vec![zeros, series], config);
    let margin = drawn.chars().position(|c| "┤┼".contains(c)).unwrap_or(0) + 1;
    let lines: Vec<&str> = drawn.lines().map(str::trim_end).collect();
    format!("{}\n{:margin$}{begin}{:gap$}{end}", lines.join("\n"), "", "")
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
    Json::Object(names.iter().zip(row).map(|(name, cell)| ((*name).into(), to_json(cell))).collect())
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
