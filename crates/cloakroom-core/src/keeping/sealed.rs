//! Sessions that are kept by their clients: what they are sealed with, what for, and what ends
//! them for a user.

use std::fmt;
use std::sync::Arc;

use super::content::Content;
use super::epochs::Epochs;
use super::seal::{self, BoundTo};
use super::{Carrier, KeyRing, SealedText};
use crate::store::Store;
use crate::time::Timestamp;

/// Sessions without a store: each is kept by its client, whole, sealed so that nobody else can read
/// or change it. For sessions of a few kilobytes that need not be listed, counted or ended one by
/// one.
///
/// What a client keeps, it can keep a copy of, and so these promises of stored sessions cannot be
/// kept:
///
/// - **Updates at once.** Of two responses to one client, the session in the later one stays, whole:
///   what the other has written is lost.
/// - **An early commit**, and a `transact`, is kept once its response has arrived, and not before:
///   nothing outside of the session may count on it.
/// - **A logout** makes the client forget its session. A copy of it opens until it expires. `epochs`
///   end a user's sessions, copies included; nothing ends an anonymous one.
/// - **A login** gives the session a new key, so that nothing that is kept under the old one is
///   shared with it, but a copy from before the login still opens what it held then.
/// - Sessions are not listed, looked at by key, limited in number or announced when they expire.
///
/// ```
/// # use std::time::Duration;
/// # use cloakroom_core::time::{Sleep, Timer};
/// # #[derive(Debug)]
/// # struct Never;
/// # impl Timer for Never {
/// #     fn sleep(&self, _: Duration) -> Sleep { Box::pin(std::future::pending()) }
/// #     fn elapsed(&self) -> Duration { Duration::ZERO }
/// # }
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// use cloakroom_core::keeping::{Carrier, KeyRing};
/// use cloakroom_core::{Reply, Sessions, Slot};
///
/// const VISITS: Slot<u64> = Slot::new("visits");
///
/// let sessions = Sessions::sealed(KeyRing::generate(), Never).build()?;
/// let carrier = Carrier::new("cookie id", 4096);
/// let session = sessions.open_sealed(&[], &carrier, Default::default()).await?;
/// session.update(VISITS, |visits| *visits += 1)?;
/// let Some(Reply::Seal { text, .. }) = sessions.finish(&session).await? else {
///     panic!("a session that was written to is handed out");
/// };
///
/// let text = text.reveal().as_bytes();
/// let again = sessions.open_sealed(&[text], &carrier, Default::default()).await?;
/// assert_eq!(again.get(VISITS)?, Some(1));
/// # Ok(())
/// # }
/// # let mut example = std::pin::pin!(example());
/// # let mut context = std::task::Context::from_waker(std::task::Waker::noop());
/// # assert!(matches!(example.as_mut().poll(&mut context), std::task::Poll::Ready(Ok(()))));
/// ```
#[derive(Clone)]
#[must_use]
pub struct Sealed {
    keys: KeyRing,
    purpose: String,
    compress: bool,
    pub(super) epochs: Option<Epochs>,
}

impl Sealed {
    /// Sessions sealed with the keys of a ring.
    pub fn new(keys: KeyRing) -> Self {
        Self { keys, purpose: "session".to_owned(), compress: true, epochs: None }
    }

    /// Sets what the seals are for; without it, `session`. Applications that have the same keys need
    /// each a purpose of its own, or the sessions of one open in the other.
    pub fn purpose(mut self, purpose: impl Into<String>) -> Self {
        self.purpose = purpose.into();
        self
    }

    /// Sets whether long values are deflated where that makes them shorter. On by default. Each is
    /// deflated by itself, and seals are padded to blocks of 32 bytes: their length may still tell,
    /// roughly, how much an attribute repeats itself. Switch it off where one attribute holds a
    /// secret and, beside it, what an attacker may choose.
    pub fn compress(mut self, compress: bool) -> Self {
        self.compress = compress;
        self
    }

    /// Keeps an epoch for every user in `store`, so that
    /// [`Sessions::end_all`](crate::Sessions::end_all) ends all sessions that were signed in before.
    /// It costs a read of the store for each request of a signed-in session, which a
    /// [`Near`](crate::store::Near) cache answers from memory. Where the store does not answer,
    /// nobody knows whether such a session has ended: the request is refused, and the client keeps
    /// it. The attributes of the application are kept there too.
    pub fn epochs(mut self, store: impl Store) -> Self {
        self.epochs = Some(Epochs::new(Arc::new(store)));
        self
    }

    fn bound_to<'a>(&'a self, carrier: &'a Carrier) -> BoundTo<'a> {
        BoundTo { purpose: &self.purpose, carrier: carrier.name() }
    }

    /// The store that keeps epochs.
    pub(crate) fn store(&self) -> Option<Arc<dyn Store>> {
        self.epochs.as_ref().map(|epochs| Arc::clone(&epochs.store))
    }

    /// Whether long values are deflated.
    pub(super) fn compresses(&self) -> bool {
        self.compress
    }

    /// Seals a session for its carrier. `None` where it is far too large, which is refused before.
    pub(super) fn seal(
        &self,
        content: &Content,
        carrier: &Carrier,
        now: Timestamp,
    ) -> Option<SealedText> {
        let plain = content.encode(self.compress)?;
        let text = seal::seal(&self.keys.current(), self.bound_to(carrier), &plain, now)?;
        (text.len() <= carrier.most()).then_some(SealedText(text))
    }

    /// Opens what a client presents. `None` for all that was not sealed for just this, and for what
    /// is over.
    pub(crate) fn open(&self, text: &[u8], carrier: &Carrier, now: Timestamp) -> Option<Content> {
        let plain = seal::open(&self.keys.current(), self.bound_to(carrier), text)?;
        Content::decode(plain).filter(|content| !content.record.is_over(now))
    }
}

impl From<KeyRing> for Sealed {
    fn from(keys: KeyRing) -> Self {
        Self::new(keys)
    }
}

impl fmt::Debug for Sealed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sealed")
            .field("keys", &self.keys)
            .field("purpose", &self.purpose)
            .field("compress", &self.compress)
            .field("epochs", &self.epochs)
            .finish()
    }
}
