//! What the requests on all models have in common: types, comparisons, transforms, functions. Nothing here tells of a
//! model.

use super::{any_of, anything, closed, list, number, object, plain, put, schema};
use crate::function::{FUNCTIONS, Function, How, Role};
use crate::json::{Json, Object};
use crate::lookup::{EXACT, Lookup, Takes};
use crate::plan::MOST_VALUES;
use crate::transform::cast::CASTS;
use crate::transform::table::{self, LONGEST, TRANSFORMS};
use crate::value::Type;
use crate::value::regex::LONGEST_REGEX;

/// The types of fields, each once.
pub const TYPES: [Type; 11] = [
    Type::Text,
    Type::Integer,
    Type::Float,
    Type::Decimal { digits: 18, places: 18 },
    Type::Boolean,
    Type::Date,
    Type::Datetime,
    Type::Time,
    Type::Uuid,
    Type::Json,
    Type::Words,
];

/// The schemas that models make use of.
pub fn schemas() -> Object {
    let mut schemas = vec![
        ("Transforms".into(), transforms()),
        ("Total".into(), any_of(FUNCTIONS.iter().filter(|one| is_of_many(one)).map(total).collect())),
        ("Step".into(), any_of(FUNCTIONS.iter().map(|function| step(function, Vec::new())).collect())),
    ];
    for kind in TYPES {
        let one = of_type(kind);
        let exact = any_of(vec![one.clone(), plain("null"), schema("Field")]);
        schemas.push((compared(kind, "exact").into(), exact));
        schemas.push((compared(kind, "one").into(), any_of(vec![one.clone(), schema("Field")])));
        schemas.push((compared(kind, "list").into(), list_of(one.clone(), 0, MOST_VALUES)));
        schemas.push((compared(kind, "pair").into(), list_of(one, 2, 2)));
    }
    schemas
}

/// A value of that type, in the form that answers have.
pub fn of_type(kind: Type) -> Json {
    let (name, more) = match kind {
        Type::String | Type::Text => ("string", None),
        Type::Integer | Type::Total { places: None } => ("integer", Some(("format", "int64".to_owned()))),
        Type::Float => ("number", Some(("format", "double".to_owned()))),
        Type::Decimal { digits, places } => ("string", Some(("pattern", decimal(digits, places)))),
        Type::Total { places: Some(places) } => ("string", Some(("pattern", decimal(38, places)))),
        Type::Boolean => ("boolean", None),
        Type::Date => ("string", Some(("format", "date".to_owned()))),
        Type::Datetime => ("string", Some(("format", "date-time".to_owned()))),
        Type::Time => {
            ("string", Some(("pattern", r"^([01][0-9]|2[0-3]):[0-5][0-9](:[0-5][0-9](\.[0-9]{1,6})?)?$".to_owned())))
        }
        Type::Uuid => ("string", Some(("format", "uuid".to_owned()))),
        Type::Json => return anything(),
        Type::Words => {
            let word = object(vec![("type", "string".into()), ("minLength", number(1))]);
            return list_of(word, 0, MOST_VALUES);
        }
    };
    let mut members = vec![("type", name.into())];
    members.extend(more.as_ref().map(|(key, value)| (*key, value.as_str().into())));
    object(members)
}

/// A decimal with so many digits, so many of them behind the point.
fn decimal(digits: u32, places: u32) -> String {
    let whole = digits.saturating_sub(places).max(1);
    let fraction = if places == 0 { String::new() } else { format!(r"(\.[0-9]{{1,{places}}})?") };
    format!("^-?[0-9]{{1,{whole}}}{fraction}$")
}

fn list_of(items: Json, least: u64, most: u64) -> Json {
    object(vec![("type", "array".into()), ("items", items), ("minItems", number(least)), ("maxItems", number(most))])
}

/// The name of the schema of what a type is compared with.
fn compared(kind: Type, what: &str) -> String {
    let kind = match kind {
        Type::String => Type::Text.name(),
        Type::Words => "words",
        other => other.name(),
    };
    format!("compared.{kind}.{what}")
}

/// What a lookup on a value of that type takes.
pub fn operand(lookup: &Lookup, kind: Type) -> Json {
    match lookup.takes {
        Takes::One if lookup == EXACT => schema(&compared(kind, "exact")),
        Takes::One => schema(&compared(kind, "one")),
        Takes::List => schema(&compared(kind, "list")),
        Takes::Pair => schema(&compared(kind, "pair")),
        Takes::Text => schema(&compared(Type::Text, "one")),
        Takes::Regex { .. } => object(vec![("type", "string".into()), ("maxLength", number(LONGEST_REGEX as u64))]),
        Takes::Flag { .. } => plain("boolean"),
        Takes::Key => plain("string"),
    }
}

/// All transforms; several apply in the order in which they stand there.
fn transforms() -> Json {
    let one = |transform: &table::Transform| {
        let settings = transform.settings;
        let options = settings.iter().map(|setting| (setting.name.into(), option(setting.takes))).collect();
        let required: Vec<&str> =
            settings.iter().filter(|setting| setting.required).map(|setting| setting.name).collect();
        (transform.name.into(), closed(options, &required))
    };
    closed(TRANSFORMS.iter().map(one).collect(), &[])
}

fn option(takes: table::Takes) -> Json {
    match takes {
        table::Takes::Text { least, most } => {
            let (least, most) = (number(least as u64), number(most as u64));
            object(vec![("type", "string".into()), ("minLength", least), ("maxLength", most)])
        }
        table::Takes::Whole { least, most } => {
            object(vec![("type", "integer".into()), ("minimum", number(least)), ("maximum", number(most))])
        }
        table::Takes::Value => object(vec![("description", format!("At most {LONGEST} characters.").as_str().into())]),
        table::Takes::Table => plain("object"),
        table::Takes::Cast => object(vec![("enum", list(CASTS.map(|(name, _)| name)))]),
    }
}

fn is_of_many(function: &Function) -> bool {
    matches!(function.role, Role::Many(..))
}

/// A total of an `aggregate`.
fn total(function: &Function) -> Json {
    let mut more = vec![("filter".into(), plain("object"))];
    if let Role::Many(how, _) = function.role
        && how.minds_order()
    {
        more.push(("ordering".into(), schema("Names")));
    }
    step(function, more)
}

/// A function, what goes with it, and what else may stand beside it.
fn step(function: &Function, more: Object) -> Json {
    let mut keys = vec![("function".into(), object(vec![("const", function.name.into())]))];
    let mut required = vec!["function"];
    for key in function.keys() {
        let takes = match function.role {
            Role::Many(How::Percentile, _) if key == "value" => share(),
            _ => function.setting(key).map_or_else(|| plain("string"), |setting| option(setting.takes)),
        };
        required.extend(function.needs(key).then_some(key));
        keys.push((key.into(), takes));
    }
    keys.extend(more);
    closed(keys, &required)
}

/// A share of all values.
fn share() -> Json {
    object(vec![("type", "number".into()), ("minimum", number(0)), ("maximum", number(1))])
}

/// Makes a schema allow `null` too.
pub fn or_null(mut one: Json) -> Json {
    if let Some(Json::String(kind)) = one.get("type") {
        let kinds = list([kind.as_str(), "null"]);
        put(&mut one, &["type"], kinds);
    }
    if let Some(Json::List(choices)) = one.get("enum") {
        let choices = choices.iter().cloned().chain([Json::Null]).collect();
        put(&mut one, &["enum"], Json::List(choices));
    }
    one
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_decimal_has_its_digits_and_places() {
        assert_eq!(decimal(10, 2), r"^-?[0-9]{1,8}(\.[0-9]{1,2})?$");
        assert_eq!(decimal(3, 0), "^-?[0-9]{1,3}$");
        assert_eq!(decimal(2, 2), r"^-?[0-9]{1,1}(\.[0-9]{1,2})?$");
    }
}
