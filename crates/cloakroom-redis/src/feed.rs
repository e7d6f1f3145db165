//! The feed: what the servers tell of changes, for caches over this store.

use std::sync::Arc;

use async_trait::async_trait;
use cloakroom_core::Key;
use cloakroom_core::store::{Feed, FeedSource as Source, Notices, Result};

use crate::layout::bucket_of;
use crate::store::RedisStore;

#[async_trait]
impl Feed for RedisStore {
    fn follow(&self, notices: Arc<dyn Notices>) {
        self.route.follow(notices);
    }

    fn source(&self, key: Key) -> Option<Source> {
        self.route.source(bucket_of(key))
    }

    async fn beat(&self, source: Source) -> Result<()> {
        Ok(self.route.beat(source, &self.layout).await?)
    }

    fn reset(&self, source: Source) {
        self.route.reset(source);
    }
}
