//! Conditions, searches and orders.
//!
//! The conditions of one object that cross the same relation hold for one and the same related record,
//! so they are gathered into a tree of relations first. Each object in a list of `__and__` or `__or__`
//! is a tree of its own.

use super::paths::Path;
use super::planner::Planner;
use super::{
    Comparison, Condition, FILTER_LEVELS, MOST_EXPRESSIONS, MOST_TERMS, MOST_VALUES, Of, Operand, Order, Term,
};
use crate::error::{Error, Problem, shown};
use crate::json::{Json, Object, Pointer};
use crate::lookup::{EXACT, ICONTAINS, IS_NULL, JSON_ORDER, Lookup, Part, Takes, names_for};
use crate::model::{Column, Kind, Model, Relation};
use crate::request::fields::FIELD;
use crate::request::{Narrowing, Ordering};
use crate::value::{self, Scalar, Type};
use std::sync::Arc;

/// Conditions on a record and, relation by relation, on those related to it.
#[derive(Default)]
struct Tree {
    own: Vec<Condition>,
    related: Vec<(Arc<Relation>, Tree)>,
}

impl Tree {
    fn insert(&mut self, hops: &[Arc<Relation>], condition: Condition) {
        let Some((first, rest)) = hops.split_first() else {
            self.own.push(condition);
            return;
        };
        let place = self.related.iter().position(|(relation, _)| relation == first).unwrap_or_else(|| {
            self.related.push((first.clone(), Tree::default()));
            self.related.len() - 1
        });
        self.related[place].1.insert(rest, condition);
    }

    /// Whether a record that is not there fulfils it: a path to nothing is NULL, as in an outer join.
    fn holds_for_none(&self) -> bool {
        let asks_null = |condition: &Condition| {
            matches!(condition, Condition::Compare(comparison)
                if comparison.lookup.name == "isnull" && comparison.value == Operand::Flag(true))
        };
        self.own.iter().all(asks_null) && self.related.iter().all(|(_, tree)| tree.holds_for_none())
    }

    fn condition(self) -> Condition {
        self.along(&[], 0)
    }

    /// The conditions on a record and, as far as they follow the chain of a group, on those that are joined to it.
    fn along(self, chain: &[Arc<Relation>], depth: usize) -> Condition {
        let mut all = self.own;
        for (relation, tree) in self.related {
            if chain.get(depth) == Some(&relation) {
                let condition = Box::new(tree.along(chain, depth + 1));
                all.push(Condition::Joined { depth: depth + 1, condition });
            } else {
                let or_none = tree.holds_for_none();
                all.push(Condition::Related { relation, condition: Box::new(tree.condition()), or_none });
            }
        }
        if all.len() == 1 { all.swap_remove(0) } else { Condition::All(all) }
    }
}

/// The relations that a filter shares with the groups of an `aggregate`.
#[derive(Clone, Copy, Default)]
struct Shared<'c> {
    chain: &'c [Arc<Relation>],
    /// Whether the filters in its `__and__` and `__not__` share them too.
    deep: bool,
}

impl<'c> Shared<'c> {
    /// What a filter in an `__and__` or `__not__` shares.
    fn inside(self) -> Shared<'c> {
        if self.deep { self } else { Shared::default() }
    }
}

impl Planner<'_> {
    /// `filter`, `exclude` and `search` together. `at` is the `__meta__` that they stand in.
    pub fn condition(&mut self, model: &Arc<Model>, narrowing: &Narrowing, at: &Pointer<'_>) -> Condition {
        let mut all = Vec::new();
        if let Some(filter) = &narrowing.filter {
            all.push(self.filter(model, filter, &at.key("filter"), 1, Shared::default()));
        }
        if let Some(exclude) = &narrowing.exclude {
            all.push(Condition::Not(Box::new(self.filter(model, exclude, &at.key("exclude"), 1, Shared::default()))));
        }
        if let Some(words) = &narrowing.search {
            all.push(self.search(model, words, &at.key("search")));
        }
        if all.len() == 1 { all.swap_remove(0) } else { Condition::All(all) }
    }

    /// As [`Self::condition`], of records that are joined to those of a chain: the conditions of `filter` that
    /// follow the chain hold for the joined record, as in Django those of a filter before the totals do. What stands in
    /// an `__and__` or `__not__`, and `exclude`, is about the record itself.
    pub fn condition_along(
        &mut self,
        chain: &[Arc<Relation>],
        model: &Arc<Model>,
        narrowing: &Narrowing,
        at: &Pointer<'_>,
    ) -> Condition {
        let shared = Shared { chain, deep: false };
        let filter = narrowing.filter.as_ref();
        let filter = filter.map(|filter| self.filter(model, filter, &at.key("filter"), 1, shared));
        let rest = self.condition(model, &Narrowing { filter: None, ..narrowing.clone() }, at);
        match filter {
            Some(filter) => Condition::All(vec![filter, rest]),
            None => rest,
        }
    }

    /// A filter whose conditions hold for the records of a chain where they follow it.
    pub fn filter_along(
        &mut self,
        chain: &[Arc<Relation>],
        model: &Arc<Model>,
        members: &Object,
        at: &Pointer<'_>,
    ) -> Condition {
        self.filter(model, members, at, 1, Shared { chain, deep: true })
    }

    fn filter(
        &mut self,
        model: &Arc<Model>,
        members: &Object,
        at: &Pointer<'_>,
        level: u64,
        shared: Shared<'_>,
    ) -> Condition {
        let mut tree = Tree::default();
        if level > FILTER_LEVELS {
            self.note(Error::at(at, Problem::TooMany { what: "levels of filter", limit: FILTER_LEVELS }));
            return tree.condition();
        }
        if members.is_empty() {
            self.term(at);
        }
        for (key, json) in members {
            let at = at.key(key);
            match key.as_str() {
                "__and__" => {
                    let all = self.filters(model, key, json, &at, level, shared.inside());
                    tree.own.push(Condition::All(all));
                }
                "__or__" => tree.own.push(Condition::Any(self.filters(model, key, json, &at, level, shared))),
                "__not__" => match json {
                    Json::Object(members) => {
                        let inner = self.filter(model, members, &at, level + 1, shared.inside());
                        tree.own.push(Condition::Not(Box::new(inner)));
                    }
                    other => self.wrong(&at, key, "a filter", other),
                },
                _ if !self.term(&at) => break,
                _ => {
                    if let Some(path) = self.path(model, key, &at)
                        && let Some(comparison) = self.comparison(model, key, &path, json, &at)
                    {
                        tree.insert(&path.hops, comparison);
                    }
                }
            }
        }
        tree.along(shared.chain, 0)
    }

    fn filters(
        &mut self,
        model: &Arc<Model>,
        key: &str,
        json: &Json,
        at: &Pointer<'_>,
        level: u64,
        shared: Shared<'_>,
    ) -> Vec<Condition> {
        let Json::List(items) = json else {
            self.wrong(at, key, "a list of filters", json);
            return Vec::new();
        };
        if items.is_empty() {
            self.term(at); // it is a condition too: true, or false, for all
        }
        let mut conditions = Vec::with_capacity(items.len());
        for (index, item) in items.iter().enumerate() {
            let at = at.index(index);
            match item {
                _ if self.terms > MOST_TERMS => break,
                Json::Object(members) => conditions.push(self.filter(model, members, &at, level + 1, shared)),
                other => self.wrong(&at, key, "a list of filters", other),
            }
        }
        conditions
    }

    pub fn wrong(&mut self, at: &Pointer<'_>, what: &str, wanted: &'static str, given: &Json) {
        let problem = Problem::WrongForm { what: format!("\"{}\"", shown(&what)), wanted, given: shown(given) };
        self.note(Error::at(at, problem));
    }

    /// What stands behind the column of a path, and the value beside it.
    fn comparison(
        &mut self,
        model: &Arc<Model>,
        key: &str,
        path: &Path<'_>,
        json: &Json,
        at: &Pointer<'_>,
    ) -> Option<Condition> {
        if json.get(FIELD).is_some() {
            return self.field_comparison(model, key, path, json, at);
        }
        if path.column.kind == Type::Json {
            return self.json_comparison(key, path, json, at);
        }
        let (term, lookup) = self.part_and_lookup(path, at)?;
        let (lookup, value) = self.operand(key, term.kind(), lookup, json, at)?;
        Some(Condition::Compare(Comparison { term, lookup, value }))
    }

    /// The date part and the lookup behind a column that is not json.
    pub fn part_and_lookup(&mut self, path: &Path<'_>, at: &Pointer<'_>) -> Option<(Term, &'static Lookup)> {
        let mut term = Term::of(path.column.clone());
        let mut rest = path.rest.as_slice();
        let part = rest.first().and_then(|name| Part::named(name)).filter(|part| part.goes_with(path.column.kind));
        if let Some(part) = part {
            rest = &rest[1..];
            term.of = Of::Part(part);
        }
        let kind = term.kind();
        let lookup = match rest {
            [] => Some(EXACT),
            [name] => Lookup::named(name).filter(|lookup| lookup.goes_with(kind)),
            _ => None,
        };
        if lookup.is_none() {
            let problem = Problem::NoSuchLookup {
                field: path.column.name.to_string(),
                lookup: shown(&rest.join("__")),
                accepted: names_for(kind),
            };
            self.note(Error::at(at, problem));
        }
        Some((term, lookup?))
    }

    /// The value of a lookup, with its type. A `null` asks for NULL, which is another lookup.
    pub fn operand(
        &mut self,
        key: &str,
        kind: Type,
        lookup: &'static Lookup,
        json: &Json,
        at: &Pointer<'_>,
    ) -> Option<(&'static Lookup, Operand)> {
        let value = match (lookup.takes, json) {
            (Takes::One | Takes::Text, Json::Null) if matches!(lookup.name, "exact" | "iexact") => {
                return Some((IS_NULL, Operand::Flag(true)));
            }
            (Takes::One, json) => Operand::One(self.value(key, kind, json, at)?),
            (Takes::Text, json) => Operand::One(self.value(key, Type::Text, json, at)?),
            (Takes::List, Json::List(items)) => Operand::List(self.list(key, kind, items, at)?),
            (Takes::List, other) => {
                self.wrong(at, key, "a list of values", other);
                return None;
            }
            (Takes::Pair, Json::List(items)) if items.len() == 2 => {
                let (from, to) =
                    (self.value(key, kind, &items[0], &at.index(0)), self.value(key, kind, &items[1], &at.index(1)));
                Operand::Pair(from?, to?)
            }
            (Takes::Pair, other) => {
                self.wrong(at, key, "a list of two values", other);
                return None;
            }
            (Takes::Flag { .. }, Json::Boolean(flag)) => Operand::Flag(*flag),
            (Takes::Flag { .. }, other) => {
                self.wrong(at, key, "true or false", other);
                return None;
            }
            (Takes::Regex { folds }, Json::String(expression)) => {
                self.expressions += 1;
                if self.expressions > MOST_EXPRESSIONS {
                    let problem = Problem::TooMany { what: "regular expressions", limit: MOST_EXPRESSIONS };
                    self.note(Error::at(at, problem));
                    return None;
                }
                if let Err(why) = value::regex::Regex::new(expression, folds) {
                    self.note(Error::at(at, Problem::Refused { field: shown(&key), why }));
                    return None;
                }
                Operand::One(Scalar::Text(expression.clone()))
            }
            (Takes::Regex { .. } | Takes::Key, other) => {
                self.wrong(at, key, "a string", other);
                return None;
            }
        };
        Some((lookup, value))
    }

    /// A value of a type; NULL compares with nothing, so it is none.
    pub fn value(&mut self, field: &str, kind: Type, json: &Json, at: &Pointer<'_>) -> Option<Scalar> {
        let outcome = match json {
            Json::Null if kind != Type::Json => Err("ask for null with isnull".into()),
            json => kind.coerce(json),
        };
        match outcome {
            Ok(value) => Some(value),
            Err(why) => {
                let problem =
                    Problem::BadValue { field: shown(&field), kind: kind.described(), value: shown(json), why };
                self.note(Error::at(at, problem));
                None
            }
        }
    }

    /// The values of an `in`. As in Django, a `null` among them matches nothing.
    fn list(&mut self, key: &str, kind: Type, items: &[Json], at: &Pointer<'_>) -> Option<Vec<Scalar>> {
        if items.len() as u64 > MOST_VALUES {
            self.note(Error::at(at, Problem::TooMany { what: "values in one list", limit: MOST_VALUES }));
            return None;
        }
        let before = self.errors.len();
        let items = items.iter().enumerate().filter(|(_, item)| **item != Json::Null);
        let values = items.filter_map(|(index, item)| self.value(key, kind, item, &at.index(index))).collect();
        (self.errors.len() == before).then_some(values)
    }

    /// Every word must occur in one of the model's searched fields.
    fn search(&mut self, model: &Arc<Model>, words: &str, at: &Pointer<'_>) -> Condition {
        let paths: Vec<Path<'_>> = model.searched().into_iter().filter_map(|name| self.path(model, name, at)).collect();
        let mut all = Vec::new();
        for word in words.split_whitespace() {
            let Some(Scalar::Text(word)) = self.value("search", Type::Text, &word.into(), at) else { break };
            let mut any = Vec::new();
            for path in &paths {
                if !self.term(at) {
                    return Condition::All(all);
                }
                let mut tree = Tree::default();
                let value = Operand::One(Scalar::Text(word.clone()));
                let comparison = Comparison::of(path.column.clone(), ICONTAINS, value);
                tree.insert(&path.hops, Condition::Compare(comparison));
                any.push(tree.condition());
            }
            all.push(Condition::Any(any));
        }
        Condition::All(all)
    }

    /// The order asked for, else the model's own; the id last, so that no two records tie.
    pub fn order(&mut self, model: &Arc<Model>, asked: Option<&Ordering>, at: &Pointer<'_>) -> Vec<Order> {
        let mut order = Vec::new();
        match asked {
            Some(Ordering::One(term)) => self.order_terms(model, std::slice::from_ref(term), |_| *at, &mut order),
            Some(Ordering::List(terms)) => self.order_terms(model, terms, |index| at.index(index), &mut order),
            None => self.order_terms(model, &model.ordering, |_| *at, &mut order),
        }
        // What no two records have in common: the id, or all that groups are made by.
        let mut last = |column: Column| {
            if order.iter().all(|term| term.value.plain().is_none_or(|known| known.name != column.name)) {
                order.push(Order::of(column));
            }
        };
        match model.is_groups {
            true => model.columns().into_iter().for_each(last),
            false => last(model.id_column()),
        }
        order
    }

    fn order_terms<'p>(
        &mut self,
        model: &Arc<Model>,
        terms: &[String],
        place: impl Fn(usize) -> Pointer<'p>,
        order: &mut Vec<Order>,
    ) {
        for (index, term) in terms.iter().enumerate() {
            let at = place(index);
            if self.term(&at) {
                self.order_term(model, term, &at, 1, order);
            }
        }
    }

    /// One term. A reference stands for the order of the model it points to, where that has one, as in Django.
    fn order_term(&mut self, model: &Arc<Model>, term: &str, at: &Pointer<'_>, level: u64, order: &mut Vec<Order>) {
        let (name, descending) = match term.strip_prefix('-') {
            Some(name) => (name, true),
            None => (term, false),
        };
        if let Some(field) = model.fields.iter().find(|field| field.name == name)
            && let Kind::Ref(reference) = &field.kind
            && level < super::RELATION_LEVELS
            && self.catalogue.model(&reference.to).is_some_and(|target| !target.ordering.is_empty())
        {
            let Some(relation) = self.relation(model, name) else { return };
            let Some(target) = self.hop(&relation, at) else { return };
            let start = order.len();
            for term in &target.ordering.clone() {
                if !self.term(at) {
                    return;
                }
                self.order_term(&target, term, at, level + 1, order);
            }
            for term in &mut order[start..] {
                term.value.path.insert(0, relation.clone());
                term.descending ^= descending;
            }
            return;
        }
        if let Some(mut value) = self.read(model, name, at, &JSON_ORDER) {
            // A group by what is inside json is a piece of JSON, which sorts as the value that it is.
            if model.is_groups && value.term.kind() == Type::Json {
                value.term.of = Of::Inside("$".into(), &JSON_ORDER);
            }
            order.push(Order { value, descending });
        }
    }
}
