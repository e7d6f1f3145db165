//! Reads the server's replies. A reply of another type than expected is never an absence.

use bytes::Bytes;
use cloakroom_core::record::Unreadable;
use cloakroom_core::store::{Error, Result};
use cloakroom_core::{Key, Record};
use redis::Value;

use crate::fault;

/// A string, or nothing.
pub(crate) fn string(value: Value, command: &'static str) -> Result<Option<Bytes>> {
    match value {
        Value::Nil => Ok(None),
        Value::BulkString(bytes) => Ok(Some(bytes.into())),
        _ => Err(fault::unexpected(command)),
    }
}

/// A number.
pub(crate) fn number(value: &Value, command: &'static str) -> Result<u64> {
    match value {
        Value::Int(number) => u64::try_from(*number).map_err(|_| fault::unexpected(command)),
        Value::BulkString(digits) => std::str::from_utf8(digits)
            .ok()
            .and_then(|digits| digits.parse().ok())
            .ok_or_else(|| fault::unexpected(command)),
        _ => Err(fault::unexpected(command)),
    }
}

/// A list of strings.
pub(crate) fn strings(value: Value, command: &'static str) -> Result<Vec<Bytes>> {
    let Value::Array(items) = value else {
        return Err(fault::unexpected(command));
    };
    items
        .into_iter()
        .map(|item| string(item, command)?.ok_or_else(|| fault::unexpected(command)))
        .collect()
}

/// A list of pairs, as a map or one after the other.
pub(crate) fn pairs(value: Value, command: &'static str) -> Result<Vec<(Bytes, Bytes)>> {
    let items = match value {
        Value::Map(items) => items,
        Value::Array(items) => {
            let mut items = items.into_iter();
            std::iter::from_fn(|| Some((items.next()?, items.next()?))).collect()
        }
        _ => return Err(fault::unexpected(command)),
    };
    items
        .into_iter()
        .map(|pair| match pair {
            (Value::BulkString(name), Value::BulkString(value)) => Ok((name.into(), value.into())),
            _ => Err(fault::unexpected(command)),
        })
        .collect()
}

/// The record under `key`.
pub(crate) fn record(key: Key, bytes: &Bytes) -> Result<Record> {
    Record::decode(bytes).map_err(|source| Error::Unreadable { key, source })
}

/// Why a script could not read the record under `key`.
pub(crate) fn unreadable(key: Key, bytes: &Bytes) -> Error {
    let source = Record::decode(bytes)
        .err()
        .unwrap_or(Unreadable::Malformed("the server's scripts cannot read it"));
    Error::Unreadable { key, source }
}
