//! Opens each kind of store; without its feature, says so.

use std::sync::Arc;

use cloakroom_core::{MemoryStore, Store};

use super::address::{Database, Driver};
use super::{ConnectError, StoreUrl};

type Opened = Result<Arc<dyn Store>, ConnectError>;

/// Opens a store, with nothing in front of it.
pub(super) async fn open(url: &StoreUrl) -> Opened {
    let text = url.reveal();
    match url.form.driver {
        Driver::Memory => memory(text),
        Driver::Sql(database) => sql(text, database).await,
        Driver::Redis => redis(text).await,
        Driver::Mongo | Driver::Nats | Driver::Hazelcast => {
            Err(ConnectError::NotBuiltIn { store: url.kind(), feature: "" })
        }
    }
}

fn memory(url: &str) -> Opened {
    match url.split_once(':') {
        Some((_, "" | "//")) => Ok(Arc::new(MemoryStore::new())),
        _ => Err(ConnectError::Url("a store in memory is `memory:` and no more".into())),
    }
}

#[cfg(feature = "sqlite")]
async fn sql(url: &str, _database: Database) -> Opened {
    use cloakroom_sql::{ConnectError as Error, SqlStore};

    match SqlStore::connect(url).await {
        Ok(store) => Ok(Arc::new(store)),
        Err(error @ Error::Url(_)) => Err(ConnectError::Url(error.into())),
        Err(error) => Err(ConnectError::Unfit(error.into())),
    }
}

#[cfg(not(feature = "sqlite"))]
async fn sql(_url: &str, _database: Database) -> Opened {
    Err(ConnectError::NotBuiltIn { store: "SQLite", feature: "sqlite" })
}

#[cfg(feature = "redis")]
async fn redis(url: &str) -> Opened {
    use cloakroom_redis::{ConnectError as Error, Options, RedisStore};

    match RedisStore::connect(url, Options::default()).await {
        Ok(store) => Ok(Arc::new(store)),
        Err(error @ Error::Url(_)) => Err(ConnectError::Url(error.into())),
        Err(error @ Error::Server { .. }) => Err(ConnectError::OutOfReach(error.into())),
        Err(error) => Err(ConnectError::Unfit(error.into())),
    }
}

#[cfg(not(feature = "redis"))]
async fn redis(_url: &str) -> Opened {
    Err(ConnectError::NotBuiltIn { store: "Redis", feature: "redis" })
}
