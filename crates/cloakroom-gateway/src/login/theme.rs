//! How the pages look: a name, a colour, an image and a style sheet, read once.

use std::fmt::Write;
use std::path::Path;

use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, X_CONTENT_TYPE_OPTIONS};

use super::Theme;
use crate::fault::Fault;
use crate::pages::{Brand, Colour};

/// The most bytes of an image or a style sheet.
const MOST_BYTES: usize = 512 * 1024;
/// Kinds of images by the endings of their names.
const KINDS: [(&str, &str); 6] = [
    ("svg", "image/svg+xml"),
    ("png", "image/png"),
    ("jpg", "image/jpeg"),
    ("jpeg", "image/jpeg"),
    ("webp", "image/webp"),
    ("gif", "image/gif"),
];
/// What the pages' text stands on, by day and by night.
const PAPERS: [&str; 2] = ["#fffdf9", "#201e1c"];

/// A theme that was read.
#[derive(Clone, Debug)]
pub(super) struct Look {
    pub(super) brand: Brand,
    style: Bytes,
    logo: Option<(&'static str, Bytes)>,
}

impl Look {
    pub(super) fn read(theme: &Theme) -> Result<Self, Fault> {
        let accent = theme.accent.as_deref().map(str::parse).transpose();
        let accent =
            accent.map_err(|error| Fault::usage(format!("the theme's accent is {error}")))?;
        let mut style = accent.map(colours).unwrap_or_default().into_bytes();
        if let Some(path) = &theme.style {
            style.extend_from_slice(&file(path)?);
        }
        let logo = theme.logo.as_deref().map(image).transpose()?;
        let brand = Brand { title: theme.title.clone(), logo: logo.is_some() };
        Ok(Self { brand, style: style.into(), logo })
    }

    /// Answers with the theme's style sheet, which may be empty.
    pub(super) fn style(&self) -> Response {
        served("text/css; charset=utf-8", self.style.clone())
    }

    /// Answers with the image.
    pub(super) fn logo(&self) -> Option<Response> {
        self.logo.as_ref().map(|(kind, bytes)| served(kind, bytes.clone()))
    }
}

fn served(kind: &'static str, bytes: Bytes) -> Response {
    let headers = [
        (CONTENT_TYPE, kind),
        (CACHE_CONTROL, "public, max-age=300"),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        // An image may be a document of its own, when it is looked at by itself.
        (CONTENT_SECURITY_POLICY, "default-src 'none'; style-src 'unsafe-inline'; sandbox"),
    ];
    (headers, bytes).into_response()
}

/// The colour where it can be read: a darker one by day, a lighter one by night.
fn colours(accent: Colour) -> String {
    let mut text = String::new();
    for (paper, at_night) in PAPERS.into_iter().zip([false, true]) {
        let Ok(paper) = paper.parse::<Colour>() else {
            continue;
        };
        let accent = accent.readable_on(paper);
        let rule = format!(":root{{--accent:{accent};--on-accent:{}}}", accent.ink());
        // Writing to a string does not fail.
        let _ = match at_night {
            false => writeln!(text, "{rule}"),
            true => writeln!(text, "@media (prefers-color-scheme:dark){{{rule}}}"),
        };
    }
    text
}

fn image(path: &Path) -> Result<(&'static str, Bytes), Fault> {
    let ending = path.extension().and_then(|ending| ending.to_str()).unwrap_or_default();
    let kind = KINDS.iter().find(|(known, _)| ending.eq_ignore_ascii_case(known));
    let (_, kind) = kind.ok_or_else(|| {
        Fault::usage(format!("{} is no image that is known by its name", path.display()))
            .hint("take one that ends in .svg, .png, .jpg, .webp or .gif")
    })?;
    Ok((kind, file(path)?.into()))
}

fn file(path: &Path) -> Result<Vec<u8>, Fault> {
    let bytes = std::fs::read(path);
    let bytes =
        bytes.map_err(|error| Fault::new(format!("{} cannot be read: {error}", path.display())))?;
    match bytes.len() > MOST_BYTES {
        true => Err(Fault::usage(format!("{} has more than 512 KiB", path.display()))),
        false => Ok(bytes),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_theme_is_read_or_refused() {
        let dir = tempfile::tempdir().unwrap();
        let (logo, style) = (dir.path().join("a.SVG"), dir.path().join("a.css"));
        std::fs::write(&logo, "<svg/>").unwrap();
        std::fs::write(&style, "h1{color:red}").unwrap();
        let theme = Theme {
            title: Some("Shop".to_owned()),
            accent: Some("#ff0".to_owned()),
            logo: Some(logo),
            style: Some(style),
        };
        let look = Look::read(&theme).unwrap();
        assert!(look.brand.logo);
        let text = String::from_utf8(look.style.to_vec()).unwrap();
        assert!(text.ends_with("h1{color:red}") && text.contains("--accent:#ffff00"), "{text}");
        assert_eq!(look.logo.unwrap().0, "image/svg+xml");
        let bad = |theme: Theme| Look::read(&theme).is_err();
        assert!(bad(Theme { accent: Some("red;}".to_owned()), ..Theme::default() }));
        assert!(bad(Theme { logo: Some(dir.path().join("a.css")), ..Theme::default() }));
        assert!(bad(Theme { style: Some(dir.path().join("none.css")), ..Theme::default() }));
    }
}
