//! `[store]` and `[session]`: where sessions are kept, and how they live.

use std::time::Duration;

use cloakroom::policy::{Seats, WhenFull};
use cloakroom::{CookieConfig, Policy, StoreUrl, Transport};
use toml::de::DeValue;

use crate::config::section::Section;
use crate::config::surroundings::Surroundings;
use crate::config::trouble::Bad;
use crate::config::{CookieSettings, DEFAULT_STORE_URL, SWEEP_EVERY, words};

/// More sessions of one user than anybody limits them to.
const MOST_SEATS: u64 = 10_000;

/// The store, and how often it is swept.
pub(super) fn store(
    section: Option<Section<'_>>,
    file: &Section<'_>,
    around: Surroundings<'_>,
) -> Option<(StoreUrl, Duration)> {
    let Some(section) = section else {
        let found = store_url(DEFAULT_STORE_URL, around);
        let noted = found.map_err(|bad| file.notes.error(&file.span, bad));
        return Some((noted.ok()?, SWEEP_EVERY));
    };
    let read = |value| store_url(words::text(value)?, around);
    let url = section.required("url", &format!("{DEFAULT_STORE_URL:?}"), read);
    let sweep = section.get("sweep", words::duration).unwrap_or(SWEEP_EVERY);
    let url = url.map(|url| {
        if url.value.is_memory() {
            let bad = Bad::new("sessions in memory end with this process, and no other sees them");
            let help = "for several nodes name a store that they share, such as redis://HOST";
            section.notes.warning(&url.span, bad.help(help));
        }
        url.value
    });
    section.close();
    Some((url?, sweep))
}

/// A store's URL as it is written, which may hold a password: no error repeats it.
pub(super) fn store_url(text: &str, around: Surroundings<'_>) -> Result<StoreUrl, Bad> {
    let url = around.url(around.filled(text)?)?;
    StoreUrl::parse(&url).map_err(|_| {
        Bad::new("no store goes by such an URL")
            .help(format!("write one of {}", StoreUrl::examples()))
    })
}

/// How sessions live, and their cookie.
pub(super) fn session(section: Option<Section<'_>>) -> (Policy, CookieSettings) {
    let Some(section) = section else {
        return (Policy::default(), CookieSettings::default());
    };
    let usual = Policy::default();
    let never = || words::duration_or("never");
    let policy = Policy {
        idle: section.get("idle", never()).unwrap_or(usual.idle),
        lifetime: section.get("lifetime", never()).unwrap_or(usual.lifetime),
        touch_after: section.get("touch_after", words::duration),
        settle: section.get("settle", words::duration).unwrap_or(usual.settle),
        rotate_every: section.get("rotate_every", never()).unwrap_or(usual.rotate_every),
        grace: section.get("grace", words::duration).unwrap_or(usual.grace),
        seats: section.table("seats").and_then(seats),
        ..usual
    };
    if let Err(error) = policy.check() {
        section.notes.error(&section.span, Bad::new(error.to_string()));
    }
    let token_header = section.get("token_header", token_header);
    let cookie = section.table("cookie").map(cookie).unwrap_or_default();
    section.close();
    (policy, CookieSettings { token_header, ..cookie })
}

fn seats(section: Section<'_>) -> Option<Seats> {
    let most = section.required("most", "3", words::number(1, MOST_SEATS));
    let ways = [("refuse", WhenFull::Refuse), ("end-oldest", WhenFull::EndOldest)];
    let when_full = section.get("when_full", words::one_of(&ways));
    section.close();
    Some(Seats { most: most?.value, when_full: when_full.unwrap_or(WhenFull::EndOldest) })
}

fn token_header(value: &DeValue<'_>) -> Result<http::HeaderName, Bad> {
    let name = words::header(value)?;
    // `Authorization: Bearer` is read anyway.
    let taken = [http::header::AUTHORIZATION, http::header::COOKIE, http::header::HOST];
    match taken.contains(&name) {
        true => Err(Bad::new("this header has a meaning already")
            .help("write a name of your own, such as \"X-Session\"")),
        false => Ok(name),
    }
}

fn cookie(section: Section<'_>) -> CookieSettings {
    let usual = CookieSettings::default();
    let settings = CookieSettings {
        name: section.get("name", words::string).unwrap_or(usual.name),
        domain: section.get("domain", words::string),
        persistent: section.get("persistent", words::switch).unwrap_or(usual.persistent),
        insecure_plain_http: section
            .get("insecure_plain_http", words::switch)
            .unwrap_or(usual.insecure_plain_http),
        token_header: None,
    };
    if let Err(error) = Transport::cookie(settings.cookie()) {
        section.notes.error(&section.span, Bad::new(error.to_string()));
    }
    section.close();
    settings
}

impl CookieSettings {
    /// The cookie that these settings ask for.
    pub(crate) fn cookie(&self) -> CookieConfig {
        let cookie = CookieConfig::new(self.name.clone()).persistent(self.persistent);
        let cookie = match &self.domain {
            Some(domain) => cookie.domain(domain.clone()),
            None => cookie,
        };
        if self.insecure_plain_http { cookie.insecure_plain_http() } else { cookie }
    }
}
