//! What counts as one network, and those around it.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};

/// Bits of an IPv6 address that one line has, whose others it chooses as it likes; and those of what
/// one place has, such as a company or a tunnel.
const V6_BITS: [u32; 2] = [56, 48];

/// A network that requests come from.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Network {
    /// Its first address; `None`: nobody knows from where.
    first: Option<IpAddr>,
    bits: u32,
}

impl Network {
    /// The networks that an address is in, the narrowest first: of IPv4 the address itself alone.
    pub(super) fn around(address: Option<IpAddr>) -> Vec<Self> {
        match address.map(|address| address.to_canonical()) {
            Some(IpAddr::V6(address)) => {
                let network = |bits: u32| {
                    let kept = Ipv6Addr::from_bits(address.to_bits() & u128::MAX << (128 - bits));
                    Self { first: Some(kept.into()), bits }
                };
                V6_BITS.map(network).to_vec()
            }
            first => vec![Self { first, bits: u32::BITS }],
        }
    }

    /// The widest of them: what one customer of a provider has at most.
    pub(super) fn widest(address: Option<IpAddr>) -> Self {
        let unknown = Self { first: None, bits: u32::BITS };
        Self::around(address).pop().unwrap_or(unknown)
    }

    /// Whether it is known at all; else it may be anybody's.
    pub(super) const fn is_known(&self) -> bool {
        self.first.is_some()
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.first {
            Some(IpAddr::V4(address)) => address.fmt(f),
            Some(IpAddr::V6(first)) => write!(f, "{first}/{}", self.bits),
            None => f.write_str("nowhere"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_is_what_one_household_has() {
        let of = |text: &str| Network::around(Some(text.parse().unwrap()));
        let text = |text: &str| of(text).iter().map(Network::to_string).collect::<Vec<_>>();
        assert_eq!(text("192.0.2.7"), ["192.0.2.7"]);
        assert_eq!(text("::ffff:192.0.2.7"), ["192.0.2.7"]);
        assert_eq!(text("2001:db8:1:1234:5:6:7:8"), ["2001:db8:1:1200::/56", "2001:db8:1::/48"]);
        assert_eq!(of("2001:db8:1:2:3:4:5:6"), of("2001:db8:1:2::"));
        let shared = |one: &str, other: &str| {
            let pairs = of(one).into_iter().zip(of(other));
            pairs.filter(|(one, other)| one == other).count()
        };
        assert_eq!(shared("2001:db8:1:2::1", "2001:db8:1:3::1"), 2);
        assert_eq!(shared("2001:db8:1:2::1", "2001:db8:1:102::1"), 1);
        assert_eq!(shared("2001:db8:1::1", "2001:db8:2::1"), 0);
        assert_eq!(Network::widest(None).to_string(), "nowhere");
        assert_eq!(Network::widest("2001:db8:1:2::1".parse().ok()).to_string(), "2001:db8:1::/48");
    }
}
