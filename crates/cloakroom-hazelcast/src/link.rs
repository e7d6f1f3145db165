//! The connection to a cluster: to one of its members, shared by all calls, and to another one where
//! that is lost.
//!
//! Members pass on what is another one's to answer, so one connection is enough. No request is ever
//! sent twice. Whatever fails before a connection is there is [`Error::Unreachable`].
//!
//! Where somebody follows, a connection is made a source while it is used: nobody waits for that, and
//! nothing that is read meanwhile is cached.
//!
//! [`Error::Unreachable`]: cloakroom_core::store::Error::Unreachable

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use cloakroom_core::Key;
use cloakroom_core::store::backoff::Backoff;
use cloakroom_core::store::{FeedSource as Source, Notices};
use futures_util::future::{BoxFuture, FutureExt, Shared};
use tokio::time::timeout;

use crate::codec::{Message, Request};
use crate::dial::{Dialer, Line};
use crate::fault::Fault;
use crate::raise;

/// How long a caller waits for a connection where the last attempt at one has failed.
const PATIENCE: Duration = Duration::from_millis(100);

/// A connection that is being made, is there, or could not be made. All who wait share it.
type Attempt = Shared<BoxFuture<'static, Result<Line, Fault>>>;

/// The connection to a cluster. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Link(Arc<Inner>);

struct Inner {
    dialer: Dialer,
    /// How long an answer is waited for.
    limit: Duration,
    current: Mutex<Current>,
}

#[derive(Default)]
struct Current {
    /// Grows by one with every attempt, so that nobody discards a later one.
    number: u64,
    attempt: Option<Attempt>,
    backoff: Backoff<Fault>,
    follower: Option<Arc<dyn Notices>>,
}

/// A change that was sent. Dropped before it was answered, it is given up.
pub(crate) struct Sent<'a> {
    line: &'a Line,
    key: Option<Key>,
}

impl<'a> Sent<'a> {
    pub(crate) fn new(line: &'a Line, key: Option<Key>) -> Self {
        Self { line, key }
    }

    /// It is known what became of it.
    pub(crate) fn answered(mut self) {
        self.key = None;
    }
}

impl Drop for Sent<'_> {
    fn drop(&mut self) {
        if let Some(key) = self.key {
            self.line.watch.give_up(key);
        }
    }
}

impl Link {
    /// A link that connects when it is first used.
    pub(crate) fn new(dialer: Dialer, limit: Duration) -> Self {
        Self(Arc::new(Inner { dialer, limit, current: Mutex::default() }))
    }

    /// The map's name.
    pub(crate) fn map(&self) -> &str {
        self.0.dialer.map()
    }

    /// How long an answer is waited for.
    pub(crate) fn limit(&self) -> Duration {
        self.0.limit
    }

    /// The connection there is, or a new one.
    pub(crate) async fn line(&self) -> Result<Line, Fault> {
        let (attempt, last) = self.0.attempt()?;
        let line = match last {
            None => attempt.await,
            // Where no member was there a moment ago, callers do not pile up before it.
            Some(last) => timeout(PATIENCE, attempt).await.unwrap_or(Err(last)),
        }?;
        self.raise(&line);
        Ok(line)
    }

    /// Sends a request on a connection, once.
    pub(crate) async fn call(&self, line: &Line, request: Request) -> Result<Message, Fault> {
        line.wire.call(request, self.0.limit).await
    }

    /// Has a connection become a source, where somebody follows and it is none.
    fn raise(&self, line: &Line) {
        if let Some(notices) = self.0.lock().follower.clone()
            && line.watch.begin()
        {
            let (line, map, limit) = (line.clone(), self.map().to_owned(), self.0.limit);
            tokio::spawn(async move { raise::raise(&line, &map, limit, notices).await });
        }
    }

    /// Tells `notices` of changes, and nobody else any more: the connection that there is goes.
    pub(crate) fn follow(&self, notices: Arc<dyn Notices>) {
        let mut current = self.0.lock();
        current.follower = Some(notices);
        let_go(&mut current);
    }

    /// The source that the connection is now.
    pub(crate) fn source(&self) -> Option<Source> {
        self.0.present()?.watch.source()
    }

    /// The connection that is this source.
    pub(crate) fn line_of(&self, source: Source) -> Result<Line, Fault> {
        let line = self.0.present().filter(|line| line.watch.source() == Some(source));
        line.ok_or(Fault::Replaced)
    }
}

impl Inner {
    fn lock(&self) -> MutexGuard<'_, Current> {
        self.current.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The connection, where there is one.
    fn present(&self) -> Option<Line> {
        let attempt = self.lock().attempt.clone()?;
        attempt.peek()?.clone().ok()
    }

    /// The connection there is, or a new attempt at one, with what the last attempt failed by. An
    /// attempt goes on by itself, so that a caller that gives up spoils it for nobody.
    fn attempt(self: &Arc<Self>) -> Result<(Attempt, Option<Fault>), Fault> {
        let mut current = self.lock();
        if let Some(attempt) = &current.attempt {
            let is_lost = matches!(attempt.peek(), Some(Ok(line)) if !line.wire.is_open());
            if !is_lost {
                return Ok((attempt.clone(), current.backoff.last().cloned()));
            }
            let_go(&mut current);
        }
        if let Some(fault) = current.backoff.waits(Instant::now()) {
            return Err(fault.clone());
        }
        current.number += 1;
        let (number, inner) = (current.number, Arc::clone(self));
        let connecting = async move {
            let connected = inner.dialer.dial().await;
            inner.settle(number, &connected);
            connected
        };
        let attempt = connecting.boxed().shared();
        current.attempt = Some(attempt.clone());
        drop(tokio::spawn(attempt.clone()));
        Ok((attempt, current.backoff.last().cloned()))
    }

    /// Notes what became of an attempt. One that failed is discarded also where nobody waits for
    /// it any more, or the next call would be told of an old failure.
    fn settle(&self, number: u64, connected: &Result<Line, Fault>) {
        let mut current = self.lock();
        if current.number != number {
            return;
        }
        match connected {
            Ok(_) => current.backoff.succeeded(),
            Err(fault) => {
                current.backoff.failed(fault.clone(), Instant::now());
                let_go(&mut current);
            }
        }
    }
}

/// Forgets the connection. It is down before anybody can have a later one.
fn let_go(current: &mut Current) {
    let gone = current.attempt.take();
    // An attempt that is still under way is nobody's any more: it must not settle what follows.
    current.number += 1;
    if let Some(Ok(line)) = gone.as_ref().and_then(Shared::peek)
        && let Some(source) = line.watch.source()
    {
        line.watch.fall(source);
    }
}

impl fmt::Debug for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Link({:?})", self.0.dialer)
    }
}
