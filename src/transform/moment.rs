//! Dates, datetimes and times written as people read them, in the time zone that is asked for.

use super::Kind;
use crate::error::{nearest, shown};
use crate::json::Json;
use crate::value::time;
use jiff::civil::{Date, DateTime, Time};
use jiff::fmt::strtime::{BrokenDownTime, Config, PosixCustom};
use jiff::tz::{self, Offset, TimeZone};
use jiff::{SignedDuration, Timestamp};

/// The time zone of that name.
///
/// # Errors
/// What is wrong with the name, to stand behind the option.
pub fn zone(name: &str) -> Result<TimeZone, String> {
    if let Some(zone) = tz::db().get(name).ok().filter(|zone| !zone.is_unknown()) {
        return Ok(zone);
    }
    let known: Vec<_> = tz::db().available().collect();
    let nearest = nearest(name, known.iter().map(|name| name.as_str()));
    let meant = nearest.map(|name| format!("; did you mean \"{name}\"?")).unwrap_or_default();
    Err(format!("must be the name of a time zone such as Europe/London, not {}{meant}", shown(&Json::from(name))))
}

/// A format of `strftime`'s tokens, and the zone in which datetimes are written.
#[derive(Clone, Debug, PartialEq)]
pub struct Pattern {
    format: String,
    zone: TimeZone,
}

impl Pattern {
    /// A pattern that writes datetimes in UTC.
    ///
    /// # Errors
    /// A token that is not known, or that the kind has no part for; to stand behind the option.
    pub fn new(format: String, kind: Kind) -> Result<Pattern, String> {
        let sample = match kind {
            Kind::Date => "2026-01-31",
            Kind::Time => "09:30:00.000000",
            _ => "2026-01-31T09:30:00.000000Z",
        };
        let pattern = Pattern { format, zone: TimeZone::UTC };
        match pattern.written(sample) {
            Some(Err(error)) => {
                let error = error.to_string();
                let why = error.rsplit(": ").next().unwrap_or_default();
                let kind = if kind == Kind::Any { Kind::Datetime } else { kind };
                Err(format!("is no format for {}: {why}", kind.described()))
            }
            _ => Ok(pattern),
        }
    }

    pub fn within(self, zone: TimeZone) -> Pattern {
        Pattern { zone, ..self }
    }

    /// The text of a date, datetime or time; `null` of anything else.
    pub fn format(&self, value: &Json) -> Json {
        let Json::String(text) = value else { return Json::Null };
        match self.written(text) {
            Some(Ok(written)) => Json::String(written),
            _ => Json::Null,
        }
    }

    /// `None` where the text is no date, datetime or time.
    fn written(&self, text: &str) -> Option<Result<String, jiff::Error>> {
        if let Ok(date) = time::parse_date(text) {
            return Some(write(&self.format, &date.parse::<Date>().ok()?.into()));
        }
        if let Ok(time) = time::parse_time(text) {
            return Some(write(&self.format, &time.parse::<Time>().ok()?.into()));
        }
        let moment = time::parse_datetime(text).ok()?;
        let civil: DateTime = moment.trim_end_matches('Z').parse().ok()?;
        Some(match Offset::UTC.to_timestamp(civil) {
            Ok(moment) => write(&self.format, &BrokenDownTime::from(&moment.to_zoned(self.zone.clone()))),
            Err(_) => self.last(civil),
        })
    }

    /// A moment of the last day that there is. Timestamps end before it does, so the zone's offset is that of
    /// the last of them, and the rest is reckoned by the calendar; where that would be in the year 10000, in UTC.
    fn last(&self, utc: DateTime) -> Result<String, jiff::Error> {
        let ahead = SignedDuration::from_secs(i64::from(self.zone.to_offset(Timestamp::MAX).seconds()));
        let (zone, local) = match utc.checked_add(ahead) {
            Ok(local) => (self.zone.clone(), local),
            Err(_) => (TimeZone::UTC, utc),
        };
        let mut parts = BrokenDownTime::from(&Timestamp::MAX.to_zoned(zone));
        parts.set_year(Some(local.year()))?;
        parts.set_month(Some(local.month()))?;
        parts.set_day(Some(local.day()))?;
        parts.set_meridiem(None);
        parts.set_hour(Some(local.hour()))?;
        parts.set_minute(Some(local.minute()))?;
        parts.set_second(Some(local.second()))?;
        parts.set_subsec_nanosecond(Some(local.subsec_nanosecond()))?;
        // The parts still hold the last timestamp, which %s would give.
        let seconds = utc.duration_since(DateTime::constant(1970, 1, 1, 0, 0, 0, 0)).as_secs().to_string();
        let literals: Vec<String> = self.format.split("%%").map(|part| part.replace("%s", &seconds)).collect();
        write(&literals.join("%%"), &parts)
    }
}

/// The tokens that C leaves to the locale (`%c`, `%r`, `%x`, `%X`) are those of the POSIX one.
fn write(format: &str, parts: &BrokenDownTime) -> Result<String, jiff::Error> {
    parts.to_string_with_config(&Config::new().custom(PosixCustom::new()), format)
}

#[cfg(test)]
mod tests {
    use crate::transform::Kind;
    use crate::transform::tests::case;

    #[track_caller]
    fn writes(kind: Kind, format: &str, zone: Option<&str>, given: &str, expected: &str) {
        let zone = zone.map(|zone| format!(",\"timezone\":\"{zone}\"")).unwrap_or_default();
        let chain = format!("{{\"dateFormat\":{{\"format\":\"{format}\"{zone}}}}}");
        case(kind, &chain, &format!("\"{given}\""), &format!("\"{expected}\""));
    }

    #[test]
    fn dates_and_times_are_written_by_strftimes_tokens() {
        writes(Kind::Date, "%A, %-d %B %Y 100%%", None, "2026-02-01", "Sunday, 1 February 2026 100%");
        writes(Kind::Date, "%y %j é", None, "0001-01-01", "01 001 é");
        writes(Kind::Time, "%I:%M %p", None, "21:30:00.000000", "09:30 PM");
        writes(Kind::Datetime, "%Y-%m-%d %H:%M:%S%.3f", None, "2026-01-31T09:30:00.123456Z", "2026-01-31 09:30:00.123");
        writes(Kind::Datetime, "%c|%x", None, "2026-01-31T09:30:00.000000Z", "Sat Jan 31 09:30:00 2026|01/31/26");
    }

    #[test]
    fn datetimes_are_written_in_the_zone_that_is_asked_for() {
        let (winter, summer) = ("2026-01-01T11:00:00.000000Z", "2026-07-01T11:00:00.000000Z");
        writes(Kind::Datetime, "%H:%M %Z", Some("Europe/London"), winter, "11:00 GMT");
        writes(Kind::Datetime, "%H:%M %Z", Some("Europe/London"), summer, "12:00 BST");
        writes(Kind::Datetime, "%H:%M %Z %Q", None, summer, "11:00 UTC UTC");
        writes(Kind::Datetime, "%F %:z", Some("Asia/Kathmandu"), "2026-01-31T20:00:00.000000Z", "2026-02-01 +05:45");
        writes(Kind::Datetime, "%H", Some("Europe/London"), "2300-07-01T11:00:00.000000Z", "12");
    }

    #[test]
    fn the_first_and_the_last_moment_have_a_text_everywhere() {
        let (first, last) = ("0001-01-01T00:00:00.000000Z", "9999-12-31T23:59:59.999999Z");
        writes(Kind::Datetime, "%F %T", Some("America/New_York"), first, "0000-12-31 19:03:58");
        writes(Kind::Datetime, "%F %T.%f %Z", None, last, "9999-12-31 23:59:59.999999 UTC");
        writes(Kind::Datetime, "%A %F %I %p %Z", Some("America/New_York"), last, "Friday 9999-12-31 06 PM EST");
        writes(Kind::Datetime, "%F %T %z", Some("Asia/Tokyo"), last, "9999-12-31 23:59:59 +0000");
        writes(
            Kind::Datetime,
            "%F %T %z",
            Some("Asia/Tokyo"),
            "9999-12-31T14:59:59.000000Z",
            "9999-12-31 23:59:59 +0900",
        );
        writes(Kind::Datetime, "%s %%s", Some("Asia/Tokyo"), last, "253402300799 %s");
        writes(Kind::Datetime, "%s", Some("Asia/Tokyo"), "2026-01-31T09:30:00.000000Z", "1769851800");
        for minute in ["21:59", "22:00", "22:01", "23:59"] {
            let moment = format!("9999-12-30T{minute}:00.000000Z");
            writes(
                Kind::Datetime,
                "%d %H:%M",
                Some("Pacific/Kiritimati"),
                &moment,
                &format!("31 {:02}:{}", minute[..2].parse::<u32>().unwrap() - 10, &minute[3..]),
            );
        }
    }

    #[test]
    fn what_is_no_moment_becomes_null() {
        for given in ["\"yesterday\"", "\"\"", "5", "true", "[]", "{}", "\"2026-01-31\""] {
            case(Kind::Any, r#"{"dateFormat":{"format":"%H"}}"#, given, "null");
        }
        case(Kind::Any, r#"{"dateFormat":{"format":"%d"}}"#, "\"2026-01-31\"", "\"31\"");
    }
}
