//! Expiry: what is over is claimed in batches, each record by one node.

use cloakroom_core::store::{Announce, Keep};
use cloakroom_core::{Ending, Kind, Timestamp};

use crate::connect::Call;
use crate::fault::Step;
use crate::link::Link;
use crate::rows::{Stored, Value, encoded_as_read, key_values, kind, millis, most};

/// The most records that one statement removes.
const AT_ONCE: usize = 100;

impl Call<'_> {
    /// Whether there is anything to sweep that can be read. Asks for no lock.
    pub(crate) async fn is_any_over(&self, now: Timestamp) -> Step<bool> {
        let mut link = self.reading().await?;
        Ok(!over(self.dialect().over, &mut link, 1, now).await?.is_empty())
    }

    /// Claims what is over and nobody else is about to claim or use.
    pub(crate) async fn claim(
        &self,
        limit: usize,
        keep: Keep,
        now: Timestamp,
    ) -> Step<Vec<Ending>> {
        let mut link = self.writing().await?;
        link.begin(self.dialect().begin).await?;
        let over = over(self.dialect().over_locked, &mut link, limit, now).await?;
        for some in over.chunks(AT_ONCE) {
            let announce = |stored: &Stored| Announce { reason: stored.record.expiry(), keep };
            let some: Vec<_> = some.iter().map(|stored| (stored, announce(stored))).collect();
            self.remove(&mut link, &some).await?;
        }
        link.commit().await?;
        let ending = |Stored { key, record, .. }| Ending { key, reason: record.expiry(), record };
        Ok(over.into_iter().map(ending).collect())
    }

    /// Removes what was read in this transaction, and keeps the endings where asked to.
    pub(crate) async fn remove(
        &self,
        link: &mut Link,
        removed: &[(&Stored, Announce)],
    ) -> Step<()> {
        let keys = removed.iter().flat_map(|(stored, _)| key_values(stored.key)).collect();
        link.change(self.dialect().delete.of(removed.len()), keys).await?;
        let mut kept = 0;
        let mut values = Vec::new();
        for (stored, announce) in removed {
            if let (Keep::LeasedUntil(until), Kind::Session) = (announce.keep, stored.key.kind()) {
                kept += 1;
                values.extend(key_values(stored.key));
                values.push(Value::Text(announce.reason.as_str().to_owned()));
                values.extend([millis(until), encoded_as_read(stored)]);
            }
        }
        if kept > 0 {
            link.change(self.dialect().keep_endings.of(kept), values).await?;
        }
        Ok(())
    }
}

/// Up to `limit` records that are over, the longest over first, past those that cannot be read.
async fn over(
    statement: &'static str,
    link: &mut Link,
    limit: usize,
    now: Timestamp,
) -> Step<Vec<Stored>> {
    let mut over = Vec::new();
    let mut behind = [Value::Int(-1), Value::Text(String::new()), Value::Bytes(Vec::new())];
    while over.len() < limit {
        let wanted = limit - over.len();
        let [deadline, name, id] = behind.clone();
        let values = vec![millis(now), deadline, name, id, most(wanted)];
        let rows = link.fetch(statement, values).await?;
        for row in &rows {
            if let Some(kind) = kind(&row.text(1)?) {
                over.extend(Stored::of_many(kind, row, (2, 3))?);
            }
        }
        match rows.last() {
            Some(last) if rows.len() == wanted => {
                behind = [
                    Value::Int(last.int(0)?),
                    Value::Text(last.text(1)?),
                    Value::Bytes(last.bytes(2)?),
                ];
            }
            _ => break,
        }
    }
    Ok(over)
}
