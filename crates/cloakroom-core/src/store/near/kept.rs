//! What a cache keeps, and what decides on it. Knows no store: whoever holds this keeps none alive.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard};

use super::driver::Wake;
use super::machine::{Machine, Terms};
use super::shared::WeakLoad;
use super::shelf::Shelf;
use super::{NearStats, locked};
use crate::store::feed::Source;
use crate::time::Timer;
use crate::token::Key;

/// The most shards; keys share them by chance.
const MOST_SHARDS: usize = 64;
/// The least that a shard is made for, in bytes: a large session has to fit.
const SHARD_BYTES: u64 = 1024 * 1024;

pub(super) struct Kept {
    pub(super) timer: Arc<dyn Timer>,
    shards: Vec<Mutex<Shard>>,
    /// The sources that are up.
    pub(super) sources: Mutex<Vec<Source>>,
    pub(super) wake: Arc<Wake>,
}

/// Some of the keys: the decisions about them, and how often they spared a call.
pub(super) struct Shard {
    pub(super) machine: Machine<Shelf, WeakLoad>,
    pub(super) stats: NearStats,
}

impl Kept {
    /// Room for about so many bytes.
    pub(super) fn new(bytes: u64, terms: Terms, timer: Arc<dyn Timer>) -> Self {
        let count = usize::try_from(bytes / SHARD_BYTES).unwrap_or(MOST_SHARDS);
        let count = count.clamp(1, MOST_SHARDS);
        let shard = |_| {
            let machine = Machine::new(Shelf::new(bytes / count as u64), terms);
            Mutex::new(Shard { machine, stats: NearStats::default() })
        };
        let shards = (0..count).map(shard).collect();
        Self { timer, shards, sources: Mutex::default(), wake: Arc::default() }
    }

    pub(super) fn shard(&self, key: &Key) -> MutexGuard<'_, Shard> {
        // The first byte chooses the bucket in some stores, and the queue of writers.
        locked(&self.shards[usize::from(key.as_bytes()[1]) % self.shards.len()])
    }

    pub(super) fn each_shard(&self, mut say: impl FnMut(&mut Machine<Shelf, WeakLoad>)) {
        for shard in &self.shards {
            say(&mut locked(shard).machine);
        }
    }

    pub(super) fn stats(&self) -> NearStats {
        let mut sum = NearStats::default();
        for shard in &self.shards {
            let Shard { machine, stats } = &*locked(shard);
            sum.hits += stats.hits;
            sum.joined += stats.joined;
            sum.misses += stats.misses;
            sum.records += machine.entries.len();
            sum.bytes += machine.entries.bytes();
        }
        sum
    }
}

impl fmt::Debug for Kept {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Kept").finish_non_exhaustive()
    }
}
