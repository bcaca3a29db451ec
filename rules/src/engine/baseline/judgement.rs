//! What a baseline is asked, and what it answers. Knows nothing of what is remembered.

use super::value::Value;
use crate::engine::words::Name;

/// One event as a baseline sees it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sight<'s> {
    /// For whom the value may be new; empty for everybody.
    pub(crate) per: Name<'s>,
    /// The value.
    pub(crate) value: Value<'s>,
    /// Event time, seconds since 1970.
    pub(crate) now_secs: i64,
    /// Whether an operator's list names the value: it is learned and never new.
    pub(crate) exempt: bool,
}

/// What a sight is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Judgement {
    /// Not known, and history is too short to say that it is new.
    Learning,
    /// Not known, and its `per` has not shown enough to be judged.
    Immature,
    /// Known.
    Known {
        /// Whether everything the sight could teach is noted already: learning from it is then
        /// free, unless its event raised something high.
        noted: bool,
    },
    /// Raised before, and seen on enough days since: known from now on.
    Accepted,
    /// Named by an operator's list.
    Exempt,
    /// Its `per` is too mobile to be judged.
    Mobile,
    /// Never seen, or not for so long that it was forgotten.
    New {
        /// The value as people write it: a network, or the text itself.
        value: String,
        /// How many values are known.
        known: usize,
    },
    /// Seen before, and not for a long time.
    Returned {
        /// The value as people write it.
        value: String,
        /// Seconds since the last sight.
        since_secs: i64,
    },
}

/// When a sight is known and teaches nothing: seconds, of which the first is meant and the last not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Noted {
    pub(crate) from: u32,
    pub(crate) until: u32,
}

impl Default for Noted {
    /// Always.
    fn default() -> Self {
        Self { from: 0, until: u32::MAX }
    }
}

impl Noted {
    /// When both are.
    pub(crate) fn and(self, other: Self) -> Self {
        Self { from: self.from.max(other.from), until: self.until.min(other.until) }
    }

    /// Whether it is at that second.
    pub(crate) fn holds_at(self, secs: i64) -> bool {
        i64::from(self.from) <= secs && secs < i64::from(self.until)
    }
}

impl Judgement {
    /// Whether learning from it changes nothing, unless its event raised something.
    pub(crate) fn is_noted(&self) -> bool {
        matches!(self, Self::Known { noted: true })
    }

    /// The value, when it is news.
    pub(crate) fn news(&self) -> Option<&str> {
        match self {
            Self::New { value, .. } | Self::Returned { value, .. } => Some(value),
            Self::Learning
            | Self::Immature
            | Self::Known { .. }
            | Self::Accepted
            | Self::Exempt
            | Self::Mobile => None,
        }
    }
}

/// What an event raised, in ascending order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Raised {
    /// Nothing of level warning or above.
    Nothing,
    /// Something, and only through rules that compare with a past of their own.
    Novelty,
    /// A warning through something else.
    Other,
    /// Something high or critical, through whatever.
    High,
}
