//! A slip: the one session of one request, between its seal and the next. It is the store that the
//! request's session is opened from and committed to.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;

use super::content::{self, Content};
use super::{Carrier, Sealed};
use crate::commit::{Commit, Guard, Limit, Outcome};
use crate::event::Ending;
use crate::record::Record;
use crate::session::Reply;
use crate::store::{Announce, Capabilities, Created, Keep, Result, Store};
use crate::time::Timestamp;
use crate::token::{Key, Kind};

/// Holds a record while its request is under way. One commit at a time changes it: the session's
/// own order.
#[derive(Debug)]
pub(crate) struct Slip {
    sealed: Arc<Sealed>,
    carrier: Carrier,
    held: Mutex<Held>,
}

#[derive(Debug)]
struct Held {
    content: Option<Content>,
    /// Whether the client has not been told of it yet.
    is_news: bool,
}

impl Slip {
    pub(crate) fn new(sealed: Arc<Sealed>, carrier: Carrier, content: Option<Content>) -> Self {
        Self { sealed, carrier, held: Mutex::new(Held { content, is_news: false }) }
    }

    /// A poisoned lock means a panic between two whole steps.
    fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn content(&self, key: Key, now: Timestamp) -> Option<Content> {
        let content = self.held().content.clone();
        content.filter(|content| content.key == key && !content.record.is_over(now))
    }

    fn hold(&self, content: Content) {
        *self.held() = Held { content: Some(content), is_news: true };
    }

    /// The key that the session has now: a login has given it another.
    pub(super) fn key(&self) -> Option<Key> {
        self.held().content.as_ref().map(|content| content.key)
    }

    /// Whether there is room for a record in its carrier.
    pub(super) fn check(&self, record: &Record) -> Result<(), Limit> {
        content::check(record, self.carrier.most(), self.sealed.compresses())
    }

    /// What the client has to be told, once: to forget its session, or the session as it is now.
    pub(super) fn reply(&self, reply: Option<Reply>, now: Timestamp) -> Option<Reply> {
        let content = {
            let mut held = self.held();
            let is_news = std::mem::take(&mut held.is_news);
            held.content.clone().filter(|_| is_news)
        };
        let Some(content) = content else {
            return reply.filter(|reply| *reply == Reply::Clear);
        };
        let Some(text) = self.sealed.seal(&content, &self.carrier, now) else {
            tracing::error!(key = %content.key, "a session that was to fit its carrier does not");
            return None;
        };
        Some(Reply::Seal { text, ends_at: content.record.ends_at })
    }

    /// The epoch that a login of now is in.
    async fn epoch(&self, principal: &str, now: Timestamp) -> Result<u64> {
        match &self.sealed.epochs {
            Some(epochs) => epochs.newest(principal, now).await,
            None => Ok(0),
        }
    }

    /// Whether the session has not been ended from elsewhere.
    async fn admits(&self, content: &Content, now: Timestamp) -> Result<bool> {
        match (&self.sealed.epochs, &content.record.principal) {
            (Some(epochs), Some(principal)) => {
                epochs.admit(content.key, principal, content.epoch, now).await
            }
            _ => Ok(true),
        }
    }
}

#[async_trait]
impl Store for Slip {
    async fn load(&self, key: Key, now: Timestamp) -> Result<Option<Record>> {
        let Some(content) = self.content(key, now) else {
            return Ok(None);
        };
        let admitted = self.admits(&content, now).await?;
        Ok(admitted.then(|| (*content.record).clone()))
    }

    async fn create(
        &self,
        key: Key,
        record: &Record,
        _seats: Option<usize>,
        now: Timestamp,
    ) -> Result<Created> {
        if let Err(limit) = self.check(record) {
            return Ok(Created::Refused(limit));
        }
        let epoch = match &record.principal {
            Some(principal) => self.epoch(principal, now).await?,
            None => 0,
        };
        self.hold(Content { key, epoch, record: Arc::new(record.clone()) });
        Ok(Created::Done { replaced: None })
    }

    async fn commit(&self, key: Key, commit: &Commit, now: Timestamp) -> Result<Outcome> {
        let Some(before) = self.content(key, now) else {
            return Ok(Outcome::Gone);
        };
        let (outcome, after) = before.record.apply(commit, now);
        let Some(after) = after else {
            return Ok(outcome);
        };
        match self.check(&after) {
            // A request that only reads does not fail because there is less room than there was.
            Err(_) if commit.is_touch() => return Ok(outcome),
            Err(limit) => return Ok(Outcome::Refused(limit)),
            Ok(()) => {}
        }
        let (key, epoch) = match &commit.sign_in {
            // A copy from before the login still opens under the old key.
            Some(sign_in) => {
                (Key::random(Kind::Session), self.epoch(&sign_in.principal, now).await?)
            }
            None => (key, before.epoch),
        };
        self.hold(Content { key, epoch, record: Arc::new(after) });
        Ok(outcome)
    }

    async fn end(
        &self,
        key: Key,
        guard: &Guard,
        _announce: Announce,
        now: Timestamp,
    ) -> Result<Option<Record>> {
        let content = self.content(key, now);
        let Some(content) = content.filter(|content| guard.allows(&content.record, now)) else {
            return Ok(None);
        };
        *self.held() = Held { content: None, is_news: false };
        Ok(Some(Arc::unwrap_or_clone(content.record)))
    }

    async fn expire(&self, _: usize, _: Keep, _: Timestamp) -> Result<Vec<Ending>> {
        Ok(Vec::new())
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities { shared: true, durable: true, keeps_endings: false }
    }
}
