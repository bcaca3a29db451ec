//! What is usual, as rules say it.

use crate::field::Field;
use crate::plan::MatcherId;
use std::sync::Arc;

/// What is normal for each principal, secret or whatever else, and therefore what is new.
#[derive(Clone, Debug)]
pub struct Baseline {
    /// The id of the rule it belongs to; the key its state is stored under.
    pub rule: Arc<str>,
    /// The events that are judged and learned from.
    pub events: MatcherId,
    /// For whom a value is new: the combined values of these fields. Empty: for everybody.
    pub per: Vec<Field>,
    /// What may be new.
    pub of: Novel,
    /// Events whose value is not learned for a day afterwards.
    pub taints: Option<MatcherId>,
    /// Events whose value is learned and never new: an operator's list.
    pub unless: Option<MatcherId>,
    /// Seconds of history, for all, before anything is judged.
    pub learn_secs: i64,
    /// What a `per` must show before it is judged.
    pub mature: Mature,
    /// What is enough as well, of who is seen seldom.
    pub seldom: Option<Mature>,
    /// Seconds after its last sight when a value is forgotten.
    pub decay_secs: i64,
    /// Most values kept per `per`; the longest unseen goes first.
    pub values_max: usize,
    /// Distinct UTC days on which a value that raised must be seen to be accepted; 0: it is
    /// accepted at once.
    pub accept_days: usize,
    /// Instead of values never seen: values seen before, and not since this many seconds.
    pub returns_after_secs: Option<i64>,
}

/// What a baseline watches.
#[derive(Clone, Debug)]
pub enum Novel {
    /// The combined values of fields.
    Values(Vec<Field>),
    /// The source address, generalised: exact networks of /24 and /48, then /16 and /32, then
    /// the autonomous system when a database is supplied and /8 and /24 when none is, then not judged at all.
    /// A `per` that shows `mobile_networks` within `mobile_within_secs` climbs one rung, and so does one that
    /// moves on `mobile_days` of `mobile_of_days`.
    Network {
        /// Distinct networks that make a `per` climb.
        mobile_networks: usize,
        /// The time for them, in seconds.
        mobile_within_secs: i64,
        /// Distinct UTC days with something new that make a `per` climb where they are half of those it was
        /// seen on; 0: none do.
        mobile_days: usize,
        /// The last days among which they are, at most 16.
        mobile_of_days: usize,
    },
}

impl Baseline {
    /// How many events of a `per` count towards its being judged; one at least.
    pub(crate) fn events_counted(&self) -> u32 {
        self.seldom.map_or(0, |seldom| seldom.events).max(self.mature.events).max(1)
    }

    /// How many of its days do.
    pub(crate) fn days_counted(&self) -> usize {
        self.seldom.map_or(0, |seldom| seldom.days).max(self.mature.days)
    }

    /// The fields it looks at.
    pub(super) fn fields(&self) -> impl Iterator<Item = &Field> {
        let of = match &self.of {
            Novel::Values(fields) => fields.as_slice(),
            Novel::Network { .. } => &[],
        };
        self.per.iter().chain(of)
    }
}

/// What somebody must show before being judged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Mature {
    /// Seconds since the first event.
    pub age_secs: i64,
    /// Events.
    pub events: u32,
    /// Distinct UTC days with an event, at most 8.
    pub days: usize,
}
