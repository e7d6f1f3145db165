//! A client with a cookie jar: for the token's cookie, and for the fence's, which lives for a while.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use http::header::{COOKIE, SET_COOKIE};
use http::{HeaderMap, Method, Request, StatusCode};
use http_body_util::BodyExt;
use tokio::time::Instant;
use tower::ServiceExt;

/// Ends the name of the fence's cookie.
const FENCE: &str = "-v";

/// A browser. Clones share the jar.
#[derive(Clone, Default)]
pub(crate) struct Browser {
    jar: Arc<Mutex<Jar>>,
}

/// Cookies as a request sends them.
#[derive(Clone, Default)]
struct Jar {
    token: Option<String>,
    fence: Option<(String, Instant)>,
}

/// What came back.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: String,
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }

    /// What `Set-Cookie` says of the token; it does so once at most.
    pub(crate) fn set_cookie(&self) -> Option<&str> {
        self.set(false)
    }

    /// What `Set-Cookie` says of the fence; it does so once at most.
    pub(crate) fn fence(&self) -> Option<&str> {
        self.set(true)
    }

    fn set(&self, fence: bool) -> Option<&str> {
        let all = self.headers.get_all(SET_COOKIE).iter().map(|set| set.to_str().unwrap());
        let mut ours = all.filter(|set| set.split('=').next().unwrap().ends_with(FENCE) == fence);
        let set = ours.next();
        assert_eq!(ours.next(), None, "{self:?}");
        set
    }

    #[track_caller]
    pub(crate) fn expect(self, status: StatusCode) -> Self {
        assert_eq!(self.status, status, "{self:?}");
        self
    }

    #[track_caller]
    pub(crate) fn ok(self) -> String {
        self.expect(StatusCode::OK).body
    }

    #[track_caller]
    pub(crate) fn sets_nothing(self) -> Self {
        assert_eq!(self.fence(), None);
        self.keeps_token()
    }

    /// Holds it to leave the client's token alone; a fence it may set.
    #[track_caller]
    pub(crate) fn keeps_token(self) -> Self {
        assert_eq!(self.set_cookie(), None);
        self
    }
}

/// Sends a request as it is.
pub(crate) async fn send(router: &Router, request: Request<Body>) -> Answer {
    let response = router.clone().oneshot(request).await.unwrap();
    let (parts, body) = response.into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    Answer {
        status: parts.status,
        headers: parts.headers,
        body: String::from_utf8(body.to_vec()).unwrap(),
    }
}

impl Browser {
    /// A browser that has a token, and has not seen anything.
    pub(crate) fn with(token: Option<String>) -> Self {
        Self { jar: Arc::new(Mutex::new(Jar { token, fence: None })) }
    }

    /// Another browser, that has a copy of the cookies as they are now.
    pub(crate) fn copy(&self) -> Self {
        Self { jar: Arc::new(Mutex::new(self.jar.lock().unwrap().clone())) }
    }

    /// The token's cookie, as a request sends it.
    pub(crate) fn cookie(&self) -> Option<String> {
        self.jar.lock().unwrap().token.clone()
    }

    /// The fence's cookie, as a request sends it, for as long as it lives.
    pub(crate) fn fence(&self) -> Option<String> {
        let jar = self.jar.lock().unwrap();
        let living = jar.fence.as_ref().filter(|(_, end)| Instant::now() < *end);
        living.map(|(fence, _)| fence.clone())
    }

    pub(crate) async fn get(&self, router: &Router, path: &str) -> Answer {
        self.send(router, Method::GET, path, "").await
    }

    pub(crate) async fn post(&self, router: &Router, path: &str) -> Answer {
        self.send(router, Method::POST, path, "").await
    }

    pub(crate) async fn send(
        &self,
        router: &Router,
        method: Method,
        path: &str,
        body: &str,
    ) -> Answer {
        let answer = send(router, self.request(method, path, body)).await;
        self.adopt(&answer);
        answer
    }

    pub(crate) fn request(&self, method: Method, path: &str, body: &str) -> Request<Body> {
        let mut request = Request::builder().method(method).uri(path);
        let cookies: Vec<String> = self.cookie().into_iter().chain(self.fence()).collect();
        if !cookies.is_empty() {
            request = request.header(COOKIE, cookies.join("; "));
        }
        request.body(body.to_owned().into()).unwrap()
    }

    fn adopt(&self, answer: &Answer) {
        let mut jar = self.jar.lock().unwrap();
        if let Some(set) = answer.set_cookie() {
            jar.token = (max_age(set) != Some(Duration::ZERO)).then(|| pair(set));
        }
        if let Some(set) = answer.fence() {
            jar.fence = Some((pair(set), Instant::now() + max_age(set).unwrap()));
        }
    }
}

fn pair(set: &str) -> String {
    set.split(';').next().unwrap().to_owned()
}

fn max_age(set: &str) -> Option<Duration> {
    let seconds = set.split("; ").find_map(|attribute| attribute.strip_prefix("Max-Age="))?;
    Some(Duration::from_secs(seconds.parse().unwrap()))
}
