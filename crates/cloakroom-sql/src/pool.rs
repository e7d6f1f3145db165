//! Connections to a server: so many at once, each used by one call at a time.
//!
//! The driver's own pool asks every connection that comes back whether it still lives, which is a
//! message more for each call. Here only one is asked that has lain idle for a while, or since a
//! connection was lost. What was given up half-way is closed on the spot, and never used again.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use sqlx::{AssertSqlSafe, ConnectOptions, Connection, Executor};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};
use tokio::time::{Instant, timeout, timeout_at};

/// After how much idleness a connection is asked whether it still lives.
const TRUSTED_FOR: Duration = Duration::from_secs(1);
/// After how much idleness a connection is closed.
const KEPT_FOR: Duration = Duration::from_secs(300);

/// How long making a connection may take.
const CONNECTING: Duration = Duration::from_secs(10);

/// A new connection with the permit to use it, or why there is none.
type Made<C> = Result<(C, OwnedSemaphorePermit), NoLink>;

/// Connections to one server.
#[derive(Debug)]
pub(crate) struct Pool<C: Connection> {
    options: C::Options,
    /// What every new connection is told first, if anything.
    setup: String,
    permits: Arc<Semaphore>,
    idle: Mutex<Idle<C>>,
}

#[derive(Debug)]
struct Idle<C> {
    /// Those used last come last.
    connections: Vec<(C, Instant)>,
    /// When a connection was last lost.
    lost: Option<Instant>,
    closed: bool,
}

/// Why there is no connection.
#[derive(Debug)]
pub(crate) enum NoLink {
    /// None became free, or came to be, in time.
    Late,
    /// The pool is closed.
    Closed,
    /// The driver's words.
    Driver(sqlx::Error),
}

impl<C: Connection + 'static> Pool<C>
where
    for<'c> &'c mut C: Executor<'c, Database = C::Database>,
{
    pub(crate) fn new(options: C::Options, setup: String, most: u32) -> Arc<Self> {
        let most = usize::try_from(most.max(1)).unwrap_or(1).min(Semaphore::MAX_PERMITS);
        let idle = Idle { connections: Vec::new(), lost: None, closed: false };
        let permits = Arc::new(Semaphore::new(most));
        Arc::new(Self { options, setup, permits, idle: Mutex::new(idle) })
    }

    /// Takes a connection that lives, or makes one.
    pub(crate) async fn take(self: &Arc<Self>, until: Instant) -> Result<Lease<C>, NoLink> {
        let permit = timeout_at(until, Arc::clone(&self.permits).acquire_owned()).await;
        let permit = permit.map_err(|_| NoLink::Late)?.map_err(|_| NoLink::Closed)?;
        let halfway = Instant::now() + until.saturating_duration_since(Instant::now()) / 2;
        while let Some((mut connection, trusted)) = self.pop() {
            // One that does not answer by then does not get all of the time.
            if trusted || matches!(timeout_at(halfway, connection.ping()).await, Ok(Ok(()))) {
                return Ok(Lease { connection, pool: Arc::clone(self), _permit: permit });
            }
            self.lost();
        }
        let (connection, permit) = match timeout_at(until, self.make(permit)).await {
            Ok(Ok(made)) => made?,
            Ok(Err(_)) => return Err(NoLink::Closed),
            Err(_) => return Err(NoLink::Late),
        };
        Ok(Lease { connection, pool: Arc::clone(self), _permit: permit })
    }

    /// Makes a connection in a task of its own: where the call cannot wait for it, the next one has
    /// it. Or else no connection would ever be made that takes longer than a call may.
    fn make(self: &Arc<Self>, permit: OwnedSemaphorePermit) -> oneshot::Receiver<Made<C>> {
        let (sender, receiver) = oneshot::channel();
        let pool = Arc::clone(self);
        tokio::spawn(async move {
            let made = match timeout(CONNECTING, pool.connect()).await {
                Ok(Ok(connection)) => Ok((connection, permit)),
                Ok(Err(error)) => Err(NoLink::Driver(error)),
                Err(_) => Err(NoLink::Late),
            };
            if let Err(Ok((connection, permit))) = sender.send(made) {
                pool.put_back(connection);
                drop(permit);
            }
        });
        receiver
    }

    /// Makes a connection.
    async fn connect(&self) -> Result<C, sqlx::Error> {
        let mut connection = self.options.connect().await?;
        if !self.setup.is_empty() {
            (&mut connection).execute(AssertSqlSafe(self.setup.as_str())).await?;
        }
        Ok(connection)
    }

    /// Takes the one that was used last, and whether it need not be asked.
    fn pop(&self) -> Option<(C, bool)> {
        let mut idle = self.idle();
        let (connection, since) = idle.connections.pop()?;
        let trusted = since.elapsed() < TRUSTED_FOR && idle.lost.is_none_or(|lost| lost < since);
        Some((connection, trusted))
    }
}

impl<C: Connection> Pool<C> {
    fn idle(&self) -> MutexGuard<'_, Idle<C>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes that a connection was lost: others may be as well.
    pub(crate) fn lost(&self) {
        self.idle().lost = Some(Instant::now());
    }

    fn put_back(&self, connection: C) {
        let mut idle = self.idle();
        let stale = idle.connections.first().is_some_and(|(_, at)| at.elapsed() > KEPT_FOR);
        let closed = (stale && !idle.connections.is_empty()).then(|| idle.connections.remove(0));
        if !idle.closed {
            idle.connections.push((connection, Instant::now()));
        }
        drop(idle);
        drop(closed);
    }

    /// Waits for the calls that are under way, and closes everything.
    pub(crate) async fn close(&self, most: u32) {
        let all = self.permits.acquire_many(most.max(1)).await;
        self.permits.close();
        let connections = {
            let mut idle = self.idle();
            idle.closed = true;
            std::mem::take(&mut idle.connections)
        };
        drop(all);
        for (connection, _) in connections {
            // What cannot be said goodbye to is closed all the same.
            let _ = tokio::time::timeout(TRUSTED_FOR, connection.close()).await;
        }
    }
}

/// A connection in use. Dropped, it is closed.
#[derive(Debug)]
pub(crate) struct Lease<C: Connection> {
    pub(crate) connection: C,
    pool: Arc<Pool<C>>,
    /// Given back last.
    _permit: OwnedSemaphorePermit,
}

impl<C: Connection> Lease<C> {
    /// Gives it back, to be used again.
    pub(crate) fn put_back(self) {
        self.pool.put_back(self.connection);
    }

    /// Closes it. Where it was lost, others may be as well.
    pub(crate) fn spoil(self, lost: bool) {
        if lost {
            self.pool.lost();
        }
    }
}
