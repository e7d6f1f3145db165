//! Measures, on a server that is given by its URL: how many commits a second the script sustains
//! beside plain SETs of the same size on one connection, and how many round trips each call takes.
//!
//! `cargo run --release -p cloakroom-redis --example round_trips -- redis://127.0.0.1:6379/15`

#![allow(
    clippy::print_stdout,
    clippy::expect_used,
    reason = "a program that prints its findings, and ends where it cannot"
)]

use std::sync::Arc;
use std::time::{Duration, Instant};

use cloakroom_core::commit::{Change, Commit, Expect, Outcome, Room, Rotation, SignIn};
use cloakroom_core::event::Ended;
use cloakroom_core::record::{CommitId, Field};
use cloakroom_core::store::{Announce, Created, Keep};
use cloakroom_core::token::Secret;
use cloakroom_core::{Clock, Guard, Key, Kind, Record, Store, SystemClock};
use cloakroom_redis::{Options, RedisStore};
use redis::aio::MultiplexedConnection;

const TASKS: usize = 64;
const SESSIONS: usize = 4096;
const CALLS: usize = 200_000;
const ROOM: Room = Room { fields: 64, bytes: 65_536 };

#[tokio::main]
async fn main() {
    let url = std::env::args().nth(1).unwrap_or_else(|| "redis://127.0.0.1/".to_owned());
    let options =
        Options { prefix: format!("load:{:?}:", Key::random(Kind::Session)), ..Options::default() };
    let prefix = options.prefix.clone();
    let store = RedisStore::connect(&url, options).await.expect("a server");
    let store = Arc::new(store);
    let client = redis::Client::open(url).expect("a URL");
    let mut control = client.get_multiplexed_async_connection().await.expect("a connection");

    round_trips(&store, &mut control).await;
    let before = used_memory(&mut control).await;
    let keys = sessions(&store).await;
    let after = used_memory(&mut control).await;
    println!(
        "bytes a session of {} bytes, index included: {}",
        sample().encode().len(),
        (after - before) / SESSIONS
    );

    for _ in 0..2 {
        let sets = plain_sets(&client, &prefix).await;
        report("SET", sets, sets, &mut control, None).await;
        for (name, touch, writes) in [
            ("commit of one field", false, true),
            ("commit of one field, touched", true, true),
            ("commit that checks", false, false),
        ] {
            reset(&mut control).await;
            let rate = commits(&store, &keys, touch, writes).await;
            report(name, rate, sets, &mut control, Some("evalsha")).await;
        }
        let rate = loads(&store, &keys).await;
        report("load", rate, sets, &mut control, None).await;
    }
    let begun = Instant::now();
    let now = SystemClock.now();
    let swept = store.expire(100, Keep::Nothing, now).await.expect("an answer");
    println!("a sweep that finds {}: {:?}", swept.len(), begun.elapsed());
    let later = now + Duration::from_secs(100 * 24 * 3600);
    let begun = Instant::now();
    let mut swept = 0;
    while let Ok(some) = store.expire(1000, Keep::Nothing, later).await
        && !some.is_empty()
    {
        swept += some.len();
    }
    println!("a sweep that finds {swept}: {:?}", begun.elapsed());
}

/// A session of about 500 bytes.
fn sample() -> Record {
    let now = SystemClock.now();
    let mut record = Record::new(Some(Secret::random().proof()), now);
    record.idle = Some(Duration::from_secs(1800));
    record.ends_at = Some(now + Duration::from_secs(12 * 3600));
    for (name, len) in [("cart", 200), ("visits", 4), ("locale", 8), ("profile", 80)] {
        let field = Field { version: CommitId::random(), bytes: vec![b'7'; len].into() };
        record.fields.insert(name.to_owned(), field);
    }
    record
}

async fn sessions(store: &RedisStore) -> Vec<(Key, Record)> {
    let mut keys = Vec::with_capacity(SESSIONS);
    for _ in 0..SESSIONS {
        let (key, record) = (Key::random(Kind::Session), sample());
        let created = store.create(key, &record, None, SystemClock.now()).await;
        assert!(matches!(created, Ok(Created::Done { .. })), "{created:?}");
        keys.push((key, record));
    }
    keys
}

/// Runs calls from many tasks; how many a second.
async fn spread<F>(call: impl Fn(usize) -> F) -> f64
where
    F: Future<Output = ()> + Send + 'static,
{
    let begun = Instant::now();
    let tasks: Vec<_> = (0..TASKS).map(|task| tokio::spawn(call(task))).collect();
    for task in tasks {
        task.await.expect("a task");
    }
    CALLS as f64 / begun.elapsed().as_secs_f64()
}

async fn commits(
    store: &Arc<RedisStore>,
    keys: &[(Key, Record)],
    touch: bool,
    writes: bool,
) -> f64 {
    let keys: Arc<Vec<_>> =
        Arc::new(keys.iter().map(|(key, record)| (*key, record.proof)).collect());
    spread(|task| {
        let (store, keys) = (Arc::clone(store), Arc::clone(&keys));
        async move {
            for call in 0..CALLS / TASKS {
                let (key, proof) = keys[(task + call * TASKS) % keys.len()];
                let mut commit = Commit::new(proof, ROOM);
                commit.touch = touch;
                let change = Change { to: Some(vec![b'1'; 4].into()), expect: Expect::Any };
                if writes {
                    commit.fields.insert("visits".to_owned(), change);
                }
                let outcome = store.commit(key, &commit, SystemClock.now()).await;
                assert!(matches!(outcome, Ok(Outcome::Done { .. })), "{outcome:?}");
            }
        }
    })
    .await
}

async fn loads(store: &Arc<RedisStore>, keys: &[(Key, Record)]) -> f64 {
    let keys: Arc<Vec<Key>> = Arc::new(keys.iter().map(|(key, _)| *key).collect());
    spread(|task| {
        let (store, keys) = (Arc::clone(store), Arc::clone(&keys));
        async move {
            for call in 0..CALLS / TASKS {
                let key = keys[(task + call * TASKS) % keys.len()];
                assert!(
                    store.load(key, SystemClock.now()).await.is_ok_and(|found| found.is_some())
                );
            }
        }
    })
    .await
}

async fn plain_sets(client: &redis::Client, prefix: &str) -> f64 {
    let connection = client.get_multiplexed_async_connection().await.expect("a connection");
    let value = sample().encode();
    spread(|task| {
        let (mut connection, value, prefix) =
            (connection.clone(), value.clone(), prefix.to_owned());
        async move {
            for call in 0..CALLS / TASKS {
                let name = format!("{prefix}plain:{}", (task + call * TASKS) % SESSIONS);
                let mut set = redis::cmd("SET");
                set.arg(name).arg(value.as_ref()).arg("PX").arg(100_000);
                set.exec_async(&mut connection).await.expect("an answer");
            }
        }
    })
    .await
}

/// Prints a rate beside that of plain SETs, and what the server itself spent on each command.
async fn report(
    name: &str,
    rate: f64,
    sets: f64,
    control: &mut MultiplexedConnection,
    command: Option<&str>,
) {
    let spent = match command {
        Some(command) => format!(", {} us in the server", server_time(control, command).await),
        None => String::new(),
    };
    println!("{name}: {rate:.0}/s, {:.2} of SET{spent}", rate / sets);
}

async fn reset(control: &mut MultiplexedConnection) {
    let mut command = redis::cmd("CONFIG");
    command.arg("RESETSTAT");
    command.exec_async(control).await.expect("an answer");
}

async fn server_time(control: &mut MultiplexedConnection, command: &str) -> String {
    let mut info = redis::cmd("INFO");
    let stats: String = info.arg("commandstats").query_async(control).await.expect("an answer");
    stats
        .lines()
        .find(|line| line.starts_with(&format!("cmdstat_{command}:")))
        .and_then(|line| line.split("usec_per_call=").nth(1)?.split(',').next())
        .unwrap_or("?")
        .to_owned()
}

async fn used_memory(control: &mut MultiplexedConnection) -> usize {
    let mut info = redis::cmd("INFO");
    let memory: String = info.arg("memory").query_async(control).await.expect("an answer");
    memory
        .lines()
        .find_map(|line| line.strip_prefix("used_memory:")?.trim().parse().ok())
        .expect("used_memory")
}

/// Prints how many times each call goes to the server and back.
///
/// The server counts the commands of a script too, so what is counted is what it read from the
/// network: each of these calls sends one command at a time and waits for it.
async fn round_trips(store: &RedisStore, control: &mut MultiplexedConnection) {
    let now = SystemClock.now();
    let (key, record) = (Key::random(Kind::Session), sample());
    let mut signed_in = sample();
    signed_in.principal = Some("alice".to_owned());
    let other = Key::random(Kind::Session);
    let mut login = Commit::new(record.proof, ROOM);
    login.rotation = Some(Rotation::Replace {
        proof: Secret::random().proof(),
        settle: Duration::from_secs(60),
    });
    login.sign_in = Some(SignIn { principal: "alice".to_owned(), seats: Some(5) });
    let announce = Announce { reason: Ended::LoggedOut, keep: Keep::LeasedUntil(now) };
    let commit = Commit::new(record.proof, ROOM);
    let keep = Keep::Nothing;
    // The first of each script is sent whole; it is not counted.
    for counted in [false, true] {
        let at = reads(control).await;
        let mut print = async |name: &str, before: usize| {
            // Asking costs a read itself.
            let reads = reads(control).await - before - 1;
            if counted {
                println!("round trips, {name}: {reads}");
            }
            before + reads + 1
        };
        let _ = store.create(key, &record, Some(5), now).await;
        let at = print("create", at).await;
        let _ = store.create(other, &signed_in, Some(5), now).await;
        let at = print("create, signed in", at).await;
        let _ = store.load(key, now).await;
        let at = print("load", at).await;
        let _ = store.commit(key, &commit, now).await;
        let at = print("commit", at).await;
        let _ = store.commit(key, &login, now).await;
        let at = print("commit, signing in", at).await;
        let _ = store.end(key, &Guard::None, announce, now).await;
        let _ = print("end, signed in", at).await;
        let _ = store.end(other, &Guard::None, announce, now).await;
        let _ = store.expire(10, keep, now).await;
        if let Some(endings) = store.endings() {
            let _ = endings.acknowledge(key).await;
            let _ = endings.acknowledge(other).await;
        }
    }
}

async fn reads(control: &mut MultiplexedConnection) -> usize {
    let mut info = redis::cmd("INFO");
    let stats: String = info.arg("stats").query_async(control).await.expect("an answer");
    stats
        .lines()
        .find_map(|line| line.strip_prefix("total_reads_processed:")?.trim().parse().ok())
        .expect("total_reads_processed")
}
