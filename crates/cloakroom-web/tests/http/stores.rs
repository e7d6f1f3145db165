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

mod near_memory {
    use cloakroom_core::MemoryStore;
    use cloakroom_testkit::stores::Fed;
    use cloakroom_testkit::{Fixture, near};

    async fn two_caches() -> Fixture {
        near::fixture(&Fed::handles(MemoryStore::new(), 2)).await
    }

    mod laws {
        super::super::http_laws!(two_caches);
    }
}

mod near_redis {
    use cloakroom_redis::{Options, RedisStore};
    use cloakroom_testkit::servers::Redis;
    use cloakroom_testkit::{Fixture, near};

    async fn two_caches() -> Fixture {
        let server = Redis::start().await;
        let mut nodes = Vec::new();
        for _ in 0..2 {
            let store = RedisStore::connect(&server.url(), Options::default()).await.unwrap();
            nodes.push(near::caught_up(store).await);
        }
        Fixture::of_nodes(nodes).holding(server)
    }

    mod laws {
        super::super::http_laws!(two_caches);
    }
}
