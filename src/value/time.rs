//! Dates, times and moments: read in the forms of RFC 3339, stored in one form of fixed width, so that
//! the order of the texts is the order of time.
//!
//! A moment is UTC to the microsecond, `2026-01-31T09:30:00.000000Z`. Years run from 1 to 9999, as Django's do.

use crate::clock;
use arrayvec::ArrayString;
use jiff::civil::{Date, DateTime, Time};
use jiff::fmt::StdFmtWrite;
use jiff::fmt::temporal::{DateTimePrinter, Pieces};
use jiff::tz::Offset;
use jiff::{SignedDuration, Span, Timestamp};

/// This moment, as it is stored.
pub fn now() -> String {
    stamp().to_string()
}

/// A moment as it is stored, without memory of its own: each request has one.
pub type Moment = ArrayString<27>;

/// This moment.
pub fn stamp() -> Moment {
    let mut moment = Moment::new();
    // Until the year 10000 there is room for it.
    let _ = PRINTER.print_timestamp(&clock::now(), StdFmtWrite(&mut moment));
    moment
}

const PRINTER: DateTimePrinter = DateTimePrinter::new().precision(Some(6));

/// A moment before or after this one, as it is stored.
pub fn from_now(duration: SignedDuration) -> Result<String, String> {
    clock::now().checked_add(duration).map(format_timestamp).map_err(|_| "the moment is out of range".into())
}

/// A stored moment in microseconds, so that it can be reckoned with; `None` where it is none.
pub fn to_micros(moment: &str) -> Option<i64> {
    moment.parse::<Timestamp>().ok().map(Timestamp::as_microsecond)
}

/// A moment in any form that [`parse_datetime`] reads, to be reckoned with.
pub fn parse_timestamp(text: &str) -> Result<Timestamp, String> {
    parse_datetime(text)?.parse().map_err(|_| "the moment is out of range".to_owned())
}

/// What is stored of a moment in microseconds.
pub fn from_micros(micros: i64) -> String {
    format_timestamp(Timestamp::from_microsecond(micros).unwrap_or_default())
}

/// A length of time as [`parse_duration`] reads it: `90d`, `5m`.
pub fn format_duration(duration: SignedDuration) -> String {
    match duration.as_secs() {
        seconds if seconds >= 86_400 && seconds % 86_400 == 0 => format!("{}d", seconds / 86_400),
        _ => format!("{duration:#}"),
    }
}

/// The whole days from one stored moment to another.
pub fn days_between(from: &str, to: &str) -> i64 {
    let moment = |text: &str| text.parse::<Timestamp>().unwrap_or_default();
    moment(from).duration_until(moment(to)).as_hours() / 24
}

/// The whole seconds from 1970 to a stored moment.
pub fn to_seconds(moment: &str) -> i64 {
    moment.parse::<Timestamp>().unwrap_or_default().as_second()
}

/// The moment so many seconds after 1970, as it is stored; the last or the first where it is out of range.
pub fn from_seconds(seconds: i64) -> String {
    let clamped = seconds.clamp(Timestamp::MIN.as_second(), Timestamp::MAX.as_second());
    format_timestamp(Timestamp::from_second(clamped).unwrap_or_default())
}

/// A length of time such as `90d`, `1h` or `2h30m`; a day is 24 hours.
pub fn parse_duration(text: &str) -> Result<SignedDuration, String> {
    let wrong = || format!("\"{}\" is not a length of time; 30s, 15m, 1h and 90d are", text.escape_debug());
    let span: Span = text.parse().map_err(|_| wrong())?;
    if span.get_years() != 0 || span.get_months() != 0 {
        return Err(wrong()); // no fixed length
    }
    span.to_duration(jiff::SpanRelativeTo::days_are_24_hours())
        .map_err(|_| wrong())
        .and_then(|duration| if duration.is_negative() { Err(wrong()) } else { Ok(duration) })
}

/// As [`parse_duration`], and none that is no time at all.
pub fn parse_some_duration(text: &str) -> Result<SignedDuration, String> {
    parse_duration(text)
        .and_then(|time| if time.is_zero() { Err("it must be longer than that".into()) } else { Ok(time) })
}

/// Reads `2026-01-31`.
pub fn parse_date(text: &str) -> Result<String, String> {
    if text.len() != 10 || text.as_bytes()[4] != b'-' {
        return Err("a date is YYYY-MM-DD".into());
    }
    text.parse::<Date>().map_err(|_| "a date is YYYY-MM-DD".into()).and_then(in_range).map(|date| date.to_string())
}

/// Reads `09:30`, `09:30:15` and `09:30:15.5`.
pub fn parse_time(text: &str) -> Result<String, String> {
    let plain = text.bytes().all(|byte| byte.is_ascii_digit() || byte == b':' || byte == b'.');
    if text.len() < 5 || !plain || text.as_bytes()[2] != b':' || text.contains(":60") {
        return Err("a time is HH:MM[:SS[.ffffff]]".into());
    }
    let time = text.parse::<Time>().map_err(|_| "a time is HH:MM[:SS[.ffffff]]".to_string())?;
    micros(time)?;
    Ok(time.strftime("%H:%M:%S.%6f").to_string())
}

/// Reads a moment with any offset; without one it is UTC, without a time midnight.
pub fn parse_datetime(text: &str) -> Result<String, String> {
    let form = || "a datetime is RFC 3339, such as 2026-01-31T09:30:00Z".to_string();
    if text.len() < 10 || text.as_bytes()[4] != b'-' || text.contains(":60") {
        return Err(form());
    }
    let pieces = Pieces::parse(text).map_err(|_| form())?;
    if pieces.time_zone_annotation().is_some() {
        return Err(form());
    }
    let time = pieces.time().unwrap_or(Time::midnight());
    micros(time)?;
    let offset = pieces.offset().map_or(Offset::UTC, |offset| offset.to_numeric_offset());
    // The reader knows offsets of a day and more; RFC 3339 knows none.
    if offset.seconds().abs() >= 24 * 60 * 60 {
        return Err(form());
    }
    let ahead = SignedDuration::from_secs(i64::from(offset.seconds()));
    // Not by way of a timestamp: those end some hours before the year 9999 does.
    let moment = DateTime::from_parts(in_range(pieces.date())?, time).checked_sub(ahead).map_err(|_| form())?;
    in_range(moment.date())?;
    Ok(moment.strftime("%Y-%m-%dT%H:%M:%S.%6fZ").to_string())
}

/// What is stored of a moment.
pub fn format_timestamp(moment: Timestamp) -> String {
    PRINTER.timestamp_to_string(&moment)
}

fn micros(time: Time) -> Result<(), String> {
    if time.subsec_nanosecond() % 1000 == 0 { Ok(()) } else { Err("times go down to the microsecond".into()) }
}

fn in_range(date: Date) -> Result<Date, String> {
    if (1..=9999).contains(&date.year()) { Ok(date) } else { Err("years run from 1 to 9999".into()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_kept_in_utc_to_the_microsecond() {
        for (text, expected) in [
            ("2026-01-31T09:30:00Z", Some("2026-01-31T09:30:00.000000Z")),
            ("2026-01-31T09:30:00.123456+02:00", Some("2026-01-31T07:30:00.123456Z")),
            ("2026-01-31 09:30", Some("2026-01-31T09:30:00.000000Z")),
            ("2024-05-01", Some("2024-05-01T00:00:00.000000Z")),
            ("0001-01-01T00:00:00+01:00", None),
            ("9999-12-31T23:59:59.999999Z", Some("9999-12-31T23:59:59.999999Z")),
            ("9999-12-31T23:59:59-01:00", None),
            ("2026-01-31T09:30:00.1234567Z", None),
            ("2026-02-30T00:00:00Z", None),
            ("2026-06-30T23:59:60Z", None),
            ("2026-01-31T09:30:00+01:00[Europe/Paris]", None),
            ("2026-01-31T09:30:00+23:59", Some("2026-01-30T09:31:00.000000Z")),
            ("2026-01-31T09:30:00+24:00", None),
            ("2026-01-31T09:30:00-25:00", None),
            ("yesterday", None),
            ("", None),
        ] {
            assert_eq!(parse_datetime(text).ok().as_deref(), expected, "{text}");
        }
    }

    #[test]
    fn every_moment_has_the_same_form() {
        for (micros, expected) in [
            (0, "1970-01-01T00:00:00.000000Z"),
            (-1, "1969-12-31T23:59:59.999999Z"),
            (1_769_851_800_000_042, "2026-01-31T09:30:00.000042Z"),
            (-62_135_596_800_000_000, "0001-01-01T00:00:00.000000Z"),
            (253_402_207_199_999_999, "9999-12-30T21:59:59.999999Z"),
        ] {
            assert_eq!(from_micros(micros), expected);
        }
        for second in (-62_135_596_800..Timestamp::MAX.as_second()).step_by(86_399 * 977) {
            let moment = Timestamp::new(second, 123_456_789).unwrap();
            assert_eq!(format_timestamp(moment), moment.strftime("%Y-%m-%dT%H:%M:%S.%6fZ").to_string());
        }
    }

    #[test]
    fn dates_and_times_have_one_form() {
        assert_eq!(parse_date("2024-02-29").as_deref(), Ok("2024-02-29"));
        for text in ["2023-02-29", "20240229", "2024-02-29T10:00", "2024-2-9", "0000-01-01"] {
            assert!(parse_date(text).is_err(), "{text}");
        }
        assert_eq!(parse_time("09:30").as_deref(), Ok("09:30:00.000000"));
        assert_eq!(parse_time("09:30:15.5").as_deref(), Ok("09:30:15.500000"));
        for text in ["9:30", "24:00", "09:30:60", "0930", "09:30:00.0000001", "09:30:15+02:00"] {
            assert!(parse_time(text).is_err(), "{text}");
        }
    }

    #[test]
    fn lengths_of_time_are_read() {
        assert_eq!(parse_duration("90d").unwrap().as_secs(), 90 * 86_400);
        assert_eq!(parse_duration("1h").unwrap().as_secs(), 3600);
        for text in ["90d", "5m", "36h", "1h 30m"] {
            assert_eq!(format_duration(parse_duration(text).unwrap()), text);
        }
        for text in ["", "1", "-1h", "1 fortnight", "3 months"] {
            assert!(parse_duration(text).is_err(), "{text}");
        }
    }
}
