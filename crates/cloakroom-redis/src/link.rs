//! One connection to the server, shared by all calls and replaced when it breaks.
//!
//! The driver's own `ConnectionManager` is not used: a reconnection that the server refuses once
//! (too many clients, a password that is being changed) leaves it failed for good, and it does not
//! tell a command that was never sent from one that got no answer. Here no command is ever sent
//! twice, and whatever fails before a connection is there is [`Error::Unreachable`].
//!
//! A connection that is cut without a sign is found out by an answer that is overdue. A caller that
//! gives up earlier finds out nothing, and its giving up says nothing: it may have been hung up on.
//! So it leaves a probe behind.
//!
//! [`Error::Unreachable`]: cloakroom_core::store::Error::Unreachable

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use cloakroom_core::store::Result;
use futures_util::future::{BoxFuture, FutureExt, Shared};
use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, Client, Cmd, Pipeline, PushInfo, PushKind, RedisError, Value};
use tokio::runtime::Handle;
use tokio::task::JoinHandle;

use crate::fault;

/// A connection that is being made, is there, or could not be made. All who wait share it.
type Attempt = Shared<BoxFuture<'static, Result<MultiplexedConnection, RedisError>>>;

/// The connection to one server. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Link(Arc<Inner>);

struct Inner {
    client: Client,
    config: AsyncConnectionConfig,
    current: Mutex<Current>,
}

#[derive(Default)]
struct Current {
    /// Grows by one with every attempt, so that nobody discards a later one.
    number: u64,
    attempt: Option<Attempt>,
    /// What asks this connection whether it is still there.
    probe: Option<JoinHandle<()>>,
}

/// One use of a connection: it ends with an answer, or is dropped without one.
struct Use {
    inner: Arc<Inner>,
    number: u64,
    connection: MultiplexedConnection,
    answered: bool,
}

impl Link {
    /// A link that connects when it is first used.
    pub(crate) fn new(client: Client, config: AsyncConnectionConfig) -> Self {
        Self(Arc::new(Inner { client, config, current: Mutex::default() }))
    }

    /// Sends one command, once.
    pub(crate) async fn send(&self, command: &Cmd) -> Result<Value> {
        let mut using = self.connection().await?;
        let answer = using.connection.send_packed_command(command).await;
        fault::reply(using.end(answer)?)
    }

    /// Sends commands in one round trip, each once. A command that the server refuses is an error
    /// value among the others.
    pub(crate) async fn send_all(&self, commands: &Pipeline) -> Result<Vec<Value>> {
        if commands.is_empty() {
            return Ok(Vec::new());
        }
        let mut using = self.connection().await?;
        let answer = using.connection.send_packed_commands(commands, 0, commands.len()).await;
        let replies = using.end(answer)?;
        match replies.len() == commands.len() {
            true => Ok(replies),
            false => Err(fault::unexpected("a pipeline")),
        }
    }

    async fn connection(&self) -> Result<Use> {
        let inner = Arc::clone(&self.0);
        let (number, attempt) = inner.attempt();
        match attempt.await {
            Ok(connection) => Ok(Use { inner, number, connection, answered: false }),
            Err(error) => {
                inner.discard(number);
                Err(fault::connecting(error))
            }
        }
    }
}

impl Use {
    fn end<T>(mut self, answer: Result<T, RedisError>) -> Result<T> {
        self.answered = true;
        self.inner.watch(self.number, answer).map_err(fault::sent)
    }
}

impl Drop for Use {
    fn drop(&mut self) {
        if !self.answered {
            self.inner.probe(self.number, &self.connection);
        }
    }
}

impl Inner {
    /// The connection there is, or a new attempt at one. An attempt goes on by itself, so that
    /// a caller that gives up spoils it for nobody.
    fn attempt(self: &Arc<Self>) -> (u64, Attempt) {
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(attempt) = &current.attempt {
            return (current.number, attempt.clone());
        }
        current.number += 1;
        current.probe = None;
        let (number, client) = (current.number, self.client.clone());
        let config = self.config.clone().set_push_sender(self.on_push(number));
        let connecting =
            async move { client.get_multiplexed_async_connection_with_config(&config).await };
        let attempt = connecting.boxed().shared();
        current.attempt = Some(attempt.clone());
        drop(tokio::spawn(Arc::clone(self).make(number, attempt.clone())));
        (number, attempt)
    }

    /// Sees an attempt through. One that failed is discarded also where nobody waits for it any
    /// more, or the next call would be told of an old failure.
    async fn make(self: Arc<Self>, number: u64, attempt: Attempt) {
        if attempt.await.is_err() {
            self.discard(number);
        }
    }

    /// Discards a connection that is broken, or that has let an answer wait too long: it may be
    /// cut without a sign.
    fn watch<T>(&self, number: u64, answer: Result<T, RedisError>) -> Result<T, RedisError> {
        if let Err(error) = &answer
            && (error.is_unrecoverable_error() || error.is_timeout())
        {
            self.discard(number);
        }
        answer
    }

    /// Asks a connection whether it is still there, unless somebody is asking. Any answer will do;
    /// it may take as long as any other.
    fn probe(self: &Arc<Self>, number: u64, connection: &MultiplexedConnection) {
        let Ok(runtime) = Handle::try_current() else {
            return;
        };
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
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

    /// Hears of a closed connection while nobody uses it, so that the next call finds a new one
    /// instead of losing its command to the old one.
    fn on_push(
        self: &Arc<Self>,
        number: u64,
    ) -> impl Fn(PushInfo) -> Result<(), RedisError> + use<> {
        let inner: Weak<Self> = Arc::downgrade(self);
        move |push| {
            if push.kind == PushKind::Disconnection
                && let Some(inner) = inner.upgrade()
            {
                inner.discard(number);
            }
            Ok(())
        }
    }

    fn discard(&self, number: u64) {
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        if current.number == number {
            current.attempt = None;
        }
    }
}

impl fmt::Debug for Link {
    /// Prints where the server is, and no name or password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Link({})", self.0.client.get_connection_info().addr())
    }
}
