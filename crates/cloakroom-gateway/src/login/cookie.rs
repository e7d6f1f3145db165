//! The gateway's own cookies beside the session's.

use std::time::Duration;

use cloakroom::cookies;
use http::header::COOKIE;
use http::{HeaderMap, HeaderValue};

/// A cookie for this host and all its paths, that scripts do not see.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Cookie {
    name: String,
    secure: bool,
}

impl Cookie {
    /// A cookie called `name`, with the prefix that keeps other hosts from planting one; without it
    /// where it has to travel over plain HTTP.
    pub(super) fn new(name: &str, insecure_plain_http: bool) -> Self {
        match insecure_plain_http {
            true => Self { name: name.to_owned(), secure: false },
            false => Self { name: format!("__Host-{name}"), secure: true },
        }
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// Whether it travels by HTTPS alone.
    pub(super) const fn is_secure(&self) -> bool {
        self.secure
    }

    /// The first value that a request has of it, where that is text.
    pub(super) fn read<'a>(&self, headers: &'a HeaderMap) -> Option<&'a str> {
        let lines = headers.get_all(COOKIE).into_iter().map(HeaderValue::as_bytes);
        let mut values = lines.flat_map(|line| cookies::values(line, &self.name));
        values.next().and_then(|value| str::from_utf8(value).ok())
    }

    /// Sets it: for so long, or until the browser is closed.
    pub(super) fn set(&self, value: &str, age: Option<Duration>) -> Option<HeaderValue> {
        let age = age.map(|age| format!("; Max-Age={}", age.as_secs())).unwrap_or_default();
        let secure = if self.secure { "; Secure" } else { "" };
        let name = &self.name;
        let text = format!("{name}={value}; Path=/; SameSite=Lax; HttpOnly{age}{secure}");
        let mut value = HeaderValue::try_from(text).ok()?;
        value.set_sensitive(true);
        Some(value)
    }

    pub(super) fn clear(&self) -> Option<HeaderValue> {
        self.set("", Some(Duration::ZERO))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cookie_is_its_host_s_own() {
        let cookie = Cookie::new("a", false);
        let set = cookie.set("x", None).unwrap();
        assert_eq!(set, "__Host-a=x; Path=/; SameSite=Lax; HttpOnly; Secure");
        assert!(set.is_sensitive());
        assert_eq!(
            cookie.clear().unwrap(),
            "__Host-a=; Path=/; SameSite=Lax; HttpOnly; Max-Age=0; Secure"
        );
        let plain = Cookie::new("a", true).set("x", Some(Duration::from_secs(9))).unwrap();
        assert_eq!(plain, "a=x; Path=/; SameSite=Lax; HttpOnly; Max-Age=9");
        assert_eq!(cookie.set("a\nb", None), None);
    }

    #[test]
    fn a_cookie_is_found_by_its_exact_name() {
        let mut headers = HeaderMap::new();
        headers.append(COOKIE, "__host-a=1; a=2".parse().unwrap());
        assert_eq!(Cookie::new("a", false).read(&headers), None);
        headers.append(COOKIE, "b=0; __Host-a=3; __Host-a=4".parse().unwrap());
        assert_eq!(Cookie::new("a", false).read(&headers), Some("3"));
        assert_eq!(Cookie::new("a", true).read(&headers), Some("2"));
    }
}
