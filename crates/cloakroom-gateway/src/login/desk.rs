//! Where visitors are recognised, sent to the login and back.

use std::net::IpAddr;

use axum::Router;
use axum::body::Body;
use cloakroom::{Head, Session};
use http::{HeaderValue, Response};

use crate::pages::Problem;
use crate::visitor::Visitor;

/// Recognises visitors and serves the pages of the login. Clones are the same desk.
#[derive(Clone, Debug)]
pub(crate) struct Desk {}

/// A visitor, and what their response has to carry.
#[derive(Debug, Default)]
pub(crate) struct Recognised {
    pub(crate) visitor: Visitor,
    /// Cookies to set where the request is served: the anonymous visitor's, made or cleared.
    pub(crate) cookies: Vec<HeaderValue>,
}

impl Desk {
    /// Who asks. `session`: as it was opened; it may be empty. A session that is bound to another
    /// address counts as nobody's. `anonymous_id`: whether somebody who is not signed in gets an id,
    /// which costs no call to the store.
    pub(crate) fn recognise(
        &self,
        _head: Head<'_>,
        _session: Option<&Session>,
        _address: Option<IpAddr>,
        _anonymous_id: bool,
    ) -> Recognised {
        Recognised::default()
    }

    /// What somebody gets who has to sign in: a browser that navigates is sent to the login page,
    /// and comes back to where it wanted to go; others get 401. Asks the store for the former.
    pub(crate) async fn sign_in_first(&self, _head: Head<'_>) -> Result<Response<Body>, Problem> {
        Err(Problem::NotSignedIn)
    }

    /// The pages and the JSON below `/.cloakroom/`: login, logout, me.
    pub(crate) fn router(&self) -> Router {
        Router::new()
    }
}
