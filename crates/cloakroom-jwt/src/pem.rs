//! Reads and writes keys as PEM text: PKCS#8 for the private, SPKI for the public ones.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rustls_pki_types::pem::{PemObject, SectionKind};
use zeroize::{Zeroize, Zeroizing};

use crate::error::Error;
use crate::public::Algorithm;

/// What comes before the key in the DER of an Ed25519 public key (RFC 8410, section 4).
const ED25519_SPKI: [u8; 12] =
    [0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];
/// What comes before the uncompressed point in the DER of a P-256 public key (RFC 5480, section 2).
const P256_SPKI: [u8; 26] = [
    0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a,
    0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00,
];
const LINE: usize = 64;

/// The DER of the one private key in `text`.
pub(crate) fn private(text: &str) -> Result<Zeroizing<Vec<u8>>, Error> {
    if text.contains("BEGIN ENCRYPTED PRIVATE KEY") {
        return Err(Error::NotAKey("it is encrypted: decrypt it with openssl pkcs8"));
    }
    let der = one(text, SectionKind::PrivateKey)?;
    Ok(der)
}

/// The one public key in `text`: its algorithm and its bytes as `ring` takes them.
pub(crate) fn public(text: &str) -> Result<(Algorithm, Vec<u8>), Error> {
    let der = one(text, SectionKind::PublicKey)?;
    if let Some(key) = der.strip_prefix(&ED25519_SPKI).filter(|key| key.len() == 32) {
        return Ok((Algorithm::EdDsa, key.to_vec()));
    }
    match der.strip_prefix(&P256_SPKI) {
        Some(point) if point.len() == 65 && point[0] == 4 => Ok((Algorithm::Es256, point.to_vec())),
        _ => Err(Error::NotAKey("a public key has to be Ed25519, or P-256 as a whole point")),
    }
}

/// Writes a private key's DER as PEM (RFC 7468, section 10).
pub(crate) fn write(der: &[u8]) -> Zeroizing<String> {
    let body = Zeroizing::new(STANDARD.encode(der));
    // As much as it will need, so that it is not moved and left behind as it grows.
    let mut text = Zeroizing::new(String::with_capacity(body.len() + body.len() / LINE + 64));
    text.push_str("-----BEGIN PRIVATE KEY-----\n");
    let mut rest = body.as_str();
    while !rest.is_empty() {
        let (line, after) = rest.split_at(LINE.min(rest.len()));
        text.push_str(line);
        text.push('\n');
        rest = after;
    }
    text.push_str("-----END PRIVATE KEY-----\n");
    text
}

/// The content of the one section of `text`, which has to be of the kind `wanted`.
fn one(text: &str, wanted: SectionKind) -> Result<Zeroizing<Vec<u8>>, Error> {
    let mut found = None;
    for section in <(SectionKind, Vec<u8>)>::pem_slice_iter(text.as_bytes()) {
        let (kind, mut content) = section.map_err(|_| Error::NotAKey("its PEM text is broken"))?;
        if kind == wanted && found.is_none() {
            found = Some(Zeroizing::new(content));
            continue;
        }
        content.zeroize();
        return Err(Error::NotAKey(instead(kind, wanted)));
    }
    found.ok_or(Error::NotAKey("there is no PEM text of a key (-----BEGIN ...)"))
}

/// What to do about a section that is not the one that was asked for.
fn instead(kind: SectionKind, wanted: SectionKind) -> &'static str {
    match kind {
        kind if kind == wanted => "there is more than one key in it",
        SectionKind::EcPrivateKey => {
            "it is of the old form (EC PRIVATE KEY): openssl pkcs8 -topk8 -nocrypt makes PKCS#8 of it"
        }
        SectionKind::RsaPrivateKey => "RSA is not supported: use P-256 or Ed25519",
        SectionKind::PrivateKey => "it is a private key, where a public one is wanted",
        SectionKind::PublicKey => "it is a public key, where a private one is wanted",
        _ => "there is something else than a key in it",
    }
}
