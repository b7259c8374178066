//! Keys as their owner sees them: making, listing, changing, rotating and ending them.

use super::text::{KeyText, PREFIX};
use crate::access::Permissions;
use crate::network::Networks;
use crate::sql::Statement;
use crate::store::{Failure, Session};
use crate::value::{Scalar, time};
use std::collections::HashMap;

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
    /// Requests a minute.
    pub rate: Option<i64>,
    pub allowed_ips: Option<String>,
    pub last_used: Option<String>,
    pub last_ip: Option<String>,
    /// When its secret was made: later than the key, where it was rotated.
    pub rotated: String,
    /// Until when a secret of before a rotation still works.
    pub overlap: Option<String>,
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

/// Days after which a secret wants to be rotated, after which an unused key wants to be looked at, and before
/// which an end is told of.
const OLD: i64 = 90;
const UNUSED: i64 = 30;
const SOON: i64 = 14;

impl Key {
    /// What whoever looks after the keys should look at.
    pub fn attention(&self, now: &str) -> Vec<String> {
        if self.state(now) != "active" {
            return Vec::new();
        }
        let since = |moment: &str| time::days_between(moment, now);
        let mut found = Vec::new();
        match &self.expires {
            None => found.push("never expires".to_owned()),
            Some(expires) => {
                let left = time::days_between(now, expires);
                if left < SOON {
                    found.push(format!("expires in {left} days"));
                }
            }
        }
        if since(&self.rotated) >= OLD {
            found.push(format!("secret is {} days old", since(&self.rotated)));
        }
        match &self.last_used {
            None if since(&self.created) >= UNUSED => found.push("never used".to_owned()),
            Some(used) if since(used) >= UNUSED => found.push(format!("not used for {} days", since(used))),
            _ => {}
        }
        if let Some(until) = &self.overlap {
            found.push(format!("old secret works until {}", &until[..16]));
        }
        if self.permissions.is_empty() {
            found.push("may do nothing".to_owned());
        }
        found
    }
}

/// What whoever makes a key decides.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    pub name: String,
    pub permissions: Permissions,
    pub expires: Option<String>,
    pub rate: Option<u32>,
    pub allowed_ips: Option<Networks>,
}

/// What is changed of a key; `None` leaves it as it is, `Some(None)` takes it away.
#[derive(Clone, Debug, Default)]
pub struct Changes {
    pub name: Option<String>,
    pub permissions: Option<Permissions>,
    pub expires: Option<Option<String>>,
    pub rate: Option<Option<u32>>,
    pub allowed_ips: Option<Option<Networks>>,
}

fn maybe<T>(value: Option<T>, stored: impl Fn(T) -> Scalar) -> Scalar {
    value.map_or(Scalar::Null, stored)
}

fn rate(rate: u32) -> Scalar {
    Scalar::Integer(i64::from(rate))
}

fn networks(networks: Networks) -> Scalar {
    Scalar::Text(networks.to_string())
}

/// Makes a key and gives its text, which is nowhere else from then on.
pub fn create(session: &Session, settings: &Settings) -> Result<KeyText, Failure> {
    let key = KeyText::generate().map_err(Failure::Other)?;
    session.execute(&Statement::fixed(
        r#"INSERT INTO "system.ApiKey" ("name", "permissions", "created", "expires", "rate", "allowed_ips")
           VALUES (?1, ?2, ?3, ?4, ?5, ?6)"#,
        [
            Scalar::Text(settings.name.clone()),
            Scalar::Text(settings.permissions.to_string()),
            Scalar::Text(time::now()),
            maybe(settings.expires.clone(), Scalar::Text),
            maybe(settings.rate, rate),
            maybe(settings.allowed_ips.clone(), networks),
        ],
    ))?;
    add_secret(session, session.last_id(), &key)?;
    Ok(key)
}

/// Gives a key a new secret, and the public id of that.
pub fn add_secret(session: &Session, key: i64, text: &KeyText) -> Result<(), Failure> {
    let statement = r#"INSERT INTO "system.ApiKeySecret" ("public_id", "api_key", "hash", "created") VALUES (?1, ?2, unhex(?3), ?4)"#;
    let values = [
        Scalar::Text(text.public_id().to_owned()),
        Scalar::Integer(key),
        Scalar::Text(text.hash().to_hex().to_string()),
        Scalar::Text(time::now()),
    ];
    session.execute(&Statement::fixed(statement, values))?;
    let statement = r#"UPDATE "system.ApiKey" SET "public_id" = ?1 WHERE "id" = ?2"#;
    let values = [Scalar::Text(text.public_id().to_owned()), Scalar::Integer(key)];
    session.execute(&Statement::fixed(statement, values)).map(drop)
}

/// Notes which key made a key; `None` for the operator.
pub fn note_maker(session: &Session, key: i64, maker: Option<&str>) -> Result<(), Failure> {
    let maker = maker.map_or(Scalar::Null, |maker| Scalar::Text(maker.to_owned()));
    let statement = r#"UPDATE "system.ApiKey" SET "created_by" = ?1 WHERE "id" = ?2"#;
    session.execute(&Statement::fixed(statement, [maker, Scalar::Integer(key)])).map(drop)
}

/// All keys, the oldest first.
pub fn list(session: &Session) -> Result<Vec<Key>, Failure> {
    read(session, None)
}

/// The key with that id.
pub fn with_id(session: &Session, id: i64) -> Result<Option<Key>, Failure> {
    Ok(read(session, Some(id))?.pop())
}

fn read(session: &Session, id: Option<i64>) -> Result<Vec<Key>, Failure> {
    let rows = session.rows(&Statement::fixed(
        r#"SELECT k."id", s."public_id", k."name", k."permissions", k."created", k."created_by", k."expires", k."disabled", k."revoked",
             k."rate", k."allowed_ips", k."last_used", k."last_ip", s."created",
             (SELECT max(o."until") FROM "system.ApiKeySecret" o WHERE o."api_key" = k."id" AND o."until" > ?1)
           FROM "system.ApiKey" k JOIN "system.ApiKeySecret" s ON s."api_key" = k."id" AND s."until" IS NULL
           WHERE ?2 IS NULL OR k."id" = ?2 ORDER BY k."id""#,
        [Scalar::Text(time::now()), id.map_or(Scalar::Null, Scalar::Integer)],
    ))?;
    let key = |row: &[Scalar]| Key {
        id: row[0].integer().unwrap_or(0),
        public_id: text(&row[1]).unwrap_or_default(),
        name: text(&row[2]).unwrap_or_default(),
        permissions: text(&row[3]).unwrap_or_default(),
        created: text(&row[4]).unwrap_or_default(),
        created_by: text(&row[5]),
        expires: text(&row[6]),
        disabled: text(&row[7]),
        revoked: text(&row[8]),
        rate: row[9].integer(),
        allowed_ips: text(&row[10]),
        last_used: text(&row[11]),
        last_ip: text(&row[12]),
        rotated: text(&row[13]).unwrap_or_default(),
        overlap: text(&row[14]),
    };
    Ok(rows.iter().map(key).collect())
}

/// What is known of one secret of a key, the secret itself aside.
#[derive(Clone, Debug, PartialEq)]
pub struct Secret {
    pub public_id: String,
    /// The id of its key.
    pub key: i64,
    /// The end of its overlap, where it is one of before a rotation.
    pub until: Option<String>,
}

/// All secrets of all keys.
pub fn secrets(session: &Session) -> Result<Vec<Secret>, Failure> {
    let rows = session.rows(&Statement::fixed(
        r#"SELECT "public_id", "api_key", "until" FROM "system.ApiKeySecret" ORDER BY "api_key", "created""#,
        [],
    ))?;
    let secret = |row: &[Scalar]| Secret {
        public_id: text(&row[0]).unwrap_or_default(),
        key: row[1].integer().unwrap_or(0),
        until: text(&row[2]),
    };
    Ok(rows.iter().map(secret).collect())
}

/// The names of keys by the public ids of all secrets that they have and had.
pub fn names(session: &Session) -> Result<HashMap<String, String>, Failure> {
    let rows = session.rows(&Statement::fixed(
        r#"SELECT s."public_id", k."name" FROM "system.ApiKeySecret" s JOIN "system.ApiKey" k ON k."id" = s."api_key""#,
        [],
    ))?;
    Ok(rows.iter().filter_map(|row| text(&row[0]).zip(text(&row[1]))).collect())
}

pub(super) fn text(cell: &Scalar) -> Option<String> {
    cell.text().map(str::to_owned)
}

/// The one key that is meant: by its public id, the whole text or its visible start, or by its name, which one that was
/// revoked gives free.
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
    if found.len() > 1 && found.iter().any(|key| key.revoked.is_none()) {
        found.retain(|key| key.revoked.is_none());
    }
    // What was typed may hold a secret, so it is not repeated.
    match found.len() {
        0 => Err("there is no such key; `jqlite keys list` shows them".into()),
        1 => Ok(found.remove(0)),
        several => Err(format!("{several} keys have that name; name one by its id, which `jqlite keys list` shows")),
    }
}

/// Changes what a key is and may do; the next request with it feels it.
pub fn update(session: &Session, key: &Key, changes: &Changes) -> Result<(), Failure> {
    let set = |statement: &'static str, value: Scalar| {
        session.execute(&Statement::fixed(statement, [value, Scalar::Integer(key.id)])).map(drop)
    };
    if let Some(name) = &changes.name {
        set(r#"UPDATE "system.ApiKey" SET "name" = ?1 WHERE "id" = ?2"#, Scalar::Text(name.clone()))?;
    }
    if let Some(permissions) = &changes.permissions {
        let permissions = Scalar::Text(permissions.to_string());
        set(r#"UPDATE "system.ApiKey" SET "permissions" = ?1 WHERE "id" = ?2"#, permissions)?;
    }
    if let Some(expires) = &changes.expires {
        let expires = maybe(expires.clone(), Scalar::Text);
        set(r#"UPDATE "system.ApiKey" SET "expires" = ?1 WHERE "id" = ?2"#, expires)?;
    }
    if let Some(changed) = changes.rate {
        set(r#"UPDATE "system.ApiKey" SET "rate" = ?1 WHERE "id" = ?2"#, maybe(changed, rate))?;
    }
    if let Some(changed) = &changes.allowed_ips {
        let changed = maybe(changed.clone(), networks);
        set(r#"UPDATE "system.ApiKey" SET "allowed_ips" = ?1 WHERE "id" = ?2"#, changed)?;
    }
    Ok(())
}

/// Gives a key a new secret. Those it had end at `until`, or when they would have ended anyhow.
pub fn rotate(session: &Session, key: &Key, until: &str) -> Result<KeyText, Failure> {
    end_secrets(session, key, until, true)?;
    let text = KeyText::generate().map_err(Failure::Other)?;
    add_secret(session, key.id, &text)?;
    Ok(text)
}

/// Ends the overlap of a rotation now; whether there was one.
pub fn end_overlap(session: &Session, key: &Key) -> Result<bool, Failure> {
    end_secrets(session, key, &time::now(), false).map(|ended| ended > 0)
}

/// Has secrets of a key end at `until`: those of before a rotation, and with `current` the one in use.
fn end_secrets(session: &Session, key: &Key, until: &str, current: bool) -> Result<usize, Failure> {
    session.execute(&Statement::fixed(
        r#"UPDATE "system.ApiKeySecret" SET "until" = ?1 WHERE "api_key" = ?2 AND ("until" > ?1 OR (?3 AND "until" IS NULL))"#,
        [Scalar::Text(until.to_owned()), Scalar::Integer(key.id), Scalar::Integer(i64::from(current))],
    ))
}

/// Stops a key for as long as it is not enabled again.
pub fn disable(session: &Session, key: &Key) -> Result<(), Failure> {
    let statement = r#"UPDATE "system.ApiKey" SET "disabled" = ?1 WHERE "id" = ?2 AND "disabled" IS NULL"#;
    session.execute(&Statement::fixed(statement, [Scalar::Text(time::now()), Scalar::Integer(key.id)])).map(drop)
}

/// Lets a disabled key in again.
pub fn enable(session: &Session, key: &Key) -> Result<(), Failure> {
    let statement = r#"UPDATE "system.ApiKey" SET "disabled" = NULL WHERE "id" = ?1"#;
    session.execute(&Statement::fixed(statement, [Scalar::Integer(key.id)])).map(drop)
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
