//! A request to the page: the node that answers, the session, and what to say where that fails.

use axum::extract::{FromRef, FromRequestParts};
use axum::http::header::RETRY_AFTER;
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use cloakroom::{Error, Refusal, Session};
use maud::Markup;

use super::Site;
use super::host;
use super::page::{self, Notice};
use crate::demo::settings::Name;
use crate::demo::way::Way;

/// The node that answers, as its pages speak of it.
#[derive(Clone, Debug)]
pub(crate) struct Node {
    /// Which.
    pub(crate) name: Name,
    /// The other node's page, under the name of the host that this request used: the cookie
    /// belongs to it.
    pub(crate) other_url: String,
    /// This node's own page, under the same name.
    pub(crate) own_url: String,
    /// The gateway's page, under the same name.
    pub(crate) front_url: String,
    /// How the gateway came to choose this node, where the request came through it.
    pub(crate) way: Option<Way>,
    /// The store's kind.
    pub(crate) kind: &'static str,
    /// Where the store is.
    pub(crate) place: String,
    /// This process.
    pub(crate) process: u32,
    /// Whether the other node is another process.
    pub(crate) alone: bool,
}

impl Node {
    /// Whether the other node is down, as far as the gateway has said.
    pub(crate) fn is_alone(&self) -> bool {
        self.way.is_some_and(|way| way.down == Some(self.name.other()))
    }

    fn new(site: &Site, headers: &HeaderMap) -> Self {
        let settings = &*site.settings;
        let host = host::called(headers).unwrap_or("127.0.0.1");
        let url = |port: u16| format!("http://{host}:{port}/");
        Self {
            name: settings.name,
            other_url: url(settings.other_port),
            own_url: url(settings.addr.port()),
            front_url: url(settings.front_port),
            way: Way::of(headers),
            kind: settings.place.kind(),
            place: settings.place.to_string(),
            process: std::process::id(),
            alone: settings.alone,
        }
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Node
where
    Site: FromRef<S>,
{
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Self::Rejection> {
        Ok(Self::new(&Site::from_ref(state), &parts.headers))
    }
}

/// A request to the page.
#[derive(Debug)]
pub(super) struct PageRequest {
    /// The node that answers.
    pub(super) node: Node,
    /// The session; it may be empty.
    pub(super) session: Session,
}

impl<S: Send + Sync> FromRequestParts<S> for PageRequest
where
    Site: FromRef<S>,
{
    type Rejection = Trouble;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Trouble> {
        let node = Node::new(&Site::from_ref(state), &parts.headers);
        let session = Session::from_request_parts(parts, state).await;
        match session {
            Ok(session) => Ok(Self { node, session }),
            Err(refusal) => Err(Trouble::refused(&node, &refusal)),
        }
    }
}

impl PageRequest {
    /// What to say where the session does not do what it was asked.
    pub(super) fn refused(&self, error: Error) -> Trouble {
        Trouble::refused(&self.node, &error.into())
    }
}

/// A page that says what went wrong.
#[derive(Debug)]
pub(super) struct Trouble {
    status: StatusCode,
    page: Markup,
}

impl Trouble {
    pub(super) fn new(node: &Node, status: StatusCode, notice: Notice<'_>) -> Self {
        Self { status, page: page::trouble(node, notice) }
    }

    fn refused(node: &Node, refusal: &Refusal) -> Self {
        let message = refusal.to_string();
        let notice = match refusal.code() {
            "store_unavailable" => Notice {
                title: "The sessions’ store does not answer.",
                text: "You are not signed out: the session is in the store, and this node asks \
                       again as soon as you do.",
            },
            "session_ended" => Notice {
                title: "This session has ended.",
                text: "It was ended a moment ago, here or at the other node. Nothing was changed.",
            },
            "session_settling" => Notice {
                title: "You have just signed in.",
                text: "This page was from before, and its session has a new token since. Nothing \
                       was changed; try again.",
            },
            _ => Notice { title: "That did not work.", text: &message },
        };
        Self::new(node, refusal.status(), notice)
    }
}

impl IntoResponse for Trouble {
    fn into_response(self) -> Response {
        let Self { status, page } = self;
        match status {
            StatusCode::SERVICE_UNAVAILABLE | StatusCode::CONFLICT => {
                (status, [(RETRY_AFTER, "1")], html(page)).into_response()
            }
            _ => (status, html(page)).into_response(),
        }
    }
}

/// A page as a response.
pub(super) fn html(page: Markup) -> axum::response::Html<String> {
    axum::response::Html(page.into_string())
}
