//! Decimals: exact numbers with a fixed number of places.
//!
//! A decimal is stored as a whole number of its smallest unit (`12.50` with two places as `1250`), so
//! that SQLite compares, indexes and sums it exactly. That bounds it to 18 digits in all.

use rust_decimal::Decimal;
use std::str::FromStr;

/// The most digits that fit into 64 bits whatever they are.
pub const MOST_DIGITS: u32 = 18;

/// Reads a decimal text such as `-12.5` or `1e2` as a number of units of `places` places.
///
/// # Errors
/// Text that is no number, has more places than the field, or more than `digits` digits. Nothing is rounded.
pub fn parse(text: &str, digits: u32, places: u32) -> Result<i64, String> {
    if !text.bytes().all(|b| b.is_ascii_digit() || b"+-.eE".contains(&b)) {
        return Err(String::new()); // the parser would take `1_000`
    }
    let number = if text.contains(['e', 'E']) { Decimal::from_scientific(text) } else { Decimal::from_str_exact(text) };
    let number = number.map_err(|_| if looks_numeric(text) { too_many(digits) } else { String::new() })?.normalize();
    if number.scale() > places {
        return Err(format!("it has more than {places} decimal places"));
    }
    let raise = 10_i128.pow(places - number.scale());
    let units = number.mantissa().checked_mul(raise).and_then(|units| i64::try_from(units).ok());
    units
        .filter(|units| digits > MOST_DIGITS || units.unsigned_abs() < 10_u64.pow(digits))
        .ok_or_else(|| too_many(digits))
}

/// The decimal text of a number of units, with all its places.
pub fn format(units: i64, places: u32) -> String {
    Decimal::from_i128_with_scale(i128::from(units), places).to_string()
}

fn too_many(digits: u32) -> String {
    format!("it has more than {digits} digits")
}

fn looks_numeric(text: &str) -> bool {
    f64::from_str(text).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_places_are_given_and_none_is_rounded() {
        for (text, expected) in [
            ("12.5", Some("12.50")),
            ("12.50", Some("12.50")),
            ("12.500", Some("12.50")),
            ("-0.01", Some("-0.01")),
            ("0", Some("0.00")),
            ("1e2", Some("100.00")),
            ("99999999.99", Some("99999999.99")),
            ("100000000", None),
            ("0.001", None),
            ("1_0", None),
            ("", None),
            ("abc", None),
            ("1e400", None),
            ("NaN", None),
        ] {
            let units = parse(text, 10, 2).ok();
            assert_eq!(units.map(|units| format(units, 2)).as_deref(), expected, "{text}");
        }
        assert_eq!(parse("123456789012345678", 18, 0), Ok(123_456_789_012_345_678));
    }
}
