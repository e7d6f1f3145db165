//! A desk of its own for each test, and browsers that visit it.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, to_bytes};
use cloakroom::{
    Clock, CookieConfig, Head, KeyRing, MemoryStore, PeerAddr, Policy, SessionLayer, Sessions,
    Store, SystemClock, Transport, TrustedProxies,
};
use cloakroom_testkit::stores::{Counting, Hanging, Hooked};
use http::header::{COOKIE, LOCATION, SET_COOKIE};
use http::{HeaderMap, Method, Request, Response, StatusCode};
use tower::ServiceExt;

use crate::login::users::{Cost, Name, Password, Users};
use crate::login::{Binding, Desk, LoginSettings, Theme, Throttling, UsersUrl};

pub(super) const DAY: Duration = Duration::from_secs(24 * 60 * 60);

pub(super) struct World {
    pub(super) desk: Desk,
    pub(super) router: Router,
    pub(super) sessions: Sessions,
    pub(super) store: Arc<Counting>,
    pub(super) hanging: Arc<Hanging>,
    pub(super) hooked: Arc<Hooked>,
    pub(super) users: Users,
}

pub(super) fn settings() -> LoginSettings {
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

pub(super) async fn world(settings: LoginSettings) -> World {
    world_at(settings, SystemClock).await
}

pub(super) async fn world_at(settings: LoginSettings, clock: impl Clock) -> World {
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
pub(super) struct Browser {
    pub(super) cookies: Vec<(String, String)>,
    pub(super) address: u8,
    pub(super) no_fetch_headers: bool,
}

pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: String,
}

impl Browser {
    pub(super) fn request(&self, method: Method, path: &str, body: &str) -> Request<Body> {
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

    pub(super) async fn send(&mut self, world: &World, request: Request<Body>) -> Answer {
        let response = world.router.clone().oneshot(request).await.unwrap();
        self.keep(&response);
        let (parts, body) = response.into_parts();
        let body = to_bytes(body, usize::MAX).await.unwrap();
        let body = String::from_utf8(body.to_vec()).unwrap();
        Answer { status: parts.status, headers: parts.headers, body }
    }

    pub(super) fn keep(&mut self, response: &Response<Body>) {
        for set in response.headers().get_all(SET_COOKIE) {
            let (pair, rest) = set.to_str().unwrap().split_once(';').unwrap();
            let (name, value) = pair.split_once('=').unwrap();
            self.cookies.retain(|(known, _)| known != name);
            if !rest.contains("Max-Age=0") {
                self.cookies.push((name.to_owned(), value.to_owned()));
            }
        }
    }

    pub(super) async fn get(&mut self, world: &World, path: &str) -> Answer {
        let request = self.request(Method::GET, path, "");
        self.send(world, request).await
    }

    pub(super) async fn post(&mut self, world: &World, path: &str, body: &str) -> Answer {
        let request = self.request(Method::POST, path, body);
        self.send(world, request).await
    }

    /// Wants a page that is for those who are signed in: the login that it is sent to.
    pub(super) async fn wants(&mut self, world: &World, path: &str) -> String {
        let request = self.request(Method::GET, path, "");
        let response = world.desk.sign_in_first(Head::from(&request)).await.unwrap();
        assert_eq!(response.status(), StatusCode::FOUND);
        self.keep(&response);
        let to = response.headers()[LOCATION].to_str().unwrap();
        to.split_once("/.cloakroom/login?flow=").unwrap().1.to_owned()
    }

    pub(super) async fn log_in(
        &mut self,
        world: &World,
        name: &str,
        password: &str,
        more: &str,
    ) -> Answer {
        let body = format!("username={name}&password={password}{more}");
        self.post(world, "/.cloakroom/login", &body).await
    }

    pub(super) async fn user(&mut self, world: &World) -> Option<String> {
        let answer = self.get(world, "/.cloakroom/api/me").await;
        let body: serde_json::Value = serde_json::from_str(&answer.body).unwrap();
        body["user"].as_str().map(str::to_owned)
    }
}

impl Answer {
    pub(super) fn leads_to(&self) -> &str {
        assert_eq!(self.status, StatusCode::SEE_OTHER, "{}", self.body);
        self.headers[LOCATION].to_str().unwrap()
    }
}
