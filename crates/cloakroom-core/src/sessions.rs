//! The only place that decides a session's life: opening, finishing, ending, sweeping.

mod builder;
mod drive;
mod entry;
mod live;
mod open;
mod queue;
#[cfg(feature = "sealed")]
mod sealed;
mod send;
mod sweep;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

pub use builder::Builder;
pub use entry::{Entry, OpenEntry};
pub use live::{Info, Live};
pub use sweep::Swept;

use crate::commit::{Guard, Outcome};
use crate::error::{Error, Result};
use crate::event::{Ended, Event, Listener};
use crate::keeping::Keeping;
use crate::policy::{Announcing, Policy};
use crate::session::{Reply, Session};
use crate::store::{Directory, Keep, Store, Wanted};
use crate::time::{Clock, Timer, Timestamp};
use crate::token::{Key, Kind};

/// The sessions of an application on this node. Clones are the same.
///
/// ```
/// # use std::time::Duration;
/// # use cloakroom_core::time::{Sleep, Timer};
/// # #[derive(Debug)]
/// # struct Never;
/// # impl Timer for Never {
/// #     fn sleep(&self, _: Duration) -> Sleep { Box::pin(std::future::pending()) }
/// #     fn elapsed(&self) -> Duration { Duration::ZERO }
/// # }
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// use cloakroom_core::{MemoryStore, Reply, Sessions, Slot};
///
/// const VISITS: Slot<u64> = Slot::new("visits");
///
/// let sessions = Sessions::builder(MemoryStore::new(), Never).build()?;
/// let session = sessions.open(&[], Default::default()).await?;
/// session.update(VISITS, |visits| *visits += 1)?;
/// let Some(Reply::Send { token, .. }) = sessions.finish(&session).await? else {
///     panic!("a new session has a token to hand out");
/// };
///
/// let again = sessions.open(&[token], Default::default()).await?;
/// assert_eq!(again.get(VISITS)?, Some(1));
/// # Ok(())
/// # }
/// # let mut example = std::pin::pin!(example());
/// # let mut context = std::task::Context::from_waker(std::task::Waker::noop());
/// # assert!(matches!(example.as_mut().poll(&mut context), std::task::Poll::Ready(Ok(()))));
/// ```
#[derive(Clone)]
pub struct Sessions {
    inner: Arc<Inner>,
}

struct Inner {
    store: Arc<dyn Store>,
    policy: Policy,
    clock: Arc<dyn Clock>,
    timer: Arc<dyn Timer>,
    listeners: Vec<Arc<dyn Listener>>,
    queues: Arc<queue::Queues>,
    keeping: Keeping,
}

impl fmt::Debug for Sessions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sessions").field("store", &self.inner.store).finish_non_exhaustive()
    }
}

impl Sessions {
    /// Begins to set up the sessions kept in `store`, with deadlines kept by `timer`.
    pub fn builder(store: impl Store, timer: impl Timer) -> Builder {
        Builder::new(Arc::new(store), Arc::new(timer))
    }

    /// The rules these sessions live under.
    pub fn policy(&self) -> &Policy {
        &self.inner.policy
    }

    /// Whether their clients keep them, sealed.
    pub fn is_sealed(&self) -> bool {
        self.inner.keeping.is_sealed()
    }

    /// The store that keeps them; where they are sealed, the one that keeps epochs, if there is one.
    pub fn store(&self) -> &dyn Store {
        &*self.inner.store
    }

    /// The present moment, by the clock that these sessions live by.
    pub fn now(&self) -> Timestamp {
        self.inner.clock.now()
    }

    /// Closes a request's session and commits what was edited: what the client has to be told.
    ///
    /// # Errors
    /// [`Error::Ended`] where there were edits and the session is gone. [`Error::Limit`] where one
    /// stands against them. Otherwise as for [`Session::commit`]. What an earlier commit of the
    /// same request has left for the client is then at [`Session::take_reply`].
    pub async fn finish(&self, session: &Session) -> Result<Option<Reply>> {
        if let Some(reply) = self.finish_unedited(session) {
            return Ok(reply);
        }
        // What comes in from here on is refused, not lost.
        let was_closed = session.close();
        let edited = session.is_edited();
        if was_closed {
            // The earlier commit's caller was told, but not those who have edited since.
            return if edited { Err(Error::OutcomeUnknown) } else { Ok(session.take_reply()) };
        }
        match session.sessions().drive(session, None).await? {
            // Whoever has only read need not know that the session is gone by now.
            Outcome::Gone if !edited => {}
            outcome => drop(outcome.done()?),
        }
        Ok(session.take_reply())
    }

    /// Finishes a request's session at once where there is nothing to commit, which is what most
    /// requests come to. `None`: it is still open, for [`Sessions::finish`].
    pub fn finish_unedited(&self, session: &Session) -> Option<Option<Reply>> {
        session.close_unedited(self.policy()).then(|| session.take_reply())
    }

    /// Ends a session, whoever's it is; whether there was one.
    pub async fn end(&self, key: Key) -> Result<bool> {
        self.end_session(key, &Guard::None).await
    }

    /// Ends a session of this principal's; whether there was one of theirs.
    pub async fn end_own(&self, principal: &str, key: Key) -> Result<bool> {
        self.end_session(key, &Guard::Principal(principal.to_owned())).await
    }

    async fn end_session(&self, key: Key, guard: &Guard) -> Result<bool> {
        self.inner.keeping.needs_store()?;
        Ok(key.kind() == Kind::Session && self.end_one(key, guard, Ended::Revoked).await?)
    }

    /// Ends all sessions of a principal but `except`, logins under way included; how many. One that
    /// cannot be ended does not keep the others; its error is told at the end. Of sealed sessions
    /// nobody knows how many there are: 0.
    ///
    /// # Errors
    /// Where sessions are sealed, [`Error::NoEpochs`] without a store for epochs.
    pub async fn end_all(&self, principal: &str, except: Option<Key>) -> Result<usize> {
        if let Some(ended) = self.inner.keeping.end_all(self, principal, except).await {
            return ended;
        }
        let directory = self.directory()?;
        self.call(directory.bar(principal, self.now())).await?;
        let listed = self.of_principal(principal).await?;
        let mut others: Vec<Key> = listed.iter().map(Info::key).collect();
        others.retain(|key| Some(*key) != except);
        let guard = Guard::Principal(principal.to_owned());
        let (ended, failed) = self.end_each(&others, &guard).await;
        failed.map_or(Ok(ended), Err)
    }

    /// Ends sessions one after the other, past those that cannot be ended: how many, and the first
    /// error.
    async fn end_each(&self, keys: &[Key], guard: &Guard) -> (usize, Option<Error>) {
        let (mut ended, mut failed) = (0, None);
        for key in keys {
            match self.end_session(*key, guard).await {
                Ok(was_there) => ended += usize::from(was_there),
                Err(error) => failed = failed.or(Some(error)),
            }
        }
        (ended, failed)
    }

    /// The principal's sessions, the oldest login first.
    pub async fn of_principal(&self, principal: &str) -> Result<Vec<Info>> {
        let found = self.call(self.directory()?.of_principal(principal, self.now())).await?;
        Ok(found.into_iter().map(|(key, record)| Info::new(key, Arc::new(record))).collect())
    }

    /// How many sessions there are.
    pub async fn count(&self) -> Result<u64> {
        Ok(self.call(self.directory()?.count(Kind::Session, self.now())).await?)
    }

    /// Ends every session there is, page by page; how many. One that cannot be ended does not keep
    /// the others; its error is told at the end.
    pub async fn end_everybody(&self) -> Result<usize> {
        const PAGE: usize = 256;
        let (mut ended, mut failed, mut after) = (0, None, None);
        loop {
            let page = self.directory()?.page(Kind::Session, after, PAGE, self.now());
            let keys = self.call(page).await?;
            let Some(last) = keys.last() else {
                return failed.map_or(Ok(ended), Err);
            };
            after = Some(*last);
            let (more, error) = self.end_each(&keys, &Guard::None).await;
            ended += more;
            failed = failed.or(error);
        }
    }

    /// Looks at a session, whoever's it is; `None` where there is none. Counts as no use of it.
    pub async fn look(&self, key: Key) -> Result<Option<Info>> {
        self.inner.keeping.needs_store()?;
        self.look_for(key, &Wanted::NEWEST).await
    }

    async fn look_for(&self, key: Key, wanted: &Wanted) -> Result<Option<Info>> {
        let now = self.now();
        let loaded = self.read(key, wanted, now).await?;
        let (loaded, ending) = self.within_caps(key, loaded, now).await?;
        if let Some(ending) = ending {
            self.announce(&ending).await;
        }
        Ok(loaded.map(|loaded| Info::new(key, loaded.record)))
    }

    /// The attributes that all sessions share, on all nodes: a record that never ends.
    pub fn application(&self) -> Entry {
        Entry::application(self.clone())
    }

    /// A record of another kind than sessions, found by its name, that ends when it was not written
    /// to for `lifetime`. Nothing is asked or stored until it is used.
    ///
    /// ```
    /// use std::time::Duration;
    /// use cloakroom_core::{Kind, Slot};
    /// # use cloakroom_core::{Error, Sessions};
    ///
    /// const TRIES: Slot<u32> = Slot::new("tries");
    ///
    /// # async fn count(sessions: Sessions) -> Result<(), Error> {
    /// let entry = sessions.entry(Kind::Throttle, "user alice", Duration::from_secs(900));
    /// let tries = entry.update(TRIES, |tries| { *tries += 1; *tries }).await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn entry(&self, kind: Kind, name: &str, lifetime: Duration) -> Entry {
        Entry::at(self.clone(), Key::named(kind, name), Some(lifetime))
    }

    fn directory(&self) -> Result<&dyn Directory> {
        self.inner.keeping.needs_store()?;
        self.inner.store.directory().ok_or(Error::NoDirectory)
    }

    /// Ends a session and announces it; whether there was one.
    async fn end_one(&self, key: Key, guard: &Guard, reason: Ended) -> Result<bool> {
        let (ending, was_there) = self.remove(key, guard, reason).await?;
        if let Some(ending) = ending {
            self.announce(&ending).await;
        }
        Ok(was_there)
    }

    /// Whether endings go to the store's list: only where somebody will take them off again.
    fn keep(&self, now: Timestamp) -> Keep {
        let inner = &*self.inner;
        let kept = inner.policy.announcing == Announcing::Durable
            && !inner.listeners.is_empty()
            && inner.store.endings().is_some();
        if kept { Keep::LeasedUntil(now + inner.policy.lease) } else { Keep::Nothing }
    }

    pub(crate) fn keeping(&self) -> &Keeping {
        &self.inner.keeping
    }

    pub(crate) fn tell(&self, event: &Event) {
        for listener in &self.inner.listeners {
            listener.on_event(event);
        }
    }
}
