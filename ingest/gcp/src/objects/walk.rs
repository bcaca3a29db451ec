//! Going through the bucket: history day by day in the order of names, then what is newly written.
//!
//! Invariant: the position moves past an object only in a batch behind all of its records.

use super::Settings;
use super::bucket::{Bucket, Listed};
use super::position::Position;
use super::read::{self, Progress, Step};
use crate::backoff::Backoff;
use crate::failure::{Failure, Trouble};
use chrono::{DateTime, Days, NaiveDate, TimeDelta, Utc};
use keywatch_ingest::source::{Clock, Health, Reached};
use keywatch_ingest::{Advance, Batch};
use std::collections::BTreeSet;
use tokio::sync::mpsc;
use tokio::time::sleep;

/// Folders within one another that are walked: `cloudaudit.googleapis.com/data_access` has two, and a
/// prefix of one's own a few more.
const DEPTH_MAX: usize = 6;
/// Folders with years that are read: one per log and sink.
const FOLDERS_MAX: usize = 1000;
/// How much earlier than the newest object another may say it was written and be listed later.
const OVERLAP: TimeDelta = TimeDelta::minutes(10);
/// On a first start what was written within this time is new: the clock here may be ahead.
const FIRST: TimeDelta = TimeDelta::hours(1);
/// Objects remembered so that the overlap is not read again: some 200 bytes each, below 10 MiB. A
/// forgotten one is read again, and its events are known.
const SEEN_MAX: usize = 50_000;
/// What a backfill is called in the source's health.
const BACKFILL: &str = "backfill";

/// The source has ended: nobody takes what is read.
struct Ended;

/// One bucket.
pub(super) struct Walk {
    bucket: Bucket,
    settings: Settings,
    source: String,
    committed: Option<String>,
    position: Position,
    seen: BTreeSet<Listed>,
    /// The newest time of writing that was listed by the end of the last look.
    newest: Option<DateTime<Utc>>,
    pieces: mpsc::Sender<(Batch, ())>,
    clock: Clock,
    health: Health,
    backoff: Backoff,
}

impl Walk {
    pub(super) fn new(
        bucket: Bucket,
        settings: Settings,
        (source, committed): (String, Option<String>),
        pieces: mpsc::Sender<(Batch, ())>,
        (clock, health): (Clock, Health),
    ) -> Self {
        let position = Position::of(&settings, committed.as_deref(), clock() - FIRST);
        let backoff = Backoff::new(settings.retry_first, source.len() as u64);
        Self {
            bucket,
            settings,
            source,
            committed,
            position,
            seen: BTreeSet::new(),
            newest: None,
            pieces,
            clock,
            health,
            backoff,
        }
    }

    /// Reads history, then what is new; ends when nobody takes it, or when nothing new is wanted.
    pub(super) async fn run(mut self) {
        if self.backfill().await.is_err() {
            return;
        }
        while self.settings.follow && self.follow().await.is_ok() {
            sleep(self.settings.poll).await;
        }
    }

    async fn backfill(&mut self) -> Result<(), Ended> {
        let Some(first) = self.settings.from.filter(|_| !self.position.is_done) else { return Ok(()) };
        let last = self.settings.to.unwrap_or_else(|| self.now().date_naive());
        let folders = self.folders().await;
        let days: Vec<NaiveDate> = first.iter_days().take_while(|day| *day <= last).collect();
        let total = (folders.len() * days.len()).max(1);
        let mut done = 0;
        for folder in &folders {
            for day in &days {
                let permille = u16::try_from(done * 1000 / total).unwrap_or(1000);
                let text = format!("{day} of {first} to {last} in {folder}");
                self.health.progresses(BACKFILL, Some(Reached { permille, text }));
                self.day(&day_of(folder, *day)).await?;
                done += 1;
            }
        }
        self.position.is_done = true;
        self.advance().await?;
        self.health.progresses(BACKFILL, None);
        Ok(())
    }

    /// Reads a day's objects that are not yet read.
    async fn day(&mut self, folder: &str) -> Result<(), Ended> {
        // Names of a day that lies wholly before `after` are smaller than it.
        if format!("{folder}/\u{10ffff}") <= self.position.after {
            return Ok(());
        }
        let mut objects = self.listed(folder).await;
        objects.retain(|object| object.key > self.position.after);
        objects.sort_by(|one, other| one.key.cmp(&other.key));
        for object in objects {
            self.object(&object).await?;
            self.position.after.clone_from(&object.key);
            self.remember(object);
            self.advance().await?;
        }
        Ok(())
    }

    /// Reads what was written since the last look.
    async fn follow(&mut self) -> Result<(), Ended> {
        let since = self.position.written - OVERLAP;
        let first = (since - self.settings.late).date_naive();
        let last = self.now().date_naive() + Days::new(1);
        let mut objects = Vec::new();
        for folder in self.folders().await {
            for day in first.iter_days().take_while(|day| *day <= last) {
                objects.extend(self.listed(&day_of(&folder, day)).await);
            }
        }
        let newest = objects.iter().map(|object| object.written).max();
        objects.retain(|object| object.written >= since && !self.seen.contains(object));
        objects.sort();
        for object in objects {
            self.object(&object).await?;
            self.remember(object);
        }
        // A look takes its time, and what is written meanwhile into a folder it has left is for the
        // next. So what the last look ended with is what this one has certainly seen all of.
        self.position.written = self.position.written.max(self.newest.unwrap_or(self.position.written));
        self.newest = self.newest.max(newest);
        let old = self.position.written - OVERLAP;
        self.seen.retain(|object| object.written >= old);
        self.advance().await
    }

    fn remember(&mut self, object: Listed) {
        self.seen.insert(object);
        if self.seen.len() > SEEN_MAX {
            self.seen.pop_first();
        }
    }

    /// Every folder with years, in the order of names.
    async fn folders(&mut self) -> Vec<String> {
        let mut found = Vec::new();
        let mut waiting = vec![(self.settings.prefix.trim_matches('/').to_owned(), 0)];
        while let Some((folder, depth)) = waiting.pop() {
            let inside = self.inside(&folder).await;
            if inside.iter().any(|name| is_year(name)) {
                found.push(folder);
            } else if depth < DEPTH_MAX && found.len() + waiting.len() < FOLDERS_MAX {
                let join = |name: String| if folder.is_empty() { name } else { format!("{folder}/{name}") };
                waiting.extend(inside.into_iter().map(|name| (join(name), depth + 1)));
            }
        }
        let text = format!(
            "{} holds no folder with years: a sink writes LOG/YYYY/MM/DD/…; check `bucket` and `prefix`, and that the sink's \
             writer may create objects there",
            self.bucket.place(&self.settings.prefix)
        );
        self.health.warns("folders", found.is_empty().then_some(text));
        found.sort();
        found
    }

    async fn inside(&mut self, folder: &str) -> Vec<String> {
        loop {
            match self.bucket.folders(folder).await {
                Ok(names) => return self.worked(names),
                Err(failure) => self.failed("listing", folder, &failure).await,
            }
        }
    }

    async fn listed(&mut self, folder: &str) -> Vec<Listed> {
        loop {
            match self.bucket.objects(folder).await {
                Ok(objects) => return self.worked(objects),
                Err(failure) => self.failed("listing", folder, &failure).await,
            }
        }
    }

    /// Reads an object to its end. What is lost for good is told and passed over.
    async fn object(&mut self, object: &Listed) -> Result<(), Ended> {
        let mut progress = Progress::default();
        loop {
            match read::next(&self.bucket, object, &mut progress).await {
                Ok(Step::Part(batches)) => {
                    self.worked(());
                    for batch in batches {
                        self.hand_over(batch).await?;
                    }
                }
                Ok(Step::End) => return Ok(()),
                Ok(Step::Lost(why)) => {
                    self.health.misses(format!("{} was not read: {why}", self.bucket.place(&object.key)));
                    return Ok(());
                }
                Err(failure) => self.failed("reading", &object.key, &failure).await,
            }
        }
    }

    fn worked<T>(&mut self, found: T) -> T {
        self.backoff.reset();
        self.health.works("bucket");
        found
    }

    async fn failed(&mut self, doing: &str, what: &str, failure: &Failure) {
        if failure.trouble == Trouble::Credentials {
            self.bucket.refused().await;
        }
        let what = format!("{doing} {}", self.bucket.place(what));
        self.health.fails("bucket", Bucket::explain(&what, failure), self.now());
        sleep(self.backoff.wait()).await;
    }

    /// Hands over how far everything is read.
    async fn advance(&mut self) -> Result<(), Ended> {
        let Ok(to) = serde_json::to_string(&self.position) else { return Ok(()) };
        let from = self.committed.replace(to.clone());
        if from.as_deref() == Some(&*to) {
            return Ok(());
        }
        let advances = vec![Advance { source: self.source.clone(), from, to }];
        self.hand_over(Batch { advances, ..Batch::default() }).await
    }

    async fn hand_over(&self, batch: Batch) -> Result<(), Ended> {
        if batch.is_empty() {
            return Ok(());
        }
        self.pieces.send((batch, ())).await.map_err(|_closed| Ended)
    }

    fn now(&self) -> DateTime<Utc> {
        (self.clock)()
    }
}

fn day_of(folder: &str, day: NaiveDate) -> String {
    let day = day.format("%Y/%m/%d");
    if folder.is_empty() { day.to_string() } else { format!("{folder}/{day}") }
}

fn is_year(name: &str) -> bool {
    name.len() == 4 && name.starts_with("20") && name.bytes().all(|byte| byte.is_ascii_digit())
}
