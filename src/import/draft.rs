//! A model in the making: the fields that come of a table, how they are written in a `models.json`, and from where their values
//! are read.

use super::census::Census;
use super::schema::Table;
use crate::access::Namespace;
use crate::json::{Json, number, object};
use crate::model::OnDelete;
use crate::value::Type;
use std::collections::BTreeSet;

/// A table that becomes a model.
pub struct Taken {
    pub name: String,
    pub namespace: Namespace,
    pub rows: u64,
    /// What its row ids are called.
    pub rowid: Option<&'static str>,
    /// The columns of its primary key.
    pub key: Vec<String>,
    /// Whether its records have new ids: their numbers in the order of the table.
    pub is_numbered: bool,
    /// The highest id that it ever gave, where it gives none again.
    pub last_id: Option<i64>,
    pub reads: Vec<Read>,
}

/// A value that is read.
pub struct Read {
    /// The column that it is in; several where together they stand for an id.
    pub columns: Vec<String>,
    /// The field that it is for, or `id`.
    pub field: String,
    pub kind: Type,
    /// Where the id is found that stands for it, if it is none itself.
    pub found_in: Option<Lookup>,
}

/// Where a record's id is found by other values.
#[derive(Clone)]
pub struct Lookup {
    pub table: String,
    /// What it is found by, and how that is compared.
    pub columns: Vec<(String, &'static str)>,
    /// The column of the ids; `None` where they are the numbers of the rows.
    pub id: Option<String>,
}

/// What a record's id is.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Id {
    /// The value of this column, of this type.
    Kept(usize, Type),
    New,
}

impl Id {
    pub fn kind(self) -> Type {
        if let Id::Kept(_, kind) = self { kind } else { Type::Integer }
    }
}

/// A table on its way to a model; of each column the field, if there is one.
pub(super) struct Draft<'s> {
    pub table: &'s Table,
    pub namespace: Namespace,
    pub census: &'s Census,
    pub id: Id,
    pub fields: Vec<Option<Field>>,
    pub several: Vec<Several>,
    pub unique_together: Vec<Vec<String>>,
    pub indexes: Vec<Vec<String>>,
}

/// A reference of several columns, and its field.
pub(super) struct Several {
    pub columns: Vec<usize>,
    pub field: Field,
}

pub(super) struct Field {
    pub name: String,
    pub kind: Kind,
    pub null: bool,
    pub unique: bool,
    pub index: bool,
    pub default: Option<Json>,
    pub choices: Vec<Json>,
}

pub(super) enum Kind {
    Plain { kind: Type, max_length: Option<u64> },
    Ref { to: usize, id: Type, on_delete: OnDelete, related_name: Option<String>, found_in: Option<Lookup> },
}

impl Draft<'_> {
    /// All names that a request may use for its fields.
    pub fn names(&self) -> BTreeSet<String> {
        let second = |field: &Field| field.kind.is_reference().then(|| format!("{}_id", field.name));
        self.all_fields().flat_map(|field| std::iter::once(field.name.clone()).chain(second(field))).collect()
    }

    fn all_fields(&self) -> impl Iterator<Item = &Field> {
        self.fields.iter().flatten().chain(self.several.iter().map(|several| &several.field))
    }

    /// The name of a column in lists of fields; `None` where it is not taken over.
    pub fn listed(&self, column: usize) -> Option<&str> {
        match &self.fields[column] {
            Some(field) => Some(&field.name),
            None if self.is_id(column) => Some("id"),
            None => None,
        }
    }

    pub fn is_id(&self, column: usize) -> bool {
        matches!(self.id, Id::Kept(key, _) if key == column)
    }

    /// As it stands in a `models.json`.
    pub fn model(&self, all: &[Draft<'_>]) -> Json {
        let fields = self.all_fields().map(|field| (field.name.as_str().into(), field.json(all))).collect();
        let mut members = Vec::new();
        if matches!(self.id, Id::Kept(_, Type::Uuid)) {
            members.push(("id", object(vec![("type", "uuid".into())])));
        }
        members.push(("fields", Json::Object(fields)));
        let list = |names: &Vec<String>| Json::List(names.iter().map(|name| name.as_str().into()).collect());
        for (key, lists) in [("unique_together", &self.unique_together), ("indexes", &self.indexes)] {
            members.extend((!lists.is_empty()).then(|| (key, Json::List(lists.iter().map(list).collect()))));
        }
        object(members)
    }

    /// What is read of the table.
    pub fn taken(&self) -> Taken {
        let names = |places: &[usize]| places.iter().map(|place| self.table.columns[*place].name.clone()).collect();
        let read = |places: &[usize], field: &Field| {
            let (kind, found_in) = match &field.kind {
                Kind::Plain { kind, .. } => (*kind, None),
                Kind::Ref { id, found_in, .. } => (*id, found_in.clone()),
            };
            Read { columns: names(places), field: field.name.clone(), kind, found_in }
        };
        let mut reads = Vec::new();
        if let Id::Kept(key, kind) = self.id {
            reads.push(Read { columns: names(&[key]), field: "id".into(), kind, found_in: None });
        }
        let own = self.fields.iter().enumerate();
        reads.extend(own.filter_map(|(place, field)| Some(read(&[place], field.as_ref()?))));
        reads.extend(self.several.iter().map(|several| read(&several.columns, &several.field)));
        Taken {
            name: self.table.name.clone(),
            namespace: self.namespace.clone(),
            rows: self.census.rows,
            rowid: self.table.rowid,
            key: names(&self.table.key),
            is_numbered: self.id == Id::New,
            last_id: self.table.last_id.filter(|_| matches!(self.id, Id::Kept(_, Type::Integer))),
            reads,
        }
    }
}

impl Kind {
    pub fn is_reference(&self) -> bool {
        matches!(self, Kind::Ref { .. })
    }
}

impl Field {
    /// A field without rules.
    pub fn of(name: String, kind: Kind, null: bool) -> Field {
        Field { name, kind, null, unique: false, index: false, default: None, choices: Vec::new() }
    }

    fn json(&self, all: &[Draft<'_>]) -> Json {
        let mut members: Vec<(&str, Json)> = Vec::new();
        match &self.kind {
            Kind::Plain { kind, max_length } => {
                members.push(("type", kind.name().into()));
                if let Type::Decimal { digits, places } = kind {
                    members.push(("max_digits", Json::Integer(i64::from(*digits))));
                    members.push(("decimal_places", Json::Integer(i64::from(*places))));
                }
                members.extend(max_length.map(|most| ("max_length", number(most))));
            }
            Kind::Ref { to, on_delete, related_name, .. } => {
                members.push(("type", "ref".into()));
                members.push(("to", all[*to].namespace.as_str().into()));
                let name =
                    OnDelete::ALL.iter().find(|(_, rule)| rule == on_delete).map_or("restrict", |(name, _)| name);
                members.push(("on_delete", name.into()));
                members.extend(related_name.as_deref().map(|name| ("related_name", name.into())));
            }
        }
        for (key, flag) in [("null", self.null), ("unique", self.unique), ("index", self.index)] {
            members.extend(flag.then_some((key, Json::Boolean(true))));
        }
        members.extend(self.default.clone().map(|default| ("default", default)));
        members.extend((!self.choices.is_empty()).then(|| ("choices", Json::List(self.choices.clone()))));
        object(members)
    }
}
