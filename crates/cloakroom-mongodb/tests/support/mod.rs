//! Databases to test with, and what is done on one directly.

#![allow(dead_code, reason = "each test uses what it needs")]
#![allow(clippy::expect_used, reason = "helpers of tests fail by panicking")]

use std::time::Duration;

use cloakroom_mongodb::{MongoRegister, MongoStore, Options};
use cloakroom_testkit::servers::MongoDatabase;
use mongodb::{Client, Database};

/// How long a call may take where nothing goes wrong, even on a busy machine.
const PATIENCE: Duration = Duration::from_secs(30);

/// A database of a test's own. It is gone with this.
pub(crate) struct Own(pub(crate) MongoDatabase);

impl Own {
    pub(crate) async fn new() -> Self {
        Self(MongoDatabase::of_its_own().await)
    }

    pub(crate) fn url(&self) -> &str {
        &self.0.url
    }

    pub(crate) async fn store(&self) -> MongoStore {
        MongoStore::connect(self.url(), patient()).await.expect("it can be used")
    }

    pub(crate) async fn register(&self) -> MongoRegister {
        MongoRegister::connect(self.url(), patient()).await.expect("it can be used")
    }
}

impl Drop for Own {
    fn drop(&mut self) {
        if self.0.stays {
            let url = self.0.url.clone();
            let dropping = std::thread::spawn(move || {
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
                let runtime = runtime.expect("a runtime starts");
                runtime.block_on(async { database(&url).await.drop().await })
            });
            dropping.join().expect("it ends").expect("the database is dropped");
        }
    }
}

/// With as much time as a server takes that many tests ask at once.
fn patient() -> Options {
    Options { call_timeout: PATIENCE, ..Options::default() }
}

/// A store in a database of its own.
pub(crate) async fn store() -> (MongoStore, Own) {
    let own = Own::new().await;
    (own.store().await, own)
}

/// The database, as any client has it.
pub(crate) async fn database(url: &str) -> Database {
    let client = Client::with_uri_str(url).await.expect("the URL is right");
    client.default_database().expect("the URL names one")
}
