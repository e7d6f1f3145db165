//! Writes new keys, tokens of them and their JWKS into a folder, for other implementations to
//! verify: `tests/fixtures/check.py` and `check.mjs` do.
//!
//! `cargo run -p cloakroom-jwt --example issue -- <folder>`

use std::error::Error;
use std::path::PathBuf;
use std::{env, fs};

use cloakroom_core::{Clock, Key, Kind, SystemClock};
use cloakroom_jwt::{Algorithm, Identity, Signer, SigningKey};

fn main() -> Result<(), Box<dyn Error>> {
    let folder = PathBuf::from(env::args_os().nth(1).ok_or("name a folder that is there")?);
    let now = SystemClock.now();
    let identity = Identity::new("alice")
        .session(Key::random(Kind::Session))
        .audience("orders")
        .roles(["clerk", "café"])
        .claim("tenant", 7);

    let key = SigningKey::generate(Algorithm::Es256)?;
    key.save(folder.join("es256.pem"))?;
    let signer = Signer::new("https://login.example", key);
    fs::write(folder.join("es256.jwt"), signer.sign(&identity, now)?)?;

    let key = SigningKey::generate(Algorithm::EdDsa)?;
    key.save(folder.join("eddsa.pem"))?;
    signer.rotate(key, now)?;
    fs::write(folder.join("eddsa.jwt"), signer.sign(&identity, now)?)?;

    // Both keys: the first has signed a token that has not lapsed.
    fs::write(folder.join("jwks.json"), signer.jwks(now))?;
    Ok(())
}
