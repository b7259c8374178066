//! Chance that can be had again: random numbers, and the seed that they began with.

use std::hash::{BuildHasher, RandomState};

/// Random numbers that hang on nothing but a seed (SplitMix64).
pub struct Dice(u64);

/// The seed of a test: that of `JQLITE_SEED`, else another one each time. It is printed, so that what failed can be
/// tried again.
pub fn seed(of: &str) -> u64 {
    let given = std::env::var("JQLITE_SEED").ok().map(|text| text.parse().expect("JQLITE_SEED is a number"));
    let seed = given.unwrap_or_else(|| RandomState::new().hash_one(of));
    println!("{of}: JQLITE_SEED={seed}");
    seed
}

impl Dice {
    /// One of several of the same seed.
    pub fn new(seed: u64, number: usize) -> Dice {
        Dice(seed.wrapping_add((number as u64) << 32))
    }

    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below a bound, which is not zero.
    pub fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound as u64) as usize
    }

    /// A number from one to the other, both among them.
    pub fn between(&mut self, least: usize, most: usize) -> usize {
        least + self.below(most - least + 1)
    }

    pub fn one_in(&mut self, count: usize) -> bool {
        self.below(count) == 0
    }

    pub fn pick<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        &from[self.below(from.len())]
    }

    /// A text of these characters, of a length from one to the other.
    pub fn text(&mut self, of: &[char], least: usize, most: usize) -> String {
        (0..self.between(least, most)).map(|_| *self.pick(of)).collect()
    }
}
