//! The names that filters, orders and groups take.
//!
//! A way to another model is shown by its first name alone: all that it may go on with would make the description as
//! large as the square of the relations.

use super::language::operand;
use super::maker::{Maker, part};
use super::{any_of, anything, closed, object, put, schema};
use crate::json::{Json, Object};
use crate::lookup::{LOOKUPS, PARTS};
use crate::model::{Column, Model, Relation};
use crate::value::Type;
use smol_str::format_smolstr;
use std::sync::Arc;

impl Maker<'_> {
    /// The conditions on a model's records.
    pub fn filter(&self, model: &Model) -> Json {
        let mut properties = Object::new();
        let mut patterns = Object::new();
        for column in model.columns() {
            compare(&column, &mut properties, &mut patterns);
        }
        for relation in self.catalogue.relations(model) {
            let target = self.target(relation);
            let id = self.catalogue.model(&relation.target).map(|target| target.id_column());
            if let (true, Some(id)) = (relation.is_many() && (relation.is_own() || target.is_some()), id) {
                compare(&Column { name: (&relation.name).into(), ..id }, &mut properties, &mut patterns);
            }
            if target.is_some() {
                patterns.push((format_smolstr!("^{}__", relation.name), anything()));
            }
        }
        let own = || schema(&part(model, "filter"));
        for name in ["__and__", "__or__"] {
            properties.push((name.into(), object(vec![("type", "array".into()), ("items", own())])));
        }
        properties.push(("__not__".into(), own()));
        let mut filter = closed(properties, &[]);
        if !patterns.is_empty() {
            put(&mut filter, &["patternProperties"], Json::Object(patterns));
        }
        filter
    }

    /// Fields to order or to group by, or one of them: a name alone, with the way on to another model or into json
    /// behind it, or with a part of a date.
    pub fn paths(&self, model: &Model, before: &str) -> Json {
        let columns = model.columns();
        let relations = || self.catalogue.relations(model);
        let shown = |relation: &&Arc<Relation>| relation.is_own() || self.target(relation).is_some();
        let many = relations().filter(|relation| relation.is_many()).filter(shown);
        let names =
            columns.iter().map(|column| column.name.as_str()).chain(many.map(|relation| relation.name.as_str()));
        let open =
            relations().filter(|relation| self.target(relation).is_some()).map(|relation| relation.name.as_str());
        let of =
            |kind: Type| columns.iter().filter(move |column| column.kind == kind).map(|column| column.name.as_str());
        let mut forms = vec![names.collect::<Vec<_>>().join("|")];
        let mut then = |names: Vec<&str>, rest: &str| {
            if !names.is_empty() {
                forms.push(format!("({})__{rest}", names.join("|")));
            }
        };
        then(open.chain(of(Type::Json)).collect(), "[A-Za-z0-9_]+");
        for kind in [Type::Date, Type::Datetime, Type::Time] {
            let parts = PARTS.iter().filter(|part| part.goes_with(kind)).map(|part| part.name);
            then(of(kind).collect(), &format!("({})", parts.collect::<Vec<_>>().join("|")));
        }
        let pattern = format!("^{before}({})$", forms.join("|"));
        let one = object(vec![("type", "string".into()), ("pattern", pattern.as_str().into())]);
        any_of(vec![one.clone(), object(vec![("type", "array".into()), ("items", one)])])
    }
}

/// The lookups of a column, and of the parts of a date.
fn compare(column: &Column, properties: &mut Object, patterns: &mut Object) {
    let name = &column.name;
    for lookup in LOOKUPS.iter().filter(|lookup| lookup.goes_with(column.kind)) {
        if lookup.name == "exact" {
            properties.push((name.clone(), operand(lookup, column.kind)));
        }
        properties.push((format_smolstr!("{name}__{}", lookup.name), operand(lookup, column.kind)));
    }
    if column.kind == Type::Json {
        patterns.push((format_smolstr!("^{name}__"), anything()));
    }
    // Parts of one type take the same; so do, of one lookup, all parts.
    let parts: Vec<_> = PARTS.iter().filter(|part| part.goes_with(column.kind)).collect();
    for kind in [Type::Integer, Type::Date] {
        let names: Vec<&str> = parts.iter().filter(|part| part.kind == kind).map(|part| part.name).collect();
        if names.is_empty() {
            continue;
        }
        let mut forms: Vec<(Json, Vec<&str>)> = Vec::new();
        for lookup in LOOKUPS.iter().filter(|lookup| lookup.goes_with(kind)) {
            let takes = operand(lookup, kind);
            match forms.iter_mut().find(|(known, _)| *known == takes) {
                Some((_, lookups)) => lookups.push(lookup.name),
                None => forms.push((takes, vec![lookup.name])),
            }
        }
        for (takes, lookups) in forms {
            let end = if lookups == ["exact"] { "?" } else { "" };
            let pattern = format!("^{name}__({})(__({})){end}$", names.join("|"), lookups.join("|"));
            patterns.push((pattern.into(), takes));
        }
    }
}
