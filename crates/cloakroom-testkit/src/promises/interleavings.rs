//! What others do in the middle of a request, and what its own handle does in the middle of a commit.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use cloakroom_core::policy::{Seats, WhenFull};
use cloakroom_core::store::Result as StoreResult;
use cloakroom_core::{Error, Outcome, Policy, Session, Slot, Token};
use tokio::sync::oneshot;

use super::Nodes;
use super::nodes::{Interleaved, finish, open};
use crate::fixture::Fixture;
use crate::stores::Call;

const VISITS: Slot<u64> = Slot::new("visits");
const OTHER: Slot<u64> = Slot::new("other");
const MINUTE: Duration = Duration::from_secs(60);

/// Another request, on the other node, adds to the visits.
async fn visit_beside(nodes: &Nodes, token: &Token, visits: u64) {
    let session = open(&nodes.b, &[token]).await;
    session.update(VISITS, move |n| *n += visits).unwrap();
    finish(&nodes.b, &session).await;
}

async fn stored(nodes: &Nodes, token: &Token) -> (Option<u64>, Option<u64>) {
    let session = open(&nodes.b, &[token]).await;
    (session.get(VISITS).unwrap(), session.get(OTHER).unwrap())
}

/// Commits, and drops that in the moment at which the store has done it.
async fn commit_and_drop(nodes: &Interleaved, session: &Session, call: Call) {
    let (done, is_done) = oneshot::channel();
    nodes.hooked.after(call, 1, async {
        done.send(()).unwrap();
        std::future::pending::<StoreResult<()>>().await
    });
    tokio::select! {
        outcome = session.commit() => panic!("it was to be dropped, not {outcome:?}"),
        done = is_done => done.unwrap(),
    }
}

/// A commit whose future is dropped leaves a handle that commits nothing any more: what may have
/// been applied is not applied again.
pub async fn a_commit_dropped_half_way_is_not_applied_again(fixture: &Fixture) {
    let nodes = Interleaved::over(fixture);
    let token = nodes.create(|session| session.set(VISITS, &0).unwrap()).await;
    let session = open(&nodes.a, &[&token]).await;
    session.update(VISITS, |visits| *visits += 1).unwrap();
    commit_and_drop(&nodes, &session, Call::Commit).await;
    assert!(matches!(session.set(OTHER, &1), Err(Error::Closed)));
    let finished = nodes.a.finish(&session).await;
    assert!(matches!(finished, Ok(None) | Err(Error::OutcomeUnknown)), "{finished:?}");
    assert_eq!(stored(&nodes, &token).await, (Some(1), None));
}

/// Nor does whoever waits behind the commit that is dropped: neither the request's end nor another
/// transaction on the handle.
pub async fn what_waits_behind_a_dropped_commit_commits_nothing(fixture: &Fixture) {
    let nodes = Interleaved::over(fixture);
    for transacts in [false, true] {
        let token = nodes.create(|session| session.set(VISITS, &1).unwrap()).await;
        let session = open(&nodes.a, &[&token]).await;
        session.update(VISITS, |visits| *visits += 1).unwrap();
        let (done, is_done) = oneshot::channel();
        nodes.hooked.after(Call::Commit, 1, async {
            done.send(()).unwrap();
            std::future::pending::<StoreResult<()>>().await
        });
        let committing = session.clone();
        let commit = tokio::spawn(async move { committing.commit().await });
        is_done.await.unwrap();
        let waiting = async {
            match transacts {
                true => session.transact(OTHER, |other| *other += 1).await,
                false => nodes.a.finish(&session).await.map(drop),
            }
        };
        let mut waiting = std::pin::pin!(waiting);
        assert!(futures_util::poll!(&mut waiting).is_pending(), "it waits at the gate");
        commit.abort();
        let waited = waiting.await;
        assert!(matches!(waited, Err(Error::OutcomeUnknown)), "{waited:?}");
        assert_eq!(stored(&nodes, &token).await, (Some(2), None));
    }
}

/// An edit that comes while a commit is refused builds on what is stored, not on what the refused
/// edits would have made of it.
pub async fn an_edit_after_refused_ones_builds_on_what_is_stored(fixture: &Fixture) {
    let refused: [fn(&Session); 3] = [
        |session| session.update(VISITS, |visits| *visits += 10).unwrap(),
        |session| session.set(VISITS, &100).unwrap(),
        |session| session.remove(VISITS).unwrap(),
    ];
    let nodes = Interleaved::with(fixture, one_seat());
    nodes.signed_in("alice").await;
    for edit in refused {
        let token = nodes.create(|session| session.set(VISITS, &5).unwrap()).await;
        let session = open(&nodes.a, &[&token]).await;
        edit(&session);
        session.log_in("alice").unwrap();
        let beside = session.clone();
        nodes.hooked.before(Call::Commit, 1, async move {
            beside.update(VISITS, |visits| *visits += 1).unwrap();
            Ok(())
        });
        assert!(matches!(session.commit().await, Ok(Outcome::Refused(_))));
        assert_eq!(session.get(VISITS).unwrap(), Some(6));
        finish(&nodes.a, &session).await;
        assert_eq!(stored(&nodes, &token).await, (Some(6), None));
    }
}

/// A login whose commit was dropped is not refused because of the session that it has left.
pub async fn a_login_dropped_half_way_is_not_refused_for_its_own_seat(fixture: &Fixture) {
    let nodes = Interleaved::with(fixture, one_seat());
    let session = open(&nodes.a, &[]).await;
    session.log_in("alice").unwrap();
    commit_and_drop(&nodes, &session, Call::Create).await;
    let finished = nodes.a.finish(&session).await;
    assert!(matches!(finished, Ok(None) | Err(Error::OutcomeUnknown)), "{finished:?}");
}

fn one_seat() -> Policy {
    let seats = Seats { most: 1, when_full: WhenFull::Refuse };
    Policy { seats: Some(seats), ..Policy::default() }
}

/// Where a commit brings a newer record while an update is being computed, that is computed again.
pub async fn an_update_computed_while_its_base_changes_is_computed_again(fixture: &Fixture) {
    let nodes = Nodes::over(fixture);
    let token = nodes.create(|session| session.set(VISITS, &0).unwrap()).await;
    let session = open(&nodes.a, &[&token]).await;
    visit_beside(&nodes, &token, 10).await;
    session.update(VISITS, |visits| *visits += 1).unwrap();
    let (runtime, handle) = (tokio::runtime::Handle::current(), session.clone());
    let is_first = AtomicBool::new(true);
    let updating = tokio::task::spawn_blocking(move || {
        let committing = handle.clone();
        handle.update(VISITS, move |visits| {
            if is_first.swap(false, Ordering::SeqCst) {
                let outcome = runtime.block_on(committing.commit()).unwrap();
                assert!(matches!(outcome, Outcome::Done { .. }));
            }
            *visits += 100;
        })
    });
    updating.await.unwrap().unwrap();
    finish(&nodes.a, &session).await;
    assert_eq!(stored(&nodes, &token).await, (Some(111), None));
}

/// An edit that comes while an update is replayed on a newer record is committed with it.
pub async fn an_edit_during_a_replay_is_not_lost(fixture: &Fixture) {
    let nodes = Nodes::over(fixture);
    let token = nodes.create(|session| session.set(VISITS, &0).unwrap()).await;
    let session = open(&nodes.a, &[&token]).await;
    let (late, runs) = (session.clone(), AtomicUsize::new(0));
    let update = move |visits: &mut u64| {
        if runs.fetch_add(1, Ordering::SeqCst) == 1 {
            late.set(OTHER, &5).unwrap();
        }
        *visits += 1;
    };
    session.update(VISITS, update).unwrap();
    visit_beside(&nodes, &token, 10).await;
    assert!(matches!(session.commit().await.unwrap(), Outcome::Done { .. }));
    assert_eq!(stored(&nodes, &token).await, (Some(11), Some(5)));
}

/// What a request has committed stays in its view, whatever older record another request of its
/// node hands on to it.
pub async fn a_request_reads_what_it_committed_whatever_its_node_hands_on(fixture: &Fixture) {
    let nodes = Interleaved::over(fixture);
    let token = nodes.create(|session| session.set(VISITS, &0).unwrap()).await;
    let (first, second) = (open(&nodes.a, &[&token]).await, open(&nodes.a, &[&token]).await);
    visit_beside(&nodes, &token, 1).await;
    // The first meets a conflict, replays, and is held in its turn before it writes.
    let (go, may_go) = oneshot::channel::<()>();
    let (arrived, has_arrived) = oneshot::channel::<()>();
    nodes.hooked.before(Call::Commit, 2, async {
        arrived.send(()).unwrap();
        may_go.await.unwrap();
        Ok(())
    });
    first.update(VISITS, |visits| *visits += 1).unwrap();
    let node = nodes.a.clone();
    let finishing = tokio::spawn(async move { node.finish(&first).await });
    has_arrived.await.unwrap();
    second.set(OTHER, &7).unwrap();
    assert!(matches!(second.commit().await.unwrap(), Outcome::Done { .. }));
    second.update(VISITS, |visits| *visits += 1).unwrap();
    let mut committing = Box::pin(second.commit());
    assert!(futures_util::poll!(&mut committing).is_pending(), "it waits for its turn");
    go.send(()).unwrap();
    assert!(matches!(committing.await.unwrap(), Outcome::Done { .. }));
    finishing.await.unwrap().unwrap();
    assert_eq!((second.get(VISITS).unwrap(), second.get(OTHER).unwrap()), (Some(3), Some(7)));
    assert_eq!(stored(&nodes, &token).await, (Some(3), Some(7)));
}

/// An edit that comes while `finish` is at the store is committed or refused, never accepted and
/// lost.
pub async fn an_edit_during_finish_is_committed_or_refused(fixture: &Fixture) {
    let nodes = Interleaved::over(fixture);
    let token = nodes.create(|session| session.set(VISITS, &0).unwrap()).await;
    let session = open(&nodes.a, &[&token]).await;
    session.set(VISITS, &1).unwrap();
    let accepted = Arc::new(AtomicBool::new(false));
    let (late, told) = (session.clone(), Arc::clone(&accepted));
    nodes.hooked.before(Call::Commit, 1, async move {
        told.store(late.set(OTHER, &5).is_ok(), Ordering::SeqCst);
        Ok(())
    });
    finish(&nodes.a, &session).await;
    let other = accepted.load(Ordering::SeqCst).then_some(5);
    assert_eq!(stored(&nodes, &token).await, (Some(1), other));
}

/// Of two transactions on one handle, both learn that the session is gone.
pub async fn every_transaction_on_an_ended_session_fails(fixture: &Fixture) {
    let nodes = Interleaved::over(fixture);
    let token = nodes.create(|session| session.set(VISITS, &0).unwrap()).await;
    let session = open(&nodes.a, &[&token]).await;
    assert!(nodes.b.end(token.key()).await.unwrap());
    // The first is held at the store until the second has begun.
    let (begin, has_begun) = oneshot::channel();
    nodes.hooked.before(Call::Commit, 1, async {
        has_begun.await.unwrap();
        Ok(())
    });
    let add = |visits: &mut u64| *visits += 1;
    let both = tokio::join!(session.transact(VISITS, add), async {
        begin.send(()).unwrap();
        session.transact(VISITS, add).await
    });
    assert!(matches!(both, (Err(Error::Ended), Err(Error::Ended))), "{both:?}");
}

/// An edit that comes while a commit is being refused was no part of it, and is committed later.
pub async fn an_edit_during_a_refused_commit_is_committed_later(fixture: &Fixture) {
    let nodes = Interleaved::with(fixture, one_seat());
    nodes.signed_in("alice").await;
    let token = nodes.create(|session| session.set(VISITS, &0).unwrap()).await;
    let session = open(&nodes.a, &[&token]).await;
    session.log_in("alice").unwrap();
    let late = session.clone();
    nodes.hooked.before(Call::Commit, 1, async move {
        late.set(OTHER, &5).unwrap();
        Ok(())
    });
    assert!(matches!(session.commit().await.unwrap(), Outcome::Refused(_)));
    finish(&nodes.a, &session).await;
    assert_eq!(stored(&nodes, &token).await, (Some(0), Some(5)));
}

/// A request whose session would be over by now, had others not used it, reads what it wrote.
pub async fn a_request_reads_its_write_into_a_session_that_others_kept_alive(fixture: &Fixture) {
    let nodes = Nodes::over(fixture);
    let token = nodes.create(|session| session.set(VISITS, &1).unwrap()).await;
    let slow = open(&nodes.a, &[&token]).await;
    nodes.clock.advance(29 * MINUTE);
    let other = open(&nodes.b, &[&token]).await;
    finish(&nodes.b, &other).await;
    nodes.clock.advance(2 * MINUTE);
    slow.set(VISITS, &2).unwrap();
    assert!(matches!(slow.commit().await.unwrap(), Outcome::Done { .. }));
    assert_eq!(slow.get(VISITS).unwrap(), Some(2));
    assert_eq!(stored(&nodes, &token).await, (Some(2), None));
}
