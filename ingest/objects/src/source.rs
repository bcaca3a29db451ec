//! A store of objects as a source: its folders are looked for, and each is looked at again and again.

use crate::folder::{Folder, Looked};
use crate::object::{BATCH_BYTES, BATCH_RECORDS, Listed};
use crate::shelf::{self, Shelf};
use crate::{Failure, Settings, Trouble};
use chrono::{DateTime, NaiveDate, Utc};
use futures_util::StreamExt;
use futures_util::stream;
use keywatch_ingest::source::{Backoff, Clock, Health, Live};
use keywatch_ingest::{Advance, Batch};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

/// Batches that wait to be taken: 4 of 8 MiB and a record each.
const BATCHES_MAX: usize = 4;
/// Folders that are looked at at once: each holds a chunk, a batch and at most one packed object.
const FOLDERS_AT_ONCE: usize = 4;
/// Folders of one source: with three days of 24 objects each some 90 MiB at the very most.
const FOLDERS_MAX: usize = 5000;
/// What the store itself is called in the source's health.
const PART: &str = "folders";
/// No time was heard from the store yet.
const UNHEARD: i64 = i64::MIN;

/// Under which name the store of events keeps where a source began. Its folders' positions have this
/// name, a colon, and the folder.
#[must_use]
pub fn position_name(source: &str) -> String {
    format!("objects:{source}")
}

/// Where a source began.
#[derive(Serialize, Deserialize)]
struct Begun {
    begin: NaiveDate,
}

/// What the folders of a source share.
pub(crate) struct Desk {
    name: String,
    pub(crate) shelf: Arc<dyn Shelf>,
    pub(crate) place: String,
    pub(crate) settings: Settings,
    pub(crate) health: Health,
    clock: Clock,
    /// Where the source began, as the store of events has it.
    committed: Option<String>,
    /// Seconds since 1970: the newest time at which the store says that something was written.
    heard: AtomicI64,
    out: mpsc::Sender<Batch>,
}

impl Desk {
    pub(crate) fn heard(&self) -> Option<DateTime<Utc>> {
        let secs = self.heard.load(Ordering::Relaxed);
        (secs != UNHEARD).then(|| DateTime::from_timestamp(secs, 0)).flatten()
    }

    /// Takes note of the store's time.
    pub(crate) fn hear(&self, time: Option<DateTime<Utc>>) {
        if let Some(time) = time {
            self.heard.fetch_max(time.timestamp(), Ordering::Relaxed);
        }
    }

    /// Today, for telling progress.
    pub(crate) fn today(&self) -> NaiveDate {
        self.heard().unwrap_or_else(|| (self.clock)()).date_naive()
    }

    /// Bytes of an object, up to where it was listed to end.
    pub(crate) async fn bytes(&self, listed: &Listed, range: Range<u64>) -> Result<Vec<u8>, Failure> {
        let range = range.start..range.end.min(listed.size);
        shelf::bytes(&*self.shelf, &listed.path, range).await
    }

    pub(crate) async fn failed(&self, part: &str, attempt: &str, failure: &Failure) {
        if failure.trouble == Trouble::Credentials {
            self.shelf.refused().await;
        }
        self.health.fails(part, shelf::explain(&*self.shelf, attempt, failure), (self.clock)());
    }

    pub(crate) async fn hand_over(&self, batch: Batch) -> Result<(), Failure> {
        if batch.is_empty() {
            return Ok(());
        }
        self.out.send(batch).await.map_err(|_closed| Failure::unavailable("the source has ended"))
    }
}

/// Objects of a store, as a source.
pub struct Objects {
    taken: mpsc::Receiver<Batch>,
    health: Health,
    clock: Clock,
    _keeper: JoinSet<()>,
}

impl Objects {
    /// Starts reading. `positions` is what the store of events holds, by [`position_name`].
    #[must_use]
    pub fn start(
        name: &str,
        shelf: Arc<dyn Shelf>,
        settings: Settings,
        positions: &HashMap<String, String>,
        (clock, health): (Clock, Health),
    ) -> Self {
        let (out, taken) = mpsc::channel(BATCHES_MAX);
        let own = position_name(name);
        let committed = positions.get(&own).cloned();
        let stored = committed.as_deref().and_then(|text| serde_json::from_str::<Begun>(text).ok());
        let begin = settings.from.or(stored.map(|stored| stored.begin));
        let heard = AtomicI64::new(UNHEARD);
        let told = (health.clone(), Arc::clone(&clock));
        let (name, place) = (name.to_owned(), shelf.place());
        let desk = Desk { name, shelf, place, settings, health, clock, committed, heard, out };
        let prefix = format!("{own}:");
        let known = positions.iter().filter_map(|(key, text)| {
            let folder = key.strip_prefix(&prefix)?;
            let begin = begin.unwrap_or(NaiveDate::MAX);
            Some((folder.to_owned(), Folder::known(folder, key.clone(), Some(text), begin)))
        });
        let folders: BTreeMap<String, Folder> = known.collect();
        let mut keeper = JoinSet::new();
        keeper.spawn(keep(desk, folders, begin));
        Self { taken, health: told.0, clock: told.1, _keeper: keeper }
    }
}

impl Live for Objects {
    /// What is committed is the position: nobody else is told.
    type Receipt = ();

    async fn next(&mut self) -> (Batch, ()) {
        let Some(mut batch) = self.taken.recv().await else {
            let text = "the task that reads the objects broke; restart Keywatch, and report this".to_owned();
            self.health.fails(PART, text, (self.clock)());
            return std::future::pending().await;
        };
        while batch.records.len() < BATCH_RECORDS && batch.bytes.len() < BATCH_BYTES {
            let Ok(more) = self.taken.try_recv() else { break };
            batch.append(more);
        }
        (batch, ())
    }

    async fn acknowledge(&mut self, (): ()) {}
}

impl fmt::Debug for Objects {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Objects").finish_non_exhaustive()
    }
}

/// Looks for the folders of a store; what was found, in words.
///
/// # Errors
/// What failed and how to mend it.
pub async fn probe(shelf: &dyn Shelf, settings: &Settings) -> Result<String, String> {
    let place = shelf.place();
    match shelf::folders(shelf, settings.naming, &settings.prefix, FOLDERS_MAX).await {
        Ok(folders) if folders.is_empty() => Ok(empty(&place, settings)),
        Ok(folders) => Ok(format!("{place} holds {} folder(s) with years", folders.len())),
        Err(failure) => Err(shelf::explain(shelf, &format!("listing {place}"), &failure)),
    }
}

fn empty(place: &str, settings: &Settings) -> String {
    format!(
        "{place} holds no folder with years ({}) below `{}`; check `prefix`, and that something is written there",
        settings.naming.example(),
        settings.prefix
    )
}

/// Looks for folders, and reads what each has new, again and again.
async fn keep(desk: Desk, mut folders: BTreeMap<String, Folder>, mut begin: Option<NaiveDate>) {
    let mut backoff = Backoff::new(desk.settings.retry_first, desk.name.len() as u64 + 1);
    let mut discovered: Option<Instant> = None;
    if let Some(begin) = begin
        && commit_begin(&desk, begin).await.is_err()
    {
        return;
    }
    while !desk.out.is_closed() {
        let mut works = true;
        if discovered.is_none_or(|at| at.elapsed() >= desk.settings.discover_every) {
            works = discover(&desk, &mut folders, &mut begin).await;
            discovered = works.then(Instant::now).or(discovered);
        }
        let wanted = folders.values_mut().filter(|folder| folder.is_wanted(&desk));
        let looks: Vec<_> = wanted.map(|folder| folder.look(&desk)).collect();
        let looked: Vec<Looked> = stream::iter(looks).buffer_unordered(FOLDERS_AT_ONCE).collect().await;
        works &= looked.iter().all(|looked| looked.works);
        if !works {
            sleep(backoff.wait().min(desk.settings.poll)).await;
            continue;
        }
        backoff.reset();
        if !looked.iter().any(|looked| looked.has_more) {
            sleep(desk.settings.poll).await;
        }
    }
}

/// Commits where the source begins, before anything is read.
async fn commit_begin(desk: &Desk, begin: NaiveDate) -> Result<(), Failure> {
    let from = desk.committed.clone();
    let to = serde_json::to_string(&Begun { begin });
    let to = to.map_err(|error| Failure::unavailable(&error.to_string()))?;
    if from.as_ref() == Some(&to) {
        return Ok(());
    }
    let advances = vec![Advance { source: position_name(&desk.name), from, to }];
    desk.hand_over(Batch { advances, ..Batch::default() }).await
}

/// Adds the folders that are new; whether the store could be asked.
async fn discover(
    desk: &Desk,
    folders: &mut BTreeMap<String, Folder>,
    begin: &mut Option<NaiveDate>,
) -> bool {
    let Settings { naming, prefix, .. } = &desk.settings;
    let found = match shelf::folders(&*desk.shelf, *naming, prefix, FOLDERS_MAX).await {
        Ok(found) => begin_with(desk, &found, begin).await.map(|begin| (found, begin)),
        Err(failure) => Err(failure),
    };
    let (found, begin) = match found {
        Ok(found) => found,
        Err(failure) => {
            desk.failed(PART, &format!("listing {}", desk.place), &failure).await;
            return false;
        }
    };
    desk.health.works(PART);
    desk.health.warns(PART, found.is_empty().then(|| empty(&desk.place, &desk.settings)));
    for folder in folders.values_mut() {
        folder.is_there = false;
    }
    for name in found {
        if begin == NaiveDate::MAX {
            break;
        }
        if folders.len() >= FOLDERS_MAX && !folders.contains_key(&name) {
            let text = format!(
                "{} holds more than {FOLDERS_MAX} folders with years, and not all are read; name longer prefixes in several sources",
                desk.place
            );
            desk.health.warns("number of folders", Some(text));
            break;
        }
        let source = format!("{}:{name}", position_name(&desk.name));
        let folder = folders.entry(name.clone());
        folder.or_insert_with(|| Folder::known(&name, source, None, begin)).is_there = true;
    }
    true
}

/// Where the source begins; settled, and committed, once there is a folder.
async fn begin_with(
    desk: &Desk,
    found: &[String],
    begin: &mut Option<NaiveDate>,
) -> Result<NaiveDate, Failure> {
    if let Some(begin) = *begin {
        return Ok(begin);
    }
    let newest = shelf::newest_day(&*desk.shelf, desk.settings.naming, found).await?;
    let Some(newest) = newest else { return Ok(NaiveDate::MAX) };
    let settled = desk.settings.begin((desk.clock)(), newest);
    commit_begin(desk, settled).await?;
    *begin = Some(settled);
    Ok(settled)
}
