//! How much the alerts of a rule can weigh.

use super::{Kind, LaggedBy, Rule};
use keywatch_event::Level;

impl Rule {
    /// The lowest level an alert of it may have.
    pub(crate) fn level_min(&self) -> Level {
        let Kind::Count(count) = &self.kind else { return self.level };
        count.lower.as_ref().map_or(self.level, |lower| self.level.min(lower.to))
    }

    /// The highest level an alert of it may have.
    pub(crate) fn level_max(&self) -> Level {
        let Kind::Count(count) = &self.kind else { return self.level };
        let raised = count.escalate.iter().map(|escalate| escalate.to);
        let attached = count.attach.iter().filter_map(|attach| attach.raise_to);
        raised.chain(attached).fold(self.level, Level::max)
    }
}

impl LaggedBy {
    /// Whether it never asks for more than any bound.
    pub(crate) fn never_raises(self) -> bool {
        match self {
            Self::Highest { factor, plus } => factor <= 0.0 && plus <= 0.0,
            Self::Spread { .. } => false,
        }
    }
}
