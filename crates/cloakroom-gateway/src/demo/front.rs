//! The gateway in front of both nodes: the parts of `cloakroom run`, without its login, as the shop
//! has its own; and beside what it forwards, the buttons that kill a node and bring it back.

mod down;

pub(crate) use down::{bring_back, kill};

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use arc_swap::ArcSwap;
use axum::extract::rejection::FormRejection;
use axum::extract::{DefaultBodyLimit, Request, State};
use axum::middleware::from_fn;
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::post;
use axum::{Form, Router};
use cloakroom::{PeerAddr, Token, cookies};
use http::HeaderMap;
use http::header::COOKIE;
use serde::Deserialize;
use tokio::sync::{mpsc, oneshot};

use super::settings::{Name, Settings};
use super::site::{COOKIE as SESSION, guard, host};
use super::way::{self, By, Way};
use crate::access::{Access, Asked, BadPath, Folding, Path, Rule, Rules, Verdict};
use crate::fault::Fault;
use crate::pages::{Brand, Problem, Reader, THEME_PATH};
use crate::proxy::{
    Balance, Borders, Fleet, Order, OwnCookies, Scheme, ServerSettings, Timeouts, TokenHeaders,
    UpstreamSettings,
};
use crate::serve::{self, Door, Limits, Listen, Readiness, Target};
use crate::visitor::Visitor;

/// Where the buttons lead.
pub(crate) const KILL: &str = "/demo/kill";
pub(crate) const BRING_BACK: &str = "/demo/bring-back";
/// How long requests that are under way may take to end once the demo was asked to.
const ENDS_WITHIN: Duration = Duration::from_secs(5);
/// The most bytes of what a button sends.
const BODY_BYTES: usize = 1024;

/// What somebody wants of a node by a button. Whoever carries it out says what came of it.
#[derive(Debug)]
pub(crate) struct Ask {
    pub(crate) name: Name,
    pub(crate) wish: Wish,
    pub(crate) done: oneshot::Sender<Result<(), Fault>>,
}

/// What becomes of a node.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Wish {
    Kill,
    BringBack,
}

/// The gateway. Clones are the same one.
#[derive(Clone, Debug)]
pub(crate) struct Front {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    rules: Rules,
    nodes: [(Name, ServerSettings); 2],
    borders: Borders,
    fleet: ArcSwap<Fleet>,
    a_is_down: AtomicBool,
    b_is_down: AtomicBool,
    asks: mpsc::Sender<Ask>,
}

/// What a button sends.
#[derive(Deserialize)]
struct Which {
    node: Name,
}

impl Front {
    /// A gateway to both nodes, which tells `asks` what its buttons want.
    pub(crate) fn new(settings: &Settings, asks: mpsc::Sender<Ask>) -> Result<Self, Fault> {
        let nodes = [Name::A, Name::B].map(|name| (name, server(settings.addr(name))));
        let upstream = upstream(nodes.iter().map(|(_, server)| server.clone()).collect());
        let all = Rule {
            upstream: Some(Arc::clone(&upstream.name)),
            ..Rule::for_everything(Access::Public)
        };
        // The session's cookie is the nodes' own here, and goes through.
        let (cookies, tokens) = (OwnCookies::default(), TokenHeaders::default());
        let borders = Borders::new([&way::HEADER], cookies, tokens, Default::default());
        let fleet = Fleet::new(&[upstream], borders.clone(), None)?;
        let inner = Inner {
            rules: Rules::new([all]),
            nodes,
            borders,
            fleet: ArcSwap::from_pointee(fleet),
            a_is_down: AtomicBool::default(),
            b_is_down: AtomicBool::default(),
            asks,
        };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// Listens where the settings say.
    pub(crate) fn open(settings: &Settings) -> Result<Door, Fault> {
        Door::open(&Listen { address: settings.front(), tls: None })
    }

    /// Serves until `stop` completes, and then what is under way.
    pub(crate) async fn serve(self, door: Door, stop: impl Future<Output = ()>) {
        let limits = Limits { drain: ENDS_WITHIN, ..Limits::default() };
        serve::run(vec![door], limits, Readiness::default(), self.router(), stop).await;
    }

    /// Notes that a node has ended: it gets no more requests. Those that meet its end are sent to the
    /// other by the fleet, where that can do no harm.
    pub(crate) fn is_down(&self, name: Name) {
        self.inner.down(name).store(true, Ordering::Release);
        self.renew();
    }

    /// Notes that a node is back.
    pub(crate) fn is_back(&self, name: Name) {
        self.inner.down(name).store(false, Ordering::Release);
        self.renew();
    }

    /// Puts a fleet of the nodes that are up in place, as a changed configuration would. What is
    /// known of a node that stays is kept; nothing is held against one that is new.
    fn renew(&self) {
        let Inner { nodes, borders, fleet, .. } = &*self.inner;
        let up = nodes.iter().filter(|(name, _)| !self.inner.down(*name).load(Ordering::Acquire));
        let upstream = upstream(up.map(|(_, server)| server.clone()).collect());
        match Fleet::new(&[upstream], borders.clone(), Some(&fleet.load())) {
            Ok(renewed) => fleet.store(Arc::new(renewed)),
            Err(error) => tracing::warn!(%error, "requests go on as before"),
        }
    }

    fn router(self) -> Router {
        let home = async || Redirect::to("/");
        Router::new()
            .route(KILL, post(killed).get(home))
            .route(BRING_BACK, post(brought_back).get(home))
            .layer(DefaultBodyLimit::max(BODY_BYTES))
            .route(THEME_PATH, axum::routing::get(down::theme))
            .fallback(forward)
            .layer(guard::cross_site())
            .layer(from_fn(host::only_ours))
            .with_state(self)
    }

    /// Lets a request through to a node.
    async fn pass(&self, request: Request) -> Result<Response, Problem> {
        let (parts, body) = request.into_parts();
        let host = Target::of(&parts).map_err(Problem::BadRequest)?.host;
        let path = Path::of(&parts.uri, Folding::Exact)
            .map_err(|BadPath(why)| Problem::BadRequest(why))?;
        let client = parts.extensions.get().map(|PeerAddr(address)| *address);
        let asked = Asked { method: &parts.method, host: &host, path: &path, address: client };
        let rule = self.inner.rules.first(&asked).ok_or(Problem::Denied)?;
        let Verdict::Permit(permit) = rule.judge(&asked, &Visitor::default()) else {
            return Err(Problem::Denied);
        };
        let affinity = key(&parts.headers);
        let by = if affinity.is_some() { By::Key } else { By::Address };
        let told = Way { by, down: self.inner.one_that_is_down() }.header();
        drop(host);
        let order = Order {
            permit,
            request: Request::from_parts(parts, body),
            identity: told.into_iter().collect(),
            affinity,
            client,
            https: false,
            vigil: None,
        };
        let fleet = self.inner.fleet.load_full();
        fleet.forward(order).await
    }

    async fn ask(&self, wish: Wish, name: Name) -> Result<(), Fault> {
        let ends = || Fault::new("the demo is about to end");
        let (done, answer) = oneshot::channel();
        self.inner.asks.send(Ask { name, wish, done }).await.map_err(|_| ends())?;
        answer.await.unwrap_or_else(|_| Err(ends()))
    }
}

impl Inner {
    fn down(&self, name: Name) -> &AtomicBool {
        match name {
            Name::A => &self.a_is_down,
            Name::B => &self.b_is_down,
        }
    }

    fn one_that_is_down(&self) -> Option<Name> {
        [Name::A, Name::B].into_iter().find(|name| self.down(*name).load(Ordering::Acquire))
    }
}

fn server(addr: SocketAddr) -> ServerSettings {
    let (host, port) = (addr.ip().to_string(), addr.port());
    ServerSettings { scheme: Scheme::Http, host, port, weight: 1 }
}

fn upstream(servers: Vec<ServerSettings>) -> UpstreamSettings {
    UpstreamSettings {
        name: "shop".into(),
        servers,
        authorities: None,
        balance: Balance::Sticky,
        timeouts: Timeouts::default(),
        health: None,
        retries: 1,
        keep_host: true,
        audience: None,
        most_body: None,
    }
}

/// The key of the session that a request says it has. It is not proved, and does not have to be: it
/// chooses a node, and the node asks for the secret.
fn key(headers: &HeaderMap) -> Option<String> {
    let lines = headers.get_all(COOKIE).into_iter();
    let mut tokens = lines.flat_map(|line| cookies::values(line.as_bytes(), SESSION));
    tokens.find_map(Token::parse).map(|token| token.key().to_string())
}

async fn forward(State(front): State<Front>, request: Request) -> Response {
    let headers = request.headers().clone();
    let reader = Reader { headers: &headers };
    match front.pass(request).await {
        Ok(response) => response,
        Err(Problem::UpstreamAway) if reader.wants_page() => down::both(),
        Err(problem) => problem.dressed(reader, &Brand::default()),
    }
}

async fn killed(
    State(front): State<Front>,
    fields: Result<Form<Which>, FormRejection>,
) -> Response {
    carry_out(&front, Wish::Kill, fields).await
}

async fn brought_back(
    State(front): State<Front>,
    fields: Result<Form<Which>, FormRejection>,
) -> Response {
    carry_out(&front, Wish::BringBack, fields).await
}

async fn carry_out(
    front: &Front,
    wish: Wish,
    fields: Result<Form<Which>, FormRejection>,
) -> Response {
    let Ok(Form(Which { node })) = fields else {
        return Problem::BadRequest("there are the nodes a and b").json();
    };
    match front.ask(wish, node).await {
        Ok(()) => Redirect::to("/").into_response(),
        Err(fault) => down::failed(&fault),
    }
}
