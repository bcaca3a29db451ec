//! The walk of one batch: records → events → findings → one transaction.
//!
//! Invariant: nothing is acknowledged to a source before [`Pipeline::step`] returned for it. When
//! it fails, the engine has seen events the store has not: the pipeline is then not used again,
//! and the records are read again after a restart.

mod bench;
mod past;

use bench::{Bench, Said, Tally};
use chrono::{DateTime, Utc};
use keywatch_event::scrubbed::marks;
use keywatch_event::{AlertChange, Evaluation, EventTime, Level, Provider, Reject};
use keywatch_ingest::provider::Normalizer;
use keywatch_ingest::{Batch, scrub};
use keywatch_rules::{Engine, Gauges, RuleSet, Settings};
use keywatch_store::{Committed, Incoming, IncomingEvent, PositionChange, Routing, Store, StoreError};
use past::Past;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

/// Most stored events that windows are rebuilt from at a start: as many as the engine keeps.
const SIGNALS_MAX: u32 = 100_000;

/// How many of what could not be read held secret values, and of which kinds.
pub(crate) type Leaks = (u64, BTreeSet<&'static str>);

/// What is to be said of secret values in what could not be read, within the transaction that keeps it.
pub(crate) type Notice<'n> = &'n mut (dyn FnMut(&Leaks) -> Vec<AlertChange> + Send);

fn leaks(rejects: &[Reject]) -> Leaks {
    let (mut count, mut kinds) = (0, BTreeSet::new());
    for reject in rejects {
        let found = marks(&reject.bytes);
        count += u64::from(!found.is_empty());
        kinds.extend(found);
    }
    (count, kinds)
}

/// Normaliser, rules and store, in a row.
pub(crate) struct Pipeline {
    store: Store,
    normalizer: Normalizer,
    engine: Engine,
    lateness_secs: i64,
    routing: Arc<dyn Routing + Send>,
    late: u64,
}

/// What a batch came to.
#[derive(Clone, Debug)]
pub(crate) struct Stepped {
    /// What the store did.
    pub(crate) committed: Committed,
    /// Event time of the batch's newest event.
    pub(crate) newest: Option<EventTime>,
    /// New events, by provider and level.
    pub(crate) levels: HashMap<(Provider, Level), u64>,
    /// Records that could not be read, by kind.
    pub(crate) rejects: BTreeMap<&'static str, u64>,
}

impl Pipeline {
    /// A pipeline that knows what the store remembers.
    pub(crate) async fn start(
        store: Store,
        rules: Arc<RuleSet>,
        settings: Settings,
        routing: Arc<dyn Routing + Send>,
    ) -> Result<Self, StoreError> {
        let lateness_secs = settings.lateness_secs;
        let engine = Engine::new(rules, settings);
        let normalizer = Normalizer::new();
        let mut pipeline = Self { store, normalizer, engine, lateness_secs, routing, late: 0 };
        pipeline.remember().await?;
        Ok(pipeline)
    }

    /// Goes on with other rules, which learn what the store remembers.
    pub(crate) async fn reload(&mut self, rules: Arc<RuleSet>, settings: Settings) -> Result<(), StoreError> {
        self.lateness_secs = settings.lateness_secs;
        self.engine = Engine::new(rules, settings);
        self.remember().await
    }

    async fn remember(&mut self) -> Result<(), StoreError> {
        let learned = self.store.learned().await?;
        let span = self.engine.span_secs();
        let stored = self.store.open_signals(self.lateness_secs, span, SIGNALS_MAX).await?;
        let events = past::read(&self.normalizer, &stored);
        self.engine.restore(&learned, &past::signals(&events));
        Ok(())
    }

    /// Takes one batch to the end: when this returns, it is on disk with all that follows from it,
    /// and with `alongside`, what its source said of itself. `notice` is asked once, when the store has
    /// begun to keep the batch.
    pub(crate) async fn step(
        &mut self,
        batch: &Batch,
        alongside: Evaluation,
        notice: Notice<'_>,
        now: DateTime<Utc>,
    ) -> Result<Stepped, StoreError> {
        let clean = scrub::clean(batch);
        let batch = clean.as_ref().unwrap_or(batch);
        let mut rejects = batch.rejects.clone();
        let events = self.normalize(batch, EventTime::from(now), &mut rejects);
        // An event whose own time was not believed says nothing about how far the source has come.
        let dated = events.iter().filter(|one| one.event.time_raw.is_none());
        let newest = dated.map(|one| one.event.time).max();
        let floor = self.engine.floor();
        let late =
            events.iter().map(|one| one.event.time).filter(|time| floor.is_some_and(|floor| *time < floor));
        let past = Past::around(&self.store, late.collect(), self.engine.span_secs()).await?;
        let advances: Vec<PositionChange<'_>> = batch
            .advances
            .iter()
            .map(|advance| PositionChange {
                source: &advance.source,
                from: advance.from.as_deref(),
                to: &advance.to,
            })
            .collect();
        let incoming = Incoming {
            events: &events,
            bytes: &batch.bytes,
            rejects: &rejects,
            advances: &advances,
            received_at: now,
        };
        let normalizer = &self.normalizer;
        let mut judge = Bench {
            engine: &mut self.engine,
            normalizer,
            incoming: &incoming,
            floor,
            past,
            alongside,
            leaks: leaks(&rejects),
            notice,
            said: Tally::default(),
        };
        let committed = self.store.commit(&incoming, &mut judge, &*self.routing).await?;
        self.late += judge.said.late;
        let mut kinds = BTreeMap::new();
        for reject in &rejects {
            *kinds.entry(reject.reason.kind()).or_insert(0) += 1;
        }
        Ok(Stepped { committed, newest, levels: judge.said.levels, rejects: kinds })
    }

    /// Asks the rules that wait for something that does not happen; what they say is to be
    /// [said](Self::say).
    pub(crate) fn tick(&mut self, now: DateTime<Utc>) -> Evaluation {
        self.engine.tick(EventTime::from(now))
    }

    /// Commits what somebody says, as a batch without events; `None` when they say nothing.
    pub(crate) async fn say(
        &mut self,
        said: Evaluation,
        now: DateTime<Utc>,
    ) -> Result<Option<Committed>, StoreError> {
        if said.changes.is_empty() && said.learned.is_empty() {
            return Ok(None);
        }
        let nothing = Incoming { events: &[], bytes: &[], rejects: &[], advances: &[], received_at: now };
        self.store.commit(&nothing, &mut Said(said), &*self.routing).await.map(Some)
    }

    /// What the rules hold.
    pub(crate) fn gauges(&self) -> Gauges {
        self.engine.gauges()
    }

    /// By rule: how many of whom it had learned were forgotten because of the limit.
    pub(crate) fn forgotten(&self) -> Vec<(String, u64)> {
        self.engine.forgotten().map(|(rule, count)| (rule.to_owned(), count)).collect()
    }

    /// Events that came too late for memory and were judged from the history.
    pub(crate) const fn late(&self) -> u64 {
        self.late
    }

    fn normalize<'b>(
        &self,
        batch: &'b Batch,
        received_at: EventTime,
        rejects: &mut Vec<Reject>,
    ) -> Vec<IncomingEvent<'b>> {
        let mut events = Vec::with_capacity(batch.records.len());
        for record in &batch.records {
            let raw = record.range.clone();
            match self.normalizer.normalize(batch.raw(record), received_at) {
                Ok(Some(event)) => events.push(IncomingEvent { event, place: record.place.clone(), raw }),
                Ok(None) => {}
                Err(reason) => {
                    rejects.push(Reject {
                        place: record.place.clone(),
                        reason,
                        bytes: batch.raw(record).to_vec(),
                    });
                }
            }
        }
        events
    }
}

#[cfg(test)]
mod tests;
