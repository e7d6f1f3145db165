//! Connecting: where the server is, how long to wait for it, and whether sessions are safe there.

use std::fmt;
use std::time::Duration;

use cloakroom_core::store;
use redis::io::tcp::TcpSettings;
use redis::{AsyncConnectionConfig, Client, ConnectionInfo, IntoConnectionInfo, ProtocolVersion};

use crate::link::Link;
use crate::persistence::{self, Persistence};
use crate::store::RedisStore;

/// The oldest server that has every command used here.
const OLDEST: (u64, u64) = (6, 2);
/// How many commands wait to be written before a caller waits to hand over its own.
const WAITING: usize = 1024;

/// How a store is kept in Redis.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Options {
    /// What the name of every key begins with, so that applications can share a server. No
    /// braces. Default: `cloakroom:`.
    pub prefix: String,
    /// How long a connection may take to be made, the server's greeting included. Default: 2 s.
    pub connect_timeout: Duration,
    /// How long the server may take to answer before the connection is replaced. A caller may give
    /// up earlier. Default: 2 s.
    pub response_timeout: Duration,
    /// Accepts a server that throws sessions away when its memory is full. Default: false.
    pub insecure_allow_eviction: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            prefix: "cloakroom:".to_owned(),
            connect_timeout: Duration::from_secs(2),
            response_timeout: Duration::from_secs(2),
            insecure_allow_eviction: false,
        }
    }
}

/// Why sessions cannot be kept on a server. Never shows the password of the URL.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConnectError {
    /// The URL is not one of a Redis server.
    #[error("the URL of the Redis server is not valid: {0}")]
    Url(&'static str),
    /// The URL asks for TLS.
    #[error("TLS to Redis is not built in yet; use redis:// on a trusted network")]
    Tls,
    /// The prefix has braces, which would put all keys of a cluster into one slot.
    #[error("the prefix of the keys must not contain braces")]
    Prefix,
    /// The server cannot be reached, does not answer, refuses, or is no Redis server.
    #[error("cannot use the Redis server at {address}")]
    Server {
        /// Where it was looked for.
        address: String,
        /// What went wrong; its own source says what the server or the system said.
        #[source]
        source: store::Error,
    },
    /// The server is too old.
    #[error(
        "the Redis server at {address} has version {found}; 6.2 or later is needed: upgrade it"
    )]
    TooOld {
        /// Where it is.
        address: String,
        /// Its version.
        found: String,
    },
    /// The server is a node of a cluster.
    #[error(
        "the Redis server at {address} is a node of a cluster; give the URL of a single server"
    )]
    Cluster {
        /// Where it is.
        address: String,
    },
    /// The server throws keys away when its memory is full.
    #[error(
        "the Redis server at {address} has the maxmemory-policy {policy}, which ends living \
         sessions when memory runs short: set `maxmemory-policy noeviction` there, or allow it \
         with insecure_allow_eviction"
    )]
    Evicts {
        /// Where it is.
        address: String,
        /// Its policy.
        policy: String,
    },
}

impl RedisStore {
    /// Connects to the server at `url`, such as `redis://:password@host:6379/0`, and makes sure
    /// that sessions are safe there. A server that keeps nothing on disk is used, with a warning:
    /// its sessions end when it restarts.
    ///
    /// A server that is lost later is looked for again with every call.
    pub async fn connect(url: &str, options: Options) -> Result<Self, ConnectError> {
        if options.prefix.contains(['{', '}']) {
            return Err(ConnectError::Prefix);
        }
        let info = parse(url)?;
        let address = info.addr().to_string();
        let client = Client::open(info)
            .map_err(|_| ConnectError::Url("no connection can be made to such an address"))?;
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(options.connect_timeout))
            .set_response_timeout(Some(options.response_timeout))
            .set_pipeline_buffer_size(WAITING);
        let link = Link::new(client, config);
        let persistence = check(&link, &address, options.insecure_allow_eviction).await?;
        persistence.warn(&address);
        Ok(Self::new(link, options.prefix, persistence.is_durable()))
    }
}

/// Reads the URL. What the parser says of a wrong one may repeat parts of it, and is not shown.
fn parse(url: &str) -> Result<ConnectionInfo, ConnectError> {
    let scheme = url.split_once(':').map_or("", |(scheme, _)| scheme);
    if ["rediss", "valkeys"].iter().any(|secure| scheme.eq_ignore_ascii_case(secure)) {
        return Err(ConnectError::Tls);
    }
    let info = url.into_connection_info().map_err(|_| {
        ConnectError::Url("expected redis://[name[:password]@]host[:port][/database]")
    })?;
    // Version 3 of the protocol tells of a closed connection while nobody uses it.
    let redis = info.redis_settings().clone().set_protocol(ProtocolVersion::RESP3);
    let tcp = TcpSettings::default().set_nodelay(true);
    Ok(info.set_redis_settings(redis).set_tcp_settings(tcp))
}

/// Makes sure that the server is one that keeps sessions, and tells for how long.
async fn check(
    link: &Link,
    address: &str,
    allow_eviction: bool,
) -> Result<Persistence, ConnectError> {
    let failed = |source| ConnectError::Server { address: address.to_owned(), source };
    link.send(&redis::cmd("PING")).await.map_err(failed)?;
    let about = match link.send(&redis::cmd("INFO")).await {
        Ok(info) => About::read(info),
        Err(store::Error::Refused(reason)) => {
            tracing::warn!(%address, %reason, "the Redis server does not say what it is: make sure that its version is 6.2 or later and its maxmemory-policy noeviction");
            return Ok(Persistence::Unknown);
        }
        Err(error) => return Err(failed(error)),
    };
    about.suits(address, allow_eviction)?;
    persistence::of(link, &about).await.map_err(failed)
}

/// What a server says of itself.
pub(crate) struct About(String);

impl About {
    fn read(info: redis::Value) -> Self {
        Self(match info {
            redis::Value::VerbatimString { text, .. } | redis::Value::SimpleString(text) => text,
            redis::Value::BulkString(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
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

    fn suits(&self, address: &str, allow_eviction: bool) -> Result<(), ConnectError> {
        let address = address.to_owned();
        if let Some(found) = self.get("redis_version")
            && version(found).is_some_and(|version| version < OLDEST)
        {
            let found = found.to_owned();
            return Err(ConnectError::TooOld { address, found });
        }
        if self.get("redis_mode") == Some("cluster") {
            return Err(ConnectError::Cluster { address });
        }
        match self.get("maxmemory_policy") {
            Some("noeviction") => Ok(()),
            Some(policy) if !allow_eviction => {
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

    fn suits(info: &str) -> Result<(), ConnectError> {
        About(info.to_owned()).suits("127.0.0.1:6379", false)
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
            assert!(about.suits("", true).is_ok());
        }
    }

    #[test]
    fn tls_is_said_not_to_be_there() {
        for url in ["rediss://:hunter2@host", "RedisS://host:6379/0#insecure", "valkeys://host"] {
            let error = parse(url).unwrap_err();
            assert!(error.to_string().starts_with("TLS to Redis is not built in yet"), "{url}");
        }
        assert!(parse("redis://host").is_ok());
    }

    #[test]
    fn a_wrong_url_is_not_repeated() {
        let error = parse("redis://:hunter2@host:port/").unwrap_err();
        assert!(!format!("{error} {error:?}").contains("hunter2"));
    }
}
