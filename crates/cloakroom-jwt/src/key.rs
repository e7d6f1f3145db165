//! A private key: made, read from a file, and signing.

use std::fmt;
use std::path::Path;

use ring::rand::{SecureRandom, SystemRandom};
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair};
use zeroize::Zeroizing;

use crate::error::Error;
use crate::public::{Algorithm, PublicKey};
use crate::{file, pem};

/// What comes before the seed in the DER of an Ed25519 private key (RFC 8410, section 7).
const ED25519_PKCS8: [u8; 16] = [
    0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20,
];
const SEED: usize = 32;

/// Signs tokens. Whoever has it can be anybody.
///
/// `Debug` prints its name alone. What is read from a file, kept here and written to one is wiped
/// from memory when it is done with; what `ring` holds of a key is not, for `ring` does not do so.
pub struct SigningKey {
    public: PublicKey,
    pair: Pair,
    /// PKCS#8, so that the key can be written down.
    der: Zeroizing<Vec<u8>>,
}

enum Pair {
    Es256(Box<EcdsaKeyPair>),
    EdDsa(Box<Ed25519KeyPair>),
}

impl SigningKey {
    /// Makes a new key that nobody else has.
    pub fn generate(algorithm: Algorithm) -> Result<Self, Error> {
        let random = SystemRandom::new();
        let der = match algorithm {
            Algorithm::Es256 => {
                let der = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random);
                der.map_err(|_| Error::NoRandomness)?.as_ref().to_vec()
            }
            // Not by `ring`, whose second version of PKCS#8 some cannot read.
            Algorithm::EdDsa => {
                let mut seed = Zeroizing::new([0; SEED]);
                random.fill(seed.as_mut()).map_err(|_| Error::NoRandomness)?;
                [ED25519_PKCS8.as_slice(), seed.as_slice()].concat()
            }
        };
        Self::from_der(Zeroizing::new(der))
    }

    /// Reads a PEM text (PKCS#8, P-256 or Ed25519), as `openssl genpkey` writes it.
    pub fn from_pem(text: &str) -> Result<Self, Error> {
        Self::from_der(pem::private(text)?)
    }

    /// Reads a file with such a text.
    ///
    /// On Unix, refuses one that others can read or write, or that the group can write. Reads the
    /// file at once, on this thread.
    pub fn from_file(path: impl AsRef<Path>) -> Result<Self, Error> {
        Self::from_pem(&file::read_private(path.as_ref())?)
    }

    /// Writes the key to a new file, which on Unix only its owner can read.
    ///
    /// Fails where there is a file already: a key that is overwritten cannot be had back.
    pub fn save(&self, path: impl AsRef<Path>) -> Result<(), Error> {
        file::write_private(path.as_ref(), &pem::write(&self.der))
    }

    /// The key as PEM text, to be written down and shown to nobody.
    pub fn reveal(&self) -> Zeroizing<String> {
        pem::write(&self.der)
    }

    /// The half that verifies.
    pub const fn public(&self) -> &PublicKey {
        &self.public
    }

    /// The key's name: the thumbprint of its public half.
    pub fn kid(&self) -> &str {
        self.public.kid()
    }

    /// Signs `message`: 64 bytes, in the form of RFC 7518 (section 3.4) or of RFC 8032.
    pub(crate) fn sign(&self, random: &SystemRandom, message: &[u8]) -> Result<Vec<u8>, Error> {
        let signature = match &self.pair {
            Pair::Es256(pair) => pair.sign(random, message).map_err(|_| Error::NoRandomness)?,
            Pair::EdDsa(pair) => pair.sign(message),
        };
        Ok(signature.as_ref().to_vec())
    }

    fn from_der(der: Zeroizing<Vec<u8>>) -> Result<Self, Error> {
        // Without its public half, as openssl writes it, there is nothing to compare it with.
        if let Ok(pair) = Ed25519KeyPair::from_pkcs8_maybe_unchecked(&der) {
            let public = PublicKey::new(Algorithm::EdDsa, pair.public_key().as_ref().to_vec());
            return Ok(Self { public, pair: Pair::EdDsa(Box::new(pair)), der });
        }
        let algorithm = &ECDSA_P256_SHA256_FIXED_SIGNING;
        let pair = EcdsaKeyPair::from_pkcs8(algorithm, &der, &SystemRandom::new());
        let pair = pair.map_err(|_| {
            Error::NotAKey(
                "it is neither Ed25519 nor P-256 with its public half inside: \
                 openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 makes one",
            )
        })?;
        let public = PublicKey::new(Algorithm::Es256, pair.public_key().as_ref().to_vec());
        Ok(Self { public, pair: Pair::Es256(Box::new(pair)), der })
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SigningKey({}, {})", self.public.algorithm().name(), self.kid())
    }
}

#[cfg(test)]
#[path = "key/tests.rs"]
mod tests;
