//! All sources of the service, feeding one pipeline: files on threads, others as tasks.
//!
//! Each hands over batches; at most [`AHEAD`] of them wait for their commit, so a slow disk slows
//! the reading and nothing piles up. A source moves on for good only when it hears that a batch is
//! stored.

mod figures;
mod follow;

use super::live::{self, Line, Surroundings};
use crate::clock;
use crate::config::live::LiveSource;
use crate::config::{Config, FileSource};
use crate::pipeline::Stepped;
use crate::watch::Watch;
use anyhow::Context;
use chrono::{DateTime, Utc};
use figures::Figures;
use follow::Thread;
use keywatch_dashboard::SourceInfo;
use keywatch_event::Provider;
use keywatch_ingest::source::{Follower, Health};
use keywatch_ingest::{Advance, Batch};
use std::collections::HashMap;
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

/// Batches a source may be ahead of the store.
pub(super) const AHEAD: usize = 2;
/// Notices kept per source for the dashboard.
const NOTICES_MAX: usize = 20;

/// A batch with the source it came from.
pub(super) struct Fed {
    pub(super) source: usize,
    pub(super) batch: Batch,
    notices: Vec<String>,
}

impl Fed {
    /// A batch of a live source, which tells its troubles itself.
    pub(super) const fn live(source: usize, batch: Batch) -> Self {
        Self { source, batch, notices: Vec::new() }
    }
}

/// How a source hears that a batch is stored.
enum Ear {
    Thread(Sender<Vec<Advance>>),
    /// At most [`AHEAD`] words wait in it.
    Task(mpsc::UnboundedSender<()>),
}

/// What is known of a source.
struct Known {
    info: SourceInfo,
    figures: Figures,
    health: Health,
    /// Whether it tells its state; files do not.
    is_live: bool,
}

/// All sources of the service.
pub(super) struct Sources {
    /// Keeps the feed open when there is no source: the service still shows and delivers.
    _open: Option<mpsc::Sender<Fed>>,
    fed: mpsc::Receiver<Fed>,
    ears: Vec<Ear>,
    threads: Vec<JoinHandle<()>>,
    tasks: JoinSet<()>,
    known: Arc<Mutex<Vec<Known>>>,
}

impl Sources {
    pub(super) fn start(
        files: &[FileSource],
        live: &[LiveSource],
        surroundings: &Surroundings,
    ) -> anyhow::Result<Self> {
        let (into, fed) = mpsc::channel(AHEAD);
        let mut all = Self {
            _open: (files.is_empty() && live.is_empty()).then(|| into.clone()),
            fed,
            ears: Vec::new(),
            threads: Vec::new(),
            tasks: JoinSet::new(),
            known: Arc::default(),
        };
        for source in files {
            all.follow(source, &into, &surroundings.positions)?;
        }
        for source in live {
            all.ask(source, &into, surroundings);
        }
        Ok(all)
    }

    fn follow(
        &mut self,
        source: &FileSource,
        feed: &mpsc::Sender<Fed>,
        positions: &HashMap<String, String>,
    ) -> anyhow::Result<()> {
        let follower = Follower::new(&source.name, source.paths.clone(), positions.clone());
        let (ear, acknowledged) = channel();
        let number = self.ears.len();
        let health = Health::default();
        let told = health.clone();
        let thread = Thread { number, follower, health: told, feed: feed.clone(), acknowledged, ahead: 0 };
        let spawned =
            std::thread::Builder::new().name(format!("source {}", source.name)).spawn(move || thread.run());
        self.threads.push(spawned.with_context(|| format!("cannot start the source {}", source.name))?);
        let paths: Vec<String> = source.paths.iter().map(|path| path.display().to_string()).collect();
        self.know(Ear::Thread(ear), &source.name, format!("files: {}", paths.join(", ")), (health, false));
        Ok(())
    }

    fn ask(&mut self, source: &LiveSource, feed: &mpsc::Sender<Fed>, surroundings: &Surroundings) {
        let (ear, stored) = mpsc::unbounded_channel();
        let line = Line { number: self.ears.len(), feed: feed.clone(), stored };
        let health = Health::default();
        self.tasks.spawn(live::run(source.clone(), health.clone(), surroundings.clone(), line));
        self.know(Ear::Task(ear), &source.name, source.kind(), (health, true));
    }

    fn know(&mut self, ear: Ear, name: &str, kind: String, (health, is_live): (Health, bool)) {
        self.ears.push(ear);
        let info = SourceInfo { name: name.to_owned(), kind, ..SourceInfo::default() };
        self.known().push(Known { info, health, is_live, figures: Figures::default() });
    }

    /// The next batch of any source; `None` when all have ended.
    pub(super) async fn next(&mut self) -> Option<Fed> {
        loop {
            tokio::select! {
                fed = self.fed.recv() => return fed,
                Some(ended) = self.tasks.join_next() => {
                    if let Err(error) = ended {
                        tracing::error!(%error, "a source's task panicked; restart Keywatch, and report this");
                    }
                }
            }
        }
    }

    /// Tells the source that its batch is stored.
    pub(super) fn committed(&mut self, fed: &Fed, stepped: &Stepped, now: DateTime<Utc>) {
        match self.ears.get(fed.source) {
            Some(Ear::Thread(ear)) => {
                let _ended = ear.send(fed.batch.advances.clone());
            }
            Some(Ear::Task(ear)) => {
                let _ended = ear.send(());
            }
            None => {}
        }
        let mut known = self.known();
        let Some(Known { info, figures, .. }) = known.get_mut(fed.source) else { return };
        figures.count(stepped, now);
        let committed = stepped.committed;
        info.records += (committed.fresh + committed.duplicates + committed.rejects) as u64;
        info.rejects += committed.rejects as u64;
        if !fed.batch.records.is_empty() {
            info.last_at = Some(now);
        }
        for notice in &fed.notices {
            tracing::warn!(source = %info.name, "{notice}");
            info.notices.push(notice.clone());
        }
        let excess = info.notices.len().saturating_sub(NOTICES_MAX);
        info.notices.drain(..excess);
    }

    /// Has every source watched, in the order of their numbers.
    pub(super) fn put_under(&self, watch: &mut Watch, config: &Config) {
        let providers: HashMap<&str, Provider> =
            config.live.iter().map(|source| (source.name.as_str(), source.provider())).collect();
        for Known { info, health, .. } in self.known().iter() {
            let name = info.name.as_str();
            let provider = providers.get(name).copied().unwrap_or(Provider::Aws);
            let patience = config.patience.get(name).copied().unwrap_or_default();
            watch.add(name, provider, health.clone(), patience);
        }
    }

    /// The name of the source a batch came from.
    pub(super) fn name_of(&self, fed: &Fed) -> String {
        self.known().get(fed.source).map(|known| known.info.name.clone()).unwrap_or_default()
    }

    /// Whether no source is still reading what happened long ago: each either brings what is recent
    /// or has brought nothing for a while.
    pub(super) fn caught_up(&self, now: DateTime<Utc>) -> bool {
        self.known().iter().all(|known| known.figures.has_caught_up(now))
    }

    /// What the dashboard is told of the sources.
    pub(super) fn informant(&self) -> keywatch_dashboard::Sources {
        let known = Arc::clone(&self.known);
        Arc::new(move || {
            let (known, now) = (known.lock().unwrap_or_else(PoisonError::into_inner), clock::now());
            known.iter().map(|known| known.tell(now)).collect()
        })
    }

    fn known(&self) -> MutexGuard<'_, Vec<Known>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Ends all sources. What they read and nobody committed is read again at the next start.
    pub(super) async fn stop(mut self) {
        self.ears.clear();
        self.fed.close();
        while self.fed.try_recv().is_ok() {}
        self.tasks.shutdown().await;
        for thread in self.threads.drain(..) {
            if thread.join().is_err() {
                tracing::error!("a source's thread panicked");
            }
        }
    }
}

impl Known {
    /// A live source's state is its own; a file source fails by notices.
    fn tell(&self, now: DateTime<Utc>) -> SourceInfo {
        let mut info = self.info.clone();
        info.per_minute = self.figures.per_minute(now);
        info.lag_secs = self.figures.lag_secs();
        let (state, lines) = live::told(&self.health.read());
        info.notices.extend(lines);
        if self.is_live {
            info.state = state.as_str();
        }
        info
    }
}
