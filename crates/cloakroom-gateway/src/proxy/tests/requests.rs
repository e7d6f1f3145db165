//! What servers see of requests, and clients of responses.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use super::support::{gateway, origin, played, read_request, read_until, settings, soon};
use crate::proxy::Balance;

#[tokio::test]
async fn a_server_sees_the_request_and_who_asks() {
    let origin = origin().await;
    let gateway = gateway(settings(&[origin.address]));
    let answer = gateway
        .ask(
            "POST /a/b?c=%20d HTTP/1.1\r\nHost: Shop.example\r\nX_User_Id: mallory\r\n\
             X-User-Id: mallory\r\nConnection: close, X-User-Id\r\nCookie: session=s; a=b\r\n\
             X-Forwarded-For: 6.6.6.6\r\nContent-Length: 5\r\n\r\nhello",
        )
        .await;
    let seen = answer.split_once("\r\n\r\n").unwrap().1;
    assert!(seen.starts_with("POST /a/b?c=%20d HTTP/1.1\r\n"), "{seen}");
    assert!(seen.ends_with("\r\n\r\nhello"), "{seen}");
    let lower = seen.to_lowercase();
    for line in ["host: shop.example", "x-user-id: alice", "cookie: a=b", "via: 1.1 cloakroom"] {
        assert_eq!(lower.matches(&format!("\r\n{line}\r\n")).count(), 1, "{line}: {seen}");
    }
    assert!(lower.contains("\r\nx-forwarded-for: 127.0.0.1\r\n"), "{seen}");
    assert!(!lower.contains("mallory") && !lower.contains("session"), "{seen}");
}

#[tokio::test]
async fn connections_are_used_again() {
    let address = played(|n, mut stream| async move {
        while read_request(&mut stream).await.is_some() {
            let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n{n}");
            stream.write_all(answer.as_bytes()).await.unwrap();
        }
    })
    .await;
    let gateway = gateway(settings(&[address]));
    for _ in 0..3 {
        assert!(gateway.get("/").await.ends_with("\r\n\r\n0"));
    }
}

#[tokio::test]
async fn the_servers_own_name_is_sent_where_it_is_wanted() {
    let origin = origin().await;
    let gateway =
        gateway(crate::proxy::UpstreamSettings { keep_host: false, ..settings(&[origin.address]) });
    let answer = gateway.get("/").await;
    assert!(answer.contains(&format!("\r\nhost: {}\r\n", origin.address)), "{answer}");
    assert!(answer.contains("\r\nx-forwarded-host: a\r\n"), "{answer}");
}

#[tokio::test]
async fn a_cookie_leads_to_the_same_server_while_it_is_well() {
    let (a, b) = (origin().await, origin().await);
    let sticky = crate::proxy::UpstreamSettings {
        balance: Balance::Cookie("node".to_owned()),
        ..settings(&[a.address, b.address])
    };
    let gateway = gateway(sticky);
    let answer = gateway.get("/").await;
    let (_, cookie) = answer.split_once("set-cookie: node=").unwrap();
    let (cookie, attributes) = cookie.split_once(';').unwrap();
    assert!(attributes.starts_with(" Path=/; HttpOnly; SameSite=Lax\r\n"), "{answer}");
    let (first, other) = if a.asked() == 1 { (a, b) } else { (b, a) };
    let asking =
        format!("GET / HTTP/1.1\r\nHost: a\r\nCookie: node={cookie}\r\nConnection: close\r\n\r\n");
    for _ in 0..5 {
        let answer = gateway.ask(&asking).await;
        assert!(!answer.contains("set-cookie") && !answer.contains("node="), "{answer}");
    }
    assert_eq!((first.asked(), other.asked()), (6, 0));
    first.kill().await;
    let answer = gateway.ask(&asking).await;
    assert!(
        answer.starts_with("HTTP/1.1 200 ") && answer.contains("set-cookie: node="),
        "{answer}"
    );
    assert_eq!(other.asked(), 1);
}

#[tokio::test]
async fn what_is_under_way_is_finished_after_the_gateway_was_asked_to_stop() {
    let (go, waits) = tokio::sync::watch::channel(false);
    let address = played(move |_, mut stream| {
        let mut waits = waits.clone();
        async move {
            read_request(&mut stream).await.unwrap();
            stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nhe").await.unwrap();
            waits.wait_for(|go| *go).await.unwrap();
            stream.write_all(b"re").await.unwrap();
        }
    })
    .await;
    let gateway = gateway(settings(&[address]));
    let (address, ready) = (gateway.address, gateway.ready.clone());
    let (mut busy, mut idle) = (gateway.connect().await, gateway.connect().await);
    busy.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
    let head = soon(read_until(&mut busy, b"\r\n\r\nhe")).await.unwrap();
    assert!(head.starts_with(b"HTTP/1.1 200 "));
    assert!(ready.is_ready());
    idle.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
    soon(read_until(&mut idle, b"\r\n\r\nhe")).await.unwrap();
    let stopping = tokio::spawn(gateway.stop());
    soon(async {
        while ready.is_ready() || tokio::net::TcpStream::connect(address).await.is_ok() {
            tokio::task::yield_now().await;
        }
    })
    .await;
    assert!(!stopping.is_finished());
    go.send_replace(true);
    assert_eq!(soon(read_until(&mut busy, b"re")).await.unwrap(), b"re");
    assert_eq!(soon(read_until(&mut busy, b"more")).await, None);
    soon(stopping).await.unwrap();
}

#[tokio::test]
async fn a_request_that_comes_back_again_and_again_is_stopped() {
    let (own, asked) = (Arc::new(OnceLock::new()), Arc::new(AtomicUsize::new(0)));
    let (to, count) = (Arc::clone(&own), Arc::clone(&asked));
    let address = played(move |_, mut stream| {
        count.fetch_add(1, Ordering::SeqCst);
        let to = *to.get().unwrap();
        async move {
            let mut back = TcpStream::connect(to).await.unwrap();
            _ = tokio::io::copy_bidirectional(&mut stream, &mut back).await;
        }
    })
    .await;
    let gateway = gateway(settings(&[address]));
    own.set(gateway.address).unwrap();
    let answer = gateway.get("/").await;
    assert!(answer.starts_with("HTTP/1.1 508 "), "{answer}");
    assert_eq!(asked.load(Ordering::SeqCst), 5, "the fifth return is one too many");
    // Whoever came through some others is served.
    let origin = origin().await;
    let gateway = super::support::gateway(settings(&[origin.address]));
    let via = "Via: 1.1 cloakroom, 2.0 cloakroom\r\nVia: 1.1 elsewhere\r\nVia: 1.0 cloakroom";
    let request = format!("GET / HTTP/1.1\r\nHost: a\r\n{via}\r\nConnection: close\r\n\r\n");
    let answer = gateway.ask(request).await;
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
}
