//! Where a near cache's entries are kept: bounded in bytes, the least useful go first.

use std::fmt;

use quick_cache::Weighter;
use quick_cache::unsync::Cache;

use super::machine::{Entries, Entry};
use crate::store::feed::Source;
use crate::token::Key;

/// About how many bytes a session takes in memory: for the first allocation only.
const TYPICAL: u64 = 1024;

/// The entries of one shard.
pub(super) struct Shelf(Cache<Key, Entry, Weight>);

#[derive(Clone, Copy)]
struct Weight;

impl Weighter<Key, Entry> for Weight {
    fn weight(&self, _key: &Key, entry: &Entry) -> u64 {
        weight(entry)
    }
}

/// About how many bytes an entry takes.
fn weight(entry: &Entry) -> u64 {
    entry.record.memory() as u64 + (size_of::<Key>() + size_of::<Entry>()) as u64
}

impl Shelf {
    /// Holds up to about `bytes`.
    pub(super) fn new(bytes: u64) -> Self {
        let items = usize::try_from(bytes / TYPICAL).unwrap_or(usize::MAX).max(1);
        Self(Cache::with_weighter(items, bytes, Weight))
    }

    pub(super) fn len(&self) -> u64 {
        self.0.len() as u64
    }

    pub(super) fn bytes(&self) -> u64 {
        self.0.weight()
    }
}

impl Entries for Shelf {
    fn get(&self, key: &Key) -> Option<&Entry> {
        self.0.get(key)
    }

    fn insert(&mut self, key: Key, entry: Entry) {
        self.0.insert(key, entry);
    }

    fn remove(&mut self, key: &Key) {
        self.0.remove(key);
    }

    fn has_room(&self, entry: &Entry) -> bool {
        self.0.weight().saturating_add(weight(entry)) <= self.0.capacity()
    }

    fn forget(&mut self, source: Source) {
        self.0.retain(|_, entry| entry.source != source);
    }
}

impl fmt::Debug for Shelf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Shelf({} records)", self.len())
    }
}
