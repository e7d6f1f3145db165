//! Nodes with near caches over one store in memory, with faults in between, in simulated time.

use std::sync::Arc;
use std::time::Duration;

use cloakroom_core::store::NearOptions;
use cloakroom_core::{Clock, MemoryStore, Policy, Sessions, Timer, Timestamp};

use super::{History, Node, Plan, play};
use crate::samples::START;
use crate::stores::{Breach, Chances, Fed, Lag, Merge, Pace, Shaky, Shape};
use crate::{Dice, TokioTimer, near};

/// How many nodes there are.
const NODES: usize = 3;
/// Long enough for everything that is on its way to arrive, or to be given up.
const QUIET: Duration = Duration::from_secs(12);

/// A clock that goes with tokio's: a paused test's days pass at once.
#[derive(Clone, Copy, Debug)]
pub struct TokioClock;

impl Clock for TokioClock {
    fn now(&self) -> Timestamp {
        START + TokioTimer.elapsed()
    }
}

/// What happens besides what clients do.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Faults {
    /// Nothing.
    None,
    /// Feeds are late, held, cut, silent, told twice and merged; stores fail and hang; nodes are
    /// restarted; keys move.
    All,
}

/// Has clients ask nodes with near caches, as the seed says, on a runtime of its own whose time is
/// simulated.
pub fn simulate(seed: u64, faults: Faults, breach: Breach) -> History {
    near::simulated(Box::pin(run(seed, faults, breach)))
}

async fn run(seed: u64, faults: Faults, breach: Breach) -> History {
    let dice = Dice::new(seed);
    let mut plan = Plan::by(&dice);
    if faults == Faults::None {
        plan.gives_up = 0;
    }
    let shape = Shape { sources: 1 + dice.below(2), versions: dice.percent(25) };
    let store = Arc::new(MemoryStore::new());
    let feds = Fed::shaped(Arc::clone(&store) as _, NODES, shape);
    let mut places = Vec::new();
    for fed in feds {
        places.push(Place::new(fed, breach, &dice).await);
    }
    let nodes: Arc<[Node]> = places.iter().map(|place| Node::new(place.sessions())).collect();
    let places: Arc<[Place]> = places.into();
    let mut trouble = tokio::task::JoinSet::new();
    if faults == Faults::All {
        for at in 0..NODES {
            let (places, nodes) = (Arc::clone(&places), Arc::clone(&nodes));
            trouble.spawn(async move { places[at].suffer(&nodes[at]).await });
        }
    }
    let recorder = play(&nodes, &plan, &dice.fork()).await;
    trouble.shutdown().await;
    places.iter().for_each(Place::heal);
    tokio::time::sleep(QUIET).await;
    recorder.conclude(&*store, &nodes).await
}

/// Where a node runs.
struct Place {
    fed: Fed,
    /// How long calls take, in microseconds each way, while nothing is wrong.
    lag: u64,
    store: Shaky,
    dice: Dice,
}

impl Place {
    async fn new(fed: Fed, breach: Breach, dice: &Dice) -> Self {
        // Trusted once, so that everything begins with a cache at work.
        near::near(fed.clone(), NearOptions::default()).await;
        let store = Shaky::new(Arc::new(fed.clone()), dice.fork());
        fed.wires().iter().for_each(|wire| wire.set_breach(breach));
        let place = Self { fed, lag: *dice.one_of(&[100, 1_000, 5_000]), store, dice: dice.fork() };
        place.heal();
        place
    }

    /// A node that has just begun.
    fn sessions(&self) -> Sessions {
        // Where there is little room, much is forgotten.
        let bytes = *self.dice.one_of(&[4 * 1024, NearOptions::default().bytes]);
        let options = NearOptions { bytes, ..NearOptions::default() };
        let (near, _) = near::driven(self.store.clone(), options);
        let policy = Policy { touch_after: Some(Duration::from_secs(1)), ..Policy::default() };
        let builder = Sessions::builder(near, TokioTimer).policy(policy).clock(TokioClock);
        builder.build().expect("the policy is sound")
    }

    /// Has one thing after the other go wrong, each for a while.
    async fn suffer(&self, node: &Node) {
        loop {
            tokio::time::sleep(self.dice.micros(&(1_000..700_000))).await;
            self.spoil(node).await;
            tokio::time::sleep(self.dice.micros(&(1_000..2_500_000))).await;
            if self.dice.percent(80) {
                self.heal();
            }
        }
    }

    async fn spoil(&self, node: &Node) {
        let dice = &self.dice;
        let wire = dice.one_of(self.fed.wires());
        match dice.below(14) {
            0..3 => {
                let late = [1, 5, 30, 200, 450, 700, 2_500];
                wire.set_pace(Pace::After(Duration::from_millis(*dice.one_of(&late))));
                wire.set_repeats(dice.percent(30));
                wire.set_merge(*dice.one_of(&[Merge::No, Merge::Records, Merge::All]));
            }
            3 => wire.set_pace(Pace::Held),
            4 => wire.set_pace(Pace::Silent),
            5 => wire.unplug(),
            6 => wire.flush(),
            7..9 => {
                let micros = 0..*dice.one_of(&[3_000, 40_000, 300_000, 1_200_000]);
                wire.set_lag(Some(Lag { dice: dice.fork(), micros }));
            }
            9 => self.store.set(Chances { before: 20, ..Chances::default() }),
            10 => self.store.set(Chances { after: 20, ..Chances::default() }),
            11 => self.store.set(Chances { hang: 10, ..Chances::default() }),
            12 => node.restart(self.sessions()),
            _ => self.fed.move_keys().await,
        }
    }

    /// Nothing is wrong any more.
    fn heal(&self) {
        self.store.set(Chances::default());
        for wire in self.fed.wires() {
            wire.set_lag(Some(Lag { dice: self.dice.fork(), micros: 0..self.lag }));
            wire.set_merge(Merge::No);
            wire.set_repeats(false);
            wire.set_pace(Pace::AtOnce);
            wire.plug();
        }
    }
}
