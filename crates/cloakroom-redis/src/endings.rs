//! The list of endings: leased to one node at a time until it is acknowledged.

use std::sync::atomic::Ordering;

use async_trait::async_trait;
use bytes::Bytes;
use cloakroom_core::store::{Endings, Result};
use cloakroom_core::{Ended, Ending, Key, Kind, Timestamp};
use redis::Cmd;

use crate::layout::{BUCKETS, bucket_of};
use crate::reply;
use crate::route::{Batch, first_error};
use crate::store::RedisStore;

#[async_trait]
impl Endings for RedisStore {
    /// Where no lease has lapsed, this takes one round trip.
    async fn lease(&self, limit: usize, until: Timestamp, now: Timestamp) -> Result<Vec<Ending>> {
        let mut calls = Vec::new();
        let mut left = limit;
        for (bucket, lapsed) in self.lapsed(now).await? {
            let most = left.min(lapsed);
            left -= most;
            if most > 0 {
                let leases = self.layout.leases(bucket);
                let mut call = self.scripts.lease.on([leases, self.layout.endings(bucket)]);
                call.number(now.millis()).number(until.millis()).number(most as u64);
                calls.push(call);
            }
        }
        let mut endings = Vec::new();
        let answers = self.scripts.lease.run_all(&self.route, &calls).await;
        let failed = first_error(&answers);
        for answer in answers.into_iter().flatten() {
            let leased = reply::pairs(answer, "lease")?;
            endings.extend(leased.iter().filter_map(ending));
        }
        // A bucket that fails keeps its endings for the next call.
        match failed {
            Some(error) if endings.is_empty() => Err(error),
            _ => Ok(endings),
        }
    }

    async fn acknowledge(&self, key: Key) -> Result<()> {
        let bucket = bucket_of(key);
        let keys = [self.layout.leases(bucket), self.layout.endings(bucket)];
        let mut call = self.scripts.acknowledge.on(keys);
        call.arg(key.as_bytes().as_slice());
        self.scripts.acknowledge.run(&self.route, &call).await.map(drop)
    }
}

impl RedisStore {
    /// How many leases have lapsed in each bucket that has any, beginning with another bucket each
    /// time.
    async fn lapsed(&self, now: Timestamp) -> Result<Vec<(u8, usize)>> {
        let first = self.turn.fetch_add(1, Ordering::Relaxed);
        let buckets: Vec<u8> = (0..BUCKETS)
            .filter_map(|step| u8::try_from(first.wrapping_add(step) % BUCKETS).ok())
            .collect();
        let mut batch = Batch::with_capacity(BUCKETS);
        for bucket in &buckets {
            let mut command = Cmd::new();
            command.arg("ZCOUNT").arg(self.layout.leases(*bucket)).arg("-inf").arg(now.millis());
            batch.add(*bucket, command);
        }
        let (mut lapsed, mut failed) = (Vec::new(), None);
        for (bucket, answer) in buckets.iter().zip(self.route.send_all(batch).await) {
            match answer.map(|count| reply::number(&count, "ZCOUNT")) {
                Ok(count) => {
                    let count = usize::try_from(count?).unwrap_or(usize::MAX);
                    lapsed.extend((count > 0).then_some((*bucket, count)));
                }
                Err(fault) => failed = Some(fault),
            }
        }
        // What the other buckets have is not kept back for one that does not answer.
        match failed {
            Some(fault) if lapsed.is_empty() => Err(fault.into()),
            _ => Ok(lapsed),
        }
    }
}

/// Reads a kept ending. One that this version cannot read is left to a node that can.
fn ending((id, kept): &(Bytes, Bytes)) -> Option<Ending> {
    let key = Key::from_bytes(Kind::Session, id)?;
    let colon = kept.iter().position(|byte| *byte == b':')?;
    let reason = Ended::from_name(std::str::from_utf8(&kept[..colon]).ok()?)?;
    match reply::record(key, &kept.slice(colon + 1..)) {
        Ok(record) => Some(Ending { key, reason, record }),
        Err(error) => {
            tracing::warn!(%key, %error, "an ending cannot be read");
            None
        }
    }
}
