//! Answers kept in memory for requests that allow it, and never a stale one.
//!
//! Who writes says so here before and after: an answer is good as long as no model that it read was written by
//! this process, which is known here, and nothing at all by another, which SQLite tells the connection that
//! writes (`PRAGMA data_version`). While a write is on its way, what it may change is neither given nor kept. In a
//! file with triggers a write may change anything, so there no answer comes from here.

use crate::access::Namespace;
use crate::envelope::Answer;
use crate::lock::lock;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex};

/// What tells a request from all others: who sent it, against which models, and what it says.
pub type Key = blake3::Hash;

/// The key of a request of that API key with this body, while the models are of this version.
pub fn key(api_key: i64, models: i64, body: &[u8]) -> Key {
    let mut hasher = blake3::Hasher::new();
    hasher.update(&api_key.to_le_bytes()).update(&models.to_le_bytes()).update(body);
    hasher.finalize()
}

pub struct Cache {
    state: Mutex<State>,
    /// The bytes of all answers together.
    most: usize,
}

#[derive(Default)]
struct State {
    /// Counts the ends of writes.
    sequence: u64,
    /// When each model was last written, and when everything was.
    written: HashMap<Namespace, u64>,
    all_written: u64,
    /// Writes on their way, and those that may change everything.
    writing: HashMap<Namespace, usize>,
    all_writing: usize,
    answers: HashMap<Key, Kept>,
    /// By their numbers, the oldest first.
    order: BTreeMap<u64, Key>,
    bytes: usize,
    /// Numbers the answers.
    next: u64,
}

struct Kept {
    answer: Arc<Answer>,
    /// The models that it read.
    read: Box<[Namespace]>,
    moment: Moment,
    number: u64,
    size: usize,
}

/// A moment: how many writes had ended, and SQLite's mark of what other processes wrote.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Moment {
    sequence: u64,
    foreign: i64,
}

impl Cache {
    /// One that holds so many bytes.
    pub fn new(most: usize) -> Cache {
        Cache { state: Mutex::default(), most }
    }

    /// This moment, with the mark of other processes.
    pub fn moment(&self, foreign: i64) -> Moment {
        Moment { sequence: lock(&self.state).sequence, foreign }
    }

    /// The answer to a request, if it is as good as a new one.
    pub fn find(&self, key: &Key, foreign: i64) -> Option<Arc<Answer>> {
        let state = lock(&self.state);
        let kept = state.answers.get(key)?;
        let good = kept.moment.foreign == foreign && !state.is_touched(&kept.read, kept.moment.sequence);
        good.then(|| kept.answer.clone())
    }

    /// How many answers there are, and about how many bytes they take.
    pub fn size(&self) -> (usize, usize) {
        let state = lock(&self.state);
        (state.answers.len(), state.bytes)
    }

    /// Keeps the answer to a request that read these models. Nothing may have been committed between what the
    /// answer saw and `moment`.
    pub fn keep(&self, key: Key, answer: Arc<Answer>, read: BTreeSet<Namespace>, moment: Moment) {
        let read: Box<[Namespace]> = read.into_iter().collect();
        let size = answer.size() + read.iter().map(size_of_name).sum::<usize>() + BESIDE;
        let mut state = lock(&self.state);
        if size > self.most / 4 || state.is_touched(&read, moment.sequence) {
            return;
        }
        state.next += 1;
        let number = state.next;
        state.bytes += size;
        state.order.insert(number, key);
        if let Some(before) = state.answers.insert(key, Kept { answer, read, moment, number, size }) {
            state.bytes -= before.size;
            state.order.remove(&before.number);
        }
        while state.bytes > self.most {
            let Some((_, oldest)) = state.order.pop_first() else { break };
            state.bytes -= state.answers.remove(&oldest).map_or(0, |kept| kept.size);
        }
    }

    /// Says that these models are being written, until what is given back is dropped; `None` stands for all.
    pub fn writing(&self, models: Option<BTreeSet<Namespace>>) -> Writing<'_> {
        let mut state = lock(&self.state);
        match &models {
            Some(models) => models.iter().for_each(|model| *state.writing.entry(model.clone()).or_default() += 1),
            None => state.all_writing += 1,
        }
        drop(state);
        Writing { cache: self, models }
    }
}

/// About how many bytes an answer takes in the two tables.
const BESIDE: usize = 384;

fn size_of_name(model: &Namespace) -> usize {
    size_of::<Namespace>() + model.as_str().len() + 32
}

impl State {
    /// Whether one of these models is being written, or was since.
    fn is_touched(&self, models: &[Namespace], since: u64) -> bool {
        let touched =
            |model| self.written.get(model).is_some_and(|written| *written > since) || self.writing.contains_key(model);
        self.all_writing > 0 || self.all_written > since || models.iter().any(touched)
    }
}

/// A write on its way.
pub struct Writing<'c> {
    cache: &'c Cache,
    models: Option<BTreeSet<Namespace>>,
}

impl Drop for Writing<'_> {
    fn drop(&mut self) {
        let mut state = lock(&self.cache.state);
        state.sequence += 1;
        let now = state.sequence;
        let Some(models) = &self.models else {
            state.all_writing -= 1;
            state.all_written = now;
            state.written.clear(); // which was before
            return;
        };
        for model in models {
            if let Some(count) = state.writing.get_mut(model) {
                *count -= 1;
                if *count == 0 {
                    state.writing.remove(model);
                }
            }
            state.written.insert(model.clone(), now);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn models(names: &[&str]) -> BTreeSet<Namespace> {
        names.iter().map(|name| name.parse().unwrap()).collect()
    }

    fn key(number: u8) -> Key {
        blake3::hash(&[number])
    }

    #[test]
    fn an_answer_is_good_until_a_model_that_it_read_is_written() {
        let cache = Cache::new(1 << 20);
        let keep = || cache.keep(key(1), Arc::default(), models(&["a.B"]), cache.moment(7));
        keep();
        assert!(cache.find(&key(1), 7).is_some());
        assert!(cache.find(&key(1), 8).is_none(), "another process wrote");
        assert!(cache.find(&key(2), 7).is_none());
        let write = cache.writing(Some(models(&["c.D"])));
        assert!(cache.find(&key(1), 7).is_some());
        drop(write);
        assert!(cache.find(&key(1), 7).is_some());
        let write = cache.writing(Some(models(&["a.B"])));
        assert!(cache.find(&key(1), 7).is_none());
        keep();
        drop(write);
        assert!(cache.find(&key(1), 7).is_none(), "nothing is kept while a write is on its way");
        keep();
        assert!(cache.find(&key(1), 7).is_some());
        drop(cache.writing(None));
        assert!(cache.find(&key(1), 7).is_none());
    }

    #[test]
    fn a_moment_before_a_write_is_none_to_keep_an_answer_of() {
        let cache = Cache::new(1 << 20);
        let before = cache.moment(7);
        drop(cache.writing(Some(models(&["a.B"]))));
        cache.keep(key(1), Arc::default(), models(&["a.B"]), before);
        assert!(cache.find(&key(1), 7).is_none());
    }

    #[test]
    fn its_bytes_are_bounded_and_the_oldest_go_first() {
        let cache = Cache::new(8 * 1024);
        for number in 0..200 {
            cache.keep(key(number), Arc::default(), models(&["a.B"]), cache.moment(7));
            let state = lock(&cache.state);
            assert!(state.bytes <= 8 * 1024);
            assert_eq!(state.bytes, state.answers.values().map(|kept| kept.size).sum::<usize>());
        }
        assert!(cache.find(&key(0), 7).is_none() && cache.find(&key(199), 7).is_some());
        for _ in 0..1000 {
            cache.keep(key(199), Arc::default(), models(&["a.B"]), cache.moment(7));
        }
        let state = lock(&cache.state);
        assert_eq!(state.order.len(), state.answers.len());
    }
}
