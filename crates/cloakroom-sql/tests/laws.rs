//! Every database, held to the laws of every store and to the promises of sessions.

#![allow(clippy::expect_used, reason = "a fixture fails as tests do")]

use std::time::Duration;

use cloakroom_sql::{Options, SqlStore};
use cloakroom_testkit::Fixture;

/// No law is about time: on a machine that is busy with other tests, a call may take long.
const PATIENT: Duration = Duration::from_secs(100);

fn options() -> Options {
    Options { busy_timeout: PATIENT, call_timeout: PATIENT, ..Options::default() }
}

/// A store in a fresh database.
async fn opened(url: &str) -> SqlStore {
    SqlStore::with_options(url, options()).await.expect("the database opens")
}

#[cfg(feature = "sqlite")]
mod sqlite {
    use cloakroom_testkit::stores::Building;
    use cloakroom_testkit::{session_promises, store_laws};

    use super::{Fixture, SqlStore, opened};

    async fn fresh() -> (SqlStore, tempfile::TempDir) {
        let directory = tempfile::tempdir().expect("a temporary directory is made");
        let url = format!("sqlite://{}/sessions.db", directory.path().display());
        (opened(&url).await, directory)
    }

    async fn sqlite() -> Fixture {
        let (store, directory) = fresh().await;
        Fixture::new(store).holding(directory)
    }

    store_laws!(sqlite);
    session_promises!(sqlite);

    /// Every commit says what it makes of the record.
    mod built {
        use super::*;

        async fn built() -> Fixture {
            let (store, directory) = fresh().await;
            Fixture::new(Building::new(store)).holding(directory)
        }

        store_laws!(built);
    }
}

#[cfg(feature = "postgres")]
mod postgres {
    use cloakroom_testkit::servers::Postgres;
    use cloakroom_testkit::stores::Building;
    use cloakroom_testkit::{session_promises, store_laws};

    use super::{Fixture, opened};

    async fn postgres() -> Fixture {
        let database = Postgres::database().await;
        Fixture::new(opened(database.url()).await)
    }

    store_laws!(postgres);
    session_promises!(postgres);

    /// Every commit says what it makes of the record: it takes one statement.
    mod built {
        use super::*;

        async fn built() -> Fixture {
            let database = Postgres::database().await;
            Fixture::new(Building::new(opened(database.url()).await))
        }

        store_laws!(built);
    }

    /// Two nodes with near caches, each with connections of its own.
    mod near {
        use std::sync::Arc;

        use cloakroom_core::Store;
        use cloakroom_testkit::near;
        use cloakroom_testkit::stores::InTurn;

        use super::*;

        async fn two() -> Vec<Arc<dyn Store>> {
            let database = Postgres::database().await;
            near::two(async || opened(database.url()).await).await
        }

        /// Nodes that read in turn what the other one writes.
        async fn in_turn() -> Fixture {
            Fixture::new(InTurn::new(two().await))
        }

        async fn two_nodes() -> Fixture {
            Fixture::of_nodes(two().await)
        }

        store_laws!(in_turn);
        session_promises!(two_nodes);
    }

    /// Nothing is told, as where no node has a cache.
    mod silent {
        use cloakroom_sql::{Options, SqlStore};

        use super::*;
        use crate::options;

        async fn silent() -> Fixture {
            let database = Postgres::database().await;
            let options = Options { notify: false, ..options() };
            let store = SqlStore::with_options(database.url(), options).await;
            Fixture::new(store.expect("the database opens"))
        }

        store_laws!(silent);
    }

    /// A pool that the application has.
    mod handed_in {
        use cloakroom_sql::SqlStore;

        use super::*;
        use crate::options;

        async fn handed_in() -> Fixture {
            let database = Postgres::database().await;
            let pool = sqlx::PgPool::connect(database.url()).await.expect("a pool");
            let store = SqlStore::from_postgres(pool, options()).await;
            Fixture::new(store.expect("the database opens"))
        }

        store_laws!(handed_in);
    }
}

#[cfg(feature = "mysql")]
mod mariadb {
    use cloakroom_testkit::servers::MariaDb;
    use cloakroom_testkit::stores::Building;
    use cloakroom_testkit::{session_promises, store_laws};

    use super::{Fixture, opened};

    async fn mariadb() -> Fixture {
        let database = MariaDb::database().await;
        Fixture::new(opened(database.url()).await)
    }

    store_laws!(mariadb);
    session_promises!(mariadb);

    /// Every commit says what it makes of the record: it takes one statement.
    mod built {
        use super::*;

        async fn built() -> Fixture {
            let database = MariaDb::database().await;
            Fixture::new(Building::new(opened(database.url()).await))
        }

        store_laws!(built);
    }

    /// A pool that the application has.
    mod handed_in {
        use cloakroom_sql::SqlStore;

        use super::*;
        use crate::options;

        async fn handed_in() -> Fixture {
            let database = MariaDb::database().await;
            let pool = sqlx::MySqlPool::connect(database.url()).await.expect("a pool");
            let store = SqlStore::from_mysql(pool, options()).await;
            Fixture::new(store.expect("the database opens"))
        }

        store_laws!(handed_in);
    }
}

#[cfg(feature = "mysql")]
mod mysql {
    use cloakroom_testkit::servers::MySql;
    use cloakroom_testkit::stores::Building;
    use cloakroom_testkit::{session_promises, store_laws};

    use super::{Fixture, opened};

    async fn mysql() -> Fixture {
        let database = MySql::database().await;
        Fixture::new(opened(database.url()).await)
    }

    store_laws!(mysql, marked: [#[ignore = "needs MySQL: scripts/test mysql"]]);
    session_promises!(mysql, marked: [#[ignore = "needs MySQL: scripts/test mysql"]]);

    /// Every commit says what it makes of the record: it takes one statement.
    mod built {
        use super::*;

        async fn built() -> Fixture {
            let database = MySql::database().await;
            Fixture::new(Building::new(opened(database.url()).await))
        }

        store_laws!(built, marked: [#[ignore = "needs MySQL: scripts/test mysql"]]);
    }

    /// A pool that the application has.
    mod handed_in {
        use cloakroom_sql::SqlStore;

        use super::*;
        use crate::options;

        async fn handed_in() -> Fixture {
            let database = MySql::database().await;
            let pool = sqlx::MySqlPool::connect(database.url()).await.expect("a pool");
            let store = SqlStore::from_mysql(pool, options()).await;
            Fixture::new(store.expect("the database opens"))
        }

        store_laws!(handed_in, marked: [#[ignore = "needs MySQL: scripts/test mysql"]]);
    }
}
