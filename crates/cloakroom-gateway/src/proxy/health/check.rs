//! Asks a server again and again whether it is well.

use std::sync::{Arc, Weak};
use std::time::Duration;

use http::header::{HOST, USER_AGENT};
use http::{HeaderValue, Method, Request, Uri};
use tokio::time::{MissedTickBehavior, interval, timeout};

use crate::proxy::body::Upload;
use crate::proxy::lane::Lane;
use crate::proxy::server::Server;
use crate::proxy::{HealthCheck, Scheme, Timeouts};

/// Counts answers in a row. Pure.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
struct Row {
    good: u32,
    bad: u32,
}

impl Row {
    fn next(self, good: bool) -> Self {
        match good {
            true => Self { good: self.good.saturating_add(1), bad: 0 },
            false => Self { good: 0, bad: self.bad.saturating_add(1) },
        }
    }

    /// Whether the server is down from now on; `None`: as before.
    fn verdict(self, check: &HealthCheck) -> Option<bool> {
        match self {
            Self { good, .. } if good >= check.up_after.max(1) => Some(false),
            Self { bad, .. } if bad >= check.down_after.max(1) => Some(true),
            _ => None,
        }
    }
}

/// Checks that have begun.
#[derive(Clone, Copy, Debug)]
pub(in crate::proxy) struct Begun {
    /// Which they are, as [`super::Health::checks_begin`] has it.
    pub(in crate::proxy) checks: u64,
    /// Those of the upstream.
    pub(in crate::proxy) timeouts: Timeouts,
}

/// Checks a server for as long as it is there.
pub(in crate::proxy) async fn watch(server: Weak<Server>, check: HealthCheck, begun: Begun) {
    let Begun { checks, timeouts } = begun;
    let timeouts = Timeouts { connect: check.timeout, ..timeouts };
    let mut row = Row::default();
    let mut turns = interval(check.every.max(Duration::from_millis(1)));
    turns.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        turns.tick().await;
        let Some(server) = server.upgrade() else {
            return;
        };
        row = row.next(is_well(&server, &check, &timeouts).await);
        if let Some(down) = row.verdict(&check)
            && server.health.set_down(checks, down)
        {
            let server = &server.authority;
            match down {
                true => tracing::warn!(%server, "a server does not answer its checks"),
                false => tracing::warn!(%server, "a server answers its checks again"),
            }
        }
    }
}

async fn is_well(server: &Arc<Server>, check: &HealthCheck, timeouts: &Timeouts) -> bool {
    let asking = ask(server, check, timeouts);
    matches!(timeout(check.timeout, Box::pin(asking)).await, Ok(Some(true)))
}

async fn ask(server: &Arc<Server>, check: &HealthCheck, timeouts: &Timeouts) -> Option<bool> {
    let mut request = Request::new(Upload::default());
    *request.method_mut() = Method::GET;
    request.headers_mut().insert(USER_AGENT, HeaderValue::from_static("cloakroom"));
    let status = match server.settings.scheme {
        Scheme::H2c => {
            let uri = Uri::builder().scheme("http").authority(server.authority.clone());
            *request.uri_mut() = uri.path_and_query(&*check.path).build().ok()?;
            let taken = server.streams.take(false, || server.connect(timeouts)).await.ok()?;
            server.streams.send(taken, request).await.ok()?.0.status()
        }
        Scheme::Http | Scheme::Https => {
            *request.uri_mut() = check.path.parse().ok()?;
            request.headers_mut().insert(HOST, server.host.clone());
            let mut lane = Lane::new(server.connect(timeouts).await.ok()?).await.ok()?;
            lane.send(request).await.ok()?.status()
        }
    };
    Some(status.is_success() || status.is_redirection())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn several_answers_in_a_row_decide() {
        let check = HealthCheck {
            path: "/".to_owned(),
            every: Duration::from_secs(1),
            timeout: Duration::from_secs(1),
            up_after: 2,
            down_after: 3,
        };
        let mut row = Row::default();
        let verdicts = [false, false, true, false, false, false, true, true].map(|good| {
            row = row.next(good);
            row.verdict(&check)
        });
        let (none, down, up) = (None, Some(true), Some(false));
        assert_eq!(verdicts, [none, none, none, none, none, down, none, up]);
    }
}
