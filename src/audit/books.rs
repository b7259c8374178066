//! What the findings are made of: the keys, and what the usage log tells of each, gathered in one pass over it.

use super::narrower::Acts;
use super::{MINUTE, Terms};
use crate::access::{Action, Namespace};
use crate::auth::keys::{self, Key, Secret};
use crate::intent::{API_KEY, BATCH, INTENTS};
use crate::sql::Statement;
use crate::store::{Failure, Session};
use crate::value::{Scalar, time};
use std::collections::{BTreeSet, HashMap, HashSet};

/// Everything that is looked at.
pub struct Books {
    /// This moment, and those from which use counts and from which incidents do.
    pub now: String,
    pub since: String,
    pub recent: String,
    /// The moment of the oldest entry of the log.
    pub oldest: Option<String>,
    /// In the order of their ids.
    pub keys: Vec<(Key, Use)>,
    pub secrets: Vec<(Secret, SecretUse)>,
    /// The worst of the addresses from which bursts of refused requests came, and how many others there are.
    pub addresses: Vec<(String, Burst)>,
    pub more_addresses: usize,
}

/// What the log tells of one key.
#[derive(Default)]
pub struct Use {
    /// Requests that were let in.
    pub requests: u64,
    /// The intents of those that no permission was lacking for, by namespace; of one without an intent the action.
    passed: HashMap<String, HashSet<String>>,
    pub batches: u64,
    pub addresses: HashMap<String, Sighting>,
    /// Requests in each hour since 1970.
    pub hours: HashMap<i64, u64>,
    /// Those that were refused recently.
    pub refused: Tally,
    pub statuses: BTreeSet<i64>,
    moments: Vec<i64>,
    /// The worst of them.
    pub burst: Option<Burst>,
}

/// What it tells of one secret.
#[derive(Default)]
pub struct SecretUse {
    /// From when on it is refused.
    pub end: Option<String>,
    /// Requests with it since then, the recent ones.
    pub after_end: Tally,
    /// Requests with it that were let in, though the key had got another secret.
    pub after_rotation: Tally,
}

/// One address of a key.
#[derive(Default)]
pub struct Sighting {
    pub seen: Tally,
    /// Whether a secret that still works came from there.
    pub works: bool,
}

/// How many requests there were, when and from where.
#[derive(Default)]
pub struct Tally {
    pub count: u64,
    pub first: String,
    pub last: String,
    pub addresses: HashMap<String, u64>,
}

/// Addresses that are told apart, of one key.
pub const MOST_ADDRESSES: usize = 4096;
/// Addresses with bursts of refused requests that are told of.
const MOST_BURSTS: usize = 100;
const REFUSED: [i64; 3] = [401, 403, 429];

impl Tally {
    fn note(&mut self, at: &str, address: Option<&str>) {
        self.count += 1;
        // Entries stand in the order in which requests were answered, not in which they came.
        if self.first.is_empty() || *self.first > *at {
            at.clone_into(&mut self.first);
        }
        if *self.last < *at {
            at.clone_into(&mut self.last);
        }
        let Some(address) = address else { return };
        if let Some(count) = self.addresses.get_mut(address) {
            *count += 1;
        } else if self.addresses.len() < MOST_ADDRESSES {
            self.addresses.insert(address.to_owned(), 1);
        }
    }
}

/// The most requests that came within a certain time.
#[derive(Clone, Debug, PartialEq)]
pub struct Burst {
    pub count: usize,
    pub first: String,
    pub last: String,
}

impl Burst {
    /// The worst of these moments, in microseconds, if it is bad enough.
    fn of(moments: &mut [i64], terms: &Terms) -> Option<Burst> {
        moments.sort_unstable();
        let within = i64::try_from(terms.within.as_micros()).unwrap_or(i64::MAX);
        let (mut start, mut worst) = (0, 0..0);
        for end in 0..moments.len() {
            while moments[end] - moments[start] >= within {
                start += 1;
            }
            if end + 1 - start > worst.len() {
                worst = start..end + 1;
            }
        }
        let moment = |index: usize| time::from_micros(moments[index]);
        (worst.len() >= terms.refusals).then(|| Burst {
            count: worst.len(),
            first: moment(worst.start),
            last: moment(worst.end - 1),
        })
    }
}

impl Use {
    /// What was done to which models. A request that failed for another reason than a lacking permission needed it all
    /// the same.
    pub fn acts(&self) -> Acts {
        let mut acts = Acts::new();
        for (namespace, intents) in &self.passed {
            let Ok(namespace) = namespace.parse::<Namespace>() else { continue };
            let rules = INTENTS.iter().filter(|rule| intents.contains(rule.name));
            // An intent that is called like an action is that action.
            let named = Action::ALL.iter().filter(|action| intents.contains(action.name()));
            acts.extend(rules.flat_map(|rule| rule.least(&namespace)));
            acts.extend(named.map(|action| (namespace.clone(), *action)));
        }
        acts
    }

    /// Whether it made or changed keys, for which it must hold what it gives.
    pub fn gives_keys(&self) -> bool {
        let writes = |(namespace, action): &(Namespace, Action)| {
            namespace.as_str() == API_KEY && matches!(action, Action::Create | Action::Update)
        };
        self.acts().iter().any(writes)
    }
}

/// Reads all of it; the session should be in one transaction.
pub fn read(session: &Session, terms: &Terms) -> Result<Books, Failure> {
    let now = time::now();
    let ago = |duration: jiff::SignedDuration| {
        time::from_now(-duration).unwrap_or_else(|_| time::from_micros(0)) // before there was a log
    };
    let keys: Vec<(Key, Use)> = keys::list(session)?.into_iter().map(|key| (key, Use::default())).collect();
    let end_of = |secret: &Secret| {
        let ends = key_of(&keys, secret.key).map(|(key, _)| [&key.revoked, &key.disabled, &key.expires]);
        ends.into_iter().flatten().chain([&secret.until]).flatten().filter(|end| **end <= now).min().cloned()
    };
    let secret = |secret: Secret| (SecretUse { end: end_of(&secret), ..SecretUse::default() }, secret);
    let secrets = keys::secrets(session)?.into_iter().map(secret).map(|(used, secret)| (secret, used)).collect();
    let oldest = session.rows(&Statement::fixed(r#"SELECT min("at") FROM "system.UsageLog""#, []))?;
    let oldest = oldest.cells.first().and_then(Scalar::text).map(str::to_owned);
    let (since, recent) = (ago(terms.window), ago(terms.recent));
    let (addresses, more_addresses) = (Vec::new(), 0);
    let mut books = Books { now, since, recent, oldest, keys, secrets, addresses, more_addresses };
    books.read_use(session)?;
    for (_, used) in &mut books.keys {
        used.burst = Burst::of(&mut std::mem::take(&mut used.moments), terms);
    }
    books.read_addresses(session, terms)?;
    Ok(books)
}

/// The key of that id.
fn key_of(keys: &[(Key, Use)], id: i64) -> Option<&(Key, Use)> {
    keys.binary_search_by_key(&id, |(key, _)| key.id).ok().map(|place| &keys[place])
}

impl Books {
    /// The key of that id, and what the log tells of it.
    pub fn key(&self, id: i64) -> Option<&(Key, Use)> {
        key_of(&self.keys, id)
    }

    /// Gathers what the log tells of the keys.
    fn read_use(&mut self, session: &Session) -> Result<(), Failure> {
        let places: HashMap<i64, usize> =
            self.keys.iter().enumerate().map(|(place, (key, _))| (key.id, place)).collect();
        let named = |(place, (secret, _)): (usize, &(Secret, SecretUse))| {
            Some((secret.public_id.clone(), (place, *places.get(&secret.key)?)))
        };
        let by_name: HashMap<String, (usize, usize)> = self.secrets.iter().enumerate().filter_map(named).collect();
        let start = Scalar::Text(self.since.clone().min(self.recent.clone()));
        let (since, recent) = (&self.since, &self.recent);
        let (keys, secrets) = (&mut self.keys, &mut self.secrets);
        session.each_row(
            &Statement::fixed(
                r#"SELECT "key", "at", "status", "remote_addr", "namespace", coalesce("intent", "action") FROM "system.UsageLog"
                   WHERE "at" >= ?1 AND "key" IS NOT NULL"#,
                [start],
            ),
            |row| {
                let [Scalar::Text(key), Scalar::Text(at), Scalar::Integer(status), address, namespace, intent] = row
                else {
                    return;
                };
                let Some((secret, key)) = by_name.get(key).copied() else { return }; // of a key that is gone
                let (Some(micros), address) = (time::to_micros(at), address.text()) else { return };
                let ((secret, told), (key, used)) = (&mut secrets[secret], &mut keys[key]);
                let is_recent = at >= recent;
                if *status == 401 {
                    if is_recent && told.end.as_ref().is_some_and(|end| end <= at) {
                        told.after_end.note(at, address);
                    }
                    return;
                }
                if secret.until.is_some() && *at > key.rotated {
                    told.after_rotation.note(at, address);
                }
                if REFUSED.contains(status) && is_recent && told.end.is_none() {
                    used.refused.note(at, address);
                    used.statuses.insert(*status);
                    used.moments.push(micros);
                }
                *used.hours.entry(micros.div_euclid(60 * MINUTE)).or_default() += 1;
                // Without a namespace it was refused before it was read: it may not be used from there, or so often.
                let unread = *namespace == Scalar::Null && REFUSED.contains(status);
                if let Some(address) = address.filter(|_| !unread) {
                    used.sight(address, at, told.end.is_none());
                }
                if at >= since {
                    used.requests += 1;
                    if let (Some(namespace), Some(intent)) = (namespace.text(), intent.text()) {
                        used.pass(namespace, intent, *status);
                    }
                }
            },
        )
    }

    /// Gathers the addresses from which bursts of refused requests came, those of keys that are told of aside.
    fn read_addresses(&mut self, session: &Session, terms: &Terms) -> Result<(), Failure> {
        let told_of = |(secret, told): &&(Secret, SecretUse)| {
            let bursts = self.key(secret.key).is_some_and(|(_, used)| used.burst.is_some());
            bursts || told.after_end.count > 0
        };
        let told_of: HashSet<String> =
            self.secrets.iter().filter(told_of).map(|(secret, _)| secret.public_id.clone()).collect();
        let mut found = Vec::new();
        let (mut address, mut moments): (String, Vec<i64>) = Default::default();
        let mut close = |address: &str, moments: &mut Vec<i64>| {
            found.extend(Burst::of(moments, terms).map(|burst| (address.to_owned(), burst)));
            moments.clear();
        };
        session.each_row(
            &Statement::fixed(
                r#"SELECT "remote_addr", "at", "key" FROM "system.UsageLog"
                   WHERE "at" >= ?1 AND "status" IN (401, 403, 429) AND "remote_addr" IS NOT NULL
                   ORDER BY "remote_addr""#,
                [Scalar::Text(self.recent.clone())],
            ),
            |row| {
                let [Scalar::Text(from), Scalar::Text(at), key] = row else { return };
                if key.text().is_some_and(|key| told_of.contains(key)) {
                    return;
                }
                if *from != address {
                    close(&address, &mut moments);
                    from.clone_into(&mut address);
                }
                moments.extend(time::to_micros(at));
            },
        )?;
        close(&address, &mut moments);
        found.sort_by_key(|(_, burst)| std::cmp::Reverse(burst.count));
        self.more_addresses = found.len().saturating_sub(MOST_BURSTS);
        found.truncate(MOST_BURSTS);
        self.addresses = found;
        Ok(())
    }
}

impl Use {
    fn sight(&mut self, address: &str, at: &str, works: bool) {
        if !self.addresses.contains_key(address) {
            if self.addresses.len() > MOST_ADDRESSES {
                return;
            }
            self.addresses.insert(address.to_owned(), Sighting::default());
        }
        if let Some(sighting) = self.addresses.get_mut(address) {
            sighting.seen.note(at, None);
            sighting.works |= works;
        }
    }

    fn pass(&mut self, namespace: &str, intent: &str, status: i64) {
        if namespace == BATCH {
            self.batches += 1;
        }
        // Not found, taken, too slow: it was allowed all the same.
        if !matches!(status, ..400 | 404 | 409 | 500..) {
            return;
        }
        if !self.passed.contains_key(namespace) {
            self.passed.insert(namespace.to_owned(), HashSet::new());
        }
        if let Some(intents) = self.passed.get_mut(namespace).filter(|intents| !intents.contains(intent)) {
            intents.insert(intent.to_owned());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_is_the_most_within_a_time() {
        let terms = Terms { refusals: 3, ..Terms::default() };
        let burst = |minutes: &[i64]| {
            let mut moments: Vec<i64> = minutes.iter().map(|minute| minute * MINUTE).collect();
            Burst::of(&mut moments, &terms)
                .map(|burst| (burst.count, burst.first[14..16].to_owned(), burst.last[14..16].to_owned()))
        };
        assert_eq!(burst(&[]), None);
        assert_eq!(burst(&[0, 1, 5, 10, 15]), None, "five minutes later is not within five minutes");
        assert_eq!(burst(&[20, 10, 0, 9, 8, 21]), Some((3, "08".into(), "10".into())));
        assert_eq!(burst(&[1, 1, 1, 1]), Some((4, "01".into(), "01".into())));
    }
}
