//! Two versions of the schema side by side, and what is printed for an administrator.

use cloakroom_core::Store;
use cloakroom_sql::{ConnectError, Database, SqlStore};

use crate::{NOW, Server, Which, ask_all, count_one, create, few, open, record};

/// The next version has made its tables while this one is at work: it goes on, and can be started
/// again, where the next one says so.
async fn rolling(which: Which) {
    let server = Server::start(which).await;
    let running = open(&server.url(), few()).await;
    let key = create(&running, &record()).await;
    server
        .run(
            "ALTER TABLE cloakroom_sessions ADD COLUMN device TEXT; \
             ALTER TABLE cloakroom_endings ADD COLUMN device TEXT; \
             UPDATE cloakroom_schema SET version = version + 1",
        )
        .await;
    let restarted = open(&server.url(), few()).await;
    for store in [&running, &restarted] {
        assert!(store.load(key, NOW).await.unwrap().is_some());
        for (call, answer) in ask_all(store, key).await {
            assert!(answer.is_ok(), "{call}: {answer:?}");
        }
    }
    assert_eq!(count_one(&running, key).await.unwrap(), 1);
    assert_eq!(count_one(&restarted, key).await.unwrap(), 2);

    server.run("UPDATE cloakroom_schema SET readable_from = version").await;
    let error = SqlStore::connect(&server.url()).await.unwrap_err();
    assert!(matches!(error, ConnectError::NewerSchema { found: 2, known: 1 }), "{error:?}");
    assert!(error.to_string().contains("upgrade this node"));
}

#[tokio::test]
async fn the_next_schema_of_postgres_leaves_this_one_working() {
    rolling(Which::Postgres).await;
}

#[tokio::test]
async fn the_next_schema_of_mariadb_leaves_this_one_working() {
    rolling(Which::MariaDb).await;
}

#[tokio::test]
#[ignore = "needs MySQL: scripts/test mysql"]
async fn the_next_schema_of_mysql_leaves_this_one_working() {
    rolling(Which::MySql).await;
}

/// With a pool that is handed in, the connection that has looked at the tables stays open.
async fn newer_tables(which: Which) {
    let server = Server::start(which).await;
    open(&server.url(), few()).await;
    server.run("UPDATE cloakroom_schema SET version = version + 1").await;
    let pool = sqlx::MySqlPool::connect(&server.url()).await.unwrap();
    let store = SqlStore::from_mysql(pool.clone(), few()).await.unwrap();
    let free = "SELECT is_free_lock(concat('cloakroom_schema ', left(sha2(database(), 256), 32)))";
    let free: i64 = sqlx::query_scalar(free).fetch_one(&pool).await.unwrap();
    assert_eq!(free, 1);
    create(&store, &record()).await;
}

#[tokio::test]
async fn newer_tables_that_can_be_used_are_not_left_locked() {
    newer_tables(Which::MariaDb).await;
}

#[tokio::test]
#[ignore = "needs MySQL: scripts/test mysql"]
async fn newer_tables_that_can_be_used_are_not_left_locked_in_mysql() {
    newer_tables(Which::MySql).await;
}

async fn printed_schema(which: Which, database: Database) {
    let server = Server::start(which).await;
    server.run(&SqlStore::schema(database)).await;
    let store = open(&server.url(), few()).await;
    create(&store, &record()).await;
}

#[tokio::test]
async fn the_printed_schema_makes_the_tables() {
    printed_schema(Which::Postgres, Database::Postgres).await;
    printed_schema(Which::MariaDb, Database::MySql).await;
}

#[tokio::test]
#[ignore = "needs MySQL: scripts/test mysql"]
async fn the_printed_schema_makes_the_tables_of_mysql() {
    printed_schema(Which::MySql, Database::MySql).await;
}

/// Of several nodes that begin at the same moment one makes the tables.
async fn many_openings(which: Which) {
    let server = Server::start(which).await;
    let url = server.url();
    let opening = (0..8).map(|_| SqlStore::connect(&url));
    let stores = futures_util::future::join_all(opening).await;
    let stores: Vec<_> = stores.into_iter().map(Result::unwrap).collect();
    let key = create(&stores[0], &record()).await;
    for store in &stores {
        assert!(store.load(key, NOW).await.unwrap().is_some(), "{which:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_may_open_a_fresh_database_at_once() {
    many_openings(Which::Postgres).await;
    many_openings(Which::MariaDb).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs MySQL: scripts/test mysql"]
async fn many_may_open_a_fresh_database_of_mysql_at_once() {
    many_openings(Which::MySql).await;
}
