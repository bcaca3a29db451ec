use super::*;
use crate::doctor::testing::{blind_rules, ids};
use keywatch_aws::survey::{DataResource, Status};
use keywatch_ingest::survey::Untold;

fn basic(kind: &str, excluded: &[&str]) -> Selectors {
    let one = Basic {
        read_write_type: kind.to_owned(),
        include_management_events: true,
        data_resources: Vec::new(),
        exclude_management_event_sources: excluded.iter().map(|&text| text.to_owned()).collect(),
    };
    Selectors { basic: vec![one], advanced: Vec::new() }
}

fn condition(field: &str, equals: &[&str], not_equals: &[&str]) -> Condition {
    let of = |texts: &[&str]| texts.iter().map(|&text| text.to_owned()).collect();
    Condition {
        field: field.to_owned(),
        equals: of(equals),
        not_equals: of(not_equals),
        ..Condition::default()
    }
}

fn advanced(conditions: Vec<Condition>) -> Selectors {
    Selectors { basic: Vec::new(), advanced: vec![Advanced { name: None, field_selectors: conditions }] }
}

fn trail(selectors: Selectors) -> Trail {
    Trail {
        name: "main".to_owned(),
        arn: "arn:aws:cloudtrail:eu-west-1:1:trail/main".to_owned(),
        home_region: "eu-west-1".to_owned(),
        bucket: "logs".to_owned(),
        is_multi_region: true,
        has_global_services: true,
        has_digests: true,
        owner: Owner::Account,
        status: Ok(Status { is_logging: true, delivery_error: None }),
        selectors: Ok(selectors),
    }
}

fn judged(trails: &[Trail]) -> Findings {
    let mut findings = Findings::default();
    let buckets = ["logs".to_owned()];
    judge(trails, &Wanted { buckets: &buckets, verifies: true, region: "eu-west-1" }, &mut findings);
    findings
}

#[track_caller]
fn check(selectors: Selectors, want: &[&str]) {
    let shown = format!("{selectors:?}");
    assert_eq!(ids(&judged(&[trail(selectors)])), want, "{shown}");
}

#[test]
fn selectors_are_judged_by_what_they_let_through() {
    let management = || condition("eventCategory", &["Management"], &[]);
    check(basic("All", &[]), &[]);
    check(basic("WriteOnly", &[]), &["aws.reads-left-out"]);
    check(basic("ReadOnly", &[]), &["aws.changes-left-out"]);
    check(basic("All", &["kms.amazonaws.com"]), &["aws.service-left-out"]);
    check(basic("All", &["rdsdata.amazonaws.com"]), &[]);
    check(basic("WriteOnly", &["kms.amazonaws.com"]), &["aws.reads-left-out", "aws.service-left-out"]);
    check(Selectors::default(), &["aws.management-events-left-out"]);
    check(advanced(vec![management()]), &[]);
    check(advanced(vec![condition("eventCategory", &["Data"], &[])]), &["aws.management-events-left-out"]);
    check(advanced(vec![management(), condition("readOnly", &["false"], &[])]), &["aws.reads-left-out"]);
    check(
        advanced(vec![management(), condition("eventSource", &[], &["kms.amazonaws.com"])]),
        &["aws.service-left-out"],
    );
    check(
        advanced(vec![management(), condition("eventName", &[], &["GetSecretValue"])]),
        &["aws.events-left-out"],
    );
    check(
        advanced(vec![management(), condition("userIdentity.arn", &[], &["x"])]),
        &["aws.some-events-left-out"],
    );
}

#[test]
fn what_one_trail_leaves_out_another_may_record() {
    assert!(ids(&judged(&[trail(basic("WriteOnly", &[])), trail(basic("ReadOnly", &[]))])).is_empty());
    let elsewhere = Trail { bucket: "others".to_owned(), ..trail(basic("All", &[])) };
    assert_eq!(ids(&judged(&[elsewhere.clone(), trail(basic("WriteOnly", &[]))])), ["aws.reads-left-out"]);
    let findings = judged(&[elsewhere]);
    assert!(findings.spots.is_empty() && findings.sound.is_empty());
    assert_eq!(findings.unknown[0].said, "no trail that eu-west-1 knows of writes to logs");
}

#[test]
fn rules_are_blind_for_what_they_look_for_and_no_others() {
    let blind = |selectors, id| blind_rules(Provider::Aws, &judged(&[trail(selectors)]), id);
    let reads = blind(basic("WriteOnly", &[]), "aws.reads-left-out");
    assert!(reads.contains(&"KW-102".to_owned()) && !reads.contains(&"KW-004".to_owned()), "{reads:?}");
    let keys = blind(basic("All", &["kms.amazonaws.com"]), "aws.service-left-out");
    assert!(keys.contains(&"KW-121".to_owned()) && !keys.contains(&"KW-102".to_owned()), "{keys:?}");
    let both = blind(basic("WriteOnly", &["kms.amazonaws.com"]), "aws.service-left-out");
    assert_eq!(both, keys, "what mends the reads alone brings none of KMS");
    let changes = blind(basic("ReadOnly", &[]), "aws.changes-left-out");
    assert!(changes.contains(&"KW-004".to_owned()) && !changes.contains(&"KW-102".to_owned()), "{changes:?}");
}

#[test]
fn the_command_keeps_what_data_events_are_recorded() {
    let mut selectors = basic("WriteOnly", &["kms.amazonaws.com"]);
    selectors.basic[0].data_resources =
        vec![DataResource { r#type: "AWS::S3::Object".to_owned(), values: vec!["arn:aws:s3".to_owned()] }];
    let spot = &judged(&[trail(selectors)]).spots[0];
    assert_eq!(
        spot.mend,
        [
            r#"aws cloudtrail put-event-selectors --region eu-west-1 --trail-name main --event-selectors '[{"ReadWriteType":"All","IncludeManagementEvents":true,"DataResources":[{"Type":"AWS::S3::Object","Values":["arn:aws:s3"]}],"ExcludeManagementEventSources":[]}]'"#
        ]
    );
    let mut selectors = advanced(vec![condition("eventCategory", &["Data"], &[])]);
    selectors.advanced[0].name = Some("it's data".to_owned());
    let spot = &judged(&[trail(selectors)]).spots[0];
    assert!(spot.mend[0].contains(
        r#"{"Name":"it'\''s data","FieldSelectors":[{"Field":"eventCategory","Equals":["Data"]}]}"#
    ));
}

#[test]
fn a_trail_that_is_off_shows_nothing_and_one_that_will_not_say_is_not_known() {
    let off = Trail { status: Ok(Status::default()), ..trail(basic("All", &[])) };
    let findings = judged(&[off]);
    assert_eq!(ids(&findings), ["aws.trail-not-logging"]);
    assert_eq!(findings.spots[0].mend, ["aws cloudtrail start-logging --region eu-west-1 --name main"]);
    let untold = |needs: &str| Untold { needs: needs.to_owned(), said: "AccessDenied".to_owned() };
    let silent = Trail {
        status: Err(untold("cloudtrail:GetTrailStatus")),
        selectors: Err(untold("cloudtrail:GetEventSelectors")),
        ..trail(Selectors::default())
    };
    let findings = judged(&[silent]);
    assert!(findings.spots.is_empty());
    let needs: Vec<&str> = findings.unknown.iter().map(|unknown| unknown.needs.as_str()).collect();
    assert_eq!(needs, ["cloudtrail:GetTrailStatus", "cloudtrail:GetEventSelectors"]);
    assert!(!findings.sound.iter().any(|what| what.contains("management")));
}

#[test]
fn regions_global_services_digests_and_delivery_are_looked_at() {
    let narrow = Trail {
        is_multi_region: false,
        has_global_services: false,
        has_digests: false,
        owner: Owner::Organisation,
        status: Ok(Status { is_logging: true, delivery_error: Some("AccessDenied".to_owned()) }),
        ..trail(basic("All", &[]))
    };
    let findings = judged(&[narrow]);
    let want = ["aws.one-region", "aws.no-global-services", "aws.trail-not-delivered", "aws.no-digests"];
    assert_eq!(ids(&findings), want);
    assert_eq!(
        findings.spots[0].mend,
        [
            "# in the organisation's management account:",
            "aws cloudtrail update-trail --region eu-west-1 --name arn:aws:cloudtrail:eu-west-1:1:trail/main --is-multi-region-trail",
        ]
    );
    assert_eq!(blind_rules(Provider::Aws, &findings, "aws.no-digests"), ["KW-133d"]);
}
