//! The functions that our SQL has beyond SQLite's own. Each is `NULL` where an argument is.

use crate::value;
use rusqlite::functions::{Context, FunctionFlags};
use rusqlite::{Connection, Result};

/// Makes them known to a connection.
pub fn register(connection: &Connection) -> Result<()> {
    let flags = FunctionFlags::SQLITE_UTF8 | FunctionFlags::SQLITE_DETERMINISTIC | FunctionFlags::SQLITE_INNOCUOUS;
    connection.create_scalar_function("fold", 1, flags, fold)?;
    connection.create_scalar_function("ends_with", 2, flags, ends_with)?;
    connection.create_scalar_function("regexp", 2, flags, |context| regexp(context, false))?;
    connection.create_scalar_function("iregexp", 2, flags, |context| regexp(context, true))
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
