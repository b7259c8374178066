//! `serve --ephemeral`: a server for tests, on a database in memory.

use super::keys::everything;
use super::models::put_into_force;
use super::serve::{prepare, start, whereabouts};
use super::{Database, data, described};
use crate::auth::keys;
use crate::auth::text::KeyText;
use crate::cli::{EphemeralArgs, ServeArgs};
use crate::fixture::Fixture;
use crate::json::Json;
use crate::store::{Location, Missing, Store};
use crate::terminal::Failed;
use crate::{clock, random};
use std::path::PathBuf;

/// What the key in the ready line is called.
const KEY: &str = "fixture";

pub fn serve(database: &Database, args: &ServeArgs, ephemeral: &EphemeralArgs) -> Result<(), Failed> {
    prepare(args)?;
    refuse_file(database.named.as_ref())?;
    if !args.listen.ip().is_loopback() {
        let address = args.listen;
        return Err(format!("--ephemeral listens to this machine only, and {address} is open to others"));
    }
    if let Some(now) = ephemeral.now {
        clock::stop(now);
    }
    if let Some(number) = ephemeral.id_seed {
        random::seed(number);
    }
    if ephemeral.with_parent {
        end_with_parent()?;
    }
    let store = Store::open(Location::Memory, Missing::Create, args.query_timeout)?;
    let key = make_key(&store)?;
    seed(&store, args)?;
    let fixture = Fixture::with_seed().map_err(described)?;
    start(store, args, Some(fixture), |url, store| {
        let mut members = whereabouts(url, store);
        members.push(("key".into(), key.reveal().into()));
        Ok(match database.json {
            true => Json::Object(members).to_string(),
            false => format!("serving {} at {url} with the key {}", store.location(), key.reveal()),
        })
    })
}

/// A file that was named would not be served. One that the environment names is for other commands.
fn refuse_file(named: Option<&PathBuf>) -> Result<(), Failed> {
    let Some(path) = named else { return Ok(()) };
    let by_environment = std::env::var_os("JQLITE_DB").is_some_and(|file| file == *path);
    if by_environment || Location::new(path) == Location::Memory {
        return Ok(());
    }
    Err(format!("--ephemeral serves a database in memory, and not {}; leave out one of them", path.display()))
}

/// The key of whoever tests, which no reset takes away.
fn make_key(store: &Store) -> Result<KeyText, Failed> {
    let session = store.writer().map_err(described)?;
    let settings = keys::Settings { name: KEY.to_owned(), permissions: everything(), ..keys::Settings::default() };
    session.writing(|| keys::create(&session, &settings)).map_err(described)
}

/// Makes the state that `reset` goes back to.
fn seed(store: &Store, args: &ServeArgs) -> Result<(), Failed> {
    if let Some(file) = &args.models {
        put_into_force(store, file, false)?;
    }
    data::seed(store, &args.data)
}

/// Asks now and then whether the process that started this one is still there, and ends where it is not.
#[cfg(unix)]
fn end_with_parent() -> Result<(), Failed> {
    const EVERY: std::time::Duration = std::time::Duration::from_millis(250);
    let parent = rustix::process::getppid();
    let watch = move || {
        while rustix::process::getppid() == parent {
            std::thread::sleep(EVERY);
        }
        std::process::exit(0) // there is nothing to save
    };
    std::thread::Builder::new().name("jqlite-parent".into()).spawn(watch).map(drop).map_err(|error| error.to_string())
}

#[cfg(not(unix))]
fn end_with_parent() -> Result<(), Failed> {
    Err("--with-parent is there on Unix only".into())
}
