//! Patterns of paths: `/health`, `/img/*.png`, `/order/**`.

use super::path::{Folding, Path, meaning};

/// A pattern of paths, as rules have them.
///
/// `*` stands for any characters within one segment, `/**` at the end for whatever is below, the
/// path before it included. A slash at the end makes no difference.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Pattern {
    text: String,
    form: Form,
}

#[derive(Clone, PartialEq, Eq, Debug)]
enum Form {
    /// Just this path.
    Exact(Vec<u8>),
    /// This path and all below it.
    Below(Vec<u8>),
    /// These segments, and all below them where `below`.
    Segments { segments: Vec<Segment>, below: bool },
}

/// One segment: what stands between its stars. Without a star there is one part.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Segment(Vec<Vec<u8>>);

/// Why a text is no pattern, and what would be one.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{why}")]
pub(crate) struct BadPattern {
    pub(crate) why: String,
    pub(crate) instead: String,
}

impl Pattern {
    /// Reads a pattern. It has to be in the one spelling that paths are matched in; letters beyond
    /// ASCII may stand as they are.
    pub(crate) fn parse(text: &str, folding: Folding) -> Result<Self, BadPattern> {
        let (begin, below) = match text.strip_suffix("/**") {
            Some(begin) => (begin, true),
            None => (text, false),
        };
        if begin.contains("**") {
            return Err(bad("`**` has a meaning only at the end, after a slash", "write `/x/**`"));
        }
        in_its_one_spelling(begin, below)?;
        let begin = begin.strip_suffix('/').unwrap_or(begin);
        let form = match begin.contains('*') {
            true => Form::Segments { segments: segments(begin, folding), below },
            false if below => Form::Below(octets(begin, folding)),
            false => Form::Exact(octets(begin, folding)),
        };
        Ok(Self { text: text.to_owned(), form })
    }

    /// Everything.
    pub(crate) fn everything() -> Self {
        Self { text: "/**".to_owned(), form: Form::Below(Vec::new()) }
    }

    /// The pattern as it was written.
    pub(crate) fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether a path is one of those that the pattern means.
    pub(crate) fn matches(&self, path: &Path) -> bool {
        let path = path.matched();
        match &self.form {
            Form::Exact(exact) => path == exact,
            Form::Below(top) => path
                .strip_prefix(top.as_slice())
                .is_some_and(|rest| matches!(rest, [] | [b'/', ..])),
            Form::Segments { segments, below } => {
                let mut names = names(path);
                let all = segments
                    .iter()
                    .all(|segment| names.next().is_some_and(|name| segment.matches(name)));
                all && (*below || names.next().is_none())
            }
        }
    }

    /// Whether this pattern matches whatever the other one does. May say no where it does, if both
    /// have stars within one segment.
    pub(crate) fn covers(&self, other: &Self) -> bool {
        let ((ours, below), (theirs, theirs_below)) = (self.as_segments(), other.as_segments());
        let long_enough = match below {
            true => ours.len() <= theirs.len(),
            false => ours.len() == theirs.len() && !theirs_below,
        };
        long_enough && ours.iter().zip(&theirs).all(|(ours, theirs)| ours.covers(theirs))
    }

    fn as_segments(&self) -> (Vec<Segment>, bool) {
        let plain = |octets: &[u8]| names(octets).map(|name| Segment(vec![name.into()])).collect();
        match &self.form {
            Form::Exact(exact) => (plain(exact), false),
            Form::Below(top) => (plain(top), true),
            Form::Segments { segments, below } => (segments.clone(), *below),
        }
    }
}

impl Segment {
    fn matches(&self, name: &[u8]) -> bool {
        let [first, between @ .., last] = self.0.as_slice() else {
            return self.0.first().is_some_and(|only| only == name);
        };
        let rest = name.strip_prefix(first.as_slice());
        let Some(mut rest) = rest.and_then(|rest| rest.strip_suffix(last.as_slice())) else {
            return false;
        };
        // The earliest place of each part leaves the most for those behind it.
        for part in between {
            let place = (0..=rest.len()).find(|at| rest[*at..].starts_with(part));
            let Some(place) = place else {
                return false;
            };
            rest = &rest[place + part.len()..];
        }
        true
    }

    fn covers(&self, other: &Self) -> bool {
        let any_name = self.0.len() > 1 && self.0.iter().all(Vec::is_empty);
        match other.0.as_slice() {
            _ if any_name || self == other => true,
            [only] => self.matches(only),
            _ => false,
        }
    }
}

/// The segments' names of a path without a slash at its end.
fn names(path: &[u8]) -> impl Iterator<Item = &[u8]> {
    path.split(|byte| *byte == b'/').skip(1)
}

fn segments(text: &str, folding: Folding) -> Vec<Segment> {
    let parts = |name: &str| Segment(name.split('*').map(|part| octets(part, folding)).collect());
    text.split('/').skip(1).map(parts).collect()
}

fn octets(text: &str, folding: Folding) -> Vec<u8> {
    let text = encoded(text);
    meaning(&text, folding).unwrap_or_else(|| text.into_bytes())
}

/// Text whose characters beyond ASCII are escapes.
fn encoded(text: &str) -> String {
    let escape = |byte: u8| match byte.is_ascii() {
        true => char::from(byte).to_string(),
        false => format!("%{byte:02X}"),
    };
    text.bytes().map(escape).collect()
}

/// Finds what of a pattern no path can ever have.
fn in_its_one_spelling(begin: &str, below: bool) -> Result<(), BadPattern> {
    let whole = if begin.is_empty() && below { "/" } else { begin };
    if !whole.starts_with('/') {
        return Err(bad("a pattern begins with a slash", format!("write `/{whole}`")));
    }
    let text = encoded(whole);
    let path = Path::parse(&text, Folding::Exact).map_err(|error| {
        let why = error.to_string().replace("the path", "the pattern");
        bad(why, "requests for such a path are refused before any rule is asked")
    })?;
    let doubled = below && begin.ends_with('/');
    if path.as_str() == text && !doubled {
        return Ok(());
    }
    let end = if below { "/**" } else { "" };
    let instead = path.as_str().strip_suffix('/').filter(|_| below).unwrap_or(path.as_str());
    Err(bad(
        "no path looks like this pattern when rules are asked",
        format!("write `{instead}{end}`"),
    ))
}

fn bad(why: impl Into<String>, instead: impl Into<String>) -> BadPattern {
    BadPattern { why: why.into(), instead: instead.into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pattern(text: &str) -> Pattern {
        Pattern::parse(text, Folding::Exact).unwrap()
    }

    fn matches(text: &str, path: &str, folding: Folding) -> bool {
        let path = Path::parse(path, folding).unwrap();
        Pattern::parse(text, folding).unwrap().matches(&path)
    }

    #[test]
    fn patterns_match_what_they_mean_and_nothing_else() {
        for (text, inside, outside) in [
            ("/", &["/", "//", "/a/.."][..], &["/a"][..]),
            ("/**", &["/", "/a", "/a/b/"], &[]),
            ("/sku", &["/sku", "/sku/", "/%73ku", "/sku;x"], &["/", "/sku/1", "/skus", "/SKU"]),
            ("/sku/", &["/sku", "/sku/"], &["/sku/1"]),
            ("/sku/**", &["/sku", "/sku/", "/sku/1/2", "//sku", "/sku;a/b"], &["/skus", "/"]),
            ("/a/*", &["/a/b", "/a/b/"], &["/a", "/a/", "/a/b/c"]),
            ("/a/*/c", &["/a/b/c"], &["/a/c", "/a/b/b/c"]),
            ("/*/**", &["/a", "/a/b"], &["/"]),
            ("/img/*.png", &["/img/a.png", "/img/.a.png"], &["/img/a.jpg", "/img/a/b.png"]),
            ("/x*y*z", &["/xyz", "/xaybz", "/xyyzz"], &["/xzy", "/xy", "/axyz"]),
            ("/a*a", &["/aa", "/aba"], &["/a"]),
            ("/caf\u{e9}", &["/caf%C3%A9", "/caf%c3%a9"], &["/cafe"]),
            ("/caf%C3%A9/**", &["/caf%C3%A9/x"], &["/cafe/x"]),
            ("/pay$/**", &["/pay$/x", "/pay%24/x"], &["/pay/x"]),
            ("/a%2Ab", &["/a*b", "/a%2ab"], &["/axb"]),
        ] {
            for path in inside {
                assert!(matches(text, path, Folding::Exact), "{text} {path}");
            }
            for path in outside {
                assert!(!matches(text, path, Folding::Exact), "{text} {path}");
            }
        }
    }

    #[test]
    fn where_case_makes_no_difference_it_makes_none_to_patterns() {
        assert!(matches("/Internal/**", "/iNTERNAL/x", Folding::Fold));
        assert!(matches("/internal/*.PNG", "/%C4%B1nternal/a.png", Folding::Fold));
        assert!(matches("/key", "/%E2%84%AAey", Folding::Fold));
        assert!(matches("/\u{c9}t\u{e9}", "/%C3%A9T%C3%89", Folding::Fold));
    }

    #[test]
    fn a_pattern_that_no_path_can_match_is_refused_with_one_that_can() {
        for (text, instead) in [
            ("sku", "write `/sku`"),
            ("/a//b", "write `/a/b`"),
            ("/a/../b/**", "write `/b/**`"),
            ("/%73ku", "write `/sku`"),
            ("/a%c3%a9", "write `/a%C3%A9`"),
            ("/a;x", "write `/a`"),
            ("//**", "write `/**`"),
            ("/a//**", "write `/a/**`"),
            ("/a**", "write `/x/**`"),
            ("/**/a", "write `/x/**`"),
            ("/a|b", "write `/a%7Cb`"),
        ] {
            let error = Pattern::parse(text, Folding::Exact).unwrap_err();
            assert_eq!(error.instead, instead, "{text}");
        }
        let error = Pattern::parse("/a%2Fb", Folding::Exact).unwrap_err();
        assert_eq!(error.why, "the pattern has an encoded slash (%2F) in it");
    }

    #[test]
    fn a_pattern_covers_what_it_leaves_nothing_of() {
        for (first, second) in [
            ("/**", "/"),
            ("/**", "/a/*/b/**"),
            ("/a/**", "/a"),
            ("/a/**", "/a/**"),
            ("/a/**", "/a/b"),
            ("/a/*", "/a/b/"),
            ("/a/*", "/a/*.png"),
            ("/a/*.png", "/a/b.png"),
            ("/*/b/**", "/a/b/c"),
        ] {
            assert!(pattern(first).covers(&pattern(second)), "{first} {second}");
        }
        for (first, second) in [
            ("/", "/**"),
            ("/a", "/a/**"),
            ("/a/**", "/**"),
            ("/a/**", "/ab"),
            ("/a/*", "/a/**"),
            ("/a/*", "/a"),
            ("/*/b", "/a/c"),
            ("/a/*.png", "/a/*"),
        ] {
            assert!(!pattern(first).covers(&pattern(second)), "{first} {second}");
        }
    }
}
