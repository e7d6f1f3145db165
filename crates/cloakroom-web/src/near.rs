//! A near cache that is kept going by tokio.

use cloakroom_core::Store;
use cloakroom_core::store::{Near, NearOptions, NoNear};

use crate::TokioTimer;

/// Puts a cache in front of `store`, and keeps its driver going until the cache is dropped. Has to
/// be called within tokio's runtime.
///
/// # Errors
/// As for [`Near::new`].
pub fn near<S: Store>(store: S, options: NearOptions) -> Result<Near<S>, NoNear> {
    let near = Near::new(store, TokioTimer, options)?;
    drop(tokio::spawn(near.driver()));
    Ok(near)
}
