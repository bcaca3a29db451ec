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

/// What joins alerts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RiskBy {
    /// The principal.
    Principal,
    /// The source address.
    Source,
}
