//! Connections that go on with another protocol: bytes both ways, until both ends have ended.

use http::header::UPGRADE;
use http::{HeaderValue, Response, StatusCode};
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use tokio::io::copy_bidirectional;

use super::body::Download;
use super::headers::Wish;
use crate::pages::Problem;
use crate::serve::Seat;

/// Joins the client's connection to the server's, where the response says that it goes on with
/// another protocol. Returns the protocol.
pub(super) fn switch(
    response: &mut Response<Download>,
    wish: &Wish,
    client: Option<OnUpgrade>,
    seat: Option<Seat>,
) -> Result<Option<HeaderValue>, Problem> {
    if response.status() != StatusCode::SWITCHING_PROTOCOLS {
        return Ok(None);
    }
    let (Some(client), Some(wanted)) = (client, &wish.upgrade) else {
        // Nobody asked for it.
        return Err(Problem::UpstreamAway);
    };
    let protocol = response.headers().get(UPGRADE).cloned().ok_or(Problem::UpstreamAway)?;
    if !is_one_of(&protocol, wanted) {
        return Err(Problem::UpstreamAway);
    }
    let server = hyper::upgrade::on(&mut *response);
    let load = response.body_mut().take_load();
    tokio::spawn(async move {
        if let (Ok(client), Ok(server)) = tokio::join!(client, server) {
            let (mut client, mut server) = (TokioIo::new(client), TokioIo::new(server));
            // Whichever end breaks off, the other sees its connection end.
            _ = copy_bidirectional(&mut client, &mut server).await;
        }
        drop((load, seat));
    });
    Ok(Some(protocol))
}

/// Whether a protocol is among those that were asked for. Another could be one by which requests go
/// past all rules.
fn is_one_of(protocol: &HeaderValue, wanted: &HeaderValue) -> bool {
    let mut wanted = wanted.as_bytes().split(|byte| *byte == b',').map(<[u8]>::trim_ascii);
    wanted.any(|wanted| wanted.eq_ignore_ascii_case(protocol.as_bytes()))
}
