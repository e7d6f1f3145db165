//! WebSocket upgrades through the gateway, many at once: none is lost, and no byte of one.

#![allow(clippy::print_stdout, reason = "what was counted is printed")]

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::backend::public;
use super::sockets::{Wire, echo, handshake, played, switched};
use super::support::Gateway;

/// Upgrades of the everyday test, and of the long one.
const USUAL: u64 = 2_000;
const LONG: u64 = 20_000;
/// How many clients there are at once.
const CLIENTS: u64 = 64;

/// Goes through the life of one WebSocket.
async fn one(port: u16, number: u64) {
    let key = format!("key-{number}");
    let mut wire = Wire::at(port).await;
    // Some clients do not wait for the answer before they go on.
    let early = number.is_multiple_of(3);
    let first = format!("first {number}\n");
    let asking = handshake("/socket", &key);
    wire.send(if early { asking + &first } else { asking }).await;
    switched(&mut wire, &key).await;
    if !early {
        wire.send(&first).await;
    }
    assert_eq!(wire.exactly(first.len()).await, first.as_bytes());
    let large = vec![b'x'; usize::try_from(number % 7).unwrap() * 3_000];
    wire.send(&large).await;
    assert_eq!(wire.exactly(large.len()).await, large);
    // Half of the connection ends; the other half still says something.
    wire.send("last").await;
    tokio::io::AsyncWriteExt::shutdown(&mut wire.stream).await.unwrap();
    assert_eq!(wire.until_end().await, b"lastbye");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn no_upgrade_is_lost() {
    let all = if std::env::var_os("CLOAKROOM_LONG").is_some() { LONG } else { USUAL };
    let server = played(echo).await;
    let config = public(&[format!("http://{server}")], "");
    let gateway = Gateway::start(&config);
    let port = gateway.port;
    let (next, done) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
    let clients: Vec<_> = (0..CLIENTS)
        .map(|_| {
            let (next, done) = (Arc::clone(&next), Arc::clone(&done));
            tokio::spawn(async move {
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= all {
                        return;
                    }
                    one(port, number).await;
                    done.fetch_add(1, Ordering::Relaxed);
                }
            })
        })
        .collect();
    for client in clients {
        client.await.expect("no upgrade is lost");
    }
    println!("{} of {all} upgrades", done.load(Ordering::Relaxed));
    assert_eq!(done.load(Ordering::Relaxed), all);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_end_that_breaks_off_ends_the_other() {
    let server = played(|mut wire| async move {
        _ = wire.head().await;
        let switching = "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\n\
                         Upgrade: websocket\r\n\r\n";
        wire.send(switching).await;
        if wire.exactly(1).await == b"!" {
            // Dies with bytes that nobody has read, which resets the connection.
            return;
        }
        assert_eq!(wire.until_end().await, b"");
    })
    .await;
    let gateway = Gateway::start(&public(&[format!("http://{server}")], ""));
    let mut wire = Wire::to(&gateway).await;
    wire.send(handshake("/", "a")).await;
    assert!(wire.head().await.starts_with("HTTP/1.1 101 "));
    wire.send("!and more").await;
    assert_eq!(wire.until_end().await, b"", "the client hears that it is over");
}
