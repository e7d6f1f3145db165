//! What stands around every page: its head, the switch between the nodes, and what to try.

use maud::{DOCTYPE, Markup, html};

use crate::demo::settings::Name;
use crate::demo::site::Node;

/// A whole document around `main`.
pub(super) fn frame(node: &Node, title: &str, main: &Markup) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" data-node=(node.name.lower()) {
            head {
                meta charset="utf-8";
                title { (title) " · node " (node.name) }
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                link rel="icon" type="image/svg+xml" href={ "/assets/icon-" (node.name.lower()) ".svg" };
                link rel="stylesheet" href="/assets/style.css";
                script src="/assets/script.js" defer {}
            }
            body {
                (top(node))
                main id="main" tabindex="-1" { (main) }
                (what_to_try(node))
                (gone(node))
            }
        }
    }
}

fn top(node: &Node) -> Markup {
    html! {
        header class="top" {
            a class="brand" href="/" {
                (tag())
                span { "Cloakroom" } span class="faint what-it-is" { "demo" }
            }
            nav aria-label="Addresses" {
                @if node.way.is_some() {
                    a class="tab" href="/" aria-current="page" { "Gateway" }
                } @else {
                    a class="tab" href=(node.front_url) { "Gateway" }
                }
                @for name in [Name::A, Name::B] { (tab(node, name)) }
            }
        }
    }
}

/// The way to a node's own address.
fn tab(node: &Node, name: Name) -> Markup {
    let (here, of) = (node.way.is_none() && name == node.name, name.lower());
    html! {
        @if here {
            a class="tab" data-of=(of) href="/" aria-current="page" { "Node " (name) }
        } @else if name == node.name {
            a class="tab" data-of=(of) href=(node.own_url) { "Node " (name) }
        } @else if node.is_alone() {
            span class="tab down" data-of=(of) { "Node " (name) span class="hidden" { " is down" } }
        } @else {
            a class="tab" data-of=(of) href=(node.other_url) { "Node " (name) }
        }
    }
}

/// A disc with a hole to hang it by.
const TAG: &str = "M16 2a14 14 0 1 1 0 28 14 14 0 0 1 0-28Zm0 4.2a2.6 2.6 0 1 0 0 5.2 2.6 2.6 0 0 \
                   0 0-5.2Z";

/// The round tag that a cloakroom hands out.
fn tag() -> Markup {
    html! {
        svg viewBox="0 0 32 32" width="28" height="28" aria-hidden="true" {
            path class="tag" fill-rule="evenodd" d=(TAG) {}
        }
    }
}

fn what_to_try(node: &Node) -> Markup {
    let (name, other) = (node.name, node.name.other());
    html! {
        footer {
            @if !node.alone {
                p { "Both nodes share one process and its memory: sessions end with it." }
            } @else if node.way.is_some() {
                p {
                    "The button is as rough as this, and the page goes on all the same: "
                    code { "kill -9 " (node.process) }
                }
            } @else {
                p {
                    "End node " (name) " as roughly as you like, and go on at "
                    a href=(node.other_url) { "node " (other) } ": "
                    code { "kill -9 " (node.process) }
                }
            }
            p class="faint" {
                @if node.way.is_none() {
                    "A cookie belongs to a host, whatever the port: this is how both nodes get "
                    "yours. It holds a token; the store holds only the token’s hash."
                } @else {
                    "Your cookie holds a token, and the store only the token’s hash. A part of it, "
                    "the session’s key, leads to the same node for as long as that is up; without a "
                    "session, your address does."
                }
            }
        }
    }
}

/// What the script shows where nobody answers any more.
fn gone(node: &Node) -> Markup {
    html! {
        template id="gone" {
            div class="banner" role="alert" {
                @if node.way.is_some() {
                    strong { "The gateway does not answer." }
                    " Your session is in " (node.kind) "; start the demo again."
                } @else {
                    strong { "Node " (node.name) " does not answer." }
                    " Your session is in " (node.kind) ", not in the node. "
                    a href=(node.other_url) { "Go on at node " (node.name.other()) }
                }
            }
        }
    }
}
