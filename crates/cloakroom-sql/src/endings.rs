//! Endings that wait to be announced: leased to one node at a time until one acknowledges.

use async_trait::async_trait;
use cloakroom_core::store::{Endings, Result};
use cloakroom_core::{Ended, Ending, Key, Timestamp};

use crate::connect::{Call, SqlStore};
use crate::fault::Step;
use crate::link::Link;
use crate::rows::{Row, Stored, Value, key_values, kind, millis, most};
use crate::store::repeated;

/// The most endings that one statement leases.
const AT_ONCE: usize = 100;

#[async_trait]
impl Endings for SqlStore {
    /// Reads first, so that asking in vain takes nobody's turn to write. One that cannot be read
    /// is leased as well, to nobody: it stands in no other's way.
    async fn lease(&self, limit: usize, until: Timestamp, now: Timestamp) -> Result<Vec<Ending>> {
        let call = self.call();
        let mut link = call.reading().await?;
        let waiting = lapsed(self.dialect().lapsed, &mut link, 1, now).await?;
        drop(link);
        if waiting.is_empty() {
            return Ok(Vec::new());
        }
        repeated!(call, call.try_lease(limit, until, now))
    }

    async fn acknowledge(&self, key: Key) -> Result<()> {
        let mut link = self.call().writing().await?;
        link.change(self.dialect().acknowledge, key_values(key).into()).await?;
        Ok(())
    }
}

impl Call<'_> {
    async fn try_lease(&self, limit: usize, until: Timestamp, now: Timestamp) -> Step<Vec<Ending>> {
        let mut link = self.writing().await?;
        link.begin(self.dialect().begin).await?;
        let rows = lapsed(self.dialect().lapsed_locked, &mut link, limit, now).await?;
        let mut leased = Vec::with_capacity(rows.len());
        for some in rows.chunks(AT_ONCE) {
            let mut values = vec![millis(until)];
            for row in some {
                values.extend([Value::Text(row.text(0)?), Value::Bytes(row.bytes(1)?)]);
                leased.extend(ending(row)?);
            }
            link.change(self.dialect().lease.of(some.len()), values).await?;
        }
        link.commit().await?;
        Ok(leased)
    }
}

async fn lapsed(
    statement: &'static str,
    link: &mut Link,
    limit: usize,
    now: Timestamp,
) -> Step<Vec<Row>> {
    Ok(link.fetch(statement, vec![millis(now), most(limit)]).await?)
}

/// Reads an ending; `None`, with a warning, where it is damaged or a newer version's.
fn ending(row: &Row) -> Step<Option<Ending>> {
    let reason = Ended::from_name(&row.text(2)?);
    let (Some(reason), Some(kind)) = (reason, kind(&row.text(0)?)) else {
        tracing::warn!("left out an ending with an unknown reason or kind");
        return Ok(None);
    };
    Ok(Stored::of_many(kind, row, (1, 3))?.map(|stored| Ending {
        key: stored.key,
        reason,
        record: stored.record,
    }))
}
