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
use text::KeyText;

/// Whoever sent a request, and what they may do.
#[derive(Clone, Debug, PartialEq)]
pub struct Authenticated {
    /// The id of the key; `None` for the operator.
    key: Option<i64>,
    /// The public id of its secret.
    pub public_id: Option<String>,
    permissions: Granted,
    bounds: Bounds,
}

/// How long, how often and from where a key may be used.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Bounds {
    pub expires: Option<String>,
    /// Requests a minute.
    pub rate: Option<u32>,
    pub networks: Option<Networks>,
}

#[derive(Clone, Debug, PartialEq)]
enum Granted {
    These(Permissions),
    Everything,
}

impl Authenticated {
    /// What tells the key from others, also once its secret was rotated; 0 for the operator.
    pub fn id(&self) -> i64 {
        self.key.unwrap_or(0)
    }

    /// Requests a minute.
    pub fn rate(&self) -> Option<u32> {
        self.bounds.rate
    }

    /// Whether it may make or change a key so that it has these permissions and bounds.
    ///
    /// # Errors
    /// What of it is more than it has itself.
    pub fn grant(&self, permissions: &Permissions, bounds: &Bounds) -> Result<(), String> {
        let Granted::These(own) = &self.permissions else { return Ok(()) };
        if let Some(lacking) = own.lack(permissions) {
            return Err(format!("the permission {lacking}"));
        }
        let later = |own: &String| bounds.expires.as_ref().is_none_or(|expires| expires > own);
        if let Some(own) = self.bounds.expires.as_ref().filter(|own| later(own)) {
            return Err(format!("an end later than {own}"));
        }
        if let Some(own) = self.bounds.rate.filter(|own| bounds.rate.is_none_or(|rate| rate > *own)) {
            return Err(format!("a rate of more than {own} requests a minute"));
        }
        let wider = |own: &&Networks| bounds.networks.as_ref().is_none_or(|networks| !own.include(networks));
        if let Some(own) = self.bounds.networks.as_ref().filter(wider) {
            return Err(format!("networks beyond {own}"));
        }
        Ok(())
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
    Authenticated { key: None, public_id: None, permissions: Granted::Everything, bounds: Bounds::default() }
}

/// A genuine key, and what stands in the database of it.
pub struct Known {
    id: i64,
    public_id: String,
    permissions: String,
    disabled: bool,
    revoked: bool,
    /// When it ends.
    expires: Option<String>,
    /// When this secret of it does, since there is another.
    until: Option<String>,
    rate: Option<u32>,
    allowed_ips: Option<String>,
    /// When this secret of the key was made.
    made: Option<String>,
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
pub fn recognise(session: &Session, key: &KeyText) -> Result<Known, Problem> {
    let rows = session.rows(&Statement::fixed(
        r#"SELECT k."id", s."hash", s."until", k."permissions", k."expires", k."disabled", k."revoked", k."rate", k."allowed_ips",
           s."created" FROM "system.ApiKeySecret" s JOIN "system.ApiKey" k ON k."id" = s."api_key" WHERE s."public_id" = ?1"#,
        [Scalar::Text(key.public_id().to_owned())],
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
    let stored = blake3::Hash::from_hex(hash).map_err(|error| Problem::Fault { cause: error.to_string() })?;
    if stored != key.hash() {
        return Err(Problem::Unauthenticated); // the comparison takes the same time wherever they differ
    }
    let rate = rate.integer().and_then(|rate| u32::try_from(rate).ok());
    Ok(Known {
        id: *id,
        public_id: key.public_id().to_owned(),
        permissions: permissions.clone(),
        disabled: *disabled != Scalar::Null,
        revoked: *revoked != Scalar::Null,
        expires: keys::text(expires),
        until: keys::text(until),
        rate,
        allowed_ips: keys::text(allowed_ips),
        made: keys::text(made),
    })
}

impl Known {
    /// Lets the key in.
    ///
    /// # Errors
    /// It was revoked, is disabled, has expired or is too old, or may not be used from there; and is told so.
    pub fn admit(self, here: &Circumstances<'_>) -> Result<Authenticated, Problem> {
        if self.revoked {
            return Err(Problem::KeyRevoked);
        }
        if self.disabled {
            return Err(Problem::KeyDisabled);
        }
        let over = |end: &Option<String>| end.clone().filter(|end| end.as_str() <= here.now);
        if let Some(at) = over(&self.expires) {
            return Err(Problem::KeyExpired { at });
        }
        if let Some(at) = over(&self.until) {
            return Err(Problem::SecretReplaced { at });
        }
        if self.made.as_deref().zip(here.oldest).is_some_and(|(made, oldest)| made < oldest) {
            return Err(Problem::KeyTooOld);
        }
        let fault = |cause| Problem::Fault { cause };
        let networks: Option<Networks> = self.allowed_ips.map(|text| text.parse()).transpose().map_err(fault)?;
        // Where there is no address there is no network either.
        let is_inside = |networks: &Networks| here.address.is_some_and(|address| networks.contain(address));
        if networks.as_ref().is_some_and(|networks| !is_inside(networks)) {
            return Err(Problem::KeyNotFromHere);
        }
        let permissions = self.permissions.parse().map_err(fault)?;
        // A secret that is to end sooner than its key cannot give what lasts longer.
        let expires = [self.expires, self.until].into_iter().flatten().min();
        let bounds = Bounds { expires, rate: self.rate, networks };
        let (key, public_id) = (Some(self.id), Some(self.public_id));
        Ok(Authenticated { key, public_id, permissions: Granted::These(permissions), bounds })
    }
}
