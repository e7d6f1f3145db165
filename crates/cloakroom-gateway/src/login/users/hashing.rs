//! Hashes and checks passwords by argon2id, a few at a time, on threads where that holds nobody up.

use std::net::IpAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{PasswordHasher, PasswordVerifier};
use argon2::{Algorithm, Argon2, Params, Version};
use tokio::sync::{OnceCell, Semaphore};

use crate::login::network::Network;

/// How many passwords are hashed at once; each keeps a core and its memory busy.
const AT_ONCE: usize = 2;
/// How many more may wait for their turn.
const WAITING: usize = 30;
const PLACES: usize = AT_ONCE + WAITING;
/// How many of all places one network may have: the others are for everybody else.
const OF_ONE_NETWORK: usize = PLACES / 4;

/// What a hash costs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Cost {
    /// Memory in KiB.
    pub(crate) memory: u32,
    /// Passes over it.
    pub(crate) passes: u32,
}

impl Cost {
    /// What OWASP's password storage sheet asks for at least: 19 MiB, two passes, one lane.
    pub(crate) const OWASP: Self = Self { memory: 19 * 1024, passes: 2 };

    fn argon2(self) -> Result<Argon2<'static>, Unchecked> {
        let params = Params::new(self.memory, self.passes, 1, None);
        let params = params.map_err(|_| Unchecked::Broken)?;
        Ok(Argon2::new(Algorithm::Argon2id, Version::V0x13, params))
    }

    /// Whether a hash was made for less.
    fn exceeds(self, hash: &PasswordHash) -> bool {
        let Ok(made) = Params::try_from(hash) else {
            return true;
        };
        hash.algorithm.as_str() != Algorithm::Argon2id.as_str()
            || made.m_cost() < self.memory
            || made.t_cost() < self.passes
    }
}

/// Hashes passwords, within bounds.
#[derive(Debug)]
pub(crate) struct Hasher {
    cost: Cost,
    queue: Queue,
    turns: Arc<Semaphore>,
    /// A hash that nobody's password has, for users that there are not.
    nobodys: OnceCell<Arc<str>>,
    hashed: Arc<AtomicUsize>,
}

/// The places that are taken, each by whose network it is: few enough to be looked through.
#[derive(Debug, Default)]
struct Queue(Mutex<Vec<Network>>);

/// A place in the queue, until it is dropped.
#[derive(Debug)]
struct Place<'a> {
    queue: &'a Queue,
    network: Network,
}

impl Queue {
    fn enter(&self, network: Network) -> Option<Place<'_>> {
        let mut taken = self.taken();
        let theirs = taken.iter().filter(|other| **other == network).count();
        let too_many = theirs >= OF_ONE_NETWORK && network.is_known();
        if taken.len() >= PLACES || too_many {
            return None;
        }
        taken.push(network);
        Some(Place { queue: self, network })
    }

    fn taken(&self) -> MutexGuard<'_, Vec<Network>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        let mut taken = self.queue.taken();
        if let Some(place) = taken.iter().position(|network| *network == self.network) {
            taken.swap_remove(place);
        }
    }
}

/// What came of a password.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Checked {
    /// Whether it is the one that was hashed.
    pub(crate) fits: bool,
    /// Where it fits and the hash was cheap: one of today's cost, to be kept in its place.
    pub(crate) better: Option<String>,
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
    /// The users' database does not answer.
    #[error("the users cannot be looked up at this moment")]
    Away,
}

impl Hasher {
    pub(crate) fn new(cost: Cost) -> Self {
        Self {
            cost,
            queue: Queue::default(),
            turns: Arc::new(Semaphore::new(AT_ONCE)),
            nobodys: OnceCell::new(),
            hashed: Arc::default(),
        }
    }

    /// Makes what a check needs, so that the first one does not wait for it.
    pub(crate) async fn prepare(&self) -> Result<(), Unchecked> {
        self.nobodys().await.map(drop)
    }

    /// Checks a password that came from an address against its hash. Without a hash it fits nothing,
    /// and costs the same work.
    pub(crate) async fn check(
        &self,
        password: impl AsRef<str> + Send + 'static,
        hash: Option<Arc<str>>,
        address: Option<IpAddr>,
    ) -> Result<Checked, Unchecked> {
        let place = self.queue.enter(Network::widest(address));
        let _place = place.ok_or(Unchecked::Busy)?;
        let known = hash.is_some();
        let hash = match hash {
            Some(hash) => hash,
            None => Arc::clone(self.nobodys().await?),
        };
        let (cost, hashed) = (self.cost, Arc::clone(&self.hashed));
        self.blocking(move || {
            let hash = PasswordHash::new(&hash).map_err(|_| Unchecked::Broken)?;
            hashed.fetch_add(1, Ordering::Relaxed);
            let password = password.as_ref().as_bytes();
            let same = cost.argon2()?.verify_password(password, &hash).is_ok();
            let fits = same && known;
            let better = (fits && cost.exceeds(&hash)).then(|| make(cost, password)).transpose()?;
            Ok(Checked { fits, better })
        })
        .await
    }

    /// Hashes a password, to be kept.
    pub(crate) async fn hash(
        &self,
        password: impl AsRef<str> + Send + 'static,
    ) -> Result<String, Unchecked> {
        let cost = self.cost;
        self.blocking(move || make(cost, password.as_ref().as_bytes())).await
    }

    async fn nobodys(&self) -> Result<&Arc<str>, Unchecked> {
        let make = || async { self.hash("nobody's").await.map(Arc::from) };
        self.nobodys.get_or_try_init(make).await
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

    /// How many passwords were compared with a hash so far.
    #[cfg(test)]
    pub(crate) fn hashed(&self) -> usize {
        self.hashed.load(Ordering::Relaxed)
    }
}

fn make(cost: Cost, password: &[u8]) -> Result<String, Unchecked> {
    let hash = cost.argon2()?.hash_password(password).map_err(|_| Unchecked::Broken)?;
    Ok(hash.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    const CHEAP: Cost = Cost { memory: 64, passes: 1 };

    #[tokio::test]
    async fn a_password_fits_its_own_hash_alone() {
        let hasher = Hasher::new(CHEAP);
        let hash: Arc<str> = hasher.hash("open sesame").await.unwrap().into();
        assert!(hash.starts_with("$argon2id$v=19$m=64,t=1,p=1$"), "{hash}");
        let fits = async |password: &'static str, hash| {
            hasher.check(password, hash, None).await.unwrap().fits
        };
        assert!(fits("open sesame", Some(Arc::clone(&hash))).await);
        assert!(!fits("open sesam", Some(hash)).await);
        assert!(!fits("open sesame", None).await);
        assert!(!fits("nobody's", None).await, "nobody's password is nobody's");
    }

    #[tokio::test]
    async fn a_user_who_is_not_there_costs_the_same_work() {
        let hasher = Hasher::new(CHEAP);
        let hash: Arc<str> = hasher.hash("open sesame").await.unwrap().into();
        let mut counted = Vec::new();
        for hash in [Some(Arc::clone(&hash)), None, Some(hash), None] {
            let before = hasher.hashed();
            hasher.check("wrong", hash, None).await.unwrap();
            counted.push(hasher.hashed() - before);
        }
        assert_eq!(counted, [1, 1, 1, 1]);
    }

    #[tokio::test]
    async fn a_cheap_hash_is_replaced_at_the_next_login() {
        let cheap: Arc<str> = Hasher::new(CHEAP).hash("open sesame").await.unwrap().into();
        let hasher = Hasher::new(Cost { memory: 128, passes: 1 });
        let wrong = hasher.check("wrong", Some(Arc::clone(&cheap)), None).await.unwrap();
        assert_eq!(wrong, Checked { fits: false, better: None });
        let better = hasher.check("open sesame", Some(cheap), None).await.unwrap().better.unwrap();
        assert!(better.contains("m=128,"), "{better}");
        let again = hasher.check("open sesame", Some(better.into()), None).await.unwrap();
        assert_eq!(again, Checked { fits: true, better: None });
    }

    fn from(text: &str) -> Network {
        Network::widest(text.parse().ok())
    }

    #[tokio::test]
    async fn a_crowd_is_told_to_come_back() {
        let hasher = Hasher::new(CHEAP);
        let enter = |n: usize| hasher.queue.enter(from(&format!("192.0.2.{n}")));
        let mut all: Vec<_> = (0..PLACES).map(|n| enter(n).unwrap()).collect();
        let newcomer = "198.51.100.7".parse().ok();
        assert_eq!(hasher.check("any", None, newcomer).await, Err(Unchecked::Busy));
        all.pop();
        assert!(hasher.check("any", None, newcomer).await.is_ok());
        drop(all);
        assert!(hasher.queue.taken().is_empty(), "every place is given back");
    }

    #[tokio::test]
    async fn one_network_leaves_places_to_others() {
        let hasher = Hasher::new(CHEAP);
        let enter = |n: usize| hasher.queue.enter(from(&format!("2001:db8:0:{n:x}::1")));
        let all: Vec<_> = (0..PLACES).filter_map(enter).collect();
        assert_eq!(all.len(), OF_ONE_NETWORK);
        let neighbour = "2001:db8::2".parse().ok();
        assert_eq!(hasher.check("any", None, neighbour).await, Err(Unchecked::Busy));
        assert!(hasher.check("any", None, "198.51.100.7".parse().ok()).await.is_ok());
    }

    #[test]
    fn the_cost_is_the_one_that_is_asked_for() {
        assert_eq!((Cost::OWASP.memory, Cost::OWASP.passes), (19_456, 2));
    }
}
