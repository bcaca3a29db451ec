//! What a compiled rule is: plain data the engine runs on.

mod baseline;
mod hit;
mod level;
mod lists;
mod mention;
mod risk;

pub use baseline::{Baseline, Mature, Novel};
pub use hit::{Hit, Through};
pub(crate) use mention::BETWEEN;
pub use mention::{Mention, News};
pub use risk::{Risk, RiskBy};

use crate::examples::Example;
use crate::field::Field;
use crate::matcher::Matcher;
pub use crate::plan::MatcherId;
use crate::problem::Problem;
use keywatch_event::{Level, Observed};
use std::sync::Arc;

/// Every rule of one deployment, and the tables their parts refer to.
#[derive(Clone, Debug, Default)]
pub struct RuleSet {
    /// The rules, in the order of their files.
    pub rules: Vec<Rule>,
    /// Every matcher of every rule, by [`MatcherId`].
    pub matchers: Vec<Matcher>,
    /// Every baseline, by [`BaselineId`].
    pub baselines: Vec<Baseline>,
    /// What is no mistake and worth knowing: shipped rules that others name and that are not loaded.
    pub notices: Vec<Problem>,
}

/// Place of a baseline in [`RuleSet::baselines`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct BaselineId(pub usize);

/// One rule.
#[derive(Clone, Debug)]
pub struct Rule {
    /// Short stable name, `KW-004`: Sigma's `name`, or its `id` when it has none.
    pub id: Arc<str>,
    /// Title, one line.
    pub title: String,
    /// Level of the events or incidents it finds.
    pub level: Level,
    /// What to do, in the core table's words.
    pub action: String,
    /// Whether the principals of its events are who was tried, and need not be who acted.
    pub tried: bool,
    /// Whether what it raises is routine: baselines learn from its events as from any other.
    pub routine: bool,
    /// What it means.
    pub description: String,
    /// What a responder does about it.
    pub runbook: String,
    /// ATT&CK and other tags.
    pub tags: Vec<String>,
    /// The file it was read from.
    pub file: String,
    /// Line of that file where its document begins, from 1.
    pub line: usize,
    /// What it does.
    pub kind: Kind,
    /// Examples that run as tests.
    pub examples: Vec<Example>,
    /// Rules (ids) whose alerts may hold this one's: when one of them, of the same level or above,
    /// cites every event this one's alert does, this one's is withdrawn.
    pub part_of: Vec<Arc<str>>,
    /// Why it can never find anything here, in one sentence: its log source is not ingested, or
    /// a list or lookup it needs is not supplied. `None` for a rule that works.
    pub blind: Option<String>,
}

/// What a rule does with the events it matches.
#[derive(Clone, Debug)]
pub enum Kind {
    /// Classifies them; raises nothing. A rule that only feeds correlations is of this kind too.
    Classify(Hit),
    /// Raises an incident for them, at once or from a count on.
    Count(Box<Count>),
    /// Raises an alert when a steady stream of events stops.
    Silence(Box<Silence>),
    /// Raises an alert when several rules raised about one principal or address.
    Risk(Box<Risk>),
    /// Says how urgent something noticed about a source is, and what to do. The service notices it;
    /// no event does.
    Observed(Observed),
}

/// Counting over event-time windows. A rule without a correlation counts to one.
#[derive(Clone, Debug)]
pub struct Count {
    /// The events that count; their place here is their step in a sequence.
    pub hits: Vec<Hit>,
    /// Events that join an open incident and never open one.
    pub attach: Vec<Attach>,
    /// Length of the window in seconds; both ends belong to it. 0: every event by itself.
    pub timespan_secs: i64,
    /// What must be counted.
    pub condition: Condition,
    /// Further conditions on the same window, of which one must hold; empty: none.
    pub any: Vec<Condition>,
    /// A threshold learned from the group's own past, which replaces the condition's bound when
    /// it is higher.
    pub lagged: Option<Lagged>,
    /// How the events become incidents.
    pub incident: Incident,
    /// Events another event may explain.
    pub hold: Option<Hold>,
    /// When an event counts for less.
    pub lower: Option<Lower>,
    /// When an incident counts for more.
    pub escalate: Vec<Escalate>,
    /// What its alerts name of their events beside who and which secret.
    pub mention: Option<Mention>,
    /// Whether it raises; else it is only counted by other correlations.
    pub raises: bool,
    /// Seconds for which its events matter beyond its own window, to correlations that count it;
    /// `None` when none does.
    pub feeds_secs: Option<i64>,
    /// Seconds for which the events of its alerts matter to rules that join them; 0 when none does.
    pub joined_secs: i64,
}

/// What is counted and its bounds, all of which must hold.
#[derive(Clone, Debug)]
pub struct Condition {
    /// What is counted.
    pub of: Counted,
    /// The bounds.
    pub bounds: Vec<(Op, f64)>,
}

/// A comparison.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Op {
    /// Greater than or equal.
    Gte,
    /// Greater than.
    Gt,
    /// Less than or equal.
    Lte,
    /// Less than.
    Lt,
    /// Equal.
    Eq,
    /// Not equal.
    Neq,
}

/// What a [`Condition`] measures over the events of a window.
#[derive(Clone, Debug)]
pub enum Counted {
    /// The number of events.
    Events,
    /// The number of events that also match.
    Matching(MatcherId),
    /// The number of distinct values of the fields, taken together when there are several. One
    /// list of fields per hit, in the order of [`Count::hits`].
    Distinct(Vec<Vec<Field>>),
    /// 1 when every hit occurred, in any order (`temporal`), or when the expression over hits
    /// holds; else 0.
    All(Presence),
    /// 1 when the hits occurred in their order, each at or after the one before
    /// (`temporal_ordered`); else 0.
    Ordered(Vec<Step>),
    /// Sum of a numeric field.
    Sum(Field),
    /// Mean of a numeric field.
    Average(Field),
    /// Median of a numeric field: of two numbers in the middle, their mean.
    Median(Field),
    /// Percentile of a numeric field, 0 to 100, nearest rank.
    Percentile(Field, f64),
}

/// One step of an ordered sequence.
#[derive(Clone, Debug)]
pub struct Step {
    /// The hits that count for it: bit n for hit n.
    pub hits: u64,
    /// How many distinct values of `of` (events when `None`) the step needs.
    pub at_least: u64,
    /// The field whose values are counted.
    pub of: Option<Field>,
    /// What it is, in the words of its rule's title.
    pub title: Arc<str>,
}

/// A truth over which hits occurred in a window.
#[derive(Clone, Debug)]
pub enum Presence {
    /// The hit at this place occurred.
    Hit(usize),
    /// All hold.
    And(Vec<Presence>),
    /// One holds.
    Or(Vec<Presence>),
    /// So many hold.
    AtLeast(usize, Vec<Presence>),
    /// It does not hold.
    Not(Box<Presence>),
}

/// A threshold learned from closed days on which the group raised nothing.
#[derive(Clone, Debug)]
pub struct Lagged {
    /// How the past becomes a bound.
    pub by: LaggedBy,
    /// How many past days count.
    pub days: usize,
    /// Days the group must have been seen on before the learned bound replaces the fixed one.
    pub days_min: usize,
    /// Most the learned bound may grow within seven days, as a factor: a climb by small steps
    /// does not lift it without limit.
    pub growth_weekly_max: f64,
    /// Whether the rule says nothing before `days_min` days are known, instead of using the
    /// fixed bound.
    pub silent: bool,
}

/// How past daily values become a bound.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum LaggedBy {
    /// `factor` × the highest of them + `plus`.
    Highest {
        /// The factor.
        factor: f64,
        /// What is added.
        plus: f64,
    },
    /// Their median + `times` × their median absolute deviation.
    Spread {
        /// How many deviations.
        times: f64,
    },
}

/// Events that join an open incident.
#[derive(Clone, Debug)]
pub struct Attach {
    /// Which events.
    pub matcher: MatcherId,
    /// Fields of which the event must share a value with the incident's events, each.
    pub on: Vec<Field>,
    /// The level the incident then has at least.
    pub raise_to: Option<Level>,
}

/// How events of one rule become one incident.
#[derive(Clone, Debug)]
pub struct Incident {
    /// Sets of fields; an event joins an open incident when the values of one whole set agree.
    pub keys: Vec<Vec<Field>>,
    /// Seconds after its last event during which an incident takes more.
    pub keep_alive_secs: i64,
    /// Seconds after its first event when an incident ends whatever comes.
    pub max_duration_secs: i64,
    /// Seconds after its last event during which a window joins an incident of the same key,
    /// whatever its age, when the values the incident does not have would not meet the condition
    /// themselves; 0: never. For conditions on distinct values.
    pub repeats_secs: i64,
}

/// Events that wait for an explanation.
#[derive(Clone, Debug)]
pub struct Hold {
    /// Which of the hits wait.
    pub when: MatcherId,
    /// The events that explain them.
    pub cleared_by: MatcherId,
    /// Fields whose values must agree between the two.
    pub on: Vec<Field>,
    /// Seconds the explanation may come after.
    pub secs: i64,
    /// Whether it may also come that long before.
    pub before_too: bool,
    /// From how many waiting hits within that time on nothing explains them.
    pub unless_count: u64,
}

/// When an event counts for less: the principal made the secret a moment ago and nobody else
/// ever read it.
#[derive(Clone, Debug)]
pub struct Lower {
    /// The level it then has.
    pub to: Level,
    /// How young the secret must be, in seconds.
    pub within_secs: i64,
    /// The events that make a secret.
    pub created_by: MatcherId,
    /// The events that read one.
    pub read_by: MatcherId,
}

/// When an incident counts for more.
#[derive(Clone, Debug)]
pub struct Escalate {
    /// The level it then has.
    pub to: Level,
    /// What is counted among the incident's events: `Events`, `Matching` or `Distinct`.
    pub of: Counted,
    /// From how many on.
    pub at_least: u64,
    /// Within how many seconds before the incident's latest event; 0: all of them.
    pub within_secs: i64,
}

/// A steady stream that stops.
#[derive(Clone, Debug)]
pub struct Silence {
    /// The events of the stream.
    pub hit: Hit,
    /// Least silence that is told, in seconds.
    pub secs_min: i64,
    /// How many times the 99th percentile of the stream's own gaps the silence must last.
    pub times_p99: f64,
    /// Gaps a stream must have shown before it is judged.
    pub gaps_min: u32,
    /// When set: the events that must follow each of `hit`'s within `secs_min`, sharing the
    /// values of `group_by` (a request and its response), instead of a rhythm.
    pub followed_by: Option<Hit>,
}

impl RuleSet {
    /// Fields whose values are asked for once a rule matched: what groups, counts and joins.
    #[must_use]
    pub fn fields(&self) -> Vec<Field> {
        let mut fields: Vec<Field> = self.baselines.iter().flat_map(Baseline::fields).cloned().collect();
        for rule in &self.rules {
            match &rule.kind {
                Kind::Count(count) => fields.extend(count.fields().cloned()),
                Kind::Silence(silence) => fields.extend(silence.hit.group_by.iter().cloned()),
                Kind::Classify(_) | Kind::Risk(_) | Kind::Observed(_) => {}
            }
        }
        fields
    }
}

impl Kind {
    /// Matchers an event must match, one of them, to mean anything to the rule.
    #[must_use]
    pub fn matchers(&self) -> Vec<MatcherId> {
        match self {
            Self::Classify(hit) => vec![hit.matcher],
            Self::Count(count) => count.matchers(),
            Self::Silence(silence) => {
                std::iter::once(&silence.hit).chain(&silence.followed_by).map(|hit| hit.matcher).collect()
            }
            Self::Risk(_) | Self::Observed(_) => Vec::new(),
        }
    }

    /// Whether it listens to what is new for a baseline.
    #[must_use]
    pub fn is_novel(&self) -> bool {
        match self {
            Self::Classify(hit) => hit.novel.is_some(),
            Self::Count(count) => count.hits.iter().any(|hit| hit.novel.is_some()),
            Self::Silence(_) | Self::Risk(_) | Self::Observed(_) => false,
        }
    }

    /// Whether one new value is enough for it to raise.
    #[must_use]
    pub fn is_for_novelty_alone(&self) -> bool {
        match self {
            Self::Count(count) => {
                count.hits.len() == 1 && count.condition.bounds.iter().all(|(_, bound)| *bound <= 1.0)
            }
            Self::Classify(_) | Self::Silence(_) | Self::Risk(_) | Self::Observed(_) => true,
        }
    }

    /// How long, in seconds, one event may matter to another.
    #[must_use]
    pub fn span_secs(&self) -> i64 {
        match self {
            Self::Count(count) if !count.raises => count.timespan_secs + count.feeds_secs.unwrap_or(0),
            Self::Count(count) => {
                let hold = count.hold.as_ref().map_or(0, |hold| hold.secs);
                let lives = count.incident.max_duration_secs + count.incident.repeats_secs;
                count.timespan_secs.max(count.incident.keep_alive_secs)
                    + lives.max(count.joined_secs)
                    + hold
                    + count.feeds_secs.unwrap_or(0)
            }
            Self::Risk(risk) => risk.timespan_secs,
            Self::Classify(_) | Self::Silence(_) | Self::Observed(_) => 0,
        }
    }
}

impl Counted {
    fn fields(&self) -> Vec<&Field> {
        match self {
            Self::Distinct(per_hit) => per_hit.iter().flatten().collect(),
            Self::Ordered(steps) => steps.iter().filter_map(|step| step.of.as_ref()).collect(),
            Self::Sum(field) | Self::Average(field) | Self::Median(field) | Self::Percentile(field, _) => {
                vec![field]
            }
            Self::Events | Self::Matching(_) | Self::All(_) => Vec::new(),
        }
    }
}

impl Count {
    /// Whether it counts other correlations.
    pub(crate) fn is_chained(&self) -> bool {
        self.hits.iter().any(|hit| hit.through.is_some())
    }

    fn fields(&self) -> impl Iterator<Item = &Field> {
        let groups = self.hits.iter().flat_map(|hit| &hit.group_by);
        let joins = self.attach.iter().flat_map(|attach| &attach.on);
        let holds = self.hold.iter().flat_map(|hold| &hold.on);
        let mentioned = self.mention.iter().flat_map(Mention::fields);
        let counted = self.measured().flat_map(Counted::fields).chain(mentioned);
        groups.chain(self.incident.keys.iter().flatten()).chain(joins).chain(holds).chain(counted)
    }

    fn matchers(&self) -> Vec<MatcherId> {
        let hits = self.hits.iter().map(|hit| hit.matcher);
        let attached = self.attach.iter().map(|attach| attach.matcher);
        let cleared = self.hold.iter().map(|hold| hold.cleared_by);
        let lives = self.lower.iter().flat_map(|lower| [lower.created_by, lower.read_by]);
        hits.chain(attached).chain(cleared).chain(lives).collect()
    }
}
