//! The walk of one batch: records → events → findings → one transaction.
//!
//! Invariant: nothing is acknowledged to a source before [`Pipeline::step`] returned for it. When
//! it fails, the engine has seen events the store has not: the pipeline is then not used again,
//! and the records are read again after a restart.

use chrono::{DateTime, Utc};
use keywatch_event::{Evaluation, EventTime, Reject};
use keywatch_ingest::Batch;
use keywatch_ingest::provider::Normalizer;
use keywatch_rules::{Engine, RuleSet, Seen, Settings};
use keywatch_store::{
    Committed, Incoming, IncomingEvent, Judge, PositionChange, Store, StoreError, Subscriber,
};
use std::sync::Arc;

/// Most stored events that windows are rebuilt from at a start: as many as the engine keeps.
const SIGNALS_MAX: u32 = 100_000;

/// Normaliser, rules and store, in a row.
#[derive(Debug)]
pub(crate) struct Pipeline {
    store: Store,
    normalizer: Normalizer,
    engine: Engine,
    receivers: Vec<Subscriber>,
}

impl Pipeline {
    /// A pipeline that knows what the store remembers.
    pub(crate) async fn start(
        store: Store,
        rules: Arc<RuleSet>,
        settings: Settings,
        receivers: Vec<Subscriber>,
    ) -> Result<Self, StoreError> {
        let engine = Engine::new(rules, settings);
        let mut pipeline = Self { store, normalizer: Normalizer::new(), engine, receivers };
        pipeline.remember().await?;
        Ok(pipeline)
    }

    /// Goes on with other rules, which learn what the store remembers.
    pub(crate) async fn reload(&mut self, rules: Arc<RuleSet>, settings: Settings) -> Result<(), StoreError> {
        self.engine = Engine::new(rules, settings);
        self.remember().await
    }

    async fn remember(&mut self) -> Result<(), StoreError> {
        let learned = self.store.learned().await?;
        let stored = self.store.signals_since(EventTime::from_unix_nanos(i64::MIN, 0), SIGNALS_MAX).await?;
        let read = |record| -> Option<_> {
            let record: &keywatch_store::StoredRecord = record;
            let event =
                self.normalizer.normalize(&record.raw, EventTime::from(record.received_at)).ok()??;
            Some((event, record))
        };
        let events: Vec<_> = stored.iter().filter_map(read).collect();
        let signals: Vec<Seen<'_>> = events
            .iter()
            .map(|(event, record)| Seen { event, place: &record.place, raw: &record.raw })
            .collect();
        self.engine.restore(&learned, &signals);
        Ok(())
    }

    /// Takes one batch to the end: when this returns, it is on disk with all that follows from it.
    pub(crate) async fn step(&mut self, batch: &Batch, now: DateTime<Utc>) -> Result<Committed, StoreError> {
        let mut rejects = batch.rejects.clone();
        let events = self.normalize(batch, EventTime::from(now), &mut rejects);
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
        let mut judge = Bench { engine: &mut self.engine, incoming: &incoming };
        self.store.commit(&incoming, &mut judge, &self.receivers).await
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

/// The engine at the store's service, for one batch.
struct Bench<'b> {
    engine: &'b mut Engine,
    incoming: &'b Incoming<'b>,
}

impl Judge for Bench<'_> {
    fn judge(&mut self, fresh: &[usize]) -> Evaluation {
        let seen = fresh.iter().filter_map(|at| {
            let one = self.incoming.events.get(*at)?;
            let raw = self.incoming.bytes.get(one.raw.clone())?;
            Some(Seen { event: &one.event, place: &one.place, raw })
        });
        self.engine.evaluate(&seen.collect::<Vec<_>>())
    }
}
