//! Calls against the audit trail itself, and next to it.
//!
//! Only what the call asks for is known, never how the trail was set up before: a change that
//! leaves everything recorded is told from one that narrows by its parameters alone.

use crate::provider::paths;
use keywatch_event::Class;
use keywatch_event::json::{Fields, elements};
use serde::Deserialize;

/// Longest expiry, in days, that counts as destroying the log files of a trail: shorter than the
/// week in which an incident is usually noticed.
const EXPIRY_DAYS_MAX: u32 = 7;

/// Leaving this source out hides every decryption.
const KEYS: &str = "kms.amazonaws.com";

/// What a call to any service but those of secrets and identities does to the audit trail.
pub(super) fn class(fields: &Fields<'_>, service: &str, operation: &str) -> Class {
    match service {
        "cloudtrail" => cloudtrail(fields, operation),
        "s3" => bucket(fields, operation),
        _ if is_adjacent(fields, service, operation) => Class::AuditAdjacent,
        _ => Class::Other,
    }
}

/// <https://docs.aws.amazon.com/awscloudtrail/latest/APIReference/API_Operations.html>
fn cloudtrail(fields: &Fields<'_>, operation: &str) -> Class {
    match operation {
        "StopLogging" | "DeleteTrail" | "DeleteEventDataStore" | "StopEventDataStoreIngestion" => {
            Class::AuditTamper
        }
        "PutEventSelectors" if selectors_narrow(fields) => Class::AuditTamper,
        "UpdateTrail" if trail_narrows(fields) => Class::AuditTamper,
        "PutEventSelectors"
        | "UpdateTrail"
        | "UpdateEventDataStore"
        | "PutInsightSelectors"
        | "UpdateChannel"
        | "DeleteChannel"
        | "PutResourcePolicy"
        | "DeleteResourcePolicy"
        | "DeregisterOrganizationDelegatedAdmin" => Class::AuditAdjacent,
        _ => Class::Other,
    }
}

/// Recording less, unprotected, or somewhere else.
fn trail_narrows(fields: &Fields<'_>) -> bool {
    let kept = [
        paths::ASKED_MULTI_REGION,
        paths::ASKED_GLOBAL_EVENTS,
        paths::ASKED_ORGANIZATION,
        paths::ASKED_VALIDATION,
    ];
    let dropped = kept.into_iter().any(|slot| fields.truth(slot) == Some(false));
    dropped || fields.raw(paths::ASKED_TRAIL_BUCKET).is_some()
}

/// Whether no selector records every management event any more.
fn selectors_narrow(fields: &Fields<'_>) -> bool {
    let basic = fields.raw(paths::ASKED_SELECTORS).map(|_| fields.list(paths::ASKED_SELECTORS));
    let advanced = fields.raw(paths::ASKED_ADVANCED_SELECTORS);
    let advanced = advanced.map(|_| fields.list(paths::ASKED_ADVANCED_SELECTORS));
    match (basic, advanced) {
        (None, None) => false,
        (basic, advanced) => {
            let basic = basic.unwrap_or_default().into_iter().any(records_all);
            let advanced = advanced.unwrap_or_default().into_iter().any(records_all_advanced);
            !basic && !advanced
        }
    }
}

/// <https://docs.aws.amazon.com/awscloudtrail/latest/APIReference/API_EventSelector.html>
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Selector {
    include_management_events: Option<bool>,
    read_write_type: Option<String>,
    #[serde(default)]
    exclude_management_event_sources: Vec<String>,
}

/// A selector nobody can read counts as one that records: only what is known to narrow is said to.
fn records_all(raw: &str) -> bool {
    let Ok(selector) = serde_json::from_str::<Selector>(raw) else { return true };
    selector.include_management_events != Some(false)
        && selector.read_write_type.is_none_or(|kind| kind == "All")
        && !selector.exclude_management_event_sources.iter().any(|source| source == KEYS)
}

/// <https://docs.aws.amazon.com/awscloudtrail/latest/APIReference/API_AdvancedEventSelector.html>
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct AdvancedSelector {
    field_selectors: Vec<FieldSelector>,
}

#[derive(Deserialize)]
struct FieldSelector {
    field: String,
    #[serde(default)]
    equals: Vec<String>,
}

fn records_all_advanced(raw: &str) -> bool {
    let Ok(selector) = serde_json::from_str::<AdvancedSelector>(raw) else { return true };
    selector
        .field_selectors
        .iter()
        .all(|one| one.field == "eventCategory" && one.equals.iter().any(|category| category == "Management"))
}

/// The bucket a trail writes to is known by its name only: CloudTrail's own default begins with
/// `aws-cloudtrail-logs`.
fn bucket(fields: &Fields<'_>, operation: &str) -> Class {
    let named = fields.text(paths::ASKED_BUCKET);
    if !named.is_some_and(|name| name.contains("cloudtrail")) {
        return Class::Other;
    }
    match operation {
        "DeleteBucket" => Class::AuditTamper,
        "PutBucketLifecycle" | "PutBucketLifecycleConfiguration" if expires_soon(fields) => {
            Class::AuditTamper
        }
        "PutBucketLifecycle"
        | "PutBucketLifecycleConfiguration"
        | "PutBucketPolicy"
        | "DeleteBucketPolicy"
        | "PutBucketVersioning"
        | "PutBucketAcl"
        | "DeleteBucketEncryption"
        | "PutBucketReplication"
        | "DeleteBucketReplication" => Class::AuditAdjacent,
        _ => Class::Other,
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct LifecycleRule {
    expiration: Option<Expiration>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Expiration {
    days: Option<u32>,
}

/// S3 writes its XML as JSON: a single rule is an object, several are an array.
fn expires_soon(fields: &Fields<'_>) -> bool {
    let Some(raw) = fields.raw(paths::ASKED_LIFECYCLE_RULE) else { return false };
    let rules = if raw.starts_with('[') { elements(raw) } else { vec![raw] };
    rules.into_iter().any(|rule| {
        let rule = serde_json::from_str::<LifecycleRule>(rule).ok();
        let days = rule.and_then(|rule| rule.expiration).and_then(|expiration| expiration.days);
        days.is_some_and(|days| days <= EXPIRY_DAYS_MAX)
    })
}

/// Other recorders an intruder switches off.
fn is_adjacent(fields: &Fields<'_>, service: &str, operation: &str) -> bool {
    match (service, operation) {
        ("ec2", "DeleteFlowLogs")
        | ("route53resolver", "DeleteResolverQueryLogConfig" | "DisassociateResolverQueryLogConfig")
        | ("config", "StopConfigurationRecorder" | "DeleteConfigurationRecorder" | "DeleteDeliveryChannel")
        | (
            "guardduty",
            "DeleteDetector"
            | "DeleteMembers"
            | "DisassociateMembers"
            | "DisassociateFromMasterAccount"
            | "DisassociateFromAdministratorAccount"
            | "StopMonitoringMembers"
            | "DeletePublishingDestination",
        )
        | ("securityhub", "DisableSecurityHub")
        | ("access-analyzer", "DeleteAnalyzer")
        | ("macie2", "DisableMacie")
        | ("inspector2", "Disable")
        | ("organizations", "LeaveOrganization" | "RemoveAccountFromOrganization") => true,
        ("guardduty", "UpdateDetector") => fields.truth(paths::ASKED_ENABLE) == Some(false),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{normalized, record};
    use super::*;
    use serde_json::{Value, json};

    #[track_caller]
    fn check(service: &str, operation: &str, asked: &Value, want: Class) {
        let record = record(service, operation, &json!({"requestParameters": asked}));
        assert_eq!(normalized(&record).class, want, "{service} {operation} {asked}");
    }

    #[test]
    fn stopping_or_deleting_a_trail_is_tampering() {
        for operation in ["StopLogging", "DeleteTrail", "DeleteEventDataStore"] {
            check("cloudtrail", operation, &json!({"name": "t"}), Class::AuditTamper);
        }
        for operation in ["StartLogging", "CreateTrail", "DescribeTrails", "LookupEvents"] {
            check("cloudtrail", operation, &json!({"name": "t"}), Class::Other);
        }
    }

    #[test]
    fn a_trail_update_that_records_less_is_tampering() {
        let update = |asked: Value, class| check("cloudtrail", "UpdateTrail", &asked, class);
        update(json!({"name": "t", "isMultiRegionTrail": false}), Class::AuditTamper);
        update(json!({"name": "t", "enableLogFileValidation": false}), Class::AuditTamper);
        update(json!({"name": "t", "s3BucketName": "elsewhere"}), Class::AuditTamper);
        update(json!({"name": "t", "isMultiRegionTrail": true}), Class::AuditAdjacent);
        update(json!(null), Class::AuditAdjacent);
    }

    #[test]
    fn selectors_that_leave_management_events_out_are_tampering() {
        let put = |selector: Value, class| {
            check("cloudtrail", "PutEventSelectors", &json!({"eventSelectors": [selector]}), class);
        };
        put(json!({"readWriteType": "All", "includeManagementEvents": true}), Class::AuditAdjacent);
        put(json!({"dataResources": []}), Class::AuditAdjacent);
        put(json!({"excludeManagementEventSources": ["rdsdata.amazonaws.com"]}), Class::AuditAdjacent);
        put(json!("unreadable"), Class::AuditAdjacent);
        put(json!({"includeManagementEvents": false}), Class::AuditTamper);
        put(json!({"readWriteType": "ReadOnly"}), Class::AuditTamper);
        put(json!({"excludeManagementEventSources": ["kms.amazonaws.com"]}), Class::AuditTamper);
        check("cloudtrail", "PutEventSelectors", &json!({"eventSelectors": []}), Class::AuditTamper);
        check("cloudtrail", "PutEventSelectors", &json!(null), Class::AuditAdjacent);
    }

    #[test]
    fn advanced_selectors_are_read_the_same_way() {
        let put = |fields: Value, class| {
            let asked = json!({"advancedEventSelectors": [{"fieldSelectors": fields}]});
            check("cloudtrail", "PutEventSelectors", &asked, class);
        };
        let management = json!({"field": "eventCategory", "equals": ["Management"]});
        let no_keys = json!({"field": "eventSource", "notEquals": ["kms.amazonaws.com"]});
        put(json!([management]), Class::AuditAdjacent);
        put(json!([management, no_keys]), Class::AuditTamper);
        put(json!([{"field": "eventCategory", "equals": ["Data"]}]), Class::AuditTamper);
    }

    #[test]
    fn a_bucket_of_a_trail_that_forgets_soon_is_tampering() {
        let expires = |rule: Value, class| {
            let asked =
                json!({"bucketName": "aws-cloudtrail-logs-1", "LifecycleConfiguration": {"Rule": rule}});
            check("s3", "PutBucketLifecycle", &asked, class);
        };
        expires(json!({"Expiration": {"Days": 1}}), Class::AuditTamper);
        expires(json!([{"Status": "Enabled"}, {"Expiration": {"Days": 7}}]), Class::AuditTamper);
        expires(json!({"Expiration": {"Days": 365}}), Class::AuditAdjacent);
        expires(json!("odd"), Class::AuditAdjacent);
        check("s3", "DeleteBucketPolicy", &json!({"bucketName": "my-cloudtrail"}), Class::AuditAdjacent);
        check("s3", "DeleteBucket", &json!({"bucketName": "my-cloudtrail"}), Class::AuditTamper);
        check("s3", "DeleteBucket", &json!({"bucketName": "photos"}), Class::Other);
    }

    #[test]
    fn other_recorders_are_next_to_the_trail() {
        check("ec2", "DeleteFlowLogs", &json!(null), Class::AuditAdjacent);
        check("organizations", "LeaveOrganization", &json!(null), Class::AuditAdjacent);
        check("guardduty", "UpdateDetector", &json!({"enable": false}), Class::AuditAdjacent);
        check("guardduty", "UpdateDetector", &json!({"enable": true}), Class::Other);
        check("ec2", "DescribeFlowLogs", &json!(null), Class::Other);
    }
}
