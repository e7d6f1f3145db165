//! Near caches to test with: each on a handle of its own to one store, and at work.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use cloakroom_core::store::{Announce, Keep, Near, NearOptions, Result, Wanted};
use cloakroom_core::{Ended, Guard, Store};

use tokio::task::AbortHandle;

use crate::TokioTimer;
use crate::fixture::Fixture;
use crate::samples::{START, key, session};
use crate::stores::{Call, Fed, InTurn, Intercept, Wrapped};

/// Does `work` in simulated time: where everybody waits, the next moment comes at once.
pub fn simulated<T>(work: impl Future<Output = T>) -> T {
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = runtime.enable_all().start_paused(true).build().expect("a runtime starts");
    runtime.block_on(work)
}

/// Has a node catch up with what it is told, before every call: so that a test sees at once what
/// others would see a moment later.
#[derive(Debug)]
pub struct CatchUp(Arc<dyn Store>);

#[async_trait]
impl Intercept for CatchUp {
    type Around = ();

    /// A heartbeat is answered after everything that there was to tell. A source that does not come
    /// to answer, because the machine is busy, has taken with it what it did not tell of.
    async fn before(&self, _call: Call) -> Result<()> {
        let feed = self.0.feed().expect("the store has a feed");
        while let Some(source) = feed.source(key()) {
            let answer = feed.beat(source).await;
            if answer.is_ok() || feed.source(key()) == Some(source) {
                return answer;
            }
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

/// Two nodes that catch up, each with a store of its own at the same place.
pub async fn two<S: Store>(connect: impl AsyncFn() -> S) -> Vec<Arc<dyn Store>> {
    vec![caught_up(connect().await).await, caught_up(connect().await).await]
}

/// How often a cache is asked whether it is at work, before it is given up.
const TRIES: usize = 5_000;

/// A near cache over `store`, driven and trusted: it serves from memory from now on. Panics where
/// it does not come to that.
pub async fn near<S: Store>(store: S, options: NearOptions) -> Arc<Near<S>> {
    let (near, _) = driven(store, options);
    trust(&near).await;
    near
}

/// A near cache over `store` that has just begun, and what drives it, which can be stopped.
pub fn driven<S: Store>(store: S, options: NearOptions) -> (Arc<Near<S>>, AbortHandle) {
    let near = Near::new(store, TokioTimer, options).expect("the store has a feed");
    let driver = tokio::spawn(near.driver());
    (Arc::new(near), driver.abort_handle())
}

/// Waits until `near` serves from memory, again and again where the store does not answer yet.
pub async fn trust<S: Store>(near: &Near<S>) {
    for _ in 0..TRIES {
        if serves(near).await.is_ok_and(|serves| serves) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    panic!("the near cache does not come to serve from memory");
}

/// Whether what was just read is then read from memory. Leaves nothing behind.
async fn serves<S: Store>(near: &Near<S>) -> Result<bool> {
    let (key, record) = (key(), session(START));
    let _ = near.create(key, &record, None, START).await?;
    near.read(key, &Wanted::default(), START).await?;
    let before = near.stats().hits;
    near.read(key, &Wanted::default(), START).await?;
    let serves = near.stats().hits > before;
    let announce = Announce { reason: Ended::Revoked, keep: Keep::Nothing };
    near.end(key, &Guard::None, announce, START).await?;
    Ok(serves)
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
