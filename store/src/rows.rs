//! Event rows, and what lists and summaries read beside them.

use crate::IncomingEvent;
use crate::bulk::Bulk;
use crate::codes::Coded;
use crate::commit::int;
use crate::key::{self, Identity, hour_of};
use crate::names::Names;
use crate::raw::Spot;
use hashbrown::HashMap;
use keywatch_event::{AuditEvent, Classified, Level, Outcome};
use sqlx::error::BoxDynError;
use sqlx::sqlite::SqliteArguments;
use sqlx::{Arguments, SqliteConnection};
use std::fmt::Write;
use std::sync::LazyLock;

// `OR ROLLBACK`: a failure ends the transaction anyway, and SQLite need not keep copies of the pages
// a statement changes (measured: a seventh of the writing).
static EVENTS: LazyLock<Bulk> = LazyLock::new(|| {
    let into = "OR ROLLBACK INTO events (id, key, event_id, time, hour, digits, provider, class, outcome, level, signal, matters_until, echo,
        source_kind, line, record, block, raw_start, raw_len, service, operation, principal, place,
        store, account, region, source, secrets, rules)";
    Bulk::insert(into, 29, "")
});
static EVENT_SECRETS: LazyLock<Bulk> = LazyLock::new(|| {
    let into = "OR ROLLBACK INTO event_secrets (hour, secret, time, event, principal, source, ok)";
    Bulk::insert(into, 7, "")
});
/// First and last of what counts; of names that only echoes gave, the times of those. The names on
/// the right are the values before the update.
const TIMES: &str = "
    first_at = CASE WHEN excluded.events = 0 AND events > 0 THEN first_at
        WHEN events = 0 AND excluded.events > 0 THEN excluded.first_at
        ELSE min(first_at, excluded.first_at) END,
    last_at = CASE WHEN excluded.events = 0 AND events > 0 THEN last_at
        WHEN events = 0 AND excluded.events > 0 THEN excluded.last_at
        ELSE max(last_at, excluded.last_at) END";
static SECRETS: LazyLock<Bulk> = LazyLock::new(|| {
    let merge = format!(
        "ON CONFLICT (id) DO UPDATE SET name = excluded.name, events = events + excluded.events,
        failed = failed + excluded.failed, {TIMES}"
    );
    Bulk::insert("INTO secrets (id, name, events, failed, first_at, last_at)", 6, &merge)
});
static PRINCIPALS: LazyLock<Bulk> = LazyLock::new(|| {
    let merge = format!(
        "ON CONFLICT (id) DO UPDATE SET kind = excluded.kind, name = coalesce(excluded.name, name),
        events = events + excluded.events, failed = failed + excluded.failed, {TIMES}"
    );
    Bulk::insert("INTO principals (id, kind, name, events, failed, first_at, last_at)", 7, &merge)
});
static HOURS: LazyLock<Bulk> = LazyLock::new(|| {
    let merge = "ON CONFLICT (hour) DO UPDATE SET info = info + excluded.info,
        warning = warning + excluded.warning, high = high + excluded.high, critical = critical + excluded.critical";
    Bulk::insert("INTO hours (hour, info, warning, high, critical)", 5, merge)
});

/// An event about to be stored for the first time.
#[derive(Debug)]
pub(crate) struct Fresh<'a> {
    pub(crate) id: i64,
    pub(crate) identity: &'a Identity,
    pub(crate) incoming: &'a IncomingEvent<'a>,
    pub(crate) classified: &'a Classified,
    pub(crate) block: i64,
    pub(crate) spot: Spot,
}

/// Writes the events and everything counted from them.
pub(crate) async fn write(
    conn: &mut SqliteConnection,
    names: &mut Names,
    rows: &[Fresh<'_>],
) -> Result<(), sqlx::Error> {
    names.learn(conn, rows.iter().flat_map(Fresh::texts)).await?;
    key::remember_hours(conn, rows.iter().map(|row| row.identity.hour)).await?;
    let names = &*names;
    EVENTS.execute(conn, rows, |row, to| row.bind(names, to)).await?;
    let mut tally = Tally::default();
    for row in rows {
        tally.take(row, names)?;
    }
    tally.write(conn).await
}

impl<'a> Fresh<'a> {
    const fn event(&self) -> &'a AuditEvent<'a> {
        &self.incoming.event
    }

    /// Until when windows and incidents may need the event; 0 when they never do.
    fn matters_until(&self) -> i64 {
        match self.classified.matters_secs {
            0 => 0,
            secs => self.event().time.plus_secs(i64::from(secs)).unix_nanos(),
        }
    }

    /// Every text of the row that is stored as a name.
    fn texts(&self) -> impl Iterator<Item = &'a str> + use<'a> {
        let event = self.event();
        let single = [&*event.service, &*event.operation, &*event.principal.id, &*self.incoming.place.name];
        let maybe = [&event.store, &event.account, &event.region, &event.source.raw, &event.principal.name];
        let secrets = event.secrets.iter().flat_map(|secret| [&*secret.id, &*secret.name]);
        let rules = self.classified.rules.iter().map(|rule| &**rule);
        single.into_iter().chain(maybe.into_iter().flatten().map(|text| &**text)).chain(secrets).chain(rules)
    }

    fn bind(&self, names: &Names, to: &mut SqliteArguments) -> Result<(), BoxDynError> {
        let event = self.event();
        to.add(self.id)?;
        to.add(self.identity.key().as_slice())?;
        to.add(&*event.id)?;
        let time = event.time.unix_nanos();
        to.add(time)?;
        to.add(hour_of(time))?;
        to.add(i64::from(event.time.digits()))?;
        to.add(event.provider.code())?;
        to.add(event.class.code())?;
        to.add(event.outcome.code())?;
        to.add(self.classified.level.code())?;
        let matters_until = self.matters_until();
        to.add(i64::from(matters_until > 0))?;
        to.add(matters_until)?;
        to.add(i64::from(event.echo_of.is_some()))?;
        to.add(event.source.kind.code())?;
        to.add(i64::try_from(self.incoming.place.line).unwrap_or(i64::MAX))?;
        to.add(i64::from(self.incoming.place.record))?;
        to.add(self.block)?;
        to.add(int(self.spot.start))?;
        to.add(int(self.spot.len))?;
        self.bind_names(names, to)
    }

    fn bind_names(&self, names: &Names, to: &mut SqliteArguments) -> Result<(), BoxDynError> {
        let event = self.event();
        for text in [&*event.service, &*event.operation, &*event.principal.id, &*self.incoming.place.name] {
            to.add(names.id(text)?)?;
        }
        for text in [&event.store, &event.account, &event.region, &event.source.raw] {
            to.add(text.as_deref().map(|text| names.id(text)).transpose()?)?;
        }
        to.add(id_list(event.secrets.iter().map(|secret| &*secret.id), names)?)?;
        to.add(id_list(self.classified.rules.iter().map(|rule| &**rule), names)?)
    }
}

/// Names as a JSON array of their ids, each once; absent when there are none.
fn id_list<'t>(texts: impl Iterator<Item = &'t str>, names: &Names) -> Result<Option<String>, BoxDynError> {
    let mut list = String::new();
    let mut seen: Vec<i64> = Vec::new();
    for text in texts {
        let id = names.id(text)?;
        if seen.contains(&id) {
            continue;
        }
        let mark = if seen.is_empty() { '[' } else { ',' };
        write!(list, "{mark}{id}")?;
        seen.push(id);
    }
    if seen.is_empty() {
        return Ok(None);
    }
    list.push(']');
    Ok(Some(list))
}

/// Events of one secret or principal within the batch.
#[derive(Clone, Copy, Debug)]
struct Count {
    id: i64,
    kind: i64,
    name: Option<i64>,
    events: i64,
    failed: i64,
    first_at: i64,
    last_at: i64,
}

/// One access to one secret.
#[derive(Clone, Copy, Debug)]
struct Access {
    secret: i64,
    time: i64,
    event: i64,
    principal: i64,
    source: Option<i64>,
    ok: bool,
}

/// What a batch adds to the summaries.
#[derive(Debug, Default)]
struct Tally {
    accesses: Vec<Access>,
    secrets: HashMap<i64, Count>,
    principals: HashMap<i64, Count>,
    /// Events per hour, by level.
    hours: HashMap<i64, [i64; Level::ALL.len()]>,
}

impl Tally {
    fn take(&mut self, row: &Fresh<'_>, names: &Names) -> Result<(), sqlx::Error> {
        let event = row.event();
        let time = event.time.unix_nanos();
        let ok = event.outcome == Outcome::Ok;
        // An echo repeats an access that is counted by itself: it makes names known, and counts
        // for nothing.
        let counts = i64::from(event.echo_of.is_none());
        let principal = names.id(&event.principal.id)?;
        let source = event.source.raw.as_deref().map(|raw| names.id(raw)).transpose()?;
        let one = Count {
            id: principal,
            kind: event.principal.kind.code(),
            name: event.principal.name.as_deref().map(|name| names.id(name)).transpose()?,
            events: counts,
            failed: counts * i64::from(!ok),
            first_at: time,
            last_at: time,
        };
        one.add_to(&mut self.principals);
        let before = self.accesses.len();
        for secret in &event.secrets {
            let id = names.id(&secret.id)?;
            let already = self.accesses.get(before..).unwrap_or_default();
            if already.iter().any(|access| access.secret == id) {
                continue;
            }
            self.accesses.push(Access { secret: id, time, event: row.id, principal, source, ok });
            Count { id, name: Some(names.id(&secret.name)?), ..one }.add_to(&mut self.secrets);
        }
        let levels = self.hours.entry(hour_of(time)).or_default();
        let level = usize::try_from(row.classified.level.code()).unwrap_or(0);
        levels.get_mut(level).into_iter().for_each(|events| *events += counts);
        Ok(())
    }

    async fn write(mut self, conn: &mut SqliteConnection) -> Result<(), sqlx::Error> {
        self.accesses
            .sort_unstable_by_key(|access| (hour_of(access.time), access.secret, access.time, access.event));
        EVENT_SECRETS.execute(conn, &self.accesses, bind_access).await?;
        SECRETS.execute(conn, &sorted(self.secrets), bind_secret).await?;
        PRINCIPALS.execute(conn, &sorted(self.principals), bind_principal).await?;
        let mut hours: Vec<_> = self.hours.into_iter().collect();
        hours.sort_unstable();
        HOURS.execute(conn, &hours, bind_hour).await?;
        Ok(())
    }
}

impl Count {
    fn add_to(self, counts: &mut HashMap<i64, Self>) {
        counts
            .entry(self.id)
            .and_modify(|known| {
                known.kind = self.kind;
                known.name = self.name.or(known.name);
                (known.first_at, known.last_at) = match (known.events, self.events) {
                    (1.., 0) => (known.first_at, known.last_at),
                    (0, 1..) => (self.first_at, self.last_at),
                    _ => (known.first_at.min(self.first_at), known.last_at.max(self.last_at)),
                };
                known.events += self.events;
                known.failed += self.failed;
            })
            .or_insert(self);
    }
}

fn sorted(counts: HashMap<i64, Count>) -> Vec<Count> {
    let mut counts: Vec<Count> = counts.into_values().collect();
    counts.sort_unstable_by_key(|count| count.id);
    counts
}

fn bind_access(access: &Access, to: &mut SqliteArguments) -> Result<(), BoxDynError> {
    to.add(hour_of(access.time))?;
    to.add(access.secret)?;
    to.add(access.time)?;
    to.add(access.event)?;
    to.add(access.principal)?;
    to.add(access.source)?;
    to.add(i64::from(access.ok))
}

fn bind_secret(count: &Count, to: &mut SqliteArguments) -> Result<(), BoxDynError> {
    to.add(count.id)?;
    to.add(count.name)?;
    bind_counts(count, to)
}

fn bind_principal(count: &Count, to: &mut SqliteArguments) -> Result<(), BoxDynError> {
    to.add(count.id)?;
    to.add(count.kind)?;
    to.add(count.name)?;
    bind_counts(count, to)
}

fn bind_counts(count: &Count, to: &mut SqliteArguments) -> Result<(), BoxDynError> {
    to.add(count.events)?;
    to.add(count.failed)?;
    to.add(count.first_at)?;
    to.add(count.last_at)
}

fn bind_hour(hour: &(i64, [i64; Level::ALL.len()]), to: &mut SqliteArguments) -> Result<(), BoxDynError> {
    to.add(hour.0)?;
    hour.1.into_iter().try_for_each(|events| to.add(events))
}
