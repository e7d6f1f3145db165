//! Measures one database: loads and commits per second from 64 tasks, and what each costs this
//! process. Without a URL, an SQLite file, for each setting of `synchronous`; with PostgreSQL's, with
//! and without its changes told, turn by turn.
//!
//! On a busy machine the rate says little; the processor time of a call says more.
//!
//! `cargo run --release -p cloakroom-sql --all-features --example load [URL]`

#![allow(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a measurement prints, and stops at the first fault"
)]

use std::sync::Arc;
use std::time::{Duration, Instant};

use cloakroom_core::commit::{Change, Commit, Expect, Room, SignIn};
use cloakroom_core::store::Built;
use cloakroom_core::{Key, Kind, Outcome, Record, Store, Timestamp};
use cloakroom_sql::{Options, SqlStore, Synchronous};

const TASKS: usize = 64;
const SESSIONS_PER_TASK: usize = 16;
/// How often a server is measured each way.
const ROUNDS: usize = 2;
const LASTS: Duration = Duration::from_secs(2);
const NOW: Timestamp = Timestamp::from_millis(1_000_000);
const ROOM: Room = Room { fields: 64, bytes: 65_536 };

#[tokio::main]
async fn main() {
    let Some(url) = std::env::args().nth(1) else {
        return measure_sqlite().await;
    };
    let told: &[bool] = if url.starts_with("postgres") { &[true, false] } else { &[true] };
    for _ in 0..ROUNDS {
        for notify in told {
            let options = Options { notify: *notify, ..Options::default() };
            measure_all(&url, options, if *notify { "" } else { "not told " }).await;
        }
    }
}

async fn measure_sqlite() {
    let directory = tempfile::tempdir().unwrap();
    for synchronous in [Synchronous::Normal, Synchronous::Full] {
        let url = format!("sqlite://{}/{synchronous:?}.db", directory.path().display());
        let options = Options { synchronous, ..Options::default() };
        measure_all(&url, options, &format!("{synchronous:?} ")).await;
    }
}

async fn measure_all(url: &str, options: Options, name: &str) {
    let store = SqlStore::with_options(url, options).await.unwrap();
    let keys = fill(&store).await;
    for work in [Work::Load, Work::Commit, Work::Built, Work::Login] {
        let (rate, micros) = measure(&store, &keys, work).await;
        println!("{name}{work:?}: {rate:.0}/s, {micros:.0} us of processor each");
    }
}

#[derive(Clone, Copy, Debug)]
enum Work {
    /// Reads a session.
    Load,
    /// Writes one attribute of it.
    Commit,
    /// The same of a session that is known, as from a cache.
    Built,
    /// Signs in with a limit on sessions, which takes a transaction of several statements.
    Login,
}

async fn fill(store: &SqlStore) -> Vec<Key> {
    let mut record = Record::new(None, NOW);
    record.idle = Some(Duration::from_secs(1800));
    let mut keys = Vec::new();
    for _ in 0..TASKS * SESSIONS_PER_TASK {
        let key = Key::random(Kind::Session);
        let _ = store.create(key, &record, None, NOW).await.unwrap();
        keys.push(key);
    }
    keys
}

/// How often `work` is done in a second, and the microseconds of processor time that it takes.
async fn measure(store: &SqlStore, keys: &[Key], work: Work) -> (f64, f64) {
    let (started, used) = (Instant::now(), processor_millis());
    let mut tasks = Vec::new();
    for mine in keys.chunks(SESSIONS_PER_TASK) {
        let (store, mine) = (store.clone(), mine.to_vec());
        tasks.push(tokio::spawn(async move {
            let mut done = 0_u32;
            let mut known = Vec::new();
            for key in &mine {
                known.push((*key, Arc::new(store.load(*key, NOW).await.unwrap().unwrap())));
            }
            while started.elapsed() < LASTS {
                for (key, record) in &mut known {
                    once(&store, *key, record, work).await;
                    done += 1;
                }
            }
            done
        }));
    }
    let mut done = 0;
    for task in tasks {
        done += task.await.unwrap();
    }
    let (done, used) = (f64::from(done), processor_millis() - used);
    (done / started.elapsed().as_secs_f64(), 1000.0 * used / done)
}

/// The processor time of this process so far; zero where there is no `/proc`.
fn processor_millis() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    // Behind the name, in parentheses, stand 11 more fields, then user and system time in
    // hundredths of a second.
    let fields = stat.rsplit(')').next().unwrap_or_default();
    let times = fields.split_whitespace().skip(11).take(2);
    10.0 * times.filter_map(|time| time.parse::<f64>().ok()).sum::<f64>()
}

async fn once(store: &SqlStore, key: Key, known: &mut Arc<Record>, work: Work) {
    let mut commit = Commit::new(None, ROOM);
    match work {
        Work::Load => {
            assert!(store.load(key, NOW).await.unwrap().is_some());
            return;
        }
        Work::Commit | Work::Built => {
            let change = Change { to: Some(vec![b'7'; 400].into()), expect: Expect::Any };
            commit.fields.insert("cart".to_owned(), change);
        }
        Work::Login => {
            commit.sign_in = Some(SignIn { principal: key.to_string(), seats: Some(2) });
        }
    }
    let outcome = match work {
        Work::Built => {
            let after = Arc::new(known.apply(&commit, NOW).1.unwrap());
            let built = Built { base: known, after: &after };
            let outcome = store.commit_built(key, &commit, built, NOW).await;
            *known = after;
            outcome
        }
        _ => store.commit(key, &commit, NOW).await,
    };
    assert!(matches!(outcome.unwrap(), Outcome::Done { .. }));
}
