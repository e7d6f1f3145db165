//! Clients that read, add, note, sign in and out and end each other's sessions, each with its token
//! and its fence, as browsers keep them.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use cloakroom_core::store::Wanted;
use cloakroom_core::{
    Client as Caller, Error, Key, Reply, Session, Sessions, Slot, Store, Timer, Token,
};

use super::{Answer, COUNT, History, Left, MARK, Node, Recorder, Request, Seen, Work};
use crate::{Dice, TokioTimer};

/// Longer than any request takes.
const FOR_EVER: Duration = Duration::from_secs(3600);
/// How many of a hundred requests present the token before the last.
const OLD_TOKENS: u64 = 15;

/// Who asks, how often, and for how long.
#[derive(Clone, Debug)]
pub struct Plan {
    /// How many clients there are.
    pub clients: usize,
    /// How many tokens they share.
    pub jars: usize,
    /// For how long they ask.
    pub length: Duration,
    /// How long each thinks between two requests, in microseconds.
    pub think: Range<u64>,
    /// How many of a hundred requests write. Beside those, two sign in or out, or end a session.
    pub writes: u64,
    /// In how many of a hundred requests a client gives up.
    pub gives_up: u64,
    /// After how long, in microseconds.
    pub patience: Range<u64>,
}

impl Default for Plan {
    fn default() -> Self {
        Self {
            clients: 10,
            jars: 4,
            length: Duration::from_secs(20),
            think: 1_000..60_000,
            writes: 38,
            gives_up: 3,
            patience: 0..20_000,
        }
    }
}

impl Plan {
    /// One of several plans: with few sessions that are written all the time, or many that are
    /// mostly read, and with clients of more patience or less.
    pub fn by(dice: &Dice) -> Self {
        Self {
            jars: *dice.one_of(&[2, 4, 12]),
            writes: *dice.one_of(&[38, 10, 4]),
            gives_up: *dice.one_of(&[0, 3, 15]),
            patience: 0..*dice.one_of(&[2_000, 20_000, 400_000]),
            ..Self::default()
        }
    }
}

/// Has clients ask for as long as the plan says, and waits for them to be done: what they did and
/// were told.
pub async fn play(nodes: &Arc<[Node]>, plan: &Plan, dice: &Dice) -> Recorder {
    let recorder = Recorder::default();
    let jars: Arc<[Jar]> = (0..plan.jars).map(|_| Jar::default()).collect();
    let mut clients = Vec::new();
    for number in 0..plan.clients {
        let mut client = Client {
            number,
            fenced: number % 5 != 4,
            nodes: Arc::clone(nodes),
            jars: Arc::clone(&jars),
            plan: plan.clone(),
            dice: dice.fork(),
            recorder: recorder.clone(),
            fences: BTreeMap::new(),
        };
        clients.push(tokio::spawn(async move { client.live().await }));
    }
    for client in clients {
        if let Err(error) = client.await {
            std::panic::resume_unwind(error.into_panic());
        }
    }
    recorder
}

impl Recorder {
    /// What was written down, with what `store` has and what each node shows now that nothing is on
    /// its way any more.
    pub async fn conclude(&self, store: &dyn Store, nodes: &[Node]) -> History {
        let mut history = self.history();
        history.shown = vec![BTreeMap::new(); nodes.len()];
        for key in self.sessions() {
            let (number, now) = (self.number(key), nodes[0].sessions().now());
            for (node, shown) in nodes.iter().zip(&mut history.shown) {
                let read = node.sessions();
                let read = read.store().read(key, &Wanted::default(), now).await;
                let read = read.expect("read is answered");
                shown.insert(number, read.map(|loaded| Left::of(&loaded.record)));
            }
            let stored = store.load(key, now).await.expect("load is answered");
            history.stored.insert(number, stored.as_ref().map(Left::of));
        }
        history
    }
}

/// A token that several clients share, as the tabs of a browser do; and the one before it, which
/// some still present.
#[derive(Debug, Default)]
struct Jar(Mutex<Tokens>);

#[derive(Debug, Default)]
struct Tokens {
    held: Option<Held>,
    before: Option<Held>,
}

#[derive(Clone, Debug)]
struct Held {
    token: Token,
    session: u64,
    /// When it was handed out.
    of: u64,
}

impl Jar {
    fn tokens(&self) -> MutexGuard<'_, Tokens> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn get(&self) -> Option<Held> {
        self.tokens().held.clone()
    }

    fn before(&self) -> Option<Held> {
        self.tokens().before.clone()
    }

    /// Keeps what a request with `used` came to.
    fn keep(&self, used: Option<&Held>, work: Work, session: Option<u64>, told: &Told, of: u64) {
        let mut tokens = self.tokens();
        let held = tokens.held.as_ref();
        let same = held.map(|held| held.session) == used.map(|used| used.session);
        let is_over = match told.answer {
            Answer::Over => true,
            Answer::Absent => held.map(|h| &h.token) == used.map(|u| &u.token),
            Answer::Unknown => work == Work::LogIn,
            Answer::Done(_) | Answer::NotDone => false,
        };
        let next = match (&told.token, session) {
            (Some(token), Some(session)) if same => {
                Some(Held { token: token.clone(), session, of })
            }
            _ if same && is_over => None,
            _ => return,
        };
        let before = std::mem::replace(&mut tokens.held, next);
        tokens.before = before.or(tokens.before.take());
    }
}

/// What a client was told.
struct Told {
    answer: Answer,
    key: Option<Key>,
    token: Option<Token>,
    fence: Option<(u64, Duration)>,
}

impl Told {
    fn only(answer: Answer) -> Self {
        Self { answer, key: None, token: None, fence: None }
    }
}

struct Client {
    number: usize,
    fenced: bool,
    nodes: Arc<[Node]>,
    jars: Arc<[Jar]>,
    plan: Plan,
    dice: Dice,
    recorder: Recorder,
    /// For each session, the version last seen, and until when it is returned.
    fences: BTreeMap<Key, (u64, Duration)>,
}

impl Client {
    async fn live(&mut self) {
        let end = TokioTimer.elapsed() + self.plan.length;
        while TokioTimer.elapsed() < end {
            tokio::time::sleep(self.dice.micros(&self.plan.think)).await;
            let jar = self.dice.below(self.jars.len());
            let work = self.choose(jar);
            let held = self.jars[jar].get();
            let used = match work {
                Work::Read | Work::Add(_) | Work::Note(_) if self.dice.percent(OLD_TOKENS) => {
                    self.jars[jar].before().or(held)
                }
                _ => held,
            };
            self.request(jar, used, work).await;
        }
    }

    fn choose(&self, jar: usize) -> Work {
        let number = self.recorder.now().order;
        if self.jars[jar].get().is_none() {
            return Work::Add(number);
        }
        match self.dice.below(1000) {
            0..10 => Work::LogIn,
            10..13 => Work::LogOut,
            13..20 => Work::End,
            _ if self.dice.percent(self.plan.writes) => {
                if self.dice.percent(65) {
                    Work::Add(number)
                } else {
                    Work::Note(number)
                }
            }
            _ => Work::Read,
        }
    }

    async fn request(&mut self, jar: usize, used: Option<Held>, work: Work) {
        let node = self.dice.below(self.nodes.len());
        let visit = Visit {
            token: used.as_ref().map(|held| held.token.clone()),
            seen: self.seen(used.as_ref()),
            number: self.number,
            work,
            transacts: self.dice.percent(50),
        };
        let gives_up = self.dice.percent(self.plan.gives_up);
        let patience = if gives_up { self.dice.micros(&self.plan.patience) } else { FOR_EVER };
        let asked = self.recorder.now();
        let answer = self.nodes[node].ask(|sessions| visit.answered(sessions));
        let answer = tokio::time::timeout(patience, answer).await.unwrap_or(None);
        let told = answer.unwrap_or_else(|| Told::only(Answer::Unknown));
        let now = self.recorder.now();
        if let (Some(key), Some((version, lives))) = (told.key, told.fence) {
            self.fences.insert(key, (version, now.at + lives));
        }
        let of_used = used.as_ref().map(|held| held.session);
        // A login that finds its session gone begins another one.
        let made = told.key.map(|key| self.recorder.number(key));
        let begun = made.filter(|made| of_used != Some(*made));
        self.jars[jar].keep(used.as_ref(), work, begun.or(of_used), &told, now.order);
        let request = Request {
            client: self.number,
            fenced: self.fenced,
            node,
            session: begun.or(of_used),
            // An administrator's token does not matter.
            token_of: used.map_or(0, |held| if work == Work::End { u64::MAX } else { held.of }),
            work,
            asked,
            told: now,
            // A read that nobody waited for has done nothing.
            answer: match (work, told.answer) {
                (Work::Read, Answer::Unknown) => Answer::NotDone,
                (_, answer) => answer,
            },
        };
        self.recorder.note(request);
        if begun.is_some() && of_used.is_some() {
            self.recorder.note(Request { session: of_used, answer: Answer::Absent, ..request });
        }
    }

    /// What the client says that it has seen of the session.
    fn seen(&mut self, used: Option<&Held>) -> Option<u64> {
        self.fences.retain(|_, (_, until)| TokioTimer.elapsed() < *until);
        let (version, _) = self.fences.get(&used?.token.key())?;
        self.fenced.then_some(*version)
    }
}

/// One request, as a node gets it.
struct Visit {
    token: Option<Token>,
    seen: Option<u64>,
    number: usize,
    work: Work,
    transacts: bool,
}

impl Visit {
    async fn answered(self, sessions: Sessions) -> Told {
        if let (Work::End, Some(token)) = (self.work, &self.token) {
            return Told::only(match sessions.end(token.key()).await {
                Ok(true) => Answer::Over,
                Ok(false) => Answer::Absent,
                Err(error) => told_by(&error),
            });
        }
        let caller = Caller { seen: self.seen, ..Caller::default() };
        let Ok(session) = sessions.open(self.token.as_slice(), caller).await else {
            return Told::only(Answer::NotDone);
        };
        if self.token.is_some() && session.is_new() {
            return Told::only(Answer::Absent);
        }
        let (answer, token) = match self.work(&sessions, &session).await {
            Ok((Some(Reply::Clear), _)) => (Answer::Over, None),
            Ok((Some(Reply::Seal { .. }), _)) => unreachable!("histories are of stored sessions"),
            Ok((None, _)) if self.work == Work::LogOut => (Answer::Absent, None),
            Ok((Some(Reply::Send { token, .. }), seen)) => (Answer::Done(seen), Some(token)),
            Ok((None, seen)) => (Answer::Done(seen), None),
            Err(error) => (told_by(&error), None),
        };
        let fence = match answer {
            Answer::Done(_) => session.fence().zip(sessions.store().fence()),
            _ => None,
        };
        Told { answer, key: session.key(), token, fence }
    }

    /// What is handed out, and how the session was seen.
    async fn work(
        &self,
        sessions: &Sessions,
        session: &Session,
    ) -> Result<(Option<Reply>, Seen), Error> {
        match self.work {
            Work::Read | Work::End => {}
            Work::Add(mark) => {
                session.set(Slot::new(MARK), &mark)?;
                let add = |count: &mut u64| *count += 1;
                match self.transacts {
                    true => session.transact(Slot::new(COUNT), add).await?,
                    false => session.update(Slot::new(COUNT), add)?,
                }
            }
            Work::Note(value) => session.set(self.note(), &value)?,
            Work::LogIn => session.log_in("somebody")?,
            Work::LogOut => session.log_out()?,
        }
        // What was read, or is done, is known before the request's end: by then it may be over.
        let early = self.work == Work::Read || matches!(self.work, Work::Add(_)) && self.transacts;
        let seen = early.then(|| self.sight(session));
        let reply = sessions.finish(session).await?;
        Ok((reply, seen.unwrap_or_else(|| self.sight(session))))
    }

    fn note(&self) -> Slot<u64> {
        Slot::named(format!("note{}", self.number))
    }

    fn sight(&self, session: &Session) -> Seen {
        let number = |slot: Slot<u64>| session.get(slot).ok().flatten().unwrap_or(0);
        Seen {
            count: number(Slot::new(COUNT)),
            mark: number(Slot::new(MARK)),
            note: number(self.note()),
        }
    }
}

/// What an error tells a client of its work.
fn told_by(error: &Error) -> Answer {
    match error {
        Error::Store(_) => Answer::NotDone,
        Error::Ended | Error::Settling => Answer::Absent,
        Error::OutcomeUnknown | Error::DeadlinePassed | Error::Closed => Answer::Unknown,
        other => panic!("nothing else can go wrong here: {other}"),
    }
}
