//! The procedure of every call: read, decide with the model, write if nothing has changed since.

use async_trait::async_trait;
use cloakroom_core::store::{
    Announce, Capabilities, Created, Directory, Endings, Keep, Result, Store,
};
use cloakroom_core::{Commit, Ending, Guard, Key, Kind, Limit, Outcome, Record, Timestamp};
use sqlx::{Row, Sqlite, SqliteConnection, SqliteExecutor, Transaction};

use crate::connect::SqlStore;
use crate::error::{asking, committing, writing};
use crate::rows::{Stored, bind_key, bind_record, kind, millis, most, version};

impl SqlStore {
    /// Begins a transaction that may write. Dropped before it is committed, it is rolled back.
    pub(crate) async fn begin(&self) -> Result<Transaction<'static, Sqlite>> {
        let begun = self.writer()?.begin_with(self.dialect.begin).await;
        begun.map_err(asking)
    }

    async fn read(&self, from: impl SqliteExecutor<'_>, key: Key) -> Result<Option<Stored>> {
        let query = bind_key(sqlx::query(self.dialect.load), key);
        let row = query.fetch_optional(from).await;
        // A connection that is made only now finds a file that was removed missing.
        if row.is_err() {
            self.file.look()?;
        }
        row.map_err(asking)?
            .map(|row| Stored::decode(key, row.try_get(0).map_err(asking)?))
            .transpose()
    }

    /// Stores a new record; false where there is one already.
    async fn insert(
        &self,
        into: impl SqliteExecutor<'_>,
        key: Key,
        record: &Record,
    ) -> Result<bool, sqlx::Error> {
        let query = bind_record(bind_key(sqlx::query(self.dialect.insert), key), record);
        Ok(query.execute(into).await?.rows_affected() == 1)
    }

    /// Writes `after` over what was read; false where the row is another meanwhile.
    async fn update(
        &self,
        into: impl SqliteExecutor<'_>,
        before: &Stored,
        after: &Record,
    ) -> Result<bool, sqlx::Error> {
        let query = if indexed(&before.record) == indexed(after) {
            sqlx::query(self.dialect.update_record)
                .bind(version(after))
                .bind(Vec::from(after.encode()))
        } else {
            bind_record(sqlx::query(self.dialect.update), after)
        };
        let query = bind_key(query, before.key).bind(before.bytes.to_vec());
        Ok(query.execute(into).await?.rows_affected() == 1)
    }

    /// Removes what was read, and keeps its ending where asked to; false where the row is another
    /// meanwhile.
    async fn remove(
        &self,
        tx: &mut SqliteConnection,
        stored: &Stored,
        announce: Announce,
    ) -> Result<bool> {
        let query = bind_key(sqlx::query(self.dialect.delete), stored.key);
        let query = query.bind(stored.bytes.to_vec());
        let done = query.execute(&mut *tx).await.map_err(asking)?;
        if done.rows_affected() == 0 {
            return Ok(false);
        }
        if let (Keep::LeasedUntil(until), Kind::Session) = (announce.keep, stored.key.kind()) {
            bind_key(sqlx::query(self.dialect.keep_ending), stored.key)
                .bind(announce.reason.as_str())
                .bind(millis(until))
                .bind(stored.bytes.to_vec())
                .execute(tx)
                .await
                .map_err(asking)?;
        }
        Ok(true)
    }

    /// The principal's living sessions, the oldest login first.
    pub(crate) async fn seated(
        &self,
        from: impl SqliteExecutor<'_>,
        principal: &str,
        now: Timestamp,
    ) -> Result<Vec<(Key, Record)>> {
        let query =
            sqlx::query(self.dialect.of_principal).bind(principal.to_owned()).bind(millis(now));
        let mut seated = Vec::new();
        for row in query.fetch_all(from).await.map_err(asking)? {
            if let Some(stored) = Stored::of_many(Kind::Session, &row)? {
                seated.push((stored.key, stored.record));
            }
        }
        Ok(seated)
    }

    /// The limit that stands against `principal` taking a seat under `key`. Only sessions take one.
    async fn full(
        &self,
        tx: &mut SqliteConnection,
        principal: &str,
        key: Key,
        seats: usize,
        now: Timestamp,
    ) -> Result<Option<Limit>> {
        if key.kind() != Kind::Session {
            return Ok(None);
        }
        let seated = self.seated(tx, principal, now).await?;
        let others = seated.into_iter().map(|(other, _)| other);
        let taken: Vec<_> = others.filter(|other| *other != key).collect();
        Ok((taken.len() >= seats).then_some(Limit::Seats { taken }))
    }

    async fn create_in_transaction(
        &self,
        key: Key,
        record: &Record,
        seats: Option<usize>,
        now: Timestamp,
    ) -> Result<Created> {
        let mut tx = self.begin().await?;
        let before = self.read(&mut *tx, key).await?;
        if before.as_ref().is_some_and(|at| !at.record.is_over(now)) {
            return Ok(Created::Exists);
        }
        if let (Some(principal), Some(seats)) = (&record.principal, seats)
            && let Some(limit) = self.full(&mut tx, principal, key, seats, now).await?
        {
            return Ok(Created::Refused(limit));
        }
        match &before {
            Some(before) => self.update(&mut *tx, before, record).await,
            None => self.insert(&mut *tx, key, record).await,
        }
        .map_err(asking)?;
        tx.commit().await.map_err(committing)?;
        let replaced = before.map(|before| Box::new(before.record));
        Ok(Created::Done { replaced })
    }

    /// Commits with one read and one conditional write; `None` where another write came between.
    async fn try_commit(
        &self,
        key: Key,
        commit: &Commit,
        now: Timestamp,
    ) -> Result<Option<Outcome>> {
        let Some(before) = self.read(self.readers()?, key).await? else {
            return Ok(Some(Outcome::Gone));
        };
        let (outcome, after) = before.record.apply(commit, now);
        let Some(after) = after else {
            return Ok(Some(outcome));
        };
        let written = self.update(self.writer()?, &before, &after).await;
        Ok(written.map_err(writing)?.then_some(outcome))
    }

    async fn commit_in_transaction(
        &self,
        key: Key,
        commit: &Commit,
        now: Timestamp,
    ) -> Result<Outcome> {
        let mut tx = self.begin().await?;
        let Some(before) = self.read(&mut *tx, key).await? else {
            return Ok(Outcome::Gone);
        };
        let (outcome, after) = before.record.apply(commit, now);
        let Some(after) = after else {
            return Ok(outcome);
        };
        if let Some(sign_in) = &commit.sign_in
            && let Some(seats) = sign_in.seats
            && let Some(limit) = self.full(&mut tx, &sign_in.principal, key, seats, now).await?
        {
            return Ok(Outcome::Refused(limit));
        }
        self.update(&mut *tx, &before, &after).await.map_err(asking)?;
        tx.commit().await.map_err(committing)?;
        Ok(outcome)
    }

    /// Up to `limit` records that are over, the longest over first, past those that cannot be
    /// read.
    async fn over(&self, limit: usize, now: Timestamp) -> Result<Vec<Stored>> {
        let mut over = Vec::new();
        let mut behind = (-1_i64, String::new(), Vec::new());
        while over.len() < limit {
            let wanted = limit - over.len();
            let rows = sqlx::query(self.dialect.over)
                .bind(millis(now))
                .bind(behind.0)
                .bind(behind.1)
                .bind(behind.2)
                .bind(most(wanted))
                .fetch_all(self.readers()?)
                .await
                .map_err(asking)?;
            for row in &rows {
                if let Some(kind) = kind(row)? {
                    over.extend(Stored::of_many(kind, row)?);
                }
            }
            match rows.last() {
                Some(last) if rows.len() == wanted => {
                    let column = |error| asking(error);
                    behind = (
                        last.try_get("deadline").map_err(column)?,
                        last.try_get("kind").map_err(column)?,
                        last.try_get("id").map_err(column)?,
                    );
                }
                _ => break,
            }
        }
        Ok(over)
    }

    /// Claims those of `over` that nobody else has claimed or used since they were read.
    async fn claim(&self, over: Vec<Stored>, keep: Keep) -> Result<Vec<Ending>> {
        let mut tx = self.begin().await?;
        let mut claimed = Vec::with_capacity(over.len());
        for stored in over {
            let reason = stored.record.expiry();
            if self.remove(&mut tx, &stored, Announce { reason, keep }).await? {
                let Stored { key, record, .. } = stored;
                claimed.push(Ending { key, reason, record });
            }
        }
        tx.commit().await.map_err(committing)?;
        Ok(claimed)
    }
}

/// What of a record has columns with an index, and what goes with them.
fn indexed(record: &Record) -> (Option<&str>, Option<Timestamp>, Option<Timestamp>) {
    let principal = record.principal.as_deref();
    (principal, record.authenticated_at, record.deadline())
}

#[async_trait]
impl Store for SqlStore {
    async fn load(&self, key: Key, now: Timestamp) -> Result<Option<Record>> {
        let stored = self.read(self.readers()?, key).await?;
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
        let needs_seat = record.principal.is_some() && seats.is_some();
        if !needs_seat {
            let created = self.insert(self.writer()?, key, record).await;
            if created.map_err(writing)? {
                return Ok(Created::Done { replaced: None });
            }
        }
        self.create_in_transaction(key, record, seats, now).await
    }

    async fn commit(&self, key: Key, commit: &Commit, now: Timestamp) -> Result<Outcome> {
        let sign_in = commit.sign_in.as_ref();
        if sign_in.is_none_or(|sign_in| sign_in.seats.is_none())
            && let Some(outcome) = self.try_commit(key, commit, now).await?
        {
            return Ok(outcome);
        }
        self.commit_in_transaction(key, commit, now).await
    }

    async fn end(
        &self,
        key: Key,
        guard: &Guard,
        announce: Announce,
        now: Timestamp,
    ) -> Result<Option<Record>> {
        let mut tx = self.begin().await?;
        let stored = self.read(&mut *tx, key).await?;
        let Some(stored) = stored.filter(|stored| guard.allows(&stored.record, now)) else {
            return Ok(None);
        };
        self.remove(&mut tx, &stored, announce).await?;
        tx.commit().await.map_err(committing)?;
        Ok(Some(stored.record))
    }

    /// Reads first, so that a sweep that finds nothing takes nobody's turn to write. Looks whether
    /// the file is still there, so that a node that only reads notices as well.
    async fn expire(&self, limit: usize, keep: Keep, now: Timestamp) -> Result<Vec<Ending>> {
        self.file.look()?;
        loop {
            let over = self.over(limit, now).await?;
            if over.is_empty() {
                return Ok(Vec::new());
            }
            let claimed = self.claim(over, keep).await?;
            if !claimed.is_empty() {
                return Ok(claimed);
            }
            // Another node has claimed or used all of them meanwhile; there may be more behind.
        }
    }

    fn directory(&self) -> Option<&dyn Directory> {
        Some(self)
    }

    fn endings(&self) -> Option<&dyn Endings> {
        Some(self)
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities { shared: true, durable: true, keeps_endings: true }
    }
}
