//! A circuit breaker and a near cache before a store that answers nothing: requests are refused at
//! once, nobody is signed out, and all come back with the store.

use std::sync::Arc;
use std::time::Duration;

use cloakroom_core::store::{Breaker, BreakerOptions, NearOptions};
use cloakroom_core::{MemoryStore, Policy, Store};
use cloakroom_testkit::stores::{Counting, Fed, Hanging, Pace};
use cloakroom_testkit::{TokioTimer, near};
use tokio::time::Instant;

use crate::app::World;
use crate::browser::Browser;
use crate::cached::pass;
use crate::failure::is_unavailable;

/// A node as the library connects one, and what it talks to.
struct Fronted {
    world: World,
    feed: Fed,
    server: Hanging,
    /// Counts the calls that the breaker lets through.
    asked: Counting,
}

async fn fronted() -> Fronted {
    let feed = Fed::handles(MemoryStore::new(), 1).remove(0);
    let server = Hanging::new(Arc::new(feed.clone()));
    let asked = Counting::new(Arc::new(server.clone()));
    let breaker = Breaker::new(asked.clone(), TokioTimer, BreakerOptions::default());
    let near: Arc<dyn Store> = near::near(breaker, NearOptions::default()).await;
    Fronted { world: World::of_nodes([near], &Policy::default()), feed, server, asked }
}

/// Users whose sessions are cached, each with a count of 1.
async fn users(world: &World) -> [Browser; 4] {
    let users: [Browser; 4] = std::array::from_fn(|_| Browser::default());
    for user in &users {
        user.post(&world.node().router, "/count").await.ok();
        user.get(&world.node().router, "/read").await.ok();
    }
    users
}

/// Sends requests until the store is left alone.
async fn open_the_circuit(fronted: &Fronted, user: &Browser) {
    // A request may give up several calls.
    for _ in 0..=BreakerOptions::default().failures {
        fronted.asked.take();
        is_unavailable(user.post(&fronted.world.node().router, "/count").await);
        if fronted.asked.total() == 0 {
            return;
        }
    }
    panic!("the circuit stays closed");
}

/// Holds a request to be refused while no time passes, without a call to the store.
async fn is_refused_at_once(fronted: &Fronted, user: &Browser, path: &str) {
    fronted.asked.take();
    let began = Instant::now();
    is_unavailable(user.get(&fronted.world.node().router, path).await);
    assert_eq!((Instant::now(), fronted.asked.total()), (began, 0));
}

#[tokio::test(start_paused = true)]
async fn a_server_that_hangs_is_left_alone_and_all_users_come_back() {
    let fronted = fronted().await;
    let Fronted { world, feed, server, asked } = &fronted;
    let router = &world.node().router;
    let users = users(world).await;
    server.hang();
    feed.wire().set_pace(Pace::Silent);
    asked.take();
    for user in &users {
        assert_eq!(user.get(router, "/read").await.ok(), "1", "served while the lease lasts");
    }
    assert_eq!(asked.total(), 0);
    let NearOptions { heartbeat, lease, .. } = NearOptions::default();
    pass(heartbeat + lease).await;
    open_the_circuit(&fronted, &users[0]).await;
    for user in users.iter().chain(&[Browser::with(users[0].cookie())]) {
        for path in ["/read", "/option", "/who"] {
            is_refused_at_once(&fronted, user, path).await;
        }
    }
    assert_eq!(users[0].get(router, "/plain").await.ok(), "no session", "it costs none");

    server.release();
    feed.wire().set_pace(Pace::AtOnce);
    pass(BreakerOptions::default().longest_pause).await;
    for user in &users {
        assert_eq!(user.get(router, "/read").await.keeps_token().ok(), "1");
        assert_eq!(user.post(router, "/count").await.keeps_token().ok(), "2");
    }
    asked.take();
    for user in &users {
        assert_eq!(user.get(router, "/read").await.ok(), "2");
    }
    assert_eq!(asked.total(), 0, "the cache is at work again");
}

#[tokio::test(start_paused = true)]
async fn while_the_feed_answers_what_is_cached_is_read_though_no_write_passes() {
    let fronted = fronted().await;
    let Fronted { world, server, asked, .. } = &fronted;
    let router = &world.node().router;
    let [writer, reader, ..] = users(world).await;
    server.hang();
    open_the_circuit(&fronted, &writer).await;
    asked.take();
    for _ in 0..5 {
        assert_eq!(reader.get(router, "/read").await.ok(), "1");
        pass(Duration::from_secs(1)).await;
    }
    assert_eq!(asked.total(), 0);
    is_unavailable(Browser::default().post(router, "/count").await);
    // Nobody knows what became of the writer's commit, and the store is not asked.
    is_unavailable(writer.get(router, "/read").await);
    server.release();
    pass(BreakerOptions::default().longest_pause).await;
    assert_eq!(writer.get(router, "/read").await.keeps_token().ok(), "1");
}
