//! What `connect` puts in front of a store, over a real Redis.

#![allow(clippy::expect_used, reason = "helpers of tests fail as tests do")]

use std::sync::Arc;
use std::time::Duration;

use cloakroom::store::NearOptions;
use cloakroom::{Error, Slot, Store, StoreOptions, connect, connect_with};
use cloakroom_testkit::servers::Redis;

const NAME: Slot<String> = Slot::new("name");

/// Stores a session through `store`.
async fn write(store: &Arc<dyn Store>) -> Result<(), Error> {
    let sessions = cloakroom::sessions(Arc::clone(store)).build().expect("the policy is sound");
    let session = sessions.open(&[], Default::default()).await?;
    session.set(NAME, &"ada".to_owned())?;
    sessions.finish(&session).await.map(drop)
}

#[tokio::test]
async fn redis_has_a_cache_and_a_breaker_and_either_can_be_left_out() {
    let server = Redis::start().await;
    let (url, with) = (server.url(), StoreOptions::default());
    let (cache, breaker) = (with.cache, with.breaker);
    for (options, cached, broken) in [
        (StoreOptions { cache, breaker }, true, true),
        (StoreOptions { cache: None, breaker }, false, true),
        (StoreOptions { cache, breaker: None }, true, false),
        (StoreOptions { cache: None, breaker: None }, false, false),
    ] {
        let store = connect_with(&url, &options).await.expect("the server can be used");
        assert_eq!(store.fence(), cached.then_some(Duration::from_secs(5)));
        assert_eq!(store.feed().is_none(), cached, "the cache takes the feed for itself");
        let printed = format!("{store:?}");
        assert_eq!(
            (printed.contains("Near("), printed.contains("Breaker(")),
            (cached, broken),
            "{printed}"
        );
        write(&store).await.expect("it is stored");
    }
    let upper = url.replacen("redis", "REDIS", 1);
    assert!(connect(&upper).await.expect("a scheme has no case").fence().is_some());
}

#[tokio::test]
async fn a_store_in_this_process_or_on_this_machine_has_neither() {
    let store = connect("memory:").await.expect("it is there");
    assert!(store.fence().is_none() && format!("{store:?}").starts_with("MemoryStore"));
}

#[tokio::test]
async fn options_of_a_cache_that_contradict_each_other_are_an_error() {
    let server = Redis::start().await;
    let lease = NearOptions::default().heartbeat;
    let cache = Some(NearOptions { lease, ..NearOptions::default() });
    let options = StoreOptions { cache, ..StoreOptions::default() };
    let error = connect_with(&server.url(), &options).await.expect_err("no lease is so short");
    assert!(error.to_string().contains("its lease longer than that"), "{error}");
}
