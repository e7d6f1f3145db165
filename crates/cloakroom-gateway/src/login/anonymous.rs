//! The id of a visitor who is not signed in: a sealed cookie, and no record anywhere.

use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use cloakroom::{KeyRing, Timestamp};
use http::{HeaderMap, HeaderValue};

use super::cookie::Cookie;
use super::random::random;

pub(crate) const COOKIE: &str = "cloakroom-visitor";
const PURPOSE: &str = "visitor";
/// How long an id counts that is not seen again.
const LIFETIME: Duration = Duration::from_secs(90 * 24 * 60 * 60);
/// How old a cookie becomes before its lifetime begins anew.
const RENEW_AFTER: Duration = Duration::from_secs(24 * 60 * 60);
/// Bytes of an id, and of the time that it was sealed.
const ID: usize = 16;
const TIME: usize = 8;

/// Gives visitors their ids.
#[derive(Clone, Debug)]
pub(super) struct Visitors {
    ring: KeyRing,
    cookie: Cookie,
}

/// An id that came along.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Held {
    id: [u8; ID],
    sealed_at: Timestamp,
}

impl Visitors {
    pub(super) fn new(ring: KeyRing, insecure_plain_http: bool) -> Self {
        Self { ring, cookie: Cookie::new(COOKIE, insecure_plain_http) }
    }

    pub(super) fn cookie_name(&self) -> &str {
        self.cookie.name()
    }

    /// The id that a request brings along.
    pub(super) fn known(&self, headers: &HeaderMap, now: Timestamp) -> Option<Arc<str>> {
        self.held(headers, now).map(|held| text(&held.id))
    }

    /// The request's id, or a new one, and the cookie where it has to be set.
    pub(super) fn known_or_new(
        &self,
        headers: &HeaderMap,
        now: Timestamp,
    ) -> (Arc<str>, Option<HeaderValue>) {
        let (id, stale) = match self.held(headers, now) {
            Some(held) => (held.id, now.since(held.sealed_at) >= RENEW_AFTER),
            None => (random(), true),
        };
        (text(&id), stale.then(|| self.sealed(id, now)).flatten())
    }

    /// Forgets the id.
    pub(super) fn clear(&self) -> Option<HeaderValue> {
        self.cookie.clear()
    }

    fn sealed(&self, id: [u8; ID], now: Timestamp) -> Option<HeaderValue> {
        let mut plain = id.to_vec();
        plain.extend_from_slice(&now.millis().to_be_bytes());
        self.cookie.set(&self.ring.seal(PURPOSE, &plain, now)?, Some(LIFETIME))
    }

    fn held(&self, headers: &HeaderMap, now: Timestamp) -> Option<Held> {
        let plain = self.ring.open(PURPOSE, self.cookie.read(headers)?)?;
        let (id, time) = plain.split_first_chunk::<ID>()?;
        let time = u64::from_be_bytes(<[u8; TIME]>::try_from(time).ok()?);
        let held = Held { id: *id, sealed_at: Timestamp::from_millis(time) };
        (now.since(held.sealed_at) < LIFETIME).then_some(held)
    }
}

fn text(id: &[u8; ID]) -> Arc<str> {
    URL_SAFE_NO_PAD.encode(id).into()
}

#[cfg(test)]
mod tests {
    use http::header::COOKIE as COOKIES;

    use super::*;

    /// The headers of a browser that was sent `set`.
    fn with(set: &HeaderValue) -> HeaderMap {
        let pair = set.to_str().unwrap().split(';').next().unwrap();
        HeaderMap::from_iter([(COOKIES, pair.parse().unwrap())])
    }

    #[test]
    fn an_id_stays_and_its_cookie_is_renewed_in_time() {
        let visitors = Visitors::new(KeyRing::generate(), false);
        let day = |n: u64| Timestamp::EPOCH + Duration::from_secs(n * 24 * 60 * 60);
        let (id, cookie) = visitors.known_or_new(&HeaderMap::new(), day(1));
        let first = with(&cookie.unwrap());
        assert_eq!(visitors.known(&first, day(1)), Some(Arc::clone(&id)));
        let soon = day(1) + Duration::from_secs(60);
        assert_eq!(visitors.known_or_new(&first, soon), (Arc::clone(&id), None));
        let (same, renewed) = visitors.known_or_new(&first, day(80));
        assert_eq!(same, id);
        let second = with(&renewed.unwrap());
        assert_eq!(visitors.known(&first, day(91)), None, "nobody came for 90 days");
        assert_eq!(visitors.known(&second, day(91)), Some(id));
    }

    #[test]
    fn nobody_can_make_or_change_an_id() {
        let visitors = Visitors::new(KeyRing::generate(), false);
        let now = Timestamp::from_millis(1);
        let (id, cookie) = visitors.known_or_new(&HeaderMap::new(), now);
        let cookie = cookie.unwrap();
        let text = cookie.to_str().unwrap().to_owned();
        assert!(!text.contains(&*id), "the id itself is not shown: {text}");
        let others = Visitors::new(KeyRing::generate(), false);
        assert_eq!(others.known(&with(&cookie), now), None);
        let value = text.split(['=', ';']).nth(1).unwrap();
        for at in [0, value.len() / 2, value.len() - 1] {
            let mut changed = value.to_owned().into_bytes();
            changed[at] = if changed[at] == b'A' { b'B' } else { b'A' };
            let changed = String::from_utf8(changed).unwrap();
            let headers = with(&format!("__Host-{COOKIE}={changed}").parse().unwrap());
            assert_eq!(visitors.known(&headers, now), None);
        }
    }
}
