//! Seats: a principal never has more sessions than it may, and none is missed when all are ended.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use cloakroom_core::commit::{Expect, Limit};
use cloakroom_core::record::CommitId;
use cloakroom_core::store::{Created, Directory, Keep, Store};
use cloakroom_core::{Guard, Key, Outcome, Record, Timestamp};

use super::directory::keys_of;
use super::racing::at_once;
use crate::Fixture;
use crate::samples::{Doing, IDLE, START, after, key, session, session_of, visit};

/// How many log in at once.
const LOGINS: usize = 32;
/// How many of them may.
const SEATS: usize = 3;

async fn create(
    store: &Arc<dyn Store>,
    key: Key,
    record: &Record,
    seats: usize,
    now: Timestamp,
) -> Created {
    let created = store.create(key, record, Some(seats), now).await;
    created.expect("create is answered")
}

/// Logs `who` in under a key of its own; the key where it was let in, else the limit.
async fn log_in(
    store: &Arc<dyn Store>,
    who: &str,
    seats: usize,
    now: Timestamp,
) -> Result<Key, Limit> {
    let key = key();
    match create(store, key, &session_of(who, now), seats, now).await {
        Created::Done { replaced: None } => Ok(key),
        Created::Refused(limit) => Err(limit),
        other => panic!("expected a seat or none, not {other:?}"),
    }
}

/// Logs `who` in under an anonymous session that is there already.
async fn sign_in(
    store: &Arc<dyn Store>,
    key: Key,
    record: &Record,
    who: &str,
) -> Result<Key, Limit> {
    let commit = visit(record).signing_in(who, Some(SEATS));
    let outcome = store.commit(key, &commit, after(1)).await;
    match outcome.expect("commit is answered") {
        Outcome::Done { .. } => Ok(key),
        Outcome::Refused(limit) => Err(limit),
        other => panic!("expected a seat or none, not {other:?}"),
    }
}

fn seats(taken: &[Key]) -> Limit {
    Limit::Seats { taken: taken.to_vec() }
}

/// Checks that the seats are taken to the last by those who were let in, and nobody else.
async fn all_taken(fixture: &Fixture, who: &str, answers: Vec<Result<Key, Limit>>) {
    let (let_in, refused): (Vec<_>, Vec<_>) = answers.into_iter().partition(Result::is_ok);
    let mut let_in: Vec<Key> = let_in.into_iter().flatten().collect();
    let_in.sort_unstable();
    assert_eq!(let_in.len(), SEATS, "as many as there are seats are let in");
    for limit in refused.into_iter().filter_map(Result::err) {
        let Limit::Seats { taken } = limit else {
            panic!("refused for its seat, not {limit:?}");
        };
        assert_eq!(taken.len(), SEATS, "the seats that are taken are named");
    }
    let directory = fixture.directory().expect("it has one");
    let mut listed = keys_of(directory, who, after(2)).await;
    listed.sort_unstable();
    assert_eq!(listed, let_in);
}

/// However many log in at once with sessions of their own, no more than there are seats get in.
pub async fn new_sessions_share_the_seats(fixture: &Fixture) {
    if fixture.directory().is_none() {
        return;
    }
    for who in ["alice", "bob", "carol"] {
        let answers = at_once((0..LOGINS).map(|_| {
            let store = fixture.store.clone();
            async move { log_in(&store, who, SEATS, after(1)).await }
        }))
        .await;
        all_taken(fixture, who, answers).await;
    }
}

/// However many log in at once under the sessions they have, no more than there are seats get in;
/// mixed with new sessions, too.
pub async fn signing_in_shares_the_seats(fixture: &Fixture) {
    if fixture.directory().is_none() {
        return;
    }
    for (who, new) in [("alice", 0), ("bob", LOGINS / 2)] {
        let mut visitors = Vec::new();
        for _ in new..LOGINS {
            let (key, record) = (key(), session(START));
            fixture.create(key, &record, START).await;
            visitors.push(Some((key, record)));
        }
        visitors.resize(LOGINS, None);
        let answers = at_once(visitors.into_iter().map(|visitor| {
            let store = fixture.store.clone();
            async move {
                match visitor {
                    Some((key, record)) => sign_in(&store, key, &record, who).await,
                    None => log_in(&store, who, SEATS, after(1)).await,
                }
            }
        }))
        .await;
        all_taken(fixture, who, answers).await;
    }
}

/// A refused login names the sessions that hold the seats, the oldest login first, and changes
/// nothing.
pub async fn a_refused_login_names_the_seats(fixture: &Fixture) {
    let Some(directory) = fixture.directory() else { return };
    let mut taken = Vec::new();
    for second in [2, 1, 3] {
        let seated = log_in(&fixture.store, "alice", 3, after(second)).await;
        taken.push((second, seated.expect("there is a seat")));
    }
    taken.sort_unstable();
    let taken: Vec<Key> = taken.into_iter().map(|(_, key)| key).collect();
    for most in 0..=3 {
        let refused = log_in(&fixture.store, "alice", most, after(4)).await;
        assert_eq!(refused, Err(seats(&taken)), "with {most} seats");
    }
    let (key, record) = (key(), session(START));
    fixture.create(key, &record, START).await;
    let commit = visit(&record).set("a", "1").signing_in("alice", Some(3));
    let refused = fixture.commit(key, &commit.touching(), after(4)).await;
    assert_eq!(refused, Outcome::Refused(seats(&taken)));
    assert_eq!(fixture.load(key, after(4)).await, Some(record));
    assert_eq!(keys_of(directory, "alice", after(4)).await, taken);
    assert!(log_in(&fixture.store, "bob", 1, after(4)).await.is_ok());
    assert!(log_in(&fixture.store, "alice", 4, after(4)).await.is_ok());
}

/// Ended and expired sessions, and those that were signed over to another, free their seats, swept
/// or not.
pub async fn a_seat_is_freed(fixture: &Fixture) {
    if fixture.directory().is_none() {
        return;
    }
    let store = &fixture.store;
    let first = log_in(store, "alice", 1, START).await.expect("free");
    assert_eq!(log_in(store, "alice", 1, after(1)).await, Err(seats(&[first])));
    assert!(fixture.end(first, &Guard::None, after(1)).await.is_some());
    let second = log_in(store, "alice", 1, after(1)).await.expect("freed");
    assert_eq!(log_in(store, "alice", 1, after(2)).await, Err(seats(&[second])));
    let third = log_in(store, "alice", 1, after(1) + IDLE).await;
    let third = third.expect("freed by time alone");
    assert_eq!(fixture.expire_all(Keep::Nothing, after(2) + IDLE).await.len(), 1);
    let refused = log_in(store, "alice", 1, after(2) + IDLE).await;
    assert_eq!(refused, Err(seats(&[third])), "the sweep freed the old seat only");
    let record = fixture.load(third, after(2) + IDLE).await.expect("it lives");
    let bob = visit(&record).signing_in("bob", Some(1));
    fixture.follow(third, &record, &bob, after(2) + IDLE).await;
    assert!(log_in(store, "alice", 1, after(2) + IDLE).await.is_ok());
}

/// A login under a session that has its seat needs no second one; nor does a new record under the
/// key of one that is over.
pub async fn a_session_has_one_seat(fixture: &Fixture) {
    let Some(directory) = fixture.directory() else { return };
    let (key, record) = (key(), session_of("alice", START));
    let created = create(&fixture.store, key, &record, 1, START).await;
    assert_eq!(created, Created::Done { replaced: None });
    let again = visit(&record).signing_in("alice", Some(1));
    let record = fixture.follow(key, &record, &again, after(1)).await;
    assert_eq!(keys_of(directory, "alice", after(1)).await, [key]);
    let now = START + IDLE;
    let created = create(&fixture.store, key, &session_of("alice", now), 1, now).await;
    let replaced = Some(Box::new(record));
    assert_eq!(created, Created::Done { replaced });
    assert_eq!(keys_of(directory, "alice", now).await, [key]);
}

/// A login that fails for another reason takes no seat.
pub async fn a_failed_login_takes_no_seat(fixture: &Fixture) {
    let Some(directory) = fixture.directory() else { return };
    let (key, record) = (key(), session(START));
    fixture.create(key, &record, START).await;
    let login = || visit(&record).signing_in("alice", Some(1));
    let stranger = visit(&session(START)).signing_in("alice", Some(1));
    let absent = crate::samples::key();
    for (key, commit) in [
        (key, login().set_if("a", Expect::Version(CommitId::random()), "1")),
        (key, login().set("a", "1").within(0, 100)),
        (key, stranger.clone()),
        (absent, stranger),
    ] {
        let outcome = fixture.commit(key, &commit, after(1)).await;
        assert!(!matches!(outcome, Outcome::Done { .. }), "{outcome:?}");
        assert_eq!(keys_of(directory, "alice", after(1)).await, []);
    }
    let other = session_of("alice", after(1));
    let created = create(&fixture.store, key, &other, 1, after(1)).await;
    assert_eq!(created, Created::Exists);
    assert!(log_in(&fixture.store, "alice", 1, after(1)).await.is_ok());
}

/// A login that is refused its seat and sent again, or done and sent again, is answered as before.
pub async fn a_resent_login_keeps_its_answer(fixture: &Fixture) {
    let Some(directory) = fixture.directory() else { return };
    let (key, record) = (key(), session(START));
    fixture.create(key, &record, START).await;
    let login = visit(&record).set("a", "1").signing_in("alice", Some(1));
    assert_eq!(fixture.done(key, &login, after(1)).await, 2);
    assert_eq!(fixture.done(key, &login, after(2)).await, 2);
    assert_eq!(keys_of(directory, "alice", after(2)).await, [key]);
    let taken = Err(seats(&[key]));
    assert_eq!(log_in(&fixture.store, "alice", 1, after(3)).await, taken);
}

/// Barring the logins under way and then ending all that are listed misses none, though logins
/// race it. Later logins, and others', are let in.
pub async fn none_is_missed_when_all_are_ended(fixture: &Fixture) {
    let Some(directory) = fixture.directory() else { return };
    for round in 0..10 {
        let who = format!("user {round}");
        let barred = Arc::new(AtomicBool::new(false));
        let logins: Vec<_> = (0..12)
            .map(|_| {
                let (store, who, barred) = (fixture.store.clone(), who.clone(), barred.clone());
                tokio::spawn(async move { race_in(&store, &who, &barred).await })
            })
            .collect();
        for _ in 0..round {
            tokio::task::yield_now().await;
        }
        barred.store(true, Ordering::SeqCst);
        end_all(fixture, directory, &who, after(1)).await;
        let mut known = Vec::new();
        for login in logins {
            let (key, early) = login.await.expect("a login ends");
            let lives = fixture.load(key, after(1)).await.is_some();
            assert!(!(early && lives), "a login before the bar was missed");
            known.push((key, lives));
        }
        let listed = keys_of(directory, &who, after(1)).await;
        for (key, lives) in &known {
            assert_eq!(listed.contains(key), *lives, "what lives is listed");
        }
        end_all(fixture, directory, &who, after(2)).await;
        for (key, _) in known {
            assert_eq!(fixture.load(key, after(2)).await, None, "none is left");
        }
        let later = log_in(&fixture.store, &who, 1, after(3)).await;
        assert!(later.is_ok(), "a later login is let in");
    }
}

async fn end_all(fixture: &Fixture, directory: &dyn Directory, who: &str, now: Timestamp) {
    directory.bar(who, now).await.expect("bar is answered");
    for key in keys_of(directory, who, now).await {
        let guard = Guard::Principal(who.to_owned());
        let _ = fixture.end(key, &guard, now).await;
    }
}

/// Logs in by a new session; its key, and whether it was in before the bar came.
async fn race_in(store: &Arc<dyn Store>, who: &str, barred: &AtomicBool) -> (Key, bool) {
    let key = key();
    let record = session_of(who, after(1));
    let done = match create(store, key, &record, 100, after(1)).await {
        Created::Done { .. } => true,
        Created::Barred => false,
        other => panic!("expected to be let in or barred, not {other:?}"),
    };
    (key, done && !barred.load(Ordering::SeqCst))
}
