//! Connecting: by a URL, to one server or to a cluster of them.

use std::time::Duration;

use async_nats::ConnectErrorKind;
use cloakroom_core::store;

use crate::bucket::Bucket;
use crate::fault::Fault;
use crate::link::Link;
use crate::register::NatsRegister;
use crate::store::NatsStore;
use crate::url::{self, Target};

/// The oldest server whose entries expire one by one.
const OLDEST: (u64, u64) = (2, 11);

/// How sessions are kept in NATS. What the URL says comes first.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Options {
    /// The bucket's name: letters, digits, `-` and `_`. Default: `cloakroom`.
    pub bucket: String,
    /// How many servers keep the bucket: 1, 3 or 5. A bucket that there is may have more. Default: 1.
    pub replicas: usize,
    /// How long a connection may take to be made. Default: 2 s.
    pub connect_timeout: Duration,
    /// How long a server may take to answer. A caller may give up earlier. Default: 2 s.
    pub call_timeout: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            bucket: "cloakroom".to_owned(),
            replicas: 1,
            connect_timeout: Duration::from_secs(2),
            call_timeout: Duration::from_secs(2),
        }
    }
}

/// Why sessions cannot be kept there. Never shows the password of the URL.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConnectError {
    /// The URL is not one of a NATS server.
    #[error("the URL of the NATS server is not valid: {0}")]
    Url(&'static str),
    /// The bucket cannot have this name, or not so many replicas.
    #[error(
        "a bucket's name is made of letters, digits, - and _, and it has 1, 3 or 5 replicas: \
         change the options"
    )]
    Options,
    /// No server can be reached, or it refuses.
    #[error("cannot connect to the NATS server at {address}: {hint}")]
    Connection {
        /// Where it was looked for.
        address: String,
        /// What to look at.
        hint: &'static str,
        /// What the driver said.
        #[source]
        source: store::Source,
    },
    /// The server is too old.
    #[error(
        "the NATS server at {address} has version {found}; 2.11 or later is needed, because an \
         older one never lets an entry expire: upgrade it"
    )]
    TooOld {
        /// Where it is.
        address: String,
        /// Its version.
        found: String,
    },
    /// JetStream does not answer, or refuses.
    #[error(
        "the bucket cannot be opened or made; JetStream has to be enabled on the NATS server \
         (`nats-server -js`) and allowed to the user"
    )]
    Bucket(#[source] store::Error),
    /// There is a bucket by that name, and it would not keep what is promised.
    #[error("the NATS bucket {bucket} cannot be used: {wrong}")]
    Unfit {
        /// Which.
        bucket: String,
        /// What is wrong with it, and what to do.
        wrong: String,
    },
}

impl ConnectError {
    pub(crate) fn bucket(fault: Fault) -> Self {
        Self::Bucket(fault.into())
    }

    fn connection(target: &Target, error: async_nats::ConnectError) -> Self {
        let hint = match error.kind() {
            ConnectErrorKind::AuthorizationViolation | ConnectErrorKind::Authentication => {
                "it refuses the user; see the name and the password, or the token, in the URL"
            }
            ConnectErrorKind::Tls => "see its certificate, and ca, cert and key in the URL",
            ConnectErrorKind::Dns => "its name is not known",
            _ => "is it there, and a NATS server?",
        };
        Self::Connection { address: target.shown(), hint, source: Box::new(error) }
    }
}

impl NatsStore {
    /// Connects to a server or a cluster, makes the bucket where it is missing, and begins to watch
    /// it. Has to be called on a tokio runtime, and needs it from then on.
    ///
    /// `nats://[user:password@ or token@]host[:port][,host[:port]][/bucket][?replicas=3]`; `tls://`
    /// asks for TLS, where `ca`, `cert` and `key` behind the question mark may name files in PEM
    /// format: whom to trust, and what to show. In a password write `/` as `%2F`, and so on.
    ///
    /// # Errors
    /// Where the URL is wrong, no server can be reached, it is too old, has no JetStream, or the
    /// bucket is one that would lose sessions.
    pub async fn connect(url: &str, options: Options) -> Result<Self, ConnectError> {
        let target = url::parse(url).map_err(ConnectError::Url)?;
        let name = target.bucket.as_deref().unwrap_or(&options.bucket);
        let replicas = target.replicas.unwrap_or(options.replicas);
        if !url::is_bucket(name) || ![1, 3, 5].contains(&replicas) {
            return Err(ConnectError::Options);
        }
        let link = connect(&target, &options).await?;
        // Apart from the calls: what is told while a node catches up would hold them up.
        let watching = connect(&target, &options).await?;
        let bucket = Bucket::new(name);
        bucket.open(&link, replicas).await?;
        Ok(Self::new(NatsRegister::new(link, bucket, watching)))
    }
}

async fn connect(target: &Target, options: &Options) -> Result<Link, ConnectError> {
    let link = Link::connect(target, options.connect_timeout, options.call_timeout).await;
    let link = link.map_err(|error| ConnectError::connection(target, error))?;
    let found = link.version();
    if version(&found).is_none_or(|version| version < OLDEST) {
        return Err(ConnectError::TooOld { address: target.shown(), found });
    }
    Ok(link)
}

/// Reads the first two numbers of `2.11.4` or `v2.12.0-RC.1`.
fn version(text: &str) -> Option<(u64, u64)> {
    let mut numbers = text.trim_start_matches('v').split(['.', '-']);
    Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_is_compared_by_its_numbers() {
        assert!(version("2.9.10").unwrap() < OLDEST);
        assert!(version("2.15.1").unwrap() > OLDEST);
        assert_eq!(version("v2.11.0-RC.1"), Some(OLDEST));
        assert_eq!(version("unknown"), None);
    }
}
