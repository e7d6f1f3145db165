//! Hearing what the feed tells.

use std::sync::Weak;

use super::kept::Kept;
use super::locked;
use crate::store::feed::{Notice, Notices};

/// What the feed talks to. It never holds the store: a feed may hold a lock while it tells that its
/// store needs to be dropped.
#[derive(Debug)]
pub(super) struct Ear(pub(super) Weak<Kept>);

impl Notices for Ear {
    fn hear(&self, notice: Notice) {
        let Some(kept) = self.0.upgrade() else {
            return;
        };
        match notice {
            Notice::Up(source) => {
                locked(&kept.sources).push(source);
                kept.each_shard(|machine| machine.up(source));
                kept.wake.now();
            }
            Notice::Down(source) => {
                locked(&kept.sources).retain(|up| *up != source);
                kept.each_shard(|machine| machine.down(source));
            }
            Notice::Flushed(source) => {
                kept.each_shard(|machine| machine.flushed(source));
                kept.wake.now();
            }
            Notice::Changed(key) => kept.shard(&key).machine.changed(&key),
            Notice::Reached(key, version) => kept.shard(&key).machine.reached(&key, version),
            Notice::Told { source, key, record } => {
                let elapsed = kept.timer.elapsed();
                kept.shard(&key).machine.told(source, key, record, elapsed);
            }
        }
    }
}
