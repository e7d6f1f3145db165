//! What went wrong, in the words of the store trait: not asked, not answered, refused.

use cloakroom_core::store::Error;

/// Why a call has no good answer.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub(crate) enum Fault {
    /// There is no connection. Nothing was sent.
    #[error("there is no connection to a NATS server")]
    Unconnected,
    /// Nobody takes such requests: nothing was carried out.
    #[error(
        "no NATS server takes the request: JetStream is not enabled, or the bucket has no leader \
         at the moment, or it was deleted"
    )]
    Nobody,
    /// The servers answer that they cannot act at the moment.
    #[error("JetStream is not available at the moment: {0}")]
    Unavailable(String),
    /// The server that leads the bucket knows less of it than this node, and has not caught up.
    #[error("the NATS server that leads the bucket has not caught up")]
    Behind,
    /// This node has not heard yet what is in the bucket.
    #[error("this node has not caught up with the bucket yet")]
    CatchingUp,
    /// A source was asked that is down.
    #[error("this watch of the bucket is there no more")]
    Replaced,
    /// The connection broke while the answer was waited for.
    #[error("the connection to the NATS server broke before it answered")]
    Lost,
    /// No answer came in time.
    #[error("the NATS server did not answer in time")]
    Late,
    /// What was put is larger than the server allows.
    #[error("it is larger than the NATS server's max_payload allows")]
    TooLarge,
    /// The server said no.
    #[error("the NATS server refuses: {description} ({code})")]
    Refused { code: u64, description: String },
    /// The answer is none to the request.
    #[error("the answer to {0} is none that a NATS server gives")]
    Unexpected(&'static str),
}

/// No message was found.
pub(crate) const NO_MESSAGE: u64 = 10037;
/// There is no such stream.
pub(crate) const NO_STREAM: u64 = 10059;
/// There is a stream by that name already.
pub(crate) const STREAM_EXISTS: u64 = 10058;
/// Something else was last than what was expected.
pub(crate) const WRONG_LAST: [u64; 2] = [10071, 10164];
/// No leader, not the leader, or too few servers of the cluster: nothing was done.
const UNAVAILABLE: [u64; 4] = [10004, 10008, 10009, 10010];

impl Fault {
    /// What the server's own error means.
    pub(crate) fn said(code: u64, description: &str) -> Self {
        match UNAVAILABLE.contains(&code) {
            true => Self::Unavailable(description.to_owned()),
            false => Self::Refused { code, description: description.to_owned() },
        }
    }

    /// Whether the server said so by this code.
    pub(crate) fn is(&self, codes: &[u64]) -> bool {
        matches!(self, Self::Refused { code, .. } if codes.contains(code))
    }
}

impl From<Fault> for Error {
    fn from(fault: Fault) -> Self {
        let source = Box::new(fault.clone());
        match fault {
            Fault::Unconnected
            | Fault::Nobody
            | Fault::Unavailable(_)
            | Fault::Behind
            | Fault::CatchingUp
            | Fault::Replaced => Self::Unreachable(source),
            Fault::Lost | Fault::Late | Fault::Unexpected(_) => Self::Unanswered(source),
            Fault::TooLarge | Fault::Refused { .. } => Self::Refused(source),
        }
    }
}
