//! Cursors: where a page ended, as an opaque text that only this database can make and that goes with one order.
//!
//! A cursor holds the values that the last record is ordered by, behind a keyed hash of them. The key is made of
//! a secret of the database and of the order, so that a cursor of another order, of another database, or
//! changed by hand is refused.

use crate::json::{Json, write_list};
use crate::value::Scalar;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

/// The secret of a database.
pub type Secret = [u8; 32];

/// Makes and reads the cursors of one order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cursors([u8; 32]);

/// Bytes of the hash that are kept.
const SEAL: usize = 16;

impl Cursors {
    /// Those of an order, told apart by `order`.
    pub fn of(secret: &Secret, order: &str) -> Cursors {
        Cursors(*blake3::keyed_hash(secret, order.as_bytes()).as_bytes())
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
        blake3::keyed_hash(&self.0, values)
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

    #[test]
    fn a_cursor_gives_its_values_back_and_no_other_order_reads_it() {
        let (one, other) = (Cursors::of(&[7; 32], "a.B -created id"), Cursors::of(&[7; 32], "a.B created id"));
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
        assert_eq!(Cursors::of(&[8; 32], "a.B -created id").open(&cursor), None);
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
