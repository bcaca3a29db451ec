//! What a receiver is told: which kind of news, about which alerts, and where people read on.
//!
//! A notification is whole: whoever renders it asks nobody else. Its id is the same at every
//! attempt; only the time of the attempt is fresh.

use chrono::{DateTime, Utc};
use keywatch_store::DeliveryKind;
use std::fmt;

/// What a notification tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum NotificationKind {
    /// A new alert.
    Opened,
    /// Something new about it.
    Updated,
    /// It was explained; no alert any more.
    Withdrawn,
    /// Somebody looks after it.
    Acknowledged,
    /// It is done with.
    Resolved,
    /// New evidence came after it was resolved.
    Regressed,
    /// It still stands.
    Reminder,
    /// Nobody has looked after it in time.
    Escalated,
    /// It still stands, said to a receiver that forgets what is not repeated
    /// ([`Receiver::refresh_every`](crate::Receiver::refresh_every)).
    Refreshed,
    /// Several alerts in short, instead of one message each.
    Summary,
    /// Keywatch is alive. Without alerts.
    Heartbeat,
    /// A person tries a receiver out.
    Test,
}

impl NotificationKind {
    /// Every kind.
    pub const ALL: &'static [Self] = &[
        Self::Opened,
        Self::Updated,
        Self::Withdrawn,
        Self::Acknowledged,
        Self::Resolved,
        Self::Regressed,
        Self::Reminder,
        Self::Escalated,
        Self::Refreshed,
        Self::Summary,
        Self::Heartbeat,
        Self::Test,
    ];

    /// The `type` of a message.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Opened => "alert.opened",
            Self::Updated => "alert.updated",
            Self::Withdrawn => "alert.withdrawn",
            Self::Acknowledged => "alert.acknowledged",
            Self::Resolved => "alert.resolved",
            Self::Regressed => "alert.regressed",
            Self::Reminder => "alert.reminder",
            Self::Escalated => "alert.escalated",
            Self::Refreshed => "alert.refreshed",
            Self::Summary => "alert.summary",
            Self::Heartbeat => "keywatch.heartbeat",
            Self::Test => "keywatch.test",
        }
    }

    /// Whether the alerts it is about need nobody any more.
    #[must_use]
    pub const fn is_over(self) -> bool {
        matches!(self, Self::Withdrawn | Self::Resolved)
    }
}

impl fmt::Display for NotificationKind {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.pad(self.as_str())
    }
}

impl From<DeliveryKind> for NotificationKind {
    fn from(kind: DeliveryKind) -> Self {
        match kind {
            DeliveryKind::AlertOpened => Self::Opened,
            DeliveryKind::AlertUpdated => Self::Updated,
            DeliveryKind::AlertWithdrawn => Self::Withdrawn,
            DeliveryKind::AlertAcknowledged => Self::Acknowledged,
            DeliveryKind::AlertResolved => Self::Resolved,
            DeliveryKind::AlertRegressed => Self::Regressed,
            DeliveryKind::AlertReminder => Self::Reminder,
            DeliveryKind::AlertEscalated => Self::Escalated,
            DeliveryKind::AlertRefreshed => Self::Refreshed,
        }
    }
}

/// One message to one receiver.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notification {
    /// Stable id: the same at every attempt; letters, digits, `_` and `-`.
    pub id: String,
    /// What it tells.
    pub kind: NotificationKind,
    /// When it was decided on.
    pub created_at: DateTime<Utc>,
    /// The alerts in their public JSON form. None in a heartbeat or a test, one as a rule, more
    /// when they were grouped.
    pub alerts: Vec<String>,
    /// What grouped alerts have in common: name and value.
    pub group: Vec<(String, String)>,
    /// What a person or a rule has to say about it: why an alert was withdrawn, who resolved it.
    pub note: Option<String>,
    /// The page of the dashboard where people read on.
    pub link: Option<String>,
}
