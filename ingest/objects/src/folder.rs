//! One folder: listed from its first open day, read where it is not what it was, closed day by day.
//!
//! Invariant: a position is handed over in the batch behind everything read up to it, and from what
//! the batch before it said last. A day is closed only when a listing that began after the store's
//! time had passed it was read without a failure up to its end.

use crate::object::{self, Listed, PACKED_BYTES_MAX, Reading};
use crate::position::{Position, Spot};
use crate::shelf;
use crate::source::Desk;
use crate::{Failure, Trouble};
use chrono::{DateTime, NaiveDate, Utc};
use futures_util::TryStreamExt;
use keywatch_ingest::source::Reached;
use keywatch_ingest::{Advance, Batch};
use object_store::ObjectMeta;
use std::collections::BTreeSet;

/// Objects that one look reads at most; another follows at once when there are more. Some 400 bytes each.
const UNREAD_MAX: usize = 1000;
/// Objects of open days that a folder remembers, some 250 bytes each: 5 MiB. With more, its oldest
/// day is closed early, and that is told.
const KNOWN_MAX: usize = 20_000;
/// Objects that fail in one look until it is given up: the store fails, not the object.
const FAILURES_MAX: usize = 3;

/// One folder.
pub(crate) struct Folder {
    name: String,
    /// Under which name the store of events keeps its position.
    source: String,
    position: Position,
    is_changed: bool,
    /// What the store holds once everything handed over is committed.
    handed: Option<String>,
    batch: Batch,
    /// Objects that were listed and could not be read; they are read last.
    troubled: BTreeSet<String>,
    /// Whether the store knows no listing that begins in the middle: Azure's `startFrom` came with
    /// version 2026-02-06 of its interface.
    lists_whole: bool,
    /// Whether it was there when folders were last looked for.
    pub(crate) is_there: bool,
}

/// What came of a look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Looked {
    pub(crate) works: bool,
    /// Whether more is to be read at once.
    pub(crate) has_more: bool,
}

/// What a listing found.
struct Found {
    unread: Vec<Listed>,
    /// The first day of which not everything was listed.
    cut_at: Option<NaiveDate>,
}

impl Folder {
    /// A folder, and what the store says of it.
    pub(crate) fn known(name: &str, source: String, committed: Option<&String>, begin: NaiveDate) -> Self {
        Self {
            name: name.to_owned(),
            source,
            position: Position::of(committed.map(String::as_str), begin),
            is_changed: false,
            handed: committed.cloned(),
            batch: Batch::default(),
            troubled: BTreeSet::new(),
            lists_whole: false,
            is_there: false,
        }
    }

    /// Whether there may be something to read or to tell.
    pub(crate) fn is_wanted(&self, desk: &Desk) -> bool {
        let is_open = desk.settings.to.is_none_or(|to| self.position.day <= to);
        is_open && (self.is_there || !self.troubled.is_empty())
    }

    /// What it is called in the source's health.
    fn part<'a>(&'a self, desk: &'a Desk) -> &'a str {
        if self.name.is_empty() { &desk.place } else { &self.name }
    }

    /// Lists it, reads what is new, and closes what is over.
    pub(crate) async fn look(&mut self, desk: &Desk) -> Looked {
        let heard = desk.heard();
        let attempt = format!("listing {}", shelf::join(&desk.place, &self.name));
        let found = match self.list(desk, heard).await {
            Ok(found) => found,
            Err(failure) => {
                desk.failed(self.part(desk), &attempt, &failure).await;
                return Looked { works: false, has_more: false };
            }
        };
        let held = self.read_all(desk, &found).await;
        let works = held.is_ok();
        let (Ok(held) | Err(held)) = held;
        self.close(desk, heard, held.into_iter().chain(found.cut_at).min());
        if self.hand_over(desk).await.is_err() {
            return Looked { works: false, has_more: false };
        }
        if works {
            desk.health.works(self.part(desk));
        }
        if found.cut_at.is_none() {
            desk.health.progresses(self.part(desk), None);
        }
        Looked { works, has_more: found.cut_at.is_some() }
    }

    /// What is there that is not what it was when it was read.
    async fn list(&mut self, desk: &Desk, heard: Option<DateTime<Utc>>) -> Result<Found, Failure> {
        let over = heard.map(|heard| desk.settings.closed_by(heard));
        let first = (!self.lists_whole).then(|| desk.settings.naming.day(self.position.day));
        let mut all = shelf::list(&*desk.shelf, &self.name, first.as_deref()).await?;
        let room = UNREAD_MAX.min(KNOWN_MAX.saturating_mul(2).saturating_sub(self.position.known()));
        if room == 0 {
            let said = format!("more than {} objects lie in days that are open", 2 * KNOWN_MAX);
            return Err(Failure::new(Trouble::TooMany, &said));
        }
        let (mut unread, mut cut_at, mut newest) = (Vec::new(), None, None);
        let mut gone = self.troubled.clone();
        while let Some(meta) = all
            .try_next()
            .await
            .inspect_err(|failure| self.lists_whole |= failure.trouble == Trouble::Refused)?
        {
            newest = newest.max(Some(meta.last_modified));
            let Some(listed) = self.listed(desk, meta, over) else { continue };
            gone.remove(&listed.name);
            if self.position.is_read(&listed.name, (listed.version, listed.size), listed.is_over) {
                self.troubled.remove(&listed.name);
                continue;
            }
            if unread.len() >= room {
                cut_at = Some(listed.day);
                break;
            }
            unread.push(listed);
        }
        desk.hear(newest);
        if cut_at.is_none() {
            self.tell_gone(desk, gone);
        }
        unread.sort_by_cached_key(|listed: &Listed| {
            (self.troubled.contains(&listed.name), listed.name.clone())
        });
        Ok(Found { unread, cut_at })
    }

    /// An object of an open day that is wanted.
    fn listed(&self, desk: &Desk, meta: ObjectMeta, over: Option<NaiveDate>) -> Option<Listed> {
        let whole = meta.location.to_string();
        let name = whole.strip_prefix(&self.name)?.trim_start_matches('/').to_owned();
        let day = desk.settings.naming.day_of(&name)?;
        if day < self.position.day || desk.settings.to.is_some_and(|to| day > to) {
            return None;
        }
        let (size, version) = (meta.size, Listed::version(&meta));
        let is_over = over.is_some_and(|over| day <= over);
        Some(Listed { path: meta.location, name, day, size, version, is_over })
    }

    fn tell_gone(&mut self, desk: &Desk, gone: BTreeSet<String>) {
        for name in gone {
            self.troubled.remove(&name);
            desk.health.misses(format!(
                "{} was deleted before it was read to its end; keep objects for longer than Keywatch may be away",
                self.place(desk, &name)
            ));
        }
    }

    /// Reads everything that was found. The first day in which something is left, as an error when
    /// that was the store's doing and not that the object is gone.
    async fn read_all(&mut self, desk: &Desk, found: &Found) -> Result<Option<NaiveDate>, Option<NaiveDate>> {
        let (mut held, mut failures) = (None, 0);
        for (at, listed) in found.unread.iter().enumerate() {
            self.tell_progress(desk, listed.day);
            let Err(failure) = self.read(desk, listed).await else {
                self.troubled.remove(&listed.name);
                continue;
            };
            if self.troubled.len() < UNREAD_MAX {
                self.troubled.insert(listed.name.clone());
            }
            held = held.into_iter().chain([listed.day]).min();
            // One that is gone is told of when the next listing does not have it either.
            if failure.trouble == Trouble::Missing {
                continue;
            }
            failures += 1;
            let attempt = format!("reading {}", self.place(desk, &listed.name));
            desk.failed(self.part(desk), &attempt, &failure).await;
            if failures >= FAILURES_MAX {
                let rest = found.unread.iter().skip(at).map(|listed| listed.day).min();
                return Err(held.into_iter().chain(rest).min());
            }
        }
        if failures > 0 { Err(held) } else { Ok(held) }
    }

    /// Reads what an object has new. When its day is over, what is left of a torn record is told as well.
    async fn read(&mut self, desk: &Desk, listed: &Listed) -> Result<(), Failure> {
        let mut spot = self.position.spot(&listed.name);
        let mut next = None;
        if spot.goes_on() {
            next = self.go_on(desk, listed, &spot).await?;
        }
        if next.is_none() {
            spot = Spot::default();
        }
        let mut reading = Reading::from(&spot, self.place(desk, &listed.name));
        let mut at = spot.bytes;
        while at < listed.size || next.is_some() {
            let bytes = match next.take() {
                Some(bytes) => bytes,
                None => desk.bytes(listed, at..at + desk.settings.chunk_bytes.max(1)).await?,
            };
            if at == 0 && object::is_packed(&bytes) {
                return self.read_packed(desk, listed, bytes).await;
            }
            at += bytes.len() as u64;
            reading.feed(&bytes);
            self.give_out(desk, listed, &mut reading).await?;
        }
        if listed.is_over {
            reading.finish();
            self.give_out(desk, listed, &mut reading).await?;
        }
        let end = if listed.is_over { Spot::behind((listed.size, 1), &[]) } else { reading.spot() };
        self.note(listed, end.at_version(listed.version));
        Ok(())
    }

    /// The bytes behind a spot; `None` when the object is not what it was.
    async fn go_on(&mut self, desk: &Desk, listed: &Listed, spot: &Spot) -> Result<Option<Vec<u8>>, Failure> {
        if listed.size >= spot.bytes {
            let range = spot.tail_start()..spot.bytes + desk.settings.chunk_bytes.max(1);
            let mut bytes = desk.bytes(listed, range).await?;
            let rest = bytes.split_off(usize::try_from(spot.tail_bytes()).unwrap_or(0).min(bytes.len()));
            if spot.follows(&bytes) {
                return Ok(Some(rest));
            }
        }
        desk.health.misses(format!(
            "{} is not what it was: it was shortened or written anew after {} bytes of it were read; who may write there? \
             It is read from its beginning, and what Keywatch stored of it before is kept",
            self.place(desk, &listed.name),
            spot.bytes
        ));
        self.position.forget(&listed.name);
        self.is_changed = true;
        Ok(None)
    }

    /// Reads an object that is packed, whole.
    async fn read_packed(&mut self, desk: &Desk, listed: &Listed, first: Vec<u8>) -> Result<(), Failure> {
        let place = self.place(desk, &listed.name);
        if listed.size > PACKED_BYTES_MAX {
            desk.health.misses(format!(
                "{place} is packed and has {} bytes, more than the {PACKED_BYTES_MAX} that are read; unpack it in place",
                listed.size
            ));
        } else {
            let mut bytes = first;
            while (bytes.len() as u64) < listed.size {
                let at = bytes.len() as u64;
                bytes.extend(desk.bytes(listed, at..at + desk.settings.chunk_bytes.max(1)).await?);
            }
            for batch in object::unpack(place, bytes).await? {
                self.batch.append(batch);
                if object::is_full(&self.batch) {
                    self.hand_over(desk).await?;
                }
            }
        }
        self.note(listed, Spot::whole(listed.size).at_version(listed.version));
        Ok(())
    }

    /// Opens what is whole, and hands over full batches.
    async fn give_out(&mut self, desk: &Desk, listed: &Listed, reading: &mut Reading) -> Result<(), Failure> {
        while reading.give_out(&mut self.batch) {
            self.note(listed, reading.spot());
            self.hand_over(desk).await?;
        }
        self.note(listed, reading.spot());
        Ok(())
    }

    fn note(&mut self, listed: &Listed, spot: Spot) {
        self.position.note(&listed.name, spot);
        self.is_changed = true;
    }

    /// Closes the days that are over, up to the one that `held` names.
    fn close(&mut self, desk: &Desk, heard: Option<DateTime<Utc>>, held: Option<NaiveDate>) {
        let over = heard.map(|heard| desk.settings.closed_by(heard));
        let early = (self.position.known() > KNOWN_MAX).then_some(self.position.day);
        let text = format!(
            "{} has more than {KNOWN_MAX} objects in days that are open: {} is closed early, and what is written into it later is \
             not seen; set `late` lower, or name a longer `prefix`",
            self.part(desk),
            self.position.day
        );
        desk.health.warns(&format!("objects of {}", self.part(desk)), early.map(|_| text));
        let Some(last) = over.max(early) else { return };
        let last = held.and_then(|held| held.pred_opt()).map_or(last, |before| last.min(before));
        self.is_changed |= self.position.close(last, |day| desk.settings.naming.day(day));
    }

    /// Hands over what was read, and how far that is.
    async fn hand_over(&mut self, desk: &Desk) -> Result<(), Failure> {
        let mut batch = std::mem::take(&mut self.batch);
        if std::mem::take(&mut self.is_changed) {
            let to = self.position.write();
            let from = self.handed.replace(to.clone());
            if from.as_ref() != Some(&to) {
                batch.advances.push(Advance { source: self.source.clone(), from, to });
            }
        }
        desk.hand_over(batch).await
    }

    /// Says how far history is read, while it is older than two days.
    fn tell_progress(&self, desk: &Desk, day: NaiveDate) {
        let (begin, today) = (self.position.begin, desk.today());
        if (today - day).num_days() <= 2 {
            return desk.health.progresses(self.part(desk), None);
        }
        let permille = (day - begin).num_days().max(0) * 1000 / (today - begin).num_days().max(1);
        let text = format!("{day} of {begin} to {today}");
        let permille = u16::try_from(permille.min(1000)).unwrap_or(0);
        desk.health.progresses(self.part(desk), Some(Reached { permille, text }));
    }

    fn place(&self, desk: &Desk, name: &str) -> String {
        format!("{}/{}", desk.place, shelf::join(&self.name, name))
    }
}
