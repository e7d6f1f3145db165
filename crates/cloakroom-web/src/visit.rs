//! One request's visit: its session, opened when it is first asked for, and once.

use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use http::Response;
use http_body::Body;
use tokio::sync::OnceCell;

use crate::layer::Setting;
use crate::transport::{Recipient, Way};
use crate::{Head, Refusal, ResponseBody, Session};

/// What a request carries in its extensions. Clones are the same visit.
#[derive(Clone)]
pub(crate) struct Visit(Arc<Inner>);

struct Inner {
    setting: Arc<Setting>,
    client: OnceLock<Asking>,
    session: OnceCell<Session>,
}

/// What the response has to know of the request.
#[derive(Clone, Copy)]
struct Asking {
    way: Way,
    https: bool,
    html: bool,
}

/// A visit whose session is open.
pub(crate) struct Opened {
    setting: Arc<Setting>,
    client: Asking,
    session: Session,
}

/// The session of a request that came through a [`SessionLayer`](crate::SessionLayer): for tower
/// services and middleware without axum. Opens it, unless that is done; the same session for all
/// who ask.
///
/// ```
/// use cloakroom_core::Slot;
/// use cloakroom_web::{Refusal, session};
/// # use cloakroom_core::{MemoryStore, Sessions};
/// # use cloakroom_web::{SessionLayer, TokioTimer};
/// use http::{Request, Response};
/// use tower::{ServiceBuilder, service_fn};
///
/// const VISITS: Slot<u64> = Slot::new("visits");
///
/// async fn visits<B>(request: Request<B>) -> Result<Response<String>, Refusal> {
///     let session = session(&request).await?;
///     session.update(VISITS, |visits| *visits += 1)?;
///     Ok(Response::new(format!("{:?}", session.get(VISITS)?)))
/// }
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let sessions = Sessions::builder(MemoryStore::new(), TokioTimer).build()?;
/// let service = ServiceBuilder::new()
///     .layer(SessionLayer::new(sessions))
///     .service(service_fn(visits::<()>));
/// # fn is_service<S: tower::Service<Request<()>>>(_: S) {}
/// # is_service(service);
/// # Ok(())
/// # }
/// ```
///
/// # Errors
/// Where the store does not answer, where two sessions' tokens came along, and where there is no
/// such layer.
pub fn session<'a>(
    request: impl Into<Head<'a>>,
) -> impl Future<Output = Result<Session, Refusal>> + Send {
    let head: Head<'a> = request.into();
    async move {
        match head.extensions.get::<Visit>() {
            Some(visit) => visit.open(head).await,
            None => Err(Refusal::no_layer()),
        }
    }
}

impl Visit {
    pub(crate) fn new(setting: Arc<Setting>) -> Self {
        Self(Arc::new(Inner { setting, client: OnceLock::new(), session: OnceCell::new() }))
    }

    async fn open(&self, head: Head<'_>) -> Result<Session, Refusal> {
        let Inner { setting, client, session } = &*self.0;
        client.get_or_init(|| Asking::of(head, setting));
        let opened = session.get_or_try_init(async || setting.open(head).await.map(Session::from));
        opened.await.cloned()
    }

    /// The session to finish, where somebody has asked for it and there is one.
    pub(crate) fn opened(&self) -> Option<Opened> {
        Some(Opened {
            setting: Arc::clone(&self.0.setting),
            client: *self.0.client.get()?,
            session: self.0.session.get()?.clone(),
        })
    }

    /// Makes a refusal in `response` one that its client can read.
    pub(crate) fn dress<R>(&self, response: Response<ResponseBody<R>>) -> Response<ResponseBody<R>>
    where
        R: Body<Data = Bytes>,
    {
        let html = self.0.client.get().is_some_and(|client| client.html);
        Refusal::dress(response, html)
    }
}

impl Asking {
    fn of(head: Head<'_>, setting: &Setting) -> Self {
        Self {
            way: setting.transport.way(head.headers),
            https: setting.proxies.https(head),
            html: head.prefers_html(),
        }
    }
}

impl Opened {
    /// Commits the session, and writes on the response what the client has to be told; where that
    /// fails, a refusal takes the response's place.
    pub(crate) async fn finish<R>(
        self,
        response: Response<ResponseBody<R>>,
    ) -> Response<ResponseBody<R>>
    where
        R: Body<Data = Bytes>,
    {
        let Self { setting, client: Asking { way, https, html }, session } = self;
        let (mut response, reply) = match setting.sessions.finish(&session).await {
            Ok(reply) => (response, reply),
            // A new response: nothing of the one that the service meant is left. What an early commit
            // has done to the token stands, and has to be told.
            Err(error) => (Refusal::from(error).response(), session.take_reply()),
        };
        if let Some(reply) = reply {
            let to = Recipient { way, https, now: setting.sessions.now() };
            setting.transport.answer(&reply, &to, response.headers_mut());
        }
        Refusal::dress(response, html)
    }
}
