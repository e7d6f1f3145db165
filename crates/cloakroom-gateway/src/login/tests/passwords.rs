//! Who is let in, and who is not.

use cloakroom::Head;
use cloakroom_testkit::stores::Call;
use http::header::RETRY_AFTER;
use http::{Method, StatusCode};

use super::support::{Browser, settings, world};
use crate::login::users::Name;
use crate::pages::Problem;

#[tokio::test]
async fn an_unknown_user_and_a_wrong_password_look_alike() {
    let world = world(settings()).await;
    world.users.set_disabled(&Name::parse("bob").unwrap(), true).await.unwrap();
    let mut answers = Vec::new();
    for (name, password) in
        [("alice", "wrong"), ("nobody", "wrong"), ("bob", "wonderland"), ("", ""), ("a%0Ab", "x")]
    {
        let (before, calls) = (world.users.hashed(), world.store.total());
        let mut browser = Browser { address: 7, ..Browser::default() };
        browser.get(&world, "/.cloakroom/login").await;
        let answer = browser.log_in(&world, name, password, "").await;
        let mark = |page: &str| {
            let (_, rest) = page.split_once("name=\"mark\" value=\"").unwrap();
            rest.split_once('"').unwrap().0.to_owned()
        };
        let typed = name.replace("%0A", "\n");
        let body = answer.body.replace(&mark(&answer.body), "MARK");
        let body = body.replace(&format!("value=\"{typed}\""), "value=\"NAME\"");
        assert!(!answer.headers.contains_key("www-authenticate"));
        // The name that was typed is in the form again.
        let mut answer = answer;
        answer.headers.remove("content-length");
        let work = (world.users.hashed() - before, world.store.total() - calls);
        answers.push((answer.status, answer.headers, body, work));
    }
    assert_eq!(answers[0].0, StatusCode::UNAUTHORIZED);
    assert!(answers[0].2.contains("role=\"alert\""), "{}", answers[0].2);
    for other in &answers[1..] {
        assert_eq!(other, &answers[0]);
    }
}

#[tokio::test]
async fn too_many_tries_are_held_whatever_the_password() {
    let world = world(settings()).await;
    let mut browser = Browser::default();
    for name in ["alice", "nobody"] {
        for _ in 0..3 {
            assert_eq!(browser.log_in(&world, name, "wrong", "").await.status, 401);
        }
        let hashed = world.users.hashed();
        let right = browser.log_in(&world, name, "wonderland", "").await;
        let wrong = browser.log_in(&world, name, "wrong", "").await;
        assert_eq!((right.status, right.body), (wrong.status, wrong.body));
        assert_eq!(right.status, StatusCode::TOO_MANY_REQUESTS);
        assert!(right.headers[RETRY_AFTER].to_str().unwrap().parse::<u64>().unwrap() > 200);
        assert_eq!(world.users.hashed(), hashed, "no password is looked at");
    }
    let mut elsewhere = Browser { address: 9, ..Browser::default() };
    assert_eq!(elsewhere.log_in(&world, "alice", "wonderland", "").await.status, 303);
}

#[tokio::test]
async fn another_site_s_form_signs_nobody_in_or_out() {
    let world = world(settings()).await;
    let mut browser = Browser::default();
    let fields = "username=alice&password=wonderland";
    for (name, value) in [("sec-fetch-site", "cross-site"), ("sec-fetch-site", "same-site")] {
        let mut request = browser.request(Method::POST, "/.cloakroom/login", fields);
        request.headers_mut().insert(name, value.parse().unwrap());
        assert_eq!(browser.send(&world, request).await.status, StatusCode::FORBIDDEN, "{value}");
    }
    let mut old = Browser { no_fetch_headers: true, ..Browser::default() };
    let mut request = old.request(Method::POST, "/.cloakroom/login", fields);
    request.headers_mut().insert("origin", "https://evil.example".parse().unwrap());
    assert_eq!(old.send(&world, request).await.status, StatusCode::FORBIDDEN);
    // A browser that says nothing has to send what our own page told it.
    assert_eq!(old.post(&world, "/.cloakroom/login", fields).await.status, StatusCode::FORBIDDEN);
    let page = old.get(&world, "/.cloakroom/login").await.body;
    let (_, rest) = page.split_once("name=\"mark\" value=\"").unwrap();
    let mark = rest.split_once('"').unwrap().0;
    let marked = format!("{fields}&mark={mark}");
    let mut another = Browser { no_fetch_headers: true, ..Browser::default() };
    assert_eq!(another.post(&world, "/.cloakroom/login", &marked).await.status, 403);
    assert_eq!(old.post(&world, "/.cloakroom/login", &marked).await.leads_to(), "/");
    assert_eq!(old.post(&world, "/.cloakroom/logout", "").await.status, StatusCode::FORBIDDEN);
    assert_eq!(old.user(&world).await.as_deref(), Some("alice"));
}

#[tokio::test]
async fn a_store_that_is_away_refuses_and_sends_nobody_anywhere() {
    let world = world(settings()).await;
    let mut browser = Browser::default();
    browser.log_in(&world, "alice", "wonderland", "").await;
    let cookies = browser.cookies.clone();
    world.hanging.hang();
    let request = Browser::default().request(Method::GET, "/order", "");
    let sent = world.desk.sign_in_first(Head::from(&request)).await.unwrap_err();
    assert_eq!(sent, Problem::StoreAway);
    let hashed = world.users.hashed();
    let mut other = Browser { address: 8, ..Browser::default() };
    for answer in [
        browser.get(&world, "/.cloakroom/me").await,
        browser.get(&world, "/.cloakroom/login").await,
        other.log_in(&world, "alice", "wonderland", "").await,
        browser.post(&world, "/.cloakroom/logout", "").await,
    ] {
        assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE);
        assert!(answer.headers.contains_key(RETRY_AFTER));
        assert!(answer.body.contains("not signed out"), "{}", answer.body);
    }
    assert_eq!(world.users.hashed(), hashed, "what cannot be counted is not tried");
    assert_eq!(browser.cookies, cookies, "the cookies stay");
    world.hanging.release();
    assert_eq!(browser.user(&world).await.as_deref(), Some("alice"));
}

/// Disables a user after their password was checked and before their session is there: the one
/// moment that the ending of their sessions cannot see.
#[tokio::test]
async fn whoever_is_disabled_while_they_sign_in_is_not_signed_in() {
    let world = world(settings()).await;
    let users = world.users.clone();
    let hashed = world.users.hashed();
    // Three counters of tries are made first.
    world.hooked.before(Call::Create, 4, async move {
        assert_eq!(users.hashed() - hashed, 1, "the password was checked");
        users.set_disabled(&Name::parse("alice").unwrap(), true).await.unwrap();
        Ok(())
    });
    let mut browser = Browser::default();
    let answer = browser.log_in(&world, "alice", "wonderland", "").await;
    assert_eq!(answer.status, StatusCode::UNAUTHORIZED);
    assert_eq!(browser.user(&world).await, None);
    assert_eq!(world.sessions.count().await.unwrap(), 0, "and no session is left");
    assert!(world.users.list().await.unwrap()[0].disabled, "it did happen");
}
