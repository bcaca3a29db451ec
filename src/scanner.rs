//! Runs of normalised records through the rules, once, without a store.
//!
//! Memory does not grow with the input: duplicates are recognised among the last 2.7
//! million events at least, windows and baselines have their limits, and only alerts are kept.

use crate::known::Known;
use keywatch_event::{Alert, EventTime, Level, Reject};
use keywatch_ingest::Run;
use keywatch_ingest::provider::Normalizer;
use keywatch_rules::{Engine, Gauges, Seen, examples};
use std::collections::BTreeMap;

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
            engine,
            known: Known::default(),
            counts: Counts::default(),
            alerts: BTreeMap::new(),
            newest: None,
            matched: BTreeMap::new(),
        }
    }

    /// A normaliser that tells what the rules ask of records.
    pub(crate) fn normalizer(&self) -> Normalizer {
        Normalizer::asking(self.engine.asked())
    }

    /// Takes what became of some records, in their order, with the keys of their ids; hands each
    /// reject to `rejected`.
    pub(crate) fn take(&mut self, run: &Run<'_>, keys: &[u64], rejected: &mut dyn FnMut(&Reject)) {
        self.counts.skipped += run.skipped;
        for reject in &run.rejects {
            *self.counts.rejects.entry(reject.reason.kind()).or_insert(0) += 1;
            rejected(reject);
        }
        let fresh = run.events.iter().zip(keys).filter(|(_, key)| self.known.is_new(**key));
        let seen: Vec<Seen<'_>> =
            fresh.map(|(one, _)| Seen { event: &one.event, place: &one.place, raw: one.raw }).collect();
        self.counts.events += seen.len() as u64;
        self.counts.duplicates += (run.events.len() - seen.len()) as u64;
        self.counts.misdated += seen.iter().filter(|seen| seen.event.time_raw.is_some()).count() as u64;
        let dated = seen.iter().filter(|seen| seen.event.time_raw.is_none());
        self.newest = self.newest.max(dated.map(|seen| seen.event.time).max());
        let evaluation = self.engine.evaluate(&seen);
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
        examples::apply(&mut self.alerts, self.engine.tell().changes);
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
