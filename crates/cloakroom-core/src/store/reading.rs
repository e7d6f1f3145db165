//! What a reader wants of a record that is kept nearer than the store, and what it gets.

use std::sync::Arc;

use crate::record::Record;
use crate::time::Timestamp;
use crate::token::Proof;

/// What a record has to be like to be read from a cache.
///
/// A cache never says no by itself: that there is no record, that a secret does not open it or
/// that its time has come is for the store to say.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Wanted {
    /// The least version: what the reader has seen before.
    pub at_least: u64,
    /// A secret that must open it.
    pub opened_by: Option<Proof>,
}

impl Wanted {
    /// The record as the store has it.
    pub const NEWEST: Self = Self { at_least: u64::MAX, opened_by: None };

    /// Whether `record`, as it was at some time, is what is wanted at `now`.
    pub fn is_met_by(&self, record: &Record, now: Timestamp) -> bool {
        record.version >= self.at_least
            && !record.is_over(now)
            && self.opened_by.is_none_or(|proof| record.admits(&proof, now).admitted())
    }
}

/// A record that was read.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Loaded {
    /// The record.
    pub record: Arc<Record>,
    /// Whether no cache has an older one any more. Where one may, whoever has seen this one has to
    /// remember its version for a while; see [`Store::fence`](super::Store::fence).
    pub settled: bool,
}

impl Loaded {
    /// A record of a store that nobody caches.
    pub fn current(record: Record) -> Self {
        Self { record: Arc::new(record), settled: true }
    }
}
