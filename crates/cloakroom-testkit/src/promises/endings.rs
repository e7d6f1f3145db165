//! How sessions end, and who hears of it.

use std::error::Error as StdError;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use cloakroom_core::store::{Announce, Keep};
use cloakroom_core::{
    Clock, Ended, Ending, Error, Event, Guard, Key, Kind, Listener, Outcome, Policy, Reply,
    Session, Sessions, Slot, Swept, SystemClock, Timestamp,
};

use super::nodes::{finish, open, sent};
use super::{Heard, Nodes};
use crate::ManualClock;
use crate::fixture::Fixture;

const VISITS: Slot<u64> = Slot::new("visits");
const MINUTE: Duration = Duration::from_secs(60);

/// A session ends when it was not used for its idle timeout, and at the end of its lifetime
/// however much it was used.
pub async fn idleness_and_lifetime_end_a_session(fixture: &Fixture) {
    let nodes = Nodes::over(fixture);
    let idle = nodes.create(|session| session.set(VISITS, &1).unwrap()).await;
    let used = nodes.create(|session| session.set(VISITS, &2).unwrap()).await;
    for _ in 0..(12 * 6 - 1) {
        nodes.clock.advance(10 * MINUTE);
        let session = open(&nodes.b, &[&used]).await;
        assert!(!session.is_new());
        finish(&nodes.b, &session).await;
    }
    assert!(open(&nodes.a, &[&idle]).await.is_new());
    assert!(!open(&nodes.a, &[&used]).await.is_new());
    nodes.clock.advance(10 * MINUTE);
    assert!(open(&nodes.a, &[&used]).await.is_new());
    sweep_all(&nodes).await;
    let reasons = |key| nodes.heard.endings().iter().find(|e| e.key == key).map(|e| e.reason);
    assert_eq!(reasons(idle.key()), Some(Ended::Idle));
    assert_eq!(reasons(used.key()), Some(Ended::Lifetime));
}

async fn sweep_all(nodes: &Nodes) {
    while !matches!(nodes.b.sweep(100).await.unwrap(), Swept::Done { removed: 0, .. }) {}
}

/// A session may have an idle timeout and a lifetime of its own, or none at all.
pub async fn a_session_may_set_its_own_terms(fixture: &Fixture) {
    let nodes = Nodes::over(fixture);
    let token = nodes.create(|session| session.set(VISITS, &1).unwrap()).await;
    nodes.clock.advance(2 * MINUTE);
    let session = open(&nodes.a, &[&token]).await;
    session.set_idle(Some(MINUTE)).unwrap();
    finish(&nodes.a, &session).await;
    nodes.clock.advance(MINUTE - Duration::from_millis(1));
    let session = open(&nodes.b, &[&token]).await;
    assert_eq!((session.is_new(), session.idle()), (false, Some(MINUTE)));
    session.set_idle(None).unwrap();
    session.set_lifetime(None).unwrap();
    finish(&nodes.b, &session).await;
    nodes.clock.advance(1_000 * 24 * 60 * MINUTE);
    let session = open(&nodes.a, &[&token]).await;
    assert_eq!((session.is_new(), session.idle(), session.ends_at()), (false, None, None));
    session.set_lifetime(Some(MINUTE)).unwrap();
    finish(&nodes.a, &session).await;
    nodes.clock.advance(MINUTE);
    assert!(open(&nodes.b, &[&token]).await.is_new());
}

/// A policy that became stricter ends sessions that were stored under the laxer one.
pub async fn a_cap_ends_what_was_stored_under_a_laxer_policy(fixture: &Fixture) {
    let lax = Nodes::over(fixture);
    let token = lax.create(|session| session.set(VISITS, &1).unwrap()).await;
    let policy = Policy { longest_idle: Some(MINUTE), ..Policy::default() };
    let strict = Nodes::with(fixture, policy);
    assert!(!open(&strict.a, &[&token]).await.is_new());
    strict.clock.advance(MINUTE);
    assert!(open(&strict.a, &[&token]).await.is_new());
    assert!(open(&lax.a, &[&token]).await.is_new(), "it is gone for all");
    let endings = strict.heard.endings();
    assert_eq!(endings.iter().map(|ending| ending.reason).collect::<Vec<_>>(), [Ended::Idle]);
}

/// A logout ends the session everywhere; a request that opened it before changes nothing, and
/// learns that it is over.
pub async fn a_logged_out_session_stays_ended(fixture: &Fixture) {
    let nodes = Nodes::over(fixture);
    let token = nodes.signed_in("alice").await;
    let slow = open(&nodes.b, &[&token]).await;
    let logout = open(&nodes.a, &[&token]).await;
    logout.log_out().unwrap();
    assert!(matches!(logout.set(VISITS, &1), Err(Error::Ended)));
    assert_eq!(finish(&nodes.a, &logout).await, Some(Reply::Clear));
    slow.set(VISITS, &1).unwrap();
    assert!(matches!(nodes.b.finish(&slow).await, Err(Error::Ended)));
    let late = open(&nodes.b, &[&token]).await;
    assert!(late.is_new());
    assert_eq!(finish(&nodes.b, &late).await, None, "a cookie is not cleared for absence");
    assert_eq!(nodes.count().await, 0);
    let endings = nodes.heard.endings();
    assert_eq!(endings.len(), 1);
    assert_eq!((endings[0].key, endings[0].reason), (token.key(), Ended::LoggedOut));
    assert_eq!(endings[0].record.principal.as_deref(), Some("alice"));
}

/// Whatever comes first: after a logout was answered, the session is gone.
pub async fn a_commit_racing_a_logout_never_revives(fixture: &Fixture) {
    let nodes = Nodes::over(fixture);
    for round in 0..24 {
        let token = nodes.signed_in("alice").await;
        let (writer, logout) = (open(&nodes.a, &[&token]).await, open(&nodes.b, &[&token]).await);
        writer.set(VISITS, &round).unwrap();
        logout.log_out().unwrap();
        let (written, ended) = tokio::join!(nodes.a.finish(&writer), nodes.b.finish(&logout));
        assert_eq!(ended.unwrap(), Some(Reply::Clear));
        assert!(matches!(written, Ok(None) | Err(Error::Ended)), "{written:?}");
        assert!(open(&nodes.a, &[&token]).await.is_new());
    }
    assert_eq!(nodes.count().await, 0);
}

/// A key ends a session only for its own user.
pub async fn a_user_ends_their_own_sessions_only(fixture: &Fixture) {
    let nodes = Nodes::over(fixture);
    let token = nodes.signed_in("alice").await;
    assert!(!nodes.b.end_own("bob", token.key()).await.unwrap());
    assert!(!open(&nodes.a, &[&token]).await.is_new());
    assert!(nodes.b.end_own("alice", token.key()).await.unwrap());
    assert!(!nodes.b.end_own("alice", token.key()).await.unwrap());
    assert!(open(&nodes.a, &[&token]).await.is_new());
    assert_eq!(nodes.a.look(token.key()).await.unwrap(), None);
}

/// All sessions of one user end at once, but for the one that asks; nobody else's do.
pub async fn all_of_a_user_end_but_one(fixture: &Fixture) {
    let nodes = Nodes::over(fixture);
    let mut tokens = Vec::new();
    for _ in 0..4 {
        tokens.push(nodes.signed_in("alice").await);
        nodes.clock.advance(Duration::from_secs(1));
    }
    let bob = nodes.signed_in("bob").await;
    let listed = nodes.b.of_principal("alice").await.unwrap();
    let keys: Vec<_> = listed.iter().map(|info| info.key()).collect();
    assert_eq!(keys, tokens.iter().map(|token| token.key()).collect::<Vec<_>>());
    assert_eq!(nodes.b.end_all("alice", Some(tokens[1].key())).await.unwrap(), 3);
    let left = nodes.a.of_principal("alice").await.unwrap();
    assert_eq!(left.iter().map(|info| info.key()).collect::<Vec<_>>(), [tokens[1].key()]);
    assert!(!open(&nodes.a, &[&bob]).await.is_new());
    assert_eq!(nodes.a.end_everybody().await.unwrap(), 2);
    assert_eq!(nodes.count().await, 0);
}

/// However many nodes sweep and end at once, each ending is heard once.
pub async fn each_ending_is_announced_once(fixture: &Fixture) {
    let nodes = Nodes::over(fixture);
    let mut tokens = Vec::new();
    for _ in 0..24 {
        tokens.push(nodes.create(|session| session.set(VISITS, &1).unwrap()).await);
    }
    nodes.a.end(tokens[0].key()).await.unwrap();
    nodes.clock.advance(31 * MINUTE);
    let sweeps = nodes.in_turn().take(8).map(|node| node.sweep(100));
    for swept in futures_util::future::join_all(sweeps).await {
        assert!(matches!(swept.unwrap(), Swept::Done { .. }));
    }
    sweep_all(&nodes).await;
    nodes.clock.advance(MINUTE);
    sweep_all(&nodes).await;
    let mut heard: Vec<_> = nodes.heard.endings().iter().map(|ending| ending.key).collect();
    heard.sort_unstable();
    let mut expected: Vec<_> = tokens.iter().map(|token| token.key()).collect();
    expected.sort_unstable();
    assert_eq!(heard, expected);
}

/// An ending that no listener has heard, because the node died or the listener failed, is
/// announced by another node once the lease has lapsed.
pub async fn an_unheard_ending_is_announced_again(fixture: &Fixture) {
    let nodes = Nodes::over(fixture);
    if fixture.endings().is_none() {
        return;
    }
    let token = nodes.signed_in("alice").await;
    nodes.heard.set_deaf(true);
    let logout = open(&nodes.a, &[&token]).await;
    logout.log_out().unwrap();
    finish(&nodes.a, &logout).await;
    nodes.heard.set_deaf(false);
    sweep_all(&nodes).await;
    assert!(nodes.heard.endings().is_empty(), "the lease has not lapsed");
    // A node that dies between the ending and its announcement leaves the same behind.
    let died = nodes.signed_in("bob").await;
    let keep = Keep::LeasedUntil(nodes.a.now() + Duration::from_secs(30));
    let announce = Announce { reason: Ended::Revoked, keep };
    fixture.store.end(died.key(), &Guard::None, announce, nodes.a.now()).await.unwrap().unwrap();
    nodes.clock.advance(Duration::from_secs(30));
    sweep_all(&nodes).await;
    let mut heard: Vec<_> = nodes.heard.endings().iter().map(|e| (e.key, e.reason)).collect();
    heard.sort_unstable_by_key(|(key, _)| *key);
    let mut expected = vec![(token.key(), Ended::LoggedOut), (died.key(), Ended::Revoked)];
    expected.sort_unstable_by_key(|(key, _)| *key);
    assert_eq!(heard, expected);
    nodes.clock.advance(MINUTE);
    sweep_all(&nodes).await;
    assert_eq!(nodes.heard.endings().len(), 2);
}

/// This machine's time; `None` where the store has no clock of its own to compare it with.
async fn now_by_two_clocks(fixture: &Fixture) -> Option<Timestamp> {
    let now = SystemClock.now();
    let Some(theirs) = fixture.store.clock().await.unwrap() else {
        eprintln!("does not apply: this store's clock is this machine's");
        return None;
    };
    assert!(theirs.since(now) < MINUTE && now.since(theirs) < MINUTE, "one machine, one clock");
    Some(now)
}

/// A node that compares its clock with the store's.
fn node_by(fixture: &Fixture, clock: &ManualClock, heard: &Heard, policy: Policy) -> Sessions {
    fixture
        .sessions(Arc::clone(&fixture.store))
        .policy(Policy { most_skew: MINUTE, ..policy })
        .clock(clock.clone())
        .listener(heard.clone())
        .build()
        .unwrap()
}

/// A node whose clock is ahead of the store's sweeps nothing, and says so.
pub async fn a_fast_clock_ends_nobody(fixture: &Fixture) {
    let Some(now) = now_by_two_clocks(fixture).await else {
        return;
    };
    let (clock, heard) = (ManualClock::at(now), Heard::default());
    let node = node_by(fixture, &clock, &heard, Policy::default());
    let session = open(&node, &[]).await;
    session.set(VISITS, &1).unwrap();
    assert!(matches!(session.commit().await.unwrap(), Outcome::Done { .. }));
    assert!(matches!(node.sweep(10).await.unwrap(), Swept::Done { removed: 0, .. }));
    clock.advance(60 * MINUTE);
    assert_eq!(node.sweep(10).await.unwrap(), Swept::ClockSkew);
    assert!(matches!(heard.events().last(), Some(Event::ClockSkew { ahead_by_millis: 1.. })));
    clock.set(now);
    assert_eq!(node.count().await.unwrap(), 1);
}

/// A node whose clock is ahead of the store's refuses a session that would be over by its policy,
/// and leaves it to the others.
pub async fn a_fast_clock_refuses_and_does_not_end(fixture: &Fixture) {
    let Some(now) = now_by_two_clocks(fixture).await else {
        return;
    };
    let (clock, heard) = (ManualClock::at(now), Heard::default());
    let lax = Policy { idle: Some(24 * 60 * MINUTE), ..Policy::default() };
    let lax = node_by(fixture, &clock, &heard, lax);
    let session = open(&lax, &[]).await;
    session.set(VISITS, &1).unwrap();
    let token = sent(finish(&lax, &session).await);
    let strict = Policy { longest_idle: Some(30 * MINUTE), ..Policy::default() };
    let fast = ManualClock::at(now + 60 * MINUTE);
    let fast = node_by(fixture, &fast, &heard, strict);
    assert!(open(&fast, &[&token]).await.is_new());
    assert_eq!(fast.look(token.key()).await.unwrap(), None);
    assert_eq!(open(&lax, &[&token]).await.get(VISITS).unwrap(), Some(1));
    assert!(heard.endings().is_empty());
}

/// A session that is used ends neither by the policy's `touch_after` nor by an idle timeout of its
/// own that is shorter than that.
pub async fn a_session_in_use_never_idles_out(fixture: &Fixture) {
    let policy = Policy { touch_after: Some(3 * MINUTE), ..Policy::default() };
    let nodes = Nodes::with(fixture, policy);
    let own_terms = |session: &Session| {
        session.set(VISITS, &1).unwrap();
        session.set_idle(Some(2 * MINUTE)).unwrap();
    };
    let token = nodes.create(own_terms).await;
    for node in nodes.in_turn().take(20) {
        nodes.clock.advance(Duration::from_secs(10));
        let session = open(node, &[&token]).await;
        assert!(!session.is_new(), "used every ten seconds, over at {:?}", node.now());
        finish(node, &session).await;
    }
}

/// Only a session can be ended by its key: the application's attributes stay.
pub async fn only_sessions_are_ended_by_key(fixture: &Fixture) {
    let nodes = Nodes::over(fixture);
    nodes.a.application().set(VISITS, &1).await.unwrap();
    let key = Key::named(Kind::Application, "application");
    assert!(fixture.load(key, nodes.a.now()).await.is_some(), "that is its key");
    assert!(!nodes.b.end(key).await.unwrap());
    assert!(!nodes.b.end_own("alice", key).await.unwrap());
    assert_eq!(nodes.b.application().get(VISITS).await.unwrap(), Some(1));
}

/// Hears of no ending, ever.
#[derive(Debug)]
struct Hung;

#[async_trait]
impl Listener for Hung {
    async fn on_ended(&self, _: &Ending) -> Result<(), Box<dyn StdError + Send + Sync>> {
        std::future::pending().await
    }
}

/// A logout that was done is answered as done, however long its listeners hang.
pub async fn hung_listeners_fail_no_logout(fixture: &Fixture) {
    let nodes = Nodes::over(fixture);
    let token = nodes.signed_in("alice").await;
    // Three listeners are waited for longer than the deadline of a commit.
    let policy = Policy {
        call_deadline: Duration::from_millis(500),
        deadline: Duration::from_millis(1200),
        ..Policy::default()
    };
    let builder = fixture.sessions(Arc::clone(&fixture.store)).policy(policy);
    let builder = builder.listener(Hung).listener(Hung).listener(Hung);
    let node = builder.clock(nodes.clock.clone()).build().unwrap();
    let session = open(&node, &[&token]).await;
    session.log_out().unwrap();
    assert_eq!(finish(&node, &session).await, Some(Reply::Clear));
    assert!(open(&nodes.b, &[&token]).await.is_new());
}

/// Nor do they fail an opening that ends what a stricter policy allows no longer.
pub async fn hung_listeners_fail_no_opening(fixture: &Fixture) {
    let nodes = Nodes::over(fixture);
    let token = nodes.create(|session| session.set(VISITS, &1).unwrap()).await;
    nodes.clock.advance(2 * MINUTE);
    let policy = Policy {
        longest_idle: Some(MINUTE),
        call_deadline: Duration::from_millis(500),
        deadline: Duration::from_millis(1200),
        ..Policy::default()
    };
    let store = Arc::clone(&fixture.store);
    let node = super::nodes::node(fixture, store, policy, &nodes.clock, [Hung, Hung, Hung]);
    assert!(open(&node, &[&token]).await.is_new());
    assert_eq!(nodes.count().await, 0);
}
