//! Secrets: which one opens a record, what a rotation does to it, and what a thief of the database
//! finds.

use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use cloakroom_core::commit::Rotation;
use cloakroom_core::record::{MOST_SUPERSEDED, Standing};
use cloakroom_core::token::{Proof, Secret};
use cloakroom_core::{Commit, Key, Outcome, Record, Timestamp, Token};

use crate::Fixture;
use crate::samples::{Doing, ROOM, START, after, key, proof, session, visit};

const SETTLE: Duration = Duration::from_secs(60);
const GRACE: Duration = Duration::from_secs(30);

fn under(proof: Proof) -> Commit {
    Commit::new(Some(proof), ROOM)
}

fn replace(proof: Proof) -> Rotation {
    Rotation::Replace { proof, settle: SETTLE }
}

fn offer(proof: Proof) -> Rotation {
    Rotation::Offer { proof, instead_of: None }
}

const CONFIRM: Rotation = Rotation::Confirm { grace: GRACE };

/// Checks that a commit under `proof` is gone at `now` and changes nothing.
async fn shut(fixture: &Fixture, key: Key, record: &Record, proof: Proof, now: Timestamp) {
    let commit = under(proof).set("planted", "1").touching();
    assert_eq!(fixture.commit(key, &commit, now).await, Outcome::Gone);
    assert_eq!(fixture.load(key, now).await.as_ref(), Some(record));
}

/// A commit under a stranger's secret is gone, and changes nothing. A record that no secret opens
/// takes only an administrator's.
pub async fn a_stranger_changes_nothing(fixture: &Fixture) {
    for record in [session(START), Record::new(None, START)] {
        let key = key();
        fixture.create(key, &record, START).await;
        shut(fixture, key, &record, proof(), after(1)).await;
        let administrators = Commit::new(None, ROOM).set("a", "1");
        fixture.follow(key, &record, &administrators, after(1)).await;
    }
}

/// A login shuts the old secret out at once, and recognises it until it has settled.
pub async fn a_replaced_secret_opens_nothing(fixture: &Fixture) {
    let (key, record, new) = (key(), session(START), proof());
    let old = record.proof.expect("a session has a secret");
    fixture.create(key, &record, START).await;
    let login = under(old).rotating(replace(new)).signing_in("alice", None);
    let record = fixture.follow(key, &record, &login, after(1)).await;
    assert_eq!(record.proof, Some(new));
    assert_eq!(record.proof_since, after(1));
    assert_eq!(record.authenticated_at, Some(after(1)));
    shut(fixture, key, &record, old, after(2)).await;
    let stored = fixture.load(key, after(2)).await.expect("it lives");
    assert_eq!(stored.admits(&old, after(2)), Standing::Settling);
    assert_eq!(stored.admits(&old, after(1) + SETTLE), Standing::Stranger);
    fixture.follow(key, &record, &under(new).set("a", "1"), after(2)).await;
}

/// Login after login, only the latest earlier secrets are recognised, and those that have settled
/// are forgotten.
pub async fn superseded_secrets_are_few(fixture: &Fixture) {
    let (key, mut record) = (key(), session(START));
    fixture.create(key, &record, START).await;
    for second in 1..=2 * MOST_SUPERSEDED as u64 {
        let login = visit(&record).rotating(replace(proof()));
        record = fixture.follow(key, &record, &login, after(second)).await;
    }
    assert_eq!(record.superseded.len(), MOST_SUPERSEDED);
    let later = visit(&record).rotating(replace(proof()));
    let record = fixture.follow(key, &record, &later, after(600)).await;
    assert_eq!(record.superseded.len(), 1);
}

/// A login that is sent twice rotates once.
pub async fn a_resent_rotation_is_applied_once(fixture: &Fixture) {
    let (key, record) = (key(), session(START));
    fixture.create(key, &record, START).await;
    let login = visit(&record).rotating(replace(proof())).signing_in("alice", Some(1));
    let done = fixture.follow(key, &record, &login, after(1)).await;
    let again = fixture.follow(key, &done, &login, after(2)).await;
    assert_eq!(again, done);
    let offered = visit(&done).rotating(offer(proof()));
    let done = fixture.follow(key, &done, &offered, after(3)).await;
    let again = fixture.follow(key, &done, &offered, after(4)).await;
    assert_eq!(again, done);
}

/// A login rotates even an offered secret and one in its grace away.
pub async fn a_login_shuts_every_earlier_secret(fixture: &Fixture) {
    let (key, record) = (key(), session(START));
    let (second, third, fourth) = (proof(), proof(), proof());
    let first = record.proof.expect("a session has a secret");
    fixture.create(key, &record, START).await;
    let mut record = record;
    for commit in [
        under(first).rotating(offer(second)),
        under(second).rotating(CONFIRM),
        under(second).rotating(offer(third)),
        under(second).rotating(replace(fourth)),
    ] {
        record = fixture.follow(key, &record, &commit, after(1)).await;
    }
    for old in [first, second, third] {
        assert_eq!(record.admits(&old, after(2)), Standing::Settling);
        shut(fixture, key, &record, old, after(2)).await;
    }
}

/// An offered secret waits: the current one goes on, and both are admitted. Another offer conflicts
/// unless it means to replace this one.
pub async fn an_offer_waits(fixture: &Fixture) {
    let (key, record) = (key(), session(START));
    let old = record.proof.expect("a session has a secret");
    let (new, newer) = (proof(), proof());
    fixture.create(key, &record, START).await;
    let record = fixture.follow(key, &record, &under(old).rotating(offer(new)), after(1)).await;
    assert_eq!(record.proof, Some(old));
    let second = under(old).rotating(offer(newer)).set("a", "1");
    let conflict = Outcome::Conflict(Arc::new(record.clone()));
    assert_eq!(fixture.commit(key, &second, after(2)).await, conflict);
    let record = fixture.follow(key, &record, &second, after(2)).await;
    let record = fixture.follow(key, &record, &under(old).set("b", "1"), after(2)).await;
    let record = fixture.follow(key, &record, &under(new).set("b", "2"), after(2)).await;
    let third = Rotation::Offer { proof: newer, instead_of: Some(new) };
    let record = fixture.follow(key, &record, &under(old).rotating(third), after(3)).await;
    assert_eq!(record.next.map(|next| next.proof), Some(newer));
    shut(fixture, key, &record, new, after(3)).await;
}

/// Only the holder of the current secret is offered another.
pub async fn only_the_current_secret_is_rotated(fixture: &Fixture) {
    let (key, record) = (key(), session(START));
    let old = record.proof.expect("a session has a secret");
    let new = proof();
    fixture.create(key, &record, START).await;
    let mut record = record;
    for commit in [under(old).rotating(offer(new)), under(new).rotating(CONFIRM)] {
        record = fixture.follow(key, &record, &commit, after(1)).await;
    }
    let graced = under(old).rotating(offer(proof()));
    assert!(matches!(fixture.commit(key, &graced, after(2)).await, Outcome::Conflict(_)));
    fixture.follow(key, &record, &graced, after(2)).await;
}

/// A confirmed secret is the current one; the one before opens the record for its grace and not
/// longer. Confirming again changes nothing.
pub async fn a_confirmed_secret_takes_over(fixture: &Fixture) {
    let (key, record) = (key(), session(START));
    let (old, new) = (record.proof.expect("a session has a secret"), proof());
    fixture.create(key, &record, START).await;
    let idle_confirm = under(old).rotating(CONFIRM);
    let record = fixture.follow(key, &record, &idle_confirm, after(1)).await;
    assert_eq!(record.version, 1, "nothing was offered");
    let offered = under(old).rotating(offer(new));
    let record = fixture.follow(key, &record, &offered, after(1)).await;
    let confirm = under(new).rotating(CONFIRM).set("a", "1");
    let record = fixture.follow(key, &record, &confirm, after(2)).await;
    assert_eq!((record.proof, record.next), (Some(new), None));
    let again = under(new).rotating(CONFIRM);
    let record = fixture.follow(key, &record, &again, after(3)).await;
    assert_eq!(record.version, 3, "it was confirmed already");
    let last = Timestamp::from_millis((after(2) + GRACE).millis() - 1);
    let graced = under(old).set("a", "2");
    let record = fixture.follow(key, &record, &graced, last).await;
    assert_eq!(record.version, 4, "the old secret is in its grace");
    shut(fixture, key, &record, old, after(2) + GRACE).await;
}

/// What a store holds of a session opens nothing: neither the secret nor the token is in it, in
/// bytes or as text, in any form that a rotation leaves behind.
pub async fn a_stolen_record_opens_nothing(fixture: &Fixture) {
    let key = key();
    let tokens: Vec<Token> = (0..4).map(|_| Token::new(key, Secret::random())).collect();
    let mut record = session(START);
    record.proof = Some(tokens[0].proof());
    fixture.create(key, &record, START).await;
    for commit in [
        under(tokens[0].proof()).rotating(replace(tokens[1].proof())),
        under(tokens[1].proof()).rotating(offer(tokens[2].proof())),
        under(tokens[2].proof()).rotating(CONFIRM),
        under(tokens[2].proof()).rotating(offer(tokens[3].proof())),
    ] {
        record = fixture.follow(key, &record, &commit, after(1)).await;
    }
    let stored = fixture.load(key, after(1)).await.expect("it lives").encode();
    let printed = format!("{record:?}");
    for token in &tokens {
        let text = token.reveal();
        let secret = &text[Token::TEXT_LEN / 2..];
        let bytes = URL_SAFE_NO_PAD.decode(secret).expect("base64");
        for hidden in [text.as_bytes(), secret.as_bytes(), &bytes] {
            assert!(!stored.windows(hidden.len()).any(|part| part == hidden));
        }
        assert!(!printed.contains(secret));
    }
}
