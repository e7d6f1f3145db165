//! Keys and values as a cluster keeps them: a hash, a type, and what is serialised; and the
//! partition that a key belongs to.

use bytes::{Buf, BufMut, Bytes, BytesMut};

/// Types of what is serialised.
pub(super) const OBJECT: i32 = -2;
pub(super) const LONG: i32 = -8;
pub(super) const TEXT: i32 = -11;
const JSON: i32 = -130;
/// Bytes before what is serialised: its hash for the partition, 0 where it is the bytes' own, and
/// its type.
const HEAD: usize = 4 + 4;
const SEED: u32 = 0x0100_0193;

/// Begins data of a type.
pub(super) fn begin(kind: i32) -> BytesMut {
    let mut data = BytesMut::with_capacity(64);
    data.put_i32(0);
    data.put_i32(kind);
    data
}

/// Writes a text, as every part of a cluster does.
pub(super) fn put_text(into: &mut BytesMut, text: &str) {
    // No text of ours comes near the limit.
    into.put_i32(i32::try_from(text.len()).unwrap_or(i32::MAX));
    into.put_slice(text.as_bytes());
}

fn data(kind: i32, text: &str) -> Bytes {
    let mut data = begin(kind);
    put_text(&mut data, text);
    data.freeze()
}

/// A text as data.
pub(crate) fn of_text(text: &str) -> Bytes {
    data(TEXT, text)
}

/// A JSON value as data.
pub(super) fn of_json(text: &str) -> Bytes {
    data(JSON, text)
}

/// The text that data is; `None` where it is something else.
pub(crate) fn text(data: &[u8]) -> Option<&str> {
    read(data, TEXT)
}

/// The JSON value that data is; `None` where it is something else.
pub(super) fn json(data: &[u8]) -> Option<&str> {
    read(data, JSON)
}

/// The number that data is; `None` where it is something else.
pub(crate) fn long(data: &[u8]) -> Option<i64> {
    let mut rest = data.get(4..)?;
    (rest.try_get_i32().ok()? == LONG).then_some(())?;
    rest.try_get_i64().ok()
}

fn read(data: &[u8], kind: i32) -> Option<&str> {
    let mut rest = data.get(4..)?;
    (rest.try_get_i32().ok()? == kind).then_some(())?;
    let length = usize::try_from(rest.try_get_i32().ok()?).ok()?;
    (length == rest.len()).then_some(())?;
    str::from_utf8(rest).ok()
}

/// The partition of `count` that a key belongs to.
pub(crate) fn partition(key: &[u8], count: i32) -> i32 {
    let own = key.first_chunk().map_or(0, |head| i32::from_be_bytes(*head));
    let hash = match own {
        0 => murmur3(key.get(HEAD..).unwrap_or_default()) as i32,
        own => own,
    };
    // The smallest number has no absolute value; members put it into partition 0, too.
    hash.checked_abs().map_or(0, |hash| hash % count.max(1))
}

/// MurmurHash3, the variant of 32 bits for x86.
fn murmur3(bytes: &[u8]) -> u32 {
    let mix =
        |block: u32| block.wrapping_mul(0xcc9e_2d51).rotate_left(15).wrapping_mul(0x1b87_3593);
    let mut hash = SEED;
    let (blocks, tail) = bytes.as_chunks();
    for block in blocks {
        hash ^= mix(u32::from_le_bytes(*block));
        hash = hash.rotate_left(13).wrapping_mul(5).wrapping_add(0xe654_6b64);
    }
    if !tail.is_empty() {
        let block = tail.iter().rev().fold(0, |block, byte| block << 8 | u32::from(*byte));
        hash ^= mix(block);
    }
    hash ^= bytes.len() as u32;
    hash = (hash ^ hash >> 16).wrapping_mul(0x85eb_ca6b);
    hash = (hash ^ hash >> 13).wrapping_mul(0xc2b2_ae35);
    hash ^ hash >> 16
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn data_reads_back_as_what_it_was() {
        assert_eq!(text(&of_text("s-äöü")), Some("s-äöü"));
        assert_eq!(json(&of_json("{}")), Some("{}"));
        assert_eq!(text(&of_json("{}")), None);
        let mut number = begin(LONG);
        number.put_i64(-7);
        assert_eq!((long(&number), long(&of_text("7"))), (Some(-7), None));
    }

    #[test]
    fn the_hash_is_the_one_that_members_use() {
        // Of another implementation, which knows the published vectors.
        for (bytes, hash) in
            [("", 0xa183_f3bb), ("a", 0x9b80_24c0), ("abcd", 0xc5f7_cfc7), ("abcdefg", 0x76ba_8f52)]
        {
            assert_eq!(murmur3(bytes.as_bytes()), hash, "{bytes}");
        }
    }

    #[test]
    fn every_key_has_a_partition() {
        for key in [&b""[..], &[0x80, 0, 0, 0], &[0xff, 0xff, 0xff, 0xff, 0], &of_text("x")] {
            assert!((0..271).contains(&partition(key, 271)), "{key:?}");
            assert_eq!(partition(key, 0), 0);
        }
    }
}
