//! One request's visit: its session, opened when it is first asked for, and once.

use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use cloakroom_core::Reply;
use http::Response;
use http_body::Body;
use tokio::sync::OnceCell;

use crate::head::Accept;
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
struct Asking {
    way: Way,
    /// Whether the request came by HTTPS, where that matters.
    https: bool,
    accept: Accept,
}

/// How far a visit's end has come.
pub(crate) enum Ending {
    /// It is over, and this is what its client has to be told.
    Now(Option<Reply>),
    /// There is something to commit first.
    Later,
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
        if let Some(opened) = session.get() {
            return Ok(opened.clone());
        }
        client.get_or_init(|| Asking::of(head, setting));
        let mut brought = setting.brought(head);
        if let Some(opened) = setting.open_known(head, &mut brought) {
            if session.set(opened.clone()).is_ok() {
                return Ok(opened);
            }
            // Somebody else is opening it, and may fail: nothing of the client may be missing then.
            brought = setting.brought(head);
        }
        // In a box, so that a request that need not wait has nothing large to carry.
        let opening = session.get_or_try_init(|| setting.open(head, brought));
        Box::pin(opening).await.cloned()
    }

    /// Finishes at once where there is nothing to commit. `None`: nobody has asked for the session,
    /// or there is none.
    pub(crate) fn finish_unedited(&self) -> Option<Ending> {
        let session = self.0.session.get()?;
        Some(match self.0.setting.sessions.finish_unedited(session) {
            Some(reply) => Ending::Now(reply),
            None => Ending::Later,
        })
    }

    /// Commits the session, and writes on the response what the client has to be told; where that
    /// fails, a refusal takes the response's place.
    pub(crate) async fn finish<R>(
        self,
        response: Response<ResponseBody<R>>,
    ) -> Response<ResponseBody<R>>
    where
        R: Body<Data = Bytes>,
    {
        let Some(session) = self.0.session.get() else {
            return response;
        };
        match self.0.setting.sessions.finish(session).await {
            Ok(reply) => self.answer(response, reply),
            // A new response: nothing of the one that the service meant is left. What an early commit
            // has done to the token stands, and has to be told.
            Err(error) => self.answer(Refusal::from(error).response(), session.take_reply()),
        }
    }

    /// Writes onto a response what its client has to be told.
    pub(crate) fn answer<R>(
        &self,
        mut response: Response<ResponseBody<R>>,
        reply: Option<Reply>,
    ) -> Response<ResponseBody<R>>
    where
        R: Body<Data = Bytes>,
    {
        let Inner { setting, client, session } = &*self.0;
        let version = session.get().and_then(|session| session.fence());
        let fence = version.and_then(|version| Some((version, setting.sessions.store().fence()?)));
        if let Some(Asking { way, https, .. }) = client.get()
            && (reply.is_some() || fence.is_some())
        {
            let remembered = session.get().is_some_and(|session| session.is_remembered());
            let now = setting.sessions.now();
            let to = Recipient { way: *way, https: *https, remembered, now };
            let headers = response.headers_mut();
            if let Some(reply) = reply {
                setting.transport.answer(&reply, &to, headers);
            }
            if let Some((version, lifetime)) = fence {
                setting.transport.fence(version, lifetime, &to, headers);
            }
        }
        self.dress(response)
    }

    /// Makes a refusal in `response` one that its client can read.
    pub(crate) fn dress<R>(&self, response: Response<ResponseBody<R>>) -> Response<ResponseBody<R>>
    where
        R: Body<Data = Bytes>,
    {
        let html = || self.0.client.get().is_some_and(|client| client.accept.prefers_html());
        Refusal::dress(response, html)
    }
}

impl Asking {
    fn of(head: Head<'_>, setting: &Setting) -> Self {
        Self {
            way: setting.transport.way(head.headers),
            https: setting.transport.asks_for_https() && setting.proxies.https(head),
            accept: Accept::of(head),
        }
    }
}
