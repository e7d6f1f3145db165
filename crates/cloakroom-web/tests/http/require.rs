//! Layers that let only some in.

use axum::Router;
use axum::routing::get;
use cloakroom_web::{RequireLogin, RequireRole, SessionLayer, SignedIn};
use http::{Method, StatusCode};

use crate::app::{World, routes};
use crate::browser::{Answer, Browser, send};

fn app(world: &World) -> Router {
    let hello = get(|SignedIn(who): SignedIn| async move { who });
    let users = Router::new().route("/users", hello.clone()).layer(RequireLogin::new());
    let pages = Router::new()
        .route("/pages", hello.clone().post(|| async { "written" }))
        .layer(RequireLogin::new().login_page("/login"));
    let area = Router::new()
        .route("/{*rest}", hello.clone())
        .layer(RequireLogin::new().login_page("/login?way=1"));
    let readers = Router::new().route("/readers", hello.clone()).layer(RequireRole::new("reader"));
    let admins = Router::new()
        .route("/admins", hello.clone())
        .layer(RequireRole::new("admin").login_page("/login"));
    routes()
        .route("/hello", hello)
        .merge(users)
        .merge(pages)
        .merge(readers)
        .merge(admins)
        .nest("/area", area)
        .layer(SessionLayer::new(world.node().sessions.clone()))
}

async fn ask(
    router: &Router,
    method: Method,
    path: &str,
    headers: &[(&'static str, &'static str)],
) -> Answer {
    let mut request = Browser::default().request(method, path, "");
    for (name, value) in headers {
        request.headers_mut().insert(*name, value.parse().unwrap());
    }
    send(router, request).await.sets_nothing()
}

const NAVIGATES: &[(&str, &str)] = &[("sec-fetch-mode", "navigate")];

#[tokio::test]
async fn only_who_is_signed_in_comes_in() {
    let world = World::memory();
    let app = app(&world);
    for path in ["/users", "/readers", "/admins", "/hello", "/pages"] {
        let refused = Browser::default().get(&app, path).await.sets_nothing();
        let refused = refused.expect(StatusCode::UNAUTHORIZED);
        assert!(refused.body.contains(r#""error":"not_signed_in""#), "{refused:?}");
    }
    let browser = Browser::default();
    browser.post(&app, "/login/ada").await.ok();
    for path in ["/users", "/readers", "/hello", "/pages", "/area/x"] {
        assert_eq!(browser.get(&app, path).await.sets_nothing().ok(), "ada", "{path}");
    }
    let refused = browser.get(&app, "/admins").await.expect(StatusCode::FORBIDDEN);
    assert!(refused.body.contains("role_missing"), "{refused:?}");
    browser.post(&app, "/logout").await.ok();
    browser.get(&app, "/users").await.expect(StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn a_navigation_is_sent_to_the_login_page_and_remembers_its_way() {
    let world = World::memory();
    let app = app(&world);
    for (path, headers, location) in [
        ("/pages?a=b&c=%20d", NAVIGATES, "/login?return_to=%2Fpages%3Fa%3Db%26c%3D%2520d"),
        ("/pages", &[("accept", "text/html")][..], "/login?return_to=%2Fpages"),
        ("/area/x/y?z", NAVIGATES, "/login?way=1&return_to=%2Farea%2Fx%2Fy%3Fz"),
        ("/area//evil.example", NAVIGATES, "/login?way=1"),
    ] {
        let sent = ask(&app, Method::GET, path, headers).await.expect(StatusCode::SEE_OTHER);
        assert_eq!(sent.header("location"), Some(location));
        assert_eq!(sent.header("cache-control"), Some("no-store"));
    }
}

#[tokio::test]
async fn a_login_pages_fragment_goes_last_and_what_no_address_holds_is_encoded() {
    let world = World::memory();
    for (page, location) in [
        ("/login#form", "/login?return_to=%2Fa%3Fb#form"),
        ("/login?c=d#e?f", "/login?c=d&return_to=%2Fa%3Fb#e?f"),
        ("/login\n", "/login%0A?return_to=%2Fa%3Fb"),
        ("/sign in/\u{e9}", "/sign%20in/%C3%A9?return_to=%2Fa%3Fb"),
        ("https://login.example/%20?c", "https://login.example/%20?c&return_to=%2Fa%3Fb"),
    ] {
        let app = Router::new()
            .route("/a", get(async || {}))
            .layer(RequireLogin::new().login_page(page))
            .layer(SessionLayer::new(world.node().sessions.clone()));
        let sent = ask(&app, Method::GET, "/a?b", NAVIGATES).await.expect(StatusCode::SEE_OTHER);
        assert_eq!(sent.header("location"), Some(location));
    }
}

#[tokio::test]
async fn whoever_does_not_navigate_is_refused_plainly() {
    let world = World::memory();
    let app = app(&world);
    for (method, headers) in [
        (Method::GET, &[("sec-fetch-mode", "cors"), ("accept", "text/html")][..]),
        (Method::GET, &[("accept", "application/json")]),
        (Method::GET, &[]),
        (Method::POST, NAVIGATES),
        (Method::POST, &[("accept", "text/html")]),
    ] {
        let refused = ask(&app, method, "/pages", headers).await;
        assert_eq!(refused.expect(StatusCode::UNAUTHORIZED).header("location"), None);
    }
}

#[tokio::test]
async fn a_missing_role_leads_to_no_login_page() {
    let world = World::memory();
    let app = app(&world);
    let browser = Browser::default();
    browser.post(&app, "/login/ada").await.ok();
    let mut request = browser.request(Method::GET, "/admins", "");
    request.headers_mut().insert("sec-fetch-mode", "navigate".parse().unwrap());
    send(&app, request).await.expect(StatusCode::FORBIDDEN);
}
