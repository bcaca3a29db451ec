//! How long it took from an event to the receiver's yes, leg by leg.

use crate::codes::Coded;
use crate::commit::nanos;
use crate::{DeliveryKind, Store, StoreError};
use chrono::{DateTime, Utc};

/// Most messages the percentiles are made of: the latest.
const MEASURED_MAX: i64 = 5_000;

/// Percentiles of one leg, milliseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Percentiles {
    /// Half of them were faster.
    pub p50: u64,
    /// Nine in ten.
    pub p90: u64,
    /// Ninety-nine in a hundred.
    pub p99: u64,
}

/// Times of the first messages about alerts that were accepted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AlertTimes {
    /// How many messages were measured.
    pub count: u64,
    /// From the event that met the rule's condition until its record was taken in: mostly the
    /// provider's own delay.
    pub received: Percentiles,
    /// From there until it was judged and decided who is told.
    pub decided: Percentiles,
    /// From there until the receiver said yes; what a rule, a group or a silence held back is not
    /// among it.
    pub accepted: Percentiles,
    /// From the event to the yes.
    pub whole: Percentiles,
}

/// Event, taken in, decided, accepted.
type Times = (i64, i64, i64, i64);

impl Store {
    /// Times to alert of messages accepted since, the latest 5,000. Messages that were held back
    /// on purpose are left out: their wait says nothing about how fast Keywatch is.
    ///
    /// # Errors
    /// [`StoreError`] when the database cannot be read.
    pub async fn alert_times(&self, since: DateTime<Utc>) -> Result<AlertTimes, StoreError> {
        let rows: Vec<Times> = sqlx::query_as(
            "SELECT a.opened_at, o.created_at, o.decided_at, o.delivered_at
             FROM outbox o JOIN alerts a ON a.seq = o.alert
             WHERE o.delivered_at >= ?1 AND o.decided_at IS NOT NULL AND o.kind = ?2
               AND NOT EXISTS (SELECT 1 FROM decisions d WHERE d.alert = o.alert AND d.receiver = o.receiver
                   AND d.choice IN (2, 3))
               AND o.group_key IS NULL
             ORDER BY o.delivered_at DESC LIMIT ?3",
        )
        .bind(nanos(since))
        .bind(DeliveryKind::AlertOpened.code())
        .bind(MEASURED_MAX)
        .fetch_all(self.readers())
        .await
        .map_err(|source| self.failed("measure times to alert", source))?;
        let leg = |times: fn(&Times) -> (i64, i64)| {
            percentiles(
                rows.iter()
                    .map(|row| {
                        let (from, to) = times(row);
                        u64::try_from(to.saturating_sub(from) / 1_000_000).unwrap_or(0)
                    })
                    .collect(),
            )
        };
        Ok(AlertTimes {
            count: u64::try_from(rows.len()).unwrap_or(u64::MAX),
            received: leg(|row| (row.0, row.1)),
            decided: leg(|row| (row.1, row.2)),
            accepted: leg(|row| (row.2, row.3)),
            whole: leg(|row| (row.0, row.3)),
        })
    }
}

/// Nearest rank.
fn percentiles(mut millis: Vec<u64>) -> Percentiles {
    millis.sort_unstable();
    let rank = |percent: usize| {
        let at = (millis.len() * percent).div_ceil(100).saturating_sub(1);
        millis.get(at).copied().unwrap_or(0)
    };
    Percentiles { p50: rank(50), p90: rank(90), p99: rank(99) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_values_that_were_measured() {
        assert_eq!(percentiles((1..=100).collect()), Percentiles { p50: 50, p90: 90, p99: 99 });
        assert_eq!(percentiles(vec![7]), Percentiles { p50: 7, p90: 7, p99: 7 });
        assert_eq!(percentiles(vec![]), Percentiles::default());
    }
}
