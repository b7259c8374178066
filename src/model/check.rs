//! The rules of a field that go beyond its type, checked before a value is written.

use super::{Field, Form};
use crate::access::Permissions;
use crate::network::Networks;
use crate::value::{Scalar, Type};
use std::cmp::Ordering;

/// Checks a stored value against choices, bounds, lengths and pattern.
///
/// # Errors
/// What the value must be instead, to stand behind the field's name.
pub fn value(field: &Field, kind: Type, value: &Scalar) -> Result<(), String> {
    if *value == Scalar::Null {
        return if field.null { Ok(()) } else { Err("must not be null".into()) };
    }
    if !field.choices.is_empty() && !field.choices.contains(value) {
        let choices: Vec<String> = field.choices.iter().map(|choice| text(kind, choice)).collect();
        return Err(format!("must be one of {}", choices.join(", ")));
    }
    if let Some(min) = field.min.as_ref().filter(|min| order(value, min) == Ordering::Less) {
        return Err(format!("must be at least {}", text(kind, min)));
    }
    if let Some(max) = field.max.as_ref().filter(|max| order(value, max) == Ordering::Greater) {
        return Err(format!("must be at most {}", text(kind, max)));
    }
    let Scalar::Text(written) = value else { return Ok(()) };
    let length = || written.chars().count() as u64;
    if let Some(min) = field.min_length.filter(|min| length() < *min) {
        return Err(format!("must have at least {min} characters"));
    }
    if let Some(max) = field.max_length.filter(|max| length() > *max) {
        return Err(format!("must have at most {max} characters"));
    }
    if let Some(pattern) = field.pattern.as_ref().filter(|pattern| !pattern.matches(written)) {
        return Err(format!("must match {}", pattern.as_str()));
    }
    match field.form {
        Some(Form::Name) if written.contains(char::is_control) => Err("must hold no control character".into()),
        Some(Form::Permissions) => written.parse::<Permissions>().map(drop).map_err(|why| format!("is refused: {why}")),
        Some(Form::Networks) => written.parse::<Networks>().map(drop).map_err(|why| format!("is refused: {why}")),
        _ => Ok(()),
    }
}

/// The order of two stored values of one type.
pub fn order(left: &Scalar, right: &Scalar) -> Ordering {
    match (left, right) {
        (Scalar::Integer(left), Scalar::Integer(right)) => left.cmp(right),
        (Scalar::Real(left), Scalar::Real(right)) => left.total_cmp(right),
        (Scalar::Text(left), Scalar::Text(right)) => left.cmp(right),
        _ => Ordering::Equal,
    }
}

fn text(kind: Type, value: &Scalar) -> String {
    let mut out = Vec::new();
    kind.write(value, &mut out);
    String::from_utf8_lossy(&out).into_owned()
}
