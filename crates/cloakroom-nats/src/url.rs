//! Reads a URL: which servers, which bucket, and as whom. Pure; what is wrong is never repeated,
//! because it may be a password.

use std::fmt;
use std::path::PathBuf;

/// Where NATS servers listen unless they are told otherwise.
const PORT: u16 = 4222;

/// What a URL says.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Target {
    pub(crate) servers: Vec<String>,
    pub(crate) user: User,
    /// Whether everything goes by TLS.
    pub(crate) secure: bool,
    pub(crate) bucket: Option<String>,
    pub(crate) replicas: Option<usize>,
    pub(crate) files: Files,
}

impl Target {
    /// The servers, as a log may show them.
    pub(crate) fn shown(&self) -> String {
        self.servers.join(",")
    }
}

/// As whom to sign in.
#[derive(Clone, PartialEq, Eq)]
pub(crate) enum User {
    Nobody,
    Token(String),
    Named(String, String),
}

impl fmt::Debug for User {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("User(..)")
    }
}

/// The files that a URL names for TLS.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub(crate) struct Files {
    pub(crate) ca: Option<PathBuf>,
    pub(crate) certificate: Option<PathBuf>,
    pub(crate) key: Option<PathBuf>,
}

/// What is wrong with a URL.
type Wrong = &'static str;

const FORM: Wrong = "it begins with nats://, or with tls:// for TLS, and names servers: \
     nats://user:password@host:port,host2/bucket?replicas=3";
const HOST: Wrong = "expected [user:password@ or token@]host[:port][,host[:port]] after the \
     scheme; in a name or a password, write / as %2F, ? as %3F, # as %23 and @ as %40";
const BUCKET: Wrong = "behind the servers there can be / and the name of a bucket, of letters, \
     digits, - and _";
const OPTIONS: Wrong = "behind the ? there can be replicas (1, 3 or 5), and for TLS ca, cert and \
     key, each once";

/// Reads a URL.
pub(crate) fn parse(url: &str) -> Result<Target, Wrong> {
    let (scheme, rest) = url.split_once("://").ok_or(FORM)?;
    let secure = match scheme.to_ascii_lowercase().as_str() {
        "nats" => false,
        "tls" => true,
        _ => return Err(FORM),
    };
    if rest.contains('#') {
        return Err("there must be no # in it; in a password, write %23");
    }
    let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
    let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
    let (user, hosts) = authority.rsplit_once('@').unwrap_or(("", authority));
    let mut target = Target {
        servers: hosts.split(',').map(address).collect::<Option<_>>().ok_or(HOST)?,
        user: user_of(user)?,
        secure,
        bucket: bucket(path)?,
        replicas: None,
        files: Files::default(),
    };
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        target.set(pair)?;
    }
    if target.files.certificate.is_some() != target.files.key.is_some() {
        return Err("a client's certificate needs its key: cert and key come together");
    }
    match secure || target.files == Files::default() {
        true => Ok(target),
        false => Err("ca, cert and key are for TLS: write tls instead of nats"),
    }
}

impl Target {
    fn set(&mut self, pair: &str) -> Result<(), Wrong> {
        let (name, value) = pair.split_once('=').ok_or(OPTIONS)?;
        let value = decode(value)?;
        let Files { ca, certificate, key } = &mut self.files;
        let file = match name {
            "replicas" => {
                let replicas = value.parse().ok().filter(|replicas| [1, 3, 5].contains(replicas));
                let first = self.replicas.replace(replicas.ok_or(OPTIONS)?).is_none();
                return first.then_some(()).ok_or(OPTIONS);
            }
            "ca" => ca,
            "cert" => certificate,
            "key" => key,
            _ => return Err(OPTIONS),
        };
        file.replace(value.into()).is_none().then_some(()).ok_or(OPTIONS)
    }
}

/// Reads `host`, `host:port`, `[host]` or `[host]:port`.
fn address(text: &str) -> Option<String> {
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
    let port: u16 = port.map_or(Some(PORT), |port| port.parse().ok())?;
    let plain = |letter: char| letter.is_ascii_alphanumeric() || "-._:".contains(letter);
    (!host.is_empty() && host.chars().all(plain)).then(|| match host.contains(':') {
        true => format!("[{host}]:{port}"),
        false => format!("{host}:{port}"),
    })
}

fn user_of(text: &str) -> Result<User, Wrong> {
    Ok(match text.split_once(':') {
        Some((name, password)) => User::Named(decode(name)?, decode(password)?),
        None if text.is_empty() => User::Nobody,
        None => User::Token(decode(text)?),
    })
}

fn bucket(path: &str) -> Result<Option<String>, Wrong> {
    match path.trim_end_matches('/') {
        "" => Ok(None),
        name if is_bucket(name) => Ok(Some(name.to_owned())),
        _ => Err(BUCKET),
    }
}

/// Whether a bucket may have this name.
pub(crate) fn is_bucket(name: &str) -> bool {
    let plain = |letter: char| letter.is_ascii_alphanumeric() || "-_".contains(letter);
    !name.is_empty() && name.chars().all(plain)
}

/// Reads `%2F` as `/`, and so on. What is no such thing stands for itself.
fn decode(text: &str) -> Result<String, Wrong> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, behind)) = rest.split_first() {
        let digit = |at: usize| behind.get(at).and_then(|digit| (*digit as char).to_digit(16));
        let coded = match (first, digit(0), digit(1)) {
            (b'%', Some(high), Some(low)) => u8::try_from(high * 16 + low).ok(),
            _ => None,
        };
        bytes.push(coded.unwrap_or(*first));
        rest = if coded.is_some() { &behind[2..] } else { behind };
    }
    String::from_utf8(bytes).map_err(|_| "what is written with % must be UTF-8")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_names_servers_a_bucket_and_a_user() {
        let target = parse("nats://me:p%40ss%2F@one:1,two/shop?replicas=3").unwrap();
        assert_eq!(target.servers, ["one:1", "two:4222"]);
        assert_eq!(target.bucket.as_deref(), Some("shop"));
        assert!(target.user == User::Named("me".to_owned(), "p@ss/".to_owned()));
        assert_eq!((target.replicas, target.secure), (Some(3), false));
        let target = parse("TLS://t%6Fken@[::1]?ca=/a%20b").unwrap();
        assert_eq!(
            (target.servers.as_slice(), target.secure),
            (&["[::1]:4222".to_owned()][..], true)
        );
        assert!(target.user == User::Token("token".to_owned()));
        assert_eq!((target.bucket, target.files.ca), (None, Some("/a b".into())));
    }

    #[test]
    fn what_is_wrong_says_what_to_do_and_repeats_nothing() {
        for (url, says) in [
            ("hunter2", "nats://"),
            ("http://hunter2", "nats://"),
            ("nats://me:hunter2@host:port/", "host[:port]"),
            ("nats://me:hunter2@", "host[:port]"),
            ("nats://me:hun/ter2@h", "host[:port]"),
            ("nats://me:hunter2@h#x", "%23"),
            ("nats://h/a.hunter2", "name of a bucket"),
            ("nats://h?hunter2=1", "behind the ?"),
            ("nats://h?hunter2", "behind the ?"),
            ("nats://h?replicas=2", "replicas (1, 3 or 5)"),
            ("nats://h?replicas=1&replicas=3", "each once"),
            ("nats://h?ca=/a", "tls instead of nats"),
            ("tls://h?cert=/a", "come together"),
            ("nats://me:%ff@hunter2", "UTF-8"),
        ] {
            let Err(wrong) = parse(url) else { panic!("{url}") };
            assert!(wrong.contains(says) && !wrong.contains("hunter2"), "{url}: {wrong}");
        }
    }
}
