//! Logins that are under way: where each of them leads.

use std::time::Duration;

use cloakroom_testkit::ManualClock;
use cloakroom_testkit::stores::Call;
use http::header::LOCATION;
use http::{Method, StatusCode};

use super::support::{Browser, World, settings, world, world_at};

#[tokio::test]
async fn each_tab_comes_back_to_where_it_was() {
    let world = world(settings()).await;
    let mut browser = Browser::default();
    let one = browser.wants(&world, "/order/1?a=b").await;
    let two = browser.wants(&world, "/order/2").await;
    let page = browser.get(&world, &format!("/.cloakroom/login?flow={two}")).await;
    assert_eq!(page.status, StatusCode::OK);
    assert!(page.body.contains(&two) && !page.body.contains(&one), "{}", page.body);
    let back = browser.log_in(&world, "Alice", "wonderland", &format!("&flow={two}")).await;
    assert_eq!(back.leads_to(), "/order/2");
    assert_eq!(browser.user(&world).await.as_deref(), Some("alice"));
    let other = browser.get(&world, &format!("/.cloakroom/login?flow={one}")).await;
    assert_eq!(other.leads_to(), "/order/1?a=b", "signed in already");
}

#[tokio::test]
async fn a_browser_s_first_login_is_in_its_cookie_and_nothing_is_stored() {
    let world = world_at(settings(), ManualClock::default()).await;
    world.store.take();
    for n in 0..50 {
        Browser::default().wants(&world, &format!("/order/{n}")).await;
    }
    let mut browser = Browser::default();
    let long = format!("/order/{}", "\"".repeat(2041));
    let one = browser.wants(&world, &long).await;
    assert_eq!(browser.wants(&world, &long).await, one, "a reload is the same login");
    let calls = world.store.take();
    assert_eq!(calls, [(Call::Load, 1)].into(), "whether the store is there, for all of them");
    let (name, value) = &browser.cookies[0];
    assert!(name.len() + value.len() < 4096, "no browser drops it");
    assert!(!value.contains("order") && !value.contains(&one));
    browser.get(&world, &format!("/.cloakroom/login?flow={one}")).await;
    assert_eq!(world.store.total(), 0);
    let back = browser.log_in(&world, "alice", "wonderland", &format!("&flow={one}")).await;
    assert_eq!(back.leads_to(), long);
}

#[tokio::test]
async fn a_second_login_moves_the_first_to_the_store() {
    let world = world(settings()).await;
    let mut browser = Browser::default();
    let one = browser.wants(&world, "/order/1").await;
    let sealed = browser.clone();
    world.store.take();
    let two = browser.wants(&world, "/order/2").await;
    assert_eq!(world.store.count(Call::Create), 1);
    assert!(browser.cookies[0].1.len() < sealed.cookies[0].1.len(), "it is not in both");
    // A third tab was opened at the same moment as the second.
    let mut third = sealed.clone();
    let three = third.wants(&world, "/order/3").await;
    let leads_to = async |browser: &Browser, flow: &str| {
        let asking = browser.request(Method::GET, "/", "");
        world.desk.flows.browser(asking.headers()).leads_to(flow).await.unwrap()
    };
    for (flow, to) in [(&one, "/order/1"), (&two, "/order/2"), (&three, "/order/3")] {
        for browser in [&browser, &third, &sealed] {
            assert_eq!(leads_to(browser, flow).await.as_deref(), Some(to));
        }
    }
    for n in 4..10 {
        browser.wants(&world, &format!("/order/{n}")).await;
    }
    assert_eq!(leads_to(&browser, &one).await, None, "the oldest has made room");
    assert_eq!(leads_to(&browser, &two).await.as_deref(), Some("/order/2"));
}

#[tokio::test]
async fn a_sealed_login_ends_with_its_hour_and_is_nobody_else_s() {
    let clock = ManualClock::default();
    let world = world_at(settings(), clock.clone()).await;
    let other = world_at(settings(), clock.clone()).await;
    let mut browser = Browser::default();
    let flow = browser.wants(&world, "/order/1").await;
    let mut strange = browser.clone();
    clock.advance(Duration::from_secs(60 * 60 - 1));
    let asking = browser.request(Method::GET, "/", "");
    let known = |world: &World| world.desk.flows.browser(asking.headers());
    assert_eq!(known(&world).leads_to(&flow).await.unwrap().as_deref(), Some("/order/1"));
    assert_eq!(known(&other).leads_to(&flow).await.unwrap(), None, "it has other keys");
    let mark = known(&world).mark();
    clock.advance(Duration::from_secs(1));
    assert_eq!(known(&world).leads_to(&flow).await.unwrap(), None);
    assert_eq!(known(&world).mark(), mark, "a form that is still open can be sent");
    let again = browser.wants(&world, "/order/1").await;
    assert_ne!(again, flow);
    let back = browser.log_in(&world, "alice", "wonderland", &format!("&flow={again}")).await;
    assert_eq!(back.leads_to(), "/order/1");
    // Elsewhere it is a cookie like none.
    other.store.take();
    strange.wants(&other, "/order/1").await;
    assert_eq!(other.store.count(Call::Create), 0);
}

#[tokio::test]
async fn a_flow_is_its_own_browser_s_and_a_lost_one_leads_to_the_start() {
    let world = world(settings()).await;
    let mut mallory = Browser::default();
    let planted = mallory.wants(&world, "/order/1").await;
    let mut browser = Browser::default();
    assert_eq!(browser.get(&world, &format!("/.cloakroom/login?flow={planted}")).await.status, 200);
    let back = browser.log_in(&world, "alice", "wonderland", &format!("&flow={planted}")).await;
    assert_eq!(back.leads_to(), "/");
    let mut late = Browser::default();
    let strange = late.get(&world, "/.cloakroom/login?flow=%22%3E%3Cb%3E").await;
    assert!(strange.status == 200 && !strange.body.contains("<b>"), "{}", strange.body);
}

#[tokio::test]
async fn only_safe_places_are_returned_to() {
    let world = world(settings()).await;
    for (asked, to) in [
        ("/cart", "/cart"),
        ("https://app.example/x", "https://app.example/x"),
        ("https://evil.example/", "/"),
        ("//evil.example", "/"),
        ("/%5Cevil.example", "/"),
    ] {
        let mut browser = Browser::default();
        let path = format!("/.cloakroom/login?return_to={}", asked.replace(':', "%3A"));
        let answer = browser.get(&world, &path).await;
        let flow = match answer.status {
            StatusCode::FOUND => {
                let to = answer.headers[LOCATION].to_str().unwrap();
                format!("&flow={}", to.split_once("flow=").unwrap().1)
            }
            _ => String::new(),
        };
        let back = browser.log_in(&world, "alice", "wonderland", &flow).await;
        assert!(back.leads_to() == to || asked.starts_with("/%5C"), "{asked}");
        assert!(!back.leads_to().contains("evil.example") || back.leads_to().starts_with("/%5C"));
        let out = browser.post(&world, "/.cloakroom/logout", &format!("return_to={asked}")).await;
        assert_eq!(out.leads_to(), to, "{asked}");
    }
}

#[tokio::test]
async fn a_loop_is_broken_with_a_page_that_explains_it() {
    let world = world(settings()).await;
    let mut browser = Browser::default();
    browser.log_in(&world, "alice", "wonderland", "").await;
    let path = "/.cloakroom/login?return_to=/order";
    for _ in 0..4 {
        assert_eq!(browser.get(&world, path).await.leads_to(), "/order");
    }
    let broken = browser.get(&world, path).await;
    assert_eq!(broken.status, StatusCode::LOOP_DETECTED);
    assert!(broken.body.contains("to and fro"), "{}", broken.body);
}
