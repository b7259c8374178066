//! What is answered of each record: fields, the records of references, lists of related ones.

use super::planner::Planner;
use super::{MOST_REFERENCES, Output, RELATION_LEVELS, Select, Value, What};
use crate::access::Action;
use crate::error::{Error, Problem, shown};
use crate::json::Pointer;
use crate::lookup::JSON_ANSWER;
use crate::model::{Join, Model, Relation};
use crate::request::fields::{FIELD, TRANSFORM};
use crate::request::{Asked, Nested, Ordering, Wanted};
use crate::transform::table::{self, Mistake};
use crate::transform::{Kind, Step};
use smol_str::{SmolStr, format_smolstr};
use std::collections::HashSet;
use std::sync::Arc;

impl Planner<'_> {
    /// The fields asked for, in their order; every stored one where none is named. `at` is the object they
    /// stand in, `path` its name in `extras.truncated`, `level` how many relations lead there, from 1.
    pub fn fields(
        &mut self,
        model: &Arc<Model>,
        asked: &[Asked],
        at: &Pointer<'_>,
        path: &str,
        level: u64,
    ) -> Vec<Output> {
        if asked.is_empty() {
            let columns = model.columns().into_iter().take_while(|_| self.term(at));
            return columns.map(|column| Output::of(column.name.clone(), Value::of(column))).collect();
        }
        let mut fields = Vec::with_capacity(asked.len());
        for one in asked {
            let at = at.key(&one.name);
            if !self.term(&at) {
                break;
            }
            if let Some((what, steps)) = self.output(model, one, &at, path, level) {
                fields.push(Output { name: one.name.clone(), what, steps });
            }
        }
        fields
    }

    /// What is asked of one field, and what is made of it.
    fn output(
        &mut self,
        model: &Arc<Model>,
        asked: &Asked,
        at: &Pointer<'_>,
        path: &str,
        level: u64,
    ) -> Option<(What, Vec<Step>)> {
        let (what, mut kind, mut steps) = match &asked.what {
            Wanted::Subquery(subquery) => self.subquery(model, subquery, at)?,
            Wanted::Value | Wanted::Nested(_) => {
                let what = self.field(model, asked, at, path, level)?;
                let kind = kind_of(&what);
                (what, kind, Vec::new())
            }
        };
        let at = at.key(TRANSFORM);
        for (name, options) in &asked.transforms {
            let at = at.key(name);
            if !self.term(&at) {
                break;
            }
            let (step, next) = self.made(table::read(name, options, kind), &at)?;
            steps.push(step);
            kind = next;
        }
        Some((what, steps))
    }

    fn field(&mut self, model: &Arc<Model>, asked: &Asked, at: &Pointer<'_>, path: &str, level: u64) -> Option<What> {
        let name = asked.of.as_deref().unwrap_or(&asked.name);
        let nested = if let Wanted::Nested(nested) = &asked.what { Some(nested) } else { None };
        let column = model.column(name);
        if let (None, Some(column)) = (nested, &column) {
            return Some(What::Value(Value::of(column.clone())));
        }
        let path = if path.is_empty() { asked.name.clone() } else { format_smolstr!("{path}__{}", asked.name) };
        match (self.relation(model, name), nested, column) {
            (Some(relation), None, _) => self.ids(relation, path, at, level),
            (Some(relation), Some(nested), _) => self.nested(relation, nested, path, at, level),
            (None, Some(_), Some(_)) => {
                let problem = Problem::NotNested { model: model.namespace.to_string(), field: shown(&name) };
                self.note(Error::at(at, problem));
                None
            }
            // Under a name of its own a value may also be a part of a date, inside json, or of a related record.
            (None, None, _) if asked.of.is_some() => {
                self.read_one(model, name, &at.key(FIELD), &JSON_ANSWER).map(What::Value)
            }
            (None, _, _) => {
                self.no_such_field(model, name, at);
                None
            }
        }
    }

    /// The step that was read of a transform or function at this place.
    pub fn made(&mut self, read: Result<(Step, Kind), Vec<Mistake>>, at: &Pointer<'_>) -> Option<(Step, Kind)> {
        let mistakes = match read {
            Ok(made) => return Some(made),
            Err(mistakes) => mistakes,
        };
        for Mistake { option, problem } in mistakes {
            let pointer = option.map_or_else(|| at.to_string(), |option| at.key(&option).to_string());
            self.note(Error { problem, pointer: Some(pointer) });
        }
        None
    }

    /// The ids of a relation to many. Those that the record itself holds need no leave to read the others.
    fn ids(&mut self, relation: Arc<Relation>, path: SmolStr, at: &Pointer<'_>, level: u64) -> Option<What> {
        self.nests(at, level)?;
        let model =
            if relation.is_own() { self.catalogue.model(&relation.target)?.clone() } else { self.hop(&relation, at)? };
        self.touched.insert(model.namespace.clone());
        let fields = vec![Output::of(SmolStr::new_static("id"), Value::of(model.id_column()))];
        let limit = super::DEFAULT_LIMIT.min(self.limits.max_limit);
        let order = self.order(&model, Some(&Ordering::List(Vec::new())), at);
        let select = Select { order, limit, ..Select::of(&model, fields) };
        Some(What::Ids { relation, path, select: Box::new(select) })
    }

    fn nested(
        &mut self,
        relation: Arc<Relation>,
        nested: &Nested,
        path: SmolStr,
        at: &Pointer<'_>,
        level: u64,
    ) -> Option<What> {
        self.nests(at, level)?;
        let model = self.hop(&relation, at)?;
        if let Join::Reference { column } = &relation.join {
            if nested.has_meta {
                let place = format!("the reference \"{}\"", relation.name);
                let problem = Problem::UnknownKey { place, key: "__meta__".into(), nearest: None };
                self.note(Error::at(at.key("__meta__"), problem));
            }
            self.references += 1;
            if self.references == MOST_REFERENCES + 1 {
                let problem = Problem::TooMany { what: "nested references", limit: MOST_REFERENCES };
                self.note(Error::at(at, problem));
            }
            let fields = self.fields(&model, &nested.fields, at, &path, level + 1);
            return Some(What::Record { column: column.into(), model, fields });
        }
        let fields = self.fields(&model, &nested.fields, at, &path, level + 1);
        let at = at.key("__meta__");
        let condition = self.condition(&model, &nested.narrowing, &at);
        let select = Select { condition, ..self.page(&model, &nested.narrowing, &at, fields) };
        Some(What::List { relation, path, select: Box::new(select) })
    }

    fn nests(&mut self, at: &Pointer<'_>, level: u64) -> Option<()> {
        if level <= RELATION_LEVELS {
            return Some(());
        }
        self.errors
            .push(Error::at(at, Problem::TooMany { what: "relations behind each other", limit: RELATION_LEVELS }));
        None
    }

    /// What a write answers: `return`, or the id. The id and what the request itself wrote are free to see;
    /// anything else takes leave to read.
    pub fn answer(&mut self, model: &Arc<Model>, asked: Option<&[Asked]>, written: &HashSet<&str>) -> Select {
        let at = Pointer::ROOT.key("__meta__");
        let at = at.key("return");
        let fields = match asked {
            None => vec![Output::of(SmolStr::new_static("id"), Value::of(model.id_column()))],
            Some(asked) => {
                let free = |one: &Asked| {
                    let source = one.of.as_deref().unwrap_or(&one.name);
                    let own = matches!(source, "id" | "pk") || written.contains(source);
                    one.what == Wanted::Value && own
                };
                if asked.is_empty() || !asked.iter().all(free) {
                    self.model(&model.namespace, Action::Read, &at);
                }
                self.fields(model, asked, &at, "", 1)
            }
        };
        Select::of(model, fields)
    }
}

/// What is known of an answered value before there is one.
fn kind_of(what: &What) -> Kind {
    match what {
        What::Value(value) => Kind::of(value.term.kind()),
        What::Total(total) => Kind::of(total.kind),
        What::Record { .. } => Kind::Record,
        What::List { .. } | What::Ids { .. } => Kind::List,
    }
}
