//! Opening a database: what it makes, and what it says where it cannot.

use cloakroom_core::Store;
use cloakroom_sql::{ConnectError, Database, Options, SqlStore};
use cloakroom_testkit::faults::causes;
use futures_util::future::join_all;

use crate::{NOW, Place, create, record};

/// The message of a failed opening, causes included.
async fn refused(url: &str) -> String {
    causes(&SqlStore::connect(url).await.unwrap_err()).join(": ")
}

#[tokio::test]
async fn a_url_of_another_kind_is_refused_without_its_password() {
    let message = refused("mongodb://app:hunter2@db/app").await;
    assert_eq!(
        message,
        "not the URL of a session database: it begins with none of sqlite:, postgres:, mysql: and \
         mariadb:"
    );
    assert!(refused("sessions.db").await.contains("expected sqlite://path"));
    assert!(refused("sqlite://").await.contains("a path is missing"));
    assert!(refused("sqlite:///a.db?mode=ro").await.contains("with_options"));
}

#[tokio::test]
async fn a_database_in_memory_is_refused() {
    for url in ["sqlite::memory:", "sqlite://:memory:", "sqlite://x?mode=memory"] {
        assert!(refused(url).await.contains("use memory:"), "{url}");
    }
}

#[tokio::test]
async fn a_missing_directory_is_named_and_not_made() {
    let place = Place::new();
    let missing = place.0.path().join("missing");
    let message = refused(&format!("sqlite://{}/a.db", missing.display())).await;
    assert_eq!(message, format!("the directory {} does not exist", missing.display()));
    assert!(!missing.exists());
}

#[tokio::test]
async fn a_directory_is_not_a_file() {
    let place = Place::new();
    let directory = place.0.path().display();
    let message = refused(&format!("sqlite://{directory}")).await;
    assert_eq!(message, format!("{directory} is a directory: name a file in it"));
}

#[tokio::test]
async fn a_file_that_is_not_a_database_is_left_as_it_is() {
    let place = Place::new();
    let text = "not a database. ".repeat(100);
    std::fs::write(place.file(), &text).unwrap();
    let message = refused(&place.url()).await;
    assert_eq!(message, format!("{} is not an SQLite database", place.file().display()));
    assert_eq!(std::fs::read_to_string(place.file()).unwrap(), text);
}

#[tokio::test]
async fn a_read_only_file_is_refused() {
    let place = Place::new();
    place.store().await.close().await;
    let mut permissions = std::fs::metadata(place.file()).unwrap().permissions();
    permissions.set_readonly(true);
    std::fs::set_permissions(place.file(), permissions).unwrap();
    assert_eq!(refused(&place.url()).await, format!("{} is read-only", place.file().display()));
}

#[tokio::test]
async fn a_newer_schema_is_refused_and_left_as_it_is() {
    let place = Place::new();
    place.store().await.close().await;
    let mut raw = place.raw().await;
    let newer = "UPDATE cloakroom_schema SET version = 7, readable_from = 7";
    sqlx::query(newer).execute(&mut raw).await.unwrap();
    let error = SqlStore::connect(&place.url()).await.unwrap_err();
    assert!(matches!(error, ConnectError::NewerSchema { found: 7, .. }), "{error:?}");
    assert!(error.to_string().contains("upgrade this node"));
}

/// While nodes are upgraded one after the other, the next version has made its tables already.
#[tokio::test]
async fn a_newer_schema_that_this_version_can_use_is_used() {
    let place = Place::new();
    let running = place.store().await;
    let mut raw = place.raw().await;
    for statement in [
        "ALTER TABLE cloakroom_sessions ADD COLUMN device TEXT",
        "ALTER TABLE cloakroom_endings ADD COLUMN device TEXT",
        "UPDATE cloakroom_schema SET version = version + 1",
    ] {
        sqlx::query(statement).execute(&mut raw).await.unwrap();
    }
    let restarted = place.store().await;
    let key = create(&restarted, &record()).await;
    assert_eq!(running.load(key, NOW).await.unwrap(), Some(record()));
    assert_eq!(crate::count_one(&running, key).await, 1);
    assert_eq!(crate::count_one(&restarted, key).await, 2);
    let left: i64 = sqlx::query_scalar("SELECT version FROM cloakroom_schema")
        .fetch_one(&mut raw)
        .await
        .unwrap();
    assert_eq!(left, 3, "the older version leaves it as it is");
}

/// The tables as the first version made them.
#[tokio::test]
async fn the_first_versions_tables_are_upgraded_with_what_is_in_them() {
    let place = Place::new();
    let store = place.store().await;
    let key = create(&store, &record()).await;
    store.close().await;
    let mut raw = place.raw().await;
    for statement in [
        "ALTER TABLE cloakroom_schema DROP COLUMN readable_from",
        "UPDATE cloakroom_schema SET version = 1",
    ] {
        sqlx::query(statement).execute(&mut raw).await.unwrap();
    }
    let store = place.store().await;
    assert_eq!(store.load(key, NOW).await.unwrap(), Some(record()));
    let found: (i64, i64) = sqlx::query_as("SELECT version, readable_from FROM cloakroom_schema")
        .fetch_one(&mut raw)
        .await
        .unwrap();
    assert_eq!(found, (2, 1));
}

#[tokio::test]
async fn a_locked_file_is_waited_for_and_then_named() {
    let place = Place::new();
    let mut raw = place.raw().await;
    sqlx::query("CREATE TABLE theirs (a)").execute(&mut raw).await.unwrap();
    let tx = sqlx::Connection::begin_with(&mut raw, "BEGIN EXCLUSIVE").await.unwrap();
    let options =
        Options { busy_timeout: std::time::Duration::from_millis(300), ..Options::default() };
    let error = SqlStore::with_options(&place.url(), options).await.unwrap_err();
    assert!(error.to_string().contains("is locked by another process"));
    drop(tx);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn many_may_open_a_fresh_file_at_once() {
    for _ in 0..10 {
        let place = Place::new();
        let url = place.url();
        let opening = (0..8).map(|_| {
            let url = url.clone();
            tokio::spawn(async move { SqlStore::connect(&url).await })
        });
        let stores = join_all(opening).await;
        let stores: Vec<_> = stores.into_iter().map(|store| store.unwrap()).collect();
        let first = stores[0].as_ref().unwrap();
        let key = create(first, &record()).await;
        for store in &stores {
            let store = store.as_ref().unwrap();
            assert!(store.load(key, NOW).await.unwrap().is_some());
        }
        let names = std::fs::read_dir(place.0.path()).unwrap();
        let mut names: Vec<_> = names.map(|entry| entry.unwrap().file_name()).collect();
        names.sort();
        assert_eq!(names, ["sessions.db", "sessions.db-shm", "sessions.db-wal"]);
    }
}

#[tokio::test]
async fn tables_of_the_application_are_left_alone() {
    let place = Place::new();
    let mut raw = place.raw().await;
    for statement in ["CREATE TABLE theirs (a)", "INSERT INTO theirs VALUES (1)"] {
        sqlx::query(statement).execute(&mut raw).await.unwrap();
    }
    create(&place.store().await, &record()).await;
    let theirs: i64 = sqlx::query_scalar("SELECT a FROM theirs").fetch_one(&mut raw).await.unwrap();
    assert_eq!(theirs, 1);
}

#[tokio::test]
async fn the_printed_schema_makes_the_tables() {
    let place = Place::new();
    let mut raw = place.raw().await;
    sqlx::raw_sql(sqlx::AssertSqlSafe(SqlStore::schema(Database::Sqlite)))
        .execute(&mut raw)
        .await
        .unwrap();
    create(&place.store().await, &record()).await;
}

#[cfg(unix)]
#[tokio::test]
async fn a_new_file_and_its_companions_are_the_owners_only() {
    use std::os::unix::fs::PermissionsExt;
    let place = Place::new();
    let store = place.store().await;
    create(&store, &record()).await;
    for entry in std::fs::read_dir(place.0.path()).unwrap() {
        let entry = entry.unwrap();
        let mode = entry.metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{:?}", entry.file_name());
    }
}
