//! Connections that go on with another protocol: bytes both ways, until both ends have ended, the
//! login that let them in is over, or nothing moves.

mod vigil;

use std::future::pending;
use std::time::Duration;

use http::header::UPGRADE;
use http::{HeaderValue, Response, StatusCode};
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use tokio::io::copy_bidirectional;

pub(crate) use self::vigil::Vigil;

use self::vigil::Moves;
use super::body::Download;
use super::headers::Wish;
use crate::pages::Problem;
use crate::serve::ConnectionGuard;

/// When a connection that goes on with another protocol ends, whatever its ends do.
#[derive(Debug)]
pub(super) struct Ends {
    /// With this login.
    pub(super) vigil: Option<Vigil>,
    /// After so long without a byte.
    pub(super) idle: Duration,
}

/// Joins the client's connection to the server's, where the response says that it goes on with
/// another protocol. Returns the protocol.
pub(super) fn switch(
    response: &mut Response<Download>,
    wish: &Wish,
    client: Option<OnUpgrade>,
    guard: Option<ConnectionGuard>,
    ends: Ends,
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
            let moves = Moves::default();
            let mut client = moves.of(TokioIo::new(client));
            let mut server = moves.of(TokioIo::new(server));
            // Whichever end breaks off, the other sees its connection end.
            tokio::select! {
                _ = copy_bidirectional(&mut client, &mut server) => {}
                () = over(ends.vigil) => {}
                () = moves.clone().stop_for(ends.idle) => {}
            }
        }
        drop((load, guard));
    });
    Ok(Some(protocol))
}

/// Whether a protocol is among those that were asked for. Another could be one by which requests go
/// past all rules.
fn is_one_of(protocol: &HeaderValue, wanted: &HeaderValue) -> bool {
    let mut wanted = wanted.as_bytes().split(|byte| *byte == b',').map(<[u8]>::trim_ascii);
    wanted.any(|wanted| wanted.eq_ignore_ascii_case(protocol.as_bytes()))
}

async fn over(vigil: Option<Vigil>) {
    match vigil {
        Some(vigil) => vigil.over().await,
        None => pending().await,
    }
}
