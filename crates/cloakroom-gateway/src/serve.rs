//! Connections from clients: listening, TLS, limits on what is slow or too large, and an orderly end.

mod certificates;
mod connection;
mod door;
mod front;
mod pace;
mod settings;
mod stop;
mod strict;
mod tape;
mod task;
mod whole;
mod wire;

use std::sync::Arc;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use self::connection::Connections;
pub(crate) use self::door::Door;
pub(crate) use self::front::{ConnectionGuard, Serves};
pub(crate) use self::settings::{Limits, Listen, TlsFiles};
pub(crate) use self::stop::Readiness;
pub(crate) use self::strict::Target;

/// Serves what comes by these doors until `stop` completes, and then what is under way for as long
/// as the limits say. `ready` says no from the moment that `stop` completes.
pub(crate) async fn run<S>(
    doors: Vec<Door>,
    limits: Limits,
    ready: Readiness,
    service: S,
    stop: impl Future<Output = ()>,
) where
    S: Serves,
{
    let (unready_first, drain) = (limits.unready_first, limits.drain);
    let most = u32::try_from(limits.connections).unwrap_or(u32::MAX).min(MOST_CONNECTIONS);
    let capacity = Arc::new(Semaphore::new(most as usize));
    let (stopping, stopped) = stop::signal();
    let connections = Arc::new(Connections::new(limits, service, stopped));
    let mut accepting = JoinSet::new();
    // Before anybody can ask.
    ready.set(true);
    for door in doors {
        accepting.spawn(door.accept(Arc::clone(&connections), Arc::clone(&capacity)));
    }
    stop.await;
    ready.set(false);
    tokio::time::sleep(unready_first).await;
    // Dropped listeners accept no more.
    accepting.shutdown().await;
    stopping.stop();
    // All of it is free once every connection has ended.
    let ended = tokio::time::timeout(drain, capacity.acquire_many(most)).await;
    if ended.is_err() {
        let left = most as usize - capacity.available_permits();
        tracing::warn!(left, "connections did not end in time");
    }
}

/// Lets the process open as many files as it may: every connection is one, and where it was started
/// few are allowed by default.
pub(crate) fn allow_connections() {
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    // Where that is refused, the limit stays what it was.
    _ = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum });
}

/// More than any machine has ports for.
const MOST_CONNECTIONS: u32 = 1 << 20;

#[cfg(test)]
mod tests;
