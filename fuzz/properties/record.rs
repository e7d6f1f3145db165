//! What holds for all bytes that a store may hand back for a record.

use bytes::Bytes;
use cloakroom_core::Record;

/// Panics where decoding does, or where a record that was read changes by being written.
pub(crate) fn holds(bytes: &[u8]) {
    let Ok(record) = Record::decode(&Bytes::copy_from_slice(bytes)) else {
        return;
    };
    assert_eq!(Record::decode(&record.encode()), Ok(record), "a record changes by being written");
}
