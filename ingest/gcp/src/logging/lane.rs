//! One resource: going through time, from the oldest that is wanted to now, again and again.
//!
//! Invariant: `through` moves past a time only in the batch that carries the entries up to it, or a
//! later one. What is newer than `through` is asked for again after a restart. The time is Google's as
//! soon as it has answered once: a clock that is ahead here would move `through` past what is still to
//! come.

use super::Settings;
use super::ask::{self, Client, Unanswered};
use super::entries::{Page, Seen};
use super::position::{Position, position_name, written};
use crate::failure::{Failure, Trouble};
use chrono::{DateTime, TimeDelta, Utc};
use google_cloud_logging_v2::model::ListLogEntriesRequest;
use keywatch_ingest::source::{Backoff, Clock, Health, Reached};
use keywatch_ingest::{Advance, Batch};
use std::sync::Arc;
use tokio::sync::{Semaphore, mpsc};
use tokio::time::sleep;

/// Behind by more than this a lane is catching up, and says how far it is.
const BEHIND: TimeDelta = TimeDelta::hours(2);
/// How wrong the clock here may be, and how far ahead Google lets an entry be.
const CLOCK_ERROR: TimeDelta = TimeDelta::hours(24);
/// First and longest stretch of old time that is asked for at once; the next is twice as long while
/// one is read in few pages.
const SPAN: (TimeDelta, TimeDelta) = (TimeDelta::hours(6), TimeDelta::days(7));
/// Pages of a sweep over what is new from which on half of the quota is used up.
const PAGES_MANY: usize = 30;
/// How far the position may lag while nothing new comes, so that a quiet lane costs few commits.
const IDLE_ADVANCE: TimeDelta = TimeDelta::minutes(5);
/// Google's default for how long data access logs are kept.
const KEPT: TimeDelta = TimeDelta::days(30);
/// Throttled answers in a row that are no trouble yet: it is how Google asks for patience.
const PATIENT: u32 = 5;

/// Shared by all lanes of a source.
pub(super) struct Shared {
    pub(super) settings: Settings,
    pub(super) client: Client,
    pub(super) pages: mpsc::Sender<(Batch, ())>,
    pub(super) asking: Semaphore,
    pub(super) health: Health,
    pub(super) clock: Clock,
}

/// One resource.
pub(super) struct Lane {
    shared: Arc<Shared>,
    resource: String,
    /// What places call it.
    place: Arc<str>,
    source: String,
    committed: Option<String>,
    position: Position,
    /// How far Google's clock is ahead of the one here.
    ahead: TimeDelta,
    /// The newest time of receipt that was seen.
    received: Option<DateTime<Utc>>,
    late_at: Option<DateTime<Utc>>,
    span: TimeDelta,
    page: i32,
    seen: Seen,
    backoff: Backoff,
}

/// What is asked for.
#[derive(Clone, Copy, Debug)]
struct Window {
    from: DateTime<Utc>,
    until: Option<DateTime<Utc>>,
    /// Only what was received since then, and without moving the position.
    late_since: Option<DateTime<Utc>>,
}

/// The source has ended: nobody takes what is read.
struct Ended;

impl Lane {
    pub(super) fn new(shared: Arc<Shared>, source: &str, resource: &str, committed: Option<String>) -> Self {
        let now = (shared.clock)();
        let known = committed.as_deref().and_then(Position::read);
        let begin = now - shared.settings.backfill;
        let first = Position { through: begin, late: now - CLOCK_ERROR, nightly: now, has_reads: false };
        let seed = resource.bytes().fold(7_u64, |seed, byte| seed.wrapping_mul(31).wrapping_add(byte.into()));
        Self {
            resource: resource.to_owned(),
            place: format!("gcp-logging:{resource}").into(),
            source: position_name(source, resource),
            committed,
            position: known.unwrap_or(first),
            ahead: TimeDelta::zero(),
            received: None,
            late_at: None,
            span: SPAN.0,
            page: shared.settings.page,
            seen: Seen::default(),
            backoff: Backoff::new(shared.settings.retry_first, seed),
            shared,
        }
    }

    /// Sweeps until the source has ended.
    pub(super) async fn run(mut self) {
        self.tell_absence();
        loop {
            let Ok(before) = self.recent().await else { return };
            let Ok(()) = self.late(before).await else { return };
            self.tell_reads();
            sleep(self.shared.settings.poll).await;
        }
    }

    /// Says so when Keywatch was away for longer than reads are kept unless somebody says otherwise.
    fn tell_absence(&self) {
        let away = self.now() - self.position.through;
        let text = format!(
            "nothing of {} was read since {}; data access logs are kept for 30 days unless the log bucket says otherwise, \
             so reads may be missing: read them from a sink's objects if there are any",
            self.resource,
            written(self.position.through)
        );
        if self.committed.is_some() && away > KEPT {
            self.shared.health.misses(text);
        }
    }

    /// Goes from the oldest time that is due to now; where that began.
    async fn recent(&mut self) -> Result<DateTime<Utc>, Ended> {
        let now = self.now();
        let is_first = self.committed.is_none();
        let begin =
            if is_first { self.position.through } else { self.position.through - self.shared.settings.again };
        let mut from = begin;
        while now - from > BEHIND {
            let until = (from + self.span).min(now);
            let pages = self.window(Window { from, until: Some(until), late_since: None }).await?;
            self.span = if pages <= 2 { (self.span * 2).min(SPAN.1) } else { (self.span / 2).max(SPAN.0) };
            from = until;
            self.tell_progress(begin, from, now);
        }
        // No end: the clock here may be behind, and entries may be ahead.
        let pages = self.window(Window { from, until: None, late_since: None }).await?;
        self.shared.health.progresses(&self.resource, None);
        self.tell_rate(pages);
        Ok(begin)
    }

    /// Asks for what happened before `before` and was received since this was last asked.
    async fn late(&mut self, before: DateTime<Utc>) -> Result<(), Ended> {
        let Settings { late: (depth, every), overlap, nightly, .. } = self.shared.settings;
        let now = self.now();
        if self.late_at.is_some_and(|at| now - at < every) {
            return Ok(());
        }
        let is_nightly = now - self.position.nightly >= nightly;
        let since = self.position.late - if is_nightly { depth } else { overlap };
        let upto = self.received;
        let window = Window { from: since - depth, until: Some(before), late_since: Some(since) };
        if window.from < before {
            self.window(window).await?;
        }
        self.late_at = Some(now);
        self.position.late = self.position.late.max(upto.unwrap_or(self.position.late));
        if is_nightly {
            self.position.nightly = now;
        }
        let mut batch = Batch::default();
        self.advance(&mut batch);
        self.hand_over(batch).await
    }

    /// Reads a window page by page and hands each over; how many there were.
    async fn window(&mut self, window: Window) -> Result<usize, Ended> {
        let shared = Arc::clone(&self.shared);
        let (mut from, mut reached, mut token, mut pages) = (window.from, window.from, None, 0);
        loop {
            let room = shared.asking.acquire().await.map_err(|_closed| Ended)?;
            let Some(mut page) = self.page(Window { from, ..window }, token.take()).await else {
                // The token has expired. What was handed over stays so: time goes on from there.
                from = reached;
                continue;
            };
            drop(room);
            pages += 1;
            reached = reached.max(page.newest.unwrap_or(reached));
            self.received = self.received.max(page.received);
            self.position.has_reads |= page.has_data_access;
            token = page.token.take();
            if window.late_since.is_none() {
                self.move_on(window, &page, token.is_some());
                self.advance(&mut page.batch);
            }
            self.hand_over(page.batch).await?;
            if token.is_none() {
                self.page = shared.settings.page;
                return Ok(pages);
            }
        }
    }

    /// Everything up to where a page ends is read: entries come in the order of their time.
    fn move_on(&mut self, window: Window, page: &Page, has_more: bool) {
        let now = self.now();
        let newest = page.newest.map(|newest| newest.min(now));
        let reached = match window.until {
            Some(until) if !has_more => Some(until.min(now)),
            None if !has_more => newest.max(Some(now - CLOCK_ERROR)),
            _ => newest,
        };
        self.position.through = self.position.through.max(reached.unwrap_or(self.position.through));
    }

    /// One page, however long it takes. `None` when its token has expired.
    async fn page(&mut self, window: Window, token: Option<String>) -> Option<Page> {
        let has_token = token.is_some();
        let mut question = ListLogEntriesRequest::new()
            .set_resource_names([self.resource.as_str()])
            .set_filter(self.filter(window))
            .set_order_by("timestamp asc")
            .set_page_token(token.unwrap_or_default());
        loop {
            self.shared.settings.pace.turn().await;
            question = question.set_page_size(self.page);
            let failure = match self.shared.client.ask(&question).await {
                Ok(answer) => match Page::read(&answer.body, &mut self.seen, &self.place) {
                    Ok(page) => {
                        self.works(answer.date);
                        return Some(page);
                    }
                    Err(error) => Failure::new(Trouble::Unavailable, &format!("the answer is none: {error}")),
                },
                // A token belongs to its page size as well.
                Err(Unanswered::TooLarge) => {
                    self.page = (self.page / 2).max(1);
                    if has_token {
                        return None;
                    }
                    continue;
                }
                Err(Unanswered::Failed(failure)) => failure,
            };
            if has_token && failure.trouble == Trouble::Invalid {
                return None;
            }
            self.failed(&failure).await;
        }
    }

    fn works(&mut self, date: Option<DateTime<Utc>>) {
        self.backoff.reset();
        self.shared.health.works(&self.resource);
        self.ahead = date.map_or(self.ahead, |date| date - (self.shared.clock)());
    }

    async fn failed(&mut self, failure: &Failure) {
        if failure.trouble == Trouble::Credentials {
            self.shared.client.refused().await;
        }
        if failure.trouble != Trouble::Throttled || self.backoff.tries() > PATIENT {
            let text = ask::explain(&self.resource, failure);
            self.shared.health.fails(&self.resource, text, (self.shared.clock)());
        }
        sleep(self.backoff.wait()).await;
    }

    fn filter(&self, window: Window) -> String {
        let mut filter =
            format!("({}) AND timestamp>=\"{}\"", self.shared.settings.filter, written(window.from));
        if let Some(until) = window.until {
            filter = format!("{filter} AND timestamp<\"{}\"", written(until));
        }
        if let Some(since) = window.late_since {
            filter = format!("{filter} AND receiveTimestamp>=\"{}\"", written(since));
        }
        filter
    }

    /// Adds how far the lane has come, unless that says little.
    fn advance(&mut self, batch: &mut Batch) {
        let last = self.committed.as_deref().and_then(Position::read);
        let is_news = last.is_none_or(|last| {
            let Position { through, late, nightly, has_reads } = self.position;
            through - last.through >= IDLE_ADVANCE
                || late - last.late >= IDLE_ADVANCE
                || nightly != last.nightly
                || has_reads != last.has_reads
        });
        if batch.is_empty() && !is_news {
            return;
        }
        let to = self.position.write();
        let from = self.committed.replace(to.clone());
        if from.as_deref() != Some(&*to) {
            batch.advances.push(Advance { source: self.source.clone(), from, to });
        }
    }

    async fn hand_over(&self, batch: Batch) -> Result<(), Ended> {
        if batch.is_empty() {
            return Ok(());
        }
        self.shared.pages.send((batch, ())).await.map_err(|_closed| Ended)
    }

    fn tell_progress(&self, from: DateTime<Utc>, at: DateTime<Utc>, to: DateTime<Utc>) {
        let share = (at - from).num_seconds() * 1000 / (to - from).num_seconds().max(1);
        let permille = u16::try_from(share.clamp(0, 1000)).unwrap_or(0);
        let day = |at: DateTime<Utc>| at.format("%Y-%m-%d");
        let text = format!("{} of {} to {}", day(at), day(from), day(to));
        self.shared.health.progresses(&self.resource, Some(Reached { permille, text }));
    }

    fn tell_rate(&self, pages: usize) {
        let text = format!(
            "{} has more entries than entries.list gives in time ({pages} pages in one sweep, and there are 60 a minute for \
             everybody): route them through a log sink to Pub/Sub instead, see docs/sources/gcp.md",
            self.resource
        );
        self.shared.health.warns(&format!("rate of {}", self.resource), (pages > PAGES_MANY).then_some(text));
    }

    fn tell_reads(&self) {
        let text = format!(
            "{} has shown no data access entry yet: unless nobody reads a secret there, data access logs are off and reads go \
             unseen; switch them on for secretmanager.googleapis.com and cloudkms.googleapis.com, see docs/sources/gcp.md",
            self.resource
        );
        let subject = format!("reads of {}", self.resource);
        self.shared.health.warns(&subject, (!self.position.has_reads).then_some(text));
    }

    fn now(&self) -> DateTime<Utc> {
        (self.shared.clock)() + self.ahead
    }
}
