//! `[login]` and `[identity]`: who users are, and how services are told.

use std::path::PathBuf;
use std::time::Duration;

use cloakroom::StoreUrl;
use cloakroom::jwt::LONGEST_LIFETIME;
use http::HeaderName;
use toml::de::DeValue;

use crate::config::section::Section;
use crate::config::surroundings::Surroundings;
use crate::config::trouble::Bad;
use crate::config::{DEFAULT_KEYS, DEFAULT_USERS, default_identity, words};
use crate::identity::{HeaderNames, IdentitySettings};
use crate::login::users::is_in_memory;
use crate::login::{Binding, LoginSettings, Theme, Throttling, UsersUrl};
use crate::pages::Colour;

const MOST_TRIES: u64 = 1_000_000;
const MOST_TITLE: usize = 80;
/// Headers that a request needs for itself.
const TAKEN: [&str; 14] = [
    "authorization",
    "connection",
    "content-length",
    "content-type",
    "cookie",
    "forwarded",
    "host",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "via",
    "x-forwarded-for",
    "x-forwarded-proto",
];

/// The login. `store`: where users are as well, if it is a database and no other is named.
pub(super) fn login(
    section: Option<Section<'_>>,
    file: &Section<'_>,
    store: Option<&(StoreUrl, Duration)>,
    around: Surroundings<'_>,
) -> Option<LoginSettings> {
    let store = store.map(|(store, _)| store);
    let Some(section) = section else {
        return Some(with_users(usual_users(file, store, around)?));
    };
    let named = section.get("users", |value| users(words::text(value)?, around));
    let users = match section.values("users") {
        [] => usual_users(&section, store, around),
        _ => named,
    };
    let file_of = |value| around.file(words::text(value)?);
    let theme = Theme {
        title: section.get("title", title),
        accent: section.get("accent", colour),
        logo: section.get("logo", file_of),
        style: section.get("style", file_of),
    };
    let throttling = section.table("throttle").map(throttling).unwrap_or_default();
    let remember = section.get("remember", words::duration_or("off")).flatten();
    let ways = [("off", Binding::Off), ("exact", Binding::Exact), ("prefix", Binding::Prefix)];
    let binding = section.get("bind", words::one_of(&ways)).unwrap_or_default();
    let hosts = section.list("return_hosts", words::host);
    let return_hosts = hosts.into_iter().map(|at| at.value).collect();
    let places = section.get("places", file_of);
    section.close();
    Some(LoginSettings {
        places,
        users: users?,
        theme,
        throttling,
        remember,
        binding,
        return_hosts,
    })
}

/// A login with everything but its users as it is by default.
pub(in crate::config) fn with_users(users: UsersUrl) -> LoginSettings {
    LoginSettings {
        users,
        theme: Theme::default(),
        throttling: Throttling::default(),
        remember: None,
        binding: Binding::default(),
        return_hosts: Vec::new(),
        places: None,
    }
}

/// The store's own database; where it is none, a file beside the configuration.
fn usual_users(
    section: &Section<'_>,
    store: Option<&StoreUrl>,
    around: Surroundings<'_>,
) -> Option<UsersUrl> {
    let store = store?;
    if is_database(store) {
        return Some(UsersUrl(store.reveal().to_owned()));
    }
    if !store.is_memory() {
        let bad = Bad::new("users are kept in a file of this machine alone");
        let help = "for several nodes write `users = \"postgres://HOST/DATABASE\"` below `[login]`; \
                    for one, `users = \"sqlite://users.db\"` says that it is meant";
        section.notes.warning(&section.span, bad.help(help));
    }
    let found = users(DEFAULT_USERS, around);
    found.map_err(|bad| section.notes.error(&section.span, bad)).ok()
}

fn users(text: &str, around: Surroundings<'_>) -> Result<UsersUrl, Bad> {
    let bad = || {
        Bad::new("users are kept in an SQL database, and this is the URL of none").help(
            "write sqlite://PATH, postgres://HOST/DATABASE, mysql://HOST/DATABASE or \
             mariadb://HOST/DATABASE",
        )
    };
    let url = around.url(around.filled(text)?)?;
    if is_in_memory(&url) {
        return Err(Bad { what: "users in memory would be gone after a restart".into(), ..bad() });
    }
    match StoreUrl::parse(&url) {
        Ok(known) if is_database(&known) => Ok(UsersUrl(url)),
        _ => Err(bad()),
    }
}

fn is_database(store: &StoreUrl) -> bool {
    store.is_sqlite() || ["PostgreSQL", "MySQL", "MariaDB"].contains(&store.kind())
}

fn title(value: &DeValue<'_>) -> Result<String, Bad> {
    match words::string(value)? {
        title if title.chars().count() > MOST_TITLE => {
            Err(Bad::new(format!("this has more than {MOST_TITLE} characters")))
        }
        title => Ok(title),
    }
}

/// A colour by its digits or by its name; nothing else gets into a style sheet.
fn colour(value: &DeValue<'_>) -> Result<String, Bad> {
    let text = words::text(value)?;
    match text.parse::<Colour>() {
        Ok(_) => Ok(text.to_owned()),
        Err(_) => Err(Bad::new("this is no colour").help("write one such as \"#0a7\"")),
    }
}

fn throttling(section: Section<'_>) -> Throttling {
    let usual = Throttling::default();
    let tries = || words::number(1, MOST_TRIES);
    let throttling = Throttling {
        account: section.get("account", tries()).unwrap_or(usual.account),
        address: section.get("address", tries()).unwrap_or(usual.address),
        window: section.get("window", words::duration).unwrap_or(usual.window),
    };
    section.close();
    throttling
}

/// How services are told who asks.
pub(super) fn identity(section: Option<Section<'_>>, around: Surroundings<'_>) -> IdentitySettings {
    let usual = default_identity(around.path(DEFAULT_KEYS));
    let Some(section) = section else {
        return usual;
    };
    let keys =
        |value: &DeValue<'_>| -> Result<PathBuf, Bad> { Ok(around.path(words::text(value)?)) };
    let settings = IdentitySettings {
        names: section.table("headers").map(names).unwrap_or_default(),
        issuer: section.get("issuer", words::string).unwrap_or(usual.issuer),
        keys: section.get("keys", keys).unwrap_or(usual.keys),
        lifetime: section.get("lifetime", words::duration).unwrap_or(usual.lifetime),
        rotate_every: section.get("rotate_every", words::duration).unwrap_or(usual.rotate_every),
    };
    if settings.rotate_every <= settings.lifetime {
        let bad = Bad::new("`rotate_every` has to be longer than `lifetime`");
        section.notes.error(&section.span, bad.help("write `rotate_every = \"30days\"`"));
    }
    if settings.lifetime > LONGEST_LIFETIME {
        let bad = Bad::new("`lifetime` is longer than services admit, which is five minutes");
        section.notes.error(&section.span, bad.help("write `lifetime = \"60s\"`"));
    }
    section.close();
    settings
}

fn names(section: Section<'_>) -> HeaderNames {
    let usual = HeaderNames::default();
    let names = HeaderNames {
        user: section.get("user", header).unwrap_or(usual.user),
        anonymous: section.get("anonymous", header).unwrap_or(usual.anonymous),
        session: section.get("session", header).unwrap_or(usual.session),
        roles: section.get("roles", header).unwrap_or(usual.roles),
        assertion: section.get("assertion", header).unwrap_or(usual.assertion),
    };
    // Services that take `_` and `.` for `-` could not tell such headers apart.
    let mut plain = names.all().map(plain);
    plain.sort();
    if plain.windows(2).any(|pair| pair[0] == pair[1]) {
        let bad = Bad::new("two of these headers have the same name");
        section.notes.error(&section.span, bad.help("`_` and `.` count as `-`"));
    }
    section.close();
    names
}

fn header(value: &DeValue<'_>) -> Result<HeaderName, Bad> {
    let name = words::header(value)?;
    match TAKEN.contains(&plain(&name).as_str()) {
        true => Err(Bad::new("this header has a meaning already")
            .help("write a name of your own, such as \"X-User-Id\"")),
        false => Ok(name),
    }
}

fn plain(name: &HeaderName) -> String {
    name.as_str().replace(['_', '.'], "-")
}
