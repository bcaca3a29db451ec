//! Taking batches, once a minute asking the rules that wait, and taking over another configuration.
//!
//! Invariant: a batch that is being committed is finished before anything else happens, and a
//! configuration with a mistake changes nothing.

use super::delivery::{Delivery, Desk, Prepared};
use super::detection::{Limits, Shown};
use super::sources::{Fed, Sources};
use crate::clock;
use crate::config::{self, Config};
use crate::metrics::Figures;
use crate::pipeline::Pipeline;
use crate::rulebook::{self, Rulebook};
use crate::watch::Watch;
use anyhow::Context;
use keywatch_alerting::{Egress, Outbound, check_credentials};
use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::signal::unix::Signal;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Interval, MissedTickBehavior, interval};

/// How often rules that wait for what does not happen are asked.
const TICK: Duration = Duration::from_mins(1);
/// How often the sources themselves are looked at: what one states between two batches is told
/// within this time.
const LOOK: Duration = Duration::from_secs(5);

/// What taking batches needs.
pub(super) struct Feed<'f> {
    pub(super) pipeline: &'f mut Pipeline,
    pub(super) sources: &'f mut Sources,
    pub(super) watch: Watch,
    pub(super) desk: Desk,
    pub(super) shown: &'f Shown,
    pub(super) figures: &'f Figures,
    pub(super) limits: Limits,
    /// What is in force.
    pub(super) config: Config,
    pub(super) delivery: &'f mut Delivery,
    /// Who wants the configuration read again, and waits for that.
    pub(super) asked: mpsc::Receiver<oneshot::Sender<()>>,
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
        let (mut minute, mut beat) = (every(TICK), every(LOOK));
        loop {
            tokio::select! {
                biased;
                () = &mut stop => return Ok(()),
                _ = reload.recv() => self.reload().await?,
                Some(answer) = self.asked.recv() => {
                    self.reload().await?;
                    // Whoever asked may have gone away.
                    let _gone = answer.send(());
                }
                _ = minute.tick() => self.tick().await?,
                _ = beat.tick() => self.look().await?,
                fed = self.sources.next() => match fed {
                    Some(fed) => self.step(fed).await?,
                    None => anyhow::bail!("every source has ended; see the messages above"),
                },
            }
        }
    }

    async fn step(&mut self, fed: Fed) -> anyhow::Result<()> {
        let began = Instant::now();
        let said = self.watch.take(fed.source, clock::now());
        let stepped = self.pipeline.step(&fed.batch, said, clock::now()).await.context(
            "a batch could not be stored; Keywatch stops here and reads it again at the next start, nothing is lost",
        )?;
        self.desk.wake();
        self.figures.stepped(&self.sources.name_of(&fed), &stepped, began.elapsed());
        self.sources.committed(&fed, &stepped, clock::now());
        self.watch.heard(fed.source, &stepped, clock::now());
        self.shown.holds(self.pipeline.gauges(), self.pipeline.late(), self.limits);
        Ok(())
    }

    /// Looks at the sources themselves, and tells what stands and what happened.
    async fn look(&mut self) -> anyhow::Result<()> {
        let now = clock::now();
        let said = self.watch.tick(now);
        let told = self.pipeline.say(said, now).await;
        if told.context("what was noticed about a source could not be stored; Keywatch stops here")?.is_some()
        {
            self.desk.wake();
        }
        Ok(())
    }

    /// While a source still reads old records, silence means nothing, and nobody is asked.
    async fn tick(&mut self) -> anyhow::Result<()> {
        let now = clock::now();
        if self.sources.caught_up(now) {
            let told = self.pipeline.tick(now).await;
            let told = told.context("what the rules noticed could not be stored; Keywatch stops here")?;
            if told.is_some() {
                self.desk.wake();
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

    /// Another configuration takes over with everything the store remembers; with a mistake
    /// anywhere in it the old one stays whole.
    async fn reload(&mut self) -> anyhow::Result<()> {
        match self.prepare().await {
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
        Ok(())
    }

    /// All that can fail: reading files, compiling rules, fetching secrets, setting up clients.
    /// Nothing that runs is touched.
    async fn prepare(&self) -> anyhow::Result<Ready> {
        let config = match &self.config.layers {
            Some(layers) => config::load(&layers.again())?,
            None => self.config.clone(),
        };
        let book = rulebook::load(&config.supplied.rules)?.told(&config.supplied.surroundings());
        let egress = Egress::new(config.egress.clone());
        // Asked with empty hands: what an old value would hide has to be told.
        let asking = Outbound { egress: egress.clone(), secrets: config.secrets.clone() };
        let missing = check_credentials(&config.receivers, &asking).await;
        anyhow::ensure!(missing.is_empty(), "{}", super::joined(&missing));
        let outbound = Outbound { egress, secrets: self.config.secrets.clone() };
        let delivery = self.delivery.prepare(&config, &outbound)?;
        Ok(Ready { config, book, delivery })
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
        self.shown.loaded(&rules, &waiting);
        let old = self.config.clone();
        // Every loop shares this one: it fetches anew, and as the new configuration says.
        old.secrets.take_over(&config.secrets);
        // What waits goes on waiting: the next reload compares with what is in force.
        self.config = Config {
            database: old.database,
            listen: old.listen,
            hosts: old.hosts,
            https: old.https,
            sources: old.sources,
            live: old.live,
            patience: old.patience,
            secrets: old.secrets,
            ..config
        };
        self.evicted = 0;
        tracing::info!(
            rules = rules.rules.len(),
            receivers = self.config.receivers.len(),
            "configuration reloaded"
        );
        Ok(())
    }
}

/// Keys that changed and cannot take effect while the service runs.
fn waiting(old: &Config, new: &Config) -> Vec<&'static str> {
    let changes = [
        ("database", old.database != new.database),
        ("listen", old.listen != new.listen),
        ("hosts", old.hosts != new.hosts),
        ("https", old.https != new.https),
        ("sources", is_other(old, new)),
    ];
    changes.into_iter().filter(|(_, changed)| *changed).map(|(key, _)| key).collect()
}

fn is_other(old: &Config, new: &Config) -> bool {
    old.sources != new.sources || old.live != new.live || old.patience != new.patience
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
