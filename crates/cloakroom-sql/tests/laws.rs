//! SQLite, held to the laws of every store and to the promises of sessions.

#![allow(clippy::expect_used, reason = "a fixture fails as tests do")]

use cloakroom_sql::SqlStore;
use cloakroom_testkit::{Fixture, session_promises, store_laws};

async fn sqlite() -> Fixture {
    let directory = tempfile::tempdir().expect("a temporary directory is made");
    let url = format!("sqlite://{}/sessions.db", directory.path().display());
    let store = SqlStore::connect(&url).await.expect("the database opens");
    Fixture::new(store).holding(directory)
}

store_laws!(sqlite);
session_promises!(sqlite);
