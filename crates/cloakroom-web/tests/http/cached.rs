//! Nodes that each have a near cache: what a request costs the store that they share.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use cloakroom_core::store::NearOptions;
use cloakroom_core::{MemoryStore, Policy, Store};
use cloakroom_testkit::near;
use cloakroom_testkit::stores::{Call, Counting, Fed};

use crate::app::World;
use crate::browser::Browser;

/// Two nodes, what each hears of the other, and a count of what both ask their store.
pub(crate) struct Cached {
    pub(crate) world: World,
    pub(crate) handles: Vec<Fed>,
    pub(crate) store: Counting,
}

/// Nodes whose caches serve from memory. Nothing is counted yet.
pub(crate) async fn two_nodes() -> Cached {
    let handles = Fed::handles(MemoryStore::new(), 2);
    let store = Counting::new(Arc::new(handles[0].clone()));
    let other = store.beside(Arc::new(handles[1].clone()));
    let mut nodes: Vec<Arc<dyn Store>> = Vec::new();
    for store in [store.clone(), other] {
        nodes.push(near::near(store, NearOptions::default()).await);
    }
    let world = World::of_nodes(nodes, &Policy::default());
    store.take();
    Cached { world, handles, store }
}

/// Lets time pass on a paused clock: for heartbeats, leases and cookies.
pub(crate) async fn pass(duration: Duration) {
    tokio::time::sleep(duration).await;
}

fn calls<const N: usize>(calls: [(Call, usize); N]) -> BTreeMap<Call, usize> {
    calls.into()
}

#[tokio::test(start_paused = true)]
async fn a_cached_read_costs_nothing_and_a_write_one_call() {
    let Cached { world, store, .. } = two_nodes().await;
    let (router, browser) = (&world.node().router, Browser::default());
    browser.post(router, "/count").await.ok();
    assert_eq!(store.take(), calls([(Call::Create, 1)]));
    browser.get(router, "/read").await.ok();
    assert_eq!(store.take(), calls([(Call::Load, 1)]), "many a session is never read again");
    for count in 2..=4 {
        let count = count.to_string();
        assert_eq!(browser.post(router, "/count").await.ok(), count);
        assert_eq!(store.take(), calls([(Call::Commit, 1)]), "neither loaded nor read back");
        for path in ["/read", "/option", "/who", "/plain"] {
            browser.get(router, path).await.sets_nothing().ok();
        }
        assert_eq!(browser.get(router, "/read").await.ok(), count);
        assert_eq!(store.total(), 0);
    }
}

#[tokio::test(start_paused = true)]
async fn a_node_loads_a_session_once_and_again_when_another_has_changed_it() {
    let Cached { world, store, .. } = two_nodes().await;
    let [a, b] = [&world.nodes[0].router, &world.nodes[1].router];
    let browser = Browser::default();
    for count in ["1", "2", "3"] {
        browser.post(a, "/count").await.ok();
        store.take();
        for _ in 0..3 {
            assert_eq!(browser.get(b, "/read").await.ok(), count);
        }
        assert_eq!(store.take(), calls([(Call::Load, 1)]));
    }
    pass(Duration::from_secs(60)).await;
    assert_eq!(browser.get(b, "/read").await.sets_nothing().ok(), "3");
    assert_eq!(store.total(), 0, "heartbeats keep it trusted");
}

#[tokio::test(start_paused = true)]
async fn what_the_cache_does_not_admit_the_store_is_asked_for() {
    let Cached { world, store, .. } = two_nodes().await;
    let (router, browser) = (&world.node().router, Browser::default());
    browser.post(router, "/count").await.ok();
    let anonymous = browser.copy();
    browser.post(router, "/login/ada").await.ok();
    assert_eq!(browser.get(router, "/who").await.ok(), "ada");
    store.take();
    assert_eq!(anonymous.get(router, "/who").await.ok(), "nobody");
    assert_eq!(store.take(), calls([(Call::Load, 1)]), "a no is the store's to say");
    world.clock.advance(Duration::from_secs(24 * 3600));
    assert_eq!(browser.get(router, "/who").await.ok(), "nobody");
    assert_eq!(store.count(Call::Load), 1);
}

#[tokio::test(start_paused = true)]
async fn what_is_cached_is_shown_by_no_debug_print() {
    let Cached { world, .. } = two_nodes().await;
    let (node, browser) = (world.node(), Browser::default());
    browser.send(&node.router, http::Method::POST, "/attribute/a", "hunter2").await.ok();
    assert_eq!(browser.get(&node.router, "/attribute/a").await.ok(), "hunter2");
    let layer = cloakroom_web::SessionLayer::new(node.sessions.clone());
    let printed = format!("{layer:?} {:?} {:?}", node.sessions, node.sessions.store());
    let cookie = browser.cookie().unwrap();
    let token = cookie.split_once('=').unwrap().1;
    assert!(printed.contains("Near") && !printed.contains("hunter2"), "{printed}");
    assert!(!printed.contains(token) && !printed.contains(&token[token.len() - 20..]));
}
