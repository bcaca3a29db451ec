//! What a rule listens to: a detection, or a correlation of which it counts the occurrences.

use super::{BaselineId, MatcherId};
use crate::field::Field;
use std::sync::Arc;

/// One detection among those a rule listens to.
#[derive(Clone, Debug)]
pub struct Hit {
    /// The rule (its id) the detection was written in.
    pub rule: Arc<str>,
    /// What must hold of the event.
    pub matcher: MatcherId,
    /// The baseline for which the event must bring something new as well.
    pub novel: Option<BaselineId>,
    /// The correlation between the rule and the detection, when there is one: the event counts only
    /// where that occurs.
    pub through: Option<Through>,
    /// Fields whose values separate the counts of this hit's events: the rule's `group-by` with
    /// aliases resolved for this detection. All hits of a rule have equally many. Empty: one
    /// count for all.
    pub group_by: Vec<Field>,
}

/// A correlation that another one counts. It occurs at the events at which its condition is met.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Through {
    /// Its rule (the id).
    pub rule: Arc<str>,
    /// Whether it counts only where its condition begins to be met, as what is counted one by one
    /// does, and not at every event as long as it is met.
    pub beginning: bool,
}
