//! actix-session over Redis.

use std::error::Error;

use actix_session::config::PersistentSession;
use actix_session::storage::RedisSessionStore;
use actix_session::{Session, SessionMiddleware};
use actix_web::cookie::{Key, time::Duration};
use actix_web::error::ErrorNotFound;
use actix_web::web::{get, scope};
use actix_web::{App, HttpServer};
use bench_common::{
    CONSTANT, CSRF, IDLE_SECONDS, NAME, Options, USER_ID, cart, next_number, next_user, roles,
};

type Answer<T> = actix_web::Result<T>;

async fn constant() -> &'static str {
    CONSTANT
}

async fn seed(session: Session) -> Answer<&'static str> {
    session.insert("user_id", USER_ID)?;
    session.insert("name", NAME)?;
    session.insert("roles", roles())?;
    session.insert("cart", cart())?;
    session.insert("csrf", CSRF)?;
    Ok("seeded")
}

async fn read(session: Session) -> Answer<String> {
    session.get::<String>("name")?.ok_or_else(|| ErrorNotFound("there is no such session"))
}

async fn write(session: Session) -> Answer<&'static str> {
    session.insert("step", next_number())?;
    Ok("written")
}

async fn login(session: Session) -> Answer<&'static str> {
    session.renew();
    session.insert("principal", next_user())?;
    Ok("signed in")
}

async fn contended(session: Session) -> Answer<&'static str> {
    let counter = session.get::<u64>("counter")?.unwrap_or_default();
    session.insert("counter", counter + 1)?;
    Ok("counted")
}

async fn counter(session: Session) -> Answer<String> {
    Ok(session.get::<u64>("counter")?.unwrap_or_default().to_string())
}

#[actix_web::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let options = Options::from_args()?;
    let store = RedisSessionStore::new(options.redis.clone()).await?;
    let key = Key::generate();
    let idle = Duration::seconds(IDLE_SECONDS.cast_signed());
    let server = HttpServer::new(move || {
        let lifecycle = PersistentSession::default().session_ttl(idle);
        let sessions = SessionMiddleware::builder(store.clone(), key.clone());
        App::new().route("/none", get().to(constant)).service(
            scope("")
                .wrap(sessions.session_lifecycle(lifecycle).build())
                .route("/unused", get().to(constant))
                .route("/seed", get().to(seed))
                .route("/read", get().to(read))
                .route("/write", get().to(write))
                .route("/login", get().to(login))
                .route("/contended", get().to(contended))
                .route("/counter", get().to(counter)),
        )
    });
    Ok(server.workers(1).bind(options.address())?.run().await?)
}
