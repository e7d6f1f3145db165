//! Requests that two readers could take for two different things.

use tokio::io::AsyncWriteExt;

use super::support::{gateway, origin, read_until, settings, soon};

#[tokio::test]
async fn what_cannot_be_meant_is_refused_and_never_forwarded() {
    let origin = origin().await;
    let gateway = gateway(settings(&[origin.address]));
    for bad in [
        "GET / HTTP/1.1\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a b\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: user@a\r\n\r\n",
        "GET http://b/ HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET http://user@a/ HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET ftp://a/ HTTP/1.1\r\nHost: a\r\n\r\n",
        "CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n",
        "get / HTTP/1.1\r\nHost: a\r\n\r\n",
        "Post / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n",
        "OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\n folded: b\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nX: b\r\n\tc\r\n\r\n",
        "GET / HTTP/1.1\r\nHost : a\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nX\0Y: b\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nX: b\rc\r\n\r\n",
        "GET /\tb HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET  / HTTP/1.1\r\nHost: a\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nContent-Length: 5\r\n\r\nabcde",
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: +4\r\n\r\nabcd",
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4, 4\r\n\r\nabcd",
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4x\r\n\r\nabcd",
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n",
        "POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding : chunked\r\n\r\n0\r\n\r\n",
    ] {
        let mut stream = gateway.connect().await;
        stream.write_all(bad.as_bytes()).await.unwrap();
        let status = soon(read_until(&mut stream, b"\r\n")).await.unwrap();
        let status = String::from_utf8(status).unwrap();
        let (_, said) = status.split_at("HTTP/1.1".len());
        assert!(said.starts_with(" 400 "), "{bad:?}: {status}");
    }
    assert_eq!(origin.asked(), 0);
}

#[tokio::test]
async fn a_length_beside_an_encoding_is_refused_and_ends_the_connection() {
    let origin = origin().await;
    let gateway = gateway(settings(&[origin.address]));
    let smuggled = "0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n";
    for lengths in [
        "Content-Length: 4\r\nTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding: chunked\r\nContent-Length: 4\r\n",
        "transfer-encoding: CHUNKED\r\ncontent-LENGTH:4\r\n",
    ] {
        let posted = format!("POST / HTTP/1.1\r\nHost: a\r\n{lengths}\r\n{smuggled}");
        let answer = gateway.ask(&posted).await;
        assert!(answer.starts_with("HTTP/1.1 400 "), "{lengths}: {answer}");
        assert_eq!(answer.matches("HTTP/1.1").count(), 1, "{answer}");
        // Nor does another request before it in the same bytes hide it.
        let behind = format!("GET /first HTTP/1.1\r\nHost: a\r\n\r\n{posted}");
        let answer = gateway.ask(behind).await;
        let (_, second) = answer.split_once("/first").unwrap();
        assert!(second.contains("HTTP/1.1 400 ") && !answer.contains("/smuggled"), "{answer}");
    }
    assert_eq!(origin.asked(), 3);
    let fine = "POST /fine HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\
        Connection: close\r\n\r\n10\r\ncontent-length:4\r\n0\r\n\r\n";
    assert!(gateway.ask(fine).await.starts_with("HTTP/1.1 200 "));
}

#[tokio::test]
async fn an_upgrade_to_http_itself_is_not_passed_on() {
    let origin = origin().await;
    let gateway = gateway(settings(&[origin.address]));
    let answer = gateway
        .ask(
            "GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade, HTTP2-Settings, close\r\n\
             Upgrade: h2c\r\nHTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA\r\n\r\n",
        )
        .await;
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    assert!(!answer.to_lowercase().contains("upgrade") && !answer.contains("settings"), "{answer}");
}

#[tokio::test]
async fn the_length_of_one_request_is_not_taken_for_the_nexts() {
    let origin = origin().await;
    let gateway = gateway(settings(&[origin.address]));
    let mut stream = gateway.connect().await;
    for _ in 0..2 {
        for request in [
            "POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nabcd",
            "POST /b HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nabcd\r\n0\r\n\r\n",
        ] {
            stream.write_all(request.as_bytes()).await.unwrap();
            let head = soon(read_until(&mut stream, b"\r\n\r\n")).await.unwrap();
            assert!(head.starts_with(b"HTTP/1.1 200 "), "{}", String::from_utf8_lossy(&head));
            soon(read_until(&mut stream, b"abcd")).await.unwrap();
            if request.starts_with("POST /b") {
                soon(read_until(&mut stream, b"0\r\n\r\n")).await.unwrap();
            }
        }
    }
}
