//! The page's style, script and icon, which are part of the binary.

use axum::Router;
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;
use axum::routing::get;

use super::Site;
use crate::demo::settings::Name;

const STYLE: &str = include_str!("../assets/style.css");
const SCRIPT: &str = include_str!("../assets/script.js");
const ICON: &str = include_str!("../assets/icon.svg");

pub(super) fn routes() -> Router<Site> {
    Router::new()
        .route("/assets/style.css", get(|| async { file("text/css; charset=utf-8", STYLE) }))
        .route(
            "/assets/script.js",
            get(|| async { file("text/javascript; charset=utf-8", SCRIPT) }),
        )
        .route("/assets/icon-a.svg", get(|| async { icon(Name::A) }))
        .route("/assets/icon-b.svg", get(|| async { icon(Name::B) }))
}

/// The icon in a node's colour and with its letter, so that two tabs can be told apart. Each node
/// has both: the gateway may send a page's requests to either.
fn icon(name: Name) -> impl IntoResponse {
    let accent = match name {
        Name::A => "#0b6b6b",
        Name::B => "#b0431c",
    };
    file("image/svg+xml", ICON.replace("ACCENT", accent).replace("LETTER", name.letter()))
}

fn file(kind: &'static str, text: impl IntoResponse) -> impl IntoResponse {
    ([(CONTENT_TYPE, kind)], text)
}
