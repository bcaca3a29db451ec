//! One transaction: all of a batch, once, or nothing.

use super::*;
use crate::Page;

#[tokio::test]
async fn the_same_batch_again_changes_nothing_but_the_count_of_duplicates() {
    let stage = Stage::open().await;
    let batch = Batch::numbered(0..700).reject(9, b"{\"cut");
    let first = stage.commit(&batch).await.unwrap();
    assert_eq!(first, Committed { fresh: 700, duplicates: 0, rejects: 1, opened: 0 });
    let second = stage.commit(&batch).await.unwrap();
    assert_eq!(second, Committed { fresh: 0, duplicates: 700, rejects: 0, opened: 0 });
    let totals = stage.store.totals().await.unwrap();
    assert_eq!((totals.events, totals.duplicates, totals.rejects), (700, 700, 1));
    let row = stage.store.secret("db").await.unwrap().unwrap();
    assert_eq!(row.events, 700, "summaries count an event once too");
}

#[tokio::test]
async fn the_judge_hears_only_of_events_not_stored_and_not_repeated() {
    let stage = Stage::open().await;
    stage.commit(&Batch::of([event("a"), event("b")])).await.unwrap();
    let batch = Batch::of(["b", "c", "c", "a", "d"].map(event));
    let mut heard = Vec::new();
    let done = stage.judged(&batch, |fresh| {
        heard = fresh.to_vec();
        quiet(fresh.len())
    });
    let done = done.await.unwrap();
    assert_eq!(heard, [1, 4]);
    assert_eq!((done.fresh, done.duplicates), (2, 3));
}

#[tokio::test]
async fn a_position_moves_only_from_where_the_batch_was_read() {
    let stage = Stage::open().await;
    stage.commit(&Batch::of([event("a")]).at("trail", None, "10")).await.unwrap();
    stage.commit(&Batch::of([event("b")]).at("trail", Some("10"), "20")).await.unwrap();
    let mut asked = false;
    for from in [Some("10"), None] {
        let outdated = Batch::of([event("c")]).at("other", None, "1").at("trail", from, "15").reject(1, b"x");
        let refused = stage.judged(&outdated, |fresh| {
            asked = true;
            quiet(fresh.len())
        });
        let error = refused.await.unwrap_err();
        let StoreError::PositionMoved { feed, expected, found } = &error else { panic!("{error}") };
        assert_eq!((feed.as_str(), expected.as_deref(), found.as_deref()), ("trail", from, Some("20")));
        assert!(!error.is_retryable());
    }
    assert!(!asked, "a stale batch is not even judged");
    let positions = stage.store.positions().await.unwrap();
    assert_eq!(positions, [("trail".to_owned(), "20".to_owned())].into());
    let totals = stage.store.totals().await.unwrap();
    assert_eq!((totals.events, totals.rejects), (2, 0), "nothing of a stale batch is kept");
}

#[tokio::test]
async fn a_source_with_no_position_is_not_at_any() {
    let stage = Stage::open().await;
    let error = stage.commit(&Batch::of([]).at("trail", Some("10"), "20")).await.unwrap_err();
    assert!(matches!(error, StoreError::PositionMoved { found: None, .. }), "{error}");
}

#[tokio::test]
async fn an_answer_about_other_events_than_asked_leaves_nothing() {
    let stage = Stage::open().await;
    let batch = Batch::numbered(0..3).at("trail", None, "10").reject(1, b"x");
    let error = stage.judged(&batch, |_| quiet(2)).await.unwrap_err();
    assert!(matches!(error, StoreError::Answer { asked: 3, answered: 2 }), "{error}");
    assert_eq!(stage.store.totals().await.unwrap(), crate::Totals::default());
    assert!(stage.store.positions().await.unwrap().is_empty());
    let again = stage.commit(&batch).await.unwrap();
    assert_eq!((again.fresh, again.rejects), (3, 1), "and does not stand in the way of the next try");
    let listed = stage.store.events(&crate::EventFilter::default(), Page::first(9)).await.unwrap();
    assert_eq!(listed.rows[0].principal, "role/app", "names are interned anew after an abort");
}

#[tokio::test]
async fn a_judge_that_panics_leaves_nothing() {
    let stage = Stage::open().await;
    let store = stage.store.clone();
    let mut crashing = tokio::task::JoinSet::new();
    crashing.spawn(async move {
        let events = [IncomingEvent { event: event("a"), place: place(1), raw: 0..1 }];
        let advances = [PositionChange { source: "trail", from: None, to: "10" }];
        let incoming = Incoming {
            events: &events,
            bytes: b"x",
            rejects: &[],
            advances: &advances,
            received_at: clock(0),
        };
        store.commit(&incoming, &mut Says(|_: &[usize]| panic!("as the test wants")), &[]).await
    });
    assert!(crashing.join_next().await.unwrap().unwrap_err().is_panic());
    assert_eq!(stage.store.totals().await.unwrap().events, 0);
    assert!(stage.store.positions().await.unwrap().is_empty());
    assert_eq!(stage.commit(&Batch::of([event("a")])).await.unwrap().fresh, 1);
}

#[tokio::test]
async fn a_record_outside_its_batch_is_refused() {
    let stage = Stage::open().await;
    let events = [IncomingEvent { event: event("a"), place: place(1), raw: 2..9 }];
    let incoming =
        Incoming { events: &events, bytes: b"short", rejects: &[], advances: &[], received_at: clock(0) };
    let mut judge = Says(|fresh: &[usize]| quiet(fresh.len()));
    let error = stage.store.commit(&incoming, &mut judge, &[]).await.unwrap_err();
    assert!(error.to_string().contains("event 0 lies outside its batch of 5 bytes"), "{error}");
}

#[tokio::test]
async fn learned_state_is_replaced_and_evicted() {
    let stage = Stage::open().await;
    let learn = |id: &str, list: Vec<Learned>| {
        let batch = Batch::of([event(id)]);
        let stage = &stage;
        async move {
            let verdict = |fresh: &[usize]| Evaluation { learned: list.clone(), ..quiet(fresh.len()) };
            stage.judged(&batch, verdict).await.unwrap();
            let mut now = stage.store.learned().await.unwrap();
            now.sort_by(|a, b| a.key.cmp(&b.key));
            now
        }
    };
    let first = learn("a", vec![learned("x", b"1"), learned("y", b"2"), learned("x", b"3")]).await;
    assert_eq!(first, [learned("x", b"3"), learned("y", b"2")], "the last state within a batch wins");
    let second = learn("b", vec![learned("x", b""), learned("y", b"4"), learned("z", b"")]).await;
    assert_eq!(second, [learned("y", b"4")], "an empty state deletes");
}

#[tokio::test]
async fn raw_records_come_back_byte_for_byte() {
    let stage = Stage::open().await;
    let batch = Batch::of([event("a"), event("b"), event("c")]);
    stage.commit(&batch).await.unwrap();
    for (line, wanted) in (1..).zip(&batch.events) {
        let found = stage.store.event(&wanted.id).await.unwrap().unwrap();
        assert_eq!(found.raw, raw(wanted));
        assert_eq!((found.event.place, found.event.received_at), (place(line), clock(0)));
    }
    assert!(stage.store.event("d").await.unwrap().is_none());
}

#[tokio::test]
async fn rejected_bytes_come_back_and_are_kept_once() {
    let stage = Stage::open().await;
    let big = vec![0xAB; 3_000_000];
    let batch = || Batch::of([]).reject(1, &big).reject(2, &big).reject(1, b"other").reject(1, &big);
    assert_eq!(stage.commit(&batch()).await.unwrap().rejects, 3);
    assert_eq!(stage.commit(&batch()).await.unwrap().rejects, 0);
    let listed = stage.store.rejects(Page::first(10)).await.unwrap().rows;
    let places: Vec<(u64, u64)> = listed.iter().map(|row| (row.place.line, row.bytes_len)).collect();
    assert_eq!(places, [(1, 5), (2, 3_000_000), (1, 3_000_000)]);
    assert_eq!((listed[0].kind.as_str(), listed[0].reason.as_str()), ("syntax", "not valid JSON: cut off"));
    assert_eq!(stage.store.reject(listed[1].id).await.unwrap().unwrap().bytes, big);
    assert!(stage.store.reject(999).await.unwrap().is_none());
}

#[tokio::test]
async fn a_batch_larger_than_any_statement_is_stored_whole() {
    let stage = Stage::open().await;
    let events = (0..2_345_u32).map(|index| AuditEvent {
        principal: principal(&format!("role/{}", index % 600)),
        secrets: vec![secret(&format!("s{index}")), secret("shared"), secret("shared")],
        ..event(&format!("event-{index}"))
    });
    let batch = Batch::of(events);
    assert_eq!(stage.commit(&batch).await.unwrap().fresh, 2_345);
    let shared = stage.store.secret("shared").await.unwrap().unwrap();
    assert_eq!(shared.events, 2_345, "a secret named twice in one record is one access");
    let last = stage.store.event("event-2344").await.unwrap().unwrap();
    assert_eq!(last.event.secrets, ["s2344", "shared"]);
    assert_eq!(last.raw, raw(&batch.events[2_344]));
}

#[tokio::test]
async fn an_event_whose_clock_was_not_believed_is_still_one_event_later() {
    let stage = Stage::open().await;
    let said = "2026-01-31T15:30:00Z";
    let ahead = AuditEvent { time_raw: Some(said.into()), ..event("ahead") };
    let unreadable = AuditEvent { time_raw: Some("yesterday".into()), ..event("unreadable") };
    assert_eq!(stage.commit(&Batch::of([ahead, unreadable.clone()])).await.unwrap().fresh, 2);
    let believed = AuditEvent { time: EventTime::parse(said).unwrap(), ..event("ahead") };
    let later = AuditEvent { time: EventTime::from_secs(NOON + 9_999), ..unreadable };
    assert_eq!(stage.commit(&Batch::of([believed, later])).await.unwrap().duplicates, 2);
    for id in ["ahead", "unreadable"] {
        let found = stage.store.event(id).await.unwrap().unwrap();
        assert_eq!(found.event.time.secs(), NOON, "found by its id, and as first taken in");
    }
}

#[tokio::test]
async fn two_devices_that_stamp_one_event_around_the_full_hour_give_one_event() {
    let stage = Stage::open().await;
    let before = AuditEvent { time: EventTime::parse("2026-01-31T11:59:59.9999Z").unwrap(), ..event("a") };
    let after = AuditEvent { time: EventTime::parse("2026-01-31T12:00:00.0001Z").unwrap(), ..event("a") };
    assert_eq!(stage.commit(&Batch::of([before.clone()])).await.unwrap().fresh, 1);
    assert_eq!(stage.commit(&Batch::of([after.clone()])).await.unwrap().duplicates, 1);
    assert_eq!(stage.commit(&Batch::of([before, after])).await.unwrap().duplicates, 2);
}

#[tokio::test]
async fn what_was_scrubbed_is_counted_once_per_new_record_and_kind() {
    let stage = Stage::open().await;
    let leaked = AuditEvent { scrubbed: vec!["jwt", "vault-token"], ..event("leaked") };
    let batch = || Batch::of([leaked.clone(), event("clean")]).reject(1, b"torn [scrubbed:jwt]");
    for _ in 0..2 {
        stage.commit(&batch()).await.unwrap();
        let mut scrubbed = stage.store.totals().await.unwrap().scrubbed;
        scrubbed.sort_by(|a, b| (&a.of, &a.kind).cmp(&(&b.of, &b.kind)));
        let provider = leaked.provider.as_str();
        let said: Vec<_> = scrubbed.iter().map(|one| (&*one.of, &*one.kind, one.records)).collect();
        let mut want = [(provider, "jwt", 1), (provider, "vault-token", 1), ("reject", "jwt", 1)];
        want.sort_unstable();
        assert_eq!(said, want);
    }
}
