//! One commit as a call of the script, and the script's answer as an outcome.

use bytes::Bytes;
use cloakroom_core::commit::{Change, Expect, Limit, Rotation, SignIn};
use cloakroom_core::record::MOST_SUPERSEDED;
use cloakroom_core::store::{Built, Result};
use cloakroom_core::{Commit, Key, Outcome, Timestamp};
use redis::Value;
use rmp::encode;
use std::sync::Arc;
use std::time::Duration;

use crate::fault;
use crate::layout::{Index, Layout, backstop, score};
use crate::login::login_of;
use crate::reply;
use crate::script::{Call, Scripts};
use crate::store::encode;

/// What became of a commit.
#[derive(Debug)]
pub(crate) struct Applied {
    pub(crate) outcome: Outcome,
    /// Where it was done and somebody signed in.
    pub(crate) signed: Option<Signed>,
}

/// A sign-in that is written.
#[derive(Debug)]
pub(crate) struct Signed {
    /// When, as the record has it: a commit that is sent again does not move it.
    pub(crate) login: u64,
    /// Who was signed in before, where that was somebody else, and since when.
    pub(crate) former: Option<(String, u64)>,
}

/// The script's keys and arguments for `commit`.
pub(crate) fn call(
    scripts: &Scripts,
    layout: &Layout,
    key: Key,
    commit: &Commit,
    now: Timestamp,
) -> Call {
    let mut call = scripts.commit.on([layout.record(key), layout.deadlines(Index::of(key))]);
    let opened_under = commit.opened_under.as_ref().map(|proof| proof.as_bytes().as_slice());
    call.number(now.millis())
        .arg(key.as_bytes())
        .arg(commit.id.as_bytes())
        .arg(opened_under.unwrap_or_default())
        .arg(if commit.touch { "1" } else { "" })
        .number(commit.room.fields as u64)
        .number(commit.room.bytes as u64)
        .number(commit.fields.len() as u64)
        .arg(terms(commit));
    for (name, change) in &commit.fields {
        call.arg(name.as_str())
            .arg(operation(change))
            .arg(change.to.as_deref().unwrap_or_default());
    }
    call
}

/// The keys and arguments that write what the sender has made of the record.
pub(crate) fn put(
    scripts: &Scripts,
    layout: &Layout,
    key: Key,
    Built { base, after }: Built<'_>,
    now: Timestamp,
) -> Call {
    let (name, deadline) = (layout.record(key), after.deadline());
    if deadline == base.deadline() {
        let mut call = scripts.put.on([name]);
        call.arg(base.marked()).arg(encode(after));
        return call;
    }
    let mut call = scripts.put.on([name, layout.deadlines(Index::of(key))]);
    call.arg(base.marked()).arg(encode(after)).arg(key.as_bytes());
    call.arg(score(deadline)).arg(backstop(deadline, now));
    call
}

fn operation(change: &Change) -> Vec<u8> {
    let mut operation = Vec::with_capacity(10);
    operation.push(if change.to.is_some() { b'w' } else { b'd' });
    match change.expect {
        Expect::Any => {}
        Expect::Absent => operation.push(b'a'),
        Expect::Version(id) => {
            operation.push(b'v');
            operation.extend_from_slice(id.as_bytes());
        }
    }
    operation
}

/// What a commit does beside its fields, as a MessagePack map; empty where that is nothing.
fn terms(commit: &Commit) -> Vec<u8> {
    let mut terms = Terms::default();
    if let Some(rotation) = &commit.rotation {
        terms.rotation(rotation);
    }
    if let Some(SignIn { principal, .. }) = &commit.sign_in {
        terms.bytes("principal", principal.as_bytes());
    }
    if let Some(idle) = commit.idle {
        terms.number("idle", idle.map(millis));
    }
    if let Some(ends_at) = commit.ends_at {
        terms.number("ends_at", ends_at.map(Timestamp::millis));
    }
    terms.finish()
}

/// Whole milliseconds, at most what a script's numbers hold exactly. Beyond that is for ever.
pub(crate) fn millis(duration: Duration) -> u64 {
    (Timestamp::EPOCH + duration).millis()
}

/// A map of MessagePack, written into memory, which cannot fail.
#[derive(Default)]
struct Terms {
    entries: u8,
    out: Vec<u8>,
}

impl Terms {
    fn name(&mut self, name: &str) {
        self.entries += 1;
        let _ = encode::write_str(&mut self.out, name);
    }

    fn bytes(&mut self, name: &str, value: &[u8]) {
        self.name(name);
        let _ = encode::write_str_len(&mut self.out, u32::try_from(value.len()).unwrap_or(0));
        self.out.extend_from_slice(value);
    }

    /// Writes a number; -1 where the new value is none.
    fn number(&mut self, name: &str, value: Option<u64>) {
        self.name(name);
        let _ = match value {
            Some(value) => encode::write_uint(&mut self.out, value).map(drop),
            None => encode::write_sint(&mut self.out, -1).map(drop),
        };
    }

    fn rotation(&mut self, rotation: &Rotation) {
        let (name, proof, time) = match rotation {
            Rotation::Replace { proof, settle } => ("replace", Some(proof), Some(settle)),
            Rotation::Offer { proof, instead_of } => {
                if let Some(waiting) = instead_of {
                    self.bytes("instead_of", waiting.as_bytes());
                }
                ("offer", Some(proof), None)
            }
            Rotation::Confirm { grace } => ("confirm", None, Some(grace)),
        };
        self.bytes("rotation", name.as_bytes());
        if let Some(proof) = proof {
            self.bytes("proof", proof.as_bytes());
        }
        if let Some(time) = time {
            self.number("time", Some(millis(*time)));
            self.number("most", Some(MOST_SUPERSEDED as u64));
        }
    }

    fn finish(self) -> Vec<u8> {
        if self.entries == 0 {
            return Vec::new();
        }
        let mut map = Vec::with_capacity(1 + self.out.len());
        let _ = encode::write_map_len(&mut map, self.entries.into());
        map.extend_from_slice(&self.out);
        map
    }
}

/// Reads the script's answer.
pub(crate) fn applied(key: Key, commit: &Commit, answer: Value) -> Result<Applied> {
    let unexpected = || fault::unexpected("the commit script");
    let outcome = match answer {
        Value::Int(-1) => Outcome::Gone,
        Value::Int(-2) => Outcome::Refused(Limit::Fields { most: commit.room.fields }),
        Value::Int(-3) => Outcome::Refused(Limit::Bytes { most: commit.room.bytes }),
        Value::Int(version) => {
            Outcome::Done { version: u64::try_from(version).map_err(|_| unexpected())? }
        }
        Value::Array(items) => return detailed(key, items),
        _ => return Err(unexpected()),
    };
    Ok(Applied { outcome, signed: None })
}

/// What became of a commit that was written as its sender has made it.
pub(crate) fn as_made(commit: &Commit, Built { base, after }: Built<'_>) -> Applied {
    let signed = commit.sign_in.as_ref().map(|SignIn { principal, .. }| {
        let former = base.principal.as_ref().filter(|former| *former != principal);
        Signed {
            login: login_of(after),
            former: former.map(|former| (former.clone(), login_of(base))),
        }
    });
    Applied { outcome: Outcome::Done { version: after.version }, signed }
}

fn detailed(key: Key, items: Vec<Value>) -> Result<Applied> {
    let unexpected = || fault::unexpected("the commit script");
    let mut items = items.into_iter();
    let head = items.next();
    let mut next = || items.next().ok_or_else(unexpected);
    match head {
        Some(Value::Int(1)) => {
            let bytes = reply::string(next()?, "the commit script")?.ok_or_else(unexpected)?;
            Ok(Applied {
                outcome: Outcome::Conflict(Arc::new(reply::record(key, &bytes)?)),
                signed: None,
            })
        }
        Some(Value::Int(2)) => {
            let bytes = reply::string(next()?, "the commit script")?.unwrap_or_default();
            Err(reply::unreadable(key, &bytes))
        }
        Some(Value::Int(3)) => {
            let version = reply::number(&next()?, "the commit script")?;
            let login = reply::number(&next()?, "the commit script")?;
            let former = reply::string(next()?, "the commit script")?;
            let since = reply::number(&next()?, "the commit script")?;
            Ok(Applied {
                outcome: Outcome::Done { version },
                signed: Some(Signed { login, former: former.map(|former| (text(&former), since)) }),
            })
        }
        _ => Err(unexpected()),
    }
}

/// A principal's text. It was text when it was stored.
fn text(bytes: &Bytes) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
