//! One function for each command: arguments in, results on standard output, messages on standard error.

use crate::access::{Permissions, SYSTEM};
use crate::apply::{self, Planned, Refused};
use crate::auth::{self, Key, KeyText};
use crate::cli::{Cli, Command, Expiry, KeysCommand, LogsArgs, ModelsCommand, ServeArgs};
use crate::config;
use crate::envelope::{self, Echo, Reply};
use crate::error::{Error, Errors};
use crate::handle::App;
use crate::json::{Json, Object, write_list};
use crate::plan::{self, Limits};
use crate::server::{self, Settings};
use crate::store::{self, Failure, Location, Missing, Session, Store};
use crate::usage::{self, Wanted};
use crate::value::{Scalar, time};
use crate::writer::Writer;
use crate::{request, run};
use clap::CommandFactory;
use std::io::{IsTerminal, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

/// Why a command failed, for the person who gave it.
type Failed = String;

/// Runs a command.
///
/// # Errors
/// A sentence for standard error; the process then exits with 1.
pub fn run(cli: Cli) -> Result<(), Failed> {
    let database = Database { named: cli.db, json: cli.json };
    match cli.command {
        Command::Quickstart(args) => quickstart(&database, &args),
        Command::Bootstrap { name, if_needed } => bootstrap(&database, &name, if_needed),
        Command::Serve(args) => serve(&database, &args),
        Command::Keys(command) => keys(&database, command),
        Command::Models(command) => models(&database, command),
        Command::Logs(args) => logs(&database, args),
        Command::Query { file } => query(&database, &file),
        Command::Check => check(&database),
        Command::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Cli::command(), "jqlite", &mut script);
            print(&script)
        }
    }
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

/// Writes to standard output. A reader that stops reading ends the command without a word.
fn print(bytes: &[u8]) -> Result<(), Failed> {
    let mut out = std::io::stdout().lock();
    match out.write_all(bytes).and_then(|()| out.flush()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
            Err(format!("cannot write to standard output: {error}"))
        }
        _ => Ok(()),
    }
}

fn print_line(text: &str) -> Result<(), Failed> {
    print(format!("{text}\n").as_bytes())
}

/// Text as a terminal may show it: nothing in it moves the cursor or changes colours.
fn plain(text: &str) -> String {
    text.chars().flat_map(|c| if c.is_control() { c.escape_default().collect::<Vec<_>>() } else { vec![c] }).collect()
}

/// A table that fits the terminal, or a JSON list of objects.
fn print_table(json: bool, names: &[&str], rows: &[Vec<Scalar>]) -> Result<(), Failed> {
    if json {
        let object = |row: &Vec<Scalar>| {
            let members = names.iter().zip(row).map(|(name, cell)| ((*name).to_owned(), to_json(cell)));
            Json::Object(members.collect())
        };
        return print_line(&Json::List(rows.iter().map(object).collect()).to_string());
    }
    let mut table = comfy_table::Table::new();
    table.load_style(comfy_table::presets::NOTHING).set_content_arrangement(comfy_table::ContentArrangement::Dynamic);
    if let Some((width, _)) = terminal_size::terminal_size() {
        table.set_width(width.0);
    }
    table.set_header(names.iter().map(|name| name.to_uppercase().replace('_', " ")));
    for row in rows {
        table.add_row(
            row.iter().map(|cell| if *cell == Scalar::Null { "-".to_owned() } else { plain(&cell.to_string()) }),
        );
    }
    print_line(&table.trim_fmt())
}

fn to_json(cell: &Scalar) -> Json {
    match cell {
        Scalar::Null => Json::Null,
        Scalar::Integer(number) => Json::Integer(*number),
        Scalar::Real(number) => Json::Number(format!("{number:?}")),
        Scalar::Text(text) => Json::String(text.clone()),
    }
}

fn text(text: &str) -> Scalar {
    Scalar::Text(text.to_owned())
}

fn maybe(value: Option<&str>) -> Scalar {
    value.map_or(Scalar::Null, text)
}

// -- Keys ---------------------------------------------------------------------------------------

/// The permissions of a first key: every model, and the server's own.
fn everything() -> Permissions {
    format!("*.*:*,{SYSTEM}.*:*").parse().expect("it is of the form")
}

fn bootstrap(database: &Database, name: &str, if_needed: bool) -> Result<(), Failed> {
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

/// Gives a key away, the only time it is seen.
fn hand_out(
    json: bool,
    name: &str,
    permissions: &Permissions,
    key: &KeyText,
    file: Option<&Path>,
) -> Result<(), Failed> {
    if let Some(path) = file {
        write_secret(path, key)?;
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

fn write_secret(path: &Path, key: &KeyText) -> Result<(), Failed> {
    let mut file = new_secret_file(path)?;
    writeln!(file, "{}", key.reveal()).map_err(|error| format!("cannot write {}: {error}", path.display()))
}

/// A new file that only its owner can read.
fn new_secret_file(path: &Path) -> Result<std::fs::File, Failed> {
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path).map_err(|error| format!("cannot make {}: {error}", path.display()))
}

fn keys(database: &Database, command: KeysCommand) -> Result<(), Failed> {
    match command {
        KeysCommand::Create { name, allow, expires, key_out } => {
            let permissions = Permissions(allow.into_iter().flat_map(|permissions| permissions.0).collect());
            if key_out.as_ref().is_some_and(|path| path.exists()) {
                return Err(format!("{} is there already", key_out.unwrap_or_default().display()));
            }
            let until = if let Expiry::At(moment) = &expires { Some(moment.as_str()) } else { None };
            let key = database.write(Missing::Refuse, |session| auth::create(session, &name, &permissions, until))?;
            if permissions.0.is_empty() {
                eprintln!("the key may do nothing: give it permissions with --allow");
            }
            hand_out(database.json, &name, &permissions, &key, key_out.as_deref())
        }
        KeysCommand::List => {
            let now = time::now();
            let rows: Vec<Vec<Scalar>> = all_keys(database)?.iter().map(|key| key_row(key, &now)).collect();
            print_table(database.json, &KEY_COLUMNS, &rows)
        }
        KeysCommand::Show { key } => {
            let row = key_row(&auth::find(all_keys(database)?, &key)?, &time::now());
            if database.json {
                let members = KEY_COLUMNS.iter().zip(&row).map(|(name, cell)| ((*name).to_owned(), to_json(cell)));
                return print_line(&Json::Object(members.collect()).to_string());
            }
            let rows: Vec<Vec<Scalar>> =
                KEY_COLUMNS.iter().zip(row).map(|(name, cell)| vec![text(name), cell]).collect();
            print_table(false, &["field", "value"], &rows)
        }
        KeysCommand::Revoke { key } => {
            let key = auth::find(all_keys(database)?, &key)?;
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

fn all_keys(database: &Database) -> Result<Vec<Key>, Failed> {
    let store = database.open(Missing::Refuse)?;
    let reader = store.reader().map_err(described)?;
    auth::list(&reader).map_err(described)
}

// -- Models -------------------------------------------------------------------------------------

fn models(database: &Database, command: ModelsCommand) -> Result<(), Failed> {
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

fn read_file(path: &Path) -> Result<Vec<u8>, Failed> {
    let mut bytes = Vec::new();
    let outcome = if path == Path::new("-") {
        std::io::stdin().lock().read_to_end(&mut bytes)
    } else {
        std::fs::File::open(path).and_then(|mut file| file.read_to_end(&mut bytes))
    };
    outcome.map(|_| bytes).map_err(|error| format!("cannot read {}: {error}", path.display()))
}

fn read_json(path: &Path) -> Result<Json, Failed> {
    Json::parse(&read_file(path)?).map_err(|error| format!("{} is not JSON: {error}", path.display()))
}

fn apply_file(store: &Store, file: &Path, allow_data_loss: bool, json: bool) -> Result<(), Failed> {
    let definition = read_json(file)?;
    let session = store.writer().map_err(described)?;
    session.unlimited();
    let catalogue = store.catalogue(&session).map_err(described)?;
    let (version, planned) =
        apply::apply(&session, &catalogue, &definition, allow_data_loss).map_err(|refused| explain(&refused, file))?;
    for change in &planned.changes {
        eprintln!("{change}");
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
        eprintln!("{done}: version {version} of the models is in force");
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
fn explain(refused: &Refused, file: &Path) -> Failed {
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

// -- Serving ------------------------------------------------------------------------------------

fn serve(database: &Database, args: &ServeArgs) -> Result<(), Failed> {
    let store = Store::open(database.location(config::DATABASE)?, Missing::Create, args.query_timeout)?;
    if let Some(file) = &args.models {
        apply_file(&store, file, false, false)?;
    }
    let usable = {
        let reader = store.reader().map_err(described)?;
        let now = time::now();
        auth::list(&reader).map_err(described)?.iter().any(|key| key.state(&now) == "active")
    };
    if !usable {
        eprintln!("there is no usable key yet; `jqlite bootstrap` makes the first");
    }
    start(store, args, |url, store| {
        if database.json {
            let members = vec![
                ("url".to_owned(), Json::String(url.to_owned())),
                ("db".to_owned(), Json::String(store.location().to_string())),
                ("pid".to_owned(), Json::Integer(i64::from(std::process::id()))),
            ];
            Json::Object(members).to_string()
        } else {
            format!("serving {} at {url}", store.location())
        }
    })
}

/// Serves until it is told to stop. `ready` makes what is printed when requests are accepted.
fn start(store: Store, args: &ServeArgs, ready: impl FnOnce(&str, &Store) -> String) -> Result<(), Failed> {
    warn_of_readers(store.location());
    let settings =
        Settings { workers: usize::from(args.workers), max_body: args.max_body, idle_timeout: args.idle_timeout };
    let listener =
        server::listen(args.listen, &settings).map_err(|error| format!("cannot listen on {}: {error}", args.listen))?;
    let address = listener.local_addr().map_err(|error| error.to_string())?;
    let writer = store.writer().map_err(described)?;
    let writer = Writer::start(writer, args.log_retention).map_err(|error| error.to_string())?;
    let line = ready(&format!("http://{address}"), &store);
    let mut jql_paths = vec!["/jql".to_owned()];
    jql_paths.extend(args.jql_path.clone());
    let app = Arc::new(App {
        store,
        writer,
        limits: Limits { max_limit: args.max_limit },
        jql_paths,
        cors_origins: args.cors_origin.clone(),
        stopping: AtomicBool::new(false),
    });
    server::watch_panics();
    server::run(app, listener, &settings, || print_line(&line)).map_err(|error| error.to_string())
}

/// Others on this machine who can read the file can read the records.
fn warn_of_readers(location: &Location) {
    #[cfg(unix)]
    if let Location::File(path) = location
        && let Ok(metadata) = std::fs::metadata(path)
        && std::os::unix::fs::PermissionsExt::mode(&metadata.permissions()) & 0o077 != 0
    {
        eprintln!("others on this machine can reach {0}; `chmod 600 {0}` keeps them out", path.display());
    }
}

const EXAMPLE_MODELS: &str = include_str!("../examples/models.json");
const EXAMPLE_RECORDS: &str = include_str!("../examples/records.jsonl");
/// What the key of a quickstart is called; each start makes a new one in place of the last.
const QUICKSTART_KEY: &str = "quickstart";

fn quickstart(database: &Database, args: &ServeArgs) -> Result<(), Failed> {
    let store = Store::open(database.location(config::QUICKSTART)?, Missing::Create, args.query_timeout)?;
    let key = prepare_quickstart(&store, args.models.as_deref())?;
    start(store, args, |url, store| {
        if database.json {
            let members = vec![
                ("url".to_owned(), Json::String(url.to_owned())),
                ("db".to_owned(), Json::String(store.location().to_string())),
                ("pid".to_owned(), Json::Integer(i64::from(std::process::id()))),
                ("key".to_owned(), key.reveal().into()),
            ];
            return Json::Object(members).to_string();
        }
        eprintln!("serving {} at {url}; Ctrl-C stops it\n\nPaste this into another terminal:\n", store.location());
        curl_line(url, &key)
    })
}

/// Models, a few records and a key.
fn prepare_quickstart(store: &Store, models: Option<&Path>) -> Result<KeyText, Failed> {
    let session = store.writer().map_err(described)?;
    session.unlimited();
    let catalogue = store.catalogue(&session).map_err(described)?;
    if let Some(file) = models {
        apply_file(store, file, false, false)?;
    } else if catalogue.version == 0 {
        let definition = Json::parse(EXAMPLE_MODELS.as_bytes()).map_err(|error| error.to_string())?;
        apply::apply(&session, &catalogue, &definition, false)
            .map_err(|refused| explain(&refused, Path::new("models.json")))?;
        for line in EXAMPLE_RECORDS.lines() {
            let (reply, _) = as_operator(store, &session, line.as_bytes());
            if reply.status != 200 {
                return Err(String::from_utf8_lossy(&reply.body).into_owned());
            }
        }
    }
    let make = || {
        for key in auth::list(&session)?.iter().filter(|key| key.name == QUICKSTART_KEY) {
            auth::delete(&session, key)?;
        }
        auth::create(&session, QUICKSTART_KEY, &everything(), None)
    };
    session.writing(make).map_err(described)
}

/// A request to paste, on one line.
fn curl_line(url: &str, key: &KeyText) -> String {
    let request = r#"{"__meta__": {"authenticationClass": "apiKey", "intent": "retrieve", "namespace": "tickets.Ticket", "schema": "model", "filter": {"status": "open"}, "limit": 10, "offset": 0}, "id": null, "title": null, "description": null, "status": null}"#;
    format!(
        "curl -s {url}/jql -H 'Authorization: Bearer {}' -H 'Content-Type: application/json' -d '{request}'",
        key.reveal()
    )
}

// -- The rest -----------------------------------------------------------------------------------

fn logs(database: &Database, args: LogsArgs) -> Result<(), Failed> {
    let key = match &args.key {
        Some(named) => Some(auth::find(all_keys(database)?, named)?.public_id),
        None => None,
    };
    let store = database.open(Missing::Refuse)?;
    let reader = store.reader().map_err(described)?;
    let wanted = Wanted { since: args.since, key, status: args.status, most: args.last };
    let entries = usage::list(&reader, &wanted).map_err(described)?;
    if database.json {
        // A line for each entry, so that a long log can be read as it comes.
        let mut out = Vec::new();
        for entry in &entries {
            let members = usage::COLUMNS.iter().zip(entry).map(|(name, cell)| ((*name).to_owned(), to_json(cell)));
            Json::Object(members.collect()).write(&mut out);
            out.push(b'\n');
        }
        return print(&out);
    }
    let shown = ["at", "key", "namespace", "intent", "status", "code", "rows", "duration_us", "remote_addr"];
    let places: Vec<usize> =
        shown.iter().filter_map(|name| usage::COLUMNS.iter().position(|column| column == name)).collect();
    let rows: Vec<Vec<Scalar>> =
        entries.iter().map(|entry| places.iter().map(|place| entry[*place].clone()).collect()).collect();
    print_table(false, &shown, &rows)
}

fn query(database: &Database, file: &Path) -> Result<(), Failed> {
    let body = read_file(file)?;
    let store = database.open(Missing::Refuse)?;
    let session = store.writer().map_err(described)?;
    session.unlimited();
    let (reply, errors) = as_operator(&store, &session, &body);
    print(&reply.body)?;
    print_line("")?;
    match errors.first() {
        None => Ok(()),
        Some(error) => Err(error.problem.to_string()),
    }
}

/// Carries out a request for whoever owns the file.
fn as_operator(store: &Store, session: &Session, body: &[u8]) -> (Reply, Errors) {
    let mut echo = Echo::default();
    let outcome = session.writing(|| {
        let (request, malformed) = request::parse(body)?;
        echo = Echo::of(&request);
        let catalogue = store.catalogue(session)?;
        let limits = Limits { max_limit: config::MAX_LIMIT };
        let plan = plan::build(&catalogue, &auth::operator(), &request, malformed, limits, &time::now())?;
        session.start();
        let outcome = run::plan(session, &plan)?;
        Ok::<Reply, Errors>(envelope::success(&plan, request.intent, &echo, &outcome, session.queries()))
    });
    match outcome {
        Ok(reply) => (reply, Vec::new()),
        Err(errors) => (envelope::failure(&errors, &echo, 0), errors),
    }
}

fn check(database: &Database) -> Result<(), Failed> {
    let store = database.open(Missing::Refuse)?;
    let reader = store.reader().map_err(described)?;
    if std::io::stderr().is_terminal() {
        eprintln!("reading all of {}", store.location());
    }
    let mut found = store::integrity(&reader).map_err(described)?;
    let catalogue = store.catalogue(&reader).map_err(described)?;
    found.extend(apply::check(&reader, &catalogue).map_err(described)?);
    for key in auth::list(&reader).map_err(described)? {
        if let Err(why) = key.permissions.parse::<Permissions>() {
            found.push(format!("the key {}: {why}", key.public_id));
        }
    }
    if database.json {
        let mut out = Vec::new();
        write_list(found.iter(), &mut out, |finding, out| crate::json::write_string(finding, out));
        out.push(b'\n');
        print(&out)?;
    } else if found.is_empty() {
        let models = catalogue.models().count();
        print_line(&format!("{} is sound: {models} models", store.location()))?;
    }
    if found.is_empty() {
        Ok(())
    } else {
        Err(found.iter().map(|finding| plain(finding)).collect::<Vec<_>>().join("\n"))
    }
}
