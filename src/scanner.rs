//! Reading files through normalisation and rules, once, without a store.
//!
//! Memory does not grow with the input: duplicates are recognised among the last two to four
//! million events, windows and baselines have their limits, and only alerts are kept.

use keywatch_event::{Alert, AuditEvent, EventTime, Level, Reject};
use keywatch_ingest::Batch;
use keywatch_ingest::provider::Normalizer;
use keywatch_rules::{Engine, Gauges, Seen, examples};
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, HashSet};

/// Event ids remembered in one generation; two generations are kept. 17 bytes each and a quarter
/// of free room: 80 MB in all.
const GENERATION: usize = 1_800_000;

/// Counts of a scan.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    /// Events, each once.
    pub(crate) events: u64,
    /// Events that repeat an earlier one.
    pub(crate) duplicates: u64,
    /// Records that carry no event by design.
    pub(crate) skipped: u64,
    /// Events whose own time cannot be read or lies ahead, placed at the time they were read.
    pub(crate) misdated: u64,
    /// Rejects, by kind.
    pub(crate) rejects: BTreeMap<&'static str, u64>,
}

/// A scan under way.
#[derive(Debug)]
pub(crate) struct Scanner {
    normalizer: Normalizer,
    engine: Engine,
    known: Known,
    pub(crate) counts: Counts,
    alerts: BTreeMap<String, Alert>,
    newest: Option<EventTime>,
    /// How events were classified, by rule.
    pub(crate) matched: BTreeMap<String, u64>,
}

impl Scanner {
    pub(crate) fn new(engine: Engine) -> Self {
        Self {
            normalizer: Normalizer::new(),
            engine,
            known: Known::default(),
            counts: Counts::default(),
            alerts: BTreeMap::new(),
            newest: None,
            matched: BTreeMap::new(),
        }
    }

    /// Takes one batch; hands each reject to `rejected`.
    pub(crate) fn take(&mut self, batch: &Batch, received_at: EventTime, rejected: &mut dyn FnMut(&Reject)) {
        self.counts.skipped += batch.skipped;
        for reject in &batch.rejects {
            *self.counts.rejects.entry(reject.reason.kind()).or_insert(0) += 1;
            rejected(reject);
        }
        let mut events: Vec<(AuditEvent<'_>, usize)> = Vec::with_capacity(batch.records.len());
        for (at, record) in batch.records.iter().enumerate() {
            match self.normalizer.normalize(batch.raw(record), received_at) {
                Ok(Some(event)) if self.known.is_new(&event.id) => events.push((event, at)),
                Ok(Some(_)) => self.counts.duplicates += 1,
                Ok(None) => self.counts.skipped += 1,
                Err(reason) => {
                    *self.counts.rejects.entry(reason.kind()).or_insert(0) += 1;
                    rejected(&Reject {
                        place: record.place.clone(),
                        reason,
                        bytes: batch.raw(record).to_vec(),
                    });
                }
            }
        }
        self.counts.events += events.len() as u64;
        let dated = events.iter().filter(|(event, _)| event.time_raw.is_none());
        self.newest = self.newest.max(dated.map(|(event, _)| event.time).max());
        self.counts.misdated += events.iter().filter(|(event, _)| event.time_raw.is_some()).count() as u64;
        let seen = events.iter().filter_map(|(event, at)| {
            let record = batch.records.get(*at)?;
            Some(Seen { event, place: &record.place, raw: batch.raw(record) })
        });
        let evaluation = self.engine.evaluate(&seen.collect::<Vec<_>>());
        for classified in &evaluation.classified {
            for rule in &classified.rules {
                match self.matched.get_mut(&**rule) {
                    Some(count) => *count += 1,
                    None => drop(self.matched.insert(rule.to_string(), 1)),
                }
            }
        }
        examples::apply(&mut self.alerts, evaluation.changes);
    }

    /// All has been read: asks the rules that wait for something that does not happen, as of the
    /// newest event.
    pub(crate) fn finish(&mut self) {
        if let Some(newest) = self.newest {
            examples::apply(&mut self.alerts, self.engine.tick(newest).changes);
        }
    }

    /// The alerts that stand, in order of opening.
    pub(crate) fn alerts(&self) -> Vec<&Alert> {
        let mut alerts: Vec<&Alert> = self.alerts.values().collect();
        alerts.sort_by_key(|alert| (alert.opened_at, &alert.id));
        alerts
    }

    /// Alerts per level.
    pub(crate) fn levels(&self) -> BTreeMap<Level, u64> {
        let mut levels = BTreeMap::new();
        for alert in self.alerts.values() {
            *levels.entry(alert.level).or_insert(0) += 1;
        }
        levels
    }

    /// What the engine holds.
    pub(crate) fn gauges(&self) -> Gauges {
        self.engine.gauges()
    }
}

/// Event ids seen, in two generations.
#[derive(Debug, Default)]
pub(crate) struct Known {
    young: HashSet<u128>,
    old: HashSet<u128>,
}

impl Known {
    /// Whether nobody has seen this event yet.
    pub(crate) fn is_new(&mut self, id: &str) -> bool {
        let digest = Sha256::digest(id.as_bytes());
        let key = digest.iter().take(16).fold(0_u128, |key, byte| key << 8 | u128::from(*byte));
        if self.old.contains(&key) || !self.young.insert(key) {
            return false;
        }
        if self.young.len() >= GENERATION {
            self.old = std::mem::take(&mut self.young);
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::Known;

    #[test]
    fn an_event_counts_once() {
        let mut known = Known::default();
        assert!(known.is_new("aws:1:a"));
        assert!(!known.is_new("aws:1:a"));
        assert!(known.is_new("aws:1:b"));
    }
}
