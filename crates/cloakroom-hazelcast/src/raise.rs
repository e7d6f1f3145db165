//! Makes a connection a source, and proves that it is one: that everything was heard of which its
//! members have counted.
//!
//! A member counts a change in the same step in which it tells it, after it has answered whoever
//! made it. So first every partition is asked for something small, which it answers when that step
//! is done; then every member says how far it has counted; then we wait until we have heard of as
//! much.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use cloakroom_core::store::{FeedSource as Source, Notices};
use futures_util::future::{try_join, try_join_all};
use tokio::time::timeout;

use crate::codec::answer::{self, Count};
use crate::codec::request::{self, In};
use crate::codec::{Uuid, data, probe};
use crate::dial::Line;
use crate::fault::Fault;

/// How long it is left alone after it could not be made a source.
const PAUSE: Duration = Duration::from_millis(250);
/// How long it is left alone where members tell nothing in time.
const LONG_PAUSE: Duration = Duration::from_secs(10);
/// For how long a probe may be seen, where it could not be removed.
const PROBE_TTL: Duration = Duration::from_secs(60);

/// Makes a connection a source, where that can be done.
pub(crate) async fn raise(line: &Line, map: &str, limit: Duration, notices: Arc<dyn Notices>) {
    let rising = Rising(line, PAUSE);
    let raised = timeout(limit, prepare(line, map, limit)).await;
    match raised {
        Ok(Ok(())) => line.watch.come_up(notices),
        Ok(Err(Fault::Refused(refusal))) => say(&format!("a member refuses: {}", refusal.class)),
        // It is tried again.
        Ok(Err(_)) => {}
        Err(_) => {
            say("its members do not tell of changes at once");
            line.watch.rest(LONG_PAUSE);
        }
    }
    drop(rising);
}

/// However the raising ends, somebody else may begin.
struct Rising<'a>(&'a Line, Duration);

impl Drop for Rising<'_> {
    fn drop(&mut self) {
        self.0.watch.rest(self.1);
    }
}

/// Says once that nothing is cached, and what helps.
fn say(why: &str) {
    static SAID: AtomicBool = AtomicBool::new(false);
    if !SAID.swap(true, Ordering::Relaxed) {
        tracing::warn!(%why, "the Hazelcast cluster does not let caches be kept, so that no session is cached: set hazelcast.map.invalidation.batch.enabled to false on every member, and let this client listen to its map");
    }
}

async fn prepare(line: &Line, map: &str, limit: Duration) -> Result<(), Fault> {
    line.listen(map, limit).await?;
    if !line.watch.open(&counts(line, map, limit).await?) {
        return Err(Fault::Unproven);
    }
    // Two changes of our own show whether changes are told at once.
    let key = data::of_text(&format!("probe-{:032x}", line.own.0));
    let place = In { map, partition: line.watch.partition(&key) };
    let value = probe();
    let put = request::put_if_absent(place, &key, &value, Some(PROBE_TTL));
    line.wire.call(put, limit).await?;
    line.wire.call(request::remove_if_same(place, &key, &value), limit).await?;
    prove(line, map, limit).await
}

/// Proves that a source tells of everything, and that its cluster takes changes.
pub(crate) async fn beat(
    line: &Line,
    map: &str,
    limit: Duration,
    source: Source,
) -> Result<(), Fault> {
    let proof = timeout(limit, prove(line, map, limit)).await.unwrap_or(Err(Fault::Overdue));
    match proof {
        Ok(()) if line.watch.source() == Some(source) => Ok(()),
        Ok(()) => Err(Fault::Replaced),
        Err(fault) => {
            line.watch.fall(source);
            Err(fault)
        }
    }
}

async fn prove(line: &Line, map: &str, limit: Duration) -> Result<(), Fault> {
    let before = line.watch.marks().ok_or(Fault::Unproven)?;
    // What is refused where changes are: it would remove what is never there.
    let key = data::of_text("nothing");
    let place = In { map, partition: line.watch.partition(&key) };
    let change = line.wire.call(request::remove_if_same(place, &key, &key), limit);
    let barrier = line.wire.call(request::size(map), limit);
    try_join(change, barrier).await?;
    let counts = counts(line, map, limit).await?;
    match line.watch.proves(&counts, &before).await {
        true => Ok(()),
        false => Err(Fault::Unproven),
    }
}

/// What all members have counted.
async fn counts(line: &Line, map: &str, limit: Duration) -> Result<Vec<Count>, Fault> {
    let asked = line.watch.members().into_iter().map(|member| count(line, map, member, limit));
    Ok(try_join_all(asked).await?.concat())
}

/// What a member has counted; an error where it is none any more.
pub(crate) async fn count(
    line: &Line,
    map: &str,
    member: Uuid,
    limit: Duration,
) -> Result<Vec<Count>, Fault> {
    let answer = line.wire.call(request::metadata(map, member), limit).await?;
    Ok(answer::counts(&answer)?)
}
