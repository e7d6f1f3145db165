//! A store that fails, hangs or loses its answer.

use std::future::Future;
use std::task::Poll;
use std::time::Duration;

use cloakroom_core::policy::{Seats, WhenFull};
use cloakroom_core::{Error, Policy, Slot, Token};

use super::nodes::{finish, open, sent};
use super::{Nodes, client};
use crate::fixture::Fixture;
use crate::stores::{Call, Fail, Failing, Plan, Switch};

const VISITS: Slot<u64> = Slot::new("visits");
const OTHER: Slot<u64> = Slot::new("other");

fn failing(fixture: &Fixture) -> (Failing, Nodes) {
    Nodes::around(fixture, Plan::default(), Policy::default())
}

/// A commit and a creation whose answers are lost are found to be done; an ending is sent again.
/// Each counts once.
pub async fn a_lost_answer_is_applied_once(fixture: &Fixture) {
    let (store, nodes) = failing(fixture);
    store.fail_call(Call::Create, 1, Fail::After);
    let token = nodes.create(|session| session.set(VISITS, &1).unwrap()).await;
    assert_eq!(nodes.count().await, 1);
    store.fail_call(Call::Commit, 1, Fail::After);
    let session = open(&nodes.a, &[&token]).await;
    session.update(VISITS, |visits| *visits += 1).unwrap();
    session.set(OTHER, &5).unwrap();
    finish(&nodes.a, &session).await;
    let session = open(&nodes.b, &[&token]).await;
    assert_eq!((session.get(VISITS).unwrap(), session.get(OTHER).unwrap()), (Some(2), Some(5)));
    store.fail_call(Call::End, 1, Fail::After);
    session.log_out().unwrap();
    assert_eq!(finish(&nodes.b, &session).await, Some(cloakroom_core::Reply::Clear));
    assert_eq!((nodes.count().await, store.failed()), (0, 3));
}

/// A login whose answer is lost has handed out nothing, holds no seat, and simply is made again.
pub async fn a_login_whose_answer_is_lost_leaves_nothing(fixture: &Fixture) {
    let seats = Some(Seats { most: 1, when_full: WhenFull::Refuse });
    let policy = Policy { seats, ..Policy::default() };
    let (store, nodes) = Nodes::around(fixture, Plan::default(), policy);
    let anonymous = nodes.create(|session| session.set(VISITS, &1).unwrap()).await;
    for (tokens, call) in [(vec![], Call::Create), (vec![&anonymous], Call::Commit)] {
        let session = open(&nodes.a, &tokens).await;
        session.log_in("alice").unwrap();
        store.fail_call(call, 1, Fail::After);
        let finished = nodes.a.finish(&session).await;
        assert!(matches!(finished, Err(Error::OutcomeUnknown)), "{call:?}: {finished:?}");
        assert_eq!(session.take_reply(), None);
        let again = open(&nodes.b, &tokens).await;
        again.log_in("alice").unwrap();
        let token = sent(finish(&nodes.b, &again).await);
        let listed = nodes.a.of_principal("alice").await.unwrap();
        let keys: Vec<_> = listed.iter().map(|info| info.key()).collect();
        assert_eq!(keys, [token.key()], "{call:?}");
        assert!(nodes.a.end(token.key()).await.unwrap());
    }
}

/// Unknown is not absent: the caller is told, nothing is created, nothing is cleared.
pub async fn a_store_that_cannot_answer_is_not_a_logout(fixture: &Fixture) {
    let (store, nodes) = failing(fixture);
    let token = nodes.signed_in("alice").await;
    store.fail(1, Fail::Before);
    let opened = nodes.a.open(std::slice::from_ref(&token), Default::default()).await;
    assert!(matches!(opened, Err(Error::Store(_))), "{opened:?}");
    let session = open(&nodes.a, &[&token]).await;
    session.set(VISITS, &1).unwrap();
    store.fail(1, Fail::Before);
    let finished = nodes.a.finish(&session).await;
    assert!(matches!(finished, Err(Error::Store(_))), "{finished:?}");
    assert!(matches!(session.set(VISITS, &2), Err(Error::Closed)));
    let session = open(&nodes.b, &[&token]).await;
    assert_eq!(session.principal().as_deref(), Some("alice"));
    assert_eq!((session.get(VISITS).unwrap(), nodes.count().await), (None, 1));
}

/// A call that does not come back is left at its deadline, with a clear error.
pub async fn a_hanging_store_is_left_at_the_deadline(fixture: &Fixture) {
    let policy = Policy {
        call_deadline: Duration::from_millis(100),
        deadline: Duration::from_millis(300),
        ..Policy::default()
    };
    let (store, hung) = Nodes::around(fixture, Switch::default(), policy);
    let token = Nodes::over(fixture).signed_in("alice").await;
    let session = open(&hung.a, &[&token]).await;
    session.set(VISITS, &1).unwrap();
    store.hang();
    let opened = hung.a.open(std::slice::from_ref(&token), Default::default()).await;
    assert!(matches!(opened, Err(Error::Store(_))), "{opened:?}");
    let finished = hung.a.finish(&session).await;
    assert!(matches!(finished, Err(Error::OutcomeUnknown | Error::DeadlinePassed)), "{finished:?}");
    store.release();
    let session = open(&hung.b, &[&token]).await;
    assert_eq!(session.principal().as_deref(), Some("alice"));
}

/// What a request under test does; all of it or nothing of it has to happen.
async fn request(nodes: &Nodes, token: &Token) -> Result<(), Error> {
    let session = client::open(&nodes.a, std::slice::from_ref(token)).await?;
    session.update(VISITS, |visits| *visits += 1)?;
    session.set(OTHER, &session.get(VISITS)?.unwrap_or_default())?;
    let reply = nodes.a.finish(&session).await?;
    client::keep(&session, reply);
    Ok(())
}

/// Whether the request was done once or not at all; anything else panics.
async fn was_done(nodes: &Nodes, token: &Token) -> bool {
    let session = open(&nodes.b, &[token]).await;
    match (session.get(VISITS).unwrap(), session.get(OTHER).unwrap()) {
        (Some(1), None) => false,
        (Some(2), Some(2)) => true,
        half => panic!("half-written: {half:?}"),
    }
}

/// A store that fails its n-th call, n growing until a request goes through: it is done once, or
/// not at all, and its caller knows which, or that nobody does.
pub async fn failing_at_any_call_leaves_nothing_half_written(fixture: &Fixture) {
    let (store, nodes) = failing(fixture);
    for fail in [Fail::Before, Fail::After] {
        for n in 1.. {
            assert!(n < 20, "a request takes few calls");
            let token = nodes.create(|session| session.set(VISITS, &1).unwrap()).await;
            let failed = store.failed();
            store.fail(n, fail);
            let answered = request(&nodes, &token).await;
            let untouched = store.failed() == failed;
            store.fail(usize::MAX, fail);
            let done = was_done(&nodes, &token).await;
            match answered {
                Ok(()) => assert!(done, "{fail:?} at call {n}: confirmed and not done"),
                Err(Error::Store(_)) => assert!(!done, "{fail:?} at call {n}: denied and done"),
                Err(Error::OutcomeUnknown) => {}
                Err(other) => panic!("{fail:?} at call {n}: {other:?}"),
            }
            if untouched {
                break;
            }
        }
    }
}

/// A request that is dropped at its n-th poll, n growing until it goes through, is done once or
/// not at all.
pub async fn a_dropped_future_leaves_nothing_half_written(fixture: &Fixture) {
    let nodes = Nodes::over(fixture);
    for polls in 1.. {
        assert!(polls < 10_000, "a request takes few polls");
        let token = nodes.create(|session| session.set(VISITS, &1).unwrap()).await;
        let went_through = {
            let mut request = std::pin::pin!(request(&nodes, &token));
            let mut left = polls;
            std::future::poll_fn(|context| {
                left -= 1;
                match request.as_mut().poll(context) {
                    Poll::Ready(done) => Poll::Ready(Some(done)),
                    Poll::Pending if left == 0 => Poll::Ready(None),
                    Poll::Pending => Poll::Pending,
                }
            })
            .await
        };
        let done = was_done(&nodes, &token).await;
        if let Some(answered) = went_through {
            answered.unwrap();
            assert!(done);
            return;
        }
    }
}
