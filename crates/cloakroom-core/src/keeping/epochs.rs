//! A user's epoch: what ends all sealed sessions that were signed in before. One small record for
//! each user, in an ordinary store.
//!
//! A sealed session carries the epoch that its user had at its login. To end all sessions of a user
//! is to begin a new one. No two clocks are compared: a session is refused because its epoch is
//! lower than the store's.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::record::Record;
use crate::slot::{self, Slot};
use crate::store::{Error, Result, Store, Wanted};
use crate::time::Timestamp;
use crate::token::{Key, Kind};

const NAME: &str = "epoch";

/// Where the epochs are.
#[derive(Clone, Debug)]
pub(crate) struct Epochs {
    pub(super) store: Arc<dyn Store>,
}

/// One user's epoch.
#[derive(Clone, Default, Serialize, Deserialize)]
pub(crate) struct Epoch {
    /// Grows with every end of all sessions, and is the time of the last one or later.
    at: u64,
    /// The session that was not to be ended, and the epoch that it has to have had.
    spared: Option<Spared>,
}

#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Spared {
    key: String,
    since: u64,
}

impl Epoch {
    /// Where it is in its record.
    pub(crate) const SLOT: Slot<Self> = Slot::new(NAME);

    /// Begins a new one. What it spares had to be alive until now.
    pub(crate) fn begin(&mut self, spared: Option<Key>, now: Timestamp) {
        let before = self.at;
        self.at = now.millis().max(before + 1);
        let earlier = self.spared.take();
        self.spared = spared.map(|key| {
            let key = key.to_string();
            let same = earlier.filter(|earlier| earlier.key == key);
            Spared { since: same.map_or(before, |earlier| earlier.since), key }
        });
    }

    fn admits(&self, key: Key, epoch: u64) -> bool {
        let spared = self.spared.as_ref();
        epoch >= self.at
            || spared.is_some_and(|spared| epoch >= spared.since && spared.key == key.to_string())
    }
}

impl Epochs {
    pub(super) fn new(store: Arc<dyn Store>) -> Self {
        Self { store }
    }

    /// The record of a user's epoch.
    pub(crate) fn key(principal: &str) -> Key {
        Key::named(Kind::Application, &format!("epoch of {principal}"))
    }

    /// The epoch that a login of now is in, as the store has it.
    pub(super) async fn newest(&self, principal: &str, now: Timestamp) -> Result<u64> {
        let read = self.store.read(Self::key(principal), &Wanted::NEWEST, now).await;
        // It is asked in the middle of a login, of which nothing is done yet.
        let read = read.map_err(|error| Error::Unreachable(error.into()))?;
        read.map_or(Ok(0), |loaded| Ok(epoch_in(&loaded.record)?.at))
    }

    /// Whether a session of `principal` is not ended, as far as a cache knows.
    pub(super) async fn admit(
        &self,
        key: Key,
        principal: &str,
        epoch: u64,
        now: Timestamp,
    ) -> Result<bool> {
        let place = Self::key(principal);
        match self.store.read(place, &Wanted::default(), now).await? {
            Some(loaded) => Ok(epoch_in(&loaded.record)?.admits(key, epoch)),
            None => {
                // No cache says that there is none. With an empty one the next read costs nothing.
                if self.store.fence().is_some() {
                    let empty = Record::new(None, now);
                    drop(self.store.create(place, &empty, None, now).await);
                }
                Ok(true)
            }
        }
    }
}

/// What cannot be read may be an end of all sessions: it is never taken for none.
fn epoch_in(record: &Record) -> Result<Epoch> {
    match record.fields.get(NAME) {
        Some(field) => {
            slot::decode(NAME, &field.bytes).map_err(|error| Error::Refused(error.into()))
        }
        None => Ok(Epoch::default()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_epoch_ends_all_but_what_it_spares() {
        let (one, other) = (Key::random(Kind::Session), Key::random(Kind::Session));
        let mut epoch = Epoch::default();
        assert!(epoch.admits(one, 0));
        epoch.begin(Some(one), Timestamp::from_millis(1000));
        assert!(epoch.admits(one, 0) && !epoch.admits(other, 0) && epoch.admits(other, 1000));
        epoch.begin(Some(one), Timestamp::from_millis(2000));
        assert!(epoch.admits(one, 0) && !epoch.admits(other, 1000));
        epoch.begin(Some(other), Timestamp::from_millis(3000));
        assert!(!epoch.admits(one, 0), "it is spared no more");
        assert!(!epoch.admits(other, 0), "what had ended is not spared");
        assert!(epoch.admits(other, 2000));
        epoch.begin(None, Timestamp::from_millis(3000));
        assert!(!epoch.admits(other, 3000), "two in one moment are two");
        assert!(epoch.admits(other, 3001));
    }
}
