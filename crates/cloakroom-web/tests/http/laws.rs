//! What holds for requests that come at the same time, whatever the store and the number of nodes.

use std::time::Duration;

use cloakroom_core::Policy;
use cloakroom_testkit::Fixture;
use futures_util::future::join_all;
use http::{Method, StatusCode};

use crate::app::{Node, World};
use crate::browser::{Answer, Browser};

const MANY: usize = 64;

/// Makes a module with one test for each law; `$fixture` names an `async fn() -> Fixture` around.
macro_rules! http_laws {
    ($fixture:ident) => {
        $crate::laws::http_laws!($fixture:
            updates_at_once_are_all_counted,
            attributes_written_at_once_are_all_kept,
            a_write_is_read_on_every_node,
            a_logout_is_not_undone,
            a_logout_among_writes_is_not_undone,
            what_was_opened_before_a_login_stays_out_of_it,
            requests_under_way_at_a_login_leave_it_alone,
            two_logins_at_once_leave_the_user_signed_in,
            rotations_and_commits_lose_nothing,
        );
    };
    ($fixture:ident: $($law:ident,)*) => {
        $(
            #[test]
            fn $law() {
                cloakroom_testkit::fixture::hold(stringify!($law), super::$fixture(), |fixture| {
                    Box::pin($crate::laws::$law(fixture))
                });
            }
        )*
    };
}
pub(crate) use http_laws;

/// Two nodes, and a browser that has a session.
async fn two_nodes(fixture: &Fixture, policy: &Policy) -> (World, Browser) {
    let world = World::of_nodes([fixture.node(0), fixture.node(1)], policy);
    let browser = Browser::default();
    browser.send(&world.node().router, Method::POST, "/attribute/first", "x").await.ok();
    (world, browser)
}

/// Sends so many requests to the nodes in turn, each as a task of its own.
async fn at_once(
    world: &World,
    browser: &Browser,
    requests: usize,
    path: impl Fn(usize) -> String,
) -> Vec<Answer> {
    let tasks = (0..requests).map(|number| {
        let router = world.nodes[number % world.nodes.len()].router.clone();
        let (browser, path) = (browser.clone(), path(number));
        tokio::spawn(async move { browser.send(&router, Method::POST, &path, "y").await })
    });
    join_all(tasks).await.into_iter().map(Result::unwrap).collect()
}

/// Begins a request that waits, its session opened and edited.
async fn held(
    node: &Node,
    browser: &Browser,
    path: &'static str,
) -> tokio::task::JoinHandle<Answer> {
    let (router, browser) = (node.router.clone(), browser.clone());
    let task = tokio::spawn(async move { browser.post(&router, path).await });
    node.gate.reached(1).await;
    task
}

pub(crate) async fn updates_at_once_are_all_counted(fixture: &Fixture) {
    let (world, browser) = two_nodes(fixture, &Policy::default()).await;
    for answer in at_once(&world, &browser, MANY, |_| "/count".to_owned()).await {
        answer.keeps_token().ok();
    }
    for node in &world.nodes {
        assert_eq!(browser.get(&node.router, "/read").await.ok(), MANY.to_string());
    }
}

pub(crate) async fn attributes_written_at_once_are_all_kept(fixture: &Fixture) {
    let (world, browser) = two_nodes(fixture, &Policy::default()).await;
    for answer in at_once(&world, &browser, MANY, |number| format!("/attribute/a{number}")).await {
        answer.ok();
    }
    for number in 0..MANY {
        let path = format!("/attribute/a{number}");
        assert_eq!(browser.get(&world.node().router, &path).await.ok(), "y", "{path}");
    }
    assert_eq!(browser.get(&world.node().router, "/attribute/first").await.ok(), "x");
}

pub(crate) async fn a_write_is_read_on_every_node(fixture: &Fixture) {
    let (world, browser) = two_nodes(fixture, &Policy::default()).await;
    for count in 1..=10 {
        let (writes, reads) = (&world.nodes[count % 2], &world.nodes[(count + 1) % 2]);
        assert_eq!(browser.post(&writes.router, "/count").await.ok(), count.to_string());
        assert_eq!(browser.get(&reads.router, "/read").await.ok(), count.to_string());
    }
}

pub(crate) async fn a_logout_is_not_undone(fixture: &Fixture) {
    for edit in ["/held/count", "/held/set"] {
        let (world, browser) = two_nodes(fixture, &Policy::default()).await;
        let old = browser.copy();
        let late = held(&world.nodes[0], &browser, edit).await;
        let ended = browser.post(&world.nodes[1].router, "/logout").await;
        assert!(ended.set_cookie().is_some_and(|set| set.contains("Max-Age=0")), "{ended:?}");
        world.nodes[0].gate.release(1);
        let late = late.await.unwrap().expect(StatusCode::UNAUTHORIZED).keeps_token();
        assert!(late.body.contains("session_ended"), "{late:?}");
        for node in &world.nodes {
            assert_eq!(old.get(&node.router, "/option").await.ok(), "none");
        }
        assert_eq!(world.node().sessions.count().await.unwrap(), 0);
    }
}

pub(crate) async fn a_logout_among_writes_is_not_undone(fixture: &Fixture) {
    for round in 0..8 {
        let (world, browser) = two_nodes(fixture, &Policy::default()).await;
        let others = browser.copy();
        let answers = at_once(&world, &others, 16, |number| match number {
            n if n == round => "/logout".to_owned(),
            _ => "/count".to_owned(),
        });
        for answer in answers.await {
            let known =
                answer.status == StatusCode::OK || answer.status == StatusCode::UNAUTHORIZED;
            assert!(known, "{answer:?}");
        }
        assert_eq!(browser.get(&world.nodes[1].router, "/option").await.ok(), "none");
    }
}

pub(crate) async fn what_was_opened_before_a_login_stays_out_of_it(fixture: &Fixture) {
    for edit in ["/held/count", "/held/set"] {
        let (world, browser) = two_nodes(fixture, &Policy::default()).await;
        let planted = browser.copy();
        let late = held(&world.nodes[0], &planted, edit).await;
        browser.post(&world.nodes[1].router, "/login/ada").await.ok();
        world.nodes[0].gate.release(1);
        late.await.unwrap().expect(StatusCode::UNAUTHORIZED).keeps_token();
        for node in &world.nodes {
            assert_eq!(browser.get(&node.router, "/read").await.ok(), "0");
            assert_eq!(browser.get(&node.router, "/who").await.ok(), "ada");
            assert_eq!(planted.get(&node.router, "/who").await.keeps_token().ok(), "nobody");
        }
    }
}

pub(crate) async fn requests_under_way_at_a_login_leave_it_alone(fixture: &Fixture) {
    let (world, browser) = two_nodes(fixture, &Policy::default()).await;
    let under_way = browser.copy();
    let sessions = world.node().sessions.count().await.unwrap();
    browser.post(&world.nodes[0].router, "/login/ada").await.ok();
    for node in &world.nodes {
        under_way.get(&node.router, "/read").await.keeps_token().ok();
        let refused = under_way.post(&node.router, "/count").await;
        let refused = refused.expect(StatusCode::CONFLICT).keeps_token();
        assert_eq!(refused.header("retry-after"), Some("1"));
    }
    assert_eq!(world.node().sessions.count().await.unwrap(), sessions);
    assert_eq!(browser.get(&world.nodes[1].router, "/who").await.ok(), "ada");
}

pub(crate) async fn two_logins_at_once_leave_the_user_signed_in(fixture: &Fixture) {
    let (world, browser) = two_nodes(fixture, &Policy::default()).await;
    for answer in at_once(&world, &browser, 2, |_| "/login/ada".to_owned()).await {
        answer.ok();
    }
    for node in &world.nodes {
        assert_eq!(browser.get(&node.router, "/who").await.ok(), "ada");
    }
}

pub(crate) async fn rotations_and_commits_lose_nothing(fixture: &Fixture) {
    let policy = Policy { rotate_every: Some(Duration::from_secs(60)), ..Policy::default() };
    let (world, browser) = two_nodes(fixture, &policy).await;
    let first = browser.cookie();
    let (rounds, each) = (6, 8);
    for _ in 0..rounds {
        world.clock.advance(Duration::from_secs(61));
        for answer in at_once(&world, &browser, each, |_| "/count".to_owned()).await {
            answer.ok();
        }
    }
    assert_eq!(browser.get(&world.node().router, "/read").await.ok(), (rounds * each).to_string());
    assert_ne!(browser.cookie(), first, "the token was rotated");
    let stale = Browser::with(first);
    assert_eq!(stale.get(&world.node().router, "/option").await.ok(), "none");
    assert_eq!(world.node().sessions.count().await.unwrap(), 1);
}
