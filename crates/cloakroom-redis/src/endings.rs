//! The list of endings: leased to one node at a time until it is acknowledged.

use std::sync::atomic::Ordering;

use async_trait::async_trait;
use bytes::Bytes;
use cloakroom_core::store::{Endings, Result};
use cloakroom_core::{Ended, Ending, Key, Kind, Timestamp};
use redis::Pipeline;

use crate::fault;
use crate::layout::{BUCKETS, bucket_of};
use crate::reply;
use crate::script::Call;
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
                let mut call = Call::on([leases, self.layout.endings(bucket)]);
                call.number(now.millis()).number(until.millis()).number(most);
                calls.push(call);
            }
        }
        let mut endings = Vec::new();
        for reply in self.scripts.lease.run_all(&self.link, &calls).await? {
            // A bucket that fails keeps its endings for the next call.
            let leased = fault::reply(reply).and_then(|reply| reply::pairs(reply, "lease"));
            match leased {
                Ok(leased) => endings.extend(leased.iter().filter_map(ending)),
                Err(error) => tracing::warn!(%error, "endings cannot be leased"),
            }
        }
        Ok(endings)
    }

    async fn acknowledge(&self, key: Key) -> Result<()> {
        let bucket = bucket_of(key);
        let mut call = Call::on([self.layout.leases(bucket), self.layout.endings(bucket)]);
        call.arg(key.as_bytes().as_slice());
        self.scripts.acknowledge.run(&self.link, &call).await.map(drop)
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
        let mut pipeline = Pipeline::with_capacity(BUCKETS);
        for bucket in &buckets {
            pipeline.cmd("ZCOUNT").arg(self.layout.leases(*bucket)).arg("-inf").arg(now.millis());
        }
        let mut lapsed = Vec::new();
        for (bucket, reply) in buckets.iter().zip(self.link.send_all(&pipeline).await?) {
            let count = reply::number(&fault::reply(reply)?, "ZCOUNT")?;
            if count > 0 {
                lapsed.push((*bucket, usize::try_from(count).unwrap_or(usize::MAX)));
            }
        }
        Ok(lapsed)
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
