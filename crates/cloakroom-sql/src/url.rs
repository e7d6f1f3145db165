//! Reads the URL of a database server, and never repeats what is secret in it.

use std::str::FromStr;

use crate::connect::ConnectError;

/// A server's options as the driver takes them.
///
/// The driver takes no notice of a parameter that it does not know, or writes it into the log with
/// its value: so they are looked through first.
pub(crate) fn options<O: FromStr<Err = sqlx::Error>>(
    url: &str,
    known: &[&str],
) -> Result<O, ConnectError> {
    for (name, _) in parameters(url) {
        if !known.contains(&name) {
            // Its name is not repeated: a password with a `?` in it may stand there.
            let known = known.join(", ");
            let message = format!(
                "behind the ? there can be {known} and nothing else; in a password, write ? as %3F"
            );
            return Err(ConnectError::Url(message));
        }
    }
    // What the driver says of a URL that it cannot read may repeat a part of it.
    O::from_str(url).map_err(|_| {
        let expected = "expected scheme://name:password@host:port/database, where `@`, `:` and `/` \
                        in a name or password are written as %40, %3A and %2F";
        ConnectError::Url(expected.to_owned())
    })
}

/// The parameters behind the question mark.
pub(crate) fn parameters(url: &str) -> impl Iterator<Item = (&str, &str)> {
    let query = url.split_once('?').map_or("", |(_, query)| query);
    let pairs = query.split('#').next().unwrap_or_default().split('&');
    let pairs = pairs.filter(|pair| !pair.is_empty());
    pairs.map(|pair| pair.split_once('=').unwrap_or((pair, "")))
}

#[cfg(all(test, feature = "postgres"))]
mod tests {
    use sqlx::postgres::PgConnectOptions;

    use super::*;

    #[test]
    fn what_is_not_understood_is_not_repeated() {
        let unknown = "postgres://u:hunter2@h/d?sslmode=disable&passwort=hunter2";
        let broken = "postgres://u:hunter2@h:hunter2/d";
        let cut = "postgres://u:hun?ter2@h/d";
        for url in [unknown, broken, cut] {
            let error = options::<PgConnectOptions>(url, &["sslmode"]).unwrap_err();
            let said = format!("{error} {error:?}");
            assert!(!said.contains("ter2"), "{said}");
        }
    }
}
