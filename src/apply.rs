//! Putting models into force: what a change would lose, and the change itself in one transaction.

use crate::access::Namespace;
use crate::compile::table::{self, Made};
use crate::error::{Problem, so_many};
use crate::json::{Json, Object};
use crate::model::diff::{self, Change, carries_over};
use crate::model::{Catalogue, Clock, Definition, Field, Kind, Model};
use crate::sql::Statement;
use crate::store::{Failure, Session, catalogue_version};
use crate::value::{Scalar, Type, time};
use std::collections::HashMap;
use std::fmt;

/// What applying would do.
#[derive(Debug, Default)]
pub struct Planned {
    pub changes: Vec<Change>,
    /// Stored values that would be gone.
    pub losses: Vec<String>,
    /// What stands against it.
    pub obstacles: Vec<String>,
}

/// Where it is told what stands against a change.
pub const OBSTACLES: &str = "obstacles";

impl Planned {
    /// The members of its JSON.
    pub fn members(&self) -> Object {
        let list = |texts: &[String]| Json::List(texts.iter().map(|text| text.as_str().into()).collect());
        let changes: Vec<String> = self.changes.iter().map(ToString::to_string).collect();
        vec![
            ("changes".into(), list(&changes)),
            ("losses".into(), list(&self.losses)),
            (OBSTACLES.into(), list(&self.obstacles)),
        ]
    }
}

/// Why models were not applied.
#[derive(Debug)]
pub enum Refused {
    /// Values would be lost, and nobody allowed it.
    Loss(Vec<String>),
    /// Stored values do not fit.
    Obstacles(Vec<String>),
    Database(Failure),
}

impl From<Failure> for Refused {
    fn from(failure: Failure) -> Refused {
        Refused::Database(failure)
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Refused::Loss(losses) => write!(f, "this would lose {}", losses.join(", ")),
            Refused::Obstacles(obstacles) => f.write_str(&obstacles.join("\n")),
            Refused::Database(failure) => {
                write!(f, "nothing was changed, because stored records do not fit: {failure}")
            }
        }
    }
}

/// Compares a definition with what is in force.
///
/// # Errors
/// Counting what would be lost failed, or took too long.
pub fn plan(session: &Session, catalogue: &Catalogue, definition: &Definition) -> Result<Planned, Failure> {
    let old: Vec<Model> = catalogue.models().map(|model| (**model).clone()).collect();
    let changes = diff::changes(&old, &definition.models);
    let new = by_name(&definition.models);
    let mut planned = Planned::default();
    for change in &changes {
        session.in_time().map_err(Failure::Other)?;
        weigh(session, catalogue, &new, change, &mut planned)?;
    }
    planned.obstacles.extend(foreign_things(session, catalogue, &definition.models)?);
    planned.changes = changes;
    Ok(planned)
}

/// Puts a definition into force and gives its version; the same one where nothing changed. It takes an open transaction
/// in which references are not checked, unless models are only added; they are checked here in the end.
///
/// # Errors
/// The transaction, or the savepoint, has to be undone then.
pub fn apply(
    session: &Session,
    catalogue: &Catalogue,
    definition: &Definition,
    allow_data_loss: bool,
) -> Result<(i64, Planned), Refused> {
    if catalogue_version(session)? != catalogue.version {
        return Err(Refused::Database(Failure::Other(Problem::Replan)));
    }
    let planned = plan(session, catalogue, definition)?;
    let only_adds = planned.changes.iter().all(|change| matches!(change, Change::AddModel(_)));
    if !only_adds && !session.is_unchecked()? {
        // Records that refer to a table which is rebuilt would go with the old one.
        let cause = "tables cannot be rebuilt while references are checked".into();
        return Err(Refused::Database(Failure::Other(Problem::Fault { cause })));
    }
    if !planned.obstacles.is_empty() {
        return Err(Refused::Obstacles(planned.obstacles));
    }
    if !planned.losses.is_empty() && !allow_data_loss {
        return Err(Refused::Loss(planned.losses));
    }
    if planned.changes.is_empty() && catalogue.version > 0 {
        return Ok((catalogue.version, planned));
    }
    change_tables(session, catalogue, &definition.models)?;
    let row = [Scalar::Text(time::now()), Scalar::Text(definition.text.clone())];
    session.execute(&Statement::fixed(
        r#"INSERT INTO "system.ModelVersion" ("applied", "definition") VALUES (?1, ?2)"#,
        row,
    ))?;
    let version = session.last_id();
    session.check_references()?;
    Ok((version, planned))
}

fn by_name(models: &[Model]) -> HashMap<&Namespace, &Model> {
    models.iter().map(|model| (&model.namespace, model)).collect()
}

/// Counts what a change would lose, and finds what stands against it.
fn weigh(
    session: &Session,
    catalogue: &Catalogue,
    new: &HashMap<&Namespace, &Model>,
    change: &Change,
    planned: &mut Planned,
) -> Result<(), Failure> {
    let table = |model: &Namespace| model.to_string();
    match change {
        Change::DropModel(model) => {
            let records = count_all(session, &table(model))?;
            if records > 0 {
                planned.losses.push(format!("{} of {model}", so_many(records, "record")));
            }
        }
        Change::DropField(model, field) | Change::RetypeField(model, field, ..) => {
            let old = catalogue.model(model).and_then(|model| model.field(field));
            let values = match old.map(|old| &old.kind) {
                Some(Kind::Refs(_)) => count_all(session, &format!("{model}.{field}"))?,
                Some(_) => count(session, &table(model), |statement| {
                    statement.name(field).push(" IS NOT NULL");
                })?,
                None => 0,
            };
            if values > 0 {
                planned.losses.push(format!("{} of {model}.{field}", so_many(values, "value")));
            }
            if !matches!(change, Change::DropField(..)) {
                weigh_new_field(session, new, model, field, planned)?;
            }
        }
        Change::AddField(model, field) => weigh_new_field(session, new, model, field, planned)?,
        Change::AlterField(model, field, what) => {
            let altered = new.get(model).and_then(|model| model.field(field));
            if let Some(altered) = altered {
                planned.obstacles.extend(misfits(session, model, altered, what)?);
            }
        }
        Change::AlterModel(model, what) if what.contains(&"unique_together") => {
            let (old, altered) = (catalogue.model(model), new.get(model));
            for names in altered.into_iter().flat_map(|altered| &altered.unique_together) {
                // What is yet to be made is looked at when it is.
                if old.is_some_and(|old| names.iter().all(|name| old.column(name).is_some())) {
                    planned.obstacles.extend(doubles(session, model, names)?);
                }
            }
        }
        Change::AddModel(_) | Change::AlterModel(..) => {}
    }
    Ok(())
}

/// Records that there are need a value for a new field.
fn weigh_new_field(
    session: &Session,
    new: &HashMap<&Namespace, &Model>,
    model: &Namespace,
    field: &str,
    planned: &mut Planned,
) -> Result<(), Failure> {
    let field_of = |model: &&Model| model.field(field).cloned();
    if new.get(model).and_then(field_of).is_none_or(|field| field.is_optional()) {
        return Ok(());
    }
    let records = count_all(session, &model.to_string())?;
    if records > 0 {
        let (records, have) = (so_many(records, "record"), if records == 1 { "has" } else { "have" });
        planned
            .obstacles
            .push(format!("{records} of {model} {have} no value for {field}: give it a default, or \"null\": true"));
    }
    Ok(())
}

/// Stored values that do not fit a field whose rules are others now; `what` are the options that differ.
fn misfits(session: &Session, model: &Namespace, field: &Field, what: &[&str]) -> Result<Vec<String>, Failure> {
    let kind = match &field.kind {
        Kind::Plain(kind) => *kind,
        Kind::Ref(reference) => reference.id,
        Kind::Refs(_) => return Ok(Vec::new()),
    };
    let mut found = Vec::new();
    if what.contains(&"null") && !field.null {
        let without = count(session, &model.to_string(), |statement| {
            statement.name(&field.name).push(" IS NULL");
        })?;
        if without > 0 {
            let (records, name) = (so_many(without, "record"), &field.name);
            let (have, them) = if without == 1 { ("has", "it") } else { ("have", "them") };
            found.push(format!("{records} of {model} {have} no value for {name}: give {them} one first"));
        }
    }
    for rule in table::rules(field, kind).into_iter().filter(|rule| what.contains(&rule.option)) {
        let broken = count(session, &model.to_string(), |statement| {
            statement.push("NOT (");
            rule.append(statement);
            statement.push(")");
        })?;
        if broken > 0 {
            let (values, does) = (so_many(broken, "value"), if broken == 1 { "does" } else { "do" });
            found.push(format!("{values} of {model}.{} {does} not fit its {}", field.name, rule.option));
        }
    }
    if what.contains(&"unique") && field.unique {
        found.extend(doubles(session, model, std::slice::from_ref(&field.name))?);
    }
    Ok(found)
}

/// Records that have the same values in these columns as others; nulls are not the same as nulls.
fn doubles(session: &Session, model: &Namespace, names: &[String]) -> Result<Option<String>, Failure> {
    let columns = |statement: &mut Statement| {
        statement.list(names, ", ", |statement, name| {
            statement.name(name);
        });
    };
    let same = count(session, &model.to_string(), |statement| {
        statement.push("(");
        columns(statement);
        statement.push(") IN (SELECT ");
        columns(statement);
        statement.push(" FROM ").name(&model.to_string()).push(" GROUP BY ");
        columns(statement);
        statement.push(" HAVING count(*) > 1)");
    })?;
    Ok((same > 0).then(|| format!("{same} records of {model} have the same {} as others", names.join(" and "))))
}

/// The rows of a table for which a condition holds.
fn count(session: &Session, table: &str, holds: impl Fn(&mut Statement)) -> Result<i64, Failure> {
    let mut statement = Statement::default();
    statement.push("SELECT count(*) FROM ").name(table).push(" WHERE ");
    holds(&mut statement);
    session.number(&statement)
}

/// The rows of a table. SQLite has their number at hand where nothing is asked of them.
/// The records of a table.
pub fn count_all(session: &Session, table: &str) -> Result<i64, Failure> {
    let mut statement = Statement::default();
    statement.push("SELECT count(*) FROM ").name(table);
    session.number(&statement)
}

fn change_tables(session: &Session, catalogue: &Catalogue, new: &[Model]) -> Result<(), Failure> {
    let named = by_name(new);
    let kept = |old: &Model| named.get(&old.namespace).copied().filter(|model| model.id == old.id);
    for old in catalogue.models() {
        session.in_time().map_err(Failure::Other)?;
        for link in table::links(old) {
            if kept(old).is_none_or(|model| !table::links(model).contains(&link)) {
                drop_thing(session, "DROP TABLE ", &link.name)?;
            }
        }
        match kept(old) {
            None => drop_thing(session, "DROP TABLE ", old.namespace.as_str())?,
            Some(model) if !same_table(old, model) => rebuild(session, old, model)?,
            Some(_) => {}
        }
    }
    for model in new {
        session.in_time().map_err(Failure::Other)?;
        let name = model.namespace.to_string();
        let old = catalogue.model(&model.namespace).filter(|old| old.id == model.id);
        if old.is_none() {
            session.execute(&table::table(model, &name))?;
        }
        for link in table::links(model) {
            if old.is_none_or(|old| !table::links(old).contains(&link)) {
                session.execute(&link.create)?;
            }
        }
        reindex(session, old.map(|old| &**old), model)?;
    }
    Ok(())
}

fn same_table(old: &Model, new: &Model) -> bool {
    table::table(old, "") == table::table(new, "")
}

fn drop_thing(session: &Session, what: &'static str, name: &str) -> Result<(), Failure> {
    let mut statement = Statement::default();
    statement.push(what).name(name);
    session.execute(&statement).map(drop)
}

/// The way that SQLite's manual describes: a new table, the rows carried over, the old name.
fn rebuild(session: &Session, old: &Model, new: &Model) -> Result<(), Failure> {
    let name = new.namespace.to_string();
    let building = format!("{name}:new");
    session.execute(&table::table(new, &building))?;
    let carried: Vec<(String, Carried<'_>)> = std::iter::once(("id".into(), Carried::Over("id")))
        .chain(
            new.fields
                .iter()
                .filter(|field| field.column().is_some())
                .map(|field| (field.name.clone(), carried(old, field))),
        )
        .collect();
    let mut copy = Statement::default();
    copy.push("INSERT INTO ").name(&building).push(" (");
    copy.list(&carried, ", ", |statement, (name, _)| {
        statement.name(name);
    })
    .push(") SELECT ");
    copy.list(&carried, ", ", |statement, (_, carried)| match carried {
        Carried::Over(column) => {
            statement.column(crate::sql::Alias(0), column);
        }
        Carried::Filled(value) => {
            statement.value(value.clone());
        }
    });
    copy.push(" FROM ").name(&name).push(" AS t0");
    session.execute(&copy)?;
    let text = |text: &str| Scalar::Text(text.to_owned());
    let last = r#"SELECT "seq" FROM "sqlite_sequence" WHERE "name" = ?1"#;
    let last = session.number(&Statement::fixed(last, [text(&name)]))?;
    drop_thing(session, "DROP TABLE ", &name)?;
    let mut rename = Statement::default();
    rename.push("ALTER TABLE ").name(&building).push(" RENAME TO ").name(&name);
    session.execute(&rename)?;
    if last > 0 { keep_taken(session, &name, last) } else { Ok(()) }
}

/// Has new records of a table get ids behind this one at least: those of records that are gone stay taken.
///
/// # Errors
/// The database cannot be written to.
pub fn keep_taken(session: &Session, table: &str, last: i64) -> Result<(), Failure> {
    let name = || Scalar::Text(table.to_owned());
    let there = Statement::fixed(r#"SELECT "seq" FROM "sqlite_sequence" WHERE "name" = ?1"#, [name()]);
    let last = session.number(&there)?.max(last);
    session.execute(&Statement::fixed(r#"DELETE FROM "sqlite_sequence" WHERE "name" = ?1"#, [name()]))?;
    let keep = r#"INSERT INTO "sqlite_sequence" ("name", "seq") VALUES (?1, ?2)"#;
    session.execute(&Statement::fixed(keep, [name(), Scalar::Integer(last)]))?;
    Ok(())
}

/// What a column of a rebuilt table holds.
enum Carried<'m> {
    Over(&'m str),
    Filled(Scalar),
}

fn carried<'m>(old: &'m Model, new: &Field) -> Carried<'m> {
    if let Some(before) = old.fields.iter().find(|before| before.name == new.name && carries_over(before, new)) {
        return Carried::Over(&before.name);
    }
    let now = time::now();
    Carried::Filled(match (&new.default, new.clock, &new.kind) {
        (_, Some(Clock::OnCreate | Clock::OnWrite), Kind::Plain(Type::Date)) => Scalar::Text(now[..10].to_owned()),
        (_, Some(Clock::OnCreate | Clock::OnWrite), Kind::Plain(Type::Time)) => Scalar::Text(now[11..26].to_owned()),
        (_, Some(Clock::OnCreate | Clock::OnWrite), _) => Scalar::Text(now),
        (Some(default), ..) => default.clone(),
        (None, ..) => Scalar::Null,
    })
}

/// Makes the indexes that are missing and drops those that are not wanted any more. Which there are is asked
/// of the database: those of a table that was dropped or rebuilt went with it.
fn reindex(session: &Session, old: Option<&Model>, new: &Model) -> Result<(), Failure> {
    let wanted = table::indexes(new);
    for index in old.map(table::indexes).unwrap_or_default() {
        if !wanted.contains(&index) && is_there(session, &index.name)? {
            drop_thing(session, "DROP INDEX ", &index.name)?;
        }
    }
    for index in &wanted {
        session.in_time().map_err(Failure::Other)?;
        if !is_there(session, &index.name)? {
            session.execute(&index.create)?;
        }
    }
    Ok(())
}

fn is_there(session: &Session, name: &str) -> Result<bool, Failure> {
    let statement = r#"SELECT count(*) FROM "sqlite_schema" WHERE "name" = ?1"#;
    Ok(session.number(&Statement::fixed(statement, [Scalar::Text(name.to_owned())]))? > 0)
}

/// What another tool put into the file: triggers and indexes on the tables that would be rebuilt, and that would go with
/// them; tables in the place of new ones.
fn foreign_things(session: &Session, catalogue: &Catalogue, new: &[Model]) -> Result<Vec<String>, Failure> {
    let mut found = Vec::new();
    for model in new {
        session.in_time().map_err(Failure::Other)?;
        let name = model.namespace.to_string();
        let Some(old) = catalogue.model(&model.namespace) else {
            if is_there(session, &name)? {
                found.push(format!("there is a table {name} already, which is not jqlite's: rename it"));
            }
            continue;
        };
        if same_table(old, model) {
            continue;
        }
        let ours = table::indexes(old);
        let statement = r#"SELECT "type", "name" FROM "sqlite_schema"
            WHERE "tbl_name" = ?1 AND "type" IN ('trigger', 'index') AND "sql" IS NOT NULL"#;
        let rows = session.rows(&Statement::fixed(statement, [Scalar::Text(name)]))?;
        for row in rows.iter().filter(|row| ours.iter().all(|made| Scalar::Text(made.name.clone()) != row[1])) {
            let why = "is not jqlite's and would go with the table: drop it, and make it again afterwards";
            found.push(format!("the {} {} on {} {why}", row[0], row[1], model.namespace));
        }
    }
    Ok(found)
}

/// What the definition in force looks like, as it was written.
pub fn definition(session: &Session, version: i64) -> Result<Option<String>, Failure> {
    let statement = r#"SELECT "definition" FROM "system.ModelVersion" WHERE "id" = ?1"#;
    let rows = session.rows(&Statement::fixed(statement, [Scalar::Integer(version)]))?;
    Ok(rows.cells.into_iter().next().map(|cell| cell.to_string()))
}

/// All versions: number, moment, and the size of their definition.
pub fn history(session: &Session) -> Result<Vec<Vec<Scalar>>, Failure> {
    let statement = r#"SELECT "id", "applied", length("definition") FROM "system.ModelVersion" ORDER BY "id""#;
    Ok(session.rows(&Statement::fixed(statement, []))?.iter().map(<[Scalar]>::to_vec).collect())
}

/// Differences between the tables that there are and those that the models in force call for.
pub fn check(session: &Session, catalogue: &Catalogue) -> Result<Vec<String>, Failure> {
    let mut wanted = Vec::new();
    for model in catalogue.models() {
        let name = model.namespace.to_string();
        wanted.push(Made { create: table::table(model, &name), name });
        wanted.extend(table::links(model));
        wanted.extend(table::indexes(model));
    }
    let rows = session.rows(&Statement::fixed(r#"SELECT "name", coalesce("sql", '') FROM "sqlite_schema""#, []))?;
    let mut found = Vec::new();
    for made in wanted {
        let present = rows.iter().find(|row| row[0] == Scalar::Text(made.name.clone()));
        match present {
            None => found.push(format!("{} is missing", made.name)),
            Some([_, Scalar::Text(sql)]) if *sql == made.create.text => {}
            Some(_) => found.push(format!("{} is not what the models call for", made.name)),
        }
    }
    Ok(found)
}
