//! `audit`: prints what the keys want mended.

use super::{Database, described};
use crate::audit::{self, KINDS, Report, Terms};
use crate::cli::AuditArgs;
use crate::error::{plain, so_many};
use crate::json::Json;
use crate::store::Missing;
use crate::terminal::{self, Failed, print, print_json, print_line};
use std::path::Path;

/// Looks, prints, and fails where anything was found.
pub fn run(database: &Database, args: &AuditArgs) -> Result<(), Failed> {
    let store = database.open(Missing::Refuse)?;
    let reader = store.reader().map_err(described)?;
    reader.unlimited();
    let terms = Terms {
        window: args.window,
        max_age: args.max_age,
        recent: args.recent,
        refusals: args.refusals as usize,
        within: args.within,
    };
    let report = reader.reading(|| audit::report(&reader, &*store.catalogue(&reader)?, &terms)).map_err(described)?;
    for note in &report.notes {
        eprintln!("{}", plain(note));
    }
    let start = start(database);
    if database.json {
        let findings = report.findings.iter().map(|finding| finding.to_json(&start)).collect();
        print_json(&Json::List(findings))?;
    } else if report.findings.is_empty() {
        print_line(&format!("nothing to mend: {} keys, the log since {}", report.keys, plain(&report.since)))?;
    } else {
        print(listed(&report, &start).as_bytes())?;
    }
    match report.findings.len() {
        0 => Ok(()),
        count => Err(so_many(count as u64, "finding")),
    }
}

/// How every command begins: with the database, unless the environment names it or nobody did.
fn start(database: &Database) -> Vec<String> {
    let named =
        database.named.as_ref().filter(|path| std::env::var_os("JQLITE_DB").as_deref().map(Path::new) != Some(path));
    let mut words = vec!["jqlite".to_owned()];
    words.extend(named.iter().flat_map(|path| ["--db".to_owned(), path.display().to_string()]));
    words
}

/// The findings under the severity and the meaning of their kind.
fn listed(report: &Report, start: &[String]) -> String {
    let mut out = String::new();
    for kind in &KINDS {
        let of_kind = report.findings.iter().filter(|finding| finding.kind.name == kind.name);
        for (index, finding) in of_kind.enumerate() {
            if index == 0 {
                let heading = format!("{} {}: {}", kind.severity.name().to_uppercase(), kind.name, kind.means);
                out.push_str(&format!("{}\n\n", terminal::wrap(&heading, "")));
            }
            let who = match (&finding.key, &finding.address) {
                (Some((name, id)), _) => format!("{name} ({id})"),
                (None, address) => address.clone().unwrap_or_default(),
            };
            let evidence: Vec<String> = finding
                .evidence
                .iter()
                .map(|(name, value)| format!("{}: {}", name.replace('_', " "), shown(value)))
                .collect();
            out.push_str(&format!("{}\n", terminal::wrap(&plain(&who), "  ")));
            for text in [finding.reason.clone(), evidence.join("; ")] {
                out.push_str(&format!("{}\n", terminal::wrap(&plain(&text), "    ")));
            }
            // Not wrapped: it is to be pasted.
            out.push_str(&format!("    {}\n\n", plain(&finding.command_line(start))));
        }
    }
    out.truncate(out.trim_end().len());
    out.push('\n');
    out
}

/// The most items of a list that are shown; `--json` has them all.
const MOST_ITEMS: usize = 12;

fn shown(value: &Json) -> String {
    match value {
        Json::String(text) => terminal::moment(text),
        Json::List(items) => {
            let mut texts: Vec<String> = items.iter().take(MOST_ITEMS).map(shown).collect();
            if items.len() > MOST_ITEMS {
                texts.push(format!("{} more", items.len() - MOST_ITEMS));
            }
            texts.join(", ")
        }
        other => other.to_string(),
    }
}
