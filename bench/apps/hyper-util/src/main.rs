//! A bare proxy of hyper and hyper-util's client: what the gateway would be without sessions, rules,
//! headers that say who asks, limits and retries. `bench-hyper-util LISTEN ORIGIN`, both as
//! `127.0.0.1:80`.

use std::env::args;
use std::error::Error;
use std::io;

use http::header::{CONNECTION, HOST};
use http::uri::{Authority, Scheme};
use http::{HeaderValue, Request, Response, Uri};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpListener;

type Origin = Client<HttpConnector, Incoming>;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut addresses = args().skip(1);
    let mut next = || addresses.next().ok_or("say where to listen, and where the service is");
    let listener = TcpListener::bind(next()?).await?;
    let origin: Authority = next()?.parse()?;
    let mut connector = HttpConnector::new();
    connector.set_nodelay(true);
    let client: Origin = Client::builder(TokioExecutor::new()).build(connector);
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        let (client, origin) = (client.clone(), origin.clone());
        let forward = service_fn(move |request| forward(client.clone(), origin.clone(), request));
        let connection = http1::Builder::new().serve_connection(TokioIo::new(stream), forward);
        // What goes wrong on a connection is its client's affair.
        tokio::spawn(async move { _ = connection.await });
    }
}

async fn forward(
    client: Origin,
    origin: Authority,
    mut request: Request<Incoming>,
) -> Result<Response<Incoming>, io::Error> {
    let host = HeaderValue::from_str(origin.as_str()).map_err(io::Error::other)?;
    let mut parts = request.uri().clone().into_parts();
    (parts.scheme, parts.authority) = (Some(Scheme::HTTP), Some(origin));
    *request.uri_mut() = Uri::from_parts(parts).map_err(io::Error::other)?;
    request.headers_mut().remove(CONNECTION);
    request.headers_mut().insert(HOST, host);
    let mut response = client.request(request).await.map_err(io::Error::other)?;
    response.headers_mut().remove(CONNECTION);
    Ok(response)
}
