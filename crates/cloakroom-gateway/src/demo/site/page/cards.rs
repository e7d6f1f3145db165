//! The parts of the page: the ticket, and a card for each thing that the shop does.

use cloakroom::Timestamp;
use maud::{Markup, html};

use super::{Mine, View};
use crate::demo::front;
use crate::demo::settings::Name;
use crate::demo::site::Node;
use crate::demo::way::{By, Way};
use crate::pages::Language;
use crate::pages::when::{ago, rfc3339};

/// What can be put into the cart by a click.
const OFFERED: [&str; 3] = ["tea", "biscuits", "honey"];

/// Who is signed in, which node answered, and what it did for that.
pub(super) fn ticket(node: &Node, view: &View) -> Markup {
    let other = node.name.other();
    html! {
        section class="holder" aria-labelledby="who" { div class="ticket" {
            div class="stub" aria-hidden="true" { span { "Node" } b { (node.name) } }
            div class="body" {
                p class="eyebrow" { "Node " (node.name) " answered" }
                @match &view.user {
                    Some(user) => { h1 id="who" { "Welcome, " (user) "." } }
                    None => { h1 id="who" { "Two nodes, one session." } }
                }
                p class="lead" { (behind(node, view)) }
                div class="row" {
                    @if node.way.is_some() {
                        @for name in [Name::A, Name::B] {
                            @if name == other && node.is_alone() {
                                (front::bring_back(name))
                            } @else {
                                (front::kill(name))
                            }
                        }
                    } @else {
                        a class="button" data-of=(other.lower()) href=(node.other_url) {
                            "See this page on node " (other) " " span aria-hidden="true" { "→" }
                        }
                    }
                    @if view.user.is_some() {
                        form method="post" action="/logout" {
                            button class="quiet" id="logout" { "Sign out" }
                        }
                    }
                }
            }
            (facts(node, view))
        } }
    }
}

/// What happened so that this page could be shown.
fn behind(node: &Node, view: &View) -> Markup {
    html! {
        @if let Some(way) = node.way { (chosen(node, way)) " " }
        @if view.ticket.is_none() {
            "Nobody is signed in, and there is no session yet: looking at this page makes none. "
            "Sign in or count a visit, and then "
            @if node.way.is_some() { "kill this node." }
            @else { "look at node " (node.name.other()) "." }
        } @else {
            "Node " (node.name) " has your session from " (node.kind) " to show you this page."
            @if let Some(step) = view.trail.first() {
                " Its last change was made "
                @if step.node == node.name { "here" } @else { "by node " (step.node) }
                "."
            }
            @if view.user.is_none() { " Nobody is signed in." }
        }
    }
}

/// Why the gateway chose this node.
fn chosen(node: &Node, way: Way) -> Markup {
    let (name, other) = (node.name, node.name.other());
    html! {
        @match (node.is_alone(), way.by) {
            (true, _) => { "Node " (other) " is down, so the gateway sends everybody here." }
            (false, By::Key) => { "The gateway chose node " (name) " by your session’s key." }
            (false, By::Address) => { "The gateway chose node " (name) " by your address." }
        }
    }
}

fn facts(node: &Node, view: &View) -> Markup {
    html! {
        dl class="facts" {
            div { dt { "Process" } dd { (node.process) } }
            div { dt { "Store" } dd { (node.place) } }
            div { dt { "Ticket" } dd { (view.ticket.as_deref().map_or("none yet", short)) } }
        }
    }
}

/// Enough of a key to tell sessions apart by eye.
fn short(key: &str) -> &str {
    key.get(..10).unwrap_or(key)
}

pub(super) fn sign_in(node: &Node) -> Markup {
    html! {
        section class="card" aria-labelledby="sign-in" {
            h2 id="sign-in" { "Sign in" }
            form method="post" action="/login" class="stack" {
                label for="user" { "Name" }
                input id="user" name="user" required maxlength="64" autocomplete="username"
                    autocapitalize="none" spellcheck="false";
                label for="password" { "Password" }
                input id="password" name="password" type="password" required maxlength="64"
                    autocomplete="current-password";
                button id="login" { "Sign in at node " (node.name) }
            }
            p class="faint" {
                "This is a demo: there is " b { "alice" } " with " code { "wonderland" }
                " and " b { "bob" } " with " code { "builder" } "."
            }
        }
    }
}

pub(super) fn visits(view: &View) -> Markup {
    html! {
        section class="card" aria-labelledby="visits" {
            h2 id="visits" { "Visits" }
            p class="count" id="count" { (view.visits) }
            form method="post" action="/visit" { button id="visit" { "Count a visit" } }
            p class="faint" { "Every one counts, even when both nodes count at once." }
        }
    }
}

pub(super) fn cart(view: &View) -> Markup {
    let more = view.cart.iter().filter(|(item, _)| !OFFERED.contains(&item.as_str()));
    let of = |item: &str| view.cart.get(item).copied().unwrap_or(0);
    html! {
        section class="card" aria-labelledby="cart" {
            h2 id="cart" { "Cart" }
            ul class="lines" {
                @for item in OFFERED {
                    li {
                        span class="what" { (item) }
                        span class="number" id={ "of-" (item) } { (of(item)) }
                        form method="post" action="/cart" {
                            input type="hidden" name="item" value=(item);
                            input type="hidden" name="quantity" value="1";
                            button class="quiet" id={ "add-" (item) } aria-label={ "Add " (item) } {
                                "Add"
                            }
                        }
                    }
                }
                @for (item, quantity) in more {
                    li { span class="what" { bdi { (item) } } span class="number" { (quantity) } }
                }
            }
        }
    }
}

pub(super) fn trail(view: &View) -> Markup {
    let wide = view.user.is_none().then_some("wide");
    html! {
        section class={ "card " (wide.unwrap_or_default()) } aria-labelledby="trail" {
            h2 id="trail" { "What happened" }
            ol class="trail" {
                @for step in &view.trail {
                    li {
                        span class="dot" data-of=(step.node.lower()) aria-hidden="true" {
                            (step.node)
                        }
                        span {
                            span class="hidden" { "Node " (step.node) " " }
                            (step.did) " "
                            span class="faint" { (time(view.now, step.at())) }
                        }
                    }
                }
            }
        }
    }
}

pub(super) fn sessions(view: &View) -> Markup {
    let (this, others): (Vec<_>, Vec<_>) = view.mine.iter().partition(|mine| mine.current);
    html! {
        section class="card wide" aria-labelledby="sessions" {
            div class="head" {
                h2 id="sessions" { "Your sessions" }
                @if !others.is_empty() {
                    form method="post" action="/sessions/end-others" {
                        button class="quiet" id="end-others" { "End all others" }
                    }
                }
            }
            ul class="sessions" {
                @for mine in this { (session(view, mine)) }
                @for mine in others.into_iter().rev() { (session(view, mine)) }
             }
        }
    }
}

fn session(view: &View, mine: &Mine) -> Markup {
    let which = format!("End the session {} on {}", short(&mine.key), mine.device);
    html! {
        li class=[mine.current.then_some("current")] {
            div {
                p class="device" {
                    (mine.device)
                    @if mine.current { " " span class="badge" { "this one" } }
                }
                p class="faint" {
                    @if let Some(address) = &mine.address { (address) " · " }
                    "began " (time(view.now, mine.created_at))
                    " · used " (time(view.now, mine.last_accessed))
                }
            }
            code class="faint" { (short(&mine.key)) }
            form method="post" action="/sessions/end" {
                input type="hidden" name="key" value=(mine.key);
                button class="quiet" aria-label=(which) { "End" }
            }
        }
    }
}

fn time(now: Timestamp, then: Timestamp) -> Markup {
    html! { time datetime=(rfc3339(then)) { (ago(Language::English, now, then)) } }
}
