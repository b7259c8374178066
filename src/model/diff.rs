//! What changes between two versions of the models, in words and in what it may lose.

use super::{Field, Kind, Model};
use crate::access::Namespace;
use crate::value::Type;
use std::collections::{HashMap, HashSet};

/// One change. What it loses, if anything, depends on the records that there are; see `apply`.
#[derive(Clone, Debug, PartialEq)]
pub enum Change {
    AddModel(Namespace),
    DropModel(Namespace),
    AddField(Namespace, String),
    DropField(Namespace, String),
    /// The values cannot be carried over: field, old type, new type.
    RetypeField(Namespace, String, String, String),
    /// The values stay, under other rules; what differs.
    AlterField(Namespace, String, Vec<&'static str>),
    /// The model's own settings; which.
    AlterModel(Namespace, Vec<&'static str>),
}

impl std::fmt::Display for Change {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Change::AddModel(model) => write!(f, "add {model}"),
            Change::DropModel(model) => write!(f, "drop {model}"),
            Change::AddField(model, field) => write!(f, "add {model}.{field}"),
            Change::DropField(model, field) => write!(f, "drop {model}.{field}"),
            Change::RetypeField(model, field, old, new) => write!(f, "replace {model}.{field}: {old} by {new}"),
            Change::AlterField(model, field, what) => write!(f, "alter {model}.{field}: {}", what.join(", ")),
            Change::AlterModel(model, what) => write!(f, "alter {model}: {}", what.join(", ")),
        }
    }
}

/// All changes from one version to the next, model by model.
pub fn changes(old: &[Model], new: &[Model]) -> Vec<Change> {
    let before: HashMap<&Namespace, &Model> = old.iter().map(|model| (&model.namespace, model)).collect();
    let after: HashSet<&Namespace> = new.iter().map(|model| &model.namespace).collect();
    let mut found = Vec::new();
    for model in new {
        match before.get(&model.namespace) {
            None => found.push(Change::AddModel(model.namespace.clone())),
            Some(before) => compare(before, model, &mut found),
        }
    }
    let gone = old.iter().filter(|before| !after.contains(&before.namespace));
    found.extend(gone.map(|before| Change::DropModel(before.namespace.clone())));
    found
}

fn compare(old: &Model, new: &Model, found: &mut Vec<Change>) {
    let model = &new.namespace;
    if old.id != new.id {
        // Every reference to it would point nowhere.
        found.push(Change::DropModel(model.clone()));
        found.push(Change::AddModel(model.clone()));
        return;
    }
    for field in &new.fields {
        match old.fields.iter().find(|before| before.name == field.name) {
            None => found.push(Change::AddField(model.clone(), field.name.clone())),
            Some(before) if !carries_over(before, field) => {
                let change =
                    Change::RetypeField(model.clone(), field.name.clone(), type_name(before), type_name(field));
                found.push(change);
            }
            Some(before) => {
                let what = differences(before, field);
                if !what.is_empty() {
                    found.push(Change::AlterField(model.clone(), field.name.clone(), what));
                }
            }
        }
    }
    for before in old.fields.iter().filter(|before| new.fields.iter().all(|field| field.name != before.name)) {
        found.push(Change::DropField(model.clone(), before.name.clone()));
    }
    let order = |model: &Model| model.fields.iter().map(|field| field.name.clone()).collect::<Vec<_>>();
    let mut kept: (Vec<String>, Vec<String>) = (order(old), order(new));
    kept.0.retain(|name| kept.1.contains(name));
    kept.1.retain(|name| kept.0.contains(name));
    let settings = [
        ("order of fields", kept.0 != kept.1),
        ("versioned", old.versioned != new.versioned),
        ("unique_together", old.unique_together != new.unique_together),
        ("indexes", old.indexes != new.indexes),
        ("ordering", old.ordering != new.ordering),
        ("search", old.search != new.search),
    ];
    let what = named(settings);
    if !what.is_empty() {
        found.push(Change::AlterModel(model.clone(), what));
    }
}

fn named<const N: usize>(differences: [(&'static str, bool); N]) -> Vec<&'static str> {
    differences.into_iter().filter(|(_, differs)| *differs).map(|(name, _)| name).collect()
}

fn differences(old: &Field, new: &Field) -> Vec<&'static str> {
    let references = |field: &Field| match &field.kind {
        Kind::Ref(reference) | Kind::Refs(reference) => Some((reference.on_delete, reference.related_name.clone())),
        Kind::Plain(_) => None,
    };
    named([
        ("type", type_name(old) != type_name(new)),
        ("null", old.null != new.null),
        ("default", old.default != new.default),
        ("unique", old.unique != new.unique),
        ("index", old.index != new.index),
        ("choices", old.choices != new.choices),
        ("min", old.min != new.min),
        ("max", old.max != new.max),
        ("min_length", old.min_length != new.min_length),
        ("max_length", old.max_length != new.max_length),
        ("pattern", old.pattern != new.pattern),
        ("auto_now", old.clock != new.clock),
        (
            "on_delete",
            references(old).map(|(on_delete, _)| on_delete) != references(new).map(|(on_delete, _)| on_delete),
        ),
        ("related_name", references(old).map(|(_, name)| name) != references(new).map(|(_, name)| name)),
        ("help", old.help != new.help),
    ])
}

fn type_name(field: &Field) -> String {
    match &field.kind {
        Kind::Plain(Type::Decimal { digits, places }) => format!("decimal({digits},{places})"),
        Kind::Plain(kind) => kind.name().to_owned(),
        Kind::Ref(reference) => format!("ref to {}", reference.to),
        Kind::Refs(reference) => format!("refs to {}", reference.to),
    }
}

/// Whether every stored value of the old field is, as it is stored, a value of the new one's type.
pub fn carries_over(old: &Field, new: &Field) -> bool {
    match (&old.kind, &new.kind) {
        (Kind::Plain(old), Kind::Plain(new)) => match (old, new) {
            (Type::Decimal { places: old, .. }, Type::Decimal { places: new, .. }) => old == new,
            (Type::String | Type::Text, Type::String | Type::Text) => true,
            (Type::Uuid | Type::Date | Type::Time | Type::Datetime, Type::String | Type::Text) => true,
            (old, new) => old == new,
        },
        (Kind::Ref(old), Kind::Ref(new)) | (Kind::Refs(old), Kind::Refs(new)) => old.to == new.to && old.id == new.id,
        _ => false,
    }
}
