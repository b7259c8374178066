//! How often: requests of one key, and wrong keys from one address.
//!
//! For each there is one moment: until when what was sent so far would have lasted, had it come evenly. A request
//! moves it on by its share of a minute, and one that would move it more than a minute ahead is too much. So a burst of a
//! minute's worth is let through, and then as many as the rate says.

use crate::lock::lock;
use std::collections::HashMap;
use std::hash::Hash;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::Mutex;
use std::time::Duration;

/// In microseconds, as all moments here.
const MINUTE: i64 = 60_000_000;
/// Wrong keys from one address, a minute.
const WRONG_KEYS: u32 = 30;
/// Addresses that are told apart; beyond them all that are new share one place.
const MOST_ADDRESSES: usize = 4096;

/// What was sent by whom.
#[derive(Default)]
pub struct Rates {
    keys: Mutex<HashMap<i64, i64>>,
    addresses: Mutex<HashMap<Option<IpAddr>, i64>>,
}

impl Rates {
    /// Counts a request of a key with so many a minute, at a moment of [`crate::clock::micros`].
    ///
    /// # Errors
    /// It is one too many; how long to wait.
    pub fn request(&self, key: i64, rate: u32, now: i64) -> Result<(), Duration> {
        take(&mut lock(&self.keys), key, rate, now)
    }

    /// Forgets all of it.
    pub fn forget(&self) {
        lock(&self.keys).clear();
        lock(&self.addresses).clear();
    }

    /// Counts a wrong key.
    ///
    /// # Errors
    /// There were so many from there that the next has to wait; how long.
    pub fn wrong_key(&self, address: Option<IpAddr>, now: i64) -> Result<(), Duration> {
        let mut addresses = lock(&self.addresses);
        let mut place = address.map(network);
        if addresses.len() >= MOST_ADDRESSES && !addresses.contains_key(&place) {
            addresses.retain(|_, lasts| *lasts > now);
            if addresses.len() >= MOST_ADDRESSES {
                place = None;
            }
        }
        take(&mut addresses, place, WRONG_KEYS, now)
    }
}

fn take<K: Eq + Hash>(places: &mut HashMap<K, i64>, place: K, rate: u32, now: i64) -> Result<(), Duration> {
    let lasts = places.entry(place).or_insert(now);
    // Nobody is more than a minute ahead, unless the clock was put back.
    let begun = if *lasts > now + MINUTE { now } else { now.max(*lasts) };
    let next = begun + MINUTE / i64::from(rate.max(1));
    match u64::try_from(next - now - MINUTE) {
        Err(_) | Ok(0) => {
            *lasts = next;
            Ok(())
        }
        Ok(wait) => Err(Duration::from_micros(wait)),
    }
}

/// Whoever has one IPv6 address most often has all of its network.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & !u128::from(u64::MAX))),
        v4 => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_minutes_worth_is_let_through_and_then_as_many_as_the_rate_says() {
        let (rates, start, second) = (Rates::default(), 0, 1_000_000);
        for _ in 0..6 {
            assert_eq!(rates.request(1, 6, start), Ok(()));
        }
        assert_eq!(rates.request(1, 6, start), Err(Duration::from_secs(10)));
        assert_eq!(rates.request(2, 6, start), Ok(()));
        assert_eq!(rates.request(1, 6, start + 10 * second), Ok(()));
        assert!(rates.request(1, 6, start + 10 * second).is_err());
        for _ in 0..6 {
            assert_eq!(rates.request(1, 6, start + 100 * second), Ok(()));
        }
        assert_eq!(rates.request(1, 6, start - 1000 * second), Ok(()), "the clock was put back");
    }

    #[test]
    fn wrong_keys_are_counted_in_bounded_memory() {
        let (rates, now) = (Rates::default(), 0);
        let address = |text: &str| Some(text.parse().unwrap());
        for number in 0..WRONG_KEYS {
            let one = address(&format!("2001:db8::{number:x}"));
            assert_eq!(rates.wrong_key(one, now), Ok(()));
        }
        assert!(rates.wrong_key(address("2001:db8::ffff"), now).is_err(), "all of one network");
        assert_eq!(rates.wrong_key(address("192.0.2.1"), now), Ok(()));
        for number in 0..100_000_u32 {
            let _ = rates.wrong_key(Some(IpAddr::from(number.to_be_bytes())), now);
        }
        assert!(lock(&rates.addresses).len() <= MOST_ADDRESSES + 1);
        let later = now + 2 * MINUTE;
        assert_eq!(rates.wrong_key(address("198.51.100.1"), later), Ok(()));
        assert!(lock(&rates.addresses).len() < 10);
    }
}
