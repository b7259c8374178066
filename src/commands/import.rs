//! `models import`: the tables of another SQLite file as models, and their rows as records.

use super::data::{Watch, none_rejected, paced};
use super::models::{explain, mistakes, print_planned};
use super::{COMMAND_TIMEOUT, Database, described, owners};
use crate::apply::{self, Planned};
use crate::cli::ImportArgs;
use crate::config;
use crate::error::{plain, so_many};
use crate::import::draft::{Read, Taken};
use crate::import::notes::Note;
use crate::import::plan::{self, Import};
use crate::import::rows::{Rows, hand_over};
use crate::import::{app_of, census, schema};
use crate::json::{Json, Object, number, object};
use crate::log::{self, Level};
use crate::model::{Catalogue, Definition, parse};
use crate::plan::planner::Given;
use crate::store::foreign::{self, Foreign};
use crate::store::{Location, Missing, Session, Store, catalogue_version};
use crate::terminal::{Failed, Progress, print_json, print_line, print_table, text, wrap};
use crate::transfer::dump::in_order;
use crate::transfer::load::{self, Done, Hand, Marks, Options, Origin};
use crate::value::Scalar;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

pub fn run(database: &Database, args: &ImportArgs) -> Result<(), Failed> {
    let start = Instant::now();
    let file = foreign::open(&args.file, COMMAND_TIMEOUT)?;
    let import = read(&file, args)?;
    let store = open(database, args.dry_run)?;
    let session = store.writer().map_err(described)?;
    session.unlimited();
    let given = owners(&store, &session).map_err(described)?;
    let definition = definition(&session, &given.catalogue, &import, &args.file)?;
    let plan = || apply::plan(&session, &given.catalogue, &definition).map_err(described);
    let planned = args.dry_run.then(plan).transpose()?;
    session.begin().map_err(described)?;
    let done = carry_out(&session, &given, file, &import, &definition, args);
    if let Some(planned) = planned {
        session.abandon(); // that it could be done was to be seen
        show(database.json, &import, &planned, &definition)?;
        return done.map(drop);
    }
    let done = match done {
        Ok(done) => session.commit().map(|()| done).map_err(described)?,
        Err(why) => {
            session.abandon();
            return Err(why);
        }
    };
    tell(database.json, &session, &import, &done, start.elapsed().as_secs_f64())?;
    none_rejected(done.rejected, args.rejects.as_deref())
}

/// Reads all of a file, and plans what becomes of it.
fn read(file: &Foreign, args: &ImportArgs) -> Result<Import, Failed> {
    let schema = schema::read(file)?;
    let bar = Progress::new("reading");
    let mut censuses = Vec::new();
    for (place, table) in schema.tables.iter().enumerate() {
        bar.tell(place as u64, schema.tables.len() as u64);
        file.check(&table.name)?;
        censuses.push(census::take(file, table).map_err(|failure| file.described_of(&table.name, &failure))?);
    }
    drop(bar);
    if schema.tables.is_empty() {
        return Err(format!("{} holds no table that could become a model", args.file.display()));
    }
    let stem = args.file.file_stem().unwrap_or_default().to_string_lossy();
    let app = args.app.clone().unwrap_or_else(|| app_of(&stem));
    plan::plan(&schema, &censuses, &app, &args.rename)
}

/// Opens the database. One that is only to be looked at is not made.
fn open(database: &Database, dry_run: bool) -> Result<Store, Failed> {
    match database.location(config::DATABASE)? {
        Location::File(path) if dry_run && !path.exists() => {
            Store::open(Location::Memory, Missing::Create, COMMAND_TIMEOUT)
        }
        location => Store::open(location, Missing::Create, COMMAND_TIMEOUT),
    }
}

/// The models in force, and with them those of an import.
fn definition(session: &Session, known: &Catalogue, import: &Import, file: &Path) -> Result<Definition, Failed> {
    if let Some(there) = import.tables.iter().find(|table| known.model(&table.namespace).is_some()) {
        let (name, model) = (&there.name, &there.namespace);
        return Err(format!(
            "there is a model {model} already; name another --app, or another model: --rename '{name}=Name'"
        ));
    }
    let version = catalogue_version(session).map_err(described)?;
    let text = apply::definition(session, version).map_err(described)?;
    let mut models = match text.as_deref().map(str::as_bytes).map(Json::parse) {
        None => Object::new(), // there are none yet
        Some(Ok(Json::Object(models))) => models,
        Some(_) => return Err("the models in force cannot be read: `jqlite check` tells more".into()),
    };
    models.extend(import.models.iter().cloned());
    parse::definition(&Json::Object(models)).map_err(|errors| mistakes(&errors, file))
}

/// Applies the models and loads the rows in the transaction that is open.
fn carry_out(
    session: &Session,
    given: &Given,
    file: Foreign,
    import: &Import,
    definition: &Definition,
    args: &ImportArgs,
) -> Result<Done, Failed> {
    let (version, planned) =
        apply::apply(session, &given.catalogue, definition, false).map_err(|refused| explain(&refused))?;
    for change in planned.changes.iter().filter(|_| !args.dry_run) {
        log::message(Level::Info, format_args!("{change}"));
    }
    let given = Given { catalogue: Arc::new(Catalogue::new(version, definition.models.clone())), ..given.clone() };
    let rows = rows(&given.catalogue, import);
    let origins: Vec<&dyn Origin> = rows.iter().map(|rows| rows as &dyn Origin).collect();
    let mut watch = Watch::new(args.rejects.as_deref(), false, import.tables.iter().map(|table| table.rows).sum())?;
    let options = Options { skips: args.rejects.is_some(), dry_run: args.dry_run, ..Options::default() };
    let rows = &rows;
    let read = move |hand: &mut Hand<'_>| hand_over(&file, rows, hand);
    let done = load::load(session, &given, &origins, Marks::new(), options, &mut watch, read);
    let done = done.map_err(|why| format!("{why}; no model was made"))?;
    for table in &import.tables {
        let last = table.last_id.map(|last| apply::keep_taken(session, table.namespace.as_str(), last));
        last.transpose().map_err(described)?;
    }
    Ok(done)
}

/// The tables, those first that others refer to.
fn rows<'i>(catalogue: &Catalogue, import: &'i Import) -> Vec<Rows<'i>> {
    let of = |model| import.tables.iter().find(|table| table.namespace == model);
    let models = in_order(catalogue).into_iter();
    models.filter_map(|model| Some(Rows { table: of(model.namespace.clone())?, model })).collect()
}

fn note(note: &Note) -> Json {
    let members = [("table", &note.table), ("what", &note.what), ("why", &note.why)];
    object(members.map(|(name, part)| (name, part.as_str().into())).to_vec())
}

/// What would be done.
fn show(json: bool, import: &Import, planned: &Planned, definition: &Definition) -> Result<(), Failed> {
    let rows = import.tables.iter().map(|table| table.rows);
    if json {
        let models = Json::parse(definition.text.as_bytes()).map_err(|error| error.to_string())?;
        let mut members: Object = vec![("models".into(), models)];
        members.extend(planned.members());
        members.extend(facts(import, rows));
        return print_json(&Json::Object(members));
    }
    print_planned(false, planned)?;
    print_line("")?;
    print_facts(import, rows)
}

/// What was done.
fn tell(json: bool, session: &Session, import: &Import, done: &Done, seconds: f64) -> Result<(), Failed> {
    let rows = import.tables.iter().map(|table| apply::count_all(session, table.namespace.as_str()));
    let rows = rows.collect::<Result<Vec<_>, _>>().map_err(described)?;
    let rows = rows.into_iter().map(|rows| u64::try_from(rows).unwrap_or(0));
    if json {
        let counts = [("loaded", number(done.loaded)), ("rejected", number(done.rejected))];
        let mut members: Object = counts.map(|(name, count)| (name.into(), count)).to_vec();
        members.push(("seconds".into(), Json::Number(format!("{seconds:.3}"))));
        members.extend(facts(import, rows));
        return print_json(&Json::Object(members));
    }
    print_facts(import, rows)?;
    print_line("")?;
    let tables = so_many(import.tables.len() as u64, "table");
    print_line(&format!("imported {} from {tables}", paced(done.loaded, seconds)))
}

/// Table by table what it becomes, and all that is to be known of it, as a script reads it.
fn facts(import: &Import, rows: impl Iterator<Item = u64>) -> Object {
    let table = |(table, rows): (&Taken, u64)| {
        let column = |read: &Read| (read.field.as_str().into(), read.columns.join(", ").as_str().into());
        let columns = table.reads.iter().map(column).collect();
        object(vec![
            ("table", table.name.as_str().into()),
            ("model", table.namespace.as_str().into()),
            ("rows", number(rows)),
            ("columns", Json::Object(columns)),
        ])
    };
    let notes = |notes: &[Note]| Json::List(notes.iter().map(note).collect());
    vec![
        ("tables".into(), Json::List(import.tables.iter().zip(rows).map(table).collect())),
        ("not_taken_over".into(), notes(&import.left)),
        ("changed".into(), notes(&import.changed)),
    ]
}

/// As [`facts`], for people.
fn print_facts(import: &Import, rows: impl Iterator<Item = u64>) -> Result<(), Failed> {
    let count = |rows| Scalar::Integer(i64::try_from(rows).unwrap_or(i64::MAX));
    let line = |(table, rows): (&Taken, u64)| vec![text(&table.name), text(table.namespace.as_str()), count(rows)];
    print_table(false, &["table", "model", "rows"], &import.tables.iter().zip(rows).map(line).collect::<Vec<_>>())?;
    for (title, notes) in [("Not taken over:", &import.left), ("Changed:", &import.changed)] {
        if !notes.is_empty() {
            let lines: Vec<String> = notes.iter().map(|note| wrap(&plain(&note.to_string()), " ")).collect();
            print_line(&format!("\n{title}\n\n{}", lines.join("\n")))?;
        }
    }
    Ok(())
}
