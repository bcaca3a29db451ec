//! Looks after what time brings about: reminders, escalations, refreshes, and Keywatch's own
//! alerts about messages that reach nobody.
//!
//! Every look asks the store what is due and writes it to the outbox; it remembers nothing, so a
//! restart forgets nothing and says nothing twice.

use crate::clock::Clock;
use crate::policy::Policy;
use chrono::{DateTime, TimeDelta, Utc};
use keywatch_event::Level;
use keywatch_store::{DeliveryKind, StandingFilter, Store, StoreError, Urging};
use std::sync::Arc;
use std::time::Duration;

/// How often it looks.
pub(crate) const LOOK_EVERY: Duration = Duration::from_secs(15);
/// Alerts that opened longer ago than this are not said again: whoever has not looked in a month
/// needs another remedy. Days.
const STANDING_DAYS: i64 = 30;

/// Writes what is due to the outbox.
pub(crate) struct Minder {
    pub(crate) store: Store,
    pub(crate) policy: Arc<Policy>,
    pub(crate) clock: Arc<dyn Clock>,
}

impl Minder {
    /// One look; yields how many messages were written.
    ///
    /// # Errors
    /// [`StoreError`] when the database cannot be read or written; the next look makes up for it.
    pub(crate) async fn look(&self) -> Result<usize, StoreError> {
        let now = self.clock.now();
        let mut written = self.remind(now).await?;
        written += self.refresh(now).await?;
        written += self.escalate(now).await?;
        written += self.store.report_undelivered(now, &self.policy.plan).await?;
        written += self.store.report_orphaned(now, &self.policy.plan).await?;
        Ok(written)
    }

    async fn remind(&self, now: DateTime<Utc>) -> Result<usize, StoreError> {
        let mut written = 0;
        for reminder in &self.policy.reminders {
            let standing = self.store.standing(&filter(reminder.level, reminder.every, now)).await?;
            let reason = format!(
                "still open; {} alerts are said again every {}",
                reminder.level,
                shown(reminder.every)
            );
            let due = standing.iter().filter(|one| self.knows(&one.receiver)).map(|one| Urging {
                alert: &one.alert,
                receiver: &one.receiver,
                kind: DeliveryKind::AlertReminder,
                reason: &reason,
            });
            written += self.store.urge(&due.collect::<Vec<_>>(), now, &self.policy.plan).await?;
        }
        Ok(written)
    }

    async fn refresh(&self, now: DateTime<Utc>) -> Result<usize, StoreError> {
        let mut written = 0;
        for (receiver, every) in &self.policy.refreshes {
            let reason = format!("it forgets what is not said again every {}", shown(*every));
            for level in Level::ALL {
                let filter = StandingFilter {
                    receiver: Some(receiver),
                    acknowledged: true,
                    ..filter(*level, *every, now)
                };
                let standing = self.store.standing(&filter).await?;
                let due = standing.iter().map(|one| Urging {
                    alert: &one.alert,
                    receiver: &one.receiver,
                    kind: DeliveryKind::AlertRefreshed,
                    reason: &reason,
                });
                written += self.store.urge(&due.collect::<Vec<_>>(), now, &self.policy.plan).await?;
            }
        }
        Ok(written)
    }

    async fn escalate(&self, now: DateTime<Utc>) -> Result<usize, StoreError> {
        let mut written = 0;
        for escalation in &self.policy.escalations {
            let before = now - delta(escalation.after);
            let reason = format!("nobody has acknowledged it within {}", shown(escalation.after));
            for receiver in escalation.receivers.iter().filter(|name| self.knows(name)) {
                let unseen = self.store.unacknowledged(escalation.level_min, before, receiver).await?;
                let due = unseen.iter().map(|alert| Urging {
                    alert,
                    receiver,
                    kind: DeliveryKind::AlertEscalated,
                    reason: &reason,
                });
                written += self.store.urge(&due.collect::<Vec<_>>(), now, &self.policy.plan).await?;
            }
        }
        Ok(written)
    }

    fn knows(&self, receiver: &str) -> bool {
        self.policy.plan.receivers.iter().any(|known| known.name == receiver)
    }
}

fn filter(level: Level, every: Duration, now: DateTime<Utc>) -> StandingFilter<'static> {
    StandingFilter {
        level,
        receiver: None,
        acknowledged: false,
        told_before: now - delta(every),
        opened_since: now - TimeDelta::days(STANDING_DAYS),
    }
}

fn delta(time: Duration) -> TimeDelta {
    TimeDelta::from_std(time).unwrap_or(TimeDelta::MAX)
}

/// A length of time as somebody would write it.
fn shown(time: Duration) -> String {
    match time.as_secs() {
        secs if secs > 0 && secs % 86_400 == 0 => format!("{} d", secs / 86_400),
        secs if secs > 0 && secs % 3_600 == 0 => format!("{} h", secs / 3_600),
        secs if secs > 0 && secs % 60 == 0 => format!("{} min", secs / 60),
        secs => format!("{secs} s"),
    }
}
