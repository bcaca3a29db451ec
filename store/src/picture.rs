//! What lately came, in numbers: for whoever asks what does not come.

use crate::codes::Coded;
use crate::query::unsigned;
use crate::reading::Reading;
use crate::{AlertStatus, History, StoreError};
use keywatch_event::{Class, Provider, SourceKind};

/// Newest events that are looked at: what a busy site stores in some hours, read in well under a
/// second, whatever the size of the history.
pub const LOOKED_AT_MAX: u32 = 200_000;
/// Most addresses named.
const ADDRESSES_MAX: u32 = 8;

/// What lately came.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Picture {
    /// The newest events by provider and class, at most [`LOOKED_AT_MAX`] of them.
    pub classes: Vec<(Provider, Class, u64)>,
    /// Where those of Vault came from, the most frequent first, at most eight. Events without an
    /// address are left out.
    pub vault_addresses: Vec<Address>,
    /// Everything that was ever stored.
    pub events: u64,
    /// What could never be read.
    pub rejects: u64,
    /// Open alerts by rule.
    pub open_alerts: Vec<(String, u64)>,
}

/// An address events came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address {
    /// The address, as the record says it.
    pub text: String,
    /// What it is.
    pub kind: SourceKind,
    /// How many events.
    pub events: u64,
}

impl History {
    /// What lately came.
    ///
    /// # Errors
    /// [`StoreError`] when the database cannot be read.
    pub async fn picture(&self) -> Result<Picture, StoreError> {
        let reading = self.reading();
        seen(&reading).await.map_err(|source| reading.failed("look at what lately came", source))
    }
}

async fn seen(reading: &Reading<'_>) -> Result<Picture, sqlx::Error> {
    let mut moment = reading.pool.begin().await?;
    let newest = i64::from(LOOKED_AT_MAX);
    let classes: Vec<(i64, i64, i64)> = sqlx::query_as(
        "SELECT provider, class, count(*) FROM (SELECT provider, class FROM events ORDER BY id DESC LIMIT ?)
         GROUP BY provider, class ORDER BY provider, class",
    )
    .bind(newest)
    .fetch_all(&mut *moment)
    .await?;
    let addresses: Vec<(String, i64, i64)> = sqlx::query_as(
        "SELECT n.text, e.source_kind, count(*) AS events
         FROM (SELECT source, source_kind, provider FROM events ORDER BY id DESC LIMIT ?1) e
         JOIN names n ON n.id = e.source
         WHERE e.provider = ?2 GROUP BY e.source, e.source_kind ORDER BY events DESC, n.text LIMIT ?3",
    )
    .bind(newest)
    .bind(Provider::Vault.code())
    .bind(i64::from(ADDRESSES_MAX))
    .fetch_all(&mut *moment)
    .await?;
    let counters: Vec<(String, i64)> =
        sqlx::query_as("SELECT name, value FROM counters").fetch_all(&mut *moment).await?;
    let counted = |name: &str| {
        counters.iter().find(|(known, _)| known == name).map_or(0, |(_, value)| unsigned(*value))
    };
    let open: Vec<(String, i64)> =
        sqlx::query_as("SELECT rule, count(*) FROM alerts WHERE status = ? GROUP BY rule ORDER BY rule")
            .bind(AlertStatus::Open.code())
            .fetch_all(&mut *moment)
            .await?;
    let class = |(provider, class, events): (i64, i64, i64)| {
        Ok((Provider::from_code(provider)?, Class::from_code(class)?, unsigned(events)))
    };
    let address = |(text, kind, events): (String, i64, i64)| {
        Ok(Address { text, kind: SourceKind::from_code(kind)?, events: unsigned(events) })
    };
    Ok(Picture {
        classes: classes.into_iter().map(class).collect::<Result<_, sqlx::Error>>()?,
        vault_addresses: addresses.into_iter().map(address).collect::<Result<_, sqlx::Error>>()?,
        events: counted("events"),
        rejects: counted("rejects"),
        open_alerts: open.into_iter().map(|(rule, alerts)| (rule, unsigned(alerts))).collect(),
    })
}
