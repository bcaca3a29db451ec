//! What the rules of `rules.yml` find, by looking at all events for each question anew.

use std::collections::BTreeSet;

/// An event.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Happening {
    pub(crate) secs: i64,
    pub(crate) id: String,
    pub(crate) denied: bool,
    pub(crate) who: u8,
    pub(crate) ip: u8,
    pub(crate) secret: u8,
}

/// An alert.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Raised {
    pub(crate) rule: String,
    pub(crate) opened: i64,
    pub(crate) first: i64,
    pub(crate) last: i64,
    pub(crate) events: u64,
    pub(crate) evidence: Vec<String>,
}

/// What a rule counts.
#[derive(Clone, Copy)]
enum Counts {
    Refused,
    Success,
    /// Events at which another is met, or with `true` begins to be.
    Other(&'static Rule, bool),
}

enum When {
    /// The number of events is at least the first and below the second.
    Events(usize, usize),
    /// So many values.
    Values(fn(&Happening) -> u8, usize),
    /// Each, in this order.
    InOrder,
    /// Each.
    All,
    /// The first and not the second.
    OneNotOther,
}

struct Rule {
    name: &'static str,
    counts: &'static [Counts],
    group: fn(&Happening) -> (u8, u8),
    span: i64,
    when: When,
}

const ANY: u8 = u8::MAX;
const WHO: fn(&Happening) -> (u8, u8) = |event| (event.who, ANY);
const IP: fn(&Happening) -> (u8, u8) = |event| (ANY, event.ip);
const MANY: usize = usize::MAX;

static BURST: Rule = Rule {
    name: "burst",
    counts: &[Counts::Refused],
    group: |event| (event.who, event.ip),
    span: 120,
    when: When::Events(3, MANY),
};
static FEW: Rule =
    Rule { name: "few", counts: &[Counts::Refused], group: WHO, span: 120, when: When::Events(1, 3) };
static WIDE: Rule = Rule {
    name: "wide",
    counts: &[Counts::Refused],
    group: IP,
    span: 120,
    when: When::Values(|event| event.secret, 3),
};
static TWO_BURSTS: Rule = Rule {
    name: "two_bursts",
    counts: &[Counts::Other(&BURST, true)],
    group: WHO,
    span: 900,
    when: When::Events(2, MANY),
};
static RAISING: [Rule; 6] = [
    Rule {
        name: "then_in",
        counts: &[Counts::Other(&BURST, false), Counts::Success],
        group: WHO,
        span: 300,
        when: When::InOrder,
    },
    Rule {
        name: "twice_then_in",
        counts: &[Counts::Other(&TWO_BURSTS, false), Counts::Success],
        group: WHO,
        span: 600,
        when: When::InOrder,
    },
    Rule {
        name: "never_in",
        counts: &[Counts::Other(&BURST, false), Counts::Success],
        group: WHO,
        span: 180,
        when: When::OneNotOther,
    },
    Rule {
        name: "one_address",
        counts: &[Counts::Other(&BURST, false)],
        group: IP,
        span: 300,
        when: When::Values(|event| event.who, 2),
    },
    Rule {
        name: "few_beside_wide",
        counts: &[Counts::Other(&FEW, false), Counts::Other(&WIDE, false)],
        group: IP,
        span: 240,
        when: When::All,
    },
    Rule {
        name: "wide_then_in",
        counts: &[Counts::Other(&WIDE, false), Counts::Success],
        group: WHO,
        span: 300,
        when: When::InOrder,
    },
];

const KEEP_ALIVE: i64 = 180;
const MAX_DURATION: i64 = 2400;
const EVIDENCE_MAX: usize = 20;

/// All events, in order.
pub(crate) struct Oracle(Vec<Happening>);

impl Oracle {
    pub(crate) fn new(history: &[Happening]) -> Self {
        let mut events = history.to_vec();
        events.sort();
        Self(events)
    }

    pub(crate) fn raised(&self) -> Vec<Raised> {
        RAISING.iter().flat_map(|rule| self.alerts(rule)).collect()
    }

    fn occurs(&self, counts: Counts, event: &Happening) -> bool {
        match counts {
            Counts::Refused => event.denied,
            Counts::Success => !event.denied,
            Counts::Other(rule, false) => self.is_met(rule, event),
            Counts::Other(rule, true) => self.begins(rule, event),
        }
    }

    fn counted(&self, rule: &Rule, event: &Happening) -> bool {
        rule.counts.iter().any(|counts| self.occurs(*counts, event))
    }

    /// What counts, of the group of `event`, in the window that ends with it.
    fn window(&self, rule: &Rule, event: &Happening) -> Vec<&Happening> {
        let near = |other: &&Happening| {
            *other <= event
                && other.secs >= event.secs - rule.span
                && (rule.group)(other) == (rule.group)(event)
        };
        self.0.iter().filter(near).filter(|other| self.counted(rule, other)).collect()
    }

    /// Whether the condition is met at the event.
    fn is_met(&self, rule: &Rule, event: &Happening) -> bool {
        let window = self.window(rule, event);
        if window.last() != Some(&event) {
            return false;
        }
        // A condition that more may make untrue is looked at when an instant is complete.
        let can_end = matches!(rule.when, When::Events(_, below) if below < MANY)
            || matches!(rule.when, When::OneNotOther);
        let at_once = |other: &&Happening| {
            *other > event && other.secs == event.secs && (rule.group)(other) == (rule.group)(event)
        };
        if can_end && self.0.iter().filter(at_once).any(|other| self.counted(rule, other)) {
            return false;
        }
        let first = |at: usize, from: i64| {
            window.iter().find(|other| other.secs >= from && self.occurs(rule.counts[at], other))
        };
        match rule.when {
            When::Events(least, below) => (least..below).contains(&window.len()),
            When::Values(of, least) => {
                window.iter().map(|event| of(event)).collect::<BTreeSet<u8>>().len() >= least
            }
            When::InOrder => first(0, i64::MIN).is_some_and(|one| first(1, one.secs).is_some()),
            When::All => (0..rule.counts.len()).all(|at| first(at, i64::MIN).is_some()),
            When::OneNotOther => first(0, i64::MIN).is_some() && first(1, i64::MIN).is_none(),
        }
    }

    /// Whether it is met, and was not at what counted before it in its window.
    fn begins(&self, rule: &Rule, event: &Happening) -> bool {
        let window = self.window(rule, event);
        let before = window.iter().rev().nth(1);
        self.is_met(rule, event) && !before.is_some_and(|before| self.is_met(rule, before))
    }

    /// The events for which the rules in between are met at this one.
    fn behind(&self, rule: &Rule, event: &Happening) -> BTreeSet<Happening> {
        let mut all = BTreeSet::new();
        for counts in rule.counts {
            if let Counts::Other(inner, _) = counts
                && self.occurs(*counts, event)
            {
                for other in self.window(inner, event) {
                    all.insert(other.clone());
                    all.extend(self.behind(inner, other));
                }
            }
        }
        all
    }

    fn alerts(&self, rule: &Rule) -> Vec<Raised> {
        let mut incidents: Vec<(&Happening, Vec<&Happening>)> = Vec::new();
        for event in self.0.iter().filter(|event| self.counted(rule, event)) {
            let is_open = |members: &[&Happening]| {
                let secs = || members.iter().map(|member| member.secs);
                secs().max().is_some_and(|last| event.secs <= last + KEEP_ALIVE)
                    && secs().min().is_some_and(|first| event.secs <= first + MAX_DURATION)
            };
            let same = |opener: &Happening| (rule.group)(opener) == (rule.group)(event);
            let open = incidents.iter_mut().find(|(opener, members)| same(opener) && is_open(members));
            match open {
                Some((_, members)) => members.push(event),
                None if self.is_met(rule, event) => incidents.push((event, self.window(rule, event))),
                None => {}
            }
        }
        incidents.into_iter().map(|(opener, members)| self.alert(rule, opener, &members)).collect()
    }

    fn alert(&self, rule: &Rule, opener: &Happening, members: &[&Happening]) -> Raised {
        let mut all: BTreeSet<Happening> = members.iter().map(|member| (*member).clone()).collect();
        for member in members {
            all.extend(self.behind(rule, member));
        }
        let mut evidence: Vec<String> = all.iter().map(|event| event.id.clone()).collect();
        if let Some(at) = evidence.iter().position(|id| *id == opener.id).filter(|at| *at >= EVIDENCE_MAX) {
            evidence.swap(EVIDENCE_MAX - 1, at);
        }
        evidence.truncate(EVIDENCE_MAX);
        Raised {
            rule: rule.name.to_owned(),
            opened: opener.secs,
            first: all.first().map_or(0, |event| event.secs),
            last: members.iter().map(|member| member.secs).max().unwrap_or(0),
            events: all.len() as u64,
            evidence,
        }
    }
}
