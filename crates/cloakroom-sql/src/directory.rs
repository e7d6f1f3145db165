//! Finds records by principal and by kind.

use async_trait::async_trait;
use cloakroom_core::store::{Directory, Result};
use cloakroom_core::{Key, Kind, Record, Timestamp};
use sqlx::Row;

use crate::connect::SqlStore;
use crate::error::asking;
use crate::rows::{letter, millis, most};

#[async_trait]
impl Directory for SqlStore {
    async fn of_principal(&self, principal: &str, now: Timestamp) -> Result<Vec<(Key, Record)>> {
        self.seated(self.readers()?, principal, now).await
    }

    /// Does nothing: a login here is one transaction, so none is ever half-way.
    async fn bar(&self, _principal: &str, _now: Timestamp) -> Result<()> {
        self.file.known()
    }

    async fn page(
        &self,
        kind: Kind,
        after: Option<Key>,
        limit: usize,
        now: Timestamp,
    ) -> Result<Vec<Key>> {
        let behind = after.map_or_else(Vec::new, |key| key.as_bytes().to_vec());
        let rows = sqlx::query(self.dialect.page)
            .bind(letter(kind))
            .bind(behind)
            .bind(millis(now))
            .bind(most(limit))
            .fetch_all(self.readers()?)
            .await
            .map_err(asking)?;
        let mut keys = Vec::with_capacity(rows.len());
        for row in &rows {
            keys.extend(Key::from_bytes(kind, row.try_get(0).map_err(asking)?));
        }
        Ok(keys)
    }

    async fn count(&self, kind: Kind, now: Timestamp) -> Result<u64> {
        let query = sqlx::query_scalar(self.dialect.count).bind(letter(kind)).bind(millis(now));
        let count: i64 = query.fetch_one(self.readers()?).await.map_err(asking)?;
        Ok(u64::try_from(count).unwrap_or_default())
    }
}
