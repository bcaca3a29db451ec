//! The figures that monitoring reads, in the text format of Prometheus.
//!
//! What happens while a batch is taken is counted then; the rest (alerts, deliveries, queues, the
//! engine's memory) is looked up when somebody asks, so it costs nothing otherwise and no part of
//! the program has to remember it. [`catalogue`] holds every figure there is.
//!
//! Invariant: labels are rules, levels, providers, places of secrets, and the names of sources and
//! receivers, so the number of series is bounded by the configuration. Nothing from a record is a label.

mod catalogue;
mod process;

use crate::clock;
use crate::pipeline::Stepped;
use catalogue::{BUCKETS, Kind, name};
use keywatch_dashboard::{CredentialInfo, Credentials, Detection, Rules, SourceInfo, Sources};
use keywatch_store::{AttemptMade, Meter, Seen, Store, StoreError};
use metrics::{counter, gauge, histogram};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle, PrometheusRecorder};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Mutex;

/// The figures of a running service; clones share them.
#[derive(Clone)]
pub(crate) struct Figures(Arc<Inner>);

struct Inner {
    recorder: PrometheusRecorder,
    handle: PrometheusHandle,
    store: Store,
    rules: Rules,
    sources: Sources,
    credentials: Credentials,
    started_secs: f64,
    /// How far alerts and attempts have been counted.
    seen: Mutex<Seen>,
}

impl Figures {
    /// Figures that begin now: what is stored already is not counted again.
    pub(crate) async fn start(
        store: Store,
        rules: Rules,
        sources: Sources,
        credentials: Credentials,
    ) -> anyhow::Result<Self> {
        let mut builder = PrometheusBuilder::new();
        for metric in catalogue::ALL.iter().filter(|metric| metric.kind == Kind::Histogram) {
            builder = builder.set_buckets_for_metric(Matcher::Full(metric.name.to_owned()), BUCKETS)?;
        }
        let recorder = builder.build_recorder();
        let handle = recorder.handle();
        let seen = Mutex::new(store.seen().await?);
        let started_secs = seconds(clock::now());
        let figures = Self(Arc::new(Inner {
            recorder,
            handle,
            store,
            rules,
            sources,
            credentials,
            started_secs,
            seen,
        }));
        metrics::with_local_recorder(&figures.0.recorder, catalogue::describe);
        Ok(figures)
    }

    /// Counts a batch that was stored: from which source, what came of it, how long it took.
    pub(crate) fn stepped(&self, source: &str, stepped: &Stepped, took: Duration) {
        metrics::with_local_recorder(&self.0.recorder, || {
            for ((provider, level), events) in &stepped.levels {
                let labels = [("provider", provider.as_str()), ("level", level.as_str())];
                counter!(name("keywatch_events_total"), &labels).increment(*events);
            }
            for (kind, rejects) in &stepped.rejects {
                counter!(name("keywatch_rejects_total"), "source" => source.to_owned(), "kind" => *kind)
                    .increment(*rejects);
            }
            let committed = stepped.committed;
            counter!(name("keywatch_duplicates_total"), "source" => source.to_owned())
                .increment(committed.duplicates as u64);
            histogram!(name("keywatch_batch_seconds")).record(took.as_secs_f64());
            if let Some(newest) = stepped.newest {
                let lag = clock::now().timestamp() - newest.secs();
                gauge!(name("keywatch_source_lag_seconds"), "source" => source.to_owned()).set(float(lag));
            }
        });
    }

    /// Counts an attempt to take over another configuration.
    pub(crate) fn reloaded(&self, outcome: &'static str) {
        metrics::with_local_recorder(&self.0.recorder, || {
            counter!(name("keywatch_reloads_total"), "outcome" => outcome).increment(1);
        });
    }

    /// Every figure, as of now. What the database does not tell is left as it was.
    pub(crate) async fn text(&self) -> String {
        let mut seen = self.0.seen.lock().await;
        let looked = self.look(*seen).await;
        metrics::with_local_recorder(&self.0.recorder, || {
            gauge!(name("keywatch_database_readable")).set(f64::from(u8::from(looked.is_ok())));
            if let Ok((meter, totals)) = &looked {
                *seen = meter.seen;
                tell_of_deliveries(meter);
                for one in &totals.scrubbed {
                    let labels = [("of", one.of.clone()), ("kind", one.kind.clone())];
                    counter!(name("keywatch_scrubbed_records_total"), &labels).absolute(one.records);
                }
                gauge!(name("keywatch_stored_events")).set(count(totals.events));
            }
            tell_of_rules(&(self.0.rules)());
            (self.0.sources)().iter().for_each(tell_of_source);
            (self.0.credentials)().iter().for_each(tell_of_credential);
            process::tell(self.0.started_secs);
        });
        self.0.handle.render()
    }

    async fn look(&self, seen: Seen) -> Result<(Meter, keywatch_store::Totals), StoreError> {
        Ok((self.0.store.meter(seen).await?, self.0.store.totals().await?))
    }
}

impl std::fmt::Debug for Figures {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Figures").finish_non_exhaustive()
    }
}

fn tell_of_deliveries(meter: &Meter) {
    for (rule, level) in &meter.alerts {
        counter!(name("keywatch_alerts_total"), "rule" => rule.clone(), "level" => level.as_str())
            .increment(1);
    }
    for attempt in &meter.attempts {
        let labels = [("receiver", attempt.receiver.clone()), ("outcome", outcome(attempt).to_owned())];
        counter!(name("keywatch_attempts_total"), &labels).increment(1);
        histogram!(name("keywatch_attempt_seconds"), "receiver" => attempt.receiver.clone())
            .record(Duration::from_millis(attempt.latency_ms).as_secs_f64());
    }
    let now = clock::now();
    for queue in &meter.queues {
        let receiver = || queue.receiver.clone();
        gauge!(name("keywatch_outbox_pending"), "receiver" => receiver()).set(count(queue.pending));
        gauge!(name("keywatch_dead_letters"), "receiver" => receiver()).set(count(queue.dead));
        let age = queue.oldest_at.map_or(0, |at| (now - at).num_seconds().max(0));
        gauge!(name("keywatch_outbox_oldest_seconds"), "receiver" => receiver()).set(float(age));
    }
}

fn outcome(attempt: &AttemptMade) -> &'static str {
    match attempt.status {
        Some(200..300) => "accepted",
        Some(_) => "refused",
        None if attempt.failed => "failed",
        None => "accepted",
    }
}

fn tell_of_rules(detection: &Detection) {
    let blind = detection.rules.iter().filter(|rule| rule.blind.is_some()).count();
    gauge!(name("keywatch_rules_loaded")).set(count(detection.rules.len() as u64));
    gauge!(name("keywatch_rules_blind")).set(count(blind as u64));
    let is_well = detection.reload_failed.is_none();
    gauge!(name("keywatch_configuration_loaded")).set(f64::from(u8::from(is_well)));
    let memory = &detection.memory;
    gauge!(name("keywatch_engine_entries")).set(count(memory.entries.0));
    gauge!(name("keywatch_engine_entries_max")).set(count(memory.entries.1));
    gauge!(name("keywatch_engine_principals")).set(count(memory.principals));
    gauge!(name("keywatch_engine_learned_bytes")).set(count(memory.learned_bytes.0));
    gauge!(name("keywatch_engine_learned_bytes_max")).set(count(memory.learned_bytes.1));
    counter!(name("keywatch_engine_entries_evicted_total")).absolute(memory.entries_evicted);
    counter!(name("keywatch_engine_principals_evicted_total")).absolute(memory.principals_evicted);
    for (rule, forgotten) in &memory.forgotten {
        counter!(name("keywatch_engine_forgotten_total"), "rule" => rule.clone()).absolute(*forgotten);
    }
    counter!(name("keywatch_late_events_total")).absolute(memory.late);
}

fn tell_of_source(source: &SourceInfo) {
    let named = || source.name.clone();
    counter!(name("keywatch_source_records_total"), "source" => named()).absolute(source.records);
    gauge!(name("keywatch_source_notices"), "source" => named()).set(count(source.notices.len() as u64));
    counter!(name("keywatch_source_refused_total"), "source" => named()).absolute(source.refused);
    counter!(name("keywatch_source_dropped_records_total"), "source" => named()).absolute(source.dropped);
    if let Some(at) = source.last_at {
        gauge!(name("keywatch_source_last_record_timestamp_seconds"), "source" => named()).set(seconds(at));
    }
}

fn tell_of_credential(info: &CredentialInfo) {
    let named = || info.reference.clone();
    let is_usable = info.fetched_secs.is_some();
    gauge!(name("keywatch_secret_usable"), "secret" => named()).set(f64::from(u8::from(is_usable)));
    gauge!(name("keywatch_secret_failing"), "secret" => named())
        .set(f64::from(u8::from(!info.error.is_empty())));
    if let Some(secs) = info.fetched_secs {
        gauge!(name("keywatch_secret_age_seconds"), "secret" => named()).set(count(secs));
    }
}

fn seconds(at: chrono::DateTime<chrono::Utc>) -> f64 {
    float(at.timestamp_millis()) / 1000.0
}

#[expect(clippy::cast_precision_loss, reason = "Prometheus has no other number; exact up to 2^53")]
const fn count(number: u64) -> f64 {
    number as f64
}

#[expect(clippy::cast_precision_loss, reason = "Prometheus has no other number; exact up to 2^53")]
const fn float(number: i64) -> f64 {
    number as f64
}
