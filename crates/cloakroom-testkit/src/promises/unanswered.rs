//! Answers that are lost, and steps that fail after others went well: what was done stands, counts
//! once, and is never done again over another's work.

use std::time::Duration;

use cloakroom_core::{Ended, Error, Outcome, Slot};

use super::nodes::{Interleaved, finish, open, sent};
use crate::fixture::Fixture;
use crate::stores::{Call, lost, unreached};

const VISITS: Slot<u64> = Slot::new("visits");
const OTHER: Slot<u64> = Slot::new("other");
const MINUTE: Duration = Duration::from_secs(60);

/// A commit whose answer was lost, and on which another request has built since, is not applied
/// over that: the caller learns that the outcome is unknown.
pub async fn a_lost_answer_never_undoes_another_writer(fixture: &Fixture) {
    let nodes = Interleaved::over(fixture);
    let token = nodes.create(|session| session.set(VISITS, &1).unwrap()).await;
    let session = open(&nodes.a, &[&token]).await;
    session.set(VISITS, &2).unwrap();
    let (other, with) = (nodes.b.clone(), token.clone());
    nodes.hooked.after(Call::Commit, 1, async move {
        let session = open(&other, &[&with]).await;
        assert_eq!(session.get(VISITS).unwrap(), Some(2), "the store has acted");
        session.set(VISITS, &3).unwrap();
        finish(&other, &session).await;
        Err(lost())
    });
    let finished = nodes.a.finish(&session).await;
    assert!(matches!(finished, Err(Error::OutcomeUnknown)), "{finished:?}");
    assert_eq!(open(&nodes.b, &[&token]).await.get(VISITS).unwrap(), Some(3));
}

/// The first update of an application attribute creates the record; where the answer to that is
/// lost, it is not updated once more.
pub async fn an_application_update_whose_answer_is_lost_counts_once(fixture: &Fixture) {
    let nodes = Interleaved::over(fixture);
    nodes.hooked.after(Call::Create, 1, async { Err(lost()) });
    let add = |visits: &mut u64| {
        *visits += 1;
        *visits
    };
    assert_eq!(nodes.a.application().update(VISITS, add).await.unwrap(), 1);
    assert_eq!(nodes.b.application().get(VISITS).await.unwrap(), Some(1));
}

/// A creation whose answer is lost is not sent again: the session may have been ended since, and
/// stays ended. The caller learns that the outcome is unknown.
pub async fn a_lost_creation_never_revives_an_ended_session(fixture: &Fixture) {
    let nodes = Interleaved::over(fixture);
    let other = nodes.b.clone();
    nodes.hooked.after(Call::Create, 1, async move {
        assert_eq!(other.end_all("alice", None).await.unwrap(), 1);
        Err(lost())
    });
    let session = open(&nodes.a, &[]).await;
    session.log_in("alice").unwrap();
    let finished = nodes.a.finish(&session).await;
    assert!(matches!(finished, Err(Error::OutcomeUnknown)), "{finished:?}");
    assert_eq!((nodes.b.of_principal("alice").await.unwrap(), nodes.count().await), (vec![], 0));
}

/// A commit of nothing but terms leaves no mark by which it could be recognised: where its answer
/// is lost, it is not sent again over another's terms.
pub async fn lost_terms_never_undo_anothers(fixture: &Fixture) {
    let nodes = Interleaved::over(fixture);
    let token = nodes.create(|session| session.set(VISITS, &1).unwrap()).await;
    let session = open(&nodes.a, &[&token]).await;
    session.set_lifetime(None).unwrap();
    let (other, with) = (nodes.b.clone(), token.clone());
    nodes.hooked.after(Call::Commit, 1, async move {
        let session = open(&other, &[&with]).await;
        session.set_lifetime(Some(MINUTE)).unwrap();
        finish(&other, &session).await;
        Err(lost())
    });
    let finished = nodes.a.finish(&session).await;
    assert!(matches!(finished, Err(Error::OutcomeUnknown)), "{finished:?}");
    let ends_at = open(&nodes.b, &[&token]).await.ends_at();
    assert_eq!(ends_at, Some(nodes.a.now() + MINUTE));
}

/// A handle whose early commit got no answer takes no more edits: they would be built upon what is
/// unknown.
pub async fn a_handle_whose_commit_is_unknown_takes_no_edits(fixture: &Fixture) {
    for is_lost in [false, true] {
        let nodes = Interleaved::over(fixture);
        let token = nodes.create(|session| session.set(VISITS, &1).unwrap()).await;
        let session = open(&nodes.a, &[&token]).await;
        session.remove(VISITS).unwrap();
        match is_lost {
            // Nor can it be looked up what became of it.
            true => {
                nodes.hooked.after(Call::Commit, 1, async { Err(lost()) });
                nodes.hooked.before(Call::Load, 1, async { Err(unreached()) });
            }
            false => nodes.hooked.before(Call::Commit, 1, async { Err(unreached()) }),
        }
        let committed = session.commit().await;
        let told = match &committed {
            Err(Error::OutcomeUnknown) => is_lost,
            Err(Error::Store(_)) => !is_lost,
            _ => false,
        };
        assert!(told, "{committed:?}");
        assert!(matches!(session.set(VISITS, &2), Err(Error::Closed)));
        assert_eq!(finish(&nodes.a, &session).await, None, "whoever was told is not told again");
        let left = open(&nodes.b, &[&token]).await.get(VISITS).unwrap();
        assert_eq!(left, (!is_lost).then_some(1));
    }
}

/// The token of an early login is there to be handed out also where the request then fails: the
/// client's old one opens nothing any more.
pub async fn the_token_of_an_early_login_outlives_a_failed_finish(fixture: &Fixture) {
    let nodes = Interleaved::over(fixture);
    let old = nodes.create(|session| session.set(VISITS, &7).unwrap()).await;
    let session = open(&nodes.a, &[&old]).await;
    session.log_in("alice").unwrap();
    assert!(matches!(session.commit().await.unwrap(), Outcome::Done { .. }));
    session.set(OTHER, &1).unwrap();
    nodes.hooked.before(Call::Commit, 1, async { Err(unreached()) });
    let finished = nodes.a.finish(&session).await;
    assert!(matches!(finished, Err(Error::Store(_))), "{finished:?}");
    let new = sent(session.take_reply());
    assert_eq!(session.take_reply(), None, "it is told once");
    let session = open(&nodes.b, &[&new]).await;
    assert_eq!(session.principal().as_deref(), Some("alice"));
    assert_eq!((session.get(VISITS).unwrap(), session.get(OTHER).unwrap()), (Some(7), None));
}

/// Where another user's login has ended the old session and then cannot create the new one, the
/// caller is not told that nothing has happened; the ending is announced.
pub async fn a_change_of_user_that_stops_half_way_is_unknown(fixture: &Fixture) {
    let nodes = Interleaved::over(fixture);
    let token = nodes.signed_in("alice").await;
    let session = open(&nodes.a, &[&token]).await;
    session.log_in("bob").unwrap();
    nodes.hooked.before(Call::Create, 1, async { Err(unreached()) });
    let finished = nodes.a.finish(&session).await;
    assert!(matches!(finished, Err(Error::OutcomeUnknown)), "{finished:?}");
    assert!(open(&nodes.b, &[&token]).await.is_new());
    let reasons: Vec<_> = nodes.heard.endings().iter().map(|ending| ending.reason).collect();
    assert_eq!(reasons, [Ended::Replaced]);
}

/// A request that only reads goes well where its use cannot be noted, or not be confirmed.
pub async fn a_use_that_cannot_be_noted_fails_no_request(fixture: &Fixture) {
    let nodes = Interleaved::over(fixture);
    let token = nodes.create(|session| session.set(VISITS, &1).unwrap()).await;
    nodes.hooked.before(Call::Commit, 1, async { Err(unreached()) });
    nodes.hooked.after(Call::Commit, 2, async { Err(lost()) });
    for _ in 0..2 {
        nodes.clock.advance(4 * MINUTE);
        let session = open(&nodes.a, &[&token]).await;
        assert_eq!(session.get(VISITS).unwrap(), Some(1));
        assert_eq!(finish(&nodes.a, &session).await, None);
    }
    let session = open(&nodes.b, &[&token]).await;
    assert_eq!(session.last_accessed(), Some(nodes.a.now()), "the second use was noted");
}

/// One session that cannot be ended is told of, and the others are ended all the same.
pub async fn everybody_else_ends_where_one_cannot(fixture: &Fixture) {
    let nodes = Interleaved::over(fixture);
    for principal in ["alice", "bob", "carol"] {
        nodes.signed_in(principal).await;
    }
    nodes.hooked.before(Call::End, 1, async { Err(unreached()) });
    let ended = nodes.a.end_everybody().await;
    assert!(matches!(ended, Err(Error::Store(_))), "{ended:?}");
    assert_eq!(nodes.count().await, 1);
    assert_eq!(nodes.a.end_everybody().await.unwrap(), 1);
    for _ in 0..3 {
        nodes.signed_in("alice").await;
    }
    nodes.hooked.before(Call::End, 1, async { Err(unreached()) });
    let ended = nodes.a.end_all("alice", None).await;
    assert!(matches!(ended, Err(Error::Store(_))), "{ended:?}");
    assert_eq!(nodes.count().await, 1);
}

/// A logout whose answer was lost, and of which nothing can be learnt afterwards, is unknown: it is
/// never said that nothing was done.
pub async fn a_logout_that_may_have_been_done_is_unknown(fixture: &Fixture) {
    let nodes = Interleaved::over(fixture);
    let token = nodes.create(|session| session.set(VISITS, &1).unwrap()).await;
    let session = open(&nodes.a, &[&token]).await;
    session.log_out().unwrap();
    nodes.hooked.after(Call::End, 1, async { Err(lost()) });
    nodes.hooked.before(Call::Load, 1, async { Err(unreached()) });
    let finished = nodes.a.finish(&session).await;
    assert!(matches!(finished, Err(Error::OutcomeUnknown)), "{finished:?}");
    assert_eq!(nodes.count().await, 0);
}
