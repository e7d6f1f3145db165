//! Runs every example: its router or its program is driven as a client would.

#![allow(dead_code, reason = "an example's `main` is for those who run it")]
#![allow(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

#[path = "../examples/counter.rs"]
mod counter;
#[path = "../examples/login.rs"]
mod login;
#[path = "../examples/mobile.rs"]
mod mobile;
#[path = "../examples/no_http.rs"]
mod no_http;
#[path = "../examples/visits.rs"]
mod visits;

use axum::Router;
use axum::body::Body;
use cloakroom::{MemoryStore, Sessions};
use http::header::{COOKIE, LOCATION, SET_COOKIE};
use http::request::Builder;
use http::{Request, Response, StatusCode};
use http_body_util::BodyExt;
use tower::ServiceExt;

fn sessions() -> Sessions {
    cloakroom::sessions(MemoryStore::new()).build().unwrap()
}

async fn send(app: &Router, request: Builder, body: impl Into<Body>) -> Response<Body> {
    let request = request.body(body.into()).unwrap();
    app.clone().oneshot(request).await.unwrap()
}

async fn text(response: Response<Body>) -> String {
    let bytes = response.into_body().collect().await.unwrap().to_bytes();
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// The cookie that a response sets, as a request sends it.
fn cookie(response: &Response<Body>) -> String {
    let set = response.headers()[SET_COOKIE].to_str().unwrap();
    set.split(';').next().unwrap().to_owned()
}

fn header<'a>(response: &'a Response<Body>, name: &str) -> &'a str {
    response.headers()[name].to_str().unwrap()
}

#[tokio::test]
async fn visits_are_counted_by_browser() {
    let app = visits::app(sessions());
    let first = send(&app, Request::get("/"), "").await;
    let cookie = cookie(&first);
    assert_eq!(text(first).await, "You were here 1 times.");
    let second = send(&app, Request::get("/").header(COOKIE, &cookie), "").await;
    assert_eq!(text(second).await, "You were here 2 times.");
    let stranger = send(&app, Request::get("/"), "").await;
    assert_eq!(text(stranger).await, "You were here 1 times.");
}

fn form(path: &str) -> Builder {
    Request::post(path).header("content-type", "application/x-www-form-urlencoded")
}

#[tokio::test]
async fn a_login_leads_back_to_where_the_user_wanted_to_go() {
    let app = login::app(sessions());
    let asked = Request::get("/account?tab=2").header("accept", "text/html");
    let sent = send(&app, asked, "").await;
    assert_eq!(sent.status(), StatusCode::SEE_OTHER);
    let page = header(&sent, LOCATION.as_str());
    assert_eq!(page, "/login?return_to=%2Faccount%3Ftab%3D2");

    let wrong = send(&app, form(page), "name=ada&password=x").await;
    assert_eq!(wrong.status(), StatusCode::UNAUTHORIZED);
    assert!(!wrong.headers().contains_key(SET_COOKIE));
    let right = send(&app, form(page), "name=bob&password=builder").await;
    assert_eq!(header(&right, LOCATION.as_str()), "/account?tab=2");
    let cookie = cookie(&right);
    let get = |path: &str| Request::get(path).header(COOKIE, &cookie);
    assert_eq!(text(send(&app, get("/account"), "").await).await, "Hello, bob.");
    assert_eq!(send(&app, get("/admin"), "").await.status(), StatusCode::FORBIDDEN);

    let out = send(&app, Request::post("/logout").header(COOKIE, &cookie), "").await;
    assert!(header(&out, SET_COOKIE.as_str()).contains("Max-Age=0"));
    assert_eq!(send(&app, get("/account"), "").await.status(), StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn a_login_leads_to_no_other_site() {
    let app = login::app(sessions());
    let hostile = form("/login?return_to=%2F%2Fevil.example");
    let right = send(&app, hostile, "name=ada&password=lovelace").await;
    assert_eq!(header(&right, LOCATION.as_str()), "/account");
    let get = Request::get("/admin").header(COOKIE, cookie(&right));
    assert_eq!(text(send(&app, get, "").await).await, "For admins.");
}

#[tokio::test]
async fn an_app_gets_its_token_in_a_header_and_a_browser_in_a_cookie() {
    const TOKEN: &str = "x-session-token";
    let app = mobile::app(sessions()).unwrap();
    let post = |token: &str| Request::post("/notes").header(TOKEN, token);
    let first = send(&app, post(""), "buy milk").await;
    assert!(!first.headers().contains_key(SET_COOKIE));
    let token = header(&first, TOKEN).to_owned();
    assert_eq!(text(send(&app, post(&token), "sleep").await).await, "2");
    let list = send(&app, Request::get("/notes").header(TOKEN, &token), "").await;
    assert_eq!(text(list).await, r#"["buy milk","sleep"]"#);

    let browser = send(&app, Request::post("/notes"), "x").await;
    assert!(!browser.headers().contains_key(TOKEN));
    let cookie = cookie(&browser);
    let list = send(&app, Request::get("/notes").header(COOKIE, cookie), "").await;
    assert_eq!(text(list).await, r#"["x"]"#);
    assert_eq!(text(send(&app, Request::get("/notes"), "").await).await, "[]");
}

#[tokio::test]
async fn all_nodes_count_together() {
    let store = cloakroom::connect("memory:").await.unwrap();
    let node = || counter::app(cloakroom::sessions(store.clone()).build().unwrap());
    let (one, two) = (node(), node());
    for (visit, node) in [(1, &one), (2, &two), (3, &one)] {
        let said = text(send(node, Request::get("/"), "").await).await;
        assert_eq!(said, format!("This is visit {visit}."));
    }
}

#[tokio::test]
async fn lines_that_are_not_http_are_kept() {
    let sessions = sessions();
    let mut peer = no_http::Peer::default();
    for said in 1..=3 {
        assert_eq!(peer.say(&sessions, "Hello.").await.unwrap(), said);
    }
}

#[test]
fn the_program_without_http_runs() {
    no_http::main().unwrap();
}
