//! What is particular to a database in files: locks, crashes, permissions, readers beside a writer.

use super::*;
use crate::{EventFilter, Page};
use sqlx::Row;
use std::os::unix::fs::PermissionsExt;

#[tokio::test]
async fn a_second_opener_is_refused_until_the_first_is_gone() {
    let stage = Stage::open().await;
    let error = Store::open(&stage.path()).await.unwrap_err();
    assert!(matches!(error, StoreError::InUse { .. }), "{error}");
    assert!(error.to_string().contains("stop that process"), "{error}");
    let (path, dir) = (stage.path(), stage.dir);
    stage.store.close().await.unwrap();
    drop(stage.store);
    Store::open(&path).await.unwrap();
    drop(dir);
}

#[tokio::test]
async fn what_was_committed_survives_a_crash_and_nothing_else_does() {
    let stage = Stage::open().await;
    stage.commit(&Batch::numbered(0..300).at("trail", None, "10")).await.unwrap();
    stage.change("a", 0, vec![opened(alert("A1", &["a"]), 0)]).await;
    let mut unfinished = stage.store.begin().await.unwrap();
    sqlx::query("DELETE FROM positions").execute(&mut unfinished.desk.conn).await.unwrap();
    let crashed = tempfile::tempdir().unwrap();
    for file in ["keywatch.db", "keywatch.db-wal"] {
        std::fs::copy(stage.dir.path().join(file), crashed.path().join(file)).unwrap();
    }
    let again = Store::open(&crashed.path().join("keywatch.db")).await.unwrap();
    let totals = again.totals().await.unwrap();
    assert_eq!((totals.events, totals.alerts, totals.pending), (301, 1, 2));
    assert_eq!(again.positions().await.unwrap(), [("trail".to_owned(), "10".to_owned())].into());
    assert_eq!(again.integrity_check().await.unwrap(), Vec::<String>::new());
}

#[tokio::test]
async fn a_store_dropped_without_closing_opens_again_and_goes_on() {
    let stage = Stage::open().await;
    stage.commit(&Batch::numbered(0..10)).await.unwrap();
    let (path, dir) = (stage.path(), stage.dir);
    drop(stage.store);
    let stage = Stage { store: Store::open(&path).await.unwrap(), dir };
    let done = stage.commit(&Batch::numbered(5..15)).await.unwrap();
    assert_eq!((done.fresh, done.duplicates), (5, 5));
    let row = stage.store.event("event-14").await.unwrap().unwrap();
    assert_eq!((row.event.principal.as_str(), row.event.secrets), ("role/app", vec!["db".to_owned()]));
}

#[tokio::test]
async fn readers_see_whole_batches_while_others_are_written() {
    let stage = Stage::open().await;
    let store = stage.store.clone();
    let mut readers = tokio::task::JoinSet::new();
    readers.spawn(async move {
        let mut seen = 0;
        while seen < 500 {
            let totals = store.totals().await.unwrap();
            assert_eq!(totals.events % 50, 0, "never half a batch");
            assert!(totals.events >= seen, "never backwards");
            seen = totals.events;
            let listed = store.events(&EventFilter::default(), Page::first(5)).await.unwrap();
            assert!(listed.rows.len() >= usize::try_from(seen.min(5)).unwrap(), "nor less than was counted");
        }
    });
    for batch in 0..10 {
        stage.commit(&Batch::numbered(batch * 50..batch * 50 + 50)).await.unwrap();
    }
    readers.join_next().await.unwrap().unwrap();
}

#[tokio::test]
async fn a_commit_given_up_half_way_leaves_nothing_and_blocks_nobody() {
    let stage = Stage::open().await;
    let batch = Batch::numbered(0..500);
    {
        let mut commit = Box::pin(stage.commit(&batch));
        let once = std::future::poll_fn(|context| {
            std::task::Poll::Ready(commit.as_mut().poll(context).is_pending())
        });
        assert!(once.await, "it had to wait for the database");
    }
    assert_eq!(stage.store.totals().await.unwrap().events, 0);
    assert_eq!(stage.commit(&batch).await.unwrap().fresh, 500);
}

#[tokio::test]
async fn files_are_readable_by_their_owner_only() {
    let stage = Stage::open().await;
    stage.commit(&Batch::numbered(0..1)).await.unwrap();
    for file in std::fs::read_dir(stage.dir.path()).unwrap() {
        let file = file.unwrap();
        let mode = file.metadata().unwrap().permissions().mode() & 0o777;
        assert_eq!(mode, 0o600, "{}", file.path().display());
    }
}

#[tokio::test]
async fn the_writer_syncs_every_commit_and_maps_nothing() {
    let stage = Stage::open().await;
    let mut work = stage.store.begin().await.unwrap();
    for (pragma, want) in
        [("journal_mode", "wal"), ("synchronous", "2"), ("mmap_size", "0"), ("foreign_keys", "1")]
    {
        let sql = sqlx::AssertSqlSafe(format!("PRAGMA {pragma}"));
        let row = sqlx::query(sql).fetch_one(&mut work.desk.conn).await.unwrap();
        assert_eq!(row.get_unchecked::<String, _>(0), want, "{pragma}");
    }
}

#[tokio::test]
async fn a_file_that_is_no_database_is_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("keywatch.db");
    std::fs::write(&path, "not a database, but somebody's only copy of something").unwrap();
    let error = Store::open(&path).await.unwrap_err();
    assert!(matches!(error, StoreError::Corrupt { .. }), "{error:?}");
    assert!(std::fs::read(&path).unwrap().starts_with(b"not a database"));
    let error = Store::open(&dir.path().join("missing/keywatch.db")).await.unwrap_err();
    assert!(error.to_string().contains("check that the directory exists"), "{error}");
}

#[tokio::test]
async fn a_damaged_record_is_reported_not_invented() {
    let stage = Stage::open().await;
    stage.commit(&Batch::numbered(0..3)).await.unwrap();
    let mut work = stage.store.begin().await.unwrap();
    let damage = "UPDATE raw_blocks SET zstd = zeroblob(length(zstd))";
    sqlx::query(damage).execute(&mut work.desk.conn).await.unwrap();
    work.commit().await.unwrap();
    let error = stage.store.event("event-1").await.unwrap_err();
    assert!(matches!(error, StoreError::Encoding { .. }), "{error}");
}

#[tokio::test]
async fn a_full_disk_is_told_apart_and_passes() {
    let stage = Stage::open().await;
    stage.commit(&Batch::numbered(0..1)).await.unwrap();
    let mut work = stage.store.begin().await.unwrap();
    sqlx::query("PRAGMA max_page_count = 1").execute(&mut work.desk.conn).await.unwrap();
    work.commit().await.unwrap();
    let error = stage.commit(&Batch::numbered(1..3_000)).await.unwrap_err();
    assert!(matches!(error, StoreError::Full { .. }) && error.is_retryable(), "{error:?}");
    assert!(error.to_string().contains("free space on that disk"), "{error}");
    assert_eq!(stage.store.totals().await.unwrap().events, 1);
    // The limit belongs to the connection that failed, which is gone.
    assert_eq!(stage.commit(&Batch::numbered(1..3_000)).await.unwrap().fresh, 2_999);
}

#[tokio::test]
async fn a_store_and_its_futures_cross_threads() {
    fn crosses<T: Send>(future: T) -> T {
        future
    }
    fn shared<T: Send + Sync + Clone>(_: &T) {}
    let stage = Stage::open().await;
    shared(&stage.store);
    let incoming = Incoming { events: &[], bytes: &[], rejects: &[], advances: &[], received_at: clock(0) };
    let mut judge = Says(|fresh: &[usize]| quiet(fresh.len()));
    let done = crosses(stage.store.commit(&incoming, &mut judge, &[])).await.unwrap();
    assert_eq!(done, Committed::default());
}
