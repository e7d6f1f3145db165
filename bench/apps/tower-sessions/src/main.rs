//! tower-sessions over Redis; with `--cache on`, moka over Redis, as its README puts a cache before
//! a store.

use std::error::Error;

use axum::Router;
use axum::http::StatusCode;
use axum::routing::get;
use bench_common::{
    CACHED_SESSIONS, CONSTANT, CSRF, IDLE_SECONDS, NAME, Options, USER_ID, cart, next_number,
    next_user, roles,
};
use time::Duration;
use tower_sessions::{CachingSessionStore, Expiry, Session, SessionManagerLayer, SessionStore};
use tower_sessions_moka_store::MokaStore;
use tower_sessions_redis_store::RedisStore;
use tower_sessions_redis_store::fred::prelude::*;

/// As many connections to Redis as the README has.
const POOL: usize = 6;

type Answer<T> = Result<T, StatusCode>;

async fn constant() -> &'static str {
    CONSTANT
}

async fn seed(session: Session) -> Answer<&'static str> {
    session.insert("user_id", USER_ID).await.map_err(internal)?;
    session.insert("name", NAME).await.map_err(internal)?;
    session.insert("roles", roles()).await.map_err(internal)?;
    session.insert("cart", cart()).await.map_err(internal)?;
    session.insert("csrf", CSRF).await.map_err(internal)?;
    Ok("seeded")
}

async fn read(session: Session) -> Answer<String> {
    session.get("name").await.map_err(internal)?.ok_or(StatusCode::NOT_FOUND)
}

async fn write(session: Session) -> Answer<&'static str> {
    session.insert("step", next_number()).await.map_err(internal)?;
    Ok("written")
}

async fn login(session: Session) -> Answer<&'static str> {
    session.cycle_id().await.map_err(internal)?;
    session.insert("principal", next_user()).await.map_err(internal)?;
    Ok("signed in")
}

async fn contended(session: Session) -> Answer<&'static str> {
    let counter: u64 = session.get("counter").await.map_err(internal)?.unwrap_or_default();
    session.insert("counter", counter + 1).await.map_err(internal)?;
    Ok("counted")
}

async fn counter(session: Session) -> Answer<String> {
    let counter: u64 = session.get("counter").await.map_err(internal)?.unwrap_or_default();
    Ok(counter.to_string())
}

fn internal(error: tower_sessions::session::Error) -> StatusCode {
    eprintln!("{error}");
    StatusCode::INTERNAL_SERVER_ERROR
}

fn app(store: impl SessionStore + Clone) -> Router {
    let idle = Duration::seconds(IDLE_SECONDS.cast_signed());
    let layer = SessionManagerLayer::new(store).with_expiry(Expiry::OnInactivity(idle));
    Router::new()
        .route("/unused", get(constant))
        .route("/seed", get(seed))
        .route("/read", get(read))
        .route("/write", get(write))
        .route("/login", get(login))
        .route("/contended", get(contended))
        .route("/counter", get(counter))
        .layer(layer)
        .route("/none", get(constant))
}

#[tokio::main(worker_threads = 1)]
async fn main() -> Result<(), Box<dyn Error>> {
    let options = Options::from_args()?;
    let pool = Pool::new(Config::from_url(&options.redis)?, None, None, None, POOL)?;
    let redis = pool.connect();
    pool.wait_for_connect().await?;
    let store = RedisStore::new(pool);
    let app = if options.cache {
        app(CachingSessionStore::new(MokaStore::new(Some(CACHED_SESSIONS)), store))
    } else {
        app(store)
    };
    let listener = tokio::net::TcpListener::bind(options.address()).await?;
    axum::serve(listener, app).await?;
    Ok(redis.await??)
}
