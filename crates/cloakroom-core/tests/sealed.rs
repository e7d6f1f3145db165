//! Sessions that their clients keep: how they expire, rotate, are ended by an epoch, and how they
//! say that they are full.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "helpers of tests fail as tests do"
)]

use std::sync::{Arc, Mutex};
use std::time::Duration;

use cloakroom_core::keeping::{Carrier, KeyRing, Sealed, SealedText};
use cloakroom_core::policy::{Seats, WhenFull};
use cloakroom_core::store::NearOptions;
use cloakroom_core::{
    Client, Error, Event, Key, Kind, Limit, Listener, Login, MemoryStore, Outcome, Policy, Reply,
    Session, Sessions, Slot, Store, Swept, Timer,
};
use cloakroom_testkit::near::{self, simulated};
use cloakroom_testkit::stores::{
    Call, Counting, Fail, Failing, Fed, Hooked, Plan, Switch, Wrapped,
};
use cloakroom_testkit::{ManualClock, TokioTimer};

const VISITS: Slot<u64> = Slot::new("visits");
const TEXT: Slot<String> = Slot::new("text");
const MINUTE: Duration = Duration::from_secs(60);

/// Remembers events.
#[derive(Clone, Debug, Default)]
struct Ear(Arc<Mutex<Vec<Event>>>);

impl Listener for Ear {
    fn on_event(&self, event: &Event) {
        self.0.lock().unwrap().push(event.clone());
    }
}

/// A node with a clock and an ear.
struct Node {
    sessions: Sessions,
    clock: ManualClock,
    ear: Ear,
}

impl Node {
    fn new(sealed: impl Into<Sealed>) -> Self {
        Self::with(sealed, Policy::default(), &ManualClock::default())
    }

    fn with(sealed: impl Into<Sealed>, policy: Policy, clock: &ManualClock) -> Self {
        let ear = Ear::default();
        let builder = Sessions::sealed(sealed, TokioTimer).policy(policy);
        let sessions = builder.clock(clock.clone()).listener(ear.clone()).build().unwrap();
        Self { sessions, clock: clock.clone(), ear }
    }

    async fn try_open(&self, texts: &[&SealedText]) -> Result<Session, Error> {
        let texts: Vec<&[u8]> = texts.iter().map(|text| text.reveal().as_bytes()).collect();
        self.sessions.open_sealed(&texts, &carrier(), Client::default()).await
    }

    async fn open(&self, texts: &[&SealedText]) -> Session {
        self.try_open(texts).await.unwrap()
    }

    async fn finish(&self, session: &Session) -> Option<Reply> {
        self.sessions.finish(session).await.unwrap()
    }

    async fn sealed(&self, session: &Session) -> SealedText {
        seal(self.finish(session).await)
    }

    async fn signed_in(&self, principal: &str) -> SealedText {
        let session = self.open(&[]).await;
        session.log_in(principal).unwrap();
        self.sealed(&session).await
    }

    async fn visited(&self, visits: u64) -> SealedText {
        let session = self.open(&[]).await;
        session.set(VISITS, &visits).unwrap();
        self.sealed(&session).await
    }

    fn heard(&self, event: &Event) -> bool {
        self.ear.0.lock().unwrap().contains(event)
    }
}

fn carrier() -> Carrier {
    Carrier::new("cookie id", 4096)
}

fn seal(reply: Option<Reply>) -> SealedText {
    match reply {
        Some(Reply::Seal { text, .. }) => text,
        other => panic!("expected a seal, not {other:?}"),
    }
}

#[test]
fn it_ends_when_it_is_idle_and_at_the_end_of_its_life() {
    simulated(async {
        let node = Node::new(KeyRing::generate());
        let (idle, mut used) = (node.visited(1).await, node.visited(2).await);
        for _ in 0..(12 * 6 - 1) {
            node.clock.advance(10 * MINUTE);
            let session = node.open(&[&used]).await;
            assert_eq!(session.get(VISITS).unwrap(), Some(2));
            used = node.sealed(&session).await;
        }
        assert!(node.open(&[&idle]).await.is_new());
        assert!(node.heard(&Event::UnknownSeal));
        let last = node.open(&[&used]).await;
        assert!(!last.is_new());
        node.clock.advance(10 * MINUTE);
        let session = node.open(&[&used]).await;
        assert!(session.is_new());
        assert_eq!(node.finish(&session).await, None, "nothing is cleared for absence");
        assert_eq!(
            node.sessions.sweep(10).await.unwrap(),
            Swept::Done { removed: 0, taken_over: 0 }
        );
        last.set(VISITS, &3).unwrap();
        let late = node.sessions.finish(&last).await;
        assert!(matches!(late, Err(Error::Ended)), "nor does a late write revive it: {late:?}");
    });
}

#[test]
fn a_use_is_sealed_once_per_touch_after_and_a_passive_one_never() {
    simulated(async {
        let node = Node::new(KeyRing::generate());
        let text = node.visited(1).await;
        node.clock.advance(Duration::from_secs(179));
        assert_eq!(node.finish(&node.open(&[&text]).await).await, None);
        node.clock.advance(Duration::from_secs(1));
        let passive = node.open(&[&text]).await;
        passive.set_passive();
        assert_eq!(node.finish(&passive).await, None);
        let touched = node.sealed(&node.open(&[&text]).await).await;
        assert_eq!(node.finish(&node.open(&[&touched]).await).await, None);
        let session = node.open(&[&touched]).await;
        assert_eq!(session.last_accessed(), Some(node.sessions.now()));
    });
}

#[test]
fn a_stricter_policy_refuses_what_a_laxer_one_has_sealed() {
    simulated(async {
        let (ring, clock) = (KeyRing::generate(), ManualClock::default());
        let lax = Node::with(ring.clone(), Policy::default(), &clock);
        let policy = Policy { longest_idle: Some(MINUTE), ..Policy::default() };
        let strict = Node::with(ring, policy, &clock);
        let text = lax.visited(1).await;
        assert!(!strict.open(&[&text]).await.is_new());
        clock.advance(MINUTE);
        assert!(strict.open(&[&text]).await.is_new());
    });
}

#[test]
fn it_opens_in_its_own_carrier_and_for_its_own_purpose_only() {
    simulated(async {
        let ring = KeyRing::generate();
        let (shop, blog) =
            (Node::new(ring.clone()), Node::new(Sealed::new(ring.clone()).purpose("blog")));
        let text = shop.visited(1).await;
        assert!(blog.open(&[&text]).await.is_new());
        for (name, is_new) in [("cookie id", false), ("cookie di", true), ("header id", true)] {
            let texts = [text.reveal().as_bytes()];
            let carrier = Carrier::new(name, 4096);
            let opened =
                shop.sessions.open_sealed(&texts, &carrier, Client::default()).await.unwrap();
            assert_eq!(opened.is_new(), is_new, "{name}");
        }
    });
}

#[test]
fn an_old_key_opens_and_the_next_use_is_sealed_with_the_new_one() {
    simulated(async {
        let (old, new) = (KeyRing::new_line("old").unwrap(), KeyRing::new_line("new").unwrap());
        let ring = KeyRing::parse(&old).unwrap();
        let node = Node::new(ring.clone());
        let before = node.visited(1).await;
        ring.replace(&KeyRing::parse(&format!("{}{}", &*old, &*new)).unwrap());
        node.clock.advance(4 * MINUTE);
        let after = node.sealed(&node.open(&[&before]).await).await;
        ring.replace(&KeyRing::parse(&new).unwrap());
        assert!(node.open(&[&before]).await.is_new());
        assert_eq!(node.open(&[&after]).await.get(VISITS).unwrap(), Some(1));
    });
}

#[test]
fn two_sessions_open_neither_and_of_two_copies_the_newer_opens() {
    simulated(async {
        let node = Node::new(KeyRing::generate());
        let (one, other) = (node.visited(1).await, node.visited(2).await);
        let both = node.try_open(&[&one, &other]).await;
        assert!(matches!(both, Err(Error::TwoSessions { .. })), "{both:?}");
        let session = node.open(&[&one]).await;
        session.set(VISITS, &5).unwrap();
        let newer = node.sealed(&session).await;
        for copies in [[&one, &newer], [&newer, &one]] {
            assert_eq!(node.open(&copies).await.get(VISITS).unwrap(), Some(5));
        }
        let many = node.try_open(&[&one; 5]).await;
        assert!(matches!(many, Err(Error::TooManyTokens { most: 4 })), "{many:?}");
    });
}

#[test]
fn a_login_gives_the_session_another_key() {
    simulated(async {
        let node = Node::new(KeyRing::generate());
        let planted = node.visited(1).await;
        let session = node.open(&[&planted]).await;
        let before = session.key().unwrap();
        session.log_in(Login::new("ada").role("editor")).unwrap();
        let text = node.sealed(&session).await;
        let key = session.key().unwrap();
        assert_ne!(key, before);
        assert!(node.heard(&Event::LoggedIn { key, principal: "ada".to_owned() }));
        let session = node.open(&[&text]).await;
        assert_eq!((session.key(), session.get(VISITS).unwrap()), (Some(key), Some(1)));
        assert_eq!(
            (session.principal().as_deref(), session.has_role("editor")),
            (Some("ada"), true)
        );
        assert_eq!(node.open(&[&planted]).await.principal(), None);
        // Another user finds nothing of hers.
        session.log_in("bob").unwrap();
        let bobs = node.open(&[&node.sealed(&session).await]).await;
        assert_eq!((bobs.principal().as_deref(), bobs.get(VISITS).unwrap()), (Some("bob"), None));
        assert!(bobs.roles().is_empty());
    });
}

#[test]
fn a_logout_makes_the_client_forget() {
    simulated(async {
        let node = Node::new(KeyRing::generate());
        let text = node.signed_in("ada").await;
        let session = node.open(&[&text]).await;
        session.log_out().unwrap();
        assert_eq!(node.finish(&session).await, Some(Reply::Clear));
        let session = node.open(&[]).await;
        session.log_out().unwrap();
        assert_eq!(node.finish(&session).await, None);
    });
}

#[test]
fn an_early_commit_is_told_at_the_end_and_once() {
    simulated(async {
        let node = Node::new(KeyRing::generate());
        let session = node.open(&[]).await;
        session.set(VISITS, &1).unwrap();
        assert!(matches!(session.commit().await.unwrap(), Outcome::Done { version: 1 }));
        assert_eq!(session.transact(VISITS, |visits| *visits += 1).await.unwrap(), ());
        session.log_in("ada").unwrap();
        let text = node.sealed(&session).await;
        assert_eq!(session.take_reply(), None);
        let session = node.open(&[&text]).await;
        assert_eq!(session.get(VISITS).unwrap(), Some(2));
        assert_eq!(session.principal().as_deref(), Some("ada"));
    });
}

/// Text in which nothing repeats.
fn noise(length: usize) -> String {
    let mut state = 1_u64;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        char::from(b' ' + 3 + u8::try_from((state >> 33) % 56).unwrap())
    };
    (0..length).map(|_| next()).collect()
}

#[test]
fn the_write_that_is_too_much_is_refused_and_says_by_how_much() {
    simulated(async {
        let node = Node::new(Sealed::new(KeyRing::generate()).compress(false));
        let session = node.open(&[]).await;
        let over = |refused: Result<(), Error>| match refused {
            Err(Error::Limit(Limit::Sealed { over, most: 4096 })) => over,
            other => panic!("expected a limit, not {other:?}"),
        };
        let too_much = over(session.set(TEXT, &noise(4000)));
        assert_eq!(session.get(TEXT).unwrap(), None, "nothing of it is left");
        session.set(TEXT, &noise(4000 - too_much)).unwrap();
        assert_eq!(over(session.set(VISITS, &1)), 5 + "visits".len() + 1);
        assert_eq!(over(session.update(TEXT, |text| text.push('x'))), 1);
        assert!(over(session.log_in(Login::new("ada"))) > 0);
        assert!(matches!(session.commit().await.unwrap(), Outcome::Done { .. }));
        let refused = session.transact(TEXT, |text| text.push('x')).await;
        assert!(matches!(refused, Err(Error::Limit(Limit::Sealed { over: 1, .. }))), "{refused:?}");
        assert_eq!(session.principal(), None);
        session.set_idle(Some(60 * MINUTE)).unwrap();
        session.set_lifetime(Some(1000 * MINUTE)).unwrap();
        let text = node.sealed(&session).await;
        assert!((4000..=4096).contains(&text.reveal().len()), "{text:?}");
        // A use, and a write of the same size, always have room.
        node.clock.advance(10 * MINUTE);
        let text = node.sealed(&node.open(&[&text]).await).await;
        let session = node.open(&[&text]).await;
        assert_eq!(session.get(TEXT).unwrap().unwrap().len(), 4000 - too_much);
        session.remove(TEXT).unwrap();
        session.set(VISITS, &1).unwrap();
        assert!(node.sealed(&session).await.reveal().len() < 300);
    });
}

#[test]
fn a_read_never_fails_for_want_of_room() {
    simulated(async {
        let node = Node::new(Sealed::new(KeyRing::generate()).compress(false));
        let session = node.open(&[]).await;
        session.set(TEXT, &noise(1000)).unwrap();
        let text = node.sealed(&session).await;
        node.clock.advance(10 * MINUTE);
        // Since then the carrier has shrunk.
        let (texts, small) = ([text.reveal().as_bytes()], Carrier::new("cookie id", 1000));
        let open = || node.sessions.open_sealed(&texts, &small, Client::default());
        assert_eq!(node.finish(&open().await.unwrap()).await, None);
        let session = open().await.unwrap();
        session.remove(TEXT).unwrap();
        node.sealed(&session).await;
    });
}

#[test]
fn what_repeats_itself_is_deflated() {
    simulated(async {
        let node = Node::new(KeyRing::generate());
        let session = node.open(&[]).await;
        session.set(TEXT, &"all the same ".repeat(1000)).unwrap();
        let text = node.sealed(&session).await;
        assert!(text.reveal().len() < 500, "{text:?}");
        assert_eq!(node.open(&[&text]).await.get(TEXT).unwrap().unwrap().len(), 13_000);
    });
}

#[test]
fn the_policy_cannot_ask_for_what_only_a_store_can_do() {
    simulated(async {
        let build = |policy| {
            let builder = Sessions::sealed(KeyRing::generate(), TokioTimer).policy(policy);
            builder.build().map(drop).unwrap_err()
        };
        let seats = Some(Seats { most: 1, when_full: WhenFull::Refuse });
        assert_eq!(build(Policy { seats, ..Policy::default() }).name, "seats");
        let rotate_every = Some(MINUTE);
        assert_eq!(build(Policy { rotate_every, ..Policy::default() }).name, "rotate_every");
    });
}

#[test]
fn what_only_a_store_can_do_is_a_clear_error() {
    simulated(async {
        let Node { sessions, .. } = Node::new(KeyRing::generate());
        let key = Key::random(Kind::Session);
        let is_held = |error| matches!(error, Error::HeldByClient);
        assert!(is_held(sessions.of_principal("ada").await.unwrap_err()));
        assert!(is_held(sessions.count().await.unwrap_err()));
        assert!(is_held(sessions.end_everybody().await.unwrap_err()));
        assert!(is_held(sessions.end(key).await.unwrap_err()));
        assert!(is_held(sessions.end_own("ada", key).await.unwrap_err()));
        assert!(is_held(sessions.look(key).await.unwrap_err()));
        assert!(is_held(sessions.open(&[], Client::default()).await.unwrap_err()));
        assert!(sessions.open_known(&[], &mut Client::default()).is_none());
        let unknown = sessions.end_all("ada", None).await;
        assert!(matches!(unknown, Err(Error::NoEpochs)), "{unknown:?}");
        let shared = sessions.application().get(VISITS).await;
        assert!(matches!(shared, Err(Error::Store(_))), "{shared:?}");
        let stored = Sessions::builder(MemoryStore::new(), TokioTimer).build().unwrap();
        let opened = stored.open_sealed(&[], &carrier(), Client::default()).await;
        assert!(matches!(opened, Err(Error::NotSealed)), "{opened:?}");
    });
}

fn with_epochs(ring: &KeyRing, store: impl Store) -> Sealed {
    Sealed::new(ring.clone()).epochs(store)
}

#[test]
fn an_epoch_ends_all_sessions_of_a_user_on_all_nodes_but_one() {
    simulated(async {
        let (ring, clock) = (KeyRing::generate(), ManualClock::default());
        let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
        let node = || Node::with(with_epochs(&ring, Arc::clone(&store)), Policy::default(), &clock);
        let (a, b) = (node(), node());
        let (one, other, bobs) =
            (a.signed_in("ada").await, b.signed_in("ada").await, a.signed_in("bob").await);
        let (session, anonymous) = (a.open(&[&one]).await, a.visited(1).await);
        let live = b.open(&[&other]).await.live().unwrap();
        assert!(live.check().await.unwrap().is_some());
        assert_eq!(a.sessions.end_all("ada", session.key()).await.unwrap(), 0);
        assert!(b.open(&[&other]).await.is_new());
        assert_eq!(live.check().await.unwrap(), None, "nor does a socket go on");
        for (text, principal) in [(&one, Some("ada")), (&bobs, Some("bob")), (&anonymous, None)] {
            let session = b.open(&[text]).await;
            assert_eq!((session.is_new(), session.principal().as_deref()), (false, principal));
        }
        assert_eq!(b.sessions.end_all("ada", None).await.unwrap(), 0);
        assert!(a.open(&[&one]).await.is_new());
        // At once, by a clock that stands still, she signs in again.
        let again = a.signed_in("ada").await;
        assert_eq!(b.open(&[&again]).await.principal().as_deref(), Some("ada"));
    });
}

#[test]
fn all_others_end_with_the_login_that_changes_a_password() {
    simulated(async {
        let (ring, clock) = (KeyRing::generate(), ManualClock::default());
        let node = Node::with(with_epochs(&ring, MemoryStore::new()), Policy::default(), &clock);
        let stolen = node.signed_in("ada").await;
        let session = node.open(&[&stolen]).await;
        session.log_in("ada").unwrap();
        // There is no new key to spare yet, and the old one is the thief's as well.
        assert_eq!(session.key(), None);
        node.sessions.end_all("ada", session.key()).await.unwrap();
        let new = node.sealed(&session).await;
        assert!(node.open(&[&stolen]).await.is_new());
        assert_eq!(node.open(&[&new]).await.principal().as_deref(), Some("ada"));
    });
}

#[test]
fn a_login_under_way_while_all_are_ended_is_ended_too() {
    simulated(async {
        let (ring, clock) = (KeyRing::generate(), ManualClock::default());
        let plain: Arc<dyn Store> = Arc::new(MemoryStore::new());
        let hooked = Hooked::new(Arc::clone(&plain));
        let a = Node::with(with_epochs(&ring, hooked.clone()), Policy::default(), &clock);
        let b = Node::with(with_epochs(&ring, plain), Policy::default(), &clock);
        let ending = b.sessions.clone();
        hooked.after(Call::Load, 1, async move {
            ending.end_all("ada", None).await.unwrap();
            Ok(())
        });
        let text = a.signed_in("ada").await;
        assert!(a.open(&[&text]).await.is_new());
    });
}

#[test]
fn epochs_that_do_not_answer_are_not_a_logout() {
    simulated(async {
        let ring = KeyRing::generate();
        let failing: Failing = Wrapped::around(Arc::new(MemoryStore::new()), Plan::default());
        let node = Node::new(with_epochs(&ring, failing.clone()));
        let (text, anonymous) = (node.signed_in("ada").await, node.visited(1).await);
        failing.fail(1, Fail::Before);
        assert!(!node.open(&[&anonymous]).await.is_new(), "nobody asks for the anonymous");
        let opened = node.try_open(&[&text]).await;
        assert!(matches!(opened, Err(Error::Store(_))), "{opened:?}");
        for fail in [Fail::Before, Fail::After] {
            failing.fail(1, fail);
            let session = node.open(&[&anonymous]).await;
            session.log_in("ada").unwrap();
            let finished = node.sessions.finish(&session).await;
            assert!(matches!(finished, Err(Error::Store(_))), "nothing was done: {finished:?}");
            assert_eq!(session.take_reply(), None);
        }
        assert_eq!(node.open(&[&text]).await.principal().as_deref(), Some("ada"));
    });
}

#[test]
fn epochs_that_hang_are_left_at_the_deadline() {
    simulated(async {
        let ring = KeyRing::generate();
        let hanging = Wrapped::around(Arc::new(MemoryStore::new()), Switch::default());
        let node = Node::new(with_epochs(&ring, hanging.clone()));
        let text = node.signed_in("ada").await;
        hanging.hang();
        let opened = node.try_open(&[&text]).await;
        assert!(matches!(opened, Err(Error::Store(_) | Error::DeadlinePassed)), "{opened:?}");
    });
}

#[test]
fn an_epoch_that_cannot_be_read_is_never_taken_for_none() {
    simulated(async {
        let (ring, store) = (KeyRing::generate(), Arc::new(MemoryStore::new()));
        let node = Node::new(with_epochs(&ring, Arc::clone(&store)));
        let text = node.signed_in("ada").await;
        let key = Key::named(Kind::Application, "epoch of ada");
        let mut record = cloakroom_core::Record::new(None, node.sessions.now());
        let version = cloakroom_core::record::CommitId::random();
        let field = cloakroom_core::record::Field { version, bytes: "\"soon\"".into() };
        record.fields.insert("epoch", field);
        let _ = store.create(key, &record, None, node.sessions.now()).await.unwrap();
        let opened = node.try_open(&[&text]).await;
        assert!(matches!(opened, Err(Error::Store(_))), "{opened:?}");
    });
}

#[test]
fn a_request_asks_for_the_epoch_once() {
    simulated(async {
        let ring = KeyRing::generate();
        let counting = Counting::new(Arc::new(MemoryStore::new()));
        let node = Node::new(with_epochs(&ring, counting.clone()));
        let text = node.signed_in("ada").await;
        assert_eq!(counting.take(), [(Call::Load, 1)].into());
        let session = node.open(&[&text]).await;
        session.set(VISITS, &1).unwrap();
        node.sealed(&session).await;
        assert_eq!(counting.take(), [(Call::Load, 1)].into());
        node.visited(1).await;
        assert_eq!(counting.total(), 0);
    });
}

#[test]
fn behind_a_cache_it_asks_for_nothing_and_hears_of_a_new_epoch() {
    simulated(async {
        let ring = KeyRing::generate();
        let [a, b] = <[Fed; 2]>::try_from(Fed::handles(MemoryStore::new(), 2)).unwrap();
        let counting = Counting::new(Arc::new(a));
        let cached = near::near(counting.clone(), NearOptions::default()).await;
        let node = Node::new(with_epochs(&ring, cached));
        let other = Node::with(with_epochs(&ring, b), Policy::default(), &node.clock);
        let text = node.signed_in("ada").await;
        for _ in 0..3 {
            assert!(!node.open(&[&text]).await.is_new());
        }
        counting.take();
        for _ in 0..10 {
            assert!(!node.open(&[&text]).await.is_new());
        }
        assert_eq!(counting.total(), 0);
        other.sessions.end_all("ada", None).await.unwrap();
        TokioTimer.sleep(Duration::from_secs(2)).await;
        assert!(node.open(&[&text]).await.is_new());
    });
}
