//! The functions that our SQL has beyond SQLite's own. Those of one value are `NULL` where an argument is.

use super::deadline::Deadline;
use super::percentile::Percentile;
use crate::function;
use crate::trial;
use crate::value::fold::Piece;
use crate::value::regex::{Regex, Unsearched};
use crate::value::{Scalar, Type, decimal, wide};
use memchr::memmem::Finder;
use rusqlite::functions::{Aggregate, Context, FunctionFlags};
use rusqlite::types::{Value, ValueRef};
use rusqlite::{Connection, Error, Result, ffi};

/// Makes them known to a connection. Those that read a text stop at the deadline.
pub fn register(connection: &Connection, deadline: &Deadline) -> Result<()> {
    let flags = FunctionFlags::SQLITE_UTF8 | FunctionFlags::SQLITE_DETERMINISTIC | FunctionFlags::SQLITE_INNOCUOUS;
    let of_text = |name, function: OfText| {
        let deadline = deadline.clone();
        connection.create_scalar_function(name, 2, flags, move |context| {
            trial::panics("function");
            let Some(text) = context.get_raw(0).as_str_or_null()? else { return Ok(Value::Null) };
            if (text.len() > SHORT || is_long(context.get_raw(1))) && deadline.has_passed() {
                return Err(interrupted());
            }
            function(text, context, &deadline)
        })
    };
    of_text("starts_with", |text, context, _| with(context, |start| text.starts_with(start)))?;
    of_text("ends_with", |text, context, _| with(context, |end| text.ends_with(end)))?;
    of_text("contains", contains)?;
    of_text("iequals", |text, context, _| folded(context, |piece| piece.is(text)))?;
    of_text("istarts_with", |text, context, _| folded(context, |start| start.starts(text)))?;
    of_text("iends_with", |text, context, _| folded(context, |end| end.ends(text)))?;
    of_text("icontains", |text, context, _| folded(context, |piece| piece.is_in(text)))?;
    of_text("regexp", |text, context, deadline| regexp(text, context, deadline, false))?;
    of_text("iregexp", |text, context, deadline| regexp(text, context, deadline, true))?;
    connection.create_scalar_function("decimal_text", 2, flags, decimal_text)?;
    connection.create_scalar_function("float_text", 1, flags, float_text)?;
    connection.create_scalar_function("finite", 1, flags, finite)?;
    connection.create_scalar_function("as_total", 2, flags, as_total)?;
    connection.create_scalar_function("as_float", 1, flags, as_float)?;
    connection.create_aggregate_function("exact_sum", 1, flags, Sum)?;
    connection.create_aggregate_function("exact_average", 1, flags, Average)?;
    connection.create_aggregate_function("first_of", 1, flags, First)?;
    connection.create_aggregate_function("last_of", 1, flags, Last)?;
    connection.create_aggregate_function("percentile_of", 2, flags, Percentile::default())
}

/// A function of a text, and of another that it is held against.
type OfText = fn(&str, &Context<'_>, &Deadline) -> Result<Value>;

/// Bytes of a text that is not worth a look at the clock.
const SHORT: usize = 1024;

fn is_long(value: ValueRef<'_>) -> bool {
    matches!(value, ValueRef::Text(text) if text.len() > SHORT)
}

/// How our functions fail, by codes that SQLite leaves to others.
pub const OVERFLOW: i32 = ffi::SQLITE_CONSTRAINT_FUNCTION;
pub const TOO_MUCH_SEARCHED: i32 = ffi::SQLITE_CONSTRAINT_VTAB;
pub const TOO_MANY_COUNTED: i32 = ffi::SQLITE_CONSTRAINT_PINNED;

pub fn failed(code: i32) -> Error {
    Error::SqliteFailure(ffi::Error::new(code), None)
}

/// What SQLite says of a statement that was stopped.
fn interrupted() -> Error {
    failed(ffi::SQLITE_INTERRUPT)
}

/// What holds of the text that is the second argument.
fn with(context: &Context<'_>, holds: impl Fn(&str) -> bool) -> Result<Value> {
    Ok(context.get_raw(1).as_str_or_null()?.map_or(Value::Null, |other| holds(other).into()))
}

/// `contains(text, piece)`: in time linear in both, where SQLite's `instr` takes their product.
fn contains(text: &str, context: &Context<'_>, _: &Deadline) -> Result<Value> {
    if context.get_raw(1) == ValueRef::Null {
        return Ok(Value::Null);
    }
    let finder = context.get_or_create_aux(1, |piece| Ok::<_, Error>(Finder::new(piece.as_str()?).into_owned()))?;
    Ok(finder.find(text.as_bytes()).is_some().into())
}

/// What holds, whatever the case, of the text that is the second argument: one that is the same for all rows is folded once a
/// statement.
fn folded(context: &Context<'_>, holds: impl Fn(&Piece) -> bool) -> Result<Value> {
    if context.get_raw(1) == ValueRef::Null {
        return Ok(Value::Null);
    }
    let piece = context.get_or_create_aux(1, |piece| Ok::<_, Error>(Piece::new(piece.as_str()?)))?;
    Ok(holds(&piece).into())
}

/// `regexp(text, expression)`, and `iregexp` that folds case: the expression is compiled once a statement.
fn regexp(text: &str, context: &Context<'_>, deadline: &Deadline, folds: bool) -> Result<Value> {
    // A short text too may take a while.
    if deadline.has_passed() {
        return Err(interrupted());
    }
    let regex = context.get_or_create_aux(
        1,
        |expression| -> std::result::Result<_, Box<dyn std::error::Error + Send + Sync>> {
            Ok(Regex::new(expression.as_str()?, folds)?)
        },
    )?;
    regex.is_match(text, || deadline.has_passed()).map(Value::from).map_err(|why| match why {
        Unsearched::Late => interrupted(),
        Unsearched::TooMuch => failed(TOO_MUCH_SEARCHED),
    })
}

/// `decimal_text(units, places)`: a decimal as a client gets it.
fn decimal_text(context: &Context<'_>) -> Result<Option<String>> {
    let (units, places): (Option<i64>, u32) = (context.get(0)?, context.get(1)?);
    Ok(units.map(|units| decimal::format(units, places)))
}

/// `float_text(number)`: a float as a client gets it; SQLite's own text drops digits.
fn float_text(context: &Context<'_>) -> Result<Option<String>> {
    let number = context.get::<Option<f64>>(0)?.map_or(Scalar::Null, Scalar::Real);
    let mut out = Vec::new();
    Type::Float.write(&number, &mut out);
    Ok((number != Scalar::Null).then(|| String::from_utf8_lossy(&out).into_owned()))
}

/// `finite(number)`: the number, where it is one. JSON has no infinity, and null would say that there was nothing.
fn finite(context: &Context<'_>) -> Result<Value> {
    match context.get(0)? {
        Value::Real(number) if !number.is_finite() => Err(failed(OVERFLOW)),
        number => Ok(number),
    }
}

/// What is in a cell with a whole number, or with a total in the form of [`wide`].
fn whole(context: &Context<'_>) -> Result<Option<i128>> {
    Ok(match context.get_raw(0) {
        ValueRef::Null => None,
        ValueRef::Text(_) => Some(wide::decode(context.get_raw(0).as_str()?)),
        number => Some(number.as_i64()?.into()),
    })
}

/// `as_total(number, places)`: a whole number or a total, with so many places more, in the form of [`wide`]. One
/// that is beyond that form becomes its largest: it compares rightly with any that is not.
fn as_total(context: &Context<'_>) -> Result<Option<String>> {
    let places: u32 = context.get(1)?;
    Ok(whole(context)?.map(|number| wide::encode(number.saturating_mul(10_i128.pow(places)))))
}

/// `as_float(number)`: a whole number or a total as a float.
#[expect(clippy::cast_precision_loss)] // as far as a float goes
fn as_float(context: &Context<'_>) -> Result<Option<f64>> {
    Ok(whole(context)?.map(|number| number as f64))
}

/// `exact_sum(number)`: the sum of whole numbers whatever it comes to, in the form of [`wide`]; NULL of none.
struct Sum;

impl Aggregate<Option<i128>, Option<String>> for Sum {
    fn init(&self, _: &mut Context<'_>) -> Result<Option<i128>> {
        Ok(None)
    }
    fn step(&self, context: &mut Context<'_>, sum: &mut Option<i128>) -> Result<()> {
        if let Some(number) = context.get::<Option<i64>>(0)? {
            *sum = Some(sum.unwrap_or(0) + i128::from(number)); // it would take 2^63 records to overflow
        }
        Ok(())
    }
    fn finalize(&self, _: &mut Context<'_>, sum: Option<Option<i128>>) -> Result<Option<String>> {
        Ok(sum.flatten().map(wide::encode))
    }
}

/// `exact_average(number)`: the average of whole numbers in millionths of their unit, half of one rounded away
/// from zero.
struct Average;

impl Aggregate<(i128, i128), Option<String>> for Average {
    fn init(&self, _: &mut Context<'_>) -> Result<(i128, i128)> {
        Ok((0, 0))
    }
    fn step(&self, context: &mut Context<'_>, (sum, count): &mut (i128, i128)) -> Result<()> {
        if let Some(number) = context.get::<Option<i64>>(0)? {
            *sum += i128::from(number);
            *count += 1;
        }
        Ok(())
    }
    fn finalize(&self, _: &mut Context<'_>, total: Option<(i128, i128)>) -> Result<Option<String>> {
        let Some((sum, count)) = total.filter(|(_, count)| *count > 0) else { return Ok(None) };
        let raised = sum * 10_i128.pow(function::AVERAGE_PLACES);
        let half = count / 2 * raised.signum();
        Ok(Some(wide::encode((raised + half) / count)))
    }
}

/// `first_of(value ORDER BY …)`: the value of the first record, be it NULL.
struct First;

impl Aggregate<Option<Value>, Option<Value>> for First {
    fn init(&self, _: &mut Context<'_>) -> Result<Option<Value>> {
        Ok(None)
    }
    fn step(&self, context: &mut Context<'_>, first: &mut Option<Value>) -> Result<()> {
        if first.is_none() {
            *first = Some(context.get(0)?);
        }
        Ok(())
    }
    fn finalize(&self, _: &mut Context<'_>, first: Option<Option<Value>>) -> Result<Option<Value>> {
        Ok(first.flatten())
    }
}

/// `last_of(value ORDER BY …)`: the value of the last record.
struct Last;

impl Aggregate<Option<Value>, Option<Value>> for Last {
    fn init(&self, _: &mut Context<'_>) -> Result<Option<Value>> {
        Ok(None)
    }
    fn step(&self, context: &mut Context<'_>, last: &mut Option<Value>) -> Result<()> {
        *last = Some(context.get(0)?);
        Ok(())
    }
    fn finalize(&self, _: &mut Context<'_>, last: Option<Option<Value>>) -> Result<Option<Value>> {
        Ok(last.flatten())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn connection(deadline: &Deadline) -> Connection {
        let connection = Connection::open_in_memory().unwrap();
        register(&connection, deadline).unwrap();
        connection
    }

    #[track_caller]
    fn case(expression: &str, expected: std::result::Result<Option<bool>, ()>) {
        let answer = connection(&Deadline::never()).query_one(&format!("SELECT {expression}"), (), |row| row.get(0));
        assert_eq!(answer.map_err(|_| ()), expected, "{expression}");
    }

    #[test]
    fn case_is_folded_on_both_sides() {
        case("iequals('Straße', 'STRASSE')", Ok(Some(true)));
        case("icontains('Straße', 'ASS')", Ok(Some(true)));
        case("istarts_with('Straße', 'sT')", Ok(Some(true)));
        case("iends_with('Straße', 'ssE')", Ok(Some(true)));
        case("iends_with('Straße', 's')", Ok(Some(false)));
    }

    #[test]
    fn null_makes_null_and_a_number_is_refused() {
        for name in ["iequals", "icontains", "istarts_with", "iends_with", "contains", "starts_with", "ends_with"] {
            case(&format!("{name}(NULL, 'a')"), Ok(None));
            case(&format!("{name}('a', NULL)"), Ok(None));
            case(&format!("{name}(NULL, NULL)"), Ok(None));
            case(&format!("{name}(1, '1')"), Err(()));
            case(&format!("{name}('1', 1)"), Err(()));
        }
    }

    #[test]
    fn a_piece_is_that_of_its_row_and_of_its_run() {
        let connection = connection(&Deadline::never());
        let rows = "FROM (VALUES ('Aa', 'a'), ('Aa', 'b'), ('Bb', 'b'))";
        let sql =
            format!("SELECT group_concat(icontains(column1, column2)), group_concat(icontains(column1, ?1)) {rows}");
        let mut statement = connection.prepare(&sql).unwrap();
        for (piece, expected) in [("A", "1,1,0"), ("B", "0,0,1")] {
            let found = statement.query_one([piece], |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
            assert_eq!(found, ("1,0,1".to_string(), expected.to_string()));
        }
    }

    #[test]
    fn a_long_text_on_either_side_is_not_read_when_it_is_late() {
        let deadline = Deadline::never();
        deadline.set(Some(Duration::ZERO));
        std::thread::sleep(Duration::from_millis(2));
        let connection = connection(&deadline);
        let answer = |arguments| {
            let sql = format!("SELECT icontains({arguments})");
            connection.query_one(&sql, (), |row| row.get::<_, bool>(0)).map_err(|error| error.sqlite_error_code())
        };
        assert_eq!(answer("'a', 'A'"), Ok(true));
        let late = Err(Some(ffi::ErrorCode::OperationInterrupted));
        assert_eq!(answer("printf('%02000d', 1), 'a'"), late);
        assert_eq!(answer("'a', printf('%02000d', 1)"), late);
    }
}
