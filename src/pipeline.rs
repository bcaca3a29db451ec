//! The walk of one batch: records → events → findings → one transaction.
//!
//! Invariant: nothing is acknowledged to a source before [`Pipeline::step`] returned for it. When
//! it fails, the engine has seen events the store has not: the pipeline is then not used again before it
//! has [restarted](Pipeline::restart), and the records are taken again.

mod apart;
mod bench;
mod past;

use bench::{Bench, Said, Tally};
use chrono::{DateTime, Utc};
use keywatch_event::scrubbed::marks;
use keywatch_event::{AlertChange, Evaluation, EventTime, Level, Provider, Reject, RejectReason};
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

/// What stands out in a batch, apart from its events.
#[derive(Clone, Debug, Default)]
pub(crate) struct Found {
    /// Secret values in what could not be read.
    pub(crate) leaks: Leaks,
    /// Why records were not judged: defects of Keywatch's own.
    pub(crate) defects: Vec<String>,
}

impl Found {
    fn among(rejects: &[Reject]) -> Self {
        let defects = rejects.iter().filter_map(|reject| {
            let RejectReason::Defect(why) = &reject.reason else { return None };
            Some(format!("{}: {why}", reject.place))
        });
        Self { leaks: leaks(rejects), defects: defects.collect() }
    }
}

/// What is to be said of that, within the transaction that keeps it.
pub(crate) type Notice<'n> = &'n mut (dyn FnMut(&Found) -> Vec<AlertChange> + Send);

/// Why a batch is not stored.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failed {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("judging or storing ended in a panic ({0}); this is a defect, please report it")]
    Panic(String),
}

impl Failed {
    /// As [`StoreError::has_begun_nothing`].
    pub(crate) fn has_begun_nothing(&self) -> bool {
        matches!(self, Self::Store(error) if error.has_begun_nothing())
    }

    const fn is_defect(&self) -> bool {
        match self {
            Self::Store(error) => error.is_defect(),
            Self::Panic(_) => true,
        }
    }
}

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
    /// What the engine is made of.
    recipe: (Arc<RuleSet>, Settings),
    routing: Arc<dyn Routing + Send>,
    late: u64,
}

/// What a batch came to.
#[derive(Clone, Debug, Default)]
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

impl Stepped {
    fn add(&mut self, more: Self) {
        let Committed { fresh, duplicates, rejects, opened } = more.committed;
        self.committed.fresh += fresh;
        self.committed.duplicates += duplicates;
        self.committed.rejects += rejects;
        self.committed.opened += opened;
        self.newest = self.newest.max(more.newest);
        for (what, count) in more.levels {
            *self.levels.entry(what).or_insert(0) += count;
        }
        for (kind, count) in more.rejects {
            *self.rejects.entry(kind).or_insert(0) += count;
        }
    }
}

impl Pipeline {
    /// A pipeline that knows what the store remembers.
    pub(crate) async fn start(
        store: Store,
        rules: Arc<RuleSet>,
        settings: Settings,
        routing: Arc<dyn Routing + Send>,
    ) -> Result<Self, StoreError> {
        let recipe = (rules, settings);
        let engine = Engine::new(Arc::clone(&recipe.0), recipe.1.clone());
        let normalizer = Normalizer::asking(engine.asked());
        let mut pipeline = Self { store, normalizer, engine, recipe, routing, late: 0 };
        pipeline.remember().await?;
        Ok(pipeline)
    }

    /// Goes on with other rules, which learn what the store remembers.
    pub(crate) async fn reload(&mut self, rules: Arc<RuleSet>, settings: Settings) -> Result<(), StoreError> {
        self.recipe = (rules, settings);
        self.restart().await
    }

    /// Begins again with what the store remembers.
    async fn restart(&mut self) -> Result<(), StoreError> {
        let (rules, settings) = self.recipe.clone();
        self.engine = Engine::new(rules, settings);
        self.normalizer = Normalizer::asking(self.engine.asked());
        self.remember().await
    }

    async fn remember(&mut self) -> Result<(), StoreError> {
        let learned = self.store.learned().await?;
        if let Some(newest) = self.store.newest().await? {
            self.engine.reached(newest);
        }
        let span = self.engine.span_secs();
        let stored = self.store.open_signals(self.recipe.1.lateness_secs, span, SIGNALS_MAX).await?;
        let events = past::read(&self.normalizer, &stored);
        self.engine.restore(&learned, &past::signals(&events));
        Ok(())
    }

    /// Takes one batch to the end, as a whole.
    async fn attempt(
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
            found: Found::among(&rejects),
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
        match self.commit_alone(said.clone(), now).await {
            Err(error) if error.is_defect() => {
                tracing::error!("{error}; what can be stored of it is");
                self.say_apart(said, now).await.map(Some)
            }
            done => done.map(Some),
        }
    }

    /// Commits what can be committed of it. What cannot is lost as an alert, and stands in the log.
    async fn say_apart(&self, said: Evaluation, now: DateTime<Utc>) -> Result<Committed, StoreError> {
        let learned = Evaluation { learned: said.learned, ..Evaluation::default() };
        let changes = said
            .changes
            .into_iter()
            .map(|change| Evaluation { changes: vec![change], ..Evaluation::default() });
        let mut total = Committed::default();
        for one in changes.chain([learned]) {
            match self.commit_alone(one.clone(), now).await {
                Ok(committed) => total.opened += committed.opened,
                Err(error) if error.is_defect() => {
                    tracing::error!(
                        "this is lost, because the database does not take it: {:?} ({error})",
                        one.changes
                    );
                }
                Err(error) => return Err(error),
            }
        }
        Ok(total)
    }

    async fn commit_alone(&self, said: Evaluation, now: DateTime<Utc>) -> Result<Committed, StoreError> {
        let nothing = Incoming { events: &[], bytes: &[], rejects: &[], advances: &[], received_at: now };
        self.store.commit(&nothing, &mut Said(said), &*self.routing).await
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
