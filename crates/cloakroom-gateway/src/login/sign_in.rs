//! Signing in with a name and a password, alike for forms and for programs.

use cloakroom::Login;
use serde::Deserialize;

use super::desk::Desk;
use super::routes::Asked;
use super::throttle::{Held, Try};
use super::users::{Account, Name, Password, Unchecked};
use crate::pages::Problem;

/// Who somebody says they are.
#[derive(Debug, Deserialize)]
pub(super) struct Credentials {
    pub(super) username: String,
    pub(super) password: Password,
    /// Whether the login is to be remembered.
    #[serde(default)]
    pub(super) remember: bool,
}

impl Desk {
    /// Signs somebody in, and commits that: who they are now. An unknown user, a wrong password and
    /// a disabled user are one and the same problem.
    pub(super) async fn sign_in(
        &self,
        asked: &Asked,
        credentials: Credentials,
    ) -> Result<Account, Problem> {
        let Credentials { username, password, remember } = credentials;
        let name = Name::parse(&username).ok().filter(|_| !password.is_too_long());
        let counted = self.throttle.begin(name.as_ref(), asked.address).await?;
        let Some(account) = self.users.check(name.as_ref(), password, asked.address).await? else {
            return Err(Problem::WrongCredentials);
        };
        self.begin_session(asked, &account, remember).await?;
        Try::was_right(counted).await;
        Ok(account)
    }

    async fn begin_session(
        &self,
        asked: &Asked,
        account: &Account,
        remember: bool,
    ) -> Result<(), Problem> {
        let session = &asked.session;
        let mut login = Login::new(&account.name);
        for role in &account.roles {
            login = login.role(role);
        }
        session.log_in(login)?;
        let policy = self.sessions.policy();
        let (idle, lifetime) = match self.settings.remember.filter(|_| remember) {
            Some(remembered) => (Some(remembered), Some(remembered)),
            None => (policy.idle, policy.lifetime),
        };
        session.set_remembered(remember && self.settings.remember.is_some())?;
        session.set_idle(idle)?;
        session.set_lifetime(lifetime)?;
        session.commit().await?.done()?;
        // Whoever is disabled, or gets another password or other roles, has their sessions ended after
        // that. A login that began before it is either found there, or finds the change here.
        let unchanged = self.users.is_unchanged(account).await;
        if unchanged != Ok(true) {
            session.end()?;
            session.commit().await?.done()?;
        }
        match unchanged? {
            true => Ok(()),
            false => Err(Problem::WrongCredentials),
        }
    }
}

impl From<Held> for Problem {
    fn from(held: Held) -> Self {
        match held {
            Held::For(wait) => Self::TooMany(wait.as_millis().div_ceil(1000).max(1) as u64),
            Held::Unknown(error) => error.into(),
        }
    }
}

impl From<Unchecked> for Problem {
    fn from(unchecked: Unchecked) -> Self {
        match unchecked {
            Unchecked::Busy => Self::Busy,
            Unchecked::Broken => Self::Broken,
            Unchecked::Away => Self::StoreAway,
        }
    }
}
