//! Loading files: where an earlier run stopped, what is read from there on, and the transactions that it goes into.

use super::load::{self, Cut, Done, Hand, Listener, Marks, Options, Origin};
use super::progress::{self, Progress};
use super::records::Source;
use crate::plan::planner::Given;
use crate::store::Session;
use crate::value::Scalar;

/// Loads files, one after the other, in a transaction of its own or in several.
///
/// # Errors
/// A file cannot be read, the database takes nothing more, or all or nothing was wanted and something is wrong.
pub fn load(
    session: &Session,
    given: &Given,
    sources: &[Source],
    options: Options,
    listener: &mut dyn Listener,
) -> Result<Done, String> {
    let marks = marks(session, sources, options.resumes)?;
    let before: Vec<Progress> = marks.iter().map(|(_, progress)| progress.clone()).collect();
    let origins: Vec<&dyn Origin> = sources.iter().map(|source| source as &dyn Origin).collect();
    let reading = Reading { sources, before: &before };
    session.begin().map_err(|failure| failure.to_string())?;
    let outcome = load::load(session, given, &origins, marks, options, listener, |hand| reading.all(hand));
    if outcome.is_ok() && !options.dry_run {
        session.commit().map_err(|failure| failure.to_string())?;
    } else {
        session.abandon();
    }
    outcome
}

/// What each file is known by, and what an earlier run has done of it, where this one is to go on behind that.
fn marks(session: &Session, sources: &[Source], resumes: bool) -> Result<Marks, String> {
    let mut marks = Vec::new();
    for source in sources {
        if !source.is_file() {
            marks.push((Scalar::Null, Progress::default())); // standard input has no name that it could be known by
            continue;
        }
        let name = progress::name(source)?;
        let known = Progress::read(session, &name).map_err(|failure| failure.to_string())?;
        if !resumes && !known.is_whole && known.mark.line > 0 {
            let why = "was loaded in part, by a run that was cut off; go on with --resume";
            return Err(format!("{} {why}", source.path.display()));
        }
        marks.push((name, if resumes { known } else { Progress::default() }));
    }
    Ok(marks)
}

/// Files that are read until there is nothing more or nobody takes it.
struct Reading<'r> {
    sources: &'r [Source],
    /// What an earlier run has done of each.
    before: &'r [Progress],
}

impl Reading<'_> {
    fn all(&self, hand: &mut Hand<'_>) -> Result<(), Cut> {
        let mut bytes_before = 0;
        for (file, source) in self.sources.iter().enumerate() {
            self.file(file, bytes_before, hand)?;
            bytes_before += source.size();
        }
        Ok(())
    }

    /// Reads one file.
    fn file(&self, file: usize, bytes_before: u64, hand: &mut Hand<'_>) -> Result<(), Cut> {
        let (source, before) = (&self.sources[file], &self.before[file]);
        let mut records = source.open()?;
        let (mut skipped, mut is_checked) = (0, false);
        loop {
            if !is_checked && records.line() >= before.mark.line {
                if before.mark.line > 0 && records.mark() != before.mark {
                    return Err(changed(source, before).into());
                }
                is_checked = true;
            }
            let Some(record) = records.next().map_err(|(line, why)| source.described(line, &why))? else { break };
            if before.is_done(record.line) {
                skipped += 1;
            } else if hand.takes(file, record) && is_checked {
                hand.pass(file, records.mark(), bytes_before + records.bytes())?;
            }
        }
        if !is_checked {
            return Err(changed(source, before).into());
        }
        hand.pass(file, records.mark(), bytes_before + records.bytes())?;
        hand.skip(skipped)
    }
}

fn changed(source: &Source, before: &Progress) -> String {
    let (path, line) = (source.path.display(), before.mark.line);
    format!(
        "{path} is not what it was when its first {line} lines were loaded; load what is new from a file of its own"
    )
}
