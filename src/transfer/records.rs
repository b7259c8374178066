//! The records of a file, one by one, with the lines they stand on.

use super::cell;
use super::load::Origin;
use crate::cli::FileFormat;
use crate::error::nearest;
use crate::json::{Json, Object, number};
use crate::model::Model;
use std::fmt::Display;
use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Bytes of the longest line of JSON.
const LONGEST_LINE: u64 = 16 << 20;

/// A file to be loaded.
#[derive(Clone)]
pub struct Source {
    pub path: PathBuf,
    pub format: FileFormat,
    pub model: Arc<Model>,
    pub names: Names,
}

/// What the file calls the fields.
#[derive(Clone)]
pub struct Names {
    /// A name in the file, and the field that it stands for.
    pub map: Vec<(String, String)>,
    /// Names in the file that stand for nothing.
    pub ignored: Vec<String>,
    /// What parts the cells of CSV.
    pub delimiter: u8,
}

impl Default for Names {
    fn default() -> Names {
        Names { map: Vec::new(), ignored: Vec::new(), delimiter: b',' }
    }
}

/// A record, or why the line holds none.
pub struct Record {
    pub line: u64,
    pub values: Result<Object, String>,
}

/// A place in a file, and all that stands before it, as a hash.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Mark {
    pub line: u64,
    pub content: String,
}

/// A file that is being read.
pub struct Records {
    from: From,
    line: u64,
    hash: blake3::Hasher,
    model: Arc<Model>,
    names: Names,
}

enum From {
    Lines { reader: BufReader<Counted>, line: u64, bytes: Vec<u8> },
    Table { reader: csv::Reader<Counted>, header: Vec<Option<String>>, row: csv::StringRecord },
}

/// A reader that tells how far it is.
struct Counted {
    inner: Box<dyn Read + Send>,
    bytes: u64,
    /// Quotation marks so far: of CSV that is whole, an even number.
    quotes: usize,
}

impl Read for Counted {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let read = self.inner.read(buffer)?;
        self.bytes += read as u64;
        self.quotes += memchr::memchr_iter(b'"', &buffer[..read]).count();
        Ok(read)
    }
}

impl Source {
    /// Whether it is one, and not standard input.
    pub fn is_file(&self) -> bool {
        self.path != Path::new("-")
    }

    /// Bytes of the file; 0 where nobody knows.
    pub fn size(&self) -> u64 {
        std::fs::metadata(&self.path).map_or(0, |file| file.len())
    }

    /// # Errors
    /// The file cannot be read, or its first line names what is no field.
    pub fn open(&self) -> Result<Records, String> {
        let inner: Box<dyn Read + Send> = if !self.is_file() {
            Box::new(std::io::stdin())
        } else {
            Box::new(File::open(&self.path).map_err(|error| self.described(0, &error))?)
        };
        let counted = Counted { inner, bytes: 0, quotes: 0 };
        let from = match self.format {
            FileFormat::Jsonl => {
                From::Lines { reader: BufReader::with_capacity(1 << 16, counted), line: 0, bytes: Vec::new() }
            }
            FileFormat::Csv => self.table(counted)?,
        };
        let hash = blake3::Hasher::new();
        Ok(Records { from, line: 0, hash, model: self.model.clone(), names: self.names.clone() })
    }

    fn table(&self, counted: Counted) -> Result<From, String> {
        let mut builder = csv::ReaderBuilder::new();
        builder.delimiter(self.names.delimiter).buffer_capacity(1 << 16);
        let mut reader = builder.from_reader(counted);
        let names = reader.headers().map_err(|error| self.described(1, &error))?.clone();
        let mut header: Vec<Option<String>> = Vec::new();
        for name in &names {
            let field = self.names.field(name);
            if let Some(field) = field {
                self.known(field)?;
                if header.iter().flatten().any(|known| known == field) {
                    return Err(self.described(1, &format!("\"{field}\" stands twice")));
                }
            }
            header.push(field.map(str::to_owned));
        }
        Ok(From::Table { reader, header, row: csv::StringRecord::new() })
    }

    fn known(&self, name: &str) -> Result<(), String> {
        if name == "id" || self.model.field(name).is_some() {
            return Ok(());
        }
        let fields = self.model.fields.iter().map(|field| field.name.as_str());
        let hint = nearest(name, fields).map(|near| format!(", perhaps \"{near}\"")).unwrap_or_default();
        let way = "--map and --ignore say what a column stands for";
        Err(self.described(1, &format!("{} has no field \"{name}\"{hint}; {way}", self.model.namespace)))
    }
}

impl Origin for Source {
    fn model(&self) -> &Arc<Model> {
        &self.model
    }

    /// Line 0 is the file.
    fn described(&self, line: u64, what: &dyn Display) -> String {
        match line {
            0 => format!("cannot read {}: {what}", self.path.display()),
            _ => format!("{}:{line}: {what}", self.path.display()),
        }
    }

    fn place(&self, line: u64) -> [(&'static str, Json); 2] {
        [("file", Json::String(self.path.display().to_string())), ("line", number(line))]
    }
}

impl Names {
    /// The field that a name of the file stands for; `None` where it stands for nothing.
    fn field<'n>(&'n self, name: &'n str) -> Option<&'n str> {
        if self.ignored.iter().any(|ignored| ignored == name) {
            return None;
        }
        Some(self.map.iter().find(|(from, _)| from == name).map_or(name, |(_, field)| field))
    }
}

impl Records {
    /// Bytes of the file that were read.
    pub fn bytes(&self) -> u64 {
        match &self.from {
            From::Lines { reader, .. } => reader.get_ref().bytes,
            From::Table { reader, .. } => reader.get_ref().bytes,
        }
    }

    /// The line of the last record.
    pub fn line(&self) -> u64 {
        self.line
    }

    /// Where the last record stood.
    pub fn mark(&self) -> Mark {
        Mark { line: self.line, content: self.hash.finalize().to_hex().to_string() }
    }

    /// The next record; `None` at the end.
    ///
    /// # Errors
    /// The file cannot be read on, and its line.
    pub fn next(&mut self) -> Result<Option<Record>, (u64, String)> {
        let record = self.read()?;
        self.line = record.as_ref().map_or(self.line, |record| record.line);
        Ok(record)
    }

    fn read(&mut self) -> Result<Option<Record>, (u64, String)> {
        let hash = &mut self.hash;
        match &mut self.from {
            From::Lines { reader, line, bytes } => loop {
                bytes.clear();
                *line += 1;
                let read = reader.by_ref().take(LONGEST_LINE).read_until(b'\n', bytes);
                if read.map_err(|error| (*line, error.to_string()))? == 0 {
                    return Ok(None);
                }
                if bytes.len() as u64 == LONGEST_LINE {
                    return Err((*line, "the line is longer than 16 MiB".into()));
                }
                hash.update(bytes);
                let text = bytes.strip_prefix("\u{feff}".as_bytes()).filter(|_| *line == 1).unwrap_or(bytes);
                if !text.trim_ascii().is_empty() {
                    return Ok(Some(Record { line: *line, values: object(text, &self.names) }));
                }
            },
            From::Table { reader, header, row } => {
                let read = reader.read_record(row);
                let line = row.position().map_or(0, csv::Position::line);
                for cell in row.iter() {
                    hash.update(&(cell.len() as u64).to_le_bytes()).update(cell.as_bytes());
                }
                match read {
                    Ok(false) if reader.get_ref().quotes % 2 == 1 => {
                        Err((line, "the quotation marks are odd in number: one is never closed".into()))
                    }
                    Ok(false) => Ok(None),
                    Ok(true) => Ok(Some(Record { line, values: cells(&self.model, header, row) })),
                    Err(error) => match error.kind() {
                        csv::ErrorKind::UnequalLengths { expected_len, len, pos } => {
                            let line = pos.as_ref().map_or(line, csv::Position::line);
                            let values = Err(format!("it has {len} cells, and the first line {expected_len}"));
                            Ok(Some(Record { line, values }))
                        }
                        csv::ErrorKind::Utf8 { pos, .. } => {
                            let line = pos.as_ref().map_or(line, csv::Position::line);
                            Ok(Some(Record { line, values: Err("it is not UTF-8".into()) }))
                        }
                        _ => Err((line, error.to_string())),
                    },
                }
            }
        }
    }
}

fn object(text: &[u8], names: &Names) -> Result<Object, String> {
    let json = Json::parse(text).map_err(|error| format!("it is not JSON: {error}"))?;
    if let Some(key) = json.repeated_keys(1).first() {
        return Err(format!("{key} stands twice"));
    }
    let Json::Object(mut members) = json else { return Err("it is not a JSON object".into()) };
    if !names.map.is_empty() || !names.ignored.is_empty() {
        members.retain_mut(|(name, _)| match names.field(name).map(Into::into) {
            Some(field) => {
                *name = field;
                true
            }
            None => false,
        });
    }
    Ok(members)
}

fn cells(model: &Model, header: &[Option<String>], row: &csv::StringRecord) -> Result<Object, String> {
    let mut record = Object::with_capacity(header.len());
    for (name, text) in header.iter().zip(row) {
        if let Some(name) = name {
            cell::read(name, model.field(name).map(|field| &**field), text, &mut record)?;
        }
    }
    Ok(record)
}
