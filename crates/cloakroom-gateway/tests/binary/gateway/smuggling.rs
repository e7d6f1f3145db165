//! Requests that two readers could take for several, and answers that could go to the wrong one.

use std::io::{BufReader, Write};
use std::net::Shutdown;
use std::thread;

use super::support::Gateway;
use super::wire::{Reply, Seen, Witness, answer, connect, exchange, get, replies, reply, sign_in};

const RULES: [(&str, &str); 3] =
    [("/internal/**", "deny"), ("/order/**", "login"), ("/**", "public")];
/// So that a connection whose request never ends does.
const SHORT: &str = "[limits]\nhead = \"2s\"\nkeep_alive = \"2s\"\n";

fn start(witness: &Witness) -> Gateway {
    let timeouts = "[upstream.timeouts]\nbody_idle = \"2s\"\n";
    let config = witness.config(&RULES);
    let config = config.replacen("[[rule]]", &format!("{timeouts}[[rule]]"), 1);
    Gateway::start(&format!("{SHORT}{config}"))
}

/// What hides behind a request.
const HIDDEN: &str = "GET /hidden HTTP/1.1\r\nHost: a\r\n\r\n";

#[test]
fn what_two_readers_could_take_for_two_requests_is_refused() {
    let witness = Witness::start();
    let gateway = start(&witness);
    let port = gateway.port;
    let by_length = |headers: &str| format!("POST / HTTP/1.1\r\nHost: a\r\n{headers}\r\n");
    let mut probes: Vec<String> = Vec::new();
    // CL.TE and TE.CL, in either order and however they are written.
    for both in [
        "Content-Length: 6\r\nTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding: chunked\r\nContent-Length: 6\r\n",
        "content-length:6\r\nTRANSFER-ENCODING:\tchunked \r\n",
        "Content-Length: 6\nTransfer-Encoding: chunked\n",
        "Content-Length: 0\r\nTransfer-Encoding: chunked\r\n",
        "Content-Length: \r\nTransfer-Encoding: chunked\r\n",
    ] {
        probes.push(format!("{}0\r\n\r\n{HIDDEN}", by_length(both)));
    }
    // TE.TE, and encodings that somebody else may not know, or may.
    for encoding in [
        "Transfer-Encoding: xchunked",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity",
        "Transfer-Encoding: identity\r\nTransfer-Encoding: chunked",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
        "Transfer-Encoding: chunked, chunked",
        "Transfer-Encoding: identity, chunked",
        "Transfer-Encoding: chunked, identity",
        "Transfer-Encoding: gzip, chunked",
        "Transfer-Encoding: ,chunked",
        "Transfer-Encoding: chunked;q=1",
        "Transfer-Encoding: \"chunked\"",
        "Transfer-Encoding: chunk",
        "Transfer-Encoding: ",
        "Transfer-Encoding:\x0bchunked",
        "Transfer-Encoding:\x00chunked",
        "Transfer-Encoding : chunked",
        " Transfer-Encoding: chunked",
        "X: y\r\n Transfer-Encoding: chunked",
        "Transfer-Encoding:\r\n chunked",
        "Transfer-Encoding: chunked\r\n\t, identity",
        "Transfer\\Encoding: chunked",
    ] {
        probes.push(format!("{}0\r\n\r\n{HIDDEN}", by_length(&format!("{encoding}\r\n"))));
    }
    // Lengths that are none, or two.
    for length in [
        "+4",
        "-4",
        "4, 4",
        "4,5",
        "4 4",
        "0x4",
        "4.0",
        "4e0",
        "4;",
        "\"4\"",
        " ",
        "4\x00",
        "18446744073709551616",
        "99999999999999999999",
    ] {
        let head = by_length(&format!("Content-Length: {length}\r\n"));
        probes.push(format!("{head}abcd{HIDDEN}"));
    }
    for lengths in [
        "Content-Length: 4\r\nContent-Length: 5\r\n",
        "Content-Length: 0\r\nContent-Length: 4\r\n",
        "Content-Length : 4\r\n",
        "Content-Length\r\n",
        "Content_Length: 4\r\n Content-Length: 4\r\n",
    ] {
        probes.push(format!("{}abcd{HIDDEN}", by_length(lengths)));
    }
    // Heads that are none: hyper reads no further.
    for head in [
        "GET / HTTP/1.1\r\nHost: a\r\nX: a\x00b\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nX\x00: b\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nX: b\rGET /hidden HTTP/1.1\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nX: b\r\n c\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\n: b\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nX b\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nX(: b\r\n\r\n",
        "GET / HTTP/1.1\r\n Host: a\r\n\r\n",
        "GET / HTTP/1.1 \r\nHost: a\r\n\r\n",
        "GET /hidden HTTP/1.1 HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET\t/ HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET / HTTP/2.0\r\nHost: a\r\n\r\n",
        "GET / HTTP/1.2\r\nHost: a\r\n\r\n",
        "GET /\r\n\r\n",
        "G@T / HTTP/1.1\r\nHost: a\r\n\r\n",
        "POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    ] {
        probes.push(format!("{head}{HIDDEN}"));
    }
    // Heads whose end is clear, and which nobody can mean: what stands behind is another request.
    for head in [
        "GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nhost: b\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a, b\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a@b\r\n\r\n",
        "GET / HTTP/1.1\r\nHost:\r\n\r\n",
        "GET / HTTP/1.1\r\n\r\n",
        "GET http://b/ HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET http://a:80/ HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET http://a@b/ HTTP/1.1\r\nHost: b\r\n\r\n",
        "GET ftp://a/ HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET a/ HTTP/1.1\r\nHost: a\r\n\r\n",
        "CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n",
        "CONNECT / HTTP/1.1\r\nHost: a\r\n\r\n",
        "OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n",
    ] {
        probes.push(head.to_owned());
    }
    let asking: Vec<_> = probes
        .into_iter()
        .map(|probe| thread::spawn(move || (exchange(port, &probe), probe)))
        .collect();
    let mut wrong = Vec::new();
    for thread in asking {
        let (replies, probe) = thread.join().unwrap();
        let refused = matches!(&*replies, [] | [Reply { status: 400..=431 | 501 | 505, .. }]);
        if !refused {
            wrong.push(format!("{probe:?}: {replies:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    let seen = witness.take();
    assert!(seen.is_empty(), "the service was asked: {seen:?}");
}

#[test]
fn a_bad_chunk_ends_its_request_and_hides_none() {
    let witness = Witness::start();
    let gateway = start(&witness);
    let port = gateway.port;
    let head = "POST /post HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
    let bad = [
        "0x4\r\nabcd\r\n0\r\n\r\n",
        "+4\r\nabcd\r\n0\r\n\r\n",
        "-1\r\nabcd\r\n0\r\n\r\n",
        "\r\n4\r\nabcd\r\n0\r\n\r\n",
        "g\r\nabcd\r\n0\r\n\r\n",
        "4\nabcd\n0\n\n",
        "4\rabcd\r\n0\r\n\r\n",
        "4;x\nabcd\r\n0\r\n\r\n",
        "4;x\n;y\r\nabcd\r\n0\r\n\r\n",
        "3\r\nabcd\r\n0\r\n\r\n",
        "4\r\nabcdX\n0\r\n\r\n",
        "4\r\nabcd\n0\r\n\r\n",
        "4\r\nabcd0\r\n\r\n",
        "10000000000000004\r\nabcd\r\n0\r\n\r\n",
        "ffffffffffffffff\r\nabcd\r\n0\r\n\r\n",
        "4 4\r\nabcd\r\n0\r\n\r\n",
        "4\x00\r\nabcd\r\n0\r\n\r\n",
        "0\r\nX\r\n\r\n",
        "0\r\n X: y\r\n\r\n",
    ];
    let asking: Vec<_> = bad
        .into_iter()
        .map(|bad| {
            let probe = format!("{head}{bad}{HIDDEN}");
            thread::spawn(move || (exchange(port, probe), bad))
        })
        .collect();
    for thread in asking {
        let (replies, bad) = thread.join().unwrap();
        assert!(replies.iter().all(|reply| reply.status >= 400), "{bad:?}: {replies:?}");
        assert!(replies.len() <= 1, "{bad:?}: {replies:?}");
    }
    // Whatever began to go to the service never came to its end there.
    let seen = witness.take();
    assert!(seen.is_empty(), "{seen:?}");
}

#[test]
fn what_is_accepted_is_one_request_and_is_written_anew() {
    let witness = Witness::start();
    let gateway = start(&witness);
    let port = gateway.port;
    let post = |headers: &str, body: &str| format!("POST /post HTTP/1.1\n{headers}\n{body}");
    for (probe, body) in [
        // A bare line feed ends a line (RFC 9112, section 2.2): to the service each has both.
        ("POST /post HTTP/1.1\nHost: a\nContent-Length: 4\n\nabcd".to_owned(), "abcd"),
        (post("Host: a\r\nContent-Length: 04\r\n", "abcd"), "abcd"),
        // The same length twice becomes one (RFC 9110, section 8.6).
        (post("Host: a\r\nContent-Length: 4\r\nContent-Length: 4\r\n", "abcd"), "abcd"),
        (post("Host: a\r\nTransfer-Encoding: CHUNKED\r\n", "4\r\nabcd\r\n0\r\n\r\n"), "abcd"),
        (
            post(
                "Host: a\r\nTransfer-Encoding: chunked\r\n",
                "004;a=\"b;c\"\r\nabcd\r\n000\r\n\r\n",
            ),
            "abcd",
        ),
        // What is nominated here is no way to make the length go.
        (post("Host: a\r\nConnection: content-length\r\nContent-Length: 4\r\n", "abcd"), "abcd"),
        (
            post(
                "Host: a\r\nConnection: transfer-encoding, host\r\nTransfer-Encoding: chunked\r\n",
                "4\r\nabcd\r\n0\r\n\r\n",
            ),
            "abcd",
        ),
        ("\r\nPOST /post HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n".to_owned(), ""),
    ] {
        let last = "GET /last HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
        let replies = exchange(port, format!("{probe}{last}"));
        let bodies: Vec<_> = replies.iter().map(|reply| &*reply.body).collect();
        assert_eq!(bodies, ["/post", "/last"], "{probe:?}");
        let seen = witness.take();
        assert_eq!(seen.len(), 2, "{probe:?}: {seen:?}");
        let first = &seen[0];
        assert_eq!((first.target(), &*first.body), ("/post", body), "{probe:?}");
        let lengths = first.all("content-length").len() + first.all("transfer-encoding").len();
        assert!(lengths <= 1 && first.all("host").len() == 1, "{probe:?}: {first:?}");
        let lines = first.head.split_inclusive('\n');
        assert!(lines.into_iter().all(|line| line.ends_with("\r\n")), "{first:?}");
    }
}

#[test]
fn requests_in_one_write_are_each_their_own_users() {
    let witness = Witness::start();
    let gateway = start(&witness);
    gateway.add_user("alice", "wonderland-7", &["buyer"]);
    gateway.add_user("bob", "looking-glass-8", &["seller"]);
    let alice = sign_in(gateway.port, "alice", "wonderland-7");
    let bob = sign_in(gateway.port, "bob", "looking-glass-8");
    let one = |n: usize, path: &str, headers: &str| {
        format!("GET {path}/{n} HTTP/1.1\r\nHost: a\r\n{headers}\r\n")
    };
    let mut bytes = String::new();
    for n in (0..40).step_by(4) {
        bytes += &one(n, "/order", &format!("Cookie: {alice}\r\n"));
        bytes += &one(n + 1, "/any", "");
        bytes += &one(n + 2, "/order", &format!("Cookie: {bob}\r\n"));
        bytes += &one(n + 3, "/internal", &format!("Cookie: {bob}\r\n"));
    }
    bytes += &one(40, "/order", "Connection: close\r\n");
    let replies = exchange(gateway.port, bytes);
    assert_eq!(replies.len(), 41);
    let seen = witness.take();
    let mut seen = seen.iter();
    for (n, reply) in replies.iter().enumerate() {
        let user = match n % 4 {
            0 if n < 40 => vec!["alice"],
            1 => Vec::new(),
            2 => vec!["bob"],
            _ => {
                let status = if n == 40 { 401 } else { 403 };
                assert_eq!(reply.status, status, "{n}");
                continue;
            }
        };
        let next = seen.next().expect("it was forwarded");
        assert!(next.target().ends_with(&format!("/{n}")), "{n}: {next:?}");
        assert_eq!((reply.status, &*reply.body, next.all("x-user-id")), (200, next.target(), user));
    }
    assert!(seen.next().is_none());
}

#[test]
fn what_is_left_of_a_broken_request_is_nobody_else_s() {
    let witness = Witness::start();
    let gateway = start(&witness);
    for headers in ["Content-Length: 200\r\n", "Transfer-Encoding: chunked\r\n"] {
        let mut stream = connect(gateway.port);
        let begun = format!("POST /broken HTTP/1.1\r\nHost: a\r\n{headers}\r\n");
        stream.write_all(begun.as_bytes()).unwrap();
        stream.write_all(b"c8\r\nGET /hidden HTTP/1.1\r\n").unwrap();
        stream.shutdown(Shutdown::Write).unwrap();
        let broken = replies(&mut stream);
        assert!(broken.iter().all(|reply| reply.status >= 400), "{broken:?}");
        for n in 0..4 {
            assert_eq!(get(gateway.port, &format!("/next/{n}"), "").body, format!("/next/{n}"));
        }
        let targets: Vec<_> =
            witness.take().into_iter().map(|seen| seen.target().to_owned()).collect();
        assert_eq!(targets, ["/next/0", "/next/1", "/next/2", "/next/3"]);
    }
}

#[test]
fn an_answer_that_nobody_asked_for_is_given_to_nobody() {
    let witness = Witness::answering(|seen| match seen.target() {
        "/two" => answer("", "/two") + &answer("", "/poison"),
        "/long" => answer("", "/long").replace("/long", "/long and more /poison"),
        "/hints" => format!("HTTP/1.1 103 Early Hints\r\nX: y\r\n\r\n{}", answer("", "/hints")),
        "/both" => format!(
            "HTTP/1.1 200 OK\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n\
             5\r\n/both\r\n0\r\n\r\n{}",
            answer("", "/poison")
        ),
        other => answer("", other),
    });
    let gateway = start(&witness);
    for bad in ["/two", "/long", "/hints", "/both"] {
        for _ in 0..3 {
            let first = get(gateway.port, bad, "");
            assert!(!first.body.contains("poison"), "{first:?}");
            for n in 0..3 {
                let next = get(gateway.port, &format!("/next/{n}"), "");
                assert_eq!((next.status, &*next.body), (200, &*format!("/next/{n}")), "{bad}");
            }
        }
    }
}

#[test]
fn an_upgrade_to_another_http_leads_past_no_rule() {
    let witness = Witness::answering(|seen: &Seen| match seen.all("upgrade").is_empty() {
        true => answer("", seen.target()),
        false => "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\n\
            Upgrade: h2c\r\n\r\n"
            .to_owned(),
    });
    let gateway = start(&witness);
    for headers in [
        "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n",
        "Connection: Upgrade\r\nUpgrade: websocket, h2c\r\n",
        "Connection: Upgrade\r\nUpgrade: websocket\r\nUpgrade: h2c\r\n",
        "Connection: Upgrade\r\nUpgrade: H2C\r\n",
        "Connection: Upgrade\r\nUpgrade: HTTP/1.1\r\n",
        "Connection: Upgrade\r\nUpgrade: TLS/1.2, HTTP/1.1\r\n",
        "Upgrade: websocket\r\n",
    ] {
        let asked = format!("GET /x HTTP/1.1\r\nHost: a\r\n{headers}\r\n");
        let replies =
            exchange(gateway.port, format!("{asked}GET /internal HTTP/1.1\r\nHost: a\r\n\r\n"));
        let statuses: Vec<_> = replies.iter().map(|reply| reply.status).collect();
        assert_eq!(statuses, [200, 403], "{headers}");
        let seen = witness.take();
        assert!(seen.len() == 1 && seen[0].all("http2-settings").is_empty(), "{seen:?}");
    }
    // One that is asked for by nobody, and one to something else than was asked for.
    let mut stream = connect(gateway.port);
    stream
        .write_all(
            b"GET /x HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n",
        )
        .unwrap();
    let first = reply(&mut BufReader::new(&stream)).unwrap();
    assert_eq!(first.status, 502, "h2c was not asked for: {first:?}");
}
