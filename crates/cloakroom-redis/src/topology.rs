//! Which node of a cluster has which bucket: read from what a node says. Pure.

use redis::Value;

use crate::layout::{BUCKETS, DIGITS};
use crate::url::Address;

/// The slots of a cluster.
const SLOTS: u16 = 16384;

/// What a node says of its cluster.
#[derive(PartialEq, Eq, Debug)]
pub(crate) struct Topology {
    /// The master of each bucket, as a place in `masters`.
    pub(crate) owners: Vec<Option<usize>>,
    pub(crate) masters: Vec<Address>,
    /// All nodes, masters and replicas.
    pub(crate) nodes: Vec<Address>,
}

/// Reads the answer to CLUSTER SLOTS: ranges of slots, each with its master and its replicas.
/// `None` where it is none, or nobody has any slot. `host` is where it comes from: a node that does
/// not know its own name leaves it out.
pub(crate) fn read(answer: &Value, host: &str) -> Option<Topology> {
    let ranges = items(answer)?.iter().map(|range| Range::read(range, host));
    let ranges: Vec<Range> = ranges.collect::<Option<_>>()?;
    let (mut masters, mut nodes) = (Vec::new(), Vec::new());
    let mut owners = vec![None; BUCKETS];
    for Range { first, last, members } in ranges {
        let Some(master) = members.first() else {
            continue;
        };
        let at = place(&mut masters, master);
        for (bucket, owner) in (0..=u8::MAX).zip(&mut owners) {
            if (first..=last).contains(&slot_of(bucket)) {
                *owner = Some(at);
            }
        }
        for member in &members {
            place(&mut nodes, member);
        }
    }
    owners.iter().any(Option::is_some).then_some(Topology { owners, masters, nodes })
}

/// Where an address stands in a list; it is added where it does not.
fn place(list: &mut Vec<Address>, address: &Address) -> usize {
    list.iter().position(|other| other == address).unwrap_or_else(|| {
        list.push(address.clone());
        list.len() - 1
    })
}

struct Range {
    first: u16,
    last: u16,
    members: Vec<Address>,
}

impl Range {
    fn read(value: &Value, host: &str) -> Option<Self> {
        let [first, last, members @ ..] = items(value)? else {
            return None;
        };
        let members = members.iter().filter_map(|member| node(member, host)).collect();
        Some(Self { first: number(first)?, last: number(last)?, members })
    }
}

/// Reads a node: host, port, and more that nobody needs.
fn node(value: &Value, asked: &str) -> Option<Address> {
    let [host, port, ..] = items(value)? else {
        return None;
    };
    let host = match host {
        Value::BulkString(bytes) => std::str::from_utf8(bytes).ok()?,
        Value::SimpleString(text) => text,
        Value::Nil => "",
        _ => return None,
    };
    match host {
        "?" => None,
        "" => Some(Address { host: asked.to_owned(), port: number(port)? }),
        host => Some(Address { host: host.to_owned(), port: number(port)? }),
    }
}

fn items(value: &Value) -> Option<&[Value]> {
    match value {
        Value::Array(items) => Some(items),
        _ => None,
    }
}

fn number(value: &Value) -> Option<u16> {
    match value {
        Value::Int(number) => u16::try_from(*number).ok(),
        _ => None,
    }
}

/// The slot of a bucket: of the hash tag that all its names have.
pub(crate) fn slot_of(bucket: u8) -> u16 {
    SLOT_OF[usize::from(bucket)]
}

static SLOT_OF: [u16; BUCKETS] = slots();

const fn slots() -> [u16; BUCKETS] {
    let mut slots = [0; BUCKETS];
    let mut bucket = 0;
    while bucket < BUCKETS {
        let crc = crc16(crc16(0, DIGITS[bucket / 16]), DIGITS[bucket % 16]);
        slots[bucket] = crc % SLOTS;
        bucket += 1;
    }
    slots
}

/// One more byte of the checksum that Redis Cluster takes a slot from (CRC-16/XMODEM).
const fn crc16(crc: u16, byte: u8) -> u16 {
    let mut crc = crc ^ ((byte as u16) << 8);
    let mut bit = 0;
    while bit < 8 {
        crc = if crc & 0x8000 == 0 { crc << 1 } else { (crc << 1) ^ 0x1021 };
        bit += 1;
    }
    crc
}

#[cfg(test)]
mod tests {
    use super::*;

    fn member(host: Value, port: i64) -> Value {
        let metadata = Value::Map(vec![]);
        Value::Array(vec![host, Value::Int(port), Value::BulkString(b"id".to_vec()), metadata])
    }

    fn host(name: &str) -> Value {
        Value::BulkString(name.into())
    }

    fn range(first: i64, last: i64, members: Vec<Value>) -> Value {
        let mut items = vec![Value::Int(first), Value::Int(last)];
        items.extend(members);
        Value::Array(items)
    }

    #[test]
    fn slots_are_those_of_the_cluster() {
        // By CLUSTER KEYSLOT of a real node.
        assert_eq!(slot_of(0x00), 13254);
        assert_eq!(slot_of(0x3f), 7334);
        assert_eq!(slot_of(0xff), 11756);
    }

    #[test]
    fn every_bucket_has_the_master_of_its_slot() {
        let answer = Value::Array(vec![
            range(0, 9999, vec![member(host("a"), 1), member(host("b"), 2)]),
            range(10000, 16383, vec![member(host("c"), 3)]),
        ]);
        let read = read(&answer, "asked").unwrap();
        let names: Vec<String> = read.nodes.iter().map(ToString::to_string).collect();
        assert_eq!((names.join(" "), read.masters.len()), ("a:1 b:2 c:3".to_owned(), 2));
        for bucket in 0..=u8::MAX {
            let owner = usize::from(slot_of(bucket) > 9999);
            assert_eq!(read.owners[usize::from(bucket)], Some(owner));
        }
    }

    #[test]
    fn a_node_without_a_name_is_where_it_was_asked() {
        let all = |member| Value::Array(vec![range(0, 16383, vec![member])]);
        for nameless in [Value::Nil, host("")] {
            let read = read(&all(member(nameless, 7)), "asked").unwrap();
            assert_eq!(read.masters[0].to_string(), "asked:7");
        }
        assert_eq!(read(&all(member(host("?"), 7)), "asked"), None);
    }

    #[test]
    fn what_is_no_topology_is_none() {
        let odd = [
            Value::Nil,
            Value::Array(vec![]),
            Value::Array(vec![Value::Int(1)]),
            Value::Array(vec![range(-1, 70000, vec![])]),
            Value::Array(vec![range(0, 16383, vec![Value::Nil])]),
        ];
        for answer in odd {
            assert_eq!(read(&answer, "asked"), None, "{answer:?}");
        }
    }
}
