//! `data`: records in from files, and out into files.

use super::{Database, described, new_file, opened, owners};
use crate::access::Namespace;
use crate::apply::count_all;
use crate::cli::{DataCommand, DumpArgs, FileFormat, LoadArgs};
use crate::error::{plain, so_many};
use crate::json::{Json, number, object};
use crate::model::{Catalogue, Model};
use crate::store::{Failure, Missing, Session, Store, owners_file};
use crate::terminal::{Failed, Progress, print_json, print_line};
use crate::transfer::dump::{self, Ended};
use crate::transfer::files;
use crate::transfer::load::{self, Done, Listener, Options, Reject};
use crate::transfer::records::{Names, Source};
use crate::transfer::{ending_of, format_of, model_of};
use std::fs::File;
use std::io::{self, BufWriter, ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

pub fn run(database: &Database, command: DataCommand) -> Result<(), Failed> {
    match command {
        DataCommand::Load(args) => load(database, &args),
        DataCommand::Dump(args) => dump(database, &args),
    }
}

fn load(database: &Database, args: &LoadArgs) -> Result<(), Failed> {
    if args.resume && args.files.iter().any(|file| file == Path::new("-")) {
        return Err("standard input cannot be gone on with; name a file for --resume".into());
    }
    let store = database.open(Missing::Refuse)?;
    let session = store.writer().map_err(described)?;
    session.unlimited();
    let given = owners(&store, &session).map_err(described)?;
    let mut sources = Vec::new();
    for file in files(&args.files)? {
        let names = Names { map: args.map.clone(), ignored: args.ignore.clone(), delimiter: args.delimiter };
        sources.push(source(&given.catalogue, file, args.model.as_ref(), args.format, names)?);
    }
    let size = sources.iter().map(Source::size).sum();
    let mut watch = Watch::new(args.rejects.as_deref(), args.resume, size)?;
    let options = Options { skips: args.rejects.is_some(), resumes: args.resume, dry_run: args.dry_run };
    let start = Instant::now();
    let done = files::load(&session, &given, &sources, options, &mut watch);
    drop(watch);
    let done = done?;
    tell(database.json, args, &done, start.elapsed().as_secs_f64())
}

/// Loads the records that a server begins with, all of them or none. A database that has records keeps those it has.
pub fn seed(store: &Store, named: &[PathBuf]) -> Result<(), Failed> {
    if named.is_empty() {
        return Ok(());
    }
    let paths = files(named)?;
    let session = store.writer().map_err(described)?;
    session.unlimited();
    let given = owners(store, &session).map_err(described)?;
    for model in given.catalogue.models() {
        if count_all(&session, model.namespace.as_str()).map_err(described)? > 0 {
            return Ok(());
        }
    }
    let as_named = |path| source(&given.catalogue, path, None, None, Names::default());
    let sources = paths.into_iter().map(as_named).collect::<Result<Vec<_>, _>>()?;
    let size = sources.iter().map(Source::size).sum();
    let mut watch = Watch::new(None, false, size)?;
    files::load(&session, &given, &sources, Options::default(), &mut watch).map(drop)
}

fn tell(json: bool, args: &LoadArgs, done: &Done, seconds: f64) -> Result<(), Failed> {
    let Done { loaded, rejected, before } = done;
    let done = if args.dry_run { "would load" } else { "loaded" };
    if json {
        let counts = vec![("loaded", number(*loaded)), ("rejected", number(*rejected)), ("before", number(*before))];
        let rest = [("dry_run", Json::Boolean(args.dry_run)), ("seconds", Json::Number(format!("{seconds:.3}")))];
        print_json(&object(counts.into_iter().chain(rest).collect()))?;
    } else {
        let before = if *before > 0 { format!(", behind {before} of an earlier run") } else { String::new() };
        print_line(&format!("{done} {}{before}", paced(*loaded, seconds)))?;
    }
    none_rejected(*rejected, args.rejects.as_deref())
}

/// So many records, and how fast that was.
pub(super) fn paced(records: u64, seconds: f64) -> String {
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "it is only shown"
    )]
    let rate = (records as f64 / seconds.max(0.001)) as u64;
    format!("{} in {seconds:.1} s, {rate} a second", so_many(records, "record"))
}

/// # Errors
/// Some were refused, and are in that file.
pub(super) fn none_rejected(rejected: u64, file: Option<&Path>) -> Result<(), Failed> {
    match file {
        Some(file) if rejected == 1 => Err(format!("1 record was refused; it is in {}", file.display())),
        Some(file) if rejected > 0 => Err(format!("{rejected} records were refused; they are in {}", file.display())),
        _ => Ok(()),
    }
}

/// The files that are meant: those named, and of a folder all in it, by name.
fn files(named: &[PathBuf]) -> Result<Vec<PathBuf>, Failed> {
    let mut files = Vec::new();
    for path in named {
        if !path.exists() && path != Path::new("-") {
            return Err(format!("there is no {}", path.display()));
        }
        if !path.is_dir() {
            files.push(path.clone());
            continue;
        }
        let describe = |error: io::Error| format!("cannot read {}: {error}", path.display());
        let entries: Result<Vec<_>, _> = std::fs::read_dir(path).map_err(describe)?.collect();
        let mut inside: Vec<PathBuf> = entries.map_err(describe)?.iter().map(std::fs::DirEntry::path).collect();
        let is_hidden = |path: &PathBuf| path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"."));
        inside.retain(|path| !is_hidden(path));
        inside.sort();
        if inside.is_empty() {
            return Err(format!("there is no file in {}", path.display()));
        }
        files.extend(inside);
    }
    Ok(files)
}

/// A file to be loaded, of the model and the form that were named, or else its name tells.
fn source(
    catalogue: &Catalogue,
    path: PathBuf,
    model: Option<&Namespace>,
    format: Option<FileFormat>,
    names: Names,
) -> Result<Source, Failed> {
    let named = path.display();
    let format = format.or_else(|| format_of(&path));
    let format = format.ok_or_else(|| format!("{named} ends in neither .jsonl nor .csv; tell its --format"))?;
    let namespace = model.cloned().or_else(|| model_of(&path));
    let namespace = namespace.ok_or_else(|| format!("the name of {named} tells no model; name one with --model"))?;
    let model = own_model(catalogue, &namespace)?;
    Ok(Source { path, format, model, names })
}

/// A model that records can be brought to and taken from: none of the server's own.
fn own_model(catalogue: &Catalogue, namespace: &Namespace) -> Result<Arc<Model>, Failed> {
    let found = catalogue.models().find(|model| model.namespace == *namespace);
    let known = || catalogue.models().map(|model| model.namespace.to_string()).collect::<Vec<_>>().join(", ");
    found.cloned().ok_or_else(|| format!("there is no model {namespace}; there are: {}", known()))
}

/// The file for what is refused; a load that goes on adds to the one that it made.
fn rejects_file(path: &Path, resumes: bool) -> Result<File, Failed> {
    if resumes { opened(path, owners_file().append(true).create(true)) } else { new_file(path) }
}

/// Shows how a load goes, and writes down what is refused.
pub(super) struct Watch {
    rejects: Option<BufWriter<File>>,
    bar: Progress,
    /// How much there is to be read.
    size: u64,
}

impl Watch {
    /// # Errors
    /// The file for what is refused cannot be made.
    pub(super) fn new(rejects: Option<&Path>, resumes: bool, size: u64) -> Result<Watch, Failed> {
        let rejects = rejects.map(|path| rejects_file(path, resumes)).transpose()?.map(BufWriter::new);
        Ok(Watch { rejects, bar: Progress::new("loading"), size })
    }
}

impl Listener for Watch {
    fn rejects(&mut self, reject: &Reject<'_>) -> Result<(), Failed> {
        let Some(file) = &mut self.rejects else {
            let lines = reject.errors.iter().map(|error| reject.origin.described(reject.line, &error.shown()));
            lines.for_each(|line| self.bar.above(&plain(&line)));
            return Ok(());
        };
        let mut told = reject.origin.place(reject.line).to_vec();
        told.push(("errors", Json::List(reject.errors.iter().map(load::Mistake::member).collect())));
        told.push(("record", reject.values.clone().map_or(Json::Null, Json::Object)));
        let told = object(told);
        writeln!(file, "{told}").map_err(|error| format!("cannot write the rejects: {error}"))
    }

    fn keep(&mut self) -> Result<(), Failed> {
        let Some(file) = &mut self.rejects else { return Ok(()) };
        file.flush()
            .and_then(|()| file.get_ref().sync_all())
            .map_err(|error| format!("cannot write the rejects: {error}"))
    }

    fn tell(&mut self, records: u64, read: u64) {
        self.bar.tell(read, self.size);
        self.bar.say(&format!("loading, {records} records"));
    }
}

fn dump(database: &Database, args: &DumpArgs) -> Result<(), Failed> {
    let store = database.open(Missing::Refuse)?;
    let reader = store.reader().map_err(described)?;
    reader.unlimited();
    let dumped = reader.reading(|| {
        let catalogue = store.catalogue(&reader)?;
        Ok::<_, Failure>(dump_all(&reader, &catalogue, args)) // all of it is of one moment
    });
    dumped.map_err(described)?
}

fn dump_all(reader: &Session, catalogue: &Catalogue, args: &DumpArgs) -> Result<(), Failed> {
    for namespace in &args.model {
        own_model(catalogue, namespace)?;
    }
    let mut models = dump::in_order(catalogue);
    models.retain(|model| args.model.is_empty() || args.model.contains(&model.namespace));
    let bar = Progress::new("dumping");
    let mut write = |model: &Model, out: &mut dyn Write| {
        let tell = |records: u64| {
            if records.is_multiple_of(1024) {
                bar.say(&format!("dumping {}, {records} records", model.namespace))
            }
        };
        dump::model(reader, model, args.format, out, tell)
    };
    match (&args.folder, models.as_slice()) {
        (Some(folder), models) => into_folder(folder, models, args.format, &mut write),
        (None, [model]) => to_output(model, &mut write),
        (None, _) => Err("name a folder for the files, or one --model for standard output".into()),
    }
}

type Dump<'d> = dyn FnMut(&Model, &mut dyn Write) -> Result<u64, Ended> + 'd;

fn to_output(model: &Model, write: &mut Dump<'_>) -> Result<(), Failed> {
    let mut out = BufWriter::new(io::stdout().lock());
    let outcome = write(model, &mut out).and_then(|_| out.flush().map_err(Ended::Output));
    match outcome {
        Err(Ended::Output(error)) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        Err(ended) => Err(why(ended, Path::new("standard output"))),
        Ok(()) => Ok(()),
    }
}

fn into_folder(folder: &Path, models: &[Arc<Model>], format: FileFormat, write: &mut Dump<'_>) -> Result<(), Failed> {
    std::fs::create_dir_all(folder).map_err(|error| format!("cannot make {}: {error}", folder.display()))?;
    for (place, model) in models.iter().enumerate() {
        let path = folder.join(format!("{:02}-{}.{}", place + 1, model.namespace, ending_of(format)));
        let mut out = BufWriter::new(new_file(&path)?);
        let written = write(model, &mut out).and_then(|records| out.flush().map(|()| records).map_err(Ended::Output));
        let records = written.map_err(|ended| why(ended, &path))?;
        print_line(&format!("{}: {}", path.display(), so_many(records, "record")))?;
    }
    Ok(())
}

fn why(ended: Ended, path: &Path) -> Failed {
    match ended {
        Ended::Database(failure) => failure.to_string(),
        Ended::Output(error) => format!("cannot write {}: {error}", path.display()),
    }
}
