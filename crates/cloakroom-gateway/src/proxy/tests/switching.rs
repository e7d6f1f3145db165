//! Connections that go on with another protocol.

use std::sync::Arc;
use std::time::Duration;

use cloakroom::{MemoryStore, Store};
use cloakroom_testkit::stores::{Call, Counting};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::support::{
    gateway, gateway_for, origin, played, read_request, read_until, settings, soon,
};
use crate::proxy::{Timeouts, UpstreamSettings};
use crate::serve::Limits;

const ASKING: &str = "GET /socket HTTP/1.1\r\nHost: a\r\nConnection: Upgrade, X_User_Id\r\n\
    Upgrade: websocket\r\nX_User_Id: mallory\r\nX-User-Id: mallory\r\n\r\n";

#[tokio::test]
async fn bytes_pass_both_ways_until_both_ends_have_ended() {
    let address = played(|_, mut stream| async move {
        let request = String::from_utf8(read_request(&mut stream).await.unwrap()).unwrap();
        assert!(request.contains("\r\nupgrade: websocket\r\n"), "{request}");
        assert!(request.contains("\r\nconnection: upgrade\r\n"), "{request}");
        assert!(request.contains("\r\nx-user-id: alice\r\n"), "{request}");
        assert!(!request.contains("mallory"), "{request}");
        let head = "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\n\
            Upgrade: websocket\r\n\r\nfirst";
        stream.write_all(head.as_bytes()).await.unwrap();
        let mut said = Vec::new();
        // Its end is heard while the other direction goes on.
        stream.read_to_end(&mut said).await.unwrap();
        stream.write_all(&said).await.unwrap();
    })
    .await;
    let gateway = gateway(settings(&[address]));
    let mut stream = gateway.connect().await;
    stream.write_all(ASKING.as_bytes()).await.unwrap();
    let head = soon(read_until(&mut stream, b"\r\n\r\nfirst")).await.unwrap();
    let head = String::from_utf8(head).unwrap();
    assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
    assert!(head.contains("connection: upgrade\r\n"), "{head}");
    stream.write_all(b"ping").await.unwrap();
    stream.shutdown().await.unwrap();
    let mut rest = Vec::new();
    soon(stream.read_to_end(&mut rest)).await.unwrap();
    assert_eq!(rest, b"ping");
}

#[tokio::test]
async fn a_server_need_not_go_on_with_it() {
    let origin = origin().await;
    let gateway = gateway(settings(&[origin.address]));
    for _ in 0..2 {
        let answer = gateway.ask(ASKING.replace("Upgrade, ", "Upgrade, close, ")).await;
        assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    }
}

#[tokio::test]
async fn a_server_that_switches_unasked_has_not_answered() {
    let address = played(|_, mut stream| async move {
        read_request(&mut stream).await;
        let head = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n";
        _ = stream.write_all(head.as_bytes()).await;
    })
    .await;
    let gateway = gateway(settings(&[address]));
    assert!(gateway.get("/").await.starts_with("HTTP/1.1 502 "));
}

/// A server that goes on with it, and returns what it is sent.
async fn returning() -> std::net::SocketAddr {
    played(|_, mut stream| async move {
        read_request(&mut stream).await.unwrap();
        let head = "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\n\
            Upgrade: websocket\r\n\r\n";
        stream.write_all(head.as_bytes()).await.unwrap();
        let (mut reading, mut writing) = stream.split();
        _ = tokio::io::copy(&mut reading, &mut writing).await;
    })
    .await
}

#[tokio::test]
async fn it_ends_with_the_login_that_let_it_in() {
    let store = Arc::new(Counting::new(Arc::new(MemoryStore::new())));
    let sessions = cloakroom::sessions(Arc::clone(&store) as Arc<dyn Store>).build().unwrap();
    let session = sessions.open(&[], cloakroom::Client::default()).await.unwrap();
    session.log_in("alice").unwrap();
    sessions.finish(&session).await.unwrap();
    let live = session.live();
    assert!(live.is_some());
    let gateway = gateway_for(settings(&[returning().await]), Limits::default(), live);
    let mut stream = gateway.connect().await;
    stream.write_all(ASKING.as_bytes()).await.unwrap();
    soon(read_until(&mut stream, b"\r\n\r\n")).await.unwrap();
    store.take();
    while store.count(Call::Load) < 10 {
        stream.write_all(b"ping").await.unwrap();
        soon(read_until(&mut stream, b"ping")).await.expect("it goes on while the login holds");
    }
    assert_eq!(sessions.end_all("alice", None).await.unwrap(), 1);
    assert_eq!(soon(read_until(&mut stream, b"more")).await, None);
}

#[tokio::test]
async fn it_ends_when_nothing_moves_any_more() {
    let timeouts = Timeouts { upgraded_idle: Duration::from_millis(50), ..Timeouts::default() };
    let gateway = gateway(UpstreamSettings { timeouts, ..settings(&[returning().await]) });
    let mut stream = gateway.connect().await;
    stream.write_all(ASKING.as_bytes()).await.unwrap();
    soon(read_until(&mut stream, b"\r\n\r\n")).await.unwrap();
    assert_eq!(soon(read_until(&mut stream, b"more")).await, None);
}
