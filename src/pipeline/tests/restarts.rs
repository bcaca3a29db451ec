//! What a restart changes: nothing. Memory reaches back some days, the history further.

use super::*;

/// Eve fails every four minutes for six days, and others now and then.
const SIEGE: std::ops::Range<i64> = 0..6 * 24 * 15;
const EVERY_SECS: i64 = 240;
const DAY: i64 = 86_400;

const RULE: &str = "title: Denied\nname: base\nlogsource: {product: keywatch, category: audit}\ndetection:\n  \
    denied: {outcome: denied}\n  condition: denied\nlevel: informational\n---\ntitle: Series\nname: MY-1\n\
    correlation:\n  type: event_count\n  rules: [base]\n  group-by: [principal.id]\n  timespan: 10m\n  \
    condition: {gte: 3}\nlevel: high\nkeywatch: {incident: {key: [principal.id], keep_alive: 1h, max_duration: 24h}}\n";

/// The alerts of a siege, by id, with a restart before the batches of these numbers.
async fn besieged(restarts: &[i64]) -> Vec<(String, i64, i64, u64)> {
    let mut stage = Stage::new(RULE, 100_000).await;
    for (number, from) in (0_i64..).zip(SIEGE.step_by(60)) {
        if restarts.contains(&number) {
            stage.pipeline.restart().await.unwrap();
        }
        stage.denied((from..from + 60).map(|n| ("eve".to_owned(), n * EVERY_SECS))).await;
    }
    let told = stage.alerts().await.into_iter();
    let mut told: Vec<_> = told
        .map(|alert| {
            (alert.id, alert.opened_at.secs() - START, alert.last_event_at.secs() - START, alert.events)
        })
        .collect();
    told.sort_by_key(|(_, opened, ..)| *opened);
    told
}

#[tokio::test]
async fn a_siege_that_lasts_longer_than_memory_is_the_same_alerts_after_restarts() {
    let wanted = besieged(&[]).await;
    assert_eq!(wanted.len(), 7, "one a day, and what is left: {wanted:?}");
    for restarts in [&[35][..], &[20, 21, 33], &[7, 14, 19, 26, 29, 31, 35]] {
        assert_eq!(besieged(restarts).await, wanted, "restarts before {restarts:?}");
    }
}

#[tokio::test]
async fn after_a_restart_what_memory_was_not_given_back_is_looked_up_in_the_history() {
    let mut stage = Stage::new(RULE, 100_000).await;
    stage.denied(eve(0).chain(eve(30))).await;
    stage.denied(std::iter::once(("ada".to_owned(), 5 * DAY))).await;
    stage.pipeline.restart().await.unwrap();
    stage.denied(eve(60)).await;
    assert_eq!(stage.pipeline.late(), 1);
    let alerts = stage.alerts().await;
    assert_eq!(alerts.len(), 1, "{alerts:?}");
    assert_eq!((alerts[0].events, alerts[0].opened_at.secs()), (3, START + 60));
    assert!(alerts[0].json.contains("\"late_secs\":"), "{}", alerts[0].json);
}
