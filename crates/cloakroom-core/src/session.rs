//! A session as a request sees it: attributes to read and edit, a login, an end. Reads are plain
//! calls; edits are collected and committed once.

mod attributes;
mod edits;
pub(crate) mod view;

use std::fmt;
use std::future::Future;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::lock;

use self::view::{Base, Stored, View};
use crate::commit::Outcome;
use crate::error::{Error, Result};
use crate::event::Ended;
use crate::keeping::SealedText;
use crate::policy::Policy;
use crate::record::Record;
use crate::sessions::{Live, Sessions};
use crate::slot;
use crate::time::Timestamp;
use crate::token::{Key, Token};

/// Begins the names that the session system keeps for itself.
const RESERVED: char = '@';
pub(crate) const ROLES: &str = "@roles";
pub(crate) const DEVICE: &str = "@device";
pub(crate) const ADDRESS: &str = "@address";
const REMEMBERED: &str = "@remembered";

/// A request's handle to its session. Clones are the same handle.
///
/// Nothing reaches the store before [`Session::commit`], [`Session::transact`] or
/// [`Sessions::finish`], which a middleware calls once the handler has answered. A session that
/// was never written to is never stored.
#[derive(Clone)]
pub struct Session {
    pub(crate) inner: Arc<Inner>,
}

pub(crate) struct Inner {
    sessions: Sessions,
    /// One commit at a time; edits go on meanwhile.
    pub(crate) gate: lock::Mutex<()>,
    state: Mutex<State>,
}

struct State {
    view: View,
    reply: Option<Reply>,
    closed: bool,
    /// Whether a commit was dropped half-way: the edits that are still here may be applied.
    lost: bool,
    /// The version that the client has to return, where it does not.
    fence: Option<u64>,
}

/// What the client has to be told.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Reply {
    /// Hand this token out. It is told once, and never again.
    Send {
        /// The new token.
        token: Token,
        /// When the session ends at the latest.
        ends_at: Option<Timestamp>,
    },
    /// Hand this sealed session out, in place of the one that the client has.
    Seal {
        /// The session as it is now.
        text: SealedText,
        /// When it ends at the latest.
        ends_at: Option<Timestamp>,
    },
    /// Forget the token, or the sealed session: this request has ended it.
    Clear,
}

/// Who signs in, and as what.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Login {
    pub(crate) principal: String,
    pub(crate) roles: Vec<String>,
}

impl Login {
    /// A login of `principal`, without roles.
    pub fn new(principal: impl Into<String>) -> Self {
        Self { principal: principal.into(), roles: Vec::new() }
    }

    /// Adds a role.
    #[must_use]
    pub fn role(mut self, role: impl Into<String>) -> Self {
        self.roles.push(role.into());
        self
    }
}

impl<P: Into<String>> From<P> for Login {
    fn from(principal: P) -> Self {
        Self::new(principal)
    }
}

/// What is known of the client, kept with a login for the user's list of sessions.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Client {
    /// Its device, as in the User-Agent header.
    pub device: Option<String>,
    /// Its address.
    pub address: Option<IpAddr>,
    /// The version of its session that it saw last, where it says so; see [`Session::fence`].
    pub seen: Option<u64>,
}

impl Client {
    /// Whether there is anything to keep of it.
    pub(crate) fn is_known(&self) -> bool {
        self.device.is_some() || self.address.is_some()
    }

    /// Cuts what a client says of itself to a length that a list can show.
    pub(crate) fn shortened(mut self) -> Self {
        const MOST: usize = 256;
        if let Some(device) = &mut self.device {
            device.truncate(device.floor_char_boundary(MOST));
        }
        self
    }
}

impl Session {
    pub(crate) fn new(sessions: Sessions, view: View) -> Self {
        let state =
            Mutex::new(State { view, reply: None, closed: false, lost: false, fence: None });
        Self { inner: Arc::new(Inner { sessions, gate: lock::Mutex::new(()), state }) }
    }

    pub(crate) fn sessions(&self) -> &Sessions {
        &self.inner.sessions
    }

    /// A poisoned lock means a panic between two whole steps: no user code runs under it.
    fn state(&self) -> MutexGuard<'_, State> {
        self.inner.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether nothing is stored for this client yet.
    pub fn is_new(&self) -> bool {
        self.state().view.stored().is_none()
    }

    /// The session's key, once it is stored. It may be logged; it opens nothing. A sealed session gets
    /// another by a login: it has none from the login until that is committed.
    pub fn key(&self) -> Option<Key> {
        let state = self.state();
        if self.has_little_room() && state.view.edits.login().is_some() {
            return None;
        }
        state.view.stored().map(|stored| stored.key)
    }

    fn of_record<T>(&self, read: impl FnOnce(&Record) -> T) -> Option<T> {
        self.state().view.record().map(read)
    }

    /// When the session was stored first.
    pub fn created_at(&self) -> Option<Timestamp> {
        self.of_record(|record| record.created_at)
    }

    /// When the session was last used before this request, to within the policy's `touch_after`.
    pub fn last_accessed(&self) -> Option<Timestamp> {
        self.of_record(|record| record.touched_at)
    }

    /// How long the session may go unused; `None` where it may for ever, or is not stored.
    pub fn idle(&self) -> Option<Duration> {
        self.of_record(|record| record.idle).flatten()
    }

    /// When the session ends however much it is used.
    pub fn ends_at(&self) -> Option<Timestamp> {
        self.of_record(|record| record.ends_at).flatten()
    }

    /// Who is signed in, a login of this request included.
    pub fn principal(&self) -> Option<String> {
        let state = self.state();
        let login = state.view.edits.login().map(|login| login.principal.clone());
        login.or_else(|| state.view.record()?.principal.clone())
    }

    /// When they signed in, as it is stored.
    pub fn authenticated_at(&self) -> Option<Timestamp> {
        self.of_record(|record| record.authenticated_at).flatten()
    }

    /// The roles given at login; none where nobody is signed in.
    pub fn roles(&self) -> Vec<String> {
        let state = self.state();
        if let Some(login) = state.view.edits.login() {
            return login.roles.clone();
        }
        let signed_in = state.view.record().filter(|record| record.principal.is_some());
        let bytes = signed_in.and_then(|record| record.fields.get(ROLES));
        bytes.and_then(|field| slot::decode(ROLES, &field.bytes).ok()).unwrap_or_default()
    }

    /// Whether the signed-in user has `role`.
    pub fn has_role(&self, role: &str) -> bool {
        self.roles().iter().any(|held| held == role)
    }

    /// The address that signed in, as it is stored.
    pub fn address(&self) -> Option<String> {
        let bytes = self.of_record(|record| record.fields.get(ADDRESS).cloned()).flatten();
        bytes.and_then(|field| slot::decode(ADDRESS, &field.bytes).ok())
    }

    /// Whether its client is to keep the token when it is closed, as [`Session::set_remembered`] says.
    pub fn is_remembered(&self) -> bool {
        let state = self.state();
        state.view.edits.shown(REMEMBERED, state.view.record()).is_some()
    }

    /// Signs a user in. The token is replaced, so that one planted beforehand opens nothing; the
    /// attributes stay, unless another user was signed in: that session is ended, and this one
    /// begins empty. Needs no old session: under a token that another login has just replaced it
    /// begins an empty one, also for the same user. Where the store's answer to a login is lost,
    /// the session is ended with all that was in it, and the client signs in anew.
    pub fn log_in(&self, login: impl Into<Login>) -> Result<()> {
        let login = login.into();
        let most = self.inner.sessions.policy().principal_bytes;
        if login.principal.is_empty() || login.principal.len() > most {
            return Err(Error::BadPrincipal { most });
        }
        let mut state = self.open_state()?;
        let before = self.has_little_room().then(|| state.view.edits.clone());
        state.view.edits.log_in(login);
        let Some(before) = before else {
            return Ok(());
        };
        self.check_room(&state.view).inspect_err(|_| state.view.edits = before)
    }

    /// Ends the session because its user asks for it.
    pub fn log_out(&self) -> Result<()> {
        self.edit(|view| view.edits.end(Ended::LoggedOut))
    }

    /// Ends the session because the application wants it.
    pub fn end(&self) -> Result<()> {
        self.edit(|view| view.edits.end(Ended::Revoked))
    }

    /// Sets how long this session may go unused; `None`: for ever. The policy's `longest_idle`
    /// caps it.
    pub fn set_idle(&self, idle: Option<Duration>) -> Result<()> {
        self.edit(|view| view.edits.set_idle(idle))
    }

    /// Sets how long this session lives from now on however much it is used; `None`: for ever. The
    /// policy's `longest_lifetime` caps it. A persistent cookie that the client has keeps the
    /// expiry that it was sent with.
    pub fn set_lifetime(&self, lifetime: Option<Duration>) -> Result<()> {
        self.edit(|view| view.edits.set_lifetime(lifetime))
    }

    /// Sets whether a browser keeps the token when it is closed, for as long as the session can live,
    /// also where cookies are not persistent otherwise: for a login that its user wants remembered.
    /// It shows when the next token is sent; at a login that is at once.
    pub fn set_remembered(&self, remembered: bool) -> Result<()> {
        let value = remembered.then(|| slot::encode(REMEMBERED, &true)).transpose()?;
        self.edit(|view| view.edits.put(REMEMBERED, value))
    }

    /// Marks this request as no use of the session, such as a poll that a page sends by itself.
    pub fn set_passive(&self) {
        self.state().view.passive = true;
    }

    /// Keeps this request's response free of a timed rotation's token: for requests whose response
    /// may be shared or is no page, such as an upgrade.
    pub fn forbid_rotation(&self) {
        self.state().view.may_rotate = false;
    }

    /// A look at this session for later: for a socket or a stream that outlives its request. `None`
    /// where nothing is stored.
    pub fn live(&self) -> Option<Live> {
        Some(Live::new(self.inner.sessions.clone(), &self.stored()?))
    }

    /// What the client has to be told, where a commit has made a token or ended the session: told
    /// once. [`Sessions::finish`] returns it, unless it fails; then it is still here, and has to be
    /// told all the same.
    pub fn take_reply(&self) -> Option<Reply> {
        let reply = self.state().reply.take();
        self.sessions().keeping().reply(reply, || self.sessions().now())
    }

    /// The version that the client is to return as [`Client::seen`] with its requests of the next
    /// while, where it does not already: then no node shows it an older one. Ask when the request
    /// is finished. `None` as well where no node reads from a cache; see
    /// [`Store::fence`](crate::Store::fence).
    pub fn fence(&self) -> Option<u64> {
        self.state().fence.filter(|_| self.inner.sessions.store().fence().is_some())
    }

    /// Notes the version that was read by a client who had seen `seen`. A lower one is what the
    /// store itself has, after a failover, or another session.
    pub(crate) fn note_version(&self, seen: u64, settled: bool) {
        let mut state = self.state();
        let version = state.view.record().map(|record| record.version);
        state.fence = version.filter(|version| *version < seen || *version > seen && !settled);
    }

    pub(crate) fn set_fence(&self, version: u64) {
        self.state().fence = Some(version);
    }

    /// Commits what was edited so far: before a streamed body, or a side effect that counts on it.
    /// Whatever the outcome, the edits are done with. Never [`Outcome::Conflict`]: edits are
    /// replayed until they apply. [`Outcome::done`] makes an error of whatever is not done. Dropped
    /// half-way, or without an answer from the store, it leaves the handle closed: nobody knows
    /// whether the edits were applied.
    pub fn commit(&self) -> impl Future<Output = Result<Outcome>> + Send + '_ {
        self.inner.sessions.drive(self, None)
    }

    fn open_state(&self) -> Result<MutexGuard<'_, State>> {
        let state = self.state();
        if state.closed {
            return Err(Error::Closed);
        }
        if matches!(state.view.base, Base::Ended) || state.view.edits.ending().is_some() {
            return Err(Error::Ended);
        }
        Ok(state)
    }

    fn edit<T>(&self, edit: impl FnOnce(&mut View) -> T) -> Result<T> {
        let mut state = self.open_state()?;
        let login = state.view.edits.login().is_some();
        match state.view.base {
            Base::Settling if !login => Err(Error::Settling),
            Base::Gone if !login => Err(Error::Ended),
            _ => Ok(edit(&mut state.view)),
        }
    }

    pub(crate) fn view(&self) -> View {
        self.state().view.clone()
    }

    /// Looks at the view under the lock: no user code may run there.
    pub(crate) fn with_view<T>(&self, look: impl FnOnce(&View) -> T) -> T {
        look(&self.state().view)
    }

    pub(crate) fn stored(&self) -> Option<Stored> {
        self.state().view.stored().cloned()
    }

    /// Puts a newer base under the edits, replays those above number `done` on it, and drops the
    /// others. The replay runs outside the lock; where an edit came meanwhile, again.
    pub(crate) fn rebase(&self, base: &Base, done: u64) -> Result<()> {
        while !self.replace_base(base, done) {
            let edits = self.state().view.edits.clone();
            let last = edits.last();
            let edits = edits.rebased(done, base.record())?;
            let mut state = self.state();
            if state.view.edits.last() == last {
                state.view.base = base.clone();
                state.view.edits = edits;
                return Ok(());
            }
        }
        Ok(())
    }

    /// Puts a newer base where there is no edit above number `done` to be replayed on it, which is
    /// what most commits come to; whether that was so.
    fn replace_base(&self, base: &Base, done: u64) -> bool {
        let mut state = self.state();
        if state.view.edits.last() > done {
            return false;
        }
        state.view.base = base.clone();
        let dropped = state.view.edits.take();
        // What a user's closures hold is dropped outside the lock.
        drop(state);
        drop(dropped);
        true
    }

    /// Drops the edits up to number `done`, whose commit has failed and whose caller is being told,
    /// and what later ones made of them.
    pub(crate) fn drop_edits(&self, done: u64) {
        let base = self.with_view(|view| view.base.clone());
        if self.rebase(&base, done).is_err() {
            self.state().view.edits.forget(u64::MAX);
            self.close();
        }
    }

    pub(crate) fn set_base(&self, base: Base) {
        self.state().view.base = base;
    }

    pub(crate) fn set_reply(&self, reply: Reply) {
        self.state().reply = Some(reply);
    }

    /// Whether a commit of the edits can meet a conflict.
    pub(crate) fn builds_on_what_was_read(&self) -> bool {
        self.state().view.edits.builds_on_what_was_read()
    }

    pub(crate) fn is_edited(&self) -> bool {
        !self.state().view.edits.is_empty()
    }

    /// Takes no more edits from now on, and commits none: they may be applied already.
    pub(crate) fn lose(&self) {
        let mut state = self.state();
        (state.closed, state.lost) = (true, true);
    }

    pub(crate) fn is_lost(&self) -> bool {
        self.state().lost
    }

    /// Closes the handle where there is nothing to commit; whether that was so. Not while a commit
    /// of a clone is under way: what comes of it has to be waited for.
    pub(crate) fn close_unedited(&self, policy: &Policy) -> bool {
        let Some(_no_commit) = self.inner.gate.try_lock() else {
            return false;
        };
        let mut state = self.state();
        let unedited = !state.closed && state.view.asks_for_nothing(policy);
        state.closed |= unedited;
        unedited
    }

    /// Takes no more edits from now on; whether it was so before.
    pub(crate) fn close(&self) -> bool {
        std::mem::replace(&mut self.state().closed, true)
    }
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session").field("key", &self.key()).finish_non_exhaustive()
    }
}
