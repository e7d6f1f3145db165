//! What a server says of itself, and whether sessions are safe with it.

use std::fmt;

use cloakroom_core::store;
use redis::Value;

use crate::connect::ConnectError;
use crate::fault::Fault;
use crate::link::Link;
use crate::persistence::{self, Persistence};

/// The oldest server that has every command used here.
const OLDEST: (u64, u64) = (6, 2);

/// What is asked of a server before it is used.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Terms {
    /// Whether it has to be a node of a cluster, or none.
    pub(crate) clustered: bool,
    /// Whether it may throw keys away when its memory is full.
    pub(crate) may_evict: bool,
}

/// Makes sure that a server is one that keeps sessions, and tells for how long.
pub(crate) async fn check(
    link: &Link,
    address: &str,
    terms: Terms,
) -> Result<Persistence, ConnectError> {
    let failed = |fault: Fault| ConnectError::server(address, fault);
    link.send(&redis::cmd("PING")).await.map_err(failed)?;
    let about = match link.send(&redis::cmd("INFO")).await {
        Ok(info) => About::read(info),
        Err(fault) if fault.said().is_some() => {
            let reason = store::Error::from(fault);
            tracing::warn!(%address, %reason, "the Redis server does not say what it is: make sure that its version is 6.2 or later and its maxmemory-policy noeviction");
            return Ok(Persistence::Unknown);
        }
        Err(fault) => return Err(failed(fault)),
    };
    about.suits(address, terms)?;
    persistence::of(link, &about).await.map_err(failed)
}

/// What a server says of itself.
pub(crate) struct About(String);

impl About {
    fn read(info: Value) -> Self {
        Self(match info {
            Value::VerbatimString { text, .. } | Value::SimpleString(text) => text,
            Value::BulkString(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
            _ => String::new(),
        })
    }

    /// What it says under `name`, where it says anything.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.0
            .lines()
            .filter_map(|line| line.split_once(':'))
            .find(|(found, _)| *found == name)
            .map(|(_, value)| value.trim())
    }

    fn suits(&self, address: &str, terms: Terms) -> Result<(), ConnectError> {
        let address = address.to_owned();
        if let Some(found) = self.get("redis_version")
            && version(found).is_some_and(|version| version < OLDEST)
        {
            let found = found.to_owned();
            return Err(ConnectError::TooOld { address, found });
        }
        // Valkey calls it otherwise.
        match self.get("redis_mode").or_else(|| self.get("server_mode")) {
            Some("sentinel") => return Err(ConnectError::Sentinel { address }),
            Some("cluster") if !terms.clustered => return Err(ConnectError::Cluster { address }),
            _ => {}
        }
        match self.get("maxmemory_policy") {
            Some("noeviction") => Ok(()),
            Some(policy) if !terms.may_evict => {
                Err(ConnectError::Evicts { address, policy: policy.to_owned() })
            }
            Some(_) => Ok(()),
            None => {
                tracing::warn!(%address, "the Redis server does not say its maxmemory-policy: make sure that it is noeviction");
                Ok(())
            }
        }
    }
}

impl fmt::Debug for About {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("About(..)")
    }
}

fn version(text: &str) -> Option<(u64, u64)> {
    let mut parts = text.split('.').map(str::parse);
    Some((parts.next()?.ok()?, parts.next()?.ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALONE: Terms = Terms { clustered: false, may_evict: false };

    fn suits(info: &str) -> Result<(), ConnectError> {
        About(info.to_owned()).suits("127.0.0.1:6379", ALONE)
    }

    #[test]
    fn an_old_server_is_refused() {
        let error = suits("redis_version:6.0.16\r\nmaxmemory_policy:noeviction\r\n").unwrap_err();
        assert!(error.to_string().contains("6.0.16"), "{error}");
        for recent in ["6.2.0", "7.0.15", "10.1"] {
            assert!(suits(&format!("redis_version:{recent}\r\n")).is_ok());
        }
    }

    #[test]
    fn every_policy_but_one_is_refused() {
        assert!(suits("maxmemory_policy:noeviction\r\n").is_ok());
        for policy in ["allkeys-lru", "volatile-ttl"] {
            let error = suits(&format!("maxmemory_policy:{policy}\r\n")).unwrap_err();
            assert!(error.to_string().contains("set `maxmemory-policy noeviction`"));
            let about = About(format!("maxmemory_policy:{policy}\r\n"));
            assert!(about.suits("", Terms { may_evict: true, ..ALONE }).is_ok());
        }
    }

    #[test]
    fn a_server_of_another_form_says_which_url_to_use() {
        let error = suits("redis_mode:cluster\r\n").unwrap_err();
        assert!(error.to_string().contains("redis+cluster://"), "{error}");
        let error = suits("redis_mode:sentinel\r\n").unwrap_err();
        assert!(error.to_string().contains("redis+sentinel://"), "{error}");
        let error = suits("server_mode:cluster\r\n").unwrap_err();
        assert!(matches!(error, ConnectError::Cluster { .. }), "{error}");
        let node = About("redis_mode:cluster\r\n".to_owned());
        assert!(node.suits("", Terms { clustered: true, ..ALONE }).is_ok());
    }
}
