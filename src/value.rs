//! Field types: what JSON each takes, what it stores, and what JSON it gives back.
//!
//! The forms are those of Django's fields; what is stored is chosen so that SQLite's own order and
//! equality are those of the type. A type with a rule of its own has a file: [`decimal`],
//! [`time`], and [`wide`] for totals; regular expressions have [`regex`], and texts in whatever case [`fold`].

pub mod decimal;
pub mod fold;
pub mod regex;
pub mod time;
pub mod wide;

use crate::clock;
use crate::json::{self, Json};
use crate::random::{self, For};
use uuid::Uuid;

/// What a column holds.
#[derive(Clone, Debug, PartialEq)]
pub enum Scalar {
    Null,
    Integer(i64),
    Real(f64),
    Text(String),
}

impl Scalar {
    /// The text, where it is one.
    pub fn text(&self) -> Option<&str> {
        if let Scalar::Text(text) = self { Some(text) } else { None }
    }

    /// The whole number, where it is one.
    pub fn integer(&self) -> Option<i64> {
        if let Scalar::Integer(number) = self { Some(*number) } else { None }
    }
}

/// NaN and negative zero are made away with when a value is coerced, so equality is what it should be.
impl Eq for Scalar {}

impl std::hash::Hash for Scalar {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        match self {
            Scalar::Null => 0.hash(state),
            Scalar::Integer(number) => number.hash(state),
            Scalar::Real(number) => number.to_bits().hash(state),
            Scalar::Text(text) => text.hash(state),
        }
    }
}

impl std::fmt::Display for Scalar {
    /// As an error shows it.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Scalar::Null => f.write_str("null"),
            Scalar::Integer(number) => number.fmt(f),
            Scalar::Real(number) => number.fmt(f),
            Scalar::Text(text) => f.write_str(text),
        }
    }
}

/// The type of a plain field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Type {
    /// Text with a `max_length`.
    String,
    Text,
    /// 64 bits.
    Integer,
    Float,
    /// Exact; stored as a whole number of its smallest unit.
    Decimal {
        digits: u32,
        places: u32,
    },
    Boolean,
    Date,
    Datetime,
    Time,
    Uuid,
    Json,
    /// A list of words of the server's own; stored with commas between them.
    Words,
    /// An exact total of whole numbers, or of decimals with so many places. No field has it.
    Total {
        places: Option<u32>,
    },
}

/// How SQLite keeps a type in a STRICT table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Storage {
    Integer,
    Real,
    Text,
}

impl Type {
    /// The name in `models.json`.
    pub fn name(self) -> &'static str {
        match self {
            Type::String => "string",
            Type::Text => "text",
            Type::Integer => "integer",
            Type::Float => "float",
            Type::Decimal { .. } => "decimal",
            Type::Boolean => "boolean",
            Type::Date => "date",
            Type::Datetime => "datetime",
            Type::Time => "time",
            Type::Uuid => "uuid",
            Type::Json => "json",
            Type::Words => "list of words",
            Type::Total { places: None } => "integer",
            Type::Total { places: Some(_) } => "decimal",
        }
    }

    /// The type as an error names it: `an integer`.
    pub fn described(self) -> String {
        let article = if self.name() == "integer" { "an" } else { "a" };
        format!("{article} {}", self.name())
    }

    pub fn storage(self) -> Storage {
        match self {
            Type::Integer | Type::Decimal { .. } | Type::Boolean => Storage::Integer,
            Type::Float => Storage::Real,
            _ => Storage::Text,
        }
    }

    pub fn is_text(self) -> bool {
        matches!(self, Type::String | Type::Text)
    }

    /// Turns a JSON value into what is stored. `null` is every type's.
    ///
    /// # Errors
    /// What is wrong with the value, to stand behind "cannot be …:"; empty where it is plain.
    pub fn coerce(self, value: &Json) -> Result<Scalar, String> {
        match (self, value) {
            (_, Json::Null) if self != Type::Json => Ok(Scalar::Null),
            (Type::Json, Json::Null) => Ok(Scalar::Null),
            (Type::Json, any) => Ok(Scalar::Text(any.to_string())),
            (Type::String | Type::Text, Json::String(text)) => clean(text),
            (Type::String | Type::Text, Json::Integer(_) | Json::Number(_)) => Ok(Scalar::Text(value.to_string())),
            (Type::Integer, Json::Integer(number)) => Ok(Scalar::Integer(*number)),
            (Type::Integer, Json::Number(digits) | Json::String(digits)) => integer(digits),
            (Type::Float, Json::Integer(_) | Json::Number(_)) => float(&value.to_string()),
            (Type::Float, Json::String(digits)) => float(digits.trim()),
            (Type::Decimal { digits, places }, Json::Integer(_) | Json::Number(_)) => {
                decimal::parse(&value.to_string(), digits, places).map(Scalar::Integer)
            }
            (Type::Decimal { digits, places }, Json::String(text)) => {
                decimal::parse(text.trim(), digits, places).map(Scalar::Integer)
            }
            (Type::Total { places }, Json::Integer(_) | Json::Number(_) | Json::String(_)) => {
                let text = if let Json::String(text) = value { text.trim().to_owned() } else { value.to_string() };
                wide::parse(&text, places.unwrap_or(0)).map(|units| Scalar::Text(wide::encode(units)))
            }
            (Type::Words, Json::String(text)) => clean(&text.split(',').map(str::trim).collect::<Vec<_>>().join(",")),
            (Type::Words, Json::List(items)) => words(items),
            (Type::Boolean, Json::Boolean(value)) => Ok(Scalar::Integer(i64::from(*value))),
            (Type::Boolean, Json::Integer(number @ (0 | 1))) => Ok(Scalar::Integer(*number)),
            (Type::Boolean, Json::String(word)) => boolean(word),
            (Type::Date, Json::String(text)) => time::parse_date(text).map(Scalar::Text),
            (Type::Datetime, Json::String(text)) => time::parse_datetime(text).map(Scalar::Text),
            (Type::Time, Json::String(text)) => time::parse_time(text).map(Scalar::Text),
            (Type::Uuid, Json::String(text)) => {
                Uuid::parse_str(text).map(|uuid| Scalar::Text(uuid.hyphenated().to_string())).map_err(|_| String::new())
            }
            _ => Err(String::new()),
        }
    }

    /// Appends a stored value as the JSON that a client gets.
    pub fn write(self, value: &Scalar, out: &mut Vec<u8>) {
        match (self, value) {
            (_, Scalar::Null) => out.extend_from_slice(b"null"),
            (Type::Boolean, Scalar::Integer(number)) => {
                out.extend_from_slice(if *number == 0 { b"false" } else { b"true" })
            }
            (Type::Decimal { places, .. }, Scalar::Integer(units)) => {
                json::write_string(&decimal::format(*units, places), out)
            }
            (_, Scalar::Integer(number)) => json::write_integer(*number, out),
            (_, Scalar::Real(number)) => match serde_json::Number::from_f64(*number) {
                Some(number) => out.extend_from_slice(number.to_string().as_bytes()),
                None => out.extend_from_slice(b"null"),
            },
            (Type::Total { places: None }, Scalar::Text(text)) => {
                out.extend_from_slice(wide::decode(text).to_string().as_bytes())
            }
            (Type::Total { places: Some(places) }, Scalar::Text(text)) => {
                json::write_string(&wide::format(wide::decode(text), places), out)
            }
            (Type::Words, Scalar::Text(text)) => {
                let words = text.split(',').filter(|word| !word.is_empty());
                json::write_list(words, out, json::write_string);
            }
            (Type::Json, Scalar::Text(text)) => out.extend_from_slice(text.as_bytes()),
            (_, Scalar::Text(text)) => json::write_string(text, out),
        }
    }
}

/// Text as it is kept. NUL is refused as PostgreSQL and Django refuse it: SQLite's own functions end there.
fn clean(text: &str) -> Result<Scalar, String> {
    if text.contains('\0') { Err("it holds a NUL character".into()) } else { Ok(Scalar::Text(text.to_owned())) }
}

/// Words as they are kept, without space around them. None of them may hold the comma that parts them.
fn words(items: &[Json]) -> Result<Scalar, String> {
    let word = |item: &Json| match item {
        Json::String(word) if !word.contains([',', '\0']) && !word.trim().is_empty() => Ok(word.trim().to_owned()),
        other => Err(format!("{} is no word", crate::error::shown(other))),
    };
    Ok(Scalar::Text(items.iter().map(word).collect::<Result<Vec<_>, _>>()?.join(",")))
}

/// A whole number in any spelling, `"18"`, `18.0` and `1e3` among them.
fn integer(digits: &str) -> Result<Scalar, String> {
    let digits = digits.trim();
    if let Ok(number) = digits.parse::<i64>() {
        return Ok(Scalar::Integer(number));
    }
    let whole = digits.trim_start_matches(['-', '+']);
    if !whole.is_empty() && whole.bytes().all(|b| b.is_ascii_digit()) {
        return Err("it does not fit into 64 bits".into());
    }
    decimal::parse(digits, 19, 0).map(Scalar::Integer).map_err(|_| String::new())
}

fn float(digits: &str) -> Result<Scalar, String> {
    let looks_numeric = digits.starts_with(|c: char| c.is_ascii_digit() || "+-.".contains(c));
    match digits.parse::<f64>() {
        Ok(number) if number.is_finite() => Ok(Scalar::Real(if number == 0.0 { 0.0 } else { number })),
        Ok(_) if looks_numeric && digits.contains(|c: char| c.is_ascii_digit()) => Err("it is out of range".into()),
        _ => Err(String::new()),
    }
}

/// Django's words for a boolean, in any case.
fn boolean(word: &str) -> Result<Scalar, String> {
    match word.to_ascii_lowercase().as_str() {
        "true" | "t" | "1" => Ok(Scalar::Integer(1)),
        "false" | "f" | "0" => Ok(Scalar::Integer(0)),
        _ => Err(String::new()),
    }
}

/// A new UUID. Its start is the time, so that records made after each other lie beside each other.
pub fn new_uuid() -> String {
    let mut bytes = [0; 10];
    let uuid = match random::drawn_from_seed(For::Records, &mut bytes) {
        None => Uuid::now_v7(),
        Some(number) => seeded_uuid(number, bytes),
    };
    uuid.hyphenated().to_string()
}

/// One of a seed. Behind the time it counts, as the others do, so that a later one is higher also while the clock stands.
fn seeded_uuid(number: u64, mut bytes: [u8; 10]) -> Uuid {
    // 12 bits of the count before the variant, 30 behind it.
    let ([.., a, b], [.., c, d, e, f]) = ((number >> 30).to_be_bytes(), number.to_be_bytes());
    bytes[..6].copy_from_slice(&[a, b, c, d, e, f]);
    let millis = u64::try_from(clock::now().as_millisecond()).unwrap_or(0);
    uuid::Builder::from_unix_timestamp_millis(millis, &bytes).into_uuid()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a value is given back as after it was stored, or `None` where it is refused.
    fn back(kind: Type, json: &str) -> Option<String> {
        let stored = kind.coerce(&Json::parse(json.as_bytes()).unwrap()).ok()?;
        let mut out = Vec::new();
        kind.write(&stored, &mut out);
        Some(String::from_utf8(out).unwrap())
    }

    #[track_caller]
    fn case(kind: Type, given: &str, expected: Option<&str>) {
        assert_eq!(back(kind, given).as_deref(), expected, "{kind:?} {given}");
    }

    #[test]
    fn values_are_coerced_as_django_does() {
        case(Type::Integer, "\"18\"", Some("18"));
        case(Type::Integer, "18.0", Some("18"));
        case(Type::Integer, "1e3", Some("1000"));
        case(Type::Integer, "9223372036854775807", Some("9223372036854775807"));
        case(Type::Integer, "-9223372036854775808", Some("-9223372036854775808"));
        case(Type::Integer, "9223372036854775808", None);
        case(Type::Integer, "18.5", None);
        case(Type::Integer, "true", None);
        case(Type::Integer, "\"\"", None);
        case(Type::Boolean, "\"True\"", Some("true"));
        case(Type::Boolean, "0", Some("false"));
        case(Type::Boolean, "2", None);
        case(Type::Float, "1", Some("1.0"));
        case(Type::Float, "\"nan\"", None);
        case(Type::Float, "1e999", None);
        case(Type::Text, "5", Some("\"5\""));
        case(Type::Text, "\"a\\u0000b\"", None);
        case(Type::Text, "[]", None);
        case(Type::Uuid, "\"A0EEBC999C0B4EF8BB6D6BB9BD380A11\"", Some("\"a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11\""));
        case(Type::Json, "{\"b\":1.50,\"a\":[null]}", Some("{\"b\":1.50,\"a\":[null]}"));
        case(Type::Words, "\" a.B:read ,a.C:* \"", Some("[\"a.B:read\",\"a.C:*\"]"));
        case(Type::Words, "[\" a.B:read \"]", Some("[\"a.B:read\"]"));
        case(Type::Words, "[\"a.B:read,a.C:*\"]", None);
        case(Type::Words, "[\" \"]", None);
        for kind in [Type::Integer, Type::Text, Type::Json, Type::Boolean] {
            case(kind, "null", Some("null"));
        }
    }
}
