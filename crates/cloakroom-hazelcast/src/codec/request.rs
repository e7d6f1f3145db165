//! The requests that we send, each as the protocol's definitions number and order it.

use std::time::Duration;

use bytes::Bytes;

use super::{Request, Uuid, predicate};

/// Types of requests; the answer's is the next number.
pub(crate) const AUTHENTICATION: u32 = 0x00_0100;
pub(crate) const CLUSTER_VIEW: u32 = 0x00_0300;
pub(crate) const PING: u32 = 0x00_0b00;
pub(crate) const GET: u32 = 0x01_0200;
pub(crate) const REPLACE_IF_SAME: u32 = 0x01_0500;
pub(crate) const REMOVE_IF_SAME: u32 = 0x01_0800;
pub(crate) const PUT_IF_ABSENT: u32 = 0x01_0e00;
pub(crate) const ADD_INDEX: u32 = 0x01_2900;
pub(crate) const SIZE: u32 = 0x01_2a00;
pub(crate) const ENTRIES_BY_PAGE: u32 = 0x01_3600;
pub(crate) const FETCH_ENTRIES: u32 = 0x01_3800;
pub(crate) const AGGREGATE: u32 = 0x01_3a00;
pub(crate) const METADATA: u32 = 0x01_3d00;
pub(crate) const INVALIDATIONS: u32 = 0x01_3f00;

/// Which thread of ours writes: members tell them apart by it where one holds a lock; none does.
const THREAD: i64 = 1;
/// How data is serialised: the one way that there is.
const SERIALIZATION: u8 = 1;
/// This client talks to one member, which talks to the others.
const ONE_MEMBER: u8 = 0;
/// What members take a client for that is none of Hazelcast's own.
const CLIENT_TYPE: &str = "RST";
/// Of the events of a map, those that empty caches.
const INVALIDATION: i32 = 1 << 8;
/// Keys with their values, where a query could answer with either.
const ENTRIES: u8 = 2;
/// An index in order.
const SORTED: i32 = 0;

/// Who we are.
#[derive(Clone)]
pub(crate) struct Identity {
    pub(crate) cluster: String,
    pub(crate) name: Option<String>,
    pub(crate) password: Option<String>,
    pub(crate) uuid: Uuid,
}

/// Says who we are.
pub(crate) fn authentication(identity: &Identity) -> Request {
    let version = env!("CARGO_PKG_VERSION");
    Request::new(AUTHENTICATION)
        .uuid(identity.uuid)
        .byte(SERIALIZATION)
        .byte(ONE_MEMBER)
        .byte(0)
        .text(&identity.cluster)
        .text_or_null(identity.name.as_deref())
        .text_or_null(identity.password.as_deref())
        .text(CLIENT_TYPE)
        .text(version)
        .text("cloakroom")
        .begin()
        .end()
}

/// Asks to be told who is in the cluster.
pub(crate) fn cluster_view() -> Request {
    Request::new(CLUSTER_VIEW)
}

pub(crate) fn ping() -> Request {
    Request::new(PING)
}

/// The name of a map, and what members put its keys into.
#[derive(Clone, Copy)]
pub(crate) struct In<'a> {
    pub(crate) map: &'a str,
    pub(crate) partition: i32,
}

pub(crate) fn get(place: In<'_>, key: &[u8]) -> Request {
    Request::to(place.partition, GET).long(THREAD).text(place.map).frame(key)
}

/// Puts a value where there is none. It is forgotten after `ttl`.
pub(crate) fn put_if_absent(
    place: In<'_>,
    key: &[u8],
    value: &[u8],
    ttl: Option<Duration>,
) -> Request {
    // As far as the protocol goes, a negative number is none.
    let ttl = ttl.map_or(-1, |ttl| i64::try_from(ttl.as_millis()).unwrap_or(i64::MAX).max(1));
    let request = Request::to(place.partition, PUT_IF_ABSENT).long(THREAD).long(ttl);
    request.text(place.map).frame(key).frame(value)
}

/// Puts a value in the place of another, which it is compared with byte by byte.
pub(crate) fn replace_if_same(place: In<'_>, key: &[u8], from: &[u8], to: &[u8]) -> Request {
    let request = Request::to(place.partition, REPLACE_IF_SAME).long(THREAD).text(place.map);
    request.frame(key).frame(from).frame(to)
}

pub(crate) fn remove_if_same(place: In<'_>, key: &[u8], value: &[u8]) -> Request {
    let request = Request::to(place.partition, REMOVE_IF_SAME).long(THREAD);
    request.text(place.map).frame(key).frame(value)
}

/// Asks every partition of a map.
pub(crate) fn size(map: &str) -> Request {
    Request::new(SIZE).text(map)
}

/// Keeps an index, unless there is one.
pub(crate) fn add_index(map: &str, attribute: &str) -> Request {
    let request = Request::new(ADD_INDEX).text(map).begin().frame(&SORTED.to_le_bytes()).null();
    request.begin().text(attribute).end().null().end()
}

/// Some entries of those that `predicate` is true of.
pub(crate) fn entries(map: &str, predicate: &Bytes, limit: i32) -> Request {
    // The first page of this size, of entries.
    let mut page = [0; 4 + 4 + 1];
    page[..4].copy_from_slice(&limit.to_le_bytes());
    page[8] = ENTRIES;
    let request = Request::new(ENTRIES_BY_PAGE).text(map).begin().frame(&page);
    let anchors = |request: Request| request.begin().frame(&[]).begin().end().end();
    // No comparator, and of no partition in particular.
    anchors(request).frame(predicate).null().null().end()
}

/// How many entries there are that `predicate` is true of.
pub(crate) fn count(map: &str, predicate: &Bytes) -> Request {
    Request::new(AGGREGATE).text(map).frame(&predicate::count()).frame(predicate)
}

/// Entries of a partition, from `pointers` on.
pub(crate) fn fetch(place: In<'_>, pointers: &[u8], limit: i32) -> Request {
    Request::to(place.partition, FETCH_ENTRIES).int(limit).text(place.map).frame(pointers)
}

/// From where on a partition is read first: the end of its table, from which members go down.
pub(crate) fn first_pointers() -> [u8; 8] {
    let mut pointers = [0; 8];
    pointers[..4].copy_from_slice(&i32::MAX.to_le_bytes());
    pointers[4..].copy_from_slice(&(-1_i32).to_le_bytes());
    pointers
}

/// What changes a member counts in the partitions that it owns.
pub(crate) fn metadata(map: &str, member: Uuid) -> Request {
    Request::new(METADATA).uuid(member).begin().text(map).end()
}

/// Asks to be told of what changes in a map, on whichever member.
pub(crate) fn invalidations(map: &str) -> Request {
    Request::new(INVALIDATIONS).int(INVALIDATION).byte(0).text(map)
}
