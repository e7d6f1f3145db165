//! Two services: one signs in its users and says who they are, the other verifies that with keys
//! that it was sent, and without any store.
//!
//! `cargo run -p cloakroom-jwt --example two_services`

#![allow(clippy::print_stdout, reason = "an example shows what it does")]

use std::error::Error;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::Duration;

use cloakroom_core::{Clock, Key, Kind, SystemClock};
use cloakroom_jwt::{Algorithm, Identity, KeySet, Refused, Signer, SigningKey, Verifier};

const ISSUER: &str = "https://login.example";
const AUDIENCE: &str = "orders";

type Done = Result<(), Box<dyn Error + Send + Sync>>;

fn main() -> Done {
    let signer = Signer::new(ISSUER, SigningKey::generate(Algorithm::EdDsa)?);
    let (tokens, received) = channel();
    thread::scope(|scope| {
        // In the place of HTTP: the second service asks the first for its keys when it needs them.
        let fetch = || signer.jwks(SystemClock.now());
        let verifier = Verifier::new(ISSUER, AUDIENCE, KeySet::parse(&fetch())?);
        let orders = scope.spawn(move || serve(&received, &verifier, &fetch));
        sign(&signer, &tokens)?;
        drop(tokens);
        orders.join().map_err(|_| "the second service has failed")?
    })
}

/// The service that keeps the sessions. It changes its key between two requests.
fn sign(signer: &Signer, tokens: &Sender<String>) -> Done {
    let session = Key::random(Kind::Session);
    let alice = Identity::new("alice")
        .session(session)
        .audience(AUDIENCE)
        .roles(["clerk"])
        .lifetime(Duration::from_secs(30));
    tokens.send(signer.sign(&alice, SystemClock.now())?)?;
    signer.rotate(SigningKey::generate(Algorithm::Es256)?, SystemClock.now())?;
    tokens.send(signer.sign(&alice, SystemClock.now())?)?;
    let elsewhere = alice.audience("billing");
    tokens.send(signer.sign(&elsewhere, SystemClock.now())?)?;
    Ok(())
}

/// The service that only needs to know who it is.
fn serve(requests: &Receiver<String>, verifier: &Verifier, fetch: &dyn Fn() -> String) -> Done {
    for token in requests {
        let mut answer = verifier.verify(&token, SystemClock.now());
        // A real service does this every few seconds at most: clients choose what they send.
        if answer == Err(Refused::UnknownKey) {
            println!("fetching the keys again");
            verifier.replace(KeySet::parse(&fetch())?);
            answer = verifier.verify(&token, SystemClock.now());
        }
        match answer {
            Ok(who) => println!("{:?} with the roles {:?}", who.principal(), who.roles()),
            Err(why) => println!("{why}"),
        }
    }
    Ok(())
}
