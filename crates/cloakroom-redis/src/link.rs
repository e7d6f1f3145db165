//! One connection to a server, shared by all calls and replaced when it breaks.
//!
//! The driver's own `ConnectionManager` is not used: a reconnection that the server refuses once
//! (too many clients, a password that is being changed) leaves it failed for good, it does not ask
//! for tracking again, and it does not tell a command that was never sent from one that got no
//! answer. Here no command is ever sent twice, and whatever fails before a connection is there is
//! [`Error::Unreachable`].
//!
//! A connection that is cut without a sign is found out by an answer that is overdue. A caller that
//! gives up earlier finds out nothing, and its giving up says nothing: it may have been hung up on.
//! So it leaves a probe behind.
//!
//! Where somebody follows, a connection is a source of notices from before its first caller has it
//! until it is discarded. It is told to be down before a later one can be had.
//!
//! [`Error::Unreachable`]: cloakroom_core::store::Error::Unreachable

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, RwLock, Weak};
use std::time::{Duration, Instant};

use cloakroom_core::store::backoff::Backoff;
use cloakroom_core::store::{FeedSource as Source, Notices};
use futures_util::future::{BoxFuture, FutureExt, Shared};
use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, Cmd, Pipeline, PushInfo, PushKind, RedisError, Value};
use tokio::runtime::Handle;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::fault::{self, Fault, Nobody};
use crate::layout::Layout;
use crate::place::Place;
use crate::tracking::{self, Ears, Up};

/// How long a caller waits for a connection where the last attempt at one has failed.
const PATIENCE: Duration = Duration::from_millis(100);

/// A connection that is being made, is there, or could not be made. All who wait share it.
type Attempt = Shared<BoxFuture<'static, Result<MultiplexedConnection, Fault>>>;

/// The connection to one server. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Link(Arc<Inner>);

/// A link that does not keep itself alive.
#[derive(Clone)]
pub(crate) struct WeakLink(Weak<Inner>);

impl WeakLink {
    /// The link, where it is still there.
    pub(crate) fn upgrade(&self) -> Option<Link> {
        self.0.upgrade().map(Link)
    }
}

struct Inner {
    place: Place,
    config: AsyncConnectionConfig,
    layout: Layout,
    current: Mutex<Current>,
    /// The source that the current connection is; written under the lock of `current`.
    source: RwLock<Option<Source>>,
}

#[derive(Default)]
struct Current {
    /// Grows by one with every attempt, so that nobody discards a later one.
    number: u64,
    attempt: Option<Attempt>,
    /// What asks this connection whether it is still there.
    probe: Option<JoinHandle<()>>,
    backoff: Backoff<Fault>,
    follower: Option<Arc<dyn Notices>>,
    /// What this connection is to the follower, once it is tracked.
    up: Option<Up>,
    /// Whether it has been said that the server does not track.
    untracked: bool,
}

/// One use of a connection: it ends with an answer, or is dropped without one.
struct Use {
    inner: Arc<Inner>,
    number: u64,
    connection: MultiplexedConnection,
    answered: bool,
}

impl Link {
    /// A link that connects when it is first used, and tells `follower` of changes from then on.
    pub(crate) fn new(
        place: Place,
        config: AsyncConnectionConfig,
        layout: Layout,
        follower: Option<Arc<dyn Notices>>,
    ) -> Self {
        let current = Mutex::new(Current { follower, ..Current::default() });
        Self(Arc::new(Inner { place, config, layout, current, source: RwLock::default() }))
    }

    /// Sends one command, once.
    pub(crate) async fn send(&self, command: &Cmd) -> Result<Value, Fault> {
        self.connection().await?.send(command).await
    }

    /// Sends commands in one round trip, each once. A command that the server refuses is an error
    /// value among the others.
    pub(crate) async fn send_all(&self, commands: &Pipeline) -> Result<Vec<Value>, Fault> {
        if commands.is_empty() {
            return Ok(Vec::new());
        }
        let mut using = self.connection().await?;
        let answer = using.connection.send_packed_commands(commands, 0, commands.len()).await;
        let replies = using.end(answer)?;
        match replies.len() == commands.len() {
            true => Ok(replies),
            false => Err(Fault::Unexpected("a pipeline")),
        }
    }

    /// Tells `notices` of changes, and nobody else any more: the connection that there is goes.
    pub(crate) fn follow(&self, notices: Arc<dyn Notices>) {
        let mut current = self.0.lock();
        current.follower = Some(notices);
        self.0.let_go(&mut current);
    }

    /// The source that the connection is now.
    pub(crate) fn source(&self) -> Option<Source> {
        *self.0.source.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sends one command on the connection that is this source, and on no other.
    pub(crate) async fn send_to(&self, source: Source, command: &Cmd) -> Result<Value, Fault> {
        let (number, attempt) = {
            let current = self.0.lock();
            let is_it = current.up.as_ref().is_some_and(|up| up.source == source);
            let attempt = current.attempt.clone().filter(|_| is_it);
            (current.number, attempt.ok_or(Fault::Nobody(Nobody::Replaced))?)
        };
        let connection = attempt.await?;
        Use { inner: Arc::clone(&self.0), number, connection, answered: false }.send(command).await
    }

    /// Discards the connection where it is this source.
    pub(crate) fn reset(&self, source: Source) {
        let mut current = self.0.lock();
        if current.up.as_ref().is_some_and(|up| up.source == source) {
            self.0.let_go(&mut current);
        }
    }

    /// Sends one command to a server that is just getting its bucket.
    pub(crate) async fn send_asking(&self, command: &Cmd) -> Result<Value, Fault> {
        let mut pipeline = Pipeline::with_capacity(2);
        pipeline.add_command(redis::cmd("ASKING")).add_command(command.clone());
        let answer = self.send_all(&pipeline).await?.pop();
        fault::reply(answer.ok_or(Fault::Unexpected("ASKING"))?)
    }

    /// The same link, without keeping it alive.
    pub(crate) fn downgrade(&self) -> WeakLink {
        WeakLink(Arc::downgrade(&self.0))
    }

    /// Discards the connection, whatever it is.
    pub(crate) fn restart(&self) {
        self.0.let_go(&mut self.0.lock());
    }

    async fn connection(&self) -> Result<Use, Fault> {
        let inner = Arc::clone(&self.0);
        let (number, attempt, last) = inner.attempt()?;
        let connection = match last {
            None => attempt.await,
            // Where the server was not there a moment ago, callers do not pile up before it.
            Some(last) => timeout(PATIENCE, attempt).await.unwrap_or(Err(last)),
        }?;
        Ok(Use { inner, number, connection, answered: false })
    }
}

impl Use {
    async fn send(mut self, command: &Cmd) -> Result<Value, Fault> {
        let answer = self.connection.send_packed_command(command).await;
        self.end(answer.and_then(Value::extract_error))
    }

    fn end<T: Answer>(mut self, answer: Result<T, RedisError>) -> Result<T, Fault> {
        self.answered = true;
        self.inner.watch(self.number, answer).map_err(Fault::Sent)
    }
}

impl Drop for Use {
    fn drop(&mut self) {
        if !self.answered {
            self.inner.probe(self.number, &self.connection);
        }
    }
}

/// What a server answered: one value, or one for each command.
trait Answer {
    /// The first error by which the server says that it is no master.
    fn no_master(&self) -> Option<RedisError>;
}

impl Answer for Value {
    fn no_master(&self) -> Option<RedisError> {
        let Self::ServerError(error) = self else {
            return None;
        };
        Some(RedisError::from(error.clone())).filter(fault::is_no_master)
    }
}

impl Answer for Vec<Value> {
    fn no_master(&self) -> Option<RedisError> {
        self.iter().find_map(Answer::no_master)
    }
}

impl Inner {
    fn lock(&self) -> MutexGuard<'_, Current> {
        self.current.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The connection there is, or a new attempt at one, with what the last attempt failed by. An
    /// attempt goes on by itself, so that a caller that gives up spoils it for nobody.
    fn attempt(self: &Arc<Self>) -> Result<(u64, Attempt, Option<Fault>), Fault> {
        let mut current = self.lock();
        if let Some(attempt) = &current.attempt {
            return Ok((current.number, attempt.clone(), current.backoff.last().cloned()));
        }
        if let Some(fault) = current.backoff.waits(Instant::now()) {
            return Err(fault.clone());
        }
        current.number += 1;
        current.probe = None;
        let (number, follower) = (current.number, current.follower.clone());
        let inner = Arc::clone(self);
        let connecting = async move {
            let connected = inner.connect(number, follower).await;
            inner.settle(number, &connected);
            connected
        };
        let attempt = connecting.boxed().shared();
        current.attempt = Some(attempt.clone());
        drop(tokio::spawn(attempt.clone()));
        Ok((number, attempt, current.backoff.last().cloned()))
    }

    /// Makes a connection, and has it tracked where somebody follows.
    async fn connect(
        self: &Arc<Self>,
        number: u64,
        follower: Option<Arc<dyn Notices>>,
    ) -> Result<MultiplexedConnection, Fault> {
        let ears = Ears::new(OnceLock::new());
        let config = self.config.clone().set_push_sender(self.on_push(number, ears.clone()));
        let mut connection = self.place.connect(&config).await?;
        if let Some(notices) = follower {
            let answer = connection.send_packed_command(&tracking::ask()).await;
            match answer.map_err(Fault::Connecting)?.extract_error() {
                Ok(_) => self.come_up(number, notices, &ears),
                Err(refusal) => self.stay_untracked(&refusal),
            }
        }
        Ok(connection)
    }

    /// Tells that a connection is a source from now on, unless it has been discarded meanwhile.
    /// Nobody has used it yet, so what was pushed before could not matter.
    fn come_up(&self, number: u64, notices: Arc<dyn Notices>, ears: &Ears) {
        let mut current = self.lock();
        if current.number == number && current.attempt.is_some() {
            let up = Up::tell(notices);
            let _ = ears.set(up.clone());
            self.set_source(Some(up.source));
            current.up = Some(up);
        }
    }

    /// The connection serves all the same, and nobody caches what is read over it.
    fn stay_untracked(&self, refusal: &RedisError) {
        let warned = std::mem::replace(&mut self.lock().untracked, true);
        if !warned {
            tracing::warn!(server = ?self.place, %refusal, "the Redis server does not tell of changes, so that no session is cached: make sure that its version is 6.2 or later and that the user may run CLIENT TRACKING");
        }
    }

    /// Notes what became of an attempt. One that failed is discarded also where nobody waits for
    /// it any more, or the next call would be told of an old failure.
    fn settle(&self, number: u64, connected: &Result<MultiplexedConnection, Fault>) {
        let mut current = self.lock();
        if current.number != number {
            return;
        }
        match connected {
            Ok(_) => current.backoff.succeeded(),
            Err(fault) => {
                current.backoff.failed(fault.clone(), Instant::now());
                self.let_go(&mut current);
            }
        }
    }

    /// Discards a connection that is broken, that has let an answer wait too long (it may be cut
    /// without a sign), or that leads to a server that is no master any more.
    fn watch<T: Answer>(
        &self,
        number: u64,
        answer: Result<T, RedisError>,
    ) -> Result<T, RedisError> {
        match &answer {
            Err(error) if fault::is_no_master(error) => self.misled(number, error.clone()),
            Err(error) if error.is_unrecoverable_error() || error.is_timeout() => {
                self.discard(number);
            }
            Err(_) => {}
            Ok(answer) => {
                if let Some(error) = answer.no_master() {
                    self.misled(number, error);
                }
            }
        }
        answer
    }

    /// Asks a connection whether it is still there, unless somebody is asking. Any answer will do;
    /// it may take as long as any other.
    fn probe(self: &Arc<Self>, number: u64, connection: &MultiplexedConnection) {
        let Ok(runtime) = Handle::try_current() else {
            return;
        };
        let mut current = self.lock();
        let is_current = current.number == number && current.attempt.is_some();
        if !is_current || current.probe.as_ref().is_some_and(|probe| !probe.is_finished()) {
            return;
        }
        let (inner, mut connection) = (Arc::clone(self), connection.clone());
        current.probe = Some(runtime.spawn(async move {
            let answer = connection.send_packed_command(&redis::cmd("PING")).await;
            let _ = inner.watch(number, answer);
        }));
    }

    /// Hears of changes, and of a closed connection while nobody uses it, so that the next call
    /// finds a new one instead of losing its command to the old one.
    fn on_push(
        self: &Arc<Self>,
        number: u64,
        ears: Ears,
    ) -> impl Fn(PushInfo) -> Result<(), RedisError> + use<> {
        let inner: Weak<Self> = Arc::downgrade(self);
        move |push| {
            let Some(inner) = inner.upgrade() else {
                return Ok(());
            };
            if push.kind == PushKind::Disconnection {
                inner.discard(number);
            } else if let Some(up) = ears.get() {
                up.hear(&push, &inner.layout);
            }
            Ok(())
        }
    }

    fn discard(&self, number: u64) {
        let mut current = self.lock();
        if current.number == number {
            self.let_go(&mut current);
        }
    }

    /// Discards a connection to a server that is no master. Who else is, the next attempt may find
    /// out; it may as well lead here again, so it does not come at once.
    fn misled(&self, number: u64, error: RedisError) {
        let mut current = self.lock();
        if current.number == number && current.attempt.is_some() {
            current.backoff.failed(Fault::Connecting(error), Instant::now());
            self.let_go(&mut current);
        }
    }

    /// Forgets the connection. Its follower hears of it before anybody can have a later one.
    fn let_go(&self, current: &mut Current) {
        current.attempt = None;
        self.set_source(None);
        if let Some(up) = current.up.take() {
            up.tell_down();
        }
    }

    fn set_source(&self, source: Option<Source>) {
        *self.source.write().unwrap_or_else(PoisonError::into_inner) = source;
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        let current = self.current.get_mut().unwrap_or_else(PoisonError::into_inner);
        if let Some(up) = current.up.take() {
            up.tell_down();
        }
    }
}

impl fmt::Debug for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Link({:?})", self.0.place)
    }
}
