//! What the page and the interface for programs do alike for whoever asks: signing in and out,
//! listing and ending sessions.

use cloakroom::{Error, Info, Key, Session};
use serde::Deserialize;

use super::Site;
use super::page::{Mine, View};
use super::shop::{CART, VISITS};
use super::trail::{self, Did};
use super::users::Unchecked;
use crate::pages::{Language, device};

/// A name and a password. Not printable, not even for debugging.
#[derive(Deserialize)]
pub(super) struct Credentials {
    user: String,
    password: String,
}

/// Why nobody could be signed in.
#[derive(Debug)]
pub(super) enum Failed {
    Unchecked(Unchecked),
    Session(Error),
}

/// What came of ending a session.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Ended {
    Done,
    /// There is no such session, or it is somebody else's.
    NotTheirs,
    NotSignedIn,
}

/// Signs a user in with the session's next commit; who, or `None` where the password is wrong.
pub(super) async fn log_in(
    site: &Site,
    session: &Session,
    credentials: Credentials,
) -> Result<Option<&'static str>, Failed> {
    let Credentials { user, password } = credentials;
    let checked = site.users.check(&user, password).await.map_err(Failed::Unchecked)?;
    let Some(user) = checked else {
        return Ok(None);
    };
    session.log_in(user).map_err(Failed::Session)?;
    let (node, now) = (site.settings.name, site.sessions.now());
    trail::add(session, node, now, Did::SignedIn).map_err(Failed::Session)?;
    Ok(Some(user))
}

/// Ends the session, where there is one. The token that a login has just replaced ends nothing, and
/// is told to try again.
pub(super) async fn log_out(session: &Session) -> Result<(), Error> {
    session.log_out()?;
    settle(session).await
}

/// Commits now, so that what stands in the way can be said in this response.
pub(super) async fn settle(session: &Session) -> Result<(), Error> {
    session.commit().await?.done().map(drop)
}

/// Ends one of the signed-in user's sessions; their current one as by signing out.
pub(super) async fn end(site: &Site, session: &Session, key: &str) -> Result<Ended, Error> {
    let Some(user) = session.principal() else {
        return Ok(Ended::NotSignedIn);
    };
    let Ok(key) = key.parse::<Key>() else {
        return Ok(Ended::NotTheirs);
    };
    if session.key() == Some(key) {
        log_out(session).await?;
        return Ok(Ended::Done);
    }
    if !site.sessions.end_own(&user, key).await? {
        return Ok(Ended::NotTheirs);
    }
    note_ended(site, session, 1).await?;
    Ok(Ended::Done)
}

/// Ends all of the signed-in user's sessions but this one.
pub(super) async fn end_others(site: &Site, session: &Session) -> Result<Ended, Error> {
    let Some(user) = session.principal() else {
        return Ok(Ended::NotSignedIn);
    };
    let ended = site.sessions.end_all(&user, session.key()).await?;
    if ended > 0 {
        note_ended(site, session, ended).await?;
    }
    Ok(Ended::Done)
}

async fn note_ended(site: &Site, session: &Session, sessions: usize) -> Result<(), Error> {
    let (node, now) = (site.settings.name, site.sessions.now());
    trail::add(session, node, now, Did::EndedOthers { sessions })?;
    settle(session).await
}

/// The signed-in user's sessions, the oldest login first; none where nobody is signed in.
pub(super) async fn sessions_of(site: &Site, session: &Session) -> Result<Vec<Mine>, Error> {
    let Some(user) = session.principal() else {
        return Ok(Vec::new());
    };
    let current = session.key();
    let found = site.sessions.of_principal(&user).await?;
    Ok(found.iter().map(|info| mine(info, current)).collect())
}

fn mine(info: &Info, current: Option<Key>) -> Mine {
    Mine {
        key: info.key().to_string(),
        device: device::describe(&info.device().unwrap_or_default(), Language::English),
        address: info.address(),
        created_at: info.created_at(),
        last_accessed: info.last_accessed(),
        current: current == Some(info.key()),
    }
}

impl View {
    /// Reads what a page shows.
    pub(super) async fn read(site: &Site, session: &Session) -> Result<Self, Error> {
        Ok(Self {
            ticket: session.key().map(|key| key.to_string()),
            user: session.principal(),
            visits: session.get(VISITS)?.unwrap_or(0),
            cart: session.get(CART)?.unwrap_or_default(),
            trail: trail::read(session)?,
            mine: sessions_of(site, session).await?,
            now: site.sessions.now(),
        })
    }
}
