//! Members die and are stopped in mid-load: callers get their answer in time, what was acknowledged
//! is there, nothing is half-written, and nobody is told that nothing was changed where it was.

#![allow(clippy::expect_used, clippy::panic, reason = "helpers of tests fail by panicking")]
#![allow(clippy::print_stdout, reason = "what was counted is printed")]

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use cloakroom_core::store::{Error, Held, Place, Put, Register, Swapped};
use cloakroom_core::token::Kind;
use cloakroom_core::{Key, Timestamp};
use cloakroom_hazelcast::{HazelcastRegister, Options};
use cloakroom_testkit::servers::Hazelcast;
use cloakroom_testkit::{Mode, Proxy};
use futures_util::future::join_all;
use tokio::time::{sleep, timeout};

const WRITERS: usize = 24;
/// How long a call may take here: its own limit, and what a busy machine adds.
const BOUND: Duration = Duration::from_secs(20);
/// How long a call may take that is to see what the cluster makes of a member's death.
const PATIENT: Duration = Duration::from_secs(60);

/// What one writer has in a place that nobody else writes to.
struct Writer {
    register: Arc<HazelcastRegister>,
    place: Place,
    held: Option<Held>,
    /// The number that was acknowledged last.
    acknowledged: u64,
    /// The number that may be there, because nobody has said whether it is.
    attempted: u64,
}

/// What all writers count together.
#[derive(Default)]
struct Counts {
    written: AtomicU64,
    failed: AtomicU64,
    stop: AtomicBool,
}

fn put(number: u64) -> Put {
    let mut bytes = vec![1];
    for instant in [Timestamp::MAX, Timestamp::MAX, Timestamp::MAX] {
        bytes.extend(instant.millis().to_be_bytes());
    }
    // The number again and again: half of it would be seen.
    bytes.extend(number.to_be_bytes().repeat(64));
    Put { bytes: bytes.into(), forget_after: None }
}

fn number(held: &Held) -> u64 {
    let number = u64::from_be_bytes(*held.bytes.last_chunk().expect("a number is there"));
    assert_eq!(held.bytes, put(number).bytes, "nothing is half-written");
    number
}

async fn in_time<T>(call: impl Future<Output = T>) -> T {
    timeout(BOUND, call).await.expect("a caller gets an answer")
}

impl Writer {
    fn new(register: &Arc<HazelcastRegister>) -> Self {
        let place = Place::Record(Key::random(Kind::Session));
        let register = Arc::clone(register);
        Self { register, place, held: None, acknowledged: 0, attempted: 0 }
    }

    /// Looks what is there: what was acknowledged, or what was attempted since.
    async fn look(&mut self) -> Result<(), Error> {
        self.held = in_time(self.register.get(self.place)).await?;
        let there = self.held.as_ref().map_or(0, number);
        let known = [self.acknowledged, self.attempted];
        assert!(known.contains(&there), "{there} is there, not one of {known:?}");
        self.acknowledged = there;
        Ok(())
    }

    async fn write(&mut self) -> Result<(), Error> {
        if self.attempted != self.acknowledged {
            self.look().await?;
        }
        // Each attempt has a number of its own, also where the one before came to nothing.
        self.attempted += 1;
        let next = put(self.attempted);
        match in_time(self.register.swap(self.place, self.held.as_ref(), Some(&next))).await? {
            Swapped::Done => {
                self.acknowledged = self.attempted;
                self.held = Some(Held { bytes: next.bytes, revision: None });
                Ok(())
            }
            Swapped::Found(found) => {
                panic!("nobody else writes here, and {:?} is found", found.as_ref().map(number))
            }
        }
    }

    async fn run(mut self, counts: Arc<Counts>) -> Self {
        while !counts.stop.load(Ordering::Relaxed) {
            match self.write().await {
                Ok(()) => counts.written.fetch_add(1, Ordering::Relaxed),
                Err(error) => {
                    assert!(!matches!(error, Error::Refused(_)), "{error:?}");
                    sleep(Duration::from_millis(5)).await;
                    counts.failed.fetch_add(1, Ordering::Relaxed)
                }
            };
        }
        self
    }
}

/// Waits until so many more writes were acknowledged.
async fn more(counts: &Counts, writes: u64) {
    let target = counts.written.load(Ordering::Relaxed) + writes;
    let written = async {
        while counts.written.load(Ordering::Relaxed) < target {
            sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(Duration::from_secs(120), written).await.expect("writes are acknowledged");
}

/// What was acknowledged is there, read over a connection of its own.
async fn settle(url: &str, writers: Vec<Writer>) {
    let register = HazelcastRegister::connect(url, Options::default()).await;
    let register = Arc::new(register.expect("it can be used"));
    for mut writer in writers {
        writer.register = Arc::clone(&register);
        writer.look().await.expect("it is answered");
    }
}

/// Kills one member after the other while everybody writes. The first of the URL is the one that
/// the connection leads to.
async fn die(order: [usize; 2]) {
    let mut cluster = Hazelcast::start(2).await;
    let url = cluster.url("map");
    let register = HazelcastRegister::connect(&url, Options::default()).await;
    let (register, counts) = (Arc::new(register.expect("it can be used")), Arc::default());
    let writing =
        (0..WRITERS).map(|_| tokio::spawn(Writer::new(&register).run(Arc::clone(&counts))));
    let writing: Vec<_> = writing.collect();
    for member in order {
        more(&counts, 500).await;
        cluster.kill(member);
        more(&counts, 500).await;
        cluster = cluster.restart(member).await;
    }
    more(&counts, 500).await;
    counts.stop.store(true, Ordering::Relaxed);
    let writers = join_all(writing).await;
    let writers = writers.into_iter().map(|writer| writer.expect("no writer panics")).collect();
    settle(&url, writers).await;
    let (written, failed) = (&counts.written, &counts.failed);
    println!("{written:?} writes acknowledged, {failed:?} without a good answer");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Hazelcast 5: scripts/test --all"]
async fn the_death_of_the_member_that_is_talked_to_loses_nothing() {
    die([0, 1]).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Hazelcast 5: scripts/test --all"]
async fn the_death_of_another_member_loses_nothing() {
    die([1, 0]).await;
}

/// A member asks again by itself where another one has died, which may have swapped before: a swap
/// that fails then may be one that was done.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Hazelcast 5: scripts/test --all"]
async fn a_swap_that_fails_while_a_member_dies_is_not_said_to_have_changed_nothing() {
    let mut cluster = Hazelcast::start(2).await;
    let proxy = Proxy::to(cluster.addrs()[0]).await;
    let url = format!("hazelcast://{}/cloakroom?map=map", proxy.addr());
    let options = Options { connect_timeout: PATIENT, call_timeout: PATIENT };
    let register = HazelcastRegister::connect(&url, options).await.expect("it can be used");
    let place = Place::Record(Key::random(Kind::Session));
    let (one, two) = (put(1), put(2));
    assert_eq!(register.swap(place, None, Some(&one)).await.expect("it answers"), Swapped::Done);
    let found = register.swap(place, None, Some(&two)).await.expect("nobody has left");
    assert!(matches!(found, Swapped::Found(Some(_))), "{found:?}");

    proxy.set(Mode::Hold);
    let swapping = register.swap(place, None, Some(&two));
    let dying = async {
        cluster.kill(1);
        let left = cluster.whole().await;
        proxy.set(Mode::Pass);
        left
    };
    let (swapped, _left) = tokio::join!(swapping, dying);
    assert!(matches!(swapped, Err(Error::Unanswered(_))), "{swapped:?}");
    let held = register.get(place).await.expect("it answers").expect("it is there");
    assert_eq!(number(&held), 1);
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Hazelcast 5: scripts/test --all"]
async fn a_stopped_member_leaves_callers_their_answer() {
    let cluster = Hazelcast::start(2).await;
    let url = cluster.url("map");
    let register = HazelcastRegister::connect(&url, Options::default()).await;
    let (register, counts) = (Arc::new(register.expect("it can be used")), Arc::default());
    let writing: Vec<_> = (0..WRITERS)
        .map(|_| tokio::spawn(Writer::new(&register).run(Arc::clone(&counts))))
        .collect();
    for member in [0, 1] {
        more(&counts, 200).await;
        cluster.pause(member);
        let failed = counts.failed.load(Ordering::Relaxed);
        let fails = async {
            while counts.failed.load(Ordering::Relaxed) == failed {
                sleep(Duration::from_millis(5)).await;
            }
        };
        timeout(BOUND, fails).await.expect("somebody is told that there is no answer");
        cluster.resume(member);
    }
    more(&counts, 200).await;
    counts.stop.store(true, Ordering::Relaxed);
    let writers = join_all(writing).await;
    settle(&url, writers.into_iter().map(|writer| writer.expect("no writer panics")).collect())
        .await;
}
