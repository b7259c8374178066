//! Texts compared whatever their case.

use memchr::memchr2_iter;
use memchr::memmem::Finder;
use std::array;
use std::sync::LazyLock;

/// Letters of ASCII from the most common to the least; all others are taken to be less common.
const BY_USE: &[u8] = b" etaoinsrhldcu0123456789mfpgwybvkxjqz";
/// So many places of a text are tried, before it is searched in a way that needs it folded.
const MOST_TRIED: usize = 16;

/// What most letters fold to, all of Latin, Greek, Cyrillic, Hebrew and Arabic among them; `None` where it is not one letter.
static COMMON: LazyLock<[Option<char>; 0x800]> = LazyLock::new(|| {
    array::from_fn(|code| {
        let mut folded = String::new();
        push_folded(char::from_u32(u32::try_from(code).ok()?)?, &mut folded);
        let mut letters = folded.chars();
        letters.next().filter(|_| letters.next().is_none())
    })
});

/// A piece of text, folded once and held against many texts. Case is folded over all of Unicode, letter by letter, so that two
/// texts differ only in case exactly when they fold alike.
///
/// A text of ASCII folds to as many bytes, and is compared as it stands. All that is asked here takes time linear in the text and
/// the piece.
pub struct Piece {
    folded: String,
    /// Where its least common letter is.
    rarest: usize,
    finder: Finder<'static>,
}

impl Piece {
    pub fn new(text: &str) -> Piece {
        let folded = fold(text);
        let rank = |byte: u8| BY_USE.iter().position(|common| *common == byte).unwrap_or(BY_USE.len());
        let rarest = (0..folded.len()).max_by_key(|at| rank(folded.as_bytes()[*at])).unwrap_or(0);
        let finder = Finder::new(&folded).into_owned();
        Piece { folded, rarest, finder }
    }

    /// Whether the text is this.
    pub fn is(&self, text: &str) -> bool {
        match text.is_ascii() {
            true => self.folded.eq_ignore_ascii_case(text),
            false => self.folded == fold(text),
        }
    }

    /// Whether the text has this in it.
    pub fn is_in(&self, text: &str) -> bool {
        let tried = if text.is_ascii() { self.try_in(text.as_bytes()) } else { None };
        tried.unwrap_or_else(|| self.finder.find(fold(text).as_bytes()).is_some())
    }

    /// Whether a text of ASCII has this in it, by the places where its rarest letter is; `None` where these are many.
    fn try_in(&self, text: &[u8]) -> Option<bool> {
        let piece = self.folded.as_bytes();
        let Some(last) = text.len().checked_sub(piece.len()) else { return Some(false) };
        let Some(letter) = piece.get(self.rarest) else { return Some(true) };
        let places = memchr2_iter(*letter, letter.to_ascii_uppercase(), &text[self.rarest..=self.rarest + last]);
        for (tried, place) in places.enumerate() {
            if tried == MOST_TRIED {
                return None;
            }
            if text[place..place + piece.len()].eq_ignore_ascii_case(piece) {
                return Some(true);
            }
        }
        Some(false)
    }

    /// Whether the text starts with this.
    pub fn starts(&self, text: &str) -> bool {
        let start = text.as_bytes().get(..self.folded.len());
        self.is_part(start, text).unwrap_or_else(|| fold(text).starts_with(&self.folded))
    }

    /// Whether the text ends with this.
    pub fn ends(&self, text: &str) -> bool {
        let end = text.len().checked_sub(self.folded.len()).map(|rest| &text.as_bytes()[rest..]);
        self.is_part(end, text).unwrap_or_else(|| fold(text).ends_with(&self.folded))
    }

    /// Whether a part of a text is this, there being none where the text is too short; `None` where the text has to be folded to
    /// tell.
    fn is_part(&self, part: Option<&[u8]>, text: &str) -> Option<bool> {
        match part {
            Some(part) if part.is_ascii() => Some(self.folded.as_bytes().eq_ignore_ascii_case(part)),
            None if text.is_ascii() => Some(false),
            _ => None,
        }
    }
}

fn fold(text: &str) -> String {
    if text.is_ascii() {
        return text.to_ascii_lowercase();
    }
    let common = &*COMMON;
    let mut out = String::with_capacity(text.len());
    for letter in text.chars() {
        match common.get(letter as usize) {
            Some(Some(folded)) => out.push(*folded),
            _ => push_folded(letter, &mut out),
        }
    }
    out
}

/// By way of upper case, so that `ß` meets `SS` and `ς` meets `σ`; from lower case, so that `ẞ` meets both.
fn push_folded(letter: char, out: &mut String) {
    for lower in letter.to_lowercase() {
        for upper in lower.to_uppercase() {
            out.extend(upper.to_lowercase());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Folding as it is meant.
    fn meant(text: &str) -> String {
        text.chars().flat_map(char::to_lowercase).flat_map(char::to_uppercase).flat_map(char::to_lowercase).collect()
    }

    /// Whether the text is the piece, has it in it, starts and ends with it.
    fn answers(text: &str, piece: &str) -> [bool; 4] {
        let piece = Piece::new(piece);
        [piece.is(text), piece.is_in(text), piece.starts(text), piece.ends(text)]
    }

    fn answers_as_meant(text: &str, piece: &str) -> [bool; 4] {
        let (text, piece) = (meant(text), meant(piece));
        [text == piece, text.contains(&piece), text.starts_with(&piece), text.ends_with(&piece)]
    }

    #[track_caller]
    fn case(text: &str, piece: &str, expected: [bool; 4]) {
        assert_eq!(answers(text, piece), expected, "{text:?} {piece:?}");
        assert_eq!(answers_as_meant(text, piece), expected, "{text:?} {piece:?} as meant");
    }

    /// Letters that fold to ASCII, to more than one letter, to more or fewer bytes, and plain ones.
    const LETTERS: &str = "aAkKsSiIzßẞſKİıŉǰΐΣσςéÉÅåﬁΩω語😀@[`{ \u{307}\u{0}";

    fn texts(longest: usize) -> impl Strategy<Value = String> {
        let letter = prop::sample::select(LETTERS.chars().collect::<Vec<char>>());
        prop::collection::vec(letter, 0..=longest).prop_map(String::from_iter)
    }

    proptest! {
        #[test]
        fn a_piece_is_found_as_meant(text in texts(8), piece in texts(3)) {
            prop_assert_eq!(answers(&text, &piece), answers_as_meant(&text, &piece));
        }

        #[test]
        fn a_part_of_a_text_is_found_in_it_as_meant(
            letters in prop::collection::vec(any::<char>(), 0..20), from in 0_usize..20, length in 0_usize..20, long in any::<bool>()
        ) {
            let part: String = letters.iter().skip(from).take(length).collect();
            let text: String = letters.iter().collect::<String>() + &"aB".repeat(if long { 500 } else { 0 });
            for piece in [part.to_uppercase(), part.to_lowercase(), part] {
                prop_assert_eq!(answers(&text, &piece), answers_as_meant(&text, &piece));
            }
        }

        #[test]
        fn ascii_is_found_as_meant(text in "[ -~]{0,12}", piece in "[ -~]{0,2}", before in 0..2 * MOST_TRIED) {
            let text = piece.chars().take(1).collect::<String>().repeat(before) + &text;
            prop_assert_eq!(answers(&text, &piece), answers_as_meant(&text, &piece));
        }
    }

    #[test]
    fn every_letter_folds_as_meant() {
        for letter in '\0'..=char::MAX {
            let text = letter.to_string();
            assert_eq!(fold(&text), meant(&text), "{letter:?}");
        }
    }

    #[test]
    fn case_meets_over_all_of_unicode() {
        let all = [true; 4];
        case("STRASSE", "straße", all);
        case("STRAẞE", "straße", all);
        case("ΟΔΟΣ", "οδος", all);
        case("Ünïcode", "üNÏCODE", all);
        case("a", "ä", [false; 4]);
        case("ä", "a", [false; 4]);
    }

    #[test]
    fn letters_beyond_ascii_meet_those_of_ascii() {
        case("273 K", "273 k", [true; 4]); // the sign of Kelvin
        case("273 k", "273 K", [true; 4]);
        case("KELVIN", "k", [false, true, true, false]);
        case("Kloſter", "Kloster", [true; 4]);
        case("Kloster", "Kloſter", [true; 4]);
        case("Maß", "S", [false, true, false, true]);
        case("ßa", "s", [false, true, true, false]);
        case("ﬁn", "FI", [false, true, true, false]);
        case("İ", "i", [false, true, true, false]);
        case("İ", "i\u{307}", [true; 4]);
        case("ı", "I", [true; 4]);
    }

    #[test]
    fn nothing_is_in_every_text() {
        case("", "", [true; 4]);
        case("a", "", [false, true, true, true]);
        case("é", "", [false, true, true, true]);
        case("", "a", [false; 4]);
        case("", "é", [false; 4]);
    }

    #[test]
    fn a_text_is_searched_to_its_end_however_often_the_rarest_letter_is_in_it() {
        for length in [0, 1, MOST_TRIED - 1, MOST_TRIED, MOST_TRIED + 1, 100 * MOST_TRIED] {
            for letter in ["a", "b", "x", "é"] {
                let text = letter.repeat(length) + "aB";
                assert_eq!(answers(&text, "Ab"), answers_as_meant(&text, "Ab"), "{text}");
                assert!(Piece::new("Ab").is_in(&text), "{text}");
                assert!(!Piece::new("abb").is_in(&text), "{text}");
            }
        }
    }

    #[test]
    fn a_long_search_takes_no_time_to_speak_of() {
        // Each place tried would be half a million letters long.
        assert!(!Piece::new(&("a".repeat(500_000) + "B")).is_in(&"a".repeat(1_000_000)));
        assert!(!Piece::new(&("A".repeat(250_000) + "b" + &"a".repeat(250_000))).is_in(&"Ab".repeat(500_000)));
    }
}
