//! The login and the logout as pages. Each form is answered by a way on, so that a reload repeats
//! nothing.

use axum::Form;
use axum::extract::State;
use axum::extract::rejection::FormRejection;
use http::StatusCode;
use serde::Deserialize;

use super::desk::{Desk, sent, to_login, with_cookie};
use super::routes::{Answer, Asked, Query};
use super::sign_in::Credentials;
use super::users::Password;
use super::views::{self, LoginForm};
use super::{random, target};
use crate::pages::Problem;

/// Where a login or a logout leads.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Where {
    flow: Option<String>,
    return_to: Option<String>,
}

#[derive(Debug, Deserialize)]
pub(super) struct LoginFields {
    username: String,
    password: Password,
    /// A box that is not ticked is not sent.
    remember: Option<String>,
    flow: Option<String>,
    mark: Option<String>,
}

#[derive(Debug, Deserialize)]
pub(super) struct LogoutFields {
    return_to: Option<String>,
    mark: Option<String>,
}

/// Shows the login, or sends somebody back who is signed in already.
pub(super) async fn show(
    State(desk): State<Desk>,
    asked: Asked,
    Query(asked_for): Query<Where>,
) -> Answer {
    let browser = desk.flows.browser(&asked.headers);
    let Where { flow, return_to } = asked_for;
    let wanted = return_to.and_then(|to| target::safe(&to, &desk.settings.return_hosts));
    if asked.user.is_some() {
        let flow = match &flow {
            Some(flow) => browser.leads_to(flow).await?,
            None => None,
        };
        if !browser.go_back(desk.sessions.now()).await? {
            return Err(Problem::Loop);
        }
        let to = flow.or(wanted).unwrap_or_else(|| target::START.to_owned());
        return Ok(with_cookie(sent(StatusCode::SEE_OTHER, &to)?, browser.cookie));
    }
    if let (None, Some(to)) = (&flow, wanted) {
        return to_login(browser, &to).await;
    }
    let form = LoginForm {
        flow: flow.as_deref().filter(|flow| random::is_id(flow)),
        mark: &browser.mark(),
        username: "",
        problem: None,
    };
    let page = views::login(&desk, asked.language, &form).response(StatusCode::OK);
    Ok(with_cookie(page, browser.cookie))
}

/// Signs somebody in and sends them to where they wanted to go; else shows the form again.
pub(super) async fn log_in(
    State(desk): State<Desk>,
    asked: Asked,
    Query(asked_for): Query<Where>,
    fields: Result<Form<LoginFields>, FormRejection>,
) -> Answer {
    let Form(fields) = fields.map_err(|rejection| unreadable(&rejection))?;
    let browser = desk.flows.browser(&asked.headers);
    let LoginFields { username, password, remember, flow, mark } = fields;
    if !asked.is_from_our_page(mark.as_deref(), &browser.mark()) {
        return Err(Problem::CrossSite);
    }
    // Else the right password would lead back to an empty form.
    if browser.has_dropped_cookie(&asked.headers) {
        return Err(Problem::CookieNotKept);
    }
    let flow = flow.or(asked_for.flow).filter(|flow| random::is_id(flow));
    let credentials =
        Credentials { username: username.clone(), password, remember: remember.is_some() };
    match desk.sign_in(&asked, credentials).await {
        Ok(_) => {}
        Err(problem @ Problem::WrongCredentials) => {
            let form = LoginForm {
                flow: flow.as_deref(),
                mark: &browser.mark(),
                username: &username,
                problem: Some(problem),
            };
            let page = views::login(&desk, asked.language, &form).response(problem.status());
            return Ok(with_cookie(page, browser.cookie));
        }
        Err(other) => return Err(other),
    }
    let to = match flow {
        // Somebody is signed in by now: where that led is not worth failing for.
        Some(flow) => browser.leads_to(&flow).await.unwrap_or_default(),
        None => None,
    };
    sent(StatusCode::SEE_OTHER, to.as_deref().unwrap_or(target::START))
}

/// Asks whether somebody means to sign out.
pub(super) async fn confirm(
    State(desk): State<Desk>,
    asked: Asked,
    Query(asked_for): Query<Where>,
) -> Answer {
    let to = asked_for.return_to.and_then(|to| target::safe(&to, &desk.settings.return_hosts));
    let Some(user) = &asked.user else {
        return sent(StatusCode::SEE_OTHER, to.as_deref().unwrap_or(target::START));
    };
    let browser = desk.flows.browser(&asked.headers);
    let page = views::logout(&desk, asked.language, &user.id, &browser.mark(), to.as_deref());
    Ok(with_cookie(page.response(StatusCode::OK), browser.cookie))
}

/// Ends the session.
pub(super) async fn log_out(
    State(desk): State<Desk>,
    asked: Asked,
    fields: Result<Form<LogoutFields>, FormRejection>,
) -> Answer {
    let Form(LogoutFields { return_to, mark }) =
        fields.map_err(|rejection| unreadable(&rejection))?;
    let browser = desk.flows.browser(&asked.headers);
    if !asked.is_from_our_page(mark.as_deref(), &browser.mark()) {
        return Err(Problem::CrossSite);
    }
    asked.session.log_out()?;
    asked.session.commit().await?.done()?;
    let to = return_to.and_then(|to| target::safe(&to, &desk.settings.return_hosts));
    sent(StatusCode::SEE_OTHER, to.as_deref().unwrap_or(target::START))
}

/// What is wrong with a form, without a word of what is in it.
pub(super) fn unreadable(rejection: &FormRejection) -> Problem {
    match rejection.status() {
        StatusCode::PAYLOAD_TOO_LARGE => Problem::TooLarge,
        _ => Problem::BadRequest("the form did not arrive as it should"),
    }
}
