//! How sealed sessions travel: where tokens do, whole.

use cloakroom_core::keeping::Carrier;
use http::header::COOKIE;
use http::{HeaderMap, HeaderValue};

use super::{Transport, Way, cookies};

/// The most bytes of a header that carries a sealed session: what a cookie may have.
const MOST_BYTES: usize = 4096;

impl Transport {
    /// The first distinct values of a request that may be sealed sessions, `most` of them, and what
    /// carries the answer: a seal opens only in the cookie, or in the header, that it was made for.
    pub(crate) fn sealed<'h>(
        &self,
        headers: &'h HeaderMap,
        most: usize,
    ) -> (Vec<&'h [u8]>, Carrier) {
        let mut texts = Vec::new();
        let mut add = |value: &'h [u8]| {
            if !value.is_empty() && texts.len() < most && !texts.contains(&value) {
                texts.push(value);
            }
        };
        let carrier = match (self.way(headers), &self.cookie, &self.header) {
            (Way::Cookie, Some(cookie), _) => {
                let lines = headers.get_all(COOKIE).into_iter().map(HeaderValue::as_bytes);
                lines.flat_map(|line| cookies::values(line, cookie.name())).for_each(&mut add);
                Carrier::new(format!("cookie {}", cookie.name()), cookie.room())
            }
            (_, _, Some(header)) => {
                header.values(headers).for_each(&mut add);
                Carrier::new(format!("header {}", header.name()), MOST_BYTES)
            }
            // There always is one of the two.
            _ => Carrier::new("nothing", 0),
        };
        (texts, carrier)
    }
}
