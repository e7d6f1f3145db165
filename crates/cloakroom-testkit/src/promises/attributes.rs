//! What a session holds, and what it refuses to hold.

use cloakroom_core::commit::{Limit, Room};
use cloakroom_core::{Error, Event, Outcome, Policy, Reply, Slot};
use serde_json::{Value, json};

use super::Nodes;
use super::nodes::{finish, open, sent};
use crate::fixture::Fixture;

const VISITS: Slot<u64> = Slot::new("visits");
const NAME: Slot<String> = Slot::new("name");

/// Opening and reading store nothing and hand out nothing.
pub async fn reading_creates_nothing(fixture: &Fixture) {
    let nodes = Nodes::over(fixture);
    let session = open(&nodes.a, &[]).await;
    assert!(session.is_new());
    assert_eq!(session.get(VISITS).unwrap(), None);
    session.remove(VISITS).unwrap();
    assert_eq!(finish(&nodes.a, &session).await, None);
    assert_eq!(nodes.count().await, 0);
}

/// The first write stores the session; its token is told once.
pub async fn the_first_write_creates_and_hands_out_a_token_once(fixture: &Fixture) {
    let nodes = Nodes::over(fixture);
    let session = open(&nodes.a, &[]).await;
    session.set(VISITS, &1).unwrap();
    assert_eq!(nodes.count().await, 0, "an edit is not a commit");
    let token = sent(finish(&nodes.a, &session).await);
    let again = open(&nodes.b, &[&token]).await;
    assert!(!again.is_new());
    assert_eq!(again.key(), Some(token.key()));
    assert_eq!(again.get(VISITS).unwrap(), Some(1));
    again.set(VISITS, &2).unwrap();
    assert_eq!(finish(&nodes.b, &again).await, None);
    assert!(nodes.heard.events().contains(&Event::Created { key: token.key() }));
}

/// A value is read as the type it was written as, or as any JSON.
pub async fn attributes_are_typed_and_untyped(fixture: &Fixture) {
    let nodes = Nodes::over(fixture);
    let token = nodes
        .create(|session| {
            session.set(VISITS, &3).unwrap();
            session.set(Slot::named("any thing, 名".to_owned()), &json!({"a": [1, null]})).unwrap();
            assert_eq!(session.get(VISITS).unwrap(), Some(3), "a request sees its own edits");
        })
        .await;
    let session = open(&nodes.b, &[&token]).await;
    let untyped: Slot<Value> = Slot::named("visits".to_owned());
    assert_eq!(session.get(untyped).unwrap(), Some(json!(3)));
    assert_eq!(session.names(), ["any thing, 名", "visits"]);
}

/// A removed attribute is gone, on every node, and so is one that was set and removed at once.
pub async fn removed_attributes_are_gone(fixture: &Fixture) {
    let nodes = Nodes::over(fixture);
    let token = nodes.create(|session| session.set(VISITS, &3).unwrap()).await;
    let session = open(&nodes.a, &[&token]).await;
    session.remove(VISITS).unwrap();
    session.set(NAME, &"x".to_owned()).unwrap();
    session.remove(NAME).unwrap();
    assert_eq!(session.get(VISITS).unwrap(), None);
    finish(&nodes.a, &session).await;
    assert!(open(&nodes.b, &[&token]).await.names().is_empty());
}

/// A value of another type reads as absent and is an event; asked strictly it is an error; an
/// update leaves it alone; a write replaces it.
pub async fn an_undecodable_value_is_absent_and_never_overwritten_by_an_update(fixture: &Fixture) {
    let nodes = Nodes::over(fixture);
    let token = nodes.create(|session| session.set(NAME, &"x".to_owned()).unwrap()).await;
    let session = open(&nodes.b, &[&token]).await;
    let wrong: Slot<u64> = Slot::new("name");
    assert_eq!(session.get(wrong.clone()).unwrap(), None);
    let event = Event::Undecodable { key: Some(token.key()), name: "name".to_owned() };
    assert!(nodes.heard.events().contains(&event));
    assert!(matches!(session.try_get(wrong.clone()), Err(Error::Undecodable { .. })));
    assert!(matches!(session.update(wrong.clone(), |n| *n += 1), Err(Error::Undecodable { .. })));
    let transacted = session.transact(wrong.clone(), |n| *n += 1).await;
    assert!(matches!(transacted, Err(Error::Undecodable { .. })));
    assert_eq!(session.get(NAME).unwrap().as_deref(), Some("x"));
    session.set(wrong.clone(), &7).unwrap();
    finish(&nodes.b, &session).await;
    assert_eq!(open(&nodes.a, &[&token]).await.try_get(wrong).unwrap(), Some(7));
}

/// An edit that would exceed a limit is refused, and those before it stand.
pub async fn limits_refuse_at_the_edit_and_lose_nothing(fixture: &Fixture) {
    let room = Room { fields: 3, bytes: 100 };
    let policy = Policy { room, attribute_bytes: 60, ..Policy::default() };
    let nodes = Nodes::with(fixture, policy);
    let session = open(&nodes.a, &[]).await;
    let large = session.set(NAME, &"x".repeat(59)).unwrap_err();
    assert!(matches!(large, Error::AttributeTooLarge { bytes: 61, most: 60, .. }), "{large}");
    session.set(NAME, &"x".repeat(50)).unwrap();
    let wide = session.set(Slot::new("more"), &"y".repeat(50)).unwrap_err();
    assert!(matches!(wide, Error::Limit(Limit::Bytes { most: 100 })), "{wide}");
    for name in ["b", "c"] {
        session.set(Slot::new(name), &1).unwrap();
    }
    let many = session.set(Slot::new("d"), &1).unwrap_err();
    assert!(matches!(many, Error::Limit(Limit::Fields { most: 3 })), "{many}");
    session.remove::<u64>(Slot::new("b")).unwrap();
    session.set(Slot::new("d"), &1).unwrap();
    let token = sent(finish(&nodes.a, &session).await);
    assert_eq!(open(&nodes.b, &[&token]).await.names(), ["c", "d", "name"]);
}

/// Names are bounded, and those of the session system are not for attributes.
pub async fn names_are_checked(fixture: &Fixture) {
    let nodes = Nodes::over(fixture);
    let session = open(&nodes.a, &[]).await;
    for name in [String::new(), "@roles".to_owned(), "n".repeat(129)] {
        let slot: Slot<u64> = Slot::named(name);
        assert!(matches!(session.set(slot.clone(), &1), Err(Error::BadName { .. })));
        assert!(matches!(session.get(slot.clone()), Err(Error::BadName { .. })));
        assert!(matches!(session.update(slot.clone(), |_| ()), Err(Error::BadName { .. })));
        assert!(matches!(session.remove(slot), Err(Error::BadName { .. })));
    }
    let nobody = session.log_in("");
    assert!(matches!(nobody, Err(Error::BadPrincipal { .. })));
    assert_eq!(finish(&nodes.a, &session).await, None);
    assert_eq!(nodes.count().await, 0);
}

/// After the response, the handle refuses edits instead of losing them.
pub async fn a_finished_session_takes_no_edits(fixture: &Fixture) {
    let nodes = Nodes::over(fixture);
    let session = open(&nodes.a, &[]).await;
    session.set(VISITS, &1).unwrap();
    let token = sent(finish(&nodes.a, &session).await);
    assert!(matches!(session.set(VISITS, &2), Err(Error::Closed)));
    assert!(matches!(session.log_in("alice"), Err(Error::Closed)));
    assert!(matches!(session.transact(VISITS, |n| *n += 1).await, Err(Error::Closed)));
    assert_eq!(open(&nodes.b, &[&token]).await.get(VISITS).unwrap(), Some(1));
}

/// What was committed early is visible at once; what follows is committed too; the token of the
/// early commit still reaches the client.
pub async fn an_early_commit_is_followed_by_another(fixture: &Fixture) {
    let nodes = Nodes::over(fixture);
    let session = open(&nodes.a, &[]).await;
    session.set(VISITS, &1).unwrap();
    let outcome = session.commit().await.unwrap();
    assert!(matches!(outcome, Outcome::Done { version: 1 }));
    assert_eq!(nodes.count().await, 1);
    assert_eq!(session.get(VISITS).unwrap(), Some(1));
    session.update(VISITS, |visits| *visits += 1).unwrap();
    assert_eq!(session.transact(VISITS, |visits| *visits += 10).await.unwrap(), ());
    session.set(NAME, &"x".to_owned()).unwrap();
    let reply = finish(&nodes.a, &session).await;
    assert!(matches!(reply, Some(Reply::Send { .. })));
    let again = open(&nodes.b, &[&sent(reply)]).await;
    assert_eq!(again.get(VISITS).unwrap(), Some(12));
    assert_eq!(again.get(NAME).unwrap().as_deref(), Some("x"));
}

/// One set of attributes for all nodes; its first writers race too, and none is lost.
pub async fn application_attributes_are_shared_by_all_nodes(fixture: &Fixture) {
    let nodes = Nodes::over(fixture);
    assert_eq!(nodes.a.application().get(VISITS).await.unwrap(), None);
    let mut writers = Vec::new();
    for node in nodes.in_turn().take(32) {
        let application = node.application();
        writers.push(tokio::spawn(async move {
            application.update(VISITS, |visits| *visits += 1).await.unwrap();
        }));
    }
    for writer in writers {
        writer.await.unwrap();
    }
    assert_eq!(nodes.b.application().get(VISITS).await.unwrap(), Some(32));
    nodes.a.application().set(NAME, &"shop".to_owned()).await.unwrap();
    nodes.clock.advance(std::time::Duration::from_secs(400 * 86_400));
    assert_eq!(nodes.b.application().get(NAME).await.unwrap().as_deref(), Some("shop"));
    nodes.b.application().remove(NAME).await.unwrap();
    assert_eq!(nodes.a.application().get(NAME).await.unwrap(), None);
    assert_eq!(nodes.count().await, 0, "application attributes are no session");
}
