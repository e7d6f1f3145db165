//! Endings that wait to be announced: leased to one node at a time until one acknowledges.

use async_trait::async_trait;
use cloakroom_core::store::{Endings, Result};
use cloakroom_core::{Ended, Ending, Key, Timestamp};
use sqlx::sqlite::SqliteRow;
use sqlx::{Row, SqliteExecutor};

use crate::connect::SqlStore;
use crate::error::{asking, committing, writing};
use crate::rows::{Stored, bind_key, kind, millis, most};

#[async_trait]
impl Endings for SqlStore {
    /// Reads first, so that asking in vain takes nobody's turn to write. One that cannot be read
    /// is leased as well, to nobody: it stands in no other's way.
    async fn lease(&self, limit: usize, until: Timestamp, now: Timestamp) -> Result<Vec<Ending>> {
        if self.lapsed(self.readers()?, 1, now).await?.is_empty() {
            return Ok(Vec::new());
        }
        let mut tx = self.begin().await?;
        let mut leased = Vec::new();
        for row in self.lapsed(&mut *tx, limit, now).await? {
            sqlx::query(self.dialect.lease)
                .bind(millis(until))
                .bind(row.try_get::<String, _>("kind").map_err(asking)?)
                .bind(row.try_get::<Vec<u8>, _>("id").map_err(asking)?)
                .execute(&mut *tx)
                .await
                .map_err(asking)?;
            leased.extend(ending(&row)?);
        }
        tx.commit().await.map_err(committing)?;
        Ok(leased)
    }

    async fn acknowledge(&self, key: Key) -> Result<()> {
        let query = bind_key(sqlx::query(self.dialect.acknowledge), key);
        query.execute(self.writer()?).await.map_err(writing)?;
        Ok(())
    }
}

impl SqlStore {
    async fn lapsed(
        &self,
        from: impl SqliteExecutor<'_>,
        limit: usize,
        now: Timestamp,
    ) -> Result<Vec<SqliteRow>> {
        let query = sqlx::query(self.dialect.lapsed).bind(millis(now)).bind(most(limit));
        query.fetch_all(from).await.map_err(asking)
    }
}

/// Reads an ending; `None`, with a warning, where it is damaged or a newer version's.
fn ending(row: &SqliteRow) -> Result<Option<Ending>> {
    let reason = Ended::from_name(row.try_get("reason").map_err(asking)?);
    let (Some(reason), Some(kind)) = (reason, kind(row)?) else {
        tracing::warn!("left out an ending with an unknown reason or kind");
        return Ok(None);
    };
    Ok(Stored::of_many(kind, row)?.map(|stored| Ending {
        key: stored.key,
        reason,
        record: stored.record,
    }))
}
