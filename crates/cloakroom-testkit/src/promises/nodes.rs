//! Two nodes over one store, with a clock that stands still.

use std::error::Error;
use std::ops::Deref;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use cloakroom_core::store::{
    Announce, Built, Capabilities, Created, Directory, Endings, Keep, Loaded,
    Result as StoreResult, Wanted,
};
use cloakroom_core::{
    Commit, Ending, Event, Guard, Key, Listener, Outcome, Policy, Record, Reply, Session, Sessions,
    Store, Timestamp, Token,
};

use super::client;
use crate::ManualClock;
use crate::fixture::Fixture;
use crate::stores::{Hooked, Intercept, Wrapped};

/// What a node's listener has heard. Its clones are the same ear.
#[derive(Clone, Debug, Default)]
pub struct Heard(Arc<Mutex<Ear>>);

#[derive(Debug, Default)]
struct Ear {
    endings: Vec<Ending>,
    events: Vec<Event>,
    deaf: bool,
}

impl Heard {
    /// The endings heard so far.
    pub fn endings(&self) -> Vec<Ending> {
        self.0.lock().unwrap().endings.clone()
    }

    /// The events heard so far.
    pub fn events(&self) -> Vec<Event> {
        self.0.lock().unwrap().events.clone()
    }

    /// From now on, fails to hear of endings, or hears them again.
    pub fn set_deaf(&self, deaf: bool) {
        self.0.lock().unwrap().deaf = deaf;
    }
}

#[async_trait]
impl Listener for Heard {
    fn on_event(&self, event: &Event) {
        self.0.lock().unwrap().events.push(event.clone());
    }

    async fn on_ended(&self, ending: &Ending) -> Result<(), Box<dyn Error + Send + Sync>> {
        let mut ear = self.0.lock().unwrap();
        if ear.deaf {
            return Err("deaf".into());
        }
        ear.endings.push(ending.clone());
        Ok(())
    }
}

/// Two nodes over one store.
#[derive(Clone, Debug)]
pub struct Nodes {
    /// One node.
    pub a: Sessions,
    /// The other.
    pub b: Sessions,
    /// The clock that both live by.
    pub clock: ManualClock,
    /// What both have heard.
    pub heard: Heard,
}

impl Nodes {
    /// Two nodes with the default policy.
    pub fn over(fixture: &Fixture) -> Self {
        Self::with(fixture, Policy::default())
    }

    /// Two nodes with a policy.
    pub fn with(fixture: &Fixture, policy: Policy) -> Self {
        Self::apart(fixture, fixture.node(0), fixture.node(1), policy)
    }

    /// Two nodes around whose calls something happens.
    pub fn around<I: Intercept>(
        fixture: &Fixture,
        intercept: I,
        policy: Policy,
    ) -> (Wrapped<I>, Self) {
        let a = Wrapped::around(fixture.node(0), intercept);
        let b = a.beside(fixture.node(1));
        let nodes = Self::apart(fixture, Arc::new(a.clone()), Arc::new(b), policy);
        (a, nodes)
    }

    /// One node over a store that is, perhaps, wrapped, and the other over another way to the same
    /// records.
    pub fn apart(fixture: &Fixture, a: Arc<dyn Store>, b: Arc<dyn Store>, policy: Policy) -> Self {
        let (clock, heard) = (ManualClock::default(), Heard::default());
        let node = |store| node(fixture, store, policy.clone(), &clock, [heard.clone()]);
        Self { a: node(a), b: node(b), clock, heard }
    }

    /// Both nodes, one after the other, for ever.
    pub fn in_turn(&self) -> impl Iterator<Item = &Sessions> {
        [&self.a, &self.b].into_iter().cycle()
    }

    /// A new session that `edit` has written to: its token.
    pub async fn create(&self, edit: impl FnOnce(&Session)) -> Token {
        let session = open(&self.a, &[]).await;
        edit(&session);
        sent(finish(&self.a, &session).await)
    }

    /// A new session in which `principal` is signed in: its token.
    pub async fn signed_in(&self, principal: &str) -> Token {
        self.create(|session| session.log_in(principal).unwrap()).await
    }

    /// How many sessions there are; where clients keep them, how many were made and not ended.
    pub async fn count(&self) -> u64 {
        if !self.a.is_sealed() {
            return self.a.count().await.unwrap();
        }
        let events = self.heard.events();
        let made = events.iter().filter(|event| matches!(event, Event::Created { .. })).count();
        (made - self.heard.endings().len()) as u64
    }
}

/// A node over a store whose clock nobody asks, with these listeners.
pub(super) fn node<L: Listener>(
    fixture: &Fixture,
    store: Arc<dyn Store>,
    policy: Policy,
    clock: &ManualClock,
    listeners: impl IntoIterator<Item = L>,
) -> Sessions {
    let builder = fixture.sessions(Arc::new(Timeless(store))).policy(policy);
    let builder = listeners
        .into_iter()
        .fold(builder.clock(clock.clone()), |builder, listener| builder.listener(listener));
    builder.build().expect("the policy is sound")
}

/// Two nodes over one store; things may happen in the middle of `a`'s calls to it, and `b` is who
/// does them. Whatever was hooked has to have happened in the end.
#[derive(Debug)]
pub(super) struct Interleaved {
    nodes: Nodes,
    /// Where to say what happens.
    pub(super) hooked: Hooked,
}

impl Interleaved {
    /// Two such nodes with the default policy.
    pub(super) fn over(fixture: &Fixture) -> Self {
        Self::with(fixture, Policy::default())
    }

    /// Two such nodes with a policy.
    pub(super) fn with(fixture: &Fixture, policy: Policy) -> Self {
        let (hooked, plain) = (Hooked::new(fixture.node(0)), fixture.node(1));
        let nodes = Nodes::apart(fixture, Arc::new(hooked.clone()), plain, policy);
        Self { nodes, hooked }
    }
}

impl Deref for Interleaved {
    type Target = Nodes;

    fn deref(&self) -> &Nodes {
        &self.nodes
    }
}

impl Drop for Interleaved {
    fn drop(&mut self) {
        let left = self.hooked.left();
        assert!(std::thread::panicking() || left.is_empty(), "this never happened: {left:?}");
    }
}

/// Opens a session as a request with these tokens would.
pub(super) async fn open(node: &Sessions, tokens: &[&Token]) -> Session {
    let tokens: Vec<Token> = tokens.iter().copied().cloned().collect();
    client::open(node, &tokens).await.unwrap()
}

/// Finishes a request that must go well.
pub(super) async fn finish(node: &Sessions, session: &Session) -> Option<Reply> {
    client::keep(session, node.finish(session).await.unwrap())
}

/// The token that a reply hands out.
pub(super) fn sent(reply: Option<Reply>) -> Token {
    match reply {
        Some(Reply::Send { token, .. }) => token,
        other => panic!("expected a token, not {other:?}"),
    }
}

/// A store whose clock nobody asks: these tests have a clock of their own, and a real server's
/// would tell them that it is wrong.
#[derive(Debug)]
struct Timeless(Arc<dyn Store>);

#[async_trait]
impl Store for Timeless {
    async fn load(&self, key: Key, now: Timestamp) -> StoreResult<Option<Record>> {
        self.0.load(key, now).await
    }

    async fn read(&self, key: Key, wanted: &Wanted, now: Timestamp) -> StoreResult<Option<Loaded>> {
        self.0.read(key, wanted, now).await
    }

    async fn create(
        &self,
        key: Key,
        record: &Record,
        seats: Option<usize>,
        now: Timestamp,
    ) -> StoreResult<Created> {
        self.0.create(key, record, seats, now).await
    }

    async fn commit(&self, key: Key, commit: &Commit, now: Timestamp) -> StoreResult<Outcome> {
        self.0.commit(key, commit, now).await
    }

    async fn commit_built(
        &self,
        key: Key,
        commit: &Commit,
        built: Built<'_>,
        now: Timestamp,
    ) -> StoreResult<Outcome> {
        self.0.commit_built(key, commit, built, now).await
    }

    async fn end(
        &self,
        key: Key,
        guard: &Guard,
        announce: Announce,
        now: Timestamp,
    ) -> StoreResult<Option<Record>> {
        self.0.end(key, guard, announce, now).await
    }

    async fn expire(&self, limit: usize, keep: Keep, now: Timestamp) -> StoreResult<Vec<Ending>> {
        self.0.expire(limit, keep, now).await
    }

    fn directory(&self) -> Option<&dyn Directory> {
        self.0.directory()
    }

    fn endings(&self) -> Option<&dyn Endings> {
        self.0.endings()
    }

    fn fence(&self) -> Option<Duration> {
        self.0.fence()
    }

    fn capabilities(&self) -> Capabilities {
        self.0.capabilities()
    }
}
