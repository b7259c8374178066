//! API keys: who a request comes from, and what they may do. [`text`] is the text of a key, [`keys`] makes,
//! changes and ends keys.
//!
//! Authentication ends in an [`Authenticated`], which says what the caller may do and not how it proved
//! who it is. Only this file can make one.

pub mod keys;
pub mod text;

use crate::access::{Action, Namespace, Permissions};
use crate::error::Problem;
use crate::network::Networks;
use crate::sql::Statement;
use crate::store::Session;
use crate::value::Scalar;
use std::net::IpAddr;
use std::sync::Arc;
use text::KeyText;

/// Whoever sent a request, and what they may do: a key, or with `None` the operator.
#[derive(Clone, Debug, PartialEq)]
pub struct Authenticated(Option<Arc<Known>>);

/// How long, how often and from where a key may be used.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Bounds {
    pub expires: Option<String>,
    /// Requests a minute.
    pub rate: Option<u32>,
    pub networks: Option<Networks>,
}

impl Authenticated {
    /// What tells the key from others, also once its secret was rotated; 0 for the operator.
    pub fn id(&self) -> i64 {
        self.0.as_ref().map_or(0, |key| key.id)
    }

    /// The public id of its secret.
    pub fn public_id(&self) -> Option<&str> {
        self.0.as_ref().map(|key| key.public_id.as_str())
    }

    /// Requests a minute.
    pub fn rate(&self) -> Option<u32> {
        self.0.as_ref().and_then(|key| key.bounds.rate)
    }

    /// Whether it may make or change a key so that it has these permissions and bounds.
    ///
    /// # Errors
    /// What of it is more than it has itself.
    pub fn grant(&self, permissions: &Permissions, bounds: &Bounds) -> Result<(), String> {
        let Some(key) = &self.0 else { return Ok(()) };
        if let Some(lacking) = key.permissions.lack(permissions) {
            return Err(format!("the permission {lacking}"));
        }
        let own = &key.bounds;
        let later = |own: &String| bounds.expires.as_ref().is_none_or(|expires| expires > own);
        if let Some(own) = own.expires.as_ref().filter(|own| later(own)) {
            return Err(format!("an end later than {own}"));
        }
        if let Some(own) = own.rate.filter(|own| bounds.rate.is_none_or(|rate| rate > *own)) {
            return Err(format!("a rate of more than {own} requests a minute"));
        }
        let wider = |own: &&Networks| bounds.networks.as_ref().is_none_or(|networks| !own.include(networks));
        if let Some(own) = own.networks.as_ref().filter(wider) {
            return Err(format!("networks beyond {own}"));
        }
        Ok(())
    }

    pub fn may(&self, namespace: &Namespace, action: Action) -> bool {
        self.0.as_ref().is_none_or(|key| key.permissions.allow(namespace, action))
    }
}

/// The operator: whoever can read and write the file itself.
pub fn operator() -> Authenticated {
    Authenticated(None)
}

/// A key by one of its secrets, and what stands in the database of both.
#[derive(Debug, PartialEq)]
pub struct Known {
    id: i64,
    public_id: String,
    hash: blake3::Hash,
    permissions: Permissions,
    disabled: bool,
    revoked: bool,
    /// When the key ends.
    expires: Option<String>,
    /// When this secret of it does, since there is another.
    until: Option<String>,
    /// When this secret of the key was made.
    made: Option<String>,
    /// Where the key ends, and so does what it gives, at the earlier of the two ends.
    bounds: Bounds,
    /// What is wrong with what stands there, if anything is.
    damage: Option<String>,
}

/// The moment and the place of a request, as its key may mind them.
pub struct Circumstances<'a> {
    pub now: &'a str,
    pub address: Option<IpAddr>,
    /// Secrets made before this moment are too old.
    pub oldest: Option<&'a str>,
}

/// Finds the key of that text.
///
/// # Errors
/// It is unknown: one answer, as for one that is malformed.
pub fn recognise(session: &Session, key: &KeyText) -> Result<Arc<Known>, Problem> {
    let known = session.remember(key.public_id(), || read(session, key.public_id()).map(Arc::new))?;
    // The comparison takes the same time wherever they differ.
    if known.hash == key.hash() { Ok(known) } else { Err(Problem::Unauthenticated) }
}

/// What stands in the database of the secret of that public id.
fn read(session: &Session, public_id: &str) -> Result<Known, Problem> {
    let rows = session.rows(&Statement::fixed(
        r#"SELECT k."id", s."hash", s."until", k."permissions", k."expires", k."disabled", k."revoked", k."rate", k."allowed_ips",
           s."created" FROM "system.ApiKeySecret" s JOIN "system.ApiKey" k ON k."id" = s."api_key" WHERE s."public_id" = ?1"#,
        [Scalar::Text(public_id.to_owned())],
    ))?;
    let Some(
        [
            Scalar::Integer(id),
            Scalar::Text(hash),
            until,
            Scalar::Text(permissions),
            expires,
            disabled,
            revoked,
            rate,
            allowed_ips,
            made,
        ],
    ) = rows.iter().next()
    else {
        return Err(Problem::Unauthenticated);
    };
    let hash = blake3::Hash::from_hex(hash).map_err(|error| Problem::Fault { cause: error.to_string() })?;
    let (permissions, damage) = sound(permissions.parse());
    let (networks, more) = sound(allowed_ips.text().map(str::parse).transpose());
    let (expires, until) = (keys::text(expires), keys::text(until));
    Ok(Known {
        id: *id,
        public_id: public_id.to_owned(),
        hash,
        permissions,
        disabled: *disabled != Scalar::Null,
        revoked: *revoked != Scalar::Null,
        made: keys::text(made),
        bounds: Bounds {
            // A secret that is to end sooner than its key cannot give what lasts longer.
            expires: [&expires, &until].into_iter().flatten().min().cloned(),
            rate: rate.integer().and_then(|rate| u32::try_from(rate).ok()),
            networks,
        },
        expires,
        until,
        damage: damage.or(more),
    })
}

/// What was read, or what is wrong with it.
fn sound<T: Default>(read: Result<T, String>) -> (T, Option<String>) {
    read.map_or_else(|damage| (T::default(), Some(damage)), |value| (value, None))
}

impl Known {
    /// Lets the key in.
    ///
    /// # Errors
    /// It was revoked, is disabled, has expired or is too old, or may not be used from there; and is told so.
    pub fn admit(self: Arc<Known>, here: &Circumstances<'_>) -> Result<Authenticated, Problem> {
        if self.revoked {
            return Err(Problem::KeyRevoked);
        }
        if self.disabled {
            return Err(Problem::KeyDisabled);
        }
        let over = |end: &Option<String>| end.as_ref().filter(|end| end.as_str() <= here.now).cloned();
        if let Some(at) = over(&self.expires) {
            return Err(Problem::KeyExpired { at });
        }
        if let Some(at) = over(&self.until) {
            return Err(Problem::SecretReplaced { at });
        }
        if self.made.as_deref().zip(here.oldest).is_some_and(|(made, oldest)| made < oldest) {
            return Err(Problem::KeyTooOld);
        }
        if let Some(cause) = &self.damage {
            return Err(Problem::Fault { cause: cause.clone() });
        }
        // Where there is no address there is no network either.
        let is_inside = |networks: &Networks| here.address.is_some_and(|address| networks.contain(address));
        if self.bounds.networks.as_ref().is_some_and(|networks| !is_inside(networks)) {
            return Err(Problem::KeyNotFromHere);
        }
        Ok(Authenticated(Some(self)))
    }
}
