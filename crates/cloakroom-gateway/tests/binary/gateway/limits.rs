//! What is too large or too slow.

use std::io::Write;
use std::thread;

use super::support::Gateway;
use super::wire::{Witness, connect, exchange, get, replies};

const SHORT: &str =
    "[limits]\nhead = \"1s\"\nkeep_alive = \"1s\"\nhead_bytes = \"16 KiB\"\nheaders = 40\n";

fn start(witness: &Witness) -> Gateway {
    let config = witness.config(&[("/internal", "deny"), ("/**", "public")]);
    let more = "max_body = \"8 KiB\"\n[upstream.timeouts]\nbody_idle = \"1s\"\nresponse = \"1s\"\n";
    Gateway::start(&format!(
        "{SHORT}{}",
        config.replacen("[[rule]]", &format!("{more}[[rule]]"), 1)
    ))
}

#[test]
fn what_is_too_large_is_refused_and_goes_no_further() {
    let witness = Witness::start();
    let gateway = start(&witness);
    let long = "a".repeat(20_000);
    let many: String = (0..60).map(|n| format!("X-{n}: y\r\n")).collect();
    let chunks = format!("2000\r\n{}\r\n", "b".repeat(8192));
    for (request, status) in [
        (format!("GET /{long} HTTP/1.1\r\nHost: a\r\n\r\n"), &[414, 431][..]),
        (format!("GET /?{long} HTTP/1.1\r\nHost: a\r\n\r\n"), &[414, 431]),
        (format!("GET / HTTP/1.1\r\nHost: a\r\nX: {long}\r\n\r\n"), &[431]),
        (format!("GET / HTTP/1.1\r\nHost: a\r\n{long}: x\r\n\r\n"), &[431]),
        (format!("GET / HTTP/1.1\r\nHost: a\r\n{many}\r\n"), &[431]),
        (
            format!(
                "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9000\r\n\r\n{}",
                "b".repeat(9000)
            ),
            &[413],
        ),
        ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999999\r\n\r\n".to_owned(), &[413]),
        (
            format!(
                "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n{chunks}{chunks}0\r\n\r\n"
            ),
            &[413],
        ),
        (
            format!(
                "POST /.cloakroom/api/login HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n\
                 Content-Length: 40000\r\n\r\n{}",
                " ".repeat(40_000)
            ),
            &[413],
        ),
        (
            format!(
                "POST /.cloakroom/login HTTP/1.1\r\nHost: a\r\nSec-Fetch-Site: same-origin\r\n\
                 Content-Type: application/x-www-form-urlencoded\r\nTransfer-Encoding: chunked\r\n\r\n\
                 {chunks}{chunks}{chunks}0\r\n\r\n"
            ),
            &[413],
        ),
    ] {
        let replies = exchange(gateway.port, &request);
        let said: Vec<_> = replies.iter().map(|reply| reply.status).collect();
        // Who sends on while it is refused may find the connection closed.
        assert!(said.iter().all(|said| status.contains(said)), "{}: {said:?}", &request[..60]);
    }
    let seen = witness.take();
    assert!(seen.is_empty(), "{:?}", seen.iter().map(|seen| &*seen.head).collect::<Vec<_>>());
}

#[test]
fn who_sends_nothing_more_holds_no_connection() {
    let witness = Witness::start();
    let gateway = start(&witness);
    let port = gateway.port;
    let form = "Sec-Fetch-Site: same-origin\r\nContent-Type: application/x-www-form-urlencoded\r\n";
    let waiting: Vec<_> = [
        String::new(),
        "GET / HT".to_owned(),
        "GET / HTTP/1.1\r\nHost: a\r\nX: y".to_owned(),
        "GET / HTTP/1.1\r\nHost: a\r\n\r\n".to_owned(),
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_owned(),
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nabc".to_owned(),
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nab".to_owned(),
        "POST /internal HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nabc".to_owned(),
        format!(
            "POST /.cloakroom/login HTTP/1.1\r\nHost: a\r\n{form}Content-Length: 99\r\n\r\nuser"
        ),
        "POST /.cloakroom/api/login HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n\
         Transfer-Encoding: chunked\r\n\r\n8\r\n{\"userna\r\n"
            .to_owned(),
        "POST /.cloakroom/logout HTTP/1.1\r\nHost: a\r\nOrigin: http://a\r\n\
         Content-Type: application/x-www-form-urlencoded\r\nContent-Length: 9\r\n\r\n"
            .to_owned(),
        "POST /.cloakroom/nowhere HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\n".to_owned(),
    ]
    .into_iter()
    .map(|begun| {
        thread::spawn(move || {
            let mut stream = connect(port);
            stream.write_all(begun.as_bytes()).unwrap();
            // Comes to its end because the gateway ends it; else the socket's bound is an error.
            (replies(&mut stream), begun)
        })
    })
    .collect();
    for thread in waiting {
        let (replies, begun) = thread.join().unwrap();
        let whole = begun.ends_with("Host: a\r\n\r\n");
        assert!(replies.iter().all(|reply| reply.status >= 400 || whole), "{begun:?}: {replies:?}");
    }
    assert_eq!(get(port, "/", "").status, 200);
}
