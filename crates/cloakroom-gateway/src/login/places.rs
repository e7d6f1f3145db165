//! Where an address is, by a MaxMind database that the operator may have.

#[cfg(test)]
pub(super) mod file;

use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;

use maxminddb::{Reader, WithinOptions, geoip2};
use serde::Deserialize;

use crate::fault::Fault;
use crate::pages::Language;

/// How many networks a file may begin with that are nowhere.
const MOST_NOWHERE: usize = 1000;

/// Tells places by addresses.
#[derive(Clone)]
pub(super) struct Places(Arc<Reader<Vec<u8>>>);

/// What is read of a network's record; all else is left alone, whatever it looks like.
#[derive(Deserialize)]
struct Place<'a> {
    #[serde(borrow)]
    city: Option<Named<'a>>,
    #[serde(borrow)]
    country: Option<Named<'a>>,
    country_code: Option<&'a str>,
}

/// As MaxMind writes it, or as flat files do.
#[derive(Deserialize)]
#[serde(untagged)]
enum Named<'a> {
    Flat(&'a str),
    Full {
        #[serde(borrow, default)]
        names: geoip2::Names<'a>,
        iso_code: Option<&'a str>,
    },
}

impl<'a> Named<'a> {
    fn say(&self, language: Language) -> Option<&'a str> {
        let name = match self {
            Self::Flat(name) => Some(*name),
            Self::Full { names, iso_code } => {
                let chinese = names.simplified_chinese.filter(|_| language == Language::Chinese);
                chinese.or(names.english).or(*iso_code)
            }
        };
        name.filter(|name| !name.is_empty())
    }
}

impl Place<'_> {
    /// The city and the country, as far as they are known; in Chinese the country comes first.
    fn say(&self, language: Language) -> Option<String> {
        let say = |named: &Option<Named<'_>>| named.as_ref()?.say(language).map(str::to_owned);
        let country = say(&self.country).or(self.country_code.map(str::to_owned));
        match (say(&self.city), country) {
            (Some(city), Some(country)) => Some(match language {
                Language::Chinese => format!("{country} {city}"),
                _ => format!("{city}, {country}"),
            }),
            (city, country) => city.or(country),
        }
    }
}

impl Places {
    pub(super) fn open(path: &Path) -> Result<Self, Fault> {
        let fault = |why: &str| {
            Fault::new(format!("{} is no database of places: {why}", path.display()))
                .hint("expected a MaxMind file such as GeoLite2-City.mmdb")
        };
        let reader = Reader::open_readfile(path).map_err(|error| fault(&error.to_string()))?;
        let networks = reader.networks(WithinOptions::default());
        let networks = networks.map_err(|error| fault(&error.to_string()))?;
        let mut places = networks.take(MOST_NOWHERE).flatten().filter_map(|found| {
            let place = found.decode::<Place<'_>>().ok()??;
            place.say(Language::English)
        });
        if places.next().is_none() {
            return Err(fault("it names neither cities nor countries"));
        }
        drop(places);
        Ok(Self(Arc::new(reader)))
    }

    /// The city and the country of an address, as far as they are known.
    pub(super) fn of(&self, address: &str, language: Language) -> Option<String> {
        let address: IpAddr = address.parse().ok()?;
        let found = self.0.lookup(address.to_canonical()).ok()?;
        found.decode::<Place<'_>>().ok()??.say(language)
    }
}

impl std::fmt::Debug for Places {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Places(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::file::{Value, write};
    use super::*;

    fn names(names: &[(&'static str, &'static str)]) -> Value {
        let names = names.iter().map(|(language, name)| (*language, Value::Text(name)));
        Value::Map(vec![("names", Value::Map(names.collect()))])
    }

    fn opened(networks: &[([u8; 3], Value)]) -> Result<Places, Fault> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("places.mmdb");
        std::fs::write(&path, write(networks)).unwrap();
        Places::open(&path)
    }

    #[test]
    fn a_place_is_named_as_far_as_it_is_known() {
        use Value::{Map, Number, Text};
        let sweden = || names(&[("en", "Sweden"), ("zh-CN", "瑞典")]);
        let linköping = || names(&[("de", "Linköping"), ("en", "Linköping")]);
        let odd = Map(vec![("latitude", Text("nowhere"))]);
        let places = opened(&[
            (
                [192, 0, 2],
                Map(vec![("country", sweden()), ("city", linköping()), ("location", odd)]),
            ),
            ([198, 51, 100], Map(vec![("country", sweden())])),
            ([203, 0, 113], Map(vec![("country", Map(vec![("iso_code", Text("SE"))]))])),
            ([100, 64, 1], Map(vec![("city", Text("Linköping")), ("country_code", Text("SE"))])),
            ([100, 64, 2], Map(vec![("city", Text("")), ("country_code", Text("SE"))])),
            ([100, 64, 3], Map(vec![("autonomous_system_number", Number(64496))])),
        ]);
        let places = places.unwrap();
        for (address, english, chinese) in [
            ("192.0.2.7", Some("Linköping, Sweden"), Some("瑞典 Linköping")),
            ("::ffff:192.0.2.7", Some("Linköping, Sweden"), Some("瑞典 Linköping")),
            ("198.51.100.255", Some("Sweden"), Some("瑞典")),
            ("203.0.113.0", Some("SE"), Some("SE")),
            ("100.64.1.1", Some("Linköping, SE"), Some("SE Linköping")),
            ("100.64.2.1", Some("SE"), Some("SE")),
            ("100.64.3.1", None, None),
            ("192.0.3.1", None, None),
            ("2001:db8::1", None, None),
            ("somewhere", None, None),
        ] {
            assert_eq!(places.of(address, Language::English).as_deref(), english, "{address}");
            assert_eq!(places.of(address, Language::Chinese).as_deref(), chinese, "{address}");
        }
    }

    #[test]
    fn a_file_without_places_is_refused() {
        let systems = Value::Map(vec![("autonomous_system_number", Value::Number(64496))]);
        let fault = opened(&[([192, 0, 2], systems)]).unwrap_err().to_string();
        assert!(fault.contains("neither cities nor countries"), "{fault}");
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("x"), "no database").unwrap();
        assert!(Places::open(&dir.path().join("x")).is_err());
    }
}
