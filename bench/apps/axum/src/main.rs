//! Bare axum: what the same service does without sessions.

use std::error::Error;

use axum::Router;
use axum::routing::get;
use bench_common::{CONSTANT, Options};

async fn none() -> &'static str {
    CONSTANT
}

#[tokio::main(worker_threads = 1)]
async fn main() -> Result<(), Box<dyn Error>> {
    let options = Options::from_args()?;
    let app = Router::new().route("/none", get(none));
    let listener = tokio::net::TcpListener::bind(options.address()).await?;
    Ok(axum::serve(listener, app).await?)
}
