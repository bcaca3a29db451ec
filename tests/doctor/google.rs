//! The doctor against the stand-in for Google Cloud.

use super::{Patient, ids, needs, of};
use keywatch_google_stand_in::{Google, Server};
use serde_json::{Value, json};

const SUBSCRIPTION: &str = "projects/p/subscriptions/s";

fn reads(exempted: &[&str]) -> Value {
    let log = |kind: &str| json!({"logType": kind, "exemptedMembers": exempted});
    json!({"auditConfigs": [{"service": "allServices", "auditLogConfigs": [log("ADMIN_READ"), log("DATA_READ")]}]})
}

fn sink(more: &Value) -> Value {
    let mut sink = json!({
        "name": "keywatch",
        "destination": "pubsub.googleapis.com/projects/p/topics/t",
        "filter": "logName:\"cloudaudit.googleapis.com\"",
        "includeChildren": true,
    });
    let more = more.as_object().expect("an object").clone();
    sink.as_object_mut().expect("an object").extend(more);
    sink
}

/// A project in a folder of an organisation, whose sink feeds a subscription of the project.
fn estate() -> (Google, Server, Patient) {
    let google = Google::new(0, 1);
    google.with(|state| {
        let parents = [("projects/p", "folders/2"), ("folders/2", "organizations/1")];
        state.estate.parents = parents.map(|(below, above)| (below.to_owned(), above.to_owned())).into();
        state.estate.policies.insert("organizations/1".to_owned(), reads(&[]));
        state.estate.sinks.insert("organizations/1".to_owned(), vec![sink(&json!({}))]);
        state.estate.sinks.insert("projects/p".to_owned(), vec![json!({"name": "_Default"})]);
        let subscription = json!({"topic": "projects/p/topics/t", "messageRetentionDuration": "604800s", "expirationPolicy": {}});
        state.estate.subscription.clone_from(subscription.as_object().expect("an object"));
        state.subscription = Some(SUBSCRIPTION.to_owned());
        state.estate.retention_days = 30;
    });
    let server = google.serve();
    let access = format!("{{endpoint: \"{}\", anonymous: true}}", server.url());
    let patient = Patient::of(&format!(
        "sources:\n  - name: asked\n    gcp_logging: {{resources: [projects/p], access: {access}}}\n  \
         - name: pulled\n    gcp_pubsub: {{subscription: {SUBSCRIPTION}, access: {access}}}\n"
    ));
    (google, server, patient)
}

#[test]
fn doctor_finds_what_google_does_not_log_wherever_it_is_set_up() {
    let (google, _server, patient) = estate();
    let (report, code) = patient.report();
    assert_eq!(
        (report["blind_spots"].as_u64(), report["unknown"].as_u64(), code),
        (Some(0), Some(0), Some(0)),
        "{report:#}"
    );

    google.with(|state| {
        state.estate.policies.insert("organizations/1".to_owned(), reads(&["user:eve@example.com"]));
        let exclusion = json!({"name": "noise", "filter": "protoPayload.methodName:Access"});
        state.estate.sinks.insert(
            "organizations/1".to_owned(),
            vec![sink(&json!({"exclusions": [exclusion], "includeChildren": false}))],
        );
        state
            .estate
            .sinks
            .insert("projects/p".to_owned(), vec![json!({"name": "_Default", "disabled": true})]);
        state.estate.retention_days = 7;
    });
    let (report, code) = patient.report();
    let asked = ["gcp.exempted-members", "gcp.default-sink-disabled", "gcp.bucket-forgets-early"];
    assert_eq!((ids(&report, "asked"), code), (asked.map(str::to_owned).to_vec(), Some(1)), "{report:#}");
    let pulled = ["gcp.exempted-members", "gcp.sink-excludes", "gcp.sink-without-children"];
    assert_eq!(ids(&report, "pulled"), pulled, "{report:#}");

    google.with(|state| state.estate.policies.clear());
    let (report, _) = patient.report();
    let off = ["gcp.data-reads-not-logged", "gcp.admin-reads-not-logged"];
    assert_eq!(ids(&report, "pulled")[..2], off, "{report:#}");
    let blind = &of(&report, "pulled")["blind_spots"][0]["rules"]["blind"];
    assert!(blind.as_array().expect("rules").contains(&"KW-102".into()), "{blind}");
}

#[test]
fn doctor_says_which_role_google_wants_before_it_says_anything_is_off() {
    let (google, _server, patient) = estate();
    google.with(|state| {
        state.estate.policies.clear();
        state.estate.forbidden = ["organizations/1".to_owned(), SUBSCRIPTION.to_owned()].into();
    });
    let (report, code) = patient.report();
    assert_eq!((report["blind_spots"].as_u64(), code), (Some(0), Some(0)), "{report:#}");
    let policy = "resourcemanager.organizations.getIamPolicy on organizations/1".to_owned();
    assert_eq!(needs(&report, "asked"), [policy.clone(), policy.clone()], "{report:#}");
    let subscription = format!("pubsub.subscriptions.get on {SUBSCRIPTION}");
    assert_eq!(needs(&report, "pulled"), [policy.clone(), policy, subscription], "{report:#}");

    google.with(|state| state.revoked = true);
    let (report, code) = patient.report();
    assert_eq!((report["blind_spots"].as_u64(), code), (Some(0), Some(0)), "{report:#}");
    assert!(of(&report, "asked")["sound"].as_array().expect("a list").len() <= 1, "{report:#}");
}
