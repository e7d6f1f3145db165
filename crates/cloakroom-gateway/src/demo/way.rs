//! What the gateway tells a node of how a request came to it, for the page to say.

use http::{HeaderMap, HeaderName, HeaderValue};
use serde::{Deserialize, Serialize};

use super::settings::Name;

/// The header that tells it. What a client sends under this name does not get through the gateway;
/// at a node's own address it changes what the page says, and nothing else.
pub(crate) const HEADER: HeaderName = HeaderName::from_static("x-demo-way");

/// How a request came to its node.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) struct Way {
    pub(crate) by: By,
    /// The node that is down, where one is.
    pub(crate) down: Option<Name>,
}

/// What leads to a node.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum By {
    /// The session's key.
    Key,
    /// The client's address, where there is no session.
    Address,
}

impl Way {
    /// As a request's header.
    pub(crate) fn header(self) -> Option<(HeaderName, HeaderValue)> {
        let value = serde_json::to_string(&self).ok()?;
        Some((HEADER, HeaderValue::try_from(value).ok()?))
    }

    /// What a request says; `None` where it came to the node itself.
    pub(crate) fn of(headers: &HeaderMap) -> Option<Self> {
        serde_json::from_slice(headers.get(HEADER)?.as_bytes()).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_way_reads_back_as_itself_and_nothing_else_is_one() {
        let way = Way { by: By::Key, down: Some(Name::B) };
        let mut headers: HeaderMap = way.header().into_iter().collect();
        assert_eq!(Way::of(&headers), Some(way));
        headers.insert(HEADER, "{\"by\":\"luck\"}".parse().unwrap());
        assert_eq!(Way::of(&headers), None);
        assert_eq!(Way::of(&HeaderMap::new()), None);
    }
}
