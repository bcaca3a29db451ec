//! What is read back of the past: signals for windows, records for a trial of rules.

use super::*;
use crate::store::MIGRATIONS;
use crate::{History, Span, StoredSignal};
use keywatch_event::Kept;
use sqlx::migrate::Migrate;
use sqlx::{Connection, Row, SqliteConnection};

/// Commits events `(id, seconds after noon, seconds they matter)`, classified with the rule named
/// like the event.
async fn mattering(stage: &Stage, events: &[(&str, i64, u32)]) {
    let at = |&(id, secs, _): &(&str, i64, u32)| AuditEvent {
        time: EventTime::from_secs(NOON + secs),
        ..event(id)
    };
    let batch = Batch::of(events.iter().map(at));
    let classified = |&(id, _, matters_secs): &(&str, i64, u32)| Classified {
        level: Level::Info,
        rules: vec![id.into()],
        matters_secs,
    };
    let classified: Vec<Classified> = events.iter().map(classified).collect();
    let answer = |_: &[usize]| Evaluation { classified: classified.clone(), ..Evaluation::default() };
    stage.judged(&batch, answer).await.unwrap();
}

fn ids(signals: Vec<StoredSignal>) -> Vec<String> {
    signals.into_iter().map(|signal| signal.record.event_id).collect()
}

#[tokio::test]
async fn a_restart_gets_back_what_still_matters_oldest_first_with_its_rules() {
    let stage = Stage::open().await;
    let events = [
        ("long", -7000, 7200),
        ("over", -7000, 60),
        ("never", 0, 0),
        ("newest", 100, 60),
        ("fresh", -50, 60),
        ("beyond", -20_000, 40_000),
    ];
    mattering(&stage, &events).await;
    let open = async |lateness, limit| ids(stage.store.open_signals(lateness, 10_000, limit).await.unwrap());
    assert_eq!(open(100, 10).await, ["long", "fresh", "newest"], "what ends before is left out");
    assert_eq!(open(100, 2).await, ["fresh", "newest"], "the newest are kept");
    assert_eq!(open(7100, 10).await, ["long", "over", "fresh", "newest"], "lateness looks further back");
    let found = stage.store.open_signals(100, 10_000, 1).await.unwrap();
    let newest = found.first().unwrap();
    assert_eq!(newest.rules, ["newest"]);
    let want = AuditEvent { time: EventTime::from_secs(NOON + 100), ..event("newest") };
    assert_eq!(newest.record.raw, raw(&want));
    assert_eq!((newest.record.place.line, newest.record.received_at), (4, clock(0)));
}

#[tokio::test]
async fn an_event_that_joins_an_incident_later_matters_longer_and_never_shorter() {
    let stage = Stage::open().await;
    mattering(&stage, &[("early", -5000, 0), ("long", -4000, 9000), ("newest", 0, 60)]).await;
    let open = async || ids(stage.store.open_signals(0, 10_000, 10).await.unwrap());
    assert_eq!(open().await, ["long", "newest"]);
    let kept = |event: &str, secs, matters_secs| Kept {
        event: event.to_owned(),
        time: EventTime::from_secs(NOON + secs),
        matters_secs,
    };
    let said = Evaluation {
        kept: vec![kept("early", -5000, 6000), kept("long", -4000, 10), kept("unknown", 0, 60)],
        ..Evaluation::default()
    };
    stage.judged(&Batch::of([]), |_| said.clone()).await.unwrap();
    assert_eq!(open().await, ["early", "long", "newest"]);
}

#[tokio::test]
async fn the_past_around_late_events_is_read_nearest_first_and_given_oldest_first() {
    let stage = Stage::open().await;
    let events =
        [("a", 0, 60), ("b", 100, 60), ("c", 200, 60), ("d", 300, 60), ("never", 200, 0), ("e", 1000, 60)];
    mattering(&stage, &events).await;
    let between = async |from, to, limit| {
        let (from, to) = (EventTime::from_secs(NOON + from), EventTime::from_secs(NOON + to));
        ids(stage.store.signals_between(from, to, limit).await.unwrap())
    };
    assert_eq!(between(0, 300, 10).await, ["a", "b", "c", "d"], "both ends belong to it");
    assert_eq!(between(0, 420, 2).await, ["c", "d"], "the nearest to the middle");
    assert_eq!(between(400, 900, 10).await, Vec::<String>::new());
}

#[tokio::test]
async fn signals_are_chosen_within_their_index() {
    let stage = Stage::open().await;
    for sql in [crate::reading::OPEN_SIGNALS, crate::reading::SIGNALS_BETWEEN] {
        let explain = sqlx::AssertSqlSafe(format!("EXPLAIN QUERY PLAN {sql}"));
        let rows = sqlx::query(explain).fetch_all(stage.store.readers()).await.unwrap();
        let plan: Vec<String> = rows.iter().map(|row| row.get("detail")).collect();
        assert!(plan.iter().any(|step| step.contains("COVERING INDEX events_matters")), "{plan:#?}");
    }
}

#[tokio::test]
async fn the_history_is_read_in_the_order_of_commit_beside_its_writer() {
    let stage = Stage::open().await;
    let at = |id: String, secs: i64| AuditEvent { time: EventTime::from_secs(NOON + secs), ..event(&id) };
    for batch in 0..3_i64 {
        let events = (0..40_i64).map(|n| at(format!("{batch}-{n}"), 10_000 - batch * 1000 - n));
        stage.commit(&Batch::of(events)).await.unwrap();
    }
    let history = History::open(&stage.path()).await.unwrap();
    let since = Some(EventTime::from_secs(NOON + 8000));
    let span = Span { since, until: Some(EventTime::from_secs(NOON + 9_990)) };
    let extent = history.extent(span).await.unwrap();
    assert_eq!(extent.events, 29 + 40 + 1);
    assert_eq!(extent.first_at.map(EventTime::secs), Some(NOON + 8000));
    let (mut seen, mut start) = (Vec::new(), Some(extent.start()));
    while let Some(from) = start {
        let page = history.records(span, from, 7).await.unwrap();
        assert!(page.records.len() <= 7);
        start = page.next;
        seen.extend(page.records);
    }
    let names: Vec<&str> = seen.iter().map(|record| record.event_id.as_str()).collect();
    assert_eq!(names.len(), 70);
    assert_eq!((names.first(), names.get(28), names.get(29)), (Some(&"0-11"), Some(&"0-39"), Some(&"1-0")));
    assert_eq!(seen[0].raw, raw(&at("0-11".to_owned(), 9989)));
}

#[tokio::test]
async fn a_history_that_is_not_there_or_of_another_version_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("keywatch.db");
    let error = History::open(&path).await.unwrap_err();
    assert!(matches!(error, StoreError::File { .. }), "{error}");
    assert!(!path.exists(), "nothing is created");
    first_version(&path).await.close().await.unwrap();
    let error = History::open(&path).await.unwrap_err();
    assert!(matches!(error, StoreError::Schema { found: 1, .. }), "{error}");
    assert!(error.to_string().contains("keywatch serve"), "{error}");
}

#[tokio::test]
async fn a_picture_of_what_lately_came_counts_kinds_and_the_addresses_of_vault() {
    let stage = Stage::open().await;
    let empty = History::open(&stage.path()).await.unwrap().picture().await.unwrap();
    assert_eq!(empty, crate::Picture::default());
    let of_vault = |id: &'static str, class, address: &'static str| AuditEvent {
        provider: Provider::Vault,
        class,
        source: Source::from_text(address.into()),
        ..event(id)
    };
    let events = [
        of_vault("a", Class::SecretRead, "10.0.0.5"),
        of_vault("b", Class::SecretRead, "10.0.0.5"),
        of_vault("c", Class::SecretWrite, "10.0.0.6"),
        AuditEvent { provider: Provider::Gcp, class: Class::KeyUse, ..event("d") },
    ];
    stage.commit(&Batch::of(events).reject(9, b"{\"cut")).await.unwrap();
    let picture = History::open(&stage.path()).await.unwrap().picture().await.unwrap();
    assert_eq!(
        picture.classes,
        [
            (Provider::Gcp, Class::KeyUse, 1),
            (Provider::Vault, Class::SecretRead, 2),
            (Provider::Vault, Class::SecretWrite, 1)
        ]
    );
    let addresses: Vec<(&str, u64)> =
        picture.vault_addresses.iter().map(|one| (one.text.as_str(), one.events)).collect();
    assert_eq!(addresses, [("10.0.0.5", 2), ("10.0.0.6", 1)]);
    assert_eq!((picture.events, picture.rejects, picture.open_alerts), (4, 1, Vec::new()));
}

/// A database as the first version of the schema made it.
async fn first_version(path: &std::path::Path) -> SqliteConnection {
    let url = format!("sqlite://{}?mode=rwc", path.display());
    let mut conn = SqliteConnection::connect(&url).await.unwrap();
    conn.ensure_migrations_table("_sqlx_migrations").await.unwrap();
    conn.apply("_sqlx_migrations", MIGRATIONS.iter().next().unwrap()).await.unwrap();
    conn
}

#[tokio::test]
async fn signals_of_a_database_from_before_still_matter_after_the_upgrade() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("keywatch.db");
    let mut conn = first_version(&path).await;
    sqlx::query("INSERT INTO names VALUES (1, 'x')").execute(&mut conn).await.unwrap();
    let block = crate::raw::pack(b"{}").unwrap();
    sqlx::query("INSERT INTO raw_blocks VALUES (1, 0, 2, ?)").bind(block).execute(&mut conn).await.unwrap();
    for (id, hours_ago, signal) in [(1_i64, 0_i64, 1_i64), (2, 20, 1), (3, 20, 0), (4, 60, 1)] {
        sqlx::query(
            "INSERT INTO events VALUES (?1, CAST(?2 AS BLOB), ?2, ?3, 0, 0, 0, 0, 0, 0, ?4, 0, 1, NULL, NULL, NULL, 1, 1,
                NULL, 0, NULL, NULL, 1, 1, 0, 1, 0, 2)",
        )
        .bind(id)
        .bind(format!("event-{id}"))
        .bind((NOON - hours_ago * 3600) * 1_000_000_000)
        .bind(signal)
        .execute(&mut conn)
        .await
        .unwrap();
    }
    conn.close().await.unwrap();
    let store = Store::open(&path).await.unwrap();
    let found = ids(store.open_signals(26 * 3600, 400 * 3600, 10).await.unwrap());
    assert_eq!(found, ["event-2", "event-1"]);
    assert_eq!(store.integrity_check().await.unwrap(), Vec::<String>::new());
    store.close().await.unwrap();
}
