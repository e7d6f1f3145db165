//! The users that are built in, and the checking of their passwords.

use std::sync::Arc;

use tokio::sync::OnceCell;

pub(crate) use crate::login::users::Unchecked;
use crate::login::users::{Cost, Hasher};

/// Who can sign in. No secret: the demo prints them.
pub(crate) const BUILT_IN: [(&str, &str); 2] = [("alice", "wonderland"), ("bob", "builder")];
/// Modest, so that a demo answers at once.
const COST: Cost = Cost { memory: 8 * 1024, passes: 1 };

/// The built-in users' password hashes.
#[derive(Debug)]
pub(crate) struct Users {
    hasher: Hasher,
    hashes: OnceCell<Vec<(&'static str, Arc<str>)>>,
}

impl Users {
    /// The built-in users. Their passwords are hashed when one is first needed.
    pub(crate) fn new() -> Self {
        Self { hasher: Hasher::new(COST), hashes: OnceCell::new() }
    }

    /// Hashes the passwords now, so that the first login does not wait for it.
    pub(crate) async fn prepare(&self) {
        let prepared = async {
            self.hasher.prepare().await?;
            self.hashes().await.map(drop)
        };
        if let Err(error) = prepared.await {
            tracing::error!(%error, "the first login will try again");
        }
    }

    /// Checks a password; the user's name where it is theirs. An unknown user costs the same work
    /// as a wrong password.
    pub(crate) async fn check(
        &self,
        name: &str,
        password: String,
    ) -> Result<Option<&'static str>, Unchecked> {
        let known = self.hashes().await?.iter().find(|(known, _)| *known == name);
        let hash = known.map(|(_, hash)| Arc::clone(hash));
        let checked = self.hasher.check(password, hash, None).await?;
        Ok(known.filter(|_| checked.fits).map(|(name, _)| *name))
    }

    async fn hashes(&self) -> Result<&Vec<(&'static str, Arc<str>)>, Unchecked> {
        let make = || async {
            let mut hashes = Vec::new();
            for (name, password) in BUILT_IN {
                hashes.push((name, self.hasher.hash(password).await?.into()));
            }
            Ok(hashes)
        };
        self.hashes.get_or_try_init(make).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn only_the_right_password_is_let_in() {
        let users = Users::new();
        let check = async |name: &str, password: &str| users.check(name, password.to_owned()).await;
        assert_eq!(check("alice", "wonderland").await, Ok(Some("alice")));
        assert_eq!(check("bob", "builder").await, Ok(Some("bob")));
        for (name, password) in
            [("alice", "builder"), ("Alice", "wonderland"), ("", "nobody's"), ("alice", "")]
        {
            assert_eq!(check(name, password).await, Ok(None), "{name}");
        }
    }
}
