//! What the gateway says itself: that no node is there to say anything.

use axum::response::{IntoResponse, Response};
use http::StatusCode;
use http::header::CONTENT_TYPE;
use maud::{Markup, html};

use super::{BRING_BACK, KILL};
use crate::demo::settings::Name;
use crate::fault::Fault;
use crate::pages::{Brand, Language, Page};

/// Both nodes are down: a page with the way back.
pub(super) fn both() -> Response {
    let main = html! {
        h1 { "Both nodes are down" }
        p { "The gateway has nobody to ask. Your session is in the store, and waits there." }
        div class="row" {
            @for name in [Name::A, Name::B] { (bring_back(name)) }
        }
    };
    page("Both nodes are down", main, StatusCode::BAD_GATEWAY)
}

/// What was asked for could not be done.
pub(super) fn failed(fault: &Fault) -> Response {
    let main = html! {
        h1 { "That did not work" }
        p { (fault) "." }
        p class="row" { a class="button" href="/" { "Back to the page" } }
    };
    page("That did not work", main, StatusCode::SERVICE_UNAVAILABLE)
}

/// The button that kills a node.
pub(crate) fn kill(name: Name) -> Markup {
    html! {
        form method="post" action=(KILL) {
            input type="hidden" name="node" value=(name.lower());
            button id={ "kill-" (name.lower()) } data-of=(name.lower()) { "Kill node " (name) }
        }
    }
}

/// The button that brings a node back.
pub(crate) fn bring_back(name: Name) -> Markup {
    html! {
        form method="post" action=(BRING_BACK) {
            input type="hidden" name="node" value=(name.lower());
            button id={ "back-" (name.lower()) } data-of=(name.lower()) {
                "Bring node " (name) " back"
            }
        }
    }
}

/// The pages of the gateway ask for a theme; the demo's have none.
pub(super) async fn theme() -> impl IntoResponse {
    ([(CONTENT_TYPE, "text/css; charset=utf-8")], "")
}

fn page(title: &str, main: Markup, status: StatusCode) -> Response {
    let brand = Brand::default();
    let language = Language::English;
    Page { language, title, brand: &brand, wide: false, form_origins: &[], main }.response(status)
}
