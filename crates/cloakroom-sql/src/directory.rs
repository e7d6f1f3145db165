//! Finds records by principal and by kind.

use async_trait::async_trait;
use cloakroom_core::store::{Directory, Result};
use cloakroom_core::{Key, Kind, Record, Timestamp};

use crate::connect::SqlStore;
use crate::rows::{Value, letter, millis, most};

#[async_trait]
impl Directory for SqlStore {
    async fn of_principal(&self, principal: &str, now: Timestamp) -> Result<Vec<(Key, Record)>> {
        let call = self.call();
        let mut link = call.reading().await?;
        Ok(call.seated(&mut link, principal, now).await?)
    }

    /// Does nothing: a login here is one transaction, so none is ever half-way.
    async fn bar(&self, _principal: &str, _now: Timestamp) -> Result<()> {
        self.known()
    }

    async fn page(
        &self,
        kind: Kind,
        after: Option<Key>,
        limit: usize,
        now: Timestamp,
    ) -> Result<Vec<Key>> {
        let behind = Value::Bytes(after.map_or_else(Vec::new, |key| key.as_bytes().to_vec()));
        let values = vec![letter(kind), behind, millis(now), most(limit)];
        let mut link = self.call().reading().await?;
        let rows = link.fetch(self.dialect().page, values).await?;
        let mut keys = Vec::with_capacity(rows.len());
        for row in &rows {
            keys.extend(Key::from_bytes(kind, &row.bytes(0)?));
        }
        Ok(keys)
    }

    async fn count(&self, kind: Kind, now: Timestamp) -> Result<u64> {
        let mut link = self.call().reading().await?;
        let rows = link.fetch(self.dialect().count, vec![letter(kind), millis(now)]).await?;
        let count = rows.first().map_or(Ok(0), |row| row.int(0))?;
        Ok(u64::try_from(count).unwrap_or_default())
    }
}
