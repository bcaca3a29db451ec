//! What makes an event the same event, and where its key is looked for.
//!
//! A hash alone is spread over the whole index: every insert into a large history would touch a
//! page of its own, which is most of what storing an event costs. So a key begins with the hour
//! its record says, and the inserts of a batch fall into the few pages of its hours.
//!
//! Invariant: the hour is read from the record alone, never from when it was received, so that
//! one record has one key whenever and however often it comes.

use crate::bulk::Bulk;
use hashbrown::{HashMap, HashSet};
use keywatch_event::{AuditEvent, EventTime};
use sha2::{Digest, Sha256};
use sqlx::error::BoxDynError;
use sqlx::sqlite::SqliteArguments;
use sqlx::{Arguments, Row, SqliteConnection};
use std::sync::LazyLock;

/// The first 16 bytes of SHA-256 of an event's id.
pub(crate) type Hash = [u8; 16];
/// Hour (4 bytes, big-endian) and [`Hash`].
pub(crate) type Key = [u8; 20];

const HOUR_SECS: i64 = 3600;
/// Nanoseconds in an hour.
pub(crate) const HOUR_NANOS: i64 = HOUR_SECS * 1_000_000_000;
/// How far apart the times of one event may lie in two records of it: Vault stamps an entry per
/// audit device, microseconds apart.
const SKEW_SECS: i64 = 2;
/// The hour of records whose time cannot be read.
const NO_HOUR: i64 = 0;

static FIND: LazyLock<Bulk> =
    LazyLock::new(|| Bulk::new("SELECT key, id FROM events WHERE key IN (", "?", ")"));
static HOURS: LazyLock<Bulk> = LazyLock::new(|| Bulk::insert("OR IGNORE INTO key_hours (hour)", 1, ""));

/// The hash of the event with this id.
pub(crate) fn hash_of(id: &str) -> Hash {
    short_hash(&[id.as_bytes()])
}

/// The first 16 bytes of SHA-256 of `parts`, each but the first preceded by a zero byte.
pub(crate) fn short_hash(parts: &[&[u8]]) -> Hash {
    let mut hash = Sha256::new();
    for (index, part) in parts.iter().enumerate() {
        if index > 0 {
            hash.update([0]);
        }
        hash.update(part);
    }
    let mut short = Hash::default();
    short.iter_mut().zip(hash.finalize()).for_each(|(to, from)| *to = from);
    short
}

/// The hour of event time that summaries and indexes use.
pub(crate) const fn hour_of(nanos: i64) -> i64 {
    nanos.div_euclid(HOUR_NANOS)
}

/// Where an event's key stands, and where else the same event may have been stored.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Identity {
    pub(crate) hash: Hash,
    pub(crate) hour: i64,
    neighbour: Option<i64>,
}

impl Identity {
    pub(crate) fn of(event: &AuditEvent<'_>) -> Self {
        let said = match &event.time_raw {
            None => Some(event.time),
            Some(raw) => EventTime::parse(raw).ok(),
        };
        let (hour, neighbour) = said.map_or((NO_HOUR, None), hours_near);
        Self { hash: hash_of(&event.id), hour, neighbour }
    }

    pub(crate) fn key(&self) -> Key {
        key(self.hour, &self.hash)
    }
}

/// The hour of a time, and the next one when it is within [`SKEW_SECS`].
fn hours_near(time: EventTime) -> (i64, Option<i64>) {
    let (hour, within) = (time.secs().div_euclid(HOUR_SECS), time.secs().rem_euclid(HOUR_SECS));
    let neighbour = match within {
        0..SKEW_SECS => Some(hour - 1),
        _ if within >= HOUR_SECS - SKEW_SECS => Some(hour + 1),
        _ => None,
    };
    (hour, neighbour)
}

/// Hours fit 32 bits for the years an [`EventTime`] can hold; the bias keeps their order.
fn key(hour: i64, hash: &Hash) -> Key {
    let biased = u32::try_from(hour + (1 << 31)).unwrap_or(u32::MAX);
    let mut key = Key::default();
    key.iter_mut().zip(biased.to_be_bytes().iter().chain(hash)).for_each(|(to, from)| *to = *from);
    key
}

/// Indices of the events that are neither stored nor a repetition of an earlier one in the batch.
pub(crate) async fn fresh(
    conn: &mut SqliteConnection,
    identities: &[Identity],
) -> Result<Vec<usize>, sqlx::Error> {
    let own = identities.iter().map(Identity::key);
    let near = identities.iter().filter_map(|one| Some(key(one.neighbour?, &one.hash)));
    let keys: Vec<Key> = own.chain(near).collect();
    let mut seen: HashSet<Hash> = HashSet::with_capacity(identities.len());
    seen.extend(find(conn, &keys).await?.into_iter().map(|(hash, _)| hash));
    let new = identities.iter().enumerate().filter(|(_, one)| seen.insert(one.hash));
    Ok(new.map(|(index, _)| index).collect())
}

/// Remembers the hours under which keys stand.
pub(crate) async fn remember_hours(
    conn: &mut SqliteConnection,
    hours: impl Iterator<Item = i64>,
) -> Result<(), sqlx::Error> {
    let distinct: HashSet<i64> = hours.collect();
    let hours: Vec<i64> = distinct.into_iter().collect();
    HOURS.execute(conn, &hours, |hour, to| to.add(*hour)).await?;
    Ok(())
}

/// Row ids of stored events, each by its hash and its event time. What is not stored is left out.
pub(crate) async fn locate(
    conn: &mut SqliteConnection,
    wanted: &[(Hash, EventTime)],
) -> Result<HashMap<Hash, i64>, sqlx::Error> {
    let near = |(hash, time): &(Hash, EventTime)| {
        let (hash, (hour, neighbour)) = (*hash, hours_near(*time));
        neighbour.into_iter().chain([hour]).map(move |hour| key(hour, &hash))
    };
    let keys: Vec<Key> = wanted.iter().flat_map(near).collect();
    let mut found: HashMap<Hash, i64> = find(conn, &keys).await?.into_iter().collect();
    for (hash, _) in wanted {
        if !found.contains_key(hash) {
            found.extend(find_anywhere(conn, hash).await?.map(|id| (*hash, id)));
        }
    }
    Ok(found)
}

/// The stored event with this id, wherever in time it stands. A record whose own time was not
/// believed does not stand in the hour of its event time.
pub(crate) async fn find_anywhere(
    conn: &mut SqliteConnection,
    hash: &Hash,
) -> Result<Option<i64>, sqlx::Error> {
    let hours: Vec<i64> =
        sqlx::query_scalar("SELECT hour FROM key_hours ORDER BY hour DESC").fetch_all(&mut *conn).await?;
    let keys: Vec<Key> = hours.into_iter().map(|hour| key(hour, hash)).collect();
    for some in keys.chunks(256) {
        if let Some((_, id)) = find(conn, some).await?.pop() {
            return Ok(Some(id));
        }
    }
    Ok(None)
}

async fn find(conn: &mut SqliteConnection, keys: &[Key]) -> Result<Vec<(Hash, i64)>, sqlx::Error> {
    let mut found = Vec::new();
    for row in FIND.fetch(conn, keys, bind).await? {
        let key: &[u8] = row.try_get(0)?;
        let hash = key.last_chunk::<16>().copied();
        found.push((hash.ok_or_else(|| sqlx::Error::Decode("a key is too short".into()))?, row.try_get(1)?));
    }
    Ok(found)
}

fn bind(key: &Key, to: &mut SqliteArguments) -> Result<(), BoxDynError> {
    to.add(key.as_slice())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_sort_by_hour_even_before_1970() {
        let hash = hash_of("a");
        let hours = [-2_500_000, -1, 0, 1, 491_627, 2_500_000];
        assert!(hours.is_sorted_by_key(|hour| key(*hour, &hash)));
        assert_eq!(key(0, &hash)[4..], hash);
    }

    #[test]
    fn only_times_at_the_edge_of_an_hour_have_a_neighbour() {
        for (secs, want) in [
            (0, (0, Some(-1))),
            (1, (0, Some(-1))),
            (2, (0, None)),
            (3597, (0, None)),
            (3598, (0, Some(1))),
            (3600, (1, Some(0))),
            (-1, (-1, Some(0))),
        ] {
            assert_eq!(hours_near(EventTime::from_secs(secs)), want, "{secs}");
        }
    }

    #[test]
    fn parts_of_a_hash_are_kept_apart() {
        assert_ne!(short_hash(&[b"ab", b"c"]), short_hash(&[b"a", b"bc"]));
        assert_eq!(hash_of("a"), short_hash(&[b"a"]));
    }
}
