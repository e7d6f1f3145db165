//! Pages through the keys of a map: partition after partition, and in each in the order of the keys.

use cloakroom_core::store::Place;
use cloakroom_core::token::Kind;
use cloakroom_core::{Key, Timestamp};
use futures_util::{StreamExt, TryStreamExt, stream};

use crate::codec::request::{self, In};
use crate::codec::{answer, data};
use crate::dial::Line;
use crate::fault::Fault;
use crate::link::Link;
use crate::register::record;

/// How many entries a member is asked for at once.
const BATCH: i32 = 256;
/// How many partitions are read at once.
const AT_ONCE: usize = 16;

/// Up to `limit` keys of a kind that are alive, from behind `after` on.
pub(crate) async fn page(
    link: &Link,
    kind: Kind,
    after: Option<Key>,
    limit: usize,
    now: Timestamp,
) -> Result<Vec<Key>, Fault> {
    let line = link.line().await?;
    let partition_of = |key: Key| line.watch.partition(&name(key));
    let first = after.map_or(0, partition_of);
    let mut rest = stream::iter(first..line.watch.partitions())
        .map(|partition| keys(link, &line, partition, kind, now))
        .buffered(AT_ONCE);
    let mut page = Vec::new();
    while page.len() < limit
        && let Some(keys) = rest.try_next().await?
    {
        // What is not behind `after` can only lie in its own partition.
        let behind =
            |key: &Key| after.is_none_or(|after| partition_of(*key) != first || *key > after);
        page.extend(keys.into_iter().filter(behind));
    }
    page.truncate(limit);
    Ok(page)
}

fn name(key: Key) -> bytes::Bytes {
    data::of_text(&Place::Record(key).to_string())
}

/// The keys of a partition, in order.
async fn keys(
    link: &Link,
    line: &Line,
    partition: i32,
    kind: Kind,
    now: Timestamp,
) -> Result<Vec<Key>, Fault> {
    let place = In { map: link.map(), partition };
    let mut pointers = bytes::Bytes::copy_from_slice(&request::first_pointers());
    let mut keys = Vec::new();
    loop {
        let request = request::fetch(place, &pointers, BATCH);
        let fetched = answer::fetched(&link.call(line, request).await?)?;
        let records = fetched.entries.iter().filter_map(|(name, value)| record(name, value));
        let living = records.filter(|(key, held)| {
            key.kind() == kind && held.label().is_some_and(|label| label.alive_until > now)
        });
        keys.extend(living.map(|(key, _)| key));
        if fetched.entries.is_empty() || answer::is_end(&fetched.pointers) {
            break;
        }
        pointers = fetched.pointers;
    }
    keys.sort_unstable();
    // While its table grows, a partition may tell of one twice.
    keys.dedup();
    Ok(keys)
}
