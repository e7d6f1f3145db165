//! Which server gets a request. Pure, but for the turn of round robin.

use std::fmt;

use http::uri::Authority;

use super::Scheme;

/// What stands for a server: the same on every node and in every run.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Id(u64);

impl Id {
    pub(super) fn of(scheme: Scheme, authority: &Authority) -> Self {
        let scheme: &[u8] = match scheme {
            Scheme::Http => b"http://",
            Scheme::Https => b"https://",
            Scheme::H2c => b"h2c://",
        };
        Self(hash(scheme.iter().chain(authority.as_str().as_bytes())))
    }

    /// Whether a cookie means this one.
    pub(super) fn is(self, text: &[u8]) -> bool {
        self.to_string().as_bytes() == text
    }
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

/// A key that leads to a server, such as a session's.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Key(u64);

impl Key {
    pub(super) fn of(text: &[u8]) -> Self {
        Self(hash(text.iter()))
    }

    /// How much this key belongs to a server of that weight: it goes to the one with the most, so
    /// that without it only its own keys move (weighted rendezvous hashing).
    pub(super) fn belongs(self, server: Id, weight: u32) -> f64 {
        let mixed = mix(self.0 ^ server.0);
        // 53 bits, as many as a float holds; never 0.
        let share = ((mixed >> 11) as f64 + 0.5) / (1_u64 << 53) as f64;
        f64::from(weight.max(1)) / -share.ln()
    }
}

/// FNV-1a, mixed at the end.
fn hash<'b>(bytes: impl Iterator<Item = &'b u8>) -> u64 {
    let step = |hash: u64, byte: &u8| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
    mix(bytes.fold(0xcbf2_9ce4_8422_2325, step))
}

/// The end of SplitMix64.
const fn mix(bits: u64) -> u64 {
    let bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ (bits >> 31)
}

/// The turn of a server in smooth weighted round robin: of `turn`, one in each of as many as all
/// weights together. Walks the weights with a stride, so that a heavy server's turns are spread.
pub(super) fn in_turn(turn: u64, weights: impl Iterator<Item = u32> + Clone) -> usize {
    let total: u64 = weights.clone().map(|weight| u64::from(weight.max(1))).sum();
    let total = total.max(1);
    let mut at = (turn % total).wrapping_mul(stride(total)) % total;
    for (index, weight) in weights.enumerate() {
        let weight = u64::from(weight.max(1));
        if at < weight {
            return index;
        }
        at -= weight;
    }
    0
}

/// A number near the golden section of `total` that has no divisor in common with it.
fn stride(total: u64) -> u64 {
    let golden = (total.saturating_mul(618) / 1000).max(1);
    (golden..=total).find(|stride| gcd(*stride, total) == 1).unwrap_or(1)
}

const fn gcd(a: u64, b: u64) -> u64 {
    if b == 0 { a } else { gcd(b, a % b) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ids(count: usize) -> Vec<Id> {
        let authority = |n| format!("10.0.0.{n}:80").parse().unwrap();
        (0..count).map(|n| Id::of(Scheme::Http, &authority(n))).collect()
    }

    fn leads_to(key: Key, servers: &[(Id, u32)]) -> Id {
        let belongs = |(id, weight): &(Id, u32)| key.belongs(*id, *weight);
        servers.iter().max_by(|a, b| belongs(a).total_cmp(&belongs(b))).unwrap().0
    }

    #[test]
    fn only_a_dead_servers_keys_move() {
        let all: Vec<_> = ids(5).into_iter().map(|id| (id, 1)).collect();
        let (dead, alive) = all.split_first().unwrap();
        let mut moved = 0;
        for n in 0..10_000 {
            let key = Key::of(format!("session-{n}").as_bytes());
            let (before, after) = (leads_to(key, &all), leads_to(key, alive));
            match before == dead.0 {
                true => moved += 1,
                false => assert_eq!(before, after),
            }
        }
        assert!((1_800..2_200).contains(&moved), "{moved}");
    }

    #[test]
    fn a_weight_is_a_share_of_the_keys() {
        let [a, b]: [Id; 2] = ids(2).try_into().unwrap();
        let servers = [(a, 3), (b, 1)];
        let key = |n| Key::of(format!("session-{n}").as_bytes());
        let to_a = (0..10_000).filter(|n| leads_to(key(n), &servers) == a).count();
        assert!((7_300..7_700).contains(&to_a), "{to_a}");
    }

    #[test]
    fn each_has_its_turns_by_weight() {
        let weights = [5, 1, 2];
        let mut turns = [0; 3];
        for turn in 0..80 {
            turns[in_turn(turn, weights.into_iter())] += 1;
        }
        assert_eq!(turns, [50, 10, 20]);
        let three: Vec<_> = (0..3).map(|turn| in_turn(turn, [1, 1, 1].into_iter())).collect();
        assert_eq!(three.iter().collect::<std::collections::BTreeSet<_>>().len(), 3);
    }

    #[test]
    fn what_stands_for_a_server_never_changes() {
        assert_eq!(ids(1)[0].to_string(), "0");
    }
}
