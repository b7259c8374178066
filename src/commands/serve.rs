//! `serve` and `quickstart`.

use super::keys::everything;
use super::models::{apply_file, explain, mistakes};
use super::{Database, as_operator, data, described};
use crate::about::PAGES;
use crate::admin;
use crate::apply;
use crate::auth::keys;
use crate::auth::text::KeyText;
use crate::budget::Budget;
use crate::cache::Cache;
use crate::cli::{LogFormat, ServeArgs};
use crate::config;
use crate::error::plain;
use crate::fixture::Fixture;
use crate::handle::App;
use crate::idempotency::InFlight;
use crate::json::{Json, Object};
use crate::log::{self, Level};
use crate::metrics::Metrics;
use crate::model::parse;
use crate::plan::Limits;
use crate::rate::Rates;
use crate::server::{self, Settings};
use crate::store::{Failure, Location, Missing, Session, Store};
use crate::terminal::{Failed, print_line};
use crate::usage::Retention;
use crate::value::time;
use crate::writer::Writer;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize};

pub fn serve(database: &Database, args: &ServeArgs) -> Result<(), Failed> {
    prepare(args)?;
    let store = Store::open(database.location(config::DATABASE)?, Missing::Create, args.query_timeout)?;
    if let Some(file) = &args.models {
        apply_file(&store, file, false, false)?;
    }
    data::seed(&store, &args.data)?;
    let usable = {
        let reader = store.reader().map_err(described)?;
        let now = time::now();
        keys::list(&reader).map_err(described)?.iter().any(|key| key.state(&now) == "active")
    };
    if !usable {
        let why = "there is no usable key yet; `jqlite bootstrap` makes the first";
        log::message(Level::Warning, format_args!("{why}"));
    }
    start(store, args, None, |url, store| {
        Ok(match database.json {
            true => Json::Object(whereabouts(url, store)).to_string(),
            false => format!("serving {} at {url}", store.location()),
        })
    })
}

/// What comes before anything is opened.
pub fn prepare(args: &ServeArgs) -> Result<(), Failed> {
    if let Some(path) = &args.jql_path {
        let instead = "take another path";
        if PAGES.iter().any(|about| about.path == path) {
            return Err(format!("--jql-path {path} is where the server tells of itself; {instead}"));
        }
        if !args.no_admin && admin::file(path).is_some() {
            return Err(format!(
                "--jql-path {path} is where the admin page is; {instead}, or leave it out with --no-admin"
            ));
        }
    }
    open_log(args);
    drop(std::hint::black_box(Vec::<u8>::with_capacity(LARGE)));
    Ok(())
}

/// The allocator of glibc gives memory back to the system as soon as 128 KiB are free at the end of what it holds, and asks
/// for it again at once: with 64 clients that create records that took a sixth of the processor. It keeps more once it saw a
/// block of this size come and go: <https://man7.org/linux/man-pages/man3/mallopt.3.html>, `M_MMAP_THRESHOLD`.
const LARGE: usize = 1 << 20;

/// From here on all that goes to standard error, panics too, is of the form that was asked for.
fn open_log(args: &ServeArgs) {
    if args.log_format == LogFormat::Json {
        log::as_json();
    }
    log::panics();
}

/// Where a server is, for scripts.
pub fn whereabouts(url: &str, store: &Store) -> Object {
    vec![
        ("url".into(), Json::String(url.to_owned())),
        ("db".into(), Json::String(store.location().to_string())),
        ("pid".into(), Json::Integer(i64::from(std::process::id()))),
    ]
}

/// Serves until it is told to stop. `ready` makes what is printed when requests are accepted; it is called
/// once the address is ours.
pub fn start(
    store: Store,
    args: &ServeArgs,
    fixture: Option<Fixture>,
    ready: impl FnOnce(&str, &Store) -> Result<String, Failed>,
) -> Result<(), Failed> {
    warn_of_readers(store.location());
    let settings = Settings {
        max_body: args.max_body,
        idle_timeout: args.idle_timeout,
        max_connections: args.max_connections,
        proxies: args.trusted_proxy.clone().unwrap_or_default(),
    };
    let listener = server::listen(args.listen).map_err(|error| {
        format!(
            "cannot listen on {}: {error}; name another address with --listen (port 0 picks a free one)",
            args.listen
        )
    })?;
    let address = listener.local_addr().map_err(|error| error.to_string())?;
    let writer = store.writer().map_err(described)?;
    let kept = Retention { age: args.log_retention, rows: args.log_rows };
    let metrics = Arc::new(Metrics::default());
    let writer = Writer::start(writer, kept, args.query_timeout, metrics.clone())
        .map_err(|error| format!("cannot start the thread that writes: {error}"))?;
    let line = ready(&format!("http://{address}"), &store)?;
    let mut jql_paths = vec!["/jql".to_owned()];
    jql_paths.extend(args.jql_path.clone());
    let app = Arc::new(App {
        store,
        writer,
        cache: Cache::new(args.cache_size),
        in_flight: InFlight::default(),
        fixture,
        rates: Rates::default(),
        answers: Budget::new(config::ANSWERS),
        metrics,
        connections: AtomicUsize::new(0),
        max_key_age: args.max_key_age,
        limits: Limits { max_limit: args.max_limit },
        jql_paths,
        cors_origins: args.cors_origin.clone(),
        has_admin: !args.no_admin,
        stopping: AtomicBool::new(false),
    });
    server::run(app, listener, &settings, || print_line(&line)).map_err(|error| format!("cannot serve: {error}"))
}

/// Others on this machine who can read the file can read the records.
fn warn_of_readers(location: &Location) {
    #[cfg(unix)]
    if let Location::File(path) = location
        && let Ok(metadata) = std::fs::metadata(path)
        && std::os::unix::fs::PermissionsExt::mode(&metadata.permissions()) & 0o077 != 0
    {
        let path = path.display();
        let why = format_args!("others on this machine can reach {path}; `chmod 600 {path}` keeps them out");
        log::message(Level::Warning, why);
    }
}

const EXAMPLE_MODELS: &str = include_str!("../../examples/models.json");
const EXAMPLE_RECORDS: &str = include_str!("../../examples/records.jsonl");
/// What the key of a quickstart is called; each start makes a new one in place of the last.
const QUICKSTART_KEY: &str = "quickstart";

pub fn quickstart(database: &Database, args: &ServeArgs) -> Result<(), Failed> {
    open_log(args);
    let store = Store::open(database.location(config::QUICKSTART)?, Missing::Create, args.query_timeout)?;
    let session = store.writer().map_err(described)?;
    session.unlimited();
    refuse_database_in_use(&store, &session)?;
    match &args.models {
        Some(file) => apply_file(&store, file, false, false)?,
        None => make_examples(&store, &session)?,
    }
    start(store, args, None, |url, store| {
        let key = session.writing(|| replace_key(&session)).map_err(described)?;
        if database.json {
            let mut members = whereabouts(url, store);
            members.push(("key".into(), key.reveal().into()));
            return Ok(Json::Object(members).to_string());
        }
        let place = store.location();
        let page = match args.no_admin {
            true => String::new(),
            false => format!("Open {url}/ in a browser, and sign in with the key on the first line below.\n"),
        };
        let how = format_args!(
            "serving {place} at {url}; Ctrl-C stops it\n\n{page}Paste the other line into another terminal:\n"
        );
        log::message(Level::Info, how);
        Ok(format!("{}\n\n{}", key.reveal(), curl_line(url, &key)))
    })
}

/// A database that somebody works with is not to get a key that may do everything by the way.
fn refuse_database_in_use(store: &Store, session: &Session) -> Result<(), Failed> {
    let keys = keys::list(session).map_err(described)?;
    match keys.iter().find(|key| key.name != QUICKSTART_KEY) {
        Some(key) => Err(format!(
            "{} has keys of its own, \"{}\" among them; `jqlite serve` serves it",
            store.location(),
            plain(&key.name)
        )),
        None => Ok(()),
    }
}

/// The example models, and a few records where they are new.
fn make_examples(store: &Store, session: &Session) -> Result<(), Failed> {
    let catalogue = store.catalogue(session).map_err(described)?;
    if catalogue.version > 0 {
        return Ok(());
    }
    let definition = Json::parse(EXAMPLE_MODELS.as_bytes()).map_err(|error| error.to_string())?;
    let definition = parse::definition(&definition).map_err(|errors| mistakes(&errors, Path::new("models.json")))?;
    session
        .rebuilding(|| apply::apply(session, &catalogue, &definition, false))
        .map_err(|refused| explain(&refused))?;
    for line in EXAMPLE_RECORDS.lines() {
        let (reply, _) = as_operator(store, session, line.as_bytes());
        if reply.status != 200 {
            return Err(String::from_utf8_lossy(&reply.body).into_owned());
        }
    }
    Ok(())
}

/// A new key in place of the last start's, whose text is gone.
fn replace_key(session: &Session) -> Result<KeyText, Failure> {
    for key in keys::list(session)?.iter().filter(|key| key.name == QUICKSTART_KEY) {
        keys::delete(session, key)?;
    }
    let (name, permissions) = (QUICKSTART_KEY.to_owned(), everything());
    keys::create(session, &keys::Settings { name, permissions, ..keys::Settings::default() })
}

/// A request to paste, on one line.
fn curl_line(url: &str, key: &KeyText) -> String {
    let request = r#"{"__meta__": {"authenticationClass": "apiKey", "intent": "retrieve", "namespace": "tickets.Ticket", "schema": "model", "filter": {"status": "open"}, "limit": 10, "offset": 0}, "id": null, "title": null, "description": null, "status": null}"#;
    format!(
        "curl -s {url}/jql -H 'Authorization: Bearer {}' -H 'Content-Type: application/json' -d '{request}'",
        key.reveal()
    )
}
