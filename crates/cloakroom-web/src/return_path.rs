//! Where a user goes back to after signing in. Decides on text alone.

/// The most bytes of a path to return to.
const MOST_BYTES: usize = 2048;

/// Returns `path` where it is a path on this very site, with its query: what a login handler may
/// send a browser to although it came from the browser.
///
/// It has to begin with one `/` and be printable ASCII without `\`. Its path must not have `//`, nor
/// a segment `.` or `..` in any spelling: whatever joins or tidies it later would make an address of
/// another host of it.
///
/// ```
/// use cloakroom_web::safe_return_path;
///
/// assert_eq!(safe_return_path("/cart?open=1"), Some("/cart?open=1"));
/// assert_eq!(safe_return_path("//evil.example"), None);
/// assert_eq!(safe_return_path("https://evil.example"), None);
/// ```
pub fn safe_return_path(path: &str) -> Option<&str> {
    let printable = path.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\');
    let end = path.find(['?', '#']).unwrap_or(path.len());
    let mut segments = path[..end].split('/');
    let rooted = segments.next() == Some("") && path.starts_with('/');
    let last = segments.next_back()?;
    let whole = segments.all(|segment| !segment.is_empty() && !is_dots(segment)) && !is_dots(last);
    (rooted && whole && printable && path.len() <= MOST_BYTES).then_some(path)
}

/// Whether browsers take the segment for `.` or `..`.
fn is_dots(segment: &str) -> bool {
    let plain = segment.to_ascii_lowercase().replace("%2e", ".");
    plain == "." || plain == ".."
}

/// Writes a text so that it can be a query's value.
pub(crate) fn percent_encoded(text: &str) -> String {
    encoded(text, |byte| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte))
}

/// Writes an address so that a header can hold it: as it is, where it is one.
pub(crate) fn printable(address: &str) -> String {
    encoded(address, |byte| byte.is_ascii_graphic())
}

/// Writes all bytes but the `plain` ones as `%` and two digits.
fn encoded(text: &str, plain: impl Fn(u8) -> bool) -> String {
    use std::fmt::Write;

    let mut encoded = String::with_capacity(text.len() + 16);
    for byte in text.bytes() {
        if plain(byte) {
            encoded.push(char::from(byte));
        } else {
            // Writing to a string does not fail.
            let _ = write!(encoded, "%{byte:02X}");
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_of_this_site_are_accepted() {
        for fine in [
            "/",
            "/a",
            "/a/",
            "/a/b?c=d&e=/f//g",
            "/a?next=https://x.example/",
            "/a#b",
            "/a%20b",
            "/a;b=c",
            "/..a/.b/...",
            "/@user",
            "/a:b",
        ] {
            assert_eq!(safe_return_path(fine), Some(fine));
        }
    }

    #[test]
    fn whatever_may_lead_elsewhere_is_refused() {
        let long = format!("/{}", "a".repeat(MOST_BYTES));
        for hostile in [
            "",
            " ",
            "a",
            "a/b",
            "?a",
            "#a",
            "//",
            "//evil.example",
            "///evil.example",
            "/\\evil.example",
            "\\\\evil.example",
            "\\/evil.example",
            "/a\\b",
            "https://evil.example",
            "https:evil.example",
            "javascript:alert(1)",
            "data:text/html,x",
            "/\t/evil.example",
            "/\n/evil.example",
            "\t//evil.example",
            " //evil.example",
            "/ /evil.example",
            "/a\r\nSet-Cookie: a=b",
            "/a\0b",
            "/.//evil.example",
            "/..//evil.example",
            "/a/..//evil.example",
            "/a/../b",
            "/./a",
            "/a/.",
            "/a/..",
            "/%2e%2e/a",
            "/%2E./a",
            "/.%2e",
            "/a//b",
            "/a//",
            "/é",
            "/\u{202e}a",
            "/\u{ff0f}evil.example",
            &long,
        ] {
            assert_eq!(safe_return_path(hostile), None, "{hostile:?}");
        }
    }

    #[test]
    fn an_encoded_path_is_one_value() {
        assert_eq!(percent_encoded("/a b?c=d&e=%20"), "%2Fa%20b%3Fc%3Dd%26e%3D%2520");
    }
}
