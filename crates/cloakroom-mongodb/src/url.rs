//! Reads a URL: which servers, as whom, and which database. What is wrong is repeated only where no
//! password can be in it.

use mongodb::error::{Error, ErrorKind};
use mongodb::options::{ClientOptions, ConnectionString};

/// What is wrong with a URL.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub(crate) enum Wrong {
    #[error("it begins with neither mongodb:// nor mongodb+srv://")]
    Scheme,
    #[error(
        "servers are not looked up in DNS here: enable the feature `srv`, or name the servers, as \
         in mongodb://one,two,three/database?replicaSet=name"
    )]
    Srv,
    #[error("it names no database: put it after the servers, as in mongodb://localhost/shop")]
    Database,
    #[error(
        "expected mongodb://name:password@host:27017/database; in a name or a password, each of \
         : / ? # [ ] @ and % is written as % and two hexadecimal digits"
    )]
    Form,
    #[error("{0}")]
    Said(String),
}

/// What is looked for in a URL that may be quoted: who is asked for neither name nor password, nor
/// for anything that stands for them, has put none of them there.
const SECRETS: [&str; 5] = ["@", "password", "token", "secret", "auth"];

/// Reads a URL. Looks servers up where it says so.
pub(crate) async fn parse(url: &str) -> Result<(ClientOptions, String), Wrong> {
    let scheme = url.split_once("://").map(|(scheme, _)| scheme);
    match scheme {
        Some("mongodb") => {}
        Some("mongodb+srv") if cfg!(feature = "srv") => {}
        Some("mongodb+srv") => return Err(Wrong::Srv),
        _ => return Err(Wrong::Scheme),
    }
    let wrong = |said: Error| why(url, &said);
    let text = ConnectionString::parse(url).map_err(wrong)?;
    let options = ClientOptions::parse(text).await.map_err(wrong)?;
    let database = options.default_database.clone().ok_or(Wrong::Database)?;
    Ok((options, database))
}

fn why(url: &str, said: &Error) -> Wrong {
    let url = url.to_ascii_lowercase();
    if SECRETS.iter().any(|secret| url.contains(secret)) || !names_servers(&url) {
        return Wrong::Form;
    }
    match &*said.kind {
        ErrorKind::InvalidArgument { message, .. } | ErrorKind::DnsResolve { message, .. } => {
            Wrong::Said(message.clone())
        }
        _ => Wrong::Form,
    }
}

/// Whether what stands where servers do is servers, and not a name and a password whose `@` was
/// written in another way, or forgotten.
fn names_servers(url: &str) -> bool {
    let rest = url.split_once("://").map_or("", |(_, rest)| rest);
    let servers = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._[]".contains(&byte);
    servers.split(',').all(|server| {
        let (host, port) = server.rsplit_once(':').unwrap_or((server, ""));
        let host_is_one =
            host.bytes().all(|byte| plain(byte) || byte == b':' && host.starts_with('['));
        host_is_one && port.bytes().all(|byte| byte.is_ascii_digit())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wrong(url: &str) -> Wrong {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(parse(url)).unwrap_err()
    }

    #[test]
    fn what_is_wrong_is_said_with_what_to_do() {
        assert_eq!(wrong("redis://localhost/"), Wrong::Scheme);
        assert_eq!(wrong("localhost"), Wrong::Scheme);
        assert_eq!(wrong("mongodb://localhost"), Wrong::Database);
        assert_eq!(wrong("mongodb://localhost/"), Wrong::Database);
        assert_eq!(wrong("mongodb://name:pass/word@localhost/shop"), Wrong::Form);
        let said = wrong("mongodb://localhost/shop?replicaSett=rs0").to_string();
        assert!(said.contains("replicasett"), "{said}");
    }

    #[cfg(not(feature = "srv"))]
    #[test]
    fn servers_in_dns_are_refused_with_what_to_do() {
        assert_eq!(wrong("mongodb+srv://example.com/shop"), Wrong::Srv);
    }

    #[test]
    fn no_password_is_repeated() {
        for url in [
            "mongodb://name:hun/ter2@localhost/shop",
            "mongodb://name:hunter2@localhost:hunter2/shop",
            "mongodb://name:%hunter2@localhost/shop",
            "mongodb://name:hunter2%40localhost/shop",
            "mongodb://name:hunter2/shop",
            "mongodb://localhost/shop?tlsCertificateKeyFilePassword=hunter2&w",
            "mongodb://localhost/shop?authMechanismProperties=AWS_SESSION_TOKEN=hunter2",
        ] {
            let wrong = wrong(url);
            assert!(!format!("{wrong} {wrong:?}").contains("ter2"), "{wrong}");
        }
    }
}
