//! What a near cache does with a change that is told together with what the record has come to.

use std::sync::Arc;
use std::time::Duration;

use super::{Entries, Entry, Machine, Rule};
use crate::record::Record;
use crate::store::feed::Source;
use crate::token::Key;

impl<E: Entries, J: Clone> Machine<E, J> {
    /// A record has changed, and has come to this. It is kept though nobody has asked for it, as
    /// long as there is room.
    pub(in crate::store::near) fn told(
        &mut self,
        source: Source,
        key: Key,
        record: Arc<Record>,
        elapsed: Duration,
    ) {
        if self.keeps(Rule::ToldNoticesSpoil) {
            self.spoil(&key);
        }
        let held = self.entries.get(&key).filter(|held| held.source == source);
        if held.is_some_and(|held| held.record.mark == record.mark) {
            // What this node has written itself, and kept: it is no younger for that.
            return;
        }
        // Whatever the versions: a record that was made anew under a key that had ended begins at
        // the first again, and the feed tells nothing that an answer has overtaken.
        self.entries.remove(&key);
        let entry = Entry { record, source, since: elapsed };
        if self.entries.has_room(&entry) {
            self.entries.insert(key, entry);
        }
    }
}
