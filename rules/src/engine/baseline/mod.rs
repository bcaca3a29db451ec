//! What is normal for each principal, secret or whatever else, and therefore what is new.
//!
//! A baseline follows the order in which events are committed: the same sights in the same order
//! give the same judgements, wherever batches end and restarts happen. (Windows do not depend on
//! order; a baseline cannot help it: what is new depends on what came before.) It knows nothing
//! of fields or clocks; it is asked with plain values. Judging never learns, and learning
//! is a call of its own, made when it is known what else the event raised.
//!
//! All baselines of an engine share one ledger (`ledger.rs`), in which somebody has one record with a
//! part for each baseline, and one limit (`room.rs`).

mod days;
mod earlier;
mod judgement;
mod ledger;
mod moves;
mod packed;
mod peer;
mod record;
mod records;
mod room;
mod value;
mod values;

#[cfg(test)]
mod tests;

pub(crate) use judgement::{Judgement, Noted, Raised, Sight};
pub(crate) use ledger::Looked;
pub(crate) use value::{Print, Rung, Value};

use super::shelf::{decode, encode};
use super::words::Name;
use crate::rule::Baseline;
use days::stamp;
use keywatch_event::Learned;
use ledger::Ledger;
use peer::Peer;

/// Which baseline is meant: its number, and what its rule says.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Of<'r> {
    pub(crate) at: usize,
    pub(crate) spec: &'r Baseline,
}

/// The learned state of all baselines.
#[derive(Debug)]
pub(crate) struct Baselines {
    /// By baseline.
    own: Vec<Own>,
    /// Apart, since an engine is moved about whole.
    ledger: Box<Ledger>,
    unreadable: u64,
}

/// What a baseline has to itself.
#[derive(Clone, Copy, Debug, Default)]
struct Own {
    /// Second of the earliest event ever seen: history begins here.
    start: Option<i64>,
    start_dirty: bool,
    /// Whether a value of any of its peers ever waited to be accepted.
    may_wait: bool,
}

impl Baselines {
    /// Baselines that know nothing yet, and remember at most `bytes_max` together; `writes` says whether
    /// somebody stores what they learn.
    pub(crate) fn new(specs: &[Baseline], bytes_max: usize, writes: bool) -> Self {
        let lasting = specs.iter().map(|spec| spec.returns_after_secs.is_some());
        Self {
            own: vec![Own::default(); specs.len()],
            ledger: Box::new(Ledger::new(lasting.collect(), bytes_max, writes)),
            unreadable: 0,
        }
    }

    /// How many principals, secrets and others are known.
    pub(crate) fn len(&self) -> usize {
        self.ledger.len()
    }

    /// Bytes they take, as the limit counts them.
    pub(crate) fn bytes(&self) -> usize {
        self.ledger.bytes()
    }

    /// How many were forgotten because of the limit.
    pub(crate) fn evicted(&self) -> u64 {
        self.ledger.evicted()
    }

    /// The same for one baseline.
    pub(crate) fn evicted_of(&self, at: usize) -> u64 {
        self.ledger.evicted_of(at)
    }

    /// How many stored states could not be read and were ignored.
    pub(crate) fn unreadable(&self) -> u64 {
        self.unreadable
    }

    /// Whether a baseline may have values that wait to be accepted.
    pub(crate) fn may_wait(&self, at: usize) -> bool {
        self.own.get(at).is_some_and(|own| own.may_wait)
    }

    /// History begins here at the latest, whether a baseline had anything to see or not: what is
    /// rare is new all the same.
    pub(crate) fn began(&mut self, secs: i64) {
        for own in self.own.iter_mut().filter(|own| own.start.is_none()) {
            (own.start, own.start_dirty) = (Some(secs), true);
        }
    }

    /// The second from which on a baseline judges; `None` before the first event.
    fn judges_from(&self, of: Of<'_>) -> Option<i64> {
        self.start(of.at).map(|start| start.saturating_add(of.spec.learn_secs))
    }

    fn start(&self, at: usize) -> Option<i64> {
        self.own.get(at)?.start
    }

    /// Says what a sight is, and learns nothing. `looked` remembers whom the event asked for already.
    pub(crate) fn judge<'b>(&'b self, of: Of<'_>, sight: &Sight<'_>, looked: &mut Looked<'b>) -> Judgement {
        let learning = match self.judges_from(of) {
            Some(from) => sight.now_secs < from,
            None => of.spec.learn_secs > 0,
        };
        let judgement = match looked.part(&self.ledger, of.at, sight.per) {
            Some(peer) => peer.judge(of.spec, sight, learning),
            None => Peer::default().judge(of.spec, sight, learning),
        };
        // History that begins earlier than was known is something to learn.
        let is_first = || self.start(of.at).is_none_or(|start| sight.now_secs < start);
        if judgement == (Judgement::Known { noted: true }) && is_first() {
            return Judgement::Known { noted: false };
        }
        judgement
    }

    /// When a sight like this one is known and teaches nothing, as things stand; `None` when never.
    pub(crate) fn noted<'b>(
        &'b self,
        of: Of<'_>,
        sight: &Sight<'_>,
        looked: &mut Looked<'b>,
    ) -> Option<Noted> {
        let start = self.start(of.at)?;
        let noted = looked.part(&self.ledger, of.at, sight.per)?.noted(of.spec, sight)?;
        // An event from before it would make history begin earlier.
        Some(noted.and(Noted { from: stamp(start), until: u32::MAX }))
    }

    /// How often something was lost that was known of a name, or of others that share its count; it only
    /// grows.
    pub(crate) fn losses(&self, name: Name<'_>) -> u64 {
        self.ledger.losses.of(name.hash)
    }

    /// Looks at what is known of a name, before it is asked for: a number of no meaning.
    pub(crate) fn look(&self, name: Name<'_>) -> u64 {
        let parts = self.ledger.find(name).map_or(&[][..], |record| &record.parts);
        let ends = [parts.first(), parts.get(parts.len() / 2), parts.last()];
        ends.into_iter().flatten().fold(0, |all, part| all ^ u64::from(part.of))
    }

    /// Learns from a sight that was judged, given what its event raised.
    pub(crate) fn learn(&mut self, of: Of<'_>, sight: &Sight<'_>, judgement: &Judgement, raised: Raised) {
        let Some(own) = self.own.get_mut(of.at) else { return };
        if own.start.is_none_or(|start| sight.now_secs < start) {
            (own.start, own.start_dirty) = (Some(sight.now_secs), true);
        }
        if *judgement == (Judgement::Known { noted: true }) && raised < Raised::High {
            return;
        }
        let (may_wait, mut loses) = (&mut own.may_wait, false);
        self.ledger.make(of.at, sight.per, stamp(sight.now_secs), |peer| {
            let changed = peer.learn(of.spec, sight, judgement, raised);
            if changed {
                *may_wait |= peer.waits();
                peer.settled |= peer.may_settle(of.spec);
                loses = peer.take_loss();
            }
            changed
        });
        if loses {
            self.ledger.losses.add(sight.per.hash);
        }
    }

    /// The value is not learned for a day, whatever is known of its `per`.
    pub(crate) fn taint(&mut self, at: usize, sight: &Sight<'_>) {
        let now = stamp(sight.now_secs);
        self.ledger.make(at, sight.per, now, |known| known.taint(sight.value, now));
    }

    /// Something high or critical was raised for a `per` by an event a baseline does not judge:
    /// values that wait to be accepted begin anew.
    pub(crate) fn raised_high(&mut self, at: usize, per: Name<'_>) {
        self.ledger.change(at, per, Peer::doubt_all);
    }

    /// A `per` that a baseline knows has an open incident until that second at least: whoever is
    /// worth as much goes before it.
    pub(crate) fn hold(&mut self, at: usize, per: Name<'_>, (now_secs, until_secs): (i64, i64)) {
        self.ledger.hold(at, per, (stamp(now_secs), stamp(until_secs)));
    }

    /// State that changed since the last call, to be committed; an empty state is one to delete. The same
    /// sights give it in the same order; whoever stores it puts it in the order that suits the store.
    pub(crate) fn take_learned(&mut self, specs: &[Baseline]) -> Vec<Learned> {
        let mut learned = self.ledger.take(|at, per| {
            let rule = specs.get(at).map_or("", |spec| &*spec.rule);
            [rule, " ", per].concat()
        });
        for (own, spec) in self.own.iter_mut().zip(specs) {
            if let Some(start) = own.start.filter(|_| std::mem::take(&mut own.start_dirty)) {
                learned.push(Learned { key: spec.rule.to_string(), state: encode(&start) });
            }
        }
        learned
    }

    /// Takes back what [`Self::take_learned`] gave, in any order; state of other rules is ignored, and
    /// state that cannot be read is ignored and counted. [`Self::restored`] must follow.
    pub(crate) fn restore(&mut self, specs: &[Baseline], learned: &Learned) {
        for (at, (own, spec)) in self.own.iter_mut().zip(specs).enumerate() {
            let Some(rest) = learned.key.strip_prefix(&*spec.rule) else { continue };
            if rest.is_empty() {
                match decode(&learned.state) {
                    Some(start) => own.start = Some(start),
                    None => self.unreadable += 1,
                }
            } else if let Some(per) = rest.strip_prefix(' ') {
                let Some(peer) = earlier::read(&learned.state) else {
                    self.unreadable += 1;
                    continue;
                };
                own.may_wait |= peer.waits();
                self.ledger.put(at, per.into(), peer);
            }
        }
    }

    /// Everything stored was given back: what is too much for a limit that has become lower goes.
    pub(crate) fn restored(&mut self) {
        self.ledger.restored();
    }
}
