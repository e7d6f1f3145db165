//! Every rule and every limit that a session lives under, by name and in one place.

use std::time::Duration;

use crate::commit::Room;

/// How sessions live. All nodes of an application should have the same one.
///
/// ```
/// use std::time::Duration;
/// use cloakroom_core::Policy;
///
/// let policy = Policy { idle: Some(Duration::from_secs(15 * 60)), ..Policy::default() };
/// assert!(policy.check().is_ok());
/// ```
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Policy {
    /// How long a new session may go unused; `None`: for ever. Default 30 minutes. Because a use
    /// is written down at most once per `touch_after`, a session ends between that much early and
    /// on time.
    pub idle: Option<Duration>,
    /// How long a new session lives however much it is used; `None`: for ever. Default 12 hours.
    pub lifetime: Option<Duration>,
    /// The longest idle timeout that is honoured, stored ones included. Default `None`: any.
    pub longest_idle: Option<Duration>,
    /// The longest lifetime that is honoured, stored ones included. Default `None`: any.
    pub longest_lifetime: Option<Duration>,
    /// How often a use is written down; `None`, the default: a tenth of the session's idle timeout
    /// (of 30 minutes, where it has none). Never more seldom than twice in an idle timeout.
    pub touch_after: Option<Duration>,
    /// How long a secret that a login replaced is still recognised, so that requests under way
    /// neither open a second session nor touch the new cookie. Default 60 seconds.
    pub settle: Duration,
    /// Gives a token that is older than this a successor; `None`, the default: never.
    pub rotate_every: Option<Duration>,
    /// How long the token before is admitted once its successor was presented. Default 60 seconds.
    pub grace: Duration,
    /// How many sessions one user may have. Default `None`: any number.
    pub seats: Option<Seats>,
    /// How much one session holds. Default 256 attributes and 64 KiB.
    pub room: Room,
    /// The most bytes of one attribute, as JSON. Default 32 KiB.
    pub attribute_bytes: usize,
    /// The most bytes of an attribute's name. Default 128.
    pub name_bytes: usize,
    /// The most bytes of a principal. Default 256.
    pub principal_bytes: usize,
    /// How many tokens one request may carry, all of which are looked up. Default 4.
    pub tokens_tried: usize,
    /// How long one call to the store may take. Default 2 seconds.
    pub call_deadline: Duration,
    /// How long one request's opening, and one commit, may take altogether, replays included.
    /// Default 5 seconds.
    pub deadline: Duration,
    /// How endings are announced. Default [`Announcing::Durable`].
    pub announcing: Announcing,
    /// How long a node has to announce an ending before another node does. Default 30 seconds.
    pub lease: Duration,
    /// By how much this node's clock may differ from the store's before it stops sweeping.
    /// Default 1 second.
    pub most_skew: Duration,
}

/// A limit on one user's sessions.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Seats {
    /// The most sessions a user may have; at least 1.
    pub most: usize,
    /// What a login does that finds them all taken.
    pub when_full: WhenFull,
}

/// What a login does that finds all of a user's seats taken.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum WhenFull {
    /// It is refused.
    Refuse,
    /// It ends the session with the oldest login.
    EndOldest,
}

/// How endings are announced.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Announcing {
    /// At least once, across all nodes, where the store can keep endings; at most once elsewhere.
    /// Every node that ends or sweeps sessions needs a listener, or its endings are announced to
    /// nobody. An ending is kept, with all that the session held, until its listeners have heard
    /// it: a listener that always fails fills the store.
    Durable,
    /// At most once: what a node that dies was about to announce is not announced.
    AtMostOnce,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            idle: Some(Duration::from_secs(30 * 60)),
            lifetime: Some(Duration::from_secs(12 * 60 * 60)),
            longest_idle: None,
            longest_lifetime: None,
            touch_after: None,
            settle: Duration::from_secs(60),
            rotate_every: None,
            grace: Duration::from_secs(60),
            seats: None,
            room: Room { fields: 256, bytes: 64 * 1024 },
            attribute_bytes: 32 * 1024,
            name_bytes: 128,
            principal_bytes: 256,
            tokens_tried: 4,
            call_deadline: Duration::from_secs(2),
            deadline: Duration::from_secs(5),
            announcing: Announcing::Durable,
            lease: Duration::from_secs(30),
            most_skew: Duration::from_secs(1),
        }
    }
}

/// A policy that cannot be meant.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("the session policy's `{name}` {must}")]
pub struct BadPolicy {
    /// The rule at fault.
    pub name: &'static str,
    /// What it has to be.
    pub must: &'static str,
}

impl Policy {
    /// Finds the first rule that cannot be meant.
    pub fn check(&self) -> Result<(), BadPolicy> {
        const POSITIVE: &str = "must be longer than a millisecond; for no limit, say None";
        let optional = [
            ("idle", self.idle),
            ("lifetime", self.lifetime),
            ("longest_idle", self.longest_idle),
            ("longest_lifetime", self.longest_lifetime),
            ("rotate_every", self.rotate_every),
        ];
        let durations = [
            ("call_deadline", self.call_deadline),
            ("deadline", self.deadline),
            ("lease", self.lease),
        ];
        let given = optional.into_iter().filter_map(|(name, given)| Some((name, given?)));
        for (name, duration) in given.chain(durations) {
            if duration < Duration::from_millis(1) {
                return Err(BadPolicy { name, must: POSITIVE });
            }
        }
        let idle = self.cap_idle(self.idle);
        if idle.zip(self.touch_after).is_some_and(|(idle, touch_after)| touch_after >= idle) {
            let must =
                "must be shorter than `idle` and `longest_idle`, or sessions in use would end";
            return Err(BadPolicy { name: "touch_after", must });
        }
        let counts = [
            ("seats.most", self.seats.map_or(1, |seats| seats.most)),
            ("room.fields", self.room.fields),
            ("room.bytes", self.room.bytes),
            ("attribute_bytes", self.attribute_bytes),
            ("name_bytes", self.name_bytes),
            ("principal_bytes", self.principal_bytes),
            ("tokens_tried", self.tokens_tried),
        ];
        match counts.into_iter().find(|(_, count)| *count == 0) {
            Some((name, _)) => Err(BadPolicy { name, must: "must be at least 1" }),
            None => Ok(()),
        }
    }

    /// How often a use is written down for a session with this idle timeout.
    pub(crate) fn touch_after(&self, idle: Option<Duration>) -> Duration {
        const WHERE_NEVER_IDLE: Duration = Duration::from_secs(180);
        match (self.touch_after, idle) {
            // A session's own idle timeout may be shorter than the policy had in mind.
            (Some(asked), Some(idle)) => asked.min(idle / 2),
            (Some(asked), None) => asked,
            (None, Some(idle)) => idle / 10,
            (None, None) => WHERE_NEVER_IDLE,
        }
    }

    /// `idle` under the longest that is honoured.
    pub(crate) fn cap_idle(&self, idle: Option<Duration>) -> Option<Duration> {
        shorter(idle, self.longest_idle)
    }
}

/// The shorter of two, of which either may be unlimited.
pub(crate) fn shorter(given: Option<Duration>, longest: Option<Duration>) -> Option<Duration> {
    match (given, longest) {
        (Some(given), Some(longest)) => Some(given.min(longest)),
        (given, longest) => given.or(longest),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_policy_is_sound_and_a_zero_is_named() {
        assert_eq!(Policy::default().check(), Ok(()));
        let no_idle = Policy { idle: Some(Duration::ZERO), ..Policy::default() };
        assert_eq!(no_idle.check().unwrap_err().name, "idle");
        let minute = Some(Duration::from_secs(60));
        let late = Policy { idle: minute, touch_after: minute, ..Policy::default() };
        assert_eq!(late.check().unwrap_err().name, "touch_after");
        let seats = Some(Seats { most: 0, when_full: WhenFull::Refuse });
        let no_seat = Policy { seats, ..Policy::default() };
        assert_eq!(no_seat.check().unwrap_err().name, "seats.most");
    }

    #[test]
    fn a_cap_shortens_what_is_longer_and_ends_what_never_would() {
        let hour = Some(Duration::from_secs(3600));
        let policy = Policy { longest_idle: hour, ..Policy::default() };
        assert_eq!(policy.cap_idle(None), hour);
        assert_eq!(policy.cap_idle(Some(Duration::from_secs(60))), Some(Duration::from_secs(60)));
    }
}
