//! The rows queries answer with.

use super::AlertStatus;
use crate::{Choice, DeliveryKind, DeliveryState, Resolution};
use chrono::{DateTime, Utc};
use keywatch_event::{Class, EventTime, Level, Outcome, Place, PrincipalKind, Provider, SourceKind};

/// One alert in a list.
#[derive(Clone, Debug)]
pub struct AlertRow {
    /// Its present id.
    pub id: String,
    /// The rule that raised it.
    pub rule: String,
    /// What happened, in one line.
    pub title: String,
    /// How urgent it is.
    pub level: Level,
    /// Where it stands.
    pub status: AlertStatus,
    /// Whose records.
    pub provider: Provider,
    /// Principal id, when it is about one.
    pub principal: Option<String>,
    /// Event time at which the condition was first met.
    pub opened_at: EventTime,
    /// Event time of the earliest event.
    pub first_event_at: EventTime,
    /// Event time of the latest event.
    pub last_event_at: EventTime,
    /// How many events belong to it.
    pub events: u64,
    /// When the batch that raised it was taken in.
    pub received_at: DateTime<Utc>,
    /// When the batch that last changed it was taken in.
    pub changed_at: DateTime<Utc>,
    /// Counts its changes, from 1.
    pub revision: u32,
    /// The silence that keeps a receiver from being told of it.
    pub muted: Option<String>,
    /// Whether new evidence came after somebody had resolved it.
    pub regressed: bool,
    /// Who looks after it, and since when.
    pub acknowledged: Option<(String, DateTime<Utc>)>,
    /// Who was done with it, when, and why.
    pub resolved: Option<(String, DateTime<Utc>, Resolution)>,
    /// The alert in its public JSON form.
    pub json: String,
}

/// One alert with everything known about it.
#[derive(Clone, Debug)]
pub struct AlertDetail {
    /// The alert.
    pub alert: AlertRow,
    /// Ids it had before.
    pub former_ids: Vec<String>,
    /// The id receivers know it by, when that is not its present one: whoever was told of an alert
    /// hears of it under the same id ever after.
    pub told_as: Option<String>,
    /// What happened to it, oldest first.
    pub history: Vec<HistoryEntry>,
    /// Who was told, or is to be told, oldest first.
    pub deliveries: Vec<Delivery>,
    /// Its evidence, earliest first.
    pub evidence: Vec<EventRow>,
    /// Why each receiver was told, or was not, oldest first.
    pub decisions: Vec<DecisionRow>,
}

/// One decision about one alert and one receiver.
#[derive(Clone, Debug)]
pub struct DecisionRow {
    /// To whom.
    pub receiver: String,
    /// When it was decided.
    pub at: DateTime<Utc>,
    /// What was decided.
    pub choice: Choice,
    /// Why, in words.
    pub reason: String,
}

/// One thing that happened to an alert.
#[derive(Clone, Debug)]
pub struct HistoryEntry {
    /// When.
    pub at: DateTime<Utc>,
    /// `opened`, `updated`, `renamed`, `withdrawn`, `reopened`, `acknowledged`, `resolved`,
    /// `regressed`.
    pub what: String,
    /// The person who did it; nobody for what the rules said.
    pub who: Option<String>,
    /// In words; may be empty.
    pub detail: String,
}

/// One event in a list. Further fields are in its raw record ([`EventDetail::raw`]).
#[derive(Clone, Debug)]
pub struct EventRow {
    /// Its id.
    pub id: String,
    /// When it happened.
    pub time: EventTime,
    /// When it was taken in.
    pub received_at: DateTime<Utc>,
    /// Whose record it is.
    pub provider: Provider,
    /// The provider's service; may be empty.
    pub service: String,
    /// Where the secret lives.
    pub store: Option<String>,
    /// Account, project, subscription or namespace.
    pub account: Option<String>,
    /// Region or location.
    pub region: Option<String>,
    /// The provider's own name of the call.
    pub operation: String,
    /// What the call does.
    pub class: Class,
    /// How it ended.
    pub outcome: Outcome,
    /// Highest level of the rules that matched.
    pub level: Level,
    /// Rules that matched, highest level first.
    pub rules: Vec<String>,
    /// Principal id.
    pub principal: String,
    /// What the principal is.
    pub principal_kind: PrincipalKind,
    /// Its readable name, the latest one seen.
    pub principal_name: Option<String>,
    /// The source as the record writes it.
    pub source: Option<String>,
    /// What the source is.
    pub source_kind: SourceKind,
    /// Ids of the secrets it touches.
    pub secrets: Vec<String>,
    /// Whether it repeats another record's access.
    pub echo: bool,
    /// Where its record stands.
    pub place: Place,
}

/// One event with its raw record.
#[derive(Clone, Debug)]
pub struct EventDetail {
    /// The event.
    pub event: EventRow,
    /// Its record, byte for byte.
    pub raw: Vec<u8>,
    /// Ids of the alerts it is evidence for.
    pub alerts: Vec<String>,
}

/// Accesses of one pair of secret and principal, seen from either side; echoes are not among them.
#[derive(Clone, Debug)]
pub struct AccessSummary {
    /// The principal's id, or the secret's.
    pub id: String,
    /// Its readable name, when it has one.
    pub name: Option<String>,
    /// Earliest access.
    pub first_at: EventTime,
    /// Latest access.
    pub last_at: EventTime,
    /// How many ended well.
    pub ok: u64,
    /// How many did not.
    pub failed: u64,
    /// From how many distinct sources.
    pub sources: u64,
}

/// One secret, key or parameter that some event named.
#[derive(Clone, Debug)]
pub struct SecretRow {
    /// Its canonical id.
    pub id: String,
    /// Its readable name, the latest one seen.
    pub name: String,
    /// How many events touch it, echoes not counted.
    pub events: u64,
    /// How many of them did not end well.
    pub failed: u64,
    /// Earliest of them; of its echoes when there is none.
    pub first_at: EventTime,
    /// Latest of them; of its echoes when there is none.
    pub last_at: EventTime,
}

/// One principal that some event named.
#[derive(Clone, Debug)]
pub struct PrincipalRow {
    /// Its stable id.
    pub id: String,
    /// Its readable name, the latest one seen.
    pub name: Option<String>,
    /// What it is.
    pub kind: PrincipalKind,
    /// How many events it caused, echoes not counted.
    pub events: u64,
    /// How many of them did not end well.
    pub failed: u64,
    /// Earliest of them; of its echoes when there is none.
    pub first_at: EventTime,
    /// Latest of them; of its echoes when there is none.
    pub last_at: EventTime,
}

/// A count per level.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LevelCounts {
    counts: [u64; Level::ALL.len()],
}

impl LevelCounts {
    /// How many of `level`.
    #[must_use]
    pub fn of(&self, level: Level) -> u64 {
        self.counts.get(level as usize).copied().unwrap_or(0)
    }

    /// How many in all.
    #[must_use]
    pub fn sum(&self) -> u64 {
        self.counts.iter().sum()
    }

    pub(crate) fn add(&mut self, level: Level, count: u64) {
        if let Some(slot) = self.counts.get_mut(level as usize) {
            *slot += count;
        }
    }
}

/// One hour of the overview.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HourCount {
    /// Start of the hour, event time.
    pub hour: EventTime,
    /// Events in it, by level.
    pub events: LevelCounts,
}

/// How fresh one source is.
#[derive(Clone, Debug)]
pub struct PositionRow {
    /// Name of the source.
    pub source: String,
    /// Its position.
    pub position: String,
    /// When it last moved.
    pub updated_at: DateTime<Utc>,
}

/// How one receiver stands.
#[derive(Clone, Debug)]
pub struct ReceiverRow {
    /// Its name; rows of a receiver no longer configured stay visible here.
    pub name: String,
    /// Since when it is paused, and why.
    pub paused: Option<(DateTime<Utc>, String)>,
    /// How it fails, when it does.
    pub failing: Option<Failing>,
    /// Its last heartbeat, when it gets any.
    pub heartbeat: Option<HeartbeatRow>,
    /// Deliveries waiting.
    pub pending: u64,
    /// Deliveries given up.
    pub dead: u64,
    /// Deliveries that succeeded.
    pub delivered: u64,
    /// When one last succeeded.
    pub last_delivered_at: Option<DateTime<Utc>>,
}

/// A receiver that fails.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failing {
    /// When it last answered as it should, or was first tried.
    pub since: DateTime<Utc>,
    /// How often in a row it failed.
    pub failures: u32,
    /// When it is tried next, once it fails so often that it is only probed.
    pub probe_at: Option<DateTime<Utc>>,
    /// The last error.
    pub error: String,
}

/// The last heartbeat to one receiver.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeartbeatRow {
    /// When one was last sent.
    pub tried_at: DateTime<Utc>,
    /// When one was last accepted.
    pub accepted_at: Option<DateTime<Utc>>,
    /// Why the last one was not.
    pub error: Option<String>,
}

/// What the first page shows.
#[derive(Clone, Debug)]
pub struct Overview {
    /// Alerts opened in the last 24 hours (event time), withdrawn ones not counted.
    pub alerts_day: LevelCounts,
    /// Alerts opened in the last 7 days (event time), withdrawn ones not counted.
    pub alerts_week: LevelCounts,
    /// Events by level in the last 24 hours: the current hour and the 23 before it.
    pub events_day: LevelCounts,
    /// Events by level in the last 7 days: the current hour and the 167 before it.
    pub events_week: LevelCounts,
    /// The last 24 hours, oldest first, empty hours included.
    pub hours: Vec<HourCount>,
    /// Alerts that are open or acknowledged, whenever opened.
    pub open_alerts: LevelCounts,
    /// Everything that is stored.
    pub totals: Totals,
    /// When the latest batch with something new was taken in.
    pub latest_received_at: Option<DateTime<Utc>>,
    /// Event time of the latest event.
    pub latest_event_at: Option<EventTime>,
    /// How fresh each source is, by name.
    pub positions: Vec<PositionRow>,
}

/// Counts of everything that is stored.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Events.
    pub events: u64,
    /// Events that came again and were not stored again.
    pub duplicates: u64,
    /// Rejects.
    pub rejects: u64,
    /// Alerts, withdrawn ones included.
    pub alerts: u64,
    /// Deliveries waiting.
    pub pending: u64,
    /// Deliveries that succeeded.
    pub delivered: u64,
    /// Deliveries given up.
    pub dead: u64,
    /// Deliveries taken back before anybody was told.
    pub cancelled: u64,
    /// Records that held secret values, which were scrubbed.
    pub scrubbed: Vec<Scrubbed>,
}

/// How many records held a secret value of one kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scrubbed {
    /// The provider of the records, or `reject`.
    pub of: String,
    /// What was scrubbed, one of [`keywatch_event::scrubbed::KINDS`].
    pub kind: String,
    /// Events, or rejects.
    pub records: u64,
}

/// One reject in a list.
#[derive(Clone, Debug)]
pub struct RejectRow {
    /// Number for links.
    pub id: i64,
    /// Where the bytes stand.
    pub place: Place,
    /// Short stable name of the reason, [`keywatch_event::RejectReason::kind`].
    pub kind: String,
    /// The reason in words.
    pub reason: String,
    /// How many bytes.
    pub bytes_len: u64,
    /// When they were taken in.
    pub received_at: DateTime<Utc>,
}

/// One reject with its bytes.
#[derive(Clone, Debug)]
pub struct RejectDetail {
    /// The reject.
    pub reject: RejectRow,
    /// The bytes, as they came.
    pub bytes: Vec<u8>,
}

/// One delivery in a list.
#[derive(Clone, Debug)]
pub struct DeliveryRow {
    /// Number for links and [`crate::Store::replay`].
    pub id: i64,
    /// The id the receiver sees, the same at every attempt.
    pub message_id: String,
    /// To whom.
    pub receiver: String,
    /// What is told.
    pub kind: DeliveryKind,
    /// Where it stands.
    pub state: DeliveryState,
    /// Present id of the alert.
    pub alert_id: String,
    /// Title of the alert.
    pub alert_title: String,
    /// Level of the alert.
    pub level: Level,
    /// Attempts made since it was written or last replayed.
    pub attempts: u32,
    /// When the batch it came of was taken in.
    pub created_at: DateTime<Utc>,
    /// When it was decided that the receiver is told.
    pub decided_at: Option<DateTime<Utc>>,
    /// When the receiver said yes.
    pub delivered_at: Option<DateTime<Utc>>,
    /// The delivery under whose message id it went out, when it was told together with others.
    pub bundle: Option<i64>,
    /// When the next attempt is due; of no meaning unless pending.
    pub due_at: DateTime<Utc>,
    /// Why it was given up or taken back, or the latest error.
    pub reason: Option<String>,
}

/// One delivery with its attempts.
#[derive(Clone, Debug)]
pub struct Delivery {
    /// The delivery.
    pub delivery: DeliveryRow,
    /// Attempts, oldest first.
    pub attempts: Vec<Attempt>,
}

/// One attempt to deliver.
#[derive(Clone, Debug)]
pub struct Attempt {
    /// Its number since the delivery was written or last replayed, from 1.
    pub number: u32,
    /// When it began.
    pub started_at: DateTime<Utc>,
    /// How long it took, milliseconds.
    pub latency_ms: u32,
    /// HTTP status, when there was an answer.
    pub status: Option<u16>,
    /// What went wrong.
    pub error: Option<String>,
    /// Beginning of the answer.
    pub response_excerpt: Option<String>,
}
