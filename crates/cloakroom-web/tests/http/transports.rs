//! Cookies with every attribute, headers, and both.

use std::net::IpAddr;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::middleware::map_response;
use axum::response::Response;
use cloakroom_core::{MemoryStore, Policy, Sessions};
use cloakroom_testkit::ManualClock;
use cloakroom_web::{
    BadCookie, CookieConfig, PeerAddr, SameSite, Secure, SessionLayer, TokioTimer, Transport,
};
use http::{HeaderName, HeaderValue, Method, Request};

use crate::app::routes;
use crate::browser::{Answer, Browser, send};

fn router(transport: Transport, lifetime: Option<Duration>) -> Router {
    let policy = Policy { lifetime, ..Policy::default() };
    let sessions = Sessions::builder(MemoryStore::new(), TokioTimer)
        .policy(policy)
        .clock(ManualClock::default())
        .build()
        .unwrap();
    let layer = SessionLayer::new(sessions).transport(transport);
    routes().layer(layer.trusted_proxies(["10.0.0.0/8".parse().unwrap()]))
}

async fn set_cookie(config: CookieConfig) -> String {
    let router = router(Transport::cookie(config).unwrap(), Some(Duration::from_secs(3600)));
    let answer = Browser::default().post(&router, "/count").await;
    without_token(&answer)
}

fn without_token(answer: &Answer) -> String {
    let set = answer.set_cookie().unwrap();
    let (name, rest) = set.split_once('=').unwrap();
    let (token, attributes) = rest.split_once(';').unwrap();
    assert_eq!(token.len(), 48);
    format!("{name}=T;{attributes}")
}

#[tokio::test]
async fn every_attribute_is_sent_as_it_is_set() {
    let id = CookieConfig::default;
    for (config, expected) in [
        (id(), "__Host-id=T; Path=/; SameSite=Lax; HttpOnly; Secure"),
        (
            id().same_site(SameSite::Strict),
            "__Host-id=T; Path=/; SameSite=Strict; HttpOnly; Secure",
        ),
        (id().same_site(SameSite::None), "__Host-id=T; Path=/; SameSite=None; HttpOnly; Secure"),
        (id().http_only(false), "__Host-id=T; Path=/; SameSite=Lax; Secure"),
        (
            id().partitioned(true),
            "__Host-id=T; Path=/; SameSite=Lax; HttpOnly; Secure; Partitioned",
        ),
        (
            id().persistent(true),
            "__Host-id=T; Path=/; SameSite=Lax; HttpOnly; Max-Age=3600; Secure",
        ),
        (id().path("/shop"), "__Secure-id=T; Path=/shop; SameSite=Lax; HttpOnly; Secure"),
        (
            id().domain("example.org"),
            "__Secure-id=T; Path=/; Domain=example.org; SameSite=Lax; HttpOnly; Secure",
        ),
        (id().prefixed(false), "id=T; Path=/; SameSite=Lax; HttpOnly; Secure"),
        (id().insecure_plain_http(), "id=T; Path=/; SameSite=Lax; HttpOnly"),
        (CookieConfig::new("__Host-mine"), "__Host-mine=T; Path=/; SameSite=Lax; HttpOnly; Secure"),
    ] {
        assert_eq!(set_cookie(config).await, expected);
    }
}

#[tokio::test]
async fn a_persistent_cookie_lives_as_long_as_its_session_can_and_400_days_at_most() {
    let days = |days: u64| Some(Duration::from_secs(days * 86_400));
    for (lifetime, max_age) in
        [(days(30), "Max-Age=2592000"), (days(500), "Max-Age=34560000"), (None, "Max-Age=34560000")]
    {
        let transport = Transport::cookie(CookieConfig::default().persistent(true)).unwrap();
        let router = router(transport, lifetime);
        let browser = Browser::default();
        let set = browser.post(&router, "/count").await;
        assert!(set.set_cookie().unwrap().contains(max_age), "{set:?}");
        let cleared = browser.post(&router, "/logout").await;
        assert_eq!(
            cleared.set_cookie(),
            Some("__Host-id=; Path=/; SameSite=Lax; HttpOnly; Max-Age=0; Secure")
        );
    }
}

#[test]
fn a_cookie_that_browsers_would_not_keep_is_refused() {
    let id = CookieConfig::default;
    for (config, error) in [
        (CookieConfig::new(""), BadCookie::Name),
        (CookieConfig::new("a b"), BadCookie::Name),
        (CookieConfig::new("a;b"), BadCookie::Name),
        (CookieConfig::new("a=b"), BadCookie::Name),
        (CookieConfig::new("é"), BadCookie::Name),
        (CookieConfig::new("a\n"), BadCookie::Name),
        (id().path(""), BadCookie::Path),
        (id().path("shop"), BadCookie::Path),
        (id().path("/;Domain=evil"), BadCookie::Path),
        (id().path("/\r\n"), BadCookie::Path),
        (id().path(format!("/{}", "a".repeat(1024))), BadCookie::Path),
        (id().domain(""), BadCookie::Domain),
        (id().domain(".example.org"), BadCookie::Domain),
        (id().domain("example.org; HttpOnly"), BadCookie::Domain),
        (id().domain("exa_mple.org:80"), BadCookie::Domain),
        (
            id().same_site(SameSite::None).secure(Secure::WhenHttps),
            BadCookie::SameSiteNoneNeedsSecure,
        ),
        (id().same_site(SameSite::None).insecure_plain_http(), BadCookie::SameSiteNoneNeedsSecure),
        (id().partitioned(true).insecure_plain_http(), BadCookie::PartitionedNeedsSecure),
        (CookieConfig::new("__host-x").path("/a"), BadCookie::HostPrefix),
        (CookieConfig::new("__Host-x").domain("example.org"), BadCookie::HostPrefix),
        (CookieConfig::new("__SECURE-x").insecure_plain_http(), BadCookie::SecurePrefix),
    ] {
        assert_eq!(Transport::cookie(config.clone()).unwrap_err(), error, "{config:?}");
    }
    let large = CookieConfig::new("n".repeat(4096));
    assert!(matches!(Transport::cookie(large), Err(BadCookie::TooLarge { bytes }) if bytes > 4096));
    assert!(Transport::cookie(CookieConfig::new("n".repeat(3900))).is_ok());
}

#[tokio::test]
async fn a_cookie_is_secure_when_the_client_came_by_https() {
    let config = CookieConfig::default().secure(Secure::WhenHttps);
    let router = router(Transport::cookie(config).unwrap(), None);
    let over = async |uri: &str, peer: &str, proto: Option<&str>| {
        let mut request = Request::post(uri).body(Body::empty()).unwrap();
        request.extensions_mut().insert(PeerAddr(peer.parse::<IpAddr>().unwrap()));
        if let Some(proto) = proto {
            request.headers_mut().insert("x-forwarded-proto", proto.parse().unwrap());
        }
        let answer = send(&router, request).await;
        let set = without_token(&answer);
        assert!(set.starts_with("id=T; "), "no prefix, as it is not always secure: {set}");
        set.contains("; Secure")
    };
    assert!(over("https://example.org/count", "192.0.2.1", None).await);
    assert!(over("/count", "10.0.0.1", Some("https")).await);
    assert!(!over("/count", "10.0.0.1", Some("http")).await);
    assert!(!over("/count", "10.0.0.1", None).await);
    assert!(!over("/count", "192.0.2.1", Some("https")).await, "anybody can say so");
}

async fn with_header(router: &Router, path: &str, name: &str, value: &str) -> Answer {
    let mut request = Browser::default().request(Method::POST, path, "");
    request.headers_mut().insert(HeaderName::try_from(name).unwrap(), value.parse().unwrap());
    send(router, request).await
}

#[tokio::test]
async fn a_header_carries_the_token_both_ways() {
    const OUT: &str = "x-session-token";
    let custom = Transport::header(HeaderName::from_static("x-ours"));
    for (transport, name, scheme, out) in
        [(Transport::bearer(), "authorization", "Bearer ", OUT), (custom, "x-ours", "", "x-ours")]
    {
        let router = router(transport, None);
        let first = Browser::default().post(&router, "/count").await.sets_nothing();
        assert_eq!(first.header("cache-control"), Some("no-store"));
        let credentials = format!("{scheme}{}", first.header(out).unwrap());
        let second = with_header(&router, "/count", name, &credentials).await;
        assert_eq!((second.header(out), &*second.body), (None, "2"));
        let login = with_header(&router, "/login/ada", name, &credentials).await;
        let credentials = format!("{scheme}{}", login.header(out).unwrap());
        assert_eq!(with_header(&router, "/count", name, &credentials).await.ok(), "3");
        let logout = with_header(&router, "/logout", name, &credentials).await.sets_nothing();
        assert_eq!(logout.header(out), Some(""));
    }
}

#[tokio::test]
async fn a_header_transport_reads_no_cookie() {
    let router = router(Transport::bearer(), None);
    let first = Browser::default().post(&router, "/count").await;
    let cookie = format!("__Host-id={}", first.header("x-session-token").unwrap());
    assert_eq!(Browser::with(Some(cookie)).post(&router, "/count").await.ok(), "1");
}

#[tokio::test]
async fn no_shared_cache_stores_a_token() {
    const TARGETED: [&str; 3] = ["cache-control", "cdn-cache-control", "surrogate-control"];
    async fn cacheable(mut response: Response) -> Response {
        for name in TARGETED {
            response.headers_mut().insert(name, HeaderValue::from_static("max-age=600"));
        }
        response
    }
    let clock = ManualClock::default();
    let sessions = Sessions::builder(MemoryStore::new(), TokioTimer).clock(clock).build().unwrap();
    let router = routes().layer(map_response(cacheable)).layer(SessionLayer::new(sessions));
    let browser = Browser::default();
    let made = browser.post(&router, "/count").await;
    let plain = browser.get(&router, "/plain").await;
    let cleared = browser.post(&router, "/logout").await;
    for told in [made, cleared] {
        assert!(told.set_cookie().is_some());
        assert_eq!(TARGETED.map(|name| told.header(name)), [Some("no-store"), None, None]);
    }
    assert_eq!(TARGETED.map(|name| plain.header(name)), [Some("max-age=600"); 3]);
}

#[tokio::test]
async fn a_cookie_and_a_header_of_ones_own_go_together() {
    const OURS: HeaderName = HeaderName::from_static("x-ours");
    let transport = Transport::cookie_or_header(CookieConfig::new("shop"), OURS).unwrap();
    let router = router(transport, None);
    let page = Browser::default().post(&router, "/count").await;
    assert!(page.set_cookie().unwrap().starts_with("__Host-shop="));
    let app = with_header(&router, "/count", "x-ours", "").await.sets_nothing();
    assert!(app.header("x-ours").is_some());
    let bad = Transport::cookie_or_bearer(CookieConfig::new(""));
    assert_eq!(bad.unwrap_err(), BadCookie::Name);
}

#[tokio::test]
async fn either_answers_each_client_in_its_own_way() {
    let transport = Transport::cookie_or_bearer(CookieConfig::default()).unwrap();
    let router = router(transport, None);
    let browser = Browser::default();
    let by_cookie = browser.post(&router, "/count").await;
    assert!(by_cookie.set_cookie().is_some() && by_cookie.header("x-session-token").is_none());
    assert_eq!(browser.post(&router, "/count").await.ok(), "2");

    let app = with_header(&router, "/count", "authorization", "Bearer").await.sets_nothing();
    let credentials = format!("Bearer {}", app.header("x-session-token").unwrap());
    assert_eq!(with_header(&router, "/count", "authorization", &credentials).await.ok(), "2");

    let mut both = browser.request(Method::POST, "/count", "");
    both.headers_mut().insert("authorization", credentials.parse().unwrap());
    assert_eq!(send(&router, both).await.sets_nothing().ok(), "3", "the header's session");
    let basic = with_header(&router, "/count", "authorization", "Basic dTpw").await;
    assert!(basic.set_cookie().is_some(), "another scheme is no token of ours");
}
