//! What a login leaves behind: a session, its token, and the list of them.

use std::time::Duration;

use cloakroom::Head;
use http::Method;
use http::header::{COOKIE, LOCATION, SET_COOKIE};

use super::support::{Browser, DAY, settings, world};
use crate::cli::UsersCommand;
use crate::login::users::{Name, Password};
use crate::login::{Binding, LoginSettings, manage};

#[tokio::test]
async fn a_login_gets_a_new_token_and_a_logout_ends_it() {
    let world = world(settings()).await;
    let mut browser = Browser::default();
    browser.log_in(&world, "alice", "wonderland", "").await;
    let before = browser.clone();
    browser.log_in(&world, "alice", "wonderland", "").await;
    assert_ne!(before.cookies, browser.cookies);
    assert_eq!(before.clone().user(&world).await, None);
    let asks = browser.get(&world, "/.cloakroom/logout").await;
    assert!(asks.status == 200 && asks.body.contains("alice"), "{}", asks.body);
    assert_eq!(browser.user(&world).await.as_deref(), Some("alice"), "asking ends nothing");
    let mut stolen = browser.clone();
    assert_eq!(browser.post(&world, "/.cloakroom/logout", "").await.leads_to(), "/");
    assert_eq!(stolen.user(&world).await, None);
}

#[tokio::test]
async fn a_remembered_login_outlives_the_browser() {
    let world = world(settings()).await;
    for (more, remembered) in [("", false), ("&remember=yes", true)] {
        let mut browser = Browser::default();
        let answer = browser.log_in(&world, "alice", "wonderland", more).await;
        let sets = answer.headers.get_all(SET_COOKIE).iter().map(|set| set.to_str().unwrap());
        let session = sets.into_iter().find(|set| set.starts_with("__Host-id=")).unwrap();
        let age = session.split("Max-Age=").nth(1).and_then(|rest| rest.split(';').next());
        let age = age.map(|age| Duration::from_secs(age.parse().unwrap()));
        assert_eq!(age.is_some_and(|age| age > 29 * DAY), remembered, "{session}");
        assert_eq!(age.is_some(), remembered, "{session}");
    }
    let found = world.sessions.of_principal("alice").await.unwrap();
    let left = |index: usize| found[index].deadline().unwrap().since(world.sessions.now());
    assert!(left(0) <= DAY && left(1) > 29 * DAY);
}

#[tokio::test]
async fn a_user_sees_and_ends_their_own_sessions_alone() {
    let world = world(settings()).await;
    let mut browser = Browser::default();
    let to = browser.get(&world, "/.cloakroom/me").await;
    assert!(to.headers[LOCATION].to_str().unwrap().starts_with("/.cloakroom/login?flow="));
    let (mut other, mut third) = (Browser::default(), Browser::default());
    let mut bob = Browser::default();
    for browser in [&mut browser, &mut other, &mut third] {
        browser.log_in(&world, "alice", "wonderland", "").await;
    }
    bob.log_in(&world, "bob", "wonderland", "").await;
    let page = browser.get(&world, "/.cloakroom/me").await.body;
    assert_eq!(page.matches("Firefox on Linux</p>").count() + page.matches("this one").count(), 3);
    let keys = |name: &'static str| {
        let sessions = world.sessions.clone();
        async move { sessions.of_principal(name).await.unwrap() }
    };
    let bobs = keys("bob").await[0].key();
    browser.post(&world, "/.cloakroom/me/end", &format!("key={bobs}")).await;
    assert_eq!(bob.user(&world).await.as_deref(), Some("bob"), "somebody else's is not theirs");
    let others = keys("alice").await[1].key();
    let answer = browser.post(&world, "/.cloakroom/me/end", &format!("key={others}")).await;
    assert_eq!(answer.leads_to(), "/.cloakroom/me");
    assert_eq!(other.user(&world).await, None);
    assert_eq!(third.user(&world).await.as_deref(), Some("alice"));
    browser.post(&world, "/.cloakroom/me/end-others", "").await;
    assert_eq!(third.user(&world).await, None);
    assert_eq!(browser.user(&world).await.as_deref(), Some("alice"));
}

#[tokio::test]
async fn a_user_sees_where_their_sessions_were_signed_in() {
    use crate::login::places::file::{Value, write};

    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("places.mmdb");
    let named = |names: &[(&'static str, &'static str)]| {
        let names = names.iter().map(|(language, name)| (*language, Value::Text(name)));
        Value::Map(vec![("names", Value::Map(names.collect()))])
    };
    let city = named(&[("en", "Linköping"), ("zh-CN", "林雪平")]);
    let country = named(&[("en", "Sweden"), ("zh-CN", "瑞典")]);
    let record = Value::Map(vec![("city", city), ("country", country)]);
    std::fs::write(&path, write(&[([192, 0, 2], record)])).unwrap();
    let world = world(LoginSettings { places: Some(path), ..settings() }).await;
    let mut browser = Browser { address: 7, ..Browser::default() };
    browser.log_in(&world, "alice", "wonderland", "").await;
    let page = browser.get(&world, "/.cloakroom/me").await.body;
    assert!(page.contains("192.0.2.7 · Linköping, Sweden · signed in "), "{page}");
    let mut request = browser.request(Method::GET, "/.cloakroom/me", "");
    request.headers_mut().insert("accept-language", "zh-CN".parse().unwrap());
    let page = browser.send(&world, request).await.body;
    assert!(page.contains("192.0.2.7 · 瑞典 林雪平 · "), "{page}");
}

#[tokio::test]
async fn a_session_bound_to_its_address_is_nobody_s_elsewhere() {
    let world = world(LoginSettings { binding: Binding::Exact, ..settings() }).await;
    let mut browser = Browser::default();
    browser.log_in(&world, "alice", "wonderland", "").await;
    assert_eq!(browser.user(&world).await.as_deref(), Some("alice"));
    let mut thief = Browser { address: 66, ..browser.clone() };
    assert_eq!(thief.user(&world).await, None);
    assert_eq!(thief.get(&world, "/.cloakroom/login").await.status, 200, "a fresh login is asked");
    assert_eq!(browser.user(&world).await.as_deref(), Some("alice"), "and nothing is ended");
}

#[tokio::test]
async fn a_visitor_keeps_an_id_that_costs_no_store_until_it_is_told_after_the_login() {
    let world = world(settings()).await;
    let before = world.store.total();
    let mut request = Browser::default().request(Method::GET, "/", "");
    let none = world.desk.recognise(Head::from(&request), None, None, false);
    assert!(none.cookies.is_empty() && none.visitor.anonymous.is_none());
    let made = world.desk.recognise(Head::from(&request), None, None, true);
    let id = made.visitor.anonymous.unwrap();
    let set = made.cookies[0].to_str().unwrap().to_owned();
    assert!(set.starts_with("__Host-cloakroom-visitor="), "{set}");
    request.headers_mut().insert(COOKIE, set.split(';').next().unwrap().parse().unwrap());
    let again = world.desk.recognise(Head::from(&request), None, None, true);
    assert_eq!((again.visitor.anonymous.as_ref(), again.cookies.len()), (Some(&id), 0));
    assert_eq!(world.store.total(), before);
    let core = world.sessions.open(&[], cloakroom::Client::default()).await.unwrap();
    core.log_in("alice").unwrap();
    let session = core.into();
    let known = world.desk.recognise(Head::from(&request), Some(&session), None, false);
    assert_eq!(known.visitor.user.unwrap().id, "alice");
    assert_eq!(known.visitor.anonymous, Some(id), "both are told");
    assert!(known.cookies[0].to_str().unwrap().contains("Max-Age=0"), "once");
}

#[tokio::test]
async fn a_change_of_a_user_ends_their_sessions() {
    let world = world(settings()).await;
    let name = || "alice".to_owned();
    let commands = [
        UsersCommand::Passwd { name: name(), generate: true },
        UsersCommand::Roles { name: name(), roles: vec!["other".to_owned()] },
        UsersCommand::Disable { name: name() },
        UsersCommand::Remove { name: name(), yes: true },
    ];
    for command in commands {
        let alice = Name::parse("alice").unwrap();
        let password = Password::new("wonderland".to_owned());
        world.users.set_password(&alice, password).await.unwrap();
        world.users.set_disabled(&alice, false).await.unwrap();
        let (mut alice, mut bob) = (Browser::default(), Browser::default());
        alice.log_in(&world, "alice", "wonderland", "").await;
        bob.log_in(&world, "bob", "wonderland", "").await;
        assert_eq!(alice.user(&world).await.as_deref(), Some("alice"));
        let told = format!("{command:?}");
        manage::carry_out(&world.users, Some(&world.sessions), command).await.unwrap();
        assert_eq!(alice.user(&world).await, None, "{told}");
        assert_eq!(bob.user(&world).await.as_deref(), Some("bob"), "{told}");
    }
}
