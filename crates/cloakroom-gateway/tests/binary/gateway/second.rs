//! HTTP/2 by hand: frames that no client library sends, in front of a service by HTTP/1.1.

use std::io::{Read, Write};

use super::support::Gateway;
use super::wire::{Witness, connect, get};

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const DATA: u8 = 0;
const HEADERS: u8 = 1;
const SETTINGS: u8 = 4;
const GOAWAY: u8 = 7;
const RESET: u8 = 3;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    let mut frame = length[1..].to_vec();
    frame.extend([kind, flags]);
    frame.extend(stream.to_be_bytes());
    frame.extend(payload);
    frame
}

/// Headers as literals that are not indexed, so that any byte can be in them.
fn block(fields: &[(&str, &str)]) -> Vec<u8> {
    let mut block = Vec::new();
    for (name, value) in fields {
        block.push(0);
        for text in [name, value] {
            block.push(u8::try_from(text.len()).ok().filter(|length| *length < 127).unwrap());
            block.extend(text.as_bytes());
        }
    }
    block
}

/// Sends one request, and returns whether anything but an error came of it: the first frame that
/// answers it is one of headers whose status is no 4xx.
fn passes(port: u16, fields: &[(&str, &str)], body: Option<&[u8]>) -> bool {
    let usual = [(":method", "POST"), (":scheme", "http"), (":authority", "a"), (":path", "/x")];
    let mut all: Vec<_> = usual
        .into_iter()
        .filter(|(name, _)| !fields.iter().any(|(other, _)| other == name && name.starts_with(':')))
        .collect();
    all.extend(fields);
    let flags = if body.is_some() { END_HEADERS } else { END_HEADERS | END_STREAM };
    let mut bytes = PREFACE.to_vec();
    bytes.extend(frame(SETTINGS, 0, 0, &[]));
    bytes.extend(frame(HEADERS, flags, 1, &block(&all)));
    if let Some(body) = body {
        bytes.extend(frame(DATA, END_STREAM, 1, body));
    }
    let mut stream = connect(port);
    _ = stream.write_all(&bytes);
    loop {
        let mut head = [0; 9];
        if stream.read_exact(&mut head).is_err() {
            return false;
        }
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
        let mut payload = vec![0; usize::try_from(length).unwrap()];
        if stream.read_exact(&mut payload).is_err() {
            return false;
        }
        match head[3] {
            GOAWAY | RESET => return false,
            // The static table's entries for 200, 204, 206 and 304; 400 and others come after.
            HEADERS => return matches!(payload.first(), Some(0x88..=0x8b)),
            _ => {}
        }
    }
}

#[test]
fn no_header_by_http2_becomes_two_by_http1() {
    let witness = Witness::start();
    let gateway = Gateway::start(&witness.config(&[("/internal/**", "deny"), ("/**", "public")]));
    let port = gateway.port;
    assert!(passes(port, &[], None) && passes(port, &[], Some(b"abcd")), "what is fine passes");
    assert!(passes(port, &[("content-length", "4")], Some(b"abcd")));
    assert_eq!(witness.take().len(), 3);
    let hidden = "b\r\n\r\nGET /hidden HTTP/1.1\r\nhost: a";
    let chunks = b"0\r\n\r\nGET /hidden HTTP/1.1\r\nhost: a\r\n\r\n".as_slice();
    for fields in [
        &[("x", hidden)][..],
        &[("x", "b\nx-user-id: root")],
        &[("x", "b\rc")],
        &[("x", "b\0c")],
        &[("x\r\nx-user-id", "root")],
        &[("x: y\r\nz", "b")],
        &[("x y", "b")],
        &[("X-Upper", "b")],
        &[("", "b")],
        &[(":path", "/x HTTP/1.1\r\nx-user-id: root\r\ny: z")],
        &[(":path", "/x y")],
        &[(":path", "")],
        &[(":path", "*")],
        &[(":path", "x")],
        &[(":path", "/internal/x")],
        &[(":path", "//internal/x")],
        &[(":path", "/a/..;/internal/x")],
        &[(":method", "GET /hidden HTTP/1.1\r\nhost: a\r\n\r\nPOST")],
        &[(":method", "GET /internal")],
        &[(":method", "CONNECT")],
        &[(":method", "CONNECT"), (":protocol", "websocket")],
        &[(":authority", "a\r\nx-user-id: root")],
        &[(":authority", "a@b")],
        &[(":authority", "a/internal")],
        &[(":authority", "a"), ("host", "b")],
        &[("host", "a"), ("host", "b")],
        &[(":scheme", "ftp")],
        &[(":scheme", "http://b/internal?")],
        &[(":path", "/x"), (":path", "/internal/x")],
        &[("x", "y"), (":path", "/x")],
        &[(":status", "200")],
        &[("connection", "close")],
        &[("connection", "x-user-id")],
        &[("transfer-encoding", "chunked")],
        &[("transfer-encoding", "identity")],
        &[("upgrade", "h2c")],
        &[("keep-alive", "timeout=5")],
        &[("te", "gzip")],
        &[("content-length", "0")],
        &[("content-length", "4"), ("content-length", "99")],
        &[("content-length", "+4")],
        &[("content-length", "99")],
        &[("content-length", "3")],
    ] {
        // `te` and `upgrade` have a meaning to nobody here: hyper may drop or refuse them.
        let passed = passes(port, fields, Some(chunks));
        let seen = witness.take();
        for seen in &seen {
            // One whose length is wrong may arrive as an empty one; as two it never does.
            let wrong_length = fields[0].0 == "content-length" && seen.body.is_empty();
            let whole = seen.body.as_bytes() == chunks;
            assert!(seen.target() == "/x" && (whole || wrong_length), "{fields:?}: {seen:?}");
            assert!(seen.all("x-user-id").is_empty() && seen.all("host") == ["a"], "{seen:?}");
            assert!(
                seen.all("upgrade").is_empty() && seen.all("keep-alive").is_empty(),
                "{seen:?}"
            );
        }
        assert!(seen.len() <= 1, "{fields:?}: {seen:?}");
        let harmless = matches!(fields[0].0, "te" | "upgrade" | "keep-alive" | "content-length");
        assert!(harmless || (!passed && seen.is_empty()), "{fields:?}: {seen:?}");
    }
    assert_eq!(get(port, "/next", "").body, "/next");
}
