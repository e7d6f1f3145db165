//! The page and its forms. Each form is answered by a way back to the page, so that a reload
//! repeats nothing.

use axum::Form;
use axum::extract::State;
use axum::extract::rejection::FormRejection;
use axum::http::StatusCode;
use axum::response::{Html, IntoResponse, Redirect, Response};
use serde::Deserialize;

use super::Site;
use super::desk::{Desk, Trouble, html};
use super::page::{self, Notice, View};
use super::problem::{WRONG_CREDENTIALS, sentence};
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
pub(super) async fn home(State(site): State<Site>, desk: Desk) -> Result<Html<String>, Trouble> {
    shown(&site, &desk, None).await
}

pub(super) async fn login(
    State(site): State<Site>,
    desk: Desk,
    fields: Fields<Credentials>,
) -> Answer {
    let credentials = read(&desk, fields)?;
    let notice = match visitor::log_in(&site, &desk.session, credentials).await {
        Ok(Some(_)) => return back(&desk, visitor::settle(&desk.session).await),
        Ok(None) => (StatusCode::UNAUTHORIZED, WRONG_CREDENTIALS.to_owned()),
        Err(visitor::Failed::Unchecked(unchecked)) => (status(unchecked), sentence(unchecked)),
        Err(visitor::Failed::Session(error)) => return Err(desk.refused(error)),
    };
    let (status, text) = notice;
    let notice = Notice { title: "You are not signed in.", text: &text };
    Ok((status, shown(&site, &desk, Some(notice)).await?).into_response())
}

fn status(unchecked: Unchecked) -> StatusCode {
    match unchecked {
        Unchecked::Busy | Unchecked::Away => StatusCode::SERVICE_UNAVAILABLE,
        Unchecked::Broken => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

pub(super) async fn logout(desk: Desk) -> Answer {
    let done = visitor::log_out(&desk.session).await;
    back(&desk, done)
}

pub(super) async fn visit(State(site): State<Site>, desk: Desk) -> Answer {
    let (node, now) = (site.settings.name, site.sessions.now());
    let done = shop::visit(&desk.session, node, now).await;
    back(&desk, done.map(drop))
}

pub(super) async fn cart(
    State(site): State<Site>,
    desk: Desk,
    fields: Fields<WishFields>,
) -> Answer {
    let WishFields { item, quantity } = read(&desk, fields)?;
    let wish = match Wish::parse(&item, quantity) {
        Ok(wish) => wish,
        Err(no_room) => return full(&site, &desk, no_room).await,
    };
    let (node, now) = (site.settings.name, site.sessions.now());
    match shop::add(&desk.session, &wish, node, now).await {
        Ok(Err(no_room)) => full(&site, &desk, no_room).await,
        done => back(&desk, done.map(drop)),
    }
}

async fn full(site: &Site, desk: &Desk, no_room: NoRoom) -> Answer {
    let text = sentence(no_room);
    let notice = Notice { title: "The cart is as it was.", text: &text };
    let page = shown(site, desk, Some(notice)).await?;
    Ok((StatusCode::UNPROCESSABLE_ENTITY, page).into_response())
}

pub(super) async fn end(State(site): State<Site>, desk: Desk, fields: Fields<KeyField>) -> Answer {
    let KeyField { key } = read(&desk, fields)?;
    match visitor::end(&site, &desk.session, &key).await {
        Ok(Ended::NotSignedIn) => Err(not_signed_in(&desk)),
        // It is not on the list any more, which is what was asked for.
        Ok(Ended::Done | Ended::NotTheirs) => back(&desk, Ok(())),
        Err(error) => Err(desk.refused(error)),
    }
}

pub(super) async fn end_others(State(site): State<Site>, desk: Desk) -> Answer {
    match visitor::end_others(&site, &desk.session).await {
        Ok(Ended::NotSignedIn) => Err(not_signed_in(&desk)),
        done => back(&desk, done.map(drop)),
    }
}

fn not_signed_in(desk: &Desk) -> Trouble {
    let text = "Sign in first: only then there is a list of sessions that are yours.";
    let notice = Notice { title: "Nobody is signed in.", text };
    Trouble::new(&desk.node, StatusCode::UNAUTHORIZED, notice)
}

/// The page as it is now, with a word on the request.
async fn shown(
    site: &Site,
    desk: &Desk,
    notice: Option<Notice<'_>>,
) -> Result<Html<String>, Trouble> {
    let view = View::read(site, &desk.session).await.map_err(|error| desk.refused(error))?;
    Ok(html(page::whole(&desk.node, &view, notice)))
}

/// The way back to the page, once it is done.
fn back(desk: &Desk, done: Result<(), cloakroom::Error>) -> Answer {
    done.map_err(|error| desk.refused(error))?;
    Ok(Redirect::to("/").into_response())
}

fn read<T>(desk: &Desk, fields: Fields<T>) -> Result<T, Trouble> {
    fields.map(|Form(fields)| fields).map_err(|rejection| {
        let text = "The form did not arrive as it should. Nothing was changed.";
        let notice = Notice { title: "That did not work.", text };
        Trouble::new(&desk.node, rejection.status(), notice)
    })
}
