//! What a correlation may say, as the oracle reads it.

use super::happening::Happening;
use super::oracle::{Group, Op};

/// What a rule counts.
pub(crate) enum Counts {
    Detected(fn(&Happening) -> bool),
    /// Events at which another is met.
    Met(&'static Rule),
    /// Events at which it begins to be.
    Begins(&'static Rule),
}

/// What of it.
#[derive(Clone, Copy)]
pub(crate) enum Of {
    Events,
    Matching(fn(&Happening) -> bool),
    /// Distinct values, by place among what is counted.
    Values(fn(&Happening, usize) -> Vec<Group>),
    Sum,
    Average,
    Median,
    Percentile(usize),
    /// 1 when this holds of what occurred, by place; whether more of it may end that.
    Present {
        holds: fn(&[bool]) -> bool,
        ends: bool,
    },
    /// 1 when the steps, one for each of what is counted, follow each other.
    Ordered(&'static [Step]),
}

pub(crate) struct Step {
    pub(crate) least: usize,
    /// The values that are counted; events when there are none.
    pub(crate) values: Option<fn(&Happening) -> Vec<Group>>,
}

pub(crate) struct Hold {
    pub(crate) when: fn(&Happening) -> bool,
    pub(crate) cleared_by: fn(&Happening) -> bool,
    pub(crate) on: fn(&Happening) -> u8,
    pub(crate) secs: i64,
    pub(crate) before_too: bool,
    pub(crate) unless_count: usize,
}

pub(crate) struct Escalate {
    /// Place among the levels.
    pub(crate) to: usize,
    pub(crate) of: Of,
    pub(crate) least: usize,
    pub(crate) within: Option<i64>,
}

pub(crate) struct Rule {
    pub(crate) name: &'static str,
    pub(crate) counts: &'static [Counts],
    /// By place among what is counted.
    pub(crate) group: fn(&Happening, usize) -> Vec<Group>,
    pub(crate) span: i64,
    pub(crate) of: Of,
    pub(crate) bounds: &'static [(Op, i64)],
    pub(crate) any: &'static [(Of, &'static [(Op, i64)])],
    pub(crate) hold: Option<Hold>,
    pub(crate) escalate: &'static [Escalate],
    /// Place among the levels.
    pub(crate) level: usize,
}

impl Rule {
    /// Whether more that happens may make its condition untrue.
    pub(crate) fn can_end(&self) -> bool {
        let ends = |of: &Of, bounds: &[(Op, i64)]| {
            let may_fall = matches!(of, Of::Sum | Of::Average | Of::Median | Of::Percentile(_));
            let excludes = matches!(of, Of::Present { ends: true, .. });
            may_fall || excludes || bounds.iter().any(|(op, _)| !matches!(op, Op::Gte | Op::Gt))
        };
        ends(&self.of, self.bounds) || self.any.iter().any(|(of, bounds)| ends(of, bounds))
    }
}
