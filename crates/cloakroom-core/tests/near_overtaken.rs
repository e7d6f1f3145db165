//! A load whose answer takes a while, and what happens meanwhile: what it brings is neither shown to
//! who comes later, nor kept.

#![allow(clippy::expect_used, reason = "helpers of tests fail by panicking")]

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use cloakroom_core::store::{Announce, Keep, Near, NearOptions, Wanted};
use cloakroom_core::{Ended, Guard, Key, MemoryStore, Outcome, Record, Store, Timer};
use cloakroom_testkit::samples::{Doing, START, administer, key, session};
use cloakroom_testkit::stores::{Fed, Lag};
use cloakroom_testkit::{Dice, TokioTimer, near};

/// How long a slow call takes, each way.
const WAY: Duration = Duration::from_millis(20);
/// Longer than a near cache shows anything old.
const LONG: Duration = Duration::from_millis(1600);

/// A record that another handle has made, and a near cache that has not read it yet.
async fn start() -> (Vec<Fed>, Arc<Near<Fed>>, Key) {
    let feds = Fed::handles(MemoryStore::new(), 2);
    let near = near::near(feds[1].clone(), NearOptions::default()).await;
    let key = key();
    let _ = feds[0].create(key, &session(START), None, START).await.expect("it is answered");
    (feds, near, key)
}

/// Calls of this handle take a while from now on, or not.
fn slow(fed: &Fed, slow: bool) {
    let micros = WAY.as_micros() as u64;
    let lag = Lag { dice: Dice::new(0), micros: micros..micros + 1 };
    fed.wire().set_lag(slow.then_some(lag));
}

async fn read(store: &impl Store, key: Key) -> Option<Arc<Record>> {
    let read = store.read(key, &Wanted::default(), START).await;
    read.expect("it is answered").map(|loaded| loaded.record)
}

async fn write(store: &impl Store, key: Key) {
    let done = store.commit(key, &administer().set("a", "1"), START).await;
    assert!(matches!(done, Ok(Outcome::Done { version: 2 })));
}

async fn end(store: &impl Store, key: Key) {
    let announce = Announce { reason: Ended::Revoked, keep: Keep::Nothing };
    let ended = store.end(key, &Guard::None, announce, START).await;
    assert!(ended.expect("it is answered").is_some());
}

#[test]
fn who_comes_after_an_end_is_not_shown_what_was_read_before() {
    near::simulated(async {
        let (feds, near, key) = start().await;
        slow(&feds[1], true);
        let mut first = pin!(read(&*near, key));
        assert!(futures_util::poll!(&mut first).is_pending());
        // By now the store has answered, and the answer is on its way.
        TokioTimer.sleep(WAY + WAY / 2).await;
        end(&feds[0], key).await;
        let (first, second) = futures_util::future::join(first, read(&*near, key)).await;
        assert!(first.is_some(), "it was asked for before the end");
        assert_eq!(second, None);
        assert_eq!(read(&*near, key).await, None);
    });
}

#[test]
fn a_change_overtaken_by_an_older_answer_stays() {
    near::simulated(async {
        for own in [true, false] {
            let (feds, near, key) = start().await;
            slow(&feds[1], true);
            let mut first = pin!(read(&*near, key));
            assert!(futures_util::poll!(&mut first).is_pending());
            TokioTimer.sleep(WAY + WAY / 2).await;
            slow(&feds[1], false);
            match own {
                true => write(&*near, key).await,
                false => write(&feds[0], key).await,
            }
            assert_eq!(first.await.map(|record| record.version), Some(1));
            TokioTimer.sleep(LONG).await;
            assert_eq!(read(&*near, key).await.map(|record| record.version), Some(2));
        }
    });
}

#[test]
fn an_end_overtaken_by_an_older_answer_stays() {
    near::simulated(async {
        for own in [true, false] {
            let (feds, near, key) = start().await;
            slow(&feds[1], true);
            let mut first = pin!(read(&*near, key));
            assert!(futures_util::poll!(&mut first).is_pending());
            TokioTimer.sleep(WAY + WAY / 2).await;
            slow(&feds[1], false);
            match own {
                true => end(&*near, key).await,
                false => end(&feds[0], key).await,
            }
            assert!(first.await.is_some(), "it was asked for before the end");
            assert_eq!(read(&*near, key).await, None);
        }
    });
}
