//! Cloakroom over Redis, as its front page sets it up.

use std::error::Error;
use std::time::Duration;

use axum::Router;
use axum::http::StatusCode;
use axum::routing::get;
use bench_common::{
    CONSTANT, CSRF, Line, NAME, Options, USER_ID, cart, next_number, next_user, roles,
};
use cloakroom::{Housekeeping, Refusal, Session, SessionLayer, Sessions, Slot, StoreOptions};

const USER: Slot<u64> = Slot::new("user_id");
const CALLED: Slot<String> = Slot::new("name");
const ROLES: Slot<Vec<String>> = Slot::new("roles");
const CART: Slot<Vec<Line>> = Slot::new("cart");
const FORM_TOKEN: Slot<String> = Slot::new("csrf");
const STEP: Slot<u64> = Slot::new("step");
const COUNTER: Slot<u64> = Slot::new("counter");

async fn constant() -> &'static str {
    CONSTANT
}

async fn seed(session: Session) -> Result<&'static str, Refusal> {
    session.set(USER, &USER_ID)?;
    session.set(CALLED, &NAME.to_owned())?;
    session.set(ROLES, &roles())?;
    session.set(CART, &cart())?;
    session.set(FORM_TOKEN, &CSRF.to_owned())?;
    Ok("seeded")
}

async fn read(session: Session) -> Result<Result<String, StatusCode>, Refusal> {
    Ok(session.get(CALLED)?.ok_or(StatusCode::NOT_FOUND))
}

async fn write(session: Session) -> Result<&'static str, Refusal> {
    session.set(STEP, &next_number())?;
    Ok("written")
}

async fn login(session: Session) -> Result<&'static str, Refusal> {
    session.log_in(next_user())?;
    Ok("signed in")
}

async fn contended(session: Session) -> Result<&'static str, Refusal> {
    session.update(COUNTER, |counter| *counter += 1)?;
    Ok("counted")
}

async fn counter(session: Session) -> Result<String, Refusal> {
    Ok(session.get(COUNTER)?.unwrap_or_default().to_string())
}

/// Sessions in the Redis at `options.redis`, with the near cache that `connect` gives or without.
async fn sessions(options: &Options) -> Result<Sessions, Box<dyn Error>> {
    let store = if options.cache {
        cloakroom::connect(&options.redis).await?
    } else {
        let uncached = StoreOptions { cache: None, ..StoreOptions::default() };
        cloakroom::connect_with(&options.redis, &uncached).await?
    };
    Ok(cloakroom::sessions(store).build()?)
}

#[tokio::main(worker_threads = 1)]
async fn main() -> Result<(), Box<dyn Error>> {
    let options = Options::from_args()?;
    let sessions = sessions(&options).await?;
    let _housekeeping = Housekeeping::start(&sessions, Duration::from_secs(60));
    let app = Router::new()
        .route("/unused", get(constant))
        .route("/seed", get(seed))
        .route("/read", get(read))
        .route("/write", get(write))
        .route("/login", get(login))
        .route("/contended", get(contended))
        .route("/counter", get(counter))
        .layer(SessionLayer::new(sessions))
        .route("/none", get(constant));
    let listener = tokio::net::TcpListener::bind(options.address()).await?;
    Ok(axum::serve(listener, app).await?)
}
