//! One connection to the server, shared by all calls and replaced when it breaks.
//!
//! The driver's own `ConnectionManager` is not used: a reconnection that the server refuses once
//! (too many clients, a password that is being changed) leaves it failed for good, and it does not
//! tell a command that was never sent from one that got no answer. Here no command is ever sent
//! twice, and whatever fails before a connection is there is [`Error::Unreachable`].
//!
//! [`Error::Unreachable`]: cloakroom_core::store::Error::Unreachable

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use cloakroom_core::store::Result;
use futures_util::future::{BoxFuture, FutureExt, Shared};
use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, Client, Cmd, Pipeline, PushInfo, PushKind, RedisError, Value};

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
}

impl Link {
    /// A link that connects when it is first used.
    pub(crate) fn new(client: Client, config: AsyncConnectionConfig) -> Self {
        Self(Arc::new(Inner { client, config, current: Mutex::default() }))
    }

    /// Sends one command, once.
    pub(crate) async fn send(&self, command: &Cmd) -> Result<Value> {
        let (number, mut connection) = self.connection().await?;
        let answer = connection.send_packed_command(command).await;
        fault::reply(self.watch(number, answer)?)
    }

    /// Sends commands in one round trip, each once. A command that the server refuses is an error
    /// value among the others.
    pub(crate) async fn send_all(&self, commands: &Pipeline) -> Result<Vec<Value>> {
        if commands.is_empty() {
            return Ok(Vec::new());
        }
        let (number, mut connection) = self.connection().await?;
        let answer = connection.send_packed_commands(commands, 0, commands.len()).await;
        let replies = self.watch(number, answer)?;
        match replies.len() == commands.len() {
            true => Ok(replies),
            false => Err(fault::unexpected("a pipeline")),
        }
    }

    async fn connection(&self) -> Result<(u64, MultiplexedConnection)> {
        let (number, attempt) = self.0.attempt();
        match attempt.await {
            Ok(connection) => Ok((number, connection)),
            Err(error) => {
                self.0.discard(number);
                Err(fault::connecting(error))
            }
        }
    }

    /// Discards a connection that is broken, or that has let an answer wait too long: it may be
    /// cut without a sign.
    fn watch<T>(&self, number: u64, answer: Result<T, RedisError>) -> Result<T> {
        answer.map_err(|error| {
            if error.is_unrecoverable_error() || error.is_timeout() {
                self.0.discard(number);
            }
            fault::sent(error)
        })
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
        let (number, client) = (current.number, self.client.clone());
        let config = self.config.clone().set_push_sender(self.on_push(number));
        let connecting =
            async move { client.get_multiplexed_async_connection_with_config(&config).await };
        let attempt = connecting.boxed().shared();
        current.attempt = Some(attempt.clone());
        drop(tokio::spawn(attempt.clone()));
        (number, attempt)
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
