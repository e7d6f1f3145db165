//! What one connection hears: who is in the cluster, and what changes in the map.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use cloakroom_core::Key;
use cloakroom_core::store::{FeedSource as Source, Notice, Notices, Place};
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::codec::answer::{self, Change, Count, Told};
use crate::codec::{Message, Uuid, data};
use crate::ledger::{Judgement, Ledger};
use crate::wire::Ears;

/// How many changes may be heard of before it is known where the count stands.
const MOST_EARLY: usize = 100_000;
/// How many keys of calls that were given up are remembered.
const MOST_GIVEN_UP: usize = 10_000;

/// What a connection hears, and tells a follower of.
pub(crate) struct Watch {
    /// As whom this connection makes changes.
    own: Uuid,
    map: String,
    state: Mutex<State>,
    /// Something was heard.
    heard: Notify,
}

#[derive(Default)]
struct State {
    /// How many partitions there are; none before we are let in.
    partitions: i32,
    /// The member that this connection leads to.
    member: Option<Uuid>,
    members: Option<Vec<Uuid>>,
    ledger: Option<Ledger>,
    /// What was heard of since somebody began to ask where the count stands.
    early: Vec<Count>,
    up: Option<(Source, Arc<dyn Notices>)>,
    raising: Raising,
    /// The keys of our own changes that nobody waits for any more.
    given_up: HashSet<Key>,
    /// There are too many of these: our own changes are told like all others.
    tells_all: bool,
    closed: bool,
}

/// Whether somebody makes this a source.
#[derive(Clone, Copy, Default)]
enum Raising {
    #[default]
    Never,
    Now,
    NotBefore(Instant),
}

impl Watch {
    pub(crate) fn new(own: Uuid, map: &str) -> Self {
        Self { own, map: map.to_owned(), state: Mutex::default(), heard: Notify::new() }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes who has let us in, and how many partitions there are.
    pub(crate) fn let_in(&self, member: Option<Uuid>, partitions: i32) {
        let mut state = self.lock();
        state.member = member;
        state.partitions = partitions;
    }

    pub(crate) fn partition(&self, key: &[u8]) -> i32 {
        data::partition(key, self.partitions())
    }

    pub(crate) fn partitions(&self) -> i32 {
        self.lock().partitions
    }

    /// The members that keep data; none where nobody has said so yet.
    pub(crate) fn members(&self) -> Vec<Uuid> {
        self.lock().members.clone().unwrap_or_default()
    }

    /// The members that keep data, but for the one that this connection leads to.
    pub(crate) fn others(&self) -> Vec<Uuid> {
        let state = self.lock();
        let members = state.members.iter().flatten().copied();
        members.filter(|member| Some(*member) != state.member).collect()
    }

    /// Waits until it is known who is in the cluster.
    pub(crate) async fn introduced(&self) {
        self.until(|state| state.members.is_some() || state.closed).await;
    }

    async fn until(&self, is_so: impl Fn(&State) -> bool) {
        loop {
            let heard = self.heard.notified();
            if is_so(&self.lock()) {
                return;
            }
            heard.await;
        }
    }

    /// The source that this connection is now.
    pub(crate) fn source(&self) -> Option<Source> {
        self.lock().up.as_ref().map(|(source, _)| *source)
    }

    /// Begins to make this a source, where nobody does.
    pub(crate) fn begin(&self) -> bool {
        let mut state = self.lock();
        let may = match state.raising {
            Raising::Never => true,
            Raising::Now => false,
            Raising::NotBefore(then) => Instant::now() >= then,
        };
        let begins = may && state.up.is_none() && !state.closed;
        if begins {
            state.raising = Raising::Now;
            state.ledger = None;
            state.early.clear();
        }
        begins
    }

    /// Stops making this a source; nobody tries again for a while.
    pub(crate) fn rest(&self, pause: Duration) {
        let mut state = self.lock();
        if matches!(state.raising, Raising::Now) {
            state.raising = Raising::NotBefore(Instant::now() + pause);
        }
    }

    /// Notes where the count stands; `false` where it is not known of every partition.
    pub(crate) fn open(&self, counts: &[Count]) -> bool {
        let mut state = self.lock();
        let Some(mut ledger) = Ledger::open(state.partitions, counts) else {
            return false;
        };
        let early = std::mem::take(&mut state.early);
        let is_whole =
            early.len() < MOST_EARLY && early.into_iter().all(|count| ledger.note(count));
        state.ledger = is_whole.then_some(ledger);
        is_whole
    }

    /// Up to which change of each partition nothing is missing now.
    pub(crate) fn marks(&self) -> Option<Vec<i64>> {
        self.lock().ledger.as_ref().map(Ledger::marks)
    }

    /// Waits until everything was heard of that members counted after the marks were `before`;
    /// `false` where that cannot be known any more.
    pub(crate) async fn proves(&self, counts: &[Count], before: &[i64]) -> bool {
        let judge = |state: &State| match &state.ledger {
            Some(ledger) => ledger.judge(counts, before),
            None => Judgement::Broken,
        };
        self.until(|state| judge(state) != Judgement::Waiting).await;
        judge(&self.lock()) == Judgement::Proven
    }

    /// Becomes a source, where nothing came between.
    pub(crate) fn come_up(&self, notices: Arc<dyn Notices>) {
        let mut state = self.lock();
        if state.ledger.is_some() && state.up.is_none() && !state.closed {
            let source = Source::unique();
            notices.hear(Notice::Up(source));
            state.up = Some((source, notices));
            state.raising = Raising::Never;
        }
    }

    /// Is no source any more, where it is this one.
    pub(crate) fn fall(&self, source: Source) {
        let mut state = self.lock();
        if state.up.as_ref().is_some_and(|(up, _)| *up == source) {
            state.fall();
        }
        drop(state);
        self.heard.notify_waiters();
    }

    /// Notes that nobody knows any more what becomes of a change of ours: it is told like any
    /// other from now on.
    pub(crate) fn give_up(&self, key: Key) {
        let mut state = self.lock();
        if state.given_up.len() < MOST_GIVEN_UP {
            state.given_up.insert(key);
        } else {
            state.tells_all = true;
        }
    }

    fn change(&self, change: &Change) {
        let mut state = self.lock();
        let key = change.key.clone().unwrap_or_else(|| data::of_text(&self.map));
        let count = change.uuid.map(|uuid| Count {
            partition: data::partition(&key, state.partitions),
            uuid,
            sequence: change.sequence,
        });
        let is_counted = match (&mut state.ledger, count) {
            (Some(ledger), Some(count)) => ledger.note(count),
            (None, Some(count)) => {
                if state.early.len() < MOST_EARLY {
                    state.early.push(count);
                }
                true
            }
            (_, None) => false,
        };
        state.tell(change, self.own);
        if !is_counted {
            state.fall();
        }
    }
}

impl State {
    fn tell(&self, change: &Change, own: Uuid) {
        let Some((source, notices)) = &self.up else {
            return;
        };
        let Some(name) = &change.key else {
            return notices.hear(Notice::Flushed(*source));
        };
        // What is no place of ours is of no interest.
        let place = data::text(name).and_then(|text| text.parse().ok());
        if let Some(Place::Record(key)) = place
            && (change.by != Some(own) || self.tells_all || self.given_up.contains(&key))
        {
            notices.hear(Notice::Changed(key));
        }
    }

    fn fall(&mut self) {
        self.ledger = None;
        self.early.clear();
        if let Some((source, notices)) = self.up.take() {
            notices.hear(Notice::Down(source));
        }
    }
}

impl Ears for Watch {
    fn hear(&self, event: &Message) {
        match answer::told(event) {
            Ok(Told::Changed(change)) => self.change(&change),
            Ok(Told::Members(members)) => {
                let mut state = self.lock();
                // Whoever came or went may have taken part of the count along.
                if state.members.as_ref().is_some_and(|known| *known != members) {
                    state.fall();
                }
                state.members = Some(members);
            }
            // What is told late was counted long before, and is missed until then.
            Ok(Told::Late) | Err(_) => self.lock().fall(),
            Ok(Told::Other) => return,
        }
        self.heard.notify_waiters();
    }

    fn close(&self) {
        let mut state = self.lock();
        state.closed = true;
        state.fall();
        drop(state);
        self.heard.notify_waiters();
    }
}
