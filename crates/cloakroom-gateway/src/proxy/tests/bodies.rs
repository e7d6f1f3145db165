//! Bodies: streamed, and within their limits.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::support::{gateway, origin, played, read_request, read_until, settings, soon};
use crate::proxy::{Timeouts, UpstreamSettings};

#[tokio::test]
async fn too_large_a_body_is_refused_at_once_or_cut() {
    let origin = origin().await;
    let gateway = gateway(UpstreamSettings { most_body: Some(4), ..settings(&[origin.address]) });
    let fits = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nConnection: close\r\n\r\nfour";
    assert!(gateway.ask(fits).await.starts_with("HTTP/1.1 200 "));
    let known = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n";
    assert!(gateway.ask(known).await.starts_with("HTTP/1.1 413 "));
    let unknown = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n\
        4\r\nfour\r\n1\r\n!\r\n0\r\n\r\n";
    assert!(gateway.ask(unknown).await.starts_with("HTTP/1.1 413 "));
    assert_eq!(origin.asked(), 1);
}

#[tokio::test]
async fn a_client_is_told_to_go_on_once_its_body_is_wanted() {
    let origin = origin().await;
    let gateway = gateway(UpstreamSettings { most_body: Some(4), ..settings(&[origin.address]) });
    let mut stream = gateway.connect().await;
    let head = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\n";
    stream.write_all(head.as_bytes()).await.unwrap();
    let told = soon(read_until(&mut stream, b"\r\n\r\n")).await.unwrap();
    assert_eq!(told, b"HTTP/1.1 100 Continue\r\n\r\n");
    stream.write_all(b"body").await.unwrap();
    let answer = soon(read_until(&mut stream, b"\r\n\r\nbody")).await.unwrap();
    let answer = String::from_utf8(answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 ") && !answer.contains("expect"), "{answer}");
    // One that is refused is not asked for.
    let refused = gateway.ask(head.replace(": 4", ": 5")).await;
    assert!(refused.starts_with("HTTP/1.1 413 "), "{refused}");
}

#[tokio::test]
async fn each_event_arrives_before_the_next_is_sent() {
    let (next, events) = tokio::sync::watch::channel(0);
    let address = played(move |_, mut stream| {
        let mut events = events.clone();
        async move {
            read_request(&mut stream).await.unwrap();
            let head = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n";
            stream.write_all(head.as_bytes()).await.unwrap();
            for n in 0..3 {
                events.wait_for(|next| *next >= n).await.unwrap();
                stream.write_all(format!("data: {n}\n\n").as_bytes()).await.unwrap();
            }
        }
    })
    .await;
    let gateway = gateway(settings(&[address]));
    let mut stream = gateway.connect().await;
    stream.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
    for n in 0..3 {
        soon(read_until(&mut stream, format!("data: {n}\n\n").as_bytes())).await.unwrap();
        next.send_replace(n + 1);
    }
}

#[tokio::test]
async fn a_client_may_send_on_while_it_does_not_read() {
    const MUCH: usize = 32 << 20;
    let address = played(|_, mut stream| async move {
        read_until(&mut stream, b"\r\n\r\n").await.unwrap();
        let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {MUCH}\r\n\r\n");
        stream.write_all(head.as_bytes()).await.unwrap();
        let (mut reading, mut writing) = stream.split();
        let mut body = (&mut reading).take(MUCH as u64);
        let (answer, mut nowhere) = (vec![b'x'; MUCH], tokio::io::sink());
        let both = (tokio::io::copy(&mut body, &mut nowhere), writing.write_all(&answer));
        let (read, written) = tokio::join!(both.0, both.1);
        assert!(read.is_ok() && written.is_ok());
    })
    .await;
    let gateway = gateway(settings(&[address]));
    let mut stream = gateway.connect().await;
    let head = format!(
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: {MUCH}\r\nConnection: close\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    soon(stream.write_all(&vec![b'y'; MUCH])).await.unwrap();
    let mut answer = Vec::new();
    soon(stream.read_to_end(&mut answer)).await.unwrap();
    assert!(answer.len() > MUCH && answer.ends_with(b"xx"));
}

#[tokio::test]
async fn a_body_that_the_client_breaks_off_is_not_the_servers_fault() {
    let origin = origin().await;
    let gateway = gateway(settings(&[origin.address]));
    for _ in 0..5 {
        let mut stream = gateway.connect().await;
        stream
            .write_all(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nhalf")
            .await
            .unwrap();
        drop(stream);
    }
    assert!(gateway.get("/").await.starts_with("HTTP/1.1 200 "));
    let now = std::time::Instant::now;
    let admits = gateway.upstream.members[0].server.health.admits(now);
    assert_eq!(admits, crate::proxy::health::Admits::All);
}

#[tokio::test]
async fn trailers_do_not_say_who_asks() {
    let address = played(|_, mut stream| async move {
        let head = read_until(&mut stream, b"\r\n\r\n").await.unwrap();
        let body = read_until(&mut stream, b"\r\n\r\n").await.unwrap();
        let said = [head, body].concat();
        let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", said.len());
        stream.write_all(&[head.as_bytes(), &said].concat()).await.unwrap();
    })
    .await;
    let gateway = gateway(settings(&[address]));
    let answer = gateway
        .ask(
            "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nConnection: close, TE\r\n\
             TE: trailers\r\nTrailer: X-User-Id, x_user_id, x-sum, Forwarded\r\n\r\n3\r\nabc\r\n0\r\n\
             X-User-Id: mallory\r\nx_user_id: mallory\r\nForwarded: for=mallory\r\nx-sum: 7\r\n\r\n",
        )
        .await;
    let said = answer.to_lowercase();
    assert!(said.contains("\r\ntrailer: x-sum\r\n"), "{answer}");
    assert!(said.contains("\r\ntrailer: x-sum\r\n"), "{answer}");
    assert!(said.ends_with("\r\n0\r\nx-sum: 7\r\n\r\n"), "{answer}");
    assert!(!said.contains("mallory"), "{answer}");
}

#[tokio::test]
async fn a_server_that_stops_reading_holds_no_client() {
    let address = played(|_, mut stream| async move {
        read_until(&mut stream, b"\r\n\r\n").await.unwrap();
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").await.unwrap();
        std::future::pending::<()>().await;
    })
    .await;
    let timeouts = Timeouts { body_idle: Duration::from_millis(100), ..Timeouts::default() };
    let gateway = gateway(UpstreamSettings { timeouts, ..settings(&[address]) });
    let mut stream = gateway.connect().await;
    let head = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 999999999\r\n\r\n";
    stream.write_all(head.as_bytes()).await.unwrap();
    let answer = soon(read_until(&mut stream, b"\r\n\r\nok")).await.unwrap();
    assert!(answer.starts_with(b"HTTP/1.1 200 "));
    // More than all that lies between them holds: the gateway has to end it.
    let piece = [b'x'; 65_536];
    soon(async { while stream.write_all(&piece).await.is_ok() {} }).await;
}
