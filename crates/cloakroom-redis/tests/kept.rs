//! What is in the server: nothing that opens a session, nothing lost that a newer version wrote,
//! nothing left of what is gone, and as few commands as promised.

#![allow(clippy::expect_used, clippy::unwrap_used, reason = "helpers of tests fail by panicking")]

use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::time::Duration;

use bytes::Bytes;
use cloakroom_core::commit::{Limit, Rotation};
use cloakroom_core::store::{Announce, Created, Error, Keep};
use cloakroom_core::token::Secret;
use cloakroom_core::{Ended, Guard, Key, Kind, Outcome, Record, Store, Timestamp, Token};
use cloakroom_redis::{Options, RedisStore};
use cloakroom_testkit::samples::{
    Doing, START, administer, field, key, session, session_of, visit,
};
use cloakroom_testkit::servers::Redis;

const ANNOUNCE: Announce = Announce { reason: Ended::LoggedOut, keep: Keep::Nothing };

async fn start() -> (Redis, RedisStore) {
    let server = Redis::start().await;
    let store = RedisStore::connect(&server.url(), Options::default())
        .await
        .expect("the server can be used");
    (server, store)
}

async fn create(store: &RedisStore, key: Key, record: &Record) {
    let _ = store.create(key, record, None, START).await.expect("it is created");
}

fn name(key: Key) -> String {
    format!("cloakroom:{{{:02x}}}:{key}", key.as_bytes()[0])
}

/// A record with what a newer version writes beside, so much that the map's head grows.
fn newer() -> Record {
    let mut record = session_of("alice", START);
    record.fields.insert("cart".to_owned(), field("1"));
    // ["new", {"k": 1.5}], nil, 1.0 as a double, {}
    let values: [&[u8]; 4] = [
        b"\x92\xa3new\x81\xa1k\xcb\x3f\xf8\0\0\0\0\0\0",
        b"\xc0",
        b"\xcb\x3f\xf0\0\0\0\0\0\0",
        b"\x80",
    ];
    for (index, value) in values.into_iter().cycle().take(9).enumerate() {
        record.unknown.insert(format!("new{index}"), Bytes::from_static(value));
    }
    record
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_newer_version_wrote_beside_outlives_a_commit() {
    let (_server, store) = start().await;
    let mut record = newer();
    for left in (0..=record.unknown.len()).rev() {
        let key = key();
        create(&store, key, &record).await;
        let commit = visit(&record).set("visits", "1").remove("cart");
        let (outcome, after) = record.apply(&commit, START);
        assert_eq!(store.commit(key, &commit, START).await.unwrap(), outcome);
        assert_eq!(store.load(key, START).await.unwrap(), after, "{left} entries");
        record.unknown.pop_last();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_read_is_named_and_left_alone() {
    let (server, store) = start().await;
    let mut newer_format = session(START).encode().to_vec();
    let format = newer_format.windows(2).position(|pair| pair == b"\xa1f").unwrap() + 2;
    newer_format[format] = 9;
    let mut connection = redis::Client::open(server.url()).unwrap().get_connection().unwrap();
    for bytes in [newer_format, b"no record".to_vec(), vec![0x80], vec![]] {
        let key = key();
        redis::cmd("SET").arg(name(key)).arg(&bytes).exec(&mut connection).unwrap();
        let errors = [
            store.load(key, START).await.err(),
            store.commit(key, &administer().set("a", "1"), START).await.err(),
            store.create(key, &session(START), None, START).await.err(),
            store.end(key, &Guard::None, ANNOUNCE, START).await.err(),
        ];
        for error in errors {
            assert!(
                matches!(&error, Some(Error::Unreadable { key: named, .. }) if *named == key),
                "{error:?}"
            );
        }
        let kept: Vec<u8> = redis::cmd("GET").arg(name(key)).query(&mut connection).unwrap();
        assert_eq!(kept, bytes);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_read_keeps_its_seat_and_hides_no_other() {
    let (server, store) = start().await;
    let (first, second) = (key(), key());
    create(&store, first, &session_of("alice", START)).await;
    let record = session_of("alice", START + Duration::from_secs(1));
    create(&store, second, &record).await;
    server.command(&["SET", &name(first), "of a newer version"]);

    let directory = store.directory().unwrap();
    assert_eq!(directory.of_principal("alice", START).await.unwrap(), [(second, record.clone())]);
    let login = |seats| store.create(key(), &record, Some(seats), START);
    let taken = vec![second, first];
    let full = Created::Refused(Limit::Seats { taken });
    assert_eq!(login(2).await.unwrap(), full, "what can be ended comes first");
    assert_eq!(login(3).await.unwrap(), Created::Done { replaced: None });
    let alice = Guard::Principal("alice".to_owned());
    assert_eq!(store.end(second, &alice, ANNOUNCE, START).await.unwrap(), Some(record.clone()));
    assert_eq!(server.command(&["GET", &name(first)]), "of a newer version");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_version_saturates_where_a_script_counts_exactly() {
    let (_server, store) = start().await;
    let most = (1 << 53) - 1;
    for (version, after) in [(most - 2, most - 1), (most - 1, most), (most, most)] {
        let key = key();
        let mut record = session(START);
        record.version = version;
        create(&store, key, &record).await;
        let done = store.commit(key, &visit(&record).set("a", "1"), START).await;
        assert_eq!(done.unwrap(), Outcome::Done { version: after });
        assert_eq!(store.load(key, START).await.unwrap().unwrap().version, after);
    }
    let (key, mut record) = (key(), session(START));
    record.version = u64::MAX;
    create(&store, key, &record).await;
    assert_eq!(store.load(key, START).await.unwrap().unwrap().version, most);
}

#[tokio::test(flavor = "multi_thread")]
async fn another_type_of_value_is_no_absence() {
    let (server, store) = start().await;
    let key = key();
    server.command(&["LPUSH", &name(key), "1"]);
    let load = store.load(key, START).await;
    assert!(matches!(load, Err(Error::Refused(_))), "{load:?}");
    let commit = store.commit(key, &administer(), START).await;
    assert!(matches!(commit, Err(Error::Refused(_))), "{commit:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_needs_no_script_on_the_server() {
    let (server, store) = start().await;
    let (key, record) = (key(), session(START));
    create(&store, key, &record).await;
    for version in 2..5 {
        server.command(&["SCRIPT", "FLUSH"]);
        let done = store.commit(key, &visit(&record).set("a", "1"), START).await;
        assert_eq!(done.unwrap(), Outcome::Done { version });
    }
}

/// Every command that the server runs, but not those inside its scripts.
struct Monitor(BufReader<TcpStream>);

impl Monitor {
    fn start(server: &Redis) -> Self {
        let mut stream = TcpStream::connect(server.addr()).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
        stream.write_all(b"MONITOR\r\n").unwrap();
        let mut lines = BufReader::new(stream);
        let mut greeting = String::new();
        lines.read_line(&mut greeting).unwrap();
        assert_eq!(greeting.trim(), "+OK");
        Self(lines)
    }

    /// The names of the commands since the last time.
    fn commands(&mut self, server: &Redis) -> Vec<String> {
        server.command(&["ECHO", "until here"]);
        let mut commands = Vec::new();
        loop {
            let mut line = String::new();
            let mut bytes = Vec::new();
            self.0.read_until(b'\n', &mut bytes).unwrap();
            line.push_str(&String::from_utf8_lossy(&bytes));
            if line.contains("until here") {
                return commands;
            }
            if !line.contains(" lua]") {
                commands.push(line.split('"').nth(1).unwrap_or(&line).to_uppercase());
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_send_as_few_commands_as_promised() {
    let (server, store) = start().await;
    let warm = (key(), session_of("warm", START));
    create(&store, warm.0, &warm.1).await;
    let _ = store.commit(warm.0, &visit(&warm.1).signing_in("warm", Some(1)), START).await.unwrap();
    let _ = store.end(warm.0, &Guard::None, ANNOUNCE, START).await.unwrap();

    let mut monitor = Monitor::start(&server);
    let (key, record) = (key(), session(START));
    create(&store, key, &record).await;
    assert_eq!(monitor.commands(&server), ["EVALSHA"], "a creation");
    store.load(key, START).await.unwrap();
    assert_eq!(monitor.commands(&server), ["GET"], "a load");
    let commit = visit(&record).set("a", "1").set("b", "2");
    let _ = store.commit(key, &commit, START).await.unwrap();
    assert_eq!(monitor.commands(&server), ["EVALSHA"], "a commit");
    let login = visit(&record).signing_in("alice", Some(3));
    let _ = store.commit(key, &login, START).await.unwrap();
    assert_eq!(monitor.commands(&server), ["EVALSHA"; 3], "a login");
    store.end(key, &Guard::None, ANNOUNCE, START).await.unwrap();
    assert_eq!(monitor.commands(&server), ["EVALSHA"; 2], "an ending");
    assert_eq!(server.command(&["DBSIZE"]), "0");
}

/// Decodes what base64url without padding holds.
fn decode(text: &str) -> Vec<u8> {
    const ALPHABET: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    text.as_bytes()
        .chunks(4)
        .flat_map(|four| {
            let bits = four.iter().fold(0, |bits: u32, digit| {
                let value = ALPHABET.bytes().position(|other| other == *digit).unwrap();
                bits << 6 | u32::try_from(value).unwrap()
            });
            bits.to_be_bytes()[1..].to_vec()
        })
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stolen_database_has_no_token() {
    let (server, store) = start().await;
    let (key, secret) = (key(), Secret::random());
    let mut record = session(START);
    record.proof = Some(secret.proof());
    create(&store, key, &record).await;
    let next = Secret::random();
    let login = visit(&record)
        .rotating(Rotation::Replace { proof: next.proof(), settle: Duration::from_secs(60) })
        .signing_in("alice", Some(3));
    let _ = store.commit(key, &login, START).await.unwrap();
    server.command(&["SAVE"]);

    let directory = server.command(&["CONFIG", "GET", "dir"]);
    let mut files = Vec::new();
    gather(directory.lines().nth(1).unwrap().as_ref(), &mut files);
    let holds = |needle: &[u8]| files.windows(needle.len()).any(|window| window == needle);
    assert!(holds(key.to_string().as_bytes()), "the files are those of this server");
    for secret in [secret, next] {
        let token = Token::new(key, secret.clone()).reveal();
        let (_, text) = token.split_at(token.len() / 2);
        assert!(!holds(token.as_bytes()) && !holds(text.as_bytes()));
        assert!(!holds(&decode(text)));
        assert!(holds(secret.proof().as_bytes()), "its proof is there");
    }
}

fn gather(directory: &std::path::Path, files: &mut Vec<u8>) {
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            gather(&path, files);
        } else {
            files.extend(std::fs::read(path).unwrap());
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_login_that_nobody_finished_counts_by_what_it_wrote() {
    let (server, store) = start().await;
    let (abandoned, next) = (key(), key());
    create(&store, abandoned, &session_of("alice", START)).await;
    // As the login's node left it when it died before the confirmation.
    let seats = server.command(&["KEYS", "*:seats:*"]);
    let lapse = (START + Duration::from_secs(30)).millis();
    let pending = format!("p{lapse}:1");
    server.command(&["HSET", &seats, &abandoned.to_string(), &pending]);

    let later = START + Duration::from_secs(60);
    let directory = store.directory().unwrap();
    let listed = directory.of_principal("alice", later).await.unwrap();
    assert_eq!(listed.iter().map(|(key, _)| *key).collect::<Vec<_>>(), [abandoned]);
    let login = session_of("alice", later);
    let full = Created::Refused(Limit::Seats { taken: vec![abandoned] });
    assert_eq!(store.create(next, &login, Some(1), later).await.unwrap(), full);

    // Without a record it is under way for as long as it may be, and no longer.
    server.command(&["DEL", &name(abandoned)]);
    assert_eq!(store.create(next, &login, Some(1), START).await.unwrap(), full);
    let created = store.create(next, &login, Some(1), later).await.unwrap();
    assert_eq!(created, Created::Done { replaced: None });
    assert_eq!(server.command(&["HKEYS", &seats]), next.to_string());
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_left_of_what_the_server_expired() {
    let (server, store) = start().await;
    let (key, record) = (key(), session_of("alice", START));
    create(&store, key, &record).await;
    let ttl: u64 = server.command(&["PTTL", &name(key)]).parse().unwrap();
    let day = 24 * 3600 * 1000;
    assert!(ttl > day && ttl <= day + 30 * 60 * 1000, "{ttl}");
    server.command(&["DEL", &name(key)]);
    let directory = store.directory().unwrap();
    assert_eq!(directory.of_principal("alice", START).await.unwrap(), []);
    let later = START + Duration::from_secs(48 * 3600);
    assert_eq!(store.expire(10, Keep::Nothing, later).await.unwrap(), []);
    assert_eq!(server.command(&["DBSIZE"]), "0");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_never_ends_has_no_expiry() {
    let (server, store) = start().await;
    let key = Key::named(Kind::Application, "shop");
    create(&store, key, &Record::new(None, START)).await;
    assert_eq!(server.command(&["PTTL", &name(key)]), "-1");
    let mut commit = administer();
    commit.ends_at = Some(Some(START + Duration::from_secs(1)));
    let _ = store.commit(key, &commit, START).await.unwrap();
    assert_ne!(server.command(&["PTTL", &name(key)]), "-1");
    commit = administer();
    commit.ends_at = Some(None);
    let _ = store.commit(key, &commit, START).await.unwrap();
    assert_eq!(server.command(&["PTTL", &name(key)]), "-1");
    assert_eq!(store.expire(10, Keep::Nothing, Timestamp::MAX).await.unwrap(), []);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_clock_is_the_servers() {
    let (server, store) = start().await;
    let before: u64 = server.command(&["TIME"]).lines().next().unwrap().parse().unwrap();
    let clock = store.clock().await.unwrap().expect("it has one").millis() / 1000;
    let after: u64 = server.command(&["TIME"]).lines().next().unwrap().parse().unwrap();
    assert!((before..=after).contains(&clock));
}

#[tokio::test(flavor = "multi_thread")]
async fn applications_share_a_server() {
    let (server, store) = start().await;
    let options = Options { prefix: "other:".to_owned(), ..Options::default() };
    let other = RedisStore::connect(&server.url(), options).await.unwrap();
    let (key, record) = (key(), session_of("alice", START));
    create(&store, key, &record).await;
    assert_eq!(other.load(key, START).await.unwrap(), None);
    assert_eq!(other.directory().unwrap().count(Kind::Session, START).await.unwrap(), 0);
    assert_eq!(other.directory().unwrap().of_principal("alice", START).await.unwrap(), []);
}

#[tokio::test(flavor = "multi_thread")]
#[expect(clippy::print_stdout, reason = "a figure to read, not to judge by")]
async fn the_memory_of_a_session_is_printed() {
    let (server, store) = start().await;
    let used = || {
        let memory = server.command(&["INFO", "memory"]);
        let line = memory.lines().find_map(|line| line.strip_prefix("used_memory:"));
        line.unwrap().trim().parse::<usize>().unwrap()
    };
    let mut record = session(START);
    record.fields.insert("cart".to_owned(), field(vec![b'7'; 330]));
    create(&store, key(), &record).await;
    let before = used();
    let sessions = 4_000;
    for _ in 0..sessions {
        create(&store, key(), &record).await;
    }
    let bytes = (used() - before) / sessions;
    println!("a session of {} bytes takes {bytes}, index included", record.encode().len());
}

/// Whether a store on the server says that it is durable.
async fn durable(url: &str) -> bool {
    let store = RedisStore::connect(url, Options::default()).await.expect("it can be used");
    store.capabilities().durable
}

#[tokio::test(flavor = "multi_thread")]
async fn durable_is_what_the_server_says() {
    for (arguments, expected) in [
        (["--appendonly", "yes", "--save", ""], true),
        (["--appendonly", "no", "--save", "60 1"], true),
        (["--appendonly", "no", "--save", ""], false),
    ] {
        let server = Redis::start_with(&arguments).await;
        assert_eq!(durable(&server.url()).await, expected, "{arguments:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_forbids_the_question_is_judged_by_its_snapshots() {
    let server = Redis::start_with(&["--appendonly", "no", "--save", "60 1"]).await;
    server.command(&["ACL", "SETUSER", "app", "on", "nopass", "~*", "+@all", "-config"]);
    let url = format!("redis://app:any@{}", server.addr());
    assert!(!durable(&url).await, "nobody knows");
    server.command(&["BGSAVE"]);
    while server.command(&["INFO", "persistence"]).contains("rdb_last_bgsave_time_sec:-1") {
        tokio::task::yield_now().await;
    }
    assert!(durable(&url).await);
    server.command(&["ACL", "SETUSER", "app", "-info"]);
    assert!(!durable(&url).await, "it says nothing at all");
}
