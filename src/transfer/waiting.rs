//! Records that wait for others: which of them can go in together, and which refer to what is nowhere.

use super::load::Mistake;
use crate::compile::write::exists;
use crate::json::Object;
use crate::plan::Row;
use crate::plan::load::Load;
use crate::sql::id_list;
use crate::store::Session;
use crate::value::Scalar;
use std::collections::HashMap;

/// A record that waits for one that it refers to.
pub struct Waiting {
    pub origin: usize,
    pub line: u64,
    pub row: Row,
    pub values: Option<Object>,
    /// Why it did not go in by itself.
    pub errors: Vec<Mistake>,
}

/// Parts those that find all they refer to, in the database or among themselves, from the others.
///
/// # Errors
/// The database cannot be read.
pub fn sorted(
    waiting: Vec<Waiting>,
    session: &Session,
    plans: &[Load<'_>],
) -> Result<(Vec<Waiting>, Vec<Waiting>), String> {
    let mut places = HashMap::new();
    for (place, one) in waiting.iter().enumerate() {
        if let Some(id) = plans[one.origin].id(&one.row) {
            places.insert((plans[one.origin].name().to_owned(), id.clone()), place);
        }
    }
    let mut referrers: Vec<Vec<usize>> = waiting.iter().map(|_| Vec::new()).collect();
    let mut lost = Vec::new();
    for (place, one) in waiting.iter().enumerate() {
        for target in plans[one.origin].references(&one.row) {
            match places.get(&target) {
                Some(target) => referrers[*target].push(place),
                None if is_there(session, &target)? => {}
                None => lost.push(place),
            }
        }
    }
    // Whoever refers to a record that is lost is lost as well.
    let mut is_lost = vec![false; waiting.len()];
    while let Some(place) = lost.pop() {
        if !std::mem::replace(&mut is_lost[place], true) {
            lost.append(&mut referrers[place]);
        }
    }
    let mut is_lost = is_lost.into_iter();
    let (lost, whole) = waiting.into_iter().partition(|_| is_lost.next().unwrap_or(false));
    Ok((whole, lost))
}

fn is_there(session: &Session, (model, id): &(String, Scalar)) -> Result<bool, String> {
    let found = session.number(&exists(model, "id", &id_list(std::iter::once(id))));
    found.map(|found| found == 1).map_err(|failure| failure.to_string())
}
