//! Opens each kind of store; without its feature, says so.

use std::sync::Arc;

use cloakroom_core::{MemoryStore, Store};

use super::address::{Database, Driver};
use super::{ConnectError, StoreUrl};

type Opened = Result<Arc<dyn Store>, ConnectError>;

/// Opens a store, with nothing in front of it yet; `cached` says whether a cache will be.
pub(super) async fn open(url: &StoreUrl, cached: bool) -> Opened {
    let text = url.reveal();
    match url.form.driver {
        Driver::Memory => memory(text),
        Driver::Sql(database) => sql(text, database, cached).await,
        Driver::Redis => redis(text).await,
        Driver::Mongo => mongodb(text).await,
        Driver::Nats => nats(text).await,
        Driver::Hazelcast => hazelcast(text).await,
    }
}

fn memory(url: &str) -> Opened {
    match url.split_once(':') {
        Some((_, "" | "//")) => Ok(Arc::new(MemoryStore::new())),
        _ => Err(ConnectError::Url("a store in memory is `memory:` and no more".into())),
    }
}

#[cfg(any(feature = "sqlite", feature = "postgres", feature = "mysql"))]
async fn sql(url: &str, database: Database, cached: bool) -> Opened {
    use cloakroom_sql::{ConnectError as Error, Options, SqlStore};

    // Where no node has a cache, nobody has to be told, and commits need not wait for each other.
    let options = Options { notify: cached, ..Options::default() };
    match SqlStore::with_options(url, options).await {
        Ok(store) => Ok(Arc::new(store)),
        Err(error) => Err(match &error {
            Error::Url(_) => ConnectError::Url(error.into()),
            Error::NotBuiltIn(_) => not_built_in(database),
            Error::NoServer { .. } => ConnectError::OutOfReach(error.into()),
            _ => ConnectError::Unfit(error.into()),
        }),
    }
}

#[cfg(not(any(feature = "sqlite", feature = "postgres", feature = "mysql")))]
async fn sql(_url: &str, database: Database, _cached: bool) -> Opened {
    Err(not_built_in(database))
}

fn not_built_in(database: Database) -> ConnectError {
    let (store, feature) = match database {
        Database::Sqlite => ("SQLite", "sqlite"),
        Database::Postgres => ("PostgreSQL", "postgres"),
        Database::MySql => ("MySQL and MariaDB", "mysql"),
    };
    ConnectError::NotBuiltIn { store, feature }
}

/// Makes the two ways to open a store that has a crate of its own: with its feature, and without.
/// A pattern says which of its errors are the URL's, another which are a server's that is not there;
/// all others are a server's that is there and will not do.
macro_rules! opens {
    (
        $open:ident, $feature:literal, $name:literal: $library:ident::$store:ident,
        url: $url:pat, out_of_reach: $out_of_reach:pat
    ) => {
        #[cfg(feature = $feature)]
        async fn $open(url: &str) -> Opened {
            use $library::{ConnectError as Error, Options, $store as Opens};

            match Opens::connect(url, Options::default()).await {
                Ok(store) => Ok(Arc::new(store)),
                Err(error) => Err(match &error {
                    $url => ConnectError::Url(error.into()),
                    $out_of_reach => ConnectError::OutOfReach(error.into()),
                    _ => ConnectError::Unfit(error.into()),
                }),
            }
        }

        #[cfg(not(feature = $feature))]
        async fn $open(_url: &str) -> Opened {
            Err(ConnectError::NotBuiltIn { store: $name, feature: $feature })
        }
    };
}

opens!(redis, "redis", "Redis": cloakroom_redis::RedisStore,
    url: Error::Url(_), out_of_reach: Error::Server { .. });
opens!(mongodb, "mongodb", "MongoDB": cloakroom_mongodb::MongoStore,
    url: Error::Url(_), out_of_reach: Error::Server { .. });
opens!(nats, "nats", "NATS": cloakroom_nats::NatsStore,
    url: Error::Url(_), out_of_reach: Error::Connection { .. });
opens!(hazelcast, "hazelcast", "Hazelcast": cloakroom_hazelcast::HazelcastStore,
    url: Error::Url(_), out_of_reach: Error::Cluster { .. });
