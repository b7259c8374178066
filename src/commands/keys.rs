//! `bootstrap` and `keys`: making keys, listing and ending them.

use super::{Database, all_keys, described};
use crate::access::{Permission, Permissions, SYSTEM};
use crate::auth::{self, Key, KeyText};
use crate::cli::{Expiry, KeysCommand};
use crate::config;
use crate::error::Problem;
use crate::json::{Json, Object};
use crate::store::{Failure, Missing};
use crate::terminal::{Failed, maybe, object, plain, print_line, print_table, text};
use crate::value::{Scalar, time};
use std::io::Write;
use std::path::Path;

/// The permissions of a first key: every model, and the server's own.
pub fn everything() -> Permissions {
    format!("*.*:*,{SYSTEM}.*:*").parse().expect("it is of the form")
}

pub fn bootstrap(database: &Database, name: &str, if_needed: bool) -> Result<(), Failed> {
    let now = time::now();
    let made = database.write(Missing::Create, |session| {
        let usable = auth::list(session)?.into_iter().find(|key| key.state(&now) == "active");
        match usable {
            Some(key) => Ok(Err(key)),
            None => auth::create(session, name, &everything(), None).map(Ok),
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
        print_line(&Json::Object(members).to_string())
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
    let named = permissions.0.iter().filter_map(Permission::model).filter(|model| model.app != SYSTEM);
    for model in named.filter(|model| catalogue.model(model).is_none()) {
        eprintln!("there is no model {model} yet");
    }
    Ok(())
}

/// A new file that only its owner can read.
fn new_secret_file(path: &Path) -> Result<std::fs::File, Failed> {
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path).map_err(|error| match error.kind() {
        std::io::ErrorKind::AlreadyExists => format!("{} is there already", path.display()),
        _ => format!("cannot make {}: {error}", path.display()),
    })
}

pub fn run(database: &Database, command: KeysCommand) -> Result<(), Failed> {
    match command {
        KeysCommand::Create { name, allow, expires, key_out } => {
            let permissions = Permissions(allow.into_iter().flat_map(|permissions| permissions.0).collect());
            let until = if let Expiry::At(moment) = &expires { Some(moment.as_str()) } else { None };
            let mut file = key_out.as_deref().map(new_secret_file).transpose()?;
            let made = database.write(Missing::Refuse, |session| {
                let key = auth::create(session, &name, &permissions, until)?;
                // Written before the key is committed, so that no key is made that nobody holds.
                let written = file
                    .as_mut()
                    .map_or(Ok(()), |file| writeln!(file, "{}", key.reveal()).and_then(|()| file.sync_all()));
                written.map_err(|error| {
                    Failure::Other(Problem::Fault { cause: format!("cannot write the key: {error}") })
                })?;
                Ok(key)
            });
            if let (Err(_), Some(path)) = (&made, &key_out) {
                let _ = std::fs::remove_file(path); // it was made a moment ago, and is empty or of no use
            }
            warn_of_unknown_models(database, &permissions)?;
            if permissions.0.is_empty() {
                eprintln!("the key may do nothing: give it permissions with --allow");
            }
            hand_out(database.json, &name, &permissions, &made?, key_out.as_deref())
        }
        KeysCommand::List => {
            let now = time::now();
            let rows: Vec<Vec<Scalar>> = all_keys(database)?.iter().map(|key| key_row(key, &now)).collect();
            print_table(database.json, &KEY_COLUMNS, &rows)
        }
        KeysCommand::Show { key } => {
            let row = key_row(&auth::find(all_keys(database)?, &key)?, &time::now());
            if database.json {
                return print_line(&object(&KEY_COLUMNS, &row).to_string());
            }
            let rows: Vec<Vec<Scalar>> =
                KEY_COLUMNS.iter().zip(row).map(|(name, cell)| vec![text(name), cell]).collect();
            print_table(false, &["field", "value"], &rows)
        }
        KeysCommand::Revoke { key } => {
            let key = auth::find(all_keys(database)?, &key)?;
            if let Some(moment) = &key.revoked {
                eprintln!("\"{}\" ({}) was revoked already, at {moment}", plain(&key.name), key.public_id);
                return Ok(());
            }
            database.write(Missing::Refuse, |session| auth::revoke(session, &key))?;
            eprintln!("revoked \"{}\" ({})", plain(&key.name), key.public_id);
            Ok(())
        }
        KeysCommand::Delete { key } => {
            let key = auth::find(all_keys(database)?, &key)?;
            database.write(Missing::Refuse, |session| auth::delete(session, &key))?;
            eprintln!("deleted \"{}\" ({})", plain(&key.name), key.public_id);
            Ok(())
        }
    }
}

const KEY_COLUMNS: [&str; 6] = ["id", "name", "state", "permissions", "created", "expires"];

fn key_row(key: &Key, now: &str) -> Vec<Scalar> {
    vec![
        text(&key.public_id),
        text(&key.name),
        text(key.state(now)),
        text(&key.permissions),
        text(&key.created),
        maybe(key.expires.as_deref()),
    ]
}
