//! What a script may do. Everything in it is a small number or a word, so that a failing script
//! is read at a glance; [`play`](super::play) gives it meaning.

use proptest::collection::{btree_map, vec};
use proptest::option;
use proptest::prelude::*;
use std::collections::BTreeMap;

/// How many keys a script uses. The last is a ticket's, the others are sessions'.
pub(super) const KEYS: usize = 4;
/// The names of fields and of principals.
pub(super) const NAMES: [&str; 3] = ["a", "b", "é"];
/// How many secrets a script hands out; few, so that some come back.
const PROOFS: u8 = 10;

/// One thing that happens.
#[derive(Clone, Debug)]
pub(super) enum Step {
    /// Time passes.
    Wait { millis: u64 },
    /// A record is read.
    Load { key: usize },
    /// A record is made.
    Create { key: usize, new: New },
    /// A record is changed.
    Commit { key: usize, work: Work },
    /// The n-th last commit is sent again, to the same key.
    Resend { back: usize },
    /// A record is ended.
    End { key: usize, guard: Who },
    /// Everything that is over is swept.
    Expire,
    /// A principal's sessions are listed.
    List { principal: usize },
}

/// A new record.
#[derive(Clone, Debug)]
pub(super) struct New {
    pub(super) proof: Option<u8>,
    pub(super) login: Option<(usize, Option<usize>)>,
    pub(super) idle: Option<u64>,
    pub(super) ends_in: Option<u64>,
    pub(super) fields: BTreeMap<&'static str, String>,
}

/// A commit.
#[derive(Clone, Debug)]
pub(super) struct Work {
    pub(super) under: Opener,
    pub(super) fields: BTreeMap<&'static str, (Option<String>, Wanted)>,
    pub(super) rotation: Option<Turn>,
    pub(super) login: Option<(usize, Option<usize>)>,
    pub(super) idle: Option<Option<u64>>,
    pub(super) ends_in: Option<Option<u64>>,
    pub(super) touch: bool,
    pub(super) narrow: bool,
    /// Sent by a node whose clock is behind.
    pub(super) behind: bool,
}

/// The secret that a commit is opened under.
#[derive(Clone, Copy, Debug)]
pub(super) enum Opener {
    Administrator,
    Current,
    Offered,
    Superseded(usize),
    Numbered(u8),
}

/// What is expected of a field.
#[derive(Clone, Copy, Debug)]
pub(super) enum Wanted {
    Anything,
    Absent,
    AsItIs,
    FromStep(usize),
}

/// A rotation.
#[derive(Clone, Copy, Debug)]
pub(super) enum Turn {
    Replace(u8),
    /// In the place of what such an opener would present.
    Offer(u8, Opener),
    Confirm,
}

/// Who ends a record.
#[derive(Clone, Copy, Debug)]
pub(super) enum Who {
    Anybody,
    Holder(Opener),
    Principal(usize),
}

/// Every script.
pub(super) fn scripts() -> impl Strategy<Value = Vec<Step>> {
    vec(step(), 1..40)
}

fn step() -> impl Strategy<Value = Step> {
    let key = 0..KEYS;
    prop_oneof![
        3 => waits().prop_map(|millis| Step::Wait { millis }),
        1 => key.clone().prop_map(|key| Step::Load { key }),
        4 => (key.clone(), new()).prop_map(|(key, new)| Step::Create { key, new }),
        10 => (key.clone(), work()).prop_map(|(key, work)| Step::Commit { key, work }),
        3 => (0usize..4).prop_map(|back| Step::Resend { back }),
        2 => (key, who()).prop_map(|(key, guard)| Step::End { key, guard }),
        2 => Just(Step::Expire),
        1 => (0..NAMES.len()).prop_map(|principal| Step::List { principal }),
    ]
}

fn waits() -> impl Strategy<Value = u64> {
    prop::sample::select(vec![1, 250, 999, 1_000, 2_000, 5_000, 60_000])
}

/// Milliseconds until something ends, where it does.
fn term() -> impl Strategy<Value = Option<u64>> {
    option::weighted(0.8, prop::sample::select(vec![1_000, 2_000, 5_000, 3_600_000]))
}

fn value() -> impl Strategy<Value = String> {
    "[0-9é]{0,5}"
}

fn name() -> impl Strategy<Value = &'static str> {
    prop::sample::select(NAMES.to_vec())
}

fn login() -> impl Strategy<Value = (usize, Option<usize>)> {
    (0..NAMES.len(), option::of(0usize..3))
}

fn new() -> impl Strategy<Value = New> {
    let fields = btree_map(name(), value(), 0..3);
    let parts = (option::weighted(0.9, 0..PROOFS), option::of(login()));
    (parts, term(), term(), fields).prop_map(|((proof, login), idle, ends_in, fields)| New {
        proof,
        login,
        idle,
        ends_in,
        fields,
    })
}

fn work() -> impl Strategy<Value = Work> {
    let change = (option::weighted(0.8, value()), wanted());
    let fields = btree_map(name(), change, 0..3);
    let terms = (rarely(term()), rarely(term()));
    let flags = (any::<bool>(), any::<bool>(), any::<bool>());
    let parts = (opener(), fields, rarely(turn()), rarely(login()), terms, flags);
    parts.prop_map(|(under, fields, rotation, login, (idle, ends_in), flags)| Work {
        under,
        fields,
        rotation,
        login,
        idle,
        ends_in,
        touch: flags.0,
        narrow: flags.1,
        behind: flags.2,
    })
}

fn rarely<T: std::fmt::Debug>(
    strategy: impl Strategy<Value = T>,
) -> impl Strategy<Value = Option<T>> {
    option::weighted(0.3, strategy)
}

fn opener() -> impl Strategy<Value = Opener> {
    prop_oneof![
        3 => Just(Opener::Administrator),
        5 => Just(Opener::Current),
        2 => Just(Opener::Offered),
        2 => (0usize..4).prop_map(Opener::Superseded),
        1 => (0..PROOFS).prop_map(Opener::Numbered),
    ]
}

fn wanted() -> impl Strategy<Value = Wanted> {
    prop_oneof![
        3 => Just(Wanted::Anything),
        2 => Just(Wanted::Absent),
        3 => Just(Wanted::AsItIs),
        1 => (0usize..40).prop_map(Wanted::FromStep),
    ]
}

fn turn() -> impl Strategy<Value = Turn> {
    prop_oneof![
        (0..PROOFS).prop_map(Turn::Replace),
        (0..PROOFS, prop_oneof![Just(Opener::Offered), opener()])
            .prop_map(|(number, instead_of)| Turn::Offer(number, instead_of)),
        Just(Turn::Confirm),
    ]
}

fn who() -> impl Strategy<Value = Who> {
    prop_oneof![
        Just(Who::Anybody),
        opener().prop_map(Who::Holder),
        (0..NAMES.len()).prop_map(Who::Principal),
    ]
}
