//! What a request's head says of its client. Pure: it reads, and decides nothing about sessions.

use http::header::{ACCEPT, UPGRADE};
use http::request::Parts;
use http::{Extensions, HeaderMap, HeaderName, HeaderValue, Method, Request, Uri};

/// A request without its body.
#[derive(Clone, Copy, Debug)]
pub struct Head<'a> {
    /// The method.
    pub method: &'a Method,
    /// The address asked for, as this service sees it.
    pub uri: &'a Uri,
    /// The headers.
    pub headers: &'a HeaderMap,
    /// What layers have left.
    pub extensions: &'a Extensions,
}

impl<'a> From<&'a Parts> for Head<'a> {
    fn from(parts: &'a Parts) -> Self {
        Self {
            method: &parts.method,
            uri: &parts.uri,
            headers: &parts.headers,
            extensions: &parts.extensions,
        }
    }
}

impl<'a, B> From<&'a Request<B>> for Head<'a> {
    fn from(request: &'a Request<B>) -> Self {
        Self {
            method: request.method(),
            uri: request.uri(),
            headers: request.headers(),
            extensions: request.extensions(),
        }
    }
}

const FETCH_MODE: HeaderName = HeaderName::from_static("sec-fetch-mode");
const FETCH_DEST: HeaderName = HeaderName::from_static("sec-fetch-dest");

impl<'a> Head<'a> {
    pub(crate) fn text(&self, name: impl http::header::AsHeaderName) -> Option<&'a str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// Whether the response's token is sure to be kept: by a page or a script that waits for it,
    /// not by an image, a worker or a socket.
    pub(crate) fn may_rotate(&self) -> bool {
        let dest = self.text(FETCH_DEST);
        let waits = dest.is_none_or(|dest| matches!(dest, "document" | "empty"));
        waits && !self.headers.contains_key(UPGRADE) && *self.method != Method::CONNECT
    }

    /// Whether a person's browser is about to show the response as a page, so that it can be sent
    /// elsewhere.
    pub fn is_navigation(&self) -> bool {
        let shown = match self.text(FETCH_MODE) {
            Some(mode) => mode == "navigate",
            None => self.prefers_html(),
        };
        *self.method == Method::GET && shown
    }

    /// Whether `Accept` names HTML, and names JSON less or not at all.
    pub fn prefers_html(&self) -> bool {
        Accept::of(*self).prefers_html()
    }

    /// The path and the query that the client asked for, also where a router has taken off a part.
    pub(crate) fn path_and_query(&self) -> &'a str {
        #[cfg(feature = "axum")]
        let uri = match self.extensions.get::<axum::extract::OriginalUri>() {
            Some(original) => &original.0,
            None => self.uri,
        };
        #[cfg(not(feature = "axum"))]
        let uri = self.uri;
        uri.path_and_query().map_or("/", |whole| whole.as_str())
    }
}

/// What a client accepts, kept for a look at it that hardly a request takes.
#[derive(Debug)]
pub(crate) struct Accept {
    first: Option<HeaderValue>,
    others: Vec<HeaderValue>,
}

impl Accept {
    pub(crate) fn of(head: Head<'_>) -> Self {
        let mut values = head.headers.get_all(ACCEPT).iter().cloned();
        Self { first: values.next(), others: values.collect() }
    }

    pub(crate) fn prefers_html(&self) -> bool {
        let ranges = || {
            let values = self.first.iter().chain(&self.others);
            let texts = values.filter_map(|value| value.to_str().ok());
            texts.flat_map(|text| text.split(','))
        };
        let weight = |kind: &str| ranges().filter_map(|range| weight_of(range, kind)).max();
        match (weight("text/html"), weight("application/json")) {
            (Some(html), json) => html > 0 && Some(html) >= json,
            (None, _) => false,
        }
    }
}

/// The weight, in thousandths, that a media range gives to exactly this kind.
fn weight_of(range: &str, kind: &str) -> Option<u32> {
    let mut parts = range.split(';').map(str::trim);
    if !parts.next()?.eq_ignore_ascii_case(kind) {
        return None;
    }
    let given = parts.find_map(|part| part.strip_prefix("q=").or_else(|| part.strip_prefix("Q=")));
    Some(given.map_or(1000, thousandths))
}

/// `0.5` as 500; what is no weight is 0 (RFC 9110, section 12.4.2).
fn thousandths(weight: &str) -> u32 {
    let (whole, rest) = weight.split_once('.').unwrap_or((weight, ""));
    let digits = rest.bytes().chain([b'0'; 3]).take(3);
    match whole {
        "1" => 1000,
        "0" if rest.bytes().all(|byte| byte.is_ascii_digit()) => {
            digits.fold(0, |sum, digit| 10 * sum + u32::from(digit - b'0'))
        }
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(headers: &[(&'static str, &'static str)]) -> Request<()> {
        let mut request = Request::new(());
        for (name, value) in headers {
            request.headers_mut().append(*name, value.parse().unwrap());
        }
        request
    }

    fn prefers_html(accept: &'static str) -> bool {
        Head::from(&request(&[("accept", accept)])).prefers_html()
    }

    #[test]
    fn html_goes_to_those_that_name_it() {
        for html in [
            "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",
            "application/json;q=0.2, TEXT/HTML;q=0.25",
            "text/html, application/json",
        ] {
            assert!(prefers_html(html), "{html}");
        }
        for json in
            ["*/*", "", "application/json", "text/html;q=0", "application/json, text/html;q=0.9"]
        {
            assert!(!prefers_html(json), "{json}");
        }
        assert!(!Head::from(&request(&[])).prefers_html());
    }

    #[test]
    fn weights_are_read_as_they_are_written() {
        let read =
            ["1", "1.000", "0.5", "0.25", "0.123", "0", "0.x", "2", "", "-1"].map(thousandths);
        assert_eq!(read, [1000, 1000, 500, 250, 123, 0, 0, 0, 0, 0]);
    }

    #[test]
    fn navigations_are_told_from_fetches() {
        let navigates = |headers: &[_]| Head::from(&request(headers)).is_navigation();
        assert!(navigates(&[("sec-fetch-mode", "navigate")]));
        assert!(navigates(&[("accept", "text/html")]));
        assert!(!navigates(&[("sec-fetch-mode", "cors"), ("accept", "text/html")]));
        assert!(!navigates(&[("accept", "application/json")]));
        assert!(!navigates(&[]));
        let mut post = request(&[("sec-fetch-mode", "navigate")]);
        *post.method_mut() = Method::POST;
        assert!(!Head::from(&post).is_navigation());
    }

    #[test]
    fn only_pages_and_scripts_may_see_a_rotation() {
        let may = |headers: &[_]| Head::from(&request(headers)).may_rotate();
        assert!(
            may(&[])
                && may(&[("sec-fetch-dest", "document")])
                && may(&[("sec-fetch-dest", "empty")])
        );
        assert!(!may(&[("sec-fetch-dest", "image")]));
        assert!(!may(&[("upgrade", "websocket")]));
    }
}
