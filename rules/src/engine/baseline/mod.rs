//! What is normal for each principal, secret or whatever else, and therefore what is new.
//!
//! A baseline follows the order in which events are committed: the same sights in the same order
//! give the same judgements, wherever batches end and restarts happen. (Windows do not depend on
//! order; a baseline cannot help it: what is new depends on what came before.) It knows nothing
//! of rules, fields or clocks; it is asked with plain values. Judging never learns, and learning
//! is a call of its own, made when it is known what else the event raised.

mod days;
mod peer;
mod room;
mod value;

#[cfg(test)]
mod tests;

pub(crate) use value::{Print, Value};

use super::shelf::{Shelf, decode, encode};
use super::words::Name;
use crate::rule::Baseline;
use days::stamp;
use keywatch_event::Learned;
use peer::Peer;

/// One event as a baseline sees it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sight<'s> {
    /// For whom the value may be new; empty for everybody.
    pub(crate) per: Name<'s>,
    /// The value.
    pub(crate) value: Value<'s>,
    /// Event time, seconds since 1970.
    pub(crate) now_secs: i64,
    /// Whether an operator's list names the value: it is learned and never new.
    pub(crate) exempt: bool,
}

/// What a sight is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Judgement {
    /// Not known, and history is too short to say that it is new.
    Learning,
    /// Not known, and its `per` has not shown enough to be judged.
    Immature,
    /// Known.
    Known {
        /// Whether everything the sight could teach is noted already: learning from it is then
        /// free, unless its event raised something high.
        noted: bool,
    },
    /// Raised before, and seen on enough days since: known from now on.
    Accepted,
    /// Named by an operator's list.
    Exempt,
    /// Its `per` is too mobile to be judged.
    Mobile,
    /// Never seen, or not for so long that it was forgotten.
    New {
        /// The value as people write it: a network, or the text itself.
        value: String,
        /// How many values are known.
        known: usize,
    },
    /// Seen before, and not for a long time.
    Returned {
        /// The value as people write it.
        value: String,
        /// Seconds since the last sight.
        since_secs: i64,
    },
}

impl Judgement {
    /// Whether learning from it changes nothing, unless its event raised something.
    pub(crate) fn is_noted(&self) -> bool {
        matches!(self, Self::Known { noted: true })
    }

    /// The value, when it is news.
    pub(crate) fn news(&self) -> Option<&str> {
        match self {
            Self::New { value, .. } | Self::Returned { value, .. } => Some(value),
            Self::Learning
            | Self::Immature
            | Self::Known { .. }
            | Self::Accepted
            | Self::Exempt
            | Self::Mobile => None,
        }
    }
}

/// What an event raised, in ascending order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Raised {
    /// Nothing of level warning or above.
    Nothing,
    /// Something, and only through rules that compare with a past of their own.
    Novelty,
    /// A warning through something else.
    Other,
    /// Something high or critical, through whatever.
    High,
}

/// The learned state of one baseline.
#[derive(Debug)]
pub(crate) struct Known {
    /// Second of the earliest event ever seen: history begins here.
    start: Option<i64>,
    start_dirty: bool,
    peers: Shelf<Peer>,
    pers_max: usize,
    /// How many of the peers are settled.
    settled: usize,
    /// Whether a value of any of them ever waited to be accepted.
    may_wait: bool,
}

impl Known {
    /// Nothing known yet. Remembers at most `pers_max`; each takes about 300 bytes with two
    /// networks, and 12 more per value.
    pub(crate) fn new(pers_max: usize) -> Self {
        Self {
            start: None,
            start_dirty: false,
            peers: Shelf::new(),
            pers_max: pers_max.max(2),
            settled: 0,
            may_wait: false,
        }
    }

    /// The same for a run whose state nobody stores.
    pub(crate) fn unwritten(mut self) -> Self {
        self.peers = self.peers.unwritten();
        self
    }

    /// How many are known.
    pub(crate) fn len(&self) -> usize {
        self.peers.len()
    }

    /// Whether there may be values that wait to be accepted.
    pub(crate) fn may_wait(&self) -> bool {
        self.may_wait
    }

    /// How many were forgotten because of the limit.
    pub(crate) fn evicted(&self) -> u64 {
        self.peers.evicted()
    }

    /// How many stored states could not be read and were ignored.
    pub(crate) fn unreadable(&self) -> u64 {
        self.peers.unreadable()
    }

    /// The second from which on sights are judged; `None` before the first event.
    pub(crate) fn judges_from(&self, spec: &Baseline) -> Option<i64> {
        self.start.map(|start| start.saturating_add(spec.learn_secs))
    }

    /// History begins here at the latest, whether this baseline had anything to see or not: what
    /// is rare is new all the same.
    pub(crate) fn began(&mut self, secs: i64) {
        if self.start.is_none() {
            self.start = Some(secs);
            self.start_dirty = true;
        }
    }

    /// Says what a sight is, and learns nothing.
    pub(crate) fn judge(&self, spec: &Baseline, sight: &Sight<'_>) -> Judgement {
        let learning = match self.judges_from(spec) {
            Some(from) => sight.now_secs < from,
            None => spec.learn_secs > 0,
        };
        let judgement = match self.peers.get(sight.per) {
            Some(peer) => peer.judge(spec, sight, learning),
            None => Peer::default().judge(spec, sight, learning),
        };
        // History that begins earlier than was known is something to learn.
        let is_first = || self.start.is_none_or(|start| sight.now_secs < start);
        if judgement == (Judgement::Known { noted: true }) && is_first() {
            return Judgement::Known { noted: false };
        }
        judgement
    }

    /// Learns from a sight that was judged, given what its event raised.
    pub(crate) fn learn(
        &mut self,
        spec: &Baseline,
        sight: &Sight<'_>,
        judgement: &Judgement,
        raised: Raised,
    ) {
        if self.start.is_none_or(|start| sight.now_secs < start) {
            self.start = Some(sight.now_secs);
            self.start_dirty = true;
        }
        if *judgement == (Judgement::Known { noted: true }) && raised < Raised::High {
            return;
        }
        let Some(peer) = self.peer(sight.per, sight.now_secs) else { return };
        if !peer.learn(spec, sight, judgement, raised) {
            return;
        }
        let (waits, settles) = (peer.waits(), !peer.settled && peer.may_settle(spec));
        self.may_wait |= waits;
        self.peers.changed(sight.per);
        if settles {
            self.settle(sight.per, stamp(sight.now_secs));
        }
    }

    /// The value is not learned for a day, whatever is known of its `per`.
    pub(crate) fn taint(&mut self, per: Name<'_>, value: Value<'_>, now_secs: i64) {
        if self.peer(per, now_secs).is_some_and(|known| known.taint(value, stamp(now_secs))) {
            self.peers.changed(per);
        }
    }

    /// Something high or critical was raised for a `per` by an event this baseline does not
    /// judge: values that wait to be accepted begin anew.
    pub(crate) fn raised_high(&mut self, per: Name<'_>) {
        if self.peers.get_mut(per).is_some_and(Peer::doubt_all) {
            self.peers.changed(per);
        }
    }

    /// Keeps a `per` until that second whatever happens: it has an open incident.
    pub(crate) fn hold(&mut self, per: Name<'_>, until_secs: i64) {
        if self.peers.get_mut(per).is_some_and(|peer| peer.hold(stamp(until_secs))) {
            self.peers.changed(per);
        }
    }

    /// State that changed since the last call, to be committed, ordered by key; an empty state
    /// is one to delete.
    pub(crate) fn take_learned(&mut self, rule: &str) -> Vec<Learned> {
        let changed_start = self.start.filter(|_| std::mem::take(&mut self.start_dirty));
        let start = changed_start.map(|start| Learned { key: rule.to_owned(), state: encode(&start) });
        start.into_iter().chain(self.peers.take(|per| [rule, " ", per].concat())).collect()
    }

    /// Takes back what [`Self::take_learned`] gave, in any order; state of other rules is
    /// ignored, and state that cannot be read is ignored and counted.
    pub(crate) fn restore(&mut self, rule: &str, learned: &Learned) {
        let Some(rest) = learned.key.strip_prefix(rule) else { return };
        if rest.is_empty() {
            match decode(&learned.state) {
                Some(start) => self.start = Some(start),
                None => self.peers.could_not_read(),
            }
        } else if let Some(per) = rest.strip_prefix(' ') {
            self.put(per, &learned.state);
        }
    }

    fn put(&mut self, per: &str, state: &[u8]) {
        let per = Name::from(per);
        let was_settled = self.peers.get(per).is_some_and(|peer| peer.settled);
        if !self.peers.put(per, state) {
            return;
        }
        self.settled -= usize::from(was_settled);
        if let Some(known) = self.peers.get_mut(per) {
            known.tidy();
            self.may_wait |= known.waits();
            self.settled += usize::from(known.settled);
        }
    }
}
