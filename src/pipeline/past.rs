//! The stored events around late ones, read before they are judged.
//!
//! Invariant: what is read is bounded, however many late events a batch has and however far apart
//! they lie.

use keywatch_event::{AuditEvent, EventTime};
use keywatch_ingest::provider::Normalizer;
use keywatch_rules::{Seen, Signal};
use keywatch_store::{Store, StoreError, StoredSignal};

/// Most stored events read for one batch, all stretches together: about 50 MB with their records.
const HISTORY_MAX: u32 = 25_000;

/// Stretches of event time with late events, and the history around each.
#[derive(Debug, Default)]
pub(super) struct Past {
    pub(super) stretches: Vec<Stretch>,
}

/// Late events near one another.
#[derive(Debug)]
pub(super) struct Stretch {
    /// Event time of the earliest of them.
    pub(super) from: EventTime,
    /// Event time of the latest.
    pub(super) to: EventTime,
    /// Stored events that may matter to them, oldest first.
    pub(super) history: Vec<StoredSignal>,
}

impl Past {
    /// Reads the history around events of these times, as far as the longest window reaches.
    pub(super) async fn around(
        store: &Store,
        times: Vec<EventTime>,
        span_secs: i64,
    ) -> Result<Self, StoreError> {
        let mut past = Self::default();
        let mut room = HISTORY_MAX;
        for (from, to) in stretches(times, span_secs) {
            let (earliest, latest) = (from.plus_secs(-span_secs), to.plus_secs(span_secs));
            let history =
                if room == 0 { Vec::new() } else { store.signals_between(earliest, latest, room).await? };
            room = room.saturating_sub(u32::try_from(history.len()).unwrap_or(u32::MAX));
            past.stretches.push(Stretch { from, to, history });
        }
        if room == 0 {
            tracing::warn!(
                events = HISTORY_MAX,
                "there is more history around late events than is read for one batch; alerts that need the rest may be missed"
            );
        }
        Ok(past)
    }
}

/// Groups times so that no window reaches from one group to the next.
fn stretches(mut times: Vec<EventTime>, span_secs: i64) -> Vec<(EventTime, EventTime)> {
    times.sort_unstable();
    let mut found: Vec<(EventTime, EventTime)> = Vec::new();
    for time in times {
        match found.last_mut() {
            Some((_, to)) if time.secs() - to.secs() <= 2 * span_secs => *to = time,
            _ => found.push((time, time)),
        }
    }
    found
}

/// The events of stored records; what a later version cannot read any more is left out.
pub(super) fn read<'s>(
    normalizer: &Normalizer,
    stored: &'s [StoredSignal],
) -> Vec<(AuditEvent<'s>, &'s StoredSignal)> {
    let event = |signal: &'s StoredSignal| {
        let record = &signal.record;
        let event = normalizer.normalize(&record.raw, EventTime::from(record.received_at)).ok()??;
        Some((event, signal))
    };
    stored.iter().filter_map(event).collect()
}

/// Stored events as the engine sees them.
pub(super) fn signals<'s>(events: &'s [(AuditEvent<'s>, &'s StoredSignal)]) -> Vec<Signal<'s>> {
    let signal = |(event, signal): &'s (AuditEvent<'s>, &'s StoredSignal)| Signal {
        seen: Seen { event, place: &signal.record.place, raw: &signal.record.raw },
        rules: signal.rules.clone(),
    };
    events.iter().map(signal).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn late_events_are_judged_together_when_a_window_could_hold_both() {
        let at = EventTime::from_secs;
        let times = [500, 0, 20, 41, 62, 500].map(at);
        assert_eq!(
            stretches(times.to_vec(), 10),
            [(at(0), at(20)), (at(41), at(41)), (at(62), at(62)), (at(500), at(500))]
        );
        assert_eq!(stretches(times.to_vec(), 11), [(at(0), at(62)), (at(500), at(500))]);
        assert_eq!(stretches(Vec::new(), 10), []);
    }
}
