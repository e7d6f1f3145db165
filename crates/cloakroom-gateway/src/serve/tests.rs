//! Connections over real sockets: TLS, both versions of HTTP, and what is too slow or too much.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use cloakroom_testkit::servers::Certificates as Signed;
use http::{Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::*;

const PATIENCE: Duration = Duration::from_secs(30);

async fn soon<T>(event: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, event).await.expect("this does not happen")
}

/// Answers every request with its address, as it is seen behind the connection.
fn start(tls: Option<TlsFiles>, limits: Limits) -> SocketAddr {
    let door = Door::open(&Listen { address: ([127, 0, 0, 1], 0).into(), tls }).unwrap();
    let address = door.address().unwrap();
    let service = tower::service_fn(|request: Request<Body>| async move {
        let (request, _) = request.into_parts();
        let said = match Target::of(&request) {
            Ok(target) => format!("{} {}", request.uri, target.host),
            Err(why) => why.to_owned(),
        };
        Ok::<_, Infallible>(Response::new(Body::from(said)))
    });
    tokio::spawn(run(vec![door], limits, Readiness::default(), service, std::future::pending()));
    address
}

fn files(signed: &Signed) -> TlsFiles {
    TlsFiles { certificates: signed.server(), key: signed.server_key() }
}

async fn by_tls(address: SocketAddr, signed: &Signed, protocol: &[u8]) -> TlsStream<TcpStream> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(signed.authority()).unwrap()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider);
    let config = config.with_safe_default_protocol_versions().unwrap();
    let mut config = config.with_root_certificates(roots).with_no_client_auth();
    config.alpn_protocols = vec![protocol.to_vec()];
    let stream = TcpStream::connect(address).await.unwrap();
    let connector = TlsConnector::from(Arc::new(config));
    soon(connector.connect("127.0.0.1".try_into().unwrap(), stream)).await.unwrap()
}

async fn ask(mut stream: impl tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin) -> String {
    let request = b"GET /a?b HTTP/1.1\r\nHost: shop.example\r\nConnection: close\r\n\r\n";
    stream.write_all(request).await.unwrap();
    let mut answer = Vec::new();
    soon(stream.read_to_end(&mut answer)).await.unwrap();
    String::from_utf8(answer).unwrap()
}

#[tokio::test]
async fn the_scheme_is_the_connections() {
    let signed = Signed::make();
    let address = start(Some(files(&signed)), Limits::default());
    let answer = ask(by_tls(address, &signed, b"http/1.1").await).await;
    assert!(answer.ends_with("\r\n\r\nhttps://shop.example/a?b shop.example"), "{answer}");
    let stream = by_tls(address, &signed, b"h2").await;
    assert_eq!(second(stream, "https://127.0.0.1/x").await, "https://127.0.0.1/x 127.0.0.1");
    let plain = start(None, Limits::default());
    let answer = ask(TcpStream::connect(plain).await.unwrap()).await;
    assert!(answer.ends_with("\r\n\r\n/a?b shop.example"), "{answer}");
    // What a client writes there proves nothing.
    let stream = TcpStream::connect(plain).await.unwrap();
    assert_eq!(second(stream, "https://a/x").await, "http://a/x a");
}

async fn second<T>(stream: T, uri: &str) -> String
where
    T: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send + 'static,
{
    let executor = TokioExecutor::new();
    let handshake = hyper::client::conn::http2::handshake(executor, TokioIo::new(stream));
    let (mut sender, connection) = soon(handshake).await.unwrap();
    tokio::spawn(connection);
    let request = Request::get(uri).body(Body::empty()).unwrap();
    let answer = soon(sender.send_request(request)).await.unwrap();
    let body = axum::body::to_bytes(Body::new(answer.into_body()), usize::MAX).await.unwrap();
    String::from_utf8(body.to_vec()).unwrap()
}

#[tokio::test]
async fn an_address_in_use_is_said_so() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let fault = Door::open(&Listen { address, tls: None }).unwrap_err().to_string();
    assert!(fault.contains("another program listens on 127.0.0.1:"), "{fault}");
}

#[tokio::test]
async fn who_is_too_slow_is_sent_away() {
    let head = Duration::from_millis(50);
    let limits = Limits { head, ..Limits::default() };
    let address = start(None, limits.clone());
    // Nothing, half a preface, half a head, and half a head after a whole request.
    let whole = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
    for sent in ["", "PRI * HT", "GET / HT", "GET / HTTP/1.1\r\nHost: a\r\nX: "] {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(sent.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        _ = soon(stream.read_to_end(&mut answer)).await;
    }
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(whole.as_bytes()).await.unwrap();
    let mut answer = [0; 16];
    soon(stream.read_exact(&mut answer)).await.unwrap();
    stream.write_all(b"GET / HT").await.unwrap();
    let mut rest = Vec::new();
    _ = soon(stream.read_to_end(&mut rest)).await;
    let signed = Signed::make();
    let address = start(Some(files(&signed)), limits);
    let mut stream = TcpStream::connect(address).await.unwrap();
    let mut answer = Vec::new();
    _ = soon(stream.read_to_end(&mut answer)).await;
}

#[tokio::test]
async fn a_connection_waits_for_its_next_request_for_so_long_only() {
    let keep_alive = Duration::from_millis(50);
    let address = start(None, Limits { keep_alive, ..Limits::default() });
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
    let mut answer = Vec::new();
    _ = soon(stream.read_to_end(&mut answer)).await;
    assert!(answer.starts_with(b"HTTP/1.1 200 "));
}

#[tokio::test]
async fn a_head_is_only_so_large() {
    let address = start(None, Limits { head_bytes: 8192, headers: 10, ..Limits::default() });
    let many: String = (0..11).map(|n| format!("X-{n}: a\r\n")).collect();
    for head in [format!("X: {}\r\n", "a".repeat(9000)), many] {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream
            .write_all(format!("GET / HTTP/1.1\r\nHost: a\r\n{head}\r\n").as_bytes())
            .await
            .unwrap();
        let mut answer = [0; 13];
        soon(stream.read_exact(&mut answer)).await.unwrap();
        assert_eq!(&answer, b"HTTP/1.1 431 ");
    }
}

#[tokio::test]
async fn more_connections_than_may_be_wait() {
    let address = start(None, Limits { connections: 1, ..Limits::default() });
    let mut first = TcpStream::connect(address).await.unwrap();
    first.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
    let mut answer = [0; 13];
    soon(first.read_exact(&mut answer)).await.unwrap();
    let mut waiting = TcpStream::connect(address).await.unwrap();
    waiting.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
    let mut first = tokio::io::BufReader::new(first);
    for _ in 0..50 {
        first.get_mut().write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
        let mut line = String::new();
        while !line.contains("HTTP/1.1 200 ") {
            line.clear();
            soon(first.read_line(&mut line)).await.unwrap();
        }
    }
    let unserved = waiting.try_read(&mut answer).unwrap_err();
    assert_eq!(unserved.kind(), std::io::ErrorKind::WouldBlock);
    drop(first);
    soon(waiting.read_exact(&mut answer)).await.unwrap();
}
