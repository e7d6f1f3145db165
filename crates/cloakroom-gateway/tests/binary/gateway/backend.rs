//! Servers behind the gateway that can be killed, fall silent, hold requests, and come back.

use std::collections::HashMap;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{HeaderMap, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::{AbortHandle, JoinSet};

use crate::support::{BOUND, free_port};

/// A server by HTTP/1.1 and h2c, which answers every request with its name.
pub(crate) struct Backend {
    pub(crate) address: SocketAddr,
    pub(crate) state: Arc<State>,
    serving: Option<AbortHandle>,
}

/// What a server remembers, and how it behaves. It survives that the server is killed.
pub(crate) struct State {
    name: &'static str,
    /// Requests but those for `/health`.
    asked: AtomicU64,
    /// How often each request has come, by its `X-Id`.
    ids: Mutex<HashMap<String, u64>>,
    /// The headers of the last request.
    last: Mutex<HeaderMap>,
    /// What `/health` says.
    pub(crate) well: AtomicBool,
    /// Whether it accepts connections and answers nothing.
    pub(crate) mute: AtomicBool,
    /// Requests for `/hold` wait until this is true.
    pub(crate) release: watch::Sender<bool>,
    held: AtomicU64,
}

impl Backend {
    /// Starts one on a free port.
    pub(crate) async fn start(name: &'static str) -> Self {
        let state = State {
            name,
            asked: AtomicU64::new(0),
            ids: Mutex::default(),
            last: Mutex::default(),
            well: AtomicBool::new(true),
            mute: AtomicBool::new(false),
            release: watch::Sender::new(false),
            held: AtomicU64::new(0),
        };
        let address = SocketAddr::from(([127, 0, 0, 1], free_port()));
        let mut backend = Self { address, state: Arc::new(state), serving: None };
        backend.come_back().await;
        backend
    }

    /// Its address as the configuration names it.
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// How many requests have reached it.
    pub(crate) fn asked(&self) -> u64 {
        self.state.asked.load(Ordering::SeqCst)
    }

    /// How many requests it holds, or has held.
    pub(crate) fn held(&self) -> u64 {
        self.state.held.load(Ordering::SeqCst)
    }

    /// How often each request has reached it.
    pub(crate) fn ids(&self) -> HashMap<String, u64> {
        self.state.ids.lock().unwrap().clone()
    }

    /// The headers of the last request.
    pub(crate) fn last(&self) -> HeaderMap {
        self.state.last.lock().unwrap().clone()
    }

    /// Closes its port and all of its connections, wherever they are.
    pub(crate) fn kill(&mut self) {
        if let Some(serving) = self.serving.take() {
            serving.abort();
        }
    }

    /// Serves again, on the same port.
    pub(crate) async fn come_back(&mut self) {
        let begun = Instant::now();
        let listener = loop {
            match TcpListener::bind(self.address).await {
                Ok(listener) => break listener,
                Err(error) => assert!(begun.elapsed() < BOUND, "{error}"),
            }
            tokio::task::yield_now().await;
        };
        let state = Arc::clone(&self.state);
        let serving = tokio::spawn(async move {
            // Dropped with this task, and its connections with it.
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                _ = stream.set_nodelay(true);
                let state = Arc::clone(&state);
                connections.spawn(async move {
                    let service = service_fn(move |request| {
                        let state = Arc::clone(&state);
                        async move { Ok::<_, Infallible>(state.answer(request).await) }
                    });
                    let server = auto::Builder::new(TokioExecutor::new());
                    _ = server.serve_connection(TokioIo::new(stream), service).await;
                });
            }
        });
        self.serving = Some(serving.abort_handle());
    }
}

impl Drop for Backend {
    fn drop(&mut self) {
        self.kill();
    }
}

impl State {
    async fn answer(&self, request: Request<Incoming>) -> Response<Full<Bytes>> {
        let (parts, body) = request.into_parts();
        if parts.uri.path() == "/health" && !self.mute.load(Ordering::SeqCst) {
            let well = self.well.load(Ordering::SeqCst);
            let status = if well { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
            let mut response = Response::new(Full::default());
            *response.status_mut() = status;
            return response;
        }
        self.asked.fetch_add(1, Ordering::SeqCst);
        if let Some(id) = parts.headers.get("x-id") {
            let id = id.to_str().unwrap().to_owned();
            *self.ids.lock().unwrap().entry(id).or_default() += 1;
        }
        *self.last.lock().unwrap() = parts.headers;
        if self.mute.load(Ordering::SeqCst) {
            std::future::pending::<()>().await;
        }
        _ = body.collect().await;
        if parts.uri.path() == "/hold" {
            self.held.fetch_add(1, Ordering::SeqCst);
            _ = self.release.subscribe().wait_for(|released| *released).await;
        }
        Response::new(Full::from(self.name))
    }
}

/// An upstream `app` of these servers with more lines of its own, and a rule that lets all pass.
pub(crate) fn public(servers: &[String], lines: &str) -> String {
    format!(
        "[[upstream]]\nname = \"app\"\nservers = {servers:?}\n{lines}\n\
         [[rule]]\npath = \"/**\"\naccess = \"public\"\n"
    )
}

/// Waits until `happened` says so.
pub(crate) async fn until(what: &str, mut happened: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !happened() {
        assert!(begun.elapsed() < BOUND, "waited in vain: {what}");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}
