//! Reads a URL: which servers, in which form, and as whom. Pure; what is wrong is never repeated,
//! because it may be a password.

use std::fmt;
use std::path::PathBuf;

use redis::{ProtocolVersion, RedisConnectionInfo};

/// What a URL says.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    pub(crate) form: Form,
    /// As whom to sign in to the servers, and which database to use.
    pub(crate) settings: RedisConnectionInfo,
    /// Whether everything goes by TLS.
    pub(crate) secure: bool,
    pub(crate) files: Files,
}

/// How the servers are arranged.
#[derive(Clone, Debug)]
pub(crate) enum Form {
    /// One server.
    Server(Address),
    /// One server on this machine, behind a socket in the file system.
    Socket(PathBuf),
    /// A master that sentinels name.
    Sentinel(Watched),
    /// A cluster, of which some nodes are known.
    Cluster(Vec<Address>),
}

/// A master that sentinels name.
#[derive(Clone, Debug)]
pub(crate) struct Watched {
    pub(crate) sentinels: Vec<Address>,
    /// As whom to sign in to the sentinels.
    pub(crate) settings: RedisConnectionInfo,
    pub(crate) master: String,
}

/// The files that a URL names for TLS.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub(crate) struct Files {
    pub(crate) ca: Option<PathBuf>,
    pub(crate) certificate: Option<PathBuf>,
    pub(crate) key: Option<PathBuf>,
}

/// Where a server listens.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
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

const FORMS: Wrong = "it begins with redis:// for one server, redis+sentinel:// for a master that \
     sentinels name, or redis+cluster:// for a cluster; rediss instead of redis is TLS";
const HOST: Wrong = "expected [name[:password]@]host[:port] after the scheme; in a name or a \
     password, write / as %2F, ? as %3F, # as %23 and @ as %40";
const OPTIONS: Wrong = "behind the ? there can be ca, cert and key, and with sentinels master, \
     sentinel_user and sentinel_password, each once";

/// Which arrangement a scheme asks for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Server,
    Socket,
    Sentinel,
    Cluster,
}

/// Reads a URL.
pub(crate) fn parse(url: &str) -> Result<Target, Wrong> {
    let (scheme, rest) = url.split_once("://").ok_or(FORMS)?;
    let (kind, secure) = scheme_of(&scheme.to_ascii_lowercase()).ok_or(FORMS)?;
    if let Some((_, fragment)) = rest.split_once('#') {
        return Err(match fragment {
            "insecure" => {
                "#insecure is not supported: a server whose certificate is not checked may be \
                 anybody's; name the authority that signed it with ?ca=/path/ca.pem"
            }
            _ => "there must be no # in it; in a password, write %23",
        });
    }
    let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
    let mut options = Options::parse(query)?;
    if kind == Kind::Socket {
        return socket(rest, options);
    }
    let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
    let (user, hosts) = authority.rsplit_once('@').unwrap_or(("", authority));
    let hosts = addresses(hosts, if kind == Kind::Sentinel { 26379 } else { 6379 })?;
    let database = database(path)?;
    let form = match kind {
        Kind::Sentinel => Form::Sentinel(options.watched(hosts)?),
        Kind::Cluster if database != 0 => {
            return Err("a cluster has only the database 0: leave the number away");
        }
        Kind::Cluster => Form::Cluster(hosts),
        _ => Form::Server(only(hosts)?),
    };
    let files = options.files(secure)?;
    options.finish()?;
    Ok(Target { form, settings: sign_in(user)?.set_db(database), secure, files })
}

fn scheme_of(scheme: &str) -> Option<(Kind, bool)> {
    Some(match scheme {
        "redis" | "valkey" => (Kind::Server, false),
        "rediss" | "valkeys" | "redis+tls" => (Kind::Server, true),
        "redis+sentinel" => (Kind::Sentinel, false),
        "rediss+sentinel" => (Kind::Sentinel, true),
        "redis+cluster" => (Kind::Cluster, false),
        "rediss+cluster" => (Kind::Cluster, true),
        "unix" | "redis+unix" | "valkey+unix" => (Kind::Socket, false),
        _ => return None,
    })
}

/// A socket's path takes the place of host and database; `db`, `user` and `pass` are options.
fn socket(path: &str, mut options: Options) -> Result<Target, Wrong> {
    let form = Form::Socket(decode(path)?.into());
    let database = options.take("db").map_or(Ok(0), |number| database(&number))?;
    let (user, password) = (options.take("user"), options.take("pass"));
    options.finish()?;
    let settings = as_whom(user, password).set_db(database);
    Ok(Target { form, settings, secure: false, files: Files::default() })
}

fn only(mut hosts: Vec<Address>) -> Result<Address, Wrong> {
    match (hosts.pop(), hosts.is_empty()) {
        (Some(host), true) => Ok(host),
        _ => {
            Err("redis:// names one server: for several, use redis+sentinel:// or redis+cluster://")
        }
    }
}

fn addresses(hosts: &str, port: u16) -> Result<Vec<Address>, Wrong> {
    hosts.split(',').map(|host| address(host, port).ok_or(HOST)).collect()
}

/// Reads `host`, `host:port`, `[host]` or `[host]:port`.
pub(crate) fn address(text: &str, default_port: u16) -> Option<Address> {
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
    let port = port.map_or(Some(default_port), |port| port.parse().ok())?;
    let plain = |letter: char| letter.is_alphanumeric() || "-._:%".contains(letter);
    (!host.is_empty() && host.chars().all(plain)).then(|| Address { host: host.to_owned(), port })
}

fn database(path: &str) -> Result<i64, Wrong> {
    match path.trim_matches('/') {
        "" => Ok(0),
        number => match number.parse() {
            Ok(number) if number >= 0 => Ok(number),
            _ => {
                Err("behind the host there can be / and the number of a database; in a password, \
                      write / as %2F")
            }
        },
    }
}

fn sign_in(user: &str) -> Result<RedisConnectionInfo, Wrong> {
    let (name, password) = match user.split_once(':') {
        Some((name, password)) => (name, Some(decode(password)?)),
        None => (user, None),
    };
    let name = (!name.is_empty()).then(|| decode(name)).transpose()?;
    Ok(as_whom(name, password))
}

/// Version 3 of the protocol tells of changes, and of a closed connection while nobody uses it.
fn as_whom(name: Option<String>, password: Option<String>) -> RedisConnectionInfo {
    let mut settings = RedisConnectionInfo::default().set_protocol(ProtocolVersion::RESP3);
    if let Some(name) = name {
        settings = settings.set_username(name);
    }
    if let Some(password) = password {
        settings = settings.set_password(password);
    }
    settings
}

/// What stands behind the question mark.
struct Options(Vec<(String, String)>);

impl Options {
    fn parse(query: &str) -> Result<Self, Wrong> {
        let pairs = query.split('&').filter(|pair| !pair.is_empty());
        let pairs = pairs.map(|pair| {
            let (name, value) = pair.split_once('=').ok_or(OPTIONS)?;
            Ok((name.to_owned(), decode(value)?))
        });
        pairs.collect::<Result<_, _>>().map(Self)
    }

    fn take(&mut self, name: &str) -> Option<String> {
        let at = self.0.iter().position(|(found, _)| found == name)?;
        Some(self.0.remove(at).1)
    }

    fn files(&mut self, secure: bool) -> Result<Files, Wrong> {
        let mut file = |name| self.take(name).map(PathBuf::from);
        let files = Files { ca: file("ca"), certificate: file("cert"), key: file("key") };
        if files.certificate.is_some() != files.key.is_some() {
            return Err("a client's certificate needs its key: cert and key come together");
        }
        match secure || files == Files::default() {
            true => Ok(files),
            false => Err("ca, cert and key are for TLS: write rediss instead of redis"),
        }
    }

    fn watched(&mut self, sentinels: Vec<Address>) -> Result<Watched, Wrong> {
        let master = self.take("master").filter(|master| !master.is_empty()).ok_or(
            "sentinels must be told which master is meant: add ?master= and the name that they \
             know it by, such as mymaster",
        )?;
        let settings = as_whom(self.take("sentinel_user"), self.take("sentinel_password"))
            .set_protocol(ProtocolVersion::RESP2);
        Ok(Watched { sentinels, settings, master })
    }

    /// Refuses what nobody has taken. That version 3 is asked for is taken for granted.
    fn finish(mut self) -> Result<(), Wrong> {
        let protocol = self.take("protocol");
        let is_third = protocol.is_none_or(|version| ["3", "resp3"].contains(&version.as_str()));
        (is_third && self.0.is_empty()).then_some(()).ok_or(OPTIONS)
    }
}

/// Reads `%2F` as `/`, and so on. What is no such thing stands for itself.
fn decode(text: &str) -> Result<String, Wrong> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, behind)) = rest.split_first() {
        let coded = behind.get(..2).filter(|digits| *first == b'%' && is_hex(digits));
        let byte = coded
            .and_then(|digits| std::str::from_utf8(digits).ok())
            .and_then(|digits| u8::from_str_radix(digits, 16).ok());
        bytes.push(byte.unwrap_or(*first));
        rest = if byte.is_some() { &behind[2..] } else { behind };
    }
    String::from_utf8(bytes).map_err(|_| "what is written with % must be UTF-8")
}

fn is_hex(digits: &[u8]) -> bool {
    digits.iter().all(u8::is_ascii_hexdigit)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(host: &str, port: u16) -> Address {
        Address { host: host.to_owned(), port }
    }

    fn server(url: &str) -> (Address, RedisConnectionInfo, bool) {
        match parse(url).unwrap() {
            Target { form: Form::Server(address), settings, secure, .. } => {
                (address, settings, secure)
            }
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_server_has_an_address_a_user_and_a_database() {
        let (address, settings, secure) = server("redis://me:p%40ss%2F@host:1234/5");
        assert_eq!((address, secure), (at("host", 1234), false));
        assert_eq!((settings.username(), settings.password()), (Some("me"), Some("p@ss/")));
        assert_eq!(settings.db(), 5);
        let (address, settings, secure) = server("REDISS://:a@b@[::1]");
        assert_eq!((address.to_string(), secure), ("[::1]:6379".to_owned(), true));
        assert_eq!((settings.username(), settings.password()), (None, Some("a@b")));
        assert_eq!(server("valkey://h/").0, at("h", 6379));
        assert!(server("redis+tls://h").2);
        assert_eq!(server("redis://h/?protocol=resp3").0, at("h", 6379));
    }

    #[test]
    fn sentinels_have_a_master_and_a_user_of_their_own() {
        let url = "rediss+sentinel://u:p@one,two:1/3?master=m%C3%BC&sentinel_password=s";
        let Target { form: Form::Sentinel(watched), settings, secure, .. } = parse(url).unwrap()
        else {
            panic!("sentinels");
        };
        assert_eq!(watched.sentinels, [at("one", 26379), at("two", 1)]);
        assert_eq!((watched.master.as_str(), secure), ("mü", true));
        assert_eq!(watched.settings.password(), Some("s"));
        assert_eq!((settings.password(), settings.db()), (Some("p"), 3));
        for wrong in ["redis+sentinel://one", "redis+sentinel://one?master="] {
            assert!(parse(wrong).unwrap_err().contains("?master="));
        }
    }

    #[test]
    fn a_cluster_has_nodes_and_one_database() {
        let nodes = |url| match parse(url).unwrap().form {
            Form::Cluster(nodes) => nodes,
            other => panic!("{other:?}"),
        };
        assert_eq!(nodes("redis+cluster://a:1,b"), [at("a", 1), at("b", 6379)]);
        assert_eq!(nodes("rediss+cluster://a/0"), [at("a", 6379)]);
        assert!(parse("redis+cluster://a/1").unwrap_err().contains("database 0"));
    }

    #[test]
    fn files_are_for_tls() {
        let files = parse("rediss://h?ca=/a%20b&cert=/c&key=/k").unwrap().files;
        assert_eq!(files.ca, Some("/a b".into()));
        assert_eq!((files.certificate, files.key), (Some("/c".into()), Some("/k".into())));
        for (url, says) in [
            ("redis://h?ca=/a", "rediss instead of redis"),
            ("rediss://h?cert=/a", "come together"),
            ("rediss://h#insecure", "?ca="),
        ] {
            assert!(parse(url).unwrap_err().contains(says), "{url}");
        }
    }

    #[test]
    fn a_socket_is_a_path() {
        let Target { form: Form::Socket(path), settings, .. } =
            parse("unix:///run/redis.sock?db=2&user=u&pass=p").unwrap()
        else {
            panic!("a socket");
        };
        assert_eq!((path, settings.db()), ("/run/redis.sock".into(), 2));
        assert_eq!((settings.username(), settings.password()), (Some("u"), Some("p")));
    }

    #[test]
    fn what_is_wrong_says_what_to_do_and_repeats_nothing() {
        for (url, says) in [
            ("hunter2", "redis://"),
            ("http://hunter2", "redis://"),
            ("redis://:hunter2@host:port/", "host[:port]"),
            ("redis://:hunter2@", "host[:port]"),
            ("redis://:hunter2@h#x", "%23"),
            ("redis://:hun/ter2@h", "%2F"),
            ("redis://h/hunter2", "number of a database"),
            ("redis://h/-1", "number of a database"),
            ("redis://a,hunter2", "redis+cluster://"),
            ("redis://h?hunter2=1", "behind the ?"),
            ("redis://h?protocol=2", "behind the ?"),
            ("redis://h?hunter2", "behind the ?"),
            ("redis://:%ff@hunter2", "UTF-8"),
        ] {
            let wrong = parse(url).unwrap_err();
            assert!(wrong.contains(says) && !wrong.contains("hunter2"), "{url}: {wrong}");
        }
    }
}
