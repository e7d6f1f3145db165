//! Sweeping: finds what is over by its deadline, and claims each record for one caller only.

use std::collections::VecDeque;
use std::sync::atomic::Ordering;

use cloakroom_core::store::{Keep, Result};
use cloakroom_core::{Ending, Key, Kind, Timestamp};
use redis::Pipeline;

use crate::fault;
use crate::layout::BUCKETS;
use crate::login::seat_of;
use crate::reply;
use crate::store::{RedisStore, lease, removed};

/// How many claims go into one round trip.
const CLAIMS: usize = 128;
/// How many entries of one index are asked for at first. A sweep that finds more there asks again.
const FIRST_PAGE: usize = 8;
/// How often one sweep asks again.
const ROUNDS: usize = 4;
/// By how much the first bucket moves with each sweep: coprime to the number of buckets, and far
/// enough to leave a bucket with a backlog behind.
const STRIDE: usize = 97;

/// One index of deadlines: a bucket's keys of one kind.
type Index = (u8, Kind);

impl RedisStore {
    /// Removes up to `limit` records that are over. Where nothing is, this takes one round trip.
    pub(crate) async fn sweep(
        &self,
        limit: usize,
        keep: Keep,
        now: Timestamp,
    ) -> Result<Vec<Ending>> {
        let mut endings = Vec::new();
        let (mut indexes, mut page) = (self.indexes(), FIRST_PAGE.max(limit.div_ceil(BUCKETS)));
        for _ in 0..ROUNDS {
            if endings.len() >= limit || indexes.is_empty() {
                break;
            }
            let (over, full) = match self.over(&indexes, page.min(limit), now).await {
                Ok(found) => found,
                Err(error) if endings.is_empty() => return Err(error),
                Err(_) => break,
            };
            self.claim(over, limit, keep, now, &mut endings).await?;
            indexes = full;
            page = page.saturating_mul(32);
        }
        let seats: Vec<_> =
            endings.iter().filter_map(|ending| seat_of(ending.key, &ending.record)).collect();
        self.unseat(&seats).await;
        Ok(endings)
    }

    /// Every index once, beginning with another bucket each time.
    fn indexes(&self) -> Vec<Index> {
        let first = self.turn.fetch_add(STRIDE, Ordering::Relaxed);
        (0..BUCKETS)
            .filter_map(|step| u8::try_from(first.wrapping_add(step) % BUCKETS).ok())
            .flat_map(|bucket| Kind::ALL.map(|kind| (bucket, kind)))
            .collect()
    }

    /// The keys that are over, at most `page` of each index, and the indexes that have more.
    async fn over(
        &self,
        indexes: &[Index],
        page: usize,
        now: Timestamp,
    ) -> Result<(VecDeque<Key>, Vec<Index>)> {
        let mut pipeline = Pipeline::with_capacity(indexes.len());
        for (bucket, kind) in indexes {
            pipeline
                .cmd("ZRANGEBYSCORE")
                .arg(self.layout.deadlines(*bucket, *kind))
                .arg("-inf")
                .arg(now.millis())
                .arg("LIMIT")
                .arg(0)
                .arg(page);
        }
        let (mut keys, mut full) = (VecDeque::new(), Vec::new());
        let replies = self.link.send_all(&pipeline).await?;
        for (index, reply) in indexes.iter().zip(replies) {
            let ids = reply::strings(fault::reply(reply)?, "ZRANGEBYSCORE")?;
            if ids.len() >= page {
                full.push(*index);
            }
            keys.extend(ids.iter().filter_map(|id| Key::from_bytes(index.1, id)));
        }
        Ok((keys, full))
    }

    /// Claims `over` until there are `limit` endings. What was claimed is never lost to an error
    /// that comes after it.
    async fn claim(
        &self,
        mut over: VecDeque<Key>,
        limit: usize,
        keep: Keep,
        now: Timestamp,
        endings: &mut Vec<Ending>,
    ) -> Result<()> {
        while endings.len() < limit && !over.is_empty() {
            let room = (limit - endings.len()).min(CLAIMS).min(over.len());
            let keys: Vec<Key> = over.drain(..room).collect();
            let calls: Vec<_> = keys
                .iter()
                .map(|key| {
                    let mut call = self.removal(*key, now);
                    call.arg("over").arg("").arg("").arg(lease(*key, keep));
                    call
                })
                .collect();
            let replies = match self.scripts.remove.run_all(&self.link, &calls).await {
                Ok(replies) => replies,
                Err(error) if endings.is_empty() => return Err(error),
                Err(_) => return Ok(()),
            };
            for (key, reply) in keys.into_iter().zip(replies) {
                endings.extend(ending(key, reply));
            }
        }
        Ok(())
    }
}

/// The ending that a claim brought. A claim that failed leaves its record for a later sweep; it
/// must not cost the others theirs.
fn ending(key: Key, reply: redis::Value) -> Option<Ending> {
    let record = fault::reply(reply)
        .and_then(|reply| removed(key, reply))
        .and_then(|bytes| bytes.map(|bytes| reply::record(key, &bytes)).transpose());
    match record {
        Ok(record) => record.map(|record| Ending { key, reason: record.expiry(), record }),
        Err(error) => {
            tracing::warn!(%key, %error, "a record that is over cannot be swept");
            None
        }
    }
}
