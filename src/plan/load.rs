//! Records that come from a file: planned as new ones, but they may bring their id, and what the server would set.

use super::planner::{Given, Planner};
use super::write::{Purpose, slots};
use super::{Row, Select, Write};
use crate::error::{Error, Errors, Problem};
use crate::json::{Object, Pointer};
use crate::model::Model;
use crate::value::Scalar;
use std::ops::RangeInclusive;
use std::sync::Arc;

/// Ids of records that may be brought along: the highest that there is would leave none for the next record.
pub const IDS: RangeInclusive<i64> = 1..=1 << 62;

/// How the records of one model are planned.
pub struct Load<'g> {
    given: &'g Given,
    model: Arc<Model>,
    /// Its columns, and no rows yet.
    empty: Write,
}

impl<'g> Load<'g> {
    /// Only the owner of the file loads, so that there is no permission to ask for.
    pub fn new(given: &'g Given, model: &Arc<Model>) -> Load<'g> {
        let slots = slots(model, |field| field.column().is_some(), true);
        let empty = Write { slots, rows: Vec::new(), raises: false, answer: Select::of(model, Vec::new()) };
        Load { given, model: model.clone(), empty }
    }

    /// Rows of [`Self::row`] as one write.
    pub fn write(&self, rows: Vec<Row>) -> Write {
        Write { rows, ..self.empty.clone() }
    }

    /// The name of the model.
    pub fn name(&self) -> &str {
        self.model.namespace.as_str()
    }

    /// The id of a row, where the record brought it.
    pub fn id<'r>(&self, row: &'r Row) -> Option<&'r Scalar> {
        row.values.first().filter(|id| **id != Scalar::Null)
    }

    /// What a row refers to: models and ids.
    pub fn references(&self, row: &Row) -> Vec<(String, Scalar)> {
        let slots = self.empty.slots.iter().zip(&row.values);
        let one = slots.filter_map(|(slot, value)| Some((slot.to.as_ref()?.to_string(), value.clone())));
        let links = row.links.iter().flat_map(|links| links.ids.iter().map(|id| (&links.relation.target, id)));
        let many = links.map(|(model, id)| (model.to_string(), id.clone()));
        one.filter(|(_, id)| *id != Scalar::Null).chain(many).collect()
    }

    /// The row of one record.
    ///
    /// # Errors
    /// All that is wrong with its values.
    pub fn row(&self, values: &Object) -> Result<Row, Errors> {
        let mut planner = Planner::new(self.given, Vec::<Error>::new());
        let row = planner.new_record(&self.model, &self.empty.slots, values, &Pointer::ROOT, Purpose::Load);
        if let Some(Scalar::Integer(id)) = row.as_ref().and_then(|row| self.id(row))
            && !IDS.contains(id)
        {
            let why = format!("is from {} to {}", IDS.start(), IDS.end());
            planner.errors.push(Error::at("/id", Problem::Refused { field: "id".into(), why }));
        }
        match row {
            Some(row) if planner.errors.is_empty() => Ok(row),
            _ => Err(planner.errors),
        }
    }
}
