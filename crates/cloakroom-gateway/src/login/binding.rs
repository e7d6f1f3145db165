//! Whether a session may be used from an address.

use std::net::IpAddr;

use super::Binding;

/// Bits of an address that a provider seldom changes under its customer's feet.
const V4_BITS: u32 = 24;
const V6_BITS: u32 = 56;

/// Whether a session that was signed in from `kept` is for whoever asks from `asking`. An address
/// that is not known is no other's.
/// `kept` is asked for only where it matters.
pub(super) fn holds(
    binding: Binding,
    kept: impl FnOnce() -> Option<String>,
    asking: Option<IpAddr>,
) -> bool {
    if binding == Binding::Off {
        return true;
    }
    let kept = kept().and_then(|kept| kept.parse::<IpAddr>().ok()).map(|kept| kept.to_canonical());
    let asking = asking.map(|asking| asking.to_canonical());
    match binding {
        Binding::Prefix => kept.map(prefix) == asking.map(prefix),
        Binding::Off | Binding::Exact => kept == asking,
    }
}

fn prefix(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(address) => IpAddr::V4((address.to_bits() & u32::MAX << (32 - V4_BITS)).into()),
        IpAddr::V6(address) => {
            IpAddr::V6((address.to_bits() & u128::MAX << (128 - V6_BITS)).into())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_goes_as_far_as_its_binding() {
        let holds = |binding, kept: &str, asking: &str| {
            let kept = || Some(kept.to_owned()).filter(|kept| !kept.is_empty());
            holds(binding, kept, asking.parse().ok())
        };
        for (kept, asking, exact, within_prefix) in [
            ("192.0.2.1", "192.0.2.1", true, true),
            ("192.0.2.1", "::ffff:192.0.2.1", true, true),
            ("192.0.2.1", "192.0.2.200", false, true),
            ("192.0.2.1", "192.0.3.1", false, false),
            ("2001:db8:0:1100::1", "2001:db8:0:11ff::2", false, true),
            ("2001:db8:0:1100::1", "2001:db8:0:1200::1", false, false),
            ("192.0.2.1", "2001:db8::1", false, false),
            ("192.0.2.1", "", false, false),
            ("", "192.0.2.1", false, false),
            ("no address", "192.0.2.1", false, false),
            ("", "", true, true),
        ] {
            assert!(holds(Binding::Off, kept, asking));
            assert_eq!(holds(Binding::Exact, kept, asking), exact, "{kept} {asking}");
            assert_eq!(holds(Binding::Prefix, kept, asking), within_prefix, "{kept} {asking}");
        }
    }
}
