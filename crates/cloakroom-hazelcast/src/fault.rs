//! What went wrong, in the words of the store trait: not asked, not answered, refused.

use std::io;
use std::sync::Arc;

use cloakroom_core::store::Error;

use crate::codec::Malformed;
use crate::codec::answer::Refusal;

/// What a member answers where it has done nothing, and will not: by the protocol's numbers.
const REFUSALS: &[i32] = &[
    20, // It has too much to do.
    42, // Too few members are left to accept this.
    43, // A structure is full.
    49, 64, // We may not.
    69, // The message is too long.
    83, // The cluster takes no changes now.
];

/// Why a request has no good answer. Cheap to clone.
#[derive(Clone, Debug, thiserror::Error)]
pub(crate) enum Fault {
    /// There is no connection: nothing was sent.
    #[error("no member of the Hazelcast cluster can be reached")]
    Connecting(#[source] Arc<io::Error>),
    /// There is no connection, for a reason that does not go away by itself.
    #[error(transparent)]
    Turned(#[from] Turned),
    /// The connection that was meant is there no more: nothing was sent.
    #[error("this connection to the Hazelcast cluster is there no more")]
    Replaced,
    /// The connection broke after the request was handed over.
    #[error("the connection to the Hazelcast member broke before it answered")]
    Closed,
    #[error("the Hazelcast cluster has not answered in time")]
    Overdue,
    /// A member left while the request was under way: it may have been carried out twice.
    #[error("a member left the Hazelcast cluster while it was asked")]
    Doubtful,
    #[error("the Hazelcast member's answer cannot be read")]
    Malformed(#[from] Malformed),
    #[error("the Hazelcast member answers with an error")]
    Refused(#[source] Arc<Refusal>),
    /// Nobody knows whether all changes were told.
    #[error("what changed in the Hazelcast cluster may not all have been told")]
    Unproven,
}

/// Why a member does not let us in.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub(crate) enum Turned {
    #[error(
        "the Hazelcast member does not let us in: make sure of the cluster's name, which stands \
         behind the hosts in the URL, and of name and password; without its security suite, which \
         is an enterprise feature, a member takes neither"
    )]
    Credentials,
    #[error("the Hazelcast cluster does not take this client: see its client filtering")]
    Filtered,
    #[error("Hazelcast {0} is too old: version 5.0 or later is needed, upgrade it")]
    TooOld(String),
    #[error(
        "what listens there is no Hazelcast member of version 5, or does not take clients there: \
         make sure of the port, and of TLS (hazelcasts:// or hazelcast://)"
    )]
    Stranger,
}

impl From<Refusal> for Fault {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(Arc::new(refusal))
    }
}

impl From<io::Error> for Fault {
    fn from(error: io::Error) -> Self {
        Self::Connecting(Arc::new(error))
    }
}

impl From<Fault> for Error {
    fn from(fault: Fault) -> Self {
        match &fault {
            Fault::Connecting(_) | Fault::Replaced => Self::Unreachable(fault.into()),
            Fault::Turned(Turned::Stranger) => Self::Unreachable(fault.into()),
            Fault::Turned(_) => Self::Refused(fault.into()),
            Fault::Refused(refusal) if REFUSALS.contains(&refusal.code) => {
                Self::Refused(fault.into())
            }
            _ => Self::Unanswered(fault.into()),
        }
    }
}
