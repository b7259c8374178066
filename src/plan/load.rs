//! Records that come from a file: planned as new ones, but they may bring their id, and what the server would set.

use super::planner::{Given, Planner};
use super::write::{Purpose, slots};
use super::{Row, Select, Write};
use crate::error::{Error, Errors};
use crate::json::{Object, Pointer};
use crate::model::Model;
use std::sync::Arc;

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

    /// The row of one record.
    ///
    /// # Errors
    /// All that is wrong with its values.
    pub fn row(&self, values: &Object) -> Result<Row, Errors> {
        let mut planner = Planner::new(self.given, Vec::<Error>::new());
        let row = planner.new_record(&self.model, &self.empty.slots, values, &Pointer::ROOT, Purpose::Load);
        match row {
            Some(row) if planner.errors.is_empty() => Ok(row),
            _ => Err(planner.errors),
        }
    }
}
