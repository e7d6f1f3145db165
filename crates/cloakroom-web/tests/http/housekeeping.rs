//! Sweeping by itself.

use std::error::Error;
use std::fmt::Debug;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use cloakroom_core::{Ended, Ending, Listener, MemoryStore, Sessions};
use cloakroom_testkit::ManualClock;
use cloakroom_testkit::stores::{Call, Counting, Fail, Failing};
use cloakroom_web::{Housekeeping, TokioTimer};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Metadata, Subscriber};

const EVERY: Duration = Duration::from_secs(60);
const A_DAY: Duration = Duration::from_secs(24 * 60 * 60);

#[derive(Debug)]
struct Hears(UnboundedSender<Ended>);

#[async_trait]
impl Listener for Hears {
    async fn on_ended(&self, ending: &Ending) -> Result<(), Box<dyn Error + Send + Sync>> {
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
    let mut house = house(2500).await;
    let _housekeeping = Housekeeping::start(&house.sessions, EVERY);
    house.clock.advance(A_DAY);
    for _ in 0..2500 {
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

/// Keeps what the causes of logged errors say.
#[derive(Clone, Default)]
struct Causes(Arc<Mutex<Vec<String>>>);

impl Visit for Causes {
    fn record_debug(&mut self, _: &Field, _: &dyn Debug) {}

    fn record_error(&mut self, _: &Field, error: &(dyn Error + 'static)) {
        let causes = std::iter::successors(error.source(), |&error| error.source());
        self.0.lock().unwrap().extend(causes.map(ToString::to_string));
    }
}

impl Subscriber for Causes {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target().starts_with("cloakroom_web")
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &tracing::Event<'_>) {
        event.record(&mut self.clone());
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

#[tokio::test(start_paused = true)]
async fn the_log_says_why_a_sweep_failed() {
    let causes = Causes::default();
    let _logging = tracing::subscriber::set_default(causes.clone());
    let mut house = house(1).await;
    house.failing.fail_call(Call::Expire, 1, Fail::Before);
    let _housekeeping = Housekeeping::start(&house.sessions, EVERY);
    house.clock.advance(A_DAY);
    assert!(house.endings.recv().await.is_some());
    assert!(!causes.0.lock().unwrap().is_empty());
}

#[tokio::test(start_paused = true)]
async fn dropped_housekeeping_stops() {
    let house = house(1).await;
    drop(Housekeeping::start(&house.sessions, EVERY));
    house.clock.advance(A_DAY);
    tokio::time::sleep(10 * EVERY).await;
    assert_eq!(house.store.count(Call::Expire), 0);
}
