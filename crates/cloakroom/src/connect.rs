//! A store by its URL: for services whose configuration says where sessions are kept.

mod address;
mod error;
mod open;

use std::sync::Arc;

use cloakroom_core::Store;
use cloakroom_core::store::{Breaker, BreakerOptions, NearOptions};
use cloakroom_web::TokioTimer;

pub use address::StoreUrl;
pub use error::ConnectError;

/// Opens the store at `url`:
///
/// | URL | store | feature |
/// |---|---|---|
/// | `memory:` | this process's memory, a new one each time | |
/// | `sqlite://path` | an SQLite file, for the processes of one machine | `sqlite` |
/// | `redis://name:password@host:port/db` | a Redis or Valkey server | `redis` |
/// | `redis+sentinel://host,host/db?master=name` | the Redis server that sentinels name | `redis` |
/// | `redis+cluster://host,host` | a Redis Cluster | `redis` |
/// | `postgres://name:password@host/database` | PostgreSQL | `postgres` |
/// | `mysql://...`, `mariadb://name:password@host/database` | MySQL, MariaDB | `mysql` |
/// | `mongodb://name:password@host,host/database` | MongoDB | `mongodb` |
/// | `nats://name:password@host,host/bucket?replicas=3` | NATS JetStream: every node holds all | `nats` |
/// | `hazelcast://name:password@host,host/cluster` | a Hazelcast map | `hazelcast` |
///
/// `rediss`, `rediss+sentinel` and `rediss+cluster` are the same by TLS; with `?ca=/path/ca.pem`,
/// only certificates of that authority count.
///
/// ```
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// let store = cloakroom::connect("memory:").await?;
/// let sessions = cloakroom::sessions(store).build()?;
/// # Ok(())
/// # }
/// ```
///
/// # Errors
/// Where the URL is none of these, where the store's feature is not built in, and where the store
/// cannot be used.
pub async fn connect(url: &str) -> Result<Arc<dyn Store>, ConnectError> {
    connect_with(url, &StoreOptions::default()).await
}

/// What is put in front of a store that is somewhere else. By default both.
///
/// All nodes of an application should have a cache, or none: a node without one tells its clients
/// nothing of what they have written, and one with a cache may then show them what was before, for as
/// long as it has not heard.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct StoreOptions {
    /// A cache, where the store tells of changes; see [`Near`](cloakroom_core::store::Near).
    pub cache: Option<NearOptions>,
    /// A circuit breaker; see [`Breaker`](cloakroom_core::store::Breaker).
    pub breaker: Option<BreakerOptions>,
}

impl Default for StoreOptions {
    fn default() -> Self {
        Self { cache: Some(NearOptions::default()), breaker: Some(BreakerOptions::default()) }
    }
}

/// Opens the store at `url` as [`connect`] does, with a cache and a circuit breaker of the caller's
/// own, or without.
///
/// ```no_run
/// use cloakroom::StoreOptions;
/// use cloakroom::store::NearOptions;
///
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// let cache = NearOptions { bytes: 256 * 1024 * 1024, ..NearOptions::default() };
/// let options = StoreOptions { cache: Some(cache), ..StoreOptions::default() };
/// let store = cloakroom::connect_with("redis://127.0.0.1", &options).await?;
/// # Ok(())
/// # }
/// ```
///
/// # Errors
/// As for [`connect`], and where the cache's options contradict each other.
pub async fn connect_with(
    url: &str,
    options: &StoreOptions,
) -> Result<Arc<dyn Store>, ConnectError> {
    let url = StoreUrl::parse(url)?;
    let store = open::open(&url, options.cache.is_some()).await?;
    // Nothing stands before what is in this process, or on its own disk.
    if url.is_memory() || url.is_sqlite() { Ok(store) } else { fronted(store, options) }
}

/// Puts what is asked for in front of a store that is somewhere else.
fn fronted(
    mut store: Arc<dyn Store>,
    options: &StoreOptions,
) -> Result<Arc<dyn Store>, ConnectError> {
    if let Some(breaker) = options.breaker {
        store = Arc::new(Breaker::new(store, TokioTimer, breaker));
    }
    match options.cache {
        Some(cache) if store.feed().is_some() => match cloakroom_web::near(store, cache) {
            Ok(near) => Ok(Arc::new(near)),
            Err(error) => Err(ConnectError::Unfit(error.into())),
        },
        _ => Ok(store),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn memory_is_always_there() {
        assert!(connect("memory:").await.is_ok());
        assert!(matches!(connect("memory:x").await, Err(ConnectError::Url(_))));
    }

    #[cfg(feature = "sqlite")]
    #[tokio::test]
    async fn an_sqlite_file_is_opened() {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite://{}/sessions.db", folder.path().display());
        assert!(connect(&url).await.unwrap().capabilities().durable);
        assert!(matches!(connect("sqlite://").await, Err(ConnectError::Url(_))));
        let nowhere = format!("sqlite://{}/none/sessions.db", folder.path().display());
        assert!(matches!(connect(&nowhere).await, Err(ConnectError::Unfit(_))));
    }

    #[cfg(not(feature = "sqlite"))]
    #[tokio::test]
    async fn what_is_not_built_in_says_which_feature_brings_it() {
        let error = connect("sqlite:///tmp/x.db").await.unwrap_err();
        assert!(error.to_string().contains("feature `sqlite`"), "{error}");
    }

    #[cfg(feature = "redis")]
    #[tokio::test]
    async fn a_redis_server_that_is_not_there_is_an_error() {
        for url in [
            "redis://:hunter2@127.0.0.1:1/",
            "RedisS://:hunter2@127.0.0.1:1/",
            "redis+sentinel://:hunter2@127.0.0.1:1/?master=mymaster",
            "rediss+sentinel://:hunter2@127.0.0.1:1/?master=mymaster",
            "redis+cluster://:hunter2@127.0.0.1:1,127.0.0.1:2",
            "rediss+cluster://:hunter2@127.0.0.1:1",
        ] {
            let error = connect(url).await.unwrap_err();
            assert!(matches!(error, ConnectError::OutOfReach(_)), "{error}");
            assert!(!format!("{error} {error:?}").contains("hunter2"), "{error:?}");
        }
    }
}
