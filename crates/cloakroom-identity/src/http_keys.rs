//! The gateway's keys, fetched by reqwest.

use async_trait::async_trait;
use cloakroom_jwt::LONGEST_JWKS;

use crate::source::{BoxError, FetchKeys};

/// Fetches the keys from an address.
#[derive(Clone, Debug)]
pub struct HttpKeys {
    client: reqwest::Client,
    url: String,
}

impl HttpKeys {
    /// Fetches from `url`: the gateway's `/.cloakroom/jwks.json`.
    pub fn new(client: reqwest::Client, url: impl Into<String>) -> Self {
        Self { client, url: url.into() }
    }
}

#[async_trait]
impl FetchKeys for HttpKeys {
    async fn fetch(&self) -> Result<String, BoxError> {
        let mut response = self.client.get(&self.url).send().await?.error_for_status()?;
        let mut text = Vec::new();
        while let Some(chunk) = response.chunk().await? {
            if text.len() + chunk.len() > LONGEST_JWKS {
                return Err("there is more than any set of keys has".into());
            }
            text.extend_from_slice(&chunk);
        }
        Ok(String::from_utf8(text)?)
    }
}
