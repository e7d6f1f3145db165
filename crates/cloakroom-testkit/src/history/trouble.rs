//! Servers that are killed, stopped and cut off while many clients ask nodes with near caches over
//! them, as one test of any store that has a feed.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use cloakroom_core::store::{Near, NearOptions};
use cloakroom_core::{Policy, Sessions, Store};
use tokio::time::{Instant, sleep};

use super::{Node, Plan, Promised, TokioClock, check, play};
use crate::servers::{Hazelcast, Kind, Server};
use crate::{Dice, Mode, Proxy, TokioTimer, near};

const NODES: usize = 3;
/// The heartbeat and the lease of a near cache together.
const PROMISED: Promised = Promised { stale: Duration::from_millis(1500) };
/// How many seconds an everyday run takes; `CLOAKROOM_CHAOS_SECONDS` says otherwise, and
/// `CLOAKROOM_CHAOS_SEED` what goes wrong.
const SECONDS: u64 = 12;

/// Servers that can be killed and stopped.
#[async_trait]
pub trait Mortal: Send + Sized {
    /// Where each of them listens.
    fn addrs(&self) -> Vec<SocketAddr>;

    /// Kills one of them, and returns when it is back.
    async fn die(self, one: usize) -> Self;

    /// Stops one of them where it stands.
    fn stop(&self, one: usize);

    /// Lets it go on.
    fn go_on(&self, one: usize);
}

#[async_trait]
impl<K: Kind> Mortal for Server<K> {
    fn addrs(&self) -> Vec<SocketAddr> {
        vec![self.addr()]
    }

    async fn die(self, _one: usize) -> Self {
        self.restart().await
    }

    fn stop(&self, _one: usize) {
        self.pause();
    }

    fn go_on(&self, _one: usize) {
        self.resume();
    }
}

#[async_trait]
impl Mortal for Hazelcast {
    fn addrs(&self) -> Vec<SocketAddr> {
        self.addrs().to_vec()
    }

    async fn die(mut self, one: usize) -> Self {
        self.kill(one);
        self.whole().await.restart(one).await
    }

    fn stop(&self, one: usize) {
        self.pause(one);
    }

    fn go_on(&self, one: usize) {
        self.resume(one);
    }
}

/// A node's way to a server, and what it has there.
struct Place<S> {
    proxy: Proxy,
    near: Arc<Near<S>>,
}

impl<S: Store> Place<S> {
    async fn new(server: SocketAddr, connect: &impl AsyncFn(SocketAddr) -> S) -> Self {
        let proxy = Proxy::to(server).await;
        let near = near::near(connect(proxy.addr()).await, NearOptions::default()).await;
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
async fn trouble<M: Mortal, S>(
    mut servers: M,
    places: &[Place<S>],
    dice: Dice,
    length: Duration,
) -> M {
    let end = Instant::now() + length;
    while Instant::now() < end {
        sleep(dice.micros(&(100_000..700_000))).await;
        let while_it_lasts = dice.micros(&(50_000..2_500_000));
        let proxy = &dice.one_of(places).proxy;
        let modes = [Mode::Reset, Mode::Hold, Mode::DropAnswers, Mode::CutAfterAnswerLost];
        let one = *dice.one_of(&Vec::from_iter(0..servers.addrs().len()));
        match dice.below(7) {
            0 => servers = servers.die(one).await,
            1 => {
                servers.stop(one);
                sleep(while_it_lasts).await;
                servers.go_on(one);
            }
            _ => {
                proxy.set(*dice.one_of(&modes));
                sleep(while_it_lasts).await;
                proxy.set(Mode::Pass);
            }
        }
    }
    servers
}

/// Has many clients ask three nodes with near caches over `servers`, which are killed, stopped and
/// cut off meanwhile. `connect` makes a store that asks at this address alone. Panics where somebody
/// was told what nobody was promised.
pub async fn survive<M: Mortal, S: Store>(servers: M, connect: impl AsyncFn(SocketAddr) -> S) {
    let mut places = Vec::new();
    for server in servers.addrs().into_iter().cycle().take(NODES) {
        places.push(Place::new(server, &connect).await);
    }
    let nodes: Arc<[Node]> = places.iter().map(|place| Node::new(place.sessions())).collect();
    let dice = Dice::new(given("CLOAKROOM_CHAOS_SEED", 1));
    let length = Duration::from_secs(given("CLOAKROOM_CHAOS_SECONDS", SECONDS));
    let plan = Plan { clients: 12, length, think: 1_000..30_000, ..Plan::default() };
    let trouble = Box::pin(trouble(servers, &places, dice.fork(), length));
    let (recorder, servers) = tokio::join!(play(&nodes, &plan, &dice), trouble);
    for place in &places {
        near::trust(&place.near).await;
    }
    let store = connect(servers.addrs()[0]).await;
    let history = recorder.conclude(&store, &nodes).await;
    let hits: u64 = places.iter().map(|place| place.near.stats().hits).sum();
    match check(&history, PROMISED) {
        Ok(counts) => println!("{counts}; {hits} reads from memory"),
        Err(broken) => panic!("{broken}"),
    }
    assert!(hits > 0, "the caches were at work");
}
