//! What can only be told of `models.json` with all models at hand: names that clash, paths that lead nowhere, orders that
//! lead back.

use super::Reader;
use crate::access::Namespace;
use crate::error::is_full;
use crate::json::Pointer;
use crate::model::{Catalogue, Field, Kind, Model};
use crate::value::Type;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

/// Names in one path: a request takes far shorter ones.
const LONGEST_PATH: usize = 100;

impl Reader {
    /// Looks at all of them.
    pub(super) fn check_together(&mut self, models: &[Model]) {
        let mut tables: HashSet<String> = HashSet::new();
        let catalogue = Catalogue::new(0, models.to_vec());
        let loops = ordering_loops(models);
        for model in models {
            if is_full(&self.errors) {
                break;
            }
            let name = model.namespace.to_string();
            let at = Pointer::ROOT.key(&name);
            if !tables.insert(name.to_lowercase()) {
                self.refuse(
                    &at,
                    &name,
                    "differs from another model in case only, and SQLite cannot tell their tables apart",
                );
            }
            self.check_accessors(&at, &catalogue, model);
            self.check_columns(&at, model);
            self.check_names(&at.key("fields"), model);
            for (index, term) in model.ordering.iter().enumerate() {
                let path = term.strip_prefix('-').unwrap_or(term);
                if resolve(&catalogue, model, path).is_none() {
                    self.refuse(&at.key("ordering").index(index), path, format!("is no field of {name}"));
                }
            }
            if loops.contains(&model.namespace) {
                self.refuse(
                    &at.key("ordering"),
                    "ordering",
                    "leads back to the model itself; name a field of the reference, such as parent__id",
                );
            }
            for (index, path) in model.search.iter().flatten().enumerate() {
                if !resolve(&catalogue, model, path).is_some_and(Type::is_text) {
                    self.refuse(&at.key("search").index(index), path, format!("is no text field of {name}"));
                }
            }
        }
    }

    /// Names of relations back must be free in the model that they are found from.
    fn check_accessors(&mut self, at: &Pointer<'_>, catalogue: &Catalogue, model: &Model) {
        let mut seen: BTreeMap<&str, &Namespace> = BTreeMap::new();
        for relation in catalogue.relations(model).filter(|relation| !relation.is_own()) {
            let taken = model.column(&relation.name).is_some() || model.field(&relation.name).is_some();
            let other = seen.insert(&relation.name, &relation.target);
            if taken || other.is_some() {
                let by = other.map_or("a field of that name".to_owned(), |other| format!("the accessor from {other}"));
                let why = format!(
                    "would be the accessor from {} back to {}, but clashes with {by}; give one a related_name",
                    model.namespace, relation.target
                );
                self.refuse(at, &relation.name, why);
            }
        }
    }

    /// A reference has a second name.
    fn check_names(&mut self, at: &Pointer<'_>, model: &Model) {
        let is_reference = |field: &Arc<Field>| matches!(field.kind, Kind::Ref(_));
        let references: HashSet<String> =
            model.fields.iter().filter(|field| is_reference(field)).map(|field| format!("{}_id", field.name)).collect();
        for field in model.fields.iter().filter(|field| references.contains(&field.name)) {
            let name = &field.name;
            self.refuse(&at.key(name), name, "is the other name of a reference already, as in Django");
        }
    }

    fn check_columns(&mut self, at: &Pointer<'_>, model: &Model) {
        for (key, lists) in [("unique_together", &model.unique_together), ("indexes", &model.indexes)] {
            for (index, names) in lists.iter().enumerate() {
                let place = at.key(key);
                let place = place.index(index);
                let mut seen = HashSet::new();
                for name in names {
                    let bare = if key == "indexes" { name.strip_prefix('-').unwrap_or(name) } else { name };
                    if model.fields.iter().all(|field| field.name != bare || field.column().is_none())
                        && (bare != "id" || key == "unique_together")
                    {
                        self.refuse(&place, name, format!("is no stored field of {}", model.namespace));
                    }
                    if !seen.insert(bare) {
                        self.refuse(&place, name, "stands twice in one list");
                    }
                }
                if names.is_empty() {
                    self.refuse(&place, key, "holds an empty list");
                }
            }
        }
    }
}

/// The type of the column that a path leads to, where it leads to one.
fn resolve<'c>(catalogue: &'c Catalogue, mut model: &'c Model, mut path: &str) -> Option<Type> {
    if path.split("__").nth(LONGEST_PATH).is_some() {
        return None;
    }
    while let Some((relation, rest)) = path.split_once("__") {
        model = catalogue.model(&catalogue.relation(model, relation)?.target)?;
        path = rest;
    }
    model.column(path).map(|column| column.kind)
}

/// The models whose orders lead back to a model that is being ordered: a term that names a reference stands for the
/// order of the model it points to. They are those that are left when each is taken away whose order leads to none.
fn ordering_loops(models: &[Model]) -> HashSet<&Namespace> {
    let mut leads_to: HashMap<&Namespace, usize> = HashMap::new();
    let mut led_to_by: HashMap<&Namespace, Vec<&Namespace>> = HashMap::new();
    for model in models {
        let names = model.ordering.iter().map(|term| term.strip_prefix('-').unwrap_or(term));
        let fields = names.filter_map(|name| model.fields.iter().find(|field| field.name == name));
        let others = fields.filter_map(|field| match &field.kind {
            Kind::Ref(reference) => Some(&reference.to),
            _ => None,
        });
        let mut count = 0;
        for other in others {
            count += 1;
            led_to_by.entry(other).or_default().push(&model.namespace);
        }
        leads_to.insert(&model.namespace, count);
    }
    let mut ends: Vec<&Namespace> = leads_to.iter().filter(|(_, count)| **count == 0).map(|(name, _)| *name).collect();
    while let Some(end) = ends.pop() {
        leads_to.remove(end);
        for before in led_to_by.get(end).into_iter().flatten() {
            if let Some(count) = leads_to.get_mut(before) {
                *count -= 1;
                if *count == 0 {
                    ends.push(before);
                }
            }
        }
    }
    leads_to.into_keys().collect()
}
