//! How many records of a source could not be read in the last minutes.

use super::habits::Habits;
use std::collections::VecDeque;

/// Minutes that are looked at together.
const MINUTES: i64 = 5;
/// From how many on they are a burst.
const REJECTS_MIN: usize = 20;
/// Which share of all records they must be, and how many times the usual share.
const SHARE_MIN: f64 = 0.05;
const TIMES_USUAL: f64 = 6.0;

/// Counts of the last minutes: at most six rows.
#[derive(Clone, Debug, Default)]
pub(super) struct Recent(VecDeque<Minute>);

#[derive(Clone, Copy, Debug)]
struct Minute {
    at: i64,
    records: usize,
    rejects: usize,
}

impl Recent {
    /// A batch had so many records, rejects among them.
    pub(super) fn count(&mut self, now: i64, records: usize, rejects: usize) {
        let at = now.div_euclid(60);
        match self.0.back_mut() {
            Some(minute) if minute.at == at => {
                minute.records += records;
                minute.rejects += rejects;
            }
            _ => self.0.push_back(Minute { at, records, rejects }),
        }
    }

    /// Rejects and records of the last minutes when they are a burst. Minutes that are over and
    /// were none are learned.
    pub(super) fn burst(&mut self, now: i64, habits: &mut Habits) -> Option<(usize, usize)> {
        let records: usize = self.0.iter().map(|minute| minute.records).sum();
        let rejects: usize = self.0.iter().map(|minute| minute.rejects).sum();
        let share = number(rejects) / number(records).max(1.0);
        let limit = SHARE_MIN.max(TIMES_USUAL * habits.rejected_share());
        // A source of which more than a sixth is always rejected has no burst beyond that.
        let is_burst = rejects >= REJECTS_MIN && share >= limit;
        let oldest = now.div_euclid(60) - MINUTES;
        // A clock that was set back leaves minutes of the future behind.
        while self.0.front().is_some_and(|minute| minute.at <= oldest || minute.at > oldest + MINUTES) {
            let Some(over) = self.0.pop_front() else { break };
            if !is_burst {
                habits.rejected(number(over.records), number(over.rejects));
            }
        }
        is_burst.then_some((rejects, records))
    }
}

#[expect(clippy::cast_precision_loss, reason = "records of minutes, far below 2^52")]
fn number(count: usize) -> f64 {
    count as f64
}
