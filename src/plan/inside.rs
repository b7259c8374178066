//! Comparisons with json fields: with the whole of one, or with what is at a path inside it.
//!
//! What is inside has no declared type, so it is read as the kind of value that it is compared with: a
//! string finds only texts, a number only numbers. Django does the same with its key transforms.

use super::paths::Path;
use super::planner::Planner;
use super::{Comparison, Condition, MOST_VALUES, Of, Operand, Term};
use crate::error::{Error, Problem, shown};
use crate::json::{Json, Pointer, write_string};
use crate::lookup::{
    EXACT, JSON_BOOLEAN, JSON_KIND, JSON_NUMBER, JSON_TEXT, JSON_WHOLE, LOOKUPS, Lookup, On, Reading, Takes, names_for,
};
use crate::value::{Scalar, Type};

impl Planner<'_> {
    pub fn json_comparison(&mut self, key: &str, path: &Path<'_>, json: &Json, at: &Pointer<'_>) -> Option<Condition> {
        let (keys, lookup) = keys_and_lookup(path);
        let column = || path.column.clone();
        if lookup.takes == Takes::Key {
            let Json::String(name) = json else {
                self.wrong(at, key, "a string", json);
                return None;
            };
            let value = Operand::One(Scalar::Text(json_path(keys, Some(name))));
            return Some(Condition::Compare(Comparison::of(column(), lookup, value)));
        }
        if keys.is_empty() {
            if !lookup.goes_with(Type::Json) {
                return self.no_such_lookup(path, lookup, names_for(Type::Json), at);
            }
            let (lookup, value) = self.operand(key, Type::Json, lookup, json, at)?;
            return Some(Condition::Compare(Comparison::of(column(), lookup, value)));
        }
        let place = json_path(keys, None);
        let compare = |reading: &'static Reading, lookup, value| {
            let term = Term { of: Of::Inside(place.clone(), reading), ..Term::of(column()) };
            Condition::Compare(Comparison { term, lookup, value })
        };
        let everywhere = || LOOKUPS.iter().map(|lookup| lookup.name).collect();
        match (lookup.takes, json) {
            (Takes::One, Json::Null) if lookup.name == "exact" => {
                Some(compare(&JSON_KIND, lookup, Operand::One(Scalar::Text("null".into()))))
            }
            (Takes::One, Json::List(_) | Json::Object(_)) if lookup.on == On::Ordered => {
                self.no_such_lookup(path, lookup, everywhere(), at)
            }
            (Takes::One, json) => {
                let (reading, value) = self.inside(key, json, at)?;
                Some(compare(reading, lookup, Operand::One(value)))
            }
            (Takes::List, Json::List(items)) if items.len() as u64 > MOST_VALUES => {
                self.note(Error::at(at, Problem::TooMany { what: "values in one list", limit: MOST_VALUES }));
                None
            }
            (Takes::List, Json::List(items)) => {
                // One comparison for each kind of value among them; a null matches nothing, as ever.
                let mut kinds: Vec<(&'static Reading, Vec<Scalar>)> = Vec::new();
                for (index, item) in items.iter().enumerate().filter(|(_, item)| **item != Json::Null) {
                    let (reading, value) = self.inside(key, item, &at.index(index))?;
                    match kinds.iter_mut().find(|(kind, _)| *kind == reading) {
                        Some((_, values)) => values.push(value),
                        None => kinds.push((reading, vec![value])),
                    }
                }
                let any = kinds.into_iter().map(|(reading, values)| compare(reading, lookup, Operand::List(values)));
                Some(Condition::Any(any.collect()))
            }
            (Takes::Pair, Json::List(items)) if items.len() == 2 => {
                let (reading, from) = self.inside(key, &items[0], &at.index(0))?;
                let (other, to) = self.inside(key, &items[1], &at.index(1))?;
                if reading != other {
                    self.wrong(at, key, "a list of two values of one kind", json);
                    return None;
                }
                Some(compare(reading, lookup, Operand::Pair(from, to)))
            }
            (Takes::Flag { .. }, json) => {
                let (lookup, value) = self.operand(key, Type::Text, lookup, json, at)?;
                Some(compare(&JSON_KIND, lookup, value))
            }
            (_, json) => {
                let (lookup, value) = self.operand(key, Type::Text, lookup, json, at)?;
                Some(compare(&JSON_TEXT, lookup, value))
            }
        }
    }

    /// How what is inside is read to compare with this value, and the value. Whole numbers stay exact.
    fn inside(&mut self, key: &str, json: &Json, at: &Pointer<'_>) -> Option<(&'static Reading, Scalar)> {
        let reading: &'static Reading = match json {
            Json::Null | Json::String(_) => &JSON_TEXT,
            Json::Integer(number) => return Some((&JSON_NUMBER, Scalar::Integer(*number))),
            Json::Number(_) => &JSON_NUMBER,
            Json::Boolean(_) => &JSON_BOOLEAN,
            Json::List(_) | Json::Object(_) => &JSON_WHOLE,
        };
        Some((reading, self.value(key, reading.kind, json, at)?))
    }

    fn no_such_lookup(
        &mut self,
        path: &Path<'_>,
        lookup: &Lookup,
        accepted: Vec<&'static str>,
        at: &Pointer<'_>,
    ) -> Option<Condition> {
        let field = path.column.name.to_string();
        let problem = Problem::NoSuchLookup { field, lookup: shown(&lookup.name), accepted };
        self.note(Error::at(at, problem));
        None
    }
}

/// The keys that lead inside a json field, and the lookup behind them.
pub fn keys_and_lookup<'p>(path: &'p Path<'p>) -> (&'p [&'p str], &'static Lookup) {
    match path.rest.split_last().and_then(|(last, keys)| Some((keys, Lookup::named(last)?))) {
        Some(found) => found,
        None => (path.rest.as_slice(), EXACT),
    }
}

/// A path as SQLite's JSON functions read it. As in Django, digits mean a place in a list; `key` is always a key.
pub fn json_path(keys: &[&str], key: Option<&str>) -> String {
    let mut out = b"$".to_vec();
    for name in keys {
        if !name.is_empty() && name.len() <= 9 && name.bytes().all(|byte| byte.is_ascii_digit()) {
            out.extend_from_slice(format!("[{name}]").as_bytes());
        } else {
            out.push(b'.');
            write_string(name, &mut out);
        }
    }
    if let Some(name) = key {
        out.push(b'.');
        write_string(name, &mut out);
    }
    String::from_utf8(out).expect("JSON is UTF-8")
}
