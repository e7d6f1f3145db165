//! One request's view of its session, and the next step that its edits ask for: a pure function
//! of the view, the policy and the time.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::edits::Edits;
use super::{ADDRESS, Client, DEVICE, ROLES};
use crate::commit::{Change, Commit, Expect, Guard, Limit, Room, Rotation, SignIn};
use crate::error::{Error, Result};
use crate::event::Ended;
use crate::policy::{Policy, shorter};
use crate::record::{CommitId, Field, Fields, Record, Standing};
use crate::slot;
use crate::time::Timestamp;
use crate::token::{Key, Kind, Proof, Secret, Token};

/// What a view is built on.
#[derive(Clone, Debug)]
pub(crate) enum Base {
    /// Nothing is stored; the first write creates.
    Nothing,
    /// The token was replaced by a login a moment ago.
    Settling,
    /// A stored session.
    Stored(Stored),
    /// A commit has learnt that it is gone. Only a login goes on from here, to a new one.
    Gone,
    /// This request has ended it.
    Ended,
}

/// A stored session, as it was read or last committed.
#[derive(Clone, Debug)]
pub(crate) struct Stored {
    pub(crate) key: Key,
    /// `None` for a record that no token opens.
    pub(crate) opened_under: Option<Proof>,
    pub(crate) record: Arc<Record>,
}

impl Base {
    pub(crate) fn stored(
        key: Key,
        opened_under: Option<Proof>,
        record: impl Into<Arc<Record>>,
    ) -> Self {
        Self::Stored(Stored { key, opened_under, record: record.into() })
    }

    pub(crate) fn as_stored(&self) -> Option<&Stored> {
        match self {
            Self::Stored(stored) => Some(stored),
            Self::Nothing | Self::Settling | Self::Gone | Self::Ended => None,
        }
    }

    pub(crate) fn record(&self) -> Option<&Record> {
        self.as_stored().map(|stored| &*stored.record)
    }

    /// A record that is found by name and opened by no token, where it is there.
    pub(crate) fn named(key: Key, record: Option<Arc<Record>>) -> Self {
        record.map_or(Self::Nothing, |record| Self::stored(key, None, record))
    }
}

impl Stored {
    fn end(&self, reason: Ended) -> Step {
        let guard = self.opened_under.map_or(Guard::None, Guard::Proof);
        Step::End { key: self.key, guard, reason }
    }
}

/// One request's view of its session.
#[derive(Clone, Debug)]
pub(crate) struct View {
    pub(crate) base: Base,
    pub(crate) edits: Edits,
    /// What is known of the client, where anything is.
    pub(crate) client: Option<Arc<Client>>,
    /// When the session was opened: what others have done since, its client may not know.
    opened_at: Timestamp,
    /// Where a new record goes that is found by name and opened by no token.
    pub(crate) named: Option<Key>,
    /// Whether this request is no use of the session.
    pub(crate) passive: bool,
    /// Whether this request's response may carry a rotated token.
    pub(crate) may_rotate: bool,
}

/// The one thing to ask of the store next.
#[derive(Debug)]
pub(crate) enum Step {
    Nothing,
    /// There is no session any more for what was edited.
    Gone,
    Create {
        key: Key,
        token: Option<Token>,
        record: Box<Record>,
        seats: Option<usize>,
    },
    Commit {
        key: Key,
        token: Option<Token>,
        commit: Box<Commit>,
    },
    End {
        key: Key,
        guard: Guard,
        reason: Ended,
    },
}

/// What a commit does to the secret, before a new one is made.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Turn {
    Replace,
    Offer { instead_of: Option<Proof> },
    Confirm,
}

impl Turn {
    /// The rotation, and the new secret where it brings one.
    fn rotation(self, policy: &Policy) -> (Rotation, Option<Secret>) {
        let secret = Secret::random();
        let proof = secret.proof();
        match self {
            Self::Replace => (Rotation::Replace { proof, settle: policy.settle }, Some(secret)),
            Self::Offer { instead_of } => (Rotation::Offer { proof, instead_of }, Some(secret)),
            Self::Confirm => (Rotation::Confirm { grace: policy.grace }, None),
        }
    }
}

/// A change that is computed for this one plan, on top of the edits.
pub(crate) type Extra = Option<(String, Change)>;

impl View {
    pub(crate) fn new(base: Base, client: Client, now: Timestamp) -> Self {
        Self {
            base,
            edits: Edits::default(),
            client: client.is_known().then(|| Arc::new(client.shortened())),
            opened_at: now,
            named: None,
            passive: false,
            may_rotate: true,
        }
    }

    pub(crate) fn stored(&self) -> Option<&Stored> {
        self.base.as_stored()
    }

    pub(crate) fn record(&self) -> Option<&Record> {
        self.base.record()
    }

    /// Edits one field, unless the session would then hold more than `room` and more than before.
    pub(crate) fn edit_field(
        &mut self,
        name: &str,
        room: Room,
        edit: impl FnOnce(&mut Edits),
    ) -> Result<()> {
        let (fields_before, bytes_before) = self.edits.size_on(self.record());
        let before = self.edits.field(name);
        edit(&mut self.edits);
        let (fields, bytes) = self.edits.size_on(self.record());
        let limit = if fields > room.fields && fields > fields_before {
            Limit::Fields { most: room.fields }
        } else if bytes > room.bytes && bytes > bytes_before {
            Limit::Bytes { most: room.bytes }
        } else {
            return Ok(());
        };
        self.edits.restore_field(name, before);
        Err(limit.into())
    }

    /// What to ask of the store at `now`.
    pub(crate) fn plan(&self, policy: &Policy, now: Timestamp, extra: Extra) -> Result<Step> {
        let (login, works) = (self.edits.login().is_some(), !self.edits.is_empty());
        match &self.base {
            Base::Stored(stored) => match self.ending(stored) {
                Some(Ended::Replaced) => Ok(stored.end(Ended::Replaced)),
                Some(_) if extra.is_some() => Err(Error::Ended),
                Some(reason) => Ok(stored.end(reason)),
                None => self.plan_commit(stored, policy, now, extra),
            },
            Base::Ended | Base::Gone if !login && (works || extra.is_some()) => Ok(Step::Gone),
            Base::Ended => Ok(Step::Nothing),
            Base::Settling if !login && (works || extra.is_some()) => Err(Error::Settling),
            _ if self.edits.ending().is_some() && extra.is_some() => Err(Error::Ended),
            _ if self.edits.ending().is_some() => Ok(Step::Nothing),
            _ if login || extra.is_some() || self.edits.writes() => {
                self.plan_creation(policy, now, extra)
            }
            _ => Ok(Step::Nothing),
        }
    }

    /// The record that a commit at `now` would leave; `None` where it would change nothing, or leave
    /// none.
    #[cfg(feature = "sealed")]
    pub(crate) fn outcome(&self, policy: &Policy, now: Timestamp) -> Result<Option<Record>> {
        let step = match self.plan(policy, now, None)? {
            Step::End { reason: Ended::Replaced, .. } => self.plan_creation(policy, now, None)?,
            step => step,
        };
        Ok(match step {
            Step::Create { record, .. } => Some(*record),
            Step::Commit { commit, .. } => self.record().map(|record| record.with(&commit, now)),
            Step::Nothing | Step::Gone | Step::End { .. } => None,
        })
    }

    /// Whether [`View::plan`] came to nothing when the session was opened, and nothing was edited
    /// since. What has become due meanwhile, the next request does.
    pub(crate) fn asks_for_nothing(&self, policy: &Policy) -> bool {
        let now = self.opened_at;
        let idle = |stored: &Stored| {
            !self.is_due(stored, policy, now) && self.turn(stored, policy, now).is_none()
        };
        self.edits.is_empty() && self.stored().is_none_or(idle)
    }

    /// Whether the use of the session has to be written down.
    fn is_due(&self, stored: &Stored, policy: &Policy, now: Timestamp) -> bool {
        let touched_ago = now.since(stored.record.touched_at);
        let touch_after = policy.touch_after(policy.cap_idle(stored.record.idle));
        !self.passive && touched_ago >= touch_after
    }

    /// Why the stored session has to be ended: as was asked, or because another user logs in,
    /// who must not find this one's attributes.
    fn ending(&self, stored: &Stored) -> Option<Ended> {
        let signed_in = stored.record.principal.as_ref();
        let replaced = self
            .edits
            .login()
            .is_some_and(|login| signed_in.is_some_and(|principal| *principal != login.principal));
        self.edits.ending().or_else(|| replaced.then_some(Ended::Replaced))
    }

    fn plan_creation(&self, policy: &Policy, now: Timestamp, extra: Extra) -> Result<Step> {
        let id = CommitId::random();
        let fields: Fields = self
            .changes(extra)?
            .into_iter()
            .filter_map(|(name, change)| Some((name, Field { version: id, bytes: change.to? })))
            .collect();
        let (key, token) = match self.named {
            Some(key) => (key, None),
            None => {
                let key = Key::random(Kind::Session);
                (key, Some(Token::new(key, Secret::random())))
            }
        };
        let mut record = Record::new(token.as_ref().map(Token::proof), now);
        record.fields = fields;
        if token.is_some() {
            record.idle = policy.cap_idle(self.edits.idle().unwrap_or(policy.idle));
        }
        // What is found by name lives for ever, unless its writer has said for how long.
        if token.is_some() || self.edits.lifetime().is_some() {
            record.ends_at = self.lifetime(policy, now).map(|lifetime| now + lifetime);
        }
        if let Some(login) = self.edits.login() {
            record.principal = Some(login.principal.clone());
            record.authenticated_at = Some(now);
        }
        within_room(&record, policy)?;
        let seats = policy.seats.map(|seats| seats.most);
        Ok(Step::Create { key, token, record: Box::new(record), seats })
    }

    fn plan_commit(
        &self,
        stored: &Stored,
        policy: &Policy,
        now: Timestamp,
        extra: Extra,
    ) -> Result<Step> {
        let login = self.edits.login();
        let turn = self.turn(stored, policy, now);
        let due = self.is_due(stored, policy, now);
        if !due && turn.is_none() && extra.is_none() && self.edits.is_empty() {
            return Ok(Step::Nothing);
        }
        let mut commit = Commit::new(stored.opened_under, policy.room);
        commit.fields = self.changes(extra)?;
        let (rotation, secret) = turn.map(|turn| turn.rotation(policy)).unzip();
        commit.rotation = rotation;
        commit.sign_in = login.map(|login| SignIn {
            principal: login.principal.clone(),
            seats: policy.seats.map(|seats| seats.most),
        });
        commit.idle = self.edits.idle().map(|idle| policy.cap_idle(idle));
        commit.ends_at = (login.is_some() || self.edits.lifetime().is_some())
            .then(|| self.lifetime(policy, now).map(|lifetime| now + lifetime));
        // Without a touch, a new idle timeout would count from a use long past.
        commit.touch = due || login.is_some() || commit.idle.is_some();
        let token = secret.flatten().map(|secret| Token::new(stored.key, secret));
        Ok(Step::Commit { key: stored.key, token, commit: Box::new(commit) })
    }

    /// What has to happen to the secret.
    fn turn(&self, stored: &Stored, policy: &Policy, now: Timestamp) -> Option<Turn> {
        let record = &stored.record;
        let instead_of = record.next.map(|next| next.proof);
        match record.admits(&stored.opened_under?, now) {
            _ if self.edits.login().is_some() => Some(Turn::Replace),
            Standing::Offered => Some(Turn::Confirm),
            Standing::Current => {
                // A request from before the last offer may end long after its client got that.
                let waiting =
                    record.next.is_some_and(|next| self.opened_at < next.at + policy.settle);
                let old =
                    policy.rotate_every.is_some_and(|every| now >= record.proof_since + every);
                (self.may_rotate && old && !waiting).then_some(Turn::Offer { instead_of })
            }
            Standing::Grace | Standing::Settling | Standing::Stranger => None,
        }
    }

    /// How long the session lives from now on, where this request begins or changes that.
    fn lifetime(&self, policy: &Policy, now: Timestamp) -> Option<Duration> {
        let asked = self.edits.lifetime().unwrap_or(policy.lifetime);
        if self.named.is_some() {
            return asked;
        }
        let began = self.record().filter(|_| self.edits.login().is_none());
        let age = began.map_or(Duration::ZERO, |record| now.since(origin(record)));
        let longest = policy.longest_lifetime.map(|longest| longest.saturating_sub(age));
        shorter(asked, longest)
    }

    fn changes(&self, extra: Extra) -> Result<BTreeMap<String, Change>> {
        let mut changes = self.edits.changes(self.record());
        changes.extend(extra);
        let Some(login) = self.edits.login() else {
            return Ok(changes);
        };
        let client = self.client.as_deref();
        let device = client.and_then(|client| client.device.as_ref());
        let address = client.and_then(|client| client.address).map(|address| address.to_string());
        let about = [
            (ROLES, (!login.roles.is_empty()).then(|| slot::encode(ROLES, &login.roles))),
            (DEVICE, device.map(|device| slot::encode(DEVICE, device))),
            (ADDRESS, address.map(|address| slot::encode(ADDRESS, &address))),
        ];
        for (name, value) in about {
            let change = Change { to: value.transpose()?, expect: Expect::Any };
            changes.insert(name.to_owned(), change);
        }
        Ok(changes)
    }
}

/// Since when a record's lifetime counts: its login, else its creation.
pub(crate) fn origin(record: &Record) -> Timestamp {
    record.authenticated_at.unwrap_or(record.created_at)
}

fn within_room(record: &Record, policy: &Policy) -> Result<()> {
    if record.fields.len() > policy.room.fields {
        return Err(Limit::Fields { most: policy.room.fields }.into());
    }
    if record.size() > policy.room.bytes {
        return Err(Limit::Bytes { most: policy.room.bytes }.into());
    }
    Ok(())
}
