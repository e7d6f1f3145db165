//! Tokens and those who hold them: logins, rotations, seats.

use std::collections::HashSet;
use std::time::Duration;

use cloakroom_core::policy::{Seats, WhenFull};
use cloakroom_core::token::Secret;
use cloakroom_core::{Ended, Error, Event, Key, Kind, Limit, Login, Outcome, Policy, Slot, Token};

use super::nodes::{finish, open, sent};
use super::{Nodes, client};
use crate::fixture::Fixture;

const VISITS: Slot<u64> = Slot::new("visits");

/// A login replaces the token at once. For a while the old one is recognised: it reads as
/// anonymous, cannot write, opens no second session; then it is a stranger's. Attributes stay.
pub async fn a_login_replaces_the_token(fixture: &Fixture) {
    let nodes = Nodes::over(fixture);
    let old = nodes.create(|session| session.set(VISITS, &7).unwrap()).await;
    let session = open(&nodes.a, &[&old]).await;
    session.log_in(Login::new("alice").role("admin")).unwrap();
    assert_eq!(session.principal().as_deref(), Some("alice"));
    let new = sent(finish(&nodes.a, &session).await);
    assert_eq!((old.key(), old == new), (new.key(), false));

    let session = open(&nodes.b, &[&new]).await;
    assert_eq!(session.principal().as_deref(), Some("alice"));
    assert!(session.has_role("admin") && !session.has_role("adm"));
    assert_eq!(session.get(VISITS).unwrap(), Some(7));

    let late = open(&nodes.b, &[&old]).await;
    assert_eq!((late.principal(), late.get(VISITS).unwrap()), (None, None));
    assert!(matches!(late.set(VISITS, &8), Err(Error::Settling)));
    assert_eq!(finish(&nodes.b, &late).await, None);
    let stolen = Token::new(new.key(), Secret::random());
    assert!(open(&nodes.b, &[&stolen]).await.get(VISITS).unwrap().is_none());

    nodes.clock.advance(Policy::default().settle);
    let late = open(&nodes.b, &[&old]).await;
    assert!(late.is_new());
    late.set(VISITS, &1).unwrap();
    assert_ne!(sent(finish(&nodes.b, &late).await).key(), new.key());
    let events = nodes.heard.events();
    assert!(events.contains(&Event::UnknownToken { key: old.key() }));
    assert!(events.contains(&Event::Rotated { key: old.key() }));
}

/// What was opened under the token from before a login never reaches the session after it.
pub async fn a_planted_token_never_reaches_the_session_after_the_login(fixture: &Fixture) {
    let nodes = Nodes::over(fixture);
    let planted = nodes.create(|session| session.set(VISITS, &1).unwrap()).await;
    let attacker = open(&nodes.b, &[&planted]).await;
    let other = open(&nodes.a, &[&planted]).await;
    let victim = open(&nodes.a, &[&planted]).await;
    victim.log_in("alice").unwrap();
    let token = sent(finish(&nodes.a, &victim).await);
    attacker.set(VISITS, &666).unwrap();
    assert!(matches!(nodes.b.finish(&attacker).await, Err(Error::Ended)));
    other.log_out().unwrap();
    let ended = nodes.a.finish(&other).await;
    assert!(matches!(ended, Err(Error::Settling)), "nor does it end it, or say so: {ended:?}");
    let session = open(&nodes.b, &[&token]).await;
    assert_eq!(session.get(VISITS).unwrap(), Some(1));
    assert_eq!(session.principal().as_deref(), Some("alice"));
}

/// A login works whatever became of the session before: gone before the request, gone meanwhile,
/// or replaced by a login whose response was lost.
pub async fn a_login_needs_no_old_session(fixture: &Fixture) {
    let nodes = Nodes::over(fixture);
    let old = nodes.create(|session| session.set(VISITS, &1).unwrap()).await;
    let session = open(&nodes.a, &[&old]).await;
    assert!(nodes.b.end(old.key()).await.unwrap());
    session.log_in("alice").unwrap();
    let first = sent(finish(&nodes.a, &session).await);
    assert_ne!(first.key(), old.key());

    let lost = open(&nodes.a, &[&first]).await;
    lost.log_in("alice").unwrap();
    let _lost_on_the_wire = sent(finish(&nodes.a, &lost).await);
    let again = open(&nodes.b, &[&first]).await;
    again.log_in("alice").unwrap();
    let token = sent(finish(&nodes.b, &again).await);
    assert_eq!(open(&nodes.a, &[&token]).await.principal().as_deref(), Some("alice"));
}

/// A login under the token that another login has just replaced begins a session of its own, also
/// for the same user: whoever planted the token, and knows the password, must not come by what a
/// second factor has opened, nor a stronger login by what a weaker one has left.
pub async fn a_second_login_never_reaches_the_session_of_the_first(fixture: &Fixture) {
    let nodes = Nodes::over(fixture);
    for (first, second) in [("password", "second factor"), ("second factor", "password")] {
        let planted = nodes.create(|session| session.set(VISITS, &7).unwrap()).await;
        let mut tokens = Vec::new();
        for (node, role) in nodes.in_turn().zip([first, second]) {
            let session = open(node, &[&planted]).await;
            session.log_in(Login::new("alice").role(role)).unwrap();
            session.set(Slot::named(role.to_owned()), &true).unwrap();
            tokens.push(sent(finish(node, &session).await));
        }
        assert_ne!(tokens[0].key(), tokens[1].key());
        for (token, role) in tokens.iter().zip([first, second]) {
            let session = open(&nodes.b, &[token]).await;
            assert_eq!(session.roles(), [role]);
            let kept = if role == first { vec![role, "visits"] } else { vec![role] };
            assert_eq!(session.names(), kept);
        }
    }
}

/// More tokens than are looked up open nothing: a living session could hide behind the others.
pub async fn too_many_tokens_open_nothing(fixture: &Fixture) {
    let nodes = Nodes::over(fixture);
    let token = nodes.create(|session| session.set(VISITS, &1).unwrap()).await;
    let unknown = || Token::new(Key::random(Kind::Session), Secret::random());
    let mut tokens = vec![unknown(), unknown(), unknown(), token];
    let opened = client::open(&nodes.a, &tokens).await.unwrap();
    assert_eq!(opened.get(VISITS).unwrap(), Some(1));
    tokens.insert(0, unknown());
    let opened = client::open(&nodes.a, &tokens).await;
    assert!(matches!(opened, Err(Error::TooManyTokens { most: 4 })), "{opened:?}");
    assert!(nodes.heard.events().contains(&Event::TooManyTokens { found: 5 }));
}

/// A user who signs in where another was signed in finds nothing of theirs.
pub async fn another_user_gets_an_empty_session(fixture: &Fixture) {
    let nodes = Nodes::over(fixture);
    let alices = nodes
        .create(|session| {
            session.set(VISITS, &7).unwrap();
            session.log_in(Login::new("alice").role("admin")).unwrap();
        })
        .await;
    let session = open(&nodes.a, &[&alices]).await;
    session.log_in("bob").unwrap();
    let bobs = sent(finish(&nodes.a, &session).await);
    assert_ne!(bobs.key(), alices.key());
    let session = open(&nodes.b, &[&bobs]).await;
    assert_eq!(session.principal().as_deref(), Some("bob"));
    assert_eq!(session.get(VISITS).unwrap(), None);
    assert!(session.roles().is_empty());
    assert!(open(&nodes.b, &[&alices]).await.is_new());
    let endings = nodes.heard.endings();
    assert_eq!(endings.iter().map(|ending| ending.reason).collect::<Vec<_>>(), [Ended::Replaced]);
}

fn seats(when_full: WhenFull) -> Policy {
    Policy { seats: Some(Seats { most: 2, when_full }), ..Policy::default() }
}

/// A login too many is refused, and the sessions before it live on.
pub async fn seats_refuse_the_newest_login(fixture: &Fixture) {
    let nodes = Nodes::with(fixture, seats(WhenFull::Refuse));
    let first = nodes.signed_in("alice").await;
    let second = nodes.signed_in("alice").await;
    let third = open(&nodes.b, &[]).await;
    third.log_in("alice").unwrap();
    let refused = nodes.b.finish(&third).await;
    assert!(matches!(refused, Err(Error::Limit(Limit::Seats { .. }))), "{refused:?}");
    let fourth = open(&nodes.b, &[]).await;
    fourth.log_in("alice").unwrap();
    assert!(matches!(fourth.commit().await.unwrap(), Outcome::Refused(_)));
    assert_eq!(finish(&nodes.b, &fourth).await, None, "whoever was told is not told again");
    let session = open(&nodes.a, &[&first]).await;
    session.log_in("alice").unwrap();
    let first = sent(finish(&nodes.a, &session).await);
    assert_eq!(nodes.a.of_principal("alice").await.unwrap().len(), 2);
    nodes.b.end(second.key()).await.unwrap();
    nodes.signed_in("alice").await;
    assert!(!open(&nodes.a, &[&first]).await.is_new());
}

/// A login too many ends the session of the oldest login, and says why.
pub async fn seats_end_the_oldest_login(fixture: &Fixture) {
    let nodes = Nodes::with(fixture, seats(WhenFull::EndOldest));
    let mut tokens = Vec::new();
    for _ in 0..3 {
        tokens.push(nodes.signed_in("alice").await);
        nodes.clock.advance(Duration::from_secs(1));
    }
    let left = nodes.b.of_principal("alice").await.unwrap();
    let keys: Vec<_> = left.iter().map(|info| info.key()).collect();
    assert_eq!(keys, [tokens[1].key(), tokens[2].key()]);
    let endings = nodes.heard.endings();
    assert_eq!((endings[0].key, endings[0].reason), (tokens[0].key(), Ended::Displaced));
}

/// Parallel logins on two nodes never leave more sessions than seats.
pub async fn seats_hold_under_parallel_logins(fixture: &Fixture) {
    let nodes = Nodes::with(fixture, seats(WhenFull::EndOldest));
    let logins = nodes.in_turn().take(16).cloned().map(|node| {
        tokio::spawn(async move {
            let session = open(&node, &[]).await;
            session.log_in("alice").unwrap();
            node.finish(&session).await
        })
    });
    let mut granted = 0;
    for login in logins.collect::<Vec<_>>() {
        match login.await.unwrap() {
            Ok(reply) => granted += usize::from(reply.is_some()),
            Err(Error::Limit(Limit::Seats { .. }) | Error::Ended) => {}
            Err(other) => panic!("{other:?}"),
        }
    }
    assert!(granted >= 2, "{granted} of 16 logins were granted");
    let left = nodes.a.of_principal("alice").await.unwrap();
    assert!(left.len() <= 2, "{} sessions on 2 seats", left.len());
    assert_eq!(nodes.count().await, left.len() as u64);
}

fn rotating() -> Policy {
    Policy { rotate_every: Some(Duration::from_secs(120)), ..Policy::default() }
}

/// A timed rotation hands out a new token once; the old one works until the new one is presented,
/// and for its grace after that.
pub async fn a_timed_rotation_waits_for_the_client(fixture: &Fixture) {
    let nodes = Nodes::with(fixture, rotating());
    let old = nodes.create(|session| session.set(VISITS, &1).unwrap()).await;
    nodes.clock.advance(Duration::from_secs(120));
    let subrequest = open(&nodes.a, &[&old]).await;
    subrequest.forbid_rotation();
    assert_eq!(finish(&nodes.a, &subrequest).await, None);
    let session = open(&nodes.a, &[&old]).await;
    let new = sent(finish(&nodes.a, &session).await);
    nodes.clock.advance(Duration::from_secs(30));
    let parallel = open(&nodes.b, &[&old]).await;
    parallel.set(VISITS, &2).unwrap();
    assert_eq!(finish(&nodes.b, &parallel).await, None, "one successor at a time");

    let session = open(&nodes.b, &[&new]).await;
    assert_eq!(session.get(VISITS).unwrap(), Some(2));
    assert_eq!(finish(&nodes.b, &session).await, None);
    let graced = open(&nodes.a, &[&old]).await;
    graced.set(VISITS, &3).unwrap();
    assert_eq!(finish(&nodes.a, &graced).await, None);
    nodes.clock.advance(Policy::default().grace);
    assert!(open(&nodes.a, &[&old]).await.is_new());
    assert_eq!(open(&nodes.a, &[&new]).await.get(VISITS).unwrap(), Some(3));
}

/// Parallel writers of a client whose token is being rotated lose neither a write nor the session.
pub async fn a_timed_rotation_racing_commits_loses_neither(fixture: &Fixture) {
    let nodes = Nodes::with(fixture, rotating());
    let mut token = nodes.create(|session| session.set(VISITS, &0).unwrap()).await;
    let mut written = 0;
    for round in 0..6 {
        nodes.clock.advance(Duration::from_secs(125));
        let requests = nodes.in_turn().take(8).cloned().map(|node| {
            let token = token.clone();
            tokio::spawn(async move {
                let session = open(&node, &[&token]).await;
                session.update(VISITS, |visits| *visits += 1).unwrap();
                finish(&node, &session).await
            })
        });
        let mut offered = HashSet::new();
        for request in requests.collect::<Vec<_>>() {
            if let Some(reply) = request.await.unwrap() {
                token = sent(Some(reply));
                offered.insert(token.reveal());
            }
            written += 1;
        }
        // In every other round the successor is presented, and becomes the token.
        assert_eq!(offered.len(), 1 - round % 2, "one successor for one token");
    }
    assert_eq!(open(&nodes.b, &[&token]).await.get(VISITS).unwrap(), Some(written));
}

/// Tokens of two living sessions open neither; a dead one beside a living one does no harm.
pub async fn two_sessions_at_once_open_neither(fixture: &Fixture) {
    let nodes = Nodes::over(fixture);
    let one = nodes.create(|session| session.set(VISITS, &1).unwrap()).await;
    let other = nodes.create(|session| session.set(VISITS, &2).unwrap()).await;
    let tokens = [one.clone(), other.clone()];
    let opened = client::open(&nodes.a, &tokens).await;
    assert!(matches!(opened, Err(Error::TwoSessions { .. })), "{opened:?}");
    nodes.a.end(one.key()).await.unwrap();
    assert_eq!(open(&nodes.a, &[&one, &other]).await.get(VISITS).unwrap(), Some(2));
    assert_eq!(open(&nodes.a, &[&other, &other]).await.get(VISITS).unwrap(), Some(2));
}
