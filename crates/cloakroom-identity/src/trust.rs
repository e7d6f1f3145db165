//! Whose word counts, and for whom it has to be meant.

use std::sync::Arc;

use cloakroom_core::{Clock, SystemClock};
use cloakroom_jwt::{KeySet, Refused, Verified, Verifier};

use crate::source::{FetchKeys, Source, Why};

/// Believes one gateway, in what it says to this service. Clones share the keys.
#[derive(Clone, Debug)]
pub struct Trust {
    issuer: Arc<str>,
    audiences: Vec<Arc<str>>,
    keys: Keys,
}

#[derive(Clone, Debug)]
enum Keys {
    Given(Arc<KeySet>),
    Fetched(Arc<Source>),
}

/// Why an assertion is not believed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Unverified {
    /// It is not good.
    #[error(transparent)]
    Refused(#[from] Refused),
    /// The gateway's keys could not be fetched, so whether it is good is not known.
    #[error("the gateway's keys cannot be fetched")]
    KeysAway,
}

impl Trust {
    /// Believes what is signed with one of `keys`, in the name of `issuer`, for `audience`.
    pub fn in_keys(issuer: &str, audience: &str, keys: KeySet) -> Self {
        Self::new(issuer, audience, Keys::Given(Arc::new(keys)))
    }

    /// The same with keys that are fetched: when one is first needed, when an assertion names one that
    /// is not known, and every few minutes.
    pub fn in_fetched(issuer: &str, audience: &str, keys: impl FetchKeys) -> Self {
        Self::new(issuer, audience, Keys::Fetched(Arc::new(Source::new(keys))))
    }

    fn new(issuer: &str, audience: &str, keys: Keys) -> Self {
        Self { issuer: issuer.into(), audiences: vec![audience.into()], keys }
    }

    /// Believes what is meant for `audience`, too: a service that asks this one on behalf of its own
    /// users, and passes their identity on.
    pub fn and_for(mut self, audience: &str) -> Self {
        self.audiences.push(audience.into());
        self
    }

    /// Says who somebody is, or why that is not known.
    pub async fn verify(&self, assertion: &str) -> Result<Verified, Unverified> {
        match &self.keys {
            Keys::Given(keys) => Ok(self.check(assertion, keys)?),
            Keys::Fetched(source) => {
                let keys = source.keys(Why::Use).await.ok_or(Unverified::KeysAway)?;
                match self.check(assertion, &keys) {
                    Err(Refused::UnknownKey) => {
                        let keys = source.keys(Why::Unknown).await.ok_or(Unverified::KeysAway)?;
                        Ok(self.check(assertion, &keys)?)
                    }
                    checked => Ok(checked?),
                }
            }
        }
    }

    fn check(&self, assertion: &str, keys: &KeySet) -> Result<Verified, Refused> {
        let now = SystemClock.now();
        let mut checked = Err(Refused::Audience);
        for audience in &self.audiences {
            checked =
                Verifier::new(&*self.issuer, &**audience, keys.clone()).verify(assertion, now);
            if !matches!(checked, Err(Refused::Audience)) {
                break;
            }
        }
        checked
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Duration;

    use super::*;
    use crate::source::BoxError;
    use async_trait::async_trait;
    use cloakroom_jwt::{Algorithm, Identity, Signer, SigningKey};

    const ISSUER: &str = "https://shop.example";

    /// A gateway that can be made to answer nothing.
    struct Gateway {
        signer: Mutex<Signer>,
        is_away: std::sync::atomic::AtomicBool,
        fetches: AtomicUsize,
    }

    struct Fetch(Arc<Gateway>);

    #[async_trait]
    impl FetchKeys for Fetch {
        async fn fetch(&self) -> Result<String, BoxError> {
            self.0.fetches.fetch_add(1, Ordering::SeqCst);
            if self.0.is_away.load(Ordering::SeqCst) {
                return Err("away".into());
            }
            Ok(self.0.signer.lock().unwrap().jwks(SystemClock.now()))
        }
    }

    impl Gateway {
        fn new() -> Arc<Self> {
            let signer = Mutex::new(fresh_signer());
            Arc::new(Self { signer, is_away: false.into(), fetches: 0.into() })
        }

        fn assertion(&self) -> String {
            let alice = Identity::new("alice").audience("orders");
            self.signer.lock().unwrap().sign(&alice, SystemClock.now()).unwrap()
        }
    }

    fn fresh_signer() -> Signer {
        Signer::new(ISSUER, SigningKey::generate(Algorithm::EdDsa).unwrap())
    }

    #[tokio::test(start_paused = true)]
    async fn a_key_that_is_not_known_is_fetched_and_an_old_one_forgotten() {
        let gateway = Gateway::new();
        let trust = Trust::in_fetched(ISSUER, "orders", Fetch(Arc::clone(&gateway)));
        let old = gateway.assertion();
        trust.verify(&old).await.unwrap();
        *gateway.signer.lock().unwrap() = fresh_signer();
        let new = gateway.assertion();
        assert_eq!(trust.verify(&new).await.unwrap_err(), Refused::UnknownKey.into());
        tokio::time::advance(Duration::from_secs(5)).await;
        trust.verify(&new).await.unwrap();
        assert_eq!(gateway.fetches.load(Ordering::SeqCst), 2);
        assert_eq!(trust.verify(&old).await.unwrap_err(), Refused::UnknownKey.into());
    }

    #[tokio::test(start_paused = true)]
    async fn a_withdrawn_key_is_refused_after_a_while() {
        let gateway = Gateway::new();
        let trust = Trust::in_fetched(ISSUER, "orders", Fetch(Arc::clone(&gateway)));
        let stolen = gateway.assertion();
        trust.verify(&stolen).await.unwrap();
        *gateway.signer.lock().unwrap() = fresh_signer();
        tokio::time::advance(Duration::from_secs(5 * 60)).await;
        assert_eq!(trust.verify(&stolen).await.unwrap_err(), Refused::UnknownKey.into());
    }

    #[tokio::test(start_paused = true)]
    async fn keys_outlive_a_gateway_that_is_away() {
        let gateway = Gateway::new();
        let trust = Trust::in_fetched(ISSUER, "orders", Fetch(Arc::clone(&gateway)));
        trust.verify(&gateway.assertion()).await.unwrap();
        gateway.is_away.store(true, Ordering::SeqCst);
        tokio::time::advance(Duration::from_secs(60 * 60)).await;
        trust.verify(&gateway.assertion()).await.unwrap();
        assert_eq!(gateway.fetches.load(Ordering::SeqCst), 2);
    }
}
