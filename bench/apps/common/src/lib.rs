//! What the compared apps have in common: their command line and what a session holds.

use std::sync::atomic::{AtomicU64, Ordering};

use serde::{Deserialize, Serialize};

/// What every app answers where nothing has to be looked up: as long as the name that is read.
pub const CONSTANT: &str = "Ada Lovelace";
/// What the reading request reads.
pub const NAME: &str = "Ada Lovelace";
/// The number of the user in the seeded session.
pub const USER_ID: u64 = 8_731_204;
/// The token against forged requests in the seeded session.
pub const CSRF: &str = "3vKx0hJ5mQeZr8TtYw1nUaLc6bDfGiPoSkNlMzXvBqR";
/// How long a session may go unused, in every app.
pub const IDLE_SECONDS: u64 = 30 * 60;
/// How many sessions a bounded cache may hold: more than the measurement of memory reads.
pub const CACHED_SESSIONS: u64 = 200_000;

/// A line of the seeded session's cart.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Line {
    /// The article.
    pub sku: String,
    /// The article's name.
    pub title: String,
    /// How many of it.
    pub quantity: u32,
    /// The price of one.
    pub cents: u64,
}

/// The roles in the seeded session.
pub fn roles() -> Vec<String> {
    ["customer", "reviewer"].map(str::to_owned).to_vec()
}

/// The cart in the seeded session.
pub fn cart() -> Vec<Line> {
    let line = |sku: &str, title: &str, quantity, cents| Line {
        sku: sku.to_owned(),
        title: title.to_owned(),
        quantity,
        cents,
    };
    vec![
        line("BK-20417", "The Analytical Engine, first edition", 1, 3499),
        line("BK-11830", "Notes on Bernoulli Numbers, annotated", 2, 1850),
        line("ST-00092", "Punched cards, brass-bound, box of 500", 3, 1275),
        line("ST-00101", "Fountain pen, black, gold nib", 1, 8900),
    ]
}

/// The next of this process's numbers: what is written always differs from what was there.
pub fn next_number() -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

/// The next user to sign in: each login is another user's.
pub fn next_user() -> String {
    format!("user-{}", next_number())
}

/// What an app is told on its command line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// Where it listens, on the loopback address.
    pub port: u16,
    /// Where its Redis is.
    pub redis: String,
    /// Whether it may keep sessions in its memory, where it can.
    pub cache: bool,
}

impl Options {
    /// Reads the command line of this process.
    ///
    /// # Errors
    ///
    /// Where it cannot be understood.
    pub fn from_args() -> Result<Self, String> {
        Self::parse(std::env::args().skip(1))
    }

    /// Reads `--port N`, `--redis URL` and `--cache on|off`.
    ///
    /// # Errors
    ///
    /// Where an option is unknown, or its value missing or not understood.
    pub fn parse(arguments: impl IntoIterator<Item = String>) -> Result<Self, String> {
        let mut options = Self { port: 3000, redis: "redis://127.0.0.1".to_owned(), cache: true };
        let mut arguments = arguments.into_iter();
        while let Some(name) = arguments.next() {
            let value = arguments.next().ok_or_else(|| format!("{name} needs a value"))?;
            match (&*name, &*value) {
                ("--port", port) => {
                    options.port = port.parse().map_err(|_| format!("{port} is no port"))?;
                }
                ("--redis", url) => options.redis = url.to_owned(),
                ("--cache", "on") => options.cache = true,
                ("--cache", "off") => options.cache = false,
                _ => return Err(format!("{name} {value} is not understood")),
            }
        }
        Ok(options)
    }

    /// Where the app listens.
    pub fn address(&self) -> (&'static str, u16) {
        ("127.0.0.1", self.port)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_seeded_session_has_about_500_bytes() {
        let session = serde_json::json!({
            "user_id": USER_ID,
            "name": NAME,
            "roles": roles(),
            "cart": cart(),
            "csrf": CSRF,
        });
        let bytes = session.to_string().len();
        assert!((480..=520).contains(&bytes), "{bytes}");
    }

    #[test]
    fn a_command_line_is_read() {
        let given = ["--port", "4000", "--redis", "redis://127.0.0.1:7000", "--cache", "off"];
        let options = Options::parse(given.map(str::to_owned)).unwrap();
        assert_eq!(options.port, 4000);
        assert_eq!(options.redis, "redis://127.0.0.1:7000");
        assert!(!options.cache);
    }

    #[test]
    fn what_is_not_understood_is_refused() {
        for given in [&["--port"][..], &["--port", "x"], &["--cache", "maybe"], &["--what", "1"]] {
            assert!(
                Options::parse(given.iter().map(|&word| word.to_owned())).is_err(),
                "{given:?}"
            );
        }
    }
}
