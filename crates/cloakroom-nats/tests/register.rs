//! The register itself over a real server: what a swap finds, however it tells what it expects, and
//! what is refused in plain words.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "helpers of tests fail by panicking"
)]

use std::time::Duration;

use bytes::Bytes;
use cloakroom_core::store::{Due, Error, Held, Place, Put, Register, Swapped};
use cloakroom_core::{Key, Kind, Timestamp};
use cloakroom_nats::{ConnectError, NatsStore, Options};
use cloakroom_testkit::servers::Nats;
use serde_json::json;
use tokio::task::JoinSet;
use tokio::time::{interval, timeout};

/// What no call takes, even on a busy machine. It tells an answer from a hang.
const BOUND: Duration = Duration::from_secs(60);
const NOW: Timestamp = Timestamp::from_millis(1_000);

/// Bytes as a register gets them: alive until then, and over from then on.
fn bytes(until: u64, content: &[u8]) -> Bytes {
    let mut bytes = vec![1];
    for millis in [until, until, Timestamp::MAX.millis()] {
        bytes.extend_from_slice(&millis.to_be_bytes());
    }
    bytes.extend_from_slice(content);
    bytes.into()
}

fn put(bytes: &Bytes) -> Put {
    Put { bytes: bytes.clone(), forget_after: Some(Duration::from_secs(3_600)) }
}

fn told_by_bytes(bytes: &Bytes) -> Held {
    Held { bytes: bytes.clone(), revision: None }
}

fn place() -> Place {
    Place::Record(Key::random(Kind::Session))
}

async fn store(server: &Nats) -> NatsStore {
    NatsStore::connect(&server.url(), Options::default()).await.expect("it can be used")
}

async fn held(store: &NatsStore, place: Place) -> Option<Held> {
    store.register().get(place).await.expect("it answers")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_swap_finds_what_it_expects_or_says_what_is_there() {
    let server = Nats::start().await;
    let (store, other) = (store(&server).await, store(&server).await);
    let (one, two) = (bytes(5, b"one"), bytes(6, b"two"));
    let swap = async |from: Option<&Held>, to: Option<&Bytes>, at: Place| {
        let to = to.map(put);
        store.register().swap(at, from, to.as_ref()).await.expect("it answers")
    };
    let at = place();
    assert_eq!(held(&store, at).await, None);
    assert_eq!(swap(None, Some(&one), at).await, Swapped::Done);
    let first = held(&other, at).await.expect("it is there");
    assert_eq!(first.bytes, one);
    assert_eq!(swap(None, Some(&two), at).await, Swapped::Found(Some(first.clone())));
    // By its bytes, which this node knows, and another one may not know yet.
    assert_eq!(swap(Some(&told_by_bytes(&one)), Some(&two), at).await, Swapped::Done);
    let back = other.register().swap(at, Some(&told_by_bytes(&two)), Some(&put(&one))).await;
    assert_eq!(back.expect("it answers"), Swapped::Done);
    // What is there is the same again, at another revision.
    let again = held(&store, at).await;
    assert_eq!(swap(Some(&first), Some(&two), at).await, Swapped::Found(again.clone()));
    assert_eq!(swap(Some(&told_by_bytes(&two)), None, at).await, Swapped::Found(again));
    assert_eq!(swap(Some(&told_by_bytes(&one)), None, at).await, Swapped::Done);
    assert_eq!(held(&other, at).await, None);
    assert_eq!(swap(Some(&first), Some(&two), at).await, Swapped::Found(None));
    // Where something was removed there is room, whoever has removed it.
    let filled = other.register().swap(at, None, Some(&put(&two))).await;
    assert_eq!(filled.expect("it answers"), Swapped::Done);
}

#[tokio::test(flavor = "multi_thread")]
async fn no_swap_of_many_is_lost() {
    const WRITERS: u64 = 8;
    const EACH: u64 = 10;
    let server = Nats::start().await;
    let (at, zero) = (place(), bytes(5, &0_u64.to_be_bytes()));
    let created = store(&server).await.register().swap(at, None, Some(&put(&zero))).await;
    assert_eq!(created.expect("it answers"), Swapped::Done);
    let mut writers = JoinSet::new();
    for by_bytes in (0..WRITERS).map(|writer| writer % 2 == 0) {
        let store = store(&server).await;
        writers.spawn(async move {
            for _ in 0..EACH {
                let mut now = held(&store, at).await.expect("it is there");
                loop {
                    let count = u64::from_be_bytes(now.bytes[25..].try_into().expect("a number"));
                    let next = put(&bytes(5, &(count + 1).to_be_bytes()));
                    let from = if by_bytes { told_by_bytes(&now.bytes) } else { now };
                    let swapped = store.register().swap(at, Some(&from), Some(&next)).await;
                    match swapped.expect("it answers") {
                        Swapped::Done => break,
                        Swapped::Found(found) => now = found.expect("it is there"),
                    }
                }
            }
        });
    }
    writers.join_all().await;
    let last = held(&store(&server).await, at).await.expect("it is there");
    assert_eq!(last.bytes, bytes(5, &(WRITERS * EACH).to_be_bytes()));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_due_alive_and_counted_is_known_on_every_node() {
    let server = Nats::start().await;
    let one = store(&server).await;
    for until in [900, 950, 1_100] {
        let swapped = one.register().swap(place(), None, Some(&put(&bytes(until, b"x")))).await;
        assert_eq!(swapped.expect("it answers"), Swapped::Done);
    }
    let two = store(&server).await;
    for store in [&one, &two] {
        let register = store.register();
        let due = register.due(Due::Over, 9, NOW).await.expect("it answers");
        let since: Vec<u64> =
            due.iter().map(|(_, held)| held.label().unwrap().over_from.millis()).collect();
        assert_eq!(since, [900, 950]);
        assert_eq!(register.due(Due::Over, 1, NOW).await.expect("it answers").len(), 1);
        assert_eq!(register.count(Kind::Session, NOW).await.expect("it answers"), 1);
        assert_eq!(register.count(Kind::Flow, NOW).await.expect("it answers"), 0);
        let page = register.page(Kind::Session, None, 9, NOW).await.expect("it answers");
        assert_eq!(page.len(), 1);
        let next = register.page(Kind::Session, page.last().copied(), 9, NOW).await;
        assert!(next.expect("it answers").is_empty());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_backend_forgets_this_node_forgets_as_well() {
    let server = Nats::start().await;
    let store = store(&server).await;
    let short = Put { forget_after: Some(Duration::ZERO), ..put(&bytes(5, b"x")) };
    let at = place();
    let swapped = store.register().swap(at, None, Some(&short)).await.expect("it answers");
    assert_eq!((swapped, store.register().known()), (Swapped::Done, 1));
    let forgotten = async {
        let mut looks = interval(Duration::from_millis(20));
        // The server may be the later one by a moment.
        while store.register().known() > 0 || held(&store, at).await.is_some() {
            looks.tick().await;
        }
    };
    timeout(BOUND, forgotten).await.expect("it is forgotten");
    let again = store.register().swap(at, None, Some(&short)).await.expect("it answers");
    assert_eq!(again, Swapped::Done);
}

#[tokio::test(flavor = "multi_thread")]
async fn large_values_are_kept_and_too_large_ones_refused() {
    let server = Nats::start().await;
    let store = store(&server).await;
    let at = place();
    let large = bytes(5, &vec![7; 900_000]);
    let swapped = store.register().swap(at, None, Some(&put(&large))).await.expect("it answers");
    assert_eq!(swapped, Swapped::Done);
    assert_eq!(held(&store, at).await.expect("it is there").bytes, large);
    let huge = bytes(5, &vec![7; 2_000_000]);
    let error = store.register().swap(place(), None, Some(&put(&huge))).await;
    let error = error.expect_err("it is too large");
    assert!(matches!(error, Error::Refused(_)), "{error:?}");
    assert!(format!("{error:?}").contains("TooLarge"), "{error:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_swap_that_is_given_up_happens_whole_or_not_at_all() {
    let server = Nats::start().await;
    let store = store(&server).await;
    let (one, two) = (bytes(5, b"one"), bytes(6, b"two"));
    for polls in 0..40_u32 {
        let at = place();
        let swapped = store.register().swap(at, None, Some(&put(&one))).await.expect("it answers");
        assert_eq!(swapped, Swapped::Done);
        let (from, to) = (told_by_bytes(&one), put(&two));
        let swap = store.register().swap(at, Some(&from), Some(&to));
        let _ = timeout(Duration::from_micros(u64::from(polls) * 20), swap).await;
        let left = held(&store, at).await.expect("it is there").bytes;
        assert!(left == one || left == two);
        let from = Held { bytes: left, revision: None };
        let ended = store.register().swap(at, Some(&from), None).await.expect("it answers");
        // It may have been carried out in between.
        assert!(ended == Swapped::Done || from.bytes == one, "{ended:?}");
    }
}

async fn refusal(url: &str, options: Options) -> (ConnectError, String) {
    let error = NatsStore::connect(url, options).await.expect_err("it cannot be used");
    let mut said = format!("{error:?} {error}");
    let mut cause = std::error::Error::source(&error);
    while let Some(source) = cause {
        said = format!("{said}; {source}");
        cause = source.source();
    }
    (error, said)
}

#[tokio::test(flavor = "multi_thread")]
async fn who_may_not_is_told_and_the_password_is_not_shown() {
    let server = Nats::start_with_password("right").await;
    for user in ["app:hunter2@", "hunter2@", ""] {
        let url = format!("nats://{user}{}", server.addr());
        let (error, said) = refusal(&url, Options::default()).await;
        assert!(matches!(error, ConnectError::Connection { .. }), "{said}");
        assert!(said.contains("name and the password") && !said.contains("hunter2"), "{said}");
    }
    let store = NatsStore::connect(&server.url(), Options::default()).await.expect("it may");
    assert!(!format!("{store:?}").contains("right"));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_used_is_said() {
    let mut server = Nats::start().await;
    let bucket = |storage: &str| {
        let name = format!("KV_{storage}");
        let subject = format!("$KV.{storage}.>");
        let config = json!({"name": name, "subjects": [subject], "storage": storage,
            "num_replicas": 1, "max_msgs_per_subject": 1});
        server.ask(&format!("STREAM.CREATE.{name}"), &config);
    };
    bucket("memory");
    bucket("file");
    for (bucket, says) in [("memory", "file storage"), ("file", "--marker-ttl")] {
        let (error, said) =
            refusal(&format!("{}/{bucket}", server.url()), Options::default()).await;
        assert!(matches!(error, ConnectError::Unfit { .. }) && said.contains(says), "{said}");
    }
    let options = Options { replicas: 3, ..Options::default() };
    let (_, said) = refusal(&server.url(), options).await;
    assert!(said.contains("bucket cannot be opened"), "{said}");
    let (_, said) =
        refusal(&server.url(), Options { bucket: "a.b".into(), ..Options::default() }).await;
    assert!(said.contains("letters, digits"), "{said}");
    server.kill();
    let (_, said) = refusal(&server.url(), Options::default()).await;
    assert!(said.contains("is it there"), "{said}");
}
