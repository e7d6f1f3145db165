//! The page that people see. Everything that a client or a session brings is escaped by the
//! template language; there is no way around it here.

mod cards;
mod frame;

use cloakroom::Timestamp;
use maud::{Markup, html};

use super::Node;
use super::shop::Cart;
use super::trail::Step;
use frame::frame;

/// What a page shows, read from a request's session.
#[derive(Debug)]
pub(crate) struct View {
    /// The session as far as the page shows it, where there is one.
    pub(crate) ticket: Option<String>,
    /// Who is signed in.
    pub(crate) user: Option<String>,
    /// The visits that were counted.
    pub(crate) visits: u64,
    /// The cart.
    pub(crate) cart: Cart,
    /// What was done last, the newest first.
    pub(crate) trail: Vec<Step>,
    /// The user's sessions, the oldest login first.
    pub(crate) mine: Vec<Mine>,
    /// The present moment.
    pub(crate) now: Timestamp,
}

/// One of the signed-in user's sessions.
#[derive(Debug)]
pub(crate) struct Mine {
    /// Its key.
    pub(crate) key: String,
    /// Its device, in a few words.
    pub(crate) device: String,
    /// The address it signed in from.
    pub(crate) address: Option<String>,
    /// When it was stored first.
    pub(crate) created_at: Timestamp,
    /// When it was last used.
    pub(crate) last_accessed: Timestamp,
    /// Whether it is the one that asks.
    pub(crate) current: bool,
}

/// Something that the page has to say about the request before it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Notice<'a> {
    /// A few words.
    pub(crate) title: &'a str,
    /// What to make of it.
    pub(crate) text: &'a str,
}

/// The page with everything on it.
pub(crate) fn whole(node: &Node, view: &View, notice: Option<Notice<'_>>) -> Markup {
    let main = html! {
        @if let Some(notice) = notice { (banner(notice)) }
        (cards::ticket(node, view))
        div class="grid" {
            @if view.user.is_none() { (cards::sign_in(node)) }
            (cards::visits(view))
            (cards::cart(view))
            @if !view.trail.is_empty() { (cards::trail(view)) }
            @if view.user.is_some() { (cards::sessions(view)) }
        }
    };
    frame(node, "Cloakroom demo", &main)
}

/// A page that says only what went wrong, and where to go on.
pub(crate) fn trouble(node: &Node, notice: Notice<'_>) -> Markup {
    let main = html! {
        section class="card trouble" role="alert" {
            h1 { (notice.title) }
            p { (notice.text) }
            p class="row" {
                a class="button" href="/" { "Try again" }
                a class="button quiet" href=(node.other_url) { "Try node " (node.name.other()) }
            }
        }
    };
    frame(node, notice.title, &main)
}

fn banner(notice: Notice<'_>) -> Markup {
    html! {
        div class="banner" role="alert" { strong { (notice.title) } " " (notice.text) }
    }
}
