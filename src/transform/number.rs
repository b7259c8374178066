//! Numbers as they are written. They are rounded, cut and grouped digit by digit, so that `2.675` is
//! what it says and no number is too long.

use super::text;
use crate::json::Json;
use crate::value::{Scalar, Type};
use std::fmt;

/// The largest exponent that is written out. No float has a larger one; `1e999999999` in a json field
/// would fill the memory.
pub const MOST_EXPONENT: usize = 400;

/// The digits of a number, with no zeros before the first that counts.
#[derive(Clone, Debug, PartialEq)]
pub struct Digits {
    negative: bool,
    whole: String,
    fraction: String,
}

impl Digits {
    /// Reads `-12.50` or `1.5e+300`; `None` where the text is no number, or its exponent too large.
    pub fn parse(text: &str) -> Option<Digits> {
        let text = text.trim();
        let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
        let (mantissa, exponent) = match unsigned.split_once(['e', 'E']) {
            Some((mantissa, exponent)) => (mantissa, exponent.parse::<isize>().ok()?),
            None => (unsigned, 0),
        };
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let digits = [whole, fraction].concat();
        let plain = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
        if !plain || exponent.unsigned_abs() > MOST_EXPONENT {
            return None;
        }
        let point = whole.len().cast_signed() + exponent;
        Some(Digits::at(text.starts_with('-'), digits, point))
    }

    /// Puts the point behind so many of the digits, with zeros where there are fewer.
    fn at(negative: bool, mut digits: String, point: isize) -> Digits {
        if point < 0 {
            digits.insert_str(0, &"0".repeat(point.unsigned_abs()));
        }
        let point = usize::try_from(point).unwrap_or(0);
        if digits.len() < point {
            digits.push_str(&"0".repeat(point - digits.len()));
        }
        let fraction = digits.split_off(point);
        let whole = match digits.trim_start_matches('0') {
            "" => "0".to_owned(),
            whole => whole.to_owned(),
        };
        let zero = whole == "0" && fraction.bytes().all(|digit| digit == b'0');
        Digits { negative: negative && !zero, whole, fraction }
    }

    /// Rounds to so many places, half away from zero; with a negative number of them to tens, hundreds, ….
    /// Never adds any.
    pub fn rounded(&self, places: i64) -> Digits {
        let digits = [self.whole.as_str(), &self.fraction].concat();
        let point = self.whole.len().cast_signed();
        let end = point.saturating_add(isize::try_from(places).unwrap_or(isize::MAX));
        if end >= digits.len().cast_signed() {
            return self.clone();
        }
        let Ok(kept) = usize::try_from(end) else { return Digits::at(false, String::new(), 0) };
        let up = digits.as_bytes()[kept] >= b'5'; // `kept` is below the length
        let head = if up { next(&digits[..kept]) } else { digits[..kept].to_owned() };
        let carried = head.len().cast_signed() - end;
        Digits::at(self.negative, head, point + carried)
    }

    /// With at least so many places.
    pub fn padded(mut self, places: i64) -> Digits {
        let missing = usize::try_from(places).unwrap_or(0).saturating_sub(self.fraction.len());
        self.fraction.push_str(&"0".repeat(missing));
        self
    }

    /// With no zeros at the end of the fraction.
    fn shortest(mut self) -> Digits {
        self.fraction.truncate(self.fraction.trim_end_matches('0').len());
        self
    }

    /// Towards zero.
    pub fn truncated(self) -> Digits {
        let whole = self.whole.len().cast_signed();
        Digits::at(self.negative, self.whole, whole)
    }

    pub fn is_zero(&self) -> bool {
        self.whole == "0" && self.fraction.bytes().all(|digit| digit == b'0')
    }

    /// The number as a JSON number; without a fraction a whole one.
    pub fn to_json(&self) -> Json {
        let text = self.to_string();
        text.parse().map_or(Json::Number(text), Json::Integer)
    }

    /// The number as a float field gives it, but never with fewer digits than it has.
    fn to_float(&self) -> Json {
        let exact = self.clone().shortest();
        let Json::Number(written) = float(&self.to_string()) else { return exact.to_json() };
        let same = Digits::parse(&written).is_some_and(|written| written.shortest() == exact);
        Json::Number(if same { written } else { exact.padded(1).to_string() })
    }
}

impl fmt::Display for Digits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.negative { "-" } else { "" };
        let point = if self.fraction.is_empty() { "" } else { "." };
        write!(f, "{sign}{}{point}{}", self.whole, self.fraction)
    }
}

/// The digits of the next whole number; of none, `1`.
fn next(digits: &str) -> String {
    match digits.trim_end_matches('9') {
        "" => format!("1{}", "0".repeat(digits.len())),
        head => {
            let (rest, last) = head.split_at(head.len() - 1);
            let last = last.bytes().map(|digit| char::from(digit + 1)).collect::<String>();
            format!("{rest}{last}{}", "0".repeat(digits.len() - head.len()))
        }
    }
}

/// A number in digits as a float field gives it; `null` beyond the floats.
pub fn float(digits: &str) -> Json {
    let mut out = Vec::new();
    match Type::Float.coerce(&Json::from(digits)) {
        Ok(number @ Scalar::Real(_)) => Type::Float.write(&number, &mut out),
        _ => return Json::Null,
    }
    Json::Number(String::from_utf8_lossy(&out).into_owned())
}

/// The digits of a number or a decimal.
pub fn digits(value: &Json) -> Option<Digits> {
    match value {
        Json::Integer(_) | Json::Number(_) | Json::String(_) => Digits::parse(&text::of(value)),
        _ => None,
    }
}

/// A decimal gets exactly the places that are asked for, a number stays of its kind; `null` of what is neither.
pub fn round(value: Json, places: i64) -> Json {
    let Some(given) = digits(&value) else { return unless_number(value) };
    let rounded = given.rounded(places);
    match value {
        Json::String(_) => Json::String(rounded.padded(places).to_string()),
        value if rounded == given => value,
        Json::Number(written) if written.contains(['.', 'e', 'E']) => rounded.to_float(),
        _ => rounded.to_json(),
    }
}

/// A number whose exponent is too large to be written out stays as it is, what is no number becomes `null`.
fn unless_number(value: Json) -> Json {
    if let Json::Number(_) = value { value } else { Json::Null }
}

/// A number as people read it; `null` of what is none.
pub fn format(value: &Json, decimals: i64, thousands: &str, point: &str) -> Json {
    let Some(given) = digits(value) else {
        return if let Json::Number(written) = value { Json::from(written.as_str()) } else { Json::Null };
    };
    let Digits { negative, whole, fraction } = given.rounded(decimals).padded(decimals);
    let mut out = String::from(if negative { "-" } else { "" });
    for (index, digit) in whole.chars().enumerate() {
        if index > 0 && (whole.len() - index).is_multiple_of(3) {
            out.push_str(thousands);
        }
        out.push(digit);
    }
    if !fraction.is_empty() {
        out.push_str(point);
        out.push_str(&fraction);
    }
    Json::String(out)
}

/// A number or decimal without its sign; `null` of what is neither.
pub fn abs(value: Json) -> Json {
    match value {
        Json::Integer(number) => {
            number.checked_abs().map_or_else(|| Json::Number(number.unsigned_abs().to_string()), Json::Integer)
        }
        Json::Number(written) => Json::Number(written.strip_prefix('-').unwrap_or(&written).to_owned()),
        Json::String(text) => match Digits::parse(&text) {
            Some(digits) => Json::String(Digits { negative: false, ..digits }.to_string()),
            None => Json::Null,
        },
        _ => Json::Null,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transform::Kind;
    use crate::transform::tests::case;

    #[track_caller]
    fn rounds(kind: Kind, digits: i64, given: &str, expected: &str) {
        case(kind, &format!("{{\"round\":{{\"digits\":{digits}}}}}"), given, expected);
    }

    #[test]
    fn rounding_is_half_away_from_zero_on_the_digits_as_written() {
        rounds(Kind::Number, 2, "2.675", "2.68");
        rounds(Kind::Number, 2, "-2.675", "-2.68");
        rounds(Kind::Number, 0, "2.5", "3.0");
        rounds(Kind::Number, 0, "-0.4", "0.0");
        rounds(Kind::Number, 1, "9.96", "10.0");
        rounds(Kind::Number, 3, "2.5", "2.5");
        rounds(Kind::Number, -1, "14.9", "10.0");
        rounds(Kind::Number, 7, "0.00000123", "1.2e-6");
        rounds(Kind::Number, 0, "1e300", "1e+300");
        rounds(Kind::Number, 18, "1.5e300", "1.5e+300");
        rounds(Kind::Number, 2, "1e-300", "0.0");
        rounds(Kind::Any, 2, "12345678901234567.8951", "12345678901234567.9");
        rounds(Kind::Any, 2, "1e999999999", "1e+999999999");
    }

    #[test]
    fn whole_numbers_stay_whole_whatever_their_size() {
        rounds(Kind::Number, 5, "7", "7");
        rounds(Kind::Number, -1, "15", "20");
        rounds(Kind::Number, -1, "5", "10");
        rounds(Kind::Number, -2, "5", "0");
        rounds(Kind::Number, -3, "999", "1000");
        rounds(Kind::Number, -4, "999", "0");
        rounds(Kind::Number, -1, "9223372036854775807", "9223372036854775810");
        rounds(Kind::Number, -1, "-9223372036854775808", "-9223372036854775810");
        rounds(Kind::Number, 0, "12345678901234567890123456789012345678", "12345678901234567890123456789012345678");
        rounds(Kind::Number, -1, "12345678901234567890123456789012345678", "12345678901234567890123456789012345680");
    }

    #[test]
    fn decimals_get_the_places_that_are_asked_for() {
        rounds(Kind::Decimal, 0, r#""12.50""#, r#""13""#);
        rounds(Kind::Decimal, 1, r#""-12.55""#, r#""-12.6""#);
        rounds(Kind::Decimal, 3, r#""12.5""#, r#""12.500""#);
        rounds(Kind::Decimal, -1, r#""15.00""#, r#""20""#);
        rounds(Kind::Decimal, 1, r#""-0.04""#, r#""0.0""#);
        rounds(Kind::Decimal, 1, r#""12345678901234567890123456.78""#, r#""12345678901234567890123456.8""#);
        for no_number in [r#""abc""#, r#""""#, r#""1_0""#, r#"".""#, r#""1.2.3""#, r#""١""#, "true", "[1]", "{}"] {
            rounds(Kind::Any, 2, no_number, "null");
        }
    }

    #[track_caller]
    fn prints(options: &str, given: &str, expected: &str) {
        case(Kind::Any, &format!("{{\"numberFormat\":{options}}}"), given, &format!("\"{expected}\""));
    }

    #[test]
    fn numbers_are_grouped() {
        prints(r#"{"decimals":2}"#, "1234567.891", "1,234,567.89");
        prints("{}", "1234567.891", "1,234,568");
        prints(r#"{"decimals":2,"thousands":".","point":","}"#, r#""-1234.5""#, "-1.234,50");
        prints(r#"{"thousands":""}"#, "1234567", "1234567");
        prints(r#"{"decimals":1,"thousands":" "}"#, "999.95", "1 000.0");
        prints("{}", "-0.4", "0");
        prints("{}", "100", "100");
        prints("{}", "-100000", "-100,000");
        prints("{}", "-9223372036854775808", "-9,223,372,036,854,775,808");
        prints("{}", "12345678901234567890123456789012345678", "12,345,678,901,234,567,890,123,456,789,012,345,678");
        prints(r#"{"decimals":1}"#, r#""12345678901234567890123456.78""#, "12,345,678,901,234,567,890,123,456.8");
        prints("{}", "1e300", &format!("1{}", ",000".repeat(100)));
        prints("{}", "1e999", "1e+999");
        case(Kind::Any, r#"{"numberFormat":{}}"#, "false", "null");
    }

    proptest::proptest! {
        #[test]
        fn rounding_agrees_with_a_decimal_library(units in -1_000_000_000_i64..1_000_000_000, scale in 0_u32..8, places in 0_u32..8) {
            let number = rust_decimal::Decimal::new(units, scale);
            let expected = number.round_dp_with_strategy(places, rust_decimal::RoundingStrategy::MidpointAwayFromZero);
            let rounded = Digits::parse(&number.to_string()).unwrap().rounded(i64::from(places));
            let expected = Digits::parse(&expected.to_string()).unwrap();
            proptest::prop_assert_eq!(rounded.shortest(), expected.shortest());
        }
    }

    #[test]
    fn signs_are_taken_away_without_loss() {
        for (given, expected) in [
            ("-5", "5"),
            ("-9223372036854775808", "9223372036854775808"),
            ("-12345678901234567890123456789012345678", "12345678901234567890123456789012345678"),
            ("-1.50", "1.50"),
            ("\"-12.50\"", "\"12.50\""),
            ("\"abc\"", "null"),
            ("true", "null"),
        ] {
            assert_eq!(abs(Json::parse(given.as_bytes()).unwrap()).to_string(), expected, "{given}");
        }
    }
}
