//! The layer of a client that passes on who asks.

use std::task::{Context, Poll};

use http::{HeaderMap, HeaderName, Request, Uri};
use tower_layer::Layer;
use tower_service::Service;

use crate::{HEADER, Identity, Origins};

/// Passes on who asks: an outgoing request that has an [`Identity`] in its extensions gets its
/// assertion, where it goes to one of the origins. Whatever else stands in the header is taken off.
///
/// It belongs inside of whatever follows redirects, so that each request is looked at by itself.
///
/// ```
/// use cloakroom_identity::{ForwardLayer, Identity, Origins};
///
/// # fn example(identity: &Identity) -> Result<(), Box<dyn std::error::Error>> {
/// let layer = ForwardLayer::new(Origins::new(["http://billing:8080"])?);
/// // In a handler, on behalf of whoever asks it:
/// let mut request = http::Request::get("http://billing:8080/invoices").body(())?;
/// request.extensions_mut().insert(identity.clone());
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct ForwardLayer {
    pass: Pass,
}

/// What is passed on, and where to.
#[derive(Clone, Debug)]
pub(crate) struct Pass {
    pub(crate) origins: Origins,
    pub(crate) header: HeaderName,
}

impl Pass {
    /// Sets the header of a request to `uri`, or takes it off.
    pub(crate) fn on(&self, uri: &Uri, headers: &mut HeaderMap, identity: Option<&Identity>) {
        headers.remove(&self.header);
        if let Some(identity) = identity.filter(|_| self.origins.contain(uri)) {
            headers.insert(self.header.clone(), identity.assertion().clone());
        }
    }
}

impl ForwardLayer {
    /// Passes on to `origins`.
    pub fn new(origins: Origins) -> Self {
        Self { pass: Pass { origins, header: HEADER } }
    }

    /// Writes another header than [`HEADER`].
    pub fn header(mut self, header: HeaderName) -> Self {
        self.pass.header = header;
        self
    }
}

impl<S> Layer<S> for ForwardLayer {
    type Service = Forward<S>;

    fn layer(&self, inner: S) -> Forward<S> {
        Forward { inner, pass: self.pass.clone() }
    }
}

/// What [`ForwardLayer`] makes of a client.
#[derive(Clone, Debug)]
pub struct Forward<S> {
    inner: S,
    pass: Pass,
}

impl<S: Service<Request<B>>, B> Service<Request<B>> for Forward<S> {
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, mut request: Request<B>) -> S::Future {
        let identity = request.extensions_mut().remove::<Identity>();
        let uri = request.uri().clone();
        self.pass.on(&uri, request.headers_mut(), identity.as_ref());
        self.inner.call(request)
    }
}
