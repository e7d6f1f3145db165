//! Near caches to test with: each on a handle of its own to one store, and at work.

use std::sync::Arc;

use async_trait::async_trait;
use cloakroom_core::store::{Announce, Keep, Near, NearOptions, Result, Wanted};
use cloakroom_core::{Ended, Guard, Store};

use crate::TokioTimer;
use crate::fixture::Fixture;
use crate::samples::{START, key, session};
use crate::stores::{Call, Fed, InTurn, Intercept, Wrapped};

/// Has a node catch up with what it is told, before every call: so that a test sees at once what
/// others would see a moment later.
#[derive(Debug)]
pub struct CatchUp(Arc<dyn Store>);

#[async_trait]
impl Intercept for CatchUp {
    type Around = ();

    /// A heartbeat is answered after everything that there was to tell.
    async fn before(&self, _call: Call) -> Result<()> {
        let feed = self.0.feed().expect("the store has a feed");
        if let Some(source) = feed.source(key()) {
            feed.beat(source).await?;
        }
        Ok(())
    }
}

/// What a node has that catches up, of `store`, which has one source: a near cache at work.
pub async fn caught_up(store: impl Store) -> Arc<dyn Store> {
    let store: Arc<dyn Store> = Arc::new(store);
    let near = near(Arc::clone(&store), NearOptions::default()).await;
    Arc::new(Wrapped::around(near, CatchUp(store)))
}

/// How often a cache is asked whether it is at work, before it is given up.
const TRIES: usize = 10_000;

/// A near cache over `store`, driven and trusted: it serves from memory from now on. Panics where
/// it does not come to that.
pub async fn near<S: Store>(store: S, options: NearOptions) -> Arc<Near<S>> {
    let near = driven(store, options);
    trust(&near).await;
    near
}

/// A near cache over `store` that has just begun.
pub fn driven<S: Store>(store: S, options: NearOptions) -> Arc<Near<S>> {
    let near = Near::new(store, TokioTimer, options).expect("the store has a feed");
    tokio::spawn(near.driver());
    Arc::new(near)
}

/// Waits until `near` serves from memory.
pub async fn trust<S: Store>(near: &Near<S>) {
    let (key, record) = (key(), session(START));
    let created = near.create(key, &record, None, START).await;
    created.map(drop).expect("create is answered");
    for _ in 0..TRIES {
        let read = near.read(key, &Wanted::default(), START).await;
        assert!(read.expect("read is answered").is_some());
        if near.stats().hits > 0 {
            let announce = Announce { reason: Ended::Revoked, keep: Keep::Nothing };
            let ended = near.end(key, &Guard::None, announce, START).await;
            assert!(ended.expect("end is answered").is_some());
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(1)).await;
    }
    panic!("the near cache does not come to serve from memory");
}

/// So many nodes over `store`, each with a near cache that is at work; and the handles beneath.
pub async fn nodes(handles: &[Fed]) -> Vec<Arc<Near<Fed>>> {
    let mut nodes = Vec::with_capacity(handles.len());
    for handle in handles {
        nodes.push(near(handle.clone(), NearOptions::default()).await);
    }
    nodes
}

/// A fixture of several nodes, each with a near cache at work over its handle.
pub async fn fixture(handles: &[Fed]) -> Fixture {
    let nodes = nodes(handles).await.into_iter().map(|node| node as Arc<dyn Store>);
    Fixture::of_nodes(nodes.collect())
}

/// A fixture whose every call goes to another node than the one before.
pub async fn in_turn(handles: &[Fed]) -> Fixture {
    let nodes = nodes(handles).await.into_iter().map(|node| node as Arc<dyn Store>);
    Fixture::new(InTurn::new(nodes.collect()))
}
