//! Logins that are under way: where each of a browser's tabs wanted to go. A browser's first is
//! sealed in its cookie, for most who begin one are robots and never come back; from the second on
//! they are in one record on the server.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use cloakroom::{Entry, Error, KeyRing, Kind, Sessions, Slot, Timestamp};
use http::header::ORIGIN;
use http::{HeaderMap, HeaderValue};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::cookie::Cookie;
use super::random;

pub(crate) const COOKIE: &str = "cloakroom-flow";
const PURPOSE: &str = "flow";
const UNDER_WAY: Slot<UnderWay> = Slot::new("flows");
/// How long a login may take.
const LIFETIME: Duration = Duration::from_secs(60 * 60);
/// The most logins that a browser has under way; the oldest make room.
const MOST_FLOWS: usize = 8;
/// How often somebody who is signed in is sent back to where they came from, in
/// [`TO_AND_FRO`], before it is taken for a loop.
const MOST_RETURNS: usize = 4;
const TO_AND_FRO: Duration = Duration::from_secs(30);

/// For how long an answer of the store shows that it is there.
const HEARD_LATELY: Duration = Duration::from_secs(2);

/// A browser's logins.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
struct UnderWay {
    /// The newest last.
    flows: Vec<Flow>,
    /// When somebody was sent back without a login, in milliseconds since the Unix epoch.
    returns: Vec<u64>,
}

#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
struct Flow {
    id: String,
    /// Where it leads: checked before it came in here.
    to: String,
}

impl UnderWay {
    /// Begins a login that leads to `to`, and returns its id. Where one to there is under way, it is
    /// that one.
    fn begin(&mut self, id: &str, to: &str) -> String {
        let known = self.flows.iter().position(|flow| flow.to == to);
        let flow = match known {
            Some(index) => self.flows.remove(index),
            None => Flow { id: id.to_owned(), to: to.to_owned() },
        };
        let id = flow.id.clone();
        self.flows.push(flow);
        let excess = self.flows.len().saturating_sub(MOST_FLOWS);
        self.flows.drain(..excess);
        id
    }

    /// Takes over the login that was in the browser's cookie, unless that has been done.
    fn take_over(&mut self, first: Option<&Flow>) {
        if let Some(first) = first.filter(|first| self.leads_to(&first.id).is_none()) {
            self.flows.insert(0, first.clone());
        }
    }

    /// Where a login leads.
    fn leads_to(&self, id: &str) -> Option<&str> {
        self.flows.iter().find(|flow| flow.id == id).map(|flow| &*flow.to)
    }

    /// Notes that somebody is sent back, unless that has come to a loop.
    fn go_back(&mut self, now: Timestamp) -> bool {
        let recent = |at: &u64| now.since(Timestamp::from_millis(*at)) < TO_AND_FRO;
        self.returns.retain(recent);
        if self.returns.len() >= MOST_RETURNS {
            return false;
        }
        self.returns.push(now.millis());
        true
    }
}

/// All browsers' logins.
#[derive(Clone, Debug)]
pub(super) struct Flows {
    sessions: Sessions,
    ring: KeyRing,
    cookie: Cookie,
    /// When the store answered last, in milliseconds since the Unix epoch.
    heard: Arc<AtomicU64>,
}

/// One browser, known by a cookie.
#[derive(Clone, Debug)]
pub(super) struct Browser {
    id: String,
    entry: Entry,
    is_new: bool,
    /// The login that is in its cookie.
    first: Option<Flow>,
    /// The cookie to set, where it has none or another.
    pub(super) cookie: Option<HeaderValue>,
    flows: Flows,
}

impl Flows {
    /// `ring`: seals what browsers keep.
    pub(super) fn new(sessions: Sessions, ring: KeyRing, insecure_plain_http: bool) -> Self {
        let cookie = Cookie::new(COOKIE, insecure_plain_http);
        Self { sessions, ring, cookie, heard: Arc::default() }
    }

    pub(super) fn cookie_name(&self) -> &str {
        self.cookie.name()
    }

    /// The browser that asks. One that was not here before becomes known by a cookie that lasts until
    /// it is closed; nothing is stored by that.
    pub(super) fn browser(&self, headers: &HeaderMap) -> Browser {
        let known = self.cookie.read(headers).and_then(|text| self.known(text));
        let is_new = known.is_none();
        let (id, first) = known.unwrap_or_else(|| (random::id(), None));
        Browser {
            entry: self.sessions.entry(Kind::Flow, &id, LIFETIME),
            cookie: is_new.then(|| self.cookie.set(&id, None)).flatten(),
            id,
            is_new,
            first,
            flows: self.clone(),
        }
    }

    /// Whose cookie this is, and the login that it holds. The id outlives the login.
    fn known(&self, text: &str) -> Option<(String, Option<Flow>)> {
        if random::is_id(text) {
            return Some((text.to_owned(), None));
        }
        let plain = String::from_utf8(self.ring.open(PURPOSE, text)?).ok()?;
        let mut words = plain.splitn(4, ' ').map(str::to_owned);
        let (browser, at) = (words.next()?, words.next()?.parse().ok()?);
        let flow = Flow { id: words.next()?, to: words.next()? };
        let age = self.sessions.now().since(Timestamp::from_millis(at));
        Some((browser, (age < LIFETIME).then_some(flow)))
    }

    /// The cookie of a browser with one login: the browser's id, when it was sealed, and the login.
    fn sealed(&self, browser: &str, Flow { id, to }: &Flow) -> Option<HeaderValue> {
        let now = self.sessions.now();
        let plain = format!("{browser} {} {id} {to}", now.millis());
        self.cookie.set(&self.ring.seal(PURPOSE, plain.as_bytes(), now)?, None)
    }
}

impl Browser {
    /// Begins a login that leads to `to`; its id. A browser's first writes nothing.
    pub(super) async fn begin(&mut self, to: &str) -> Result<String, Error> {
        let again = self.first.as_ref().filter(|first| first.to == to).map(|first| &first.id);
        let id = again.cloned().unwrap_or_else(random::id);
        if self.is_new || again.is_some() {
            self.hear().await?;
            let flow = Flow { id, to: to.to_owned() };
            self.cookie = self.flows.sealed(&self.id, &flow);
            return Ok(flow.id);
        }
        let first = self.first.as_ref();
        let begin = |under_way: &mut UnderWay| {
            under_way.take_over(first);
            under_way.begin(&id, to)
        };
        let begun = self.entry.update(UNDER_WAY, begin).await?;
        if first.is_some() {
            self.cookie = self.flows.cookie.set(&self.id, None);
        }
        Ok(begun)
    }

    /// Makes sure that the store answers, for else nobody could sign in; seldom, for robots come
    /// often.
    async fn hear(&self) -> Result<(), Error> {
        let (heard, now) = (&self.flows.heard, self.flows.sessions.now());
        let last = Timestamp::from_millis(heard.load(Ordering::Relaxed));
        if last > now || now.since(last) >= HEARD_LATELY {
            self.entry.get(UNDER_WAY).await?;
            heard.store(now.millis(), Ordering::Relaxed);
        }
        Ok(())
    }

    /// Where a login leads; `None` for one that is over, or another browser's.
    pub(super) async fn leads_to(&self, id: &str) -> Result<Option<String>, Error> {
        if let Some(first) = self.first.as_ref().filter(|first| first.id == id) {
            return Ok(Some(first.to.clone()));
        }
        if self.is_new || !random::is_id(id) {
            return Ok(None);
        }
        let under_way = self.entry.get(UNDER_WAY).await?.unwrap_or_default();
        Ok(under_way.leads_to(id).map(str::to_owned))
    }

    /// Notes that somebody who is signed in is sent back; `false` where that has come to a loop.
    pub(super) async fn go_back(&self, now: Timestamp) -> Result<bool, Error> {
        self.entry.update(UNDER_WAY, |under_way| under_way.go_back(now)).await
    }

    /// Whether a form came from a page that plain HTTP brought, and none of our cookies with it: they
    /// are for HTTPS alone, and a browser drops them there.
    pub(super) fn has_dropped_cookie(&self, headers: &HeaderMap) -> bool {
        let cookie = &self.flows.cookie;
        let plain = |origin: &HeaderValue| origin.as_bytes().starts_with(b"http://");
        cookie.is_secure()
            && headers.get(ORIGIN).is_some_and(plain)
            && cookie.read(headers).is_none()
    }

    /// What a form of ours sends along, and no page elsewhere can know.
    pub(super) fn mark(&self) -> String {
        URL_SAFE_NO_PAD.encode(&Sha256::digest(format!("form {}", self.id))[..12])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ids(under_way: &UnderWay) -> Vec<&str> {
        under_way.flows.iter().map(|flow| &*flow.id).collect()
    }

    #[test]
    fn the_oldest_logins_make_room() {
        let mut under_way = UnderWay::default();
        for n in 0..12 {
            let begun = under_way.begin(&n.to_string(), &format!("/{n}"));
            assert_eq!(begun, n.to_string());
        }
        assert_eq!(ids(&under_way), ["4", "5", "6", "7", "8", "9", "10", "11"]);
        assert_eq!(under_way.leads_to("3"), None);
        assert_eq!(under_way.leads_to("11"), Some("/11"));
        assert_eq!(under_way.begin("new", "/5"), "5", "one to the same place is the same");
        assert_eq!(ids(&under_way), ["4", "6", "7", "8", "9", "10", "11", "5"]);
    }

    #[test]
    fn a_loop_is_broken_and_a_person_is_not_held_up() {
        let at = |seconds: u64| Timestamp::from_millis(1_000_000 + seconds * 1000);
        let mut under_way = UnderWay::default();
        let looping: Vec<bool> = (0..6).map(|_| under_way.go_back(at(0))).collect();
        assert_eq!(looping, [true, true, true, true, false, false]);
        assert!(!under_way.go_back(at(29)));
        assert!(under_way.go_back(at(30)), "after a pause it is tried again");
        let mut slow = UnderWay::default();
        assert!((0..20).all(|turn| slow.go_back(at(turn * 10))));
    }
}
