//! The desk as a whole: requests through its router, over sessions in memory and users in SQLite.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, to_bytes};
use cloakroom::{
    Clock, CookieConfig, Head, KeyRing, MemoryStore, PeerAddr, Policy, SessionLayer, Sessions,
    Store, SystemClock, Transport, TrustedProxies,
};
use cloakroom_testkit::ManualClock;
use cloakroom_testkit::stores::{Call, Counting, Hanging, Hooked};
use http::header::{COOKIE, LOCATION, RETRY_AFTER, SET_COOKIE};
use http::{HeaderMap, Method, Request, Response, StatusCode};
use tower::ServiceExt;

use super::users::{Cost, Name, Password, Users};
use super::{Binding, Desk, LoginSettings, Theme, Throttling, UsersUrl, manage};
use crate::cli::UsersCommand;
use crate::pages::Problem;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

struct World {
    desk: Desk,
    router: Router,
    sessions: Sessions,
    store: Arc<Counting>,
    hanging: Arc<Hanging>,
    hooked: Arc<Hooked>,
    users: Users,
}

fn settings() -> LoginSettings {
    LoginSettings {
        users: UsersUrl("memory:".to_owned()),
        theme: Theme::default(),
        throttling: Throttling { account: 3, address: 30, window: Duration::from_secs(900) },
        remember: Some(30 * DAY),
        binding: Binding::Off,
        return_hosts: vec!["app.example".to_owned()],
        places: None,
    }
}

async fn world(settings: LoginSettings) -> World {
    world_at(settings, SystemClock).await
}

async fn world_at(settings: LoginSettings, clock: impl Clock) -> World {
    let hanging = Arc::new(Hanging::new(Arc::new(MemoryStore::new())));
    let hooked = Arc::new(Hooked::new(Arc::clone(&hanging) as Arc<dyn Store>));
    let store = Arc::new(Counting::new(Arc::clone(&hooked) as Arc<dyn Store>));
    let shared: Arc<dyn Store> = Arc::clone(&store) as Arc<dyn Store>;
    let sessions = cloakroom::sessions(shared);
    let short = Duration::from_millis(300);
    let policy = Policy { call_deadline: short, ..Policy::default() };
    let sessions = sessions.policy(policy).clock(clock).build().unwrap();
    let users = Users::with_cost(&settings.users, Cost { memory: 64, passes: 1 }).await.unwrap();
    let alice = Name::parse("alice").unwrap();
    let password = || Password::new("wonderland".to_owned());
    users.add(&alice, password(), &["staff".to_owned()]).await.unwrap();
    users.add(&Name::parse("bob").unwrap(), password(), &[]).await.unwrap();
    let proxies = TrustedProxies::default();
    let ring = KeyRing::generate();
    let desk = Desk::new(sessions.clone(), settings, ring, proxies, false, users.clone()).unwrap();
    let transport = Transport::cookie_or_bearer(CookieConfig::default()).unwrap();
    let layer = SessionLayer::new(sessions.clone()).transport(transport);
    World { router: desk.router().layer(layer), desk, sessions, store, hanging, hooked, users }
}

/// A browser: it keeps cookies, and says where its requests come from.
#[derive(Clone, Default)]
struct Browser {
    cookies: Vec<(String, String)>,
    address: u8,
    no_fetch_headers: bool,
}

struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    body: String,
}

impl Browser {
    fn request(&self, method: Method, path: &str, body: &str) -> Request<Body> {
        let mut request = Request::new(Body::from(body.to_owned()));
        let form = method == Method::POST;
        *request.method_mut() = method;
        *request.uri_mut() = path.parse().unwrap();
        request.extensions_mut().insert(PeerAddr([192, 0, 2, self.address].into()));
        let headers = request.headers_mut();
        headers.insert("accept", "text/html".parse().unwrap());
        headers.insert("host", "shop.example".parse().unwrap());
        headers.insert("user-agent", "Mozilla/5.0 (X11; Linux) Firefox/140.0".parse().unwrap());
        if form {
            headers.insert("content-type", "application/x-www-form-urlencoded".parse().unwrap());
        }
        if !self.no_fetch_headers {
            headers.insert("sec-fetch-mode", "navigate".parse().unwrap());
            headers.insert("sec-fetch-site", "same-origin".parse().unwrap());
        }
        let pairs: Vec<String> =
            self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
        if !pairs.is_empty() {
            headers.insert(COOKIE, pairs.join("; ").parse().unwrap());
        }
        request
    }

    async fn send(&mut self, world: &World, request: Request<Body>) -> Answer {
        let response = world.router.clone().oneshot(request).await.unwrap();
        self.keep(&response);
        let (parts, body) = response.into_parts();
        let body = to_bytes(body, usize::MAX).await.unwrap();
        let body = String::from_utf8(body.to_vec()).unwrap();
        Answer { status: parts.status, headers: parts.headers, body }
    }

    fn keep(&mut self, response: &Response<Body>) {
        for set in response.headers().get_all(SET_COOKIE) {
            let (pair, rest) = set.to_str().unwrap().split_once(';').unwrap();
            let (name, value) = pair.split_once('=').unwrap();
            self.cookies.retain(|(known, _)| known != name);
            if !rest.contains("Max-Age=0") {
                self.cookies.push((name.to_owned(), value.to_owned()));
            }
        }
    }

    async fn get(&mut self, world: &World, path: &str) -> Answer {
        let request = self.request(Method::GET, path, "");
        self.send(world, request).await
    }

    async fn post(&mut self, world: &World, path: &str, body: &str) -> Answer {
        let request = self.request(Method::POST, path, body);
        self.send(world, request).await
    }

    /// Wants a page that is for those who are signed in: the login that it is sent to.
    async fn wants(&mut self, world: &World, path: &str) -> String {
        let request = self.request(Method::GET, path, "");
        let response = world.desk.sign_in_first(Head::from(&request)).await.unwrap();
        assert_eq!(response.status(), StatusCode::FOUND);
        self.keep(&response);
        let to = response.headers()[LOCATION].to_str().unwrap();
        to.split_once("/.cloakroom/login?flow=").unwrap().1.to_owned()
    }

    async fn log_in(&mut self, world: &World, name: &str, password: &str, more: &str) -> Answer {
        let body = format!("username={name}&password={password}{more}");
        self.post(world, "/.cloakroom/login", &body).await
    }

    async fn user(&mut self, world: &World) -> Option<String> {
        let answer = self.get(world, "/.cloakroom/api/me").await;
        let body: serde_json::Value = serde_json::from_str(&answer.body).unwrap();
        body["user"].as_str().map(str::to_owned)
    }
}

impl Answer {
    fn leads_to(&self) -> &str {
        assert_eq!(self.status, StatusCode::SEE_OTHER, "{}", self.body);
        self.headers[LOCATION].to_str().unwrap()
    }
}

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

#[tokio::test]
async fn programs_are_told_and_never_sent() {
    let world = world(settings()).await;
    let mut request = Browser::default().request(Method::GET, "/order", "");
    request.headers_mut().insert("sec-fetch-mode", "cors".parse().unwrap());
    let before = world.store.total();
    let told = world.desk.sign_in_first(Head::from(&request)).await.unwrap();
    assert_eq!(told.status(), StatusCode::UNAUTHORIZED);
    assert_eq!(told.headers()["content-type"], "application/json");
    assert!(!told.headers().contains_key(SET_COOKIE));
    let form = Browser::default().request(Method::POST, "/order", "");
    let problem = world.desk.sign_in_first(Head::from(&form)).await.unwrap_err();
    assert_eq!(problem, Problem::NotSignedIn);
    assert_eq!(world.store.total(), before, "nothing is begun for them");
}

#[tokio::test]
async fn programs_sign_in_with_a_token_in_a_header() {
    let world = world(settings()).await;
    let mut client = Browser { no_fetch_headers: true, ..Browser::default() };
    let json = |client: &Browser, method, path: &str, token: &str, body: &str| {
        let mut request = client.request(method, path, body);
        let headers = request.headers_mut();
        headers.insert("content-type", "application/json".parse().unwrap());
        headers.insert("authorization", format!("Bearer {token}").trim().parse().unwrap());
        request
    };
    let wrong = r#"{"username":"alice","password":"wrong"}"#;
    let request = json(&client, Method::POST, "/.cloakroom/api/login", "", wrong);
    let answer = client.send(&world, request).await;
    assert_eq!(answer.status, StatusCode::UNAUTHORIZED);
    assert!(answer.body.contains("wrong_credentials"), "{}", answer.body);
    let right = r#"{"username":"alice","password":"wonderland"}"#;
    let request = json(&client, Method::POST, "/.cloakroom/api/login", "", right);
    let answer = client.send(&world, request).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.body);
    assert!(client.cookies.is_empty(), "{:?}", client.cookies);
    let token = answer.headers["x-session-token"].to_str().unwrap().to_owned();
    let request = json(&client, Method::GET, "/.cloakroom/api/sessions", &token, "");
    let listed: serde_json::Value =
        serde_json::from_str(&client.send(&world, request).await.body).unwrap();
    let first = &listed["sessions"][0];
    assert_eq!(first["device"], "Firefox on Linux");
    assert!(first["current"] == true && first["address"] == "192.0.2.0", "{listed}");
    let path = "/.cloakroom/api/sessions/nonsense";
    let request = json(&client, Method::DELETE, path, &token, "");
    assert_eq!(client.send(&world, request).await.status, StatusCode::NOT_FOUND);
    let request = json(&client, Method::POST, "/.cloakroom/api/logout", &token, "");
    assert_eq!(client.send(&world, request).await.status, StatusCode::OK);
    let request = json(&client, Method::GET, "/.cloakroom/api/me", &token, "");
    assert_eq!(client.send(&world, request).await.status, StatusCode::UNAUTHORIZED);
    let request =
        json(&client, Method::POST, "/.cloakroom/api/login", "", "{\"username\":\"hunter2\"");
    let answer = client.send(&world, request).await;
    assert!(answer.status == 400 && !answer.body.contains("hunter2"), "{}", answer.body);
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
    use super::places::file::{Value, write};

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
async fn pages_say_what_they_should_in_both_languages() {
    let world = world(settings()).await;
    let browser = Browser::default();
    for (accepted, language, heading) in [("en", "en", "Sign in"), ("zh-TW", "zh-Hans", "登录")] {
        let mut request = browser.request(Method::GET, "/.cloakroom/login", "");
        request.headers_mut().insert("accept-language", accepted.parse().unwrap());
        let answer = browser.clone().send(&world, request).await;
        assert!(answer.body.contains(&format!("lang=\"{language}\"")));
        assert!(answer.body.contains(&format!("<h1>{heading}</h1>")), "{}", answer.body);
        for field in ["username", "password", "remember"] {
            assert!(answer.body.contains(&format!("for=\"{field}\"")), "{field} has a label");
        }
        assert_eq!(answer.headers["cache-control"], "no-store");
        assert!(answer.headers.contains_key("content-security-policy"));
    }
    let wrong =
        browser.clone().send(&world, browser.request(Method::PUT, "/.cloakroom/login", "")).await;
    assert_eq!(wrong.status, StatusCode::METHOD_NOT_ALLOWED);
    assert!(wrong.headers.contains_key("allow") && wrong.body.contains("<h1>"), "{}", wrong.body);
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

#[tokio::test]
async fn a_change_of_a_user_ends_their_sessions() {
    let world = world(settings()).await;
    let name = || "alice".to_owned();
    let commands = [
        UsersCommand::Passwd { name: name(), generate: true },
        UsersCommand::Roles { name: name(), roles: vec!["other".to_owned()] },
        UsersCommand::Disable { name: name() },
    ];
    for command in commands {
        let alice = Name::parse("alice").unwrap();
        let password = Password::new("wonderland".to_owned());
        world.users.set_password(&alice, password).await.unwrap();
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
