//! Regular expressions whose search of a long text can be stopped: the crate `regex` searches to the end, which with an
//! expression made for it takes a minute for a megabyte.

use crate::lock::lock;
use regex_automata::hybrid::dfa::{Cache, DFA};
use regex_automata::util::{start, syntax};
use regex_automata::{Anchored, nfa::thompson};
use std::sync::{Arc, Mutex, OnceLock};

/// The most characters of one.
pub const LONGEST_REGEX: usize = 1000;

/// Bytes that one may take once compiled.
pub const MOST_COMPILED: usize = 1 << 20;
/// About the bytes that a search may take beside it; a large expression takes more.
const MOST_CACHED: usize = 1 << 18;

/// Bytes of a text that is searched without a look at the clock.
const SHORT: usize = 4096;
/// Bytes of a long text between two looks.
const STRETCH: usize = 256;
/// Bytes times states that are searched without a look at the clock where it cannot be done with one: at worst
/// some seconds.
const MOST_UNTIMED: usize = 1 << 28;

/// Why a search was given up.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Unsearched {
    /// Its time was over.
    Late,
    /// It could not be stopped in time, and would take long: the expression has a `\b`, the text is long and beyond ASCII.
    TooMuch,
}

/// A compiled regular expression. The syntax is that of the crate `regex`: no look-around and no back-references, and in
/// return time linear in the text.
#[derive(Clone, Debug)]
pub struct Regex {
    folds: bool,
    short: regex::Regex,
    /// Made when the first long text comes.
    long: OnceLock<Option<Arc<Automaton>>>,
}

/// The same expression, as an automaton that is led through a text byte by byte, with what it has learned of itself.
#[derive(Debug)]
struct Automaton {
    dfa: DFA,
    /// While nobody searches.
    cache: Mutex<Option<Cache>>,
}

impl PartialEq for Regex {
    fn eq(&self, other: &Regex) -> bool {
        (self.as_str(), self.folds) == (other.as_str(), other.folds)
    }
}

impl Regex {
    /// Compiles one, that folds case or not.
    ///
    /// # Errors
    /// An expression that is malformed, too long, or too large once compiled.
    pub fn new(text: &str, folds: bool) -> Result<Regex, String> {
        if text.chars().count() > LONGEST_REGEX {
            return Err(format!("is longer than the {LONGEST_REGEX} characters that a regular expression may have"));
        }
        let short = regex::RegexBuilder::new(text)
            .case_insensitive(folds)
            .size_limit(MOST_COMPILED)
            .dfa_size_limit(MOST_CACHED)
            .build()
            .map_err(|error| match error {
                regex::Error::CompiledTooBig(_) => format!(
                    r"is too large a regular expression: it takes more than {} MiB once compiled; \w and \d stand for all of Unicode, and [0-9A-Za-z_] takes far less",
                    MOST_COMPILED >> 20
                ),
                other => {
                    let said = other.to_string();
                    let last = said.lines().last().unwrap_or_default().trim_start_matches("error: ");
                    format!("is not a regular expression: {last}")
                }
            })?;
        Ok(Regex { folds, short, long: OnceLock::new() })
    }

    pub fn as_str(&self) -> &str {
        self.short.as_str()
    }

    /// Whether there is a match anywhere in the text, however long that takes.
    pub fn matches(&self, text: &str) -> bool {
        self.short.is_match(text)
    }

    /// As [`Self::matches`], as long as there is time.
    ///
    /// # Errors
    /// `late` said so while a long text was searched, or nobody could have been asked.
    pub fn is_match(&self, text: &str, late: impl Fn() -> bool) -> Result<bool, Unsearched> {
        if text.len() <= SHORT {
            return Ok(self.matches(text));
        }
        let long = self.long.get_or_init(|| Automaton::of(self.as_str(), self.folds).map(Arc::new));
        let Some(automaton) = long else { return Ok(self.matches(text)) };
        if let Some(found) = automaton.search(text.as_bytes(), late) {
            return found;
        }
        let work = automaton.dfa.get_nfa().states().len().saturating_mul(text.len());
        if work > MOST_UNTIMED { Err(Unsearched::TooMuch) } else { Ok(self.matches(text)) }
    }
}

impl Automaton {
    /// `None` where the expression is too large, which none is that `regex` took.
    fn of(expression: &str, folds: bool) -> Option<Automaton> {
        let config =
            DFA::config().unicode_word_boundary(true).cache_capacity(MOST_CACHED).skip_cache_capacity_check(true);
        let dfa = DFA::builder()
            .configure(config)
            .syntax(syntax::Config::new().case_insensitive(folds))
            .thompson(thompson::Config::new().nfa_size_limit(Some(2 * MOST_COMPILED)))
            .build(expression)
            .ok()?;
        Some(Automaton { dfa, cache: Mutex::default() })
    }

    /// Searches a text; `None` where it cannot tell: at characters beyond ASCII beside a `\b`.
    fn search(&self, text: &[u8], late: impl Fn() -> bool) -> Option<Result<bool, Unsearched>> {
        let known = lock(&self.cache).take();
        let mut cache = known.unwrap_or_else(|| Cache::new(&self.dfa));
        let found = self.search_with(&mut cache, text, late);
        *lock(&self.cache) = Some(cache);
        found
    }

    fn search_with(&self, cache: &mut Cache, text: &[u8], late: impl Fn() -> bool) -> Option<Result<bool, Unsearched>> {
        let dfa = &self.dfa;
        let mut state = dfa.start_state(cache, &start::Config::new().anchored(Anchored::No)).ok()?;
        for stretch in text.chunks(STRETCH) {
            if late() {
                return Some(Err(Unsearched::Late));
            }
            for byte in stretch {
                state = dfa.next_state(cache, state, *byte).ok()?;
                if state.is_tagged() {
                    if state.is_match() || state.is_dead() {
                        return Some(Ok(state.is_match()));
                    }
                    if state.is_quit() {
                        return None;
                    }
                }
            }
        }
        Some(Ok(dfa.next_eoi_state(cache, state).ok()?.is_match()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::cell::Cell;

    const EXPRESSIONS: [&str; 14] = [
        "a",
        "^a",
        "a$",
        r"\bab\b",
        r"\Bä",
        "[^a-c ]{3}",
        "(?i)ÄB",
        "(?m)^b$",
        r"\w+ä\w",
        "a.b",
        "(?s)a.b",
        r"\pL\d",
        "",
        "^$",
    ];

    proptest! {
        #[test]
        fn long_texts_are_searched_as_short_ones_are(
            which in 0..EXPRESSIONS.len(), folds in any::<bool>(), text in "[abcäÄ \n1]{0,12}", before in any::<bool>()
        ) {
            let regex = Regex::new(EXPRESSIONS[which], folds).unwrap();
            let filling = "\u{1}".repeat(SHORT);
            let long = if before { filling + &text } else { text + &filling };
            prop_assert_eq!(regex.is_match(&long, || false), Ok(regex.short.is_match(&long)));
        }
    }

    #[test]
    fn a_search_stops_when_it_is_late() {
        let heavy = Regex::new("(?:a[ab]{0,30}){0,20}[c-z]{2}", false).unwrap();
        let looks = Cell::new(0);
        let late = || looks.replace(looks.get() + 1) == 3;
        assert_eq!(heavy.is_match(&"ab".repeat(500_000), late), Err(Unsearched::Late));
        assert_eq!(looks.get(), 4);
        let words = Regex::new(r"\b(?:[ä-ü][a-ü]{0,30}){0,20}[0-9]{2}\b", false).unwrap();
        assert_eq!(words.is_match(&"ab ä".repeat(500_000), || false), Err(Unsearched::TooMuch));
        assert_eq!(words.is_match(&"ab ä".repeat(5_000), || false), Ok(false));
        let plain = Regex::new(r"(?-u:\b)(?:[ä-ü][a-ü]{0,30}){0,20}[0-9]{2}(?-u:\b)", false).unwrap();
        assert_eq!(plain.is_match(&"ab ä".repeat(500_000), || false), Ok(false));
    }
}
