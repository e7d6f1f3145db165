//! A client with a cookie jar.

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Body;
use http::header::{COOKIE, SET_COOKIE};
use http::{HeaderMap, Method, Request, StatusCode};
use http_body_util::BodyExt;
use tower::ServiceExt;

/// A browser. Clones share the jar.
#[derive(Clone, Default)]
pub(crate) struct Browser {
    jar: Arc<Mutex<Option<String>>>,
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

    /// What `Set-Cookie` says; there is at most one.
    pub(crate) fn set_cookie(&self) -> Option<&str> {
        assert!(self.headers.get_all(SET_COOKIE).iter().count() <= 1, "{self:?}");
        self.header("set-cookie")
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
    /// A browser that has `cookie`.
    pub(crate) fn with(cookie: Option<String>) -> Self {
        Self { jar: Arc::new(Mutex::new(cookie)) }
    }

    /// Another browser, that has a copy of the cookie as it is now.
    pub(crate) fn copy(&self) -> Self {
        Self::with(self.cookie())
    }

    /// The cookie, as a request sends it.
    pub(crate) fn cookie(&self) -> Option<String> {
        self.jar.lock().unwrap().clone()
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
        if let Some(cookie) = self.cookie() {
            request = request.header(COOKIE, cookie);
        }
        request.body(body.to_owned().into()).unwrap()
    }

    fn adopt(&self, answer: &Answer) {
        if let Some(set) = answer.set_cookie() {
            let pair = set.split(';').next().unwrap().to_owned();
            let cleared = set.contains("Max-Age=0");
            *self.jar.lock().unwrap() = (!cleared).then_some(pair);
        }
    }
}
