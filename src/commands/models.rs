//! `models`: putting definitions into force, and showing them.

use super::{Database, described, read_file};
use crate::apply::{self, Planned, Refused};
use crate::cli::ModelsCommand;
use crate::error::Error;
use crate::json::Json;
use crate::log::{self, Level};
use crate::store::{self, Missing, Store};
use crate::terminal::{Failed, print_line, print_table};
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
            let (_, planned) =
                apply::plan(&reader, &catalogue, &read_json(&file)?).map_err(|refused| explain(&refused, &file))?;
            print_planned(database.json, &planned)
        }
        ModelsCommand::Show => {
            let store = database.open(Missing::Refuse)?;
            let reader = store.reader().map_err(described)?;
            let version = store::catalogue_version(&reader).map_err(described)?;
            let definition = apply::definition(&reader, version).map_err(described)?;
            print_line(definition.as_deref().unwrap_or("{}"))
        }
        ModelsCommand::History => {
            let store = database.open(Missing::Refuse)?;
            let reader = store.reader().map_err(described)?;
            let rows = apply::history(&reader).map_err(described)?;
            print_table(database.json, &["version", "applied", "bytes"], &rows)
        }
    }
}

fn read_json(path: &Path) -> Result<Json, Failed> {
    Json::parse(&read_file(path)?).map_err(|error| format!("{} is not JSON: {error}", path.display()))
}

pub fn apply_file(store: &Store, file: &Path, allow_data_loss: bool, json: bool) -> Result<(), Failed> {
    let definition = read_json(file)?;
    let session = store.writer().map_err(described)?;
    session.unlimited();
    let catalogue = store.catalogue(&session).map_err(described)?;
    let (version, planned) =
        apply::apply(&session, &catalogue, &definition, allow_data_loss).map_err(|refused| explain(&refused, file))?;
    for change in &planned.changes {
        log::message(Level::Info, format_args!("{change}"));
    }
    let done = if version == catalogue.version { "nothing to change" } else { "applied" };
    if json {
        print_line(
            &Json::Object(vec![
                ("version".into(), Json::Integer(version)),
                ("changes".into(), Json::Integer(planned.changes.len() as i64)),
            ])
            .to_string(),
        )
    } else {
        log::message(Level::Info, format_args!("{done}: version {version} of the models is in force"));
        Ok(())
    }
}

fn print_planned(json: bool, planned: &Planned) -> Result<(), Failed> {
    let changes: Vec<String> = planned.changes.iter().map(ToString::to_string).collect();
    if json {
        let list = |texts: &[String]| Json::List(texts.iter().map(|text| text.as_str().into()).collect());
        let members = vec![
            ("changes".to_owned(), list(&changes)),
            ("losses".to_owned(), list(&planned.losses)),
            ("obstacles".to_owned(), list(&planned.obstacles)),
        ];
        return print_line(&Json::Object(members).to_string());
    }
    let mut lines = changes;
    lines.extend(planned.losses.iter().map(|loss| format!("loses {loss}")));
    lines.extend(planned.obstacles.iter().map(|obstacle| format!("cannot be applied: {obstacle}")));
    if lines.is_empty() {
        lines.push("nothing to change".into());
    }
    print_line(&lines.join("\n"))
}

/// Why models were not applied, line by line.
pub fn explain(refused: &Refused, file: &Path) -> Failed {
    match refused {
        Refused::Definition(errors) => {
            let line = |error: &Error| {
                let hint = error.problem.hint().map(|hint| format!("; {hint}")).unwrap_or_default();
                format!("{}#{}: {}{hint}", file.display(), error.pointer.as_deref().unwrap_or_default(), error.problem)
            };
            errors.iter().map(line).collect::<Vec<_>>().join("\n")
        }
        Refused::Loss(losses) => {
            format!("this would lose {}; go on with --allow-data-loss", losses.join(", "))
        }
        Refused::Obstacles(obstacles) => obstacles.join("\n"),
        Refused::Database(failure) => format!("nothing was changed, because stored records do not fit: {failure}"),
    }
}
