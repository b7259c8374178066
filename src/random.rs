//! Random bytes: those of the operating system, or in a server for tests those of a seed, so that ids, keys and the ids of
//! requests are the same each time.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

/// What the bytes are for. Each draws from its own, so that one more request changes no id of a record.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum For {
    Records,
    Keys,
    Requests,
    /// What is drawn once a start.
    Start,
}

/// How often was drawn for each.
pub type Drawn = [u64; 4];

static SEEDED: OnceLock<Seeded> = OnceLock::new();

struct Seeded {
    key: [u8; 32],
    drawn: [AtomicU64; 4],
}

/// Has all bytes from here on drawn from that seed; the first one holds.
pub fn seed(number: u64) {
    let key = blake3::derive_key("jqlite 2026 random bytes of a server for tests", &number.to_le_bytes());
    let _ = SEEDED.set(Seeded { key, drawn: Default::default() });
}

pub fn is_seeded() -> bool {
    SEEDED.get().is_some()
}

/// Fills `bytes`.
///
/// # Errors
/// The operating system has none.
pub fn fill(what: For, bytes: &mut [u8]) -> Result<(), getrandom::Error> {
    match SEEDED.get() {
        None => getrandom::fill(bytes),
        Some(seeded) => {
            seeded.draw(what, bytes);
            Ok(())
        }
    }
}

/// Fills `bytes` from the seed, and gives how many were drawn for that before; `None` where there is no seed.
pub fn drawn_from_seed(what: For, bytes: &mut [u8]) -> Option<u64> {
    SEEDED.get().map(|seeded| seeded.draw(what, bytes))
}

impl Seeded {
    fn draw(&self, what: For, bytes: &mut [u8]) -> u64 {
        let number = self.drawn[what as usize].fetch_add(1, Ordering::Relaxed);
        let mut hasher = blake3::Hasher::new_keyed(&self.key);
        hasher.update(&[what as u8]).update(&number.to_le_bytes()).finalize_xof().fill(bytes);
        number
    }
}

/// How far drawing has come, so that it can be put back to it; zeros where there is no seed.
pub fn drawn() -> Drawn {
    SEEDED.get().map_or([0; 4], |seeded| seeded.drawn.each_ref().map(|count| count.load(Ordering::Relaxed)))
}

/// Draws on from there.
pub fn put_back(to: Drawn) {
    for (count, to) in SEEDED.get().iter().flat_map(|seeded| &seeded.drawn).zip(to) {
        count.store(to, Ordering::Relaxed);
    }
}
