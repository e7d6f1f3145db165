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
    /// In Redis, in any of its forms, at `url`, which may hold a password.
    Redis {
        /// The URL.
        url: String,
    },
}

impl Place {
    /// Reads a URL. Only its scheme is judged here; the store judges the rest.
    pub(crate) fn parse(url: &str) -> Result<Self, Fault> {
        let url = url.to_owned();
        let parts = scheme(&url).map(|(scheme, rest)| (scheme.to_ascii_lowercase(), rest));
        match parts.as_ref().map(|(scheme, rest)| (&**scheme, *rest)) {
            Some(("memory", "" | "//")) => Ok(Self::Memory),
            Some(("memory", _)) => Err(unknown("a store in memory is `memory:` and no more")),
            Some(("sqlite", _)) => Ok(Self::Sqlite { url }),
            Some((scheme, _)) if Form::of(scheme).is_some() => Ok(Self::Redis { url }),
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
                false => Fault::new(message).hint(self.hint(&error)),
            }
        })
    }

    fn hint(&self, error: &ConnectError) -> &'static str {
        match self {
            Self::Memory => "choose another store with --store",
            Self::Sqlite { .. } => "name a file that you can write to, with --dir or --store",
            Self::Redis { .. } if !is_out_of_reach(error) => {
                "set that right, or leave --store out to use a file instead"
            }
            Self::Redis { url } if Form::of_url(url).is_some_and(|form| form.secure) => {
                "start it, name the authority that signed its certificate with \
                 ?ca=/path/ca.pem, or leave --store out to use a file instead"
            }
            Self::Redis { .. } => "start it, or leave --store out to use a file instead",
        }
    }
}

/// How the servers of a Redis are arranged, and whether they are reached by TLS.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Form {
    arrangement: Arrangement,
    secure: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Arrangement {
    Server,
    Sentinel,
    Cluster,
}

impl Form {
    /// What a scheme in lower case asks for; `None` where it is not one of Redis.
    fn of(scheme: &str) -> Option<Self> {
        let (redis, arrangement) = scheme.split_once('+').unwrap_or((scheme, ""));
        let secure = match redis {
            "redis" => false,
            "rediss" => true,
            _ => return None,
        };
        let arrangement = match (arrangement, scheme.ends_with('+')) {
            ("", false) => Arrangement::Server,
            ("sentinel", _) => Arrangement::Sentinel,
            ("cluster", _) => Arrangement::Cluster,
            _ => return None,
        };
        Some(Self { arrangement, secure })
    }

    fn of_url(url: &str) -> Option<Self> {
        Self::of(&scheme(url)?.0.to_ascii_lowercase())
    }
}

impl fmt::Display for Form {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let tls = if self.secure { " by TLS" } else { "" };
        match self.arrangement {
            Arrangement::Server => write!(f, "Redis{tls}"),
            Arrangement::Sentinel => write!(f, "Redis{tls} behind sentinels"),
            Arrangement::Cluster => write!(f, "a Redis Cluster{tls}"),
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

/// Whether the server is not there, or not for us: not one that is there and unfit.
fn is_out_of_reach(error: &ConnectError) -> bool {
    let ConnectError::Store(error) = error else {
        return false;
    };
    matches!(error.downcast_ref(), Some(cloakroom_redis::ConnectError::Server { .. }))
}

fn unknown(message: &str) -> Fault {
    Fault::usage(message).hint(
        "--store or CLOAKROOM_STORE takes memory:, sqlite://PATH, redis://HOST:PORT, \
         redis+sentinel://HOST:PORT,...?master=NAME or redis+cluster://HOST:PORT,...; with rediss \
         in the place of redis, by TLS",
    )
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
            Self::Redis { url } => {
                if let Some(form) = Form::of_url(url) {
                    write!(f, "{form}")?;
                }
                address(url).map_or(Ok(()), |address| write!(f, " at {address}"))
            }
        }
    }
}

impl fmt::Debug for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Place({self})")
    }
}

/// The hosts that a URL names, and the database's number. `None` where it cannot be told what of the
/// URL they are: what stands before an `@` may be a password, which may hold any character.
fn address(url: &str) -> Option<String> {
    let (_, rest) = url.split_once("://")?;
    let (authority, behind) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
    if behind.contains('@') {
        return None;
    }
    let hosts = authority.rsplit_once('@').map_or(authority, |(_, hosts)| hosts);
    let path = behind.split(['?', '#']).next().unwrap_or_default().trim_matches('/');
    let is_number = !path.is_empty() && path.bytes().all(|byte| byte.is_ascii_digit());
    Some(if is_number { format!("{hosts}/{path}") } else { hosts.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

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
            // Nobody can say where these passwords end.
            ("redis+sentinel://a?master=m&sentinel_password=hun@ter2", "Redis behind sentinels"),
            ("redis://:hun/ter2?@hunter2@store.example:6379/1#insecure", "Redis"),
            ("redis://:hunter?2@a", "Redis"),
            ("redis://:hunter#2@a", "Redis"),
            ("redis://a/hunter2", "Redis at a"),
        ] {
            let place = Place::parse(url).unwrap();
            assert_eq!(place.to_string(), shown);
            assert_eq!(format!("{place:?}"), format!("Place({shown})"));
            assert_eq!(place.kind(), "Redis");
        }
        for none in ["redis+", "redis+tls", "rediss+unix", "redisss", "redis+cluster+x"] {
            let said = Place::parse(&format!("{none}://:hunter2@a")).unwrap_err().to_string();
            assert_eq!(said, format!("no store is known as `{none}:`"));
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
