//! Requests by HTTP/2, and to servers that speak it: trailers, as gRPC needs them.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use bytes::Bytes;
use http::{HeaderMap, Request, Response, StatusCode};
use http_body_util::{BodyExt, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::client::conn::http2::SendRequest;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::sync::{Notify, mpsc};

use super::support::{
    Hanging, gateway, gateway_with, nobody, origin, played, read_request, server, settings, soon,
};
use crate::proxy::{Scheme, ServerSettings, Timeouts, UpstreamSettings};
use crate::serve::Limits;

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
    client_with(address, hyper::client::conn::http2::Builder::new(TokioExecutor::new())).await
}

async fn client_with(
    address: std::net::SocketAddr,
    builder: hyper::client::conn::http2::Builder<TokioExecutor>,
) -> SendRequest<Body> {
    let stream = tokio::net::TcpStream::connect(address).await.unwrap();
    let (sender, connection) = builder.handshake(TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    sender
}

/// An upstream of servers by HTTP/2.
fn by_h2c(servers: &[std::net::SocketAddr]) -> UpstreamSettings {
    let server = |address: &_| ServerSettings { scheme: Scheme::H2c, ..server(*address) };
    UpstreamSettings { servers: servers.iter().map(server).collect(), ..settings(&[]) }
}

/// Serves a connection by HTTP/2, and breaks off where a request has this path.
async fn serve(stream: TcpStream, breaks_at: &'static str) {
    let broken = Arc::new(Notify::new());
    let breaking = Arc::clone(&broken);
    let service = hyper::service::service_fn(move |request: Request<Incoming>| {
        let breaking = Arc::clone(&breaking);
        async move {
            if request.uri().path() == breaks_at {
                breaking.notify_one();
                std::future::pending::<()>().await;
            }
            Ok::<_, std::convert::Infallible>(Response::new(Body::from("well")))
        }
    });
    let builder = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
    tokio::select! {
        _ = builder.serve_connection(TokioIo::new(stream), service) => {}
        () = broken.notified() => {}
    }
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

/// Answers the first request slowly, once it may go on; the second with more than its client takes,
/// and says when that has ended; others with nothing.
async fn answers(n: usize, mut stream: TcpStream, go_on: &Notify, ended: &Notify) {
    read_request(&mut stream).await.unwrap();
    let head = match n {
        0 => &b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n"[..],
        1 => b"HTTP/1.1 200 OK\r\nContent-Length: 999999999\r\n\r\n",
        _ => b"HTTP/1.1 204 No Content\r\n\r\n",
    };
    stream.write_all(head).await.unwrap();
    if n == 0 {
        go_on.notified().await;
        stream.write_all(b"slow").await.unwrap();
    }
    if n == 1 {
        while stream.write_all(&[b'x'; 65_536]).await.is_ok() {}
        ended.notify_one();
    }
}

#[tokio::test]
async fn a_client_by_http2_that_takes_nothing_holds_no_server() {
    let (go_on, ended) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let events = (Arc::clone(&go_on), Arc::clone(&ended));
    let address = played(move |n, stream| {
        let (go_on, ended) = events.clone();
        async move { answers(n, stream, &go_on, &ended).await }
    })
    .await;
    let limits = Limits { stalled: Duration::from_millis(50), ..Limits::default() };
    let gateway = gateway_with(settings(&[address]), limits);
    let asking = || Request::get("http://a/").body(Body::empty()).unwrap();
    let mut patient = client(gateway.address).await;
    let slow = soon(patient.send_request(asking())).await.unwrap();
    let mut builder = hyper::client::conn::http2::Builder::new(TokioExecutor::new());
    builder.initial_stream_window_size(0);
    let mut sender = client_with(gateway.address, builder).await;
    let answer = soon(sender.send_request(asking())).await.unwrap();
    assert_eq!(answer.status(), StatusCode::OK);
    soon(ended.notified()).await;
    assert!(soon(answer.into_body().collect()).await.is_err());
    // Its other requests on the same connection go on, and who waits for a slow server is not slow.
    let answer = soon(sender.send_request(asking())).await.unwrap();
    assert_eq!(answer.status(), StatusCode::NO_CONTENT);
    go_on.notify_one();
    assert_eq!(soon(slow.into_body().collect()).await.unwrap().to_bytes(), "slow");
}

#[tokio::test]
async fn who_waits_for_a_connection_waits_for_no_others() {
    let hanging = Hanging::start().await;
    let timeouts = Timeouts {
        connect: Duration::from_millis(200),
        response: Duration::from_millis(500),
        ..Timeouts::default()
    };
    let gateway = Arc::new(gateway(UpstreamSettings { timeouts, ..by_h2c(&[hanging.address]) }));
    let asking = (0..8).map(|_| {
        let gateway = Arc::clone(&gateway);
        tokio::spawn(async move { gateway.get("/").await })
    });
    for asking in asking.collect::<Vec<_>>() {
        // One after the other, some would not come so far within the time for an answer: 504.
        let answer = asking.await.unwrap();
        assert!(answer.starts_with("HTTP/1.1 502 "), "{answer}");
    }
}

#[tokio::test]
async fn what_was_not_sent_in_time_goes_to_another_server() {
    let hanging = Hanging::start().await;
    let well = played(|_, stream| serve(stream, "/none")).await;
    let timeouts = Timeouts {
        connect: Duration::from_millis(200),
        response: Duration::from_millis(100),
        ..Timeouts::default()
    };
    let servers = by_h2c(&[hanging.address, well]);
    let gateway = gateway(UpstreamSettings { timeouts, ..servers });
    for _ in 0..2 {
        let post = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\nConnection: close\r\n\r\nhi";
        let answer = gateway.ask(post).await;
        assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    }
}

#[tokio::test]
async fn a_kept_connection_that_breaks_says_nothing_of_its_server() {
    let address = played(|n, stream| serve(stream, if n < 3 { "/again" } else { "/none" })).await;
    let settings = UpstreamSettings { retries: 0, ..by_h2c(&[address]) };
    let gateway = gateway(settings);
    assert!(gateway.get("/").await.ends_with("well"));
    // What breaks as well by a new connection is the server's fault; what only its kept one did
    // is not, and is sent again.
    assert!(gateway.get("/again").await.starts_with("HTTP/1.1 502 "));
    assert!(gateway.get("/").await.ends_with("well"));
    assert!(gateway.get("/again").await.ends_with("well"));
    let health = &gateway.upstream.members[0].server.health;
    assert_eq!(health.admits(std::time::Instant::now), crate::proxy::health::Admits::All);
    assert_eq!(health.failures(), 1);
}

#[tokio::test]
async fn a_connection_that_nobody_uses_is_closed() {
    let (closed, mut ended) = mpsc::unbounded_channel();
    let address = played(move |_, stream| {
        let closed = closed.clone();
        async move {
            serve(stream, "/none").await;
            _ = closed.send(());
        }
    })
    .await;
    let timeouts = Timeouts { keep_alive: Duration::from_millis(50), ..Timeouts::default() };
    let gateway = gateway(UpstreamSettings { timeouts, ..by_h2c(&[address]) });
    for _ in 0..2 {
        assert!(gateway.get("/").await.ends_with("well"));
        soon(ended.recv()).await.unwrap();
    }
}

#[tokio::test]
async fn nobody_to_be_reached_by_http2_is_said_so() {
    let gateway = gateway(by_h2c(&[nobody().await, nobody().await]));
    assert!(gateway.get("/").await.starts_with("HTTP/1.1 502 "));
}
