//! Values of one type as another's.

use super::number::{self, Digits};
use super::{Kind, text};
use crate::json::Json;
use crate::value::{Scalar, Type, time};

/// A type that values are cast to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cast {
    Integer,
    Float,
    Decimal,
    String,
    Boolean,
    Date,
    Datetime,
}

/// Their names, those of field types.
pub static CASTS: [(&str, Cast); 7] = [
    ("integer", Cast::Integer),
    ("float", Cast::Float),
    ("decimal", Cast::Decimal),
    ("string", Cast::String),
    ("boolean", Cast::Boolean),
    ("date", Cast::Date),
    ("datetime", Cast::Datetime),
];

impl Cast {
    pub fn named(name: &str) -> Option<Cast> {
        CASTS.iter().find(|(known, _)| *known == name).map(|(_, cast)| *cast)
    }

    /// The kind of what comes out.
    pub fn kind(self) -> Kind {
        match self {
            Cast::Integer | Cast::Float => Kind::Number,
            Cast::Decimal => Kind::Decimal,
            Cast::String => Kind::Text,
            Cast::Boolean => Kind::Boolean,
            Cast::Date => Kind::Date,
            Cast::Datetime => Kind::Datetime,
        }
    }

    /// The value as one of this type; `null` where it cannot be.
    pub fn apply(self, value: Json) -> Json {
        let cast = match self {
            Cast::String => Some(Json::String(text::of(&value).into_owned())),
            Cast::Integer => digits(&value).map(|digits| digits.truncated().to_json()),
            Cast::Float => digits(&value).map(|digits| number::float(&digits.to_string())),
            Cast::Decimal => digits(&value).map(|digits| Json::String(digits.to_string())),
            Cast::Boolean => boolean(&value).map(Json::Boolean),
            Cast::Date => moment(&value).map(|moment| Json::from(&moment[..DATE])),
            Cast::Datetime => moment(&value).map(Json::String),
        };
        cast.unwrap_or(Json::Null)
    }
}

/// The length of the date at the start of a moment.
const DATE: usize = "2026-01-31".len();

/// The digits of a number, or of text that is one; a boolean counts as 1 or 0.
fn digits(value: &Json) -> Option<Digits> {
    match value {
        Json::Boolean(value) => number::digits(&Json::Integer(i64::from(*value))),
        other => number::digits(other),
    }
}

/// Django's words, and numbers other than zero.
fn boolean(value: &Json) -> Option<bool> {
    match Type::Boolean.coerce(value) {
        Ok(Scalar::Integer(number)) => Some(number != 0),
        _ => digits(value).map(|digits| !digits.is_zero()),
    }
}

/// A date is its first moment, in UTC.
fn moment(value: &Json) -> Option<String> {
    if let Json::String(text) = value { time::parse_datetime(text).ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn case(cast: &str, given: &str, expected: &str) {
        let cast = Cast::named(cast).unwrap();
        let value = cast.apply(Json::parse(given.as_bytes()).unwrap());
        assert_eq!(value.to_string(), expected, "{cast:?} of {given}");
    }

    #[test]
    fn numbers_are_cast_exactly_where_the_type_is_exact() {
        case("integer", "-1.9", "-1");
        case("integer", "-0.9", "0");
        case("integer", r#""12.50""#, "12");
        case("integer", r#"" +7 ""#, "7");
        case("integer", "true", "1");
        case("integer", "12345678901234567890123456789012345678", "12345678901234567890123456789012345678");
        case("integer", "1e20", "100000000000000000000");
        case("float", "3", "3.0");
        case("float", r#""-0""#, "0.0");
        case("float", r#""12.50""#, "12.5");
        case("float", "1e300", "1e+300");
        case("float", "1e400", "null");
        case("decimal", "3", r#""3""#);
        case("decimal", "1.5", r#""1.5""#);
        case("decimal", r#""12.50""#, r#""12.50""#);
        case("decimal", "1.25e-3", r#""0.00125""#);
        case("decimal", r#""007.10""#, r#""7.10""#);
        case("decimal", "false", r#""0""#);
        for no_number in [r#""a""#, r#""""#, r#""NaN""#, r#""1 2""#, r#""2026-01-31""#, "[1]", "{}"] {
            for kind in ["integer", "float", "decimal"] {
                case(kind, no_number, "null");
            }
        }
    }

    #[test]
    fn booleans_are_djangos_words_or_numbers() {
        case("boolean", r#""True""#, "true");
        case("boolean", r#""f""#, "false");
        case("boolean", r#""yes""#, "null");
        case("boolean", "2", "true");
        case("boolean", "0.0", "false");
        case("boolean", r#""0.00""#, "false");
        case("boolean", r#""12.50""#, "true");
        case("boolean", "[]", "null");
    }

    #[test]
    fn anything_has_a_text() {
        case("string", "1.50", r#""1.50""#);
        case("string", "true", r#""true""#);
        case("string", r#"{"a": [1]}"#, r#""{\"a\":[1]}""#);
    }

    #[test]
    fn dates_and_moments_are_in_utc() {
        case("date", r#""2026-01-31T23:30:00-02:00""#, r#""2026-02-01""#);
        case("date", r#""2026-01-31""#, r#""2026-01-31""#);
        case("datetime", r#""2026-01-31""#, r#""2026-01-31T00:00:00.000000Z""#);
        case("datetime", r#""2026-01-31T09:30:00+02:00""#, r#""2026-01-31T07:30:00.000000Z""#);
        for no_date in [r#""2026-02-30""#, r#""09:30:00.000000""#, r#""éééééééé""#, "20260131", "true"] {
            case("date", no_date, "null");
            case("datetime", no_date, "null");
        }
    }
}
