//! The blobs of one resource, read from where their records are committed.
//!
//! Invariant: a position is handed over in the batch that follows everything read up to it, and says
//! what the batch before it said last.

use super::position::{Position, Spot, folder_of};
use super::{Desk, position_prefix};
use crate::failure::Failure;
use chrono::{NaiveDate, TimeDelta};
use keywatch_ingest::carrier::Opener;
use keywatch_ingest::source::{Reached, Splitter};
use keywatch_ingest::{Advance, Batch};
use object_store::ObjectMeta;
use std::collections::HashMap;

/// Records and bytes of one batch.
pub(super) const BATCH_RECORDS: usize = 4096;
pub(super) const BATCH_BYTES: usize = 8 << 20;
/// Most days of history.
const DAYS_MAX: i64 = 366;

/// One resource.
pub(super) struct Vault {
    folder: String,
    /// Under which name the store keeps its position.
    source: String,
    position: Position,
    /// What the store holds once everything handed over is committed.
    handed: Option<String>,
    first: NaiveDate,
    /// Size and tag of blobs as they were when nothing more was to be had of them.
    seen: HashMap<String, (u64, Option<String>)>,
}

/// A blob that is being read.
struct Reading {
    name: String,
    splitter: Splitter,
    opener: Opener,
    batch: Batch,
}

impl Vault {
    /// A resource, and what the store says of it.
    pub(super) fn known(desk: &Desk, folder: &str, text: Option<&String>) -> Self {
        let days = i64::try_from(desk.settings.backfill.as_secs().div_ceil(86_400)).unwrap_or(DAYS_MAX);
        let begin = (desk.clock)().date_naive() - TimeDelta::days(days.min(DAYS_MAX));
        let position = text.and_then(|text| serde_json::from_str(text).ok());
        let position: Position = position.unwrap_or_else(|| Position::from(begin));
        Self {
            folder: folder.to_owned(),
            source: format!("{}{folder}", position_prefix(&desk.name)),
            first: position.day,
            position,
            handed: text.cloned(),
            seen: HashMap::new(),
        }
    }

    /// What it is called in the source's health: the end of its folder.
    fn part(&self) -> String {
        self.folder.rsplit('/').next().unwrap_or_default().to_owned()
    }

    /// Reads what is new; whether that worked.
    pub(super) async fn visit(&mut self, desk: &Desk) -> bool {
        let part = self.part();
        match self.read(desk, &part).await {
            Ok(()) => {
                desk.health.works(&part);
                true
            }
            Err(failure) => {
                let attempt = format!("reading {}/{}", desk.container.place(), self.folder);
                desk.failed(&part, &failure, &attempt).await;
                false
            }
        }
    }

    async fn read(&mut self, desk: &Desk, part: &str) -> Result<(), Failure> {
        let today = (desk.clock)().date_naive();
        for day in self.position.days(today) {
            let is_over = Position::is_over(day, today);
            if is_over {
                self.tell(desk, part, day, today);
            }
            let folder = format!("{}/{}", self.folder, folder_of(day));
            for blob in desk.container.blobs(&folder).await? {
                self.read_blob(desk, &blob, is_over).await?;
            }
            if is_over {
                self.position.done(day);
                self.seen.clear();
                self.hand_over(desk, Batch::default()).await?;
            }
        }
        desk.health.progresses(part, None);
        Ok(())
    }

    fn tell(&self, desk: &Desk, part: &str, day: NaiveDate, today: NaiveDate) {
        let all = (today - self.first).num_days().max(1);
        let permille = u16::try_from((day - self.first).num_days() * 1000 / all).unwrap_or(0);
        let text = format!("{day} of {} to {today}", self.first);
        desk.health.progresses(part, Some(Reached { permille, text }));
    }

    /// Reads what a blob has new. When `is_over`, what is left of a torn record is told as well.
    async fn read_blob(&mut self, desk: &Desk, blob: &ObjectMeta, is_over: bool) -> Result<(), Failure> {
        let whole = blob.location.to_string();
        let name = whole.strip_prefix(&self.folder).unwrap_or(&whole).trim_start_matches('/').to_owned();
        let now = (blob.size, blob.e_tag.clone());
        if self.seen.get(&name) == Some(&now) && !is_over {
            return Ok(());
        }
        let spot = self.spot(desk, blob, &name).await?;
        let place = format!("{}/{whole}", desk.container.place());
        let mut reading = Reading {
            name: name.clone(),
            splitter: Splitter::following(spot.bytes, spot.line.max(1)),
            opener: Opener::new(place.into()),
            batch: Batch::default(),
        };
        let mut at = spot.bytes;
        while at < blob.size {
            let end = (at + desk.settings.chunk_bytes.max(1)).min(blob.size);
            let bytes = desk.container.bytes(&blob.location, at..end).await?;
            reading.splitter.feed(&bytes);
            at = end;
            self.give_out(desk, &mut reading).await?;
        }
        if is_over {
            reading.splitter.finish();
            self.give_out(desk, &mut reading).await?;
        }
        self.note(&reading);
        if !reading.batch.is_empty() {
            self.hand_over(desk, reading.batch).await?;
        }
        self.seen.insert(name, now);
        Ok(())
    }

    /// From where a blob is read on; from its beginning when it is not what it was.
    async fn spot(&mut self, desk: &Desk, blob: &ObjectMeta, name: &str) -> Result<Spot, Failure> {
        let Some(spot) = self.position.blobs.get(name).cloned() else { return Ok(Spot::default()) };
        let is_whole = blob.size >= spot.bytes;
        if is_whole {
            let tail = spot.tail_bytes();
            if tail == 0 {
                return Ok(spot);
            }
            let before = desk.container.bytes(&blob.location, spot.bytes - tail..spot.bytes).await?;
            if spot.follows(&before) {
                return Ok(spot);
            }
        }
        desk.health.misses(format!(
            "{}/{} is not what it was: it was shortened or written anew after {} bytes of it were read; who may write to this \
             container? It is read from its beginning, and records that are gone from it are kept",
            desk.container.place(),
            blob.location,
            spot.bytes
        ));
        self.position.blobs.remove(name);
        Ok(Spot::default())
    }

    /// Opens what is complete, and hands over full batches.
    async fn give_out(&mut self, desk: &Desk, reading: &mut Reading) -> Result<(), Failure> {
        loop {
            let Some(cut) = reading.splitter.cut() else { return Ok(()) };
            reading.opener.open(&cut, &mut reading.batch);
            let count = reading.batch.records.len() + reading.batch.rejects.len();
            if count >= BATCH_RECORDS || reading.batch.bytes.len() >= BATCH_BYTES {
                self.note(reading);
                let full = std::mem::take(&mut reading.batch);
                self.hand_over(desk, full).await?;
            }
        }
    }

    /// How far a blob is read.
    fn note(&mut self, reading: &Reading) {
        let spot = Spot::behind(reading.splitter.safe(), reading.splitter.before_safe());
        let known = self.position.blobs.get(&reading.name);
        if spot.bytes > 0 && known.is_none_or(|known| known.bytes != spot.bytes) {
            self.position.blobs.insert(reading.name.clone(), spot);
        }
    }

    async fn hand_over(&mut self, desk: &Desk, mut batch: Batch) -> Result<(), Failure> {
        let to = serde_json::to_string(&self.position)
            .map_err(|error| Failure::unavailable(format!("a position cannot be written: {error}")))?;
        if self.handed.as_ref() != Some(&to) {
            let from = self.handed.replace(to.clone());
            batch.advances.push(Advance { source: self.source.clone(), from, to });
        }
        let closed = |_| Failure::unavailable("the source has ended".to_owned());
        if batch.is_empty() {
            return Ok(());
        }
        desk.out.send(batch).await.map_err(closed)
    }
}
