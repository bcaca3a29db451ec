//! Taking batches, once a minute asking the rules that wait, and taking over other rules.
//!
//! Invariant: a batch that is being committed is finished before anything else happens, and rules
//! with a mistake change nothing.

use super::detection::{Limits, Shown};
use super::sources::{Fed, Sources};
use crate::clock;
use crate::config::{self, Supplied};
use crate::metrics::Figures;
use crate::pipeline::Pipeline;
use crate::rulebook::{self, Rulebook};
use anyhow::Context;
use keywatch_alerting::Wake;
use std::future::Future;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::signal::unix::Signal;
use tokio::time::{Interval, MissedTickBehavior, interval};

/// How often rules that wait for what does not happen are asked.
const TICK: Duration = Duration::from_mins(1);

/// What taking batches needs.
pub(super) struct Feed<'f> {
    pub(super) pipeline: &'f mut Pipeline,
    pub(super) sources: &'f mut Sources,
    pub(super) wake: &'f Wake,
    pub(super) shown: &'f Shown,
    pub(super) figures: &'f Figures,
    pub(super) limits: Limits,
    /// Where rules and lists are read again on SIGHUP; `None` for what was started without a file.
    pub(super) config: Option<PathBuf>,
    pub(super) supplied: Supplied,
    /// What the engine had let go when that was last looked at.
    pub(super) evicted: u64,
}

impl Feed<'_> {
    /// Takes batches until told to stop. A batch that is being committed is finished.
    pub(super) async fn until(
        mut self,
        stop: impl Future<Output = ()>,
        mut reload: Signal,
    ) -> anyhow::Result<()> {
        let mut stop = std::pin::pin!(stop);
        let mut minute = every_minute();
        loop {
            tokio::select! {
                biased;
                () = &mut stop => return Ok(()),
                _ = reload.recv() => self.reload().await?,
                _ = minute.tick() => self.tick().await?,
                fed = self.sources.next() => match fed {
                    Some(fed) => self.step(fed).await?,
                    None => anyhow::bail!("every source has ended; see the messages above"),
                },
            }
        }
    }

    async fn step(&mut self, fed: Fed) -> anyhow::Result<()> {
        let began = Instant::now();
        let stepped = self.pipeline.step(&fed.batch, clock::now()).await.context(
            "a batch could not be stored; Keywatch stops here and reads it again at the next start, nothing is lost",
        )?;
        self.wake.wake();
        self.figures.stepped(&self.sources.name_of(&fed), &stepped, began.elapsed());
        self.sources.committed(&fed, &stepped, clock::now());
        self.shown.holds(self.pipeline.gauges(), self.pipeline.late(), self.limits);
        Ok(())
    }

    /// While a source still reads old records, silence means nothing, and nobody is asked.
    async fn tick(&mut self) -> anyhow::Result<()> {
        let now = clock::now();
        if self.sources.caught_up(now) {
            let told = self.pipeline.tick(now).await;
            let told = told.context("what the rules noticed could not be stored; Keywatch stops here")?;
            if told.is_some() {
                self.wake.wake();
            }
        }
        self.warn_of_evictions();
        Ok(())
    }

    fn warn_of_evictions(&mut self) {
        let (gauges, late) = (self.pipeline.gauges(), self.pipeline.late());
        self.shown.holds(gauges, late, self.limits);
        let evicted = gauges.entries_evicted + gauges.principals_evicted;
        if evicted > self.evicted {
            tracing::warn!(
                entries = gauges.entries_evicted,
                principals = gauges.principals_evicted,
                "the rules' memory is full, and the oldest was let go; slow attacks may be missed, use fewer or narrower rules"
            );
        }
        self.evicted = evicted;
    }

    /// Other rules, lists and announcements take over with everything the store remembers; with a
    /// mistake in any of them the old ones stay.
    async fn reload(&mut self) -> anyhow::Result<()> {
        match self.read_again() {
            Ok((supplied, book)) => {
                let (settings, rules) = (supplied.settings(), Arc::new(book.set));
                self.limits = Limits::of(&settings);
                self.pipeline.reload(Arc::clone(&rules), settings).await?;
                self.shown.loaded(&rules);
                self.figures.reloaded("done");
                self.supplied = supplied;
                self.evicted = 0;
                tracing::info!(rules = rules.rules.len(), "rules and lists reloaded");
            }
            Err(error) => {
                tracing::error!("rules and lists were not reloaded, the old ones stay: {error:#}");
                self.figures.reloaded("failed");
                self.shown.not_loaded(clock::now(), format!("{error:#}"));
            }
        }
        Ok(())
    }

    fn read_again(&self) -> anyhow::Result<(Supplied, Rulebook)> {
        let supplied = match &self.config {
            Some(path) => config::load_supplied(path)?.0,
            None => self.supplied.clone(),
        };
        let book = rulebook::load(&supplied.rules)?.told(&supplied.surroundings());
        Ok((supplied, book))
    }
}

/// A tick a minute from now and every minute after; one that is late is not made up for.
fn every_minute() -> Interval {
    let mut minute = interval(TICK);
    minute.reset();
    minute.set_missed_tick_behavior(MissedTickBehavior::Delay);
    minute
}
