//! Requests of Vault that nothing answers, over restarts, in disorder and by two devices.

use super::*;

/// The shipped rule.
const RULE: &str = include_str!("../../../rules/builtin/kw-133-silence.yml");

/// An entry of an audit device: `request` or `response`, whose, and how many seconds after the start.
fn entry(kind: &str, id: &str, secs: i64) -> String {
    let time = DateTime::from_timestamp(START + secs, 0).unwrap().format("%Y-%m-%dT%H:%M:%SZ");
    format!(
        "{{\"time\":\"{time}\",\"type\":\"{kind}\",\"auth\":{{\"display_name\":\"app\",\"entity_id\":\"app\",\"token_type\":\"service\"}},\
         \"request\":{{\"id\":\"{id}\",\"operation\":\"read\",\"mount_type\":\"kv\",\"mount_point\":\"secret/\",\"path\":\"secret/data/{id}\"}}}}\n"
    )
}

fn at(secs: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(START + secs, 0).unwrap()
}

/// Alerts: how many events each is about, and how it stands.
async fn stands(stage: &Stage) -> Vec<(u64, String)> {
    let alerts = stage.alerts().await;
    let all = alerts.iter().filter(|row| row.rule == "KW-133v");
    all.map(|row| (row.events, format!("{:?}", row.status))).collect()
}

#[tokio::test]
async fn a_request_without_a_response_is_told_once_whenever_keywatch_restarts() {
    for restart_at in [6, 100, 241, 300] {
        let mut stage = Stage::new(RULE, 1000).await;
        stage
            .lines(&[entry("request", "lost", 0), entry("request", "ok", 0), entry("response", "ok", 1)])
            .await;
        for now in [6, 100, 241, 300] {
            stage.tick(at(now)).await;
            if now == restart_at {
                stage = stage.restarted(RULE).await;
            }
        }
        assert_eq!(stands(&stage).await, [(1, "Open".to_owned())], "restarted at {restart_at}");
        // Another within the hour is the same alert, whoever remembers it.
        stage.lines(&[entry("request", "lost-too", 310)]).await;
        stage.tick(at(320)).await;
        stage = stage.restarted(RULE).await;
        stage.tick(at(600)).await;
        assert_eq!(stands(&stage).await, [(2, "Open".to_owned())], "restarted at {restart_at}");
        let json = stage.alerts().await[0].json.clone();
        assert!(json.contains("vault:lost:request") && json.contains("vault:lost-too:request"), "{json}");
    }
}

#[tokio::test]
async fn a_response_in_time_is_enough_in_any_order_by_any_device_and_across_restarts() {
    let (request, response) = (|| entry("request", "r", 0), || entry("response", "r", 90));
    // Batches, between which Keywatch looks and restarts.
    let cases: [&[&[String]]; 4] = [
        &[&[request()], &[response()]],
        &[&[response()], &[request()]],
        &[&[request(), request()], &[response()], &[request(), response()]],
        &[&[response()], &[response(), request()], &[request()]],
    ];
    for (number, batches) in cases.iter().enumerate() {
        let mut stage = Stage::new(RULE, 1000).await;
        // Requests are logged here.
        stage.lines(&[entry("request", "other", 0), entry("response", "other", 0)]).await;
        for (step, batch) in (0..).zip(*batches) {
            stage.lines(batch).await;
            stage.tick(at(100 + step)).await;
            stage = stage.restarted(RULE).await;
        }
        stage.tick(at(1000)).await;
        assert_eq!(stands(&stage).await, [], "case {number}");
    }
}

#[tokio::test]
async fn a_response_that_only_arrives_late_withdraws_the_alert_whenever_keywatch_restarts() {
    for restarts in [false, true] {
        let mut stage = Stage::new(RULE, 1000).await;
        stage.lines(&[entry("request", "slow", 0), entry("request", "lost", 1)]).await;
        stage.tick(at(10)).await;
        stage.tick(at(300)).await;
        assert_eq!(stands(&stage).await, [(2, "Open".to_owned())]);
        if restarts {
            stage = stage.restarted(RULE).await;
        }
        stage.lines(&[entry("response", "slow", 2)]).await;
        stage.tick(at(310)).await;
        assert_eq!(stands(&stage).await, [(1, "Open".to_owned())], "one of two");
        if restarts {
            stage = stage.restarted(RULE).await;
        }
        stage.lines(&[entry("response", "lost", 2)]).await;
        stage.tick(at(320)).await;
        assert_eq!(stands(&stage).await[0].1, "Withdrawn");
        stage = stage.restarted(RULE).await;
        stage.tick(at(330)).await;
        assert_eq!(stands(&stage).await.len(), 1);
    }
}

#[tokio::test]
async fn a_response_after_more_than_two_minutes_is_none() {
    let mut stage = Stage::new(RULE, 1000).await;
    stage.lines(&[entry("request", "r", 0), entry("response", "r", 121)]).await;
    stage.tick(at(300)).await;
    assert_eq!(stands(&stage).await, [(1, "Open".to_owned())]);
}
