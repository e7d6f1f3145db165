//! A principal's seats: who may sign in, and which sessions are theirs.
//!
//! The principal's own slot decides. A seat is pending from before the session's record says so
//! until after it, and confirmed from then on. A seat whose record is not this principal's any
//! more counts for nothing; whoever finds it so gives it up.

use bytes::Bytes;
use cloakroom_core::record::CommitId;
use cloakroom_core::store::Result;
use cloakroom_core::{Key, Record, Timestamp};
use redis::{Cmd, Value};
use std::time::Duration;

use crate::fault;
use crate::layout::{bucket_in, bucket_of};
use crate::reply;
use crate::route::{Batch, first_error};
use crate::script::Call;
use crate::store::RedisStore;

/// How long a login may take before its seat is given up where its record does not say otherwise.
const PENDING: Duration = Duration::from_secs(30);
/// Stands for any pending seat.
const ANY_PENDING: &str = "p";
/// How often a full principal's seats are checked before a login is refused: each time at least
/// one was given up by the time of the next try, or all are in use.
const TRIES: usize = 3;

/// A seat that a login has taken.
#[derive(Debug)]
pub(crate) struct Seat {
    seats: String,
    name: String,
    most: Option<usize>,
    /// The last bar before this login began.
    bar: Bytes,
    /// What was written; `None` where the session had a confirmed seat before.
    pending: Option<String>,
    /// Sessions that are over and not swept yet: they hold no seat.
    over: Vec<String>,
}

/// Whether a login may go on.
#[derive(Debug)]
pub(crate) enum Admission {
    Granted(Seat),
    Full {
        /// The sessions that hold all seats, the oldest login first.
        taken: Vec<Key>,
        /// Whether the session that asks has a seat beside them, of an earlier login.
        seated: bool,
    },
}

/// One entry of a principal's seats.
#[derive(Debug)]
struct Entry {
    name: Bytes,
    value: Bytes,
    key: Key,
    /// Until when its login may still be under way.
    lapse: Option<Timestamp>,
}

/// What the records say of a principal's entries.
#[derive(Debug, Default)]
pub(crate) struct Verified {
    /// Living sessions of the principal.
    pub(crate) living: Vec<(Key, Record)>,
    /// Logins under way.
    under_way: Vec<Key>,
    /// Sessions of the principal that are over and not swept yet.
    over: Vec<String>,
    /// What this version cannot read: it may be a living session of the principal.
    unreadable: Vec<Key>,
    /// What may be given up, with its value.
    abandoned: Vec<(Bytes, Bytes)>,
}

impl RedisStore {
    /// Takes a seat for a login of `principal` under `key`.
    pub(crate) async fn admit(
        &self,
        principal: &str,
        key: Key,
        most: Option<usize>,
        now: Timestamp,
    ) -> Result<Admission> {
        let mut seat = Seat {
            seats: self.layout.seats(principal),
            name: key.to_string(),
            most,
            bar: Bytes::new(),
            pending: None,
            over: Vec::new(),
        };
        let (mut taken, mut seated) = (Vec::new(), false);
        for _ in 0..TRIES {
            let Some(entries) = self.try_admit(&mut seat, now).await? else {
                return Ok(Admission::Granted(seat));
            };
            let verified = self.verify(principal, entries, now).await?;
            self.give_up(&seat.seats, &verified.abandoned).await;
            seat.over = verified.over.clone();
            seated = verified.seats(key);
            taken = verified.taken(key);
            if most.is_some_and(|most| taken.len() >= most) {
                break;
            }
        }
        Ok(Admission::Full { taken, seated })
    }

    /// Asks for a seat once; the principal's entries where all are taken.
    async fn try_admit(&self, seat: &mut Seat, now: Timestamp) -> Result<Option<Vec<Entry>>> {
        let lapse = (now + PENDING).millis();
        let nonce = u64::from_ne_bytes(*CommitId::random().as_bytes());
        let value = format!("p{lapse}:{nonce:x}");
        let answer = self.ask_for(seat, "admit", &value).await?;
        let unexpected = || fault::unexpected("the seat script");
        let Value::Array(mut items) = answer else {
            return Err(unexpected());
        };
        if items.is_empty() {
            return Err(unexpected());
        }
        let bar = items.split_off(1);
        match items.first() {
            Some(Value::Int(0)) => {
                let pairs = reply::pairs(Value::Array(bar), "the seat script")?;
                return Ok(Some(entries(pairs)));
            }
            Some(Value::Int(1)) => seat.pending = Some(value),
            Some(Value::Int(2)) => seat.pending = None,
            _ => return Err(unexpected()),
        }
        let bar = bar.into_iter().next().ok_or_else(unexpected)?;
        seat.bar = reply::string(bar, "the seat script")?.unwrap_or_default();
        Ok(None)
    }

    /// Confirms a seat whose record is written; `false` where the principal was barred meanwhile,
    /// or the seat was given up and there is none left.
    pub(crate) async fn confirm(&self, seat: &Seat, login: u64) -> Result<bool> {
        match self.ask_for(seat, "confirm", &confirmed(login)).await? {
            Value::Int(answer) => Ok(answer == 1),
            _ => Err(fault::unexpected("the seat script")),
        }
    }

    async fn ask_for(&self, seat: &Seat, what: &str, value: &str) -> Result<Value> {
        let mut call = self.scripts.seat.on([seat.seats.clone()]);
        call.arg(what)
            .arg(seat.name.as_str())
            .arg(value)
            .arg(seat.most.map_or_else(String::new, |most| most.to_string()))
            .arg(seat.bar.as_ref());
        for name in &seat.over {
            call.arg(name.as_str());
        }
        self.scripts.seat.run(&self.route, &call).await
    }

    /// Gives a seat back that its login did not use.
    pub(crate) async fn release(&self, seat: &Seat) {
        if let Some(pending) = &seat.pending {
            let entry = (seat.name.clone().into(), pending.clone().into());
            self.give_up(&seat.seats, &[entry]).await;
        }
    }

    /// Frees the seats of sessions that are gone: for each who had signed in, under which key, and
    /// when.
    pub(crate) async fn unseat(&self, gone: &[(String, Key, u64)]) {
        let calls: Vec<Call> = gone
            .iter()
            .map(|(principal, key, login)| {
                let mut call = self.scripts.unseat.on([self.layout.seats(principal)]);
                call.arg(key.to_string()).arg(confirmed(*login));
                call
            })
            .collect();
        self.try_give_up(&calls).await;
    }

    /// Frees the seat of a login under way, and that of a session since `login` that has been
    /// ended. A login that loses its seat so counts again when it comes to its confirmation.
    pub(crate) async fn vacate(&self, principal: &str, key: Key, login: Option<u64>) {
        let mut call = self.scripts.unseat.on([self.layout.seats(principal)]);
        call.arg(key.to_string()).arg(ANY_PENDING);
        if let Some(login) = login {
            call.arg(key.to_string()).arg(confirmed(login));
        }
        self.try_give_up(&[call]).await;
    }

    /// Removes entries that still are as they were read.
    pub(crate) async fn give_up(&self, seats: &str, entries: &[(Bytes, Bytes)]) {
        if entries.is_empty() {
            return;
        }
        let mut call = self.scripts.unseat.on([seats.to_owned()]);
        for (name, value) in entries {
            call.arg(name.as_ref()).arg(value.as_ref());
        }
        self.try_give_up(&[call]).await;
    }

    /// A seat that cannot be given up now is found abandoned later, so a failure is no failure of
    /// the call that it comes after.
    async fn try_give_up(&self, calls: &[Call]) {
        let script = &self.scripts.unseat;
        let done = match calls {
            [] => return,
            [call] => script.run(&self.route, call).await.map(drop),
            calls => match first_error(&script.run_all(&self.route, calls).await) {
                Some(error) => Err(error),
                None => Ok(()),
            },
        };
        if let Err(error) = done {
            tracing::debug!(%error, "seats stay taken until the next login checks them");
        }
    }

    /// Reads all that is seated, and what the records say of it.
    pub(crate) async fn seated(&self, principal: &str, now: Timestamp) -> Result<Verified> {
        let (mut command, seats) = (Cmd::new(), self.layout.seats(principal));
        command.arg("HGETALL").arg(&seats);
        let pairs = self.route.send(bucket_in(&seats), &command).await?;
        let pairs = reply::pairs(pairs, "HGETALL")?;
        self.verify(principal, entries(pairs), now).await
    }

    /// Holds each entry against its record. A record that cannot be read keeps its seat, and does
    /// not stand in the way of the others.
    async fn verify(
        &self,
        principal: &str,
        entries: Vec<Entry>,
        now: Timestamp,
    ) -> Result<Verified> {
        let mut gets = Batch::with_capacity(entries.len());
        for entry in &entries {
            let mut command = Cmd::new();
            command.arg("GET").arg(self.layout.record(entry.key));
            gets.add(bucket_of(entry.key), command);
        }
        let mut verified = Verified::default();
        for (entry, answer) in entries.into_iter().zip(self.route.send_all(gets).await) {
            let (key, bytes) = (entry.key, reply::string(answer?, "GET")?);
            let Ok(record) = bytes.map(|bytes| reply::record(key, &bytes)).transpose() else {
                tracing::warn!(%key, "a session cannot be read, and stays off its user's list");
                verified.unreadable.push(key);
                continue;
            };
            let theirs = record.filter(|record| record.principal.as_deref() == Some(principal));
            verified.add(entry, theirs, now);
        }
        Ok(verified)
    }
}

impl Verified {
    fn add(&mut self, entry: Entry, record: Option<Record>, now: Timestamp) {
        let under_way = entry.lapse.is_some_and(|lapse| now < lapse);
        match record {
            Some(record) if !record.is_over(now) => self.living.push((entry.key, record)),
            _ if under_way => self.under_way.push(entry.key),
            // It may only be this node's clock that is ahead: the entry stays.
            Some(_) => self.over.push(entry.key.to_string()),
            None => self.abandoned.push((entry.name, entry.value)),
        }
    }

    /// Whether the principal's session or login under `key` has an entry that stays.
    fn seats(&self, key: Key) -> bool {
        let living = self.living.iter().map(|(living, _)| living);
        living.chain(&self.under_way).chain(&self.unreadable).any(|seated| *seated == key)
    }

    /// The sessions but `own` that hold seats: the oldest login first, then those under way, and
    /// last what cannot be read, and so cannot be ended.
    fn taken(mut self, own: Key) -> Vec<Key> {
        sort(&mut self.living);
        let living = self.living.iter().map(|(key, _)| *key);
        let others = self.under_way.into_iter().chain(self.unreadable);
        living.chain(others).filter(|key| *key != own).collect()
    }

    /// What nobody needs any more, with its value.
    pub(crate) fn abandoned(&self) -> &[(Bytes, Bytes)] {
        &self.abandoned
    }
}

/// Puts the oldest login first.
pub(crate) fn sort(sessions: &mut [(Key, Record)]) {
    sessions.sort_by_key(|(key, record)| (record.authenticated_at, *key));
}

fn confirmed(login: u64) -> String {
    format!("c{login}")
}

/// Reads a principal's seats. What is no seat of this version's is left alone.
fn entries(pairs: Vec<(Bytes, Bytes)>) -> Vec<Entry> {
    pairs
        .into_iter()
        .filter_map(|(name, value)| {
            let key = std::str::from_utf8(&name).ok()?.parse().ok()?;
            let text = std::str::from_utf8(&value).ok()?;
            let lapse = match text.strip_prefix('p') {
                Some(pending) => {
                    let (lapse, _) = pending.split_once(':')?;
                    Some(Timestamp::from_millis(lapse.parse().ok()?))
                }
                None => None,
            };
            Some(Entry { name, value, key, lapse })
        })
        .collect()
}
