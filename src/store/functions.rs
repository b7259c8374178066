//! The functions that our SQL has beyond SQLite's own. Those of one value are `NULL` where an argument is.

use crate::function;
use crate::value::{self, Scalar, Type, decimal, wide};
use rusqlite::functions::{Aggregate, Context, FunctionFlags};
use rusqlite::types::Value;
use rusqlite::{Connection, Result};

/// Makes them known to a connection.
pub fn register(connection: &Connection) -> Result<()> {
    let flags = FunctionFlags::SQLITE_UTF8 | FunctionFlags::SQLITE_DETERMINISTIC | FunctionFlags::SQLITE_INNOCUOUS;
    connection.create_scalar_function("fold", 1, flags, fold)?;
    connection.create_scalar_function("ends_with", 2, flags, ends_with)?;
    connection.create_scalar_function("regexp", 2, flags, |context| regexp(context, false))?;
    connection.create_scalar_function("iregexp", 2, flags, |context| regexp(context, true))?;
    connection.create_scalar_function("decimal_text", 2, flags, decimal_text)?;
    connection.create_scalar_function("float_text", 1, flags, float_text)?;
    connection.create_aggregate_function("exact_sum", 1, flags, Sum)?;
    connection.create_aggregate_function("exact_average", 1, flags, Average)?;
    connection.create_aggregate_function("first_of", 1, flags, First)?;
    connection.create_aggregate_function("last_of", 1, flags, Last)
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

/// `fold(text)`: the text without differences of case.
fn fold(context: &Context<'_>) -> Result<Option<String>> {
    Ok(context.get_raw(0).as_str_or_null()?.map(value::fold))
}

/// `ends_with(text, end)`
fn ends_with(context: &Context<'_>) -> Result<Option<bool>> {
    let (text, end) = (context.get_raw(0).as_str_or_null()?, context.get_raw(1).as_str_or_null()?);
    Ok(text.zip(end).map(|(text, end)| text.ends_with(end)))
}

/// `regexp(expression, text)`, and `iregexp` that folds case: the expression is compiled once a statement.
fn regexp(context: &Context<'_>, folds: bool) -> Result<Option<bool>> {
    let Some(text) = context.get_raw(1).as_str_or_null()? else { return Ok(None) };
    let regex = context.get_or_create_aux(
        0,
        |expression| -> std::result::Result<_, Box<dyn std::error::Error + Send + Sync>> {
            Ok(value::regex(expression.as_str()?, folds)?)
        },
    )?;
    Ok(Some(regex.is_match(text)))
}
