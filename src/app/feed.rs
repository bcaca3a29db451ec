//! Taking batches, once a minute asking the rules that wait, and taking over another configuration.
//!
//! Invariant: a batch that is being committed is finished before anything else happens, and a
//! configuration with a mistake changes nothing. It is read and checked beside the batches, one
//! attempt at a time: who asks meanwhile is heard afterwards.

use super::delivery::{Delivery, Desk, Prepared};
use super::detection::{Limits, Shown};
use super::live::Surroundings;
use super::sources::{Configured, Fed, Sources};
use crate::clock;
use crate::config::{self, Config};
use crate::metrics::Figures;
use crate::pipeline::{Found, Pipeline};
use crate::rulebook::{self, Rulebook};
use crate::watch::Watch;
use anyhow::Context;
use keywatch_alerting::{Egress, Outbound, check_credentials};
use keywatch_event::Evaluation;
use keywatch_store::Store;
use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::signal::unix::Signal;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;
use tokio::time::{Interval, MissedTickBehavior, interval};

/// How often rules that wait for what does not happen are asked.
const TICK: Duration = Duration::from_mins(1);
/// How often the sources themselves are looked at: what one states between two batches is told
/// within this time.
const LOOK: Duration = Duration::from_secs(5);

/// How long a batch rests that the database was too busy for, after it was waited for already.
const REST: Duration = Duration::from_secs(1);

/// What taking batches needs.
pub(super) struct Feed<'f> {
    pub(super) pipeline: &'f mut Pipeline,
    pub(super) store: Store,
    pub(super) sources: &'f mut Sources,
    pub(super) watch: Watch,
    /// What sources that are asked over the network share.
    pub(super) surroundings: Surroundings,
    pub(super) desk: Desk,
    pub(super) shown: &'f Shown,
    pub(super) figures: &'f Figures,
    pub(super) limits: Limits,
    /// What is in force.
    pub(super) config: Config,
    pub(super) delivery: &'f mut Delivery,
    /// Who wants the configuration read again, and waits for that.
    pub(super) asked: mpsc::Receiver<oneshot::Sender<()>>,
    pub(super) held: Held,
}

/// What is kept from one step to the next.
#[derive(Default)]
pub(super) struct Held {
    /// What the engine had let go when that was last looked at.
    evicted: u64,
    /// A batch that the database was too busy to begin with. No other is taken before it.
    waiting: Option<Fed>,
    /// What was noticed about sources and could not be told yet, for the same reason.
    untold: Evaluation,
}

impl Feed<'_> {
    /// Takes batches until told to stop. A batch that is being committed is finished.
    pub(super) async fn until(
        mut self,
        stop: impl Future<Output = ()>,
        mut reload: Signal,
    ) -> anyhow::Result<()> {
        let mut stop = std::pin::pin!(stop);
        let (mut minute, mut beat) = (every(TICK), every(LOOK));
        let mut preparing = JoinSet::new();
        loop {
            tokio::select! {
                biased;
                () = &mut stop => return Ok(()),
                _ = reload.recv(), if preparing.is_empty() => {
                    preparing.spawn(self.prepare(None));
                }
                Some(answer) = self.asked.recv(), if preparing.is_empty() => {
                    preparing.spawn(self.prepare(Some(answer)));
                }
                // A source that a reload ends leaves no batch behind: none is taken over while one waits.
                Some(prepared) = preparing.join_next(), if self.held.waiting.is_none() => {
                    self.reload(prepared?).await?;
                }
                _ = minute.tick(), if self.held.waiting.is_none() => self.tick().await?,
                _ = beat.tick(), if self.held.waiting.is_none() => self.look().await?,
                () = tokio::time::sleep(REST), if self.held.waiting.is_some() => {
                    if let Some(fed) = self.held.waiting.take() {
                        self.step(fed).await?;
                    }
                }
                fed = self.sources.next(), if self.held.waiting.is_none() => self.step(fed).await?,
            }
        }
    }

    async fn step(&mut self, fed: Fed) -> anyhow::Result<()> {
        let began = Instant::now();
        let noticed = self.watch.take(fed.source, clock::now());
        let said = self.with_untold(noticed);
        let now = clock::now();
        let watch = &mut self.watch;
        let mut notice = |found: &Found| watch.found(fed.source, found, now);
        let stepped = match self.pipeline.step(&fed.batch, said.clone(), &mut notice, now).await {
            // The rules were not asked yet: the batch waits, and so do the sources.
            Err(error) if error.has_begun_nothing() => {
                tracing::warn!("{error}; end the program that holds the database");
                (self.held.waiting, self.held.untold) = (Some(fed), said);
                return Ok(());
            }
            stepped => stepped.context(
                "a batch could not be stored; Keywatch stops here and reads it again at the next start, nothing is lost",
            )?,
        };
        self.desk.wake();
        self.figures.stepped(&self.sources.name_of(&fed), &stepped, began.elapsed());
        self.sources.committed(&fed, &stepped, clock::now());
        self.watch.heard(fed.source, &stepped, clock::now());
        self.shown.holds(
            self.pipeline.gauges(),
            self.pipeline.forgotten(),
            self.pipeline.late(),
            self.limits,
        );
        Ok(())
    }

    /// Looks at the sources themselves, and tells what stands and what happened.
    async fn look(&mut self) -> anyhow::Result<()> {
        let noticed = self.watch.tick(clock::now());
        self.tell(noticed).await
    }

    /// While a source still reads old records, silence means nothing, and nobody is asked.
    async fn tick(&mut self) -> anyhow::Result<()> {
        let now = clock::now();
        if self.sources.caught_up(now) {
            let noticed = self.pipeline.tick(now);
            self.tell(noticed).await?;
        }
        self.warn_of_evictions();
        Ok(())
    }

    /// Stores what was noticed between two batches; the next time, when the database is busy.
    async fn tell(&mut self, noticed: Evaluation) -> anyhow::Result<()> {
        let said = self.with_untold(noticed);
        match self.pipeline.say(said.clone(), clock::now()).await {
            Ok(Some(_told)) => self.desk.wake(),
            Ok(None) => {}
            Err(error) if error.has_begun_nothing() => self.held.untold = said,
            Err(error) => {
                return Err(error).context("what was noticed could not be stored; Keywatch stops here");
            }
        }
        Ok(())
    }

    /// What was noticed, after what waits to be told.
    fn with_untold(&mut self, more: Evaluation) -> Evaluation {
        let mut said = std::mem::take(&mut self.held.untold);
        said.changes.extend(more.changes);
        said.learned.extend(more.learned);
        said.kept.extend(more.kept);
        said
    }

    fn warn_of_evictions(&mut self) {
        let (gauges, late) = (self.pipeline.gauges(), self.pipeline.late());
        self.shown.holds(gauges, self.pipeline.forgotten(), late, self.limits);
        let evicted = gauges.entries_evicted + gauges.principals_evicted;
        if evicted > self.held.evicted {
            tracing::warn!(
                entries = gauges.entries_evicted,
                principals = gauges.principals_evicted,
                "the rules' memory is full, and the oldest was let go; slow attacks may be missed, use fewer or narrower rules"
            );
        }
        self.held.evicted = evicted;
    }

    /// Reads the configuration again, apart from what runs. `answer` hears when that was tried.
    fn prepare(&self, answer: Option<oneshot::Sender<()>>) -> impl Future<Output = Attempt> + 'static {
        let (config, store) = (self.config.clone(), self.store.clone());
        async move { Attempt { ready: prepare(&config, store).await, answer } }
    }

    /// Another configuration takes over with everything the store remembers; with a mistake
    /// anywhere in it the old one stays whole.
    async fn reload(&mut self, attempt: Attempt) -> anyhow::Result<()> {
        match attempt.ready {
            Ok(ready) => {
                self.take_over(ready).await?;
                self.figures.reloaded("done");
            }
            Err(error) => {
                tracing::error!("the configuration was not reloaded, the old one stays: {error:#}");
                self.figures.reloaded("failed");
                self.shown.not_loaded(clock::now(), format!("{error:#}"));
            }
        }
        if let Some(answer) = attempt.answer {
            // Whoever asked may have gone away.
            let _gone = answer.send(());
        }
        Ok(())
    }

    async fn take_over(&mut self, ready: Ready) -> anyhow::Result<()> {
        let Ready { config, book, delivery } = ready;
        let (settings, rules) = (config.supplied.settings(), Arc::new(book.set));
        self.limits = Limits::of(&settings);
        self.pipeline.reload(Arc::clone(&rules), settings).await?;
        self.watch.reload(&rules);
        self.delivery.take_over(delivery);
        let waiting = waiting(&self.config, &config);
        for key in &waiting {
            tracing::warn!("`{key}` changed and takes effect at the next start");
        }
        let old = self.config.clone();
        // Every loop shares this one: it fetches anew, and as the new configuration says.
        old.secrets.take_over(&config.secrets);
        // What waits goes on waiting: the next reload compares with what is in force.
        self.config = Config {
            database: old.database,
            listen: old.listen,
            hosts: old.hosts,
            https: old.https,
            log: old.log,
            metrics_listen: old.metrics_listen,
            cloudwatch: old.cloudwatch,
            secrets: old.secrets,
            ..config
        };
        self.change_sources().await?;
        self.shown.loaded(&rules, &waiting);
        self.held.evicted = 0;
        tracing::info!(
            rules = rules.rules.len(),
            sources = self.config.sources.len() + self.config.live.len(),
            receivers = self.config.receivers.len(),
            "configuration reloaded"
        );
        Ok(())
    }

    /// Sources that did not change go on undisturbed.
    async fn change_sources(&mut self) -> anyhow::Result<()> {
        let wanted = Configured::all(&self.config.sources, &self.config.live);
        if !self.sources.are(&wanted) {
            self.sources.end_others(&wanted).await;
            // Read when nobody moves them any more: a source that changed goes on where it was.
            self.surroundings.positions = Arc::new(self.store.positions().await?);
            self.sources.start_missing(wanted, &self.surroundings);
        }
        self.watch.attend(self.sources.subjects(), &self.config.patience);
        Ok(())
    }
}

/// All that can fail: reading files, compiling rules, fetching secrets, setting up clients.
/// Nothing that runs is touched, and nothing waits for it: a secret manager may take its time.
async fn prepare(current: &Config, store: Store) -> anyhow::Result<Ready> {
    let config = match &current.layers {
        Some(layers) => config::load(&layers.again())?,
        None => current.clone(),
    };
    let book = rulebook::in_force(&config.supplied)?;
    let egress = Egress::new(config.egress.clone());
    // Asked with empty hands: what an old value would hide has to be told.
    let asking = Outbound { egress: egress.clone(), secrets: config.secrets.clone() };
    let missing = check_credentials(&config.receivers, &asking).await;
    anyhow::ensure!(missing.is_empty(), "{}", super::joined(&missing));
    let outbound = Outbound { egress, secrets: current.secrets.clone() };
    let delivery = Prepared::new(store, &config, &outbound)?;
    Ok(Ready { config, book, delivery })
}

/// Keys that changed and cannot take effect while the service runs.
fn waiting(old: &Config, new: &Config) -> Vec<&'static str> {
    let changes = [
        ("database", old.database != new.database),
        ("listen", old.listen != new.listen),
        ("hosts", old.hosts != new.hosts),
        ("https", old.https != new.https),
        ("log", old.log != new.log),
        ("metrics", old.metrics_listen != new.metrics_listen),
        ("cloudwatch", old.cloudwatch != new.cloudwatch),
    ];
    changes.into_iter().filter(|(_, changed)| *changed).map(|(key, _)| key).collect()
}

/// What reading the configuration again came to.
struct Attempt {
    ready: anyhow::Result<Ready>,
    answer: Option<oneshot::Sender<()>>,
}

/// A configuration that can take over.
struct Ready {
    config: Config,
    book: Rulebook,
    delivery: Prepared,
}

/// A tick when this time has passed and every time after; one that is late is not made up for.
fn every(time: Duration) -> Interval {
    let mut ticks = interval(time);
    ticks.reset();
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks
}
