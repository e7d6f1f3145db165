//! What may happen in one exploration, and how often.

/// How many ticks a lease is long: no record is shown that was replaced so long ago.
pub(super) const LEASE: u64 = 2;
/// How many ticks a heartbeat's answer may take.
pub(super) const PATIENCE: u64 = 1;

/// How calls and notices travel.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(super) enum Wire {
    /// On one connection, in order. The server tells of one change after each read.
    Shared,
    /// Calls on connections of their own, overtaking each other and the notices.
    Apart,
    /// Apart, and with every change, this node's own included, what the record has come to.
    Told,
    /// The same from a store that tells also what it should know to be old.
    Careless,
}

impl Wire {
    /// Whether it is told what a record has come to.
    pub(super) fn tells(self) -> bool {
        matches!(self, Self::Told | Self::Careless)
    }
}

/// How often each thing may happen.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(super) struct Scene {
    pub(super) reads: u8,
    pub(super) commits: u8,
    /// Others' commits.
    pub(super) others: u8,
    /// Others' endings.
    pub(super) ends: u8,
    pub(super) give_ups: u8,
    pub(super) beats: u8,
    pub(super) ticks: u8,
    pub(super) cuts: u8,
    pub(super) evictions: u8,
    pub(super) moves: u8,
    pub(super) failovers: u8,
}

pub(super) const NOTHING: Scene = Scene {
    reads: 0,
    commits: 0,
    others: 0,
    ends: 0,
    give_ups: 0,
    beats: 0,
    ticks: 0,
    cuts: 0,
    evictions: 0,
    moves: 0,
    failovers: 0,
};
pub(super) const LATE_NOTICES: Scene =
    Scene { reads: 2, commits: 1, others: 2, evictions: 1, ..NOTHING };
pub(super) const OWN_COMMITS: Scene =
    Scene { reads: 2, commits: 2, others: 1, evictions: 1, ..NOTHING };
pub(super) const A_FENCE: Scene = Scene { reads: 3, others: 1, beats: 1, ..NOTHING };
pub(super) const AN_END_THAT_IS_READ: Scene =
    Scene { reads: 3, others: 1, ends: 1, beats: 1, ..NOTHING };
pub(super) const CATCHING_UP: Scene =
    Scene { reads: 1, commits: 1, others: 1, beats: 1, cuts: 1, ..NOTHING };
pub(super) const AN_ENDING: Scene = Scene { reads: 2, ends: 1, beats: 2, ticks: 2, ..NOTHING };
pub(super) const A_CUT: Scene = Scene { reads: 2, commits: 1, others: 1, cuts: 1, ..NOTHING };
pub(super) const GIVING_UP: Scene =
    Scene { reads: 2, commits: 2, give_ups: 1, beats: 1, ..NOTHING };
// Where every change is told, more is on its way: less may happen before it is too much to explore.
pub(super) const OWN_COMMITS_TOLD: Scene = Scene { reads: 1, commits: 2, others: 1, ..NOTHING };
pub(super) const GIVING_UP_TOLD: Scene =
    Scene { reads: 1, commits: 1, others: 1, give_ups: 1, beats: 1, ..NOTHING };
pub(super) const A_MOVE: Scene = Scene { reads: 2, commits: 1, others: 1, moves: 1, ..NOTHING };
pub(super) const A_FAILOVER: Scene =
    Scene { reads: 1, commits: 1, others: 2, failovers: 1, ..NOTHING };
