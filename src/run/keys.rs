//! Runs what is done to API keys.
//!
//! Whether a key gets more than the one that makes or changes it has is looked at when it is done, on what then
//! stands in the table: the savepoint around it undoes what goes too far.

use super::Outcome;
use super::write::Table;
use crate::access::Action;
use crate::auth::keys::{self, Key};
use crate::auth::text::KeyText;
use crate::auth::{Authenticated, Bounds};
use crate::compile;
use crate::error::{Error, Errors, Problem};
use crate::json::Pointer;
use crate::model::Model;
use crate::plan::{KeyAct, Select, Target};
use crate::store::{Failure, Session};
use crate::value::Scalar;

/// Does it.
///
/// # Errors
/// There is no such key, it was revoked for good, or it would get more than the caller has.
pub fn act(table: &Table<'_>, act: &KeyAct, caller: &Authenticated) -> Result<Outcome, Errors> {
    let session = table.session;
    match act {
        KeyAct::Create(write) => {
            let ids = table.insert(write)?;
            let id = ids.first().cloned().unwrap_or(Scalar::Null);
            let text = KeyText::generate()?;
            if let Scalar::Integer(id) = id {
                keys::add_secret(session, id, &text)?;
                keys::note_maker(session, id, caller.public_id())?;
            }
            permitted(table.model, &found(session, &id)?, caller)?;
            Ok(Outcome::One { loaded: table.answer(&write.answer, ids)?, done: "created", key: Some(text) })
        }
        KeyAct::Update { target, write } => {
            let key = find(table, target)?;
            lasting(&key)?;
            let outcome = table.update(target, write)?;
            permitted(table.model, &found(session, &Scalar::Integer(key.id))?, caller)?;
            Ok(outcome)
        }
        KeyAct::Rotate { target, until, answer } => {
            let key = find(table, target)?;
            lasting(&key)?;
            permitted(table.model, &key, caller)?;
            let text = keys::rotate(session, &key, until)?;
            told(table, answer, &key, "rotated", Some(text))
        }
        KeyAct::EndOverlap { target, answer } => {
            let key = find(table, target)?;
            lasting(&key)?;
            keys::end_overlap(session, &key)?;
            told(table, answer, &key, "overlap ended", None)
        }
        KeyAct::Revoke { target, answer } => {
            let key = find(table, target)?;
            keys::revoke(session, &key)?;
            told(table, answer, &key, "revoked", None)
        }
        KeyAct::Disable { target, answer } => {
            let key = find(table, target)?;
            lasting(&key)?;
            keys::disable(session, &key)?;
            told(table, answer, &key, "disabled", None)
        }
        KeyAct::Enable { target, answer } => {
            let key = find(table, target)?;
            lasting(&key)?;
            permitted(table.model, &key, caller)?;
            keys::enable(session, &key)?;
            told(table, answer, &key, "enabled", None)
        }
    }
}

fn told(
    table: &Table<'_>,
    answer: &Select,
    key: &Key,
    done: &'static str,
    text: Option<KeyText>,
) -> Result<Outcome, Errors> {
    let loaded = table.answer(answer, vec![Scalar::Integer(key.id)])?;
    Ok(Outcome::One { loaded, done, key: text })
}

/// The key that a target names.
fn find(table: &Table<'_>, target: &Target) -> Result<Key, Errors> {
    let ids = table.session.rows(&compile::write::find(table.name, &target.condition))?.cells;
    match ids.first() {
        Some(id) => Ok(found(table.session, id)?),
        None => Err(table.missing(target)),
    }
}

fn found(session: &Session, id: &Scalar) -> Result<Key, Failure> {
    let id = id.integer().unwrap_or(0);
    keys::with_id(session, id)?
        .ok_or_else(|| Failure::Other(Problem::Fault { cause: format!("the key {id} has no secret") }))
}

/// What was revoked stays so.
fn lasting(key: &Key) -> Result<(), Errors> {
    match key.revoked {
        Some(_) => Err(Error::at(Pointer::ROOT.key("__meta__").key("uniqueObject"), Problem::KeyEnded).into()),
        None => Ok(()),
    }
}

/// Whether the caller may give what the key has.
fn permitted(model: &Model, key: &Key, caller: &Authenticated) -> Result<(), Errors> {
    let fault = |cause: String| Problem::Fault { cause };
    let permissions = key.permissions.parse().map_err(fault)?;
    let networks = key.allowed_ips.as_ref().map(|text| text.parse()).transpose().map_err(fault)?;
    let rate = key.rate.and_then(|rate| u32::try_from(rate).ok());
    let bounds = Bounds { expires: key.expires.clone(), rate, networks };
    let granted = caller.grant(&permissions, &bounds);
    // What another key has is told to those only who may read it.
    let own = key.id == caller.id() || (key.created_by.is_some() && key.created_by.as_deref() == caller.public_id());
    let hidden = !own && !caller.may(&model.namespace, Action::Read);
    let told = |what: String| if hidden { "what that key has".to_owned() } else { what };
    granted.map_err(|what| Problem::CannotGrant { what: told(what) }.into())
}
