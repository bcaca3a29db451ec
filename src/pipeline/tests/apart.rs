//! Records from which something follows that cannot be stored, and records on which we panic.

use super::*;
use keywatch_event::Subject;
use keywatch_store::{Routed, Subscriber};
use std::collections::BTreeSet;

/// Every refused call raises.
const RULE: &str = "title: Denied\nname: MY-1\nlogsource: {product: keywatch, category: audit}\ndetection:\n  \
    denied: {outcome: denied}\n  condition: denied\nlevel: high\n";

/// Answers for two of those it is asked about what must never be answered.
struct Mad;

impl Routing for Mad {
    fn routes(&self, subject: &Subject, _: DateTime<Utc>) -> Vec<Routed> {
        let routed = Subscriber::new("soc", Level::Info).routed(subject.level);
        match subject.principal.as_deref() {
            Some("panics") => panic!("nobody thought of this"),
            // Nobody can be told twice: the database refuses it.
            Some("contradicts") => vec![routed.clone(), routed],
            _ => vec![routed],
        }
    }

    fn knows(&self, _: &str) -> bool {
        true
    }
}

impl Stage {
    async fn mad(rule: &str) -> Self {
        let mut stage = Self::new(rule, 1_000).await;
        stage.pipeline.routing = Arc::new(Mad);
        stage
    }

    /// Who raised, and whose records were kept as rejects.
    async fn known(&self) -> (BTreeSet<String>, Vec<String>) {
        let raised = self.alerts().await.into_iter().filter_map(|alert| alert.principal).collect();
        let rejects = self.store.rejects(Page::first(100)).await.unwrap().rows;
        let mut reasons: Vec<String> = rejects.into_iter().map(|reject| reject.reason).collect();
        reasons.sort();
        (raised, reasons)
    }
}

/// Hundred refused calls, all of different people.
fn calls(bad: &[(i64, &str)]) -> Vec<(String, i64)> {
    let who = |at: i64| bad.iter().find(|(place, _)| *place == at).map(|(_, who)| (*who).to_owned());
    (0..100).map(|at| (who(at).unwrap_or_else(|| format!("user-{at}")), at)).collect()
}

#[tokio::test]
async fn a_record_that_cannot_be_judged_or_stored_is_a_reject_and_all_others_are_judged() {
    let mut stage = Stage::mad(RULE).await;
    let stepped = stage.denied(calls(&[(17, "panics"), (64, "contradicts")]).into_iter()).await;
    assert_eq!((stepped.committed.fresh, stepped.committed.rejects), (98, 2));
    assert_eq!(stepped.rejects.get("defect"), Some(&2));
    let (raised, reasons) = stage.known().await;
    assert_eq!(raised.len(), 98);
    assert!(!raised.contains("panics") && !raised.contains("contradicts"), "{raised:?}");
    let [first, second] = &reasons[..] else { panic!("{reasons:?}") };
    assert!(first.contains("does not take what was to be written"), "{first}");
    assert!(second.contains("nobody thought of this"), "{second}");
    // What comes after is judged as if nothing had been.
    stage.denied(std::iter::once(("later".to_owned(), 500))).await;
    assert!(stage.known().await.0.contains("later"));
}

#[tokio::test]
async fn what_others_did_before_counts_though_a_record_among_them_cannot_be_kept() {
    let mut stage = Stage::mad(SERIES).await;
    stage.denied(eve(0)).await;
    stage.denied([("panics".to_owned(), 20), ("eve".to_owned(), 25)].into_iter().chain(eve(30))).await;
    let (raised, reasons) = stage.known().await;
    assert_eq!((raised.into_iter().collect::<Vec<_>>(), reasons.len()), (vec!["eve".to_owned()], 0));
    // The third of its series is the one that raises.
    stage.denied([("panics".to_owned(), 40), ("panics".to_owned(), 41)].into_iter().chain(eve(45))).await;
    let (raised, reasons) = stage.known().await;
    assert_eq!(raised.len(), 1);
    assert!(matches!(&reasons[..], [why] if why.contains("nobody thought of this")), "{reasons:?}");
}

#[tokio::test]
async fn more_than_a_records_fault_ends_the_service_and_loses_nothing() {
    let mut stage = Stage::mad(RULE).await;
    let all = || (0..60).map(|at| ("panics".to_owned(), at));
    let failed = stage.tried(all()).await.unwrap_err();
    assert!(failed.to_string().contains("nobody thought of this"), "{failed}");
    stage.pipeline.routing = Arc::new(Vec::<Subscriber>::new());
    stage.pipeline.restart().await.unwrap();
    let stepped = stage.denied(all()).await;
    assert_eq!(stepped.committed.fresh + stepped.committed.duplicates, 60);
}

#[tokio::test]
async fn what_was_not_judged_is_an_alert_that_is_kept_with_it() {
    const RULES: &str = include_str!("../../../rules/builtin/kw-133-sources.yml");
    let rules = format!("{RULES}---\n{RULE}");
    let mut stage = Stage::mad(&rules).await;
    let set = keywatch_rules::compile([("rule.yml", &*rules)]).unwrap();
    let mut watch = crate::watch::Watch::new(&set, &[], &[]);
    let health = keywatch_ingest::source::Health::default();
    let subject = crate::watch::Subject { number: 3, name: "trail".to_owned(), provider: None, health };
    watch.attend(vec![subject], &HashMap::new());
    let batch =
        stage.batch([("ada".to_owned(), 0), ("panics".to_owned(), 1), ("panics".to_owned(), 2)].into_iter());
    let now = DateTime::from_timestamp(START, 0).unwrap();
    let mut notice = |found: &Found| watch.found(3, found, now);
    stage.pipeline.step(&batch, Evaluation::default(), &mut notice, now).await.unwrap();
    let mut alerts = stage.alerts().await;
    alerts.retain(|alert| alert.rule == "KW-133x");
    let [alert] = &alerts[..] else { panic!("{alerts:?}") };
    assert_eq!((alert.level, alert.events), (Level::Critical, 2));
    assert!(alert.json.contains("2 record(s) of trail were not judged"), "{}", alert.json);
    // The same records again are rejects that are known.
    let again = stage.pipeline.step(&batch, Evaluation::default(), &mut |_| Vec::new(), now).await.unwrap();
    assert_eq!((again.committed.fresh, again.committed.rejects), (0, 0));
}
