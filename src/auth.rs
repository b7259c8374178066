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
#[derive(Clone, Debug)]
pub struct Authenticated {
    /// The id of the key; `None` for the operator.
    key: Option<i64>,
    permissions: Granted,
    /// Requests a minute.
    pub rate: Option<u32>,
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
    Authenticated { key: None, permissions: Granted::Everything, rate: None }
}

/// A genuine key, and what stands in the database of it.
pub struct Known {
    id: i64,
    permissions: String,
    disabled: bool,
    revoked: bool,
    /// When it ends, and when the overlap of its rotation does.
    ends: [Option<String>; 2],
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
    let rate = if let Scalar::Integer(rate) = rate { u32::try_from(*rate).ok() } else { None };
    Ok(Known {
        id: *id,
        permissions: permissions.clone(),
        disabled: *disabled != Scalar::Null,
        revoked: *revoked != Scalar::Null,
        ends: [expires, until].map(keys::text),
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
        if let Some(end) = self.ends.into_iter().flatten().find(|end| end.as_str() <= here.now) {
            return Err(Problem::KeyExpired { at: end });
        }
        if self.made.as_deref().zip(here.oldest).is_some_and(|(made, oldest)| made < oldest) {
            return Err(Problem::KeyTooOld);
        }
        let fault = |cause| Problem::Fault { cause };
        if let Some(networks) = self.allowed_ips {
            let networks: Networks = networks.parse().map_err(fault)?;
            // Where there is no address there is no network either.
            if !here.address.is_some_and(|address| networks.contain(address)) {
                return Err(Problem::KeyNotFromHere);
            }
        }
        let permissions = self.permissions.parse().map_err(fault)?;
        Ok(Authenticated { key: Some(self.id), permissions: Granted::These(permissions), rate: self.rate })
    }
}
