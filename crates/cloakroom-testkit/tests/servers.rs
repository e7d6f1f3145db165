//! The servers and the proxy do what tests rely on.

#![allow(clippy::unwrap_used, reason = "a helper of these tests may fail them")]

use std::io::ErrorKind;
use std::net::SocketAddr;

use cloakroom_testkit::servers::Redis;
use cloakroom_testkit::{Mode, Proxy};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

#[tokio::test]
async fn a_redis_keeps_what_it_was_told_over_a_kill() {
    let mut redis = Redis::start().await;
    assert_eq!(redis.command(&["SET", "a", "1"]), "OK");
    redis.kill();
    assert!(TcpStream::connect(redis.addr()).await.is_err());
    let addr = redis.addr();
    let redis = redis.restart().await;
    assert_eq!(redis.addr(), addr);
    assert_eq!(redis.command(&["GET", "a"]), "1");
    assert_eq!(redis.command(&["GET", "b"]), "(nil)");
    assert_eq!(redis.command(&["MGET", "a", "b"]), "1\n(nil)");
}

#[tokio::test]
async fn a_paused_redis_answers_when_it_goes_on() {
    let redis = Redis::start().await;
    let mut stream = TcpStream::connect(redis.addr()).await.unwrap();
    redis.pause();
    stream.write_all(b"PING\r\n").await.unwrap();
    let mut answer = [0; 7];
    assert_eq!(stream.try_read(&mut answer).unwrap_err().kind(), ErrorKind::WouldBlock);
    redis.resume();
    stream.read_exact(&mut answer).await.unwrap();
    assert_eq!(&answer, b"+PONG\r\n");
}

#[tokio::test]
async fn many_servers_start_at_once() {
    let all = (0..8).map(|_| Redis::start());
    let all = futures_util::future::join_all(all).await;
    for (i, redis) in all.iter().enumerate() {
        redis.command(&["SET", "who", &i.to_string()]);
    }
    for (i, redis) in all.iter().enumerate() {
        assert_eq!(redis.command(&["GET", "who"]), i.to_string());
    }
}

/// A server that answers every byte with the next one, and counts the bytes it got.
async fn successor() -> (SocketAddr, tokio::sync::watch::Receiver<usize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    let (count, counts) = tokio::sync::watch::channel(0);
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let count = count.clone();
            tokio::spawn(async move {
                while let Ok(byte) = stream.read_u8().await {
                    count.send_modify(|count| *count += 1);
                    let _ = stream.write_u8(byte + 1).await;
                }
            });
        }
    });
    (addr, counts)
}

#[tokio::test]
async fn what_is_held_is_forwarded_later() {
    let (server, counts) = successor().await;
    let proxy = Proxy::to(server).await;
    let mut client = TcpStream::connect(proxy.addr()).await.unwrap();
    client.write_u8(1).await.unwrap();
    assert_eq!(client.read_u8().await.unwrap(), 2);
    proxy.set(Mode::Hold);
    client.write_u8(5).await.unwrap();
    assert_eq!(*counts.borrow(), 1);
    proxy.set(Mode::Pass);
    assert_eq!(client.read_u8().await.unwrap(), 6);
}

#[tokio::test]
async fn a_dropped_answer_never_comes_though_the_server_acted() {
    let (server, mut counts) = successor().await;
    let proxy = Proxy::to(server).await;
    proxy.set(Mode::DropAnswers);
    let mut client = TcpStream::connect(proxy.addr()).await.unwrap();
    client.write_u8(1).await.unwrap();
    counts.wait_for(|count| *count == 1).await.unwrap();
    // An answer on a second connection shows that the first one's had its time.
    let mut other = TcpStream::connect(server).await.unwrap();
    other.write_u8(1).await.unwrap();
    assert_eq!(other.read_u8().await.unwrap(), 2);
    assert_eq!(client.try_read(&mut [0]).unwrap_err().kind(), ErrorKind::WouldBlock);
}

#[tokio::test]
async fn a_lost_answer_closes_the_connection_after_the_server_acted() {
    let (server, counts) = successor().await;
    let proxy = Proxy::to(server).await;
    let mut client = TcpStream::connect(proxy.addr()).await.unwrap();
    client.write_u8(1).await.unwrap();
    assert_eq!(client.read_u8().await.unwrap(), 2);
    proxy.set(Mode::CutAfterAnswerLost);
    client.write_u8(1).await.unwrap();
    assert!(client.read_u8().await.is_err());
    assert_eq!(*counts.borrow(), 2);
    proxy.set(Mode::Pass);
    let mut client = TcpStream::connect(proxy.addr()).await.unwrap();
    client.write_u8(3).await.unwrap();
    assert_eq!(client.read_u8().await.unwrap(), 4);
}

#[tokio::test]
async fn a_reset_closes_living_and_new_connections() {
    let (server, _) = successor().await;
    let proxy = Proxy::to(server).await;
    let mut client = TcpStream::connect(proxy.addr()).await.unwrap();
    client.write_u8(1).await.unwrap();
    assert_eq!(client.read_u8().await.unwrap(), 2);
    proxy.set(Mode::Reset);
    assert_eq!(client.read_u8().await.unwrap_err().kind(), ErrorKind::ConnectionReset);
    let closed = match TcpStream::connect(proxy.addr()).await {
        Ok(mut client) => client.read_u8().await.is_err(),
        Err(_) => true,
    };
    assert!(closed);
}
