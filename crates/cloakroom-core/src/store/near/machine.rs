//! What a near cache serves, keeps and drops: a pure state machine for the keys of one shard.
//!
//! It knows the sources that are up, the entries, and the calls that are under way. Every call
//! that may bring a record or change one holds a **ticket**. What it brings is kept only where
//! nothing has happened meanwhile that could have made it old.

mod told;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use quick_cache::DefaultHashBuilder;

use super::super::feed::Source;
use super::super::reading::Wanted;
use crate::record::{Mark, Record};
use crate::time::Timestamp;
use crate::token::Key;

/// A record that is kept.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) record: Arc<Record>,
    /// What tells of its next change.
    pub(super) source: Source,
    /// Since when it is kept.
    since: Duration,
}

/// Where entries are kept. It may forget any of them at any time.
pub(super) trait Entries {
    fn get(&self, key: &Key) -> Option<&Entry>;
    fn insert(&mut self, key: Key, entry: Entry);
    fn remove(&mut self, key: &Key);
    /// Whether an entry more can be kept without another one being forgotten for it.
    fn has_room(&self, entry: &Entry) -> bool;
    /// Forgets all that came from a source.
    fn forget(&mut self, source: Source);
}

/// The time of a reader: the one that sessions live by, and one that never goes back.
#[derive(Clone, Copy, Debug)]
pub(super) struct Moment {
    pub(super) now: Timestamp,
    pub(super) elapsed: Duration,
}

/// How long things hold.
#[derive(Clone, Copy, Debug)]
pub(super) struct Terms {
    /// For how long after a heartbeat was sent its source is trusted.
    pub(super) lease: Duration,
    /// For how long another node may have an older version than this one has.
    pub(super) settle: Duration,
}

/// What a reader gets.
#[derive(Debug)]
pub(super) enum Read<J> {
    /// This record, and whether no other node has an older one.
    Hit(Arc<Record>, bool),
    /// What this load brings, where it is what is wanted.
    Join(J),
    /// Nothing: the store has to be asked.
    Ask,
}

/// A call under way.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(super) struct Ticket {
    pub(super) key: Key,
    number: u64,
}

#[derive(Clone, Debug)]
pub(super) struct Machine<E, J> {
    pub(super) entries: E,
    pub(super) terms: Terms,
    sources: Vec<Tracked>,
    /// Since when a write is in doubt that was sent where nothing is tracked: any key's.
    unsure: Option<Duration>,
    /// Only keys that have a call under way, or in doubt.
    calls: HashMap<Key, Calls<J>, DefaultHashBuilder>,
    last: u64,
    #[cfg(test)]
    pub(super) without: &'static [Rule],
}

/// A source that is up.
#[derive(Clone, Copy, Debug)]
struct Tracked {
    source: Source,
    leased_until: Duration,
}

#[derive(Clone, Debug)]
struct Calls<J> {
    under_way: Vec<Call<J>>,
    doubts: Vec<Doubt>,
}

#[derive(Clone, Debug)]
struct Call<J> {
    number: u64,
    /// Where it was sent, if that was tracked.
    source: Option<Source>,
    /// Whether nothing has happened since that could have made its answer old.
    clean: bool,
    /// The highest version that is known since it was sent.
    floor: u64,
    /// Whether the source was trusted when it was sent.
    leased: bool,
    /// What others may wait for.
    join: Option<J>,
}

/// A write that was given up: it may still be carried out, and nobody may tell.
#[derive(Clone, Copy, Debug)]
struct Doubt {
    source: Source,
    since: Duration,
}

/// The rules by name: the model switches them off, to see what each is for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Rule {
    ServeUnderLease,
    ServeAboveFence,
    ServeFromTheSource,
    KeepCleanLoads,
    KeepWhatIsTracked,
    KeepAboveTheFloor,
    KeepCleanCommits,
    KeepTheNextVersion,
    BuildOnTheSource,
    BuildOnWhatIsHeld,
    JoinCleanLoads,
    JoinUnderLease,
    NoticesDrop,
    NoticesSpoil,
    DoubtWrites,
    ForgetWhenDown,
    LeaseFromSending,
    ToldNoticesSpoil,
}

impl<E: Entries, J: Clone> Machine<E, J> {
    pub(super) fn new(entries: E, terms: Terms) -> Self {
        Self {
            entries,
            terms,
            sources: Vec::new(),
            unsure: None,
            calls: HashMap::default(),
            last: 0,
            #[cfg(test)]
            without: &[],
        }
    }

    /// Whether a rule is in force: always, but in the model.
    #[cfg(not(test))]
    fn keeps(&self, _rule: Rule) -> bool {
        true
    }

    #[cfg(test)]
    fn keeps(&self, rule: Rule) -> bool {
        !self.without.contains(&rule)
    }

    // What readers get.

    /// What a reader gets whose call would go to `source`.
    pub(super) fn read(
        &self,
        key: &Key,
        wanted: &Wanted,
        source: Option<Source>,
        at: Moment,
    ) -> Read<J> {
        if let Some((record, settled)) = self.kept(key, wanted, source, at) {
            return Read::Hit(record, settled);
        }
        let joined = source.and_then(|source| self.joined(key, source, at.elapsed));
        joined.map_or(Read::Ask, Read::Join)
    }

    /// The record that is kept, where it is what is wanted, and whether no other node has an older
    /// one.
    pub(super) fn kept(
        &self,
        key: &Key,
        wanted: &Wanted,
        source: Option<Source>,
        at: Moment,
    ) -> Option<(Arc<Record>, bool)> {
        let (source, entry) = (source?, self.entries.get(key)?);
        let served = (entry.source == source || !self.keeps(Rule::ServeFromTheSource))
            && (self.is_leased(source, at.elapsed) || !self.keeps(Rule::ServeUnderLease))
            && self.is_wanted(wanted, &entry.record, at.now);
        let settled = at.elapsed >= entry.since.saturating_add(self.terms.settle);
        served.then(|| (Arc::clone(&entry.record), settled))
    }

    fn is_wanted(&self, wanted: &Wanted, record: &Record, now: Timestamp) -> bool {
        let fence = if self.keeps(Rule::ServeAboveFence) { wanted.at_least } else { 0 };
        Wanted { at_least: fence, ..*wanted }.is_met_by(record, now)
    }

    fn joined(&self, key: &Key, source: Source, elapsed: Duration) -> Option<J> {
        let leased = self.is_leased(source, elapsed);
        let calls = &self.calls.get(key)?.under_way;
        let may_join = |call: &&Call<J>| {
            (call.clean || !self.keeps(Rule::JoinCleanLoads))
                && (call.leased && leased || !self.keeps(Rule::JoinUnderLease))
                && call.source == Some(source)
        };
        calls.iter().filter(may_join).find_map(|call| call.join.clone())
    }

    fn is_tracked(&self, source: Source) -> bool {
        self.sources.iter().any(|tracked| tracked.source == source)
    }

    fn is_leased(&self, source: Source, elapsed: Duration) -> bool {
        let trusted =
            |tracked: &Tracked| tracked.source == source && elapsed < tracked.leased_until;
        self.sources.iter().any(trusted)
    }

    // What callers say.

    /// A call on `key` is sent to `source`.
    pub(super) fn send(&mut self, key: Key, source: Option<Source>, elapsed: Duration) -> Ticket {
        self.last += 1;
        let number = self.last;
        let source = source.filter(|source| self.is_tracked(*source));
        let leased = source.is_some_and(|source| self.is_leased(source, elapsed));
        let calls = self.calls.entry(key).or_insert_with(Calls::new);
        let clean = calls.doubts.is_empty() && self.unsure.is_none();
        calls.under_way.push(Call { number, source, clean, floor: 0, leased, join: None });
        Ticket { key, number }
    }

    /// Others may wait for what this call brings.
    pub(super) fn offer(&mut self, ticket: Ticket, join: J) {
        let calls = self.calls.get_mut(&ticket.key);
        let mut under_way = calls.into_iter().flat_map(|calls| &mut calls.under_way);
        if let Some(call) = under_way.find(|call| call.number == ticket.number) {
            call.join = Some(join);
        }
    }

    /// The record that a commit would be built on, as far as it is known here.
    pub(super) fn base(&self, key: &Key, source: Option<Source>) -> Option<Arc<Record>> {
        let entry = self.entries.get(key)?;
        let current = Some(entry.source) == source && self.is_tracked(entry.source);
        (current || !self.keeps(Rule::BuildOnTheSource)).then(|| Arc::clone(&entry.record))
    }

    /// A call has brought the record as it was while the call was under way.
    pub(super) fn brought(&mut self, ticket: Ticket, record: Arc<Record>, elapsed: Duration) {
        if let Some(call) = self.take(ticket) {
            self.keep(&call, ticket.key, record, elapsed);
        }
    }

    /// A call has changed nothing and brought nothing, or only read and was given up.
    pub(super) fn was_nothing(&mut self, ticket: Ticket) {
        drop(self.take(ticket));
    }

    /// A commit is done; `built` has the mark of the record that it was built on, and what it has
    /// made of that.
    pub(super) fn committed(
        &mut self,
        ticket: Ticket,
        version: u64,
        built: Option<(Mark, Arc<Record>)>,
        elapsed: Duration,
    ) {
        let Some(call) = self.take(ticket) else {
            return;
        };
        // What was built on anything but what is held lacks what came in between: a touch, which
        // keeps the version.
        let held = self.entries.get(&ticket.key).map(|entry| entry.record.mark);
        let after =
            built.filter(|(base, _)| held == Some(*base) || !self.keeps(Rule::BuildOnWhatIsHeld));
        self.raise(&ticket.key, version);
        let next = |record: &Arc<Record>| {
            record.version == version || !self.keeps(Rule::KeepTheNextVersion)
        };
        match after.map(|(_, after)| after).filter(next) {
            Some(after) if call.clean || !self.keeps(Rule::KeepCleanCommits) => {
                let call = Call { clean: true, ..call };
                self.keep(&call, ticket.key, after, elapsed);
            }
            _ => self.entries.remove(&ticket.key),
        }
    }

    /// A record is gone, as an answer said.
    pub(super) fn removed(&mut self, ticket: Ticket) {
        drop(self.take(ticket));
        self.changed(&ticket.key);
    }

    /// A call that may write was given up, or has no answer.
    pub(super) fn gave_up_writing(&mut self, ticket: Ticket, elapsed: Duration) {
        let Some(call) = self.take(ticket) else {
            return;
        };
        if !self.keeps(Rule::DoubtWrites) {
            return;
        }
        self.changed(&ticket.key);
        match call.source {
            Some(source) if self.is_tracked(source) => {
                let doubt = Doubt { source, since: elapsed };
                self.calls.entry(ticket.key).or_insert_with(Calls::new).doubts.push(doubt);
            }
            Some(_) => {}
            // Not noted by key: where nothing is ever tracked, there would be no end of them.
            None => self.unsure = Some(elapsed),
        }
    }

    fn take(&mut self, ticket: Ticket) -> Option<Call<J>> {
        let calls = self.calls.get_mut(&ticket.key)?;
        let at = calls.under_way.iter().position(|call| call.number == ticket.number)?;
        let call = calls.under_way.swap_remove(at);
        if calls.is_empty() {
            self.calls.remove(&ticket.key);
        }
        Some(call)
    }

    fn keep(&mut self, call: &Call<J>, key: Key, record: Arc<Record>, elapsed: Duration) {
        let version = record.version;
        let current =
            |source: &Source| self.is_tracked(*source) || !self.keeps(Rule::KeepWhatIsTracked);
        let source = call.source.filter(current);
        let clean = call.clean || !self.keeps(Rule::KeepCleanLoads);
        let new = version >= call.floor || !self.keeps(Rule::KeepAboveTheFloor);
        match (source, self.entries.get(&key)) {
            // Of two that disagree neither is kept: one of them is wrong about its source.
            (Some(source), Some(held))
                if held.source == source && held.record.version > version =>
            {
                self.entries.remove(&key);
            }
            (Some(source), held) if clean && new => {
                // The same once more is no younger.
                let same = |held: &&Entry| held.source == source && held.record.mark == record.mark;
                let since = held.filter(same).map_or(elapsed, |held| held.since);
                self.entries.insert(key, Entry { record, source, since });
            }
            _ => {}
        }
    }

    /// A version is known: what is older is dropped, and what is on its way and older not kept.
    fn raise(&mut self, key: &Key, version: u64) {
        if self.entries.get(key).is_some_and(|entry| entry.record.version < version) {
            self.entries.remove(key);
        }
        for call in self.under_way(key) {
            call.floor = call.floor.max(version);
        }
    }

    fn under_way(&mut self, key: &Key) -> impl Iterator<Item = &mut Call<J>> {
        self.calls.get_mut(key).into_iter().flat_map(|calls| &mut calls.under_way)
    }

    // What the feed says.

    /// A source is up.
    pub(super) fn up(&mut self, source: Source) {
        if !self.is_tracked(source) {
            self.sources.push(Tracked { source, leased_until: Duration::ZERO });
        }
    }

    /// A source is down, and does not come back.
    pub(super) fn down(&mut self, source: Source) {
        self.sources.retain(|tracked| tracked.source != source);
        if self.keeps(Rule::ForgetWhenDown) {
            self.entries.forget(source);
        }
        self.end_doubts(|doubt| doubt.source == source);
    }

    /// Everything that came from a source may be old: it begins anew, with nothing.
    pub(super) fn flushed(&mut self, source: Source) {
        for tracked in self.sources.iter_mut().filter(|tracked| tracked.source == source) {
            tracked.leased_until = Duration::ZERO;
        }
        self.entries.forget(source);
        let all = self.calls.values_mut().flat_map(|calls| &mut calls.under_way);
        for call in all.filter(|call| call.source == Some(source)) {
            call.clean = false;
        }
    }

    /// A record may have changed, or be gone.
    pub(super) fn changed(&mut self, key: &Key) {
        if self.keeps(Rule::NoticesDrop) {
            self.entries.remove(key);
        }
        if self.keeps(Rule::NoticesSpoil) {
            self.spoil(key);
        }
    }

    /// What is under way may bring what is old by now.
    fn spoil(&mut self, key: &Key) {
        for call in self.under_way(key) {
            call.clean = false;
        }
    }

    /// A record has come to a version.
    pub(super) fn reached(&mut self, key: &Key, version: u64) {
        self.raise(key, version);
    }

    /// A source has answered a heartbeat that was sent at `sent`.
    pub(super) fn beat(&mut self, source: Source, sent: Duration, answered: Duration) {
        let from = if self.keeps(Rule::LeaseFromSending) { sent } else { answered };
        let until = from.saturating_add(self.terms.lease);
        for tracked in self.sources.iter_mut().filter(|tracked| tracked.source == source) {
            tracked.leased_until = tracked.leased_until.max(until);
        }
        // What was given up before went ahead of the heartbeat, or goes nowhere.
        self.end_doubts(|doubt| doubt.since < sent && doubt.source == source);
        self.unsure.take_if(|since| *since < sent);
    }

    fn end_doubts(&mut self, ended: impl Fn(&Doubt) -> bool) {
        self.calls.retain(|_, calls| {
            calls.doubts.retain(|doubt| !ended(doubt));
            !calls.is_empty()
        });
    }
}

#[cfg(test)]
impl<E: Entries + Clone, J: Clone + std::hash::Hash> Machine<E, J> {
    /// The same machine, with every source trusted.
    pub(super) fn leased(&self) -> Self {
        let mut machine = self.clone();
        for tracked in &mut machine.sources {
            tracked.leased_until = Duration::MAX;
        }
        machine
    }

    /// What makes two states of one key the same.
    pub(super) fn digest(&self, key: &Key, hasher: &mut impl std::hash::Hasher) {
        use std::hash::Hash;
        let calls = self.calls.get(key);
        for call in calls.iter().flat_map(|calls| &calls.under_way) {
            let Call { number, source, clean, floor, leased, join } = call;
            (number, source, clean, floor, leased, join).hash(hasher);
        }
        for Doubt { source, since } in calls.iter().flat_map(|calls| &calls.doubts) {
            (source, since).hash(hasher);
        }
        for Tracked { source, leased_until } in &self.sources {
            (source, leased_until).hash(hasher);
        }
        if let Some(Entry { record, source, .. }) = self.entries.get(key) {
            (record.version, record.created_at.millis(), source).hash(hasher);
        }
    }
}

impl<J> Calls<J> {
    fn new() -> Self {
        Self { under_way: Vec::new(), doubts: Vec::new() }
    }

    fn is_empty(&self) -> bool {
        self.under_way.is_empty() && self.doubts.is_empty()
    }
}
