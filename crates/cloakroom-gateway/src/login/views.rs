//! The login's pages as they are seen.

use cloakroom::Timestamp;
use maud::{Markup, html};

use super::desk::Desk;
use super::me::Mine;
use super::routes::{END, END_OTHERS, LOGIN, LOGOUT};
use crate::pages::when::{ago, rfc3339};
use crate::pages::{Language, Page, Problem};

/// What the login's form holds.
pub(super) struct LoginForm<'a> {
    /// The login that is under way.
    pub(super) flow: Option<&'a str>,
    pub(super) mark: &'a str,
    /// The name that was typed before.
    pub(super) username: &'a str,
    /// What became of the try before.
    pub(super) problem: Option<Problem>,
}

fn page<'a>(desk: &'a Desk, language: Language, title: &'static str, main: Markup) -> Page<'a> {
    let (brand, form_origins) = (&desk.look.brand, &*desk.form_origins);
    Page { language, title, brand, wide: false, form_origins, main }
}

pub(super) fn login<'a>(desk: &'a Desk, language: Language, form: &LoginForm<'_>) -> Page<'a> {
    let title = language.say("Sign in", "登录");
    let LoginForm { flow, mark, username, problem } = *form;
    let action = match flow {
        Some(flow) => format!("{LOGIN}?flow={flow}"),
        None => LOGIN.to_owned(),
    };
    let (invalid, described) = match problem {
        Some(_) => (Some("true"), Some("problem")),
        None => (None, None),
    };
    let main = html! {
        h1 { (title) }
        @if let Some(problem) = problem {
            p id="problem" class="alert" role="alert" { (problem.words(language).1) }
        }
        form class="stack" method="post" action=(action) {
            @if let Some(flow) = flow { input type="hidden" name="flow" value=(flow); }
            input type="hidden" name="mark" value=(mark);
            label for="username" { (language.say("Name", "用户名")) }
            input id="username" name="username" value=(username) required maxlength="128"
                autocomplete="username" autocapitalize="none" autocorrect="off" spellcheck="false"
                autofocus[problem.is_none()] aria-invalid=[invalid] aria-describedby=[described];
            label for="password" { (language.say("Password", "密码")) }
            input id="password" name="password" type="password" required maxlength="1024"
                autocomplete="current-password" autofocus[problem.is_some()]
                aria-invalid=[invalid] aria-describedby=[described];
            @if desk.settings.remember.is_some() {
                label class="check" for="remember" {
                    input id="remember" name="remember" type="checkbox" value="yes";
                    span { (language.say("Keep me signed in on this device", "在此设备上保持登录")) }
                }
            }
            button id="sign-in" { (title) }
        }
    };
    page(desk, language, title, main)
}

pub(super) fn logout<'a>(
    desk: &'a Desk,
    language: Language,
    user: &str,
    mark: &str,
    to: Option<&str>,
) -> Page<'a> {
    let title = language.say("Sign out?", "退出登录？");
    let main = html! {
        h1 { (title) }
        p { (signed_in_as(language, user)) }
        form class="row" method="post" action=(LOGOUT) {
            input type="hidden" name="mark" value=(mark);
            @if let Some(to) = to { input type="hidden" name="return_to" value=(to); }
            button id="sign-out" { (language.say("Sign out", "退出登录")) }
            a href=(to.unwrap_or("/")) { (language.say("Stay signed in", "保持登录")) }
        }
    };
    page(desk, language, title, main)
}

pub(super) fn me<'a>(
    desk: &'a Desk,
    language: Language,
    user: &str,
    mark: &str,
    mine: &[Mine],
    now: Timestamp,
) -> Page<'a> {
    let title = language.say("Your sessions", "您的会话");
    let others = mine.iter().any(|mine| !mine.current);
    let main = html! {
        div class="top" {
            div {
                h1 { (title) }
                p { (signed_in_as(language, user)) }
            }
            form method="post" action=(LOGOUT) {
                input type="hidden" name="mark" value=(mark);
                button class="quiet" id="sign-out" { (language.say("Sign out", "退出登录")) }
            }
        }
        div class="head" {
            h2 { (language.say("Where you are signed in", "您在这些设备上登录")) }
            @if others {
                form method="post" action=(END_OTHERS) {
                    input type="hidden" name="mark" value=(mark);
                    button class="quiet" id="end-others" {
                        (language.say("End all others", "结束其他所有会话"))
                    }
                }
            }
        }
        ul class="sessions" {
            @for mine in mine { (session(language, mark, mine, now)) }
        }
        p class="faint" {
            (language.say(
                "Is there one that you do not know? End it, and have your password changed.",
                "有您不认识的会话？请结束它，并请管理员更改您的密码。",
            ))
        }
    };
    Page { wide: true, ..page(desk, language, title, main) }
}

fn signed_in_as(language: Language, user: &str) -> Markup {
    html! { (language.say("Signed in as ", "当前用户：")) b { bdi { (user) } } }
}

fn session(language: Language, mark: &str, mine: &Mine, now: Timestamp) -> Markup {
    let end = language.say("End", "结束");
    let which = format!("{end}: {}", mine.device);
    let about = [mine.address.as_deref(), mine.place.as_deref()];
    html! {
        li {
            div {
                p class="device" {
                    (mine.device)
                    @if mine.current {
                        " " span class="badge" { (language.say("this one", "当前会话")) }
                    }
                }
                p class="faint" {
                    @for part in about.into_iter().flatten() { (part) " · " }
                    (said(language, "signed in ", time(language, now, mine.authenticated_at), "登录"))
                    " · "
                    (said(language, "used ", time(language, now, mine.last_accessed), "使用"))
                }
            }
            @if !mine.current {
                form method="post" action=(END) {
                    input type="hidden" name="mark" value=(mark);
                    input type="hidden" name="key" value=(mine.key);
                    button class="quiet" aria-label=(which) { (end) }
                }
            }
        }
    }
}

/// What happened then: said before the time in English, and after it in Chinese.
fn said(language: Language, english: &str, time: Markup, chinese: &str) -> Markup {
    match language {
        Language::English => html! { (english) (time) },
        Language::Chinese => html! { (time) (chinese) },
    }
}

fn time(language: Language, now: Timestamp, then: Timestamp) -> Markup {
    html! { time datetime=(rfc3339(then)) title=(rfc3339(then)) { (ago(language, now, then)) } }
}
