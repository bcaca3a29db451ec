//! How a live source fares, for whoever asks.
//!
//! A source has parts (a queue, a bucket, an account and region) that fail and recover one by one.
//! Invariant: an error stands exactly as long as its part does not work. Reads no clock.

use super::statement::{Stated, Statement, Statements};
use chrono::{DateTime, Utc};
use keywatch_event::Observed;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Parts told apart: as many accounts and regions as one source may list, with room. More are
/// counted under the last one.
const PARTS_MAX: usize = 1024;
/// Gaps kept for reading; all are counted.
const GAPS_MAX: usize = 20;

/// What a source says of itself. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct Health {
    condition: Arc<Mutex<Condition>>,
    statements: Arc<Mutex<Statements>>,
}

/// How a source fares at one moment.
#[derive(Clone, Debug, Default)]
pub struct Condition {
    /// Whether anything has worked yet.
    pub has_begun: bool,
    /// What does not work, by part.
    pub errors: BTreeMap<String, Failing>,
    /// What works but should not stay so, by subject.
    pub warnings: BTreeMap<String, String>,
    /// How far old records are read, by part.
    pub progress: BTreeMap<String, Reached>,
    /// Records that are lost to this source, the latest ones, and why.
    pub gaps: Vec<String>,
    /// All gaps since the start.
    pub gaps_total: u64,
    /// What was sent and not taken, by reason: the sender knows, or was no sender of ours.
    pub refused: BTreeMap<&'static str, u64>,
    /// Records that were dropped and nobody could be told of.
    pub dropped: u64,
}

/// A part that does not work.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failing {
    /// What was attempted, what came of it, and the remedy.
    pub text: String,
    /// Since when.
    pub since: DateTime<Utc>,
}

/// How far a part has come with old records.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reached {
    /// Parts in a thousand.
    pub permille: u16,
    /// In words: `2026-11-03 of 2026-08-29 to 2026-11-27`.
    pub text: String,
}

/// A source's state in one word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Nothing has been heard yet.
    Starting,
    /// Old records are being read.
    CatchingUp,
    /// What is new is taken as it comes.
    Following,
    /// Something does not work.
    Failing,
}

impl State {
    /// Its name, for pages and metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::CatchingUp => "catching up",
            Self::Following => "following",
            Self::Failing => "failing",
        }
    }
}

impl Condition {
    /// The state that follows from the rest.
    #[must_use]
    pub fn state(&self) -> State {
        if !self.errors.is_empty() {
            State::Failing
        } else if !self.progress.is_empty() {
            State::CatchingUp
        } else if self.has_begun {
            State::Following
        } else {
            State::Starting
        }
    }
}

impl Health {
    /// A part works.
    pub fn works(&self, part: &str) {
        let mut condition = self.lock();
        condition.has_begun = true;
        if condition.errors.remove(part).is_some() {
            tracing::info!(part, "works again");
        }
    }

    /// A part does not work. What is said first stands with its time until it works; a change of
    /// the text is taken over.
    pub fn fails(&self, part: &str, text: String, now: DateTime<Utc>) {
        let mut condition = self.lock();
        if let Some(known) = condition.errors.get_mut(part) {
            known.text = text;
            return;
        }
        tracing::warn!(part, "{text}");
        if condition.errors.len() < PARTS_MAX {
            condition.errors.insert(part.to_owned(), Failing { text, since: now });
        }
    }

    /// Says, or with `None` takes back, that something should not stay as it is.
    pub fn warns(&self, subject: &str, text: Option<String>) {
        let mut condition = self.lock();
        match text {
            Some(text) => {
                if !condition.warnings.contains_key(subject) {
                    tracing::warn!(subject, "{text}");
                }
                if condition.warnings.len() < PARTS_MAX || condition.warnings.contains_key(subject) {
                    condition.warnings.insert(subject.to_owned(), text);
                }
            }
            None => {
                condition.warnings.remove(subject);
            }
        }
    }

    /// How far a part has come with old records; `None` when it is done with them.
    pub fn progresses(&self, part: &str, progress: Option<Reached>) {
        let mut condition = self.lock();
        match progress {
            Some(progress)
                if condition.progress.len() < PARTS_MAX || condition.progress.contains_key(part) =>
            {
                condition.progress.insert(part.to_owned(), progress);
            }
            Some(_) => {}
            None => {
                condition.progress.remove(part);
            }
        }
    }

    /// Records are lost to this source: it lost its place. Raises an alert.
    pub fn misses(&self, text: String) {
        self.happened(Observed::Gap, "", text);
    }

    /// Something happened to this source that is over and stays true: a gap, a message that was
    /// given up, a log that does not match its digest. Raises an alert, or adds to the one that
    /// stands about the same `subject` (empty: the whole source).
    ///
    /// It is committed with the next batch of the source or before it: what is said before a batch
    /// is handed over is never lost while the batch is kept.
    pub fn happened(&self, observed: Observed, subject: &str, text: String) {
        self.states(observed, subject, text.clone(), Stated::Happened(1));
        self.keep_gap(text);
    }

    /// Something was noticed in what this source brought that is no gap. Raises an alert, or adds to
    /// the one that stands about the same `subject`.
    pub fn noticed(&self, observed: Observed, subject: &str, text: String) {
        self.states(observed, subject, text, Stated::Happened(1));
    }

    /// Something about this source stands, or with `None` is over: a consumer that falls behind.
    /// Raises an alert once, which is withdrawn when it is over.
    pub fn stands(&self, observed: Observed, subject: &str, text: Option<String>) {
        self.warns(&format!("{observed} {subject}"), text.clone());
        let stated = if text.is_some() { Stated::Stands } else { Stated::Over };
        self.states(observed, subject, text.unwrap_or_default(), stated);
    }

    /// What was stated since this was last asked.
    #[must_use]
    pub fn take_statements(&self) -> Vec<Statement> {
        self.statements.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    fn states(&self, observed: Observed, subject: &str, text: String, stated: Stated) {
        let statement = Statement { observed, subject: subject.to_owned(), text, stated };
        self.statements.lock().unwrap_or_else(PoisonError::into_inner).add(statement);
    }

    fn keep_gap(&self, text: String) {
        tracing::error!("{text}");
        let mut condition = self.lock();
        condition.gaps_total += 1;
        condition.gaps.push(text);
        let excess = condition.gaps.len().saturating_sub(GAPS_MAX);
        condition.gaps.drain(..excess);
    }

    /// Something was sent and not taken. The reasons are the program's own, so they are few.
    pub fn refuses(&self, why: &'static str) {
        *self.lock().refused.entry(why).or_default() += 1;
    }

    /// Records were dropped and nobody could be told.
    pub fn drops(&self, records: u64) {
        self.lock().dropped += records;
    }

    /// How the source fares now.
    #[must_use]
    pub fn read(&self) -> Condition {
        self.lock().clone()
    }

    /// Every change is complete when it panics, so a poisoned lock is fine.
    fn lock(&self) -> MutexGuard<'_, Condition> {
        self.condition.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(secs: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(secs, 0).unwrap()
    }

    #[test]
    fn an_error_stands_from_its_first_time_until_its_part_works() {
        let health = Health::default();
        assert_eq!(health.read().state(), State::Starting);
        health.fails("queue", "first".to_owned(), at(1));
        health.fails("queue", "second".to_owned(), at(2));
        health.works("bucket");
        let condition = health.read();
        assert_eq!(condition.state(), State::Failing);
        assert_eq!(condition.errors["queue"], Failing { text: "second".to_owned(), since: at(1) });
        health.works("queue");
        assert_eq!(health.read().state(), State::Following);
    }

    #[test]
    fn old_records_are_told_of_until_they_are_read() {
        let health = Health::default();
        health.works("a");
        health.progresses("a", Some(Reached { permille: 10, text: "day 1".to_owned() }));
        assert_eq!(health.read().state(), State::CatchingUp);
        health.progresses("a", None);
        assert_eq!(health.read().state(), State::Following);
    }

    #[test]
    fn the_latest_gaps_are_kept_and_all_are_counted() {
        let health = Health::default();
        for number in 0..GAPS_MAX + 5 {
            health.misses(number.to_string());
        }
        let condition = health.read();
        assert_eq!((condition.gaps.len(), condition.gaps_total), (GAPS_MAX, GAPS_MAX as u64 + 5));
        assert_eq!(condition.gaps[0], "5");
    }
}
