//! A server that reads and refuses to write: its nodes cache nothing, and leave it in peace.

#![allow(clippy::expect_used, reason = "helpers of tests fail by panicking")]

use std::time::Duration;

use cloakroom_core::Store;
use cloakroom_core::store::{Near, NearOptions};
use cloakroom_redis::{Options, RedisStore};
use cloakroom_testkit::TokioTimer;
use cloakroom_testkit::samples::{START, key, session};
use cloakroom_testkit::servers::Redis;

/// A number that the server says of itself under `name`.
fn number(server: &Redis, section: &str, name: &str) -> u64 {
    let info = server.command(&["INFO", section]);
    let line = info.lines().find_map(|line| line.trim().split_once(name));
    let digits = line.map_or("0", |(_, rest)| rest.split(',').next().unwrap_or("0"));
    digits.parse().expect("it is a number")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_refuses_to_write_keeps_its_connections() {
    let server = Redis::start().await;
    let store = RedisStore::connect(&server.url(), Options::default()).await;
    let heartbeat = Duration::from_millis(10);
    let options = NearOptions { heartbeat, ..NearOptions::default() };
    let near = Near::new(store.expect("it is there"), TokioTimer, options).expect("it has a feed");
    drop(tokio::spawn(near.driver()));
    let (key, record) = (key(), session(START));
    let created = near.create(key, &record, None, START).await;
    drop(created.expect("it is created"));

    server.command(&["CONFIG", "SET", "min-replicas-to-write", "1"]);
    let before = number(&server, "stats", "total_connections_received:");
    let mut asked = 1;
    loop {
        let read = near.load(key, START).await.expect("it still reads");
        assert_eq!(read.as_ref(), Some(&record));
        asked += 1;
        // The heartbeats that it has refused by now: refusals of the command that they are.
        let refused = server.command(&["INFO", "commandstats"]);
        let refused = refused.lines().find(|line| line.starts_with("cmdstat_del:"));
        let count =
            refused.and_then(|line| line.split_once("rejected_calls=")?.1.split(',').next());
        if count.and_then(|count| count.parse::<u64>().ok()).is_some_and(|count| count >= 20) {
            break;
        }
    }
    let after = number(&server, "stats", "total_connections_received:");
    // Each question of this test comes over a connection of its own.
    let of_the_node = (after - before).saturating_sub(asked);
    assert!(of_the_node <= 3, "{of_the_node} new connections");
    assert_eq!(near.stats().hits, 0, "nothing is served that nobody vouches for");
}
