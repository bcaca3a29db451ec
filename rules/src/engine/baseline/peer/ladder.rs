//! Who moves a lot is judged by wider networks, rung by rung, and in the end not at all.
//!
//! There are two ways up: many networks within a short time, and somewhere new day after day. Nobody climbs down.

use super::super::Judgement;
use super::super::days::DAY_SECS;
use super::super::moves::Moves;
use super::super::value::{Print, Rung};
use super::super::values::Sighted;
use super::Peer;
use crate::rule::{Baseline, Novel};

impl Peer {
    pub(super) fn climb_if_mobile(&mut self, spec: &Baseline, now: u32) {
        let Novel::Network { mobile_networks, mobile_within_secs, .. } = spec.of else { return };
        let recent = |known: &&Sighted| i64::from(now.saturating_sub(known.last)) <= mobile_within_secs;
        let networks = self.values.iter().filter(|known| !self.is_aside(spec, known.print));
        if mobile_networks > 0 && networks.filter(recent).count() >= mobile_networks {
            self.climb();
        }
    }

    /// Notes whether it moved or stayed that day. At its first rung a day on which it was at home is no move,
    /// whatever else it did on it: a thief who has the credential does not keep its owner away. Who climbed
    /// already has no home, and moves on each day with something new.
    pub(super) fn note_day(
        &mut self,
        spec: &Baseline,
        judgement: &Judgement,
        (print, now): (Print, u32),
        may_move: bool,
    ) -> bool {
        if !matches!(spec.of, Novel::Network { mobile_days: 1.., .. }) {
            return false;
        }
        let has_home = self.rung == Rung::Narrow;
        let was_here = |last: u32| last / DAY_SECS < now / DAY_SECS;
        match judgement {
            // Whoever has both protocols keeps a network of one while the other changes.
            Judgement::Known { .. } | Judgement::Exempt | Judgement::Accepted
                if has_home && print.is_v6() =>
            {
                false
            }
            Judgement::Known { .. } | Judgement::Exempt => {
                self.last_sight(print).is_some_and(was_here) && self.moves.stay(now, has_home)
            }
            Judgement::Accepted => self.moves.stay(now, has_home),
            Judgement::Learning
            | Judgement::Immature
            | Judgement::New { .. }
            | Judgement::Returned { .. } => {
                let mut waits = self.doubts.iter().flat_map(|doubts| &doubts.pending);
                let before = waits.find(|(other, _)| *other == print).map(|(_, days)| *days);
                // What was told of on another day is somewhere to come back to.
                if has_home && before.is_some_and(|days| days.len() > 1 || !days.contains(now)) {
                    return self.moves.stay(now, has_home);
                }
                // Where somebody is seen first is no move.
                may_move && !self.values.is_empty() && self.moves.go(now, has_home)
            }
            Judgement::Mobile => false,
        }
    }

    /// Who comes from somewhere new day after day, however seldom, climbs as who does so often.
    pub(super) fn climb_if_moving(&mut self, spec: &Baseline) {
        if let Novel::Network { mobile_days, mobile_of_days, .. } = spec.of
            && mobile_days > 0
            && self.moves.are_many(mobile_days, mobile_of_days)
        {
            // Where wider networks are about as many, it would be told of once more for each.
            let twice = self.rung == Rung::Narrow && self.is_scattered(spec);
            let told_of = self.doubts.as_mut().map(|doubts| std::mem::take(&mut doubts.pending));
            self.climb();
            if twice {
                self.climb();
            }
            // What made it climb was told of, and is its usual way now.
            for (print, days) in told_of.unwrap_or_default() {
                let print = if twice { print.widened() } else { print };
                if matches!(self.rung, Rung::Wide | Rung::Block) {
                    self.values.see(print.widened(), days.latest());
                }
            }
        }
    }

    /// Whether less than a quarter of its networks, known or told of, fall together when they are widened.
    fn is_scattered(&self, spec: &Baseline) -> bool {
        let known = self.values.iter().map(|known| known.print).filter(|print| !self.is_aside(spec, *print));
        let told_of = self.doubts.iter().flat_map(|doubts| &doubts.pending).map(|(print, _)| *print);
        let mut wide: Vec<Print> = known.chain(told_of).map(Print::widened).collect();
        let many = wide.len();
        wide.sort_unstable();
        wide.dedup();
        4 * wide.len() > 3 * many
    }

    /// One rung up: wider networks, then autonomous systems if any is known and blocks of addresses if none is,
    /// then none at all.
    fn climb(&mut self) {
        let knows_systems = self.values.iter().any(|known| known.print.is_system());
        let values = std::mem::take(&mut self.values);
        let (settled, newcomers) = values.tiers();
        let tiers = settled.iter().map(|known| (known, true));
        let tiers = tiers.chain(newcomers.iter().map(|known| (known, false)));
        self.loses = true;
        self.rung = match self.rung {
            Rung::Narrow => Rung::Wide,
            Rung::Wide | Rung::Block if knows_systems => Rung::System,
            Rung::Wide => Rung::Block,
            Rung::Block | Rung::System | Rung::Mobile => Rung::Mobile,
        };
        self.moves = Moves::default();
        for (known, is_settled) in tiers {
            match self.rung {
                Rung::Wide | Rung::Block => {
                    let wider = Sighted { print: known.print.widened(), ..*known };
                    self.values.put(wider, is_settled);
                }
                Rung::System if known.print.is_system() => self.values.put(*known, is_settled),
                Rung::Narrow | Rung::System | Rung::Mobile => {}
            }
        }
        if let Some(doubts) = &mut self.doubts {
            doubts.pending.clear();
            for (print, _) in &mut doubts.tainted {
                *print = print.widened();
            }
        }
    }
}
