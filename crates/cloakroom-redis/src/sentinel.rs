//! The master that sentinels name: asked for anew with every connection, and believed only where
//! the server itself says that it is one.

use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, Cmd, Value};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout, timeout_at};

use crate::fault::{Fault, Nobody};
use crate::link::WeakLink;
use crate::place::Dialer;
use crate::url::{Address, Watched};
use crate::watch;
use cloakroom_core::store::backoff::{delay, random};

/// How often the wait between two rounds of questions doubles.
const DOUBLINGS: u32 = 3;

/// Sentinels, and the name of the master that they are asked for.
pub(crate) struct Sentinels {
    addresses: Vec<Address>,
    master: String,
    /// How to connect to them.
    asking: Dialer,
    /// How to connect to the master.
    serving: Dialer,
    /// How long the search may take.
    limit: Duration,
    /// Which one answered last. It is asked first.
    first: AtomicUsize,
    known: Mutex<Known>,
    /// Who listens to the sentinels.
    watchers: Mutex<JoinSet<()>>,
}

/// What is known of the master.
#[derive(Default)]
struct Known {
    /// Where the connection leads to.
    connected: Option<Address>,
    /// Where the master is, by what a sentinel has just published.
    published: Option<Address>,
}

impl Sentinels {
    pub(crate) fn new(watched: Watched, serving: Dialer, limit: Duration) -> Self {
        let Watched { sentinels, settings, master } = watched;
        let asking = serving.signing_in(settings);
        Self {
            addresses: sentinels,
            master,
            asking,
            serving,
            limit,
            first: AtomicUsize::new(0),
            known: Mutex::default(),
            watchers: Mutex::default(),
        }
    }

    /// Listens to the sentinels from now on, and gives up the connection of `link` when another
    /// server is the master.
    pub(crate) fn watch(self: &Arc<Self>, link: &WeakLink) {
        let terms = (self.master.as_str(), &self.asking, self.limit);
        let watchers = watch::watch(&self.addresses, terms, &Arc::downgrade(self), link);
        *self.watchers.lock().unwrap_or_else(PoisonError::into_inner) = watchers;
    }

    /// Whether the connection leads elsewhere than to `address`. Where that was published just now,
    /// it is tried first: other sentinels may not know yet.
    pub(crate) fn is_news(&self, address: Address, published: bool) -> bool {
        let mut known = self.known();
        let is_news = known.connected.as_ref().is_some_and(|connected| *connected != address);
        if is_news && published {
            known.published = Some(address);
        }
        is_news
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Connects to the master. While there is none, as after a death, the sentinels are asked again
    /// for as long as a connection may take.
    pub(crate) async fn connect(
        &self,
        config: &AsyncConnectionConfig,
    ) -> Result<MultiplexedConnection, Fault> {
        let until = Instant::now() + self.limit;
        let published = self.known().published.take();
        if let Some(address) = published
            && let Ok(Ok(connection)) = timeout_at(until, self.try_at(&address, config)).await
        {
            return Ok(connection);
        }
        let mut round = 0;
        loop {
            let fault = match timeout_at(until, self.find()).await {
                Ok(address) => match timeout_at(until, self.try_at(&address?, config)).await {
                    Ok(Ok(connection)) => return Ok(connection),
                    Ok(Err(fault)) => fault,
                    Err(_) => return Err(Fault::Nobody(Nobody::Slow)),
                },
                Err(_) => return Err(Fault::Nobody(Nobody::Slow)),
            };
            let wait = delay(DOUBLINGS.min(round), random());
            if !may_change(&fault) || Instant::now() + wait >= until {
                return Err(fault);
            }
            sleep(wait).await;
            round += 1;
        }
    }

    async fn try_at(
        &self,
        address: &Address,
        config: &AsyncConnectionConfig,
    ) -> Result<MultiplexedConnection, Fault> {
        let mut connection = self.serving.connect(address, config).await?;
        let role = connection.send_packed_command(&redis::cmd("ROLE")).await;
        // Where it may not be asked, what is written will show it.
        let role = role.map_err(Fault::Connecting)?.extract_error();
        if role.is_ok_and(|role| !is_master(&role)) {
            return Err(Fault::Nobody(Nobody::Demoted));
        }
        self.known().connected = Some(address.clone());
        Ok(connection)
    }

    /// Asks one sentinel after another where the master is. Each has its share of the time, so
    /// that one that hangs does not use it up.
    async fn find(&self) -> Result<Address, Fault> {
        let count = self.addresses.len();
        let share = self.limit / u32::try_from(count + 1).unwrap_or(u32::MAX);
        let first = self.first.load(Ordering::Relaxed);
        let mut fault = Fault::Nobody(Nobody::Slow);
        for step in 0..count {
            let at = first.wrapping_add(step) % count;
            match self.ask(&self.addresses[at], share).await {
                Ok(address) => {
                    self.first.store(at, Ordering::Relaxed);
                    return Ok(address);
                }
                // That it does not know the master is worth more than that another is not there.
                Err(found) if !matches!(fault, Fault::Nobody(Nobody::Unknown { .. })) => {
                    fault = found;
                }
                _ => {}
            }
        }
        Err(fault)
    }

    async fn ask(&self, sentinel: &Address, limit: Duration) -> Result<Address, Fault> {
        ask(&self.asking, sentinel, &self.master, limit).await
    }
}

/// Asks one sentinel where the master is.
pub(crate) async fn ask(
    asking: &Dialer,
    sentinel: &Address,
    master: &str,
    limit: Duration,
) -> Result<Address, Fault> {
    let config = AsyncConnectionConfig::new()
        .set_connection_timeout(Some(limit))
        .set_response_timeout(Some(limit));
    let answering = async {
        let mut connection = asking.connect(sentinel, &config).await?;
        let mut command = Cmd::new();
        command.arg("SENTINEL").arg("GET-MASTER-ADDR-BY-NAME").arg(master);
        connection.send_packed_command(&command).await.map_err(Fault::Connecting)
    };
    let answer = timeout(limit, answering).await.unwrap_or(Err(Fault::Nobody(Nobody::Slow)))?;
    match answer.extract_error() {
        Ok(Value::Nil) => Err(Fault::Nobody(Nobody::Unknown { master: master.to_owned() })),
        Ok(answer) => address(&answer).ok_or_else(|| no_sentinel(sentinel)),
        Err(error) if error.detail().is_some_and(|detail| detail.contains("unknown command")) => {
            Err(no_sentinel(sentinel))
        }
        Err(error) => Err(Fault::Connecting(error)),
    }
}

fn no_sentinel(sentinel: &Address) -> Fault {
    Fault::Nobody(Nobody::NoSentinel { address: sentinel.to_string() })
}

/// Whether asking again may help: the master may be dead, and another one not named yet. One that
/// refuses us does so again.
fn may_change(fault: &Fault) -> bool {
    match fault {
        Fault::Connecting(error) => error.is_io_error() || error.is_timeout(),
        _ => true,
    }
}

/// Reads a host and a port.
fn address(answer: &Value) -> Option<Address> {
    let Value::Array(items) = answer else {
        return None;
    };
    let [Value::BulkString(host), Value::BulkString(port)] = items.as_slice() else {
        return None;
    };
    let port = std::str::from_utf8(port).ok()?.parse().ok()?;
    Some(Address { host: String::from_utf8(host.clone()).ok()?, port })
}

fn is_master(role: &Value) -> bool {
    let Value::Array(items) = role else {
        return false;
    };
    matches!(items.first(), Some(Value::BulkString(role)) if role == b"master")
}

impl fmt::Display for Sentinels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of the sentinels at ", self.master)?;
        for (index, address) in self.addresses.iter().enumerate() {
            let comma = if index == 0 { "" } else { ", " };
            write!(f, "{comma}{address}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_two_strings() {
        let text = |text: &str| Value::BulkString(text.into());
        let answer = Value::Array(vec![text("10.0.0.1"), text("6379")]);
        assert_eq!(address(&answer).unwrap().to_string(), "10.0.0.1:6379");
        for odd in
            [Value::Nil, Value::Array(vec![text("h")]), Value::Array(vec![text("h"), text("port")])]
        {
            assert_eq!(address(&odd), None);
        }
    }
}
