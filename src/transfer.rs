//! Records in and out of files: JSON Lines and CSV, a file a model. What is dumped loads again, equal.
//!
//! [`records`] reads a file's records, [`files`] hands those of all files over, [`load`] has them in the database, [`dump`]
//! writes them out, [`cell`] is what stands in a cell of CSV.

mod cell;
pub mod dump;
pub mod files;
pub mod load;
mod progress;
pub mod records;
mod waiting;

use crate::access::Namespace;
use crate::cli::FileFormat;
use std::path::Path;

/// The form that a file's name tells.
pub fn format_of(path: &Path) -> Option<FileFormat> {
    let ending = path.extension()?.to_str()?.to_ascii_lowercase();
    [FileFormat::Jsonl, FileFormat::Csv].into_iter().find(|format| ending_of(*format) == ending)
}

/// How the name of such a file ends.
pub fn ending_of(format: FileFormat) -> &'static str {
    match format {
        FileFormat::Jsonl => "jsonl",
        FileFormat::Csv => "csv",
    }
}

/// The model that a file's name tells, be it `tickets.Ticket.jsonl` or, to have a place in an order,
/// `03-tickets.Ticket.csv`.
pub fn model_of(path: &Path) -> Option<Namespace> {
    let stem = path.file_stem()?.to_str()?;
    let unnumbered = stem.trim_start_matches(|c: char| c.is_ascii_digit());
    unnumbered.strip_prefix('-').unwrap_or(stem).parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_tells_form_and_model() {
        let model = |name: &str| model_of(Path::new(name)).map(|model| model.to_string());
        assert_eq!(model("seed/03-tickets.Ticket.csv").as_deref(), Some("tickets.Ticket"));
        assert_eq!(model("tickets.Ticket.jsonl").as_deref(), Some("tickets.Ticket"));
        assert_eq!(model("tickets.jsonl"), None);
        assert_eq!(format_of(Path::new("a.b.CSV")), Some(FileFormat::Csv));
        assert_eq!(format_of(Path::new("a.b")), None);
    }
}
