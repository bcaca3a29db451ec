//! What diagnostic settings append to a container: a blob an hour for each resource, a record a
//! line, growing for as long as records of its hour come.
//!
//! Every blob is read from the byte up to which its records are committed. A day is looked at again
//! until a whole day has passed since it ended; records that come later still are not seen.

mod container;
mod position;
mod vault;

use crate::access::{Access, Door};
use container::Container;
use futures_util::future::join_all;
use keywatch_ingest::Batch;
use keywatch_ingest::source::{Backoff, Clock, Health, Live};
use keywatch_secrets::SecretManager;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};
use vault::Vault;

/// Batches that wait to be taken: 4 of 8 MiB and a record each.
const BATCHES_MAX: usize = 4;
/// Resources that are read at once: each holds a chunk of 4 MiB and a batch.
const VAULTS_AT_ONCE: usize = 4;
/// Resources of one container. Their positions cost some KiB each.
const VAULTS_MAX: usize = 10_000;
/// What a source's container is called in its health.
const PART: &str = "container";

/// How a container is read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// What the names of the blobs begin with, above the year; everything when empty.
    pub prefix: String,
    /// How much history is read of a resource that was never read.
    pub backfill: Duration,
    /// How long to rest between two looks.
    pub poll: Duration,
    /// How often it is looked for resources that are new.
    pub discover_every: Duration,
    /// First wait after a request that failed; doubles up to a minute.
    pub retry_first: Duration,
    /// Bytes asked for at once.
    pub chunk_bytes: u64,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            prefix: String::new(),
            backfill: Duration::from_hours(7 * 24),
            poll: Duration::from_mins(1),
            discover_every: Duration::from_mins(10),
            retry_first: Duration::from_secs(1),
            chunk_bytes: 4 << 20,
        }
    }
}

/// What the names of a source's positions begin with.
#[must_use]
pub fn position_prefix(source: &str) -> String {
    format!("azure:{source}:")
}

/// What every task of a source shares.
struct Desk {
    name: String,
    container: Container,
    settings: Settings,
    health: Health,
    clock: Clock,
    out: mpsc::Sender<Batch>,
}

/// A container as a source.
pub struct BlobContainer {
    taken: mpsc::Receiver<Batch>,
    health: Health,
    clock: Clock,
    _keeper: JoinSet<()>,
}

impl BlobContainer {
    /// Starts reading. `positions` is what the store holds, under names that begin with
    /// [`position_prefix`].
    #[must_use]
    pub fn start(
        name: &str,
        (access, secrets): (&Access, &SecretManager),
        settings: Settings,
        positions: &HashMap<String, String>,
        (clock, health): (Clock, Health),
    ) -> Self {
        let (out, taken) = mpsc::channel(BATCHES_MAX);
        let container = Container::new(Door::new(access, secrets));
        let own = (health.clone(), Arc::clone(&clock));
        let desk = Desk { name: name.to_owned(), container, settings, health, clock, out };
        let prefix = position_prefix(name);
        let mut vaults = BTreeMap::new();
        for (position, text) in positions {
            if let Some(folder) = position.strip_prefix(&prefix) {
                vaults.insert(folder.to_owned(), Vault::known(&desk, folder, Some(text)));
            }
        }
        let mut keeper = JoinSet::new();
        keeper.spawn(keep(desk, vaults));
        Self { taken, health: own.0, clock: own.1, _keeper: keeper }
    }
}

impl Live for BlobContainer {
    /// What is committed is the position: nobody else is told.
    type Receipt = ();

    async fn next(&mut self) -> (Batch, ()) {
        let Some(mut batch) = self.taken.recv().await else {
            let text =
                "the task that reads the container broke; restart Keywatch, and report this".to_owned();
            self.health.fails(PART, text, (self.clock)());
            return std::future::pending().await;
        };
        while batch.records.len() < vault::BATCH_RECORDS && batch.bytes.len() < vault::BATCH_BYTES {
            let Ok(more) = self.taken.try_recv() else { break };
            batch.append(more);
        }
        (batch, ())
    }

    async fn acknowledge(&mut self, (): ()) {}
}

impl std::fmt::Debug for BlobContainer {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("BlobContainer").finish_non_exhaustive()
    }
}

/// Looks for resources, and reads what each has new, again and again.
async fn keep(desk: Desk, mut vaults: BTreeMap<String, Vault>) {
    let mut backoff = Backoff::new(desk.settings.retry_first, u64::from(std::process::id()));
    let mut discovered: Option<Instant> = None;
    while !desk.out.is_closed() {
        let mut works = true;
        if discovered.is_none_or(|at| at.elapsed() >= desk.settings.discover_every) {
            works = discover(&desk, &mut vaults).await;
            discovered = works.then(Instant::now);
        }
        let mut all: Vec<&mut Vault> = vaults.values_mut().collect();
        for some in all.chunks_mut(VAULTS_AT_ONCE) {
            let visits = some.iter_mut().map(|vault| vault.visit(&desk));
            works &= join_all(visits).await.into_iter().all(|worked| worked);
        }
        if works {
            backoff.reset();
            sleep(desk.settings.poll).await;
        } else {
            sleep(backoff.wait()).await;
        }
    }
}

/// Adds the resources that are new; whether the container could be asked.
async fn discover(desk: &Desk, vaults: &mut BTreeMap<String, Vault>) -> bool {
    let folders = match desk.container.folders_with_years(&desk.settings.prefix).await {
        Ok(folders) => folders,
        Err(failure) => {
            desk.failed(PART, &failure, &format!("listing {}", desk.container.place())).await;
            return false;
        }
    };
    desk.health.works(PART);
    let nothing = folders.is_empty() && vaults.is_empty();
    desk.health.warns(
        PART,
        nothing.then(|| {
            format!(
                "{} holds no folder with years (y=2026) below `{}`; check the prefix, and that a diagnostic setting writes there",
                desk.container.place(),
                desk.settings.prefix
            )
        }),
    );
    for folder in folders {
        if vaults.len() >= VAULTS_MAX && !vaults.contains_key(&folder) {
            let text = format!(
                "more than {VAULTS_MAX} resources are in one container; name longer prefixes in several sources"
            );
            desk.health.warns("resources", Some(text));
            break;
        }
        vaults.entry(folder.clone()).or_insert_with(|| Vault::known(desk, &folder, None));
    }
    true
}

impl Desk {
    async fn failed(&self, part: &str, failure: &crate::failure::Failure, attempt: &str) {
        if failure.trouble == crate::failure::Trouble::Credentials {
            self.container.refused().await;
        }
        self.health.fails(part, failure.explain(attempt), (self.clock)());
    }
}
