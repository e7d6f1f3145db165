//! The laws of requests, over every store there is.

use crate::laws::http_laws;

mod memory {
    use cloakroom_core::MemoryStore;
    use cloakroom_testkit::Fixture;

    async fn memory() -> Fixture {
        Fixture::new(MemoryStore::new())
    }

    mod laws {
        super::super::http_laws!(memory);
    }
}

mod sqlite {
    use cloakroom_sql::SqlStore;
    use cloakroom_testkit::Fixture;

    async fn sqlite() -> Fixture {
        let directory = tempfile::tempdir().unwrap();
        let url = format!("sqlite://{}/sessions.db", directory.path().display());
        Fixture::new(SqlStore::connect(&url).await.unwrap()).holding(directory)
    }

    mod laws {
        super::super::http_laws!(sqlite);
    }
}

mod redis {
    use cloakroom_redis::{Options, RedisStore};
    use cloakroom_testkit::Fixture;
    use cloakroom_testkit::servers::Redis;

    async fn redis() -> Fixture {
        let server = Redis::start().await;
        let store = RedisStore::connect(&server.url(), Options::default()).await.unwrap();
        Fixture::new(store).holding(server)
    }

    mod laws {
        super::super::http_laws!(redis);
    }
}
