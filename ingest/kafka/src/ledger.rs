//! How far every partition is read and handed over. Pure: knows nothing of a cluster.
//!
//! Invariant: the position of a partition in a batch is the offset behind its last message in that
//! batch, and follows on the position of the batch before.

use crate::settings::Start;
use keywatch_ingest::Advance;
use std::collections::HashMap;
use std::sync::Arc;

/// A topic, a partition, and the offset behind what was read of it.
pub type Mark = (Arc<str>, i32, i64);

/// What the names of a source's positions begin with.
#[must_use]
pub fn position_prefix(source: &str) -> String {
    format!("kafka:{source}:")
}

/// One partition.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) topic: Arc<str>,
    pub(crate) partition: i32,
    /// What places call it.
    pub(crate) name: Arc<str>,
    position: String,
    /// What the store holds once everything handed over is committed.
    handed: Option<String>,
    /// The next offset to read; unknown before the first message.
    pub(crate) next: Option<i64>,
    pub(crate) is_ours: bool,
    /// Whether `next` has moved since the last batch.
    has_moved: bool,
}

/// All partitions that were ever ours. A thousand of them cost less than a MiB.
#[derive(Debug)]
pub(crate) struct Ledger {
    prefix: String,
    start: Start,
    entries: Vec<Entry>,
    /// Where the last message's partition stands: messages come in runs of one partition.
    latest: usize,
}

impl Ledger {
    pub(crate) fn new(source: &str, start: Start, positions: &HashMap<String, String>) -> Self {
        let prefix = position_prefix(source);
        let mut ledger = Self { prefix, start, entries: Vec::new(), latest: 0 };
        for (name, position) in positions {
            let Some(rest) = name.strip_prefix(&ledger.prefix) else { continue };
            let Some((topic, partition)) = rest.rsplit_once(':') else { continue };
            let (Ok(partition), Ok(next)) = (partition.parse(), position.parse()) else { continue };
            let entry = ledger.entry(topic, partition);
            (entry.next, entry.handed) = (Some(next), Some(position.clone()));
        }
        ledger
    }

    /// The entry of a partition, made when there is none.
    #[expect(clippy::indexing_slicing, reason = "the entry was found or made just now")]
    pub(crate) fn entry(&mut self, topic: &str, partition: i32) -> &mut Entry {
        let is_it = |entry: &Entry| entry.partition == partition && &*entry.topic == topic;
        if !self.entries.get(self.latest).is_some_and(is_it) {
            self.latest = self.entries.iter().position(is_it).unwrap_or_else(|| {
                self.entries.push(Entry {
                    topic: topic.into(),
                    partition,
                    name: format!("kafka://{topic}/{partition}").into(),
                    position: format!("{}{topic}:{partition}", self.prefix),
                    handed: None,
                    next: None,
                    is_ours: false,
                    has_moved: false,
                });
                self.entries.len() - 1
            });
        }
        &mut self.entries[self.latest]
    }

    /// Where a partition that was given to us begins: at its position; for one that is new to a
    /// topic we read already at its beginning, because what came into it since is news.
    pub(crate) fn begin(&mut self, topic: &str, partition: i32) -> Begin {
        let is_known = self.entries.iter().any(|entry| &*entry.topic == topic && entry.next.is_some());
        let start = self.start;
        match self.entry(topic, partition).next {
            Some(next) => Begin::At(next),
            None if start == Start::End && !is_known => Begin::End,
            None => Begin::Beginning,
        }
    }

    /// Partitions that are ours from now on; all others are not.
    pub(crate) fn assign(&mut self, ours: &[(String, i32)]) {
        self.entries.iter_mut().for_each(|entry| entry.is_ours = false);
        for (topic, partition) in ours {
            self.entry(topic, *partition).is_ours = true;
        }
    }

    pub(crate) fn ours(&self) -> impl Iterator<Item = &Entry> {
        self.entries.iter().filter(|entry| entry.is_ours)
    }

    pub(crate) fn has_moved(&self) -> bool {
        self.entries.iter().any(|entry| entry.has_moved)
    }

    /// The positions that go with a batch, and the offsets to tell the cluster once it is
    /// committed.
    pub(crate) fn hand_over(&mut self) -> (Vec<Advance>, Vec<Mark>) {
        let (mut advances, mut marks) = (Vec::new(), Vec::new());
        for entry in self.entries.iter_mut().filter(|entry| entry.has_moved) {
            entry.has_moved = false;
            let Some(next) = entry.next else { continue };
            let to = next.to_string();
            let from = entry.handed.replace(to.clone());
            if from.as_ref() == Some(&to) {
                continue;
            }
            advances.push(Advance { source: entry.position.clone(), from, to });
            marks.push((Arc::clone(&entry.topic), entry.partition, next));
        }
        (advances, marks)
    }
}

impl Entry {
    /// Everything before this offset is read.
    pub(crate) const fn moves(&mut self, next: i64) {
        self.next = Some(next);
        self.has_moved = true;
    }
}

/// Where reading begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Begin {
    /// At this offset.
    At(i64),
    /// With the oldest message there is.
    Beginning,
    /// With the next message that comes.
    End,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ledger(start: Start, positions: &[(&str, &str)]) -> Ledger {
        let positions = positions.iter().map(|(name, at)| ((*name).to_owned(), (*at).to_owned())).collect();
        Ledger::new("k", start, &positions)
    }

    #[test]
    fn a_partition_goes_on_where_the_store_says() {
        let mut ledger = ledger(
            Start::End,
            &[("kafka:k:a.b:3", "17"), ("kafka:other:a.b:4", "1"), ("kafka:k:a.b:5", "x")],
        );
        assert_eq!(ledger.begin("a.b", 3), Begin::At(17));
        assert_eq!(ledger.begin("new", 0), Begin::End);
    }

    #[test]
    fn a_partition_that_is_new_to_a_known_topic_is_read_from_its_beginning() {
        let mut ledger = ledger(Start::End, &[("kafka:k:t:0", "17")]);
        assert_eq!(ledger.begin("t", 1), Begin::Beginning);
    }

    #[test]
    fn the_positions_of_batches_follow_on_one_another() {
        let mut ledger = ledger(Start::Beginning, &[]);
        ledger.entry("t", 0).moves(5);
        let advance = |from: Option<&str>, to: &str| Advance {
            source: "kafka:k:t:0".into(),
            from: from.map(str::to_owned),
            to: to.into(),
        };
        assert_eq!(ledger.hand_over().0, [advance(None, "5")]);
        assert!(!ledger.has_moved() && ledger.hand_over().0.is_empty());
        ledger.entry("t", 0).moves(9);
        assert_eq!(ledger.hand_over(), (vec![advance(Some("5"), "9")], vec![("t".into(), 0, 9)]));
    }

    #[test]
    fn only_what_was_given_to_us_last_is_ours() {
        let mut ledger = ledger(Start::Beginning, &[]);
        ledger.assign(&[("t".to_owned(), 0), ("t".to_owned(), 1)]);
        ledger.assign(&[("t".to_owned(), 1)]);
        assert_eq!(ledger.ours().map(|entry| entry.partition).collect::<Vec<_>>(), [1]);
    }
}
