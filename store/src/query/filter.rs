//! What may be asked for: every part optional, everything given must hold.

use crate::DeliveryState;
use keywatch_event::{Class, EventTime, Level, Outcome, Provider};

/// A stretch of event time: `since` inclusive, `until` exclusive.
#[derive(Clone, Copy, Debug, Default)]
pub struct Span {
    /// Not before.
    pub since: Option<EventTime>,
    /// Before.
    pub until: Option<EventTime>,
}

/// Which alerts; everything given must hold.
#[derive(Clone, Debug, Default)]
pub struct AlertFilter {
    /// At least this urgent.
    pub level_min: Option<Level>,
    /// Of this rule.
    pub rule: Option<String>,
    /// Of this provider.
    pub provider: Option<Provider>,
    /// About this principal id.
    pub principal: Option<String>,
    /// Touching this secret id.
    pub secret: Option<String>,
    /// In one of these statuses; without any, in every status.
    pub statuses: Vec<AlertStatus>,
    /// Opened within (event time).
    pub span: Span,
}

/// Which events; everything given must hold.
#[derive(Clone, Debug, Default)]
pub struct EventFilter {
    /// Happened within.
    pub span: Span,
    /// Of this provider.
    pub provider: Option<Provider>,
    /// Of this class.
    pub class: Option<Class>,
    /// Ended so.
    pub outcome: Option<Outcome>,
    /// Classified at least this urgent.
    pub level_min: Option<Level>,
    /// By this principal id.
    pub principal: Option<String>,
    /// Touching this secret id.
    pub secret: Option<String>,
    /// From this source, as the record writes it (an address or a service name).
    pub source: Option<String>,
    /// The provider's own name of the call.
    pub operation: Option<String>,
    /// In this account, project, subscription or namespace.
    pub account: Option<String>,
    /// Also events that repeat another record's access.
    pub echoes: bool,
}

/// Which deliveries; everything given must hold.
#[derive(Clone, Debug, Default)]
pub struct DeliveryFilter {
    /// In this state.
    pub state: Option<DeliveryState>,
    /// To this receiver.
    pub receiver: Option<String>,
}

/// Where an alert stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AlertStatus {
    /// It needs somebody.
    Open,
    /// Somebody looks after it.
    Acknowledged,
    /// Somebody is done with it.
    Resolved,
    /// A later event explained it.
    Withdrawn,
}

impl AlertStatus {
    /// Every status.
    pub const ALL: &'static [Self] = &[Self::Open, Self::Acknowledged, Self::Resolved, Self::Withdrawn];

    /// The word used in links and on pages.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Acknowledged => "acknowledged",
            Self::Resolved => "resolved",
            Self::Withdrawn => "withdrawn",
        }
    }
}
