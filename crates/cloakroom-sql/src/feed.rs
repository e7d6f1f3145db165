//! The feed: what PostgreSQL tells of changes, for caches over this store.
//!
//! One source is one listening connection. What is read and changed goes over other connections,
//! which may lead to another server for a while, as after a failover: so each answer brings the
//! server's identity, and one that is not the source's server is told as a change.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use cloakroom_core::Key;
use cloakroom_core::store::{Error, Feed, FeedSource as Source, Notice, Notices, Result};
use sqlx::postgres::PgConnectOptions;
use tokio::runtime::Handle;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::fault::Late;
use crate::listener::listen;

/// Asks for a sign of life; answered when it has come.
pub(crate) type Beat = oneshot::Sender<Result<()>>;

/// Makes the options of a new connection.
pub(crate) type Connect = Box<dyn Fn() -> PgConnectOptions + Send + Sync>;

/// What a store hears. It listens from when somebody wants to know.
pub(crate) struct Hearing {
    shared: Arc<Shared>,
    connect: Arc<Connect>,
    /// How long a connection may take, and an answer on it.
    limit: Duration,
    runtime: Handle,
    listening: Mutex<Option<JoinHandle<()>>>,
}

/// What the listening task and the feed's callers share.
#[derive(Default)]
pub(crate) struct Shared(Mutex<State>);

#[derive(Default)]
struct State {
    notices: Option<Arc<dyn Notices>>,
    up: Option<Up>,
}

/// A source that is up.
struct Up {
    source: Source,
    server: i64,
    beats: mpsc::UnboundedSender<Beat>,
    /// Dropped, it ends the listening connection.
    _alive: oneshot::Sender<()>,
}

/// The source is not there any more.
#[derive(Debug, thiserror::Error)]
#[error("this connection that hears of changes is there no more")]
struct Replaced;

impl Hearing {
    /// Gets ready to listen, with connections by these options.
    pub(crate) fn begin(
        connect: impl Fn() -> PgConnectOptions + Send + Sync + 'static,
        limit: Duration,
    ) -> Self {
        let connect: Connect = Box::new(connect);
        Self {
            shared: Arc::default(),
            connect: Arc::new(connect),
            limit,
            runtime: Handle::current(),
            listening: Mutex::default(),
        }
    }

    /// Notes that a server has answered a call on `key`. Where it is not the one that is listened
    /// to, what it said is not told again when it changes.
    pub(crate) fn answered(&self, server: i64, key: Key) {
        let state = self.shared.state();
        if state.up.as_ref().is_some_and(|up| up.server != server) {
            state.hear(Notice::Changed(key));
        }
    }

    /// Listens no more.
    pub(crate) fn stop(&self) {
        if let Some(listening) = lock(&self.listening).take() {
            listening.abort();
        }
        let mut state = self.shared.state();
        if let Some(up) = state.up.take() {
            state.hear(Notice::Down(up.source));
        }
    }
}

impl Drop for Hearing {
    fn drop(&mut self) {
        self.stop();
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.0)
    }

    /// Brings a source up, at this server.
    pub(crate) fn up(
        &self,
        server: i64,
        beats: mpsc::UnboundedSender<Beat>,
        alive: oneshot::Sender<()>,
    ) -> Source {
        let source = Source::unique();
        let mut state = self.state();
        state.up = Some(Up { source, server, beats, _alive: alive });
        state.hear(Notice::Up(source));
        source
    }

    /// Takes a source down, unless that has happened.
    pub(crate) fn down(&self, source: Source) {
        let mut state = self.state();
        if state.up.as_ref().is_some_and(|up| up.source == source) {
            state.up = None;
            state.hear(Notice::Down(source));
        }
    }

    /// Tells what `source` has said, as long as it is up.
    pub(crate) fn tell(&self, source: Source, notice: Notice) {
        let state = self.state();
        if state.up.as_ref().is_some_and(|up| up.source == source) {
            state.hear(notice);
        }
    }
}

impl State {
    /// Under the lock, so that everything is heard in the order in which it came.
    fn hear(&self, notice: Notice) {
        if let Some(notices) = &self.notices {
            notices.hear(notice);
        }
    }
}

#[async_trait]
impl Feed for Hearing {
    fn follow(&self, notices: Arc<dyn Notices>) {
        let mut state = self.shared.state();
        state.notices = Some(notices);
        if let Some(up) = &state.up {
            state.hear(Notice::Up(up.source));
        }
        drop(state);
        let mut listening = lock(&self.listening);
        if listening.as_ref().is_none_or(JoinHandle::is_finished) {
            let listen = listen(Arc::clone(&self.shared), Arc::clone(&self.connect), self.limit);
            *listening = Some(self.runtime.spawn(listen));
        }
    }

    fn source(&self, _key: Key) -> Option<Source> {
        self.shared.state().up.as_ref().map(|up| up.source)
    }

    async fn beat(&self, source: Source) -> Result<()> {
        let (beat, answer) = oneshot::channel();
        let asked = match &self.shared.state().up {
            Some(up) if up.source == source => up.beats.send(beat).is_ok(),
            _ => false,
        };
        if !asked {
            return Err(Error::Unreachable(Replaced.into()));
        }
        match timeout(self.limit, answer).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(_)) => Err(Error::Unreachable(Replaced.into())),
            Err(_) => Err(Error::Unanswered(Late.into())),
        }
    }

    fn reset(&self, source: Source) {
        self.shared.down(source);
    }
}

impl std::fmt::Debug for Hearing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Hearing").finish_non_exhaustive()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use cloakroom_core::Kind;

    use super::*;

    #[derive(Default, Debug)]
    struct Heard(Mutex<Vec<Notice>>);

    impl Notices for Heard {
        fn hear(&self, notice: Notice) {
            lock(&self.0).push(notice);
        }
    }

    /// As after a failover, when some connections lead to the old server and some to the new one.
    #[tokio::test]
    async fn what_another_server_answers_is_told_as_a_change() {
        let hearing = Hearing::begin(PgConnectOptions::new_without_pgpass, Duration::ZERO);
        let heard = Arc::<Heard>::default();
        hearing.shared.state().notices = Some(Arc::clone(&heard) as Arc<dyn Notices>);
        let key = Key::random(Kind::Session);
        hearing.answered(1, key);
        let source = hearing.shared.up(7, mpsc::unbounded_channel().0, oneshot::channel().0);
        hearing.answered(7, key);
        assert_eq!(*lock(&heard.0), [Notice::Up(source)]);
        hearing.answered(8, key);
        assert_eq!(*lock(&heard.0), [Notice::Up(source), Notice::Changed(key)]);
    }
}
