//! `percentile_of(value, share)`: the least value that so many billionths of all are not above; NULL of none. It is exact, and so
//! always one of the values: the nearest rank.
//!
//! Values are counted, each once for all that are alike: durations, prices and days are few beside their records.

use super::functions::{TOO_MANY_COUNTED, failed};
use crate::function::WHOLE;
use crate::value::Scalar;
use rusqlite::Result;
use rusqlite::functions::{Aggregate, Context};
use rusqlite::types::{Value, ValueRef};
use std::cmp::Ordering;
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering as Access};

/// Bytes that all percentiles of a connection take at one time: texts, tables with the room they keep, and the lists
/// that are sorted in the end.
pub const MOST_COUNTED: usize = 64 << 20;

/// The function.
#[derive(Default)]
pub struct Percentile {
    /// Bytes that are counted.
    held: Arc<AtomicUsize>,
}

/// The values of one percentile, and how often each is there.
pub struct Counted {
    counts: HashMap<Scalar, u64, foldhash::fast::RandomState>,
    share: i64,
    own: usize,
    held: Arc<AtomicUsize>,
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.held.fetch_sub(self.own, Access::Relaxed);
    }
}

impl Aggregate<Counted, Option<Value>> for Percentile {
    fn init(&self, _: &mut Context<'_>) -> Result<Counted> {
        Ok(Counted { counts: HashMap::default(), share: 0, own: 0, held: self.held.clone() })
    }

    fn step(&self, context: &mut Context<'_>, counted: &mut Counted) -> Result<()> {
        counted.share = context.get(1)?;
        match context.get_raw(0) {
            ValueRef::Null => Ok(()),
            ValueRef::Integer(number) => counted.add(Scalar::Integer(number)),
            ValueRef::Real(number) => counted.add(Scalar::Real(number)),
            text => counted.add(Scalar::Text(text.as_str()?.to_owned())),
        }
    }

    fn finalize(&self, _: &mut Context<'_>, counted: Option<Counted>) -> Result<Option<Value>> {
        Ok(counted.and_then(|counted| counted.nearest_rank()).map(|value| match value {
            Scalar::Null => Value::Null,
            Scalar::Integer(number) => Value::Integer(number),
            Scalar::Real(number) => Value::Real(number),
            Scalar::Text(text) => Value::Text(text),
        }))
    }
}

impl Counted {
    fn add(&mut self, value: Scalar) -> Result<()> {
        if let Some(count) = self.counts.get_mut(&value) {
            *count += 1;
            return Ok(());
        }
        let text = value.text().map_or(0, str::len);
        let bytes = text + self.growth() + size_of::<(&Scalar, u64)>();
        self.own += bytes;
        if self.held.fetch_add(bytes, Access::Relaxed) + bytes > MOST_COUNTED {
            return Err(failed(TOO_MANY_COUNTED));
        }
        self.counts.insert(value, 1);
        Ok(())
    }

    /// Bytes by which the table grows with one more value: one that is full makes room for as many again. It keeps an
    /// eighth of its places free, and a byte beside each. While it moves there are both tables, but no list yet.
    fn growth(&self) -> usize {
        let room = self.counts.capacity();
        let more = if self.counts.len() < room { 0 } else { (room + 1).max(4) };
        (more * 8).div_ceil(7) * (size_of::<(Scalar, u64)>() + 1)
    }

    fn nearest_rank(&self) -> Option<Scalar> {
        let mut all: Vec<(&Scalar, u64)> = self.counts.iter().map(|(value, count)| (value, *count)).collect();
        all.sort_unstable_by(|(left, _), (right, _)| order(left, right));
        let total: u64 = all.iter().map(|(_, count)| count).sum();
        let share = u128::try_from(self.share).unwrap_or(0);
        let rank = (share * u128::from(total)).div_ceil(u128::from(WHOLE.unsigned_abs())).max(1);
        let mut below = 0;
        all.into_iter().find_map(|(value, count)| {
            below += u128::from(count);
            (below >= rank).then(|| value.clone())
        })
    }
}

/// The order of SQLite: that of texts, or of numbers, which inside json may be of both kinds.
fn order(left: &Scalar, right: &Scalar) -> Ordering {
    match (left, right) {
        (Scalar::Integer(left), Scalar::Integer(right)) => left.cmp(right),
        (Scalar::Text(left), Scalar::Text(right)) => left.cmp(right),
        _ => {
            let ((left, more), (right, and_more)) = (size(left), size(right));
            left.total_cmp(&right).then(more.cmp(&and_more))
        }
    }
}

/// A number as the nearest float, and what it is more than that.
#[expect(clippy::cast_precision_loss, clippy::cast_possible_truncation)] // what is lost is the second part
fn size(number: &Scalar) -> (f64, i128) {
    match number {
        Scalar::Integer(number) => (*number as f64, i128::from(*number) - (*number as f64) as i128),
        Scalar::Real(number) => (*number, 0),
        Scalar::Null | Scalar::Text(_) => (f64::NAN, 0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Problem;
    use crate::store::deadline::Deadline;
    use crate::store::{Failure, functions};
    use proptest::collection::vec;
    use proptest::prelude::*;
    use rusqlite::Connection;

    fn connection() -> Connection {
        let connection = Connection::open_in_memory().unwrap();
        functions::register(&connection, &Deadline::never()).unwrap();
        connection.execute_batch("CREATE TABLE t (x)").unwrap();
        connection
    }

    fn percentile(connection: &Connection, share: i64) -> Result<Value> {
        connection.query_one("SELECT percentile_of(x, ?1) FROM t", [share], |row| row.get(0))
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn it_is_the_value_at_the_nearest_rank(mut values in vec(-50_i64..50, 1..200), hundredths in 0..=100_usize) {
            let connection = connection();
            for value in &values {
                connection.execute("INSERT INTO t VALUES (?1), (NULL)", [value]).unwrap();
            }
            values.sort_unstable();
            let rank = (values.len() * hundredths).div_ceil(100).max(1);
            let share = WHOLE / 100 * i64::try_from(hundredths).unwrap();
            prop_assert_eq!(percentile(&connection, share).unwrap(), Value::Integer(values[rank - 1]));
        }
    }

    #[test]
    fn numbers_of_both_kinds_stand_in_their_order() {
        let numbers = [
            Scalar::Real(f64::NEG_INFINITY),
            Scalar::Integer(i64::MIN),
            Scalar::Real(-0.5),
            Scalar::Integer(0),
            Scalar::Real(0.5),
            Scalar::Real(9_007_199_254_740_992.0),
            Scalar::Integer(9_007_199_254_740_993),
            Scalar::Real(9_007_199_254_740_994.0),
            Scalar::Integer(i64::MAX),
            Scalar::Real(9_223_372_036_854_775_808.0),
            Scalar::Real(f64::INFINITY),
        ];
        for (place, left) in numbers.iter().enumerate() {
            for (other, right) in numbers.iter().enumerate() {
                assert_eq!(order(left, right), place.cmp(&other), "{left} {right}");
            }
        }
    }

    #[test]
    fn what_is_held_is_what_the_table_and_the_list_take() {
        for count in [1, 3, 4, 5, 28, 29, 1000, 100_000_i64] {
            let held = Arc::<AtomicUsize>::default();
            let mut counted = Counted { counts: HashMap::default(), share: 0, own: 0, held: held.clone() };
            for number in 0..count {
                counted.add(Scalar::Integer(number)).unwrap();
            }
            // hashbrown: a power of two of places, of which an eighth stays free; below eight, one.
            let places = (counted.counts.capacity() + 1).next_power_of_two();
            let table = places * (size_of::<(Scalar, u64)>() + 1);
            let list = counted.counts.len() * size_of::<(&Scalar, u64)>();
            let (taken, told) = (table + list, held.load(Access::Relaxed));
            assert!((taken..=taken + taken / 4 + 256).contains(&told), "{count}: {told} of {taken}");
            drop(counted);
            assert_eq!(held.load(Access::Relaxed), 0);
        }
    }

    #[test]
    fn of_none_it_is_null_and_of_too_many_it_fails_until_they_are_forgotten() {
        let connection = connection();
        assert_eq!(percentile(&connection, WHOLE / 2), Ok(Value::Null));
        let fill = |sql: &str| connection.execute_batch(sql).unwrap();
        fill(
            "WITH RECURSIVE n(i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n WHERE i < 70)
              INSERT INTO t SELECT printf('%01000000d', i) FROM n",
        );
        let why = |outcome: Result<Value>| outcome.map_err(|error| Problem::from(Failure::from(error)).to_string());
        let too_many = Err("a request may hold at most 64 MiB of different values that percentiles are of".to_owned());
        assert_eq!(why(percentile(&connection, WHOLE / 2)), too_many);
        fill("DELETE FROM t WHERE x > printf('%01000000d', 40)");
        for _ in 0..3 {
            assert!(percentile(&connection, WHOLE / 2).is_ok());
        }
        let both = "SELECT percentile_of(x, 0), percentile_of(x, 1) FROM t";
        assert_eq!(why(connection.query_one(both, (), |row| row.get(0))), too_many);
        fill("UPDATE t SET x = 'alike'");
        assert_eq!(percentile(&connection, WHOLE), Ok(Value::Text("alike".into())));
    }
}
