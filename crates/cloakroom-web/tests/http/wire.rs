//! A request whose commit's answer is lost on its way back from a real server.

use std::time::Duration;

use cloakroom_redis::{Options, RedisStore};
use cloakroom_testkit::servers::Redis;
use cloakroom_testkit::{Mode, Proxy};
use http::StatusCode;

use crate::app::World;
use crate::browser::Browser;

/// Rounds: whether the request can look after its commit before the connection is whole again is
/// chance.
const ROUNDS: u64 = 8;
/// How long the store may take to connect again.
const BOUND: Duration = Duration::from_secs(60);

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_whose_answer_is_lost_on_the_wire_is_applied_once() {
    let server = Redis::start().await;
    let proxy = Proxy::to(server.addr()).await;
    let behind = format!("redis://{}", proxy.addr());
    let world = World::over(RedisStore::connect(&behind, Options::default()).await.unwrap());
    let direct = RedisStore::connect(&server.url(), Options::default()).await.unwrap();
    let other = World::over(direct);
    let (router, browser) = (&world.node().router, Browser::default());
    let reads = async || browser.get(&other.node().router, "/read").await.ok();
    // The server has to know the script: an answer that is lost must be a commit's, and not that
    // the script is unknown.
    for _ in 0..2 {
        browser.post(router, "/count").await.ok();
    }
    for round in 1..=ROUNDS {
        let counted = (round + 2).to_string();
        // After a cut, the store waits a moment before it connects again.
        let back = async { while browser.get(router, "/read").await.status != StatusCode::OK {} };
        tokio::time::timeout(BOUND, back).await.expect("the store is back");
        let request = {
            let (router, browser) = (router.clone(), browser.clone());
            tokio::spawn(async move { browser.post(&router, "/held/count").await })
        };
        world.node().gate.reached(usize::try_from(round).unwrap()).await;
        proxy.set(Mode::CutAfterAnswerLost);
        world.node().gate.release(1);
        loop {
            let answered = request.is_finished();
            if reads().await == counted {
                break;
            }
            assert!(!answered, "answered and not applied");
        }
        proxy.set(Mode::Pass);
        let answer = request.await.unwrap();
        if answer.status != StatusCode::OK {
            assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE, "{answer:?}");
            assert!(answer.header("retry-after").is_some() && answer.set_cookie().is_none());
            assert!(answer.body.contains("outcome_unknown"), "{answer:?}");
        }
        assert_eq!(reads().await, counted, "applied once");
    }
}
