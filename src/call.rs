//! One request as it came over the wire, and what is refused before anything asks the database.

use crate::auth::text::KeyText;
use crate::error::{Problem, shown};
use smol_str::SmolStr;
use std::net::IpAddr;
use std::time::Instant;

/// A request without what only HTTP knows.
pub struct Call<'r> {
    pub method: &'r str,
    /// The path, without what follows a `?`.
    pub path: &'r str,
    /// Why the request is refused before anything in it is looked at.
    pub broken: Option<Problem>,
    pub key: Option<KeyText>,
    /// Whether there was anything that could be meant as a key.
    pub has_key: bool,
    pub content_type: Option<&'r str>,
    /// The key under which the request may be sent again.
    pub idempotency_key: Option<&'r str>,
    /// What the client has of the path already.
    pub if_none_match: Option<&'r str>,
    pub origin: Option<&'r str>,
    pub host: Option<&'r str>,
    pub body: &'r [u8],
    pub request_id: SmolStr,
    /// The client's address, or what a proxy of ours says it is.
    pub remote: IpAddr,
    pub started: Instant,
}

impl Call<'_> {
    /// The key of a request that takes one, once nothing about its transport stands against it. `allow` names the
    /// methods of its path.
    pub fn admitted(&self, allow: &'static str, origins: &[String]) -> Result<&KeyText, Problem> {
        self.is_sound()?;
        self.is_by(allow)?;
        if !self.is_from_known_page(origins) {
            return Err(Problem::ForeignOrigin);
        }
        self.key.as_ref().ok_or(Problem::Unauthenticated)
    }

    /// Whether nothing about its transport stands against it.
    pub fn is_sound(&self) -> Result<(), Problem> {
        self.broken.clone().map_or(Ok(()), Err)
    }

    /// Whether it is by one of these methods.
    pub fn is_by(&self, allow: &'static str) -> Result<(), Problem> {
        let is_allowed = allow.split(", ").any(|method| method == self.method);
        if is_allowed { Ok(()) } else { Err(Problem::MethodNotAllowed { allow }) }
    }

    /// The body, once it is declared as JSON.
    pub fn json(&self) -> Result<&[u8], Problem> {
        let media = self.content_type.map(|given| given.split(';').next().unwrap_or_default().trim());
        match media {
            Some(media) if media.eq_ignore_ascii_case("application/json") => {}
            other => return Err(Problem::MediaType { given: other.map(|given| shown(&given)) }),
        }
        Ok(self.body)
    }

    /// Whether a browser asks if a page of one of these origins may send requests.
    pub fn is_preflight(&self, origins: &[String]) -> bool {
        self.method == "OPTIONS" && self.broken.is_none() && self.origin.is_some() && self.is_from_known_page(origins)
    }

    /// Whether no page sent it, or one of ours, or one of an origin that was let in. A page of ours is known by
    /// its address: a name in `Host` may be anybody's who lets it lead here.
    fn is_from_known_page(&self, origins: &[String]) -> bool {
        let Some(origin) = self.origin else { return true };
        let own = origin.strip_prefix("http://").filter(|host| is_address(host));
        (own.is_some() && own == self.host) || origins.iter().any(|known| known == origin)
    }
}

/// Whether a `Host` is `localhost` or an IP address, with a port or without.
fn is_address(host: &str) -> bool {
    let name = host
        .rsplit_once(':')
        .filter(|(_, port)| port.bytes().all(|byte| byte.is_ascii_digit()))
        .map_or(host, |(name, _)| name);
    let bare = name.trim_start_matches('[').trim_end_matches(']');
    name.eq_ignore_ascii_case("localhost") || bare.parse::<std::net::IpAddr>().is_ok()
}

#[cfg(test)]
mod tests {
    use super::is_address;

    #[test]
    fn a_name_is_no_address() {
        for host in
            ["localhost", "LOCALHOST:5750", "127.0.0.1", "127.0.0.1:80", "[::1]:5750", "[::1]", "192.168.1.5:8080"]
        {
            assert!(is_address(host), "{host}");
        }
        for host in ["evil.example", "evil.example:5750", "localhost.evil.example", "127.0.0.1.evil.example", ""] {
            assert!(!is_address(host), "{host}");
        }
    }
}
