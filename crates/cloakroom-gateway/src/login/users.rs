//! Users who sign in with a password: who they are, and what may be changed about them.

mod hashing;
mod name;
mod table;

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use zeroize::Zeroizing;

pub(crate) use hashing::{Cost, Hasher, Unchecked};
pub(crate) use name::{Name, roles};
use table::{Column, Table};
pub(crate) use table::{Missing, is_in_memory};

use super::UsersUrl;
use super::random::random;
use crate::fault::{Fault, chain};

/// The fewest characters of a new password.
const FEWEST_CHARACTERS: usize = 8;
/// The most bytes of a password.
const MOST_PASSWORD: usize = 1024;
/// Whom the first user is.
const FIRST: &str = "admin";
/// Letters of generated passwords: none that is taken for another.
const LETTERS: &[u8; 32] = b"abcdefghjkmnpqrstuvwxyz023456789";
/// Letters of a generated password, five bits each.
const GENERATED: usize = 24;

/// A password. Never printed, and overwritten when it is dropped.
#[derive(Clone)]
pub(crate) struct Password(Zeroizing<String>);

/// The users of a database. Clones are the same.
#[derive(Clone, Debug)]
pub(crate) struct Users {
    table: Table,
    hasher: Arc<Hasher>,
}

/// A user as they are in the database.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Account {
    pub(crate) name: String,
    hash: Arc<str>,
    pub(crate) roles: Vec<String>,
    pub(crate) disabled: bool,
    /// Grows with every change.
    pub(crate) edition: i64,
}

impl Users {
    /// Opens the users' database and makes the table where it is missing.
    pub(crate) async fn open(url: &UsersUrl) -> Result<Self, Fault> {
        Self::open_or(url, Missing::Make).await
    }

    /// Opens it, and does as `missing` says where it is not there.
    pub(crate) async fn open_or(url: &UsersUrl, missing: Missing) -> Result<Self, Fault> {
        let table = Table::open(&url.0, missing).await?;
        Ok(Self { table, hasher: Arc::new(Hasher::new(Cost::OWASP)) })
    }

    #[cfg(test)]
    pub(super) async fn with_cost(url: &UsersUrl, cost: Cost) -> Result<Self, Fault> {
        let table = Table::open(&url.0, Missing::Make).await?;
        Ok(Self { table, hasher: Arc::new(Hasher::new(cost)) })
    }

    /// What of the database had to be made when it was opened.
    pub(crate) fn made(&self) -> Option<&str> {
        self.table.made.as_deref()
    }

    /// Makes ready for the first login.
    pub(crate) async fn prepare(&self) {
        if let Err(error) = self.hasher.prepare().await {
            tracing::error!(%error, "the first login will try again");
        }
    }

    /// Whose name and password these are; `None` where they do not belong together, where there is
    /// no such user, and where the user is disabled: all cost the same work. `address`: where they
    /// came from.
    pub(crate) async fn check(
        &self,
        name: Option<&Name>,
        password: Password,
        address: Option<IpAddr>,
    ) -> Result<Option<Account>, Unchecked> {
        // A name that nobody can have is looked for all the same.
        let found = self.table.find(name.map_or("", Name::as_str)).await.map_err(away)?;
        let found = found.filter(|account| !account.disabled && name.is_some());
        let hash = found.as_ref().map(|account| Arc::clone(&account.hash));
        let checked = self.hasher.check(password, hash, address).await?;
        let Some(account) = found.filter(|_| checked.fits) else {
            return Ok(None);
        };
        if let Some(better) = checked.better
            && let Err(error) = self.table.improve(&account, &better).await
        {
            let error = chain(&error);
            tracing::warn!(%error, "a password keeps its cheap hash until the next login");
        }
        Ok(Some(account))
    }

    /// Whether a user still is as they were when their password was checked.
    pub(crate) async fn is_unchanged(&self, account: &Account) -> Result<bool, Unchecked> {
        let now = self.table.find(&account.name).await.map_err(away)?;
        Ok(now.is_some_and(|now| now.edition == account.edition))
    }

    /// Makes the first user where there is none: `admin`, with the role `admin` and a password that
    /// is returned to be shown once.
    pub(crate) async fn first_admin(&self) -> Result<Option<(Name, Password)>, Fault> {
        if !self.table.is_empty().await.map_err(|error| broken(&error))? {
            return Ok(None);
        }
        let name = Name::parse(FIRST).map_err(|error| Fault::new(error.to_string()))?;
        let password = Password::generate();
        let added = self.add(&name, password.clone(), &[FIRST.to_owned()]).await?;
        // Else another node came first, and shows its own.
        Ok(added.then_some((name, password)))
    }

    /// Adds a user; `false` where the name is taken.
    pub(crate) async fn add(
        &self,
        name: &Name,
        password: Password,
        roles: &[String],
    ) -> Result<bool, Fault> {
        let hash = self.hash(password).await?;
        self.table.add(name, &hash, roles).await.map_err(|error| broken(&error))
    }

    /// Gives a user another password; `false` where there is no such user.
    pub(crate) async fn set_password(
        &self,
        name: &Name,
        password: Password,
    ) -> Result<bool, Fault> {
        let hash = self.hash(password).await?;
        self.set(name, Column::Password(&hash)).await
    }

    /// Gives a user other roles; `false` where there is no such user.
    pub(crate) async fn set_roles(&self, name: &Name, roles: &[String]) -> Result<bool, Fault> {
        self.set(name, Column::Roles(&roles.join(" "))).await
    }

    /// Lets a user sign in, or not; `false` where there is no such user.
    pub(crate) async fn set_disabled(&self, name: &Name, disabled: bool) -> Result<bool, Fault> {
        self.set(name, Column::Disabled(disabled)).await
    }

    /// Removes a user; `false` where there is no such user.
    pub(crate) async fn remove(&self, name: &Name) -> Result<bool, Fault> {
        self.table.remove(name).await.map_err(|error| broken(&error))
    }

    /// All users by name.
    pub(crate) async fn list(&self) -> Result<Vec<Account>, Fault> {
        self.table.all().await.map_err(|error| broken(&error))
    }

    async fn set(&self, name: &Name, column: Column<'_>) -> Result<bool, Fault> {
        self.table.set(name, column).await.map_err(|error| broken(&error))
    }

    async fn hash(&self, password: Password) -> Result<String, Fault> {
        self.hasher.hash(password).await.map_err(|error| Fault::new(error.to_string()))
    }

    /// How many passwords were compared with a hash so far.
    #[cfg(test)]
    pub(super) fn hashed(&self) -> usize {
        self.hasher.hashed()
    }
}

impl Password {
    pub(crate) fn new(text: String) -> Self {
        Self(Zeroizing::new(text))
    }

    /// A password that nobody can guess: 120 bits.
    pub(crate) fn generate() -> Self {
        let random: Zeroizing<[u8; GENERATED]> = Zeroizing::new(random());
        let mut text = Zeroizing::new(String::with_capacity(GENERATED + GENERATED / 6));
        for (index, byte) in random.iter().enumerate() {
            if index > 0 && index % 6 == 0 {
                text.push('-');
            }
            text.push(char::from(LETTERS[usize::from(byte % 32)]));
        }
        Self(text)
    }

    /// Whether it may be somebody's new one.
    pub(crate) fn check(&self) -> Result<(), Fault> {
        if self.0.chars().count() < FEWEST_CHARACTERS {
            return Err(Fault::usage(format!(
                "a password has at least {FEWEST_CHARACTERS} characters"
            ))
            .hint("--generate makes one that nobody can guess"));
        }
        if self.is_too_long() {
            return Err(Fault::usage(format!("a password has at most {MOST_PASSWORD} bytes")));
        }
        Ok(())
    }

    /// Whether it is nobody's for its length alone.
    pub(super) fn is_too_long(&self) -> bool {
        self.0.len() > MOST_PASSWORD
    }

    /// The password itself, to be shown.
    pub(crate) fn reveal(&self) -> &str {
        &self.0
    }
}

impl AsRef<str> for Password {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl<'de> serde::Deserialize<'de> for Password {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(Self::new)
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password(..)")
    }
}

impl fmt::Debug for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Account").field("name", &self.name).finish_non_exhaustive()
    }
}

fn away(error: sqlx::Error) -> Unchecked {
    let error = chain(&error);
    tracing::warn!(%error, "the users' database gave no answer");
    Unchecked::Away
}

fn broken(error: &sqlx::Error) -> Fault {
    Fault::new(format!("the users' database cannot be used: {}", chain(error)))
}

#[cfg(test)]
mod tests;
