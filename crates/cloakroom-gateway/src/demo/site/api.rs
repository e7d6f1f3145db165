//! The shop for programs: JSON in, JSON out, the same cookie.

use axum::Json;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use cloakroom::{Refusal, Session};
use serde::{Deserialize, Serialize};

use super::Site;
use super::problem::{Body, Problem};
use super::shop::{self, CART, Cart, VISITS, Wish};
use super::visitor::{self, Credentials, Ended, Failed};
use crate::demo::settings::Name;
use crate::pages::when::rfc3339;

type Answer<T> = Result<Json<T>, Problem>;

#[derive(Deserialize)]
pub(super) struct WishBody {
    item: String,
    quantity: u32,
}

#[derive(Serialize)]
pub(super) struct SessionAnswer {
    node: Name,
    user: Option<String>,
    visits: u64,
    cart: Cart,
    new: bool,
}

#[derive(Serialize)]
pub(super) struct UserAnswer {
    node: Name,
    user: Option<&'static str>,
}

#[derive(Serialize)]
pub(super) struct VisitAnswer {
    node: Name,
    visits: u64,
}

#[derive(Serialize)]
pub(super) struct CartAnswer {
    node: Name,
    cart: Cart,
}

#[derive(Serialize)]
pub(super) struct SessionsAnswer {
    node: Name,
    sessions: Vec<OneOfThem>,
}

/// One of the signed-in user's sessions.
#[derive(Serialize)]
pub(super) struct OneOfThem {
    key: String,
    device: String,
    address: Option<String>,
    created: String,
    last_accessed: String,
    current: bool,
}

#[derive(Serialize)]
pub(super) struct EndedAnswer {
    node: Name,
    ended: String,
}

/// Tells what is in the session. Makes none.
pub(super) async fn session(State(site): State<Site>, session: Session) -> Answer<SessionAnswer> {
    Ok(Json(SessionAnswer {
        node: site.settings.name,
        user: session.principal(),
        visits: session.get(VISITS)?.unwrap_or(0),
        cart: session.get(CART)?.unwrap_or_default(),
        new: session.is_new(),
    }))
}

pub(super) async fn login(
    State(site): State<Site>,
    session: Session,
    Body(credentials): Body<Credentials>,
) -> Answer<UserAnswer> {
    let user = match visitor::log_in(&site, &session, credentials).await {
        Ok(Some(user)) => user,
        Ok(None) => return Err(Problem::wrong_password()),
        Err(Failed::Unchecked(unchecked)) => return Err(unchecked.into()),
        Err(Failed::Session(error)) => return Err(error.into()),
    };
    Ok(Json(UserAnswer { node: site.settings.name, user: Some(user) }))
}

pub(super) async fn logout(State(site): State<Site>, session: Session) -> Answer<UserAnswer> {
    visitor::log_out(&session).await?;
    Ok(Json(UserAnswer { node: site.settings.name, user: None }))
}

pub(super) async fn visit(State(site): State<Site>, session: Session) -> Answer<VisitAnswer> {
    let (node, now) = (site.settings.name, site.sessions.now());
    let visits = shop::visit(&session, node, now).await?;
    Ok(Json(VisitAnswer { node, visits }))
}

pub(super) async fn cart(
    State(site): State<Site>,
    session: Session,
    Body(WishBody { item, quantity }): Body<WishBody>,
) -> Answer<CartAnswer> {
    let wish = Wish::parse(&item, quantity)?;
    let (node, now) = (site.settings.name, site.sessions.now());
    let cart = shop::add(&session, &wish, node, now).await??;
    Ok(Json(CartAnswer { node, cart }))
}

/// Lists the signed-in user's sessions.
pub(super) async fn sessions(State(site): State<Site>, session: Session) -> Answer<SessionsAnswer> {
    if session.principal().is_none() {
        return Err(Refusal::not_signed_in().into());
    }
    let found = visitor::sessions_of(&site, &session).await?;
    let sessions = found.into_iter().map(|mine| OneOfThem {
        key: mine.key,
        device: mine.device,
        address: mine.address,
        created: rfc3339(mine.created_at),
        last_accessed: rfc3339(mine.last_accessed),
        current: mine.current,
    });
    Ok(Json(SessionsAnswer { node: site.settings.name, sessions: sessions.collect() }))
}

/// Ends one of the signed-in user's sessions.
pub(super) async fn end(
    State(site): State<Site>,
    session: Session,
    key: Result<Path<String>, PathRejection>,
) -> Answer<EndedAnswer> {
    // What is not even text is no session's key either.
    let key = key.map_or_else(|_| String::new(), |Path(key)| key);
    match visitor::end(&site, &session, &key).await? {
        Ended::Done => Ok(Json(EndedAnswer { node: site.settings.name, ended: key })),
        Ended::NotSignedIn => Err(Refusal::not_signed_in().into()),
        Ended::NotTheirs => {
            let message = "You have no such session.";
            Err(Problem::new(StatusCode::NOT_FOUND, "no_such_session", message))
        }
    }
}
