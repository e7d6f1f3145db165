//! Writes a small MaxMind database by its specification, version 2.0: a tree of bits of addresses,
//! the records that it leads to, and what is to be known to read both.

/// What a record holds.
#[derive(Clone, Debug)]
pub(crate) enum Value {
    Text(&'static str),
    Short(u16),
    Number(u32),
    Long(u64),
    Map(Vec<(&'static str, Value)>),
    EmptyList,
}

const SEPARATOR: [u8; 16] = [0; 16];
const METADATA: &[u8] = b"\xab\xcd\xefMaxMind.com";
/// Where a node leads that is not there: to nothing.
const NOWHERE: usize = usize::MAX;

/// A database of these networks of 24 bits of IPv4, none of them twice.
pub(crate) fn write(networks: &[([u8; 3], Value)]) -> Vec<u8> {
    let (mut nodes, mut data) = (vec![[NOWHERE; 2]], Vec::new());
    // Leaves are numbered from here on until the number of nodes is known.
    const LEAVES: usize = 1 << 40;
    for (network, value) in networks {
        let leaf = LEAVES + data.len();
        encode(value, &mut data);
        let bit = |n: usize| usize::from(network[n / 8] >> (7 - n % 8) & 1);
        let mut node = 0;
        for n in 0..23 {
            if nodes[node][bit(n)] == NOWHERE {
                nodes[node][bit(n)] = nodes.len();
                nodes.push([NOWHERE; 2]);
            }
            node = nodes[node][bit(n)];
        }
        nodes[node][bit(23)] = leaf;
    }
    let count = nodes.len();
    let mut file = Vec::new();
    for side in nodes.into_iter().flatten() {
        let side = match side {
            NOWHERE => count,
            leaf if leaf >= LEAVES => count + SEPARATOR.len() + leaf - LEAVES,
            node => node,
        };
        file.extend(&u32::try_from(side).unwrap().to_be_bytes()[1..]);
    }
    file.extend(SEPARATOR);
    file.extend(data);
    file.extend(METADATA);
    encode(&metadata(u32::try_from(count).unwrap()), &mut file);
    file
}

fn metadata(count: u32) -> Value {
    use Value::{Long, Map, Number, Short, Text};
    Map(vec![
        ("binary_format_major_version", Short(2)),
        ("binary_format_minor_version", Short(0)),
        ("build_epoch", Long(1_800_000_000)),
        ("database_type", Text("Test-City")),
        ("description", Map(Vec::new())),
        ("ip_version", Short(4)),
        ("languages", Value::EmptyList),
        ("node_count", Number(count)),
        ("record_size", Short(24)),
    ])
}

/// A control byte with the type and the size, and what it is about.
fn encode(value: &Value, to: &mut Vec<u8>) {
    match value {
        Value::Text(text) => {
            control(2, text.len(), to);
            to.extend(text.bytes());
        }
        Value::Short(number) => {
            control(5, 2, to);
            to.extend(number.to_be_bytes());
        }
        Value::Number(number) => {
            control(6, 4, to);
            to.extend(number.to_be_bytes());
        }
        // Of a type above 7 the first byte says the size alone, and the second how far above.
        Value::Long(number) => {
            to.extend([8, 9 - 7]);
            to.extend(number.to_be_bytes());
        }
        Value::EmptyList => to.extend([0, 11 - 7]),
        Value::Map(entries) => {
            control(7, entries.len(), to);
            for (key, value) in entries {
                encode(&Value::Text(key), to);
                encode(value, to);
            }
        }
    }
}

fn control(kind: u8, size: usize, to: &mut Vec<u8>) {
    match u8::try_from(size).unwrap() {
        size @ 0..29 => to.push(kind << 5 | size),
        size => to.extend([kind << 5 | 29, size - 29]),
    }
}
