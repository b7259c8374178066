//! The lookups and date parts of filters: one row each.
//!
//! The plan asks a row what it goes with and what value it takes; the compiler takes its SQL, in which
//! `$x` stands for the field, `$v` for the value, `$w` for a range's second value and `$p` for a path inside json. A new lookup is a
//! row here, a line in the manual and a test.

use crate::value::Type;

/// One lookup.
#[derive(Debug, PartialEq)]
pub struct Lookup {
    pub name: &'static str,
    pub on: On,
    pub takes: Takes,
    pub sql: &'static str,
}

/// The types that a lookup goes with.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum On {
    Every,
    Ordered,
    Text,
    Json,
}

/// The value that a lookup takes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Takes {
    /// One value of the field's type.
    One,
    /// A list of them.
    List,
    /// Two of them.
    Pair,
    /// A piece of text.
    Text,
    /// A regular expression.
    Regex { folds: bool },
    /// `true`, or `false` for this other SQL.
    Flag { otherwise: &'static str },
    /// The name of a key.
    Key,
}

/// Meaning: Django's, but for text as on PostgreSQL: the plain forms mind case, the `i…` forms fold it.
pub static LOOKUPS: [Lookup; 18] = [
    Lookup { name: "exact", on: On::Every, takes: Takes::One, sql: "$x = $v" },
    Lookup { name: "in", on: On::Every, takes: Takes::List, sql: "$x IN (SELECT value FROM json_each($v))" },
    Lookup { name: "gt", on: On::Ordered, takes: Takes::One, sql: "$x > $v" },
    Lookup { name: "gte", on: On::Ordered, takes: Takes::One, sql: "$x >= $v" },
    Lookup { name: "lt", on: On::Ordered, takes: Takes::One, sql: "$x < $v" },
    Lookup { name: "lte", on: On::Ordered, takes: Takes::One, sql: "$x <= $v" },
    Lookup { name: "range", on: On::Ordered, takes: Takes::Pair, sql: "$x BETWEEN $v AND $w" },
    Lookup { name: "isnull", on: On::Every, takes: Takes::Flag { otherwise: "$x IS NOT NULL" }, sql: "$x IS NULL" },
    Lookup { name: "iexact", on: On::Text, takes: Takes::Text, sql: "iequals($x, $v)" },
    Lookup { name: "contains", on: On::Text, takes: Takes::Text, sql: "contains($x, $v)" },
    Lookup { name: "icontains", on: On::Text, takes: Takes::Text, sql: "icontains($x, $v)" },
    Lookup { name: "startswith", on: On::Text, takes: Takes::Text, sql: "starts_with($x, $v)" },
    Lookup { name: "istartswith", on: On::Text, takes: Takes::Text, sql: "istarts_with($x, $v)" },
    Lookup { name: "endswith", on: On::Text, takes: Takes::Text, sql: "ends_with($x, $v)" },
    Lookup { name: "iendswith", on: On::Text, takes: Takes::Text, sql: "iends_with($x, $v)" },
    Lookup { name: "regex", on: On::Text, takes: Takes::Regex { folds: false }, sql: "regexp($x, $v)" },
    Lookup { name: "iregex", on: On::Text, takes: Takes::Regex { folds: true }, sql: "iregexp($x, $v)" },
    Lookup { name: "has_key", on: On::Json, takes: Takes::Key, sql: "json_type($x, $v) IS NOT NULL" },
];

/// One part of a date or time, to be compared as a value of its own.
#[derive(Debug, PartialEq)]
pub struct Part {
    pub name: &'static str,
    /// Whether it needs a date.
    pub of_date: bool,
    pub kind: Type,
    pub sql: &'static str,
}

/// Weeks are ISO 8601's; `week_day` counts from Sunday as 1, `iso_week_day` from Monday as 1.
pub static PARTS: [Part; 12] = [
    Part { name: "date", of_date: true, kind: Type::Date, sql: "substr($x, 1, 10)" },
    Part { name: "year", of_date: true, kind: Type::Integer, sql: "CAST(substr($x, 1, 4) AS INTEGER)" },
    Part { name: "iso_year", of_date: true, kind: Type::Integer, sql: "CAST(strftime('%G', $x) AS INTEGER)" },
    Part { name: "quarter", of_date: true, kind: Type::Integer, sql: "((CAST(substr($x, 6, 2) AS INTEGER) + 2) / 3)" },
    Part { name: "month", of_date: true, kind: Type::Integer, sql: "CAST(substr($x, 6, 2) AS INTEGER)" },
    Part { name: "week", of_date: true, kind: Type::Integer, sql: "CAST(strftime('%V', $x) AS INTEGER)" },
    Part { name: "day", of_date: true, kind: Type::Integer, sql: "CAST(substr($x, 9, 2) AS INTEGER)" },
    Part { name: "week_day", of_date: true, kind: Type::Integer, sql: "(CAST(strftime('%w', $x) AS INTEGER) + 1)" },
    Part { name: "iso_week_day", of_date: true, kind: Type::Integer, sql: "CAST(strftime('%u', $x) AS INTEGER)" },
    Part { name: "hour", of_date: false, kind: Type::Integer, sql: "CAST(strftime('%H', $x) AS INTEGER)" },
    Part { name: "minute", of_date: false, kind: Type::Integer, sql: "CAST(strftime('%M', $x) AS INTEGER)" },
    Part { name: "second", of_date: false, kind: Type::Integer, sql: "CAST(strftime('%S', $x) AS INTEGER)" },
];

/// Equality, where it is the plan that asks.
pub static EXACT: &Lookup = &LOOKUPS[0];
/// What `null` as a value asks for.
pub static IS_NULL: &Lookup = &LOOKUPS[7];
/// What a search asks of each word.
pub static ICONTAINS: &Lookup = &LOOKUPS[10];

impl Lookup {
    pub fn named(name: &str) -> Option<&'static Lookup> {
        LOOKUPS.iter().find(|lookup| lookup.name == name)
    }

    /// Whether it goes with fields of that type.
    pub fn goes_with(&self, kind: Type) -> bool {
        match self.on {
            On::Every => true,
            On::Ordered => !matches!(kind, Type::Json),
            On::Text => kind.is_text(),
            On::Json => kind == Type::Json,
        }
    }
}

impl Part {
    pub fn named(name: &str) -> Option<&'static Part> {
        PARTS.iter().find(|part| part.name == name)
    }

    /// Whether fields of that type have it.
    pub fn goes_with(&self, kind: Type) -> bool {
        match kind {
            Type::Datetime => true,
            Type::Date => self.of_date && self.name != "date",
            Type::Time => !self.of_date,
            _ => false,
        }
    }
}

/// The names of all lookups and parts that go with a type, for hints.
pub fn names_for(kind: Type) -> Vec<&'static str> {
    let parts = PARTS.iter().filter(|part| part.goes_with(kind)).map(|part| part.name);
    LOOKUPS.iter().filter(|lookup| lookup.goes_with(kind)).map(|lookup| lookup.name).chain(parts).collect()
}

/// How a value inside a json field is read, by the kind of value that it is compared with. `$x` is the
/// field, `$p` the path.
#[derive(Debug, PartialEq)]
pub struct Reading {
    pub kind: Type,
    pub sql: &'static str,
}

pub static JSON_TEXT: Reading =
    Reading { kind: Type::Text, sql: "CASE json_type($x, $p) WHEN 'text' THEN json_extract($x, $p) END" };
pub static JSON_NUMBER: Reading = Reading {
    kind: Type::Float,
    sql: "CASE WHEN json_type($x, $p) IN ('integer', 'real') THEN json_extract($x, $p) END",
};
pub static JSON_BOOLEAN: Reading =
    Reading { kind: Type::Boolean, sql: "CASE json_type($x, $p) WHEN 'true' THEN 1 WHEN 'false' THEN 0 END" };
/// A list or an object, as compact text.
pub static JSON_WHOLE: Reading = Reading {
    kind: Type::Json,
    sql: "CASE WHEN json_type($x, $p) IN ('array', 'object') THEN json_extract($x, $p) END",
};
/// What kind of value is there, `null` for a JSON null; NULL where there is none.
pub static JSON_KIND: Reading = Reading { kind: Type::Text, sql: "json_type($x, $p)" };
/// As it sorts: a JSON null as none at all, `false` and `true` as 0 and 1, numbers before texts.
pub static JSON_ORDER: Reading = Reading { kind: Type::Json, sql: "json_extract($x, $p)" };
/// As it is answered: JSON.
pub static JSON_ANSWER: Reading = Reading { kind: Type::Json, sql: "($x -> $p)" };
/// As it is told apart from others: JSON, in which a number has one form, be it written as `1`, `1.0` or `1e0`.
pub static JSON_GROUP: Reading = Reading {
    kind: Type::Json,
    sql: "CASE WHEN json_type($x, $p) <> 'real' THEN $x -> $p \
          WHEN json_extract($x, $p) = CAST(json_extract($x, $p) AS INTEGER) \
          THEN CAST(CAST(json_extract($x, $p) AS INTEGER) AS TEXT) \
          ELSE float_text(json_extract($x, $p)) END",
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lookups_that_the_plan_asks_for_are_the_ones_it_means() {
        assert_eq!([EXACT.name, IS_NULL.name, ICONTAINS.name], ["exact", "isnull", "icontains"]);
    }
}
