//! What a history is held to: a pure function of it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::time::Duration;

use super::{Answer, History, Left, Request, Seen, Work};

/// How many broken promises are told.
const MOST_TOLD: usize = 8;

/// What was promised.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Promised {
    /// For how long after a change was acknowledged another node may show what was before.
    pub stale: Duration,
}

/// What a history has in it.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Counts {
    /// Requests.
    pub requests: usize,
    /// Reads that were answered with a session.
    pub reads: usize,
    /// Additions that were acknowledged.
    pub acknowledged: usize,
    /// Additions whose outcome nobody knows.
    pub unknown: usize,
    /// Of these, the ones that were done.
    pub unknown_done: usize,
    /// Requests that were not done, and said so.
    pub refused: usize,
    /// Sessions.
    pub sessions: usize,
    /// Sessions whose end was acknowledged.
    pub ended: usize,
    /// Reads of a session after its end was acknowledged, within what was promised.
    pub late: usize,
    /// The latest of them, from the acknowledgement to the request.
    pub latest: Duration,
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} requests, {} reads; additions: {} acknowledged, {} unknown ({} done), 0 lost; \
             {} refused; sessions: {}, {} ended, 0 dropped, 0 revived; read after the end: {}, \
             at most {:?} after",
            self.requests,
            self.reads,
            self.acknowledged,
            self.unknown,
            self.unknown_done,
            self.refused,
            self.sessions,
            self.ended,
            self.late,
            self.latest,
        )
    }
}

impl std::ops::AddAssign for Counts {
    fn add_assign(&mut self, other: Self) {
        self.requests += other.requests;
        self.reads += other.reads;
        self.acknowledged += other.acknowledged;
        self.unknown += other.unknown;
        self.unknown_done += other.unknown_done;
        self.refused += other.refused;
        self.sessions += other.sessions;
        self.ended += other.ended;
        self.late += other.late;
        self.latest = self.latest.max(other.latest);
    }
}

/// Holds a history to what was promised: what there is in it, or what is broken.
///
/// # Errors
/// The promises that are broken, a line each.
pub fn check(history: &History, promised: Promised) -> Result<Counts, String> {
    let mut counts = counted(history);
    let mut broken = Vec::new();
    for (session, requests) in by_session(history) {
        let of = Of { session, requests, promised };
        of.no_value_is_made_up(&mut broken);
        of.additions_are_in_order(&mut broken);
        of.clients_never_go_back(&mut broken);
        of.own_notes_are_read(&mut broken);
        of.nothing_is_old(&mut broken);
        of.what_ended_stays_ended(&mut counts, &mut broken);
        of.what_lives_is_found(&mut broken);
        if let Some(left) = history.stored.get(&session) {
            of.nothing_is_lost(left.as_ref(), &mut counts, &mut broken);
            of.all_show(left.as_ref(), history, &mut broken);
        }
    }
    match broken.is_empty() {
        true => Ok(counts),
        false => {
            let all = broken.len();
            broken.truncate(MOST_TOLD);
            Err(format!("{all} promises are broken:\n{}", broken.join("\n")))
        }
    }
}

fn counted(history: &History) -> Counts {
    let count = |is: &dyn Fn(&Request) -> bool| history.requests.iter().filter(|r| is(r)).count();
    let adds = |request: &Request| matches!(request.work, Work::Add(_));
    Counts {
        requests: history.requests.len(),
        reads: count(&|r| r.work == Work::Read && r.seen().is_some()),
        acknowledged: count(&|r| adds(r) && r.seen().is_some()),
        unknown: count(&|r| adds(r) && r.answer == Answer::Unknown),
        refused: count(&|r| r.answer == Answer::NotDone),
        sessions: by_session(history).len(),
        ..Counts::default()
    }
}

fn by_session(history: &History) -> BTreeMap<u64, Vec<&Request>> {
    let mut sessions = BTreeMap::<u64, Vec<&Request>>::new();
    for request in &history.requests {
        if let Some(session) = request.session {
            sessions.entry(session).or_default().push(request);
        }
    }
    for requests in sessions.values_mut() {
        requests.sort_by_key(|request| request.asked);
    }
    sessions
}

impl Request {
    /// The session as it was seen, where it was.
    fn seen(&self) -> Option<Seen> {
        match self.answer {
            Answer::Done(seen) => Some(seen),
            _ => None,
        }
    }

    /// Whether it may have been done.
    fn may_be_done(&self) -> bool {
        !matches!(self.answer, Answer::NotDone | Answer::Absent)
    }

    fn came_after(&self, other: &Self) -> bool {
        self.asked > other.told
    }
}

/// One session's requests, as they were asked.
struct Of<'a> {
    session: u64,
    requests: Vec<&'a Request>,
    promised: Promised,
}

type Broken = Vec<String>;

impl<'a> Of<'a> {
    fn all(&self) -> impl Iterator<Item = &'a Request> {
        self.requests.iter().copied()
    }

    /// What was answered with a session as somebody saw it.
    fn sights(&self) -> impl Iterator<Item = (&'a Request, Seen)> {
        self.all().filter_map(|request| Some((request, request.seen()?)))
    }

    fn additions(&self) -> impl Iterator<Item = (&'a Request, u64)> {
        self.all().filter_map(|request| match request.work {
            Work::Add(mark) => Some((request, mark)),
            _ => None,
        })
    }

    /// Requests that have ended the session, or may have. A login that nobody knows of is undone by
    /// ending the session.
    fn ends(&self) -> impl Iterator<Item = &'a Request> {
        self.all().filter(|request| match request.work {
            Work::LogOut | Work::End => request.may_be_done(),
            Work::LogIn => request.answer == Answer::Unknown,
            _ => false,
        })
    }

    fn say(&self, broken: &mut Broken, what: &str, request: &Request) {
        broken.push(format!("session {}: {what}: {request:?}", self.session));
    }

    /// A count names one addition, of this session, that was asked for before.
    fn no_value_is_made_up(&self, broken: &mut Broken) {
        let mut marks = BTreeMap::new();
        for (request, seen) in self.sights() {
            if *marks.entry(seen.count).or_insert(seen.mark) != seen.mark {
                self.say(broken, "one count and two marks", request);
            }
            let wrote = |(adding, mark): &(&Request, u64)| {
                *mark == seen.mark && adding.may_be_done() && adding.asked < request.told
            };
            if seen.count > 0 && !self.additions().any(|addition| wrote(&addition)) {
                self.say(broken, "a mark that nobody left", request);
            }
        }
    }

    /// Acknowledged additions count one more each, and the later one more than the earlier.
    fn additions_are_in_order(&self, broken: &mut Broken) {
        let done: Vec<_> =
            self.additions().filter_map(|(request, _)| Some((request, request.seen()?))).collect();
        let mut numbers = BTreeSet::new();
        for (request, seen) in &done {
            if !numbers.insert(seen.count) {
                self.say(broken, "an update is lost: two additions made one count", request);
            }
        }
        let highest = Highest::of(done.iter().map(|(request, seen)| (*request, seen.count)));
        for (request, seen) in &done {
            if highest.before(request.asked.order) >= seen.count {
                self.say(broken, "an addition counts less than one before it", request);
            }
        }
    }

    /// A client that returns its fence reads what it wrote, and nothing older than what it read.
    fn clients_never_go_back(&self, broken: &mut Broken) {
        let clients: BTreeSet<usize> = self.all().filter(|r| r.fenced).map(|r| r.client).collect();
        for client in clients {
            let own: Vec<_> = self.sights().filter(|(r, _)| r.client == client).collect();
            let highest = Highest::of(own.iter().map(|(request, seen)| (*request, seen.count)));
            for (request, seen) in own {
                if highest.before(request.asked.order) > seen.count {
                    self.say(broken, "a client is sent back in time", request);
                }
            }
        }
    }

    /// A client's note is the last that it knows it wrote, or one of which it does not know.
    fn own_notes_are_read(&self, broken: &mut Broken) {
        for (request, seen) in self.sights().filter(|(request, _)| request.fenced) {
            if !self.may_note(request.client, seen.note, request) {
                self.say(broken, "a client does not read its own note", request);
            }
        }
    }

    fn may_note(&self, client: usize, note: u64, reader: &Request) -> bool {
        let notes = || {
            self.all().filter_map(move |request| match request.work {
                Work::Note(value) if request.client == client => Some((request, value)),
                _ => None,
            })
        };
        let known = notes().filter(|(r, _)| r.seen().is_some() && reader.came_after(r));
        let last = known.max_by_key(|(request, _)| request.told);
        let later =
            |request: &Request| request.answer == Answer::Unknown || !reader.came_after(request);
        note == last.map_or(0, |(_, value)| value)
            || notes().any(|(r, value)| value == note && later(r) && r.may_be_done())
    }

    /// Whatever was acknowledged long enough before is read by all, with a fence or without.
    fn nothing_is_old(&self, broken: &mut Broken) {
        let writes = self.additions().filter_map(|(request, _)| Some((request, request.seen()?)));
        let mut done: Vec<_> = writes.map(|(r, seen)| (r.told.at, seen.count)).collect();
        done.sort_unstable();
        let mut highest = 0;
        for (_, count) in &mut done {
            highest = highest.max(*count);
            *count = highest;
        }
        for (request, seen) in self.sights() {
            let Some(known) = request.asked.at.checked_sub(self.promised.stale) else {
                continue;
            };
            let before = done.partition_point(|(told, _)| *told < known);
            if before > 0 && done[before - 1].1 > seen.count {
                self.say(broken, "what is read is too old", request);
            }
        }
    }

    /// After its end was acknowledged a session takes no writes; the node that ended it shows it no
    /// more, and the others for no longer than was promised.
    fn what_ended_stays_ended(&self, counts: &mut Counts, broken: &mut Broken) {
        let over: Vec<_> = self.all().filter(|request| request.answer == Answer::Over).collect();
        counts.ended += usize::from(!over.is_empty());
        for (request, _) in self.sights() {
            for end in over.iter().filter(|end| request.came_after(end)) {
                let late = request.asked.at.saturating_sub(end.told.at);
                if request.work != Work::Read {
                    self.say(broken, "an ended session is written to", request);
                } else if request.node == end.node {
                    self.say(broken, "an ended session is read where it was ended", request);
                } else if late > self.promised.stale {
                    self.say(broken, &format!("an ended session is read {late:?} after"), request);
                } else {
                    counts.late += 1;
                    counts.latest = counts.latest.max(late);
                }
            }
        }
    }

    /// Nobody is told that a session is gone that nobody has ended, and whose token no login has
    /// replaced.
    fn what_lives_is_found(&self, broken: &mut Broken) {
        let gone = [Answer::Absent, Answer::Over];
        for request in self.all().filter(|request| gone.contains(&request.answer)) {
            let by =
                |other: &&Request| other.asked < request.told && !std::ptr::eq(*other, request);
            let replaced = |other: &&Request| {
                other.work == Work::LogIn
                    && other.may_be_done()
                    && other.told.order > request.token_of
            };
            let ends = matches!(request.work, Work::LogOut | Work::End);
            let is_end = ends && request.answer == Answer::Over;
            if !is_end
                && !self.ends().any(|end| by(&end))
                && !self.all().filter(replaced).any(|r| by(&r))
            {
                self.say(broken, "a session is dropped", request);
            }
        }
    }

    /// Every acknowledged addition is there in the end, and nothing but those and what is unknown.
    fn nothing_is_lost(&self, left: Option<&Left>, counts: &mut Counts, broken: &mut Broken) {
        let was_ended = self.all().any(|request| request.answer == Answer::Over);
        let Some(left) = left else {
            if self.ends().next().is_none() {
                broken.push(format!("session {}: dropped in the end", self.session));
            }
            return;
        };
        if was_ended {
            broken.push(format!("session {}: revived in the end", self.session));
        }
        let acknowledged = self.additions().filter(|(r, _)| r.seen().is_some()).count() as u64;
        let unknown = self.additions().filter(|(r, _)| r.answer == Answer::Unknown).count() as u64;
        let highest = self.sights().map(|(_, seen)| seen.count).max().unwrap_or(0);
        let least = acknowledged.max(highest);
        if left.count < least || left.count > acknowledged + unknown {
            broken.push(format!(
                "session {}: {} additions in the end, of {acknowledged} acknowledged, {unknown} \
                 unknown, and {highest} seen",
                self.session, left.count
            ));
        }
        let done = left.count.saturating_sub(acknowledged);
        counts.unknown_done += usize::try_from(done).unwrap_or(0);
        self.notes_are_kept(left, broken);
    }

    fn notes_are_kept(&self, left: &Left, broken: &mut Broken) {
        let clients: BTreeSet<usize> = self.all().map(|request| request.client).collect();
        let Some(last) = self.all().max_by_key(|request| request.told) else { return };
        let (mut asked, told) = (last.told, last.told);
        asked.order += 1;
        let reader = Request { asked, told, ..*last };
        for client in clients {
            let note = left.notes.get(&client).copied().unwrap_or(0);
            if !self.may_note(client, note, &reader) {
                let session = self.session;
                broken.push(format!("session {session}: the note {note} of {client} in the end"));
            }
        }
    }

    /// With nothing on its way, no node shows anything but what is stored.
    fn all_show(&self, left: Option<&Left>, history: &History, broken: &mut Broken) {
        for (node, shown) in history.shown.iter().enumerate() {
            let shown = shown.get(&self.session).and_then(Option::as_ref);
            if shown != left {
                let session = self.session;
                broken.push(format!("session {session}: {node} shows {shown:?}, not {left:?}"));
            }
        }
    }
}

/// The highest count that had been told before a moment.
struct Highest(Vec<(u64, u64)>);

impl Highest {
    fn of<'a>(told: impl Iterator<Item = (&'a Request, u64)>) -> Self {
        let mut told: Vec<_> = told.map(|(request, count)| (request.told.order, count)).collect();
        told.sort_unstable();
        let mut highest = 0;
        for (_, count) in &mut told {
            highest = highest.max(*count);
            *count = highest;
        }
        Self(told)
    }

    fn before(&self, order: u64) -> u64 {
        let before = self.0.partition_point(|(told, _)| *told < order);
        before.checked_sub(1).map_or(0, |last| self.0[last].1)
    }
}

#[cfg(test)]
mod tests;
