//! Lets only those in who are signed in, or who have a role. Goes inside a
//! [`SessionLayer`](crate::SessionLayer).

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::header::{CACHE_CONTROL, LOCATION};
use http::{HeaderValue, Request, Response, StatusCode};
use tower_layer::Layer;
use tower_service::Service;

use crate::return_path::{percent_encoded, printable};
use crate::{Head, Refusal, ResponseBody, Session, safe_return_path, session};

/// Answers 401 where nobody is signed in.
///
/// ```
/// use axum::{Router, routing::get};
/// use cloakroom_web::RequireLogin;
///
/// let account: Router = Router::new()
///     .route("/account", get(|| async { "yours" }))
///     .layer(RequireLogin::new().login_page("/login"));
/// ```
#[derive(Clone, Debug, Default)]
#[must_use]
pub struct RequireLogin {
    demand: Demand,
}

/// Answers 401 where nobody is signed in, and 403 where they lack the role.
#[derive(Clone, Debug)]
#[must_use]
pub struct RequireRole {
    demand: Demand,
}

#[derive(Clone, Debug, Default)]
struct Demand {
    role: Option<Arc<str>>,
    login_page: Option<Arc<LoginPage>>,
}

/// Where somebody signs in. Always printable.
#[derive(Clone, Debug)]
struct LoginPage {
    /// With the query, if there is one.
    path: String,
    /// With its `#`, or empty.
    fragment: String,
}

impl RequireLogin {
    /// Asks for a login.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sends a browser that navigates to this path instead, with the path and the query that it
    /// asked for in `return_to`, before any fragment of `path`; see [`safe_return_path`]. Others
    /// still get 401. What no address can hold, such as a line break, is percent-encoded.
    pub fn login_page(mut self, path: &str) -> Self {
        self.demand.login_page = Some(Arc::new(LoginPage::new(path)));
        self
    }
}

impl RequireRole {
    /// Asks for a login with `role`.
    pub fn new(role: &str) -> Self {
        Self { demand: Demand { role: Some(role.into()), login_page: None } }
    }

    /// Sends a browser that navigates, and has nobody signed in, to this path; as
    /// [`RequireLogin::login_page`] does.
    pub fn login_page(mut self, path: &str) -> Self {
        self.demand.login_page = Some(Arc::new(LoginPage::new(path)));
        self
    }
}

impl<S> Layer<S> for RequireLogin {
    type Service = Require<S>;

    fn layer(&self, inner: S) -> Require<S> {
        let demand = self.demand.clone();
        Require { inner, demand }
    }
}

impl<S> Layer<S> for RequireRole {
    type Service = Require<S>;

    fn layer(&self, inner: S) -> Require<S> {
        let demand = self.demand.clone();
        Require { inner, demand }
    }
}

/// A service that lets only some in. Made by [`RequireLogin`] and [`RequireRole`].
#[derive(Clone, Debug)]
pub struct Require<S> {
    inner: S,
    demand: Demand,
}

/// Why somebody is not let in.
enum Denial {
    Refused(Refusal),
    Elsewhere(HeaderValue),
}

impl Demand {
    async fn check(&self, head: Head<'_>) -> Result<(), Denial> {
        let session = session(head).await.map_err(Denial::Refused)?;
        match self.met_by(&session) {
            Ok(()) => Ok(()),
            Err(refusal) => Err(self.denial(refusal, head)),
        }
    }

    fn met_by(&self, session: &Session) -> Result<(), Refusal> {
        if session.principal().is_none() {
            return Err(Refusal::not_signed_in());
        }
        match &self.role {
            Some(role) if !session.has_role(role) => Err(Refusal::role_missing()),
            _ => Ok(()),
        }
    }

    fn denial(&self, refusal: Refusal, head: Head<'_>) -> Denial {
        let anonymous = refusal.status() == StatusCode::UNAUTHORIZED;
        let page = self.login_page.as_ref().filter(|_| anonymous && head.is_navigation());
        let location = page.and_then(|page| page.location(head.path_and_query()));
        location.map_or(Denial::Refused(refusal), Denial::Elsewhere)
    }
}

impl LoginPage {
    fn new(path: &str) -> Self {
        let path = printable(path);
        let (path, fragment) = path.split_at(path.find('#').unwrap_or(path.len()));
        Self { path: path.to_owned(), fragment: fragment.to_owned() }
    }

    /// The page's address, for somebody who has asked for `from`.
    fn location(&self, from: &str) -> Option<HeaderValue> {
        let Self { path, fragment } = self;
        let Some(from) = safe_return_path(from) else {
            return HeaderValue::try_from(format!("{path}{fragment}")).ok();
        };
        let sign = if path.contains('?') { '&' } else { '?' };
        let from = percent_encoded(from);
        HeaderValue::try_from(format!("{path}{sign}return_to={from}{fragment}")).ok()
    }
}

impl Denial {
    fn response<B: From<Bytes>>(self) -> Response<B> {
        match self {
            Self::Refused(refusal) => refusal.response(),
            Self::Elsewhere(location) => {
                let mut response = Response::new(B::from(Bytes::new()));
                *response.status_mut() = StatusCode::SEE_OTHER;
                let headers = response.headers_mut();
                headers.insert(LOCATION, location);
                headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
                response
            }
        }
    }
}

impl<S, B, R> Service<Request<B>> for Require<S>
where
    S: Service<Request<B>, Response = Response<R>> + Clone + Send + 'static,
    S::Future: Send,
    B: Send + 'static,
{
    type Response = Response<ResponseBody<R>>;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, S::Error>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let demand = self.demand.clone();
        // The clone that is left behind is not ready; the one that is goes along.
        let next = self.inner.clone();
        let mut inner = std::mem::replace(&mut self.inner, next);
        Box::pin(async move {
            let (parts, body) = request.into_parts();
            if let Err(denial) = demand.check(Head::from(&parts)).await {
                return Ok(denial.response());
            }
            let response = inner.call(Request::from_parts(parts, body)).await?;
            Ok(response.map(ResponseBody::of_service))
        })
    }
}
