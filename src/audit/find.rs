//! How each kind of finding is found.

use super::books::{Books, Burst, MOST_ADDRESSES, Sighting, Tally, Use};
use super::narrower::{Narrower, narrower};
use super::{Found, MINUTE, MOST_NAMED, Terms, number};
use crate::access::{Permission, Permissions};
use crate::auth::keys::Key;
use crate::model::Catalogue;
use crate::value::time;
use jiff::SignedDuration;
use std::net::IpAddr;

/// The permissions of a key are judged once it, and the log, are so old.
const JUDGED_AFTER: SignedDuration = SignedDuration::from_hours(24);
/// A key's hour is unusual from so many requests on, and from so many times what it has in the middle of at least
/// so many hours before.
const MANY_REQUESTS: u64 = 100;
const TIMES_ITS_PAST: u64 = 10;
const HOURS_OF_PAST: usize = 3;
/// The most networks that a key is bound to by a command of ours; one that roams has no fixed ones.
const MOST_NETWORKS: usize = 16;

/// A moment in a sentence.
fn spoken(moment: &str) -> String {
    moment.get(..16).map_or(moment.to_owned(), |minute| format!("{} UTC", minute.replace('T', " ")))
}

/// The books, and what several kinds ask of them.
pub struct Look<'b> {
    books: &'b Books,
    terms: &'b Terms,
    catalogue: &'b Catalogue,
    /// The public id of the one key that may do everything.
    keeper: Option<String>,
}

impl<'b> Look<'b> {
    pub fn new(books: &'b Books, catalogue: &'b Catalogue, terms: &'b Terms) -> Look<'b> {
        let mut look = Look { books, terms, catalogue, keeper: None };
        look.keeper = look.active().map(|(key, _)| key).find(|key| is_wide(key)).map(|key| key.public_id.clone());
        look
    }

    /// The keys that work, the oldest first.
    fn active(&self) -> impl Iterator<Item = (&'b Key, &'b Use)> + use<'b> {
        let books = self.books;
        let works = move |(key, _): &&(Key, Use)| key.state(&books.now) == "active";
        books.keys.iter().filter(works).map(|(key, used)| (key, used))
    }

    /// Since when the log was looked at: it may not reach back as far as it should.
    pub fn log_since(&self) -> &'b str {
        let oldest = self.books.oldest.as_deref().unwrap_or(&self.books.now);
        oldest.max(&self.books.since)
    }

    /// What a key would need, if that can be told from its use and is less than it has; and since when it was
    /// looked at.
    fn narrower(&self, key: &Key, used: &Use) -> Option<(Narrower, String)> {
        let since = self.log_since().max(&key.created).to_owned();
        let judged =
            time::from_now(-JUDGED_AFTER.min(self.terms.window)).is_ok_and(|day| since <= day) && used.requests > 0;
        if !judged || self.unjudged(key, used).is_some() {
            return None;
        }
        let found = narrower(&key.permissions.parse().ok()?, &used.acts(), self.catalogue);
        (!found.unused.is_empty()).then_some((found, since))
    }

    /// Why it cannot be told from the use of a key what it needs.
    fn unjudged(&self, key: &Key, used: &Use) -> Option<String> {
        let sentence =
            |why: String| format!("the permissions of \"{}\" ({}) are not judged: {why}", key.name, key.public_id);
        if used.batches > 0 {
            return Some(sentence(format!(
                "it sent {} batches, and the log does not name the requests in them",
                used.batches
            )));
        }
        used.gives_keys().then(|| sentence("it makes or changes keys, and can give only what it has itself".into()))
    }

    pub fn notes(&self) -> Vec<String> {
        let judged = self.active().filter(|(key, _)| self.keeper.as_ref() != Some(&key.public_id));
        let mut notes: Vec<String> = judged.filter_map(|(key, used)| self.unjudged(key, used)).collect();
        if self.books.more_addresses > 0 {
            notes.push(format!(
                "{} more addresses with bursts of refused requests are not listed",
                self.books.more_addresses
            ));
        }
        notes
    }
}

fn is_wide(key: &Key) -> bool {
    key.permissions.parse().is_ok_and(|held: Permissions| held.0.iter().any(Permission::is_wide))
}

pub fn ended_in_use(look: &Look<'_>) -> Vec<Found> {
    let mut found = Vec::new();
    for (secret, used) in look.books.secrets.iter().filter(|(_, used)| used.after_end.count > 0) {
        let Some((key, _)) = look.books.key(secret.key) else { continue };
        let end = used.end.as_deref().unwrap_or_default();
        let what = match key.state(&look.books.now) {
            _ if secret.until.as_deref() == Some(end) => {
                format!("Its secret {}, of before a rotation, ended at {}", secret.public_id, spoken(end))
            }
            "revoked" => format!("It was revoked at {}", spoken(key.revoked.as_deref().unwrap_or(end))),
            "disabled" => format!("It was disabled at {}", spoken(key.disabled.as_deref().unwrap_or(end))),
            _ => format!("It expired at {}", spoken(end)),
        };
        let reason = format!("{what}, and is still sent.");
        found.push(Found::of(key, reason).tally(&used.after_end).with(Some(secret.public_id.clone())));
    }
    found
}

pub fn refused_key(look: &Look<'_>) -> Vec<Found> {
    let bursts = look.active().filter_map(|(key, used)| Some((key, used, used.burst.as_ref()?)));
    let found = |(key, used, burst): (&Key, &Use, &Burst)| {
        let statuses: Vec<String> = used.statuses.iter().map(i64::to_string).collect();
        let all = Tally { count: burst.count as u64, addresses: used.refused.addresses.clone(), ..Tally::default() };
        Found::of(key, burst_reason(burst, "of its requests", look.terms, &statuses.join(", ")))
            .tally(&Tally { first: burst.first.clone(), last: burst.last.clone(), ..all })
            .shows("all_recent", number(used.refused.count))
    };
    bursts.map(found).collect()
}

fn burst_reason(burst: &Burst, what: &str, terms: &Terms, statuses: &str) -> String {
    let within = time::format_duration(terms.within);
    format!("{} {what} were refused ({statuses}) within {within}, at {}.", burst.count, spoken(&burst.first))
}

pub fn refused_address(look: &Look<'_>) -> Vec<Found> {
    let found = |(address, burst): &(String, Burst)| {
        let reason = burst_reason(burst, "requests from there", look.terms, "401, 403 or 429");
        let found = Found { address: Some(address.clone()), reason, ..Found::default() };
        found.times(burst.count as u64, &burst.first, &burst.last)
    };
    look.books.addresses.iter().map(found).collect()
}

pub fn wide(look: &Look<'_>) -> Vec<Found> {
    let others = look.active().filter(|(key, _)| is_wide(key) && look.keeper.as_ref() != Some(&key.public_id));
    let found = |(key, used): (&Key, &Use)| {
        let suggested = look.narrower(key, used);
        let reason = match &suggested {
            Some((narrower, since)) if !narrower.permissions.0.is_empty() => {
                format!("It may do everything ({}); {}", key.permissions, narrower_reason(narrower, since))
            }
            _ => format!("It may do everything ({}).", key.permissions),
        };
        let found =
            Found::of(key, reason).shows("requests", number(used.requests)).list("as_well_as", look.keeper.as_slice());
        match suggested {
            Some((narrower, _)) => suggest(found, &narrower),
            None => found,
        }
    };
    others.map(found).collect()
}

pub fn old_secret_in_use(look: &Look<'_>) -> Vec<Found> {
    let used = open_overlaps(look).filter(|overlap| overlap.used.count > 0);
    let found = |overlap: Overlap<'_>| {
        let reason = format!(
            "It was rotated at {}, but its old secret {} is still used, and works until {}.",
            spoken(&overlap.key.rotated),
            overlap.secret,
            spoken(overlap.until)
        );
        Found::of(overlap.key, reason).tally(overlap.used)
    };
    used.map(found).collect()
}

pub fn overlap_open(look: &Look<'_>) -> Vec<Found> {
    let unused = open_overlaps(look).filter(|overlap| overlap.used.count == 0);
    let found = |overlap: Overlap<'_>| {
        let reason = format!(
            "Its old secret {} works until {}, and was not used since the rotation at {}.",
            overlap.secret,
            spoken(overlap.until),
            spoken(&overlap.key.rotated)
        );
        Found::of(overlap.key, reason).shows("until", overlap.until)
    };
    unused.map(found).collect()
}

/// A secret of before a rotation that still works.
struct Overlap<'b> {
    key: &'b Key,
    /// Its public id.
    secret: &'b str,
    until: &'b str,
    /// Its use since the rotation.
    used: &'b Tally,
}

fn open_overlaps<'b>(look: &Look<'b>) -> impl Iterator<Item = Overlap<'b>> {
    let books = look.books;
    books.secrets.iter().filter(|(_, used)| used.end.is_none()).filter_map(|(secret, used)| {
        let (key, _) = books.key(secret.key)?;
        let until = secret.until.as_deref()?;
        Some(Overlap { key, secret: &secret.public_id, until, used: &used.after_rotation })
    })
}

pub fn new_address(look: &Look<'_>) -> Vec<Found> {
    let mut found = Vec::new();
    // A key that is bound to networks has its say about addresses.
    let free = look.active().filter(|(key, used)| key.allowed_ips.is_none() && used.addresses.len() <= MOST_ADDRESSES);
    for (key, used) in free {
        let is_new = |(_, sighting): &(&String, &Sighting)| sighting.seen.first >= look.books.recent;
        let (new, known): (Vec<_>, Vec<_>) = used.addresses.iter().partition(is_new);
        let new: Vec<(&String, &Sighting)> = new.into_iter().filter(|(_, sighting)| sighting.works).collect();
        // One that was not used before has no past to differ from.
        if new.is_empty() || known.is_empty() {
            continue;
        }
        let moments = |of: fn(&Tally) -> &String| new.iter().map(move |(_, sighting)| of(&sighting.seen));
        let seen = Tally {
            count: new.iter().map(|(_, sighting)| sighting.seen.count).sum(),
            first: moments(|seen| &seen.first).min().cloned().unwrap_or_default(),
            last: moments(|seen| &seen.last).max().cloned().unwrap_or_default(),
            addresses: new.iter().map(|(address, sighting)| ((*address).clone(), sighting.seen.count)).collect(),
        };
        let many = |count: usize| if count == 1 { "1 address".to_owned() } else { format!("{count} addresses") };
        let reason = format!(
            "Since {} it is used from {} that it had not come from before; until then the log knows it from {}.",
            spoken(&seen.first),
            many(new.len()),
            many(known.len())
        );
        let mut networks: Vec<IpAddr> = known.iter().filter_map(|(address, _)| address.parse().ok()).collect();
        networks.sort_unstable();
        let named: Vec<&IpAddr> = networks.iter().take(MOST_NAMED).collect();
        let bound = !networks.is_empty() && networks.len() <= MOST_NETWORKS;
        let list = networks.iter().map(IpAddr::to_string).collect::<Vec<_>>().join(",");
        found.push(Found::of(key, reason).tally(&seen).list("known", &named).with(bound.then_some(list)));
    }
    found
}

pub fn above_its_past(look: &Look<'_>) -> Vec<Found> {
    let recent = time::to_micros(&look.books.recent).unwrap_or_default().div_euclid(60 * MINUTE);
    let mut found = Vec::new();
    for (key, used) in look.active() {
        let mut past: Vec<u64> =
            used.hours.iter().filter(|(hour, _)| **hour < recent).map(|(_, count)| *count).collect();
        past.sort_unstable();
        let now = used.hours.iter().filter(|(hour, _)| **hour >= recent).max_by_key(|(hour, count)| (**count, **hour));
        let (Some((hour, count)), true) = (now, past.len() >= HOURS_OF_PAST) else { continue };
        let usual = past[past.len() / 2];
        let most = usual * TIMES_ITS_PAST;
        let rate = most.div_ceil(60).max(1);
        let held = key.rate.is_some_and(|own| u64::try_from(own).is_ok_and(|own| own <= rate));
        if *count < MANY_REQUESTS || *count <= most || held {
            continue;
        }
        let start = time::from_micros(hour * 60 * MINUTE);
        let reason = format!(
            "It sent {count} requests in the hour from {}, and {usual} in the middle of its {} hours before.",
            spoken(&start),
            past.len()
        );
        let evidence = Found::of(key, reason).shows("count", number(*count)).shows("first", start.as_str());
        found.push(evidence.shows("usual", number(usual)).with(Some(rate.to_string())));
    }
    found
}

pub fn unused_permissions(look: &Look<'_>) -> Vec<Found> {
    let judged = look.active().filter(|(key, _)| !is_wide(key));
    let found = judged.filter_map(|(key, used)| {
        let (narrower, since) = look.narrower(key, used)?;
        let reason = narrower_reason(&narrower, &since);
        let found = Found::of(key, reason[..1].to_uppercase() + &reason[1..]).shows("requests", number(used.requests));
        Some(suggest(found, &narrower))
    });
    found.collect()
}

/// Why a narrower list is suggested, and what cannot be told from the log.
fn narrower_reason(narrower: &Narrower, since: &str) -> String {
    if narrower.permissions.0.is_empty() {
        return format!(
            "nothing that it may do was seen in the log since {}: none of its requests was carried out.",
            spoken(since)
        );
    }
    let kept = match narrower.kept.is_empty() {
        true => "",
        false => ", what its requests may need without being named there is kept",
    };
    let reads =
        narrower.unused.iter().map(Permission::to_string).any(|one| one.ends_with(":read") || one.ends_with(":*"));
    let unseen = if reads { "; a subquery over an unrelated model would not be seen" } else { "" };
    format!("some of what it may do was not seen in the log since {}{kept}{unseen}.", spoken(since))
}

fn suggest(found: Found, narrower: &Narrower) -> Found {
    let list = narrower.permissions.to_string();
    let with = Some(list).filter(|list| !list.is_empty());
    found.list("not_seen", &narrower.unused).list("kept", &narrower.kept).with(with)
}

pub fn unused(look: &Look<'_>) -> Vec<Found> {
    let since = &look.books.since;
    let old = look.active().filter(|(key, used)| {
        key.created < *since && used.requests == 0 && key.last_used.as_ref().is_none_or(|last| last < since)
    });
    let found = |(key, _): (&Key, &Use)| match &key.last_used {
        Some(last) => {
            let found = Found::of(key, format!("It was last used at {}.", spoken(last))).shows("last", last.as_str());
            found.list("addresses", key.last_ip.as_slice())
        }
        None => Found::of(key, format!("It was made at {} and never used.", spoken(&key.created)))
            .shows("created", key.created.as_str()),
    };
    old.map(found).collect()
}

pub fn old_secret(look: &Look<'_>) -> Vec<Found> {
    let Ok(oldest) = time::from_now(-look.terms.max_age) else { return Vec::new() };
    let found = |(key, _): (&Key, &Use)| {
        let days = time::days_between(&key.rotated, &look.books.now);
        let reason = format!("Its secret is {days} days old.");
        Found::of(key, reason).shows("made", key.rotated.as_str()).shows("days", number(days))
    };
    look.active().filter(|(key, _)| key.rotated < oldest).map(found).collect()
}

pub fn never_expires(look: &Look<'_>) -> Vec<Found> {
    let found = |(key, _): (&Key, &Use)| {
        Found::of(key, "It works until somebody ends it.".to_owned()).shows("created", key.created.as_str())
    };
    look.active().filter(|(key, _)| key.expires.is_none()).map(found).collect()
}

pub fn no_permissions(look: &Look<'_>) -> Vec<Found> {
    let found = |(key, _): (&Key, &Use)| {
        Found::of(key, "Its list of permissions is empty.".to_owned()).shows("created", key.created.as_str())
    };
    look.active().filter(|(key, _)| key.permissions.trim().is_empty()).map(found).collect()
}
