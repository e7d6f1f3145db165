//! The one spelling of a path, which rules match and which is forwarded.
//!
//! A path can be spelled in many ways that services take for the same: with escapes, with `.` and
//! `..`, with doubled slashes, with parameters. Whoever asks chooses the spelling, so a rule that
//! reads another one than the service does is a rule that can be walked around. Here all of them
//! become one, and what may be read in two ways is refused.

use std::sync::Arc;

use http::Uri;
use http::uri::PathAndQuery;

/// A path in its one spelling, without a query. Clones share it.
#[derive(Clone, Debug)]
pub(crate) struct Path {
    text: Text,
    /// What rules match, where that is not the text itself.
    matched: Option<Arc<[u8]>>,
}

#[derive(Clone, Debug)]
enum Text {
    /// It came in its one spelling, and is not copied.
    Shared(PathAndQuery),
    Made(Arc<str>),
}

/// Whether the services behind the gateway take `/Internal` for `/internal`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) enum Folding {
    /// They tell them apart.
    #[default]
    Exact,
    /// They do not, so rules do not either.
    Fold,
}

/// Why a path is refused.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct BadPath(pub(crate) &'static str);

const NO_SLASH: BadPath = BadPath("the path does not begin with a slash");
const BAD_ESCAPE: BadPath = BadPath("the path has a % that two hexadecimal digits do not follow");
const CONTROL: BadPath = BadPath("the path has a control character or a space in it");
const BACKSLASH: BadPath = BadPath("the path has a backslash in it");
const ENCODED_SLASH: BadPath = BadPath("the path has an encoded slash (%2F) in it");
const NOT_ASCII: BadPath = BadPath("the path has a character in it that has to be encoded");
const NOT_OF_A_PATH: BadPath = BadPath("the path has a # or a ? in it that is not encoded");
const ABOVE_THE_ROOT: BadPath = BadPath("the path leads above the root");
const OVERLONG: BadPath =
    BadPath("the path has an octet (%C0, %C1) in it that no text has, but that can hide a slash");
const DROPPED_AT_THE_END: BadPath =
    BadPath("the path has a name that ends in a dot or a blank, which Windows drops");
const STREAM: BadPath = BadPath("the path has a name with :$ in it, which Windows reads as less");
const ENCODED_SEMICOLON: BadPath = BadPath("the path has an encoded semicolon (%3B) in it");

impl Path {
    /// Reads the path of a request's target. Nothing is copied of one that is in its one spelling.
    pub(crate) fn of(uri: &Uri, folding: Folding) -> Result<Self, BadPath> {
        let target = uri.path_and_query().ok_or(NO_SLASH)?;
        Self::read(target.path(), folding, || Text::Shared(target.clone()))
    }

    /// Reads a path as a client wrote it.
    pub(crate) fn parse(raw: &str, folding: Folding) -> Result<Self, BadPath> {
        Self::read(raw, folding, || Text::Made(raw.into()))
    }

    fn read(
        raw: &str,
        folding: Folding,
        unchanged: impl FnOnce() -> Text,
    ) -> Result<Self, BadPath> {
        let text = if is_plain(raw.as_bytes()) {
            unchanged()
        } else {
            match canonical(raw)? {
                made if made == raw => unchanged(),
                made => Text::Made(made.into()),
            }
        };
        let mut path = Self { text, matched: None };
        path.matched = meaning(path.as_str(), folding).map(Arc::from);
        if folding == Folding::Fold {
            names_of_windows(path.matched())?;
        }
        Ok(path)
    }

    /// The path as it is forwarded.
    pub(crate) fn as_str(&self) -> &str {
        match &self.text {
            Text::Shared(target) => target.path(),
            Text::Made(text) => text,
        }
    }

    /// What rules match: every octet decoded, for `%24` is `$` to the service; in one case, where
    /// case makes no difference; and without a slash at the end, as many services see none in it.
    /// The root is nothing at all. Every slash stands between two segments: encoded ones are refused.
    pub(super) fn matched(&self) -> &[u8] {
        let octets = self.matched.as_deref().unwrap_or(self.as_str().as_bytes());
        octets.strip_suffix(b"/").unwrap_or(octets)
    }
}

impl PartialEq for Path {
    fn eq(&self, other: &Self) -> bool {
        self.as_str() == other.as_str()
    }
}

impl Eq for Path {}

/// What the octets of a part of a path mean, in one case where `folding` says so; `None`: what is
/// written is what is meant.
pub(super) fn meaning(text: &str, folding: Folding) -> Option<Vec<u8>> {
    let upper = || text.bytes().any(|byte| byte.is_ascii_uppercase());
    match folding {
        Folding::Exact => text.contains('%').then(|| decoded(text)),
        Folding::Fold if text.contains('%') => Some(folded(&decoded(text))),
        Folding::Fold => upper().then(|| text.to_ascii_lowercase().into_bytes()),
    }
}

/// Text in one case, by whichever way a service may compare: by lower case, by upper case, or by
/// both, as Java does. So the Kelvin sign and the dotless i are letters like others. Octets that are
/// no UTF-8 stay as they are.
fn folded(octets: &[u8]) -> Vec<u8> {
    let mut made = Vec::with_capacity(octets.len());
    for chunk in octets.utf8_chunks() {
        let lower = chunk.valid().chars().flat_map(char::to_lowercase);
        let upper = lower.flat_map(char::to_uppercase);
        let text: String = upper.flat_map(char::to_lowercase).collect();
        // What the dotted capital I becomes.
        made.extend_from_slice(text.replace("i\u{307}", "i").as_bytes());
        made.extend_from_slice(chunk.invalid());
    }
    made
}

/// The octets of a text whose escapes are good.
fn decoded(text: &str) -> Vec<u8> {
    let mut rest = text.as_bytes();
    let mut made = Vec::with_capacity(rest.len());
    while let Ok(Some((octet, behind))) = octet(rest) {
        made.push(octet.value);
        rest = behind;
    }
    made
}

/// Whether a path can have no other spelling, at the first look: no escapes, no parameters, no
/// doubled slashes and no segment that begins with a dot.
fn is_plain(raw: &[u8]) -> bool {
    let mut behind_slash = false;
    for byte in raw {
        if !is_of_a_segment(*byte) && *byte != b'/' {
            return false;
        }
        if behind_slash && matches!(byte, b'/' | b'.') {
            return false;
        }
        behind_slash = *byte == b'/';
    }
    raw.first() == Some(&b'/')
}

/// Spells a path in the one way.
fn canonical(raw: &str) -> Result<String, BadPath> {
    let below = raw.strip_prefix('/').ok_or(NO_SLASH)?;
    let mut made = String::with_capacity(raw.len());
    let mut ends_in_a_name = false;
    for segment in below.split('/') {
        let begin = made.len();
        made.push('/');
        spell(segment, &mut made)?;
        let name = made.get(begin + 1..).unwrap_or_default();
        let climbs = name == "..";
        ends_in_a_name = !matches!(name, "" | "." | "..");
        if !ends_in_a_name {
            made.truncate(begin);
        }
        if climbs {
            made.truncate(made.rfind('/').ok_or(ABOVE_THE_ROOT)?);
        }
    }
    if !ends_in_a_name {
        made.push('/');
    }
    Ok(made)
}

/// Refuses names that file systems which fold case, Windows' above all, take for shorter ones:
/// `internal.`, `internal `, `internal::$DATA`.
fn names_of_windows(octets: &[u8]) -> Result<(), BadPath> {
    for name in octets.split(|octet| *octet == b'/') {
        if matches!(name.last(), Some(b'.' | b' ')) {
            return Err(DROPPED_AT_THE_END);
        }
        if name.windows(2).any(|two| two == b":$") {
            return Err(STREAM);
        }
    }
    Ok(())
}

/// Writes a segment in its one spelling, without its parameters, which have to be sound too.
fn spell(segment: &str, made: &mut String) -> Result<(), BadPath> {
    let mut rest = segment.as_bytes();
    let mut in_parameters = false;
    while let Some((octet, behind)) = octet(rest)? {
        rest = behind;
        in_parameters |= octet.value == b';' && !octet.escaped;
        if !in_parameters {
            octet.spell(made);
        }
    }
    Ok(())
}

/// One octet as a path has it.
struct Octet {
    value: u8,
    escaped: bool,
}

/// Reads the first octet, and what stands behind it.
fn octet(text: &[u8]) -> Result<Option<(Octet, &[u8])>, BadPath> {
    let (octet, rest) = match text {
        [] => return Ok(None),
        [b'%', high, low, rest @ ..] => {
            let value = digit(*high).zip(digit(*low)).map(|(high, low)| high << 4 | low);
            (Octet { value: value.ok_or(BAD_ESCAPE)?, escaped: true }, rest)
        }
        [b'%', ..] => return Err(BAD_ESCAPE),
        [value, rest @ ..] => (Octet { value: *value, escaped: false }, rest),
    };
    octet.check()?;
    Ok(Some((octet, rest)))
}

impl Octet {
    fn check(&self) -> Result<(), BadPath> {
        match (self.value, self.escaped) {
            (0..=0x1f | 0x7f, _) | (b' ', false) => Err(CONTROL),
            (b'\\', _) => Err(BACKSLASH),
            (b'/', true) => Err(ENCODED_SLASH),
            // A service that decodes before it takes parameters away would see a shorter name.
            (b';', true) => Err(ENCODED_SEMICOLON),
            (b'#' | b'?', false) => Err(NOT_OF_A_PATH),
            (0xc0 | 0xc1, true) => Err(OVERLONG),
            (0x80.., false) => Err(NOT_ASCII),
            _ => Ok(()),
        }
    }

    /// Writes it: what is unreserved as it is, and what stands for itself as it was written (RFC
    /// 3986, section 6.2.2). What was written bare and may not be is encoded.
    fn spell(&self, made: &mut String) {
        const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
        let bare = is_unreserved(self.value) || (!self.escaped && is_of_a_segment(self.value));
        if bare {
            made.push(char::from(self.value));
        } else {
            made.push('%');
            for digit in [self.value >> 4, self.value & 15] {
                made.push(char::from(DIGITS[usize::from(digit)]));
            }
        }
    }
}

fn digit(letter: u8) -> Option<u8> {
    match letter {
        b'0'..=b'9' => Some(letter - b'0'),
        b'a'..=b'f' => Some(letter - b'a' + 10),
        b'A'..=b'F' => Some(letter - b'A' + 10),
        _ => None,
    }
}

const fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~')
}

/// What may stand bare in a segment's name (RFC 3986, `pchar`), the semicolon aside.
const fn is_of_a_segment(byte: u8) -> bool {
    is_unreserved(byte)
        || matches!(
            byte,
            b'!' | b'$' | b'&' | b'\'' | b'(' | b')' | b'*' | b'+' | b',' | b'=' | b':' | b'@'
        )
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn spelled(raw: &str) -> Result<String, BadPath> {
        Path::parse(raw, Folding::Exact).map(|path| path.as_str().to_owned())
    }

    fn folds_to(raw: &str) -> String {
        let path = Path::parse(raw, Folding::Fold).unwrap();
        String::from_utf8_lossy(path.matched()).into_owned()
    }

    #[test]
    fn each_spelling_becomes_the_one() {
        for (raw, expected) in [
            ("/", "/"),
            ("/internal", "/internal"),
            ("//internal", "/internal"),
            ("///internal//x/", "/internal/x/"),
            ("/a/../internal", "/internal"),
            ("/a/%2e%2E/internal", "/internal"),
            ("/a/.%2e/internal", "/internal"),
            ("/a/..;/internal", "/internal"),
            ("/a/..;x=%20/internal", "/internal"),
            ("/a//../internal", "/internal"),
            ("/./internal", "/internal"),
            ("/%2e/internal", "/internal"),
            ("/%69nternal", "/internal"),
            ("/internal;x", "/internal"),
            ("/internal;a=1;b=2/c;d", "/internal/c"),
            ("/;/internal", "/internal"),
            ("/internal/.", "/internal/"),
            ("/internal/x/..", "/internal/"),
            ("/a/..", "/"),
            ("/...", "/..."),
            ("/.well-known/x", "/.well-known/x"),
            ("/caf%c3%a9", "/caf%C3%A9"),
            ("/%7Ealice/%5F", "/~alice/_"),
            ("/%252e%252e/internal", "/%252e%252e/internal"),
            ("/%2524", "/%2524"),
            ("/a%24b/$", "/a%24b/$"),
            ("/%ff%fe", "/%FF%FE"),
            ("/a|b/{c}/[d]/\"<^>`", "/a%7Cb/%7Bc%7D/%5Bd%5D/%22%3C%5E%3E%60"),
            ("/a%20b/%3F/%23", "/a%20b/%3F/%23"),
            ("/a:b@c/!$&'()*+,=", "/a:b@c/!$&'()*+,="),
        ] {
            assert_eq!(spelled(raw).as_deref(), Ok(expected), "{raw}");
        }
    }

    #[test]
    fn what_can_be_read_in_two_ways_is_refused() {
        for (raw, expected) in [
            ("", NO_SLASH),
            ("*", NO_SLASH),
            ("internal", NO_SLASH),
            ("%2Finternal", NO_SLASH),
            ("/a%", BAD_ESCAPE),
            ("/a%2", BAD_ESCAPE),
            ("/a%zz", BAD_ESCAPE),
            ("/a%2/b", BAD_ESCAPE),
            ("/a%u002e", BAD_ESCAPE),
            ("/a;%", BAD_ESCAPE),
            ("/a%00", CONTROL),
            ("/a%0d%0a", CONTROL),
            ("/a%7f", CONTROL),
            ("/a\tb", CONTROL),
            ("/a b", CONTROL),
            ("/a;%00", CONTROL),
            ("/a\\b", BACKSLASH),
            ("/a/..\\internal", BACKSLASH),
            ("/a%5cb", BACKSLASH),
            ("/a%2finternal", ENCODED_SLASH),
            ("/a/..%2Finternal", ENCODED_SLASH),
            ("/caf\u{e9}", NOT_ASCII),
            ("/a#b", NOT_OF_A_PATH),
            ("/a?b", NOT_OF_A_PATH),
            ("/..", ABOVE_THE_ROOT),
            ("/../internal", ABOVE_THE_ROOT),
            ("/a/../../internal", ABOVE_THE_ROOT),
            ("/%2e%2e", ABOVE_THE_ROOT),
            ("/%c0%ae%c0%ae/internal", OVERLONG),
            ("/a%C0%AFb", OVERLONG),
            ("/a;%c1%9c", OVERLONG),
            ("/a/..%3B/internal", ENCODED_SEMICOLON),
            ("/internal%3bx", ENCODED_SEMICOLON),
            ("/a;%3b", ENCODED_SEMICOLON),
        ] {
            assert_eq!(spelled(raw), Err(expected), "{raw}");
        }
    }

    #[test]
    fn rules_match_what_the_service_decodes() {
        let path = Path::parse("/pay%24/a%3Db/%C3%A9/%252e/", Folding::Exact).unwrap();
        assert_eq!(path.matched(), "/pay$/a=b/\u{e9}/%2e".as_bytes());
        assert_eq!(Path::parse("/", Folding::Exact).unwrap().matched(), b"");
    }

    #[test]
    fn folding_takes_letters_for_the_same_that_any_service_might() {
        for (raw, expected) in [
            ("/Internal/X", "/internal/x"),
            ("/%E2%84%AAey", "/key"),
            ("/adm%C4%B1n", "/admin"),
            ("/adm%C4%B0n", "/admin"),
            ("/%C5%BFecret", "/secret"),
            ("/STRA%C3%9FE", "/strasse"),
            ("/stra%E1%BA%9Ee", "/strasse"),
            ("/%C3%89", "/\u{e9}"),
        ] {
            assert_eq!(folds_to(raw), expected, "{raw}");
        }
        let path = Path::parse("/Internal", Folding::Fold).unwrap();
        assert_eq!(path.as_str(), "/Internal", "the client's case is forwarded");
        let broken = Path::parse("/%C3X%ff", Folding::Fold).unwrap();
        assert_eq!(broken.matched(), b"/\xc3x\xff");
    }

    #[test]
    fn where_case_is_folded_names_that_windows_shortens_are_refused() {
        for (raw, expected) in [
            ("/internal.", DROPPED_AT_THE_END),
            ("/internal../x", DROPPED_AT_THE_END),
            ("/internal%2e", DROPPED_AT_THE_END),
            ("/internal%20", DROPPED_AT_THE_END),
            ("/internal.%20/", DROPPED_AT_THE_END),
            ("/internal.;x/y", DROPPED_AT_THE_END),
            ("/...", DROPPED_AT_THE_END),
            ("/internal::$DATA", STREAM),
            ("/internal%3a%3A%24data", STREAM),
            ("/internal:$I30:$INDEX_ALLOCATION/x", STREAM),
        ] {
            assert_eq!(Path::parse(raw, Folding::Fold), Err(expected), "{raw}");
            assert!(Path::parse(raw, Folding::Exact).is_ok(), "{raw}");
        }
        for raw in ["/a.b/.c", "/a%20b", "/a:b", "/a$", "/a/.", "/"] {
            assert!(Path::parse(raw, Folding::Fold).is_ok(), "{raw}");
        }
    }

    #[test]
    fn folding_agrees_with_lower_and_with_upper_case_for_every_letter_there_is() {
        for letter in '\u{80}'..=char::MAX {
            let as_is = folded(letter.encode_utf8(&mut [0; 4]).as_bytes());
            for other in [letter.to_lowercase().to_string(), letter.to_uppercase().to_string()] {
                if other.starts_with(letter) {
                    continue;
                }
                assert_eq!(folded(other.as_bytes()), as_is, "{letter:?}");
            }
            assert!(!as_is.contains(&b'/'), "{letter:?}");
        }
    }

    #[test]
    fn a_request_in_the_one_spelling_is_not_copied() {
        let same = |uri: &'static str| {
            let uri = Uri::from_static(uri);
            let path = Path::of(&uri, Folding::Exact).unwrap();
            path.as_str().as_ptr() == uri.path().as_ptr()
        };
        assert!(same("/order/7?x=../y"));
        assert!(same("https://shop.example/.well-known/a%20b"));
        assert!(!same("/order//7"));
        let options = Uri::from_static("*");
        assert_eq!(Path::of(&options, Folding::Exact), Err(NO_SLASH));
    }

    proptest! {
        #[test]
        fn a_plain_path_is_one_that_spelling_does_not_change(raw in "[/.a%2;:]{0,12}") {
            if is_plain(raw.as_bytes()) {
                prop_assert_eq!(canonical(&raw), Ok(raw));
            }
        }

        #[test]
        fn hostile_spellings_keep_what_is_promised(raw in "/(%2[eE5f]|%3[bB]|[/.;aA%2*|]){0,16}") {
            super::super::paths::holds(raw.as_bytes());
        }
    }
}
