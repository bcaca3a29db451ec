//! How rules count one another: which hits are open, who is told when that changes, and which events
//! stand behind one that counts.
//!
//! A correlation that others count notes at which events its condition is met ([`Stage`]). The others
//! take the same events in from the start and count them while they are noted; when a note changes
//! they look at them again. What they find is therefore a function of the set of events too.

use super::brief::Brief;
use super::count::Counting;
use super::entry::Part;
use super::few::Few;
use super::incident::{Incident, Member};
use super::stage::Stage;
use super::words::hasher;
use super::{Context, Engine, State};
use crate::rule::{Kind, RuleSet, Through};
use hashbrown::{HashMap, HashSet};
use keywatch_event::EventTime;
use std::hash::Hasher;
use std::sync::Arc;

/// Most events named as standing behind those of one incident: 100 bytes each. There are
/// [`keywatch_event::EVIDENCE_MAX`] in an alert; the rest make the secrets and the count.
const BEHIND_MAX: usize = 200;

/// How the rules of a set count one another.
#[derive(Debug, Default)]
pub(crate) struct Chains {
    /// By rule: its stage, when others count it.
    stages: Vec<Option<usize>>,
    /// By stage.
    links: Vec<Link>,
    /// By rule: its hits that come through other rules.
    gates: Vec<Box<[Gate]>>,
    /// By rule: how many correlations lie below it. Empty when no rule counts another.
    depths: Vec<usize>,
}

#[derive(Debug)]
struct Link {
    /// Place of the rule.
    rule: usize,
    timespan_secs: i64,
    /// Places of the rules that count it.
    outer: Vec<usize>,
}

/// A hit that is open at the events at which a stage's condition is met.
#[derive(Clone, Copy, Debug)]
struct Gate {
    /// The bit of the hit.
    hit: u64,
    /// Number of the stage; none has it when its rule is not there.
    stage: usize,
    /// Whether it is open only where the condition begins to be met.
    beginning: bool,
}

/// One rule's place among those that count one another.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Chained<'c> {
    chains: &'c Chains,
    stages: &'c [Stage],
    rule: usize,
}

/// The groups that events which come through other rules are in.
#[derive(Debug, Default)]
pub(crate) struct Whereabouts(HashMap<u64, (EventTime, Few<u64>)>);

/// Stands for an event within this process.
pub(crate) fn print(brief: &Brief) -> u64 {
    let mut hash = hasher();
    hash.write_i64(brief.time.unix_nanos());
    hash.write(brief.id.as_bytes());
    hash.finish()
}

impl Chains {
    pub(crate) fn of(rules: &RuleSet) -> Self {
        let mut chains = Self { gates: vec![Box::default(); rules.rules.len()], ..Self::default() };
        for (place, rule) in rules.rules.iter().enumerate() {
            let fed = match &rule.kind {
                Kind::Count(count) => count.feeds_secs.map(|_| count.timespan_secs),
                Kind::Classify(_) | Kind::Silence(_) | Kind::Risk(_) | Kind::Observed(_) => None,
            };
            chains.stages.push(fed.map(|timespan_secs| {
                chains.links.push(Link { rule: place, timespan_secs, outer: Vec::new() });
                chains.links.len() - 1
            }));
        }
        for (outer, rule) in rules.rules.iter().enumerate() {
            let Kind::Count(count) = &rule.kind else { continue };
            let through = count.hits.iter().enumerate();
            let through = through.filter_map(|(at, hit)| Some((at, hit.through.as_ref()?)));
            let gate = |(at, through): (usize, &Through)| {
                let inner = rules.rules.iter().position(|rule| rule.id == through.rule);
                let stage = inner.and_then(|inner| chains.stages.get(inner).copied().flatten());
                Gate {
                    hit: 1 << at.min(63),
                    stage: stage.unwrap_or(usize::MAX),
                    beginning: through.beginning,
                }
            };
            let gates: Box<[Gate]> = through.map(gate).collect();
            for gate in &gates {
                if let Some(link) = chains.links.get_mut(gate.stage)
                    && !link.outer.contains(&outer)
                {
                    link.outer.push(outer);
                }
            }
            if let Some(slot) = chains.gates.get_mut(outer) {
                *slot = gates;
            }
        }
        chains.measure();
        chains
    }

    /// Finds how deep each rule lies. Chains have no circles: as many rounds as there are rules do.
    fn measure(&mut self) {
        if self.links.is_empty() {
            return;
        }
        self.depths = vec![0; self.gates.len()];
        for _ in 0..self.links.len() {
            let depth = |gates: &[Gate]| {
                let below = gates.iter().filter_map(|gate| self.links.get(gate.stage));
                below.filter_map(|link| self.depths.get(link.rule)).max().map_or(0, |depth| depth + 1)
            };
            self.depths = self.gates.iter().map(|gates| depth(gates)).collect();
        }
    }

    /// Puts rules that others count before those that do.
    pub(crate) fn put_in_order(&self, rules: &mut [usize]) {
        if !self.depths.is_empty() {
            rules.sort_by_key(|rule| self.depths.get(*rule).copied().unwrap_or(0));
        }
    }

    fn stage_of(&self, rule: usize) -> Option<usize> {
        self.stages.get(rule).copied().flatten()
    }

    /// How many rules are counted by others.
    pub(crate) fn len(&self) -> usize {
        self.links.len()
    }

    /// The places of the rules that are counted by others, by stage.
    pub(crate) fn counted(&self) -> impl Iterator<Item = usize> {
        self.links.iter().map(|link| link.rule)
    }

    /// What a rule is among the others.
    pub(crate) fn chained<'c>(&'c self, rule: usize, stages: &'c [Stage]) -> Chained<'c> {
        Chained { chains: self, stages, rule }
    }
}

impl Chained<'_> {
    fn gates(&self) -> &[Gate] {
        self.chains.gates.get(self.rule).map_or(&[], |gates| gates)
    }

    /// Whether an event with these hits may come through another rule.
    pub(crate) fn comes_through(&self, hits: u64) -> bool {
        self.gates().iter().any(|gate| gate.hit & hits != 0)
    }

    /// Which of an event's hits count now.
    pub(crate) fn live(&self, hits: u64, brief: &Brief) -> u64 {
        if !self.comes_through(hits) {
            return hits;
        }
        let event = print(brief);
        let is_open = |gate: &Gate| {
            self.stages.get(gate.stage).is_some_and(|stage| stage.is_met(event, gate.beginning))
        };
        let shut = self.gates().iter().filter(|gate| gate.hit & hits != 0 && !is_open(gate));
        shut.fold(hits, |hits, gate| hits & !gate.hit)
    }

    /// What stands behind an incident. What was known of events before `floor` is not found again
    /// and stays.
    pub(crate) fn behind_all(&self, incident: &Incident, floor: Option<EventTime>) -> Vec<Member> {
        let mut found = self.behind(&incident.members);
        let is_old = |member: &&Member| floor.is_some_and(|floor| member.brief.time < floor);
        for old in incident.behind.iter().filter(is_old) {
            let is_there =
                found.iter().any(|member| member.brief.id == old.brief.id) || incident.has(&old.brief);
            if found.len() < BEHIND_MAX && !is_there {
                found.push(old.clone());
            }
        }
        found
    }

    /// The events that stand behind these: those for which the rules in between met their conditions
    /// at them. At most [`BEHIND_MAX`], and none of `members`.
    fn behind(&self, members: &[Member]) -> Vec<Member> {
        if self.gates().is_empty() {
            return Vec::new();
        }
        let seen = members.iter().map(|member| print(&member.brief)).collect();
        let mut walk = Walk { chained: *self, seen, walked: HashSet::new(), found: Vec::new() };
        for member in members {
            walk.go(self.rule, member.live, &member.brief);
        }
        walk.found
    }
}

/// The way from events that count to those behind them.
struct Walk<'w> {
    chained: Chained<'w>,
    /// Events that were found, or need not be.
    seen: HashSet<u64>,
    /// Windows that were gone through: stage, group, and the event at their end.
    walked: HashSet<(usize, u64, u64)>,
    found: Vec<Member>,
}

impl Walk<'_> {
    /// Goes behind an event that counts as these hits of a rule.
    fn go(&mut self, rule: usize, hits: u64, brief: &Brief) {
        let Chained { chains, stages, .. } = self.chained;
        let event = print(brief);
        let gates = chains.gates.get(rule).into_iter().flatten();
        for gate in gates.filter(|gate| gate.hit & hits != 0) {
            let (Some(stage), Some(link)) = (stages.get(gate.stage), chains.links.get(gate.stage)) else {
                continue;
            };
            for group in stage.groups_met(event, gate.beginning) {
                if !self.walked.insert((gate.stage, group, event)) {
                    continue;
                }
                self.go(link.rule, stage.live(group, brief), brief);
                for entry in stage.before(group, brief, link.timespan_secs) {
                    if self.found.len() >= BEHIND_MAX {
                        return;
                    }
                    let other = print(&entry.brief);
                    if self.seen.insert(other) {
                        self.found.push(Member::behind(entry));
                    }
                    self.go(link.rule, entry.live, &entry.brief);
                    // What lies before it was gone through from there.
                    if self.walked.contains(&(gate.stage, group, other)) {
                        break;
                    }
                }
            }
        }
    }
}

impl Whereabouts {
    /// An event is in a group.
    pub(crate) fn note(&mut self, brief: &Brief, group: u64) {
        let (_, groups) = self.0.entry(print(brief)).or_insert_with(|| (brief.time, Few::None));
        if !groups.contains(&group) {
            *groups = groups.iter().copied().chain([group]).collect();
        }
    }

    /// The groups an event is in.
    pub(crate) fn of(&self, brief: &Brief) -> Few<u64> {
        self.0.get(&print(brief)).map(|(_, groups)| groups.clone()).unwrap_or_default()
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// Forgets what lies before `floor`, and what is in no group that is there.
    pub(crate) fn forget(&mut self, floor: Option<EventTime>, is_there: impl Fn(u64) -> bool) {
        self.0.retain(|_, (time, groups)| {
            floor.is_none_or(|floor| *time >= floor) && groups.iter().any(|group| is_there(*group))
        });
    }
}

impl Engine {
    /// Takes an event into a rule that others count, and tells them; whether the rule's condition is
    /// met at it.
    pub(super) fn take_stage(
        &mut self,
        rule: usize,
        context: &Context<'_, '_>,
        part: &Part,
        brief: &Arc<Brief>,
    ) -> bool {
        let dispatch = Arc::clone(&self.dispatch);
        let Some(at) = dispatch.chains.stage_of(rule) else { return false };
        let rules = Arc::clone(&self.rules);
        // It is out of its place, since it looks at the others.
        let mut stage = self.stages.get_mut(at).map(std::mem::take).unwrap_or_default();
        let counting = Counting::of(&rules, &dispatch, rule, &self.stages);
        let met = counting.is_some_and(|counting| stage.take(counting, context, part, brief));
        self.put_back(at, stage);
        self.pass_on(at, &rules);
        met
    }

    fn put_back(&mut self, at: usize, stage: Stage) {
        if let Some(place) = self.stages.get_mut(at) {
            *place = stage;
        }
    }

    /// Tells the rules that count a stage what changed, and on.
    fn pass_on(&mut self, from: usize, rules: &Arc<RuleSet>) {
        let dispatch = Arc::clone(&self.dispatch);
        let mut open = vec![from];
        while let Some(at) = open.pop() {
            let changed = self.stages.get_mut(at).map(Stage::take_changed).unwrap_or_default();
            let link = dispatch.chains.links.get(at).filter(|_| !changed.is_empty());
            for outer in link.into_iter().flat_map(|link| &link.outer) {
                if let Some(above) = dispatch.chains.stage_of(*outer) {
                    let mut stage = self.stages.get_mut(above).map(std::mem::take).unwrap_or_default();
                    if let Some(counting) = Counting::of(rules, &dispatch, *outer, &self.stages) {
                        stage.look_again(counting, &changed);
                    }
                    self.put_back(above, stage);
                    open.push(above);
                }
                let counting = Counting::of(rules, &dispatch, *outer, &self.stages);
                if let (Some(counting), Some(State::Count(state))) = (counting, self.states.get_mut(*outer)) {
                    state.look_again_at(counting, &changed);
                }
            }
        }
    }
}
