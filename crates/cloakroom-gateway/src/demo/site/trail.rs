//! The last few things that were done under a session, and by which node: kept in the session, so
//! that each node shows what the other did.

use cloakroom::{Error, Session, Slot, Timestamp};
use maud::{Markup, Render, html};
use serde::{Deserialize, Serialize};

use crate::demo::settings::Name;

const TRAIL: Slot<Vec<Step>> = Slot::new("trail");
/// How many steps are kept.
const LENGTH: usize = 5;

/// Something that was done.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) struct Step {
    /// The node that did it.
    pub(crate) node: Name,
    /// When, in milliseconds since the epoch.
    at: u64,
    /// What.
    pub(crate) did: Did,
}

/// What was done.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Did {
    /// The user signed in.
    SignedIn,
    /// Visits were counted.
    Visited {
        /// How many, one after the other.
        times: u64,
    },
    /// Something was put into the cart.
    Added {
        /// What.
        item: String,
        /// How many.
        quantity: u32,
    },
    /// Other sessions of the user were ended.
    EndedOthers {
        /// How many.
        sessions: usize,
    },
}

impl Step {
    /// When it was done.
    pub(crate) fn at(&self) -> Timestamp {
        Timestamp::from_millis(self.at)
    }
}

/// What a person typed stands apart, so that it turns nothing beside it around.
impl Render for Did {
    fn render(&self) -> Markup {
        html! {
            @match self {
                Self::SignedIn => "signed you in, under a new token",
                Self::Visited { times: 1 } => "counted a visit",
                Self::Visited { times } => { "counted " (times) " visits" },
                Self::Added { item, quantity: 1 } => { "added " bdi { (item) } },
                Self::Added { item, quantity } => { "added " (quantity) " × " bdi { (item) } },
                Self::EndedOthers { sessions: 1 } => "ended another session of yours",
                Self::EndedOthers { sessions } => {
                    "ended " (sessions) " other sessions of yours"
                },
            }
        }
    }
}

/// Adds a step to the session's trail, with its next commit.
pub(crate) fn add(session: &Session, node: Name, now: Timestamp, did: Did) -> Result<(), Error> {
    let step = Step { node, at: now.millis(), did };
    session.update(TRAIL, move |trail| push(trail, step.clone()))
}

/// The session's last steps, the newest first.
pub(crate) fn read(session: &Session) -> Result<Vec<Step>, Error> {
    let mut trail = session.get(TRAIL)?.unwrap_or_default();
    trail.reverse();
    Ok(trail)
}

/// Adds a step and forgets the oldest. A node's visits one after the other are one step.
fn push(trail: &mut Vec<Step>, step: Step) {
    if let (Did::Visited { times }, Some(last)) = (&step.did, trail.last_mut())
        && let Did::Visited { times: before } = &mut last.did
        && last.node == step.node
    {
        *before = before.saturating_add(*times);
        last.at = step.at;
        return;
    }
    trail.push(step);
    trail.drain(..trail.len().saturating_sub(LENGTH));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn visited(node: Name, at: u64) -> Step {
        Step { node, at, did: Did::Visited { times: 1 } }
    }

    #[test]
    fn visits_at_one_node_are_one_step_and_the_oldest_step_is_forgotten() {
        let mut trail = Vec::new();
        push(&mut trail, visited(Name::A, 1));
        push(&mut trail, visited(Name::A, 2));
        push(&mut trail, visited(Name::B, 3));
        assert_eq!(trail.len(), 2);
        assert_eq!(
            (trail[0].at, trail[0].did.render().into_string().as_str()),
            (2, "counted 2 visits")
        );
        for at in 4..10 {
            push(&mut trail, Step { node: Name::A, at, did: Did::SignedIn });
        }
        assert_eq!((trail.len(), trail[0].at), (LENGTH, 5));
    }
}
