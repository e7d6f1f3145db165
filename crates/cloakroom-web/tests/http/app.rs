//! The service under test: one router a node, over a store that the nodes share.

use std::sync::Arc;

use axum::extract::Path;
use axum::routing::{get, post};
use axum::{Extension, Router};
use cloakroom_core::{Login, MemoryStore, Policy, Sessions, Slot, Store};
use cloakroom_testkit::ManualClock;
use cloakroom_web::{Refusal, Session, SessionLayer, TokioTimer};
use http::StatusCode;
use tokio::sync::{Semaphore, watch};

pub(crate) const COUNT: Slot<u64> = Slot::new("count");

/// Nodes of one application.
pub(crate) struct World {
    pub(crate) nodes: Vec<Node>,
    pub(crate) clock: ManualClock,
}

/// One node.
#[derive(Clone)]
pub(crate) struct Node {
    pub(crate) router: Router,
    pub(crate) sessions: Sessions,
    pub(crate) gate: Gate,
}

/// Where requests of `/held` wait, their edits made and not yet committed.
#[derive(Clone)]
pub(crate) struct Gate {
    waiting: watch::Sender<usize>,
    open: Arc<Semaphore>,
}

impl Gate {
    fn new() -> Self {
        Self { waiting: watch::Sender::new(0), open: Arc::new(Semaphore::new(0)) }
    }

    /// Completes when so many requests wait or have waited.
    pub(crate) async fn reached(&self, requests: usize) {
        let mut waiting = self.waiting.subscribe();
        waiting.wait_for(|count| *count >= requests).await.unwrap();
    }

    /// Lets this many requests through.
    pub(crate) fn release(&self, requests: usize) {
        self.open.add_permits(requests);
    }

    async fn pass(&self) {
        self.waiting.send_modify(|count| *count += 1);
        self.open.acquire().await.unwrap().forget();
    }
}

impl World {
    pub(crate) fn new(store: &Arc<dyn Store>, nodes: usize, policy: &Policy) -> Self {
        Self::of_nodes((0..nodes).map(|_| Arc::clone(store)), policy)
    }

    /// Nodes each of which has a way of its own to the store, such as a cache.
    pub(crate) fn of_nodes(
        stores: impl IntoIterator<Item = Arc<dyn Store>>,
        policy: &Policy,
    ) -> Self {
        let clock = ManualClock::default();
        let nodes = stores.into_iter().map(|store| Node::new(&store, policy, &clock)).collect();
        Self { nodes, clock }
    }

    /// One node over a store in memory.
    pub(crate) fn memory() -> Self {
        Self::over(MemoryStore::new())
    }

    /// One node.
    pub(crate) fn over(store: impl Store) -> Self {
        let store: Arc<dyn Store> = Arc::new(store);
        Self::new(&store, 1, &Policy::default())
    }

    pub(crate) fn node(&self) -> &Node {
        &self.nodes[0]
    }
}

impl Node {
    fn new(store: &Arc<dyn Store>, policy: &Policy, clock: &ManualClock) -> Self {
        let sessions = Sessions::builder(Arc::clone(store), TokioTimer)
            .policy(policy.clone())
            .clock(clock.clone())
            .build()
            .unwrap();
        Self::of(sessions)
    }

    /// A node of such sessions.
    pub(crate) fn of(sessions: Sessions) -> Self {
        let gate = Gate::new();
        let layer = SessionLayer::new(sessions.clone());
        let router = routes().layer(layer).layer(Extension(gate.clone()));
        Self { router, sessions, gate }
    }
}

/// The routes, without the layer.
pub(crate) fn routes() -> Router {
    Router::new()
        .route("/plain", get(|| async { "no session" }))
        .route("/read", get(read))
        .route("/option", get(option))
        .route("/count", post(count))
        .route("/held/{what}", post(held))
        .route("/attribute/{name}", get(attribute).post(set_attribute))
        .route("/login/{who}", post(log_in))
        .route("/logout", post(log_out))
        .route("/who", get(who))
        .route("/fail", post(fail))
}

async fn read(session: Session) -> Result<String, Refusal> {
    Ok(session.get(COUNT)?.unwrap_or_default().to_string())
}

async fn option(session: Option<Session>) -> &'static str {
    session.map_or("none", |_| "some")
}

async fn count(session: Session) -> Result<String, Refusal> {
    session.update(COUNT, |count| *count += 1)?;
    read(session).await
}

async fn held(
    session: Session,
    Path(what): Path<String>,
    Extension(gate): Extension<Gate>,
) -> Result<&'static str, Refusal> {
    match &*what {
        "count" => session.update(COUNT, |count| *count += 1)?,
        "set" => session.set(COUNT, &1_000)?,
        _ => {}
    }
    gate.pass().await;
    Ok("held")
}

async fn attribute(session: Session, Path(name): Path<String>) -> Result<String, Refusal> {
    Ok(session.get(Slot::<String>::named(name))?.unwrap_or_default())
}

async fn set_attribute(
    session: Session,
    Path(name): Path<String>,
    value: String,
) -> Result<(), Refusal> {
    Ok(session.set(Slot::named(name), &value)?)
}

async fn log_in(session: Session, Path(who): Path<String>) -> Result<(), Refusal> {
    Ok(session.log_in(Login::new(who).role("reader"))?)
}

async fn log_out(session: Session) -> Result<(), Refusal> {
    Ok(session.log_out()?)
}

async fn who(session: Session) -> String {
    session.principal().unwrap_or_else(|| "nobody".to_owned())
}

/// Writes, and then fails with headers of its own.
async fn fail(
    session: Session,
) -> Result<(StatusCode, [(&'static str, &'static str); 1]), Refusal> {
    session.update(COUNT, |count| *count += 1)?;
    Ok((StatusCode::INTERNAL_SERVER_ERROR, [("x-handler", "was here")]))
}
