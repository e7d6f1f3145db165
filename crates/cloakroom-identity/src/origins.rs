//! The services that an identity is passed on to.

use http::Uri;

/// Origins: scheme, host and port, compared exactly.
///
/// ```
/// use cloakroom_identity::Origins;
///
/// let origins = Origins::new(["http://billing:8080", "https://mail.example"])?;
/// assert!(origins.contain(&"http://billing:8080/invoices".parse().unwrap()));
/// assert!(origins.contain(&"https://mail.example:443/".parse().unwrap()));
/// assert!(!origins.contain(&"http://billing/invoices".parse().unwrap()));
/// # Ok::<_, cloakroom_identity::BadOrigin>(())
/// ```
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Origins(Vec<Origin>);

#[derive(Clone, PartialEq, Eq, Debug)]
struct Origin {
    https: bool,
    host: String,
    port: u16,
}

/// The text is no origin.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("not an origin: expected http:// or https://, a host, and a port where it is another")]
pub struct BadOrigin;

impl Origins {
    /// Reads origins, such as `http://billing:8080`.
    pub fn new<T: AsRef<str>>(origins: impl IntoIterator<Item = T>) -> Result<Self, BadOrigin> {
        let read = |text: T| {
            let uri: Uri = text.as_ref().parse().map_err(|_| BadOrigin)?;
            let whole = uri.path() == "/" && uri.query().is_none();
            Origin::of(&uri).filter(|_| whole).ok_or(BadOrigin)
        };
        origins.into_iter().map(read).collect::<Result<_, _>>().map(Self)
    }

    /// Whether a request to `uri` goes to one of them.
    pub fn contain(&self, uri: &Uri) -> bool {
        Origin::of(uri).is_some_and(|origin| self.0.contains(&origin))
    }
}

impl Origin {
    fn of(uri: &Uri) -> Option<Self> {
        let https = match uri.scheme_str()? {
            "https" => true,
            "http" => false,
            _ => return None,
        };
        let authority = uri.authority()?;
        if authority.as_str().contains('@') || authority.host().is_empty() {
            return None;
        }
        let port = match authority.port() {
            Some(port) => port.as_u16(),
            // A port that is no number is not one that was left out.
            None if authority.as_str() != authority.host() => return None,
            None if https => 443,
            None => 80,
        };
        Some(Self { https, host: authority.host().to_ascii_lowercase(), port })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_is_told_from_those_that_look_like_it() {
        let origins = Origins::new(["http://billing:8080", "https://Mail.example"]).unwrap();
        for ours in ["http://BILLING:8080/x?y", "https://mail.example", "https://mail.example:443"]
        {
            assert!(origins.contain(&ours.parse().unwrap()), "{ours}");
        }
        for other in [
            "https://billing:8080/",
            "http://billing/",
            "http://billing:8081/",
            "http://billing.evil.example:8080/",
            "http://evil.example/billing:8080",
            "http://billing:8080@evil.example/",
            "http://user@billing:8080/",
            "http://mail.example/",
            "/x",
        ] {
            assert!(!origins.contain(&other.parse().unwrap()), "{other}");
        }
    }

    #[test]
    fn what_is_more_or_less_than_an_origin_is_refused() {
        for bad in ["", "billing", "billing:8080", "http://billing/x", "http://b/?x", "ftp://b"] {
            assert_eq!(Origins::new([bad]), Err(BadOrigin), "{bad}");
        }
    }
}
