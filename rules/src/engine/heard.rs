//! Who hears of an event, made once for every set of matchers that hold together.
//!
//! Most events match what an event a moment ago matched: which rules and baselines listen, which of
//! a rule's hits are met and which words are needed follow from that alone. Knows no event.

use super::words::Combination;
use super::{Dispatch, Found};
use crate::rule::{Count, Counted, Hit, Kind, MatcherId, RuleSet};
use hashbrown::HashMap;
use std::sync::Arc;

/// Most sets remembered; all are forgotten when there are more. One is about 1.5 kB with the whole
/// catalogue, and a day of one organisation has some dozens.
const SETS_MAX: usize = 1_000;

/// What follows from the matchers that hold for an event.
#[derive(Debug)]
pub(super) struct Heard {
    /// Rules that listen, in order.
    pub(super) rules: Vec<Hearing>,
    /// Tells it from every other.
    pub(super) number: u64,
    /// Baselines that listen, in order.
    pub(super) baselines: Vec<usize>,
    /// Whether one of them is to learn nothing of the event's values.
    pub(super) taints: bool,
    /// What baselines learn of, and for whom, each once; and for whom alone.
    pub(super) learned: Vec<Combination>,
    pub(super) about: Vec<Combination>,
    /// Rules with a group for each event that means something to them, and what groups it.
    pub(super) groups: Vec<(usize, Combination)>,
    /// The words that rules and baselines ask for.
    pub(super) words: Vec<Combination>,
    /// How many rules say something of the event, whatever is new about it.
    pub(super) says: usize,
    /// Whether the event enters a window or a stream that may fall silent, whatever is new about it. What is
    /// remembered of an event costs more than to judge it, and is else made when a rule keeps it.
    pub(super) enters: bool,
}

/// What the event is to one rule.
#[derive(Clone, Copy, Debug)]
pub(super) struct Hearing {
    pub(super) rule: usize,
    /// Whether the rule listens to novelty.
    pub(super) is_novel: bool,
    /// Whether the event means nothing to it unless it brings something new.
    pub(super) is_only_novel: bool,
    /// Hits that are met: bit n for hit n.
    pub(super) hits: u64,
    /// Hits that are met when the event brings something new.
    pub(super) novel_hits: u64,
    /// Which measured quantities count the event because it matches.
    pub(super) adds: u64,
    /// How long it matters because it explains others, or tells of the life of a secret.
    pub(super) witnessed_secs: Option<i64>,
}

/// Sets of matchers, with what follows from each.
#[derive(Debug, Default)]
pub(super) struct Audiences {
    known: HashMap<Box<[MatcherId]>, Arc<Heard>>,
    /// How many were ever made.
    made: u64,
}

impl Audiences {
    /// Who hears of what matched `found`.
    pub(super) fn of(&mut self, dispatch: &Dispatch, rules: &RuleSet, found: &Found) -> Arc<Heard> {
        if let Some(heard) = self.known.get(found.ids.as_slice()) {
            return Arc::clone(heard);
        }
        if self.known.len() >= SETS_MAX {
            self.known.clear();
        }
        self.made += 1;
        let heard = Arc::new(Heard { number: self.made, ..Heard::of(dispatch, rules, found) });
        self.known.insert(found.ids.as_slice().into(), Arc::clone(&heard));
        heard
    }
}

impl Heard {
    fn of(dispatch: &Dispatch, rules: &RuleSet, found: &Found) -> Self {
        let mut listening = listeners(&dispatch.rules, found);
        dispatch.chains.put_in_order(&mut listening);
        let baselines = listeners(&dispatch.baselines, found);
        let mut words = Vec::new();
        let mut make = |which: Combination| {
            if !words.contains(&which) {
                words.push(which);
            }
        };
        for rule in &listening {
            if let (Some(asks), Some(Kind::Count(count))) =
                (dispatch.asks(*rule), rules.rules.get(*rule).map(|rule| &rule.kind))
            {
                asks.each(count, found, &mut make);
            }
        }
        let (mut learned, mut about) = (Vec::new(), Vec::new());
        for (per, of) in baselines.iter().filter_map(|at| dispatch.sights.get(*at)) {
            about.push(*per);
            learned.extend([Some(*per), *of].into_iter().flatten());
        }
        for which in [&mut about, &mut learned] {
            which.sort_unstable();
            which.dedup();
        }
        learned.iter().copied().for_each(&mut make);
        let taints = |at: &usize| rules.baselines.get(*at)?.taints.filter(|taints| found.has(*taints));
        let taints = baselines.iter().any(|at| taints(at).is_some());
        let heard = |at: &usize| Some(Hearing::of(*at, &rules.rules.get(*at)?.kind, dispatch, found));
        let hearings: Vec<Hearing> = listening.iter().filter_map(heard).collect();
        let enters = |hearing: &Hearing| match rules.rules.get(hearing.rule).map(|rule| &rule.kind) {
            Some(Kind::Count(_)) => hearing.hits != 0,
            Some(Kind::Silence(_)) => true,
            Some(Kind::Classify(_) | Kind::Risk(_) | Kind::Observed(_)) | None => false,
        };
        let enters = hearings.iter().any(enters);
        let says = |hearing: &&Hearing| {
            let kind = rules.rules.get(hearing.rule).map(|rule| &rule.kind);
            hearing.hits != 0 && matches!(kind, Some(Kind::Classify(_)))
        };
        let says = hearings.iter().filter(says).count();
        let groups = |hearing: &Hearing| {
            let Kind::Count(count) = &rules.rules.get(hearing.rule)?.kind else { return None };
            let has_many = matches!(count.condition.of, Counted::Events | Counted::Distinct(_));
            let which = dispatch.asks(hearing.rule)?.group(hearing.hits)?;
            (hearing.hits != 0 && has_many).then_some((hearing.rule, which))
        };
        let groups = hearings.iter().filter_map(groups).collect();
        Self { number: 0, rules: hearings, baselines, taints, learned, about, groups, words, says, enters }
    }
}

impl Hearing {
    fn of(rule: usize, kind: &Kind, dispatch: &Dispatch, found: &Found) -> Self {
        let hits = match kind {
            Kind::Classify(hit) => std::slice::from_ref(hit),
            Kind::Count(count) => count.hits.as_slice(),
            Kind::Silence(_) | Kind::Risk(_) | Kind::Observed(_) => &[],
        };
        let met = |novel: bool| {
            let met = |hit: &Hit| found.has(hit.matcher) && hit.novel.is_some() == novel;
            let met = hits.iter().enumerate().filter(|(_, hit)| met(hit));
            met.fold(0_u64, |mask, (at, _)| mask | 1 << at.min(63))
        };
        let count = match kind {
            Kind::Count(count) => Some(count.as_ref()),
            Kind::Classify(_) | Kind::Silence(_) | Kind::Risk(_) | Kind::Observed(_) => None,
        };
        let is_novel = dispatch.novel.get(rule).copied().unwrap_or(false);
        let (hits, witnessed_secs) = (met(false), count.and_then(|count| count.witnessed_secs(found)));
        let attached = count.is_some_and(|count| count.attach.iter().any(|one| found.has(one.matcher)));
        Self {
            rule,
            is_novel,
            is_only_novel: is_novel && hits == 0 && witnessed_secs.is_none() && !attached,
            hits,
            novel_hits: met(true),
            adds: count.map_or(0, |count| count.adds(found)),
            witnessed_secs,
        }
    }
}

/// Who listens to what was found, each once, in order.
fn listeners(table: &[Vec<usize>], found: &Found) -> Vec<usize> {
    let mut all: Vec<usize> =
        found.ids.iter().flat_map(|id| table.get(id.0).into_iter().flatten()).copied().collect();
    all.sort_unstable();
    all.dedup();
    all
}

impl Count {
    /// Which measured quantities count the event because it matches.
    fn adds(&self, found: &Found) -> u64 {
        let adds = |of: &Counted| matches!(of, Counted::Matching(matcher) if found.has(*matcher));
        let quantities = self.measured().take(64).enumerate();
        quantities.filter(|(_, of)| adds(of)).fold(0, |all, (at, _)| all | 1 << at)
    }

    /// How long an event matters that explains others, or tells of the life of a secret, while none is known
    /// that it changes: as long as those that raise nothing. `None` when it does neither.
    fn witnessed_secs(&self, found: &Found) -> Option<i64> {
        let clears = self.hold.as_ref().filter(|hold| found.has(hold.cleared_by)).map(|hold| hold.secs);
        let tells = |lower: &&crate::rule::Lower| found.has(lower.created_by) || found.has(lower.read_by);
        let lives = self.lower.as_ref().filter(tells).map(|lower| lower.within_secs);
        clears.max(lives).map(|secs| secs + self.matters_secs(false))
    }
}
