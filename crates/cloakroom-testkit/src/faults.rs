//! What tests of a store ask while its server is away, and what they make of its errors.

use std::time::{Duration, Instant};

use cloakroom_core::store::{Announce, Error, Keep};
use cloakroom_core::{Ended, Guard, Key, Record, Store, Timestamp};
use tokio::time::{interval, timeout};

use crate::samples::{Doing, START, session_of, visit};

/// What no call takes, even on a busy machine. It tells an answer from a hang.
pub const BOUND: Duration = Duration::from_secs(30);
/// How long somebody waits between two tries.
const BETWEEN: Duration = Duration::from_millis(5);

/// Whether the server has said no.
pub fn refused(error: &Error) -> bool {
    matches!(error, Error::Refused(_))
}

/// Whether nobody knows what the server has done.
pub fn unanswered(error: &Error) -> bool {
    matches!(error, Error::Unanswered(_))
}

/// What is said while nobody can tell whether the server has been asked.
pub fn lost(error: &Error) -> bool {
    matches!(error, Error::Unreachable(_) | Error::Unanswered(_))
}

/// Asks what every session needs, and expects an error that `is_right` from each call, in time.
pub async fn all_fail(store: &dyn Store, key: Key, record: &Record, is_right: fn(&Error) -> bool) {
    let begun = Instant::now();
    let announce = Announce { reason: Ended::LoggedOut, keep: Keep::Nothing };
    let commit = visit(record).set("cart", "1");
    let errors = [
        store.load(key, START).await.err(),
        store.commit(key, &commit, START).await.err(),
        store.create(key, record, None, START).await.err(),
        store.create(key, &session_of("alice", START), Some(1), START).await.err(),
        store.end(key, &Guard::None, announce, START).await.err(),
    ];
    for (index, error) in errors.into_iter().enumerate() {
        let error = error.unwrap_or_else(|| panic!("call {index} was answered"));
        assert!(is_right(&error), "call {index}: {error:?}");
    }
    assert!(begun.elapsed() < BOUND, "the calls hang");
}

/// Loads until the server answers again.
pub async fn loaded(store: &dyn Store, key: Key, now: Timestamp) -> Option<Record> {
    let comes_back = async {
        let mut tries = interval(BETWEEN);
        loop {
            tries.tick().await;
            if let Ok(found) = store.load(key, now).await {
                return found;
            }
        }
    };
    timeout(BOUND, comes_back).await.expect("the server comes back")
}

/// Everything that an error says, in its debugging text and by its causes.
pub fn all_said(error: &(dyn std::error::Error + 'static)) -> String {
    format!("{error:?} {}", chain(error).join(": "))
}

/// What an error and its causes say. Panics where one says again what another says.
pub fn causes(error: &(dyn std::error::Error + 'static)) -> Vec<String> {
    let causes = chain(error);
    for (index, cause) in causes.iter().enumerate() {
        let mut others = causes.iter().take(index).chain(causes.iter().skip(index + 1));
        assert!(!others.any(|other| other.contains(cause)), "said twice: {causes:?}");
    }
    causes
}

fn chain(error: &(dyn std::error::Error + 'static)) -> Vec<String> {
    std::iter::successors(Some(error), |error| error.source()).map(ToString::to_string).collect()
}
