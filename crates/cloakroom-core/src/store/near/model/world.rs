//! A store, one node in front of it, and what is on its way between them: as small as it can be.

use std::collections::hash_map::DefaultHasher;
use std::collections::{BTreeMap, VecDeque};
use std::hash::{Hash, Hasher};
use std::time::Duration;

use super::parts::{Event, Pending, Reply, Slot, Work, key, record, ticks};
use super::scenes::{LEASE, PATIENCE, Scene, Wire};
use crate::store::feed::Source;
use crate::store::near::machine::{Machine, Moment, Read, Rule, Terms, Ticket};
use crate::store::reading::Wanted;
use crate::time::Timestamp;

/// The store, one node, and what is on its way between them.
#[derive(Clone, Debug)]
pub(super) struct World {
    wire: Wire,
    left: Scene,
    time: u64,
    /// The record in the store; version 0 where it has ended.
    version: u64,
    content: u64,
    /// What each version was, and when it was said to be replaced.
    history: BTreeMap<u64, (u64, Option<u64>)>,
    /// The highest version that the client has seen.
    seen: u64,
    bits: u32,
    pub(super) machine: Machine<Slot, Ticket>,
    pub(super) source: Option<Source>,
    /// A source that tells what there is, before it is up.
    coming: Option<Source>,
    sources: u64,
    /// The number of the last change, and of the last one that an answer has made known.
    changes: u64,
    known: u64,
    /// Whether somebody here was told that the record is gone.
    gone: bool,
    /// Whether the server remembers that this node has read the record.
    tracked: bool,
    beating: Option<u64>,
    pending: Vec<Pending>,
    up: VecDeque<(Option<Ticket>, Work)>,
    down: VecDeque<(Option<Ticket>, Reply)>,
    ghosts: Vec<Work>,
}

type Broken = Result<(), String>;

impl World {
    pub(super) fn new(wire: Wire, left: Scene, without: &'static [Rule]) -> Self {
        let terms = Terms { lease: ticks(LEASE), settle: ticks(9) };
        let mut machine = Machine::new(Slot::default(), terms);
        machine.without = without;
        let mut world = Self {
            wire,
            left,
            time: LEASE,
            version: 1,
            content: 0,
            history: BTreeMap::from([(1, (0, None))]),
            seen: 0,
            bits: 0,
            machine,
            source: None,
            coming: None,
            sources: 0,
            changes: 0,
            known: 0,
            gone: false,
            tracked: false,
            beating: None,
            pending: Vec::new(),
            up: VecDeque::new(),
            down: VecDeque::new(),
            ghosts: Vec::new(),
        };
        world.connect();
        while world.coming.is_some() {
            world.down.drain(..world.down.len() - 1);
            let (_, up) = world.down.pop_front().unwrap();
            world.deliver(None, up).unwrap();
        }
        world
    }

    pub(super) fn events(&self) -> Vec<Event> {
        let Scene { reads, commits, others, ends, give_ups, beats, ticks, .. } = self.left;
        let Scene { cuts, evictions, moves, failovers, .. } = self.left;
        let up = self.source.is_some();
        let listens = up || self.coming.is_some();
        let may = [
            (reads > 0, Event::Read),
            (commits > 0, Event::Commit),
            (others > 0 && self.version > 0, Event::OtherCommits),
            (ends > 0 && self.version > 0, Event::OtherEnds),
            (beats > 0 && up && self.beating.is_none(), Event::Beat),
            (ticks > 0, Event::Tick),
            (cuts > 0 && listens, Event::Cut),
            (!listens, Event::Connect),
            (evictions > 0 && self.machine.entries.0.is_some(), Event::Evict),
            (moves > 0 && up && !self.wire.tells(), Event::Move),
            (failovers > 0 && self.version > 1, Event::FailOver),
        ];
        let mut events: Vec<Event> =
            may.into_iter().filter(|(may, _)| *may).map(|(_, event)| event).collect();
        events.extend((0..self.up.len()).filter(|at| self.may_execute(*at)).map(Event::Execute));
        events.extend((0..self.down.len()).filter(|at| self.may_deliver(*at)).map(Event::Deliver));
        events.extend((0..self.ghosts.len()).map(Event::Haunt));
        if give_ups > 0 {
            events.extend((0..self.pending.len()).map(Event::GiveUp));
        }
        events
    }

    /// Apart, a heartbeat is answered after what was given up before it was sent.
    fn may_execute(&self, at: usize) -> bool {
        let is_given_up = |(ticket, work): &(Option<Ticket>, Work)| {
            !matches!(work, Work::Beat(_))
                && !self.pending.iter().any(|p| Some(p.ticket) == *ticket)
        };
        match (self.wire, self.up[at].1) {
            (Wire::Shared, _) => at == 0,
            (Wire::Apart, Work::Beat(_)) => !self.up.iter().take(at).any(is_given_up),
            _ => true,
        }
    }

    /// Apart, only what the feed says arrives in its order.
    fn may_deliver(&self, at: usize) -> bool {
        let of_feed = |reply: &Reply| {
            matches!(reply, Reply::Notice | Reply::Told(..) | Reply::Up | Reply::Beat(_))
        };
        match self.wire {
            Wire::Shared => at == 0,
            _ if of_feed(&self.down[at].1) => {
                !self.down.iter().take(at).any(|(_, reply)| of_feed(reply))
            }
            _ => true,
        }
    }

    /// Lets something happen; an error where a guarantee is broken.
    pub(super) fn step(&mut self, event: Event) -> Broken {
        let left = &mut self.left;
        match event {
            Event::Read => {
                left.reads -= 1;
                self.read()?;
            }
            Event::Commit => {
                left.commits -= 1;
                let bit = self.new_bit();
                self.send(Work::Commit(bit));
            }
            Event::OtherCommits => {
                left.others -= 1;
                let bit = self.new_bit();
                self.write(Some(bit), true);
                // The client may have been told there, and come here.
                self.acknowledge(self.version);
            }
            Event::OtherEnds => {
                left.ends -= 1;
                self.write(None, true);
                self.replaced_below(u64::MAX);
            }
            Event::GiveUp(at) => {
                left.give_ups -= 1;
                self.give_up(at);
            }
            Event::Beat => {
                left.beats -= 1;
                self.beating = Some(self.time);
                self.up.push_back((None, Work::Beat(self.time)));
            }
            Event::Execute(at) => {
                let (ticket, work) = self.up.remove(at).unwrap();
                let reply = self.execute(work, false);
                self.down.push_back((ticket, reply));
            }
            Event::Haunt(at) => {
                let work = self.ghosts.remove(at);
                let _ = self.execute(work, true);
            }
            Event::Deliver(at) => {
                let (ticket, reply) = self.down.remove(at).unwrap();
                self.deliver(ticket, reply)?;
            }
            Event::Tick => {
                left.ticks -= 1;
                self.time += 1;
                if self.beating.is_some_and(|sent| self.time > sent + PATIENCE) {
                    self.cut();
                }
            }
            Event::Cut => {
                left.cuts -= 1;
                self.cut();
            }
            Event::Connect => self.connect(),
            Event::Evict => {
                left.evictions -= 1;
                self.machine.entries.0 = None;
            }
            // The record goes to another server, which is listened to as well.
            Event::Move => {
                left.moves -= 1;
                self.tracked = false;
                self.connect();
            }
            Event::FailOver => {
                left.failovers -= 1;
                self.fail_over();
            }
        }
        self.check()
    }

    fn new_bit(&mut self) -> u64 {
        self.bits += 1;
        1 << self.bits
    }

    fn read(&mut self) -> Broken {
        let at = Moment { now: Timestamp::EPOCH, elapsed: ticks(self.time) };
        let wanted = Wanted { at_least: self.seen, opened_by: None };
        match self.machine.read(&key(), &wanted, self.source, at) {
            Read::Hit(..) if self.gone => Err("what was said to be gone is shown".to_owned()),
            Read::Hit(record, _) => self.show(record.version, self.time, self.seen),
            Read::Join(ticket) => {
                let mut pending = self.pending.iter_mut();
                let joined = pending.find(|pending| pending.ticket == ticket);
                joined.expect("it is under way").joined.push((self.time, self.seen));
                Ok(())
            }
            Read::Ask => {
                self.send(Work::Load);
                Ok(())
            }
        }
    }

    /// Somebody who asked at `asked` and had seen `seen` is shown a version.
    fn show(&mut self, version: u64, asked: u64, seen: u64) -> Broken {
        if version < seen {
            return Err(format!("who had seen {seen} is shown {version}"));
        }
        let replaced = self.history.get(&version).and_then(|(_, replaced)| *replaced);
        if let Some(replaced) = replaced.filter(|replaced| asked >= replaced + LEASE) {
            return Err(format!("{version}, replaced at {replaced}, is shown at {asked}"));
        }
        self.seen = self.seen.max(version);
        Ok(())
    }

    fn send(&mut self, work: Work) {
        let base = self.machine.base(&key(), self.source);
        let base = base.map(|base| (base.version, base.created_at.millis()));
        let ticket = self.machine.send(key(), self.source, ticks(self.time));
        if work == Work::Load {
            self.machine.offer(ticket, ticket);
        }
        self.pending.push(Pending { ticket, work, base, joined: Vec::new() });
        self.up.push_back((Some(ticket), work));
    }

    fn give_up(&mut self, at: usize) {
        let Pending { ticket, work, .. } = self.pending.remove(at);
        match work {
            Work::Load => self.machine.was_nothing(ticket),
            _ => self.machine.gave_up_writing(ticket, ticks(self.time)),
        }
    }

    /// What the store does with a call of this node, which is not told of its own changes.
    fn execute(&mut self, work: Work, tell: bool) -> Reply {
        let reply = match work {
            Work::Beat(sent) => return Reply::Beat(sent),
            _ if self.version == 0 => Reply::Gone(self.changes),
            Work::Load => Reply::Loaded(self.version, self.content, self.changes),
            Work::Commit(bit) => {
                self.write(Some(bit), tell);
                Reply::Done(self.version, self.changes)
            }
        };
        // A read has the next change told; a commit reads the record last.
        self.tracked |= !tell;
        reply
    }

    /// Changes the record, or ends it; and tells the node where it listens.
    fn write(&mut self, bit: Option<u64>, tell: bool) {
        match bit {
            Some(_) if self.version == 0 => return,
            Some(bit) => {
                self.version += 1;
                self.content |= bit;
                self.history.insert(self.version, (self.content, None));
            }
            None => self.version = 0,
        }
        self.changes += u64::from(self.wire.tells());
        let tracked = std::mem::take(&mut self.tracked);
        match self.wire {
            Wire::Shared if tracked && tell => self.down.push_back((None, Reply::Notice)),
            Wire::Apart if self.source.is_some() && tell => {
                self.down.push_back((None, Reply::Notice));
            }
            // Its own changes, too.
            _ if self.wire.tells() && (self.source.is_some() || self.coming.is_some()) => {
                self.tell_content();
            }
            _ => {}
        }
    }

    /// Tells what the record is now.
    fn tell_content(&mut self) {
        let content = (self.version > 0).then_some((self.version, self.content));
        self.down.push_back((None, Reply::Told(self.changes, content)));
    }

    fn acknowledge(&mut self, version: u64) {
        self.seen = self.seen.max(version);
        self.replaced_below(version);
    }

    /// Every version below one that is acknowledged is replaced by now.
    fn replaced_below(&mut self, version: u64) {
        for (_, replaced) in self.history.range_mut(..version).map(|(_, was)| was) {
            replaced.get_or_insert(self.time);
        }
    }

    fn deliver(&mut self, ticket: Option<Ticket>, reply: Reply) -> Broken {
        let elapsed = ticks(self.time);
        match (reply, self.source) {
            (Reply::Notice, _) => self.machine.changed(&key()),
            (Reply::Told(change, content), source) => {
                let source = source.or(self.coming).expect("it was cut with its source");
                self.hear(source, change, content);
            }
            (Reply::Up, _) => {
                self.source = self.coming.take();
                self.machine.up(self.source.expect("it was coming"));
            }
            (Reply::Beat(sent), Some(source)) => {
                self.beating = None;
                self.machine.beat(source, ticks(sent), elapsed);
            }
            _ => {}
        }
        let at = self.pending.iter().position(|pending| Some(pending.ticket) == ticket);
        let Some(Pending { ticket, work, base, joined }) = at.map(|at| self.pending.remove(at))
        else {
            return Ok(());
        };
        if let Reply::Loaded(_, _, change) | Reply::Done(_, change) | Reply::Gone(change) = reply {
            self.known = self.known.max(change);
        }
        match (reply, work) {
            (Reply::Loaded(version, content, _), _) => {
                self.machine.brought(ticket, record((version, content)), elapsed);
                for (asked, seen) in joined.into_iter().filter(|(_, seen)| version >= *seen) {
                    self.show(version, asked, seen)?;
                }
            }
            (Reply::Done(version, _), Work::Commit(bit)) => {
                let built = base.map(|(version, content)| {
                    let mark = record((version, content)).mark;
                    (mark, record((version + 1, content | bit)))
                });
                self.machine.committed(ticket, version, built, elapsed);
                self.acknowledge(version);
            }
            _ => {
                self.gone = true;
                self.machine.removed(ticket);
            }
        }
        Ok(())
    }

    /// A change is told. What is older than what is known here is told without its content, where
    /// the store is careful.
    fn hear(&mut self, source: Source, change: u64, content: Option<(u64, u64)>) {
        let old = change < self.known && self.wire != Wire::Careless;
        match content.filter(|_| !old) {
            Some(content) => self.machine.told(source, key(), record(content), ticks(self.time)),
            None => self.machine.changed(&key()),
        }
    }

    /// The feed's connection dies. On a shared one all calls die with it; what was sent may still
    /// happen, and is then told like anybody's.
    fn cut(&mut self) {
        let Some(source) = self.source.take().or(self.coming.take()) else {
            return;
        };
        self.machine.down(source);
        (self.tracked, self.beating) = (false, None);
        if self.wire != Wire::Shared {
            self.up.retain(|(ticket, _)| ticket.is_some());
            self.down.retain(|(ticket, _)| ticket.is_some());
            return;
        }
        self.down.clear();
        let left = std::mem::take(&mut self.up).into_iter().map(|(_, work)| work);
        self.ghosts.extend(left.filter(|work| matches!(work, Work::Commit(_))));
        while !self.pending.is_empty() {
            self.give_up(0);
        }
    }

    fn connect(&mut self) {
        self.sources += 1;
        let source = Source::numbered(self.sources);
        if self.wire.tells() {
            self.coming = Some(source);
            self.tell_content();
            self.down.push_back((None, Reply::Up));
            return;
        }
        self.machine.up(source);
        self.source = Some(source);
    }

    /// The last change is lost, and every connection. Who has seen it has seen too much.
    fn fail_over(&mut self) {
        self.cut();
        self.known = 0;
        self.ghosts.clear();
        self.history.remove(&self.version);
        self.version -= 1;
        self.content = self.history[&self.version].0;
        for (_, replaced) in self.history.values_mut() {
            *replaced = None;
        }
        self.seen = self.seen.min(self.version);
    }

    /// What holds for the entry in every state.
    fn check(&self) -> Broken {
        let (wanted, elapsed) = (Wanted::default(), Duration::ZERO);
        let at = Moment { now: Timestamp::EPOCH, elapsed };
        // With a lease that is always good, and to a stranger: what could be shown, sooner or later.
        let Read::Hit(record, _) = self.machine.leased().read(&key(), &wanted, self.source, at)
        else {
            return Ok(());
        };
        let (version, content) = (record.version, record.created_at.millis());
        if self.history.get(&version).is_none_or(|(was, _)| *was != content) {
            return Err(format!("wrong content under version {version}"));
        }
        let quiet = self.up.is_empty() && self.down.is_empty() && self.ghosts.is_empty();
        if quiet && version != self.version {
            return Err(format!("{version} stays for ever; there is {}", self.version));
        }
        Ok(())
    }

    pub(super) fn digest(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        let Self { left, time, version, content, history, seen, bits, sources, source, .. } = self;
        (left, time, version, content, history, seen, bits, sources, source).hash(&mut hasher);
        let Self { machine, tracked, beating, pending, up, down, ghosts, .. } = self;
        (tracked, beating, pending, up, down, ghosts).hash(&mut hasher);
        let Self { coming, changes, known, gone, .. } = self;
        (coming, changes, known, gone).hash(&mut hasher);
        machine.digest(&key(), &mut hasher);
        hasher.finish()
    }
}
