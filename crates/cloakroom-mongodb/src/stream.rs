//! One change stream after the other, for as long as somebody listens.

use std::sync::Arc;
use std::time::Duration;

use cloakroom_core::Key;
use cloakroom_core::store::backoff::{delay, random};
use cloakroom_core::store::{Error, Place, Result};
use futures_util::StreamExt;
use mongodb::bson::{Document, RawDocument, RawDocumentBuf, doc};
use mongodb::change_stream::ChangeStream;
use mongodb::options::UpdateModifications;
use tokio::sync::watch;
use tokio::time::{sleep, timeout};

use crate::fault;
use crate::feed::Shared;
use crate::layout::{self, BEAT};
use crate::table::Table;

/// How often the wait before another stream doubles.
const DOUBLINGS: u32 = 6;
/// How long the heartbeats of a node that is no more are kept.
const KEPT: Duration = Duration::from_secs(24 * 60 * 60);

/// What a stream tells.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Told {
    /// A heartbeat of this node's.
    Beat(u64),
    /// Something has happened to a record: it has this revision now, where the stream says so.
    Record(Key, Option<i64>),
    /// Something that no cache keeps.
    Other,
    /// The collection is gone, or its name is: the stream will tell of nothing more.
    End,
}

/// Why a stream is over.
#[derive(Debug, thiserror::Error)]
#[error("the change stream of the MongoDB server has ended")]
struct Ended;

/// Watches until it is stopped. The driver resumes a stream that was cut off, where that misses
/// nothing; where it cannot, the source is down, and another one begins with another stream.
pub(crate) async fn watch(shared: Arc<Shared>, turn: u64) {
    let mut failures = 0;
    loop {
        let (heard, hears) = watch::channel(0);
        let error = match begin(&shared).await {
            Ok(mut stream) => {
                failures = 0;
                shared.come_up(turn, hears);
                let error = follow(&shared, turn, &mut stream, &heard).await;
                shared.come_down(turn);
                error
            }
            Err(error) => error,
        };
        note(&error);
        sleep(delay(failures, random())).await;
        failures = DOUBLINGS.min(failures + 1);
    }
}

fn note(error: &Error) {
    let cause: &dyn std::error::Error = error;
    tracing::debug!(error = cause, "the MongoDB server tells of no changes for a moment");
}

/// Opens a stream, and waits for a heartbeat to come back. What was written before the stream began
/// and is not known to a majority yet would be told by nobody; once the heartbeat is, all of that is
/// there to be read.
async fn begin(shared: &Shared) -> Result<ChangeStream<RawDocumentBuf>> {
    let table = &shared.table;
    let asked = table.many.watch().pipeline(pipeline(&shared.beat));
    let mut stream = table.ask_well(asked).await?.with_type();
    shared.own.restart();
    let number = shared.write_beat().await?;
    let comes_back = async {
        loop {
            match next(&mut stream, &shared.beat).await? {
                Told::Beat(heard) if heard >= number => return Ok(()),
                Told::End => return Err(Error::Unreachable(Ended.into())),
                Told::Beat(_) | Told::Record(..) | Told::Other => {}
            }
        }
    };
    timeout(table.limit, comes_back).await.map_err(|_| fault::slow())??;
    Ok(stream)
}

/// Tells everything that a stream tells, until it is over.
async fn follow(
    shared: &Shared,
    turn: u64,
    stream: &mut ChangeStream<RawDocumentBuf>,
    heard: &watch::Sender<u64>,
) -> Error {
    loop {
        match next(stream, &shared.beat).await {
            Ok(Told::Record(_, Some(revision))) if shared.own.take(revision) => {}
            Ok(Told::Record(key, _)) => shared.changed(turn, key),
            Ok(Told::Beat(number)) => {
                heard.send_if_modified(|last| {
                    let is_news = number > *last;
                    *last = number.max(*last);
                    is_news
                });
            }
            Ok(Told::Other) => {}
            Ok(Told::End) => return Error::Unreachable(Ended.into()),
            Err(error) => return error,
        }
    }
}

async fn next(stream: &mut ChangeStream<RawDocumentBuf>, beat: &str) -> Result<Told> {
    match stream.next().await {
        Some(Ok(event)) => Ok(read(&event, beat)),
        Some(Err(said)) => Err(fault::sort(&said)),
        None => Ok(Told::End),
    }
}

/// Writes a heartbeat's number, so that the stream tells of it.
pub(crate) async fn write_beat(table: &Table, name: &str, number: u64) -> Result<()> {
    let number = i64::try_from(number).unwrap_or(i64::MAX);
    let forget_at = layout::forget_at(KEPT);
    let document = doc! { "_id": name, "beat": number, "forget_at": forget_at };
    let update = UpdateModifications::Pipeline(vec![doc! { "$replaceWith": document }]);
    table.ask_well(table.many.update_one(doc! { "_id": name }, update).upsert(true)).await?;
    Ok(())
}

/// Of what happens in the collection, what this node has to know: no heartbeats of others, and no
/// bytes of anything.
fn pipeline(beat: &str) -> [Document; 2] {
    let others = doc! { "documentKey._id": { "$not": { "$regex": format!("^{BEAT}") } } };
    let wanted = doc! {
        "operationType": 1,
        "ns": 1,
        "documentKey": 1,
        "fullDocument.revision": 1,
        "fullDocument.beat": 1,
        "updateDescription.updatedFields.revision": 1,
        "updateDescription.updatedFields.beat": 1,
    };
    [
        doc! { "$match": { "$or": [{ "documentKey._id": beat }, others] } },
        doc! { "$project": wanted },
    ]
}

/// Reads what a stream says of one change.
fn read(event: &RawDocument, beat: &str) -> Told {
    if !matches!(event.get_str("operationType"), Ok("insert" | "update" | "replace" | "delete")) {
        return Told::End;
    }
    let Ok(name) = event.get_document("documentKey").and_then(|key| key.get_str("_id")) else {
        return Told::Other;
    };
    if name == beat {
        let number = number(event, "beat").and_then(|number| u64::try_from(number).ok());
        return number.map_or(Told::Other, Told::Beat);
    }
    match name.parse() {
        Ok(Place::Record(key)) => Told::Record(key, number(event, "revision")),
        Ok(Place::Seats(_)) | Err(_) => Told::Other,
    }
}

/// A number that was written: a stream says what a new document holds, and what an update changes.
fn number(event: &RawDocument, name: &str) -> Option<i64> {
    let whole = event.get_document("fullDocument").ok();
    let update = event.get_document("updateDescription").ok();
    let changed = update.and_then(|update| update.get_document("updatedFields").ok());
    whole.or(changed)?.get_i64(name).ok()
}

#[cfg(test)]
mod tests {
    use cloakroom_core::Kind;
    use mongodb::bson::rawdoc;

    use super::*;

    #[test]
    fn a_change_is_told_with_its_revision_however_it_was_made() {
        let key = Key::random(Kind::Session);
        let named = || rawdoc! { "_id": key.to_string() };
        let inserted = rawdoc! {
            "operationType": "insert",
            "documentKey": named(),
            "fullDocument": { "revision": 7_i64 },
        };
        assert_eq!(read(&inserted, "beat-1"), Told::Record(key, Some(7)));
        let updated = rawdoc! {
            "operationType": "update",
            "documentKey": named(),
            "updateDescription": { "updatedFields": { "revision": 8_i64 } },
        };
        assert_eq!(read(&updated, "beat-1"), Told::Record(key, Some(8)));
        let deleted = rawdoc! { "operationType": "delete", "documentKey": named() };
        assert_eq!(read(&deleted, "beat-1"), Told::Record(key, None));
    }

    #[test]
    fn a_heartbeat_is_this_nodes_own() {
        let beat = |name: &str| {
            rawdoc! {
                "operationType": "replace",
                "documentKey": { "_id": name },
                "fullDocument": { "beat": 3_i64 },
            }
        };
        assert_eq!(read(&beat("beat-1"), "beat-1"), Told::Beat(3));
        assert_eq!(read(&beat("beat-2"), "beat-1"), Told::Other);
    }

    #[test]
    fn whatever_else_happens_ends_the_stream() {
        for kind in ["drop", "rename", "dropDatabase", "invalidate", "something new"] {
            assert_eq!(read(&rawdoc! { "operationType": kind }, "beat-1"), Told::End);
        }
        assert_eq!(read(&rawdoc! {}, "beat-1"), Told::End);
    }
}
