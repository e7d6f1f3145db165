//! The users that are built in, and the checking of their passwords.

use std::sync::Arc;

use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{PasswordHasher, PasswordVerifier};
use argon2::{Algorithm, Argon2, Params, Version};
use tokio::sync::{OnceCell, Semaphore};

/// Who can sign in. No secret: the demo prints them.
pub(crate) const BUILT_IN: [(&str, &str); 2] = [("alice", "wonderland"), ("bob", "builder")];
/// How many passwords are checked at once; each keeps a core and its memory busy.
const AT_ONCE: usize = 2;
/// How many more may wait for their turn.
const WAITING: usize = 30;
/// Memory in KiB, and passes over it: modest, so that a demo answers at once.
const MEMORY: u32 = 8 * 1024;
const PASSES: u32 = 1;

/// The built-in users' password hashes, and the bounds within which passwords are checked.
#[derive(Debug)]
pub(crate) struct Users {
    hashes: OnceCell<Arc<Hashes>>,
    queue: Semaphore,
    turns: Arc<Semaphore>,
}

/// A hash for each user, and one that nobody's password has.
#[derive(Debug)]
struct Hashes {
    known: Vec<(&'static str, PasswordHash)>,
    nobodys: PasswordHash,
}

/// Why a password could not be checked now.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub(crate) enum Unchecked {
    /// Too many wait already.
    #[error("many sign in at this moment; try again")]
    Busy,
    /// Hashing failed.
    #[error("passwords cannot be checked")]
    Broken,
}

impl Users {
    /// The built-in users. Their passwords are hashed when one is first needed.
    pub(crate) fn new() -> Self {
        Self {
            hashes: OnceCell::new(),
            queue: Semaphore::new(AT_ONCE + WAITING),
            turns: Arc::new(Semaphore::new(AT_ONCE)),
        }
    }

    /// Hashes the passwords now, so that the first login does not wait for it.
    pub(crate) async fn prepare(&self) {
        if let Err(error) = self.hashes().await {
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
        let _place = self.queue.try_acquire().map_err(|_| Unchecked::Busy)?;
        let hashes = Arc::clone(self.hashes().await?);
        let known = BUILT_IN.iter().position(|(known, _)| *known == name);
        let fits = self
            .blocking(move || {
                let (user, hash) = match known {
                    Some(index) => (Some(hashes.known[index].0), &hashes.known[index].1),
                    None => (None, &hashes.nobodys),
                };
                let fits = argon2()?.verify_password(password.as_bytes(), hash).is_ok();
                Ok(user.filter(|_| fits))
            })
            .await?;
        Ok(fits)
    }

    async fn hashes(&self) -> Result<&Arc<Hashes>, Unchecked> {
        self.hashes.get_or_try_init(|| self.blocking(|| Hashes::make().map(Arc::new))).await
    }

    /// Runs `work` on a thread where it holds nobody up, when it is its turn. The turn lasts until
    /// the work is done, even where the request is given up.
    async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T, Unchecked> + Send + 'static,
    ) -> Result<T, Unchecked> {
        let turn = Arc::clone(&self.turns).acquire_owned().await;
        let turn = turn.map_err(|_| Unchecked::Broken)?;
        let done = tokio::task::spawn_blocking(move || {
            let done = work();
            drop(turn);
            done
        });
        done.await.unwrap_or(Err(Unchecked::Broken))
    }
}

impl Hashes {
    fn make() -> Result<Self, Unchecked> {
        let hash = |(name, password): (&'static str, &str)| Ok((name, hash(password)?));
        let known = BUILT_IN.into_iter().map(hash).collect::<Result<_, Unchecked>>()?;
        Ok(Self { known, nobodys: hash(("", "nobody's"))?.1 })
    }
}

fn hash(password: &str) -> Result<PasswordHash, Unchecked> {
    argon2()?.hash_password(password.as_bytes()).map_err(|_| Unchecked::Broken)
}

fn argon2() -> Result<Argon2<'static>, Unchecked> {
    let params = Params::new(MEMORY, PASSES, 1, None).map_err(|_| Unchecked::Broken)?;
    Ok(Argon2::new(Algorithm::Argon2id, Version::V0x13, params))
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

    #[tokio::test]
    async fn a_crowd_is_told_to_come_back() {
        let users = Users::new();
        let _all = users.queue.acquire_many(u32::try_from(AT_ONCE + WAITING).unwrap()).await;
        let checked = users.check("alice", "wonderland".to_owned()).await;
        assert_eq!(checked, Err(Unchecked::Busy));
    }
}
