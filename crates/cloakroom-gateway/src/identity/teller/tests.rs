//! What services are told, and for how long the same assertion is handed out.

use std::path::Path;

use cloakroom::jwt::{KeySet, Verified, Verifier};
use cloakroom::{Key, Kind};
use cloakroom_testkit::ManualClock;
use http::{HeaderMap, Request, StatusCode};
use tower::ServiceExt;

use super::*;
use crate::identity::HeaderNames;
use crate::visitor::User;

const ISSUER: &str = "https://login.example";

fn settings(keys: &Path) -> IdentitySettings {
    IdentitySettings {
        names: HeaderNames::default(),
        issuer: ISSUER.to_owned(),
        keys: keys.to_owned(),
        lifetime: Duration::from_secs(60),
        rotate_every: Duration::from_secs(30 * 24 * 60 * 60),
    }
}

fn teller(keys: &Path, clock: &ManualClock) -> Teller {
    Teller::with_clock(settings(keys), Arc::new(clock.clone())).unwrap()
}

fn alice() -> Visitor {
    let user = User {
        id: "alice".to_owned(),
        roles: vec!["clerk".to_owned(), "admin".to_owned()],
        session: Some(Key::random(Kind::Session)),
        authenticated_at: None,
    };
    Visitor { user: Some(user), anonymous: None }
}

fn told(teller: &Teller, visitor: &Visitor, audience: Option<&str>) -> HeaderMap {
    teller.tell(visitor, audience).into_iter().collect()
}

fn assertion(teller: &Teller, visitor: &Visitor, audience: &str) -> String {
    let told = told(teller, visitor, Some(audience));
    told["x-identity"].to_str().unwrap().to_owned()
}

fn verified(teller: &Teller, audience: &str, assertion: &str, now: Timestamp) -> Verified {
    let keys = KeySet::parse(&teller.jwks()).unwrap();
    Verifier::new(ISSUER, audience, keys).verify(assertion, now).unwrap()
}

#[test]
fn a_service_is_told_who_is_signed_in() {
    let place = tempfile::tempdir().unwrap();
    let clock = ManualClock::default();
    let teller = teller(place.path(), &clock);
    let visitor = Visitor { anonymous: Some("v1".into()), ..alice() };
    let key = visitor.user.as_ref().unwrap().session.unwrap();
    let told = told(&teller, &visitor, Some("shop"));
    assert_eq!(told["x-user-id"], "alice");
    assert_eq!(told["x-user-roles"], "clerk,admin");
    assert_eq!(told["x-session-key"], key.to_string());
    assert_eq!(told["x-anonymous-id"], "v1");
    let assertion = told["x-identity"].to_str().unwrap();
    let verified = verified(&teller, "shop", assertion, clock.now());
    assert_eq!(verified.principal(), Some("alice"));
    assert_eq!(verified.roles(), ["clerk", "admin"]);
    assert_eq!(verified.session(), Some(key));
    assert_eq!(verified.anonymous_id(), Some("v1"));
    assert_eq!(verified.expires_at().since(verified.issued_at()), Duration::from_secs(60));
}

#[test]
fn of_nobody_nothing_is_told() {
    let place = tempfile::tempdir().unwrap();
    let teller = teller(place.path(), &ManualClock::default());
    assert_eq!(teller.tell(&Visitor::default(), Some("shop")), []);
}

#[test]
fn a_visitor_is_no_user() {
    let place = tempfile::tempdir().unwrap();
    let clock = ManualClock::default();
    let teller = teller(place.path(), &clock);
    let visitor = Visitor { user: None, anonymous: Some("v1".into()) };
    let told = told(&teller, &visitor, None);
    assert_eq!(told.len(), 1);
    assert_eq!(told["x-anonymous-id"], "v1");
    let assertion = assertion(&teller, &visitor, "shop");
    assert_eq!(verified(&teller, "shop", &assertion, clock.now()).principal(), None);
}

#[test]
fn an_assertion_is_signed_anew_when_half_its_life_is_over() {
    let place = tempfile::tempdir().unwrap();
    let clock = ManualClock::default();
    let teller = teller(place.path(), &clock);
    let alice = alice();
    let first = assertion(&teller, &alice, "shop");
    clock.advance(Duration::from_secs(29));
    assert_eq!(assertion(&teller, &alice, "shop"), first);
    clock.advance(Duration::from_secs(1));
    assert_ne!(assertion(&teller, &alice, "shop"), first);
}

#[test]
fn an_assertion_is_for_what_it_was_signed_for_alone() {
    let place = tempfile::tempdir().unwrap();
    let clock = ManualClock::default();
    let teller = teller(place.path(), &clock);
    let alice = alice();
    let first = assertion(&teller, &alice, "shop");
    let mut others = vec![assertion(&teller, &alice, "orders")];
    // A place is found by session, user, visitor and audience; roles have to be compared.
    let mut demoted = alice.clone();
    demoted.user.as_mut().unwrap().roles.pop();
    let mut elsewhere = alice.clone();
    elsewhere.user.as_mut().unwrap().session = Some(Key::random(Kind::Session));
    let mut bob = alice.clone();
    bob.user.as_mut().unwrap().id = "bob".to_owned();
    let known = Visitor { anonymous: Some("v1".into()), ..alice };
    for other in [demoted, elsewhere, bob, known] {
        others.push(assertion(&teller, &other, "shop"));
    }
    assert!(others.iter().all(|other| *other != first));
}

#[test]
fn what_is_remembered_is_bounded() {
    let place = tempfile::tempdir().unwrap();
    let teller = teller(place.path(), &ManualClock::default());
    for n in 0..MOST_REMEMBERED + 500 {
        let visitor = Visitor { user: None, anonymous: Some(n.to_string().into()) };
        assertion(&teller, &visitor, "shop");
    }
    assert!(teller.shared.remembered.len() <= MOST_REMEMBERED);
}

#[tokio::test]
async fn a_node_takes_up_what_another_has_made() {
    let place = tempfile::tempdir().unwrap();
    let clock = ManualClock::default();
    let one = teller(place.path(), &clock);
    let count = |node: &Teller| KeySet::parse(&node.jwks()).unwrap().iter().count();
    let two = teller(place.path(), &clock);
    assert_eq!((count(&one), count(&two)), (1, 2), "the second has made the next key");
    clock.advance(FRESH);
    one.look_again().await;
    assert_eq!(KeySet::parse(&one.jwks()).unwrap(), KeySet::parse(&two.jwks()).unwrap());
    let alice = alice();
    let before = assertion(&one, &alice, "shop");
    clock.advance(Duration::from_secs(2 * 24 * 60 * 60));
    let after = assertion(&one, &alice, "shop");
    assert_ne!(before, after);
    verified(&two, "shop", &after, clock.now());
}

#[tokio::test]
async fn the_public_keys_are_served_for_a_while() {
    let place = tempfile::tempdir().unwrap();
    let teller = teller(place.path(), &ManualClock::default());
    let app = crate::identity::router(teller.clone());
    let request = Request::get("/.cloakroom/jwks.json").body(axum::body::Body::empty()).unwrap();
    let response = app.oneshot(request).await.unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    assert_eq!(response.headers()["content-type"], "application/jwk-set+json");
    assert_eq!(response.headers()["cache-control"], "public, max-age=300");
    let body = axum::body::to_bytes(response.into_body(), 10_000).await.unwrap();
    assert_eq!(body, teller.jwks());
    assert!(!teller.jwks().contains("\"d\""));
}

#[test]
fn no_assertion_is_shown() {
    let place = tempfile::tempdir().unwrap();
    let teller = teller(place.path(), &ManualClock::default());
    let alice = alice();
    let assertion = assertion(&teller, &alice, "shop");
    assert!(!format!("{:?} {teller:?}", teller.tell(&alice, Some("shop"))).contains(&assertion));
}
