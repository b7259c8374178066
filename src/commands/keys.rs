//! `bootstrap` and `keys`: the whole life of a key.

use super::{Database, all_keys, described, new_file};
use crate::access::{Action, Namespace, Permission, Permissions, SYSTEM};
use crate::auth::keys::{self, Changes, Key, Settings};
use crate::auth::text::{KeyText, holds_key};
use crate::cli::{Expiry, KeysCommand};
use crate::config;
use crate::error::{Problem, plain};
use crate::intent::Intent;
use crate::json::{Json, Object};
use crate::store::{Failure, Missing, Session};
use crate::terminal::{Failed, maybe, object, print_json, print_line, print_table, text};
use crate::value::{Scalar, time};
use std::io::Write;
use std::path::Path;

/// The permissions of a first key: every model, and the server's own.
pub fn everything() -> Permissions {
    format!("*.*:*,{SYSTEM}.*:*").parse().expect("it is of the form")
}

/// A name is shown to whoever sees keys, so that it must not be one.
fn without_key(name: &str) -> Result<(), Failed> {
    if holds_key(name) { Err("the name holds a key, which is kept nowhere".into()) } else { Ok(()) }
}

pub fn bootstrap(database: &Database, name: &str, if_needed: bool) -> Result<(), Failed> {
    without_key(name)?;
    let now = time::now();
    let made = database.write(Missing::Create, |session| {
        let usable = keys::list(session)?.into_iter().find(|key| key.state(&now) == "active");
        match usable {
            Some(key) => Ok(Err(key)),
            None => {
                let (name, permissions) = (name.to_owned(), everything());
                keys::create(session, &Settings { name, permissions, ..Settings::default() }).map(Ok)
            }
        }
    })?;
    match made {
        Ok(key) => {
            eprintln!("made the first key of {}", database.location(config::DATABASE)?);
            hand_out(database.json, name, &everything(), &key, None)
        }
        Err(key) if if_needed => {
            eprintln!("there is a usable key already: \"{}\"", plain(&key.name));
            Ok(())
        }
        Err(key) => {
            Err(format!("there is a usable key already: \"{}\"; `jqlite keys create` makes more", plain(&key.name)))
        }
    }
}

/// Gives a key away, the only time it is seen, unless it was written to a file.
fn hand_out(
    json: bool,
    name: &str,
    permissions: &Permissions,
    key: &KeyText,
    file: Option<&Path>,
) -> Result<(), Failed> {
    if let Some(path) = file {
        eprintln!("the key is in {}; it is nowhere else", path.display());
    } else {
        eprintln!("keep the key: it is shown this once");
    }
    if json {
        let permissions = permissions.0.iter().map(|one| Json::String(one.to_string())).collect();
        let mut members: Object = vec![("permissions".into(), Json::List(permissions))];
        members.push(("id".into(), key.public_id().into()));
        members.push(("name".into(), name.into()));
        if file.is_none() {
            members.insert(0, ("key".into(), key.reveal().into()));
        }
        print_json(&Json::Object(members))
    } else if file.is_none() {
        print_line(key.reveal())
    } else {
        Ok(())
    }
}

/// A permission may be given before its model is there, but most often the name is mistyped.
fn warn_of_unknown_models(database: &Database, permissions: &Permissions) -> Result<(), Failed> {
    let store = database.open(Missing::Refuse)?;
    let reader = store.reader().map_err(described)?;
    let catalogue = store.catalogue(&reader).map_err(described)?;
    for model in catalogue.missing(permissions) {
        eprintln!("there is no model {model} yet");
    }
    Ok(())
}

pub fn run(database: &Database, command: KeysCommand) -> Result<(), Failed> {
    match command {
        KeysCommand::Create { name, allow, expires, rate, allowed_ips, key_out } => {
            without_key(&name)?;
            let permissions = joined(allow);
            let settings = Settings { name, permissions, expires: moment(expires), rate, allowed_ips };
            let key = issue(database, key_out.as_deref(), |session| keys::create(session, &settings))?;
            warn_of_unknown_models(database, &settings.permissions)?;
            if settings.permissions.0.is_empty() {
                eprintln!("the key may do nothing: give it permissions with --allow");
            }
            hand_out(database.json, &settings.name, &settings.permissions, &key, key_out.as_deref())
        }
        KeysCommand::List => {
            let now = time::now();
            let all = all_keys(database)?;
            if database.json {
                let rows: Vec<Vec<Scalar>> = all.iter().map(|key| key_row(key, &now)).collect();
                return print_table(true, &KEY_COLUMNS, &rows);
            }
            let rows: Vec<Vec<Scalar>> = all.iter().map(|key| short_row(key, &now)).collect();
            print_table(false, &SHORT_COLUMNS, &rows)
        }
        KeysCommand::Show { key } => {
            let row = key_row(&keys::find(all_keys(database)?, &key)?, &time::now());
            if database.json {
                return print_json(&object(&KEY_COLUMNS, &row));
            }
            let rows: Vec<Vec<Scalar>> =
                KEY_COLUMNS.iter().zip(row).map(|(name, cell)| vec![text(name), cell]).collect();
            print_table(false, &["field", "value"], &rows)
        }
        KeysCommand::Update { key, name, allow, expires, rate, allowed_ips } => {
            name.as_deref().map_or(Ok(()), without_key)?;
            let permissions = (!allow.is_empty()).then(|| joined(allow));
            if let Some(permissions) = &permissions {
                warn_of_unknown_models(database, permissions)?;
            }
            let (rate, allowed_ips) = (rate.map(|rate| rate.0), allowed_ips.map(|networks| networks.0));
            let changes = Changes { name, permissions, expires: expires.map(moment), rate, allowed_ips };
            change(database, &key, "updated", |session, key| keys::update(session, key, &changes))
        }
        KeysCommand::Rotate { key, overlap: _, end_overlap: true, key_out: _ } => {
            let key = usable(database, &key)?;
            let ended = database.write(Missing::Refuse, |session| keys::end_overlap(session, &key))?;
            let name = plain(&key.name);
            match ended {
                true => eprintln!("the old secret of \"{name}\" has ended"),
                false => eprintln!("\"{name}\" has no old secret that works"),
            }
            Ok(())
        }
        KeysCommand::Rotate { key, overlap, end_overlap: false, key_out } => {
            let key = usable(database, &key)?;
            let until = overlap.map_or_else(|| Ok(time::now()), time::from_now)?;
            let made = issue(database, key_out.as_deref(), |session| keys::rotate(session, &key, &until))?;
            match overlap {
                Some(_) => eprintln!("the old secret ({}) works until {until}", key.public_id),
                None => eprintln!("the old secret ({}) has ended", key.public_id),
            }
            let permissions = key.permissions.parse()?;
            hand_out(database.json, &key.name, &permissions, &made, key_out.as_deref())
        }
        KeysCommand::Disable { key } => change(database, &key, "disabled", keys::disable),
        KeysCommand::Enable { key } => change(database, &key, "enabled", keys::enable),
        KeysCommand::Revoke { key } => {
            let key = keys::find(all_keys(database)?, &key)?;
            if let Some(moment) = &key.revoked {
                eprintln!("\"{}\" ({}) was revoked already, at {moment}", plain(&key.name), key.public_id);
                return Ok(());
            }
            database.write(Missing::Refuse, |session| keys::revoke(session, &key))?;
            eprintln!("revoked \"{}\" ({})", plain(&key.name), key.public_id);
            Ok(())
        }
        KeysCommand::Delete { key } => {
            let key = keys::find(all_keys(database)?, &key)?;
            database.write(Missing::Refuse, |session| keys::delete(session, &key))?;
            eprintln!("deleted \"{}\" ({})", plain(&key.name), key.public_id);
            Ok(())
        }
        KeysCommand::Explain { key, namespace, intent } => {
            explain(database.json, &keys::find(all_keys(database)?, &key)?, &namespace, intent)
        }
    }
}

fn joined(allow: Vec<Permissions>) -> Permissions {
    Permissions(allow.into_iter().flat_map(|permissions| permissions.0).collect())
}

fn moment(expires: Expiry) -> Option<String> {
    if let Expiry::At(moment) = expires { Some(moment) } else { None }
}

/// A key that was not ended for good.
fn usable(database: &Database, named: &str) -> Result<Key, Failed> {
    let key = keys::find(all_keys(database)?, named)?;
    match &key.revoked {
        Some(moment) => Err(format!("\"{}\" was revoked at {moment}, which is for good", plain(&key.name))),
        None => Ok(key),
    }
}

fn change(
    database: &Database,
    named: &str,
    done: &str,
    work: impl FnOnce(&Session, &Key) -> Result<(), Failure>,
) -> Result<(), Failed> {
    let key = usable(database, named)?;
    database.write(Missing::Refuse, |session| work(session, &key))?;
    eprintln!("{done} \"{}\" ({})", plain(&key.name), key.public_id);
    Ok(())
}

/// Has a key made; where it goes to a file, the file is written before the key is committed, so that no key is made
/// that nobody holds.
fn issue(
    database: &Database,
    file: Option<&Path>,
    make: impl FnOnce(&Session) -> Result<KeyText, Failure>,
) -> Result<KeyText, Failed> {
    let mut opened = file.map(new_file).transpose()?;
    let made = database.write(Missing::Refuse, |session| {
        let key = make(session)?;
        let written =
            opened.as_mut().map_or(Ok(()), |file| writeln!(file, "{}", key.reveal()).and_then(|()| file.sync_all()));
        written.map_err(|error| Failure::Other(Problem::Fault { cause: format!("cannot write the key: {error}") }))?;
        Ok(key)
    });
    if let (Err(_), Some(path)) = (&made, file) {
        let _ = std::fs::remove_file(path); // it was made a moment ago, and is empty or of no use
    }
    made
}

/// Tells which permission lets a key do something, or which it lacks; fails where it may not.
fn explain(json: bool, key: &Key, namespace: &Namespace, intent: Intent) -> Result<(), Failed> {
    let permissions: Permissions = key.permissions.parse()?;
    let rule = intent.rule();
    let by = |model: &Namespace, action| permissions.0.iter().find(|permission| permission.allows(model, action));
    let row = |(model, action): (Namespace, Action)| {
        let by = by(&model, action).map(Permission::to_string);
        vec![text(&model.permission(action)), maybe(by.as_deref())]
    };
    let rows: Vec<Vec<Scalar>> = rule.least(namespace).map(row).collect();
    print_table(json, &["needs", "allowed_by"], &rows)?;
    let state = key.state(&time::now());
    if state != "active" {
        return Err(format!("the key is {state}"));
    }
    let missing = rule.least(namespace).filter(|(model, action)| by(model, *action).is_none());
    let missing: Vec<String> = missing.map(|(model, action)| model.permission(action)).collect();
    if missing.is_empty() { Ok(()) } else { Err(format!("the key lacks {}", missing.join(" and "))) }
}

const KEY_COLUMNS: [&str; 14] = [
    "id",
    "name",
    "state",
    "permissions",
    "created",
    "created_by",
    "expires",
    "rate",
    "allowed_ips",
    "last_used",
    "last_ip",
    "rotated",
    "overlap",
    "attention",
];

fn key_row(key: &Key, now: &str) -> Vec<Scalar> {
    vec![
        text(&key.public_id),
        text(&key.name),
        text(key.state(now)),
        text(&key.permissions),
        text(&key.created),
        maybe(key.created_by.as_deref()),
        maybe(key.expires.as_deref()),
        key.rate.map_or(Scalar::Null, Scalar::Integer),
        maybe(key.allowed_ips.as_deref()),
        maybe(key.last_used.as_deref()),
        maybe(key.last_ip.as_deref()),
        text(&key.rotated),
        maybe(key.overlap.as_deref()),
        attention(key, now),
    ]
}

/// What of a key can be read at a glance.
const SHORT_COLUMNS: [&str; 7] = ["id", "name", "state", "permissions", "expires", "last_used", "attention"];

fn short_row(key: &Key, now: &str) -> Vec<Scalar> {
    let day = |moment: &Option<String>| maybe(moment.as_ref().map(|moment| &moment[..10]));
    vec![
        text(&key.public_id),
        text(&key.name),
        text(key.state(now)),
        text(&key.permissions),
        day(&key.expires),
        day(&key.last_used),
        attention(key, now),
    ]
}

fn attention(key: &Key, now: &str) -> Scalar {
    let found = key.attention(now);
    if found.is_empty() { Scalar::Null } else { Scalar::Text(found.join("; ")) }
}
