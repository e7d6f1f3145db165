//! Where sessions are kept: the URL, what of it may be shown, and the way to the store.

use std::fmt;
use std::fs;
use std::path::Path;
use std::sync::Arc;

use cloakroom::{ConnectError, Store};
use serde::{Deserialize, Serialize};

use crate::fault::{Fault, chain};

const FILE: &str = "sessions.db";

/// Where sessions are kept.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Place {
    /// In this process.
    Memory,
    /// In an SQLite file, at `url`.
    Sqlite {
        /// The URL.
        url: String,
    },
    /// In a Redis server, at `url`, which may hold a password.
    Redis {
        /// The URL.
        url: String,
    },
}

impl Place {
    /// Reads a URL. Only its scheme is judged here; the store judges the rest.
    pub(crate) fn parse(url: &str) -> Result<Self, Fault> {
        let url = url.to_owned();
        match scheme(&url) {
            Some(("memory", "" | "//")) => Ok(Self::Memory),
            Some(("memory", _)) => Err(unknown("a store in memory is `memory:` and no more")),
            Some(("sqlite", _)) => Ok(Self::Sqlite { url }),
            // The store itself says that it knows no TLS.
            Some(("redis" | "rediss", _)) => Ok(Self::Redis { url }),
            Some((scheme, _)) => Err(unknown(&format!("no store is known as `{scheme}:`"))),
            None => Err(unknown("the store's address lacks a scheme")),
        }
    }

    /// An SQLite file in the directory `dir`.
    pub(crate) fn in_directory(dir: &Path) -> Result<Self, Fault> {
        let Some(path) = dir.join(FILE).to_str().map(str::to_owned) else {
            return Err(Fault::usage("the directory's name is not valid Unicode")
                .hint("name another with --dir"));
        };
        Ok(Self::Sqlite { url: format!("sqlite://{path}") })
    }

    /// The store's kind, in the middle of a sentence.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::Memory => "memory",
            Self::Sqlite { .. } => "SQLite",
            Self::Redis { .. } => "Redis",
        }
    }

    /// Connects to the store.
    pub(crate) async fn connect(&self) -> Result<Arc<dyn Store>, Fault> {
        let url = match self {
            Self::Memory => "memory:",
            Self::Sqlite { url } | Self::Redis { url } => url,
        };
        let connected = cloakroom::connect(url).await;
        connected.map_err(|error| {
            let message = format!("the store cannot be used: {}", chain(&error));
            match cannot_be_meant(&error) {
                true => unknown(&message),
                false => Fault::new(message).hint(self.hint()),
            }
        })
    }

    fn hint(&self) -> &'static str {
        match self {
            Self::Memory => "choose another store with --store",
            Self::Sqlite { .. } => "name a file that you can write to, with --dir or --store",
            Self::Redis { .. } => "start it, or leave --store out to use a file instead",
        }
    }
}

/// Makes a directory where it is missing.
pub(crate) fn make_directory(dir: &Path) -> Result<(), Fault> {
    fs::create_dir_all(dir).map_err(|error| {
        Fault::new(format!("the directory {} cannot be made: {error}", dir.display()))
            .hint("name another with --dir")
    })
}

/// An address's scheme and what follows it, where what stands before the first colon can be one.
/// Anything else may be a secret, and is not repeated.
fn scheme(url: &str) -> Option<(&str, &str)> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte);
    let (scheme, rest) = url.split_once(':')?;
    let is_one = (1..=32).contains(&scheme.len()) && scheme.bytes().all(plain);
    is_one.then_some((scheme, rest))
}

/// Whether the store's address is at fault, whatever may be there.
fn cannot_be_meant(error: &ConnectError) -> bool {
    let ConnectError::Store(error) = error else {
        return true;
    };
    let of_redis = error.downcast_ref::<cloakroom_redis::ConnectError>();
    let of_sqlite = error.downcast_ref::<cloakroom_sql::ConnectError>();
    matches!(of_redis, Some(cloakroom_redis::ConnectError::Url(_)))
        || matches!(of_sqlite, Some(cloakroom_sql::ConnectError::Url(_)))
}

fn unknown(message: &str) -> Fault {
    Fault::usage(message)
        .hint("--store or CLOAKROOM_STORE takes memory:, sqlite://PATH or redis://HOST:PORT")
}

/// Says where sessions are kept, without user and password.
impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Memory => f.write_str("memory"),
            Self::Sqlite { url } => {
                let path = url.trim_start_matches("sqlite:").trim_start_matches("//");
                write!(f, "SQLite at {path}")
            }
            Self::Redis { url } => write!(f, "Redis at {}", host(url)),
        }
    }
}

impl fmt::Debug for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Place({self})")
    }
}

/// What stands in a URL after its user and password, and before its query. A password may hold
/// any character, so all up to the last `@` is taken for one.
fn host(url: &str) -> &str {
    let rest = url.split_once("://").map_or("", |(_, rest)| rest);
    let host = rest.rsplit_once('@').map_or(rest, |(_, host)| host);
    host.split(['?', '#']).next().unwrap_or_default().trim_end_matches('/')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_never_shown() {
        for url in [
            "redis://alice:hunter2@store.example:6379/1",
            "redis://:hunter2@store.example:6379/1?protocol=resp3",
            "rediss://:hun/ter2?@hunter2@store.example:6379/1#insecure",
        ] {
            let place = Place::parse(url).unwrap();
            assert_eq!(place.to_string(), "Redis at store.example:6379/1");
            assert_eq!(format!("{place:?}"), "Place(Redis at store.example:6379/1)");
        }
        let unknown = Place::parse("mysql://alice:hunter2@host").unwrap_err().to_string();
        assert_eq!(unknown, "no store is known as `mysql:`");
        let bare = Place::parse("hunter2").unwrap_err().to_string();
        assert_eq!(bare, "the store's address lacks a scheme");
        for secret in ["hunter 2:x", "p@ss:word@host", ":x", &format!("{}:x", "s".repeat(33))] {
            let said = Place::parse(secret).unwrap_err().to_string();
            assert_eq!(said, "the store's address lacks a scheme");
        }
    }

    #[test]
    fn a_file_is_shown_by_its_path() {
        let place = Place::parse("sqlite://some/where.db").unwrap();
        assert_eq!(place.to_string(), "SQLite at some/where.db");
        assert_eq!(Place::parse("memory:").unwrap(), Place::Memory);
        assert_eq!(Place::parse("memory://").unwrap(), Place::Memory);
        let more = Place::parse("memory:foo").unwrap_err().to_string();
        assert_eq!(more, "a store in memory is `memory:` and no more");
    }
}
