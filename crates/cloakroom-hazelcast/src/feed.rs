//! The feed: what the cluster tells of changes, for caches over this store.

use std::sync::Arc;

use async_trait::async_trait;
use cloakroom_core::Key;
use cloakroom_core::store::{Feed, FeedSource as Source, Notices, Result};

use crate::raise;
use crate::register::HazelcastRegister;

#[async_trait]
impl Feed for HazelcastRegister {
    fn follow(&self, notices: Arc<dyn Notices>) {
        self.link.follow(notices);
    }

    fn source(&self, _key: Key) -> Option<Source> {
        self.link.source()
    }

    async fn beat(&self, source: Source) -> Result<()> {
        let line = self.link.line_of(source)?;
        Ok(raise::beat(&line, self.link.map(), self.link.limit(), source).await?)
    }

    /// The connection stays, where it answers: others wait for answers on it.
    fn reset(&self, source: Source) {
        if let Ok(line) = self.link.line_of(source) {
            line.watch.fall(source);
            line.wire.doubt();
        }
    }
}
