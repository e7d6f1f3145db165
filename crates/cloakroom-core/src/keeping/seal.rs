//! The seal itself: bytes to text that nobody can read or change without a key of the ring, and
//! back. XChaCha20-Poly1305 with a random nonce of 24 bytes.
//!
//! The text is base64url without padding of a version byte, 4 bytes that name the key, the nonce,
//! and the ciphertext with its tag. Version, key, purpose and carrier are authenticated with it.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chacha20poly1305::aead::{AeadInOut, KeyInit};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};

use super::keyring::{Keys, Tag};
use crate::time::Timestamp;
use crate::token::random;

const VERSION: u8 = 1;
const NONCE: usize = 24;
const TAG: usize = 16;
const HEAD: usize = 1 + size_of::<Tag>() + NONCE;
/// Bytes that a seal adds to what is in it.
const OVERHEAD: usize = HEAD + TAG;
/// The longest text that is looked at: no content is larger.
const MOST_TEXT: usize = 96 * 1024;

/// What a seal is bound to: it opens nowhere else.
#[derive(Clone, Copy, Debug)]
pub(super) struct BoundTo<'a> {
    /// What it is for.
    pub(super) purpose: &'a str,
    /// What carries it, such as a cookie's name.
    pub(super) carrier: &'a str,
}

impl BoundTo<'_> {
    /// What is authenticated beside the content. Each part says how long it is, so that no two
    /// bindings look the same.
    fn data(&self, head: &[u8]) -> Vec<u8> {
        let mut data = Vec::with_capacity(64 + self.purpose.len() + self.carrier.len());
        for part in [&b"cloakroom seal"[..], head, self.purpose.as_bytes(), self.carrier.as_bytes()]
        {
            data.extend_from_slice(&(part.len() as u64).to_be_bytes());
            data.extend_from_slice(part);
        }
        data
    }
}

/// The most bytes that a text of `most` characters can hold.
pub(super) const fn room(most: usize) -> usize {
    (most / 4 * 3 + most % 4 * 3 / 4).saturating_sub(OVERHEAD)
}

/// Seals `plain` with the key that seals at `now`. `None` only for what is far too long.
pub(super) fn seal(
    keys: &Keys,
    bound_to: BoundTo<'_>,
    plain: &[u8],
    now: Timestamp,
) -> Option<String> {
    let key = keys.sealing(now)?;
    let nonce: [u8; NONCE] = random();
    let mut sealed = Vec::with_capacity(OVERHEAD + plain.len());
    sealed.push(VERSION);
    sealed.extend_from_slice(key.tag());
    let data = bound_to.data(&sealed);
    sealed.extend_from_slice(&nonce);
    sealed.extend_from_slice(plain);
    let cipher = XChaCha20Poly1305::new(key.bytes().into());
    let nonce = XNonce::from(nonce);
    let content = sealed.get_mut(HEAD..)?;
    let tag = cipher.encrypt_inout_detached(&nonce, &data, content.into()).ok()?;
    sealed.extend_from_slice(&tag);
    Some(URL_SAFE_NO_PAD.encode(sealed))
}

/// Opens a text. `None` for everything that a key of the ring has not sealed for just this.
pub(super) fn open(keys: &Keys, bound_to: BoundTo<'_>, text: &[u8]) -> Option<Vec<u8>> {
    if text.len() > MOST_TEXT {
        return None;
    }
    let mut sealed = URL_SAFE_NO_PAD.decode(text).ok()?;
    let (head, rest) = sealed.split_at_mut_checked(HEAD - NONCE)?;
    let (version, tag) = head.split_first()?;
    if *version != VERSION {
        return None;
    }
    let key = keys.named(<&Tag>::try_from(tag).ok()?)?;
    let data = bound_to.data(head);
    let (nonce, rest) = rest.split_at_mut_checked(NONCE)?;
    let (content, tag) = rest.split_at_mut_checked(rest.len().checked_sub(TAG)?)?;
    let (nonce, tag) = (<[u8; NONCE]>::try_from(&*nonce).ok()?, <[u8; TAG]>::try_from(&*tag).ok()?);
    let cipher = XChaCha20Poly1305::new(key.bytes().into());
    cipher.decrypt_inout_detached(&XNonce::from(nonce), &data, content.into(), &tag.into()).ok()?;
    sealed.truncate(sealed.len() - TAG);
    sealed.drain(..HEAD);
    Some(sealed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keeping::KeyRing;

    const NOW: Timestamp = Timestamp::from_millis(1_000_000);
    const HERE: BoundTo<'_> = BoundTo { purpose: "session", carrier: "cookie id" };

    fn sealed(ring: &KeyRing, plain: &[u8]) -> String {
        seal(&ring.current(), HERE, plain, NOW).unwrap()
    }

    fn opened(ring: &KeyRing, text: &str) -> Option<Vec<u8>> {
        open(&ring.current(), HERE, text.as_bytes())
    }

    #[test]
    fn what_is_sealed_opens_and_no_two_seals_are_alike() {
        let ring = KeyRing::generate();
        for length in [0, 1, 31, 32, 3000] {
            let plain = vec![7; length];
            let text = sealed(&ring, &plain);
            assert_eq!(opened(&ring, &text), Some(plain.clone()));
            assert_ne!(text, sealed(&ring, &plain));
            assert_eq!(room(text.len()), length);
            assert!(length == 0 || room(text.len() - 1) < length);
        }
    }

    #[test]
    fn a_changed_character_anywhere_is_refused() {
        let ring = KeyRing::generate();
        let text = sealed(&ring, b"some content of a session");
        for at in 0..text.len() {
            for other in ["A", "_", "-", "9"] {
                let mut changed = text.clone();
                changed.replace_range(at..=at, other);
                assert_eq!(opened(&ring, &changed).is_some(), changed == text, "at {at}");
            }
            assert_eq!(opened(&ring, &text[..at]), None, "cut at {at}");
        }
        assert_eq!(opened(&ring, &format!("{text}A")), None);
    }

    #[test]
    fn a_changed_bit_anywhere_is_refused() {
        let ring = KeyRing::generate();
        let good = URL_SAFE_NO_PAD.decode(sealed(&ring, b"content")).unwrap();
        for bit in 0..good.len() * 8 {
            let mut bytes = good.clone();
            bytes[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(opened(&ring, &URL_SAFE_NO_PAD.encode(bytes)), None, "bit {bit}");
        }
    }

    #[test]
    fn it_opens_only_for_what_it_was_sealed_for() {
        let ring = KeyRing::generate();
        let text = sealed(&ring, b"content");
        for (purpose, carrier) in [
            ("session", "cookie di"),
            ("sessio", "ncookie id"),
            ("slot", "cookie id"),
            ("", "sessioncookie id"),
        ] {
            let bound_to = BoundTo { purpose, carrier };
            assert_eq!(open(&ring.current(), bound_to, text.as_bytes()), None);
        }
        assert_eq!(opened(&KeyRing::generate(), &text), None, "another key of the same name");
    }

    #[test]
    fn an_old_key_opens_until_it_is_removed() {
        let (old, new) = (KeyRing::new_line("old").unwrap(), KeyRing::new_line("new").unwrap());
        let ring = KeyRing::parse(&old).unwrap();
        let before = sealed(&ring, b"content");
        ring.replace(&KeyRing::parse(&format!("{}{}", &*old, &*new)).unwrap());
        assert!(opened(&ring, &before).is_some());
        let after = sealed(&ring, b"content");
        assert_eq!(opened(&KeyRing::parse(&old).unwrap(), &after), None, "the new one sealed it");
        ring.replace(&KeyRing::parse(&new).unwrap());
        assert_eq!(opened(&ring, &before), None);
        assert!(opened(&ring, &after).is_some());
    }

    #[test]
    fn what_was_never_a_seal_is_refused() {
        let ring = KeyRing::generate();
        for text in ["", "A", "AQ", "!", "=", "AQAAAAAA", &"A".repeat(60), &"A".repeat(100_000)] {
            assert_eq!(opened(&ring, text), None);
        }
        assert_eq!(open(&ring.current(), HERE, &[0xff; 200]), None);
    }
}
