//! Whatever call to its register fails half-way through a login or an ending, a store over it never
//! has more sessions than seats, has none that is not listed, and locks nobody out for long.

#![allow(clippy::expect_used, reason = "helpers of tests fail by panicking")]

use std::pin::pin;
use std::task::Poll;

use cloakroom_core::commit::Limit;
use cloakroom_core::event::Ended;
use cloakroom_core::store::{Announce, Cas, Created, Directory, Endings, Keep};
use cloakroom_core::{Guard, Key, Outcome, Record, Store, Timestamp};
use cloakroom_testkit::near::simulated;
use cloakroom_testkit::samples::{Doing, IDLE, START, after, key, session, session_of, visit};
use cloakroom_testkit::stores::{Lost, MemoryRegister, Tells};

/// More calls to the register than any one call to the store makes.
const CALLS: u64 = 40;

/// What one call comes to where one call to the register fails: whether that was before it was done.
struct Run {
    register: MemoryRegister,
    store: Cas<MemoryRegister>,
    visitor: Key,
    visit: Record,
}

impl Run {
    /// A store with one visitor.
    async fn new() -> Self {
        let register = MemoryRegister::new(Tells::Revisions);
        let store = Cas::new(register.clone());
        let (visitor, visit) = (key(), session(START));
        let created = store.create(visitor, &visit, None, START).await;
        assert_eq!(created.expect("created"), Created::Done { replaced: None });
        Self { register, store, visitor, visit }
    }

    async fn of_alice(&self, now: Timestamp) -> Vec<Key> {
        let listed = self.store.of_principal("alice", now).await.expect("listed");
        listed.into_iter().map(|(key, _)| key).collect()
    }

    /// Holds what is left to the promises: `keys` may be alice's.
    async fn check(&self, keys: &[Key]) {
        let mut alices = Vec::new();
        for key in keys {
            let record = self.store.load(*key, START).await.expect("loaded");
            if record.is_some_and(|record| record.principal.as_deref() == Some("alice")) {
                alices.push(*key);
            }
        }
        assert!(alices.len() <= 1, "no more than there are seats");
        assert_eq!(self.of_alice(START).await, alices, "all that live are listed");
        let later = after(31);
        let created = self.log_in(later).await;
        if alices.is_empty() {
            assert_eq!(created, Created::Done { replaced: None }, "nobody is locked out");
            return;
        }
        assert_eq!(created, Created::Refused(Limit::Seats { taken: alices.clone() }));
        let alice = Guard::Principal("alice".to_owned());
        assert!(self.end(alices[0], &alice, later).await.expect("ended").is_some());
        assert_eq!(self.log_in(later).await, Created::Done { replaced: None });
    }

    async fn log_in(&self, now: Timestamp) -> Created {
        let record = session_of("alice", now);
        self.store.create(key(), &record, Some(1), now).await.expect("answered")
    }

    async fn end(
        &self,
        key: Key,
        guard: &Guard,
        now: Timestamp,
    ) -> cloakroom_core::store::Result<Option<Record>> {
        let keep = Keep::LeasedUntil(now);
        let announce = Announce { reason: Ended::Revoked, keep };
        self.store.end(key, guard, announce, now).await
    }
}

fn each() -> impl Iterator<Item = (u64, Lost)> {
    (0..CALLS).flat_map(|n| [(n, Lost::Before), (n, Lost::After)])
}

#[test]
fn a_new_login_that_fails_half_way() {
    simulated(async {
        let mut failures = 0;
        for (n, lost) in each() {
            let run = Run::new().await;
            let (new, record) = (key(), session_of("alice", START));
            run.register.fail(n, lost);
            let created = run.store.create(new, &record, Some(1), START).await;
            let failed = run.register.has_failed();
            failures += u64::from(failed && created.is_err());
            assert!(failed || matches!(created, Ok(Created::Done { .. })), "{created:?}");
            run.register.fail(0, Lost::Before);
            let _ = run.store.load(new, START).await;
            run.check(&[new, run.visitor]).await;
        }
        assert!(failures >= 6, "it fails at each of its calls: {failures}");
    });
}

#[test]
fn a_visitors_login_that_fails_half_way() {
    simulated(async {
        let mut failures = 0;
        for (n, lost) in each() {
            let run = Run::new().await;
            let login = visit(&run.visit).set("a", "1").signing_in("alice", Some(1));
            run.register.fail(n, lost);
            let outcome = run.store.commit(run.visitor, &login, START).await;
            let failed = run.register.has_failed();
            failures += u64::from(failed && outcome.is_err());
            assert!(failed || matches!(outcome, Ok(Outcome::Done { .. })), "{outcome:?}");
            run.register.fail(0, Lost::Before);
            let _ = run.store.load(run.visitor, START).await;
            run.check(&[run.visitor]).await;
        }
        assert!(failures >= 6, "it fails at each of its calls: {failures}");
    });
}

#[test]
fn an_ending_that_fails_half_way_is_announced_once_or_not_at_all() {
    simulated(async {
        let mut failures = 0;
        for (n, lost) in each() {
            let run = Run::new().await;
            let (theirs, record) = (key(), session_of("alice", START));
            let created = run.store.create(theirs, &record, Some(1), START).await;
            assert_eq!(created.expect("created"), Created::Done { replaced: None });
            run.register.fail(n, lost);
            let ended = run.end(theirs, &Guard::None, START).await;
            failures += u64::from(ended.is_err());
            run.register.fail(0, Lost::Before);
            let _ = run.store.load(theirs, START).await;
            let gone = run.store.load(theirs, START).await.expect("loaded").is_none();
            let leased = run.store.lease(9, after(60), after(1)).await.expect("leased");
            assert_eq!(leased.len(), usize::from(gone), "announced where it is gone");
            run.store.acknowledge(theirs).await.expect("acknowledged");
            assert_eq!(run.store.lease(9, after(200), after(100)).await.expect("leased"), []);
            run.check(&[theirs]).await;
        }
        assert!(failures >= 3, "it fails at its get, and at its swap twice: {failures}");
    });
}

/// Lets a login of alice's come so far; what it answers once `meanwhile` is over, and whether it had
/// a seat by then.
async fn overtaken(
    run: &Run,
    new: Key,
    polls: usize,
    meanwhile: impl Future<Output = ()>,
) -> (Created, bool) {
    let record = session_of("alice", START);
    let before = run.register.calls();
    let mut login = pin!(run.store.create(new, &record, Some(1), START));
    let mut created = None;
    for _ in 0..polls {
        if let Poll::Ready(answer) = futures_util::poll!(login.as_mut()) {
            created = Some(answer);
            break;
        }
    }
    // Its first call has read, its second has taken the seat.
    let has_seat = run.register.calls() - before > 2;
    meanwhile.await;
    let created = match created {
        Some(created) => created,
        None => login.await,
    };
    (created.expect("answered"), has_seat)
}

#[test]
fn a_login_under_way_at_a_bar_leaves_nothing() {
    simulated(async {
        let mut barred = 0;
        for polls in 0..20 {
            let (run, new) = (Run::new().await, key());
            let end_all = async {
                run.store.bar("alice", START).await.expect("barred");
                for key in run.of_alice(START).await {
                    let alice = Guard::Principal("alice".to_owned());
                    run.end(key, &alice, START).await.expect("ended");
                }
            };
            let (created, had_seat) = overtaken(&run, new, polls, end_all).await;
            barred += u64::from(created == Created::Barred);
            let lives = run.store.load(new, START).await.expect("loaded").is_some();
            assert!(!(had_seat && lives), "after {polls} polls");
            assert!(polls > 0 || lives, "a later login is let in");
        }
        assert!(barred > 0, "it was tried");
    });
}

#[test]
fn a_slow_login_that_has_lost_its_seat_leaves_nothing() {
    simulated(async {
        let mut barred = 0;
        for polls in 0..20 {
            let (run, new, later) = (Run::new().await, key(), after(31));
            let another = async {
                let created = run.log_in(later).await;
                assert!(!matches!(created, Created::Exists | Created::Barred), "{created:?}");
            };
            let (created, _) = overtaken(&run, new, polls, another).await;
            barred += u64::from(created == Created::Barred);
            assert_eq!(run.of_alice(later).await.len(), 1, "after {polls} polls");
            let lives = run.store.load(new, START).await.expect("loaded").is_some();
            assert_eq!(lives, matches!(created, Created::Done { .. }), "after {polls} polls");
        }
        assert!(barred > 0, "it was tried");
    });
}

#[test]
fn nothing_is_left_of_sessions_that_have_ended() {
    simulated(async {
        let run = Run::new().await;
        let (ended, expired) = (key(), key());
        for key in [ended, expired] {
            let record = session_of("alice", START);
            let created = run.store.create(key, &record, None, START).await;
            assert_eq!(created.expect("created"), Created::Done { replaced: None });
        }
        let announce = Announce { reason: Ended::Revoked, keep: Keep::Nothing };
        let alice = Guard::Principal("alice".to_owned());
        let gone = run.store.end(ended, &alice, announce, START).await.expect("ended");
        assert!(gone.is_some());
        assert_eq!(run.register.filled(), 3, "the visitor, a session, and alice's seats");
        let swept = run.store.expire(9, Keep::Nothing, START + IDLE).await.expect("swept");
        assert_eq!((swept.len(), run.register.filled()), (2, 0));
    });
}
