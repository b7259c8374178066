//! Holds the keys against good practice: few permissions, fresh secrets, an end to what is old, and an eye on what is
//! unusual in the usage log.
//!
//! Each kind of finding is a row of [`KINDS`]. [`books`] gathers what they are made of, [`find`] finds them in it,
//! [`narrower`] is the list of permissions that use suggests.

mod books;
mod find;
mod narrower;

use crate::auth::keys::Key;
use crate::json::{Json, Object, number, object};
use crate::model::Catalogue;
use crate::store::{Failure, Session};
use crate::value::time;
use books::Tally;
use find::Look;
use jiff::SignedDuration;

/// What is held to be good practice.
#[derive(Clone, Debug)]
pub struct Terms {
    /// How far back the use of permissions and keys is looked at.
    pub window: SignedDuration,
    /// How old a secret may be.
    pub max_age: SignedDuration,
    /// How far back incidents are told of, and new addresses are new.
    pub recent: SignedDuration,
    /// So many refusals within this time are a burst.
    pub refusals: usize,
    pub within: SignedDuration,
}

impl Default for Terms {
    fn default() -> Terms {
        let days = |days: i64| SignedDuration::from_hours(24 * days);
        Terms {
            window: days(30),
            max_age: days(90),
            recent: days(7),
            refusals: 20,
            within: SignedDuration::from_mins(5),
        }
    }
}

/// A minute, in microseconds.
const MINUTE: i64 = 60_000_000;
/// Addresses named, a finding.
const MOST_NAMED: usize = 10;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    High,
    Medium,
    Low,
}

impl Severity {
    pub fn name(self) -> &'static str {
        match self {
            Severity::High => "high",
            Severity::Medium => "medium",
            Severity::Low => "low",
        }
    }
}

/// A kind of finding.
pub struct Kind {
    pub name: &'static str,
    pub severity: Severity,
    /// What it means, of keys or addresses in general.
    pub means: &'static str,
    /// How it is found.
    find: fn(&Look<'_>) -> Vec<Found>,
    /// The command that mends it, with places for what was found; or shows more of it, where the mending is
    /// to be done elsewhere.
    mend: &'static [&'static str],
    /// The command where no value for [`WITH`] is known.
    or: &'static [&'static str],
}

/// Places in commands: the public id of the key; a value that was found; when it began; the highest age of secrets.
const KEY: &str = "{key}";
const WITH: &str = "{with}";
const FIRST: &str = "{first}";
const AGE: &str = "{age}";

/// All kinds, the gravest first.
pub static KINDS: [Kind; 13] = [
    Kind {
        name: "ended-in-use",
        severity: Severity::High,
        means: "a key or secret that has ended is still sent: find out by whom",
        find: find::ended_in_use,
        mend: &["logs", "--key", WITH, "--status", "401", "--since", FIRST],
        or: &[],
    },
    Kind {
        name: "refused-key",
        severity: Severity::High,
        means: "many requests of a key were refused in a short time: it tries what it may not",
        find: find::refused_key,
        mend: &["keys", "disable", KEY],
        or: &[],
    },
    Kind {
        name: "refused-address",
        severity: Severity::High,
        means: "many requests from an address were refused in a short time: somebody tries keys",
        find: find::refused_address,
        mend: &["logs", "--status", "4xx", "--since", FIRST],
        or: &[],
    },
    Kind {
        name: "wide",
        severity: Severity::High,
        means: "a key that may do everything: one is enough, in the hands of whoever makes the others",
        find: find::wide,
        mend: &["keys", "update", KEY, "--allow", WITH],
        or: &["keys", "disable", KEY],
    },
    Kind {
        name: "old-secret-in-use",
        severity: Severity::Medium,
        means: "the secret of before a rotation is still used: hand out the new one, then end the overlap",
        find: find::old_secret_in_use,
        mend: &["keys", "rotate", KEY, "--end-overlap"],
        or: &[],
    },
    Kind {
        name: "new-address",
        severity: Severity::Medium,
        means: "a key is used from where it never was before: bind it to its old addresses, or to all that are right",
        find: find::new_address,
        mend: &["keys", "update", KEY, "--allowed-ips", WITH],
        or: &["keys", "rotate", KEY],
    },
    Kind {
        name: "above-its-past",
        severity: Severity::Medium,
        means: "a key sends far more than it used to: give it a rate",
        find: find::above_its_past,
        mend: &["keys", "update", KEY, "--rate", WITH],
        or: &[],
    },
    Kind {
        name: "unused-permissions",
        severity: Severity::Medium,
        means: "a key may do more than it does",
        find: find::unused_permissions,
        mend: &["keys", "update", KEY, "--allow", WITH],
        or: &["keys", "disable", KEY],
    },
    Kind {
        name: "unused",
        severity: Severity::Medium,
        means: "a key that nobody uses",
        find: find::unused,
        mend: &["keys", "revoke", KEY],
        or: &[],
    },
    Kind {
        name: "old-secret",
        severity: Severity::Medium,
        means: "a secret that was not renewed for long",
        find: find::old_secret,
        mend: &["keys", "rotate", KEY, "--overlap", "1d"],
        or: &[],
    },
    Kind {
        name: "never-expires",
        severity: Severity::Low,
        means: "a key without an end",
        find: find::never_expires,
        mend: &["keys", "update", KEY, "--expires", AGE],
        or: &[],
    },
    Kind {
        name: "overlap-open",
        severity: Severity::Low,
        means: "a secret of before a rotation that still works, and that nobody uses",
        find: find::overlap_open,
        mend: &["keys", "rotate", KEY, "--end-overlap"],
        or: &[],
    },
    Kind {
        name: "no-permissions",
        severity: Severity::Low,
        means: "a key that may do nothing",
        find: find::no_permissions,
        mend: &["keys", "revoke", KEY],
        or: &[],
    },
];

/// Something that wants mending.
pub struct Finding {
    pub kind: &'static Kind,
    /// The key, with the public id of its secret.
    pub key: Option<(String, String)>,
    pub address: Option<String>,
    pub reason: String,
    pub evidence: Object,
    /// The words of the command that mends it, behind `jqlite`.
    pub command: Vec<String>,
}

impl Finding {
    /// The command as a shell takes it; `start` is how every command begins.
    pub fn command_line(&self, start: &[String]) -> String {
        let words = start.iter().chain(&self.command).map(String::as_str);
        shlex::Quoter::new().allow_nul(true).join(words).unwrap_or_default() // nothing else is refused
    }

    pub fn to_json(&self, start: &[String]) -> Json {
        let key =
            |(name, id): &(String, String)| object(vec![("id", id.as_str().into()), ("name", name.as_str().into())]);
        object(vec![
            ("kind", self.kind.name.into()),
            ("severity", self.kind.severity.name().into()),
            ("means", self.kind.means.into()),
            ("key", self.key.as_ref().map_or(Json::Null, key)),
            ("address", self.address.as_deref().map_or(Json::Null, Json::from)),
            ("reason", self.reason.as_str().into()),
            ("evidence", Json::Object(self.evidence.clone())),
            ("command", self.command_line(start).as_str().into()),
        ])
    }
}

/// All that was found.
pub struct Report {
    /// The gravest first.
    pub findings: Vec<Finding>,
    /// What could not be judged.
    pub notes: Vec<String>,
    /// How many keys were looked at, and since when the log was.
    pub keys: usize,
    pub since: String,
}

/// Looks at everything; the session should be in one transaction.
pub fn report(session: &Session, catalogue: &Catalogue, terms: &Terms) -> Result<Report, Failure> {
    let books = books::read(session, terms)?;
    let look = Look::new(&books, catalogue, terms);
    let findings =
        KINDS.iter().flat_map(|kind| (kind.find)(&look).into_iter().map(|found| found.close(kind, terms))).collect();
    Ok(Report { findings, notes: look.notes(), keys: books.keys.len(), since: look.log_since().to_owned() })
}

/// What a finding holds before its kind is known.
#[derive(Default)]
struct Found {
    key: Option<(String, String)>,
    address: Option<String>,
    reason: String,
    evidence: Object,
    with: Option<String>,
    first: Option<String>,
}

impl Found {
    fn of(key: &Key, reason: String) -> Found {
        Found { key: Some((key.name.clone(), key.public_id.clone())), reason, ..Found::default() }
    }

    fn with(self, with: Option<String>) -> Found {
        Found { with, ..self }
    }

    fn shows(mut self, name: &str, value: impl Into<Json>) -> Found {
        self.evidence.push((name.into(), value.into()));
        self
    }

    fn list<T: ToString>(self, name: &str, items: &[T]) -> Found {
        if items.is_empty() {
            return self;
        }
        self.shows(name, Json::List(items.iter().map(|item| Json::String(item.to_string())).collect()))
    }

    /// How many, when, and from where, the addresses with the most first.
    fn tally(self, tally: &Tally) -> Found {
        let found = self.times(tally.count, &tally.first, &tally.last);
        let mut addresses: Vec<(&String, u64)> = tally.addresses.iter().map(|(name, count)| (name, *count)).collect();
        addresses.sort_by_key(|(name, count)| (std::cmp::Reverse(*count), name.as_str()));
        let others = addresses.len().saturating_sub(MOST_NAMED);
        let named: Vec<&String> = addresses.into_iter().map(|(name, _)| name).take(MOST_NAMED).collect();
        let found = found.list("addresses", &named);
        if others > 0 { found.shows("other_addresses", number(others)) } else { found }
    }

    fn times(self, count: u64, first: &str, last: &str) -> Found {
        let first_seen = Some(first.to_owned());
        let found = self.shows("count", number(count)).shows("first", first).shows("last", last);
        Found { first: first_seen, ..found }
    }

    fn close(self, kind: &'static Kind, terms: &Terms) -> Finding {
        let id = self.key.as_ref().map(|(_, id)| id.clone());
        let words = if self.with.is_none() && kind.mend.contains(&WITH) { kind.or } else { kind.mend };
        let filled = |word: &&'static str| match *word {
            KEY => id.clone().unwrap_or_default(),
            WITH => self.with.clone().unwrap_or_default(),
            FIRST => self.first.clone().unwrap_or_default(),
            AGE => time::format_duration(terms.max_age),
            word => word.to_owned(),
        };
        let command = words.iter().map(filled).collect();
        Finding { kind, key: self.key, address: self.address, reason: self.reason, evidence: self.evidence, command }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_stands_in_the_documentation() {
        let text = include_str!("../docs/audit.md");
        let rows: Vec<&str> = text.lines().filter(|line| line.starts_with("| `")).collect();
        for (kind, row) in KINDS.iter().zip(&rows) {
            let start = format!("| `{}` | {} | {} |", kind.name, kind.severity.name(), kind.means);
            assert!(row.starts_with(&start), "{row}");
        }
        assert_eq!(rows.len(), KINDS.len());
    }
}
