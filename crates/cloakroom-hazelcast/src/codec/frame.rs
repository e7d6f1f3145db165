//! Messages and the frames that they come in.

use std::mem;

use bytes::{Buf, Bytes, BytesMut};

use super::reader::Reader;

/// Bytes before a frame's content: its length, these included, and its flags.
pub(crate) const HEAD: usize = 4 + 2;
/// The most bytes that a message may have.
pub(crate) const MOST_BYTES: usize = 128 << 20;
/// The most frames that a message may have.
pub(crate) const MOST_FRAMES: usize = 1 << 20;
/// Bytes that the first frame of every message has: its type and its correlation id.
const LEAST_FIRST: usize = 4 + 8;

/// The message begins and ends here: it is not sent in fragments.
pub(crate) const WHOLE: u16 = 1 << 15 | 1 << 14;
/// The last frame of its message.
pub(crate) const FINAL: u16 = 1 << 13;
/// What has several frames begins.
pub(crate) const BEGIN: u16 = 1 << 12;
/// What has several frames ends.
pub(crate) const END: u16 = 1 << 11;
/// Nothing is here.
pub(crate) const NULL: u16 = 1 << 10;
/// A message that nobody has asked for just now.
pub(crate) const EVENT: u16 = 1 << 9;

/// Bytes that are nothing that a member of a cluster says.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("this is not how a Hazelcast member speaks: {0}")]
pub(crate) struct Malformed(pub(crate) &'static str);

/// One frame.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Frame {
    pub(crate) flags: u16,
    pub(crate) content: Bytes,
}

impl Frame {
    pub(crate) fn is(&self, flag: u16) -> bool {
        self.flags & flag != 0
    }
}

/// A whole message that has come.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Message {
    /// At least one, with its type and its correlation id.
    frames: Vec<Frame>,
}

impl Message {
    /// Makes a message of frames, where they are one.
    fn new(frames: Vec<Frame>) -> Result<Self, Malformed> {
        match frames.first() {
            Some(first) if first.content.len() < LEAST_FIRST => Err(Malformed("a short message")),
            Some(first) if first.flags & WHOLE != WHOLE => Err(Malformed("a fragment")),
            Some(_) => Ok(Self { frames }),
            None => Err(Malformed("an empty message")),
        }
    }

    /// The message's type.
    pub(crate) fn kind(&self) -> u32 {
        self.fixed(0).map_or(0, u32::from_le_bytes)
    }

    /// Which request it answers, or which listener it is for.
    pub(crate) fn correlation(&self) -> i64 {
        self.fixed(4).map_or(-1, i64::from_le_bytes)
    }

    /// Whether nobody has asked for it just now.
    pub(crate) fn is_event(&self) -> bool {
        self.frames.first().is_some_and(|first| first.is(EVENT))
    }

    /// Reads it from its first frame on.
    pub(crate) fn read(&self) -> Reader<'_> {
        Reader::new(&self.frames)
    }

    fn fixed<const N: usize>(&self, at: usize) -> Option<[u8; N]> {
        let content = &self.frames.first()?.content;
        content.get(at..at + N)?.try_into().ok()
    }
}

impl std::fmt::Debug for Message {
    /// Prints what it is, never what is in it.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Message({:#08x}, {} frames)", self.kind(), self.frames.len())
    }
}

/// Puts messages together from what comes in.
#[derive(Default)]
pub(crate) struct Decoder {
    frames: Vec<Frame>,
    bytes: usize,
}

impl Decoder {
    /// Takes the next message off the front of `input`; `None` until it is there as a whole.
    pub(crate) fn next(&mut self, input: &mut BytesMut) -> Result<Option<Message>, Malformed> {
        while let Some(frame) = self.frame(input)? {
            let is_last = frame.is(FINAL);
            self.frames.push(frame);
            if is_last {
                self.bytes = 0;
                return Message::new(mem::take(&mut self.frames)).map(Some);
            }
        }
        Ok(None)
    }

    fn frame(&mut self, input: &mut BytesMut) -> Result<Option<Frame>, Malformed> {
        let mut head: &[u8] = input;
        let (Ok(length), Ok(flags)) = (head.try_get_i32_le(), head.try_get_u16_le()) else {
            return Ok(None);
        };
        let length = usize::try_from(length).unwrap_or(0);
        if length < HEAD {
            return Err(Malformed("a frame without room for its head"));
        }
        if self.bytes.saturating_add(length) > MOST_BYTES || self.frames.len() >= MOST_FRAMES {
            return Err(Malformed("a message beyond all measure"));
        }
        if input.len() < length {
            input.reserve(length - input.len());
            return Ok(None);
        }
        self.bytes += length;
        let mut content = input.split_to(length).freeze();
        content.advance(HEAD);
        Ok(Some(Frame { flags, content }))
    }
}
