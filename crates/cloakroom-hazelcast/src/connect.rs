//! Connecting: by a URL, to the members that it names.

use std::io;
use std::time::Duration;

use cloakroom_core::store;

use crate::codec::{LAPSES, OVER, request};
use crate::dial::Dialer;
use crate::fault::Fault;
use crate::link::Link;
use crate::tls::Connector;
use crate::url::{self, Address};

/// How a cluster is talked to.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Options {
    /// How long a member may take to let us in, before another one is tried. Default: 2 s.
    pub connect_timeout: Duration,
    /// How long the cluster may take to answer. A caller may give up earlier. Default: 2 s.
    pub call_timeout: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self { connect_timeout: Duration::from_secs(2), call_timeout: Duration::from_secs(2) }
    }
}

/// Why sessions cannot be kept in a cluster. Never shows the password of the URL.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConnectError {
    /// The URL is not one of a Hazelcast cluster.
    #[error("the URL of the Hazelcast cluster is not valid: {0}")]
    Url(&'static str),
    /// A file for TLS cannot be read.
    #[error("cannot read {name}")]
    File {
        /// Which.
        name: String,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// What should be certificates in PEM format is not.
    #[error("{name} is not what TLS needs there: certificates in PEM format")]
    Pem {
        /// Which.
        name: String,
    },
    /// The certificates for TLS cannot be used.
    #[error("the certificates for TLS to Hazelcast cannot be used")]
    Certificates(#[source] store::Source),
    /// No member can be reached, or one does not let us in, is too old, or is none.
    #[error("cannot use the Hazelcast cluster at {members}")]
    Cluster {
        /// Where it was looked for.
        members: String,
        /// What went wrong; its own source says what a member or the system said.
        #[source]
        source: store::Error,
    },
}

/// Connects to a cluster, and makes sure that it keeps what it is asked to.
pub(crate) async fn connect(url: &str, options: &Options) -> Result<Link, ConnectError> {
    let target = url::parse(url).map_err(ConnectError::Url)?;
    let tls = target.secure.then(|| Connector::new(target.ca.as_deref())).transpose()?;
    let members: Vec<String> = target.members.iter().map(Address::to_string).collect();
    let dialer = Dialer::new(target, tls, options.connect_timeout);
    let link = Link::new(dialer, options.call_timeout);
    match prepare(&link).await {
        Ok(()) => Ok(link),
        Err(fault) => {
            Err(ConnectError::Cluster { members: members.join(", "), source: fault.into() })
        }
    }
}

/// Has members keep what is due in order, so that nobody has to read everything to find it.
async fn prepare(link: &Link) -> Result<(), Fault> {
    let line = link.line().await?;
    for attribute in [OVER, LAPSES] {
        match link.call(&line, request::add_index(link.map(), attribute)).await {
            Err(Fault::Refused(refusal)) => {
                tracing::warn!(why = %refusal.class, "the Hazelcast cluster keeps no index for us: a sweep has it look at every session");
            }
            answer => drop(answer?),
        }
    }
    Ok(())
}
