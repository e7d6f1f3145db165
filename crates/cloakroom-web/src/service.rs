//! The service: leaves every request a visit to open.

use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;
use tower_service::Service;

use crate::layer::Setting;
use crate::visit::Visit;
use crate::{ResponseBody, ResponseFuture};

/// A service whose requests have sessions. Made by [`SessionLayer`](crate::SessionLayer).
#[derive(Clone, Debug)]
pub struct SessionService<S> {
    inner: S,
    setting: Arc<Setting>,
}

impl<S> SessionService<S> {
    pub(crate) const fn new(inner: S, setting: Arc<Setting>) -> Self {
        Self { inner, setting }
    }
}

impl<S, B, R> Service<Request<B>> for SessionService<S>
where
    S: Service<Request<B>, Response = Response<R>>,
    R: Body<Data = Bytes> + Send + 'static,
{
    type Response = Response<ResponseBody<R>>;
    type Error = S::Error;
    type Future = ResponseFuture<S::Future, R>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<B>) -> Self::Future {
        let visit = Visit::new(Arc::clone(&self.setting));
        request.extensions_mut().insert(visit.clone());
        ResponseFuture::new(self.inner.call(request), visit)
    }
}
