//! The functions of subqueries and totals: one row each.
//!
//! Some make one value of those of many records; a row says what comes out of each type, and the SQL, in which
//! `$x` stands for the value, `$o` for an order, `$s` for a setting (a separator, a share) and `$f` for a filter of the total's own.
//! The others go on with that value, as transforms do. A new function is a row here, a line in the manual
//! and a test.

use crate::transform::table::{Setting, Transform};
use crate::value::Type;

/// One function. Names are matched without regard to case.
#[derive(Debug)]
pub struct Function {
    pub name: &'static str,
    pub role: Role,
}

#[derive(Clone, Copy, Debug)]
pub enum Role {
    /// It makes one value of many: how, and for each type that it takes the type of the result and the SQL.
    Many(How, fn(Type) -> Option<(Type, &'static str)>),
    /// It goes on with the result, as a transform does; and the key of the step that becomes its option.
    Result(&'static str, Option<(&'static str, &'static str)>),
}

/// How many records become one value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum How {
    /// By an aggregate function over all of them.
    Whole,
    /// As one text of all, in their order.
    Concat,
    /// By the least that a share of them is not above.
    Percentile,
    /// By the first in their order.
    First,
    Last,
    /// By whether there are any.
    Exists,
}

impl How {
    /// Whether another order would give another result.
    pub fn minds_order(self) -> bool {
        matches!(self, How::First | How::Last | How::Concat)
    }
}

/// The billionths in which a share is given that are all of it.
pub const WHOLE: i64 = 1_000_000_000;

/// Places that an average has beyond those of its decimals.
pub const AVERAGE_PLACES: u32 = 6;

pub static FUNCTIONS: [Function; 18] = [
    Function { name: "Count", role: Role::Many(How::Whole, |_| Some((Type::Integer, "count($x)$f"))) },
    Function { name: "CountDistinct", role: Role::Many(How::Whole, |_| Some((Type::Integer, "count(DISTINCT $x)$f"))) },
    Function { name: "Sum", role: Role::Many(How::Whole, sum) },
    Function { name: "Avg", role: Role::Many(How::Whole, average) },
    Function { name: "Min", role: Role::Many(How::Whole, |kind| ordered(kind, "min($x)$f", "finite(min($x)$f)")) },
    Function { name: "Max", role: Role::Many(How::Whole, |kind| ordered(kind, "max($x)$f", "finite(max($x)$f)")) },
    Function { name: "Percentile", role: Role::Many(How::Percentile, percentile) },
    Function { name: "First", role: Role::Many(How::First, |kind| Some((kind, "first_of($x$o)$f"))) },
    Function { name: "Last", role: Role::Many(How::Last, |kind| Some((kind, "last_of($x$o)$f"))) },
    Function { name: "Exists", role: Role::Many(How::Exists, |_| Some((Type::Boolean, "count($x)$f > 0"))) },
    Function { name: "Concat", role: Role::Many(How::Concat, concat) },
    Function { name: "Cast", role: Role::Result("cast", Some(("castType", "type"))) },
    Function { name: "Coalesce", role: Role::Result("default", Some(("value", "value"))) },
    Function { name: "Round", role: Role::Result("round", Some(("digits", "digits"))) },
    Function { name: "Abs", role: Role::Result("abs", None) },
    Function { name: "Upper", role: Role::Result("upper", None) },
    Function { name: "Lower", role: Role::Result("lower", None) },
    Function { name: "Length", role: Role::Result("length", None) },
];

impl Function {
    pub fn named(name: &str) -> Option<&'static Function> {
        FUNCTIONS.iter().find(|function| function.name.eq_ignore_ascii_case(name))
    }

    /// The keys that a step with this function may hold, beside `function`.
    pub fn keys(&self) -> Vec<&'static str> {
        match self.role {
            Role::Many(How::Concat, _) => vec!["onField", "separator"],
            Role::Many(How::Percentile, _) => vec!["onField", "value"],
            Role::Many(..) => vec!["onField"],
            Role::Result(_, option) => option.map(|(key, _)| key).into_iter().collect(),
        }
    }

    /// The setting of the transform that it goes on as, where that key of a step gives one.
    pub fn setting(&self, key: &str) -> Option<&'static Setting> {
        let Role::Result(transform, Some((own, name))) = self.role else { return None };
        Transform::with(transform).settings.iter().find(|setting| own == key && setting.name == name)
    }

    /// Whether a step with it cannot do without that key.
    pub fn needs(&self, key: &str) -> bool {
        match self.role {
            Role::Many(how, _) => how == How::Percentile && key == "value",
            Role::Result(..) => self.setting(key).is_some_and(|setting| setting.required),
        }
    }
}

/// Sums of whole numbers and decimals are exact whatever they come to.
fn sum(kind: Type) -> Option<(Type, &'static str)> {
    match kind {
        Type::Integer => Some((Type::Total { places: None }, "exact_sum($x)$f")),
        Type::Decimal { places, .. } => Some((Type::Total { places: Some(places) }, "exact_sum($x)$f")),
        // A whole number inside json is a float like any other there; SQLite's own sum of such fails beyond 64 bits.
        Type::Float => Some((Type::Float, "finite(sum(1.0 * $x)$f)")),
        _ => None,
    }
}

fn average(kind: Type) -> Option<(Type, &'static str)> {
    match kind {
        Type::Integer | Type::Float => Some((Type::Float, "finite(avg($x)$f)")),
        Type::Decimal { places, .. } => {
            Some((Type::Total { places: Some(places + AVERAGE_PLACES) }, "exact_average($x)$f"))
        }
        _ => None,
    }
}

/// Of floats by an SQL of its own: a number inside json may be beyond them.
fn ordered(kind: Type, sql: &'static str, of_floats: &'static str) -> Option<(Type, &'static str)> {
    let sql = if kind == Type::Float { of_floats } else { sql };
    (!matches!(kind, Type::Json | Type::Words)).then_some((kind, sql))
}

/// Of what has a size: it is one of the values, as it is.
fn percentile(kind: Type) -> Option<(Type, &'static str)> {
    match kind {
        Type::Integer | Type::Decimal { .. } | Type::Date | Type::Datetime | Type::Time => {
            Some((kind, "percentile_of($x, $s)$f"))
        }
        Type::Float => Some((kind, "finite(percentile_of($x, $s)$f)")),
        _ => None,
    }
}

fn concat(kind: Type) -> Option<(Type, &'static str)> {
    (!matches!(kind, Type::Json | Type::Words)).then_some((Type::Text, "group_concat($x, $s$o)$f"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_function_on_a_result_has_its_transform() {
        for function in &FUNCTIONS {
            if let Role::Result(transform, option) = function.role {
                let transform = Transform::with(transform);
                let settings = transform.settings.iter().map(|setting| setting.name);
                assert!(option.is_none_or(|(_, name)| settings.into_iter().any(|setting| setting == name)));
            }
        }
    }

    #[test]
    fn names_are_found_in_any_case() {
        assert_eq!(Function::named("countDISTINCT").map(|function| function.name), Some("CountDistinct"));
        assert!(Function::named("Median").is_none());
    }
}
