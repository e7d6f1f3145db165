//! What the explored world is made of.

use std::sync::Arc;
use std::time::Duration;

use crate::record::{Mark, Record};
use crate::store::feed::Source;
use crate::store::near::machine::{Entries, Entry, Ticket};
use crate::time::Timestamp;
use crate::token::{Key, Kind};

/// One place for one entry.
#[derive(Clone, Default, Debug)]
pub(super) struct Slot(pub(super) Option<Entry>);

impl Entries for Slot {
    fn get(&self, _key: &Key) -> Option<&Entry> {
        self.0.as_ref()
    }

    fn insert(&mut self, _key: Key, entry: Entry) {
        self.0 = Some(entry);
    }

    fn remove(&mut self, _key: &Key) {
        self.0 = None;
    }

    fn has_room(&self, _entry: &Entry) -> bool {
        true
    }

    fn forget(&mut self, source: Source) {
        self.0.take_if(|entry| entry.source == source);
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(super) enum Work {
    Load,
    /// Adds this bit to the record's content.
    Commit(u64),
    /// A heartbeat, and when it was sent.
    Beat(u64),
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(super) enum Reply {
    /// Version and content, and the change by which it came to that.
    Loaded(u64, u64, u64),
    /// The version, and the change that it was.
    Done(u64, u64),
    /// The last change.
    Gone(u64),
    Beat(u64),
    Notice,
    /// A change, with the version and the content that it has led to, where there are any.
    Told(u64, Option<(u64, u64)>),
    /// Everything that there was has been told.
    Up,
}

/// A call that its caller waits for.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(super) struct Pending {
    pub(super) ticket: Ticket,
    pub(super) work: Work,
    /// Version and content of what a commit is built on.
    pub(super) base: Option<(u64, u64)>,
    /// When others joined it, and what they had seen.
    pub(super) joined: Vec<(u64, u64)>,
}

#[derive(Clone, Copy, Debug)]
pub(super) enum Event {
    Read,
    Commit,
    OtherCommits,
    OtherEnds,
    GiveUp(usize),
    Beat,
    Execute(usize),
    /// What a dead connection has left at the server happens.
    Haunt(usize),
    Deliver(usize),
    Tick,
    Cut,
    Connect,
    Evict,
    Move,
    FailOver,
}

pub(super) fn key() -> Key {
    Key::lowest(Kind::Session)
}

pub(super) fn record((version, content): (u64, u64)) -> Arc<Record> {
    let mut record = Record::new(None, Timestamp::from_millis(content));
    record.version = version;
    record.mark = Mark::from_bytes(&content.to_be_bytes()).unwrap();
    Arc::new(record)
}

pub(super) fn ticks(ticks: u64) -> Duration {
    Duration::from_secs(ticks)
}
