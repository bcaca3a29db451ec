//! Silences that were told, and whether events that come late fill them after all.
//!
//! A silence was none when events of its time turn up that lie no farther apart than the stream may be
//! silent, from the last event before it to the first after it. Then its alert is taken back. What is
//! remembered of a gap is which stretches of it are filled, so the order of arrival changes nothing.

use crate::engine::shelf::Shelf;
use keywatch_event::{AlertId, Learned};
use serde::{Deserialize, Serialize};

/// Between the rule and the gap in a key.
const MARK: &str = "\u{1f}gap ";
/// Gaps remembered of one rule: about 300 bytes each, 300 kB. The one that is over for longest goes
/// first; its alert then stays, whatever comes.
const GAPS_MAX: usize = 1000;
/// Stretches of one gap that are told apart. A gap that needs more of them is not filled by them; further
/// ones are not remembered, and the alert stays.
const STRETCHES_MAX: usize = 256;
/// How long after its end a gap is remembered: what a log shipper that was stuck takes to catch up.
const REMEMBERED_SECS: i64 = 7 * 86_400;

/// All gaps of one rule.
#[derive(Debug)]
pub(crate) struct Gaps {
    gaps: Shelf<Gap>,
    /// Alerts that are over, not told yet.
    filled: Vec<Filled>,
}

/// One silence that was told.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Gap {
    stream: String,
    alert: String,
    /// How long the stream may be silent, in seconds.
    limit_secs: i64,
    /// Second of the first event after the silence; `None` while it lasts.
    until: Option<i64>,
    /// First and last second of each stretch without a longer silence, in order; the first begins with
    /// the last event before the gap.
    stretches: Vec<(i64, i64)>,
}

/// An alert about a silence that was none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Filled {
    pub(crate) alert: AlertId,
    pub(crate) limit_secs: i64,
}

impl Gaps {
    /// None yet; `writes` says whether somebody stores what is to survive a restart.
    pub(crate) fn new(writes: bool) -> Self {
        let gaps = Shelf::new();
        Self { gaps: if writes { gaps } else { gaps.unwritten() }, filled: Vec::new() }
    }

    /// How many stored gaps could not be read and were ignored.
    pub(crate) fn unreadable(&self) -> u64 {
        self.gaps.unreadable()
    }

    /// A silence of a stream was told: since the event of `last_secs`, for longer than `limit_secs`.
    pub(crate) fn told(&mut self, stream: &str, (last_secs, limit_secs): (i64, i64), alert: &AlertId) {
        let over = (self.gaps.len() + 1).saturating_sub(GAPS_MAX);
        if over > 0 {
            self.gaps.evict(over, |gap| Some(gap.until.unwrap_or(i64::MAX)));
        }
        *self.gaps.entry(&*alert.0) = Gap {
            stream: stream.to_owned(),
            alert: alert.0.clone(),
            limit_secs,
            until: None,
            stretches: vec![(last_secs, last_secs)],
        };
        self.gaps.changed(&*alert.0);
    }

    /// An event of a stream; `resumes` when it is the first after a silence that was told.
    pub(crate) fn see(&mut self, stream: &str, secs: i64, resumes: bool) {
        if self.gaps.len() == 0 {
            return;
        }
        let concerns = |gap: &Gap| gap.stream == stream && gap.concerns(secs);
        let ids: Vec<String> =
            self.gaps.iter().filter(|(_, gap)| concerns(gap)).map(|(id, _)| id.to_owned()).collect();
        for id in ids {
            let Some(gap) = self.gaps.get_mut(&*id) else { continue };
            if resumes && gap.until.is_none() {
                gap.until = Some(secs);
            }
            if !gap.take(secs) {
                continue;
            }
            self.gaps.changed(&*id);
            self.close_if_filled(&id);
        }
    }

    fn close_if_filled(&mut self, id: &str) {
        let Some(gap) = self.gaps.get(id).filter(|gap| gap.is_filled()) else { return };
        self.filled.push(Filled { alert: AlertId(gap.alert.clone()), limit_secs: gap.limit_secs });
        self.forget(&[id.to_owned()]);
    }

    /// The alerts that are over since the last call.
    pub(crate) fn take_filled(&mut self) -> Vec<Filled> {
        std::mem::take(&mut self.filled)
    }

    /// Forgets gaps that ended long before `now_secs`.
    pub(crate) fn forget_old(&mut self, now_secs: i64) {
        let is_old = |gap: &Gap| gap.until.is_some_and(|until| now_secs - until > REMEMBERED_SECS);
        let old: Vec<String> =
            self.gaps.iter().filter(|(_, gap)| is_old(gap)).map(|(id, _)| id.to_owned()).collect();
        self.forget(&old);
    }

    fn forget(&mut self, ids: &[String]) {
        self.gaps.evict(ids.len(), |gap| ids.contains(&gap.alert).then_some(()));
    }

    /// What changed since the last call, to be stored.
    pub(crate) fn take_learned(&mut self, rule: &str) -> Vec<Learned> {
        self.gaps.take(|id| format!("{rule}{MARK}{id}"))
    }

    /// Takes back what [`Self::take_learned`] gave; other state is ignored.
    pub(crate) fn restore(&mut self, rule: &str, learned: &Learned) {
        let rest = learned.key.strip_prefix(rule).and_then(|rest| rest.strip_prefix(MARK));
        if let Some(id) = rest {
            self.gaps.put(id, &learned.state);
        }
    }
}

impl Gap {
    /// Whether an event of this second may fill it.
    fn concerns(&self, secs: i64) -> bool {
        let after = self.stretches.first().is_some_and(|(from, _)| secs > *from);
        after && self.until.is_none_or(|until| secs <= until)
    }

    /// Notes an event; whether that changed anything.
    fn take(&mut self, secs: i64) -> bool {
        let limit = self.limit_secs;
        let at = self.stretches.partition_point(|(from, _)| *from <= secs);
        let (before, after) = self.stretches.split_at(at);
        let (mut from, mut to) = (secs, secs);
        let mut start = at;
        if let Some((first, last)) = before.last().filter(|(_, last)| secs - last <= limit) {
            if secs <= *last {
                return self.until == Some(secs);
            }
            (from, start) = (*first, at - 1);
        }
        let mut end = at;
        if let Some((_, last)) = after.first().filter(|(first, _)| first - secs <= limit) {
            (to, end) = (*last, at + 1);
        }
        if start == end && self.stretches.len() >= STRETCHES_MAX {
            return false;
        }
        self.stretches.splice(start..end, [(from, to)]);
        true
    }

    /// Whether the first stretch reaches the end of the silence.
    fn is_filled(&self) -> bool {
        let reached = self.stretches.first().map(|(_, to)| *to);
        self.until.zip(reached).is_some_and(|(until, reached)| reached >= until)
    }
}

#[cfg(test)]
#[path = "gaps_tests.rs"]
mod tests;
