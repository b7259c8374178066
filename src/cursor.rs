//! Cursors: where a page ended, as an opaque text that only this database can make and that goes with one order.
//!
//! A cursor holds the values that the last record is ordered by, behind a hash of the order and of them, keyed with
//! a secret of the database, so that a cursor of another order, of another database, or changed by hand is refused.

use crate::json::{Json, write_list};
use crate::value::Scalar;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

/// The secret of a database.
pub type Secret = [u8; 32];

/// Makes and reads the cursors of one order. Nothing is hashed before there is one.
#[derive(Clone, PartialEq, Eq)]
pub struct Cursors {
    secret: Secret,
    order: String,
}

/// Bytes of the hash that are kept.
const SEAL: usize = 16;

impl Cursors {
    /// Those of an order, told apart by `order`.
    pub fn of(secret: &Secret, order: String) -> Cursors {
        Cursors { secret: *secret, order }
    }

    /// The cursor behind a record with these values.
    pub fn seal(&self, values: &[&Scalar]) -> String {
        let mut text = vec![0; SEAL];
        write_list(values.iter(), &mut text, |value, out| json(value).write(out));
        let seal = self.hash(&text[SEAL..]);
        text[..SEAL].copy_from_slice(&seal.as_bytes()[..SEAL]);
        URL_SAFE_NO_PAD.encode(text)
    }

    /// The values in a cursor. `None` where it is not one of these.
    pub fn open(&self, cursor: &str) -> Option<Vec<Scalar>> {
        let text = URL_SAFE_NO_PAD.decode(cursor).ok()?;
        let (seal, values) = text.split_at_checked(SEAL)?;
        if self.hash(values).as_bytes()[..SEAL] != *seal {
            return None; // nothing is learned from the time that this takes: a seal guards no secret
        }
        match Json::parse(values).ok()? {
            Json::List(values) => values.into_iter().map(scalar).collect(),
            _ => None,
        }
    }

    fn hash(&self, values: &[u8]) -> blake3::Hash {
        let mut hasher = blake3::Hasher::new_keyed(&self.secret);
        // The length tells where the one ends and the other begins.
        hasher.update(&self.order.len().to_le_bytes()).update(self.order.as_bytes()).update(values);
        hasher.finalize()
    }
}

impl std::fmt::Debug for Cursors {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Cursors({})", self.order)
    }
}

fn json(value: &Scalar) -> Json {
    match value {
        Scalar::Null => Json::Null,
        Scalar::Integer(number) => Json::Integer(*number),
        // JSON knows no infinity, which a number inside a json field may come to; this reads as one.
        Scalar::Real(number) if number.is_infinite() => Json::Number(format!("{}e999", number.signum())),
        Scalar::Real(number) => Json::Number(format!("{number:?}")),
        Scalar::Text(text) => Json::String(text.clone()),
    }
}

fn scalar(value: Json) -> Option<Scalar> {
    match value {
        Json::Null => Some(Scalar::Null),
        Json::Integer(number) => Some(Scalar::Integer(number)),
        Json::Number(digits) => digits.parse().ok().map(Scalar::Real),
        Json::String(text) => Some(Scalar::Text(text)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn value() -> impl Strategy<Value = Scalar> {
        prop_oneof![
            Just(Scalar::Null),
            any::<i64>().prop_map(Scalar::Integer),
            any::<f64>().prop_filter("SQLite has no NaN", |number| !number.is_nan()).prop_map(Scalar::Real),
            any::<String>().prop_map(Scalar::Text),
        ]
    }

    proptest! {
        #[test]
        fn what_is_sealed_opens_and_nothing_else_does(
            values in prop::collection::vec(value(), 0..6), other in ".*", nonsense in "[A-Za-z0-9_-]{0,60}"
        ) {
            let cursors = Cursors::of(&[7; 32], "a.B id".into());
            let cursor = cursors.seal(&values.iter().collect::<Vec<_>>());
            prop_assert_eq!(cursors.open(&cursor), Some(values));
            for text in [other, nonsense.clone(), cursor.clone() + "A", nonsense + &cursor] {
                prop_assert!(text == cursor || cursors.open(&text).is_none(), "{}", text);
            }
        }
    }

    #[test]
    fn a_cursor_gives_its_values_back_and_no_other_order_reads_it() {
        let (one, other) =
            (Cursors::of(&[7; 32], "a.B -created id".into()), Cursors::of(&[7; 32], "a.B created id".into()));
        let values = [
            Scalar::Null,
            Scalar::Integer(i64::MIN),
            Scalar::Real(0.1 + 0.2),
            Scalar::Real(1e300),
            Scalar::Real(5e-324),
            Scalar::Real(f64::INFINITY),
            Scalar::Real(f64::NEG_INFINITY),
            Scalar::Text("ß \"quoted\" \u{1}".into()),
        ];
        let cursor = one.seal(&values.iter().collect::<Vec<_>>());
        assert_eq!(one.open(&cursor).as_deref(), Some(values.as_slice()));
        assert_eq!(other.open(&cursor), None);
        assert_eq!(Cursors::of(&[8; 32], "a.B -created id".into()).open(&cursor), None);
        for place in 0..cursor.len() {
            let mut changed = cursor.clone().into_bytes();
            changed[place] = if changed[place] == b'A' { b'B' } else { b'A' };
            let changed = String::from_utf8(changed).unwrap();
            assert!(one.open(&changed).is_none_or(|opened| opened == values), "{place}");
        }
        for nonsense in ["", "A", "%", "AAAAAAAAAAAAAAAAAAAAAAAA"] {
            assert_eq!(one.open(nonsense), None);
        }
    }
}
