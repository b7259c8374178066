//! What the values of a column really are: SQLite keeps anything in most columns, whatever type they were declared with. Of the
//! types that come into question the first is taken that every value there is has the form of.

use super::schema::Table;
use crate::json::Json;
use crate::plan::load::IDS;
use crate::sql::{Alias, Statement};
use crate::store::foreign::Foreign;
use crate::store::{Failure, Stored};
use crate::value::{Scalar, Type, decimal};

/// Whole numbers that a float holds exactly.
const EXACT: u64 = 1 << 53;

/// Characters of a value that is shown.
const LONGEST_SHOWN: usize = 40;

/// The row that is read.
pub const ROW: Alias = Alias(0);

/// The values of a table.
pub struct Census {
    pub rows: u64,
    /// A column each, generated ones too.
    pub columns: Vec<Values>,
}

/// The values of a column.
pub struct Values {
    /// The types that fit all of them so far; the last one fits whatever is no row of bytes.
    fitting: Vec<Candidate>,
    /// Whether the declared type says what they should be.
    says_it: bool,
    /// The first value that does not fit that type, and why.
    pub misfit: Option<String>,
    pub nulls: u64,
    pub blobs: u64,
    /// Others than those.
    pub others: u64,
    /// Whether all of those could be ids of records: as whole numbers, and as UUIDs, for as long as they fit.
    pub are_ids: bool,
    pub as_uuids: Option<Candidate>,
    /// Whether what is declared makes UUIDs of 32 digits, which hashes look like.
    may_be_bare: bool,
}

/// A type that a column may have.
pub struct Candidate {
    pub kind: Type,
    pub max_length: Option<u64>,
    /// Values that are written in another way from then on, and the first of them: how it was, how it is.
    pub changed: u64,
    pub example: Option<(String, String)>,
}

/// Reads all rows of a table.
///
/// # Errors
/// They cannot be read.
pub fn take(file: &Foreign, table: &Table) -> Result<Census, Failure> {
    let mut census =
        Census { rows: 0, columns: table.columns.iter().map(|column| Values::of(&column.declared)).collect() };
    let read: Vec<usize> = (0..table.columns.len()).filter(|place| !table.columns[*place].is_generated).collect();
    let mut statement = Statement::default();
    statement.push("SELECT ").list(&read, ", ", |statement, place| {
        statement.column(ROW, &table.columns[*place].name);
    });
    statement.push(" FROM main.").name(&table.name).push(" AS t0 NOT INDEXED");
    file.session.each(&statement, |cells| {
        census.rows += 1;
        for (place, column) in read.iter().enumerate() {
            census.columns[*column].count(&cells.stored(place));
        }
    })?;
    Ok(census)
}

impl Values {
    fn of(declared: &str) -> Values {
        let candidate = |(kind, max_length)| Candidate { kind, max_length, changed: 0, example: None };
        let (says_it, kinds) = candidates(declared);
        let is_longer = |digits: &u32| *digits > decimal::MOST_DIGITS && kinds[0].0 == Type::Integer;
        let too_long = says_decimal(declared).filter(is_longer);
        Values {
            fitting: kinds.into_iter().map(candidate).collect(),
            says_it,
            misfit: too_long.map(|_| format!("a decimal has at most {} digits", decimal::MOST_DIGITS)),
            nulls: 0,
            blobs: 0,
            others: 0,
            are_ids: true,
            as_uuids: Some(candidate((Type::Uuid, None))),
            may_be_bare: says_uuid(declared),
        }
    }

    /// The type that they have.
    pub fn kind(&self) -> &Candidate {
        &self.fitting[0] // the last is never taken away
    }

    fn count(&mut self, value: &Stored<'_>) {
        match value {
            Stored::Null => return self.nulls += 1,
            Stored::Blob(_) => self.blobs += 1,
            _ => self.others += 1,
        }
        self.are_ids &= matches!(value, Stored::Integer(id) if IDS.contains(id));
        let is_bare = !self.may_be_bare && matches!(value, Stored::Text(text) if text.len() == 32);
        self.as_uuids.take_if(|uuids| is_bare || !uuids.takes(value));
        let (first, last) = (self.fitting[0].wanted(), self.fitting.len() - 1);
        let mut places = 0..;
        self.fitting.retain_mut(|candidate| candidate.takes(value) | places.next().is_none_or(|place| place == last));
        if self.says_it && self.fitting[0].wanted() != first {
            let why = || match first {
                (_, Some(most)) => format!("{} is longer than {most} characters", shown(value)),
                (kind, None) => format!("{} is not {}", shown(value), kind.described()),
            };
            self.misfit.get_or_insert_with(why);
        }
    }
}

impl Candidate {
    /// What a value has to be.
    fn wanted(&self) -> (Type, Option<u64>) {
        (self.kind, self.max_length)
    }

    /// Whether a value has its form; counts it where it is written in another way from then on.
    fn takes(&mut self, value: &Stored<'_>) -> bool {
        let fit = fit(self.kind, self.max_length, value);
        if let Fit::Changed(written) = &fit {
            self.changed += 1;
            // Of those that are written otherwise, a boolean alone is no text from then on.
            let now = || if self.kind == Type::Boolean { written.clone() } else { cut(written) };
            self.example.get_or_insert_with(|| (shown(value), now()));
        }
        fit != Fit::No
    }
}

/// How a value suits a type.
#[derive(Debug, PartialEq)]
enum Fit {
    No,
    AsItIs,
    /// It means the same, and is written in this way.
    Changed(String),
}

fn fit(kind: Type, max_length: Option<u64>, value: &Stored<'_>) -> Fit {
    match (kind, value) {
        (Type::Integer, Stored::Integer(_)) | (Type::Float, Stored::Real(_)) => Fit::AsItIs,
        (Type::Float, Stored::Integer(number)) if number.unsigned_abs() <= EXACT => Fit::AsItIs,
        (Type::Json, Stored::Integer(_)) => Fit::AsItIs,
        (Type::Json, Stored::Real(number)) if number.is_finite() => Fit::AsItIs,
        (Type::Text, Stored::Text(_)) => Fit::AsItIs,
        (Type::String | Type::Text, Stored::Text(_) | Stored::Integer(_) | Stored::Real(_)) => {
            let written = match json(kind, value) {
                Ok(Json::String(text)) => text,
                Ok(number) => number.to_string(),
                Err(_) => return Fit::AsItIs, // such a row is refused, whatever the type
            };
            match max_length {
                Some(most) if written.chars().count() as u64 > most => Fit::No,
                _ if matches!(value, Stored::Text(_)) => Fit::AsItIs,
                _ => Fit::Changed(written),
            }
        }
        (Type::Decimal { .. }, Stored::Integer(_) | Stored::Real(_)) => {
            match json(kind, value).map(|json| kind.coerce(&json)) {
                Ok(Ok(_)) => Fit::AsItIs,
                _ => Fit::No,
            }
        }
        (Type::Boolean, Stored::Integer(0 | 1)) => Fit::AsItIs,
        (Type::Boolean | Type::Date | Type::Datetime | Type::Time | Type::Uuid | Type::Json, Stored::Text(text)) => {
            let Ok(json) = json(kind, value) else { return Fit::No };
            match kind.coerce(&json) {
                Ok(Scalar::Null) | Err(_) => Fit::No, // null is a value of JSON, but none of a field's
                Ok(_) if !json.repeated_keys(1).is_empty() => Fit::No,
                Ok(Scalar::Text(written)) if written.as_bytes() == *text => Fit::AsItIs,
                Ok(Scalar::Integer(flag)) if kind == Type::Boolean => Fit::Changed((flag == 1).to_string()),
                Ok(written) => Fit::Changed(written.to_string()),
            }
        }
        _ => Fit::No,
    }
}

/// A value as a record brings it to a field of that type.
///
/// # Errors
/// What is wrong with it, as no JSON can say it.
pub fn json(kind: Type, value: &Stored<'_>) -> Result<Json, String> {
    match value {
        Stored::Null => Ok(Json::Null),
        Stored::Integer(number) => Ok(Json::Integer(*number)),
        Stored::Real(number) if number.is_finite() => Ok(Json::Number(format!("{number:?}"))),
        Stored::Real(number) => Ok(Json::String(number.to_string())),
        Stored::Text(bytes) if kind == Type::Json => {
            Json::parse(bytes).map_err(|error| format!("it is not JSON: {error}"))
        }
        Stored::Text(bytes) => {
            let text = std::str::from_utf8(bytes).map_err(|_| "it is not UTF-8".to_owned())?;
            Ok(Json::String(text.to_owned()))
        }
        Stored::Blob(_) => Err("it is a row of bytes".into()),
    }
}

/// Whether a declared type says what its values should be, and the types that come into question, the likeliest first:
/// <https://www.sqlite.org/datatype3.html#determination_of_column_affinity> and what else people write.
fn candidates(declared: &str) -> (bool, Vec<(Type, Option<u64>)>) {
    let declared = declared.to_ascii_uppercase();
    let (name, numbers) = declared.split_once('(').unwrap_or((&declared, ""));
    let mut numbers = numbers.trim_end_matches(')').split(',').map(|number| number.trim().parse::<u32>().ok());
    let (first, second) = (numbers.next().flatten(), numbers.next().flatten());
    let has = |part: &str| name.contains(part);
    let length = first.filter(|length| (1..=1_000_000_000).contains(length)).map(u64::from);
    let texts = match length {
        Some(_) => vec![(Type::String, length), (Type::Text, None)],
        None => vec![(Type::Text, None)],
    };
    let decimal = first
        .zip(second.or(Some(0)))
        .filter(|(digits, places)| (1..=decimal::MOST_DIGITS).contains(digits) && places <= digits);
    let likely = match decimal {
        _ if has("BOOL") => vec![Type::Boolean],
        _ if has("DATETIME") || has("TIMESTAMP") => vec![Type::Datetime],
        _ if has("DATE") => vec![Type::Date, Type::Datetime],
        _ if name.trim_start().starts_with("TIME") => vec![Type::Time],
        _ if has("UUID") || has("GUID") || has("UNIQUEIDENTIFIER") => vec![Type::Uuid],
        _ if has("JSON") => vec![Type::Json],
        _ if has("INT") => vec![],
        _ if has("CHAR") || has("TEXT") || has("CLOB") || has("STRING") => return (true, texts),
        _ if has("REAL") || has("FLOA") || has("DOUB") => return (true, vec![(Type::Float, None), (Type::Text, None)]),
        Some((digits, places)) if has("DEC") || has("NUM") || has("MONEY") => vec![Type::Decimal { digits, places }],
        _ => vec![],
    };
    let says_it = !likely.is_empty() || has("INT");
    let all = likely.into_iter().chain([Type::Integer, Type::Float, Type::Text]);
    (says_it, all.map(|kind| (kind, None)).collect())
}

/// Whether a declared type is one of UUIDs, be they of 32 digits, as Django has them in SQLite.
fn says_uuid(declared: &str) -> bool {
    let declared = declared.to_ascii_uppercase();
    ["UUID", "GUID", "UNIQUEIDENTIFIER", "CHAR(32)"].iter().any(|part| declared.contains(part))
}

/// The digits that the declared type of a decimal asks for.
fn says_decimal(declared: &str) -> Option<u32> {
    let declared = declared.to_ascii_uppercase();
    let (name, numbers) = declared.split_once('(')?;
    let digits = numbers.split([',', ')']).next()?.trim().parse().ok()?;
    ["DEC", "NUM", "MONEY"].iter().any(|part| name.contains(part)).then_some(digits)
}

/// A value as people are shown it.
fn shown(value: &Stored<'_>) -> String {
    match value {
        Stored::Null => "null".into(),
        Stored::Integer(number) => number.to_string(),
        Stored::Real(number) => format!("{number:?}"),
        Stored::Text(bytes) => cut(&String::from_utf8_lossy(bytes)),
        Stored::Blob(bytes) => format!("{} bytes", bytes.len()),
    }
}

fn cut(text: &str) -> String {
    match text.char_indices().nth(LONGEST_SHOWN) {
        Some((end, _)) => format!("\"{}…\"", &text[..end]),
        None => format!("\"{text}\""),
    }
}
