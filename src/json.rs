//! JSON as this server needs it: a tree that keeps the order of keys, the digits of numbers and
//! repeated keys (so that they can be refused), and a pointer to any place in it.
//!
//! The reading and writing is `serde_json`'s. Its own `Value` is not used because it drops repeated keys.

use serde::de::{DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use smol_str::{SmolStr, SmolStrBuilder};
use std::fmt;

/// A JSON value. Two are equal when they were written alike, `1.0` and `1.00` apart.
#[derive(Clone, Debug, PartialEq)]
pub enum Json {
    Null,
    Boolean(bool),
    /// A whole number within 64 bits.
    Integer(i64),
    /// Any other number, as it was written.
    Number(String),
    String(String),
    List(Vec<Json>),
    Object(Object),
}

/// The members of an object in the order in which they were written.
pub type Object = Vec<(SmolStr, Json)>;

/// An object with these members.
#[inline(never)] // it is called in a hundred places, and none of them is in a hurry
pub fn object(members: Vec<(&str, Json)>) -> Json {
    Json::Object(members.into_iter().map(|(name, value)| (name.into(), value)).collect())
}

/// A whole number, of whatever type; the largest there is, where it does not fit into 64 bits.
pub fn number(number: impl TryInto<i64>) -> Json {
    Json::Integer(number.try_into().unwrap_or(i64::MAX))
}

/// The member of that name.
pub fn member<'o>(members: &'o [(SmolStr, Json)], name: &str) -> Option<&'o Json> {
    members.iter().find(|(key, _)| key == name).map(|(_, value)| value)
}

impl Json {
    /// Reads one JSON text and nothing after it.
    ///
    /// # Errors
    /// Text that is not JSON, or nested deeper than 127 levels.
    pub fn parse(bytes: &[u8]) -> Result<Json, serde_json::Error> {
        match std::str::from_utf8(bytes) {
            Ok(text) => read(serde_json::Deserializer::from_str(text)), // which looks at no string of it again
            Err(_) => read(serde_json::Deserializer::from_slice(bytes)), // which tells where it is none
        }
    }

    /// The member of that name, where this is an object that has it.
    pub fn get(&self, name: &str) -> Option<&Json> {
        if let Json::Object(members) = self { member(members, name) } else { None }
    }

    /// The member of that name, where this is an object that has it and nothing else.
    pub fn only(&self, name: &str) -> Option<&Json> {
        match self {
            Json::Object(members) if members.len() == 1 => member(members, name),
            _ => None,
        }
    }

    /// About how many bytes it takes in memory.
    pub fn size(&self) -> usize {
        let inner = match self {
            Json::Null | Json::Boolean(_) | Json::Integer(_) => 0,
            Json::Number(text) | Json::String(text) => text.len(),
            Json::List(items) => items.iter().map(Json::size).sum(),
            Json::Object(members) => members.iter().map(|(name, value)| name.len() + 24 + value.size()).sum(),
        };
        size_of::<Json>() + inner
    }

    /// How many lists and objects stand within each other.
    pub fn levels(&self) -> usize {
        let inner = match self {
            Json::List(items) => items.iter().map(Json::levels).max(),
            Json::Object(members) => members.iter().map(|(_, value)| value.levels()).max(),
            _ => return 0,
        };
        1 + inner.unwrap_or(0)
    }

    /// Appends this value as compact JSON.
    pub fn write(&self, out: &mut Vec<u8>) {
        match self {
            Json::Null => out.extend_from_slice(b"null"),
            Json::Boolean(true) => out.extend_from_slice(b"true"),
            Json::Boolean(false) => out.extend_from_slice(b"false"),
            Json::Integer(number) => write_integer(*number, out),
            Json::Number(digits) => out.extend_from_slice(digits.as_bytes()),
            Json::String(text) => write_string(text, out),
            Json::List(items) => write_list(items.iter(), out, Json::write),
            Json::Object(members) => {
                out.push(b'{');
                for (index, (name, value)) in members.iter().enumerate() {
                    if index > 0 {
                        out.push(b',');
                    }
                    write_string(name, out);
                    out.push(b':');
                    value.write(out);
                }
                out.push(b'}');
            }
        }
    }

    /// The pointers of the keys that stand twice in one object; no more are looked for once there are more than `most`.
    pub fn repeated_keys(&self, most: usize) -> Vec<String> {
        let mut found = Vec::new();
        self.find_repeated(&Pointer::ROOT, most, &mut found);
        found
    }

    fn find_repeated(&self, here: &Pointer<'_>, most: usize, found: &mut Vec<String>) {
        match self {
            Json::List(items) => {
                for (index, item) in items.iter().enumerate() {
                    item.find_repeated(&here.index(index), most, found);
                }
            }
            Json::Object(members) => {
                // Most objects are small, and looking back costs less than a set.
                let mut seen = (members.len() > 16).then(|| std::collections::HashSet::with_capacity(members.len()));
                for (index, (name, value)) in members.iter().enumerate() {
                    if found.len() > most {
                        return;
                    }
                    let is_new = match &mut seen {
                        Some(seen) => seen.insert(name.as_str()),
                        None => member(&members[..index], name).is_none(),
                    };
                    if !is_new {
                        found.push(here.key(name).to_string());
                    }
                    value.find_repeated(&here.key(name), most, found);
                }
            }
            _ => {}
        }
    }
}

impl From<&str> for Json {
    fn from(text: &str) -> Json {
        Json::String(text.to_owned())
    }
}

impl fmt::Display for Json {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut out = Vec::new();
        self.write(&mut out);
        f.write_str(&String::from_utf8_lossy(&out))
    }
}

/// Appends a JSON string.
pub fn write_string(text: &str, out: &mut Vec<u8>) {
    if !is_plain(text.as_bytes()) {
        return serde_json::to_writer(out, text).expect("a string always becomes JSON, and a Vec takes every byte");
    }
    out.reserve(text.len() + 2);
    out.push(b'"');
    out.extend_from_slice(text.as_bytes());
    out.push(b'"');
}

/// A key as it stands before a value, for where it is written many times: `"key":`.
pub fn label(key: &str) -> SmolStr {
    let mut label = SmolStrBuilder::new();
    if is_plain(key.as_bytes()) {
        label.push_str("\"");
        label.push_str(key);
        label.push_str("\":");
    } else {
        label.push_str(&Json::from(key).to_string());
        label.push_str(":");
    }
    label.finish()
}

/// Whether a text stands in JSON as it is, as most do.
fn is_plain(text: &[u8]) -> bool {
    let plain = |byte: &u8| *byte >= b' ' && *byte != b'"' && *byte != b'\\';
    let (words, rest) = text.as_chunks::<8>();
    words.iter().all(|word| are_plain(u64::from_ne_bytes(*word))) && rest.iter().all(plain)
}

/// The same of eight bytes at once: subtracting from a byte below a bound borrows its highest bit, and a byte that is
/// looked for is zero where it is exclusive-ored with itself, which is below one.
fn are_plain(bytes: u64) -> bool {
    const EACH: u64 = u64::MAX / 255;
    let below = |bytes: u64, bound: u8| bytes.wrapping_sub(EACH * u64::from(bound)) & !bytes;
    let found =
        below(bytes, b' ') | below(bytes ^ (EACH * u64::from(b'"')), 1) | below(bytes ^ (EACH * u64::from(b'\\')), 1);
    found & (EACH << 7) == 0
}

/// Appends a JSON number.
pub fn write_integer(number: i64, out: &mut Vec<u8>) {
    serde_json::to_writer(out, &number).expect("an integer always becomes JSON, and a Vec takes every byte");
}

/// Appends a JSON list, each item by `write`.
pub fn write_list<T>(items: impl Iterator<Item = T>, out: &mut Vec<u8>, mut write: impl FnMut(T, &mut Vec<u8>)) {
    out.push(b'[');
    for (index, item) in items.enumerate() {
        if index > 0 {
            out.push(b',');
        }
        write(item, out);
    }
    out.push(b']');
}

/// A place in a JSON text, printed as RFC 6901 has it. It is built on the way down and costs
/// nothing until an error prints it.
#[derive(Clone, Copy)]
pub struct Pointer<'a> {
    parent: Option<&'a Pointer<'a>>,
    token: Token<'a>,
}

#[derive(Clone, Copy)]
enum Token<'a> {
    Key(&'a str),
    Index(usize),
}

impl<'a> Pointer<'a> {
    /// The whole text.
    pub const ROOT: Pointer<'static> = Pointer { parent: None, token: Token::Key("") };

    /// The member `key` of what this points to.
    pub fn key(&'a self, key: &'a str) -> Pointer<'a> {
        Pointer { parent: Some(self), token: Token::Key(key) }
    }

    /// The item `index` of what this points to.
    pub fn index(&'a self, index: usize) -> Pointer<'a> {
        Pointer { parent: Some(self), token: Token::Index(index) }
    }
}

impl fmt::Display for Pointer<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(parent) = self.parent else { return Ok(()) };
        parent.fmt(f)?;
        match self.token {
            Token::Key(key) => write!(f, "/{}", key.replace('~', "~0").replace('/', "~1")),
            Token::Index(index) => write!(f, "/{index}"),
        }
    }
}

fn read<'de, R: serde_json::de::Read<'de>>(mut reader: serde_json::Deserializer<R>) -> Result<Json, serde_json::Error> {
    let value = Seed.deserialize(&mut reader)?;
    reader.end()?;
    Ok(value)
}

/// Reads any value into a [`Json`].
struct Seed;

impl<'de> DeserializeSeed<'de> for Seed {
    type Value = Json;
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Json, D::Error> {
        deserializer.deserialize_any(Tree)
    }
}

/// Bytes of an object's key: names are short, and an error may name each.
const LONGEST_KEY: usize = 4096;

/// The key under which `serde_json` hands over a number with all its digits.
const NUMBER: &str = "$serde_json::private::Number";

struct Tree;

impl<'de> Visitor<'de> for Tree {
    type Value = Json;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }
    fn visit_unit<E>(self) -> Result<Json, E> {
        Ok(Json::Null)
    }
    fn visit_bool<E>(self, value: bool) -> Result<Json, E> {
        Ok(Json::Boolean(value))
    }
    fn visit_i64<E>(self, value: i64) -> Result<Json, E> {
        Ok(Json::Integer(value))
    }
    fn visit_u64<E>(self, value: u64) -> Result<Json, E> {
        Ok(i64::try_from(value).map_or_else(|_| Json::Number(value.to_string()), Json::Integer))
    }
    fn visit_str<E>(self, value: &str) -> Result<Json, E> {
        Ok(Json::String(value.to_owned()))
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Json, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = access.next_element_seed(Seed)? {
            items.push(item);
        }
        Ok(Json::List(items))
    }
    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Json, A::Error> {
        let mut members = Vec::new();
        while let Some(name) = access.next_key_seed(Key)? {
            if name.len() > LONGEST_KEY {
                return Err(A::Error::custom("a key of more than 4096 bytes"));
            }
            if name == NUMBER && members.is_empty() {
                match access.next_value_seed(NumberOrValue)? {
                    NumberOr::Number(digits) => return of_digits(digits).map_err(A::Error::custom),
                    NumberOr::Value(value) => members.push((name, value)),
                }
            } else {
                members.push((name, access.next_value_seed(Seed)?));
            }
        }
        Ok(Json::Object(members))
    }
}

/// Reads the key of a member.
struct Key;

impl<'de> DeserializeSeed<'de> for Key {
    type Value = SmolStr;
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<SmolStr, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for Key {
    type Value = SmolStr;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string")
    }
    fn visit_str<E>(self, name: &str) -> Result<SmolStr, E> {
        Ok(name.into())
    }
}

fn of_digits(digits: String) -> Result<Json, &'static str> {
    match digits.parse::<i64>() {
        Ok(value) => Ok(Json::Integer(value)),
        Err(_) if digits.len() > 1000 => Err("number of more than 1000 characters"),
        Err(_) => Ok(Json::Number(digits)),
    }
}

/// Tells a number from a member that a client named like the private key: `serde_json` gives the
/// digits of a number as an owned string, a client's string as a borrowed one.
struct NumberOrValue;

enum NumberOr {
    Number(String),
    Value(Json),
}

impl<'de> DeserializeSeed<'de> for NumberOrValue {
    type Value = NumberOr;
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<NumberOr, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for NumberOrValue {
    type Value = NumberOr;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }
    fn visit_string<E>(self, digits: String) -> Result<NumberOr, E> {
        Ok(NumberOr::Number(digits))
    }
    fn visit_unit<E: serde::de::Error>(self) -> Result<NumberOr, E> {
        Tree.visit_unit().map(NumberOr::Value)
    }
    fn visit_bool<E: serde::de::Error>(self, value: bool) -> Result<NumberOr, E> {
        Tree.visit_bool(value).map(NumberOr::Value)
    }
    fn visit_i64<E: serde::de::Error>(self, value: i64) -> Result<NumberOr, E> {
        Tree.visit_i64(value).map(NumberOr::Value)
    }
    fn visit_u64<E: serde::de::Error>(self, value: u64) -> Result<NumberOr, E> {
        Tree.visit_u64(value).map(NumberOr::Value)
    }
    fn visit_str<E: serde::de::Error>(self, value: &str) -> Result<NumberOr, E> {
        Tree.visit_str(value).map(NumberOr::Value)
    }
    fn visit_seq<A: SeqAccess<'de>>(self, access: A) -> Result<NumberOr, A::Error> {
        Tree.visit_seq(access).map(NumberOr::Value)
    }
    fn visit_map<A: MapAccess<'de>>(self, access: A) -> Result<NumberOr, A::Error> {
        Tree.visit_map(access).map(NumberOr::Value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::collection::vec;
    use proptest::prelude::*;

    fn json() -> impl Strategy<Value = Json> {
        let digits = ["1.5", "-0.0", "1e+400", "12345678901234567890", "0.10"];
        let leaf = prop_oneof![
            Just(Json::Null),
            any::<bool>().prop_map(Json::Boolean),
            any::<i64>().prop_map(Json::Integer),
            prop::sample::select(digits.to_vec()).prop_map(|digits| Json::Number(digits.into())),
            any::<String>().prop_map(Json::String),
        ];
        leaf.prop_recursive(4, 24, 4, |inner| {
            let members = vec((any::<String>().prop_map(SmolStr::from), inner.clone()), 0..4);
            prop_oneof![vec(inner, 0..4).prop_map(Json::List), members.prop_map(Json::Object)]
        })
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_alike(json in json()) {
            prop_assert_eq!(Json::parse(json.to_string().as_bytes()).unwrap(), json);
        }

        #[test]
        fn any_text_is_read_or_refused_as_others_do(text in r#"[\[\]{}":,0-9eE+\-. \\ntué]{0,24}"#) {
            let theirs = serde_json::from_str::<serde_json::Value>(&text);
            prop_assert_eq!(Json::parse(text.as_bytes()).is_ok(), theirs.is_ok(), "{}", text);
        }

        #[test]
        fn any_bytes_are_read_or_refused(bytes in vec(any::<u8>(), 0..40)) {
            if let Ok(json) = Json::parse(&bytes) {
                prop_assert!(json.repeated_keys(100).len() <= json.to_string().len());
            }
        }
    }

    fn round_trip(text: &str) -> String {
        Json::parse(text.as_bytes()).unwrap().to_string()
    }

    #[test]
    fn order_and_digits_are_kept() {
        let text = r#"{"z":1,"a":[12345678901234567.890,-9223372036854775808,1e400,"\u0001é"],"m":{}}"#;
        assert_eq!(round_trip(text), text.replace("1e400", "1e+400"));
        assert_eq!(Json::parse(b"9223372036854775807").unwrap(), Json::Integer(i64::MAX));
        assert_eq!(Json::parse(b"9223372036854775808").unwrap(), Json::Number("9223372036854775808".into()));
    }

    #[test]
    fn a_string_is_escaped_wherever_it_must_be() {
        for length in [0, 1, 15, 16, 17, 40] {
            let plain = "a é\u{7f}".chars().cycle().take(length).collect::<String>();
            for text in [plain.clone(), format!("{plain}\""), format!("\\{plain}"), format!("{plain}\u{1f}{plain}")] {
                let mut out = Vec::new();
                write_string(&text, &mut out);
                let expected = serde_json::to_string(&text).unwrap();
                assert_eq!(String::from_utf8(out).unwrap(), expected);
                assert_eq!(label(&text), format!("{expected}:"));
            }
        }
    }

    #[test]
    fn what_is_no_utf8_is_told_with_its_place() {
        let told = |bytes: &[u8]| Json::parse(bytes).unwrap_err().to_string();
        assert_eq!(told(b"{\"a\": \"\xff\"}"), "invalid unicode code point at line 1 column 8");
        assert_eq!(told(b"[1,\xff]"), "expected value at line 1 column 4");
    }

    #[test]
    fn a_client_cannot_pass_a_string_as_a_number() {
        let text = r#"{"$serde_json::private::Number":"12"}"#;
        assert_eq!(round_trip(text), text);
        let escaped = r#"{"$serde_json::private::Number":"1\u0032"}"#;
        assert_eq!(round_trip(escaped), text);
    }

    #[test]
    fn repeated_keys_are_found_with_their_place() {
        let json = Json::parse(br#"{"a":[{"b/c":1,"b/c":2}],"a":3}"#).unwrap();
        assert_eq!(json.repeated_keys(100), ["/a/0/b~1c", "/a"]);
        for count in [2, 16, 17, 100] {
            let mut members: Object = (0..count).map(|n| (n.to_string().into(), Json::Null)).collect();
            members.push(("1".into(), Json::Null));
            assert_eq!(Json::Object(members).repeated_keys(100), ["/1"], "{count}");
        }
    }

    #[test]
    fn deep_nesting_is_refused() {
        assert!(Json::parse("[".repeat(10_000).as_bytes()).is_err());
    }
}
