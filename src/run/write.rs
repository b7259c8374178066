//! Runs what writes: records made, changed and deleted, and what the database refuses put into the terms of the
//! request.

use super::{Loaded, Outcome, load};
use crate::compile;
use crate::error::{Code, Error, Errors, MOST_ERRORS, Problem, note};
use crate::json::{Pointer, write_list};
use crate::lookup::Lookup;
use crate::model::{Model, VERSION};
use crate::plan::{Comparison, Condition, Operand, Order, Referrer, Row, Select, Target, What, Write};
use crate::sql::{Statement, id_list};
use crate::store::{Failure, Rows, Session};
use crate::value::Scalar;
use std::collections::HashMap;

/// Why a row did not go in.
pub struct Refused {
    pub errors: Errors,
    /// Whether it refers to a record that is not there, and may be once others are.
    pub is_dangling: bool,
}

/// A model and its table, while a write to it runs.
pub struct Table<'r> {
    pub session: &'r Session,
    pub model: &'r Model,
    pub name: &'r str,
}

impl Table<'_> {
    /// Makes one record.
    pub fn create(&self, write: &Write) -> Result<Outcome, Errors> {
        let ids = self.insert(write)?;
        Ok(Outcome::One { loaded: self.answer(&write.answer, ids)?, done: "created", key: None })
    }

    /// Makes a list of records.
    pub fn create_many(&self, write: &Write) -> Result<Outcome, Errors> {
        let ids = self.insert(write)?;
        Ok(Outcome::Made(self.answer(&write.answer, ids)?))
    }

    /// Inserts the rows and gives their ids, in their order.
    pub fn insert(&self, write: &Write) -> Result<Vec<Scalar>, Errors> {
        let statement = compile::write::insert(self.name, &write.slots);
        let own = write.slots.iter().position(|slot| slot.column.name == "id");
        let mut ids = Vec::with_capacity(write.rows.len());
        let rows = write.rows.iter().map(|row| row.values.as_slice());
        let made = self.session.execute_each(&statement, rows, |row, last| {
            ids.push(own.map_or(Scalar::Integer(last), |place| row[place].clone()));
        });
        if let Err(failure) = made {
            return Err(self.refused(write, &write.rows[ids.len()], failure));
        }
        self.link(write, &ids)?;
        Ok(ids)
    }

    /// Inserts rows each of which is there wholly or not at all: one that is refused keeps no other from going in.
    /// `refused` hears of it, by its place.
    ///
    /// # Errors
    /// What is wrong with no row, but with all of it: the disk is full, another process holds the file.
    pub fn load(&self, write: &Write, mut refused: impl FnMut(usize, Refused)) -> Result<(), Errors> {
        let statement = compile::write::insert(self.name, &write.slots);
        let mut next = 0;
        while let Some(row) = write.rows.get(next) {
            let mut made = 0;
            let outcome = if row.links.is_empty() {
                let plain = write.rows[next..].iter().take_while(|row| row.links.is_empty());
                self.session.execute_each(&statement, plain.map(|row| row.values.as_slice()), |_, _| made += 1)
            } else {
                self.session.savepoint(|| self.load_linked(&statement, row)).inspect(|()| made = 1)
            };
            next += made;
            if let Err(failure) = outcome {
                let row = &write.rows[next];
                let is_dangling = failure == Failure::ForeignKey;
                let errors = match failure {
                    Failure::Other(problem) if problem.code() != Code::Jql => return Err(problem.into()),
                    Failure::ForeignKey => self.dangling(write, std::slice::from_ref(row))?,
                    other => self.refused(write, row, other),
                };
                refused(next, Refused { errors, is_dangling });
                next += 1;
            }
        }
        Ok(())
    }

    /// Inserts a row with the ids of its `refs` fields.
    fn load_linked(&self, statement: &Statement, row: &Row) -> Result<(), Failure> {
        self.session.execute_each(statement, std::iter::once(row.values.as_slice()), |_, _| ())?;
        let id = match row.values.first() {
            Some(id @ (Scalar::Integer(_) | Scalar::Text(_))) => id.clone(),
            _ => Scalar::Integer(self.session.last_id()),
        };
        for links in &row.links {
            let (record, ids) = (id_list(std::iter::once(&id)), id_list(links.ids.iter()));
            if let Some(fill) = compile::write::replace_links(&links.relation, &record, &ids).get(1) {
                self.session.execute(fill)?;
            }
        }
        Ok(())
    }

    /// Changes the one record of a target.
    pub fn update(&self, target: &Target, write: &Write) -> Result<Outcome, Errors> {
        let whole = target.whole(self.model);
        let row = only(write)?;
        let changes = !write.slots.is_empty() || write.raises;
        let id = match &target.id {
            Some(id) if changes => id.clone(),
            _ => {
                let found = self.session.rows(&compile::write::find(self.name, &whole))?.cells.into_iter().next();
                found.map_or_else(|| Err(self.missing(target)), Ok)?
            }
        };
        if changes {
            let update = compile::write::update(self.name, write, &row.values, &whole);
            let changed = self.session.execute(&update).map_err(|failure| self.refused(write, row, failure))?;
            if changed == 0 {
                return Err(self.missing(target));
            }
        }
        self.replace_links(write, row, std::slice::from_ref(&id))?;
        Ok(Outcome::One { loaded: self.answer(&write.answer, vec![id])?, done: "updated", key: None })
    }

    /// Changes every record that fulfils a condition.
    pub fn update_many(&self, condition: &Condition, write: &Write, most: Option<u64>) -> Result<Outcome, Errors> {
        self.bounded(condition, most)?;
        let row = only(write)?;
        let refused = |failure| self.refused(write, row, failure);
        if row.links.is_empty() {
            let update = compile::write::update(self.name, write, &row.values, condition);
            let changed = self.session.execute(&update).map_err(refused)?;
            return Ok(Outcome::Touched { count: changed as u64, done: "updated" });
        }
        // The ids are looked for once, as the change may be to what they are found by.
        let ids = self.session.rows(&compile::write::find(self.name, condition))?.cells;
        if !write.slots.is_empty() || write.raises {
            let update = compile::write::update(self.name, write, &row.values, &self.among(ids.clone()));
            self.session.execute(&update).map_err(refused)?;
        }
        self.replace_links(write, row, &ids)?;
        Ok(Outcome::Touched { count: ids.len() as u64, done: "updated" })
    }

    /// Changes the record of a target, or makes it where there is none.
    pub fn upsert(&self, target: &Target, update: &Write, create: &Write) -> Result<Outcome, Errors> {
        let found = self.session.rows(&compile::write::find(self.name, &target.condition))?.cells.into_iter().next();
        // None can be made with an integer id, or with a version.
        let given = target.id.is_some() && create.slots.iter().all(|slot| slot.column.name != "id");
        match found {
            Some(_) => self.update(target, update),
            None if given || target.version.is_some() => Err(self.missing(target)),
            None => self.create(create),
        }
    }

    /// Deletes the one record of a target.
    pub fn delete(&self, target: &Target, referrers: &[Referrer]) -> Result<Outcome, Errors> {
        let whole = target.whole(self.model);
        match self.session.execute(&compile::write::delete(self.name, &whole)) {
            Ok(0) => Err(self.missing(target)),
            Ok(_) => Ok(Outcome::Deleted),
            Err(Failure::ForeignKey) => Err(self.still_referenced(&whole, referrers, "uniqueObject")?),
            Err(other) => Err(other.into()),
        }
    }

    /// Deletes every record that fulfils a condition.
    pub fn delete_many(
        &self,
        condition: &Condition,
        referrers: &[Referrer],
        most: Option<u64>,
    ) -> Result<Outcome, Errors> {
        self.bounded(condition, most)?;
        match self.session.execute(&compile::write::delete(self.name, condition)) {
            Ok(count) => Ok(Outcome::Touched { count: count as u64, done: "deleted" }),
            Err(Failure::ForeignKey) => Err(self.still_referenced(condition, referrers, "filter")?),
            Err(other) => Err(other.into()),
        }
    }

    /// Refuses to change more records than the request allows.
    fn bounded(&self, condition: &Condition, most: Option<u64>) -> Result<(), Errors> {
        let Some(most) = most else { return Ok(()) };
        let count = self.session.number(&compile::count(self.name, condition, None, None))?;
        let count = u64::try_from(count).unwrap_or(0);
        if count <= most {
            return Ok(());
        }
        let problem = Problem::TooManyAffected { model: self.model.namespace.to_string(), count, most };
        Err(Error::at(Pointer::ROOT.key("__meta__").key("maxAffected"), problem).into())
    }

    fn among(&self, ids: Vec<Scalar>) -> Condition {
        let lookup = Lookup::named("in").expect("it is in the table of lookups");
        Condition::Compare(Comparison::of(self.model.id_column(), lookup, Operand::List(ids)))
    }

    /// Writes the ids of `refs` fields of new records.
    fn link(&self, write: &Write, ids: &[Scalar]) -> Result<(), Errors> {
        if let [row] = write.rows.as_slice() {
            return self.replace_links(write, row, ids);
        }
        let mut relations: Vec<_> = Vec::new();
        for links in write.rows.iter().flat_map(|row| &row.links) {
            if !relations.contains(&&links.relation) {
                relations.push(&links.relation);
            }
        }
        for relation in relations {
            let rows = write.rows.iter().zip(ids);
            let pairs = rows.flat_map(|(row, id)| {
                let links = row.links.iter().filter(|links| links.relation == *relation);
                links.flat_map(move |links| links.ids.iter().map(move |to| [id, to]))
            });
            let mut text = Vec::new();
            write_list(pairs, &mut text, |pair, out| {
                if let Scalar::Text(pair) = id_list(pair.into_iter()) {
                    out.extend_from_slice(pair.as_bytes());
                }
            });
            let pairs = Scalar::Text(String::from_utf8(text).expect("JSON is UTF-8"));
            let Some(statement) = compile::write::add_links(relation, pairs) else { continue };
            if let Err(failure) = self.session.execute(&statement) {
                return Err(match failure {
                    Failure::ForeignKey => self.dangling(write, &write.rows)?,
                    other => other.into(),
                });
            }
        }
        Ok(())
    }

    /// Writes the ids of `refs` fields in place of those that were there.
    fn replace_links(&self, write: &Write, row: &Row, records: &[Scalar]) -> Result<(), Errors> {
        for links in &row.links {
            let (records, ids) = (id_list(records.iter()), id_list(links.ids.iter()));
            let statements = compile::write::replace_links(&links.relation, &records, &ids);
            for statement in statements.iter().take(if links.ids.is_empty() { 1 } else { 2 }) {
                self.session.execute(statement).map_err(|failure| self.refused(write, row, failure))?;
            }
        }
        Ok(())
    }

    /// The fields of written records that are to be answered, in the order of the ids.
    pub fn answer(&self, select: &Select, ids: Vec<Scalar>) -> Result<Loaded, Errors> {
        let id = self.model.id_column();
        let is_id = |what: &What| matches!(what, What::Value(value) if value.plain() == Some(&id));
        if select.fields.iter().all(|field| is_id(&field.what)) {
            // It is known, so nothing needs to be read.
            let rows = Rows { width: 1, cells: ids };
            return Ok(Loaded { rows, cells: compile::cells(select), ..Loaded::default() });
        }
        let (condition, limit) = (self.among(ids.clone()), ids.len() as u64);
        let order = vec![Order::of(self.model.id_column())];
        let select = Select { condition, limit, order, ends_in_cursor: true, ..select.clone() };
        let mut loaded = load(self.session, compile::select(&select, None), &mut 0)?;
        if let [place] = loaded.order.as_slice() {
            let found: HashMap<&Scalar, &[Scalar]> = loaded.rows.iter().map(|row| (&row[*place], row)).collect();
            let cells = ids.iter().filter_map(|id| found.get(id)).flat_map(|row| row.to_vec()).collect();
            loaded.rows = Rows { width: loaded.rows.width, cells };
        }
        Ok(loaded)
    }

    /// There is no such record, or it is of another version.
    pub fn missing(&self, target: &Target) -> Errors {
        if let Err(errors) = self.not_stale(target) {
            return errors;
        }
        let problem = Problem::NoSuchRecord { model: self.model.namespace.to_string(), what: target.name() };
        Error::at(Pointer::ROOT.key("__meta__").key("uniqueObject"), problem).into()
    }

    /// # Errors
    /// The record of a target is there, but of another version.
    pub fn not_stale(&self, target: &Target) -> Result<(), Errors> {
        if target.version.is_none() {
            return Ok(());
        }
        let current = self.session.rows(&compile::write::find_column(self.name, VERSION, &target.condition))?;
        let Some(Scalar::Integer(version)) = current.cells.first() else { return Ok(()) };
        if target.version == Some(*version) {
            return Ok(());
        }
        let problem = Problem::Stale { model: self.model.namespace.to_string(), version: *version };
        Err(Error::at(Pointer::ROOT.key("__meta__").key("uniqueObject"), problem).into())
    }

    fn still_referenced(&self, condition: &Condition, referrers: &[Referrer], key: &str) -> Result<Errors, Errors> {
        let ids = id_list(self.session.rows(&compile::write::find(self.name, condition))?.cells.iter());
        let mut by = Vec::new();
        for referrer in referrers.iter().filter(|referrer| referrer.direct && referrer.visible) {
            let name = referrer.model.to_string();
            let refers = compile::write::exists(&name, &referrer.column, &ids);
            if !by.contains(&name) && self.session.number(&refers)? == 1 {
                by.push(name);
            }
        }
        let problem = Problem::StillReferenced { model: self.model.namespace.to_string(), by };
        Ok(Error::at(Pointer::ROOT.key("__meta__").key(key), problem).into())
    }

    /// Why a write did not go in, in terms of its fields.
    fn refused(&self, write: &Write, row: &Row, failure: Failure) -> Errors {
        let name = self.model.namespace.as_str();
        // Of several records the one is told, also where no value of it is to blame.
        let record = || (!row.at.is_empty()).then(|| row.at.clone());
        match failure {
            Failure::Unique(columns) => {
                let given = row
                    .given
                    .iter()
                    .find(|(slot, _)| columns.iter().any(|column| *column == write.slots[*slot].column.name));
                let pointer = given.map(|(_, name)| row.place(name)).or_else(record);
                Error { problem: Problem::Taken { model: name.to_owned(), fields: columns }, pointer }.into()
            }
            Failure::ForeignKey => self.dangling(write, &write.rows).unwrap_or_else(|errors| errors),
            Failure::Check(rule) => {
                let problem = Problem::Refused { field: name.to_owned(), why: format!("breaks the rule {rule}") };
                Error { problem, pointer: record() }.into()
            }
            Failure::Other(problem) => problem.into(),
        }
    }

    /// The references of these rows of a write that point to no record.
    fn dangling(&self, write: &Write, rows: &[Row]) -> Result<Errors, Errors> {
        let mut errors = Vec::new();
        for row in rows {
            let given = |slot: usize| row.given.iter().find(|(given, _)| *given == slot).map(|(_, name)| name);
            for (index, (slot, value)) in write.slots.iter().zip(&row.values).enumerate() {
                if let (Some(to), Some(name)) = (&slot.to, given(index)) {
                    self.check_reference(row, name, &to.to_string(), value, &mut errors)?;
                }
            }
            for links in &row.links {
                for id in &links.ids {
                    self.check_reference(row, &links.given, links.relation.target.as_str(), id, &mut errors)?;
                }
            }
        }
        if errors.is_empty() {
            return Err(Problem::Fault { cause: "a foreign key failed that no field explains".into() }.into());
        }
        Ok(errors)
    }

    fn check_reference(
        &self,
        row: &Row,
        given: &str,
        to: &str,
        id: &Scalar,
        errors: &mut Errors,
    ) -> Result<(), Errors> {
        let exists = compile::write::exists(to, "id", &id_list(std::iter::once(id)));
        if *id != Scalar::Null && errors.len() <= MOST_ERRORS && self.session.number(&exists)? == 0 {
            let problem = Problem::NoSuchReference { model: to.to_owned(), id: id.to_string() };
            note(errors, Error::at(row.place(given), problem));
        }
        Ok(())
    }
}

/// The values of a write to one record.
fn only(write: &Write) -> Result<&Row, Errors> {
    write.rows.first().ok_or_else(|| Problem::Fault { cause: "a write without values".into() }.into())
}
