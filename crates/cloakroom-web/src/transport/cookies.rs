//! Reads the Cookie header. Takes any bytes, allocates nothing, and knows no session.

use memchr::memchr;

/// The values of all cookies called `name` in a `Cookie` header's bytes, in their order.
///
/// The name is compared exactly, in its case too. White space around names and values is no part of
/// them, nor is one pair of double quotes around a value. What has no `=` is no cookie.
///
/// ```
/// use cloakroom_web::cookies::values;
///
/// let header = br#"a=1; id=first; ID=no; id="second""#;
/// let found: Vec<&[u8]> = values(header, "id").collect();
/// assert_eq!(found, [b"first".as_slice(), b"second"]);
/// ```
pub fn values<'h>(header: &'h [u8], name: &str) -> impl Iterator<Item = &'h [u8]> {
    pairs(header).filter_map(move |(found, value)| (found == name.as_bytes()).then_some(value))
}

/// The names and values of all cookies in a `Cookie` header's bytes, in their order.
pub(crate) fn pairs(header: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> {
    let mut rest = Some(header);
    let pairs = std::iter::from_fn(move || {
        let (pair, others) = cut(rest?, b';');
        rest = others;
        Some(pair)
    });
    pairs.filter_map(|pair| {
        let (name, value) = cut(pair, b'=');
        Some((trim(name), unquote(trim(value?))))
    })
}

/// What stands before the first `byte`, and what behind it, where it is there.
fn cut(bytes: &[u8], byte: u8) -> (&[u8], Option<&[u8]>) {
    match memchr(byte, bytes) {
        Some(at) => (&bytes[..at], Some(&bytes[at + 1..])),
        None => (bytes, None),
    }
}

fn trim(mut bytes: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] | [rest @ .., b' ' | b'\t'] = bytes {
        bytes = rest;
    }
    bytes
}

fn unquote(bytes: &[u8]) -> &[u8] {
    match bytes {
        [b'"', inner @ .., b'"'] => inner,
        _ => bytes,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(header: &[u8]) -> Vec<&[u8]> {
        values(header, "id").collect()
    }

    #[test]
    fn names_match_exactly_and_in_order() {
        assert_eq!(read(b"id=1; xid=2; idx=3; Id=4;id=5 ;\tid = 6"), [b"1".as_slice(), b"5", b"6"]);
    }

    #[test]
    fn what_is_no_cookie_is_skipped() {
        assert_eq!(read(b"id; ;;=id; =; id"), Vec::<&[u8]>::new());
        assert_eq!(read(b""), Vec::<&[u8]>::new());
    }

    #[test]
    fn a_value_may_hold_anything_but_a_semicolon() {
        assert_eq!(
            read(b"id==a=; id=\xff\xfe; id=; id=a b"),
            [b"=a=".as_slice(), b"\xff\xfe", b"", b"a b"]
        );
    }

    #[test]
    fn one_pair_of_quotes_is_taken_off() {
        assert_eq!(
            read(br#"id="a"; id=""b""; id="; id="c"#),
            [b"a".as_slice(), br#""b""#, br#"""#, br#""c"#]
        );
    }
}
