//! How soon a session that was ended on one node is refused by another, over a real server: printed,
//! and never shown again once it was not.

#![allow(clippy::expect_used, clippy::panic, reason = "helpers of tests fail by panicking")]
#![allow(clippy::print_stdout, reason = "what was measured is printed")]

use std::time::{Duration, Instant};

use cloakroom_core::store::NearOptions;
use cloakroom_core::{Client, Reply, Sessions, Slot, Token};
use cloakroom_redis::{Options, RedisStore};
use cloakroom_testkit::servers::Redis;
use cloakroom_testkit::{Mode, Proxy, TokioTimer, near};

const VISITS: Slot<u64> = Slot::new("visits");
const SESSIONS: usize = 300;
/// Nothing here takes so long. It fails what would never end.
const BOUND: Duration = Duration::from_secs(20);

async fn node(url: &str) -> Sessions {
    let store = RedisStore::connect(url, Options::default()).await.expect("it can be used");
    let near = near::near(store, NearOptions::default()).await;
    Sessions::builder(near, TokioTimer).build().expect("the policy is sound")
}

async fn create(node: &Sessions) -> Token {
    let session = node.open(&[], Client::default()).await.expect("it opens");
    session.set(VISITS, &1).expect("it is set");
    let Ok(Some(Reply::Send { token, .. })) = node.finish(&session).await else {
        panic!("a new session has a token");
    };
    token
}

/// Whether the node shows the session; `None` where it cannot say.
async fn shows(node: &Sessions, token: &Token) -> Option<bool> {
    let opened = node.open(std::slice::from_ref(token), Client::default()).await;
    opened.ok().map(|session| !session.is_new())
}

#[tokio::test(flavor = "multi_thread")]
async fn ends_are_heard() {
    let server = Redis::start().await;
    let (a, b) = (node(&server.url()).await, node(&server.url()).await);
    let mut took = Vec::new();
    for _ in 0..SESSIONS {
        let token = create(&a).await;
        assert_eq!(shows(&b, &token).await, Some(true));
        assert!(a.end(token.key()).await.expect("end is answered"));
        let end = Instant::now();
        while shows(&b, &token).await != Some(false) {
            assert!(end.elapsed() < BOUND, "it is never refused");
            tokio::task::yield_now().await;
        }
        took.push(end.elapsed());
        assert_eq!(shows(&b, &token).await, Some(false));
    }
    took.sort_unstable();
    let (median, late) = (took[SESSIONS / 2], took[SESSIONS * 99 / 100]);
    println!("refused by another node after: median {median:?}, p99 {late:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn ends_that_are_not_heard_come_by_the_lease() {
    for mode in [Mode::Hold, Mode::DropAnswers, Mode::Reset] {
        let server = Redis::start().await;
        let proxy = Proxy::to(server.addr()).await;
        let a = node(&server.url()).await;
        let b = node(&format!("redis://{}", proxy.addr())).await;
        let token = create(&a).await;
        assert_eq!(shows(&b, &token).await, Some(true));
        proxy.set(mode);
        assert!(a.end(token.key()).await.expect("end is answered"));
        let (end, mut last) = (Instant::now(), Duration::ZERO);
        while shows(&b, &token).await == Some(true) {
            last = end.elapsed();
            assert!(last < BOUND, "it is never refused");
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        proxy.set(Mode::Pass);
        println!("{mode:?}: shown for {last:?} after its end");
        // Until the store itself says no, and then again from memory or not.
        loop {
            match shows(&b, &token).await {
                Some(true) => panic!("{mode:?}: shown again"),
                Some(false) => break,
                None => assert!(end.elapsed() < BOUND, "it is never refused"),
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }
}
