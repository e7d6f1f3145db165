//! Where an address is, by a MaxMind database that the operator may have.

use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;

use maxminddb::{Reader, geoip2};

use crate::fault::Fault;
use crate::pages::Language;

/// Tells places by addresses.
#[derive(Clone)]
pub(super) struct Places(Arc<Reader<Vec<u8>>>);

impl Places {
    pub(super) fn open(path: &Path) -> Result<Self, Fault> {
        let reader = Reader::open_readfile(path).map_err(|error| {
            Fault::new(format!("{} is no database of places: {error}", path.display()))
                .hint("expected a MaxMind file such as GeoLite2-City.mmdb")
        })?;
        Ok(Self(Arc::new(reader)))
    }

    /// The city and the country of an address, as far as they are known.
    pub(super) fn of(&self, address: &str, language: Language) -> Option<String> {
        let address: IpAddr = address.parse().ok()?;
        let found = self.0.lookup(address).ok()?.decode::<geoip2::City<'_>>().ok()??;
        let name = |names: &geoip2::Names<'_>| {
            let chinese = names.simplified_chinese.filter(|_| language == Language::Chinese);
            chinese.or(names.english).map(str::to_owned)
        };
        let parts: Vec<String> =
            [name(&found.city.names), name(&found.country.names)].into_iter().flatten().collect();
        (!parts.is_empty()).then(|| parts.join(language.say(", ", "，")))
    }
}

impl std::fmt::Debug for Places {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Places(..)")
    }
}
