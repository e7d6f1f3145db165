//! What clients keep of sessions: a token, or in its place a whole sealed session.
//!
//! The promises speak of tokens. A client that keeps sealed sessions has, for every token, what was
//! sealed last for the session that the token was made for: as a browser has it whose responses come
//! one after the other.

use std::collections::HashMap;
use std::sync::{LazyLock, Mutex};

use cloakroom_core::keeping::{Carrier, SealedText};
use cloakroom_core::token::Secret;
use cloakroom_core::{Client, Error, Key, Reply, Session, Sessions, Token};

/// What all clients of this process keep, by the text of the token that stands for it.
static KEPT: LazyLock<Mutex<HashMap<String, (Key, SealedText)>>> = LazyLock::new(Default::default);

/// Opens what a client has.
pub(super) async fn open(node: &Sessions, tokens: &[Token]) -> Result<Session, Error> {
    if !node.is_sealed() {
        return node.open(tokens, Client::default()).await;
    }
    let texts: Vec<String> = tokens.iter().map(sealed).collect();
    let texts: Vec<&[u8]> = texts.iter().map(String::as_bytes).collect();
    node.open_sealed(&texts, &Carrier::new("a client", 4096), Client::default()).await
}

/// What stands behind a token; for one that nobody was given, what nobody has sealed.
fn sealed(token: &Token) -> String {
    let kept = KEPT.lock().unwrap();
    kept.get(&token.reveal()).map_or_else(|| token.reveal(), |(_, text)| text.reveal().to_owned())
}

/// Keeps a sealed session as it is now. The reply is as if it were stored: a token only where the
/// session's key is new to the client.
pub(super) fn keep(session: &Session, reply: Option<Reply>) -> Option<Reply> {
    let Some(Reply::Seal { text, ends_at }) = reply else {
        return reply;
    };
    let key = session.key().expect("a session that was sealed has a key");
    let mut kept = KEPT.lock().unwrap();
    let mut is_known = false;
    for (of, before) in kept.values_mut().filter(|(of, _)| *of == key) {
        (*of, *before, is_known) = (key, text.clone(), true);
    }
    if is_known {
        return None;
    }
    let token = Token::new(key, Secret::random());
    kept.insert(token.reveal(), (key, text));
    Some(Reply::Send { token, ends_at })
}
