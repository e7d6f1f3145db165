//! A service behind the gateway: says what it was asked.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use axum::Router;
use axum::body::to_bytes;
use axum::extract::{Request, State};
use axum::response::IntoResponse;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::AbortHandle;

/// The largest body that it reads.
const MOST_BODY: usize = 64 << 20;

/// A service that answers every request with JSON: `name`, `method`, `target`, `headers` (each a
/// list), `body_bytes`. It ends when this is dropped.
pub(crate) struct Origin {
    pub(crate) address: SocketAddr,
    asked: Arc<AtomicU64>,
    serving: AbortHandle,
}

impl Origin {
    /// Starts one called `name`, on a free port.
    pub(crate) async fn start(name: &'static str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let asked = Arc::new(AtomicU64::new(0));
        let app = Router::new().fallback(answer).with_state((name, Arc::clone(&asked)));
        let serving = tokio::spawn(async move { axum::serve(listener, app).await });
        Self { address, asked, serving: serving.abort_handle() }
    }

    /// Its address as the configuration names it.
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// How many requests have reached it.
    pub(crate) fn asked(&self) -> u64 {
        self.asked.load(Ordering::SeqCst)
    }
}

impl Drop for Origin {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

type About = (&'static str, Arc<AtomicU64>);

async fn answer(State((name, asked)): State<About>, request: Request) -> impl IntoResponse {
    asked.fetch_add(1, Ordering::SeqCst);
    let (parts, body) = request.into_parts();
    let mut headers = serde_json::Map::new();
    for (header, value) in &parts.headers {
        let list = headers.entry(header.as_str()).or_insert_with(|| json!([]));
        let value = String::from_utf8_lossy(value.as_bytes()).into_owned();
        list.as_array_mut().expect("a list").push(Value::String(value));
    }
    let body = to_bytes(body, MOST_BODY).await.map_or(0, |bytes| bytes.len());
    axum::Json(json!({
        "name": name,
        "method": parts.method.as_str(),
        "target": parts.uri.to_string(),
        "headers": headers,
        "body_bytes": body,
    }))
}
