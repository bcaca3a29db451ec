//! Every figure there is: its name, kind and meaning.
//!
//! docs/metrics.md and the example rules in packaging/prometheus are held to this list by tests.

use metrics::{describe_counter, describe_gauge, describe_histogram};

/// What a figure does over time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Only grows, and begins again with the process.
    Counter,
    /// As it is now.
    Gauge,
    /// How long something took, in buckets.
    Histogram,
}

/// One figure.
#[derive(Debug)]
pub(super) struct Metric {
    pub(super) name: &'static str,
    pub(super) kind: Kind,
    pub(super) help: &'static str,
    /// Names of its labels.
    #[cfg_attr(not(test), expect(dead_code, reason = "what the documentation is compared with"))]
    pub(super) labels: &'static [&'static str],
}

/// Upper bounds of the buckets, seconds: from a local webhook to the longest time-out.
pub(super) const BUCKETS: &[f64] = &[0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0];

macro_rules! metrics {
    ($($kind:ident $name:literal [$($label:literal),*] $help:literal;)+) => {
        /// All of them.
        pub(super) const ALL: &[Metric] =
            &[$(Metric { name: $name, kind: Kind::$kind, help: $help, labels: &[$($label),*] },)+];
    };
}

metrics! {
    Counter "keywatch_events_total" ["provider", "level"] "Events stored for the first time, by what the rules said of them";
    Counter "keywatch_duplicates_total" ["source"] "Events that came again and were not stored again";
    Counter "keywatch_rejects_total" ["source", "kind"] "Records that could not be read";
    Counter "keywatch_scrubbed_records_total" ["of", "kind"] "Records in which secret values were replaced, since the database was made; of is the provider, or reject";
    Gauge "keywatch_stored_events" [] "Events in the database";
    Counter "keywatch_late_events_total" [] "Events that came too late for memory and were judged from the history";
    Histogram "keywatch_batch_seconds" [] "Time to judge and store a batch";
    Counter "keywatch_alerts_total" ["rule", "level"] "Alerts opened";
    Counter "keywatch_attempts_total" ["receiver", "outcome"] "Attempts to deliver: accepted, refused or failed";
    Histogram "keywatch_attempt_seconds" ["receiver"] "Time an attempt to deliver took";
    Gauge "keywatch_outbox_pending" ["receiver"] "Deliveries that wait";
    Gauge "keywatch_outbox_oldest_seconds" ["receiver"] "Age of the oldest delivery that waits";
    Gauge "keywatch_dead_letters" ["receiver"] "Deliveries that were given up and not replayed";
    Counter "keywatch_source_records_total" ["source"] "Records taken from a source";
    Counter "keywatch_source_refused_total" ["source"] "Requests, messages and connections that a source did not take; its page says why";
    Counter "keywatch_source_dropped_records_total" ["source"] "Records that were lost because there was no room and nobody could be told";
    Gauge "keywatch_source_last_record_timestamp_seconds" ["source"] "When a source last brought a record, as Unix time";
    Gauge "keywatch_source_lag_seconds" ["source"] "Age of the newest event of a source's last batch when it was stored";
    Gauge "keywatch_source_notices" ["source"] "Notices on the dashboard's page of sources: errors, gaps, retries";
    Gauge "keywatch_secret_usable" ["secret"] "1 when one of Keywatch's own secrets can be used, 0 when it is missing; the label says where it lies";
    Gauge "keywatch_secret_failing" ["secret"] "1 when the last attempt to fetch the secret failed, though an older value may still be used";
    Gauge "keywatch_secret_age_seconds" ["secret"] "How long ago the secret was fetched";
    Gauge "keywatch_rules_loaded" [] "Rules in force";
    Gauge "keywatch_rules_blind" [] "Rules among them that can find nothing, because a list or a source is missing";
    Gauge "keywatch_engine_entries" [] "Entries in the windows of the rules";
    Gauge "keywatch_engine_entries_max" [] "Most entries there may be";
    Gauge "keywatch_engine_principals" [] "Principals, secrets and others of whom the rules learned something";
    Gauge "keywatch_engine_learned_bytes" [] "Bytes of what the rules learned: baselines and thresholds";
    Gauge "keywatch_engine_learned_bytes_max" [] "Most bytes of that there may be";
    Counter "keywatch_engine_entries_evicted_total" [] "Entries let go because memory was full";
    Counter "keywatch_engine_principals_evicted_total" [] "Principals and others forgotten because memory was full";
    Counter "keywatch_engine_forgotten_total" ["rule"] "How many of those a rule had learned something of";
    Gauge "keywatch_configuration_loaded" [] "1 when the last reload succeeded or there was none, 0 when it failed";
    Counter "keywatch_reloads_total" ["outcome"] "Reloads of the configuration: done or failed";
    Gauge "keywatch_database_readable" [] "1 when the database answered this request, else 0";
    Gauge "keywatch_build_info" ["version"] "Always 1; the version is the label";
    Gauge "process_start_time_seconds" [] "When the process started, as Unix time";
    Gauge "process_resident_memory_bytes" [] "Memory in use (Linux)";
    Gauge "process_open_fds" [] "Open files and connections (Linux)";
}

/// The same name, if the list has it: a figure that is not in the list would be found by nobody.
pub(super) fn name(name: &'static str) -> &'static str {
    debug_assert!(ALL.iter().any(|metric| metric.name == name), "{name} is not in the catalogue");
    name
}

/// Tells the recorder what each figure means.
pub(super) fn describe() {
    for metric in ALL {
        match metric.kind {
            Kind::Counter => describe_counter!(metric.name, metric.help),
            Kind::Gauge => describe_gauge!(metric.name, metric.help),
            Kind::Histogram => describe_histogram!(metric.name, metric.help),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    /// `| keywatch_x | counter | a, b | Meaning |`, as the documentation writes a figure.
    fn row(metric: &Metric) -> String {
        let kind = format!("{:?}", metric.kind).to_lowercase();
        format!("| `{}` | {kind} | {} | {} |", metric.name, metric.labels.join(", "), metric.help)
    }

    #[test]
    fn every_figure_is_documented_and_every_documented_figure_exists() {
        let text = include_str!("../../docs/metrics.md");
        let documented: BTreeSet<String> =
            text.lines().filter(|line| line.starts_with("| `")).map(str::to_owned).collect();
        assert_eq!(documented, ALL.iter().map(row).collect());
    }

    #[test]
    fn the_example_rules_are_yaml_and_use_figures_that_exist() {
        let text = include_str!("../../packaging/prometheus/keywatch.rules.yml");
        let parsed = keywatch_rules::yaml::parse("keywatch.rules.yml", text);
        assert!(parsed.is_ok(), "{parsed:?}");
        let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
        let mut used = BTreeSet::new();
        for line in text.lines().filter(|line| line.trim_start().starts_with("expr:")) {
            let words = line.split(|c: char| !is_word(c)).filter(|word| word.starts_with("keywatch_"));
            used.extend(words.map(|word| word.trim_end_matches("_bucket").trim_end_matches("_count")));
        }
        assert!(used.len() >= 10, "{used:?}");
        for word in used {
            assert!(ALL.iter().any(|metric| metric.name == word), "{word} does not exist");
        }
        assert_eq!(text.matches("- alert:").count(), text.matches("summary:").count());
        assert_eq!(text.matches("- alert:").count(), text.matches("severity:").count());
    }
}
