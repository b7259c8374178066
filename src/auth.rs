//! API keys: their text, who a key belongs to, and making, listing and ending them.
//!
//! Authentication ends in an [`Authenticated`], which says what the caller may do and not how it proved
//! who it is. Only this file can make one.

use crate::access::{Action, Namespace, Permissions};
use crate::error::Problem;
use crate::sql::Statement;
use crate::store::{Failure, Session};
use crate::value::{Scalar, time};
use std::fmt;

/// The text of a key: `jql_`, 12 characters that may be shown, `_`, 43 secret ones, and 6 that check
/// all before them. Held only while a request is authenticated or the key is handed out.
#[derive(Clone, PartialEq, Eq)]
pub struct KeyText(String);

const PREFIX: &str = "jql_";
const PUBLIC: usize = 12;
/// 62^43 > 2^256
const SECRET: usize = 43;
const CHECK: usize = 6;
const LENGTH: usize = PREFIX.len() + PUBLIC + 1 + SECRET + CHECK;
const ALPHABET: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

impl KeyText {
    /// A new key, from the random bytes of the operating system.
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

    fn hash(&self) -> blake3::Hash {
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
        getrandom::fill(&mut bytes).map_err(|error| Problem::Fault { cause: format!("no random bytes: {error}") })?;
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

/// Whoever sent a request, and what they may do.
#[derive(Clone, Debug)]
pub struct Authenticated {
    /// The id of the key; `None` for the operator.
    key: Option<i64>,
    permissions: Granted,
}

#[derive(Clone, Debug)]
enum Granted {
    These(Permissions),
    Everything,
}

impl Authenticated {
    /// What tells the key from others, also once its secret was rotated; 0 for the operator.
    pub fn id(&self) -> i64 {
        self.key.unwrap_or(0)
    }

    pub fn may(&self, namespace: &Namespace, action: Action) -> bool {
        match &self.permissions {
            Granted::These(permissions) => permissions.allow(namespace, action),
            Granted::Everything => true,
        }
    }
}

/// The operator: whoever can read and write the file itself.
pub fn operator() -> Authenticated {
    Authenticated { key: None, permissions: Granted::Everything }
}

/// Reads the key from the value of an `Authorization` header: `Bearer`, in any case, and a key.
pub fn bearer(header: &str) -> Option<KeyText> {
    let (scheme, key) = header.split_once(' ')?;
    if scheme.eq_ignore_ascii_case("bearer") { KeyText::parse(key.trim()) } else { None }
}

/// A genuine key, and what stands in the database of it.
pub struct Known {
    id: i64,
    permissions: String,
    disabled: bool,
    revoked: bool,
    /// When it ends, and when the overlap of its rotation does.
    ends: [Option<String>; 2],
}

/// Finds the key of that text.
///
/// # Errors
/// It is unknown: one answer, as for one that is malformed.
pub fn recognise(session: &Session, key: &KeyText) -> Result<Known, Problem> {
    let rows = session.rows(&Statement::fixed(
        r#"SELECT k."id", s."hash", s."until", k."permissions", k."expires", k."disabled", k."revoked"
           FROM "system.ApiKeySecret" s JOIN "system.ApiKey" k ON k."id" = s."api_key" WHERE s."public_id" = ?1"#,
        [Scalar::Text(key.public_id().to_owned())],
    ))?;
    let Some([Scalar::Integer(id), Scalar::Text(hash), until, Scalar::Text(permissions), expires, disabled, revoked]) =
        rows.iter().next()
    else {
        return Err(Problem::Unauthenticated);
    };
    let stored = blake3::Hash::from_hex(hash).map_err(|error| Problem::Fault { cause: error.to_string() })?;
    if stored != key.hash() {
        return Err(Problem::Unauthenticated); // the comparison takes the same time wherever they differ
    }
    Ok(Known {
        id: *id,
        permissions: permissions.clone(),
        disabled: *disabled != Scalar::Null,
        revoked: *revoked != Scalar::Null,
        ends: [expires, until].map(text),
    })
}

impl Known {
    /// Lets the key in. `now` is the moment of the request.
    ///
    /// # Errors
    /// It was revoked, is disabled or has expired, and is told so.
    pub fn admit(self, now: &str) -> Result<Authenticated, Problem> {
        if self.revoked {
            return Err(Problem::KeyRevoked);
        }
        if self.disabled {
            return Err(Problem::KeyDisabled);
        }
        if let Some(end) = self.ends.into_iter().flatten().find(|end| end.as_str() <= now) {
            return Err(Problem::KeyExpired { at: end });
        }
        let permissions = self.permissions.parse().map_err(|cause| Problem::Fault { cause })?;
        Ok(Authenticated { key: Some(self.id), permissions: Granted::These(permissions) })
    }
}

fn text(cell: &Scalar) -> Option<String> {
    if let Scalar::Text(text) = cell { Some(text.clone()) } else { None }
}

/// What is known of a key, its secret aside.
#[derive(Clone, Debug, PartialEq)]
pub struct Key {
    pub id: i64,
    pub public_id: String,
    pub name: String,
    pub permissions: String,
    pub created: String,
    pub created_by: Option<String>,
    pub expires: Option<String>,
    pub disabled: Option<String>,
    pub revoked: Option<String>,
}

impl Key {
    /// In one word, whether it works.
    pub fn state(&self, now: &str) -> &'static str {
        if self.revoked.is_some() {
            "revoked"
        } else if self.disabled.is_some() {
            "disabled"
        } else if self.expires.as_deref().is_some_and(|expires| expires <= now) {
            "expired"
        } else {
            "active"
        }
    }
}

/// Makes a key and gives its text, which is nowhere else from then on.
pub fn create(
    session: &Session,
    name: &str,
    permissions: &Permissions,
    expires: Option<&str>,
) -> Result<KeyText, Failure> {
    let key = KeyText::generate().map_err(Failure::Other)?;
    let now = Scalar::Text(time::now());
    let expires = expires.map_or(Scalar::Null, |expires| Scalar::Text(expires.to_owned()));
    session.execute(&Statement::fixed(
        r#"INSERT INTO "system.ApiKey" ("name", "permissions", "created", "expires") VALUES (?1, ?2, ?3, ?4)"#,
        [Scalar::Text(name.to_owned()), Scalar::Text(permissions.to_string()), now.clone(), expires],
    ))?;
    let id = Scalar::Integer(session.last_id());
    session.execute(&Statement::fixed(
        r#"INSERT INTO "system.ApiKeySecret" ("public_id", "api_key", "hash", "created") VALUES (?1, ?2, unhex(?3), ?4)"#,
        [Scalar::Text(key.public_id().to_owned()), id, Scalar::Text(key.hash().to_hex().to_string()), now],
    ))?;
    Ok(key)
}

/// All keys, the oldest first.
pub fn list(session: &Session) -> Result<Vec<Key>, Failure> {
    let rows = session.rows(&Statement::fixed(
        r#"SELECT k."id", s."public_id", k."name", k."permissions", k."created", k."created_by", k."expires", k."disabled", k."revoked"
           FROM "system.ApiKey" k JOIN "system.ApiKeySecret" s ON s."api_key" = k."id" AND s."until" IS NULL ORDER BY k."id""#,
        [],
    ))?;
    let key = |row: &[Scalar]| Key {
        id: if let Scalar::Integer(id) = row[0] { id } else { 0 },
        public_id: text(&row[1]).unwrap_or_default(),
        name: text(&row[2]).unwrap_or_default(),
        permissions: text(&row[3]).unwrap_or_default(),
        created: text(&row[4]).unwrap_or_default(),
        created_by: text(&row[5]),
        expires: text(&row[6]),
        disabled: text(&row[7]),
        revoked: text(&row[8]),
    };
    Ok(rows.iter().map(key).collect())
}

/// The one key that is meant: by its public id, the whole text or its visible start, or by its name.
///
/// # Errors
/// No such key, or several of that name.
pub fn find(keys: Vec<Key>, named: &str) -> Result<Key, String> {
    let public = named.strip_prefix(PREFIX).unwrap_or(named);
    let public = public.split_once('_').map_or(public, |(public, _)| public);
    let mut found: Vec<Key> = keys.iter().filter(|key| key.public_id == public).cloned().collect();
    if found.is_empty() {
        found = keys.into_iter().filter(|key| key.name == named).collect();
    }
    // What was typed may hold a secret, so it is not repeated.
    match found.len() {
        0 => Err("there is no such key; `jqlite keys list` shows them".into()),
        1 => Ok(found.remove(0)),
        several => Err(format!("{several} keys have that name; name one by its id, which `jqlite keys list` shows")),
    }
}

/// Whether a text holds what looks like the beginning of a key, and so is kept nowhere.
pub fn holds_key(text: &str) -> bool {
    text.match_indices(PREFIX).any(|(place, _)| {
        let rest = &text.as_bytes()[place + PREFIX.len()..];
        rest.get(PUBLIC) == Some(&b'_') && rest[..PUBLIC].iter().all(u8::is_ascii_alphanumeric)
    })
}

/// Whether a text has the form of a public id.
pub fn is_public_id(text: &str) -> bool {
    text.len() == PUBLIC && text.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

/// Ends a key for good; it stays in the list.
pub fn revoke(session: &Session, key: &Key) -> Result<(), Failure> {
    let statement = r#"UPDATE "system.ApiKey" SET "revoked" = ?1 WHERE "id" = ?2 AND "revoked" IS NULL"#;
    session.execute(&Statement::fixed(statement, [Scalar::Text(time::now()), Scalar::Integer(key.id)])).map(drop)
}

/// Removes a key and its secrets; what it did stays in the log.
pub fn delete(session: &Session, key: &Key) -> Result<(), Failure> {
    session
        .execute(&Statement::fixed(r#"DELETE FROM "system.ApiKey" WHERE "id" = ?1"#, [Scalar::Integer(key.id)]))
        .map(drop)
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
