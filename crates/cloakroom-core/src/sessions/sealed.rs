//! Sessions that their clients keep: setting them up, opening what a client presents, ending all of
//! a user's.

use std::sync::Arc;

use super::{Builder, Entry, Inner, Sessions};
use crate::error::{Error, Result};
use crate::event::Event;
use crate::keeping::{Carrier, Content, Epoch, Epochs, Keeping, Nowhere, Sealed, Slip};
use crate::record::Record;
use crate::session::view::{Base, Stored, View};
use crate::session::{Client, Session};
use crate::store::{Store, Wanted};
use crate::time::{Timer, Timestamp, within};
use crate::token::Key;

/// A client's session, and the sessions of one that it lives in.
struct Found {
    sessions: Sessions,
    stored: Stored,
}

impl Found {
    /// What tells the newer of two copies of one session.
    fn age(&self) -> (u64, Timestamp) {
        (self.stored.record.version, self.stored.record.touched_at)
    }
}

impl Sessions {
    /// Begins to set up sessions that are sealed and kept by their clients, with deadlines kept by
    /// `timer`. The policy's `seats` and `rotate_every` are not for them.
    pub fn sealed(sealed: impl Into<Sealed>, timer: impl Timer) -> Builder {
        let sealed = sealed.into();
        let store = sealed.store().unwrap_or_else(|| Arc::new(Nowhere) as Arc<dyn Store>);
        Builder::keeping(Keeping::Sealed(Arc::new(sealed)), store, Arc::new(timer))
    }

    /// Opens the session that a client keeps, or an empty one that will be sealed for `carrier`.
    /// What does not open is as if it were not there, and is an [`Event::UnknownSeal`].
    ///
    /// # Errors
    /// As for [`Sessions::open`]; [`Error::Store`] only where epochs are kept and the client is
    /// signed in. [`Error::NotSealed`] where these sessions are kept in a store.
    pub async fn open_sealed(
        &self,
        texts: &[&[u8]],
        carrier: &Carrier,
        client: Client,
    ) -> Result<Session> {
        let Keeping::Sealed(sealed) = &self.inner.keeping else {
            return Err(Error::NotSealed);
        };
        let opening = self.find_sealed(texts, sealed, carrier);
        let found = within(&*self.inner.timer, self.policy().deadline, opening).await;
        let (sessions, base) = match found.unwrap_or(Err(Error::DeadlinePassed))? {
            Some(Found { sessions, stored }) => (sessions, Base::Stored(stored)),
            None => (self.holding(sealed, carrier, None), Base::Nothing),
        };
        // A login keeps what is known of its client for lists, and these are in none.
        let client = Client { device: None, address: None, ..client };
        Ok(Session::new(sessions, View::new(base, client, self.now())))
    }

    async fn find_sealed(
        &self,
        texts: &[&[u8]],
        sealed: &Arc<Sealed>,
        carrier: &Carrier,
    ) -> Result<Option<Found>> {
        let most = self.policy().tokens_tried;
        if texts.len() > most {
            self.tell(&Event::TooManyTokens { found: texts.len() });
            return Err(Error::TooManyTokens { most });
        }
        let mut best: Option<Found> = None;
        for text in texts {
            let Some(content) = sealed.open(text, carrier, self.now()) else {
                self.tell(&Event::UnknownSeal);
                continue;
            };
            let key = content.key;
            let Some(found) = self.holding(sealed, carrier, Some(content)).held(key).await? else {
                self.tell(&Event::UnknownToken { key });
                continue;
            };
            best = match best {
                Some(other) if other.stored.key != key => {
                    let (first, second) = (other.stored.key, key);
                    self.tell(&Event::TwoSessions { first, second });
                    return Err(Error::TwoSessions { first, second });
                }
                Some(other) if other.age() >= found.age() => Some(other),
                _ => Some(found),
            };
        }
        Ok(best)
    }

    /// The same sessions for one request, with what its client keeps.
    fn holding(&self, sealed: &Arc<Sealed>, carrier: &Carrier, content: Option<Content>) -> Self {
        let slip = Arc::new(Slip::new(Arc::clone(sealed), carrier.clone(), content));
        let Inner { policy, clock, timer, listeners, queues, .. } = &*self.inner;
        Self {
            inner: Arc::new(Inner {
                store: Arc::clone(&slip) as Arc<dyn Store>,
                keeping: Keeping::Slip(slip),
                policy: policy.clone(),
                clock: Arc::clone(clock),
                timer: Arc::clone(timer),
                listeners: listeners.clone(),
                queues: Arc::clone(queues),
            }),
        }
    }

    /// The session that these hold, unless it has been ended, or the policy allows it no longer.
    async fn held(self, key: Key) -> Result<Option<Found>> {
        let now = self.now();
        let loaded = self.read(key, &Wanted::default(), now).await?;
        if self.over_caps(loaded.as_ref(), now).is_some() {
            return Ok(None);
        }
        let stored = |record: Arc<Record>| Stored { key, opened_under: None, record };
        Ok(loaded.map(|loaded| Found { stored: stored(loaded.record), sessions: self }))
    }

    /// Begins a new epoch for a user, which ends all of their sealed sessions but one.
    pub(crate) async fn begin_epoch(&self, principal: &str, except: Option<Key>) -> Result<()> {
        let now = self.now();
        let place = Entry::at(self.clone(), Epochs::key(principal), None);
        place.update(Epoch::SLOT, move |epoch: &mut Epoch| epoch.begin(except, now)).await
    }
}
