//! Requests by HTTP/2, and to servers that speak it: trailers, as gRPC needs them.

use axum::body::Body;
use bytes::Bytes;
use http::{HeaderMap, Request, Response};
use http_body_util::{BodyExt, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::client::conn::http2::SendRequest;
use hyper_util::rt::{TokioExecutor, TokioIo};

use super::support::{gateway, origin, played, server, settings, soon};
use crate::proxy::{Scheme, ServerSettings, UpstreamSettings};

fn with_trailers() -> Body {
    let mut trailers = HeaderMap::new();
    trailers.insert("grpc-status", "0".parse().unwrap());
    trailers.insert("x_user_id", "mallory".parse().unwrap());
    let frames = [Frame::data(Bytes::from_static(b"message")), Frame::trailers(trailers)];
    Body::new(StreamBody::new(futures_util::stream::iter(frames.map(Ok::<_, axum::Error>))))
}

/// A server by HTTP/2 that answers with a message and trailers, where it has got the same.
async fn grpc() -> std::net::SocketAddr {
    played(|_, stream| async move {
        let service = hyper::service::service_fn(|request: Request<Incoming>| async move {
            assert_eq!(request.uri().to_string(), "http://shop.example/it.Shop/Buy");
            assert_eq!(request.headers()["te"], "trailers");
            assert_eq!(request.headers()["x-user-id"], "alice");
            let got = request.into_body().collect().await.unwrap();
            assert_eq!(got.trailers().unwrap()["grpc-status"], "0");
            assert_eq!(got.trailers().unwrap().len(), 1, "nobody says who asks in a trailer");
            assert_eq!(got.to_bytes(), "message");
            Ok::<_, std::convert::Infallible>(Response::new(with_trailers()))
        });
        let builder = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
        builder.serve_connection(TokioIo::new(stream), service).await.unwrap();
    })
    .await
}

async fn client(address: std::net::SocketAddr) -> SendRequest<Body> {
    let stream = tokio::net::TcpStream::connect(address).await.unwrap();
    let handshake =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream));
    let (sender, connection) = handshake.await.unwrap();
    tokio::spawn(connection);
    sender
}

#[tokio::test]
async fn trailers_pass_both_ways() {
    let server = ServerSettings { scheme: Scheme::H2c, ..server(grpc().await) };
    let gateway = gateway(UpstreamSettings { servers: vec![server], ..settings(&[]) });
    let mut sender = client(gateway.address).await;
    for _ in 0..3 {
        let request = Request::post("http://shop.example/it.Shop/Buy").header("te", "trailers");
        let answer =
            soon(sender.send_request(request.body(with_trailers()).unwrap())).await.unwrap();
        assert_eq!(answer.status(), 200);
        let got = soon(answer.into_body().collect()).await.unwrap();
        assert_eq!(got.trailers().unwrap()["grpc-status"], "0");
        assert_eq!(got.to_bytes(), "message");
    }
}

#[tokio::test]
async fn a_client_by_http2_reaches_a_server_by_http1() {
    let origin = origin().await;
    let gateway = gateway(settings(&[origin.address]));
    let mut sender = client(gateway.address).await;
    let request =
        Request::get("http://shop.example/a").header("cookie", "a=1").header("cookie", "b=2");
    let answer = soon(sender.send_request(request.body(Body::empty()).unwrap())).await.unwrap();
    let seen = answer.into_body().collect().await.unwrap().to_bytes();
    let seen = String::from_utf8(seen.to_vec()).unwrap();
    assert!(seen.starts_with("GET /a HTTP/1.1\r\n"), "{seen}");
    for line in ["host: shop.example", "cookie: a=1; b=2", "via: 2.0 cloakroom"] {
        assert_eq!(seen.matches(&format!("\r\n{line}\r\n")).count(), 1, "{line}: {seen}");
    }
}

#[tokio::test]
async fn what_names_two_hosts_by_http2_is_refused() {
    let origin = origin().await;
    let gateway = gateway(settings(&[origin.address]));
    let mut sender = client(gateway.address).await;
    let request = Request::get("http://shop.example/").header("host", "other.example");
    let answer = soon(sender.send_request(request.body(Body::empty()).unwrap())).await.unwrap();
    assert_eq!(answer.status(), 400);
    assert_eq!(origin.asked(), 0);
}
