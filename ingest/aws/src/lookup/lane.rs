//! One account and region: sweeping time, from the oldest that is wanted to now, again and again.
//!
//! Invariant: `through` moves past a window only in the batch that carries its events, or a later
//! one. What is newer than `through` is asked for again after a restart.

use super::ask::{self, Question, Unanswered};
use super::position::Position;
use super::window::{Collected, EVENTS_MAX, SHORTEST, Seen, Span};
use super::{DAYS_MAX, Settings};
use crate::access::Way;
use crate::failure::Trouble;
use crate::feed::Piece;
use chrono::{DateTime, TimeDelta, Utc};
use keywatch_ingest::source::{Backoff, Clock, Health, Reached};
use keywatch_ingest::{Advance, Batch};
use std::sync::Arc;
use tokio::sync::{Semaphore, mpsc};
use tokio::time::sleep;

/// Events per second over a sweep from which on half of AWS's quota is used up by what is new, and
/// going over time again falls behind.
const RATE_MAX: f64 = 50.0;
/// Behind by more than this a lane is catching up, and says how far it is.
const BEHIND: TimeDelta = TimeDelta::hours(2);
/// How far the position may lag while nothing new comes, so that a quiet lane costs few commits.
const IDLE_ADVANCE: TimeDelta = TimeDelta::minutes(5);

/// Shared by all lanes of a source.
pub(super) struct Shared {
    pub(super) settings: Settings,
    pub(super) pieces: mpsc::Sender<Piece>,
    pub(super) collecting: Semaphore,
    pub(super) health: Health,
    pub(super) clock: Clock,
}

/// One account and region.
pub(super) struct Lane {
    shared: Arc<Shared>,
    client: aws_sdk_cloudtrail::Client,
    way: Way,
    /// `111122223333 eu-central-1`, for people.
    name: String,
    /// What places call it.
    place: Arc<str>,
    source: String,
    committed: Option<String>,
    position: Position,
    deep_at: Option<DateTime<Utc>>,
    recent_at: Option<DateTime<Utc>>,
    span: Span,
    seen: Seen,
    backoff: Backoff,
}

/// The source has ended: nobody takes what is read.
struct Ended;

impl Lane {
    pub(super) fn new(
        shared: Arc<Shared>,
        way: Way,
        (account, region): (&str, &str),
        (source, committed): (String, Option<String>),
    ) -> Self {
        let now = (shared.clock)();
        let known = committed.as_deref().and_then(Position::read);
        let backfill = shared.settings.backfill.min(TimeDelta::days(DAYS_MAX));
        let position = known.unwrap_or(Position { through: now - backfill, nightly: now });
        let seed = source.bytes().fold(7_u64, |seed, byte| seed.wrapping_mul(31).wrapping_add(byte.into()));
        Self {
            client: ask::client(&way),
            way,
            name: format!("{account} {region}"),
            place: format!("cloudtrail:{account}:{region}").into(),
            source,
            committed,
            position,
            deep_at: None,
            recent_at: None,
            span: Span::default(),
            seen: Seen::default(),
            backoff: Backoff::new(shared.settings.retry_first, seed),
            shared,
        }
    }

    /// Sweeps until the source has ended.
    pub(super) async fn run(mut self) {
        self.tell_gap();
        while self.recent().await.is_ok() && self.nightly().await.is_ok() {
            sleep(self.shared.settings.poll).await;
        }
    }

    /// Says so when Keywatch was away for longer than AWS keeps events.
    fn tell_gap(&mut self) {
        let oldest = self.now() - TimeDelta::days(DAYS_MAX);
        if self.position.through < oldest {
            if self.committed.is_some() {
                self.shared.health.misses(format!(
                    "events of {} from {} to {oldest} are no longer to be had from LookupEvents, which keeps {DAYS_MAX} days; \
                     read them from the trail's bucket with a backfill",
                    self.name, self.position.through
                ));
            }
            self.position.through = oldest;
        }
    }

    /// Goes from the oldest time that is due to now, window by window.
    async fn recent(&mut self) -> Result<(), Ended> {
        let to = self.now();
        let is_behind = to - self.position.through > BEHIND;
        let from = self.due(to);
        let (mut at, mut found) = (from, 0);
        while at < to {
            let end = (at + self.span.get()).min(to).max(at + SHORTEST);
            let Some(events) = self.window(at, end).await? else { continue };
            found += events;
            self.span.held(events);
            at = end;
            if is_behind {
                self.tell_progress(from, at, to);
            }
        }
        self.recent_at = Some(to);
        self.shared.health.progresses(&self.name, None);
        self.tell_rate(found, to - from);
        Ok(())
    }

    /// Where this sweep begins. What was not to be had at the last look happened at most as long
    /// before that look as it is late: so a look that goes back from the last one misses nothing.
    fn due(&mut self, now: DateTime<Utc>) -> DateTime<Utc> {
        let through = self.position.through;
        let oldest = now - TimeDelta::days(DAYS_MAX);
        if self.committed.is_none() {
            // A first start has nothing to go over again.
            return through.max(oldest);
        }
        let Settings { again, deep: (deep, every), .. } = self.shared.settings;
        // When the last deep look was is not kept: after a restart it was up to `every` ago.
        let last = self.deep_at.unwrap_or(through - every);
        let mut from = through - again;
        if self.deep_at.is_none() || now - last >= every {
            self.deep_at = Some(now);
            from = from.min(last - deep);
        }
        from.max(oldest)
    }

    /// Once a day goes over days again, and looks at what is new in between.
    async fn nightly(&mut self) -> Result<(), Ended> {
        let Settings { nightly: (nightly, every), poll, .. } = self.shared.settings;
        let (last, now) = (self.position.nightly, self.now());
        if now - last < every {
            return Ok(());
        }
        let oldest = now - TimeDelta::days(DAYS_MAX);
        let (mut at, to) = ((last - nightly).max(oldest), self.position.through);
        while at < to {
            let end = (at + self.span.get()).min(to).max(at + SHORTEST);
            if let Some(events) = self.window(at, end).await? {
                self.span.held(events);
                at = end;
            }
            let is_due = |last: DateTime<Utc>| (self.now() - last).to_std().is_ok_and(|since| since >= poll);
            if self.recent_at.is_none_or(is_due) {
                self.recent().await?;
            }
        }
        self.position.nightly = now;
        Ok(())
    }

    /// Reads a window and hands it over; how many events it held. `None` when it held too many and
    /// must be asked for in smaller ones, or anew.
    async fn window(&mut self, from: DateTime<Utc>, to: DateTime<Utc>) -> Result<Option<usize>, Ended> {
        let shared = Arc::clone(&self.shared);
        let _room = shared.collecting.acquire().await.map_err(|_closed| Ended)?;
        let sources: Vec<Option<&str>> = match shared.settings.event_sources.as_slice() {
            [] => vec![None],
            some => some.iter().map(|source| Some(source.as_str())).collect(),
        };
        let (mut collected, mut count) = (Collected::default(), 0);
        for event_source in sources {
            let mut question = Question { from, to, event_source, token: None };
            loop {
                let Some(page) = self.page(&question).await else { return Ok(None) };
                count += page.events.len();
                collected.add(page.events);
                question.token = page.token;
                if question.token.is_none() {
                    break;
                }
                if collected.is_full() {
                    if self.span.halve(to - from) {
                        return Ok(None);
                    }
                    // A second cannot be divided: what is there goes first, and the rest follows.
                    let part = std::mem::take(&mut collected).into_batch(&mut self.seen, &self.place);
                    self.hand_over(part).await?;
                }
            }
        }
        let mut batch = collected.into_batch(&mut self.seen, &self.place);
        self.advance(&mut batch, to);
        self.hand_over(batch).await?;
        Ok(Some(count))
    }

    /// One page, however long it takes. `None` when its token has expired.
    async fn page(&mut self, question: &Question<'_>) -> Option<ask::Page> {
        let mut question = question.clone();
        loop {
            self.shared.settings.pace.turn(&self.place).await;
            let failure = match ask::ask(&self.client, &question).await {
                Ok(page) => {
                    self.backoff.reset();
                    self.shared.health.works(&self.name);
                    return Some(page);
                }
                Err(Unanswered::Token) => return None,
                // Time has gone on while the window waited: its beginning is older than 90 days.
                Err(Unanswered::TooOld) => {
                    question.from =
                        (self.now() - TimeDelta::days(DAYS_MAX) + TimeDelta::minutes(1)).max(question.from);
                    if question.from >= question.to {
                        return Some(ask::Page::default());
                    }
                    sleep(self.backoff.wait()).await;
                    continue;
                }
                Err(Unanswered::Failed(failure)) => failure,
            };
            if failure.trouble == Trouble::Credentials {
                self.way.wallet.forget().await;
            }
            // Throttling is how AWS asks for patience; it is trouble only when it goes on.
            if failure.trouble != Trouble::Throttled || self.backoff.tries() > 5 {
                let text = ask::explain(&self.name, &failure);
                self.shared.health.fails(&self.name, text, self.now());
            }
            sleep(self.backoff.wait()).await;
        }
    }

    /// Adds how far the lane has come, unless that says little.
    fn advance(&mut self, batch: &mut Batch, to: DateTime<Utc>) {
        self.position.through = self.position.through.max(to);
        let last = self.committed.as_deref().and_then(Position::read);
        let is_news = last.is_none_or(|last| {
            self.position.through - last.through >= IDLE_ADVANCE || last.nightly != self.position.nightly
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
        let piece = Piece { batch, message: None, room: None };
        self.shared.pieces.send(piece).await.map_err(|_closed| Ended)
    }

    fn tell_progress(&self, from: DateTime<Utc>, at: DateTime<Utc>, to: DateTime<Utc>) {
        let share = (at - from).num_seconds() * 1000 / (to - from).num_seconds().max(1);
        let permille = u16::try_from(share.clamp(0, 1000)).unwrap_or(0);
        let text = format!("{} of {} to {}", day(at), day(from), day(to));
        self.shared.health.progresses(&self.name, Some(Reached { permille, text }));
    }

    fn tell_rate(&self, events: usize, over: TimeDelta) {
        let events = u32::try_from(events).unwrap_or(u32::MAX);
        let secs = over.to_std().map_or(1.0, |over| over.as_secs_f64()).max(1.0);
        let rate = f64::from(events) / secs;
        let is_much = rate > RATE_MAX && events as usize > EVENTS_MAX;
        let text = format!(
            "{} has {rate:.0} events per second, and LookupEvents gives at most 100: events come late; read this account's \
             trail from S3 instead, or list `event_sources`",
            self.name
        );
        self.shared.health.warns(&format!("rate of {}", self.name), is_much.then_some(text));
    }

    fn now(&self) -> DateTime<Utc> {
        (self.shared.clock)()
    }
}

fn day(at: DateTime<Utc>) -> impl std::fmt::Display {
    at.format("%Y-%m-%d")
}
