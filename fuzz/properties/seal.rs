//! What holds for every text that claims to be a sealed session, or a file of keys.

#![allow(clippy::expect_used, clippy::panic, reason = "a property speaks by failing")]

use std::future::Future;
use std::pin::pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use cloakroom_core::keeping::{Carrier, KeyRing};
use cloakroom_core::time::Sleep;
use cloakroom_core::{Client, Clock, Reply, Session, Sessions, Slot, Timer, Timestamp};

const TEXT: Slot<String> = Slot::new("text");
/// The key that the seeds are sealed with.
const KEYS: &str = "seeds 7dl9Qm3yq1m0sJ0cXcTz2kq3vJvK1r8nYw5bQ4hTn6M=";
const MOST: usize = 4096;

/// A clock that stands still, and a timer that never wakes anybody: nothing waits.
#[derive(Debug)]
struct Still;

impl Clock for Still {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(1_800_000_000_000)
    }
}

impl Timer for Still {
    fn sleep(&self, _: Duration) -> Sleep {
        Box::pin(std::future::pending())
    }

    fn elapsed(&self) -> Duration {
        Duration::ZERO
    }
}

fn now<T>(work: impl Future<Output = T>) -> T {
    match pin!(work).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(done) => done,
        Poll::Pending => panic!("without epochs nothing waits"),
    }
}

fn open(sessions: &Sessions, text: &[u8]) -> Session {
    let carrier = Carrier::new("cookie id", MOST);
    now(sessions.open_sealed(&[text], &carrier, Client::default())).expect("it opens, if empty")
}

/// What a session that holds `text` is sealed as, where it is not too large.
fn sealed(sessions: &Sessions, text: &str) -> Option<String> {
    let session = open(sessions, b"");
    session.set(TEXT, &text.to_owned()).ok()?;
    match now(sessions.finish(&session)).expect("what was edited is sealed") {
        Some(Reply::Seal { text, .. }) => Some(text.reveal().to_owned()),
        other => panic!("expected a seal, not {other:?}"),
    }
}

/// Panics where reading does; where a session does not come back as it was sealed, or is larger than
/// its carrier; and where a seal opens that was changed.
pub(crate) fn holds(bytes: &[u8]) {
    let keys = KeyRing::parse(KEYS).expect("the key is one");
    let builder = Sessions::sealed(keys, Still).clock(Still);
    let sessions = builder.build().expect("the policy is sound");
    drop(open(&sessions, bytes));
    let text = String::from_utf8_lossy(bytes);
    if let Err(error) = KeyRing::parse(&text) {
        let _ = format!("{error} {error:?}");
    }
    let Some(seal) = sealed(&sessions, &text) else {
        return;
    };
    assert!(seal.len() <= MOST, "a carrier holds {MOST} characters, not {}", seal.len());
    let back = open(&sessions, seal.as_bytes()).get(TEXT).expect("it is text");
    assert_eq!(back.as_deref(), Some(&*text));
    let mut changed = seal.into_bytes();
    let at = bytes.iter().map(|byte| usize::from(*byte)).sum::<usize>() % changed.len();
    changed[at] = if changed[at] == b'A' { b'B' } else { b'A' };
    assert!(open(&sessions, &changed).is_new(), "a changed seal opened");
}
