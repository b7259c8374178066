//! What stands in a cell of CSV: a value as text, guarded so that no spreadsheet takes it for a formula.
//!
//! CSV knows no NULL, so an empty cell is one, and an empty text in a field that may be NULL is written as a guard alone.
//! A guard is one `'` in front; <https://owasp.org/www-community/attacks/CSV_Injection> tells what it is there for.

use crate::json::{Json, Object};
use crate::model::{Field, Kind};
use crate::value::{Scalar, Type};

const GUARD: char = '\'';

/// Whether a text behind a guard would not mean the same without it.
fn is_guarded(text: &str) -> bool {
    text.is_empty() || text.starts_with(['=', '+', '-', '@', '\t', '\r', GUARD])
}

/// Appends a text of a field. `null` says whether an empty cell would be NULL.
pub fn write_text(text: &str, null: bool, out: &mut Vec<u8>) {
    if is_guarded(text) && (null || !text.is_empty()) {
        out.extend_from_slice(GUARD.encode_utf8(&mut [0; 4]).as_bytes());
    }
    out.extend_from_slice(text.as_bytes());
}

/// Appends a stored value. Numbers stay numbers, be they negative.
pub fn write(kind: Type, null: bool, value: &Scalar, out: &mut Vec<u8>) {
    match (kind, value) {
        (_, Scalar::Null) => {}
        (_, Scalar::Text(text)) => write_text(text, null, out),
        _ => {
            let start = out.len();
            kind.write(value, out);
            // A decimal is a string in JSON.
            if out[start..].first() == Some(&b'"') {
                out.remove(start);
                out.pop();
            }
        }
    }
}

fn unguarded(text: &str) -> &str {
    text.strip_prefix(GUARD).filter(|rest| is_guarded(rest)).unwrap_or(text)
}

/// Adds what a cell says of a field to a record; `None` for the id.
///
/// # Errors
/// It should be JSON, and is not.
pub fn read(name: &str, field: Option<&Field>, text: &str, record: &mut Object) -> Result<(), String> {
    let kind = field.map(|field| &field.kind);
    let is_text = matches!(kind, Some(Kind::Plain(kind)) if kind.is_text());
    if text.is_empty() {
        let may_be_null = field.is_some_and(|field| field.null);
        // Neither a text nor NULL: as if it were not there, so that a default may take its place.
        if may_be_null || is_text {
            record.push((name.into(), if may_be_null { Json::Null } else { Json::String(String::new()) }));
        }
        return Ok(());
    }
    let text = unguarded(text);
    let json = || Json::parse(text.as_bytes()).map_err(|error| format!("{name} is not JSON: {error}"));
    let value = match kind {
        Some(Kind::Plain(Type::Json)) => json()?,
        Some(Kind::Refs(_)) if text.starts_with('[') => json()?,
        Some(Kind::Refs(_)) => {
            Json::List(text.split([';', ',']).map(|id| Json::String(id.trim().to_owned())).collect())
        }
        _ => Json::String(text.to_owned()),
    };
    record.push((name.into(), value));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn round(text: &str, null: bool) -> Json {
        let mut field = Field::plain("title", Type::Text);
        field.null = null;
        let (mut out, mut record) = (Vec::new(), Object::new());
        write(Type::Text, null, &Scalar::Text(text.to_owned()), &mut out);
        read("title", Some(&field), std::str::from_utf8(&out).unwrap(), &mut record).unwrap();
        record.remove(0).1
    }

    #[test]
    fn no_text_begins_like_a_formula() {
        for text in ["=1+1", "+1", "-1", "@sum", "\t=1", "\r"] {
            let mut out = Vec::new();
            write_text(text, false, &mut out);
            assert_eq!(out, format!("'{text}").into_bytes());
        }
    }

    proptest! {
        #[test]
        fn every_text_comes_back(text in "['=+@a-]{0,4}", null: bool) {
            prop_assert_eq!(round(&text, null), Json::String(text));
        }
    }
}
