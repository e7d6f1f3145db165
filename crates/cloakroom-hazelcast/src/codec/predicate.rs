//! What members are asked to look for, as they serialise it.

use bytes::{BufMut, Bytes, BytesMut};

use super::data::{self, LONG, OBJECT};
use super::value::KIND;

/// Where members find the classes of predicates and of aggregations.
const PREDICATES: i32 = -20;
const AGGREGATIONS: i32 = -29;
const AND: i32 = 1;
const EQUAL: i32 = 3;
const GREATER_LESS: i32 = 4;
const COUNT: i32 = 4;
/// An object that is identified by numbers.
const IDENTIFIED: u8 = 1;
/// A text that there is none of.
const NO_TEXT: i32 = -1;

/// Everything whose number `name` is at most `limit`.
pub(crate) fn at_most(name: &str, limit: u64) -> Bytes {
    object(|into| put_compared(into, name, limit, true, true))
}

/// Everything of a `kind` whose number `name` is above `limit`.
pub(crate) fn of_kind_above(kind: &str, name: &str, limit: u64) -> Bytes {
    object(|into| {
        put_class(into, PREDICATES, AND);
        into.put_i32(2);
        into.put_i32(OBJECT);
        put_class(into, PREDICATES, EQUAL);
        data::put_text(into, KIND);
        into.put_i32(data::TEXT);
        data::put_text(into, kind);
        into.put_i32(OBJECT);
        put_compared(into, name, limit, false, false);
    })
}

/// How many there are.
pub(crate) fn count() -> Bytes {
    object(|into| {
        put_class(into, AGGREGATIONS, COUNT);
        into.put_i32(NO_TEXT);
        into.put_i64(0);
    })
}

fn object(write: impl FnOnce(&mut BytesMut)) -> Bytes {
    let mut into = data::begin(OBJECT);
    write(&mut into);
    into.freeze()
}

fn put_class(into: &mut BytesMut, factory: i32, class: i32) {
    into.put_u8(IDENTIFIED);
    into.put_i32(factory);
    into.put_i32(class);
}

fn put_compared(into: &mut BytesMut, name: &str, limit: u64, equal: bool, less: bool) {
    put_class(into, PREDICATES, GREATER_LESS);
    data::put_text(into, name);
    into.put_i32(LONG);
    into.put_i64(i64::try_from(limit).unwrap_or(i64::MAX));
    into.put_u8(u8::from(equal));
    into.put_u8(u8::from(less));
}
