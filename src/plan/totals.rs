//! Totals: the groups of an `aggregate`, and subqueries.
//!
//! A path that leads to many records joins them, so that each is counted for itself. Joining two such relations
//! would count every pair, so there is one chain of them at most, which the groups and the totals share.

use super::planner::Planner;
use super::values::pairs;
use super::{
    Comparison, Condition, Group, GroupTotal, Grouped, Operand, Order, Output, Record, Select, Subquery, Total, Value,
    What, Work,
};
use crate::access::{Action, Namespace};
use crate::error::{Error, Problem, nearest, shown};
use crate::function::{FUNCTIONS, Function, How, Role, WHOLE};
use crate::json::{Json, Object, Pointer, member};
use crate::lookup::{EXACT, IS_NULL, JSON_ANSWER, JSON_GROUP, JSON_NUMBER, JSON_TEXT, Reading};
use crate::model::{Field, Model, Relation};
use crate::request::{self, Grouping, Ordering, Request, WantedStep, WantedTotal};
use crate::transform::table::{Mistake, Transform};
use crate::transform::{Kind, Step};
use crate::value::regex::Regex;
use crate::value::{Scalar, Type};
use std::sync::{Arc, LazyLock};

/// What stands between the texts of a `Concat` where nothing else is said.
const SEPARATOR: &str = ", ";

/// Groups and totals are columns of one table, and SQLite minds no case in their names.
const ONLY_IN_CASE: &str = "differs only in case from another group or total";

/// The name of a total: letters, digits and single underscores between them.
pub const NAME: &str = "^[A-Za-z](_?[A-Za-z0-9])*$";
pub const LONGEST_NAME: usize = 60;

impl Planner<'_> {
    /// The groups of an `aggregate`, as the records of a model of their own.
    pub fn groups(&mut self, model: &Arc<Model>, request: &Request, meta: &Pointer<'_>) -> Option<Work> {
        let wanted = &request.grouping;
        if wanted.by.is_empty() && wanted.totals.is_empty() {
            let why = "names neither a group nor a total".to_owned();
            self.note(Error::at("", Problem::Refused { field: "aggregate".into(), why }));
        }
        let list = meta.key("groupBy");
        let place = |index| if wanted.by_one { list } else { list.index(index) };
        let mut fields = Vec::new();
        let groups = self.group_values(model, &wanted.by, &place, &mut fields);
        let totals = self.group_totals(model, wanted, &mut fields);
        let names = wanted.by.iter().chain(wanted.totals.iter().map(|total| &total.name));
        self.lost = names.filter(|name| fields.iter().all(|field| field.name != **name)).cloned().collect();
        let chain = shared_chain(&groups, &totals);
        let groups = self.on_chain(&chain, groups, &place);
        let totals = self.totals_on_chain(&chain, model, totals, &groups);
        let condition = self.condition_along(&chain, model, &request.narrowing, meta);
        let result = Arc::new(result_model(&model.namespace, fields));
        let having = wanted.having.as_ref();
        let having = having.map(|filter| self.filter_along(&[], &result, filter, &meta.key("having")));
        let outputs = result.columns().into_iter().map(|column| Output::of(column.name.clone(), Value::of(column)));
        let outputs = outputs.collect();
        let select = self.page(&result, &request.narrowing, meta, outputs);
        let select = Select { condition: having.unwrap_or(Condition::everything()), ..select };
        let grouped = Grouped { model: model.clone(), condition, chain, groups, totals };
        Some(Work::Groups { grouped, select, count: request.count })
    }

    /// What records are grouped by, each with the relations to many that lead there.
    fn group_values<'p>(
        &mut self,
        model: &Arc<Model>,
        by: &[String],
        place: &impl Fn(usize) -> Pointer<'p>,
        fields: &mut Vec<Arc<Field>>,
    ) -> Vec<(Chain, Group)> {
        let mut groups = Vec::with_capacity(by.len());
        for (index, name) in by.iter().enumerate() {
            let at = place(index);
            if !self.term(&at) {
                break;
            }
            if name.contains('\0') {
                let why = "holds a NUL character".to_owned();
                self.note(Error::at(at, Problem::Refused { field: shown(&name.escape_debug()), why }));
                continue;
            }
            if by[..index].contains(name) {
                self.note(Error::at(at, Problem::RepeatedKey { key: shown(name) }));
                continue;
            }
            if by[..index].iter().any(|other| other.eq_ignore_ascii_case(name)) {
                self.note(Error::at(at, Problem::Refused { field: shown(name), why: ONLY_IN_CASE.into() }));
                continue;
            }
            let Some(value) = self.read(model, name, &at, &JSON_GROUP) else { continue };
            fields.push(Arc::new(Field::plain(name, value.term.kind())));
            let (chain, value) = cut(value);
            groups.push((chain, Group { name: name.clone(), joined: false, value }));
        }
        groups
    }

    /// The totals of each group, likewise.
    fn group_totals<'w>(
        &mut self,
        model: &Arc<Model>,
        wanted: &'w Grouping,
        fields: &mut Vec<Arc<Field>>,
    ) -> Vec<(Chain, GroupTotal, &'w WantedTotal)> {
        let mut totals = Vec::with_capacity(wanted.totals.len());
        for (index, total) in wanted.totals.iter().enumerate() {
            let at = Pointer::ROOT.key(&total.name);
            if !self.term(&at) {
                break;
            }
            let others = wanted.totals[..index].iter().map(|total| &total.name).chain(&wanted.by);
            self.name_of_total(&total.name, others, &at);
            if let Some((chain, planned, kind)) = self.group_total(model, total, &at) {
                fields.push(Arc::new(Field::plain(&total.name, kind)));
                totals.push((chain, planned, total));
            }
        }
        totals
    }

    /// The groups, each of the record itself or of the one at the end of the chain.
    fn on_chain<'p>(
        &mut self,
        chain: &Chain,
        groups: Vec<(Chain, Group)>,
        place: &impl Fn(usize) -> Pointer<'p>,
    ) -> Vec<Group> {
        let mut placed = Vec::with_capacity(groups.len());
        for (index, (own, group)) in groups.into_iter().enumerate() {
            let joined = !own.is_empty();
            if joined && own != *chain {
                self.several_chains(&place(index), &group.name);
            }
            placed.push(Group { joined, ..group });
        }
        placed
    }

    /// The totals, likewise, with the filters of their own. Beside totals of the records at the end of the chain
    /// one of the record itself makes sense only where the groups join them.
    fn totals_on_chain(
        &mut self,
        chain: &Chain,
        model: &Arc<Model>,
        totals: Vec<(Chain, GroupTotal, &WantedTotal)>,
        groups: &[Group],
    ) -> Vec<GroupTotal> {
        let joined_by_groups = groups.iter().any(|group| group.joined);
        let mut placed = Vec::with_capacity(totals.len());
        for (own, total, wanted) in totals {
            let (joined, at) = (!own.is_empty(), Pointer::ROOT.key(&wanted.name));
            if own != *chain && (joined || !joined_by_groups) {
                self.several_chains(&at, &wanted.name);
            }
            let filter = wanted.filter.as_ref();
            let filter = filter.map(|filter| self.filter_along(chain, model, filter, &at.key("filter")));
            placed.push(GroupTotal { joined, filter, ..total });
        }
        placed
    }

    /// The name of a total is used in filters and orders, so it looks like that of a field.
    fn name_of_total<'o>(&mut self, name: &str, others: impl Iterator<Item = &'o String>, at: &Pointer<'_>) {
        static FORM: LazyLock<Regex> = LazyLock::new(|| Regex::new(NAME, false).expect("it is a regular expression"));
        let formed = name.len() <= LONGEST_NAME && FORM.matches(name);
        let alike = others.into_iter().find(|other| other.eq_ignore_ascii_case(name));
        let why = match alike {
            _ if !formed => "is not the name of a total: letters, digits and single underscores, at most 60",
            Some(other) if other == name => "is a group already; give the total another name",
            Some(_) => ONLY_IN_CASE,
            None => return,
        };
        self.note(Error::at(at, Problem::Refused { field: shown(&name), why: why.into() }));
    }

    fn several_chains(&mut self, at: &impl std::fmt::Display, name: &str) {
        let why = "counts the records of another relation than the rest does, which would count each pair of them; ask for it in a request of its own, or by a subquery";
        self.note(Error::at(at, Problem::Refused { field: shown(&name), why: why.into() }));
    }

    fn group_total(
        &mut self,
        model: &Arc<Model>,
        wanted: &WantedTotal,
        at: &Pointer<'_>,
    ) -> Option<(Chain, GroupTotal, Type)> {
        let function = self.function_of_many(&wanted.step, at)?;
        if wanted.ordering.is_some() && !function.how.minds_order() {
            let problem = Problem::UnknownKey { place: function.name.into(), key: "ordering".into(), nearest: None };
            self.note(Error::at(at.key("ordering"), problem));
        }
        let order = self.order_of_total(model, wanted.ordering.as_ref(), function.how, &at.key("ordering"));
        let (total, kind) = self.total(model, function, &wanted.step.options, None, order, at)?;
        let (chain, value) = cut(total.value);
        let total = Total { value, ..total };
        Some((chain, GroupTotal { name: wanted.name.clone(), joined: false, total, filter: None }, kind))
    }

    /// The order that a total minds. One that was named is checked in any case; that of the model itself is only
    /// resolved where it matters, as it may lead to models that the key may not read.
    fn order_of_total(
        &mut self,
        model: &Arc<Model>,
        asked: Option<&Ordering>,
        how: How,
        at: &Pointer<'_>,
    ) -> Vec<Order> {
        let order = if asked.is_some() || how.minds_order() { self.order(model, asked, at) } else { Vec::new() };
        if how.minds_order() { order } else { Vec::new() }
    }

    /// What a function makes of records. `options` are those of its step, `field` is what it is about where they say
    /// nothing.
    fn total(
        &mut self,
        model: &Arc<Model>,
        function: Many,
        options: &Object,
        field: Option<(&str, Pointer<'_>)>,
        order: Vec<Order>,
        at: &Pointer<'_>,
    ) -> Option<(Total, Type)> {
        let own = at.key("onField");
        let (name, field_at) = match member(options, "onField") {
            None => field.unwrap_or(("id", own)),
            Some(Json::String(name)) => (name.as_str(), own),
            Some(other) => {
                self.wrong(&own, "onField", "the name of a field", other);
                return None;
            }
        };
        let setting = match function.how {
            How::Concat => self.separator(options, at)?,
            How::Percentile => self.share(options, at)?,
            _ => Scalar::Null,
        };
        let inside: &'static Reading = match function.name {
            "Sum" | "Avg" | "Min" | "Max" | "Percentile" => &JSON_NUMBER,
            "Concat" => &JSON_TEXT,
            "CountDistinct" => &JSON_GROUP,
            _ => &JSON_ANSWER,
        };
        let value = self.read(model, name, &field_at, inside)?;
        let Some((kind, sql)) = (function.makes)(value.term.kind()) else {
            let why = format!("is {} and cannot be taken by {}", value.term.kind().described(), function.name);
            self.note(Error::at(field_at, Problem::Refused { field: shown(&name), why }));
            return None;
        };
        Some((Total { how: function.how, sql, value, order, setting }, kind))
    }

    /// What a `Concat` puts between texts.
    fn separator(&mut self, options: &Object, at: &Pointer<'_>) -> Option<Scalar> {
        match member(options, "separator") {
            None => Some(Scalar::Text(SEPARATOR.to_owned())),
            Some(Json::String(text)) if text.len() <= 100 => Some(Scalar::Text(text.clone())),
            Some(other) => {
                self.wrong(&at.key("separator"), "separator", "a string of at most 100 bytes", other);
                None
            }
        }
    }

    /// The share of the values that a `Percentile` is of, in billionths.
    fn share(&mut self, options: &Object, at: &Pointer<'_>) -> Option<Scalar> {
        let Some(value) = member(options, "value") else {
            self.note(Error::at(at, Problem::MissingKey { place: "Percentile".into(), key: "value" }));
            return None;
        };
        let share = match value {
            Json::Integer(number @ (0 | 1)) => Some(number * WHOLE),
            Json::Number(digits) => digits.parse().ok().and_then(billionths),
            _ => None,
        };
        if share.is_none() {
            self.wrong(&at.key("value"), "value", "a number from 0 to 1, such as 0.95", value);
        }
        share.map(Scalar::Integer)
    }

    /// The function of a step, which must be one that makes one value of many.
    fn function_of_many(&mut self, step: &WantedStep, at: &Pointer<'_>) -> Option<Many> {
        let function = self.function(step, at)?;
        match function.role {
            Role::Many(how, makes) => Some(Many { name: function.name, how, makes }),
            Role::Result(..) => {
                let many = FUNCTIONS.iter().filter(|function| matches!(function.role, Role::Many(..)));
                let names: Vec<&str> = many.map(|function| function.name).collect();
                let why = format!("goes on with a total and makes none; these do: {}", names.join(", "));
                self.note(Error::at(at.key("function"), Problem::Refused { field: function.name.into(), why }));
                None
            }
        }
    }

    fn function(&mut self, step: &WantedStep, at: &Pointer<'_>) -> Option<&'static Function> {
        let Some(function) = Function::named(&step.function) else {
            let known: Vec<&str> = FUNCTIONS.iter().map(|function| function.name).collect();
            let nearest = nearest(&step.function, known.iter().copied());
            let problem = Problem::NoSuchFunction { given: shown(&step.function), nearest, known };
            self.note(Error::at(at.key("function"), problem));
            return None;
        };
        let known = function.keys();
        for (key, _) in step.options.iter().filter(|(key, _)| !known.contains(&key.as_str())) {
            let nearest = nearest(key, known.iter().copied());
            let problem = Problem::UnknownKey { place: function.name.into(), key: shown(key), nearest };
            self.note(Error::at(at.key(key), problem));
        }
        Some(function)
    }

    /// A total of other records for each record of `outer`, and what is made of it.
    pub fn subquery(
        &mut self,
        outer: &Arc<Model>,
        asked: &request::Subquery,
        at: &Pointer<'_>,
    ) -> Option<(What, Kind, Vec<Step>)> {
        let meta = at.key("__meta__");
        let model = self.model(&asked.namespace, Action::Read, &meta.key("namespace"))?;
        let mut all = vec![self.condition(&model, &asked.narrowing, &meta)];
        let place = meta.key("outerRefMapping");
        for (index, (field, reference)) in asked.mapping.iter().enumerate() {
            let at = place.index(index);
            if !self.term(&at) {
                break;
            }
            all.extend(self.mapped(&model, field, outer, reference, &at));
        }
        let place = meta.key("sequencedProcess");
        let field_at = meta.key("onField");
        let field = asked.on_field.as_deref().map(|name| (name, field_at));
        let makes_total = |step: &&WantedStep| {
            Function::named(&step.function).is_none_or(|function| matches!(function.role, Role::Many(..)))
        };
        let first = asked.steps.first().filter(makes_total);
        let plain = WantedStep { function: "First".into(), options: Vec::new() };
        let (step, at) = first.map_or((&plain, meta), |step| (step, place.index(0)));
        let function = self.function_of_many(step, &at)?;
        let order = self.order_of_total(&model, asked.narrowing.ordering.as_ref(), function.how, &meta.key("ordering"));
        let (total, kind) = self.total(&model, function, &step.options, field, order, &at)?;
        if total.value.is_many() {
            let why = "leads to many records, where one value is wanted".to_owned();
            let named = first.filter(|step| member(&step.options, "onField").is_some());
            let step = place.index(0);
            let at = if named.is_some() { step.key("onField") } else { field_at };
            self.note(Error::at(at, Problem::Refused { field: "onField".into(), why }));
        }
        if total.how == How::Exists {
            all.push(is_there(&total.value));
        }
        let mut steps = Vec::new();
        let mut known = Kind::of(kind);
        for (index, step) in asked.steps.iter().enumerate().skip(usize::from(first.is_some())) {
            let at = place.index(index);
            if !self.term(&at) {
                break;
            }
            let (step, next) = self.step(step, known, &at)?;
            steps.push(step);
            known = next;
        }
        let subquery = Subquery { model, condition: Condition::All(all), total, kind };
        Some((What::Total(Box::new(subquery)), known, steps))
    }

    /// That a field of the subquery's model equals one of the outer record.
    fn mapped(
        &mut self,
        model: &Arc<Model>,
        field: &str,
        outer: &Arc<Model>,
        reference: &str,
        at: &Pointer<'_>,
    ) -> Option<Condition> {
        let inner = self.read(model, field, &at.key("field"), &JSON_ANSWER)?;
        let theirs = self.read_one(outer, reference, &at.key("referenceField"), &JSON_ANSWER)?;
        let pairs = pairs(&inner.term, &theirs, EXACT);
        if pairs.is_empty() {
            let kind = theirs.term.kind().described();
            let why = format!("is {} and cannot equal {kind}", inner.term.kind().described());
            self.note(Error::at(at.key("field"), Problem::Refused { field: shown(&field), why }));
            return None;
        }
        let equal = |(term, theirs)| {
            let value = Operand::Field(Record::Outer, theirs);
            Condition::Compare(Comparison { term, lookup: EXACT, value })
        };
        let equal = Condition::Any(pairs.into_iter().map(equal).collect());
        Some(nested(inner.path, equal))
    }

    /// A function that goes on with a result of that kind.
    fn step(&mut self, wanted: &WantedStep, kind: Kind, at: &Pointer<'_>) -> Option<(Step, Kind)> {
        let function = self.function(wanted, at)?;
        let Role::Result(transform, option) = function.role else {
            let why = "makes a total of many records, so it can only come first".to_owned();
            self.note(Error::at(at.key("function"), Problem::Refused { field: function.name.into(), why }));
            return None;
        };
        let given = option.and_then(|(key, option)| Some((option.into(), member(&wanted.options, key)?.clone())));
        let read = Transform::with(transform).read(&Json::Object(given.into_iter().collect()), kind);
        let own = |mistakes: Vec<Mistake>| mistakes.into_iter().map(|mistake| in_words_of(function, mistake)).collect();
        self.made(read.map_err(own), at)
    }
}

/// A function that makes one value of many.
#[derive(Clone, Copy)]
struct Many {
    name: &'static str,
    how: How,
    makes: fn(Type) -> Option<(Type, &'static str)>,
}

/// A share of all in billionths.
#[expect(clippy::cast_precision_loss, clippy::cast_possible_truncation)] // a billion fits
fn billionths(share: f64) -> Option<i64> {
    (0.0..=1.0).contains(&share).then(|| (share * WHOLE as f64).round() as i64)
}

/// What is wrong with a transform, as a mistake of the function that stands for it in the request.
fn in_words_of(function: &Function, mistake: Mistake) -> Mistake {
    let Role::Result(transform, option) = function.role else { return mistake };
    let own = |name: &str| match option {
        Some((key, known)) if known == name => Some(key),
        _ => (name == transform).then_some(function.name),
    };
    let problem = match mistake.problem {
        Problem::MissingKey { key, .. } => {
            Problem::MissingKey { place: function.name.into(), key: own(key).unwrap_or(key) }
        }
        Problem::Refused { field, why } => Problem::Refused { field: own(&field).map_or(field, str::to_owned), why },
        other => other,
    };
    Mistake { option: mistake.option.map(|name| own(&name).map_or(name, str::to_owned)), problem }
}

/// That there is a value: nulls are none.
fn is_there(value: &Value) -> Condition {
    let there = Comparison { term: value.term.clone(), lookup: IS_NULL, value: Operand::Flag(false) };
    nested(value.path.clone(), Condition::Compare(there))
}

/// A condition on the records that a path leads to.
fn nested(path: Vec<Arc<Relation>>, condition: Condition) -> Condition {
    let nest = |condition, relation| Condition::Related { relation, condition: Box::new(condition), or_none: false };
    path.into_iter().rev().fold(condition, nest)
}

/// Relations, the last of which leads to many; none where none does.
type Chain = Vec<Arc<Relation>>;

/// The chain that is joined: that of the groups, and where they join nothing, that of the totals.
fn shared_chain(groups: &[(Chain, Group)], totals: &[(Chain, GroupTotal, &WantedTotal)]) -> Chain {
    let chains = groups.iter().map(|(chain, _)| chain);
    let longest = chains.reduce(|longest, chain| if chain.len() > longest.len() { chain } else { longest });
    let first = totals.iter().map(|(chain, ..)| chain).find(|chain| !chain.is_empty());
    longest.filter(|chain| !chain.is_empty()).or(first).cloned().unwrap_or_default()
}

/// The relations of a path up to the last that leads to many, and the value from there on.
fn cut(value: Value) -> (Chain, Value) {
    let end = value.path.iter().rposition(|relation| relation.is_many()).map_or(0, |last| last + 1);
    let mut path = value.path;
    let rest = path.split_off(end);
    (path, Value { path: rest, term: value.term })
}

/// A model whose records are groups: its fields are what they are grouped by, and their totals.
fn result_model(namespace: &Namespace, fields: Vec<Arc<Field>>) -> Model {
    // Its name is seen in errors only.
    let namespace = Namespace::new(&format!("a group of {}", namespace.app()), namespace.name());
    Model {
        namespace,
        id: Type::Integer,
        intents: None,
        is_groups: true,
        versioned: false,
        fields,
        unique_together: Vec::new(),
        indexes: Vec::new(),
        ordering: Vec::new(),
        search: None,
    }
}
