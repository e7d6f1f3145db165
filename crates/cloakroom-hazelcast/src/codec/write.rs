//! Writes requests.

use bytes::{BufMut, Bytes, BytesMut};

use super::frame::{BEGIN, END, FINAL, HEAD, NULL, WHOLE};
use super::{NO_PARTITION, Uuid};

/// Where a request's correlation id stands.
const CORRELATION: usize = HEAD + 4;

/// A request that is being written: what has a fixed size first, then a frame for everything else.
pub(crate) struct Request {
    kind: u32,
    bytes: BytesMut,
    /// Where the last frame begins.
    last: usize,
}

impl Request {
    /// Begins a request of a type to a partition.
    pub(crate) fn to(partition: i32, kind: u32) -> Self {
        let mut request = Self { kind, bytes: BytesMut::with_capacity(256), last: 0 };
        request.open(WHOLE);
        request.bytes.put_u32_le(kind);
        request.bytes.put_i64_le(0);
        request.bytes.put_i32_le(partition);
        request
    }

    /// Begins a request that belongs to no partition.
    pub(crate) fn new(kind: u32) -> Self {
        Self::to(NO_PARTITION, kind)
    }

    /// Its type.
    pub(crate) fn kind(&self) -> u32 {
        self.kind
    }

    /// Writes the lengths down, and ends it.
    pub(crate) fn finish(mut self, correlation: i64) -> Bytes {
        self.close();
        self.bytes[CORRELATION..CORRELATION + 8].copy_from_slice(&correlation.to_le_bytes());
        let flags = &mut self.bytes[self.last + 4..self.last + HEAD];
        let ended = u16::from_le_bytes([flags[0], flags[1]]) | FINAL;
        flags.copy_from_slice(&ended.to_le_bytes());
        self.bytes.freeze()
    }

    pub(crate) fn int(mut self, value: i32) -> Self {
        self.bytes.put_i32_le(value);
        self
    }

    pub(crate) fn long(mut self, value: i64) -> Self {
        self.bytes.put_i64_le(value);
        self
    }

    pub(crate) fn byte(mut self, value: u8) -> Self {
        self.bytes.put_u8(value);
        self
    }

    pub(crate) fn uuid(mut self, Uuid(value): Uuid) -> Self {
        // Not null; then the halves, each with its lowest byte first.
        self.bytes.put_u8(0);
        self.bytes.put_u64_le((value >> 64) as u64);
        self.bytes.put_u64_le(value as u64);
        self
    }

    /// A frame of its own.
    pub(crate) fn frame(mut self, content: &[u8]) -> Self {
        self.open(0);
        self.bytes.put_slice(content);
        self
    }

    pub(crate) fn text(self, text: &str) -> Self {
        self.frame(text.as_bytes())
    }

    pub(crate) fn text_or_null(self, text: Option<&str>) -> Self {
        match text {
            Some(text) => self.text(text),
            None => self.null(),
        }
    }

    pub(crate) fn null(mut self) -> Self {
        self.open(NULL);
        self
    }

    pub(crate) fn begin(mut self) -> Self {
        self.open(BEGIN);
        self
    }

    pub(crate) fn end(mut self) -> Self {
        self.open(END);
        self
    }

    fn open(&mut self, flags: u16) {
        if !self.bytes.is_empty() {
            self.close();
        }
        self.last = self.bytes.len();
        self.bytes.put_u32_le(0);
        self.bytes.put_u16_le(flags);
    }

    fn close(&mut self) {
        // What is longer than the protocol can say is refused by the member: nothing of ours is.
        let length = u32::try_from(self.bytes.len() - self.last).unwrap_or(u32::MAX);
        self.bytes[self.last..self.last + 4].copy_from_slice(&length.to_le_bytes());
    }
}

impl std::fmt::Debug for Request {
    /// Prints what it is, never what is in it.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Request({:#08x}, {} bytes)", self.kind, self.bytes.len())
    }
}
