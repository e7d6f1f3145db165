//! Remembers the bytes of a request's head as they came. What reads the head drops a
//! `Content-Length` beside a `Transfer-Encoding`; such a request is to be refused, so that nobody
//! before or behind the gateway can see two requests where it sees one (RFC 9112, section 11.2).

use std::sync::{Mutex, MutexGuard, PoisonError};

use http::HeaderMap;
use http::header::TRANSFER_ENCODING;
use http::request::Parts;

/// Capacity that an idle connection may keep.
const SMALL: usize = 2048;

/// The bytes of one connection that may belong to the current head.
#[derive(Debug)]
pub(super) struct Tape {
    most: usize,
    bytes: Mutex<Bytes>,
}

#[derive(Debug, Default)]
struct Bytes {
    all: Vec<u8>,
    /// Where the last read begins: what is left of it when a request ends begins the next.
    last: usize,
}

/// In a request's extensions: its length can be read in two ways.
#[derive(Clone, Copy, Debug)]
pub(super) struct TwoLengths;

impl Tape {
    /// `most`: as many bytes as are read ahead.
    pub(super) fn new(most: usize) -> Self {
        Self { most, bytes: Mutex::default() }
    }

    /// Something came.
    pub(super) fn read(&self, bytes: &[u8]) {
        let mut tape = self.bytes();
        let surplus = (tape.all.len() + bytes.len()).saturating_sub(2 * self.most);
        if surplus > 0 {
            let surplus = surplus.min(tape.all.len());
            tape.all.drain(..surplus);
        }
        tape.last = tape.all.len();
        tape.all.extend_from_slice(bytes);
    }

    /// A head begins: what came before the last read belongs to requests before it.
    pub(super) fn cut(&self) {
        let mut tape = self.bytes();
        let last = tape.last;
        tape.all.drain(..last);
        tape.last = 0;
        if tape.all.capacity() > SMALL {
            tape.all.shrink_to(SMALL);
        }
    }

    /// Whether a request's length can be read in two ways: it has a `Transfer-Encoding` that is not
    /// just `chunked`, or that came with a `Content-Length`.
    pub(super) fn two_lengths(&self, head: &Parts) -> bool {
        head.headers.contains_key(TRANSFER_ENCODING)
            && (!is_just_chunked(&head.headers) || has_length(&self.bytes().all, head))
    }

    fn bytes(&self) -> MutexGuard<'_, Bytes> {
        self.bytes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether the one encoding is `chunked`. hyper looks at the end of a list alone; who does not know
/// what stands before it may take the body for the next request.
fn is_just_chunked(headers: &HeaderMap) -> bool {
    let mut lines = headers.get_all(TRANSFER_ENCODING).into_iter();
    let first = lines.next().is_some_and(|line| line.as_bytes().eq_ignore_ascii_case(b"chunked"));
    first && lines.next().is_none()
}

/// Whether any head on the tape that could be this one has a `Content-Length`. Bytes of a body that
/// look like this very head count as one: that can refuse a request, and let none through.
fn has_length(tape: &[u8], head: &Parts) -> bool {
    let method = head.method.as_str().as_bytes();
    let mut open = false;
    for line in tape.split(|byte| *byte == b'\n') {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        match open {
            true if is_length(line) => return true,
            true => open = !line.is_empty(),
            false => open = begins(line, method),
        }
    }
    false
}

fn is_length(line: &[u8]) -> bool {
    let name = line.split(|byte| *byte == b':').next().unwrap_or_default();
    name.trim_ascii().eq_ignore_ascii_case(b"content-length")
}

/// Whether a head begins in this line: not always where the line does, as a body before it needs
/// no end of a line.
fn begins(line: &[u8], method: &[u8]) -> bool {
    line.windows(method.len() + 1).any(|found| found.strip_prefix(method) == Some(b" "))
}
