//! The directory: sessions by principal, pages of keys, counts.

use async_trait::async_trait;
use cloakroom_core::record::CommitId;
use cloakroom_core::store::{Directory, Result};
use cloakroom_core::{Key, Kind, Record, Timestamp};
use redis::Cmd;

use crate::layout::{BUCKETS, Index, bucket_of};
use crate::reply;
use crate::route::Batch;
use crate::seats::sort;
use crate::store::RedisStore;

#[async_trait]
impl Directory for RedisStore {
    async fn of_principal(&self, principal: &str, now: Timestamp) -> Result<Vec<(Key, Record)>> {
        let mut verified = self.seated(principal, now).await?;
        let seats = self.layout.seats(principal);
        self.give_up(&seats, verified.abandoned()).await;
        sort(&mut verified.living);
        Ok(verified.living)
    }

    /// Marks the principal's seats, so that no login confirms that took its seat before. It
    /// compares no clocks. Seats under way stay: what they have written is then found and ended.
    async fn bar(&self, principal: &str, _now: Timestamp) -> Result<()> {
        let mut call = self.scripts.bar.on([self.layout.seats(principal)]);
        call.arg(CommitId::random().as_bytes().as_slice());
        self.scripts.bar.run(&self.route, &call).await.map(drop)
    }

    /// In the order of keys: bucket after bucket, each read whole and sorted here.
    async fn page(
        &self,
        kind: Kind,
        after: Option<Key>,
        limit: usize,
        now: Timestamp,
    ) -> Result<Vec<Key>> {
        let mut next = after.map_or(0, |key| usize::from(bucket_of(key)));
        let mut page = Vec::new();
        let mut buckets = 1;
        while page.len() < limit && next < BUCKETS {
            let until = BUCKETS.min(next + buckets);
            page.extend(self.living(kind, next..until, now).await?);
            page.retain(|key| after.is_none_or(|after| *key > after));
            next = until;
            buckets *= 4;
        }
        page.sort_unstable();
        page.truncate(limit);
        Ok(page)
    }

    async fn count(&self, kind: Kind, now: Timestamp) -> Result<u64> {
        let mut batch = Batch::with_capacity(BUCKETS);
        for index in (0..=u8::MAX).flat_map(|bucket| Index::all(bucket, kind)) {
            batch.add(index.bucket, self.of_the_living("ZCOUNT", index, now));
        }
        let mut count = 0;
        for answer in self.route.send_all(batch).await {
            count += reply::number(&answer?, "ZCOUNT")?;
        }
        Ok(count)
    }
}

impl RedisStore {
    /// All living keys of a kind in some buckets, in one round trip.
    async fn living(
        &self,
        kind: Kind,
        buckets: std::ops::Range<usize>,
        now: Timestamp,
    ) -> Result<Vec<Key>> {
        let mut batch = Batch::with_capacity(buckets.len());
        let buckets = buckets.filter_map(|bucket| u8::try_from(bucket).ok());
        for index in buckets.flat_map(|bucket| Index::all(bucket, kind)) {
            batch.add(index.bucket, self.of_the_living("ZRANGEBYSCORE", index, now));
        }
        let mut keys = Vec::new();
        for answer in self.route.send_all(batch).await {
            let ids = reply::strings(answer?, "ZRANGEBYSCORE")?;
            keys.extend(ids.iter().filter_map(|id| Key::from_bytes(kind, id)));
        }
        Ok(keys)
    }

    /// Asks something of an index's keys that are not over.
    fn of_the_living(&self, what: &str, index: Index, now: Timestamp) -> Cmd {
        let mut command = Cmd::new();
        command
            .arg(what)
            .arg(self.layout.deadlines(index))
            .arg(format!("({}", now.millis()))
            .arg("+inf");
        command
    }
}
