//! Many clients on three nodes with near caches over a real server, which is killed, stopped and
//! cut off meanwhile, are told nothing that they were not promised.

#![allow(clippy::expect_used, reason = "helpers of tests fail by panicking")]
#![allow(clippy::print_stdout, reason = "what was counted is printed")]

use std::sync::Arc;
use std::time::Duration;

use cloakroom_core::store::{Near, NearOptions};
use cloakroom_core::{Policy, Sessions};
use cloakroom_mongodb::{MongoStore, Options};
use cloakroom_testkit::history::{Node, Plan, Promised, TokioClock, check, play};
use cloakroom_testkit::servers::Mongo;
use cloakroom_testkit::{Dice, Mode, Proxy, TokioTimer, near};
use tokio::time::sleep;

const NODES: usize = 3;
/// The heartbeat and the lease of a near cache together.
const PROMISED: Promised = Promised { stale: Duration::from_millis(1500) };
/// How many seconds an everyday run takes; `CLOAKROOM_CHAOS_SECONDS` says otherwise, and
/// `CLOAKROOM_CHAOS_SEED` what goes wrong.
const SECONDS: u64 = 12;

/// A node's way to the server, and what it has there.
struct Place {
    proxy: Proxy,
    near: Arc<Near<MongoStore>>,
}

impl Place {
    async fn new(server: &Mongo) -> Self {
        let proxy = Proxy::to(server.addr()).await;
        // The server says where it is, which is not where the proxy is.
        let url = format!("mongodb://{}/history?directConnection=true", proxy.addr());
        let store = MongoStore::connect(&url, Options::default()).await;
        let near = near::near(store.expect("it can be used"), NearOptions::default()).await;
        Self { proxy, near }
    }

    fn sessions(&self) -> Sessions {
        let policy = Policy { touch_after: Some(Duration::from_secs(1)), ..Policy::default() };
        let builder = Sessions::builder(Arc::clone(&self.near), TokioTimer).policy(policy);
        builder.clock(TokioClock).build().expect("the policy is sound")
    }
}

/// A number that the environment gives.
fn given(name: &str, otherwise: u64) -> u64 {
    std::env::var(name).map_or(otherwise, |given| given.parse().expect("a number"))
}

/// Has one thing after the other go wrong, and nothing be wrong in the end.
async fn trouble(mut server: Mongo, places: Arc<[Place]>, dice: Dice, length: Duration) -> Mongo {
    let end = tokio::time::Instant::now() + length;
    while tokio::time::Instant::now() < end {
        sleep(dice.micros(&(200_000..1_500_000))).await;
        let while_it_lasts = dice.micros(&(50_000..2_500_000));
        let proxy = &dice.one_of(&places).proxy;
        let modes = [Mode::Reset, Mode::Hold, Mode::DropAnswers, Mode::CutAfterAnswerLost];
        match dice.below(7) {
            0 => {
                server.kill();
                server = server.restart().await;
            }
            1 => {
                server.pause();
                sleep(while_it_lasts).await;
                server.resume();
            }
            _ => {
                proxy.set(*dice.one_of(&modes));
                sleep(while_it_lasts).await;
                proxy.set(Mode::Pass);
            }
        }
    }
    server
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_stopped_and_cut_off_server_breaks_no_promise() {
    let server = Mongo::start().await;
    let mut places = Vec::new();
    for _ in 0..NODES {
        places.push(Place::new(&server).await);
    }
    let nodes: Arc<[Node]> = places.iter().map(|place| Node::new(place.sessions())).collect();
    let (places, dice): (Arc<[Place]>, _) =
        (places.into(), Dice::new(given("CLOAKROOM_CHAOS_SEED", 1)));
    let length = Duration::from_secs(given("CLOAKROOM_CHAOS_SECONDS", SECONDS));
    let plan = Plan { clients: 12, length, think: 1_000..30_000, ..Plan::default() };
    let trouble = tokio::spawn(trouble(server, Arc::clone(&places), dice.fork(), plan.length));
    let recorder = play(&nodes, &plan, &dice).await;
    let server = trouble.await.expect("it ends");
    for place in &*places {
        near::trust(&place.near).await;
    }
    let url = format!("mongodb://{}/history", server.addr());
    let store = MongoStore::connect(&url, Options::default()).await;
    let history = recorder.conclude(&store.expect("it can be used"), &nodes).await;
    let hits: u64 = places.iter().map(|place| place.near.stats().hits).sum();
    match check(&history, PROMISED) {
        Ok(counts) => println!("{counts}; {hits} reads from memory"),
        Err(broken) => panic!("{broken}"),
    }
    assert!(hits > 0, "the caches were at work");
}
