//! Hearing what the feed tells.

use std::fmt;
use std::sync::{Arc, Weak};
use std::thread;

use super::{Inner, locked};
use crate::store::Store;
use crate::store::feed::{Notice, Notices};

/// What the feed talks to.
pub(super) struct Ear<S>(pub(super) Weak<Inner<S>>);

impl<S> fmt::Debug for Ear<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Ear")
    }
}

impl<S: Store> Notices for Ear<S> {
    fn hear(&self, notice: Notice) {
        let Some(inner) = self.0.upgrade() else {
            return;
        };
        match notice {
            Notice::Up(source) => {
                locked(&inner.sources).push(source);
                inner.each_shard(|machine| machine.up(source));
                inner.wake.now();
            }
            Notice::Down(source) => {
                locked(&inner.sources).retain(|up| *up != source);
                inner.each_shard(|machine| machine.down(source));
            }
            Notice::Flushed(source) => {
                inner.each_shard(|machine| machine.flushed(source));
                inner.wake.now();
            }
            Notice::Changed(key) => inner.shard(&key).machine.changed(&key),
            Notice::Reached(key, version) => inner.shard(&key).machine.reached(&key, version),
            Notice::Told { source, key, record } => {
                let elapsed = inner.timer.elapsed();
                inner.shard(&key).machine.told(source, key, record, elapsed);
            }
        }
        // The cache was dropped meanwhile, and its store goes with it. Not here: the feed may hold a
        // lock while it speaks, which it needs to stop.
        if let Some(last) = Arc::into_inner(inner) {
            let _ = thread::Builder::new().spawn(move || drop(last));
        }
    }
}
