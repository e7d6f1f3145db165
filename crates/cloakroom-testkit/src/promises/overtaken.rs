//! Requests, sockets and streams that a login, a rotation or an ending has overtaken.

use std::time::Duration;

use cloakroom_core::{Error, Outcome, Policy, Slot};

use super::Nodes;
use super::nodes::{Interleaved, finish, open, sent};
use crate::fixture::Fixture;
use crate::stores::{Call, lost};

const VISITS: Slot<u64> = Slot::new("visits");

/// A request that began before its client was offered a new token ends without another offer, which
/// would take the place of the one that the client holds.
pub async fn a_request_from_before_an_offer_makes_no_other(fixture: &Fixture) {
    let policy = Policy { rotate_every: Some(Duration::from_secs(300)), ..Policy::default() };
    let nodes = Nodes::with(fixture, policy);
    let token = nodes.signed_in("alice").await;
    nodes.clock.advance(Duration::from_secs(301));
    let slow = open(&nodes.b, &[&token]).await;
    let quick = open(&nodes.a, &[&token]).await;
    let offered = sent(finish(&nodes.a, &quick).await);
    nodes.clock.advance(Policy::default().settle + Duration::from_secs(1));
    slow.set(VISITS, &1).unwrap();
    assert_eq!(finish(&nodes.b, &slow).await, None);
    let session = open(&nodes.a, &[&offered]).await;
    assert_eq!(session.principal().as_deref(), Some("alice"));
    assert_eq!(session.get(VISITS).unwrap(), Some(1));
}

/// What was opened to outlive its request sees the session as long as its login lasts: nothing of
/// a login that came later, though the key is the same.
pub async fn what_outlives_its_request_sees_one_login_only(fixture: &Fixture) {
    let nodes = Nodes::over(fixture);
    let planted = nodes.create(|session| session.set(VISITS, &1).unwrap()).await;
    let attackers = open(&nodes.b, &[&planted]).await.live().unwrap();
    assert!(attackers.check().await.unwrap().is_some());
    let victim = open(&nodes.a, &[&planted]).await;
    victim.log_in("alice").unwrap();
    let token = sent(finish(&nodes.a, &victim).await);
    assert_eq!(attackers.check().await.unwrap(), None);

    let own = open(&nodes.b, &[&token]).await.live().unwrap();
    let session = open(&nodes.a, &[&token]).await;
    session.set(VISITS, &2).unwrap();
    finish(&nodes.a, &session).await;
    let seen = own.check().await.unwrap().unwrap();
    assert_eq!((seen.principal(), seen.get(VISITS).unwrap()), (Some("alice"), Some(2)));
    assert!(nodes.a.end(token.key()).await.unwrap());
    assert_eq!(own.check().await.unwrap(), None);
}

/// A login works also where an earlier commit of the same request has learnt that its session is
/// gone; what was in that stays gone.
pub async fn a_login_works_after_a_commit_that_found_nothing(fixture: &Fixture) {
    let nodes = Nodes::over(fixture);
    let old = nodes.create(|session| session.set(VISITS, &1).unwrap()).await;
    let session = open(&nodes.a, &[&old]).await;
    assert!(nodes.b.end(old.key()).await.unwrap());
    session.set(VISITS, &2).unwrap();
    assert_eq!(session.commit().await.unwrap(), Outcome::Gone);
    assert!(matches!(session.set(VISITS, &3), Err(Error::Ended)));
    session.log_in("alice").unwrap();
    let token = sent(finish(&nodes.a, &session).await);
    let session = open(&nodes.b, &[&token]).await;
    assert_eq!(session.principal().as_deref(), Some("alice"));
    assert_eq!(session.get(VISITS).unwrap(), None);
    assert_ne!(token.key(), old.key());
}

/// A logout before which a login replaced the token ends nothing, and is told to come again: its
/// client has, or is about to get, another token.
pub async fn a_logout_overtaken_by_a_login_is_told_to_come_again(fixture: &Fixture) {
    let nodes = Interleaved::over(fixture);
    let old = nodes.signed_in("alice").await;
    let logout = open(&nodes.a, &[&old]).await;
    logout.log_out().unwrap();
    let login = open(&nodes.b, &[&old]).await;
    login.log_in("alice").unwrap();
    let overtaking = login.clone();
    nodes.hooked.before(Call::End, 1, async move {
        assert!(matches!(overtaking.commit().await.unwrap(), Outcome::Done { .. }));
        Ok(())
    });
    let finished = nodes.a.finish(&logout).await;
    assert!(matches!(finished, Err(Error::Settling)), "{finished:?}");
    assert_eq!(logout.take_reply(), None, "the client's new token is not cleared");
    let new = sent(finish(&nodes.b, &login).await);
    assert_eq!(open(&nodes.a, &[&new]).await.principal().as_deref(), Some("alice"));
}

/// A logout that found its session ended goes well, and leaves the client's token alone: that may
/// be another one by now.
pub async fn a_logout_that_found_nothing_clears_nothing(fixture: &Fixture) {
    let nodes = Nodes::over(fixture);
    let token = nodes.signed_in("alice").await;
    let logout = open(&nodes.a, &[&token]).await;
    assert!(nodes.b.end(token.key()).await.unwrap());
    logout.log_out().unwrap();
    assert_eq!(finish(&nodes.a, &logout).await, None);
}

/// A logout whose first send is lost before the store, and that a login overtakes until the next, has
/// ended nothing, and does not say so.
pub async fn a_lost_logout_overtaken_by_a_login_is_not_done(fixture: &Fixture) {
    let nodes = Interleaved::over(fixture);
    let token = nodes.signed_in("alice").await;
    let (beside, old) = (nodes.b.clone(), token.clone());
    nodes.hooked.before(Call::End, 1, async move {
        let session = open(&beside, &[&old]).await;
        session.log_in("alice").unwrap();
        finish(&beside, &session).await;
        Err(lost())
    });
    let session = open(&nodes.a, &[&token]).await;
    session.log_out().unwrap();
    let finished = nodes.a.finish(&session).await;
    assert!(matches!(finished, Err(Error::Settling)), "{finished:?}");
    assert_eq!(nodes.count().await, 1);
}

/// A transaction whose session is logged out on the same handle, while another user's login ends the
/// one before, is not done.
pub async fn a_transaction_overtaken_by_a_logout_is_not_done(fixture: &Fixture) {
    let nodes = Interleaved::over(fixture);
    let token = nodes.signed_in("alice").await;
    let session = open(&nodes.a, &[&token]).await;
    session.log_in("bob").unwrap();
    let beside = session.clone();
    nodes.hooked.before(Call::End, 1, async move {
        beside.log_out().unwrap();
        Ok(())
    });
    let transacted = session.transact(VISITS, |visits| *visits += 1).await;
    assert!(matches!(transacted, Err(Error::Ended | Error::OutcomeUnknown)), "{transacted:?}");
    assert_eq!(nodes.count().await, 0);
}
