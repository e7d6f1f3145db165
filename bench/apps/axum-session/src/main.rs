//! axum_session over Redis; with `--cache off`, without its cache in memory, which no other node
//! hears of.

use std::error::Error;
use std::net::SocketAddr;

use axum::Router;
use axum::http::StatusCode;
use axum::routing::get;
use axum_session::{SessionConfig, SessionLayer, SessionStore};
use axum_session_redispool::SessionRedisPool;
use bench_common::{
    CONSTANT, CSRF, IDLE_SECONDS, NAME, Options, USER_ID, cart, next_number, next_user, roles,
};
use redis_pool::RedisPool;
use time::Duration;

type Session = axum_session::Session<SessionRedisPool>;

async fn constant() -> &'static str {
    CONSTANT
}

async fn seed(session: Session) -> &'static str {
    session.set("user_id", USER_ID);
    session.set("name", NAME);
    session.set("roles", roles());
    session.set("cart", cart());
    session.set("csrf", CSRF);
    "seeded"
}

async fn read(session: Session) -> Result<String, StatusCode> {
    session.get("name").ok_or(StatusCode::NOT_FOUND)
}

async fn write(session: Session) -> &'static str {
    session.set("step", next_number());
    "written"
}

async fn login(session: Session) -> &'static str {
    session.renew();
    session.set("principal", next_user());
    "signed in"
}

async fn contended(session: Session) -> &'static str {
    let counter: u64 = session.get("counter").unwrap_or(0);
    session.set("counter", counter + 1);
    "counted"
}

async fn counter(session: Session) -> String {
    session.get::<u64>("counter").unwrap_or(0).to_string()
}

fn config(options: &Options) -> SessionConfig {
    let config =
        SessionConfig::default().with_lifetime(Duration::seconds(IDLE_SECONDS.cast_signed()));
    if options.cache { config } else { config.with_memory_lifetime(Duration::ZERO) }
}

#[tokio::main(worker_threads = 1)]
async fn main() -> Result<(), Box<dyn Error>> {
    let options = Options::from_args()?;
    let pool = RedisPool::from(redis::Client::open(&*options.redis)?);
    let store = SessionStore::<SessionRedisPool>::new(Some(pool.into()), config(&options)).await?;
    let app = Router::new()
        .route("/unused", get(constant))
        .route("/seed", get(seed))
        .route("/read", get(read))
        .route("/write", get(write))
        .route("/login", get(login))
        .route("/contended", get(contended))
        .route("/counter", get(counter))
        .layer(SessionLayer::new(store))
        .route("/none", get(constant));
    let listener = tokio::net::TcpListener::bind(options.address()).await?;
    let service = app.into_make_service_with_connect_info::<SocketAddr>();
    Ok(axum::serve(listener, service).await?)
}
