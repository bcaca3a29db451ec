//! What is known of one `per` of a baseline: the values it was seen with, and how long it has
//! been here.
//!
//! Everything a judgement depends on is in the stored state, at every moment: what is refreshed
//! only now and then (a last sight) is refreshed so in memory too. A restart therefore changes
//! no judgement. Never looks at more than one `per`.

mod ladder;

use super::days::{DAY_SECS, Days, stamp};
use super::earlier::Unmoved;
use super::moves::Moves;
use super::packed;
use super::value::{Print, Rung, Value};
use super::values::{Sighted, Values};
use super::{Judgement, Noted, Raised, Sight};
use crate::rule::{Baseline, Mature, Novel};
use serde::{Deserialize, Serialize};

/// Tainted values kept per `per`. When there are more, every value is as long as the longest ago would have
/// been: who taints many gets none learned.
const TAINTED_MAX: usize = 32;
/// Stands for every value among those that are tainted: no network has such a print.
const EVERY: u64 = u64::MAX;
/// Seconds by which a repeated taint must be later to be noted anew.
const TAINT_REFRESH_SECS: u32 = 60;

/// One `per`. 80 bytes with two values, 12 for each further one, and a box for what is in doubt.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Peer {
    /// Ordered by print.
    #[serde(with = "packed")]
    values: Values,
    doubts: Option<Box<Doubts>>,
    /// Second of the earliest event.
    first: u32,
    /// Second of the latest event, late by up to [`refresh_secs`].
    last: u32,
    /// Events, counted until there are enough to be judged.
    events: u32,
    /// Days with an event, counted until there are enough to be judged.
    days: Days,
    rung: Rung,
    /// Whether it was seen at more than one moment: invented names mostly are not.
    again: bool,
    /// Whether it has been here for a day and can be judged: newcomers cannot take its place.
    pub(crate) settled: bool,
    /// Whether something that was known is known no more, until that is asked.
    #[serde(skip)]
    loses: bool,
    /// The days on which it came from somewhere new, since it climbed last.
    moves: Moves,
}

impl From<Unmoved> for Peer {
    fn from(stored: Unmoved) -> Self {
        let Unmoved { values, doubts, first, last, events, days, rung, again, settled } = stored;
        let (loses, moves) = (false, Moves::default());
        Self { values, doubts, first, last, events, days, rung, again, settled, loses, moves }
    }
}

#[cfg(test)]
impl From<Peer> for Unmoved {
    fn from(peer: Peer) -> Self {
        let Peer { values, doubts, first, last, events, days, rung, again, settled, .. } = peer;
        Self { values, doubts, first, last, events, days, rung, again, settled }
    }
}

/// What only few have: values in doubt, and an open incident.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Doubts {
    /// Values that raised, with the days they were seen on since, in order of first sight.
    pending: Vec<(Print, Days)>,
    /// Values not to be learned for a day, with the second of the taint.
    tainted: Vec<(Print, u32)>,
    /// Second until which it must not be forgotten.
    held_until: u32,
}

/// Days on which a network that raised must be seen to be accepted where its principal climbed.
const CLIMBED_ACCEPT_DAYS: usize = 2;

/// Up to how many values each is looked at when one is new.
const FEW: usize = 512;

/// The youngest of so many that go, the longest unseen first.
fn youngest(mut ages: Vec<(u32, Print)>, count: usize) -> Option<(u32, Print)> {
    let last = count.min(ages.len()).checked_sub(1)?;
    Some(*ages.select_nth_unstable(last).1)
}

fn is_aside(spec: &Baseline, rung: Rung, print: Print) -> bool {
    matches!(spec.of, Novel::Network { .. }) && rung != Rung::System && print.is_system()
}

/// How much later a sight must be for it to be noted: a batch commits what it changed, and
/// writing every `per` at every event would cost more than the events do.
fn refresh_secs(spec: &Baseline) -> u32 {
    let most = match spec.of {
        Novel::Network { .. } => 3600,
        Novel::Values(_) => 6 * 3600,
    };
    let life = spec.returns_after_secs.unwrap_or(spec.decay_secs).min(spec.decay_secs);
    stamp(life / 24).clamp(1, most)
}

/// Until which second a sight of a value that was seen then is nothing to note. Of networks a new day is: who
/// is at home is told from who moves by the day.
fn fresh_until(spec: &Baseline, last: u32) -> u32 {
    let until = last.saturating_add(refresh_secs(spec));
    match spec.of {
        Novel::Network { .. } => until.min((last / DAY_SECS + 1).saturating_mul(DAY_SECS)),
        Novel::Values(_) => until,
    }
}

impl Peer {
    /// Second of the latest event.
    pub(crate) fn last(&self) -> u32 {
        self.last
    }

    /// How many values are kept.
    #[cfg(test)]
    pub(crate) fn values(&self) -> usize {
        self.values.len()
    }

    /// Second of the earliest event; `None` when none was counted.
    pub(crate) fn first(&self) -> Option<u32> {
        (self.events > 0).then_some(self.first)
    }

    /// Whether it was seen at more than one moment.
    pub(crate) fn is_seen_again(&self) -> bool {
        self.again
    }

    /// Second until which an incident about it is open; 0 when none was.
    pub(crate) fn held_until(&self) -> u32 {
        self.doubts.as_ref().map_or(0, |doubts| doubts.held_until)
    }

    /// Keeps it until then; whether that changed anything.
    pub(crate) fn hold(&mut self, until: u32) -> bool {
        let doubts = self.doubts.get_or_insert_default();
        let longer = until > doubts.held_until;
        if longer {
            doubts.held_until = until.saturating_add(3600);
        }
        longer
    }

    /// Whether something that was known is known no more since this was last asked.
    pub(crate) fn take_loss(&mut self) -> bool {
        std::mem::take(&mut self.loses)
    }

    /// When a sight like this one is judged as known, exempt or mobile and learning from it changes
    /// nothing, as things stand. What comes to be known besides changes none of that; what is lost may.
    pub(crate) fn noted(&self, spec: &Baseline, sight: &Sight<'_>) -> Option<Noted> {
        if self.events < spec.events_counted() || !self.again {
            return None;
        }
        let refresh = refresh_secs(spec);
        let mut noted = Noted { from: self.first, until: self.last.saturating_add(refresh) };
        if self.days.len() < spec.days_counted().min(Days::MAX) {
            let now = stamp(sight.now_secs);
            let day = now - now % DAY_SECS;
            let today = Noted { from: day, until: day.saturating_add(DAY_SECS) };
            noted = noted.and(self.days.contains(now).then_some(today)?);
        }
        // Who is too mobile has no values.
        let Some(print) = Print::of(sight.value, self.rung) else { return Some(noted) };
        let last = self.last_sight(print)?;
        let old = spec.returns_after_secs.unwrap_or(spec.decay_secs).min(spec.decay_secs);
        let fresh = fresh_until(spec, last).min(last.saturating_add(stamp(old)));
        Some(noted.and(Noted { from: 0, until: fresh }))
    }

    /// Says what a sight is, and learns nothing.
    pub(crate) fn judge(&self, spec: &Baseline, sight: &Sight<'_>, learning: bool) -> Judgement {
        if sight.exempt {
            return Judgement::Exempt;
        }
        let Some(print) = Print::of(sight.value, self.rung) else { return Judgement::Mobile };
        let now = stamp(sight.now_secs);
        let last = self.last_sight(print);
        let idle = last.map(|last| now.saturating_sub(last));
        let is_new = match (spec.returns_after_secs, idle) {
            (Some(_), None) => false,
            (Some(after), Some(idle)) => i64::from(idle) >= after,
            (None, None) => true,
            (None, Some(idle)) => i64::from(idle) > spec.decay_secs,
        };
        if !is_new {
            let is_fresh = |last: u32| now < fresh_until(spec, last);
            return Judgement::Known { noted: last.is_some_and(is_fresh) && self.has_counted(spec, now) };
        }
        if learning {
            return Judgement::Learning;
        }
        if !self.is_mature(spec, now) {
            return Judgement::Immature;
        }
        if self.is_acceptable(spec, print, now) {
            return Judgement::Accepted;
        }
        let value = match sight.value {
            Value::Text(text, _) => text.to_owned(),
            Value::Address { .. } => print.network().to_string(),
        };
        match (spec.returns_after_secs, idle) {
            (Some(_), Some(idle)) => Judgement::Returned { value, since_secs: i64::from(idle) },
            _ => Judgement::New { value, known: self.living(spec, now) },
        }
    }

    /// Learns from a sight that was judged; whether the state changed.
    pub(crate) fn learn(
        &mut self,
        spec: &Baseline,
        sight: &Sight<'_>,
        judgement: &Judgement,
        raised: Raised,
    ) -> bool {
        let now = stamp(sight.now_secs);
        let mut changed = self.count(spec, now);
        if raised == Raised::High {
            changed |= self.doubt_all();
        }
        let Some(print) = Print::of(sight.value, self.rung) else { return changed };
        let clean = !self.is_tainted(print, now);
        changed |= self.note_day(spec, judgement, (print, now), clean && raised < Raised::High);
        let learned = match judgement {
            Judgement::Mobile => false,
            Judgement::Exempt => true,
            Judgement::Known { .. } => {
                self.last_sight(print).is_some() || (clean && raised <= Raised::Novelty)
            }
            Judgement::Learning
            | Judgement::Immature
            | Judgement::New { .. }
            | Judgement::Returned { .. }
                if spec.accept_days == 0 =>
            {
                clean && raised <= Raised::Novelty
            }
            Judgement::Learning | Judgement::Immature => clean && raised == Raised::Nothing,
            Judgement::Accepted => clean && raised < Raised::High,
            Judgement::New { .. } | Judgement::Returned { .. } => {
                changed |= clean && raised < Raised::High && self.wait(spec, print, now);
                false
            }
        };
        changed |= learned && self.keep(spec, sight.value, print, now);
        self.climb_if_moving(spec);
        changed
    }

    /// A value that is not learned for a day; whether the state changed.
    pub(crate) fn taint(&mut self, value: Value<'_>, now: u32) -> bool {
        let Some(print) = Print::of(value, self.rung) else { return false };
        let tainted = &mut self.doubts.get_or_insert_default().tainted;
        if tainted.iter().any(|(other, at)| *other == print && now < at.saturating_add(TAINT_REFRESH_SECS)) {
            return false;
        }
        tainted.retain(|(other, at)| *other != print && now.saturating_sub(*at) < DAY_SECS);
        tainted.push((print, now));
        if tainted.len() > TAINTED_MAX {
            let every = Print::from_bits(EVERY);
            tainted.retain(|(other, _)| *other != every);
            if let Some(longest_ago) = tainted.first_mut() {
                longest_ago.0 = every;
            }
        }
        self.last = self.last.max(now);
        true
    }

    /// Whether values wait to be accepted.
    pub(crate) fn waits(&self) -> bool {
        self.doubts.as_ref().is_some_and(|doubts| !doubts.pending.is_empty())
    }

    /// Something high was raised for it: values that wait begin anew. Whether any did.
    pub(crate) fn doubt_all(&mut self) -> bool {
        self.doubts.as_mut().is_some_and(|doubts| {
            let any = !doubts.pending.is_empty();
            doubts.pending.clear();
            any
        })
    }

    /// Whether it has been here for at least a day and can be judged.
    pub(crate) fn may_settle(&self, spec: &Baseline) -> bool {
        self.last.saturating_sub(self.first) >= DAY_SECS && self.is_mature(spec, self.last)
    }

    /// Bytes on the heap at most, with 16 for the allocator's own use of each block: a function of
    /// what is stored, so that a restart changes nothing.
    pub(crate) fn heap_bytes(&self) -> usize {
        // Room for four at first, then for twice as many.
        let block = |len: usize, each: usize| match len {
            0 => 0,
            len => len.next_power_of_two().max(4) * each + 16,
        };
        let doubts = self.doubts.as_ref().map_or(0, |doubts| {
            size_of::<Doubts>()
                + 16
                + block(doubts.pending.len(), size_of::<(Print, Days)>())
                + block(doubts.tainted.len(), size_of::<(Print, u32)>())
        });
        self.values.heap_bytes() + doubts
    }

    fn is_mature(&self, spec: &Baseline, now: u32) -> bool {
        let age = if self.events == 0 { 0 } else { now.saturating_sub(self.first) };
        let shows = |mature: &Mature| {
            i64::from(age) >= mature.age_secs
                && self.events >= mature.events
                && self.days.len() >= mature.days.min(Days::MAX)
        };
        // Few events tell what is usual only of somebody who came back to something, and does not move.
        let comes_back = || self.values.tiers().0.iter().any(|known| !self.is_aside(spec, known.print));
        let is_settled = || self.rung == Rung::Narrow && comes_back();
        shows(&spec.mature) || spec.seldom.as_ref().is_some_and(shows) && is_settled()
    }

    /// Whether counting an event of that second would change nothing.
    fn has_counted(&self, spec: &Baseline, now: u32) -> bool {
        self.events >= spec.events_counted()
            && (self.again || now == self.first)
            && (self.days.len() >= spec.days_counted().min(Days::MAX) || self.days.contains(now))
            && (self.first..self.last.saturating_add(refresh_secs(spec))).contains(&now)
    }

    /// Counts an event towards being judged; whether the state changed.
    fn count(&mut self, spec: &Baseline, now: u32) -> bool {
        if self.has_counted(spec, now) {
            return false;
        }
        self.again |= self.events > 0 && now != self.first;
        self.first = if self.events == 0 { now } else { self.first.min(now) };
        if self.events < spec.events_counted() {
            self.events += 1;
        }
        if self.days.len() < spec.days_counted().min(Days::MAX) {
            self.days.add(now);
        }
        self.last = self.last.max(now);
        true
    }

    fn last_sight(&self, print: Print) -> Option<u32> {
        self.values.find(print).map(|known| known.last)
    }

    fn is_tainted(&self, print: Print, now: u32) -> bool {
        let is = |(other, at): &(Print, u32)| {
            (*other == print || other.to_bits() == EVERY) && now.saturating_sub(*at) < DAY_SECS
        };
        self.doubts.as_ref().is_some_and(|doubts| doubts.tainted.iter().any(is))
    }

    /// Whether a value that raised has been seen on enough days, today among them.
    fn is_acceptable(&self, spec: &Baseline, print: Print, now: u32) -> bool {
        let Some(doubts) = self.doubts.as_ref().filter(|_| spec.accept_days > 0) else { return false };
        let days = doubts.pending.iter().find(|(other, _)| *other == print).map(|(_, days)| days);
        let seen = days.map_or(0, |days| days.len() + usize::from(!days.contains(now)));
        let enough = spec.accept_days.min(Days::MAX);
        // Who climbed comes back to a wide network later, if at all: telling of it twice tells no more.
        let enough = if self.rung == Rung::Narrow { enough } else { enough.min(CLIMBED_ACCEPT_DAYS) };
        seen >= enough && !self.is_tainted(print, now)
    }

    /// Notes a day on which a value that raised was seen; whether the state changed.
    fn wait(&mut self, spec: &Baseline, print: Print, now: u32) -> bool {
        let pending = &mut self.doubts.get_or_insert_default().pending;
        let before = pending.len();
        pending.retain(|(_, days)| i64::from(days.idle_secs(now)) <= spec.decay_secs);
        let forgot = pending.len() < before;
        if let Some((_, days)) = pending.iter_mut().find(|(other, _)| *other == print) {
            return days.add(now) || forgot;
        }
        if pending.len() >= spec.values_max.max(1) {
            pending.remove(0);
        }
        let mut days = Days::default();
        days.add(now);
        pending.push((print, days));
        true
    }

    /// Makes a value known or refreshes it; whether the state changed.
    fn keep(&mut self, spec: &Baseline, value: Value<'_>, print: Print, now: u32) -> bool {
        match self.values.find(print) {
            Some(known) if now < fresh_until(spec, known.last) => return false,
            Some(_) => {}
            None => self.forget_old(spec, now),
        }
        self.values.see(print, now);
        if let (Value::Address { asn: Some(asn), .. }, Novel::Network { .. }) = (value, &spec.of) {
            self.values.see(Print::system(asn), now);
        }
        if let Some(doubts) = &mut self.doubts {
            doubts.pending.retain(|(other, _)| *other != print);
        }
        self.evict(spec, false);
        self.evict(spec, true);
        self.climb_if_mobile(spec, now);
        true
    }

    /// Values are judged by their age, so that those too old may stay a while: while there are
    /// few they go at each new one, and while there are many when their number doubles a quarter.
    fn forget_old(&mut self, spec: &Baseline, now: u32) {
        let many = self.values.len();
        let due = many < FEW || many.is_multiple_of((many.next_power_of_two() / 8).max(1));
        if spec.returns_after_secs.is_none() && due {
            let before = self.values.len();
            self.values.retain(|_, known| i64::from(now.saturating_sub(known.last)) <= spec.decay_secs);
            self.loses |= self.values.len() < before;
        }
    }

    /// Autonomous systems are noted beside the networks, for the day somebody climbs that far;
    /// they do not count as networks.
    fn is_aside(&self, spec: &Baseline, print: Print) -> bool {
        is_aside(spec, self.rung, print)
    }

    /// Lets the longest unseen go when there are too many, of the values or of those aside: newcomers first,
    /// as long as a tenth of the room is left to them. Of many, some more than need be, so that it is
    /// seldom done.
    fn evict(&mut self, spec: &Baseline, aside: bool) {
        let most = spec.values_max.max(1);
        if self.values.len() <= most {
            return;
        }
        let among = |tier: &[Sighted]| -> Vec<(u32, Print)> {
            let among = tier.iter().filter(|known| self.is_aside(spec, known.print) == aside);
            among.map(|known| (known.last, known.print)).collect()
        };
        let (settled, newcomers) = self.values.tiers();
        let (settled, newcomers) = (among(settled), among(newcomers));
        let over = (settled.len() + newcomers.len()).checked_sub(most).filter(|over| *over > 0);
        let Some(count) = over.map(|over| over.max(most / 64)) else { return };
        let beyond = settled.len().saturating_sub(most - (most / 10).max(1)).min(count);
        let of_newcomers = newcomers.len().min(count - beyond);
        let youngest = (youngest(settled, count - of_newcomers), youngest(newcomers, of_newcomers));
        let rung = self.rung;
        self.values.retain(|is_settled, known| {
            let youngest = if is_settled { youngest.0 } else { youngest.1 };
            is_aside(spec, rung, known.print) != aside || Some((known.last, known.print)) > youngest
        });
        self.loses = true;
    }

    /// Values that still count; of many, those that are kept.
    fn living(&self, spec: &Baseline, now: u32) -> usize {
        if self.values.len() > FEW {
            return self.values.len();
        }
        let living = |known: &&Sighted| {
            spec.returns_after_secs.is_some() || i64::from(now.saturating_sub(known.last)) <= spec.decay_secs
        };
        self.values.iter().filter(living).filter(|known| !self.is_aside(spec, known.print)).count()
    }
}
