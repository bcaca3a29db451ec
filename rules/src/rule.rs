//! What a compiled rule is: plain data the engine runs on.

use crate::examples::Example;
use crate::field::Field;
use crate::matcher::Matcher;
use keywatch_event::Level;
use std::sync::Arc;

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
    /// What it means.
    pub description: String,
    /// What a responder does about it.
    pub runbook: String,
    /// ATT&CK and other tags.
    pub tags: Vec<String>,
    /// The file it was read from.
    pub file: String,
    /// What it does.
    pub kind: Kind,
    /// Examples that run as tests.
    pub examples: Vec<Example>,
}

/// What a rule does with the events it matches.
#[derive(Clone, Debug)]
pub enum Kind {
    /// Classifies them; raises nothing.
    Classify(Matcher),
    /// Raises an incident for them, at once or from a count on.
    Count(Box<Count>),
    /// Raises an incident when a value is seen for the first time.
    FirstSeen(Box<FirstSeen>),
}

/// Counting over event-time windows. A rule without a correlation counts to one.
#[derive(Clone, Debug)]
pub struct Count {
    /// The events that count.
    pub hits: Vec<Matcher>,
    /// Events that join an open incident naming the same secret, and never open one.
    pub attach: Option<Matcher>,
    /// Fields whose values separate the counts. Empty: one count for all.
    pub group_by: Vec<Field>,
    /// Length of the window in seconds; both ends belong to it.
    pub timespan_secs: i64,
    /// What must be counted.
    pub condition: Condition,
    /// Further conditions on the same window, of which one must hold; empty: none.
    pub any: Vec<Condition>,
    /// How the events become incidents.
    pub incident: Incident,
    /// Events another event may explain.
    pub hold: Option<Hold>,
    /// When an event counts for less.
    pub lower: Option<Lower>,
    /// When an incident counts for more.
    pub escalate: Option<Escalate>,
}

/// A count and its bound.
#[derive(Clone, Debug)]
pub struct Condition {
    /// What is counted.
    pub of: Counted,
    /// Least count.
    pub at_least: u64,
}

/// What a [`Condition`] counts among the events of a window.
#[derive(Clone, Debug)]
pub enum Counted {
    /// The events.
    Events,
    /// The events that also match.
    Matching(Box<Matcher>),
    /// The distinct values of a field.
    Distinct(Field),
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
}

/// Events that wait for an explanation.
#[derive(Clone, Debug)]
pub struct Hold {
    /// Which of the hits wait.
    pub when: Matcher,
    /// The events that explain them.
    pub cleared_by: Matcher,
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
    pub created_by: Matcher,
    /// The events that read one.
    pub read_by: Matcher,
}

/// When an incident counts for more.
#[derive(Clone, Debug)]
pub struct Escalate {
    /// The level it then has.
    pub to: Level,
    /// From how many events on.
    pub at_least: u64,
    /// Within how many seconds.
    pub within_secs: i64,
}

/// First-seen baseline of source networks, per principal.
#[derive(Clone, Debug)]
pub struct FirstSeen {
    /// The events that are judged and learned from.
    pub reads: Matcher,
    /// The events whose network is not learned from for a day.
    pub taints: Matcher,
    /// Seconds of history before anything is judged.
    pub learn_secs: i64,
    /// What a principal must show before it is judged.
    pub mature: Mature,
    /// Distinct networks within [`Self::mobile_within_secs`] that move a principal one rung up
    /// the ladder: /24 and /48, then /16 and /32, then not judged at all.
    pub mobile_networks: usize,
    /// The time for [`Self::mobile_networks`], in seconds.
    pub mobile_within_secs: i64,
    /// Seconds after its last sight when a network is forgotten.
    pub decay_secs: i64,
    /// Most networks kept per principal; the longest unseen goes first.
    pub networks_max: usize,
    /// Distinct UTC days on which a network that raised must be seen to be accepted.
    pub accept_days: usize,
    /// Seconds for which one principal's new networks are one incident.
    pub once_per_secs: i64,
}

/// What a principal must show before its sources are judged.
#[derive(Clone, Copy, Debug)]
pub struct Mature {
    /// Seconds since its first event.
    pub age_secs: i64,
    /// Events.
    pub events: u32,
    /// Distinct UTC days with an event.
    pub days: usize,
}
