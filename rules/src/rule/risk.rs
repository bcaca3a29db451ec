//! Rules about the alerts of other rules.

use keywatch_event::Level;
use std::sync::Arc;

/// Several rules that speak about one principal or address.
#[derive(Clone, Debug)]
pub struct Risk {
    /// Rules (ids) that do not count here.
    pub except: Vec<Arc<str>>,
    /// Whether alerts are joined by principal, by source address, or both, each on its own.
    pub by: Vec<RiskBy>,
    /// Distinct rules needed.
    pub rules_min: usize,
    /// At least one of the alerts has this level.
    pub level_min: Level,
    /// Seconds within which the alerts open; both ends belong to it.
    pub timespan_secs: i64,
}

impl Risk {
    /// Seconds after its opening for which an alert can still be joined to others: the longest a
    /// joined incident lives, and a day for what comes late.
    pub(crate) const KEPT_SECS: i64 = 2 * 86_400;

    /// How long, in seconds, the events of an alert matter to what joins it: an incident that may still change
    /// holds alerts that opened so long ago.
    pub(crate) fn reach_secs(&self) -> i64 {
        Self::KEPT_SECS + 2 * self.timespan_secs
    }
}

/// What joins alerts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RiskBy {
    /// The principal.
    Principal,
    /// The source address.
    Source,
}
