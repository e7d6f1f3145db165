//! What a store's URL says: which kind of store, and what of it may be shown.

use std::fmt;

use super::ConnectError;

use Database::{MySql, Postgres, Sqlite};
use Driver::{Hazelcast, Memory, Mongo, Nats, Redis, Sql};

/// A store's URL. It may hold a password: neither `Display` nor `Debug` shows it.
///
/// ```
/// use cloakroom::StoreUrl;
///
/// let url = StoreUrl::parse("postgres://app:secret@db.example/shop?sslmode=require")?;
/// assert_eq!(url.to_string(), "PostgreSQL at db.example/shop");
/// assert_eq!(url.kind(), "PostgreSQL");
/// # Ok::<_, cloakroom::ConnectError>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct StoreUrl {
    text: String,
    pub(super) form: &'static Form,
}

/// One way to write a store's URL.
#[derive(PartialEq, Eq, Debug)]
pub(super) struct Form {
    scheme: &'static str,
    pub(super) driver: Driver,
    /// The store, in the middle of a sentence.
    kind: &'static str,
    /// How this URL reaches it.
    way: &'static str,
    /// An example to show.
    example: &'static str,
}

/// What opens a store.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Driver {
    Memory,
    Sql(Database),
    Redis,
    Mongo,
    Nats,
    Hazelcast,
}

/// Which database of SQL.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Database {
    Sqlite,
    Postgres,
    MySql,
}

const fn form(
    scheme: &'static str,
    driver: Driver,
    kind: &'static str,
    way: &'static str,
    example: &'static str,
) -> Form {
    Form { scheme, driver, kind, way, example }
}

/// Every scheme there is. One without an example is another spelling of one before.
static FORMS: [Form; 18] = [
    form("memory", Memory, "memory", "memory", "memory:"),
    form("sqlite", Sql(Sqlite), "SQLite", "SQLite", "sqlite://PATH"),
    form("redis", Redis, "Redis", "Redis", "redis://HOST"),
    form(
        "redis+sentinel",
        Redis,
        "Redis",
        "Redis behind sentinels",
        "redis+sentinel://HOST,HOST?master=NAME",
    ),
    form("redis+cluster", Redis, "Redis", "a Redis Cluster", "redis+cluster://HOST,HOST"),
    form("rediss", Redis, "Redis", "Redis by TLS", ""),
    form("rediss+sentinel", Redis, "Redis", "Redis by TLS behind sentinels", ""),
    form("rediss+cluster", Redis, "Redis", "a Redis Cluster by TLS", ""),
    form("postgres", Sql(Postgres), "PostgreSQL", "PostgreSQL", "postgres://HOST/DATABASE"),
    form("postgresql", Sql(Postgres), "PostgreSQL", "PostgreSQL", ""),
    form("mysql", Sql(MySql), "MySQL", "MySQL", "mysql://HOST/DATABASE"),
    form("mariadb", Sql(MySql), "MariaDB", "MariaDB", "mariadb://HOST/DATABASE"),
    form("mongodb", Mongo, "MongoDB", "MongoDB", "mongodb://HOST/DATABASE"),
    form("mongodb+srv", Mongo, "MongoDB", "MongoDB", ""),
    form("nats", Nats, "NATS", "NATS", "nats://HOST/BUCKET"),
    form("tls", Nats, "NATS", "NATS by TLS", ""),
    form("hazelcast", Hazelcast, "Hazelcast", "Hazelcast", "hazelcast://HOST/CLUSTER"),
    form("hazelcasts", Hazelcast, "Hazelcast", "Hazelcast by TLS", ""),
];

impl StoreUrl {
    /// Reads a URL. Its scheme is judged here; the store judges the rest when it is opened.
    ///
    /// # Errors
    /// Where it has no scheme, or one that no store goes by. Neither says more of the text.
    pub fn parse(text: &str) -> Result<Self, ConnectError> {
        let scheme = scheme(text).ok_or(ConnectError::NoScheme)?.to_ascii_lowercase();
        match FORMS.iter().find(|form| form.scheme == scheme) {
            Some(form) => Ok(Self { text: text.to_owned(), form }),
            None => Err(ConnectError::UnknownScheme { scheme }),
        }
    }

    /// The store, as it is called in the middle of a sentence.
    pub fn kind(&self) -> &'static str {
        self.form.kind
    }

    /// Whether it is the memory of the process that opens it: nobody else sees what is in it.
    pub fn is_memory(&self) -> bool {
        self.form.driver == Memory
    }

    /// Whether it is an SQLite file.
    pub fn is_sqlite(&self) -> bool {
        self.form.driver == Sql(Sqlite)
    }

    /// The URL as it was written, with what must not be shown.
    pub fn reveal(&self) -> &str {
        &self.text
    }

    /// What URLs there are, for a person to choose from.
    pub fn examples() -> String {
        let examples = FORMS.iter().map(|form| form.example).filter(|example| !example.is_empty());
        examples.collect::<Vec<_>>().join(", ")
    }
}

/// Says where sessions are kept, without user, password and options.
impl fmt::Display for StoreUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.form.way)?;
        match self.form.driver {
            Memory => Ok(()),
            Sql(Sqlite) => write!(f, " at {}", path(&self.text)),
            _ => address(&self.text).map_or(Ok(()), |address| write!(f, " at {address}")),
        }
    }
}

impl fmt::Debug for StoreUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "StoreUrl({self})")
    }
}

/// What stands before the first colon, where that can be a scheme. Anything else may be a secret,
/// and is not repeated.
fn scheme(text: &str) -> Option<&str> {
    let (scheme, _) = text.split_once(':')?;
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte);
    let is_one = (1..=32).contains(&scheme.len()) && scheme.bytes().all(plain);
    is_one.then_some(scheme)
}

/// The path of a file's URL.
fn path(text: &str) -> &str {
    let rest = text.split_once(':').map_or(text, |(_, rest)| rest);
    let path = rest.strip_prefix("//").unwrap_or(rest);
    path.split(['?', '#']).next().unwrap_or(path)
}

/// The hosts that a URL names, and the database. `None` where it cannot be told what of the URL they
/// are: what stands before an `@` may be a password, which may hold any character.
fn address(text: &str) -> Option<String> {
    let (_, rest) = text.split_once("://")?;
    let (authority, behind) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
    if behind.contains('@') {
        return None;
    }
    let hosts = authority.rsplit_once('@').map_or(authority, |(_, hosts)| hosts);
    if !hosts.split(',').all(is_a_host) {
        return None;
    }
    let name = behind.split(['?', '#']).next().unwrap_or_default().trim_matches('/');
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    let shown = !name.is_empty() && name.bytes().all(plain);
    Some(if shown { format!("{hosts}/{name}") } else { hosts.to_owned() })
}

/// Whether this is a host, with a port or without: not a name and a password whose `@` was written
/// in another way, or forgotten.
fn is_a_host(text: &str) -> bool {
    let (host, port) = match text.rfind(']') {
        Some(end) => text.split_at(end + 1),
        None => text.split_at(text.find(':').unwrap_or(text.len())),
    };
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
    let inside = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
    let host_is_one = match inside {
        Some(address) => address.bytes().all(|byte| plain(byte) || byte == b':'),
        None => host.bytes().all(plain),
    };
    let port = port.strip_prefix(':').unwrap_or(port);
    host_is_one && port.bytes().all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> StoreUrl {
        StoreUrl::parse(text).unwrap()
    }

    #[test]
    fn a_password_is_never_shown() {
        for (url, shown) in [
            ("redis://alice:hunter2@store.example:6379/1", "Redis at store.example:6379/1"),
            ("Redis://:hunter2@[::1]/?protocol=resp3", "Redis at [::1]"),
            ("rediss://:hunt@er2@a:1?ca=/x/ca.pem", "Redis by TLS at a:1"),
            (
                "redis+sentinel://:hunter2@a,b:2/3?master=m&sentinel_password=hunter2",
                "Redis behind sentinels at a,b:2/3",
            ),
            ("rediss+sentinel://a?master=m", "Redis by TLS behind sentinels at a"),
            ("redis+cluster://:hunter2@a:1,b", "a Redis Cluster at a:1,b"),
            ("rediss+cluster://a", "a Redis Cluster by TLS at a"),
            ("postgres://me:hunter2@db/shop?sslmode=require", "PostgreSQL at db/shop"),
            ("mysql://me:hunter2@db:3306/shop", "MySQL at db:3306/shop"),
            ("mongodb://me:hunter2@a,b/shop?replicaSet=rs", "MongoDB at a,b/shop"),
            ("nats://hunter2@a,b/sessions", "NATS at a,b/sessions"),
            ("hazelcasts://me:hunter2@a/dev?map=m", "Hazelcast by TLS at a/dev"),
            // Nobody can say where these passwords end.
            ("redis+sentinel://a?master=m&sentinel_password=hun@ter2", "Redis behind sentinels"),
            ("redis://:hun/ter2?@hunter2@store.example:6379/1#insecure", "Redis"),
            ("redis://:hunter?2@a", "Redis"),
            ("postgres://me:hunter#2@a/b", "PostgreSQL"),
            ("redis://:hunter2%40h:6379/1", "Redis"),
            ("nats://me:hun/ter2", "NATS"),
            ("redis+sentinel://me:hunter2,b", "Redis behind sentinels"),
        ] {
            assert_eq!(parse(url).to_string(), shown);
            assert_eq!(format!("{:?}", parse(url)), format!("StoreUrl({shown})"));
            assert_eq!(parse(url).reveal(), url);
        }
    }

    #[test]
    fn what_no_store_goes_by_is_named_and_a_secret_is_not() {
        for none in ["redis+", "redis+tls", "rediss+unix", "mssql", "redis+cluster+x"] {
            let error = StoreUrl::parse(&format!("{none}://:hunter2@a")).unwrap_err();
            let said = format!("{error} {error:?}");
            assert!(said.contains(&format!("`{none}`")) && !said.contains("hunter2"), "{said}");
        }
        for secret in
            ["hunter2", "hunter2 x:y", "p@ss:word@host", ":x", "", &format!("{}:x", "s".repeat(33))]
        {
            let said = StoreUrl::parse(secret).unwrap_err().to_string();
            assert!(said.starts_with("not the URL of a store"), "{said}");
            assert!(secret.is_empty() || !said.contains(secret), "{said}");
        }
    }

    #[test]
    fn a_file_is_shown_by_its_path() {
        assert_eq!(parse("sqlite://some/where.db").to_string(), "SQLite at some/where.db");
        assert_eq!(parse("sqlite:where.db").to_string(), "SQLite at where.db");
        assert!(parse("sqlite://x").is_sqlite() && !parse("sqlite://x").is_memory());
        assert!(parse("memory:").is_memory() && parse("MEMORY://").is_memory());
        assert_eq!(parse("memory:").to_string(), "memory");
    }

    #[test]
    fn every_example_can_be_meant() {
        let examples = StoreUrl::examples();
        for example in examples.split(", ") {
            assert!(StoreUrl::parse(example).is_ok(), "{example}");
        }
        assert!(examples.contains("redis+cluster://HOST,HOST"));
    }
}
