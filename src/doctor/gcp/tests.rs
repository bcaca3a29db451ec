use super::*;
use crate::doctor::testing::{blind_rules, ids};
use keywatch_gcp::survey::{AuditConfig, Exclusion, Level, LogConfig, Survey};
use keywatch_ingest::survey::Untold;

fn config(service: &str, logs: &[&str], exempted: &[&str]) -> AuditConfig {
    let log = |log: &&str| LogConfig {
        log_type: (*log).to_owned(),
        exempted_members: exempted.iter().map(|&member| member.to_owned()).collect(),
    };
    AuditConfig { service: service.to_owned(), audit_log_configs: logs.iter().map(log).collect() }
}

const READS: &[&str] = &["ADMIN_READ", "DATA_READ"];

fn level(resource: &str, configs: Vec<AuditConfig>) -> Level {
    Level { resource: resource.to_owned(), configs }
}

fn denied(needs: &str) -> Untold {
    Untold { needs: needs.to_owned(), said: "PERMISSION_DENIED".to_owned() }
}

fn surveys(levels: Vec<Answer<Level>>, sinks: Vec<Sink>) -> Surveys {
    let survey =
        Survey { resource: "projects/p".to_owned(), levels, sinks: Ok(sinks), retention_days: Ok(30) };
    Surveys { resources: vec![survey], subscription: None, above: Vec::new() }
}

#[track_caller]
fn check(levels: Vec<Answer<Level>>, want: &[&str], unknown: usize) {
    let shown = format!("{levels:?}");
    let findings = of_logging(&surveys(levels, Vec::new()), FILTER, 30);
    assert_eq!((ids(&findings), findings.unknown.len()), (want.to_vec(), unknown), "{shown}");
}

#[test]
fn audit_configurations_of_all_levels_hold_together() {
    let off = ["gcp.data-reads-not-logged", "gcp.admin-reads-not-logged"];
    check(vec![Ok(level("projects/p", Vec::new()))], &off, 0);
    check(vec![Ok(level("projects/p", vec![config("allServices", READS, &[])]))], &[], 0);
    let above = Ok(level("organizations/1", vec![config("allServices", READS, &[])]));
    check(vec![Ok(level("projects/p", Vec::new())), above], &[], 0);
    check(vec![Ok(level("projects/p", vec![config("allServices", &["ADMIN_READ"], &[])]))], &off[..1], 0);
    let exempt = config("allServices", READS, &["user:eve@example.com"]);
    check(vec![Ok(level("projects/p", vec![exempt]))], &["gcp.exempted-members"], 0);
}

#[test]
fn what_is_above_and_would_not_tell_leaves_it_unknown() {
    let needs = "resourcemanager.organizations.getIamPolicy on organizations/1";
    check(vec![Ok(level("projects/p", Vec::new())), Err(denied(needs))], &[], 2);
    let all = config("allServices", READS, &[]);
    check(vec![Ok(level("projects/p", vec![all])), Err(denied(needs))], &[], 0);
}

#[test]
fn reads_that_are_not_logged_blind_the_rules_about_reads() {
    let findings = of_logging(&surveys(vec![Ok(level("projects/p", Vec::new()))], Vec::new()), FILTER, 30);
    let blind = blind_rules(Provider::Gcp, &findings, "gcp.data-reads-not-logged");
    assert!(blind.contains(&"KW-102".to_owned()) && !blind.contains(&"KW-004".to_owned()), "{blind:?}");
}

#[test]
fn the_command_keeps_other_configurations_and_exempts_nobody() {
    let configs = vec![
        config("storage.googleapis.com", &["DATA_WRITE"], &["user:a@b.c"]),
        config("secretmanager.googleapis.com", &["DATA_READ"], &["user:eve@example.com"]),
    ];
    let findings = of_logging(&surveys(vec![Ok(level("projects/p", configs))], Vec::new()), FILTER, 30);
    let exempted = findings.spots.iter().find(|spot| spot.id == "gcp.exempted-members").expect("told");
    assert_eq!(exempted.what, "reads by user:eve@example.com");
    let command = &exempted.mend[0];
    assert!(
        command.starts_with("gcloud projects get-iam-policy p --format=json | jq '.auditConfigs = [{"),
        "{command}"
    );
    assert!(command.contains(r#""service":"storage.googleapis.com","auditLogConfigs":[{"logType":"DATA_WRITE","exemptedMembers":["user:a@b.c"]}]"#));
    assert!(!command.contains("eve"), "{command}");
    assert_eq!(exempted.mend[1], "gcloud projects set-iam-policy p policy.json");
}

fn sink(name: &str) -> Sink {
    Sink {
        name: name.to_owned(),
        destination: "pubsub.googleapis.com/projects/p/topics/t".to_owned(),
        include_children: true,
        ..Sink::default()
    }
}

fn on() -> Vec<Answer<Level>> {
    vec![Ok(level("projects/p", vec![config("allServices", READS, &[])]))]
}

#[test]
fn a_log_bucket_that_gets_no_data_access_logs_or_forgets_is_told() {
    let exclusion = Exclusion { name: "noise".to_owned(), filter: "a".to_owned(), disabled: false };
    let of = |sink: Sink, days: i64| ids(&of_logging(&surveys(on(), vec![sink]), FILTER, days));
    assert_eq!(of(sink("_Default"), 90), ["gcp.bucket-forgets-early"]);
    assert_eq!(of(Sink { disabled: true, ..sink("_Default") }, 30), ["gcp.default-sink-disabled"]);
    let excluding = Sink { exclusions: vec![exclusion.clone()], ..sink("_Default") };
    assert_eq!(of(excluding, 30), ["gcp.sink-excludes"]);
    let off = Exclusion { disabled: true, ..exclusion };
    assert!(of(Sink { exclusions: vec![off], ..sink("_Default") }, 30).is_empty());
}

fn pulled(above: Vec<(&str, Answer<Vec<Sink>>)>) -> Findings {
    let facts = SubscriptionFacts {
        topic: "projects/p/topics/t".to_owned(),
        retention_secs: 604_800,
        expires: false,
    };
    let above = above.into_iter().map(|(resource, sinks)| (resource.to_owned(), sinks)).collect();
    of_pubsub(
        &Surveys { subscription: Some(Ok(facts)), above, ..surveys(on(), Vec::new()) },
        "projects/p/subscriptions/s",
    )
}

#[test]
fn the_sink_that_feeds_a_subscription_is_found_above_its_project() {
    let of = |sink: Sink| ids(&pulled(vec![("organizations/1", Ok(vec![sink]))]));
    assert!(of(sink("kw")).is_empty());
    assert_eq!(of(Sink { disabled: true, ..sink("kw") }), ["gcp.sink-disabled"]);
    assert_eq!(of(Sink { include_children: false, ..sink("kw") }), ["gcp.sink-without-children"]);
    assert_eq!(
        of(Sink { filter: "logName:\"%2Factivity\"".to_owned(), ..sink("kw") }),
        ["gcp.filter-leaves-out"]
    );
    let findings = pulled(vec![("organizations/1", Ok(vec![sink("kw"), sink("more")]))]);
    assert_eq!((findings.spots.len(), findings.unknown.len()), (0, 1));
    let other = Sink { destination: "storage.googleapis.com/b".to_owned(), ..sink("kw") };
    let findings = pulled(vec![("organizations/1", Ok(vec![other]))]);
    assert_eq!((findings.spots.len(), findings.unknown.len()), (0, 1));
    let findings = pulled(vec![("organizations/1", Err(denied("logging.sinks.list on organizations/1")))]);
    assert_eq!((findings.spots.len(), findings.unknown.len()), (0, 2));
}

#[test]
fn a_subscription_that_forgets_or_goes_is_told() {
    let facts = SubscriptionFacts { topic: String::new(), retention_secs: 600, expires: true };
    let mut findings = Findings::default();
    subscription("projects/p/subscriptions/s", &facts, &mut findings);
    assert_eq!(ids(&findings), ["gcp.subscription-forgets-early", "gcp.subscription-expires"]);
    assert_eq!(
        findings.spots[1].mend,
        ["gcloud pubsub subscriptions update projects/p/subscriptions/s --expiration-period=never"]
    );
}
