//! A store by its URL: for services whose configuration says where sessions are kept.

use std::error::Error;
use std::sync::Arc;

use cloakroom_core::{MemoryStore, Store};

/// Opens the store at `url`:
///
/// | URL | store | feature |
/// |---|---|---|
/// | `memory:` | this process's memory, a new one each time | |
/// | `sqlite://path` | an SQLite file, for the processes of one machine | `sqlite` |
/// | `redis://host:port/db` | a Redis server | `redis` |
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
    match &*scheme(url)?.to_ascii_lowercase() {
        "memory" => Ok(Arc::new(MemoryStore::new())),
        "sqlite" => sqlite(url).await,
        "redis" => redis(url).await,
        "rediss" => Err(ConnectError::NoTls),
        scheme => Err(ConnectError::UnknownScheme { scheme: scheme.to_owned() }),
    }
}

/// Why a store could not be opened. Quotes no URL: one may hold a password.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConnectError {
    /// The text has no scheme.
    #[error("not the URL of a store: it begins with none of `memory:`, `sqlite://`, `redis://`")]
    NoScheme,
    /// No store goes by that scheme.
    #[error("`{scheme}` is no store: there are `memory:`, `sqlite://path` and `redis://host`")]
    UnknownScheme {
        /// The URL's scheme.
        scheme: String,
    },
    /// The store is there, but this program was built without it.
    #[error("this program was built without {store}: build it with the feature `{feature}`")]
    NotBuiltIn {
        /// The store.
        store: &'static str,
        /// The feature of the crate `cloakroom` that brings it.
        feature: &'static str,
    },
    /// The URL asks for TLS to Redis.
    #[error("TLS to Redis is not built in yet: `rediss://` cannot be used")]
    NoTls,
    /// The store says why it cannot be used.
    #[error(transparent)]
    Store(Box<dyn Error + Send + Sync>),
}

/// What stands before the first colon, where that can be a scheme.
fn scheme(url: &str) -> Result<&str, ConnectError> {
    let (scheme, _) = url.split_once(':').ok_or(ConnectError::NoScheme)?;
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte);
    if scheme.is_empty() || scheme.len() > 32 || !scheme.bytes().all(plain) {
        return Err(ConnectError::NoScheme);
    }
    Ok(scheme)
}

#[cfg(feature = "sqlite")]
async fn sqlite(url: &str) -> Result<Arc<dyn Store>, ConnectError> {
    match cloakroom_sql::SqlStore::connect(url).await {
        Ok(store) => Ok(Arc::new(store)),
        Err(error) => Err(ConnectError::Store(error.into())),
    }
}

#[cfg(not(feature = "sqlite"))]
async fn sqlite(_url: &str) -> Result<Arc<dyn Store>, ConnectError> {
    Err(ConnectError::NotBuiltIn { store: "SQLite", feature: "sqlite" })
}

#[cfg(feature = "redis")]
async fn redis(url: &str) -> Result<Arc<dyn Store>, ConnectError> {
    match cloakroom_redis::RedisStore::connect(url, cloakroom_redis::Options::default()).await {
        Ok(store) => Ok(Arc::new(store)),
        Err(error) => Err(ConnectError::Store(error.into())),
    }
}

#[cfg(not(feature = "redis"))]
async fn redis(_url: &str) -> Result<Arc<dyn Store>, ConnectError> {
    Err(ConnectError::NotBuiltIn { store: "Redis", feature: "redis" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn memory_is_always_there() {
        assert!(connect("memory:").await.is_ok());
    }

    #[tokio::test]
    async fn an_unknown_store_is_named_and_a_password_is_not() {
        for (url, says) in [
            ("postgres://me:hunter2@host/db", "`postgres` is no store"),
            ("rediss://:hunter2@host", "TLS to Redis is not built in yet"),
            ("RedisS://:hunter2@host", "TLS to Redis is not built in yet"),
            ("hunter2", "not the URL of a store"),
            ("", "not the URL of a store"),
            ("hunter2 x:y", "not the URL of a store"),
        ] {
            let error = connect(url).await.unwrap_err();
            let said = format!("{error} {error:?}");
            assert!(said.contains(says) && !said.contains("hunter2"), "{said}");
        }
    }

    #[cfg(feature = "sqlite")]
    #[tokio::test]
    async fn an_sqlite_file_is_opened() {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite://{}/sessions.db", folder.path().display());
        assert!(connect(&url).await.unwrap().capabilities().durable);
        assert!(matches!(connect("sqlite://").await, Err(ConnectError::Store(_))));
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
        let error = connect("redis://127.0.0.1:1/").await.unwrap_err();
        assert!(matches!(error, ConnectError::Store(_)), "{error}");
    }
}
