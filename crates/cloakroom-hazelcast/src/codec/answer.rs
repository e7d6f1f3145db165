//! What members answer and tell.

use bytes::Bytes;

use super::request::{CLUSTER_VIEW, INVALIDATIONS};
use super::{Malformed, Message, Uuid};

/// The type of an answer that says what went wrong.
const ERROR: u32 = 0;
/// Bytes before the numbers of an answer: type, correlation id, and how many backups there are.
const ANSWER: usize = 4 + 8 + 1;
/// Bytes before the numbers of an event: type, correlation id, and a partition.
const EVENT: usize = 4 + 8 + 4;

/// What a member says went wrong.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{class}: {message}")]
pub(crate) struct Refusal {
    /// The protocol's number for it.
    pub(crate) code: i32,
    /// What it is in Java.
    pub(crate) class: String,
    pub(crate) message: String,
}

/// What became of a request to be let in.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Welcome {
    /// 0 where we are in.
    pub(crate) status: u8,
    /// Who answers.
    pub(crate) member: Option<Uuid>,
    pub(crate) version: String,
    pub(crate) partitions: i32,
}

/// Entries of a partition, and from where on it goes on.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Fetched {
    pub(crate) pointers: Bytes,
    pub(crate) entries: Vec<(Bytes, Bytes)>,
}

/// How many changes a partition's owner has counted, under the name that it counts by.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Count {
    pub(crate) partition: i32,
    pub(crate) uuid: Uuid,
    pub(crate) sequence: i64,
}

/// One change.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Change {
    /// Of which key; of all of them where there is none.
    pub(crate) key: Option<Bytes>,
    /// Who made it.
    pub(crate) by: Option<Uuid>,
    /// Under which name and number it was counted.
    pub(crate) uuid: Option<Uuid>,
    pub(crate) sequence: i64,
}

/// What a member tells.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Told {
    /// These members keep data.
    Members(Vec<Uuid>),
    Changed(Change),
    /// Changes are collected for seconds before they are told.
    Late,
    /// Something else.
    Other,
}

/// Takes an answer to a request of a type, or what went wrong.
pub(crate) fn check(message: Message, request: u32) -> Result<Result<Message, Refusal>, Malformed> {
    match message.kind() {
        ERROR => refusal(&message).map(Err),
        kind if kind == request + 1 => Ok(Ok(message)),
        _ => Err(Malformed("an answer to something else")),
    }
}

fn refusal(message: &Message) -> Result<Refusal, Malformed> {
    let mut reader = message.read();
    reader.fixed()?;
    let all = reader.list(|reader| {
        reader.begin()?;
        let code = reader.fixed()?.int()?;
        let class = reader.text()?.to_owned();
        let message = reader.text_or_null()?.unwrap_or_default().to_owned();
        reader.leave()?;
        Ok(Refusal { code, class, message })
    })?;
    all.into_iter().next().ok_or(Malformed("an error without a name"))
}

pub(crate) fn welcome(message: &Message) -> Result<Welcome, Malformed> {
    let mut reader = message.read();
    let mut fixed = reader.fixed()?;
    fixed.skip(ANSWER)?;
    let status = fixed.byte()?;
    let member = fixed.uuid()?;
    fixed.byte()?;
    let partitions = fixed.int()?;
    // The member's address.
    reader.skip()?;
    let version = reader.text()?.to_owned();
    Ok(Welcome { status, member, version, partitions })
}

pub(crate) fn truth(message: &Message) -> Result<bool, Malformed> {
    let mut fixed = message.read().fixed()?;
    fixed.skip(ANSWER)?;
    Ok(fixed.byte()? != 0)
}

/// A value, or that there is none.
pub(crate) fn value(message: &Message) -> Result<Option<Bytes>, Malformed> {
    let mut reader = message.read();
    reader.fixed()?;
    reader.bytes_or_null()
}

pub(crate) fn entries(message: &Message) -> Result<Vec<(Bytes, Bytes)>, Malformed> {
    let mut reader = message.read();
    reader.fixed()?;
    reader.list(|reader| Ok((reader.bytes()?, reader.bytes()?)))
}

pub(crate) fn fetched(message: &Message) -> Result<Fetched, Malformed> {
    let mut reader = message.read();
    reader.fixed()?;
    let pointers = reader.bytes()?;
    let entries = reader.list(|reader| Ok((reader.bytes()?, reader.bytes()?)))?;
    Ok(Fetched { pointers, entries })
}

/// Whether these pointers lead nowhere: the partition is read to its end.
pub(crate) fn is_end(pointers: &[u8]) -> bool {
    match pointers.last_chunk::<8>() {
        Some([a, b, c, d, ..]) => i32::from_le_bytes([*a, *b, *c, *d]) < 0,
        None => true,
    }
}

/// What is counted for the one map that was asked for.
pub(crate) fn counts(message: &Message) -> Result<Vec<Count>, Malformed> {
    let mut reader = message.read();
    reader.fixed()?;
    let maps = reader.list(|reader| {
        reader.text()?;
        let (mut fixed, mut sequences) = (reader.fixed()?, Vec::new());
        while !fixed.is_empty() {
            sequences.push((fixed.int()?, fixed.long()?));
        }
        Ok(sequences)
    })?;
    let sequences: std::collections::HashMap<i32, i64> = maps.into_iter().flatten().collect();
    let (mut fixed, mut counts) = (reader.fixed()?, Vec::new());
    while !fixed.is_empty() {
        let partition = fixed.int()?;
        let uuid = fixed.uuid()?.ok_or(Malformed("a partition without a name"))?;
        // What has never changed is left out.
        let sequence = sequences.get(&partition).copied().unwrap_or(0);
        counts.push(Count { partition, uuid, sequence });
    }
    Ok(counts)
}

pub(crate) fn told(message: &Message) -> Result<Told, Malformed> {
    const MEMBERS: u32 = CLUSTER_VIEW + 2;
    const CHANGE: u32 = INVALIDATIONS + 2;
    const CHANGES: u32 = INVALIDATIONS + 3;
    Ok(match message.kind() {
        MEMBERS => Told::Members(members(message)?),
        CHANGE => Told::Changed(change(message)?),
        CHANGES => Told::Late,
        _ => Told::Other,
    })
}

fn members(message: &Message) -> Result<Vec<Uuid>, Malformed> {
    let mut reader = message.read();
    reader.fixed()?;
    let all = reader.list(|reader| {
        reader.begin()?;
        let mut fixed = reader.fixed()?;
        let (uuid, is_lite) = (fixed.uuid()?, fixed.byte()? != 0);
        reader.leave()?;
        // What a member without data keeps is nothing.
        Ok(uuid.filter(|_| !is_lite))
    })?;
    let mut members: Vec<Uuid> = all.into_iter().flatten().collect();
    members.sort_unstable();
    Ok(members)
}

fn change(message: &Message) -> Result<Change, Malformed> {
    let mut reader = message.read();
    let mut fixed = reader.fixed()?;
    fixed.skip(EVENT)?;
    let (by, uuid, sequence) = (fixed.uuid()?, fixed.uuid()?, fixed.long()?);
    Ok(Change { key: reader.bytes_or_null()?, by, uuid, sequence })
}
