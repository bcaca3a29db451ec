//! The one transaction of a batch, from its positions to its alerts.
//!
//! Invariant: all of it or nothing of it. The order is visible in [`Store::commit`]: positions
//! first, because a batch read from a stale position must not even be judged.

use crate::alerts::Telling;
use crate::bulk::Bulk;
use crate::key::{self, Hash, Identity};
use crate::raw::{self, Layout, Packed};
use crate::rows::{self, Fresh};
use crate::store::Memory;
use crate::{Committed, Incoming, Judge, PositionChange, Routing, Store, StoreError, rejects};
use chrono::{DateTime, Utc};
use hashbrown::{HashMap, HashSet};
use keywatch_event::{Evaluation, EventTime, Kept, Learned};
use sqlx::{Arguments, SqliteConnection};
use std::collections::BTreeMap;
use std::sync::LazyLock;

/// Begins the names of counters of scrubbed records: `scrubbed/aws/jwt`.
pub(crate) const SCRUBBED: &str = "scrubbed/";

static PUT_LEARNED: LazyLock<Bulk> = LazyLock::new(|| {
    Bulk::insert("INTO learned (key, state)", 2, "ON CONFLICT (key) DO UPDATE SET state = excluded.state")
});
static KEEP: LazyLock<Bulk> = LazyLock::new(|| {
    let update = ") UPDATE events SET signal = 1, matters_until = until FROM longer
        WHERE events.id = longer.event AND matters_until < until";
    Bulk::new("WITH longer (event, until) AS (VALUES", "(?,?)", update)
});
static DROP_LEARNED: LazyLock<Bulk> =
    LazyLock::new(|| Bulk::new("DELETE FROM learned WHERE key IN (", "?", ")"));

impl Store {
    /// Commits a batch with everything that follows from it, as one transaction that is on disk
    /// when this returns. The same batch again changes nothing but the count of duplicates.
    ///
    /// `judge` is asked once, within the transaction, about the events not stored before; it has
    /// been asked even when the commit then fails. Every alert change worth telling becomes one
    /// delivery per receiver that `routing` names, and every answer of it is kept with its reason.
    ///
    /// # Errors
    /// [`StoreError::PositionMoved`] when a position is not what the batch expects, before the
    /// judge is asked; [`StoreError::Answer`] when the judge answers for other events than asked;
    /// otherwise what the database says. Nothing was committed then, save that a failing disk may
    /// hide a commit that did happen: committing the same batch again is always right.
    pub async fn commit(
        &self,
        incoming: &Incoming<'_>,
        judge: &mut (dyn Judge + Send),
        routing: &dyn Routing,
    ) -> Result<Committed, StoreError> {
        let failed = |source| self.failed("commit a batch", source);
        let now = nanos(incoming.received_at);
        let mut work = self.begin().await?;
        let (conn, memory) = (&mut work.desk.conn, &mut work.desk.memory);
        for change in incoming.advances {
            let found = advance(conn, change, now).await.map_err(failed)?;
            found.map_or(Ok(()), |found| Err(moved(change, found)))?;
        }
        let ids: Vec<Identity> = incoming.events.iter().map(|one| Identity::of(&one.event)).collect();
        let fresh = key::fresh(conn, &ids).await.map_err(failed)?;
        let layout = raw::lay_out(incoming, &fresh)?;
        let packing = Packing::begin(layout);
        let verdict = judge.judge(&fresh);
        check_answer(fresh.len(), &verdict)?;
        let batch = Batch { incoming, ids: &ids, fresh: &fresh, verdict: &verdict, now };
        batch.write_events(conn, memory, packing).await.map_err(failed)?;
        let rejects = rejects::write(conn, incoming.rejects, now).await.map_err(failed)?;
        let duplicates = ids.len() - fresh.len();
        let mut counts = batch.scrubbed(&rejects);
        let totals = [("events", fresh.len()), ("duplicates", duplicates), ("rejects", rejects.fresh)];
        counts.extend(totals.map(|(name, by)| (name.to_owned(), by)));
        count(conn, &counts).await.map_err(failed)?;
        write_learned(conn, &verdict.learned).await.map_err(failed)?;
        keep(conn, &verdict.kept).await.map_err(failed)?;
        let decided_at = nanos(routing.decided_at(incoming.received_at));
        let telling = Telling { conn, routing, now, decided_at };
        let opened = telling.apply(&verdict.changes).await.map_err(failed)?;
        work.commit().await.map_err(failed)?;
        Ok(Committed { fresh: fresh.len(), duplicates, rejects: rejects.fresh, opened })
    }
}

/// A batch once it is judged.
struct Batch<'b> {
    incoming: &'b Incoming<'b>,
    ids: &'b [Identity],
    fresh: &'b [usize],
    verdict: &'b Evaluation,
    now: i64,
}

impl Batch<'_> {
    /// How many new records of each provider, and how many new rejects, had secret values of each
    /// kind: at most the providers times the kinds there are.
    fn scrubbed(&self, rejects: &rejects::Written) -> BTreeMap<String, usize> {
        let mut counts = BTreeMap::new();
        let mut add = |of: &str, kind: &str| {
            *counts.entry(format!("{SCRUBBED}{of}/{kind}")).or_insert(0) += 1;
        };
        for event in self.fresh.iter().filter_map(|index| self.incoming.events.get(*index)) {
            event.event.scrubbed.iter().for_each(|kind| add(event.event.provider.as_str(), kind));
        }
        rejects.scrubbed.iter().for_each(|kind| add("reject", kind));
        counts
    }

    async fn write_events(
        &self,
        conn: &mut SqliteConnection,
        memory: &mut Memory,
        packing: Packing,
    ) -> Result<(), sqlx::Error> {
        let spots = packing.spots.iter();
        let judged = self.fresh.iter().zip(&self.verdict.classified).zip(spots);
        let placed = judged.filter_map(|((&index, classified), &spot)| {
            let (incoming, identity) = (self.incoming.events.get(index)?, self.ids.get(index)?);
            Some((incoming, identity, classified, spot))
        });
        let (first, block) = (memory.next_event, memory.next_block);
        let rows: Vec<Fresh<'_>> = (first..)
            .zip(placed)
            .map(|(id, (incoming, identity, classified, spot))| Fresh {
                id,
                identity,
                incoming,
                classified,
                block: block + int(spot.block),
                spot,
            })
            .collect();
        rows::write(conn, &mut memory.names, &rows).await?;
        memory.next_event += int(rows.len());
        memory.next_block += write_blocks(conn, block, self.now, &packing.finish().await?).await?;
        Ok(())
    }
}

/// Blocks that are being compressed on another thread while the rules run on this one.
struct Packing {
    spots: Vec<raw::Spot>,
    packed: tokio::task::JoinHandle<std::io::Result<Vec<Packed>>>,
}

impl Packing {
    fn begin(layout: Layout) -> Self {
        let Layout { blocks, spots } = layout;
        Self { spots, packed: tokio::task::spawn_blocking(move || raw::pack_all(&blocks)) }
    }

    async fn finish(self) -> Result<Vec<Packed>, sqlx::Error> {
        let packed = self.packed.await.map_err(|error| sqlx::Error::Encode(error.into()))?;
        packed.map_err(|error| sqlx::Error::Encode(error.into()))
    }
}

async fn write_blocks(
    conn: &mut SqliteConnection,
    first: i64,
    now: i64,
    packed: &[Packed],
) -> Result<i64, sqlx::Error> {
    for (id, block) in (first..).zip(packed) {
        sqlx::query("INSERT INTO raw_blocks (id, received_at, bytes_len, zstd) VALUES (?, ?, ?, ?)")
            .bind(id)
            .bind(now)
            .bind(int(block.bytes_len))
            .bind(block.zstd.as_slice())
            .execute(&mut *conn)
            .await?;
    }
    Ok(int(packed.len()))
}

fn check_answer(asked: usize, verdict: &Evaluation) -> Result<(), StoreError> {
    let answered = verdict.classified.len();
    if answered == asked { Ok(()) } else { Err(StoreError::Answer { asked, answered }) }
}

/// Moves a position; `Some` with what is stored when that is not what the batch expects.
async fn advance(
    conn: &mut SqliteConnection,
    change: &PositionChange<'_>,
    now: i64,
) -> Result<Option<Option<String>>, sqlx::Error> {
    let sql = match change.from {
        None => {
            "INSERT INTO positions (source, position, updated_at) VALUES (?1, ?2, ?3) ON CONFLICT DO NOTHING"
        }
        Some(_) => "UPDATE positions SET position = ?2, updated_at = ?3 WHERE source = ?1 AND position = ?4",
    };
    let query = sqlx::query(sql).bind(change.source).bind(change.to).bind(now).bind(change.from);
    if query.execute(&mut *conn).await?.rows_affected() == 1 {
        return Ok(None);
    }
    let stored = sqlx::query_scalar("SELECT position FROM positions WHERE source = ?").bind(change.source);
    Ok(Some(stored.fetch_optional(conn).await?))
}

fn moved(change: &PositionChange<'_>, found: Option<String>) -> StoreError {
    StoreError::PositionMoved {
        feed: change.source.to_owned(),
        expected: change.from.map(str::to_owned),
        found,
    }
}

async fn count(conn: &mut SqliteConnection, counts: &BTreeMap<String, usize>) -> Result<(), sqlx::Error> {
    for (name, by) in counts.iter().filter(|(_, by)| **by > 0) {
        sqlx::query(
            "INSERT INTO counters (name, value) VALUES (?, ?)
             ON CONFLICT (name) DO UPDATE SET value = value + excluded.value",
        )
        .bind(name)
        .bind(int(*by))
        .execute(&mut *conn)
        .await?;
    }
    Ok(())
}

/// The last state of a key within the batch wins; an empty one deletes it.
async fn write_learned(conn: &mut SqliteConnection, learned: &[Learned]) -> Result<(), sqlx::Error> {
    let mut seen = HashSet::new();
    let mut latest: Vec<&Learned> = learned.iter().rev().filter(|one| seen.insert(&one.key)).collect();
    latest.sort_unstable_by(|a, b| a.key.cmp(&b.key));
    let (evicted, kept): (Vec<&Learned>, Vec<&Learned>) =
        latest.into_iter().partition(|one| one.state.is_empty());
    DROP_LEARNED.execute(conn, &evicted, |one, to| to.add(one.key.as_str())).await?;
    PUT_LEARNED
        .execute(conn, &kept, |one, to| {
            to.add(one.key.as_str())?;
            to.add(one.state.as_slice())
        })
        .await?;
    Ok(())
}

/// Events of earlier batches that matter longer than was said of them then. One that is not
/// stored is left alone.
async fn keep(conn: &mut SqliteConnection, kept: &[Kept]) -> Result<(), sqlx::Error> {
    let mut longest: HashMap<Hash, (EventTime, i64)> = HashMap::new();
    for one in kept {
        let until = one.time.plus_secs(i64::from(one.matters_secs)).unix_nanos();
        let known = longest.entry(key::hash_of(&one.event)).or_insert((one.time, until));
        known.1 = known.1.max(until);
    }
    let wanted: Vec<(Hash, EventTime)> = longest.iter().map(|(hash, (time, _))| (*hash, *time)).collect();
    let located = key::locate(conn, &wanted).await?;
    let until = |(hash, event): (Hash, i64)| Some((event, longest.get(&hash)?.1));
    let mut rows: Vec<(i64, i64)> = located.into_iter().filter_map(until).collect();
    rows.sort_unstable();
    KEEP.execute(conn, &rows, |(event, until), to| {
        to.add(*event)?;
        to.add(*until)
    })
    .await?;
    Ok(())
}

/// Nanoseconds since 1970; saturates outside 1677 to 2262.
pub(crate) fn nanos(at: DateTime<Utc>) -> i64 {
    let saturated = if at.timestamp() < 0 { i64::MIN } else { i64::MAX };
    at.timestamp_nanos_opt().unwrap_or(saturated)
}

/// The wall-clock time of [`nanos`].
pub(crate) fn at(nanos: i64) -> DateTime<Utc> {
    DateTime::from_timestamp_nanos(nanos)
}

/// A count as the database takes it.
pub(crate) fn int(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}
