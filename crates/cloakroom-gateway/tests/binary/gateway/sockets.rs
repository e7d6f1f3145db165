//! Plain sockets at both ends of the gateway: clients and servers that write and read bytes.

use std::net::SocketAddr;
use std::sync::Arc;
use std::{fs, io};

use cloakroom_testkit::servers::Certificates;
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;
use tempfile::TempDir;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::support::{Gateway, whole};
use crate::support::{BOUND, free_port};

/// A connection, and what of it was read too far.
pub(crate) struct Wire<T = TcpStream> {
    pub(crate) stream: T,
    ahead: Vec<u8>,
}

impl Wire {
    /// Connects to a gateway.
    pub(crate) async fn to(gateway: &Gateway) -> Self {
        Self::at(gateway.port).await
    }

    pub(crate) async fn at(port: u16) -> Self {
        let stream = TcpStream::connect(("127.0.0.1", port)).await.expect("it listens");
        stream.set_nodelay(true).unwrap();
        Self::over(stream)
    }
}

impl<T: AsyncRead + AsyncWrite + Unpin> Wire<T> {
    pub(crate) const fn over(stream: T) -> Self {
        Self { stream, ahead: Vec::new() }
    }

    pub(crate) async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.stream.write_all(bytes.as_ref()).await.expect("it is read");
    }

    /// Reads the head of a request or of a response; empty where the connection has ended.
    pub(crate) async fn head(&mut self) -> String {
        String::from_utf8(self.through(b"\r\n\r\n").await).expect("text")
    }

    /// Reads up to and with `mark`; less where the connection ends before.
    pub(crate) async fn through(&mut self, mark: &[u8]) -> Vec<u8> {
        let mut from = 0;
        loop {
            if let Some(at) = self.ahead[from..].windows(mark.len()).position(|some| some == mark) {
                let rest = self.ahead.split_off(from + at + mark.len());
                return std::mem::replace(&mut self.ahead, rest);
            }
            from = self.ahead.len().saturating_sub(mark.len());
            let read = timeout(BOUND, self.stream.read_buf(&mut self.ahead)).await;
            if !matches!(read.expect("it goes on"), Ok(1..)) {
                return std::mem::take(&mut self.ahead);
            }
        }
    }

    /// Reads so many bytes; fewer where the connection ends before.
    pub(crate) async fn exactly(&mut self, count: usize) -> Vec<u8> {
        while self.ahead.len() < count {
            let read = timeout(BOUND, self.stream.read_buf(&mut self.ahead)).await;
            if !matches!(read.expect("it goes on"), Ok(1..)) {
                return std::mem::take(&mut self.ahead);
            }
        }
        let rest = self.ahead.split_off(count);
        std::mem::replace(&mut self.ahead, rest)
    }

    /// Reads to the end; an error is an end, too.
    pub(crate) async fn until_end(&mut self) -> Vec<u8> {
        self.exactly(usize::MAX).await
    }

    /// Sends a GET, and reads the response, whose length has to be in its head.
    pub(crate) async fn get(&mut self, path: &str) -> (String, Vec<u8>) {
        self.send(format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n")).await;
        self.response().await
    }

    pub(crate) async fn response(&mut self) -> (String, Vec<u8>) {
        let head = self.head().await;
        let length = length(&head);
        (head, self.exactly(length).await)
    }
}

/// What a head says of the length of its body.
pub(crate) fn length(head: &str) -> usize {
    let value = |line: &str| {
        let (name, value) = line.split_once(": ")?;
        name.eq_ignore_ascii_case("content-length").then(|| value.parse().unwrap())
    };
    head.lines().find_map(value).unwrap_or_default()
}

/// A server that does with every connection what `play` does.
pub(crate) async fn played<F>(play: impl Fn(Wire) -> F + Send + Sync + 'static) -> SocketAddr
where
    F: Future<Output = ()> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let play = Arc::new(play);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            stream.set_nodelay(true).unwrap();
            tokio::spawn(play(Wire::over(stream)));
        }
    });
    address
}

/// Plays a server of WebSockets: sends back what it gets, and `bye` after its end.
pub(crate) async fn echo(mut wire: Wire) {
    let head = wire.head().await;
    let key = head.lines().find_map(|line| line.strip_prefix("sec-websocket-key: "));
    let Some(key) = key else {
        let refused = "HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
        return wire.send(refused).await;
    };
    wire.send(format!(
        "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Accept: {key}\r\n\r\nhello"
    ))
    .await;
    let mut some = std::mem::take(&mut wire.ahead);
    loop {
        if wire.stream.write_all(&some).await.is_err() {
            return;
        }
        some.clear();
        if !matches!(wire.stream.read_buf(&mut some).await, Ok(1..)) {
            break;
        }
    }
    _ = wire.stream.write_all(b"bye").await;
    _ = wire.stream.shutdown().await;
}

/// A handshake for a WebSocket, with this key.
pub(crate) fn handshake(path: &str, key: &str) -> String {
    format!(
        "GET {path} HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\n\r\n"
    )
}

/// Reads the answer to a handshake. Panics where the protocol is not switched to that of [`echo`].
pub(crate) async fn switched(wire: &mut Wire, key: &str) {
    let head = wire.head().await;
    assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
    assert!(head.contains(&format!("sec-websocket-accept: {key}\r\n")), "{head}");
    assert_eq!(wire.exactly(5).await, b"hello");
}

/// Connects to a gateway by TLS, trusting what these certificates' authority vouches for.
pub(crate) async fn by_tls(
    gateway: &Gateway,
    signed: &Certificates,
    protocols: &[&str],
) -> io::Result<TlsStream<TcpStream>> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(signed.authority()).unwrap()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider);
    let config = config.with_safe_default_protocol_versions().unwrap();
    let mut config = config.with_root_certificates(roots).with_no_client_auth();
    config.alpn_protocols = protocols.iter().map(|name| name.as_bytes().to_vec()).collect();
    let stream = TcpStream::connect(("127.0.0.1", gateway.port)).await?;
    let connecting = TlsConnector::from(Arc::new(config));
    timeout(BOUND, connecting.connect("127.0.0.1".try_into().unwrap(), stream)).await?
}

/// A gateway that listens by TLS.
pub(crate) fn secured(signed: &Certificates, config: &str) -> Gateway {
    let (dir, port) = (TempDir::new().unwrap(), free_port());
    let (certificates, key) = (signed.server(), signed.server_key());
    let listen = format!(
        "[listen]\naddress = \"127.0.0.1:{port}\"\ncertificates = {certificates:?}\nkey = {key:?}\n"
    );
    fs::write(dir.path().join("cloakroom.toml"), whole(&(listen + config), port)).unwrap();
    Gateway::run(dir, port, &[])
}
