//! Sweeping: finds what is over by its deadline, and claims each record for one caller only.

use std::collections::VecDeque;
use std::sync::atomic::Ordering;

use bytes::Bytes;
use cloakroom_core::store::{Error, Keep, Result};
use cloakroom_core::{Ending, Key, Kind, Timestamp};
use redis::{Cmd, Value};

use crate::fault::Fault;
use crate::layout::{BUCKETS, Index};
use crate::login::seat_of;
use crate::reply;
use crate::route::{Batch, first_error};
use crate::store::{RedisStore, lease, removed};

/// How many claims go into one round trip.
const CLAIMS: usize = 128;
/// How many entries of one index are asked for at first. A sweep that finds more there asks again.
const FIRST_PAGE: usize = 2;
/// How often one sweep asks again.
const ROUNDS: usize = 4;
/// By how much the first bucket moves with each sweep: coprime to the number of buckets, and far
/// enough to leave a bucket with a backlog behind.
const STRIDE: usize = 97;

/// What some indexes say is over.
#[derive(Default)]
struct Over {
    keys: VecDeque<Key>,
    /// The indexes that may have more.
    full: Vec<Index>,
    /// Where one did not answer.
    failed: Option<Fault>,
}

impl Over {
    fn add(&mut self, index: Index, ids: &[Bytes], page: usize) {
        if ids.len() >= page {
            self.full.push(index);
        }
        self.keys.extend(ids.iter().filter_map(|id| Key::from_bytes(index.kind, id)));
    }
}

impl RedisStore {
    /// Removes up to `limit` records that are over. Where nothing is, this takes one round trip.
    pub(crate) async fn sweep(
        &self,
        limit: usize,
        keep: Keep,
        now: Timestamp,
    ) -> Result<Vec<Ending>> {
        let mut endings = Vec::new();
        let mut indexes = self.indexes();
        let mut page = FIRST_PAGE.max(limit.div_ceil(indexes.len()));
        for _ in 0..ROUNDS {
            if endings.len() >= limit || indexes.is_empty() {
                break;
            }
            let over = match self.over(&indexes, page.min(limit), now).await {
                Ok(found) => found,
                Err(error) if endings.is_empty() => return Err(error),
                Err(_) => break,
            };
            self.claim(over.keys, limit, keep, now, &mut endings).await?;
            // An index that does not answer keeps what it has for a later sweep. Where nothing
            // else was found, the caller is told.
            match over.failed {
                Some(fault) if endings.is_empty() => return Err(fault.into()),
                _ => indexes = over.full,
            }
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
            .flat_map(|bucket| Kind::ALL.into_iter().map(move |kind| (bucket, kind)))
            .flat_map(|(bucket, kind)| Index::all(bucket, kind))
            .collect()
    }

    /// What is over, at most `page` keys of each index.
    async fn over(&self, indexes: &[Index], page: usize, now: Timestamp) -> Result<Over> {
        let mut batch = Batch::with_capacity(indexes.len());
        for index in indexes {
            let mut command = Cmd::new();
            command
                .arg("ZRANGEBYSCORE")
                .arg(self.layout.deadlines(*index))
                .arg("-inf")
                .arg(now.millis())
                .arg("LIMIT")
                .arg(0)
                .arg(page);
            batch.add(index.bucket, command);
        }
        let mut over = Over::default();
        for (index, answer) in indexes.iter().zip(self.route.send_all(batch).await) {
            match answer.map(|ids| reply::strings(ids, "ZRANGEBYSCORE")) {
                Ok(ids) => over.add(*index, &ids?, page),
                Err(fault) => over.failed = Some(fault),
            }
        }
        Ok(over)
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
            let answers = self.scripts.remove.run_all(&self.route, &calls).await;
            let failed = first_error(&answers).filter(|_| answers.iter().all(Result::is_err));
            for (key, answer) in keys.into_iter().zip(answers) {
                endings.extend(ending(key, answer));
            }
            match failed {
                Some(error) if endings.is_empty() => return Err(error),
                Some(_) => return Ok(()),
                None => {}
            }
        }
        Ok(())
    }
}

/// The ending that a claim brought. A claim that failed leaves its record for a later sweep; it
/// must not cost the others theirs.
fn ending(key: Key, answer: Result<Value, Fault>) -> Option<Ending> {
    let record = answer
        .map_err(Error::from)
        .and_then(|answer| removed(key, answer))
        .and_then(|bytes| bytes.map(|bytes| reply::record(key, &bytes)).transpose());
    match record {
        Ok(record) => record.map(|record| Ending { key, reason: record.expiry(), record }),
        Err(error) => {
            tracing::warn!(%key, %error, "a record that is over cannot be swept");
            None
        }
    }
}
