//! A gateway in front of servers that the test plays, all on free ports.

use std::convert::Infallible;
use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::body::Body;
use cloakroom::{Live, PeerAddr};
use http::{HeaderName, Request, Response};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::pages::Problem;
use crate::proxy::forward::{Errand, forward};
use crate::proxy::upstream::Upstream;
use crate::proxy::{
    Balance, Borders, OwnCookies, Scheme, ServerSettings, Timeouts, TokenHeaders, UpstreamSettings,
    Vigil,
};
use crate::serve::{self, Door, Limits, Listen, Readiness, Target};

/// Longer than anything here takes; what waits for so long has failed.
pub(super) const PATIENCE: Duration = Duration::from_secs(30);

pub(super) async fn soon<T>(event: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, event).await.expect("this does not happen")
}

pub(super) fn server(address: SocketAddr) -> ServerSettings {
    let host = address.ip().to_string();
    ServerSettings { scheme: Scheme::Http, host, port: address.port(), weight: 1 }
}

pub(super) fn settings(servers: &[SocketAddr]) -> UpstreamSettings {
    UpstreamSettings {
        name: "it".into(),
        servers: servers.iter().copied().map(server).collect(),
        authorities: None,
        balance: Balance::RoundRobin,
        timeouts: Timeouts::default(),
        health: None,
        retries: 2,
        keep_host: true,
        audience: None,
        most_body: None,
    }
}

/// A gateway that forwards everything.
pub(super) struct Gateway {
    pub(super) address: SocketAddr,
    pub(super) ready: Readiness,
    pub(super) upstream: Arc<Upstream>,
    stop: Option<oneshot::Sender<()>>,
    serving: JoinHandle<()>,
}

pub(super) fn gateway(settings: UpstreamSettings) -> Gateway {
    gateway_with(settings, Limits::default())
}

pub(super) fn gateway_with(settings: UpstreamSettings, limits: Limits) -> Gateway {
    gateway_for(settings, limits, None)
}

/// A gateway whose upgraded connections end with this login, which is looked at all the time.
pub(super) fn gateway_for(
    settings: UpstreamSettings,
    limits: Limits,
    login: Option<Live>,
) -> Gateway {
    let upstream = Arc::new(Upstream::new(settings, |_| None).unwrap().looked_after());
    let identity = HeaderName::from_static("x-user-id");
    let own = OwnCookies::new(vec!["session".to_owned()]);
    let tokens = TokenHeaders::default();
    let borders = Arc::new(Borders::new([&identity], own, tokens, Default::default()));
    let forwarding = Arc::clone(&upstream);
    let service = tower::service_fn(move |request: Request<Body>| {
        let (upstream, borders) = (Arc::clone(&forwarding), Arc::clone(&borders));
        let every = Duration::from_millis(10);
        let vigil = login.clone().map(|live| Vigil { live, every });
        async move { Ok::<_, Infallible>(answer(&upstream, &borders, request, vigil).await) }
    });
    let door = Door::open(&Listen { address: ([127, 0, 0, 1], 0).into(), tls: None }).unwrap();
    let address = door.address().unwrap();
    let (ready, (stop, stopped)) = (Readiness::default(), oneshot::channel());
    let serving = serve::run(vec![door], limits, ready.clone(), service, async {
        _ = stopped.await;
    });
    let serving = tokio::spawn(serving);
    Gateway { address, ready, upstream, stop: Some(stop), serving }
}

async fn answer(
    upstream: &Upstream,
    borders: &Arc<Borders>,
    request: Request<Body>,
    vigil: Option<Vigil>,
) -> Response<Body> {
    let (parts, body) = request.into_parts();
    let target = Target::of(&parts).map(drop);
    let request = Request::from_parts(parts, body);
    let answered = match target {
        Ok(_) => {
            let path = request.uri().path().to_owned();
            let client = request.extensions().get().map(|PeerAddr(address)| *address);
            let https = request.uri().scheme_str() == Some("https");
            let identity = vec![(HeaderName::from_static("x-user-id"), "alice".parse().unwrap())];
            let path = path.as_str();
            let errand = Errand { path, request, identity, affinity: None, client, https, vigil };
            forward(upstream, borders, errand).await
        }
        Err(why) => Err(Problem::BadRequest(why)),
    };
    answered.unwrap_or_else(|problem| {
        let mut response = Response::new(Body::from(format!("{problem:?}")));
        *response.status_mut() = problem.status();
        response
    })
}

impl Gateway {
    /// Asks it to stop, and waits until it has.
    pub(super) async fn stop(self) {
        drop(self.stop);
        soon(self.serving).await.unwrap();
    }

    pub(super) async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }

    /// Sends bytes, and returns all that comes back until the connection ends.
    pub(super) async fn ask(&self, bytes: impl AsRef<[u8]>) -> String {
        let mut stream = self.connect().await;
        stream.write_all(bytes.as_ref()).await.unwrap();
        let mut answer = Vec::new();
        // A reset after the answer is as good an end.
        _ = soon(stream.read_to_end(&mut answer)).await;
        String::from_utf8_lossy(&answer).into_owned()
    }

    /// The answer to one request, whose connection ends with it.
    pub(super) async fn get(&self, path: &str) -> String {
        self.ask(format!("GET {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")).await
    }
}

/// A server that answers each request with the bytes that it got, and counts them.
pub(super) struct Origin {
    pub(super) address: SocketAddr,
    asked: Arc<AtomicUsize>,
    serving: JoinHandle<()>,
}

impl Origin {
    pub(super) fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }

    /// Ends it, with all its connections.
    pub(super) async fn kill(self) {
        self.serving.abort();
        _ = self.serving.await;
    }
}

pub(super) async fn origin() -> Origin {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (address, asked) = (listener.local_addr().unwrap(), Arc::new(AtomicUsize::new(0)));
    let counting = Arc::clone(&asked);
    let serving = tokio::spawn(async move {
        let mut connections = tokio::task::JoinSet::new();
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            connections.spawn(echo(stream, Arc::clone(&counting)));
        }
    });
    Origin { address, asked, serving }
}

async fn echo(mut stream: TcpStream, asked: Arc<AtomicUsize>) {
    while let Some(request) = read_request(&mut stream).await {
        asked.fetch_add(1, Ordering::SeqCst);
        let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", request.len());
        _ = stream.write_all(&[head.as_bytes(), &request].concat()).await;
    }
}

/// Reads up to this, or to the end of the connection.
pub(super) async fn read_until(stream: &mut TcpStream, end: &[u8]) -> Option<Vec<u8>> {
    let mut read = Vec::new();
    while !read.ends_with(end) {
        read.push(stream.read_u8().await.ok()?);
    }
    Some(read)
}

/// One whole request, as it came.
pub(super) async fn read_request(stream: &mut TcpStream) -> Option<Vec<u8>> {
    let mut request = read_until(stream, b"\r\n\r\n").await?;
    let head = String::from_utf8_lossy(&request).to_ascii_lowercase();
    if let Some((_, length)) = head.split_once("\r\ncontent-length: ") {
        let length = length.split("\r\n").next()?.parse().ok()?;
        let mut body = vec![0; length];
        stream.read_exact(&mut body).await.ok()?;
        request.extend(body);
    } else if head.contains("\r\ntransfer-encoding: chunked") {
        request.extend(read_until(stream, b"0\r\n\r\n").await?);
    }
    Some(request)
}

/// A server that does with its n-th connection what `play` says.
pub(super) async fn played<F, P>(play: P) -> SocketAddr
where
    P: Fn(usize, TcpStream) -> F + Send + 'static,
    F: Future<Output = ()> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        for n in 0.. {
            let (stream, _) = listener.accept().await.unwrap();
            tokio::spawn(play(n, stream));
        }
    });
    address
}

/// An address where nobody listens.
pub(super) async fn nobody() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    listener.local_addr().unwrap()
}

/// A server to which no connection comes about, and none is refused: its queue is full.
pub(super) struct Hanging {
    pub(super) address: SocketAddr,
    _listener: TcpListener,
    _waiting: Vec<TcpStream>,
}

impl Hanging {
    pub(super) async fn start() -> Self {
        let socket = tokio::net::TcpSocket::new_v4().unwrap();
        socket.bind(([127, 0, 0, 1], 0).into()).unwrap();
        let listener = socket.listen(1).unwrap();
        let address = listener.local_addr().unwrap();
        let mut waiting = Vec::new();
        let most = Duration::from_millis(100);
        while let Ok(stream) = tokio::time::timeout(most, TcpStream::connect(address)).await {
            waiting.push(stream.unwrap());
        }
        Self { address, _listener: listener, _waiting: waiting }
    }
}
