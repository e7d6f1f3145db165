//! A user's own page: their sessions, to be looked through and ended.

use axum::Form;
use axum::extract::State;
use axum::extract::rejection::FormRejection;
use cloakroom::{Error, Info, Key, Timestamp};
use http::StatusCode;
use serde::Deserialize;

use super::desk::{Desk, sent, to_login, with_cookie};
use super::forms::unreadable;
use super::routes::{Answer, Asked, LOGIN, ME};
use super::views;
use crate::pages::{Language, Problem, device};
use crate::visitor::User;

/// The most sessions that are shown; the newest are.
const MOST_SHOWN: usize = 100;

/// One of a user's sessions, as they see it.
#[derive(Debug)]
pub(super) struct Mine {
    pub(super) key: String,
    pub(super) device: String,
    pub(super) address: Option<String>,
    pub(super) place: Option<String>,
    pub(super) authenticated_at: Timestamp,
    pub(super) last_accessed: Timestamp,
    pub(super) current: bool,
}

#[derive(Debug, Deserialize)]
pub(super) struct KeyFields {
    key: String,
    mark: Option<String>,
}

#[derive(Debug, Deserialize)]
pub(super) struct MarkFields {
    mark: Option<String>,
}

/// Shows the page; somebody who is not signed in does that first.
pub(super) async fn show(State(desk): State<Desk>, asked: Asked) -> Answer {
    let browser = desk.flows.browser(&asked.headers);
    let Some(user) = &asked.user else {
        return to_login(browser, ME).await;
    };
    let mine = desk.sessions_of(user, asked.language).await?;
    let now = desk.sessions.now();
    let page = views::me(&desk, asked.language, &user.id, &browser.mark(), &mine, now);
    Ok(with_cookie(page.response(StatusCode::OK), browser.cookie))
}

/// Ends one session.
pub(super) async fn end(
    State(desk): State<Desk>,
    asked: Asked,
    fields: Result<Form<KeyFields>, FormRejection>,
) -> Answer {
    let Form(KeyFields { key, mark }) = fields.map_err(|rejection| unreadable(&rejection))?;
    let Some(user) = signed_in(&desk, &asked, mark.as_deref())? else {
        return sent(StatusCode::SEE_OTHER, LOGIN);
    };
    // One that is not there is not on the list any more, which is what was asked for.
    desk.end_one(&asked, user, &key).await?;
    sent(StatusCode::SEE_OTHER, ME)
}

/// Ends all sessions but the one that asks.
pub(super) async fn end_others(
    State(desk): State<Desk>,
    asked: Asked,
    fields: Result<Form<MarkFields>, FormRejection>,
) -> Answer {
    let Form(MarkFields { mark }) = fields.map_err(|rejection| unreadable(&rejection))?;
    let Some(user) = signed_in(&desk, &asked, mark.as_deref())? else {
        return sent(StatusCode::SEE_OTHER, LOGIN);
    };
    desk.sessions.end_all(&user.id, user.session).await?;
    sent(StatusCode::SEE_OTHER, ME)
}

fn signed_in<'a>(
    desk: &Desk,
    asked: &'a Asked,
    mark: Option<&str>,
) -> Result<Option<&'a User>, Problem> {
    let expected = desk.flows.browser(&asked.headers).mark();
    match asked.is_from_our_page(mark, &expected) {
        true => Ok(asked.user.as_ref()),
        false => Err(Problem::CrossSite),
    }
}

impl Desk {
    /// A user's sessions: this one first, then the newest.
    pub(super) async fn sessions_of(
        &self,
        user: &User,
        language: Language,
    ) -> Result<Vec<Mine>, Error> {
        let found = match self.sessions.of_principal(&user.id).await {
            // A store that cannot list knows this one all the same.
            Err(Error::NoDirectory) => match user.session {
                Some(key) => self.sessions.look(key).await?.into_iter().collect(),
                None => Vec::new(),
            },
            found => found?,
        };
        let mine = |info: &Info| self.mine(info, user.session, language);
        let mut mine: Vec<Mine> = found.iter().rev().map(mine).collect();
        mine.sort_by_key(|mine| !mine.current);
        mine.truncate(MOST_SHOWN);
        Ok(mine)
    }

    fn mine(&self, info: &Info, current: Option<Key>, language: Language) -> Mine {
        let address = info.address();
        let place = self.places.as_ref().zip(address.as_deref());
        Mine {
            key: info.key().to_string(),
            device: device::describe(&info.device().unwrap_or_default(), language),
            place: place.and_then(|(places, address)| places.of(address, language)),
            address,
            authenticated_at: info.authenticated_at().unwrap_or(info.created_at()),
            last_accessed: info.last_accessed(),
            current: current == Some(info.key()),
        }
    }

    /// Ends one of a user's sessions, the current one as by signing out; whether there was one.
    pub(super) async fn end_one(
        &self,
        asked: &Asked,
        user: &User,
        key: &str,
    ) -> Result<bool, Error> {
        let Ok(key) = key.parse::<Key>() else {
            return Ok(false);
        };
        if user.session == Some(key) {
            asked.session.log_out()?;
            asked.session.commit().await?.done()?;
            return Ok(true);
        }
        self.sessions.end_own(&user.id, key).await
    }
}
