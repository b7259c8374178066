//! The transforms of answered values: the steps that are applied. What a query may write is in [`table`].
//!
//! A transform is read before any record is, against the kind of value that will come; after that
//! nothing fails. What a step cannot make something of (text that turns out to be no number) becomes `null`.

pub mod cast;
pub mod moment;
pub mod number;
pub mod table;
pub mod text;

use crate::json::Json;
use crate::value::{Type, time};
use cast::Cast;
use moment::Pattern;
use number::Digits;
use std::collections::HashMap;

/// What is known of a value before any record is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Text, uuids among it.
    Text,
    /// A JSON number.
    Number,
    /// An exact number, written as a string.
    Decimal,
    Boolean,
    Date,
    Datetime,
    Time,
    List,
    Record,
    /// Whatever comes: a json field, what `map` makes.
    Any,
}

impl Kind {
    pub fn of(kind: Type) -> Kind {
        match kind {
            Type::String | Type::Text | Type::Uuid => Kind::Text,
            Type::Integer | Type::Float => Kind::Number,
            Type::Total { places: None } => Kind::Number,
            Type::Decimal { .. } | Type::Total { places: Some(_) } => Kind::Decimal,
            Type::Boolean => Kind::Boolean,
            Type::Date => Kind::Date,
            Type::Datetime => Kind::Datetime,
            Type::Time => Kind::Time,
            Type::Json => Kind::Any,
            Type::Words => Kind::List,
        }
    }

    /// The kind as an error names it.
    pub fn described(self) -> &'static str {
        match self {
            Kind::Text => "text",
            Kind::Number => "a number",
            Kind::Decimal => "a decimal",
            Kind::Boolean => "a boolean",
            Kind::Date => "a date",
            Kind::Datetime => "a datetime",
            Kind::Time => "a time",
            Kind::List => "a list",
            Kind::Record => "a record",
            Kind::Any => "any value",
        }
    }

    /// Whether a value written in a query is one of this kind, in the form that an answer has.
    pub fn has(self, value: &Json) -> bool {
        match (self, value) {
            (_, Json::Null)
            | (Kind::Text, Json::String(_))
            | (Kind::Number, Json::Integer(_) | Json::Number(_))
            | (Kind::Boolean, Json::Boolean(_))
            | (Kind::List, Json::List(_))
            | (Kind::Record, Json::Object(_)) => true,
            (Kind::Decimal, Json::String(text)) => Digits::parse(text).is_some(),
            (Kind::Date, Json::String(text)) => time::parse_date(text).as_ref() == Ok(text),
            (Kind::Datetime, Json::String(text)) => time::parse_datetime(text).as_ref() == Ok(text),
            (Kind::Time, Json::String(text)) => time::parse_time(text).as_ref() == Ok(text),
            _ => false,
        }
    }
}

/// One step, ready to be applied.
#[derive(Clone, Debug, PartialEq)]
pub enum Step {
    DateFormat(Pattern),
    Upper,
    Lower,
    Capitalize,
    Trim,
    Truncate { length: usize, suffix: String },
    Replace { from: String, to: String },
    Prefix(String),
    Suffix(String),
    Map { values: HashMap<String, Json>, default: Option<Json> },
    Default(Json),
    Round(i64),
    NumberFormat { decimals: i64, thousands: String, point: String },
    Cast(Cast),
    Length,
    Join(String),
    Abs,
}

impl Step {
    /// What the step makes of a value in the form that a client gets. `null` stays `null`, but where there
    /// is a default.
    pub fn apply(&self, value: Json) -> Json {
        match (self, value) {
            (Step::Default(default) | Step::Map { default: Some(default), .. }, Json::Null) => default.clone(),
            (Step::Default(_), value) => value,
            (_, Json::Null) => Json::Null,
            (Step::DateFormat(pattern), value) => pattern.format(&value),
            (Step::Upper, value) => Json::String(text::of(&value).to_uppercase()),
            (Step::Lower, value) => Json::String(text::of(&value).to_lowercase()),
            (Step::Capitalize, value) => Json::String(text::capitalize(&text::of(&value))),
            (Step::Trim, value) => Json::from(text::of(&value).trim()),
            (Step::Truncate { length, suffix }, value) => {
                Json::String(text::truncate(text::of(&value), *length, suffix))
            }
            (Step::Replace { from, to }, value) => Json::String(text::of(&value).replace(from.as_str(), to)),
            (Step::Prefix(prefix), value) => Json::String(format!("{prefix}{}", text::of(&value))),
            (Step::Suffix(suffix), value) => Json::String(format!("{}{suffix}", text::of(&value))),
            (Step::Map { values, default }, value) => {
                values.get(text::of(&value).as_ref()).or(default.as_ref()).cloned().unwrap_or(value)
            }
            (Step::Round(digits), value) => number::round(value, *digits),
            (Step::NumberFormat { decimals, thousands, point }, value) => {
                number::format(&value, *decimals, thousands, point)
            }
            (Step::Cast(cast), value) => cast.apply(value),
            (Step::Length, value) => text::length(&value),
            (Step::Join(separator), value) => text::join(&value, separator),
            (Step::Abs, value) => number::abs(value),
        }
    }

    /// The most bytes that the step adds to a value where it repeats an option, told before it does. Others add
    /// their options once, 4,000 bytes at most, but each `replace` of a chain may grow a text a thousandfold: whoever
    /// applies steps has to sum this up and stop in time.
    pub fn repeats(&self, value: &Json) -> usize {
        match (self, value) {
            (Step::Replace { from, to }, value) => text::of(value).matches(from.as_str()).count() * to.len(),
            (Step::Join(separator), Json::List(items)) => items.len() * separator.len(),
            (Step::NumberFormat { thousands, .. }, value) => {
                (text::of(value).len() + number::MOST_EXPONENT) / 3 * thousands.len()
            }
            _ => 0,
        }
    }
}

#[cfg(test)]
pub mod tests {
    use super::*;

    /// Applies a whole chain, such as `{"trim": {}, "upper": {}}`.
    #[track_caller]
    pub fn case(kind: Kind, chain: &str, given: &str, expected: &str) {
        let Json::Object(transforms) = parse(chain) else { panic!("{chain} is an object") };
        let (mut value, mut kind) = (parse(given), kind);
        for (name, options) in &transforms {
            let (step, after) = table::read(name, options, kind).unwrap_or_else(|wrong| panic!("{chain}: {wrong:?}"));
            (value, kind) = (step.apply(value), after);
        }
        assert_eq!(value.to_string(), expected, "{chain} of {given}");
    }

    fn parse(text: &str) -> Json {
        Json::parse(text.as_bytes()).unwrap()
    }

    #[test]
    fn steps_apply_in_the_order_written() {
        case(Kind::Text, r#"{"trim":{},"upper":null,"prefix":{"value":"@"}}"#, r#"" a ""#, r#""@A""#);
        case(Kind::Text, r#"{"upper":{},"replace":{"from":"a","to":"b"}}"#, r#""a""#, r#""A""#);
        case(Kind::Decimal, r#"{"round":{"digits":1},"numberFormat":{"decimals":2}}"#, r#""1234.56""#, r#""1,234.60""#);
        case(Kind::Text, r#"{"cast":{"type":"decimal"},"round":{"digits":1}}"#, r#"" 2.25 ""#, r#""2.3""#);
        case(
            Kind::Any,
            r#"{"map":{"values":{"1":"2026-01-31"}},"dateFormat":{"format":"%d.%m."}}"#,
            "1",
            r#""31.01.""#,
        );
    }

    #[test]
    fn null_stays_null_but_for_defaults() {
        for name in ["upper", "lower", "capitalize", "trim", "length", "round", "numberFormat", "join"] {
            case(Kind::Any, &format!("{{\"{name}\":{{}}}}"), "null", "null");
        }
        case(Kind::Any, r#"{"map":{"values":{"null":1}}}"#, "null", "null");
        case(Kind::Any, r#"{"map":{"values":{},"default":7}}"#, "null", "7");
        case(Kind::Any, r#"{"map":{"values":{},"default":null}}"#, "5", "null");
        case(Kind::Text, r#"{"default":{"value":["a"]}}"#, "null", r#"["a"]"#);
        case(Kind::Text, r#"{"default":{"value":"a"},"upper":{}}"#, "null", r#""A""#);
        case(Kind::Text, r#"{"default":{"value":"a"}}"#, r#""""#, r#""""#);
        case(Kind::List, r#"{"default":{"value":[]},"join":{}}"#, "null", r#""""#);
        assert_eq!(Step::Abs.apply(Json::Null), Json::Null);
    }

    #[test]
    fn map_looks_values_up_by_their_text() {
        let map = r#"{"map":{"values":{"1":"one","true":{"yes":[]},"[1,null]":"list","2026-01-31":0}}}"#;
        case(Kind::Number, map, "1", r#""one""#);
        case(Kind::Text, map, r#""1""#, r#""one""#);
        case(Kind::Boolean, map, "true", r#"{"yes":[]}"#);
        case(Kind::Date, map, r#""2026-01-31""#, "0");
        case(Kind::Any, map, "[1, null]", r#""list""#);
        case(Kind::Number, map, "2", "2");
        case(Kind::Number, r#"{"map":{"values":{"1":"one"},"default":"many"}}"#, "2", r#""many""#);
    }

    #[test]
    fn a_default_of_another_kind_may_be_anything() {
        for (kind, default, after) in [
            (Kind::Text, "\"-\"", Kind::Text),
            (Kind::Text, "0", Kind::Any),
            (Kind::Number, "0.5", Kind::Number),
            (Kind::Decimal, "\"0.00\"", Kind::Decimal),
            (Kind::Decimal, "\"free\"", Kind::Any),
            (Kind::Datetime, "\"2026-01-31T09:30:00.000000Z\"", Kind::Datetime),
            (Kind::Datetime, "\"2026-01-31\"", Kind::Any),
            (Kind::List, "null", Kind::List),
        ] {
            let options = parse(&format!("{{\"value\":{default}}}"));
            assert_eq!(table::read("default", &options, kind).unwrap().1, after, "{kind:?} {default}");
        }
    }

    #[test]
    fn what_a_step_repeats_is_told_before() {
        let format = |value| Step::NumberFormat { decimals: 0, thousands: value, point: ".".into() };
        for (step, value) in [
            (Step::Replace { from: "a".into(), to: "b".repeat(1000) }, "aab".into()),
            (Step::Join("-".repeat(1000)), parse("[1,2,3]")),
            (format("x".repeat(1000)), Json::Integer(i64::MIN)),
            (format("x".repeat(1000)), Json::Number("1e300".into())),
        ] {
            let told = step.repeats(&value);
            let made = text::of(&step.apply(value)).len();
            assert!(made > 1000 && made <= told + number::MOST_EXPONENT, "{step:?}: {made} {told}");
        }
        assert_eq!(Step::Upper.repeats(&"abc".into()), 0);
    }
}
