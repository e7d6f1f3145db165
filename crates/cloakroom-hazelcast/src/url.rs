//! Reads a URL: which members, of which cluster, which map, and as whom. Pure; what is wrong is
//! never repeated, because it may be a password.

use std::fmt;
use std::path::PathBuf;

/// The port that members listen on, unless they are told otherwise.
const PORT: u16 = 5701;
/// The cluster's name, unless the URL says otherwise: what members call it by themselves.
const CLUSTER: &str = "dev";
/// The map's name, unless the URL says otherwise.
const MAP: &str = "cloakroom";

/// What a URL says.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Target {
    pub(crate) members: Vec<Address>,
    pub(crate) cluster: String,
    pub(crate) map: String,
    pub(crate) name: Option<String>,
    pub(crate) password: Option<String>,
    /// Whether everything goes by TLS.
    pub(crate) secure: bool,
    /// The file of the authorities that may have signed the members' certificates.
    pub(crate) ca: Option<PathBuf>,
}

impl fmt::Debug for Target {
    /// Prints where, never as whom.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Target").field("members", &self.members).finish_non_exhaustive()
    }
}

/// Where a member listens.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Address {
    pub(crate) host: String,
    pub(crate) port: u16,
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.host.contains(':') {
            true => write!(f, "[{}]:{}", self.host, self.port),
            false => write!(f, "{}:{}", self.host, self.port),
        }
    }
}

/// What is wrong with a URL.
type Wrong = &'static str;

const FORM: Wrong = "it begins with hazelcast://, or with hazelcasts:// for TLS";
const HOST: Wrong = "expected [name:password@]host[:port][,host[:port]...][/cluster] after the \
     scheme; in a name or a password, write / as %2F, ? as %3F, # as %23 and @ as %40";
const OPTIONS: Wrong = "behind the ? there can be map and ca, each once";

/// Reads a URL.
pub(crate) fn parse(url: &str) -> Result<Target, Wrong> {
    let (scheme, rest) = url.split_once("://").ok_or(FORM)?;
    let secure = match scheme.to_ascii_lowercase().as_str() {
        "hazelcast" => false,
        "hazelcasts" => true,
        _ => return Err(FORM),
    };
    if rest.contains('#') {
        return Err("there must be no # in it; in a password, write %23");
    }
    let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
    let (authority, cluster) = rest.split_once('/').unwrap_or((rest, ""));
    if cluster.contains('/') {
        return Err("behind the hosts there is one / and the cluster's name");
    }
    let (user, hosts) = authority.rsplit_once('@').unwrap_or(("", authority));
    let members =
        hosts.split(',').map(|host| address(host).ok_or(HOST)).collect::<Result<_, _>>()?;
    let (name, password) = sign_in(user)?;
    let (map, ca) = options(query)?;
    if ca.is_some() && !secure {
        return Err("ca is for TLS: write hazelcasts instead of hazelcast");
    }
    let cluster = match decode(cluster)? {
        none if none.is_empty() => CLUSTER.to_owned(),
        cluster => cluster,
    };
    Ok(Target { members, cluster, map, name, password, secure, ca })
}

/// Reads `host`, `host:port`, `[host]` or `[host]:port`.
fn address(text: &str) -> Option<Address> {
    let (host, port) = match text.strip_prefix('[') {
        Some(rest) => {
            let (host, rest) = rest.split_once(']')?;
            (host, if rest.is_empty() { None } else { Some(rest.strip_prefix(':')?) })
        }
        None => match text.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (text, None),
        },
    };
    let port = port.map_or(Some(PORT), |port| port.parse().ok())?;
    let plain = |letter: char| letter.is_alphanumeric() || "-._:%".contains(letter);
    (!host.is_empty() && host.chars().all(plain)).then(|| Address { host: host.to_owned(), port })
}

fn sign_in(user: &str) -> Result<(Option<String>, Option<String>), Wrong> {
    if user.is_empty() {
        return Ok((None, None));
    }
    let (name, password) =
        user.split_once(':').ok_or("a name needs its password: name:password@")?;
    Ok((Some(decode(name)?), Some(decode(password)?)))
}

fn options(query: &str) -> Result<(String, Option<PathBuf>), Wrong> {
    let (mut map, mut ca) = (None, None);
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').ok_or(OPTIONS)?;
        let place = match name {
            "map" => &mut map,
            "ca" => &mut ca,
            _ => return Err(OPTIONS),
        };
        if place.replace(decode(value)?).is_some() {
            return Err(OPTIONS);
        }
    }
    let map = map.unwrap_or_else(|| MAP.to_owned());
    match map.is_empty() {
        true => Err("map is the name of a map: it cannot be empty"),
        false => Ok((map, ca.map(PathBuf::from))),
    }
}

/// Takes `%20` and its like for what they stand for.
fn decode(text: &str) -> Result<String, Wrong> {
    const WRONG: Wrong = "a % is followed by two hexadecimal digits, and the whole is UTF-8";
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, others @ ..] = rest {
        rest = others;
        if *first != b'%' {
            bytes.push(*first);
            continue;
        }
        let (digits, others) = rest.split_at_checked(2).ok_or(WRONG)?;
        let digit = |byte: u8| char::from(byte).to_digit(16).ok_or(WRONG);
        let byte = digit(digits[0])? << 4 | digit(digits[1])?;
        bytes.push(u8::try_from(byte).map_err(|_| WRONG)?);
        rest = others;
    }
    String::from_utf8(bytes).map_err(|_| WRONG)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(host: &str, port: u16) -> Address {
        Address { host: host.to_owned(), port }
    }

    #[test]
    fn a_url_says_all_there_is() {
        let target =
            parse("hazelcasts://us%40r:p%3Ass@a:5702,b,[::1]:7/my%20cluster?map=m&ca=/c.pem");
        let target = target.unwrap();
        assert_eq!(target.members, [at("a", 5702), at("b", PORT), at("::1", 7)]);
        assert_eq!(target.members[2].to_string(), "[::1]:7");
        assert_eq!(
            (target.name.as_deref(), target.password.as_deref()),
            (Some("us@r"), Some("p:ss"))
        );
        assert_eq!((target.cluster.as_str(), target.map.as_str()), ("my cluster", "m"));
        assert_eq!((target.secure, target.ca), (true, Some("/c.pem".into())));
    }

    #[test]
    fn a_host_is_enough() {
        let target = parse("hazelcast://h").unwrap();
        assert_eq!((target.cluster.as_str(), target.map.as_str()), ("dev", "cloakroom"));
        assert_eq!((target.members, target.name), (vec![at("h", PORT)], None));
        assert_eq!(parse("hazelcast://h/").unwrap().cluster, "dev");
    }

    #[test]
    fn what_is_wrong_says_what_to_do_and_repeats_nothing() {
        for (url, says) in [
            ("hunter2", "hazelcast://"),
            ("http://hunter2", "hazelcast://"),
            ("hazelcast://a:hunter2@host:port/", "host[:port]"),
            ("hazelcast://a:hunter2@", "host[:port]"),
            ("hazelcast://a:hunter2@h#x", "%23"),
            ("hazelcast://a:hun/ter2@h", "%2F"),
            ("hazelcast://hunter2@h", "name:password@"),
            ("hazelcast://h/hunter2/x", "cluster's name"),
            ("hazelcast://h?hunter2=1", "behind the ?"),
            ("hazelcast://h?map=hunter2&map=b", "behind the ?"),
            ("hazelcast://h?map=", "cannot be empty"),
            ("hazelcast://h?ca=hunter2", "hazelcasts"),
            ("hazelcast://a:%ff@hunter2", "UTF-8"),
            ("hazelcast://a:%@hunter2", "hexadecimal"),
            ("hazelcast://a:%g0@hunter2", "hexadecimal"),
        ] {
            let wrong = parse(url).unwrap_err();
            assert!(wrong.contains(says) && !wrong.contains("hunter2"), "{url}: {wrong}");
        }
        let target = parse("hazelcast://a:hunter2@h").unwrap();
        assert!(!format!("{target:?}").contains("hunter2"));
    }
}
