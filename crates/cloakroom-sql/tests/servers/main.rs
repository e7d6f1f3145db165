//! What servers have to keep beyond the laws: faults, upgrades, what they say of a wrong opening,
//! and what PostgreSQL tells.

#![cfg(all(feature = "postgres", feature = "mysql"))]
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "helpers of tests fail as tests do, and print what they have counted"
)]

mod faults;
mod feed;
mod history;
mod opening;
mod upgrade;

use std::net::SocketAddr;
use std::time::Duration;

use cloakroom_core::commit::{Change, Commit, Expect, Room, SignIn};
use cloakroom_core::record::Mark;
use cloakroom_core::store::Error;
use cloakroom_core::{Key, Kind, Outcome, Record, Store, Timestamp};
use cloakroom_sql::{Options, SqlStore};
use cloakroom_testkit::servers::{MariaDb, MySql, Postgres};
use sqlx::Connection;

const NOW: Timestamp = Timestamp::from_millis(1_000_000);
const COUNTER: &str = "counter";
const ROOM: Room = Room { fields: 64, bytes: 65_536 };

/// A server of its own, of any kind.
enum Server {
    Postgres(Postgres),
    MariaDb(MariaDb),
    MySql(MySql),
}

#[derive(Clone, Copy, Debug)]
enum Which {
    Postgres,
    MariaDb,
    MySql,
}

impl Server {
    async fn start(which: Which) -> Self {
        match which {
            Which::Postgres => Self::Postgres(Postgres::start().await),
            Which::MariaDb => Self::MariaDb(MariaDb::start().await),
            Which::MySql => Self::MySql(MySql::start().await),
        }
    }

    fn url(&self) -> String {
        match self {
            Self::Postgres(server) => server.url(),
            Self::MariaDb(server) => server.url(),
            Self::MySql(server) => server.url(),
        }
    }

    fn url_at(&self, addr: SocketAddr) -> String {
        match self {
            Self::Postgres(server) => server.url_at(addr),
            Self::MariaDb(server) => server.url_at(addr),
            Self::MySql(server) => server.url_at(addr),
        }
    }

    fn addr(&self) -> SocketAddr {
        match self {
            Self::Postgres(server) => server.addr(),
            Self::MariaDb(server) => server.addr(),
            Self::MySql(server) => server.addr(),
        }
    }

    fn kill(&mut self) {
        match self {
            Self::Postgres(server) => server.kill(),
            Self::MariaDb(server) => server.kill(),
            Self::MySql(server) => server.kill(),
        }
    }

    async fn restart(self) -> Self {
        match self {
            Self::Postgres(server) => Self::Postgres(server.restart().await),
            Self::MariaDb(server) => Self::MariaDb(server.restart().await),
            Self::MySql(server) => Self::MySql(server.restart().await),
        }
    }

    /// Runs statements in the first database as somebody who may do everything.
    async fn run(&self, statements: &str) {
        self.raw().await.run(statements).await;
    }

    /// A connection past the store, to do what the store would not.
    async fn raw(&self) -> Raw {
        match self {
            Self::Postgres(server) => {
                Raw::Postgres(sqlx::PgConnection::connect(&server.url()).await.unwrap())
            }
            Self::MariaDb(_) | Self::MySql(_) => {
                Raw::MySql(sqlx::MySqlConnection::connect(&self.url()).await.unwrap())
            }
        }
    }
}

enum Raw {
    Postgres(sqlx::PgConnection),
    MySql(sqlx::MySqlConnection),
}

impl Raw {
    async fn run(&mut self, statements: &str) {
        let statements = sqlx::raw_sql(sqlx::AssertSqlSafe(statements));
        match self {
            Self::Postgres(raw) => drop(statements.execute(raw).await.unwrap()),
            Self::MySql(raw) => drop(statements.execute(raw).await.unwrap()),
        }
    }
}

/// A few connections, and time enough on a busy machine.
fn few() -> Options {
    Options { call_timeout: Duration::from_secs(10), connections: 4, ..Options::default() }
}

/// The same, with calls that have to be answered soon.
fn hasty() -> Options {
    Options { call_timeout: Duration::from_secs(3), ..few() }
}

async fn open(url: &str, options: Options) -> SqlStore {
    SqlStore::with_options(url, options).await.unwrap()
}

fn record() -> Record {
    let mut record = Record::new(None, NOW);
    // The same each time.
    record.mark = Mark::default();
    record.idle = Some(Duration::from_secs(1800));
    record
}

async fn create(store: &SqlStore, record: &Record) -> Key {
    let key = Key::random(Kind::Session);
    let _ = store.create(key, record, None, NOW).await.unwrap();
    key
}

fn write(name: &str, bytes: Vec<u8>, expect: Expect) -> Commit {
    let mut commit = Commit::new(None, ROOM);
    let to = Some(bytes.into());
    commit.fields.insert(name.to_owned(), Change { to, expect });
    commit
}

fn sign_in(principal: &str) -> Commit {
    let mut commit = Commit::new(None, ROOM);
    commit.sign_in = Some(SignIn { principal: principal.to_owned(), seats: Some(9) });
    commit
}

/// Adds one to the counter, again and again until no other write comes between.
async fn count_one(store: &SqlStore, key: Key) -> Result<u64, Error> {
    let mut record = store.load(key, NOW).await?.unwrap();
    loop {
        let field = record.fields.get(COUNTER);
        let next = counted(&record) + 1;
        let commit = write(COUNTER, next.to_string().into_bytes(), Expect::unchanged(field));
        match store.commit(key, &commit, NOW).await? {
            Outcome::Done { .. } => return Ok(next),
            Outcome::Conflict(current) => record = (*current).clone(),
            other => panic!("{other:?}"),
        }
    }
}

fn counted(record: &Record) -> u64 {
    record
        .fields
        .get(COUNTER)
        .map_or(0, |field| std::str::from_utf8(&field.bytes).unwrap().parse().unwrap())
}

/// What each call answers, by name.
async fn ask_all(store: &SqlStore, key: Key) -> Vec<(&'static str, Result<(), Error>)> {
    use cloakroom_core::store::{Announce, Keep};
    use cloakroom_core::{Ended, Guard};

    let mut login = record();
    login.principal = Some("alice".to_owned());
    let cart = write("cart", b"1".to_vec(), Expect::Any);
    let (directory, endings) = (store.directory().unwrap(), store.endings().unwrap());
    let gone = Key::random(key.kind());
    let announce = Announce { reason: Ended::LoggedOut, keep: Keep::LeasedUntil(NOW) };
    let later = NOW + Duration::from_secs(1);
    vec![
        ("load", store.load(key, NOW).await.map(drop)),
        ("commit", store.commit(key, &cart, NOW).await.map(drop)),
        ("sign in", store.commit(key, &sign_in("alice"), NOW).await.map(drop)),
        ("create", store.create(gone, &record(), None, NOW).await.map(drop)),
        ("log in", store.create(Key::random(key.kind()), &login, Some(9), NOW).await.map(drop)),
        ("end", store.end(gone, &Guard::None, announce, NOW).await.map(drop)),
        ("expire", store.expire(9, Keep::Nothing, NOW).await.map(drop)),
        ("of_principal", directory.of_principal("alice", NOW).await.map(drop)),
        ("page", directory.page(key.kind(), None, 9, NOW).await.map(drop)),
        ("count", directory.count(key.kind(), NOW).await.map(drop)),
        ("lease", endings.lease(9, later, NOW).await.map(drop)),
        ("acknowledge", endings.acknowledge(gone).await),
    ]
}
