//! The text of a key: its form, its checksum, and where it may stand.

use crate::error::Problem;
use crate::random::{self, For};
use std::fmt;

/// The text of a key: `jql_`, 12 characters that may be shown, `_`, 43 secret ones, and 6 that check
/// all before them. Held only while a request is authenticated or the key is handed out.
#[derive(Clone, PartialEq, Eq)]
pub struct KeyText(String);

pub const PREFIX: &str = "jql_";
const PUBLIC: usize = 12;
/// 62^43 > 2^256
const SECRET: usize = 43;
const CHECK: usize = 6;
const LENGTH: usize = PREFIX.len() + PUBLIC + 1 + SECRET + CHECK;
const ALPHABET: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

impl KeyText {
    /// A new key, from random bytes.
    pub fn generate() -> Result<KeyText, Problem> {
        let mut text = String::with_capacity(LENGTH);
        text.push_str(PREFIX);
        random(PUBLIC, &mut text)?;
        text.push('_');
        random(SECRET, &mut text)?;
        let check = checksum(&text);
        text.push_str(&check);
        Ok(KeyText(text))
    }

    /// Reads a key's text. `None` where it is not of the form or its checksum is wrong, so that a typing
    /// error or a guess never reaches the database.
    pub fn parse(text: &str) -> Option<KeyText> {
        let bytes = text.as_bytes();
        let formed = bytes.len() == LENGTH
            && text.starts_with(PREFIX)
            && bytes.iter().enumerate().all(|(place, byte)| match place {
                0..4 => true,
                16 => *byte == b'_',
                _ => byte.is_ascii_alphanumeric(),
            });
        if !formed {
            return None;
        }
        let (body, check) = text.split_at(LENGTH - CHECK);
        (checksum(body) == check).then(|| KeyText(text.to_owned()))
    }

    /// The part that may be shown, stored and logged.
    pub fn public_id(&self) -> &str {
        &self.0[PREFIX.len()..PREFIX.len() + PUBLIC]
    }

    /// The whole text, to be handed out once.
    pub fn reveal(&self) -> &str {
        &self.0
    }

    pub(super) fn hash(&self) -> blake3::Hash {
        blake3::hash(self.0.as_bytes())
    }
}

impl fmt::Debug for KeyText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyText({}…)", self.public_id())
    }
}

/// Appends `count` characters of the alphabet, each as likely as any other.
fn random(count: usize, text: &mut String) -> Result<(), Problem> {
    let end = text.len() + count;
    let mut bytes = [0_u8; 64];
    while text.len() < end {
        random::fill(For::Keys, &mut bytes)
            .map_err(|error| Problem::Fault { cause: format!("no random bytes: {error}") })?;
        let fair = bytes.iter().map(|byte| usize::from(byte & 63)).filter(|index| *index < ALPHABET.len());
        text.extend(fair.take(end - text.len()).map(|index| char::from(ALPHABET[index])));
    }
    Ok(())
}

/// The CRC-32 of a text in six characters.
fn checksum(text: &str) -> String {
    let mut rest = crc32fast::hash(text.as_bytes()) as usize;
    let mut digits = [b'0'; CHECK];
    for digit in digits.iter_mut().rev() {
        *digit = ALPHABET[rest % ALPHABET.len()];
        rest /= ALPHABET.len();
    }
    digits.iter().map(|byte| char::from(*byte)).collect()
}

/// Reads the key from the value of an `Authorization` header: `Bearer`, in any case, and a key.
pub fn bearer(header: &str) -> Option<KeyText> {
    let (scheme, key) = header.split_once(' ')?;
    if scheme.eq_ignore_ascii_case("bearer") { KeyText::parse(key.trim()) } else { None }
}

/// Whether a text holds what looks like the beginning of a key, and so is kept nowhere.
pub fn holds_key(text: &str) -> bool {
    key_in(text).is_some()
}

/// Where the first begins.
fn key_in(text: &str) -> Option<usize> {
    let mut places = text.match_indices(PREFIX).map(|(place, _)| place);
    places.find(|place| {
        let rest = &text.as_bytes()[place + PREFIX.len()..];
        rest.get(PUBLIC) == Some(&b'_') && rest[..PUBLIC].iter().all(u8::is_ascii_alphanumeric)
    })
}

/// A text without the secrets of keys in it: of each only the part that may be shown is left.
pub fn without_secrets(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(place) = key_in(rest) {
        let (before, key) = rest.split_at(place + PREFIX.len() + PUBLIC + 1);
        out.push_str(before);
        rest = key.trim_start_matches(|c: char| c.is_ascii_alphanumeric());
        if rest.len() < key.len() {
            out.push('…');
        }
    }
    out + rest
}

/// Whether a text has the form of a public id.
pub fn is_public_id(text: &str) -> bool {
    text.len() == PUBLIC && text.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_has_its_form_and_its_checksum() {
        let key = KeyText::generate().unwrap();
        let text = key.reveal().to_owned();
        assert_eq!(text.len(), 4 + 12 + 1 + 43 + 6);
        assert_eq!(KeyText::parse(&text), Some(key.clone()));
        assert_ne!(KeyText::generate().unwrap().reveal(), text);
        assert!(!format!("{key:?}").contains(&text[17..]));
        for place in 0..text.len() {
            let mut wrong = text.clone().into_bytes();
            wrong[place] = if wrong[place] == b'x' { b'y' } else { b'x' };
            assert_eq!(KeyText::parse(std::str::from_utf8(&wrong).unwrap()), None, "{place}");
        }
        assert_eq!(KeyText::parse(&text[..text.len() - 1]), None);
        assert_eq!(KeyText::parse(&format!("{text}0")), None);
        assert_eq!(KeyText::parse("jql_ééééééé"), None);
    }

    #[test]
    fn the_scheme_is_bearer_in_any_case() {
        let text = KeyText::generate().unwrap().reveal().to_owned();
        assert!(bearer(&format!("bEaReR {text}")).is_some());
        for header in [text.clone(), format!("Basic {text}"), format!("Bearer{text}"), "Bearer".into(), String::new()] {
            assert!(bearer(&header).is_none(), "{header}");
        }
    }
}
