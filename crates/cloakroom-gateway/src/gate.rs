//! Every request's way: its path is made canonical, the first rule that matches decides, its
//! session is opened where that makes a difference, and what may pass is forwarded.

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use cloakroom::{Head, Session, TrustedProxies};
use http::{Request, Response};
use tower::ServiceExt;

use crate::access::{Asked, BadPath, Folding, Path, Permit, Rule, Rules, Verdict};
use crate::identity::Teller;
use crate::login::{Desk, Recognised};
use crate::pages::{Problem, Reader};
use crate::proxy::{Fleet, Order};
use crate::visitor::Visitor;

/// Begins the paths of the gateway's own pages.
pub(crate) const OWN: &str = "/.cloakroom/";

/// What requests meet: one configuration, put together.
#[derive(Debug)]
pub(crate) struct Gate {
    pub(crate) rules: Rules,
    pub(crate) folding: Folding,
    pub(crate) proxies: TrustedProxies,
    pub(crate) fleet: Fleet,
    pub(crate) teller: Teller,
    pub(crate) desk: Desk,
    /// The gateway's own pages.
    pub(crate) own: Router,
}

impl Gate {
    /// Answers one request.
    pub(crate) async fn answer(self: Arc<Self>, request: Request<Body>) -> Response<Body> {
        if request.uri().path().starts_with(OWN) {
            let answered = self.own.clone().oneshot(request).await;
            return answered.unwrap_or_else(|never| match never {});
        }
        let headers = request.headers().clone();
        match self.pass(request).await {
            Ok(response) => response,
            Err(problem) => problem.response(Reader { headers: &headers }),
        }
    }
}

impl Gate {
    async fn pass(&self, request: Request<Body>) -> Result<Response<Body>, Problem> {
        let head = Head::from(&request);
        let path = Path::parse(request.uri().path(), self.folding)
            .map_err(|BadPath(why)| Problem::BadRequest(why))?;
        let address = self.proxies.address(head);
        let host = request.uri().host().unwrap_or_default();
        let asked = Asked { method: request.method(), host, path: &path, address };
        let rule = self.rules.first(&asked).ok_or(Problem::Denied)?;
        let session = self.session(head, rule).await?;
        let known = self.desk.recognise(head, session.as_ref(), address, rule.anonymous_id);
        let permit = match rule.judge(&asked, &known.visitor) {
            Verdict::Permit(permit) => permit,
            Verdict::SignIn => return self.desk.sign_in_first(head).await,
            Verdict::RoleMissing => return Err(Problem::RoleMissing),
            Verdict::WrongAddress => return Err(Problem::WrongAddress),
            Verdict::Denied => return Err(Problem::Denied),
        };
        self.forward(permit, known, request).await
    }

    /// The request's session, where it matters who asks; and where it does not, if the store
    /// answers.
    async fn session(&self, head: Head<'_>, rule: &Rule) -> Result<Option<Session>, Problem> {
        match cloakroom::session(head).await {
            Ok(session) => Ok(Some(session)),
            Err(_) if !rule.asks_who() => Ok(None),
            Err(refusal) => Err(Problem::of(&refusal)),
        }
    }

    async fn forward(
        &self,
        permit: Permit,
        known: Recognised,
        request: Request<Body>,
    ) -> Result<Response<Body>, Problem> {
        let head = Head::from(&request);
        let (client, https) = (self.proxies.address(head), self.proxies.https(head));
        let Recognised { visitor, cookies } = known;
        let identity = self.teller.tell(&visitor, self.fleet.audience(permit.rule()));
        let affinity = visitor.affinity();
        let order = Order { permit, request, identity, affinity, client, https };
        let mut response = self.fleet.forward(order).await?;
        for cookie in cookies {
            response.headers_mut().append(http::header::SET_COOKIE, cookie);
        }
        Ok(response)
    }
}
