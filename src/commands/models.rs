//! `models`: putting definitions into force, and showing them.

use super::{Database, described, import, read_file};
use crate::apply::{self, Planned, Refused};
use crate::auth;
use crate::cli::{ModelsCommand, ModelsFormat};
use crate::config;
use crate::error::{Error, Errors, plain_json};
use crate::json::Json;
use crate::log::{self, Level};
use crate::model::{Definition, parse};
use crate::openapi::{self, Served, records};
use crate::plan::Limits;
use crate::store::{self, Missing, Store};
use crate::terminal::{Failed, print, print_json, print_line, print_table};
use std::path::Path;

pub fn run(database: &Database, command: ModelsCommand) -> Result<(), Failed> {
    match command {
        ModelsCommand::Apply { file, allow_data_loss } => {
            let store = database.open(Missing::Create)?;
            apply_file(&store, &file, allow_data_loss, database.json)
        }
        ModelsCommand::Diff { file } => {
            let store = database.open(Missing::Refuse)?;
            let reader = store.reader().map_err(described)?;
            let catalogue = store.catalogue(&reader).map_err(described)?;
            print_planned(database.json, &apply::plan(&reader, &catalogue, &read(&file)?).map_err(described)?)
        }
        ModelsCommand::Import(args) => import::run(database, &args),
        ModelsCommand::Show { format } => show(&database.open(Missing::Refuse)?, format),
        ModelsCommand::History => {
            let store = database.open(Missing::Refuse)?;
            let reader = store.reader().map_err(described)?;
            let rows = apply::history(&reader).map_err(described)?;
            print_table(database.json, &["version", "applied", "bytes"], &rows)
        }
    }
}

fn show(store: &Store, format: ModelsFormat) -> Result<(), Failed> {
    let reader = store.reader().map_err(described)?;
    let catalogue = store.catalogue(&reader).map_err(described)?;
    match format {
        ModelsFormat::Models => {
            let version = store::catalogue_version(&reader).map_err(described)?;
            let definition = apply::definition(&reader, version).map_err(described)?;
            print_line(&plain_json(definition.as_deref().unwrap_or("{}")))
        }
        ModelsFormat::Openapi => {
            let served = Served {
                limits: Limits { max_limit: config::MAX_LIMIT },
                jql_paths: &["/jql".into()],
                is_fixture: false,
            };
            let document = openapi::document(&catalogue, &auth::operator(), served, &|| Ok(()));
            let document = document.map_err(|problem| problem.to_string())?;
            print_line(&plain_json(&String::from_utf8_lossy(&document)))
        }
        ModelsFormat::Jsonschema => print_json(&records::json_schema(&catalogue)),
        ModelsFormat::Typescript => print(records::type_script(&catalogue).as_bytes()),
    }
}

fn read(path: &Path) -> Result<Definition, Failed> {
    let json = Json::parse(&read_file(path)?).map_err(|error| format!("{} is not JSON: {error}", path.display()))?;
    parse::definition(&json).map_err(|errors| mistakes(&errors, path))
}

/// Puts the models of a file into force, and gives their version, whether that is new, and what was done.
pub fn put_into_force(store: &Store, file: &Path, allow_data_loss: bool) -> Result<(i64, bool, Planned), Failed> {
    let definition = read(file)?;
    let session = store.writer().map_err(described)?;
    session.unlimited();
    let catalogue = store.catalogue(&session).map_err(described)?;
    let (version, planned) = session
        .rebuilding(|| apply::apply(&session, &catalogue, &definition, allow_data_loss))
        .map_err(|refused| explain(&refused))?;
    Ok((version, version != catalogue.version, planned))
}

/// As [`put_into_force`], and tells what was done.
pub fn apply_file(store: &Store, file: &Path, allow_data_loss: bool, json: bool) -> Result<(), Failed> {
    let (version, is_new, planned) = put_into_force(store, file, allow_data_loss)?;
    for change in &planned.changes {
        log::message(Level::Info, format_args!("{change}"));
    }
    let done = if is_new { "applied" } else { "nothing to change" };
    if json {
        print_json(&Json::Object(vec![
            ("version".into(), Json::Integer(version)),
            ("changes".into(), Json::Integer(planned.changes.len() as i64)),
        ]))
    } else {
        log::message(Level::Info, format_args!("{done}: version {version} of the models is in force"));
        Ok(())
    }
}

pub fn print_planned(json: bool, planned: &Planned) -> Result<(), Failed> {
    if json {
        return print_json(&Json::Object(planned.members()));
    }
    let mut lines: Vec<String> = planned.changes.iter().map(ToString::to_string).collect();
    lines.extend(planned.losses.iter().map(|loss| format!("loses {loss}")));
    lines.extend(planned.obstacles.iter().map(|obstacle| format!("cannot be applied: {obstacle}")));
    if lines.is_empty() {
        lines.push("nothing to change".into());
    }
    print_line(&lines.join("\n"))
}

/// What is wrong with a file, line by line.
pub fn mistakes(errors: &Errors, file: &Path) -> Failed {
    let line = |error: &Error| {
        format!("{}#{}: {}", file.display(), error.pointer.as_deref().unwrap_or_default(), error.problem.with_hint())
    };
    errors.iter().map(line).collect::<Vec<_>>().join("\n")
}

/// Why models were not applied.
pub fn explain(refused: &Refused) -> Failed {
    match refused {
        Refused::Loss(_) => format!("{refused}; go on with --allow-data-loss"),
        _ => refused.to_string(),
    }
}
