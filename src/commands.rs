//! One function for each command: arguments in, results on standard output, messages on standard error.

mod audit;
mod backup;
mod data;
mod ephemeral;
mod healthcheck;
mod import;
mod keys;
mod logs;
mod models;
mod serve;

use crate::access::Permissions;
use crate::auth;
use crate::auth::keys::{self as stored_keys, Key};
use crate::cli::{Cli, Command};
use crate::config;
use crate::envelope::{self, Echo, Reply};
use crate::error::{Errors, plain, plain_json};
use crate::json::Json;
use crate::plan::Limits;
use crate::plan::planner::Given;
use crate::request::reader;
use crate::store::{self, Failure, Location, Missing, Session, Store, owners_file};
use crate::terminal::{Failed, print, print_json, print_line};
use crate::value::time;
use crate::{apply, road};
use clap::CommandFactory;
use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, IsTerminal, Read};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Runs a command.
///
/// # Errors
/// A sentence for standard error; the process then exits with 1.
pub fn run(cli: Cli) -> Result<(), Failed> {
    let database = Database { named: cli.db, json: cli.json };
    match cli.command {
        Command::Quickstart(args) => serve::quickstart(&database, &args),
        Command::Bootstrap { name, if_needed } => keys::bootstrap(&database, &name, if_needed),
        Command::Serve { args, ephemeral } if ephemeral.ephemeral => ephemeral::serve(&database, &args, &ephemeral),
        Command::Serve { args, .. } => serve::serve(&database, &args),
        Command::Keys(command) => keys::run(&database, command),
        Command::Audit(args) => audit::run(&database, &args),
        Command::Models(command) => models::run(&database, command),
        Command::Logs(args) => logs::run(&database, args),
        Command::Query { file } => query(&database, &file),
        Command::Data(command) => data::run(&database, command),
        Command::Backup { file, replace } => backup::backup(&database, &file, replace),
        Command::Restore { file } => backup::restore(&database, &file),
        Command::Check => check(&database),
        Command::Healthcheck { url, wait } => healthcheck::run(database.json, &url, wait),
        Command::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Cli::command(), "jqlite", &mut script);
            print(&script)
        }
        Command::Man { out } => manual_pages(out.as_deref()),
    }
}

/// The page of the whole, or into a folder that and the pages of all commands, which it refers to.
fn manual_pages(folder: Option<&Path>) -> Result<(), Failed> {
    let Some(folder) = folder else {
        let mut page = Vec::new();
        clap_mangen::Man::new(Cli::command()).render(&mut page).map_err(|error| error.to_string())?;
        return print(&page);
    };
    std::fs::create_dir_all(folder)
        .and_then(|()| clap_mangen::generate_to(Cli::command(), folder))
        .map_err(|error| format!("cannot write into {}: {error}", folder.display()))
}

/// The database that a command works on, and how it prints.
struct Database {
    named: Option<PathBuf>,
    json: bool,
}

/// Statements of commands may take their time.
const COMMAND_TIMEOUT: Duration = Duration::from_secs(86_400);

impl Database {
    fn location(&self, default: &str) -> Result<Location, Failed> {
        match &self.named {
            Some(path) => Ok(Location::new(path)),
            None => config::data_file(default).map(Location::File),
        }
    }

    fn open(&self, missing: Missing) -> Result<Store, Failed> {
        Store::open(self.location(config::DATABASE)?, missing, COMMAND_TIMEOUT)
    }

    /// Runs `work` in one transaction.
    fn write<T>(&self, missing: Missing, work: impl FnOnce(&Session) -> Result<T, Failure>) -> Result<T, Failed> {
        let store = self.open(missing)?;
        let session = store.writer().map_err(described)?;
        session.unlimited();
        session.writing(|| work(&session)).map_err(described)
    }
}

fn described(failure: Failure) -> Failed {
    failure.to_string()
}

fn all_keys(database: &Database) -> Result<Vec<Key>, Failed> {
    let store = database.open(Missing::Refuse)?;
    let reader = store.reader().map_err(described)?;
    stored_keys::list(&reader).map_err(described)
}

/// A new file that only its owner can read.
fn new_file(path: &Path) -> Result<File, Failed> {
    opened(path, owners_file().write(true).create_new(true))
}

fn opened(path: &Path, options: &OpenOptions) -> Result<File, Failed> {
    options.open(path).map_err(|error| match error.kind() {
        ErrorKind::AlreadyExists => format!("{} is there already; name another file, or remove it", path.display()),
        _ => format!("cannot make {}: {error}", path.display()),
    })
}

fn read_file(path: &Path) -> Result<Vec<u8>, Failed> {
    let mut bytes = Vec::new();
    let outcome = if path == Path::new("-") {
        std::io::stdin().lock().read_to_end(&mut bytes)
    } else {
        std::fs::File::open(path).and_then(|mut file| file.read_to_end(&mut bytes))
    };
    outcome.map(|_| bytes).map_err(|error| format!("cannot read {}: {error}", path.display()))
}

fn query(database: &Database, file: &Path) -> Result<(), Failed> {
    let body = read_file(file)?;
    let store = database.open(Missing::Refuse)?;
    let session = store.writer().map_err(described)?;
    session.unlimited();
    let (reply, errors) = as_operator(&store, &session, &body);
    print_line(&plain_json(&String::from_utf8_lossy(&reply.body)))?;
    match errors.first() {
        None => Ok(()),
        Some(error) => Err(error.problem.for_owner()),
    }
}

/// Carries out a request for whoever owns the file.
fn as_operator(store: &Store, session: &Session, body: &[u8]) -> (Reply, Errors) {
    let mut echo = Echo::default();
    let parsed = reader::parse(body);
    let is_alone = parsed.as_ref().is_ok_and(|(asked, _)| asked.intent().is_alone());
    let work = || {
        let (asked, malformed) = parsed?;
        echo = Echo::of(&asked);
        let given = owners(store, session)?;
        session.start();
        road::carry_out(session, &given, &road::plan(&given, asked, malformed)?)
    };
    let outcome = if is_alone { session.rebuilding(work) } else { session.writing(work) };
    match outcome {
        Ok(answer) => (answer.reply(&echo, false), Vec::new()),
        Err(errors) => (envelope::failure(&errors, &echo), errors),
    }
}

/// What a request of whoever owns the file is planned with.
fn owners(store: &Store, session: &Session) -> Result<Given, Failure> {
    let (catalogue, limits) = (store.catalogue(session)?, Limits { max_limit: config::MAX_LIMIT });
    let (caller, secret, now) = (auth::operator(), *store.secret(), time::stamp());
    Ok(Given { catalogue, caller, limits, secret, now, request_id: "-".into() })
}

fn check(database: &Database) -> Result<(), Failed> {
    let store = database.open(Missing::Refuse)?;
    let reader = store.reader().map_err(described)?;
    if std::io::stderr().is_terminal() {
        eprintln!("reading all of {}", store.location());
    }
    let found = findings(&store, &reader)?;
    if database.json {
        print_json(&Json::List(found.iter().map(|finding| finding.as_str().into()).collect()))?;
    } else if found.is_empty() {
        let models = store.catalogue(&reader).map_err(described)?.models().count();
        print_line(&format!("{} is sound: {models} models", store.location()))?;
    }
    if found.is_empty() { Ok(()) } else { Err(listed(&found)) }
}

/// All that is wrong with a file: what SQLite finds, and what of the models and the keys is not as we make them.
fn findings(store: &Store, reader: &Session) -> Result<Vec<String>, Failed> {
    let mut found = store::integrity(reader).map_err(described)?;
    let catalogue = store.catalogue(reader).map_err(described)?;
    found.extend(apply::check(reader, &catalogue).map_err(described)?);
    for key in stored_keys::list(reader).map_err(described)? {
        if let Err(why) = key.permissions.parse::<Permissions>() {
            found.push(format!("the key {}: {why}", key.public_id));
        }
    }
    Ok(found)
}

fn listed(found: &[String]) -> Failed {
    found.iter().map(|finding| plain(finding)).collect::<Vec<_>>().join("\n")
}
