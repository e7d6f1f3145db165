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
    /// Whether the head has come: what follows is a body, and then the next head.
    in_body: bool,
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
        if tape.in_body {
            // Nobody reads on before all of the last read is used up.
            tape.all.clear();
        }
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
        tape.forget(last);
        tape.in_body = false;
    }

    /// A head has come. Whether its length can be read in two ways: it has a `Transfer-Encoding` that
    /// is not just `chunked`, or that came with a `Content-Length`.
    pub(super) fn two_lengths(&self, head: &Parts) -> bool {
        let mut tape = self.bytes();
        let method = head.method.as_str().as_bytes();
        let two = head.headers.contains_key(TRANSFER_ENCODING)
            && (!is_just_chunked(&head.headers) || has_length(&tape.all, method));
        let done = tape.last.max(end_of_head(&tape.all, method));
        tape.forget(done);
        tape.in_body = true;
        two
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

impl Bytes {
    /// Forgets the first so many bytes, and gives back their memory.
    fn forget(&mut self, count: usize) {
        self.all.drain(..count.min(self.all.len()));
        self.last = 0;
        if self.all.capacity() > SMALL {
            self.all.shrink_to(SMALL);
        }
    }
}

/// Whether any head on the tape that could be this one has a `Content-Length`. Bytes of a body that
/// look like this very head count as one: that can refuse a request, and let none through.
fn has_length(tape: &[u8], method: &[u8]) -> bool {
    let mut open = false;
    for line in tape.split(|byte| *byte == b'\n').map(bare) {
        match open {
            true if is_length(line) => return true,
            true => open = !line.is_empty(),
            false => open = begins(line, method),
        }
    }
    false
}

/// Where the first head on the tape ends that could be this one: no later than this one does.
fn end_of_head(tape: &[u8], method: &[u8]) -> usize {
    let (mut open, mut begin) = (false, 0);
    for end in memchr::memchr_iter(b'\n', tape).map(|newline| newline + 1) {
        let line = &tape[begin..end];
        match open {
            true if matches!(line, b"\n" | b"\r\n") => return end,
            true => {}
            false => open = begins(line, method),
        }
        begin = end;
    }
    0
}

fn bare(line: &[u8]) -> &[u8] {
    line.strip_suffix(b"\r").unwrap_or(line)
}

fn is_length(line: &[u8]) -> bool {
    let name = line.split(|byte| *byte == b':').next().unwrap_or_default();
    name.trim_ascii().eq_ignore_ascii_case(b"content-length")
}

/// Whether a head begins in this line: not always where the line does, as a body before it needs
/// no end of a line.
fn begins(line: &[u8], method: &[u8]) -> bool {
    // Word by word: a client chooses both, and what is looked at twice could be looked at for long.
    let mut words = line.split(|byte| *byte == b' ');
    words.next_back();
    words.any(|word| word.ends_with(method))
}

#[cfg(test)]
mod tests {
    use http::Request;

    use super::*;

    fn head(method: &str, encoded: bool) -> Parts {
        let request = Request::builder().method(method).uri("/");
        let request = match encoded {
            true => request.header(TRANSFER_ENCODING, "chunked"),
            false => request,
        };
        request.body(()).unwrap().into_parts().0
    }

    #[test]
    fn a_body_leaves_no_more_than_its_last_read() {
        let tape = Tape::new(1 << 16);
        tape.cut();
        tape.read(b"POST / HTTP/1.1\r\nContent-Length: 300000\r\n\r\nab");
        assert!(!tape.two_lengths(&head("POST", false)));
        assert_eq!(tape.bytes().all, b"ab");
        for _ in 0..10 {
            tape.read(&[b'a'; 30_000]);
            assert_eq!(tape.bytes().all.len(), 30_000);
        }
        tape.read(b"aaPOST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n");
        tape.cut();
        assert!(tape.bytes().all.capacity() <= SMALL);
        tape.read(b"Content-Length: 7\r\n\r\n");
        assert!(tape.two_lengths(&head("POST", true)));
        assert!(tape.bytes().all.is_empty());
    }

    #[test]
    fn the_length_of_one_request_is_not_the_nexts() {
        let tape = Tape::new(1 << 16);
        for _ in 0..2 {
            tape.cut();
            tape.read(b"POST / HTTP/1.1\r\nContent-Length: 2\r\n\r\nab");
            assert!(!tape.two_lengths(&head("POST", false)));
            tape.cut();
            tape.read(b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n");
            assert!(!tape.two_lengths(&head("POST", true)));
        }
    }

    #[test]
    fn requests_in_one_read_are_told_apart() {
        let tape = Tape::new(1 << 16);
        tape.cut();
        tape.read(
            b"GET / HTTP/1.1\r\n\r\nPOST / HTTP/1.1\r\nContent-Length: 4\r\n\
              Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        );
        assert!(!tape.two_lengths(&head("GET", false)));
        tape.cut();
        assert!(tape.two_lengths(&head("POST", true)));
    }
}
