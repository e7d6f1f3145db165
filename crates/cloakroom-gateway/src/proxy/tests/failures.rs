//! Servers that cannot be reached, break off, or take too long.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::support::{gateway, nobody, origin, played, read_request, settings};
use crate::proxy::{Timeouts, UpstreamSettings};

#[tokio::test]
async fn a_request_goes_to_another_server_where_one_cannot_be_reached() {
    let (away, well) = (nobody().await, origin().await);
    let gateway = gateway(settings(&[away, well.address]));
    for n in 1..=6 {
        let posted =
            "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\nConnection: close\r\n\r\nhi";
        let answer = gateway.ask(posted).await;
        assert!(answer.starts_with("HTTP/1.1 200 ") && answer.ends_with("hi"), "{answer}");
        assert_eq!(well.asked(), n);
    }
}

#[tokio::test]
async fn nobody_to_be_reached_is_said_so() {
    let gateway = gateway(settings(&[nobody().await, nobody().await]));
    assert!(gateway.get("/").await.starts_with("HTTP/1.1 502 "));
}

/// Answers the first request of each connection, and breaks off at the second.
async fn broken_at_the_second(seen: Arc<AtomicUsize>) -> std::net::SocketAddr {
    played(move |_, mut stream| {
        let seen = Arc::clone(&seen);
        async move {
            read_request(&mut stream).await.unwrap();
            seen.fetch_add(1, Ordering::SeqCst);
            stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").await.unwrap();
            read_request(&mut stream).await;
            seen.fetch_add(1, Ordering::SeqCst);
        }
    })
    .await
}

#[tokio::test]
async fn an_idempotent_request_is_sent_again_where_its_old_connection_breaks() {
    let (seen, beside) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let address = broken_at_the_second(Arc::clone(&seen)).await;
    let other = broken_at_the_second(Arc::clone(&beside)).await;
    let gateway = gateway(settings(&[address, other]));
    for _ in 0..3 {
        assert!(gateway.get("/").await.ends_with("ok"));
    }
    // In their turns; and then to the same server again, which is well.
    assert_eq!(seen.load(Ordering::SeqCst), 3);
    assert_eq!(beside.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn what_may_have_been_done_is_not_done_again() {
    let seen = Arc::new(AtomicUsize::new(0));
    let address = broken_at_the_second(Arc::clone(&seen)).await;
    let gateway = gateway(settings(&[address]));
    assert!(gateway.get("/").await.ends_with("ok"));
    let post = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
    assert!(gateway.ask(post).await.starts_with("HTTP/1.1 502 "));
    assert_eq!(seen.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn a_server_that_does_not_answer_is_given_up() {
    let address = played(|_, mut stream| async move {
        read_request(&mut stream).await;
        _ = stream.read_u8().await;
    })
    .await;
    let timeouts = Timeouts { response: Duration::from_millis(50), ..Timeouts::default() };
    let gateway = gateway(UpstreamSettings { timeouts, ..settings(&[address]) });
    assert!(gateway.get("/").await.starts_with("HTTP/1.1 504 "));
}

#[tokio::test]
async fn a_body_that_does_not_go_on_ends_the_connection() {
    let address = played(|_, mut stream| async move {
        read_request(&mut stream).await;
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf").await.unwrap();
        _ = stream.read_u8().await;
    })
    .await;
    let timeouts = Timeouts { body_idle: Duration::from_millis(50), ..Timeouts::default() };
    let gateway = gateway(UpstreamSettings { timeouts, ..settings(&[address]) });
    let answer = gateway.get("/").await;
    assert!(answer.starts_with("HTTP/1.1 200 ") && answer.ends_with("half"), "{answer}");
}

#[tokio::test]
async fn killing_a_server_under_load_fails_no_idempotent_request() {
    let (a, b) = (origin().await, origin().await);
    let gateway = Arc::new(gateway(settings(&[a.address, b.address])));
    let asking = (0..8).map(|_| {
        let gateway = Arc::clone(&gateway);
        tokio::spawn(async move {
            for _ in 0..50 {
                let answer = gateway.get("/").await;
                assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
            }
        })
    });
    let asking: Vec<_> = asking.collect();
    while a.asked() < 50 {
        tokio::task::yield_now().await;
    }
    a.kill().await;
    for asking in asking {
        asking.await.unwrap();
    }
}
