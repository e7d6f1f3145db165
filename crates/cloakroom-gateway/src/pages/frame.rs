//! What stands around every page of ours, and the headers that it is sent with.

use std::sync::LazyLock;

use axum::body::Body;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, REFERRER_POLICY, VARY,
    X_CONTENT_TYPE_OPTIONS,
};
use http::{HeaderMap, HeaderValue, Response, StatusCode};
use maud::{DOCTYPE, Markup, PreEscaped, html};
use sha2::{Digest, Sha256};

use super::Language;

/// Where a theme's colours and its own style sheet are.
pub(crate) const THEME_PATH: &str = "/.cloakroom/theme.css";
/// Where a theme's image is.
pub(crate) const LOGO_PATH: &str = "/.cloakroom/logo";
/// Inside of every page, so that a page is whole wherever it is shown.
const STYLE: &str = include_str!("style.css");

/// The style sheet by its hash, which is how the policy below knows it.
static STYLE_HASH: LazyLock<String> =
    LazyLock::new(|| format!("'sha256-{}'", STANDARD.encode(Sha256::digest(STYLE))));

/// Whose pages these are.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Brand {
    /// The name at the top.
    pub(crate) title: Option<String>,
    /// Whether there is an image beside it.
    pub(crate) logo: bool,
}

/// A page.
#[derive(Debug)]
pub(crate) struct Page<'a> {
    pub(crate) language: Language,
    /// What the browser's window is called.
    pub(crate) title: &'a str,
    pub(crate) brand: &'a Brand,
    /// Whether it holds more than a form.
    pub(crate) wide: bool,
    /// The origins that its forms may lead to, beside its own.
    pub(crate) form_origins: &'a [String],
    pub(crate) main: Markup,
}

impl Page<'_> {
    /// The page as a response, which nobody may store, frame or add a script to.
    pub(crate) fn response(self, status: StatusCode) -> Response<Body> {
        let policy = policy(self.form_origins);
        let mut response = Response::new(Body::from(self.document().into_string()));
        *response.status_mut() = status;
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
        if let Ok(policy) = HeaderValue::try_from(policy) {
            headers.insert(CONTENT_SECURITY_POLICY, policy);
        }
        guard(headers);
        response
    }

    fn document(self) -> Markup {
        let Self { language, title, brand, wide, main, .. } = self;
        html! {
            (DOCTYPE)
            html lang=(language.tag()) {
                head {
                    meta charset="utf-8";
                    title {
                        (title)
                        @if let Some(name) = &brand.title { " · " (name) }
                    }
                    meta name="viewport" content="width=device-width, initial-scale=1";
                    meta name="color-scheme" content="light dark";
                    meta name="robots" content="noindex";
                    style { (PreEscaped(STYLE)) }
                    link rel="stylesheet" href=(THEME_PATH);
                }
                body {
                    main class=[wide.then_some("wide")] {
                        (top(brand))
                        (main)
                    }
                }
            }
        }
    }
}

/// Sets what every answer of ours carries, a page or not.
pub(crate) fn guard(headers: &mut HeaderMap) {
    for (name, value) in [
        (CACHE_CONTROL, "no-store"),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        // Not `no-referrer`, under which browsers send no origin with a form either.
        (REFERRER_POLICY, "same-origin"),
        (VARY, "Accept, Accept-Language"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
}

fn policy(form_origins: &[String]) -> String {
    let mut forms = String::from("'self'");
    for origin in form_origins {
        forms.push(' ');
        forms.push_str(origin);
    }
    format!(
        "default-src 'none'; style-src 'self' {}; img-src 'self'; form-action {forms}; \
         base-uri 'none'; frame-ancestors 'none'",
        *STYLE_HASH
    )
}

/// A disc with a hole to hang it by: the tag that a cloakroom hands out.
const TAG: &str = "M16 2a14 14 0 1 1 0 28 14 14 0 0 1 0-28Zm0 4.2a2.6 2.6 0 1 0 0 5.2 2.6 2.6 0 0 \
                   0 0-5.2Z";

fn top(brand: &Brand) -> Markup {
    html! {
        @if brand.logo || brand.title.is_some() {
            p class="brand" {
                @if brand.logo {
                    img src=(LOGO_PATH) alt="" height="40";
                }
                @if let Some(name) = &brand.title { span { (name) } }
            }
        } @else {
            svg class="tag" viewBox="0 0 32 32" width="40" height="40" aria-hidden="true" {
                path fill-rule="evenodd" d=(TAG) {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(brand: &Brand, origins: &[String]) -> (Response<Body>, String) {
        let page = |main| Page {
            language: Language::Chinese,
            title: "A & B",
            brand,
            wide: false,
            form_origins: origins,
            main,
        };
        let text = page(html! { h1 { "x" } }).document().into_string();
        (page(html! {}).response(StatusCode::IM_A_TEAPOT), text)
    }

    #[test]
    fn a_page_says_its_language_and_escapes_its_title() {
        let brand = Brand { title: Some("<b>".to_owned()), logo: true };
        let (response, text) = page(&brand, &[]);
        assert_eq!(response.status(), StatusCode::IM_A_TEAPOT);
        assert!(
            text.contains("lang=\"zh-Hans\"") && text.contains("A &amp; B · &lt;b&gt;"),
            "{text}"
        );
        assert!(text.contains(LOGO_PATH) && !text.contains("<script"), "{text}");
    }

    #[test]
    fn a_page_can_be_framed_stored_and_scripted_by_nobody() {
        let (response, text) = page(&Brand::default(), &["https://a.example".to_owned()]);
        let header = |name: &str| response.headers()[name].to_str().unwrap().to_owned();
        let policy = header("content-security-policy");
        for rule in [
            "default-src 'none'",
            "frame-ancestors 'none'",
            "form-action 'self' https://a.example",
            "base-uri 'none'",
        ] {
            assert!(policy.contains(rule), "{policy}");
        }
        assert!(!policy.contains("unsafe") && !policy.contains("script-src"), "{policy}");
        assert_eq!(header("cache-control"), "no-store");
        assert_eq!(header("referrer-policy"), "same-origin");
        let (_, rest) = text.split_once("<style>").unwrap();
        let (style, _) = rest.split_once("</style>").unwrap();
        let hash = STANDARD.encode(Sha256::digest(style));
        assert!(policy.contains(&hash), "the style sheet is the one that the policy knows");
    }
}
