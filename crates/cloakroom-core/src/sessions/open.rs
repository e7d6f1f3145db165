//! Opening: from a client's tokens to the session that they lead to.

use std::sync::Arc;

use super::Sessions;
use crate::commit::Guard;
use crate::error::{Error, Result};
use crate::event::{Ended, Ending, Event};
use crate::record::{Record, Standing};
use crate::session::view::{Base, Stored, View, origin};
use crate::session::{Client, Session};
use crate::store::{Loaded, Wanted};
use crate::time::{Timestamp, within};
use crate::token::{Key, Token};

/// What a presented token leads to.
enum Found {
    Unknown,
    Settling,
    Stored(Stored),
}

impl Sessions {
    /// Opens the session that a client's tokens lead to, or an empty one. Several tokens are looked
    /// up, as many as the policy's `tokens_tried`.
    ///
    /// # Errors
    /// [`Error::Store`] and [`Error::DeadlinePassed`] where the store does not answer: then nobody
    /// knows whether there is a session. [`Error::TwoSessions`] where two tokens open two sessions,
    /// and [`Error::TooManyTokens`] where there are more than are looked up: one could hide
    /// another. [`Error::HeldByClient`] where sessions are sealed and have no tokens.
    pub async fn open(&self, tokens: &[Token], client: Client) -> Result<Session> {
        self.inner.keeping.needs_store()?;
        let (now, seen) = (self.now(), client.seen.unwrap_or(0));
        let found = self.find_stored(tokens, seen).await?;
        Ok(self.opened(found, client, now))
    }

    /// Opens a session at once where the store need not be asked: where there is no token, or a
    /// cache has what it leads to. `None`: [`Sessions::open`] asks, with the client that is left as
    /// it was.
    pub fn open_known(&self, tokens: &[Token], client: &mut Client) -> Option<Session> {
        let now = self.now();
        let found = self.known(tokens, client.seen.unwrap_or(0), now)?;
        Some(self.opened(found, std::mem::take(client), now))
    }

    fn opened(&self, (base, settled): (Base, bool), client: Client, now: Timestamp) -> Session {
        let seen = client.seen.unwrap_or(0);
        let session = Session::new(self.clone(), View::new(base, client, now));
        session.note_version(seen, settled);
        session
    }

    /// What is known without asking the store.
    fn known(&self, tokens: &[Token], seen: u64, now: Timestamp) -> Option<(Base, bool)> {
        self.inner.keeping.needs_store().ok()?;
        let [token] = tokens else {
            return tokens.is_empty().then_some((Base::Nothing, true));
        };
        let (key, proof) = (token.key(), token.proof());
        let wanted = Wanted { at_least: seen, opened_by: Some(proof) };
        let loaded = self.inner.store.cached(key, &wanted, now)?;
        if self.over_caps(Some(&loaded), now).is_some() {
            return None;
        }
        Some((Base::stored(key, Some(proof), loaded.record), loaded.settled))
    }

    async fn find_stored(&self, tokens: &[Token], seen: u64) -> Result<(Base, bool)> {
        let mut endings = Vec::new();
        let opening = self.find_one(tokens, seen, &mut endings);
        let found = within(&*self.inner.timer, self.policy().deadline, opening).await;
        self.announce_all(&endings).await;
        found.unwrap_or(Err(Error::DeadlinePassed))
    }

    /// What the tokens lead to, and whether no node may show an older version of it.
    async fn find_one(
        &self,
        tokens: &[Token],
        seen: u64,
        endings: &mut Vec<Ending>,
    ) -> Result<(Base, bool)> {
        let most = self.policy().tokens_tried;
        if tokens.len() > most {
            self.tell(&Event::TooManyTokens { found: tokens.len() });
            return Err(Error::TooManyTokens { most });
        }
        let (mut base, mut all_settled) = (Base::Nothing, true);
        for token in tokens {
            let (found, settled) = self.find(token, seen, endings).await?;
            all_settled &= settled;
            base = match (base, found) {
                (Base::Stored(first), Found::Stored(second)) if first.key != second.key => {
                    let (first, second) = (first.key, second.key);
                    self.tell(&Event::TwoSessions { first, second });
                    return Err(Error::TwoSessions { first, second });
                }
                (Base::Stored(stored), _) | (_, Found::Stored(stored)) => Base::Stored(stored),
                (_, Found::Settling) => Base::Settling,
                (base, Found::Unknown) => base,
            };
        }
        Ok((base, all_settled))
    }

    async fn find(
        &self,
        token: &Token,
        seen: u64,
        endings: &mut Vec<Ending>,
    ) -> Result<(Found, bool)> {
        let (key, proof, now) = (token.key(), token.proof(), self.now());
        let wanted = Wanted { at_least: seen, opened_by: Some(proof) };
        let loaded = self.read(key, &wanted, now).await?;
        let (loaded, ending) = self.within_caps(key, loaded, now).await?;
        endings.extend(ending);
        let Some(Loaded { record, settled }) = loaded else {
            self.tell(&Event::UnknownToken { key });
            return Ok((Found::Unknown, true));
        };
        let standing = record.admits(&proof, now);
        let stored = Stored { key, opened_under: Some(proof), record };
        let found = match standing {
            Standing::Current | Standing::Offered | Standing::Grace => Found::Stored(stored),
            Standing::Settling => Found::Settling,
            Standing::Stranger => {
                self.tell(&Event::UnknownToken { key });
                Found::Unknown
            }
        };
        Ok((found, settled))
    }

    pub(super) async fn read(
        &self,
        key: Key,
        wanted: &Wanted,
        now: Timestamp,
    ) -> Result<Option<Loaded>> {
        Ok(self.call(self.inner.store.read(key, wanted, now)).await?)
    }

    /// Reads a record as the store has it.
    pub(super) async fn newest(&self, key: Key, now: Timestamp) -> Result<Option<Arc<Record>>> {
        Ok(self.read(key, &Wanted::NEWEST, now).await?.map(|loaded| loaded.record))
    }

    /// Ends a session that the policy, as it is now, allows no longer: the ending is to be
    /// announced.
    pub(super) async fn within_caps(
        &self,
        key: Key,
        mut loaded: Option<Loaded>,
        now: Timestamp,
    ) -> Result<(Option<Loaded>, Option<Ending>)> {
        if self.over_caps(loaded.as_ref(), now).is_some() && self.inner.store.fence().is_some() {
            // A cache may not know yet that the session was used.
            loaded = self.read(key, &Wanted::NEWEST, now).await?;
        }
        let Some(reason) = self.over_caps(loaded.as_ref(), now) else {
            return Ok((loaded, None));
        };
        // By a clock that the store disagrees with, nothing is ended that the store would keep.
        if self.skew().await?.is_some() {
            return Ok((None, None));
        }
        let (ending, _) = self.remove(key, &Guard::None, reason).await?;
        Ok((None, ending))
    }

    /// Why a session has to end that the policy allows no longer.
    pub(super) fn over_caps(&self, loaded: Option<&Loaded>, now: Timestamp) -> Option<Ended> {
        let (record, policy) = (&loaded?.record, self.policy());
        let idle = policy.longest_idle.map(|longest| record.touched_at + longest);
        let end = policy.longest_lifetime.map(|longest| origin(record) + longest);
        match (idle, end) {
            (_, Some(end)) if end <= now => Some(Ended::Lifetime),
            (Some(idle), _) if idle <= now => Some(Ended::Idle),
            _ => None,
        }
    }
}
