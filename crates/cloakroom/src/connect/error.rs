//! Why a store was not opened.

use std::error::Error;

use super::StoreUrl;

/// Why a store could not be opened. Quotes no URL: one may hold a password.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConnectError {
    /// The text has no scheme.
    #[error("not the URL of a store; there are {}", StoreUrl::examples())]
    NoScheme,
    /// No store goes by that scheme.
    #[error("`{scheme}` is no store; there are {}", StoreUrl::examples())]
    UnknownScheme {
        /// The URL's scheme.
        scheme: String,
    },
    /// The store is there, but this program was built without it.
    #[error("this program was built without {store}: build it with the feature `{feature}`")]
    NotBuiltIn {
        /// The store.
        store: &'static str,
        /// The feature of the crate `cloakroom` that brings it.
        feature: &'static str,
    },
    /// The store says that it cannot be meant by this URL.
    #[error(transparent)]
    Url(Box<dyn Error + Send + Sync>),
    /// The store is not there, or does not answer.
    #[error(transparent)]
    OutOfReach(Box<dyn Error + Send + Sync>),
    /// The store is there, and cannot be used as it is, or not by us.
    #[error(transparent)]
    Unfit(Box<dyn Error + Send + Sync>),
}
