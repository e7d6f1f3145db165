//! The future of a response: the inner service's, and then the commit of its session.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::Response;
use http_body::Body;
use pin_project_lite::pin_project;

use crate::ResponseBody;
use crate::visit::{Ending, Visit};

type Finishing<R> = Pin<Box<dyn Future<Output = Response<ResponseBody<R>>> + Send>>;

pin_project! {
    /// Waits for the inner service, and then for its session to be committed. Dropped before that,
    /// it commits nothing.
    pub struct ResponseFuture<F, R> {
        #[pin]
        inner: F,
        visit: Visit,
        finishing: Option<Finishing<R>>,
    }
}

impl<F, R> ResponseFuture<F, R> {
    pub(crate) const fn new(inner: F, visit: Visit) -> Self {
        Self { inner, visit, finishing: None }
    }
}

impl<F, R> fmt::Debug for ResponseFuture<F, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseFuture").finish_non_exhaustive()
    }
}

impl<F, R, E> Future for ResponseFuture<F, R>
where
    F: Future<Output = Result<Response<R>, E>>,
    R: Body<Data = Bytes> + Send + 'static,
{
    type Output = Result<Response<ResponseBody<R>>, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let finishing = match this.finishing {
            Some(finishing) => finishing,
            None => {
                let response = ready!(this.inner.poll(cx))?.map(ResponseBody::of_service);
                let visit = this.visit;
                match visit.finish_unedited() {
                    None => return Poll::Ready(Ok(visit.dress(response))),
                    Some(Ending::Now(reply)) => {
                        return Poll::Ready(Ok(visit.answer(response, reply)));
                    }
                    Some(Ending::Later) => {
                        this.finishing.insert(Box::pin(visit.clone().finish(response)))
                    }
                }
            }
        };
        finishing.as_mut().poll(cx).map(Ok)
    }
}
