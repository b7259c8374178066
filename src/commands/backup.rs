//! `backup` and `restore`: a copy of the database while it is served, and such a copy in its place.

use super::{COMMAND_TIMEOUT, Database, described, findings, listed};
use crate::apply;
use crate::auth::keys::{Key, list as list_keys};
use crate::config;
use crate::error::plain;
use crate::json::{Json, number, object};
use crate::sql::Statement;
use crate::store::copy::{self, Draft};
use crate::store::{self, Location, Missing, Session, Store};
use crate::terminal::{Failed, Progress, print_json, print_line};
use crate::value::{Scalar, time};
use std::path::{Path, PathBuf};

/// What is in a copy.
struct Content {
    models: usize,
    records: i64,
    keys: Vec<Key>,
    /// When its log ends.
    log_until: Option<String>,
}

pub fn backup(database: &Database, file: &Path, replace: bool) -> Result<(), Failed> {
    let from = file_of(database)?;
    may_be_made(file, &from, replace)?;
    let store = database.open(Missing::Refuse)?;
    let reader = store.reader().map_err(described)?;
    reader.unlimited();
    let draft = Draft::new(file)?;
    copied(&reader, &draft, "copying")?;
    let content = checked(&draft, file)?;
    draft.keep()?;
    tell(database, &content, "backed up", &from, file, None)
}

/// A backup takes the place of nothing but a file, and of none that belongs to the database.
fn may_be_made(file: &Path, from: &Path, replace: bool) -> Result<(), Failed> {
    let named = file.display();
    if file == Path::new("-") {
        return Err("a backup is a file; name one".into());
    }
    if ["", "-wal", "-shm"].iter().any(|ending| is_same(file, &copy::beside(from, ending))) {
        return Err(format!("{named} is the database itself, or belongs to it"));
    }
    match std::fs::symlink_metadata(file) {
        Err(_) => Ok(()), // there is none yet
        Ok(found) if !found.is_file() => Err(format!("{named} is no plain file; name another one")),
        Ok(_) if replace => Ok(()),
        Ok(_) => Err(format!("{named} is there already; name another file, or --replace it")),
    }
}

pub fn restore(database: &Database, file: &Path) -> Result<(), Failed> {
    let target = file_of(database)?;
    if is_same(file, &target) {
        return Err(format!("{} is the database itself", file.display()));
    }
    let source = copy::source(file, COMMAND_TIMEOUT)?;
    copy::make_folder(&target)?;
    let draft = Draft::new(&target)?;
    copied(&source, &draft, "restoring")?;
    let content = checked(&draft, file)?;
    draft.belong_as_before()?;
    let ended = ended_since(&content, &target);
    let kept = copy::set_aside(&target)?;
    draft.keep()?;
    for key in ended {
        eprintln!("the key {} (\"{}\") works again; it had ended since", key.public_id, plain(&key.name));
    }
    tell(database, &content, "restored", file, &target, kept.as_deref())
}

/// The keys that work in a copy, and no more in the database whose place it takes. None, where that cannot be read: then
/// it is the reason for restoring.
fn ended_since<'c>(content: &'c Content, target: &Path) -> Vec<&'c Key> {
    let now = time::now();
    let works = |key: &&Key| key.state(&now) == "active";
    let store = Store::open(Location::File(target.to_owned()), Missing::Refuse, COMMAND_TIMEOUT);
    let known = store.and_then(|store| store.reader().and_then(|reader| list_keys(&reader)).map_err(described));
    let Ok(known) = known else { return Vec::new() };
    let still = |key: &&Key| known.iter().filter(works).any(|one| one.public_id == key.public_id);
    content.keys.iter().filter(works).filter(|key| !still(key)).collect()
}

/// Only what is in a file can be copied, or have its place taken.
fn file_of(database: &Database) -> Result<PathBuf, Failed> {
    match database.location(config::DATABASE)? {
        Location::File(path) => Ok(path),
        Location::Memory => Err("a database in memory is gone with its process; name a file with --db".into()),
    }
}

fn is_same(one: &Path, other: &Path) -> bool {
    let whole = |path: &Path| path.canonicalize().ok();
    whole(one).is_some_and(|one| whole(other) == Some(one))
}

fn copied(session: &Session, draft: &Draft, what: &'static str) -> Result<(), Failed> {
    let progress = Progress::new(what);
    session.copy_to(draft, |done, all| progress.tell(done, all)).map_err(described)
}

/// Looks at all of a copy, which an older version may have made, and brings it up to this one.
fn checked(draft: &Draft, named: &Path) -> Result<Content, Failed> {
    let copy = Store::open(draft.location(), Missing::Refuse, COMMAND_TIMEOUT)?;
    let session = copy.writer().map_err(described)?;
    session.unlimited();
    let found = findings(&copy, &session)?;
    if !found.is_empty() {
        return Err(format!("{} is damaged:\n{}", named.display(), listed(&found)));
    }
    let content = content(&copy, &session).map_err(described)?;
    copy.close_readers();
    session.leave_log().map_err(described)?;
    Ok(content)
}

fn content(copy: &Store, session: &Session) -> Result<Content, store::Failure> {
    let catalogue = copy.catalogue(session)?;
    let mut content = Content { models: 0, records: 0, keys: list_keys(session)?, log_until: None };
    for model in catalogue.models() {
        content.models += 1;
        content.records += apply::count_all(session, &model.namespace.to_string())?;
    }
    let last = Statement::fixed(r#"SELECT max("at") FROM "system.UsageLog""#, []);
    if let Some(Scalar::Text(at)) = session.rows(&last)?.cells.first() {
        content.log_until = Some(at.clone());
    }
    Ok(content)
}

fn tell(
    database: &Database,
    content: &Content,
    done: &str,
    from: &Path,
    to: &Path,
    kept: Option<&Path>,
) -> Result<(), Failed> {
    let Content { models, records, keys, log_until } = content;
    let path = |path: &Path| Json::String(path.display().to_string());
    if database.json {
        let mut members = vec![("from", path(from)), ("to", path(to))];
        members.extend([
            ("models", number(*models)),
            ("records", Json::Integer(*records)),
            ("keys", number(keys.len())),
        ]);
        members.push(("log_until", log_until.as_deref().map_or(Json::Null, Json::from)));
        members.extend(kept.map(|kept| ("kept", path(kept))));
        return print_json(&object(members));
    }
    let until = log_until.as_deref().map_or(String::new(), |until| format!(", its log until {until}"));
    print_line(&format!("{done} {}: {models} models, {records} records, {} keys{until}", to.display(), keys.len()))?;
    kept.map_or(Ok(()), |kept| print_line(&format!("the database before it is now {}", kept.display())))
}
