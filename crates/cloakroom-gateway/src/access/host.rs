//! Patterns of hosts: `shop.example`, `*.shop.example`.

/// A pattern of hosts. `*.` at its beginning stands for one or more names, and not for none.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct HostPattern {
    /// In lower case; with the dot, but without the star, where `below`.
    name: String,
    below: bool,
}

/// Why a text names no hosts.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("not the name of a host")]
pub(crate) struct BadHost;

impl HostPattern {
    /// Reads a host's name, or `*.` and a name.
    pub(crate) fn parse(text: &str) -> Result<Self, BadHost> {
        let name = text.to_ascii_lowercase();
        let (name, below) = match name.strip_prefix('*') {
            Some(name) => (name, true),
            None => (name.as_str(), false),
        };
        let labels = if below { name.strip_prefix('.').ok_or(BadHost)? } else { name };
        let is_name = labels.split('.').all(is_label) || (!below && is_ipv6(labels));
        is_name.then(|| Self { name: name.to_owned(), below }).ok_or(BadHost)
    }

    /// Whether a host, in lower case and without a port, is one of those that are meant. With a dot
    /// at its end it is the same host.
    pub(crate) fn matches(&self, host: &str) -> bool {
        let host = host.strip_suffix('.').unwrap_or(host);
        match self.below {
            true => host.strip_suffix(self.name.as_str()).is_some_and(|names| !names.is_empty()),
            false => host == self.name,
        }
    }

    /// Whether this pattern matches whatever the other one does.
    pub(crate) fn covers(&self, other: &Self) -> bool {
        match (self.below, other.below) {
            (true, true) => other.name.ends_with(&self.name),
            (false, true) => false,
            _ => self.matches(&other.name),
        }
    }
}

impl std::fmt::Display for HostPattern {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let star = if self.below { "*" } else { "" };
        write!(f, "{star}{}", self.name)
    }
}

fn is_label(label: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    (1..=63).contains(&label.len()) && label.bytes().all(plain)
}

fn is_ipv6(text: &str) -> bool {
    let inside = text.strip_prefix('[').and_then(|text| text.strip_suffix(']'));
    inside.is_some_and(|inside| inside.parse::<std::net::Ipv6Addr>().is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_match_whole_names() {
        for (pattern, inside, outside) in [
            ("Shop.Example", &["shop.example", "shop.example."][..], &["a.shop.example", ""][..]),
            (
                "*.shop.example",
                &["a.shop.example", "a.b.shop.example", "a.shop.example."],
                &["shop.example", ".shop.example", "ashop.example", "a.shop.example.evil"],
            ),
            ("127.0.0.1", &["127.0.0.1"], &["127.0.0.2"]),
            ("[::1]", &["[::1]"], &["::1"]),
        ] {
            let pattern = HostPattern::parse(pattern).unwrap();
            for host in inside {
                assert!(pattern.matches(host), "{pattern} {host}");
            }
            for host in outside {
                assert!(!pattern.matches(host), "{pattern} {host}");
            }
        }
    }

    #[test]
    fn what_is_no_host_is_refused() {
        for text in
            ["", "*", "*.", "a.*.example", "shop.example:443", "https://a", "a b", "\u{e9}.example"]
        {
            assert_eq!(HostPattern::parse(text), Err(BadHost), "{text}");
        }
    }

    #[test]
    fn a_host_covers_what_it_leaves_nothing_of() {
        let covers = |first: &str, second: &str| {
            let [first, second] = [first, second].map(|text| HostPattern::parse(text).unwrap());
            first.covers(&second)
        };
        assert!(covers("*.example", "*.shop.example") && covers("*.example", "shop.example"));
        assert!(covers("a.example", "a.example") && !covers("*.shop.example", "*.example"));
        assert!(!covers("a.example", "*.a.example") && !covers("*.a.example", "a.example"));
    }
}
