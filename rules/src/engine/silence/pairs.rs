//! Events that another must follow, those that still wait for it, and those nothing followed.
//!
//! A function of the set of events, in whatever order they arrive, as long as none arrives later
//! than the lateness allowed. One follower explains every event of its key that it comes after
//! within a day. What waits is stored with the batch it came in, and so is a follower that came
//! before what it follows: a restart changes nothing. Of a follower that explained something a
//! restart forgets the time; another event of its key that arrives only then has to wait anew.

use super::timed::Timed;
use crate::engine::shelf::{decode, encode};
use crate::rule::Silence;
use keywatch_event::Learned;

/// Between the rule and the key, in the names of what is stored; no rhythm's key has it there.
const WAITS: &str = "\u{1f}waits ";
const FOLLOWS: &str = "\u{1f}followed ";
/// Longest time, in seconds, after which something still counts as having followed.
pub(crate) const FOLLOWED_SECS_MAX: i64 = 86_400;

/// Events that wait, and the followers that came.
#[derive(Debug)]
pub(crate) struct Pairs<T> {
    waiting: Timed<T>,
    /// The latest follower of each key, and whether it found nothing to explain.
    followers: Timed<bool>,
    /// Most that wait, and most followers.
    each_max: usize,
    lateness_secs: i64,
    /// How far events are known to have arrived: the latest `now` of a tick.
    ticked: i64,
    /// Followers up to this second may have been let go.
    floor: i64,
    evicted: u64,
    late: u64,
    unreadable: u64,
}

/// An event nothing followed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Unfollowed<T> {
    /// The key it shared with nobody.
    pub(crate) key: Box<str>,
    /// Its second.
    pub(crate) time_secs: i64,
    /// What it was expected with.
    pub(crate) brief: T,
}

impl<T> Pairs<T> {
    /// Nothing waits yet. Holds at most `each_max` events that wait, about 200 bytes each and the
    /// brief, and as many followers, about 150 bytes each; neither takes the room of the other. An
    /// event for which there is no room is not watched, and counted: what waits is what will be
    /// told. A follower gives way to the next, and what might have been its own is not judged then.
    /// Judges an event `lateness_secs` after its time for a follower is over.
    pub(crate) fn new(each_max: usize, lateness_secs: i64, writes: bool) -> Self {
        Self {
            waiting: Timed::new(writes),
            followers: Timed::new(writes),
            each_max: each_max.max(1),
            lateness_secs: lateness_secs.max(0),
            ticked: i64::MIN,
            floor: i64::MIN,
            evicted: 0,
            late: 0,
            unreadable: 0,
        }
    }

    /// How many events and followers are held.
    pub(crate) fn len(&self) -> usize {
        self.waiting.len() + self.followers.len()
    }

    /// How many events are not watched for want of room.
    pub(crate) fn evicted(&self) -> u64 {
        self.evicted
    }

    /// How many events came too late to be judged.
    pub(crate) fn late(&self) -> u64 {
        self.late
    }

    /// How many stored states could not be read and were ignored.
    pub(crate) fn unreadable(&self) -> u64 {
        self.unreadable
    }

    /// An event that must be followed.
    pub(crate) fn expect(&mut self, spec: &Silence, key: &str, time_secs: i64, brief: T) {
        if self.followers.get(key).iter().any(|(follower, _)| follows(time_secs, *follower)) {
            return;
        }
        if self.is_over(spec, time_secs) || time_secs <= self.floor {
            self.late += 1;
        } else if self.waiting.len() >= self.each_max || !self.waiting.put(key, time_secs, brief) {
            self.evicted += 1;
        }
    }

    /// An event that follows others of its key.
    pub(crate) fn follow(&mut self, spec: &Silence, key: &str, time_secs: i64) {
        let explained = self.waiting.take(key, |waiting| follows(waiting, time_secs));
        if self.is_over(spec, time_secs) {
            self.late += u64::from(explained.is_empty());
            return;
        }
        // The latest explains all that an earlier one does.
        if self.followers.get(key).iter().any(|(other, _)| *other >= time_secs) {
            return;
        }
        self.followers.take(key, |_| true);
        while self.followers.len() >= self.each_max {
            let Some((gone, ..)) = self.followers.take_first() else { break };
            self.floor = self.floor.max(gone);
        }
        self.followers.put(key, time_secs, explained.is_empty());
    }

    /// What nothing followed in time, ordered by time and key, each once. `now_secs` is how far
    /// events are known to have arrived; it never goes back.
    pub(crate) fn tick(&mut self, spec: &Silence, now_secs: i64) -> Vec<Unfollowed<T>> {
        self.ticked = self.ticked.max(now_secs);
        let mut missing = Vec::new();
        while self.waiting.first().is_some_and(|secs| self.is_over(spec, secs)) {
            let Some((time_secs, key, briefs)) = self.waiting.take_first() else { break };
            let one = |(_, brief)| Unfollowed { key: key.clone(), time_secs, brief };
            missing.extend(briefs.into_iter().map(one));
        }
        while self.followers.first().is_some_and(|secs| self.is_over(spec, secs)) {
            self.followers.take_first();
        }
        missing
    }

    /// What waits and what came too early, as far as that changed since the last call. `state` is
    /// what is stored of a brief.
    pub(crate) fn take_learned<S: serde::Serialize>(
        &mut self,
        rule: &str,
        state: impl Fn(&T) -> S,
    ) -> Vec<Learned> {
        let waits = |things: &[(i64, T)]| {
            let things: Vec<(i64, S)> = things.iter().map(|(secs, brief)| (*secs, state(brief))).collect();
            Some(encode(&things))
        };
        let mut learned = self.waiting.changes(|key| format!("{rule}{WAITS}{key}"), waits);
        let early = |things: &[(i64, bool)]| {
            things.first().filter(|(_, is_early)| *is_early).map(|(secs, _)| encode(secs))
        };
        learned.extend(self.followers.changes(|key| format!("{rule}{FOLLOWS}{key}"), early));
        learned
    }

    /// Takes back what [`Self::take_learned`] gave; other state is ignored, and state that cannot
    /// be read is ignored and counted.
    pub(crate) fn restore<S: serde::de::DeserializeOwned>(
        &mut self,
        rule: &str,
        learned: &Learned,
        brief: impl Fn(S) -> T,
    ) {
        let Some(rest) = learned.key.strip_prefix(rule) else { return };
        if let Some(key) = rest.strip_prefix(WAITS) {
            match decode::<Vec<(i64, S)>>(&learned.state) {
                Some(things) => {
                    self.waiting.restore(key, things.into_iter().map(|(secs, state)| (secs, brief(state))));
                }
                None => self.unreadable += 1,
            }
        } else if let Some(key) = rest.strip_prefix(FOLLOWS) {
            match decode::<i64>(&learned.state) {
                Some(secs) => self.followers.restore(key, [(secs, true)]),
                None => self.unreadable += 1,
            }
        }
    }

    /// Whether nothing that matters to an event of that time may arrive any more.
    fn is_over(&self, spec: &Silence, time: i64) -> bool {
        time.saturating_add(spec.secs_min).saturating_add(self.lateness_secs) < self.ticked
    }
}

/// Whether the one followed the other.
pub(crate) fn follows(time: i64, follower: i64) -> bool {
    (0..=FOLLOWED_SECS_MAX).contains(&follower.saturating_sub(time))
}

#[cfg(test)]
#[path = "pairs_tests.rs"]
mod tests;
