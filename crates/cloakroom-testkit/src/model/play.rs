//! Plays a script on a store and on the reference, and compares every answer.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::time::Duration;

use cloakroom_core::commit::{Change, Expect, Rotation, SignIn};
use cloakroom_core::record::{CommitId, Field};
use cloakroom_core::store::Keep;
use cloakroom_core::token::Proof;
use cloakroom_core::{Commit, Guard, Key, Kind, Record, Timestamp};

use super::reference::Reference;
use super::script::{KEYS, NAMES, New, Opener, Step, Turn, Wanted, Who, Work};
use crate::Fixture;
use crate::samples::{ROOM, START};

/// How long secrets settle, are held, and stay in their grace.
const A_WHILE: Duration = Duration::from_secs(2);
/// How far a node's clock may be behind.
const BEHIND_MILLIS: u64 = 700;

/// The game: a store, the reference, and what the script has done so far.
struct Game<'a> {
    fixture: &'a Fixture,
    reference: Reference,
    keys: [Key; KEYS],
    now: Timestamp,
    /// Numbers commits, and the records' first fields.
    step: usize,
    sent: Vec<(Key, Commit)>,
}

/// Plays a script. An error says which answer differed, and how.
pub(super) async fn play(fixture: &Fixture, steps: &[Step]) -> Result<(), String> {
    let kind = |at| if at == KEYS - 1 { Kind::Ticket } else { Kind::Session };
    let mut game = Game {
        fixture,
        reference: Reference::default(),
        keys: std::array::from_fn(|at| Key::random(kind(at))),
        now: START,
        step: 0,
        sent: Vec::new(),
    };
    let mut played = Ok(());
    for step in steps {
        game.step += 1;
        played = game.play(step).await;
        if played.is_err() {
            break;
        }
    }
    game.clear_away().await;
    played.map_err(|error| format!("step {}: {error}", game.step))
}

fn same<T: PartialEq + Debug>(store: &T, reference: &T) -> Result<(), String> {
    if store == reference {
        return Ok(());
    }
    Err(format!("the store answers\n{store:#?}\nand the specification\n{reference:#?}"))
}

impl Game<'_> {
    async fn play(&mut self, step: &Step) -> Result<(), String> {
        match step {
            Step::Wait { millis } => self.now = self.now + Duration::from_millis(*millis),
            Step::Load { key } => self.load(self.keys[*key]).await?,
            Step::Create { key, new } => self.create(self.keys[*key], new).await?,
            Step::Commit { key, work } => self.work(self.keys[*key], work).await?,
            Step::Resend { back } => self.resend(*back).await?,
            Step::End { key, guard } => self.end(self.keys[*key], *guard).await?,
            Step::Expire => self.expire().await?,
            Step::List { principal } => self.list(NAMES[*principal]).await?,
        }
        Ok(())
    }

    async fn load(&self, key: Key) -> Result<(), String> {
        let stored = self.fixture.load(key, self.now).await;
        same(&stored.as_ref(), &self.reference.load(key, self.now))
    }

    async fn create(&mut self, key: Key, new: &New) -> Result<(), String> {
        let mut record = Record::new(new.proof.map(proof), self.now);
        let mut seats = None;
        if let Some((principal, most)) = self.login(key, new.login) {
            record.principal = Some(principal);
            record.authenticated_at = Some(self.now);
            seats = most;
        }
        record.idle = new.idle.map(Duration::from_millis);
        record.ends_at = new.ends_in.map(|millis| self.later(millis));
        let version = id(self.step);
        for (name, value) in &new.fields {
            let bytes = value.clone().into();
            record.fields.insert((*name).to_owned(), Field { version, bytes });
        }
        let answer = self.fixture.store.create(key, &record, seats, self.now);
        let stored = answer.await.map_err(|error| format!("{error:?}"))?;
        same(&stored, &self.reference.create(key, &record, seats, self.now))?;
        self.load(key).await
    }

    async fn work(&mut self, key: Key, work: &Work) -> Result<(), String> {
        let commit = self.meaning(key, work);
        let now = if work.behind {
            Timestamp::from_millis(self.now.millis() - BEHIND_MILLIS)
        } else {
            self.now
        };
        self.sent.push((key, commit.clone()));
        self.commit(key, &commit, now).await
    }

    async fn resend(&mut self, back: usize) -> Result<(), String> {
        match self.sent.iter().nth_back(back).cloned() {
            Some((key, commit)) => self.commit(key, &commit, self.now).await,
            None => Ok(()),
        }
    }

    async fn commit(&mut self, key: Key, commit: &Commit, now: Timestamp) -> Result<(), String> {
        let stored = self.fixture.store.commit(key, commit, now).await;
        let stored = stored.map_err(|error| format!("{error:?}"))?;
        same(&stored, &self.reference.commit(key, commit, now))?;
        self.load(key).await
    }

    async fn end(&mut self, key: Key, who: Who) -> Result<(), String> {
        let guard = match who {
            Who::Anybody => Guard::None,
            Who::Principal(number) => Guard::Principal(NAMES[number].to_owned()),
            Who::Holder(opener) => {
                Guard::Proof(self.opener(key, opener).unwrap_or_else(|| proof(u8::MAX)))
            }
        };
        let stored = self.fixture.end(key, &guard, self.now).await;
        same(&stored, &self.reference.end(key, &guard, self.now))?;
        self.load(key).await
    }

    async fn expire(&mut self) -> Result<(), String> {
        let mut stored = self.fixture.expire_all(Keep::Nothing, self.now).await;
        stored.sort_by_key(|ending| ending.key);
        same(&stored, &self.reference.expire(self.now))
    }

    async fn list(&self, principal: &str) -> Result<(), String> {
        let Some(directory) = self.fixture.store.directory() else {
            return Ok(());
        };
        let stored = directory.of_principal(principal, self.now).await;
        let stored = stored.map_err(|error| format!("{error:?}"))?;
        same(&stored, &self.reference.of_principal(principal, self.now))
    }

    /// Leaves the store empty for the next script.
    async fn clear_away(&self) {
        for key in self.keys {
            let _ = self.fixture.end(key, &Guard::None, self.now).await;
        }
        let _ = self.fixture.expire_all(Keep::Nothing, self.now).await;
    }

    fn later(&self, millis: u64) -> Timestamp {
        self.now + Duration::from_millis(millis)
    }

    /// Only sessions have principals, and only a store with a directory counts seats.
    fn login(
        &self,
        key: Key,
        login: Option<(usize, Option<usize>)>,
    ) -> Option<(String, Option<usize>)> {
        let (principal, seats) = login.filter(|_| key.kind() == Kind::Session)?;
        let seats = seats.filter(|_| self.fixture.store.directory().is_some());
        Some((NAMES[principal].to_owned(), seats))
    }

    fn opener(&self, key: Key, opener: Opener) -> Option<Proof> {
        let record = self.reference.load(key, self.now);
        match opener {
            Opener::Administrator => None,
            Opener::Current => record.and_then(|record| record.proof),
            Opener::Offered => record.and_then(|record| record.next).map(|next| next.proof),
            Opener::Superseded(at) => {
                record.and_then(|record| record.superseded.get(at)).map(|old| old.proof)
            }
            Opener::Numbered(number) => Some(proof(number)),
        }
    }

    fn meaning(&self, key: Key, work: &Work) -> Commit {
        let mut commit = Commit::new(self.opener(key, work.under), ROOM);
        commit.id = id(self.step);
        commit.fields = self.changes(key, work);
        commit.rotation = work.rotation.map(|turn| self.rotation(key, turn));
        commit.sign_in =
            self.login(key, work.login).map(|(principal, seats)| SignIn { principal, seats });
        commit.idle = work.idle.map(|idle| idle.map(Duration::from_millis));
        commit.ends_at = work.ends_in.map(|end| end.map(|millis| self.later(millis)));
        commit.touch = work.touch;
        if work.narrow {
            (commit.room.fields, commit.room.bytes) = (2, 8);
        }
        commit
    }

    fn rotation(&self, key: Key, turn: Turn) -> Rotation {
        match turn {
            Turn::Replace(number) => Rotation::Replace { proof: proof(number), settle: A_WHILE },
            Turn::Offer(number, instead_of) => {
                let instead_of = self.opener(key, instead_of);
                Rotation::Offer { proof: proof(number), instead_of }
            }
            Turn::Confirm => Rotation::Confirm { grace: A_WHILE },
        }
    }

    fn changes(&self, key: Key, work: &Work) -> BTreeMap<String, Change> {
        let record = self.reference.load(key, self.now);
        let change = |(name, (to, wanted)): (&&str, &(Option<String>, Wanted))| {
            let field = record.and_then(|record| record.fields.get(name));
            let expect = match wanted {
                Wanted::Anything => Expect::Any,
                Wanted::Absent => Expect::Absent,
                Wanted::AsItIs => Expect::unchanged(field),
                Wanted::FromStep(step) => Expect::Version(id(*step)),
            };
            let to = to.clone().map(Into::into);
            ((*name).to_owned(), Change { to, expect })
        };
        work.fields.iter().map(change).collect()
    }
}

fn proof(number: u8) -> Proof {
    Proof::from_bytes(&[number; 32]).expect("32 bytes")
}

fn id(step: usize) -> CommitId {
    CommitId::from_number(step as u64)
}
