//! Where somebody may be sent after a login or a logout. Decides on text alone.

use cloakroom::safe_return_path;
use url::Url;

/// The most bytes of an address to return to.
const MOST_BYTES: usize = 2048;
/// Where nothing else is known.
pub(super) const START: &str = "/";
/// Would send somebody to the login after the login.
const LOGIN: &str = "/.cloakroom/login";

/// Returns `text`, as it is to be sent, where it is a path of this site, or the address of a page on
/// one of `hosts` by HTTPS. A host counts with its port, where that is not 443.
pub(super) fn safe(text: &str, hosts: &[String]) -> Option<String> {
    if let Some(path) = safe_return_path(text) {
        return (!path.starts_with(LOGIN)).then(|| path.to_owned());
    }
    let address = elsewhere(text, hosts)?;
    // What is sent is what the parser has written, and that has to mean the same again.
    (elsewhere(&address, hosts)? == address).then_some(address)
}

fn elsewhere(text: &str, hosts: &[String]) -> Option<String> {
    let plain = |byte: u8| byte.is_ascii_graphic() && byte != b'\\';
    if !text.starts_with("https://") || text.len() > MOST_BYTES || !text.bytes().all(plain) {
        return None;
    }
    let url = Url::parse(text).ok()?;
    if url.scheme() != "https" || !url.username().is_empty() || url.password().is_some() {
        return None;
    }
    // An empty user leaves no trace in the parsed address.
    let authority = text["https://".len()..].split(['/', '?', '#']).next()?;
    let host = match url.port() {
        Some(port) => format!("{}:{port}", url.host_str()?),
        None => url.host_str()?.to_owned(),
    };
    let known = hosts.iter().any(|known| *known == host && known.eq_ignore_ascii_case(authority));
    let path = &url[url::Position::BeforePath..];
    (known && safe_return_path(path).is_some()).then(|| url.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hosts() -> Vec<String> {
        ["app.example", "app.example:8443"].map(str::to_owned).to_vec()
    }

    #[test]
    fn paths_and_listed_hosts_are_returned_to() {
        for (asked, sent) in [
            ("/", "/"),
            ("/cart?a=b#c", "/cart?a=b#c"),
            ("/.cloakroom/me", "/.cloakroom/me"),
            ("https://app.example", "https://app.example/"),
            ("https://app.example/x?y=https://z", "https://app.example/x?y=https://z"),
            ("https://APP.example/", "https://app.example/"),
            ("https://app.example:8443/a", "https://app.example:8443/a"),
        ] {
            assert_eq!(safe(asked, &hosts()).as_deref(), Some(sent), "{asked}");
        }
    }

    #[test]
    fn whatever_may_lead_elsewhere_is_refused() {
        let long = format!("https://app.example/{}", "a".repeat(MOST_BYTES));
        for hostile in [
            "",
            "//app.example",
            "/\\evil.example",
            "/.cloakroom/login?flow=x",
            "http://app.example/",
            "https:app.example/",
            "https:/app.example/",
            "https:///app.example/",
            "https://app.example@evil.example/",
            "https://evil.example@app.example/",
            "https://:@app.example/",
            "https://@app.example/",
            "https://app.example\\@evil.example/",
            "https://app.example\\.evil.example/",
            "https://app.example.evil.example/",
            "https://evil.example/app.example",
            "https://evil.example#@app.example/",
            "https://evil.example?@app.example/",
            "https://app.example:443@evil.example/",
            "https://app.example:80/",
            "https://app.example.:/",
            "https://app.example./",
            "https://app%2eexample/",
            "https://app.example%2f@evil.example/",
            "https://app\u{3002}example/",
            "https://app.exam\nple/",
            "https://app.example/\t/evil.example",
            "https://app.example//evil.example",
            "https://app.example/..//evil.example",
            "https://sub.app.example/",
            "javascript://app.example/%0aalert(1)",
            "HTTPS://app.example/",
            " https://app.example/",
            &long,
        ] {
            assert_eq!(safe(hostile, &hosts()), None, "{hostile:?}");
        }
        assert_eq!(safe("https://app.example/", &[]), None, "nobody is listed by default");
    }
}
