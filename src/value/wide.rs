//! Totals: whole numbers of up to 38 digits, beyond SQLite's 64 bits.
//!
//! They exist in the rows of one statement only, as texts of one length whose order is that of the numbers, so
//! that SQLite filters and sorts by them exactly.

/// What is added so that no number is negative.
const ZERO: u128 = 10_u128.pow(38);

/// The text of a number of at most 38 digits; of a longer one that of the longest.
pub fn encode(number: i128) -> String {
    let longest = ZERO.cast_signed() - 1;
    format!("{:039}", ZERO.wrapping_add_signed(number.clamp(-longest, longest)))
}

/// The number of a text.
pub fn decode(text: &str) -> i128 {
    text.parse::<u128>().unwrap_or(ZERO).wrapping_sub(ZERO).cast_signed()
}

/// The decimal text of a number of units, with all its places.
pub fn format(units: i128, places: u32) -> String {
    if places == 0 {
        return units.to_string();
    }
    let one = 10_u128.pow(places);
    let (whole, rest) = (units.unsigned_abs() / one, units.unsigned_abs() % one);
    let sign = if units < 0 { "-" } else { "" };
    format!("{sign}{whole}.{rest:0width$}", width = places as usize)
}

/// Reads a decimal text such as `-12.5` or `1e2` as a number of units of `places` places. A number between two
/// units is refused: no total equals it, but a comparison could be meant.
///
/// # Errors
/// Text that is no number, has more places, or more than 38 digits.
pub fn parse(text: &str, places: u32) -> Result<i128, String> {
    let (mantissa, exponent) = match text.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, exponent.parse::<i32>().map_err(|_| String::new())?),
        None => (text, 0),
    };
    let (sign, digits) = match mantissa.strip_prefix('-') {
        Some(digits) => (-1, digits),
        None => (1, mantissa.strip_prefix('+').unwrap_or(mantissa)),
    };
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let plain = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    if !plain(whole) || !plain(fraction) || whole.len() + fraction.len() == 0 {
        return Err(String::new());
    }
    let digits = format!("{whole}{}", fraction.trim_end_matches('0'));
    let scale = i64::try_from(fraction.trim_end_matches('0').len()).unwrap_or(i64::MAX) - i64::from(exponent);
    let missing = i64::from(places) - scale;
    let digits = digits.trim_start_matches('0');
    if digits.is_empty() {
        return Ok(0);
    }
    let digits = match u32::try_from(missing) {
        Ok(zeros) if zeros as usize + digits.len() <= 38 => format!("{digits}{}", "0".repeat(zeros as usize)),
        Ok(_) => return Err("it has more than 38 digits".into()),
        Err(_) => {
            let surplus = usize::try_from(-missing).unwrap_or(usize::MAX);
            let kept = digits.len().checked_sub(surplus).map(|end| digits.split_at(end));
            match kept {
                Some((kept, cut)) if cut.bytes().all(|byte| byte == b'0') && !kept.is_empty() => kept.to_owned(),
                _ => return Err(format!("it has more than {places} decimal places")),
            }
        }
    };
    digits.parse::<i128>().map(|number| number * sign).map_err(|_| "it has more than 38 digits".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_order_of_texts_is_that_of_numbers() {
        let numbers =
            [-(10_i128.pow(38) - 1), i128::from(i64::MIN), -1, 0, 1, i128::from(i64::MAX), 10_i128.pow(38) - 1];
        for pair in numbers.windows(2) {
            assert!(encode(pair[0]) < encode(pair[1]), "{pair:?}");
        }
        for number in numbers {
            assert_eq!(decode(&encode(number)), number);
        }
    }

    #[test]
    fn decimals_are_read_and_written_exactly() {
        for (text, places, expected) in [
            ("12.5", 2, Some("12.50")),
            ("-0.01", 2, Some("-0.01")),
            ("1e2", 0, Some("100")),
            ("1.50e1", 0, Some("15")),
            ("12345678901234567890123456789012345678", 0, Some("12345678901234567890123456789012345678")),
            ("123456789012345678901234567890123456789", 0, None),
            ("0.001", 2, None),
            ("0.00", 0, Some("0")),
            (".5", 1, Some("0.5")),
            ("1e-1", 1, Some("0.1")),
            ("1e-99999", 1, None),
            ("1e99999", 1, None),
            ("", 1, None),
            (".", 1, None),
            ("1_0", 1, None),
            ("--1", 1, None),
        ] {
            let units = parse(text, places).ok();
            assert_eq!(units.map(|units| format(units, places)).as_deref(), expected, "{text}");
        }
    }
}
