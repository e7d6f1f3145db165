//! The procedure of every call: read, decide with the model, write if nothing has changed since.

use async_trait::async_trait;
use cloakroom_core::store::{
    Announce, Built, Capabilities, Created, Directory, Endings, Feed, Keep, Result, Store,
};
use cloakroom_core::{Commit, Ending, Guard, Key, Kind, Limit, Outcome, Record, Timestamp};

use crate::connect::{Call, SqlStore};
use crate::fault::{Sort, Step};
use crate::link::Link;
use crate::rows::{
    Row, Stored, Value, encoded, encoded_as_read, key_values, millis, record_values, version,
};

/// Does a call's work again, as long as the call has time, where others were in its way and all of
/// it was rolled back.
macro_rules! repeated {
    ($call:ident, $work:expr) => {
        loop {
            match $work.await {
                Err(failure) if failure.is_overtaken() && $call.has_time() => {}
                done => break Ok(done?),
            }
        }
    };
}
pub(crate) use repeated;

impl Call<'_> {
    /// Begins a transaction that may write.
    async fn begin(&self) -> Step<Link> {
        let mut link = self.writing().await?;
        link.begin(self.dialect().begin).await?;
        Ok(link)
    }

    async fn read(
        &self,
        link: &mut Link,
        statement: &'static str,
        key: Key,
    ) -> Step<Option<Stored>> {
        let rows = link.fetch(statement, key_values(key).into()).await?;
        let Some(row) = rows.first() else {
            return Ok(None);
        };
        self.check_reader(row, key);
        Ok(Some(Stored::decode(key, row.bytes(0)?)?))
    }

    /// Stores a new record; false where there is one already.
    async fn insert(&self, link: &mut Link, key: Key, record: &Record) -> Step<bool> {
        let values = key_values(key).into_iter().chain(record_values(record)).collect();
        match link.change(self.dialect().insert, values).await {
            Ok(inserted) => Ok(inserted == 1),
            Err(fault) if fault.sort == Sort::Duplicate => Ok(false),
            Err(fault) => Err(fault.into()),
        }
    }

    /// Writes `after` over `before`, which has these bytes; false where the row is another
    /// meanwhile.
    async fn update(
        &self,
        link: &mut Link,
        (key, before, bytes): (Key, &Record, Value),
        after: &Record,
    ) -> Step<bool> {
        let dialect = self.dialect();
        let (statement, mut values) = if before.version == after.version {
            (dialect.touch, record_values(after).to_vec())
        } else if indexed(before) == indexed(after) {
            (dialect.update_record, vec![version(after), encoded(after)])
        } else {
            (dialect.update, record_values(after).to_vec())
        };
        values.extend(key_values(key));
        values.push(bytes);
        let written = link.change(statement, values).await? == 1;
        self.check_writer(link, key);
        Ok(written)
    }

    /// The principal's living sessions, the oldest login first.
    pub(crate) async fn seated(
        &self,
        link: &mut Link,
        principal: &str,
        now: Timestamp,
    ) -> Step<Vec<(Key, Record)>> {
        let mut seated = Vec::new();
        for row in self.seats(link, principal, now).await? {
            if let Some(stored) = Stored::of_many(Kind::Session, &row, (0, 1))? {
                seated.push((stored.key, stored.record));
            }
        }
        Ok(seated)
    }

    /// The rows of the principal's living sessions, the oldest login first.
    async fn seats(&self, link: &mut Link, principal: &str, now: Timestamp) -> Step<Vec<Row>> {
        let values = vec![Value::Principal(Some(principal.to_owned())), millis(now)];
        Ok(link.fetch(self.dialect().of_principal, values).await?)
    }

    /// Has nobody else take a seat of the principal before the transaction's end.
    async fn lock_seats(&self, link: &mut Link, principal: &str) -> Step<()> {
        if let Some(lock) = self.dialect().lock_principal {
            link.fetch(lock, vec![Value::Principal(Some(principal.to_owned()))]).await?;
        }
        Ok(())
    }

    /// The limit that stands against `principal` taking a seat under `key`. A session that cannot
    /// be read, as where a newer version has written it, has its seat all the same; it comes after
    /// the others, which can be ended to make room.
    async fn full(
        &self,
        link: &mut Link,
        (principal, seats): (&str, usize),
        key: Key,
        now: Timestamp,
    ) -> Step<Option<Limit>> {
        let (mut taken, mut unreadable) = (Vec::new(), Vec::new());
        for row in self.seats(link, principal, now).await? {
            match Stored::or_key_of_many(Kind::Session, &row, (0, 1))? {
                Some(Ok(stored)) => taken.push(stored.key),
                Some(Err(other)) => unreadable.push(other),
                None => {}
            }
        }
        taken.append(&mut unreadable);
        taken.retain(|other| *other != key);
        Ok((taken.len() >= seats).then_some(Limit::Seats { taken }))
    }

    async fn create_in_transaction(
        &self,
        key: Key,
        record: &Record,
        seat: Option<(&str, usize)>,
        now: Timestamp,
    ) -> Step<Created> {
        let mut link = self.begin().await?;
        if let Some((principal, _)) = seat {
            self.lock_seats(&mut link, principal).await?;
        }
        let before = self.read(&mut link, self.dialect().load_locked, key).await?;
        if before.as_ref().is_some_and(|at| !at.record.is_over(now)) {
            link.rollback().await;
            return Ok(Created::Exists);
        }
        if let Some(seat) = seat
            && let Some(limit) = self.full(&mut link, seat, key, now).await?
        {
            link.rollback().await;
            return Ok(Created::Refused(limit));
        }
        let stored = match &before {
            Some(before) => self.replace(&mut link, before, record).await?,
            None => self.insert(&mut link, key, record).await?,
        };
        if !stored {
            // Another was created under the key since it was looked for.
            link.rollback().await;
            return Ok(Created::Exists);
        }
        link.commit().await?;
        let replaced = before.map(|before| Box::new(before.record));
        Ok(Created::Done { replaced })
    }

    /// Writes a new record over one that is over.
    async fn replace(&self, link: &mut Link, before: &Stored, record: &Record) -> Step<bool> {
        let mut values = record_values(record).to_vec();
        values.extend(key_values(before.key));
        values.push(encoded_as_read(before));
        Ok(link.change(self.dialect().replace, values).await? == 1)
    }

    /// Writes what the commit's maker has made of the record, where that still is the record.
    async fn try_built(&self, key: Key, Built { base, after }: Built<'_>) -> Step<Option<Outcome>> {
        let mut link = self.writing().await?;
        let before = (key, &**base, encoded(base));
        let written = self.update(&mut link, before, after).await?;
        Ok(written.then_some(Outcome::Done { version: after.version }))
    }

    async fn commit(&self, key: Key, commit: &Commit, now: Timestamp) -> Result<Outcome> {
        if seat_of(key, commit).is_none()
            && let Some(outcome) = unless_overtaken(self.try_commit(key, commit, now).await)?
        {
            return Ok(outcome);
        }
        repeated!(self, self.commit_in_transaction(key, commit, now))
    }

    /// Commits with one read and one conditional write; `None` where another write came between.
    async fn try_commit(&self, key: Key, commit: &Commit, now: Timestamp) -> Step<Option<Outcome>> {
        let mut link = self.reading().await?;
        let Some(before) = self.read(&mut link, self.dialect().load, key).await? else {
            return Ok(Some(Outcome::Gone));
        };
        let (outcome, after) = before.record.apply(commit, now);
        let Some(after) = after else {
            return Ok(Some(outcome));
        };
        let mut link = self.writing_after(link).await?;
        let read = (key, &before.record, encoded_as_read(&before));
        let written = self.update(&mut link, read, &after).await?;
        Ok(written.then_some(outcome))
    }

    async fn commit_in_transaction(
        &self,
        key: Key,
        commit: &Commit,
        now: Timestamp,
    ) -> Step<Outcome> {
        let mut link = self.begin().await?;
        let seat = seat_of(key, commit);
        if let Some((principal, _)) = seat {
            self.lock_seats(&mut link, principal).await?;
        }
        let Some(before) = self.read(&mut link, self.dialect().load_locked, key).await? else {
            link.rollback().await;
            return Ok(Outcome::Gone);
        };
        let (outcome, after) = before.record.apply(commit, now);
        let Some(after) = after else {
            link.rollback().await;
            return Ok(outcome);
        };
        if let Some(seat) = seat
            && let Some(limit) = self.full(&mut link, seat, key, now).await?
        {
            link.rollback().await;
            return Ok(Outcome::Refused(limit));
        }
        let read = (key, &before.record, encoded_as_read(&before));
        self.update(&mut link, read, &after).await?;
        link.commit().await?;
        Ok(outcome)
    }

    async fn try_end(
        &self,
        key: Key,
        guard: &Guard,
        announce: Announce,
        now: Timestamp,
    ) -> Step<Option<Record>> {
        let mut link = self.begin().await?;
        let stored = self.read(&mut link, self.dialect().load_locked, key).await?;
        let Some(stored) = stored.filter(|stored| guard.allows(&stored.record, now)) else {
            link.rollback().await;
            return Ok(None);
        };
        self.remove(&mut link, &[(&stored, announce)]).await?;
        link.commit().await?;
        self.check_writer(&link, key);
        Ok(Some(stored.record))
    }
}

/// Passes over that others were in the way: then nothing was done.
fn unless_overtaken<T>(done: Step<Option<T>>) -> Step<Option<T>> {
    match done {
        Err(failure) if failure.is_overtaken() => Ok(None),
        done => done,
    }
}

/// What of a record has columns with an index, and what goes with them.
fn indexed(record: &Record) -> (Option<&str>, Option<Timestamp>, Option<Timestamp>) {
    let principal = record.principal.as_deref();
    (principal, record.authenticated_at, record.deadline())
}

/// The seat that a commit takes, of how many. Only sessions take one.
fn seat_of(key: Key, commit: &Commit) -> Option<(&str, usize)> {
    let sign_in = commit.sign_in.as_ref().filter(|_| key.kind() == Kind::Session)?;
    Some((&sign_in.principal, sign_in.seats?))
}

#[async_trait]
impl Store for SqlStore {
    async fn load(&self, key: Key, now: Timestamp) -> Result<Option<Record>> {
        let call = self.call();
        let mut link = call.reading().await?;
        let stored = call.read(&mut link, self.dialect().load, key).await?;
        let living = stored.filter(|stored| !stored.record.is_over(now));
        Ok(living.map(|stored| stored.record))
    }

    async fn create(
        &self,
        key: Key,
        record: &Record,
        seats: Option<usize>,
        now: Timestamp,
    ) -> Result<Created> {
        let principal = record.principal.as_deref().filter(|_| key.kind() == Kind::Session);
        let seat = principal.zip(seats);
        let call = self.call();
        if seat.is_none() {
            let mut link = call.writing().await?;
            if call.insert(&mut link, key, record).await? {
                return Ok(Created::Done { replaced: None });
            }
        }
        repeated!(call, call.create_in_transaction(key, record, seat, now))
    }

    async fn commit(&self, key: Key, commit: &Commit, now: Timestamp) -> Result<Outcome> {
        self.call().commit(key, commit, now).await
    }

    /// In one conditional statement, where nobody has changed the record since it was read.
    async fn commit_built(
        &self,
        key: Key,
        commit: &Commit,
        built: Built<'_>,
        now: Timestamp,
    ) -> Result<Outcome> {
        let call = self.call();
        if seat_of(key, commit).is_none()
            && let Some(outcome) = unless_overtaken(call.try_built(key, built).await)?
        {
            return Ok(outcome);
        }
        call.commit(key, commit, now).await
    }

    async fn end(
        &self,
        key: Key,
        guard: &Guard,
        announce: Announce,
        now: Timestamp,
    ) -> Result<Option<Record>> {
        let call = self.call();
        repeated!(call, call.try_end(key, guard, announce, now))
    }

    /// Reads first, so that a sweep that finds nothing takes nobody's turn to write. Looks whether
    /// a file is still there, so that a node that only reads notices as well.
    async fn expire(&self, limit: usize, keep: Keep, now: Timestamp) -> Result<Vec<Ending>> {
        self.look()?;
        let call = self.call();
        if limit == 0 || !call.is_any_over(now).await? {
            return Ok(Vec::new());
        }
        repeated!(call, call.claim(limit, keep, now))
    }

    fn directory(&self) -> Option<&dyn Directory> {
        Some(self)
    }

    fn endings(&self) -> Option<&dyn Endings> {
        Some(self)
    }

    fn feed(&self) -> Option<&dyn Feed> {
        self.hearing()
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities { shared: true, durable: true, keeps_endings: true }
    }
}
