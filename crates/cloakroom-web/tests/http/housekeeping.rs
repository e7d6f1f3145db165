//! Sweeping by itself.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use cloakroom_core::{Ended, Ending, Listener, MemoryStore, Sessions};
use cloakroom_testkit::ManualClock;
use cloakroom_testkit::stores::{Call, Counting, Fail, Failing};
use cloakroom_web::{Housekeeping, TokioTimer};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

const EVERY: Duration = Duration::from_secs(60);
const A_DAY: Duration = Duration::from_secs(24 * 60 * 60);

#[derive(Debug)]
struct Hears(UnboundedSender<Ended>);

#[async_trait]
impl Listener for Hears {
    async fn on_ended(
        &self,
        ending: &Ending,
    ) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
        self.0.send(ending.reason)?;
        Ok(())
    }
}

struct House {
    sessions: Sessions,
    store: Counting,
    failing: Failing,
    clock: ManualClock,
    endings: UnboundedReceiver<Ended>,
}

/// A node with so many sessions.
async fn house(sessions: usize) -> House {
    let failing = Failing::new(Arc::new(MemoryStore::new()));
    let store = Counting::new(Arc::new(failing.clone()));
    let clock = ManualClock::default();
    let (sender, endings) = unbounded_channel();
    let node = Sessions::builder(store.clone(), TokioTimer)
        .clock(clock.clone())
        .listener(Hears(sender))
        .build()
        .unwrap();
    for _ in 0..sessions {
        let session = node.open(&[], cloakroom_core::Client::default()).await.unwrap();
        session.log_in("ada").unwrap();
        node.finish(&session).await.unwrap();
    }
    House { sessions: node, store, failing, clock, endings }
}

#[tokio::test(start_paused = true)]
async fn everything_that_is_over_is_swept_in_batches() {
    let mut house = house(600).await;
    let _housekeeping = Housekeeping::start(&house.sessions, EVERY);
    house.clock.advance(A_DAY);
    for _ in 0..600 {
        assert_eq!(house.endings.recv().await, Some(Ended::Idle));
    }
    assert_eq!(house.sessions.count().await.unwrap(), 0);
    assert!(house.store.count(Call::Expire) >= 3);
}

#[tokio::test(start_paused = true)]
async fn a_sweep_that_fails_is_made_again_later() {
    let mut house = house(1).await;
    house.failing.fail_call(Call::Expire, 1, Fail::Before);
    let _housekeeping = Housekeeping::start(&house.sessions, EVERY);
    house.clock.advance(A_DAY);
    assert!(house.endings.recv().await.is_some());
    assert_eq!(house.failing.failed(), 1);
}

#[tokio::test(start_paused = true)]
async fn dropped_housekeeping_stops() {
    let house = house(1).await;
    drop(Housekeeping::start(&house.sessions, EVERY));
    house.clock.advance(A_DAY);
    tokio::time::sleep(10 * EVERY).await;
    assert_eq!(house.store.count(Call::Expire), 0);
}
