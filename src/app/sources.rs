//! All sources of the service, feeding one pipeline: files on threads, others as tasks.
//!
//! Each hands over batches; at most [`AHEAD`] of them wait for their commit, so a slow disk slows
//! the reading and nothing piles up. A source moves on for good only when it hears that a batch is
//! stored.
//!
//! Sources come and go while the service runs. Each has a number of its own that is never given
//! again, so a batch that a source left behind when it ended is known, and dropped: whoever reads
//! on begins at the stored position.

mod figures;
mod follow;
mod line;

use super::live::{self, Line, Surroundings};
use crate::clock;
use crate::config::FileSource;
use crate::config::live::LiveSource;
use crate::pipeline::Stepped;
use crate::watch::Subject;
use chrono::{DateTime, Utc};
use figures::Figures;
use follow::Thread;
use keywatch_dashboard::SourceInfo;
use keywatch_ingest::source::{Follower, Health};
use keywatch_ingest::{Advance, Batch};
use line::Lines;
use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::task::{AbortHandle, Id, JoinError, JoinSet};
use tokio::time::{Instant, sleep_until};

/// Batches a source may be ahead of the store.
pub(super) const AHEAD: usize = 2;
/// How long a batch is waited for while a thread ends.
const MOMENT: Duration = Duration::from_millis(20);
/// How long a source may take after its start to say that it reads what is old.
const GREETING: Duration = Duration::from_secs(2);
/// Notices kept per source for the dashboard.
const NOTICES_MAX: usize = 20;

/// A batch with the source it came from.
#[derive(Debug)]
pub(super) struct Fed {
    pub(super) source: usize,
    pub(super) batch: Batch,
    notices: Vec<String>,
    /// It is no batch: the source has nothing more to read for now.
    is_rest: bool,
}

impl Fed {
    /// A batch of a live source, which tells its troubles itself.
    pub(super) const fn live(source: usize, batch: Batch) -> Self {
        Self { source, batch, notices: Vec::new(), is_rest: false }
    }

    /// A source has nothing more to read for now.
    fn rest(source: usize) -> Self {
        Self { source, batch: Batch::default(), notices: Vec::new(), is_rest: true }
    }
}

/// A source as the configuration has it.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Configured {
    /// Files.
    Files(FileSource),
    /// What is asked over the network.
    Live(Box<LiveSource>),
}

impl Configured {
    /// All sources of a configuration.
    pub(super) fn all(files: &[FileSource], live: &[LiveSource]) -> Vec<Self> {
        let files = files.iter().cloned().map(Self::Files);
        files.chain(live.iter().cloned().map(|source| Self::Live(Box::new(source)))).collect()
    }

    fn info(&self) -> SourceInfo {
        let (name, kind) = match self {
            Self::Files(source) => {
                let paths: Vec<String> = source.paths.iter().map(|path| path.display().to_string()).collect();
                (&source.name, format!("files: {}", paths.join(", ")))
            }
            Self::Live(source) => (&source.name, source.kind()),
        };
        SourceInfo { name: name.clone(), kind, ..SourceInfo::default() }
    }
}

/// What runs a source, and how it hears that a batch is stored.
enum Runner {
    Thread(Sender<Vec<Advance>>, JoinHandle<()>),
    /// At most [`AHEAD`] words wait in it.
    Task(mpsc::UnboundedSender<()>, AbortHandle),
    /// It could not be started; its notices say why.
    Nobody,
}

/// A source that runs.
struct Slot {
    configured: Configured,
    runner: Runner,
    started: Instant,
}

impl Slot {
    /// Whether it reads what is old, as far as it says so itself: files say only when they have done.
    fn reads_old(&self, health: &Health) -> bool {
        let Configured::Live(source) = &self.configured else { return false };
        let greets = source.reads_old() && self.started.elapsed() < GREETING;
        greets || !health.read().progress.is_empty()
    }
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
    /// Given to every source; keeps the feed open when there is none: the service still shows and
    /// delivers.
    into: mpsc::Sender<Fed>,
    fed: mpsc::Receiver<Fed>,
    /// Batches taken out of the feed, until their turn comes.
    lines: Lines,
    /// How many sources there are.
    count: Arc<AtomicUsize>,
    slots: BTreeMap<usize, Slot>,
    /// The number the next source gets.
    number: usize,
    tasks: JoinSet<()>,
    /// What was known of sources that ended, by name, for those that take their place.
    retired: HashMap<String, SourceInfo>,
    known: Arc<Mutex<BTreeMap<usize, Known>>>,
}

impl Sources {
    /// Starts all sources.
    pub(super) fn start(wanted: Vec<Configured>, surroundings: &Surroundings) -> Self {
        let (into, fed) = mpsc::channel(AHEAD);
        let mut all = Self {
            into,
            fed,
            lines: Lines::default(),
            count: Arc::default(),
            slots: BTreeMap::new(),
            number: 0,
            tasks: JoinSet::new(),
            retired: HashMap::new(),
            known: Arc::default(),
        };
        // Before any of them begins: the first is to leave room for the last.
        all.count.store(wanted.len(), Ordering::Relaxed);
        for source in wanted {
            all.add(source, surroundings);
        }
        all
    }

    /// Whether these are the sources that run.
    pub(super) fn are(&self, wanted: &[Configured]) -> bool {
        let running: Vec<&Configured> = self.slots.values().map(|slot| &slot.configured).collect();
        running.len() == wanted.len() && wanted.iter().all(|source| running.contains(&source))
    }

    /// Ends the sources that are not wanted any more, or not as they are. What they read and nobody
    /// committed is read again by whoever takes their place. To be called between two batches.
    pub(super) async fn end_others(&mut self, wanted: &[Configured]) {
        let unwanted: Vec<usize> = self
            .slots
            .iter()
            .filter(|(_, slot)| !wanted.contains(&slot.configured))
            .map(|(number, _)| *number)
            .collect();
        for number in unwanted {
            self.end(number).await;
        }
    }

    /// Starts the wanted sources that do not run yet, from the positions of `surroundings`.
    pub(super) fn start_missing(&mut self, wanted: Vec<Configured>, surroundings: &Surroundings) {
        self.count.store(wanted.len(), Ordering::Relaxed);
        for source in wanted {
            if !self.slots.values().any(|slot| slot.configured == source) {
                self.add(source, surroundings);
            }
        }
        self.retired.clear();
    }

    fn add(&mut self, configured: Configured, surroundings: &Surroundings) {
        let number = self.number;
        self.number += 1;
        let mut info = configured.info();
        if let Some(before) = self.retired.remove(&info.name) {
            info = SourceInfo {
                records: before.records,
                rejects: before.rejects,
                last_at: before.last_at,
                ..info
            };
        }
        let is_live = matches!(configured, Configured::Live(_));
        let mut known = Known { info, is_live, figures: Figures::default(), health: Health::default() };
        let runner = match &configured {
            Configured::Files(source) => {
                self.follow(number, source, known.health.clone(), surroundings).unwrap_or_else(|error| {
                    let notice = format!("cannot be started: {error}; reload the configuration to try again");
                    tracing::error!(source = %source.name, "{notice}");
                    known.info.notices.push(notice);
                    Runner::Nobody
                })
            }
            Configured::Live(source) => self.ask(number, source, known.health.clone(), surroundings),
        };
        self.known().insert(number, known);
        self.lines.begin(number, matches!(runner, Runner::Thread(..)));
        self.slots.insert(number, Slot { configured, runner, started: Instant::now() });
    }

    fn follow(
        &self,
        number: usize,
        source: &FileSource,
        health: Health,
        surroundings: &Surroundings,
    ) -> std::io::Result<Runner> {
        let follower =
            Follower::new(&source.name, source.paths.clone(), surroundings.positions.as_ref().clone());
        let (ear, acknowledged) = channel();
        let (feed, sources) = (self.into.clone(), Arc::clone(&self.count));
        let thread = Thread { number, follower, health, feed, acknowledged, ahead: 0, sources };
        let spawned = std::thread::Builder::new()
            .name(format!("source {}", source.name))
            .spawn(move || thread.run())?;
        Ok(Runner::Thread(ear, spawned))
    }

    fn ask(
        &mut self,
        number: usize,
        source: &LiveSource,
        health: Health,
        surroundings: &Surroundings,
    ) -> Runner {
        let (ear, stored) = mpsc::unbounded_channel();
        let line = Line { number, feed: self.into.clone(), stored };
        let task = self.tasks.spawn(live::run(source.clone(), health, surroundings.clone(), line));
        Runner::Task(ear, task)
    }

    /// Ends one source and waits until it is gone, so that what it held (a socket, a group's
    /// membership) is free again.
    async fn end(&mut self, number: usize) {
        let Some(slot) = self.slots.remove(&number) else { return };
        let known = self.known().remove(&number);
        self.retired.extend(known.map(|known| (known.info.name.clone(), known.info)));
        match slot.runner {
            Runner::Thread(ear, thread) => {
                drop(ear);
                // It may wait for a place in the feed: places are made until it is gone.
                while !thread.is_finished() {
                    self.make_room().await;
                }
                join(thread);
            }
            Runner::Task(ear, task) => {
                drop(ear);
                task.abort();
                while let Some(ended) = self.tasks.join_next_with_id().await {
                    if id_of(&ended) == task.id() {
                        break;
                    }
                    report(&ended);
                }
            }
            Runner::Nobody => {}
        }
        self.drain();
        self.lines.end(number);
    }

    /// Takes a batch out of the feed, or waits a moment for one.
    async fn make_room(&mut self) {
        if let Ok(Some(fed)) = tokio::time::timeout(MOMENT, self.fed.recv()).await {
            self.put(fed);
        }
    }

    fn put(&mut self, fed: Fed) {
        if fed.is_rest { self.lines.rests(fed.source) } else { self.lines.put(fed, clock::now()) }
    }

    fn drain(&mut self) {
        while let Ok(fed) = self.fed.try_recv() {
            self.put(fed);
        }
    }

    /// The next batch: of any source when it is recent, and else the oldest.
    pub(super) async fn next(&mut self) -> Fed {
        loop {
            self.drain();
            if let Some(fed) = self.take() {
                return fed;
            }
            let patience = self.lines.patience_ends();
            let end = patience.unwrap_or_else(|| Instant::now() + GREETING);
            tokio::select! {
                // The feed stays open: this holds an end of it itself.
                Some(fed) = self.fed.recv() => self.put(fed),
                Some(ended) = self.tasks.join_next_with_id() => report(&ended),
                () = sleep_until(end.min(Instant::now() + GREETING)), if patience.is_some() => {
                    if end <= Instant::now() {
                        self.lines.give_up();
                    }
                }
            }
        }
    }

    fn take(&mut self) -> Option<Fed> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let slots = &self.slots;
        let reads_old = |number| {
            let (Some(slot), Some(known)) = (slots.get(&number), known.get(&number)) else { return false };
            slot.reads_old(&known.health)
        };
        self.lines.take(clock::now(), reads_old)
    }

    /// Tells the source that its batch is stored.
    pub(super) fn committed(&mut self, fed: &Fed, stepped: &Stepped, now: DateTime<Utc>) {
        match self.slots.get(&fed.source).map(|slot| &slot.runner) {
            Some(Runner::Thread(ear, _)) => {
                let _ended = ear.send(fed.batch.advances.clone());
            }
            Some(Runner::Task(ear, _)) => {
                let _ended = ear.send(());
            }
            Some(Runner::Nobody) | None => {}
        }
        let mut known = self.known();
        let Some(Known { info, figures, .. }) = known.get_mut(&fed.source) else { return };
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

    /// Every source, to be watched.
    pub(super) fn subjects(&self) -> Vec<Subject> {
        let known = self.known();
        let subject = |(number, slot): (&usize, &Slot)| {
            let Known { info, health, .. } = known.get(number)?;
            let provider = match &slot.configured {
                Configured::Files(_) => None,
                Configured::Live(source) => Some(source.provider()),
            };
            Some(Subject { number: *number, name: info.name.clone(), provider, health: health.clone() })
        };
        self.slots.iter().filter_map(subject).collect()
    }

    /// The name of the source a batch came from.
    pub(super) fn name_of(&self, fed: &Fed) -> String {
        self.known().get(&fed.source).map(|known| known.info.name.clone()).unwrap_or_default()
    }

    /// Whether no source is still reading what happened long ago: each either brings what is recent
    /// or has brought nothing for a while.
    pub(super) fn caught_up(&self, now: DateTime<Utc>) -> bool {
        self.known().values().all(|known| known.figures.has_caught_up(now))
    }

    /// What the dashboard is told of the sources.
    pub(super) fn informant(&self) -> keywatch_dashboard::Sources {
        let known = Arc::clone(&self.known);
        Arc::new(move || {
            let (known, now) = (known.lock().unwrap_or_else(PoisonError::into_inner), clock::now());
            known.values().map(|known| known.tell(now)).collect()
        })
    }

    fn known(&self) -> MutexGuard<'_, BTreeMap<usize, Known>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Ends all sources. What they read and nobody committed is read again at the next start.
    pub(super) async fn stop(self) {
        let Self { slots, mut fed, mut tasks, .. } = self;
        fed.close();
        while fed.try_recv().is_ok() {}
        tasks.shutdown().await;
        for slot in slots.into_values() {
            if let Runner::Thread(ear, thread) = slot.runner {
                drop(ear);
                join(thread);
            }
        }
    }
}

fn join(thread: JoinHandle<()>) {
    if thread.join().is_err() {
        tracing::error!("a source's thread panicked");
    }
}

fn id_of(ended: &Result<(Id, ()), JoinError>) -> Id {
    match ended {
        Ok((id, ())) => *id,
        Err(error) => error.id(),
    }
}

fn report(ended: &Result<(Id, ()), JoinError>) {
    if let Err(error) = ended
        && error.is_panic()
    {
        tracing::error!(%error, "a source's task panicked; restart Keywatch, and report this");
    }
}

impl Known {
    /// A live source's state is its own; a file source fails by notices.
    fn tell(&self, now: DateTime<Utc>) -> SourceInfo {
        let mut info = self.info.clone();
        info.per_minute = self.figures.per_minute(now);
        info.lag_secs = self.figures.lag_secs();
        let condition = self.health.read();
        let (state, lines) = live::told(&condition);
        (info.refused, info.dropped) = (condition.refused.values().sum(), condition.dropped);
        info.notices.extend(lines);
        if self.is_live {
            info.state = state.as_str();
        }
        info
    }
}

#[cfg(test)]
mod tests;
