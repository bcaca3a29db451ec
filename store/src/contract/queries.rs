//! Every question a page asks, against a small history.

use super::*;
use crate::{
    AccessSummary, AlertFilter, AlertStatus, Cursor, DeliveryFilter, DeliveryState, EventFilter, Listed,
    Page, Span,
};

/// Four events: `1` and `2` by `role/app`, `3` and `4` by `role/job`, a minute apart.
async fn history() -> Stage {
    let at =
        |id: &str, minute: i64| AuditEvent { time: EventTime::from_secs(NOON + 60 * minute), ..event(id) };
    let batch = Batch::of([
        at("1", 1),
        AuditEvent {
            outcome: Outcome::Denied,
            source: Source::from_text("198.51.100.7".into()),
            ..at("2", 2)
        },
        AuditEvent {
            principal: principal("role/job"),
            provider: Provider::Vault,
            service: "kv".into(),
            store: None,
            account: None,
            region: None,
            operation: "read secret/data/app".into(),
            secrets: vec![secret("db"), secret("api")],
            source: Source::absent(),
            ..at("3", 3)
        },
        AuditEvent {
            principal: principal("role/job"),
            class: Class::SecretDelete,
            operation: "DeleteSecret".into(),
            secrets: vec![secret("api")],
            echo_of: Some("kms".into()),
            ..at("4", 4)
        },
    ]);
    let stage = Stage::open().await;
    let verdict = [Level::Info, Level::Warning, Level::Info, Level::Critical];
    stage.judged(&batch, |_| levels(&verdict)).await.unwrap();
    stage
}

async fn ids(stage: &Stage, filter: EventFilter) -> Vec<String> {
    let listed = stage.store.events(&filter, Page::first(10)).await.unwrap();
    assert_eq!(listed.next, None);
    listed.rows.into_iter().map(|row| row.id).collect()
}

fn minutes(since: Option<i64>, until: Option<i64>) -> Span {
    let time = |minute: i64| EventTime::from_secs(NOON + 60 * minute);
    Span { since: since.map(time), until: until.map(time) }
}

#[tokio::test]
async fn events_are_listed_newest_first_by_any_filter() {
    let stage = history().await;
    let any = || EventFilter { echoes: true, ..EventFilter::default() };
    let some = |text: &str| Some(text.to_owned());
    for (filter, want) in [
        (any(), &["4", "3", "2", "1"][..]),
        (EventFilter { span: minutes(Some(2), Some(4)), ..any() }, &["3", "2"]),
        (EventFilter { provider: Some(Provider::Vault), ..any() }, &["3"]),
        (EventFilter { class: Some(Class::SecretDelete), ..any() }, &["4"]),
        (EventFilter { outcome: Some(Outcome::Denied), ..any() }, &["2"]),
        (EventFilter { level_min: Some(Level::Warning), ..any() }, &["4", "2"]),
        (EventFilter { level_min: Some(Level::High), ..any() }, &["4"]),
        (EventFilter { level_min: Some(Level::Info), ..any() }, &["4", "3", "2", "1"]),
        (EventFilter { principal: some("role/app"), ..any() }, &["2", "1"]),
        (EventFilter { secret: some("db"), ..any() }, &["3", "2", "1"]),
        (EventFilter { secret: some("api"), span: minutes(Some(4), None), ..any() }, &["4"]),
        (EventFilter { source: some("203.0.113.9"), ..any() }, &["4", "1"]),
        (EventFilter { operation: some("DeleteSecret"), ..any() }, &["4"]),
        (EventFilter { account: some("111122223333"), ..any() }, &["4", "2", "1"]),
        (EventFilter { principal: some("nobody"), ..any() }, &[]),
        (
            EventFilter {
                secret: some("api"),
                principal: some("role/job"),
                level_min: Some(Level::High),
                source: some("203.0.113.9"),
                ..any()
            },
            &["4"],
        ),
    ] {
        assert_eq!(ids(&stage, filter.clone()).await, want, "{filter:?}");
        let real: Vec<&str> = want.iter().copied().filter(|id| *id != "4").collect();
        let filter = EventFilter { echoes: false, ..filter };
        assert_eq!(ids(&stage, filter.clone()).await, real, "4 is an echo: {filter:?}");
    }
}

#[tokio::test]
async fn an_event_row_says_what_the_event_said() {
    let stage = history().await;
    let row = stage.store.event("4").await.unwrap().unwrap().event;
    assert_eq!(row.time.to_string(), "2026-01-31T12:04:00Z");
    assert_eq!((row.provider, row.class, row.outcome), (Provider::Aws, Class::SecretDelete, Outcome::Ok));
    assert_eq!(
        (row.service.as_str(), row.operation.as_str()),
        ("secretsmanager.amazonaws.com", "DeleteSecret")
    );
    assert_eq!((row.store.as_deref(), row.region.as_deref()), (Some("sm"), Some("eu-central-1")));
    assert_eq!((row.level, row.rules), (Level::Critical, vec!["KW-001".to_owned(), "KW-002".to_owned()]));
    assert_eq!((row.principal.as_str(), row.principal_kind), ("role/job", PrincipalKind::Role));
    assert_eq!(row.principal_name.as_deref(), Some("role/job (name)"));
    assert_eq!((row.source.as_deref(), row.source_kind.as_str()), (Some("203.0.113.9"), "addr"));
    assert!(row.echo);
    let row = stage.store.event("3").await.unwrap().unwrap().event;
    assert_eq!((row.store, row.account, row.region, row.source), (None, None, None, None));
    assert_eq!((row.secrets, row.rules, row.echo), (vec!["db".to_owned(), "api".to_owned()], vec![], false));
}

#[tokio::test]
async fn pages_meet_without_gap_or_overlap_even_at_one_instant() {
    let stage = Stage::open().await;
    stage.commit(&Batch::numbered(0..25)).await.unwrap();
    for filter in [
        EventFilter::default(),
        EventFilter { secret: Some("db".to_owned()), ..EventFilter::default() },
        EventFilter { principal: Some("role/app".to_owned()), ..EventFilter::default() },
    ] {
        let (mut seen, mut page, mut sizes) = (Vec::new(), Page::first(10), Vec::new());
        loop {
            let listed = stage.store.events(&filter, page).await.unwrap();
            sizes.push(listed.rows.len());
            seen.extend(listed.rows.into_iter().map(|row| row.id));
            let Some(next) = listed.next else { break };
            page.after = Some(next.to_string().parse().unwrap());
        }
        assert_eq!(sizes, [10, 10, 5]);
        let want: Vec<String> = (0..25).rev().map(|id| format!("event-{id}")).collect();
        assert_eq!(seen, want);
    }
}

#[tokio::test]
async fn a_text_that_is_no_cursor_is_refused() {
    for text in ["", "1", "1_", "_1", "a_b", "1_2_3"] {
        assert!(text.parse::<Cursor>().is_err(), "{text}");
    }
}

#[tokio::test]
async fn a_secret_shows_who_touched_it_and_a_principal_what() {
    let stage = history().await;
    let short = |rows: Vec<AccessSummary>| {
        let one = |row: AccessSummary| (row.id, row.ok, row.failed, row.sources, row.last_at.secs() - NOON);
        rows.into_iter().map(one).collect::<Vec<_>>()
    };
    let all = Span::default();
    let who = short(stage.store.secret_principals("db", all).await.unwrap());
    assert_eq!(who, [("role/job".to_owned(), 1, 0, 0, 180), ("role/app".to_owned(), 1, 1, 2, 120)]);
    let who = short(stage.store.secret_principals("db", minutes(None, Some(2))).await.unwrap());
    assert_eq!(who, [("role/app".to_owned(), 1, 0, 1, 60)]);
    let what = short(stage.store.principal_secrets("role/job", all).await.unwrap());
    assert_eq!(what, [("api".to_owned(), 1, 0, 0, 180), ("db".to_owned(), 1, 0, 0, 180)]);
    let what = short(stage.store.principal_secrets("role/job", minutes(Some(4), None)).await.unwrap());
    assert_eq!(what, [], "nothing but an echo");
    let rows = stage.store.secret_access("db", minutes(Some(2), None), false, Page::first(1)).await.unwrap();
    assert_eq!((rows.rows[0].id.as_str(), rows.next.is_some()), ("3", true));
    let rows = stage.store.principal_access("role/app", all, false, Page::first(9)).await.unwrap();
    assert_eq!(rows.rows.len(), 2);
}

#[tokio::test]
async fn a_read_with_its_echo_is_one_access_from_every_side() {
    let at = |id: &str, secs: i64| AuditEvent { time: EventTime::from_secs(NOON + secs), ..event(id) };
    let decrypt = |id: &str, secs: i64| AuditEvent {
        service: "kms.amazonaws.com".into(),
        operation: "Decrypt".into(),
        class: Class::KeyUse,
        outcome: Outcome::Denied,
        source: Source::from_text("secretsmanager.amazonaws.com".into()),
        secrets: vec![secret("db"), secret("key")],
        echo_of: Some("secretsmanager.amazonaws.com".into()),
        ..at(id, secs)
    };
    let stage = Stage::open().await;
    let batch = Batch::of([decrypt("before", -7200), at("read", 0), decrypt("echo", 1)]);
    stage.commit(&batch).await.unwrap();
    let (store, all) = (&stage.store, Span::default());
    let pair = |rows: Vec<AccessSummary>| {
        let one = |row: AccessSummary| {
            (row.id, row.ok, row.failed, row.sources, row.first_at.secs() - NOON, row.last_at.secs() - NOON)
        };
        rows.into_iter().map(one).collect::<Vec<_>>()
    };
    let who = pair(store.secret_principals("db", all).await.unwrap());
    assert_eq!(who, [("role/app".to_owned(), 1, 0, 1, 0, 0)]);
    let what = pair(store.principal_secrets("role/app", all).await.unwrap());
    assert_eq!(what, [("db".to_owned(), 1, 0, 1, 0, 0)]);
    let db = store.secret("db").await.unwrap().unwrap();
    assert_eq!((db.events, db.failed, db.first_at.secs(), db.last_at.secs()), (1, 0, NOON, NOON));
    let app = store.principals(None, Page::first(9)).await.unwrap().rows.remove(0);
    assert_eq!((app.events, app.failed, app.first_at.secs(), app.last_at.secs()), (1, 0, NOON, NOON));
    let key = store.secret("key").await.unwrap().unwrap();
    let times = (key.first_at.secs(), key.last_at.secs());
    assert_eq!((key.events, times), (0, (NOON - 7200, NOON + 1)), "known by echoes only");
    for (echoes, events) in [(false, 1), (true, 3)] {
        let rows = store.secret_access("db", all, echoes, Page::first(9)).await.unwrap().rows;
        assert_eq!(rows.len(), events, "{echoes}");
        let rows = store.principal_access("role/app", all, echoes, Page::first(9)).await.unwrap().rows;
        assert_eq!(rows.len(), events, "{echoes}");
    }
}

#[tokio::test]
async fn secrets_and_principals_are_found_by_part_of_their_names() {
    let stage = history().await;
    let first = |search: Option<&'static str>| {
        let store = &stage.store;
        async move {
            let secrets: Listed<_> = store.secrets(search, Page::first(10)).await.unwrap();
            let ids: Vec<_> = secrets.rows.into_iter().map(|row| (row.id, row.events, row.failed)).collect();
            let principals = store.principals(search, Page::first(10)).await.unwrap();
            let names: Vec<_> =
                principals.rows.into_iter().map(|row| (row.id, row.events, row.failed)).collect();
            (ids, names)
        }
    };
    let (api, db) = (("api".to_owned(), 1, 0), ("db".to_owned(), 3, 1));
    let (job, app) = (("role/job".to_owned(), 1, 0), ("role/app".to_owned(), 2, 1));
    assert_eq!(first(None).await, (vec![api.clone(), db], vec![job.clone(), app.clone()]));
    assert_eq!(first(Some("AP")).await, (vec![api], vec![app]));
    assert_eq!(first(Some("JOB (na")).await, (vec![], vec![job]));
    assert_eq!(first(Some("%")).await, (vec![], vec![]));
    let page = stage.store.secrets(None, Page::first(1)).await.unwrap();
    let page = stage.store.secrets(None, Page { after: page.next, limit: 1 }).await.unwrap();
    assert_eq!((page.rows[0].id.as_str(), page.next), ("db", None));
    let db = stage.store.secret("db").await.unwrap().unwrap();
    assert_eq!(
        (db.name.as_str(), db.first_at.secs(), db.last_at.secs()),
        ("db (name)", NOON + 60, NOON + 180)
    );
    let job = stage.store.principal("role/job").await.unwrap().unwrap();
    assert_eq!((job.kind, job.name.as_deref()), (PrincipalKind::Role, Some("role/job (name)")));
    assert!(stage.store.principal("db").await.unwrap().is_none());
}

#[tokio::test]
async fn alerts_are_listed_newest_first_by_any_filter() {
    let stage = Stage::open().await;
    let at = |id: &str, minute: i64| Alert {
        opened_at: EventTime::from_secs(NOON + 60 * minute),
        ..alert(id, &["a"])
    };
    let changes = vec![
        opened(at("1", 1), 0),
        opened(Alert { level: Level::Warning, rule: "KW-009".to_owned(), ..at("2", 2) }, 0),
        opened(
            Alert { principal: None, provider: Provider::Gcp, secrets: vec![secret("api")], ..at("3", 3) },
            0,
        ),
        withdrawn("3"),
    ];
    stage.change("a", 0, changes).await;
    let any = AlertFilter::default;
    for (filter, want) in [
        (any(), &["3", "2", "1"][..]),
        (AlertFilter { level_min: Some(Level::High), ..any() }, &["3", "1"]),
        (AlertFilter { rule: Some("KW-009".to_owned()), ..any() }, &["2"]),
        (AlertFilter { provider: Some(Provider::Gcp), ..any() }, &["3"]),
        (AlertFilter { principal: Some("role/app".to_owned()), ..any() }, &["2", "1"]),
        (AlertFilter { secret: Some("api".to_owned()), ..any() }, &["3"]),
        (AlertFilter { statuses: vec![AlertStatus::Open], ..any() }, &["2", "1"]),
        (AlertFilter { statuses: vec![AlertStatus::Withdrawn], ..any() }, &["3"]),
        (AlertFilter { span: minutes(Some(2), Some(3)), ..any() }, &["2"]),
    ] {
        let rows = stage.store.alerts(&filter, Page::first(10)).await.unwrap().rows;
        assert_eq!(rows.into_iter().map(|row| row.id).collect::<Vec<_>>(), want, "{filter:?}");
    }
    let first = stage.store.alerts(&any(), Page::first(2)).await.unwrap();
    assert_eq!(first.rows[1].title, "Alert 2");
    let rest = stage.store.alerts(&any(), Page { after: first.next, limit: 2 }).await.unwrap();
    assert_eq!((rest.rows[0].id.as_str(), rest.next), ("1", None));
    assert!(stage.store.alert("9").await.unwrap().is_none());
}

#[tokio::test]
async fn deliveries_are_listed_newest_first_by_state_and_receiver() {
    let stage = Stage::open().await;
    stage.change("a", 0, vec![opened(alert("A1", &["a"]), 0)]).await;
    stage.change("b", 0, vec![opened(alert("A2", &["b"]), 9), withdrawn("A1")]).await;
    let list = |state: Option<DeliveryState>, receiver: Option<&str>| {
        let filter = DeliveryFilter { state, receiver: receiver.map(str::to_owned) };
        let store = &stage.store;
        async move {
            let rows = store.deliveries(&filter, Page::first(9)).await.unwrap().rows;
            rows.into_iter().map(|row| (row.alert_id, row.receiver)).collect::<Vec<_>>()
        }
    };
    let pair = |alert: &str, receiver: &str| (alert.to_owned(), receiver.to_owned());
    let all = [pair("A2", "siem"), pair("A2", "ops"), pair("A1", "siem"), pair("A1", "ops")];
    assert_eq!(list(None, None).await, all);
    assert_eq!(list(Some(DeliveryState::Pending), None).await, all[..2]);
    assert_eq!(list(Some(DeliveryState::Cancelled), Some("ops")).await, all[3..]);
    let first = stage.store.deliveries(&DeliveryFilter::default(), Page::first(3)).await.unwrap();
    assert_eq!((first.rows[0].alert_title.as_str(), first.rows[0].level), ("Alert A2", Level::High));
    assert_eq!(first.rows[0].due_at, clock(9));
    let rest = Page { after: first.next, limit: 3 };
    assert_eq!(stage.store.deliveries(&DeliveryFilter::default(), rest).await.unwrap().rows.len(), 1);
    assert!(stage.store.delivery(999).await.unwrap().is_none());
}

#[tokio::test]
async fn the_overview_counts_the_day_and_the_week() {
    let stage = Stage::open().await;
    let hours_ago =
        |id: &str, hours: i64| AuditEvent { time: EventTime::from_secs(NOON - 3600 * hours), ..event(id) };
    let batch = Batch::of([hours_ago("1", 0), hours_ago("2", 23), hours_ago("3", 24), hours_ago("4", 200)])
        .at("trail", None, "10")
        .reject(1, b"x");
    let young = Alert { opened_at: EventTime::from_secs(NOON - 60), ..alert("young", &["1"]) };
    let old = Alert {
        opened_at: EventTime::from_secs(NOON - 3600 * 48),
        level: Level::Warning,
        ..alert("old", &["3"])
    };
    let gone = Alert { opened_at: EventTime::from_secs(NOON - 60), ..alert("gone", &["1"]) };
    let changes = vec![opened(young, 0), opened(old, 0), opened(gone, 0), withdrawn("gone")];
    let verdict = [Level::High, Level::Info, Level::Info, Level::Info];
    stage.judged(&batch, |_| Evaluation { changes: changes.clone(), ..levels(&verdict) }).await.unwrap();
    stage.commit(&Batch::of([hours_ago("1", 0)])).await.unwrap();
    let seen = stage.store.overview(clock(60)).await.unwrap();
    assert_eq!((seen.events_day.sum(), seen.events_day.of(Level::High), seen.events_week.sum()), (2, 1, 3));
    assert_eq!((seen.hours.len(), seen.hours[23].hour.secs()), (24, NOON));
    assert_eq!((seen.hours[23].events.of(Level::High), seen.hours[0].events.sum()), (1, 1));
    assert_eq!((seen.alerts_day.sum(), seen.alerts_week.sum()), (1, 2));
    assert_eq!((seen.open_alerts.of(Level::High), seen.open_alerts.of(Level::Warning)), (1, 1));
    let totals = seen.totals;
    assert_eq!((totals.events, totals.duplicates, totals.rejects, totals.alerts), (4, 1, 1, 3));
    assert_eq!((totals.pending, totals.cancelled), (4, 2));
    assert_eq!(seen.latest_received_at, Some(clock(0)));
    assert_eq!(seen.latest_event_at.map(EventTime::secs), Some(NOON));
    assert_eq!((seen.positions[0].source.as_str(), seen.positions[0].updated_at), ("trail", clock(0)));
}

#[tokio::test]
async fn an_empty_store_answers_every_question() {
    let stage = Stage::open().await;
    let seen = stage.store.overview(clock(0)).await.unwrap();
    assert_eq!((seen.hours.len(), seen.latest_received_at), (24, None));
    assert!(stage.store.receivers().await.unwrap().is_empty());
    assert!(stage.store.principal_secrets("x", Span::default()).await.unwrap().is_empty());
    assert!(stage.store.open_signals(0, 3600, 10).await.unwrap().is_empty());
    assert_eq!(stage.store.next_due("ops").await.unwrap(), None);
}
