//! Requests of Vault that nothing answers, through the store: over restarts, out of order, twice,
//! and answered late.

use super::*;
use keywatch_store::AlertStatus;

const RULES: &str = include_str!("../../../rules/builtin/kw-133-silence.yml");

/// One entry of Vault's audit log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Entry {
    /// Of this number, so many seconds after the start.
    Request(u32, i64),
    Response(u32, i64),
}
use Entry::{Request, Response};

impl Entry {
    fn line(self) -> String {
        let (kind, number, secs) = match self {
            Request(number, secs) => ("request", number, secs),
            Response(number, secs) => ("response", number, secs),
        };
        let time = DateTime::from_timestamp(START + secs, 0).unwrap().format("%Y-%m-%dT%H:%M:%SZ");
        format!(
            "{{\"time\":\"{time}\",\"type\":\"{kind}\",\"auth\":{{\"display_name\":\"app-{number}\",\
             \"entity_id\":\"e-{number}\",\"token_type\":\"service\"}},\"request\":{{\"id\":\"r-{number}\",\"operation\":\"read\",\
             \"mount_type\":\"kv\",\"path\":\"secret/data/{number}\",\"remote_address\":\"10.0.0.{number}\"}}}}\n"
        )
    }
}

fn at(secs: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(START + secs, 0).unwrap()
}

impl Stage {
    /// Takes a batch.
    async fn take(&mut self, entries: &[Entry]) -> Committed {
        let path = self.folder.path().join("audit.log");
        std::fs::write(&path, entries.iter().map(|entry| entry.line()).collect::<String>()).unwrap();
        let batch = Reader::new(vec![path]).next_batch(10_000, 1 << 24).unwrap();
        self.pipeline
            .step(&batch, Evaluation::default(), &mut |_| Vec::new(), at(100_000))
            .await
            .unwrap()
            .committed
    }

    /// Ends, and starts anew with what the store has.
    async fn restart(&mut self) {
        let rules = Arc::new(keywatch_rules::compile([("rule.yml", RULES)]).unwrap());
        let routing = Arc::new(Vec::<keywatch_store::Subscriber>::new());
        let store = self.store.clone();
        self.pipeline = Pipeline::start(store, rules, Settings::default(), routing).await.unwrap();
    }

    /// The numbers of the requests that alerts standing open are about, and the alerts.
    async fn unanswered(&self) -> (Vec<u32>, usize) {
        let (mut numbers, mut alerts) = (Vec::new(), 0);
        for row in self.alerts().await.iter().filter(|row| row.status == AlertStatus::Open) {
            let alert: serde_json::Value = serde_json::from_str(&row.json).unwrap();
            let evidence = alert["evidence"].as_array().unwrap();
            assert_eq!((evidence.len() as u64, row.rule.as_str()), (row.events, "KW-133v"));
            let number = |row: &serde_json::Value| {
                let id = row["event"].as_str().unwrap().strip_prefix("vault:r-").unwrap();
                id.strip_suffix(":request").unwrap().parse::<u32>().unwrap()
            };
            numbers.extend(evidence.iter().map(number));
            alerts += 1;
        }
        numbers.sort_unstable();
        (numbers, alerts)
    }

    /// What the history of the only alert ends with.
    async fn last_word(&self) -> String {
        let alerts = self.alerts().await;
        assert_eq!(alerts.len(), 1, "{alerts:?}");
        let detail = self.store.alert(&alerts[0].id).await.unwrap().unwrap();
        let last = detail.history.last().unwrap();
        format!("{}: {}", last.what, last.detail)
    }

    async fn learned(&self) -> Vec<String> {
        let keys = self.store.learned().await.unwrap().into_iter().map(|one| one.key);
        keys.filter(|key| key.starts_with("KW-133v")).collect()
    }
}

async fn stage() -> Stage {
    Stage::new(RULES, 1_000).await
}

#[tokio::test]
async fn a_request_that_waited_when_keywatch_ended_is_told_of_by_the_next_run() {
    let mut stage = stage().await;
    stage.take(&[Request(1, 0), Request(2, 0), Response(2, 1)]).await;
    assert_eq!(stage.learned().await, ["KW-133v\u{1f}waits r-1"], "what was answered is not stored");
    stage.restart().await;
    stage.tick(at(200)).await;
    assert_eq!(stage.unanswered().await, (vec![], 0));
    stage.restart().await;
    stage.tick(at(300)).await;
    assert_eq!(stage.unanswered().await, (vec![1], 1));
    let alert = &stage.alerts().await[0];
    assert_eq!(alert.principal.as_deref(), Some("e-1"), "{}", alert.json);
    assert!(alert.json.contains("10.0.0.1") && alert.json.contains("secret/1"), "{}", alert.json);
}

#[tokio::test]
async fn a_request_is_answered_over_a_restart_in_either_order() {
    let mut stage = stage().await;
    stage.take(&[Request(1, 0), Response(2, 1)]).await;
    stage.restart().await;
    stage.take(&[Response(1, 1), Request(2, 0)]).await;
    stage.restart().await;
    stage.tick(at(300)).await;
    assert_eq!(stage.unanswered().await, (vec![], 0));
    assert!(stage.learned().await.is_empty(), "{:?}", stage.learned().await);
}

#[tokio::test]
async fn a_response_that_arrives_late_takes_the_alert_back_and_says_why() {
    let mut stage = stage().await;
    stage.take(&[Request(1, 0)]).await;
    stage.tick(at(300)).await;
    assert_eq!(stage.unanswered().await, (vec![1], 1));
    stage.restart().await;
    let again = stage.take(&[Request(1, 0)]).await;
    assert_eq!(again.duplicates, 1);
    stage.tick(at(600)).await;
    assert_eq!(stage.unanswered().await, (vec![1], 1), "a record that comes twice is no second request");
    stage.take(&[Response(1, 40)]).await;
    assert_eq!(stage.unanswered().await, (vec![], 0));
    let word = stage.last_word().await;
    assert!(
        word.starts_with("withdrawn: it was followed after all, within 40 s: only the records"),
        "{word}"
    );
    assert!(stage.learned().await.is_empty(), "{:?}", stage.learned().await);
    stage.restart().await;
    stage.tick(at(900)).await;
    assert_eq!(stage.unanswered().await, (vec![], 0));
}

#[tokio::test]
async fn a_response_that_took_its_time_takes_the_alert_back_as_well() {
    let mut stage = stage().await;
    stage.take(&[Request(1, 0)]).await;
    stage.tick(at(300)).await;
    stage.take(&[Response(1, 420)]).await;
    let word = stage.last_word().await;
    assert_eq!(word, "withdrawn: it was followed after all, the slowest 7 min later; the rule waits 2 min");
}

#[tokio::test]
async fn an_alert_about_several_requests_stands_until_the_last_of_them_is_answered() {
    let mut stage = stage().await;
    stage.take(&[Request(1, 0), Request(2, 5)]).await;
    stage.tick(at(300)).await;
    stage.restart().await;
    // Still within the hour: the same alert, over a restart.
    stage.take(&[Request(3, 600)]).await;
    stage.tick(at(900)).await;
    assert_eq!(stage.unanswered().await, (vec![1, 2, 3], 1));
    stage.take(&[Response(1, 700)]).await;
    assert_eq!(stage.unanswered().await, (vec![2, 3], 1));
    let alert = &stage.alerts().await[0];
    assert!(
        alert.json.contains("2 events were not followed within 2 min; 1 more was followed"),
        "{}",
        alert.json
    );
    stage.restart().await;
    stage.take(&[Response(2, 6), Response(3, 601)]).await;
    assert_eq!(stage.unanswered().await, (vec![], 0));
    let word = stage.last_word().await;
    assert!(word.starts_with("withdrawn: all 3 events were followed after all"), "{word}");
}

#[tokio::test]
async fn what_is_told_again_after_a_restart_for_other_rules_does_not_wait_anew() {
    let reads = "title: Reads\nname: base\nlogsource: {product: keywatch, category: audit}\ndetection:\n  \
        asked: {echo_of|startswith: 'vault-response:'}\n  condition: asked\nlevel: informational\n---\ntitle: Many\n\
        name: MY-1\ncorrelation:\n  type: event_count\n  rules: [base]\n  group-by: [principal.id]\n  timespan: 1h\n  \
        condition: {gte: 3}\nlevel: high\n";
    let rules = format!("{reads}---\n{RULES}");
    let mut stage = Stage::new(&rules, 1_000).await;
    stage.take(&[Request(1, 0), Response(1, 1)]).await;
    let rules = Arc::new(keywatch_rules::compile([("rule.yml", rules.as_str())]).unwrap());
    stage.pipeline.reload(rules, Settings::default()).await.unwrap();
    stage.tick(at(300)).await;
    assert_eq!(stage.unanswered().await, (vec![], 0));
}

/// xorshift64* (Vigna 2016).
struct Chance(u64);

impl Chance {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) as usize % limit
    }
}

/// Requests of which some are never answered, shuffled with their responses; cut anyhow, some of it
/// brought twice, with restarts and ticks between. In the end every response has come.
async fn play(seed: u64) {
    let mut chance = Chance(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
    let (mut entries, mut never) = (Vec::new(), Vec::new());
    for number in 0..20_u32 {
        let secs = i64::from(u8::try_from(chance.below(100)).unwrap());
        entries.push(Request(number, secs));
        match chance.below(4) {
            0 => never.push(number),
            n => entries.push(Response(number, secs + [0, 1, 60, 300][n])),
        }
    }
    for at in (1..entries.len()).rev() {
        entries.swap(at, chance.below(at + 1));
    }
    let mut stage = stage().await;
    let mut rest = entries.as_slice();
    while !rest.is_empty() {
        let (batch, later) = rest.split_at(1 + chance.below(rest.len().min(8)));
        stage.take(batch).await;
        match chance.below(4) {
            0 => stage.restart().await,
            1 => drop(stage.take(batch).await),
            // No request may still come then: one that comes later than the lateness is not judged.
            2 if !later.iter().any(|entry| matches!(entry, Request(..))) => drop(stage.tick(at(500)).await),
            _ => {}
        }
        rest = later;
    }
    stage.restart().await;
    stage.tick(at(1_000)).await;
    let (unanswered, alerts) = stage.unanswered().await;
    assert_eq!(
        (unanswered, alerts),
        (never.clone(), usize::from(!never.is_empty())),
        "seed {seed}: {entries:?}"
    );
    let left = stage.learned().await;
    assert!(left.iter().all(|key| key.contains("missing")), "seed {seed}: {left:?}");
}

#[expect(clippy::disallowed_methods, reason = "how many seeds, for runs on demand")]
fn seeds() -> u64 {
    std::env::var("KEYWATCH_SEEDS").ok().and_then(|text| text.parse().ok()).unwrap_or(20)
}

#[tokio::test]
async fn in_the_end_exactly_what_was_never_answered_stands_whatever_the_order_and_the_restarts() {
    for seed in 1..=seeds() {
        play(seed).await;
    }
}
