//! A theft from elsewhere while an alert about a harmless job of the same principal is open.

use super::*;
use keywatch_event::Level;
use keywatch_store::{AttemptOutcome, AttemptRecord, DeliveryKind, LeasedDelivery, Subscriber};

const HOUR: i64 = 3_600;
const DAY: i64 = 24 * HOUR;
const USUAL: &str = "198.51.100.7";
const JOB: &str = "203.0.113.9";
const THIEF: &str = "192.0.2.4";

/// KW-002 alone: the rules it may be part of are not loaded.
fn rule() -> String {
    let text = include_str!("../../../rules/builtin/kw-002-unusual-address.yml");
    let lines: Vec<&str> = text.lines().filter(|line| !line.starts_with("  part_of:")).collect();
    lines.join("\n")
}

fn line((address, path, secs): (&str, &str, i64)) -> String {
    let time = DateTime::from_timestamp(START + secs, 0).unwrap().format("%Y-%m-%dT%H:%M:%SZ");
    format!(
        "{{\"time\":\"{time}\",\"type\":\"response\",\"auth\":{{\"display_name\":\"backup\",\"entity_id\":\"backup\",\
         \"token_type\":\"service\"}},\"request\":{{\"id\":\"{path}-{secs}\",\"operation\":\"read\",\"mount_type\":\"kv\",\
         \"path\":\"secret/data/{path}\",\"remote_address\":\"{address}\"}},\
         \"response\":{{\"mount_type\":\"kv\",\"data\":{{\"data\":{{\"v\":\"hmac-sha256:aa\"}}}}}}}}\n"
    )
}

impl Stage {
    /// Takes reads of `backup`, each of another secret, a minute apart.
    async fn read(&mut self, address: &str, name: &str, (from, count): (i64, i64)) {
        let path = self.folder.path().join("audit.log");
        let reads = (0..count).map(|n| line((address, &format!("{name}-{n}"), from + 60 * n)));
        std::fs::write(&path, reads.collect::<String>()).unwrap();
        let batch = Reader::new(vec![path]).next_batch(10_000, 1 << 24).unwrap();
        let now = DateTime::from_timestamp(START + from + HOUR, 0).unwrap();
        self.pipeline.step(&batch, Evaluation::default(), &mut |_| Vec::new(), now).await.unwrap();
    }

    /// What `ops` is to be told so long after the start, and is told.
    async fn deliver(&self, secs: i64) -> Vec<LeasedDelivery> {
        let now = DateTime::from_timestamp(START + secs, 0).unwrap();
        let leased = self.store.lease_due("ops", now, 30, 10).await.unwrap();
        for one in &leased {
            let attempt = AttemptRecord {
                started_at: now,
                latency_ms: 1,
                status: Some(200),
                error: None,
                response_excerpt: None,
            };
            let done = self.store.record_attempt(one.id, &one.lease, &attempt, AttemptOutcome::Delivered);
            assert!(done.await.unwrap());
        }
        leased
    }
}

/// The messages about the job's new address and about the theft ten hours later.
async fn told(restarts: bool) -> Vec<LeasedDelivery> {
    let mut stage = Stage::new(&rule(), 100_000).await;
    stage.pipeline.routing = Arc::new(vec![Subscriber::new("ops", Level::Info)]);
    for night in 0..10 {
        stage.read(USUAL, "usual", (night * DAY, 2)).await;
    }
    let night = 10 * DAY;
    assert!(stage.deliver(night).await.is_empty());
    stage.read(JOB, "job", (night, 30)).await;
    let mut told = stage.deliver(night + 2 * HOUR).await;
    if restarts {
        stage.pipeline.restart().await.unwrap();
    }
    // The job goes on: no news.
    stage.read(JOB, "more", (night + 3 * HOUR, 2)).await;
    told.extend(stage.deliver(night + 5 * HOUR).await);
    stage.read(THIEF, "theft", (night + 10 * HOUR, 3)).await;
    told.extend(stage.deliver(night + 12 * HOUR).await);
    told
}

#[tokio::test]
async fn a_theft_while_an_alert_about_a_job_of_the_same_principal_is_open_is_told_of() {
    for restarts in [false, true] {
        let told = told(restarts).await;
        let kinds: Vec<DeliveryKind> = told.iter().map(|one| one.kind).collect();
        assert_eq!(kinds, [DeliveryKind::AlertOpened, DeliveryKind::AlertUpdated], "restarts: {restarts}");
        let alert: serde_json::Value = serde_json::from_str(&told[1].alert_json).unwrap();
        assert!(alert["title"].as_str().unwrap().contains("192.0.2.0/24"), "{alert}");
        let evidence = alert["evidence"].as_array().unwrap();
        let theft = evidence.iter().any(|row| row["event"].as_str().unwrap().contains("theft-0"));
        assert!(theft && evidence.len() == keywatch_event::EVIDENCE_MAX, "{alert}");
    }
}
