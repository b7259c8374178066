//! Totals of the usage log: requests, refusals and how long they took, by key, namespace, intent and code, and over time.
//! One pass over the entries that are asked for, in bounded memory.

use super::Wanted;
use crate::sql::Statement;
use crate::store::{Cells, Failure, Session};
use crate::value::{Scalar, time};
use foldhash::HashMap;
use hdrhistogram::Histogram;

/// What entries are told apart by; also the names of the columns.
pub const KINDS: [&str; 4] = ["key", "namespace", "intent", "code"];
/// The name of all that came after so many others that each had its own total.
pub const OTHERS: &str = "(others)";
/// Names of one kind that have a total of their own: clients choose some of them.
const MOST_NAMES: usize = 5000;
/// Digits of a duration that count: percentiles are right to within 1 %.
const DIGITS: u8 = 2;
/// The most periods that time is cut into.
const MOST_PERIODS: i64 = 48;
/// How long a period may be, in seconds; beyond them it is so many times 30 days.
const LENGTHS: [i64; 24] = [
    1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1200, 1800, 3600, 7200, 10_800, 21_600, 43_200, 86_400, 172_800, 259_200,
    432_000, 604_800, 1_209_600, 2_592_000,
];

/// Requests, and what became of them.
pub struct Total {
    pub requests: u64,
    /// Those that the client was to blame for: answered with 4xx.
    pub refused: u64,
    /// Those that the server was to blame for: answered with 5xx.
    pub failed: u64,
    /// Microseconds.
    durations: Histogram<u32>,
}

impl Total {
    fn new() -> Total {
        let durations = Histogram::new(DIGITS).expect("so many digits are allowed");
        Total { requests: 0, refused: 0, failed: 0, durations }
    }

    fn add(&mut self, status: i64, duration: u64) {
        self.requests += 1;
        self.refused += u64::from((400..500).contains(&status));
        self.failed += u64::from(status >= 500);
        // It grows with what it is given, as long as there is memory.
        let _ = self.durations.record(duration);
    }

    fn merge(&mut self, other: &Total) {
        self.requests += other.requests;
        self.refused += other.refused;
        self.failed += other.failed;
        let _ = self.durations.add(&other.durations); // it grows, too
    }

    /// How long no more than this share of requests took longer than, in microseconds; `None` without requests.
    pub fn percentile(&self, percent: f64) -> Option<u64> {
        (self.requests > 0).then(|| self.durations.value_at_quantile(percent / 100.0).min(self.durations.max()))
    }
}

/// All totals.
pub struct Stats {
    /// The moments between which the entries lie.
    pub from: String,
    pub to: String,
    pub all: Total,
    /// For each of [`KINDS`] its names, those with the most requests first; `None` where an entry has none.
    pub by: [Vec<(Option<String>, Total)>; 4],
    /// Seconds of a period.
    pub period: i64,
    /// All periods, empty ones too, each with the moment that it begins at.
    pub over_time: Vec<(String, Total)>,
}

/// Adds up the entries that are wanted. Within one transaction.
pub fn gather(session: &Session, wanted: &Wanted) -> Result<Stats, Failure> {
    let Bounds { oldest, newest } = Bounds::of(session)?;
    let since = wanted.since.clone().filter(|since| *since > oldest);
    let first = since.as_ref().map_or(Ok(0), |since| first_id(session, since))?;
    let to = newest.max(time::now());
    let from = since.clone().unwrap_or(oldest).min(to.clone());
    let wanted = Wanted { since, ..wanted.clone() };

    let mut periods = Periods::between(&from, &to);
    let mut names: [Names; 4] = std::array::from_fn(|_| Names::default());
    let mut statement = Statement::default();
    // By id, which is how they lie there: an index would have each of them looked up.
    statement.push(r#"SELECT "at", "status", "duration_us", "key", "namespace", "intent", "code""#);
    statement.push(r#" FROM "system.UsageLog" NOT INDEXED WHERE "id" >= "#).value(Scalar::Integer(first));
    wanted.narrow(&mut statement);
    session.each(&statement, |entry: &Cells<'_>| {
        let (status, duration) = (entry.number(1), u64::try_from(entry.number(2)).unwrap_or(0));
        periods.at(entry.text(0).unwrap_or_default()).add(status, duration);
        for (place, names) in names.iter_mut().enumerate() {
            names.total(entry.text(3 + place)).add(status, duration);
        }
    })?;
    let mut all = Total::new();
    periods.totals.iter().for_each(|(_, total)| all.merge(total));
    Ok(Stats { from, to, all, by: names.map(Names::sorted), period: periods.length, over_time: periods.totals })
}

/// The moments between which all entries lie; this one where there are none.
struct Bounds {
    oldest: String,
    newest: String,
}

impl Bounds {
    fn of(session: &Session) -> Result<Bounds, Failure> {
        let moment = |text: &'static str| match session.rows(&Statement::fixed(text, []))?.cells.pop() {
            Some(Scalar::Text(moment)) => Ok::<_, Failure>(moment),
            _ => Ok(time::now()),
        };
        let oldest = moment(r#"SELECT min("at") FROM "system.UsageLog" INDEXED BY "system.UsageLog.at""#)?;
        Ok(Bounds {
            oldest,
            newest: moment(r#"SELECT max("at") FROM "system.UsageLog" INDEXED BY "system.UsageLog.at""#)?,
        })
    }
}

/// An id that no entry since a moment is below. Entries get their ids when their requests end, so that the first of a
/// moment need not have the lowest. Looking for that one takes about half as long as passing over an entry that is not
/// wanted, and is left out where there are few of those.
fn first_id(session: &Session, since: &str) -> Result<i64, Failure> {
    let number = |text: &'static str| session.number(&Statement::fixed(text, [Scalar::Text(since.to_owned())]));
    let ids = r#"SELECT min("id") FROM "system.UsageLog""#;
    let lowest = session.number(&Statement::fixed(ids, []))?;
    let highest = session.number(&Statement::fixed(r#"SELECT max("id") FROM "system.UsageLog""#, []))?;
    let about = number(
        r#"SELECT "id" FROM "system.UsageLog" INDEXED BY "system.UsageLog.at" WHERE "at" >= ?1 ORDER BY "at" LIMIT 1"#,
    )?;
    if about - lowest < (highest - about) / 2 {
        return Ok(lowest);
    }
    number(r#"SELECT min("id") FROM "system.UsageLog" INDEXED BY "system.UsageLog.at" WHERE "at" >= ?1"#)
}

/// Time, cut into periods of one length.
struct Periods {
    length: i64,
    totals: Vec<(String, Total)>,
    /// The one that the last entry was in: most often the next is in it too.
    here: usize,
}

impl Periods {
    fn between(from: &str, to: &str) -> Periods {
        let (from, to) = (time::to_seconds(from), time::to_seconds(to));
        let fits = |length: &i64| to.div_euclid(*length) - from.div_euclid(*length) < MOST_PERIODS;
        let long = || (1..).map(|times| times * 2_592_000).find(fits);
        let length = LENGTHS.into_iter().find(fits).or_else(long).unwrap_or(i64::MAX);
        let places = from.div_euclid(length)..=to.div_euclid(length);
        let totals = places.map(|place| (time::from_seconds(place * length), Total::new())).collect();
        Periods { length, totals, here: 0 }
    }

    /// The total of the period that a moment is in; what is outside of all belongs to the nearest.
    fn at(&mut self, moment: &[u8]) -> &mut Total {
        let begins = |place: usize| self.totals.get(place).is_none_or(|(begin, _)| moment < begin.as_bytes());
        if (self.here > 0 && begins(self.here)) || !begins(self.here + 1) {
            self.here = self.totals.partition_point(|(begin, _)| begin.as_bytes() <= moment).saturating_sub(1);
        }
        &mut self.totals[self.here].1
    }
}

/// The totals of the names of one kind.
#[derive(Default)]
struct Names {
    places: HashMap<Vec<u8>, usize>,
    totals: Vec<(Option<String>, Total)>,
    nameless: Option<usize>,
    others: Option<usize>,
}

impl Names {
    fn total(&mut self, name: Option<&[u8]>) -> &mut Total {
        let place = match name {
            None => *self.nameless.get_or_insert_with(|| start(&mut self.totals, None)),
            Some(name) => match self.places.get(name) {
                Some(place) => *place,
                None if self.places.len() >= MOST_NAMES => {
                    *self.others.get_or_insert_with(|| start(&mut self.totals, Some(OTHERS.to_owned())))
                }
                None => {
                    let place = start(&mut self.totals, Some(String::from_utf8_lossy(name).into_owned()));
                    self.places.insert(name.to_owned(), place);
                    place
                }
            },
        };
        &mut self.totals[place].1
    }

    /// The most requests first, and names in their order where there are as many.
    fn sorted(self) -> Vec<(Option<String>, Total)> {
        let mut totals = self.totals;
        totals.sort_by(|(a, one), (b, other)| other.requests.cmp(&one.requests).then_with(|| a.cmp(b)));
        totals
    }
}

/// Appends a total, and tells its place.
fn start(totals: &mut Vec<(Option<String>, Total)>, name: Option<String>) -> usize {
    totals.push((name, Total::new()));
    totals.len() - 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_is_cut_into_round_periods() {
        for (from, to, length, first, count) in [
            ("2026-01-31T09:30:00.000000Z", "2026-01-31T09:30:00.000000Z", 1, "2026-01-31T09:30:00.000000Z", 1),
            ("2026-01-30T09:30:00.000000Z", "2026-01-31T09:31:00.000000Z", 3600, "2026-01-30T09:00:00.000000Z", 25),
            ("2026-01-01T09:30:00.000000Z", "2026-01-31T09:30:00.000000Z", 86_400, "2026-01-01T00:00:00.000000Z", 31),
            (
                "1970-01-01T00:00:00.000000Z",
                "2026-01-31T09:30:00.000000Z",
                38_880_000,
                "1970-01-01T00:00:00.000000Z",
                46,
            ),
        ] {
            let periods = Periods::between(from, to);
            assert_eq!((periods.length, periods.totals[0].0.as_str(), periods.totals.len()), (length, first, count));
        }
    }

    #[test]
    fn a_moment_is_in_its_period_in_whatever_order_they_come() {
        let mut periods = Periods::between("2026-01-31T09:00:00.000000Z", "2026-01-31T09:40:00.000000Z");
        assert_eq!((periods.length, periods.totals.len()), (60, 41));
        for moment in ["09:00:00", "09:39:59.999999", "09:01:00", "09:00:59.999999", "09:40:00", "09:41:00", "08:00:00"]
        {
            periods.at(format!("2026-01-31T{moment}Z").as_bytes()).add(200, 5);
        }
        let filled: Vec<_> = periods.totals.iter().enumerate().filter(|(_, (_, total))| total.requests > 0).collect();
        let filled: Vec<_> = filled.iter().map(|(place, (_, total))| (*place, total.requests)).collect();
        assert_eq!(filled, [(0, 3), (1, 1), (39, 1), (40, 2)]);
    }

    #[test]
    fn names_beyond_the_most_are_counted_together() {
        let mut names = Names::default();
        for number in 0..MOST_NAMES + 7 {
            names.total(Some(format!("a.B{number}").as_bytes())).add(200, 1);
        }
        names.total(None).add(500, 1);
        let sorted = names.sorted();
        assert_eq!(sorted.len(), MOST_NAMES + 2);
        assert_eq!((sorted[0].0.as_deref(), sorted[0].1.requests), (Some(OTHERS), 7));
    }

    #[test]
    fn percentiles_are_right_to_within_one_percent() {
        let mut total = Total::new();
        assert_eq!(total.percentile(50.0), None);
        (1..=100_000).for_each(|duration| total.add(200, duration));
        for (percent, exact) in [(50.0, 50_000.0), (95.0, 95_000.0), (99.0, 99_000.0)] {
            let found = total.percentile(percent).unwrap() as f64;
            assert!((found - exact).abs() <= exact / 100.0, "{percent}: {found}");
        }
        total.add(200, u64::MAX);
        assert!(total.requests == 100_001 && total.percentile(100.0) > Some(u64::MAX / 100 * 99));
    }
}
