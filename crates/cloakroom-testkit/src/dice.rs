//! Chance that a seed repeats.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Throws that the seed decides (SplitMix64). Clones throw in turn.
#[derive(Clone, Debug)]
pub struct Dice(Arc<AtomicU64>);

impl Dice {
    /// Dice that this seed decides.
    pub fn new(seed: u64) -> Self {
        Self(Arc::new(AtomicU64::new(seed)))
    }

    /// Other dice, decided by these.
    #[must_use]
    pub fn fork(&self) -> Self {
        Self::new(self.throw())
    }

    /// Any number.
    pub fn throw(&self) -> u64 {
        const STEP: u64 = 0x9e37_79b9_7f4a_7c15;
        let mut mixed = self.0.fetch_add(STEP, Ordering::Relaxed).wrapping_add(STEP);
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `most`.
    pub fn below(&self, most: usize) -> usize {
        usize::try_from(self.throw() % most.max(1) as u64).unwrap_or(0)
    }

    /// True in so many cases of a hundred.
    pub fn percent(&self, chance: u64) -> bool {
        self.throw() % 100 < chance
    }

    /// One of several.
    pub fn one_of<'a, T>(&self, all: &'a [T]) -> &'a T {
        &all[self.below(all.len())]
    }

    /// A duration in a range, in microseconds.
    pub fn micros(&self, range: &Range<u64>) -> Duration {
        let width = range.end.saturating_sub(range.start).max(1);
        Duration::from_micros(range.start + self.throw() % width)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_repeats_its_throws() {
        let throws = |seed| {
            let dice = Dice::new(seed);
            (0..8).map(|_| dice.throw()).collect::<Vec<_>>()
        };
        assert_eq!(throws(1), throws(1));
        assert_ne!(throws(1), throws(2));
        let dice = Dice::new(3);
        assert!((0..100).all(|_| dice.micros(&(5..9)) < Duration::from_micros(9)));
    }
}
