//! Nothing written is lost, and nothing is written for nothing.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use cloakroom_core::{Policy, Slot};
use tokio::sync::Barrier;

use super::Nodes;
use super::nodes::{finish, open};
use crate::fixture::Fixture;
use crate::stores::{Call, Count};

const VISITS: Slot<u64> = Slot::new("visits");
const WRITERS: usize = 64;

/// 64 requests on two nodes that each add one to one attribute count 64.
pub async fn no_update_of_64_is_lost(fixture: &Fixture) {
    let nodes = Nodes::over(fixture);
    let token = nodes.create(|session| session.set(VISITS, &0).unwrap()).await;
    let all_have_read = Arc::new(Barrier::new(WRITERS));
    let mut requests = Vec::new();
    for node in nodes.in_turn().take(WRITERS) {
        let (node, token, barrier) = (node.clone(), token.clone(), Arc::clone(&all_have_read));
        requests.push(tokio::spawn(async move {
            let session = open(&node, &[&token]).await;
            session.update(VISITS, |visits| *visits += 1).unwrap();
            barrier.wait().await;
            finish(&node, &session).await
        }));
    }
    for request in requests {
        assert_eq!(request.await.unwrap(), None);
    }
    let visits = open(&nodes.a, &[&token]).await.get(VISITS).unwrap();
    assert_eq!(visits, Some(WRITERS as u64));
}

/// 64 transactions count 64, and each returns the run that was applied: no number twice.
pub async fn no_transaction_of_64_is_lost(fixture: &Fixture) {
    let nodes = Nodes::over(fixture);
    let token = nodes.create(|session| session.set(VISITS, &0).unwrap()).await;
    let all_have_read = Arc::new(Barrier::new(WRITERS));
    let mut requests = Vec::new();
    for node in nodes.in_turn().take(WRITERS) {
        let (node, token, barrier) = (node.clone(), token.clone(), Arc::clone(&all_have_read));
        requests.push(tokio::spawn(async move {
            let session = open(&node, &[&token]).await;
            let add = |visits: &mut u64| {
                *visits += 1;
                *visits
            };
            barrier.wait().await;
            session.transact(VISITS, add).await.unwrap()
        }));
    }
    let mut numbers = BTreeSet::new();
    for request in requests {
        assert!(numbers.insert(request.await.unwrap()), "a number was given twice");
    }
    assert_eq!(numbers, (1..=WRITERS as u64).collect());
}

/// 64 requests on two nodes that each write another attribute keep all 64.
pub async fn no_attribute_of_64_is_lost(fixture: &Fixture) {
    let nodes = Nodes::over(fixture);
    let token = nodes.create(|session| session.set(VISITS, &0).unwrap()).await;
    let all_have_read = Arc::new(Barrier::new(WRITERS));
    let mut requests = Vec::new();
    for (n, node) in nodes.in_turn().take(WRITERS).enumerate() {
        let (node, token, barrier) = (node.clone(), token.clone(), Arc::clone(&all_have_read));
        requests.push(tokio::spawn(async move {
            let session = open(&node, &[&token]).await;
            session.set(Slot::named(format!("a{n}")), &n).unwrap();
            barrier.wait().await;
            finish(&node, &session).await
        }));
    }
    for request in requests {
        assert_eq!(request.await.unwrap(), None);
    }
    let session = open(&nodes.b, &[&token]).await;
    for n in 0..WRITERS {
        assert_eq!(session.get(Slot::named(format!("a{n}"))).unwrap(), Some(n));
    }
}

/// A request that only reads costs one load and no write.
pub async fn an_unchanged_session_is_not_written(fixture: &Fixture) {
    let (counting, nodes) = Nodes::around(fixture, Count::default(), Policy::default());
    let token = nodes.create(|session| session.set(VISITS, &1).unwrap()).await;
    let before = (counting.count(Call::Load), counting.total());
    let session = open(&nodes.a, &[&token]).await;
    assert_eq!(session.get(VISITS).unwrap(), Some(1));
    finish(&nodes.a, &session).await;
    assert_eq!(counting.count(Call::Load), before.0 + 1);
    assert_eq!(counting.total(), before.1 + 1);
}

/// Uses are written down once per `touch_after`; passive requests never.
pub async fn a_use_is_written_once_per_touch_after(fixture: &Fixture) {
    let (counting, nodes) = Nodes::around(fixture, Count::default(), Policy::default());
    let token = nodes.create(|session| session.set(VISITS, &1).unwrap()).await;
    let read = async |passive: bool| {
        let session = open(&nodes.b, &[&token]).await;
        if passive {
            session.set_passive();
        }
        finish(&nodes.b, &session).await;
        counting.count(Call::Commit)
    };
    nodes.clock.advance(Duration::from_secs(179));
    assert_eq!(read(false).await, 0);
    nodes.clock.advance(Duration::from_secs(1));
    assert_eq!(read(true).await, 0);
    assert_eq!(read(false).await, 1);
    assert_eq!(read(false).await, 1);
    let session = open(&nodes.a, &[&token]).await;
    assert_eq!(
        session.last_accessed(),
        session.created_at().map(|at| at + Duration::from_secs(180))
    );
}
