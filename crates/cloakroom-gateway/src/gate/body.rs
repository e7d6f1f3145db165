//! Reads the bodies of requests to the gateway's own pages: whole, small, and in time.

use std::time::Duration;

use axum::body::{Body, Bytes};
use http::Request;
use http_body::Body as _;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use tokio::time::timeout;

use crate::pages::Problem;

/// The most bytes of a body.
const MOST: usize = 64 * 1024;

/// Makes the body one that is there. All of it has so long: whoever sends a form's few bytes one by
/// one is no browser.
pub(super) async fn whole(
    within: Duration,
    request: Request<Body>,
) -> Result<Request<Body>, Problem> {
    if request.body().is_end_stream() {
        return Ok(request);
    }
    let (parts, body) = request.into_parts();
    if body.size_hint().lower() > MOST as u64 {
        return Err(Problem::TooLarge);
    }
    let bytes = timeout(within, read(body)).await.map_err(|_| Problem::TooSlow)??;
    Ok(Request::from_parts(parts, Body::from(bytes)))
}

async fn read(body: Body) -> Result<Bytes, Problem> {
    let read = Limited::new(body, MOST).collect().await;
    read.map(|read| read.to_bytes()).map_err(|error| match error.is::<LengthLimitError>() {
        true => Problem::TooLarge,
        false => Problem::BadRequest("the body ended before its end"),
    })
}

#[cfg(test)]
mod tests {
    use futures_util::stream;

    use super::*;

    async fn of(body: Body) -> Result<usize, Problem> {
        within(Duration::from_secs(60), body).await
    }

    async fn within(most: Duration, body: Body) -> Result<usize, Problem> {
        let request = whole(most, Request::new(body)).await?;
        Ok(request.into_body().collect().await.unwrap().to_bytes().len())
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_that_never_comes_or_drips_is_given_up() {
        const SOON: Duration = Duration::from_secs(10);
        let never = stream::pending::<Result<Bytes, axum::Error>>();
        assert_eq!(within(SOON, Body::from_stream(never)).await, Err(Problem::TooSlow));
        let drops = stream::unfold((), |()| async {
            tokio::time::sleep(SOON / 5).await;
            Some((Ok::<_, axum::Error>("a"), ()))
        });
        let dripping = Body::from_stream(drops);
        assert_eq!(within(SOON, dripping).await, Err(Problem::TooSlow));
    }

    #[tokio::test]
    async fn a_body_is_only_so_large() {
        let chunks = |count: usize| {
            let chunk = || Ok::<_, axum::Error>(Bytes::from_static(&[b'a'; 1024]));
            Body::from_stream(stream::iter(std::iter::repeat_with(chunk).take(count)))
        };
        assert_eq!(of(chunks(64)).await, Ok(MOST));
        assert_eq!(of(chunks(65)).await, Err(Problem::TooLarge));
        assert_eq!(of(Body::from(vec![b'a'; MOST + 1])).await, Err(Problem::TooLarge));
        assert_eq!(of(Body::empty()).await, Ok(0));
    }
}
