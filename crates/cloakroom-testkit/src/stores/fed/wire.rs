//! What one source's notices and heartbeats come by: at once, late, held, twice, merged, or not at
//! all.

use std::collections::{BTreeSet, HashSet, VecDeque};
use std::fmt;
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use cloakroom_core::Key;
use cloakroom_core::store::{FeedSource as Source, Notice, Notices, Result};
use tokio::sync::{Notify, oneshot};
use tokio::time::Instant;

use crate::dice::Dice;
use crate::stores::lost;

/// When what is told arrives.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub enum Pace {
    /// Before whoever has made the change is answered.
    #[default]
    AtOnce,
    /// So much later.
    After(Duration),
    /// When the test releases it.
    Held,
    /// Never: the wire is a black hole. Nothing is answered, and no new source comes up.
    Silent,
}

/// Whether what has not arrived yet is told together.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub enum Merge {
    /// It is not.
    #[default]
    No,
    /// Several changes of one record are told once.
    Records,
    /// Everything is told as one flush.
    All,
}

/// How a feed breaks its contract; for tests that show that this is noticed.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub enum Breach {
    /// It keeps it.
    #[default]
    None,
    /// It answers heartbeats and tells of nothing.
    Deaf,
    /// Heartbeats are answered before what there was to tell.
    BeatsOvertake,
}

/// How long calls travel, in microseconds each way: each in a task of its own, so that they overtake
/// each other, and happen also where their callers give them up.
#[derive(Clone, Debug)]
pub struct Lag {
    /// What decides.
    pub dice: Dice,
    /// How long each way takes.
    pub micros: Range<u64>,
}

/// One source, and the way to whoever follows it.
#[derive(Default)]
pub struct Wire {
    state: Mutex<State>,
    /// Wakes those who wait for a call to be over, or for the source to go down.
    changed: Notify,
}

#[derive(Default)]
struct State {
    ear: Option<Arc<dyn Notices>>,
    source: Option<Source>,
    /// Whether the test keeps new sources from coming up.
    is_unplugged: bool,
    pace: Pace,
    merge: Merge,
    repeats: bool,
    breach: Breach,
    lag: Option<Lag>,
    /// Whether a silent wire has swallowed something.
    has_lost: bool,
    /// The records that its follower has asked for since it was last told of them.
    tracked: HashSet<Key>,
    queue: VecDeque<Item>,
    /// The calls that were sent and are not carried out yet.
    calls: BTreeSet<u64>,
    last_call: u64,
    told: u64,
}

/// Something on its way.
struct Item {
    /// `None`: when the test releases it.
    due: Option<Instant>,
    what: What,
}

enum What {
    Notice(Notice),
    Answer(oneshot::Sender<()>),
}

/// A call that was sent and is not carried out yet.
pub(super) struct Sent {
    pub(super) wire: Arc<Wire>,
    pub(super) source: Option<Source>,
    number: u64,
}

impl Sent {
    pub(super) fn on(wire: &Arc<Wire>) -> Self {
        let mut state = wire.state();
        state.last_call += 1;
        let (number, source) = (state.last_call, state.source);
        state.calls.insert(number);
        drop(state);
        Self { wire: Arc::clone(wire), source, number }
    }

    /// Whether the call is carried out by the source that it was sent to.
    pub(super) fn is_by(&self, wire: &Arc<Wire>) -> bool {
        Arc::ptr_eq(&self.wire, wire) && self.wire.source() == self.source
    }
}

impl Drop for Sent {
    fn drop(&mut self) {
        self.wire.state().calls.remove(&self.number);
        self.wire.changed.notify_waiters();
    }
}

impl Wire {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    // What the test says.

    /// From now on, has what is told arrive so. What is on its way arrives as it was to, or now
    /// where nothing is to be late any more. A silent wire that is so no more comes up as a new
    /// source, where it has swallowed anything.
    pub fn set_pace(self: &Arc<Self>, pace: Pace) {
        let mut state = self.state();
        let was_silent = state.pace == Pace::Silent;
        state.pace = pace;
        if pace == Pace::Silent {
            return;
        }
        if was_silent && state.has_lost {
            state.go_down();
        }
        state.come_up();
        if pace != Pace::Held {
            state.release(usize::MAX);
        }
        drop(state);
        self.changed.notify_waiters();
    }

    /// Tells what has not arrived yet together from now on, or does not.
    pub fn set_merge(&self, merge: Merge) {
        self.state().merge = merge;
    }

    /// Tells everything twice from now on, or does not.
    pub fn set_repeats(&self, repeats: bool) {
        self.state().repeats = repeats;
    }

    /// Breaks the contract from now on, or keeps it.
    pub fn set_breach(&self, breach: Breach) {
        self.state().breach = breach;
    }

    /// Lets calls take a while from now on, or not.
    pub fn set_lag(&self, lag: Option<Lag>) {
        self.state().lag = lag;
    }

    /// Lets so many of the things that are held arrive; how many there were.
    pub fn release(&self, count: usize) -> usize {
        self.state().release(count)
    }

    /// Tells that everything may have changed.
    pub fn flush(self: &Arc<Self>) {
        let flushed = self.source().map(Notice::Flushed);
        self.state().tracked.clear();
        flushed.into_iter().for_each(|flushed| self.send(What::Notice(flushed)));
    }

    /// Cuts the wire, so that both ends notice; no source comes up before [`Wire::plug`].
    pub fn unplug(&self) {
        let mut state = self.state();
        state.is_unplugged = true;
        state.go_down();
        drop(state);
        self.changed.notify_waiters();
    }

    /// Lets a source come up again.
    pub fn plug(&self) {
        let mut state = self.state();
        state.is_unplugged = false;
        state.come_up();
    }

    /// How many notices have arrived, flushes among them.
    pub fn told(&self) -> u64 {
        self.state().told
    }

    // What the feed does.

    pub(super) fn lag(&self) -> Option<(Duration, Duration)> {
        let lag = self.state().lag.clone()?;
        Some((lag.dice.micros(&lag.micros), lag.dice.micros(&lag.micros)))
    }

    pub(super) fn source(&self) -> Option<Source> {
        self.state().source
    }

    pub(super) fn follow(&self, ear: &Arc<dyn Notices>) {
        let mut state = self.state();
        state.go_down();
        state.ear = Some(Arc::clone(ear));
        state.come_up();
        drop(state);
        self.changed.notify_waiters();
    }

    pub(super) fn reset(&self, source: Source) {
        let mut state = self.state();
        if state.source != Some(source) {
            return;
        }
        state.go_down();
        state.come_up();
        drop(state);
        self.changed.notify_waiters();
    }

    /// Completes when `source` is up no more; where there was none, never.
    pub(super) async fn is_cut_from(&self, source: Option<Source>) {
        match source {
            Some(source) => self.wait_until(|state| state.source != Some(source)).await,
            None => std::future::pending().await,
        }
    }

    async fn wait_until(&self, is_so: impl Fn(&State) -> bool) {
        loop {
            let mut changed = std::pin::pin!(self.changed.notified());
            changed.as_mut().enable();
            if is_so(&self.state()) {
                return;
            }
            changed.await;
        }
    }

    /// Remembers to tell of the record's next change.
    pub(super) fn track(&self, key: Key) {
        self.state().tracked.insert(key);
    }

    /// Tells of a change.
    pub(super) fn tell(self: &Arc<Self>, notice: Notice) {
        self.send(What::Notice(notice));
    }

    /// Tells of a change of `key`, once, where the follower has asked for the record.
    pub(super) fn tell_if_tracked(self: &Arc<Self>, key: Key, notice: Notice) {
        if self.state().tracked.remove(&key) {
            self.tell(notice);
        }
    }

    /// Tells of every record that the follower has asked for.
    pub(super) fn tell_of_all(self: &Arc<Self>) {
        let mut tracked: Vec<Key> = self.state().tracked.drain().collect();
        tracked.sort_unstable();
        tracked.into_iter().for_each(|key| self.send(What::Notice(Notice::Changed(key))));
    }

    /// Tells what comes with the answer to a call.
    pub(super) fn hear_aside(&self, notice: Notice) {
        self.state().hear(notice);
    }

    pub(super) async fn beat(self: &Arc<Self>, source: Source) -> Result<()> {
        let State { last_call: last, breach, .. } = *self.state();
        let is_over = |state: &State| state.calls.iter().all(|call| *call > last);
        self.wait_until(is_over).await;
        let (tell, told) = oneshot::channel();
        if self.source() != Some(source) {
            return Err(lost());
        }
        match breach {
            Breach::BeatsOvertake if self.state().pace != Pace::Silent => return Ok(()),
            _ => self.send(What::Answer(tell)),
        }
        told.await.map_err(|_| lost())
    }

    fn send(self: &Arc<Self>, what: What) {
        let later = self.state().send(what);
        let Some(due) = later else { return };
        let this = Arc::clone(self);
        tokio::spawn(async move {
            tokio::time::sleep_until(due).await;
            this.state().arrive();
        });
    }
}

impl State {
    fn go_down(&mut self) {
        // What has asked for an answer is told that there will be none.
        self.queue.clear();
        self.tracked.clear();
        self.has_lost = false;
        if let Some(source) = self.source.take() {
            self.hear(Notice::Down(source));
        }
    }

    fn come_up(&mut self) {
        let may = !self.is_unplugged && self.pace != Pace::Silent && self.ear.is_some();
        if may && self.source.is_none() {
            let source = Source::unique();
            self.source = Some(source);
            self.hear(Notice::Up(source));
        }
    }

    fn hear(&self, notice: Notice) {
        if let Some(ear) = &self.ear {
            ear.hear(notice);
        }
    }

    /// Sends something off; when to look for it, where it takes a while.
    fn send(&mut self, what: What) -> Option<Instant> {
        let is_notice = matches!(what, What::Notice(_));
        if self.source.is_none() || is_notice && self.breach == Breach::Deaf {
            return None;
        }
        let now = Instant::now();
        let due = match self.pace {
            Pace::AtOnce => Some(now),
            Pace::After(late) => Some(now + late),
            Pace::Held => None,
            Pace::Silent if is_notice => {
                self.has_lost = true;
                return None;
            }
            Pace::Silent => None,
        };
        match what {
            What::Notice(notice) => self.put(notice, due),
            What::Answer(_) => self.queue.push_back(Item { due, what }),
        }
        self.arrive();
        due.filter(|due| *due > now)
    }

    /// Puts a notice in line, with what is there already where that is to be one.
    fn put(&mut self, notice: Notice, due: Option<Instant>) {
        let waits = |asked: &Notice| {
            let is_it = |item: &Item| matches!(&item.what, What::Notice(it) if it == asked);
            self.queue.iter().any(is_it)
        };
        match (self.merge, &notice, self.source) {
            (Merge::Records, Notice::Changed(_), _) if waits(&notice) => {}
            (Merge::All, _, Some(source)) => {
                let flushed = Notice::Flushed(source);
                if !waits(&flushed) {
                    self.queue.retain(|item| matches!(item.what, What::Answer(_)));
                    self.queue.push_front(Item { due, what: What::Notice(flushed) });
                }
                self.tracked.clear();
            }
            _ => {
                for _ in 0..1 + usize::from(self.repeats) {
                    self.queue.push_back(Item { due, what: What::Notice(notice.clone()) });
                }
            }
        }
    }

    fn release(&mut self, count: usize) -> usize {
        let now = Instant::now();
        let held = self.queue.iter_mut().filter(|item| item.due.is_none());
        let released = held.take(count).map(|item| item.due = Some(now)).count();
        if self.pace == Pace::AtOnce {
            self.queue.iter_mut().for_each(|item| item.due = Some(now));
        }
        self.arrive();
        released
    }

    /// Lets arrive what is due, in its order.
    fn arrive(&mut self) {
        let now = Instant::now();
        let is_due = |item: &mut Item| item.due.is_some_and(|due| due <= now);
        while let Some(item) = self.queue.pop_front_if(is_due) {
            match item.what {
                What::Notice(notice) => {
                    self.told += 1;
                    self.hear(notice);
                }
                What::Answer(answer) => {
                    let _ = answer.send(());
                }
            }
        }
    }
}

impl fmt::Debug for Wire {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let State { source, pace, merge, repeats, .. } = &*self.state();
        write!(f, "Wire({source:?}, {pace:?}, {merge:?}, repeats: {repeats})")
    }
}
