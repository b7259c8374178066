//! Models: what records look like, how they relate, and the catalogue of all of them.
//!
//! [`parse`] reads `models.json`, [`diff`] compares two versions of it, [`check`] holds a value against a field's rules,
//! [`system`] has the server's own models. Nothing here knows SQL; the
//! names of tables and columns are those of the models.

pub mod check;
pub mod diff;
pub mod parse;
pub mod system;

use crate::access::{Action, Namespace, Permission, Permissions, SYSTEM};
use crate::intent::Intent;
use crate::value::regex::Regex;
use crate::value::{Scalar, Type};
use smol_str::SmolStr;
use std::collections::BTreeMap;
use std::sync::Arc;

/// One model: the records of one table.
#[derive(Clone, Debug, PartialEq)]
pub struct Model {
    pub namespace: Namespace,
    /// The type of `id`: an integer that is never reused, or a UUID.
    pub id: Type,
    /// What may be done with it, where that is not everything.
    pub intents: Option<&'static [Intent]>,
    /// Whether its records are groups of others, which have no id.
    pub is_groups: bool,
    /// Whether its records have a version, which each update raises.
    pub versioned: bool,
    pub fields: Vec<Arc<Field>>,
    pub unique_together: Vec<Vec<String>>,
    /// Lists of fields, `-` before a descending one.
    pub indexes: Vec<Vec<String>>,
    /// The order of records where a request names none.
    pub ordering: Vec<String>,
    /// The paths that `search` looks into; `None` stands for all text fields.
    pub search: Option<Vec<String>>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Field {
    pub name: String,
    pub kind: Kind,
    pub null: bool,
    pub default: Option<Scalar>,
    pub unique: bool,
    pub index: bool,
    pub choices: Vec<Scalar>,
    pub min: Option<Scalar>,
    pub max: Option<Scalar>,
    /// In characters.
    pub min_length: Option<u64>,
    pub max_length: Option<u64>,
    /// Values must match it somewhere, as Django's `RegexValidator` has it.
    pub pattern: Option<Regex>,
    pub clock: Option<Clock>,
    /// What its text must be, beyond a pattern.
    pub form: Option<Form>,
    pub help: Option<String>,
}

/// The form of a text of the server's own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// Something that a person reads on one line.
    Name,
    Permissions,
    Networks,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Kind {
    Plain(Type),
    /// The id of a record of another model.
    Ref(Reference),
    /// Any number of ids, kept in a table of their own.
    Refs(Reference),
}

#[derive(Clone, Debug, PartialEq)]
pub struct Reference {
    pub to: Namespace,
    /// The type of the target's id.
    pub id: Type,
    pub on_delete: OnDelete,
    /// The name under which the target's records find back.
    pub related_name: String,
}

/// What becomes of a record when the one that it refers to is deleted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnDelete {
    Restrict,
    Cascade,
    SetNull,
}

impl OnDelete {
    /// Every one, with its name in `models.json`.
    pub const ALL: [(&'static str, OnDelete); 3] =
        [("restrict", OnDelete::Restrict), ("cascade", OnDelete::Cascade), ("set_null", OnDelete::SetNull)];
}

/// The field of a versioned model that tells how often a record was written.
pub const VERSION: &str = "version";

/// When the server sets a field by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Clock {
    /// One more with each update: `version`.
    Counting,
    /// When something else happens than a write to the record.
    Kept,
    /// `auto_now_add`
    OnCreate,
    /// `auto_now`
    OnWrite,
}

/// A `models.json`: the models that it defines, and its text, which is kept as it was written.
#[derive(Clone, Debug, PartialEq)]
pub struct Definition {
    pub models: Vec<Model>,
    pub text: String,
}

/// A column of a model's table: a plain field, the id in a reference, or `id` itself.
#[derive(Clone, Debug, PartialEq)]
pub struct Column {
    pub name: SmolStr,
    pub kind: Type,
    /// Whether it may hold NULL.
    pub null: bool,
}

impl Field {
    /// A field without rules.
    pub fn plain(name: &str, kind: Type) -> Field {
        Field {
            name: name.to_owned(),
            kind: Kind::Plain(kind),
            null: true,
            default: None,
            unique: false,
            index: false,
            choices: Vec::new(),
            min: None,
            max: None,
            min_length: None,
            max_length: None,
            pattern: None,
            clock: None,
            form: None,
            help: None,
        }
    }

    /// The column that keeps this field; `refs` have none.
    pub fn column(&self) -> Option<Column> {
        match &self.kind {
            Kind::Plain(kind) => Some(Column { name: (&self.name).into(), kind: *kind, null: self.null }),
            Kind::Ref(reference) => Some(Column { name: (&self.name).into(), kind: reference.id, null: self.null }),
            Kind::Refs(_) => None,
        }
    }

    /// Whether a record can be made without naming it.
    pub fn is_optional(&self) -> bool {
        self.null || self.default.is_some() || self.clock.is_some() || matches!(self.kind, Kind::Refs(_))
    }
}

impl Kind {
    /// The type of a value, or of each where there are several; and where it leads.
    pub fn of_value(&self) -> (Type, Option<&Reference>) {
        match self {
            Kind::Plain(kind) => (*kind, None),
            Kind::Ref(reference) | Kind::Refs(reference) => (reference.id, Some(reference)),
        }
    }
}

impl Model {
    /// What can be done to it.
    pub fn actions(&self) -> impl Iterator<Item = Action> {
        let can = |action: &Action| {
            self.intents.is_none_or(|intents| intents.iter().any(|intent| intent.rule().actions.contains(action)))
        };
        Action::ALL.into_iter().filter(can)
    }

    /// The id as a column. `pk` is another name for it.
    pub fn id_column(&self) -> Column {
        Column { name: SmolStr::new_static("id"), kind: self.id, null: false }
    }

    /// The field of that name. `<reference>_id` is Django's other name for a reference's own value.
    pub fn field(&self, name: &str) -> Option<&Arc<Field>> {
        let named = |name: &str| self.fields.iter().find(|field| field.name == name);
        named(name).or_else(|| {
            let field = named(name.strip_suffix("_id")?)?;
            matches!(field.kind, Kind::Ref(_)).then_some(field)
        })
    }

    /// The column of that name: `id`, `pk`, or a field that has one.
    pub fn column(&self, name: &str) -> Option<Column> {
        match name {
            "id" | "pk" if !self.is_groups => Some(self.id_column()),
            _ => self.field(name)?.column(),
        }
    }

    /// All columns in the order of definition, `id` first.
    pub fn columns(&self) -> Vec<Column> {
        let id = (!self.is_groups).then(|| self.id_column());
        id.into_iter().chain(self.fields.iter().filter_map(|field| field.column())).collect()
    }

    /// The lists of fields in which no two records agree: the id first.
    pub fn unique_keys(&self) -> impl Iterator<Item = Vec<&str>> {
        let own = self.fields.iter().filter(|field| field.unique).map(|field| vec![field.name.as_str()]);
        let together = self.unique_together.iter().map(|list| list.iter().map(String::as_str).collect());
        std::iter::once(vec!["id"]).chain(own).chain(together)
    }

    /// The columns of each index, that of the id aside.
    pub fn all_indexes(&self) -> impl Iterator<Item = Vec<&str>> {
        let own = self.fields.iter().filter(|field| field.index || field.unique || matches!(field.kind, Kind::Ref(_)));
        let lists = self.indexes.iter().chain(&self.unique_together);
        let lists = lists.map(|list| list.iter().map(|name| name.strip_prefix('-').unwrap_or(name)).collect());
        own.map(|field| vec![field.name.as_str()]).chain(lists)
    }

    /// The paths that `search` looks into.
    pub fn searched(&self) -> Vec<&str> {
        let text = |field: &&Arc<Field>| matches!(field.kind, Kind::Plain(kind) if kind.is_text());
        match &self.search {
            Some(paths) => paths.iter().map(String::as_str).collect(),
            None => self.fields.iter().filter(text).map(|field| field.name.as_str()).collect(),
        }
    }

    /// The table of a `refs` field.
    pub fn link_table(&self, field: &str) -> String {
        format!("{}.{field}", self.namespace)
    }
}

/// A way from a record to others: a reference, a `refs` field, or the way back from either.
#[derive(Clone, Debug, PartialEq)]
pub struct Relation {
    pub name: String,
    pub target: Namespace,
    pub join: Join,
}

/// How the records of a relation are found.
#[derive(Clone, Debug, PartialEq)]
pub enum Join {
    /// This record's `column` holds the other's id.
    Reference { column: String },
    /// The others' `column` holds this record's id.
    Reverse { column: String, on_delete: OnDelete },
    /// `table` holds pairs of ids, this record's in `near`, the other's in `far`.
    Links { table: String, near: &'static str, far: &'static str, own: bool },
}

/// The columns of a link table: the record that has the `refs` field, and the one it points to.
pub const SOURCE: &str = "source";
pub const TARGET: &str = "target";

impl Relation {
    /// Whether it leads to any number of records rather than to one at most.
    pub fn is_many(&self) -> bool {
        !matches!(self.join, Join::Reference { .. })
    }

    /// Whether the ids it leads to are part of the record itself, so that they can be had without
    /// leave to read the other model.
    pub fn is_own(&self) -> bool {
        matches!(self.join, Join::Reference { .. } | Join::Links { own: true, .. })
    }

    /// The field of the others that a way back comes from.
    pub fn field_back(&self) -> Option<&str> {
        match &self.join {
            Join::Reverse { column, .. } => Some(column),
            Join::Links { table, own: false, .. } => table.rsplit('.').next(),
            Join::Reference { .. } | Join::Links { own: true, .. } => None,
        }
    }
}

/// All models of a database at one version, and how they relate.
#[derive(Debug, PartialEq)]
pub struct Catalogue {
    /// The version of the definitions; 0 before any were applied.
    pub version: i64,
    models: BTreeMap<Namespace, Arc<Model>>,
    /// The server's own.
    own: BTreeMap<Namespace, Arc<Model>>,
    relations: BTreeMap<Namespace, Vec<Arc<Relation>>>,
}

impl Default for Catalogue {
    fn default() -> Catalogue {
        Catalogue::new(0, Vec::new())
    }
}

impl Catalogue {
    pub fn new(version: i64, models: Vec<Model>) -> Catalogue {
        let mut relations: BTreeMap<Namespace, Vec<Arc<Relation>>> = BTreeMap::new();
        for model in &models {
            for (from, relation) in model.fields.iter().flat_map(|field| relations_of(model, field)) {
                relations.entry(from).or_default().push(Arc::new(relation));
            }
        }
        let by_name = |models: Vec<Model>| models.into_iter().map(|model| (model.namespace.clone(), Arc::new(model)));
        let (models, own) = (by_name(models).collect(), by_name(system::models()).collect());
        Catalogue { version, models, own, relations }
    }

    /// The models that are named in permissions and are not there: most often such a name is mistyped.
    pub fn missing<'p>(&self, permissions: &'p Permissions) -> Vec<&'p Namespace> {
        let named = permissions.0.iter().filter_map(Permission::model).filter(|model| model.app() != SYSTEM);
        named.filter(|model| self.model(model).is_none()).collect()
    }

    /// The model of that name, be it one of the server's own.
    pub fn model(&self, namespace: &Namespace) -> Option<&Arc<Model>> {
        self.models.get(namespace).or_else(|| self.own.get(namespace))
    }

    /// All models and the server's own.
    pub fn all(&self) -> impl Iterator<Item = &Arc<Model>> {
        self.models.values().chain(self.own.values())
    }

    /// All models but the server's own, by name.
    pub fn models(&self) -> impl Iterator<Item = &Arc<Model>> {
        self.models.values()
    }

    /// The relation of that name, forward or back.
    pub fn relation(&self, model: &Model, name: &str) -> Option<&Arc<Relation>> {
        self.relations(model).find(|relation| relation.name == name)
    }

    /// All relations of a model, forward and back.
    pub fn relations(&self, model: &Model) -> impl Iterator<Item = &Arc<Relation>> {
        self.relations.get(&model.namespace).into_iter().flatten()
    }

    /// The models whose references point to this one: model, field, what happens on deletion.
    pub fn referrers(&self, model: &Model) -> impl Iterator<Item = (&Namespace, &str, OnDelete)> {
        self.relations(model).filter_map(|relation| match &relation.join {
            Join::Reverse { column, on_delete } => Some((&relation.target, column.as_str(), *on_delete)),
            _ => None,
        })
    }
}

/// The relation that a field makes from its model, and the one back.
fn relations_of(model: &Model, field: &Field) -> Vec<(Namespace, Relation)> {
    let (reference, forward, back) = match &field.kind {
        Kind::Plain(_) => return Vec::new(),
        Kind::Ref(reference) => {
            let column = field.name.clone();
            let back = Join::Reverse { column: column.clone(), on_delete: reference.on_delete };
            (reference, Join::Reference { column }, back)
        }
        Kind::Refs(reference) => {
            let table = model.link_table(&field.name);
            let back = Join::Links { table: table.clone(), near: TARGET, far: SOURCE, own: false };
            (reference, Join::Links { table, near: SOURCE, far: TARGET, own: true }, back)
        }
    };
    let forward = Relation { name: field.name.clone(), target: reference.to.clone(), join: forward };
    let back = Relation { name: reference.related_name.clone(), target: model.namespace.clone(), join: back };
    vec![(model.namespace.clone(), forward), (reference.to.clone(), back)]
}
