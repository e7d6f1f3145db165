//! The layer that verifies who asks, before anything of a service sees the request.

use std::future::Future;
use std::mem;
use std::pin::Pin;
use std::task::{Context, Poll};

use http::{HeaderMap, HeaderName, Request, Response};
use tower_layer::Layer;
use tower_service::Service;

use crate::{HEADER, Identity, Refusal, Trust, Unverified};

/// Verifies the gateway's assertion, and puts an [`Identity`] within the handlers' reach.
///
/// The header that carries it is taken off the request, however the verification ends. By default only
/// users pass, and others get a [`Refusal`].
#[derive(Clone, Debug)]
pub struct IdentityLayer {
    trust: Trust,
    header: HeaderName,
    admit: Admit,
}

/// Who passes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Admit {
    Users,
    Visitors,
    Everybody,
}

/// What the layer has found: an extension of the request.
#[derive(Clone, Debug)]
pub(crate) struct Seen(pub(crate) Option<Identity>);

impl IdentityLayer {
    /// Lets users pass.
    pub fn new(trust: Trust) -> Self {
        Self { trust, header: HEADER, admit: Admit::Users }
    }

    /// Lets visitors pass as well, whom the gateway knows by an id.
    pub fn visitors_too(self) -> Self {
        Self { admit: Admit::Visitors, ..self }
    }

    /// Lets everybody pass: also requests without an assertion. One that is not good is refused all the
    /// same.
    pub fn optional(self) -> Self {
        Self { admit: Admit::Everybody, ..self }
    }

    /// Reads another header than [`HEADER`].
    pub fn header(self, header: HeaderName) -> Self {
        Self { header, ..self }
    }

    /// Who asks.
    async fn verify(&self, headers: &mut HeaderMap) -> Result<Option<Identity>, Refusal> {
        let mut given = headers.get_all(&self.header).into_iter();
        let (first, second) = (given.next().cloned(), given.next().is_some());
        headers.remove(&self.header);
        let identity = match first {
            None => None,
            // Which of two counts would be anybody's guess.
            Some(_) if second => return Err(Refusal::NotSignedIn),
            Some(assertion) => {
                let text = assertion.to_str().map_err(|_| Refusal::NotSignedIn)?;
                let verified = self.trust.verify(text).await.map_err(refusal)?;
                Some(Identity::new(verified, assertion))
            }
        };
        let user = identity.as_ref().and_then(Identity::user);
        match self.admit {
            Admit::Users if user.is_none() => Err(Refusal::NotSignedIn),
            Admit::Visitors if identity.is_none() => Err(Refusal::NotSignedIn),
            _ => Ok(identity),
        }
    }
}

fn refusal(why: Unverified) -> Refusal {
    match why {
        Unverified::KeysAway => Refusal::KeysAway,
        Unverified::Refused(refused) => {
            tracing::debug!(%refused, "an assertion is refused");
            Refusal::NotSignedIn
        }
    }
}

impl<S> Layer<S> for IdentityLayer {
    type Service = IdentityService<S>;

    fn layer(&self, inner: S) -> IdentityService<S> {
        IdentityService { inner, layer: self.clone() }
    }
}

/// What [`IdentityLayer`] makes of a service.
#[derive(Clone, Debug)]
pub struct IdentityService<S> {
    inner: S,
    layer: IdentityLayer,
}

type BoxFuture<T> = Pin<Box<dyn Future<Output = T> + Send>>;

impl<S, B, R> Service<Request<B>> for IdentityService<S>
where
    S: Service<Request<B>, Response = Response<R>> + Clone + Send + 'static,
    S::Future: Send,
    B: Send + 'static,
    R: From<&'static str>,
{
    type Response = Response<R>;
    type Error = S::Error;
    type Future = BoxFuture<Result<Response<R>, S::Error>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, mut request: Request<B>) -> Self::Future {
        // The one that is ready, and a fresh one in its place.
        let fresh = self.inner.clone();
        let mut inner = mem::replace(&mut self.inner, fresh);
        let layer = self.layer.clone();
        Box::pin(async move {
            match layer.verify(request.headers_mut()).await {
                Ok(identity) => {
                    request.extensions_mut().insert(Seen(identity));
                    inner.call(request).await
                }
                Err(refusal) => Ok(refusal.response()),
            }
        })
    }
}

impl Identity {
    /// Who asks, as the [`IdentityLayer`] has found it; `None` of whom nothing is known.
    ///
    /// For services without axum; its handlers take an `Identity` or an `Option<Identity>`.
    pub fn of(extensions: &http::Extensions) -> Result<Option<Self>, Refusal> {
        match extensions.get::<Seen>() {
            Some(Seen(identity)) => Ok(identity.clone()),
            None => {
                tracing::error!("who asks is wanted where no IdentityLayer is");
                Err(Refusal::NoLayer)
            }
        }
    }
}
