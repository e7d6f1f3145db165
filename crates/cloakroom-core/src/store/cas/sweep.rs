//! What time brings: records that are over are claimed, endings whose lease has lapsed are leased.

use std::collections::{BTreeMap, HashSet};

use async_trait::async_trait;
use futures_util::future::join_all;

use super::envelope::Envelope;
use super::seats::login_of;
use super::{Cas, Decision, Due, Held, Place, Register, Swapped};
use crate::event::Ending;
use crate::store::{Endings, Error, Keep, Result};
use crate::time::Timestamp;
use crate::token::{Key, Kind};

/// How many swaps are under way at once.
const AT_ONCE: usize = 64;

impl<R: Register> Cas<R> {
    /// Removes up to `limit` records that are over, each for one caller only.
    pub(super) async fn sweep(
        &self,
        limit: usize,
        keep: Keep,
        now: Timestamp,
    ) -> Result<Vec<Ending>> {
        let claim = |key, read: Envelope| {
            let record = read.record.clone().filter(|record| record.is_over(now))?;
            let reason = record.expiry();
            Some((read.without(key, reason, keep), Ending { key, reason, record }))
        };
        let endings = self.take(Due::Over, limit, now, claim).await?;
        self.unseat_all(&endings).await;
        Ok(endings)
    }

    /// Frees the seats of sessions that are gone: all of a principal's at once, so that they do not
    /// come between each other.
    async fn unseat_all(&self, endings: &[Ending]) {
        let mut gone: BTreeMap<&str, Vec<(Key, Option<u64>)>> = BTreeMap::new();
        for Ending { key, record, .. } in endings {
            if let (Kind::Session, Some(principal)) = (key.kind(), &record.principal) {
                gone.entry(principal).or_default().push((*key, Some(login_of(record))));
            }
        }
        let gone: Vec<_> = gone.into_iter().collect();
        for chunk in gone.chunks(AT_ONCE) {
            join_all(chunk.iter().map(|(principal, seats)| self.vacate(principal, seats))).await;
        }
    }

    /// Takes up to `limit` places that are due, each for one caller only: `take` says what is left
    /// of one, and what is taken. What cannot be read or swapped is passed by, and does not stand in
    /// the way of what can.
    async fn take(
        &self,
        what: Due,
        limit: usize,
        now: Timestamp,
        take: impl Fn(Key, Envelope) -> Option<(Envelope, Ending)> + Sync,
    ) -> Result<Vec<Ending>> {
        let mut taken = Vec::new();
        let mut passed: HashSet<Key> = HashSet::new();
        while taken.len() < limit {
            let wanted = limit - taken.len();
            let asked = wanted.saturating_add(passed.len());
            let found = match self.register.due(what, asked, now).await {
                Ok(found) => found,
                // What was taken before must not be lost to an error that comes after it.
                Err(error) if taken.is_empty() => return Err(error),
                Err(_) => break,
            };
            let more = found.len() >= asked;
            let mut fresh: Vec<_> =
                found.into_iter().filter(|(key, _)| passed.insert(*key)).collect();
            fresh.truncate(wanted);
            if fresh.is_empty() {
                break;
            }
            for chunk in fresh.chunks(AT_ONCE) {
                let swaps = chunk.iter().map(|(key, held)| self.take_one(*key, held, now, &take));
                taken.extend(join_all(swaps).await.into_iter().flatten());
            }
            if !more {
                break;
            }
        }
        Ok(taken)
    }

    async fn take_one(
        &self,
        key: Key,
        held: &Held,
        now: Timestamp,
        take: impl Fn(Key, Envelope) -> Option<(Envelope, Ending)>,
    ) -> Option<Ending> {
        let warn = |error: &Error| tracing::warn!(%key, %error, "what is due cannot be taken");
        let read = Envelope::open(key, held).inspect_err(warn).ok()?;
        let (after, ending) = take(key, read)?;
        let place = Place::Record(key);
        let swapped = self.register.swap(place, Some(held), after.seal(now).as_ref()).await;
        let swapped = swapped.inspect_err(warn).ok()?;
        matches!(swapped, Swapped::Done).then_some(ending)
    }
}

#[async_trait]
impl<R: Register> Endings for Cas<R> {
    async fn lease(&self, limit: usize, until: Timestamp, now: Timestamp) -> Result<Vec<Ending>> {
        let lease = |key, read: Envelope| {
            let waiting = read.ending.filter(|ending| ending.leased_until <= now)?;
            let ending = waiting.ending(key).ok()?;
            Some((Envelope { ending: Some(waiting.leased(until)), ..read }, ending))
        };
        self.take(Due::Lapsed, limit, now, lease).await
    }

    async fn acknowledge(&self, key: Key) -> Result<()> {
        let forget = |read: Option<Envelope>| {
            Ok(match read {
                Some(read) if read.ending.is_some() => {
                    Decision::Put(Envelope { ending: None, ..read }, ())
                }
                _ => Decision::Leave(()),
            })
        };
        // Told no time, the backend keeps a new record under this key for long, until it is written.
        self.change(key, Timestamp::EPOCH, forget).await
    }
}
