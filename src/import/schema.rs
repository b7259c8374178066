//! What is in a file of another program: its tables with their columns, keys and rules, and what else there is by name.

use super::clauses::{self, Check};
use crate::plan::load::IDS;
use crate::sql::Statement;
use crate::store::foreign::Foreign;
use crate::store::{Failure, Stored};
use crate::value::Scalar;
use std::collections::BTreeMap;

/// All that is in a file.
pub struct Schema {
    pub tables: Vec<Table>,
    pub others: Vec<Other>,
}

/// What is no table that holds records.
pub struct Other {
    /// Such as `view`.
    pub kind: String,
    pub name: String,
    /// The table that it belongs to.
    pub table: String,
}

pub struct Table {
    pub name: String,
    pub columns: Vec<Column>,
    /// The places of the columns of the primary key, in its order.
    pub key: Vec<usize>,
    /// The index that it has, unless it is the row id.
    pub key_index: Option<Index>,
    pub indexes: Vec<Index>,
    pub references: Vec<Reference>,
    pub checks: Vec<Check>,
    /// Rules that no model has: as they are written, and what holds instead.
    pub strange: Vec<(String, &'static str)>,
    /// The highest row id that it ever gave, where it gives none again: `AUTOINCREMENT`.
    pub last_id: Option<i64>,
    /// What its row ids are called; `None` where it has none.
    pub rowid: Option<&'static str>,
}

pub struct Column {
    pub name: String,
    /// Its type, as it was written.
    pub declared: String,
    pub not_null: bool,
    /// As it was written.
    pub default: Option<String>,
    pub collation: String,
    pub is_generated: bool,
}

pub struct Index {
    pub name: String,
    pub is_unique: bool,
    pub is_partial: bool,
    /// `None` stands for something that is reckoned.
    pub columns: Vec<Option<Indexed>>,
}

pub struct Indexed {
    pub column: usize,
    pub is_descending: bool,
    pub collation: String,
}

pub struct Reference {
    pub columns: Vec<usize>,
    pub table: String,
    /// The columns that it refers to; none where those of the primary key are meant.
    pub to: Vec<String>,
    pub on_delete: String,
    pub on_update: String,
}

/// SQLite's own modules, and the tables in which each keeps what it has, behind the name of the virtual table. That SQLite says it
/// of itself, in `pragma_table_list`, is of no use: that opens every virtual table, and does not know modules that are left out.
const SHADOWS: [(&str, &[&str]); 6] = [
    ("fts3", &["content", "segments", "segdir", "docsize", "stat"]),
    ("fts4", &["content", "segments", "segdir", "docsize", "stat"]),
    ("fts5", &["content", "data", "idx", "docsize", "config"]),
    ("rtree", &["node", "rowid", "parent"]),
    ("rtree_i32", &["node", "rowid", "parent"]),
    ("geopoly", &["node", "rowid", "parent"]),
];

/// The orders of texts that every SQLite knows.
pub(super) const COLLATIONS: [&str; 3] = ["BINARY", "NOCASE", "RTRIM"];

impl Table {
    /// The order of its key where SQLite does not know it. A table without row ids cannot be read then.
    fn strange_order(&self) -> Option<&str> {
        let mut orders =
            self.key_index.iter().flat_map(|index| &index.columns).flatten().map(|part| part.collation.as_str());
        orders.find(|order| !COLLATIONS.contains(order))
    }

    /// The place of a column. SQLite minds no case in names.
    pub fn column(&self, name: &str) -> Option<usize> {
        self.columns.iter().position(|column| column.name.eq_ignore_ascii_case(name))
    }

    /// The column that is the primary key all by itself.
    pub fn only_key(&self) -> Option<usize> {
        if let [key] = self.key.as_slice() { Some(*key) } else { None }
    }

    /// Whether no two rows have the same values in these columns, by the table's own rules, and compared as the columns are:
    /// those that an index by another order tells apart may be the same to the column.
    pub fn is_unique(&self, columns: &[usize]) -> bool {
        let is_same = |key: &[usize]| key.len() == columns.len() && key.iter().all(|column| columns.contains(column));
        let own = |part: &Option<Indexed>| {
            let part = part.as_ref()?;
            (part.collation == self.columns[part.column].collation).then_some(part.column)
        };
        let of_index = |index: &Index| {
            let key: Option<Vec<usize>> = index.columns.iter().map(own).collect();
            index.is_unique && !index.is_partial && key.is_some_and(|key| is_same(&key))
        };
        let is_rowid = self.key_index.is_none() && is_same(&self.key);
        is_rowid || self.key_index.iter().chain(&self.indexes).any(of_index)
    }
}

impl Column {
    /// Its name as people are shown it. It may be empty.
    pub fn shown(&self) -> &str {
        if self.name.is_empty() { "\"\"" } else { &self.name }
    }
}

impl Schema {
    /// The place of a table.
    pub fn table(&self, name: &str) -> Option<usize> {
        self.tables.iter().position(|table| table.name.eq_ignore_ascii_case(name))
    }
}

/// Reads what is in a file.
///
/// # Errors
/// It cannot be read.
pub fn read(file: &Foreign) -> Result<Schema, String> {
    let unreadable = |failure| file.described(&failure);
    match strange_name(file).map_err(unreadable)? {
        Some(name) => Err(file.refused(&format!("the name of {name}, or one in it, is not UTF-8"))),
        None => all(file).map_err(unreadable),
    }
}

/// The first name of what is called, or was written, in something that is no UTF-8.
fn strange_name(file: &Foreign) -> Result<Option<String>, Failure> {
    let written = r#"SELECT "name", "sql" FROM main."sqlite_schema" ORDER BY rowid"#;
    let mut found = None;
    file.session.each(&Statement::fixed(written, []), |cells| {
        let is_strange = |cell: Stored<'_>| matches!(cell, Stored::Text(text) if std::str::from_utf8(text).is_err());
        if let Stored::Text(name) = cells.stored(0)
            && found.is_none()
            && (is_strange(cells.stored(0)) || is_strange(cells.stored(1)))
        {
            found = Some(String::from_utf8_lossy(name).into_owned());
        }
    })?;
    Ok(found)
}

fn all(file: &Foreign) -> Result<Schema, Failure> {
    let all = r#"SELECT "type", "name", "tbl_name", coalesce("sql", ''), "rootpage" FROM main."sqlite_schema" ORDER BY rowid"#;
    let rows = file.session.rows(&Statement::fixed(all, []))?;
    let mut schema = Schema { tables: Vec::new(), others: Vec::new() };
    let is_virtual = |row: &[Scalar]| row[0].text() == Some("table") && row[4].integer().unwrap_or(0) == 0;
    let module = |row: &[Scalar]| Some((row[1].text()?.to_ascii_lowercase(), clauses::module(row[3].text()?)?));
    let modules: Vec<(String, String)> = rows.iter().filter(|row| is_virtual(row)).filter_map(module).collect();
    let is_sequence = |row: &[Scalar]| row[1].text() == Some("sqlite_sequence") && row[0].text() == Some("table");
    let counts = rows.iter().any(|row| is_sequence(row) && !is_virtual(row));
    for row in rows.iter() {
        let [Scalar::Text(kind), Scalar::Text(name), Scalar::Text(table), Scalar::Text(sql), _] = row else { continue };
        let mut other =
            |kind: &str| schema.others.push(Other { kind: kind.to_owned(), name: name.clone(), table: table.clone() });
        match kind.as_str() {
            "view" => other("view"),
            "trigger" => other("trigger"),
            "table" if is_virtual(row) => other("virtual table"),
            "table" if modules.iter().any(|(table, module)| is_shadow(table, module, name)) => {
                other("table of a virtual table")
            }
            "table" if !name.to_ascii_lowercase().starts_with("sqlite_") => {
                let mut table = self::table(file, name, sql)?;
                table.last_id = if counts { last_id(file, name)? } else { None };
                match table.strange_order().filter(|_| clauses::is_without_rowid(sql)) {
                    Some(order) => {
                        other(&format!("table whose rows are in the order {order}, which only its program knows"))
                    }
                    None => schema.tables.push(table),
                }
            }
            _ => {}
        }
    }
    Ok(schema)
}

/// Whether a table is one of those of a virtual table, which has a module and is written in small letters.
fn is_shadow(of: &str, module: &str, table: &str) -> bool {
    let table = table.to_ascii_lowercase();
    let Some(ending) = table.strip_prefix(of).and_then(|rest| rest.strip_prefix('_')) else { return false };
    SHADOWS.iter().any(|(known, endings)| module.eq_ignore_ascii_case(known) && endings.contains(&ending))
}

fn table(file: &Foreign, name: &str, sql: &str) -> Result<Table, Failure> {
    let of_table = || [Scalar::Text(name.to_owned())];
    let columns = r#"SELECT "name", "type", "notnull", "dflt_value", "pk", "hidden" FROM pragma_table_xinfo(?1, 'main') ORDER BY "cid""#;
    let (mut columns_found, mut key) = (Vec::new(), BTreeMap::new());
    for row in file.session.rows(&Statement::fixed(columns, of_table()))?.iter() {
        let [Scalar::Text(column), declared, not_null, default, in_key, hidden] = row else { continue };
        if let Some(place @ 1..) = in_key.integer() {
            key.insert(place, columns_found.len());
        }
        columns_found.push(Column {
            name: column.clone(),
            declared: declared.text().unwrap_or_default().to_owned(),
            not_null: *not_null == Scalar::Integer(1),
            default: default.text().map(str::to_owned),
            collation: file.collation(name, column)?,
            is_generated: *hidden != Scalar::Integer(0),
        });
    }
    let names = ["rowid", "_rowid_", "oid"];
    let is_free = |name: &&str| columns_found.iter().all(|column| !column.name.eq_ignore_ascii_case(name));
    let rowid = names.into_iter().find(is_free).filter(|_| !clauses::is_without_rowid(sql));
    let mut table = Table {
        name: name.to_owned(),
        columns: columns_found,
        key: key.into_values().collect(),
        key_index: indexes(file, name, true)?.pop(),
        indexes: indexes(file, name, false)?,
        references: Vec::new(),
        checks: clauses::checks(sql),
        strange: clauses::strange(sql),
        last_id: None,
        rowid,
    };
    table.references = references(file, &table)?;
    Ok(table)
}

/// What SQLite notes of a table with `AUTOINCREMENT`.
fn last_id(file: &Foreign, table: &str) -> Result<Option<i64>, Failure> {
    let last = r#"SELECT "seq" FROM main."sqlite_sequence" WHERE "name" = ?1"#;
    let last = file.session.number(&Statement::fixed(last, [Scalar::Text(table.to_owned())]))?;
    Ok(Some(last).filter(|last| IDS.contains(last)))
}

/// The indexes of a table: that of its primary key, or the others.
fn indexes(file: &Foreign, table: &str, of_key: bool) -> Result<Vec<Index>, Failure> {
    let all = r#"SELECT "name", "unique", "partial" FROM pragma_index_list(?1, 'main') WHERE ("origin" = 'pk') = ?2 ORDER BY "seq" DESC"#;
    let wanted = [Scalar::Text(table.to_owned()), Scalar::Integer(i64::from(of_key))];
    let columns =
        r#"SELECT "cid", "desc", "coll" FROM pragma_index_xinfo(?1, 'main') WHERE "key" = 1 ORDER BY "seqno""#;
    let mut found = Vec::new();
    for row in file.session.rows(&Statement::fixed(all, wanted))?.iter() {
        let [Scalar::Text(name), is_unique, is_partial] = row else { continue };
        let parts = file.session.rows(&Statement::fixed(columns, [Scalar::Text(name.clone())]))?;
        let part = |row: &[Scalar]| {
            let column = usize::try_from(row[0].integer().unwrap_or(-1)).ok()?;
            let collation = row[2].text().unwrap_or_default().to_uppercase();
            Some(Indexed { column, is_descending: row[1] == Scalar::Integer(1), collation })
        };
        found.push(Index {
            name: name.clone(),
            is_unique: *is_unique == Scalar::Integer(1),
            is_partial: *is_partial == Scalar::Integer(1),
            columns: parts.iter().map(part).collect(),
        });
    }
    Ok(found)
}

fn references(file: &Foreign, table: &Table) -> Result<Vec<Reference>, Failure> {
    let all = r#"SELECT "id", "table", "from", "to", "on_delete", "on_update" FROM pragma_foreign_key_list(?1, 'main') ORDER BY "id" DESC, "seq""#;
    let mut found: Vec<(i64, Reference)> = Vec::new();
    for row in file.session.rows(&Statement::fixed(all, [Scalar::Text(table.name.clone())]))?.iter() {
        let [Scalar::Integer(id), Scalar::Text(to_table), Scalar::Text(from), to, on_delete, on_update] = row else {
            continue;
        };
        if found.last().is_none_or(|(last, _)| last != id) {
            let rule = |rule: &Scalar| rule.text().unwrap_or_default().to_ascii_uppercase();
            let (table, on_delete, on_update) = (to_table.clone(), rule(on_delete), rule(on_update));
            found.push((*id, Reference { columns: Vec::new(), table, to: Vec::new(), on_delete, on_update }));
        }
        if let Some((_, reference)) = found.last_mut() {
            reference.columns.extend(table.column(from));
            reference.to.extend(to.text().map(str::to_owned));
        }
    }
    Ok(found.into_iter().map(|(_, reference)| reference).collect())
}
