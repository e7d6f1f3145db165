//! The page and its forms. Each form is answered by a way back to the page, so that a reload
//! repeats nothing.

use axum::Form;
use axum::extract::State;
use axum::extract::rejection::FormRejection;
use axum::http::StatusCode;
use axum::response::{Html, IntoResponse, Redirect, Response};
use serde::Deserialize;

use super::Site;
use super::page::{self, Notice, View};
use super::problem::{WRONG_CREDENTIALS, sentence};
use super::request::{PageRequest, Trouble, html};
use super::shop::{self, NoRoom, Wish};
use super::users::Unchecked;
use super::visitor::{self, Credentials, Ended};

type Answer = Result<Response, Trouble>;

/// A form's fields, or what is wrong with the form.
type Fields<T> = Result<Form<T>, FormRejection>;

#[derive(Deserialize)]
pub(super) struct WishFields {
    item: String,
    quantity: u32,
}

#[derive(Deserialize)]
pub(super) struct KeyField {
    key: String,
}

/// Shows the page. Looking makes no session.
pub(super) async fn home(
    State(site): State<Site>,
    request: PageRequest,
) -> Result<Html<String>, Trouble> {
    shown(&site, &request, None).await
}

pub(super) async fn login(
    State(site): State<Site>,
    request: PageRequest,
    fields: Fields<Credentials>,
) -> Answer {
    let credentials = read(&request, fields)?;
    let notice = match visitor::log_in(&site, &request.session, credentials).await {
        Ok(Some(_)) => return back(&request, visitor::settle(&request.session).await),
        Ok(None) => (StatusCode::UNAUTHORIZED, WRONG_CREDENTIALS.to_owned()),
        Err(visitor::Failed::Unchecked(unchecked)) => (status(unchecked), sentence(unchecked)),
        Err(visitor::Failed::Session(error)) => return Err(request.refused(error)),
    };
    let (status, text) = notice;
    let notice = Notice { title: "You are not signed in.", text: &text };
    Ok((status, shown(&site, &request, Some(notice)).await?).into_response())
}

fn status(unchecked: Unchecked) -> StatusCode {
    match unchecked {
        Unchecked::Busy | Unchecked::Away => StatusCode::SERVICE_UNAVAILABLE,
        Unchecked::Broken => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

pub(super) async fn logout(request: PageRequest) -> Answer {
    let done = visitor::log_out(&request.session).await;
    back(&request, done)
}

pub(super) async fn visit(State(site): State<Site>, request: PageRequest) -> Answer {
    let (node, now) = (site.settings.name, site.sessions.now());
    let done = shop::visit(&request.session, node, now).await;
    back(&request, done.map(drop))
}

pub(super) async fn cart(
    State(site): State<Site>,
    request: PageRequest,
    fields: Fields<WishFields>,
) -> Answer {
    let WishFields { item, quantity } = read(&request, fields)?;
    let wish = match Wish::parse(&item, quantity) {
        Ok(wish) => wish,
        Err(no_room) => return full(&site, &request, no_room).await,
    };
    let (node, now) = (site.settings.name, site.sessions.now());
    match shop::add(&request.session, &wish, node, now).await {
        Ok(Err(no_room)) => full(&site, &request, no_room).await,
        done => back(&request, done.map(drop)),
    }
}

async fn full(site: &Site, request: &PageRequest, no_room: NoRoom) -> Answer {
    let text = sentence(no_room);
    let notice = Notice { title: "The cart is as it was.", text: &text };
    let page = shown(site, request, Some(notice)).await?;
    Ok((StatusCode::UNPROCESSABLE_ENTITY, page).into_response())
}

pub(super) async fn end(
    State(site): State<Site>,
    request: PageRequest,
    fields: Fields<KeyField>,
) -> Answer {
    let KeyField { key } = read(&request, fields)?;
    match visitor::end(&site, &request.session, &key).await {
        Ok(Ended::NotSignedIn) => Err(not_signed_in(&request)),
        // It is not on the list any more, which is what was asked for.
        Ok(Ended::Done | Ended::NotTheirs) => back(&request, Ok(())),
        Err(error) => Err(request.refused(error)),
    }
}

pub(super) async fn end_others(State(site): State<Site>, request: PageRequest) -> Answer {
    match visitor::end_others(&site, &request.session).await {
        Ok(Ended::NotSignedIn) => Err(not_signed_in(&request)),
        done => back(&request, done.map(drop)),
    }
}

fn not_signed_in(request: &PageRequest) -> Trouble {
    let text = "Sign in first: only then there is a list of sessions that are yours.";
    let notice = Notice { title: "Nobody is signed in.", text };
    Trouble::new(&request.node, StatusCode::UNAUTHORIZED, notice)
}

/// The page as it is now, with a word on the request.
async fn shown(
    site: &Site,
    request: &PageRequest,
    notice: Option<Notice<'_>>,
) -> Result<Html<String>, Trouble> {
    let view = View::read(site, &request.session).await.map_err(|error| request.refused(error))?;
    Ok(html(page::whole(&request.node, &view, notice)))
}

/// The way back to the page, once it is done.
fn back(request: &PageRequest, done: Result<(), cloakroom::Error>) -> Answer {
    done.map_err(|error| request.refused(error))?;
    Ok(Redirect::to("/").into_response())
}

fn read<T>(request: &PageRequest, fields: Fields<T>) -> Result<T, Trouble> {
    fields.map(|Form(fields)| fields).map_err(|rejection| {
        let text = "The form did not arrive as it should. Nothing was changed.";
        let notice = Notice { title: "That did not work.", text };
        Trouble::new(&request.node, rejection.status(), notice)
    })
}
