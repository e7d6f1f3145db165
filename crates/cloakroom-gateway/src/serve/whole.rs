//! A request's body by HTTP/2, that is whole or an error: hyper shows a stream that its client has
//! called off as one that has ended.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::header::CONTENT_LENGTH;
use http::request::Parts;
use http_body::{Body, Frame, SizeHint};

/// A body that ends where its sender says, and has the length that was said.
#[derive(Debug)]
pub(super) struct Whole<B> {
    body: B,
    /// How many bytes are still to come, where that was said.
    owed: Option<u64>,
}

impl<B: Body<Data = Bytes>> Whole<B> {
    pub(super) fn new(body: B, head: &Parts) -> Self {
        let said = head.headers.get(CONTENT_LENGTH);
        let owed = said.and_then(|said| said.to_str().ok()?.parse().ok());
        Self { body, owed }
    }

    fn owes_nothing(&self) -> bool {
        self.owed.is_none_or(|owed| owed == 0)
    }
}

impl<B> Body for Whole<B>
where
    B: Body<Data = Bytes, Error: Into<Box<dyn std::error::Error + Send + Sync>>> + Unpin,
{
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        let frame = match ready!(Pin::new(&mut self.body).poll_frame(cx)) {
            Some(frame) => frame.map_err(io::Error::other)?,
            None if self.owes_nothing() && self.body.is_end_stream() => return Poll::Ready(None),
            None => return Poll::Ready(Some(Err(io::ErrorKind::UnexpectedEof.into()))),
        };
        let length = frame.data_ref().map_or(0, |data| data.len() as u64);
        if let Some(owed) = &mut self.owed {
            *owed = owed.checked_sub(length).ok_or(io::ErrorKind::InvalidData)?;
        }
        Poll::Ready(Some(Ok(frame)))
    }

    fn is_end_stream(&self) -> bool {
        self.owes_nothing() && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.owed.map_or_else(|| self.body.size_hint(), SizeHint::with_exact)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http_body_util::BodyExt;

    /// Some data, and then an end that is one, or that hyper makes of a stream that was called off.
    struct Stream {
        data: Option<Bytes>,
        ended: bool,
    }

    impl Body for Stream {
        type Data = Bytes;
        type Error = io::Error;

        fn poll_frame(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
            Poll::Ready(self.data.take().map(|data| Ok(Frame::data(data))))
        }

        fn is_end_stream(&self) -> bool {
            self.ended && self.data.is_none()
        }
    }

    async fn read(said: Option<&str>, data: Option<&'static str>, ended: bool) -> Option<Bytes> {
        let mut head = http::Request::new(()).into_parts().0;
        if let Some(said) = said {
            head.headers.insert(CONTENT_LENGTH, said.parse().unwrap());
        }
        let whole = Whole::new(Stream { data: data.map(Bytes::from), ended }, &head);
        // Where it says that there is nothing to come, nobody reads on.
        if whole.is_end_stream() {
            return Some(Bytes::new());
        }
        Some(whole.collect().await.ok()?.to_bytes())
    }

    #[tokio::test]
    async fn what_breaks_off_is_no_end() {
        assert_eq!(read(None, None, true).await.as_deref(), Some(&b""[..]));
        assert_eq!(read(None, Some("abc"), true).await.as_deref(), Some(&b"abc"[..]));
        assert_eq!(read(Some("3"), Some("abc"), true).await.as_deref(), Some(&b"abc"[..]));
        assert_eq!(read(Some("0"), None, true).await.as_deref(), Some(&b""[..]));
        for (said, data, ended) in [
            (None, None, false),
            (None, Some("abc"), false),
            (Some("3"), None, true),
            (Some("3"), Some("ab"), true),
            (Some("3"), Some("abcd"), true),
            (Some("3"), Some("abc"), false),
        ] {
            assert_eq!(read(said, data, ended).await, None, "{said:?} {data:?} {ended}");
        }
    }
}
