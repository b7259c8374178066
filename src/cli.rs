//! The command line: words -> [`Command`]. No input or output.

use crate::access::{Namespace, Permissions, SYSTEM};
use crate::config;
use crate::intent::{self, Intent, Schema};
use crate::network::Networks;
use crate::value::time;
use clap::{Args, Parser, Subcommand, ValueEnum};
use jiff::{SignedDuration, Timestamp};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

/// JQL over HTTP from one SQLite file, with API keys and a usage log.
#[derive(Debug, Parser)]
#[command(name = "jqlite", version, arg_required_else_help = true, max_term_width = 100)]
#[command(
    after_help = "Start with:\n  jqlite quickstart\n\nor with a database of your own:\n  jqlite bootstrap\n  jqlite models apply models.json\n  jqlite serve"
)]
pub struct Cli {
    /// The database file; `:memory:` for one that is gone with the process [default: jqlite.db in the
    /// platform's folder for data]
    #[arg(long, global = true, env = "JQLITE_DB", value_name = "FILE", hide_env_values = true)]
    pub db: Option<PathBuf>,

    /// Print results as JSON
    #[arg(long, global = true)]
    pub json: bool,

    #[command(subcommand)]
    pub command: Command,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Serve example models and records from a database of their own, with a key to try them
    #[command(after_help = "Example:\n  jqlite quickstart --listen 127.0.0.1:8080")]
    Quickstart(ServeArgs),

    /// Make the database and the first key, which may do everything
    #[command(after_help = "The key goes to standard output, so that a script can take it:\n  KEY=$(jqlite bootstrap)")]
    Bootstrap {
        /// What the key is called
        #[arg(long, default_value = "bootstrap", value_parser = key_name)]
        name: String,
        /// Do nothing, and succeed, where a usable key exists
        #[arg(long)]
        if_needed: bool,
    },

    /// Answer JQL over HTTP
    #[command(
        after_help = "Examples:\n  jqlite serve\n  jqlite --db app.db serve --listen 127.0.0.1:8080 --models models.json\n  jqlite serve --listen 127.0.0.1:0 --json      (a free port, told as JSON)\n  jqlite serve --log-retention 90d --log-rows 5000000 --log-format json\n  jqlite serve --ephemeral --models models.json --listen 127.0.0.1:0 --json      (for tests)\n  jqlite serve --ephemeral --models models.json --data seed/ --now 2026-01-31 --id-seed 1      (the same each time)"
    )]
    Serve {
        #[command(flatten)]
        args: ServeArgs,
        #[command(flatten)]
        ephemeral: EphemeralArgs,
    },

    /// Make, list and end API keys
    #[command(subcommand)]
    Keys(KeysCommand),

    /// Hold the keys against good practice, and tell what to mend and how
    #[command(
        after_help = "Examples:\n  jqlite audit\n  jqlite audit --window 7d --max-age 30d\n  jqlite audit --recent 1d --json      (once a day, from a timer)\n\nIt fails (1) where anything is found. Each finding comes with its reason, what it was seen by, and the command that mends it. What a request reads by nesting or filtering is not in the log, so permissions that it may need for that are kept; keys that send batches or make other keys are not judged by what they use."
    )]
    Audit(AuditArgs),

    /// Define what records look like
    #[command(subcommand)]
    Models(ModelsCommand),

    /// Show the usage log
    #[command(
        after_help = "Examples:\n  jqlite logs --since 1h\n  jqlite logs --status 4xx --key ci\n  jqlite logs --follow --json\n  jqlite logs --stats --since 24h\n  jqlite logs --json --last 1000 > log.jsonl"
    )]
    Logs(LogsArgs),

    /// Run one JQL request on the file, as its owner
    #[command(
        after_help = "Example:\n  echo '{\"__meta__\": {\"intent\": \"count\", \"namespace\": \"tickets.Ticket\"}}' | jqlite query -"
    )]
    Query {
        /// A file with the request; `-` for standard input
        file: PathBuf,
    },

    /// Bring records in from files, and out into files
    #[command(subcommand)]
    Data(DataCommand),

    /// Copy the database into a file, also while it is served
    #[command(
        after_help = "Examples:\n  jqlite backup /var/backups/jqlite.db --replace\n  jqlite --db app.db backup app-$(date +%F).db\n\nThe copy is of one moment, checked, and complete in the one file, which only you can read. Nobody waits for it. `jqlite restore FILE` puts it in place."
    )]
    Backup {
        /// The file to make
        file: PathBuf,
        /// Put it in the place of a file of that name
        #[arg(long)]
        replace: bool,
    },

    /// Put a backup in the place of the database; nobody may be serving it
    #[command(
        after_help = "Example:\n  jqlite --db app.db restore app-2026-11-28.db\n\nThe backup is checked first, and only read. The database that was there is kept beside it, under a name that tells when."
    )]
    Restore {
        /// A file that `jqlite backup` made
        file: PathBuf,
    },

    /// Check the file, the models and the keys for damage
    Check,

    /// Ask a server whether it is ready
    #[command(
        after_help = "Examples:\n  jqlite healthcheck\n  jqlite healthcheck --url http://127.0.0.1:8080 --wait 10s\n\nIt succeeds (0) where GET /readyz is answered with 200 within 3 s, and fails (1) elsewhere. It needs no key, no database and no other program."
    )]
    Healthcheck {
        /// Where the server listens
        #[arg(long, default_value = config::URL, value_name = "URL", value_parser = host)]
        url: String,
        /// Wait for so long until it is
        #[arg(long, value_name = "TIME", value_parser = short_time)]
        wait: Option<Duration>,
    },

    /// Print a script that completes commands in a shell
    #[command(after_help = "Example:\n  jqlite completions bash > /etc/bash_completion.d/jqlite")]
    Completions { shell: clap_complete::Shell },

    /// Print the manual page, or write one of each command into a folder
    #[command(after_help = "Examples:\n  jqlite man | man -l -\n  jqlite man --out /usr/local/share/man/man1")]
    Man {
        /// The folder; it is made where there is none
        #[arg(long, value_name = "FOLDER")]
        out: Option<PathBuf>,
    },
}

#[derive(Debug, Args)]
pub struct ServeArgs {
    /// The address to listen on; port 0 picks a free one
    #[arg(long, default_value = config::LISTEN, value_name = "ADDRESS:PORT")]
    pub listen: SocketAddr,

    /// Apply these models first
    #[arg(long, value_name = "FILE")]
    pub models: Option<PathBuf>,

    /// Load these records where there are none yet: a file, or a folder of files in the order of their names (see
    /// `data load`); may be given several times
    #[arg(long, value_name = "FILE")]
    pub data: Vec<PathBuf>,

    /// Answer JQL on this path too
    #[arg(long, value_name = "PATH", value_parser = path)]
    pub jql_path: Option<String>,

    /// Let pages of this origin send requests; may be given several times
    #[arg(long, value_name = "ORIGIN", value_parser = origin)]
    pub cors_origin: Vec<String>,

    /// Serve no admin page
    #[arg(long)]
    pub no_admin: bool,

    /// The highest `limit` of a page
    #[arg(long, default_value_t = config::MAX_LIMIT, value_name = "RECORDS", value_parser = clap::value_parser!(u64).range(1..=100_000))]
    pub max_limit: u64,

    /// The largest body of a request
    #[arg(long, default_value_t = config::MAX_BODY, value_name = "BYTES")]
    pub max_body: usize,

    /// The bytes of answers kept in memory for requests that allow it (`cache`); 0 keeps none
    #[arg(long, default_value_t = config::CACHE, value_name = "BYTES")]
    pub cache_size: usize,

    /// Stop a statement that runs longer
    #[arg(long, default_value = "10s", value_name = "TIME", value_parser = short_time)]
    pub query_timeout: Duration,

    /// Cut a connection that says nothing for so long
    #[arg(long, default_value = "60s", value_name = "TIME", value_parser = short_time)]
    pub idle_timeout: Duration,

    /// Refuse keys whose secret is older; `keys rotate` makes a new one
    #[arg(long, value_name = "TIME", value_parser = time::parse_duration)]
    pub max_key_age: Option<SignedDuration>,

    /// Believe these proxies when they say in X-Forwarded-For who the client is: networks, with commas between them
    #[arg(long, value_name = "NETWORKS")]
    pub trusted_proxy: Option<Networks>,

    /// How long the usage log is kept
    #[arg(long, default_value = "30d", value_name = "TIME", value_parser = time::parse_duration)]
    pub log_retention: SignedDuration,

    /// The most entries kept in the usage log: the oldest beyond them go, however young they are
    #[arg(long, value_name = "ENTRIES", value_parser = clap::value_parser!(u64).range(1..=1_000_000_000_000))]
    pub log_rows: Option<u64>,

    /// The form of the server's own log, on standard error: text for people, or a JSON object an event
    #[arg(long, value_enum, default_value_t = LogFormat::Text, value_name = "FORMAT")]
    pub log_format: LogFormat,

    /// The most connections at one time
    #[arg(long, default_value_t = config::MAX_CONNECTIONS, value_name = "CONNECTIONS")]
    pub max_connections: usize,
}

/// What makes a server one for tests.
#[derive(Debug, Args)]
pub struct EphemeralArgs {
    /// Serve tests: a database in memory, gone at the end, with a key for everything in the line that tells that it is
    /// ready, and `system.Fixture` to put it back to the seed and to set its clock
    #[arg(long)]
    pub ephemeral: bool,

    /// Begin with the clock stopped at this moment; `system.Fixture` moves it
    #[arg(long, value_name = "MOMENT", value_parser = time::parse_timestamp, requires = "ephemeral")]
    pub now: Option<Timestamp>,

    /// Draw ids, keys and the ids of requests from this seed, so that they are the same each time
    #[arg(long, value_name = "NUMBER", requires = "ephemeral")]
    pub id_seed: Option<u64>,

    /// End when the process that started it is gone
    #[arg(long, requires = "ephemeral")]
    pub with_parent: bool,
}

#[derive(Debug, Subcommand)]
pub enum KeysCommand {
    /// Make a key and print it, this once
    #[command(
        after_help = "Example:\n  jqlite keys create --name ci --allow tickets.Ticket:read,profile.Customer:create --expires 90d"
    )]
    Create {
        /// What the key is called
        #[arg(long, value_parser = key_name)]
        name: String,
        /// What it may do: <app>.<Model>:<action>, with commas between several
        #[arg(long, value_name = "PERMISSIONS", value_parser = permissions)]
        allow: Vec<Permissions>,
        /// When it ends: a time from now (90d), a date (2027-01-31), a moment, or `never`
        #[arg(long, default_value = "never", value_name = "WHEN", value_parser = expiry)]
        expires: Expiry,
        /// Requests a minute; more are answered with 429
        #[arg(long, value_name = "REQUESTS", value_parser = clap::value_parser!(u32).range(1..))]
        rate: Option<u32>,
        /// The networks it may be used from, with commas between them: 10.0.0.0/8,2001:db8::/32
        #[arg(long, value_name = "NETWORKS")]
        allowed_ips: Option<Networks>,
        /// Write the key to a new file that only you can read, instead of printing it
        #[arg(long, value_name = "FILE")]
        key_out: Option<PathBuf>,
    },
    /// List all keys, with what needs attention
    List,
    /// Show one key, its secret aside
    Show {
        /// Its id or its name
        key: String,
    },
    /// Change what a key is called, what it may do, and how long, how often and from where
    #[command(
        after_help = "Examples:\n  jqlite keys update ci --allow tickets.Ticket:read\n  jqlite keys update ci --rate 600 --allowed-ips 10.0.0.0/8\n  jqlite keys update ci --expires never --rate none --allowed-ips any\n\nWhat is not named stays as it is. The very next request with the key feels it."
    )]
    Update {
        /// Its id or its name
        key: String,
        /// What the key is called from now on
        #[arg(long, value_parser = key_name)]
        name: Option<String>,
        /// What it may do, in place of what it might before
        #[arg(long, value_name = "PERMISSIONS", value_parser = permissions)]
        allow: Vec<Permissions>,
        /// When it ends: a time from now (90d), a date (2027-01-31), a moment, or `never`
        #[arg(long, value_name = "WHEN", value_parser = expiry)]
        expires: Option<Expiry>,
        /// Requests a minute, or `none` for as many as there are
        #[arg(long, value_name = "REQUESTS", value_parser = rate)]
        rate: Option<Setting<u32>>,
        /// The networks it may be used from, or `any`
        #[arg(long, value_name = "NETWORKS", value_parser = networks)]
        allowed_ips: Option<Setting<Networks>>,
    },
    /// Give a key a new secret, and print it, this once; what it is and may do stays
    #[command(
        after_help = "Examples:\n  jqlite keys rotate ci                 (the old secret ends at once)\n  jqlite keys rotate ci --overlap 24h   (it works for another day)\n  jqlite keys rotate ci --end-overlap   (it ends now after all)\n\n`jqlite logs --key OLD-ID` tells who still uses the old one."
    )]
    Rotate {
        /// Its id or its name
        key: String,
        /// How long the old secret still works
        #[arg(long, value_name = "TIME", value_parser = time::parse_duration, conflicts_with = "end_overlap")]
        overlap: Option<SignedDuration>,
        /// Make no new secret, but end the overlap of the last rotation now
        #[arg(long, conflicts_with = "key_out")]
        end_overlap: bool,
        /// Write the new secret to a new file that only you can read, instead of printing it
        #[arg(long, value_name = "FILE")]
        key_out: Option<PathBuf>,
    },
    /// Stop a key until it is enabled again
    Disable {
        /// Its id or its name
        key: String,
    },
    /// Let a disabled key in again
    Enable {
        /// Its id or its name
        key: String,
    },
    /// End a key for good, at once; it stays in the list
    Revoke {
        /// Its id or its name
        key: String,
    },
    /// Remove a key; what it did stays in the log
    Delete {
        /// Its id or its name
        key: String,
    },
    /// Tell which permission lets a key do something, or which it lacks
    #[command(after_help = "Example:\n  jqlite keys explain ci tickets.Ticket update")]
    Explain {
        /// Its id or its name
        key: String,
        /// The model: <app>.<Model>
        #[arg(value_parser = namespace)]
        namespace: Namespace,
        /// What a request would want done: retrieve, create, …
        #[arg(value_parser = intent)]
        intent: Intent,
    },
}

#[derive(Debug, Subcommand)]
pub enum ModelsCommand {
    /// Put the models of a file into force
    #[command(after_help = "Example:\n  jqlite models apply models.json")]
    Apply {
        /// A models.json
        file: PathBuf,
        /// Go on where stored values would be lost
        #[arg(long)]
        allow_data_loss: bool,
    },
    /// Show what applying a file would change, and what would be lost
    Diff {
        /// A models.json
        file: PathBuf,
    },
    /// Make models of the tables of another SQLite file, and records of their rows
    #[command(
        after_help = "Examples:\n  jqlite models import shop.sqlite --dry-run\n  jqlite --db app.db models import shop.sqlite --app shop --rename 'Order Details=OrderLine'\n  jqlite models import shop.sqlite --dry-run --json | jq .models > models.json\n\nThe file is only read, and nothing that it brings along runs. Types are those that its values really have. Keys, references, unique values, indexes, defaults and lists of values are taken over, and each row is checked as a record that a client makes. What cannot be taken over is told with its reason, as is whatever is written in another way from then on.\n\nIt is all or nothing: where a row is refused, up to 100 of them are told, with table, row id and reason, and nothing changes. With --rejects they go into a file, and the rest is taken over."
    )]
    Import(ImportArgs),
    /// Print the models in force, as they were applied, or as other programs read them
    #[command(
        after_help = "Examples:\n  jqlite models show > models.json\n  jqlite models show --format typescript > models.ts\n  jqlite models show --format openapi > openapi.json"
    )]
    Show {
        #[arg(long, value_enum, default_value_t = ModelsFormat::Models)]
        format: ModelsFormat,
    },
    /// List all versions that were applied
    History,
}

#[derive(Debug, Args)]
pub struct ImportArgs {
    /// A SQLite file of another program
    pub file: PathBuf,
    /// The app of the models [default: made of the name of the file]
    #[arg(long, value_name = "NAME", value_parser = app)]
    pub app: Option<String>,
    /// The name of the model that a table becomes; may be given several times
    #[arg(long, value_name = "TABLE=NAME", value_parser = model_name)]
    pub rename: Vec<(String, String)>,
    /// Write rows that are refused to this file, with table, row id and reason, and take over the rest
    #[arg(long, value_name = "FILE")]
    pub rejects: Option<PathBuf>,
    /// Show what would be made of the file, and change nothing; with --json the models.json too
    #[arg(long, conflicts_with = "rejects")]
    pub dry_run: bool,
}

#[derive(Debug, Subcommand)]
pub enum DataCommand {
    /// Load records from JSON Lines or CSV, each checked as one that a client makes
    #[command(
        after_help = "Examples:\n  jqlite data load tickets.Ticket.jsonl\n  jqlite data load seed/                     (a folder: its files in the order of their names)\n  jqlite data load people.csv --model profile.Customer --map 'E-mail=email' --ignore Notes\n  jqlite data load big.csv --model tickets.Ticket --rejects rejects.jsonl --resume\n\nThe name of a file tells its model, be it tickets.Ticket.csv or 03-tickets.Ticket.jsonl, unless --model does. A record may bring its id, and what the server would set. It may refer to one that comes later.\n\nIt is all or nothing: where anything is wrong, up to 100 mistakes are told, with their lines, and nothing is loaded. With --rejects what is refused goes into a file, and the rest is loaded. With --resume it is loaded in steps, each of which stays, and the same command goes on behind them where it was cut off."
    )]
    Load(LoadArgs),
    /// Write records out as JSON Lines or CSV, as they load again
    #[command(
        after_help = "Examples:\n  jqlite data dump dump/                       (all models, a file each)\n  jqlite data dump --model tickets.Ticket --format csv > tickets.csv\n\nAll of it is of one moment. In CSV an empty cell is null, and a ' stands before a text that a spreadsheet would take for a formula; `data load` takes it away again."
    )]
    Dump(DumpArgs),
}

#[derive(Debug, Args)]
pub struct LoadArgs {
    /// Files, or folders of them; `-` for standard input
    #[arg(required = true, value_name = "FILE")]
    pub files: Vec<PathBuf>,
    /// The model of the records: <app>.<Model>
    #[arg(long, value_parser = namespace)]
    pub model: Option<Namespace>,
    /// The form of the files, where their names do not tell
    #[arg(long, value_enum)]
    pub format: Option<FileFormat>,
    /// What the files call a field; may be given several times
    #[arg(long, value_name = "NAME=FIELD", value_parser = mapping)]
    pub map: Vec<(String, String)>,
    /// A column or member that is not loaded; may be given several times
    #[arg(long, value_name = "NAME")]
    pub ignore: Vec<String>,
    /// What parts the cells of CSV
    #[arg(long, default_value = ",", value_name = "CHARACTER", value_parser = delimiter)]
    pub delimiter: u8,
    /// Write what is refused to this file, with line and reason, and load the rest
    #[arg(long, value_name = "FILE")]
    pub rejects: Option<PathBuf>,
    /// Load in steps that stay, and go on where an earlier run was cut off
    #[arg(long)]
    pub resume: bool,
    /// Check everything, and load nothing
    #[arg(long, conflicts_with = "resume")]
    pub dry_run: bool,
}

#[derive(Debug, Args)]
pub struct DumpArgs {
    /// A folder to write a file for each model to; without it, the records of one model go to standard output
    pub folder: Option<PathBuf>,
    /// Only this model; may be given several times
    #[arg(long, value_parser = namespace)]
    pub model: Vec<Namespace>,
    /// The form of the files
    #[arg(long, value_enum, default_value_t = FileFormat::Jsonl)]
    pub format: FileFormat,
}

#[derive(Debug, Args)]
pub struct LogsArgs {
    /// Only what is younger, such as 15m, 1h or 7d, or later than a moment
    #[arg(long, value_name = "TIME", value_parser = since)]
    pub since: Option<String>,
    /// Only requests of this key: its name, for all secrets that it had, or the id of one of them
    #[arg(long)]
    pub key: Option<String>,
    /// Only this status, or class of them: 403, 4xx
    #[arg(long, value_parser = status)]
    pub status: Option<(u16, u16)>,
    /// Only the newest so many
    #[arg(long, default_value_t = 100, value_name = "ENTRIES", value_parser = clap::value_parser!(u64).range(1..=10_000_000))]
    pub last: u64,
    /// Go on showing what comes, until you stop it
    #[arg(long, short)]
    pub follow: bool,
    /// Show totals instead of entries: requests, refusals and how long they took, by key, namespace, intent and code,
    /// and over time; the percentiles are right to within 1 %
    #[arg(long, conflicts_with_all = ["follow", "last"])]
    pub stats: bool,
}

#[derive(Debug, Args)]
pub struct AuditArgs {
    /// How far back the use of keys and permissions counts
    #[arg(long, default_value = "30d", value_name = "TIME", value_parser = time::parse_some_duration)]
    pub window: SignedDuration,

    /// The age from which on a secret is old
    #[arg(long, default_value = "90d", value_name = "TIME", value_parser = time::parse_some_duration)]
    pub max_age: SignedDuration,

    /// How far back incidents are told of: refusals, new addresses, ended keys in use, unusual hours
    #[arg(long, default_value = "7d", value_name = "TIME", value_parser = time::parse_some_duration)]
    pub recent: SignedDuration,

    /// So many refused requests in a short time are a burst
    #[arg(long, default_value_t = 20, value_name = "REQUESTS", value_parser = clap::value_parser!(u32).range(2..))]
    pub refusals: u32,

    /// What that short time is
    #[arg(long, default_value = "5m", value_name = "TIME", value_parser = time::parse_some_duration)]
    pub within: SignedDuration,
}

/// The form of the server's own log.
#[derive(Clone, Copy, Debug, PartialEq, ValueEnum)]
pub enum LogFormat {
    Text,
    Json,
}

/// The form in which models are shown.
#[derive(Clone, Copy, Debug, PartialEq, ValueEnum)]
pub enum ModelsFormat {
    /// As they were applied
    Models,
    /// OpenAPI 3.1 of all that there is to ask, as a key that may do everything gets it from /openapi.json
    Openapi,
    /// JSON Schema of the records of each model
    Jsonschema,
    /// Types of TypeScript for the records of each model
    Typescript,
}

/// The form of a file of records.
#[derive(Clone, Copy, Debug, PartialEq, ValueEnum)]
pub enum FileFormat {
    /// A JSON object a line
    Jsonl,
    /// A line a record, with the fields' names in the first
    Csv,
}

/// When a key ends, as a stored moment.
#[derive(Clone, Debug, PartialEq)]
pub enum Expiry {
    Never,
    At(String),
}

/// A value, or none.
#[derive(Clone, Debug, PartialEq)]
pub struct Setting<T>(pub Option<T>);

fn mapping(text: &str) -> Result<(String, String), String> {
    let (name, field) = text.rsplit_once('=').ok_or("it is NAME=FIELD")?;
    Ok((name.to_owned(), field.to_owned()))
}

/// An app that models may be of.
fn app(text: &str) -> Result<String, String> {
    let is_own = text == SYSTEM || text.starts_with("sqlite_");
    let is_one = format!("{text}.A").parse::<Namespace>().is_ok_and(|namespace| namespace.app() == text);
    let form = "an app is small letters, digits and _, and neither system nor begins with sqlite_";
    if is_one && !is_own { Ok(text.to_owned()) } else { Err(form.into()) }
}

fn model_name(text: &str) -> Result<(String, String), String> {
    let (table, name) = text.rsplit_once('=').ok_or("it is TABLE=NAME")?;
    let is_one = format!("a.{name}").parse::<Namespace>().is_ok();
    if is_one {
        Ok((table.to_owned(), name.to_owned()))
    } else {
        Err("a model's name is letters and digits, the first a capital: OrderLine".into())
    }
}

fn delimiter(text: &str) -> Result<u8, String> {
    match text.as_bytes() {
        b"\\t" => Ok(b'\t'),
        [one] if !b"\"\r\n".contains(one) => Ok(*one),
        _ => Err("it is one character of ASCII, such as ; or \\t".into()),
    }
}

fn rate(text: &str) -> Result<Setting<u32>, String> {
    match text.parse() {
        _ if text == "none" => Ok(Setting(None)),
        Ok(rate @ 1..) => Ok(Setting(Some(rate))),
        _ => Err("a rate is a whole number from 1, or none".into()),
    }
}

fn networks(text: &str) -> Result<Setting<Networks>, String> {
    if text == "any" { Ok(Setting(None)) } else { text.parse().map(|networks| Setting(Some(networks))) }
}

fn namespace(text: &str) -> Result<Namespace, String> {
    text.parse().map_err(str::to_owned)
}

fn intent(text: &str) -> Result<Intent, String> {
    let found = Intent::named(text, Schema::Model).or_else(|| Intent::named(text, Schema::Controller));
    found.map(|rule| rule.intent).ok_or_else(|| {
        let names: Vec<&str> = Schema::ALL.into_iter().flat_map(intent::of).map(|rule| rule.name).collect();
        format!("the intents are {}", names.join(", "))
    })
}

fn key_name(text: &str) -> Result<String, String> {
    let plain = !text.trim().is_empty() && text.chars().count() <= 100 && !text.contains(char::is_control);
    if plain {
        Ok(text.to_owned())
    } else {
        Err("a name has 1 to 100 characters, none of them a control character".into())
    }
}

fn permissions(text: &str) -> Result<Permissions, String> {
    text.parse()
}

fn path(text: &str) -> Result<String, String> {
    let plain = text.len() > 1
        && text.starts_with('/')
        && text.bytes().all(|byte| byte.is_ascii_graphic() && !b"?#%".contains(&byte));
    if plain { Ok(text.to_owned()) } else { Err("a path starts with / and holds no ?, # or %".into()) }
}

fn origin(text: &str) -> Result<String, String> {
    let plain = text.split_once("://").is_some_and(|(scheme, host)| {
        matches!(scheme, "http" | "https")
            && !host.is_empty()
            && host.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'/')
    });
    if plain {
        Ok(text.to_owned())
    } else {
        Err("an origin is http://host or https://host:port, without a path".into())
    }
}

/// The host and the port of a server's URL.
fn host(text: &str) -> Result<String, String> {
    let host = text.strip_prefix("http://").ok_or("it is http://HOST:PORT; a server itself speaks no https")?;
    let host = host.strip_suffix('/').unwrap_or(host);
    if host.is_empty() || !host.bytes().all(|byte| byte.is_ascii_graphic() && !b"/?#@\\".contains(&byte)) {
        return Err("it is http://HOST:PORT, without a path".into());
    }
    let has_port = host.rsplit_once(':').is_some_and(|(_, port)| port.parse::<u16>().is_ok());
    Ok(if has_port { host.to_owned() } else { format!("{host}:80") })
}

/// A length of time from a tenth of a second to a day.
fn short_time(text: &str) -> Result<Duration, String> {
    let duration = Duration::try_from(time::parse_duration(text)?).map_err(|error| error.to_string())?;
    let fits = (Duration::from_millis(100)..=Duration::from_secs(86_400)).contains(&duration);
    if fits { Ok(duration) } else { Err("it must be from 100ms to 24h".into()) }
}

fn expiry(text: &str) -> Result<Expiry, String> {
    if text == "never" {
        return Ok(Expiry::Never);
    }
    let moment = time::parse_datetime(text).or_else(|_| time::parse_duration(text).and_then(time::from_now));
    let moment =
        moment.map_err(|_| "it is not a time from now (90d), a date (2027-01-31), a moment or never".to_string())?;
    if moment <= time::now() { Err("it is in the past".into()) } else { Ok(Expiry::At(moment)) }
}

fn since(text: &str) -> Result<String, String> {
    time::parse_datetime(text).or_else(|_| time::parse_duration(text).and_then(|duration| time::from_now(-duration)))
}

fn status(text: &str) -> Result<(u16, u16), String> {
    if let Some(class @ 1..=5) = text.strip_suffix("xx").and_then(|class| class.parse::<u16>().ok()) {
        return Ok((class * 100, class * 100 + 99));
    }
    match text.parse::<u16>() {
        Ok(status @ 100..=599) => Ok((status, status)),
        _ => Err("a status is 403, or 4xx for a class of them".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_definition_holds_together() {
        Cli::command().debug_assert();
    }

    #[test]
    fn words_are_read() {
        assert_eq!(status("4xx"), Ok((400, 499)));
        assert_eq!(status("403"), Ok((403, 403)));
        assert!(status("9xx").is_err() && status("x").is_err());
        assert!(matches!(expiry("90d"), Ok(Expiry::At(_))));
        assert_eq!(expiry("never"), Ok(Expiry::Never));
        assert!(expiry("2001-01-01").is_err() && expiry("soon").is_err());
        assert!(origin("https://app.example.com").is_ok() && origin("https://a/b").is_err() && origin("*").is_err());
        assert!(path("/api/jql").is_ok() && path("jql").is_err() && path("/").is_err());
    }

    #[test]
    fn a_server_is_named_by_its_host_and_port() {
        assert_eq!(host(config::URL), Ok(config::LISTEN.into()));
        assert_eq!(host("http://[::1]:8080/"), Ok("[::1]:8080".into()));
        assert_eq!(host("http://jqlite"), Ok("jqlite:80".into()));
        for wrong in ["https://a", "a:1", "http://", "http://a/readyz", "http://a b", "http://me@a", "http://a\r\nX: y"]
        {
            assert!(host(wrong).is_err(), "{wrong:?}");
        }
    }
}
