//! Why a request was not served, as its sender reads it: JSON, or a page for somebody who looks.

mod chinese;
mod english;
mod programs;

use std::borrow::Cow;

use axum::body::Body;
use axum::response::IntoResponse;
use cloakroom::{Head, Refusal};
use http::header::{CONTENT_TYPE, RETRY_AFTER};
use http::{Extensions, HeaderMap, HeaderValue, Method, Response, StatusCode, Uri};
use maud::{Markup, html};

use super::{Brand, Language, Page, guard};

/// Why a request was not served.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Problem {
    /// 400: the request cannot be meant; why, in plain words.
    BadRequest(&'static str),
    /// 401: somebody has to sign in.
    NotSignedIn,
    /// 401: the session was ended while the request was under way.
    SessionEnded,
    /// 401: a name and a password do not belong together, or there is no such name.
    WrongCredentials,
    /// 400: a browser sends a login by plain HTTP, over which it keeps no cookie of ours.
    CookieNotKept,
    /// 403: nobody may have this from outside.
    Denied,
    /// 403: they lack a role.
    RoleMissing,
    /// 403: not from this address.
    WrongAddress,
    /// 403: another site's page has sent it.
    CrossSite,
    /// 421: this gateway serves other hosts.
    WrongHost,
    /// 404: there is no such page of the gateway's own.
    NotFound,
    /// 405.
    MethodNotAllowed,
    /// 408: the body did not come in time.
    TooSlow,
    /// 409: the user is signed in elsewhere as often as they may be.
    TooManySessions,
    /// 409: the session has a new token since.
    Settling,
    /// 413: the body is too large.
    TooLarge,
    /// 429: too many tries; come back after so many seconds.
    TooMany(u64),
    /// 502: no server of the upstream could be reached.
    UpstreamAway,
    /// 504: the upstream did not answer in time.
    UpstreamSlow,
    /// 503: the session store does not answer. The client stays signed in.
    StoreAway,
    /// 503: too many sign in at this moment.
    Busy,
    /// 508: somebody is sent to and fro.
    Loop,
    /// 508: an upstream leads back to the gateway.
    Circle,
    /// 500: something of the gateway's own.
    Broken,
}

/// Who reads an answer: what of a request's headers decides on its form.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reader<'a> {
    pub(crate) headers: &'a HeaderMap,
}

impl Reader<'_> {
    /// Whether it is a person who looks.
    pub(crate) fn wants_page(&self) -> bool {
        let (method, uri, extensions) = (Method::GET, Uri::default(), Extensions::new());
        let headers = self.headers;
        Head { method: &method, uri: &uri, headers, extensions: &extensions }.prefers_html()
    }
}

impl Problem {
    /// The response: a page that says whose it is where `Accept` prefers HTML, else JSON.
    pub(crate) fn dressed(self, reader: Reader<'_>, brand: &Brand) -> Response<Body> {
        match reader.wants_page() {
            true => self.page(Language::of(reader.headers), brand),
            false => self.json(),
        }
    }

    /// The response as JSON.
    pub(crate) fn json(self) -> Response<Body> {
        let message = programs::words(self);
        let body = serde_json::json!({ "error": self.code(), "message": message });
        let mut response = Response::new(Body::from(body.to_string()));
        *response.status_mut() = self.status();
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        guard(headers);
        self.with_retry(response)
    }

    /// The response as a page.
    pub(crate) fn page(self, language: Language, brand: &Brand) -> Response<Body> {
        let (title, text) = self.words(language);
        let main = html! {
            h1 { (title) }
            p { (text) }
            @if let Self::BadRequest(why) = self {
                p class="faint" {
                    (language.say("The reason: ", "原因（英文）：")) span lang="en" { (why) "." }
                }
            }
            (self.way_on(language))
            p class="faint code" { (self.status().as_u16()) " · " (self.code()) }
        };
        let page = Page { language, title, brand, wide: false, form_origins: &[], main };
        self.with_retry(page.response(self.status()))
    }

    fn with_retry(self, mut response: Response<Body>) -> Response<Body> {
        if let Some(seconds) = self.retry_after() {
            response.headers_mut().insert(RETRY_AFTER, seconds.into());
        }
        response
    }

    /// How many seconds its sender does well to wait before they try again.
    const fn retry_after(self) -> Option<u64> {
        match self {
            Self::TooMany(seconds) => Some(seconds),
            Self::StoreAway | Self::Busy => Some(2),
            Self::Settling => Some(1),
            _ => None,
        }
    }

    /// What the session's refusal is here.
    pub(crate) fn of(refusal: &Refusal) -> Self {
        match refusal.code() {
            "too_many_sessions" => return Self::TooManySessions,
            "session_settling" => return Self::Settling,
            "session_ended" => return Self::SessionEnded,
            _ => {}
        }
        match refusal.status() {
            StatusCode::SERVICE_UNAVAILABLE => Self::StoreAway,
            StatusCode::BAD_REQUEST => Self::BadRequest("several sessions came along at once"),
            _ => Self::Broken,
        }
    }

    /// The status that stands for it.
    pub(crate) const fn status(self) -> StatusCode {
        match self {
            Self::BadRequest(_) | Self::CookieNotKept => StatusCode::BAD_REQUEST,
            Self::NotSignedIn | Self::SessionEnded | Self::WrongCredentials => {
                StatusCode::UNAUTHORIZED
            }
            Self::Denied | Self::RoleMissing | Self::WrongAddress | Self::CrossSite => {
                StatusCode::FORBIDDEN
            }
            Self::WrongHost => StatusCode::MISDIRECTED_REQUEST,
            Self::NotFound => StatusCode::NOT_FOUND,
            Self::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
            Self::TooSlow => StatusCode::REQUEST_TIMEOUT,
            Self::TooManySessions | Self::Settling => StatusCode::CONFLICT,
            Self::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::TooMany(_) => StatusCode::TOO_MANY_REQUESTS,
            Self::UpstreamAway => StatusCode::BAD_GATEWAY,
            Self::UpstreamSlow => StatusCode::GATEWAY_TIMEOUT,
            Self::StoreAway | Self::Busy => StatusCode::SERVICE_UNAVAILABLE,
            Self::Loop | Self::Circle => StatusCode::LOOP_DETECTED,
            Self::Broken => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    /// The word that programs can tell it by.
    const fn code(self) -> &'static str {
        match self {
            Self::BadRequest(_) => "bad_request",
            Self::NotSignedIn => "not_signed_in",
            Self::SessionEnded => "session_ended",
            Self::WrongCredentials => "wrong_credentials",
            Self::CookieNotKept => "cookie_not_kept",
            Self::Denied => "denied",
            Self::RoleMissing => "role_missing",
            Self::WrongAddress => "wrong_address",
            Self::CrossSite => "cross_site",
            Self::WrongHost => "wrong_host",
            Self::NotFound => "not_found",
            Self::MethodNotAllowed => "method_not_allowed",
            Self::TooSlow => "too_slow",
            Self::TooManySessions => "too_many_sessions",
            Self::Settling => "session_settling",
            Self::TooLarge => "too_large",
            Self::TooMany(_) => "too_many_tries",
            Self::UpstreamAway => "upstream_unavailable",
            Self::UpstreamSlow => "upstream_slow",
            Self::StoreAway => "store_unavailable",
            Self::Busy => "busy",
            Self::Loop => "redirect_loop",
            Self::Circle => "request_loop",
            Self::Broken => "fault",
        }
    }

    /// What happened, and what its reader can do.
    pub(crate) fn words(self, language: Language) -> (&'static str, Cow<'static, str>) {
        match language {
            Language::English => english::words(self),
            Language::Chinese => chinese::words(self),
        }
    }

    /// A link that helps, where one does.
    fn way_on(self, language: Language) -> Markup {
        let (to, name) = match self {
            Self::NotSignedIn
            | Self::SessionEnded
            | Self::WrongCredentials
            | Self::CookieNotKept => ("/.cloakroom/login", language.say("Sign in", "登录")),
            Self::RoleMissing | Self::Loop => {
                ("/.cloakroom/logout", language.say("Sign out", "退出登录"))
            }
            Self::WrongHost
            | Self::NotFound
            | Self::MethodNotAllowed
            | Self::CrossSite
            | Self::Denied => ("/", language.say("To the start", "返回首页")),
            Self::BadRequest(_) | Self::TooLarge | Self::Circle => return html! {},
            // The same address again.
            _ => ("", language.say("Try again", "重试")),
        };
        html! { p { a class="button" href=(to) { (name) } } }
    }
}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        Self::of(&refusal)
    }
}

impl From<cloakroom::Error> for Problem {
    fn from(error: cloakroom::Error) -> Self {
        Self::of(&error.into())
    }
}

/// A response that only says which problem it is; whoever knows the reader makes it one to be read.
impl IntoResponse for Problem {
    fn into_response(self) -> Response<Body> {
        let mut response = self.json();
        response.extensions_mut().insert(self);
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [Problem; 24] = [
        Problem::BadRequest("a <b> in it"),
        Problem::NotSignedIn,
        Problem::SessionEnded,
        Problem::WrongCredentials,
        Problem::CookieNotKept,
        Problem::WrongHost,
        Problem::Denied,
        Problem::RoleMissing,
        Problem::WrongAddress,
        Problem::CrossSite,
        Problem::NotFound,
        Problem::MethodNotAllowed,
        Problem::TooSlow,
        Problem::TooManySessions,
        Problem::Settling,
        Problem::TooLarge,
        Problem::TooMany(90),
        Problem::UpstreamAway,
        Problem::UpstreamSlow,
        Problem::StoreAway,
        Problem::Busy,
        Problem::Loop,
        Problem::Circle,
        Problem::Broken,
    ];

    async fn answer(problem: Problem, headers: &[(&'static str, &str)]) -> (HeaderMap, String) {
        let headers: HeaderMap = headers
            .iter()
            .map(|(name, value)| (http::HeaderName::from_static(name), value.parse().unwrap()))
            .collect();
        let response = problem.dressed(Reader { headers: &headers }, &Brand::default());
        assert_eq!(response.status(), problem.status());
        let (parts, body) = response.into_parts();
        let body = axum::body::to_bytes(body, usize::MAX).await.unwrap();
        (parts.headers, String::from_utf8(body.to_vec()).unwrap())
    }

    #[tokio::test]
    async fn programs_are_told_by_a_word_of_its_own() {
        let mut codes = std::collections::BTreeSet::new();
        for problem in ALL {
            let (headers, body) = answer(problem, &[("accept", "*/*")]).await;
            assert_eq!(headers["content-type"], "application/json");
            assert_eq!(headers["cache-control"], "no-store");
            let body: serde_json::Value = serde_json::from_str(&body).unwrap();
            let message = body["message"].as_str().unwrap();
            assert!(message.ends_with('.') && !message.contains("  "), "{problem:?}: {message}");
            assert!(codes.insert(body["error"].as_str().unwrap().to_owned()), "{problem:?}");
        }
    }

    /// Programs out there compare with these words and numbers: none of them changes.
    #[test]
    fn the_words_that_programs_know_stay_as_they_are() {
        let said = ALL.map(|problem| format!("{} {}", problem.status().as_u16(), problem.code()));
        let known = "400 bad_request, 401 not_signed_in, 401 session_ended, 401 wrong_credentials, \
            400 cookie_not_kept, 421 wrong_host, 403 denied, 403 role_missing, 403 wrong_address, \
            403 cross_site, 404 not_found, 405 method_not_allowed, 408 too_slow, \
            409 too_many_sessions, 409 session_settling, 413 too_large, 429 too_many_tries, \
            502 upstream_unavailable, 504 upstream_slow, 503 store_unavailable, 503 busy, \
            508 redirect_loop, 508 request_loop, 500 fault";
        assert_eq!(said.join(", "), known);
    }

    #[test]
    fn the_readme_names_words_that_are_there() {
        let readme = include_str!("../../../../README.md");
        let (_, told) = readme.split_once("What goes wrong is JSON, too").unwrap();
        let (told, _) = told.split_once("\n").unwrap();
        let codes = ALL.map(Problem::code);
        let named: Vec<&str> = told.split('`').skip(1).step_by(2).collect();
        let named: Vec<&str> = named.into_iter().filter(|word| word.contains('_')).collect();
        assert!(named.len() > 9, "{named:?}");
        for word in named.into_iter().filter(|word| !word.starts_with('{')) {
            assert!(codes.contains(&word), "{word}");
        }
    }

    #[tokio::test]
    async fn a_reason_is_given_once() {
        let (_, page) = answer(Problem::BadRequest("it is odd"), &[("accept", "text/html")]).await;
        assert_eq!(page.matches("it is odd").count(), 1, "{page}");
    }

    #[tokio::test]
    async fn people_are_told_in_their_language() {
        for problem in ALL {
            let html = ("accept", "text/html");
            let (headers, english) = answer(problem, &[html]).await;
            assert_eq!(headers["content-type"], "text/html; charset=utf-8");
            let (_, chinese) = answer(problem, &[html, ("accept-language", "zh-CN")]).await;
            assert!(english.contains("lang=\"en\"") && chinese.contains("lang=\"zh-Hans\""));
            let heading = |page: &str| {
                let (_, rest) = page.split_once("<h1>").unwrap();
                rest.split_once("</h1>").unwrap().0.to_owned()
            };
            assert!(heading(&chinese).chars().all(|c| !c.is_ascii_lowercase()), "{problem:?}");
            assert_ne!(heading(&english), heading(&chinese), "{problem:?}");
            assert!(!english.contains("<b>"), "{english}");
        }
    }

    #[tokio::test]
    async fn whoever_has_to_wait_is_told_how_long() {
        for problem in [Problem::StoreAway, Problem::Busy, Problem::Settling] {
            assert!(answer(problem, &[]).await.0.contains_key(RETRY_AFTER), "{problem:?}");
        }
        let (headers, body) = answer(Problem::TooMany(125), &[("accept", "text/html")]).await;
        assert_eq!(headers[RETRY_AFTER], "125");
        assert!(body.contains("Wait 3 minutes"), "{body}");
        assert!(!answer(Problem::Denied, &[]).await.0.contains_key(RETRY_AFTER));
    }
}
