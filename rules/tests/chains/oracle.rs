//! What the rules of `rules.yml` find, by looking at all events for each question anew.
//!
//! It is written from the documentation (`rules/README.md`) and Sigma's specification, knows nothing of the
//! engine, and computes in whole millionths, so that no rounding hides in it.

use super::form::{Counts, Escalate, Of, Rule, Step};
use super::happening::Happening;
use std::cell::RefCell;
use std::collections::{BTreeSet, HashMap};

/// An alert.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Raised {
    pub(crate) rule: String,
    pub(crate) opened: i64,
    pub(crate) first: i64,
    pub(crate) last: i64,
    pub(crate) events: u64,
    pub(crate) evidence: Vec<String>,
    pub(crate) level: &'static str,
    /// What the condition came to at most, where it was met.
    pub(crate) observed: String,
}

/// A comparison with a number of millionths.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Op {
    Gte,
    Gt,
    Lte,
    Lt,
    Eq,
    Neq,
}

/// Values that separate counts.
pub(crate) type Group = Vec<u8>;

/// A number as a fraction: millionths, and of how many.
type Fraction = (i128, i128);

const KEEP_ALIVE: i64 = 180;
const MAX_DURATION: i64 = 2400;
const EVIDENCE_MAX: usize = 20;
/// So many of them are the latest.
const LATEST: usize = 5;
const LEVELS: [&str; 3] = ["warning", "high", "critical"];
pub(crate) const ONE: i64 = 1_000_000;

/// A rule, a group of it and an event.
type Place = (&'static str, Group, String);

/// All events, in order.
pub(crate) struct Oracle {
    events: Vec<Happening>,
    /// What was found out before: the questions are many, and always the same.
    known_hits: RefCell<HashMap<Place, Vec<usize>>>,
    known_met: RefCell<HashMap<Place, bool>>,
}

impl Oracle {
    pub(crate) fn new(history: &[Happening]) -> Self {
        let mut events = history.to_vec();
        events.sort();
        Self { events, known_hits: RefCell::default(), known_met: RefCell::default() }
    }

    pub(crate) fn raised(&self, rules: &'static [Rule]) -> Vec<Raised> {
        rules.iter().flat_map(|rule| self.alerts(rule)).collect()
    }

    /// Which of what a rule counts the event is, in that group. None when it is explained.
    fn hits(&self, rule: &'static Rule, group: &Group, event: &Happening) -> Vec<usize> {
        let place = (rule.name, group.clone(), event.id.clone());
        if let Some(known) = self.known_hits.borrow().get(&place) {
            return known.clone();
        }
        let is =
            |at: &usize| (rule.group)(event, *at).contains(group) && self.occurs(&rule.counts[*at], event);
        let mut hits: Vec<usize> = (0..rule.counts.len()).filter(is).collect();
        if self.is_explained(rule, event) {
            hits.clear();
        }
        self.known_hits.borrow_mut().insert(place, hits.clone());
        hits
    }

    fn occurs(&self, counts: &Counts, event: &Happening) -> bool {
        match counts {
            Counts::Detected(is) => is(event),
            Counts::Met(rule) => groups(rule, event).iter().any(|group| self.is_met(rule, group, event)),
            Counts::Begins(rule) => groups(rule, event).iter().any(|group| self.begins(rule, group, event)),
        }
    }

    fn counted(&self, rule: &'static Rule, group: &Group, event: &Happening) -> bool {
        !self.hits(rule, group, event).is_empty()
    }

    /// Whether an event that waits for an explanation has one.
    fn is_explained(&self, rule: &'static Rule, event: &Happening) -> bool {
        let Some(hold) = &rule.hold else { return false };
        let waits = |other: &&Happening| {
            (hold.when)(other)
                && rule.counts.iter().any(|counts| is_behind(counts, other))
                && (hold.on)(other) == (hold.on)(event)
                && (other.secs - event.secs).abs() <= hold.secs
        };
        let from = if hold.before_too { event.secs - hold.secs } else { event.secs };
        let explains = |other: &Happening| {
            (hold.cleared_by)(other)
                && (hold.on)(other) == (hold.on)(event)
                && (from..=event.secs + hold.secs).contains(&other.secs)
        };
        (hold.when)(event)
            && self.events.iter().any(explains)
            && self.events.iter().filter(waits).count() < hold.unless_count
    }

    /// What counts of that group in the window that ends with the event.
    fn window(&self, rule: &'static Rule, group: &Group, event: &Happening) -> Vec<&Happening> {
        let near = |other: &&Happening| *other <= event && other.secs >= event.secs - rule.span;
        self.events.iter().filter(near).filter(|other| self.counted(rule, group, other)).collect()
    }

    /// Whether the condition is looked at when the event came: at once, or when its instant is complete.
    fn is_looked_at(&self, rule: &'static Rule, group: &Group, event: &Happening) -> bool {
        let later = |other: &&Happening| *other > event && other.secs == event.secs;
        !rule.can_end() || !self.events.iter().filter(later).any(|other| self.counted(rule, group, other))
    }

    /// Whether the condition is met at the event.
    fn is_met(&self, rule: &'static Rule, group: &Group, event: &Happening) -> bool {
        let place = (rule.name, group.clone(), event.id.clone());
        if let Some(known) = self.known_met.borrow().get(&place) {
            return *known;
        }
        let met = self.counted(rule, group, event) && self.is_looked_at(rule, group, event) && {
            let window = self.window(rule, group, event);
            let holds = |of: &Of, bounds: &[(Op, i64)]| {
                self.comes_to(rule, group, (of, &window)).is_some_and(|value| all_hold(value, bounds))
            };
            holds(&rule.of, rule.bounds)
                && (rule.any.is_empty() || rule.any.iter().any(|(of, bounds)| holds(of, bounds)))
        };
        self.known_met.borrow_mut().insert(place, met);
        met
    }

    /// Whether it is met, and was not when it was looked at before in its window.
    fn begins(&self, rule: &'static Rule, group: &Group, event: &Happening) -> bool {
        let window = self.window(rule, group, event);
        let mut before = window.iter().rev().skip(1).filter(|before| self.is_looked_at(rule, group, before));
        self.is_met(rule, group, event)
            && !before.next().is_some_and(|before| self.is_met(rule, group, before))
    }

    /// What a window comes to; nothing when it holds no number.
    fn comes_to(
        &self,
        rule: &'static Rule,
        group: &Group,
        (of, window): (&Of, &[&Happening]),
    ) -> Option<Fraction> {
        let count = |count: usize| Some((count as i128 * i128::from(ONE), 1));
        let mut numbers: Vec<i128> =
            window.iter().flat_map(|event| event.numbers()).map(|number| i128::from(*number)).collect();
        numbers.sort_unstable();
        let (sum, many) = (numbers.iter().sum::<i128>(), numbers.len());
        match of {
            Of::Events => count(window.len()),
            Of::Matching(is) => count(window.iter().filter(|event| is(event)).count()),
            Of::Values(values) => {
                let each = window.iter().flat_map(|event| {
                    self.hits(rule, group, event).into_iter().flat_map(|at| values(event, at))
                });
                count(each.collect::<BTreeSet<Group>>().len())
            }
            Of::Present { holds, .. } => {
                let occurred =
                    |at: usize| window.iter().any(|event| self.hits(rule, group, event).contains(&at));
                count(usize::from(holds(&(0..rule.counts.len()).map(occurred).collect::<Vec<_>>())))
            }
            Of::Ordered(steps) => {
                let entries: Vec<(&Happening, Vec<usize>)> =
                    window.iter().map(|event| (*event, self.hits(rule, group, event))).collect();
                let nothing = BTreeSet::new();
                count(usize::from(follow((steps, 0), &nothing, i64::MIN, &mut Vec::new(), &entries)))
            }
            _ if many == 0 => None,
            Of::Sum => Some((sum, 1)),
            Of::Average => Some((sum, many as i128)),
            Of::Median => Some((numbers[(many - 1) / 2] + numbers[many / 2], 2)),
            // The smallest of the numbers that so many in a hundred of them do not exceed.
            Of::Percentile(percent) => {
                let up_to = |number: &&i128| numbers.iter().filter(|other| *other <= *number).count();
                numbers.iter().find(|number| 100 * up_to(number) >= percent * many).map(|number| (*number, 1))
            }
        }
    }

    /// The events for which the rules in between are met at this one.
    fn behind(&self, rule: &'static Rule, group: &Group, event: &Happening) -> BTreeSet<Happening> {
        let mut all = BTreeSet::new();
        for at in self.hits(rule, group, event) {
            let (inner, beginning) = match &rule.counts[at] {
                Counts::Detected(_) => continue,
                Counts::Met(inner) => (*inner, false),
                Counts::Begins(inner) => (*inner, true),
            };
            for group in groups(inner, event) {
                let met = self.is_met(inner, &group, event);
                if met && (!beginning || self.begins(inner, &group, event)) {
                    for other in self.window(inner, &group, event) {
                        all.insert(other.clone());
                        all.extend(self.behind(inner, &group, other));
                    }
                }
            }
        }
        all
    }

    fn alerts(&self, rule: &'static Rule) -> Vec<Raised> {
        let each: BTreeSet<Group> = self.events.iter().flat_map(|event| groups(rule, event)).collect();
        each.iter().flat_map(|group| self.alerts_of(rule, group)).collect()
    }

    fn alerts_of(&self, rule: &'static Rule, group: &Group) -> Vec<Raised> {
        let mut incidents: Vec<(&Happening, Vec<&Happening>)> = Vec::new();
        for event in self.events.iter().filter(|event| self.counted(rule, group, event)) {
            let is_open = |members: &[&Happening]| {
                let secs = || members.iter().map(|member| member.secs);
                secs().max().is_some_and(|last| event.secs <= last + KEEP_ALIVE)
                    && secs().min().is_some_and(|first| event.secs <= first + MAX_DURATION)
            };
            match incidents.iter_mut().find(|(_, members)| is_open(members)) {
                Some((_, members)) => members.push(event),
                None if self.is_met(rule, group, event) => {
                    incidents.push((event, self.window(rule, group, event)));
                }
                None => {}
            }
        }
        incidents.iter().map(|(opener, members)| self.alert((rule, group), opener, members)).collect()
    }

    fn alert(
        &self,
        (rule, group): (&'static Rule, &Group),
        opener: &Happening,
        members: &[&Happening],
    ) -> Raised {
        let mut all: BTreeSet<Happening> = members.iter().map(|member| (*member).clone()).collect();
        for member in members {
            all.extend(self.behind(rule, group, member));
        }
        let mut evidence: Vec<String> = all.iter().map(|event| event.id.clone()).collect();
        let latest = evidence.split_off(evidence.len().saturating_sub(LATEST));
        let most = EVIDENCE_MAX - latest.len();
        if let Some(at) = evidence.iter().position(|id| *id == opener.id).filter(|at| *at >= most) {
            evidence.swap(most - 1, at);
        }
        evidence.truncate(most);
        evidence.extend(latest);
        let since = members.iter().filter(|member| **member >= opener);
        let seen = since.filter_map(|member| {
            let value = self.comes_to(rule, group, (&rule.of, &self.window(rule, group, member)))?;
            all_hold(value, rule.bounds).then(|| shown(value))
        });
        Raised {
            rule: rule.name.to_owned(),
            opened: opener.secs,
            first: all.first().map_or(0, |event| event.secs),
            last: members.iter().map(|member| member.secs).max().unwrap_or(0),
            events: all.len() as u64,
            evidence,
            level: level(rule, opener, members),
            observed: seen.fold(f64::NEG_INFINITY, f64::max).to_string(),
        }
    }
}

/// The groups of a rule that an event falls into, whatever it is to the rule.
fn groups(rule: &Rule, event: &Happening) -> Vec<Group> {
    let all: BTreeSet<Group> = (0..rule.counts.len()).flat_map(|at| (rule.group)(event, at)).collect();
    all.into_iter().collect()
}

/// Whether the event is one of those that what is counted comes from in the end.
fn is_behind(counts: &Counts, event: &Happening) -> bool {
    match counts {
        Counts::Detected(is) => is(event),
        Counts::Met(rule) | Counts::Begins(rule) => rule.counts.iter().any(|counts| is_behind(counts, event)),
    }
}

fn all_hold((millionths, of): Fraction, bounds: &[(Op, i64)]) -> bool {
    bounds.iter().all(|(op, bound)| {
        let bound = i128::from(*bound) * of;
        match op {
            Op::Gte => millionths >= bound,
            Op::Gt => millionths > bound,
            Op::Lte => millionths <= bound,
            Op::Lt => millionths < bound,
            Op::Eq => millionths == bound,
            Op::Neq => millionths != bound,
        }
    })
}

#[expect(clippy::cast_precision_loss, reason = "as close as an alert shows it")]
fn shown((millionths, of): Fraction) -> f64 {
    millionths as f64 / (ONE as f64 * of as f64)
}

/// Whether the steps from the one at `at` on can be done, with `seen` for it already, by events at or after
/// `from` that were not used.
fn follow<'e>(
    (steps, at): (&[Step], usize),
    seen: &BTreeSet<Vec<u8>>,
    from: i64,
    used: &mut Vec<&'e str>,
    entries: &'e [(&Happening, Vec<usize>)],
) -> bool {
    let Some(step) = steps.get(at) else { return true };
    for (event, hits) in entries {
        if event.secs < from || !hits.contains(&at) || used.contains(&event.id.as_str()) {
            continue;
        }
        let mut now = seen.clone();
        match step.values {
            Some(values) => now.extend(values(event)),
            None => _ = now.insert(event.id.clone().into_bytes()),
        }
        if now.len() == seen.len() {
            continue;
        }
        used.push(&event.id);
        let done = now.len() >= step.least;
        let rest = if done { BTreeSet::new() } else { now };
        let can = follow((steps, at + usize::from(done)), &rest, event.secs, used, entries);
        used.pop();
        if can {
            return true;
        }
    }
    false
}

/// The highest level that what came together asks for, when the incident opened or an event joined.
fn level(rule: &Rule, opener: &Happening, members: &[&Happening]) -> &'static str {
    let asked = |(upto, member): (usize, &&Happening)| {
        let reached = |escalate: &&Escalate| {
            let since = escalate.within.map_or(i64::MIN, |within| member.secs - within);
            let recent = members[..=upto].iter().filter(|member| member.secs >= since);
            let found = match &escalate.of {
                Of::Matching(is) => recent.filter(|event| is(event)).count(),
                Of::Values(values) => {
                    recent.flat_map(|event| values(event, 0)).collect::<BTreeSet<_>>().len()
                }
                // No escalation counts anything else.
                Of::Events
                | Of::Sum
                | Of::Average
                | Of::Median
                | Of::Percentile(_)
                | Of::Present { .. }
                | Of::Ordered(_) => recent.count(),
            };
            found >= escalate.least
        };
        rule.escalate.iter().filter(reached).map(|escalate| escalate.to).max().unwrap_or(0)
    };
    let since = members.iter().enumerate().filter(|(_, member)| **member >= opener);
    let highest = since.map(asked).max().unwrap_or(0);
    LEVELS[highest.max(rule.level)]
}
