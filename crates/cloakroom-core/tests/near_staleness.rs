//! For how long a near cache shows what is over, in simulated time: not at all while it is told of
//! changes, and for a heartbeat and a lease at most while it is told of none.

#![allow(clippy::expect_used, clippy::panic, reason = "helpers of tests fail by panicking")]

use std::time::Duration;

use cloakroom_core::store::{Created, Near, NearOptions, Wanted};
use cloakroom_core::{
    Client, Key, MemoryStore, Outcome, Record, Reply, Session, Sessions, Slot, Store, Timer,
    Timestamp, Token,
};
use cloakroom_testkit::history::TokioClock;
use cloakroom_testkit::samples::{START, administer, after, after_millis, key, session};
use cloakroom_testkit::stores::{Fed, Pace};
use cloakroom_testkit::{TokioTimer, near};

const VISITS: Slot<u64> = Slot::new("visits");
/// The heartbeat and the lease of a near cache together.
const STALE: Duration = Duration::from_millis(1500);
/// How often somebody looks.
const STEP: Duration = Duration::from_millis(10);
/// For how long somebody looks on.
const LONG: Duration = Duration::from_secs(10);

/// Two nodes, the handles beneath, and what stops their heartbeats.
struct Nodes {
    feds: Vec<Fed>,
    stops: Vec<Box<dyn Fn()>>,
    a: Sessions,
    b: Sessions,
}

impl Nodes {
    async fn new() -> Self {
        let feds = Fed::handles(MemoryStore::new(), 2);
        let (mut nodes, mut stops) = (Vec::new(), Vec::<Box<dyn Fn()>>::new());
        for fed in &feds {
            let (near, driver) = near::driven(fed.clone(), NearOptions::default());
            near::trust(&near).await;
            let builder = Sessions::builder(near, TokioTimer).clock(TokioClock);
            nodes.push(builder.build().expect("the policy is sound"));
            stops.push(Box::new(move || driver.abort()));
        }
        let (b, a) = (nodes.pop().expect("one"), nodes.pop().expect("another"));
        Self { feds, stops, a, b }
    }

    /// A session that both nodes have in memory.
    async fn seen_by_both(&self) -> Token {
        let session = self.a.open(&[], Client::default()).await.expect("it opens");
        session.set(VISITS, &1).expect("it is set");
        let Ok(Some(Reply::Send { token, .. })) = self.a.finish(&session).await else {
            panic!("a new session has a token");
        };
        assert!(!open(&self.b, &token, None).await.is_new());
        token
    }

    /// Ends the session on one node, and looks at it on the other: for how long after the end it is
    /// shown there. Once it is not, it never is again.
    async fn shown_for(&self, token: &Token) -> Duration {
        assert!(self.a.end(token.key()).await.expect("end is answered"));
        let (end, mut last) = (TokioTimer.elapsed(), Duration::ZERO);
        while TokioTimer.elapsed() < end + LONG {
            let shown = !open(&self.b, token, None).await.is_new();
            let after = TokioTimer.elapsed().saturating_sub(end);
            assert!(!shown || last + STEP >= after, "shown again {after:?} after the end");
            last = if shown { after } else { last };
            TokioTimer.sleep(STEP).await;
        }
        last
    }
}

async fn open(node: &Sessions, token: &Token, seen: Option<u64>) -> Session {
    let client = Client { seen, ..Client::default() };
    node.open(std::slice::from_ref(token), client).await.expect("it is answered")
}

#[test]
fn a_healthy_feed_ends_a_session_everywhere_at_once() {
    near::simulated(async {
        let nodes = Nodes::new().await;
        let token = nodes.seen_by_both().await;
        assert!(nodes.a.end(token.key()).await.expect("end is answered"));
        assert!(open(&nodes.b, &token, None).await.is_new());
    });
}

#[test]
fn a_late_feed_ends_a_session_as_late() {
    near::simulated(async {
        let nodes = Nodes::new().await;
        let token = nodes.seen_by_both().await;
        nodes.feds[1].wire().set_pace(Pace::After(3 * STEP));
        let shown_for = nodes.shown_for(&token).await;
        assert!(shown_for > Duration::ZERO, "the cache was at work");
        assert!(shown_for <= 3 * STEP, "{shown_for:?}");
    });
}

#[test]
fn a_cut_feed_leaves_nothing_in_memory() {
    near::simulated(async {
        let nodes = Nodes::new().await;
        let token = nodes.seen_by_both().await;
        nodes.feds[1].wire().unplug();
        assert_eq!(nodes.shown_for(&token).await, Duration::ZERO);
    });
}

/// Whenever in a heartbeat's course the feed falls silent.
#[test]
fn a_silent_feed_ends_a_session_within_a_heartbeat_and_a_lease() {
    for step in 0..20 {
        near::simulated(async {
            let nodes = Nodes::new().await;
            let token = nodes.seen_by_both().await;
            TokioTimer.sleep(step * 3 * STEP).await;
            nodes.feds[1].wire().set_pace(Pace::Silent);
            let shown_for = nodes.shown_for(&token).await;
            assert!(shown_for > Duration::ZERO, "the cache was at work");
            assert!(shown_for <= STALE, "{shown_for:?}");
        });
    }
}

/// Also where the node is so busy, or was stopped, that it has sent no heartbeat since.
#[test]
fn a_node_that_stands_still_shows_nothing_for_longer() {
    near::simulated(async {
        let nodes = Nodes::new().await;
        let token = nodes.seen_by_both().await;
        nodes.feds[1].wire().set_pace(Pace::Silent);
        (nodes.stops[1])();
        let shown_for = nodes.shown_for(&token).await;
        assert!(shown_for > Duration::ZERO, "the cache was at work");
        assert!(shown_for <= STALE, "{shown_for:?}");
    });
}

/// However late the feed is, or silent.
#[test]
fn a_client_that_returns_its_fence_reads_what_it_wrote() {
    for pace in [Pace::Held, Pace::Silent, Pace::After(Duration::from_secs(5))] {
        near::simulated(async {
            let nodes = Nodes::new().await;
            let token = nodes.seen_by_both().await;
            nodes.feds[1].wire().set_pace(pace);
            let session = open(&nodes.a, &token, None).await;
            session.set(VISITS, &2).expect("it is set");
            nodes.a.finish(&session).await.expect("it is done");
            let late = open(&nodes.b, &token, None).await;
            assert_eq!(late.get(VISITS).expect("it decodes"), Some(1), "the cache is at work");
            let fence = session.fence().expect("a write has a fence");
            let session = open(&nodes.b, &token, Some(fence)).await;
            assert_eq!(session.get(VISITS).expect("it decodes"), Some(2));
        });
    }
}

#[test]
fn what_has_an_old_name_is_built_on_nothing_old() {
    near::simulated(async {
        let feds = Fed::handles(MemoryStore::new(), 1);
        let (near, _driver) = near::driven(feds[0].clone(), NearOptions::default());
        near::trust(&near).await;
        let (key, mut old) = (key(), session(START));
        old.ends_at = Some(after(2));
        let created = near.create(key, &old, None, START).await.expect("an answer");
        assert!(matches!(created, Created::Done { .. }));
        assert!(shown(&near, key, START).await.is_some(), "it is kept");
        feds[0].wire().set_pace(Pace::After(LONG));
        let created =
            near.create(key, &session(after(2)), None, after(2)).await.expect("an answer");
        assert!(matches!(created, Created::Done { .. }), "the old one is over");
        // By a clock that is behind the old one is not over.
        let mut commit = administer();
        commit.ends_at = Some(None);
        let done = near.commit(key, &commit, after_millis(1300)).await.expect("an answer");
        assert!(matches!(done, Outcome::Done { .. }), "{done:?}");
        let stored = feds[0].load(key, after(3)).await.expect("an answer");
        assert_eq!(shown(&near, key, after(3)).await, stored);
    });
}

async fn shown(near: &Near<Fed>, key: Key, now: Timestamp) -> Option<Record> {
    let loaded = near.read(key, &Wanted::default(), now).await.expect("an answer");
    loaded.map(|loaded| (*loaded.record).clone())
}
