//! How clients are served: by TLS and both versions of HTTP, up to an orderly end; and what is said
//! where nothing can be served at all.

#![allow(clippy::print_stdout, reason = "what was counted is printed")]

use std::net::TcpListener;
use std::process::{Output, Stdio};
use std::sync::Arc;

use axum::body::Body;
use bytes::Bytes;
use cloakroom_testkit::servers::Certificates;
use http::{HeaderMap, Request, Response};
use http_body_util::{BodyExt, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::client::conn::http2::SendRequest;
use hyper_util::rt::{TokioExecutor, TokioIo};
use reqwest::StatusCode;
use rustix::process::Signal;
use rustls::ServerConfig;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use tempfile::TempDir;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::Notify;
use tokio_rustls::TlsAcceptor;

use super::backend::{Backend, public};
use super::sockets::{Wire, by_tls, played, secured};
use super::support::{Gateway, browser};
use crate::support::{answers, becomes, command, free_port, signal};

/// A message, and trailers after it as gRPC has them.
fn message() -> Body {
    let mut trailers = HeaderMap::new();
    trailers.insert("grpc-status", "0".parse().unwrap());
    let frames = [Frame::data(Bytes::from_static(b"message")), Frame::trailers(trailers)];
    Body::new(StreamBody::new(futures_util::stream::iter(frames.map(Ok::<_, axum::Error>))))
}

/// A server by HTTP/2 that answers with a message and trailers, where it has got the same.
async fn grpc() -> String {
    let address = played(|wire| async move {
        let service = hyper::service::service_fn(|request: Request<Incoming>| async move {
            assert_eq!(request.uri().path(), "/it.Shop/Buy");
            let got = request.into_body().collect().await.unwrap();
            assert_eq!(got.trailers().unwrap()["grpc-status"], "0");
            assert_eq!(got.to_bytes(), "message");
            Ok::<_, std::convert::Infallible>(Response::new(message()))
        });
        let builder = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
        _ = builder.serve_connection(TokioIo::new(wire.stream), service).await;
    });
    format!("h2c://{}", address.await)
}

async fn second<T>(stream: T) -> SendRequest<Body>
where
    T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let shaking = hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream));
    let (sender, connection) = shaking.await.expect("it speaks HTTP/2");
    tokio::spawn(connection);
    sender
}

async fn by_second(sender: &mut SendRequest<Body>, url: &str) -> String {
    let request = Request::get(url).body(Body::empty()).unwrap();
    let answer = sender.send_request(request).await.expect("an answer");
    assert_eq!(answer.status(), StatusCode::OK);
    String::from_utf8(answer.into_body().collect().await.unwrap().to_bytes().to_vec()).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_chooses_its_version_of_http() {
    let (signed, app) = (Certificates::make(), Backend::start("app").await);
    let gateway = secured(&signed, &public(&[app.url()], ""));
    for (offered, chosen) in
        [(&["h2", "http/1.1"][..], Some("h2")), (&["http/1.1"], Some("http/1.1")), (&[], None)]
    {
        let stream = by_tls(&gateway, &signed, offered).await.expect("it is trusted");
        let protocol = stream.get_ref().1.alpn_protocol().map(|name| name.to_vec());
        assert_eq!(protocol.as_deref(), chosen.map(str::as_bytes));
        if chosen == Some("h2") {
            let mut sender = second(stream).await;
            for _ in 0..3 {
                assert_eq!(by_second(&mut sender, "https://a/x").await, "app");
            }
        } else {
            assert_eq!(Wire::over(stream).get("/x").await.1, b"app");
        }
        assert_eq!(app.last()["x-forwarded-proto"], "https");
    }
    // By TLS nothing else is spoken, and without it both versions are.
    let mut plain = Wire::to(&gateway).await;
    plain.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
    assert!(!plain.until_end().await.starts_with(b"HTTP/1.1 2"));
    let gateway = Gateway::start(&public(&[app.url()], ""));
    assert_eq!(Wire::to(&gateway).await.get("/").await.1, b"app");
    let mut sender = second(Wire::to(&gateway).await.stream).await;
    assert_eq!(by_second(&mut sender, "http://a/x").await, "app");
    assert_eq!(app.last()["x-forwarded-proto"], "http");
}

#[tokio::test(flavor = "multi_thread")]
async fn trailers_pass_from_a_client_by_tls_to_a_server_without_and_back() {
    let signed = Certificates::make();
    let gateway = secured(&signed, &public(&[grpc().await], ""));
    let mut sender = second(by_tls(&gateway, &signed, &["h2"]).await.unwrap()).await;
    for _ in 0..5 {
        let request = Request::post("https://a/it.Shop/Buy").header("te", "trailers");
        let answer = sender.send_request(request.body(message()).unwrap()).await.unwrap();
        assert_eq!(answer.status(), StatusCode::OK);
        let got = answer.into_body().collect().await.unwrap();
        assert_eq!(got.trailers().unwrap()["grpc-status"], "0");
        assert_eq!(got.to_bytes(), "message");
    }
}

/// A server by TLS.
async fn by_https(signed: &Certificates) -> String {
    let chain = vec![CertificateDer::from_pem_file(signed.server()).unwrap()];
    let key = PrivateKeyDer::from_pem_file(signed.server_key()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider);
    let config = config.with_safe_default_protocol_versions().unwrap().with_no_client_auth();
    let acceptor = TlsAcceptor::from(Arc::new(config.with_single_cert(chain, key).unwrap()));
    let address = played(move |wire| {
        let acceptor = acceptor.clone();
        async move {
            let Ok(stream) = acceptor.accept(wire.stream).await else {
                return;
            };
            let mut wire = Wire::over(stream);
            while !wire.head().await.is_empty() {
                wire.send("HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nsecret").await;
            }
        }
    });
    format!("https://{}", address.await)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_by_tls_has_to_be_vouched_for() {
    let signed = Certificates::make();
    let config = public(&[by_https(&signed).await], "");
    let ours = Gateway::start_as(&config, |mut command| {
        command.env("SSL_CERT_FILE", signed.authority());
        command
    });
    let client = browser();
    for _ in 0..2 {
        let answer = client.get(ours.url("/")).send().await.unwrap();
        assert_eq!(answer.text().await.unwrap(), "secret");
    }
    let theirs = Certificates::make();
    let others = Gateway::start_as(&config, |mut command| {
        command.env("SSL_CERT_FILE", theirs.authority());
        command
    });
    let answer = client.get(others.url("/")).send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::BAD_GATEWAY);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_under_way_is_finished_before_the_end() {
    const PIECE: usize = 50_000;
    let go_on = Arc::new(Notify::new());
    let waiting = Arc::clone(&go_on);
    let server = played(move |mut wire| {
        let go_on = Arc::clone(&waiting);
        async move {
            while let head = wire.head().await
                && !head.is_empty()
            {
                let upload = head.starts_with("POST");
                if upload {
                    assert_eq!(wire.exactly(2 * PIECE).await.len(), 2 * PIECE);
                }
                let length = if upload { 4 } else { 2 * PIECE };
                wire.send(format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n")).await;
                if upload {
                    wire.send("done").await;
                    continue;
                }
                wire.send(vec![b'x'; PIECE]).await;
                go_on.notified().await;
                wire.send(vec![b'x'; PIECE]).await;
            }
        }
    });
    let server = format!("http://{}", server.await);
    // What does not end by itself would keep it for longer than a test waits.
    let limits = "[limits]\nunready_first = \"2s\"\ndrain = \"10min\"\nhead = \"10min\"\n\
                  keep_alive = \"10min\"\n";
    let gateway = Gateway::start(&format!("{limits}{}", public(&[server], "")));
    let mut download = Wire::to(&gateway).await;
    download.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
    assert!(download.head().await.starts_with("HTTP/1.1 200 "));
    assert_eq!(download.exactly(PIECE).await.len(), PIECE);
    let mut upload = Wire::to(&gateway).await;
    let length = 2 * PIECE;
    upload.send(format!("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\n\r\n")).await;
    upload.send(vec![b'x'; PIECE]).await;
    let mut idle = Wire::to(&gateway).await;
    let (ready, _) = idle.get("/.cloakroom/health/ready").await;
    assert!(ready.starts_with("HTTP/1.1 200 "), "{ready}");
    let mut silent = Wire::to(&gateway).await;

    signal(gateway.id(), Signal::TERM);
    let client = browser();
    let ready = async || {
        let asked = client.get(gateway.url("/.cloakroom/health/ready")).send().await;
        asked.expect("readiness goes first, and the door is still open").status()
    };
    becomes("it is not ready", ready, |said| *said == StatusCode::SERVICE_UNAVAILABLE).await;
    // It lives, and serves whoever has not heard yet.
    let (head, _) = idle.get("/.cloakroom/health/live").await;
    assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
    let port = gateway.port;
    becomes("new connections are refused", async || answers(port), |open| !*open).await;
    assert_eq!(idle.until_end().await, b"", "who waits is let go");
    assert_eq!(silent.until_end().await, b"");
    upload.send(vec![b'x'; PIECE]).await;
    let (head, body) = upload.response().await;
    assert!(head.starts_with("HTTP/1.1 200 ") && body == b"done", "{head}");
    go_on.notify_one();
    assert_eq!(download.exactly(PIECE).await.len(), PIECE);
    let ended = tokio::task::spawn_blocking(move || gateway.stop());
    let ended = tokio::time::timeout(crate::support::BOUND, ended).await.expect("it ends");
    assert_eq!(ended.unwrap().code(), Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_by_an_older_http_makes_no_older_answer() {
    let server = played(|mut wire| async move {
        // Its end is where the connection ends.
        let with_length = wire.head().await.starts_with("GET /length ");
        let length = if with_length { "Content-Length: 2\r\n" } else { "" };
        wire.send(format!("HTTP/1.0 200 OK\r\n{length}\r\nok")).await;
    });
    let gateway = Gateway::start(&public(&[format!("http://{}", server.await)], ""));
    let mut wire = Wire::to(&gateway).await;
    for _ in 0..2 {
        let (head, body) = wire.get("/length").await;
        assert!(head.starts_with("HTTP/1.1 200 OK\r\n"), "{head}");
        assert!(!head.contains("connection"), "{head}");
        assert_eq!(body, b"ok");
    }
    wire.send("GET /end HTTP/1.1\r\nHost: a\r\n\r\n").await;
    let head = wire.head().await;
    assert!(head.starts_with("HTTP/1.1 200 OK\r\n"), "{head}");
    assert!(head.contains("transfer-encoding: chunked\r\n"), "{head}");
    assert_eq!(wire.through(b"0\r\n\r\n").await, b"2\r\nok\r\n0\r\n\r\n");
    let mut older = Wire::to(&gateway).await;
    older.send("GET /length HTTP/1.0\r\nHost: a\r\n\r\n").await;
    let answer = String::from_utf8(older.until_end().await).unwrap();
    assert!(answer.starts_with("HTTP/1.0 200 OK\r\n") && answer.ends_with("ok"), "{answer}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_login_whose_body_does_not_come_is_given_up() {
    let limits = "[limits]\nhead = \"1s\"\n";
    let base = public(&["http://127.0.0.1:1".to_owned()], "");
    let gateway = Gateway::start(&format!("{limits}{base}"));
    for path in ["/.cloakroom/api/login", "/.cloakroom/login"] {
        let mut wire = Wire::to(&gateway).await;
        let kind = if path.contains("api") { "json" } else { "x-www-form-urlencoded" };
        wire.send(format!(
            "POST {path} HTTP/1.1\r\nHost: a\r\nContent-Type: application/{kind}\r\n\
             Content-Length: 100\r\n\r\n{{"
        ))
        .await;
        let (head, _) = wire.response().await;
        assert!(head.starts_with("HTTP/1.1 408 "), "{head}");
        assert!(head.contains("connection: close\r\n"), "{head}");
        assert_eq!(wire.until_end().await, b"");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_body_ends_its_connection_and_says_so() {
    const LARGE: usize = 3_000_000;
    let app = Backend::start("app").await;
    let gateway = Gateway::start(&public(&[app.url()], "max_body = \"1000\""));
    let large = format!("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: {LARGE}\r\n\r\n");
    let chunked = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n2dc6c0\r\n";
    let bad = format!("POST /%2e%2e/x HTTP/1.1\r\nHost: a\r\nContent-Length: {LARGE}\r\n\r\n");
    let own = format!(
        "POST /.cloakroom/api/login HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n\
         Content-Length: {LARGE}\r\n\r\n"
    );
    for (asking, status) in [(&*large, "413"), (chunked, "413"), (&*bad, "400"), (&*own, "413")] {
        // A client that looks at nothing before it has sent everything gets its answer, too.
        for sends_all in [asking == own, true] {
            let mut wire = Wire::to(&gateway).await;
            wire.send(asking).await;
            if sends_all || asking == chunked {
                _ = tokio::io::AsyncWriteExt::write_all(&mut wire.stream, &[b'x'; LARGE]).await;
            }
            let (head, _) = wire.response().await;
            assert!(head.starts_with(&format!("HTTP/1.1 {status} ")), "{asking} {head:?}");
            assert!(head.contains("connection: close\r\n"), "{asking} {head}");
            assert_eq!(wire.until_end().await, b"");
        }
    }
    assert_eq!(app.ids().len(), 0);
    let mut wire = Wire::to(&gateway).await;
    for _ in 0..2 {
        let (head, _) = wire.get("/%2e%2e/x").await;
        assert!(head.starts_with("HTTP/1.1 400 ") && !head.contains("connection"), "{head}");
    }
}

/// What is said where it cannot start.
fn refused(dir: &TempDir, config: &str, arguments: &[&str]) -> Output {
    if !config.is_empty() {
        std::fs::write(dir.path().join("cloakroom.toml"), config).unwrap();
    }
    let mut command = command(dir.path());
    command.arg("run").args(arguments).stdout(Stdio::piped()).stderr(Stdio::piped());
    command.output().unwrap()
}

#[test]
fn what_stands_in_the_way_of_a_start_is_said_with_what_to_do() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = taken.local_addr().unwrap();
    let base = public(&["http://127.0.0.1:1".to_owned()], "");
    let free = free_port();
    let listen = format!("[listen]\naddress = \"127.0.0.1:{free}\"\n");
    let with = |more: &str| format!("{listen}{more}{base}");
    let nobody = free_port();
    let cases = [
        (String::new(), 2, "there is no cloakroom.toml here", "cloakroom init"),
        (
            format!("[listen]\naddress = \"{taken}\"\n{base}"),
            1,
            "another program listens on",
            "choose another `address` in [[listen]]",
        ),
        (with("").replace("public", "pubic"), 1, "public", "did you mean"),
        (
            with(&format!("[store]\nurl = \"redis://127.0.0.1:{nobody}\"\n")),
            1,
            "the session store cannot be used",
            "[store] url names it",
        ),
        (
            with("[store]\nurl = \"sqlite:///nowhere/at/all/x.db\"\n"),
            1,
            "the session store cannot be used",
            "[store] url names it",
        ),
        (with("[login]\nusers = \"postgres://u:hunter2@127.0.0.1:1/x\"\n"), 1, "users", "hint: "),
        (with("[identity]\nkeys = \"/proc/keys\"\n"), 1, "keys", "[identity] keys"),
        (
            format!(
                "[listen]\naddress = \"127.0.0.1:{free}\"\ncertificates = \"a.pem\"\n\
                 key = \"b.pem\"\n{base}"
            ),
            1,
            "there is no file",
            "a.pem",
        ),
    ];
    for (config, code, what, hint) in cases {
        let dir = TempDir::new().unwrap();
        let output = refused(&dir, &config, &[]);
        let said = String::from_utf8(output.stderr).unwrap();
        println!("----\n{said}");
        assert_eq!(output.status.code(), Some(code), "{said}");
        assert!(said.contains(what) && said.contains(hint), "{what:?}, {hint:?}: {said}");
        assert!(!said.contains("hunter2") && !said.contains("panicked"), "{said}");
        assert!(output.stdout.is_empty());
    }
    let dir = TempDir::new().unwrap();
    let output = refused(&dir, "", &["--config", "other.toml"]);
    let said = String::from_utf8(output.stderr).unwrap();
    println!("----\n{said}");
    assert!(said.contains("other.toml"), "{said}");
}
