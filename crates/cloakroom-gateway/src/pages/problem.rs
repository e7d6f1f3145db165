//! Why a request was not served, as its sender reads it: JSON, or a page for somebody who looks.

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
    /// The response: a page where `Accept` prefers HTML, else JSON.
    pub(crate) fn response(self, reader: Reader<'_>) -> Response<Body> {
        self.dressed(reader, &Brand::default())
    }

    /// As [`Self::response`], with a page that says whose it is.
    pub(crate) fn dressed(self, reader: Reader<'_>, brand: &Brand) -> Response<Body> {
        match reader.wants_page() {
            true => self.page(Language::of(reader.headers), brand),
            false => self.json(),
        }
    }

    /// The response as JSON.
    pub(crate) fn json(self) -> Response<Body> {
        let message = self.words(Language::English).1;
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
            @if let Self::BadRequest(why) = self { p class="faint" lang="en" { (why) } }
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
            Self::BadRequest(_) => StatusCode::BAD_REQUEST,
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
    pub(crate) fn words(self, language: Language) -> (&'static str, String) {
        if let Self::TooMany(seconds) = self {
            return too_many(seconds, language);
        }
        let (title, text) = match language {
            Language::English => self.english(),
            Language::Chinese => self.chinese(),
        };
        let text = match (self, language) {
            // Programs are told in the one sentence that they read.
            (Self::BadRequest(why), Language::English) => format!("{text} The reason: {why}."),
            _ => text.to_owned(),
        };
        (title, text)
    }

    const fn english(self) -> (&'static str, &'static str) {
        match self {
            Self::BadRequest(_) => (
                "This request cannot be understood",
                "Check the address. If you came here by a link, tell whoever wrote it.",
            ),
            Self::NotSignedIn => ("Please sign in", "Only somebody who is signed in can see this."),
            Self::SessionEnded => (
                "Your session has ended",
                "It was ended a moment ago, here or on another device. Nothing was changed. Sign \
                 in again.",
            ),
            Self::WrongCredentials => (
                "You are not signed in",
                "This name and this password do not belong together. Check both, and try again.",
            ),
            Self::Denied => (
                "This is not open to visitors",
                "Nobody can see this from here. If you think that you should, ask whoever runs \
                 this site.",
            ),
            Self::RoleMissing => (
                "You may not see this",
                "You are signed in, but your account lacks the right to this page. Ask whoever \
                 runs this site for it, or sign in as somebody else.",
            ),
            Self::WrongAddress => (
                "Not from this network",
                "This can be seen from certain networks only. Connect to yours, by its VPN perhaps, \
                 and try again.",
            ),
            Self::CrossSite => (
                "This came from another site",
                "Another site’s page has sent this form, so nothing was done. Open the page here, \
                 and send the form from there.",
            ),
            Self::WrongHost => (
                "This address is not served here",
                "No site of this name is behind this gateway. Check the address.",
            ),
            Self::NotFound => {
                ("There is no such page", "Check the address, or begin at the start.")
            }
            Self::MethodNotAllowed => (
                "This page cannot be used like that",
                "Go back and use the page’s own buttons. Programs find the methods that it knows \
                 in the header Allow.",
            ),
            Self::TooSlow => (
                "This took too long to arrive",
                "Only a part of what you have sent has come, and nothing was done. Try again.",
            ),
            Self::TooManySessions => (
                "You are signed in elsewhere",
                "You are signed in on as many devices as you may be. Sign out on one of them, and \
                 try again.",
            ),
            Self::Settling => (
                "You have just signed in",
                "This page was from before that. Nothing was changed; try again.",
            ),
            Self::TooLarge => (
                "This is too large",
                "More was sent than is accepted here. Send less, or a smaller file.",
            ),
            Self::TooMany(_) => ("Too many tries", ""),
            Self::UpstreamAway => (
                "The service is away",
                "It cannot be reached at this moment. Try again in a minute. This changes nothing \
                 about whether you are signed in.",
            ),
            Self::UpstreamSlow => (
                "The service takes too long",
                "It did not answer in time. If you have sent something, look whether it was done \
                 before you try again.",
            ),
            Self::StoreAway => (
                "Please try again in a moment",
                "We cannot look up who is signed in at this moment. You are not signed out, and \
                 nothing is lost.",
            ),
            Self::Busy => (
                "Please try again in a moment",
                "Many people sign in at this moment. Wait a few seconds, and try again.",
            ),
            Self::Loop => (
                "You are being sent to and fro",
                "You are signed in, but the page that you asked for keeps sending you to the \
                 login. We have stopped this. Sign out and in again; if that does not help, allow \
                 cookies for this site or tell whoever runs it.",
            ),
            Self::Circle => (
                "This request goes in a circle",
                "The service that it is for leads back to this gateway, so it was stopped. Tell \
                 whoever runs this site.",
            ),
            Self::Broken => (
                "Something went wrong here",
                "It is our fault, not yours. Try again; if it stays like this, tell whoever runs \
                 this site.",
            ),
        }
    }

    const fn chinese(self) -> (&'static str, &'static str) {
        match self {
            Self::BadRequest(_) => {
                ("无法理解此请求", "请检查网址。如果您是通过链接来到这里的，请告知链接的作者。")
            }
            Self::NotSignedIn => ("请先登录", "登录后才能查看此内容。"),
            Self::SessionEnded => {
                ("您的会话已结束", "它刚刚在此处或另一台设备上被结束。未做任何更改。请重新登录。")
            }
            Self::WrongCredentials => ("登录失败", "用户名与密码不匹配。请检查后重试。"),
            Self::Denied => (
                "此内容不对外开放",
                "任何人都无法从这里查看。如果您认为自己应有权限，请联系网站管理员。",
            ),
            Self::RoleMissing => (
                "您无权查看此内容",
                "您已登录，但您的帐号没有此页面的权限。请向网站管理员申请，或换一个帐号登录。",
            ),
            Self::WrongAddress => (
                "当前网络无法访问",
                "此内容只能从特定网络查看。请连接到您的网络（例如通过 VPN），然后重试。",
            ),
            Self::CrossSite => (
                "此请求来自其他网站",
                "这个表单是由其他网站的页面发送的，因此未做任何处理。请在本站打开页面，再提交表单。",
            ),
            Self::WrongHost => ("此地址不在这里", "此网关不提供这个域名的站点。请检查网址。"),
            Self::NotFound => ("没有这个页面", "请检查网址，或从首页开始。"),
            Self::MethodNotAllowed => (
                "此页面不支持这种操作",
                "请返回并使用页面上的按钮。程序可在 Allow 标头中查看支持的方法。",
            ),
            Self::TooSlow => ("发送超时", "您发送的内容只到达了一部分，未做任何处理。请重试。"),
            Self::TooManySessions => (
                "您已在其他设备上登录",
                "您登录的设备数已达上限。请先在其中一台设备上退出，然后重试。",
            ),
            Self::Settling => ("您刚刚登录", "此页面是登录之前的。未做任何更改，请重试。"),
            Self::TooLarge => ("内容过大", "发送的内容超出了限制。请减少内容，或选择较小的文件。"),
            Self::TooMany(_) => ("尝试次数过多", ""),
            Self::UpstreamAway => (
                "服务暂时不可用",
                "目前无法连接到该服务。请一分钟后重试。如果您已登录，登录状态不会改变。",
            ),
            Self::UpstreamSlow => (
                "服务响应超时",
                "它没有及时回应。如果您刚刚提交了内容，请先确认是否已完成，再重试。",
            ),
            Self::StoreAway => {
                ("请稍后重试", "目前无法查询登录状态。您没有被退出登录，也没有丢失任何内容。")
            }
            Self::Busy => ("请稍后重试", "目前登录的人很多。请等待几秒钟，然后重试。"),
            Self::Loop => (
                "您被反复重定向",
                "您已登录，但您请求的页面不断把您送回登录页。我们已中止这一过程。请退出后重新登录；\
                 如果仍然如此，请允许本站使用 Cookie，或联系网站管理员。",
            ),
            Self::Circle => {
                ("请求陷入循环", "目标服务又指回了本网关，因此请求已被中止。请告知网站管理员。")
            }
            Self::Broken => {
                ("出错了", "这是我们的问题，与您无关。请重试；如果问题持续，请联系网站管理员。")
            }
        }
    }

    /// A link that helps, where one does.
    fn way_on(self, language: Language) -> Markup {
        let (to, name) = match self {
            Self::NotSignedIn | Self::SessionEnded | Self::WrongCredentials => {
                ("/.cloakroom/login", language.say("Sign in", "登录"))
            }
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

fn too_many(seconds: u64, language: Language) -> (&'static str, String) {
    let minutes = seconds.div_ceil(60);
    match language {
        Language::English => {
            let wait = match (seconds, minutes) {
                (0..=1, _) => "a second".to_owned(),
                (2..=90, _) => format!("{seconds} seconds"),
                _ => format!("{minutes} minutes"),
            };
            let text = format!(
                "The login was tried too often, for this account or from this address. Wait \
                 {wait}, and try again. Until then no password is looked at, not even the right one."
            );
            ("Too many tries", text)
        }
        Language::Chinese => {
            let wait = match seconds {
                0..=90 => format!("{} 秒", seconds.max(1)),
                _ => format!("{minutes} 分钟"),
            };
            let text = format!(
                "此帐号或此地址的登录尝试过于频繁。请等待{wait}后重试。在此之前，任何密码（包括正确的密码）都不会被核对。"
            );
            ("尝试次数过多", text)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [Problem; 22] = [
        Problem::BadRequest("a <b> in it"),
        Problem::NotSignedIn,
        Problem::SessionEnded,
        Problem::WrongCredentials,
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
        let response = problem.response(Reader { headers: &headers });
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
            assert!(!body["message"].as_str().unwrap().is_empty(), "{problem:?}");
            assert!(codes.insert(body["error"].as_str().unwrap().to_owned()), "{problem:?}");
        }
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
