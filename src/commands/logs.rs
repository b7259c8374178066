//! `logs`: the usage log's entries, as they stand there and as they come, and its totals.

use super::{Database, described};
use crate::auth::{keys, text};
use crate::cli::LogsArgs;
use crate::error::{plain, plain_json};
use crate::json::{Json, Object, number};
use crate::store::{Missing, Store};
use crate::terminal::{
    self, Failed, Growing, maybe, object, print, print_json, print_line, print_table, print_while_read, wait_while_read,
};
use crate::usage::stats::{self, KINDS, Stats, Total};
use crate::usage::{self, Position, Wanted};
use crate::value::Scalar;
use smol_str::format_smolstr;
use std::collections::HashMap;
use std::time::Duration;

pub fn run(database: &Database, args: LogsArgs) -> Result<(), Failed> {
    let store = database.open(Missing::Refuse)?;
    let key = match &args.key {
        Some(named) => Some(public_ids(&store, named)?),
        None => None,
    };
    let wanted = Wanted { since: args.since, key, status: args.status };
    if args.stats {
        return show_stats(&store, &wanted, database.json);
    }
    if args.follow {
        return follow(&store, &wanted, args.last, database.json);
    }
    let reader = store.reader().map_err(described)?;
    let entries = usage::list(&reader, &wanted, args.last).map_err(described)?;
    match database.json {
        true => print(&as_json(&entries)),
        false => print_table(false, &SHOWN, &as_shown(&entries)),
    }
}

/// The public ids of the key that is meant: all that it has and had where it is named, so that its log does not end at a
/// rotation, and the one where that is given, be it of a key that was deleted.
fn public_ids(store: &Store, named: &str) -> Result<Vec<String>, Failed> {
    let reader = store.reader().map_err(described)?;
    match keys::find(keys::list(&reader).map_err(described)?, named) {
        Ok(key) if key.name == named => {
            let secrets = keys::secrets(&reader).map_err(described)?;
            Ok(secrets.into_iter().filter(|secret| secret.key == key.id).map(|secret| secret.public_id).collect())
        }
        Ok(key) => Ok(vec![key.public_id]),
        Err(_) if text::is_public_id(named) => Ok(vec![named.to_owned()]),
        Err(why) => Err(why),
    }
}

/// What of an entry is shown to people.
const SHOWN: [&str; 9] = ["at", "key", "namespace", "intent", "status", "code", "rows", "duration_us", "remote_addr"];

fn as_shown(entries: &[Vec<Scalar>]) -> Vec<Vec<Scalar>> {
    let places: Vec<usize> =
        SHOWN.iter().filter_map(|name| usage::COLUMNS.iter().position(|column| column == name)).collect();
    entries.iter().map(|entry| places.iter().map(|place| entry[*place].clone()).collect()).collect()
}

/// A line for each entry, so that a long log can be read as it comes.
fn as_json(entries: &[Vec<Scalar>]) -> Vec<u8> {
    let mut out = Vec::new();
    for entry in entries {
        out.extend_from_slice(plain_json(&object(&usage::COLUMNS, entry).to_string()).as_bytes());
        out.push(b'\n');
    }
    out
}

/// How often new entries are looked for.
const LOOK_EVERY: Duration = Duration::from_millis(200);
/// Entries that are read at once.
const PAGE: usize = 1000;

/// Shows the newest entries and then those that come, until nobody reads them any more.
fn follow(store: &Store, wanted: &Wanted, last: u64, json: bool) -> Result<(), Failed> {
    let reader = store.reader().map_err(described)?;
    let (mut table, head) = Growing::new(&SHOWN);
    let mut print = |entries: &[Vec<Scalar>]| match json {
        true => print_while_read(&as_json(entries)),
        false => print_while_read(table.lines(&as_shown(entries)).as_bytes()),
    };
    let begin = || Ok((usage::list(&reader, wanted, last)?, Position::end(&reader)?, reader.data_version()?));
    let (entries, mut position, mut seen) = reader.reading(begin).map_err(described)?;
    let mut read = (json || print_while_read(head.as_bytes())?) && print(&entries)?;
    while read && wait_while_read(LOOK_EVERY) {
        let version = reader.data_version().map_err(described)?;
        if version == seen {
            continue; // nobody has written anything
        }
        seen = version;
        loop {
            let page = || usage::after(&reader, &position, wanted, PAGE);
            let (entries, reached) = reader.reading(page).map_err(described)?;
            read = print(&entries)?;
            let done = entries.len() < PAGE || !read;
            position = reached;
            if done {
                break;
            }
        }
    }
    Ok(())
}

/// How far totals, which take a processor for a while, step back behind a server that is busy on the same machine.
#[cfg(unix)]
const BEHIND: i32 = 10;
/// Names of one kind that are shown to people; JSON has them all.
const MOST_SHOWN: usize = 20;
/// Lines of a plot, the lowest aside.
const PLOT: u32 = 6;
/// What is shown of a total; of durations the percentiles.
const TOTALS: [&str; 6] = ["requests", "refused", "failed", "p50", "p95", "p99"];
const PERCENTS: [f64; 3] = [50.0, 95.0, 99.0];

fn show_stats(store: &Store, wanted: &Wanted, json: bool) -> Result<(), Failed> {
    #[cfg(unix)]
    let _ = rustix::process::nice(BEHIND); // where it is refused, the totals are made all the same
    let reader = store.reader().map_err(described)?;
    let both = || Ok((stats::gather(&reader, wanted)?, keys::names(&reader)?));
    let (stats, names) = reader.reading(both).map_err(described)?;
    if json {
        return print_json(&Json::Object(stats_as_json(&stats, &names)));
    }
    if stats.all.requests == 0 {
        eprintln!("the usage log has no such entries");
        return Ok(());
    }
    show_over_time(&stats)?;
    for (kind, totals) in KINDS.into_iter().zip(&stats.by) {
        show_by(kind, totals, &names)?;
    }
    Ok(())
}

fn show_over_time(stats: &Stats) -> Result<(), Failed> {
    print_line(&format!("from {} to {}", to_the_second(&stats.from), to_the_second(&stats.to)))?;
    print_table(false, &TOTALS, &[cells(&stats.all)])?;
    let length = shown_length(stats.period);
    for (what, count) in [
        ("requests", (|total| total.requests) as fn(&Total) -> u64),
        ("refused", |total| total.refused),
        ("failed", |total| total.failed),
    ] {
        if count(&stats.all) > 0 {
            let counts: Vec<u64> = stats.over_time.iter().map(|(_, total)| count(total)).collect();
            let plot = terminal::plot(&counts, terminal::width(), PLOT, &stats.from[..16], &stats.to[..16]);
            print_line(&format!("\n{what} in each {length}\n{plot}"))?;
        }
    }
    let row = |(begin, total): &(String, Total)| [vec![terminal::text(begin)], cells(total)].concat();
    let rows: Vec<Vec<Scalar>> = stats.over_time.iter().map(row).collect();
    print_line(&format!("\nin each {length}"))?;
    print_table(false, &[&["from"], &TOTALS[..]].concat(), &rows)
}

fn show_by(kind: &str, totals: &[(Option<String>, Total)], names: &HashMap<String, String>) -> Result<(), Failed> {
    let row = |(name, total): &(Option<String>, Total)| {
        let known =
            (kind == "key").then(|| vec![maybe(name.as_ref().and_then(|id| names.get(id)).map(String::as_str))]);
        [vec![maybe(name.as_deref())], known.unwrap_or_default(), cells(total)].concat()
    };
    let rows: Vec<Vec<Scalar>> = totals.iter().take(MOST_SHOWN).map(row).collect();
    let head: &[&str] = if kind == "key" { &["key", "name"] } else { &[kind] };
    print_line("")?;
    print_table(false, &[head, &TOTALS[..]].concat(), &rows)?;
    match totals.len().saturating_sub(MOST_SHOWN) {
        0 => Ok(()),
        more => print_line(&format!(" and {more} more, which --json tells")),
    }
}

/// The cells of [`TOTALS`].
fn cells(total: &Total) -> Vec<Scalar> {
    let number = |number: u64| Scalar::Integer(i64::try_from(number).unwrap_or(i64::MAX));
    let counts = [total.requests, total.refused, total.failed].map(number);
    let times = PERCENTS.map(|percent| maybe(total.percentile(percent).map(shown_time).as_deref()));
    [counts, times].concat()
}

/// Microseconds in the unit that they are read best in.
fn shown_time(micros: u64) -> String {
    match micros {
        0..1000 => format!("{micros} µs"),
        1000..1_000_000 => format!("{:.1} ms", micros as f64 / 1e3),
        _ => format!("{:.2} s", micros as f64 / 1e6),
    }
}

/// The length of a period: `1 h`.
fn shown_length(seconds: i64) -> String {
    let units = [(86_400, "d"), (3600, "h"), (60, "min")];
    let unit = units.into_iter().find(|(length, _)| seconds % length == 0);
    let (length, name) = unit.unwrap_or((1, "s"));
    format!("{} {name}", seconds / length)
}

fn to_the_second(moment: &str) -> String {
    plain(&format!("{}Z", moment.get(..19).unwrap_or_default()))
}

fn stats_as_json(stats: &Stats, names: &HashMap<String, String>) -> Object {
    let text = |text: &str| Json::String(text.to_owned());
    let maybe = |name: Option<&String>| name.map_or(Json::Null, |name| text(name));
    let mut members = vec![("from".into(), text(&stats.from)), ("to".into(), text(&stats.to))];
    members.extend(members_of(&stats.all));
    for (kind, totals) in KINDS.into_iter().zip(&stats.by) {
        let item = |(name, total): &(Option<String>, Total)| {
            let mut item = vec![(kind.into(), maybe(name.as_ref()))];
            if kind == "key" {
                item.push(("name".into(), maybe(name.as_ref().and_then(|id| names.get(id)))));
            }
            item.extend(members_of(total));
            Json::Object(item)
        };
        members.push((format_smolstr!("by_{kind}"), Json::List(totals.iter().map(item).collect())));
    }
    members.push(("period_s".into(), Json::Integer(stats.period)));
    let period = |(begin, total): &(String, Total)| {
        Json::Object([vec![("from".into(), text(begin))], members_of(total)].concat())
    };
    members.push(("over_time".into(), Json::List(stats.over_time.iter().map(period).collect())));
    members
}

fn members_of(total: &Total) -> Object {
    let counts = [("requests", total.requests), ("refused", total.refused), ("failed", total.failed)];
    let mut members: Object = counts.into_iter().map(|(name, count)| (name.into(), number(count))).collect();
    for percent in PERCENTS {
        members.push((format_smolstr!("p{percent}_us"), total.percentile(percent).map_or(Json::Null, number)));
    }
    members
}
