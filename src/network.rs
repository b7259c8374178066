//! Addresses of clients, and the networks that a key may be used from.

use ipnet::IpNet;
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;

/// A list of networks, such as `10.0.0.0/8,2001:db8::/32,127.0.0.1`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Networks(pub Vec<IpNet>);

impl Networks {
    /// Whether every address of the others is in one of these.
    pub fn include(&self, others: &Networks) -> bool {
        others.0.iter().all(|other| self.0.iter().any(|own| own.contains(other)))
    }

    /// Whether an address is in one of them. An IPv4 address that came by way of IPv6 is the IPv4 address.
    pub fn contain(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.0.iter().any(|network| network.contains(&address))
    }
}

impl fmt::Display for Networks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, network) in self.0.iter().enumerate() {
            write!(f, "{}{network}", if index > 0 { "," } else { "" })?;
        }
        Ok(())
    }
}

impl FromStr for Networks {
    type Err = String;

    /// Reads networks with commas between them; an address stands for itself alone.
    fn from_str(text: &str) -> Result<Networks, String> {
        let network = |text: &str| {
            let wrong = || {
                format!("\"{}\" is not a network; one is 10.0.0.0/8, 2001:db8::/32 or an address", text.escape_debug())
            };
            match text.parse::<IpAddr>() {
                Ok(address) => Ok(IpNet::from(address.to_canonical())),
                Err(_) => text.parse::<IpNet>().map(|network| network.trunc()).map_err(|_| wrong()),
            }
        };
        text.split(',').map(|one| network(one.trim())).collect::<Result<_, _>>().map(Networks)
    }
}

/// The address of the client behind proxies of ours: the last one in `X-Forwarded-For` that is none of them. Whoever is
/// not a proxy of ours is believed nothing.
pub fn client(peer: IpAddr, forwarded: &[&str], proxies: &Networks) -> IpAddr {
    let mut client = peer.to_canonical();
    let hops = forwarded.iter().rev().flat_map(|line| line.rsplit(','));
    for hop in hops {
        if !proxies.contain(client) {
            break;
        }
        let hop = hop.trim();
        let address = hop.parse::<IpAddr>().or_else(|_| hop.parse::<SocketAddr>().map(|with_port| with_port.ip()));
        match address {
            Ok(address) => client = address.to_canonical(),
            Err(_) => break, // what is behind it cannot be told
        }
    }
    client
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks_hold_their_addresses_mapped_ones_too() {
        let networks: Networks = "10.0.0.0/8, 2001:db8::/32, 127.0.0.1,::ffff:192.0.2.1".parse().unwrap();
        assert_eq!(networks.to_string(), "10.0.0.0/8,2001:db8::/32,127.0.0.1/32,192.0.2.1/32");
        for address in ["10.1.2.3", "::ffff:10.1.2.3", "2001:db8:1::5", "127.0.0.1", "192.0.2.1"] {
            assert!(networks.contain(address.parse().unwrap()), "{address}");
        }
        for address in ["11.0.0.1", "::ffff:11.0.0.1", "2001:db9::1", "127.0.0.2", "::1"] {
            assert!(!networks.contain(address.parse().unwrap()), "{address}");
        }
        assert_eq!("10.1.2.3/8".parse::<Networks>().unwrap().to_string(), "10.0.0.0/8");
        for text in ["", "10.0.0.0/33", "10.0.0", "example.com", "10.0.0.0/8,", "*"] {
            assert!(text.parse::<Networks>().is_err(), "{text}");
        }
    }

    #[test]
    fn only_proxies_of_ours_are_believed() {
        let proxies: Networks = "10.0.0.0/8".parse().unwrap();
        let client = |peer: &str, forwarded: &[&str]| client(peer.parse().unwrap(), forwarded, &proxies).to_string();
        assert_eq!(client("10.0.0.1", &["192.0.2.7"]), "192.0.2.7");
        assert_eq!(client("10.0.0.1", &["203.0.113.9, 192.0.2.7, 10.0.0.2"]), "192.0.2.7");
        assert_eq!(client("10.0.0.1", &["203.0.113.9", "192.0.2.7"]), "192.0.2.7");
        assert_eq!(client("192.0.2.1", &["203.0.113.9"]), "192.0.2.1");
        assert_eq!(client("10.0.0.1", &["192.0.2.7:4711"]), "192.0.2.7");
        assert_eq!(client("10.0.0.1", &["[2001:db8::7]:4711"]), "2001:db8::7");
        assert_eq!(client("10.0.0.1", &["nonsense"]), "10.0.0.1");
        assert_eq!(client("10.0.0.1", &[]), "10.0.0.1");
    }
}
