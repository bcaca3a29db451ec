//! What comes too late for memory, and what does not come at all.

use super::*;
use keywatch_ingest::source::Reader;
use keywatch_store::{AlertFilter, Page};
use std::fmt::Write as _;

mod apart;
mod elsewhere;
mod restarts;
mod unanswered;

/// 2026-06-01T00:00:00Z.
const START: i64 = 1_780_272_000;

const SERIES: &str = "title: Denied\nname: base\nlogsource: {product: keywatch, category: audit}\ndetection:\n  \
    denied: {outcome: denied}\n  condition: denied\nlevel: informational\n---\ntitle: Series\nname: MY-1\n\
    correlation:\n  type: event_count\n  rules: [base]\n  group-by: [principal.id]\n  timespan: 10m\n  \
    condition: {gte: 3}\nlevel: high\n";
const STALLED: &str = "title: Stalled\nname: MY-2\nlogsource: {product: keywatch, category: audit}\ndetection:\n  \
    request: {outcome: denied}\n  response: {outcome: ok}\n  condition: request\nlevel: high\nkeywatch:\n  \
    silence: {for_at_least: 60s, followed_by: response, per: [principal.id]}\n";

/// A pipeline with one rule over a store of its own.
struct Stage {
    pipeline: Pipeline,
    store: Store,
    folder: tempfile::TempDir,
}

impl Stage {
    async fn tick(&mut self, now: DateTime<Utc>) -> Option<Committed> {
        let said = self.pipeline.tick(now);
        self.pipeline.say(said, now).await.unwrap()
    }

    async fn new(rule: &str, entries_max: usize) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&folder.path().join("keywatch.db")).await.unwrap();
        let rules = keywatch_rules::compile([("rule.yml", rule)]).unwrap();
        let settings = Settings { entries_max, ..Settings::default() };
        let pipeline = Pipeline::start(
            store.clone(),
            Arc::new(rules),
            settings,
            Arc::new(Vec::<keywatch_store::Subscriber>::new()),
        )
        .await
        .unwrap();
        Self { pipeline, store, folder }
    }

    /// Takes refused Vault reads: who, and how many seconds after the start.
    async fn denied(&mut self, calls: impl Iterator<Item = (String, i64)>) -> Stepped {
        self.tried(calls).await.unwrap()
    }

    async fn tried(&mut self, calls: impl Iterator<Item = (String, i64)>) -> Result<Stepped, Failed> {
        let batch = self.batch(calls);
        let now = DateTime::from_timestamp(START + 10_000_000, 0).unwrap();
        self.pipeline.step(&batch, Evaluation::default(), &mut |_| Vec::new(), now).await
    }

    fn batch(&self, calls: impl Iterator<Item = (String, i64)>) -> Batch {
        let mut lines = String::new();
        for (who, secs) in calls {
            let time = DateTime::from_timestamp(START + secs, 0).unwrap().format("%Y-%m-%dT%H:%M:%SZ");
            let call = format!(
                "{{\"id\":\"{who}-{secs}\",\"operation\":\"read\",\"mount_type\":\"kv\",\"path\":\"secret/data/x\"}}"
            );
            writeln!(
                lines,
                "{{\"time\":\"{time}\",\"type\":\"response\",\"error\":\"permission denied\",\
                 \"auth\":{{\"display_name\":\"{who}\",\"entity_id\":\"{who}\",\"token_type\":\"service\"}},\"request\":{call}}}"
            )
            .unwrap();
        }
        let path = self.folder.path().join("audit.log");
        std::fs::write(&path, lines).unwrap();
        Reader::new(vec![path]).next_batch(10_000, 1 << 24).unwrap()
    }

    async fn alerts(&self) -> Vec<keywatch_store::AlertRow> {
        self.store.alerts(&AlertFilter::default(), Page::first(100)).await.unwrap().rows
    }
}

fn eve(secs: i64) -> std::iter::Once<(String, i64)> {
    std::iter::once(("eve".to_owned(), secs))
}

#[tokio::test]
async fn an_event_that_memory_no_longer_reaches_completes_a_series_from_the_history() {
    let mut stage = Stage::new(SERIES, 50).await;
    stage.denied(eve(0).chain(eve(30))).await;
    // Others, for a month: more than memory holds.
    let others = (1..400).map(|n| (format!("user-{n}"), n * 7200));
    let stepped = stage.denied(others).await;
    assert_eq!(stepped.newest.map(EventTime::secs), Some(START + 399 * 7200));
    assert!(stage.pipeline.engine.floor().is_some(), "memory was short");
    assert!(stage.alerts().await.is_empty());
    let stepped = stage.denied(eve(60)).await;
    assert_eq!((stepped.committed.fresh, stage.pipeline.late()), (1, 1));
    let alerts = stage.alerts().await;
    assert_eq!(alerts.len(), 1, "{alerts:?}");
    assert_eq!((alerts[0].events, alerts[0].opened_at.secs()), (3, START + 60));
    assert!(alerts[0].json.contains("\"late_secs\":"), "{}", alerts[0].json);
    let event = stage.store.event(&late_event(&stage).await).await.unwrap().unwrap();
    assert_eq!(event.event.level, keywatch_event::Level::High, "the event is said to belong to it");
}

/// Id of the late event.
async fn late_event(stage: &Stage) -> String {
    let since = Some(EventTime::from_secs(START + 60));
    let span = keywatch_store::Span { since, until: Some(EventTime::from_secs(START + 61)) };
    let filter = keywatch_store::EventFilter { span, ..keywatch_store::EventFilter::default() };
    stage.store.events(&filter, Page::first(1)).await.unwrap().rows.remove(0).id
}

#[tokio::test]
async fn what_does_not_happen_is_told_once_when_its_time_is_over() {
    let mut stage = Stage::new(STALLED, 1000).await;
    stage.denied(eve(0)).await;
    let at = |secs| DateTime::from_timestamp(START + secs, 0).unwrap();
    assert!(stage.tick(at(30)).await.is_none(), "nothing to say, nothing written");
    let told = stage.tick(at(7200)).await;
    assert_eq!(told.map(|committed| committed.opened), Some(1));
    assert_eq!(stage.alerts().await.len(), 1);
    let again = stage.tick(at(7260)).await;
    assert_eq!(again.map_or(0, |committed| committed.opened), 0);
    assert_eq!(stage.alerts().await.len(), 1);
}

#[tokio::test]
async fn secret_values_in_what_cannot_be_read_are_told_with_the_batch_that_keeps_it() {
    const LEAK: &str = include_str!("../../rules/builtin/kw-138-value-in-log.yml");
    let mut stage = Stage::new(LEAK, 50).await;
    let rules = keywatch_rules::compile([("rule.yml", LEAK)]).unwrap();
    let mut watch = crate::watch::Watch::new(&rules, &[], &[]);
    let health = keywatch_ingest::source::Health::default();
    let subject = crate::watch::Subject { number: 3, name: "trail".to_owned(), provider: None, health };
    watch.attend(vec![subject], &HashMap::new());
    let path = stage.folder.path().join("audit.log");
    std::fs::write(&path, "{\"no record of ours\": \"ghp_abcdefghijklmnopqrstuvwxyz0123456789\"}\n").unwrap();
    let batch = Reader::new(vec![path]).next_batch(10_000, 1 << 24).unwrap();
    let now = DateTime::from_timestamp(START, 0).unwrap();
    let mut notice = |found: &Found| watch.found(3, found, now);
    let stepped = stage.pipeline.step(&batch, Evaluation::default(), &mut notice, now).await.unwrap();
    // Nothing else is asked: a crash right after the commit loses no alert.
    let alerts = stage.alerts().await;
    assert_eq!((stepped.committed.rejects, alerts.len()), (1, 1), "{alerts:?}");
    assert_eq!(alerts[0].rule, "KW-138r");
    assert!(
        alerts[0].json.contains("github-token") && !alerts[0].json.contains("ghp_"),
        "{}",
        alerts[0].json
    );
}
