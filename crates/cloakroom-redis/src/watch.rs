//! Listens to sentinels, so that a failover is known at once: the old master may live on, and would
//! accept for seconds what nobody keeps.

use std::sync::Weak;
use std::time::Duration;

use futures_util::StreamExt;
use redis::RedisError;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use crate::link::WeakLink;
use crate::place::Dialer;
use crate::sentinel::{Sentinels, ask};
use crate::url::{self, Address};
use cloakroom_core::store::backoff::{delay, random};

/// What sentinels publish when another server is the master.
const CHANNEL: &str = "+switch-master";
/// After how much silence a sentinel is asked whether it is still there.
const SILENCE: Duration = Duration::from_secs(10);
/// How often the wait before another connection to a sentinel doubles.
const DOUBLINGS: u32 = 6;

/// What one watcher needs to know.
struct Watcher {
    sentinel: Address,
    master: String,
    asking: Dialer,
    limit: Duration,
    sentinels: Weak<Sentinels>,
    link: WeakLink,
}

/// Listens to each sentinel, until the set is dropped.
pub(crate) fn watch(
    addresses: &[Address],
    (master, asking, limit): (&str, &Dialer, Duration),
    sentinels: &Weak<Sentinels>,
    link: &WeakLink,
) -> JoinSet<()> {
    let mut watchers = JoinSet::new();
    for sentinel in addresses {
        let watcher = Watcher {
            sentinel: sentinel.clone(),
            master: master.to_owned(),
            asking: asking.clone(),
            limit,
            sentinels: sentinels.clone(),
            link: link.clone(),
        };
        watchers.spawn(watcher.run());
    }
    watchers
}

impl Watcher {
    async fn run(self) {
        let mut failures = 0;
        loop {
            match self.listen().await {
                Ok(()) => failures = 0,
                Err(_) => failures = DOUBLINGS.min(failures + 1),
            }
            sleep(delay(failures, random())).await;
        }
    }

    /// Listens until the sentinel closes the connection, or says nothing when it is asked.
    async fn listen(&self) -> Result<(), RedisError> {
        let client = self.asking.client(&self.sentinel)?;
        let mut listening = self.in_time(client.get_async_pubsub()).await?;
        self.in_time(listening.subscribe(CHANNEL)).await?;
        // What was published before has been missed.
        if let Some(address) = self.ask().await {
            self.tell(address, false);
        }
        let mut messages = listening.on_message();
        loop {
            match timeout(SILENCE, messages.next()).await {
                Ok(Some(message)) => {
                    if let Some(address) = switched(message.get_payload_bytes(), &self.master) {
                        self.tell(address, true);
                    }
                }
                Ok(None) => return Ok(()),
                Err(_) if self.ask().await.is_none() => return Ok(()),
                Err(_) => {}
            }
        }
    }

    async fn ask(&self) -> Option<Address> {
        ask(&self.asking, &self.sentinel, &self.master, self.limit).await.ok()
    }

    async fn in_time<T>(
        &self,
        asked: impl Future<Output = Result<T, RedisError>>,
    ) -> Result<T, RedisError> {
        match timeout(self.limit, asked).await {
            Ok(answer) => answer,
            Err(_) => Err(std::io::Error::from(std::io::ErrorKind::TimedOut).into()),
        }
    }

    /// Gives up the connection where it leads to another server.
    fn tell(&self, address: Address, is_new: bool) {
        if let (Some(sentinels), Some(link)) = (self.sentinels.upgrade(), self.link.upgrade())
            && sentinels.is_news(address, is_new)
        {
            link.restart();
        }
    }
}

/// Reads `<name> <old host> <old port> <new host> <new port>`, where it is about this master.
fn switched(message: &[u8], master: &str) -> Option<Address> {
    let message = std::str::from_utf8(message).ok()?;
    let mut words = message.strip_prefix(master)?.strip_prefix(' ')?.split(' ').skip(2);
    let (host, port) = (words.next()?, words.next()?);
    let host = if host.contains(':') { format!("[{host}]") } else { host.to_owned() };
    url::address(&format!("{host}:{port}"), 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_switch_names_the_new_master() {
        let switch = |text: &str| switched(text.as_bytes(), "my master");
        let new = switch("my master 10.0.0.1 6379 10.0.0.2 6380").unwrap();
        assert_eq!(new.to_string(), "10.0.0.2:6380");
        let new = switch("my master ::1 6379 ::2 6380").unwrap();
        assert_eq!(new.to_string(), "[::2]:6380");
        for other in ["my master2 a 1 b 2", "other a 1 b 2", "my master a 1", "my master"] {
            assert_eq!(switch(other), None, "{other}");
        }
    }
}
