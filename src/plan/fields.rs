//! What is answered of each record: fields, the records of references, lists of related ones.

use super::{Condition, MOST_REFERENCES, Output, Planner, RELATION_LEVELS, Select, What};
use crate::access::Action;
use crate::error::{Error, Problem, shown};
use crate::json::Pointer;
use crate::model::{Join, Model, Relation};
use crate::request::{Asked, Nested, Ordering};
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
            return columns.map(|column| Output { name: column.name.clone(), what: What::Value(column) }).collect();
        }
        let mut fields = Vec::with_capacity(asked.len());
        for one in asked {
            let at = at.key(&one.name);
            if !self.term(&at) {
                break;
            }
            if let Some(what) = self.field(model, one, &at, path, level) {
                fields.push(Output { name: one.name.clone(), what });
            }
        }
        fields
    }

    fn field(&mut self, model: &Arc<Model>, asked: &Asked, at: &Pointer<'_>, path: &str, level: u64) -> Option<What> {
        let name = asked.name.as_str();
        let relation = self.relation(model, name);
        let path = if path.is_empty() { name.to_owned() } else { format!("{path}__{name}") };
        match (relation, &asked.nested, model.column(name)) {
            (None, None, Some(column)) => Some(What::Value(column)),
            (Some(_), None, Some(column)) => Some(What::Value(column)),
            (Some(relation), None, None) => self.ids(relation, path, at, level),
            (Some(relation), Some(nested), _) => self.nested(relation, nested, path, at, level),
            (None, Some(_), Some(_)) => {
                let problem = Problem::NotNested { model: model.namespace.to_string(), field: shown(&name) };
                self.note(Error::at(at, problem));
                None
            }
            (None, _, None) => {
                self.no_such_field(model, name, at);
                None
            }
        }
    }

    /// The ids of a relation to many. Those that the record itself holds need no leave to read the others.
    fn ids(&mut self, relation: Arc<Relation>, path: String, at: &Pointer<'_>, level: u64) -> Option<What> {
        self.nests(at, level)?;
        let model =
            if relation.is_own() { self.catalogue.model(&relation.target)?.clone() } else { self.hop(&relation, at)? };
        let id = model.id_column();
        let fields = vec![Output { name: "id".into(), what: What::Value(id) }];
        let limit = super::DEFAULT_LIMIT.min(self.limits.max_limit);
        let order = self.order(&model, Some(&Ordering::List(Vec::new())), at);
        let select = Select { model, condition: Condition::everything(), order, limit, offset: 0, fields };
        Some(What::Ids { relation, path, select: Box::new(select) })
    }

    fn nested(
        &mut self,
        relation: Arc<Relation>,
        nested: &Nested,
        path: String,
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
            return Some(What::Record { column: column.clone(), model, fields });
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
    pub fn answer(&mut self, model: &Arc<Model>, asked: Option<&[Asked]>, written: &[&str]) -> Select {
        let at = Pointer::ROOT.key("__meta__");
        let at = at.key("return");
        let fields = match asked {
            None => vec![Output { name: "id".into(), what: What::Value(model.id_column()) }],
            Some(asked) => {
                let free = |one: &Asked| {
                    let own = matches!(one.name.as_str(), "id" | "pk") || written.contains(&one.name.as_str());
                    one.nested.is_none() && own
                };
                if asked.is_empty() || !asked.iter().all(free) {
                    self.model(&model.namespace, Action::Read, &at);
                }
                self.fields(model, asked, &at, "", 1)
            }
        };
        let condition = Condition::everything();
        Select { model: model.clone(), condition, order: Vec::new(), limit: 1, offset: 0, fields }
    }
}
