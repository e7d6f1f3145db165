//! What has a deadline, on a clock that waits for nothing.

use std::sync::Arc;
use std::time::Duration;

use cloakroom_core::token::Secret;
use cloakroom_core::{Client, Error, Key, Kind, MemoryStore, Policy, Sessions, Token};
use cloakroom_testkit::TokioTimer;
use cloakroom_testkit::stores::{Call, Hooked};

/// Several tokens, each looked up just within the deadline of a call, are not waited for longer
/// than one request may take.
#[tokio::test(start_paused = true)]
async fn opening_ends_at_the_deadline_however_many_tokens_are_looked_up() {
    let Policy { tokens_tried, call_deadline, .. } = Policy::default();
    let store = Hooked::new(Arc::new(MemoryStore::new()));
    for n in 1..=tokens_tried {
        store.before(Call::Load, n, async move {
            tokio::time::sleep(call_deadline - Duration::from_millis(1)).await;
            Ok(())
        });
    }
    let sessions = Sessions::builder(store, TokioTimer).build().unwrap();
    let token = || Token::new(Key::random(Kind::Session), Secret::random());
    let tokens: Vec<_> = (0..tokens_tried).map(|_| token()).collect();
    let opened = sessions.open(&tokens, Client::default()).await;
    assert!(matches!(opened, Err(Error::DeadlinePassed)), "{opened:?}");
}
