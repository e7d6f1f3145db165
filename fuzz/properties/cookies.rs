//! What holds for all bytes that a client may send as a Cookie header.

use cloakroom_web::cookies::values;

const NAME: &str = "id";
const COOKIE: &[u8] = b"id=0123456789abcdef";
const VALUE: &[u8] = b"0123456789abcdef";

/// Panics where reading does, where a value reaches beyond its cookie, or where what stands before
/// or behind a cookie can hide it.
pub(crate) fn holds(header: &[u8]) {
    let found: Vec<&[u8]> = values(header, NAME).collect();
    for value in &found {
        assert!(!value.contains(&b';'), "a value reaches into the next cookie");
        assert!(value.len() + NAME.len() < header.len(), "a value is longer than its cookie");
    }
    let before = [COOKIE, b"; ", header].concat();
    let before: Vec<&[u8]> = values(&before, NAME).collect();
    assert_eq!(before.split_first(), Some((&VALUE, &found[..])), "what follows hides a cookie");
    let behind = [header, b"; ", COOKIE].concat();
    let behind: Vec<&[u8]> = values(&behind, NAME).collect();
    assert_eq!(behind.split_last(), Some((&VALUE, &found[..])), "what precedes hides a cookie");
}
